"""Twelve functions with derivatives, each of which has one bug: find it, repair it here, and ask

    python examples/find_the_bug.py --check          # which of them are right by now

`name_vjp(g, x, ...)` takes the gradient of the result of `name(x, ...)` and returns those of x, ... (numbers 9 and 11 are written
with Tensors).  The functions themselves are right; what differentiates them is not.
"""
import numpy as np

from minitorch import autograd

# ---- 1 -----------------------------------------------------------------------------------------------------------------

def mean_of_squares(x):
    """The mean of x^2."""
    return (x * x).mean()


def mean_of_squares_vjp(g, x):
    return 2 * g * x


# ---- 2 -----------------------------------------------------------------------------------------------------------------

def decay(x):
    """e^-x."""
    return np.exp(-x)


def decay_vjp(g, x):
    return g * np.exp(-x)


# ---- 3 -----------------------------------------------------------------------------------------------------------------

def linear(x, w):
    """x @ w: (N, D) @ (D, D)."""
    return x @ w


def linear_vjp(g, x, w):
    return g @ w.T, g.T @ x


# ---- 4 -----------------------------------------------------------------------------------------------------------------

def scale_rows(x, s):
    """Each row of x (N, D) times one number of s (N, 1)."""
    return x * s


def scale_rows_vjp(g, x, s):
    return g * s, g * x


# ---- 5 -----------------------------------------------------------------------------------------------------------------

WORDS = np.array([4, 1, 4, 0, 2, 1, 4])


def embedding(table):
    """The rows of a table (V, D) that the words of a sentence choose."""
    return table[WORDS]


def embedding_vjp(g, table):
    gradient = np.zeros_like(table)
    gradient[WORDS] = g
    return gradient


# ---- 6 -----------------------------------------------------------------------------------------------------------------

def centre_rows(x):
    """Each row minus its mean."""
    return x - x.mean(axis=1, keepdims=True)


def centre_rows_vjp(g, x):
    return g - g.mean(axis=0, keepdims=True)


# ---- 7 -----------------------------------------------------------------------------------------------------------------

def softmax(x):
    """e^x over its sum, row by row."""
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def softmax_vjp(g, x):
    y = softmax(x)
    return g * y


# ---- 8 -----------------------------------------------------------------------------------------------------------------

TAPS, STRIDE = np.array([0.5, 1.0, -2.0]), 2


def convolve(x):
    """Every second position of the correlation of x with three taps."""
    windows = np.lib.stride_tricks.sliding_window_view(x, len(TAPS))[::STRIDE]
    return windows @ TAPS


def convolve_vjp(g, x):
    gradient = np.zeros_like(x)
    for i, gi in enumerate(g):
        for k, tap in enumerate(TAPS):
            place = i * STRIDE + k + 1
            if place < len(x):
                gradient[place] += gi * tap
    return gradient


# ---- 9 -----------------------------------------------------------------------------------------------------------------

class ExpPlus(autograd.Function):
    """e^a + b, on Tensors."""

    @staticmethod
    def forward(ctx, a, b):
        y = a.exp()
        ctx.e = y
        y += b                                       # in place: one array fewer
        return y

    @staticmethod
    def backward(ctx, g):
        return g * ctx.e, g


# ---- 10 ----------------------------------------------------------------------------------------------------------------

EPS = 1e-2


def rms_norm(x):
    """Each row over its root mean square, which EPS keeps from zero."""
    return x / np.sqrt((x * x).mean(axis=1, keepdims=True) + EPS)


def rms_norm_vjp(g, x):
    r = 1 / (np.sqrt((x * x).mean(axis=1, keepdims=True)) + EPS)
    y = x * r
    return r * (g - y * (g * y).mean(axis=1, keepdims=True))


# ---- 11 ----------------------------------------------------------------------------------------------------------------

def attention(scores, values):
    """softmax(scores) @ values, on Tensors: (N, K), (K, D) -> (N, D)."""
    e = (scores - scores.amax(1, keepdim=True).detach()).exp()             # any shift gives the same result
    total = e.sum(1, keepdim=True).detach()
    return (e / total) @ values


# ---- 12 ----------------------------------------------------------------------------------------------------------------

def softplus(x):
    """log(1 + e^x), in float32."""
    return np.logaddexp(0, x)


def softplus_vjp(g, x):
    e = np.exp(x)
    return g * e / (1 + e)
