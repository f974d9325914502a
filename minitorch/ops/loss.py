"""Losses: how far predictions are from what they should be, as likelihoods or squares."""
import math
import warnings

from .. import dtypes
from ..autograd.mode import no_grad
from ..autograd.op import composed, keep, op
from ..backend import xp
from ..cases import integers, normal, positive, probability
from ..tensor import Tensor, wrap
from .choose import clamp
from .elementwise import log
from .softmax import log_softmax_over


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


# ---- classes ------------------------------------------------------------------------------------------------

def places(target):
    """The index that picks x[n, target[n, ...], ...] out of x (N, C, ...)."""
    lib, n = xp(target), target.ndim
    grid = [lib.arange(m).reshape((1,) * i + (m,) + (1,) * (n - 1 - i)) for i, m in enumerate(target.shape)]
    return (grid[0], target, *grid[1:])


def cross_entropy_reference(input, target):
    return -log_softmax_over(input, dim=1).gather(1, wrap(target).unsqueeze(1)).squeeze(1)


@op(numbers="half", home="", reference=cross_entropy_reference, called="cross_entropy_loss")
def cross_entropy_each(input, target, /):
    """log of the sum over c of e^x[n, c], minus x[n, target[n]]: (N, C, ...), (N, ...) -> (N, ...)."""
    y = input - input.max(axis=1, keepdims=True)
    right = y[places(target)]
    xp(y).exp(y, out=y)
    total = y.sum(axis=1)
    return keep(xp(y).log(total) - right, exps=y, total=total)


@cross_entropy_each.joint_vjp
def _(g, target, exps, total):
    gx = exps * xp(g).expand_dims(g / total, 1)                            # softmax(x) g, and -g at the target
    gx[places(target)] -= g
    return gx, None


cross_entropy_each.case(normal(4, 3), integers(4, high=3))
cross_entropy_each.case(normal(2, 5, 3), integers(2, 3, high=5))


def check_classes(name, input, target, weight, ignore_index):
    """(target with 0 for the ignored, whether each counts or None if all do); PyTorch's refusals. Arrays."""
    t = target.array
    if t.dtype not in (dtypes.I64, dtypes.np.uint8):
        raise RuntimeError(f"expected target dtype to be Long or Byte, but got {target.dtype.name}")
    C = input.shape[1]
    if weight is not None and tuple(weight.shape) != (C,):
        raise RuntimeError(f"weight tensor should be defined either for all {C} classes or no classes but got weight tensor of shape: "
                           f"{list(weight.shape)}")
    if weight is not None and weight.dtype is not input.dtype:
        raise RuntimeError(f"expected scalar type {input.dtype.name} but found {weight.dtype.name}")
    if input.ndim == 2 and t.ndim != 1:
        raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
    if not t.ndim or input.shape[0] != t.shape[0]:
        raise ValueError(f"Expected input batch_size ({input.shape[0]}) to match target batch_size ({t.shape[0] if t.ndim else 0}).")
    if t.shape[1:] != tuple(input.shape[2:]):
        raise RuntimeError(f"Expected target size {[input.shape[0], *input.shape[2:]]}, got {list(t.shape)}")
    t = t if t.dtype == dtypes.I64 else t.astype(dtypes.I64)
    counts = None
    if not t.size or 0 <= t.min() and t.max() < C and not 0 <= ignore_index < C:
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
    if not input.ndim or input.ndim < target.ndim:
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
    single = input.ndim == 1
    if single:
        input, target = input.unsqueeze(0), target.unsqueeze(0)
    t, counts = check_classes("nll_loss", input, target, weight, ignore_index)
    loss = averaged(-input.gather(1, wrap(t).unsqueeze(1)).squeeze(1), t, counts, weight, reduction)
    return loss.squeeze(0) if single and reduction == "none" else loss


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
    return reduced(loss if weight is None else loss * weight, reduction)


@composed(home="functional")
def binary_cross_entropy_with_logits(input, target, weight=None, size_average=None, reduce=None, reduction="mean", pos_weight=None):
    """binary_cross_entropy of sigmoid(input), computed without overflow; pos_weight: the weight of positive targets."""
    from .activation import logsigmoid
    require_tensors("binary_cross_entropy_with_logits", input=input, target=target)
    reduction = reduction_of(size_average, reduce, reduction)
    if target.shape != input.shape:
        raise ValueError(f"Target size ({target.shape}) must be the same as input size ({input.shape})")
    likely = logsigmoid(input)
    loss = (1 - target) * input - (likely if pos_weight is None else ((pos_weight - 1) * target + 1) * likely)
    return reduced(loss if weight is None else loss * weight, reduction)


@composed(home="functional")
def kl_div(input, target, size_average=None, reduce=None, reduction="mean", log_target=False):
    """t (log t - input): the divergence of the distribution of log probabilities `input` from t; log_target: t is given by its logarithm.

    reduction "batchmean" divides the sum by the size of axis 0.
    """
    require_tensors("kl_div", input=input, target=target)
    batch = reduction == "batchmean"
    reduction = "sum" if batch else reduction_of(size_average, reduce, reduction)
    if reduction == "mean":
        warnings.warn("reduction: 'mean' divides the total loss by both the batch size and the support size. 'batchmean' divides only by the "
                      "batch size, and aligns with the KL div math definition.", stacklevel=2)
    loss = target.exp() * (target - input) if log_target else target.xlogy(target) - target * input
    loss = reduced(loss, reduction)
    return loss / input.shape[0] if batch and input.ndim else loss


# ---- numbers ------------------------------------------------------------------------------------------------

def difference(name, input, target):
    """input - target, with PyTorch's warning where their sizes differ."""
    require_tensors(name, input=input, target=target)
    if input.shape != target.shape:
        warnings.warn(f"Using a target size ({target.shape}) that is different to the input size ({input.shape}). This will likely lead to "
                      "incorrect results due to broadcasting. Please ensure they have the same size.", stacklevel=3)
    return input - target


def weighted(loss, weight, reduction):
    """Losses times weights; their mean is over the weights, as in PyTorch."""
    if weight is None:
        return reduced(loss, reduction)
    loss = loss * weight
    return loss.sum() / weight.expand_as(loss).sum() if reduction == "mean" else reduced(loss, reduction)


@composed(home="functional")
def mse_loss(input, target, size_average=None, reduce=None, reduction="mean", weight=None):
    """(input - target)^2."""
    return weighted(difference("mse_loss", input, target).square(), weight, reduction_of(size_average, reduce, reduction))


@composed(home="functional")
def l1_loss(input, target, size_average=None, reduce=None, reduction="mean", weight=None):
    """|input - target|."""
    return weighted(difference("l1_loss", input, target).abs(), weight, reduction_of(size_average, reduce, reduction))


@composed(home="functional")
def smooth_l1_loss(input, target, size_average=None, reduce=None, reduction="mean", beta=1.0):
    """d^2 / (2 beta) where d = |input - target| is below beta, d - beta / 2 elsewhere."""
    reduction = reduction_of(size_average, reduce, reduction)
    if beta < 0:
        raise RuntimeError("smooth_l1_loss does not support negative values for beta.")
    d = difference("smooth_l1_loss", input, target).abs()
    return reduced(d if beta == 0 else (d.square() * (0.5 / beta)).where(d < beta, d - 0.5 * beta), reduction)


@composed(home="functional")
def huber_loss(input, target, reduction="mean", delta=1.0, weight=None):
    """d^2 / 2 where d = |input - target| is below delta, delta (d - delta / 2) elsewhere (Huber 1964)."""
    reduction = reduction_of(None, None, reduction)
    if delta <= 0:
        raise RuntimeError("huber_loss does not support non-positive values for delta.")
    d = difference("huber_loss", input, target).abs()
    return weighted((d.square() * 0.5).where(d < delta, (d - 0.5 * delta) * delta), weight, reduction)


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
        var = wrap(xp(input.array).full(input.shape, var, input.array.dtype))
    if var.shape != input.shape:
        if input.shape[:-1] == var.shape:
            var = var.unsqueeze(-1)
        elif input.shape[:-1] != var.shape[:-1] or var.shape[-1] != 1:
            raise ValueError("var is of incorrect size")
    if (var.array < 0).any():
        raise ValueError("var has negative entry/entries")
    with no_grad():                                  # the gradient passes where var was raised to eps too
        raised = var.clamp_min(eps) - var
    var = var + raised
    loss = (var.log() + (input - target).square() / var) * 0.5
    return reduced(loss + 0.5 * math.log(2 * math.pi) if full else loss, reduction)


cross_entropy.case(normal(4, 3), integers(4, high=3))
cross_entropy.case(normal(2, 5, 3), integers(2, 3, high=5), positive(5), ignore_index=1)
cross_entropy.case(normal(3), integers(high=3), reduction="none")
cross_entropy.case(normal(2, 5, 3), integers(2, 3, high=5), positive(5), ignore_index=1, reduction="none")
cross_entropy.case(normal(4, 3), integers(4, high=3), positive(3), ignore_index=2, label_smoothing=0.1)
cross_entropy.case(normal(4, 3), integers(4, high=3), reduction="sum", label_smoothing=0.3)
cross_entropy.case(normal(2, 5, 3), probability(2, 5, 3), positive(5), label_smoothing=0.1)
cross_entropy.case(normal(4, 3), probability(4, 3), reduction="sum")
nll_loss.case(normal(4, 3), integers(4, high=3))
nll_loss.case(normal(2, 5, 3), integers(2, 3, high=5), positive(5), ignore_index=1)
nll_loss.case(normal(3), integers(high=3), reduction="sum")
nll_loss.case(normal(2, 5, 3), integers(2, 3, high=5), positive(5), ignore_index=1, reduction="none")
binary_cross_entropy.case(probability(3, 4), probability(3, 4))
binary_cross_entropy.case(probability(3, 4), probability(3, 4), positive(4), reduction="sum")
binary_cross_entropy.case(probability(3), probability(3), reduction="none")
binary_cross_entropy_with_logits.case(normal(3, 4), probability(3, 4))
binary_cross_entropy_with_logits.case(normal(3, 4), probability(3, 4), positive(3, 1), reduction="sum", pos_weight=positive(4))
binary_cross_entropy_with_logits.case(normal(3), probability(3), reduction="none")
kl_div.case(normal(3, 4), positive(3, 4), reduction="batchmean")
kl_div.case(normal(3, 4), normal(3, 4), reduction="sum", log_target=True)
kl_div.case(normal(3), positive(3), reduction="none")
mse_loss.case(normal(3, 4), normal(3, 4))
mse_loss.case(normal(3, 4), normal(3, 4), reduction="none")
mse_loss.case(normal(3, 4), normal(3, 4), weight=positive(3, 4))
l1_loss.case(normal(3, 4), normal(3, 4))
l1_loss.case(normal(3, 4), normal(3, 4), reduction="none")
l1_loss.case(normal(3, 4), normal(3, 4), reduction="sum")
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
