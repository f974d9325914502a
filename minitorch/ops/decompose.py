"""Matrices taken apart: Cholesky, eigenvalues, singular values, QR, and what follows from them.

Derivatives of eigenvectors and singular vectors have 1 / (difference of two values) in them: they do not
exist where two values are equal, and are meant for losses that do not depend on the vectors' signs.
"""
from collections import namedtuple

import numpy as np

from ..autograd.op import composed, op
from ..backend import xp
from ..cases import definite, normal
from ..tensor import wrap
from .diagonal import tril
from .join import cat
from .linalg import LinAlgError, attempt, check_matrix, flipped, identity, inv, solved
from .matmul import matmul

EighResult = namedtuple("linalg_eigh", ["eigenvalues", "eigenvectors"])
SvdResult = namedtuple("linalg_svd", ["U", "S", "Vh"])
QrResult = namedtuple("linalg_qr", ["Q", "R"])


def column(x):
    """x (..., K) as (..., K, 1)."""
    return x.reshape((*x.shape, 1))


def row(x):
    """x (..., K) as (..., 1, K)."""
    return x.reshape((*x.shape[:-1], 1, x.shape[-1]))


def inverse_differences(x):
    """1 / (x[j] - x[i]) at (i, j), and 0 on the diagonal, for x (..., K)."""
    one = identity(x)
    return 1 / (row(x) - column(x) + one) - one


# ---- Cholesky -------------------------------------------------------------------------------------------------

@op(home="torch linalg")
def cholesky(input, /, upper=False):
    """The lower triangular L with L @ L.T = A (upper: U = L.T) of positive definite (..., N, N), of which one triangle is read.

    LinAlgError if A is not positive definite.
    """
    check_matrix("linalg.cholesky", input, square=True)
    y = attempt("linalg.cholesky: The factorization could not be completed because the input is not positive-definite.",
                xp(input).linalg.cholesky, flipped(input) if upper else input)
    return flipped(y) if upper else y

@cholesky.joint_vjp
def _(g, y, upper):
    g, y = (flipped(g), flipped(y)) if upper else (g, y)
    inner = matmul(flipped(y), g)
    half = (tril(inner) + tril(inner, -1)) / 2                                     # the lower triangle, half its diagonal
    w = inv(y)
    s = matmul(flipped(w), matmul(half, w))
    return (s + flipped(s)) / 2,

cholesky.case(definite(3, 3))
cholesky.case(definite(2, 3, 3))
cholesky.case(definite(3, 3), upper=True)


@composed
def cholesky_solve(B, L, upper=False):
    """The X of A @ X = B, by the Cholesky factor L of A (upper: U)."""
    L = flipped(L.triu()) if upper else L.tril()
    return solved(flipped(L), solved(L, B))

cholesky_solve.case(normal(3, 2), definite(3, 3))
cholesky_solve.case(normal(3, 1), definite(3, 3), upper=True)
cholesky_solve.case(normal(2, 3, 1), definite(2, 3, 3))


@composed
def cholesky_inverse(L, upper=False):
    """The inverse of A, by its Cholesky factor L (upper: U)."""
    w = inv(L.triu() if upper else L.tril())
    return matmul(w, flipped(w)) if upper else matmul(flipped(w), w)

cholesky_inverse.case(definite(3, 3))
cholesky_inverse.case(definite(3, 3), upper=True)
cholesky_inverse.case(definite(2, 3, 3))


# ---- eigenvalues of symmetric matrices ----------------------------------------------------------------------------

@op(home="linalg")
def eigh(input, /, UPLO="L"):
    """(eigenvalues in ascending order, eigenvectors in columns) of symmetric (..., N, N), of which one triangle (UPLO) is read."""
    check_matrix("linalg.eigh", input, square=True)
    if UPLO not in ("L", "U"):
        raise RuntimeError(f"Expected UPLO argument to be 'L' or 'U', but got {UPLO}")
    return EighResult(*failing("linalg.eigh", lambda: xp(input).linalg.eigh(input, UPLO=UPLO)))

@eigh.joint_vjp
def _(g, y0, y1):
    turn = matmul(flipped(y1), g[1])
    inner = (turn - flipped(turn)) / 2 * inverse_differences(y0) + identity(y0) * row(g[0])
    return matmul(y1, matmul(inner, flipped(y1))),

eigh.case(definite(3, 3))
eigh.case(definite(2, 3, 3))
eigh.case(definite(4, 4), UPLO="U")


def failing(name, f):
    try:
        return f()
    except np.linalg.LinAlgError:
        raise LinAlgError(f"{name}: The algorithm failed to converge.") from None


@op(home="linalg")
def eigvalsh(input, /, UPLO="L"):
    """The eigenvalues of symmetric (..., N, N) in ascending order; also where some are equal, with a derivative."""
    check_matrix("linalg.eigvalsh", input, square=True)
    return failing("linalg.eigvalsh", lambda: xp(input).linalg.eigvalsh(input, UPLO=UPLO))

@eigvalsh.joint_vjp
def _(g, input, UPLO):
    _, v = eigh(input, UPLO=UPLO)
    return matmul(v * row(g), flipped(v)),

eigvalsh.case(definite(3, 3))
eigvalsh.case(definite(2, 3, 3))
eigvalsh.case(definite(4, 4), UPLO="U")


# ---- singular values ----------------------------------------------------------------------------------------------

@op(home="linalg")
def svd(input, /, full_matrices=True, driver=None):
    """(U, S, Vh) with U @ diag(S) @ Vh = A (..., M, N), S descending; full_matrices: U (M, M) and Vh (N, N), else with min(M, N) vectors.

    Only the vectors of full_matrices=False have a derivative (RuntimeError), unless M = N.  `driver` has no effect.
    """
    check_matrix("linalg.svd", input)
    return SvdResult(*failing("linalg.svd", lambda: xp(input).linalg.svd(input, full_matrices=full_matrices)))

@svd.joint_vjp
def _(g, y0, y1, y2):
    gu, gs, gvh = g
    m, n, k = y0.shape[-2], y2.shape[-1], y1.shape[-1]
    if y0.shape[-1] > k or y2.shape[-2] > k:
        if bool((gu != 0).any()) or bool((gvh != 0).any()):
            raise RuntimeError("linalg.svd: The singular vectors in the case full_matrices=True are not differentiable: the excess ones "
                               "are not unique. Use full_matrices=False.")
        y0, y2 = y0[..., :, :k], y2[..., :k, :]
        return matmul(y0 * row(gs), y2),
    f = inverse_differences(y1 * y1)
    a, b = matmul(flipped(y0), gu), matmul(gvh, flipped(y2))                        # U^T gU and (V^T gV)^T
    inner = (a - flipped(a)) * f * row(y1) + (flipped(b) - b) * f * column(y1) + identity(y1) * row(gs)
    total = matmul(y0, matmul(inner, y2))
    if m > k:
        total = total + matmul((gu - matmul(y0, a)) / row(y1), y2)
    if n > k:
        total = total + matmul(y0, (gvh - matmul(b, y2)) / column(y1))
    return total,

svd.case(normal(3, 3))
svd.case(normal(4, 2), full_matrices=False)
svd.case(normal(2, 3, 4), full_matrices=False)


@op(home="linalg")
def svdvals(input, /, driver=None):
    """The singular values of (..., M, N), descending."""
    check_matrix("linalg.svdvals", input)
    return failing("linalg.svdvals", lambda: xp(input).linalg.svd(input, compute_uv=False))

@svdvals.joint_vjp
def _(g, input):
    u, _, vh = svd(input, full_matrices=False)
    return matmul(u * row(g), vh),

svdvals.case(normal(3, 3))
svdvals.case(normal(4, 2))
svdvals.case(normal(2, 3, 4))


# ---- QR -----------------------------------------------------------------------------------------------------------

@op(home="", called="linalg.qr")
def tall_qr(input, /) -> tuple:
    """(Q, R) of (..., M, N), M >= N: Q (M, N) with orthonormal columns, R upper triangular."""
    return QrResult(*xp(input).linalg.qr(input))

@tall_qr.joint_vjp
def _(g, y0, y1):
    gq, gr = g
    m = matmul(y1, flipped(gr)) - matmul(flipped(gq), y0)
    low = tril(m, -1)
    symmetric = tril(m) + flipped(low)                                              # m's lower triangle, mirrored
    return matmul(gq + matmul(y0, symmetric), flipped(inv(y1))),

tall_qr.case(normal(3, 3))
tall_qr.case(normal(4, 2))
tall_qr.case(normal(2, 4, 3))


@composed(home="linalg")
def qr(A, mode="reduced"):
    """(Q, R) with Q @ R = A (..., M, N): Q with orthonormal columns, R upper triangular.

    mode: "reduced" (Q has min(M, N) columns), "complete" (M columns, no derivative if M > N), "r" (Q empty, no derivative).
    """
    check_matrix("linalg.qr", A.array)
    if mode not in ("reduced", "complete", "r"):
        raise RuntimeError(f"qr received unrecognized mode '{mode}' but expected one of 'reduced' (default), 'r', or 'complete'")
    m, n = A.shape[-2:]
    if mode == "r":
        return QrResult(A.new_empty(0), tall_qr(A.detach()).R)
    if mode == "complete" and m > n:
        return QrResult(*[wrap(y) for y in xp(A.array).linalg.qr(A.array, mode="complete")])
    if m >= n:
        return tall_qr(A)
    q, r = tall_qr(A[..., :m])                       # a wide matrix: of its first columns, and the rest in their terms
    return QrResult(q, cat([r, matmul(flipped(q), A[..., m:])], -1))

qr.case(normal(3, 3))
qr.case(normal(4, 2))
qr.case(normal(2, 3, 4))
qr.case(normal(2, 2), mode="complete")


# ---- pseudoinverse --------------------------------------------------------------------------------------------

@op(home="", called="linalg.pinv")
def pseudoinverse(input, /, atol, rtol, hermitian):
    """The pseudoinverse of (..., M, N): singular values of at most max(atol, rtol * the largest) count as 0."""
    check_matrix("linalg.pinv", input)
    library = xp(input)
    if hermitian:
        w, u = library.linalg.eigh(input)
        vh, s = flipped(u), abs(w)
    else:
        u, s, vh = library.linalg.svd(input, full_matrices=False)
        w = s
    if not s.size:
        return library.zeros(input.shape[:-2] + input.shape[:-3:-1], input.dtype)
    kept = s > library.maximum(atol, rtol * s.max(-1, keepdims=True))
    w = library.where(kept, 1 / library.where(kept, w, 1), 0)
    return matmul(flipped(vh) * w[..., None, :], flipped(u))

@pseudoinverse.joint_vjp
def _(g, y, input):
    yt, gt = flipped(y), flipped(g)
    left = gt - matmul(input, matmul(y, gt))                                        # (I - A A+) g^T
    right = gt - matmul(matmul(gt, y), input)                                       # g^T (I - A+ A)
    return matmul(left, matmul(y, yt)) + matmul(matmul(yt, y), right) - matmul(yt, matmul(g, yt)),

pseudoinverse.case(normal(3, 3), atol=0.0, rtol=1e-12, hermitian=False)
pseudoinverse.case(normal(4, 2), atol=0.0, rtol=1e-12, hermitian=False)
pseudoinverse.case(normal(2, 2, 3), atol=0.0, rtol=1e-12, hermitian=False)


@composed(home="linalg")
def pinv(A, rcond=None, hermitian=False, *, atol=None, rtol=None):
    """The pseudoinverse (..., N, M) of matrices (..., M, N).

    Singular values of at most max(atol, rtol * the largest) count as 0; rtol is max(M, N) * eps where neither is given.
    """
    check_matrix("linalg.pinv", A.array)
    rtol = rcond if rtol is None else rtol
    if rtol is None:
        rtol = max(A.shape[-2:]) * np.finfo(A.array.dtype).eps if not atol else 0.0
    return pseudoinverse(A, atol=float(atol or 0.0), rtol=float(rtol), hermitian=hermitian)

pinv.case(normal(3, 3))
pinv.case(normal(4, 2))
pinv.case(normal(2, 2, 3), rtol=1e-6)


@composed
def pinverse(input, rcond=1e-15):
    """The pseudoinverse (..., N, M) of matrices (..., M, N); singular values of at most rcond * the largest count as 0."""
    return pinv(input, rcond)

pinverse.case(normal(3, 3))
pinverse.case(normal(4, 2))
pinverse.case(normal(2, 3))
