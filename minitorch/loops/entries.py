"""Entries named by an index along the middle axis of arrays (lead, n, tail): read, and added, with the index checked on the way."""
import numpy as np

from .. import threads
from . import loop

LEAST = 1 << 18                                      # numbers that are worth another thread
FEW = 8                                              # places along an axis that is not divided


@loop
def named(index, n, wrong):
    """Whether all of `index` is from 0 to n - 1; else it is noted in `wrong`."""
    top = np.uint64(0)
    for j in range(index.size):
        top = max(top, np.uint64(index[j]))
    if top >= np.uint64(n):
        wrong[0] = True
    return top < np.uint64(n)


@loop
def read_last(start, stop, x, index, y, wrong):
    """y[l, j] = x[l, index[l, j]] for l from start to stop."""
    for l in range(start, stop):
        row, at, to = x[l], index[l], y[l]
        if not named(at, row.size, wrong):
            return
        for j in range(at.size):
            to[j] = row[at[j]]


@loop
def read_one(start, stop, x, index, y, wrong):
    """y[j] = x[index[j]] for j from start to stop."""
    at, to = index[start:stop], y[start:stop]
    if named(at, x.size, wrong):
        for j in range(at.size):
            to[j] = x[at[j]]


@loop
def read(start, stop, x, index, y, wrong):
    """y[l, i, j] = x[l, index[l, i, j], j] for i from start to stop."""
    for l in range(x.shape[0]):
        rows = x[l]
        for i in range(start, stop):
            at, to = index[l, i], y[l, i]
            if not named(at, rows.shape[0], wrong):
                return
            for j in range(at.size):
                to[j] = rows[at[j], j]


@loop
def add_last(start, stop, src, index, y, wrong):
    """y[l, index[l, j]] += src[l, j] for l from start to stop."""
    for l in range(start, stop):
        row, at, to = src[l], index[l], y[l]
        if not named(at, to.size, wrong):
            return
        for j in range(at.size):
            to[at[j]] += row[j]


@loop
def add_one(start, stop, src, index, y, wrong):
    """y[index[j]] += src[j] for places in y from start to stop."""
    if named(index, y.size, wrong):
        for j in range(index.size):
            if start <= index[j] < stop:
                y[index[j]] += src[j]


@loop
def add(start, stop, src, index, y, wrong):
    """y[l, index[l, i, j], j] += src[l, i, j] for j from start to stop."""
    for l in range(src.shape[0]):
        to = y[l, :, start:stop]
        for i in range(src.shape[1]):
            row, at = src[l, i, start:stop], index[l, i, start:stop]
            if not named(at, to.shape[0], wrong):
                return
            for j in range(at.size):
                to[at[j], j] += row[j]


def gather(x, index):
    """x (lead, n, tail) at `index` (lead, m, tail); None where that names a place outside."""
    y, wrong = np.empty(index.shape, x.dtype), np.zeros(1, np.bool_)
    lead, m, tail = index.shape
    if tail > 1:
        share(read, m, x, index, y, wrong, index.size)
    elif lead >= FEW or m < lead:
        share(read_last, lead, x[:, :, 0], index[:, :, 0], y[:, :, 0], wrong, index.size)
    else:
        for l in range(lead):
            share(read_one, m, x[l, :, 0], index[l, :, 0], y[l, :, 0], wrong, m)
    return None if wrong[0] else y


def scatter_add(y, index, src):
    """y (lead, n, tail) with src (lead, m, tail) added at `index`, in place; None where that names a place outside."""
    wrong = np.zeros(1, np.bool_)
    lead, n, tail = y.shape
    if tail > 1:
        share(add, tail, src, index, y, wrong, index.size)
    elif lead >= FEW or n < lead:
        share(add_last, lead, src[:, :, 0], index[:, :, 0], y[:, :, 0], wrong, index.size)
    else:
        for l in range(lead):
            share(add_one, n, src[l, :, 0], index[l, :, 0], y[l, :, 0], wrong, index.shape[1])
    return None if wrong[0] else y


def share(part, n, x, index, y, wrong, size):
    """part on pieces of range(n), side by side where that pays for so many entries."""
    threads.run(part, n, x, index, y, wrong, least=1 + LEAST * n // size)
