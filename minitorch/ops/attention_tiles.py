"""Attention a strip of scores at a time: some rows of queries, of one or several heads, against all keys that they may see.

The matrix of all scores is not held, and of causal attention the half that nobody sees is not computed.  Forward keeps the logarithm
of each row's sum, from which backward makes the probabilities again (Dao et al. 2022); by NumPy, where they are few, it keeps what it
has of them.  Heads are shared out among threads; by NumPy several are taken at a time, as threads that call it often wait for each other.
"""
import contextlib
import math

import numpy as np

from .. import blas, threads
from ..autograd import loops

ROWS, CAUSAL_ROWS = 512, 128                         # of queries at a time: many for the products, few where half is not seen,
LOOP_ROWS, LOOP_CAUSAL_ROWS = 128, 64                # fewer where no interpreter is in the way, but in forward
STRIP = 1 << 18                                      # scores at a time: they stay in the cache
KEPT = 1 << 25                                       # bytes of e^scores that forward keeps at most: to make them again takes a quarter of backward
BOUND = 24                                           # on the logarithm of a sum of exponentials that loses nothing without a shift


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
        self.mask = None if mask is None else self.of_queries(np.broadcast_to(mask, (*query.shape[:-1], self.S)))
        self.loops = loops.module("attention") if loops.wanted(query, 4000, single=True) else None
        self.matmul = blas.matmul if blas.with_mkl(query.dtype) else np.matmul
        if self.whole() and (causal or back):
            rows = LOOP_CAUSAL_ROWS if causal else LOOP_ROWS
        else:
            rows = CAUSAL_ROWS if causal else ROWS
        self.rows = max(16, min(rows, STRIP // max(1, self.S)))
        self.many = max(1, STRIP // max(1, min(self.rows, self.L) * self.S * groups))            # heads of keys at a time
        self.near = query.dtype.itemsize > 2         # whether e^scores, without a shift, and their sums lose nothing
        self.kept = None                             # these, (..., heads of keys, numbers): one strip after the other

    def whole(self):
        """Whether compiled loops take heads as a whole."""
        arrays = (self.query, self.key, self.value)
        return self.loops is not None and self.mask is None and all([a.ndim < 5 and a.strides[-1] == a.itemsize for a in arrays]) \
            and blas.address(self.query.dtype)

    def of_queries(self, x):
        """(..., heads of keys, groups, L, columns) of queries, or of what goes with them: a view."""
        return x.reshape(*x.shape[:-3], -1, self.groups, *x.shape[-2:])

    def strips(self):
        """[(rows, how many keys they see), ...] for the strips of one head, the last one first: of causal attention it sees the most."""
        ends = [(i, min(self.L, i + self.rows)) for i in reversed(range(0, self.L, self.rows))]
        return [(slice(i, end), min(self.S, end) if self.causal else self.S) for i, end in ends]

    def seen(self):
        """How many scores the strips of one head of keys have."""
        return self.groups * sum((rows.stop - rows.start) * stop for rows, stop in self.strips())

    def product(self, a, b, room):
        """a b^T, in `room`."""
        return self.matmul(a, b.swapaxes(-1, -2), out=first(room, (*a.shape[:-1], b.shape[-2])))

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

    def exponentials(self, *strip, ones, lse):
        """(e^scores of a strip, their sums, which are not 0); lse becomes the logarithms of these.

        Once the sums of a strip are too large or too small, each row's largest score is subtracted before.
        """
        s, most, as_they_are = self.scores(*strip), 0, self.near
        if not as_they_are:
            most = s.max(axis=-1, keepdims=True)
            most[most == -math.inf] = 0
            s -= most
        total = np.matmul(np.exp(s, out=s), ones[:s.shape[-1]])
        np.add(np.log(total), most, out=lse)
        if not as_they_are:
            total[total == 0] = 1
        elif not near(lse):
            self.near = False
            return self.exponentials(*strip, ones=ones, lse=lse)
        return s, total

    def each(self, part):
        """part(some, room, room) for some heads of keys after the others, shared out among threads where there is work for them.

        A room is for the numbers of a strip; the first one, where e^scores are kept, (heads of keys, numbers) for those of all strips.
        """
        def some(start, stop):
            many, width = min(self.many, stop - start), self.key.shape[-3]
            room, other = np.empty((2, many * min(self.rows, self.L) * self.S * self.groups), self.query.dtype)         # stay in the cache
            with np.errstate(over="ignore", divide="ignore"):
                while start < stop:
                    lead, head = divmod(start, width)
                    n = min(many, stop - start, width - head)
                    heads = (*np.unravel_index(lead, self.key.shape[:-3]), slice(head, head + n))
                    part(heads, room if self.kept is None else self.kept[heads], other)
                    start += n
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


UNSEEN = ~np.tri(CAUSAL_ROWS, dtype=bool)


def near(lse):
    """Whether scores, of which these are the logarithms of their exponentials' sums, need no shift before exp: nothing is lost."""
    return lse.dtype.itemsize > 2 and bool(abs(lse).max() <= BOUND)


def first(room, shape):
    """The first numbers of a room as an array of this shape: a view; of a room (heads of keys, numbers) the first of each head."""
    return room[:math.prod(shape)].reshape(shape) if room.ndim == 1 else room[:, :math.prod(shape[1:])].reshape(shape)


def of_keys(x, some):
    """(n, 1, S, columns) of keys or values, or of their gradients: a view."""
    return x[some][:, None]


def gathered(a, b, out, add):
    """out (n, 1, S, E) = the sums over the heads of queries of a^T b, (n, groups, rows, S) and (n, groups, rows, E); added to it where `add`."""
    a = a.swapaxes(-1, -2)
    if not add and a.shape[1] == 1:
        blas.matmul(a, b, out=out)
    else:
        found = blas.matmul(a, b).sum(axis=1, keepdims=True) if a.shape[1] > 1 else blas.matmul(a, b)
        np.add(out, found, out=out) if add else np.copyto(out, found)


def forward(query, key, value, mask, causal, scale, groups, keep=False):
    """(y, lse, e): softmax(q k^T * scale + mask) v, and of each query the logarithm of the sum, -inf where it sees nothing.

    e: e^scores, for backward, or None where they are not to be kept, or too many, or too large.
    y lies in memory as query does: what belongs to one position side by side, where it came from a layer for all heads.
    """
    heads = Heads(query, key, value, mask, causal, scale, groups)
    y, lse = np.empty_like(query, shape=(*query.shape[:-1], value.shape[-1])), np.empty((*query.shape[:-1], 1), query.dtype)
    if heads.whole():
        heads.by_loop(heads.loops.heads, [query, key, value], y, lse)
        return y, lse[..., 0], None

    queries, outs, logs, ones = heads.of_queries(query), heads.of_queries(y), heads.of_queries(lse), np.ones((heads.S, 1), query.dtype)
    strips, size = heads.strips(), (*key.shape[:-2], heads.seen())
    if keep and heads.loops is None and math.prod(size) * query.itemsize <= KEPT:
        heads.kept = np.empty(size, query.dtype)

    def part(some, room, _):
        q, (k, v) = queries[some] * heads.scale, [np.ascontiguousarray(of_keys(x, some)) for x in (key, value)]
        out, sums, mask = outs[some], logs[some], None if heads.mask is None else heads.mask[some]
        for rows, stop in strips:
            if heads.loops is None:
                s, total = heads.exponentials(q, k, mask, rows, stop, room, ones=ones, lse=sums[..., rows, :])
            else:
                s = heads.scores(q, k, mask, rows, stop, room)
                total, column = np.empty((*s.shape[:-1], 1), s.dtype), np.empty(s.size // s.shape[-1], s.dtype)
                heads.loops.strip(s.reshape(-1, s.shape[-1]), column, total.reshape(-1, 1))
                sums[..., rows, 0] = column.reshape(s.shape[:-1])
                total[total == 0] = 1
            y = heads.matmul(s, v[..., :stop, :], out=out[..., rows, :])
            y /= total
            if heads.kept is not None:
                room = room[:, s[0].size:]
    heads.each(part)
    return y, lse[..., 0], heads.kept if heads.near else None


def backward(g, query, key, value, mask, y, lse, e, causal, scale, groups):
    """The gradients of query, key and value from that of y, each in memory as what it is the gradient of."""
    heads = Heads(query, key, value, mask, causal, scale, groups, back=True)
    heads.near, heads.kept = near(lse), e if heads.loops is None else None
    lse, (gq, gk, gv) = lse[..., None], [np.empty_like(t) for t in (query, key, value)]
    if heads.whole():
        heads.by_loop(heads.loops.heads_back, [g, query, key, value, lse], gq, gk, gv)
        return gq, gk, gv

    queries, outs, by_queries, by_ys, logs = [heads.of_queries(x) for x in (query, y, gq, g, lse)]
    strips = heads.strips()
    if heads.loops is None:                          # where e^scores can be had p is just that, and by_y is divided by the sums
        if heads.near:
            weights = np.exp(-logs)
        else:
            shifts = np.where(logs == -math.inf, 0, logs)

    def part(some, room, other):
        q, (k, v) = queries[some] * heads.scale, [np.ascontiguousarray(of_keys(x, some)) for x in (key, value)]
        by_q, by_k, by_v, by_y = by_queries[some], of_keys(gk, some), of_keys(gv, some), by_ys[some]
        mask = None if heads.mask is None else heads.mask[some]
        if heads.loops is None:
            if heads.near:
                by_y = by_y * weights[some]
            mean = np.vecdot(by_y, outs[some])[..., None]
        for rows, stop in strips:
            if heads.kept is None:
                p = heads.scores(q, k, mask, rows, stop, room)
                if heads.loops is None:              # while p is in the cache
                    if not heads.near:
                        p -= shifts[some][..., rows, :]
                    np.exp(p, out=p)
            else:
                p = first(room, (*q.shape[:-2], rows.stop - rows.start, stop))
                room = room[:, p[0].size:]
            gp = heads.product(by_y[..., rows, :], v[..., :stop, :], other)
            if heads.loops is None:
                gp -= mean[..., rows, :]
                gp *= p
            else:
                heads.loops.strip_back(*[x.reshape(-1, stop) for x in (p, gp)], np.ascontiguousarray(logs[some][..., rows, 0]).reshape(-1))
            heads.matmul(gp, k[..., :stop, :], out=by_q[..., rows, :])
            add = rows.stop < heads.L
            gathered(gp, q[..., rows, :], by_k[..., :stop, :], add)
            gathered(p, by_y[..., rows, :], by_v[..., :stop, :], add)
            if not add and stop < heads.S:
                by_v[..., stop:, :], by_k[..., stop:, :] = 0, 0
        by_q *= heads.scale
    heads.each(part)
    return gq, gk, gv
