"""One step of a recurrent network: the cells of the LSTM, the GRU, and the plain network.

What follows the two matrix products of a cell, its gates, is one op: one pass over memory in place of fifteen.
It keeps the gates after their activation, of which its gradient is made.
"""
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
    kept = sigmoid(gates)
    i, f, g, o = parts(kept, 4)
    g[...] = lib.tanh(parts(gates, 4)[2])
    new_c = f * c
    new_c += i * g
    return keep((o * lib.tanh(new_c), new_c), kept=kept)


@lstm_gates.joint_vjp
def _(g, c, y1, kept):
    return lstm_gates_gradient(g[0], g[1], kept, c, y1)


@op(numbers="half", home="", differentiable=False, called="lstm_cell_backward")
def lstm_gates_gradient(input, other, kept, c, new_c, /):
    """(gates, c): their gradients, from those of h and c', the gates after their activation, c and c'."""
    i, f, g, o = parts(kept, 4)
    t = xp(new_c).tanh(new_c)
    gc = 1 - t * t
    gc *= o * input
    gc += other                                      # of c'
    gates = kept * (1 - kept)                        # sigmoid's derivative
    gi, gf, gg, go = parts(gates, 4)
    gi *= gc * g
    gf *= gc * c
    gg[...] = gc * i * (1 - g * g)
    go *= t * input
    return gates, gc * f


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
    lib = xp(x_gates)
    kept = sigmoid(x_gates + h_gates)
    r, z, n = parts(kept, 3)
    n[...] = lib.tanh(parts(x_gates, 3)[2] + r * parts(h_gates, 3)[2])
    return keep(n + z * (h - n), kept=kept)


@gru_gates.joint_vjp
def _(g, h_gates, h, kept):
    return gru_gates_gradient(g, kept, h_gates, h)


@op(numbers="half", home="", differentiable=False, called="gru_cell_backward")
def gru_gates_gradient(input, kept, h_gates, h, /):
    """(x_gates, h_gates, h): their gradients, from that of the new state and the gates after their activation."""
    (r, z, n), hn = parts(kept, 3), parts(h_gates, 3)[2]
    by_x = kept * (1 - kept)                         # sigmoid's derivative
    xr, xz, xn = parts(by_x, 3)
    xn[...] = (1 - n * n) * (1 - z) * input
    xr *= xn * hn
    xz *= (h - n) * input
    by_h = by_x.copy()
    gn = parts(by_h, 3)[2]
    gn *= r
    return by_x, by_h, input * z


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
