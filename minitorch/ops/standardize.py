"""Normalisation over a batch: the numbers of each channel brought to mean 0 and variance 1.

The op keeps what PyTorch keeps, the input and the mean and deviation of each channel; the input is
centred again at backward.  Its reference says in ordinary ops what it computes.
"""
from math import prod

from ..autograd.op import keep, op
from ..backend import xp
from ..cases import normal, positive
from ..blocks import by_slices


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
batch_gradient.case(normal(4, 3), normal(4, 3), normal(3))
batch_gradient.case(normal(2, 3, 4), normal(2, 3, 4), None, eps=0.1, wanted=(0, 2))
batch_gradient.case(normal(2, 3, 9), normal(2, 3, 9), normal(3), normal(1, 3, 1), positive(1, 3, 1))
batch_gradient.case(normal(2, 3, 9), normal(2, 3, 9), None, normal(1, 3, 1), positive(1, 3, 1), wanted=(1, 2))
scale_and_shift.case(normal(2, 3, 4), normal(3, 1), normal(3, 1))
scale_and_shift.case(normal(2, 3, 4), normal(1, 3, 1), normal(1, 3, 1))
