"""Products by MKL, where the extra `fast` brought it: of matrices that lie in memory in any way, into others that do."""
import itertools

import numpy as np
import pytest

import minitorch
from minitorch import backends, blas, mkl
from minitorch.dtypes import F32, F64

needs_mkl = pytest.mark.skipif(not mkl.find(), reason="MKL is not installed")
LAYOUTS = {
    "by rows": lambda x: x.copy(),
    "by columns": lambda x: x.T.copy().T,
    "rows of wider ones": lambda x: np.concatenate([x, x], 1)[:, :x.shape[1]],
    "columns of longer ones": lambda x: np.concatenate([x, x], 0).T.copy().T[:len(x)],
    "every other row": lambda x: np.repeat(x, 2, 0)[::2],
    "every other column": lambda x: np.repeat(x, 2, 1)[:, ::2],
    "backwards": lambda x: x[::-1].copy()[::-1],
    "at an odd address": lambda x: np.frombuffer(b"0" + x.tobytes(), x.dtype, offset=1).reshape(x.shape),
}


def normal(*shape, dtype=F64):
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(dtype)


@needs_mkl
@pytest.mark.parametrize("dtype", [F32, F64])
@pytest.mark.parametrize("n, k, m", [(3, 4, 5), (1, 4, 5), (3, 1, 5), (3, 4, 1), (70, 90, 80)])
def test_products_of_matrices_that_lie_in_any_way(n, k, m, dtype):
    a, b, y = normal(n, k, dtype=dtype), normal(k, m, dtype=dtype), normal(n, m, dtype=dtype)
    close = dict(rtol=1e-5, atol=1e-5) if dtype is F32 else dict(rtol=1e-12, atol=1e-12)
    for (_, left), (_, right), (name, result), add in itertools.product(LAYOUTS.items(), LAYOUTS.items(), LAYOUTS.items(), (False, True)):
        if name == "at an odd address":              # is read-only
            continue
        out = result(y)
        before = out.copy()
        mkl.product(left(a), right(b), out, add)
        np.testing.assert_allclose(out, a @ b + (before if add else 0), **close)


@needs_mkl
def test_what_was_in_the_result_before_does_not_matter():
    y = np.full((70, 80), np.nan)
    mkl.product(normal(70, 90), normal(90, 80), y)
    np.testing.assert_allclose(y, normal(70, 90) @ normal(90, 80), 1e-12, 1e-12)


@needs_mkl
@pytest.mark.parametrize("choice", ["mkl", "numpy"])
@pytest.mark.parametrize("left, right", [((2, 3, 70, 80), (2, 3, 80, 90)), ((3, 70, 80), (80, 90)), ((70, 80), (4, 80, 90)),
                                         ((2, 1, 70, 80), (3, 80, 90))])
def test_stacks_of_matrices(left, right, choice):
    a, b = normal(*left), normal(*right)
    with backends.using(blas=choice):
        assert blas.by_mkl(a, b) == (choice == "mkl")
        np.testing.assert_allclose(blas.matmul(a, b), a @ b, 1e-12, 1e-11)
        y = np.ones_like(a @ b)
        assert blas.matmul(a, b, out=y, add=True) is y
        np.testing.assert_allclose(y, a @ b + 1, 1e-12, 1e-11)
        np.testing.assert_allclose(minitorch.matmul(minitorch.tensor(a), minitorch.tensor(b)).numpy(), a @ b, 1e-12, 1e-11)


@needs_mkl
def test_the_same_product_twice_is_the_same_to_the_bit():
    a, b = normal(300, 200, dtype=F32), normal(200, 250, dtype=F32)
    with backends.using(blas="mkl"):
        assert len({blas.product(a.copy(), b.copy()).tobytes() for _ in range(20)}) == 1


@pytest.mark.parametrize("choice", ["mkl", "numpy", "auto"])
@pytest.mark.parametrize("a, b", [((300, 200), (200, 250)), ((3, 20), (20, 25)), ((2000, 20), (20, 25))])
def test_a_bias_is_added_to_every_row(a, b, choice):
    a, b, bias = normal(*a), normal(*b), normal(b[1])
    with backends.using(blas=choice):
        for some in (bias, bias[:1], bias[0].reshape(())):
            np.testing.assert_allclose(blas.product(a, b, some), a @ b + some, 1e-12, 1e-11)


def test_an_unknown_library_is_refused():
    with pytest.raises(ValueError, match="blas must be one of auto, mkl, numpy, not 'atlas'"):
        backends.blas = "atlas"


def test_nothing_is_loaded_before_a_large_product():
    import subprocess
    import sys
    code = "import sys, minitorch; (minitorch.ones(9, 9) @ minitorch.ones(9, 9)).sum(); print(minitorch.mkl.functions)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "None"


@needs_mkl
def test_kernels_are_made_once_and_no_more_than_so_many(monkeypatch):
    monkeypatch.setattr(mkl, "KERNELS", {})
    monkeypatch.setattr(mkl, "MOST", 2)
    made = mkl.kernel(16, 64, 128, 256)
    assert mkl.kernel(16, 64, 128, 256) is made
    assert mkl.kernel(17, 64, 128, 256) != made
    assert mkl.kernel(18, 64, 128, 256) is None
    assert len(mkl.KERNELS) == 2
