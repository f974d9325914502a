"""Optimizers and schedules by themselves: steps, state, hooks, and the counting of writes."""
import copy
import pickle

import numpy as np
import pytest

import minitorch
from minitorch.optim import LBFGS, SGD, Adam, Optimizer, lr_scheduler
from minitorch.optim.optimizer import BLOCK, UNIT

EVERY = ["SGD", "Adam", "AdamW", "Adamax", "NAdam", "RAdam", "RMSprop", "Adagrad", "Adadelta", "ASGD", "Rprop"]


def param(values=(1.0, 2.0), grad=(1.0, 1.0), dtype=None):
    p = minitorch.tensor(values, dtype=dtype, requires_grad=True)
    p.grad = minitorch.tensor(grad, dtype=dtype)
    return p


@pytest.mark.parametrize("name", EVERY)
def test_every_optimizer_goes_downhill(name):
    p = param()
    optimizer = getattr(minitorch.optim, name)([p], lr=0.05)
    for _ in range(300):
        p.grad = minitorch.tensor(2 * p.detach().array)          # of the sum of squares
        optimizer.step()
    assert np.abs(p.detach().array).max() < (2 if name == "Adadelta" else 1.2 if name == "Adagrad" else 0.1)


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("options", [{}, dict(weight_decay=0.1, maximize=True)], ids=["plain", "decay"])
def test_a_step_writes_the_parameter_in_place_counts_it_and_leaves_the_gradient(name, options):
    if name == "Rprop":
        options = {k: v for k, v in options.items() if k == "maximize"}
    p = param()
    array, g = p.array, p.grad.array.copy()
    getattr(minitorch.optim, name)([p], **options).step()
    assert p.array is array and p._version == 1 and (p.grad.array == g).all() and p.is_leaf and p.requires_grad


def test_a_graph_that_saved_the_old_parameter_notices_the_step():
    p = param()
    y = minitorch.sin(p)
    SGD([p], lr=0.1).step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.backward(minitorch.ones(2))


@pytest.mark.parametrize("name", EVERY)
def test_blocks_and_layouts_do_not_matter(name):
    rng = np.random.default_rng(0)
    x, g = rng.normal(size=(2, BLOCK // 100, 150)), rng.normal(size=(2, BLOCK // 100, 150))
    results = []
    for order in ("C", "F"):
        p = minitorch.tensor(np.asarray(x, order=order), requires_grad=True)
        p.data = minitorch.from_numpy(np.array(x, order=order))
        p.grad = minitorch.from_numpy(np.array(g, order="C"))
        optimizer = getattr(minitorch.optim, name)([p])
        for _ in range(3):
            optimizer.step()
        results.append(np.ascontiguousarray(p.detach().array))
    np.testing.assert_allclose(*results, rtol=1e-12, atol=1e-15)                  # sums of numbers of size 1, rounded once or twice


@pytest.mark.parametrize("name, options", [*[(name, {}) for name in EVERY], ("Adam", {"amsgrad": True}), ("SGD", {"momentum": 0.9}),
                                           ("RMSprop", {"centered": True, "momentum": 0.5})], ids=str)
def test_threads_share_the_blocks_of_all_parameters(name, options):
    before, rng, found = minitorch.get_num_threads(), np.random.default_rng(0), []
    sizes = [5, 5 * BLOCK + 7, UNIT + 3, UNIT - 1, 2 * UNIT, 3 * BLOCK]
    starts, slopes = ([rng.normal(size=n).astype("f4") for n in sizes] for _ in range(2))
    for n in (1, 2, 3):
        xs = [param(start, slope, minitorch.float32) for start, slope in zip(starts, slopes)]
        opt = getattr(minitorch.optim, name)(xs, lr=0.1, **options)
        try:
            minitorch.set_num_threads(n)
            with minitorch.backends.using(loops="never"):
                opt.step()
                opt.step()
        finally:
            minitorch.set_num_threads(before)
        found.append([v for x in xs for v in [x.detach().numpy(), *map(np.array, opt.state[x].values())]])
    for one, *others in zip(*found, strict=True):
        for other in others:
            np.testing.assert_array_equal(one, other)
    assert not any(np.isclose(x, start).all() for x, start in zip([x.detach().numpy() for x in xs], starts))


@pytest.mark.parametrize("loops", ["never", "always"])
def test_parameters_that_share_memory_are_moved_one_after_the_other(loops):
    if loops == "always":
        pytest.importorskip("numba")
    before, rng, found = minitorch.get_num_threads(), np.random.default_rng(0), []
    start, *slopes = (rng.normal(size=4 * BLOCK).astype("f4") for _ in range(3))
    for n in (1, 2, 2, 2):
        x, y = (param(start, slope, minitorch.float32) for slope in slopes)
        y.data = x.data
        opt = Adam([x, y], lr=0.1)
        try:
            minitorch.set_num_threads(n)
            with minitorch.backends.using(loops=loops):
                opt.step()
        finally:
            minitorch.set_num_threads(before)
        assert np.shares_memory(x.detach().array, y.detach().array)
        found.append(x.detach().numpy().copy())
    for other in found[1:]:
        np.testing.assert_array_equal(found[0], other)


def test_parameters_without_a_gradient_stay():
    p, q = param(), param()
    q.grad = None
    optimizer = Adam([p, q], lr=0.1)
    optimizer.step()
    assert q.detach().array.tolist() == [1, 2] and q not in optimizer.state and p in optimizer.state


def test_zero_grad():
    p = param()
    optimizer = SGD([p], lr=0.1)
    g = p.grad
    optimizer.zero_grad(set_to_none=False)
    assert p.grad is g and g.array.tolist() == [0, 0] and g._version == 1
    optimizer.zero_grad()
    assert p.grad is None


def test_a_closure_is_called_with_gradients_on():
    p = param()
    seen = []

    def closure():
        seen.append(minitorch.is_grad_enabled())
        return 3.0
    with minitorch.no_grad():
        assert SGD([p], lr=0.1).step(closure) == 3.0 and seen == [True]


def test_a_learning_rate_may_be_a_tensor():
    p = param()
    rate = minitorch.tensor(0.5)
    optimizer = SGD([p], lr=rate)
    schedule = lr_scheduler.ExponentialLR(optimizer, 0.5)
    optimizer.step()
    schedule.step()
    assert p.detach().array.tolist() == [0.5, 1.5] and optimizer.param_groups[0]["lr"] is rate and rate.array == 0.25


def test_named_parameters_keep_their_names():
    optimizer = SGD([("w", param()), ("b", param())])
    assert optimizer.state_dict()["param_groups"][0]["param_names"] == ["w", "b"]
    with pytest.raises(ValueError, match="with/without names"):
        optimizer.add_param_group({"params": [param()]})


def test_a_parameter_given_twice_warns():
    p = param()
    with pytest.warns(UserWarning, match="duplicate parameters"):
        SGD([p, p])


def test_the_loaded_state_is_a_copy():
    p = param()
    optimizer = Adam([p])
    optimizer.step()
    saved = optimizer.state_dict()
    before = copy.deepcopy(saved)
    q = param()
    other = Adam([q], lr=0.5)
    other.load_state_dict(saved)
    other.step()
    for name in ("step", "exp_avg", "exp_avg_sq"):
        assert (saved["state"][0][name].array == before["state"][0][name].array).all()
    assert other.param_groups[0]["lr"] == 1e-3 and other.state[q]["step"].array == 2


def test_loaded_state_takes_the_dtype_of_the_parameter_but_for_the_step():
    p, q = param(), param(dtype=minitorch.float64)
    first = Adam([p])
    first.step()
    second = Adam([q])
    second.load_state_dict(first.state_dict())
    assert second.state[q]["exp_avg"].dtype is minitorch.float64 and second.state[q]["step"].dtype is minitorch.float32


@pytest.mark.parametrize("again", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))], ids=["deepcopy", "pickle"])
def test_optimizers_can_be_copied(again):
    p = param()
    optimizer = Adam([p], lr=0.1)
    optimizer.step()
    other = again(optimizer)
    q = other.param_groups[0]["params"][0]
    q.grad = p.grad
    optimizer.step()
    other.step()
    assert q is not p and (q.detach().array == p.detach().array).all()


def test_hooks_run_around_step_and_state():
    p = param()
    optimizer, seen = SGD([p], lr=1.0), []
    handles = [optimizer.register_step_pre_hook(lambda o, args, kwargs: seen.append("before")),
               optimizer.register_step_post_hook(lambda o, args, kwargs: seen.append("after")),
               optimizer.register_state_dict_pre_hook(lambda o: seen.append("save")),
               optimizer.register_state_dict_post_hook(lambda o, state: {**state, "more": 1}),
               optimizer.register_load_state_dict_pre_hook(lambda o, state: seen.append(state["more"])),
               optimizer.register_load_state_dict_post_hook(lambda o: seen.append("loaded"))]
    optimizer.step()
    optimizer.load_state_dict(optimizer.state_dict())
    assert seen == ["before", "after", "save", 1, "loaded"]
    for handle in handles:
        handle.remove()
    optimizer.step()
    assert len(seen) == 5 and "more" not in optimizer.state_dict()


class Mine(Optimizer):
    """A user's own, written as for PyTorch."""

    def __init__(self, params, lr=0.1):
        super().__init__(params, dict(lr=lr))

    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                self.state[p]["count"] = self.state[p].get("count", 0) + 1
                p.data = minitorch.from_numpy(p.detach().array - np.float32(group["lr"]) * p.grad.array)


def test_a_users_own_optimizer_works_with_schedules_and_saving():
    p = param()
    optimizer = Mine([p], lr=1.0)
    schedule = lr_scheduler.StepLR(optimizer, 1)
    optimizer.step()
    schedule.step()
    optimizer.step()
    np.testing.assert_allclose(p.detach().array, [-0.1, 0.9], atol=1e-6)
    again = Mine([param()])
    again.load_state_dict(optimizer.state_dict())
    assert again.state_dict()["state"] == {0: {"count": 2}}


def test_lbfgs_solves_a_quadratic_in_few_steps():
    x = minitorch.tensor([3.0, -2.0], dtype=minitorch.float64, requires_grad=True)
    a, b = np.array([[3.0, 1], [1, 2]]), np.array([1.0, -1])
    optimizer = LBFGS([x], line_search_fn="strong_wolfe")

    def closure():
        v = x.detach().array
        x.grad = minitorch.from_numpy(a @ v - b)
        return minitorch.tensor(0.5 * v @ a @ v - b @ v)
    optimizer.step(closure)
    np.testing.assert_allclose(x.detach().array, np.linalg.solve(a, b), atol=1e-5)
    with pytest.raises(TypeError):
        optimizer.step()


# ---- schedules -----------------------------------------------------------------------------------------------

def test_a_schedule_before_the_optimizer_warns():
    optimizer = SGD([param()], lr=0.1)
    schedule = lr_scheduler.StepLR(optimizer, 1)
    with pytest.warns(UserWarning, match="before `optimizer.step"):
        schedule.step()
    other = SGD([param()], lr=0.1)
    schedule = lr_scheduler.StepLR(other, 1)
    other.step()
    schedule.step()                                  # the right order is silent


def test_schedules_inside_schedules_keep_their_epochs():
    def run(make):
        optimizer = SGD([param()], lr=0.5)
        schedule, rates = make(optimizer), []
        for _ in range(12):
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            schedule.step()
        return rates

    def linear(o):
        return lr_scheduler.LinearLR(o, 0.1, total_iters=3)

    def chain(o):
        return lr_scheduler.ChainedScheduler([linear(o), lr_scheduler.ExponentialLR(o, 0.9)])

    def sequence(o):
        return lr_scheduler.SequentialLR(o, [linear(o), lr_scheduler.ExponentialLR(o, 0.9)], [3])
    for inner in (chain, sequence):
        outer = run(lambda o, inner=inner: lr_scheduler.SequentialLR(o, [inner(o), lr_scheduler.StepLR(o, 2)], [6]))
        np.testing.assert_allclose(outer, run(inner)[:6] + run(lambda o: lr_scheduler.StepLR(o, 2))[:6])
        outer = run(lambda o, inner=inner: lr_scheduler.SequentialLR(o, [lr_scheduler.StepLR(o, 2), inner(o)], [6]))
        np.testing.assert_allclose(outer, run(lambda o: lr_scheduler.StepLR(o, 2))[:6] + run(inner)[:6])


@pytest.mark.parametrize("options, error, match", [
    (dict(lr=minitorch.tensor([0.1, 0.2])), ValueError, "1-element"), (dict(lr=minitorch.tensor(0.1), foreach=True), ValueError, "foreach=True"),
    (dict(fused=True, foreach=True), RuntimeError, "cannot be `True` together"),
    (dict(fused=True, differentiable=True), RuntimeError, "differentiable")])
def test_ways_to_compute_that_exclude_each_other_are_refused(options, error, match):
    with pytest.raises(error, match=match):
        Adam([param()], **options)


def test_a_callable_object_is_saved_with_its_attributes():
    class Warm:
        def __init__(self, n):
            self.n = n

        def __call__(self, epoch):
            return min(1, (epoch + 1) / self.n)
    schedule = lr_scheduler.LambdaLR(SGD([param()], lr=1.0), Warm(4))
    state = schedule.state_dict()
    other = lr_scheduler.LambdaLR(SGD([param()], lr=1.0), Warm(100))
    other.load_state_dict(state)
    assert state["lr_lambdas"] == [{"n": 4}] and other.lr_lambdas[0].n == 4
    assert lr_scheduler.LambdaLR(SGD([param()], lr=1.0), lambda e: 1).state_dict()["lr_lambdas"] == [None]


@pytest.mark.parametrize("make", [
    lambda o: lr_scheduler.StepLR(o, 3), lambda o: lr_scheduler.MultiStepLR(o, [2, 5]),
    lambda o: lr_scheduler.OneCycleLR(o, 1.0, total_steps=20),
    lambda o: lr_scheduler.CyclicLR(o, 0.1, 1.0, 4), lambda o: lr_scheduler.ReduceLROnPlateau(o, patience=1),
    lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 3, 2),
    lambda o: lr_scheduler.SequentialLR(o, [lr_scheduler.LinearLR(o, 0.1), lr_scheduler.ExponentialLR(o, 0.9)], [4]),
    lambda o: lr_scheduler.ChainedScheduler([lr_scheduler.ConstantLR(o), lr_scheduler.ExponentialLR(o, 0.9)]),
], ids=["step", "multistep", "onecycle", "cyclic", "plateau", "restarts", "sequential", "chained"])
def test_schedules_go_on_from_a_file(make, tmp_path):
    pytest.importorskip("safetensors")

    def start():
        optimizer = SGD([param()], lr=0.5, momentum=0.9)
        return optimizer, make(optimizer)

    def step(optimizer, schedule, i):
        optimizer.step()
        schedule.step(*[abs(i - 3.0)] if isinstance(schedule, lr_scheduler.ReduceLROnPlateau) else [])
        return [g["lr"] for g in optimizer.param_groups], schedule.get_last_lr()
    optimizer, schedule = start()
    for i in range(6):
        step(optimizer, schedule, i)
    minitorch.save({"optimizer": optimizer.state_dict(), "schedule": schedule.state_dict()}, tmp_path / "file")
    state = minitorch.load(tmp_path / "file")
    again, resumed = start()
    again.load_state_dict(state["optimizer"])
    resumed.load_state_dict(state["schedule"])
    for i in range(6, 14):
        assert step(again, resumed, i) == step(optimizer, schedule, i)
