"""Attention a strip of scores at a time: some rows of queries against all keys that they may see.

The matrix of all scores is never held, and of causal attention the half that nobody sees is not computed.  Forward keeps the
logarithm of each row's sum, from which backward makes the probabilities again (Dao et al. 2022).  Heads are shared out among threads.
"""
import math

import numpy as np

from .. import blas, threads
from ..autograd import loops

STRIP = 1 << 17                                      # scores at a time: they stay in the cache


def fits(query, key, value, mask, drop):
    """Whether arrays are for this: on the CPU, with some batch axes alike, and no dropout."""
    arrays = (query, key, value)
    return not drop and all([type(a) is np.ndarray and a.ndim > 2 and a.dtype == query.dtype and a.size for a in arrays]) and \
        key.shape[:-2] == value.shape[:-2] and query.shape[:-3] == key.shape[:-3] and (mask is None or mask.dtype in (bool, query.dtype))


class Heads:
    """The arrays as one head after another, and the strips of queries."""

    def __init__(self, query, key, value, mask, causal, scale, groups):
        self.q, self.k, self.v = (t.reshape(-1, *t.shape[-2:]) for t in (query, key, value))         # (heads, L or S, E)
        self.mask, self.causal, self.scale, self.groups = mask, causal, query.dtype.type(scale), groups
        self.L, self.S = query.shape[-2], key.shape[-2]
        if mask is not None:
            self.mask = np.broadcast_to(mask, (*query.shape[:-1], self.S))
        self.lead = query.shape[:-2]
        self.rows = max(16, min(256, STRIP // max(1, self.S)))
        self.loops = loops.module("softmax") if loops.wanted(query, 4000, single=True) else None

    def strips(self, head):
        """(rows, how many keys they see) for the strips of one head."""
        for i in range(0, self.L, self.rows):
            n = min(self.rows, self.L - i)
            yield slice(i, i + n), min(self.S, i + n) if self.causal else self.S

    def room(self):
        """Where a thread puts one strip after another: it stays in the cache."""
        return np.empty(self.rows * self.S, self.q.dtype)

    def product(self, a, b, room):
        """a b^T, in `room`."""
        return np.matmul(a, b.T, out=room[:len(a) * len(b)].reshape(len(a), len(b)))

    def scores(self, head, rows, stop, room):
        """q k^T * scale + mask for a strip, -inf for what is not seen: (n, stop)."""
        s = self.product(self.q[head, rows] * self.scale, self.k[head // self.groups, :stop], room)
        if self.mask is not None:
            mask = self.mask[(*np.unravel_index(head, self.lead), rows, slice(stop))]
            if mask.dtype == bool:
                s[~mask] = -math.inf
            else:
                s += mask
        elif self.causal and self.loops is None and rows.start < stop:
            s[:, rows.start:][~TRIANGLE[:len(s), :stop - rows.start]] = -math.inf
        return s

    def first(self, rows):
        """How many keys the first row of a strip sees, where the loops are to cut what is not seen; 0 where scores are cut already."""
        return rows.start + 1 if self.causal else 0

    def each(self, part):
        """part(head, room, room) for every head of keys, shared out among threads where there is work for them."""
        def some(start, stop):
            rooms = self.room(), self.room()
            for head in range(start, stop):
                part(head, *rooms)
        with blas.alone():
            threads.run(some, len(self.k), least=1 + (1 << 18) // max(1, self.L * self.S * self.groups))


TRIANGLE = np.tri(256, dtype=bool)


def exponentials(s, lse):
    """s = e^(s - its row's largest); lse becomes the logarithm of the sums of e^s, which are returned as a column."""
    most = s.max(axis=1, keepdims=True)
    most[most == -math.inf] = 0
    s -= most
    np.exp(s, out=s)
    total = s @ np.ones((s.shape[1], 1), s.dtype)
    with np.errstate(divide="ignore"):
        lse[...] = (np.log(total) + most)[:, 0]
    return total


def forward(query, key, value, mask, causal, scale, groups):
    """(y, lse): softmax(q k^T * scale + mask) v, and of each query the logarithm of the sum, -inf where it sees nothing."""
    heads = Heads(query, key, value, mask, causal, scale, groups)
    y = np.empty((*query.shape[:-1], value.shape[-1]), query.dtype)
    out, lse = y.reshape(-1, heads.L, value.shape[-1]), np.empty(heads.q.shape[:2], query.dtype)

    def part(of_key, room, _):
        for head in range(of_key * groups, (of_key + 1) * groups):
            for rows, stop in heads.strips(head):
                s, part = heads.scores(head, rows, stop, room), out[head, rows]
                if heads.loops is None:
                    total = exponentials(s, lse[head, rows])
                else:
                    total = np.empty((len(s), 1), s.dtype)
                    heads.loops.strip(s, lse[head, rows], total, heads.first(rows))
                np.matmul(s, heads.v[of_key, :stop], out=part)
                total[total == 0] = 1
                part /= total
    heads.each(part)
    return y, lse.reshape(query.shape[:-1])


def backward(g, query, key, value, mask, y, lse, causal, scale, groups):
    """The gradients of query, key and value from that of y."""
    heads = Heads(query, key, value, mask, causal, scale, groups)
    g, y, lse = g.reshape(-1, *g.shape[-2:]), y.reshape(-1, *y.shape[-2:]), lse.reshape(-1, heads.L, 1)
    found = [np.empty(t.shape, t.dtype) for t in (query, key, value)]
    gq, gk, gv = (t.reshape(-1, *t.shape[-2:]) for t in found)

    def part(of_key, room, other):
        k, v = heads.k[of_key], heads.v[of_key]
        gk[of_key], gv[of_key] = 0, 0
        for head in range(of_key * groups, (of_key + 1) * groups):
            for rows, stop in heads.strips(head):
                p, g_rows = heads.scores(head, rows, stop, room), g[head, rows]
                gp = heads.product(g_rows, v[:stop], other)
                delta = np.einsum("ij,ij->i", g_rows, y[head, rows])[:, None]
                if heads.loops is None:
                    p -= np.where(lse[head, rows] == -math.inf, 0, lse[head, rows])
                    np.exp(p, out=p)
                    gp -= delta
                    gp *= p
                else:
                    heads.loops.strip_back(p, gp, lse[head, rows], delta, heads.first(rows))
                gv[of_key, :stop] += p.T @ g_rows
                gp *= heads.scale
                np.matmul(gp, k[:stop], out=gq[head, rows])
                gk[of_key, :stop] += gp.T @ heads.q[head, rows]
    heads.each(part)
    return tuple(found)
