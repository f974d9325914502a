"""Mixed precision: programs written for it run, in the precision of their tensors.

autocast allows an op to compute in 16 bits and demands it of none.  Here it changes nothing but what is_autocast_enabled() says:
NumPy has no fast 16-bit arithmetic, and numbers stay as exact as they were.  GradScaler does what it does in PyTorch.
"""
import functools
import warnings

from .. import dtypes
from .grad_scaler import GradScaler

state: dict = {"cuda": (False, dtypes.float16), "cpu": (False, dtypes.bfloat16)}     # device -> whether autocast is on, its dtype


class autocast:
    """`with autocast("cuda"):`, or a decorator.  RuntimeError for an unknown kind of device."""

    def __init__(self, device_type, dtype=None, enabled=True, cache_enabled=None):
        if not isinstance(device_type, str):
            raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")
        if device_type not in state:
            raise RuntimeError(f"User specified an unsupported autocast device_type '{device_type}'")
        if enabled and device_type == "cuda":
            from .. import cuda
            if not cuda.is_available():
                warnings.warn("User provided device_type of 'cuda', but CUDA is not available. Disabling", stacklevel=2)
                enabled = False
        self.device, self.fast_dtype, self._enabled = device_type, dtype or state[device_type][1], enabled

    def __enter__(self):
        self.before, state[self.device] = state[self.device], (self._enabled, self.fast_dtype)
        return self

    def __exit__(self, *error):
        state[self.device] = self.before
        return False

    def __call__(self, f):
        @functools.wraps(f)
        def within(*args, **kwargs):
            with self:
                return f(*args, **kwargs)
        return within


def is_autocast_available(device_type):
    """Whether autocast knows this kind of device."""
    return device_type in state


def is_autocast_enabled(device_type="cuda"):
    """Whether the block at hand is within an autocast for this kind of device."""
    return state[device_type][0]


def get_autocast_dtype(device_type):
    """The dtype that autocast was given for this kind of device."""
    return state[device_type][1]


def custom_fwd(fwd=None, *, device_type=None, cast_inputs=None):
    """Decorates a Function's forward: its floating tensors are cast to `cast_inputs` while autocast is on."""
    if fwd is None:
        return functools.partial(custom_fwd, device_type=device_type, cast_inputs=cast_inputs)

    @functools.wraps(fwd)
    def decorated(*args, **kwargs):
        if cast_inputs is not None and is_autocast_enabled(device_type or "cuda"):
            args = [a.to(cast_inputs) if hasattr(a, "is_floating_point") and a.is_floating_point() else a for a in args]
        return fwd(*args, **kwargs)
    return decorated


def custom_bwd(bwd=None, *, device_type=None):
    """Decorates a Function's backward."""
    return bwd if bwd is not None else functools.partial(custom_bwd, device_type=device_type)
