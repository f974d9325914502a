"""Attention and its gradients in NumPy, scores and all: what the kernels of attention.py are proven by."""
import math

import numpy as np

from .philox import philox


def threshold(p):
    """The smallest random word that keeps an entry when each is dropped with probability p."""
    return min(round(p * 2**32), 2**32 - 1)


def dropout_reference(seed, p, heads, queries, keys):
    """(heads, queries, keys): 1 / (1 - p) where dropout keeps an entry, 0 where not; as dropout_words of attention.cuh."""
    head, i, j = np.ogrid[:heads, :queries, :keys]
    words = philox((j & ~8, i & ~8, head, 0), seed)
    word = np.choose((i & 8) // 4 + (j & 8) // 8 + 0 * head, words)
    return (word >= threshold(p)) / (1 - p)


def probabilities(q, k, mask, causal, scale):
    """(P, lse), k having as many heads as q; rows that see nothing are zero."""
    Sq, Sk = q.shape[2], k.shape[2]
    s = q @ k.swapaxes(-1, -2) * (1 / math.sqrt(q.shape[-1]) if scale is None else scale)
    if causal:
        s = np.where(np.arange(Sq)[:, None] >= np.arange(Sk), s, -np.inf)
    if mask is not None:
        s = np.where(mask, s, -np.inf) if mask.dtype == bool else s + mask
    m = s.max(-1, keepdims=True, initial=-np.inf)
    e = np.exp(s - np.where(np.isinf(m), 0, m))
    total = e.sum(-1, keepdims=True)
    with np.errstate(divide="ignore"):
        lse = np.where(np.isinf(m), 0, m) + np.log(total)
    return e / np.where(total, total, 1), lse[..., 0]


def repeat(x, heads):
    """Each head of k or v as often as heads of q share it."""
    return np.repeat(x, heads // x.shape[1], 1)


def forward_reference(q, k, v, mask=None, causal=False, scale=None, dropout=0.0, seed=0, version=None):
    """(o, lse) as attention_forward."""
    H = q.shape[1]
    p, lse = probabilities(q, repeat(k, H), mask, causal, scale)
    if dropout:
        p = p * dropout_reference(seed, dropout, p.shape[0] * H, *p.shape[2:]).reshape(p.shape)
    return p @ repeat(v, H), lse


def gradients_reference(g, q, k, v, mask=None, causal=False, scale=None, dropout=0.0, seed=0, version=None):
    """(dq, dk, dv) of sum(g * o)."""
    B, H, _, D = q.shape
    shape = (B, k.shape[1], H // k.shape[1], *k.shape[2:])
    k, v = repeat(k, H), repeat(v, H)
    p, _ = probabilities(q, k, mask, causal, scale)
    kept = dropout_reference(seed, dropout, B * H, *p.shape[2:]).reshape(p.shape) if dropout else 1.0
    dp = g @ v.swapaxes(-1, -2) * kept
    ds = p * (dp - (p * dp).sum(-1, keepdims=True)) * (1 / math.sqrt(D) if scale is None else scale)
    dk, dv = ds.swapaxes(-1, -2) @ q, (p * kept).swapaxes(-1, -2) @ g
    return ds @ k, dk.reshape(shape).sum(2), dv.reshape(shape).sum(2)
