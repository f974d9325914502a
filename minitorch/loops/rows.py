"""Rows added to a table at the places that an index names, each in its turn: the same sums by any number of threads."""
import numpy as np

from .. import threads
from . import loop

LEAST = 1 << 16                                      # numbers that are worth another thread


@loop
def add(start, stop, axis, rows, index, y):
    """Along one axis of y (lead, n, tail) only the part from start to stop is written to; y[:, index[i]] += rows[:, i]."""
    first, last = (start, stop) if axis == 0 else (0, y.shape[0])
    low, high = (start, stop) if axis == 1 else (0, y.shape[1])
    left, right = (start, stop) if axis == 2 else (0, y.shape[2])
    named = np.empty(high - low, np.bool_)           # whether a row of the table has been written to
    for l in range(first, last):
        named[:] = False
        for i in range(index.size):
            k = index[i] if index[i] >= 0 else index[i] + y.shape[1]
            if low <= k < high:
                to, row = y[l, k, left:right], rows[l, i, left:right]
                if named[k - low]:
                    for j in range(to.size):
                        to[j] += row[j]
                else:
                    named[k - low] = True
                    for j in range(to.size):
                        to[j] = row[j]
        for k in range(low, high):
            if not named[k - low]:
                y[l, k, left:right] = y.dtype.type(0)


def into(rows, index, n):
    """Zeros (lead, n, tail) with rows (lead, i, tail) added where index (i,), from -n to n - 1, says."""
    lead, _, tail = rows.shape
    y = np.empty((lead, n, tail), rows.dtype)
    axis = 0 if lead >= 8 else 2 if tail >= 64 else 1
    threads.run(add, y.shape[axis], axis, rows, index, y, least=1 + LEAST * y.shape[axis] // max(1, rows.size))
    return y
