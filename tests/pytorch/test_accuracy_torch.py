"""float32 functions round as little as PyTorch's: their distance to float64, by loops and by NumPy, beside that of PyTorch."""
import numpy as np
import pytest

import minitorch
from minitorch import backends
from minitorch.autograd import loops

torch = pytest.importorskip("torch")


@pytest.fixture(params=["always", "never"])
def by(request):
    if request.param == "always" and not loops.available():
        pytest.skip("without numba")
    with backends.using(loops=request.param):
        yield


def log_softmax(lib, dtype, x, dim, g, gg):
    """log_softmax of x, its gradient for g, and the derivatives of that for gg."""
    x, g, gg = (lib.tensor(a, dtype=getattr(lib, dtype), requires_grad=True) for a in (x, g, gg))
    y = lib.nn.functional.log_softmax(x, dim)
    gx, = lib.autograd.grad(y, x, g, create_graph=True)
    return [t.detach().numpy() for t in (y, gx, *lib.autograd.grad(gx, (x, g), gg))]


@pytest.mark.parametrize("middle, spread", [(100, 1), (-100, 1), (1000, 3)])
@pytest.mark.parametrize("shape, dim", [((70, 130), 1), ((70, 130), 0), ((20, 30, 25), 1), ((600, 300), 1), ((600, 300), 0)], ids=str)
def test_log_softmax_far_from_0(shape, dim, middle, spread, by):
    rng = np.random.default_rng(0)
    x = (middle + spread * rng.normal(size=shape)).astype("f4")
    pulls = [rng.normal(size=shape).astype("f4") for _ in range(2)]
    exact, theirs, ours = (log_softmax(lib, dtype, x, dim, *pulls) for lib, dtype in
                           ((torch, "float64"), (torch, "float32"), (minitorch, "float32")))
    for wide, far, near in zip(exact, theirs, ours, strict=True):
        assert abs(near - wide).max() <= 2 * abs(far - wide).max() + 2e-7 * max(1, abs(wide).max())


def cross_entropy(lib, dtype, x, target):
    x = lib.tensor(x, dtype=getattr(lib, dtype), requires_grad=True)
    y = lib.nn.functional.cross_entropy(x, lib.tensor(target), reduction="none")
    y.sum().backward()
    return y.detach().numpy(), x.grad.numpy()


def test_cross_entropy_far_from_0(by):
    rng = np.random.default_rng(0)
    x, target = (rng.normal(size=(90, 130)) + 1000).astype("f4"), rng.integers(0, 130, 90)
    exact, theirs, ours = (cross_entropy(lib, dtype, x, target) for lib, dtype in
                           ((torch, "float64"), (torch, "float32"), (minitorch, "float32")))
    for wide, far, near in zip(exact, theirs, ours):
        assert abs(near - wide).max() <= 2 * abs(far - wide).max() + 2e-7 * max(1, abs(wide).max())


LONG = {                                             # f, shapes of what it is given
    "outer of a long vector": (lambda lib, a, b: lib.outer(a, b), (1 << 20,), (4,)),
    "outer": (lambda lib, a, b: lib.outer(a, b), (1500,), (1500,)),
    "rows of a matrix times a vector": (lambda lib, a, b: a @ b, (1 << 20, 4), (4,)),
    "prelu of columns": (lambda lib, a, b: lib.nn.functional.prelu(a, b), (1 << 20, 4), (4,)),
    "prelu of long channels": (lambda lib, a, b: lib.nn.functional.prelu(a, b), (2, 2, 1 << 20), (2,)),
    "prelu of single numbers": (lambda lib, a, b: lib.nn.functional.prelu(a, b), (1 << 20, 4, 1), (4,)),
    "prelu of a vector": (lambda lib, a, b: lib.nn.functional.prelu(a, b), (1 << 22,), (1,)),
}


def gradients(lib, dtype, f, arrays, seed):
    leaves = [lib.tensor(a, dtype=getattr(lib, dtype), requires_grad=True) for a in arrays]
    y = f(lib, *leaves)
    y.backward(lib.tensor(np.random.default_rng(seed).normal(size=tuple(y.shape)).astype("f4"), dtype=y.dtype))
    return [x.grad.numpy() for x in leaves]


@pytest.mark.parametrize("name", LONG)
def test_gradients_that_are_sums_of_many_numbers(name, by):
    f, *shapes = LONG[name]
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=shape).astype("f4") for shape in shapes]
    exact, theirs, ours = (gradients(lib, dtype, f, arrays, 1) for lib, dtype in
                           ((torch, "float64"), (torch, "float32"), (minitorch, "float32")))
    for wide, far, near in zip(exact, theirs, ours, strict=True):
        assert abs(near - wide).max() <= 2 * abs(far - wide).max() + 2e-7 * abs(wide).max()
