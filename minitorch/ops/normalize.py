"""The normalisations of networks: batch, layer, group, instance, RMS; and normalising to length 1."""
from math import prod

import numpy as np

from .. import dtypes
from ..autograd.mode import no_grad
from ..autograd.op import composed
from ..cases import normal
from ..tensor import Tensor
from .pool import mean_windows
from .standardize import normalize_batch, per_channel, scale_and_shift
from .standardize_rows import normalize_layer
from .windows import Slide


def require_float(name, input, *others):
    """TypeError for what is no tensor, NotImplementedError for integers, RuntimeError for parameters of another dtype."""
    if not isinstance(input, Tensor):
        raise TypeError(f"{name}(): argument 'input' must be Tensor, not {type(input).__name__}")
    if not input.dtype.is_floating_point:
        raise NotImplementedError(f'"{name}" not implemented for \'{input.dtype.name}\'')
    for t in others:
        if t is not None and t.dtype is not input.dtype and not (t.dtype is dtypes.float32 and dtypes.is_half(input.array.dtype)):
            raise RuntimeError(f"{name}: mixed dtype: expect parameter to have scalar type of {input.dtype.name}, but it has {t.dtype.name}")


def written_to(*buffers):
    """Count a write to each buffer."""
    for b in buffers:
        b.counter[0] = list.__getitem__(b.counter, 0) + 1


@composed(home="functional")
def batch_norm(input, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5):
    """(x - mean) / sqrt(var + eps) * weight + bias for each channel of (N, C, ...) (Ioffe & Szegedy 2015).

    training: with the batch's own mean and variance, towards which running_mean and running_var are moved by the share
    `momentum`; otherwise with these two.  ValueError for a batch of one value per channel.
    """
    require_float("batch_norm", input, weight, bias)
    if input.ndim < 2:
        raise IndexError(f"Dimension out of range (expected to be in range of [{-input.ndim}, {input.ndim - 1}], but got 1)")
    C = input.shape[1]
    for name, t in (("running_mean", running_mean), ("running_var", running_var), ("weight", weight), ("bias", bias)):
        if t is not None and t.array.size != C:
            raise RuntimeError(f"{name} should contain {C} elements not {t.array.size}")
    if not input.array.size:                         # nothing to normalise, no statistics to move
        return by_channel(input, weight, bias)
    if training:
        if prod(input.shape) // max(C, 1) == 1:
            raise ValueError(f"Expected more than 1 value per channel when training, got input size {input.shape}")
        if (running_mean is None) != (running_var is None):
            raise ValueError("running_mean and running_var must either both be None or neither be None")
        if running_mean is None:
            return normalize_batch(input, weight, bias, eps=eps)
        y = normalize_batch(input, weight, bias, eps=eps, running=(running_mean.array, running_var.array, momentum))
        written_to(running_mean, running_var)
        return y
    for name, t in (("running_mean", running_mean), ("running_var", running_var)):
        if t is None:
            raise RuntimeError(f"{name} must be defined in evaluation mode")
    mean, scale = running_mean.detach(), (running_var.detach() + eps).rsqrt()
    scale = scale if weight is None else scale * weight
    shift = -mean * scale if bias is None else bias - mean * scale
    return scale_and_shift(input, per_channel(scale, input.ndim), per_channel(shift, input.ndim))


def check_layer(name, input, normalized_shape, weight, bias=None, error=RuntimeError):
    """The sizes to normalise over as a tuple; PyTorch's refusals, `error` for an input of too few axes."""
    if isinstance(normalized_shape, int) or not hasattr(normalized_shape, "__iter__"):
        raise TypeError(f"{name}(): argument 'normalized_shape' must be tuple of ints, not {type(normalized_shape).__name__}")
    shape = tuple(normalized_shape)
    if not all([isinstance(n, (int, np.integer)) for n in shape]):
        raise TypeError(f"{name}(): argument 'normalized_shape' must be tuple of ints, not {shape}")
    if not shape:
        raise RuntimeError("Expected normalized_shape to be at least 1-dimensional, i.e., containing at least one element, "
                           "but got normalized_shape = []")
    for label, t in (("weight", weight), ("bias", bias)):
        if t is not None and tuple(t.shape) != shape:
            raise RuntimeError(f"Expected {label} to be of same shape as normalized_shape, but got {label} of shape {list(t.shape)} and "
                               f"normalized_shape = {list(shape)}")
    if tuple(input.shape[-len(shape):]) != shape:
        kind = error if input.ndim < len(shape) else RuntimeError
        raise kind(f"Given normalized_shape={list(shape)}, expected input with shape [*, {', '.join(map(str, shape))}], but got input "
                           f"of size{list(input.shape)}")
    return shape


@composed(home="torch functional", method=False)
def layer_norm(input, normalized_shape, weight=None, bias=None, eps=1e-5):
    """(x - mean) / sqrt(var + eps) * weight + bias over the last axes, of sizes `normalized_shape` (Ba, Kiros & Hinton 2016)."""
    require_float("layer_norm", input, weight, bias)
    shape = check_layer("layer_norm", input, normalized_shape, weight, bias)
    return normalize_layer(input, weight, bias, axes=len(shape), eps=eps)


@composed(home="torch functional", method=False)
def rms_norm(input, normalized_shape, weight=None, eps=None):
    """x / sqrt(mean of x^2 + eps) * weight over the last axes (Zhang & Sennrich 2019); eps defaults to the dtype's."""
    require_float("rms_norm", input)
    shape = check_layer("rms_norm", input, normalized_shape, weight, error=ValueError)
    eps = dtypes.finfo(input.dtype).eps if eps is None else eps
    if weight is not None and weight.dtype is not input.dtype:
        return (normalize_layer(input, axes=len(shape), eps=eps, centre=False) * weight).to(input.dtype)
    return normalize_layer(input, weight, axes=len(shape), eps=eps, centre=False)


@composed(home="functional")
def group_norm(input, num_groups, weight=None, bias=None, eps=1e-5):
    """Each group of channels of (N, C, ...) normalised by itself, then scaled and shifted by channel (Wu & He 2018)."""
    require_float("group_norm", input, weight, bias)
    if input.ndim < 2:
        raise RuntimeError(f"Expected at least 2 dimensions for input tensor but received {input.ndim}")
    N, C, *size = input.shape
    if not isinstance(num_groups, (int, np.integer)):
        raise TypeError(f"group_norm(): argument 'num_groups' must be int, not {type(num_groups).__name__}")
    if num_groups <= 0:
        raise RuntimeError(f"Expected num groups to be greater than 0, got {num_groups}")
    if C % num_groups:
        raise RuntimeError(f"Expected number of channels in input to be divisible by num_groups, but got input of shape {list(input.shape)} "
                           f"and num_groups={num_groups}")
    if N * (C // num_groups) * prod(size) == 1:
        raise ValueError(f"Expected more than 1 value per channel when training, got input size {list(input.shape)}")
    for label, t in (("weight", weight), ("bias", bias)):
        if t is not None and tuple(t.shape) != (C,):
            raise RuntimeError(f"Expected {label} to be a vector of size equal to the number of channels in input, but got {label} of shape "
                               f"{list(t.shape)} and input of shape {list(input.shape)}")
    y = normalize_layer(input.reshape((N * num_groups, C // num_groups * prod(size))), eps=eps).reshape(input.shape)
    return by_channel(y, weight, bias)


def by_channel(y, weight, bias):
    """y * weight + bias for the channels of (N, C, ...)."""
    if weight is not None and bias is not None:
        return scale_and_shift(y, per_channel(weight, y.ndim), per_channel(bias, y.ndim))
    scaled = y if weight is None else y * per_channel(weight, y.ndim)
    return (scaled if bias is None else scaled + per_channel(bias, y.ndim)).to(y.dtype)


@composed(home="functional")
def instance_norm(input, running_mean=None, running_var=None, weight=None, bias=None, use_input_stats=True, momentum=0.1, eps=1e-5):
    """Each channel of each sample of (N, C, ...) normalised by itself (Ulyanov, Vedaldi & Lempitsky 2016).

    use_input_stats=False: with running_mean and running_var, which are moved towards the mean over the batch otherwise.
    """
    require_float("instance_norm", input, weight, bias)
    if not use_input_stats:
        if running_mean is None or running_var is None:
            raise RuntimeError("Expected running_mean and running_var to be defined when use_input_stats is false")
        return batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    N, C, *size = input.shape
    count = prod(size)
    if count == 1:
        raise ValueError(f"Expected more than 1 spatial element when training, got input size {input.shape}")
    for name, t in (("weight", weight), ("bias", bias)):
        if t is not None and tuple(t.shape) != (C,):
            raise RuntimeError(f"{name} should contain {C} elements not {t.array.size}")
    if running_mean is not None:
        with no_grad():
            flat = input.array.reshape(N, C, count)
            for old, new in ((running_mean, flat.mean(axis=2)), (running_var, flat.var(axis=2, ddof=1))):
                old.array[...] = old.array * (1 - momentum) + new.mean(axis=0) * momentum
        written_to(running_mean, running_var)
    y = normalize_layer(input.reshape((N * C, count)), eps=eps).reshape(input.shape)
    return by_channel(y, weight, bias)


@composed(home="functional")
def normalize(input, p=2.0, dim=1, eps=1e-12, out=None):
    """x / max(norm of x along `dim`, eps): vectors of length 1."""
    length = input.norm(p, dim, keepdim=True).clamp_min(eps).expand_as(input)
    return input.div(length, out=out) if out is not None else input / length


@composed(home="functional")
def local_response_norm(input, size, alpha=1e-4, beta=0.75, k=1.0):
    """x / (k + alpha * mean of x^2 over `size` neighbouring channels)^beta (Krizhevsky, Sutskever & Hinton 2012)."""
    if input.ndim < 3:
        raise ValueError(f"Expected 3D or higher dimensionality input (got {input.ndim} dimensions)")
    if not prod(input.shape):
        return input
    N, C, *rest = input.shape
    square = (input * input).reshape((N, 1, C, prod(rest)))
    slide = Slide((1, 1), ((size // 2, (size - 1) // 2), (0, 0)), (1, 1))
    near = mean_windows(square, (size, 1), slide, size).reshape(input.shape)
    return input / (near * alpha + k) ** beta


batch_norm.case(normal(4, 3), None, None, normal(3), normal(3), True)
batch_norm.case(normal(2, 3, 4), None, None, None, None, True, 0.1, 1e-3)
batch_norm.case(normal(2, 3, 2, 2), None, None, normal(3), training=True)
layer_norm.case(normal(4, 3), (3,), normal(3), normal(3))
layer_norm.case(normal(2, 3, 4), [3, 4], normal(3, 4), None, 1e-3)
layer_norm.case(normal(2, 3, 4), (4,))
rms_norm.case(normal(4, 3), (3,), normal(3))
rms_norm.case(normal(2, 3, 4), [3, 4], eps=1e-2)
rms_norm.case(normal(2, 3, 4), (4,))
group_norm.case(normal(2, 6, 4), 3, normal(6), normal(6))
group_norm.case(normal(3, 4, 5), 2, normal(4), None, 1e-3)
group_norm.case(normal(2, 4, 2, 3), 1)
instance_norm.case(normal(2, 3, 5), None, None, normal(3), normal(3))
instance_norm.case(normal(2, 3, 2, 2), None, None, None, normal(3))
instance_norm.case(normal(2, 3, 2, 3), eps=1e-3)
normalize.case(normal(3, 4))
normalize.case(normal(2, 3, 4), 1.0, -1)
normalize.case(normal(3, 4), dim=0, eps=2.0)
local_response_norm.case(normal(2, 5, 3), 3)
local_response_norm.case(normal(2, 4, 2, 3), 2, 0.1, 0.5, 2.0)
local_response_norm.case(normal(1, 5, 2, 2, 2), 4, alpha=1.0)
