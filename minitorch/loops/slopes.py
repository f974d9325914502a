"""Derivatives that take NumPy several passes over a large array, in one: the loops of vjps, called as these are."""
import numpy as np

from .. import threads
from . import loop

LEAST = 1 << 17                                      # numbers that are worth another thread


@loop
def tanh(start, stop, g, y, out):
    g, y, out = g[start:stop], y[start:stop], out[start:stop]
    for i in range(y.size):
        out[i] = g[i] - g[i] * y[i] * y[i]


@loop
def sqrt(start, stop, g, y, out):
    g, y, out = g[start:stop], y[start:stop], out[start:stop]
    for i in range(y.size):
        out[i] = g[i] / (y[i] + y[i])


@loop
def rsqrt(start, stop, g, y, out):
    g, y, out = g[start:stop], y[start:stop], out[start:stop]
    for i in range(y.size):
        out[i] = g[i] * (y[i] * y[i] * y[i]) * y.dtype.type(-0.5)


@loop
def reciprocal(start, stop, g, y, out):
    g, y, out = g[start:stop], y[start:stop], out[start:stop]
    for i in range(y.size):
        out[i] = -g[i] * (y[i] * y[i])


def slope(part, *arrays):
    """One of the loops above over arrays of one shape and number type, row by row in memory."""
    out = np.empty_like(arrays[0])
    threads.run(part, out.size, *[a.reshape(-1) for a in arrays], out.reshape(-1), least=LEAST)
    return out
