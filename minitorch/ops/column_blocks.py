"""Reductions of large arrays over axes before the last: several threads share the rows of a matrix, and what they found is reduced once more."""
from math import prod

import numpy as np

from .. import blas, threads
from .row_blocks import LARGE

LEAST = 1 << 18                                      # numbers, read once, that are worth another thread
PIECE = 256                                          # rows that are added up before they are added to others


def matrix(x, axis, least=LARGE):
    """x as (N, D) for a reduction over `axis`, its first axes but not all of them; None where it is not laid out so, or not worth it."""
    found = stack(x, axis, least)
    return None if found is None or len(found) > 1 else found[0]


def stack(x, axis, least=LARGE):
    """x as (L, N, D) for a reduction over neighbouring axes, of which none is the last; None where it is not laid out so, or not worth it."""
    if axis is None or type(x) is not np.ndarray or x.size < least or not x.size or not x.flags.c_contiguous:
        return None
    axes = sorted(reduced(x, axis))
    first, end = axes[0], axes[-1] + 1
    if end - first > len(axes) or end == x.ndim:
        return None
    return x.reshape(prod(x.shape[:first]), prod(x.shape[first:end]), prod(x.shape[end:]))


def shaped(y, x, axis, keepdim):
    """What was found for the columns of matrix(x, axis), or of stack(x, axis), in the shape of a reduction's result."""
    axes = reduced(x, axis)
    return y.reshape([1 if d in axes else n for d, n in enumerate(x.shape) if keepdim or d not in axes])


def reduced(x, axis):
    """The axes that `axis` names, counted from 0."""
    return [d % x.ndim for d in (axis if type(axis) is tuple else (axis,))]


def folded(f, x):
    """f(x), (N, D) -> (D,), of which a part is f of some rows, and the whole f of the parts."""
    parts = {}

    def part(start, stop):
        parts[start] = f(x[start:stop])
    with blas.alone():
        threads.run(part, len(x), least=1 + LEAST // x.shape[1])
    return f(np.array([parts[i] for i in sorted(parts)])) if len(parts) > 1 else parts[0]


def sums(x):
    """The sum of each column of a matrix: products of PIECE rows at a time with ones, which are sooner done, and rounded less often, than NumPy's."""
    end = len(x) - len(x) % PIECE
    if len(x) <= 2 * PIECE:
        return np.ones(len(x), x.dtype) @ x
    y = sums(np.ones(PIECE, x.dtype) @ x[:end].reshape(-1, PIECE, x.shape[1]))
    if end < len(x):
        y += np.ones(len(x) - end, x.dtype) @ x[end:]
    return y


def sums_of_each(x):
    """The sum of each column of each matrix: (L, N, D) -> (L, D)."""
    if len(x) == 1:
        return folded(sums, x[0])
    y = np.empty((len(x), x.shape[2]), x.dtype)

    def part(start, stop):
        if x.shape[1] <= 2 * PIECE:
            np.matmul(np.ones(x.shape[1], x.dtype), x[start:stop], out=y[start:stop])
        else:
            for i in range(start, stop):
                y[i] = sums(x[i])
    with blas.alone():
        threads.run(part, len(x), least=1 + LEAST // x[0].size)
    return y
