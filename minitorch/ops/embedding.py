"""Tables of vectors looked up by number: embedding, embedding_bag, and one_hot, the same as a matrix of zeros and ones."""
import numpy as np

from .. import dtypes
from ..autograd.op import composed, op
from ..backend import xp
from ..cases import integers, normal
from ..tensor import Tensor
from .gather import in_range
from .rows import rows_into, rows_of


@op(home="", called="embedding")
def lookup(weight, index, /, padding=None, by_frequency=False):
    """The rows of `weight` that `index` names; row `padding` gets no gradient.

    by_frequency: a row's gradient is divided by the number of times it was named.
    """
    return weight.take(index, axis=0)

lookup.vjp(lambda g, index, weight_shape, padding, by_frequency:
           table_gradient(g, index, shape=weight_shape, padding=padding, by_frequency=by_frequency))
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
table_gradient.case(normal(2, 4, 3), integers(2, 4), shape=(5, 3))
table_gradient.case(normal(6, 3), integers(6), shape=(5, 3), padding=2)
table_gradient.case(normal(6, 3), integers(6), shape=(5, 3), by_frequency=True)


@op(home="", numbers="half", called="embedding")
def vectors_back(input, index, /, padding=None, by_frequency=False):
    """The transpose of table_gradient: lookup, with zeros for row `padding`, each row divided by how often it is named."""
    y = input.take(index, axis=0)
    if by_frequency:
        y /= counts(index, input.shape[0], y).take(index, axis=0)
    if padding is not None:
        y[index == padding] = 0
    return y

vectors_back.vjp(lambda g, index, input_shape, padding, by_frequency:
                 table_gradient(g, index, shape=input_shape, padding=padding, by_frequency=by_frequency))
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


def indices(name, index, weight):
    """`index` if it holds row numbers of the matrix `weight`; RuntimeError or IndexError otherwise."""
    if index.array.dtype.name not in ("int64", "int32"):
        raise RuntimeError(f"Expected tensor for argument #1 'indices' to have one of the following scalar types: Long, Int; "
                           f"but got {index.dtype} instead (while checking arguments for {name})")
    if weight.ndim != 2:
        raise RuntimeError(f"'weight' must be 2-D, not of shape {list(weight.shape)}")
    if index.array.size and not in_range(index.array, weight.array.shape[0]):
        raise IndexError(f"{name}: index out of range in self: there are {weight.shape[0]} rows")
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
