"""Powers and roots."""
import numpy as np

from .. import dtypes
from ..autograd.op import composed, op, written
from ..backend import is_array, xp
from ..cases import distinct, integers, normal, positive
from ..convert import refuse_overflow
from ..tensor import Tensor
from .choose import only, zero
from .dtype import cast
from .exponential import natural_log


@op(numbers="half", inplace=True)
def square(input, /):
    """x^2; booleans give int64."""
    return input * input if input.dtype.kind != "b" else input.astype(dtypes.I64)

square.vjp(lambda g, input: g * (input * 2))
square.case(normal(3, 4))
square.case(normal())
square.case(integers(3, low=-4))


@op(numbers="float", inplace=True)
def sqrt(input, /):
    """Square root; NaN below zero."""
    return xp(input).sqrt(input)

sqrt.vjp(lambda g, y: g / (y * 2))
sqrt.slope("sqrt")
sqrt.case(positive(3, 4))
sqrt.case(positive())
sqrt.case(positive(2, 0))


@op(numbers="float", inplace=True)
def rsqrt(input, /):
    """1 / sqrt(x)."""
    return 1 / xp(input).sqrt(input)

rsqrt.vjp(lambda g, y: g * (y * y * y) * -0.5)
rsqrt.slope("rsqrt")
rsqrt.case(positive(3, 4))
rsqrt.case(positive())
rsqrt.case(positive(2, 0))


@op(numbers="float", inplace=True)
def reciprocal(input, /):
    """1 / x."""
    return 1 / input

reciprocal.vjp(lambda g, y: -g * (y * y))
reciprocal.slope("reciprocal")
reciprocal.case(positive(3, 4))
reciprocal.case(positive())
reciprocal.case(positive(2, 0))


@op(numbers="promote", inplace=True, scalars=False)
def hypot(input, other, /):
    """sqrt(input^2 + other^2), without overflow on the way."""
    if not dtypes.is_float(input.dtype):
        raise NotImplementedError(f"\"hypot_cpu\" not implemented for '{input.dtype}'")
    return xp(input).hypot(input, other)

hypot.vjp(lambda g, input, y: g * (input / y),
          lambda g, other, y: g * (other / y))
hypot.case(normal(3, 4), normal(3, 4))
hypot.case(normal(2, 1, 4), positive(3, 1))
hypot.case(normal(), positive(2))


# ---- any power ------------------------------------------------------------------------------------------------

def check_power(input, other):
    if is_array(input) and is_array(other) and input.dtype.kind == other.dtype.kind == "b":
        raise NotImplementedError("\"pow\" not implemented for 'Bool'")
    if type(other) is int and other < 0 and input.dtype.kind in "biu":
        raise RuntimeError("Integers to negative integer powers are not allowed.")
    if type(other) is int and input.dtype.kind in "iu":
        refuse_overflow(other, input.dtype)


WHOLE = {2: lambda x: x * x, 3: lambda x: x * x * x, 4: lambda x: (x * x) ** 2}
BROKEN = {0.5: lambda x: xp(x).sqrt(x), -0.5: lambda x: 1 / xp(x).sqrt(x), -1: lambda x: 1 / x, -2: lambda x: 1 / (x * x)}


@op(numbers="promote", home="", called="pow", check=check_power)
def power(input, other, /):
    """input ^ other, broadcasting.

    The usual numbers have their own ways: the general power takes many times longer, above all for negative bases.
    """
    dtype = (input if is_array(input) else other).dtype
    if dtype.kind != "b" and isinstance(other, (int, float)):
        if other in WHOLE:
            return WHOLE[other](input)
        if dtype.kind == "f" and other in BROKEN:
            return BROKEN[other](input)
    if dtype.kind == "i" and is_array(other):
        return whole_power(input, other)
    return input | ~other if dtype.kind == "b" else input ** other

power.vjp(lambda g, input, other: g * power_slope(input, other),
          lambda g, input, other, y: g * only(y * natural_log(input), ~((input == 0) & (other >= 0))))
power.case(positive(3, 4), normal(3, 4))
power.case(normal(3, 4), 2)
power.case(0.5, normal(3))


def whole_power(input, other):
    """Integers to integer powers; negative powers are rounded toward zero, as in PyTorch."""
    library = xp(other)
    y = input ** library.maximum(other, 0)
    return library.where(other < 0, (input == 1) + (input == -1) * (1 - 2 * (other & 1)), y).astype(other.dtype)


def power_slope(input, other):
    """d(input ^ other) / d(input); zero, not NaN, where the power is zero."""
    if isinstance(other, (int, float)):
        return zero(input) if other == 0 else input * 2 if other == 2 and is_array(input) else power(input, other - 1) * other
    return only(other * power(input, other - 1), other != 0)


@composed(inplace=True)
def pow(input, exponent, *, out=None):
    """input ^ exponent, broadcasting; either may be a number.

    RuntimeError for integers to a negative integer power.
    """
    if not isinstance(input, Tensor) and not isinstance(exponent, Tensor):
        raise TypeError(f"pow() needs a Tensor among its arguments, not ({type(input).__name__}, {type(exponent).__name__})")
    y = power(input, exponent)
    return y if out is None else written("pow", y, out, (input, exponent))

pow.case(positive(3, 4), normal(3, 4))
pow.case(positive(2, 1, 4), distinct(3, 1))
pow.case(normal(3, 4), 2)
pow.case(normal(3, 4), 3)
pow.case(distinct(3, 4), 4)
pow.case(distinct(3, 4), 5)
pow.case(distinct(3, 4), -2)
pow.case(positive(3, 4), 0.5)
pow.case(positive(3, 4), -1.5)
pow.case(normal(3, 4), 0)
pow.case(normal(3, 4), 1.0)
pow.case(2.5, normal(3, 4))
pow.case(integers(3, 4, low=-3, high=4), integers(3, 4))
pow.case(integers(3, 4, low=-3, high=4), integers(3, 4, low=-3, high=4))
pow.case(normal(3, 4), integers(4, low=1))


def number(x):
    if isinstance(x, str):
        raise TypeError("float_power(): arguments must be Tensors or numbers, not str")
    return x


@composed
def float_power(input, exponent):
    """input ^ exponent computed in float64."""
    if not isinstance(input, Tensor) and not isinstance(exponent, Tensor):
        raise TypeError("float_power() needs a Tensor among its arguments")
    return power(*[cast(x, dtypes.F64) if isinstance(x, Tensor) else float(number(x)) for x in (input, exponent)])

float_power.case(positive(3, 4), normal(3, 4))
float_power.case(integers(3, 4, low=1), 2)
float_power.case(3, normal(3, 4))


def float_power_(self, exponent):
    """In place: self ^ exponent, for float64 alone."""
    if self.array.dtype != np.float64:
        raise RuntimeError(f"the base given to float_power_ has dtype {self.dtype} but the operation's result requires dtype float64")
    return self.pow_(exponent)


Tensor.float_power_ = float_power_
