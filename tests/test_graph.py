"""What a graph keeps and when it lets go: memory, cycles, hooks on saved tensors, checkpointing, checksums."""
import contextlib
import gc
import weakref

import numpy as np
import pytest

import minitorch as mt
from minitorch.autograd import graph
from minitorch.utils.checkpoint import CheckpointError, checkpoint, checkpoint_sequential


@contextlib.contextmanager
def no_collector():
    """Whatever is freed inside is freed by reference counting; and nothing is left for the collector."""
    for _ in range(10):                              # what earlier tests left, and what its finalizers leave in their turn
        if not gc.collect():
            break
    gc.disable()
    try:
        yield
        assert gc.collect() == 0
    finally:
        gc.enable()


def nodes(*tensors):
    """Every node that the tensors depend on."""
    from minitorch.autograd.engine import reachable
    return reachable([t.grad_fn for t in tensors])


def kept(*tensors):
    """Bytes of the arrays that the graph of the tensors keeps for backward."""
    arrays = {id(a): a for node in nodes(*tensors) for a in node.saved[::3] if isinstance(a, np.ndarray)}
    return sum(a.nbytes for a in arrays.values())


# ---- freed by reference counting alone --------------------------------------------------------------------

def test_a_graph_dies_with_its_result():
    x = mt.ones(3, requires_grad=True)
    with no_collector():
        y = (x * 2).exp()
        alive = weakref.ref(y.grad_fn)
        del y
        assert alive() is None


def test_a_chain_of_100_000_ops_is_freed_without_recursion_or_collector():
    x = mt.ones(2, requires_grad=True)
    with no_collector():
        y = x
        for _ in range(100_000):
            y = y * 1.
        first = weakref.ref(y.grad_fn)
        y.sum().backward()
        del y
        assert first() is None
    assert x.grad.tolist() == [1, 1]


def test_a_chain_is_freed_without_recursion_before_backward_too():
    x = mt.ones(2, requires_grad=True)
    with no_collector():
        y = x
        for _ in range(100_000):
            y = y.sin()
        del y


class Square(mt.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        y = x * x
        ctx.save_for_backward(x, y)
        return y

    @staticmethod
    def backward(ctx, g):
        x, y = ctx.saved_tensors
        return g * 2 * x + 0 * y


class Doubled(mt.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        x.mul_(2)
        ctx.mark_dirty(x)
        ctx.save_for_backward(x)
        return x

    @staticmethod
    def backward(ctx, g):
        return g * 2 + 0 * ctx.saved_tensors[0]


def simple(x, w):
    return (x @ w).tanh().exp().sum()


def in_place(x, w):
    h = x @ w
    h.add_(1).mul_(2)
    h[0] = 3.
    h[1:].sin_()
    return h.relu_().sum()


def several(x, w):
    a, b = (x @ w).chunk(2, dim=1)
    values, indices = mt.cat([a, b, a]).max(dim=0)
    return values.sum() + mt.stack([a, b]).sum()


def second_order(x, w):
    y = (x @ w).tanh().sum()
    g, = mt.autograd.grad(y, w, create_graph=True)
    return (g * g).sum()


def hooked(x, w):
    h = x @ w
    h.register_hook(lambda g: g * 2)
    h.retain_grad()
    return h.sigmoid().sum()


def custom(x, w):
    return Square.apply(x @ w).sum() + Doubled.apply((x @ w)[1:]).sum() + Doubled.apply(x @ w).sum()


def checkpointed(x, w):
    return checkpoint(lambda x: (x @ w).tanh().exp(), x).sum()


def indexed(x, w):
    h = x @ w
    return h[:, [0, 1]].sum() + h[h > 0].sum() + h.gather(1, mt.zeros(4, 1, dtype=mt.int64)).sum()


STEPS = [simple, in_place, several, second_order, hooked, custom, checkpointed, indexed]


@pytest.mark.parametrize("step", STEPS, ids=lambda f: f.__name__)
def test_a_training_step_leaves_nothing_to_the_collector(step):
    x, w = mt.randn(4, 3), mt.randn(3, 4, requires_grad=True)
    step(x, w).backward()                            # caches fill up
    w.grad = None
    with no_collector():
        for _ in range(2):
            loss = step(x, w)
            loss.backward()
            with mt.no_grad():
                w -= 0.1 * w.grad
            w.grad = None
        del loss


@pytest.mark.parametrize("step", STEPS, ids=lambda f: f.__name__)
def test_a_step_without_backward_leaves_nothing_to_the_collector(step):
    x, w = mt.randn(4, 3), mt.randn(3, 4, requires_grad=True)
    step(x, w)
    with no_collector():
        step(x, w)


def test_backward_frees_what_was_saved_while_the_loss_lives():
    x = mt.ones(1000, requires_grad=True)
    loss = mt.nn.functional.dropout(x.exp()).sin().sum()
    assert kept(loss) >= 2 * 4000
    loss.backward()
    assert kept(loss) == 0


def test_an_op_that_kept_more_than_its_result_cannot_be_walked_twice():
    loss = mt.nn.functional.dropout(mt.ones(8, requires_grad=True)).sum()
    loss.backward()
    with pytest.raises(RuntimeError, match="second time"):
        loss.backward()


@pytest.mark.parametrize("f, arrays", [
    (lambda x: x + x, 0), (lambda x: x * 2, 0), (lambda x: x.reshape(10, 10).t().sum(0), 0), (lambda x: x.sum() + x.mean(), 0),
    (lambda x: x.exp(), 1), (lambda x: x.tanh(), 1), (lambda x: x.sqrt(), 1), (lambda x: x.relu(), 1), (lambda x: x.sigmoid(), 1),
    (lambda x: x.sin(), 1), (lambda x: x * x, 1), (lambda x: x.softmax(0), 1)])
def test_only_what_a_derivative_names_is_kept(f, arrays):
    x = mt.rand(100, requires_grad=True)
    assert kept(f(x)) == arrays * 400


# ---- hooks on saved tensors -------------------------------------------------------------------------------

def test_saved_tensors_pass_through_the_hooks():
    packed, unpacked = [], []

    def pack(t):
        packed.append(t.tolist())
        return len(packed) - 1, t

    def unpack(pair):
        unpacked.append(pair[0])
        return pair[1]

    x, w = mt.tensor([1., 2.], requires_grad=True), mt.tensor([3., 4.], requires_grad=True)
    with graph.saved_tensors_hooks(pack, unpack):
        y = (x * w).exp()
    assert packed == [[1, 2], [3, 4], y.tolist()] and unpacked == []
    (y * w).sum().backward()
    assert sorted(unpacked) == [0, 1, 2]
    assert np.allclose(x.grad.numpy(), np.exp([3., 8.]) * [9, 16])


def test_what_the_hooks_return_is_used():
    x = mt.tensor([1., 2.], requires_grad=True)
    with graph.saved_tensors_hooks(lambda t: t.tolist(), lambda numbers: mt.tensor(numbers) * 10):
        y = (x * x).sum()
    y.backward()
    assert x.grad.tolist() == [20, 40]


def test_hooks_hold_for_lists_several_outputs_custom_functions_and_second_order():
    def through_lists(t):
        return t.tolist()

    def steps(x):
        a, b = Square.apply(x).split(1)
        return (mt.cat([a * b, b.exp()]).max(dim=0).values * mt.stack([a, b])).sum()

    x = mt.tensor([0.5, 0.25], requires_grad=True)
    expected, = mt.autograd.grad(steps(x), x)
    with graph.saved_tensors_hooks(through_lists, mt.tensor):
        g, = mt.autograd.grad(steps(x), x, create_graph=True)
        g2, = mt.autograd.grad(g.sum(), x)
    h, = mt.autograd.grad(steps(x), x, create_graph=True)
    h2, = mt.autograd.grad(h.sum(), x)
    assert np.allclose(g.tolist(), expected.tolist()) and np.allclose(g2.tolist(), h2.tolist())


def test_only_the_innermost_hooks_are_used():
    seen = []
    x = mt.ones(2, requires_grad=True)
    with graph.saved_tensors_hooks(lambda t: (seen.append("outer"), t)[1], lambda t: t):
        with graph.saved_tensors_hooks(lambda t: (seen.append("inner"), t)[1], lambda t: t):
            x.exp()
        x.exp()
    x.exp()
    assert seen == ["inner", "outer"]


def test_hooks_can_be_forbidden():
    with graph.disable_saved_tensors_hooks("not here"), pytest.raises(RuntimeError, match="not here"):
        graph.saved_tensors_hooks(lambda t: t, lambda t: t).__enter__()
    with graph.saved_tensors_hooks(lambda t: t, lambda t: t):
        pass


def test_an_unpack_hook_must_return_a_tensor():
    x = mt.ones(2, requires_grad=True)
    with graph.saved_tensors_hooks(lambda t: t, lambda t: 3.):
        y = x.exp().sum()
    with pytest.raises(TypeError, match="expected to be a Tensor"):
        y.backward()


def test_saving_on_the_cpu_changes_no_number():
    x = mt.tensor([1., 2.], requires_grad=True)
    with graph.save_on_cpu():
        y = (x * x).sum()
    y.backward()
    assert x.grad.tolist() == [2, 4]


# ---- checkpointing ------------------------------------------------------------------------------------------

def block(x, w):
    return (x @ w).tanh() * mt.nn.functional.dropout(x @ w, 0.5)


def test_a_checkpointed_step_has_the_same_gradients():
    x, w = mt.randn(4, 4, requires_grad=True), mt.randn(4, 4, requires_grad=True)
    results = []
    for run in (block, lambda x, w: checkpoint(block, x, w), lambda x, w: checkpoint(lambda x: block(x, w), x, use_reentrant=True)):
        mt.manual_seed(0)
        loss = run(run(x, w), w).sum()
        results.append([loss.item()] + [g.tolist() for g in mt.autograd.grad(loss, (x, w))] + [mt.rand(()).item()])
    assert results[0] == results[1] == results[2]


def test_a_checkpoint_keeps_only_its_inputs():
    x, w = mt.randn(50, 50, requires_grad=True), mt.randn(50, 50)
    assert kept(checkpoint(block, x, w).sum()) == 0
    assert kept(block(x, w).sum()) >= 3 * x.array.nbytes


def test_a_checkpointed_function_runs_once_more_and_no_more_than_it_must():
    runs = []

    def f(x):
        runs.append("start")
        y = x.exp().sin()
        runs.append("end")
        return y + 1

    x = mt.ones(3, requires_grad=True)
    checkpoint(f, x).sum().backward()
    assert runs == ["start", "end", "start"]
    checkpoint(f, x, early_stop=False).sum().backward()
    assert runs[3:] == ["start", "end"] * 2


def test_checkpoints_allow_a_second_backward_and_second_derivatives():
    x = mt.tensor([0.3, 0.7], requires_grad=True)
    y = checkpoint(lambda x: x.sin() * x.exp(), x).sum()
    y.backward(retain_graph=True)
    y.backward()
    plain, = mt.autograd.grad((x.sin() * x.exp()).sum(), x)
    assert np.allclose(x.grad.tolist(), 2 * np.array(plain.tolist()))
    g, = mt.autograd.grad(checkpoint(lambda x: x.sin() * x.exp(), x).sum(), x, create_graph=True)
    g2, = mt.autograd.grad(g.sum(), x)
    assert np.allclose(g2.tolist(), 2 * np.cos(x.tolist()) * np.exp(x.tolist()), rtol=1e-5)


def test_checkpoints_nest_and_pass_keywords_and_structures():
    x = mt.tensor([0.3, 0.7], requires_grad=True)

    def inner(x, power=1):
        return {"y": x.sin() ** power}

    def outer(x):
        return checkpoint(inner, x, power=2)["y"].exp()

    checkpoint(outer, x).sum().backward()
    expected, = mt.autograd.grad((x.sin() ** 2).exp().sum(), x)
    assert np.allclose(x.grad.tolist(), expected.tolist())


def test_a_function_that_does_something_else_the_second_time_is_noticed():
    calls = []

    def fickle(x):
        calls.append(1)
        return x.exp().sin() if len(calls) == 1 else x.exp()

    def reshaping(x):
        calls.append(1)
        return x.exp().sum() if len(calls) == 1 else x[:1].exp().sum()

    x = mt.ones(3, requires_grad=True)
    with pytest.raises(CheckpointError, match="different number of tensors"):
        checkpoint(fickle, x).sum().backward()
    calls.clear()
    with pytest.raises(CheckpointError, match="different metadata"):
        checkpoint(reshaping, x).backward()


def test_a_changed_argument_is_noticed():
    h = mt.ones(3, requires_grad=True) * 1
    y = checkpoint(lambda h: h.exp().sin(), h).sum()
    h.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.backward()


def test_nothing_is_dropped_where_nothing_is_recorded():
    with mt.no_grad():
        assert checkpoint(lambda x: x + 1, mt.ones(1, requires_grad=True)).item() == 2


def test_a_sequence_is_checkpointed_in_segments():
    x, runs = mt.tensor([0.3], requires_grad=True), []
    fs = [lambda x, i=i: (runs.append(i), x.sin().exp())[1] for i in range(5)]
    checkpoint_sequential(fs, 2, x).sum().backward()
    assert runs == [0, 1, 2, 3, 4, 0, 1]
    expected = x
    for f in fs:
        expected = f(expected)
    assert np.allclose(x.grad.tolist(), mt.autograd.grad(expected.sum(), x)[0].tolist())


# ---- checksums: writes that nobody counted ------------------------------------------------------------------

@contextlib.contextmanager
def checksums():
    mt.autograd.set_checksums(True)
    try:
        yield
    finally:
        mt.autograd.set_checksums(False)


@pytest.mark.parametrize("write", [
    lambda t: t.data.fill_(7), lambda t: t.detach().numpy().fill(7), lambda t: np.asarray(t.detach()).__setitem__(0, 7)])
def test_paranoid_mode_notices_writes_that_went_past_the_counters(write):
    x, w = mt.ones(3), mt.ones(3, requires_grad=True)
    y = (x * w).sum()
    write(x)
    y.backward()                                     # wrong, and unnoticed
    assert w.grad[0].item() == 7
    x = mt.ones(3)
    with checksums():
        y = (x * w).sum()
        write(x)
        with pytest.raises(RuntimeError, match="MulBackward0 saved as 'input'.*past the version counters"):
            y.backward()


def test_paranoid_mode_leaves_counted_writes_to_the_counters_and_right_programs_alone():
    x, w = mt.ones(3), mt.ones(3, requires_grad=True)
    with checksums():
        y = (x * w).sum()
        x.add_(1)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            y.backward()
        for step in STEPS:
            step(mt.randn(4, 3), mt.randn(3, 4, requires_grad=True)).backward()


def test_a_write_that_was_declared_is_counted():
    x, w = mt.ones(3), mt.ones(3, requires_grad=True)
    y = (x * w).sum()
    x.numpy()[0] = 7
    graph.increment_version(x)
    assert x._version == 1
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.backward()


def test_grads_in_another_shape_share_no_memory():
    a, b, c = (mt.ones(2, 3, requires_grad=True) for _ in range(3))
    seen = []
    y = a.reshape(6) + b.reshape(6) + c.reshape(3, 2).reshape(6)
    y.register_hook(seen.append)
    y.backward(mt.arange(6.0))
    kept = [a.grad, b.grad, c.grad, seen[0]]
    for i, t in enumerate(kept):
        t += 10.0 ** i
    assert [t.flatten()[1].item() for t in kept] == [2, 11, 101, 1001]
