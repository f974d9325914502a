"""Where along an axis the largest or the smallest element stands, the first of several; a NaN is both."""
from math import prod

import numpy as np

from ..autograd.op import op
from ..cases import distinct, integers
from ..dtypes import I64
from . import row_blocks
from .dims import count, kept, one
from .scan import Found


FEW = 16                                             # numbers for each that is equal to an extreme


def require_elements(name, input, dim, error=RuntimeError):
    """What PyTorch says to the extreme of nothing."""
    if dim is None or dim == () or dim == []:
        if not input.size:
            raise error(f"{name}: Expected reduction dim to be specified for input.numel() == 0. Specify the reduction dim with the "
                        "'dim' argument.")
    elif not count(input.shape, dim):
        empty = [d for d in (dim if isinstance(dim, (tuple, list)) else (dim,)) if not input.shape[d]]
        raise IndexError(f"{name}: Expected reduction dim {empty[0]} to have non-zero size.")


def found_at(x, indices, dim, keepdim):
    """(what stands at `indices`, of size 1 along `dim`, and they)."""
    found = Found(np.take_along_axis(x, indices, dim), indices)
    return found if keepdim else Found(*[y.squeeze(dim) for y in found])


def places(name, x, dim):
    """x.argmax or x.argmin along `dim`, which stays; sooner than NumPy where few are equal to an extreme, and it is not the last axis."""
    if x.size >= row_blocks.LARGE and dim % x.ndim < x.ndim - 1 and x.flags.c_contiguous:
        extremes = extreme.extreme_over(name[3:], x, dim, True)
        best = (x == extremes) | (x != x) if (extremes != extremes).any() else x == extremes
        if np.count_nonzero(best) * FEW < x.size:
            tail = prod(x.shape[dim % x.ndim + 1:])
            before, column = np.divmod(np.flatnonzero(best)[::-1], tail)             # the first ones are written last
            lead, row = np.divmod(before, x.shape[dim])
            y = np.empty(extremes.shape, I64)
            y.reshape(-1)[lead * tail + column] = row
            return y
    return getattr(x, name)(dim, None, keepdims=True)


def places_by_loop(columns, sign, x, dim, keepdim):
    """The same, compiled; NotImplemented for the last axis, which NumPy is good at."""
    d = one(dim, keepdim, x.ndim)
    return NotImplemented if d is None or not x.size or d % x.ndim == x.ndim - 1 else columns.place(x, d % x.ndim, sign)


@op(differentiable=False)
def argmax(input, /, dim=None, keepdim=False):
    """Where the largest element stands along `dim`; without `dim`, counted over all in row-major order."""
    return place_of("argmax", input, dim, keepdim)


@op(differentiable=False)
def argmin(input, /, dim=None, keepdim=False):
    """Where the smallest element stands along `dim`; without `dim`, counted over all in row-major order."""
    return place_of("argmin", input, dim, keepdim)


def place_of(name, x, dim, keepdim):
    if x.dtype.kind == "b":
        raise RuntimeError(f"{name}(): does not support bool input")
    d = one(dim, keepdim, x.ndim)
    require_elements(name, x, d, IndexError)
    if d is not None and x.size >= row_blocks.LARGE and type(x) is np.ndarray:
        y = places(name, x, d)
        return y if keepdim else y.squeeze(d)
    y = getattr(x, name)(d)
    return y.reshape(kept(x.shape, d)) if keepdim else y


@argmax.loop("columns", least=5000)
def _(columns, input, dim=None, keepdim=False):
    y = places_by_loop(columns, 1, input, dim, keepdim)
    return y if y is NotImplemented or keepdim else y.squeeze(dim)


@argmin.loop("columns", least=5000)
def _(columns, input, dim=None, keepdim=False):
    y = places_by_loop(columns, -1, input, dim, keepdim)
    return y if y is NotImplemented or keepdim else y.squeeze(dim)


for _f in (argmax, argmin):
    _f.case(distinct(3, 4))
    _f.case(distinct(3, 4), 1)
    _f.case(distinct(2, 3, 4), dim=-2, keepdim=True)
    _f.case(distinct(3, 4), None, True)
    _f.case(distinct(), 0)
    _f.case(integers(3, 4), 0)


from . import extreme  # noqa: E402  (last: the modules of ops name each other)
