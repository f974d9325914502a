"""The logarithm of a sum of exponentials, without overflow: largest + log(sum of e^(x - largest))."""
import numpy as np

from ..autograd.op import op
from ..backend import xp
from ..blocks import by_slices
from ..cases import integers, normal
from . import column_blocks, row_blocks
from .dims import count, kept, over
from .exponential import exp
from .reduce import added, spread
from .softmax_blocks import exponentials, logsumexp_of_columns


@op(numbers="float")
def logsumexp(input, /, dim, keepdim=False):
    """log(sum(exp(x))) over `dim`, an int or several, without overflow."""
    axis, library = over(dim, keepdim, input.ndim), xp(input)
    if not count(input.shape, axis):
        return library.log(input.sum(axis, None, None, keepdim))
    if (rows := row_blocks.matrix(input, axis)) is not None:
        y = row_blocks.folded(of_rows, lambda y: of_rows(y[None])[0], rows)
        return row_blocks.shaped(y, input, axis, keepdim)
    if (columns := column_blocks.matrix(input, axis)) is not None:
        return column_blocks.shaped(logsumexp_of_columns(columns), input, axis, keepdim)
    m = input.max(axis, None, True)
    m = library.where(library.isfinite(m), m, m.dtype.type(0))
    e = library.asarray(input - m)
    return library.log(added(library.exp(e, out=e), axis, keepdim)) + (m if keepdim else m.squeeze(axis))


def of_rows(x):
    """logsumexp of each row of a matrix."""
    e, most = exponentials(x, finite=True)
    y = np.log(row_blocks.sums(e))
    return y if most is None else y + most[:, 0]


logsumexp.vjp(lambda g, input, y, dim: logsumexp_gradient(g, input, y, dim=dim))


@logsumexp.loop("reduce", least=5000, single=True)
def _(loops, input, dim, keepdim=False):
    d = alone(dim, keepdim, input.ndim)
    if not input.size or d is None:
        return NotImplemented
    y = loops.logsumexp(input, d)
    return y if keepdim else y.squeeze(d)


def alone(dim, keepdim, ndim):
    """The one axis that a reduction is over, counted from 0; None for several."""
    axis = over(dim, keepdim, ndim)
    if type(axis) is tuple and len(axis) == 1:
        axis = axis[0]
    return 0 if ndim == 1 else axis % ndim if type(axis) is int else None


def gradient_reference(input, x, total, dim):
    return spread(input, dim, x.shape) * exp(x - total.reshape(kept(x.shape, dim)))


@op(home="", numbers="half", reference=gradient_reference, called="logsumexp_backward")
def logsumexp_gradient(input, x, total, /, dim):
    """The gradient `input` of logsumexp's result `total` times e^(x - total), logsumexp's derivative at x."""
    if (rows := row_blocks.matrix(x, over(dim, False, x.ndim))) is not None:
        return row_blocks.like(x, gradient_of_rows, rows, total.reshape(-1, 1), input.reshape(-1, 1))
    if (columns := column_blocks.matrix(x, over(dim, False, x.ndim))) is not None:
        y = np.empty_like(columns)
        total, g = total.reshape(-1), input.reshape(-1)
        by_slices(lambda rows: gradient_of_rows(y[rows], columns[rows], total, g), columns)
        return y.reshape(x.shape)
    form = kept(x.shape, dim)
    e = xp(x).asarray(x - total.reshape(form))
    xp(x).exp(e, out=e)
    e *= input.reshape(form)
    return e


def gradient_of_rows(y, x, total, g):
    """y = g e^(x - total)"""
    np.subtract(x, total, out=y)
    np.exp(y, out=y)
    y *= g


@logsumexp_gradient.loop("reduce", least=5000, single=True, by=1)
def _(loops, input, x, total, dim):
    d = alone(dim, False, x.ndim)
    return NotImplemented if not x.size or d is None else loops.logsumexp_gradient(input, x, total, d)


logsumexp.case(normal(3, 4), 1)
logsumexp.case(normal(2, 3, 4), (0, -1))
logsumexp.case(normal(2, 3, 4), dim=1, keepdim=True)
logsumexp.case(normal(), 0)
logsumexp.case(integers(3, 4), 0)
logsumexp_gradient.case(normal(3), normal(3, 4), normal(3), 1)
logsumexp_gradient.case(normal(3), normal(2, 3, 4), normal(3), (0, -1))
