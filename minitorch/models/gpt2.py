"""GPT-2 (Radford et al. 2019, "Language Models are Unsupervised Multitask Learners"): a model of the next token.

A token becomes a vector, to which its position adds another.  Each layer then adds twice to that vector: what attention
finds in the tokens before it, and what a small network makes of it.  The last vectors are compared with those of all
tokens: the better the fit, the likelier that token is the next.  Names are Hugging Face's, so that its weights load.
"""
import math
from dataclasses import dataclass
from typing import ClassVar

from .. import addmm, arange, empty, nn
from ..nn import functional as F
from ..nn import init
from .attention import Cache, merge_heads, past_seen, split_heads
from .config import ACTIVATIONS, Config
from .generation import Generator
from .outputs import HeadOutput, ModelOutput, next_token_loss
from .pretrained import PretrainedModel


@dataclass
class GPT2Config(Config):
    """The sizes of a GPT-2; by default those of the smallest published one, of 124 million weights."""
    model_type: ClassVar[str] = "gpt2"
    built: ClassVar[dict] = {"add_cross_attention": (False,)}

    vocab_size: int = 50257
    n_positions: int = 1024                          # how long a text may be
    n_embd: int = 768                                # E, the size of the vectors
    n_layer: int = 12
    n_head: int = 12
    n_inner: int | None = None                       # width of the small network; None: 4 E
    activation_function: str = "gelu_new"
    resid_pdrop: float = 0.1                         # dropout of what the layers add,
    embd_pdrop: float = 0.1                          # of the embeddings,
    attn_pdrop: float = 0.1                          # and of the attention's weights
    layer_norm_epsilon: float = 1e-5
    scale_attn_weights: bool = True
    scale_attn_by_inverse_layer_idx: bool = False
    use_cache: bool = True
    bos_token_id: int | None = 50256
    eos_token_id: int | list[int] | None = 50256

    def __post_init__(self):
        super().__post_init__()
        self.check_heads("n_embd", "n_head")
        self.check_activation("activation_function")


class Conv1D(nn.Module):
    """x W + b, (..., in) -> (..., out): a linear layer whose weight lies the other way round, (in, out)."""

    def __init__(self, nf, nx):
        super().__init__()
        self.weight, self.bias = nn.Parameter(empty(nx, nf)), nn.Parameter(empty(nf))
        self.nf = nf

    def forward(self, x):
        return addmm(self.bias, x.reshape(-1, x.shape[-1]), self.weight).reshape(*x.shape[:-1], self.nf)


class GPT2Attention(nn.Module):
    """Each position asks those before it: softmax(q k^T / sqrt(E / heads)) v, in every head; (N, L, E) -> (N, L, E)."""

    def __init__(self, config, layer):
        super().__init__()
        self.heads, self.layer = config.n_head, layer
        self.scale = (config.n_embd // config.n_head) ** -0.5 if config.scale_attn_weights else 1.0
        if config.scale_attn_by_inverse_layer_idx:
            self.scale /= layer + 1
        self.c_attn = Conv1D(3 * config.n_embd, config.n_embd)
        self.c_proj = Conv1D(config.n_embd, config.n_embd)
        self.attn_dropout = nn.Dropout(config.attn_pdrop)
        self.resid_dropout = nn.Dropout(config.resid_pdrop)

    def forward(self, x, seen, cache=None):
        q, k, v = (split_heads(t, self.heads) for t in self.c_attn(x).chunk(3, -1))        # (N, heads, L, E / heads)
        if cache is not None:
            k, v = cache.update(k, v, self.layer)                                          # (N, heads, S, E / heads)
        dropout = self.attn_dropout.p if self.training else 0.0
        y = F.scaled_dot_product_attention(q, k, v, **seen, dropout_p=dropout, scale=self.scale)
        return self.resid_dropout(self.c_proj(merge_heads(y)))


class GPT2MLP(nn.Module):
    """The small network that every position goes through on its own: (N, L, E) -> (N, L, E)."""

    def __init__(self, config):
        super().__init__()
        inner = config.n_inner or 4 * config.n_embd
        self.c_fc = Conv1D(inner, config.n_embd)
        self.c_proj = Conv1D(config.n_embd, inner)
        self.act = ACTIVATIONS[config.activation_function]
        self.dropout = nn.Dropout(config.resid_pdrop)

    def forward(self, x):
        return self.dropout(self.c_proj(self.act(self.c_fc(x))))


class GPT2Block(nn.Module):
    """One layer: x + attention(norm(x)), then x + mlp(norm(x))."""

    def __init__(self, config, layer):
        super().__init__()
        self.ln_1 = nn.LayerNorm(config.n_embd, config.layer_norm_epsilon)
        self.attn = GPT2Attention(config, layer)
        self.ln_2 = nn.LayerNorm(config.n_embd, config.layer_norm_epsilon)
        self.mlp = GPT2MLP(config)

    def forward(self, x, seen, cache=None):
        x = x + self.attn(self.ln_1(x), seen, cache)
        return x + self.mlp(self.ln_2(x))


class GPT2PreTrainedModel(PretrainedModel):
    config_class = GPT2Config
    base_model_prefix = "transformer"
    ignored = r"\.attn\.(masked_)?bias$"             # the causal mask, which older files hold

    def _init_weights(self, module):
        super()._init_weights(module)
        if isinstance(module, Conv1D):
            init.normal_(module.weight, std=self.config.initializer_range)
            init.zeros_(module.bias)
        if isinstance(module, (GPT2Attention, GPT2MLP)):         # each layer adds twice, so that the sum keeps its size
            init.normal_(module.c_proj.weight, std=self.config.initializer_range / math.sqrt(2 * self.config.n_layer))


class GPT2Model(GPT2PreTrainedModel):
    """Tokens (N, L) -> vectors (N, L, E)."""

    def __init__(self, config):
        super().__init__(config)
        self.wte = nn.Embedding(config.vocab_size, config.n_embd)
        self.wpe = nn.Embedding(config.n_positions, config.n_embd)
        self.drop = nn.Dropout(config.embd_pdrop)
        self.h = nn.ModuleList([GPT2Block(config, layer) for layer in range(config.n_layer)])
        self.ln_f = nn.LayerNorm(config.n_embd, config.layer_norm_epsilon)
        self.post_init()

    def forward(self, input_ids, attention_mask=None, token_type_ids=None, position_ids=None, past_key_values=None, use_cache=None,
                output_hidden_states=False):
        """attention_mask (N, S): zero at padding.  token_type_ids (N, L): tokens that say what kind each is.

        past_key_values: the Cache of a text whose next tokens are input_ids; the mask then covers the whole text.
        use_cache: return one; by default as the config says, but not while training.  ValueError for too long a text.
        """
        use_cache = self.config.use_cache and not self.training if use_cache is None else use_cache
        cache = Cache() if past_key_values is None and use_cache else past_key_values
        past = cache.get_seq_length() if cache is not None else 0
        end = past + input_ids.shape[1]
        if end > self.config.n_positions:
            raise ValueError(f"a text of {end} tokens is longer than the model's {self.config.n_positions} positions")
        if position_ids is None:
            position_ids = arange(past, end, device=input_ids.device)                      # (L,)
        x = self.wte(input_ids) + self.wpe(position_ids)                                   # (N, L, E)
        if token_type_ids is not None:
            x = x + self.wte(token_type_ids)
        x = self.drop(x)
        seen = past_seen(x, attention_mask, past)
        states = [x]
        for block in self.h:
            x = block(x, seen, cache)
            states.append(x)
        states[-1] = x = self.ln_f(x)
        return ModelOutput(x, past_key_values=cache if use_cache else None, hidden_states=tuple(states) if output_hidden_states else None)


class GPT2LMHeadModel(GPT2PreTrainedModel, Generator):
    """Tokens (N, L) -> scores (N, L, vocabulary) of the token after each."""

    tied = {"lm_head.weight": "transformer.wte.weight"}

    def __init__(self, config):
        super().__init__(config)
        self.transformer = GPT2Model(config)
        self.lm_head = nn.Linear(config.n_embd, config.vocab_size, bias=False)
        self.post_init()

    def forward(self, input_ids, attention_mask=None, token_type_ids=None, position_ids=None, past_key_values=None, labels=None,
                use_cache=None, output_hidden_states=False, logits_to_keep=0):
        """As GPT2Model; labels (N, L), most often input_ids: the loss of predicting each from those before it, -100 does not count.

        logits_to_keep: scores for so many last positions alone; 0: for all.
        """
        y = self.transformer(input_ids, attention_mask, token_type_ids, position_ids, past_key_values, use_cache, output_hidden_states)
        logits = self.lm_head(y.last_hidden_state[:, -logits_to_keep:])
        return HeadOutput(next_token_loss(logits, labels), logits, y.past_key_values, y.hidden_states)
