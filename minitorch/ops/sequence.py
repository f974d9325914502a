"""Recurrent networks over whole sequences: the plain network, the LSTM, the GRU.

The product of all inputs with a layer's weights is one matrix product, for all steps at once; what remains goes step by step.
In a packed sequence the steps differ in length: sequences end on the way, or, from back to front, begin on the way.
"""
from typing import NamedTuple

from ..autograd import autocast
from ..autograd.op import composed
from ..cases import normal
from .activation import relu
from .dropout import dropout as dropped
from .join import cat, stack, unbind
from .linear import linear
from .recurrence import gru_over, lstm_over, rnn_over
from .recurrent import both, gru_gates, lstm_gates
from .trigonometric import tanh


class Weights(NamedTuple):
    """The parameters of one layer in one direction; biases and projection may be None."""
    w_ih: object
    w_hh: object
    b_ih: object = None
    b_hh: object = None
    w_hr: object = None


# ---- one step: (W x for this step, the state, the weights) -> the new state, whose first part is the output -----

def lstm_step(gates, state, w):
    h, c = lstm_gates(gates + linear(state[0], w.w_hh), state[1])
    return h if w.w_hr is None else linear(h, w.w_hr), c


def gru_step(gates, state, w):
    return gru_gates(gates, linear(state[0], w.w_hh, w.b_hh), state[0]),


def tanh_step(gates, state, w):
    return tanh(gates + linear(state[0], w.w_hh)),


def relu_step(gates, state, w):
    return relu(gates + linear(state[0], w.w_hh)),


# ---- one direction of one layer ---------------------------------------------------------------------------------

def run_direction(x, sizes, state, w, step, backwards):
    """(outputs, last state): x (T, N, I), or (sum of sizes, I) where step t has sizes[t] sequences."""
    bias = w.b_ih if step is gru_step else both(w.b_ih, w.b_hh)
    if sizes is None and w.w_hr is None and not autocast.is_on():
        return all_steps(x, bias, state, w, step, backwards)
    gates = linear(x, w.w_ih, bias)
    gates = unbind(gates) if sizes is None else gates.split(sizes)
    first, ended, ys = state, [], []
    state = tuple(s[:len(gates[-1])] for s in first) if backwards and sizes else first
    for g in reversed(gates) if backwards else gates:
        n, running = len(g), len(state[0])
        if n > running:                              # from back to front: the shorter sequences begin
            state = tuple(cat([s, s0[running:n]]) for s, s0 in zip(state, first))
        elif n < running:                            # the shorter sequences have ended
            ended.append([s[n:] for s in state])
            state = tuple(s[:n] for s in state)
        state = step(g, state, w)
        ys.append(state[0])
    if backwards:
        ys.reverse()
    if ended:
        state = tuple(cat([s, *rest]) for s, *rest in zip(state, *reversed(ended)))
    return (stack(ys) if sizes is None else cat(ys)), state


def all_steps(x, bias, state, w, step, backwards):
    """run_direction for sequences of one length, as one op."""
    if step is lstm_step:
        ys, c = lstm_over(x, *state, w.w_ih, w.w_hh, bias, backwards=backwards)
        return ys, (ys[0 if backwards else -1], c)
    ys = gru_over(x, *state, w.w_ih, w.w_hh, bias, w.b_hh, backwards=backwards) if step is gru_step else \
        rnn_over(linear(x, w.w_ih, bias), *state, w.w_hh, relu=step is relu_step, backwards=backwards)
    return ys, (ys[0 if backwards else -1],)


def run_layers(x, sizes, states, params, step, has_biases, num_layers, dropout, train, bidirectional):
    """(outputs, last states): every part of `states` is (layers * directions, N, H), params their weights in this order."""
    directions = 2 if bidirectional else 1
    projected = len(states) == 2 and states[0].shape[2] != states[1].shape[2]
    each = 2 + 2 * bool(has_biases) + projected
    lasts = []
    for layer in range(num_layers):
        ys = []
        for direction in range(directions):
            i = layer * directions + direction
            own = list(params[i * each:(i + 1) * each])
            w = Weights(*own[:each - projected], w_hr=own[-1] if projected else None)
            y, last = run_direction(x, sizes, tuple(s[i] for s in states), w, step, direction == 1)
            ys.append(y)
            lasts.append(last)
        x = ys[0] if directions == 1 else cat(ys, -1)
        if dropout and train and layer < num_layers - 1:
            x = dropped(x, dropout)
    return x, tuple(stack(part) for part in zip(*lasts))


def run(step, args):
    """The functions below, for both lists of arguments that PyTorch takes."""
    if len(args) != 9:
        raise TypeError(f"expected 9 arguments, not {len(args)}")
    if isinstance(args[3], bool):
        x, hx, params, has_biases, num_layers, dropout, train, bidirectional, batch_first = args
        sizes = None
    else:
        x, sizes, hx, params, has_biases, num_layers, dropout, train, bidirectional = args
        batch_first, sizes = False, sizes.tolist()
    states = hx if isinstance(hx, (tuple, list)) else (hx,)
    check(x, states, params, step)
    if batch_first:
        x = x.transpose(0, 1)
    if sizes is None and not x.shape[0]:
        raise RuntimeError("Expected sequence length to be larger than 0 in RNN")
    y, lasts = run_layers(x, sizes, states, params, step, has_biases, num_layers, dropout, train, bidirectional)
    return (y.transpose(0, 1) if batch_first else y), *lasts


def check(x, states, params, step):
    """RuntimeError for states or weights of another number or type than the input's."""
    if len(states) != (2 if step is lstm_step else 1):
        raise RuntimeError("lstm expects two hidden states" if step is lstm_step else "expected one hidden state")
    for label, tensors in (("hidden", states), ("parameter", params)):
        for t in tensors:
            if t.dtype != x.dtype and not autocast.is_on():
                raise RuntimeError(f"Input and {label} tensors are not the same dtype, found input tensor with {x.dtype} and {label} "
                                   f"tensor with {t.dtype}")


@composed(method=False)
def lstm(*args):
    """(outputs, h, c) of an LSTM: lstm(input, (h_0, c_0), params, has_biases, num_layers, dropout, train, bidirectional, batch_first).

    input (T, N, I), or (N, T, I) with batch_first; h_0 (layers * directions, N, H or P), c_0 the same with H; outputs (T, N, directions * H or P).
    params: for each layer and direction w_ih, w_hh, with has_biases b_ih, b_hh, and w_hr where h_0 says that h is projected to P numbers.
    For packed sequences: lstm(data, batch_sizes, (h_0, c_0), params, has_biases, num_layers, dropout, train, bidirectional).
    """
    return run(lstm_step, args)


@composed(method=False)
def gru(*args):
    """(outputs, h) of a GRU; arguments as lstm has them, with h_0 alone."""
    return run(gru_step, args)


@composed(method=False)
def rnn_tanh(*args):
    """(outputs, h) of a plain recurrent network with tanh; arguments as lstm has them, with h_0 alone."""
    return run(tanh_step, args)


@composed(method=False)
def rnn_relu(*args):
    """(outputs, h) of a plain recurrent network with relu; arguments as lstm has them, with h_0 alone."""
    return run(relu_step, args)


def weights(gates, sizes, hidden, biases=True, projection=None):
    """Stand-ins for the parameters of one direction after another, whose inputs have the given sizes."""
    found = []
    for size in sizes:
        found += [normal(gates * hidden, size), normal(gates * hidden, projection or hidden)]
        found += [normal(gates * hidden), normal(gates * hidden)] * biases
        found += [normal(projection, hidden)] if projection else []
    return found


lstm.case(normal(3, 2, 4), (normal(1, 2, 3), normal(1, 2, 3)), weights(4, [4], 3), True, 1, 0.0, False, False, False)
lstm.case(normal(2, 3, 4), (normal(4, 2, 2), normal(4, 2, 3)), weights(4, [4, 4, 4, 4], 3, False, 2), False, 2, 0.0, False, True, True)
gru.case(normal(3, 2, 4), normal(1, 2, 3), weights(3, [4], 3), True, 1, 0.0, False, False, False)
gru.case(normal(2, 3, 4), normal(4, 2, 3), weights(3, [4, 4, 6, 6], 3, False), False, 2, 0.0, True, True, True)
rnn_tanh.case(normal(2, 3, 4), normal(4, 2, 3), weights(1, [4, 4, 6, 6], 3), True, 2, 0.0, False, True, True)
rnn_relu.case(normal(3, 2, 4), normal(2, 2, 3), weights(1, [4, 3], 3, False), False, 2, 0.0, False, False, False)
