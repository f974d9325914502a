"""The LSTM's and the GRU's cell after the matrix products, and their gradients, on the kernels of recurrent.cu.

The gates that a forward pass keeps are those after their activation: the backward pass needs nothing else of them.
"""
import numpy as np

from ..backend import xp
from ..cases import normal
from .kernel import library
from .proof import proven, scalar

THREADS = 128                                        # of a block


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def parts(gates, n):
    """Gates of (..., n H) as n arrays (..., H)."""
    return np.split(gates, n, axis=-1)


def run(name, kernel, states, gates, count, outputs):
    """Launch a cell's kernel: states (..., H) and gates (..., count H) in, outputs of either size out.  Returns the outputs."""
    state = next(s for s in states.values() if s is not None)
    hidden = state.shape[-1] if state.ndim else 0
    wide = state.shape[:-1] + (count * hidden,)
    for argument, a in [*states.items(), *gates.items()]:
        expected = wide if argument in gates else state.shape
        if a is not None and (not a.ndim or a.shape != expected):
            raise ValueError(f"{name}: {argument} has shape {tuple(a.shape)}; with a state of shape {tuple(state.shape)} it must be {expected}")
    made = [xp(state).empty(wide if n == count else state.shape, state.dtype) for n in outputs]
    if state.size:
        rows, x = state.size // hidden, min(THREADS, 1 << (hidden - 1).bit_length())
        y = THREADS // x
        kernel = library("recurrent.cu", kernel, {"scalar": scalar(state)})
        given = {**states, **gates}
        args = [given[p.name] for p in kernel.parameters if p.name in given]
        kernel((-(-hidden // x), min(-(-rows // y), 65535)), (x, y), (*args, *made, rows, hidden))
    return tuple(made)


# ---- LSTM --------------------------------------------------------------------------------------------------------

def lstm_cell_reference(gates, c):
    i, f, g, o = parts(gates, 4)
    i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
    new_c = f * c + i * g
    return o * np.tanh(new_c), new_c, np.concatenate([i, f, g, o], -1)


@proven(reference=lstm_cell_reference, dtypes="float32 float16 bfloat16")
def lstm_cell(gates, c):
    """(h, c', kept gates): c' = f c + i g, h = o tanh(c'), for the gates i, f, g, o = x W^T + h U^T + b: (B, 4H), (B, H) -> (B, H) twice, (B, 4H)."""
    return run("lstm_cell", "lstm_forward", {"c": c}, {"gates": gates}, 4, (1, 1, 4))


def lstm_cell_backward_reference(dh, dc, gates, c, new_c):
    (i, f, g, o), t = parts(gates, 4), np.tanh(new_c)
    dh, dc = (np.zeros_like(c) if d is None else d for d in (dh, dc))
    dc = dc + dh * o * (1 - t * t)
    return np.concatenate([dc * g * i * (1 - i), dc * c * f * (1 - f), dc * i * (1 - g * g), dh * t * o * (1 - o)], -1), dc * f


@proven(reference=lstm_cell_backward_reference, dtypes="float32 float16 bfloat16")
def lstm_cell_backward(dh, dc, gates, c, new_c):
    """(dgates, dc) from the gradients of h and c' (None: zeros) and what lstm_cell kept: (B, H) twice, (B, 4H), (B, H) twice -> (B, 4H), (B, H)."""
    return run("lstm_cell_backward", "lstm_backward", {"c": c, "dh": dh, "dc": dc, "new_c": new_c}, {"kept": gates}, 4, (4, 1))


def lstm_cell_derivative(g, y, gates, c):
    """lstm_cell's vjp; the kept gates are results too, and their gradient goes straight through the activations."""
    dgates, dc = lstm_cell_backward(g[0], g[1], y[2], c, y[1])
    i, f, n, o = parts(y[2], 4)
    return dgates + g[2] * np.concatenate([i * (1 - i), f * (1 - f), 1 - n * n, o * (1 - o)], -1), dc


lstm_cell.vjp(lstm_cell_derivative)
lstm_cell.case(normal(3, 20), normal(3, 5))
lstm_cell.case(normal(1, 4), normal(1, 1))
lstm_cell.case(normal(2, 2, 4), normal(2, 2, 1))
lstm_cell.case(normal(28), normal(7))
lstm_cell.case(normal(1, 36), normal(1, 9))
lstm_cell.case(normal(0, 8), normal(0, 2))
lstm_cell_backward.case(normal(3, 5), normal(3, 5), normal(3, 20), normal(3, 5), normal(3, 5))
lstm_cell_backward.case(normal(7, 33), None, normal(7, 132), normal(7, 33), normal(7, 33))
lstm_cell_backward.case(None, normal(2, 130), normal(2, 520), normal(2, 130), normal(2, 130))
lstm_cell_backward.case(normal(1, 1), normal(1, 1), normal(1, 4), normal(1, 1), normal(1, 1))
lstm_cell_backward.case(normal(0, 1), normal(0, 1), normal(0, 4), normal(0, 1), normal(0, 1))


# ---- GRU ---------------------------------------------------------------------------------------------------------

def gru_cell_reference(x_gates, h_gates, h):
    (xr, xz, xn), (hr, hz, hn) = parts(x_gates, 3), parts(h_gates, 3)
    r, z = sigmoid(xr + hr), sigmoid(xz + hz)
    n = np.tanh(xn + r * hn)
    return (1 - z) * n + z * h, np.concatenate([r, z, n], -1)


@proven(reference=gru_cell_reference, dtypes="float32 float16 bfloat16")
def gru_cell(x_gates, h_gates, h):
    """(h', kept gates): h' = (1 - z) n + z h, n = tanh(xn + r hn); x_gates = x W^T + b and h_gates = h U^T + b', each r, z, n.

    (B, 3H) twice, (B, H) -> (B, H), (B, 3H).
    """
    return run("gru_cell", "gru_forward", {"h": h}, {"x_gates": x_gates, "h_gates": h_gates}, 3, (1, 3))


def gru_cell_backward_reference(dh, gates, h_gates, h):
    (r, z, n), hn = parts(gates, 3), parts(h_gates, 3)[2]
    dn = dh * (1 - z) * (1 - n * n)
    dr, dz = dn * hn * r * (1 - r), dh * (h - n) * z * (1 - z)
    return np.concatenate([dr, dz, dn], -1), np.concatenate([dr, dz, dn * r], -1), dh * z


@proven(reference=gru_cell_backward_reference, dtypes="float32 float16 bfloat16")
def gru_cell_backward(dh, gates, h_gates, h):
    """(dx_gates, dh_gates, dh) from the gradient of h' and the kept gates: (B, H), (B, 3H) twice, (B, H) -> (B, 3H) twice, (B, H)."""
    return run("gru_cell_backward", "gru_backward", {"h": h, "dh": dh}, {"kept": gates, "h_gates": h_gates}, 3, (3, 3, 1))


def gru_cell_derivative(g, y, x_gates, h_gates, h):
    """gru_cell's vjp, with the gradient of the kept gates, which are results too."""
    dx, dh_gates, dh = gru_cell_backward(g[0], y[1], h_gates, h)
    (r, z, n), (gr, gz, gn), hn = parts(y[1], 3), parts(g[1], 3), parts(h_gates, 3)[2]
    dn = gn * (1 - n * n)
    dr, dz = (gr + dn * hn) * r * (1 - r), gz * z * (1 - z)
    return dx + np.concatenate([dr, dz, dn], -1), dh_gates + np.concatenate([dr, dz, dn * r], -1), dh


gru_cell.vjp(gru_cell_derivative)
gru_cell.case(normal(3, 15), normal(3, 15), normal(3, 5))
gru_cell.case(normal(1, 3), normal(1, 3), normal(1, 1))
gru_cell.case(normal(2, 2, 3), normal(2, 2, 3), normal(2, 2, 1))
gru_cell.case(normal(1, 27), normal(1, 27), normal(1, 9))
gru_cell.case(normal(0, 6), normal(0, 6), normal(0, 2))
gru_cell_backward.case(normal(7, 33), normal(7, 99), normal(7, 99), normal(7, 33))
gru_cell_backward.case(normal(2, 130), normal(2, 390), normal(2, 390), normal(2, 130))
gru_cell_backward.case(normal(1, 1), normal(1, 3), normal(1, 3), normal(1, 1))
gru_cell_backward.case(normal(0, 1), normal(0, 3), normal(0, 3), normal(0, 1))
