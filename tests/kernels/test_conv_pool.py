"""Convolution and pooling on the kernels beyond their cases: ties and NaN, the same bits in every order, minitorch's own ops."""
import numpy as np
import pytest

import minitorch
from minitorch import kernels
from minitorch.kernels.pool import max_pool_reference
from minitorch.nn import functional as F

rng = np.random.default_rng(0)
nan, inf = np.nan, np.inf


def same(y, expected, near=1e-5):
    for a, b in zip(y, expected):
        assert a.shape == b.shape
        assert np.allclose(a, b, atol=near, rtol=near, equal_nan=True)


def images(*rows):
    return np.array(rows, "f4")[None, None]


@pytest.mark.parametrize("x, y, place", [
    (images([1, 3], [3, 2]), 3, 1),                  # the first of equals
    (images([-0.0, 0.0], [0.0, -0.0]), 0, 0),
    (images([-inf, -inf], [-inf, -inf]), -inf, 0),
    (images([5, nan], [9, 1]), nan, 1),              # NaN above all
    (images([nan, 7], [nan, inf]), nan, 2),          # the last of several
])
def test_maximum_pooling_breaks_ties_as_pytorch_does(x, y, place):
    found, places = kernels.max_pool2d(x, 2)
    assert places.dtype == np.int64 and places.item() == place
    assert np.array_equal(found.item(), y, equal_nan=True)
    gx = kernels.max_pool2d_backward(np.full_like(found, 2), places, x.shape, 2)
    assert gx.reshape(-1)[place] == 2 and np.count_nonzero(gx) == 1


def test_a_window_that_sees_only_minus_infinity_names_its_first_tap_in_the_image():
    x = np.full((1, 1, 3, 3), -inf, "f4")
    y, places = kernels.max_pool2d(x, 3, 2, 1)
    assert places.ravel().tolist() == [0, 1, 3, 4] and (y == -inf).all()


def test_ties_in_overlapping_windows():
    x = rng.integers(0, 3, size=(2, 3, 7, 9)).astype("f4")
    for window in ((3, 2, 1), ((2, 3), 1, (1, 0), (2, 1), True)):
        y, places = kernels.max_pool2d(x, *window)
        expected = max_pool_reference(x, *window)
        assert np.array_equal(y, expected[0]) and np.array_equal(places, expected[1])


@pytest.mark.parametrize("options", [dict(), dict(stride=2, padding=1), dict(stride=(1, 3), padding=(2, 0), dilation=(2, 1), groups=2)])
def test_convolution_and_its_gradients_are_those_of_minitorch(options):
    shapes = (2, 4, 7, 9), (6, 4 // options.get("groups", 1), 3, 2), 6
    x, w, b = (minitorch.tensor(rng.normal(size=shape).astype("f4"), requires_grad=True) for shape in shapes)
    y = F.conv2d(x, w, b, **options)
    g = rng.normal(size=tuple(y.shape)).astype("f4")
    y.backward(minitorch.tensor(g))
    found = (kernels.conv2d(x.detach().numpy(), w.detach().numpy(), b.detach().numpy(), **options),
             kernels.conv2d_input_gradient(g, w.detach().numpy(), x.shape, **options),
             kernels.conv2d_weight_gradient(g, x.detach().numpy(), w.shape, **options), kernels.conv2d_bias_gradient(g))
    same(found, [t.detach().numpy() for t in (y, x.grad, w.grad, b.grad)])


@pytest.mark.parametrize("window", [(2,), (3, 2, 1), ((3, 2), (2, 1), (1, 0))])
def test_pooling_and_its_gradients_are_those_of_minitorch(window):
    for ceil_mode in (False, True):
        x = minitorch.tensor(rng.normal(size=(2, 3, 8, 7)).astype("f4"), requires_grad=True)
        stride = window[1] if len(window) > 1 else None
        padding = window[2] if len(window) > 2 else 0
        for mine, op, options in ((kernels.max_pool2d, F.max_pool2d, dict(return_indices=True)),
                                  (kernels.avg_pool2d, F.avg_pool2d, dict(count_include_pad=False)), (kernels.avg_pool2d, F.avg_pool2d, {})):
            x.grad = None
            y = op(x, window[0], stride, padding, ceil_mode=ceil_mode, **options)
            options.pop("return_indices", None)
            y, *places = y if isinstance(y, tuple) else (y,)
            g = rng.normal(size=tuple(y.shape)).astype("f4")
            y.backward(minitorch.tensor(g))
            found = mine(x.detach().numpy(), window[0], stride, padding, ceil_mode=ceil_mode, **options)
            if places:
                same(found, [t.detach().numpy() for t in (y, *places)])
                gx = kernels.max_pool2d_backward(g, found[1], x.shape, window[0], stride, padding, ceil_mode=ceil_mode)
            else:
                same([found], [y.detach().numpy()])
                gx = kernels.avg_pool2d_backward(g, x.shape, window[0], stride, padding, ceil_mode=ceil_mode, **options)
            same([gx], [x.grad.numpy()])


def test_sums_have_the_same_bits_in_every_order():
    g, x = rng.normal(size=(3, 20, 7, 9)).astype("f4"), rng.normal(size=(3, 2, 7, 9)).astype("f4")
    found = []
    for order in ("forward", "reverse", "random"):
        with kernels.using(order=order):
            found.append((kernels.conv2d_weight_gradient(g, x, (20, 2, 3, 3), padding=1), kernels.conv2d_bias_gradient(g)))
    assert all(np.array_equal(a, b) for other in found[1:] for a, b in zip(found[0], other))


def test_what_does_not_fit_is_refused():
    x, w = np.zeros((1, 4, 5, 5), "f4"), np.zeros((6, 2, 3, 3), "f4")
    with pytest.raises(ValueError, match=r"conv2d: images \(1, 4, 5, 5\) with 4 channels do not fit weights \(6, 2, 3, 3\) in 1 groups"):
        kernels.conv2d(x, w)
    with pytest.raises(ValueError, match="conv2d: the window, .* is larger than the padded image"):
        kernels.conv2d(x, w, dilation=3, groups=2)
    with pytest.raises(ValueError, match=r"bias \(4,\) does not fit 6 channels"):
        kernels.conv2d(x, w, np.zeros(4, "f4"), groups=2)
    with pytest.raises(ValueError, match=r"version 'sm80' is not one of None, 'direct', 'tiled' and, for float32, 'fp32'"):
        kernels.conv2d(x, w, groups=2, version="sm80")
    with pytest.raises(ValueError, match=r"the convolution's result has shape \(1, 6, 3, 3\), its gradient \(1, 6, 4, 4\)"):
        kernels.conv2d_input_gradient(np.zeros((1, 6, 4, 4), "f4"), w, x.shape, groups=2)
    with pytest.raises(TypeError, match="float32 and float16 do not mix"):
        kernels.conv2d(x, w.astype("f2"), groups=2)
    with pytest.raises(ValueError, match=r"max_pool2d: padding .* must be between 0 and half of the window"):
        kernels.max_pool2d(x, 2, padding=2)
    with pytest.raises(ValueError, match="divisor_override must be a whole number other than 0"):
        kernels.avg_pool2d(x, 2, divisor_override=0)
