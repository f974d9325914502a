"""Reductions of large arrays over their last axes: blocks of rows that a processor's cache holds, side by side on several threads.

What NumPy makes on the way from a block to its result, differences from the mean say, never leaves the cache.
"""
from math import prod

import numpy as np

from .. import blas, threads
from .dims import kept

LARGE = 1 << 17                                      # numbers from which a reduction is worth it
LEAST = 1 << 18                                      # numbers that are worth another thread
BLOCK = 1 << 18                                      # numbers of a block; twice as many where threads share them: they meet at the interpreter
SHORT = 1 << 8                                       # numbers that are added up by a product before they are added to others
PIECE = 1 << 12                                      # numbers of a row, where one row is all there is: it is folded


def matrix(x, axis, least=None, shortest=8):
    """x as (N, D) for a reduction over `axis`: the last axes, or None for all; None where it is not laid out so, or not worth it.

    least: numbers of x, LARGE if left out; shortest: of a row.
    """
    if type(x) is not np.ndarray or x.size < (LARGE if least is None else least) or not x.size or not x.flags.c_contiguous:
        return None
    last = reduced(x, axis)
    if type(axis) is tuple and sorted([d % x.ndim for d in axis]) != list(range(x.ndim - last, x.ndim)) \
            or type(axis) is int and axis % x.ndim != x.ndim - 1:
        return None
    D = prod(x.shape[x.ndim - last:])
    return x.reshape(-1, D) if shortest <= D else None


def reduced(x, axis):
    """How many axes `axis` names."""
    return x.ndim if axis is None else len(axis) if type(axis) is tuple else 1


def shaped(y, x, axis, keepdim):
    """What was found for the rows of matrix(x, axis) in the shape of a reduction's result."""
    return y.reshape(kept(x.shape, axis) if keepdim else x.shape[:x.ndim - reduced(x, axis)])


def by_rows(f, y, *arrays, at_once=False, least=None):
    """y, filled by f(y, *arrays) on blocks of its rows; of a single row, whose numbers do not depend on each other, on pieces of it.

    at_once: f makes no large arrays on its way, so that each thread works through its rows in one call.
    least: numbers that are worth another thread, LEAST if left out.
    """
    least = least or LEAST
    size = max([a.size for a in (y, *arrays)])
    along = len(y) if len(y) > 1 else y.shape[1]
    n = along if at_once else max(1, BLOCK * min(2, threads.get_num_threads()) * along // size)
    if along <= n and size < 2 * least:
        f(y, *arrays)
        return y

    def cut(a, part):
        return a[part] if len(y) > 1 else a[:, part] if a.shape[1] > 1 else a

    def work(start, stop):
        for i in range(start, stop, n):
            part = slice(i, min(i + n, stop))
            f(cut(y, part), *[cut(a, part) for a in arrays])
    with blas.alone():                               # whose threads would keep ours from work after every product
        threads.run(work, along, least=max(1, least * along // size))
    return y


def like(x, f, rows, *arrays, at_once=False):
    """An array like x, which is the matrix `rows`, filled by rows: f(y, rows, *arrays)."""
    y = np.empty_like(x)
    by_rows(f, y.reshape(rows.shape), rows, *arrays, at_once=at_once)
    return y


def folded(f, whole, x, *columns, at_once=False, least=None):
    """The rows of x (N, D) reduced by f(x, *columns), (n, D) -> (n,), as (N,); a single long row in pieces, whose results `whole` reduces.

    columns: (N, 1), numbers that go with the rows.
    """
    D = x.shape[1]
    if len(x) == 1 and D > PIECE:
        end = D - D % PIECE
        pieces = x[0, :end].reshape(-1, PIECE)
        found = folded(f, whole, pieces, *[np.full((len(pieces), 1), c[0, 0]) for c in columns], at_once=at_once, least=least)
        return whole(np.append(found, f(x[:, end:], *columns)) if end < D else found).reshape(1)
    if len(x) == 1 or x.size < LARGE:
        return f(x, *columns)

    def fill(y, *arrays):
        y[:, 0] = f(*arrays)
    return by_rows(fill, np.empty((len(x), 1), x.dtype), x, *columns, at_once=at_once, least=least)[:, 0]


def sums(x):
    """The sum of each row of a matrix: a product with ones, of few numbers at a time, for it adds them one after the other."""
    N, D = x.shape
    if D <= 2 * SHORT:
        return x @ np.ones(D, x.dtype)
    n = blas.divisor(D, SHORT)
    return sums((x.reshape(-1, n) @ np.ones(n, x.dtype)).reshape(N, -1)) if n else x.sum(1)


def squares(x):
    """The sum over each row of x^2."""
    return np.vecdot(x, x) if x.shape[1] <= PIECE else (x * x).sum(1)
