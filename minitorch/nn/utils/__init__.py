"""Helpers for training loops: gradients cut to a size, parameters as one vector."""
import math

from ...autograd.mode import no_grad
from ...backend import xp
from ...tensor import Tensor, wrap


def with_gradients(parameters):
    return [p for p in ([parameters] if isinstance(parameters, Tensor) else parameters) if p.grad is not None]


def get_total_norm(tensors, norm_type=2.0, error_if_nonfinite=False, foreach=None):
    """The norm of all tensors' numbers together, as a 0-d tensor."""
    tensors = [tensors] if isinstance(tensors, Tensor) else list(tensors)
    if not tensors:
        return wrap(xp(None).zeros((), "f4"))
    norm_type = float(norm_type)
    lib = xp(tensors[0].array)
    flat = [t.array.reshape(-1) for t in tensors]
    if norm_type == 2.0:
        total = lib.sqrt(sum(lib.dot(a, a) for a in map(in_float32, flat)))
    elif norm_type == math.inf:
        total = lib.max(lib.stack([abs(a).max() for a in flat if a.size] or [lib.zeros(())]))
    else:
        each = lib.stack([(abs(in_float32(a)) ** norm_type).sum() for a in flat])
        total = each.sum() ** (1.0 / norm_type)
    total = lib.asarray(total, dtype=tensors[0].array.dtype)
    if error_if_nonfinite and not lib.isfinite(total):
        raise RuntimeError(f"The total norm of order {norm_type} for gradients from `parameters` is non-finite, so it cannot be clipped. "
                           "To disable this error and scale the gradients by the non-finite norm anyway, set `error_if_nonfinite=False`")
    return wrap(total)


def in_float32(a):
    """16-bit floats as float32, which their squares fit into."""
    return a.astype("f4") if a.dtype.itemsize == 2 else a


def clip_grads_with_norm_(parameters, max_norm, total_norm, foreach=None):
    """Scale every gradient by max_norm / total_norm where that is below 1."""
    scale = (max_norm / (total_norm + 1e-6)).clamp(max=1.0)
    with no_grad():
        for p in with_gradients(parameters):
            p.grad.mul_(scale.to(p.grad.device))


def clip_grad_norm_(parameters, max_norm, norm_type=2.0, error_if_nonfinite=False, foreach=None):
    """Scale all gradients together so that their common norm is at most max_norm; returns the norm before.

    RuntimeError (error_if_nonfinite) if the norm is infinite or NaN.
    """
    parameters = with_gradients(parameters)
    total = get_total_norm([p.grad for p in parameters], norm_type, error_if_nonfinite)
    clip_grads_with_norm_(parameters, float(max_norm), total)
    return total


def clip_grad_value_(parameters, clip_value, foreach=None):
    """Cut every gradient's numbers off at plus and minus clip_value."""
    with no_grad():
        for p in with_gradients(parameters):
            p.grad.clamp_(min=-float(clip_value), max=float(clip_value))


def parameters_to_vector(parameters):
    """All parameters' numbers one after the other, as one differentiable vector."""
    from ... import cat
    return cat([p.reshape((-1,)) for p in parameters])


def vector_to_parameters(vec, parameters):
    """Give each parameter its slice of `vec`, which they then share; TypeError if that is no tensor."""
    if not isinstance(vec, Tensor):
        raise TypeError(f"expected minitorch.Tensor, but got: {type(vec).__name__}")
    start = 0
    for p in parameters:
        n = math.prod(p.shape)
        p.data = vec[start:start + n].reshape(p.shape).data
        start += n


# What few programs use, by the file that is read when a name is first asked for; "" for modules of that name.
LATER = {name: file for file, names in {
    "": "parametrizations parametrize rnn",
    "by_hooks": "remove_spectral_norm remove_weight_norm spectral_norm weight_norm",
    "fusion": """clip_grad_norm convert_conv2d_weight_memory_format convert_conv3d_weight_memory_format fuse_conv_bn_eval fuse_conv_bn_weights
                 fuse_linear_bn_eval fuse_linear_bn_weights skip_init""",
}.items() for name in names.split()}


def __getattr__(name):
    if name not in LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib
    found = importlib.import_module(f"{__name__}.{LATER[name] or name}")
    return getattr(found, name) if LATER[name] else found
