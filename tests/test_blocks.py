"""What is computed by blocks, and by several threads, is what is computed at once."""
import numpy as np
import pytest

import minitorch
from minitorch import backends
from minitorch import blocks
from minitorch.autograd.op import OPS
from minitorch.ops.special import erf_array
from minitorch.cases import walk

F = minitorch.nn.functional
CALLS = {
    "gelu": F.gelu,
    "gelu, tanh": lambda x: F.gelu(x, approximate="tanh"),
    "silu": F.silu,
    "elu": lambda x: F.elu(x, 0.7),
    "prelu": lambda x: F.prelu(x, x[0]),
    "interpolate": lambda x: F.interpolate(x.reshape(2, 2, 13, 30), scale_factor=2)[:, :, ::2, ::2],
    "interpolate, bilinear": lambda x: F.interpolate(x.reshape(2, 2, 13, 30), scale_factor=2, mode="bilinear")[:, :, ::2, ::2],
    **{f"binary_cross_entropy_with_logits, {how}": lambda x, how=how: x * F.binary_cross_entropy_with_logits(x, x.flip(0).sigmoid(), reduction=how)
       for how in ("mean", "none")},
    "mish": F.mish,
    "kl_div": lambda x: F.kl_div(x, (x.flip(0) - 1).clamp(min=0) + (x > 2), reduction="none"),
    "softplus": F.softplus,
    "hardswish": F.hardswish,
    "erf": minitorch.erf,
    "erfc": minitorch.erfc,
    **{f"{name}, {how}": lambda x, f=getattr(F, name), how=how: x * f(x, x.flip(0), reduction=how)
       for name in ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss") for how in ("mean", "none")},
    "layer_norm": lambda x: F.layer_norm(x, (x.shape[1],), x[0].detach() + 1, x[1].detach()),
    "rms_norm": lambda x: F.rms_norm(x, (x.shape[1],), x[0].detach() + 1),
    "batch_norm": lambda x: F.batch_norm(x.reshape(4, 13, 30), None, None, x[0, :13].detach(), x[1, :13].detach(), training=True),
    "batch_norm of rows": lambda x: F.batch_norm(x, None, None, None, x[1].detach(), training=True),
}


def gradients(f):
    """f's result and gradient for the same numbers at every call."""
    x, g = np.random.default_rng(0).normal(size=(2, 52, 30)) * 2
    x = minitorch.tensor(x, requires_grad=True)
    y = f(x)
    y.backward(minitorch.tensor(g).reshape(y.shape))
    return y.detach().numpy(), x.grad.numpy()


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("name", CALLS)
def test_blocks_of_any_number_of_threads(name, n, monkeypatch):
    before = minitorch.get_num_threads()
    with backends.using(loops="never"):
        whole = gradients(CALLS[name])
        for size in ("ALONE", "SHARED"):
            monkeypatch.setattr(blocks, size, 100)
        monkeypatch.setattr("minitorch.ops.standardize.FAR", 2)
        minitorch.set_num_threads(n)
        try:
            found = gradients(CALLS[name])
        finally:
            minitorch.set_num_threads(before)
    for a, b in zip(found, whole):
        np.testing.assert_allclose(a, b, 1e-12, 1e-13)


def test_each_thread_has_as_many_blocks_and_every_index_is_in_one(monkeypatch):
    monkeypatch.setattr(blocks, "SHARED", 100)
    monkeypatch.setattr("minitorch.threads.count", 2)
    for n, width, larger in ((1000, 1, 1), (37, 50, 1), (3, 1000, 1), (37, 50, 4), (10, 1, 1), (0, 5, 1)):
        found = blocks.by_blocks(lambda s: s, n, width, larger)
        assert [i for s in found for i in range(s.start, s.stop)] == list(range(n))
        assert len(found) == 1 or len(found) == n or len(found) % 2 == 0


def test_helpers_heed_the_callers_errstate(monkeypatch):
    monkeypatch.setattr(blocks, "SHARED", 100)
    monkeypatch.setattr("minitorch.threads.count", 2)
    double = blocks.in_blocks(lambda x: x * np.float32(2))
    monkeypatch.setattr(blocks, "ALONE", 100)
    x = np.full(1000, 3e38, "f4")
    with np.errstate(over="raise"), pytest.raises(FloatingPointError):
        double(x)
    with np.errstate(over="ignore"):
        assert np.isinf(double(x)).all()


@pytest.mark.parametrize("n", [1, 2, 3])
def test_results_written_into_blocks(n, monkeypatch):
    @blocks.into_blocks
    def weighed(y, x, a, factor, one):
        np.multiply(x, factor, out=y)
        y += a
        y += one
        sizes.append(y.size)
    monkeypatch.setattr(blocks, "ALONE", 100)
    monkeypatch.setattr(blocks, "SHARED", 300)
    before, rng = minitorch.get_num_threads(), np.random.default_rng(0)
    minitorch.set_num_threads(n)
    try:
        for shape in ((), (0,), (7,), (31, 53), (1000,)):
            b, c = rng.normal(size=shape), rng.normal(size=shape)
            for x, a in ((b, c), (b.T, c.T), (b, c.copy(order="F")), (np.stack([b, b], -1)[..., 0], c)):
                sizes = []
                np.testing.assert_array_equal(weighed(x, a, 3.0, np.array(1.0)), x * 3 + a + 1)
                assert sum(sizes) == x.size
            assert x.size < 1000 or len(sizes) == 1                        # those with gaps between their numbers are taken whole
    finally:
        minitorch.set_num_threads(before)
    x, sizes = rng.normal(size=1000), []
    weighed(x, x, 2.0, np.array(0.0))
    assert len(sizes) > 2


def test_gelu_and_erf_of_float32():
    """Within a few units in the last place of float64's formulas, and at the ends of the line what they are there."""
    x = np.concatenate([np.linspace(-9, 9, 100001), np.linspace(-0.01, 0.01, 1001), [-1e4, 1e4, -40, 40]])
    narrow = minitorch.tensor(x.astype("f4"), requires_grad=True)
    wide = minitorch.tensor(narrow.detach().numpy().astype("f8"), requires_grad=True)
    for way, slope in (("none", 5e-7), ("tanh", 2e-6)):             # 1 - tanh^2 loses digits near the ends
        for choice in ("never", "auto"):
            with backends.using(loops=choice):
                narrow.grad = wide.grad = None
                y, exact = F.gelu(narrow, approximate=way), F.gelu(wide, approximate=way)
                y.sum().backward()
                exact.sum().backward()
            error = np.abs(y.detach().numpy() - exact.detach().numpy())
            assert (error <= 3e-7 * np.maximum(1, np.abs(x))).all()
            assert np.abs(narrow.grad.numpy() - wide.grad.numpy()).max() < slope
            assert (y.detach().numpy()[x < -9.5] == 0).all() and (y.detach().numpy()[x > 9.5] == x[x > 9.5].astype("f4")).all()
    small = wide.detach().numpy()
    found, exact = erf_array(narrow.detach().numpy()), erf_array(small)
    np.testing.assert_allclose(found, exact, 4e-7, 1e-30)


def test_work_within_a_block_is_not_divided_again(monkeypatch):
    for size in ("ALONE", "SHARED"):
        monkeypatch.setattr(blocks, size, 100)
    monkeypatch.setattr("minitorch.threads.count", 2)
    found = blocks.by_blocks(lambda s: blocks.by_blocks(lambda inner: inner, 1000), 1000)
    assert len(found) == 10 and all(inner == [slice(0, 1000)] for inner in found)
    assert len(blocks.by_blocks(lambda s: s, 1000)) == 10


# ---- elementwise ops of the engine ------------------------------------------------------------------------------

SHAPES = [((60, 50), (60, 50)), ((60, 50), (50,)), ((60, 50), (60, 1)), ((60, 50), (1, 50)), ((3, 20, 50), (20, 1)), ((3000,), (1,)),
          ((1, 3000), (1, 3000)), ((60, 50), ()), ((60, 50), (1, 1))]
FORMULAS = {
    "add": lambda x, y: x + y, "sub": lambda x, y: x - y, "mul": lambda x, y: x * y, "div": lambda x, y: x / (y * y + 1),
    "maximum": minitorch.maximum, "pow": lambda x, y: (x * x + 1) ** y, "numbers": lambda x, y: 2 - x * 2 + y * 0,
    "square": lambda x, y: x.square() + y.exp(),
    "tanh": lambda x, y: x.tanh() * y.sin(), "transposed": lambda x, y: x.transpose(0, -1).tanh() + 1, "compared": lambda x, y: x * (x > y),
    "roots": lambda x, y: (x * x + 1).sqrt() * (x * x + 2).rsqrt() + (y * y + 1).reciprocal() + y.tanh(),
    "used again": lambda x, y: x * x + x * y + x,
}


@pytest.fixture
def small_is_large(monkeypatch):
    """Blocks on three threads for arrays that tests like; how often that was chosen."""
    for size in ("ALONE", "SHARED"):
        monkeypatch.setattr(blocks, size, 100)
    for place in ("call", "plan", "views"):
        monkeypatch.setattr(f"minitorch.autograd.{place}.LARGE", 1000)
    before = minitorch.get_num_threads()
    minitorch.set_num_threads(3)
    calls, by_blocks = [], blocks.by_blocks
    monkeypatch.setattr(blocks, "by_blocks", lambda *args: calls.append(args) or by_blocks(*args))
    yield calls
    minitorch.set_num_threads(before)


@pytest.mark.parametrize("loops", ["auto", "never"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shapes", SHAPES, ids=str)
@pytest.mark.parametrize("name", FORMULAS)
def test_large_arrays_and_their_gradients_by_blocks(name, shapes, dtype, loops, small_is_large):
    rng = np.random.default_rng(0)
    given, found = [rng.normal(size=s).astype(dtype) for s in shapes], []
    for n in (3, 1):
        minitorch.set_num_threads(n)
        blocks.SHARED = blocks.ALONE = 100 if n == 3 else 1 << 30
        x, y = (minitorch.tensor(a, requires_grad=True) for a in given)
        with backends.using(loops=loops if n == 3 else "never"):
            z = FORMULAS[name](x, y)
            z.backward(minitorch.tensor(np.random.default_rng(1).normal(size=z.shape).astype(dtype)))
        found.append([z.detach().numpy(), *[t.grad.numpy() for t in (x, y) if t.grad is not None]])
    assert small_is_large
    for a, b in zip(*found):
        assert a.dtype == b.dtype == dtype
        np.testing.assert_allclose(a, b, 1e-6 if dtype == "float32" else 1e-14, 1e-5 if dtype == "float32" else 1e-13)


def test_large_arrays_are_written_in_place_without_a_copy(small_is_large):
    x, y = np.random.default_rng(0).normal(size=(2, 60, 50)).astype("f4")
    t, u = minitorch.tensor(x), minitorch.tensor(y)
    address, view = t.array.ctypes.data, t[1:]
    writes = [(lambda: t.add_(u), lambda x: x + y), (lambda: t.mul_(3), lambda x: x * 3), (lambda: t.sub_(u[0]), lambda x: x - y[0]),
              (lambda: view.div_(u[1:] + 9), lambda x: np.concatenate([x[:1], x[1:] / (y[1:] + 9)])), (lambda: t.mul_(t), lambda x: x * x),
              (lambda: t.relu_(), lambda x: np.maximum(x, 0))]
    for write, by_numpy in writes:
        expected, version, calls = by_numpy(t.numpy().copy()), t._version, len(small_is_large)
        write()
        np.testing.assert_array_equal(t.numpy(), expected)
        assert t.array.ctypes.data == address and t._version == version + 1 and len(small_is_large) > calls


def test_in_place_writes_that_may_not_go_by_blocks(small_is_large):
    base = np.arange(4001.0)
    t, shifted = minitorch.from_numpy(base[:-1]), minitorch.from_numpy(base[1:])         # they share memory
    t.add_(shifted)
    np.testing.assert_array_equal(base[:-1], np.arange(4000.0) * 2 + 1)
    x = minitorch.ones(60, 50, requires_grad=True)
    y = x * 2
    y.mul_(3)                                        # recorded
    y.sum().backward()
    assert (x.grad == 6).all()
    with pytest.raises(RuntimeError, match="broadcast shape"):
        minitorch.ones(3000).add_(minitorch.ones(2, 3000))
    i = minitorch.ones(3000, dtype=minitorch.int64)
    with pytest.raises(RuntimeError, match="cast"):
        i.add_(minitorch.ones(3000))
    assert i.mul_(2).tolist() == [2] * 3000


ELEMENTWISE = [name for name, call in OPS.items() if call.op is not None and call.op.elementwise]


def value_and_gradients(call, case):
    """What the op makes of a case, and the gradients of its arrays."""
    rng = np.random.default_rng(0)
    args, params = (walk(part, lambda d: d.draw(rng)) for part in case)
    args = [minitorch.tensor(a, requires_grad=a.dtype.kind == "f") if isinstance(a, np.ndarray) else a for a in args]
    y = call(*args, **params)
    if y.requires_grad:
        y.backward(minitorch.tensor(rng.normal(size=y.shape), dtype=y.dtype))
    return [y.detach().numpy(), *[a.grad.numpy() for a in args if isinstance(a, minitorch.Tensor) and a.grad is not None]]


@pytest.mark.parametrize("loops", ["auto", "never"])
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_every_elementwise_op_by_blocks(name, loops, monkeypatch):
    monkeypatch.setattr("minitorch.threads.count", 2)
    for case in OPS[name].cases:
        with backends.using(loops=loops), monkeypatch.context() as patch:
            whole = value_and_gradients(OPS[name], case)
            for size in ("ALONE", "SHARED"):
                patch.setattr(blocks, size, 2)
            for place in ("call", "plan", "views"):
                patch.setattr(f"minitorch.autograd.{place}.LARGE", 1)
            for a, b in zip(value_and_gradients(OPS[name], case), whole, strict=True):
                assert a.dtype == b.dtype
                np.testing.assert_allclose(a, b, 1e-12, 1e-13)


def test_what_is_not_elementwise_after_all_is_computed_at_once(small_is_large):
    x = np.random.default_rng(0).normal(size=(60, 50))
    np.testing.assert_array_equal(blocks.elementwise(lambda a: a.sum(-1), x), x.sum(-1))
    np.testing.assert_array_equal(blocks.elementwise(lambda a, b: (a * b).sum(0, keepdims=True), x, x), (x * x).sum(0, keepdims=True))
    np.testing.assert_array_equal(blocks.elementwise(lambda a, b: a * b, x[:, :1].copy(), x[0]), x[:, :1] * x[0])       # neither has all axes
    with pytest.raises(ValueError, match="broadcast"):
        blocks.elementwise(np.add, x, x[:7])


def test_a_replaced_derivative_is_the_one_that_large_arrays_get(small_is_large, monkeypatch):
    op, x = OPS["tanh"].op, minitorch.zeros(60, 50, requires_grad=True)
    monkeypatch.setattr(op, "vjps", (lambda g, y: g * 3,))
    op.plans.clear()
    try:
        x.tanh().sum().backward()
    finally:
        op.plans.clear()
    assert (x.grad == 3).all()
