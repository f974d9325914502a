"""The answers to bugs.py.  Try first: `python examples/find_the_bug.py 3 --hint` says what to look for."""
import numpy as np
from bugs import EPS, STRIDE, TAPS, WORDS, softmax

from minitorch import autograd


def mean_of_squares_vjp(g, x):
    return 2 * g * x / x.size                        # a mean's gradient is spread over all that it was taken of


def decay_vjp(g, x):
    return -g * np.exp(-x)                           # the inner derivative, that of -x, is -1


def linear_vjp(g, x, w):
    return g @ w.T, x.T @ g                          # d w[i, j] = sum over n of x[n, i] g[n, j]


def scale_rows_vjp(g, x, s):
    return g * s, (g * x).sum(axis=1, keepdims=True)       # s[n] was used D times: its gradients add up


def embedding_vjp(g, table):
    gradient = np.zeros_like(table)
    np.add.at(gradient, WORDS, g)                    # a row that was chosen three times gets three gradients (`+=` would drop two)
    return gradient


def centre_rows_vjp(g, x):
    return g - g.mean(axis=1, keepdims=True)         # along the axis along which the mean was taken


def softmax_vjp(g, x):
    y = softmax(x)
    return y * (g - (g * y).sum(axis=1, keepdims=True))    # the sum in the denominator depends on x too


def convolve_vjp(g, x):
    gradient = np.zeros_like(x)
    for i, gi in enumerate(g):
        for k, tap in enumerate(TAPS):
            gradient[i * STRIDE + k] += gi * tap     # where the window read, and nowhere else: no test for the end is needed
    return gradient


class ExpPlus(autograd.Function):
    """e^a + b, on Tensors."""

    @staticmethod
    def forward(ctx, a, b):
        y = a.exp()
        ctx.save_for_backward(y)                     # with its count of writes: backward would refuse a value written to since
        return y + b

    @staticmethod
    def backward(ctx, g):
        return g * ctx.saved_tensors[0], g


def rms_norm_vjp(g, x):
    r = 1 / np.sqrt((x * x).mean(axis=1, keepdims=True) + EPS)             # the very number that forward divided by
    y = x * r
    return r * (g - y * (g * y).mean(axis=1, keepdims=True))


def attention(scores, values):
    """softmax(scores) @ values, on Tensors: (N, K), (K, D) -> (N, D)."""
    e = (scores - scores.amax(1, keepdim=True).detach()).exp()             # any shift gives the same result
    return (e / e.sum(1, keepdim=True)) @ values     # the shift cancels, the sum does not: it must not be detached


def softplus_vjp(g, x):
    e = np.exp(-np.abs(x))                           # at most 1: nothing overflows
    return g * np.where(x > 0, 1, e) / (1 + e)
