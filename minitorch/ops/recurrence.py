"""One layer of a recurrent network over all its steps, as one op.

Step by step there remain the product with the state and the gates of recurrent.py; the gradient of the weights is one product
over all steps at once.  The references say the same in ordinary ops.  x (T, N, ...) is what the inputs contribute to the gates.
"""
import numpy as np

from ..autograd.op import keep, op
from ..backend import xp
from ..cases import normal
from . import recurrence_steps
from .join import stack
from .linear import linear
from .matmul import times
from .recurrence_steps import order
from .recurrent import check_states, gru_gates, gru_gates_gradient, lstm_gates, lstm_gates_gradient


def states_before(first, states, backwards):
    """(T, N, H) the state before each step, in the order of `states` (T, N, H)."""
    y = xp(states).empty(states.shape, states.dtype)
    if backwards:
        y[:-1], y[-1] = states[1:], first
    else:
        y[1:], y[0] = states[:-1], first
    return y


def flat(x):
    """x (T, N, M) as (T N, M)."""
    return x.reshape(-1, x.shape[2])


def weights_gradient(gx, first, states, backwards):
    """The gradient of the weights that the state before each step is multiplied with, from that of the products: gx^T states."""
    gw = times(gx[-1 if backwards else 0].swapaxes(0, 1), first)
    if len(gx) > 1:
        later, before = (gx[:-1], states[1:]) if backwards else (gx[1:], states[:-1])
        gw += times(flat(later).swapaxes(0, 1), flat(before))
    return gw


def by_steps(step, x, state, backwards):
    """(states (T, N, H), last state) by step(x[t], state) -> new state, a tuple whose first part is the output."""
    ys = [None] * x.shape[0]
    for t in order(x.shape[0], backwards):
        state = step(x[t], state)
        ys[t] = state[0]
    return (stack(ys), *state[1:])


# ---- LSTM -------------------------------------------------------------------------------------------------------

def lstm_by_steps(x, h, c, w, backwards=False):
    return by_steps(lambda gates, state: lstm_gates(gates + linear(state[0], w), state[1]), x, (h, c), backwards)


@op(numbers="half", home="", reference=lstm_by_steps, called="lstm", check=check_states)
def lstm_over(x, h, c, w, /, backwards=False) -> tuple:
    """(h of every step, the last c): (T, N, 4H), (N, H), (N, H), (4H, H) -> (T, N, H), (N, H)."""
    if recurrence_steps.fits(x):
        hs, cs, kept = recurrence_steps.lstm_forward(x, h, c, w, backwards)
        return keep((hs, cs[-1].copy()), kept=kept, cs=cs)
    T, lib = len(x), xp(x)
    turned = lib.ascontiguousarray(w.swapaxes(0, 1))                       # for it is read at every step
    hs, cs, kept = lib.empty((T, *h.shape), x.dtype), [c] + [None] * T, [None] * T
    for n, t in enumerate(order(T, backwards)):
        gates = h @ turned
        gates += x[t]
        y = lstm_gates.op.forward(gates, cs[n])
        h, cs[n + 1] = y.result
        hs[t], kept[t] = h, y.extras["kept"]
    return keep((hs, cs[-1]), kept=kept, cs=cs)


@lstm_over.joint_vjp
def _(g, h, w, y0, kept, cs, backwards):
    (gh, gc), T, lib = g, len(y0), xp(y0)
    if type(kept) is np.ndarray:
        gx, by_state, gc = recurrence_steps.lstm_backward(gh, gc, kept, cs, w, backwards)
    else:
        gx, by_state = lib.empty((T, *kept[0].shape), gh.dtype), 0
        for n, t in reversed([*enumerate(order(T, backwards))]):
            gx[t], gc = lstm_gates_gradient(gh[t] + by_state, gc, kept[t], cs[n], cs[n + 1])
            by_state = gx[t] @ w
    return gx, by_state, gc, weights_gradient(gx, h, y0, backwards)


lstm_over.case(normal(3, 2, 8), normal(2, 2), normal(2, 2), normal(8, 2))
lstm_over.case(normal(3, 2, 8), normal(2, 2), normal(2, 2), normal(8, 2), True)
lstm_over.case(normal(1, 1, 12), normal(1, 3), normal(1, 3), normal(12, 3))


# ---- GRU --------------------------------------------------------------------------------------------------------

def gru_by_steps(x, h, w, b=None, backwards=False):
    return by_steps(lambda gates, state: (gru_gates(gates, linear(state[0], w, b), state[0]),), x, (h,), backwards)[0]


@op(numbers="half", home="", reference=gru_by_steps, called="gru", check=check_states)
def gru_over(x, h, w, b=None, /, backwards=False):
    """h of every step: (T, N, 3H), (N, H), (3H, H), (3H,) -> (T, N, H)."""
    if recurrence_steps.fits(x):
        hs, kept, by_h = recurrence_steps.gru_forward(x, h, w, b, backwards)
        return keep(hs, kept=kept, by_h=by_h)
    T, lib = len(x), xp(x)
    turned = lib.ascontiguousarray(w.swapaxes(0, 1))                       # for it is read at every step
    hs, kept, by_h = lib.empty((T, *h.shape), x.dtype), [None] * T, [None] * T
    for t in order(T, backwards):
        by_h[t] = h @ turned
        if b is not None:
            by_h[t] += b
        y = gru_gates.op.forward(x[t], by_h[t], h)
        hs[t], kept[t] = y.result, y.extras["kept"]
        h = hs[t]
    return keep(hs, kept=kept, by_h=by_h)


@gru_over.joint_vjp
def _(g, h, w, y, kept, by_h, backwards, wanted):
    T, lib = len(g), xp(g)
    before = states_before(h, y, backwards)
    if type(kept) is np.ndarray:
        gx, gates, by_state = recurrence_steps.gru_backward(g, kept, by_h, before, w, backwards)
    else:
        gx, gates, by_state = lib.empty((T, *kept[0].shape), g.dtype), lib.empty((T, *kept[0].shape), g.dtype), 0
        for t in reversed(order(T, backwards)):
            gx[t], gates[t], past = gru_gates_gradient(g[t] + by_state, kept[t], by_h[t], before[t])
            by_state = gates[t] @ w
            by_state += past
    gates, before = flat(gates), flat(before)
    return gx, by_state, times(gates.swapaxes(0, 1), before), gates.sum(axis=0) if 3 in wanted else None


gru_over.case(normal(3, 2, 6), normal(2, 2), normal(6, 2), normal(6))
gru_over.case(normal(3, 2, 6), normal(2, 2), normal(6, 2), None, True)
gru_over.case(normal(1, 1, 9), normal(1, 3), normal(9, 3), normal(9))


# ---- the plain network --------------------------------------------------------------------------------------------

def rnn_by_steps(x, h, w, relu=False, backwards=False):
    def step(gates, state):
        y = gates + linear(state[0], w)
        return (y.relu() if relu else y.tanh()),
    return by_steps(step, x, (h,), backwards)[0]


@op(numbers="half", home="", reference=rnn_by_steps, called="rnn")
def rnn_over(x, h, w, /, relu=False, backwards=False):
    """h of every step, tanh or relu of x + h W^T: (T, N, H), (N, H), (H, H) -> (T, N, H)."""
    if not relu:
        check_states(x)
    lib = xp(x)
    turned = lib.ascontiguousarray(w.swapaxes(0, 1))
    hs = lib.empty((len(x), *h.shape), x.dtype)
    for t in order(len(x), backwards):
        y = h @ turned
        y += x[t]
        h = lib.maximum(y, 0, out=hs[t]) if relu else lib.tanh(y, out=hs[t])
    return hs


@rnn_over.joint_vjp
def _(g, h, w, y, relu, backwards):
    gx, by_state = xp(g).empty(g.shape, g.dtype), 0
    for t in reversed(order(len(g), backwards)):
        gx[t] = g[t] + by_state
        gx[t] *= y[t] > 0 if relu else 1 - y[t] * y[t]
        by_state = gx[t] @ w
    return gx, by_state, weights_gradient(gx, h, y, backwards)


rnn_over.case(normal(3, 2, 2), normal(2, 2), normal(2, 2))
rnn_over.case(normal(3, 2, 2), normal(2, 2), normal(2, 2), True, True)
rnn_over.case(normal(1, 1, 3), normal(1, 3), normal(3, 3))
