"""Rounding: to the nearest whole number, down, up, toward zero.  The derivative is zero, and one for the fraction."""
from ..autograd.op import alias, op
from ..backend import xp
from ..blocks import LARGE, elementwise
from ..cases import distinct, integers, normal
from ..copies import copied
from .choose import zero


def whole(input, f):
    """f(input) for floats, a copy of integers; NotImplementedError for booleans."""
    if input.dtype.kind == "b":
        raise NotImplementedError("rounding is not implemented for 'Bool'")
    if input.dtype.kind in "iu":
        return copied(input)
    return elementwise(f, input) if input.size >= LARGE else f(input)


@op(numbers="half", inplace=True)
def floor(input, /):
    """The largest whole number not above x."""
    return whole(input, xp(input).floor)

floor.vjp(lambda g: zero(g))
floor.case(distinct(3, 4))
floor.case(distinct())
floor.case(integers(3))


@op(numbers="half", inplace=True)
def ceil(input, /):
    """The smallest whole number not below x."""
    return whole(input, xp(input).ceil)

ceil.vjp(lambda g: zero(g))
ceil.case(distinct(3, 4))
ceil.case(distinct())
ceil.case(integers(3))


@op(numbers="half", inplace=True)
def trunc(input, /):
    """x without its fraction."""
    return whole(input, xp(input).trunc)

trunc.vjp(lambda g: zero(g))
trunc.case(distinct(3, 4))
trunc.case(distinct())
trunc.case(integers(3))
alias("fix", trunc)


@op(numbers="half", inplace=True)
def frac(input, /):
    """The fraction of x, with the sign of x; NotImplementedError for integers."""
    if input.dtype.kind in "biu":
        raise NotImplementedError(f"frac is not implemented for '{input.dtype}'")
    return input - xp(input).trunc(input)

frac.vjp(lambda g: g)
frac.case(distinct(3, 4))
frac.case(distinct())
frac.case(normal(2, 0))


@op(numbers="half", inplace=True)
def round(input, /, *, decimals=0):
    """The nearest number with `decimals` digits after the point (before it, where negative); halves go to the even digit."""
    library = xp(input)
    if not decimals:
        return whole(input, library.rint)
    if input.dtype.kind in "biu":
        raise NotImplementedError(f"round with decimals is not implemented for '{input.dtype}'")
    ten = float(10 ** abs(decimals))
    return library.rint(input * ten) / ten if decimals > 0 else library.rint(input / ten) * ten

round.vjp(lambda g: zero(g))
round.case(distinct(3, 4))
round.case(distinct(3, 4), decimals=2)
round.case(distinct(30, 40), decimals=-1)
round.case(distinct())
round.case(integers(3))
