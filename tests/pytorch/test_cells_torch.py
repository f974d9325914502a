"""The kernels of recurrent cells, embedding, activations and Adam, in the simulator, against PyTorch's own functions on the same numbers."""
import numpy as np
import pytest

from minitorch.kernels.adam import adam_step
from minitorch.kernels.elementwise import bias_activation, bias_activation_backward
from minitorch.kernels.embedding import embedding, embedding_backward
from minitorch.kernels.recurrent import gru_cell, gru_cell_backward, lstm_cell, lstm_cell_backward

torch = pytest.importorskip("torch")
rng = np.random.default_rng(0)


def leaf(*shape):
    return torch.tensor(rng.normal(size=shape), requires_grad=True)


def close(*pairs):
    for ours, theirs in pairs:
        assert np.allclose(ours, theirs.detach().numpy(), rtol=1e-10, atol=1e-12)


def products(cell, x, h):
    """The input's and the hidden state's part of a PyTorch cell's gates, each with its bias."""
    return x @ cell.weight_ih.T + cell.bias_ih, h @ cell.weight_hh.T + cell.bias_hh


def test_lstm_cell():
    cell = torch.nn.LSTMCell(3, 5).double()
    x, h, c = leaf(4, 3), leaf(4, 5), leaf(4, 5)
    gates = sum(products(cell, x, h)).detach().requires_grad_()
    i, f, g, o = gates.chunk(4, 1)
    their_c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    their_h = o.sigmoid() * their_c.tanh()
    new_h, new_c, kept = lstm_cell(gates.detach().numpy(), c.detach().numpy())
    close(*zip((new_h, new_c), cell(x, (h, c))), (new_h, their_h))
    dh, dc = torch.tensor(rng.normal(size=(2, 4, 5)))
    torch.autograd.backward((their_h, their_c), (dh, dc))
    dgates, old_dc = lstm_cell_backward(dh.numpy(), dc.numpy(), kept, c.detach().numpy(), new_c)
    close((dgates, gates.grad), (old_dc, c.grad))
    torch.autograd.backward(cell(x, (h, c)), (dh, dc))                 # through PyTorch's own cell: its weights' gradient
    close((dgates.T @ x.detach().numpy(), cell.weight_ih.grad), (dgates.sum(0), cell.bias_hh.grad))


def test_gru_cell():
    cell = torch.nn.GRUCell(3, 5).double()
    x, h = leaf(4, 3), leaf(4, 5)
    x_gates, h_gates = (p.detach().numpy() for p in products(cell, x, h))
    new_h, kept = gru_cell(x_gates, h_gates, h.detach().numpy())
    theirs = cell(x, h)
    close((new_h, theirs))
    g = torch.tensor(rng.normal(size=(4, 5)))
    theirs.backward(g)
    dx, dh_gates, dh = gru_cell_backward(g.numpy(), kept, h_gates, h.detach().numpy())
    close((dx.T @ x.detach().numpy(), cell.weight_ih.grad), (dh_gates.T @ h.detach().numpy(), cell.weight_hh.grad),
          (dh + dh_gates @ cell.weight_hh.detach().numpy(), h.grad))


@pytest.mark.parametrize("padding", [None, 2])
def test_embedding(padding):
    table, index = leaf(6, 3), torch.tensor([[0, 2, 2], [5, 0, 4]])
    theirs = torch.nn.functional.embedding(index, table, padding_idx=padding)
    g = torch.tensor(rng.normal(size=theirs.shape))
    theirs.backward(g)
    close((embedding(index.numpy(), table.detach().numpy()), theirs),
          *[(embedding_backward(g.numpy(), index.numpy(), 6, padding, atomic), table.grad) for atomic in (False, True)])


@pytest.mark.parametrize("activation", ["identity", "relu", "gelu", "gelu_tanh", "silu", "tanh", "sigmoid"])
def test_bias_activation(activation):
    functions = torch.nn.functional
    theirs = {"identity": lambda x: x, "gelu_tanh": lambda x: functions.gelu(x, approximate="tanh")}.get(activation)
    x, bias = leaf(7, 4), leaf(4)
    y = (theirs or getattr(functions, activation))(x + bias)
    g = torch.tensor(rng.normal(size=(7, 4)))
    y.backward(g)
    dx, dbias = bias_activation_backward(g.numpy(), x.detach().numpy(), bias.detach().numpy(), activation)
    close((bias_activation(x.detach().numpy(), bias.detach().numpy(), activation), y), (dx, x.grad), (dbias, bias.grad))


@pytest.mark.parametrize("amsgrad", [False, True])
@pytest.mark.parametrize("maximize", [False, True])
@pytest.mark.parametrize("kind", ["Adam", "AdamW"])
def test_adam(kind, maximize, amsgrad):
    leaves = [leaf(3, 4), leaf(2)]
    options = dict(lr=0.1, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.1, amsgrad=amsgrad, maximize=maximize)
    optimizer = getattr(torch.optim, kind)(leaves, **options)
    params = [t.detach().numpy().copy() for t in leaves]
    means, squares, largest = ([np.zeros_like(x) for x in params] for _ in range(3))
    for step in range(1, 5):
        grads = [rng.normal(size=x.shape) for x in params]
        for t, g in zip(leaves, grads):
            t.grad = torch.tensor(g)
        optimizer.step()
        adam_step(params, grads, means, squares, step, 0.1, (0.8, 0.95), 1e-6, 0.1, kind == "AdamW", amsgrad, maximize,
                  largest if amsgrad else None)
    close(*zip(params, leaves))
