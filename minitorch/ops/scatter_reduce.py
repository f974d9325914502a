"""scatter_reduce: the entries that an index sends to one place, reduced with what stands there."""
import math

import numpy as np

from .. import dtypes
from ..autograd.op import composed, op
from ..backend import xp
from ..cases import distinct, integers, normal, positive
from .dims import axis
from .gather import check_dtypes, fits, from_vectors, gather_along, leading, places, scatter_along, scatter_put
from .masks import masked_fill


@composed(inplace=True)
def scatter_reduce(input, dim, index, src, reduce, *, include_self=True):
    """Entries of `src` that `index` sends to one place, reduced with what stands there: "sum", "prod", "mean", "amax", "amin".

    include_self=False: without what stands there, where anything is sent.
    """
    if reduce not in ("sum", "prod", "mean", "amax", "amin"):
        raise RuntimeError(f"reduce argument must be either sum, prod, mean, amax or amin, got {reduce}")
    check_dtypes("scatter", input, src)
    if index.array.size == 0:
        return input.clone()
    return from_vectors(lambda x, i, s: reduced(x, axis(dim, x.ndim), i, leading(s, i), reduce, include_self), input, input, index, src)

for _reduce in ("sum", "mean", "amax", "amin"):
    scatter_reduce.case(distinct(3, 4), 1, integers(3, 6, high=4), normal(3, 6), _reduce)
    scatter_reduce.case(distinct(3, 4), 0, integers(2, 4, high=3), normal(2, 4), _reduce, include_self=False)
scatter_reduce.case(positive(3, 4), 1, integers(3, 6, high=4), positive(3, 6), "prod")
scatter_reduce.case(positive(4), 0, np.array([1, 1, 3, 1]), positive(4), "prod", include_self=False)


def reduced(x, dim, index, src, reduce, include_self):
    """scatter_reduce with src in the shape of index."""
    shape = tuple(x.shape)
    if not include_self:
        x = scatter_put(x, index, neutral(reduce, x.array.dtype), dim=dim)
    if reduce == "prod":
        return scatter_prod(x, index, src, dim=dim)
    if reduce in ("amax", "amin"):
        return scatter_extreme(x, index, src, dim=dim, largest=reduce == "amax")
    total = x + scatter_along(src, index, shape=shape, dim=dim)
    if reduce == "sum":
        return total
    ones = xp(index.array).ones(index.shape, "i8")
    count = scatter_along(ones, index.array, shape=shape, dim=dim) + (1 if include_self else 0)
    count = count.clip(1).astype(x.array.dtype)
    return total / count if dtypes.is_float(count.dtype) else total // count


def neutral(reduce, dtype):
    """The number that leaves every other as it is under `reduce`."""
    if reduce in ("sum", "mean", "prod"):
        return int(reduce == "prod")
    if dtypes.is_float(dtype):
        return -math.inf if reduce == "amax" else math.inf
    if dtype.kind == "b":
        return reduce == "amin"
    return np.iinfo(dtype).min if reduce == "amax" else np.iinfo(dtype).max


@op(home="", numbers="half", called="scatter_reduce")
def scatter_extreme(input, index, src, /, dim, largest):
    """The largest (or smallest) of each entry of `input` and the entries of `src` that `index` sends there; NaN wins."""
    fits(index, input.shape, dim)
    y = xp(input).array(input, order="C")
    (xp(y).maximum if largest else xp(y).minimum).at(y.reshape(-1), places(index, y.shape, dim).reshape(-1), src.reshape(-1))
    return y

@scatter_extreme.joint_vjp
def _(g, y, input, index, src, dim):                 # equal ones share
    ours, theirs = input == y, src == gather_along(y, index, dim=dim)
    share = g / (ours * 1.0 + scatter_along(theirs * 1.0, index, shape=tuple(y.shape), dim=dim))
    return share * ours, None, gather_along(share, index, dim=dim) * theirs

scatter_extreme.case(distinct(3, 4), integers(3, 6, high=4), normal(3, 6), dim=1, largest=True)
scatter_extreme.case(distinct(3, 4), integers(2, 4, high=3), normal(2, 4), dim=0, largest=False)
scatter_extreme.case(distinct(5), integers(3), normal(3), dim=0, largest=True)


@op(home="", numbers="half", called="scatter_reduce")
def scatter_prod(input, index, src, /, dim):
    """Each entry of `input` times the entries of `src` that `index` sends there."""
    fits(index, input.shape, dim)
    y = xp(input).array(input, order="C")
    to, src, flat = places(index, y.shape, dim).reshape(-1), src.reshape(-1), y.reshape(-1)
    order = to.argsort(kind="stable")
    to = to[order]
    new = xp(y).ones(to.size, bool)
    new[1:] = to[1:] != to[:-1]
    starts = xp(y).flatnonzero(new)
    ends = xp(y).concatenate([starts[1:], xp(y).full(1, to.size)])
    while starts.size:                               # one factor for every place in each turn
        flat[to[starts]] *= src[order[starts]]
        starts, ends = starts + 1, ends
        starts, ends = starts[starts < ends], ends[starts < ends]
    return y

@scatter_prod.joint_vjp
def _(g, input, index, src, dim):                    # a factor of 0 is left out of its own derivative, and of no other
    shape, zero = tuple(input.shape), src == 0
    safe = masked_fill(src, zero, 1.0)
    other_zeros = gather_along(scatter_along(zero * 1.0, index, shape=shape, dim=dim), index, dim=dim) - zero * 1.0
    rest = gather_along(g * scatter_prod(input, index, safe, dim=dim), index, dim=dim) / safe
    return g * scatter_prod(input * 0 + 1, index, src, dim=dim), None, rest * (other_zeros == 0)

scatter_prod.case(positive(3, 4), integers(3, 6, high=4), positive(3, 6), dim=1)
scatter_prod.case(positive(3, 4), integers(2, 4, high=3), positive(2, 4), dim=0)
scatter_prod.case(normal(4), np.array([1, 1, 3, 1]), positive(4), dim=0)
