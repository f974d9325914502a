"""Activation functions: those made of straight pieces, which pass a gradient or stop it.

A function with an `inplace` argument is a short front over an op of its own, `relu` over `relu_of`.
"""
import functools

import numpy as np

from .. import dtypes
from ..autograd.op import HOMES, composed, op
from ..autograd.views import in_place
from ..backend import xp
from ..cases import distinct, integers, normal
from ..convert import refuse_overflow
from ..blocks import LARGE, elementwise, into_blocks
from .choose import choose, only, zero_where
from .trigonometric import tanh

in_place = functools.cache(in_place)


def floats_only(input, *rest):
    """A check: PyTorch has these functions for floats alone."""
    if not dtypes.is_float(input.dtype):
        raise NotImplementedError(f"this activation is not implemented for '{dtypes.of(input.dtype).name}'")


def no_bool(input):
    if input.dtype.kind == "b":
        raise RuntimeError("Boolean inputs not supported for relu")


# ---- relu and its kin -------------------------------------------------------------------------------------------

@op(home="", called="relu", numbers="half", check=no_bool, elementwise=False)
def relu_of(input, /):
    """max(x, 0)."""
    return xp(input).maximum(input, 0) if input.size < LARGE else elementwise(xp(input).maximum, input, 0)       # by blocks without a copy

relu_of.vjp(lambda g, y: relu_gradient(g, y))
relu_of.op.at_once = np.maximum, 0
relu_of.case(distinct(3, 4))
relu_of.case(distinct(60, 60))


@op(home="", called="threshold_backward", numbers="half", elementwise=False)
def relu_gradient(input, other, /):
    """`input`, the gradient of relu's result `other`, where that is positive (or NaN), else 0."""
    return relu_slope(other, input)

relu_gradient.vjp(lambda g, other: relu_gradient(g, other))
relu_gradient.loop("activation", least=10000)(lambda loops, input, other: by(loops, loops.relu_back, input, other))
relu_gradient.case(normal(3, 4), distinct(3, 4))
relu_gradient.case(normal(60, 60), distinct(60, 60))


@into_blocks
def relu_slope(dx, y, g):
    zero_where(y <= 0, g, out=dx)


def by(loops, part, *arrays, numbers=()):
    """Elementwise by a compiled loop, for arrays of one shape."""
    same = all([a.shape == arrays[0].shape for a in arrays])
    return loops.elementwise(part, *arrays, numbers=numbers) if same else NotImplemented


@composed(home="torch functional", inplace=True, core=relu_of)
def relu(input, inplace=False):
    """max(x, 0)."""
    return input.relu_() if inplace else relu_of(input)

relu.case(distinct(3, 4))
relu.case(distinct())
relu.case(distinct(60, 60))
relu.case(integers(3, low=-3))


@op(home="", called="hardtanh", numbers="half")
def hardtanh_of(input, /, min_val, max_val):
    """x moved into [min_val, max_val]."""
    if not dtypes.is_float(input.dtype):
        if input.dtype.kind == "b":
            raise RuntimeError("Bool inputs not supported for hardtanh")
        min_val, max_val = int(min_val), int(max_val)
        if input.dtype.kind == "u" and min_val < 0:
            raise RuntimeError("cannot do hardtanh on an unsigned type with negative limits")
    return input.clip(min_val, max_val)

hardtanh_of.vjp(lambda g, input, min_val, max_val: only(g, ~((input <= min_val) | (input >= max_val))))
hardtanh_of.case(distinct(5, 4), -0.2, 0.3)


@composed(home="functional")
def hardtanh(input, min_val=-1.0, max_val=1.0, inplace=False):
    """x moved into [min_val, max_val]; no gradient at and beyond the ends."""
    if min_val > max_val:
        raise ValueError("min_val cannot be greater than max_val")
    return (in_place(hardtanh_of) if inplace else hardtanh_of)(input, min_val=min_val, max_val=max_val)

hardtanh.case(distinct(5, 5))
hardtanh.case(distinct(5, 5), -0.2, 0.3)
hardtanh.case(integers(3, low=-5))


@composed(home="functional")
def relu6(input, inplace=False):
    """min(max(x, 0), 6)."""
    return hardtanh(input, 0.0, 6.0, inplace)

relu6.case(distinct(12, 12))
relu6.case(normal(3))
relu6.case(integers(5, low=-3, high=9))


@op(home="", called="leaky_relu", numbers="half", check=floats_only)
def leaky_relu_of(input, /, negative_slope=0.01):
    """x where x > 0, else negative_slope * x."""
    return leaky_array(input, negative_slope)

leaky_relu_of.vjp(lambda g, input, negative_slope: leaky_relu_gradient(g, input, negative_slope))
leaky_relu_of.loop("activation", least=10000)(lambda loops, input, negative_slope=0.01: by(loops, loops.leaky, input, numbers=(negative_slope,)))
leaky_relu_of.case(distinct(3, 4), 0.1)


@op(home="", called="leaky_relu_backward", numbers="half")
def leaky_relu_gradient(input, other, /, negative_slope):
    """The gradient `input` where leaky_relu's argument `other` is positive, else negative_slope times it."""
    return leaky_slope(other, input, negative_slope)

leaky_relu_gradient.vjp(lambda g, other, negative_slope: leaky_relu_gradient(g, other, negative_slope))
leaky_relu_gradient.loop("activation", least=10000)(
    lambda loops, input, other, negative_slope: by(loops, loops.leaky_back, input, other, numbers=(negative_slope,)))
leaky_relu_gradient.case(normal(3, 4), distinct(3, 4), 0.1)
leaky_relu_gradient.case(normal(6, 5), distinct(6, 5), -0.5)


@into_blocks
def leaky_array(y, x, slope):
    if 0 < slope <= 1:                               # of x and slope * x the larger one
        xp(x).maximum(xp(x).multiply(x, slope, out=y), x, out=y)
    else:
        y[...] = choose(x > 0, x, x * slope)


@into_blocks
def leaky_slope(y, x, g, slope):
    if 0 <= slope <= 1:
        y[...] = x > 0                               # 1 or 0, and of that and the slope the larger one
        xp(x).maximum(y, slope, out=y)
        y *= g
    else:
        y[...] = choose(x > 0, g, g * slope)


@composed(home="functional")
def leaky_relu(input, negative_slope=0.01, inplace=False):
    """x where x > 0, else negative_slope * x."""
    return (in_place(leaky_relu_of) if inplace else leaky_relu_of)(input, negative_slope=negative_slope)

leaky_relu.case(distinct(3, 4))
leaky_relu.case(distinct(60, 60), 0.2)
leaky_relu.case(normal(), -0.5)


@op(home="", called="threshold", numbers="half")
def threshold_of(input, /, threshold, value):
    """x above the threshold, else `value`."""
    if input.dtype.kind in "iu":
        refuse_overflow(threshold, input.dtype)
        refuse_overflow(value, input.dtype)
        threshold = int(threshold)
    return choose(input <= threshold, input.dtype.type(value), input)

threshold_of.vjp(lambda g, input, threshold: only(g, ~(input <= threshold)))
threshold_of.case(distinct(3, 4), 0.1, 20.0)
threshold_of.case(distinct(5, 5), 0.1, 20.0)


@composed(home="torch functional", method=False)
def threshold(input, threshold, value, inplace=False):
    """x where x > threshold, else `value`."""
    return (in_place(threshold_of) if inplace else threshold_of)(input, threshold=threshold, value=value)

threshold.case(distinct(3, 4), 0.1, 20.0)
threshold.case(distinct(60, 60), -1.0, 0.0)
threshold.case(integers(4), 2, -1)


for _f in (relu, hardtanh, leaky_relu, threshold):          # functional.relu_ and its like
    for _place in _f.home:
        HOMES[_place][_f.__name__ + "_"] = functools.partial(_f, inplace=True)


# ---- sigmoids and shrinkage made of straight lines ------------------------------------------------------------

@op(home="", called="hardsigmoid", numbers="half", check=floats_only)
def hardsigmoid_of(input, /):
    """x / 6 + 1/2, moved into [0, 1]."""
    return (input + 3).clip(0, 6) / 6

hardsigmoid_of.vjp(lambda g, input: only(g / 6, (input > -3) & (input < 3)))
hardsigmoid_of.case(normal(3, 4))


@composed(home="functional")
def hardsigmoid(input, inplace=False):
    """min(max(x + 3, 0), 6) / 6."""
    return (in_place(hardsigmoid_of) if inplace else hardsigmoid_of)(input)

hardsigmoid.case(normal(3, 4))
hardsigmoid.case(distinct(12, 12))
hardsigmoid.case(normal())


@op(home="", called="hardswish", numbers="half", check=floats_only)
def hardswish_of(input, /):
    """x * hardsigmoid(x)."""
    return hardswish_array(input)

hardswish_of.vjp(lambda g, input: hardswish_gradient(g, input))
hardswish_of.loop("activation", least=10000)(lambda loops, input: by(loops, loops.hardswishes, input))
hardswish_of.case(normal(3, 4))


@op(home="", called="hardswish_backward", numbers="half", elementwise=False)
def hardswish_gradient(input, other, /):
    """The gradient `input` times hardswish's derivative at `other`: x / 3 + 1/2 within (-3, 3), 0 and 1 beyond."""
    return hardswish_slope(other, input)

hardswish_gradient.vjp(lambda g, other: hardswish_gradient(g, other),
                       lambda g, input, other: only(g * input / 3, (other < 3) & ~(other <= -3)))
hardswish_gradient.loop("activation", least=10000)(lambda loops, input, other: by(loops, loops.hardswish_back, input, other))
hardswish_gradient.case(normal(3, 4), distinct(3, 4))
hardswish_gradient.case(normal(60, 60), distinct(60, 60))


@into_blocks
def hardswish_array(y, x):
    xp(x).add(x, 3, out=y)
    y.clip(0, 6, out=y)
    y *= x
    y /= 6


@into_blocks
def hardswish_slope(y, x, g):
    xp(x).fmin(x, 3, out=y)
    y /= 3
    beyond = xp(x).trunc(y)                          # 1 from 3 on, where 3 / 3 + 1 / 2 is 1 / 2 too much
    beyond -= 1
    beyond *= 0.5
    y -= beyond
    y *= g
    zero_where(x <= -3, y, out=y)


@composed(home="functional")
def hardswish(input, inplace=False):
    """x * hardsigmoid(x)."""
    return (in_place(hardswish_of) if inplace else hardswish_of)(input)

hardswish.case(normal(3, 4))
hardswish.case(distinct(12, 12))
hardswish.case(normal())


@op(home="torch functional", numbers="half", check=floats_only)
def hardshrink(input, /, lambd=0.5):
    """0 where |x| <= lambd, else x."""
    return choose((input >= -lambd) & (input <= lambd), input.dtype.type(0), input)

hardshrink.vjp(lambda g, input, lambd: only(g, ~((input >= -lambd) & (input <= lambd))))
hardshrink.case(distinct(3, 4))
hardshrink.case(distinct(60, 60), 0.3)
hardshrink.case(normal(), 0.0)


@op(home="functional", numbers="half", check=floats_only)
def softshrink(input, /, lambd=0.5):
    """x moved toward zero by lambd, and 0 where |x| <= lambd; RuntimeError for a negative lambd."""
    if lambd < 0:
        raise RuntimeError(f"lambda must be greater or equal to 0, but found to be {lambd}.")
    return input - input.clip(-lambd, lambd)

softshrink.vjp(lambda g, input, lambd: only(g, ~((input >= -lambd) & (input <= lambd))))
softshrink.case(distinct(3, 4))
softshrink.case(distinct(60, 60), 0.3)
softshrink.case(normal(), 0.1)


@composed(home="functional")
def tanhshrink(input):
    """x - tanh(x)."""
    return input - tanh(input)

tanhshrink.case(normal(3, 4))
tanhshrink.case(normal())
tanhshrink.case(integers(3))
