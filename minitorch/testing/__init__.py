"""For tests: assert_close and make_tensor, as torch.testing has them, and strategies that draw arguments for ops.

    from minitorch.testing import assert_close, make_tensor, strategies       # strategies needs the package hypothesis
"""
import importlib

from .close import assert_close
from .make import make_tensor

__all__ = ["assert_close", "make_tensor", "strategies"]


def __getattr__(name):
    """The strategies are read when first asked for: they need hypothesis."""
    if name == "strategies":
        return importlib.import_module(f"{__name__}.strategies")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
