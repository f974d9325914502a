"""Attention a strip of scores at a time: some rows of queries against all keys that they may see.

The matrix of all scores is never held, and of causal attention the half that nobody sees is not computed.  Forward keeps the
logarithm of each row's sum, from which backward makes the probabilities again (Dao et al. 2022).  Heads are shared out among threads.
"""
import contextlib
import math

import numpy as np

from .. import blas, threads
from ..autograd import loops

ROWS, CAUSAL_ROWS = 512, 256                         # of queries at a time: many for the products, few where half is not seen,
LOOP_ROWS, LOOP_CAUSAL_ROWS = 128, 64                # fewer where no interpreter is in the way, but in forward
STRIP = 1 << 18                                      # scores at a time: they stay in the cache
BOUND = 24                                           # on scores whose exponentials, and their sums, lose nothing without a shift


def fits(query, key, value, mask, drop, groups):
    """Whether arrays are for this: on the CPU, with some batch axes alike, and no dropout."""
    arrays = (query, key, value)
    return not drop and all([type(a) is np.ndarray and a.ndim > 2 and a.dtype == query.dtype and a.size for a in arrays]) and \
        key.shape[:-2] == value.shape[:-2] and query.shape[:-3] == key.shape[:-3] and \
        query.shape[-3] == key.shape[-3] * groups and (mask is None or mask.dtype in (bool, query.dtype))


class Heads:
    """One head after another, and the strips of its queries."""

    def __init__(self, query, key, value, mask, causal, scale, groups, back=False):
        self.query, self.key, self.value, self.causal, self.scale, self.groups = query, key, value, causal, query.dtype.type(scale), groups
        self.L, self.S = query.shape[-2], key.shape[-2]
        self.mask = None if mask is None else np.broadcast_to(mask, (*query.shape[:-1], self.S))
        self.loops = loops.module("attention") if loops.wanted(query, 4000, single=True) else None
        if self.whole() and (causal or back):
            rows = LOOP_CAUSAL_ROWS if causal else LOOP_ROWS
        else:
            rows = CAUSAL_ROWS if causal else ROWS
        self.rows = max(16, min(rows, STRIP // max(1, self.S)))

    def whole(self):
        """Whether compiled loops take heads as a whole."""
        arrays = (self.query, self.key, self.value)
        return self.loops is not None and self.mask is None and all([a.ndim < 5 and a.strides[-1] == a.itemsize for a in arrays]) \
            and blas.address(self.query.dtype)

    def strips(self):
        """(rows, how many keys they see) for the strips of one head, the last one first: of causal attention it sees the most."""
        for i in reversed(range(0, self.L, self.rows)):
            n = min(self.rows, self.L - i)
            yield slice(i, i + n), min(self.S, i + n) if self.causal else self.S

    def of_key(self, i):
        """The heads of query that share the i-th head of key and value."""
        return range(i * self.groups, (i + 1) * self.groups)

    def product(self, a, b, room):
        """a b^T, in `room`."""
        return blas.matmul(a, b.T, out=room[:len(a) * len(b)].reshape(len(a), len(b)))

    def scores(self, q, k, head, rows, stop, room):
        """q k^T + mask for a strip, q scaled before, -inf for what is not seen: (n, stop)."""
        s = self.product(q[rows], k[:stop], room)
        if self.mask is not None:
            mask = of(self.mask, head)[rows, :stop]
            if mask.dtype == bool:
                s[~mask] = -math.inf
            else:
                s += mask
        elif self.causal and self.loops is None and rows.start < stop:
            np.copyto(s[:, rows.start:], -math.inf, where=UNSEEN[:len(s), :stop - rows.start])
        return s

    def bounded(self, q, k):
        """Whether no score of a head is beyond BOUND, as |q k| <= |q| |k|: then no row's largest need be found and subtracted."""
        if self.loops is not None or q.dtype.itemsize < 4 or self.mask is not None and self.mask.dtype != bool:
            return False
        return bool(np.einsum("ij,ij->i", q, q).max() * np.einsum("ij,ij->i", k, k).max() <= BOUND ** 2)

    def first(self, rows):
        """How many keys the first row of a strip sees, where the loops are to cut what is not seen; 0 where scores are cut already."""
        return rows.start + 1 if self.causal else 0

    def each(self, part):
        """part(head, room, room) for every head of keys, shared out among threads where there is work for them."""
        def some(start, stop):
            rooms = [np.empty(self.rows * self.S, self.query.dtype) for _ in range(2)]         # of one strip after another: in the cache
            for head in range(start, stop):
                part(head, *rooms)
        self.share(some)

    def share(self, part, *args):
        """part(start, stop, *args) for the heads of keys."""
        n, least = math.prod(self.key.shape[:-2]), 1 + (1 << 18) // max(1, self.L * self.S * self.groups)
        with blas.alone() if len(threads.pieces(n, least)) > 1 or args else contextlib.nullcontext():
            threads.run(part, n, *args, least=least)

    def by_loop(self, loop, inputs, *outputs):
        """The loop over whole heads, in four axes; inputs whose rows overlap in memory are copied."""
        inputs = [x if x.strides[-1] == x.itemsize and x.strides[-2] >= x.itemsize * x.shape[-1] else np.ascontiguousarray(x) for x in inputs]
        arrays = [x if x.ndim == 4 else x[None] for x in inputs + list(outputs)]
        self.share(loop, blas.address(self.query.dtype), *arrays, self.scale, self.causal, self.groups, self.rows)


def of(x, head):
    """The matrix of a head, counted through all the axes before the last two."""
    return x[np.unravel_index(head, x.shape[:-2])]


UNSEEN = ~np.tri(256, dtype=bool)


def with_column(x, column):
    """x (n, E) and a column or number beside it, (n, E + 1): a product with it adds something to every score on the way."""
    y = np.empty((len(x), x.shape[1] + 1), x.dtype)
    y[:, :-1], y[:, -1:] = x, column
    return y


def exponentials(s, lse, bounded):
    """s = e^(s - its row's largest), or e^s where that is bounded; lse becomes the logarithm of the sums of e^s; a column of s's sums."""
    most = 0
    if not bounded:
        most = s.max(axis=1, keepdims=True)
        most[most == -math.inf] = 0
        s -= most
    np.exp(s, out=s)
    total = s @ np.ones((s.shape[1], 1), s.dtype)
    with np.errstate(divide="ignore"):
        lse[...] = (np.log(total) + most)[:, 0]
    return total


def forward(query, key, value, mask, causal, scale, groups):
    """(y, lse): softmax(q k^T * scale + mask) v, and of each query the logarithm of the sum, -inf where it sees nothing.

    y lies in memory as query does: what belongs to one position side by side, where it came from a layer for all heads.
    """
    heads = Heads(query, key, value, mask, causal, scale, groups)
    y, lse = np.empty_like(query, shape=(*query.shape[:-1], value.shape[-1])), np.empty((*query.shape[:-1], 1), query.dtype)
    if heads.whole():
        heads.by_loop(heads.loops.heads, [query, key, value], y, lse)
        return y, lse[..., 0]

    def part(of_key, room, _):
        k, v = np.ascontiguousarray(of(key, of_key)), np.ascontiguousarray(of(value, of_key))
        for head in heads.of_key(of_key):
            q, out, sums = of(query, head) * heads.scale, of(y, head), of(lse, head)
            bounded = heads.bounded(q, k)
            for rows, stop in heads.strips():
                s = heads.scores(q, k, head, rows, stop, room)
                if heads.loops is None:
                    total = exponentials(s, sums[rows, 0], bounded)
                else:
                    total = np.empty((len(s), 1), s.dtype)
                    heads.loops.strip(s, sums[rows, 0], total, heads.first(rows))
                blas.matmul(s, v[:stop], out=out[rows])
                total[total == 0] = 1
                out[rows] /= total
    heads.each(part)
    return y, lse[..., 0]


def backward(g, query, key, value, mask, y, lse, causal, scale, groups):
    """The gradients of query, key and value from that of y, each in memory as what it is the gradient of."""
    heads = Heads(query, key, value, mask, causal, scale, groups, back=True)
    lse, (gq, gk, gv) = lse[..., None], [np.empty_like(t) for t in (query, key, value)]
    if heads.whole():
        heads.by_loop(heads.loops.heads_back, [g, query, key, value, lse], gq, gk, gv)
        return gq, gk, gv

    def part(of_key, room, other):
        k, v, by_k, by_v = np.ascontiguousarray(of(key, of_key)), np.ascontiguousarray(of(value, of_key)), of(gk, of_key), of(gv, of_key)
        k_and, v_and = (k, v) if heads.loops is not None else (with_column(k, 1), with_column(v, 1))
        for head in heads.of_key(of_key):
            q, by_q, by_y, sums = of(query, head) * heads.scale, of(gq, head), of(g, head), of(lse, head)
            q_and, y_and = q, by_y
            if heads.loops is None:                  # scores - lse, and the gradient of the probabilities - its mean, as products
                q_and = with_column(q, np.where(sums == -math.inf, 0, -sums))
                y_and = with_column(by_y, -np.einsum("ij,ij->i", by_y, of(y, head))[:, None])
            for rows, stop in heads.strips():
                p = heads.scores(q_and, k_and, head, rows, stop, room)
                gp = heads.product(y_and[rows], v_and[:stop], other)
                if heads.loops is None:
                    np.exp(p, out=p)
                    gp *= p
                else:
                    heads.loops.strip_back(p, gp, sums[rows, 0], heads.first(rows))
                blas.matmul(gp, k[:stop], out=by_q[rows])
                if head % groups == 0 and rows.stop == heads.L:            # the first
                    blas.matmul(p.T, by_y[rows], out=by_v[:stop])
                    blas.matmul(gp.T, q[rows], out=by_k[:stop])
                    by_v[stop:], by_k[stop:] = 0, 0
                else:
                    blas.matmul(p.T, by_y[rows], out=by_v[:stop], add=True)
                    blas.matmul(gp.T, q[rows], out=by_k[:stop], add=True)
            by_q *= heads.scale
    heads.each(part)
    return gq, gk, gv
