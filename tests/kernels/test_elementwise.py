"""What the proofs of bias_activation, dropout and the recurrent cells do not show."""
import numpy as np
import pytest

from minitorch import kernels
from minitorch.kernels.elementwise import ACTIVATIONS, bias_activation, bias_activation_backward, dropout
from minitorch.kernels.proof import numpy_dtype
from minitorch.kernels.recurrent import gru_cell, gru_cell_reference, lstm_cell, lstm_cell_backward, lstm_cell_reference

rng = np.random.default_rng(0)


def test_the_bias_gradient_is_the_same_bit_for_bit_in_any_thread_order():
    g, x, bias = (rng.normal(size=s).astype("f4") for s in ((600, 12), (600, 12), (12,)))
    found = []
    for order, seed in (("forward", 0), ("reverse", 0), ("random", 1)):
        with kernels.using(order=order, seed=seed):
            found.append(bias_activation_backward(g, x, bias, "gelu")[1].tobytes())
    assert len(set(found)) == 1


def test_rows_without_end_are_cut_into_a_bounded_number_of_strips():
    rows = 256 * 1024 + 5                            # a thread takes more than four rows
    g, x = np.ones((rows, 1), "f4"), np.zeros((rows, 1), "f4")
    dx, dbias = bias_activation_backward(g, x, np.zeros(1, "f4"), "sigmoid")
    assert dbias == rows / 4 and (dx == 0.25).all()


@pytest.mark.parametrize("offset", [0, 1])
def test_views_that_start_anywhere(offset):
    whole, bias = rng.normal(size=41).astype("f4"), rng.normal(size=8).astype("f4")
    x = whole[offset:offset + 40].reshape(5, 8)
    for mode in ("fast", "check"):
        with kernels.using(mode=mode):
            assert np.allclose(bias_activation(x, bias, "tanh"), np.tanh(x + bias), atol=1e-6)
            assert np.array_equal(dropout(x, 0.3, 5), dropout(x.copy(), 0.3, 5))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_nan_stays_nan_and_the_ends_are_reached(activation):
    x = np.array([np.nan, 1e4, -1e4], "f4")
    y, (dx, _) = bias_activation(x, None, activation), bias_activation_backward(np.ones(3, "f4"), x, None, activation)
    high, low = {"identity": (1e4, -1e4), "tanh": (1, -1), "sigmoid": (1, 0)}.get(activation, (1e4, 0))
    assert np.isnan(y[0]) and y[1:].tolist() == [high, low]
    slopes = {"identity": [1, 1], "tanh": [0, 0], "sigmoid": [0, 0]}.get(activation, [1, 0])
    assert dx[1:].tolist() == slopes


def test_dropout_keeps_its_share_and_says_which_by_seed_and_offset():
    x = np.ones(20000, "f4")
    y = dropout(x, 0.25, seed=7)
    assert abs((y != 0).mean() - 0.75) < 0.01 and set(np.unique(y)) == {np.float32(0), np.float32(1 / 0.75)}
    assert np.array_equal(y, dropout(x, 0.25, seed=7)) and np.array_equal(y[:101], dropout(x[:101], 0.25, seed=7))
    for other in (dict(seed=8), dict(seed=7, offset=1), dict(seed=7 + 2**32)):
        agreement = (dropout(x, 0.25, **other) == y).mean()
        assert abs(agreement - (0.75**2 + 0.25**2)) < 0.02


@pytest.mark.parametrize("mode, dtype, near", [("check", "float32", 1e-6), ("fast", "float16", 1e-3), ("fast", "bfloat16", 8e-3)])
def test_cells_of_more_units_than_a_block_has_threads(mode, dtype, near):
    gates, more, state = (rng.normal(size=(3, n * 150)).astype(numpy_dtype(dtype)) for n in (4, 3, 1))
    with kernels.using(mode=mode):
        found = lstm_cell(gates, state) + gru_cell(gates[:, :450].copy(), more, state)
    gates, more, state = (a.astype("f8") for a in (gates, more, state))
    for y, expected in zip(found, lstm_cell_reference(gates, state) + gru_cell_reference(gates[:, :450], more, state)):
        assert np.allclose(y.astype("f8"), expected, atol=near, rtol=near)


def test_what_does_not_fit_is_refused():
    x = np.zeros((2, 3), "f4")
    with pytest.raises(ValueError, match=r"bias of shape \(2,\) for rows of shape \(3,\)"):
        bias_activation(x, np.zeros(2, "f4"), "relu")
    with pytest.raises(ValueError, match="one of identity, relu.*not 'elu'"):
        bias_activation(x, None, "elu")
    with pytest.raises(ValueError, match=r"gradient of shape \(3, 2\) for a result of shape \(2, 3\)"):
        bias_activation_backward(x.T.copy(), x, None, "relu")
    with pytest.raises(ValueError, match="between 0 and 1, not 1.5"):
        dropout(x, 1.5, 0)
    with pytest.raises(TypeError, match="not int64"):
        bias_activation(np.arange(3), None, "relu")
    with pytest.raises(ValueError, match=r"lstm_cell: gates has shape \(2, 9\); with a state of shape \(2, 3\) it must be \(2, 12\)"):
        lstm_cell(np.zeros((2, 9), "f4"), x)
    with pytest.raises(ValueError, match=r"gru_cell: h_gates has shape \(1, 9\)"):
        gru_cell(np.zeros((2, 9), "f4"), np.zeros((1, 9), "f4"), x)
    with pytest.raises(ValueError, match=r"lstm_cell_backward: dh has shape \(2, 2\)"):
        lstm_cell_backward(np.zeros((2, 2), "f4"), None, np.zeros((2, 12), "f4"), x, x)
