"""How far two tensors are apart, as losses measure it: by squares, absolute values, or Huber's mixture of both.

Huber's (1964) is c (d - c / 2) of the difference d, where c is d moved into [-delta, delta]: d^2 / 2 up to delta and a straight line
beyond.  Beside it an infinite delta stands for d^2, and delta 0 for |d|.
A large loss is summed up by blocks: its differences never leave the cache.
"""
from math import inf, prod

import numpy as np

from ..autograd.op import op
from ..backend import xp
from ..cases import normal
from ..blocks import by_blocks, in_blocks
from .choose import only, zero
from .elementwise import neg, sign


def length(d, delta):
    """The loss of each difference; `d`, an array, is overwritten."""
    if delta == 0:
        return abs(d)
    if delta == inf:
        d *= d
        return d
    c = d.clip(-delta, delta)
    d -= c * 0.5
    d *= c
    return d


@in_blocks
def lengths(a, b, delta, scale):
    y = length(a - b, delta)
    return y if scale == 1 else y * scale


def total(a, b, delta):
    """The sum of the losses."""
    if a.size < 10000 or type(a) is not np.ndarray:
        return length(a - b, delta).sum()
    a, b = a.reshape(-1), b.reshape(-1)
    return sum(by_blocks(lambda part: float(length(a[part] - b[part], delta).sum()), a.size))


def reduced(total, n, dtype, scale, reduction):
    """The sum of n losses, or their mean, NaN of none, as a number of the losses' type."""
    return dtype.type(total * scale if reduction == "sum" else total * (scale / n) if n else np.nan)


@op(numbers="half", home="", called="distance_loss")
def distance(input, other, /, delta, scale, reduction):
    """scale times c (d - c / 2) of d = input - other, both of one shape, c = d moved into [-delta, delta]; d^2 for delta inf, |d| for 0.

    reduction: "none", or their "mean" or "sum".
    """
    if reduction == "none":
        return lengths(input, other, delta, scale)
    return xp(input).asarray(reduced(total(input, other, delta), input.size, input.dtype, scale, reduction))


@distance.joint_vjp
def _(g, input, other, input_shape, delta, scale, reduction, wanted):
    if reduction == "mean":
        scale /= max(prod(input_shape), 1)
    if delta == inf:
        scale *= 2
    slope = distance_gradient(g, input, other, delta, scale)
    return slope if 0 in wanted else None, neg(slope) if 1 in wanted else None


@distance.loop("distance", least=5000)
def _(loops, input, other, delta, scale, reduction):
    if input.shape != other.shape:
        return NotImplemented
    if reduction == "none":
        return loops.lengths(input, other, delta, scale)
    return np.asarray(reduced(loops.total(input, other, delta), input.size, input.dtype, scale, reduction))


@op(numbers="half", home="", called="distance_loss_backward")
def distance_gradient(input, a, b, /, delta, scale):
    """The losses' gradient `input`, one number or one for each, times scale c, or times scale sign(a - b) for delta 0."""
    return slopes(a, b, input, delta, scale)

distance_gradient.loop("distance", least=5000, by=1)(
    lambda loops, input, a, b, delta, scale: loops.slopes(input, a, b, delta, scale) if a.shape == b.shape and input.size in (1, a.size)
    else NotImplemented)


@in_blocks
def slopes(a, b, g, delta, scale):
    d = a - b
    if delta == 0:
        d = sign(d)
    elif delta < inf:
        d = d.clip(-delta, delta)
    d *= g * scale if g.ndim == 0 else g
    if g.ndim and scale != 1:
        d *= scale
    return d


@distance_gradient.joint_vjp
def _(g, input, a, b, delta, scale, wanted):
    bend = (zero if delta == 0 else lambda x: x)(g * input * scale)
    if 0 < delta < inf:
        bend = only(bend, abs(a - b) < delta)
    return distance_gradient(g, a, b, delta, scale) if 0 in wanted else None, bend, -bend


for _delta, _scale in (inf, 1.0), (inf, 0.5), (0, 1.0), (0.5, 2.0), (1.0, 1.0):
    for _reduction in ("none", "mean", "sum"):
        distance.case(normal(3, 4), normal(3, 4), _delta, _scale, _reduction)
    distance_gradient.case(normal(3, 4), normal(3, 4), normal(3, 4), _delta, _scale)
    distance_gradient.case(normal(), normal(3, 4), normal(3, 4), _delta, _scale)
distance.case(normal(90, 60), normal(90, 60), inf, 1.0, "mean")
distance.case(normal(0, 4), normal(0, 4), inf, 1.0, "sum")
