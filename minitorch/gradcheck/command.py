"""The arguments of `python -m minitorch.gradcheck`: what to check, where, and with which numbers.

    python -m minitorch.gradcheck mine:softplus --shape 3x4
    python -m minitorch.gradcheck mine:dense --shape 8x4 --shape 4x2 --dtype float32 --second
    python -m minitorch.gradcheck mine:lookup --integers 6:10 --shape 10x3            # indices 0 to 9
    python -m minitorch.gradcheck minitorch.nn:Linear --module "4, 3" --shape 8x4     # its parameters are checked too
    python -m minitorch.gradcheck mine:softplus --vjp mine:softplus_vjp --shape 5     # two functions of NumPy arrays
"""
import argparse
import ast
import difflib
import importlib
import os
import sys
import traceback

import numpy as np

from .. import cases, dtypes
from ..nn.module import Module

DOMAINS = {c.__name__: c for c in (cases.normal, cases.positive, cases.above_one, cases.unit, cases.probability, cases.distinct, cases.definite)}
FLOATS = [d.name for d in dtypes.BY_NAME.values() if d.is_floating_point]
HIGH = 5                                             # integers are drawn below it


class Mistake(Exception):
    """What is wrong with the arguments, in the user's words."""


class Input(argparse.Action):
    """--shape and --integers in the order in which they were given: a list of (option, text)."""

    def __call__(self, parser, namespace, text, option=None):
        namespace.inputs = [*(namespace.inputs or []), (option, text)]


def parser():
    """The parser of the command line."""
    p = argparse.ArgumentParser(prog="python -m minitorch.gradcheck", description="Check the derivative of a function of yours.",
                                epilog="Exit status: 0 when every gradient is correct, 1 when not, 2 for arguments that make no sense.",
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("target", metavar="MODULE:NAME", help="a function of tensors, an nn.Module (class or instance) or an autograd.Function")
    p.add_argument("--shape", dest="inputs", action=Input, metavar="SHAPE[:DOMAIN]",
                   help=f"the shape of the next input, such as 3x4 or 5, or `scalar`; domain: {', '.join(DOMAINS)}")
    p.add_argument("--integers", dest="inputs", action=Input, metavar="SHAPE[:HIGH]",
                   help=f"the next input holds indices from 0 up to, not including, HIGH ({HIGH} if not given)")
    p.add_argument("--dtype", default="float64", help=f"of floating-point inputs: {', '.join(FLOATS)} (default: float64)")
    p.add_argument("--domain", default="normal", help="which numbers to draw where the shape does not say (default: normal)")
    p.add_argument("--low", type=float, help="draw evenly from here ...")
    p.add_argument("--high", type=float, help="... up to here, in place of a domain")
    p.add_argument("--seed", type=int, default=0, help="of inputs, parameters and directions (default: 0)")
    p.add_argument("--module", metavar="ARGUMENTS", help='arguments of the nn.Module class, such as "4, 3, bias=False"')
    p.add_argument("--vjp", metavar="MODULE:NAME", help="the derivative to check: vjp(g, *inputs) on NumPy arrays, as the target")
    p.add_argument("--second", action="store_true", help="check the derivative of the gradient")
    p.add_argument("--forward", action="store_true", help="check forward mode")
    p.add_argument("--json", action="store_true", help="print the report as JSON")
    p.add_argument("--plot", metavar="FILE", help="save a plot of error against step (needs matplotlib)")
    return p


# ---- what to check --------------------------------------------------------------------------------------------------

def named(text):
    """The object that `module:name` means."""
    module, colon, name = text.partition(":")
    if not colon or not module or not name:
        raise Mistake(f"{text!r} is not of the form MODULE:NAME, such as mine:softplus for the function softplus of mine.py")
    if os.getcwd() not in sys.path and "" not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is not None and (module == error.name or module.startswith(error.name + ".")):
            raise Mistake(f"no module named {module!r}: it is looked for in the current folder, {os.getcwd()}, and among what is "
                          "installed") from error
        raise Mistake(f"the module {module} cannot be imported: {described(error)}") from error
    except Exception as error:
        raise Mistake(f"the module {module} cannot be imported: {described(error)}") from error
    for part in name.split("."):
        if not hasattr(found, part):
            near = difflib.get_close_matches(part, [n for n in dir(found) if not n.startswith("__")], 3)
            raise Mistake(f"{module} has no function {name!r}" + (f": did you mean {' or '.join(near)}?" if near else ""))
        found = getattr(found, part)
    return found


def described(error):
    """`file:line: Class: message`, where the line is the user's innermost one, if any."""
    ours = [os.path.dirname(os.path.dirname(os.path.abspath(__file__))), os.path.dirname(importlib.__file__), "<frozen"]
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith(tuple(ours))]
    place = f"{os.path.relpath(frames[-1].filename)}:{frames[-1].lineno}: " if frames else ""
    return f"{place}{type(error).__name__}: {error}"


def made(target, arguments, text):
    """The target, or the nn.Module that it constructs."""
    if arguments is None:
        if not (isinstance(target, type) and issubclass(target, Module)):
            return target
        arguments = ""
    if not (isinstance(target, type) and issubclass(target, Module)):
        raise Mistake(f"--module gives arguments to an nn.Module class, which {text} is not")
    try:
        call = ast.parse(f"f({arguments})", mode="eval").body
        args, kwargs = [ast.literal_eval(a) for a in call.args], {k.arg: ast.literal_eval(k.value) for k in call.keywords}
    except (SyntaxError, ValueError, AttributeError) as error:
        raise Mistake(f"--module {arguments!r} is not a list of arguments, such as \"4, 3, bias=False\"") from error
    try:
        return target(*args, **kwargs)
    except Exception as error:
        raise Mistake(f"{text.partition(':')[2]}({arguments}) cannot be made: {described(error)}") from error


# ---- with which numbers -----------------------------------------------------------------------------------------------

def shape_of(text, option):
    """(3, 4) for "3x4"; () for "scalar"."""
    if text in ("scalar", "()"):
        return ()
    try:
        shape = tuple([int(n) for n in text.replace(",", "x").split("x")])
    except ValueError:
        shape = (-1,)
    if min(shape) < 0:
        raise Mistake(f"{option} {text!r} is not a shape: write 3x4 for 3 rows of 4, 5 for a vector, scalar for a single number")
    return shape


def dtype_of(name):
    """NumPy's dtype called `name`."""
    if name not in FLOATS:
        near = difflib.get_close_matches(name, FLOATS, 1)
        raise Mistake(f"--dtype {name!r} is none of {', '.join(FLOATS)}" + (f": did you mean {near[0]}?" if near else ""))
    try:
        return dtypes.BY_NAME[name].numpy
    except ImportError as error:
        raise Mistake(str(error)) from error


def arrays(options):
    """The inputs that the options describe, as NumPy arrays."""
    if not options.inputs:
        raise Mistake("there is nothing to call it with: give --shape (or --integers) once for each input")
    given = options.low is not None or options.high is not None
    low, high = (-1.0 if options.low is None else options.low), (1.0 if options.high is None else options.high)
    if given and not low < high:
        raise Mistake(f"--low {low:g} must be below --high {high:g}")
    if options.seed < 0:
        raise Mistake(f"--seed {options.seed} must not be negative")
    if options.seed >= 2**64:
        raise Mistake(f"--seed {options.seed} must be below 2 ** 64")
    dtype, rng = dtype_of(options.dtype), np.random.default_rng(options.seed)
    try:
        return [drawn(option, text, options.domain, dtype, rng, (low, high) if given else None) for option, text in options.inputs]
    except (MemoryError, ValueError) as error:       # NumPy's, of a size that it cannot have
        raise Mistake(f"inputs of these shapes cannot be made: {error}") from error


def drawn(option, text, domain, dtype, rng, limits):
    """One input."""
    size, colon, kind = text.partition(":")
    shape = shape_of(size, option)
    if option == "--integers":
        if colon and not kind.isdigit() or kind == "0":
            raise Mistake(f"--integers {text!r}: after the colon stands the number that they stay below, such as 6:10")
        return rng.integers(0, int(kind or HIGH), shape)
    kind = kind or domain
    if kind not in DOMAINS:
        raise Mistake(f"{f'--shape {text!r}' if colon else '--domain'}: {kind!r} is none of {', '.join(DOMAINS)}")
    if limits is not None and not colon:
        return np.asarray(rng.uniform(*limits, size=shape)).astype(dtype)
    if kind == "definite" and (len(shape) < 2 or shape[-1] != shape[-2]):
        raise Mistake(f"--shape {text!r}: definite matrices are square")
    return DOMAINS[kind](*shape).draw(rng).astype(dtype)
