"""Optimizers against PyTorch: every option of every constructor, 50 steps down one non-convex function, states exchanged on the way.

The options are read from PyTorch's signatures: one that is missing here, or has no values below to try, fails.
"""
import inspect
import itertools

import numpy as np
import pytest

import minitorch

torch = pytest.importorskip("torch")
LIBRARIES = (minitorch, torch)
ABSENT = {"Optimizer", "SparseAdam"}                 # the base, and one for sparse gradients alone, which are not here
NAMES = sorted(n for n, c in vars(torch.optim).items() if inspect.isclass(c) and issubclass(c, torch.optim.Optimizer) and n not in ABSENT)


class T:
    """An option given as a tensor."""

    def __init__(self, value):
        self.value = value

    def __repr__(self):
        return f"tensor({self.value})"


VALUES = {                                           # option -> what to try beside the default; by optimizer where it means something else
    "lr": [0.003, T(0.02)], "weight_decay": [0.1], "maximize": [True], "foreach": [True, False], "fused": [True, False], "capturable": [True],
    "differentiable": [True], "betas": [(0.8, 0.95), (0.5, 0.5)], "eps": [1e-3], "amsgrad": [True], "decoupled_weight_decay": [True],
    "momentum": [0.5, 0.9], "dampening": [0.3, 1], "nesterov": [True], "momentum_decay": [0.02], "alpha": [0.6], "centered": [True],
    "lambd": [0.01], "t0": [7, 30], "rho": [0.5], "etas": [(0.3, 1.5)], "step_sizes": [(1e-3, 0.05)], "lr_decay": [0.1],
    "initial_accumulator_value": [0.5], "beta2_decay": [-0.5], "d": [1.5], "ns_coefficients": [(3.0, -3.2, 1.2)], "ns_steps": [3],
    "adjust_lr_fn": ["original", "match_rms_adamw"], "max_iter": [3], "max_eval": [4], "tolerance_grad": [0.5], "tolerance_change": [0.1],
    "history_size": [2], "line_search_fn": ["strong_wolfe"],
    ("Adafactor", "eps"): [(1e-4, 0.1), (None, 1e-2)], ("Muon", "nesterov"): [False], ("Muon", "eps"): [0.5],
}
BESIDE = {                                           # what an option needs to have an effect
    "dampening": dict(momentum=0.9), "nesterov": dict(momentum=0.9), "decoupled_weight_decay": dict(weight_decay=0.1), "t0": dict(lr=0.05),
    "history_size": dict(max_iter=6), ("Muon", "nesterov"): {}, ("SGD", "capturable"): {},
}
NEUTRAL = {"foreach", "fused", "capturable", "differentiable"}       # ways to compute the same
START = {"LBFGS": dict(lr=0.3), "Adadelta": dict(lr=1.0), "Rprop": dict(lr=0.01)}       # others: lr=0.02, so that they get somewhere


def options_of(name):
    """The options of PyTorch's constructor, by their defaults."""
    parameters = inspect.signature(getattr(torch.optim, name).__init__).parameters
    return {k: p.default for k, p in parameters.items() if k not in ("self", "params")}


def tried(name, option):
    return VALUES.get((name, option), VALUES.get(option))


def single_changes(name):
    base = START.get(name, dict(lr=0.02))
    yield base
    for option in options_of(name):
        for value in tried(name, option):
            yield {**base, **BESIDE.get((name, option), BESIDE.get(option, {})), option: value}


def random_changes(name, count=6):
    rng = np.random.default_rng(len(name))
    for _ in range(count):
        chosen = [o for o in options_of(name) if o not in NEUTRAL and rng.random() < 0.5]
        options = {**START.get(name, dict(lr=0.02)), **{o: tried(name, o)[rng.integers(len(tried(name, o)))] for o in chosen}}
        if name == "SGD" and options.get("nesterov"):
            options = {**options, "momentum": 0.9, "dampening": 0}
        yield options


RUNS = [(name, options) for name in NAMES for options in (*single_changes(name), *random_changes(name))]
IDS = [f"{name}-{','.join(f'{k}={v}' for k, v in options.items())}" for name, options in RUNS]
SHORT = [(name, options) for name in NAMES for options in random_changes(name, 4)]


# ---- the function ---------------------------------------------------------------------------------------------------

c, y = np.array([0.5, -1.0, 2.0]), np.array([0.3, -0.8, 1.5, 0.1])


def slope(W, b, s):
    """(f, its gradients) of f = |s tanh(W c + b) - y|^2 / 2 + sum of cos(3 W) / 10 + (|b|^2 + s^2) / 20: (4, 3), (4,), ()."""
    h = np.tanh(W @ c + b)
    r = s * h - y
    back = r * s * (1 - h * h)
    f = 0.5 * r @ r + 0.1 * np.cos(3 * W).sum() + 0.05 * (b @ b + s * s)
    return f, (np.outer(back, c) - 0.3 * np.sin(3 * W), back + 0.1 * b, np.asarray(r @ h + 0.1 * s))


def parameters(lib, name, dtype):
    rng = np.random.default_rng(3)
    starts = [rng.normal(size=s) for s in ((4, 3), (4,), ())]
    return [lib.tensor(np.asarray(a), dtype=getattr(lib, dtype), requires_grad=True) for a in (starts[:1] if name == "Muon" else starts)]


def array(t):
    return t.detach().numpy() if isinstance(t, torch.Tensor) else t.detach().array


def give_gradients(lib, ps):
    """The gradients of f where the parameters are; f."""
    W, b, s = [array(p).astype("f8") for p in ps] if len(ps) == 3 else (array(ps[0]).astype("f8"), np.zeros(4), 1.3)
    f, gs = slope(W, b, s)
    for p, g in zip(ps, gs):
        p.grad = lib.tensor(g, dtype=p.dtype)
    return lib.tensor(f, dtype=ps[0].dtype)


def made(lib, name, ps, options):
    """The optimizer, with a group that has its own rate where there can be groups."""
    options = {k: lib.tensor(v.value, dtype=lib.float64) if isinstance(v, T) else v for k, v in options.items()}
    one = name in ("LBFGS", "Muon")
    return getattr(lib.optim, name)(ps if one else [{"params": ps[:1], "lr": 0.01}, {"params": ps[1:]}], **options)


def step(lib, optimizer, ps):
    if type(optimizer).__name__ == "LBFGS":
        return optimizer.step(lambda: give_gradients(lib, ps))
    give_gradients(lib, ps)
    return optimizer.step()


def steps_of(name, dtype):
    """How many steps are compared: LBFGS has 20 inside each, and is soon where rounding decides."""
    return 50 if name != "LBFGS" else 5 if dtype == "float64" else 2


def run(lib, name, options, dtype, steps=None):
    """(the optimizer, its parameters after the steps, an error of the constructor, an error of a step)."""
    ps = parameters(lib, name, dtype)
    try:
        optimizer = made(lib, name, ps, options)
    except (ValueError, TypeError, RuntimeError) as error:
        return None, ps, error, None
    try:
        for _ in range(steps or steps_of(name, dtype)):
            step(lib, optimizer, ps)
    except (RuntimeError, AssertionError, ValueError, IndexError) as error:
        return optimizer, ps, None, error
    return optimizer, ps, None, None


def tolerance(name, dtype, options):
    """Of 50 steps: rounding grows along the way, most where nearly equal numbers are subtracted (centered).

    ASGD and NAdam keep numbers in float32, which PyTorch makes those of the parameters' type when it loads a state; in PyTorch Muon's
    steps are rounded to bfloat16.
    """
    if name == "Muon":
        return 0.02
    if dtype == "float32":
        return 1e-3 if options.get("centered") else 2e-4
    return 1e-7 if name in ("ASGD", "NAdam") else 1e-9


def same(ours, theirs, bound):
    for p, q in zip(ours, theirs):
        np.testing.assert_allclose(array(p), array(q), rtol=bound, atol=bound)


# ---- trajectories -----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", NAMES)
def test_every_option_is_here_with_pytorchs_default(name):
    ours, theirs = (inspect.signature(getattr(lib.optim, name).__init__).parameters for lib in LIBRARIES)
    assert list(ours) == list(theirs)
    for option in theirs:
        assert (ours[option].default, ours[option].kind) == (theirs[option].default, theirs[option].kind), option
        assert option in ("self", "params") or tried(name, option), f"no values to try for {option}"


TYPED = [(*run, dtype, i) for run, i in zip(RUNS, IDS) for dtype in ("float64", "float32") if dtype == "float64" or not NEUTRAL & run[1].keys()]


@pytest.mark.parametrize("name, options, dtype", [t[:3] for t in TYPED], ids=[f"{i}-{dtype}" for *_, dtype, i in TYPED])
def test_trajectories_are_pytorchs(name, options, dtype):
    optimizer, theirs, refused, stopped = run(torch, name, options, dtype)
    mine, ours, error, _ = run(minitorch, name, options, dtype)
    if refused is not None:
        assert type(error) is type(refused), f"PyTorch raises {refused!r}, ours {error!r}"
        return
    if stopped is not None:                          # without a GPU PyTorch refuses some ways to compute the same
        assert NEUTRAL & options.keys(), stopped
        optimizer, theirs, _, _ = run(torch, name, {k: v for k, v in options.items() if k not in NEUTRAL}, dtype)
    assert error is None
    same(ours, theirs, tolerance(name, dtype, options))
    assert [set(s) for s in mine.state_dict()["state"].values()] == [set(s) for s in optimizer.state_dict()["state"].values()]


def other(x, lib):
    """A state_dict with the other library's tensors."""
    if isinstance(x, dict):
        return {k: other(v, lib) for k, v in x.items()}
    if isinstance(x, (list, tuple)):
        return type(x)(other(v, lib) for v in x)
    if isinstance(x, (torch.Tensor, minitorch.Tensor)):
        return lib.tensor(np.array(array(x)), dtype=getattr(lib, str(x.dtype).split(".")[1]))
    return x


@pytest.mark.parametrize("giver, taker", [(minitorch, torch), (torch, minitorch)], ids=["to PyTorch", "from PyTorch"])
@pytest.mark.parametrize("name, options", SHORT, ids=[f"{n}-{i}" for i, (n, _) in enumerate(SHORT)])
def test_a_state_is_taken_over_in_the_middle(name, options, giver, taker):
    optimizer, ps, _, _ = run(giver, name, options, "float64", 20)
    qs = parameters(taker, name, "float64")
    for p, q in zip(ps, qs):
        q.data = taker.tensor(np.array(array(p)))
    heir = made(taker, name, qs, options)
    heir.load_state_dict(other(optimizer.state_dict(), taker))
    for _ in range(10):
        step(giver, optimizer, ps)
        step(taker, heir, qs)
    same(qs, ps, tolerance(name, "float64", options))
    assert heir.state_dict()["param_groups"][0].keys() == optimizer.state_dict()["param_groups"][0].keys()


@pytest.mark.parametrize("name", NAMES)
def test_a_closure_is_called_with_gradients_on_and_its_loss_returned(name):
    for lib in LIBRARIES:
        ps = parameters(lib, name, "float64")
        optimizer, seen = made(lib, name, ps, START.get(name, {})), []

        def closure(lib=lib, ps=ps, seen=seen):
            seen.append(lib.is_grad_enabled())
            return give_gradients(lib, ps)
        with lib.no_grad():
            assert float(optimizer.step(closure)) > 0
        assert set(seen) == {True}


# ---- refusals -----------------------------------------------------------------------------------------------------------

WRONG = {
    "lr": [-1.0, T([0.1, 0.2])], "betas": [(1.0, 0.9), (0.9, 1.0), (-0.1, 0.9), (0.9, -0.1)], "eps": [-1.0], "weight_decay": [-0.1],
    "momentum": [-0.5], "momentum_decay": [-1.0], "alpha": [-1.0], "rho": [1.5, -0.5], "etas": [(1.5, 2.0), (0.5, 0.9)], "lr_decay": [-1.0],
    "initial_accumulator_value": [-1.0], "beta2_decay": [0.5], "d": [0.5], "adjust_lr_fn": ["other"], "line_search_fn": ["other"],
    "step_sizes": [(1.0, 0.5)], "lambd": [-1.0], "t0": [-1.0], "dampening": [-1.0], ("Adafactor", "eps"): [(-1.0, 0.1), (0.1, -1.0)],
    "ns_steps": [100], "ns_coefficients": [(1.0, 2.0)], "nesterov": [True], "max_iter": [0], "history_size": [0],
}
REFUSALS = [(name, {option: value}) for name in NAMES for option in options_of(name)
            for value in WRONG.get((name, option), WRONG.get(option, ()))]
PAIRS = [(name, {a: True, b: v}) for name in NAMES for a, b in itertools.permutations([o for o in options_of(name) if o in NEUTRAL | {"lr"}], 2)
         if a != "lr" for v in (tried(name, b) if b == "lr" else [True])]
PAIRS += [(name, {"betas": (T(0.9), 0.99), **more}) for name in ("Adam", "AdamW")
          for more in ({}, {"foreach": True}, {"foreach": True, "capturable": True})]
PAIRS += [(name, {"betas": (T(0.9), T(0.99))}) for name in ("Adam", "AdamW")]


@pytest.mark.parametrize("name, options", REFUSALS + PAIRS, ids=[f"{n}-{','.join(f'{k}={v}' for k, v in o.items())}" for n, o in REFUSALS + PAIRS])
def test_wrong_options_are_refused_as_in_pytorch(name, options):
    _, theirs, refused, stopped = run(torch, name, options, "float64", 1)
    _, ours, error, failed = run(minitorch, name, options, "float64", 1)
    assert type(error) is type(refused), f"PyTorch raises {refused!r}, ours {error!r}"
    if refused is None and not NEUTRAL & options.keys():
        assert type(failed) is type(stopped), f"PyTorch raises {stopped!r}, ours {failed!r}"
        if stopped is None:
            same(ours, theirs, tolerance(name, "float64", options))
