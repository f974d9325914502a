"""The gradient of an element that a reduction picked: shared evenly among its ties, or given to one place."""
import numpy as np

from ..autograd.op import op
from ..backend import MODULES, xp
from ..cases import integers, normal
from . import row_blocks
from .dims import kept, over
from .reduce import spread


@op(home="", differentiable=False)
def shares_of_ties(input, value, /, dim=None, nan=False):
    """1 / k where an element equals the `value` that the axes `dim` were reduced to, k the number of such; else 0.

    nan: a NaN equals NaN too.
    """
    value = value.reshape(kept(input.shape, dim))
    ties = input == value
    if nan:
        ties = ties | (input != input) & (value != value)
    return ties.astype(input.dtype) / ties.sum(over(dim, True, input.ndim), None, None, True).astype(input.dtype)

shares_of_ties.case(np.array([[1.0, 2.0, 2.0], [3.0, 0.0, 1.0]]), np.array([[2.0], [3.0]]), 1)


def shared(g, x, value, dim=None, nan=False):
    """The gradient `g` of `value`, shared evenly among its ties in x."""
    if type(g) in MODULES:
        return given_to_ties(g, x, value, dim, nan)
    return spread(g, dim, x.shape) * shares_of_ties(x, value, dim, nan)


@op(home="", numbers="half", differentiable=False, called="amax_backward")
def given_to_ties(input, x, value, /, dim=None, nan=False):
    """`input`, repeated over the axes `dim`, times shares_of_ties(x, value, dim, nan)."""
    rows = row_blocks.matrix(x, over(dim, False, x.ndim))
    if rows is None or nan and (value != value).any():
        return spread(input, dim, x.shape) * shares_of_ties(x, value, dim, nan)
    g, value = input.reshape(-1, 1), value.reshape(-1, 1)
    if len(rows) > 1:
        return row_blocks.like(x, given, rows, value, g)
    ties = row_blocks.by_rows(lambda t, x, value: np.equal(x, value, out=t), np.empty(rows.shape, bool), rows, value, at_once=True)
    return row_blocks.like(x, lambda y, _, t, g: np.multiply(t, g, out=y), rows, ties, g / x.dtype.type(np.count_nonzero(ties)), at_once=True)


def given(y, x, value, g):
    """y = g / k where x = value, which it is k times in its row; else 0."""
    ties = x == value
    where = np.arange(len(x)), ties.argmax(1)
    if np.count_nonzero(ties) == len(x) and ties[where].all():             # one in each row
        y[...] = 0
        y[where] = g[:, 0]
    else:
        np.equal(x, value, out=y)
        y *= g / row_blocks.sums(y)[:, None]


@given_to_ties.loop("reduce", least=5000, by=1)
def _(loops, input, x, value, dim=None, nan=False):
    rows = row_blocks.matrix(x, over(dim, False, x.ndim), 1, 1)
    if rows is None or len(rows) == 1 or nan:
        return NotImplemented
    return row_blocks.like(x, loops.given_to_ties, rows, value.reshape(-1, 1), input.reshape(-1, 1), at_once=True)


given_to_ties.case(normal(2), np.array([[1.0, 2.0, 2.0], [3.0, 0.0, 1.0]]), np.array([2.0, 3.0]), 1)
given_to_ties.case(normal(), np.array([[1.0, 2.0, 2.0], [2.0, 0.0, 1.0]]), np.array(2.0), None, True)


@op(home="")
def at_index(input, index, /, dim):
    """Along `dim` the one element that `index`, of size 1 there, points to."""
    return xp(input).take_along_axis(input, index, dim)


@op(home="")
def into_index(input, index, /, dim, size):
    """The transpose of `at_index`: along `dim`, of the given size, zeros but for `input` at the place `index`."""
    if type(input) is np.ndarray:
        y = np.zeros((*input.shape[:dim], size, *input.shape[dim + 1:]), input.dtype)
        np.put_along_axis(y, index, input, dim)
        return y
    here = xp(input).arange(size).reshape((-1,) + (1,) * (input.ndim - dim - 1))
    return xp(input).where(here == index, input, input.dtype.type(0))


at_index.vjp(lambda g, index, input_shape, dim: into_index(g, index, dim, input_shape[dim]))
into_index.vjp(lambda g, index, dim: at_index(g, index, dim))
at_index.case(normal(3, 4), integers(3, 1, high=4), 1)
at_index.case(normal(3, 4, 2), integers(1, 4, 2, high=3), 0)
into_index.case(normal(3, 1), integers(3, 1, high=4), 1, 4)
into_index.case(normal(1, 4, 2), integers(1, 4, 2, high=3), 0, 3)


def to_place(g, indices, dim, shape):
    """The gradient `g` of elements that stood at `indices` along `dim` in an array of `shape`."""
    if not shape:
        return g
    dim, small = dim % len(shape), kept(shape, dim)
    return into_index(g.reshape(small), indices.reshape(small), dim, shape[dim])
