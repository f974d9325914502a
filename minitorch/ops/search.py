"""Looking numbers up: positions in sorted sequences, membership, counts and histograms.  None has a derivative (but bincount's weights)."""
import numpy as np

from .. import dtypes
from ..autograd.op import composed, op
from ..backend import xp
from ..blocks import by_slices
from ..cases import integers, normal, positive
from ..tensor import Tensor, wrap


@op(differentiable=False, home="", called="searchsorted")
def insertion_points(input, other, /, right):
    """Where the numbers of `other` would go into the sorted rows of `input`, before equal ones (right: behind them).

    `input` is one row for all, or has the leading axes of `other`.  Halving the range, as every row must at the same time.
    """
    if dtypes.is_half(other.dtype):                  # whose NaN is not sorted behind all numbers
        input, other = input.astype(dtypes.F32), other.astype(dtypes.F32)
    if input.ndim == 1:
        y = xp(input).empty(other.shape, dtypes.I64)

        def search(some):
            y[some] = input.searchsorted(other[some], side="right" if right else "left")
        if other.ndim:
            by_slices(search, other)
        else:
            search(())
        return y
    library, n = xp(input), input.shape[-1]
    low, high = library.zeros(other.shape, dtypes.I64), library.full(other.shape, n, dtypes.I64)
    for _ in range(n.bit_length()):                  # input[low - 1] goes before, input[high] does not
        middle = (low + high) // 2
        there = library.take_along_axis(input, middle.clip(0, n - 1), axis=-1)
        before = ~(there > other) if right else there < other
        before &= low < high
        low, high = library.where(before, middle + 1, low), library.where(before, high, middle)
    return low

insertion_points.case(np.array([0.5, 1.0, 2.0, 2.0, 3.5]), positive(3, 4), right=False)
insertion_points.case(np.array([[0.5, 1.0, 2.0], [1.0, 1.2, 1.4]]), positive(2, 5), right=True)


@insertion_points.loop("search", least=10000, by=1)
def _(loops, input, other, right):
    return loops.searchsorted(input, other, bool(right)) if input.ndim == 1 else NotImplemented


@composed(method=False)
def searchsorted(sorted_sequence, input, *, out_int32=False, right=False, side=None, sorter=None):
    """The positions at which the numbers of `input` would keep the rows of sorted_sequence (..., N) sorted.

    sorted_sequence is 1-d, or has the leading axes of `input`.  right=True (side="right"): behind equal entries.
    sorter: positions that sort it, as argsort gives them.
    """
    if side not in (None, "left", "right"):
        raise RuntimeError(f"torch.searchsorted(): side can only be 'left' or 'right' but got {side}")
    if right and side == "left":
        raise RuntimeError("torch.searchsorted(): side and right can't be set to opposites, got side of left while right was True")
    if sorted_sequence.ndim != 1 and not (isinstance(input, Tensor) and sorted_sequence.ndim
                                          and sorted_sequence.shape[:-1] == input.shape[:-1]):
        raise RuntimeError("torch.searchsorted(): boundaries tensor should be 1 dimension or the first N-1 dimensions of boundaries tensor "
                           f"and input value tensor must match, but got {list(sorted_sequence.shape)} and {list(getattr(input, 'shape', []))}")
    if not isinstance(input, Tensor):
        if not isinstance(input, (int, float, np.number)):
            raise TypeError(f"searchsorted(): argument 'input' must be a Tensor or a number, not {type(input).__name__}")
        input = wrap(xp(sorted_sequence.array).asarray(input, dtype=sorted_sequence.array.dtype))
    if sorter is not None:
        if sorter.shape != sorted_sequence.shape:
            raise RuntimeError(f"torch.searchsorted(): boundary and sorter must have the same size, but got {list(sorted_sequence.shape)} "
                               f"and {list(sorter.shape)}")
        sorted_sequence = sorted_sequence.detach().take_along_dim(sorter, -1)
    y = insertion_points(sorted_sequence, input, right=right or side == "right")
    return wrap(y.array.astype("i4")) if out_int32 else y

searchsorted.case(np.array([0.5, 1.0, 2.0, 2.0, 3.5]), positive(3, 4))
searchsorted.case(np.array([[0.5, 1.0, 2.0, 2.0, 4.0], [1.0, 1.2, 1.4, 1.5, 1.6]]), np.array([[2.0, 1.0, 9.0], [1.5, 0.0, 1.45]]), right=True)
searchsorted.case(np.array([1, 3, 5, 7]), np.array([[3, 6], [0, 9]]), side="right", out_int32=True)


@composed(method=False)
def bucketize(input, boundaries, *, out_int32=False, right=False):
    """For each number of `input` how many of the sorted `boundaries` are below it (right=True: at most it)."""
    if boundaries.ndim != 1:
        raise RuntimeError(f"boundaries tensor must be 1 dimension, but got dim({boundaries.ndim})")
    return searchsorted(boundaries, input, out_int32=out_int32, right=right)

bucketize.case(positive(3, 4), np.array([0.5, 1.0, 1.5]))
bucketize.case(np.array([1, 3, 4]), np.array([1, 3, 5]), right=True)
bucketize.case(normal(), np.array([-1.0, 0.0, 1.0]), out_int32=True)


@composed(method=False)
def isin(elements, test_elements, *, assume_unique=False, invert=False):
    """Whether each of `elements` is among `test_elements`; either may be one number."""
    tensors = [t for t in (elements, test_elements) if isinstance(t, Tensor)]
    if not tensors:
        raise TypeError("isin(): elements and test_elements cannot both be numbers")
    a, b = [t.array if isinstance(t, Tensor) else xp(tensors[0].array).asarray(t) for t in (elements, test_elements)]
    return wrap(xp(b).isin(a, b, assume_unique=assume_unique, invert=invert))

isin.case(integers(3, 4), integers(3))
isin.case(integers(6), np.array([1, 4]), invert=True)
isin.case(integers(2, 3), 2)


# ---- counts ------------------------------------------------------------------------------------------------

@composed
def bincount(input, weights=None, minlength=0):
    """How often each of 0, 1, 2 ... is in the 1-d integer tensor `input`, or the sum of its `weights` (in float64, unless float32)."""
    index = input.array
    if index.dtype.kind not in "iu":
        raise NotImplementedError(f"\"bincount_cpu\" not implemented for {input.dtype}")
    if index.ndim != 1 or index.size and int(index.min()) < 0:
        raise RuntimeError("bincount only supports 1-d non-negative integral inputs.")
    if minlength < 0:
        raise RuntimeError("minlength should be >= 0")
    if weights is None:
        return wrap(xp(index).bincount(index, minlength=minlength).astype(dtypes.I64, copy=False))
    if weights.shape != input.shape:
        raise RuntimeError("weights should be 1-d and have the same length as input")
    dtype = weights.array.dtype if weights.array.dtype == dtypes.F32 else dtypes.F64
    return wrap(xp(index).bincount(index, weights.array, minlength).astype(dtype))

bincount.case(integers(10))
bincount.case(integers(10), minlength=8)
bincount.case(integers(10), weights=np.arange(10.0))


@op(differentiable=False, home="", called="histc")
def counted(input, /, bins, low, high):
    """How many numbers fall into each of `bins` equal parts of [low, high], as numbers of their type."""
    x = input.reshape(-1)
    counts = by_slices(lambda part: xp(x).histogram(x[part].astype(dtypes.F64), bins=bins, range=(low, high))[0], x)
    return sum(counts).astype(input.dtype)


@counted.loop("search", least=10000)
def _(loops, input, bins, low, high):
    if bins > input.size or not np.isfinite([low, high]).all():
        return NotImplemented
    return loops.histogram(input, np.linspace(low, high, bins + 1)).astype(input.dtype)

counted.case(normal(20), 5, -2, 2)
counted.case(integers(200, high=9), 4, 1, 5)


@composed
def histc(input, bins=100, min=0, max=0):
    """How many numbers of `input` fall into each of `bins` equal parts of [min, max]; both 0: of the range of `input`."""
    x = input.array
    if not dtypes.is_float(x.dtype):
        raise NotImplementedError(f'"histogram_cpu" not implemented for {input.dtype}')
    if bins <= 0:
        raise RuntimeError("bins must be > 0")
    low, high = (float(x.min()), float(x.max())) if min == max and x.size else (min, max)
    if low == high:
        low, high = low - 1, high + 1
    if not low < high:
        raise RuntimeError("max must be larger than min")
    return wrap(counted(x, bins=int(bins), low=low, high=high))

histc.case(normal(20), bins=5, min=-2, max=2)
histc.case(positive(3, 4), bins=4)
histc.case(np.array([1.0, 1.0]), bins=3)
