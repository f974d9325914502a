"""Where along an axis the largest or the smallest element stands, the first of several; a NaN is both."""
from math import prod

import numpy as np

from ..autograd import loops
from ..autograd.op import op
from ..cases import distinct, integers
from ..dtypes import I64
from .dims import count, kept, one
from .scan import Found


MANY = 5000                                          # numbers from which more than NumPy's way is worth it
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
    """x.argmax or x.argmin along `dim`, which stays.  NumPy's are slow where that is not the last axis."""
    d = dim % x.ndim
    if d < x.ndim - 1 and loops.wanted(x, MANY):
        return loops.module("columns").place(np.ascontiguousarray(x), d, 1 if name == "argmax" else -1)
    return sparse_places(name, x, d) if d < x.ndim - 1 and x.flags.c_contiguous else getattr(x, name)(d, None, keepdims=True)


def sparse_places(name, x, dim):
    """The same from the extremes and the places of all that equal them, if those are few."""
    extremes = extreme.extreme_over(name[3:], x, dim, True)
    best = (x == extremes) | (x != x) if (extremes != extremes).any() else x == extremes
    if np.count_nonzero(best) * FEW > x.size:
        return getattr(x, name)(dim, None, keepdims=True)
    tail = prod(x.shape[dim + 1:])
    before, column = np.divmod(np.flatnonzero(best)[::-1], tail)     # the first ones are written last
    lead, row = np.divmod(before, x.shape[dim])
    y = np.empty(extremes.shape, I64)
    y.reshape(-1)[lead * tail + column] = row
    return y


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
    if d is not None and x.size > MANY and type(x) is np.ndarray:
        y = places(name, x, d)
        return y if keepdim else y.squeeze(d)
    y = getattr(x, name)(d)
    return y.reshape(kept(x.shape, d)) if keepdim else y


for _f in (argmax, argmin):
    _f.case(distinct(3, 4))
    _f.case(distinct(3, 4), 1)
    _f.case(distinct(2, 3, 4), dim=-2, keepdim=True)
    _f.case(distinct(3, 4), None, True)
    _f.case(distinct(), 0)
    _f.case(integers(3, 4), 0)


from . import extreme  # noqa: E402  (last: the modules of ops name each other)
