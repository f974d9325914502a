"""The kernels compiled for real GPUs on a machine without one, and what the compiler made of them.

    python -m minitorch.kernels.nvrtc                        print the table of all kernels and architectures
    python -m minitorch.kernels.nvrtc --json FILE            and write it
    python -m minitorch.kernels.nvrtc softmax matmul         kernels whose names contain one of these

NVRTC needs no driver: it gives the machine code of any architecture (cubin) and the assembler's report on registers and
spills; nvdisasm shows the instructions.  Both come with `pip install 'minitorch[nvrtc]'`.  Exit status 1 where a kernel does
not compile, spills registers to memory, or has its wgmma serialised.
"""
import argparse
import collections
import contextlib
import ctypes
import functools
import hashlib
import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from . import source
from .device import CompileError
from .kernel import enter

ARCHITECTURES = ("sm_80", "sm_90a", "sm_100")
AS_CUPY = ("--device-as-default-execution-space", "-ftz=true")           # what CuPy adds to the options of every kernel
COUNTED = ("HMMA", "HGMMA", "LDSM", "LDGSTS", "UTMALDG", "UTMASTG", "LDG.128")      # instructions of note: tensor cores, loads
CACHE = Path(os.environ.get("MINITORCH_CACHE") or Path.home() / ".cache" / "minitorch") / "nvrtc"
BAD = re.compile(r"C7508|C7509|C7510|serializ", re.I)                    # setmaxnreg ignored, wgmma serialised


class Nvrtc:
    """The compiler library, called by ctypes."""

    def __init__(self, library, include, disassembler):
        self.include, self.disassembler = include, disassembler
        for name in library.parent.glob("libnvrtc-builtins.so.*"):       # found by its name once it is loaded
            ctypes.CDLL(str(name), mode=ctypes.RTLD_GLOBAL)
        self.library = ctypes.CDLL(str(library))
        self.library.nvrtcGetErrorString.restype = ctypes.c_char_p

    def version(self):
        major, minor = ctypes.c_int(), ctypes.c_int()
        self.library.nvrtcVersion(ctypes.byref(major), ctypes.byref(minor))
        return f"{major.value}.{minor.value}"

    def compile(self, text, name, options):
        """(cubin, log); CompileError with the log where the source is refused."""
        lib, program = self.library, ctypes.c_void_p()
        flags = [o.encode() for o in (*options, *AS_CUPY, f"-I{self.include}", "--ptxas-options=-v")]
        lib.nvrtcCreateProgram(ctypes.byref(program), text.encode(), name.encode(), 0, None, None)
        try:
            status = lib.nvrtcCompileProgram(program, len(flags), (ctypes.c_char_p * len(flags))(*flags))
            log = self.result(program, "ProgramLog").rstrip(b"\0").decode()
            if status:
                raise CompileError(f"{name}, {' '.join(options)}: {lib.nvrtcGetErrorString(status).decode()}\n{log}")
            return self.result(program, "CUBIN"), log
        finally:
            lib.nvrtcDestroyProgram(ctypes.byref(program))

    def result(self, program, what):
        size = ctypes.c_size_t()
        getattr(self.library, f"nvrtcGet{what}Size")(program, ctypes.byref(size))
        buffer = ctypes.create_string_buffer(size.value)
        getattr(self.library, f"nvrtcGet{what}")(program, buffer)
        return buffer.raw

    def instructions(self, cubin):
        """{kernel's name: Counter of its instructions, suffixes and all} from the disassembly."""
        with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
            file.write(cubin)
            file.flush()
            text = subprocess.run([self.disassembler, "-c", file.name], capture_output=True, text=True, check=True).stdout
        found, name = collections.defaultdict(collections.Counter), None
        for line in text.splitlines():
            if section := re.match(r"\s*\.section\s+\.text\.(\w+)", line):
                name = section[1]
            elif name and (word := re.match(r"\s*/\*[0-9a-f]+\*/\s+(?:@!?U?P\w+\s+)?([A-Z][A-Z0-9_.]*)", line)):
                found[name][word[1]] += 1
        return found


@functools.cache
def nvrtc():
    """The compiler; ImportError where the packages are not installed."""
    spec = importlib.util.find_spec("nvidia")
    for base in spec.submodule_search_locations if spec else ():
        for folder in sorted(Path(base).glob("cu1*")):
            library = [p for p in folder.glob("lib/libnvrtc.so.*") if "alt" not in p.name]
            if library and (folder / "bin/nvdisasm").is_file() and (folder / "include/cuda_fp16.h").is_file():
                return Nvrtc(library[0], folder / "include", str(folder / "bin/nvdisasm"))
    raise ImportError("NVRTC, its headers or nvdisasm are not installed: pip install 'minitorch[nvrtc]'")


def launched():
    """(kernel, whether in double) for everything that the proven functions launch: their cases are run with launches left out.

    Each dtype brings its own choice of macros; float32 functions whose derivative is proven run in float64 too.
    """
    from .kernel import launches
    from .proof import FUNCTIONS, draw
    with launches(run=False) as trace:
        for f in FUNCTIONS.values():
            for dtype in (*f.dtypes, *(("float64",) if f.derivative and "float32" in f.dtypes else ())):
                for number in range(len(f.cases)):
                    args, params = draw(f, number, dtype)
                    y = f(*args, **params)
                    if f.derivative:
                        f.derivative(y, y, *args, **params)              # the results stand for their gradients
    return list(dict.fromkeys((kernel, double) for kernel, *_, double in trace))


def variants():
    """Every kernel with every choice of macros that the proven functions launch, by label."""
    found = {}
    for kernel, double in sorted(launched(), key=lambda pair: pair[0].label):
        if not double:
            enter(found, kernel)
    return found


def architectures(kernel):
    """Those that a kernel is compiled for: the one that it needs, or all."""
    return (kernel.arch,) if kernel.arch else ARCHITECTURES


def compiled(kernel, arch, double=False):
    """{"registers": ..., "shared": ..., "stack": ..., "spills": ..., "warnings": [...]} of one kernel: bytes but for the registers."""
    functions, warnings = reported(*text_and_options(kernel, arch, double))
    return {**functions[kernel.name], "warnings": warnings}


def text_and_options(kernel, arch, double=False):
    """What NVRTC is given; kernels of one source with the same macros share it."""
    options = tuple(o for o in source.options(kernel) if not o.startswith("-arch=")) + (f"-arch={arch}",)
    return source.complete(kernel, double), kernel.path.name if kernel.path else "source.cu", options


@functools.cache
def built(text, name, options):
    """(cubin, log) of a whole source."""
    return nvrtc().compile(text, name, options)


def on_disk(kind):
    """A decorator: what a function of (text, name, options) finds is kept from one run to the next, in JSON."""
    def enter(f):
        @functools.cache
        @functools.wraps(f)
        def read_or_made(text, name, options):
            key = hashlib.sha256("\0".join((nvrtc().version(), text, *options, *AS_CUPY)).encode()).hexdigest()[:32]
            kept = CACHE / f"{key}.{kind}.json"
            if not kept.is_file():
                CACHE.mkdir(parents=True, exist_ok=True)
                fresh = kept.with_suffix(f".{os.getpid()}")
                fresh.write_text(json.dumps(f(text, name, options)), encoding="utf-8")
                fresh.replace(kept)
            return json.loads(kept.read_text(encoding="utf-8"))
        return read_or_made
    return enter


@on_disk("report")
def reported(text, name, options):
    """({kernel's name: figures}, warnings) of a whole source."""
    _, log = built(text, name, options)
    figures = {}
    for part in re.split(r"ptxas info\s*: Compiling entry function '", log)[1:]:
        number = functools.partial(first_number, part)
        figures[part.split("'")[0]] = {
            "registers": number(r"Used (\d+) registers"), "shared": number(r"(\d+) bytes smem"), "stack": number(r"(\d+) bytes stack frame"),
            "spills": number(r"(\d+) bytes spill stores") + number(r"(\d+) bytes spill loads")}
    warnings = [line.strip() for line in log.splitlines() if "warning" in line.lower() or BAD.search(line)]
    return figures, list(dict.fromkeys(warnings))


@on_disk("instructions")
def disassembled(text, name, options):
    """{kernel's name: {instruction: count}} of a whole source."""
    return nvrtc().instructions(built(text, name, options)[0])


def counted(kernel, arch):
    """How many instructions a kernel has: all, and those of note."""
    found = disassembled(*text_and_options(kernel, arch))[kernel.name]
    return {"all": sum(found.values()), **{name: n for name in COUNTED if (n := matching(found, name))}}


def first_number(text, pattern):
    found = re.search(pattern, text)
    return int(found[1]) if found else 0


def matching(counts, name):
    """How many instructions are of a kind: LDG.128 is every LDG with .128 among its suffixes."""
    kind, *suffixes = name.split(".")
    return sum(n for word, n in counts.items() if word.split(".")[0] == kind and set(suffixes) <= set(word.split(".")))


def faults(figures):
    """What is wrong with a compiled kernel, in words; empty for a good one."""
    wrong = [w for w in figures["warnings"] if BAD.search(w)]
    if figures["spills"]:
        wrong.append(f"{figures['spills']} bytes of registers are spilled to memory")
    return wrong


def rows(kernels):
    """For each kernel and architecture (label, architecture, figures, faults); figures is None for what does not compile."""
    for label, kernel in kernels.items():
        for arch in architectures(kernel):
            try:
                figures = {**compiled(kernel, arch), "instructions": counted(kernel, arch)}
                yield label, arch, figures, faults(figures)
            except CompileError as error:
                yield label, arch, None, [str(error)]


def prepared(source_of):
    """Compile and disassemble a source; its errors are met again by who asks for the figures."""
    with contextlib.suppress(CompileError):
        reported(*source_of)
        disassembled(*source_of)


def measured(names=(), say=lambda line: None):
    """({"nvrtc": version, "kernels": {source: {label: {architecture: figures}}}}, faults in words); each kernel is said when done."""
    found, bad = {}, []
    chosen = {label: k for label, k in variants().items() if not names or any(n in label for n in names)}
    with ThreadPoolExecutor(os.cpu_count()) as pool:         # NVRTC and nvdisasm run beside each other; what they find is kept
        list(pool.map(prepared, {text_and_options(k, arch) for k in chosen.values() for arch in architectures(k)}))
    for label, arch, figures, wrong in rows(chosen):
        if figures:
            source_of = chosen[label].path.name
            found.setdefault(source_of, {}).setdefault(label, {})[arch] = figures
            counts = "  ".join(f"{name} {n}" for name, n in figures["instructions"].items())
            say(f"{label:60} {arch:7} {figures['registers']:9} {figures['shared']:7} {figures['stack']:6} {figures['spills']:7}  {counts}")
        bad += [f"{label}, {arch}: {line}" for line in wrong]
    return {"nvrtc": nvrtc().version(), "kernels": dict(sorted(found.items()))}, bad


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="parts of the kernels' names; all kernels by default")
    parser.add_argument("--json", metavar="FILE", help="also write the figures")
    args = parser.parse_args()
    print(f"{'kernel':60} {'':7} registers  shared  stack  spills  instructions")
    figures, bad = measured(args.names, print)
    print(*bad, sep="\n")
    print(f"NVRTC {figures['nvrtc']}: {sum(map(len, figures['kernels'].values()))} kernels, {len(bad)} faults")
    if args.json:
        Path(args.json).write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
