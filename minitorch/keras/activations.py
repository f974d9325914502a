"""Activations by Keras' names: functions of a tensor, found by a string.

softmax and sigmoid leave their argument, the logits, on what they return: the cross entropies compute from it, which is
accurate where a probability is all but 0 or 1.
"""
import minitorch as torch

from ..nn import functional as F
from .registry import resolver


def linear(x):
    """x."""
    return x


def relu(x, negative_slope=0.0, max_value=None, threshold=0.0):
    """x above the threshold, negative_slope * (x - threshold) below it, at most max_value."""
    if not (negative_slope or threshold):
        return F.relu(x) if max_value is None else x.clamp(0, max_value)
    y = torch.where(x > threshold if threshold > 0 else x >= threshold, x, negative_slope * (x - threshold))
    return y if max_value is None else y.clamp(max=max_value)


def with_logits(y, x, kind):
    y._keras_logits = (kind, x)
    return y


def softmax(x, axis=-1):
    """e^x over its sum along the axis."""
    if isinstance(axis, (tuple, list)):
        e = torch.exp(x - x.amax(tuple(axis), keepdim=True))
        return e / e.sum(tuple(axis), keepdim=True)
    y = F.softmax(x, axis)
    return with_logits(y, x, "softmax") if axis in (-1, x.ndim - 1) else y


def sigmoid(x):
    """1 / (1 + e^-x)."""
    return with_logits(torch.sigmoid(x), x, "sigmoid")


def tanh(x):
    """The hyperbolic tangent."""
    return torch.tanh(x)


def log_softmax(x, axis=-1):
    """log(softmax(x))."""
    return F.log_softmax(x, axis)


def softplus(x):
    """log(1 + e^x)."""
    return torch.logaddexp(x, torch.zeros_like(x))


def softsign(x):
    """x / (1 + |x|)."""
    return F.softsign(x)


def exponential(x):
    """e^x."""
    return torch.exp(x)


def elu(x, alpha=1.0):
    """x above 0, alpha (e^x - 1) below."""
    return F.elu(x, alpha)


def selu(x):
    """The scaled exponential linear unit (Klambauer et al. 2017)."""
    return F.selu(x)


def gelu(x, approximate=False):
    """x times the normal distribution function of x; approximate: by tanh."""
    return F.gelu(x, approximate="tanh" if approximate else "none")


def silu(x):
    """x sigmoid(x)."""
    return F.silu(x)


def mish(x):
    """x tanh(softplus(x))."""
    return F.mish(x)


def relu6(x):
    """min(max(x, 0), 6)."""
    return F.relu6(x)


def leaky_relu(x, negative_slope=0.2):
    """x above 0, negative_slope x below."""
    return F.leaky_relu(x, negative_slope)


def hard_sigmoid(x):
    """relu6(x + 3) / 6."""
    return F.hardsigmoid(x)


def hard_silu(x):
    """x hard_sigmoid(x)."""
    return F.hardswish(x)


swish, hard_swish = silu, hard_silu

NAMES = {f.__name__: f for f in (linear, relu, softmax, sigmoid, tanh, log_softmax, softplus, softsign, exponential, elu, selu, gelu, silu,
                                 mish, relu6, leaky_relu, hard_sigmoid, hard_silu)} | {"swish": silu, "hard_swish": hard_silu}
by_name = resolver("activation", NAMES)


def get(identifier):
    """The activation that a name or a function stands for; None is linear."""
    return linear if identifier is None else by_name(identifier)
