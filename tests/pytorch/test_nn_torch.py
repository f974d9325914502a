"""Functions and modules of nn that need more than a call: indices of pooling, adaptive softmax, clipping, initialisation.

test_modules_torch.py compares every class.
"""
import numpy as np
import pytest

import minitorch
from minitorch import nn
from minitorch.backend import to_numpy

torch = pytest.importorskip("torch")

def numbers(t):
    return t.detach().numpy() if isinstance(t, torch.Tensor) else to_numpy(t.array)


def close(a, b):
    assert (a is None) == (b is None)
    if a is not None:
        a, b = numbers(a), numbers(b)
        assert a.dtype == b.dtype and a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5 * max(1, np.abs(b).max(initial=0)))


def test_pooling_indices_are_pytorchs():
    x = np.random.default_rng(0).integers(0, 3, (2, 3, 7, 6)).astype("f4")           # full of ties
    for call in ("MaxPool2d(2, return_indices=True)", "MaxPool2d(3, 2, 1, ceil_mode=True, return_indices=True)",
                 "MaxPool2d(3, 1, 1, 2, True)", "AdaptiveMaxPool2d((3, 4), return_indices=True)"):
        mine, theirs = minitorch.tensor(x).requires_grad_(), torch.tensor(x, requires_grad=True)
        y, i = eval("nn." + call)(mine)
        z, j = eval("torch.nn." + call)(theirs)
        np.testing.assert_array_equal(i.numpy(), j.numpy())
        y.sum().backward()
        z.sum().backward()
        np.testing.assert_array_equal(mine.grad.numpy(), theirs.grad.numpy())


@pytest.mark.parametrize("call, pool, shape", [
    ("MaxUnpool1d(2)", "MaxPool1d(2, return_indices=True)", (2, 3, 8)), ("MaxUnpool2d(2)", "MaxPool2d(2, return_indices=True)", (2, 3, 4, 6)),
    ("MaxUnpool2d(3, 2, 1)", "MaxPool2d(3, 2, 1, return_indices=True)", (3, 7, 5)),
    ("MaxUnpool3d((1, 2, 2))", "MaxPool3d((1, 2, 2), return_indices=True)", (1, 2, 3, 4, 4))])
def test_pooling_undone_is_pytorchs(call, pool, shape):
    x = np.random.default_rng(0).normal(size=shape).astype("f4")
    found = []
    for library in (minitorch, torch):
        t = library.tensor(x, requires_grad=True)
        m, p = eval("nn." + call, {"nn": library.nn}), eval("nn." + pool, {"nn": library.nn})
        y = m(*p(t), output_size=list(shape[-len(m.kernel_size):]))
        (y * y).sum().backward()
        found.append((repr(m), y, t.grad))
    assert found[0][0] == found[1][0]
    close(found[0][1], found[1][1])
    close(found[0][2], found[1][2])
    with pytest.raises(ValueError, match="invalid output_size"):
        nn.MaxUnpool2d(2)(minitorch.ones(1, 1, 2, 2), minitorch.zeros(1, 1, 2, 2).long(), output_size=(9, 9))
    with pytest.raises(RuntimeError, match="invalid max index"):
        nn.MaxUnpool2d(2)(minitorch.ones(1, 1, 2, 2), minitorch.ones(1, 1, 2, 2).long() * 99)


@pytest.mark.parametrize("cutoffs, bias", [([2, 5], False), ([4], True), ([1, 3, 6], True)])
def test_adaptive_softmax_is_pytorchs(cutoffs, bias):
    torch.manual_seed(0)
    theirs = torch.nn.AdaptiveLogSoftmaxWithLoss(8, 10, cutoffs, div_value=2.0, head_bias=bias)
    ours = nn.AdaptiveLogSoftmaxWithLoss(8, 10, cutoffs, div_value=2.0, head_bias=bias)
    assert repr(ours) == repr(theirs) and list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict({k: minitorch.tensor(v.numpy()) for k, v in theirs.state_dict().items()})
    rng = np.random.default_rng(0)
    x, target = 3 * rng.normal(size=(7, 8)).astype("f4"), rng.integers(0, 10, 7)
    for library, m in ((minitorch, ours), (torch, theirs)):
        m(library.tensor(x), library.tensor(target)).loss.backward()
    close(ours(minitorch.tensor(x), minitorch.tensor(target)).output, theirs(torch.tensor(x), torch.tensor(target)).output)
    for p, q in zip(ours.parameters(), theirs.parameters()):
        close(p.grad, q.grad)
    close(ours.log_prob(minitorch.tensor(x)), theirs.log_prob(torch.tensor(x)))
    close(ours.predict(minitorch.tensor(x)), theirs.predict(torch.tensor(x)))
    close(ours(minitorch.tensor(x[0]), minitorch.tensor(target[0])).loss, theirs(torch.tensor(x[0]), torch.tensor(target[0])).loss)
    for library, m in ((minitorch, ours), (torch, theirs)):
        for wrong in ([11] * 7, [0, 1], [[0]]):
            with pytest.raises(RuntimeError):
                m(library.tensor(x), library.tensor(wrong))
    for wrong in ([], [3, 2], [10], [0]):
        with pytest.raises(ValueError, match="cutoffs"):
            nn.AdaptiveLogSoftmaxWithLoss(8, 10, wrong)


def test_gumbel_softmax_draws_from_the_distribution():
    minitorch.manual_seed(0)
    logits = minitorch.tensor([0.5, 1.5, -0.2], requires_grad=True)
    hard = nn.functional.gumbel_softmax(logits.expand(20000, 3), tau=0.5, hard=True)
    assert set(np.unique(np.round(hard.detach().numpy(), 5))) == {0.0, 1.0}
    np.testing.assert_allclose(hard.mean(0).detach().numpy(), logits.softmax(0).detach().numpy(), atol=0.02)
    soft = nn.functional.gumbel_softmax(logits, tau=0.5)
    assert float(soft.sum()) == pytest.approx(1, abs=1e-5)
    hard[:, 0].sum().backward()
    assert bool((logits.grad != 0).all())


def test_clipping_gives_pytorchs_gradients():
    rng = np.random.default_rng(0)
    values = [rng.normal(size=s).astype("f4") for s in ((3, 4), (5,), ())]

    def clipped(library, norm):
        ps = [library.nn.Parameter(library.tensor(v * 0)) for v in values]
        for p, v in zip(ps, values):
            p.grad = library.tensor(v)
        total = library.nn.utils.clip_grad_norm_(ps, 1.5, norm)
        library.nn.utils.clip_grad_value_(ps, 0.4)
        return [total, *(p.grad for p in ps)]
    for norm in (2.0, 1.0, 3.0, float("inf")):
        for a, b in zip(clipped(minitorch, norm), clipped(torch, norm)):
            close(a, b)


@pytest.mark.parametrize("name, shape, args", [
    ("xavier_uniform_", (4, 6, 3), ()), ("kaiming_uniform_", (4, 6), (0.2, "fan_out")), ("uniform_", (50,), (-1.0, 3.0)),
    ("xavier_normal_", (40, 60), (2.0,)), ("kaiming_normal_", (40, 6, 3), (0, "fan_out", "relu")), ("normal_", (50, 40), (1.0, 2.0)),
    ("trunc_normal_", (2000,), (0.5, 2.0, -1.0, 2.0)), ("constant_", (3,), (2.5,)), ("ones_", (3,), ()), ("zeros_", (3,), ()),
    ("eye_", (3, 5), ()), ("dirac_", (4, 2, 3), (2,)), ("dirac_", (4, 5, 3, 3), ()), ("orthogonal_", (30, 5, 4), (2.0,)),
    ("orthogonal_", (5, 30), ()), ("sparse_", (20, 30), (0.3,))])
def test_an_initialisation_has_pytorchs_statistics(name, shape, args):
    minitorch.manual_seed(0)
    torch.manual_seed(0)
    a = numbers(getattr(nn.init, name)(minitorch.empty(shape), *args)).astype("f8")
    b = numbers(getattr(torch.nn.init, name)(torch.empty(shape), *args)).astype("f8")
    spread = 8 / np.sqrt(a.size)
    assert abs(a.std() - b.std()) <= spread * b.std() + 1e-6 and abs(a.mean() - b.mean()) <= spread * b.std() + 1e-6
    assert (a == 0).mean() == (b == 0).mean()
    if name == "orthogonal_":
        m = a.reshape(len(a), -1)
        gram = m @ m.T if len(m) < m.shape[1] else m.T @ m
        np.testing.assert_allclose(gram, np.eye(len(gram)) * (args[0] if args else 1) ** 2, atol=1e-5)
    if name in ("eye_", "dirac_", "constant_", "ones_", "zeros_"):
        np.testing.assert_array_equal(a, b)
