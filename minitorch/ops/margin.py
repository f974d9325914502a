"""Distances between vectors, and the losses that ask for a margin."""
import numpy as np

from .. import dtypes
from ..autograd.mode import no_grad
from ..autograd.op import composed
from ..backend import xp
from ..cases import Draw, integers, normal
from ..tensor import wrap
from .loss import reduced, reduction_of, require_tensors
from .sigmoid import logsigmoid
from .strides import broadcast_tensors


class signs(Draw):
    """1 or -1, evenly: not to be differentiated."""
    differentiable = False

    def draw(self, rng):
        return np.asarray(rng.integers(0, 2, size=self.shape) * 2 - 1)


@composed(home="torch functional", method=False)
def pairwise_distance(x1, x2, p=2.0, eps=1e-6, keepdim=False):
    """The p-norm of x1 - x2 + eps over the last axis."""
    require_tensors("pairwise_distance", x1=x1, x2=x2)
    return (x1 - x2 + eps).norm(p, -1, keepdim)


@composed(home="torch functional", method=False)
def cosine_similarity(x1, x2, dim=1, eps=1e-8):
    """The cosine of the angle between vectors along `dim`: x1 . x2 / (max(|x1|, eps) max(|x2|, eps))."""
    require_tensors("cosine_similarity", x1=x1, x2=x2)
    if x1.shape != x2.shape or x1.dtype is not x2.dtype:
        dtype = dtypes.promote_types(x1.dtype, x2.dtype)
        x1, x2 = [x.to(dtype) for x in broadcast_tensors(x1, x2)]
    return (x1 / raised_norm(x1, dim, eps) * (x2 / raised_norm(x2, dim, eps))).sum(dim)


def raised_norm(x, dim, eps):
    """max(|x|, eps), its gradient everywhere that of |x|."""
    length = x.norm(2, dim, keepdim=True)
    with no_grad():
        lift = length.clamp_min(eps) - length
    return length + lift


@composed(home="functional")
def cosine_embedding_loss(input1, input2, target, margin=0, size_average=None, reduce=None, reduction="mean"):
    """1 - cosine where target is 1, max(0, cosine - margin) where it is -1: (N, D), (N, D), (N,)."""
    require_tensors("cosine_embedding_loss", input1=input1, input2=input2, target=target)
    reduction = reduction_of(size_average, reduce, reduction)
    if target.ndim > 1:
        raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
    if input1.ndim != target.ndim + 1 or input2.ndim != target.ndim + 1:
        raise RuntimeError(f"{target.ndim}D target tensor expects {target.ndim + 1}D input tensors, but found inputs with sizes "
                           f"{list(input1.shape)} and {list(input2.shape)}.")
    length2 = ((input1 * input1).sum(-1) + 1e-12) * ((input2 * input2).sum(-1) + 1e-12)
    cosine = (input1 * input2).sum(-1) / length2.sqrt()
    loss = (1 - cosine).masked_fill(target != 1, 0.0) + (cosine - margin).clamp_min(0).masked_fill(target != -1, 0.0)
    return reduced(loss, reduction)


@composed(home="functional")
def hinge_embedding_loss(input, target, margin=1.0, size_average=None, reduce=None, reduction="mean"):
    """x where target is 1, max(0, margin - x) where it is -1."""
    require_tensors("hinge_embedding_loss", input=input, target=target)
    reduction = reduction_of(size_average, reduce, reduction)
    hinge = (-input + margin).to(input.dtype)        # integers stay integers
    return reduced(hinge.clamp_min(0).masked_fill(target == 1, 0.0) + input.masked_fill(target == -1, 0.0), reduction)


@composed(home="functional")
def margin_ranking_loss(input1, input2, target, margin=0, size_average=None, reduce=None, reduction="mean"):
    """max(0, -target (x1 - x2) + margin): target 1 wants x1 to be larger, -1 x2."""
    require_tensors("margin_ranking_loss", input1=input1, input2=input2, target=target)
    reduction = reduction_of(size_average, reduce, reduction)
    if not input1.ndim == input2.ndim == target.ndim:
        raise RuntimeError("margin_ranking_loss : All input tensors should have same dimension but got sizes: "
                           f"input1: {input1.shape}, input2: {input2.shape}, target: {target.shape} ")
    return reduced((-target * (input1 - input2) + float(margin)).clamp_min(0), reduction)


def same_axes(anchor, positive, negative):
    """RuntimeError for tensors of different numbers of axes."""
    if not anchor.ndim == positive.ndim == negative.ndim:
        raise RuntimeError("The anchor, positive, and negative tensors are expected to have the same number of dimensions, but got: "
                           f"anchor {anchor.ndim}D, positive {positive.ndim}D, and negative {negative.ndim}D inputs")


@composed(home="functional")
def triplet_margin_loss(anchor, positive, negative, margin=1.0, p=2, eps=1e-6, swap=False, size_average=None, reduce=None, reduction="mean"):
    """max(0, |anchor - positive| - |anchor - negative| + margin); swap: with the nearer of anchor and positive to negative."""
    require_tensors("triplet_margin_loss", anchor=anchor, positive=positive, negative=negative)
    same_axes(anchor, positive, negative)
    return triplet(anchor, positive, negative, lambda a, b: pairwise_distance(a, b, p, eps), margin, swap,
                   reduction_of(size_average, reduce, reduction))


@composed(home="functional")
def triplet_margin_with_distance_loss(anchor, positive, negative, *, distance_function=None, margin=1.0, swap=False, reduction="mean"):
    """triplet_margin_loss for any distance_function(a, b); pairwise_distance by default."""
    require_tensors("triplet_margin_with_distance_loss", anchor=anchor, positive=positive, negative=negative)
    same_axes(anchor, positive, negative)
    return triplet(anchor, positive, negative, distance_function or pairwise_distance, margin, swap, reduction_of(None, None, reduction))


def triplet(anchor, positive, negative, distance, margin, swap, reduction):
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    far = distance(anchor, negative)
    if swap:
        far = far.minimum(distance(positive, negative))
    return reduced((distance(anchor, positive) - far + margin).clamp_min(0), reduction)


@composed(home="functional")
def soft_margin_loss(input, target, size_average=None, reduce=None, reduction="mean"):
    """log(1 + e^(-target x)), target 1 or -1."""
    require_tensors("soft_margin_loss", input=input, target=target)
    if not input.dtype.is_floating_point:
        raise RuntimeError(f"result type float can't be cast to the desired output type {input.dtype.name}")
    terms = input * (-target if target.dtype is not dtypes.bool else -target.to(input.dtype))
    if terms.shape != input.shape:
        raise RuntimeError(f"output with shape {list(input.shape)} doesn't match the broadcast shape {list(terms.shape)}")
    return reduced(terms.exp().log1p(), reduction_of(size_average, reduce, reduction))


@composed(home="functional")
def multi_margin_loss(input, target, p=1, margin=1.0, weight=None, size_average=None, reduce=None, reduction="mean"):
    """The sum over the wrong classes c of max(0, margin - x[target] + x[c])^p / C, times weight[target]: (N, C), (N,)."""
    require_tensors("multi_margin_loss", input=input, target=target)
    reduction = reduction_of(size_average, reduce, reduction)
    if p not in (1, 2):
        raise ValueError("only p == 1 and p == 2 supported")
    if input.ndim not in (1, 2) or 0 in input.shape[-1:] or tuple(target.shape) not in (tuple(input.shape[:-1]), (1,)):
        raise RuntimeError(f"Expected non-empty vector or matrix with optional 0-dim batch size, and a target for each row, but got: "
                           f"{list(input.shape)} and {list(target.shape)}")
    if weight is not None and tuple(weight.shape) != (input.shape[-1],):
        raise RuntimeError(f"inconsistent weight size, expected {input.shape[-1]} but got {list(weight.shape)}")
    x, t, C = input.reshape((-1, input.shape[-1])), target.reshape((-1,)), input.shape[-1]
    if ((t.array < 0) | (t.array >= C)).any():
        raise RuntimeError("target out of range")
    hinge = (margin - x.gather(1, t.unsqueeze(1)) + x).clamp_min(0)
    hinge = hinge if p == 1 else hinge.square()
    hinge = hinge if weight is None else hinge * weight[t].unsqueeze(1)
    right = wrap(xp(t.array).arange(C) == t.array.reshape(-1, 1))
    loss = hinge.masked_fill(right, 0.0).sum(1) / C
    return reduced(loss if input.ndim == 2 else loss.squeeze(0), reduction)


@composed(home="functional")
def multilabel_margin_loss(input, target, size_average=None, reduce=None, reduction="mean"):
    """The sum over right classes r and wrong ones c of max(0, 1 - x[r] + x[c]) / C.

    target (N, C) lists the right classes of each row, up to the first -1.
    """
    require_tensors("multilabel_margin_loss", input=input, target=target)
    reduction = reduction_of(size_average, reduce, reduction)
    if input.ndim not in (1, 2) or input.shape != target.shape:
        raise RuntimeError(f"inconsistent target size: {list(target.shape)} for input of size: {list(input.shape)}")
    lib, C = xp(input.array), input.shape[-1]
    x, t = input.reshape((-1, C)), target.array.reshape(-1, C)
    if ((t < -1) | (t >= C)).any():
        raise RuntimeError("argument #2 'target' is out of range")
    listed = lib.cumsum(t < 0, axis=1) == 0                                # (N, C): before the first -1
    right = ((t[:, :, None] == lib.arange(C)) & listed[:, :, None]).any(axis=1)
    rows = x.gather(1, wrap(lib.where(listed, t, 0))).unsqueeze(2)         # (N, R, 1)
    hinge = (1 - rows + x.unsqueeze(1)).clamp_min(0)                       # (N, R, C)
    counts = wrap(listed[:, :, None] & ~right[:, None, :])
    loss = hinge.masked_fill(counts.logical_not(), 0.0).sum((1, 2)) / C
    return reduced(loss if input.ndim == 2 else loss.squeeze(0), reduction)


@composed(home="functional")
def multilabel_soft_margin_loss(input, target, weight=None, size_average=None, reduce=None, reduction="mean"):
    """The mean over the last axis of binary_cross_entropy_with_logits."""
    require_tensors("multilabel_soft_margin_loss", input=input, target=target)
    reduction = reduction_of(size_average, reduce, reduction)
    loss = -(target * logsigmoid(input) + (1 - target) * logsigmoid(-input))
    return reduced((loss if weight is None else loss * weight).mean(-1), reduction)


pairwise_distance.case(normal(3, 4), normal(3, 4))
pairwise_distance.case(normal(2, 3, 4), normal(3, 4), 1.0, keepdim=True)
pairwise_distance.case(normal(4), normal(4), p=3.0, eps=0.1)
cosine_similarity.case(normal(3, 4), normal(3, 4))
cosine_similarity.case(normal(2, 3, 4), normal(3, 4), dim=-1)
cosine_similarity.case(normal(3, 4), normal(3, 1), 0, 0.01)
cosine_embedding_loss.case(normal(5, 3), normal(5, 3), signs(5))
cosine_embedding_loss.case(normal(3), normal(3), signs(), 0.2)
cosine_embedding_loss.case(normal(5, 3), normal(5, 3), signs(5), -0.5, reduction="none")
hinge_embedding_loss.case(normal(3, 4), signs(3, 4))
hinge_embedding_loss.case(normal(3, 4), signs(3, 4), 0.3, reduction="sum")
hinge_embedding_loss.case(normal(6), signs(6), reduction="none")
margin_ranking_loss.case(normal(6), normal(6), signs(6))
margin_ranking_loss.case(normal(3, 4), normal(3, 4), signs(3, 4), 0.5, reduction="sum")
margin_ranking_loss.case(normal(6), normal(6), signs(6), 1.0, reduction="none")
triplet_margin_loss.case(normal(3, 4), normal(3, 4), normal(3, 4))
triplet_margin_loss.case(normal(3, 4), normal(3, 4), normal(3, 4), 2.0, 1.0, swap=True, reduction="sum")
triplet_margin_loss.case(normal(3, 4), normal(3, 4), normal(3, 4), reduction="none")
triplet_margin_with_distance_loss.case(normal(3, 4), normal(3, 4), normal(3, 4))
triplet_margin_with_distance_loss.case(normal(3, 4), normal(3, 4), normal(3, 4), margin=2.0, swap=True, reduction="sum")
triplet_margin_with_distance_loss.case(normal(3, 4), normal(3, 4), normal(3, 4), reduction="none")
soft_margin_loss.case(normal(3, 4), signs(3, 4))
soft_margin_loss.case(normal(3, 4), signs(3, 4), reduction="sum")
soft_margin_loss.case(normal(3), signs(3), reduction="none")
multi_margin_loss.case(normal(4, 3), integers(4, high=3))
multi_margin_loss.case(normal(4, 3), integers(4, high=3), 2, 0.5, reduction="none")
multi_margin_loss.case(normal(3), integers(high=3), reduction="sum")
multilabel_margin_loss.case(normal(4, 3), integers(4, 3, low=-1, high=3))
multilabel_margin_loss.case(normal(3), integers(3, high=3), reduction="none")
multilabel_margin_loss.case(normal(4, 3), integers(4, 3, low=-1, high=3), reduction="sum")
multilabel_soft_margin_loss.case(normal(4, 3), integers(4, 3, high=2))
multilabel_soft_margin_loss.case(normal(4, 3), integers(4, 3, high=2), normal(3), reduction="none")
multilabel_soft_margin_loss.case(normal(3), integers(3, high=2), reduction="sum")
