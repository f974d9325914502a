"""One layer of a recurrent network over all its steps, as one op.

Of an LSTM and a GRU the product of the inputs with their weights belongs to it, so that a compiled loop can take it with the steps that
read it; else it is one product for all steps.  Step by step there remain the product with the state and the gates of recurrent.py; the
gradient of the weights is one product over all steps again.  The references say the same in ordinary ops.
"""
import numpy as np

from ..autograd.op import keep, op
from ..backend import xp
from ..cases import normal
from . import recurrence_steps
from .join import stack
from .linear import linear
from .recurrence_steps import gru_gradients, lstm_gradients, order, states_before, weights_gradient
from .recurrent import check_states, gru_gates, gru_gates_gradient, lstm_gates, lstm_gates_gradient


def by_steps(step, x, state, backwards):
    """(states (T, N, H), last state) by step(x[t], state) -> new state, a tuple whose first part is the output."""
    ys = [None] * x.shape[0]
    for t in order(x.shape[0], backwards):
        state = step(x[t], state)
        ys[t] = state[0]
    return (stack(ys), *state[1:])


# ---- LSTM -------------------------------------------------------------------------------------------------------

def lstm_by_steps(x, h, c, w_ih, w_hh, b=None, backwards=False):
    return by_steps(lambda gates, state: lstm_gates(gates + linear(state[0], w_hh), state[1]), linear(x, w_ih, b), (h, c), backwards)


@op(numbers="half", home="", reference=lstm_by_steps, called="lstm", check=check_states)
def lstm_over(x, h, c, w_ih, w_hh, b=None, /, backwards=False) -> tuple:
    """(h of every step, the last c): (T, N, I), (N, H), (N, H), (4H, I), (4H, H), (4H,) -> (T, N, H), (N, H)."""
    if recurrence_steps.fits(x):
        hs, cs, kept = recurrence_steps.lstm_forward(x, h, c, w_ih, w_hh, b, backwards)
        return keep((hs, cs[-1].copy()), kept=kept, cs=cs)
    T, lib = len(x), xp(x)
    by_x, turned = linear.op.forward(x, w_ih, b), lib.ascontiguousarray(w_hh.swapaxes(0, 1))             # for it is read at every step
    hs, cs, kept = lib.empty((T, *h.shape), x.dtype), [c] + [None] * T, [None] * T
    for n, t in enumerate(order(T, backwards)):
        gates = h @ turned
        gates += by_x[t]
        y = lstm_gates.op.forward(gates, cs[n])
        h, cs[n + 1] = y.result
        hs[t], kept[t] = h, y.extras["kept"]
    return keep((hs, cs[-1]), kept=kept, cs=cs)


@lstm_over.joint_vjp
def _(g, x, h, w_ih, w_hh, y0, kept, cs, backwards, wanted):
    (gh, gc), T, lib = g, len(y0), xp(y0)
    if type(kept) is np.ndarray:
        return recurrence_steps.lstm_backward(gh, gc, kept, cs, x, h, y0, w_ih, w_hh, backwards, wanted)
    gx, by_state = lib.empty((T, *kept[0].shape), gh.dtype), 0
    for n, t in reversed([*enumerate(order(T, backwards))]):
        gx[t], gc = lstm_gates_gradient(gh[t] + by_state, gc, kept[t], cs[n], cs[n + 1])
        by_state = gx[t] @ w_hh
    return lstm_gradients(gx, by_state, gc, x, states_before(h, y0, backwards), w_ih, wanted)


lstm_over.case(normal(3, 2, 3), normal(2, 2), normal(2, 2), normal(8, 3), normal(8, 2), normal(8))
lstm_over.case(normal(3, 2, 3), normal(2, 2), normal(2, 2), normal(8, 3), normal(8, 2), None, True)
lstm_over.case(normal(1, 1, 2), normal(1, 3), normal(1, 3), normal(12, 2), normal(12, 3), normal(12))


# ---- GRU --------------------------------------------------------------------------------------------------------

def gru_by_steps(x, h, w_ih, w_hh, b_ih=None, b_hh=None, backwards=False):
    return by_steps(lambda gates, state: (gru_gates(gates, linear(state[0], w_hh, b_hh), state[0]),), linear(x, w_ih, b_ih), (h,), backwards)[0]


@op(numbers="half", home="", reference=gru_by_steps, called="gru", check=check_states)
def gru_over(x, h, w_ih, w_hh, b_ih=None, b_hh=None, /, backwards=False):
    """h of every step: (T, N, I), (N, H), (3H, I), (3H, H), (3H,), (3H,) -> (T, N, H)."""
    if recurrence_steps.fits(x):
        hs, kept, by_h = recurrence_steps.gru_forward(x, h, w_ih, w_hh, b_ih, b_hh, backwards)
        return keep(hs, kept=kept, by_h=by_h)
    T, lib = len(x), xp(x)
    by_x, turned = linear.op.forward(x, w_ih, b_ih), lib.ascontiguousarray(w_hh.swapaxes(0, 1))          # for it is read at every step
    hs, kept, by_h = lib.empty((T, *h.shape), x.dtype), [None] * T, [None] * T
    for t in order(T, backwards):
        by_h[t] = h @ turned
        if b_hh is not None:
            by_h[t] += b_hh
        y = gru_gates.op.forward(by_x[t], by_h[t], h)
        hs[t], kept[t] = y.result, y.extras["kept"]
        h = hs[t]
    return keep(hs, kept=kept, by_h=by_h)


@gru_over.joint_vjp
def _(g, x, h, w_ih, w_hh, y, kept, by_h, backwards, wanted):
    if type(kept) is np.ndarray:
        return recurrence_steps.gru_backward(g, kept, by_h, x, h, y, w_ih, w_hh, backwards, wanted)
    T, lib = len(g), xp(g)
    before, by_state = states_before(h, y, backwards), 0
    gx, gates = lib.empty((T, *kept[0].shape), g.dtype), lib.empty((T, *kept[0].shape), g.dtype)
    for t in reversed(order(T, backwards)):
        gx[t], gates[t], past = gru_gates_gradient(g[t] + by_state, kept[t], by_h[t], before[t])
        by_state = gates[t] @ w_hh
        by_state += past
    return gru_gradients(gx, gates, by_state, x, before, w_ih, wanted)


gru_over.case(normal(3, 2, 3), normal(2, 2), normal(6, 3), normal(6, 2), normal(6), normal(6))
gru_over.case(normal(3, 2, 3), normal(2, 2), normal(6, 3), normal(6, 2), None, None, True)
gru_over.case(normal(1, 1, 2), normal(1, 3), normal(9, 2), normal(9, 3), normal(9), normal(9))


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
    return gx, by_state, weights_gradient(gx, states_before(h, y, backwards))


rnn_over.case(normal(3, 2, 2), normal(2, 2), normal(2, 2))
rnn_over.case(normal(3, 2, 2), normal(2, 2), normal(2, 2), True, True)
rnn_over.case(normal(1, 1, 3), normal(1, 3), normal(3, 3))
