"""Normalisation over a layer: the numbers of each row brought to mean 0 and variance 1, or to a mean square of 1.

The op keeps what PyTorch keeps, the input and the mean and deviation of each row.  Its reference says in ordinary ops what it
computes.  Its forward and backward are sums of arrays times numbers that go with the rows or the columns: products of narrow
matrices make such numbers into arrays, which NumPy multiplies twice as fast as it broadcasts, where a call more is worth it.  What
goes with a row is computed for all rows at once, and sums of blocks are put together at the end: between calls on a few numbers
each, threads meet at the interpreter's lock more often than they work.
"""
from math import prod

import numpy as np

from .. import blas
from ..autograd.op import keep, op
from ..backend import xp
from ..blocks import by_slices
from ..cases import normal, positive

HALF, TWICE = 0.5, 2                                 # of the usual size of a block: where three are in use at a time, and where two


def layer_reference(input, weight=None, bias=None, axes=1, eps=1e-5, centre=True):
    dims = tuple(range(-axes, 0))
    y = input - input.mean(dims, keepdim=True) if centre else input
    y = y / ((y * y).mean(dims, keepdim=True) + eps).sqrt()
    y = y if weight is None else y * weight
    return y if bias is None else y + bias


@op(numbers="half", home="", reference=layer_reference, called="native_layer_norm")
def normalize_layer(input, weight=None, bias=None, /, axes=1, eps=1e-5, centre=True):
    """(x - mean) / sqrt(var + eps) * weight + bias over the last `axes` axes; centre=False: x / sqrt(mean of x^2 + eps) * weight.

    Computed as x * (rstd weight) + (bias - mean rstd weight).
    """
    lib, D = xp(input), prod(input.shape[-axes:])
    x = input.reshape(prod(input.shape[:-axes]), D)
    y, ones, (sums, squares) = lib.empty(x.shape, x.dtype), lib.ones(D, x.dtype), lib.empty((2, len(x)), x.dtype)

    def measure(rows):
        if centre:
            lib.matmul(x[rows], ones, out=sums[rows])
        row_products(x[rows], x[rows], squares[rows])

    def measure_deviations(rows):
        part = x[rows] - mean[rows, None]
        row_products(part, part, squares[rows])

    by_slices(measure, x, larger=TWICE)
    mean = sums / max(D, 1) if centre else lib.zeros_like(sums)
    var = squares / max(D, 1) - mean * mean
    far = centre and not (var > mean * mean).all()   # then digits would cancel
    if far:
        by_slices(measure_deviations, x, larger=TWICE)
        var = squares / max(D, 1)
    rstd = 1 / lib.sqrt(var + eps)
    lines, columns = lined(x, weight, bias), lib.ones((len(x), 4), x.dtype)          # 1, rstd, -mean rstd, 1
    columns[:, 1], columns[:, 2] = rstd, 0 if far else -mean * rstd

    def normalize(rows):
        c, part = columns[rows], lib.matmul(columns[rows, :2], lines[:2], out=y[rows])
        part *= x[rows] - mean[rows, None] if far else x[rows]
        add_product(part, c[:, 2:], lines[1:])
    by_slices(normalize, x, larger=TWICE)
    return keep(y.reshape(input.shape), mean=mean[:, None] if centre else None, rstd=rstd[:, None])


@normalize_layer.loop("norm", least=5000)
def _(norm, input, weight=None, bias=None, axes=1, eps=1e-5, centre=True):
    if weight is None and bias is not None:
        return NotImplemented
    D = prod(input.shape[-axes:])
    y, mean, rstd = norm.layer(input.reshape(-1, D), *(v if v is None else v.reshape(D) for v in (weight, bias)), eps, centre)
    return keep(y.reshape(input.shape), mean=mean, rstd=rstd)


@normalize_layer.joint_vjp
def _(g, input, weight, mean, rstd, axes, eps, centre, wanted):
    found = iter(layer_gradient(g, input, weight, mean, rstd, axes=axes, eps=eps, centre=centre, wanted=wanted))
    return [next(found) if i in wanted else None for i in range(3)]


@op(numbers="half", home="", differentiable=False, called="native_layer_norm_backward")
def layer_gradient(input, x, weight=None, mean=None, rstd=None, /, axes=1, eps=1e-5, centre=True, wanted=(0, 1, 2)):
    """The gradients of normalize_layer's input, weight and bias, those that are wanted by number, from that of its result.

    mean and rstd: what normalize_layer kept of `x`, as columns; computed again where rstd is left out.
    """
    lib, shape, form, D = xp(input), x.shape[-axes:], x.shape, prod(x.shape[-axes:])
    x = x.reshape(prod(form[:-axes]), D)
    g = input.reshape(x.shape)
    if rstd is None:
        mean = row_sums(x) / max(D, 1) if centre else None
        rstd = 1 / lib.sqrt(((x if mean is None else x - mean) ** 2).mean(axis=1, keepdims=True) + eps)
    gx, lines, columns = lib.empty(x.shape, x.dtype) if 0 in wanted else None, lined(x, weight), lib.ones((len(x), 4), x.dtype)
    far = mean is not None and not (mean * mean * rstd * rstd < 1).all()
    near = lib.zeros_like(rstd) if far or mean is None else mean           # the mean of x, or of x - mean lest digits cancel
    columns[:, 1:2], columns[:, 2:3] = rstd, -near * rstd
    by_x, by_one = lib.empty((2, len(x)), x.dtype)

    def centred(rows):
        return x[rows] - mean[rows] if far else x[rows]

    def add_up(rows):
        """What these rows add to the gradients of weight and bias; the sums of weight x dy and of weight dy over each."""
        dy, c = g[rows], columns[rows]
        y = centred(rows) * dy
        if gx is not None:
            lib.matmul(y, lines[1], out=by_x[rows])
            lib.matmul(dy, lines[1], out=by_one[rows])
        return c[:, 2:].T @ dy, c[:, 1] @ y          # sums over -mean rstd dy and over dy; over x rstd dy, the rest of (x - mean) rstd dy

    def differentiate(rows):
        """These rows of gx: rstd weight dy + factor x + rest."""
        c = factors[rows]
        scaled = c[:, :2] @ lines[:2]
        scaled *= g[rows]
        scaled += centred(rows) * c[:, 2:3]
        lib.add(scaled, c[:, 3:], out=gx[rows])

    (gw, gb), by_rstd = (sum(found[1:], found[0]) for found in zip(*by_slices(add_up, x, larger=HALF)))
    gw += by_rstd
    if gx is not None:
        r, m, factors = rstd[:, 0], near[:, 0], lib.zeros((len(x), 4), x.dtype)          # 0, rstd, factor, rest
        factors[:, 1], factors[:, 2] = r, (by_x - m * by_one) * (r * r * r / -max(D, 1))
        if mean is not None:
            factors[:, 3] = -by_one * r / max(D, 1) - factors[:, 2] * m
        by_slices(differentiate, x, larger=HALF)
    return tuple([(gx, gw, gb)[i].reshape(shape if i else form) for i in wanted])


@layer_gradient.loop("norm", least=5000)
def _(norm, input, x, weight=None, mean=None, rstd=None, axes=1, eps=1e-5, centre=True, wanted=(0, 1, 2)):
    if rstd is None:
        return NotImplemented
    D = prod(x.shape[-axes:])
    found = norm.layer_gradient(input.reshape(-1, D), x.reshape(-1, D), None if weight is None else weight.reshape(D), mean, rstd, wanted)
    return tuple([y.reshape(x.shape if i == 0 else x.shape[-axes:]) for i, y in enumerate(found) if y is not None])


@normalize_layer.kernel("norm")
def _(kernels, input, weight=None, bias=None, axes=1, eps=1e-5, centre=True):
    if not centre and bias is not None:
        return NotImplemented
    y, *mean, rstd = kernels.layer_norm(input, weight, bias, eps, axes) if centre else kernels.rms_norm(input, weight, eps, axes)
    return keep(y, mean=mean[0].reshape(-1, 1) if centre else None, rstd=rstd.reshape(-1, 1))


@layer_gradient.kernel("norm")
def _(kernels, input, x, weight=None, mean=None, rstd=None, axes=1, eps=1e-5, centre=True, wanted=(0, 1, 2)):
    if rstd is None or not centre and 2 in wanted:
        return NotImplemented
    rows, parameters = x.shape[:-axes], wanted != (0,)
    gs = kernels.layer_norm_backward(input, x, weight, mean.reshape(rows), rstd.reshape(rows), parameters) if centre else \
        kernels.rms_norm_backward(input, x, weight, rstd.reshape(rows), parameters)
    return tuple([gs[i] for i in wanted])


def lined(x, weight=None, bias=None):
    """Zeros, the weight and the bias, as lines of a matrix: a product with a single line NumPy would compute without BLAS."""
    lines = xp(x).zeros((3, prod(x.shape[1:])), x.dtype)
    lines[1] = 1 if weight is None else weight.reshape(-1)
    if bias is not None:
        lines[2] = bias.reshape(-1)
    return lines


def add_product(y, a, b):
    """y += a b."""
    if type(y) is np.ndarray:
        blas.matmul(a, b, out=y, add=True)
    else:
        y += a @ b


def row_sums(x):
    """The sum of each row of a matrix, as a column."""
    return (x @ xp(x).ones(x.shape[1], x.dtype)).reshape(-1, 1)


def row_products(x, y, out=None):
    """The sum over each row of x * y."""
    if type(x) is np.ndarray:
        return np.vecdot(x, y, out=out)
    out[...] = xp(x).einsum("ij,ij->i", x, y)
    return out


normalize_layer.case(normal(4, 3), normal(3), normal(3))
normalize_layer.case(normal(2, 3, 4), normal(3, 4), None, axes=2, eps=0.1)
normalize_layer.case(normal(2, 3, 4), normal(3, 4), normal(3, 4), axes=2)
normalize_layer.case(normal(2, 3, 4), None, None, axes=1)
normalize_layer.case(normal(4, 3), normal(3), normal(3), centre=False)
layer_gradient.case(normal(4, 3), normal(4, 3), normal(3))
layer_gradient.case(normal(2, 3, 4), normal(2, 3, 4), normal(3, 4), axes=2, eps=0.1, wanted=(0, 2))
layer_gradient.case(normal(4, 3), normal(4, 3), None, centre=False, wanted=(0,))
layer_gradient.case(normal(4, 3), normal(4, 3), normal(3), normal(4, 1), positive(4, 1))
layer_gradient.case(normal(2, 3, 4), normal(2, 3, 4), normal(4), None, positive(6, 1), centre=False, wanted=(0, 1))
layer_gradient.case(normal(4, 3), normal(4, 3), None, normal(4, 1), positive(4, 1), wanted=(0,))
