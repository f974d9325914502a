"""Tables of vectors looked up by number: embedding, embedding_bag, and one_hot, the same as a matrix of zeros and ones."""
import numpy as np

from .. import dtypes
from ..autograd.op import composed, op
from ..backend import xp
from ..cases import integers, normal
from ..tensor import wrap
from .rows import POSITIONS, in_range, rows_into, taken
from .scatter_reduce import scatter_reduce


@op(home="", called="embedding")
def lookup(weight, index, /, padding=None, by_frequency=False):
    """The rows of `weight` that `index` names; row `padding` gets no gradient.

    by_frequency: a row's gradient is divided by the number of times it was named.
    """
    return taken(weight, index)

lookup.vjp(lambda g, index, weight_shape, padding, by_frequency:
           table_gradient(g, index, shape=weight_shape, padding=padding, by_frequency=by_frequency))
lookup.kernel("embedding")(lambda kernels, weight, index, padding=None, by_frequency=False: kernels.embedding(index, weight))
lookup.case(normal(5, 3), integers(2, 4))
lookup.case(normal(5, 3), integers(6, high=3), padding=4)
lookup.case(normal(5, 3), np.array([3, 0, 4]), by_frequency=True)


@op(home="", numbers="half", called="embedding")
def table_gradient(input, index, /, shape, padding=None, by_frequency=False):
    """Zeros of `shape` to which the vectors of `input` are added at the rows that `index` names: the transpose of lookup."""
    y = rows_into(input, index, shape=shape, dim=0)
    if by_frequency:
        y /= counts(index, shape[0], y)
    if padding is not None:
        y[padding] = 0
    return y

table_gradient.vjp(lambda g, index, padding, by_frequency: vectors_back(g, index, padding=padding, by_frequency=by_frequency))


@table_gradient.kernel("embedding")
def _(kernels, input, index, shape, padding=None, by_frequency=False):
    return NotImplemented if by_frequency else kernels.embedding_backward(input, index, shape[0], padding)


table_gradient.case(normal(2, 4, 3), integers(2, 4), shape=(5, 3))
table_gradient.case(normal(6, 3), integers(6), shape=(5, 3), padding=2)
table_gradient.case(normal(6, 3), integers(6), shape=(5, 3), by_frequency=True)


@op(home="", numbers="half", called="embedding")
def vectors_back(input, index, /, padding=None, by_frequency=False):
    """The transpose of table_gradient: lookup, with zeros for row `padding`, each row divided by how often it is named."""
    y = taken(input, index)
    if by_frequency:
        y /= counts(index, input.shape[0], y).take(index, axis=0)
    if padding is not None:
        y[index == padding] = 0
    return y

vectors_back.vjp(lambda g, index, input_shape, padding, by_frequency:
                 table_gradient(g, index, shape=input_shape, padding=padding, by_frequency=by_frequency))


@vectors_back.kernel("embedding")
def _(kernels, input, index, padding=None, by_frequency=False):
    return NotImplemented if by_frequency else kernels.embedding(index, input, padding)


vectors_back.case(normal(5, 3), integers(2, 4))
vectors_back.case(normal(5, 3), integers(6), padding=2)
vectors_back.case(normal(5, 3), integers(6), by_frequency=True)


def counts(index, n, like):
    """How often each of 0 ... n - 1 is in `index`, at least 1, as a column in the dtype of `like`."""
    return xp(index).bincount(index.reshape(-1), minlength=n).clip(1).astype(like.dtype).reshape(-1, 1)


@composed(home="functional", method=False)
def embedding(input, weight, padding_idx=None, max_norm=None, norm_type=2.0, scale_grad_by_freq=False, sparse=False):
    """The rows of `weight` (V, D) at the positions `input`, of any shape (...): (..., D).

    padding_idx: a row that gets no gradient.  max_norm: rows that are used and whose norm_type-norm is larger are first
    scaled down to it, in place.  scale_grad_by_freq: divides a row's gradient by its number of uses in `input`.
    IndexError for a position outside.  `sparse` has no effect: gradients are dense.
    """
    index = indices("embedding", input, weight)
    if padding_idx is not None:
        assert -weight.shape[0] <= padding_idx < weight.shape[0], "Padding_idx must be within num_embeddings"
        padding_idx %= weight.shape[0]
    if max_norm is not None:
        renormalize(weight, input.array, max_norm, norm_type)
    return lookup(weight, index, padding=padding_idx, by_frequency=scale_grad_by_freq)

embedding.case(integers(2, 4), normal(5, 3))
embedding.case(integers(6, high=3), normal(5, 3), padding_idx=-2)
embedding.case(np.array([[1, 3], [0, 2]]), normal(4, 20), scale_grad_by_freq=True)


def indices(name, index, weight, outside=IndexError, rank=RuntimeError):
    """`index` if it holds row numbers of the matrix `weight`; RuntimeError, `outside` or (for no matrix) `rank` otherwise."""
    if index.array.dtype not in POSITIONS:
        raise RuntimeError(f"Expected tensor for argument #1 'indices' to have one of the following scalar types: Long, Int; "
                           f"but got {index.dtype} instead (while checking arguments for {name})")
    if weight.ndim != 2:
        raise rank(f"'weight' must be 2-D, not of shape {list(weight.shape)}")
    if index.array.size and not in_range(index.array, weight.array.shape[0]):
        raise outside(f"{name}: index out of range in self: there are {weight.shape[0]} rows")
    return index


def renormalize(weight, index, max_norm, p):
    """Scale the rows of `weight` in use down, in place and unrecorded, to a p-norm of at most max_norm."""
    library = xp(index)
    used = library.unique(index)
    rows = weight.array[used]
    norms = library.linalg.norm(rows, ord=p, axis=1, keepdims=True)
    weight.array[used] = library.where(norms > max_norm, rows * (max_norm / (norms + 1e-7)), rows)
    weight.counter[0] = list.__getitem__(weight.counter, 0) + 1


@composed(home="functional", method=False)
def embedding_bag(input, weight, offsets=None, max_norm=None, norm_type=2, scale_grad_by_freq=False, mode="mean", sparse=False,
                  per_sample_weights=None, include_last_offset=False, padding_idx=None):
    """The sum, mean or max of the rows of `weight` (V, D) in each bag of `input`: (B, D); zeros for an empty bag.

    input: (B, N), a bag in each row; or (L,), where bag b starts at offsets[b] (include_last_offset: the last one only ends).
    per_sample_weights, in the shape of `input`, multiply the rows (mode "sum").  padding_idx: entries that count as absent.
    """
    if not weight.dtype.is_floating_point:
        raise RuntimeError("Expected tensor for argument #1 'weight' to have one of the following scalar types: Half, BFloat16, Float, Double; "
                           f"but got {weight.dtype} instead (while checking arguments for embedding_bag)")
    if mode not in ("sum", "mean", "max"):
        raise ValueError(f"mode has to be one of sum, mean or max, not {mode!r}")
    if per_sample_weights is not None and mode != "sum":
        raise NotImplementedError(f"embedding_bag: per_sample_weights was not None, but is only supported for mode='sum', not {mode!r}")
    if per_sample_weights is not None and per_sample_weights.shape != input.shape:
        raise ValueError(f"embedding_bag: If per_sample_weights ({list(per_sample_weights.shape)}) is not None, then it must have the same "
                         f"shape as the input ({list(input.shape)})")
    bag, bags = bag_of(input, offsets, include_last_offset)
    index = indices("embedding_bag", input.reshape(-1), weight, RuntimeError, ValueError)
    if max_norm is not None:
        renormalize(weight, index.array, max_norm, norm_type)
    if per_sample_weights is not None:
        per_sample_weights = per_sample_weights.reshape(-1)
    if padding_idx is not None:
        there = xp(index.array).flatnonzero(index.array != padding_idx % weight.shape[0])
        index, bag = index[there], bag[there]
        per_sample_weights = per_sample_weights[there] if per_sample_weights is not None else None
    rows = lookup(weight, index, by_frequency=scale_grad_by_freq)
    if per_sample_weights is not None:
        rows = rows * per_sample_weights.unsqueeze(-1)
    shape = (bags, weight.shape[1])
    if mode == "max":
        where = wrap(bag.reshape(-1, 1)).expand(rows.shape)
        return scatter_reduce(weight.new_zeros(shape), 0, where, rows, "amax", include_self=False)
    y = rows_into(rows, bag, shape=shape, dim=0)
    return y / counts(bag, bags, y.array) if mode == "mean" else y

embedding_bag.case(integers(2, 4), normal(5, 3))
embedding_bag.case(integers(6), normal(5, 3), np.array([0, 2, 2]), mode="sum", per_sample_weights=normal(6))
embedding_bag.case(integers(6), normal(5, 3), np.array([0, 4, 6]), mode="max", include_last_offset=True)
embedding_bag.case(integers(3, 4), normal(5, 3), padding_idx=2, mode="sum")


def bag_of(input, offsets, include_last_offset):
    """(the number of the bag of each entry of `input`, how many bags there are)"""
    library = xp(input.array)
    if input.ndim == 2:
        if offsets is not None:
            raise ValueError("if input is 2D, then offsets has to be None, as input is treated is a mini-batch of fixed length sequences.")
        return library.arange(input.array.size) // max(input.shape[1], 1), input.shape[0]
    if input.ndim != 1:
        raise ValueError(f"input has to be 1D or 2D Tensor, but got Tensor of dimension {input.ndim}")
    if offsets is None or offsets.ndim != 1:
        raise ValueError("offsets has to be a 1D Tensor where input is 1D")
    starts = offsets.array[:-1] if include_last_offset else offsets.array
    if not starts.size or int(starts[0]) != 0 or int(starts[-1]) > input.array.size:
        raise RuntimeError(f"offsets must start with 0, and end before the length of input, {input.array.size}: {offsets.array.tolist()}")
    return library.searchsorted(starts, library.arange(input.array.size), side="right") - 1, starts.size


@composed(home="functional", method=False)
def one_hot(tensor, num_classes=-1):
    """A new last axis of size num_classes (-1: the largest entry + 1) with 1 at the position `tensor` names and 0 elsewhere; int64."""
    index = tensor.array
    if index.dtype.name != "int64":
        raise RuntimeError(f"one_hot is only applicable to index tensor of type LongTensor, not {tensor.dtype}")
    if index.size == 0 and num_classes <= 0:
        raise RuntimeError("Can not infer total number of classes from empty tensor.")
    if index.size and int(index.min()) < 0:
        raise RuntimeError("Class values must be non-negative.")
    if num_classes == -1:
        num_classes = int(index.max()) + 1
    elif num_classes < 1 or index.size and int(index.max()) >= num_classes:
        raise RuntimeError(f"Class values must be smaller than num_classes: {int(index.max()) if index.size else '-'}, {num_classes}")
    return one_hot_of(tensor, classes=num_classes)

one_hot.case(integers(2, 3))
one_hot.case(integers(4), 7)
one_hot.case(integers(), num_classes=5)
one_hot.case(np.array([3, 1]), 4)


@op(home="", differentiable=False, called="one_hot")
def one_hot_of(input, /, classes):
    """1 where the last axis, 0 ... classes - 1, equals `input`."""
    return (input[..., None] == xp(input).arange(classes)).astype(dtypes.I64)

one_hot_of.case(integers(2, 3), classes=5)
