"""Attention by strips of scores, for float32: exponentials and their sums in one pass, and all of it for one head after another.

What it computes is told in minitorch/ops/attention_tiles.py.
"""
import numpy as np

from . import inline, loop, wide
from .functions import F, ONE, decay
from .gemm import AS_IT_IS, TURNED, product
from .softmax import largest

ZERO, NOTHING = F(0), F(-np.inf)


@inline
def exponentials(s, seen):
    """(sum, largest) of a row of scores, which become e^(s - largest): those seen, the others 0."""
    x = s[:seen]
    s[seen:] = ZERO
    most = largest(x)
    most = ZERO if most == NOTHING else most
    total = ZERO
    for j in range(x.size):
        x[j] = decay(x[j] - most)
        total += x[j]
    return total, most


# ---- a strip of scores, -inf for what is not seen -----------------------------------------------------------------------------

@loop
def strip(s, lse, total):
    """s = e^(s - its row's largest); total (n, 1): the rows' sums; lse (n,): of e^s, their logarithms."""
    wide()
    for i in range(s.shape[0]):
        sum_, most = exponentials(s[i], s.shape[1])
        total[i, 0], lse[i] = sum_, np.log(sum_) + most


@loop
def strip_back(p, gp, lse):
    """p = e^(p - lse), gp = p (gp - sum of p gp): the probabilities, and the gradient of the scores."""
    wide()
    for i in range(p.shape[0]):
        row_back(p[i], gp[i], lse[i], p.shape[1])


@inline
def row_back(p, gp, lse, seen):
    """strip_back for a row."""
    x, g, shift, mean = p[:seen], gp[:seen], ZERO if lse == NOTHING else lse, ZERO
    p[seen:] = ZERO
    gp[seen:] = ZERO
    for j in range(x.size):
        x[j] = decay(x[j] - shift)
        mean += x[j] * g[j]
    for j in range(x.size):
        g[j] = x[j] * (g[j] - mean)


# ---- whole heads: those of keys from start to stop, without a mask ----------------------------------------------------------

@loop
def heads(start, stop, function, q, k, v, y, lse, scale, causal, groups, rows):
    """y and lse: (N, H groups, L, E), (N, H, S, E), (N, H, S, F), (N, H groups, L, F), (N, H groups, L, 1)."""
    wide()
    H, L, S = k.shape[1], q.shape[2], k.shape[2]
    room = np.empty(rows * S, F)
    for of_key in range(start, stop):
        b, h = of_key // H, of_key % H
        for head in range(h * groups, (h + 1) * groups):
            for top in range(0, L, rows):
                here = slice(top, min(L, top + rows))
                n, seen = here.stop - top, min(S, here.stop) if causal else S
                s = room[:n * seen].reshape(n, seen)
                product(function, scale, q[b, head, here], AS_IT_IS, k[b, h, :seen], TURNED, ZERO, s)
                for i in range(n):
                    total, most = exponentials(s[i], min(seen, top + i + 1) if causal else seen)
                    lse[b, head, top + i, 0] = np.log(total) + most
                    by = ONE / total if total > ZERO else ONE
                    for j in range(seen):
                        s[i, j] *= by
                product(function, ONE, s, AS_IT_IS, v[b, h, :seen], AS_IT_IS, ZERO, y[b, head, here])


@loop
def heads_back(start, stop, function, g, q, k, v, lse, gq, gk, gv, scale, causal, groups, rows):
    """gq, gk and gv, each as what it is the gradient of."""
    wide()
    H, L, S = k.shape[1], q.shape[2], k.shape[2]
    room, other = np.empty(rows * S, F), np.empty(rows * S, F)
    for of_key in range(start, stop):
        b, h = of_key // H, of_key % H
        gk[b, h], gv[b, h] = ZERO, ZERO
        for head in range(h * groups, (h + 1) * groups):
            for top in range(0, L, rows):
                here = slice(top, min(L, top + rows))
                n, seen = here.stop - top, min(S, here.stop) if causal else S
                p, gp = room[:n * seen].reshape(n, seen), other[:n * seen].reshape(n, seen)
                product(function, scale, q[b, head, here], AS_IT_IS, k[b, h, :seen], TURNED, ZERO, p)
                product(function, ONE, g[b, head, here], AS_IT_IS, v[b, h, :seen], TURNED, ZERO, gp)
                for i in range(n):
                    row_back(p[i], gp[i], lse[b, head, top + i, 0], min(seen, top + i + 1) if causal else seen)
                product(function, scale, gp, AS_IT_IS, k[b, h, :seen], AS_IT_IS, ZERO, gq[b, head, here])
                product(function, ONE, p, TURNED, g[b, head, here], AS_IT_IS, ONE, gv[b, h, :seen])
                product(function, scale, gp, TURNED, q[b, head, here], AS_IT_IS, ONE, gk[b, h, :seen])
