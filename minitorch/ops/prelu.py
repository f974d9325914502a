"""Leaky lines whose slope below zero is an array: learned by prelu, drawn by rrelu."""
import functools

import numpy as np

from .. import dtypes
from ..autograd.engine import sum_to
from ..autograd.op import HOMES, composed, op
from ..backend import device_of
from ..cases import distinct, normal
from ..dtypes import F32
from ..random import source
from ..tensor import wrap
from .activation import floats_only, in_place, leaky_relu
from ..blocks import by_slices
from .choose import choose, only, zero
from .random import placed, uniform


@op(home="", called="prelu", numbers="half", check=floats_only)
def prelu_of(input, other, /):
    """input where it is positive, else other * input."""
    return choose(input > 0, input, input * other)

def few(x):
    """Whether x is an array so small that calls of ops take longer than what they compute."""
    return type(x) is np.ndarray and x.size < 5000


prelu_of.vjp(lambda g, input, other: choose(input > 0, g, g * other) if few(input) else prelu_gradient(g, input, other),
             lambda g, input, other: only(g * input, ~(input > 0)) if few(input) else slope_gradient(g, input, tuple(other.shape)))
prelu_of.loop("prelu", least=10000)(lambda loops, input, other: loops.forward(input, other))
prelu_of.case(distinct(3, 4), normal(4))
prelu_of.case(distinct(2, 3, 4), normal(3, 1))
prelu_of.case(distinct(70, 70), normal(1))


@op(home="", called="prelu_backward", numbers="half")
def prelu_gradient(input, x, other, /):
    """The gradient `input` of prelu(x) where x is positive, else `other`, the slope, times it."""
    return choose(x > 0, input, input * other)

prelu_gradient.vjp(lambda g, x, other: prelu_gradient(g, x, other),
                   lambda g: zero(g),
                   lambda g, input, x: only(g * input, ~(x > 0)))
prelu_gradient.loop("prelu", least=10000)(
    lambda loops, input, x, other: loops.gradient(input, x, other) if input.shape == x.shape else NotImplemented)
prelu_gradient.case(normal(3, 4), distinct(3, 4), normal(4))
prelu_gradient.case(normal(2, 3, 4), distinct(2, 3, 4), normal(3, 1))


def pulls_on_slope(g, x, shape):
    """The gradient times x where that is not positive, else 0, summed up in the slope's shape."""
    return sum_to(only(g * x, ~(x > 0)), shape)


@op(home="", called="prelu_backward_weight", numbers="half", reference=pulls_on_slope)
def slope_gradient(input, x, /, shape):
    """pulls_on_slope of the gradient `input` of prelu(x)."""
    if not x.ndim or len(shape) == x.ndim and shape[0] > 1:      # or a slope for each number
        return pulls_on_slope(input, x, shape)
    return sum(by_slices(lambda part: pulls_on_slope(input[part], x[part], shape), x))

slope_gradient.loop("prelu", least=10000)(
    lambda loops, input, x, shape: loops.slope_gradient(input, x, shape) if input.shape == x.shape else NotImplemented)
slope_gradient.case(normal(3, 4), distinct(3, 4), (4,))
slope_gradient.case(normal(2, 3, 4), distinct(2, 3, 4), (3, 1))
slope_gradient.case(normal(70, 70), distinct(70, 70), (1,))
slope_gradient.case(normal(3, 4), distinct(3, 4), (3, 4))


@composed(home="torch functional")
def prelu(input, weight):
    """x where x > 0, else weight * x; `weight` holds one number, or one for each channel (axis 1).

    RuntimeError where `weight` has more than one axis or does not fit the channels.
    """
    w, x = weight.array, input.array
    if w.ndim > 1:
        raise RuntimeError(f"prelu: Expected `weight` to be a scalar or 1D tensor, but got: ndim = {w.ndim}")
    if w.dtype != x.dtype:
        raise RuntimeError(f"prelu: Type promoting not supported. Got {input.dtype} and {weight.dtype}")
    channels = x.shape[1] if x.ndim > 1 else 1
    if w.size != 1 and w.size != channels:
        raise RuntimeError(f"Mismatch of parameter numbers and input channel size. Found parameter numbers = {w.size} "
                           f"and channel size = {channels}.")
    return prelu_of(input, weight.reshape((w.size,) + (1,) * (x.ndim - 2) if x.ndim > 1 else ()))

prelu.case(distinct(3, 4), normal(4))
prelu.case(distinct(2, 3, 4), normal(3))
prelu.case(distinct(3), normal(1))
prelu.case(distinct(), normal())


@composed(home="torch functional", method=False)
def rrelu(input, lower=1 / 8, upper=1 / 3, training=False, inplace=False):
    """leaky_relu with the mean of lower and upper as its slope; while training with one drawn evenly between them for each element.

    RuntimeError for lower > upper.
    """
    if lower > upper:
        raise RuntimeError("Lower bound should be less than or equal to the upper bound")
    if not training:
        return leaky_relu(input, (lower + upper) / 2, inplace)
    device = device_of(input.array)
    dtype = input.array.dtype
    slopes = uniform(source(None, device), input.array.shape, F32).astype(F32 if dtypes.is_half(dtype) else dtype) * (upper - lower) + lower
    return (in_place(prelu_of) if inplace else prelu_of)(input, wrap(placed(slopes.astype(dtype, copy=False), device)))

rrelu.case(distinct(3, 4))
rrelu.case(distinct(3, 4), 0.25, 0.25, True)

for _place in rrelu.home:                            # functional.rrelu_
    HOMES[_place]["rrelu_"] = functools.partial(rrelu, inplace=True)
