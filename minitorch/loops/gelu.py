"""GELU and its derivative, both ways of computing it, for float32."""
import numpy as np

from .. import threads
from . import loop
from .functions import F, HALF, ONE, decay, erf, tanh

LEAST = 1 << 15                                      # numbers that are worth another thread
ROOT, SCALE, CUBIC = F(0.5 ** 0.5), F((2 / np.pi) ** 0.5), F(0.044715)


@loop
def by_erf(start, stop, x, y):
    x, y = x[start:stop], y[start:stop]              # counted from 0, for then no index can be negative, and the loop is vectorised
    for i in range(x.size):
        y[i] = HALF * x[i] * (ONE + erf(x[i] * ROOT))


@loop
def by_erf_gradient(start, stop, g, x, y):
    g, x, y = g[start:stop], x[start:stop], y[start:stop]
    for i in range(x.size):
        v = x[i]
        y[i] = g[i] * (HALF * (ONE + erf(v * ROOT)) + v * decay(-HALF * v * v) * (HALF * SCALE))


@loop
def by_tanh(start, stop, x, y):
    x, y = x[start:stop], y[start:stop]
    for i in range(x.size):
        v = x[i]
        y[i] = HALF * v * (ONE + tanh(SCALE * v * (ONE + CUBIC * v * v)))


@loop
def by_tanh_gradient(start, stop, g, x, y):
    g, x, y = g[start:stop], x[start:stop], y[start:stop]
    for i in range(x.size):
        v = x[i]
        t = tanh(SCALE * v * (ONE + CUBIC * v * v))
        y[i] = g[i] * (HALF * (ONE + t) + HALF * SCALE * v * (ONE - t * t) * (ONE + F(3) * CUBIC * v * v))


FORWARD = {"none": by_erf, "tanh": by_tanh}
BACKWARD = {"none": by_erf_gradient, "tanh": by_tanh_gradient}


def gelu(x, approximate):
    """gelu of an array of any shape."""
    y = np.empty_like(x)
    threads.run(FORWARD[approximate], x.size, x.reshape(-1), y.reshape(-1), least=LEAST)
    return y


def gelu_gradient(g, x, approximate):
    """g times gelu's derivative at x."""
    y = np.empty_like(x)
    threads.run(BACKWARD[approximate], x.size, g.reshape(-1), x.reshape(-1), y.reshape(-1), least=LEAST)
    return y
