"""Measures of text: perplexity of a language model, BLEU of translations."""
import math
from collections import Counter

import numpy as np

from .arrays import as_array
from .classification import classes

SMOOTHING = {"none": None, "floor": 0.1, "add-k": 1.0, "exp": None}


def perplexity(input, target=None, *, ignore_index=-100):
    """e^(mean of -log p(target)): between how many equally likely tokens the model hesitates.

    input: scores or log probabilities (..., V) for a target of tokens (...), of which those equal to ignore_index do not count;
    or, without a target, cross entropies, whose mean is taken.
    """
    x = as_array(input, "input").astype("f8")
    if target is None:
        return math.exp(x.mean())
    t = classes(target, "target")
    if x.shape[:-1] != t.shape or not x.ndim:
        raise ValueError(f"input of shape {x.shape} does not hold scores (..., V) for target of shape {t.shape}")
    x, t = x.reshape(-1, x.shape[-1]), t.reshape(-1)
    x, t = x[t != ignore_index], t[t != ignore_index]
    if not len(t):
        raise ValueError(f"every token of target is ignore_index, {ignore_index}")
    if t.min() < 0 or t.max() >= x.shape[1]:
        raise ValueError(f"target has tokens from {t.min()} to {t.max()}, where there are scores for 0 to {x.shape[1] - 1}")
    top = x.max(1)
    losses = top + np.log(np.exp(x - top[:, None]).sum(1)) - x[np.arange(len(t)), t]
    return float(np.exp(losses.mean()))


def bleu(candidates, references, max_n=4, *, smooth="none", smooth_value=None):
    """min(1, e^(1 - r / c)) times the geometric mean of the precisions of n-grams, n = 1 to max_n, over a corpus: from 0 to 1.

    candidates: a list of sentences, each a list of tokens; references: for each of them a list of such sentences.  An n-gram counts as
    often as in the one reference that has it most often; c is the length of all candidates, r that of the references nearest in length.
    smooth, for orders without a match: "floor" counts smooth_value (0.1) matches, "exp" 1/2, then 1/4, ..., "add-k" adds smooth_value
    (1) to matches and n-grams of every order above 1 (Chen & Cherry 2014).  Papineni et al. 2002.
    """
    if smooth not in SMOOTHING:
        raise ValueError(f"smooth must be one of {', '.join(map(repr, SMOOTHING))}, not {smooth!r}")
    if max_n < 1:
        raise ValueError(f"max_n must be at least 1, not {max_n}")
    candidates, references = list(candidates), list(references)
    if not candidates:
        raise ValueError("candidates is empty: there is nothing to measure")
    if len(candidates) != len(references):
        raise ValueError(f"{len(candidates)} candidates do not fit {len(references)} lists of references")
    matches, totals, length, wanted = [0] * max_n, [0] * max_n, 0, 0
    for i, (sentence, others) in enumerate(zip(candidates, references)):
        check_tokens(sentence, others, i)
        length += len(sentence)
        wanted += min((abs(len(r) - len(sentence)), len(r)) for r in others)[1]
        for n in range(1, max_n + 1):
            found, most = ngrams(sentence, n), Counter()
            for r in others:
                most |= ngrams(r, n)
            matches[n - 1] += (found & most).total()
            totals[n - 1] += found.total()
    if not any(matches):
        return 0.0
    value = SMOOTHING[smooth] if smooth_value is None else smooth_value
    logs, halves = 0.0, 1.0
    for n, (match, total) in enumerate(zip(matches, totals)):
        if smooth == "add-k" and n:
            match, total = match + value, total + value
        if not match and total and smooth in ("exp", "floor"):
            halves /= 2
            match = halves if smooth == "exp" else value
        if not match or not total:
            return 0.0
        logs += math.log(match / total)
    return min(1.0, math.exp(1 - wanted / length)) * math.exp(logs / max_n)


def check_tokens(sentence, others, i):
    """ValueError for texts that were not cut into tokens, and for a candidate without references."""
    if isinstance(sentence, str) or isinstance(others, str) or any(isinstance(r, str) for r in others):
        raise ValueError(f"candidate {i} and its references must be lists of tokens, such as text.split(), not text; "
                         "references holds a list of references for each candidate")
    if not len(others):
        raise ValueError(f"candidate {i} has no reference")


def ngrams(tokens, n):
    """How often each run of n tokens occurs."""
    return Counter(tuple(tokens[i:i + n]) for i in range(len(tokens) - n + 1))
