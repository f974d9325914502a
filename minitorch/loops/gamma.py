"""lgamma and digamma of float32, in float64: Stirling's series, with its arguments brought to 8 or more as in minitorch.ops.gamma.

Everything is plain arithmetic, the logarithm too, so that the compiler computes several at a time; negative numbers are
reflected one by one afterwards.
"""
import math

import numpy as np

from .. import threads
from ..ops.gamma import DIGAMMA_LARGE, STIRLING
from . import exact, loop

LEAST = 1 << 13                                      # numbers that are worth another thread
BLOCK = 1024                                         # numbers whose float64 stay in the nearest cache
S0, S1, S2, S3, S4, S5 = STIRLING[:6]
D0, D1, D2, D3, D4, D5 = DIGAMMA_LARGE[:6]
HALF_LOG_2PI, LOG_PI, LN2, ROOT = 0.5 * math.log(2 * math.pi), math.log(math.pi), math.log(2), math.sqrt(0.5)
MANTISSA, ONE_BITS = np.int64((1 << 52) - 1), np.int64(1023 << 52)


@exact
def log(x):
    """log of a positive float64: n ln 2 + log m, sqrt(1/2) <= m < sqrt(2), by the series for log((1 + f) / (1 - f)); error 1e-16."""
    bits = np.float64(x).view(np.int64)
    n = float((bits >> np.int64(52)) - np.int64(1023))
    m = np.int64((bits & MANTISSA) | ONE_BITS).view(np.float64)            # 1 <= m < 2
    big = m > 2 * ROOT
    m = 0.5 * m if big else m
    n = n + 1.0 if big else n
    f = (m - 1.0) / (m + 1.0)
    w = f * f
    s = 1 / 13 + w * (1 / 15 + w * (1 / 17 + w * (1 / 19)))
    return n * LN2 + 2.0 * f * (1.0 + w * (1 / 3 + w * (1 / 5 + w * (1 / 7 + w * (1 / 9 + w * (1 / 11 + w * s))))))


@loop
def lgamma_part(start, stop, x, y):
    room = np.empty(BLOCK)
    for i in range(start, stop, BLOCK):
        xs = x[i:min(stop, i + BLOCK)]
        ys, t = y[i:i + xs.size], room[:xs.size]
        for j in range(t.size):
            v = np.float64(xs[j])
            z = 1.0 - v if v < 0.0 else v
            p = z * (z + 1.0) * (z + 2.0) * (z + 3.0) * ((z + 4.0) * (z + 5.0) * (z + 6.0) * (z + 7.0))
            p = p if z < 8.0 else 1.0
            s = z + 8.0 if z < 8.0 else z
            r = 1.0 / s
            w = r * r
            a = (s - 0.5) * log(s) - s + HALF_LOG_2PI + r * (S0 + w * (S1 + w * (S2 + w * (S3 + w * (S4 + w * S5))))) - log(p)
            a = 0.0 if z == 1.0 or z == 2.0 else a
            t[j] = np.inf if z == 0.0 or z == np.inf else a
        for j in range(t.size):
            if xs[j] < 0:
                v = np.float64(xs[j])
                t[j] = np.inf if v == -np.inf else LOG_PI - np.log(abs(np.sin(np.pi * (v - np.rint(v))))) - t[j]
        for j in range(t.size):
            ys[j] = t[j]


@loop
def digamma_part(start, stop, x, y):
    room = np.empty(BLOCK)
    for i in range(start, stop, BLOCK):
        xs = x[i:min(stop, i + BLOCK)]
        ys, t = y[i:i + xs.size], room[:xs.size]
        for j in range(t.size):
            v = np.float64(xs[j])
            z = 1.0 - v if v < 0.0 else v
            p, d = z, 1.0                            # the product, and its derivative
            d, p = d * (z + 1.0) + p, p * (z + 1.0)
            d, p = d * (z + 2.0) + p, p * (z + 2.0)
            d, p = d * (z + 3.0) + p, p * (z + 3.0)
            d, p = d * (z + 4.0) + p, p * (z + 4.0)
            d, p = d * (z + 5.0) + p, p * (z + 5.0)
            d, p = d * (z + 6.0) + p, p * (z + 6.0)
            d, p = d * (z + 7.0) + p, p * (z + 7.0)
            fall = d / p if z < 8.0 else 0.0
            s = z + 8.0 if z < 8.0 else z
            r = 1.0 / s
            w = r * r
            a = log(s) - 0.5 * r - w * (D0 + w * (D1 + w * (D2 + w * (D3 + w * (D4 + w * D5))))) - fall
            t[j] = np.inf if z == np.inf else a if z == z else z
        for j in range(t.size):
            if xs[j] < 0:
                v = np.float64(xs[j])
                sine = np.sin(np.pi * (v - np.rint(v)))
                t[j] = np.nan if sine == 0 else t[j] - np.pi * np.cos(np.pi * (v - np.rint(v))) / sine
        for j in range(t.size):
            ys[j] = t[j]


def each(part, x):
    """A function of every number of an array of any shape."""
    y = np.empty_like(x)
    threads.run(part, x.size, x.reshape(-1), y.reshape(-1), least=LEAST)
    return y
