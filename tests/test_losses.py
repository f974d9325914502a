"""Losses of differences at the numbers where formulas go wrong: NaN, infinity, ties, nothing at all, and large arrays of any layout."""
import math

import numpy as np
import pytest

import minitorch
from minitorch import backends

F = minitorch.nn.functional
D = [0.0, -0.0, 0.25, -0.5, 0.5, 3.0, -3.0, math.inf, -math.inf, math.nan, 1e-30, 1e30]
SLOPES = {
    "mse_loss": ({}, lambda d: d * d, lambda d: 2 * d),
    "l1_loss": ({}, abs, lambda d: (d > 0) * 1 - (d < 0) * 1),
    "smooth_l1_loss": ({"beta": 0.5}, lambda d: np.where(abs(d) < 0.5, d * d, abs(d) - 0.25), lambda d: np.clip(2 * d, -1, 1)),
    "huber_loss": ({"delta": 0.5}, lambda d: np.where(abs(d) < 0.5, d * d / 2, (abs(d) - 0.25) / 2), lambda d: np.clip(d, -0.5, 0.5)),
}


def both(loops):
    """Settings of loops to run under, those that this machine can."""
    if loops == "always":
        pytest.importorskip("numba")
    return backends.using(loops=loops)


@pytest.mark.parametrize("loops", ["never", "always"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", SLOPES)
def test_numbers_where_formulas_go_wrong(name, dtype, loops):
    options, value, slope = SLOPES[name]
    d = np.array(D * 7, dtype)
    x, y = (minitorch.tensor(a, requires_grad=True) for a in (d, np.zeros_like(d)))
    with both(loops), np.errstate(all="ignore"):
        loss = getattr(F, name)(x, y, reduction="none", **options)
        loss.backward(minitorch.full_like(loss, 3.0))
        np.testing.assert_allclose(loss.detach().numpy(), value(d), 1e-6)
        np.testing.assert_allclose(x.grad.numpy(), 3 * slope(d), 1e-6)
        np.testing.assert_array_equal(y.grad.numpy(), -x.grad.numpy())
        finite = np.isfinite(d) & (abs(d) < 1e20)
        for how, whole in ("mean", value(d[finite]).mean()), ("sum", value(d[finite]).sum()):
            x = minitorch.tensor(d[finite], requires_grad=True)
            loss = getattr(F, name)(x, minitorch.zeros_like(x), reduction=how, **options)
            loss.backward()
            np.testing.assert_allclose(loss.item(), whole, 1e-6)
            np.testing.assert_allclose(x.grad.numpy(), slope(d[finite]) / (len(x) if how == "mean" else 1), 1e-6)


@pytest.mark.parametrize("name", SLOPES)
def test_nothing_has_no_mean(name):
    x = minitorch.zeros(0, 3, requires_grad=True)
    loss = getattr(F, name)(x, x.detach())
    loss.backward()
    assert math.isnan(loss.item()) and x.grad.shape == (0, 3)
    assert getattr(F, name)(x, x, reduction="sum").item() == 0


@pytest.mark.parametrize("loops", ["never", "auto"])
@pytest.mark.parametrize("name", SLOPES)
def test_large_arrays_of_any_layout(name, loops):
    options, value, slope = SLOPES[name]
    a, b = np.random.default_rng(0).normal(size=(2, 301, 1003)).astype("f4")
    x = minitorch.tensor(a, requires_grad=True)
    d = a.T[::2].astype("f8") - b.T[::2]
    with both(loops):
        loss = getattr(F, name)(x.T[::2], minitorch.tensor(b).T[::2], **options)
        loss.backward()
    np.testing.assert_allclose(loss.item(), value(d).mean(), 1e-6)
    expected = np.zeros(a.shape)
    expected.T[::2] = slope(d) / d.size
    np.testing.assert_allclose(x.grad.numpy(), expected, 1e-5, 1e-12)


@pytest.mark.parametrize("name, bend", [("mse_loss", [2, 2, 2]), ("l1_loss", [0, 0, 0]), ("smooth_l1_loss", [2, 2, 0]), ("huber_loss", [1, 1, 0])])
def test_the_second_derivative_is_there_at_zero_too(name, bend):
    x = minitorch.tensor([0.0, 0.25, 3.0], requires_grad=True)
    loss = getattr(F, name)(x, minitorch.zeros(3), reduction="sum", **SLOPES[name][0])
    g, = minitorch.autograd.grad(loss, x, create_graph=True)
    gg, = minitorch.autograd.grad(g.sum(), x)
    assert gg.tolist() == bend


def test_targets_of_another_size_are_broadcast_with_a_warning():
    x, y = minitorch.ones(4, 3, requires_grad=True), minitorch.zeros(3, requires_grad=True)
    with pytest.warns(UserWarning, match="different to the input size"):
        loss = F.mse_loss(x, y)
    loss.backward()
    assert loss.item() == 1
    np.testing.assert_allclose(x.grad.numpy(), np.full((4, 3), 2 / 12, "f4"))
    np.testing.assert_allclose(y.grad.numpy(), np.full(3, -8 / 12, "f4"), 1e-6)


@pytest.mark.parametrize("loops", ["never", "always"])
def test_yes_or_no_of_numbers_where_formulas_go_wrong(loops):
    x = minitorch.tensor([math.inf, -math.inf, math.nan, 0.0, 100.0, -100.0, 1e-20, math.inf, -math.inf, 1.0], requires_grad=True)
    t = minitorch.tensor([0.0, 0.0, 0.0, 0.0, 0.5, 0.5, 0.5, 1.0, 1.0, math.nan])
    with both(loops), np.errstate(all="ignore"):
        loss = F.binary_cross_entropy_with_logits(x, t, reduction="none")
        loss.backward(minitorch.ones_like(loss))
    half, nan = math.log(2), math.nan
    np.testing.assert_allclose(loss.detach().numpy(), [math.inf, nan, nan, half, 50, 50, half, nan, nan, nan], 1e-6)
    np.testing.assert_allclose(x.grad.numpy(), [1, 0, nan, 0.5, 0.5, -0.5, 0, 0, -1, nan], 1e-6, 1e-7)
    nothing = minitorch.zeros(0)
    assert math.isnan(F.binary_cross_entropy_with_logits(nothing, nothing).item())


@pytest.mark.parametrize("loops", ["never", "auto"])
def test_yes_or_no_of_large_arrays(loops):
    a, b = np.random.default_rng(0).normal(size=(2, 301, 1003)).astype("f4")
    x, t = minitorch.tensor(a, requires_grad=True), minitorch.tensor(b > 0).T.float()
    with both(loops):
        loss = F.binary_cross_entropy_with_logits(x.T, t)
        loss.backward()
    np.testing.assert_allclose(loss.item(), np.logaddexp(0, np.where(b > 0, -a, a).astype("f8")).mean(), 1e-6)
    np.testing.assert_allclose(x.grad.numpy(), (1 / (1 + np.exp(-a.astype("f8"))) - (b > 0)) / a.size, 1e-5, 1e-12)
