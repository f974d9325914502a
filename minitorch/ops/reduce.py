"""Sums, means and products: many numbers made one.

Derivatives repeat the gradient over the axes that were summed: `spread` is the transpose of `sum`.
"""
import math

import numpy as np

from .. import blas, dtypes
from ..autograd.op import composed, op
from ..backend import MODULES, xp
from ..cases import booleans, integers, normal
from ..dtypes import F32, F64, I64, is_float, is_half
from .dims import count, kept, one, over, sizes


@op
def sum(input, /, dim=None, keepdim=False, dtype=None):
    """Sum over `dim`: an int, several, or None for all.  Integers and booleans add up in int64.

    dtype: what `input` is converted to first.
    """
    axis = dim if dim is None and keepdim is False else over(dim, keepdim, input.ndim)
    d = input.dtype
    if dtype is not None:
        d = dtypes.numpy_dtype(dtype)
        input = input.astype(d)
    if d is F32 or d is F64:
        return added(input, axis, keepdim)
    if is_half(d):
        return input.sum(axis, F32, None, keepdim).astype(d)
    return input.sum(axis, I64 if dtype is None and not is_float(d) else d, None, keepdim)

sum.vjp(lambda g, input_shape, dim: spread(g, dim, input_shape))
sum.case(normal(3, 4))
sum.case(normal(3, 4), 0)
sum.case(normal(2, 3, 4), (0, -1), True)
sum.case(normal(2, 3), dim=-2, keepdim=True)
sum.case(normal(7000, 3), -1, True)
sum.case(normal(900, 30), 1)
sum.case(normal(30, 90, 10), -1, True)
sum.case(normal(), 0)
sum.case(normal(0, 3), 0)
sum.case(booleans(3, 4), 1)
sum.case(normal(3, 4), 1, dtype="float64")
sum.case(integers(3, 4), (), dtype="int32")


FEW = 20000                                          # numbers below which NumPy's sums are the best


def added(x, axis, keepdim):
    """The sum of floats."""
    if x.size < FEW or type(x) is not np.ndarray:
        return x.sum(axis, None, None, keepdim)
    if type(axis) is int and x.shape[axis] <= 8:
        return sum_of_few(x, axis, keepdim)
    if (rows := row_blocks.matrix(x, axis, FEW if type(axis) is int else None)) is not None:
        with blas.alone():
            y = row_blocks.folded(row_blocks.sums, np.sum, rows, at_once=True, least=column_blocks.LEAST)
        return row_blocks.shaped(y, x, axis, keepdim)
    if (columns := column_blocks.stack(x, axis, FEW)) is not None:
        return column_blocks.shaped(column_blocks.sums_of_each(columns), x, axis, keepdim)
    once = x[tuple([slice(None) if stride else slice(0, 1) for stride in x.strides])]
    if once.size < x.size:                           # what is repeated is added up by a product, rounded once
        y = added(once, axis, True)
        shape = kept(x.shape, axis)
        times = x.size * y.size // (once.size * math.prod(shape))        # of what is summed up
        y = np.array(np.broadcast_to(y * x.dtype.type(times), shape))
        return y if keepdim else y.reshape(()) if axis is None else y.squeeze(axis)
    axes = sorted([d % x.ndim for d in axis]) if type(axis) is tuple and x.flags.c_contiguous else [0]
    for k in range(len(axes) - 1, 0, -1):
        if axes[k] - axes[k - 1] > 1:                # first over the last of them that are neighbours
            y = added(added(x, tuple(axes[k:]), True), tuple(axes[:k]), True)
            return y if keepdim else y.squeeze(axis)
    return x.sum(axis, None, None, keepdim)


def sum_of_few(x, axis, keepdim):
    """Sum over an axis of up to 8 elements, one after the other: NumPy takes ten times as long where it is the last."""
    parts = np.moveaxis(x, axis, 0)
    y = parts[0] + parts[1] if len(parts) > 1 else parts[:1].sum(0)
    for part in parts[2:]:
        y += part
    return np.expand_dims(y, axis) if keepdim else y


def spread(g, dim, shape):
    """`g`, the gradient of what was reduced over `dim`, repeated to the full `shape`."""
    g = g.reshape(kept(shape, dim))
    return strides.expanded(g, shape) if type(g) in MODULES else strides.expand_to(g, shape)


@op
def mean(input, /, dim=None, keepdim=False, dtype=None):
    """Mean over `dim`: an int, several, or None for all.  RuntimeError for integers, unless `dtype` makes them floats."""
    axis = over(dim, keepdim, input.ndim)
    d = input.dtype if dtype is None else dtypes.numpy_dtype(dtype)
    if not is_float(d):
        raise RuntimeError("could not infer output dtype. Input dtype must be either a floating point or complex dtype. "
                           f"Got: {dtypes.of(d).name}")
    if dtype is not None:
        input = input.astype(d)
    y = input.sum(axis, F32, None, keepdim) if is_half(d) else added(input, axis, keepdim)
    y = y / (input.size // (y.size or 1))
    return y.astype(d) if is_half(d) else y

mean.vjp(lambda g, input_shape, dim: spread(g * inverse(count(input_shape, dim)), dim, input_shape))
mean.case(normal(3, 4))
mean.case(normal(3, 4), 1)
mean.case(normal(3, 4), 0)
mean.case(normal(2, 3, 4), (0, 2), True)
mean.case(normal(), -1)
mean.case(integers(3, 4), 0, dtype="float32")


def inverse(n):
    """1 / n, also for n = 0."""
    return 1 / n if n else float("inf")


@op(home="")
def without_nan(input, /):
    """`input` with 0 for every NaN."""
    return xp(input).where(input == input, input, input.dtype.type(0))

without_nan.vjp(lambda g, input: g * (input == input))
without_nan.case(normal(3, 4))


@composed
def nansum(input, dim=None, keepdim=False, *, dtype=None):
    """Sum over `dim` of what is not NaN."""
    return sum(without_nan(input), dim, keepdim, dtype=dtype)

nansum.case(normal(3, 4))
nansum.case(normal(3, 4), 0)
nansum.case(normal(2, 3, 4), (0, -1), True)
nansum.case(integers(3, 4), 1)


@composed
def nanmean(input, dim=None, keepdim=False, *, dtype=None):
    """Mean over `dim` of what is not NaN; NaN where nothing is left.  RuntimeError for integers."""
    if not is_float(getattr(input, "array", input).dtype):
        raise RuntimeError(f"nanmean(): expected input to have floating point or complex dtype but got {input.dtype}")
    return nansum(input, dim, keepdim, dtype=dtype) / sum(input == input, dim, keepdim)

nanmean.case(normal(3, 4))
nanmean.case(normal(3, 4), 0)
nanmean.case(normal(2, 3, 4), (0, -1), True)


@op
def prod(input, /, dim=None, keepdim=False, dtype=None):
    """Product over the axis `dim`, or of all.  Integers multiply in int64."""
    axis = one(dim, keepdim, input.ndim)
    d = input.dtype
    if dtype is not None:
        d = dtypes.numpy_dtype(dtype)
        input = input.astype(d)
    if is_half(d):
        return input.prod(axis, F32, None, keepdim).astype(d)
    if (d is F32 or d is F64) and (rows := row_blocks.matrix(input, axis)) is not None:
        return row_blocks.shaped(row_blocks.folded(products, np.prod, rows, at_once=True), input, axis, keepdim)
    return input.prod(axis, I64 if dtype is None and not is_float(d) else d, None, keepdim)


@prod.loop("reduce", least=5000)
def _(loops, input, dim=None, keepdim=False, dtype=None):
    axis = one(dim, keepdim, input.ndim)
    rows = row_blocks.matrix(input, axis, 1, 1)
    if rows is None or dtype is not None:
        return NotImplemented
    return row_blocks.shaped(row_blocks.folded(loops.products, np.prod, rows, at_once=True), input, axis, keepdim)


prod.vjp(lambda g, input, y, dim: spread(g * y, dim, input.shape) / input if usual(y) or without_zeros(input) else
         spread(g, dim, input.shape) * product_of_others(input, dim))
prod.case(normal(3, 4))
prod.case(normal(3, 4), 1)
prod.case(normal(2, 3, 4), -2, True)
prod.case(np.array([[0.0, 2.0, 3.0], [0.0, 0.0, 1.5], [1.0, 2.0, 3.0]]), 1)
prod.case(np.array([0.0, 2.0, 3.0]))
prod.case(normal(), 0)
prod.case(integers(2, 3, low=0, high=3), 0)
prod.case(normal(0, 3), 0)
prod.case(normal(3), 0, dtype="float64")


def products(x):
    """The product of each row of a matrix, whose parts are multiplied until little is left: NumPy takes five times as long."""
    N, D = x.shape
    if D >= 256:
        end = D - D % 128
        y = x[:, :end].reshape(N, -1, 128).prod(1)
        y[:, :D - end] *= x[:, end:]
        x = y
    while x.shape[1] > 16:
        half = x.shape[1] // 2
        y = x[:, :half] * x[:, half:2 * half]
        if x.shape[1] % 2:
            y[:, 0] *= x[:, -1]
        x = y
    return x.prod(1)


def usual(y):
    """Whether no product is 0 or NaN, and so no factor 0."""
    return not bool(any((y == 0) | (y != y)))


def without_zeros(x):
    return not bool(any(x == 0))


def product_of_others(x, dim):
    """For each element of `x` the product of all others along `dim` (None: all), without a division."""
    if dim is None or not len(x.shape):
        return product_of_others(x.reshape((-1,)), 0).reshape(x.shape)
    dim %= len(x.shape)
    before = scan.cumprod(pad.shifted(x, dim, 1, 1.0), dim)      # product of all earlier ones
    y = arrange.reversed_along(x, (dim,))
    return before * arrange.reversed_along(scan.cumprod(pad.shifted(y, dim, 1, 1.0), dim), (dim,))


# ---- the rest --------------------------------------------------------------------------------------------

@op(differentiable=False)
def all(input, /, dim=None, keepdim=False):
    """Whether all elements over `dim` (an int, several, or None for all) are nonzero; of uint8 uint8, else bool."""
    return truth(input, "all", dim, keepdim)

all.case(booleans(3, 4))
all.case(booleans(3, 4), 1)
all.case(booleans(2, 3, 4), (0, -1), True)
all.case(integers(3, 4), dim=0, keepdim=True)
all.case(normal(0, 3), 0)
all.case(booleans(3, 4), ())


@op(differentiable=False)
def any(input, /, dim=None, keepdim=False):
    """Whether any element over `dim` (an int, several, or None for all) is nonzero; of uint8 uint8, else bool."""
    return truth(input, "any", dim, keepdim)

any.case(booleans(3, 4))
any.case(booleans(3, 4), 1)
any.case(booleans(2, 3, 4), (0, -1), True)
any.case(integers(3, 4), dim=0, keepdim=True)
any.case(normal(0, 3), 0)
any.case(booleans(3, 4), ())


def truth(x, method, dim, keepdim):
    axis = over(dim, keepdim, x.ndim)
    y = x if x.dtype.kind == "b" else x != 0
    y = getattr(y, method)(axis, keepdims=keepdim) if dim != () else y
    return y.astype(x.dtype) if x.dtype.name == "uint8" else y


@op(differentiable=False)
def count_nonzero(input, /, dim=None):
    """How many elements over `dim` (an int, several, or None for all) are not zero."""
    return (input != 0).sum(over(dim, False, input.ndim), I64)

count_nonzero.case(integers(3, 4))
count_nonzero.case(integers(3, 4), 1)
count_nonzero.case(integers(2, 3, 4), dim=(0, -1))


@composed
def sum_to_size(input, *size):
    """`input` summed down to a shape that broadcasts to its own."""
    shape = sizes(size, "sum_to_size")
    lead = len(input.shape) - len(shape)
    if lead < 0 or [n for n, m in zip(shape, input.shape[lead:]) if n not in (1, m)]:
        raise RuntimeError(f"size {list(shape)} is not expandable to size {list(input.shape)}.")
    dims = tuple(range(lead)) + tuple(i + lead for i, n in enumerate(shape) if n != input.shape[i + lead])
    return sum(input, dims, True).reshape(shape) if dims else input

sum_to_size.case(normal(2, 3, 4), 3, 1)
sum_to_size.case(normal(2, 3, 4), (3, 4))


from . import arrange, column_blocks, pad, row_blocks, scan, strides  # noqa: E402  (last: the modules of ops name each other)
