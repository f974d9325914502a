"""Normalisation: numbers brought to mean 0 and variance 1 over a batch, a layer, a group; or to length 1.

The fast ops keep what PyTorch keeps, the input and the mean and deviation of each group; the input is
centred again at backward.  Their references say in ordinary ops what they compute.
"""
from math import prod

from ..autograd.op import keep, op
from ..backend import xp
from ..cases import normal, positive
from ..blocks import by_slices


# ---- over everything but the channels -----------------------------------------------------------------

FAR = 8                                              # a channel's images lie so far apart that the cache holds few: larger blocks do


def per_channel(v, ndim):
    """(C,) in a shape that broadcasts with (N, C, ...)."""
    return v.reshape((1, -1) + (1,) * (ndim - 2))


def batch_reference(input, weight=None, bias=None, eps=1e-5, running=None):
    dims = (0, *range(2, input.ndim))
    centred = input - input.mean(dims, keepdim=True)
    y = centred / ((centred * centred).mean(dims, keepdim=True) + eps).sqrt()
    y = y if weight is None else y * per_channel(weight, y.ndim)
    return y if bias is None else y + per_channel(bias, y.ndim)


@op(numbers="half", home="", reference=batch_reference, called="native_batch_norm")
def normalize_batch(input, weight=None, bias=None, /, eps=1e-5, running=None):
    """(x - mean) / sqrt(var + eps) * weight + bias, mean and variance of each channel of (N, C, ...) over all else.

    running: (mean, variance, momentum), two arrays that move towards the batch's statistics, the variance unbiased.
    """
    N, C = input.shape[:2]
    x = input.reshape(N, C, -1)                      # (N, C, P)
    count = N * x.shape[2]
    lib, y = xp(x), xp(x).empty(x.shape, x.dtype)
    mean, var, rstd = lib.empty((3, 1, C, 1), x.dtype)

    def normalize(some):
        here = slice(None), some                     # these channels
        part = y[here]
        mean[here] = channel_sums(x[here]) / count
        lib.subtract(x[here], mean[here], out=part)
        var[here] = channel_products(part, part) / count
        rstd[here] = 1 / lib.sqrt(var[here] + eps)
        part *= rstd[here] if weight is None else rstd[here] * weight[some].reshape(-1, 1)
        if bias is not None:
            part += bias[some].reshape(-1, 1)

    by_slices(normalize, x, 1, FAR)
    if running is not None:
        move(running, mean, var, count)
    return keep(y.reshape(input.shape), mean=mean, rstd=rstd)


def move(running, mean, var, count):
    """Move the running statistics towards those of a batch of `count` numbers."""
    for old, new in zip(running, (mean, var * (count / (count - 1)))):
        old *= 1 - running[2]
        old += new.reshape(-1).astype(old.dtype) * running[2]


SHORT = 8                                            # numbers of a row, below which NumPy's sums over the batch are the faster ones


@normalize_batch.loop("batch_norm", least=5000)
def _(loops, input, weight=None, bias=None, eps=1e-5, running=None):
    (N, C), P = input.shape[:2], prod(input.shape[2:])
    if P < SHORT:
        return NotImplemented
    y, mean, var, rstd = loops.batch(input.reshape(N, C, P), weight, bias, eps)
    if running is not None:
        move(running, mean, var, N * P)
    return keep(y.reshape(input.shape), mean=mean, rstd=rstd)


@normalize_batch.joint_vjp
def _(g, input, weight, mean, rstd, eps, wanted):
    found = iter(batch_gradient(g, input, weight, mean, rstd, eps=eps, wanted=wanted))
    return [next(found) if i in wanted else None for i in range(3)]


@op(numbers="half", home="", differentiable=False, called="native_batch_norm_backward")
def batch_gradient(input, x, weight=None, mean=None, rstd=None, /, eps=1e-5, wanted=(0, 1, 2)):
    """The gradients of normalize_batch's input, weight and bias, those that are wanted by number, from that of its result.

    mean and rstd, (1, C, 1): what normalize_batch kept of `x`; computed again where they are left out.
    """
    form, (N, C) = x.shape, x.shape[:2]
    g, x = input.reshape(N, C, -1), x.reshape(N, C, -1)
    count = N * x.shape[2]
    lib, gx = xp(x), xp(x).empty(x.shape, x.dtype)
    if rstd is None:
        mean = channel_sums(x) / count
        rstd = 1 / lib.sqrt(channel_products(x - mean, x - mean) / count + eps)
    gw, gb = lib.empty((2, 1, C, 1), x.dtype)

    def differentiate(some):
        here = slice(None), some                     # these channels
        y, r = gx[here], rstd[here]
        lib.subtract(x[here], mean[here], out=y)
        gb[here], gw[here] = channel_sums(g[here]), channel_products(g[here], y) * r
        if 0 in wanted:
            y *= gw[here] * r / -count
            y += g[here]
            y -= gb[here] / count
            y *= r if weight is None else r * weight[some].reshape(-1, 1)

    by_slices(differentiate, x, 1, FAR)
    found = gx.reshape(form), gw.reshape(-1), gb.reshape(-1)
    return tuple([found[i] for i in wanted])


@batch_gradient.loop("batch_norm", least=5000)
def _(loops, input, x, weight=None, mean=None, rstd=None, eps=1e-5, wanted=(0, 1, 2)):
    (N, C), P = x.shape[:2], prod(x.shape[2:])
    if P < SHORT or rstd is None:
        return NotImplemented
    gs = loops.batch_gradient(input.reshape(N, C, P), x.reshape(N, C, P), weight, mean, rstd, wanted)
    return tuple([gs[i] if i else gs[0].reshape(x.shape) for i in wanted])


@normalize_batch.kernel("norm")
def _(kernels, input, weight=None, bias=None, eps=1e-5, running=None):
    y, mean, rstd = kernels.batch_norm(input, weight, bias, eps, running)
    return keep(y, mean=mean.reshape(1, -1, 1), rstd=rstd.reshape(1, -1, 1))


@batch_gradient.kernel("norm")
def _(kernels, input, x, weight=None, mean=None, rstd=None, eps=1e-5, wanted=(0, 1, 2)):
    if rstd is None:
        return NotImplemented
    gs = kernels.batch_norm_backward(input, x, weight, mean.reshape(-1), rstd.reshape(-1))
    return tuple([gs[i] for i in wanted])


def channel_sums(x):
    """The sum of each channel of (N, C, P), as (1, C, 1)."""
    return xp(x).einsum("ncp->nc", x).sum(axis=0).reshape(1, -1, 1)


def channel_products(x, y):
    """The sum over each channel of x * y, as (1, C, 1)."""
    return xp(x).einsum("ncp,ncp->nc", x, y).sum(axis=0).reshape(1, -1, 1)


# ---- over the last axes -------------------------------------------------------------------------------------

def layer_reference(input, weight=None, bias=None, axes=1, eps=1e-5, centre=True):
    dims = tuple(range(-axes, 0))
    y = input - input.mean(dims, keepdim=True) if centre else input
    y = y / ((y * y).mean(dims, keepdim=True) + eps).sqrt()
    y = y if weight is None else y * weight
    return y if bias is None else y + bias


@op(numbers="half", home="", reference=layer_reference, called="native_layer_norm")
def normalize_layer(input, weight=None, bias=None, /, axes=1, eps=1e-5, centre=True):
    """(x - mean) / sqrt(var + eps) * weight + bias over the last `axes` axes; centre=False: x / sqrt(mean of x^2 + eps) * weight."""
    lib, D = xp(input), prod(input.shape[-axes:])
    x = input.reshape(prod(input.shape[:-axes]), D)
    y, rstd = lib.empty(x.shape, x.dtype), lib.empty((len(x), 1), x.dtype)
    mean = lib.empty_like(rstd) if centre else None

    def normalize(rows):
        part = y[rows]
        if centre:
            mean[rows] = row_sums(x[rows]) / max(D, 1)
            lib.subtract(x[rows], mean[rows], out=part)
        else:
            part[...] = x[rows]
        rstd[rows] = 1 / lib.sqrt(row_products(part, part) / max(D, 1) + eps)
        part *= rstd[rows]
        if weight is not None:
            part *= weight.reshape(-1)
        if bias is not None:
            part += bias.reshape(-1)

    by_slices(normalize, x)
    return keep(y.reshape(input.shape), mean=mean, rstd=rstd)


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
    g, lib, shape = input, xp(input), x.shape[-axes:]
    form, x = x.shape, x.reshape(prod(x.shape[:-axes]), prod(shape))
    if rstd is None:
        mean = row_sums(x) / max(x.shape[1], 1) if centre else None
        rstd = 1 / lib.sqrt(((x if mean is None else x - mean) ** 2).mean(axis=1, keepdims=True) + eps)
    g = g.reshape(x.shape)
    gx, D = lib.empty(x.shape, x.dtype) if 0 in wanted else None, max(x.shape[1], 1)

    def differentiate(rows):
        """These rows of gx; what they add to the gradients of weight and bias."""
        r, part = rstd[rows], g[rows]
        y = x[rows] - mean[rows] if mean is not None else x[rows] * 1
        scaled = part * r
        gw = lib.einsum("ij,ij->j", scaled, y) if 1 in wanted else None
        gb = lib.ones(len(part), g.dtype) @ part if 2 in wanted else None
        if gx is not None:
            if weight is not None:
                scaled *= weight.reshape(-1)
            y *= row_products(scaled, y) * (r * r / -D)
            if mean is not None:
                y -= row_sums(scaled) / D
            lib.add(scaled, y, out=gx[rows])
        return gw, gb

    gw, gb = (sum(found[1:], found[0]) if k in wanted else None for k, found in zip((1, 2), zip(*by_slices(differentiate, x))))
    return tuple([y.reshape(s) for y, s in ((gx, form), (gw, shape), (gb, shape)) if y is not None])


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


def row_sums(x):
    """The sum of each row of a matrix, as a column."""
    return (x @ xp(x).ones(x.shape[1], x.dtype)).reshape(-1, 1)


def row_products(x, y):
    """The sum over each row of x * y, as a column."""
    return xp(x).einsum("ij,ij->i", x, y).reshape(-1, 1)


@op(numbers="half", home="", called="native_batch_norm")
def scale_and_shift(input, scale, shift, /):
    """input * scale + shift, broadcasting: batch norm once its statistics are fixed."""
    y = input * scale
    y += shift
    return y


@scale_and_shift.loop("batch_norm", least=20000)
def _(loops, input, scale, shift):
    if input.ndim < 3 or scale.shape != shift.shape or scale.shape != (1, input.shape[1]) + (1,) * (input.ndim - 2):
        return NotImplemented
    return loops.scale_and_shift(input.reshape(*input.shape[:2], -1), scale.reshape(-1), shift.reshape(-1)).reshape(input.shape)


scale_and_shift.vjp(lambda g, scale: g * scale,
                    lambda g, input: g * input,
                    lambda g: g)

normalize_batch.case(normal(4, 3), normal(3), normal(3))
normalize_batch.case(normal(2, 3, 4), None, None, eps=0.1)
normalize_batch.case(normal(2, 3, 2, 3), normal(3), None)
normalize_batch.case(normal(2, 3, 3, 4), normal(3), normal(3))
normalize_batch.case(normal(2, 3, 9), None, normal(3))
normalize_layer.case(normal(4, 3), normal(3), normal(3))
normalize_layer.case(normal(2, 3, 4), normal(3, 4), None, axes=2, eps=0.1)
normalize_layer.case(normal(2, 3, 4), normal(3, 4), normal(3, 4), axes=2)
normalize_layer.case(normal(2, 3, 4), None, None, axes=1)
normalize_layer.case(normal(4, 3), normal(3), normal(3), centre=False)
batch_gradient.case(normal(4, 3), normal(4, 3), normal(3))
batch_gradient.case(normal(2, 3, 4), normal(2, 3, 4), None, eps=0.1, wanted=(0, 2))
batch_gradient.case(normal(2, 3, 9), normal(2, 3, 9), normal(3), normal(1, 3, 1), positive(1, 3, 1))
batch_gradient.case(normal(2, 3, 9), normal(2, 3, 9), None, normal(1, 3, 1), positive(1, 3, 1), wanted=(1, 2))
layer_gradient.case(normal(4, 3), normal(4, 3), normal(3))
layer_gradient.case(normal(2, 3, 4), normal(2, 3, 4), normal(3, 4), axes=2, eps=0.1, wanted=(0, 2))
layer_gradient.case(normal(4, 3), normal(4, 3), None, centre=False, wanted=(0,))
layer_gradient.case(normal(4, 3), normal(4, 3), normal(3), normal(4, 1), positive(4, 1))
layer_gradient.case(normal(2, 3, 4), normal(2, 3, 4), normal(4), None, positive(6, 1), centre=False, wanted=(0, 1))
layer_gradient.case(normal(4, 3), normal(4, 3), None, normal(4, 1), positive(4, 1), wanted=(0,))
scale_and_shift.case(normal(2, 3, 4), normal(3, 1), normal(3, 1))
scale_and_shift.case(normal(2, 3, 4), normal(1, 3, 1), normal(1, 3, 1))
