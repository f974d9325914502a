"""One step of a recurrent network: the cells of the LSTM, the GRU, and the plain network.

What follows the two matrix products of a cell, its gates, is one op: one pass over memory in place of fifteen.
It keeps the gates after their activation, of which its gradient is made.
"""
from functools import lru_cache

from ..autograd.op import composed, keep, op
from ..backend import xp
from ..cases import normal
from .activation import relu
from .linear import linear
from .sigmoid import sigmoid
from .trigonometric import tanh


def parts(gates, n):
    """Gates (..., n H) as n views (..., H)."""
    H = gates.shape[-1] // n
    return [gates[..., i * H:(i + 1) * H] for i in range(n)]


def check_states(gates, *states):
    """RuntimeError for what is not floating-point, as its activations cannot be written into the gates in place."""
    if gates.dtype.kind in "iub":
        raise RuntimeError(f"the gates of a recurrent cell must be floating-point numbers, not {gates.dtype.name}")


# ---- LSTM -------------------------------------------------------------------------------------------------------

def lstm_by_ops(gates, c):
    i, f, g, o = parts(gates, 4)
    new_c = sigmoid(f) * c + sigmoid(i) * tanh(g)
    return sigmoid(o) * tanh(new_c), new_c


@op(numbers="half", home="", reference=lstm_by_ops, called="lstm_cell", check=check_states)
def lstm_gates(gates, c, /) -> tuple:
    """(h, c'): c' = sigmoid(f) c + sigmoid(i) tanh(g), h = sigmoid(o) tanh(c'), for gates i, f, g, o: (..., 4H), (..., H) -> (..., H) twice."""
    lib = xp(gates)
    kept, h, new_c = gates.copy(), lib.empty(c.shape, c.dtype), lib.empty(c.shape, c.dtype)
    lstm_in_place(kept, c, h, new_c)
    return keep((h, new_c), kept=kept)


def lstm_in_place(gates, c, h, new_c):
    """h and new_c become the new state, gates themselves after their activation: one tanh of all, as sigmoid(x) = (1 + tanh(x / 2)) / 2."""
    half, rest = halves(xp(gates), c.shape[-1], c.dtype)
    gates *= half
    halved_in_place(gates, gates, *parts(gates, 4), c, h, new_c, half, rest)


def halved_in_place(halved, gates, i, f, g, o, c, h, new_c, half, rest):
    """lstm_in_place for gates that have been multiplied with half, from `halves`; i, f, g, o: the parts of `gates`, where they go."""
    lib = xp(gates)
    lib.tanh(halved, out=gates)
    gates *= half
    gates += rest
    lib.multiply(f, c, out=new_c)
    lib.multiply(i, g, out=h)
    new_c += h
    lib.tanh(new_c, out=h)
    h *= o


@lstm_gates.joint_vjp
def _(g, c, y1, kept):
    return lstm_gates_gradient(g[0], g[1], kept, c, y1)


@op(numbers="half", home="", differentiable=False, called="lstm_cell_backward")
def lstm_gates_gradient(input, other, kept, c, new_c, /):
    """(gates, c): their gradients, from those of h and c', the gates after their activation, c and c'."""
    gates, gc = lstm_slopes(kept, c, new_c)
    gc *= input
    gc += other                                      # of c'
    *by_c, go = parts(gates, 4)
    for part in by_c:
        part *= gc
    go *= input
    gc *= parts(kept, 4)[1]
    return gates, gc


@lru_cache(maxsize=100)
def halves(lib, H, dtype):
    """1/2 for sigmoid's gates and 1 for tanh's, and what is left of 1: (4H,) twice."""
    half = lib.full(4 * H, 0.5, dtype)
    half[2 * H:3 * H] = 1
    return half, 1 - half


def lstm_slopes(kept, c, new_c, out=(None, None)):
    """(gates, c'): c' by i, f, g and h by o, and h by c', of any number of steps: what their gradients are multiplied with."""
    lib = xp(kept)
    i, f, g, o = parts(kept, 4)
    gates = lib.multiply(kept, kept, out=out[0])
    lib.subtract(kept, gates, out=gates)             # sigmoid's derivative
    gi, gf, gg, go = parts(gates, 4)
    t = lib.tanh(new_c, out=out[1])
    gi *= g
    gf *= c
    lib.multiply(g, g, out=gg)
    lib.subtract(1, gg, out=gg)
    gg *= i
    go *= t
    t *= t
    lib.subtract(1, t, out=t)
    t *= o
    return gates, t


@lstm_gates.loop("recurrent", least=4000, single=True)
def _(recurrent, gates, c):
    return recurrent.lstm_gates(gates, c) if gates.shape == (*c.shape[:-1], 4 * c.shape[-1]) else NotImplemented


@lstm_gates_gradient.loop("recurrent", least=1000, single=True)
def _(recurrent, input, other, kept, c, new_c):
    return recurrent.lstm_gates_gradient(input, other, kept, c, new_c)


@lstm_gates.kernel("recurrent")
def _(kernels, gates, c):
    if gates.shape != (*c.shape[:-1], 4 * c.shape[-1]):
        return NotImplemented
    h, new_c, kept = kernels.lstm_cell(gates, c)
    return keep((h, new_c), kept=kept)


@lstm_gates_gradient.kernel("recurrent")
def _(kernels, input, other, kept, c, new_c):
    return kernels.lstm_cell_backward(input, other, kept, c, new_c)


lstm_gates.case(normal(3, 20), normal(3, 5))
lstm_gates.case(normal(8), normal(2))
lstm_gates.case(normal(2, 2, 4), normal(2, 2, 1))
lstm_gates_gradient.case(normal(3, 5), normal(3, 5), normal(3, 20), normal(3, 5), normal(3, 5))


# ---- GRU --------------------------------------------------------------------------------------------------------

def gru_by_ops(x_gates, h_gates, h):
    (xr, xz, xn), (hr, hz, hn) = parts(x_gates, 3), parts(h_gates, 3)
    z, n = sigmoid(xz + hz), tanh(xn + sigmoid(xr + hr) * hn)
    return n + z * (h - n)


@op(numbers="half", home="", reference=gru_by_ops, called="gru_cell", check=check_states)
def gru_gates(x_gates, h_gates, h, /):
    """(1 - z) n + z h for z = sigmoid(xz + hz), n = tanh(xn + sigmoid(xr + hr) hn): (..., 3H) twice, each r, z, n, and (..., H) -> (..., H)."""
    kept, y = x_gates + h_gates, xp(h).empty(h.shape, h.dtype)
    gru_in_place(x_gates, h_gates, h, kept, y)
    return keep(y, kept=kept)


def gru_in_place(x_gates, h_gates, h, kept, y):
    """y becomes the new state, kept, x_gates + h_gates before, the gates after their activation."""
    lib, H = xp(h), h.shape[-1]
    both, n = kept[..., :2 * H], kept[..., 2 * H:]
    both *= 0.5                                      # sigmoid(x) = (1 + tanh(x / 2)) / 2
    lib.tanh(both, out=both)
    both += 1
    both *= 0.5
    lib.multiply(both[..., :H], h_gates[..., 2 * H:], out=n)
    n += x_gates[..., 2 * H:]
    lib.tanh(n, out=n)
    lib.subtract(h, n, out=y)
    y *= both[..., H:]
    y += n


@gru_gates.joint_vjp
def _(g, h_gates, h, kept):
    return gru_gates_gradient(g, kept, h_gates, h)


@op(numbers="half", home="", differentiable=False, called="gru_cell_backward")
def gru_gates_gradient(input, kept, h_gates, h, /):
    """(x_gates, h_gates, h): their gradients, from that of the new state and the gates after their activation."""
    (r, z, n), hn = parts(kept, 3), parts(h_gates, 3)[2]
    lib = xp(kept)
    by_x = kept * kept
    xr, xz, xn = parts(by_x, 3)
    past = input * z
    lib.subtract(1, xn, out=xn)                      # tanh's derivative
    xn *= input - past
    lib.subtract(kept[..., :-n.shape[-1]], by_x[..., :-n.shape[-1]], out=by_x[..., :-n.shape[-1]])          # sigmoid's
    by_h = xn * hn
    xr *= by_h
    lib.subtract(h, n, out=by_h)
    by_h *= input
    xz *= by_h
    by_h = by_x.copy()
    gn = parts(by_h, 3)[2]
    gn *= r
    return by_x, by_h, past


@gru_gates.loop("recurrent", least=3000, single=True)
def _(recurrent, x_gates, h_gates, h):
    return recurrent.gru_gates(x_gates, h_gates, h) if x_gates.shape == h_gates.shape == (*h.shape[:-1], 3 * h.shape[-1]) else NotImplemented


@gru_gates_gradient.loop("recurrent", least=1000, single=True)
def _(recurrent, input, kept, h_gates, h):
    return recurrent.gru_gates_gradient(input, kept, h_gates, h)


@gru_gates.kernel("recurrent")
def _(kernels, x_gates, h_gates, h):
    if not x_gates.shape == h_gates.shape == (*h.shape[:-1], 3 * h.shape[-1]):
        return NotImplemented
    y, kept = kernels.gru_cell(x_gates, h_gates, h)
    return keep(y, kept=kept)


@gru_gates_gradient.kernel("recurrent")
def _(kernels, input, kept, h_gates, h):
    return kernels.gru_cell_backward(input, kept, h_gates, h)


gru_gates.case(normal(3, 15), normal(3, 15), normal(3, 5))
gru_gates.case(normal(6), normal(6), normal(2))
gru_gates.case(normal(2, 2, 3), normal(2, 2, 3), normal(2, 2, 1))
gru_gates_gradient.case(normal(3, 5), normal(3, 15), normal(3, 15), normal(3, 5))


# ---- whole cells ------------------------------------------------------------------------------------------------

def check_cell(input, w_ih, w_hh, *states):
    """PyTorch's refusals: RuntimeError."""
    if input.shape[1] != w_ih.shape[1]:
        raise RuntimeError(f"input has inconsistent input_size: got {input.shape[1]} expected {w_ih.shape[1]}")
    for i, h in enumerate(states):
        if h.shape[0] != input.shape[0]:
            raise RuntimeError(f"Input batch size {input.shape[0]} doesn't match hidden{i} batch size {h.shape[0]}")
        if h.shape[1] != w_hh.shape[1]:
            raise RuntimeError(f"hidden{i} has inconsistent hidden_size: got {h.shape[1]}, expected {w_hh.shape[1]}")


def both(a, b):
    """a + b, either of which may be None."""
    return b if a is None else a if b is None else a + b


@composed(method=False)
def lstm_cell(input, hx, w_ih, w_hh, b_ih=None, b_hh=None):
    """(h', c') after one step on the state hx = (h, c): (N, I), (N, H) twice, (4H, I), (4H, H), (4H,) twice -> (N, H) twice.

    (Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000.)  The gates stand in the order i, f, g, o.
    """
    if len(hx) != 2:
        raise RuntimeError("lstm_cell expects two hidden states")
    check_cell(input, w_ih, w_hh, *hx)
    h, c = hx
    return lstm_gates(linear(input, w_ih, both(b_ih, b_hh)) + linear(h, w_hh), c)


@composed(method=False)
def gru_cell(input, hx, w_ih, w_hh, b_ih=None, b_hh=None):
    """The state after one step (Cho et al. 2014): (N, I), (N, H), (3H, I), (3H, H), (3H,) twice -> (N, H).  The gates: r, z, n."""
    check_cell(input, w_ih, w_hh, hx)
    return gru_gates(linear(input, w_ih, b_ih), linear(hx, w_hh, b_hh), hx)


@composed(method=False)
def rnn_tanh_cell(input, hx, w_ih, w_hh, b_ih=None, b_hh=None):
    """tanh(x W^T + b + h U^T + b'): (N, I), (N, H), (H, I), (H, H), (H,) twice -> (N, H)."""
    check_cell(input, w_ih, w_hh, hx)
    return tanh(linear(input, w_ih, both(b_ih, b_hh)) + linear(hx, w_hh))


@composed(method=False)
def rnn_relu_cell(input, hx, w_ih, w_hh, b_ih=None, b_hh=None):
    """max(0, x W^T + b + h U^T + b'): (N, I), (N, H), (H, I), (H, H), (H,) twice -> (N, H)."""
    check_cell(input, w_ih, w_hh, hx)
    return relu(linear(input, w_ih, both(b_ih, b_hh)) + linear(hx, w_hh))


lstm_cell.case(normal(3, 4), (normal(3, 2), normal(3, 2)), normal(8, 4), normal(8, 2), normal(8), normal(8))
lstm_cell.case(normal(3, 4), (normal(3, 2), normal(3, 2)), normal(8, 4), normal(8, 2))
gru_cell.case(normal(3, 4), normal(3, 2), normal(6, 4), normal(6, 2), normal(6), normal(6))
gru_cell.case(normal(3, 4), normal(3, 2), normal(6, 4), normal(6, 2))
rnn_tanh_cell.case(normal(3, 4), normal(3, 2), normal(2, 4), normal(2, 2), normal(2), normal(2))
rnn_tanh_cell.case(normal(3, 4), normal(3, 2), normal(2, 4), normal(2, 2))
rnn_relu_cell.case(normal(3, 4), normal(3, 2), normal(2, 4), normal(2, 2), normal(2), normal(2))
rnn_relu_cell.case(normal(3, 4), normal(3, 2), normal(2, 4), normal(2, 2))
