"""A view cut out, rows picked, and the transpose of each: what all indexing is made of.

Ints, slices, None and Ellipsis cut out a view (`slice_of`).  Positions along one axis, or along
several counted as one, say which rows to take (`rows_of`).  Each stands beside its transpose.
"""
import math

import numpy as np

from .. import threads
from ..autograd.op import op
from ..backend import xp
from ..cases import integers, normal
from ..blocks import by_slices
from ..copies import LARGE, copied, write, zeros

POSITIONS = {np.dtype("int64"), np.dtype("int32")}          # what tensors of positions may hold

# ---- a view, and the zeros around it -------------------------------------------------------------------


@op(view=True, home="", called="slice")
def slice_of(input, /, index):
    """input[index] for a tuple of ints, slices, None and Ellipsis."""
    return input[index]

slice_of.vjp(lambda g, input_shape, index: slice_into(g, shape=input_shape, index=index))
slice_of.case(normal(3, 4), index=(1, ...))
slice_of.case(normal(3, 4), index=(slice(0, 3, 2), None, slice(1, None)))
slice_of.case(normal(3, 4, 2), index=(..., -1))
slice_of.case(normal(3), index=(2, ...))


@op(home="", called="slice_backward")
def slice_into(input, /, shape, index):
    """Zeros of `shape` in which `input` stands where slice_of would cut it out: the transpose of slice_of."""
    y = (zeros if type(input) is np.ndarray else xp(input).zeros)(shape, input.dtype)
    if input.size < LARGE:
        y[index] = input
    else:
        write(y[index], input)
    return y

slice_into.vjp(lambda g, index: slice_of(g, index=index))
slice_into.case(normal(4), shape=(3, 4), index=(1, ...))
slice_into.case(normal(2, 3), shape=(3, 4), index=(slice(0, 3, 2), slice(1, None)))
slice_into.case(normal(2, 1, 3), shape=(3, 4), index=(slice(0, 3, 2), None, slice(1, None)))
slice_into.case(normal(), shape=(3,), index=(2, ...))


# ---- rows picked by an array of positions, and rows added back ---------------------------------------------

@op(home="", called="index")
def rows_of(input, index, /, dim, count=1, unique=False):
    """What stands at the positions `index` (any shape) along the `count` axes from `dim` on, counted as one.

    The shape of `index` takes the place of these axes.  unique: no position occurs twice.
    """
    shape = input.shape
    if not input.flags.c_contiguous:                 # without a copy of all that is not picked
        places = (index,) if count == 1 else xp(input).unravel_index(index, shape[dim:dim + count])
        return input[(slice(None),) * dim + tuple(places)]
    if count != 1:
        input = input.reshape(merged(shape, dim, count))
    return input.take(index, axis=dim) if dim else taken(input, index)

rows_of.vjp(lambda g, index, input_shape, dim, count, unique:
            rows_into(g, index, shape=input_shape, dim=dim, count=count, unique=unique))
rows_of.case(normal(5, 3), integers(4, high=5), dim=0)
rows_of.case(normal(2, 5, 3), integers(2, 3, low=-5, high=5), dim=1)
rows_of.case(normal(2, 3, 4, 2), integers(3, high=12), dim=1, count=2)
rows_of.case(normal(3), integers(high=3), dim=0)


@op(numbers="half", home="", called="index_backward")
def rows_into(input, index, /, shape, dim, count=1, unique=False):
    """Zeros of `shape` to which the rows of `input` are added where rows_of would read them: the transpose of rows_of."""
    lead, n, tail = math.prod(shape[:dim]), math.prod(shape[dim:dim + count]), math.prod(shape[dim + count:])
    library, index = xp(input), index.reshape(-1)
    rows = input.reshape(lead, index.size, tail)
    if lead == 1 and tail >= 16 and library is np and not unique:
        return added_rows(n, index, rows[0]).reshape(shape)
    y = library.zeros((lead, n, tail), input.dtype)
    if unique:
        y[:, index] = rows
    elif rows.size:
        start = library.arange(lead).reshape(-1, 1, 1) * (n * tail) + library.arange(tail)
        add_at(y.reshape(-1), (start + (index % n * tail).reshape(-1, 1)).reshape(-1), rows.reshape(-1))
    return y.reshape(shape)


@rows_into.loop("rows", least=5000)
def _(loops, input, index, shape, dim, count=1, unique=False):
    lead, n, tail = math.prod(shape[:dim]), math.prod(shape[dim:dim + count]), math.prod(shape[dim + count:])
    if unique or not input.size or not -n <= index.min() <= index.max() < n:
        return NotImplemented
    return loops.into(input.reshape(lead, index.size, tail), index.reshape(-1), n).reshape(shape)


rows_into.vjp(lambda g, index, dim, count, unique: rows_of(g, index, dim=dim, count=count, unique=unique))
rows_into.case(normal(4, 3), integers(4, high=5), shape=(5, 3), dim=0)
rows_into.case(normal(30, 17), integers(30, high=3), shape=(3, 17), dim=0)
rows_into.case(normal(2, 2, 3, 3), integers(2, 3, low=-5, high=5), shape=(2, 5, 3), dim=1)
rows_into.case(normal(2, 3, 2), integers(3, high=12), shape=(2, 3, 4, 2), dim=1, count=2)


@op(numbers="half", home="", called="index_add")
def rows_added(input, rows, index, /, dim):
    """`input` with the rows of `rows` added where rows_of would read them."""
    return input + rows_into.op.forward(rows, index, shape=input.shape, dim=dim)


@rows_added.loop("rows", least=100000)
def _(loops, input, rows, index, dim):
    n, tail = input.shape[dim], input.size // max(1, input.shape[dim])
    if input.size != n * math.prod(input.shape[dim + 1:]) or tail < loops.LONG or n < loops.PARTS or not in_range(index, n) or not index.size:
        return NotImplemented                        # but for long rows of one table
    return loops.added(input.reshape(n, tail), rows.reshape(index.size, tail), index).reshape(input.shape)


rows_added.vjp(lambda g: g, lambda g, index, dim: rows_of(g, index, dim=dim))
rows_added.case(normal(5, 3), normal(4, 3), integers(4, high=5), dim=0)
rows_added.case(normal(2, 5), normal(2, 7), integers(7, high=5), dim=1)
rows_added.case(normal(64, 2, 9), normal(80, 2, 9), integers(80, high=64), dim=0)


@op(home="", called="index_put")
def put_rows(input, index, values, /, dim, count=1):
    """`input` with `values` written over what rows_of reads; of several for one place, any."""
    y = copied(input)
    y.reshape(merged(y.shape, dim, count))[(slice(None),) * dim + (index,)] = values
    return y

put_rows.vjp(lambda g, index, dim, count: put_rows(g, index, 0.0, dim=dim, count=count),
             None,
             lambda g, index, dim, count: rows_of(g, index, dim=dim, count=count))
put_rows.case(normal(5, 3), np.array([0, 3, -1]), normal(3, 3), dim=0)
put_rows.case(normal(2, 3, 4), np.array([[0, 7], [5, 2]]), normal(2, 1), dim=1, count=2)
put_rows.case(normal(2, 3), np.array([1]), normal(), dim=1)


def merged(shape, dim, count):
    """`shape` with the `count` axes from `dim` on as one."""
    return shape[:dim] + (math.prod(shape[dim:dim + count]),) + shape[dim + count:]


def in_range(index, n):
    """Whether all of `index` is from 0 to n - 1: read as unsigned, a negative number is a large one."""
    index = index.view(np.uint64 if index.itemsize == 8 else np.uint32)
    return index.max() < n if index.size < LARGE or not index.ndim else all(by_slices(lambda s: index[s].max() < n, index))


def taken(x, index):
    """x.take(index, axis=0): the rows of x at these positions, large ones on several threads."""
    size = index.size * math.prod(x.shape[1:])
    if type(x) is not np.ndarray or size < 2 * LEAST or not in_range(index, len(x)):
        return x.take(index, axis=0)
    y, index = np.empty((*index.shape, *x.shape[1:]), x.dtype), index.reshape(-1)
    rows = y.reshape(index.size, *x.shape[1:])
    threads.run(lambda start, stop: x.take(index[start:stop], 0, rows[start:stop], "clip"), index.size, least=LEAST * index.size // size)
    return y


LEAST = 1 << 18                                      # numbers that are worth another thread


def added_rows(n, index, rows, turns=8):
    """y (n, ...), where rows[i] is added to y[index[i]] for each i in turn, zeros elsewhere, a NumPy array; parts of y side by side.

    Rows of one place are brought together by sorting: those of a frequent place are added up by a product
    with ones, the others in `turns` turns, each with one row for every place.
    """
    y, index = np.empty((n, *rows.shape[1:]), rows.dtype), index % max(1, n)
    order = (index.astype(np.uint16) if n <= 1 << 16 else index).argsort(kind="stable")             # small numbers take a tenth of the time
    index = index[order]

    def part(start, stop):
        first, end = np.searchsorted(index, (start, stop))
        add_sorted(y[start:stop], index[first:end] - start, rows, order[first:end], turns)
    threads.run(part, n, least=1 + LEAST * n // max(1, y.size))
    return y


def add_sorted(y, index, rows, order, turns):
    """y[index[i]] = the sum of rows[order[i]], for an index in order; zeros elsewhere."""
    starts = np.flatnonzero(np.concatenate(([True], index[1:] != index[:-1]))) if index.size else index
    counts = np.diff(starts, append=index.size)
    first = np.zeros(len(y), np.intp)
    first[index[starts]] = order[starts] + 1         # 0: no row
    if len(rows):
        rows.take(first - 1, 0, y, "clip")
    y[first == 0] = 0
    for start, n in zip(starts[counts > turns].tolist(), counts[counts > turns].tolist()):
        y[index[start]] = np.ones(n, rows.dtype) @ rows[order[start:start + n]]
    starts, counts = starts[counts <= turns], counts[counts <= turns]
    for turn in range(1, turns):
        starts, counts = starts[counts > turn], counts[counts > turn]
        if not starts.size:
            break
        y[index[starts]] += rows[order[starts + turn]]


def add_at(y, index, values):
    """y[index[i]] += values[i] for flat arrays, each i in turn."""
    library = xp(y)
    if library is not np and y.dtype.kind in "iu":   # a GPU adds integers of 8 unsigned bytes; negative ones wrap to the same bits
        total = library.zeros(y.shape, "u8")
        library.add.at(total, index, values.astype("i8").view("u8"))
        y += total.view("i8").astype(y.dtype)
    else:
        library.add.at(y, index, values)
