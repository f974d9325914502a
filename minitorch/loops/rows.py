"""Rows added to a table at the places that an index names, in the index's order: the same sums by any number of threads.

Long rows are brought in the order of their places first, so that every row of the table is written once, whole.
"""
import numpy as np

from .. import threads
from . import loop

LEAST = 1 << 18                                      # numbers that are worth another thread
LONG = 16                                            # numbers of a row that is worth sorting
PARTS = 64                                           # of the table, with about the same work each


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


@loop
def sort(index, n):
    """(the numbers of the rows in the order of their places, where those of each of the n places begin, and the end)"""
    starts, order = np.zeros(n + 2, np.int64), np.empty(index.size, np.int64)
    for i in range(index.size):
        starts[(index[i] if index[i] >= 0 else index[i] + n) + 2] += 1
    for k in range(2, n + 2):
        starts[k] += starts[k - 1]
    for i in range(index.size):
        k = (index[i] if index[i] >= 0 else index[i] + n) + 1
        order[starts[k]] = i
        starts[k] += 1
    return order, starts[:n + 1]


@loop
def add_sorted(start, stop, parts, order, starts, rows, y):
    """y[k] = the sum of the rows order[starts[k]], ..., for the parts from start to stop of y (n, tail)."""
    for k in range(parts[start], parts[stop]):
        to, first, end = y[k], starts[k], starts[k + 1]
        if first == end:
            for j in range(to.size):
                to[j] = y.dtype.type(0)
        else:
            row = rows[order[first]]
            for j in range(to.size):
                to[j] = row[j]
            for i in range(first + 1, end):
                row = rows[order[i]]
                for j in range(to.size):
                    to[j] += row[j]


@loop
def add_sorted_to(start, stop, parts, order, starts, rows, x, y):
    """y[k] = x[k] + the rows order[starts[k]], ..., one after the other, for the parts from start to stop of y (n, tail)."""
    for k in range(parts[start], parts[stop]):
        to, old = y[k], x[k]
        for j in range(to.size):
            to[j] = old[j]
        for i in range(starts[k], starts[k + 1]):
            row = rows[order[i]]
            for j in range(to.size):
                to[j] += row[j]


def divided(order, starts, rows, part, *arrays):
    """part on PARTS parts of the last of the arrays, a table (n, tail), by several threads."""
    y = arrays[-1]
    work = starts + np.arange(len(y) + 1)            # rows read and written until there
    parts = np.searchsorted(work, np.linspace(0, work[-1], PARTS + 1))
    threads.run(part, PARTS, parts, order, starts, rows, *arrays, least=1 + LEAST * PARTS // y.size)
    return y


def added(x, rows, index):
    """x (n, tail) and the rows that an index from -n to n - 1 adds to it, as a new array."""
    order, starts = sort(index, len(x))
    return divided(order, starts, rows, add_sorted_to, x, np.empty_like(x))


def into(rows, index, n):
    """Zeros (lead, n, tail) with rows (lead, i, tail) added where index (i,), from -n to n - 1, says."""
    lead, _, tail = rows.shape
    y = np.empty((lead, n, tail), rows.dtype)
    if lead == 1 and tail >= LONG and n >= PARTS:
        order, starts = sort(index, n)
        divided(order, starts, rows[0], add_sorted, y[0])
        return y
    axis = 0 if lead >= 8 else 2 if tail >= 64 else 1
    threads.run(add, y.shape[axis], axis, rows, index, y, least=1 + LEAST * y.shape[axis] // max(1, rows.size))
    return y
