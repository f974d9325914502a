"""Arithmetic: one number out for every number, or for every pair of numbers after broadcasting.

The operators + - * go straight to ops of two arrays (plus, minus, mul); add and sub are PyTorch's
functions around them, with their further arguments.
"""
import numpy as np

from .. import dtypes
from ..autograd.numbers import in_range
from ..autograd.op import alias, composed, op, written
from ..backend import is_array, xp
from ..blocks import in_blocks
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
    if dtype.kind == "b":
        alpha = bool(alpha)
    if isinstance(other, Tensor):
        return mul(cast(other, dtype), alpha)
    return dtype.type(other * alpha) if dtype.kind == "b" else other * alpha


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


@composed(inplace=True, core=plus)
def add(input, other, *, alpha=1, out=None):
    """input + alpha * other, broadcasting."""
    if type(alpha) is not int or alpha != 1:
        other = scaled("add", alpha, other, input)
    y = plus(input, other)
    return y if out is None else written("add", y, out, (input, other))

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


@composed(inplace=True, core=minus)
def sub(input, other, *, alpha=1, out=None):
    """input - alpha * other, broadcasting; RuntimeError for booleans."""
    if type(alpha) is not int or alpha != 1:
        check_no_bool(getattr(input, "array", input), getattr(other, "array", other))
        other = scaled("sub", alpha, other, input)
    y = minus(input, other)
    return y if out is None else written("sub", y, out, (input, other))

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
    if not isinstance(input, Tensor):
        raise TypeError(f"rsub(): argument 'input' (position 1) must be Tensor, not {type(input).__name__}")
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


# ---- signs ------------------------------------------------------------------------------------------------------

def check_not_bool(message, error=RuntimeError):
    """A check that refuses a boolean tensor."""
    def check(input):
        if input.dtype.kind == "b":
            raise error(message)
    return check


@op(numbers="half", inplace=True, check=check_not_bool("Negation, the `-` operator, on a bool tensor is not supported. If you are trying "
                                                       "to invert a mask, use the `~` or `logical_not()` operator instead."))
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

abs.vjp(lambda g, input: abs_gradient(g, input))
abs.case(normal(3, 4))
abs.case(normal())
abs.case(integers(3, low=-5))
alias("absolute", abs)


@op(numbers="half", inplace=True)
def sign(input, /):
    """-1, 0 or 1; 0 for NaN."""
    if input.dtype.kind in "bu":
        return (input > 0).astype(input.dtype)
    if input.dtype.kind == "f":                      # NumPy's own sign of NaN is NaN
        return ((input > 0).view("i1") - (input < 0).view("i1")).astype(input.dtype)
    return xp(input).sign(input)

sign.vjp(lambda g: zero(g))
sign.case(normal(3, 4))
sign.case(distinct())
sign.case(integers(3, low=-2))


@op(home="", numbers="half", called="abs_backward")
def abs_gradient(input, other, /):
    """The gradient `input` of |x| times the sign of x, `other`."""
    y = sign(other)
    y *= input
    return y

abs_gradient.vjp(lambda g, other: abs_gradient(g, other),
                 lambda g: zero(g))
abs_gradient.case(normal(3, 4), normal(3, 4))


sign.loop("activation", least=10000)(lambda loops, input: loops.elementwise(loops.signs, input))
abs_gradient.loop("activation", least=10000)(
    lambda loops, input, other: loops.elementwise(loops.abs_back, input, other) if input.shape == other.shape else NotImplemented)


@op(numbers="half", inplace=True)
def sgn(input, /):
    """sign(x), for real numbers."""
    return sign(input)

sgn.vjp(lambda g: zero(g))
sgn.case(normal(3, 4))
sgn.case(distinct())
sgn.case(integers(3, low=-2))


@op(numbers="float", inplace=True, scalars="second")
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
    if not is_array(end):
        raise TypeError(f"argument 'end' must be Tensor, not {type(end).__name__}")
    for name, a in (("end", end), ("weight", weight)):
        if is_array(a) and a.dtype != input.dtype and (a.ndim or name == "end"):
            raise RuntimeError(f"expected dtype {input.dtype} for `{name}` but got dtype {a.dtype}")
    if not dtypes.is_float(input.dtype):
        raise NotImplementedError(f"\"lerp_kernel_scalar\" not implemented for '{input.dtype}'")


@op(numbers="promote", inplace=True, scalars="second", check=check_lerp)
def lerp(input, end, weight, /):
    """input + weight * (end - input), from the nearer end; `weight` is a number or a tensor."""
    if not is_array(weight):
        return towards(input, end, weight)
    way = end - input
    return choose(weight < 0.5, input + weight * way, end - way * (1 - weight))


@in_blocks
def towards(input, end, weight):
    """lerp by a number."""
    way = end - input
    way *= weight if weight < 0.5 else weight - 1
    way += input if weight < 0.5 else end
    return way


@lerp.loop("activation", least=10000)
def _(loops, input, end, weight):
    if is_array(weight) or input.shape != end.shape:
        return NotImplemented
    return loops.elementwise(loops.lerps, input, end, numbers=(weight, 1 - weight))


lerp.vjp(lambda g, weight: g * (1 - weight),
         lambda g, weight: g * weight,
         lambda g, input, end: g * (end - input))
lerp.case(normal(3, 4), normal(3, 4), 0.3)
lerp.case(normal(3, 4), normal(4), 0.7)
lerp.case(normal(3, 4), normal(3, 1), normal(3, 4))


def times(x, value):
    """value * x, which is x itself for 1."""
    return x if value == 1 else value * x


@op(numbers="promote", inplace=True, scalars=False)
def addcmul(input, tensor1, tensor2, /, *, value=1):
    """input + value * tensor1 * tensor2."""
    value = value if dtypes.is_float(input.dtype) else in_range(int(value), input.dtype)
    y = times(tensor1, value) * tensor2
    return np.add(y, input, out=y) if type(y) is np.ndarray and y.shape == input.shape else y + input

@addcmul.loop("activation", least=10000)
def _(loops, input, tensor1, tensor2, value=1):
    same = input.shape == tensor1.shape == tensor2.shape
    return loops.elementwise(loops.addcmuls, input, tensor1, tensor2, numbers=(value,)) if same else NotImplemented


addcmul.vjp(lambda g: g,
            lambda g, tensor2, value: g * times(tensor2, value),
            lambda g, tensor1, value: g * times(tensor1, value))
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
