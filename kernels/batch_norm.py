"""Batch norm of (N, C, ...) in training, and its derivative, on the kernels of batch_norm.cu.

Statistics are float32 (float64 for arrays in float64) whatever the arrays' type; weight, bias and the running statistics may
be float32 beside arrays in half precision.
"""
from math import prod

import numpy as np

from ..backend import xp
from ..cases import normal, positive
from .cross_entropy import accumulator
from .kernel import library
from .normalization import check_parameters
from .proof import proven, scalar
from .signature import address

VERSIONS = ("simple", "split")
CHUNK, PARTS = 2048, 256                             # numbers that a block takes at a time; at most so many blocks for a channel


def sizes(name, x, version):
    """(N, C, P), the number of blocks for a channel, or 0 for the simple version."""
    if x.ndim < 2:
        raise ValueError(f"{name}: an input (N, C, ...) is wanted, not {x.shape}")
    if version not in (None, *VERSIONS):
        raise ValueError(f"{name}: version must be simple or split, not {version!r}")
    N, C, P = x.shape[0], x.shape[1], prod(x.shape[2:])
    if N * P >= 2**31:
        raise ValueError(f"{name}: {x.shape} has more than 2^31 numbers in a channel")
    parts = min(PARTS, -(-N * P // CHUNK))
    return N, C, P, 0 if version == "simple" or version is None and parts == 1 else parts


def split(name, x, kind, P, *arrays):
    """A kernel of the split version."""
    width = 8 if x.dtype.itemsize == 2 else 4
    vector = width if P % width == 0 and all(address(a) % 16 == 0 for a in arrays) else 1
    return library("batch_norm.cu", name, {"scalar": scalar(x), "parameter": scalar(kind), "VECTOR": vector})


def batch_norm_reference(x, weight=None, bias=None, eps=1e-5, running=None, version=None):
    over = (0, *range(2, x.ndim))
    shape = (1, -1) + (1,) * (x.ndim - 2)
    mean, var = x.mean(over), x.var(over)
    d, rstd = x - mean.reshape(shape), 1 / np.sqrt(var + eps)
    y = d * rstd.reshape(shape) * (1 if weight is None else weight.reshape(shape)) + (0 if bias is None else bias.reshape(shape))
    return y, mean, rstd


def batch_norm_backward_reference(g, x, weight, mean, rstd, version=None):
    if not x.size:
        return x, mean * 0, mean * 0
    over = (0, *range(2, x.ndim))
    shape = (1, -1) + (1,) * (x.ndim - 2)
    d = (x - mean.reshape(shape)) * rstd.reshape(shape)
    dx = g - g.mean(over, keepdims=True) - d * (g * d).mean(over, keepdims=True)
    return dx * (rstd if weight is None else rstd * weight).reshape(shape), (g * d).sum(over), g.sum(over)


@proven(reference=batch_norm_reference, dtypes="float32 float16 bfloat16")
def batch_norm(x, weight=None, bias=None, eps=1e-5, running=None, version=None):
    """(x - mean) / sqrt(var + eps) * weight + bias for each channel of (N, C, ...): (y, mean, rstd = 1 / sqrt(var + eps)).

    weight, bias: (C,) or None.  running: (mean, variance, momentum), two arrays (C,) that are moved towards the batch's
    statistics by the share `momentum`, the variance unbiased.  version: simple or split; None chooses.
    """
    N, C, P, parts = sizes("batch_norm", x, version)
    if not x.size:
        raise ValueError(f"batch_norm: {x.shape} has no numbers to take the mean of")
    running_mean, running_var, momentum = running or (None, None, 0.0)
    check_parameters("batch_norm", x, (C,), weight=weight, bias=bias, running_mean=running_mean, running_var=running_var)
    if running and N * P == 1:
        raise ValueError(f"batch_norm: one value per channel, {x.shape}, has no variance to move to")
    kind = next((t for t in (weight, bias, running_mean) if t is not None), x)
    lib = xp(x)
    y, mean, rstd = lib.empty(x.shape, x.dtype), lib.empty((C,), accumulator(x)), lib.empty((C,), accumulator(x))
    results = y, mean, rstd, running_mean, running_var, N, C, P, float(eps), float(momentum)
    if not parts:
        kernel = library("batch_norm.cu", "batch_norm_simple", {"scalar": scalar(x), "parameter": scalar(kind)})
        kernel(C, min(256, -(-N * P // 32) * 32), (x, weight, bias, *results))
    else:
        means, squares = lib.empty((C, parts), accumulator(x)), lib.empty((C, parts), accumulator(x))
        split("batch_norm_parts", x, kind, P, x, y)((C, parts), 256, (x, means, squares, N, C, P))
        split("batch_norm_split", x, kind, P, x, y)((C, parts), 256, (x, weight, bias, means, squares, *results))
    return y, mean, rstd


@proven(reference=batch_norm_backward_reference, dtypes="float32 float16 bfloat16")
def batch_norm_backward(g, x, weight, mean, rstd, version=None):
    """batch_norm's gradients (dx, dweight, dbias) from its input, its statistics (C,) and the gradient g of its result."""
    N, C, P, parts = sizes("batch_norm_backward", x, version)
    if g.shape != x.shape or g.dtype != x.dtype:
        raise ValueError(f"batch_norm_backward: the gradient, {g.shape} in {g.dtype.name}, is not like the input, {x.shape} in {x.dtype.name}")
    if mean.shape != (C,) or rstd.shape != (C,):
        raise ValueError(f"batch_norm_backward: mean {mean.shape} and rstd {rstd.shape} must be {(C,)}")
    check_parameters("batch_norm_backward", x, (C,), weight=weight)
    kind, lib = x if weight is None else weight, xp(x)
    make = lib.empty if x.size else lib.zeros
    dx, dw, db = lib.empty(x.shape, x.dtype), make((C,), kind.dtype), make((C,), kind.dtype)
    if not x.size:
        return dx, dw, db
    given, results = (g, x, weight, mean, rstd), (dx, dw, db, N, C, P)
    if not parts:
        kernel = library("batch_norm.cu", "batch_norm_backward_simple", {"scalar": scalar(x), "parameter": scalar(kind)})
        kernel(C, min(256, -(-N * P // 32) * 32), (*given, *results))
    else:
        sums, dots = lib.empty((C, parts), accumulator(x)), lib.empty((C, parts), accumulator(x))
        split("batch_norm_backward_parts", x, kind, P, g, x, dx)((C, parts), 256, (g, x, mean, rstd, sums, dots, N, C, P))
        split("batch_norm_backward_split", x, kind, P, g, x, dx)((C, parts), 256, (*given, sums, dots, *results))
    return dx, dw, db


@batch_norm.vjp
def _(g, y, x, weight=None, bias=None, version=None, **params):
    """Of all three results: mean and rstd have gradients too, which nobody but the proof asks for."""
    dx, dw, db = batch_norm_backward(g[0], x, weight, *y[1:], version=version)
    mean, rstd, g_mean, g_rstd = (t.reshape((1, -1) + (1,) * (x.ndim - 2)) for t in (*y[1:], *g[1:]))
    dx = dx + (g_mean - g_rstd * rstd**3 * (x - mean)) * (mean.size / x.size)
    return dx, None if weight is None else dw, None if bias is None else db


def cases(shape, weight=True, bias=True, **params):
    """A case of each function for an input of this shape."""
    C = shape[1]
    w, b = normal(C) if weight else None, normal(C) if bias else None
    batch_norm.case(normal(*shape), w, b, **params)
    batch_norm_backward.case(normal(*shape), normal(*shape), w, normal(C, full=True), positive(C, full=True), **params)


cases((4, 3), version="split")                       # strided by channel
cases((3, 2, 5), weight=False, bias=False, version="split")
cases((2, 3, 4, 4), bias=False, version="split")     # vectors
cases((3, 2, 11), bias=False)
cases((2, 3, 2, 2), weight=False)
batch_norm.case(normal(4, 2, 3), running=(normal(2), positive(2), 0.1))
batch_norm_backward.case(normal(2, 1, 2500), normal(2, 1, 2500), None, normal(1, full=True), positive(1, full=True))       # two parts
batch_norm_backward.case(normal(0, 3), normal(0, 3), None, normal(3, full=True), positive(3, full=True))
