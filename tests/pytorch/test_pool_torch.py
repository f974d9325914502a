"""Pooling agrees with PyTorch for windows of every kind, by loops and by NumPy, on numbers with ties, NaN and infinities."""
import numpy as np
import pytest

torch = pytest.importorskip("torch")
import minitorch  # noqa: E402
from minitorch import backends  # noqa: E402
from minitorch.autograd import loops  # noqa: E402

#          size      kernel  stride  padding dilation
WINDOWS = [((8, 6), (2, 2), (2, 2), (0, 0), (1, 1)),
           ((7, 9), (2, 2), (2, 2), (0, 0), (1, 1)),
           ((7, 9), (3, 3), (2, 2), (1, 1), (1, 1)),
           ((6, 8), (3, 2), (1, 3), (1, 0), (2, 1)),
           ((5, 5), (2, 3), (3, 1), (1, 1), (1, 2)),
           ((9,), (3,), (2,), (1,), (2,)),
           ((5, 4, 6), (2, 2, 2), (2, 2, 2), (0, 0, 0), (1, 1, 1)),
           ((5, 4, 6), (3, 1, 2), (2, 1, 1), (1, 0, 1), (1, 1, 2))]
NUMBERS = {"ties": lambda rng, x: x.round(),
           "NaN": lambda rng, x: np.where(rng.random(x.shape) < 0.3, np.nan, x.round()),
           "-inf": lambda rng, x: np.where(rng.random(x.shape) < 0.8, -np.inf, x),
           "inf": lambda rng, x: np.where(rng.random(x.shape) < 0.2, np.inf, x)}


def pooled(T, function, x, *args, **options):
    """[the result, its places if asked for, the gradient of x]"""
    x = T.tensor(x, requires_grad=True)
    found = getattr(T.nn.functional, function)(x, *args, **options)
    y, *places = found if isinstance(found, tuple) else (found,)
    y.backward(T.tensor(np.random.default_rng(1).normal(size=tuple(y.shape)), dtype=y.dtype))
    return [t.detach().numpy() for t in (y, *places, x.grad)]


@pytest.mark.parametrize("by", ["always", "never"])
@pytest.mark.parametrize("numbers", NUMBERS)
@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_pooling_with_ties_nan_and_infinities(window, numbers, by):
    if by == "always" and not loops.available():
        pytest.skip("without numba")
    size, kernel, stride, padding, dilation = window
    rng = np.random.default_rng(0)
    for dtype in ("f4", "f8"):
        x = NUMBERS[numbers](rng, rng.normal(size=(2, 3, *size))).astype(dtype)
        for ceil in (False, True):
            calls = [(f"max_pool{len(size)}d", (x, kernel, stride, padding, dilation, ceil), {"return_indices": True})]
            calls += [(f"avg_pool{len(size)}d", (x, kernel, stride, padding, ceil, counted), {}) for counted in (False, True)]
            for name, args, options in calls:
                with backends.using(loops=by):
                    ours = pooled(minitorch, name, *args, **options)
                for a, b in zip(ours, pooled(torch, name, *args, **options), strict=True):
                    np.testing.assert_allclose(a, b, 1e-5, 1e-6)


@pytest.mark.parametrize("numbers", NUMBERS)
@pytest.mark.parametrize("size, out", [((6,), (3,)), ((6, 4), (3, 2)), ((6, 5), (3, 2)), ((4, 6, 4), (2, 3, 1))])
def test_adaptive_maxima_with_ties_nan_and_infinities(size, out, numbers):
    rng = np.random.default_rng(0)
    x = NUMBERS[numbers](rng, rng.normal(size=(2, 3, *size))).astype("f4")
    call = f"adaptive_max_pool{len(size)}d", x, out
    for a, b in zip(pooled(minitorch, *call, return_indices=True), pooled(torch, *call, return_indices=True), strict=True):
        np.testing.assert_allclose(a, b, 1e-5, 1e-6)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")          # inf - inf
@pytest.mark.parametrize("numbers", NUMBERS)
@pytest.mark.parametrize("size, out", [((7,), (3,)), ((5,), (8,)), ((6, 5), (3, 2)), ((5, 7), (3, 7)), ((4, 5, 3), (3, 2, 2))])
def test_adaptive_averages_of_uneven_bins_keep_nan_and_infinities_apart(size, out, numbers):
    rng = np.random.default_rng(0)
    x, g = (NUMBERS[numbers](rng, rng.normal(size=(2, 3, *shape))).astype("f4") for shape in (size, out))
    found = []
    for lib in minitorch, torch:
        leaf = lib.tensor(x, requires_grad=True)
        y = getattr(lib.nn.functional, f"adaptive_avg_pool{len(size)}d")(leaf, out)
        y.backward(lib.tensor(g))
        found.append((y.detach().numpy(), leaf.grad.numpy()))
    for a, b in zip(*found):
        np.testing.assert_allclose(a, b, 1e-5, 1e-6)
