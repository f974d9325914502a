"""softmax and its relations of large NumPy arrays: blocks of rows that the cache holds, side by side on several threads.

A matrix is reduced along its rows, or along its columns: then what is found for blocks of rows is put together before the second pass.
"""
import numpy as np

from ..backend import xp
from ..blocks import by_slices
from . import column_blocks, row_blocks

NEAR = 8                                             # up to which the largest of some numbers need not be subtracted before exp


def by_blocks(of_rows, of_columns):
    """f(dim, ...) of arrays whose result is like the last: None where they are small, or are not matrices to reduce along one side."""
    def f(dim, *arrays):
        if arrays[0].size < row_blocks.LARGE or arrays[0].shape[dim] == arrays[0].size:          # or are a single row
            return None
        for form in row_blocks, column_blocks:
            matrices = [form.matrix(a, dim) for a in arrays]
            if not [m for m in matrices if m is None]:
                y = np.empty_like(arrays[-1])
                part = y.reshape(matrices[0].shape)
                if form is row_blocks:
                    row_blocks.by_rows(of_rows, part, *matrices)
                else:
                    of_columns(part, *matrices)
                return y
        return None
    return f


def summed(part, x):
    """The sum over blocks of x's rows of part(block)."""
    return sum(by_slices(part, x))


def exponentials(x, out=None, finite=False, near=NEAR):
    """(e^(x - shift), shift) of x (N, C, ...): the largest along axis 1, or None where all of these are near 0: then nothing is lost.

    finite: whether a largest number that is infinite or NaN counts as 0.
    """
    lib, most = xp(x), x.max(axis=1, keepdims=True)
    if near and (abs(most) <= near).all():
        return lib.exp(x, out=out), None
    if finite:
        most[~lib.isfinite(most)] = 0
    y = lib.subtract(x, most, out=out)
    return lib.exp(y, out=y), most


def softmax_of_rows(y, x):
    exponentials(x, y)
    y *= 1 / row_blocks.sums(y)[:, None]


def log_softmax_of_rows(y, x):
    e, most = exponentials(x)
    log = np.log(row_blocks.sums(e))[:, None]
    np.subtract(x, log if most is None else most, out=y)
    if most is not None:
        y -= log


def softmax_back_of_rows(gx, g, y):
    np.multiply(g, y, out=gx)
    np.subtract(g, row_blocks.sums(gx)[:, None], out=gx)
    gx *= y


def log_softmax_back_of_rows(gx, g, y):
    np.exp(y, out=gx)
    gx *= row_blocks.sums(g)[:, None]
    np.subtract(g, gx, out=gx)


def largest(x):
    """The largest of each column."""
    return column_blocks.folded(lambda x: x.max(0), x)


def softmax_of_columns(y, x):
    most = largest(x)

    def exponentials(rows):
        np.subtract(x[rows], most, out=y[rows])
        return column_blocks.sums(np.exp(y[rows], out=y[rows]))
    scale = 1 / summed(exponentials, x)
    by_slices(lambda rows: np.multiply(y[rows], scale, out=y[rows]), y)


def logsumexp_of_columns(x):
    most = largest(x)
    most[~np.isfinite(most)] = 0

    def exponentials(rows):
        e = x[rows] - most
        return column_blocks.sums(np.exp(e, out=e))
    return np.log(summed(exponentials, x)) + most


def log_softmax_of_columns(y, x):
    most = largest(x)

    def exponentials(rows):
        np.subtract(x[rows], most, out=y[rows])
        return column_blocks.sums(np.exp(y[rows]))
    log = np.log(summed(exponentials, x))
    by_slices(lambda rows: np.subtract(y[rows], log, out=y[rows]), y)


def softmax_back_of_columns(gx, g, y):
    total = summed(lambda rows: column_blocks.sums(np.multiply(g[rows], y[rows], out=gx[rows])), g)

    def back(rows):
        np.subtract(g[rows], total, out=gx[rows])
        gx[rows] *= y[rows]
    by_slices(back, g)


def log_softmax_back_of_columns(gx, g, y):
    total = column_blocks.folded(column_blocks.sums, g)

    def back(rows):
        np.exp(y[rows], out=gx[rows])
        gx[rows] *= total
        np.subtract(g[rows], gx[rows], out=gx[rows])
    by_slices(back, g)


softmax = by_blocks(softmax_of_rows, softmax_of_columns)
log_softmax = by_blocks(log_softmax_of_rows, log_softmax_of_columns)
softmax_back = by_blocks(softmax_back_of_rows, softmax_back_of_columns)
log_softmax_back = by_blocks(log_softmax_back_of_rows, log_softmax_back_of_columns)
