"""Recurrent modules and packed sequences with PyTorch's weights: the same outputs and gradients in float64, the same refusals."""
import copy

import numpy as np
import pytest

import minitorch
from minitorch import nn
from minitorch.backend import to_numpy

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.filterwarnings("ignore:.*(dropout option|oneDNN):UserWarning")

# One row a module: the call that makes it.
CELLS = """
nn.RNNCell(4, 3)
nn.RNNCell(4, 3, False, "relu")
nn.LSTMCell(4, 3)
nn.LSTMCell(4, 3, bias=False)
nn.GRUCell(4, 3)
nn.GRUCell(4, 3, False)
""".strip().splitlines()

NETWORKS = """
nn.RNN(4, 3)
nn.RNN(4, 3, 2, "relu", False)
nn.RNN(4, 3, nonlinearity="relu", bidirectional=True)
nn.RNN(4, 3, 2, batch_first=True, bidirectional=True)
nn.LSTM(4, 3)
nn.LSTM(4, 3, 2, False)
nn.LSTM(4, 3, bidirectional=True)
nn.LSTM(4, 3, 2, batch_first=True, bidirectional=True)
nn.LSTM(4, 3, 3, True, True, 0.0, True, 2)
nn.LSTM(4, 3, proj_size=2)
nn.LSTM(4, 5, 2, bias=False, proj_size=1, bidirectional=True)
nn.GRU(4, 3)
nn.GRU(4, 3, 2, False)
nn.GRU(4, 3, bidirectional=True)
nn.GRU(4, 3, 3, batch_first=True, bidirectional=True)
nn.GRU(4, 3, 2, dropout=0.5)
""".strip().splitlines()


def pair(call):
    """(our module with PyTorch's state, PyTorch's module), in float64."""
    torch.manual_seed(0)
    theirs = eval(call, {"nn": torch.nn}).double()
    ours = eval(call, {"nn": nn}).double()
    state = {name: minitorch.tensor(t.numpy()) for name, t in theirs.state_dict().items()}
    assert list(ours.state_dict()) == list(state) and [n for n, _ in ours.named_parameters()] == [n for n, _ in theirs.named_parameters()]
    assert str(ours.load_state_dict(state)) == "<All keys matched successfully>"
    return ours, theirs


def flat(y):
    """All tensors of a result, in order."""
    if isinstance(y, (tuple, list)):
        return [t for v in y for t in flat(v)]
    return [] if y is None else [y]


def numbers(t):
    return t.detach().numpy() if isinstance(t, torch.Tensor) else to_numpy(t.array)


def close(a, b):
    assert (a is None) == (b is None)
    if a is not None:
        a, b = numbers(a), numbers(b)
        assert a.dtype == b.dtype and a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-13)


def outcome(module, library, call, arrays):
    """[results and gradients of `arrays` and parameters] of call(module, library, *tensors)."""
    xs = [library.tensor(a, requires_grad=True) for a in arrays]
    ys = flat(call(module, library, *xs))
    total = None
    for i, y in enumerate(y for y in ys if y.requires_grad):
        weight = library.tensor(np.cos(i + np.arange(np.prod(y.shape), dtype="f8")).reshape(tuple(y.shape)))
        total = (y * weight).sum() if total is None else total + (y * weight).sum()
    total.backward()
    return ys, [x.grad for x in xs] + [p.grad for p in module.parameters()]


def agree(ours, theirs, call, *shapes):
    rng = np.random.default_rng(1)
    arrays = [rng.normal(size=s) for s in shapes]
    a, b = outcome(ours, minitorch, call, arrays), outcome(theirs, torch, call, arrays)
    for mine, others in zip(a, b):
        assert len(mine) == len(others)
        for x, y in zip(mine, others):
            close(x, y)


def states(module, *batch):
    """The shapes of h_0, and of c_0 for an LSTM."""
    if "num_layers" not in vars(module):
        return [(*batch, 3)] * (2 if "LSTM" in repr(module) else 1)
    rows = module.num_layers * (2 if module.bidirectional else 1)
    shapes = [(rows, *batch, module.proj_size or module.hidden_size), (rows, *batch, module.hidden_size)]
    return shapes[:2 if module.mode == "LSTM" else 1]


def hx(hs):
    return hs[0] if len(hs) == 1 else hs


@pytest.mark.parametrize("call", CELLS)
@pytest.mark.parametrize("batch", [(2,), ()], ids=["batch", "single"])
def test_a_cell_is_pytorchs(call, batch):
    ours, theirs = pair(call)
    agree(ours, theirs, lambda m, lib, x: m(x), (*batch, 4))
    agree(ours, theirs, lambda m, lib, x, *hs: m(x, hx(hs)), (*batch, 4), *states(ours, *batch))


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("call", NETWORKS)
def test_a_network_is_pytorchs(call, training):
    ours, theirs = pair(call)
    training = training and not ours.dropout
    ours.train(training), theirs.train(training)
    x = (2, 5, 4) if ours.batch_first else (5, 2, 4)
    agree(ours, theirs, lambda m, lib, x: m(x), x)
    agree(ours, theirs, lambda m, lib, x, *hs: m(x, hx(hs)), x, *states(ours, 2))


@pytest.mark.parametrize("call", NETWORKS)
def test_one_sequence_without_a_batch(call):
    ours, theirs = pair(call)
    ours.eval(), theirs.eval()
    agree(ours, theirs, lambda m, lib, x: m(x), (5, 4))
    agree(ours, theirs, lambda m, lib, x, *hs: m(x, hx(hs)), (5, 4), *states(ours))
    agree(ours, theirs, lambda m, lib, x: m(x), (1, 4))


@pytest.mark.parametrize("lengths", [[5, 3, 3, 1], [2, 5, 1, 4], [3, 3]], ids=str)
@pytest.mark.parametrize("call", NETWORKS)
def test_a_packed_sequence_is_pytorchs(call, lengths):
    ours, theirs = pair(call)
    ours.eval(), theirs.eval()
    sorted_ = lengths == sorted(lengths, reverse=True)

    def packed(m, lib, x, *hs):
        p = lib.nn.utils.rnn.pack_padded_sequence(x, lengths, enforce_sorted=sorted_)
        y, lasts = m(p, hx(hs)) if hs else m(p)
        return [*y, lasts, *lib.nn.utils.rnn.pad_packed_sequence(y, batch_first=True)]
    agree(ours, theirs, packed, (5, len(lengths), 4))
    agree(ours, theirs, packed, (5, len(lengths), 4), *states(ours, len(lengths)))


@pytest.mark.parametrize("call", [*CELLS, *NETWORKS])
def test_printed_and_made_as_pytorchs(call):
    ours, theirs = pair(call)
    assert repr(ours) == repr(theirs)
    again = eval(call, {"nn": nn})
    for (name, p), q in zip(again.named_parameters(), theirs.parameters()):
        bound = 1 / np.sqrt(ours.hidden_size)
        assert tuple(p.shape) == tuple(q.shape) and np.abs(numbers(p)).max() <= bound, name
    if "num_layers" in vars(ours):
        assert [[p.shape for p in row] for row in ours.all_weights] == [[tuple(p.shape) for p in row] for row in theirs.all_weights]
        for name in ("mode", "input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout", "bidirectional", "proj_size"):
            assert getattr(ours, name) == getattr(theirs, name)


def test_a_network_in_float32_and_as_a_copy_stays_pytorchs():
    ours, theirs = pair("nn.LSTM(4, 3, 2)")
    ours, theirs = copy.deepcopy(ours).float(), copy.deepcopy(theirs).float()
    x = np.random.default_rng(0).normal(size=(5, 2, 4)).astype("f4")
    for a, b in zip(flat(ours(minitorch.tensor(x))), flat(theirs(torch.tensor(x)))):
        np.testing.assert_allclose(numbers(a), numbers(b), rtol=1e-5, atol=1e-6)


# ---- padding and packing ------------------------------------------------------------------------------------

# Of lib and x (5, 3, 2), its sequences x0 (5, 2), x1 (3, 2), x2 (4, 2), and rnn = lib.nn.utils.rnn.
PACKING = """
rnn.pack_padded_sequence(x, [5, 3, 1])
rnn.pack_padded_sequence(x, lib.tensor([4, 4, 2]))
rnn.pack_padded_sequence(x, [1, 3, 2, 3, 1], True, False)
rnn.pack_padded_sequence(x, (2, 4, 3), enforce_sorted=False)
rnn.pack_sequence([x0, x2, x1])
rnn.pack_sequence([x1, x0, x2], enforce_sorted=False)
rnn.pad_packed_sequence(rnn.pack_padded_sequence(x, [5, 3, 1]))
rnn.pad_packed_sequence(rnn.pack_padded_sequence(x, [4, 3, 1]), True, -1.0, 7)
rnn.pad_packed_sequence(rnn.pack_sequence([x1, x0, x2], enforce_sorted=False), False, 0.5)
rnn.pad_sequence([x1, x0, x2])
rnn.pad_sequence([x1, x0, x2], True, 2.0)
rnn.pad_sequence([x1, x0, x2], padding_side="left")
rnn.pad_sequence((x1, x2), True, padding_side="left", padding_value=3)
rnn.pad_sequence(x)
rnn.unpad_sequence(x.clone(), lib.tensor([2, 5, 4]))
rnn.unpad_sequence(x, lib.tensor([2, 3, 1, 1, 2]), batch_first=True)
rnn.unpack_sequence(rnn.pack_sequence([x1, x0, x2], enforce_sorted=False))
rnn.PackedSequence((x0, lib.tensor([3, 2])))
rnn.PackedSequence(x0, lib.tensor([3, 2]), lib.tensor([2, 0, 1]))
rnn.pack_sequence([x1, x0, x2], enforce_sorted=False).to(lib.float64)
rnn.pack_sequence([x0]).double().cpu()
rnn.invert_permutation(lib.tensor([2, 0, 1])), x
""".strip().splitlines()


@pytest.mark.parametrize("expression", PACKING)
def test_packing_is_pytorchs(expression):
    def call(module, lib, x):
        return eval(expression, {"rnn": lib.nn.utils.rnn, "lib": lib, "x": x, "x0": x[:, 0], "x1": x[:3, 1], "x2": x[:4, 2]})
    agree(minitorch.nn.Identity(), torch.nn.Identity(), call, (5, 3, 2))


def test_a_packed_sequence_is_cast_and_compared_as_pytorchs():
    for lib in (minitorch, torch):
        p = lib.nn.utils.rnn.pack_sequence([lib.ones(2, 1), lib.ones(3, 1)], enforce_sorted=False)
        assert isinstance(p, tuple) and p.to("cpu") is p and not p.is_cuda and p.long().data.dtype is lib.int64
        assert p.half().data.dtype is lib.float16 and p.half().sorted_indices.tolist() == [1, 0]
        assert [getattr(p, name)().data.dtype for name in ("int", "short", "char", "byte", "float")] == [
            lib.int32, lib.int16, lib.int8, lib.uint8, lib.float32]
        assert p._fields == ("data", "batch_sizes", "sorted_indices", "unsorted_indices") and type(p._replace(data=p.data)) is type(p)
        data, sizes, order, back = p
        assert sizes.tolist() == [2, 2, 1] and order.tolist() == back.tolist() == [1, 0]


# ---- refusals -----------------------------------------------------------------------------------------------

REFUSED = """
nn.RNNCell(4, 3)(z(2, 2, 4))
nn.RNNCell(4, 3)(z(2, 4), z(1, 2, 3))
nn.RNNCell(4, 3, nonlinearity="sin")(z(2, 4))
nn.RNNCell(4, 3)(z(2, 5))
nn.LSTMCell(4, 3)(z(2, 4), (z(2, 3), z(1, 2, 3)))
nn.LSTMCell(4, 3)(z(2, 4), (z(3, 3), z(3, 3)))
nn.LSTMCell(4, 3)(z(2, 4), (z(2, 2), z(2, 3)))
nn.GRUCell(4, 3)(z(2, 4, 1))
nn.GRUCell(4, 3)(z(2, 4), z(2, 4))
nn.RNN(4, 3, nonlinearity="sin")
nn.RNN(4, 3, proj_size=2)
nn.GRU(4, 3, proj_size=2)
nn.LSTM(4, 3, proj_size=3)
nn.LSTM(4, 3, proj_size=-1)
nn.LSTM(4, 3, dropout=1.5)
nn.LSTM(4, 3, dropout=True)
nn.LSTM(4, 3, dropout="much")
nn.LSTM(4, 3, 2, 1)
nn.LSTM(4, 3, batch_first=1)
nn.LSTM(4.0, 3)
nn.LSTM(4, "3")
nn.LSTM(0, 3)
nn.LSTM(4, 0)
nn.LSTM(4, 3, 0)
nn.RNNBase("CNN", 4, 3)
nn.LSTM(4, 3)(z(4))
nn.LSTM(4, 3)(z(5, 2, 4).double())
nn.LSTM(4, 3)(z(5, 2, 3))
nn.LSTM(4, 3)(z(0, 2, 4))
nn.LSTM(4, 3)(z(5, 2, 4), (z(1, 2, 3), z(1, 1, 3)))
nn.LSTM(4, 3)(z(5, 2, 4), (z(1, 2, 4), z(1, 2, 3)))
nn.LSTM(4, 3)(z(5, 2, 4), (z(1, 3), z(1, 3)))
nn.LSTM(4, 3)(z(5, 2, 4), z(1, 2, 3))
nn.LSTM(4, 3)(z(5, 4), (z(1, 1, 3), z(1, 1, 3)))
nn.LSTM(4, 3)(z(5, 2, 4), (z(1, 2, 3).double(), z(1, 2, 3).double()))
nn.GRU(4, 3)(z(5, 2, 4), z(2, 3))
nn.GRU(4, 3)(z(5, 4), z(1, 1, 3))
nn.GRU(4, 3)(z(5, 2, 4), z(2, 2, 3))
nn.GRU(4, 3)(rnn.pack_sequence([z(5, 4)]), z(1, 2, 3))
nn.GRU(4, 3)(rnn.pack_sequence([z(5, 2, 4)]))
rnn.pack_padded_sequence(z(5, 2, 4), [3, 4])
rnn.pack_padded_sequence(z(5, 2, 4), [3, 0])
rnn.pack_padded_sequence(z(5, 2, 4), [3])
rnn.pack_padded_sequence(z(5, 2, 4), [[3, 3]])
rnn.pack_padded_sequence(z(5, 0, 4), [])
rnn.pad_packed_sequence(rnn.pack_sequence([z(5, 4)]), total_length=4)
rnn.pack_sequence([z(2, 4), z(3, 4)])
rnn.pad_sequence([])
rnn.pad_sequence(3)
rnn.pad_sequence([z(3, 4), z(3, 3)])
rnn.pad_sequence([z(3, 4)], padding_side="up")
rnn.unpad_sequence(z(5, 2, 4), lib.tensor([1, 2, 3]))
rnn.PackedSequence(z(5, 4))
""".strip().splitlines()


@pytest.mark.parametrize("expression", REFUSED)
def test_refused_as_in_pytorch(expression):
    found = []
    for lib in (torch, minitorch):
        with pytest.raises(Exception) as caught:
            eval(expression, {"nn": lib.nn, "rnn": lib.nn.utils.rnn, "lib": lib, "z": lib.zeros})
        found.append(caught.type)
    assert issubclass(found[1], found[0]), (found, caught.value)


def test_dropout_that_drops_nothing_is_warned_of():
    for lib in (torch, minitorch):
        with pytest.warns(UserWarning, match="dropout option adds dropout after all but last recurrent layer"):
            lib.nn.GRU(4, 3, dropout=0.5)
