"""Networks' functions, without modules: what PyTorch calls torch.nn.functional, collected from the op table."""
from ..autograd.op import HOMES
from ..ops import later

globals().update(HOMES["functional"])
__all__ = sorted({*HOMES["functional"], *later.WHERE["functional"]})


def __getattr__(name):
    """Functions that few programs use are read when first asked for."""
    found = later.find("functional", name)
    if found is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__():
    return sorted({*globals(), *__all__})
