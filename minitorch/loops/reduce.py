"""logsumexp of the rows of a matrix, and its derivative, for float32: each row is read while it is in the cache."""
import numpy as np

from .. import threads
from . import loop
from .functions import exp
from .softmax import exponentials

LEAST = 1 << 14                                      # numbers that are worth another thread


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


def logsumexp(x):
    """(N, D) -> (N,)"""
    y = np.empty(len(x), x.dtype)
    threads.run(logarithms, len(x), x, y, least=1 + LEAST // x.shape[1])
    return y


@loop
def back(start, stop, g, x, y, out):
    for i in range(start, stop):
        for j in range(x.shape[1]):
            out[i, j] = g[i] * exp(x[i, j] - y[i])


def logsumexp_gradient(g, x, y):
    """g e^(x - y): (N,), (N, D), (N,) -> (N, D)."""
    out = np.empty_like(x)
    threads.run(back, len(x), g, x, y, out, least=1 + LEAST // x.shape[1])
    return out
