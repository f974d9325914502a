"""Mixed precision: within autocast matrix products and convolutions compute in 16 bits, losses and the like in float32.

Which ops, and how their tensors are cast, stands in minitorch/autograd/autocast.py.  16-bit arithmetic is that of this library: each op
computes in float32 and rounds once.  GradScaler keeps small 16-bit gradients from vanishing.
"""
import functools
import warnings

from .. import dtypes
from ..autograd.autocast import settings, switch
from .grad_scaler import GradScaler

__all__ = ["GradScaler", "autocast", "custom_bwd", "custom_fwd", "is_autocast_available"]


class autocast:
    """`with autocast("cpu"):`, or a decorator.  dtype: bfloat16 by default on the CPU, float16 on the GPU.

    cache_enabled: parameters are cast once and not for each use, until the outermost block ends.
    RuntimeError for an unknown kind of device; a dtype that is not 16-bit switches it off, with a warning.
    """

    def __init__(self, device_type, dtype=None, enabled=True, cache_enabled=None):
        known(device_type)
        self.device, self.fast_dtype = device_type, settings.dtype[device_type] if dtype is None else dtype
        self._cache_enabled = settings.caching if cache_enabled is None else cache_enabled
        self._enabled, self.before = bool(enabled), []
        if self._enabled and device_type == "cuda":
            from .. import cuda
            if not cuda.is_available():
                warnings.warn("User provided device_type of 'cuda', but CUDA is not available. Disabling", stacklevel=2)
                self._enabled = False
        if self._enabled and self.fast_dtype not in (dtypes.bfloat16, dtypes.float16):
            warnings.warn(f"In {device_type.upper()} autocast, but the target dtype is not supported. Disabling autocast.\n"
                          f"It supports bfloat16 and float16, not {self.fast_dtype}.", stacklevel=2)
            self._enabled = False

    def __enter__(self):
        self.before.append((settings.enabled[self.device], settings.dtype[self.device], settings.caching))
        switch(self.device, self._enabled, self.fast_dtype)
        settings.caching = self._cache_enabled
        settings.depth += 1
        return self

    def __exit__(self, *error):
        settings.depth -= 1
        if not settings.depth:
            settings.cache.clear()
        enabled, dtype, settings.caching = self.before.pop()
        switch(self.device, enabled, dtype)
        return False

    def __call__(self, f):
        @functools.wraps(f)
        def within(*args, **kwargs):
            with self:
                return f(*args, **kwargs)
        return within


def known(device_type):
    """ValueError for what is no name, RuntimeError for a kind of device that autocast does not know."""
    if not isinstance(device_type, str):
        raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")
    if device_type not in settings.dtype:
        raise RuntimeError(f"User specified an unsupported autocast device_type '{device_type}': there are {', '.join(settings.dtype)}")


# ---- asked and set ----------------------------------------------------------------------------------------------

def is_autocast_available(device_type):
    """Whether autocast knows this kind of device."""
    return device_type in settings.dtype


def is_autocast_enabled(device_type="cuda"):
    """Whether the block at hand is within an autocast for this kind of device."""
    known(device_type)
    return settings.enabled[device_type]


def set_autocast_enabled(device_type, enabled=None):
    """Switch autocast on or off at once; with one argument, for "cuda"."""
    device_type, enabled = ("cuda", device_type) if enabled is None else (device_type, enabled)
    known(device_type)
    switch(device_type, enabled, settings.dtype[device_type])


def get_autocast_dtype(device_type):
    """What autocast casts to on this kind of device."""
    known(device_type)
    return settings.dtype[device_type]


def set_autocast_dtype(device_type, dtype):
    """Make `dtype` what autocast casts to on this kind of device."""
    known(device_type)
    switch(device_type, settings.enabled[device_type], dtype)


def is_autocast_cache_enabled():
    """Whether parameters are cast once and not for each use."""
    return settings.caching


def set_autocast_cache_enabled(enabled):
    """Cast parameters once, or for each use."""
    settings.caching = bool(enabled)


def clear_autocast_cache():
    """Forget the casts of parameters."""
    settings.cache.clear()


def is_autocast_cpu_enabled():
    """is_autocast_enabled("cpu"), by its older name."""
    return is_autocast_enabled("cpu")


def get_autocast_cpu_dtype():
    """get_autocast_dtype("cpu"), by its older name."""
    return get_autocast_dtype("cpu")


def get_autocast_gpu_dtype():
    """get_autocast_dtype("cuda"), by its older name."""
    return get_autocast_dtype("cuda")


# ---- custom functions ---------------------------------------------------------------------------------------------

def custom_fwd(fwd=None, *, device_type, cast_inputs=None):
    """Decorates a Function's forward.  cast_inputs: within autocast its floating tensors, all but float64, come in this dtype and
    autocast is off inside; None: autocast stays as it is.  custom_bwd then runs backward in the same state.
    """
    known(device_type)
    if fwd is None:
        return functools.partial(custom_fwd, device_type=device_type, cast_inputs=cast_inputs)

    @functools.wraps(fwd)
    def decorated(*args, **kwargs):
        args[0]._dtype, on = get_autocast_dtype(device_type), is_autocast_enabled(device_type)
        args[0]._fwd_used_autocast = on and cast_inputs is None
        if cast_inputs is None or not on:
            return fwd(*args, **kwargs)
        with autocast(device_type, enabled=False):
            return fwd(*cast(args, device_type, cast_inputs), **cast(kwargs, device_type, cast_inputs))
    return decorated


def cast(x, device_type, dtype):
    """Arguments with their floating tensors, all but float64, in `dtype`."""
    if hasattr(x, "is_floating_point"):
        eligible = x.is_floating_point() and x.dtype is not dtypes.float64 and x.device.type == device_type
        return x.to(dtype) if eligible else x
    if isinstance(x, dict):
        return {cast(k, device_type, dtype): cast(v, device_type, dtype) for k, v in x.items()}
    if isinstance(x, (list, tuple)):
        return type(x)([cast(v, device_type, dtype) for v in x])
    return x


def custom_bwd(bwd=None, *, device_type):
    """Decorates a Function's backward: it runs within autocast as its forward, under custom_fwd, did."""
    known(device_type)
    if bwd is None:
        return functools.partial(custom_bwd, device_type=device_type)

    @functools.wraps(bwd)
    def decorated(*args, **kwargs):
        with autocast(device_type, enabled=args[0]._fwd_used_autocast, dtype=args[0]._dtype):
            return bwd(*args, **kwargs)
    return decorated
