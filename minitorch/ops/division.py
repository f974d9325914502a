"""Quotients and remainders.

The operator / goes straight to true_divide; div is PyTorch's function around it, with its rounding modes.
"""
from ..autograd.op import alias, composed, op, written
from ..backend import is_array, xp
from ..cases import distinct, integers, normal, positive
from .choose import zero
from .elementwise import type_of


@op(numbers="float", inplace=True, exact=True, called="div")
def true_divide(input, other, /):
    """input / other, broadcasting; integers give floats."""
    return input / other

true_divide.vjp(lambda g, other: g / other,
                lambda g, input, other: -g * (input / other / other))
true_divide.case(normal(3, 4), positive(3, 4))
true_divide.case(normal(2, 1, 4), positive(3, 1))
true_divide.case(normal(3, 4), 0.3)
true_divide.case(2, positive(3, 4))
true_divide.case(normal(), positive(2))


@composed(inplace=True, core=true_divide)
def div(input, other, *, rounding_mode=None, out=None):
    """input / other; rounding_mode "floor" or "trunc" rounds the quotient down or toward zero and keeps integers.

    RuntimeError for another mode, and for integers divided by zero with rounding.
    """
    modes = {None: true_divide, "floor": floor_divide, "trunc": trunc_divide}
    if rounding_mode not in modes:
        raise RuntimeError(f"div expected rounding_mode to be one of None, 'trunc', or 'floor' but found '{rounding_mode}'")
    y = modes[rounding_mode](input, other)
    return y if out is None else written("div", y, out, (input, other))

div.case(normal(3, 4), positive(3, 4))
div.case(normal(3, 4), 0.3)
div.case(2, positive(3, 4))
div.case(distinct(3, 4), positive(3, 1), rounding_mode="floor")
div.case(distinct(3, 4), 0.3, rounding_mode="trunc")
div.case(integers(3, 4, low=-9, high=9), integers(3, 4, low=1), rounding_mode="trunc")
div.case(integers(3, 4, low=-9, high=9), -4, rounding_mode="floor")
alias("divide", div)


def check_no_bools(name):
    """A check that refuses two booleans, for which PyTorch has no such op."""
    def check(input, other):
        if type_of(input, other).kind == "b":
            raise NotImplementedError(f"\"{name}\" not implemented for 'Bool'")
    return check


def refuse_zero(input, other):
    """RuntimeError where integers are divided by zero."""
    whole = (input if is_array(input) else other).dtype.kind in "iu"
    if whole and not (other.all() if is_array(other) else other):
        raise RuntimeError("ZeroDivisionError")
    return whole


@op(numbers="promote", inplace=True, exact=True, check=check_no_bools("div_floor_cpu"))
def floor_divide(input, other, /):
    """The quotient rounded down; integers stay integers."""
    refuse_zero(input, other)
    return input // other

floor_divide.vjp(lambda g: zero(g),
                 lambda g: zero(g))
floor_divide.case(integers(3, 4, low=-9, high=9), integers(3, 4, low=1))
floor_divide.case(integers(3, 4, low=-9, high=9), -2)
floor_divide.case(integers(3, 4, low=-9, high=9), 2.5)


@op(numbers="promote", home="", exact=True, called="div", check=check_no_bools("div_trunc_cpu"))
def trunc_divide(input, other, /):
    """The quotient rounded toward zero; integers stay integers."""
    if not refuse_zero(input, other):
        return xp(input).trunc(input / other)
    down = input // other
    return down + ((down < 0) & (down * other != input))

trunc_divide.vjp(lambda g: zero(g),
                 lambda g: zero(g))
trunc_divide.case(distinct(3, 4), positive(3, 4))
trunc_divide.case(distinct(3, 4), 0.3)


@op(numbers="promote", inplace=True, check=check_no_bools("remainder_cpu"))
def remainder(input, other, /):
    """input - other * floor(input / other): the remainder with the sign of `other`, as Python's %."""
    refuse_zero(input, other)
    return input % other

remainder.vjp(lambda g: g,
              lambda g, input, other: -g * floor_divide(input, other))
remainder.case(distinct(3, 4), positive(3, 4))
remainder.case(distinct(2, 1, 4), positive(3, 1))
remainder.case(distinct(3, 4), -0.3)
remainder.case(distinct(8, 9), positive(8, 9))           # quotients of several sizes
remainder.case(integers(3, 4, low=-9, high=9), 4)
remainder.case(7, integers(3, low=1))


@op(numbers="promote", inplace=True, scalars="second", check=check_no_bools("fmod_cpu"))
def fmod(input, other, /):
    """input - other * trunc(input / other): the remainder with the sign of `input`, as C's fmod."""
    refuse_zero(input, other)
    return xp(input).fmod(input, other)

fmod.vjp(lambda g: g,
         lambda g, input, other: -g * trunc_divide(input, other))
fmod.case(distinct(3, 4), positive(3, 4))
fmod.case(distinct(2, 1, 4), positive(3, 1))
fmod.case(distinct(3, 4), -0.3)
fmod.case(distinct(8, 9), positive(8, 9))
fmod.case(integers(3, 4, low=-9, high=9), 4)
