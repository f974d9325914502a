"""The LSTM's and the GRU's gates, for float32: one step in one pass.

Each inner loop has few arrays, for the compiler must rule out that one it writes overlaps another.
"""
import numpy as np

from ..autograd.plan import keep
from . import inline, loop, wide
from .functions import ONE, sigmoid, tanh


# ---- one row of a step --------------------------------------------------------------------------------------------

@inline
def lstm_row(c, gates, kept, h, new_c):
    """kept becomes the gates after their activation, h and new_c the new state."""
    H = c.size
    x, y = gates[:2 * H], kept[:2 * H]
    for j in range(y.size):
        y[j] = sigmoid(x[j])
    x, g = gates[2 * H:3 * H], kept[2 * H:3 * H]
    for j in range(g.size):
        g[j] = tanh(x[j])
    x, o = gates[3 * H:], kept[3 * H:]
    for j in range(o.size):
        o[j] = sigmoid(x[j])
    i, f = kept[:H], kept[H:2 * H]
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
def lstm_step(c, gates, kept, h, new_c):
    """lstm_row for all rows: (N, H), (N, 4H), (N, 4H), (N, H), (N, H)."""
    wide()
    for n in range(len(c)):
        lstm_row(c[n], gates[n], kept[n], h[n], new_c[n])


@loop
def lstm_step_back(gh, gc, kept, c, new_c, gates):
    """lstm_row_back for all rows."""
    wide()
    t = np.empty(c.shape[1], c.dtype)
    for n in range(len(c)):
        lstm_row_back(gh[n], gc[n], kept[n], c[n], new_c[n], gates[n], t)


@loop
def gru_step(x, by_h, h, kept, y):
    """gru_row for all rows: (N, 3H), (N, 3H), (N, H), (N, 3H), (N, H)."""
    wide()
    for n in range(len(h)):
        gru_row(x[n], by_h[n], h[n], kept[n], y[n])


@loop
def gru_step_back(g, kept, by_h, h, x_gates, h_gates, past):
    """gru_row_back for all rows."""
    wide()
    for n in range(len(h)):
        gru_row_back(g[n], kept[n], by_h[n], h[n], x_gates[n], h_gates[n], past[n])


def lstm_gates(gates, c):
    """((h, c'), the gates after their activation): (..., 4H), (..., H)."""
    kept, h, new_c = np.empty_like(gates), np.empty_like(c), np.empty_like(c)
    lstm_step(*map(matrix, (c, gates, kept, h, new_c)))
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
