"""Cross entropy along the last axis, and its gradient, on the kernels of cross_entropy.cu.

Losses are float32 (float64 for scores in float64), sums too, whatever the scores' type.
"""
import numpy as np

from ..backend import xp
from ..cases import integers, normal, positive
from .proof import proven
from .rows import plan


def launch(name, x, target, ignore_index, label_smoothing, weight, g, dx, version):
    """The losses; the gradient is written to dx, an array of its own, x itself, or None."""
    if not x.ndim or x.shape[:-1] != target.shape:
        raise ValueError(f"{name}: scores (..., C) {x.shape} and classes (...) {target.shape} do not fit")
    if target.dtype != np.int64:
        raise TypeError(f"{name}: classes must be int64, not {target.dtype.name}")
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"{name}: label_smoothing must be between 0 and 1, not {label_smoothing}")
    if weight is not None and (weight.shape != x.shape[-1:] or weight.dtype != x.dtype):
        raise ValueError(f"{name}: weight must be {x.shape[-1:]} in {x.dtype.name}, not {weight.shape} in {weight.dtype.name}")
    if g is not None and (g.shape != target.shape or g.dtype != accumulator(x)):
        raise ValueError(f"{name}: g must be {target.shape} in {accumulator(x).name}, not {g.shape} in {g.dtype.name}")
    loss = xp(x).empty(target.shape, accumulator(x))
    if target.size and not x.size:
        raise ValueError(f"{name}: scores {x.shape} of no classes")
    if x.size:
        p = plan(name, version, target.size, x.shape[-1], (x, dx))
        numbers = p.rows, p.columns, ignore_index, float(label_smoothing)
        if dx is x:
            p.kernel("cross_entropy.cu", "cross_entropy_in_place", x)(p.grid, p.block, (x, target, weight, g, loss, *numbers))
        else:
            p.kernel("cross_entropy.cu", "cross_entropy", x)(p.grid, p.block, (x, target, weight, g, loss, dx, *numbers))
    return loss


def accumulator(x):
    """The dtype of sums over an array's entries."""
    return np.dtype(np.float64 if x.dtype == np.float64 else np.float32)


def cross_entropy_reference(x, target, ignore_index=-100, label_smoothing=0.0, weight=None, g=None, out=None, version=None):
    C, w = x.shape[-1], np.ones(x.shape[-1]) if weight is None else weight
    counts = target != ignore_index
    right = np.eye(C)[np.where(counts, target, 0)]                         # (..., C)
    d = x - x.max(-1, keepdims=True, initial=-np.inf)
    logp = d - np.log(np.exp(d).sum(-1, keepdims=True))
    share = ((1 - label_smoothing) * right + label_smoothing / max(C, 1)) * w * counts[..., None]      # of each class in the loss
    dx = np.exp(logp) * share.sum(-1, keepdims=True) - share
    return -(share * logp).sum(-1), dx if g is None else dx * g[..., None]


@proven(reference=cross_entropy_reference, dtypes="float32 float16 bfloat16")
def cross_entropy(x, target, ignore_index=-100, label_smoothing=0.0, weight=None, g=None, out=None, version=None):
    """(losses, gradient by x) of scores (..., C) and classes (...) in int64: -log softmax(x)[target], and softmax(x) - [c = target].

    ignore_index: a class whose rows give 0.  label_smoothing: the share spread over all classes.  weight: (C,).
    g: (...), the gradient by each loss, 1 if left out: give 1/N for the gradient of a mean.
    out: an array for the gradient; x itself puts it in place of the scores.
    version: held or streamed, or simple (not in place); None chooses.  A class that does not exist gives NaN.
    """
    dx = xp(x).empty(x.shape, x.dtype) if out is None else out
    if dx.shape != x.shape or dx.dtype != x.dtype:
        raise ValueError(f"cross_entropy: out must be {x.shape} in {x.dtype.name}, not {dx.shape} in {dx.dtype.name}")
    if dx is x and version == "simple":
        raise ValueError("cross_entropy: the simple version does not write in place")
    return launch("cross_entropy", x, target, ignore_index, label_smoothing, weight, g, dx, version), dx


@proven(reference=lambda *args, **params: cross_entropy_reference(*args, **params)[0], dtypes="float32 float16 bfloat16")
def cross_entropy_loss(x, target, ignore_index=-100, label_smoothing=0.0, weight=None, version=None):
    """The losses alone, for which scores are read and nothing is written; `cross_entropy` with g gives the gradient later."""
    return launch("cross_entropy_loss", x, target, ignore_index, label_smoothing, weight, None, None, version)


cross_entropy_loss.vjp(lambda g, y, x, target, **params: (cross_entropy(x, target, g=g, **params)[1], None))

for f in (cross_entropy, cross_entropy_loss):
    f.case(normal(5, 77), integers(5, high=77))
    f.case(normal(2, 3, 1), integers(2, 3, high=1))
    f.case(normal(9, 7), integers(9, high=7), ignore_index=2, label_smoothing=0.1, weight=positive(7))
    f.case(normal(3, 128), integers(3, high=128), label_smoothing=0.3)
    f.case(normal(1, 514), integers(1, high=514), label_smoothing=0.1)
    f.case(normal(0, 4), integers(0, high=4))
    f.case(normal(2, 33), integers(2, high=33), version="simple")
    f.case(normal(6, 5), integers(6, high=5), ignore_index=3, label_smoothing=0.2, weight=positive(5), version="simple")
    f.case(normal(2, 77), integers(2, high=77), weight=positive(77), version="streamed")
    f.case(normal(4, 36), integers(4, high=4), ignore_index=3, label_smoothing=0.1, weight=positive(36), version="streamed")
cross_entropy.case(normal(6, 12), integers(6, high=12), ignore_index=5, g=normal(6, full=True))
