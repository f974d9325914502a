"""Number types of results, as in PyTorch: ten dtypes x (tensor, tensor without axes, Python number) x operators, and in place.

Every operator of two operands runs on every pair of kinds of operands; both libraries must give the same dtype and the
same numbers, or both refuse with the same class of error.
"""
import operator
import warnings

import numpy as np
import pytest

import minitorch
from minitorch.backend import to_numpy

torch = pytest.importorskip("torch")

DTYPES = ("bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64")
NUMBERS = (True, 2, -3, 2.5, 300)

# name -> the function of two operands, given the library
FUNCTIONS = {
    "+": lambda lib, a, b: a + b, "-": lambda lib, a, b: a - b, "*": lambda lib, a, b: a * b, "/": lambda lib, a, b: a / b,
    "//": lambda lib, a, b: a // b, "%": lambda lib, a, b: a % b, "**": lambda lib, a, b: a ** b,
    "==": lambda lib, a, b: a == b, "!=": lambda lib, a, b: a != b, "<": lambda lib, a, b: a < b, "<=": lambda lib, a, b: a <= b,
    ">": lambda lib, a, b: a > b, ">=": lambda lib, a, b: a >= b,
    "&": lambda lib, a, b: a & b, "|": lambda lib, a, b: a | b, "^": lambda lib, a, b: a ^ b, "<<": lambda lib, a, b: a << b,
    ">>": lambda lib, a, b: a >> b,
    "add with alpha": lambda lib, a, b: lib.add(a, b, alpha=2), "sub with alpha": lambda lib, a, b: lib.sub(a, b, alpha=2),
    "rsub": lambda lib, a, b: lib.rsub(a, b), "div, trunc": lambda lib, a, b: lib.div(a, b, rounding_mode="trunc"),
    "div, floor": lambda lib, a, b: lib.div(a, b, rounding_mode="floor"), "fmod": lambda lib, a, b: lib.fmod(a, b),
    "float_power": lambda lib, a, b: lib.float_power(a, b), "xlogy": lambda lib, a, b: lib.xlogy(a, b),
    "copysign": lambda lib, a, b: lib.copysign(a, b), "where": lambda lib, a, b: lib.where(lib.tensor([True, False, True]), a, b),
    "clamp": lambda lib, a, b: lib.clamp(a, min=b), "maximum": lambda lib, a, b: lib.maximum(a, b),
    "fmin": lambda lib, a, b: lib.fmin(a, b), "atan2": lambda lib, a, b: lib.atan2(a, b), "hypot": lambda lib, a, b: lib.hypot(a, b),
    "logaddexp": lambda lib, a, b: lib.logaddexp(a, b),
    "logical_and": lambda lib, a, b: lib.logical_and(a, b), "lerp": lambda lib, a, b: lib.lerp(a, b, 0.25),
    "addcmul": lambda lib, a, b: lib.addcmul(a, a, b), "addcdiv": lambda lib, a, b: lib.addcdiv(a, a, b),
    "isclose": lambda lib, a, b: lib.isclose(a, b), "heaviside": lambda lib, a, b: lib.heaviside(a, b),
}
IN_PLACE = {"+=": operator.iadd, "-=": operator.isub, "*=": operator.imul, "/=": operator.itruediv, "//=": operator.ifloordiv,
            "%=": operator.imod, "**=": operator.ipow, "&=": operator.iand, "|=": operator.ior, "^=": operator.ixor,
            "<<=": operator.ilshift, ">>=": operator.irshift,
            "eq_": lambda a, b: a.eq_(b), "clamp_": lambda a, b: a.clamp_(max=b), "copy_": lambda a, b: a.copy_(b)}


def operand(lib, dtype, axes, seed):
    """A tensor of `dtype` with one axis or none, the same in both libraries."""
    numbers = [[1, 2, 3], [3, 1, 2], [2, 4, 1]][seed]
    numbers = [n % 2 for n in numbers] if dtype == "bool" else [n + 0.5 for n in numbers] if "float" in dtype else numbers
    return lib.tensor(numbers if axes else numbers[0], dtype=getattr(lib, dtype))


def attempt(lib, f, *operands):
    """(dtype name, numbers) of a call, or the error."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            y = f(*[operand(lib, *x) if isinstance(x, tuple) else x for x in operands])
    except (RuntimeError, TypeError, ValueError, OverflowError) as error:
        return error
    if lib is torch:
        return str(y.dtype).removeprefix("torch."), (y.double() if y.is_floating_point() else y).numpy()
    array = to_numpy(y.array)
    return y.dtype.name, array.astype("f8") if y.dtype.is_floating_point else array


def lacks_kernel(error):
    """Whether PyTorch refuses for want of a kernel only, or for a number that its kernel cannot take."""
    return isinstance(error, NotImplementedError)


def disagreement(f, *operands, tolerance):
    """What differs between the libraries, None where nothing does."""
    ours = attempt(minitorch, lambda *xs: f(minitorch, *xs), *operands)
    theirs = attempt(torch, lambda *xs: f(torch, *xs), *operands)
    if isinstance(theirs, Exception):
        if lacks_kernel(theirs) or isinstance(ours, Exception) and isinstance(ours, (type(theirs), NotImplementedError)):
            return None
        return f"{operands}: PyTorch raises {theirs!r}, ours {ours!r}"
    if isinstance(ours, Exception) or ours[0] != theirs[0] or ours[1].shape != theirs[1].shape:
        return f"{operands}: PyTorch gives {theirs}, ours {ours!r}"
    if not np.allclose(ours[1], theirs[1], rtol=tolerance, atol=tolerance, equal_nan=True):
        return f"{operands}: PyTorch gives {theirs}, ours {ours!r}"
    return None


def tolerance(*dtypes):
    return 1e-2 if "bfloat16" in dtypes else 1e-3 if "float16" in dtypes else 1e-6


@pytest.mark.parametrize("name", FUNCTIONS)
def test_operands_of_any_two_kinds(name):
    f, found = FUNCTIONS[name], []
    for a in DTYPES:
        for b in DTYPES:
            for axes in ((1, 1), (1, 0), (0, 1), (0, 0)):
                found.append(disagreement(f, (a, axes[0], 0), (b, axes[1], 1), tolerance=tolerance(a, b)))
        for number in NUMBERS:
            for axes in (1, 0):
                found.append(disagreement(f, (a, axes, 0), number, tolerance=tolerance(a)))
                if name != "clamp":                          # its first argument is a tensor
                    found.append(disagreement(f, number, (a, axes, 0), tolerance=tolerance(a)))
    found = [d for d in found if d]
    assert not found, "\n".join([f"{len(found)} differ", *found[:20]])


@pytest.mark.parametrize("name", IN_PLACE)
def test_in_place_keeps_the_dtype_or_refuses(name):
    f, found = IN_PLACE[name], []
    for a in DTYPES:
        for b in DTYPES:
            for axes in ((1, 1), (1, 0), (0, 0), (0, 1)):
                found.append(disagreement(lambda lib, x, y: f(x, y), (a, axes[0], 0), (b, axes[1], 1), tolerance=tolerance(a, b)))
        for number in NUMBERS:
            for axes in (1, 0):
                found.append(disagreement(lambda lib, x, y: f(x, y), (a, axes, 0), number, tolerance=tolerance(a)))
    found = [d for d in found if d]
    assert not found, "\n".join([f"{len(found)} differ", *found[:20]])


@pytest.mark.parametrize("default", ["float64", "float32"])
def test_integers_become_the_default_float(default):
    before = minitorch.get_default_dtype()
    try:
        for lib in (minitorch, torch):
            lib.set_default_dtype(getattr(lib, default))
        for f in (lambda lib, x: lib.sin(x), lambda lib, x: x / 2, lambda lib, x: x * 0.5, lambda lib, x: lib.where(x > 1, x, 0.5),
                  lambda lib, x: x ** 0.5, lambda lib, x: lib.sigmoid(x), lambda lib, x: lib.clamp(x, 1.5)):
            assert disagreement(f, ("int32", 1, 0), tolerance=1e-6) is None
    finally:
        minitorch.set_default_dtype(before)
        torch.set_default_dtype(torch.float32)
