"""Gradients of activation functions, and those functions whose plain form takes NumPy several passes."""
import numpy as np

from .. import threads
from . import loop
from .functions import ONE, exp, sigmoid

LEAST = 1 << 17                                      # numbers that are worth another thread: handing work over takes as long as 100000


@loop
def relu_back(start, stop, g, y, out):
    g, y, out = g[start:stop], y[start:stop], out[start:stop]
    for i in range(y.size):
        out[i] = y.dtype.type(0) if y[i] <= 0 else g[i]


@loop
def leaky(start, stop, x, slope, out):
    x, out = x[start:stop], out[start:stop]
    for i in range(x.size):
        out[i] = x[i] if x[i] > 0 else slope * x[i]


@loop
def leaky_back(start, stop, g, x, slope, out):
    g, x, out = g[start:stop], x[start:stop], out[start:stop]
    for i in range(x.size):
        out[i] = g[i] if x[i] > 0 else slope * g[i]


@loop
def sigmoid_back(start, stop, g, y, out):
    g, y, out = g[start:stop], y[start:stop], out[start:stop]
    for i in range(y.size):
        out[i] = g[i] * (y[i] * (y.dtype.type(1) - y[i]))


@loop
def sigmoids(start, stop, x, out):
    x, out = x[start:stop], out[start:stop]
    for i in range(x.size):
        out[i] = sigmoid(x[i])


@loop
def silus(start, stop, x, out):
    x, out = x[start:stop], out[start:stop]
    for i in range(x.size):
        out[i] = x[i] / (ONE + exp(-x[i]))


@loop
def silu_back(start, stop, g, x, out):
    g, x, out = g[start:stop], x[start:stop], out[start:stop]
    for i in range(x.size):
        s = sigmoid(x[i])
        out[i] = g[i] * (s * (ONE + x[i] * (ONE - s)))


def elementwise(part, *arrays, number=None):
    """One of the loops above over arrays of one shape."""
    y, n = np.empty_like(arrays[0]), arrays[0].size
    numbers = [] if number is None else [y.dtype.type(number)]
    threads.run(part, n, *[a.reshape(n) for a in arrays], *numbers, y.reshape(n), least=LEAST)
    return y
