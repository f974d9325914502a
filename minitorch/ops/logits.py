"""The loss of yes or no, of logits: (1 - t) x + log(1 + e^-x) for targets t, with its sum by blocks, and its gradient in one step."""
from math import prod

import numpy as np

from ..autograd.op import op
from ..backend import xp
from ..cases import normal, probability
from ..blocks import by_blocks, in_blocks
from .distance import reduced
from .elementwise import neg
from .sigmoid import sigmoid, sigmoid_gradient


def softplus_of_minus(x):
    """log(1 + e^-x) without overflow."""
    library = xp(x)
    y = library.log1p(library.exp(-abs(x)))
    y -= library.minimum(x, 0)
    return y


def losses(x, t):
    y = 1 - t
    y *= x
    y += softplus_of_minus(x)
    return y


each = in_blocks(losses)


def total(x, t):
    """The sum of the losses."""
    if x.size < 10000 or type(x) is not np.ndarray:
        return losses(x, t).sum()
    x, t = x.reshape(-1), t.reshape(-1)
    return sum(by_blocks(lambda part: float(losses(x[part], t[part]).sum()), x.size))


@op(numbers="promote", home="", called="binary_cross_entropy_with_logits")
def of_logits(input, other, /, reduction):
    """(1 - t) x + log(1 + e^-x) for logits x and targets t of one shape; reduction: "none", or their "mean" or "sum"."""
    if reduction == "none":
        return each(input, other)
    return xp(input).asarray(reduced(total(input, other), input.size, input.dtype, 1, reduction))


@of_logits.joint_vjp
def _(g, input, other, input_shape, reduction, wanted):
    if reduction == "mean":
        g = g * (1 / max(prod(input_shape), 1))
    return logits_gradient(g, input, other) if 0 in wanted else None, neg(g * input) if 1 in wanted else None


@of_logits.loop("logits", least=5000, single=True)
def _(loops, input, other, reduction):
    if reduction == "none":
        return loops.losses(input, other)
    return np.asarray(reduced(loops.total(input, other), input.size, input.dtype, 1, reduction))


@op(numbers="promote", home="", called="binary_cross_entropy_with_logits_backward")
def logits_gradient(input, x, t, /):
    """The losses' gradient `input`, one number or one for each, times sigmoid(x) - t."""
    return slopes(x, t, input)

logits_gradient.vjp(lambda g, x, t: logits_gradient(g, x, t),
                    lambda g, input, x: sigmoid_gradient(g * input, sigmoid(x)),
                    lambda g, input: -g * input)
logits_gradient.loop("logits", least=5000, single=True, by=1)(lambda loops, input, x, t: loops.slopes(input, x, t))


@in_blocks
def slopes(x, t, g):
    library = xp(x)
    y = library.exp(-x)
    y += 1
    y = 1 / y
    y -= t
    y *= g
    return y


for _reduction in ("none", "mean", "sum"):
    of_logits.case(normal(3, 4), probability(3, 4), _reduction)
logits_gradient.case(normal(3, 4), normal(3, 4), probability(3, 4))
logits_gradient.case(normal(), normal(3, 4), probability(3, 4))
