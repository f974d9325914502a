"""softmax(q k^T / sqrt(d)) v."""
from math import sqrt

from .. import dtypes
from ..autograd.op import composed
from ..backend import xp
from ..cases import booleans, normal
from ..tensor import Tensor, wrap
from .dropout import dropout
from .softmax import softmax


def check_attention(query, key, value, attn_mask, is_causal):
    """PyTorch's refusals."""
    for label, t in (("query", query), ("key", key), ("value", value)):
        if not isinstance(t, Tensor):
            raise TypeError(f"scaled_dot_product_attention(): argument '{label}' must be Tensor, not {type(t).__name__}")
    if not query.dtype is key.dtype is value.dtype:
        raise RuntimeError("Expected query, key, and value to have the same dtype, but got "
                           f"query.dtype: {query.dtype.name} key.dtype: {key.dtype.name} and value.dtype: {value.dtype.name} instead.")
    if min(query.ndim, key.ndim, value.ndim) < 2:
        raise RuntimeError("Expected query, key, and value to all be  at least 2 dimensional, but got "
                           f"query.dim: {query.ndim} key.dim: {key.ndim} and value.dim: {value.ndim} instead.")
    if attn_mask is not None:
        if is_causal:
            raise RuntimeError("_scaled_dot_product_attention: Explicit attn_mask should not be set when is_causal=True")
        if attn_mask.dtype not in (dtypes.bool, dtypes.float32, query.dtype):
            raise RuntimeError("Expected attn_mask dtype to be bool or float or to match query dtype, but got "
                               f"attn_mask.dtype: {attn_mask.dtype.name} and  query.dtype: {query.dtype.name} instead.")


def repeated(t, heads):
    """Each head of (..., H, S, E) repeated so that there are `heads`."""
    H = t.shape[-3]
    if not H or heads % H:
        raise RuntimeError("Number of heads in key and value must divide the number of heads in query, "
                           f"but got {H} and {heads}")
    lead, tail = t.shape[:-3], t.shape[-2:]
    return t.reshape((*lead, H, 1, *tail)).expand((*lead, H, heads // H, *tail)).reshape((*lead, heads, *tail))


def causal(L, S, like):
    """(L, S) booleans: position i sees positions up to i."""
    lib = xp(like)
    return wrap(lib.arange(L).reshape(L, 1) >= lib.arange(S))


@composed(home="functional")
def scaled_dot_product_attention(query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, enable_gqa=False):
    """softmax(q k^T * scale + mask) v: (..., L, E), (..., S, E), (..., S, Ev) -> (..., L, Ev) (Vaswani et al. 2017).

    attn_mask: booleans, true where position may be seen, or numbers to add to the scores; is_causal: position i sees up to i.
    scale: 1 / sqrt(E) by default.  enable_gqa: key and value have fewer heads (axis -3), each shared by several of the query.
    A position that may see nothing gets zeros.
    """
    check_attention(query, key, value, attn_mask, is_causal)
    if enable_gqa:
        key, value = repeated(key, query.shape[-3]), repeated(value, query.shape[-3])
    scale = 1 / sqrt(query.shape[-1]) if scale is None else scale
    scores = (query * scale) @ key.transpose(-2, -1)                       # (..., L, S)
    mask = causal(query.shape[-2], key.shape[-2], query.array) if is_causal else attn_mask
    blind = None
    if mask is not None:
        lowest = float("-inf")
        scores = scores.masked_fill(mask.logical_not(), lowest) if mask.dtype is dtypes.bool else (scores + mask).to(query.dtype)
        if not is_causal:                            # rows that see nothing
            unseen = (scores.array == lowest).all(axis=-1, keepdims=True)
            blind = wrap(unseen) if unseen.any() else None
    p = softmax(scores if blind is None else scores.masked_fill(blind, 0.0), -1)
    if blind is not None:
        p = p.masked_fill(blind, 0.0)
    return (dropout(p, dropout_p) if dropout_p > 0 else p) @ value


scaled_dot_product_attention.case(normal(2, 3, 4, 5), normal(2, 3, 6, 5), normal(2, 3, 6, 2))
scaled_dot_product_attention.case(normal(2, 4, 5), normal(2, 6, 5), normal(2, 6, 2), is_causal=True)
scaled_dot_product_attention.case(normal(4, 5), normal(6, 5), normal(6, 2), scale=0.3)
scaled_dot_product_attention.case(normal(2, 3, 4, 5), normal(2, 3, 6, 5), normal(2, 3, 6, 2), booleans(4, 6))
scaled_dot_product_attention.case(normal(2, 4, 3, 5), normal(2, 2, 3, 5), normal(2, 2, 3, 2), is_causal=True, enable_gqa=True)
scaled_dot_product_attention.case(normal(2, 1, 4, 5), normal(2, 1, 6, 5), normal(2, 1, 6, 2), normal(2, 1, 4, 6))
