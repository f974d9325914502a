"""The steps of an LSTM or a GRU over a sequence, and back, on the CPU: everything is written where it will stay.

A step is a product with the state and the gates, by a compiled loop where one is to be used.  Sequences of small cells are
compiled as a whole, products and all.  By NumPy the derivatives of the gates are computed for several steps at once, before
the gradient of the state comes by.
"""
import numpy as np

from .. import dtypes
from ..autograd import loops, routes
from .recurrent import gru_gates_gradient, gru_in_place, lstm_in_place, lstm_slopes, parts

SMALL = 1 << 17                                      # multiplications of a step up to which the loops compute its product as well
COLUMNS = 32                                         # of a block of weights
BLOCK = 1 << 16                                      # gates whose derivatives are computed together: they stay in the cache


def fits(x):
    """Whether arrays are for this: on the CPU, where no kernel is to compute the gates."""
    return type(x) is np.ndarray and routes.kernels_for("recurrent", x) is None


def order(T, backwards):
    """The steps in the order in which they are taken."""
    return range(T - 1, -1, -1) if backwards else range(T)


def prepared(*arrays):
    """(minitorch.loops.recurrent, arrays row by row) where the loops are to work on arrays like the first; (None, *arrays)."""
    if loops.wanted(arrays[0], 5000, single=True) and all([a.dtype == dtypes.F32 for a in arrays]):
        return loops.module("recurrent"), *[np.ascontiguousarray(a) for a in arrays]
    return None, *arrays


def in_blocks(w, N):
    """w (K, M), which N rows at a time are multiplied with: some columns after the others where that is faster, (M / 32, K, 32).

    OpenBLAS copies both sides of a product before it begins, but for a small one: for few rows that takes as long as the product.
    """
    K, M = w.shape
    if M % COLUMNS or M == COLUMNS or N * K * COLUMNS > 10 ** 6:
        return np.ascontiguousarray(w)
    return np.ascontiguousarray(w.reshape(K, M // COLUMNS, COLUMNS).swapaxes(0, 1))


def multiply(x, w, y):
    """y = x w, for w in_blocks."""
    return np.matmul(x, w, out=y if w.ndim == 2 else y.reshape(len(y), len(w), COLUMNS).swapaxes(0, 1))


def lstm_forward(x, h, c, w, backwards):
    """(hs, cs, kept): h of every step, c before and after every step in the order taken, the gates after their activation."""
    T = len(x)
    hs, cs, kept = np.empty((T, *h.shape), x.dtype), np.empty((T + 1, *c.shape), x.dtype), np.empty(x.shape, x.dtype)
    cs[0] = c
    fast, x, h, w = prepared(x, h, w)
    if fast and len(h) * w.size <= SMALL:
        fast.share(fast.lstm_sequences, w, x, h, cs, np.ascontiguousarray(w.T), kept, hs, backwards)
        return hs, cs, kept
    turned = in_blocks(w.T, len(h))
    for n, t in enumerate(order(T, backwards)):
        gates = kept[t]
        multiply(h, turned, gates)
        h = hs[t]
        if fast:
            fast.lstm_step(x[t], cs[n], gates, h, cs[n + 1])
        else:
            gates += x[t]
            lstm_in_place(gates, cs[n], h, cs[n + 1])
    return hs, cs, kept


def lstm_backward(g, gc, kept, cs, w, backwards):
    """The gradients of x and of the first h and c, from that of every h and of the last c."""
    T = len(g)
    fast, g, kept, cs, w = prepared(g, kept, cs, w)
    gx, gh, gc = np.empty(kept.shape, kept.dtype), np.zeros(gc.shape, gc.dtype), gc.copy()
    if fast and len(gc) * w.size <= SMALL:
        fast.share(fast.lstm_sequences_back, w, g, gh, gc, kept, cs, w, gx, backwards)
        return gx, gh, gc
    w = in_blocks(w, len(gc))
    several = max(1, BLOCK // max(1, gx[0].size))
    for n in range(T - 1, -1, -1):
        t = T - 1 - n if backwards else n
        if fast:
            gh += g[t]
            fast.lstm_step_back(gh, gc, kept[t], cs[n], cs[n + 1], gx[t])
        else:
            if (T - 1 - n) % several == 0:
                some = slice(max(0, n + 1 - several), n + 1)
                there = slice(T - some.stop, T - some.start) if backwards else some
                turn = -1 if backwards else 1
                slopes = lstm_slopes(kept[there][::turn], cs[some], cs[some.start + 1:some.stop + 1])
                slopes = zip(*(s[::-1] for s in slopes))
            gates, by_c = next(slopes)
            gh += g[t]
            by_c *= gh
            gc += by_c
            gates = np.multiply(gates, np.concatenate((gc, gc, gc, gh), axis=1), out=gx[t])
            gc *= parts(kept[t], 4)[1]
        multiply(gx[t], w, gh)
    return gx, gh, gc


def gru_forward(x, h, w, b, backwards):
    """(hs, kept, by_h): the state after every step, the gates after their activation, and what the state gave to them."""
    T, N = len(x), len(h)
    hs, kept, by_h = np.empty((T, *h.shape), x.dtype), np.empty(x.shape, x.dtype), np.empty(x.shape, x.dtype)
    fast, x, h, w, b = prepared(x, h, w, np.zeros(w.shape[0], w.dtype) if b is None else b)
    if fast and N * w.size <= SMALL:
        fast.share(fast.gru_sequences, w, x, h, np.ascontiguousarray(w.T), b, by_h, kept, hs, backwards)
        return hs, kept, by_h
    turned = in_blocks(w.T, N)
    for t in order(T, backwards):
        multiply(h, turned, by_h[t])
        by_h[t] += b
        if fast:
            fast.gru_step(x[t], by_h[t], h, kept[t], hs[t])
        else:
            np.add(x[t], by_h[t], out=kept[t])
            gru_in_place(x[t], by_h[t], h, kept[t], hs[t])
        h = hs[t]
    return hs, kept, by_h


def gru_backward(g, kept, by_h, states, w, backwards):
    """The gradients of x, of what the state gave to the gates, and of the first state, from that of every state."""
    T = len(g)
    fast, g, kept, by_h, states, w = prepared(g, kept, by_h, states, w)
    gx, gates, gh = np.empty(kept.shape, kept.dtype), np.empty(kept.shape, kept.dtype), np.zeros(g.shape[1:], g.dtype)
    if fast and len(gh) * w.size <= SMALL:
        fast.share(fast.gru_sequences_back, w, g, gh, kept, by_h, states, w, gx, gates, backwards)
        return gx, gates, gh
    past, w = np.empty_like(gh), in_blocks(w, len(gh))
    for t in reversed(order(T, backwards)):
        gh += g[t]
        if fast:
            fast.gru_step_back(gh, kept[t], by_h[t], states[t], gx[t], gates[t], past)
        else:
            gx[t], gates[t], past = gru_gates_gradient.op.forward(gh, kept[t], by_h[t], states[t])
        multiply(gates[t], w, gh)
        gh += past
    return gx, gates, gh
