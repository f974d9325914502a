"""Attention: every place of a sequence takes a mean of the values at others, weighted by how query and key agree."""
import math

import minitorch as torch

from ...nn import functional as F
from .. import constraints, initializers, regularizers
from ..layer import Layer
from ..variable import floats
from .core import positive
from .wrappers import build_inner

FAR = -1e9                                 # added to the scores of what is masked


class Projection(Layer):
    """x @ kernel + bias for a kernel of more than two axes: the last `taken` axes of x give way to those of `out`."""

    def __init__(self, out, taken=1, use_bias=True, kernel_initializer="glorot_uniform", bias_initializer="zeros", kernel_regularizer=None,
                 bias_regularizer=None, kernel_constraint=None, bias_constraint=None, **kwargs):
        super().__init__(**kwargs)
        self.out, self.taken, self.use_bias = tuple(out), taken, use_bias
        self.starts = initializers.get(kernel_initializer), initializers.get(bias_initializer)
        self.penalties = regularizers.get(kernel_regularizer), regularizers.get(bias_regularizer)
        self.limits = constraints.get(kernel_constraint), constraints.get(bias_constraint)

    def build(self, input_shape):
        shape = (*input_shape[len(input_shape) - self.taken:], *self.out)
        self.kernel = self.add_weight(shape, self.starts[0], regularizer=self.penalties[0], constraint=self.limits[0], name="kernel")
        self.bias = self.add_weight(self.out, self.starts[1], regularizer=self.penalties[1], constraint=self.limits[1],
                                    name="bias") if self.use_bias else None

    def call(self, inputs):
        x = floats(inputs)
        kept = x.shape[:x.ndim - self.taken]
        y = x.reshape(*kept, -1) @ self.kernel.reshape(-1, math.prod(self.out))
        y = y.reshape(*kept, *self.out)
        return y if self.bias is None else y + self.bias


class MultiHeadAttention(Layer):
    """softmax(Q K^T / sqrt(key_dim)) V for num_heads projections of query, key and value, mixed at the end (Vaswani et al. 2017).

    call(query, value, key=value): (N, T, n), (N, S, m) -> (N, T, n), with return_attention_scores also (N, heads, T, S).
    attention_mask (N, T, S), or (N, heads, T, S), is True where query t may look at key s; use_causal_mask: at none after it.
    """

    supports_masking = True

    def __init__(self, num_heads, key_dim, value_dim=None, dropout=0.0, use_bias=True, output_shape=None, kernel_initializer="glorot_uniform",
                 bias_initializer="zeros", kernel_regularizer=None, bias_regularizer=None, activity_regularizer=None,
                 kernel_constraint=None, bias_constraint=None, **kwargs):
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.num_heads, self.key_dim = positive(self, "num_heads", num_heads), positive(self, "key_dim", key_dim)
        self.value_dim, self.dropout = value_dim or key_dim, dropout
        self.output_sizes = (output_shape,) if isinstance(output_shape, int) else output_shape and tuple(output_shape)
        self.common = dict(use_bias=use_bias, kernel_initializer=kernel_initializer, bias_initializer=bias_initializer,
                           kernel_regularizer=kernel_regularizer, bias_regularizer=bias_regularizer, kernel_constraint=kernel_constraint,
                           bias_constraint=bias_constraint)

    def build(self, query_shape, value_shape, key_shape=None):
        heads = self.num_heads
        self.query_dense = Projection((heads, self.key_dim), name="query", **self.common)
        self.key_dense = Projection((heads, self.key_dim), name="key", **self.common)
        self.value_dense = Projection((heads, self.value_dim), name="value", **self.common)
        self.output_dense = Projection(self.output_sizes or (query_shape[-1],), 2, name="attention_output", **self.common)
        for layer, shape in ((self.query_dense, query_shape), (self.key_dense, key_shape or value_shape), (self.value_dense, value_shape),
                             (self.output_dense, (None, None, heads, self.value_dim))):
            build_inner(layer, shape)

    def allowed(self, query, key, masks, attention_mask, causal):
        """(N or 1, 1 or heads, T or 1, S): True where a query may look at a key; None for everywhere."""
        found = None if attention_mask is None else attention_mask.bool()
        found = found if found is None or found.ndim == 4 else found.unsqueeze(1)
        query_mask, value_mask, key_mask = masks
        more = [] if query_mask is None else [query_mask.bool()[:, None, :, None]]
        more += [m.bool()[:, None, None, :] for m in (value_mask, key_mask) if m is not None]
        if causal:
            T, S = query.shape[1], key.shape[1]
            more.append((torch.arange(T)[:, None] >= torch.arange(S)).to(query.device)[None, None])
        for m in more:
            found = m if found is None else found & m
        return found

    def call(self, query, value, key=None, query_mask=None, value_mask=None, key_mask=None, attention_mask=None,
             return_attention_scores=False, training=False, use_causal_mask=False):
        source = value if key is None else key
        q, k, v = [layer(x).transpose(1, 2) for layer, x in
                   ((self.query_dense, query), (self.key_dense, source), (self.value_dense, value))]              # (N, heads, T or S, dim)
        allowed = self.allowed(query, source, (query_mask, value_mask, key_mask if key is not None else None), attention_mask, use_causal_mask)
        bias = None if allowed is None else (~allowed).to(q.dtype) * FAR
        drop = self.dropout if training else 0.0
        if not return_attention_scores:
            y = F.scaled_dot_product_attention(q, k, v, bias, drop, scale=self.key_dim ** -0.5)
            return self.output_dense(y.transpose(1, 2))
        scores = q @ k.transpose(-1, -2) * self.key_dim ** -0.5
        weights = torch.softmax(scores if bias is None else scores + bias, -1)
        y = (F.dropout(weights, drop) if drop else weights) @ v
        return self.output_dense(y.transpose(1, 2)), weights

    def compute_mask(self, query, previous_mask=None):
        return previous_mask


class Attention(Layer):
    """softmax(Q K^T) V of [query (N, T, n), value (N, S, m), key (N, S, n), by default the value]; use_scale: a learnt factor."""

    def __init__(self, use_scale=False, score_mode="dot", dropout=0.0, **kwargs):
        if score_mode != "dot":
            raise ValueError(f'Attention: score_mode is "dot", not {score_mode!r}')
        super().__init__(**kwargs)
        self.use_scale, self.dropout = use_scale, dropout

    def build(self, input_shape):
        self.scale = self.add_weight((), "ones", name="scale") if self.use_scale else None

    def call(self, inputs, mask=None, training=False, return_attention_scores=False, use_causal_mask=False):
        q, v, k = [*inputs, inputs[1]][:3]
        scores = q @ k.transpose(1, 2)
        scores = scores if self.scale is None else scores * self.scale
        if mask is not None and len(mask) > 1 and mask[1] is not None:
            scores = scores + (~mask[1].bool()).to(q.dtype)[:, None, :] * FAR
        if use_causal_mask:
            T, S = scores.shape[1:]
            scores = scores + (torch.arange(T)[:, None] < torch.arange(S)).to(q.dtype) * FAR
        weights = torch.softmax(scores, -1)
        y = (F.dropout(weights, self.dropout) if training and self.dropout else weights) @ v
        return (y, weights) if return_attention_scores else y
