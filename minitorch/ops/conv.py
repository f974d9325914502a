"""Convolution and its two transposes: three bilinear maps, each the derivative of the others.

    y  = convolution(x, w)             (N, C, *size), (M, C / groups, *kernel) -> (N, M, *positions)
    gx = convolution_input(g, w)       the transpose in x: also what conv_transpose computes
    gw = convolution_weight(x, g)      the transpose in w

Each is a matrix product with the columns that the windows see (columns.py), for a block of images at a time.
"""
from math import prod

import numpy as np
from numpy import ndindex

from .. import blas
from ..autograd.op import composed, op
from ..backend import xp
from ..blocks import elementwise
from ..cases import normal
from ..copies import contiguous
from ..tensor import Tensor
from . import columns
from .columns import Columns, by_images
from .windows import Slide, padded, per_axis

LONG = 128                                           # numbers from which BLAS multiplies rows faster than einsum
PHASES = 8                                           # times as many numbers as weights, for which weights may be laid out once for each phase


def convolve(x, w, bias, slide, groups, y=None):
    """The forward computation on arrays; written into `y` where it is given."""
    lib, M, out = xp(x), w.shape[0], slide.positions(x.shape[2:], w.shape[2:])
    y, seen = lib.empty((len(x), M, *out), x.dtype) if y is None else y, Columns(x, w.shape[2:], slide, groups, w.size, ones=bias is not None)
    few = seen.few(M)                                                      # positions: then threads share the filters, not the images
    product, here = blas.product if few else blas.rows_at_a_time, y
    if seen.last:
        filters = contiguous(lib.moveaxis(w, 1, -1)).reshape(M, -1).swapaxes(0, 1)                  # (taps * C, M)
    else:
        filters, here = lib.ascontiguousarray(w.reshape(groups, M // groups, -1)), y.reshape(-1, groups, M // groups, *out)
        if seen.ones:
            filters = lib.concatenate((filters, bias.reshape(groups, -1, 1)), 2)

    def part(start, stop):
        for images, some, block in seen.blocks(start, stop):
            found = product(block, filters) if seen.last else filters[some] @ block                # (n * positions, M); (n, G, M / G, wide)
            if bias is not None and not seen.ones:
                found += bias if seen.last else bias.reshape(groups, -1, 1)
            if seen.last:
                here[images] = lib.moveaxis(found.reshape(-1, *out, M), -1, 1)
            else:
                here[images, some] = found.reshape(*found.shape[:3], *seen.wide)[..., :out[-1]]
    if few:
        part(0, len(x))
    else:
        by_images(part, x, w[0].size * groups * prod(out), M // groups)
    return y


def transposed_weight(w, groups):
    """Weights of the convolution that takes gradients back, stride 1: taps reversed, (M, C/groups) -> (C, M/groups)."""
    M, C, *kernel = w.shape
    w = w.reshape(groups, M // groups, C, *kernel).swapaxes(1, 2).reshape(groups * C, M // groups, *kernel)
    return w[(..., *(slice(None, None, -1) for _ in kernel))]


def turned(slide, kernel):
    """How the window of the convolution that takes gradients back moves, stride 1."""
    reach = [d * (k - 1) for d, k in zip(slide.dilation, kernel)]
    return Slide(slide.stride, tuple((r - a, r - b) for r, (a, b) in zip(reach, slide.padding)), slide.dilation)


@op(numbers="promote", home="")
def convolution(input, weight, bias=None, /, slide=None, groups=1):
    """y[n, o, p] = bias[o] + sum over channels and taps of w[o, c, t] x[n, c, p * stride + t * dilation - padding]."""
    return convolve(input, weight, bias, slide, groups)


@op(numbers="promote", home="")
def convolution_input(input, weight, bias=None, /, size=(), slide=None, groups=1):
    """The transpose of convolution in its input: (N, M, *positions), (M, C / groups, *kernel) -> (N, C, *size)."""
    x, w, lib = input, weight, xp(input)
    N, M, *out = x.shape
    C, kernel = w.shape[1] * groups, w.shape[2:]
    if set(slide.stride) == {1}:
        return convolve(x, transposed_weight(w, groups), bias, turned(slide, kernel), groups)
    y, taps = lib.empty((N, C, *size), x.dtype), prod(kernel)

    def by_phases(start, stop):
        for some, places, narrow in slide.phases(kernel, size, out):       # each a convolution without steps
            of_phase = w[(..., *some)]
            if of_phase.size:
                convolve(x[start:stop], transposed_weight(of_phase, groups), bias, narrow, groups, y[start:stop][(..., *places)])
            else:
                y[start:stop][(..., *places)] = 0 if bias is None else bias.reshape(-1, *(1,) * len(size))

    def by_sums(start, stop):
        filters = w.reshape(groups, M // groups, -1).swapaxes(-1, -2)      # (groups, C / groups * taps, M / groups)
        n = max(1, columns.np_block // max(1, C * taps * prod(out)))
        for i in range(start, stop, n):
            here = slice(i, min(stop, i + n))
            found = filters @ x[here].reshape(-1, groups, M // groups, prod(out))
            y[here] = unwound(found.reshape(-1, C, taps, *out), kernel, size, slide)
            if bias is not None:
                y[here] += bias.reshape(-1, *(1,) * len(size))
    part = by_phases if taps > prod(slide.stride) and x.size >= PHASES * w.size else by_sums
    by_images(part, x, C * taps * prod(out), M // groups)
    return y


def unwound(columns, kernel, size, slide):
    """(n, C, taps, *positions) summed to (n, C, *size), each number where the window took it from."""
    room = xp(columns).zeros(columns.shape[:2] + tuple(m + a + b for m, (a, b) in zip(size, slide.padding)), columns.dtype)
    for t, place in enumerate(slide.taps(kernel, columns.shape[3:])):
        room[place] += columns[:, :, t]
    return padded(room, tuple((-a, -b) for a, b in slide.padding))


@op(numbers="promote", home="")
def convolution_weight(input, other, /, kernel=(), slide=None, groups=1):
    """The transpose of convolution in its weight: (N, C, *size), (N, M, *positions) -> (M, C / groups, *kernel)."""
    lib, (_, M, *out), taps = xp(input), other.shape, input.shape[1] // groups * prod(kernel)
    if groups == M == input.shape[1] > 1:
        return channel_weight(input, other, kernel, slide)
    seen = Columns(input, kernel, slide, groups, M * taps, summed=True)
    last = seen.last
    few = seen.few(M)                                                      # positions: as in convolve
    shape = (M, taps) if last else (groups, taps, M // groups)

    def part(start, stop):
        y = wide = None
        for images, some, block in seen.blocks(start, stop):
            if last:                                                       # one product for the whole block
                g = other[images].reshape(-1, M, prod(out)).swapaxes(0, 1).reshape(M, -1)
                found = blas.product(g, block) if few else g @ block
                y = found if y is None else lib.add(y, found, out=y)
                continue
            n, G = block.shape[:2]
            if wide is None:
                y, wide = lib.zeros(shape, input.dtype), lib.zeros((n, G, *seen.wide, M // groups), input.dtype)
            wide[:n, :G, ..., :out[-1], :] = lib.moveaxis(other[images].reshape(n, groups, M // groups, *out)[:, some], 2, -1)
            y[some] += blas.columns_at_a_time(block, wide[:n, :G].reshape(n, G, prod(seen.wide), M // groups))
        return lib.zeros(shape, input.dtype) if y is None else y
    y, *others = [part(0, len(input))] if few else by_images(part, input, groups * taps * prod(out), M // groups)
    for other_images in others:
        elementwise(np.add, y, other_images, out=y)
    y = lib.moveaxis(y.reshape(M, *kernel, -1), -1, 1) if last else y.swapaxes(1, 2).reshape(M, -1, *kernel)
    return contiguous(y)


def channel_weight(x, g, kernel, slide):
    """convolution_weight of every channel by itself: for each row of taps the products of what they see, which is not copied, with g."""
    lib, seen = xp(x), Columns(x, kernel, slide, x.shape[1], copied=False, summed=True)
    dot = np.vecdot if type(x) is np.ndarray and prod(seen.wide) >= LONG else lambda a, b: lib.einsum("nclp,nclp->ncl", a, b)

    def part(start, stop):
        y, wide = lib.zeros((x.shape[1], 1, *kernel), x.dtype), None
        for images, view in seen.windows(start, stop):                     # (n, C, *kernel, *wide)
            if wide is None:
                wide = lib.zeros((*view.shape[:2], 1, *seen.wide), x.dtype)
            some = wide[:len(view)]
            some[:, :, 0, ..., :g.shape[-1]] = g[images]
            for taps in ndindex(kernel[:-1]):
                row = view[(slice(None), slice(None), *taps)]
                y[(slice(None), 0, *taps)] += dot(row.reshape(*row.shape[:3], -1), some.reshape(*some.shape[:3], -1)).sum(axis=0)
        return y
    return sum(by_images(part, x, prod(g.shape[1:]) * prod(kernel), 1))


def over_positions(g):
    """The gradient of a bias: summed over all but the channels."""
    from .reduce import sum
    return sum(g, (0, *range(2, g.ndim)))


convolution.vjp(
    lambda g, weight, input_shape, slide, groups: convolution_input(g, weight, None, input_shape[2:], slide, groups),
    lambda g, input, weight_shape, slide, groups: convolution_weight(input, g, weight_shape[2:], slide, groups),
    lambda g: over_positions(g))
convolution_input.vjp(
    lambda g, weight, slide, groups: convolution(g, weight, None, slide, groups),
    lambda g, input, weight_shape, slide, groups: convolution_weight(g, input, weight_shape[2:], slide, groups),
    lambda g: over_positions(g))
convolution_weight.vjp(
    lambda g, other, input_shape, slide, groups: convolution_input(other, g, None, input_shape[2:], slide, groups),
    lambda g, input, slide, groups: convolution(input, g, None, slide, groups))


def for_loops(slide, *arrays):
    """Whether arrays are of images, some of which there are, with nothing cut off, and loops can multiply matrices."""
    return all([a.ndim == 4 and a.size for a in arrays]) and min([min(p) for p in slide.padding]) >= 0 and blas.address(arrays[0].dtype)


@convolution.loop("conv", least=2000)
def _(conv, input, weight, bias=None, slide=None, groups=1):
    return conv.forward(input, weight, bias, slide, groups) if for_loops(slide, input, weight) else NotImplemented


@convolution_input.loop("conv", least=2000)
def _(conv, input, weight, bias=None, size=(), slide=None, groups=1):
    return conv.input_gradient(input, weight, bias, size, slide, groups) if for_loops(slide, input, weight) else NotImplemented


@convolution_weight.loop("conv", least=2000)
def _(conv, input, other, kernel=(), slide=None, groups=1):
    return conv.weight_gradient(input, other, kernel, slide, groups) if for_loops(slide, input, other) else NotImplemented


@convolution.kernel("conv")
def _(kernels, input, weight, bias=None, slide=None, groups=1):
    if input.ndim != 4:
        return NotImplemented
    return kernels.conv2d(input, weight, bias, slide.stride, slide.padding, slide.dilation, groups)


@convolution_input.kernel("conv")
def _(kernels, input, weight, bias=None, size=(), slide=None, groups=1):
    if input.ndim != 4:
        return NotImplemented
    shape = (input.shape[0], weight.shape[1] * groups, *size)
    return kernels.conv2d_input_gradient(input, weight, shape, bias, slide.stride, slide.padding, slide.dilation, groups)


@convolution_weight.kernel("conv")
def _(kernels, input, other, kernel=(), slide=None, groups=1):
    if input.ndim != 4:
        return NotImplemented
    shape = (other.shape[1], input.shape[1] // groups, *kernel)
    return kernels.conv2d_weight_gradient(other, input, shape, slide.stride, slide.padding, slide.dilation, groups)


plain, odd = Slide((1, 1), ((0, 0), (0, 0)), (1, 1)), Slide((2, 1), ((1, 2), (0, 1)), (1, 2))
convolution.case(normal(2, 3, 5, 4), normal(4, 3, 3, 2), normal(4), plain)
convolution.case(normal(2, 4, 6, 5), normal(6, 2, 3, 2), None, odd, 2)
convolution.case(normal(2, 20, 3), normal(2, 20, 2), normal(2), Slide((1,), ((1, 1),), (1,)))
convolution_input.case(normal(2, 4, 3, 3), normal(4, 3, 3, 2), normal(3), (5, 4), plain)
convolution_input.case(normal(2, 6, 4, 4), normal(6, 2, 3, 2), None, (6, 5), odd, 2)
convolution_weight.case(normal(2, 3, 5, 4), normal(2, 4, 3, 3), (3, 2), plain)
convolution_weight.case(normal(2, 4, 6, 5), normal(2, 6, 4, 4), (3, 2), odd, 2)
convolution.case(normal(2, 4, 6, 5), normal(4, 1, 3, 2), normal(4), odd, 4)
convolution_input.case(normal(2, 4, 4, 4), normal(4, 1, 3, 2), None, (6, 5), odd, 4)
convolution_weight.case(normal(2, 4, 6, 5), normal(2, 4, 4, 4), (3, 2), odd, 4)
convolution.case(normal(2, 3, 4, 4), normal(2, 3, 1, 1), normal(2), plain)
convolution_weight.case(normal(2, 20, 3), normal(2, 2, 4), (2,), Slide((1,), ((1, 1),), (1,)))


# ---- the public functions -------------------------------------------------------------------------------

def check_arguments(name, n, input, weight, bias, stride, dilation, groups, transposed=False):
    """PyTorch's refusals; (input, whether it is a single image) with a batch axis put before a single image."""
    for label, t in (("input", input), ("weight", weight), ("bias", bias)):
        if not isinstance(t, Tensor) and not (label == "bias" and t is None):
            raise TypeError(f"{name}(): argument '{label}' must be Tensor, not {type(t).__name__}")
    for label, values in (("stride", stride), ("dilation", dilation), ("groups", (groups,))):
        if min(values) <= 0:
            raise RuntimeError(f"non-positive {label} is not supported")
    if input.ndim not in (n + 1, n + 2):
        raise RuntimeError(f"Expected {n + 1}D (unbatched) or {n + 2}D (batched) input to {name}, but got input of size: {list(input.shape)}")
    if weight.ndim != n + 2:
        raise RuntimeError(f"{name}: expected a weight of {n + 2} dimensions, but got weight of size {list(weight.shape)}")
    if input.dtype != weight.dtype:
        raise RuntimeError(f"Input type ({input.dtype.name}) and weight type ({weight.dtype.name}) should be the same")
    if bias is not None and bias.dtype != input.dtype:
        raise RuntimeError(f"Input type ({input.dtype.name}) and bias type ({bias.dtype.name}) should be the same")
    single = input.ndim == n + 1
    if single:
        input = input.reshape((1, *input.shape))
    given = f"Given {'transposed=1' if transposed else f'groups={groups}'}, weight of size {list(weight.shape)}, expected"
    wanted = weight.shape[0] if transposed else weight.shape[1] * groups
    outputs = weight.shape[1] * groups if transposed else weight.shape[0]
    if weight.shape[0] % groups or weight.shape[0] < groups:
        raise RuntimeError(f"Given groups={groups}, expected weight to be divisible by {groups} at dimension 0, "
                           f"but got weight of size {list(weight.shape)} instead")
    if input.shape[1] != wanted:
        raise RuntimeError(f"{given} input{list(input.shape)} to have {wanted} channels, but got {input.shape[1]} channels instead")
    if bias is not None and tuple(bias.shape) != (outputs,):
        raise RuntimeError(f"{given} bias to be 1-dimensional with {outputs} elements, but got bias of size {list(bias.shape)} instead")
    return input, single


def pads(padding, kernel, stride, dilation):
    """((before, after), ...) from an int, a tuple, "valid" or "same"."""
    n = len(kernel)
    if isinstance(padding, str):
        if padding == "valid":
            return ((0, 0),) * n
        if padding != "same":
            raise RuntimeError(f"Invalid padding string: '{padding}'")
        if set(stride) != {1}:
            raise RuntimeError("padding='same' is not supported for strided convolutions")
        reach = [d * (k - 1) for k, d in zip(kernel, dilation)]
        return tuple((r // 2, r - r // 2) for r in reach)
    padding = per_axis(padding, n, "padding")
    if min(padding) < 0:
        raise RuntimeError("negative padding is not supported")
    return tuple((p, p) for p in padding)


def conv(n, name, input, weight, bias, stride, padding, dilation, groups):
    """Convolution over n spatial axes."""
    stride, dilation = per_axis(stride, n, "stride"), per_axis(dilation, n, "dilation")
    input, single = check_arguments(name, n, input, weight, bias, stride, dilation, groups)
    kernel = tuple(weight.shape[2:])
    slide = Slide(stride, pads(padding, kernel, stride, dilation), dilation)
    room = [m + a + b for m, (a, b) in zip(input.shape[2:], slide.padding)]
    if any(d * (k - 1) + 1 > m for k, d, m in zip(kernel, dilation, room)):
        raise RuntimeError(f"Calculated padded input size per channel: ({' x '.join(map(str, room))}). "
                           f"Kernel size: ({' x '.join(map(str, kernel))}). Kernel size can't be greater than actual input size")
    y = convolution(input, weight, bias, slide, groups)
    return y.reshape(y.shape[1:]) if single else y


def conv_transpose(n, name, input, weight, bias, stride, padding, output_padding, groups, dilation):
    """The transpose of the convolution with the same weights, stride and padding."""
    stride, dilation = per_axis(stride, n, "stride"), per_axis(dilation, n, "dilation")
    if isinstance(padding, str):
        raise TypeError(f"{name}(): argument 'padding' must be tuple of ints, not str")
    extra = per_axis(output_padding, n, "output_padding")
    input, single = check_arguments(name, n, input, weight, bias, stride, dilation, groups, transposed=True)
    kernel = tuple(weight.shape[2:])
    slide = Slide(stride, pads(padding, kernel, stride, dilation), dilation)
    if any(e < 0 or e >= max(s, d) for e, s, d in zip(extra, stride, dilation)):
        raise RuntimeError(f"output padding must be smaller than either stride or dilation, but got output_padding={list(extra)}, "
                           f"stride={list(stride)}, dilation={list(dilation)}")
    size = tuple((m - 1) * s - a - b + d * (k - 1) + e + 1
                 for m, k, s, (a, b), d, e in zip(input.shape[2:], kernel, stride, slide.padding, dilation, extra))
    if min(size) < 1:
        raise RuntimeError(f"{name}: input of size {list(input.shape)} with kernel {list(kernel)} and padding {padding} gives an output of "
                           f"spatial size {list(size)}")
    y = convolution_input(input, weight, bias, size, slide, groups)
    return y.reshape(y.shape[1:]) if single else y


@composed(home="torch functional", method=False)
def conv1d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Cross-correlation along one axis: input (N, C, L) or (C, L), weight (M, C / groups, K) -> (N, M, L').

    L' = (L + 2 padding - dilation (K - 1) - 1) // stride + 1; padding may be "same" or "valid".
    """
    return conv(1, "conv1d", input, weight, bias, stride, padding, dilation, groups)


@composed(home="torch functional", method=False)
def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Cross-correlation of images: input (N, C, H, W) or (C, H, W), weight (M, C / groups, KH, KW) -> (N, M, H', W').

    H' = (H + 2 padding - dilation (KH - 1) - 1) // stride + 1; every parameter an int or one per axis; padding may be "same" or "valid".
    """
    return conv(2, "conv2d", input, weight, bias, stride, padding, dilation, groups)


@composed(home="torch functional", method=False)
def conv3d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Cross-correlation of volumes: input (N, C, D, H, W) or (C, D, H, W), weight (M, C / groups, KD, KH, KW)."""
    return conv(3, "conv3d", input, weight, bias, stride, padding, dilation, groups)


@composed(home="torch functional", method=False)
def conv_transpose1d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    """The transpose of conv1d: input (N, C, L), weight (C, M / groups, K) -> (N, M, L').

    L' = (L - 1) stride - 2 padding + dilation (K - 1) + output_padding + 1.
    """
    return conv_transpose(1, "conv_transpose1d", input, weight, bias, stride, padding, output_padding, groups, dilation)


@composed(home="torch functional", method=False)
def conv_transpose2d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    """The transpose of conv2d: input (N, C, H, W), weight (C, M / groups, KH, KW) -> (N, M, H', W')."""
    return conv_transpose(2, "conv_transpose2d", input, weight, bias, stride, padding, output_padding, groups, dilation)


@composed(home="torch functional", method=False)
def conv_transpose3d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    """The transpose of conv3d: input (N, C, D, H, W), weight (C, M / groups, KD, KH, KW)."""
    return conv_transpose(3, "conv_transpose3d", input, weight, bias, stride, padding, output_padding, groups, dilation)


conv1d.case(normal(2, 3, 7), normal(4, 3, 3), normal(4))
conv1d.case(normal(2, 4, 8), normal(6, 2, 3), None, 2, 1, 2, 2)
conv1d.case(normal(3, 7), normal(4, 3, 4), padding="same", dilation=2)
conv2d.case(normal(2, 3, 5, 4), normal(4, 3, 3, 2), normal(4), padding=1)
conv2d.case(normal(2, 4, 6, 5), normal(6, 2, 3, 2), None, (2, 1), (1, 0), (1, 2), 2)
conv2d.case(normal(3, 5, 5), normal(4, 3, 5, 3), normal(4), padding="same")
conv2d.case(normal(2, 17, 4, 3), normal(2, 17, 1, 1), padding="valid")
conv3d.case(normal(1, 2, 4, 4, 3), normal(3, 2, 2, 3, 2), normal(3), padding=(0, 1, 1))
conv3d.case(normal(2, 4, 4, 3), normal(4, 1, 2, 2, 2), None, 2, 1, groups=2)
conv3d.case(normal(1, 2, 4, 4, 3), normal(3, 2, 2, 3, 2), dilation=(2, 1, 1))
conv_transpose1d.case(normal(2, 3, 5), normal(3, 4, 3), normal(4))
conv_transpose1d.case(normal(2, 4, 5), normal(4, 3, 3), None, 2, 1, 1, 2)
conv_transpose1d.case(normal(3, 5), normal(3, 2, 2), None, 3, dilation=2)
conv_transpose2d.case(normal(2, 3, 4, 3), normal(3, 2, 3, 2), normal(2), padding=1)
conv_transpose2d.case(normal(2, 4, 3, 3), normal(4, 2, 2, 2), normal(4), 2, 0, (1, 0), 2)
conv_transpose2d.case(normal(3, 4, 3), normal(3, 2, 3, 2), None, (1, 2), 0, 0, 1, 2)
conv_transpose3d.case(normal(1, 2, 2, 3, 2), normal(2, 3, 2, 2, 2), normal(3))
conv_transpose3d.case(normal(1, 2, 2, 3, 2), normal(2, 3, 2, 2, 2), None, 2, 1, 1)
conv_transpose3d.case(normal(2, 2, 3, 2), normal(2, 1, 2, 2, 2), groups=2)
