"""Ops and whole models on the CUDA kernels, in the simulator: the same numbers as NumPy's, and the kernels really ran."""
import numpy as np
import pytest
from table import cases, leaf

import minitorch
from minitorch import autograd, backends, kernels, nn
from minitorch.autograd import routes
from minitorch.autograd.op import OPS
from minitorch.nn import functional as F

ROUTED = {route.op.call.__name__: route for route in routes.ROUTES}
CASES = [c for c in cases() if c.name in ROUTED]
RANDOM = {name for name in OPS if name.startswith(("rand", "bernoulli", "multinomial", "gumbel"))}


def run(case, dtype):
    """([results], [gradients]) as arrays."""
    drawn, rng = case.draw(), np.random.default_rng(2)
    xs = [leaf(a.astype(dtype)) for a in case.floats(drawn)]
    ys = case.run(drawn, xs)
    total = None
    for y in ys:
        if y.requires_grad:
            term = (y * minitorch.tensor(rng.normal(size=y.shape), dtype=y.dtype)).sum()
            total = term if total is None else total + term
    gs = autograd.grad(total, xs, allow_unused=True) if total is not None else []
    return [y.array for y in ys], [None if g is None else g.array for g in gs]


def near(found, expected, tolerance):
    """Every entry within `tolerance` of the largest."""
    assert len(found) == len(expected)
    for a, b in zip(found, expected):
        assert (a is None) == (b is None)
        if a is not None:
            assert a.dtype == b.dtype and a.shape == b.shape
            a, b = np.asarray(a, "f8"), np.asarray(b, "f8")
            assert np.abs(a - b).max(initial=0) <= tolerance * max(np.abs(b).max(initial=0), 1e-3)


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.id)
def test_an_op_on_its_kernel_agrees_with_numpy(case):
    expected = run(case, "f4")
    with kernels.simulated():
        found = run(case, "f4")
    for a, b in zip(found, expected):
        near(a, b, 1e-4)


def test_functions_made_of_such_ops_agree_too():
    """Every case of every other function of the table, float32; those that launch nothing have nothing to say."""
    launched, wrong = set(), []
    for case in [c for c in cases() if c.name not in ROUTED and c.name not in RANDOM]:
        with kernels.simulated(), kernels.launches() as ran:
            found = run(case, "f4")
        if ran:
            launched.add(case.name)
            try:
                for a, b in zip(found, run(case, "f4")):
                    near(a, b, 2e-4)
            except AssertionError as error:
                wrong.append(f"{case.id}: {error}")
    assert not wrong
    assert launched >= {"conv_transpose2d", "group_norm", "addmm", "embedding_bag", "avg_pool2d", "softmax"}, launched


@pytest.fixture(scope="module")
def taken():
    """The names of ops that took their kernel while the cases of all of them ran forward and backward."""
    found = set()

    def noting(route, kernel):
        def call(*args, **params):
            with kernels.launches(run=False) as ran:
                y = kernel(*args, **params)
            if ran:
                found.add(route.op.call.__name__)
            return y
        return call
    before = {route: route.kernel for route in routes.ROUTES}
    for route, kernel in before.items():
        route.kernel = noting(route, kernel)
    try:
        with kernels.simulated(), np.errstate(all="ignore"):             # nothing is launched: results hold what memory held
            for case in CASES:
                run(case, "f4")
    finally:
        for route, kernel in before.items():
            route.kernel = kernel
    return found


@pytest.mark.parametrize("name", ROUTED)
def test_the_kernel_of_an_op_really_runs(name, taken):
    assert name in taken, f"no case of {name} took its kernel, forward or backward"


@pytest.mark.parametrize("dtype", [minitorch.float16, minitorch.bfloat16])
def test_a_kernel_sees_16_bit_floats_as_they_are(dtype):
    x = minitorch.tensor(np.linspace(-2, 2, 21).reshape(3, 7), dtype=dtype).requires_grad_()
    expected = F.softmax(x, -1)
    with kernels.simulated(), kernels.launches() as ran:
        y = F.softmax(x, -1)
        (g,) = autograd.grad((y * y).sum(), [x])
    assert len(ran) == 2 and all(k.define["scalar"] == {"float16": "half", "bfloat16": "bf16"}[dtype.name] for k, *_ in ran)
    assert y.dtype is dtype and g.dtype is dtype
    near([y.array], [expected.array], 2 * minitorch.finfo(dtype).eps)


def test_arrays_are_made_contiguous_for_a_kernel():
    x = minitorch.tensor(np.random.default_rng(0).normal(size=(5, 8)).astype("f4"))
    expected = F.softmax(x.T[::2], -1)
    with kernels.simulated(), kernels.launches() as ran:
        y = F.softmax(x.T[::2], -1)
    assert ran.names
    near([y.array], [expected.array], 1e-5)


def test_what_a_kernel_does_not_do_is_left_to_numpy():
    x = minitorch.tensor(np.random.default_rng(0).normal(size=(3, 4)).astype("f4"))
    with kernels.simulated(), kernels.launches() as ran:
        near([F.softmax(x, 0).array], [F.softmax(x.T.clone(), 1).T.array], 1e-6)
        assert len(ran) == 1                         # the second alone: along the last axis
        whole = minitorch.tensor([[1, 2], [3, 4]])
        assert (whole @ whole).tolist() == [[7, 10], [15, 22]]
        F.softmax(minitorch.zeros(0, 4), 1)
    assert len(ran) == 1


def test_without_simulated_nothing_is_routed():
    x = minitorch.ones(2, 3)
    with kernels.simulated():
        assert all(r.op.forward is r for r in routes.ROUTES)
        with kernels.simulated():
            pass
        assert all(r.op.forward is r for r in routes.ROUTES)
    assert all(r.op.forward is r.plain and r.op.narrow is None for r in routes.ROUTES) or routes.users
    with kernels.launches() as ran:
        F.softmax(x, -1)
    assert not ran


def test_another_thread_is_not_simulated():
    from threading import Thread
    with kernels.simulated(), kernels.launches() as ran:
        thread = Thread(target=lambda: F.softmax(minitorch.ones(2, 3), -1))
        thread.start()
        thread.join()
    assert not ran


def test_double_backward_through_kernels():
    x = leaf(np.random.default_rng(3).normal(size=(3, 5)))

    def second():
        (g,) = autograd.grad((F.softmax(x, -1) ** 2).sum(), [x], create_graph=True)
        return autograd.grad((g * g).sum(), [x])[0].array
    expected = second()
    with kernels.simulated(), kernels.launches() as ran:
        found = second()
    assert ran.names.count("softmax_backward_held") and len(ran) > 2
    near([found], [expected], 1e-10)


def test_dropout_draws_on_the_kernel_and_repeats_with_its_seed():
    x = minitorch.ones(40, 50).requires_grad_()

    def draw():
        minitorch.manual_seed(5)
        y = F.dropout(x, 0.3)
        return y.array, autograd.grad(y.sum(), [x])[0].array
    with kernels.simulated(), kernels.launches() as ran:
        y, g = draw()
        again, _ = draw()
    assert ran.names == ["dropout"] and len(ran) == 4
    np.testing.assert_array_equal(y, g)              # of ones: the same mask forward and backward
    np.testing.assert_array_equal(y, again)
    assert set(np.unique(y)) == {np.float32(0), np.float32(1 / 0.7)} and abs((y > 0).mean() - 0.7) < 0.05


def test_attention_drops_on_its_kernel():
    rng = np.random.default_rng(0)
    q, k, v = (minitorch.tensor(rng.normal(size=(1, 2, 8, 8)).astype("f4")).requires_grad_() for _ in range(3))

    def draw(p):
        minitorch.manual_seed(5)
        y = F.scaled_dot_product_attention(q, k, v, dropout_p=p)
        return [y.array, *(g.array for g in autograd.grad((y * y).sum(), [q, k, v]))]
    with kernels.simulated(), kernels.launches() as ran:
        first, second, without = draw(0.5), draw(0.5), draw(0.0)
    assert any(name.startswith("attention_backward") for name in ran.names)
    near(first, second, 1e-6)
    assert np.abs(first[0] - without[0]).max() > 0.1


# ---- the choice of families -----------------------------------------------------------------------------------

def test_a_family_can_be_left_to_the_library():
    x = minitorch.ones(2, 3)
    with kernels.simulated(), kernels.launches() as ran:
        with backends.using(softmax="library"):
            F.softmax(x, -1)
            assert not ran and backends.softmax == "library"
        backends.softmax = "library"
        try:
            F.softmax(x, -1)
            assert not ran
        finally:
            backends.softmax = "auto"
        F.softmax(x, -1)
    assert len(ran) == 1 and minitorch.backends.softmax == "auto"


def test_wrong_choices_are_refused():
    with pytest.raises(ValueError, match=r"minitorch.backends.softmax must be one of auto, kernel, library, not 'cublas'"):
        backends.softmax = "cublas"
    with pytest.raises(AttributeError, match=r"no family 'softmaxx'.*softmax"):
        backends.softmaxx = "kernel"
    with pytest.raises(AttributeError, match=r"no family 'softmaxx'"):
        _ = backends.softmaxx
    with pytest.raises(ValueError, match="softmax"), backends.using(matmul="kernel", softmax=1):
        pass
    assert backends.matmul == "auto"
    with pytest.raises(ValueError, match="unknown family 'nothing'"):
        OPS["softmax_over"].kernel("nothing")(None)


def test_on_a_gpu_auto_is_a_table():
    assert not backends.takes_kernel("matmul", simulated=False) and backends.takes_kernel("matmul", simulated=True)
    assert backends.takes_kernel("softmax", simulated=False)
    with backends.using(matmul="kernel"):
        assert backends.takes_kernel("matmul", simulated=False)


def test_importing_minitorch_imports_no_kernels():
    import subprocess
    import sys
    code = ("import sys, minitorch; minitorch.softmax(minitorch.ones(2, 3), -1); "
            "assert not [m for m in sys.modules if m.startswith('minitorch.kernels')]")
    subprocess.run([sys.executable, "-c", code], check=True)


# ---- whole models ---------------------------------------------------------------------------------------------

def step(model, loss_of):
    """(loss, {name: gradient}) of one forward and backward pass."""
    model.zero_grad()
    loss = loss_of(model)
    loss.backward()
    return float(loss.array), {name: p.grad.array.copy() for name, p in model.named_parameters()}


def same_gradients(model, loss_of, wanted):
    """A training step's gradients on the kernels and on NumPy, to 1e-4 of the largest; `wanted`: kernels that must have run."""
    loss, expected = step(model, loss_of)
    with kernels.simulated(), kernels.launches() as ran:
        found_loss, found = step(model, loss_of)
    assert abs(loss - found_loss) < 1e-5 * abs(loss)
    largest = max(np.abs(g).max() for g in expected.values())
    for name, g in expected.items():
        assert np.abs(found[name] - g).max() <= 1e-4 * largest, name
    for kernel in wanted:
        assert any(name.startswith(kernel) for name in ran.names), f"{kernel} did not run: {ran.names}"


def test_the_network_of_the_digits():
    import sys
    from pathlib import Path
    sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))
    try:
        from digits import Net
    finally:
        sys.path.pop(0)
    minitorch.manual_seed(0)
    model, rng = Net(8, 8).eval(), np.random.default_rng(0)               # without dropout, which draws other numbers on a kernel
    x = minitorch.tensor(rng.normal(size=(3, 1, 8, 8)).astype("f4"))
    t = minitorch.tensor(rng.integers(0, 10, 3))
    same_gradients(model, lambda m: F.cross_entropy(m(x), t), ["conv_forward", "conv_input_gradient", "conv_weight", "max_pool", "max_pool_backward",
                                                                   "matmul", "cross_entropy"])


class Block(nn.Module):
    """A layer of a transformer: attention and a perceptron, normalised before, with a way around both."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        N, L, width = x.shape
        q, k, v = self.qkv(self.first(x)).reshape(N, L, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)        # (N, heads, L, width / heads)
        x = x + self.out(y.transpose(1, 2).reshape(N, L, width))
        return x + self.down(F.gelu(self.up(self.second(x))))


class Transformer(nn.Module):
    """Predicts the next of `words` tokens."""

    def __init__(self, words, width, heads, layers, length):
        super().__init__()
        self.words, self.places = nn.Embedding(words, width), nn.Embedding(length, width)
        self.blocks, self.norm, self.head = nn.Sequential(*[Block(width, heads) for _ in range(layers)]), nn.LayerNorm(width), nn.Linear(width, words)

    def forward(self, tokens):
        x = self.words(tokens) + self.places(minitorch.arange(tokens.shape[1]))
        return self.head(self.norm(self.blocks(x)))


def test_a_transformer():
    minitorch.manual_seed(0)
    model, rng = Transformer(11, 16, 2, 2, 6), np.random.default_rng(0)
    tokens = minitorch.tensor(rng.integers(0, 11, (2, 7)))
    same_gradients(model, lambda m: F.cross_entropy(m(tokens[:, :-1]).reshape(-1, 11), tokens[:, 1:].reshape(-1)),
                   ["embedding_forward", "embedding_backward", "layer_norm", "layer_norm_backward", "attention_forward",
                    "attention_backward", "matmul", "bias_activation_forward", "bias_activation_backward", "cross_entropy"])


@pytest.mark.parametrize("make", [lambda ps: minitorch.optim.Adam(ps, lr=0.1, weight_decay=0.1), lambda ps: minitorch.optim.AdamW(ps, amsgrad=True),
                                  lambda ps: minitorch.optim.AdamW(ps, maximize=True, betas=(0.5, 0.9))])
@pytest.mark.parametrize("dtype", [minitorch.float32, minitorch.float64, minitorch.bfloat16])
def test_adam_moves_all_parameters_in_one_launch(make, dtype):
    def train(simulated):
        rng = np.random.default_rng(0)
        params = [leaf(rng.normal(size=shape)).detach().to(dtype).requires_grad_() for shape in ((3, 4), (5,), ())]
        optimizer = make(params)
        for i in range(3):
            for p in params[i == 1:]:                # one is younger than the others
                p.grad = minitorch.tensor(rng.normal(size=p.shape), dtype=dtype)
            if simulated:
                with kernels.simulated(), kernels.launches() as ran:
                    optimizer.step()
                assert ran.names == ["adam"] and len(ran) == (2 if i == 2 else 1)
            else:
                optimizer.step()
            optimizer.zero_grad()
        return [p.detach() for p in params], optimizer.state_dict()
    (expected, state), (found, other) = train(False), train(True)
    near([p.array for p in found], [p.array for p in expected], 2e-2 if dtype is minitorch.bfloat16 else 1e-5)
    assert other["state"].keys() == state["state"].keys()
    for i in state["state"]:
        assert float(other["state"][i]["step"].array) == float(state["state"][i]["step"].array)
