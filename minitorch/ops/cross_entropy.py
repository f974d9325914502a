"""Losses of classes: minus the logarithm of the probability that a network gives to the right one."""
import math

import numpy as np

from .. import dtypes
from ..autograd.op import composed, keep, op
from ..backend import xp
from ..blocks import by_slices
from ..cases import integers, normal, positive, probability
from ..tensor import wrap
from . import row_blocks
from .choose import clamp
from .exponential import log
from .logits import of_logits
from .loss import reduced, reduction_of, require_tensors
from .sigmoid import logsigmoid
from .softmax import check_float, log_softmax_over
from .softmax_blocks import NEAR, exponentials


def places(target):
    """The index that picks x[n, target[n, ...], ...] out of x (N, C, ...)."""
    lib, n = xp(target), target.ndim
    grid = [lib.arange(m).reshape((1,) * i + (m,) + (1,) * (n - 1 - i)) for i, m in enumerate(target.shape)]
    return (grid[0], target, *grid[1:])


def cross_entropy_reference(input, other):
    index = wrap(getattr(other, "array", other)).unsqueeze(1)
    return -log_softmax_over(input, dim=1).gather(1, index).squeeze(1)


def check_scores(input, other):
    check_float(input)


@op(numbers="half", home="", reference=cross_entropy_reference, called="cross_entropy_loss", check=check_scores)
def cross_entropy_each(input, other, /):
    """log of the sum over c of e^x[n, c], minus x[n, other[n]]: (N, C, ...), (N, ...) -> (N, ...)."""
    lib, large = xp(input), type(input) is np.ndarray and input.size >= row_blocks.LARGE
    y, (right, total) = lib.empty_like(input), lib.empty((2, *other.shape), input.dtype)

    def part(some):
        exps, shift = exponentials(input[some], y[some], near=NEAR if large else 0)
        right[some] = input[some][places(other[some])]
        if shift is not None:
            right[some] -= shift[:, 0]
        total[some] = row_blocks.sums(exps) if large and exps.ndim == 2 else exps.sum(axis=1)
    by_slices(part, input)
    return keep(lib.log(total) - right, exps=y, total=total)


@cross_entropy_each.joint_vjp
def _(g, input, other, exps, total):
    return cross_entropy_gradient(g, input, other, exps, total), None


@op(numbers="half", home="", differentiable=False, called="cross_entropy_loss_backward")
def cross_entropy_gradient(input, scores, other, exps=None, total=None, /):
    """(softmax(scores) - 1 at the target) times the losses' gradient g; exps: e^scores but for a factor of each row, total: its sums."""
    g, lib = input, xp(input)
    if exps is None:
        exps = lib.exp(scores - scores.max(axis=1, keepdims=True))
        total = exps.sum(axis=1)
    y, scale = lib.empty_like(exps), lib.expand_dims(g / total, 1)

    def part(some):
        lib.multiply(exps[some], scale[some], out=y[some])
        y[some][places(other[some])] -= g[some]
    by_slices(part, y)
    return y


@cross_entropy_each.loop("softmax", least=4000, single=True)
def _(softmax, input, other):
    if input.ndim != 2:
        return NotImplemented
    loss, exps, total = softmax.cross_entropy(input, other)
    return keep(loss, exps=exps, total=total)


@cross_entropy_gradient.loop("softmax", least=4000, single=True, by=1)
def _(softmax, input, scores, other, exps=None, total=None):
    if scores.ndim != 2 or exps is None:
        return NotImplemented
    return softmax.cross_entropy_gradient(input, other, exps, total)


@cross_entropy_each.kernel("cross_entropy")
def _(kernels, input, other):
    if input.ndim != 2:
        return NotImplemented
    return keep(kernels.cross_entropy_loss(input, other).astype(input.dtype, copy=False), exps=None, total=None)


@cross_entropy_gradient.kernel("cross_entropy")
def _(kernels, input, scores, other, exps=None, total=None):
    if scores.ndim != 2 or exps is not None:
        return NotImplemented
    wide = input.astype("f4") if input.dtype.itemsize == 2 else input
    return kernels.cross_entropy(scores, other, g=wide)[1]


cross_entropy_each.case(normal(4, 3), integers(4, high=3))
cross_entropy_each.case(normal(2, 5, 3), integers(2, 3, high=5))
cross_entropy_gradient.case(normal(4), normal(4, 3), integers(4, high=3))
cross_entropy_gradient.case(normal(2, 3), normal(2, 5, 3), integers(2, 3, high=5))
cross_entropy_gradient.case(normal(4), normal(4, 3), integers(4, high=3), positive(4, 3), positive(4))


def check_classes(name, input, target, weight, ignore_index):
    """(target with 0 for the ignored, whether each counts or None if all do); PyTorch's refusals. Arrays."""
    t, C = target.array, input.shape[1]
    if not t.ndim or input.shape[0] != t.shape[0]:
        raise ValueError(f"Expected input batch_size ({input.shape[0]}) to match target batch_size ({t.shape[0] if t.ndim else 0}).")
    if t.dtype not in (dtypes.I64, dtypes.np.uint8):
        raise RuntimeError(f"expected target dtype to be Long or Byte, but got {target.dtype.name}")
    if weight is not None and tuple(weight.shape) != (C,):
        raise RuntimeError(f"weight tensor should be defined either for all {C} classes or no classes but got weight tensor of shape: "
                           f"{list(weight.shape)}")
    if weight is not None and weight.dtype is not input.dtype:
        raise RuntimeError(f"expected scalar type {input.dtype.name} but found {weight.dtype.name}")
    if input.ndim == 2 and t.ndim != 1:
        raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
    if t.shape[1:] != tuple(input.shape[2:]):
        raise RuntimeError(f"Expected target size {[input.shape[0], *input.shape[2:]]}, got {list(t.shape)}")
    t = t if t.dtype == dtypes.I64 else t.astype(dtypes.I64)
    counts = None
    if not t.size or t.min() >= 0 and t.max() < C and not 0 <= ignore_index < C:
        return t, None
    counts = t != ignore_index
    t = xp(t).where(counts, t, 0)
    wrong = (t < 0) | (t >= C)
    if wrong.any():
        raise IndexError(f"Target {int(t[wrong][0])} is out of bounds.")
    return t, counts


def averaged(loss, t, counts, weight, reduction):
    """The losses of single samples, weighted by class, the ignored left out; their mean is over the weights that count."""
    w = None if weight is None else weight[wrap(t)]
    if counts is not None:
        mask = wrap(counts)
        loss = loss.masked_fill(mask.logical_not(), 0.0)
        w = mask.to(loss.dtype) if w is None else w.masked_fill(mask.logical_not(), 0.0)
    if w is None:
        return reduced(loss, reduction)
    loss = loss if weight is None else loss * w
    return loss.sum() / w.sum() if reduction == "mean" else reduced(loss, reduction)


@composed(home="functional")
def cross_entropy(input, target, weight=None, size_average=None, ignore_index=-100, reduce=None, reduction="mean", label_smoothing=0.0):
    """-log softmax(input)[target], by class axis 1: scores (N, C, ...), classes (N, ...) or probabilities (N, C, ...).

    weight: one number a class.  ignore_index: a class that does not count.  label_smoothing: the share of the target that is
    spread over all classes.  reduction: "mean" (weighted), "sum" or "none".  IndexError for a class out of range.
    """
    require_tensors("cross_entropy", input=input, target=target)
    reduction = reduction_of(size_average, reduce, reduction)
    if not 0.0 <= label_smoothing <= 1.0:
        raise RuntimeError(f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing:g}")
    if input.ndim == 1 and target.ndim == 1 and not target.dtype.is_floating_point and target.shape[0] != 1:
        raise ValueError(f"For 1D input, 1D target must have size 1, but got target size: {target.shape[0]}")
    if not input.ndim or input.ndim < target.ndim and input.shape[0] == target.shape[0]:
        raise RuntimeError(f"cross_entropy: expected scores (N, C, ...) and a target (N, ...), got {list(input.shape)} and {list(target.shape)}")
    likely = input.shape == target.shape
    if likely and not target.dtype.is_floating_point:
        raise RuntimeError(f"Expected floating point type for target with class probabilities, got {target.dtype.name}")
    single = input.ndim == 1
    if single:
        input, target = input.unsqueeze(0), target.unsqueeze(0)
    loss = of_probabilities(input, target, weight, reduction, label_smoothing) if likely else \
        of_classes(input, target, weight, ignore_index, reduction, label_smoothing)
    return loss.squeeze(0) if single and reduction == "none" else loss


def by_class(weight, ndim):
    """(C,) in a shape that broadcasts with (N, C, ...)."""
    return weight.reshape((1, -1) + (1,) * (ndim - 2))


def of_classes(input, target, weight, ignore_index, reduction, smoothing):
    t, counts = check_classes("cross_entropy", input, target, weight, ignore_index)
    if not smoothing:
        return averaged(cross_entropy_each(input, wrap(t)), t, counts, weight, reduction)
    logp = log_softmax_over(input, dim=1)
    loss = averaged(-logp.gather(1, wrap(t).unsqueeze(1)).squeeze(1), t, counts, weight, reduction)
    spread = -(logp if weight is None else logp * by_class(weight, logp.ndim)).sum(1)
    if counts is not None:
        spread = spread.masked_fill(wrap(counts).logical_not(), 0.0)
    if reduction == "mean":
        counted = counts if counts is not None else xp(t).ones_like(t)
        spread = spread.sum() / (float(counted.sum()) if weight is None else (weight[wrap(t)] * wrap(counted).to(weight.dtype)).sum())
    else:
        spread = reduced(spread, reduction)
    return loss * (1 - smoothing) + spread * (smoothing / input.shape[1])


def of_probabilities(input, target, weight, reduction, smoothing):
    if smoothing:
        target = target * (1 - smoothing) + smoothing / input.shape[1]
    terms = log_softmax_over(input, dim=1) * target
    loss = -(terms if weight is None else terms * by_class(weight, terms.ndim)).sum(1)
    return loss.sum() / math.prod(loss.shape) if reduction == "mean" else reduced(loss, reduction)


@composed(home="functional")
def nll_loss(input, target, weight=None, size_average=None, ignore_index=-100, reduce=None, reduction="mean"):
    """-input[target] by class axis 1: log probabilities (N, C, ...), classes (N, ...); parameters as cross_entropy's."""
    require_tensors("nll_loss", input=input, target=target)
    reduction = reduction_of(size_average, reduce, reduction)
    if not input.ndim:
        raise ValueError("Expected 1 or more dimensions (got 0)")
    if input.ndim == 1 and target.ndim == 1 and target.shape[0] != 1:
        raise ValueError(f"For 1D input, 1D target must have size 1, but got target size: {target.shape[0]}")
    single = input.ndim == 1
    if single:
        input, target = input.unsqueeze(0), target.unsqueeze(0)
    t, counts = check_classes("nll_loss", input, target, weight, ignore_index)
    loss = averaged(-input.gather(1, wrap(t).unsqueeze(1)).squeeze(1), t, counts, weight, reduction)
    return loss.squeeze(0) if single and reduction == "none" else loss


def not_grown(loss, weight):
    """RuntimeError for weights that broadcasting would make more losses of."""
    if weight is None:
        return
    n = weight.ndim
    if n > loss.ndim or any(m not in (1, k) for m, k in zip(weight.shape, loss.shape[loss.ndim - n:])):
        raise RuntimeError(f"output with shape {list(loss.shape)} doesn't match the broadcast shape of the weight, {list(weight.shape)}")


# ---- yes or no ----------------------------------------------------------------------------------------------

@op(numbers="promote", home="", called="binary_cross_entropy")
def binary_cross_entropy_each(input, other, /):
    """-(t log p + (1 - t) log(1 - p)), the logarithms no smaller than -100."""
    lib = xp(input)
    return -(other * lib.maximum(lib.log(input), -100) + (1 - other) * lib.maximum(lib.log(1 - input), -100))

binary_cross_entropy_each.vjp(lambda g, input, other: g * (input - other) / clamp((1 - input) * input, 1e-12),
                              lambda g, input: g * (log(1 - input) - log(input)))
binary_cross_entropy_each.case(probability(3, 4), probability(3, 4))


@composed(home="functional")
def binary_cross_entropy(input, target, weight=None, size_average=None, reduce=None, reduction="mean"):
    """-(t log p + (1 - t) log(1 - p)) * weight for probabilities p; their logarithms are cut off at -100."""
    require_tensors("binary_cross_entropy", input=input, target=target)
    reduction = reduction_of(size_average, reduce, reduction)
    if target.shape != input.shape:
        raise ValueError(f"Using a target size ({target.shape}) that is different to the input size ({input.shape}) is deprecated. "
                         "Please ensure they have the same size.")
    if target.dtype is not input.dtype:
        raise RuntimeError(f"Found dtype {target.dtype.name} but expected {input.dtype.name}")
    for label, x in (("input", input.array), ("target", target.array)):
        if ((x < 0) | (x > 1)).any():
            raise RuntimeError(f"all elements of {label} should be between 0 and 1")
    loss = binary_cross_entropy_each(input, target)
    not_grown(loss, weight)
    return reduced(loss if weight is None else loss * weight, reduction)


@composed(home="functional")
def binary_cross_entropy_with_logits(input, target, weight=None, size_average=None, reduce=None, reduction="mean", pos_weight=None):
    """binary_cross_entropy of sigmoid(input), computed without overflow; pos_weight: the weight of positive targets."""
    require_tensors("binary_cross_entropy_with_logits", input=input, target=target)
    reduction = reduction_of(size_average, reduce, reduction)
    if target.shape != input.shape:
        raise ValueError(f"Target size ({target.shape}) must be the same as input size ({input.shape})")
    not_grown(input, weight)
    if pos_weight is None and input.is_floating_point() and target.is_floating_point():
        loss = of_logits(input, target, reduction=reduction if weight is None else "none")
        return loss if weight is None else reduced(loss * weight, reduction)
    likely = logsigmoid(input)
    loss = (1 - target) * input - (likely if pos_weight is None else ((pos_weight - 1) * target + 1) * likely)
    return reduced(loss if weight is None else loss * weight, reduction)


cross_entropy.case(normal(4, 3), integers(4, high=3))
cross_entropy.case(normal(2, 5, 3), integers(2, 3, high=5), ignore_index=1)
cross_entropy.case(normal(3), integers(high=3), reduction="none")
cross_entropy.case(normal(2, 5, 3), integers(2, 3, high=5), ignore_index=1, reduction="none")
cross_entropy.case(normal(4, 3), integers(4, high=3), ignore_index=2, label_smoothing=0.1)
cross_entropy.case(normal(4, 3), integers(4, high=3), reduction="sum", label_smoothing=0.3)
cross_entropy.case(normal(2, 5, 3), probability(2, 5, 3), positive(5), label_smoothing=0.1)
cross_entropy.case(normal(4, 3), probability(4, 3), reduction="sum")
nll_loss.case(normal(4, 3), integers(4, high=3))
nll_loss.case(normal(2, 5, 3), integers(2, 3, high=5), ignore_index=1)
nll_loss.case(normal(3), integers(high=3), reduction="sum")
nll_loss.case(normal(2, 5, 3), integers(2, 3, high=5), ignore_index=1, reduction="none")
binary_cross_entropy.case(probability(3, 4), probability(3, 4))
binary_cross_entropy.case(probability(3, 4), probability(3, 4), reduction="sum")
binary_cross_entropy.case(probability(3), probability(3), reduction="none")
binary_cross_entropy_with_logits.case(normal(3, 4), probability(3, 4))
binary_cross_entropy_with_logits.case(normal(3, 4), probability(3, 4), reduction="sum")
binary_cross_entropy_with_logits.case(normal(3), probability(3), reduction="none")
