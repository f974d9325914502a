"""Batch norm of (N, C, P), its derivative, and scaling by channel: a channel at a time, which stays in the processor's cache.

Sums over a row are in the array's own type, sums of rows in float64.
"""
import numpy as np

from .. import threads
from . import loop

LEAST = 1 << 15                                      # numbers that are worth another thread


@loop
def normalize(start, stop, x, weight, bias, eps, y, mean, var, rstd):
    N, C, P = x.shape
    T = x.dtype.type
    for c in range(start, stop):
        total = 0.0
        for n in range(N):
            row, part = x[n, c], T(0)
            for j in range(P):
                part += row[j]
            total += part
        m = T(total / (N * P))
        total = 0.0
        for n in range(N):
            row, part = x[n, c], T(0)
            for j in range(P):
                part += (row[j] - m) * (row[j] - m)
            total += part
        mean[0, c, 0], var[0, c, 0] = m, T(total / (N * P))
        r = T(1) / np.sqrt(var[0, c, 0] + eps)
        rstd[0, c, 0] = r
        scale, shift = r * weight[c] if weight.size else r, bias[c] if bias.size else T(0)
        for n in range(N):
            row, out = x[n, c], y[n, c]
            for j in range(P):
                out[j] = (row[j] - m) * scale + shift


def batch(x, weight, bias, eps):
    """(y, mean, variance, 1 / sqrt(variance + eps)) of x (N, C, P), weight and bias (C,) or None; all but y as (1, C, 1)."""
    y, (mean, var, rstd) = np.empty_like(x), np.empty((3, 1, x.shape[1], 1), x.dtype)
    weight, bias = (np.empty(0, x.dtype) if v is None else v for v in (weight, bias))
    threads.run(normalize, x.shape[1], x, weight, bias, x.dtype.type(eps), y, mean, var, rstd, least=by_channel(x))
    return y, mean, var, rstd


@loop
def differentiate(start, stop, g, x, weight, mean, rstd, gx, gw, gb):
    N, C, P = x.shape
    T = x.dtype.type
    for c in range(start, stop):
        m, r = mean[0, c, 0], rstd[0, c, 0]
        total, product = 0.0, 0.0
        for n in range(N):
            here, row, s, p = g[n, c], x[n, c], T(0), T(0)
            for j in range(P):
                s += here[j]
                p += here[j] * (row[j] - m)
            total += s
            product += p
        gb[c], gw[c] = total, product * r
        if gx.size:
            scale = r * weight[c] if weight.size else r
            a, b = T(total / (N * P)), T(product * r * r / (N * P))
            for n in range(N):
                here, row, out = g[n, c], x[n, c], gx[n, c]
                for j in range(P):
                    out[j] = scale * (here[j] - a - (row[j] - m) * b)


def batch_gradient(g, x, weight, mean, rstd, wanted):
    """(gradient of x if it is wanted, of weight, of bias) from that of batch's y."""
    gx = np.empty_like(x) if 0 in wanted else np.empty((0, 0, 0), x.dtype)
    gw, gb = np.empty((2, x.shape[1]), x.dtype)
    threads.run(differentiate, x.shape[1], g, x, np.empty(0, x.dtype) if weight is None else weight, mean, rstd, gx, gw, gb, least=by_channel(x))
    return gx, gw, gb


@loop
def scale(start, stop, x, factor, shift, y):
    for i in range(start, stop):
        row, out, a, b = x[i], y[i], factor[i % factor.size], shift[i % factor.size]
        for j in range(x.shape[1]):
            out[j] = row[j] * a + b


def scale_and_shift(x, factor, shift):
    """x (N, C, P) * factor + shift, (C,) both."""
    y, (N, C, P) = np.empty_like(x), x.shape
    threads.run(scale, N * C, x.reshape(N * C, P), factor, shift, y.reshape(N * C, P), least=1 + LEAST // max(1, P))
    return y


def by_channel(x):
    """How many channels are worth another thread."""
    return 1 + LEAST // max(1, x.shape[0] * x.shape[2])
