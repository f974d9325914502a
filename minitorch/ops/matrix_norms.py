"""Norms and rank of matrices, and least squares."""
from collections import namedtuple

import numpy as np

from ..autograd.op import composed
from ..backend import xp
from ..cases import definite, normal
from ..tensor import wrap
from .decompose import pinv, svdvals
from .dims import axes
from .linalg import check_matrix, inv
from .matmul import matmul

LstsqResult = namedtuple("linalg_lstsq", ["solution", "residuals", "rank", "singular_values"])


@composed(home="linalg")
def matrix_norm(A, ord="fro", dim=(-2, -1), keepdim=False, *, dtype=None):
    """A norm of the matrices in the two axes `dim`.

    ord: "fro" root of the sum of squares; "nuc", 2, -2 sum, largest, smallest of the singular values; inf, -inf largest, smallest
    sum of a row's absolute values; 1, -1 of a column's.
    """
    if A.ndim < 2:
        raise RuntimeError(f"linalg.matrix_norm: The input tensor A must have at least 2 dimensions, but its shape is {tuple(A.shape)}")
    if dtype is not None:
        A = A.to(dtype)
    if not A.is_floating_point():
        raise RuntimeError(f"linalg.matrix_norm: Expected a floating point or complex tensor as input. Got {A.dtype}")
    if ord not in ("fro", "nuc", 2, -2, 1, -1, float("inf"), -float("inf")):
        raise RuntimeError(f"linalg.matrix_norm: Order {ord} not supported.")
    if not isinstance(dim, (tuple, list)) or len(dim) != 2:
        raise RuntimeError(f"linalg.matrix_norm: dim must be a 2-tuple. Got {dim}")
    first, second = axes(dim, A.ndim)
    if ord == "fro":
        return vector_norm(A, 2, (first, second), keepdim)
    x = A.movedim((first, second), (-2, -1))
    if ord in ("nuc", 2, -2):
        s = svdvals(x)
        y = s.sum(-1) if ord == "nuc" else s.amax(-1) if ord == 2 else s.amin(-1)
    else:
        sums = x.abs().sum(-2 if abs(ord) == 1 else -1)
        y = sums.amax(-1) if ord > 0 else sums.amin(-1)
    if keepdim:
        for d in sorted((first, second)):
            y = y.unsqueeze(d)
    return y

for _ord in ("fro", "nuc", 2, -2, 1, -1, float("inf"), -float("inf")):
    matrix_norm.case(normal(2, 3, 4), _ord)
matrix_norm.case(normal(3, 4), keepdim=True)
matrix_norm.case(normal(3, 2, 4), 1, dim=(0, -1), keepdim=True)


@composed(home="linalg")
def cond(A, p=None):
    """The condition number in the matrix norm p (None: 2): of the matrix times that of its inverse."""
    check_matrix("linalg.cond", A.array)
    if p in (None, 2, -2):
        s = svdvals(A)
        return s[..., 0] / s[..., -1] if p != -2 else s[..., -1] / s[..., 0]
    return matrix_norm(A, p) * matrix_norm(inv(A), p)

cond.case(definite(3, 3))
cond.case(definite(2, 3, 3), 2)
cond.case(normal(3, 2), -2)


@composed(home="linalg")
def matrix_rank(A, tol=None, hermitian=False, *, atol=None, rtol=None):
    """The number of singular values above max(atol, rtol * the largest); rtol is max(M, N) * eps where neither is given."""
    check_matrix("linalg.matrix_rank", A.array)
    x, library = A.array, xp(A.array)
    atol = tol if atol is None else atol
    rtol = rtol if rtol is not None else 0.0 if atol else max(x.shape[-2:]) * np.finfo(x.dtype).eps
    s = library.linalg.svd(x, compute_uv=False) if not hermitian else abs(library.linalg.eigvalsh(x))
    return wrap(library.asarray((s > library.maximum(atol or 0.0, rtol * s.max(-1, keepdims=True))).sum(-1)))

matrix_rank.case(normal(3, 4))
matrix_rank.case(np.array([[1.0, 2.0], [2.0, 4.0]]))
matrix_rank.case(definite(2, 3, 3), hermitian=True)


# ---- least squares --------------------------------------------------------------------------------------------

@composed(home="linalg")
def lstsq(A, B, rcond=None, *, driver=None):
    """(solution, residuals, rank, singular_values): the X (..., N, K) with the least |A @ X - B|, for A (..., M, N) and B (..., M, K).

    residuals, with a driver other than "gelsy", are the squared lengths of the columns of A @ X - B if M > N and A has full rank;
    otherwise they stay empty, as singular_values do.
    """
    check_matrix("linalg.lstsq", A.array)
    vector = B.ndim == A.ndim - 1
    right = B.unsqueeze(-1) if vector else B
    if right.shape[-2] != A.shape[-2]:
        raise RuntimeError("linalg.lstsq: input.size(-2) should match other.size(-2), but the shapes are "
                           f"{tuple(A.shape)} and {tuple(B.shape)}")
    X = matmul(pinv(A, rcond), right)
    rank = matrix_rank(A, rtol=rcond)
    m, n = A.shape[-2:]
    residuals = X.reshape(-1)[:0]
    if m > n and driver not in (None, "gelsy") and bool((rank.array == n).all()):
        residuals = ((matmul(A, X) - right) ** 2).sum(-2)
    if driver == "gels":                             # takes full rank for granted
        rank = wrap(xp(A.array).zeros(0, rank.array.dtype))
    X, residuals = (X.squeeze(-1), residuals.squeeze(-1)) if vector else (X, residuals)
    return LstsqResult(X, residuals, rank, A.new_empty(0))

lstsq.case(normal(4, 2), normal(4, 3))
lstsq.case(normal(3, 3), normal(3, 1))
lstsq.case(normal(2, 4, 2), normal(2, 4, 1))


from .norms import vector_norm  # noqa: E402  (last: the modules of ops name each other)
