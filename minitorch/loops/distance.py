"""Losses of differences between two arrays, and their gradients, in one pass: see ops/distance.py for what delta means."""
import numpy as np

from .. import threads
from . import inline, loop

LEAST = 1 << 17                                      # numbers that are worth another thread
PIECE = 1 << 12                                      # numbers that are summed up in their own type; sums of these are float64's


@inline
def clipped(d, delta):
    return -delta if d < -delta else delta if d > delta else d          # NaN stays


@inline
def loss(d, delta, half):
    if delta == np.inf:
        return d * d
    if delta == 0:
        return abs(d)
    c = clipped(d, delta)
    return c * (d - c * half)


@inline
def slope(d, delta, one):
    if delta == 0:
        return one if d > 0 else -one if d < 0 else one - one
    return clipped(d, delta)


@loop
def sums(start, stop, a, b, delta, out):
    half = a.dtype.type(0.5)
    for i in range(start, stop):
        x, y = a[i * PIECE:(i + 1) * PIECE], b[i * PIECE:(i + 1) * PIECE]
        total = a.dtype.type(0)
        for j in range(x.size):
            total += loss(x[j] - y[j], delta, half)
        out[i] = total


@loop
def each(start, stop, a, b, delta, scale, out):
    a, b, out = a[start:stop], b[start:stop], out[start:stop]
    half = a.dtype.type(0.5)
    for i in range(a.size):
        out[i] = scale * loss(a[i] - b[i], delta, half)


@loop
def back(start, stop, g, a, b, delta, scale, out):
    g, a, b, out = g[start:stop], a[start:stop], b[start:stop], out[start:stop]
    one = a.dtype.type(1)
    for i in range(a.size):
        out[i] = g[i] * (scale * slope(a[i] - b[i], delta, one))


@loop
def back_of_one(start, stop, g, a, b, delta, out):
    a, b, out = a[start:stop], b[start:stop], out[start:stop]
    one = a.dtype.type(1)
    for i in range(a.size):
        out[i] = g * slope(a[i] - b[i], delta, one)


def total(a, b, delta):
    """The sum of the losses."""
    out = np.empty(-(-a.size // PIECE))
    threads.run(sums, len(out), a.reshape(-1), b.reshape(-1), a.dtype.type(delta), out, least=LEAST // PIECE)
    return float(out.sum())


def lengths(a, b, delta, scale):
    """scale times each loss."""
    out, T = np.empty_like(a), a.dtype.type
    threads.run(each, a.size, a.reshape(-1), b.reshape(-1), T(delta), T(scale), out.reshape(-1), least=LEAST)
    return out


def slopes(g, a, b, delta, scale):
    """scale g times the losses' slopes, for one g or as many as there are losses."""
    out, T = np.empty_like(a), a.dtype.type
    arrays = a.reshape(-1), b.reshape(-1), T(delta)
    if g.ndim == 0:
        threads.run(back_of_one, a.size, T(g * scale), *arrays, out.reshape(-1), least=LEAST)
    else:
        threads.run(back, a.size, g.reshape(-1), *arrays, T(scale), out.reshape(-1), least=LEAST)
    return out
