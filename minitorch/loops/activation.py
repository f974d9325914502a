"""Gradients of activation functions, and those functions whose plain form takes NumPy several passes."""
import numpy as np

from .. import threads
from . import inline, loop, wide
from .functions import ONE, TWO, F, erf, exp, expm1, sigmoid, softplus

LEAST = 1 << 17                                      # numbers that are worth another thread: handing work over takes as long as 100000
TOP = F(20)                                          # where tanh(softplus(x)) is 1


@loop
def signs(start, stop, x, out):
    x, out = x[start:stop], out[start:stop]
    T = x.dtype.type
    for i in range(x.size):
        out[i] = T(1) if x[i] > 0 else T(-1) if x[i] < 0 else T(0)


@loop
def abs_back(start, stop, g, x, out):
    g, x, out = g[start:stop], x[start:stop], out[start:stop]
    T = x.dtype.type
    for i in range(x.size):
        out[i] = g[i] * (T(1) if x[i] > 0 else T(-1) if x[i] < 0 else T(0))


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
    wide()
    x, out = x[start:stop], out[start:stop]
    for i in range(x.size):
        out[i] = sigmoid(x[i])


@loop
def silus(start, stop, x, out):
    wide()
    x, out = x[start:stop], out[start:stop]
    for i in range(x.size):
        out[i] = x[i] / (ONE + exp(-x[i]))


@loop
def silu_back(start, stop, g, x, out):
    wide()
    g, x, out = g[start:stop], x[start:stop], out[start:stop]
    for i in range(x.size):
        s = sigmoid(x[i])
        out[i] = g[i] * (s * (ONE + x[i] * (ONE - s)))


@loop
def erfs(start, stop, x, out):
    wide()
    x, out = x[start:stop], out[start:stop]
    for i in range(x.size):
        out[i] = erf(x[i])


@loop
def logsigmoids(start, stop, x, out):
    wide()
    x, out = x[start:stop], out[start:stop]
    for i in range(x.size):
        out[i] = -softplus(-x[i])


@loop
def softpluses(start, stop, x, beta, threshold, out):
    wide()
    x, out = x[start:stop], out[start:stop]
    for i in range(x.size):
        out[i] = x[i] if x[i] * beta > threshold else softplus(x[i] * beta) / beta


@loop
def softplus_back(start, stop, g, x, beta, threshold, out):
    wide()
    g, x, out = g[start:stop], x[start:stop], out[start:stop]
    for i in range(x.size):
        out[i] = g[i] if x[i] * beta > threshold else g[i] * sigmoid(x[i] * beta)


@loop
def elus(start, stop, x, below, above, inside, out):
    wide()
    x, out = x[start:stop], out[start:stop]
    for i in range(x.size):
        out[i] = x[i] * above if x[i] > 0 else below * expm1(x[i] * inside)


@loop
def elu_back(start, stop, g, x, below, above, inside, out):
    wide()
    g, x, out = g[start:stop], x[start:stop], out[start:stop]
    for i in range(x.size):
        out[i] = g[i] * (below * exp(x[i] * inside) if x[i] <= 0 else above)


@loop
def hardswishes(start, stop, x, out):
    x, out = x[start:stop], out[start:stop]
    T = x.dtype.type
    for i in range(x.size):
        out[i] = x[i] * (T(0) if x[i] <= -3 else T(6) if x[i] >= 3 else x[i] + T(3)) / T(6)


@loop
def hardswish_back(start, stop, g, x, out):
    g, x, out = g[start:stop], x[start:stop], out[start:stop]
    T = x.dtype.type
    for i in range(x.size):
        out[i] = T(0) if x[i] <= -3 else g[i] * (x[i] / T(3) + T(0.5)) if x[i] < 3 else g[i]


@inline
def tanh_of_softplus(x):
    """tanh(log(1 + e^x)) = n / (n + 2) with n = e^x (e^x + 2)."""
    e = exp(x if x < TOP else TOP) if x == x else x
    n = e * (e + TWO)
    return n / (n + TWO)


@loop
def mishes(start, stop, x, out):
    wide()
    x, out = x[start:stop], out[start:stop]
    for i in range(x.size):
        out[i] = x[i] * tanh_of_softplus(x[i])


@loop
def mish_back(start, stop, g, x, out):
    wide()
    g, x, out = g[start:stop], x[start:stop], out[start:stop]
    for i in range(x.size):
        t = tanh_of_softplus(x[i])
        out[i] = g[i] * (t + x[i] * sigmoid(x[i]) * (ONE - t * t))


@loop
def lerps(start, stop, a, b, weight, rest, out):
    a, b, out = a[start:stop], b[start:stop], out[start:stop]
    if weight < 0.5:
        for i in range(a.size):
            out[i] = a[i] + weight * (b[i] - a[i])
    else:
        for i in range(a.size):
            out[i] = b[i] - rest * (b[i] - a[i])


@loop
def addcmuls(start, stop, x, a, b, value, out):
    x, a, b, out = x[start:stop], a[start:stop], b[start:stop], out[start:stop]
    for i in range(x.size):
        out[i] = x[i] + value * a[i] * b[i]


def elementwise(part, *arrays, numbers=()):
    """One of the loops above over arrays of one shape."""
    y, n = np.empty_like(arrays[0]), arrays[0].size
    threads.run(part, n, *[a.reshape(n) for a in arrays], *[y.dtype.type(v) for v in numbers], y.reshape(n), least=LEAST)
    return y
