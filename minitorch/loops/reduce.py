"""Reductions of the rows of a matrix, and their derivatives: each row is read while it is in the cache.

logsumexp is for float32, and shares its rows among threads itself; the others are called on blocks of rows (minitorch/blocks.py).
"""
import numpy as np

from .. import threads
from . import columns, loop
from .functions import exp
from .softmax import exponentials

LEAST = 1 << 17                                      # numbers that are worth another thread


@loop
def logarithms(start, stop, x, y):
    scratch = np.empty(x.shape[1], x.dtype)
    for i in range(start, stop):
        total, most = exponentials(x[i], scratch)
        y[i] = most + np.log(total)
        if abs(most) == np.inf:                      # and so the sum, unless there is a NaN
            y[i] = most
            for j in range(x.shape[1]):
                if x[i, j] != x[i, j]:
                    y[i] = x[i, j]


def logsumexp(x, dim):
    """log of the sum of e^x along `dim`, which stays."""
    if dim < x.ndim - 1:
        return columns.logsumexp(x, dim)
    y = np.empty((*x.shape[:-1], 1), x.dtype)
    x = x.reshape(-1, x.shape[-1])
    threads.run(logarithms, len(x), x, y.reshape(-1), least=1 + LEAST // x.shape[1])
    return y


@loop
def back(start, stop, g, x, y, out):
    for i in range(start, stop):
        for j in range(x.shape[1]):
            out[i, j] = g[i] * exp(x[i, j] - y[i])


def logsumexp_gradient(g, x, y, dim):
    """g e^(x - y) for g and y that lack x's axis `dim`."""
    if dim < x.ndim - 1:
        return columns.gradient(columns.logsumexp_back, dim, x, g, y)
    g, y = g.reshape(-1), y.reshape(-1)
    out, D = np.empty_like(x), x.shape[-1]
    threads.run(back, len(y), g, x.reshape(-1, D), y, out.reshape(-1, D), least=1 + LEAST // D)
    return out


@loop
def products(x):
    """The product of each row: (N, D) -> (N,)."""
    y = np.empty(x.shape[0], x.dtype)
    for i in range(x.shape[0]):
        total = x.dtype.type(1)
        for j in range(x.shape[1]):
            total *= x[i, j]
        y[i] = total
    return y


@loop
def squared_distances(x, mean):
    """The sum over each row of (x - mean)^2: (N, D), (N, 1) -> (N,)."""
    y = np.empty(x.shape[0], x.dtype)
    for i in range(x.shape[0]):
        total = x.dtype.type(0)
        for j in range(x.shape[1]):
            total += (x[i, j] - mean[i, 0]) * (x[i, j] - mean[i, 0])
        y[i] = total
    return y


@loop
def scaled_distances(y, x, mean, g):
    """y = g (x - mean) for x (N, D), g and mean (N, 1)."""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[i, j] = g[i, 0] * (x[i, j] - mean[i, 0])


@loop
def given_to_ties(y, x, value, g):
    """y = g / k where x = value, which it is k times in its row; else 0: for x (N, D), value and g (N, 1)."""
    for i in range(x.shape[0]):
        k = x.dtype.type(0)
        for j in range(x.shape[1]):
            k += x.dtype.type(x[i, j] == value[i, 0])
        share, none = g[i, 0] / k, g[i, 0] / k * x.dtype.type(0)           # NaN where no number is equal, for one was NaN
        for j in range(x.shape[1]):
            y[i, j] = share if x[i, j] == value[i, 0] else none


@loop
def divided(y, x, value, g):
    """y = x / value g for x (N, D), value and g (N, 1)."""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[i, j] = x[i, j] / value[i, 0] * g[i, 0]


@loop
def signed(y, x, g):
    """y = g sign(x) for x (N, D), g (N, 1); the sign of NaN is 0, as in PyTorch."""
    for i in range(x.shape[0]):
        none = g[i, 0] * x.dtype.type(0)
        for j in range(x.shape[1]):
            y[i, j] = g[i, 0] if x[i, j] > 0 else -g[i, 0] if x[i, j] < 0 else none
