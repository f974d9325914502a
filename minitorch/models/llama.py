"""Llama (Touvron et al. 2023, "LLaMA: Open and Efficient Foundation Language Models"): a model of the next token.

It is GPT-2's plan with four parts replaced: lengths of vectors are made equal without subtracting their mean (RMS norm),
positions turn queries and keys instead of being added (rotary embedding), the small network is gated (SwiGLU), and several
heads of queries share one of keys and values, which keeps the cache small.  Names are Hugging Face's, so that its weights load.
"""
import math
from dataclasses import dataclass
from typing import ClassVar

from .. import arange, cat, nn, tensor
from ..nn import functional as F
from .attention import Cache, merge_heads, past_seen, split_heads
from .config import ACTIVATIONS, Config
from .generation import Generator
from .outputs import HeadOutput, ModelOutput, next_token_loss
from .pretrained import PretrainedModel


@dataclass
class LlamaConfig(Config):
    """The sizes of a Llama; by default those of the first one of 7 billion weights."""
    model_type: ClassVar[str] = "llama"
    built: ClassVar[dict] = {"partial_rotary_factor": (1.0, None), "sliding_window": (None,)}
    SCALINGS: ClassVar[dict] = {"default": (), "linear": ("factor",),
                                "llama3": ("factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings")}

    vocab_size: int = 32000
    hidden_size: int = 4096                          # E
    intermediate_size: int = 11008
    num_hidden_layers: int = 32
    num_attention_heads: int = 32
    num_key_value_heads: int | None = None           # None: as many as of queries
    hidden_act: str = "silu"
    max_position_embeddings: int = 2048
    rms_norm_eps: float = 1e-6
    use_cache: bool = True
    rope_theta: float = 10000.0                      # the slowest pair of numbers turns about once in 2 pi rope_theta positions
    rope_scaling: dict | None = None                 # for texts longer than those of the training: {"rope_type": "linear", "factor": 2.0}
    attention_bias: bool = False
    attention_dropout: float = 0.0
    mlp_bias: bool = False
    head_dim: int | None = None                      # None: E / heads
    bos_token_id: int | None = 1
    eos_token_id: int | list[int] | None = 2
    tie_word_embeddings: bool = False

    def __post_init__(self):
        super().__post_init__()
        if self.head_dim is None:
            self.check_heads("hidden_size", "num_attention_heads")
            self.head_dim = self.hidden_size // self.num_attention_heads
        self.num_key_value_heads = self.num_key_value_heads or self.num_attention_heads
        self.check_heads("num_attention_heads", "num_key_value_heads")
        self.check_activation("hidden_act")
        kind = self.rope_type
        if kind not in self.SCALINGS:
            self.refuse(f"rope_scaling of type {kind!r} is not built; there are {', '.join(self.SCALINGS)}")
        lacking = [name for name in self.SCALINGS[kind] if name not in self.rope_scaling]
        if lacking:
            self.refuse(f"rope_scaling of type {kind!r} lacks {', '.join(lacking)}")

    @property
    def rope_type(self):
        scaling = self.rope_scaling or {}
        return scaling.get("rope_type", scaling.get("type", "default"))

    @classmethod
    def from_dict(cls, values, **changes):
        """As Config's; newer files hold rope_theta and rope_scaling in one field, rope_parameters."""
        values = dict(values)
        rope = dict(values.pop("rope_parameters", None) or {})
        for place in (values, rope):
            if "rope_theta" in place:
                values["rope_theta"] = place.pop("rope_theta")
        if rope.pop("partial_rotary_factor", None) not in (None, 1.0):
            raise ValueError(f"{cls.__name__}: partial_rotary_factor other than 1 is not built")
        if rope.get("rope_type", "default") != "default":
            values["rope_scaling"] = rope
        return super().from_dict(values, **changes)


class LlamaRotaryEmbedding(nn.Module):
    """Positions (..., L) -> cosines and sines, each (..., 1, L, head_dim), of the angles by which pairs of numbers are turned.

    Pair i turns by position / theta^(2 i / head_dim): the first pairs quickly, the last slowly (Su et al. 2021).
    """

    def __init__(self, config):
        super().__init__()
        theta, E = config.rope_theta, config.head_dim
        self.speeds = [scaled(theta ** (-i / E), config) for i in range(0, E, 2)]          # radians a position

    def forward(self, positions, dtype):
        angles = positions[..., None].float() * tensor(self.speeds, device=positions.device)       # (..., L, E / 2)
        angles = cat((angles, angles), -1).unsqueeze(-3)                                   # (..., 1, L, E)
        return angles.cos().to(dtype), angles.sin().to(dtype)


def scaled(speed, config):
    """A speed of the rotary embedding, after config.rope_scaling.

    linear: all by 1 / factor (Chen et al. 2023).  llama3: only those that turn less than low_freq_factor times in the length
    of the training's texts; those that turn more than high_freq_factor times stay; between them, something between.
    """
    if config.rope_type == "default":
        return speed
    scaling = config.rope_scaling
    if config.rope_type == "linear":
        return speed / scaling["factor"]
    turns = scaling["original_max_position_embeddings"] * speed / (2 * math.pi)
    low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]
    kept = min(max((turns - low) / (high - low), 0.0), 1.0)
    return kept * speed + (1 - kept) * speed / scaling["factor"]


def rotate(x, cos, sin):
    """x (N, heads, L, E) with each pair (x[i], x[i + E / 2]) turned by its angle."""
    first, second = x.chunk(2, -1)
    return x * cos + cat((-second, first), -1) * sin


class LlamaAttention(nn.Module):
    """softmax(q k^T / sqrt(head_dim)) v with turned q and k; each head of keys and values serves several of queries."""

    def __init__(self, config, layer):
        super().__init__()
        E, H, G, head_dim, bias = (config.hidden_size, config.num_attention_heads, config.num_key_value_heads, config.head_dim,
                                   config.attention_bias)
        self.heads, self.groups, self.layer, self.dropout = H, G, layer, config.attention_dropout
        self.q_proj = nn.Linear(E, H * head_dim, bias=bias)
        self.k_proj = nn.Linear(E, G * head_dim, bias=bias)
        self.v_proj = nn.Linear(E, G * head_dim, bias=bias)
        self.o_proj = nn.Linear(H * head_dim, E, bias=bias)

    def forward(self, x, angles, seen, cache=None):
        q = rotate(split_heads(self.q_proj(x), self.heads), *angles)                       # (N, heads, L, head_dim)
        k = rotate(split_heads(self.k_proj(x), self.groups), *angles)                      # (N, groups, L, head_dim)
        v = split_heads(self.v_proj(x), self.groups)
        if cache is not None:
            k, v = cache.update(k, v, self.layer)                                          # (N, groups, S, head_dim)
        dropout = self.dropout if self.training else 0.0
        y = F.scaled_dot_product_attention(q, k, v, **seen, dropout_p=dropout, enable_gqa=self.groups != self.heads)
        return self.o_proj(merge_heads(y))


class LlamaMLP(nn.Module):
    """down(act(gate(x)) * up(x)): (N, L, E) -> (N, L, E); with silu SwiGLU (Shazeer 2020)."""

    def __init__(self, config):
        super().__init__()
        E, inner, bias = config.hidden_size, config.intermediate_size, config.mlp_bias
        self.gate_proj = nn.Linear(E, inner, bias=bias)
        self.up_proj = nn.Linear(E, inner, bias=bias)
        self.down_proj = nn.Linear(inner, E, bias=bias)
        self.act = ACTIVATIONS[config.hidden_act]

    def forward(self, x):
        return self.down_proj(self.act(self.gate_proj(x)) * self.up_proj(x))


class LlamaDecoderLayer(nn.Module):
    """One layer: x + attention(norm(x)), then x + mlp(norm(x))."""

    def __init__(self, config, layer):
        super().__init__()
        self.self_attn = LlamaAttention(config, layer)
        self.mlp = LlamaMLP(config)
        self.input_layernorm = nn.RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.post_attention_layernorm = nn.RMSNorm(config.hidden_size, config.rms_norm_eps)

    def forward(self, x, angles, seen, cache=None):
        x = x + self.self_attn(self.input_layernorm(x), angles, seen, cache)
        return x + self.mlp(self.post_attention_layernorm(x))


class LlamaPreTrainedModel(PretrainedModel):
    config_class = LlamaConfig
    base_model_prefix = "model"
    ignored = r"rotary_emb\.inv_freq$"               # the speeds, which older files hold


class LlamaModel(LlamaPreTrainedModel):
    """Tokens (N, L) -> vectors (N, L, E)."""

    def __init__(self, config):
        super().__init__(config)
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size, config.pad_token_id)
        self.layers = nn.ModuleList([LlamaDecoderLayer(config, layer) for layer in range(config.num_hidden_layers)])
        self.norm = nn.RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.rotary_emb = LlamaRotaryEmbedding(config)
        self.post_init()

    def forward(self, input_ids, attention_mask=None, position_ids=None, past_key_values=None, use_cache=None, output_hidden_states=False):
        """attention_mask (N, S): zero at padding.

        past_key_values: the Cache of a text whose next tokens are input_ids; the mask then covers the whole text.
        use_cache: return one; by default as the config says, but not while training.
        """
        use_cache = self.config.use_cache and not self.training if use_cache is None else use_cache
        cache = Cache() if past_key_values is None and use_cache else past_key_values
        past = cache.get_seq_length() if cache is not None else 0
        if position_ids is None:
            position_ids = arange(past, past + input_ids.shape[1], device=input_ids.device)        # (L,)
        x = self.embed_tokens(input_ids)                                                   # (N, L, E)
        angles = self.rotary_emb(position_ids, x.dtype)                                    # (1, L, head_dim) or (N, 1, L, head_dim)
        seen = past_seen(x, attention_mask, past)
        states = [x]
        for layer in self.layers:
            x = layer(x, angles, seen, cache)
            states.append(x)
        states[-1] = x = self.norm(x)
        return ModelOutput(x, past_key_values=cache if use_cache else None, hidden_states=tuple(states) if output_hidden_states else None)


class LlamaForCausalLM(LlamaPreTrainedModel, Generator):
    """Tokens (N, L) -> scores (N, L, vocabulary) of the token after each."""

    tied = {"lm_head.weight": "model.embed_tokens.weight"}

    def __init__(self, config):
        super().__init__(config)
        self.model = LlamaModel(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.post_init()

    def forward(self, input_ids, attention_mask=None, position_ids=None, past_key_values=None, labels=None, use_cache=None,
                output_hidden_states=False, logits_to_keep=0):
        """As LlamaModel; labels (N, L), most often input_ids: the loss of predicting each from those before it, -100 does not count.

        logits_to_keep: scores for so many last positions alone; 0: for all.
        """
        y = self.model(input_ids, attention_mask, position_ids, past_key_values, use_cache, output_hidden_states)
        logits = self.lm_head(y.last_hidden_state[:, -logits_to_keep:])
        return HeadOutput(next_token_loss(logits, labels), logits, y.past_key_values, y.hidden_states)
