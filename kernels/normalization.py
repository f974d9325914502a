"""Layer norm and RMS norm over the last axes, and their derivatives, on the kernels of normalization.cu.

Sums, means and 1/sqrt(variance + eps) are float32 (float64 for arrays in float64) whatever the arrays' type; the parameters
may be float32 beside arrays in half precision.
"""
from math import prod

import numpy as np

from ..backend import xp
from ..cases import normal, positive
from .cross_entropy import accumulator
from .kernel import library
from .proof import proven, scalar
from .rows import plan

VERSIONS = ("simple", "held")
GROUPS = 2048, 264                                   # at most, that sum a part of dw and db each: (warps or less, blocks)


def forward(name, x, weight, bias, eps, axes, version, centre):
    """(y, mean or None, rstd)."""
    if not 1 <= axes <= x.ndim:
        raise ValueError(f"{name}: {x.shape} has no {axes} last axes")
    check_parameters(name, x, x.shape[x.ndim - axes:], weight=weight, bias=bias)
    lib, shape, columns = xp(x), x.shape[:x.ndim - axes], prod(x.shape[x.ndim - axes:])
    make = lib.empty if x.size else lib.zeros
    y, rstd = lib.empty(x.shape, x.dtype), make(shape, accumulator(x))
    mean = make(shape, accumulator(x)) if centre else None
    if x.size:
        p = plan(name, version, rstd.size, columns, (x, y, weight, bias), versions=VERSIONS)
        rows = [p.rows] if p.version == "held" else []
        p.kernel("normalization.cu", "layer_norm", x, parameter=scalar(x if weight is None and bias is None else bias if weight is None else weight))(
            p.grid, p.block, (x, weight, bias, y, mean, rstd, *rows, columns, float(eps)))
    return y, mean, rstd


def backward(name, g, x, weight, mean, rstd, parameters, version):
    """(dx, dw or None, db or None)."""
    if g.shape != x.shape or g.dtype != x.dtype:
        raise ValueError(f"{name}: the gradient, {g.shape} in {g.dtype.name}, is not like the input, {x.shape} in {x.dtype.name}")
    if rstd.shape != x.shape[:rstd.ndim] or rstd.ndim >= x.ndim or mean is not None and mean.shape != rstd.shape:
        raise ValueError(f"{name}: mean and rstd have shape {rstd.shape}, the input {x.shape}")
    lib, shape = xp(x), x.shape[rstd.ndim:]
    check_parameters(name, x, shape, weight=weight)
    kind = x if weight is None else weight
    dx, sums = lib.empty(x.shape, x.dtype), 1 if mean is None else 2
    make = lib.empty if x.size else lib.zeros
    dw, db = (make(shape, kind.dtype) if parameters and i < sums else None for i in range(2))
    if not x.size:
        return dx, dw, db
    columns, parts = prod(shape), None
    p = plan(name, version, rstd.size, columns, (x, g, dx, weight), most=8, versions=VERSIONS)
    if p.version == "held":
        each = max(1, p.block // p.threads)                                # groups in a block, of at least four rows
        grid = min(-(-p.rows // (4 * each)), GROUPS[p.threads > 32] // each)
        if parameters:
            parts = lib.empty((sums, grid * each, columns), accumulator(x))
        p.kernel("normalization.cu", "layer_norm_backward", x, parameter=scalar(kind))(
            grid, p.block, (g, x, weight, mean, rstd, dx, parts, p.rows, columns))
    else:
        p.kernel("normalization.cu", "layer_norm_backward", x, parameter=scalar(kind))(p.grid, p.block, (g, x, weight, mean, rstd, dx, columns))
        if parameters:
            parts = lib.empty((sums, min(-(-p.rows // 4), GROUPS[1]), columns), accumulator(x))
            p.kernel("normalization.cu", "layer_norm_parameters", x, parameter=scalar(kind))(
                (-(-columns // 128), parts.shape[1]), 128, (g, x, mean, rstd, parts, p.rows, columns))
    if parameters:
        finish = library("normalization.cu", "column_sums", {"scalar": scalar(x), "parameter": scalar(kind)})
        finish((-(-columns // 32), sums), (32, 16), (parts, dw, db, parts.shape[1], columns))
    return dx, dw, db


def check_parameters(name, x, shape, **parameters):
    """ValueError or TypeError for weights that do not fit arrays like x."""
    given = {label: t for label, t in parameters.items() if t is not None}
    for label, t in given.items():
        if t.shape != shape:
            raise ValueError(f"{name}: {label} must have shape {shape}, not {t.shape}")
        if t.dtype not in (x.dtype, accumulator(x)) or t.dtype != next(iter(given.values())).dtype:
            raise TypeError(f"{name}: {label} in {t.dtype.name} does not go with an input in {x.dtype.name}")


def normalized(x, mean, rstd):
    """((x - mean) rstd, rstd), both in x's number of axes; the axes that these run over."""
    over = (1,) * (x.ndim - rstd.ndim)
    r = rstd.reshape(rstd.shape + over)
    return (x if mean is None else x - mean.reshape(r.shape)) * r, r, tuple(range(rstd.ndim, x.ndim))


def layer_norm_reference(x, weight=None, bias=None, eps=1e-5, axes=1, version=None, centre=True):
    over = tuple(range(-axes, 0))
    mean = x.mean(over) if x.size else np.zeros(x.shape[:-axes])
    d = x - mean.reshape(mean.shape + (1,) * axes) if centre else x
    rstd = 1 / np.sqrt((d * d).mean(over) + eps) if x.size else np.zeros(x.shape[:-axes])
    y = d * rstd.reshape(rstd.shape + (1,) * axes) * (1 if weight is None else weight) + (0 if bias is None else bias)
    return (y, mean, rstd) if centre else (y, rstd)


def layer_norm_backward_reference(g, x, weight, mean, rstd, parameters=True, version=None):
    d, r, over = normalized(x, mean, rstd)
    h, rows = g if weight is None else g * weight, tuple(range(rstd.ndim))
    dx = h - d * (h * d).mean(over, keepdims=True) if x.size else h
    if mean is not None and x.size:
        dx = dx - h.mean(over, keepdims=True)
    return dx * r, (g * d).sum(rows) if parameters else None, g.sum(rows) if parameters else None


@proven(reference=layer_norm_reference, dtypes="float32 float16 bfloat16")
def layer_norm(x, weight=None, bias=None, eps=1e-5, axes=1, version=None):
    """(x - mean) / sqrt(var + eps) * weight + bias over the last `axes` axes: (y, mean, rstd = 1 / sqrt(var + eps)).

    weight, bias: of these axes' shape, or None.  version: simple or held; None chooses.
    """
    return forward("layer_norm", x, weight, bias, eps, axes, version, True)


@proven(reference=lambda *args, **params: layer_norm_reference(*args[:2], None, *args[2:], **params, centre=False),
        dtypes="float32 float16 bfloat16")
def rms_norm(x, weight=None, eps=1e-5, axes=1, version=None):
    """x / sqrt(mean of x^2 + eps) * weight over the last `axes` axes: (y, rstd = 1 / sqrt(mean of x^2 + eps))."""
    y, _, rstd = forward("rms_norm", x, weight, None, eps, axes, version, False)
    return y, rstd


@proven(reference=layer_norm_backward_reference, dtypes="float32 float16 bfloat16")
def layer_norm_backward(g, x, weight, mean, rstd, parameters=True, version=None):
    """layer_norm's gradients (dx, dweight, dbias) from its input, its statistics (...) and the gradient g of its result.

    parameters: whether dweight and dbias are wanted; None stands for them otherwise.  They are the same in every run.
    """
    return backward("layer_norm_backward", g, x, weight, mean, rstd, parameters, version)


@proven(reference=lambda g, x, weight, rstd, parameters=True, version=None:
        layer_norm_backward_reference(g, x, weight, None, rstd, parameters)[:2], dtypes="float32 float16 bfloat16")
def rms_norm_backward(g, x, weight, rstd, parameters=True, version=None):
    """rms_norm's gradients (dx, dweight)."""
    return backward("rms_norm_backward", g, x, weight, None, rstd, parameters, version)[:2]


def with_statistics(dx, x, mean, rstd, g_mean, g_rstd):
    """dx for a gradient that also comes in by mean and rstd, which are results too: d rstd / dx = -rstd^2 d rstd / n."""
    d, r, over = normalized(x, mean, rstd)
    n = max(1, prod(x.shape[rstd.ndim:]))
    by_mean = 0 if mean is None else g_mean.reshape(r.shape)
    return dx + (by_mean - g_rstd.reshape(r.shape) * r * r * d) / n


@layer_norm.vjp
def _(g, y, x, weight=None, bias=None, version=None, **params):
    dx, dw, db = layer_norm_backward(g[0], x, weight, *y[1:], version=version)
    return with_statistics(dx, x, *y[1:], *g[1:]), None if weight is None else dw, None if bias is None else db


@rms_norm.vjp
def _(g, y, x, weight=None, version=None, **params):
    dx, dw = rms_norm_backward(g[0], x, weight, y[1], version=version)
    return with_statistics(dx, x, None, y[1], None, g[1]), None if weight is None else dw


def cases(shape, axes=1, weight=True, bias=True, **params):
    """A case of each function for an input of this shape."""
    rows, columns = shape[:-axes], shape[-axes:]
    w, b = normal(*columns) if weight else None, normal(*columns) if bias else None
    layer_norm.case(normal(*shape), w, b, axes=axes, **params)
    rms_norm.case(normal(*shape), w, axes=axes, **params)
    layer_norm_backward.case(normal(*shape), normal(*shape), w, normal(*rows, full=True), positive(*rows, full=True), **params)
    rms_norm_backward.case(normal(*shape), normal(*shape), w, positive(*rows, full=True), **params)


cases((5, 77))                                       # a warp a row
cases((2, 3, 1), weight=False, bias=False)
cases((29, 7), bias=False)                           # eight lanes a row, several rows for each of them
cases((3, 2, 2, 16), axes=2)                         # vectors
cases((1, 520), weight=False, bias=False)              # a block a row
cases((0, 4))
cases((3, 33), version="simple")
cases((6, 5), weight=False, bias=False, version="simple")
layer_norm_backward.case(normal(9, 520), normal(9, 520), normal(520), normal(9, full=True), positive(9, full=True))      # several rows for a block
layer_norm_backward.case(normal(3, 6), normal(3, 6), None, normal(3, full=True), positive(3, full=True), parameters=False)
layer_norm_backward.case(normal(3, 6), normal(3, 6), None, normal(3, full=True), positive(3, full=True), parameters=False, version="simple")
