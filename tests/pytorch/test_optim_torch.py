"""Optimizers and schedulers against PyTorch: every option, the same gradients for 50 steps, the same parameters, state and rates."""
import copy
import warnings

import numpy as np
import pytest

import minitorch
from minitorch.backend import to_numpy
from minitorch.optim import lr_scheduler

torch = pytest.importorskip("torch")

OPTIONS = [
    ("SGD", {}), ("SGD", dict(lr=0.1, momentum=0.9)), ("SGD", dict(lr=0.1, momentum=0.9, nesterov=True)),
    ("SGD", dict(lr=0.1, momentum=0.8, dampening=0.3)), ("SGD", dict(lr=0.1, weight_decay=0.1)),
    ("SGD", dict(lr=0.01, momentum=0.9, weight_decay=0.1, maximize=True)), ("SGD", dict(lr=0.1, foreach=False)),
    ("Adam", {}), ("Adam", dict(lr=0.05, betas=(0.8, 0.95), eps=1e-4)), ("Adam", dict(lr=0.05, weight_decay=0.1)),
    ("Adam", dict(lr=0.05, amsgrad=True)), ("Adam", dict(lr=0.05, maximize=True, weight_decay=0.1)),
    ("Adam", dict(lr=0.05, weight_decay=0.1, decoupled_weight_decay=True)),
    ("AdamW", {}), ("AdamW", dict(lr=0.05, weight_decay=0.3)), ("AdamW", dict(lr=0.05, amsgrad=True, maximize=True)),
    ("Adamax", {}), ("Adamax", dict(lr=0.05, weight_decay=0.1)), ("Adamax", dict(lr=0.05, maximize=True, betas=(0.7, 0.9))),
    ("NAdam", {}), ("NAdam", dict(lr=0.05, weight_decay=0.1, momentum_decay=0.01)),
    ("NAdam", dict(lr=0.05, weight_decay=0.1, decoupled_weight_decay=True, maximize=True)),
    ("RAdam", {}), ("RAdam", dict(lr=0.05, weight_decay=0.1, betas=(0.8, 0.9))),
    ("RAdam", dict(lr=0.05, weight_decay=0.1, decoupled_weight_decay=True, maximize=True)),
    ("RMSprop", {}), ("RMSprop", dict(momentum=0.9)), ("RMSprop", dict(centered=True)),
    ("RMSprop", dict(centered=True, momentum=0.5, alpha=0.9, weight_decay=0.1, maximize=True, eps=1e-3)),
    ("Adagrad", {}), ("Adagrad", dict(lr=0.1, lr_decay=0.1, weight_decay=0.1, initial_accumulator_value=0.5)),
    ("Adagrad", dict(lr=0.1, maximize=True, eps=1e-3)),
    ("Adadelta", {}), ("Adadelta", dict(rho=0.5, eps=1e-3, weight_decay=0.1, maximize=True)),
    ("ASGD", {}), ("ASGD", dict(lr=0.1, lambd=0.01, alpha=0.5, t0=10, weight_decay=0.1)), ("ASGD", dict(maximize=True)),
    ("Rprop", {}), ("Rprop", dict(lr=0.1, etas=(0.3, 1.5), step_sizes=(1e-3, 0.5), maximize=True)),
]
SHAPES = [(3, 4), (5,), (), (0, 2), (40000,)]
NAMES = [f"{name}-{i}" for i, (name, _) in enumerate(OPTIONS)]


def both(dtype="float32", shapes=SHAPES, seed=0):
    """The same random parameters in both libraries."""
    rng = np.random.default_rng(seed)
    arrays = [np.asarray(rng.normal(size=s)).astype("f8") for s in shapes]
    ours = [minitorch.tensor(a, dtype=getattr(minitorch, dtype), requires_grad=True) for a in arrays]
    theirs = [torch.tensor(a, dtype=getattr(torch, dtype), requires_grad=True) for a in arrays]
    return ours, theirs


def give_gradients(ours, theirs, step, skip=()):
    """The same random gradients for both; none for the parameters in `skip`."""
    rng = np.random.default_rng([7, step])
    for i, (p, q) in enumerate(zip(ours, theirs)):
        g = np.asarray(rng.normal(size=p.shape)) * 10.0 ** rng.integers(-2, 2)
        p.grad = None if i in skip else minitorch.tensor(g, dtype=p.dtype)
        q.grad = None if i in skip else torch.tensor(g, dtype=q.dtype)


def values(t):
    return t.detach().to(torch.float64).numpy() if isinstance(t, torch.Tensor) else to_numpy(t.detach().array).astype("f8")


def same(ours, theirs, tolerance):
    for p, q in zip(ours, theirs):
        np.testing.assert_allclose(values(p), values(q), rtol=tolerance, atol=tolerance)


def same_state(a, b, tolerance):
    """Two state_dicts: the same keys everywhere, the same numbers."""
    assert a.keys() == b.keys()
    assert a["state"].keys() == b["state"].keys()
    for k in a["state"]:
        assert a["state"][k].keys() == b["state"][k].keys()
        for name, t in a["state"][k].items():
            other = b["state"][k][name]
            assert type(t).__name__ == type(other).__name__, name
            if isinstance(other, torch.Tensor):
                assert t.dtype.name == str(other.dtype)[6:] and tuple(t.shape) == tuple(other.shape), name
                np.testing.assert_allclose(values(t), values(other), rtol=tolerance, atol=tolerance, err_msg=name)
    for g, h in zip(a["param_groups"], b["param_groups"]):
        assert list(g) == list(h)
        for name in g:
            assert g[name] == pytest.approx(h[name]) if isinstance(g[name], float) else g[name] == h[name], name


@pytest.mark.parametrize("name, options", OPTIONS, ids=NAMES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_fifty_steps_agree(name, options, dtype):
    ours, theirs = both(dtype)
    a, b = getattr(minitorch.optim, name)(ours, **options), getattr(torch.optim, name)(theirs, **options)
    tolerance = 2e-4 if dtype == "float32" else 1e-6           # PyTorch keeps some of its coefficients in float32
    for step in range(50):
        give_gradients(ours, theirs, step, skip=(1,) if step % 7 == 3 else ())
        a.step()
        b.step()
    same(ours, theirs, tolerance)
    same_state(a.state_dict(), b.state_dict(), tolerance)
    assert repr(a) == repr(b)


@pytest.mark.parametrize("name, options", OPTIONS, ids=NAMES)
def test_state_moves_from_pytorch_and_training_goes_on(name, options):
    ours, theirs = both("float64", SHAPES[:2])
    b = getattr(torch.optim, name)(theirs, **options)
    for step in range(5):
        give_gradients(ours, theirs, step)
        b.step()
    for p, q in zip(ours, theirs):
        p.array[...] = q.detach().numpy()
    a = getattr(minitorch.optim, name)(ours, **options)
    a.load_state_dict(b.state_dict())
    for step in range(5, 10):
        give_gradients(ours, theirs, step)
        a.step()
        b.step()
    same(ours, theirs, 1e-6)


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "RMSprop"])
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_sixteen_bit_parameters_stay_near(name, dtype):
    ours, theirs = both(dtype, SHAPES[:3])
    options = dict(lr=0.01) if name == "SGD" else dict(lr=0.01, eps=1e-3)       # the default eps is 0 in float16, for PyTorch
    a, b = getattr(minitorch.optim, name)(ours, **options), getattr(torch.optim, name)(theirs, **options)
    for step in range(10):
        give_gradients(ours, theirs, step)
        a.step()
        b.step()
    assert all(p.dtype.name == dtype for p in ours)
    assert all(t.dtype.name == dtype for s in a.state.values() for k, t in s.items() if k != "step")
    same(ours, theirs, 0.1)


def test_groups_with_their_own_options_agree():
    ours, theirs = both("float64", SHAPES[:3])

    def groups(ps):
        return [{"params": ps[:1], "lr": 0.1}, {"params": ps[1], "weight_decay": 0.5}]
    a, b = minitorch.optim.Adam(groups(ours), lr=0.01), torch.optim.Adam(groups(theirs), lr=0.01)
    a.add_param_group({"params": ours[2], "betas": (0.5, 0.6)})
    b.add_param_group({"params": theirs[2], "betas": (0.5, 0.6)})
    for step in range(10):
        give_gradients(ours, theirs, step)
        a.step()
        b.step()
    same(ours, theirs, 1e-9)
    same_state(a.state_dict(), b.state_dict(), 1e-9)


@pytest.mark.parametrize("options", [dict(), dict(lr=0.3, max_iter=7), dict(line_search_fn="strong_wolfe"),
                                     dict(line_search_fn="strong_wolfe", history_size=3, max_iter=5, lr=0.7), dict(max_eval=4)])
def test_lbfgs_agrees_on_rosenbrock(options):
    ours, theirs = both("float64", [(2,), (2, 2)], 3)
    a, b = minitorch.optim.LBFGS(ours, **options), torch.optim.LBFGS(theirs, **options)
    if "line_search_fn" not in options:
        for group in (*a.param_groups, *b.param_groups):
            group["lr"] *= 0.001

    def closure(lib, ps):
        def f():
            (x, y), z = values(ps[0]), values(ps[1])
            gradients = [np.array([-40 * x * (y - x * x) + 2 * (x - 1), 20 * (y - x * x)]), 4 * z ** 3]
            for p, g in zip(ps, gradients):
                p.grad = lib.tensor(g, dtype=p.dtype)
            return lib.tensor(10 * (y - x * x) ** 2 + (x - 1) ** 2 + (z ** 4).sum())
        return f
    for _ in range(6):
        one, two = a.step(closure(minitorch, ours)), b.step(closure(torch, theirs))
        np.testing.assert_allclose(values(one), values(two), rtol=1e-6, atol=1e-9)
        same(ours, theirs, 1e-6)
    x, y = a.state[ours[0]], b.state[theirs[0]]
    assert (x["func_evals"], x["n_iter"]) == (y["func_evals"], y["n_iter"])


# ---- errors -------------------------------------------------------------------------------------------------

def backward(loss):
    loss.backward()
    return loss


BAD = [
    lambda lib, p: lib.optim.SGD([], 1), lambda lib, p: lib.optim.SGD(p, 1), lambda lib, p: lib.optim.SGD([p * 2], 1),
    lambda lib, p: lib.optim.SGD([1], 1), lambda lib, p: lib.optim.SGD([None]), lambda lib, p: lib.optim.SGD(None),
    lambda lib, p: lib.optim.SGD([{"params": [p]}, {"params": p}], 1), lambda lib, p: lib.optim.SGD([{"params": {p}}]),
    lambda lib, p: lib.optim.SGD([p], -1), lambda lib, p: lib.optim.SGD([p], momentum=-1), lambda lib, p: lib.optim.SGD([p], nesterov=True),
    lambda lib, p: lib.optim.SGD([p], weight_decay=-1), lambda lib, p: lib.optim.SGD([{"lr": 1}]),
    lambda lib, p: lib.optim.SGD([p]).add_param_group([p]), lambda lib, p: lib.optim.Adam([p], betas=(1, 1)),
    lambda lib, p: lib.optim.Adam([p], betas=(0.9, 1.0)), lambda lib, p: lib.optim.Adam([p], eps=-1), lambda lib,
    p: lib.optim.Adam([p], lr="a"),
    lambda lib, p: lib.optim.RMSprop([p], alpha=-1), lambda lib, p: lib.optim.Adagrad([p], lr_decay=-1),
    lambda lib, p: lib.optim.Adadelta([p], rho=2), lambda lib, p: lib.optim.NAdam([p], momentum_decay=-1),
    lambda lib, p: lib.optim.Rprop([p], etas=(2, 1)), lambda lib, p: lib.optim.LBFGS([{"params": [p]}, {"params": [p * 1]}]),
    lambda lib, p: lib.optim.LBFGS([p], line_search_fn="x").step(lambda: backward(p.sum())), lambda lib,
    p: lib.optim.SGD([p]).load_state_dict({}),
    lambda lib, p: lib.optim.SGD([p]).load_state_dict({"state": {}, "param_groups": []}),
    lambda lib, p: lib.optim.SGD([p]).load_state_dict({"state": {}, "param_groups": [{"params": [0, 1]}]}),
]


@pytest.mark.parametrize("call", BAD, ids=range(len(BAD)))
def test_bad_arguments_raise_pytorchs_error(call):
    with pytest.raises(Exception) as theirs:
        call(torch, torch.ones(2, requires_grad=True))
    with pytest.raises(type(theirs.value)):
        call(minitorch, minitorch.ones(2, requires_grad=True))


# ---- schedules ------------------------------------------------------------------------------------------------

def halve(epoch):
    return 0.5 ** epoch


SCHEDULES = [
    ("LambdaLR", dict(lr_lambda=halve)), ("LambdaLR", dict(lr_lambda=[halve, lambda e: 1 / (e + 1)])),
    ("MultiplicativeLR", dict(lr_lambda=lambda e: 0.95)), ("StepLR", dict(step_size=7)), ("StepLR", dict(step_size=3, gamma=0.8)),
    ("MultiStepLR", dict(milestones=[3, 8, 8, 20], gamma=0.5)), ("ConstantLR", {}), ("ConstantLR", dict(factor=0.5, total_iters=11)),
    ("LinearLR", {}), ("LinearLR", dict(start_factor=0.1, end_factor=0.7, total_iters=20)), ("ExponentialLR", dict(gamma=0.9)),
    ("PolynomialLR", {}), ("PolynomialLR", dict(total_iters=30, power=2.0)), ("CosineAnnealingLR", dict(T_max=10)),
    ("CosineAnnealingLR", dict(T_max=13, eta_min=0.01)), ("CosineAnnealingWarmRestarts", dict(T_0=5)),
    ("CosineAnnealingWarmRestarts", dict(T_0=3, T_mult=2, eta_min=0.001)),
    ("OneCycleLR", dict(max_lr=0.5, total_steps=60)), ("OneCycleLR", dict(max_lr=[0.5, 1.0], epochs=6, steps_per_epoch=10, pct_start=0.4)),
    ("OneCycleLR", dict(max_lr=0.5, total_steps=60, three_phase=True, anneal_strategy="linear", div_factor=10.0, final_div_factor=100.0)),
    ("OneCycleLR", dict(max_lr=0.5, total_steps=60, cycle_momentum=False)),
    ("CyclicLR", dict(base_lr=0.01, max_lr=0.1, step_size_up=7)),
    ("CyclicLR", dict(base_lr=[0.01, 0.02], max_lr=0.1, step_size_up=7, step_size_down=3, mode="triangular2")),
    ("CyclicLR", dict(base_lr=0.01, max_lr=0.1, step_size_up=5, mode="exp_range", gamma=0.97, base_momentum=0.5, max_momentum=0.99)),
    ("CyclicLR", dict(base_lr=0.01, max_lr=0.1, step_size_up=5, scale_fn=lambda x: 1 / x, cycle_momentum=False)),
]


def optimizers(make="SGD"):
    ours, theirs = both("float64", SHAPES[:2])
    extra = dict(momentum=0.9) if make == "SGD" else {}
    return [getattr(lib.optim, make)([{"params": ps[0], "lr": 0.3}, {"params": ps[1]}], lr=0.1, **extra)
            for lib, ps in ((minitorch, ours), (torch, theirs))]


def rates(optimizer):
    return [[g["lr"], g.get("momentum"), g.get("betas")] for g in optimizer.param_groups]


def follow(a, b, s, t, steps, step=lambda s, i: s.step()):
    for i in range(steps):
        assert np.allclose(flat(rates(a)), flat(rates(b)), rtol=1e-12), i
        assert np.allclose(s.get_last_lr(), t.get_last_lr(), rtol=1e-12), i
        a.step()
        b.step()
        step(s, i)
        step(t, i)


def flat(x):
    return [v for y in x for z in y if z is not None for v in (z if isinstance(z, tuple) else (z,))]


@pytest.mark.parametrize("name, options", SCHEDULES, ids=[f"{n}-{i}" for i, (n, _) in enumerate(SCHEDULES)])
@pytest.mark.parametrize("make", ["SGD", "Adam"])
def test_schedules_agree(name, options, make):
    a, b = optimizers(make)
    s, t = getattr(lr_scheduler, name)(a, **options), getattr(torch.optim.lr_scheduler, name)(b, **options)
    follow(a, b, s, t, 55)
    saved, theirs = s.state_dict(), t.state_dict()
    assert {"last_epoch", "base_lrs", "_last_lr", "_step_count"} <= saved.keys() & theirs.keys()
    assert saved["last_epoch"] == theirs["last_epoch"] and saved["_step_count"] == theirs["_step_count"]


@pytest.mark.parametrize("name, options", SCHEDULES, ids=[f"{n}-{i}" for i, (n, _) in enumerate(SCHEDULES)])
def test_a_schedule_resumes_from_its_state(name, options):
    a, b = optimizers()
    s, t = getattr(lr_scheduler, name)(a, **options), getattr(torch.optim.lr_scheduler, name)(b, **options)
    for _ in range(17):
        a.step()
        b.step()
        s.step()
        t.step()
    saved, state = copy.deepcopy(s.state_dict()), copy.deepcopy(a.state_dict())
    again, _ = optimizers()
    resumed = getattr(lr_scheduler, name)(again, **options)
    again.load_state_dict(state)
    resumed.load_state_dict(saved)
    follow(again, b, resumed, t, 20)


@pytest.mark.parametrize("name, options", [(n, o) for n, o in SCHEDULES if "Cyc" not in n], ids=lambda v: v if isinstance(v, str) else "")
def test_a_schedule_made_for_a_later_epoch_agrees(name, options):
    a, b = optimizers()
    for optimizer in (a, b):
        for group in optimizer.param_groups:
            group["initial_lr"] = 0.4
    s, t = getattr(lr_scheduler, name)(a, last_epoch=6, **options), getattr(torch.optim.lr_scheduler, name)(b, last_epoch=6, **options)
    follow(a, b, s, t, 20)


@pytest.mark.parametrize("name, options", [(n, o) for n, o in SCHEDULES if n not in ("MultiplicativeLR", "CyclicLR")],
                         ids=lambda v: v if isinstance(v, str) else "")
def test_a_schedule_can_jump_to_an_epoch(name, options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        a, b = optimizers()
        s, t = getattr(lr_scheduler, name)(a, **options), getattr(torch.optim.lr_scheduler, name)(b, **options)
        follow(a, b, s, t, 12, lambda s, i: s.step((i * 5) % 23))


def sequential(lib, o):
    return lib.SequentialLR(o, [lib.LinearLR(o, 0.1, total_iters=5), lib.CosineAnnealingLR(o, 20), lib.ExponentialLR(o, 0.9)], [5, 25])


def chained(lib, o):
    return lib.ChainedScheduler([lib.ConstantLR(o, 0.1, 4), lib.ExponentialLR(o, 0.9), lib.StepLR(o, 10)])


def two_on_one(lib, o):
    first = lib.ExponentialLR(o, 0.97)
    second = lib.LinearLR(o, total_iters=10)
    return Both(first, second)


class Both:
    def __init__(self, *schedulers):
        self.schedulers = schedulers

    def step(self):
        for s in self.schedulers:
            s.step()

    def get_last_lr(self):
        return self.schedulers[-1].get_last_lr()


@pytest.mark.parametrize("make", [sequential, chained, two_on_one])
def test_schedules_made_of_schedules_agree(make):
    a, b = optimizers()
    s, t = make(lr_scheduler, a), make(torch.optim.lr_scheduler, b)
    follow(a, b, s, t, 45)


@pytest.mark.parametrize("options", [{}, dict(mode="max", patience=2), dict(threshold_mode="abs", threshold=0.1, patience=1, cooldown=2),
                                     dict(factor=0.5, min_lr=[0.05, 0.01], patience=0),
                                     dict(mode="max", threshold_mode="abs", patience=3, eps=0.05)])
def test_plateaus_agree(options):
    losses = np.abs(np.random.default_rng(0).normal(size=60)) + np.linspace(2, 0, 60)
    a, b = optimizers()
    s, t = lr_scheduler.ReduceLROnPlateau(a, **options), torch.optim.lr_scheduler.ReduceLROnPlateau(b, **options)
    follow(a, b, s, t, 60, lambda s, i: s.step(losses[i]))
    assert (s.best, s.num_bad_epochs, s.cooldown_counter) == (t.best, t.num_bad_epochs, t.cooldown_counter)


BAD_SCHEDULES = [
    lambda lib, o: lib.StepLR(3, 1), lambda lib, o: lib.LambdaLR(o, [halve]), lambda lib, o: lib.StepLR(o, 3, last_epoch=4),
    lambda lib, o: lib.ConstantLR(o, 2), lambda lib, o: lib.LinearLR(o, 0), lambda lib, o: lib.LinearLR(o, 0.5, 2),
    lambda lib, o: lib.CosineAnnealingWarmRestarts(o, 0), lambda lib, o: lib.CosineAnnealingWarmRestarts(o, 2, 0),
    lambda lib, o: lib.CosineAnnealingWarmRestarts(o, 2).step(-1), lambda lib, o: lib.OneCycleLR(o, 1.0),
    lambda lib, o: lib.OneCycleLR(o, 1.0, total_steps=-1), lambda lib, o: lib.OneCycleLR(o, 1.0, epochs=2),
    lambda lib, o: lib.OneCycleLR(o, 1.0, total_steps=5, pct_start=2), lambda lib,
    o: lib.OneCycleLR(o, 1.0, total_steps=5, anneal_strategy="x"),
    lambda lib, o: lib.OneCycleLR(o, [1.0], total_steps=5), lambda lib, o: [s.step() for s in [lib.OneCycleLR(o, 1.0, total_steps=3)] * 9],
    lambda lib, o: lib.CyclicLR(o, 0.1, 1.0, mode="x"), lambda lib, o: lib.CyclicLR(o, [0.1], 1.0),
    lambda lib, o: lib.ReduceLROnPlateau(o, factor=1.0), lambda lib, o: lib.ReduceLROnPlateau(o, mode="x"),
    lambda lib, o: lib.ReduceLROnPlateau(o, threshold_mode="x"), lambda lib, o: lib.ReduceLROnPlateau(o, min_lr=[0.1]),
    lambda lib, o: lib.SequentialLR(o, [], []), lambda lib, o: lib.SequentialLR(o, [lib.StepLR(o, 1)], [3]), lambda lib,
    o: lib.ChainedScheduler([]),
    lambda lib, o: lib.StepLR(o, 1).load_state_dict(3), lambda lib, o: lib.LRScheduler(o),
]


@pytest.mark.parametrize("call", BAD_SCHEDULES, ids=range(len(BAD_SCHEDULES)))
def test_bad_schedules_raise_pytorchs_error(call):
    a, b = optimizers()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(Exception) as theirs:
            call(torch.optim.lr_scheduler, b)
        with pytest.raises(type(theirs.value)):
            call(lr_scheduler, a)
