"""Pooling: the maximum or the mean of what a sliding window sees.

A window of K taps is K strided slices of the padded input, so both poolings and their transposes are K
array operations, whatever the size of the images.
"""
from math import prod

import numpy as np

from .. import dtypes
from ..autograd.op import HOMES, composed, keep, op
from ..backend import xp
from ..cases import distinct, integers, normal
from ..tensor import Tensor, wrap
from .rows import add_at
from .windows import Slide, padded, per_axis


# ---- maximum --------------------------------------------------------------------------------------------

def lowest(dtype):
    """What is below every number of a dtype: padding that never wins."""
    return float("-inf") if dtypes.is_float(dtype) else dtypes.np.iinfo(dtype).min if dtype.kind in "iu" else False


def winners(input, kernel, slide):
    """(the maxima, which tap of the window was the first to hold each): both (N, C, *positions)."""
    lib, out = xp(input), slide.positions(input.shape[2:], kernel)
    room = padded(input, slide.padding, lowest(input.dtype))
    first, *others = [room[tap] for tap in slide.taps(kernel, out)]
    y = lib.array(first)
    for x in others:
        lib.maximum(y, x, out=y)
    which = lib.zeros(y.shape, "u1" if len(others) < 256 else "i4")
    if others:
        before = first < y                           # the maximum is further on; NaN is found at the first tap
        which += before
        for x in others[:-1]:
            before &= x < y
            which += before
    return y, which


@op(numbers="half", home="")
def max_over_windows(input, /, kernel, slide):
    """max over taps t of x[n, c, p * stride + t * dilation - padding]: (N, C, *size) -> (N, C, *positions)."""
    y, which = winners(input, kernel, slide)
    return keep(y, which=which, place=None)


@op(home="", differentiable=False)
def argmax_over_windows(input, /, kernel, slide):
    """Where max_over_windows found each maximum (the first of equals), as an index into the flattened spatial axes."""
    _, which = winners(input, kernel, slide)
    lib, size, out = xp(input), input.shape[2:], which.shape[2:]
    which = which.astype("i8")
    flat = 0
    for axis, n in enumerate(size):
        tap = which // prod(kernel[axis + 1:]) % kernel[axis]
        start = lib.arange(out[axis]).reshape(-1, *(1,) * (len(size) - axis - 1)) * slide.stride[axis] - slide.padding[axis][0]
        place = start + tap * slide.dilation[axis]
        flat = flat * n + lib.clip(place, 0, n - 1)
    return flat


@op(numbers="half", home="")
def put_at_winners(input, which, /, size, kernel, slide):
    """The transpose of picking: every number goes to the tap that `which` names, sums where windows overlap; zero elsewhere."""
    lib, out = xp(input), input.shape[2:]
    shape = input.shape[:2] + tuple(n + a + b for n, (a, b) in zip(size, slide.padding))
    apart = all(s >= d * (k - 1) + 1 or k == 1 for s, k, d in zip(slide.stride, kernel, slide.dilation))
    full = apart and all(n == k * m and s == k for n, k, m, s in zip(shape[2:], kernel, out, slide.stride))
    room = (lib.empty if full else lib.zeros)(shape, input.dtype)
    for t, tap in enumerate(slide.taps(kernel, out)):
        if apart:
            room[tap] = lib.where(which == t, input, 0)
        else:
            room[tap] += lib.where(which == t, input, 0)
    return padded(room, tuple((-a, -b) for a, b in slide.padding))


@op(numbers="half", home="")
def pick_winners(input, which, /, kernel, slide):
    """The number at the tap that `which` names, for every position of the window."""
    room = padded(input, slide.padding)
    y = xp(input).zeros(which.shape, input.dtype)
    for t, tap in enumerate(slide.taps(kernel, which.shape[2:])):
        y += xp(input).where(which == t, room[tap], 0)
    return y


@op(numbers="half", home="")
def put_at_places(input, place, /, size, kernel, slide):
    """The same for a kernel's maxima: every number is added where `place` says, counted in the flattened image; zero elsewhere."""
    lead, n = input.shape[:2], prod(size)
    y = xp(input).zeros(prod(lead) * n, input.dtype)
    start = xp(input).arange(prod(lead)).reshape(-1, 1) * n
    add_at(y, (place.reshape(prod(lead), -1) + start).reshape(-1), input.reshape(-1))
    return y.reshape(*lead, *size)


@op(numbers="half", home="")
def pick_places(input, place, /, kernel, slide):
    """What stands at `place`, counted in the flattened image."""
    return xp(input).take_along_axis(input.reshape(*input.shape[:2], -1), place.reshape(*place.shape[:2], -1), axis=2).reshape(place.shape)


max_over_windows.vjp(lambda g, input_shape, which, place, kernel, slide:
                     put_at_winners(g, which, input_shape[2:], kernel, slide) if place is None else
                     put_at_places(g, place, input_shape[2:], kernel, slide))
put_at_places.vjp(lambda g, place, kernel, slide: pick_places(g, place, kernel, slide))
pick_places.vjp(lambda g, place, input_shape, kernel, slide: put_at_places(g, place, input_shape[2:], kernel, slide))
put_at_winners.vjp(lambda g, which, kernel, slide: pick_winners(g, which, kernel, slide))
pick_winners.vjp(lambda g, input_shape, which, kernel, slide: put_at_winners(g, which, input_shape[2:], kernel, slide))


def of_kernel(kernel, slide):
    """A window as kernels.max_pool2d takes it: padding by axis, and rows added at the end alone as ceil_mode."""
    return kernel, slide.stride, tuple(a for a, _ in slide.padding), slide.dilation, any(b > a for a, b in slide.padding)


@max_over_windows.kernel("pool")
def _(kernels, input, kernel, slide):
    if input.ndim != 4 or any(b < a for a, b in slide.padding):
        return NotImplemented
    y, place = kernels.max_pool2d(input, *of_kernel(kernel, slide))
    return keep(y, which=None, place=place) if y.shape[2:] == slide.positions(input.shape[2:], kernel) else NotImplemented


@put_at_places.kernel("pool")
def _(kernels, input, place, size, kernel, slide):
    return kernels.max_pool2d_backward(input, place, (*input.shape[:2], *size), *of_kernel(kernel, slide))


PLACES = np.broadcast_to(np.array([[7, 2, 10], [12, 15, 23]]), (2, 3, 2, 3))           # in each window of an image (4, 6)
tiles, overlap = Slide((2, 2), ((0, 0), (0, 0)), (1, 1)), Slide((2, 1), ((1, 1), (0, 1)), (1, 2))
for case in (max_over_windows.case, argmax_over_windows.case):
    case(distinct(2, 3, 4, 6), (2, 2), tiles)
    case(distinct(2, 2, 5, 6), (3, 2), overlap)
    case(distinct(2, 2, 7), (3,), Slide((1,), ((1, 1),), (2,)))
put_at_winners.case(normal(2, 3, 2, 3), integers(2, 3, 2, 3, high=4), (4, 6), (2, 2), tiles)
put_at_winners.case(normal(2, 2, 3, 5), integers(2, 2, 3, 5, high=6), (5, 6), (3, 2), overlap)
put_at_places.case(normal(2, 3, 2, 3), PLACES, (4, 6), (2, 2), tiles)
pick_places.case(normal(2, 3, 4, 6), PLACES, (2, 2), tiles)
pick_winners.case(normal(2, 3, 4, 6), integers(2, 3, 2, 3, high=4), (2, 2), tiles)
pick_winners.case(normal(2, 2, 5, 6), integers(2, 2, 3, 5, high=6), (3, 2), overlap)


# ---- sum and mean ---------------------------------------------------------------------------------------

@op(numbers="half", home="")
def sum_windows(input, /, kernel, slide):
    """The sum of what every window sees: (N, C, *size) -> (N, C, *positions), one axis after the other."""
    x = padded(input, slide.padding)
    out = slide.positions(input.shape[2:], kernel)
    for axis, (k, s, d, m) in enumerate(zip(kernel, slide.stride, slide.dilation, out), 2):
        lead = (slice(None),) * axis
        if k == 1 and s == 1:
            x = x[(*lead, slice(m))]
            continue
        y = xp(x).array(x[(*lead, slice(0, s * (m - 1) + 1, s))])
        for i in range(1, k):
            y += x[(*lead, slice(d * i, d * i + s * (m - 1) + 1, s))]
        x = y
    return x if x is not input else xp(x).array(x)


@op(numbers="half", home="")
def spread_windows(input, /, size, kernel, slide):
    """The transpose of sum_windows: every number is added to all that its window sees."""
    lib, x = xp(input), input
    for axis in range(len(size) + 1, 1, -1):
        k, s, d, m = kernel[axis - 2], slide.stride[axis - 2], slide.dilation[axis - 2], x.shape[axis]
        lead = (slice(None),) * axis
        n = size[axis - 2] + sum(slide.padding[axis - 2])
        room = lib.zeros((*x.shape[:axis], n, *x.shape[axis + 1:]), x.dtype)
        for i in range(k):
            room[(*lead, slice(d * i, d * i + s * (m - 1) + 1, s))] += x
        x = room
    return padded(x, tuple((-a, -b) for a, b in slide.padding))


sum_windows.vjp(lambda g, input_shape, kernel, slide: spread_windows(g, input_shape[2:], kernel, slide))
spread_windows.vjp(lambda g, kernel, slide: sum_windows(g, kernel, slide))


@sum_windows.kernel("pool")
def _(kernels, input, kernel, slide):
    if input.ndim != 4 or not plain_windows(slide):
        return NotImplemented
    window, stride, padding, _, ceil = of_kernel(kernel, slide)
    y = kernels.avg_pool2d(input, window, stride, padding, ceil, divisor_override=1)
    return y if y.shape[2:] == slide.positions(input.shape[2:], kernel) else NotImplemented


@spread_windows.kernel("pool")
def _(kernels, input, size, kernel, slide):
    if input.ndim != 4 or not plain_windows(slide) or any(b > a for a, b in slide.padding):
        return NotImplemented
    window, stride, padding, _, _ = of_kernel(kernel, slide)
    return kernels.avg_pool2d_backward(input, (*input.shape[:2], *size), window, stride, padding, divisor_override=1)


def plain_windows(slide):
    """Whether the taps of a window are neighbours, and no padding at an end is smaller than at its beginning."""
    return set(slide.dilation) == {1} and all(b >= a for a, b in slide.padding)


sum_windows.case(normal(2, 3, 4, 6), (2, 2), tiles)
sum_windows.case(normal(2, 2, 5, 6), (3, 2), Slide((2, 1), ((1, 1), (0, 0)), (1, 1)))
sum_windows.case(normal(2, 2, 5, 6), (3, 2), overlap)
sum_windows.case(normal(2, 2, 5), (1,), Slide((1,), ((0, 0),), (1,)))
spread_windows.case(normal(2, 3, 2, 3), (4, 6), (2, 2), tiles)
spread_windows.case(normal(2, 2, 3, 5), (5, 6), (3, 2), Slide((2, 1), ((1, 1), (0, 0)), (1, 1)))
spread_windows.case(normal(2, 2, 3, 5), (5, 6), (3, 2), overlap)


# ---- the public functions -------------------------------------------------------------------------------

def prepare(name, n, input, kernel_size, stride, padding, dilation, ceil_mode):
    """(input with a batch axis, whether it had none, kernel, Slide); PyTorch's refusals."""
    if not isinstance(input, Tensor):
        raise TypeError(f"{name}(): argument 'input' must be Tensor, not {type(input).__name__}")
    kernel = sizes(name, "kernel_size", kernel_size, n)
    stride = kernel if stride is None or stride == [] or stride == () else sizes(name, "stride", stride, n)
    padding, dilation = sizes(name, "padding", padding, n), sizes(name, "dilation", dilation, n)
    if min(kernel) <= 0:
        raise RuntimeError(f"{name}: kernel size should be greater than zero, but got {list(kernel)}")
    if min(stride) <= 0:
        raise RuntimeError(f"{name}: stride should not be zero")
    if min(dilation) <= 0:
        raise RuntimeError(f"{name}: dilation should be greater than zero, but got dilation {list(dilation)}")
    for k, p, d in zip(kernel, padding, dilation):
        if p < 0:
            raise RuntimeError(f"{name}: pad must be non-negative, but got pad={p}")
        if p > (d * (k - 1) + 1) // 2:
            raise RuntimeError(f"pad should be at most half of effective kernel size, but got pad={p}, kernel_size={k} and dilation={d}")
    if input.ndim not in (n + 1, n + 2) or 0 in input.shape[-n - 1:]:
        raise RuntimeError(f"{name}: Expected {n + 1}D or {n + 2}D (batch mode) tensor with optional 0 dim batch size for input, "
                           f"but got: {list(input.shape)}")
    pads = tuple((p, p + hang(m, k, s, p, d) if ceil_mode else p)
                 for m, k, s, p, d in zip(input.shape[-n:], kernel, stride, padding, dilation))
    slide = Slide(stride, pads, dilation)
    out = slide.positions(input.shape[-n:], kernel)
    if min(out) < 1:
        before, after = ("x".join(map(str, (input.shape[-n - 1], *s))) for s in (input.shape[-n:], out))
        raise RuntimeError(f"Given input size: ({before}). Calculated output size: ({after}). Output size is too small")
    single = input.ndim == n + 1
    return input.reshape((1, *input.shape)) if single else input, single, kernel, slide


def sizes(name, label, value, n):
    """An int or n ints as a tuple; RuntimeError for another number of them."""
    if not isinstance(value, int) and len(tuple(value)) not in (1, n):
        raise RuntimeError(f"{name}: {label} must either be a single int, or a tuple of {n} ints")
    return per_axis(value, n, label)


def hang(size, k, s, p, d):
    """How many rows beyond the padding ceil_mode adds, so that a last, partial window fits; one that starts in them is left out."""
    span = size + 2 * p - d * (k - 1) - 1
    out = -(-span // s) + 1
    if (out - 1) * s >= size + p:
        out -= 1
    return max(0, (out - 1) * s - span)


def without_batch(y, single):
    return y.reshape(y.shape[1:]) if single else y


def max_pool(name, n, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices):
    """Maximum pooling over n axes."""
    input, single, kernel, slide = prepare(name, n, input, kernel_size, stride, padding, dilation, ceil_mode)
    y = without_batch(max_over_windows(input, kernel, slide), single)
    return (y, without_batch(argmax_over_windows(input, kernel, slide), single)) if return_indices else y


def avg_pool(name, n, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override):
    """Mean pooling over n axes: the sum of each window over how many numbers it counts."""
    if divisor_override == 0:
        raise RuntimeError("divisor must be not zero")
    input, single, kernel, slide = prepare(name, n, input, kernel_size, stride, padding, 1, ceil_mode)
    padding = sizes(name, "padding", padding, n)
    y = sum_windows(input, kernel, slide)
    size, lib = input.shape[2:], xp(input.array)
    whole = count_include_pad or not any(padding)
    if divisor_override:
        y = shared(y, divisor_override)
    elif whole and all(hang(m, k, s, p, 1) == 0 or not ceil_mode for m, k, s, p in zip(size, kernel, slide.stride, padding)):
        y = shared(y, prod(kernel))
    else:                                            # windows at the rim count fewer
        count = 1
        for axis, (m, k, s, p) in enumerate(zip(size, kernel, slide.stride, padding)):
            start = lib.arange(y.shape[2 + axis]) * s - p
            low, high = (start, m + p) if count_include_pad else (lib.maximum(start, 0), m)
            count = count * (lib.minimum(start + k, high) - low).reshape(-1, *(1,) * (n - 1 - axis))
        y = shared(y, wrap(count.astype(y.array.dtype)))
    return without_batch(y, single)


def shared(total, count):
    """total / count, rounded towards zero for integers, as PyTorch's kernels do."""
    if total.dtype.is_floating_point:
        return total * (1 / count) if isinstance(count, int) else total / count
    return (total / count).trunc().to(total.dtype)


@composed(home="functional")
def max_pool1d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """The maximum of every window: (N, C, L) or (C, L); stride defaults to kernel_size.

    return_indices: also where each maximum was found (the first of equals).
    """
    return max_pool("max_pool1d", 1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


@composed(home="functional")
def max_pool2d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """The maximum of every window: (N, C, H, W) or (C, H, W); stride defaults to kernel_size.

    ceil_mode keeps a last, partial window.  return_indices: also where in the flattened image each maximum was found.
    """
    return max_pool("max_pool2d", 2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


@composed(home="functional")
def max_pool3d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """The maximum of every window: (N, C, D, H, W) or (C, D, H, W)."""
    return max_pool("max_pool3d", 3, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


@composed(home="torch functional", method=False)
def avg_pool1d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    """The mean of every window: (N, C, L) or (C, L); count_include_pad counts the zeros of the padding."""
    return avg_pool("avg_pool1d", 1, input, kernel_size, stride, padding, ceil_mode, count_include_pad, None)


@composed(home="functional")
def avg_pool2d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None):
    """The mean of every window: (N, C, H, W) or (C, H, W); divisor_override replaces the count of numbers."""
    return avg_pool("avg_pool2d", 2, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


@composed(home="functional")
def avg_pool3d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None):
    """The mean of every window: (N, C, D, H, W) or (C, D, H, W)."""
    return avg_pool("avg_pool3d", 3, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


HOMES["torch"].update({f.__name__: f for f in (max_pool1d, max_pool2d, max_pool3d)})        # there without return_indices

max_pool1d.case(distinct(2, 3, 6), 2)
max_pool1d.case(distinct(3, 7), 3, 2, 1, return_indices=True)
max_pool1d.case(distinct(2, 3, 7), 2, 3, 0, 2, True)
max_pool2d.case(distinct(2, 3, 6, 4), 2)
max_pool2d.case(distinct(2, 3, 5, 7), (3, 2), (2, 1), (1, 0), return_indices=True)
max_pool2d.case(distinct(3, 7, 6), 3, 2, 1, (1, 2), True, True)
max_pool2d.case(distinct(1, 2, 5, 5), kernel_size=2, stride=3)
max_pool3d.case(distinct(1, 2, 4, 4, 4), 2)
max_pool3d.case(distinct(2, 3, 5, 4), (1, 3, 2), 2, (0, 1, 1), return_indices=True)
max_pool3d.case(distinct(1, 2, 3, 5, 3), 2, ceil_mode=True)
avg_pool1d.case(normal(2, 3, 6), 2)
avg_pool1d.case(normal(3, 7), 3, 2, 1, count_include_pad=False)
avg_pool1d.case(normal(2, 3, 7), 3, 2, 1, True)
avg_pool2d.case(normal(2, 3, 6, 4), 2)
avg_pool2d.case(normal(2, 3, 5, 7), (3, 2), (2, 1), (1, 0), count_include_pad=False)
avg_pool2d.case(normal(3, 8, 6), 3, 2, 1, True)
avg_pool2d.case(normal(3, 6, 6), 2, divisor_override=3)
avg_pool3d.case(normal(1, 2, 4, 4, 4), 2)
avg_pool3d.case(normal(2, 3, 5, 4), (1, 3, 2), 2, (0, 1, 1))
avg_pool3d.case(normal(1, 2, 3, 5, 3), 2, ceil_mode=True, divisor_override=5)
