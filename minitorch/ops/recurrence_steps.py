"""The steps of an LSTM or a GRU over a sequence, and back, on the CPU: everything is written where it will stay.

Where compiled loops are to be used they take all steps.  By NumPy a step is a product with the state and the gates; the derivatives
of the gates are computed for several steps at once, before the gradient of the state comes by.
"""
import numpy as np

from .. import blas, dtypes, threads
from ..autograd import loops, routes
from .recurrent import gru_gates_gradient, gru_in_place, lstm_in_place, lstm_slopes, parts

BLOCK = 1 << 16                                      # gates whose derivatives are computed together: they stay in the cache
LEAST = 1 << 21                                      # multiplications of a step that are worth another thread


def fits(x):
    """Whether arrays are for this: on the CPU, where no kernel is to compute the gates."""
    return type(x) is np.ndarray and routes.kernels_for("recurrent", x) is None


def order(T, backwards):
    """The steps in the order in which they are taken."""
    return range(T - 1, -1, -1) if backwards else range(T)


def prepared(*arrays):
    """(minitorch.loops.recurrent, arrays row by row) where the loops are to work on arrays like the first; (None, *arrays)."""
    if loops.wanted(arrays[0], 5000, single=True) and all([a.dtype == dtypes.F32 for a in arrays]) and blas.address(dtypes.F32):
        return loops.module("recurrent"), *[np.ascontiguousarray(a) for a in arrays]
    return None, *arrays


def multiply(x, w, y):
    """y = x w, for w from blas.some_columns."""
    if len(w) == 1:
        blas.matmul(x, w[0], out=y)
    else:
        np.matmul(x, w, out=y.reshape(len(y), len(w), -1).swapaxes(0, 1))


def share(part, w, N):
    """part(start, stop, w in blocks) for the rows of N states, which a step multiplies with w: shared out among threads."""
    least = 1 + LEAST // max(1, w.size)
    with blas.alone():
        threads.run(part, N, blas.some_columns(w, N // len(threads.pieces(N, least))), least=least)


def lstm_forward(x, h, c, w, backwards):
    """(hs, cs, kept): h of every step, c before and after every step in the order taken, the gates after their activation."""
    T, N = x.shape[:2]
    hs, cs, kept = np.empty((T, *h.shape), x.dtype), np.empty((T + 1, *c.shape), x.dtype), np.empty(x.shape, x.dtype)
    cs[0] = c
    fast, x, h, w = prepared(x, h, w)
    if fast:
        fast.share(fast.lstm_sequences, w.T, x, h, cs, kept, hs, backwards)
        return hs, cs, kept

    def part(start, stop, w):
        before = h[start:stop]
        for n, t in enumerate(order(T, backwards)):
            gates = kept[t, start:stop]
            multiply(before, w, gates)
            gates += x[t, start:stop]
            before = hs[t, start:stop]
            lstm_in_place(gates, cs[n, start:stop], before, cs[n + 1, start:stop])
    share(part, w.T, N)
    return hs, cs, kept


def lstm_backward(g, gc, kept, cs, w, backwards):
    """The gradients of x and of the first h and c, from that of every h and of the last c."""
    T, N = g.shape[:2]
    fast, g, kept, cs, w = prepared(g, kept, cs, w)
    gx, gh, gc = np.empty(kept.shape, kept.dtype), np.zeros(gc.shape, gc.dtype), gc.copy()
    if fast:
        fast.share(fast.lstm_sequences_back, w, g, gh, gc, kept, cs, gx, backwards)
        return gx, gh, gc

    def part(start, stop, w):
        several, by_h, by_c = max(1, BLOCK // max(1, gx[0, start:stop].size)), gh[start:stop], gc[start:stop]
        for last in range(T, 0, -several):
            some = slice(max(0, last - several), last)                     # steps in the order taken
            there = slice(T - some.stop, T - some.start) if backwards else some
            turn = -1 if backwards else 1
            slopes = lstm_slopes(kept[there, start:stop][::turn], cs[some, start:stop], cs[some.start + 1:last + 1, start:stop])
            for n, gates, c_by_h in zip(reversed(range(some.start, last)), *[s[::-1] for s in slopes]):
                t = T - 1 - n if backwards else n
                by_h += g[t, start:stop]
                c_by_h *= by_h
                by_c += c_by_h
                np.multiply(gates, np.concatenate((by_c, by_c, by_c, by_h), axis=1), out=gx[t, start:stop])
                by_c *= parts(kept[t, start:stop], 4)[1]
                multiply(gx[t, start:stop], w, by_h)
    share(part, w, N)
    return gx, gh, gc


def gru_forward(x, h, w, b, backwards):
    """(hs, kept, by_h): the state after every step, the gates after their activation, and what the state gave to them."""
    T, N = x.shape[:2]
    hs, kept, by_h = np.empty((T, *h.shape), x.dtype), np.empty(x.shape, x.dtype), np.empty(x.shape, x.dtype)
    fast, x, h, w, b = prepared(x, h, w, np.zeros(w.shape[0], w.dtype) if b is None else b)
    if fast:
        fast.share(fast.gru_sequences, w.T, x, h, b, by_h, kept, hs, backwards)
        return hs, kept, by_h

    def part(start, stop, w):
        before = h[start:stop]
        for t in order(T, backwards):
            by_state, gates = by_h[t, start:stop], kept[t, start:stop]
            multiply(before, w, by_state)
            by_state += b
            np.add(x[t, start:stop], by_state, out=gates)
            gru_in_place(x[t, start:stop], by_state, before, gates, hs[t, start:stop])
            before = hs[t, start:stop]
    share(part, w.T, N)
    return hs, kept, by_h


def gru_backward(g, kept, by_h, states, w, backwards):
    """The gradients of x, of what the state gave to the gates, and of the first state, from that of every state."""
    T, N = g.shape[:2]
    fast, g, kept, by_h, states, w = prepared(g, kept, by_h, states, w)
    gx, gates, gh = np.empty(kept.shape, kept.dtype), np.empty(kept.shape, kept.dtype), np.zeros(g.shape[1:], g.dtype)
    if fast:
        fast.share(fast.gru_sequences_back, w, g, gh, kept, by_h, states, gx, gates, backwards)
        return gx, gates, gh

    def part(start, stop, w):
        by_state = gh[start:stop]
        for t in reversed(order(T, backwards)):
            here = (t, slice(start, stop))
            by_state += g[here]
            gx[here], gates[here], past = gru_gates_gradient.op.forward(by_state, kept[here], by_h[here], states[here])
            multiply(gates[here], w, by_state)
            by_state += past
    share(part, w, N)
    return gx, gates, gh
