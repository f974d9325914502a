"""softmax, here of the rows of a matrix, and the cross entropy of rows of scores, for float32: each row is read while it is in the cache."""
import numpy as np

from .. import threads
from . import columns, inline, loop
from .functions import F, decay, exp, less

LOWEST, GREATEST = np.int32(-0x7f800001), np.int32(0x7fffffff)             # minus infinity among floats' bits, in the order of numbers
LEAST = 1 << 17                                      # numbers that are worth another thread


@inline
def largest(x):
    """The largest number of x (N,), compared as whole numbers in the same order, for of floats the compiler compares one at a time."""
    bits, most = x.view(np.int32), LOWEST
    for j in range(bits.size):
        b = bits[j]
        b = b ^ np.int32((b >> np.int32(31)) & GREATEST)
        most = max(b, most)
    return np.int32(most ^ np.int32((most >> np.int32(31)) & GREATEST)).view(np.float32)


@inline
def exponentials(x, y):
    """y = e^(x - the largest of x); their sum, NaN if one of them is, and the largest."""
    most, total = largest(x), F(0)
    for j in range(x.size):
        y[j] = decay(x[j] - most)
        total += y[j]
    return total, most


@loop
def rows(start, stop, x, y):
    for i in range(start, stop):
        total, _ = exponentials(x[i], y[i])
        scale = F(1) / total
        for j in range(x.shape[1]):
            y[i, j] *= scale


def softmax(x, dim):
    """e^x / sum of e^x along axis `dim`."""
    if dim < x.ndim - 1:
        return columns.softmax(x, dim)
    y = np.empty_like(x)
    D = x.shape[-1]
    threads.run(rows, x.size // D, x.reshape(-1, D), y.reshape(-1, D), least=1 + LEAST // D)
    return y


@loop
def logarithms(start, stop, x, y):
    for i in range(start, stop):
        total, most = exponentials(x[i], y[i])
        log = np.log(total)
        for j in range(x.shape[1]):
            y[i, j] = less(x[i, j], most, log)


def log_softmax(x, dim):
    """x - log of the sum of e^x along axis `dim`."""
    if dim < x.ndim - 1:
        return columns.log_softmax(x, dim)
    y = np.empty_like(x)
    D = x.shape[-1]
    threads.run(logarithms, x.size // D, x.reshape(-1, D), y.reshape(-1, D), least=1 + LEAST // D)
    return y


@loop
def softmax_back(start, stop, g, y, gx):
    for i in range(start, stop):
        total = F(0)
        for j in range(y.shape[1]):
            total += g[i, j] * y[i, j]
        for j in range(y.shape[1]):
            gx[i, j] = y[i, j] * (g[i, j] - total)


def softmax_gradient(g, y, dim):
    """y (g - sum of g y) along axis `dim`."""
    if dim < y.ndim - 1:
        return columns.gradient(columns.softmax_back, dim, g, y)
    gx = np.empty_like(y)
    D = y.shape[-1]
    threads.run(softmax_back, y.size // D, g.reshape(-1, D), y.reshape(-1, D), gx.reshape(-1, D), least=1 + LEAST // D)
    return gx


@loop
def log_softmax_back(start, stop, g, y, gx):
    for i in range(start, stop):
        total = F(0)
        for j in range(y.shape[1]):
            total += g[i, j]
        for j in range(y.shape[1]):
            gx[i, j] = g[i, j] - exp(y[i, j]) * total


def log_softmax_gradient(g, y, dim):
    """g - e^y sum of g along axis `dim`."""
    if dim < y.ndim - 1:
        return columns.gradient(columns.log_softmax_back, dim, g, y)
    gx = np.empty_like(y)
    D = y.shape[-1]
    threads.run(log_softmax_back, y.size // D, g.reshape(-1, D), y.reshape(-1, D), gx.reshape(-1, D), least=1 + LEAST // D)
    return gx


@loop
def logarithms_of_targets(start, stop, x, target, y, exps, totals):
    for i in range(start, stop):
        total, most = exponentials(x[i], exps[i])
        y[i], totals[i] = less(x[i, target[i]], most, np.log(total)), total


def cross_entropy(x, target):
    """(loss of each row, e^(x - the row's largest), their sums): (N, C), (N,) -> (N,), (N, C), (N,)."""
    y, exps, totals = np.empty(len(x), x.dtype), np.empty_like(x), np.empty(len(x), x.dtype)
    threads.run(logarithms_of_targets, len(x), x, target, y, exps, totals, least=1 + LEAST // x.shape[1])
    return -y, exps, totals                          # a minus in the loop would let the compiler turn the differences around


@loop
def losses_back(start, stop, g, target, exps, totals, gx):
    for i in range(start, stop):
        scale = g[i] / totals[i]
        for j in range(exps.shape[1]):
            gx[i, j] = exps[i, j] * scale
        gx[i, target[i]] -= g[i]


def cross_entropy_gradient(g, target, exps, totals):
    """(softmax - 1 at the target) g."""
    gx = np.empty_like(exps)
    threads.run(losses_back, len(exps), g, target, exps, totals, gx, least=1 + LEAST // exps.shape[1])
    return gx
