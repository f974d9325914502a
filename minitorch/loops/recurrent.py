"""The LSTM and the GRU, for float32: the gates of one step in one pass, and whole sequences.

Each inner loop has few arrays, for the compiler must rule out that one it writes overlaps another.  The products with the weights
are the library's of linear algebra, but of a small cell loops too, as a call would take longer than the product.  The sequences of a
batch go on by themselves: threads share them out, and meet at the end.
"""
import numpy as np

from .. import blas, threads
from ..autograd.plan import keep
from . import inline, loop
from .functions import F, ONE, sigmoid, tanh
from .gemm import multiply, prepared

LEAST = 1 << 17                                      # multiplications that are worth another thread
ZERO = F(0)


# ---- one row of a step --------------------------------------------------------------------------------------------

@inline
def lstm_row(c, gates, h, new_c):
    """gates become what they are after their activation, h and new_c the new state."""
    H = c.size
    both, g, o = gates[:2 * H], gates[2 * H:3 * H], gates[3 * H:]
    for j in range(both.size):
        both[j] = sigmoid(both[j])
    for j in range(g.size):
        g[j] = tanh(g[j])
    for j in range(o.size):
        o[j] = sigmoid(o[j])
    i, f = gates[:H], gates[H:2 * H]
    for j in range(c.size):
        new_c[j] = f[j] * c[j] + i[j] * g[j]
    for j in range(c.size):
        h[j] = o[j] * tanh(new_c[j])


@inline
def lstm_row_back(gh, gc, kept, c, new_c, gates, t):
    """gates become their gradient, gc that of c; t: room for tanh(c')."""
    H = c.size
    i, f, g, o = kept[:H], kept[H:2 * H], kept[2 * H:3 * H], kept[3 * H:]
    gi, gf, gg, go = gates[:H], gates[H:2 * H], gates[2 * H:3 * H], gates[3 * H:]
    for j in range(t.size):
        t[j] = tanh(new_c[j])
    for j in range(t.size):
        gc[j] += gh[j] * o[j] * (ONE - t[j] * t[j])
    for j in range(t.size):
        go[j] = gh[j] * t[j] * o[j] * (ONE - o[j])
    for j in range(t.size):
        gi[j] = gc[j] * g[j] * i[j] * (ONE - i[j])
    for j in range(t.size):
        gg[j] = gc[j] * i[j] * (ONE - g[j] * g[j])
    for j in range(t.size):
        gf[j] = gc[j] * c[j] * f[j] * (ONE - f[j])
    for j in range(t.size):
        gc[j] *= f[j]


@inline
def gru_row(x, by_h, h, kept, y):
    """kept becomes the gates after their activation, y the new state."""
    H = h.size
    xs, hs, both = x[:2 * H], by_h[:2 * H], kept[:2 * H]
    for j in range(both.size):
        both[j] = sigmoid(xs[j] + hs[j])
    xs, hs, r, z, n = x[2 * H:], by_h[2 * H:], kept[:H], kept[H:2 * H], kept[2 * H:]
    for j in range(n.size):
        n[j] = tanh(xs[j] + r[j] * hs[j])
    for j in range(n.size):
        y[j] = n[j] + z[j] * (h[j] - n[j])


@inline
def gru_row_back(g, kept, by_h, h, x_gates, h_gates, past):
    """The gradients x_gates, h_gates and past of the gates' two parts and of h, from g, that of the new state."""
    H = h.size
    r, z, n, hn = kept[:H], kept[H:2 * H], kept[2 * H:], by_h[2 * H:]
    xr, xz, xn = x_gates[:H], x_gates[H:2 * H], x_gates[2 * H:]
    for j in range(n.size):
        xn[j] = (ONE - n[j] * n[j]) * (ONE - z[j]) * g[j]
    for j in range(n.size):
        xr[j] = xn[j] * hn[j] * r[j] * (ONE - r[j])
    for j in range(n.size):
        xz[j] = (h[j] - n[j]) * g[j] * z[j] * (ONE - z[j])
    h_gates[:2 * H] = x_gates[:2 * H]
    gn = h_gates[2 * H:]
    for j in range(n.size):
        gn[j] = xn[j] * r[j]
    for j in range(n.size):
        past[j] = g[j] * z[j]


# ---- a step of all rows -------------------------------------------------------------------------------------------

@loop
def lstm_step(c, gates, h, new_c):
    """lstm_row for all rows: (N, H), (N, 4H), (N, H), (N, H)."""
    for n in range(len(c)):
        lstm_row(c[n], gates[n], h[n], new_c[n])


@loop
def lstm_step_back(gh, gc, kept, c, new_c, gates):
    """lstm_row_back for all rows."""
    t = np.empty(c.shape[1], c.dtype)
    for n in range(len(c)):
        lstm_row_back(gh[n], gc[n], kept[n], c[n], new_c[n], gates[n], t)


@loop
def gru_step(x, by_h, h, kept, y):
    """gru_row for all rows: (N, 3H), (N, 3H), (N, H), (N, 3H), (N, H)."""
    for n in range(len(h)):
        gru_row(x[n], by_h[n], h[n], kept[n], y[n])


@loop
def gru_step_back(g, kept, by_h, h, x_gates, h_gates, past):
    """gru_row_back for all rows."""
    for n in range(len(h)):
        gru_row_back(g[n], kept[n], by_h[n], h[n], x_gates[n], h_gates[n], past[n])


def lstm_gates(gates, c):
    """((h, c'), the gates after their activation): (..., 4H), (..., H)."""
    kept, h, new_c = gates.copy(), np.empty_like(c), np.empty_like(c)
    lstm_step(*map(matrix, (c, kept, h, new_c)))
    return keep((h, new_c), kept=kept)


def lstm_gates_gradient(gh, gc, kept, c, new_c):
    """The gradients of the gates and of c."""
    gates, gc = np.empty_like(kept), gc.copy()
    lstm_step_back(*map(matrix, (gh, gc, kept, c, new_c, gates)))
    return gates, gc


def gru_gates(x_gates, h_gates, h):
    """(new state, the gates after their activation): (..., 3H), (..., 3H), (..., H)."""
    kept, y = np.empty_like(x_gates), np.empty_like(h)
    gru_step(*map(matrix, (x_gates, h_gates, h, kept, y)))
    return keep(y, kept=kept)


def gru_gates_gradient(g, kept, h_gates, h):
    """The gradients of both parts of the gates and of h."""
    by_x, by_h, past = np.empty_like(kept), np.empty_like(kept), np.empty_like(h)
    gru_step_back(*map(matrix, (g, kept, h_gates, h, by_x, by_h, past)))
    return by_x, by_h, past


def matrix(x):
    """x (..., M) as (N, M)."""
    return x.reshape(-1, x.shape[-1])


# ---- whole sequences: those of rows start to stop, independent of each other -----------------------------------------------

@loop
def lstm_sequences(start, stop, way, function, w, x, h, cs, kept, hs, backwards):
    """kept and hs of every step, and cs after its first, c: w (B, H, 4H / B), (T, N, 4H), (N, H), (T + 1, N, H), (T, N, 4H), (T, N, H)."""
    T, before = len(x), h
    for step in range(T):
        t = T - 1 - step if backwards else step
        kept[t, start:stop] = x[t, start:stop]
        multiply(way, function, before[start:stop], w, kept[t, start:stop])
        for n in range(start, stop):
            lstm_row(cs[step, n], kept[t, n], hs[t, n], cs[step + 1, n])
        before = hs[t]


@loop
def lstm_sequences_back(start, stop, way, function, w, g, gh, gc, kept, cs, gx, backwards):
    """gx of every step, and gh and gc, first those after the last step, as they were before the first; w (B, 4H, H / B)."""
    T, room = len(g), np.empty(gc.shape[1], gc.dtype)
    for step in range(T - 1, -1, -1):
        t = T - 1 - step if backwards else step
        gh[start:stop] += g[t, start:stop]
        for n in range(start, stop):
            lstm_row_back(gh[n], gc[n], kept[t, n], cs[step, n], cs[step + 1, n], gx[t, n], room)
        gh[start:stop] = ZERO
        multiply(way, function, gx[t, start:stop], w, gh[start:stop])


@loop
def gru_sequences(start, stop, way, function, w, x, h, b, by_h, kept, hs, backwards):
    """by_h, kept and hs of every step; w (B, H, 3H / B), b (3H,)."""
    T, before = len(x), h
    for step in range(T):
        t = T - 1 - step if backwards else step
        by_h[t, start:stop] = b
        multiply(way, function, before[start:stop], w, by_h[t, start:stop])
        for n in range(start, stop):
            gru_row(x[t, n], by_h[t, n], before[n], kept[t, n], hs[t, n])
        before = hs[t]


@loop
def gru_sequences_back(start, stop, way, function, w, g, gh, kept, by_h, states, gx, gates, backwards):
    """gx and gates, the gradients of the gates' parts by x and by h, of every step; gh becomes that of the first state; w (B, 3H, H / B)."""
    T, past = len(g), np.empty((stop - start, gh.shape[1]), gh.dtype)
    for step in range(T - 1, -1, -1):
        t = T - 1 - step if backwards else step
        gh[start:stop] += g[t, start:stop]
        for n in range(start, stop):
            gru_row_back(gh[n], kept[t, n], by_h[t, n], states[t, n], gx[t, n], gates[t, n], past[n - start])
        gh[start:stop] = past
        multiply(way, function, gates[t, start:stop], w, gh[start:stop])


def share(sequences, w, x, *args):
    """The sequences of x (T, N, ...), whose states are multiplied with w (K, M), shared out among threads."""
    N, least = x.shape[1], 1 + LEAST // (len(x) * w.size)
    with blas.alone():
        threads.run(sequences, N, *prepared(w, N // len(threads.pieces(N, least))), x, *args, least=least)
