"""Weighted sums of a few places along one axis, each its own places: what resizing an image is, and its transpose."""
from math import prod

import numpy as np

from .. import threads
from . import loop

LEAST = 1 << 17                                      # numbers that are worth another thread


@loop
def runs(start, stop, x, first, place, weight, out):
    """For x (R, n, D), out (R, m, D): runs of D numbers are added up."""
    m, D = out.shape[1], out.shape[2]
    for q in range(start, stop):
        r, j = q // m, q % m
        y, a, b = out[r, j], first[j], first[j + 1]
        if b - a == 2:
            s, t, u, v = x[r, place[a]], x[r, place[a + 1]], weight[a], weight[a + 1]
            for d in range(D):
                y[d] = u * s[d] + v * t[d]
        else:
            y[:] = 0
            for i in range(a, b):
                s, u = x[r, place[i]], weight[i]
                for d in range(D):
                    y[d] += u * s[d]


@loop
def numbers(start, stop, x, first, place, weight, out):
    """The same for x (R, n), out (R, m)."""
    m = out.shape[1]
    for r in range(start, stop):
        s, y = x[r], out[r]
        for j in range(m):
            total = weight.dtype.type(0)
            for i in range(first[j], first[j + 1]):
                total += weight[i] * s[place[i]]
            y[j] = total


@loop
def singles(start, stop, x, place, out):
    for r in range(start, stop):
        s, y = x[r], out[r]
        for j in range(y.size):
            y[j] = s[place[j]]                       # of nearest places, which have no weights


@loop
def pairs(start, stop, x, place, weight, out):
    for r in range(start, stop):
        s, y = x[r], out[r]
        for j in range(y.size):
            y[j] = weight[2 * j] * s[place[2 * j]] + weight[2 * j + 1] * s[place[2 * j + 1]]


def along(x, axis, first, place, weight):
    """y[..., j, ...] = the sum of weight[i] x[..., place[i], ...] over i from first[j] to first[j + 1]."""
    m = len(first) - 1
    R, n, D = prod(x.shape[:axis]), x.shape[axis], prod(x.shape[axis + 1:])
    y = np.empty((*x.shape[:axis], m, *x.shape[axis + 1:]), x.dtype)
    if D > 1:
        threads.run(runs, R * m, x.reshape(R, n, D), first, place, weight, y.reshape(R, m, D), least=1 + LEAST // D)
        return y
    x, out, least = x.reshape(R, n), y.reshape(R, m), 1 + LEAST // max(m, 1)
    each = np.diff(first)
    even = each.size and (each == each[0]).all()     # every sum of as many
    if even and each[0] == 1:
        threads.run(singles, R, x, place, out, least=least)
    elif even and each[0] == 2:
        threads.run(pairs, R, x, place, weight, out, least=least)
    else:
        threads.run(numbers, R, x, first, place, weight, out, least=least)
    return y
