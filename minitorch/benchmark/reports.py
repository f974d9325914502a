"""What `python -m minitorch.benchmark` does besides measuring: files compared, bounds from the simulator, pages.

    python -m minitorch.benchmark --compare before.json after.json
    python -m minitorch.benchmark --bound kernels/matmul.cu --shape 64x64 --shape 64x64 --device H100 --page matmul.html
    python -m minitorch.benchmark --page found.html found.json
"""
import argparse
import json
import sys

import numpy as np

from ..gradcheck.command import Mistake
from .case import Case
from .command import Item, all_cases, dtype_of, item, provider, sizes_of, writable
from .exam import described
from .results import load

MODES = ("--compare", "--bound", "--page")


def mode_of(args):
    """Which of MODES a command line is: its first argument; None: it measures."""
    return args[0] if args and args[0] in MODES else None


def run(mode, args):
    """The exit status of a report; Mistake where the arguments make no sense."""
    return {"--compare": compared, "--bound": bounded, "--page": paged}[mode](args)


def parser(mode, description):
    return argparse.ArgumentParser(prog=f"python -m minitorch.benchmark {mode}", description=description)


def loaded(path):
    try:
        return load(path)
    except OSError as error:
        raise Mistake(f"{path}: {error.strerror or error}") from error
    except ValueError as error:
        raise Mistake(str(error) if str(error).startswith(path) else f"{path}: {error}") from error


def written(path, title, **what):
    """A page; Mistake where it cannot be drawn or written."""
    from .page import save_page
    try:
        save_page(path, title, **what)
    except (OSError, ImportError) as error:
        raise Mistake(f"--page {path}: {error}") from error
    print(f"written: {path}", file=sys.stderr)


# ---- --compare, --page ------------------------------------------------------------------------------------------------

def compared(args):
    """Exit status 1 where something became slower, or is refused now."""
    from .compare_files import Different, between
    p = parser("--compare", "Two files of results beside each other: faster, slower, or no difference within the intervals.")
    p.add_argument("before")
    p.add_argument("after")
    p.add_argument("--across", action="store_true", help="compare even if they were measured on other devices or with other caches")
    options = p.parse_args(args)
    try:
        found = between(loaded(options.before), loaded(options.after), options.across)
    except Different as error:
        raise Mistake(str(error)) from error
    print(found)
    return 1 if found.slower else 0


def paged(args):
    p = parser("--page", "One HTML page of some files of results.")
    p.add_argument("page", metavar="PAGE.html")
    p.add_argument("results", nargs="+", metavar="RESULTS.json")
    p.add_argument("--title", default="Benchmark")
    options = p.parse_args(args)
    writable("--page", options.page)
    written(options.page, options.title, comparisons=[loaded(path) for path in options.results])
    return 0


# ---- --bound -----------------------------------------------------------------------------------------------------------

def bounded(args):
    """Exit status 0; 1 where a kernel cannot run on the device, or the simulator finds a mistake."""
    from .devices import DEVICES
    p = parser("--bound", "Counts of a kernel in the simulator, and the least time of its launches on a GPU. No GPU is needed.")
    p.add_argument("targets", nargs="+", metavar="TARGET", help="file.cu[:kernel] or a function that launches kernels; of one of the library's files "
                   "alone: each of its versions")
    p.add_argument("--device", default="H100", help=f"default: H100; there are {', '.join(DEVICES)}; here: the GPU in this machine")
    p.add_argument("--shape", dest="inputs", action=Item, metavar="SHAPE[:DOMAIN]", help="the next input, such as 3x4; keep it small")
    p.add_argument("--integers", dest="inputs", action=Item, metavar="SHAPE[:HIGH]", help="the next input holds integers")
    p.add_argument("--number", dest="inputs", action=Item, metavar="X", help="the next input is this number")
    p.add_argument("--output", action="append", default=[], metavar="SHAPE", help="of a file.cu launched by --grid: the next array that it writes")
    p.add_argument("--sizes", action="append", metavar="M=64,K=32", help="what the names in shapes stand for")
    p.add_argument("--scale", metavar="M=4096,K=4096", help="counts for these sizes, if those of --sizes, doubled and tripled follow one law")
    p.add_argument("--dtype", default="float32")
    p.add_argument("--grid")
    p.add_argument("--block")
    p.add_argument("--args")
    p.add_argument("--shared-mem", default="0")
    p.add_argument("--define", action="append", default=[], metavar="NAME=VALUE")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--json", action="store_true", help="print the counts and bounds as JSON")
    p.add_argument("--page", metavar="PAGE.html", help="write a page with the sources and a roofline")
    options = p.parse_args(args)
    if options.page:
        writable("--page", options.page)
    options.writes = options.library = options.precision = options.flops = options.bytes = None
    bounds, lost = all_bounds(options)
    for line in lost:
        print(line, file=sys.stderr)
    if not bounds:
        return 1
    if options.json:
        print(json.dumps([b.as_dict() for b in bounds], indent=1))
    else:
        from .bound import table
        print(table(bounds))
    if options.page:
        from .page import sources_of
        kernels = {b.counts.kernel.label: b.counts.kernel for b in bounds}
        written(options.page, f"{', '.join(options.targets)} on {bounds[0].device.name}", bounds=bounds, sources=sources_of(kernels.values()))
    return 1 if lost else 0


def all_bounds(options):
    """([Bound], [what has none, and why]) of all targets on all cases."""
    from .bound import bound
    device, found, lost = device_of(options.device), [], []
    for text in versions(options.targets):
        target = provider(text, options)
        for case in all_cases(options):
            try:
                found += [bound(c, device) for c in counted(target, case, options)]
            except Mistake:
                raise
            except Exception as error:               # the simulator's findings, and what this kernel does not take
                lost.append(f"{text} on {case.name}: {described(error)}")
    return found, lost


def device_of(name):
    from . import devices
    try:
        return devices.found() if name == "here" else devices.named(name)
    except (ValueError, RuntimeError) as error:
        raise Mistake(f"--device {name}: {error}") from error


def versions(targets):
    """The targets, with a file of steps, such as the library's matmul.cu, as each of its steps."""
    from ..kernels import ladder, signature
    from ..kernels.kernel import FOLDER, read
    steps = {f"matmul_{name}" for name, *_ in ladder()}
    for text in targets:
        names = []
        if text.endswith(".cu"):
            try:
                full, source = read(text)
            except FileNotFoundError as error:
                raise Mistake(str(error)) from None
            names = [name for name in signature.parse(source) if name in steps and full.parent == FOLDER]
        yield from ([f"{text}:{name}" for name in names] if len(names) > 1 else [text])


def counted(target, case, options):
    """[Counts] of the launches of a target on a case, or at the sizes of --scale."""
    from .counts import scaled
    if not options.scale:
        return launches_of(target, case, options)
    sizes = sizes_of(options.scale)
    if unknown := set(sizes) - set(case.sizes):
        raise Mistake(f"--scale {options.scale}: {', '.join(sorted(unknown))} is none of --sizes: {', '.join(case.sizes) or 'not given'}")
    units = {name: case.sizes[name] for name in sizes if sizes[name] != case.sizes[name]}
    return scaled(lambda **s: launches_of(target, Case.of(case.make, dtype=case.dtype, **{**case.sizes, **s}), options), units, sizes)


def launches_of(target, case, options):
    """[Counts] of the launches of a call on one draw of a case."""
    from .counts import counts, launched
    arrays = case.draw(np.random.default_rng(options.seed))
    if target.kernel is None:
        return launched(target.f, *arrays, **case.params)
    outputs = [np.zeros(item("--output", text, case.sizes).shape, dtype_of(options.dtype)) for text in options.output]
    target.f.of_case(case)
    return [counts(target.kernel, *target.f.prepared(*arrays, *outputs))]
