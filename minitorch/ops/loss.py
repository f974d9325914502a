"""Losses: how far predictions are from what they should be, as squares, distances and likelihoods."""
import math
import warnings

import numpy as np

from ..autograd.mode import no_grad
from ..autograd.op import composed, op
from ..backend import xp
from ..cases import normal, positive
from ..dtypes import promote_types
from ..tensor import Tensor
from ..blocks import in_blocks
from .choose import choose, only
from .distance import distance
from .elementwise import abs
from .exponential import log
from .powers import square
from .strides import broadcast_tensors


def reduction_of(size_average, reduce, reduction):
    """The reduction's name, also from the two flags that it replaced; ValueError for another."""
    if size_average is not None or reduce is not None:
        size_average, reduce = size_average is None or size_average, reduce is None or reduce
        reduction = "none" if not reduce else "mean" if size_average else "sum"
        warnings.warn(f"size_average and reduce args will be deprecated, please use reduction='{reduction}' instead.", stacklevel=3)
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not a valid value for reduction")
    return reduction


def reduced(loss, reduction):
    """`loss` as it is, its mean or its sum."""
    return loss.mean() if reduction == "mean" else loss.sum() if reduction == "sum" else loss


def require_tensors(name, **tensors):
    for label, t in tensors.items():
        if not isinstance(t, Tensor):
            raise TypeError(f"{name}(): argument '{label}' must be Tensor, not {type(t).__name__}")


def pair(name, input, target, promoted=True):
    """Both sides of a loss, with PyTorch's warning where their sizes differ; promoted: brought to one dtype."""
    require_tensors(name, input=input, target=target)
    if input.shape != target.shape:
        warnings.warn(f"Using a target size ({target.shape}) that is different to the input size ({input.shape}). This will likely lead to "
                      "incorrect results due to broadcasting. Please ensure they have the same size.", stacklevel=4)
        input, target = broadcast_tensors(input, target)
    if promoted and input.dtype is not target.dtype:
        dtype = promote_types(input.dtype, target.dtype)
        input, target = input.to(dtype), target.to(dtype)
    return input, target


FEW = 5000                                           # numbers of which ops of one step each are the fastest


def apart(name, input, target, delta, scale, reduction, simple=None):
    """ops.distance of what two tensors hold; simple: the same for a few differences.  NotImplementedError for integers."""
    input, target = pair(name, input, target)
    if not input.is_floating_point():
        raise NotImplementedError(f"{name} is not implemented for {input.dtype.name}")
    if simple is not None and input.array.size < FEW:
        return reduced(simple(input - target), reduction)
    return distance(input, target, delta=delta, scale=scale, reduction=reduction)


def weighted(loss, weight, reduction):
    """Losses times weights; their mean is over the weights, as in PyTorch."""
    if weight is None:
        return reduced(loss, reduction)
    loss = loss * weight
    return loss.sum() / weight.expand_as(loss).sum() if reduction == "mean" else reduced(loss, reduction)


@composed(home="functional")
def mse_loss(input, target, size_average=None, reduce=None, reduction="mean", weight=None):
    """(input - target)^2."""
    reduction = reduction_of(size_average, reduce, reduction)
    if weight is None:
        return apart("mse_loss", input, target, math.inf, 1.0, reduction, square)
    input, target = pair("mse_loss", input, target)
    return weighted(square(input - target), weight, reduction)


@composed(home="functional")
def l1_loss(input, target, size_average=None, reduce=None, reduction="mean", weight=None):
    """|input - target|."""
    reduction = reduction_of(size_average, reduce, reduction)
    if weight is None and isinstance(input, Tensor) and isinstance(target, Tensor) and input.is_floating_point() and target.is_floating_point():
        return apart("l1_loss", input, target, 0, 1.0, reduction, abs)
    a, b = pair("l1_loss", input, target, promoted=False)          # `-` refuses booleans
    return weighted((a - b).abs(), weight, reduction)


@composed(home="functional")
def smooth_l1_loss(input, target, size_average=None, reduce=None, reduction="mean", beta=1.0):
    """d^2 / (2 beta) where d = |input - target| is below beta, d - beta / 2 elsewhere."""
    reduction = reduction_of(size_average, reduce, reduction)
    if beta < 0:
        raise RuntimeError("smooth_l1_loss does not support negative values for beta.")
    if beta == 0:
        return l1_loss(input, target, reduction=reduction)
    return apart("smooth_l1_loss", input, target, beta, 1 / beta, reduction)


@composed(home="functional")
def huber_loss(input, target, reduction="mean", delta=1.0, weight=None):
    """d^2 / 2 where d = |input - target| is below delta, delta (d - delta / 2) elsewhere (Huber 1964)."""
    reduction = reduction_of(None, None, reduction)
    if delta <= 0:
        raise RuntimeError("huber_loss does not support non-positive values for delta.")
    if weight is None:
        return apart("huber_loss", input, target, delta, 1.0, reduction)
    return reduced(apart("huber_loss", input, target, delta, 1.0, "none") * weight, reduction)


@composed(home="functional")
def poisson_nll_loss(input, target, log_input=True, full=False, size_average=None, eps=1e-8, reduce=None, reduction="mean"):
    """e^x - t x for the logarithm x of a rate, or (log_input=False) x - t log(x + eps); full: plus Stirling's log t! for t > 1."""
    reduction = reduction_of(size_average, reduce, reduction)
    require_tensors("poisson_nll_loss", input=input, target=target)
    loss = input.exp() - target * input if log_input else input - target * (input + eps).log()
    if full:
        stirling = target * target.log() - target + (target * (2 * math.pi)).log() * 0.5
        loss = loss + stirling.masked_fill(target <= 1, 0.0)
    return reduced(loss, reduction)


@composed(home="functional")
def gaussian_nll_loss(input, target, var, full=False, eps=1e-6, reduction="mean"):
    """(log var + (input - target)^2 / var) / 2, var at least eps; full: plus log(2 pi) / 2.  ValueError for a negative variance."""
    reduction = reduction_of(None, None, reduction)
    require_tensors("gaussian_nll_loss", input=input, target=target)
    if not isinstance(var, Tensor):
        var = input.detach() * 0 + var
    if var.shape != input.shape:
        if input.shape[:-1] == var.shape:
            var = var.unsqueeze(-1)
        elif input.shape[:-1] != var.shape[:-1] or var.shape[-1] != 1:
            raise ValueError("var is of incorrect size")
    if not var.dtype.is_floating_point:
        raise RuntimeError(f"gaussian_nll_loss: var must be of a floating dtype, not {var.dtype.name}")
    if (var.array < 0).any():
        raise ValueError("var has negative entry/entries")
    with no_grad():                                  # the gradient passes where var was raised to eps too
        raised = var.clamp_min(eps) - var
    var = var + raised
    loss = (var.log() + (input - target).square() / var) * 0.5
    return reduced(loss + 0.5 * math.log(2 * math.pi) if full else loss, reduction)


@op(numbers="promote", home="", called="kl_div")
def divergence_each(input, other, /):
    """t (log t - input) for t, `other`, of the same shape; -t input where t is 0."""
    return divergence(other, input)

divergence_each.vjp(lambda g, other: -g * other,
                    lambda g, input, other: only(g * log(other), other != 0) + g * (other / other) - g * input)
divergence_each.case(normal(3, 4), positive(3, 4))


@in_blocks
def divergence(t, x):
    library = xp(t)
    y = library.log(t)
    y -= x
    y *= t
    nothing = t == 0
    return choose(nothing, -t * x, y) if library is not np or nothing.any() else y


@composed(home="functional")
def kl_div(input, target, size_average=None, reduce=None, reduction="mean", log_target=False):
    """t (log t - input): the divergence of the distribution of log probabilities `input` from t; log_target: t is given by its logarithm.

    reduction "batchmean" divides the sum by the size of axis 0.
    """
    require_tensors("kl_div", input=input, target=target)
    if not (input.is_floating_point() and target.is_floating_point()):
        raise RuntimeError("kl_div: Integral inputs not supported.")
    batch = reduction == "batchmean"
    reduction = "sum" if batch else reduction_of(size_average, reduce, reduction)
    if reduction == "mean":
        warnings.warn("reduction: 'mean' divides the total loss by both the batch size and the support size. 'batchmean' divides only by the "
                      "batch size, and aligns with the KL div math definition.", stacklevel=2)
    if log_target or input.shape != target.shape:
        loss = target.exp() * (target - input) if log_target else target.xlogy(target) - target * input
    else:
        loss = divergence_each(input, target)
    loss = reduced(loss, reduction)
    return loss / input.shape[0] if batch and input.ndim else loss


mse_loss.case(normal(3, 4), normal(3, 4))
mse_loss.case(normal(3, 4), normal(3, 4), reduction="none")
mse_loss.case(normal(3, 4), normal(3, 4), weight=positive(3, 4))
l1_loss.case(normal(3, 4), normal(3, 4))
l1_loss.case(normal(3, 4), normal(3, 4), reduction="none")
l1_loss.case(normal(3, 4), normal(3, 4), reduction="sum")
l1_loss.case(normal(3, 4), normal(3, 4), weight=positive(3, 4))
smooth_l1_loss.case(normal(3, 4), normal(3, 4))
smooth_l1_loss.case(normal(3, 4), normal(3, 4), reduction="none", beta=0.5)
smooth_l1_loss.case(normal(3, 4), normal(3, 4), reduction="sum", beta=0)
huber_loss.case(normal(3, 4), normal(3, 4))
huber_loss.case(normal(3, 4), normal(3, 4), "none", 0.5)
huber_loss.case(normal(3, 4), normal(3, 4), "mean", 2.0, positive(3, 4))
poisson_nll_loss.case(normal(3, 4), positive(3, 4))
poisson_nll_loss.case(positive(3, 4), positive(3, 4), log_input=False, full=True)
poisson_nll_loss.case(normal(3, 4), positive(3, 4), reduction="none")
gaussian_nll_loss.case(normal(3, 4), normal(3, 4), positive(3, 4))
gaussian_nll_loss.case(normal(3, 4), normal(3, 4), positive(3, 1), True, reduction="sum")
gaussian_nll_loss.case(normal(3, 4), normal(3, 4), positive(3), eps=1.0, reduction="none")
kl_div.case(normal(3, 4), positive(3, 4), reduction="batchmean")
kl_div.case(normal(3, 4), normal(3, 4), reduction="sum", log_target=True)
kl_div.case(normal(3), positive(3), reduction="none")
