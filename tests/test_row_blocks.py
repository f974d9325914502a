"""Reductions in blocks of rows say what they say on the whole array: for any size of blocks, any number of threads, with and without loops."""
import numpy as np
import pytest

import minitorch
from minitorch import backends
from minitorch.ops import column_blocks, cross_entropy, logsumexp, reduce, row_blocks, softmax_blocks

inf, nan = float("inf"), float("nan")
REDUCTIONS = {
    "sum": lambda x, dim: x.sum(dim),
    "mean": lambda x, dim: x.mean(dim, keepdim=True),
    "var": lambda x, dim: x.var(dim),
    "std": lambda x, dim: x.std(dim, keepdim=True),
    "amax": lambda x, dim: x.amax(dim),
    "amin": lambda x, dim: x.amin(dim, keepdim=True),
    "max": lambda x, dim: x.max(),
    "logsumexp": lambda x, dim: x.logsumexp(tuple(range(x.ndim)) if dim is None else dim),
    "prod": lambda x, dim: x.prod() if dim is None else x.flatten(-len(dim)).prod(-1) if isinstance(dim, tuple) else x.prod(dim),
    **{f"norm {p}": lambda x, dim, p=p: x.norm(p, dim) for p in (2, 1, 0, 3, 0.5, inf, -inf)},
}
PLACES = [((37,), None), ((160,), 0), ((7, 23), None), ((1, 131), 1), ((7, 23), -1), ((9, 64), 1), ((3, 4, 11), (1, -1)), ((2, 8, 16), 2),
          ((5, 6, 9), (0, 2)), ((4, 3), 1)]
NUMBERS = {
    "normal": lambda x: x,
    "ties": np.round,
    "zeros": lambda x: np.where(np.abs(x) < 0.5, 0, x),
    "inf": lambda x: np.where(x > 1.8, inf, x),
    "-inf": lambda x: np.where(x < 1.5, -inf, x),
    "nan": lambda x: np.where(x > 1.8, nan, x),
}


def found(f, x):
    """f's result, and its gradient for one cotangent."""
    x = minitorch.tensor(x, requires_grad=True)
    y = f(x)
    y.backward(minitorch.tensor(np.random.default_rng(1).normal(size=y.shape), dtype=y.dtype))
    return y.detach().numpy(), (x.grad if x.grad is not None else x.detach() * 0).numpy()


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("loops", ["never", "always"])
@pytest.mark.parametrize("numbers", NUMBERS)
@pytest.mark.parametrize("name", REDUCTIONS)
def test_blocks_say_what_the_whole_says(name, numbers, loops, threads, monkeypatch):
    if loops == "always":
        pytest.importorskip("numba")
    before, taken = minitorch.get_num_threads(), []
    minitorch.set_num_threads(threads)
    try:
        for (shape, dim), dtype in [(place, dtype) for place in PLACES for dtype in ("float32", "float64")]:
            x = NUMBERS[numbers](np.random.default_rng(0).normal(size=shape)).astype(dtype)
            results = []
            for small in (False, True):
                with monkeypatch.context() as patch, backends.using(loops=loops if small else "never"):
                    patch.setattr(reduce, "FEW", 1 if small else 1 << 30)
                    patch.setattr(column_blocks, "LEAST", 8)
                    for constant, value in {"LARGE": 1, "LEAST": 8, "BLOCK": 40, "PIECE": 16}.items() if small else ():
                        patch.setattr(row_blocks, constant, value)
                    by_rows = row_blocks.by_rows
                    patch.setattr(row_blocks, "by_rows", lambda *args, by_rows=by_rows, **how: taken.append(1) or by_rows(*args, **how))
                    results.append(found(lambda x, dim=dim: REDUCTIONS[name](x, dim), x))
            for part, whole in zip(*results, strict=True):
                assert part.shape == whole.shape and part.dtype == whole.dtype
                np.testing.assert_allclose(part, whole, *((3e-5, 1e-5) if dtype == "float32" else (1e-12, 1e-12)), err_msg=f"{shape} {dim}")
    finally:
        minitorch.set_num_threads(before)
    assert taken


def test_a_row_of_blocks_is_cut_where_it_is_long():
    x = np.arange(3 * row_blocks.PIECE + 5, dtype="f8").reshape(1, -1)
    assert row_blocks.folded(row_blocks.sums, np.sum, x) == x.sum() and row_blocks.folded(lambda x: x.max(1), np.max, x) == x.max()


def test_rows_are_taken_and_added_by_any_number_of_threads(monkeypatch):
    from minitorch.ops import rows
    rng, before = np.random.default_rng(2), minitorch.get_num_threads()
    table, index = rng.normal(size=(300, 20)), np.minimum(rng.integers(0, 400, size=(50, 40)), 299)
    index[:, :15] = 7                                # a place that many rows go to
    g = rng.normal(size=(50, 40, 20))
    expected = np.zeros_like(table)
    np.add.at(expected, index, g)
    monkeypatch.setattr(rows, "LEAST", 100)
    try:
        for n in (1, 2, 5):
            minitorch.set_num_threads(n)
            for loops in ("never", "auto"):
                with backends.using(loops=loops):
                    w = minitorch.tensor(table, requires_grad=True)
                    y = minitorch.nn.functional.embedding(minitorch.tensor(index), w)
                    y.backward(minitorch.tensor(g))
                    np.testing.assert_array_equal(y.detach().numpy(), table[index])
                    np.testing.assert_allclose(w.grad.numpy(), expected, 1e-12, 1e-12)
    finally:
        minitorch.set_num_threads(before)


OF_EXPONENTIALS = {
    "softmax": lambda x: minitorch.softmax(x, 1),
    "log_softmax": lambda x: minitorch.log_softmax(x, 1),
    "logsumexp": lambda x: x.logsumexp(1),
    "cross_entropy": lambda x: minitorch.nn.functional.cross_entropy(x, minitorch.arange(len(x)) % x.shape[1], reduction="none"),
}


@pytest.mark.parametrize("numbers", NUMBERS)
@pytest.mark.parametrize("far", [0, 7, -7, 300, -300])
@pytest.mark.parametrize("name", OF_EXPONENTIALS)
@pytest.mark.filterwarnings("ignore:invalid value", "ignore:divide by zero")
def test_only_rows_far_from_0_are_shifted_before_exp(name, far, numbers, monkeypatch):
    x = NUMBERS[numbers](np.random.default_rng(0).normal(size=(40, 9))) + far
    wide, shifts = [], []
    with backends.using(loops="never"):
        expected = found(OF_EXPONENTIALS[name], x)
        monkeypatch.setattr(row_blocks, "LARGE", 1)
        for module in (softmax_blocks, logsumexp, cross_entropy):
            def exponentials(*args, exponentials=module.exponentials, **how):
                e, shift = exponentials(*args, **how)
                shifts.append(shift)
                return e, shift
            monkeypatch.setattr(module, "exponentials", exponentials)
        for dtype in ("float64", "float32"):
            wide.append(found(OF_EXPONENTIALS[name], x.astype(dtype)))
    assert any([shift is None for shift in shifts]) == (far in (0, -7) and numbers in ("normal", "ties", "zeros"))         # 7 + 1.5 is too far
    for parts, (rtol, atol) in zip(wide, ((1e-12, 1e-12), (3e-6, 1e-6)), strict=True):
        for part, whole in zip(parts, expected, strict=True):
            np.testing.assert_allclose(part, whole, rtol, atol + (3e-7 * abs(far) if part.dtype == np.float32 else 0))          # x itself is rounded
