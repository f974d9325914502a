"""softmax and its logarithm along the last axis, and their derivatives, on the kernels of softmax.cu.

Sums are in float whatever the arrays' type.  NaN passes through; a row whose entries are all -inf gives NaN.
"""
import numpy as np

from ..backend import xp
from ..cases import normal
from .proof import proven
from .rows import plan


def forward(name, x, version, log):
    if not x.ndim:
        raise ValueError(f"{name}: a number has no axis to go along")
    y = xp(x).empty(x.shape, x.dtype)
    if x.size:
        p = plan(name, version, x.size // x.shape[-1], x.shape[-1], (x, y))
        p.kernel("softmax.cu", "softmax", x)(p.grid, p.block, (x, y, *([p.rows] if p.version == "held" else []), p.columns, log))
    return y


def backward(name, g, y, version, log):
    if g.shape != y.shape:
        raise ValueError(f"{name}: the gradient {g.shape} and the result {y.shape} differ in shape")
    if g.dtype != y.dtype:
        raise TypeError(f"{name}: the gradient in {g.dtype.name} and the result in {y.dtype.name} differ in type")
    dx = xp(y).empty(y.shape, y.dtype)
    if y.size:
        p = plan(name, version, y.size // y.shape[-1], y.shape[-1], (y, g, dx))
        p.kernel("softmax.cu", "softmax_backward", y)(p.grid, p.block, (g, y, dx, *([p.rows] if p.version == "held" else []), p.columns, log))
    return dx


def softmax_reference(x, version=None):
    e = np.exp(x - x.max(-1, keepdims=True, initial=-np.inf))
    return e / e.sum(-1, keepdims=True)


def log_softmax_reference(x, version=None):
    d = x - x.max(-1, keepdims=True, initial=-np.inf)
    return d - np.log(np.exp(d).sum(-1, keepdims=True))


@proven(reference=softmax_reference, dtypes="float32 float16 bfloat16")
def softmax(x, version=None):
    """e^x / sum of e^x along the last axis: (..., N) -> (..., N).  version: simple, held or streamed; None chooses."""
    return forward("softmax", x, version, False)


@proven(reference=log_softmax_reference, dtypes="float32 float16 bfloat16")
def log_softmax(x, version=None):
    """x - log of the sum of e^x along the last axis: (..., N) -> (..., N)."""
    return forward("log_softmax", x, version, True)


@proven(reference=lambda g, y, version=None: y * (g - (g * y).sum(-1, keepdims=True)), dtypes="float32 float16 bfloat16")
def softmax_backward(g, y, version=None):
    """y (g - sum of g y), from softmax's result y: (..., N), (..., N) -> (..., N)."""
    return backward("softmax_backward", g, y, version, False)


@proven(reference=lambda g, y, version=None: g - np.exp(y) * g.sum(-1, keepdims=True), dtypes="float32 float16 bfloat16")
def log_softmax_backward(g, y, version=None):
    """g - e^y sum of g, from log_softmax's result y: (..., N), (..., N) -> (..., N)."""
    return backward("log_softmax_backward", g, y, version, True)


softmax.vjp(lambda g, y, x, version=None: softmax_backward(g, y, version))
log_softmax.vjp(lambda g, y, x, version=None: log_softmax_backward(g, y, version))

for f, arrays in ((softmax, 1), (log_softmax, 1), (softmax_backward, 2), (log_softmax_backward, 2)):
    f.case(*[normal(5, 77)] * arrays)                                      # a warp a row
    f.case(*[normal(2, 3, 1)] * arrays)
    f.case(*[normal(9, 7)] * arrays)                                       # eight lanes a row, rows that do not fill the block
    f.case(*[normal(2, 128)] * arrays)                                     # vectors
    f.case(*[normal(1, 514)] * arrays)                                     # a block a row
    f.case(*[normal(0, 4)] * arrays)
    f.case(*[normal(3, 0)] * arrays)
    f.case(*[normal(2, 33)] * arrays, version="simple")
    f.case(*[normal(2, 77)] * arrays, version="streamed")
    f.case(*[normal(2, 264)] * arrays, version="streamed")
