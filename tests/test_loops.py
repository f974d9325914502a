"""The compiled loops of the extra `fast` say what the plain forward says: on every case of the table, on large arrays, by any number of threads."""
import importlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("numba")

import minitorch
from minitorch import backends
from minitorch.autograd import loops
from minitorch.autograd.op import Kept
from minitorch.backend import ndarray
from minitorch.cases import walk
from table import cases, check_first, check_second

TOLERANCE = {"float32": 3e-6, "float64": 1e-13}
LOOPED = {looped.op.name: looped for looped in loops.LOOPS}


def arrays_of(y, dropped=()):
    """The arrays of a result: of several, and of what is kept for backward, those named `dropped` left out."""
    if type(y) is Kept:
        return [*arrays_of(y.result), *[a for name, a in sorted(y.extras.items()) if type(a) is ndarray and name not in dropped]]
    return [np.asarray(a) for a in (y if isinstance(y, (tuple, list)) else [y])]


def drawn(case, seed, dtype):
    """A case's arrays and parameters, floats in `dtype`."""
    rng = np.random.default_rng(seed)
    args, params = (walk(part, lambda d: d.draw(rng)) for part in case)
    return tuple([a.astype(dtype) if isinstance(a, ndarray) and a.dtype.kind == "f" else a for a in args]), params


def compare(looped, case, seed, dtype):
    """Whether the loop took the case; AssertionError where it says something else than the plain forward."""
    results = []
    for by in ("loop", "plain"):
        arrays, params = looped.op.bind(*drawn(case, seed, dtype))           # drawn twice: some write to what they get
        with backends.using(loops="always"):
            if not loops.wanted(arrays[looped.by], looped.least, looped.single):
                return False                                                  # integers
            results.append(looped.by_loop(arrays[0], arrays, params) if by == "loop" else looped.plain(*arrays, **params))
    if results[0] is NotImplemented:
        return False
    dropped = {name for name, a in results[0].extras.items() if a is None} if type(results[0]) is Kept else ()      # not needed by the loop
    for fast, plain in zip(*[arrays_of(y, dropped) for y in results], strict=True):
        assert fast.shape == plain.shape and fast.dtype == plain.dtype
        np.testing.assert_allclose(fast, plain, TOLERANCE[dtype], TOLERANCE[dtype])
    return True


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", LOOPED)
def test_a_loop_says_what_the_plain_forward_says(name, dtype):
    looped = LOOPED[name]
    if looped.single and dtype != "float32":
        assert not loops.wanted(np.zeros(10 ** 7, dtype), looped.least, looped.single)
        return
    assert any([compare(looped, case, seed, dtype) for case in looped.op.cases for seed in range(3)])


@pytest.mark.parametrize("case", [c for c in cases() if getattr(c.call, "op", None) and c.call.op.name in LOOPED], ids=lambda c: c.id)
def test_derivatives_hold_by_loops(case):
    args, params = case.draw()
    floats = case.floats((args, params))
    with backends.using(loops="always"):
        if check_first(lambda leaves: case.run((args, params), leaves), floats, np.random.default_rng(1)):
            check_second(lambda leaves: case.run((args, params), leaves), floats, np.random.default_rng(2))


def large():
    """Calls on arrays that are large enough for loops, whose results and gradients must not depend on who computes them."""
    F = minitorch.nn.functional
    return {
        "layer_norm": lambda x: F.layer_norm(x, (x.shape[1],), x[0].detach() + 1, x[1].detach()),
        "gelu": F.gelu,
        "gelu, tanh": lambda x: F.gelu(x, approximate="tanh"),
        "rms_norm": lambda x: F.rms_norm(x, (x.shape[1],), x[0].detach() + 1),
        "max_pool2d": lambda x: F.max_pool2d(x.reshape(47, 11, 13, 10), 2),
        "max_pool2d, overlapping": lambda x: F.max_pool2d(x.reshape(47, 11, 13, 10), 3, 2, 1),
        "avg_pool2d": lambda x: F.avg_pool2d(x.reshape(47, 11, 13, 10), 2),
        "avg_pool1d": lambda x: F.avg_pool1d(x, 5, 2, 2),
        "softmax": lambda x: F.softmax(x, -1),
        "log_softmax": lambda x: F.log_softmax(x, -1),
        "cross_entropy": lambda x: F.cross_entropy(x, minitorch.arange(517) % 130, reduction="none"),
        "attention": lambda x: F.scaled_dot_product_attention(*(x.reshape(10, 517, 13)[i:i + n] for i, n in ((0, 4), (4, 4), (6, 4)))),
        "attention, several sizes": lambda x: F.scaled_dot_product_attention(
            *(x.reshape(-1)[i * 9000:][:4 * n].reshape(2, 2, n // 70, 70) for i, n in ((0, 4200), (2, 6300), (4, 6300))), is_causal=True),
        "attention of one query": lambda x: F.scaled_dot_product_attention(
            *(x.reshape(10, 517, 13)[i:i + 3, -n:] for i, n in ((0, 1), (3, 517), (6, 517)))),
        "causal attention": lambda x: F.scaled_dot_product_attention(
            *(x.reshape(1, 10, 517, 13)[:, i:i + n] for i, n in ((0, 6), (6, 2), (8, 2))), is_causal=True, enable_gqa=True),
        "attention where some see nothing": lambda x: F.scaled_dot_product_attention(
            *(x.reshape(10, 517, 13)[i:i + 3] for i in (0, 3, 6)), (minitorch.arange(517) % 7 > 1)[:, None] & (minitorch.arange(517) % 5 > 1)),
        "conv2d": lambda x: F.conv2d(x.reshape(13, 10, 47, 11), x[:3].reshape(3, 10, 13, 1)[:, :, :3], x[4, :3], padding=1),
        "conv2d, strides and groups": lambda x: F.conv2d(x.reshape(13, 10, 47, 11), x[:2].reshape(-1)[:180].reshape(20, 1, 3, 3), None, 2, 2, 2, 10),
        "conv2d, depthwise": lambda x: F.conv2d(x.reshape(13, 10, 47, 11), x[:1].reshape(-1)[:90].reshape(10, 1, 3, 3), x[4, :10], 1, 1, 1, 10),
        "conv2d, one tap": lambda x: F.conv2d(x.reshape(13, 10, 47, 11), x[:1].reshape(-1)[:60].reshape(6, 10, 1, 1), x[4, :6]),
        "conv2d, few positions": lambda x: F.conv2d(x[:480].reshape(10, 390, 4, 4), x[:162].reshape(6, 390, 3, 3), padding=1),
        "conv2d, more channels than positions": lambda x: F.conv2d(
            x[:60].reshape(-1)[:6480].reshape(6, 120, 3, 3), x.reshape(-1)[-43200:].reshape(160, 30, 3, 3).repeat(1, 4, 1, 1), x.reshape(-1)[:160]),
        "conv2d, rows of large images": lambda x: F.conv2d(
            x[:200].reshape(1, 10, 52, 50).repeat(1, 3, 2, 3), x.reshape(-1)[:8100].reshape(30, 30, 3, 3)),
        "batch_norm": lambda x: F.batch_norm(x.reshape(47, 11, 130), None, None, x[0, :11].detach(), None, training=True),
        "batch_norm, eval": lambda x: F.batch_norm(x.reshape(47, 11, 13, 10), x[0, :11].detach(), x[1, :11].detach() ** 2, x[2, :11].detach()),
        "logsumexp": lambda x: x.logsumexp(1),
        "std": lambda x: x.std(1),
        "var of all": lambda x: x.var(),
        "amax": lambda x: x.mul(2).round().amax(1),
        "norm": lambda x: x.norm(dim=1),
        "1-norm": lambda x: x.norm(1, dim=1),
        "prod": lambda x: (x.sigmoid() + 0.5).prod(1),
        **{name: getattr(F, name) for name in ("relu", "leaky_relu", "sigmoid", "silu", "tanh", "elu", "selu", "softplus", "logsigmoid",
                                                "hardswish")},
        **{f"{name}, {how}": lambda x, f=getattr(F, name), how=how: f(x, x.flip(0), reduction=how)
           for name in ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss") for how in ("mean", "none")},
        "prelu": lambda x: F.prelu(x, x[0]),
        "prelu of images": lambda x: F.prelu(x.reshape(47, 11, 13, 10), x[0, :11]),
        "prelu, one slope": lambda x: F.prelu(x, x[0, :1]),
        "sign": lambda x: x * x.sign(),
        "abs": minitorch.abs,
        "interpolate": lambda x: F.interpolate(x.reshape(1, 47, 130, 11), scale_factor=2),
        "interpolate, bilinear": lambda x: F.interpolate(x.reshape(1, 47, 130, 11), (97, 33), mode="bilinear"),
        "interpolate, bicubic": lambda x: F.interpolate(x.reshape(1, 47, 130, 11), (97, 33), mode="bicubic"),
        **{f"binary_cross_entropy_with_logits, {how}": lambda x, how=how: F.binary_cross_entropy_with_logits(x, x.flip(0).sigmoid(), reduction=how)
           for how in ("mean", "none")},
        "lerp": lambda x: x.lerp(x.flip(0), 0.3) + x.lerp(x.flip(1), 0.8),
        "addcmul": lambda x: x.addcmul(x.flip(0), x.flip(1), value=0.5),
        "mish": F.mish,
        "softplus, low threshold": lambda x: F.softplus(x, 2, 0.5),
        "erf": minitorch.erf,
        "embedding": lambda x: F.embedding(minitorch.arange(1000) ** 2 % 517, x),
        "rows picked from many": lambda x: x.reshape(5170, 13)[minitorch.arange(-4000, 4000) ** 2 % 5170 - 5170],
        "lgamma": lambda x: minitorch.lgamma(x * x + 0.1),
        "digamma": lambda x: minitorch.digamma(x * x + 0.1),
        "LSTM": lambda x: recurrent("LSTM", x[:480].reshape(60, 8, 130)),
        "LSTM, large": lambda x: recurrent("LSTM", x[:512].reshape(16, 32, 130), 68),
        "GRU": lambda x: recurrent("GRU", x[:480].reshape(60, 8, 130)),
        "GRU, large": lambda x: recurrent("GRU", x[:512].reshape(16, 32, 130), 68),
        "columns picked": lambda x: x.reshape(47, 1430).index_select(1, minitorch.arange(1000) ** 2 % 1430),
    }


def share_small_work(monkeypatch):
    """Let loops give to other threads what would not be worth it."""
    for file in Path(minitorch.__file__).parent.glob("loops/[a-z]*.py"):
        module = importlib.import_module(f"minitorch.loops.{file.stem}")
        if isinstance(getattr(module, "LEAST", None), int):
            monkeypatch.setattr(module, "LEAST", min(module.LEAST, 1 << 13))


def recurrent(kind, x, hidden=17):
    """The outputs of a bidirectional layer with weights that are the same at every call."""
    layer = getattr(minitorch.nn, kind)(x.shape[2], hidden, bidirectional=True)
    rng = np.random.default_rng(5)
    with minitorch.no_grad():
        for p in layer.parameters():
            p.copy_(minitorch.tensor(rng.normal(size=p.shape) * 0.1, dtype=p.dtype))
    return layer(x)[0]


def gradient(f, x):
    """f's result and its gradient, for one random cotangent."""
    x = x.clone().requires_grad_()
    y = f(x)
    y.backward(minitorch.tensor(np.random.default_rng(3).normal(size=y.shape), dtype=y.dtype))
    return y.detach().numpy(), x.grad.numpy()


@pytest.mark.parametrize("name", large())
def test_large_arrays_by_any_number_of_threads(name, monkeypatch):
    f, before = large()[name], minitorch.get_num_threads()
    share_small_work(monkeypatch)
    x = minitorch.tensor(np.random.default_rng(4).normal(size=(517, 130)), dtype=minitorch.float32)
    with backends.using(loops="never"):
        plain = gradient(f, x)
    try:
        for n, blas in (1, "numpy"), (2, "mkl"), (5, "auto"):
            minitorch.set_num_threads(n)
            with backends.using(blas=blas):
                for fast, slow in zip(gradient(f, x), plain):
                    np.testing.assert_allclose(fast, slow, 1e-5, 2e-6 * max(1, abs(slow).max()))
    finally:
        minitorch.set_num_threads(before)


def gradients_of_a_layer(kind, hidden, inputs, weights):
    """Outputs of 33 sequences of 40 steps, in both directions, and the gradients of the inputs and the weights that are to have one."""
    rng = np.random.default_rng(6)
    x = minitorch.tensor(rng.normal(size=(40, 33, 20)), dtype=minitorch.float32, requires_grad=inputs)
    layer = getattr(minitorch.nn, kind)(20, hidden, bidirectional=True).requires_grad_(weights)
    with minitorch.no_grad():
        for p in layer.parameters():
            p.copy_(minitorch.tensor(rng.normal(size=p.shape) * 0.1, dtype=p.dtype))
    y, last = layer(x)
    (y * minitorch.tensor(rng.normal(size=y.shape), dtype=y.dtype)).sum().backward()
    got = [p.grad for p in (x, *layer.parameters())]
    assert [g is not None for g in got] == [inputs] + [weights] * 8
    return [t.detach().numpy() for t in (y, *(last if kind == "LSTM" else (last,)), *got) if t is not None]


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
@pytest.mark.parametrize("hidden, inputs, weights", [(64, True, True), (30, True, True), (64, False, True), (30, True, False)])
def test_gradients_of_a_recurrent_layer_by_any_number_of_threads(kind, hidden, inputs, weights, monkeypatch):
    share_small_work(monkeypatch)
    before = minitorch.get_num_threads()
    with backends.using(loops="never"):
        plain = gradients_of_a_layer(kind, hidden, inputs, weights)
    try:
        for n, blas in (1, "numpy"), (1, "mkl"), (2, "mkl"), (5, "auto"):
            minitorch.set_num_threads(n)
            with backends.using(blas=blas):
                for fast, slow in zip(gradients_of_a_layer(kind, hidden, inputs, weights), plain, strict=True):
                    np.testing.assert_allclose(fast, slow, 1e-5, 2e-6 * max(1, abs(slow).max()))
    finally:
        minitorch.set_num_threads(before)


@pytest.mark.parametrize("shape", [(40, 256), (40, 272), (600, 512)], ids=str)
@pytest.mark.parametrize("rows", [1, 16, 17, 40])
@pytest.mark.parametrize("blas", ["mkl", "numpy"])
@pytest.mark.parametrize("turned", [False, True])
def test_products_with_prepared_matrices(shape, rows, blas, turned):
    from minitorch.loops import gemm, loop

    @loop
    def apply(x, w, y):
        gemm.multiply(x, w, y)
    rng = np.random.default_rng(0)
    w = rng.normal(size=shape).astype("f4")
    w = np.ascontiguousarray(w.T).T if turned else w
    with backends.using(blas=blas):
        for exactly, some in (True, (rows, rows + 1)), (False, (1, rows, rows + 30)):
            prepared = gemm.prepared(w, rows, exactly)
            for n in some:
                x, y = rng.normal(size=(n, shape[0])).astype("f4"), rng.normal(size=(n, shape[1])).astype("f4")
                expected = y + x.astype("f8") @ w
                apply(x, prepared, y)
                np.testing.assert_allclose(y, expected, 1e-6, 2e-7 * (10 + shape[0]))            # rounded at each of so many sums


OPTIMIZERS = [("Adam", {}), ("Adam", {"weight_decay": 0.1, "amsgrad": True}), ("Adam", {"maximize": True, "betas": (0.5, 0.9), "eps": 1e-3}),
              ("AdamW", {"weight_decay": 0.1}), ("SGD", {}), ("SGD", {"weight_decay": 0.1, "maximize": True}),
              ("SGD", {"momentum": 0.9, "dampening": 0.2}), ("SGD", {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1})]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name, options", OPTIMIZERS, ids=str)
def test_steps_of_optimizers_by_loops(name, options, dtype):
    paths = []
    for by in ("auto", "never"):
        rng = np.random.default_rng(0)
        x, matrix = (minitorch.tensor(rng.normal(size=shape), dtype=getattr(minitorch, dtype), requires_grad=True) for shape in ((5000,), (70, 90)))
        optimizer = getattr(minitorch.optim, name)([x, matrix], lr=0.03, **options)
        with backends.using(loops=by):
            for _ in range(5):
                x.grad = minitorch.tensor(rng.normal(size=5000), dtype=x.dtype)
                matrix.grad = minitorch.tensor(rng.normal(size=(90, 70)), dtype=x.dtype).T      # NumPy takes this one, contiguous at no time
                optimizer.step()
        paths.append([x, matrix, *[v for state in optimizer.state.values() for v in state.values()]])
    assert np.abs(paths[0][0].detach().numpy() - np.random.default_rng(0).normal(size=5000)).max() > 0.01
    for fast, slow in zip(*paths, strict=True):
        np.testing.assert_allclose(fast.detach().numpy(), slow.detach().numpy(), TOLERANCE[dtype], TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("right", [False, True])
def test_positions_in_a_sorted_sequence(right, dtype):
    rng = np.random.default_rng(0)
    for row in ([], [1], [1, 1], rng.integers(0, 50, 37), rng.normal(size=64), [-np.inf, 0, 0, np.inf, np.nan, np.nan]):
        row = np.sort(np.asarray(row, dtype))
        x = np.concatenate([row, row + 1, [np.nan, np.inf, -np.inf, 0, -0.0], rng.normal(size=100) * 20]).astype(dtype).reshape(1, -1)
        with backends.using(loops="always"):
            found = minitorch.searchsorted(minitorch.tensor(row), minitorch.tensor(x), right=right)
        np.testing.assert_array_equal(found.numpy(), row.searchsorted(x, side="right" if right else "left"))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_numbers_on_the_edges_of_bins(dtype, monkeypatch):
    share_small_work(monkeypatch)
    for low, high, n in ((0, 1, 10), (-0.3, 0.7, 49), (1e-3, 1e5, 7), (-1, 1, 1)):
        edges = np.linspace(low, high, n + 1).astype(dtype)
        x = np.concatenate([edges, np.nextafter(edges, edges.dtype.type(9)), edges + 1, [np.nan, np.inf, -np.inf]])
        x = np.tile(x.astype(dtype), 300)
        with backends.using(loops="always"):
            found = minitorch.histc(minitorch.tensor(x), n, low, high)
        np.testing.assert_array_equal(found.numpy(), np.histogram(x.astype("f8"), n, (low, high))[0])


def test_functions_of_one_number():
    from minitorch.loops import functions, loop

    @loop
    def apply(x, exp, tanh, erf, sigmoid, decay, expm1, softplus):
        for i in range(x.size):
            exp[i], tanh[i], erf[i], sigmoid[i] = functions.exp(x[i]), functions.tanh(x[i]), functions.erf(x[i]), functions.sigmoid(x[i])
            decay[i], expm1[i], softplus[i] = functions.decay(x[i]), functions.expm1(x[i]), functions.softplus(x[i])
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(size=10 ** 5) * scale for scale in (1e-3, 0.1, 1, 30)] + [np.linspace(-87.3, 88.7, 10 ** 5)]).astype("f4")
    special = np.array([np.nan, np.inf, -np.inf, 0, -0.0, 1e30, -1e30, 88.8, -88, -200], "f4")
    ys = [np.empty_like(x) for _ in range(7)]
    apply(x, *ys)
    wide = x.astype("f8")
    with np.errstate(over="ignore"):
        np.testing.assert_allclose(ys[0], np.exp(wide).astype("f4"), 2e-7, 1.2e-38)
        np.testing.assert_allclose(ys[5], np.expm1(wide).astype("f4"), 3e-7)
    np.testing.assert_allclose(ys[6], np.logaddexp(0, wide), 3e-7, 1.2e-38)
    np.testing.assert_allclose(ys[1], np.tanh(wide), 4e-7)
    np.testing.assert_allclose(ys[4][x <= 0], np.exp(wide[x <= 0]), 2e-7, 1.2e-38)
    np.testing.assert_allclose(ys[2], minitorch.erf(wide), 0, 3e-7)
    np.testing.assert_allclose(ys[3], 1 / (1 + np.exp(-wide)), 3e-7, 1.2e-38)
    ys = [np.empty_like(special) for _ in range(7)]
    apply(special, *ys)
    np.testing.assert_allclose(ys[0], [np.nan, np.inf, 0, 1, 1, np.inf, 0, np.inf, 0, 0], 0, 1.2e-38)
    np.testing.assert_allclose(ys[1], [np.nan, 1, -1, 0, 0, 1, -1, 1, -1, -1], 0, 1.2e-38)
    np.testing.assert_allclose(ys[2], [np.nan, 1, -1, 0, 0, 1, -1, 1, -1, -1], 0, 1.2e-38)
    np.testing.assert_allclose(ys[4][[0, 2, 3, 4, 6, 8, 9]], [np.nan, 0, 1, 1, 0, 0, 0], 0, 1.2e-38)
    np.testing.assert_allclose(ys[5], [np.nan, np.inf, -1, 0, 0, np.inf, -1, np.inf, -1, -1], 1e-7)
    np.testing.assert_allclose(ys[6], [np.nan, np.inf, 0, np.log(2), np.log(2), 1e30, 0, 88.8, 0, 0], 3e-7, 1.2e-38)
    np.testing.assert_allclose(ys[3], [np.nan, 1, 0, 0.5, 0.5, 1, 0, 1, 0, 0], 0, 1.2e-38)


def test_small_arrays_do_not_import_numba():
    code = "import sys, minitorch as t; t.nn.LayerNorm(8)(t.randn(4, 8)).sum().backward(); assert 'numba' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
