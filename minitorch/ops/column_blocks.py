"""Reductions of large arrays over their first axes: several threads share the rows of a matrix, and what they found is reduced once more."""
from math import prod

import numpy as np

from .. import blas, threads
from .dims import kept
from .row_blocks import LARGE, reduced

LEAST = 1 << 19                                      # numbers, read once, that are worth another thread
PIECE = 512                                          # rows that are added up before they are added to others


def matrix(x, axis, least=LARGE):
    """x as (N, D) for a reduction over `axis`, its first axes but not all of them; None where it is not laid out so, or not worth it."""
    if axis is None or type(x) is not np.ndarray or x.size < least or not x.size or not x.flags.c_contiguous:
        return None
    first = reduced(x, axis)
    if first == x.ndim or sorted([d % x.ndim for d in (axis if type(axis) is tuple else (axis,))]) != list(range(first)):
        return None
    return x.reshape(-1, prod(x.shape[first:]))


def shaped(y, x, axis, keepdim):
    """What was found for the columns of matrix(x, axis) in the shape of a reduction's result."""
    return y.reshape(kept(x.shape, axis) if keepdim else x.shape[reduced(x, axis):])


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
    if end <= PIECE:
        return np.ones(len(x), x.dtype) @ x
    y = (np.ones(PIECE, x.dtype) @ x[:end].reshape(-1, PIECE, x.shape[1])).sum(0)
    if end < len(x):
        y += np.ones(len(x) - end, x.dtype) @ x[end:]
    return y
