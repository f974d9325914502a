"""softmax(q k^T / sqrt(d)) v."""
import math

from .. import dtypes
from ..autograd import routes
from ..autograd.op import composed, keep, op
from ..backend import is_array, xp
from ..cases import booleans, normal
from ..tensor import Tensor, wrap
from . import attention_tiles
from .dropout import dropout, seed_for
from .dtype import is_recorded
from .softmax import softmax


def check_attention(query, key, value, attn_mask, is_causal):
    """PyTorch's refusals."""
    for label, t in (("query", query), ("key", key), ("value", value)):
        if not isinstance(t, Tensor):
            raise TypeError(f"scaled_dot_product_attention(): argument '{label}' must be Tensor, not {type(t).__name__}")
    if not query.dtype is key.dtype is value.dtype:
        raise RuntimeError("Expected query, key, and value to have the same dtype, but got "
                           f"query.dtype: {query.dtype.name} key.dtype: {key.dtype.name} and value.dtype: {value.dtype.name} instead.")
    if not query.dtype.is_floating_point:
        raise RuntimeError(f"scaled_dot_product_attention() wants floating-point tensors, not {query.dtype.name}")
    if min(query.ndim, key.ndim, value.ndim) < 2:
        raise RuntimeError("Expected query, key, and value to all be  at least 2 dimensional, but got "
                           f"query.dim: {query.ndim} key.dim: {key.ndim} and value.dim: {value.ndim} instead.")
    for what, axis, a, b in (("query and key must have as many numbers in a position", -1, query, key),
                             ("key and value must have as many positions", -2, key, value)):
        if a.shape[axis] != b.shape[axis]:
            raise RuntimeError(f"scaled_dot_product_attention(): {what} (axis {axis}), but are {tuple(a.shape)} and {tuple(b.shape)}")
    if attn_mask is not None:
        if is_causal:
            raise RuntimeError("_scaled_dot_product_attention: Explicit attn_mask should not be set when is_causal=True")
        if attn_mask.dtype not in (dtypes.bool, dtypes.float32, query.dtype):
            raise RuntimeError("Expected attn_mask dtype to be bool or float or to match query dtype, but got "
                               f"attn_mask.dtype: {attn_mask.dtype.name} and  query.dtype: {query.dtype.name} instead.")


def groups_of(query, key, value):
    """How many heads of query share one of key and value."""
    heads, found = query.shape[-3], (key.shape[-3], value.shape[-3])
    for n in found:
        if not n or heads % n:
            raise RuntimeError(f"Number of heads in key and value must divide the number of heads in query, but got {n} and {heads}")
    if found[0] != found[1]:
        raise RuntimeError(f"key has {found[0]} heads and value {found[1]}")
    return heads // found[0]


def repeated(t, heads):
    """Each head of (..., H, S, E) repeated so that there are `heads`."""
    H = t.shape[-3]
    lead, tail = t.shape[:-3], t.shape[-2:]
    return t.reshape((*lead, H, 1, *tail)).expand((*lead, H, heads // H, *tail)).reshape((*lead, heads, *tail))


def by_ops(query, key, value, mask=None, /, causal=False, scale=1.0, groups=1, drop=0.0, seed=None, back=False):
    """Attention written with ops.  seed: of the random stream that drops probabilities; None: the default generator's."""
    query, key, value, mask = [wrap(t) if is_array(t) else t for t in (query, key, value, mask)]
    if groups > 1:
        key, value = repeated(key, query.shape[-3]), repeated(value, query.shape[-3])
    scores = (query * scale) @ key.transpose(-2, -1)                       # (..., L, S)
    mask = wrap(seen(query.array, key.array)) if causal else mask
    blind = None
    if mask is not None:
        lowest = float("-inf")
        scores = scores.masked_fill(mask.logical_not(), lowest) if mask.dtype is dtypes.bool else (scores + mask).to(query.dtype)
        if not causal:                               # rows that see nothing
            unseen = (scores.array == lowest).all(axis=-1, keepdims=True)
            blind = wrap(unseen) if unseen.any() else None
    p = softmax(scores if blind is None else scores.masked_fill(blind, 0.0), -1)
    if blind is not None:
        p = p.masked_fill(blind, 0.0)
    if drop > 0:
        p = dropout(p, drop) if seed is None else p * wrap(kept(p.array, drop, seed))
    return p @ value


# ---- the same as one step --------------------------------------------------------------------------------

def seen(query, key):
    """(L, S) booleans: position i sees positions up to i."""
    lib = xp(query)
    return lib.arange(query.shape[-2]).reshape(-1, 1) >= lib.arange(key.shape[-2])


def probabilities(query, key, mask, causal, scale):
    """softmax(q k^T * scale + mask) of arrays, zeros in rows that see nothing: (..., L, S)."""
    lib, lowest = xp(query), query.dtype.type(-math.inf)
    p = (query * scale) @ key.swapaxes(-1, -2)
    mask = seen(query, key) if causal else mask
    if mask is not None:
        p = lib.where(mask, p, lowest) if mask.dtype.kind == "b" else (p + mask).astype(query.dtype)
    largest = p.max(axis=-1, keepdims=True, initial=lowest)
    p -= lib.where(largest == lowest, 0, largest)
    lib.exp(p, out=p)
    total = p.sum(axis=-1, keepdims=True)
    p /= lib.where(total == 0, 1, total)
    return p


def kept(p, drop, seed):
    """What dropout multiplies probabilities with, 0 or 1 / (1 - drop): the kernels' random numbers, drawn by NumPy."""
    from ..kernels.attention_reference import dropout_reference
    *heads, L, S = p.shape
    return xp(p).asarray(dropout_reference(seed, drop, math.prod(heads), L, S).astype(p.dtype)).reshape(p.shape)


def to_heads(t, groups):
    """(..., H, S, E) with each head `groups` times in a row."""
    return t if groups == 1 else xp(t).repeat(t, groups, axis=-3)


@op(numbers="half", home="", reference=by_ops, called="scaled_dot_product_attention")
def attend(query, key, value, mask=None, /, causal=False, scale=1.0, groups=1, drop=0.0, seed=0, back=False):
    """softmax(q k^T * scale + mask) v; each head of key and value serves `groups` heads of query; dropout by the random stream `seed`.

    back: whether its derivative will be asked for.
    """
    if attention_tiles.fits(query, key, value, mask, drop, groups):
        y, lse, e = attention_tiles.forward(query, key, value, mask, causal, scale, groups, back)
        return keep(y, p=e, lse=lse)
    p = probabilities(query, to_heads(key, groups), mask, causal, scale)
    return keep((p * kept(p, drop, seed) if drop else p) @ to_heads(value, groups), p=p, lse=None)


@attend.joint_vjp
def _(g, query, key, value, mask, y, p, lse, causal, scale, groups, drop, seed, wanted):
    return attend_gradient(g, query, key, value, mask, y, p, lse, causal=causal, scale=scale, groups=groups, drop=drop, seed=seed,
                           by_mask=3 in wanted)


@op(numbers="half", home="", differentiable=False, called="scaled_dot_product_attention_backward")
def attend_gradient(input, query, key, value, mask=None, y=None, p=None, lse=None, /, causal=False, scale=1.0, groups=1, drop=0.0, seed=0,
                    by_mask=False):
    """The gradients of query, key, value and, if wanted, mask, from that of attend's result y.

    p: the probabilities, or instead lse: the logarithms of the sums that they were divided by, and p what attention_tiles kept of them,
    or None; without both they are computed again.
    """
    if lse is not None and not by_mask and attention_tiles.fits(query, key, value, mask, drop, groups):
        return attention_tiles.backward(input, query, key, value, mask, y, lse, p, causal, scale, groups)
    g, k, v = input, to_heads(key, groups), to_heads(value, groups)
    p = probabilities(query, k, mask, causal, scale) if p is None or lse is not None else p
    gp = g @ v.swapaxes(-1, -2)                                            # (..., L, S)
    factor = kept(p, drop, seed) if drop else 1
    gp *= factor
    gs = p * (gp - (gp * p).sum(axis=-1, keepdims=True))
    gk, gv = (gs * scale).swapaxes(-1, -2) @ query, (p * factor).swapaxes(-1, -2) @ g
    if groups > 1:
        gk, gv = (t.reshape(*t.shape[:-3], t.shape[-3] // groups, groups, *t.shape[-2:]).sum(axis=-3) for t in (gk, gv))
    return (gs @ k * scale, gk, gv, gs) if by_mask else (gs @ k * scale, gk, gv)


def in_four_axes(query, key, value, mask):
    """The arrays as (N, H, L, E) and a mask that broadcasts with (N, H, L, S); None where they do not have this form."""
    lead = query.shape[:-3]
    if key.shape != value.shape or query.shape[-1] > 128 or key.ndim != query.ndim or key.shape[:-3] != lead \
            or query.ndim == 3 and key.shape[0] != query.shape[0] or mask is not None and (query.ndim > 4 or mask.ndim > query.ndim):
        return None
    if query.ndim == 3:                              # (N, L, E): one head
        if mask is not None and mask.ndim == 3:
            mask = mask[:, None]
        return (*(t[:, None] for t in (query, key, value)), mask)
    return (*(t.reshape(math.prod(lead), *(1,) * (3 - t.ndim), *t.shape[-3:]) for t in (query, key, value)), mask)


@attend.kernel("attention", contiguous=False)
def _(kernels, query, key, value, mask=None, causal=False, scale=1.0, groups=1, drop=0.0, seed=0, back=False):
    found = in_four_axes(query, key, value, mask)
    if found is None or found[0].shape[1] != found[1].shape[1] * groups:
        return NotImplemented
    y, lse = kernels.attention_forward(*found, causal=causal, scale=scale, dropout=drop, seed=seed)
    return keep(y.reshape(query.shape), p=None, lse=lse)


@attend_gradient.kernel("attention", contiguous=False)
def _(kernels, input, query, key, value, mask=None, y=None, p=None, lse=None, causal=False, scale=1.0, groups=1, drop=0.0, seed=0,
      by_mask=False):
    found = in_four_axes(query, key, value, mask) if lse is not None and not by_mask else None
    if found is None:
        return NotImplemented
    q, k, v, mask = found
    gs = kernels.attention_backward(input.reshape(q.shape), q, k, v, y.reshape(q.shape), lse, mask, causal=causal, scale=scale,
                                    dropout=drop, seed=seed)
    return tuple([g.reshape(t.shape) for g, t in zip(gs, (query, key, value))])


@composed(home="functional")
def scaled_dot_product_attention(query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, enable_gqa=False):
    """softmax(q k^T * scale + mask) v: (..., L, E), (..., S, E), (..., S, Ev) -> (..., L, Ev) (Vaswani et al. 2017).

    attn_mask: booleans, true where position may be seen, or numbers to add to the scores; is_causal: position i sees up to i.
    scale: 1 / sqrt(E) by default.  enable_gqa: key and value have fewer heads (axis -3), each shared by several of the query.
    A position that may see nothing gets zeros.
    """
    check_attention(query, key, value, attn_mask, is_causal)
    groups = groups_of(query, key, value) if enable_gqa else 1
    scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    if not dropout_p:
        return attend(query, key, value, attn_mask, causal=is_causal, scale=scale, groups=groups, back=is_recorded(query, key, value))
    arrays = [t if t is None else t.array for t in (query, key, value, attn_mask)]
    if routes.kernels_for("attention", arrays[0]) is None or in_four_axes(*arrays) is None or dropout_p >= 1:
        return by_ops(query, key, value, attn_mask, is_causal, scale, groups, dropout_p)
    seed = seed_for(arrays[0])
    return attend(query, key, value, attn_mask, causal=is_causal, scale=scale, groups=groups, drop=dropout_p, seed=seed)


attend.case(normal(2, 3, 4, 5), normal(2, 3, 6, 5), normal(2, 3, 6, 2), normal(4, 6))
attend.case(normal(2, 3, 4, 5), normal(2, 3, 6, 5), normal(2, 3, 6, 5), booleans(2, 1, 4, 6), scale=0.5)
attend.case(normal(2, 4, 5), normal(2, 4, 5), normal(2, 4, 5), causal=True)
attend.case(normal(2, 4, 3, 5), normal(2, 2, 3, 5), normal(2, 2, 3, 5), causal=True, groups=2)
attend.case(normal(2, 2, 4, 5), normal(2, 2, 6, 5), normal(2, 2, 6, 5), drop=0.3, seed=7)
attend_gradient.case(normal(2, 3, 4, 5), normal(2, 3, 4, 5), normal(2, 3, 6, 5), normal(2, 3, 6, 5), booleans(4, 6))
attend_gradient.case(normal(2, 4, 3, 5), normal(2, 4, 3, 5), normal(2, 2, 3, 5), normal(2, 2, 3, 5), causal=True, groups=2)
attend_gradient.case(normal(3, 4, 5), normal(3, 4, 5), normal(3, 6, 5), normal(3, 6, 5), drop=0.3, seed=7)
scaled_dot_product_attention.case(normal(2, 3, 4, 5), normal(2, 3, 6, 5), normal(2, 3, 6, 2))
scaled_dot_product_attention.case(normal(2, 4, 5), normal(2, 6, 5), normal(2, 6, 2), is_causal=True)
scaled_dot_product_attention.case(normal(4, 5), normal(6, 5), normal(6, 2), scale=0.3)
scaled_dot_product_attention.case(normal(2, 3, 4, 5), normal(2, 3, 6, 5), normal(2, 3, 6, 2), booleans(4, 6))
scaled_dot_product_attention.case(normal(2, 4, 3, 5), normal(2, 2, 3, 5), normal(2, 2, 3, 2), is_causal=True, enable_gqa=True)
scaled_dot_product_attention.case(normal(2, 1, 4, 5), normal(2, 1, 6, 5), normal(2, 1, 6, 2), normal(2, 1, 4, 6))
