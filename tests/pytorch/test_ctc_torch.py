"""CTC loss: values and the gradients of what log_softmax is given, as in PyTorch.

PyTorch's gradient of log_probs themselves is right only behind a log_softmax; ours is that of the function.
"""
import numpy as np
import pytest

import minitorch
from minitorch import nn

torch = pytest.importorskip("torch")

T, N, C = 9, 3, 5
TARGETS = [[1, 2, 2, 3], [4, 4, 4, 0], [3, 1, 0, 0]]
CALLS = [
    ({}, TARGETS, [9, 9, 9], [4, 3, 2]),
    ({"reduction": "none"}, TARGETS, [9, 7, 3], [4, 3, 1]),
    ({"reduction": "sum", "blank": 4}, [[1, 2, 2, 3], [0, 0, 0, 0], [3, 1, 0, 0]], [9, 9, 5], [4, 3, 0]),
    ({"zero_infinity": True}, TARGETS, [4, 9, 9], [4, 3, 2]),
    ({"reduction": "none"}, [1, 2, 2, 3, 4, 3, 1], [9, 9, 9], [4, 1, 2]),
]


def run(library, options, targets, times, counts, dtype):
    x = library.tensor(np.random.default_rng(0).normal(size=(T, N, C)).astype(dtype), requires_grad=True)
    loss = library.nn.CTCLoss(**options)(x.log_softmax(2), library.tensor(targets), library.tensor(times), library.tensor(counts))
    (loss * library.arange(1, loss.numel() + 1).reshape(loss.shape)).sum().backward()
    return loss.detach().numpy(), x.grad.numpy()


@pytest.mark.parametrize("dtype", ["f8", "f4"])
@pytest.mark.parametrize("call", CALLS)
def test_loss_and_gradient_are_pytorchs(call, dtype):
    for a, b in zip(run(minitorch, *call, dtype), run(torch, *call, dtype)):
        assert a.dtype == b.dtype and a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_a_sequence_without_a_batch():
    x = np.random.default_rng(0).normal(size=(T, C))
    for options in ({}, {"reduction": "none"}):
        a, b = (library.nn.CTCLoss(**options)(library.tensor(x).log_softmax(1), library.tensor([1, 2]), library.tensor(9), library.tensor(2))
                for library in (minitorch, torch))
        np.testing.assert_allclose(a.numpy(), b.numpy())
        assert a.shape == b.shape


def test_too_short_a_sequence_is_infinitely_unlikely():
    loss = nn.CTCLoss(reduction="none")(minitorch.zeros(2, 1, 3), minitorch.tensor([[1, 1]]), (2,), (2,))
    assert loss.item() == float("inf")


@pytest.mark.parametrize("options, targets, times, counts", [
    ({"blank": 7}, TARGETS, [9, 9, 9], [4, 3, 2]), ({}, TARGETS, [9, 9], [4, 3, 2]), ({}, TARGETS, [10, 9, 9], [4, 3, 2]),
    ({}, TARGETS, [9, 9, 9], [5, 3, 2])])
def test_mistakes_are_refused(options, targets, times, counts):
    for library in (torch, minitorch):
        with pytest.raises(RuntimeError):
            run(library, options, targets, times, counts, "f4")
