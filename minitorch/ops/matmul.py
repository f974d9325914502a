"""Matrix products: matmul of every rank, its special cases by PyTorch's names, and linear.

A stack of matrices times one matrix is one product of tall matrices, forward and backward.  16-bit
floats are multiplied in float32 and rounded once.
"""
import math

import numpy as np

from .. import blas, blocks, dtypes, threads
from ..autograd.op import composed, op
from ..backend import xp
from ..cases import normal
from ..tensor import Tensor
from .dtype import cast


def check_one_dtype(*arrays):
    """RuntimeError unless all arrays have one number type."""
    for a in arrays[1:]:
        if a is not None and a.dtype != arrays[0].dtype:
            raise RuntimeError(f"expected m1 and m2 to have the same dtype, but got: {dtypes.of(arrays[0].dtype)} != {dtypes.of(a.dtype)}")


def check_product(*arrays):
    """RuntimeError unless all arrays have one number type, and not bool."""
    check_one_dtype(*arrays)
    found = [a for a in arrays if a is not None]
    if found[0].dtype.kind == "b" and all([a.size for a in found]):
        raise NotImplementedError("\"addmm_impl_cpu_\" not implemented for 'Bool'")


def mismatch(name, a, b):
    """The error for arrays that have no product."""
    if not a.ndim or not b.ndim:
        return RuntimeError(f"both arguments to {name} need to be at least 1D, but they are {a.ndim}D and {b.ndim}D")
    k = b.shape[-2] if b.ndim > 1 else b.shape[0]
    if a.shape[-1] != k:
        return RuntimeError(f"{name}: {tuple(a.shape)} @ {tuple(b.shape)}: inner sizes {a.shape[-1]} and {k} differ")
    return RuntimeError(f"{name}: {tuple(a.shape)} @ {tuple(b.shape)}: the leading sizes do not broadcast")


def tall(x):
    """x (..., K) as one matrix (N, K)."""
    return x if x.ndim == 2 else x.reshape(math.prod(x.shape[:-1]), x.shape[-1])


def in_steps(input, matrix):
    """Whether 16-bit arrays are brought to float32 to be multiplied: all but by a matrix on a GPU, where cuBLAS sums in float32."""
    return dtypes.is_half(input.dtype) and (type(input) is np.ndarray or input.ndim < 2 or matrix.ndim != 2)


def in_float32(f, *arrays):
    """f on 16-bit arrays, computed in float32 and rounded once: backward keeps the 16 bits."""
    return f(*[a if a is None else a.astype(dtypes.F32) for a in arrays]).astype(arrays[0].dtype)


@op(scalars=False, home="torch linalg", check=check_product)
def matmul(input, other, /):
    """Matrix product: (..., N, K) @ (..., K, M) = (..., N, M), leading axes broadcast; a 1-d side counts as a row or a column, which then goes.

    RuntimeError for sizes that do not fit, or two dtypes.
    """
    if input.dtype.itemsize == 2 and in_steps(input, other):
        return in_float32(matmul.op.forward, input, other)
    try:
        if other.ndim == 2 and input.ndim > 1:
            return times(input, other)
        if input.ndim > 2 < other.ndim:
            return stacked(input, other)
        if input.ndim == 1 and other.ndim == 2 and type(other) is np.ndarray and len(input) == len(other):
            return blas.rows_weighed(input, other)
        if other.ndim == 1 and input.ndim > 1 and type(other) is np.ndarray:
            return blas.weighed(tall(input), other).reshape(input.shape[:-1])
        return input @ other
    except ValueError:
        raise mismatch("matmul", input, other) from None


def times(a, b, bias=None):
    """a @ b + bias for a (..., K) and a matrix b (K, M)."""
    rows = tall(a)
    if type(a) is np.ndarray:
        y = blas.product(rows, b, bias)
    else:
        y = rows @ b
        if bias is not None:
            y += bias
    return y if a.ndim == 2 else y.reshape(a.shape[:-1] + b.shape[1:])


def stacked(a, b):
    """a @ b of many matrices: an outer product without the library of linear algebra, others shared out among threads."""
    if a.shape[-1] == b.shape[-2] == 1 and a.dtype == b.dtype:
        return a * b
    if type(a) is not np.ndarray or not a.size or not b.size:
        return a @ b
    lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    each, n = a.shape[-2] * a.shape[-1] * b.shape[-1], max(lead)           # multiplications of a pair; the axis that is cut
    least = 1 + n * LEAST // (math.prod(lead) * each)
    if len(threads.pieces(n, least)) == 1:
        return blas.matmul(a, b)
    axis, y = lead.index(n) - len(lead) - 2, np.empty((*lead, a.shape[-2], b.shape[-1]), a.dtype)

    def cut(x, start, stop):
        whole = x.ndim < -axis or x.shape[axis] == 1
        return x if whole else x[(..., slice(start, stop), *[slice(None)] * (-axis - 1))]

    def part(start, stop):
        blas.matmul(cut(a, start, stop), cut(b, start, stop), out=cut(y, start, stop))
    with blas.alone():
        threads.run(part, n, least=least)
    return y


LEAST = 1 << 22                                      # multiplications that are worth another thread

matmul.vjp(lambda g, other: left_gradient(g, other),
           lambda g, input, other_shape: right_gradient(g, input, len(other_shape)))
matmul.kernel("matmul", contiguous=False)(lambda kernels, input, other: kernels.matmul(input, other))
matmul.case(normal(3, 4), normal(4, 5))
matmul.case(normal(4), normal(4))
matmul.case(normal(4), normal(4, 3))
matmul.case(normal(3, 4), normal(4))
matmul.case(normal(2, 3, 4), normal(4, 5))
matmul.case(normal(2, 3, 4), normal(4))
matmul.case(normal(4), normal(2, 4, 3))
matmul.case(normal(3, 4), normal(2, 4, 5))
matmul.case(normal(2, 1, 3, 4), normal(3, 4, 2))
matmul.case(normal(0, 4), normal(4, 2))
matmul.case(normal(2, 3, 1), normal(2, 1, 4))


def left_gradient(g, other):
    """The gradient of a in y = a @ other, before broadcasting is undone."""
    if other.ndim == 2:
        return matmul(g, other.T)
    if other.ndim == 1:
        return products(g, other)
    if g.ndim < other.ndim:                          # a is a vector
        y = matmul(other, g.reshape((*g.shape, 1)))
        return y.reshape(y.shape[:-1])
    return matmul(g, other.swapaxes(-1, -2))


def right_gradient(g, input, ndim):
    """The gradient of b, which has `ndim` axes, in y = input @ b, before broadcasting is undone."""
    if input.ndim == 1:
        return g * input if ndim == 1 else input.reshape((-1, 1)) * g.reshape((*g.shape[:-1], 1, g.shape[-1]))
    if ndim == 1:
        return matmul(g.reshape(-1), tall(input))
    if ndim == 2:
        return matmul(tall(input).T, tall(g))
    return matmul(input.swapaxes(-1, -2), g)


Tensor.__matmul__ = matmul
Tensor.__rmatmul__ = lambda self, other: matmul(other, self)


# ---- matmul for given ranks -----------------------------------------------------------------------------------

def ranks(name, *wanted):
    """RuntimeError unless each tensor has the number of axes wanted: ranks("mv", (a, 2), (v, 1))."""
    for i, (t, n) in enumerate(wanted):
        if not isinstance(t, Tensor):
            raise TypeError(f"{name}(): argument {i + 1} must be Tensor, not {type(t).__name__}")
        if t.array.ndim != n:
            raise RuntimeError(f"{name}: argument {i + 1} must have {n} axes, but its shape is {tuple(t.shape)}")


@composed
def mm(input, mat2):
    """Matrix product (N, K) @ (K, M)."""
    ranks("mm", (input, 2), (mat2, 2))
    return matmul(input, mat2)

mm.case(normal(3, 4), normal(4, 5))
mm.case(normal(1, 4), normal(4, 1))
mm.case(normal(3, 0), normal(0, 2))


@composed
def mv(input, vec):
    """Matrix times vector: (N, K) @ (K,)."""
    ranks("mv", (input, 2), (vec, 1))
    return matmul(input, vec)

mv.case(normal(3, 4), normal(4))
mv.case(normal(1, 1), normal(1))
mv.case(normal(2, 0), normal(0))


@composed
def bmm(input, mat2):
    """Products of matrices in pairs: (B, N, K) @ (B, K, M)."""
    ranks("bmm", (input, 3), (mat2, 3))
    if input.array.shape[0] != mat2.array.shape[0]:
        raise RuntimeError(f"bmm: {tuple(input.shape)} and {tuple(mat2.shape)}: batch sizes {input.shape[0]} and {mat2.shape[0]} differ")
    return matmul(input, mat2)

bmm.case(normal(2, 3, 4), normal(2, 4, 5))
bmm.case(normal(1, 1, 4), normal(1, 4, 1))
bmm.case(normal(0, 3, 4), normal(0, 4, 2))


@composed
def dot(input, tensor):
    """Sum of the products of two vectors."""
    ranks("dot", (input, 1), (tensor, 1))
    if input.array.dtype == tensor.array.dtype and input.array.dtype.kind != "b":
        return matmul(input, tensor)
    raise RuntimeError(f"dot : expected both vectors to have same dtype, but found {input.dtype} and {tensor.dtype}")

dot.case(normal(4), normal(4))
dot.case(normal(1), normal(1))
dot.case(normal(0), normal(0))


@composed
def vdot(input, other):
    """Sum of the products of two vectors."""
    return dot(input, other)

vdot.case(normal(4), normal(4))
vdot.case(normal(1), normal(1))
vdot.case(normal(0), normal(0))


@composed
def inner(input, other):
    """Sums of products over the last axes of both, every row with every row; with a 0-d side the product."""
    if input.ndim == 0 or other.ndim == 0:
        return input * other
    if input.array.shape[-1] != other.array.shape[-1]:
        raise RuntimeError(f"inner() the last dimension must match on both input tensors but got shapes {list(input.shape)} and "
                           f"{list(other.shape)}")
    rows = other if other.ndim == 1 else tall(other).T
    return matmul(input, rows).reshape(input.shape[:-1] + other.shape[:-1])

inner.case(normal(4), normal(4))
inner.case(normal(2, 3, 4), normal(5, 4))
inner.case(normal(2, 3), normal())


def alike(g, x):
    """g in the dtype of x, in which a product of 16-bit floats was computed."""
    return cast(g, dtype=getattr(x, "array", x).dtype)


def products(a, b):
    """a[..., None] * b, for a vector b."""
    column = a.reshape((*a.shape, 1))
    if type(a) is not np.ndarray or type(b) is not np.ndarray or a.size * b.size < blocks.LARGE or a.dtype is not b.dtype:
        return column * b
    return blocks.elementwise(np.multiply, column, b, out=np.empty((*a.shape, b.size), a.dtype))


@op(numbers="promote", home="", called="outer", scalars=False, elementwise=False)
def every_product(input, other, /):
    """input[i] * other[j]: (N,), (M,) -> (N, M)."""
    return products(input, other)

every_product.vjp(lambda g, other: matmul(alike(g, other), other),   # no array of the products g[i, j] other[j] that broadcasting would sum up
                  lambda g, input: matmul(input, alike(g, input)))
every_product.case(normal(3), normal(4))


@composed
def outer(input, vec2):
    """Every entry of one vector times every entry of another: (N,), (M,) -> (N, M)."""
    ranks("outer", (input, 1), (vec2, 1))
    return every_product(input, vec2)

outer.case(normal(3), normal(4))
outer.case(normal(1), normal(2))
outer.case(normal(0), normal(2))


@composed
def ger(input, vec2):
    """Every entry of one vector times every entry of another: (N,), (M,) -> (N, M)."""
    return outer(input, vec2)

ger.case(normal(3), normal(4))
ger.case(normal(1), normal(2))
ger.case(normal(0), normal(2))


# ---- beta * input + alpha * product -----------------------------------------------------------------------------

@op(home="")
def times_zero(input, /):
    """0 * input, also where input is NaN."""
    return xp(input).zeros_like(input)

times_zero.vjp(lambda g: times_zero(g))
times_zero.case(normal(3))


def added(name, input, product, beta, alpha):
    """beta * input + alpha * product; with beta 0 input is left out, NaN and all."""
    if input.dtype != product.dtype:
        raise RuntimeError(f"{name}: self and mat2 must have the same dtype, but got {input.dtype} and {product.dtype}")
    if not product.is_floating_point():
        beta, alpha = int(beta), int(alpha)
    extra = input.ndim - product.ndim
    if extra > 0 or any(n not in (1, m) for n, m in zip(input.shape, product.shape[-extra:] if extra else product.shape)):
        raise RuntimeError(f"{name}: input of shape {list(input.shape)} does not broadcast to the product's {list(product.shape)}")
    product = product if alpha == 1 else product * alpha
    if beta == 0:
        return product + times_zero(input) if input.requires_grad else product
    return (product + (input if beta == 1 else input * beta)).to(input.dtype)


@composed(inplace=True)
def addmm(input, mat1, mat2, *, beta=1, alpha=1):
    """beta * input + alpha * (mat1 @ mat2), input broadcast to (N, M)."""
    return added("addmm", input, mm(mat1, mat2), beta, alpha)

addmm.case(normal(3, 5), normal(3, 4), normal(4, 5))
addmm.case(normal(5), normal(3, 4), normal(4, 5), beta=2, alpha=3)
addmm.case(normal(3, 1), normal(3, 4), normal(4, 5), alpha=0.5)


@composed(inplace=True)
def addmv(input, mat, vec, *, beta=1, alpha=1):
    """beta * input + alpha * (mat @ vec), input broadcast to (N,)."""
    return added("addmv", input, mv(mat, vec), beta, alpha)

addmv.case(normal(3), normal(3, 4), normal(4))
addmv.case(normal(1), normal(3, 4), normal(4), beta=2, alpha=3)
addmv.case(normal(3), normal(3, 4), normal(4), beta=0)


@composed(inplace=True)
def addr(input, vec1, vec2, *, beta=1, alpha=1):
    """beta * input + alpha * outer(vec1, vec2), input broadcast to (N, M)."""
    if not input.is_floating_point() and (isinstance(beta, float) or isinstance(alpha, float)):
        raise RuntimeError("For integral input tensors, argument alpha and beta must not be a floating point number.")
    product = outer(vec1, vec2)
    dtype = dtypes.promote_types(input.dtype, product.dtype)
    return added("addr", input.to(dtype), product.to(dtype), beta, alpha)

addr.case(normal(3, 4), normal(3), normal(4))
addr.case(normal(4), normal(3), normal(4), beta=2, alpha=3)
addr.case(normal(3, 1), normal(3), normal(4), beta=0)


@composed(inplace=True)
def addbmm(input, batch1, batch2, *, beta=1, alpha=1):
    """beta * input + alpha * the sum over b of batch1[b] @ batch2[b], input broadcast to (N, M)."""
    ranks("addbmm", (batch1, 3), (batch2, 3))
    if batch1.shape[0] != batch2.shape[0] or batch1.shape[2] != batch2.shape[1]:
        raise RuntimeError(f"addbmm: {tuple(batch1.shape)} and {tuple(batch2.shape)} have no products")
    left = batch1.movedim(0, 1).reshape(batch1.shape[1], -1)                       # (N, B K)
    return added("addbmm", input, matmul(left, batch2.reshape(-1, batch2.shape[2])), beta, alpha)

addbmm.case(normal(3, 5), normal(2, 3, 4), normal(2, 4, 5))
addbmm.case(normal(5), normal(2, 3, 4), normal(2, 4, 5), beta=2, alpha=3)
addbmm.case(normal(3, 1), normal(1, 3, 4), normal(1, 4, 5), beta=0)


@composed(inplace=True)
def baddbmm(input, batch1, batch2, *, beta=1, alpha=1):
    """beta * input + alpha * (batch1[b] @ batch2[b] for every b), input broadcast to (B, N, M)."""
    return added("baddbmm", input, bmm(batch1, batch2), beta, alpha)

baddbmm.case(normal(2, 3, 5), normal(2, 3, 4), normal(2, 4, 5))
baddbmm.case(normal(5), normal(2, 3, 4), normal(2, 4, 5), beta=2, alpha=3)
baddbmm.case(normal(2, 1, 5), normal(2, 3, 4), normal(2, 4, 5), beta=0)
