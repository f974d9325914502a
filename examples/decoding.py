"""From a model of the next token to a whole sequence: greedily, or by beam search.

Both ask a function log_probs(prefixes (R, t)) -> (R, V) for the next token's log probabilities, as often as the answer has tokens,
and know nothing of the model behind it.
"""
import math

import minitorch as torch


def greedy(log_probs, n, start, end, steps):
    """(n, t) tokens: at each step the likeliest one, until all n sequences have had `end`, or `steps` tokens."""
    prefixes = torch.full((n, 1), start)
    ended = torch.zeros(n, dtype=torch.bool)
    for _ in range(steps):
        token = log_probs(prefixes).argmax(1).masked_fill(ended, end)           # (n,)
        prefixes = torch.cat([prefixes, token.unsqueeze(1)], 1)
        ended = ended | (token == end)
        if ended.all():
            break
    return prefixes[:, 1:]


def beam(log_probs, n, start, end, steps, width=4, alpha=0.6):
    """(n, t) tokens, likely as whole sequences: at each step the `width` best beginnings of each of the n go on.

    Rows i * width to (i + 1) * width - 1 of the prefixes belong to sequence i.  Beginnings are compared by
    log p / ((5 + length) / 6)^alpha, so that longer ones are not at a disadvantage (Wu et al. 2016); `end` counts as a token.
    """
    prefixes = torch.full((n * width, 1), start)
    total = torch.full((n, width), -math.inf)                                   # log p of each beginning
    total[:, 0] = 0.0                                                           # they start alike: only one of them counts
    lengths = torch.zeros(n, width)
    ended = torch.zeros(n, width, dtype=torch.bool)
    for _ in range(steps):
        step = log_probs(prefixes).reshape(n, width, -1)                        # (n, width, V)
        tokens = step.shape[2]
        after_the_end = torch.full((tokens,), -math.inf)
        after_the_end[end] = 0.0                                                # what has ended stays as it is
        step = torch.where(ended.unsqueeze(2), after_the_end, step)
        longer = total.unsqueeze(2) + step                                      # (n, width, V)
        new_lengths = (lengths + (~ended).float()).unsqueeze(2)                 # (n, width, 1)
        ranked = longer / ((5 + new_lengths) / 6) ** alpha
        best = ranked.reshape(n, -1).topk(width, dim=1).indices                 # (n, width)
        parent, token = best // tokens, best % tokens
        total = longer.reshape(n, -1).gather(1, best)
        lengths = new_lengths.squeeze(2).gather(1, parent)
        ended = ended.gather(1, parent) | (token == end)
        rows = (torch.arange(n).unsqueeze(1) * width + parent).reshape(-1)
        prefixes = torch.cat([prefixes[rows], token.reshape(-1, 1)], 1)
        if ended.all():
            break
    return prefixes.reshape(n, width, -1)[:, 0, 1:]                             # topk gives the best first


def until(row, end):
    """A row of tokens as a list, up to but without `end`."""
    row = row.tolist()
    return row[:row.index(end)] if end in row else row
