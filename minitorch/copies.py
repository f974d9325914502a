"""Copies of large arrays: pieces of them side by side on several threads, transposed ones in strips that the cache holds.

    write(y, x)                                          # y[...] = x, whatever their strides and dtypes
    copied(x), contiguous(x), converted(x, dtype), full(shape, value, dtype)        # new arrays, written so
    concatenated(arrays, dim)

Every op that only moves numbers asks for these; for arrays of fewer than LARGE numbers, and on a GPU, they are the array library's own.
"""
from math import prod

import numpy as np

from . import dtypes, threads
from .backend import xp
from .backends import CHOSEN

LARGE = 1 << 18                                      # numbers from which a copy is worth a look at its strides
LEAST = 1 << 18                                      # numbers that are worth another thread
STRIP = 64                                           # numbers of a row that is read from as many lines of memory
FEW = 4                                              # numbers of a row that NumPy takes long to begin with
LINE = 64                                            # bytes that memory is read by
HUGE = 1 << 26                                       # numbers that are not set to zero before they are used


def write(y, x):
    """y[...] = x, for an array or a number x; returns y."""
    if type(y) is not np.ndarray or y.size < LARGE or y.size < 2 * LEAST and is_near(x) or \
            type(x) is np.ndarray and (x.ndim > y.ndim or np.may_share_memory(x, y)):
        y[...] = x
        return y
    to = y
    if type(x) is np.ndarray and x.shape != y.shape:
        x = np.broadcast_to(x, y.shape)
    if not whole(y) or type(x) is np.ndarray and not whole(x):
        order = sorted(range(y.ndim), key=lambda d: -abs(y.strides[d]))                 # as y lies in memory
        to, x = y.transpose(order), x.transpose(order) if type(x) is np.ndarray else x
    if whole(to) and (type(x) is not np.ndarray or whole(x)):
        to, x = to.reshape(-1), x.reshape(-1) if type(x) is np.ndarray else x
    divided(to, [(to, x)])
    return y


def is_near(x):
    """Whether neighbours along the last axis of x, which may be a number, share lines of memory."""
    return type(x) is not np.ndarray or not x.ndim or abs(x.strides[-1]) < LINE


def whole(x):
    return x.flags.c_contiguous


def divided(y, pairs, apart=None):
    """to[...] = x for pairs of arrays that are alike beside the axis `apart`: pieces along an axis of y, the first of them, by several threads."""
    along = max(range(y.ndim), key=lambda d: (d != apart, min(y.shape[d], 32), -d))     # the first that divides well
    before, n = (slice(None),) * along, y.shape[along]

    def part(start, stop):
        piece = (*before, slice(start, stop))
        for to, x in pairs:
            copy_strips(to[piece], x[piece] if type(x) is np.ndarray else x)

    threads.run(part, n, least=-(-LEAST * n // sum([to.size for to, _ in pairs])))


def copy_strips(y, x):
    """y[...] = x, for rows of y that come from distant places in strips: what else a line of memory holds is used before it is lost."""
    if not is_near(x) and y.ndim > 1 and y.shape[-1] <= FEW:
        for i in range(y.shape[-1]):                 # the axis before it is longer
            np.copyto(y[..., i], x[..., i], "unsafe")
        return
    if is_near(x) or y.shape[-1] <= STRIP or all([abs(s) >= abs(x.strides[-1]) or not s for s in x.strides]):
        np.copyto(y, x, "unsafe")
        return
    for i in range(0, y.shape[-1], STRIP):
        np.copyto(y[..., i:i + STRIP], x[..., i:i + STRIP], "unsafe")


def copied(x, dtype=None, order="C"):
    """A copy of an array, in another dtype if one is given; order: as for NumPy's functions."""
    if type(x) is not np.ndarray or x.size < LARGE or x.size < 2 * LEAST and is_near(x):
        return xp(x).array(x, dtype=dtype, order=order)
    return write(np.empty_like(x, dtype, order), x)


def contiguous(x):
    """x where it lies row by row in memory, else a copy that does."""
    return x if x.flags.c_contiguous else copied(x)


def converted(x, dtype):
    """An array in another NumPy dtype; float32 to and from 16-bit floats by a compiled loop where there is one, for NumPy takes long."""
    if type(x) is not np.ndarray or x.size < LARGE and CHOSEN["loops"] != "always":
        return x.astype(dtype)
    from .autograd import loops                      # which itself copies
    if (dtypes.is_half(dtype) or dtypes.is_half(x.dtype)) and x.flags.c_contiguous and CHOSEN["loops"] != "never" and loops.available():
        y = loops.module("halves").converted(x, dtype)
        if y is not None:
            return y
    return copied(x, dtype, "K")


def full(shape, value, dtype):
    """The NumPy array of that shape with `value` everywhere."""
    return np.full(shape, value, dtype) if prod(shape) < 2 * LEAST else write(np.empty(shape, dtype), value)


def zeros(shape, dtype):
    """The NumPy array of that shape with zeros everywhere; what is huge the system zeroes when it is used."""
    return full(shape, 0, dtype) if 2 * LEAST <= prod(shape) < HUGE else np.zeros(shape, dtype)


def ones(shape, dtype):
    """The NumPy array of that shape with ones everywhere."""
    return full(shape, 1, dtype)


def all_like(x, value, dtype=None):
    """An array like x with `value` everywhere."""
    if type(x) is not np.ndarray or x.size < 2 * LEAST:
        return xp(x).full_like(x, value, dtype=dtype)
    return write(np.empty_like(x, dtype), value)


def concatenated(arrays, dim):
    """The arrays, which have one dtype, one after the other along `dim`."""
    first, size = arrays[0], 0
    for a in arrays:
        size += a.size
    if size < 2 * LEAST or type(first) is not np.ndarray or size < STRIP * first.ndim * len(arrays):
        return xp(first).concatenate(arrays, dim)
    shape = list(first.shape)
    shape[dim] = sum([a.shape[dim] for a in arrays])
    y, start, parts = np.empty(shape, first.dtype), 0, []
    for a in arrays:
        if a.shape[:dim] != first.shape[:dim] or a.shape[dim + 1:] != first.shape[dim + 1:]:
            return np.concatenate(arrays, dim)       # raises the error
        end = start + a.shape[dim]
        parts.append((y[(slice(None),) * dim + (slice(start, end),)], a))
        start = end
    if size // shape[dim] < 32 or max(shape[:dim] + shape[dim + 1:]) < 32:
        for to, a in parts:
            write(to, a)
    else:
        divided(y, parts, dim)
    return y
