"""Attention a strip of scores at a time: some rows of queries, of one or several heads, against all keys that they may see.

The matrix of all scores is never held, and of causal attention the half that nobody sees is not computed.  Forward keeps the
logarithm of each row's sum, from which backward makes the probabilities again (Dao et al. 2022).  Heads are shared out among threads;
by NumPy several are taken at a time, as threads that call it often wait for each other.
"""
import contextlib
import math

import numpy as np

from .. import blas, threads
from ..autograd import loops

ROWS, CAUSAL_ROWS = 512, 128                         # of queries at a time: many for the products, few where half is not seen,
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
    """Some heads after the others, and the strips of their queries.

    Arrays of a few heads are (heads of keys, heads of queries for each, rows, columns).
    """

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
        self.many = max(1, STRIP // max(1, min(self.rows, self.L) * self.S * groups))            # heads of keys at a time

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

    def product(self, a, b, room):
        """a b^T, in `room`."""
        shape = (*a.shape[:-1], b.shape[-2])
        return blas.matmul(a, b.swapaxes(-1, -2), out=room[:math.prod(shape)].reshape(shape))

    def scores(self, q, k, mask, rows, stop, room):
        """q k^T + mask for a strip, q scaled before, -inf for what is not seen: (..., n, stop)."""
        s = self.product(q[..., rows, :], k[..., :stop, :], room)
        if mask is not None:
            mask = mask[..., rows, :stop]
            if mask.dtype == bool:
                s[~mask] = -math.inf
            else:
                s += mask
        elif self.causal and rows.start < stop:
            np.copyto(s[..., rows.start:], -math.inf, where=UNSEEN[:s.shape[-2], :stop - rows.start])
        return s

    def bounded(self, q, k):
        """Whether no score of some heads is beyond BOUND, as |q k| <= |q| |k|: then no row's largest need be found and subtracted."""
        if self.loops is not None or q.dtype.itemsize < 4 or self.mask is not None and self.mask.dtype != bool:
            return False
        return bool((np.vecdot(q, q).max(axis=-1) * np.vecdot(k, k).max(axis=-1)).max() <= BOUND ** 2)

    def each(self, part):
        """part(some, room, room) for some heads of keys after the others, shared out among threads where there is work for them."""
        def some(start, stop):
            size, width = min(self.rows, self.L) * self.S * self.groups * min(self.many, stop - start), self.key.shape[-3]
            rooms = [np.empty(size, self.query.dtype) for _ in range(2)]   # of one strip after another: in the cache
            while start < stop:
                lead, head = divmod(start, width)
                n = min(self.many, stop - start, width - head)
                part((*np.unravel_index(lead, self.key.shape[:-3]), slice(head, head + n)), *rooms)
                start += n
        self.share(some)

    def of_keys(self, x, some):
        """(n, 1, S, columns) of keys or values, or of their gradients: a view."""
        return x[some][:, None]

    def of_queries(self, x, some):
        """(n, groups, L, columns) of queries, or of what goes with them: a view."""
        *lead, heads = some
        x = x[(*lead, slice(heads.start * self.groups, heads.stop * self.groups))]
        return x.reshape(heads.stop - heads.start, self.groups, *x.shape[1:])

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


UNSEEN = ~np.tri(CAUSAL_ROWS, dtype=bool)


def with_column(x, column):
    """x (..., n, E) and a column or number beside it, (..., n, E + 1): a product with it adds something to every score on the way."""
    y = np.empty((*x.shape[:-1], x.shape[-1] + 1), x.dtype)
    y[..., :-1], y[..., -1:] = x, column
    return y


def exponentials(s, lse, bounded):
    """s = e^(s - its row's largest), or e^s where that is bounded; lse becomes the logarithm of the sums of e^s; a column of s's sums."""
    most = 0
    if not bounded:
        most = s.max(axis=-1, keepdims=True)
        most[most == -math.inf] = 0
        s -= most
    np.exp(s, out=s)
    total = (s.reshape(-1, s.shape[-1]) @ np.ones((s.shape[-1], 1), s.dtype)).reshape(lse.shape)
    with np.errstate(divide="ignore"):
        np.add(np.log(total), most, out=lse)
    return total


def gathered(a, b, out, add):
    """out (n, 1, S, E) = the sums over the heads of queries of a^T b, (n, groups, rows, S) and (n, groups, rows, E); added to it where `add`."""
    a = a.swapaxes(-1, -2)
    if not add and a.shape[1] == 1:
        blas.matmul(a, b, out=out)
    else:
        found = blas.matmul(a, b).sum(axis=1, keepdims=True) if a.shape[1] > 1 else blas.matmul(a, b)
        np.add(out, found, out=out) if add else np.copyto(out, found)


def forward(query, key, value, mask, causal, scale, groups):
    """(y, lse): softmax(q k^T * scale + mask) v, and of each query the logarithm of the sum, -inf where it sees nothing.

    y lies in memory as query does: what belongs to one position side by side, where it came from a layer for all heads.
    """
    heads = Heads(query, key, value, mask, causal, scale, groups)
    y, lse = np.empty_like(query, shape=(*query.shape[:-1], value.shape[-1])), np.empty((*query.shape[:-1], 1), query.dtype)
    if heads.whole():
        heads.by_loop(heads.loops.heads, [query, key, value], y, lse)
        return y, lse[..., 0]

    def part(some, room, _):
        k, v = [np.ascontiguousarray(heads.of_keys(x, some)) for x in (key, value)]
        q, out, sums = [heads.of_queries(x, some) for x in (query, y, lse)]
        q, mask = q * heads.scale, None if heads.mask is None else heads.of_queries(heads.mask, some)
        bounded = heads.bounded(q, k)
        for rows, stop in heads.strips():
            s = heads.scores(q, k, mask, rows, stop, room)
            if heads.loops is None:
                total = exponentials(s, sums[..., rows, :], bounded)
            else:
                total, column = np.empty((*s.shape[:-1], 1), s.dtype), np.empty(s.size // s.shape[-1], s.dtype)
                heads.loops.strip(s.reshape(-1, s.shape[-1]), column, total.reshape(-1, 1))
                sums[..., rows, 0] = column.reshape(s.shape[:-1])
            blas.matmul(s, v[..., :stop, :], out=out[..., rows, :])
            total[total == 0] = 1
            out[..., rows, :] /= total
    heads.each(part)
    return y, lse[..., 0]


def backward(g, query, key, value, mask, y, lse, causal, scale, groups):
    """The gradients of query, key and value from that of y, each in memory as what it is the gradient of."""
    heads = Heads(query, key, value, mask, causal, scale, groups, back=True)
    lse, (gq, gk, gv) = lse[..., None], [np.empty_like(t) for t in (query, key, value)]
    if heads.whole():
        heads.by_loop(heads.loops.heads_back, [g, query, key, value, lse], gq, gk, gv)
        return gq, gk, gv

    def part(some, room, other):
        k, v = [np.ascontiguousarray(heads.of_keys(x, some)) for x in (key, value)]
        by_k, by_v = heads.of_keys(gk, some), heads.of_keys(gv, some)
        q, by_q, by_y, sums = [heads.of_queries(x, some) for x in (query, gq, g, lse)]
        q, mask = q * heads.scale, None if heads.mask is None else heads.of_queries(heads.mask, some)
        k_and, v_and, q_and, y_and = k, v, q, by_y
        if heads.loops is None:                      # scores - lse, and the gradient of the probabilities - its mean, as products
            k_and, v_and = with_column(k, 1), with_column(v, 1)
            q_and = with_column(q, np.where(sums == -math.inf, 0, -sums))
            y_and = with_column(by_y, -np.vecdot(by_y, heads.of_queries(y, some))[..., None])
        for rows, stop in heads.strips():
            p = heads.scores(q_and, k_and, mask, rows, stop, room)
            gp = heads.product(y_and[..., rows, :], v_and[..., :stop, :], other)
            if heads.loops is None:
                np.exp(p, out=p)
                gp *= p
            else:
                heads.loops.strip_back(*[x.reshape(-1, stop) for x in (p, gp)], np.ascontiguousarray(sums[..., rows, 0]).reshape(-1))
            blas.matmul(gp, k[..., :stop, :], out=by_q[..., rows, :])
            first = rows.stop == heads.L
            gathered(p, by_y[..., rows, :], by_v[..., :stop, :], not first)
            gathered(gp, q[..., rows, :], by_k[..., :stop, :], not first)
            if first:
                by_v[..., stop:, :], by_k[..., stop:, :] = 0, 0
        by_q *= heads.scale
    heads.each(part)
    return gq, gk, gv
