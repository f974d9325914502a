"""Variance and standard deviation: how far numbers are spread around their mean."""
import numpy as np

from ..autograd.op import composed, op
from ..backend import xp
from ..cases import normal
from ..dtypes import is_float
from . import row_blocks
from .dims import count, over
from .reduce import added, inverse, mean, spread


@op(home="", numbers="half")
def var_over(input, /, dim, correction, keepdim):
    """sum((x - mean)^2) / (n - correction) over the axes `dim`."""
    if not is_float(input.dtype):
        raise RuntimeError("std and var only support floating point and complex dtypes")
    axis = over(dim, keepdim, input.ndim)
    n, rows = count(input.shape, axis), row_blocks.matrix(input, axis)
    if rows is not None:
        return by_rows(lambda x, mean: row_blocks.squares(x - mean), rows, input, axis, correction, keepdim)
    d = input - added(input, axis, True) / n
    d *= d
    return added(d, axis, keepdim) / max(n - correction, 0)


def by_rows(squared_distances, rows, input, axis, correction, keepdim, at_once=False):
    """Its variance from the rows of the matrix that `input` is."""
    n = rows.shape[1]
    total = row_blocks.folded(squared_distances, np.sum, rows, added(rows, 1, True) / n, at_once=at_once)
    return row_blocks.shaped(total, input, axis, keepdim) / max(n - correction, 0)


@var_over.loop("reduce", least=5000)
def _(loops, input, dim, correction, keepdim):
    axis = over(dim, keepdim, input.ndim)
    rows = row_blocks.matrix(input, axis, 1, 1)
    return NotImplemented if rows is None else by_rows(loops.squared_distances, rows, input, axis, correction, keepdim, True)


var_over.vjp(lambda g, input, dim, correction: scaled_distances(g * (2 * inverse(count(input.shape, dim) - correction)), input, dim=dim))
var_over.case(normal(3, 4), dim=(0, 1), correction=1, keepdim=False)
var_over.case(normal(3, 4), dim=1, correction=0, keepdim=True)
var_over.case(normal(3, 4), dim=None, correction=0.5, keepdim=True)


@op(home="", numbers="half")
def std_over(input, /, dim, correction, keepdim):
    """The root of `var_over`."""
    return xp(input).sqrt(var_over.op.forward(input, dim, correction, keepdim))

std_over.vjp(lambda g, input, y, dim, correction:                    # 0 where y is 0, in derivatives of every order
             scaled_distances(g * (y != 0) / (y + (y == 0)) * inverse(count(input.shape, dim) - correction), input, dim=dim))
std_over.case(normal(3, 4), dim=(0, 1), correction=1, keepdim=False)
std_over.case(normal(3, 4), dim=1, correction=0, keepdim=True)
std_over.case(normal(3, 4), dim=None, correction=0.5, keepdim=True)


def scaled_distances_reference(input, x, dim):
    return spread(input, dim, x.shape) * (x - mean(x, dim, keepdim=True))


@op(home="", numbers="half", reference=scaled_distances_reference, called="var_backward")
def scaled_distances(input, x, /, dim):
    """`input`, repeated over the axes `dim`, times the distance of x from its mean over them."""
    rows = row_blocks.matrix(x, over(dim, False, x.ndim))
    return scaled_distances_reference(input, x, dim) if rows is None else scaled_by_rows(scaled, rows, input, x)


def scaled_by_rows(scaled, rows, g, x, at_once=False):
    return row_blocks.like(x, scaled, rows, added(rows, 1, True) / rows.shape[1], g.reshape(-1, 1), at_once=at_once)


def scaled(y, x, mean, g):
    """y = g (x - mean)"""
    np.subtract(x, mean, out=y)
    y *= g


@scaled_distances.loop("reduce", least=5000, by=1)
def _(loops, input, x, dim):
    rows = row_blocks.matrix(x, over(dim, False, x.ndim), 1, 1)
    return NotImplemented if rows is None else scaled_by_rows(loops.scaled_distances, rows, input, x, True)


scaled_distances.case(normal(3), normal(3, 4), 1)
scaled_distances.case(normal(1, 3, 1), normal(2, 3, 4), (0, -1))
scaled_distances.case(normal(), normal(3, 4), None)


def spread_arguments(dim, unbiased, keepdim, correction):
    """(dim, correction) from PyTorch's two ways to call var and std."""
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    if unbiased is not None and not isinstance(unbiased, bool):
        raise TypeError(f"argument 'unbiased' must be bool, not {type(unbiased).__name__}")
    if unbiased is not None and correction is not None:
        raise TypeError("var and std take 'unbiased' or 'correction', not both")
    return dim, 1 if correction is None and unbiased is None else int(unbiased) if correction is None else correction


@composed
def var(input, dim=None, unbiased=None, keepdim=False, *, correction=None):
    """Variance over `dim`: squared distances from the mean, summed and divided by n - correction.

    correction: 1 by default; `unbiased=False` is correction 0. RuntimeError for integers.
    """
    dim, correction = spread_arguments(dim, unbiased, keepdim, correction)
    return var_over(input, dim, correction, keepdim)

var.case(normal(3, 4))
var.case(normal(3, 4), False)
var.case(normal(3, 4), 0, False, True)
var.case(normal(2, 3, 4), (0, 2), keepdim=True)
var.case(normal(2, 3, 4), dim=-1, correction=2)
var.case(normal(3, 4), unbiased=False)


@composed
def std(input, dim=None, unbiased=None, keepdim=False, *, correction=None):
    """Standard deviation over `dim`, the root of `var`.  Its gradient is 0 where it is 0, as in PyTorch."""
    dim, correction = spread_arguments(dim, unbiased, keepdim, correction)
    return std_over(input, dim, correction, keepdim)

std.case(normal(3, 4))
std.case(normal(3, 4), True)
std.case(normal(3, 4), 0, False, True)
std.case(normal(2, 3, 4), (0, 2), keepdim=True)
std.case(normal(2, 3, 4), dim=-1, correction=0)


@composed(method=False)
def var_mean(input, dim=None, unbiased=None, keepdim=False, *, correction=None):
    """(variance, mean) over `dim`; arguments as those of `var`."""
    dim, correction = spread_arguments(dim, unbiased, keepdim, correction)
    return var_over(input, dim, correction, keepdim), mean(input, dim, keepdim)

var_mean.case(normal(3, 4))
var_mean.case(normal(2, 3, 4), (0, 2), correction=0, keepdim=True)
var_mean.case(normal(3, 4), unbiased=False)


@composed(method=False)
def std_mean(input, dim=None, unbiased=None, keepdim=False, *, correction=None):
    """(standard deviation, mean) over `dim`; arguments as those of `var`."""
    dim, correction = spread_arguments(dim, unbiased, keepdim, correction)
    return std_over(input, dim, correction, keepdim), mean(input, dim, keepdim)

std_mean.case(normal(3, 4))
std_mean.case(normal(2, 3, 4), (0, 2), correction=0, keepdim=True)
std_mean.case(normal(3, 4), False)


