"""A layer of an LSTM or a GRU over whole sequences, for float32: the products with the weights too, and their gradients.

The sequences of a batch go on by themselves: threads share them out, and meet at the end.  A thread takes some steps at a time: one
product with what all of them read, so that it stays in the cache until the steps themselves.  The way back is the same, and each
thread sums up a gradient of the weights of its own.  The products are the library's of linear algebra, but of a small layer loops
too, as a call would take longer than the product.
"""
import numpy as np

from .. import blas, threads
from . import inline, loop, wide
from .functions import F, ONE
from .gemm import AS_IT_IS, TURNED, multiply, prepared, product
from .recurrent import gru_row, gru_row_back, lstm_row, lstm_row_back

LEAST = 1 << 17                                      # multiplications that are worth another thread
ROWS = 512                                           # of a block: steps of sequences
ZERO = F(0)


@inline
def steps_of(n, T):
    """How many steps of n sequences are a block."""
    return max(1, min(T, ROWS // max(1, n)))


@inline
def place(step, T, backwards):
    """Where in memory the step stands that is taken as number `step`."""
    return T - 1 - step if backwards else step


@inline
def state_before(step, h, hs, backwards):
    """The states (N, H) before a step: first h, then those of hs (T, N, H)."""
    return hs[place(step - 1, len(hs), backwards)] if step else h


@inline
def read(first, last, start, stop, x, b, weights, rows, gates, backwards):
    """gates (S n, M) become x w + b for the steps first to last; rows (S n, I): room for what they read."""
    n = stop - start
    for step in range(first, last):
        s = (step - first) * n
        rows[s:s + n] = x[place(step, len(x), backwards), start:stop]
        gates[s:s + n] = b
    many = (last - first) * n
    multiply(rows[:many], weights, gates[:many])


@inline
def read_back(first, last, start, stop, gx, gates, weights, rows, backwards):
    """gx, the gradient of x, for the steps first to last, from that of the gates (S n, M); rows (S n, I): room."""
    n = stop - start
    many = (last - first) * n
    rows[:many] = ZERO
    multiply(gates[:many], weights, rows[:many])
    for step in range(first, last):
        s = (step - first) * n
        gx[place(step, len(gx), backwards), start:stop] = rows[s:s + n]


@inline
def add_row(sums, x):
    """sums += x, (M,)."""
    for j in range(sums.size):
        sums[j] += x[j]


# ---- LSTM -------------------------------------------------------------------------------------------------------

@loop
def lstm_sequences(start, stop, by_x, by_h, b, x, h, cs, kept, hs, backwards):
    """kept and hs of every step, and cs after its first, c: b (4H,), x (T, N, I), (N, H), (T + 1, N, H), (T, N, 4H), (T, N, H)."""
    wide()
    T, n = len(x), stop - start
    S = steps_of(n, T)
    rows, gates = np.empty((S * n, x.shape[2]), x.dtype), np.empty((S * n, kept.shape[2]), x.dtype)
    for first in range(0, T, S):
        last = min(T, first + S)
        read(first, last, start, stop, x, b, by_x, rows, gates, backwards)
        for step in range(first, last):
            t, s = place(step, T, backwards), (step - first) * n
            multiply(state_before(step, h, hs, backwards)[start:stop], by_h, gates[s:s + n])
            for i in range(n):
                m = start + i
                lstm_row(cs[step, m], gates[s + i], kept[t, m], hs[t, m], cs[step + 1, m])


@loop
def lstm_sequences_back(start, stop, by_x, by_h, function, x, h, hs, g, gh, gc, kept, cs, gx, gw, gb, backwards):
    """gx, and gh and gc, first those after the last step, as they were before the first; gw (P, 4H, I + H) and gb (P, 4H) get the piece's sums.

    gx and gw of size 0 are not wanted.
    """
    wide()
    T, N, I = x.shape
    n, M = stop - start, kept.shape[2]
    S, piece = steps_of(n, T), -(-start * len(gw) // N)
    sums, room = gb[piece], np.empty(gc.shape[1], gc.dtype)
    gates, both, rows = np.empty((S * n, M), x.dtype), np.empty((S * n, gw.shape[2]), x.dtype), np.empty((S * n, I), x.dtype)
    for last in range(T, 0, -S):
        first = max(0, last - S)
        for step in range(last - 1, first - 1, -1):
            t, s = place(step, T, backwards), (step - first) * n
            gh[start:stop] += g[t, start:stop]
            for i in range(n):
                m = start + i
                lstm_row_back(gh[m], gc[m], kept[t, m], cs[step, m], cs[step + 1, m], gates[s + i], room)
                add_row(sums, gates[s + i])
            gh[start:stop] = ZERO
            multiply(gates[s:s + n], by_h, gh[start:stop])
            both[s:s + n, :I] = x[t, start:stop]
            both[s:s + n, I:] = state_before(step, h, hs, backwards)[start:stop]
        many, begun = (last - first) * n, ONE if last < T else ZERO
        if gw.size:
            product(function, ONE, gates[:many], TURNED, both[:many], AS_IT_IS, begun, gw[piece])
        if gx.size:
            read_back(first, last, start, stop, gx, gates, by_x, rows, backwards)


# ---- GRU --------------------------------------------------------------------------------------------------------

@loop
def gru_sequences(start, stop, by_x, by_h, b_ih, b_hh, x, h, from_h, kept, hs, backwards):
    """from_h, what the state gives to the gates, kept and hs of every step: b (3H,) twice, x (T, N, I), (N, H), (T, N, 3H) twice, (T, N, H)."""
    wide()
    T, n = len(x), stop - start
    S = steps_of(n, T)
    rows, gates = np.empty((S * n, x.shape[2]), x.dtype), np.empty((S * n, kept.shape[2]), x.dtype)
    for first in range(0, T, S):
        last = min(T, first + S)
        read(first, last, start, stop, x, b_ih, by_x, rows, gates, backwards)
        for step in range(first, last):
            t, s = place(step, T, backwards), (step - first) * n
            before = state_before(step, h, hs, backwards)
            from_h[t, start:stop] = b_hh
            multiply(before[start:stop], by_h, from_h[t, start:stop])
            for i in range(n):
                m = start + i
                gru_row(gates[s + i], from_h[t, m], before[m], kept[t, m], hs[t, m])


@loop
def gru_sequences_back(start, stop, by_x, by_h, function, x, h, hs, g, gh, from_h, kept, gx, gw_ih, gw_hh, gb_ih, gb_hh, backwards):
    """gx, and gh, first zeros, that of the first state; gw (P, 3H, I) and (P, 3H, H), and gb (P, 3H), get the piece's sums.

    gx and gw of size 0 are not wanted.
    """
    wide()
    T, N, I = x.shape
    n, M, H = stop - start, kept.shape[2], h.shape[1]
    S, piece = steps_of(n, T), -(-start * len(gb_ih) // N)
    sums_x, sums_h, past = gb_ih[piece], gb_hh[piece], np.empty((n, H), x.dtype)
    by_x_gates, by_h_gates = np.empty((S * n, M), x.dtype), np.empty((S * n, M), x.dtype)
    rows, states = np.empty((S * n, I), x.dtype), np.empty((S * n, H), x.dtype)
    for last in range(T, 0, -S):
        first = max(0, last - S)
        for step in range(last - 1, first - 1, -1):
            t, s = place(step, T, backwards), (step - first) * n
            before = state_before(step, h, hs, backwards)
            gh[start:stop] += g[t, start:stop]
            for i in range(n):
                m = start + i
                gru_row_back(gh[m], kept[t, m], from_h[t, m], before[m], by_x_gates[s + i], by_h_gates[s + i], past[i])
                add_row(sums_x, by_x_gates[s + i])
                add_row(sums_h, by_h_gates[s + i])
            gh[start:stop] = past
            multiply(by_h_gates[s:s + n], by_h, gh[start:stop])
            rows[s:s + n] = x[t, start:stop]
            states[s:s + n] = before[start:stop]
        many, begun = (last - first) * n, ONE if last < T else ZERO
        if gw_ih.size:
            product(function, ONE, by_x_gates[:many], TURNED, rows[:many], AS_IT_IS, begun, gw_ih[piece])
            product(function, ONE, by_h_gates[:many], TURNED, states[:many], AS_IT_IS, begun, gw_hh[piece])
        if gx.size:
            read_back(first, last, start, stop, gx, by_x_gates, by_x, rows, backwards)


# ---- shared out among threads ---------------------------------------------------------------------------------------

def run(sequences, x, w_ih, w_hh, *args):
    """sequences(start, stop, *weights prepared, *args) for the sequences of x (T, N, I), whose inputs and states are multiplied with the weights."""
    P, least = shares(x, w_hh)
    with blas.alone():
        threads.run(sequences, x.shape[1], prepared(w_ih, ROWS), prepared(w_hh, x.shape[1] // P, exactly=True), *args, least=least)


def shares(x, w):
    """(pieces of a batch, sequences of one at the least): x (T, N, I), w the weights of the states."""
    T, N, _ = x.shape
    least = 1 + LEAST // (T * w.size)
    return len(threads.pieces(N, least)), least


def lstm_forward(x, h, w_ih, w_hh, b, cs, kept, hs, backwards):
    """kept, hs and cs, whose first is c: see lstm_sequences."""
    run(lstm_sequences, x, w_ih.T, w_hh.T, b, x, h, cs, kept, hs, backwards)


def lstm_backward(kept, x, h, hs, g, gc, cs, w_ih, w_hh, backwards, by_x, by_w):
    """The gradients of x, h, c, w_ih, w_hh and b, from that of every h and of the last c; by_x, by_w: whether those of x and w are wanted."""
    (T, N, I), (M, H), (P, _) = x.shape, w_hh.shape, shares(x, w_hh)
    gx, gh, gc = np.empty((T if by_x else 0, N, I), x.dtype), np.zeros((N, H), x.dtype), gc.copy()
    gw, gb = np.empty((P, M if by_w else 0, I + H), x.dtype), np.zeros((P, M), x.dtype)
    run(lstm_sequences_back, x, w_ih, w_hh, blas.address(x.dtype), x, h, hs, g, gh, gc, kept, cs, gx, gw, gb, backwards)
    return gx if by_x else None, gh, gc, *(summed(gw[:, :, :I], gw[:, :, I:]) if by_w else (None, None)), gb.sum(axis=0)


def gru_forward(x, h, w_ih, w_hh, b_ih, b_hh, from_h, kept, hs, backwards):
    """from_h, kept and hs: see gru_sequences."""
    run(gru_sequences, x, w_ih.T, w_hh.T, b_ih, b_hh, x, h, from_h, kept, hs, backwards)


def gru_backward(kept, x, h, hs, g, from_h, w_ih, w_hh, backwards, by_x, by_w):
    """The gradients of x, h, w_ih, w_hh and both biases, from that of every state; by_x, by_w: whether those of x and w are wanted."""
    (T, N, I), (M, H), (P, _) = x.shape, w_hh.shape, shares(x, w_hh)
    gx, gh = np.empty((T if by_x else 0, N, I), x.dtype), np.zeros((N, H), x.dtype)
    gw_ih, gw_hh = np.empty((P, M if by_w else 0, I), x.dtype), np.empty((P, M if by_w else 0, H), x.dtype)
    gb_ih, gb_hh = np.zeros((P, M), x.dtype), np.zeros((P, M), x.dtype)
    run(gru_sequences_back, x, w_ih, w_hh, blas.address(x.dtype), x, h, hs, g, gh, from_h, kept, gx, gw_ih, gw_hh, gb_ih, gb_hh, backwards)
    return gx if by_x else None, gh, *(summed(gw_ih, gw_hh) if by_w else (None, None)), gb_ih.sum(axis=0), gb_hh.sum(axis=0)


def summed(*parts):
    """The sum over all pieces of each: (P, M, ...)."""
    ys = [np.empty(x.shape[1:], x.dtype) for x in parts]

    def part(start, stop):
        for x, y in zip(parts, ys):
            x[:, start:stop].sum(axis=0, out=y[start:stop])
    threads.run(part, len(ys[0]), least=1 + LEAST // sum(y.shape[1] for y in ys))
    return ys
