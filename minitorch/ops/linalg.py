"""Square matrices: inverse, solve, determinants, powers."""
from collections import namedtuple

import numpy as np

from .. import dtypes
from ..autograd.op import composed, op
from ..backend import xp
from ..cases import definite, invertible, normal
from .choose import where
from .matmul import matmul, times_zero
from .reduce import sum

SlogdetResult = namedtuple("linalg_slogdet", ["sign", "logabsdet"])


class LinAlgError(RuntimeError):
    """A matrix is singular, or not positive definite, or an algorithm did not converge."""


def check_matrix(name, x, square=False):
    """RuntimeError unless array x holds (square) matrices of float32 or float64."""
    if x.ndim < 2:
        raise RuntimeError(f"{name}: The input tensor A must have at least 2 dimensions, but its shape is {tuple(x.shape)}")
    if square and x.shape[-1] != x.shape[-2]:
        raise RuntimeError(f"{name}: A must be batches of square matrices, but they are {x.shape[-2]} by {x.shape[-1]} matrices")
    if x.dtype not in (dtypes.F32, dtypes.F64):
        kind = NotImplementedError if dtypes.is_float(x.dtype) else RuntimeError
        raise kind(f"{name}: Expected a tensor of float32 or float64 as input. Got {dtypes.of(x.dtype)}")


def attempt(failure, f, *arrays):
    """f(*arrays); LinAlgError with the words `failure` where the array library gives up, or (CuPy) answers with NaN."""
    try:
        y = f(*arrays)
    except np.linalg.LinAlgError:
        raise LinAlgError(failure) from None
    if xp(y) is not np and not bool(xp(y).isfinite(y).all()) and all(bool(xp(a).isfinite(a).all()) for a in arrays):
        raise LinAlgError(failure)
    return y


def flipped(x):
    """Each matrix transposed, on arrays and tensors."""
    return x.swapaxes(-1, -2)


@op(home="", differentiable=False)
def identity(input, /):
    """The unit matrix of the size of the last axis."""
    return xp(input).eye(input.shape[-1], dtype=input.dtype)

identity.case(normal(3, 4))


# ---- inverse and solve -----------------------------------------------------------------------------------------

@op(home="linalg")
def inv(input, /):
    """The inverse of square matrices (..., N, N). LinAlgError where there is none."""
    check_matrix("linalg.inv", input, square=True)
    return attempt("linalg.inv: The inversion could not be completed because the input matrix is singular.", xp(input).linalg.inv, input)

inv.vjp(lambda g, y: -matmul(flipped(y), matmul(g, flipped(y))))
inv.case(definite(3, 3))
inv.case(definite(2, 3, 3))
inv.case(invertible(3, 3))
inv.case(normal(1, 1))


@composed
def inverse(input):
    """The inverse of square matrices (..., N, N). LinAlgError where there is none."""
    return inv(input)

inverse.case(definite(3, 3))
inverse.case(invertible(3, 3))
inverse.case(definite(2, 4, 4))
inverse.case(normal(1, 1))


@op(home="", called="linalg.solve")
def solved(input, other, /):
    """The X of input @ X = other, for matrices (..., N, N) and (..., N, M) with leading axes that broadcast."""
    return attempt("linalg.solve: The solver failed because the input matrix is singular.", xp(input).linalg.solve, input, other)

@solved.joint_vjp
def _(g, y, input, wanted):
    for_right = solved(flipped(input), g)
    return -matmul(for_right, flipped(y)) if 0 in wanted else None, for_right

solved.case(definite(3, 3), normal(3, 2))
solved.case(definite(2, 3, 3), normal(3, 1))
solved.case(definite(3, 3), normal(2, 3, 2))
solved.case(invertible(3, 3), normal(3, 2))


@composed(home="linalg")
def solve(A, B, *, left=True):
    """The X of A @ X = B (left=False: X @ A = B) for A (..., N, N) and B (..., N, M), or vectors (..., N). LinAlgError if A is singular."""
    check_matrix("linalg.solve", A.array, square=True)
    if A.dtype != B.dtype:
        raise RuntimeError(f"linalg.solve: Expected A and B to have the same dtype, but found A of type {A.dtype} and B of type {B.dtype}")
    n = A.shape[-1]
    vectors = B.ndim == 1 or B.shape == A.shape[:-1] and B.ndim == A.ndim - 1
    if vectors:
        if not left:
            raise RuntimeError("linalg.solve: Vector broadcasting of the left hand side is not supported for left=False")
        B = B.unsqueeze(-1)
    if B.ndim < 2 or B.shape[-2 if left else -1] != n:
        raise RuntimeError(f"linalg.solve: Incompatible shapes of A and B for the equation {'AX = B' if left else 'XA = B'} "
                           f"({tuple(A.shape)} and {tuple(B.shape)})")
    X = solved(A, B) if left else flipped(solved(flipped(A), flipped(B)))
    return X.squeeze(-1) if vectors else X

solve.case(definite(3, 3), normal(3))
solve.case(definite(3, 3), normal(3, 2))
solve.case(invertible(3, 3), normal(3, 2))
solve.case(definite(2, 3, 3), normal(2, 3))
solve.case(definite(2, 3, 3), normal(4, 3), left=False)


@composed(home="linalg")
def solve_triangular(A, B, *, upper, left=True, unitriangular=False):
    """linalg.solve for a triangular A, of which the other triangle is not read; unitriangular: nor the diagonal, taken as ones."""
    check_matrix("linalg.solve_triangular", A.array, square=True)
    if B.ndim < 2:
        raise RuntimeError(f"linalg.solve_triangular: B must have at least 2 dimensions, but its shape is {tuple(B.shape)}")
    A = A.triu(int(unitriangular)) if upper else A.tril(-int(unitriangular))
    return solve(A + identity(A.detach()) if unitriangular else A, B, left=left)

solve_triangular.case(definite(3, 3), normal(3, 2), upper=True)
solve_triangular.case(invertible(3, 3), normal(3, 2), upper=True)
solve_triangular.case(definite(2, 3, 3), normal(4, 3), upper=False, left=False)
solve_triangular.case(definite(3, 3), normal(3, 2), upper=False, unitriangular=True)


# ---- determinants ---------------------------------------------------------------------------------------------

@op(home="torch linalg")
def det(input, /):
    """The determinants of square matrices (..., N, N)."""
    check_matrix("linalg.det", input, square=True)
    return xp(input).linalg.det(input)

det.vjp(lambda g, input: g.reshape((*g.shape, 1, 1)) * cofactors(input))
det.case(normal(3, 3))
det.case(normal(2, 4, 4))
det.case(normal(1, 1))


@op(home="", called="linalg.det")
def cofactors(input, /):
    """The derivative of the determinant: det(A) A^-T, which singular matrices have too (by their singular values)."""
    library = xp(input)
    try:
        return library.linalg.det(input)[..., None, None] * flipped(attempt("singular", library.linalg.inv, input))
    except LinAlgError:
        pass
    u, s, vh = library.linalg.svd(input)
    others = library.where(library.eye(s.shape[-1], dtype=bool), 1, s[..., None, :]).prod(-1)
    return library.linalg.det(u @ vh)[..., None, None] * ((u * others[..., None, :]) @ vh)

@cofactors.joint_vjp
def _(g, y, input):
    w = flipped(inv(input))
    return sum(g * y, (-1, -2), keepdim=True) * w - matmul(matmul(y, flipped(g)), w),

cofactors.case(normal(3, 3))
cofactors.case(normal(2, 4, 4))
cofactors.case(definite(2, 2))
cofactors.case(invertible(3, 3))


@op(home="torch linalg")
def slogdet(input, /) -> tuple:
    """(sign, logabsdet): the sign of the determinant of (..., N, N) and the logarithm of its size, which does not overflow."""
    check_matrix("linalg.slogdet", input, square=True)
    return SlogdetResult(*xp(input).linalg.slogdet(input))

slogdet.vjp(lambda g, input: g[1].reshape((*g[1].shape, 1, 1)) * flipped(inv(input)))
slogdet.case(normal(3, 3))
slogdet.case(normal(2, 4, 4))
slogdet.case(definite(2, 2))
slogdet.case(invertible(3, 3))


@composed
def logdet(input):
    """The logarithm of the determinant: -inf for a singular matrix, NaN for a negative determinant."""
    sign, logabsdet = slogdet(input)
    return where(sign < 0, float("nan"), logabsdet)

logdet.case(definite(3, 3))
logdet.case(invertible(3, 3))
logdet.case(definite(2, 4, 4))
logdet.case(np.array([[2.0, 1.0], [1.5, 1.0]]))


# ---- powers ---------------------------------------------------------------------------------------------------

@composed(home="torch linalg")
def matrix_power(input, n):
    """Square matrices (..., N, N) multiplied with themselves n times; inverted first for negative n."""
    if input.ndim < 2 or input.shape[-1] != input.shape[-2]:
        raise RuntimeError(f"linalg.matrix_power: A must be batches of square matrices, but its shape is {tuple(input.shape)}")
    if n == 0:
        return identity(input.detach()).expand(input.shape) + times_zero(input)
    square, y, n = inv(input) if n < 0 else input, None, abs(n)
    while n:
        if n & 1:
            y = square if y is None else matmul(y, square)
        n >>= 1
        if n:
            square = matmul(square, square)
    return y

matrix_power.case(normal(3, 3), 5)
matrix_power.case(definite(2, 3, 3), -2)
matrix_power.case(invertible(3, 3), -2)
matrix_power.case(normal(2, 2), 0)


@op
def trace(input, /):
    """The sum of the diagonal of a matrix."""
    if input.ndim != 2:
        raise RuntimeError(f"trace: expected a matrix, but got tensor with shape {tuple(input.shape)}")
    y = input.diagonal()
    return y.sum() if dtypes.is_float(y.dtype) else y.sum(dtype=dtypes.I64)

trace.vjp(lambda g, input_shape: diagonal_into(g, shape=input_shape))
trace.case(normal(3, 3))
trace.case(normal(2, 4))
trace.case(normal(4, 1))


@op(home="", called="trace")
def diagonal_into(input, /, shape):
    """Zeros of `shape`, a matrix, with `input` on its diagonal: the transpose of trace."""
    return xp(input).eye(*shape, dtype=input.dtype) * input

diagonal_into.vjp(lambda g: trace(g))
diagonal_into.case(normal(), shape=(3, 3))
diagonal_into.case(normal(), shape=(2, 4))
diagonal_into.case(normal(), shape=(4, 1))


def linalg_diagonal(A, *, offset=0, dim1=-2, dim2=-1):
    """The diagonals of matrices in the last two axes (or dim1 and dim2), as a view."""
    return A.diagonal(offset, dim1, dim2)

linalg_diagonal.__name__ = "diagonal"
linalg_diagonal = composed(linalg_diagonal, home="linalg")
linalg_diagonal.case(normal(2, 3, 3))
linalg_diagonal.case(normal(2, 3, 4), offset=1)
linalg_diagonal.case(normal(2, 3, 4), offset=-1, dim1=0, dim2=2)
