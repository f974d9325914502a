"""Bias and activation in one pass, its gradient, and dropout, on the kernels of elementwise.cu."""
import math

import numpy as np

from ..backend import xp
from ..cases import distinct, normal
from .kernel import library
from .philox import philox
from .proof import proven, scalar
from .rows import power
from .signature import address

ACTIVATIONS = ("identity", "relu", "gelu", "gelu_tanh", "silu", "tanh", "sigmoid")      # numbered as in activations.cuh
THREADS = 256                                        # of a block
STRIPS = 256                                         # into so many the rows are cut at most, to be added up
WORDS = 2**32


# ---- bias and activation -----------------------------------------------------------------------------------------

def activate(x, activation):
    """An activation function in NumPy."""
    return {"identity": lambda: x, "relu": lambda: np.maximum(x, 0), "gelu": lambda: x * (1 + np.vectorize(math.erf, otypes="d")(x / 2**0.5)) / 2,
            "gelu_tanh": lambda: x / 2 * (1 + np.tanh((2 / np.pi) ** 0.5 * (x + 0.044715 * x**3))),
            "silu": lambda: x / (1 + np.exp(-x)), "tanh": lambda: np.tanh(x), "sigmoid": lambda: 1 / (1 + np.exp(-x))}[activation]()


def slope(x, activation, eps=1e-5):
    """The derivative of an activation function, from two values on each side: good to 1e-10."""
    def step(t):
        return activate(x + t * eps, activation) - activate(x - t * eps, activation)
    return np.where(x > 0, 1.0, 0.0) if activation == "relu" else (8 * step(1) - step(2)) / (12 * eps)


def shape_of(name, x, bias, activation):
    """(rows, columns) of x, the activation's number; ValueError for what does not fit."""
    if activation not in ACTIVATIONS:
        raise ValueError(f"{name}: activation must be one of {', '.join(ACTIVATIONS)}, not {activation!r}")
    if bias is not None and (x.ndim == 0 or bias.shape != x.shape[-1:]):
        raise ValueError(f"{name}: a bias of shape {tuple(bias.shape)} for rows of shape {tuple(x.shape[-1:])}")
    columns = x.shape[-1] if x.ndim else 1
    return x.size // max(columns, 1), columns, ACTIVATIONS.index(activation)


def width(columns, *arrays):
    """How many numbers of rows of `columns` in these arrays (None: absent) one load moves: 16 bytes of them where they lie so, else one."""
    arrays = [a for a in arrays if a is not None]
    n = 16 // arrays[0].dtype.itemsize
    return n if columns % n == 0 and all([address(a) % 16 == 0 for a in arrays]) else 1


def place(loads, rows, least=32):
    """The block for rows of so many loads, how many blocks cover a row, and how many rows a block has.

    A block is `least` loads wide where rows are that long, wider where there are few rows, and always a power of two.
    """
    x = min(max(least, THREADS // power(rows)), power(loads))
    return (x, THREADS // x), -(-loads // x), THREADS // x


@proven(reference=lambda x, bias, activation: activate(x if bias is None else x + bias, activation), dtypes="float32 float16 bfloat16")
def bias_activation(x, bias, activation):
    """activation(x + bias): (..., N), (N,) or None -> (..., N); relu, gelu, gelu_tanh, silu, tanh, sigmoid or identity."""
    rows, columns, which = shape_of("bias_activation", x, bias, activation)
    y = xp(x).empty_like(x)
    if x.size:
        w = width(columns, x, y, bias)
        block, across, high = place(columns // w, rows)
        kernel = library("elementwise.cu", "bias_activation_forward", {"scalar": scalar(x), "WIDTH": w})
        kernel((across, min(-(-rows // (4 * high)), 65535)), block, (x, bias, y, rows, columns, which))
    return y


def bias_activation_backward_reference(g, x, bias, activation):
    dx = g * slope(x if bias is None else x + bias, activation)
    return dx, None if bias is None else dx.reshape(-1, x.shape[-1]).sum(0)


@proven(reference=bias_activation_backward_reference, dtypes="float32 float16 bfloat16", tolerance={"float64": 1e-9})
def bias_activation_backward(g, x, bias, activation):
    """The gradients of bias_activation: (..., N), (..., N), (N,) or None -> (..., N) and (N,) or None."""
    rows, columns, which = shape_of("bias_activation_backward", x, bias, activation)
    if g.shape != x.shape:
        raise ValueError(f"bias_activation_backward: a gradient of shape {tuple(g.shape)} for a result of shape {tuple(x.shape)}")
    library_of = xp(x)
    dx, dbias = library_of.empty_like(x), None if bias is None else library_of.zeros(columns, x.dtype)
    if not x.size:
        return dx, dbias
    w = width(columns, g, x, dx, bias)
    block, across, high = place(columns // w, rows)
    strip = max(4 * high, -(-rows // STRIPS))
    strips = -(-rows // strip)
    partial = None if bias is None else library_of.empty((strips, columns), np.float64 if x.dtype == np.float64 else np.float32)
    kernel = library("elementwise.cu", "bias_activation_backward", {"scalar": scalar(x), "WIDTH": w})
    kernel((across, strips), block, (g, x, bias, dx, partial, rows, columns, strip, which))
    if bias is not None:
        kernel = library("elementwise.cu", "column_sums", {"scalar": scalar(x), "WIDTH": 1})
        kernel(-(-columns // 32), (32, THREADS // 32), (partial, dbias, strips, columns))
    return dx, dbias


bias_activation.vjp(lambda g, y, x, bias, activation: bias_activation_backward(g, x, bias, activation))
for name in ACTIVATIONS:
    bias_activation.case(normal(3, 5), normal(5), name)
    bias_activation_backward.case(normal(5, 8), normal(5, 8), normal(8), name)
bias_activation.case(normal(2, 7, 8), normal(8), "gelu")
bias_activation.case(distinct(9, 3), None, "relu")
bias_activation.case(normal(1, 1), normal(1), "silu")
bias_activation.case(normal(6), normal(6), "tanh")
bias_activation.case(normal(2, 70), normal(70), "sigmoid")
bias_activation.case(normal(0, 4), normal(4), "gelu")
bias_activation_backward.case(normal(301, 3), normal(301, 3), normal(3), "silu")
bias_activation_backward.case(normal(3, 2, 136), normal(3, 2, 136), normal(136), "gelu_tanh")
bias_activation_backward.case(normal(70, 33), normal(70, 33), None, "sigmoid")
bias_activation_backward.case(normal(1), normal(1), normal(1), "tanh")
bias_activation_backward.case(normal(0, 4), normal(0, 4), normal(4), "tanh")


# ---- dropout -----------------------------------------------------------------------------------------------------

def kept(n, p, seed, offset):
    """Which of n numbers dropout leaves, in NumPy."""
    q = np.arange(-(-n // 4))
    words = philox((q & 0xFFFFFFFF, q >> 32, offset & 0xFFFFFFFF, offset >> 32), seed)
    return np.stack(words, axis=-1).reshape(-1)[:n] >= threshold(p)


def threshold(p):
    """Words below it are dropped."""
    return round(p * WORDS)


def dropout_reference(x, p, seed, offset=0):
    scale = 1 / (1 - p) if p < 1 else 0.0
    return np.where(kept(x.size, p, seed, offset).reshape(x.shape), x * scale, 0)


@proven(reference=dropout_reference, dtypes="float32 float16 bfloat16")
def dropout(x, p, seed, offset=0):
    """x / (1 - p) with probability 1 - p, else 0, by the random stream `seed` from `offset`: its own backward pass, given the gradient."""
    if not 0 <= p <= 1:
        raise ValueError(f"dropout: the probability must be between 0 and 1, not {p}")
    y = xp(x).empty_like(x)
    if x.size:
        blocks = min(-(-x.size // (4 * THREADS)), 2**16)
        scale = 1 / (1 - p) if p < 1 else 0.0
        kernel = library("elementwise.cu", "dropout", {"scalar": scalar(x), "WIDTH": 1})
        kernel(blocks, THREADS, (x, y, x.size, threshold(p), scale, seed, offset))
    return y


dropout.vjp(lambda g, y, x, p, seed, offset=0: dropout(g, p, seed, offset))
dropout.case(normal(5, 7), 0.5, 3)
dropout.case(normal(33), 0.1, 2**60 + 5, offset=2**40 + 1)
dropout.case(normal(1), 0.0, 0)
dropout.case(normal(2, 3), 1.0, 1)
dropout.case(normal(0), 0.5, 1)
