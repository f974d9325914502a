"""Norms of vectors.  Their gradient at zero is the subgradient 0, as in PyTorch."""
from math import inf, isinf

import numpy as np

from .. import dtypes
from ..autograd.op import composed, op
from ..backend import xp
from ..cases import normal, positive
from . import row_blocks
from .dims import axes, kept, over
from .dtype import cast
from .ties import shared


@op(home="", numbers="half", called="linalg_vector_norm")
def norm_over(input, /, ord, dim, keepdim):
    """(sum |x|^ord)^(1/ord) over the axes `dim`; for ord 0 the number of nonzeros, for inf and -inf the extreme |x|."""
    axes = over(dim, keepdim, input.ndim)
    reduction = "sum" if not isinf(ord) else "max" if ord > 0 else "min"
    if (rows := row_blocks.matrix(input, axes)) is not None:
        of_rows = row_blocks.squares if ord == 2 else lambda x: getattr(np, reduction)(powers(x, ord), 1)
        y = row_blocks.shaped(row_blocks.folded(of_rows, getattr(np, reduction), rows, at_once=ord == 2), input, axes, keepdim)
    else:
        y = getattr(powers(input, ord), reduction)(axis=axes, keepdims=keepdim)
    return xp(input).sqrt(y) if ord == 2 else y if ord in (0, 1) or isinf(ord) else y ** (1 / ord)


def powers(x, ord):
    """What a norm adds up: |x|^ord; for inf and -inf |x|."""
    if ord == 2:
        return x * x
    if ord == 0:
        return (x != 0).astype(x.dtype)
    size = xp(x).abs(x)
    return size if ord == 1 or isinf(ord) else xp(x).power(size, ord)


norm_over.vjp(lambda g, input, y, ord, dim: norm_gradient(g, input, y, ord=ord, dim=dim) if ord else None)
norm_over.case(normal(3, 4), 2, None, False)
norm_over.case(normal(2, 3, 4), 3, (0, -1), True)
norm_over.case(normal(3, 4), 1, 1, False)
norm_over.case(normal(3, 4), inf, 0, False)
norm_over.case(normal(3, 4), -inf, None, True)
norm_over.case(normal(3, 4), 1.7, 1, True)


def norm_gradient_reference(input, x, value, ord, dim):
    form = kept(x.shape, dim)
    if isinf(ord):
        return elementwise.sign(x) * shared(input, elementwise.abs(x), value, dim)
    return derivative(input.reshape(form), x, value.reshape(form), ord)


def derivative(g, x, y, ord):
    """g sign(x) |x|^(ord - 1) / y^(ord - 1), and 0 where x or y is 0, in derivatives of every order."""
    if ord == 2:
        return x / (y + (y == 0)) * (g * (y != 0))
    if ord == 1:
        return g * elementwise.sign(x)
    size = elementwise.abs(x)
    return elementwise.sign(x) * (size + (size == 0)) ** (ord - 1) * (g * (y + (y == 0) if ord > 1 else y) ** (1 - ord))


@op(home="", numbers="half", reference=norm_gradient_reference, called="linalg_vector_norm_backward")
def norm_gradient(input, x, value, /, ord, dim):
    """The gradient `input` of norm_over's result `value` times its derivative at x."""
    rows = row_blocks.matrix(x, over(dim, False, x.ndim))
    if rows is None or isinf(ord):
        return norm_gradient_reference(input, x, value, ord, dim)

    def of_rows(gx, x, y, g):
        gx[...] = derivative(g, x, y, ord)
    return row_blocks.like(x, of_rows, rows, value.reshape(-1, 1), input.reshape(-1, 1))


@norm_gradient.loop("reduce", least=5000, by=1)
def _(loops, input, x, value, ord, dim):
    rows = row_blocks.matrix(x, over(dim, False, x.ndim), 1, 1)
    if rows is None or ord not in (1, 2):
        return NotImplemented
    g, value = input.reshape(-1, 1), value.reshape(-1, 1)
    if ord == 1:
        return row_blocks.like(x, loops.signed, rows, g, at_once=True)
    return row_blocks.like(x, loops.divided, rows, value + (value == 0), g * (value != 0), at_once=True)


norm_gradient.case(normal(), normal(3, 4), positive(), 2, None)
norm_gradient.case(normal(3), normal(3, 4), positive(3), 1, 1)
norm_gradient.case(normal(3, 1), normal(3, 4), positive(3, 1), 1.7, (-1,))


def checked(name, x, dtype):
    """`x` in `dtype`; RuntimeError for what is not a float."""
    array = getattr(x, "array", x)
    if not dtypes.is_float(array.dtype):
        raise RuntimeError(f"{name}: Expected a floating point or complex tensor as input. Got {dtypes.of(array.dtype).name}")
    if dtype is None:
        return x
    wanted = dtypes.numpy_dtype(dtype)
    if dtypes.promote(wanted, array.dtype) != wanted:
        raise RuntimeError(f"{name}: the dtype of the input ({dtypes.of(array.dtype)}) should be convertible without narrowing to the "
                           f"specified dtype ({dtypes.of(wanted)})")
    return cast(x, dtype=wanted)


@composed(home="linalg", method=False)
def vector_norm(x, ord=2, dim=None, keepdim=False, *, dtype=None):
    """(sum |x|^ord)^(1/ord) over `dim`: an int, several, or None for all.  ord 0 counts nonzeros; inf and -inf give the extreme |x|.

    dtype: what `x` is converted to first.
    """
    x = checked("linalg.vector_norm", x, dtype)
    dims = None if dim is None or not len(dim if isinstance(dim, (tuple, list)) else (dim,)) else axes(dim, len(x.shape))
    if (ord < 0 or ord == inf) and 0 in x.shape and (dims is None or [d for d in dims if not x.shape[d]]):
        raise RuntimeError(f"linalg.vector_norm cannot compute the {ord} norm on an empty tensor because the operation does not have an "
                           f"identity; the shape is {tuple(x.shape)}")
    return norm_over(x, ord, dims, keepdim)

vector_norm.case(normal(3, 4))
vector_norm.case(normal(3, 4), 1)
vector_norm.case(normal(2, 3, 4), 3, (0, -1), True)
vector_norm.case(normal(3, 4), inf, dim=1)
vector_norm.case(normal(3, 4), -inf)
vector_norm.case(normal(3, 4), 0, 0)
vector_norm.case(normal(3, 4), -1, dim=-1)
vector_norm.case(normal(), 2)
vector_norm.case(normal(3), dtype="float64")
vector_norm.case(normal(0, 3))
vector_norm.case(normal(0, 3), inf, 1)


@composed(home="linalg", method=False)
def norm(A, ord=None, dim=None, keepdim=False, *, dtype=None):
    """A vector's norm for one axis (or for all, when neither `ord` nor `dim` is given), a matrix's for two."""
    n = len(A.shape)
    dims = None if dim is None else tuple(dim) if isinstance(dim, (tuple, list)) else (dim,)
    if ord is None:
        return vector_norm(A, 2, dims, keepdim, dtype=dtype)
    if dims is not None and len(dims) not in (1, 2):
        raise RuntimeError(f"linalg.norm: If dim is specified, it must be of length 1 or 2. Got {list(dims)}")
    if dims is None and n not in (1, 2):
        raise RuntimeError(f"linalg.norm: If dim is not specified but ord is, the input must be 1D or 2D. Got {n}D.")
    if isinstance(ord, str) or len(dims if dims is not None else A.shape) == 2:
        if dims is not None and len(dims) == 1:
            raise RuntimeError(f"linalg.matrix_norm: dim must be a 2-tuple. Got {dim}")
        from .matrix_norms import matrix_norm
        return matrix_norm(A, ord, dims or (-2, -1), keepdim, dtype=dtype)
    return vector_norm(A, ord, dims, keepdim, dtype=dtype)

norm.case(normal(2, 3, 4))
norm.case(normal(3, 4), 1)
norm.case(normal(4), 3)
norm.case(normal(3, 4), "fro")
norm.case(normal(2, 3, 4), 1, dim=(0, 2), keepdim=True)
norm.case(normal(2, 3, 4), inf, dim=1)
linalg_norm = norm


@composed  # type: ignore[no-redef]
def norm(input, p="fro", dim=None, keepdim=False, out=None, dtype=None):  # noqa: F811  (torch.norm beside torch.linalg.norm)
    """The p-norm over `dim`: an int, several, or None for all.  p: a number, "fro" (2), or "nuc" (of matrices)."""
    if p == "nuc":
        from .matrix_norms import matrix_norm
        return matrix_norm(input, "nuc", (-2, -1) if dim is None else dim, keepdim, dtype=dtype)
    return vector_norm(input, 2 if p == "fro" or p is None else p, dim, keepdim, dtype=dtype)

norm.case(normal(3, 4))
norm.case(normal(3, 4), 1)
norm.case(normal(2, 3, 4), 3, (0, -1), True)
norm.case(normal(3, 4), inf, dim=1)
norm.case(normal(3, 4), "nuc")
norm.case(normal(3, 4), p=2, dim=1, dtype="float64")


@composed
def dist(input, other, p=2):
    """The p-norm of input - other."""
    difference = input - other
    return norm_over(checked("dist", difference, None), p, None, False)

dist.case(normal(3, 4), normal(3, 4))
dist.case(normal(3, 4), normal(4), 1)
dist.case(normal(3), normal(3), p=inf)
dist.case(normal(3), normal(3), 3)


from . import elementwise  # noqa: E402  (last: the modules of ops name each other)
