"""What programs set once at their start: threads, precision, determinism, default device and type; and plain names.

Most of it has no effect here, and says so: the values are kept, so that a program reads what it set.
"""
import os

from . import backend, dtypes, threads
from .autograd.op import HOMES
from .ops.from_data import LegacyType
from .threads import get_num_threads  # noqa: F401

kept = {"interop": os.cpu_count() or 1, "deterministic": False, "warn_only": False,
        "precision": "highest", "warn_always": False}


def set_num_threads(n):
    """Share the work on large arrays among n threads; TypeError for no int, RuntimeError below 1."""
    positive(n, "set_num_threads")
    threads.set_num_threads(n)


def get_num_interop_threads():
    """The number that was set for ops beside each other: there is no such thing here."""
    return kept["interop"]


def set_num_interop_threads(n):
    """Remember a number of threads for ops beside each other."""
    positive(n, "set_num_interop_threads")
    kept["interop"] = n


def positive(n, name):
    if not isinstance(n, int) or isinstance(n, bool):
        raise TypeError(f"{name} expects an int, but got {type(n).__name__}")
    if n <= 0:
        raise RuntimeError(f"{name} expects a positive integer")


def use_deterministic_algorithms(mode, *, warn_only=False):
    """Remember the wish: on the CPU every op gives the same bits each time anyway."""
    kept["deterministic"], kept["warn_only"] = bool(mode), bool(warn_only)


def are_deterministic_algorithms_enabled():
    """Whether use_deterministic_algorithms(True) was called."""
    return kept["deterministic"]


def is_deterministic_algorithms_warn_only_enabled():
    """Whether use_deterministic_algorithms was called with warn_only."""
    return kept["warn_only"]


def get_float32_matmul_precision():
    """What set_float32_matmul_precision was given: products of float32 are computed in float32."""
    return kept["precision"]


def set_float32_matmul_precision(precision):
    """Remember "highest", "high" or "medium"; RuntimeError for anything else."""
    if precision not in ("highest", "high", "medium"):
        raise RuntimeError(f"invalid float32 matmul precision: {precision}: it must be one of: highest, high, medium")
    kept["precision"] = precision


def set_flush_denormal(mode):
    """False: numbers below the smallest normal one are kept."""
    return False


def is_warn_always_enabled():
    """What set_warn_always was given."""
    return kept["warn_always"]


def set_warn_always(b):
    """Remember a wish about warnings: Python's filters decide."""
    kept["warn_always"] = bool(b)


def get_default_device():
    """The device of tensors made without one: the CPU."""
    return backend.CPU


def set_default_device(device):
    """Only the CPU can be the default: NotImplementedError for a GPU, which `device=` and to() reach."""
    if device is not None and backend.device(device).type != "cpu":
        raise NotImplementedError(f"set_default_device({str(device)!r}): tensors are made on the CPU unless device= says otherwise")


def set_default_tensor_type(t):
    """set_default_dtype by an old class such as FloatTensor, or its name."""
    name = t if isinstance(t, str) else t.__name__
    found = HOMES["torch"].get(name.rpartition(".")[2])
    if not isinstance(found, LegacyType) or ".cuda." in name:
        raise TypeError(f"invalid type object: {name}: only floating-point types of the CPU are supported as the default type")
    dtypes.set_default_dtype(found.dtype)


def compile(model=None, *, fullgraph=False, dynamic=None, backend="inductor", mode=None, options=None, disable=False, **kwargs):
    """The model or function as it is: nothing is compiled here, and nothing has to be."""
    return model if model is not None else lambda model: model


def typename(obj):
    """The full name of an object's class, `minitorch.FloatTensor` for a tensor."""
    if hasattr(obj, "array"):
        return obj.type()
    of = obj if isinstance(obj, type) or callable(obj) and hasattr(obj, "__qualname__") else type(obj)
    return of.__qualname__ if of.__module__ in ("builtins", None) else f"{of.__module__}.{of.__qualname__}"


def is_complex(input):
    """False: there are no complex tensors."""
    return False


def is_storage(obj):
    """False: storages have no objects of their own."""
    return False


class memory_format:
    """How a tensor lies in memory: accepted by many functions, and always row by row here."""

    def __init__(self, name):
        self.name = name

    def __repr__(self):
        return f"minitorch.{self.name}"


class layout(memory_format):
    """How a tensor's elements are stored: always strided here."""


contiguous_format, preserve_format, channels_last, channels_last_3d = map(
    memory_format, ("contiguous_format", "preserve_format", "channels_last", "channels_last_3d"))
strided = layout("strided")
inf, nan, pi, e, newaxis = float("inf"), float("nan"), 3.141592653589793, 2.718281828459045, None
spmm = HOMES["torch"]["mm"]                          # of dense matrices: there are no sparse ones
