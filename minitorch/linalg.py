"""Linear algebra, by the names of torch.linalg: inv, solve, det, eigh, svd, qr, cholesky, norm ..."""
from .autograd.op import HOMES
from .ops.linalg import LinAlgError

__all__ = ["LinAlgError", *HOMES["linalg"]]

globals().update(HOMES["linalg"])
