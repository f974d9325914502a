"""Pooling: the maximum or the mean of what a sliding window sees.

A sum over windows is taken along one axis after the other, K array operations for K taps of an axis, on a few images at a time.
"""
from math import prod

from ..autograd.op import HOMES, composed, op
from ..backend import xp
from ..blocks import by_slices
from ..cases import distinct, normal
from ..tensor import Tensor, wrap
from .windows import Slide, of_kernel, overlap, padded, per_axis, tiles
from .winners import argmax_over_windows, max_over_windows


# ---- sum and mean ---------------------------------------------------------------------------------------

@op(numbers="half", home="")
def sum_windows(input, /, kernel, slide, divisor=1):
    """The sum of what every window sees, divided by a number: (N, C, *size) -> (N, C, *positions), one axis after the other."""
    lib, out = xp(input), slide.positions(input.shape[2:], kernel)
    if sees_all(input.shape[2:], kernel, slide):
        y = input.reshape(-1, prod(kernel)).sum(axis=1, dtype=input.dtype).reshape(input.shape[:2] + out)
        return y / divisor if divisor != 1 else y
    y = lib.empty(input.shape[:2] + out, input.dtype)

    def add(some):
        x = padded(input[some], slide.padding)
        for axis, (k, s, d, m) in enumerate(zip(kernel, slide.stride, slide.dilation, out), 2):
            lead, last = (slice(None),) * axis, axis == len(out) + 1
            total = y[some] if last else lib.empty((*x.shape[:axis], m, *x.shape[axis + 1:]), x.dtype)
            parts = [x[(*lead, slice(d * i, d * i + s * (m - 1) + 1, s))] for i in range(k)]
            if k == 1:
                total[...] = parts[0]
            else:
                lib.add(parts[0], parts[1], out=total)
            for part in parts[2:]:
                total += part
            x = total
        if divisor != 1:
            x /= divisor
    by_slices(add, input)
    return y


@sum_windows.loop("pool", least=10000)
def _(pool, input, kernel, slide, divisor=1):
    if sees_all(input.shape[2:], kernel, slide):
        return NotImplemented
    return pool.sum_windows(input, slide.positions(input.shape[2:], kernel), kernel, slide, divisor)


@op(numbers="half", home="")
def spread_windows(input, /, size, kernel, slide, divisor=1):
    """The transpose of sum_windows: every number, divided, is added to all that its window sees."""
    lib = xp(input)
    if sees_all(size, kernel, slide):
        input = input / divisor if divisor != 1 else input
        return lib.array(lib.broadcast_to(input, input.shape[:2] + tuple(size)))
    y = lib.empty(input.shape[:2] + tuple(size), input.dtype)

    def spread(some):
        x = input[some] / divisor if divisor != 1 else input[some]
        for axis in range(len(size) + 1, 1, -1):
            k, s, d, m = kernel[axis - 2], slide.stride[axis - 2], slide.dilation[axis - 2], x.shape[axis]
            lead = (slice(None),) * axis
            n = size[axis - 2] + sum(slide.padding[axis - 2])
            full = s == k and d == 1 and n == k * m
            room = (lib.empty if full else lib.zeros)((*x.shape[:axis], n, *x.shape[axis + 1:]), x.dtype)
            for i in range(k):
                if full:
                    room[(*lead, slice(i, None, s))] = x
                else:
                    room[(*lead, slice(d * i, d * i + s * (m - 1) + 1, s))] += x
            x = room
        y[some] = padded(x, tuple((-a, -b) for a, b in slide.padding))
    by_slices(spread, y)
    return y


@spread_windows.loop("pool", least=2500)
def _(pool, input, size, kernel, slide, divisor=1):
    return NotImplemented if sees_all(size, kernel, slide) else pool.spread_windows(input, tuple(size), kernel, slide, divisor)


def sees_all(size, kernel, slide):
    """Whether there is one window, which sees the whole image and nothing else."""
    return tuple(size) == tuple(kernel) and not any(a or b for a, b in slide.padding) and set(slide.dilation) == {1}


sum_windows.vjp(lambda g, input_shape, kernel, slide, divisor: spread_windows(g, input_shape[2:], kernel, slide, divisor))
spread_windows.vjp(lambda g, kernel, slide, divisor: sum_windows(g, kernel, slide, divisor))


@sum_windows.kernel("pool")
def _(kernels, input, kernel, slide, divisor=1):
    if input.ndim != 4 or not plain_windows(slide):
        return NotImplemented
    window, stride, padding, _, ceil = of_kernel(kernel, slide)
    y = kernels.avg_pool2d(input, window, stride, padding, ceil, divisor_override=divisor)
    return y if y.shape[2:] == slide.positions(input.shape[2:], kernel) else NotImplemented


@spread_windows.kernel("pool")
def _(kernels, input, size, kernel, slide, divisor=1):
    if input.ndim != 4 or not plain_windows(slide) or any(b > a for a, b in slide.padding):
        return NotImplemented
    window, stride, padding, _, _ = of_kernel(kernel, slide)
    return kernels.avg_pool2d_backward(input, (*input.shape[:2], *size), window, stride, padding, divisor_override=divisor)


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
    size, lib = input.shape[2:], xp(input.array)
    whole = (count_include_pad or not any(padding)) and \
        all(hang(m, k, s, p, 1) == 0 or not ceil_mode for m, k, s, p in zip(size, kernel, slide.stride, padding))
    if divisor_override or whole:
        return without_batch(mean_windows(input, kernel, slide, divisor_override or prod(kernel)), single)
    y, count = sum_windows(input, kernel, slide), 1
    for axis, (m, k, s, p) in enumerate(zip(size, kernel, slide.stride, padding)):            # windows at the rim count fewer
        start = lib.arange(y.shape[2 + axis]) * s - p
        low, high = (start, m + p) if count_include_pad else (lib.maximum(start, 0), m)
        count = count * (lib.minimum(start + k, high) - low).reshape(-1, *(1,) * (n - 1 - axis))
    y = shared(y, wrap(count.astype(y.array.dtype)))
    return without_batch(y, single)


def mean_windows(input, kernel, slide, count):
    """The sum of what each window sees over one count for all."""
    if input.dtype.is_floating_point:
        return sum_windows(input, kernel, slide, count)
    return shared(sum_windows(input, kernel, slide), count)


def shared(total, count):
    """total / count, rounded towards zero for integers, as PyTorch's kernels do."""
    y = total / count
    return y if total.dtype.is_floating_point else y.trunc().to(total.dtype)


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
