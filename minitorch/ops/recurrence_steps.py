"""The steps of an LSTM or a GRU over a sequence, and back, on the CPU: everything is written where it will stay.

Where compiled loops are to be used they take the whole layer.  By NumPy a step is a product with the state and the gates; the derivatives
of the gates are computed for many steps at once, before the gradient of the state comes by.
"""
import numpy as np

from .. import blas, dtypes, threads
from ..autograd import loops, routes
from ..backend import xp
from ..blocks import by_slices
from .matmul import times
from .recurrent import gru_gates_gradient, gru_in_place, halved_in_place, halves, lstm_slopes, parts
from .reduce import added

LEAST = 1 << 21                                      # multiplications of a step that are worth another thread
ROWS = 256                                           # of gradients that a product of another thread takes at a time


def fits(x):
    """Whether arrays are for this: on the CPU, where no kernel is to compute the gates."""
    return type(x) is np.ndarray and routes.kernels_for("recurrent", x) is None


def order(T, backwards):
    """The steps in the order in which they are taken."""
    return range(T - 1, -1, -1) if backwards else range(T)


def flat(x):
    """x (T, N, M) as (T N, M)."""
    return x.reshape(-1, x.shape[2])


def states_before(first, states, backwards):
    """(T, N, H) the state before each step, in the order of `states` (T, N, H)."""
    y = xp(states).empty(states.shape, states.dtype)
    if backwards:
        y[:-1], y[-1] = states[1:], first
    else:
        y[1:], y[0] = states[:-1], first
    return y


def weights_gradient(gates, x):
    """The gradient of the weights that x is multiplied with, from that of the products: gates^T x of all steps."""
    return times(flat(gates).swapaxes(0, 1), flat(x))


def lstm_gradients(gates, gh, gc, x, states, w_ih, wanted, both=None):
    """The gradients of lstm_over's inputs, those that are wanted, from those of the gates and of the first states.

    The weights of x (T, N, I) and of the states before each step get theirs by one product, which is faster than two: `both`.
    """
    lib, I, gx, gw_ih, gw_hh = xp(x), x.shape[2], None, None, None
    if 3 in wanted or 4 in wanted:
        both = weights_gradient(gates, lib.concatenate((x, states), axis=2)) if both is None else both
        gw_ih, gw_hh = lib.ascontiguousarray(both[:, :I]), lib.ascontiguousarray(both[:, I:])
    if 0 in wanted:
        gx = times(gates, w_ih)
    return gx, gh, gc, gw_ih, gw_hh, added(gates, (0, 1), False) if 5 in wanted else None


class Products:
    """Those for lstm_gradients' weights, of some steps at a time, while another thread takes the next steps."""

    def __init__(self, gates, x, states):
        self.gates, self.x, self.states = gates, x, states
        self.both = np.zeros((gates.shape[2], x.shape[2] + states.shape[2]), gates.dtype)

    def add(self, steps):
        gates = flat(self.gates[steps])
        blas.matmul(gates.T, flat(np.concatenate((self.x[steps], self.states[steps]), axis=2)), out=self.both, add=True)


def gru_gradients(by_x, by_h, gh, x, states, w_ih, wanted):
    """The gradients of gru_over's inputs, those that are wanted, from those of the gates' two parts and of the first state."""
    return (times(by_x, w_ih) if 0 in wanted else None, gh,
            weights_gradient(by_x, x) if 2 in wanted else None, weights_gradient(by_h, states) if 3 in wanted else None,
            added(by_x, (0, 1), False) if 4 in wanted else None, added(by_h, (0, 1), False) if 5 in wanted else None)


def prepared(*arrays):
    """(minitorch.loops.sequences, arrays row by row) where the loops are to work on arrays like the first; (None, *arrays)."""
    if loops.wanted(arrays[0], 5000, single=True) and all([a.dtype == dtypes.F32 and a.size for a in arrays]) and blas.address(dtypes.F32):
        return loops.module("sequences"), *[np.ascontiguousarray(a) for a in arrays]
    return None, *arrays


def zeros(b, w):
    """A bias for w; zeros in place of none."""
    return np.zeros(len(w), w.dtype) if b is None else b


def multiply(x, w, y):
    """y = x w, for w from blas.weights_in_blocks."""
    for i, (columns, w_) in enumerate(w):
        part, some = np.empty_like(y) if i else y, x[:, columns]
        if len(w_) == 1:
            blas.matmul(some, w_[0], out=part)
        else:
            np.matmul(some, w_, out=part.reshape(len(y), len(w_), -1).swapaxes(0, 1))
        if i:
            y += part


def multiplier(w, y):
    """f(x): y = x w, of many x; w from blas.weights_in_blocks."""
    (_, blocks), *more = w
    if more or len(blocks) == 1:
        return lambda x: multiply(x, w, y)
    in_columns = y.reshape(len(y), len(blocks), -1).swapaxes(0, 1)
    return lambda x: np.matmul(x, blocks, out=in_columns)


def shares(w, N):
    """(how many threads take rows of N states, which a step multiplies with w; how many rows each has at least)."""
    least = 1 + LEAST // max(1, w.size)
    return len(threads.pieces(N, least)), least


def share(part, w, N):
    """part(start, stop, w in blocks) for the rows of N states, which a step multiplies with w: shared out among threads."""
    _, least = shares(w, N)
    with blas.alone():
        threads.run(part, N, blas.weights_in_blocks(w, N // len(threads.pieces(N, least))), least=least)


def lstm_forward(x, h, c, w_ih, w_hh, b, backwards):
    """(hs, cs, kept): h of every step, c before and after every step in the order taken, the gates after their activation."""
    (T, N, _), M = x.shape, len(w_hh)
    hs, cs = np.empty((T, *h.shape), x.dtype), np.empty((T + 1, *c.shape), x.dtype)
    cs[0] = c
    fast, kept, *given = prepared(np.empty((T, N, M), x.dtype), x, h, w_ih, w_hh, zeros(b, w_hh))
    if fast:
        fast.lstm_forward(*given, cs, kept, hs, backwards)
        return hs, cs, kept
    half, rest = halves(np, M // 4, x.dtype)
    kept = times(x, (w_ih * half[:, None]).T, None if b is None else b * half)

    def part(start, stop, w):
        rows, by_state = slice(start, stop), np.empty((stop - start, M), x.dtype)
        before, times_w, taken = h[rows], multiplier(w, by_state), slice(None, None, -1 if backwards else 1)
        some, after = kept[taken, rows], hs[taken, rows]
        for gates, i, f, g, o, state, c, new_c in zip(some, *parts(some, 4), after, cs[:-1, rows], cs[1:, rows]):
            times_w(before)
            np.add(gates, by_state, out=by_state)
            halved_in_place(by_state, gates, i, f, g, o, c, state, new_c, half, rest)
            before = state
    share(part, (w_hh * half[:, None]).T, N)
    return hs, cs, kept


def lstm_backward(g, gc, kept, cs, x, h, hs, w_ih, w_hh, backwards, wanted):
    """The gradients of lstm_over's inputs, from that of every h and of the last c."""
    T, N = g.shape[:2]
    fast, kept, *given = prepared(kept, x, h, hs, g, gc, cs, w_ih, w_hh)
    if fast:
        return fast.lstm_backward(kept, *given, backwards, 0 in wanted, 3 in wanted or 4 in wanted)
    gates, gh, gc, slopes_c = np.empty(kept.shape, kept.dtype), np.zeros(gc.shape, gc.dtype), gc.copy(), np.empty((T, *gc.shape), gc.dtype)
    taken = slice(None, None, -1 if backwards else 1)
    kept, slopes, g = kept[taken], gates[taken], g[taken]                  # as the steps were taken

    def differentiate(steps):
        lstm_slopes(kept[steps], cs[:-1][steps], cs[1:][steps], (slopes[steps], slopes_c[steps]))

    def part(start, stop, w, done=None):
        by_h, by_c, since, H = gh[start:stop], gc[start:stop], T, gc.shape[1]
        times_w, back = multiplier(w, by_h), (slice(None, None, -1), slice(start, stop))
        some, forget = slopes[back], parts(kept[back], 4)[1]
        steps = zip(reversed(range(T)), some, some[..., :3 * H].reshape(T, -1, 3, H), some[..., 3 * H:], slopes_c[back], forget, g[back])
        for n, by_gates, for_c, o, c_by_h, f, by_y in steps:
            by_h += by_y
            c_by_h *= by_h
            by_c += c_by_h
            for_c *= by_c[:, None]
            o *= by_h
            by_c *= f
            times_w(by_gates)
            if done is not None and ((since - n) * N >= ROWS or not n):
                done(slice(T - since, T - n) if backwards else slice(n, since))
                since = n
    by_slices(differentiate, kept)
    states = states_before(h, hs, backwards)
    if shares(w_hh, N)[0] != 2 or not (3 in wanted or 4 in wanted):
        share(part, w_hh, N)
        return lstm_gradients(gates, gh, gc, x, states, w_ih, wanted)
    products = Products(gates, x, states)                                  # two threads in each other's way at every step are slower
    with blas.alone():
        threads.beside(lambda done: part(0, N, blas.weights_in_blocks(w_hh, N), done), products.add)
    return lstm_gradients(gates, gh, gc, x, states, w_ih, wanted, products.both)


def gru_forward(x, h, w_ih, w_hh, b_ih, b_hh, backwards):
    """(hs, kept, by_h): the state after every step, the gates after their activation, and what the state gave to them."""
    (T, N, _), M = x.shape, len(w_hh)
    hs, kept, b = np.empty((T, *h.shape), x.dtype), np.empty((T, N, M), x.dtype), zeros(b_hh, w_hh)
    fast, by_h, *given = prepared(np.empty((T, N, M), x.dtype), x, h, w_ih, w_hh, zeros(b_ih, w_hh), b)
    if fast:
        fast.gru_forward(*given, by_h, kept, hs, backwards)
        return hs, kept, by_h
    by_x = times(x, w_ih.T, b_ih)

    def part(start, stop, w):
        before = h[start:stop]
        for t in order(T, backwards):
            by_state, gates = by_h[t, start:stop], kept[t, start:stop]
            multiply(before, w, by_state)
            by_state += b
            np.add(by_x[t, start:stop], by_state, out=gates)
            gru_in_place(by_x[t, start:stop], by_state, before, gates, hs[t, start:stop])
            before = hs[t, start:stop]
    share(part, w_hh.T, N)
    return hs, kept, by_h


def gru_backward(g, kept, by_h, x, h, hs, w_ih, w_hh, backwards, wanted):
    """The gradients of gru_over's inputs, from that of every state."""
    T, N = g.shape[:2]
    fast, kept, *given = prepared(kept, x, h, hs, g, by_h, w_ih, w_hh)
    if fast:
        return fast.gru_backward(kept, *given, backwards, 0 in wanted, 2 in wanted or 3 in wanted)
    gx, gates, gh = np.empty(kept.shape, kept.dtype), np.empty(kept.shape, kept.dtype), np.zeros(g.shape[1:], g.dtype)
    states = states_before(h, hs, backwards)

    def part(start, stop, w):
        by_state = gh[start:stop]
        for t in reversed(order(T, backwards)):
            here = (t, slice(start, stop))
            by_state += g[here]
            gx[here], gates[here], past = gru_gates_gradient.op.forward(by_state, kept[here], by_h[here], states[here])
            multiply(gates[here], w, by_state)
            by_state += past
    share(part, w_hh, N)

    return gru_gradients(gx, gates, gh, x, states, w_ih, wanted)
