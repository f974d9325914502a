"""The loss of yes or no and its gradient, of float32, in one pass."""
import numpy as np

from .. import threads
from . import loop, wide
from .distance import PIECE
from .functions import ONE, sigmoid, softplus

LEAST = 1 << 17                                      # numbers that are worth another thread


@loop
def sums(start, stop, x, t, out):
    wide()
    for i in range(start, stop):
        a, b = x[i * PIECE:(i + 1) * PIECE], t[i * PIECE:(i + 1) * PIECE]
        total = np.float32(0)
        for j in range(a.size):
            total += (ONE - b[j]) * a[j] + softplus(-a[j])
        out[i] = total


@loop
def each(start, stop, x, t, out):
    wide()
    x, t, out = x[start:stop], t[start:stop], out[start:stop]
    for i in range(x.size):
        out[i] = (ONE - t[i]) * x[i] + softplus(-x[i])


@loop
def back(start, stop, g, x, t, out):
    wide()
    g, x, t, out = g[start:stop], x[start:stop], t[start:stop], out[start:stop]
    for i in range(x.size):
        out[i] = g[i] * (sigmoid(x[i]) - t[i])


@loop
def back_of_one(start, stop, g, x, t, out):
    wide()
    x, t, out = x[start:stop], t[start:stop], out[start:stop]
    for i in range(x.size):
        out[i] = g * (sigmoid(x[i]) - t[i])


def total(x, t):
    """The sum of the losses."""
    out = np.empty(-(-x.size // PIECE))
    threads.run(sums, len(out), x.reshape(-1), t.reshape(-1), out, least=LEAST // PIECE)
    return float(out.sum())


def losses(x, t):
    """Each loss."""
    out = np.empty_like(x)
    threads.run(each, x.size, x.reshape(-1), t.reshape(-1), out.reshape(-1), least=LEAST)
    return out


def slopes(g, x, t):
    """g times the losses' slopes, for one g or as many as there are losses."""
    out = np.empty_like(x)
    if g.ndim:
        threads.run(back, x.size, g.reshape(-1), x.reshape(-1), t.reshape(-1), out.reshape(-1), least=LEAST)
    else:
        threads.run(back_of_one, x.size, np.float32(g), x.reshape(-1), t.reshape(-1), out.reshape(-1), least=LEAST)
    return out
