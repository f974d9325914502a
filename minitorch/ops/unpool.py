"""Max pooling undone, max pooling with windows at random places, and poolings by their names with indices."""
from math import prod

import numpy as np

from .. import backend, dtypes
from ..autograd.op import HOMES, composed, op
from ..backend import to_numpy, xp
from ..cases import distinct, normal
from ..tensor import Tensor, wrap
from .adaptive import gather_places
from .creation import require_tensor
from .pool import without_batch
from .random import rand
from .windows import per_axis


# ---- undone ---------------------------------------------------------------------------------------------------

@op(numbers="half", home="", called="max_unpool")
def put_places(input, index, /, size):
    """Zeros (N, C, *size) in which input[n, c, ...] stands at index[n, c, ...], counted in the flattened spatial axes."""
    lib, (N, C) = xp(input), input.shape[:2]
    y = lib.zeros((N * C, prod(size)), input.dtype)
    y[lib.arange(N * C).reshape(-1, 1), index.reshape(N * C, -1)] = input.reshape(N * C, -1)
    return y.reshape(N, C, *size)

put_places.vjp(lambda g, index: gather_places(g, index))
put_places.case(normal(2, 1, 3), np.array([[[4, 0, 1]], [[2, 3, 0]]]), (5,))
put_places.case(normal(1, 2, 2, 1), np.array([[[[4], [0]], [[5], [2]]]]), (2, 3))


def max_unpool(name, n, input, indices, kernel_size, stride, padding, output_size):
    """(N, C, *any) or (C, *any) put where `indices` say, into zeros of the size that pooling started from."""
    require_tensor(input, name)
    if not isinstance(indices, Tensor):
        raise TypeError(f"{name}(): argument 'indices' must be Tensor, not {type(indices).__name__}")
    if indices.dtype is not dtypes.int64:
        raise RuntimeError(f"elements in indices should be type int64 but got: {indices.dtype}")
    if input.ndim not in (n + 1, n + 2):
        raise RuntimeError(f"Input to {name} should be a {n + 1}d or {n + 2}d Tensor, but got a tensor with {input.ndim} dimensions")
    if input.shape != indices.shape:
        raise RuntimeError(f"Expected shape of indices to be: {list(input.shape)} but got: {list(indices.shape)}")
    kernel, padding = per_axis(kernel_size, n, "kernel_size"), per_axis(padding, n, "padding")
    stride = kernel if stride is None else per_axis(stride, n, "stride")
    usual = [(m - 1) * s + k - 2 * p for m, s, k, p in zip(input.shape[-n:], stride, kernel, padding)]
    size = usual
    if output_size is not None:
        size = list(output_size)[-n:]
        if len(output_size) not in (n, n + 2):
            raise ValueError(f"output_size should be a sequence containing {n} or {n + 2} elements, but it has a length of '{len(output_size)}'")
        for d, (m, u, s) in enumerate(zip(size, usual, stride)):
            if not u - s < m < u + s:
                raise ValueError(f'invalid output_size "{tuple(size)}" (dim {d} must be between {u - s} and {u + s})')
    single = input.ndim == n + 1
    x, places = (input.unsqueeze(0), indices.unsqueeze(0)) if single else (input, indices)
    if places.numel() and not 0 <= int(places.min()) <= int(places.max()) < prod(size):
        wrong = int(places.max()) if int(places.min()) >= 0 else int(places.min())
        raise RuntimeError(f"Found an invalid max index: {wrong} (output volumes are of size {'x'.join(map(str, size))})")
    return without_batch(put_places(x, places, tuple(size)), single)


@composed(home="functional")
def max_unpool1d(input, indices, kernel_size, stride=None, padding=0, output_size=None):
    """max_pool1d undone: each number where its index says, zeros elsewhere."""
    return max_unpool("max_unpool1d", 1, input, indices, kernel_size, stride, padding, output_size)


@composed(home="functional")
def max_unpool2d(input, indices, kernel_size, stride=None, padding=0, output_size=None):
    """max_pool2d undone: each number where its index says, zeros elsewhere; output_size: one of several sizes that pooling could have had."""
    return max_unpool("max_unpool2d", 2, input, indices, kernel_size, stride, padding, output_size)


@composed(home="functional")
def max_unpool3d(input, indices, kernel_size, stride=None, padding=0, output_size=None):
    """max_pool3d undone: each number where its index says, zeros elsewhere."""
    return max_unpool("max_unpool3d", 3, input, indices, kernel_size, stride, padding, output_size)


max_unpool1d.case(normal(1, 2, 3), np.array([[[1, 2, 5], [0, 3, 4]]]), 2)
max_unpool2d.case(normal(1, 2, 2), np.array([[[0, 3], [9, 14]]]), 2)
max_unpool2d.case(normal(1, 1, 2, 2), np.array([[[[0, 3], [12, 24]]]]), 2, output_size=(5, 5))
max_unpool3d.case(normal(1, 1, 1, 2, 1), np.array([[[[[1], [7]]]]]), 2)


# ---- windows at random places (Graham 2014) --------------------------------------------------------------------

def starts(sample, n, m, k):
    """Where m windows of k places begin among n, for random numbers `sample`, NumPy arrays: (N, C) -> (N, C, m)."""
    i = np.arange(m)
    step = (n - k) / (m - 1) if m > 1 else 0.0
    step = sample.dtype.type(step)
    first = ((i.astype(sample.dtype) + sample[..., None]) * step).astype("i8") - (sample * step).astype("i8")[..., None]
    first[..., -1] = n - k
    return first


def fractional_max_pool(name, n, input, kernel_size, output_size, output_ratio, return_indices, samples):
    require_tensor(input, name)
    if output_size is None and output_ratio is None:
        raise ValueError(f"{name} requires specifying either an output_size or an output_ratio")
    if input.ndim not in (n + 1, n + 2):
        raise RuntimeError(f"{name}: Expected {n + 1}D or {n + 2}D tensor, but got: {list(input.shape)}")
    if samples is not None and samples.requires_grad:
        raise RuntimeError(f"The function '{name}' is not differentiable with respect to argument 'random_samples'.")
    kernel = per_axis(kernel_size, n, "kernel_size")
    if output_size is None:
        ratios = (output_ratio,) * n if isinstance(output_ratio, float) else tuple(output_ratio)
        output_size = [int(m * r) for m, r in zip(input.shape[-n:], ratios)]
    out, single = per_axis(output_size, n, "output_size"), input.ndim == n + 1
    x = input.unsqueeze(0) if single else input
    spatial = x.shape[2:]
    if any(m + k - 1 + (n == 3) > size or m < 1 for m, k, size in zip(out, kernel, spatial)):       # PyTorch's bound, stricter for volumes
        raise RuntimeError(f"{name}: output of {list(out)} windows of {list(kernel)} is too large for an input of {list(spatial)}")
    N, C = x.shape[:2]
    if samples is None:
        samples = rand(N, C, n, dtype=input.dtype)
    elif samples.dtype is not input.dtype:
        raise RuntimeError("Expect _random_samples to have the same dtype as input")
    elif samples.ndim != 3 or samples.shape[0] < N or tuple(samples.shape[1:]) != (C, n):
        raise RuntimeError(f"Expect _random_samples of shape {[N, C, n]} for the input's batch and channels, but got {list(samples.shape)}")
    samples = to_numpy(samples.array)[:N]
    order = range(n) if n == 3 else reversed(range(n))                             # in two dimensions the width comes first
    flat = 0
    for axis, which in enumerate(order):
        at = starts(samples[..., which], spatial[axis], out[axis], kernel[axis])[..., None] + np.arange(kernel[axis])
        at = at.reshape(*x.shape[:2], *[1] * axis, out[axis], *[1] * (n - 1 - axis), *[1] * axis, kernel[axis], *[1] * (n - 1 - axis))
        flat = flat * spatial[axis] + at
    flat = np.ascontiguousarray(flat.reshape(*x.shape[:2], *out, prod(kernel)))
    places = wrap(backend.move(flat, input.device))
    y, which = gather_places(x, places).max(-1)
    if not return_indices:
        return without_batch(y, single)
    return without_batch(y, single), without_batch(places.gather(-1, which.unsqueeze(-1)).squeeze(-1), single)


@composed(home="functional")
def fractional_max_pool2d(input, kernel_size, output_size=None, output_ratio=None, return_indices=False, _random_samples=None):
    """Maxima of windows whose places are drawn at random, so many that (N, C, H, W) becomes output_size, or output_ratio times its size."""
    return fractional_max_pool("fractional_max_pool2d", 2, input, kernel_size, output_size, output_ratio, return_indices, _random_samples)


@composed(home="functional")
def fractional_max_pool3d(input, kernel_size, output_size=None, output_ratio=None, return_indices=False, _random_samples=None):
    """Maxima of windows whose places are drawn at random, so many that (N, C, D, H, W) becomes output_size."""
    return fractional_max_pool("fractional_max_pool3d", 3, input, kernel_size, output_size, output_ratio, return_indices, _random_samples)


# Sizes for which there is no choice: the windows are a whole number of places apart.
fractional_max_pool2d.case(distinct(1, 2, 7, 9), 3, (3, 4))
fractional_max_pool2d.case(distinct(1, 6, 5), (2, 3), output_ratio=(0.5, 0.61), return_indices=True)
fractional_max_pool3d.case(distinct(1, 1, 5, 4, 6), 2, (2, 2, 3))


# ---- by their names with indices --------------------------------------------------------------------------------

def with_indices(f):
    """`f` with return_indices=True."""
    def function(*args, **kwargs):
        return f(*args, **{**kwargs, "return_indices": True})
    function.__name__, function.__doc__ = f.__name__ + "_with_indices", f"{f.__name__} and where each maximum was found."
    return function


for _name in ("max_pool1d", "max_pool2d", "max_pool3d", "adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d",
              "fractional_max_pool2d", "fractional_max_pool3d"):
    HOMES["functional"][_name + "_with_indices"] = with_indices(HOMES["functional"][_name])
