"""Diagonals as views and as matrices, and the triangles beside them."""
import numpy as np

from .. import threads
from ..autograd.op import composed, op
from ..backend import xp
from ..cases import normal
from ..copies import LARGE, copied
from .dims import axis


@op(view=True)
def diagonal(input, /, offset=0, dim1=0, dim2=1):
    """The elements of the planes (dim1, dim2) whose indices differ by `offset`, as a new last axis: a view."""
    dim1, dim2 = two_axes(dim1, dim2, input.ndim)
    y = input.diagonal(offset, dim1, dim2)
    if not getattr(y.flags, "writeable", True):      # NumPy returns a view that refuses writes
        y.flags.writeable = input.flags.writeable
    return y

diagonal.vjp(lambda g, input_shape, offset, dim1, dim2: on_diagonal(g, input_shape, offset, dim1, dim2))
diagonal.case(normal(3, 4))
diagonal.case(normal(3, 4), 1)
diagonal.case(normal(2, 3, 4), -1, 2, 0)
diagonal.case(normal(2, 3, 4), offset=0, dim1=-1, dim2=-2)
diagonal.case(normal(3, 4), 9)


def two_axes(dim1, dim2, ndim):
    i, j = axis(dim1, ndim), axis(dim2, ndim)
    if i == j:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    return i, j


@op(home="", called="diag_embed")
def on_diagonal(input, /, shape, offset, dim1, dim2):
    """Zeros of `shape` whose diagonal is `input`."""
    y = xp(input).zeros(shape, input.dtype)
    diagonal.op.forward(y, offset, dim1, dim2)[...] = input
    return y

on_diagonal.vjp(lambda g, offset, dim1, dim2: diagonal(g, offset, dim1, dim2))
on_diagonal.case(normal(3), (3, 4), 0, 0, 1)
on_diagonal.case(normal(2, 3), (3, 2, 4), -1, 2, 0)
on_diagonal.case(normal(2), (2, 3), -1, -1, -2)


@composed
def diag_embed(input, offset=0, dim1=-2, dim2=-1):
    """Square matrices in the planes (dim1, dim2) of the result, with the last axis of `input` on their diagonal."""
    if not input.shape:
        raise IndexError("Dimension out of range (expected to be in range of [-1, 0], but got -1)")
    rest, n = list(input.shape[:-1]), input.shape[-1] + abs(offset)
    for d in sorted(two_axes(dim1, dim2, len(rest) + 2)):
        rest.insert(d, n)
    return on_diagonal(input, tuple(rest), offset, *two_axes(dim1, dim2, len(rest)))

diag_embed.case(normal(3))
diag_embed.case(normal(2, 3), 1)
diag_embed.case(normal(2, 3), -1, 0, 2)
diag_embed.case(normal(2, 3), offset=0, dim1=1, dim2=-3)


@composed
def diag(input, diagonal=0):
    """The matrix with a vector on its diagonal; of a matrix, a copy of its diagonal."""
    n = len(input.shape)
    if n not in (1, 2):
        raise RuntimeError(f"diag(): Supports 1D or 2D tensors. Got {n}D")
    return diag_embed(input, diagonal) if n == 1 else diagonal_copy(input, diagonal)

diag.case(normal(3))
diag.case(normal(3), -1)
diag.case(normal(3, 4))
diag.case(normal(3, 4), diagonal=1)


@op
def diagonal_copy(input, /, offset=0, dim1=0, dim2=1):
    """`diagonal`, copied."""
    return copied(diagonal.op.forward(input, offset, dim1, dim2))

diagonal_copy.vjp(lambda g, input_shape, offset, dim1, dim2: on_diagonal(g, input_shape, offset, dim1, dim2))
diagonal_copy.case(normal(3, 4))
diagonal_copy.case(normal(3, 4), 1)
diagonal_copy.case(normal(2, 3, 4), -1, 2, 0)


@composed
def diagflat(input, offset=0):
    """The matrix with all elements of `input` on its diagonal."""
    return diag_embed(input.reshape((-1,)), offset)

diagflat.case(normal(2, 3))
diagflat.case(normal(3), -1)
diagflat.case(normal(), 1)


# ---- triangles ---------------------------------------------------------------------------------------------------

def check_matrices(name, input):
    if input.ndim < 2:
        raise RuntimeError(f"{name}: input tensor must have at least 2 dimensions, but has the shape {tuple(input.shape)}")


def triangles(tril, x, k):
    """NumPy's tril or triu of matrices; of large ones in stripes of rows, of which only the square on the diagonal needs it."""
    if type(x) is not np.ndarray or x.size < LARGE:
        return tril(x, k)
    y, (N, M) = np.empty(x.shape, x.dtype), x.shape[-2:]

    def part(start, stop):
        for i in range(start, stop, ROWS):
            j = min(i + ROWS, stop)
            left, right = min(max(i + k, 0), M), min(max(j + k, 0), M)               # the diagonal lies between these columns
            kept, lost = (slice(0, left), slice(right, M)) if tril is np.tril else (slice(right, M), slice(0, left))
            rows, old = y[..., i:j, :], x[..., i:j, :]
            rows[..., kept], rows[..., lost] = old[..., kept], 0
            rows[..., left:right] = tril(old[..., left:right], k + i - left)

    threads.run(part, N, least=1 + LARGE * N // x.size)
    return y


ROWS = 128                                           # of a stripe


@op(inplace=True)
def tril(input, /, diagonal=0):
    """Matrices with zeros above the diagonal that lies `diagonal` places right of the main one."""
    check_matrices("tril", input)
    return triangles(xp(input).tril, input, diagonal)


@op(inplace=True)
def triu(input, /, diagonal=0):
    """Matrices with zeros below the diagonal that lies `diagonal` places right of the main one."""
    check_matrices("triu", input)
    return triangles(xp(input).triu, input, diagonal)


tril.vjp(lambda g, diagonal: tril(g, diagonal))
triu.vjp(lambda g, diagonal: triu(g, diagonal))
for _f in (tril, triu):
    _f.case(normal(3, 4))
    _f.case(normal(2, 3, 3), 1)
    _f.case(normal(4, 3), diagonal=-1)
