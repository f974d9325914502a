"""Choosing between numbers: where, maximum and minimum, clamp.

Gradients go where the number came from.  At ties PyTorch's rules hold: maximum gives each side half,
clamp lets the gradient through on its bounds.
"""
import numpy as np

from .. import dtypes
from ..autograd.numbers import in_dtype
from ..autograd.op import alias, composed, op, written
from ..backend import xp
from ..blocks import LARGE, elementwise
from ..cases import booleans, distinct, normal
from ..convert import refuse_overflow
from ..tensor import Tensor, wrap

BITS = {1: np.int8, 2: np.int16, 4: np.int32, 8: np.int64}


def choose(mask, a, b):
    """The array of `a` where `mask`, else `b`; arrays or numbers.

    np.where branches at every element, which on large random masks takes eight times as long as merging bits.
    """
    library = xp(mask)
    array = a if hasattr(a, "dtype") else b
    size = max(mask.size, getattr(a, "size", 1), getattr(b, "size", 1))
    if library is not np or size < 2048 or not hasattr(array, "dtype") or hasattr(b, "dtype") and b.dtype != array.dtype:
        return library.where(mask, a, b)
    return merged(mask, a, b) if size < LARGE else elementwise(merged, mask, a, b, mixed=True)


def merged(mask, a, b):
    """choose by bits, of NumPy arrays and numbers."""
    array = a if hasattr(a, "dtype") else b
    bits = BITS[array.itemsize]
    m = (-mask.view(np.int8)).astype(bits)           # all ones where chosen, all zeros elsewhere
    a = np.asarray(a, array.dtype).view(bits)
    if type(b) is int and b == 0:
        return (m & a).view(array.dtype)
    b = np.asarray(b, array.dtype).view(bits)
    m = m & (a ^ b)
    m ^= b
    return m.view(array.dtype)


def pick(mask, a, b):
    """choose for vjps: on arrays or on tensors, outside or inside the graph."""
    return chosen(mask, a, b) if isinstance(mask, Tensor) else choose(mask, a, b)


def zero_where(mask, x, out):
    """out = x, but 0 where `mask`, also for infinities and NaN."""
    if type(x) is not np.ndarray or x.size < 2048:
        out[...] = xp(x).where(mask, 0, x)
        return
    bits = BITS[x.itemsize]
    kept = mask.astype(bits)
    kept -= 1                                        # all zeros where the mask is, else all ones
    np.bitwise_and(x.view(bits), kept, out=out.view(bits))


def only(g, mask):
    """`g` where `mask`, else zero, also where `g` is infinite or NaN."""
    return pick(mask, g, 0)


@op(home="", differentiable=False)
def zero(input, /):
    """Zeros in the shape and type of `input`: the derivative of a step function."""
    return xp(input).zeros_like(input)

zero.case(normal(3, 4))


# ---- where --------------------------------------------------------------------------------------------------

@op(home="", called="where")
def chosen(condition, input, other, /):
    """`input` where `condition`, else `other`, in the dtype that both promote to."""
    if type(input) is type(other) and type(input) is not int and type(input) is not float and input.dtype == other.dtype:
        return choose(condition, input, other)
    dtype = dtypes.result_type((input, other))
    for number in (input, other):
        if type(number) is int and dtype.kind in "iu":
            refuse_overflow(number, dtype)
    return choose(condition, in_dtype(input, dtype), in_dtype(other, dtype))

chosen.vjp(None,
           lambda g, condition: only(g, condition),
           lambda g, condition: only(g, ~condition))
chosen.case(booleans(3, 4), normal(3, 4), normal(4))
chosen.case(booleans(50, 50), normal(50, 50), normal(50, 1))
chosen.case(booleans(3, 4), normal(3, 4), 0.5)


@composed(method=False)
def where(condition, input=None, other=None, *, out=None):
    """input[i] where condition[i], else other[i]; where(condition) alone: the indices of its true elements, one tensor per axis.

    RuntimeError for a condition that is not boolean.
    """
    if not isinstance(condition, Tensor):
        raise TypeError(f"where(): argument 'condition' (position 1) must be Tensor, not {type(condition).__name__}")
    if input is None and other is None:
        return tuple([wrap(i) for i in xp(condition.array).nonzero(xp(condition.array).atleast_1d(condition.array))])
    if input is None or other is None:
        raise TypeError("where() takes a condition alone, or with both input and other")
    kind = condition.array.dtype.kind
    if kind != "b" and condition.array.dtype != np.uint8:
        raise RuntimeError(f"where expected condition to be a boolean tensor, but got a tensor with dtype {condition.dtype.name}")
    y = chosen(condition if kind == "b" else condition != 0, input, other)
    return y if out is None else written("where", y, out, (condition, input, other))

where.case(booleans(3, 4), normal(3, 4), normal(3, 4))
where.case(booleans(3, 1), normal(4), normal(2, 1, 1))
where.case(booleans(60, 60), normal(60, 60), normal(60, 60))
where.case(booleans(3, 4), normal(3, 4), 2)
where.case(booleans(3, 4), 0.5, normal(3, 4))
where.case(booleans(3), 1, 2.5)
where.case(booleans(3, 4))
where.case(booleans(), normal(), normal())


def where_method(self, condition, other):
    """self where `condition`, else `other`."""
    return where(condition, self, other)


Tensor.where = where_method


# ---- the larger, the smaller ----------------------------------------------------------------------------------

def share(g, loses, ties):
    """The gradient of one side of a maximum: all where it wins, half where both are equal."""
    return pick(ties, g * 0.5, only(g, ~loses))


@op(numbers="promote", scalars=False)
def maximum(input, other, /):
    """The larger of each pair; NaN where either is."""
    return xp(input).maximum(input, other)

maximum.vjp(lambda g, input, other: share(g, input < other, input == other),
            lambda g, input, other: share(g, other < input, input == other))
maximum.case(distinct(3, 4), normal(4))
maximum.case(normal(2, 1, 4), normal(3, 1))
maximum.case(normal(50, 50), normal(50, 50))


@op(numbers="promote", scalars=False)
def minimum(input, other, /):
    """The smaller of each pair; NaN where either is."""
    return xp(input).minimum(input, other)

minimum.vjp(lambda g, input, other: share(g, other < input, input == other),
            lambda g, input, other: share(g, input < other, input == other))
minimum.case(distinct(3, 4), normal(4))
minimum.case(normal(2, 1, 4), normal(3, 1))
minimum.case(normal(), normal(3))


@op(numbers="promote", scalars=False)
def fmax(input, other, /):
    """The larger of each pair; a NaN loses."""
    return xp(input).fmax(input, other)

fmax.vjp(lambda g, input, other: only(g, (input >= other) | (other != other)),
         lambda g, input, other: only(g, ~((input >= other) | (other != other))))
fmax.case(distinct(3, 4), normal(4))
fmax.case(normal(2, 1, 4), normal(3, 1))
fmax.case(normal(), normal(3))


@op(numbers="promote", scalars=False)
def fmin(input, other, /):
    """The smaller of each pair; a NaN loses."""
    return xp(input).fmin(input, other)

fmin.vjp(lambda g, input, other: only(g, (input <= other) | (other != other)),
         lambda g, input, other: only(g, ~((input <= other) | (other != other))))
fmin.case(distinct(3, 4), normal(4))
fmin.case(normal(2, 1, 4), normal(3, 1))
fmin.case(normal(), normal(3))


def check_bounds(input, min, max):
    if min is None and max is None:
        raise RuntimeError("torch.clamp: At least one of 'min' or 'max' must not be None")
    if input.dtype.kind in "biu" and (dtype := dtypes.result_type([a for a in (input, min, max) if a is not None])).kind in "iu":
        for bound in (min, max):
            if type(bound) is int:
                refuse_overflow(bound, dtype)


def inside(input, min, max):
    """Where min <= input <= max; a bound of None does not bind."""
    return input <= max if min is None else input >= min if max is None else (input >= min) & (input <= max)


@op(numbers="promote", inplace=True, scalars="second", check=check_bounds)
def clamp(input, min=None, max=None, /):
    """min(max(input, min), max): into the interval [min, max], whose ends are numbers or tensors.

    RuntimeError without any bound.
    """
    library = xp(input)
    if input.size > 5000 and library is np and isinstance(min, (int, float)) and isinstance(max, (int, float)):
        return input.clip(min, max)                  # one pass, but a call takes microseconds
    if min is not None:
        input = library.maximum(input, min)
    return input if max is None else library.minimum(input, max)

clamp.vjp(lambda g, input, min, max: only(g, inside(input, min, max)),
          lambda g, input, min, max: only(g, input < min if max is None else (input < min) & (min < max)),
          lambda g, input, min, max: only(g, input > max if min is None else (input > max) | (max < min)))
clamp.case(distinct(3, 4), -0.2, 0.3)
clamp.case(distinct(3, 4), min=-0.2)
clamp.case(distinct(3, 4), max=1)
clamp.case(distinct(60, 60), -1, 20.0)
clamp.case(distinct(3, 4), normal(4), normal(3, 1))
clamp.case(distinct(6, 8), normal(6, 8), normal(6, 8))
clamp.case(normal(3), max=normal(2, 1))
clamp.case(distinct(3, 4), 0.4, -0.4)
clamp.case(normal(), -0.5, 0.5)
alias("clip", clamp)


@composed(inplace=True)
def clamp_min(input, min):
    """The larger of input and `min`, a number or a tensor."""
    if min is None:
        raise TypeError("clamp_min(): argument 'min' must be a Tensor or a number, not NoneType")
    return clamp(input, min)

clamp_min.case(distinct(3, 4), 0.1)
clamp_min.case(distinct(3, 4), normal(4))
clamp_min.case(distinct(), -1)


@composed(inplace=True)
def clamp_max(input, max):
    """The smaller of input and `max`, a number or a tensor."""
    if max is None:
        raise TypeError("clamp_max(): argument 'max' must be a Tensor or a number, not NoneType")
    return clamp(input, None, max)

clamp_max.case(distinct(3, 4), 0.1)
clamp_max.case(distinct(3, 4), normal(4))
clamp_max.case(distinct(), -1)


# ---- steps and repairs ----------------------------------------------------------------------------------------

def check_same_dtype(input, other):
    if input.dtype != other.dtype:
        raise RuntimeError("heaviside is not yet implemented for tensors with different dtypes.")


@op(home="", called="heaviside", numbers="half", check=check_same_dtype, scalars=False)
def step(input, other, /):
    """0 below zero, 1 above, `other` at zero."""
    return choose(input == 0, other, (input > 0).astype(input.dtype))

step.vjp(lambda g: zero(g),
         lambda g, input: only(g, input == 0))
step.case(distinct(3, 4), normal(4))
step.case(normal(3, 1), normal(4))
step.case(normal(), normal())


@composed(inplace=True)
def heaviside(input, values):
    """0 where input < 0, `values` where it is 0, 1 where it is above."""
    return step(input, values)

heaviside.case(distinct(3, 4), normal(3, 4))
heaviside.case(distinct(3, 1), normal(4))
heaviside.case(normal(), normal())


@op(inplace=True)
def nan_to_num(input, /, nan=0.0, posinf=None, neginf=None):
    """NaN becomes `nan`, infinities `posinf` and `neginf` (None: the largest and smallest finite numbers)."""
    library = xp(input)
    if not dtypes.is_float(input.dtype):
        return library.array(input)
    limits = dtypes.finfo(input.dtype)
    y = input
    for place, number in ((input != input, nan or 0.0), (input == np.inf, limits.max if posinf is None else posinf),
                          (input == -np.inf, limits.min if neginf is None else neginf)):
        y = library.where(place, input.dtype.type(number), y)
    return y

nan_to_num.vjp(lambda g, input: only(g, input - input == 0))
nan_to_num.case(normal(3, 4))
nan_to_num.case(normal(3, 4), nan=1.0, posinf=2.0, neginf=-2.0)
nan_to_num.case(normal(), 3.0)
