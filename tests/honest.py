"""Kernels that are right, as data: {name: (providers(), reference, cases())}.  None may be refused."""
import math
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from cheats import ROW_SUM, row_sum, row_sum_reference

from minitorch import kernels
from minitorch.benchmark import Case, Provider
from minitorch.cases import integers, normal, positive


def blocked(a, b):
    """A matrix product added up in blocks of 32."""
    c = np.zeros((a.shape[0], b.shape[1]), a.dtype)
    for k in range(0, a.shape[1], 32):
        c += a[:, k:k + 32] @ b[k:k + 32]
    return c


def one_by_one(a, b):
    """A matrix product whose sums are added up one after the other: the least precise order."""
    c = np.zeros((a.shape[0], b.shape[1]), a.dtype)
    for k in range(a.shape[1]):
        c += a[:, k:k + 1] * b[k:k + 1]
    return c


def softmax_reference(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def into(x, y):
    """Softmax into an array that is given."""
    np.subtract(x, x.max(-1, keepdims=True), out=y)
    np.exp(y, out=y)
    y /= y.sum(-1, keepdims=True)


def layer_norm(x, w):
    d = x - x.mean(-1, keepdims=True)
    return d / np.sqrt((d * d).mean(-1, keepdims=True) + 1e-5) * w


def layer_norm_by_moments(x, w):
    """Another formula: E[x^2] - E[x]^2."""
    mean = x.mean(-1, keepdims=True)
    return (x - mean) / np.sqrt((x * x).mean(-1, keepdims=True) - mean * mean + np.float32(1e-5)) * w


def unordered(x):
    """A sum in an order that differs from call to call, as of atomic additions."""
    return x[np.random.permutation(len(x))].reshape(-1, 8).sum(0).sum()


def only_tiles(a, b):
    """A product that takes multiples of eight, and says so."""
    if any(n % 8 for n in (*a.shape, *b.shape)):
        raise ValueError("sizes must be multiples of 8")
    return blocked(a, b)


def narrow(a, b):
    """A product of inputs rounded to half precision."""
    return a.astype("f2").astype("f4") @ b.astype("f2").astype("f4")


def wide(a, b):
    """A product of half precision numbers, added up in float32."""
    return (a.astype("f4") @ b.astype("f4")).astype("f2")


def sigmoid(x):
    """Its exponential overflows for large negative numbers, and the result is right nevertheless."""
    return 1 / (1 + np.exp(-x))


def gelu(x):
    return 0.5 * x * (1 + np.vectorize(math.erf, otypes=[x.dtype])(x / x.dtype.type(math.sqrt(2))))


def gelu_reference(x):
    """In float64 whatever x is, as erf of the standard library is."""
    return 0.5 * x * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def by_threads(a, b):
    """A product in two threads that wait for work in between."""
    halves = [POOL.submit(np.matmul, part, b) for part in np.array_split(a, 2)]
    return np.concatenate([h.result() for h in halves])


def slow_at_first():
    """Compiles, as it were, when it is first called."""
    ready = []

    def f(x):
        if not ready:
            ready.append(time.sleep(0.2))
        return np.tanh(x)
    return f


def with_workspace():
    """Keeps memory to work in from call to call, and gives none of it away."""
    kept = {}

    def f(x, w):
        t = kept.setdefault(x.shape, np.empty(x.shape, x.dtype))
        return np.tanh(x) + np.multiply(x, w, out=t)
    return f


def by_fourier(x, w):
    n = len(x) + len(w) - 1
    return np.fft.irfft(np.fft.rfft(x, n) * np.fft.rfft(w, n), n).astype(x.dtype)


POOL = ThreadPoolExecutor(2)


def pair(a, b, **params):
    return Case(a, b, **params)


HONEST = {
    "sigmoid that overflows on the way": (lambda: sigmoid, sigmoid, lambda: [Case((64, 33)), Case((64, 33), dtype="float64")]),
    "GELU beside a reference of doubles": (lambda: gelu, gelu_reference, lambda: Case((40, 50))),
    "exponential past the range of float16": (lambda: np.exp, np.exp, lambda: Case((500,), dtype="float16")),
    "matmul by threads of its own": (lambda: by_threads, np.matmul, lambda: pair((64, 64), (64, 32))),
    "compiled when first called": (slow_at_first, np.tanh, lambda: Case((300,))),
    "workspace kept between calls": (with_workspace, lambda x, w: np.tanh(x) + x * w, lambda: pair((24, 40), (24, 40))),
    "convolution by Fourier transforms": (lambda: by_fourier, np.convolve, lambda: pair((256,), (16,))),
    "results in other memory order": (lambda: lambda a, b: np.asfortranarray(a @ b), np.matmul, lambda: pair((40, 30), (30, 20))),
    "blocked matmul": (lambda: blocked, np.matmul, lambda: [pair((64, 96), (96, 48)), pair((33, 100), (100, 7), dtype="float64")]),
    "matmul added up one by one": (lambda: one_by_one, np.matmul, lambda: pair((40, 512), (512, 24))),
    "matmul of whole tiles": (lambda: only_tiles, np.matmul, lambda: pair((64, 64), (64, 64))),
    "half precision, declared": (lambda: Provider(narrow, precision="float16"), np.matmul, lambda: pair((48, 64), (64, 48))),
    "float16 inputs": (lambda: wide, np.matmul, lambda: pair((48, 64), (64, 48), dtype="float16")),
    "softmax, written": (lambda: Provider(into, writes=True), softmax_reference, lambda: Case((50, 33))),
    "layer norm by moments": (lambda: layer_norm_by_moments, layer_norm, lambda: Case((32, 64), (64,))),
    "sum, unordered": (lambda: unordered, np.sum, lambda: Case((4096,))),
    "sort": (lambda: lambda x: np.sort(x, kind="stable"), np.sort, lambda: Case((1000,))),
    "argmax": (lambda: lambda x: x.argmax(1), lambda x: x.argmax(1), lambda: Case((20, 30))),
    "relu": (lambda: lambda x: np.maximum(x, 0), lambda x: x * (x > 0), lambda: Case((64, 64))),
    "embedding": (lambda: lambda w, i: w.take(i, 0), lambda w, i: w[i], lambda: Case((100, 16), integers(50, high=100))),
    "log of positive": (lambda: np.log, np.log, lambda: Case(positive(300), dtype="float32")),
    "two results": (lambda: lambda x: (x.max(0), x.min(0)), lambda x: (x.max(0), x.min(0)), lambda: Case((30, 20))),
    "scalar": (lambda: lambda x, a: x * np.float32(a), lambda x, a: x * a, lambda: Case(normal(100), 0.5)),
    "row sums in CUDA": (lambda: row_sum(), row_sum_reference, lambda: Case.of(lambda M, N: ((M, N),), M=5, N=128)),
    "softmax of the kernels": (lambda: kernels.softmax, softmax_reference, lambda: Case((5, 77))),
    "matmul of the kernels": (lambda: kernels.matmul, np.matmul, lambda: pair((33, 40), (40, 20))),
}
__all__ = ["HONEST", "ROW_SUM"]
