"""The LSTM and the GRU, for float32: the gates of one step in one pass, and whole sequences of small cells.

Each inner loop has few arrays, for the compiler must rule out that one it writes overlaps another.  Of a small cell the products
with the weights are loops too, as a call of the library of linear algebra would take longer than the product; then every
sequence of the batch goes on by itself, and threads share them out.
"""
import numpy as np

from .. import threads
from ..autograd.plan import keep
from . import inline, loop
from .functions import F, ONE, sigmoid, tanh

LEAST = 1 << 17                                      # multiplications that are worth another thread
ZERO, UNROLLED = F(0), 8                                         # rows of a matrix that one inner loop reads


@inline
def multiply(x, w, y):
    """y += x w: (K,), (K, M), (M,)."""
    whole = x.size - x.size % UNROLLED
    for k in range(0, whole, UNROLLED):
        a, b, c, d, e, f, g, h = x[k], x[k + 1], x[k + 2], x[k + 3], x[k + 4], x[k + 5], x[k + 6], x[k + 7]
        wa, wb, wc, wd, we, wf, wg, wh = w[k], w[k + 1], w[k + 2], w[k + 3], w[k + 4], w[k + 5], w[k + 6], w[k + 7]
        for j in range(y.size):
            y[j] += ((a * wa[j] + b * wb[j]) + (c * wc[j] + d * wd[j])) + ((e * we[j] + f * wf[j]) + (g * wg[j] + h * wh[j]))
    for k in range(whole, x.size):
        a, wa = x[k], w[k]
        for j in range(y.size):
            y[j] += a * wa[j]


# ---- one row of a step --------------------------------------------------------------------------------------------

@inline
def lstm_row(x, c, gates, h, new_c):
    """gates become activated(gates + x), h and new_c the new state."""
    H = c.size
    xs, both = x[:2 * H], gates[:2 * H]
    for j in range(both.size):
        both[j] = sigmoid(both[j] + xs[j])
    xs, g = x[2 * H:3 * H], gates[2 * H:3 * H]
    for j in range(g.size):
        g[j] = tanh(g[j] + xs[j])
    xs, o = x[3 * H:], gates[3 * H:]
    for j in range(o.size):
        o[j] = sigmoid(o[j] + xs[j])
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
def lstm_step(x, c, gates, h, new_c):
    """lstm_row for all rows: (N, 4H), (N, H), (N, 4H), (N, H), (N, H)."""
    for n in range(len(c)):
        lstm_row(x[n], c[n], gates[n], h[n], new_c[n])


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
    kept, h, new_c = np.zeros_like(gates), np.empty_like(c), np.empty_like(c)
    lstm_step(*map(matrix, (gates, c, kept, h, new_c)))
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


# ---- whole sequences of small cells: those of rows start to stop, independent of each other -----------------------------

@loop
def lstm_sequences(start, stop, x, h, cs, w, kept, hs, backwards):
    """kept and hs of every step, and cs after its first, c: (T, N, 4H), (N, H), (T + 1, N, H), (H, 4H), (T, N, 4H), (T, N, H)."""
    T = len(x)
    for n in range(start, stop):
        before = h[n]
        for step in range(T):
            t = T - 1 - step if backwards else step
            kept[t, n] = ZERO
            multiply(before, w, kept[t, n])
            lstm_row(x[t, n], cs[step, n], kept[t, n], hs[t, n], cs[step + 1, n])
            before = hs[t, n]


@loop
def lstm_sequences_back(start, stop, g, gh, gc, kept, cs, w, gx, backwards):
    """gx of every step, and gh and gc, first those after the last step, as they were before the first; w (4H, H)."""
    T, t_ = len(g), np.empty(gc.shape[1], gc.dtype)
    for n in range(start, stop):
        for step in range(T - 1, -1, -1):
            t = T - 1 - step if backwards else step
            for j in range(gh.shape[1]):
                gh[n, j] += g[t, n, j]
            lstm_row_back(gh[n], gc[n], kept[t, n], cs[step, n], cs[step + 1, n], gx[t, n], t_)
            gh[n] = ZERO
            multiply(gx[t, n], w, gh[n])


@loop
def gru_sequences(start, stop, x, h, w, b, by_h, kept, hs, backwards):
    """by_h, kept and hs of every step; b (3H,)."""
    T = len(x)
    for n in range(start, stop):
        before = h[n]
        for step in range(T):
            t = T - 1 - step if backwards else step
            by_h[t, n] = b
            multiply(before, w, by_h[t, n])
            gru_row(x[t, n], by_h[t, n], before, kept[t, n], hs[t, n])
            before = hs[t, n]


@loop
def gru_sequences_back(start, stop, g, gh, kept, by_h, states, w, gx, gates, backwards):
    """gx and gates, the gradients of the gates' parts by x and by h, of every step; gh becomes that of the first state; w (3H, H)."""
    T, past = len(g), np.empty(gh.shape[1], gh.dtype)
    for n in range(start, stop):
        for step in range(T - 1, -1, -1):
            t = T - 1 - step if backwards else step
            for j in range(gh.shape[1]):
                gh[n, j] += g[t, n, j]
            gru_row_back(gh[n], kept[t, n], by_h[t, n], states[t, n], gx[t, n], gates[t, n], past)
            gh[n] = past
            multiply(gates[t, n], w, gh[n])


def share(sequences, w, x, *args):
    """The sequences of x (T, N, ...) shared out among threads."""
    threads.run(sequences, x.shape[1], x, *args, least=1 + LEAST // (len(x) * w.size))
