"""Gather and scatter: for every entry of an index tensor, the entry that it names along one axis; and what is made of rows.

`gather` reads at `index` along `dim` and at its own place along the other axes; scattering writes,
adds or reduces there.  `index_select` and its kin name whole rows.
"""
import math

import numpy as np

from .. import dtypes
from ..autograd.op import composed, op
from ..backend import xp
from ..cases import integers, normal
from ..tensor import Tensor, wrap
from ..blocks import by_slices
from ..copies import LARGE, copied
from .dims import axis
from .masks import fill_number
from .rows import POSITIONS, add_at, in_range, rows_added, rows_of

# ---- entries along an axis, and their transpose ---------------------------------------------------------------


def check_index(input, index):
    """RuntimeError unless `index` holds positions: int64 or int32."""
    if index.dtype not in POSITIONS:
        raise RuntimeError(f"gather(): Expected dtype int32/int64 for index, not {dtypes.of(index.dtype)}")


@op(home="", called="gather", check=check_index)
def gather_along(input, index, /, dim):
    """For every entry of `index` what stands in `input` at that position along `dim`, at the same place along the other axes."""
    fits(index, input.shape, dim)
    return entries(input, index, dim)


@gather_along.loop("entries", least=20000)
def _(loops, input, index, dim):
    if not alike(index, input.shape, dim):
        return NotImplemented
    y = loops.gather(in_three(input, dim), in_three(index, dim))
    return NotImplemented if y is None else y.reshape(index.shape)


gather_along.vjp(lambda g, index, input_shape, dim: scatter_along(g, index, shape=input_shape, dim=dim))
gather_along.case(normal(3, 4), integers(3, 2, high=4), dim=1)
gather_along.case(normal(4, 3, 2), integers(5, 2, 2, high=4), dim=0)
gather_along.case(normal(5), integers(3), dim=0)


@op(home="", numbers="half", called="scatter_add")
def scatter_along(input, index, /, shape, dim):
    """Zeros of `shape` to which every entry of `input` is added where gather_along would read it: its transpose."""
    fits(index, shape, dim)
    return add_entries(xp(input).zeros(shape, input.dtype), index, input, dim)


@scatter_along.loop("entries", least=20000)
def _(loops, input, index, shape, dim):
    return added_by_loop(loops, np.zeros(shape, input.dtype), index, input, dim) if alike(index, shape, dim) else NotImplemented


scatter_along.vjp(lambda g, index, dim: gather_along(g, index, dim=dim))
scatter_along.case(normal(3, 2), integers(3, 2, high=4), shape=(3, 4), dim=1)
scatter_along.case(normal(5, 2, 2), integers(5, 2, 2, high=4), shape=(4, 3, 2), dim=0)
scatter_along.case(normal(3), integers(3), shape=(5,), dim=0)
scatter_along.case(normal(2, 3, 2), integers(2, 3, 2, high=4), shape=(2, 4, 2), dim=1)


@op(home="", numbers="half", called="scatter_add")
def scatter_added(input, index, src, /, dim):
    """`input` with every entry of `src` (in the shape of `index`) added where gather_along would read."""
    fits(index, input.shape, dim)
    return add_entries(copied(input), index, src, dim)


@scatter_added.loop("entries", least=20000)
def _(loops, input, index, src, dim):
    return added_by_loop(loops, copied(input), index, src, dim) if alike(index, input.shape, dim) else NotImplemented


scatter_added.vjp(lambda g: g, None, lambda g, index, dim: gather_along(g, index, dim=dim))
scatter_added.case(normal(3, 4), integers(3, 6, high=4), normal(3, 6), dim=1)
scatter_added.case(normal(4, 3, 2), integers(5, 2, 2, high=4), normal(5, 2, 2), dim=0)
scatter_added.case(normal(2, 3, 2), integers(2, 2, 2, high=3), normal(2, 2, 2), dim=1)
scatter_added.case(normal(3), integers(4, high=3), normal(4), dim=0)


@op(home="", called="scatter")
def scatter_put(input, index, src, /, dim):
    """`input` with the entries of `src` (in the shape of `index`, or one number) written where gather_along would read."""
    fits(index, input.shape, dim)
    y = copied(input)
    y.reshape(-1)[places(index, input.shape, dim)] = src
    return y

scatter_put.vjp(lambda g, index, dim: scatter_put(g, index, 0.0, dim=dim),
                None,
                lambda g, index, dim: gather_along(g, index, dim=dim))
scatter_put.case(normal(3, 4), np.array([[0, 2], [3, 1], [2, 0]]), normal(3, 2), dim=1)
scatter_put.case(normal(4, 3), np.array([[2, 0, 3]]), normal(), dim=0)
scatter_put.case(normal(2, 3, 2), np.array([[[2], [0]]]), 1.5, dim=1)


def entries(input, index, dim):
    """gather_along for an index known to fit."""
    if not input.flags.c_contiguous:
        return input[tuple([index if d == dim else aranged(index, d) for d in range(index.ndim)])]
    if type(input) is not np.ndarray or index.size < LARGE:
        return input.reshape(-1).take(places(index, input.shape, dim))
    y = np.empty(index.shape, input.dtype)

    def part(piece):
        x = input[piece] if dim else input
        x.reshape(-1).take(places(index[piece], x.shape, dim), 0, y[piece], "clip")

    by_slices(part, index)
    return y


def add_entries(y, index, src, dim):
    """Every entry of `src` added to y, whose rows lie one after the other, where gather_along would read; returns y."""
    def part(piece):
        to = y[piece]
        add_at(to.reshape(-1), places(index[piece], to.shape, dim).reshape(-1), src[piece].reshape(-1))

    if dim and index.size >= LARGE:
        by_slices(part, index)                       # which add to different places
    elif index.size:
        add_at(y.reshape(-1), places(index, y.shape, dim).reshape(-1), src.reshape(-1))
    return y


def added_by_loop(loops, y, index, src, dim):
    """add_entries by a compiled loop, which looks at the index on the way; NotImplemented where that names a place outside."""
    return NotImplemented if loops.scatter_add(in_three(y, dim), in_three(index, dim), in_three(src, dim)) is None else y


def in_three(x, dim):
    """An array with the axes before `dim` as one, and those after it."""
    return x.reshape(math.prod(x.shape[:dim]), x.shape[dim], math.prod(x.shape[dim + 1:]))


def alike(index, shape, dim):
    """Whether `index` has entries, and is as large as an array of `shape` beside `dim`."""
    return index.size and index.shape[:dim] == shape[:dim] and index.shape[dim + 1:] == shape[dim + 1:] and len(index.shape) == len(shape)


def fits(index, shape, dim):
    """RuntimeError unless `index` may name entries along `dim` of an array of `shape`."""
    sizes = index.shape
    if len(sizes) != len(shape):
        raise RuntimeError(f"Index tensor must have the same number of dimensions as input tensor: {tuple(sizes)} and {tuple(shape)}")
    for d, n in enumerate(sizes):
        if n > shape[d] and d != dim:
            raise RuntimeError(f"Size does not match at dimension {d}: expected index {list(sizes)} to be no larger than self {list(shape)} "
                               f"apart from dimension {dim}")
    inside(index, shape[dim], dim)


def inside(index, n, dim):
    """RuntimeError unless all of `index` is from 0 to n - 1."""
    if index.size and not in_range(index, n):
        bad = index[(index < 0) | (index >= n)][:1].item()
        raise RuntimeError(f"index {bad} is out of bounds for dimension {dim} with size {n}")


def places(index, shape, dim):
    """Where gather_along reads in a flat array of `shape`."""
    if len(shape) == 1:
        return index
    stride, start, here = 1, 0, 1
    for d in range(len(shape) - 1, -1, -1):
        if d == dim:
            here = stride
        elif index.shape[d] > 1:
            start = start + aranged(index, d) * stride
        stride *= shape[d]
    return index * here + start if here != 1 else index + start


def aranged(index, d):
    """0, 1, 2 ... along axis d of `index`."""
    return xp(index).arange(index.shape[d]).reshape((-1,) + (1,) * (index.ndim - d - 1))


# ---- gather and scatter as PyTorch has them ---------------------------------------------------------------------

@composed
def gather(input, dim, index, *, sparse_grad=False):
    """out[i][j] = input[index[i][j]][j] for dim 0, and so on for other axes and ranks; the result has the shape of `index`.

    RuntimeError for a position outside, for an index of another rank than `input`, or larger than it beside `dim`.
    """
    dim = axis(dim, input.ndim)
    if (rows := of_rows(index, input, dim)) is not None:
        return rows_of(input, rows, dim=dim)
    if input.ndim and index.ndim:
        return gather_along(input, index, dim=dim)
    return from_vectors(lambda x, i: gather_along(x, i, dim=dim), index, input, index)


def of_rows(index, input, dim):
    """What an index that was expanded beside `dim` says of all entries of a row: a vector; None for any other index."""
    array, shape = index.array, input.array.shape
    if array.ndim < 2 or 0 not in array.strides or array.dtype not in POSITIONS or not alike(array, shape, dim) or \
            any([s for d, (n, s) in enumerate(zip(array.shape, array.strides)) if d != dim and n > 1]):
        return None
    array = array[(0,) * dim + (slice(None),) + (0,) * (array.ndim - dim - 1)]
    inside(array, shape[dim], dim)
    return wrap(array, counter=index.counter)


gather.case(normal(3, 4), 1, integers(3, 2, high=4))
gather.case(normal(3, 4), -2, integers(2, 4, high=3))
gather.case(normal(2, 3, 4), 0, integers(2, 2, 1, high=2))
gather.case(normal(), 0, integers(high=1))
gather.case(normal(3, 4), 0, np.broadcast_to([[2], [0], [2]], (3, 4)))


def from_vectors(f, result, *xs):
    """f(*xs), where a 0-d tensor counts as one of a single entry; the answer is 0-d where `result` is."""
    y = f(*[x.reshape(1) if isinstance(x, Tensor) and x.ndim == 0 else x for x in xs])
    return y.reshape(()) if result.ndim == 0 else y


def leading(src, index):
    """The corner of `src` in the shape of `index`: what a scatter uses of it."""
    if src.array.shape == index.array.shape:
        return src
    if src.ndim != index.ndim or any(n > m for n, m in zip(index.shape, src.shape)):
        raise RuntimeError(f"Expected index {list(index.shape)} to be no larger than src {list(src.shape)}")
    return src[tuple(slice(0, n) for n in index.shape)]


def check_dtypes(name, input, src):
    """RuntimeError unless both tensors have one dtype."""
    if input.dtype != src.dtype:
        raise RuntimeError(f"{name}(): Expected self.dtype to be equal to src.dtype, got {input.dtype} and {src.dtype}")


@composed(inplace=True)
def scatter(input, dim, index, src=None, *, value=None, reduce=None):
    """`input` with src[i][j] written at [index[i][j]][j] (dim 0), and so on for other axes and ranks; src may be one number.

    reduce: "add" or "multiply" instead of writing.  Where several are written to one place any of them stays.
    """
    src = value if src is None else src
    dim = axis(dim, input.ndim)
    if reduce is not None:
        if reduce not in ("add", "multiply"):
            raise RuntimeError(f"reduce argument must be either add or multiply, not {reduce!r}")
        src = src if isinstance(src, Tensor) else index.new_full(index.shape, src, dtype=input.dtype)
        from .scatter_reduce import scatter_reduce
        return scatter_reduce(input, dim, index, src, "sum" if reduce == "add" else "prod")
    if isinstance(src, Tensor):
        check_dtypes("scatter", input, src)
        if index.array.size == 0:
            return input + src.sum() * 0             # nothing is written, and the gradient of src is zero
        if src.ndim or index.ndim > 1 or index.ndim and index.shape[0] > 1:
            src = leading(src, index)
        return from_vectors(lambda x, i, s: scatter_put(x, i, s, dim=dim), input, input, index, src)
    if isinstance(src, str):
        raise TypeError("scatter(): argument 'src' must be a Tensor or a number, not str")
    src = fill_number(src, input.array.dtype)
    return from_vectors(lambda x, i: scatter_put(x, i, src, dim=dim), input, input, index)

scatter.case(normal(3, 4), 1, np.array([[0, 2], [3, 1], [2, 0]]), normal(3, 2))
scatter.case(normal(3, 4), 0, np.array([[2, 0, 1, 0], [1, 1, 2, 2]]), normal(2, 4))
scatter.case(normal(3, 4), -1, np.array([[1], [0]]), 2.5)
scatter.case(normal(3, 4), 1, integers(3, 3, high=4), normal(3, 3), reduce="add")


@composed(inplace=True)
def scatter_add(input, dim, index, src):
    """`input` plus src[i][j] at [index[i][j]][j] (dim 0), and so on for other axes and ranks: the transpose of gather."""
    dim = axis(dim, input.ndim)
    check_dtypes("scatter", input, src)
    if index.array.size == 0:
        return input + src.sum() * 0                 # the gradient of src is zero
    if (rows := of_rows(index, input, dim)) is not None:
        return rows_added(input, leading(src, index), rows, dim=dim)
    if input.ndim and index.ndim:
        return scatter_added(input, index, leading(src, index), dim=dim)
    return from_vectors(lambda x, i, s: scatter_added(x, i, leading(s, i), dim=dim), input, input, index, src)

scatter_add.case(normal(3, 4), 1, integers(3, 6, high=4), normal(3, 6))
scatter_add.case(normal(3, 4), 0, integers(2, 3, high=3), normal(2, 3))
scatter_add.case(normal(2, 3, 2), -2, integers(2, 2, 2, high=3), normal(2, 2, 2))
scatter_add.case(normal(3), 0, integers(4, high=3), normal(4))
scatter_add.case(normal(2, 3), 1, np.broadcast_to([2, 0, 2, 1], (2, 4)), normal(2, 4))
