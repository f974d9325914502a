"""Arithmetic: one number out for every number, or for every pair of numbers after broadcasting.

The operators + - * / go straight to ops of two arrays (plus, minus, mul, true_divide);
add, sub and div are PyTorch's functions around them, with their further arguments.
"""
import numpy as np

from .. import dtypes
from ..autograd.op import alias, composed, op, written
from ..backend import is_array, xp
from ..cases import distinct, integers, normal
from ..cases import positive as positives
from ..convert import number
from ..tensor import Tensor
from .choose import choose, only, zero
from .dtype import cast


def type_of(*values):
    """The NumPy dtype that tensors and numbers promote to."""
    return dtypes.result_type([getattr(v, "array", v) for v in values])


def scaled(name, alpha, other, input):
    """alpha * other, in the dtype of the whole sum; RuntimeError for an alpha of a higher kind."""
    alpha, dtype = number(alpha, name, "alpha"), type_of(input, other)
    if isinstance(alpha, bool) and dtype.kind != "b":
        raise RuntimeError("Boolean alpha only supported for Boolean results.")
    if isinstance(alpha, float) and not dtypes.is_float(dtype):
        raise RuntimeError("For integral input tensors, argument alpha must not be a floating point number.")
    if isinstance(other, Tensor):
        other = cast(other, dtype)
    return mul(other, bool(alpha) if dtype.kind == "b" else alpha) if isinstance(other, Tensor) else other * alpha


# ---- sums ---------------------------------------------------------------------------------------------------

@op(numbers="promote", home="", called="add")
def plus(input, other, /):
    """input + other, broadcasting."""
    return input + other

plus.vjp(lambda g: g,
         lambda g: g)
plus.case(normal(3, 4), normal(3, 4))
plus.case(normal(3, 1), normal(4))
plus.case(normal(3, 4), 2.5)


@composed(inplace=True)
def add(input, other, *, alpha=1, out=None):
    """input + alpha * other, broadcasting."""
    y = plus(input, other if alpha == 1 else scaled("add", alpha, other, input))
    return y if out is None else written("add", y, out)

add.case(normal(3, 4), normal(3, 4))
add.case(normal(2, 1, 4), normal(3, 1))
add.case(normal(3, 4), 2)
add.case(1.5, normal(3))
add.case(normal(3, 4), normal(4), alpha=-0.5)
add.case(normal(3), 2, alpha=3)
add.case(normal(), normal(2))
add.case(integers(3), normal(2, 3), alpha=2)


def check_no_bool(input, other):
    found = [type(a) is bool or isinstance(a, np.bool_) or is_array(a) and a.dtype.kind == "b" for a in (input, other)]
    if all(found):
        raise RuntimeError("Subtraction, the `-` operator, with two bool tensors is not supported. "
                           "Use the `^` or `logical_xor()` operator instead.")
    if any(found):
        raise RuntimeError("Subtraction, the `-` operator, with a bool tensor is not supported. If you are trying to invert a mask, "
                           "use the `~` or `logical_not()` operator instead.")


@op(numbers="promote", home="", called="sub", check=check_no_bool)
def minus(input, other, /):
    """input - other, broadcasting."""
    return input - other

minus.vjp(lambda g: g,
          lambda g: -g)
minus.case(normal(3, 4), normal(3, 4))
minus.case(normal(3, 1), normal(4))
minus.case(2.5, normal(3, 4))


@composed(inplace=True)
def sub(input, other, *, alpha=1, out=None):
    """input - alpha * other, broadcasting; RuntimeError for booleans."""
    y = minus(input, other if alpha == 1 else scaled("sub", alpha, other, input))  # noqa: F632
    return y if out is None else written("sub", y, out)

sub.case(normal(3, 4), normal(3, 4))
sub.case(normal(2, 1, 4), normal(3, 1))
sub.case(normal(3, 4), 2)
sub.case(normal(3, 4), normal(4), alpha=-0.5)
sub.case(1, normal(3))
sub.case(normal(), normal(2), alpha=2)
alias("subtract", sub)


@composed(method=False)
def rsub(input, other, *, alpha=1):
    """other - alpha * input."""
    return sub(other, input, alpha=alpha)

rsub.case(normal(3, 4), normal(3, 4))
rsub.case(normal(3, 4), 2.5)
rsub.case(normal(3, 4), normal(4), alpha=2)


# ---- products -------------------------------------------------------------------------------------------------

@op(numbers="promote", inplace=True, exact=True)
def mul(input, other, /):
    """input * other, broadcasting."""
    return input * other

mul.vjp(lambda g, other: g * other,
        lambda g, input: g * input)
mul.case(normal(3, 4), normal(3, 4))
mul.case(normal(2, 1, 4), normal(3, 1))
mul.case(normal(3, 4), 0.3)
mul.case(2, normal(3, 4))
mul.case(normal(), normal(2))
mul.case(integers(3), normal(2, 3))
alias("multiply", mul)


@op(numbers="float", inplace=True, exact=True, called="div")
def true_divide(input, other, /):
    """input / other, broadcasting; integers give floats."""
    return input / other

true_divide.vjp(lambda g, other: g / other,
                lambda g, input, other: -g * (input / other / other))
true_divide.case(normal(3, 4), positives(3, 4))
true_divide.case(normal(2, 1, 4), positives(3, 1))
true_divide.case(normal(3, 4), 0.3)
true_divide.case(2, positives(3, 4))
true_divide.case(normal(), positives(2))


@composed(inplace=True)
def div(input, other, *, rounding_mode=None, out=None):
    """input / other; rounding_mode "floor" or "trunc" rounds the quotient down or toward zero and keeps integers.

    RuntimeError for another mode, and for integers divided by zero with rounding.
    """
    modes = {None: true_divide, "floor": floor_divide, "trunc": trunc_divide}
    if rounding_mode not in modes:
        raise RuntimeError(f"div expected rounding_mode to be one of None, 'trunc', or 'floor' but found '{rounding_mode}'")
    y = modes[rounding_mode](input, other)
    return y if out is None else written("div", y, out)

div.case(normal(3, 4), positives(3, 4))
div.case(normal(3, 4), 0.3)
div.case(2, positives(3, 4))
div.case(distinct(3, 4), positives(3, 1), rounding_mode="floor")
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
trunc_divide.case(distinct(3, 4), positives(3, 4))
trunc_divide.case(distinct(3, 4), 0.3)


@op(numbers="promote", inplace=True, check=check_no_bools("remainder_cpu"))
def remainder(input, other, /):
    """input - other * floor(input / other): the remainder with the sign of `other`, as Python's %."""
    refuse_zero(input, other)
    return input % other

remainder.vjp(lambda g: g,
              lambda g, input, other: -g * floor_divide(input, other))
remainder.case(distinct(3, 4), positives(3, 4))
remainder.case(distinct(2, 1, 4), positives(3, 1))
remainder.case(distinct(3, 4), -0.3)
remainder.case(integers(3, 4, low=-9, high=9), 4)
remainder.case(7, integers(3, low=1))


@op(numbers="promote", inplace=True, check=check_no_bools("fmod_cpu"))
def fmod(input, other, /):
    """input - other * trunc(input / other): the remainder with the sign of `input`, as C's fmod."""
    refuse_zero(input, other)
    return xp(input).fmod(input, other)

fmod.vjp(lambda g: g,
         lambda g, input, other: -g * trunc_divide(input, other))
fmod.case(distinct(3, 4), positives(3, 4))
fmod.case(distinct(2, 1, 4), positives(3, 1))
fmod.case(distinct(3, 4), -0.3)
fmod.case(integers(3, 4, low=-9, high=9), 4)


# ---- signs ------------------------------------------------------------------------------------------------------

def check_not_bool(message, error=RuntimeError):
    """A check that refuses a boolean tensor."""
    def check(input):
        if input.dtype.kind == "b":
            raise error(message)
    return check


@op(numbers="half", inplace=True, check=check_not_bool("Negation, the `-` operator, on a bool tensor is not supported. If you are trying to "
                                                       "invert a mask, use the `~` or `logical_not()` operator instead."))
def neg(input, /):
    """-x; RuntimeError for booleans."""
    return -input

neg.vjp(lambda g: -g)
neg.case(normal(3, 4))
neg.case(normal())
neg.case(integers(3))
alias("negative", neg)


@composed
def positive(input):
    """x itself; RuntimeError for booleans."""
    if input.array.dtype.kind == "b":
        raise RuntimeError("The `+` operator, on a bool tensor is not supported.")
    return input

positive.case(normal(3, 4))
positive.case(normal())
positive.case(integers(3))


@op(numbers="half", inplace=True, check=check_not_bool("\"abs_cpu\" not implemented for 'Bool'", NotImplementedError))
def abs(input, /):
    """|x|."""
    return xp(input).abs(input)

abs.vjp(lambda g, input: g * sign(input))
abs.case(normal(3, 4))
abs.case(normal())
abs.case(integers(3, low=-5))
alias("absolute", abs)


@op(numbers="half", inplace=True)
def sign(input, /):
    """-1, 0 or 1; 0 for NaN."""
    if input.dtype.kind in "bu":
        return (input > 0).astype(input.dtype)
    y = xp(input).sign(input)
    return choose(y == y, y, 0) if input.dtype.kind == "f" else y

sign.vjp(lambda g: zero(g))
sign.case(normal(3, 4))
sign.case(distinct())
sign.case(integers(3, low=-2))


@op(numbers="half", inplace=True)
def sgn(input, /):
    """sign(x), for real numbers."""
    return sign(input)

sgn.vjp(lambda g: zero(g))
sgn.case(normal(3, 4))
sgn.case(distinct())
sgn.case(integers(3, low=-2))


@op(numbers="float", inplace=True)
def copysign(input, other, /):
    """|input| with the sign of `other`, that of zeros too."""
    return xp(input).copysign(input, other)

copysign.vjp(lambda g, input, y: only(g * (y / input), input != 0),
             lambda g: zero(g))
copysign.case(normal(3, 4), normal(3, 4))
copysign.case(normal(2, 1, 4), normal(3, 1))
copysign.case(normal(3, 4), -1.0)


# ---- products added to something --------------------------------------------------------------------------------

def check_lerp(input, end, weight):
    for name, a in (("end", end), ("weight", weight)):
        if is_array(a) and a.dtype != input.dtype and (a.ndim or name == "end"):
            raise RuntimeError(f"expected dtype {input.dtype} for `{name}` but got dtype {a.dtype}")
    if not dtypes.is_float(input.dtype):
        raise NotImplementedError(f"\"lerp_kernel_scalar\" not implemented for '{input.dtype}'")


@op(numbers="promote", inplace=True, check=check_lerp)
def lerp(input, end, weight, /):
    """input + weight * (end - input), from the nearer end; `weight` is a number or a tensor."""
    near, way = input, end - input
    if not is_array(weight):
        return near + weight * way if weight < 0.5 else end - way * (1 - weight)
    return choose(weight < 0.5, near + weight * way, end - way * (1 - weight))

lerp.vjp(lambda g, weight: g * (1 - weight),
         lambda g, weight: g * weight,
         lambda g, input, end: g * (end - input))
lerp.case(normal(3, 4), normal(3, 4), 0.3)
lerp.case(normal(3, 4), normal(4), 0.7)
lerp.case(normal(3, 4), normal(3, 1), normal(3, 4))


@op(numbers="promote", inplace=True, scalars=False)
def addcmul(input, tensor1, tensor2, /, *, value=1):
    """input + value * tensor1 * tensor2."""
    return input + (value if dtypes.is_float(input.dtype) else int(value)) * tensor1 * tensor2

addcmul.vjp(lambda g: g,
            lambda g, tensor2, value: g * (tensor2 * value),
            lambda g, tensor1, value: g * (tensor1 * value))
addcmul.case(normal(3, 4), normal(3, 4), normal(3, 4))
addcmul.case(normal(4), normal(3, 1), normal(2, 3, 4), value=0.5)
addcmul.case(normal(), normal(3), normal(), value=-2)


def check_addcdiv(input, tensor1, tensor2):
    if not dtypes.is_float(tensor1.dtype) and not dtypes.is_float(tensor2.dtype):
        raise RuntimeError("Integer division with addcdiv is no longer supported: use (input + value * torch.trunc(tensor1 / tensor2)) "
                           "for the historic behaviour, or (input + value * tensor1 / tensor2) for true division.")


@op(numbers="promote", inplace=True, scalars=False, check=check_addcdiv)
def addcdiv(input, tensor1, tensor2, /, *, value=1):
    """input + value * tensor1 / tensor2; RuntimeError for a quotient of integers."""
    return input + value * tensor1 / tensor2

addcdiv.vjp(lambda g: g,
            lambda g, tensor2, value: g * (value / tensor2),
            lambda g, tensor1, tensor2, value: -g * (value * tensor1 / (tensor2 * tensor2)))
addcdiv.case(normal(3, 4), normal(3, 4), positives(3, 4))
addcdiv.case(normal(4), normal(3, 1), positives(2, 3, 4), value=0.5)
addcdiv.case(normal(), normal(3), positives(), value=-2)
