"""minitorch: a small tensor library with reverse-mode differentiation, in PyTorch's names, on NumPy and CuPy."""
import importlib as _importlib
import warnings as _warnings

from . import allocation, autograd
from .autograd import (enable_grad, inference_mode, is_anomaly_check_nan_enabled, is_anomaly_enabled, is_grad_enabled, no_grad,
                       set_grad_enabled)
from .autograd.mode import is_inference_mode_enabled
from .autograd.op import HOMES
from .backend import device
from .dtypes import (bfloat16, bool, double, dtype, finfo, float, float16, float32, float64, get_default_dtype, half, iinfo, int, int8, int16,
                     int32, int64, long, promote_types, set_default_dtype, short, uint8)
from .tensor import Size, Tensor
from .version import __version__
from . import backends, formatting, ops, random

allocation.keep_blocks()
globals().update(HOMES["torch"])

# As in PyTorch, log(0) or 1 / 0 tell by their result, not by a warning: NumPy's, from lines of this package, are not shown.
_warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"minitorch\b")


# Names that many programs do without, by the file that is read when one is first asked for; "" for modules of that name.
_LATER = {name: file for file, names in {
    "": "amp benchmark cuda distributed distributions func gradcheck jit keras linalg metrics models nn optim serialization special testing utils",
    "amp": """GradScaler autocast clear_autocast_cache get_autocast_cpu_dtype get_autocast_dtype get_autocast_gpu_dtype
              is_autocast_cache_enabled is_autocast_cpu_enabled is_autocast_enabled set_autocast_cache_enabled set_autocast_dtype
              set_autocast_enabled""",
    "func": "vmap",
    "serialization": "load save",
    "settings": """are_deterministic_algorithms_enabled channels_last channels_last_3d compile contiguous_format e get_default_device
                   get_float32_matmul_precision get_num_interop_threads get_num_threads inf is_complex
                   is_deterministic_algorithms_warn_only_enabled is_storage is_warn_always_enabled layout memory_format nan newaxis pi
                   preserve_format set_default_device set_default_tensor_type set_float32_matmul_precision set_flush_denormal
                   set_num_interop_threads set_num_threads set_warn_always spmm strided typename use_deterministic_algorithms""",
}.items() for name in names.split()}


def __getattr__(name):
    """The parts that many programs do without are read when first asked for."""
    file = _LATER.get(name)
    if file is None:
        found = ops.later.find("torch", name)
        if found is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    else:
        found = _importlib.import_module(f"{__name__}.{file or name}")
        found = getattr(found, name) if file else found
    globals()[name] = found
    return found


def __dir__():
    return sorted({*globals(), *_LATER, *ops.later.WHERE["torch"]})


__all__ = sorted(name for name in {*globals(), *ops.later.WHERE["torch"], "linalg", "load", "nn", "save"} if name[0] != "_")
