"""minitorch: a small tensor library with reverse-mode differentiation, in PyTorch's names, on NumPy and CuPy."""
import importlib as _importlib
import warnings as _warnings

from . import autograd
from .autograd import (enable_grad, inference_mode, is_anomaly_check_nan_enabled, is_anomaly_enabled, is_grad_enabled, no_grad,
                       set_grad_enabled)
from .autograd.mode import is_inference_mode_enabled
from .autograd.op import HOMES
from .backend import device
from .dtypes import (bfloat16, bool, double, dtype, finfo, float, float16, float32, float64, get_default_dtype, half, iinfo, int, int8, int16,
                     int32, int64, long, promote_types, set_default_dtype, short, uint8)
from .tensor import Size, Tensor
from .version import __version__
from . import backends, formatting, linalg, ops, random, serialization

globals().update(HOMES["torch"])
from . import nn  # noqa: E402  (modules are made of the names above)

# As in PyTorch, log(0) or 1 / 0 tell by their result, not by a warning: NumPy's, from lines of this package, are not shown.
_warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"minitorch\b")


def __getattr__(name):
    """The parts that many programs do without are read when first asked for."""
    if name in ("func", "gradcheck", "optim", "testing", "utils"):
        return _importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
