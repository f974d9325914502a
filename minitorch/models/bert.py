"""BERT (Devlin et al. 2018): vectors for the tokens of a text, each made in view of the whole text.

It learns them from texts with holes: some tokens are hidden or replaced, and the model says what stood there
(BertForMaskedLM).  With a small head on top the same vectors then answer other questions, after little training
(BertForSequenceClassification).  Names are Hugging Face's, so that its weights load.
"""
from dataclasses import dataclass
from typing import ClassVar

from .. import arange, nn, zeros
from ..nn import functional as F
from .attention import all_seen, merge_heads, split_heads
from .config import ACTIVATIONS, Config
from .outputs import HeadOutput, ModelOutput, PreTrainingOutput, classification_loss, token_loss
from .pretrained import PretrainedModel


@dataclass
class BertConfig(Config):
    """The sizes of a BERT; by default those of bert-base, of 110 million weights."""
    model_type: ClassVar[str] = "bert"
    built: ClassVar[dict] = {"is_decoder": (False,), "add_cross_attention": (False,), "position_embedding_type": ("absolute", None)}

    vocab_size: int = 30522
    hidden_size: int = 768                           # E, the size of the vectors
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    hidden_act: str = "gelu"
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    max_position_embeddings: int = 512               # how long a text may be
    type_vocab_size: int = 2
    layer_norm_eps: float = 1e-12
    pad_token_id: int | None = 0
    classifier_dropout: float | None = None          # None: hidden_dropout_prob

    def __post_init__(self):
        super().__post_init__()
        self.check_heads("hidden_size", "num_attention_heads")
        self.check_activation("hidden_act")


class BertEmbeddings(nn.Module):
    """norm(vector of the token + of its place + of the text it belongs to): (N, L) -> (N, L, E)."""

    def __init__(self, config):
        super().__init__()
        self.word_embeddings = nn.Embedding(config.vocab_size, config.hidden_size, config.pad_token_id)
        self.position_embeddings = nn.Embedding(config.max_position_embeddings, config.hidden_size)
        self.token_type_embeddings = nn.Embedding(config.type_vocab_size, config.hidden_size)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, input_ids, token_type_ids=None, position_ids=None):
        length, limit = input_ids.shape[1], self.position_embeddings.num_embeddings
        if length > limit:
            raise ValueError(f"a text of {length} tokens is longer than the model's {limit} positions")
        if position_ids is None:
            position_ids = arange(length, device=input_ids.device)
        if token_type_ids is None:
            token_type_ids = input_ids * 0
        x = self.word_embeddings(input_ids) + self.token_type_embeddings(token_type_ids) + self.position_embeddings(position_ids)
        return self.dropout(self.LayerNorm(x))


class BertSelfAttention(nn.Module):
    """Each position asks all others: softmax(q k^T / sqrt(E / heads)) v, in every head; (N, L, E) -> (N, L, E)."""

    def __init__(self, config):
        super().__init__()
        self.heads = config.num_attention_heads
        self.query = nn.Linear(config.hidden_size, config.hidden_size)
        self.key = nn.Linear(config.hidden_size, config.hidden_size)
        self.value = nn.Linear(config.hidden_size, config.hidden_size)
        self.dropout = nn.Dropout(config.attention_probs_dropout_prob)

    def forward(self, x, seen):
        q, k, v = (split_heads(t, self.heads) for t in (self.query(x), self.key(x), self.value(x)))     # (N, heads, L, E / heads)
        dropout = self.dropout.p if self.training else 0.0
        return merge_heads(F.scaled_dot_product_attention(q, k, v, **seen, dropout_p=dropout))


class BertOutput(nn.Module):
    """norm(x + dense(y)): where what a part computed, y (N, L, size), is added to what it saw, x (N, L, E)."""

    def __init__(self, config, size):
        super().__init__()
        self.dense = nn.Linear(size, config.hidden_size)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, y, x):
        return self.LayerNorm(self.dropout(self.dense(y)) + x)


class BertAttention(nn.Module):
    """norm(x + attention of x to itself)."""

    def __init__(self, config):
        super().__init__()
        self.self = BertSelfAttention(config)
        self.output = BertOutput(config, config.hidden_size)

    def forward(self, x, seen):
        return self.output(self.self(x, seen), x)


class BertIntermediate(nn.Module):
    """act(dense(x)), (N, L, E) -> (N, L, intermediate_size): the first half of the small network."""

    def __init__(self, config):
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.intermediate_size)
        self.act = ACTIVATIONS[config.hidden_act]

    def forward(self, x):
        return self.act(self.dense(x))


class BertLayer(nn.Module):
    """One layer: norm(x + attention(x)), then norm(x + network(x))."""

    def __init__(self, config):
        super().__init__()
        self.attention = BertAttention(config)
        self.intermediate = BertIntermediate(config)
        self.output = BertOutput(config, config.intermediate_size)

    def forward(self, x, seen):
        x = self.attention(x, seen)
        return self.output(self.intermediate(x), x)


class BertEncoder(nn.Module):
    """The layers one after the other; returns x before the first and after each."""

    def __init__(self, config):
        super().__init__()
        self.layer = nn.ModuleList([BertLayer(config) for _ in range(config.num_hidden_layers)])

    def forward(self, x, seen):
        states = [x]
        for layer in self.layer:
            states.append(layer(states[-1], seen))
        return states


class BertPooler(nn.Module):
    """tanh(dense(x[0])): one vector for the text, made of its first position's; (N, L, E) -> (N, E)."""

    def __init__(self, config):
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, x):
        return self.dense(x[:, 0]).tanh()


class BertPreTrainedModel(PretrainedModel):
    config_class = BertConfig
    base_model_prefix = "bert"
    ignored = r"\.position_ids$"                                                   # 0, 1, 2, ..., which older files hold
    renamed = {r"LayerNorm\.gamma$": "LayerNorm.weight", r"LayerNorm\.beta$": "LayerNorm.bias"}     # as the first files call them


class BertModel(BertPreTrainedModel):
    """Tokens (N, L) -> vectors (N, L, E) of the tokens, and (N, E) of the texts."""

    def __init__(self, config, add_pooling_layer=True):
        super().__init__(config)
        self.embeddings = BertEmbeddings(config)
        self.encoder = BertEncoder(config)
        self.pooler = BertPooler(config) if add_pooling_layer else None
        self.post_init()

    def forward(self, input_ids, attention_mask=None, token_type_ids=None, position_ids=None, output_hidden_states=False):
        """attention_mask (N, L): zero at padding.  token_type_ids (N, L): 0 in the first text, 1 in the second, where there are two."""
        x = self.embeddings(input_ids, token_type_ids, position_ids)                       # (N, L, E)
        states = self.encoder(x, all_seen(x, attention_mask))
        pooled = self.pooler(states[-1]) if self.pooler is not None else None
        return ModelOutput(states[-1], pooled, hidden_states=tuple(states) if output_hidden_states else None)


# ---- heads ------------------------------------------------------------------------------------------------------

class BertPredictionHeadTransform(nn.Module):
    """norm(act(dense(x))): (N, L, E) -> (N, L, E)."""

    def __init__(self, config):
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.act = ACTIVATIONS[config.hidden_act]
        self.LayerNorm = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)

    def forward(self, x):
        return self.LayerNorm(self.act(self.dense(x)))


class BertLMPredictionHead(nn.Module):
    """Scores of all tokens at every position: (N, L, E) -> (N, L, vocabulary)."""

    def __init__(self, config):
        super().__init__()
        self.transform = BertPredictionHeadTransform(config)
        self.decoder = nn.Linear(config.hidden_size, config.vocab_size)
        self.bias = nn.Parameter(zeros(config.vocab_size))                         # the decoder's, under its older name

    def forward(self, x):
        return self.decoder(self.transform(x))


class BertHeads(nn.Module):
    """What stands on BERT in its first training: what was hidden, and does the second text follow the first?"""

    def __init__(self, config, next_sentence):
        super().__init__()
        self.predictions = BertLMPredictionHead(config)
        if next_sentence:
            self.seq_relationship = nn.Linear(config.hidden_size, 2)


TIED = {"cls.predictions.decoder.weight": "bert.embeddings.word_embeddings.weight", "cls.predictions.decoder.bias": "cls.predictions.bias"}


class BertForMaskedLM(BertPreTrainedModel):
    """Texts with holes (N, L) -> scores (N, L, vocabulary) of what stands at each position."""

    tied = TIED

    def __init__(self, config):
        super().__init__(config)
        self.bert = BertModel(config, add_pooling_layer=False)
        self.cls = BertHeads(config, next_sentence=False)
        self.post_init()

    def forward(self, input_ids, attention_mask=None, token_type_ids=None, position_ids=None, labels=None, output_hidden_states=False):
        """labels (N, L): what stood there; -100 at positions that do not count."""
        y = self.bert(input_ids, attention_mask, token_type_ids, position_ids, output_hidden_states)
        logits = self.cls.predictions(y.last_hidden_state)
        return HeadOutput(token_loss(logits, labels), logits, hidden_states=y.hidden_states)


class BertForPreTraining(BertPreTrainedModel):
    """BertForMaskedLM, and of two texts the scores (N, 2) that the second follows the first (0) or not (1)."""

    tied = TIED

    def __init__(self, config):
        super().__init__(config)
        self.bert = BertModel(config)
        self.cls = BertHeads(config, next_sentence=True)
        self.post_init()

    def forward(self, input_ids, attention_mask=None, token_type_ids=None, position_ids=None, labels=None, next_sentence_label=None,
                output_hidden_states=False):
        """labels (N, L): what stood there, or -100; next_sentence_label (N,); the loss is the sum of both."""
        y = self.bert(input_ids, attention_mask, token_type_ids, position_ids, output_hidden_states)
        logits, follows = self.cls.predictions(y.last_hidden_state), self.cls.seq_relationship(y.pooler_output)
        loss = None
        if labels is not None and next_sentence_label is not None:
            loss = token_loss(logits, labels) + F.cross_entropy(follows, next_sentence_label.flatten())
        return PreTrainingOutput(loss, logits, follows, y.hidden_states)


class BertForSequenceClassification(BertPreTrainedModel):
    """Texts (N, L) -> scores (N, num_labels)."""

    def __init__(self, config):
        super().__init__(config)
        self.bert = BertModel(config)
        self.dropout = nn.Dropout(config.hidden_dropout_prob if config.classifier_dropout is None else config.classifier_dropout)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)
        self.post_init()

    def forward(self, input_ids, attention_mask=None, token_type_ids=None, position_ids=None, labels=None, output_hidden_states=False):
        """labels: (N,) classes, or numbers as outputs.classification_loss has them."""
        y = self.bert(input_ids, attention_mask, token_type_ids, position_ids, output_hidden_states)
        logits = self.classifier(self.dropout(y.pooler_output))
        return HeadOutput(classification_loss(logits, labels, self.config), logits, hidden_states=y.hidden_states)
