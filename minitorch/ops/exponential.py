"""Exponentials and logarithms."""
import math

from .. import dtypes
from ..autograd.op import op
from ..backend import is_array, xp
from ..cases import integers, normal, positive, probability, unit
from .choose import choose, only, pick

LN2, LN10 = math.log(2), math.log(10)


@op(numbers="float", inplace=True)
def exp(input, /):
    """e^x."""
    return xp(input).exp(input)

exp.vjp(lambda g, y: g * y)
exp.case(normal(3, 4))
exp.case(normal())
exp.case(integers(3))


@op(numbers="float", inplace=True)
def exp2(input, /):
    """2^x."""
    return xp(input).exp2(input)

exp2.vjp(lambda g, y: g * (y * LN2))
exp2.case(normal(3, 4))
exp2.case(normal())
exp2.case(integers(3))


@op(numbers="float", inplace=True)
def expm1(input, /):
    """e^x - 1, exact also near zero."""
    return xp(input).expm1(input)

expm1.vjp(lambda g, y: g * (y + 1))
expm1.case(normal(3, 4))
expm1.case(normal())
expm1.case(integers(3))


@op(numbers="float", inplace=True)
def log(input, /):
    """Natural logarithm; NaN below zero."""
    return xp(input).log(input)

log.vjp(lambda g, input: g / input)
log.case(positive(3, 4))
log.case(positive())
log.case(integers(3, low=1))


def natural_log(x):
    """log of an array, a tensor or a number."""
    if not isinstance(x, (int, float)):
        return log(x)
    return math.log(x) if x > 0 else math.nan if x else -math.inf


@op(numbers="float", inplace=True)
def log2(input, /):
    """Logarithm to base 2."""
    return xp(input).log2(input)

log2.vjp(lambda g, input: g / (input * LN2))
log2.case(positive(3, 4))
log2.case(positive())
log2.case(integers(3, low=1))


@op(numbers="float", inplace=True)
def log10(input, /):
    """Logarithm to base 10."""
    return xp(input).log10(input)

log10.vjp(lambda g, input: g / (input * LN10))
log10.case(positive(3, 4))
log10.case(positive())
log10.case(integers(3, low=1))


@op(numbers="float", inplace=True)
def log1p(input, /):
    """log(1 + x), exact also near zero."""
    return xp(input).log1p(input)

log1p.vjp(lambda g, input: g / (input + 1))
log1p.case(unit(3, 4))
log1p.case(positive())
log1p.case(integers(3))


def check_floats(input, other):
    if not dtypes.is_float(dtypes.result_type((input, other))):
        raise NotImplementedError(f"\"logaddexp_cpu\" not implemented for '{input.dtype}'")


def log_of_sum(input, other, exp, unit):
    """log(b^input + b^other) for exp(x) = b^x and unit = log b: the larger, plus what the difference adds."""
    library = xp(input)
    larger, apart = library.maximum(input, other), -abs(input - other)
    y = larger + library.log1p(exp(apart)) / unit
    return choose(input == other, input + LN2 / unit, y)         # equal infinities have no difference


@op(numbers="promote", scalars=False, check=check_floats)
def logaddexp(input, other, /):
    """log(e^input + e^other), without overflow on the way."""
    return log_of_sum(input, other, xp(input).exp, 1)

logaddexp.vjp(lambda g, input, other: g / (exp(other - input) + 1),
              lambda g, input, other: g / (exp(input - other) + 1))
logaddexp.case(normal(3, 4), normal(3, 4))
logaddexp.case(normal(2, 1, 4), normal(3, 1))
logaddexp.case(normal(), normal(2))


@op(numbers="promote", scalars=False, check=check_floats)
def logaddexp2(input, other, /):
    """log2(2^input + 2^other), without overflow on the way."""
    return log_of_sum(input, other, xp(input).exp2, LN2)

logaddexp2.vjp(lambda g, input, other: g / (exp2(other - input) + 1),
               lambda g, input, other: g / (exp2(input - other) + 1))
logaddexp2.case(normal(3, 4), normal(3, 4))
logaddexp2.case(normal(2, 1, 4), normal(3, 1))
logaddexp2.case(normal(), normal(2))


@op(numbers="float", inplace=True)
def xlogy(input, other, /):
    """input * log(other), and 0 where input is 0, whatever `other` is (except NaN)."""
    array = input if is_array(input) else other
    library = xp(array)
    y = input * library.log(library.asarray(other, dtype=array.dtype))
    return choose(library.asarray(input == 0) & (other == other), library.zeros_like(y), y)

xlogy.vjp(lambda g, input, other: only(g * natural_log(other), ~((input == 0) & (other <= 0))),
          lambda g, input, other: g * (input / other))
xlogy.case(normal(3, 4), positive(3, 4))
xlogy.case(normal(2, 1, 4), positive(3, 1))
xlogy.case(normal(3, 4), 2.5)
xlogy.case(3, positive(3, 4))


@op(numbers="float", inplace=True)
def logit(input, /, eps=None):
    """log(x / (1 - x)), of x moved into [eps, 1 - eps] where eps is given; NaN outside [0, 1]."""
    if eps is not None:
        library = xp(input)
        input = library.minimum(library.maximum(input, eps), 1 - eps)
    return xp(input).log(input / (1 - input))

logit.vjp(lambda g, input, eps: logit_slope(g, input, eps))
logit.case(probability(3, 4))
logit.case(probability(3, 4), eps=0.2)
logit.case(probability(), 1e-6)


def logit_slope(g, input, eps):
    slope = g / (input * (1 - input))
    if eps is None:
        return pick((input >= 0) & (input <= 1), slope, math.nan)
    return only(slope, ~((input < eps) | (input > 1 - eps)))
