"""The arguments of `python -m minitorch.benchmark`: who is measured, beside what, on which inputs.

    python -m minitorch.benchmark mine.py:blocked --reference numpy.matmul --shape 64x96 --shape 96x48
    python -m minitorch.benchmark mine.py:blocked mine.py:tiled --reference numpy.matmul --shape MxK --shape KxN --sizes M=64,K=100,N=30
    python -m minitorch.benchmark axpy.cu --reference mine.py:axpy --shape n --shape n --sizes n=1000 --grid "(n + 255) // 256" --block 256
    python -m minitorch.benchmark kernels/matmul.cu --reference numpy.matmul --shape 64x64 --shape 64x64
"""
import argparse
import importlib
import importlib.util
import os
import sys
import tempfile
from pathlib import Path

from .. import cases
from ..gradcheck.command import Mistake, described, named
from .case import DOMAINS, Case, numpy_dtype
from .providers import Provider, evaluate

HIGH = 5                                             # integers are drawn below it


class Item(argparse.Action):
    """--shape, --integers and --number in the order in which they were given."""

    def __call__(self, parser, namespace, text, option=None):
        namespace.inputs = [*(namespace.inputs or []), (option, text)]


def parser():
    """The parser of the command line."""
    p = argparse.ArgumentParser(prog="python -m minitorch.benchmark",
                                description="Measure kernels that are right: beside a reference, in every call.",
                                epilog="Exit status: 0: nobody is refused; 1: somebody is; 2: the arguments make no sense. "
                                       "Also: --compare BEFORE.json AFTER.json, --bound TARGET --shape 64x64 --device H100, --page PAGE.html "
                                       "RESULTS.json; each has its --help.")
    p.add_argument("targets", nargs="+", metavar="TARGET", help="numpy.matmul, module:function, file.py:function, or a CUDA source file.cu[:kernel]")
    p.add_argument("--reference", required=True, metavar="TARGET", help="a function of NumPy arrays, which it gets in float64; also the baseline")
    p.add_argument("--baseline", metavar="NAME", help="the target that ratios are relative to, instead of the reference")
    p.add_argument("--shape", dest="inputs", action=Item, metavar="SHAPE[:DOMAIN]",
                   help=f"the next input, such as 3x4 or MxK; domain: {', '.join(DOMAINS)}")
    p.add_argument("--integers", dest="inputs", action=Item, metavar="SHAPE[:HIGH]",
                   help=f"the next input holds integers from 0 to below HIGH ({HIGH})")
    p.add_argument("--number", dest="inputs", action=Item, metavar="X", help="the next input is this number")
    p.add_argument("--sizes", action="append", metavar="M=64,K=32", help="what the names in shapes stand for; once for each case")
    p.add_argument("--dtype", default="float32", help="of the inputs (default: float32)")
    p.add_argument("--precision", choices=("tf32", "float16", "bfloat16", "float32"),
                   help="what the targets compute in, if narrower: tf32, float16, bfloat16")
    p.add_argument("--library", choices=("numpy", "torch", "minitorch", "cupy"),
                   help="whose arrays the targets take, where their module does not tell")
    p.add_argument("--writes", action="store_true", help="the targets are given their outputs after their inputs, and fill them")
    p.add_argument("--grid", help='of a CUDA source: an expression of sizes and arrays, such as "(n + 255) // 256"')
    p.add_argument("--block", help="threads of a block, the same way")
    p.add_argument("--args", help="the kernel's arguments in its order; by role and name if not given")
    p.add_argument("--shared-mem", default="0", help="bytes of dynamic shared memory")
    p.add_argument("--define", action="append", default=[], metavar="NAME=VALUE", help="a macro of the CUDA source")
    p.add_argument("--flops", help="floating-point operations of a call, such as 2*M*N*K")
    p.add_argument("--bytes", help="bytes moved in a call; those of all inputs and outputs if not given")
    p.add_argument("--ulps", type=float, help="the largest error allowed, in ulp")
    p.add_argument("--seconds", type=float, default=1.5, help="for the rounds of each case (default: 1.5)")
    p.add_argument("--cache", choices=("warm", "cold"), default="warm", help="whether caches are emptied before each sample (default: warm)")
    p.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where the inputs are (default: cpu, CUDA sources in the simulator)")
    p.add_argument("--no-variations", action="store_true", help="leave out other sizes, strides and numbers")
    p.add_argument("--seed", type=int, help="to repeat a run")
    p.add_argument("--json", action="store_true", help="print the result as JSON")
    p.add_argument("--save", metavar="FILE", help="write the result to a file, as JSON")
    return p


# ---- what is measured --------------------------------------------------------------------------------------------------

def function(text):
    """The function that a target names: module.name, module:name or file.py:name."""
    path, colon, name = text.rpartition(":")
    if colon and path.endswith(".py"):
        return getattr(loaded(path), name) if hasattr(loaded(path), name) else mistake(f"{path} has no function {name!r}")
    if colon:
        return named(text)
    if text.endswith(".py"):
        raise Mistake(f"{text}: which function of it? Write {text}:NAME")
    module, dot, name = text.rpartition(".")
    if not dot:
        raise Mistake(f"{text!r} is no function: write numpy.matmul, module:function, file.py:function or file.cu")
    while module:
        if found_module(module):
            return named(f"{module}:{text[len(module) + 1:]}")
        module = module.rpartition(".")[0]
    raise Mistake(f"no module named {text.partition('.')[0]!r}: it is looked for in the current folder, {os.getcwd()}, and among what is installed")


def writable(option, path):
    """Mistake unless a file can be written there."""
    folder = os.path.dirname(os.path.realpath(path))
    if os.path.isdir(path):
        raise Mistake(f"{option} {path}: that is a folder; give the name of a file")
    if not os.path.isdir(folder):
        raise Mistake(f"{option} {path}: there is no folder {folder}")
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise Mistake(f"{option} {path}: nothing can be written to {folder}: {error.strerror}") from error


def mistake(words):
    raise Mistake(words)


def found_module(name):
    if os.getcwd() not in sys.path and "" not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


_files = {}


def loaded(path):
    """The module of a Python file, read once."""
    full = Path(path).absolute()
    if full not in _files:
        if not full.is_file():
            raise Mistake(f"there is no file {path}")
        spec = importlib.util.spec_from_file_location(full.stem, full)
        module = importlib.util.module_from_spec(spec)
        sys.modules.setdefault(full.stem, module)
        sys.path.insert(0, str(full.parent))
        try:
            spec.loader.exec_module(module)
        except Exception as error:
            raise Mistake(f"{path} cannot be read: {described(error)}") from error
        _files[full] = module
    return _files[full]


def provider(text, options):
    """The Provider of a target."""
    path, colon, kernel = text.partition(".cu")
    if (colon and not kernel) or kernel.startswith(":"):
        return cuda(f"{path}.cu", kernel[1:] or None, options)
    f = function(text)
    if not callable(f):
        raise Mistake(f"{text} is no function")
    return Provider(f, name=text.rpartition(":")[2], writes=options.writes, library=options.library, precision=options.precision)


def cuda(path, kernel, options):
    """A kernel of a CUDA source: by --grid and --block, or, of the library's own sources, the function that launches it."""
    from .. import kernels
    from ..kernels.kernel import FOLDER, read
    try:
        full, _ = read(path)
    except FileNotFoundError as error:
        raise Mistake(str(error)) from None
    if options.grid is None and full.parent == FOLDER and hasattr(kernels, full.stem):
        f, version = getattr(kernels, full.stem), kernel and kernel.removeprefix(f"{full.stem}_")
        return Provider((lambda *a, **kw: f(*a, version=version, **kw)) if version else f, name=kernel or full.stem, precision=options.precision)
    if options.grid is None or options.block is None:
        raise Mistake(f"how is {path} launched? Give --grid and --block, such as --grid \"(n + 255) // 256\" --block 256")
    define = dict(d.split("=", 1) if "=" in d else (d, "1") for d in options.define)
    return Provider.cuda(full or path, kernel, grid=options.grid, block=options.block, args=options.args, shared_mem=options.shared_mem,
                         define=define, precision=options.precision)


# ---- on which inputs ------------------------------------------------------------------------------------------------------

def all_cases(options):
    """The cases that the options describe."""
    if not options.inputs:
        raise Mistake("there is nothing to call it with: give --shape once for each input")
    dtype = dtype_of(options.dtype)
    return [one_case(options, dtype, sizes_of(text)) for text in options.sizes or [""]]


def dtype_of(name):
    try:
        return numpy_dtype(name)
    except (TypeError, ImportError) as error:
        raise Mistake(f"--dtype {name}: {error}") from error


def case_of(*items, **how):
    """A Case; Mistake where its dtype, or its work, is none of a case."""
    try:
        return Case(*items, **how)
    except (TypeError, ValueError) as error:
        raise Mistake(str(error)) from error


def sizes_of(text):
    """{"M": 64} of "M=64"."""
    try:
        return {name.strip(): int(value) for name, value in (pair.split("=") for pair in text.split(",") if pair.strip())}
    except ValueError:
        raise Mistake(f"--sizes {text!r}: write M=64,K=32") from None


def one_case(options, dtype, sizes):
    def work(text, sizes):
        try:
            return None if text is None else float(evaluate(text, sizes))
        except ValueError as error:
            raise Mistake(str(error)) from None
    if not sizes:
        inputs = [item(option, text, {}) for option, text in options.inputs]
        return case_of(*inputs, dtype=dtype, flops=work(options.flops, {}), bytes=work(options.bytes, {}))
    case_of(dtype=dtype, flops=work(options.flops, sizes), bytes=work(options.bytes, sizes))
    return Case.of(lambda **s: tuple(item(option, text, s) for option, text in options.inputs), dtype=dtype,
                   flops=lambda **s: work(options.flops, s), bytes=lambda **s: work(options.bytes, s), **sizes)


def item(option, text, sizes):
    """One input."""
    if option == "--number":
        try:
            return int(text) if text.lstrip("-").isdigit() else float(text)
        except ValueError:
            raise Mistake(f"--number {text!r} is no number") from None
    size, colon, kind = text.partition(":")
    shape = tuple(axis(n, sizes, f"{option} {text}") for n in size.replace(",", "x").split("x")) if size not in ("scalar", "()") else ()
    if option == "--integers":
        if colon and not kind.isdigit() and kind not in sizes:
            raise Mistake(f"--integers {text!r}: after the colon stands the number that they stay below, such as 6:10")
        high = sizes[kind] if kind in sizes else int(kind or HIGH)
        if high < 1:
            raise Mistake(f"--integers {text!r}: no integer from 0 on is below {high}")
        return cases.integers(*shape, high=high)
    if kind and kind not in DOMAINS:
        raise Mistake(f"--shape {text!r}: {kind!r} is none of {', '.join(DOMAINS)}")
    return DOMAINS[kind or "normal"](*shape)


def axis(text, sizes, where):
    if text.isdigit():
        return int(text)
    if text in sizes:
        return sizes[text]
    raise Mistake(f"{where}: {text!r} is no size" + (f"; known are {', '.join(sizes)}" if sizes else ": write 3x4, or give it with --sizes"))
