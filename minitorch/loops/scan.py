"""Running sums and products: floats in float64, rounded once, as in NumPy's cumsum and cumprod with that dtype.

Along the last axis each step waits for the one before, so four rows go side by side; along any other a whole row is added at a time.
"""
import numpy as np

from .. import threads
from . import loop

LEAST = 1 << 16                                      # numbers that are worth another thread
WIDTH = 1024                                         # columns whose sums so far stay in the nearest cache


@loop
def row_sums(start, stop, x, y, first, step):
    """Each row of x (N, D) from the column `first` on in steps of 1 or -1."""
    D = x.shape[1]
    end = start + (stop - start) // 4 * 4
    for i in range(start, end, 4):
        a, b, c, d = 0.0, 0.0, 0.0, 0.0
        k = first
        for _ in range(D):
            a += x[i, k]
            b += x[i + 1, k]
            c += x[i + 2, k]
            d += x[i + 3, k]
            y[i, k], y[i + 1, k], y[i + 2, k], y[i + 3, k] = a, b, c, d
            k += step
    for i in range(end, stop):
        a, k = 0.0, first
        for _ in range(D):
            a += x[i, k]
            y[i, k] = a
            k += step


@loop
def row_products(start, stop, x, y, first, step):
    D = x.shape[1]
    end = start + (stop - start) // 4 * 4
    for i in range(start, end, 4):
        a, b, c, d = 1.0, 1.0, 1.0, 1.0
        k = first
        for _ in range(D):
            a *= x[i, k]
            b *= x[i + 1, k]
            c *= x[i + 2, k]
            d *= x[i + 3, k]
            y[i, k], y[i + 1, k], y[i + 2, k], y[i + 3, k] = a, b, c, d
            k += step
    for i in range(end, stop):
        a, k = 1.0, first
        for _ in range(D):
            a *= x[i, k]
            y[i, k] = a
            k += step


@loop
def column_sums(start, stop, x, y, first, step, tiles, width):
    """Along the middle axis of x (lead, n, tail), for the tiles from start to stop: `tiles` of `width` columns each for every index of lead."""
    n, tail = x.shape[1:]
    total = np.empty(width, np.float64)
    for t in range(start, stop):
        l, left = t // tiles, t % tiles * width
        right = min(left + width, tail)
        for j in range(right - left):
            total[j] = 0.0
        k = first
        for _ in range(n):
            row, out = x[l, k, left:right], y[l, k, left:right]
            for j in range(row.size):
                total[j] += row[j]
                out[j] = total[j]
            k += step


@loop
def column_products(start, stop, x, y, first, step, tiles, width):
    n, tail = x.shape[1:]
    total = np.empty(width, np.float64)
    for t in range(start, stop):
        l, left = t // tiles, t % tiles * width
        right = min(left + width, tail)
        for j in range(right - left):
            total[j] = 1.0
        k = first
        for _ in range(n):
            row, out = x[l, k, left:right], y[l, k, left:right]
            for j in range(row.size):
                total[j] *= row[j]
                out[j] = total[j]
            k += step


def accumulated(method, x, dim, step):
    """cumsum or cumprod of x along `dim`; step -1: from the end."""
    y, n = np.empty_like(x), x.shape[dim]
    first = 0 if step == 1 else n - 1
    lead, tail = int(np.prod(x.shape[:dim])), int(np.prod(x.shape[dim + 1:]))
    if tail == 1:
        rows = row_sums if method == "cumsum" else row_products
        threads.run(rows, lead, x.reshape(lead, n), y.reshape(lead, n), first, step, least=1 + LEAST // n)
    else:
        columns, tiles = column_sums if method == "cumsum" else column_products, -(-tail // WIDTH)
        threads.run(columns, lead * tiles, x.reshape(lead, n, tail), y.reshape(lead, n, tail), first, step, tiles, WIDTH,
                    least=1 + LEAST * lead * tiles // x.size)
    return y
