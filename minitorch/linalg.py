"""Linear algebra, by the names of torch.linalg: inv, solve, det, eigh, svd, qr, cholesky, norm ..."""
from .autograd.op import HOMES
from .ops import later
from .ops.linalg import LinAlgError as LinAlgError

__all__ = sorted({"LinAlgError", *HOMES["linalg"], *later.WHERE["linalg"]})

globals().update(HOMES["linalg"])


def __getattr__(name):
    """Functions that few programs use are read when first asked for."""
    found = later.find("linalg", name)
    if found is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = found
    return found
