"""Reductions along an axis that is not the last, and their derivatives, of x (lead, n, tail): row after row, beside what was found so far.

A tile is one index of lead and up to WIDTH columns; threads share the tiles.  All but `place` are for float32.
"""
from math import prod

import numpy as np

from .. import threads
from . import inline, loop, wide
from .functions import F, decay, exp, less

LEAST = 1 << 17                                      # numbers that are worth another thread
PIECE = 256                                          # rows that are added up before float64 takes what they make
WIDTH = 2048                                         # columns; of fewer the processor's cache holds less, where rows lie a power of 2 apart


def by_tiles(part, dim, x, *args):
    """part(start, stop, tiles, width, x, *args) for all tiles: `tiles` of them of `width` columns for every index of lead."""
    lead, n, tail = prod(x.shape[:dim]), x.shape[dim], prod(x.shape[dim + 1:])
    width = min(WIDTH, -(-tail // (threads.get_num_threads() if lead == 1 and tail > 64 else 1)))
    tiles = -(-tail // width)
    cut = [a.reshape(lead, a.size // (lead * tail), tail) if type(a) is np.ndarray else a for a in (x, *args)]
    threads.run(part, lead * tiles, tiles, width, *cut, least=1 + LEAST // (n * width))


@inline
def columns_of(t, tiles, width, tail):
    """(index of lead, first column, the one after the last) of tile t."""
    left = t % tiles * width
    return t // tiles, left, min(left + width, tail)


@loop
def places(start, stop, tiles, width, x, y, sign):
    best, where = np.empty(width, x.dtype), np.empty(width, np.int32)
    for t in range(start, stop):
        l, left, right = columns_of(t, tiles, width, x.shape[2])
        for j in range(right - left):
            best[j], where[j] = x[l, 0, left + j] * sign, 0
        for k in range(1, x.shape[1]):
            row = x[l, k, left:right]
            for j in range(row.size):
                v = row[j] * sign
                better = (v > best[j]) | ((v != v) & (best[j] == best[j]))
                best[j] = v if better else best[j]
                where[j] = np.int32(k) if better else where[j]
        for j in range(right - left):
            y[l, 0, left + j] = where[j]


def place(x, dim, sign):
    """Where along `dim`, which stays, the first of the largest stands, for sign -1 of the smallest.  NaN is larger and smaller than all."""
    y = np.empty((*x.shape[:dim], 1, *x.shape[dim + 1:]), np.int64)
    by_tiles(places, dim, x, y, x.dtype.type(sign))
    return y


@inline
def largest(x, l, left, right, most):
    """most = the largest of each column."""
    for j in range(right - left):
        most[j] = x[l, 0, left + j]
    for k in range(1, x.shape[1]):
        row = x[l, k, left:right]
        for j in range(row.size):
            most[j] = row[j] if row[j] > most[j] else most[j]


@inline
def kept(k, total, earlier):
    """After the last of PIECE rows, k, earlier += total, which begins anew: of many rows in one float32 sum the later ones would be lost."""
    if k % PIECE == PIECE - 1:
        for j in range(total.size):
            earlier[j] += total[j]
            total[j] = F(0)


@inline
def joined(n, total, earlier):
    """total = the sum of n rows."""
    if n >= PIECE:
        for j in range(total.size):
            total[j] += earlier[j]
            earlier[j] = 0.0


@loop
def exponentials(start, stop, tiles, width, x, y):
    wide()
    most, total, earlier = np.empty(width, x.dtype), np.empty(width, x.dtype), np.zeros(width)
    for t in range(start, stop):
        l, left, right = columns_of(t, tiles, width, x.shape[2])
        largest(x, l, left, right, most)
        total[:] = F(0)
        for k in range(x.shape[1]):
            row, out = x[l, k, left:right], y[l, k, left:right]
            for j in range(row.size):
                e = decay(row[j] - most[j])
                out[j] = e
                total[j] += e
            kept(k, total, earlier)
        joined(x.shape[1], total, earlier)
        for j in range(right - left):
            total[j] = F(1) / total[j]
        for k in range(x.shape[1]):
            out = y[l, k, left:right]
            for j in range(out.size):
                out[j] *= total[j]


def softmax(x, dim):
    """e^x / sum of e^x along `dim`."""
    y = np.empty_like(x)
    by_tiles(exponentials, dim, x, y)
    return y


@inline
def logarithm(x, l, left, right, most, total, earlier):
    """(most, total) = (the largest, log of the sum of e^(x - the largest)) of each column; NaN where infinity is among them."""
    largest(x, l, left, right, most)
    total[:] = F(0)
    for j in range(right - left):
        most[j] = F(0) if most[j] == F(-np.inf) else most[j]
    for k in range(x.shape[1]):
        row = x[l, k, left:right]
        for j in range(row.size):
            total[j] += decay(row[j] - most[j])
        kept(k, total, earlier)
    joined(x.shape[1], total, earlier)
    for j in range(right - left):
        total[j] = np.log(total[j])


@loop
def logarithms(start, stop, tiles, width, x, y):
    wide()
    most, total, earlier = np.empty(width, x.dtype), np.empty(width, x.dtype), np.zeros(width)
    for t in range(start, stop):
        l, left, right = columns_of(t, tiles, width, x.shape[2])
        logarithm(x, l, left, right, most, total, earlier)
        for j in range(right - left):
            y[l, 0, left + j] = most[j] + total[j]
            if total[j] != total[j]:                 # infinity, unless there is a NaN
                y[l, 0, left + j] = F(np.inf)
                for k in range(x.shape[1]):
                    if x[l, k, left + j] != x[l, k, left + j]:
                        y[l, 0, left + j] = x[l, k, left + j]


def logsumexp(x, dim):
    """log of the sum of e^x along `dim`, which stays."""
    y = np.empty((*x.shape[:dim], 1, *x.shape[dim + 1:]), x.dtype)
    by_tiles(logarithms, dim, x, y)
    return y


@loop
def differences(start, stop, tiles, width, x, y):
    wide()
    most, total, earlier = np.empty(width, x.dtype), np.empty(width, x.dtype), np.zeros(width)
    for t in range(start, stop):
        l, left, right = columns_of(t, tiles, width, x.shape[2])
        logarithm(x, l, left, right, most, total, earlier)
        for k in range(x.shape[1]):
            row, out = x[l, k, left:right], y[l, k, left:right]
            for j in range(row.size):
                out[j] = less(row[j], most[j], total[j])


def log_softmax(x, dim):
    """x - log of the sum of e^x along `dim`."""
    y = np.empty_like(x)
    by_tiles(differences, dim, x, y)
    return y


@loop
def softmax_back(start, stop, tiles, width, g, y, gx):
    total, earlier = np.empty(width, y.dtype), np.zeros(width)
    for t in range(start, stop):
        l, left, right = columns_of(t, tiles, width, y.shape[2])
        total[:] = F(0)
        for k in range(y.shape[1]):
            row, of_y = g[l, k, left:right], y[l, k, left:right]
            for j in range(row.size):
                total[j] += row[j] * of_y[j]
            kept(k, total, earlier)
        joined(y.shape[1], total, earlier)
        for k in range(y.shape[1]):
            row, of_y, out = g[l, k, left:right], y[l, k, left:right], gx[l, k, left:right]
            for j in range(row.size):
                out[j] = of_y[j] * (row[j] - total[j])


@loop
def log_softmax_back(start, stop, tiles, width, g, y, gx):
    wide()
    total, earlier = np.empty(width, y.dtype), np.zeros(width)
    for t in range(start, stop):
        l, left, right = columns_of(t, tiles, width, y.shape[2])
        total[:] = F(0)
        for k in range(y.shape[1]):
            row = g[l, k, left:right]
            for j in range(row.size):
                total[j] += row[j]
            kept(k, total, earlier)
        joined(y.shape[1], total, earlier)
        for k in range(y.shape[1]):
            row, of_y, out = g[l, k, left:right], y[l, k, left:right], gx[l, k, left:right]
            for j in range(row.size):
                out[j] = row[j] - exp(of_y[j]) * total[j]


@loop
def logsumexp_back(start, stop, tiles, width, x, g, y, gx):
    wide()
    for t in range(start, stop):
        l, left, right = columns_of(t, tiles, width, x.shape[2])
        scale, of_y = g[l, 0, left:right], y[l, 0, left:right]
        for k in range(x.shape[1]):
            row, out = x[l, k, left:right], gx[l, k, left:right]
            for j in range(row.size):
                out[j] = scale[j] * exp(row[j] - of_y[j])


def gradient(back, dim, *arrays):
    """What softmax_back, log_softmax_back (g, y) or logsumexp_back (x, g, y) makes of these arrays."""
    gx = np.empty_like(arrays[0])
    by_tiles(back, dim, *arrays, gx)
    return gx
