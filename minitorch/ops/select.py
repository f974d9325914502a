"""Whole rows and single entries named by an index tensor: index_select and its kin, take, put, index_put."""
import numpy as np

from ..autograd.op import composed
from ..cases import integers, normal
from ..tensor import Tensor
from .dims import axis
from .gather import check_dtypes, from_vectors, gather_along
from .index import INDEXING, aligned, fitted
from .masks import fill_number
from .rows import POSITIONS, in_range, put_rows, rows_added, rows_into, rows_of, slice_of


@composed
def select(input, dim, index):
    """The view at position `index` along `dim`, an axis that goes away. IndexError for a position outside."""
    dim = axis(dim, input.ndim)
    if input.ndim == 0:
        raise IndexError("select() cannot be applied to a 0-dim tensor.")
    n, index = input.array.shape[dim], int(index)
    if not -n <= index < n:
        raise IndexError(f"select(): index {index} out of range for tensor of size {list(input.shape)} at dimension {dim}")
    return slice_of(input, index=(slice(None),) * dim + (index, ...))

select.case(normal(3, 4), 0, 1)
select.case(normal(3, 4), -1, -2)
select.case(normal(2, 3, 4), 1, 2)


def vector(name, index, wrong_dtype=RuntimeError, wrong_rank=IndexError):
    """A tensor of positions, 0-d ones as a single entry; errors of these classes for another dtype or rank."""
    if index.array.dtype not in POSITIONS:
        raise wrong_dtype(f"{name}(): Expected dtype int32/int64 for index, not {index.dtype}")
    if index.ndim > 1:
        raise wrong_rank(f"{name}(): Index is supposed to be a vector, but it has shape {list(index.shape)}")
    return index if index.ndim else index.reshape(1)


@composed
def index_select(input, dim, index):
    """The rows of `input` along `dim` that the vector `index` names. IndexError for a position outside."""
    dim, index = axis(dim, input.ndim), vector("index_select", index)
    x = input if input.ndim else input.reshape(1)
    if index.array.size and not in_range(index.array, x.shape[dim]):
        raise IndexError(f"index_select(): index out of range in self: there are {x.shape[dim]} rows along dimension {dim}")
    y = rows_of(x, index, dim=dim)
    return y if input.ndim else y.reshape(())

index_select.case(normal(5, 3), 0, integers(4, high=5))
index_select.case(normal(2, 5, 3), -2, integers(7, high=5))
index_select.case(normal(), 0, integers(1, high=1))


def rows(name, input, dim, index, source, error):
    """(dim, index, source) for writing `source` to the rows of `input` that `index` names, checked."""
    dim, index = axis(dim, input.ndim), vector(name, index)
    n = input.shape[dim] if input.ndim else 1
    if error is IndexError and source.ndim and input.ndim and source.ndim != input.ndim:
        raise IndexError(f"{name}(): the dimensionality of source ({source.ndim}) and destination ({input.ndim}) must match")
    if source.ndim and list(source.shape[:dim]) + list(source.shape[dim + 1:]) != list(input.shape[:dim]) + list(input.shape[dim + 1:]):
        raise RuntimeError(f"{name}(): source of shape {list(source.shape)} does not fit into {list(input.shape)} along dimension {dim}")
    if (source.shape[dim] if source.ndim else 1) != index.shape[0]:
        raise error(f"{name}(): Number of indices ({index.shape[0]}) should be equal to source.size(dim) "
                         f"({source.shape[dim] if source.ndim else 1})")
    if index.array.size and not in_range(index.array, n):
        raise IndexError(f"{name}(): index out of bounds for dimension {dim} with size {n}")
    return dim, index, source


@composed(inplace=True)
def index_add(input, dim, index, source, *, alpha=1):
    """`input` with alpha * source[i] added to its row index[i] along `dim`, for every i."""
    if input.dtype != source.dtype:
        raise RuntimeError(f"index_add_(): self ({input.dtype}) and source ({source.dtype}) must have the same scalar type")
    dim, index, source = rows("index_add", input, dim, index, source, RuntimeError)
    if alpha == 1 and input.ndim:
        return rows_added(input, source if source.ndim else source.reshape(1), index, dim=dim)
    shape = tuple(input.shape) or (1,)
    added = rows_into(source if source.ndim else source.reshape(1), index, shape=shape, dim=dim).reshape(input.shape)
    if not input.dtype.is_floating_point:
        alpha = int(alpha)
    return input + (added if alpha == 1 else (added * alpha).to(input.dtype))

index_add.case(normal(5, 3), 0, integers(4, high=5), normal(4, 3))
index_add.case(normal(2, 5), -1, integers(7, high=5), normal(2, 7), alpha=2)
index_add.case(normal(4), 0, integers(6, high=4), normal(6))


@composed(inplace=True)
def index_copy(input, dim, index, source):
    """`input` with its row index[i] along `dim` replaced by source[i], for every i."""
    if input.dtype != source.dtype:
        raise RuntimeError(f"index_copy_(): self and source expected to have the same dtype, but got (self) {input.dtype} and "
                           f"(source) {source.dtype}")
    dim, index, source = rows("index_copy", input, dim, index, source, IndexError)
    return from_vectors(lambda x, s: put_rows(x, index, s, dim=dim), input, input, source)

index_copy.case(normal(5, 3), 0, np.array([4, 0]), normal(2, 3))
index_copy.case(normal(2, 5), -1, np.array([1, 3, 0]), normal(2, 3))
index_copy.case(normal(4), 0, np.array([2]), normal(1))


@composed(inplace=True)
def index_fill(input, dim, index, value):
    """`input` with the rows along `dim` that `index` names filled with `value`, a number or a 0-d tensor."""
    dim, index = axis(dim, input.ndim), vector("index_fill", index, IndexError, RuntimeError)
    if getattr(value, "ndim", 0):
        raise RuntimeError(f"index_fill_ only supports a 0-dimensional value tensor, but got tensor with {value.ndim} dimension(s).")
    n = input.shape[dim] if input.ndim else 1
    if index.array.size and not -n <= int(index.array.min()) <= int(index.array.max()) < n:
        raise IndexError(f"index_fill(): index out of range: there are {n} rows along dimension {dim}")
    value = value if isinstance(value, Tensor) else fill_number(value, input.array.dtype)
    return from_vectors(lambda x: put_rows(x, index, value, dim=dim), input, input)

index_fill.case(normal(5, 3), 0, np.array([4, 0]), 1.5)
index_fill.case(normal(2, 5), -1, np.array([1, 3, 0]), normal())
index_fill.case(normal(4), 0, np.array([2, 2]), -1)


def index_put_picks(input, indices):
    """The index tensors of index_put as picks for `aligned`: (axis, positions or mask)."""
    picks, dim = [], 0
    for i, index in enumerate(indices):
        if not isinstance(index, Tensor):
            raise TypeError(f"index_put(): expected Tensor as element {i} of indices, but got {type(index).__name__}")
        if index.array.dtype not in INDEXING:
            raise IndexError(f"tensors used as indices must be long, int, byte or bool tensors, not {index.dtype}")
        mask = index.array.dtype.kind in "bu"
        if dim + (index.ndim if mask else 1) > input.ndim:
            raise IndexError(f"too many indices for tensor of dimension {input.ndim}")
        if mask and index.shape != input.shape[dim:dim + index.ndim]:
            raise IndexError(f"The shape of the mask {list(index.shape)} at index {dim} does not match the shape of the indexed tensor "
                             f"{list(input.shape)} at index {dim}")
        picks.append((dim, index.array.astype(bool) if index.array.dtype.kind == "u" else index))
        dim += index.ndim if mask else 1
    return picks


@composed(inplace=True)
def index_put(input, indices, values, accumulate=False):
    """`input` with input[indices] replaced by `values`, which broadcasts, or with accumulate added to, duplicates counted."""
    if values.dtype != input.dtype:
        raise RuntimeError(f"Index put requires the source and destination dtypes match, got {input.dtype} for the destination "
                           f"and {values.dtype} for the source.")
    picks = index_put_picks(input, indices)
    if not picks:
        raise RuntimeError("index_put: at least one index tensor is needed")
    x, index, dim, count, unique = aligned(input, picks)
    shape = tuple(x.shape[:dim]) + tuple(index.shape) + tuple(x.shape[dim + count:])
    fitted(shape, values.array)
    if accumulate:
        return x + rows_into(values.expand(shape), index, shape=tuple(x.shape), dim=dim, count=count, unique=unique)
    return put_rows(x, index, values, dim=dim, count=count)

index_put.case(normal(4, 3), (np.array([0, 2]), np.array([1, 1])), normal(2))
index_put.case(normal(4, 3), (np.array([0, 2, 0]),), normal(3, 3), accumulate=True)
index_put.case(normal(2, 3), (np.array([[True, False, True], [False, True, False]]),), normal(3))


@composed
def take(input, index):
    """The entries of `input`, seen as one row, at the positions `index`; the result has the shape of `index`."""
    if index.array.dtype.name != "int64":
        raise RuntimeError(f"take(): Expected a long tensor for index, but got {index.dtype}")
    try:
        return rows_of(input.reshape(-1), index, dim=0)
    except IndexError:
        raise IndexError(f"out of range: tried to access index {int(index.array.max())} on a tensor of {input.array.size} "
                         "elements.") from None

take.case(normal(3, 4), integers(2, 3, low=-12, high=12))
take.case(normal(3, 4), integers(high=12))
take.case(normal(3), integers(2, high=3))


@composed(inplace=True)
def put(input, index, source, accumulate=False):
    """`input` with the entries of `source` written to (or added at) the positions `index`, counted as if `input` were one row."""
    check_dtypes("put_", input, source)
    if index.array.size != source.array.size:
        raise IndexError(f"put_(): Expected source and index to have the same number of elements, but got source.numel() = "
                         f"{source.array.size}, index.numel() = {index.array.size}")
    row, index, source = input.reshape(-1), index.reshape(-1), source.reshape(-1)
    row = row + rows_into(source, index, shape=tuple(row.shape), dim=0) if accumulate else put_rows(row, index, source, dim=0)
    return row.reshape(input.shape)

put.case(normal(3, 4), np.array([0, 5, -1]), normal(3))
put.case(normal(3, 4), integers(2, 3, high=12), normal(2, 3), accumulate=True)
put.case(normal(4), np.array([2]), normal(1))


@composed
def take_along_dim(input, indices, dim=None):
    """What `indices` names along `dim`, both broadcast along the other axes; without `dim`, of both seen as one row."""
    if indices.array.dtype.name != "int64":
        raise RuntimeError(f"torch.take_along_dim(): dtype of indices should be Long but got {indices.dtype}")
    if dim is None:
        return gather_along(input.reshape(-1), indices.reshape(-1), dim=0)
    if input.ndim != indices.ndim:
        raise RuntimeError(f"torch.take_along_dim(): input and indices should have the same number of dimensions, but got {input.ndim} "
                           f"dimensions for input, and {indices.ndim} dimensions for indices")
    dim = axis(dim, input.ndim)
    try:
        beside = list(np.broadcast_shapes(*[t.shape[:dim] + (1,) + t.shape[dim + 1:] for t in (input, indices)]))
    except ValueError:
        raise RuntimeError(f"take_along_dim(): the sizes of {tuple(input.shape)} and {tuple(indices.shape)} must match beside dimension {dim}") \
            from None
    sizes = [beside[:dim] + [t.shape[dim]] + beside[dim + 1:] for t in (input, indices)]
    return gather_along(input.expand(sizes[0]), indices.expand(sizes[1]), dim=dim)

take_along_dim.case(normal(3, 4), integers(3, 2, high=4), 1)
take_along_dim.case(normal(3, 1), integers(1, 2, high=3), dim=-2)
take_along_dim.case(normal(3, 4), integers(2, 2, high=12))
