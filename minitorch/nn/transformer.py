"""The transformer: layers of attention and a small network, stacked to an encoder and a decoder (Vaswani et al. 2017).

Sequences are (T, N, E), (N, T, E) with batch_first, or (T, E).  Masks are those of MultiheadAttention.
"""
import copy
import math

from .. import full
from ..ops.multihead import additive
from . import functional as F
from . import init
from .attention import MultiheadAttention
from .container import ModuleList
from .dropout import Dropout
from .linear import Linear
from .module import Module
from .normalization import LayerNorm


def activation_of(activation):
    """A function or module, or the function with this name; RuntimeError for other names than relu and gelu."""
    if not isinstance(activation, str):
        return activation
    if activation not in ("relu", "gelu"):
        raise RuntimeError(f"activation should be relu/gelu, not {activation}")
    return getattr(F, activation)


def causal_mask(size, device=None, dtype=None):
    """(size, size): -inf above the diagonal, 0 elsewhere; of booleans, true above the diagonal."""
    return full((size, size), -math.inf, device=device, dtype=dtype).triu(1)


def is_causal_mask(mask, hint, size):
    """Whether position i sees positions up to i alone: as `hint` says, or where it is None as the mask says."""
    if hint is not None or mask is None:
        return hint is True
    causal = causal_mask(size, mask.device, mask.dtype)
    return mask.shape == causal.shape and bool((mask == causal).all())


def length(x, batch_first):
    return x.shape[1 if batch_first and x.ndim == 3 else 0]


def clones(module, n):
    return ModuleList([copy.deepcopy(module) for _ in range(n)])


# ---- layers -----------------------------------------------------------------------------------------------------

class Layer(Module):
    """What both kinds of layers do: each part's result is added to its input, and normalised after that, or (norm_first) its input before."""

    def feed_forward_parts(self, d_model, dim_feedforward, dropout, bias, made):
        """The small network, which every position goes through on its own."""
        self.linear1 = Linear(d_model, dim_feedforward, bias=bias, **made)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias=bias, **made)

    def norms_and_dropouts(self, n, d_model, dropout, eps, bias, made):
        """norm1, norm2, ... and dropout1, dropout2, ...: one of each for each part."""
        for i in range(1, n + 1):
            setattr(self, f"norm{i}", LayerNorm(d_model, eps=eps, bias=bias, **made))
        for i in range(1, n + 1):
            setattr(self, f"dropout{i}", Dropout(dropout))

    def added(self, x, part, norm, dropout):
        if self.norm_first:
            return x + dropout(part(norm(x)))
        return norm(x + dropout(part(x)))

    def feed_forward(self, x):
        return self.linear2(self.dropout(self.activation(self.linear1(x))))


class TransformerEncoderLayer(Layer):
    """x + attention of x to itself, then x + a small network of x, each normalised: (T, N, d_model) -> (T, N, d_model).

    activation: "relu", "gelu", or a function or module.  norm_first: normalise before each part, not after it.
    """

    def __init__(self, d_model, nhead, dim_feedforward=2048, dropout=0.1, activation=F.relu, layer_norm_eps=1e-5, batch_first=False,
                 norm_first=False, bias=True, device=None, dtype=None):
        super().__init__()
        made = dict(device=device, dtype=dtype)
        self.norm_first = norm_first
        self.self_attn = MultiheadAttention(d_model, nhead, dropout, bias, batch_first=batch_first, **made)
        self.feed_forward_parts(d_model, dim_feedforward, dropout, bias, made)
        self.norms_and_dropouts(2, d_model, dropout, layer_norm_eps, bias, made)
        self.activation = activation_of(activation)

    def forward(self, src, src_mask=None, src_key_padding_mask=None, is_causal=False):
        padding = additive(src_key_padding_mask, "src_key_padding_mask", src.dtype, src_mask, "src_mask")
        mask = additive(src_mask, "src_mask", src.dtype)

        def attention(x):
            return self.self_attn(x, x, x, padding, False, mask, is_causal=is_causal)[0]
        x = self.added(src, attention, self.norm1, self.dropout1)
        return self.added(x, self.feed_forward, self.norm2, self.dropout2)


class TransformerDecoderLayer(Layer):
    """As the encoder's layer, with attention to `memory`, the encoder's result, in between: (T, N, d_model), (S, N, d_model) -> (T, N, d_model)."""

    def __init__(self, d_model, nhead, dim_feedforward=2048, dropout=0.1, activation=F.relu, layer_norm_eps=1e-5, batch_first=False,
                 norm_first=False, bias=True, device=None, dtype=None):
        super().__init__()
        made = dict(device=device, dtype=dtype)
        self.norm_first = norm_first
        self.self_attn = MultiheadAttention(d_model, nhead, dropout, bias, batch_first=batch_first, **made)
        self.multihead_attn = MultiheadAttention(d_model, nhead, dropout, bias, batch_first=batch_first, **made)
        self.feed_forward_parts(d_model, dim_feedforward, dropout, bias, made)
        self.norms_and_dropouts(3, d_model, dropout, layer_norm_eps, bias, made)
        self.activation = activation_of(activation)

    def forward(self, tgt, memory, tgt_mask=None, memory_mask=None, tgt_key_padding_mask=None, memory_key_padding_mask=None,
                tgt_is_causal=False, memory_is_causal=False):
        def to_itself(x):
            return self.self_attn(x, x, x, tgt_key_padding_mask, False, tgt_mask, is_causal=tgt_is_causal)[0]

        def to_memory(x):
            return self.multihead_attn(x, memory, memory, memory_key_padding_mask, False, memory_mask, is_causal=memory_is_causal)[0]
        x = self.added(tgt, to_itself, self.norm1, self.dropout1)
        x = self.added(x, to_memory, self.norm2, self.dropout2)
        return self.added(x, self.feed_forward, self.norm3, self.dropout3)


# ---- stacks of layers -------------------------------------------------------------------------------------------

class TransformerEncoder(Module):
    """num_layers copies of encoder_layer one after the other, and `norm` at the end.

    is_causal: whether the mask is the causal one; None: found out.  enable_nested_tensor and mask_check have no effect: padding is
    computed with the rest.
    """

    def __init__(self, encoder_layer, num_layers, norm=None, enable_nested_tensor=True, mask_check=True):
        super().__init__()
        self.layers, self.num_layers, self.norm = clones(encoder_layer, num_layers), num_layers, norm
        self.enable_nested_tensor, self.mask_check = enable_nested_tensor, mask_check

    def forward(self, src, mask=None, src_key_padding_mask=None, is_causal=None):
        padding = additive(src_key_padding_mask, "src_key_padding_mask", src.dtype, mask, "mask")
        mask = additive(mask, "mask", src.dtype)
        causal = is_causal_mask(mask, is_causal, length(src, self.layers[0].self_attn.batch_first))
        for layer in self.layers:
            src = layer(src, src_mask=mask, is_causal=causal, src_key_padding_mask=padding)
        return src if self.norm is None else self.norm(src)


class TransformerDecoder(Module):
    """num_layers copies of decoder_layer one after the other, each of which sees the same `memory`, and `norm` at the end."""

    def __init__(self, decoder_layer, num_layers, norm=None):
        super().__init__()
        self.layers, self.num_layers, self.norm = clones(decoder_layer, num_layers), num_layers, norm

    def forward(self, tgt, memory, tgt_mask=None, memory_mask=None, tgt_key_padding_mask=None, memory_key_padding_mask=None,
                tgt_is_causal=None, memory_is_causal=False):
        causal = is_causal_mask(tgt_mask, tgt_is_causal, length(tgt, self.layers[0].self_attn.batch_first))
        for layer in self.layers:
            tgt = layer(tgt, memory, tgt_mask=tgt_mask, memory_mask=memory_mask, tgt_key_padding_mask=tgt_key_padding_mask,
                        memory_key_padding_mask=memory_key_padding_mask, tgt_is_causal=causal, memory_is_causal=memory_is_causal)
        return tgt if self.norm is None else self.norm(tgt)


class Transformer(Module):
    """An encoder, and a decoder that sees its result: (S, N, d_model), (T, N, d_model) -> (T, N, d_model).

    custom_encoder, custom_decoder: modules in their place.  RuntimeError for batches or features of other sizes.
    """

    def __init__(self, d_model=512, nhead=8, num_encoder_layers=6, num_decoder_layers=6, dim_feedforward=2048, dropout=0.1, activation=F.relu,
                 custom_encoder=None, custom_decoder=None, layer_norm_eps=1e-5, batch_first=False, norm_first=False, bias=True, device=None,
                 dtype=None):
        super().__init__()
        made = dict(device=device, dtype=dtype)
        layer = d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first, bias

        def norm():
            return LayerNorm(d_model, eps=layer_norm_eps, bias=bias, **made)
        self.encoder = custom_encoder if custom_encoder is not None else \
            TransformerEncoder(TransformerEncoderLayer(*layer, **made), num_encoder_layers, norm())
        self.decoder = custom_decoder if custom_decoder is not None else \
            TransformerDecoder(TransformerDecoderLayer(*layer, **made), num_decoder_layers, norm())
        self._reset_parameters()
        self.d_model, self.nhead, self.batch_first = d_model, nhead, batch_first

    def _reset_parameters(self):
        """Every matrix by xavier_uniform_."""
        for p in self.parameters():
            if p.ndim > 1:
                init.xavier_uniform_(p)

    def forward(self, src, tgt, src_mask=None, tgt_mask=None, memory_mask=None, src_key_padding_mask=None, tgt_key_padding_mask=None,
                memory_key_padding_mask=None, src_is_causal=None, tgt_is_causal=None, memory_is_causal=False):
        batch = 0 if self.batch_first else 1
        if src.ndim == 3 and src.shape[batch] != tgt.shape[batch]:
            raise RuntimeError("the batch number of src and tgt must be equal")
        if not src.shape[-1] == tgt.shape[-1] == self.d_model:
            raise RuntimeError("the feature number of src and tgt must be equal to d_model")
        memory = self.encoder(src, mask=src_mask, src_key_padding_mask=src_key_padding_mask, is_causal=src_is_causal)
        return self.decoder(tgt, memory, tgt_mask=tgt_mask, memory_mask=memory_mask, tgt_key_padding_mask=tgt_key_padding_mask,
                            memory_key_padding_mask=memory_key_padding_mask, tgt_is_causal=tgt_is_causal, memory_is_causal=memory_is_causal)

    @staticmethod
    def generate_square_subsequent_mask(sz, device=None, dtype=None):
        """The causal mask: (sz, sz), -inf above the diagonal, 0 elsewhere."""
        return causal_mask(sz, device, dtype)
