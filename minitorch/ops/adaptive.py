"""Pooling to a given size: bin i of m over n numbers runs from floor(i n / m) to ceil((i + 1) n / m).

Also pooling by powers, between the mean and the maximum.
"""
from itertools import product
from math import prod
from operator import index as whole_number

from ..autograd.op import composed, keep, op
from ..backend import xp
from ..cases import distinct, integers, normal, positive
from ..tensor import Tensor
from .pool import avg_pool, prepare, without_batch
from .reduce import mean
from .windows import Slide
from .winners import argmax_over_windows, max_over_windows


def bins(lib, n, m):
    """(first index, length) of each of m bins over n numbers."""
    i = lib.arange(m)
    start = i * n // max(m, 1)
    return start, -(-(i + 1) * n // max(m, 1)) - start


def slices(n, m):
    """The bins as slices.  They are added up one by one, for a product with zeros elsewhere would carry a NaN from bin to bin."""
    return [slice(i * n // m, -(-(i + 1) * n // m)) for i in range(m)]


@op(numbers="half", home="")
def mean_over_bins(input, /, size):
    """The mean of each bin: (N, C, *any) -> (N, C, *size)."""
    lib, y = xp(input), input
    for axis, m in enumerate(size, 2):
        x = lib.ascontiguousarray(lib.moveaxis(y, axis, 0))
        y = lib.empty((m, *x.shape[1:]), x.dtype)
        for out, part in zip(y, slices(len(x), m)):
            x[part].sum(0, out=out)
            out /= part.stop - part.start
        y = lib.moveaxis(y, 0, axis)
    return lib.ascontiguousarray(y)


@op(numbers="half", home="")
def spread_over_bins(input, /, size):
    """The transpose of mean_over_bins: (N, C, *any) -> (N, C, *size)."""
    lib, y = xp(input), input
    for axis, n in enumerate(size, 2):
        x = lib.ascontiguousarray(lib.moveaxis(y, axis, 0))
        y = lib.zeros((n, *x.shape[1:]), x.dtype)
        for one, part in zip(x, slices(n, len(x))):
            y[part] += one / (part.stop - part.start)
        y = lib.moveaxis(y, 0, axis)
    return lib.ascontiguousarray(y)


mean_over_bins.vjp(lambda g, input_shape: spread_over_bins(g, input_shape[2:]))
spread_over_bins.vjp(lambda g, input_shape: mean_over_bins(g, input_shape[2:]))
mean_over_bins.case(normal(2, 3, 5, 7), (3, 4))
mean_over_bins.case(normal(2, 3, 5), (7,))
spread_over_bins.case(normal(2, 3, 3, 4), (5, 7))


def largest(input, size):
    """(the maximum of each bin, its index in the flattened spatial axes; the first of equals)."""
    lib, spatial = xp(input), input.shape[2:]
    axes = []
    for n, m in zip(spatial, size):
        start, length = bins(lib, n, m)
        taps = int(length.max()) if m else 0
        axes.append([start + lib.minimum(t, length - 1) for t in range(taps)])      # short bins see their last number again
    x, y, index = input.reshape(*input.shape[:2], prod(spatial)), None, None
    for places in product(*axes):
        flat = 0
        for axis, (place, n) in enumerate(zip(places, spatial)):
            flat = flat * n + place.reshape(-1, *(1,) * (len(size) - 1 - axis))
        here = x[:, :, flat]
        if y is None:
            y, index = here, lib.broadcast_to(flat, here.shape)
        else:
            better = (here > y) | (here != here)       # the last of several NaN, as in PyTorch
            y, index = lib.where(better, here, y), lib.where(better, flat, index)
    if y is None:
        y = lib.zeros((*input.shape[:2], *size), input.dtype)
        index = y.astype("i8")
    return y, index


@op(numbers="half", home="")
def max_over_bins(input, /, size):
    """The maximum of each bin: (N, C, *any) -> (N, C, *size)."""
    y, index = largest(input, size)
    return keep(y, index=index)


@op(home="", differentiable=False)
def argmax_over_bins(input, /, size):
    """Where max_over_bins found each maximum, in the flattened spatial axes."""
    return xp(input).ascontiguousarray(largest(input, size)[1])


@op(numbers="half", home="")
def gather_places(input, other, /):
    """y[n, c, ...] = x[n, c, other[n, c, ...]], x with its spatial axes flattened."""
    lib = xp(input)
    x = input.reshape(*input.shape[:2], prod(input.shape[2:]))
    return lib.take_along_axis(x, other.reshape(*x.shape[:2], prod(other.shape[2:])), 2).reshape(other.shape)


@op(numbers="half", home="")
def scatter_places(input, index, /, size):
    """The transpose of gather_places: adds (N, C, ...) up into zeros (N, C, *size)."""
    lib, (N, C), places = xp(input), input.shape[:2], prod(size)
    offset = lib.arange(N * C).reshape(N, C, *(1,) * (input.ndim - 2)) * places
    total = lib.bincount((index + offset).ravel(), input.ravel(), N * C * places)
    return total.astype(input.dtype).reshape(N, C, *size)


max_over_bins.vjp(lambda g, input_shape, index: scatter_places(g, index, input_shape[2:]))
gather_places.vjp(lambda g, input_shape, other: scatter_places(g, other, size=input_shape[2:]))
scatter_places.vjp(lambda g, index: gather_places(g, index))
for case in (max_over_bins.case, argmax_over_bins.case):
    case(distinct(2, 3, 5, 7), (3, 4))
    case(distinct(2, 3, 5), (7,))
gather_places.case(normal(2, 3, 4, 5), integers(2, 3, 3, 2, high=20))
scatter_places.case(normal(2, 3, 3, 2), integers(2, 3, 3, 2, high=20), (4, 5))


# ---- the public functions -------------------------------------------------------------------------------

def whole(m):
    try:
        return whole_number(m)
    except TypeError:
        raise TypeError(f"argument 'output_size' must be an int or a tuple of ints, not {m!r}") from None


def adapt(name, n, input, output_size):
    """(input with a batch axis, whether it had none, the sizes asked for)."""
    if not isinstance(input, Tensor):
        raise TypeError(f"{name}(): argument 'input' must be Tensor, not {type(input).__name__}")
    size = tuple(output_size) if isinstance(output_size, (tuple, list)) else (output_size,) * n
    if n > 1 and isinstance(output_size, (tuple, list)) and input.ndim <= len(size):
        raise ValueError(f"Input dimension should be at least {len(size) + 1}")
    if len(size) != n:
        raise RuntimeError(f"{name}: output_size must be {n}")
    if input.ndim not in (n + 1, n + 2):
        raise RuntimeError(f"{name}(): Expected {n + 1}D or {n + 2}D tensor, but got {list(input.shape)}")
    if 0 in input.shape[-n:]:
        raise RuntimeError(f"{name}(): Expected input to have non-zero size for non-batch dimensions, but input has sizes {list(input.shape)}")
    size = tuple(input.shape[-n + i] if m is None else whole(m) for i, m in enumerate(size))
    if min(size) < 0:
        raise RuntimeError(f"{name}: elements of output_size must be greater than or equal to 0, but received {list(size)}")
    single = input.ndim == n + 1
    return input.reshape((1, *input.shape)) if single else input, single, size


def even_bins(size, out):
    """The size of each bin along every axis, where all are of one size and apart; else None."""
    return tuple(n // m for n, m in zip(size, out)) if 0 not in out and not any(n % m for n, m in zip(size, out)) else None


def adaptive_avg_pool(name, n, input, output_size):
    input, single, size = adapt(name, n, input, output_size)
    if not input.dtype.is_floating_point:
        raise NotImplementedError(f'"{name}" not implemented for \'{input.dtype.name}\'')
    kernel = even_bins(input.shape[2:], size)
    if kernel and kernel == input.shape[2:]:
        return without_batch(mean(input, tuple(range(2, 2 + n)), True), single)
    if kernel:
        return without_batch(avg_pool(name, n, input, kernel, kernel, 0, False, True, None), single)
    return without_batch(mean_over_bins(input, size), single)


def adaptive_max_pool(name, n, input, output_size, return_indices):
    input, single, size = adapt(name, n, input, output_size)
    kernel = even_bins(input.shape[2:], size)
    kinds, window = (max_over_bins, argmax_over_bins), (size,)
    if kernel:
        kinds, window = (max_over_windows, argmax_over_windows), (kernel, Slide(kernel, ((0, 0),) * n, (1,) * n))
    y, *places = [without_batch(f(input, *window), single) for f in kinds[:1 + return_indices]]
    return (y, *places) if return_indices else y


@composed(home="torch functional", method=False)
def adaptive_avg_pool1d(input, output_size):
    """Means over as many bins as asked for: (N, C, L) or (C, L) -> (N, C, output_size)."""
    return adaptive_avg_pool("adaptive_avg_pool1d", 1, input, output_size)


@composed(home="functional")
def adaptive_avg_pool2d(input, output_size):
    """Means over bins: (N, C, H, W) -> (N, C, *output_size); an int is both sizes, None keeps one."""
    return adaptive_avg_pool("adaptive_avg_pool2d", 2, input, output_size)


@composed(home="functional")
def adaptive_avg_pool3d(input, output_size):
    """Means over bins: (N, C, D, H, W) -> (N, C, *output_size)."""
    return adaptive_avg_pool("adaptive_avg_pool3d", 3, input, output_size)


@composed(home="functional")
def adaptive_max_pool1d(input, output_size, return_indices=False):
    """Maxima over as many bins as asked for: (N, C, L) or (C, L) -> (N, C, output_size)."""
    return adaptive_max_pool("adaptive_max_pool1d", 1, input, output_size, return_indices)


@composed(home="functional")
def adaptive_max_pool2d(input, output_size, return_indices=False):
    """Maxima over bins: (N, C, H, W) -> (N, C, *output_size); return_indices: also their places in the flattened image."""
    return adaptive_max_pool("adaptive_max_pool2d", 2, input, output_size, return_indices)


@composed(home="functional")
def adaptive_max_pool3d(input, output_size, return_indices=False):
    """Maxima over bins: (N, C, D, H, W) -> (N, C, *output_size)."""
    return adaptive_max_pool("adaptive_max_pool3d", 3, input, output_size, return_indices)


def lp_pool(name, n, input, norm_type, kernel_size, stride, ceil_mode):
    """(sum over each window of x^p)^(1/p)."""
    _, _, kernel, _ = prepare(name, n, input, kernel_size, stride, 0, 1, ceil_mode)
    mean = avg_pool(name, n, input.pow(norm_type), kernel_size, stride, 0, ceil_mode, True, None)
    return (mean.sign() * mean.abs().relu() * prod(kernel)).pow(1.0 / norm_type)


@composed(home="functional")
def lp_pool1d(input, norm_type, kernel_size, stride=None, ceil_mode=False):
    """(sum over each window of x^p)^(1/p), p = norm_type: (N, C, L)."""
    return lp_pool("lp_pool1d", 1, input, norm_type, kernel_size, stride, ceil_mode)


@composed(home="functional")
def lp_pool2d(input, norm_type, kernel_size, stride=None, ceil_mode=False):
    """(sum over each window of x^p)^(1/p), p = norm_type: (N, C, H, W)."""
    return lp_pool("lp_pool2d", 2, input, norm_type, kernel_size, stride, ceil_mode)


@composed(home="functional")
def lp_pool3d(input, norm_type, kernel_size, stride=None, ceil_mode=False):
    """(sum over each window of x^p)^(1/p), p = norm_type: (N, C, D, H, W)."""
    return lp_pool("lp_pool3d", 3, input, norm_type, kernel_size, stride, ceil_mode)


adaptive_avg_pool1d.case(normal(2, 3, 6), 3)
adaptive_avg_pool1d.case(normal(3, 7), 4)
adaptive_avg_pool1d.case(normal(2, 3, 5), 8)
adaptive_avg_pool2d.case(normal(2, 3, 6, 4), 2)
adaptive_avg_pool2d.case(normal(2, 3, 5, 7), (3, None))
adaptive_avg_pool2d.case(normal(3, 5, 4), (1, 1))
adaptive_avg_pool3d.case(normal(1, 2, 4, 5, 3), (2, 3, None))
adaptive_avg_pool3d.case(normal(2, 4, 2, 4), 2)
adaptive_avg_pool3d.case(normal(2, 4, 2, 4), (1, 2, 3))

adaptive_max_pool1d.case(distinct(2, 3, 6), 3)
adaptive_max_pool1d.case(distinct(3, 7), 4)
adaptive_max_pool1d.case(distinct(2, 3, 5), 8, return_indices=True)
adaptive_max_pool2d.case(distinct(2, 3, 6, 4), 2)
adaptive_max_pool2d.case(distinct(2, 3, 5, 7), (3, None), True)
adaptive_max_pool2d.case(distinct(3, 5, 4), (1, 1))
adaptive_max_pool3d.case(distinct(1, 2, 4, 5, 3), (2, 3, None))
adaptive_max_pool3d.case(distinct(2, 4, 2, 4), 2, return_indices=True)
adaptive_max_pool3d.case(distinct(2, 4, 2, 4), (1, 2, 3))
lp_pool1d.case(positive(2, 3, 6), 2, 3)
lp_pool1d.case(positive(3, 7), 3.0, 2, 1)
lp_pool1d.case(positive(2, 3, 7), 1.5, 3, 2, True)
lp_pool2d.case(positive(2, 3, 6, 4), 2, 2)
lp_pool2d.case(positive(3, 5, 4), 3.0, (2, 1), (1, 2))
lp_pool2d.case(positive(1, 2, 5, 5), 2, 2, ceil_mode=True)
lp_pool3d.case(positive(1, 2, 4, 4, 4), 2, 2)
lp_pool3d.case(positive(2, 3, 4, 5), 3.0, (1, 2, 2))
lp_pool3d.case(positive(1, 2, 3, 3, 3), 2, 2, 1)
