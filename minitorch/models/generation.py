"""Generator: writing on, token by token, from what a language model says of the next one.

Greedy: always the likeliest token.  Sampled: one drawn from softmax(scores / temperature), after the unlikely ones have been
taken out: all but the top_k likeliest (Fan et al. 2018), and all that the likeliest with a total of top_p do
without (Holtzman et al. 2019).  With a cache each step reads only the newest token.
"""
import math

from .. import cat, isin, multinomial, no_grad, ones_like, tensor, where
from ..nn import functional as F
from .attention import Cache


class Generator:
    """What language models inherit: generate()."""

    @no_grad()
    def generate(self, input_ids, attention_mask=None, *, max_new_tokens=20, do_sample=False, temperature=1.0, top_k=50, top_p=1.0,
                 eos_token_id=None, pad_token_id=None, use_cache=True, generator=None):
        """input_ids (N, L) and what the model writes after them, (N, L + at most max_new_tokens).

        attention_mask (N, L): zero at padding, which must be on the left.  do_sample: draw instead of taking the likeliest;
        temperature, top_k (0 or None: all) and top_p say how.  eos_token_id: one or more that end a text, by default
        the config's; then comes pad_token_id, by default the first of these.  generator: of the random numbers.
        """
        check(self.config, input_ids, attention_mask, max_new_tokens, temperature, top_k, top_p)
        ends = eos_token_id if eos_token_id is not None else self.config.eos_token_id
        ends = [] if ends is None else [ends] if isinstance(ends, int) else list(ends)
        pad = next((id for id in (pad_token_id, self.config.pad_token_id, *ends) if id is not None), None)
        mask = attention_mask
        cache = Cache() if use_cache else None
        going = ones_like(input_ids[:, 0])                                                 # (N,): 1 until a text has ended
        ids, new = input_ids, input_ids
        for _ in range(max_new_tokens):
            positions = None if mask is None else (mask.long().cumsum(1) - 1).clamp(min=0)[:, -new.shape[1]:]
            scores = self(new, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=use_cache,
                          logits_to_keep=1).logits[:, -1]                                  # (N, V)
            if do_sample:
                p = F.softmax(likely(scores / temperature, top_k, top_p), -1)
                token = multinomial(p, 1, generator=generator)[:, 0]                       # (N,)
            else:
                token = scores.argmax(-1)
            if ends:
                token = where(going == 1, token, pad)
                going = going * ~isin(token, tensor(ends, device=token.device))
            ids = cat((ids, token[:, None]), 1)
            mask = None if mask is None else cat((mask, ones_like(mask[:, :1])), 1)
            new = token[:, None] if use_cache else ids
            if not going.any():
                break
        return ids


def check(config, input_ids, mask, max_new_tokens, temperature, top_k, top_p):
    """ValueError for what makes no sense."""
    if input_ids.ndim != 2 or not input_ids.shape[1]:
        raise ValueError(f"generate(): input_ids must be (batch, positions) with a first token, not {tuple(input_ids.shape)}")
    if mask is not None and (mask.shape != input_ids.shape or not mask[:, -1].all()):
        raise ValueError("generate(): attention_mask must have the shape of input_ids and end in ones: shorter texts are filled up on the left")
    if max_new_tokens < 1:
        raise ValueError(f"generate(): max_new_tokens must be above zero, not {max_new_tokens}")
    if not temperature > 0:
        raise ValueError(f"generate(): temperature must be above zero, not {temperature}; do_sample=False takes the likeliest token")
    if top_k is not None and top_k < 0:
        raise ValueError(f"generate(): top_k must not be negative, but is {top_k}")
    if not 0 < top_p <= 1:
        raise ValueError(f"generate(): top_p must be above 0 and at most 1, not {top_p}")
    limit = getattr(config, "n_positions", None)
    if limit is not None and input_ids.shape[1] + max_new_tokens > limit:
        raise ValueError(f"generate(): {input_ids.shape[1]} tokens and {max_new_tokens} new ones are more than the model's {limit} positions")


def likely(scores, top_k, top_p):
    """(N, V) scores, with -inf for the tokens outside the top_k and the top_p."""
    if top_k and top_k < scores.shape[-1]:
        scores = scores.masked_fill(scores < scores.topk(top_k).values[:, -1:], -math.inf)
    if top_p < 1:
        ordered, places = scores.sort(-1, descending=True)
        p = F.softmax(ordered, -1)
        beyond = p.cumsum(-1) - p >= top_p                                                 # those before it are enough already
        scores = scores.masked_fill(beyond.gather(-1, places.argsort(-1)), -math.inf)
    return scores
