"""ViT (Dosovitskiy et al. 2020, "An Image is Worth 16x16 Words"): a picture read as a text whose words are its patches.

A linear map makes a vector of each patch, a learnt vector is put before them, and each place adds its own.  Layers of
attention and a small network follow, and the first position's vector answers for the whole picture.
Names are Hugging Face's, so that its weights load.
"""
from dataclasses import dataclass
from typing import ClassVar

from .. import cat, empty, nn
from ..nn import functional as F
from ..nn import init
from .attention import merge_heads, split_heads
from .config import ACTIVATIONS, Config
from .outputs import HeadOutput, ModelOutput, classification_loss
from .pretrained import PretrainedModel


def pair(size):
    """(height, width) of one number or two."""
    return (size, size) if isinstance(size, int) else tuple(size)


@dataclass
class ViTConfig(Config):
    """The sizes of a ViT; by default those of vit-base, of 86 million weights."""
    model_type: ClassVar[str] = "vit"

    hidden_size: int = 768                           # E, the size of the vectors
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    hidden_act: str = "gelu"
    hidden_dropout_prob: float = 0.0
    attention_probs_dropout_prob: float = 0.0
    layer_norm_eps: float = 1e-12
    image_size: int | tuple[int, int] = 224          # pixels, or (height, width)
    patch_size: int | tuple[int, int] = 16
    num_channels: int = 3
    qkv_bias: bool = True
    pooler_output_size: int | None = None            # None: E
    pooler_act: str = "tanh"

    def __post_init__(self):
        super().__post_init__()
        self.pooler_output_size = self.pooler_output_size or self.hidden_size
        self.check_heads("hidden_size", "num_attention_heads")
        self.check_activation("hidden_act")
        self.check_activation("pooler_act")


class ViTPatchEmbeddings(nn.Module):
    """A linear map of every patch of p x p pixels: (N, C, H, W) -> (N, H/p * W/p, E)."""

    def __init__(self, config):
        super().__init__()
        patch = pair(config.patch_size)
        self.projection = nn.Conv2d(config.num_channels, config.hidden_size, kernel_size=patch, stride=patch)

    def forward(self, pixel_values):
        return self.projection(pixel_values).flatten(2).transpose(1, 2)


class ViTEmbeddings(nn.Module):
    """The patches' vectors behind a learnt one, each with its place's added: (N, C, H, W) -> (N, 1 + patches, E)."""

    def __init__(self, config):
        super().__init__()
        (H, W), (h, w) = pair(config.image_size), pair(config.patch_size)
        self.image_size, self.channels = (H, W), config.num_channels
        self.cls_token = nn.Parameter(empty(1, 1, config.hidden_size))
        self.position_embeddings = nn.Parameter(empty(1, 1 + (H // h) * (W // w), config.hidden_size))
        self.patch_embeddings = ViTPatchEmbeddings(config)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, pixel_values):
        N, C, *size = pixel_values.shape
        if (C, *size) != (self.channels, *self.image_size):
            raise ValueError(f"pixel_values must be (N, {self.channels}, {self.image_size[0]}, {self.image_size[1]}), "
                             f"not {tuple(pixel_values.shape)}")
        x = cat((self.cls_token.expand(N, -1, -1), self.patch_embeddings(pixel_values)), 1)
        return self.dropout(x + self.position_embeddings)


class ViTSelfAttention(nn.Module):
    """Each position asks all others: softmax(q k^T / sqrt(E / heads)) v, in every head; (N, L, E) -> (N, L, E)."""

    def __init__(self, config):
        super().__init__()
        self.heads, self.dropout = config.num_attention_heads, config.attention_probs_dropout_prob
        self.query = nn.Linear(config.hidden_size, config.hidden_size, bias=config.qkv_bias)
        self.key = nn.Linear(config.hidden_size, config.hidden_size, bias=config.qkv_bias)
        self.value = nn.Linear(config.hidden_size, config.hidden_size, bias=config.qkv_bias)

    def forward(self, x):
        q, k, v = (split_heads(t, self.heads) for t in (self.query(x), self.key(x), self.value(x)))     # (N, heads, L, E / heads)
        return merge_heads(F.scaled_dot_product_attention(q, k, v, dropout_p=self.dropout if self.training else 0.0))


class ViTOutput(nn.Module):
    """dropout(dense(x)): (N, L, size) -> (N, L, E)."""

    def __init__(self, config, size):
        super().__init__()
        self.dense = nn.Linear(size, config.hidden_size)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, x):
        return self.dropout(self.dense(x))


class ViTAttention(nn.Module):
    """Attention and the map of its result."""

    def __init__(self, config):
        super().__init__()
        self.attention = ViTSelfAttention(config)
        self.output = ViTOutput(config, config.hidden_size)

    def forward(self, x):
        return self.output(self.attention(x))


class ViTIntermediate(nn.Module):
    """act(dense(x)), (N, L, E) -> (N, L, intermediate_size): the first half of the small network."""

    def __init__(self, config):
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.intermediate_size)
        self.act = ACTIVATIONS[config.hidden_act]

    def forward(self, x):
        return self.act(self.dense(x))


class ViTLayer(nn.Module):
    """One layer: x + attention(norm(x)), then x + network(norm(x))."""

    def __init__(self, config):
        super().__init__()
        self.attention = ViTAttention(config)
        self.intermediate = ViTIntermediate(config)
        self.output = ViTOutput(config, config.intermediate_size)
        self.layernorm_before = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)
        self.layernorm_after = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)

    def forward(self, x):
        x = x + self.attention(self.layernorm_before(x))
        return x + self.output(self.intermediate(self.layernorm_after(x)))


class ViTEncoder(nn.Module):
    """The layers one after the other; returns x before the first and after each."""

    def __init__(self, config):
        super().__init__()
        self.layer = nn.ModuleList([ViTLayer(config) for _ in range(config.num_hidden_layers)])

    def forward(self, x):
        states = [x]
        for layer in self.layer:
            states.append(layer(states[-1]))
        return states


class ViTPooler(nn.Module):
    """act(dense(x[0])): (N, L, E) -> (N, pooler_output_size)."""

    def __init__(self, config):
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.pooler_output_size)
        self.act = ACTIVATIONS[config.pooler_act]

    def forward(self, x):
        return self.act(self.dense(x[:, 0]))


class ViTPreTrainedModel(PretrainedModel):
    config_class = ViTConfig
    base_model_prefix = "vit"

    def _init_weights(self, module):
        std = self.config.initializer_range
        if isinstance(module, (nn.Linear, nn.Conv2d)):
            init.trunc_normal_(module.weight, std=std)
            if module.bias is not None:
                init.zeros_(module.bias)
        if isinstance(module, ViTEmbeddings):
            init.trunc_normal_(module.cls_token, std=std)
            init.trunc_normal_(module.position_embeddings, std=std)


class ViTModel(ViTPreTrainedModel):
    """Pictures (N, C, H, W) -> vectors (N, 1 + patches, E), and (N, pooler_output_size) of the whole pictures."""

    def __init__(self, config, add_pooling_layer=True):
        super().__init__(config)
        self.embeddings = ViTEmbeddings(config)
        self.encoder = ViTEncoder(config)
        self.layernorm = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)
        self.pooler = ViTPooler(config) if add_pooling_layer else None
        self.post_init()

    def forward(self, pixel_values, output_hidden_states=False):
        """ValueError for pictures of another size than the config's."""
        states = self.encoder(self.embeddings(pixel_values))
        x = self.layernorm(states[-1])
        pooled = self.pooler(x) if self.pooler is not None else None
        return ModelOutput(x, pooled, hidden_states=tuple(states) if output_hidden_states else None)


class ViTForImageClassification(ViTPreTrainedModel):
    """Pictures (N, C, H, W) -> scores (N, num_labels)."""

    def __init__(self, config):
        super().__init__(config)
        self.vit = ViTModel(config, add_pooling_layer=False)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)
        self.post_init()

    def forward(self, pixel_values, labels=None, output_hidden_states=False):
        """labels: (N,) classes, or numbers as outputs.classification_loss has them."""
        y = self.vit(pixel_values, output_hidden_states)
        logits = self.classifier(y.last_hidden_state[:, 0])
        return HeadOutput(classification_loss(logits, labels, self.config), logits, hidden_states=y.hidden_states)
