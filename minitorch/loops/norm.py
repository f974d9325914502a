"""Layer norm and RMS norm of the rows of a matrix, and their derivative."""
import numpy as np

from .. import threads
from . import loop

LEAST = 1 << 15                                      # numbers that are worth another thread


@loop
def normalize(start, stop, x, weight, bias, eps, centre, y, mean, rstd):
    D = x.dtype.type(x.shape[1])
    for i in range(start, stop):
        m = x.dtype.type(0)
        if centre:
            for j in range(x.shape[1]):
                m += x[i, j]
            m /= D
            mean[i, 0] = m
        v = x.dtype.type(0)
        for j in range(x.shape[1]):
            v += (x[i, j] - m) * (x[i, j] - m)
        r = x.dtype.type(1) / np.sqrt(v / D + eps)
        rstd[i, 0] = r
        if weight.size and bias.size:
            for j in range(x.shape[1]):
                y[i, j] = (x[i, j] - m) * r * weight[j] + bias[j]
        elif weight.size:
            for j in range(x.shape[1]):
                y[i, j] = (x[i, j] - m) * r * weight[j]
        else:
            for j in range(x.shape[1]):
                y[i, j] = (x[i, j] - m) * r


def layer(x, weight, bias, eps, centre):
    """(y, mean, rstd) of a matrix x (N, D), weight and bias (D,) or None; the last two as columns, mean None unless `centre`."""
    y, rstd = np.empty_like(x), np.empty((len(x), 1), x.dtype)
    mean = np.empty_like(rstd)
    weight, bias = (np.empty(0, x.dtype) if v is None else v for v in (weight, bias))
    threads.run(normalize, len(x), x, weight, bias, x.dtype.type(eps), centre, y, mean, rstd, least=1 + LEAST // x.shape[1])
    return y, mean if centre else None, rstd


@loop
def differentiate(start, stop, g, x, weight, mean, rstd, gx, gw, gb):
    D, centred = x.dtype.type(x.shape[1]), mean.size > 0
    for i in range(start, stop):
        m = mean[i, 0] if centred else x.dtype.type(0)
        r, s, p = rstd[i, 0], x.dtype.type(0), x.dtype.type(0)
        if weight.size and gw.size and gb.size:
            for j in range(x.shape[1]):
                y = (x[i, j] - m) * r
                gw[j] += g[i, j] * y
                gb[j] += g[i, j]
                s += g[i, j] * weight[j]
                p += g[i, j] * weight[j] * y
        else:
            for j in range(x.shape[1]):
                scaled = g[i, j] * weight[j] if weight.size else g[i, j]
                s += scaled
                p += scaled * (x[i, j] - m) * r
            if gw.size:
                for j in range(x.shape[1]):
                    gw[j] += g[i, j] * (x[i, j] - m) * r
            if gb.size:
                for j in range(x.shape[1]):
                    gb[j] += g[i, j]
        if gx.size:
            p *= r / D
            s = s / D if centred else x.dtype.type(0)
            if weight.size:
                for j in range(x.shape[1]):
                    gx[i, j] = r * (g[i, j] * weight[j] - s - (x[i, j] - m) * p)
            else:
                for j in range(x.shape[1]):
                    gx[i, j] = r * (g[i, j] - s - (x[i, j] - m) * p)


def layer_gradient(g, x, weight, mean, rstd, wanted):
    """[gradient of x, weight, bias] from that of layer's result, None for what is not in `wanted`; mean is None where x was not centred."""
    none = np.empty(0, x.dtype)
    gx = np.empty_like(x) if 0 in wanted else None
    spans = threads.pieces(len(x), 1 + LEAST // x.shape[1])
    sums = [[np.zeros(x.shape[1], x.dtype) if k in wanted else none for k in (1, 2)] for _ in spans]       # each thread has its own

    def part(first, last):
        for k in range(first, last):
            differentiate(*spans[k], g, x, none if weight is None else weight, none.reshape(0, 1) if mean is None else mean, rstd,
                          none.reshape(0, 1) if gx is None else gx, *sums[k])
    threads.run(part, len(spans))
    return [gx, *(sum(own) if k in wanted else None for k, own in zip((1, 2), zip(*sums)))]
