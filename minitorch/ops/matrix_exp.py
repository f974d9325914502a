"""The exponential of matrices, by squaring: e^A = (e^(A / 2^s))^(2^s), where a few terms of the series suffice."""
from math import ceil, log2

from ..autograd.op import composed
from ..backend import xp
from ..cases import normal
from ..dtypes import is_half
from ..tensor import Tensor, wrap

TERMS = 14                                 # 0.5^15 / 15! is below the rounding of float64


@composed(home="torch linalg")
def matrix_exp(A):
    """The sum of A^k / k! for square matrices (..., n, n)."""
    if not isinstance(A, Tensor):
        raise TypeError(f"matrix_exp(): argument 'A' must be Tensor, not {type(A).__name__}")
    if not A.dtype.is_floating_point:
        raise RuntimeError(f"linalg.matrix_exp: Expected a floating point tensor as input. Got {A.dtype.name}")
    if A.ndim < 2 or A.shape[-1] != A.shape[-2]:
        raise RuntimeError(f"linalg.matrix_exp: A must be batches of square matrices, but they are {list(A.shape)}")
    if is_half(A.array.dtype):
        return matrix_exp(A.float()).to(A.dtype)
    lib, array = xp(A.array), A.array
    largest = float(abs(array).sum(-2).max()) if array.size else 0.0
    squarings = ceil(log2(largest / 0.5)) if 0.5 < largest < float("inf") else 0
    one = wrap(lib.eye(A.shape[-1], dtype=array.dtype))
    x = A / 2.0 ** squarings
    y = one + x / TERMS
    for k in range(TERMS - 1, 0, -1):
        y = one + x @ y / k
    for _ in range(squarings):
        y = y @ y
    return y


matrix_exp.case(normal(3, 3))
matrix_exp.case(normal(2, 4, 4))
