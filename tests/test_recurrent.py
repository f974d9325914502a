"""Recurrent networks against their equations, step by step; sequences of different lengths; copies, files, refusals."""
import copy
import pickle

import numpy as np
import pytest

import minitorch
from minitorch import kernels, nn
from minitorch.gradcheck import check
from minitorch.nn.utils import rnn
from minitorch.ops.recurrent import lstm_gates


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def arrays(module):
    return {name: p.detach().numpy() for name, p in module.named_parameters()}


def wide(module):
    minitorch.manual_seed(0)
    return module.double()


def randn(*shape, seed=0):
    return minitorch.tensor(np.random.default_rng(seed).normal(size=shape))


def close(a, b):
    np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy() if isinstance(b, minitorch.Tensor) else b, rtol=1e-12, atol=1e-14)


# ---- the equations --------------------------------------------------------------------------------------------

def test_an_lstm_is_its_equations():
    m, x = wide(nn.LSTM(3, 2)), randn(4, 5, 3)
    w = arrays(m)
    h, c = np.zeros((5, 2)), np.zeros((5, 2))
    y, (last_h, last_c) = m(x)
    for t in range(4):
        gates = x[t].numpy() @ w["weight_ih_l0"].T + w["bias_ih_l0"] + h @ w["weight_hh_l0"].T + w["bias_hh_l0"]
        i, f, g, o = np.split(gates, 4, 1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        close(y[t], h)
    close(last_h[0], h)
    close(last_c[0], c)


def test_a_gru_is_its_equations():
    m, x, h = wide(nn.GRU(3, 2)), randn(4, 5, 3), randn(1, 5, 2, seed=1)
    w, last = arrays(m), m(x, h)[1]
    h = h[0].numpy()
    for t in range(4):
        xr, xz, xn = np.split(x[t].numpy() @ w["weight_ih_l0"].T + w["bias_ih_l0"], 3, 1)
        hr, hz, hn = np.split(h @ w["weight_hh_l0"].T + w["bias_hh_l0"], 3, 1)
        z = sigmoid(xz + hz)
        h = (1 - z) * np.tanh(xn + sigmoid(xr + hr) * hn) + z * h
    close(last[0], h)


def test_two_directions_are_two_networks():
    both, forth, back = (wide(nn.GRU(3, 2, bidirectional=two)) for two in (True, False, False))
    state = both.state_dict()
    forth.load_state_dict({n: t for n, t in state.items() if not n.endswith("_reverse")})
    back.load_state_dict({n.removesuffix("_reverse"): t for n, t in state.items() if n.endswith("_reverse")})
    x = randn(4, 5, 3)
    y, h = both(x)
    a, b = forth(x), back(x.flip(0))
    close(y, minitorch.cat([a[0], b[0].flip(0)], 2))
    close(h, minitorch.cat([a[1], b[1]]))


def test_two_layers_are_two_networks():
    m, first, second = wide(nn.LSTM(3, 4, 2, proj_size=2)), wide(nn.LSTM(3, 4, proj_size=2)), wide(nn.LSTM(2, 4, proj_size=2))
    state = m.state_dict()
    first.load_state_dict({n: t for n, t in state.items() if "_l0" in n})
    second.load_state_dict({n.replace("_l1", "_l0"): t for n, t in state.items() if "_l1" in n})
    x = randn(4, 5, 3)
    y, (h, c) = m(x)
    z, (h0, c0) = first(x)
    z, (h1, c1) = second(z)
    close(y, z)
    close(h, minitorch.cat([h0, h1]))
    close(c, minitorch.cat([c0, c1]))


@pytest.mark.parametrize("cell, network", [(nn.RNNCell, nn.RNN), (nn.LSTMCell, nn.LSTM), (nn.GRUCell, nn.GRU)])
def test_a_network_is_its_cell_again_and_again(cell, network):
    m, c, x = wide(network(3, 2)), wide(cell(3, 2)), randn(4, 5, 3)
    c.load_state_dict({name.removesuffix("_l0"): t for name, t in m.state_dict().items()})
    state, ys = None, []
    for step in x:
        state = c(step, state)
        ys.append(state[0] if isinstance(state, tuple) else state)
    close(m(x)[0], minitorch.stack(ys))


def test_dropout_drops_between_layers_while_training_only():
    m, x = wide(nn.RNN(3, 50, 2, dropout=0.5)), randn(4, 5, 3)
    plain = m.eval()(x)[0]
    assert minitorch.equal(plain, m(x)[0]) and not minitorch.equal(plain, m.train()(x)[0])
    m.dropout = 1.0                                  # the second layer sees nothing
    y, w = m(x)[0], arrays(m)
    close(y[0], np.broadcast_to(np.tanh(w["bias_ih_l1"] + w["bias_hh_l1"]), (5, 50)))


def test_gates_may_be_extreme():
    gates = minitorch.tensor([[-1e4, 1e4, 1e4, 1e4], [1e4, -1e4, -1e4, 1e4]]).double().requires_grad_()
    c = minitorch.tensor([[2.0], [2.0]]).double().requires_grad_()
    h, new_c = lstm_gates(gates, c)
    assert new_c.tolist() == [[2.0], [-1.0]]
    (h.sum() + new_c.sum()).backward()
    assert np.isfinite(gates.grad.numpy()).all() and np.isfinite(c.grad.numpy()).all()


# ---- derivatives ----------------------------------------------------------------------------------------------

@pytest.mark.parametrize("make", [
    lambda: nn.RNN(3, 2, 2, "relu", bidirectional=True), lambda: nn.LSTM(3, 2, bidirectional=True), lambda: nn.LSTM(3, 3, 2, proj_size=2),
    lambda: nn.GRU(3, 2, 2, bias=False)], ids=["rnn", "lstm", "projected", "gru"])
def test_derivatives_through_packed_sequences(make):
    m = wide(make())

    def f(x):
        y, h = m(rnn.pack_padded_sequence(x, [2, 4, 1], enforce_sorted=False))
        return [rnn.pad_packed_sequence(y)[0], *(h if isinstance(h, tuple) else (h,))]
    report = check(f, (randn(4, 3, 3),))
    assert report.ok, report


def test_second_derivatives_of_a_network():
    m = wide(nn.LSTM(2, 2))
    assert check(lambda x: m(x)[0], (randn(3, 1, 2),), order=2).ok


def test_steps_after_a_sequence_ended_have_no_influence():
    m, x = wide(nn.GRU(3, 2, bidirectional=True)), randn(4, 3, 3).requires_grad_()
    y, h = m(rnn.pack_padded_sequence(x, [4, 2, 1]))
    (y.data.sum() + h.sum()).backward()
    used = (x.grad != 0).any(2)
    assert used.int().sum(0).tolist() == [4, 2, 1]
    close(h[:, 1], m(x[:2, 1])[1])                   # as if alone


# ---- on the kernels -------------------------------------------------------------------------------------------

@pytest.mark.parametrize("make, names", [(nn.LSTM, ["lstm_forward", "lstm_backward"]), (nn.GRU, ["gru_forward", "gru_backward"])])
def test_a_network_runs_on_the_kernels_of_its_cell(make, names):
    minitorch.manual_seed(0)
    m, x = make(5, 4, bidirectional=True), minitorch.randn(3, 2, 5)

    def gradients():
        m.zero_grad()
        y = m(x)[0]
        (y * y).sum().backward()
        return [y.detach().numpy(), *(p.grad.numpy() for p in m.parameters())]
    expected = gradients()
    with kernels.simulated(), kernels.launches() as ran:
        found = gradients()
    launched = [kernel.name for kernel, *_ in ran]
    assert [launched.count(n) for n in names] == [6, 6]          # once a step and direction
    for a, b in zip(found, expected):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


# ---- as modules -----------------------------------------------------------------------------------------------

def test_parameters_stand_in_pytorchs_order():
    assert list(nn.LSTM(3, 4, 2, bidirectional=True, proj_size=1).state_dict()) == [
        f"{name}_l{layer}{end}" for layer in (0, 1) for end in ("", "_reverse")
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")]
    assert list(nn.GRUCell(3, 4, False).state_dict()) == ["weight_ih", "weight_hh"]


@pytest.mark.parametrize("again", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))], ids=["deepcopy", "pickle"])
def test_a_copy_is_equal_and_separate(again):
    m, x = wide(nn.LSTM(3, 2, 2, batch_first=True)), randn(2, 4, 3)
    n = again(m)
    close(n(x)[0], m(x)[0])
    with minitorch.no_grad():
        n.weight_ih_l0.zero_()
    assert not minitorch.equal(n(x)[0], m(x)[0]) and n.all_weights[0][0] is n.weight_ih_l0


def test_a_network_is_saved_and_loaded(tmp_path):
    m, x = wide(nn.GRU(3, 2, 2)), randn(4, 2, 3)
    minitorch.save(m.state_dict(), tmp_path / "gru.safetensors")
    n = nn.GRU(3, 2, 2).double()
    n.load_state_dict(minitorch.load(tmp_path / "gru.safetensors"))
    close(n(x)[0], m(x)[0])


def test_weights_may_be_replaced():
    m, x = wide(nn.LSTM(3, 2)), randn(4, 2, 3)
    m.weight_ih_l0 = nn.Parameter(m.weight_ih_l0.detach() * 0)
    assert minitorch.equal(m(x)[0], m(x * 2)[0])
    m.flatten_parameters()


# ---- packed sequences -----------------------------------------------------------------------------------------

def test_packing_and_unpacking_undo_each_other():
    xs = [randn(n, 3, seed=n) for n in (2, 5, 1, 5)]
    for got, x in zip(rnn.unpack_sequence(rnn.pack_sequence(xs, enforce_sorted=False)), xs):
        assert minitorch.equal(got, x)
    padded, lengths = rnn.pad_packed_sequence(rnn.pack_sequence(xs, enforce_sorted=False), batch_first=True, padding_value=-1.0, total_length=6)
    assert padded.shape == (4, 6, 3) and lengths.tolist() == [2, 5, 1, 5] and (padded[2, 1:] == -1).all()
    assert minitorch.equal(padded[:, :5], rnn.pad_sequence(xs, batch_first=True, padding_value=-1.0))


def test_unpadding_leaves_what_it_was_given():
    x = randn(3, 2, 1)
    assert [len(s) for s in rnn.unpad_sequence(x, minitorch.tensor([1, 3]))] == [1, 3] and x.shape == (3, 2, 1)


@pytest.mark.parametrize("call, error, words", [
    (lambda: rnn.pack_padded_sequence(randn(5, 2, 4), [3, 4]), RuntimeError, "sorted in decreasing order"),
    (lambda: rnn.pack_padded_sequence(randn(5, 2, 4), [6, 4]), RuntimeError, "length 6, but the input has 5 steps"),
    (lambda: rnn.pack_padded_sequence(randn(5, 2, 4), [3, 0]), RuntimeError, "greater than 0"),
    (lambda: rnn.pad_sequence([]), RuntimeError, "empty list"),
    (lambda: nn.GRU(3, 2, proj_size=1), ValueError, "only supported for LSTM"),
    (lambda: nn.LSTM(3, 2, proj_size=2), ValueError, "smaller than hidden_size"),
    (lambda: nn.LSTM(3, 2)(randn(4, 5, 3)), ValueError, "does not match weight dtype"),
    (lambda: nn.LSTM(3, 2).double()(randn(4, 5, 2)), RuntimeError, "Expected 3, got 2"),
    (lambda: nn.LSTM(3, 2).double()(randn(4, 5, 3), (randn(1, 5, 2), randn(1, 4, 2))), RuntimeError, r"Expected hidden\[1\] size \(1, 5, 2\)"),
    (lambda: nn.GRU(3, 2).double()(randn(4, 5, 3), randn(5, 2)), RuntimeError, "should also be 3-D"),
    (lambda: nn.LSTMCell(3, 2).double()(randn(4, 3), (randn(3, 2), randn(3, 2))), RuntimeError, "batch size 4 doesn't match hidden0 batch size 3")])
def test_refusals(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_a_network_learns_which_sequence_began_with_one():
    minitorch.manual_seed(0)
    x = minitorch.randint(0, 2, (12, 64, 1)).float()
    m, out = nn.LSTM(1, 8), nn.Linear(8, 1)
    optimizer = minitorch.optim.Adam([*m.parameters(), *out.parameters()], 0.05)
    for _ in range(60):
        loss = nn.functional.binary_cross_entropy_with_logits(out(m(x)[1][0][0])[:, 0], x[0, :, 0])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float(loss) < 0.1


@pytest.mark.parametrize("inputs", [32, 96], ids=["few inputs", "many inputs"])
def test_two_threads_find_the_gradients_of_one(inputs):
    layer, before, found = wide_layer(inputs), minitorch.get_num_threads(), []
    x = minitorch.tensor(np.random.default_rng(1).normal(size=(30, 20, inputs)), dtype=minitorch.float32, requires_grad=True)
    for n in (1, 2, 3):
        try:
            minitorch.set_num_threads(n)
            with minitorch.backends.using(loops="never", blas="numpy"):
                y, (h, c) = layer(x)
                found.append([g.numpy() for g in minitorch.autograd.grad(y.sin().sum() + h.sum() + c.square().sum(), [x, *layer.parameters()])])
        finally:
            minitorch.set_num_threads(before)
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            np.testing.assert_allclose(b, a, 1e-5, 2e-6 * abs(a).max())


def wide_layer(inputs):
    """A bidirectional LSTM whose steps are worth several threads."""
    layer, rng = nn.LSTM(inputs, 180, bidirectional=True), np.random.default_rng(0)
    with minitorch.no_grad():
        for p in layer.parameters():
            p.copy_(minitorch.tensor(rng.normal(size=p.shape) * 0.1, dtype=p.dtype))
    return layer
