"""What a kernel does, counted for each line of its source, without a GPU.

    print(kernels.profile(kernel, grid, block, args, shared_mem))

accesses   instructions of a warp that read or write memory there
bytes      moved by all threads
sectors    of 32 bytes, for global memory: those touched, and over how many there would have to be
banks      turns of shared memory's 32 banks, and over how many without conflicts
flops      floating-point additions, subtractions, multiplications, divisions, square roots, minima and maxima as the host's compiler
           emitted them (a fused multiply-add counts as two, a call of expf and the like as one), and 2 M N K for each matrix
           product on tensor cores.  Conversions, comparisons and integers are not counted.

The machine code is that of the host's compiler at -O2 without vectorisation: what it saves, as by hoisting out of a loop, nvcc saves too.
"""
import collections
import dataclasses
import re
import subprocess

from .. import signature
from ..kernel import Kernel
from ..source import FUNCTIONS
from . import report, run

INSTRUCTIONS = {                                     # x86-64 and AArch64: operations of one instruction
    **{f"{v}{op}{size}": 1 for v in ("", "v") for op in ("add", "sub", "mul", "div", "sqrt", "min", "max") for size in ("ss", "sd")},
    **{f"f{op}": 1 for op in ("add", "sub", "mul", "div", "sqrt", "min", "max", "nmul", "minnm", "maxnm")},
    **{f"f{op}": 2 for op in ("madd", "msub", "nmadd", "nmsub")},
}
FUSED = re.compile(r"vfn?m(add|sub)\d+s[sd]")
CALLED = {f"{name}{end}": 2 if name == "fma" else 1 for name in FUNCTIONS for end in ("", "f")}      # of the C library
FUNCTION = re.compile(r"<(\w+)(?:@\w+)?>")


@dataclasses.dataclass
class Row:
    """The totals of one line of the source."""
    file: str
    line: int
    what: str                                        # "global load", "shared store", "compute", ...
    accesses: int = 0
    bytes: int = 0
    sectors: int = 0
    ideal_sectors: int = 0
    banks: int = 0                                   # turns
    ideal_banks: int = 0
    flops: int = 0


class Profile(list):
    """Rows in the order of the source; printed, a table.

    read, written: bytes of the arrays, in sectors of 32, that the kernel read before it wrote them, and that it wrote: what memory must at
    least move.  barriers: how often a thread waited at one.
    least: {"accesses", "sectors", "banks"} where a thread's neighbouring accesses are one of up to 16 bytes, and 32 words of shared
    memory in different banks are one turn: the least that a GPU could do.  The host's compiler takes vectors apart; the rows have them so.
    """
    read = written = barriers = 0
    least = {"accesses": 0, "sectors": 0, "banks": 0}

    def __str__(self):
        head = ("line", "what", "accesses", "bytes", "sectors", "ideal", "bank turns", "ideal", "flops")
        rows = [(f"{r.file}:{r.line}", r.what, r.accesses, r.bytes, r.sectors, r.ideal_sectors, r.banks, r.ideal_banks, r.flops) for r in self]
        total = ("", "in all", *(sum(row[i] for row in rows) for i in range(2, len(head))))
        text = [[str(x) if x else "" for x in row] for row in (head, *rows, total)]
        widths = [max(len(row[i]) for row in text) for i in range(len(head))]
        return "\n".join("  ".join(x.ljust(w) if i < 2 else x.rjust(w) for i, (x, w) in enumerate(zip(row, widths))).rstrip() for row in text)

    def total(self, field):
        return sum(getattr(row, field) for row in self)


def profile(kernel, grid, block, args, shared_mem=0):
    """Runs a kernel on NumPy arrays and returns a Profile of all its blocks.  kernel: a Kernel, as of kernels.Kernel(...)."""
    if not isinstance(kernel, Kernel):
        raise TypeError(f"profile wants a Kernel, got {type(kernel).__name__}")
    grid, block = kernel.fit_shape(grid, block, shared_mem)
    double = signature.is_double(kernel.parameters, args)
    fitted = signature.fit(kernel.name, kernel.parameters, args, double)
    made = run.compiled(kernel, "profile", double)
    runtime = run.runtime()
    with run.LOCK:
        wrong, packing = run.start(kernel, grid, block, fitted, shared_mem, made, True, True)
        found = runtime.cusim_reports() if wrong else runtime.cusim_profile_rows()
    if wrong:
        report.raise_reports(found, kernel, made.path, packing)
    return rows(found.decode(), made.path)


def rows(text, library):
    fields = [line.split("\t") for line in text.splitlines()]
    blocks = basic_blocks(library) if any(f[0] == "entered" for f in fields) else {}
    flops = collections.Counter()
    addresses = {f[1] for f in fields if f[1].startswith("0x") and f[0] == "access"}
    for f in fields:
        if f[0] == "entered" and f[1]:               # without a place: a function's last block, which only returns
            for address, count in blocks.get(int(f[1], 16), ()):
                flops[address] += count * int(f[2])
    lines = report.code_lines(library, addresses | {hex(a + 1) for a in flops})
    found = {}

    def row(site, what):
        file, line = report.place(site, lines)
        return found.setdefault((file or "?", line or 0, what), Row(file or "?", line or 0, what))
    for f in fields:
        if f[0] == "access":
            r = row(f[1], f"{f[3]} {f[2]}")
            r.accesses, r.bytes = r.accesses + int(f[4]), r.bytes + int(f[5])
            if f[3] == "shared":
                r.ideal_banks, r.banks = r.ideal_banks + int(f[6]), r.banks + int(f[7])
            else:
                r.ideal_sectors, r.sectors = r.ideal_sectors + int(f[6]), r.sectors + int(f[7])
        elif f[0] == "flops":
            row(f[1], "tensor core").flops += int(f[2])
    for address, count in flops.items():
        row(hex(address + 1), "compute").flops += count
    done = Profile(sorted(found.values(), key=lambda r: (r.file, r.line, r.what)))
    for f in fields:
        if f[0] == "touched":
            done.read, done.written = done.read + int(f[1]), done.written + int(f[2])
        elif f[0] == "barriers":
            done.barriers += int(f[1])
        elif f[0] == "least":
            done.least = dict(zip(("accesses", "sectors", "banks"), map(int, f[1:])))
    return done


def basic_blocks(library):
    """{address behind the call that marks a basic block: [(address, operations) of its floating-point instructions]}."""
    text = subprocess.run(["objdump", "-d", "--no-show-raw-insn", str(library)], capture_output=True, text=True, check=True).stdout
    blocks, block, marked = {}, None, False
    for line in text.splitlines():
        found = re.match(r"\s*([0-9a-f]+):\s+(\S+)\s*(.*)", line)
        if not found:
            if line.endswith(">:"):
                block = None                         # another function
            continue
        address, name, operands = int(found[1], 16), found[2], found[3]
        if marked:
            block = blocks.setdefault(address, [])
        marked = "__sanitizer_cov_trace_pc" in operands
        if block is not None and not marked and (count := operations(name, operands)):
            block.append((address, count))
    return blocks


def operations(name, operands):
    if name in INSTRUCTIONS:
        return INSTRUCTIONS[name] if not name.startswith("f") or re.match(r"[sd]\d", operands) else 0
    if FUSED.fullmatch(name):
        return 2
    called = FUNCTION.search(operands) if name.startswith(("call", "bl")) else None
    return CALLED.get(called[1], 0) if called else 0
