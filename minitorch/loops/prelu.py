"""prelu, and what it passes back to its input and to its slopes: x as rows, with a slope for each row or for each column."""
from math import prod

import numpy as np

from .. import threads
from . import loop

LEAST = 1 << 17                                      # numbers that are worth another thread
PIECE = 1 << 12                                      # numbers that are summed up in their own type; and of a row, where one slope serves all
ROWS = 1 << 6                                        # rows that are summed up together


@loop
def rows(start, stop, g, x, w, D, out):
    for r in range(start, stop):
        a, b, y, slope = g[r * D:(r + 1) * D], x[r * D:(r + 1) * D], out[r * D:(r + 1) * D], w[r % w.size]
        for j in range(y.size):
            y[j] = a[j] if b[j] > 0 else slope * a[j]


@loop
def columns(start, stop, g, x, w, D, out):
    for r in range(start, stop):
        a, b, y = g[r * D:(r + 1) * D], x[r * D:(r + 1) * D], out[r * D:(r + 1) * D]
        for j in range(y.size):
            y[j] = a[j] if b[j] > 0 else w[j] * a[j]


@loop
def sums_of_rows(start, stop, g, x, D, out):
    for r in range(start, stop):
        a, b = g[r * D:(r + 1) * D], x[r * D:(r + 1) * D]
        total = 0.0
        for i in range(0, a.size, PIECE):            # of a long row in one float32 sum the last numbers would be lost
            c, d, piece = a[i:i + PIECE], b[i:i + PIECE], a.dtype.type(0)
            for j in range(c.size):
                piece += a.dtype.type(0) if d[j] > 0 else c[j] * d[j]
            total += piece
        out[r] = total


@loop
def sums_of_columns(start, stop, g, x, D, out):
    for k in range(start, stop):
        y = out[k]
        y[:] = 0
        for r in range(k * ROWS, min((k + 1) * ROWS, g.size // D)):
            a, b = g[r * D:(r + 1) * D], x[r * D:(r + 1) * D]
            for j in range(y.size):
                y[j] += a.dtype.type(0) if b[j] > 0 else a[j] * b[j]


def layout(x, shape):
    """(D, n, whether they belong to columns) for x in rows of D numbers and n slopes; None for a slope for each number."""
    n = prod(shape)
    if n == 1:
        return PIECE, 1, False
    if x.ndim < 2 or shape != (n,) + (1,) * (x.ndim - 2):
        return None
    return (n, n, True) if x.ndim == 2 else (prod(x.shape[2:]), n, False)


def forward(x, w):
    """x where it is positive, else w x."""
    return gradient(x, x, w)


def gradient(g, x, w):
    """g where x is positive, else w g."""
    found = layout(x, w.shape)
    if found is None or not x.size:
        return NotImplemented
    D, _, by_column = found
    out = np.empty_like(x)
    part = columns if by_column else rows
    threads.run(part, -(-x.size // D), g.reshape(-1), x.reshape(-1), w.reshape(-1), D, out.reshape(-1), least=1 + LEAST // D)
    return out


def slope_gradient(g, x, shape):
    """The sums of g x where x is not positive, in the shape of the slopes."""
    found = layout(x, shape)
    if found is None or not x.size:
        return NotImplemented
    (D, n, by_column), N = found, -(-x.size // found[0])
    if by_column:
        N = -(-N // ROWS)
        out = np.empty((N, D), x.dtype)
        threads.run(sums_of_columns, N, g.reshape(-1), x.reshape(-1), D, out, least=1 + LEAST // (D * ROWS))
    else:
        out = np.empty(N)
        threads.run(sums_of_rows, N, g.reshape(-1), x.reshape(-1), D, out, least=1 + LEAST // D)
    return out.reshape(-1, n).sum(0, dtype="f8").astype(x.dtype).reshape(shape)
