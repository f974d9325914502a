"""Largest, smallest, middle: reductions that pick an element.

Where several elements are extreme, a reduction to the value alone shares the gradient evenly among them;
one that also says where the extreme stands gives it all to that place.
"""
from typing import NamedTuple

import numpy as np

from ..autograd.op import composed, op
from ..backend import xp
from ..cases import booleans, distinct, integers, normal
from ..dtypes import I64, is_float
from ..tensor import Tensor
from . import column_blocks, place, row_blocks
from .choose import maximum, minimum
from .dims import one, over
from .place import found_at, places, require_elements
from .scan import Found, running
from .ties import shared, to_place


class Extremes(NamedTuple):
    """What aminmax returns."""
    min: object
    max: object


# ---- the values alone ----------------------------------------------------------------------------------------------

@op
def amax(input, /, dim=None, keepdim=False):
    """Largest element over `dim`: an int, several, or None for all.  Ties share the gradient evenly."""
    axes = over(dim, keepdim, input.ndim)
    require_elements("amax", input, axes)
    return extreme_over("max", input, axes, keepdim)


@op
def amin(input, /, dim=None, keepdim=False):
    """Smallest element over `dim`: an int, several, or None for all.  Ties share the gradient evenly."""
    axes = over(dim, keepdim, input.ndim)
    require_elements("amin", input, axes)
    return extreme_over("min", input, axes, keepdim)


def extreme_over(name, x, axis, keepdim=False):
    """x.max or x.min over `axis`."""
    if x.size < row_blocks.LARGE:
        return getattr(x, name)(axis, None, keepdim)
    f = getattr(np, name)
    if (rows := row_blocks.matrix(x, axis)) is not None:
        return row_blocks.shaped(row_blocks.folded(lambda x: f(x, 1), f, rows, at_once=True), x, axis, keepdim)
    if (columns := column_blocks.matrix(x, axis)) is not None:
        return column_blocks.shaped(column_blocks.folded(lambda x: f(x, 0), columns), x, axis, keepdim)
    return getattr(x, name)(axis, None, keepdim)


amax.vjp(lambda g, input, y, dim: shared(g, input, y, dim))
amin.vjp(lambda g, input, y, dim: shared(g, input, y, dim))
for _f in (amax, amin):
    _f.case(distinct(3, 4))
    _f.case(distinct(3, 4), 1)
    _f.case(distinct(2, 3, 4), (0, -1), True)
    _f.case(distinct(), 0)
    _f.case(booleans(3, 4), dim=0, keepdim=True)
    _f.case(distinct(3, 0), 0)


@composed
def aminmax(input, *, dim=None, keepdim=False):
    """(min, max) over the axis `dim`, or of all."""
    one(dim, keepdim, len(input.shape))
    if not getattr(input, "array", input).size and dim is None:
        raise RuntimeError("aminmax(): cannot compute aminmax over an empty dimension as the operation has no identity.")
    return Extremes(amin(input, dim, keepdim), amax(input, dim, keepdim))

aminmax.case(distinct(3, 4))
aminmax.case(distinct(3, 4), dim=1)
aminmax.case(distinct(2, 3), dim=-2, keepdim=True)


# ---- max and min: three functions of one name ------------------------------------------------------------------------

@op(home="", called="max")
def max_of_all(input, /):
    """Largest element.  Ties share the gradient evenly."""
    require_elements("max", input, None)
    return extreme_over("max", input, None)


@op(home="", called="min")
def min_of_all(input, /):
    """Smallest element.  Ties share the gradient evenly."""
    require_elements("min", input, None)
    return extreme_over("min", input, None)


@op(home="", called="max")
def max_along(input, /, dim, keepdim=False):
    """(values, indices) of the largest elements along `dim`."""
    return found_along("max", input, dim, keepdim)


@op(home="", called="min")
def min_along(input, /, dim, keepdim=False):
    """(values, indices) of the smallest elements along `dim`."""
    return found_along("min", input, dim, keepdim)


def found_along(name, x, dim, keepdim):
    d = one(dim, keepdim, x.ndim)
    if d is None:                                    # 0-d
        return Found(x.copy(), xp(x).zeros((), I64))
    require_elements(name, x, d)
    if type(x) is np.ndarray and x.size > place.MANY:     # read once
        return found_at(x, places("arg" + name, x, d), d, keepdim)
    return Found(getattr(x, name)(d, None, keepdim), getattr(x, "arg" + name)(d, None, keepdims=keepdim))


for _f in (max_of_all, min_of_all):
    _f.vjp(lambda g, input, y: shared(g, input, y, None, True))
    _f.case(distinct(3, 4))
    _f.case(np.array([[0.5, 1.7], [0.2, -0.4]]))     # both in the last column
for _f in (max_along, min_along):
    _f.vjp(lambda g, y1, input_shape, dim: to_place(g, y1, dim, input_shape))
    _f.case(distinct(3, 4), 1)
    _f.case(distinct(2, 3, 4), -2, True)
    _f.case(distinct(), 0)


def extreme(of_all, along, of_two, input, dim, keepdim, other):
    """Which of its three overloads a call of max or min means."""
    if isinstance(dim, Tensor) or other is not None:
        return of_two(input, dim if other is None else other)
    if dim is None:
        if keepdim is not None:
            raise TypeError(f"{of_all.op.name}(): keepdim needs dim")
        return of_all(input)
    return along(input, dim, bool(keepdim) if keepdim is None else keepdim)


@composed
def max(input, dim=None, keepdim=None, *, other=None):
    """Largest element; with `dim` (values, indices) along that axis; with a second tensor the larger of each two.

    Of all elements ties share the gradient evenly; along `dim` the first of them gets it.
    """
    return extreme(max_of_all, max_along, maximum, input, dim, keepdim, other)


@composed
def min(input, dim=None, keepdim=None, *, other=None):
    """Smallest element; with `dim` (values, indices) along that axis; with a second tensor the smaller of each two.

    Of all elements ties share the gradient evenly; along `dim` the first of them gets it.
    """
    return extreme(min_of_all, min_along, minimum, input, dim, keepdim, other)


for _f in (max, min):
    _f.case(distinct(3, 4))
    _f.case(distinct(3, 4), 1)
    _f.case(distinct(2, 3, 4), -2, True)
    _f.case(distinct(3, 4), dim=0, keepdim=True)
    _f.case(distinct(), 0)
    _f.case(booleans(3, 4), 1)
    _f.case(normal(3, 4), normal(3, 4))
    _f.case(normal(3, 4), other=normal(4))
    _f.case(distinct(0, 3), 1)


# ---- the middle one --------------------------------------------------------------------------------------------------------

@op(home="", numbers="half", called="median")
def middle(input, /, skip_nan):
    """The lower of the middle elements in order; NaN where there is one, unless skipped."""
    if input.dtype.kind == "b":
        raise NotImplementedError("\"median\" not implemented for 'Bool'")
    x = input.reshape(-1)
    if not x.size:
        return x.sum() / 0 if is_float(x.dtype) else no_elements()
    nans = int((x != x).sum())
    if nans == x.size or nans and not skip_nan:
        k = x.size - 1                               # NaNs come last
    else:
        k = (x.size - nans - 1) // 2
    return xp(x).partition(x, k)[k]

middle.vjp(lambda g, input, y: shared(g, input, y, None, True))
middle.case(distinct(3, 4), False)
middle.case(distinct(3, 3), True)
middle.case(np.array([[0.5, 0.2], [1.7, -0.4]]), False)


def no_elements():
    raise RuntimeError("median(): the input has no elements")


@op(home="", numbers="half", called="median")
def middle_along(input, /, dim, keepdim, skip_nan):
    """(values, indices) of the lower of the middle elements along `dim`."""
    if input.dtype.kind == "b":
        raise NotImplementedError("\"median\" not implemented for 'Bool'")
    d = one(dim, keepdim, input.ndim)
    if d is None:
        return Found(input.copy(), xp(input).zeros((), I64))
    require_elements("median", input, d)
    y = found_middle(input, d, skip_nan)
    return y if keepdim else Found(y.values.squeeze(d), y.indices.squeeze(d))

middle_along.vjp(lambda g, y1, input_shape, dim: to_place(g, y1, dim, input_shape))
middle_along.case(distinct(3, 4), 1, False, False)
middle_along.case(distinct(2, 5, 3), -2, True, True)
middle_along.case(distinct(2, 120), 1, False, False)
middle_along.case(distinct(), 0, False, False)


def found_middle(x, dim, skip_nan):
    """(values, indices), each of size 1 along `dim`.  In order, NaNs come last."""
    n, library = x.shape[dim], xp(x)
    nans = x != x
    if n > 100 and not nans.any():
        k = (n - 1) // 2
        indices = library.argpartition(x, k, dim)[(slice(None),) * (dim % x.ndim) + (slice(k, k + 1),)]
    else:
        nans = nans.sum(dim, None, None, True)
        k = (n - nans - 1).clip(0) // 2 if skip_nan else library.where(nans > 0, n - nans, (n - 1) // 2)
        indices = library.take_along_axis(library.argsort(x, dim, kind="stable"), k, dim)
    return Found(library.take_along_axis(x, indices, dim), indices)


@composed
def median(input, dim=None, keepdim=False):
    """The middle element in order, the lower of two; with `dim`, (values, indices) along that axis.  NaN if there is one."""
    return middle(input, False) if dim is None else middle_along(input, dim, keepdim, False)


@composed
def nanmedian(input, dim=None, keepdim=False):
    """The middle element in order of those that are not NaN, the lower of two; with `dim`, (values, indices) along that axis."""
    return middle(input, True) if dim is None else middle_along(input, dim, keepdim, True)


for _f in (median, nanmedian):
    _f.case(distinct(3, 5))
    _f.case(distinct(3, 4))
    _f.case(distinct(3, 4), 1)
    _f.case(distinct(2, 5, 3), -2, True)
    _f.case(distinct(), dim=0)


@op
def mode(input, /, dim=-1, keepdim=False):
    """(values, indices) of the most frequent element along `dim`, the smallest of several; where it stands last."""
    d, library = one(dim, keepdim, input.ndim), xp(input)
    if d is None:
        return Found(input.copy(), library.zeros((), I64))
    require_elements("mode", input, d)
    d %= input.ndim
    order = library.argsort(input, d, kind="stable")
    x = library.take_along_axis(input, order, d)
    here = library.arange(x.shape[d]).reshape((-1,) + (1,) * (x.ndim - d - 1))
    begins = library.ones(x.shape, bool)
    before = (slice(None),) * d
    begins[before + (slice(1, None),)] = x[before + (slice(1, None),)] != x[before + (slice(None, -1),)]
    length = here - running("maximum", library.where(begins, here, 0), d)          # of the run of equals so far
    longest = length.argmax(d, keepdims=True)
    y = Found(library.take_along_axis(x, longest, d), library.take_along_axis(order, longest, d))
    return y if keepdim else Found(y.values.squeeze(d), y.indices.squeeze(d))

mode.vjp(lambda g, y1, input_shape, dim: to_place(g, y1, dim, input_shape))
mode.case(integers(3, 8), 1)
mode.case(integers(8, 3), 0, True)
mode.case(distinct(3, 4))
mode.case(distinct(), 0)
