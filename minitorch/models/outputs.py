"""What models return, and the losses they compute when they are given labels."""
from dataclasses import dataclass
from typing import Any

from .. import int32, int64
from ..nn import functional as F
from ..tensor import Tensor


class Output:
    """Results by name (`y.logits`, `y["logits"]`), or by number among those that are there (`y[0]`), as transformers has them."""

    def to_tuple(self):
        return tuple(value for value in vars(self).values() if value is not None)

    def __getitem__(self, key):
        return getattr(self, key) if isinstance(key, str) else self.to_tuple()[key]

    def __iter__(self):
        return iter(self.to_tuple())


@dataclass
class ModelOutput(Output):
    """What a model without a head returns."""
    last_hidden_state: Tensor                        # (N, L, E)
    pooler_output: Tensor | None = None              # (N, E): of the first position, where there is a pooler
    past_key_values: Any = None                      # the Cache, where one is used
    hidden_states: tuple[Tensor, ...] | None = None  # if asked for: (N, L, E) before the first layer and after each


@dataclass
class HeadOutput(Output):
    """What a model with a head returns."""
    loss: Tensor | None = None                       # (), where labels were given
    logits: Tensor | None = None                     # (N, L, vocabulary) or (N, labels)
    past_key_values: Any = None
    hidden_states: tuple[Tensor, ...] | None = None


@dataclass
class PreTrainingOutput(Output):
    """What BERT returns in its first training."""
    loss: Tensor | None = None                       # (), the sum of both losses
    prediction_logits: Tensor | None = None          # (N, L, vocabulary)
    seq_relationship_logits: Tensor | None = None    # (N, 2): does the second text follow the first?
    hidden_states: tuple[Tensor, ...] | None = None


def token_loss(logits, labels):
    """Cross entropy of (N, L, V) scores and (N, L) labels; those of -100 do not count. None without labels."""
    return None if labels is None else F.cross_entropy(logits.flatten(0, 1), labels.flatten())


def next_token_loss(logits, labels):
    """token_loss where the scores at each position are for the token after it."""
    return None if labels is None else token_loss(logits[:, :-1], labels[:, 1:])


def classification_loss(logits, labels, config):
    """The loss of (N, C) scores that config.problem_type names, or else what the labels look like. None without labels.

    One number each: squared error ("regression"); classes (N,): cross entropy ("single_label_classification");
    (N, C) zeros and ones: binary cross entropy ("multi_label_classification").
    """
    if labels is None:
        return None
    whole = labels.dtype in (int32, int64)
    kind = config.problem_type or ("regression" if config.num_labels == 1 else "single_label_classification" if whole
                                   else "multi_label_classification")
    if kind == "regression":
        return F.mse_loss(logits.squeeze(), labels.squeeze()) if config.num_labels == 1 else F.mse_loss(logits, labels)
    if kind == "single_label_classification":
        return F.cross_entropy(logits.reshape(-1, config.num_labels), labels.flatten())
    if kind == "multi_label_classification":
        return F.binary_cross_entropy_with_logits(logits, labels)
    raise ValueError(f"problem_type {kind!r} is none of regression, single_label_classification, multi_label_classification")
