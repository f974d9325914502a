"""Reductions and scans of large arrays along any axis say what they say of small ones: by loops and without, by any number of threads."""
import importlib

import numpy as np
import pytest

import minitorch
from minitorch import backends, blocks
from minitorch.ops import column_blocks, place, reduce, row_blocks, scan
from test_row_blocks import NUMBERS, found

CALLS = {
    "sum": lambda x, dim: x.sum(dim),
    "mean": lambda x, dim: x.mean(dim, keepdim=True),
    "sum over several": lambda x, dim: x.sum(tuple({dim % x.ndim, 0, x.ndim - 1})),
    "amax": lambda x, dim: x.amax(dim),
    "amin": lambda x, dim: x.amin(dim, keepdim=True),
    "max": lambda x, dim: x.max(dim).values,
    "min": lambda x, dim: x.min(dim, keepdim=True).values,
    "softmax": lambda x, dim: x.softmax(dim),
    "log_softmax": lambda x, dim: x.log_softmax(dim),
    "logsumexp": lambda x, dim: x.logsumexp(dim),
    "logsumexp, kept": lambda x, dim: x.logsumexp((dim,), keepdim=True),
    "cumsum": lambda x, dim: x.cumsum(dim),
    "cumprod": lambda x, dim: x.cumprod(dim),
    "topk": lambda x, dim: x.topk(2, dim).values,
}
PLACES = [((40, 7), 0), ((9, 23), -1), ((5, 6, 31), 1), ((2, 70, 3), -2), ((4, 3, 5), 0), ((1, 30), 0), ((30, 1), 0),
          ((9, 2), 1), ((1, 43), 1), ((57,), 0)]


def ways(monkeypatch, loops, threads):
    """What makes small arrays go the way of large ones; nothing, for the plain one."""
    if loops is None:
        monkeypatch.setattr(reduce, "FEW", 1 << 30)
        return backends.using(loops="never")
    monkeypatch.setattr(minitorch.threads, "count", threads)
    small = (row_blocks, {"LARGE": 1, "LEAST": 8, "BLOCK": 40, "SHORT": 4, "PIECE": 16}), \
        (column_blocks, {"LEAST": 8, "PIECE": 4}), (reduce, {"FEW": 1}), (blocks, {"ALONE": 20, "SHARED": 20}), \
        (scan, {"WIDE": 2, "MANY": 1}), (place, {"FEW": 1, "MANY": 1})
    for module, constants in small:
        for name, value in constants.items():
            monkeypatch.setattr(module, name, value)
    if loops == "always":
        for file in "columns", "scan":
            module = importlib.import_module(f"minitorch.loops.{file}")
            monkeypatch.setattr(module, "LEAST", 8)
            monkeypatch.setattr(module, "WIDTH", 6)
    return backends.using(loops=loops)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("loops", ["never", "always"])
@pytest.mark.parametrize("numbers", NUMBERS)
@pytest.mark.parametrize("name", CALLS)
def test_large_arrays_say_what_small_ones_say(name, numbers, loops, threads, monkeypatch):
    if loops == "always":
        pytest.importorskip("numba")
    for (shape, dim), dtype, turned in [(p, dtype, turned) for p in PLACES for dtype in ("float32", "float64") for turned in (False, True)]:
        if name == "topk" and (shape[dim] < 2 or numbers == "ties"):
            continue
        x = NUMBERS[numbers](np.random.default_rng(0).normal(size=shape)).astype(dtype)
        if turned:
            x = np.asfortranarray(x)
        results = []
        for how in (None, loops):
            with monkeypatch.context() as patch, ways(patch, how, threads):
                results.append(found(lambda x, dim=dim: CALLS[name](x, dim), x))
        for part, whole in zip(*results, strict=True):
            assert part.shape == whole.shape and part.dtype == whole.dtype
            np.testing.assert_allclose(part, whole, *((3e-5, 1e-5) if dtype == "float32" else (1e-12, 1e-12)), err_msg=f"{shape} {dim}")


@pytest.mark.parametrize("loops", ["never", "always"])
@pytest.mark.parametrize("numbers", NUMBERS)
def test_the_first_of_equals_is_found(numbers, loops, monkeypatch):
    if loops == "always":
        pytest.importorskip("numba")
    with monkeypatch.context() as patch, ways(patch, loops, 3):
        for (shape, dim), dtype in [(p, dtype) for p in PLACES for dtype in ("float32", "float64", "int64")]:
            if numbers in ("inf", "-inf", "nan") and dtype == "int64":
                continue
            x = (NUMBERS[numbers](np.random.default_rng(0).normal(size=shape)) * (3 if dtype == "int64" else 1)).astype(dtype)
            for name in "argmax", "argmin":
                expected = getattr(x, name)(dim, keepdims=True)
                np.testing.assert_array_equal(getattr(minitorch.tensor(x), name)(dim, keepdim=True).numpy(), expected)
                np.testing.assert_array_equal(getattr(minitorch.tensor(x), name)(dim).numpy(), expected.squeeze(dim))
                values, indices = getattr(minitorch.tensor(x), name[3:])(dim, keepdim=True)
                np.testing.assert_array_equal(indices.numpy(), expected)
                np.testing.assert_array_equal(values.numpy(), np.take_along_axis(x, expected, dim))


@pytest.mark.parametrize("axis, shape", [(0, (3000, 50)), (1, (40, 4096)), (1, (40, 3001)), (None, (300, 999)), ((0, 1), (70, 40, 20)),
                                         (0, (70000, 3)), (1, (40, 2003)), (1, (9, 2000, 7)), (1, (300, 90, 5)), ((0, 2), (40, 30, 70)),
                                         ((0, -1, 1), (20, 3, 40, 30))], ids=str)
@pytest.mark.parametrize("threads", [1, 2])
def test_sums_of_float32_are_as_near_the_truth_as_numpys(axis, shape, threads, monkeypatch):
    monkeypatch.setattr(minitorch.threads, "count", threads)
    ours, theirs = [], []
    for seed in range(20 if axis is None else 1):
        x = np.random.default_rng(seed).normal(size=shape).astype("f4")
        exact = x.astype("f8").sum(axis)
        ours.append(minitorch.tensor(x).sum(axis).numpy() - exact)
        assert minitorch.tensor(x).sum(axis, keepdim=True).shape == x.sum(axis, keepdims=True).shape
        theirs.append(x.sum(axis) - exact)
    assert 0 < np.mean(np.square(ours)) <= 2 * np.mean(np.square(theirs))


@pytest.mark.parametrize("loops", ["never", "always"])
def test_nothing_along_an_axis(loops):
    if loops == "always":
        pytest.importorskip("numba")
    with backends.using(loops=loops):
        for shape, dim in ((0, 3), 0), ((3, 0), 0), ((2, 0, 3), 1), ((0,), 0):
            x = minitorch.zeros(shape)
            assert (x.sum(dim) == 0).all() and (x.logsumexp(dim) == -float("inf")).all()
            assert x.cumsum(dim).shape == x.cumprod(dim).shape == x.softmax(dim).shape == shape
        assert minitorch.zeros(3, 0).argmax(0).shape == (0,) and minitorch.zeros(2, 3, 0).max(1).values.shape == (2, 0)


@pytest.mark.parametrize("loops", ["never", "always"])
def test_scans_are_rounded_once(loops, monkeypatch):
    if loops == "always":
        pytest.importorskip("numba")
    with monkeypatch.context() as patch, ways(patch, loops, 2):
        x = np.random.default_rng(0).normal(size=(9, 50, 30)).astype("f4") + np.float32(0.9)
        for dim in range(3):
            for name in "cumsum", "cumprod":
                np.testing.assert_array_equal(getattr(minitorch.tensor(x), name)(dim).numpy(), getattr(x, name)(dim, "f8").astype("f4"))
            np.testing.assert_array_equal(scan.cumsum_from_end(x, dim), np.flip(np.flip(x, dim).cumsum(dim, "f8").astype("f4"), dim))


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("loops", ["never", "auto"])
def test_large_arrays_as_they_are(loops, threads, monkeypatch):
    """Nothing but their size sends these the way of large ones."""
    monkeypatch.setattr(minitorch.threads, "count", threads)
    x = np.random.default_rng(0).normal(size=(150, 2, 3001)).astype("f4")
    t, wide = minitorch.tensor(x), x.astype("f8")
    with backends.using(loops=loops):
        for dim in range(3):
            np.testing.assert_array_equal(t.cumsum(dim).numpy(), wide.cumsum(dim).astype("f4"))
            np.testing.assert_array_equal(t.cumprod(dim).numpy(), wide.cumprod(dim).astype("f4"))
            np.testing.assert_array_equal(t.argmax(dim).numpy(), x.argmax(dim))
            np.testing.assert_array_equal(t.min(dim).indices.numpy(), x.argmin(dim))
            np.testing.assert_array_equal(t.amax(dim).numpy(), x.max(dim))
            np.testing.assert_allclose(t.sum(dim).numpy(), wide.sum(dim), 1e-5, 1e-4)
            e = np.exp(wide)
            np.testing.assert_allclose(t.softmax(dim).numpy(), e / e.sum(dim, keepdims=True), 1e-5)
            np.testing.assert_allclose(t.logsumexp(dim).numpy(), np.log(e.sum(dim)), 1e-6, 1e-6)          # the sum of two that may cancel
        np.testing.assert_allclose(t.sum((0, 2)).numpy(), wide.sum((0, 2)), 1e-5, 1e-3)
        np.testing.assert_array_equal((t > 1).nonzero().numpy(), np.argwhere(x > 1))
        values, places = t.topk(5, 2)
        np.testing.assert_array_equal(values.numpy(), -np.sort(-x, 2)[..., :5])
        np.testing.assert_array_equal(places.numpy(), np.argsort(-x, 2)[..., :5])


@pytest.mark.parametrize("loops", ["never", "auto"])
@pytest.mark.parametrize("shape, dim", [((300000, 3), 0), ((2, 200000, 2), 1), ((400000, 1), 0), ((300, 40), 0), ((256, 40), 0)])
def test_long_columns_are_not_summed_up_in_one_float32(shape, dim, loops):
    """Added one by one to a large sum, the later numbers would lose most of their digits."""
    if loops == "auto":
        pytest.importorskip("numba")
    rng = np.random.default_rng(0)
    x, g = rng.uniform(0, 1, shape), rng.uniform(0, 1, shape)
    for f in (lambda x: x.softmax(dim), lambda x: x.log_softmax(dim), lambda x: x.logsumexp(dim), lambda x: x.sum(dim)):
        results = []
        for dtype, way in ("float64", "never"), ("float32", loops):
            with backends.using(loops=way):
                t = minitorch.tensor(x.astype("f4").astype(dtype), requires_grad=True)
                y = f(t)
                y.backward(minitorch.tensor((g if y.ndim == x.ndim else g.take(0, dim)).astype(dtype)))
                results.append((y.detach().numpy(), t.grad.numpy()))
        for exact, rounded in zip(*results):
            assert np.abs(rounded - exact).max() <= 3e-6 * np.abs(exact).max()


@pytest.mark.parametrize("dim", [0, 1, (0, 1), None])
@pytest.mark.parametrize("shape", [(1, 22), (30000, 1), (1, 1)])
def test_what_was_expanded_is_summed_up_without_many_roundings(shape, dim):
    x = np.random.default_rng(0).uniform(0, 1, shape).astype("f4")
    for keepdim in (False, True):
        y = minitorch.tensor(x).expand(30000, 22).sum(dim, keepdim=keepdim).numpy()
        exact = np.broadcast_to(x.astype("f8"), (30000, 22)).sum(dim, keepdims=keepdim)
        assert y.dtype == np.float32 and y.shape == exact.shape
        np.testing.assert_allclose(y, exact, rtol=1e-6)
