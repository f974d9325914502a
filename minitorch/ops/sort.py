"""Order: sort, topk, kthvalue, quantiles, unique.

What is found is gathered, and its gradient scattered back.
NaN counts as larger than every number.  Equal entries keep their order.
"""
from collections import namedtuple

import numpy as np

from .. import dtypes
from ..autograd.op import composed, op
from ..backend import xp
from ..blocks import by_slices
from ..cases import distinct, integers
from ..tensor import Tensor, wrap
from . import row_blocks
from .dims import axis
from .gather import entries, gather_along, scatter_along

SortResult = namedtuple("sort", ["values", "indices"])
TopkResult = namedtuple("topk", ["values", "indices"])
KthvalueResult = namedtuple("kthvalue", ["values", "indices"])


def order(x, dim, descending=False):
    """The positions along `dim` that sort array x, equal entries in their order."""
    if x.size > 2000 and xp(x) is np:
        numbers = whole_numbers(x)
        if numbers is not None:
            return packed_order(~numbers if descending else numbers, dim)
    if not descending:
        return x.argsort(axis=dim, kind="stable")
    backwards = (slice(None),) * dim + (slice(None, None, -1),)
    return x.shape[dim] - 1 - x[backwards].argsort(axis=dim, kind="stable")[backwards]


def whole_numbers(x):
    """int64 numbers below 2**31 in size that are ordered like x; None where there are none."""
    if x.dtype == dtypes.F32:
        bits = (x + np.float32(0)).view(np.int32)    # -0 becomes 0
        bits ^= (bits >> 31) & 0x7fffffff            # floats below zero have growing bits
        if np.isnan(x).any():
            bits[np.isnan(x)] = 0x7fffffff
        return bits.astype(np.int64)
    if x.dtype.kind == "f":
        return None
    low = x.min().astype(np.int64)
    return x - low if int(x.max()) - int(low) < 2 ** 31 else None


def packed_order(numbers, dim):
    """The positions that sort small int64 numbers: sorted together with their positions, which np.sort does faster than np.argsort."""
    n = numbers.shape[dim]
    keys = numbers << 32
    keys |= np.arange(n).reshape((-1,) + (1,) * (numbers.ndim - dim - 1))
    keys.sort(axis=dim)
    keys &= 0xffffffff
    return keys


@op(home="", numbers="half", called="sort")
def sorted_along(input, /, dim, descending=False):
    """(values, indices) of `input` sorted along `dim`."""
    places = order(input, dim, descending)
    return SortResult(entries(input, places, dim), places)

sorted_along.vjp(lambda g, y1, input_shape, dim: scatter_along(g, y1, shape=input_shape, dim=dim))
sorted_along.case(distinct(3, 4), dim=1)
sorted_along.case(distinct(3, 4), dim=0, descending=True)
sorted_along.case(distinct(5), dim=0)


@op(home="", numbers="half", called="topk")
def top_along(input, /, k, dim, largest):
    """(values, indices) of the k largest (or smallest) entries along `dim`, the outermost first."""
    if (rows := row_blocks.matrix(input, dim)) is not None:
        places = np.concatenate(by_slices(lambda part: top_places(rows[part], k, 1, largest), rows)).reshape(*input.shape[:-1], k)
    else:
        places = top_places(input, k, dim, largest)
    return TopkResult(entries(input, places, dim), places)


def top_places(x, k, dim, largest):
    """Where the k largest (or smallest) entries stand along `dim`."""
    library, n = xp(x), x.shape[dim]
    first = (slice(None),) * dim + (slice(0, k),)
    if not 0 < k <= n // 4 or n < 64:
        return order(x, dim, largest)[first]
    best = library.argpartition(x, n - k if largest else k - 1, axis=dim)
    best = library.sort(best[first[:-1] + (slice(n - k, n) if largest else slice(0, k),)], axis=dim)
    return entries(best, order(entries(x, best, dim), dim, largest), dim)

top_along.vjp(lambda g, y1, input_shape, dim: scatter_along(g, y1, shape=input_shape, dim=dim))
top_along.case(distinct(3, 4), k=2, dim=1, largest=True)
top_along.case(distinct(100, 2), k=3, dim=0, largest=True)
top_along.case(distinct(2, 100), k=3, dim=1, largest=False)


def from_vector(f, input):
    """The results of f for a tensor with axes, or for a 0-d one as for a single entry."""
    if input.ndim:
        return f(input)
    found = f(input.reshape(1))
    return type(found)(*[t.reshape(()) for t in found])


@composed
def sort(input, dim=-1, descending=False, stable=False):
    """(values, indices) of `input` sorted along `dim`; always stable."""
    dim = axis(dim, input.ndim)
    return from_vector(lambda x: sorted_along(x, dim=dim, descending=bool(descending)), input)

sort.case(distinct(3, 4))
sort.case(distinct(3, 4), 0, True)
sort.case(distinct(2, 3, 4), dim=-2, descending=True, stable=True)
sort.case(integers(10, high=3), descending=True, stable=True)
sort.case(distinct())


@composed
def argsort(input, dim=-1, descending=False, stable=False):
    """The positions along `dim` that sort `input`; always stable."""
    return sort(input.detach(), dim, descending, stable).indices

argsort.case(distinct(3, 4))
argsort.case(distinct(3, 4), 0, True)
argsort.case(integers(10, high=3), stable=True)


@composed
def msort(input):
    """`input` sorted along its first axis."""
    return sort(input, 0).values

msort.case(distinct(3, 4))
msort.case(distinct(5))
msort.case(distinct(3, 2, 2))


@composed
def topk(input, k, dim=-1, largest=True, sorted=True):
    """(values, indices) of the k largest (or smallest) entries along `dim`, the outermost first. RuntimeError if there are fewer."""
    dim = axis(dim, input.ndim)
    if not 0 <= k <= (input.shape[dim] if input.ndim else 1):
        raise RuntimeError(f"topk: selected index k out of range: {k} of {list(input.shape)} along dimension {dim}")
    return from_vector(lambda x: top_along(x, k=int(k), dim=dim, largest=bool(largest)), input)

topk.case(distinct(3, 4), 2)
topk.case(distinct(3, 4), 2, 0, False)
topk.case(distinct(2, 100), 5)


@composed
def kthvalue(input, k, dim=-1, keepdim=False):
    """(values, indices) of the k-th smallest entry along `dim`, k from 1. RuntimeError if there are fewer."""
    dim = axis(dim, input.ndim)
    if not 1 <= k <= (input.shape[dim] if input.ndim else 1):
        raise RuntimeError(f"kthvalue(): selected number k out of range for dimension {dim}: {k} of {list(input.shape)}")
    found = KthvalueResult(*sort(input, dim))
    if input.ndim == 0:
        return found
    return KthvalueResult(*[t.narrow(dim, k - 1, 1) if keepdim else t.select(dim, k - 1) for t in found])

kthvalue.case(distinct(3, 4), 2)
kthvalue.case(distinct(3, 4), 3, 0, True)
kthvalue.case(distinct(5), 1, dim=-1)


# ---- quantiles ---------------------------------------------------------------------------------------------

@composed
def quantile(input, q, dim=None, keepdim=False, *, interpolation="linear"):
    """The number below which a share q of the entries lies, along `dim` (None: of all); q a number or a 1-d tensor, then axis 0.

    interpolation between the two nearest entries: "linear", "lower", "higher", "midpoint" or "nearest".  NaN where there is a NaN.
    """
    return quantiles("quantile", input, q, dim, keepdim, interpolation, skip_nan=False)

quantile.case(distinct(3, 5), 0.3)
quantile.case(distinct(3, 5), np.array([0.1, 0.4, 0.9]), dim=1)
quantile.case(distinct(3, 4), 0.5, dim=0, keepdim=True, interpolation="midpoint")
quantile.case(distinct(3, 4), 0.4, dim=-1, interpolation="nearest")


@composed
def nanquantile(input, q, dim=None, keepdim=False, *, interpolation="linear"):
    """quantile of the entries that are not NaN."""
    return quantiles("nanquantile", input, q, dim, keepdim, interpolation, skip_nan=True)

nanquantile.case(distinct(2, 4), 0.6, dim=1)
nanquantile.case(distinct(3, 5), 0.3)
nanquantile.case(distinct(3, 5), np.array([0.2, 0.7]), dim=0, keepdim=True, interpolation="higher")


def quantiles(name, input, q, dim, keepdim, interpolation, skip_nan):
    x = input.array
    if x.dtype not in (dtypes.F32, dtypes.F64):
        raise RuntimeError(f"{name}() input tensor must be either float or double dtype, not {input.dtype}")
    if interpolation not in ("linear", "lower", "higher", "midpoint", "nearest"):
        raise RuntimeError(f"{name}() interpolation must be one of linear, lower, higher, midpoint or nearest, but got {interpolation}")
    if x.size == 0:
        raise RuntimeError(f"{name}() input tensor must be non-empty")
    single = not isinstance(q, Tensor)
    if single:
        if not 0 <= q <= 1:
            raise RuntimeError(f"{name}() q must be in the range [0, 1] but got {q}")
        q = wrap(xp(x).asarray(q, dtype=x.dtype))
    if q.ndim > 1 or q.dtype != input.dtype:
        raise RuntimeError(f"{name}() q must be a scalar or 1D tensor of the same dtype as the input tensor, not of shape "
                           f"{list(q.shape)} and {q.dtype}")
    if not single and not bool(((q.array >= 0) & (q.array <= 1)).all()):
        raise RuntimeError(f"{name}() q values must be in the range [0, 1]")
    ndim = input.ndim
    values = input.reshape(-1) if dim is None or ndim == 0 else input.movedim(axis(dim, ndim), -1)
    values = sort(values).values                                                   # (..., N)
    nan = xp(x).isnan(values.array)
    n = values.shape[-1]
    last = (n - nan.sum(axis=-1, keepdims=True)).clip(1) - 1 if skip_nan else xp(x).full(nan.shape[:-1] + (1,), n - 1)
    ranks = q.reshape(-1) * last.astype(x.dtype)                                   # (..., Q)
    if not skip_nan:
        ranks = ranks.masked_fill(wrap(nan.any(axis=-1, keepdims=True)), n - 1)
    place = ranks.detach()
    if interpolation == "nearest":
        y = values_at(values, place.round())
    elif interpolation == "lower":
        y = values_at(values, place.floor())
    elif interpolation == "higher":
        y = values_at(values, place.ceil())
    else:
        low, high = values_at(values, place.floor()), values_at(values, place.ceil())
        weight = 0.5 * (place.ceil() - place.floor()) if interpolation == "midpoint" else ranks - place.floor()
        y = low + weight * (high - low)
    if keepdim:
        y = y.reshape(*[1] * ndim, -1) if dim is None else y.unsqueeze(axis(dim, ndim)) if ndim else y
    y = y.movedim(-1, 0) if y.ndim > 1 else y
    return y[0] if q.ndim == 0 else y


def values_at(values, places):
    """What stands at the positions `places`, whole numbers in floats, along the last axis."""
    return gather_along(values, wrap(places.array.astype(dtypes.I64)), dim=values.ndim - 1)
