"""python -m minitorch.gradcheck module:function --shape 3x4: a verdict on the derivative of a function, from the command line."""
import contextlib
import dataclasses
import json
import math
import sys

from .. import random
from ..nn.module import Module
from ..tensor import wrap
from .check import check
from .command import Mistake, arrays, described, dtype_of, made, named, parser


def main(args=None):
    """Check what the arguments say and print the report; the exit status."""
    p = parser()
    options = p.parse_args(args)
    try:
        report = reported(options)
        if options.plot:
            plot(report, options.plot)
    except Mistake as mistake:
        print(f"{p.prog}: {mistake}", file=sys.stderr)
        return 2
    print(json.dumps(as_dict(report), indent=2) if options.json else report)
    return 0 if report.ok else 1


def reported(options):
    """The Report; Mistake where the arguments make no sense, or the function raises."""
    inputs = arrays(options)
    random.manual_seed(options.seed)
    with contextlib.redirect_stdout(sys.stderr):     # what the user's code prints must not mix with the report
        target = made(named(options.target), options.module, options.target)
        if isinstance(target, Module):
            target.to(dtype=dtype_name(options.dtype))
        f = (target, named(options.vjp)) if options.vjp else target
        try:
            report = check(f, tuple(inputs) if options.vjp else tuple(map(wrap, inputs)), order=2 if options.second else 1,
                         forward=options.forward, seed=options.seed, name=options.target.partition(":")[2])
        except Exception as error:
            shapes = ", ".join(f"{'x'.join(map(str, a.shape)) or 'scalar'} {a.dtype}" for a in inputs)
            raise Mistake(f"{options.target} cannot be checked with inputs {shapes}: {described(error)}") from error
    if not report.inputs:
        raise Mistake("there is nothing to differentiate: every input holds integers; give --shape for those with a gradient")
    return report


def dtype_name(name):
    """minitorch's dtype called `name`."""
    from ..dtypes import BY_NAME
    dtype_of(name)
    return BY_NAME[name]


def plot(report, path):
    try:
        report.plot(path)
    except (RuntimeError, ValueError, OSError) as error:
        raise Mistake(f"--plot {path}: {error}") from error


def as_dict(report):
    """A Report as JSON has it: NaN and infinity are null."""
    rows = [{f.name: plain(getattr(i, f.name)) for f in dataclasses.fields(i) if f.name not in ("trace", "evidence")} for i in report.inputs]
    whole = {f.name: plain(getattr(report, f.name)) for f in dataclasses.fields(report) if f.name != "inputs"}
    return {"ok": report.ok, "verdict": report.verdict, **whole, "inputs": rows}


def plain(x):
    if isinstance(x, list | tuple):
        return [plain(v) for v in x]
    x = x.item() if hasattr(x, "item") else x
    return None if isinstance(x, float) and not math.isfinite(x) else x


if __name__ == "__main__":
    sys.exit(main())
