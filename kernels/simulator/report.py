"""What the simulator found, in the user's words: kind, file and line, the kernel's own names for arrays and variables."""
import dataclasses
import os
import re
import subprocess

import numpy as np

from . import build

KINDS = dict(re.findall(r'KIND\(\w+, "([\w-]+)", "([^"]+)"\)', (build.RUNTIME / "kinds.h").read_text(encoding="utf-8")))
MENTIONED = re.compile(r"#(0x[0-9a-f]+)")             # a code address within a message


@dataclasses.dataclass(frozen=True)
class Report:
    """One finding."""
    kind: str                                        # one of KINDS
    message: str
    file: str | None                                 # of the user's source; None where the place is not known
    line: int | None
    other_file: str | None                           # where the other of two accesses was
    other_line: int | None
    block: tuple[int, ...] | None
    thread: tuple[int, ...] | None
    parameter: str | None                            # the array that it is about, by its name in the kernel

    def __str__(self):
        where = f"{self.file}:{self.line}: " if self.file else ""
        other = f", at {self.other_file}:{self.other_line}" if self.other_file else ""
        thread = f" [thread {show(self.thread)} of block {show(self.block)}]" if self.thread else ""
        return f"{where}{self.kind}: {self.message}{other}{thread}"


class SimulatorError(RuntimeError):
    """A kernel does something wrong; `reports` has every finding (Report)."""

    def __init__(self, kernel, reports):
        self.reports = tuple(reports)
        lines = "\n".join(f"  {r}" for r in self.reports)
        super().__init__(f"{kernel.label}:\n{lines}")

    @property
    def kinds(self):
        """The kinds of the findings, as a set."""
        return {r.kind for r in self.reports}


def show(triple):
    return "(" + ", ".join(map(str, triple)) + ")"


def raise_reports(text, kernel, library, packing):
    records = [record.split("\x1f") for record in text.decode(errors="replace").split("\x1e")]
    sites = {site for _, *both, _, _, _ in records for site in both if site.startswith("0x")}
    lines = code_lines(library, sites | set(MENTIONED.findall(text.decode(errors="replace"))))
    raise SimulatorError(kernel, [report(record, lines, library, packing) for record in records])


def report(record, lines, library, packing):
    kind, site, other, block, thread, message = record
    file, line = place(site, lines)
    other_file, other_line = place(other, lines)
    array = re.search(r"\$(\d+)", message)
    message = re.sub(r"\$(\d+)\+(\d+)", lambda m: element(packing, int(m[1]), int(m[2])), message)
    message = re.sub(r"\$(\d+)", lambda m: described(packing, int(m[1])), message)
    message = MENTIONED.sub(lambda m: "{}:{}".format(*place(m[1], lines)) if m[1] in lines else "?", message)
    message = re.sub(r"@(\d+)", lambda m: variable(library, int(m[1])), message)
    return Report(kind, message, file, line, other_file, other_line, numbers(block), numbers(thread),
                  name_of(packing, int(array[1])) if array else None)


def numbers(text):
    return tuple(map(int, text.split(","))) if text else None


def place(site, lines):
    """(file, line) of "file:line" or of a code address."""
    site = lines.get(site, site)
    file, _, line = site.rpartition(":")
    if not file or not line.isdigit():
        return None, None
    return shown(file), int(line)


def shown(file):
    """A path relative to the current folder, where it lies in it."""
    near = os.path.relpath(file) if os.path.isabs(file) else file
    return file if near.startswith("..") else near


def name_of(packing, number):
    return packing.names[number] if number < len(packing.names) else "a table of addresses"


def described(packing, number):
    if number >= len(packing.names):
        return name_of(packing, number)
    shape, item = packing.shapes[number]
    return f"{packing.names[number]}, shape {show(shape) if len(shape) != 1 else f'({shape[0]},)'}"


def element(packing, number, offset):
    """`x[3, 5]` for a byte of an array."""
    if number >= len(packing.names):
        return name_of(packing, number)
    shape, item = packing.shapes[number]
    if offset >= int(np.prod(shape)) * item:
        return f"{packing.names[number]} + {offset} bytes"
    index = ", ".join(str(int(i)) for i in np.unravel_index(offset // item, shape)) if shape else "()"
    return f"{packing.names[number]}[{index}]" + (f" + {offset % item} bytes" if offset % item else "")


def variable(library, offset):
    """The __shared__ variable at an offset, from the library's table of symbols."""
    done = subprocess.run(["nm", "-S", "-C", str(library)], capture_output=True, text=True)
    for line in done.stdout.splitlines() if not done.returncode else ():
        found = re.fullmatch(r"([0-9a-f]+) ([0-9a-f]+) [bBdDuV] (.+)", line)
        if found and int(found[1], 16) <= offset < int(found[1], 16) + int(found[2], 16) and "cusim" not in found[3]:
            name = re.sub(r"\[abi:\w+\]", "", found[3]).split("::")[-1]
            return f"`{name}` + {offset - int(found[1], 16)} bytes"
    return f"byte {offset} of static shared memory"


def code_lines(library, addresses):
    """{address: "file:line"} by the debugger's line table: of the innermost function in a file of the user's."""
    if not addresses:
        return {}
    order = sorted(addresses)
    for tool in ("addr2line", "llvm-addr2line", "llvm-addr2line-19", "llvm-addr2line-14"):
        try:                                         # an address is that after the call: one byte back
            done = subprocess.run([tool, "-a", "-i", "-e", str(library), *[hex(int(a, 16) - 1) for a in order]], capture_output=True, text=True)
        except FileNotFoundError:
            continue
        found, address = {}, None
        for line in done.stdout.splitlines():
            if re.fullmatch(r"0x[0-9a-f]+", line):
                address = hex(int(line, 16) + 1)
            elif address not in found and not inside_the_simulator(line):
                found[address] = line.split(" ")[0].removeprefix(build.NOWHERE + "/")
        return found
    return {}


def inside_the_simulator(line):
    return str(build.LANGUAGE) in line or line.startswith("??")
