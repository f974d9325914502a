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
