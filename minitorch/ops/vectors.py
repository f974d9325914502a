"""Vectors and their distances, norms of matrices, products of many matrices, least squares."""
from collections import namedtuple
from functools import lru_cache

import numpy as np

from ..autograd.op import composed, op
from ..backend import xp
from ..cases import definite, normal
from ..tensor import Tensor, wrap
from .decompose import pinv, svdvals
from .dims import axes, axis
from .linalg import check_matrix, flipped, inv
from .masks import masked_fill
from .matmul import matmul
from .reduce import sum

LstsqResult = namedtuple("linalg_lstsq", ["solution", "residuals", "rank", "singular_values"])


def three_axis(name, input, other, dim):
    """`dim` as an axis along which both hold three numbers; RuntimeError otherwise."""
    dim = axis(dim, max(input.ndim, other.ndim))
    if input.ndim != other.ndim:
        raise RuntimeError(f"{name}: inputs must have the same number of dimensions, not {input.ndim} and {other.ndim}.")
    if input.shape[dim] != 3 or other.shape[dim] != 3:
        raise RuntimeError(f"{name}: inputs dimension {dim} must have length 3. Got {input.shape[dim]} and {other.shape[dim]}")
    return dim


def cross_along(a, b, dim):
    """The cross product: a rolled by one times b rolled by two, less the other way round."""
    return a.roll(-1, dim) * b.roll(-2, dim) - a.roll(-2, dim) * b.roll(-1, dim)


@composed
def cross(input, other, dim=None):
    """The cross product of vectors of three numbers along `dim` (None: the first axis of size 3)."""
    if dim is None:
        if 3 not in input.shape:
            raise RuntimeError(f"no dimension of size 3 in input: its shape is {tuple(input.shape)}")
        dim = list(input.shape).index(3)
    return cross_along(input, other, three_axis("linalg.cross", input, other, dim))

cross.case(normal(2, 3), normal(2, 3))
cross.case(normal(3, 4), normal(3, 1), dim=0)
cross.case(normal(3), normal(3))


def linalg_cross(input, other, *, dim=-1):
    """The cross product of vectors of three numbers along `dim`."""
    return cross_along(input, other, three_axis("linalg.cross", input, other, dim))

linalg_cross.__name__ = "cross"
linalg_cross = composed(linalg_cross, home="linalg")
linalg_cross.case(normal(2, 3), normal(2, 3))
linalg_cross.case(normal(3, 4), normal(3, 1), dim=0)
linalg_cross.case(normal(3), normal(3))


@composed(home="linalg")
def vecdot(x, y, *, dim=-1):
    """Dot products of vectors along `dim`, other axes broadcast."""
    return (x * y).sum(dim)

vecdot.case(normal(2, 3), normal(2, 3))
vecdot.case(normal(3, 4), normal(3, 1), dim=0)
vecdot.case(normal(3), normal(2, 3))


# ---- distances ------------------------------------------------------------------------------------------------

@op(home="", called="cdist")
def euclidean(input, other, /):
    """The distances between every row of (..., N, D) and every row of (..., M, D): (..., N, M)."""
    if max(input.shape[-2], other.shape[-2]) <= 25:
        d = input[..., :, None, :] - other[..., None, :, :]
        return xp(d).sqrt((d * d).sum(-1))
    a, b = (input * input).sum(-1), (other * other).sum(-1)
    squares = a[..., :, None] + b[..., None, :] - 2 * (input @ flipped(other))
    return xp(squares).sqrt(squares.clip(0))

@euclidean.joint_vjp
def _(g, y, input, other):                           # the pull of each row on each other; none at distance 0
    same = y == 0
    pull = masked_fill(g, same, 0) / masked_fill(y, same, 1)
    back = flipped(pull)
    return (input * sum(pull, -1, keepdim=True) - matmul(pull, other), other * sum(back, -1, keepdim=True) - matmul(back, input))

euclidean.case(normal(3, 2), normal(4, 2))
euclidean.case(normal(2, 1, 3, 2), normal(3, 1, 2))
euclidean.case(normal(30, 2), normal(4, 2))


@composed(method=False)
def cdist(x1, x2, p=2.0, compute_mode="use_mm_for_euclid_dist_if_necessary"):
    """The p-norm distances between every row of x1 (..., N, D) and every row of x2 (..., M, D): (..., N, M).

    compute_mode "donot_use_mm_for_euclid_dist" is exact for near rows; otherwise more than 25 rows go through a matrix product.
    """
    if x1.ndim < 2 or x2.ndim < 2 or x1.shape[-1] != x2.shape[-1]:
        raise RuntimeError(f"cdist: X1 and X2 must have at least 2 axes and the same number of columns, not shapes {tuple(x1.shape)} and "
                           f"{tuple(x2.shape)}")
    if not (x1.is_floating_point() and x2.is_floating_point()):
        raise RuntimeError(f"cdist only supports floating-point dtypes, X1 got: {x1.dtype}, X2 got: {x2.dtype}")
    if p < 0:
        raise RuntimeError(f"cdist only supports non-negative p values, not {p}")
    if p == 2 and compute_mode != "donot_use_mm_for_euclid_dist":
        return euclidean(x1, x2)
    return vector_norm(x1.unsqueeze(-2) - x2.unsqueeze(-3), p, -1)

cdist.case(normal(3, 2), normal(4, 2))
cdist.case(normal(2, 3, 2), normal(1, 4, 2), p=1.0)
cdist.case(normal(3, 2), normal(4, 2), p=3.0)
cdist.case(normal(3, 2), normal(4, 2), p=float("inf"))


# ---- norms of matrices --------------------------------------------------------------------------------------------

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


# ---- products of many -----------------------------------------------------------------------------------------

@lru_cache(maxsize=100)
def splits(sizes):
    """Where to split a chain of matrices, of which the i-th is sizes[i] by sizes[i + 1], for the fewest multiplications: {(i, j): k}."""
    n, cost, split = len(sizes) - 1, {}, {}
    for length in range(1, n + 1):
        for i in range(n - length + 1):
            j = i + length
            if length == 1:
                cost[i, j] = 0
                continue
            cost[i, j], split[i, j] = min((cost[i, k] + cost[k, j] + sizes[i] * sizes[k] * sizes[j], k) for k in range(i + 1, j))
    return split


@composed(home="linalg")
def multi_dot(tensors):
    """The product of two or more matrices, in the order that takes the fewest multiplications; the first and last may be vectors."""
    tensors = list(tensors)
    if len(tensors) < 2:
        raise RuntimeError(f"multi_dot(): expected at least 2 tensors but got {len(tensors)}")
    first, last = tensors[0].ndim == 1, tensors[-1].ndim == 1
    tensors[0] = tensors[0].unsqueeze(0) if first else tensors[0]
    tensors[-1] = tensors[-1].unsqueeze(-1) if last else tensors[-1]
    for i, t in enumerate(tensors):
        if t.ndim != 2:
            raise RuntimeError(f"multi_dot(): tensor {i} must be 2D but got {t.ndim}D")
        if i and tensors[i - 1].shape[1] != t.shape[0]:
            raise RuntimeError(f"multi_dot(): tensors {i - 1} and {i} with shapes {list(tensors[i - 1].shape)} and {list(t.shape)} cannot be multiplied")
    split = splits(tuple([t.shape[0] for t in tensors] + [tensors[-1].shape[1]]))

    def product(i, j):
        return tensors[i] if j == i + 1 else matmul(product(i, split[i, j]), product(split[i, j], j))
    y = product(0, len(tensors))
    return y.reshape(y.shape[int(first):2 - int(last)]) if first or last else y

multi_dot.case([normal(2, 3), normal(3, 5), normal(5, 1), normal(1, 4)])
multi_dot.case([normal(3), normal(3, 2), normal(2)])
multi_dot.case([normal(2, 3), normal(3)])


@composed(method=False)
def chain_matmul(*matrices):
    """The product of one or more matrices, in the order that takes the fewest multiplications."""
    return multi_dot(matrices) if len(matrices) > 1 else matrices[0]

chain_matmul.case(normal(2, 3), normal(3, 5), normal(5, 1))
chain_matmul.case(normal(2, 3), normal(3, 1))
chain_matmul.case(normal(2, 3))


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
        raise RuntimeError(f"linalg.lstsq: input.size(-2) should match other.size(-2), but the shapes are {tuple(A.shape)} and {tuple(B.shape)}")
    X = matmul(pinv(A, rcond), right)
    rank = matrix_rank(A, rtol=rcond)
    m, n = A.shape[-2:]
    residuals = X.reshape(-1)[:0]
    if m > n and driver not in (None, "gelsy") and bool((rank.array == n).all()):
        residuals = ((matmul(A, X) - right) ** 2).sum(-2)
    return LstsqResult(X.squeeze(-1) if vector else X, residuals.squeeze(-1) if vector and residuals.ndim else residuals, rank, A.new_empty(0))

lstsq.case(normal(4, 2), normal(4, 3))
lstsq.case(normal(3, 3), normal(3, 1))
lstsq.case(normal(2, 4, 2), normal(2, 4, 1))


from .norms import vector_norm  # noqa: E402  (last: the modules of ops name each other)
