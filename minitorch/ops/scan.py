"""Running sums, products and extremes along an axis.

Derivatives run the recurrence s_k = a_k s_(k-1) + b_k, which divides by nothing and is its own transpose,
read backwards: right where factors are zero, without overflow, and differentiable any number of times.
"""
import math
from collections import namedtuple

import numpy as np

from .. import dtypes
from ..autograd import loops
from ..autograd.op import composed, op
from ..backend import xp
from ..cases import booleans, distinct, integers, normal
from ..dtypes import F32, F64, I64, is_float, is_half
from .pad import shifted
from .dims import axis
from .join import cat
from .rows import slice_of

Found = namedtuple("Found", "values indices")        # what max, median, sort ... along an axis return


def at(dim, part):
    """An index that takes `part` of axis `dim`."""
    return (slice(None),) * dim + (part,)


# ---- running sums ---------------------------------------------------------------------------------------------

def accumulated(method, input, dim, dtype, step=1):
    """cumsum or cumprod of an array in PyTorch's dtypes: floats in the widest there is, rounded once.  step -1: from the end."""
    d = input.dtype if dtype is None else dtypes.numpy_dtype(dtype)
    if dtype is None and not is_float(d):
        d = I64
    dim = axis(dim, input.ndim)
    if not input.ndim:
        return input.astype(d)
    input = input if input.dtype == d else input.astype(d)
    if (d is F32 or d is F64) and input.size > MANY and type(input) is np.ndarray:
        if loops.wanted(input, MANY):
            return loops.module("scan").accumulated(method, np.ascontiguousarray(input), dim, step)
        if (rows := row_blocks.matrix(input, dim)) is not None and len(rows) > 1:
            def of_rows(y, x):
                np.copyto(y[:, ::step], getattr(x[:, ::step], method)(1, F64), "same_kind")
            return row_blocks.like(input, of_rows, rows, at_once=True)     # in small blocks two threads are hardly sooner done than one
        if math.prod(input.shape[dim + 1:]) >= WIDE:
            return accumulated_row_by_row(method, input, dim, step)
    wide = F64 if d is F32 else F32 if is_half(d) else d
    if step == 1:
        y = getattr(input, method)(dim, wide)
    else:
        back = at(dim, slice(None, None, -1))
        y = getattr(input[back], method)(dim, wide)[back]
    return y if wide is d else y.astype(d)


MANY = 5000                                          # numbers from which more than NumPy's way is worth it
WIDE = 128                                           # numbers after an axis from which adding them all at once beats NumPy's way


def accumulated_row_by_row(method, x, dim, step):
    """cumsum or cumprod along an axis that is not the last: each row is the one before with the next of x joined to it."""
    y = np.empty_like(x)
    join, total = (np.add, 0.0) if method == "cumsum" else (np.multiply, 1.0)
    total = np.full(x.shape[:dim] + x.shape[dim + 1:], total)
    for i in range(x.shape[dim])[::step]:
        join(total, x[at(dim, i)], out=total)
        y[at(dim, i)] = total
    return y


@op(inplace=True)
def cumsum(input, /, dim, dtype=None):
    """y[i] = x[0] + ... + x[i] along `dim`.  Integers and booleans add up in int64."""
    return accumulated("cumsum", input, dim, dtype)


@op(home="")
def cumsum_from_end(input, /, dim):
    """y[i] = x[i] + ... + x[n - 1] along `dim`: the transpose of cumsum."""
    return accumulated("cumsum", input, dim, None, -1)


cumsum.vjp(lambda g, dim: cumsum_from_end(g, dim))
cumsum_from_end.vjp(lambda g, dim: cumsum(g, dim))
cumsum.case(normal(3, 4), 0)
cumsum.case(normal(2, 3, 4), -2)
cumsum.case(normal(), 0)
cumsum.case(booleans(3, 4), dim=1)
cumsum.case(normal(3, 4), 1, dtype="float64")
cumsum.case(normal(3, 0), 1)
cumsum_from_end.case(normal(3, 4), 0)
cumsum_from_end.case(normal(2, 3, 4), -1)
cumsum_from_end.case(normal(), 0)


# ---- the recurrence ---------------------------------------------------------------------------------------------

@op(home="", numbers="half")
def recurrence(a, b, /, dim, backwards=False):
    """s_k = a_k s_(k-1) + b_k along `dim`, starting from 0; backwards: s_k = a_k s_(k+1) + b_k.

    Steps are joined two by two, then four by four, ...: log2(n) passes over whole arrays.
    """
    n, step = b.shape[dim], 1
    a, s = a.copy(), b.copy()
    while step < n:
        new, old = slice(step, None), slice(None, -step)
        if backwards:
            new, old = old, new
        new, old = at(dim, new), at(dim, old)
        s[new] += a[new] * s[old]
        a[new] = a[new] * a[old]
        step *= 2
    return s


@recurrence.joint_vjp
def _(g, a, y, dim, backwards):
    to_next, to_last = (1, -1) if backwards else (-1, 1)
    t = recurrence(shifted(a, dim, to_next, 0), g, dim, not backwards)
    return t * shifted(y, dim, to_last, 0.0), t


recurrence.case(normal(3, 5), normal(3, 5), 1)
recurrence.case(normal(4, 2), normal(4, 2), 0, True)
recurrence.case(normal(2, 1, 3), normal(2, 1, 3), 1)


@op(inplace=True)
def cumprod(input, /, dim, dtype=None):
    """y[i] = x[0] x[1] ... x[i] along `dim`.  Integers and booleans multiply in int64."""
    return accumulated("cumprod", input, dim, dtype)

cumprod.vjp(lambda g, input, y, dim: cumprod_vjp(g, input, y, dim))
cumprod.case(normal(3, 4), 0)
cumprod.case(normal(2, 5, 2), -2)
cumprod.case(np.array([[0.0, 2.0, 3.0], [2.0, 0.0, 1.5], [0.0, 2.0, 0.0]]), 1)
cumprod.case(normal(), 0)
cumprod.case(integers(3, 4, high=3), dim=1)
cumprod.case(normal(3, 4), 1, dtype="float64")
cumprod.case(normal(3, 0), 1)


def cumprod_vjp(g, x, y, dim):
    if not len(x.shape):
        return g
    dim %= len(x.shape)
    if reduce.without_zeros(x):
        return cumsum_from_end(g * y, dim) / x
    t = recurrence(shifted(x, dim, -1, 0.0), g, dim, True)          # t_k = g_k + x_(k+1) t_(k+1)
    return t * cumprod(shifted(x, dim, 1, 1.0), dim)                # times the product of all earlier ones


# ---- running log of a sum of exponential --------------------------------------------------------------------------

def running(name, x, dim):
    """ufunc.accumulate of NumPy's function `name` along `dim`, by doubling where the library has none."""
    f = getattr(xp(x), name)
    if xp(x).__name__ == "numpy":
        return f.accumulate(x, dim)
    y, step = x.copy(), 1
    while step < x.shape[dim]:
        new, old = at(dim, slice(step, None)), at(dim, slice(None, -step))
        y[new] = f(y[new], y[old])
        step *= 2
    return y


@op(numbers="half")
def logcumsumexp(input, /, dim):
    """y[i] = log(e^x[0] + ... + e^x[i]) along `dim`, without overflow.  Floats only."""
    if not is_float(input.dtype):
        raise NotImplementedError(f"\"logcumsumexp\" not implemented for '{dtypes.of(input.dtype)}'")
    dim = axis(dim, input.ndim)
    return running("logaddexp", input, dim) if input.ndim else input.copy()

logcumsumexp.vjp(lambda g, input, y, dim: logcumsumexp_vjp(g, input, y, dim))
logcumsumexp.case(normal(3, 4), 0)
logcumsumexp.case(normal(2, 5, 2), -2)
logcumsumexp.case(normal(), 0)
logcumsumexp.case(normal(3, 0), 1)


def logcumsumexp_vjp(g, x, y, dim):
    if not len(x.shape):
        return g
    exp = exponential.exp
    dim %= len(x.shape)
    decay = exp(gap(y, shifted(y, dim, -1, float("inf"))))          # at most 1: y rises
    return exp(gap(x, y)) * recurrence(decay, g, dim, True)


@op(home="", numbers="promote")
def gap(input, other, /):
    """input - other, and 0 between equal infinities."""
    return xp(input).where(input == other, input.dtype.type(0), input - other)

gap.vjp(lambda g: g,
        lambda g: -g)
gap.case(normal(3, 4), normal(3, 4))
gap.case(normal(3, 1), normal(4))


# ---- running extremes --------------------------------------------------------------------------------------------------

def running_extreme(name, input, dim):
    """(extremes so far, where the last of them stood); NaN counts as extreme."""
    dim = axis(dim, input.ndim)
    library = xp(input)
    if not input.ndim:
        return Found(input.copy(), library.zeros((), I64))
    y = running(name, input, dim)
    here = library.arange(input.shape[dim]).reshape((-1,) + (1,) * (input.ndim - dim - 1))
    return Found(y, running("maximum", library.where((input == y) | (input != input), here, 0), dim))


@op
def cummax(input, /, dim):
    """(values, indices): the largest element so far along `dim`, and where it stood last."""
    return running_extreme("maximum", input, dim)


@op
def cummin(input, /, dim):
    """(values, indices): the smallest element so far along `dim`, and where it stood last."""
    return running_extreme("minimum", input, dim)


def extreme_vjp(g, indices, dim):
    """Each gradient added where its extreme stood."""
    n = len(indices.shape)
    return gather.scatter_along(g, indices, shape=tuple(indices.shape), dim=dim % n) if n else g


cummax.vjp(lambda g, y1, dim: extreme_vjp(g, y1, dim))
cummin.vjp(lambda g, y1, dim: extreme_vjp(g, y1, dim))
for _f in (cummax, cummin):
    _f.case(distinct(3, 5), 1)
    _f.case(distinct(2, 5, 2), -2)
    _f.case(distinct(), 0)
    _f.case(integers(3, 6), dim=1)
    _f.case(distinct(0, 3), 0)


# ---- differences: the inverse of running sums ------------------------------------------------------------------------------

@composed
def diff(input, n=1, dim=-1, prepend=None, append=None):
    """y[i] = x[i + 1] - x[i] along `dim`, `n` times; of booleans, where neighbours differ.

    prepend, append: joined to `input` before that.
    """
    if not input.shape:
        raise RuntimeError("diff expects input to be at least one-dimensional")
    if n < 0:
        raise RuntimeError(f"order must be non-negative but got {n}")
    dim = axis(dim, len(input.shape))
    if prepend is not None or append is not None:
        input = cat([t for t in (prepend, input, append) if t is not None], dim)
    for _ in range(min(n, input.shape[dim])):
        after, before = slice_of(input, index=at(dim, slice(1, None))), slice_of(input, index=at(dim, slice(None, -1)))
        input = after != before if getattr(input, "array", input).dtype.kind == "b" else after - before
    return input

diff.case(normal(3, 4))
diff.case(normal(3, 4), 2, 0)
diff.case(normal(2, 4), dim=1, prepend=normal(2, 1), append=normal(2, 2))
diff.case(booleans(5))
diff.case(normal(3, 4), 0)
diff.case(normal(3, 4), n=5)


from . import exponential, gather, reduce, row_blocks  # noqa: E402  (last: the modules of ops name each other)
