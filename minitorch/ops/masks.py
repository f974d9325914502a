"""Where a mask is True: filling, picking and replacing what stands there, and finding such places."""
from math import prod

import numpy as np

from .. import dtypes
from ..autograd.op import composed, op
from ..backend import xp
from ..cases import booleans, integers, normal
from ..convert import refuse_overflow
from ..dtypes import I64
from ..tensor import wrap
from .choose import choose, only
from ..copies import contiguous
from .rows import slice_into
from .strides import broadcast_tensors, expand_to


def fill_number(value, dtype):
    """A Python number in the NumPy `dtype`; RuntimeError where it does not fit."""
    if dtype.kind == "b":
        return dtype.type(value)
    refuse_overflow(value, dtype)
    return np.array(int(value)).astype(dtype)[()] if dtype.kind in "iu" else dtype.type(float(value))


def check_fill(input, mask, value):
    if mask.dtype.kind != "b":
        raise RuntimeError(f"masked_fill_ only supports boolean masks, but got mask with dtype {dtypes.of(mask.dtype)}")
    if getattr(value, "ndim", 0):
        raise RuntimeError(f"masked_fill_ only supports a 0-dimensional value tensor, but got tensor with {value.ndim} dimension(s).")


@op(inplace=True, check=check_fill)
def masked_fill(input, mask, value, /):
    """`value`, a number or a 0-d tensor, where `mask` is True, and `input` elsewhere; both broadcast."""
    value = value.astype(input.dtype) if hasattr(value, "astype") else fill_number(value, input.dtype)
    return choose(mask, value, input) if mask.shape == input.shape else xp(input).where(mask, value, input)


@masked_fill.loop("masks", least=100000, contiguous=False)
def _(loops, input, mask, value):
    if mask.ndim > input.ndim or [1 for m, n in zip(mask.shape[::-1], input.shape[::-1]) if m != n and m != 1]:
        return NotImplemented
    value = value.astype(input.dtype)[()] if hasattr(value, "astype") else fill_number(value, input.dtype)
    return loops.fill(contiguous(input), mask, value)


masked_fill.vjp(lambda g, mask: masked_fill(g, mask, 0),
                None,
                lambda g, mask: only(g, mask))
masked_fill.case(normal(3, 4), booleans(3, 4), 0.5)
masked_fill.case(normal(3, 1), booleans(4), normal())
masked_fill.case(normal(2, 3), np.array([[False, True, True], [True, False, True]]), normal())
masked_fill.case(normal(2, 3), np.array([True, False, True]), -3)


def check_mask(name):
    def check(input, mask, *others):
        if mask.dtype.kind != "b":
            raise RuntimeError(f"{name}: expected BoolTensor for mask, not {dtypes.of(mask.dtype)}")
    return check


@op(inplace=True, check=check_mask("masked_scatter"))
def masked_scatter(input, mask, source, /):
    """`input` with its places where `mask` is True filled, in order, with the entries of `source`.

    RuntimeError if `source` has fewer entries than there are such places.
    """
    if source.dtype != input.dtype:
        raise RuntimeError(f"masked_scatter: expected self and source to have same dtypes but got {dtypes.of(input.dtype)} and "
                           f"{dtypes.of(source.dtype)}")
    shape = np.broadcast_shapes(input.shape, mask.shape)
    y = xp(input).array(xp(input).broadcast_to(input, shape), order="C")
    to = xp(mask).flatnonzero(xp(mask).broadcast_to(mask, shape))
    if source.size < to.size:
        raise RuntimeError(f"Number of elements of source < number of ones in mask: {source.size} < {to.size}")
    y.reshape(-1)[to] = source.reshape(-1)[:to.size]
    return y

masked_scatter.vjp(lambda g, mask: masked_fill(g, mask, 0),
                   None,
                   lambda g, mask, source_shape: back_to_source(g, mask, source_shape))
masked_scatter.case(normal(3, 4), booleans(3, 4), normal(12))
masked_scatter.case(normal(3, 1), np.array([True, False, True]), normal(2, 4))
masked_scatter.case(normal(2), np.array([False, False]), normal(1))


def back_to_source(g, mask, shape):
    """The entries of `g` where `mask`, in order from the front of zeros of `shape`."""
    entries = masked_entries(g, expand_to(mask, shape=tuple(g.shape)))
    return slice_into(entries, shape=(prod(shape),), index=(slice(0, entries.shape[0]), ...)).reshape(shape)


@op(home="", called="masked_select")
def masked_entries(input, other, /):
    """The entries of `input` where the mask `other`, of the same shape, is True, in one row."""
    return input.reshape(-1).take(xp(input).flatnonzero(other))

masked_entries.vjp(lambda g, other, input_shape: entries_into(g, other, shape=input_shape))
masked_entries.case(normal(3, 4), booleans(3, 4))
masked_entries.case(normal(2), np.array([False, False]))
masked_entries.case(normal(2, 2), np.array([[True, True], [False, True]]))


@op(home="", called="masked_select")
def entries_into(input, mask, /, shape):
    """Zeros of `shape` with the entries of `input` where `mask` is True: the transpose of masked_entries."""
    y = xp(input).zeros(prod(shape), input.dtype)
    y[xp(mask).flatnonzero(mask)] = input
    return y.reshape(shape)

entries_into.vjp(lambda g, mask: masked_entries(g, mask))
entries_into.case(normal(2), np.array([[True, False], [False, True]]), shape=(2, 2))
entries_into.case(normal(0), np.array([False, False]), shape=(2,))
entries_into.case(normal(3), np.array([True, True, True]), shape=(3,))
entries_into.case(normal(3), np.array([[False, True], [True, True]]), shape=(2, 2))


@composed
def masked_select(input, mask):
    """The entries of `input` where `mask` is True, both broadcast, as a 1-d tensor."""
    check_mask("masked_select")(input, mask.array)
    return masked_entries(*broadcast_tensors(input, mask))

masked_select.case(normal(3, 4), booleans(3, 4))
masked_select.case(normal(3, 1), booleans(4))
masked_select.case(normal(), booleans(2, 2))


# ---- where something is not zero ----------------------------------------------------------------------------

LARGE = 10000                                        # entries from which NumPy's argwhere takes three times as long


@op(differentiable=False, home="")
def coordinates(input, /):
    """The positions of all entries that are not 0, one row of indices for each."""
    if input.size < LARGE or type(input) is not np.ndarray:
        return xp(input).argwhere(input)
    places = np.flatnonzero(input)
    y = np.empty((len(places), input.ndim), I64)
    for d in range(input.ndim - 1, 0, -1):
        np.divmod(places, input.shape[d], out=(places, y[:, d]))
    y[:, 0] = places
    return y

coordinates.case(booleans(3, 4))
coordinates.case(booleans(30, 4, 90))


@composed
def nonzero(input, *, as_tuple=False):
    """The positions of the entries that are not 0: a row for each, or with as_tuple a tensor of indices for each axis."""
    if not as_tuple:
        return coordinates(input)
    return tuple([wrap(i) for i in (input.array if input.ndim else input.array.reshape(1)).nonzero()])

nonzero.case(booleans(3, 4))
nonzero.case(integers(2, 3, 2, high=2), as_tuple=True)
nonzero.case(np.array(1.0))


@composed
def argwhere(input):
    """The positions of the entries that are not 0, one row of indices for each."""
    return coordinates(input)

argwhere.case(booleans(3, 4))
argwhere.case(integers(2, 3, high=2))
argwhere.case(np.array(0.0))
