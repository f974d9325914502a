"""Attention with several heads: inputs projected and cut into heads, attention in each, the heads joined and projected once more.

Sequences are (L, N, E) outside and (N, H, L, D) inside, for H heads of D = E / H numbers.
"""
import math
import warnings

from .. import dtypes
from ..autograd.op import composed
from ..cases import booleans, normal
from .attention import scaled_dot_product_attention
from .creation import zeros, zeros_like
from .dropout import dropout
from .join import cat
from .linear import linear
from .pad import pad
from .softmax import softmax


# ---- PyTorch's refusals -----------------------------------------------------------------------------------------

def require(condition, message):
    if not condition:
        raise AssertionError(message)


def check_dimensions(query, key, value, key_padding_mask, attn_mask, num_heads):
    """Whether the inputs have an axis for the batch; AssertionError for inputs and masks of other dimensions."""
    n = query.ndim
    require(n in (2, 3), f"query should be unbatched 2D or batched 3D tensor but received {n}-D query tensor")
    what = f"For {'batched (3-D)' if n == 3 else 'unbatched (2-D)'} `query`, expected"
    require(key.ndim == value.ndim == n, f"{what} `key` and `value` to be {n}-D but found {key.ndim}-D and {value.ndim}-D tensors respectively")
    if key_padding_mask is not None:
        found = key_padding_mask.ndim
        require(found == n - 1, f"{what} `key_padding_mask` to be `None` or {n - 1}-D but found {found}-D tensor instead")
    if attn_mask is not None:
        require(attn_mask.ndim in (2, 3), f"{what} `attn_mask` to be `None`, 2-D or 3-D but found {attn_mask.ndim}-D tensor instead")
        shape = num_heads, query.shape[0], key.shape[0]
        require(n == 3 or attn_mask.ndim == 2 or attn_mask.shape == shape, f"Expected `attn_mask` shape to be {shape} but got {attn_mask.shape}")
    return n == 3


def check_sizes(query, key, value, embed_dim, num_heads, separate):
    E = query.shape[-1]
    require(embed_dim == E, f"was expecting embedding dimension of {embed_dim}, but got {E}")
    require(E // num_heads * num_heads == E, f"embed_dim {E} not divisible by num_heads {num_heads}")
    if separate:
        require(key.shape[:2] == value.shape[:2], f"key's sequence and batch dims {key.shape[:2]} do not match value's {value.shape[:2]}")
    else:
        require(key.shape == value.shape, f"key shape {key.shape} does not match value shape {value.shape}")


def additive(mask, name, dtype, other=None, other_name=""):
    """A mask as numbers to add to scores: -inf where a mask of booleans is true.  Warns where `other`, a second mask, has another type."""
    if mask is None:
        return None
    require(mask.dtype is dtypes.bool or mask.dtype.is_floating_point, f"only bool and floating types of {name} are supported")
    if other is not None and other.dtype is not mask.dtype:
        warnings.warn(f"Support for mismatched {name} and {other_name} is deprecated. Use same type for both instead.", stacklevel=3)
    return zeros_like(mask, dtype=dtype).masked_fill(mask, -math.inf) if mask.dtype is dtypes.bool else mask


# ---- the steps --------------------------------------------------------------------------------------------------

def heads(t, H):
    """(L, N, H D) as (N, H, L, D)."""
    L, N, E = t.shape
    return t.reshape((L, N, H, E // H)).permute(1, 2, 0, 3)


def projected(query, key, value, weight, bias):
    """The three inputs times their third of the packed weight (3E, E): one product for inputs that are the same."""
    E = query.shape[-1]
    if query is key is value:
        return linear(query, weight, bias).split(E, -1)
    biases = (None,) * 3 if bias is None else bias.split(E)
    weights = weight.split(E)
    if key is value:
        both = None if bias is None else bias[E:]
        return linear(query, weights[0], biases[0]), *linear(key, weight[E:], both).split(E, -1)
    return [linear(t, w, b) for t, w, b in zip((query, key, value), weights, biases)]


def separately(inputs, weights, bias):
    """The three inputs times a weight each, (E, E), (E, Ek) and (E, Ev); AssertionError for other shapes."""
    E = inputs[0].shape[-1]
    for name, t, w in zip(("query", "key", "value"), inputs, weights):
        require(w is not None, f"use_separate_proj_weight is True but {name[0]}_proj_weight is None")
        require(w.shape == (E, t.shape[-1]), f"expecting {name} weights shape of {(E, t.shape[-1])}, but got {tuple(w.shape)}")
    biases = (None,) * 3 if bias is None else bias.split(E)
    return [linear(t, w, b) for t, w, b in zip(inputs, weights, biases)]


def given(static, name, N, H, D):
    """static_k or static_v, (N H, S, D), as (N, H, S, D)."""
    require(static.shape[0] == N * H, f"expecting {name}.size(0) of {N * H}, but got {static.shape[0]}")
    require(static.shape[2] == D, f"expecting {name}.size(2) of {D}, but got {static.shape[2]}")
    return static.reshape((N, H, -1, D))


def spread(mask, N, H, L, S):
    """An attention mask (L, S) or (N H, L, S) in a shape that broadcasts with (N, H, L, S)."""
    expected = (L, S) if mask.ndim == 2 else (N * H, L, S)
    if mask.shape != expected:
        raise RuntimeError(f"The shape of the {mask.ndim}D attn_mask is {tuple(mask.shape)}, but should be {expected}.")
    return mask.reshape((1, 1, L, S) if mask.ndim == 2 else (N, H, L, S))


@composed(home="functional", method=False)
def multi_head_attention_forward(query, key, value, embed_dim_to_check, num_heads, in_proj_weight, in_proj_bias, bias_k, bias_v, add_zero_attn,
                                 dropout_p, out_proj_weight, out_proj_bias, training=True, key_padding_mask=None, need_weights=True,
                                 attn_mask=None, use_separate_proj_weight=False, q_proj_weight=None, k_proj_weight=None, v_proj_weight=None,
                                 static_k=None, static_v=None, average_attn_weights=True, is_causal=False):
    """(attention of num_heads heads, its weights or None): (L, N, E), (S, N, E) twice -> (L, N, E), (N, L, S) (Vaswani et al. 2017).

    Also without N.  key_padding_mask (N, S) and attn_mask (L, S) or (N num_heads, L, S): true where nothing may be seen, or numbers to
    add to the scores; is_causal: a hint that attn_mask lets position i see up to i.  bias_k, bias_v (1, 1, E): one more key and value;
    add_zero_attn: and one of zeros.  The weights are the heads' mean, or with average_attn_weights=False (N, num_heads, L, S).
    """
    batched = check_dimensions(query, key, value, key_padding_mask, attn_mask, num_heads)
    if not batched:
        q = query.unsqueeze(1)
        k = q if key is query else key.unsqueeze(1)
        query, key, value = q, k, k if value is key else value.unsqueeze(1)
        key_padding_mask = key_padding_mask if key_padding_mask is None else key_padding_mask.unsqueeze(0)
    (L, N, E), S, H = query.shape, key.shape[0], num_heads
    padding = additive(key_padding_mask, "key_padding_mask", query.dtype, attn_mask, "attn_mask")
    if is_causal and attn_mask is None:
        raise RuntimeError("Need attn_mask if specifying the is_causal hint. You may use the Transformer module method "
                           "`generate_square_subsequent_mask` to create this mask.")
    is_causal = is_causal and padding is None and not need_weights
    mask = None if is_causal else additive(attn_mask, "attn_mask", query.dtype)
    check_sizes(query, key, value, embed_dim_to_check, H, use_separate_proj_weight)

    if use_separate_proj_weight:
        q, k, v = separately((query, key, value), (q_proj_weight, k_proj_weight, v_proj_weight), in_proj_bias)
    else:
        require(in_proj_weight is not None, "use_separate_proj_weight is False but in_proj_weight is None")
        q, k, v = projected(query, key, value, in_proj_weight, in_proj_bias)
    mask = mask if mask is None else spread(mask, N, H, L, S)
    more = 0                                         # keys that no mask speaks of
    require((bias_k is None) == (bias_v is None), "bias_k and bias_v are set together or not at all")
    if bias_k is not None:
        require(static_k is None, "bias cannot be added to static key.")
        require(static_v is None, "bias cannot be added to static value.")
        k, v, more = cat([k, bias_k.expand((1, N, E))]), cat([v, bias_v.expand((1, N, E))]), 1
    q = heads(q, H)                                  # (N, H, L, D)
    k = heads(k, H) if static_k is None else given(static_k, "static_k", N, H, E // H)
    v = heads(v, H) if static_v is None else given(static_v, "static_v", N, H, E // H)
    if add_zero_attn:
        zero = zeros((N, H, 1, E // H), dtype=k.dtype, device=k.device)
        k, v, more = cat([k, zero], 2), cat([v, zero], 2), more + 1
    if mask is not None and more:
        mask = pad(mask, (0, more))
    if padding is not None:
        padding, S = pad(padding, (0, more)) if more else padding, k.shape[2]
        require(padding.shape == (N, S), f"key_padding_mask has shape {tuple(padding.shape)}, expected {(N, S)}")
        padding = padding.reshape((N, 1, 1, S))
        mask = padding if mask is None else mask + padding

    p, weights = dropout_p if training else 0.0, None
    if need_weights:
        scores = q * math.sqrt(1.0 / (E // H)) @ k.transpose(-2, -1)       # (N, H, L, S)
        weights = softmax(scores if mask is None else scores + mask.to(scores.dtype), -1)
        weights = dropout(weights, p) if p > 0 else weights
        y = weights @ v
        weights = weights.mean(1) if average_attn_weights else weights
    else:
        y = scaled_dot_product_attention(q, k, v, mask, p, is_causal)
    y = linear(y.permute(2, 0, 1, 3).reshape((L, N, E)), out_proj_weight, out_proj_bias)
    if not batched:
        y, weights = y.squeeze(1), weights if weights is None else weights.squeeze(0)
    return y, weights


usual = 4, 2, normal(12, 4), normal(12), None, None, False, 0.0, normal(4, 4), normal(4)
multi_head_attention_forward.case(normal(3, 2, 4), normal(5, 2, 4), normal(5, 2, 4), *usual)
multi_head_attention_forward.case(normal(3, 2, 4), normal(5, 2, 4), normal(5, 2, 4), *usual, need_weights=False, attn_mask=normal(3, 5))
multi_head_attention_forward.case(normal(3, 4), normal(5, 4), normal(5, 4), *usual, attn_mask=normal(2, 3, 5), average_attn_weights=False)
multi_head_attention_forward.case(
    normal(3, 2, 4), normal(5, 2, 4), normal(5, 2, 4), 4, 2, normal(12, 4), None, normal(1, 1, 4), normal(1, 1, 4), True, 0.0,
    normal(4, 4), None, key_padding_mask=booleans(2, 5), need_weights=False)
multi_head_attention_forward.case(
    normal(3, 2, 4), normal(5, 2, 2), normal(5, 2, 3), 4, 2, None, normal(12), None, None, False, 0.0, normal(4, 4), normal(4),
    use_separate_proj_weight=True, q_proj_weight=normal(4, 4), k_proj_weight=normal(4, 2), v_proj_weight=normal(4, 3))
