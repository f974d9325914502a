"""Learning-rate schedules against PyTorch: every option of every constructor over 50 steps, alone, in sequence, in chains and nested; states
exchanged in the middle; averages of weights in training.

The options are read from PyTorch's signatures: one that is missing here, or has no values below to try, fails.
"""
import copy
import inspect
import warnings

import numpy as np
import pytest

import minitorch

torch = pytest.importorskip("torch")
LIBRARIES = (minitorch, torch)
MADE_OF_OTHERS = {"SequentialLR", "ChainedScheduler", "LRScheduler"}
NAMES = [*(n for n in torch.optim.lr_scheduler.__all__ if n not in MADE_OF_OTHERS), "SWALR"]


def home(lib, name):
    return getattr(lib.optim.swa_utils if name == "SWALR" else lib.optim.lr_scheduler, name)


class Decay:
    """A callable object, whose attributes a state_dict holds."""

    def __init__(self, rate):
        self.rate = rate

    def __call__(self, epoch):
        return 1 / (1 + self.rate * epoch)


REQUIRED = {"LambdaLR": dict(lr_lambda=Decay(0.2)), "MultiplicativeLR": dict(lr_lambda=Decay(0.01)), "StepLR": dict(step_size=7),
            "MultiStepLR": dict(milestones=[3, 8, 8, 20]), "ExponentialLR": dict(gamma=0.9), "CosineAnnealingLR": dict(T_max=10),
            "CyclicLR": dict(base_lr=0.01, max_lr=0.1, step_size_up=7), "CosineAnnealingWarmRestarts": dict(T_0=5),
            "OneCycleLR": dict(max_lr=0.5, total_steps=55), "SWALR": dict(swa_lr=0.05), "ReduceLROnPlateau": dict(patience=3)}
VALUES = {
    "lr_lambda": [lambda epoch: 0.97 ** min(epoch, 30), [Decay(0.1), lambda epoch: 1.0]], "step_size": [1, 100], "gamma": [0.5, 1.1],
    "milestones": [[1], [49, 2], []], "factor": [0.5, 1.0], "total_iters": [1, 30], "start_factor": [0.01, 1.0], "end_factor": [0.2, 0.0],
    "T_max": [1, 7, 60], "eta_min": [0.01], "T_0": [1, 9], "T_mult": [2, 3], "power": [2.0, 0.5], "base_lr": [[0.01, 0.02]],
    "max_lr": [[0.5, 0.9], 0.2], "step_size_up": [1, 12], "step_size_down": [3], "mode": ["triangular2", "exp_range"],
    "scale_fn": [lambda x: 1 / (x + 1)], "scale_mode": ["iterations"], "cycle_momentum": [False], "base_momentum": [0.5],
    "max_momentum": [0.99], "total_steps": [51, 80], "epochs": [3], "steps_per_epoch": [17], "pct_start": [0.1, 0.9],
    "anneal_strategy": ["linear"], "div_factor": [5.0], "final_div_factor": [10.0], "three_phase": [True], "swa_lr": [[0.05, 0.5]],
    "anneal_epochs": [1, 30, 0], "patience": [0, 1], "threshold": [0.1], "threshold_mode": ["abs"], "cooldown": [2], "min_lr": [0.02, [0.05, 0.01]],
    "eps": [0.05], ("ReduceLROnPlateau", "mode"): ["max"], ("ReduceLROnPlateau", "factor"): [0.5],
    ("OneCycleLR", "max_lr"): [0.2, [0.5, 0.9]], "last_epoch": [9],
}
BESIDE = {"epochs": dict(total_steps=None, steps_per_epoch=20), "steps_per_epoch": dict(total_steps=None, epochs=4),
          "scale_mode": dict(scale_fn=lambda x: 0.98 ** x), ("CyclicLR", "gamma"): dict(mode="exp_range"), "threshold_mode": dict(threshold=0.05)}


def options_of(name):
    """The options of PyTorch's constructor that can be tried."""
    return [k for k in inspect.signature(home(torch, name).__init__).parameters if k not in ("self", "optimizer")]


def tried(name, option):
    return VALUES.get((name, option), VALUES.get(option))


def runs():
    for name in NAMES:
        base = REQUIRED.get(name, {})
        yield name, base
        for option in options_of(name):
            for value in tried(name, option):
                yield name, {**base, **BESIDE.get((name, option), BESIDE.get(option, {})), option: value}
        rng = np.random.default_rng(len(name))
        for _ in range(4):
            chosen = [o for o in options_of(name) if o not in ("last_epoch", "epochs", "steps_per_epoch") and rng.random() < 0.5]
            yield name, {**base, **{o: tried(name, o)[rng.integers(len(tried(name, o)))] for o in chosen}}


RUNS = list(runs())
IDS = [f"{name}-{i}" for i, (name, _) in enumerate(RUNS)]


def optimizer(lib, make="SGD", tensor=False):
    """An optimizer with two groups."""
    ps = [lib.zeros(1, requires_grad=True) for _ in range(2)]
    rates = [lib.tensor(r, dtype=lib.float64) if tensor else r for r in (0.3, 0.1)]
    extra = dict(momentum=0.9) if make == "SGD" else {}
    o = getattr(lib.optim, make)([{"params": ps[0], "lr": rates[0]}, {"params": ps[1], "lr": rates[1]}], **extra)
    for p in ps:
        p.grad = lib.zeros(1)
    return o


def scheduler(lib, name, o, options):
    if options.get("last_epoch", -1) >= 0:
        for group in o.param_groups:
            group.update(initial_lr=0.4, max_lr=0.5, min_lr=0.001, base_momentum=0.8, max_momentum=0.9)
    return home(lib, name)(o, **copy.deepcopy(options))


LOSSES = np.abs(np.random.default_rng(0).normal(size=60)) + np.linspace(2, 0, 60)


def step(name, o, s, i):
    o.step()
    s.step(*([LOSSES[i]] if name == "ReduceLROnPlateau" else []))


def seen(o, s):
    """Rates, momenta and what the scheduler says, as numbers."""
    numbers = [float(x) for x in s.get_last_lr()]
    for group in o.param_groups:
        numbers += [float(group["lr"]), group.get("momentum", 0), *group.get("betas", ())]
    return numbers


def trajectory(lib, name, options, make="SGD", tensor=False, steps=50):
    """The rates of every step; or the error that ended it, last."""
    found = []
    try:
        o = optimizer(lib, make, tensor)
        s = scheduler(lib, name, o, options)
        for i in range(steps):
            found.append(seen(o, s))
            step(name, o, s, i)
    except (ValueError, TypeError, KeyError, RuntimeError, ZeroDivisionError) as error:
        return found, error
    return found, None


@pytest.mark.parametrize("name", [*NAMES, *sorted(MADE_OF_OTHERS)])
def test_every_option_is_here_with_pytorchs_default(name):
    ours, theirs = (inspect.signature(home(lib, name).__init__).parameters for lib in LIBRARIES)
    assert list(ours) == list(theirs)
    for option in theirs:
        assert ours[option].default == theirs[option].default, option
        assert name in MADE_OF_OTHERS or option in ("self", "optimizer") or tried(name, option), f"no values to try for {option}"


WAYS = [(run, "SGD", False, i) for run, i in zip(RUNS, IDS)]         # with momentum and with betas, rates as numbers and as tensors
WAYS += [(run, make, tensor, i) for run, i in zip(RUNS, IDS) for make, tensor in (("Adam", False), ("SGD", True))
         if run[1] == REQUIRED.get(run[0], {}) or run[0] in ("CyclicLR", "OneCycleLR")]


@pytest.mark.parametrize("run, make, tensor", [way[:3] for way in WAYS], ids=[f"{i}-{make}{'-tensors' * tensor}" for _, make, tensor, i in WAYS])
def test_rates_are_pytorchs(run, make, tensor):
    name, options = run
    theirs, refused = trajectory(torch, name, options, make, tensor)
    ours, error = trajectory(minitorch, name, options, make, tensor)
    assert type(error) is type(refused), f"PyTorch raises {refused!r}, ours {error!r}"
    np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-14)


def plain(x):
    """A state without what one library alone can hold."""
    return {k: v for k, v in copy.deepcopy(x).items() if not callable(v)}


FRESH = [(run, i) for run, i in zip(RUNS, IDS) if "last_epoch" not in run[1]]


@pytest.mark.parametrize("giver, taker", [(minitorch, torch), (torch, minitorch), (minitorch, minitorch)],
                         ids=["to PyTorch", "from PyTorch", "to itself"])
@pytest.mark.parametrize("name, options", [run for run, _ in FRESH], ids=[i for _, i in FRESH])
def test_a_state_is_taken_over_in_the_middle(name, options, giver, taker):
    o = optimizer(giver)
    try:
        s = scheduler(giver, name, o, options)
    except (ValueError, TypeError, ZeroDivisionError):
        return                                       # the options do not go together: compared above
    for i in range(20):
        step(name, o, s, i)
    p = optimizer(taker)
    t = scheduler(taker, name, p, options)
    for group, other in zip(p.param_groups, copy.deepcopy(o.state_dict()["param_groups"])):
        group.update({k: v for k, v in other.items() if k != "params"})
    t.load_state_dict(plain(s.state_dict()))
    for i in range(20, 50):
        np.testing.assert_allclose(seen(p, t), seen(o, s), rtol=1e-9, atol=1e-14, err_msg=str(i))
        try:
            step(name, o, s, i)
        except ValueError:
            with pytest.raises(ValueError):
                step(name, p, t, i)
            return
        step(name, p, t, i)


# ---- made of others -------------------------------------------------------------------------------------------------------

def sequence(lib, o, pieces, milestones):
    return lib.SequentialLR(o, [make(lib, o) for make in pieces], milestones)


PIECES = [
    lambda lib, o: lib.ConstantLR(o, 0.3, 4), lambda lib, o: lib.LinearLR(o, 0.1, total_iters=6), lambda lib, o: lib.ExponentialLR(o, 0.9),
    lambda lib, o: lib.StepLR(o, 3, 0.7), lambda lib, o: lib.CosineAnnealingLR(o, 9), lambda lib, o: lib.MultiStepLR(o, [2, 5], 0.5),
    lambda lib, o: lib.PolynomialLR(o, 12), lambda lib, o: lib.LambdaLR(o, lambda e: 0.95 ** e),
    lambda lib, o: lib.CosineAnnealingWarmRestarts(o, 4),
]                                                    # a chain in a sequence: PyTorch refuses it, or steps it once too often; see test_optim.py


def composed(seed):
    """A random composition of schedules."""
    rng = np.random.default_rng(seed)
    pieces = [PIECES[i] for i in rng.integers(0, len(PIECES), rng.integers(2, 4))]
    milestones = sorted(int(m) for m in rng.choice(np.arange(2, 40), len(pieces) - 1, replace=False))
    if seed % 3 == 0:
        return lambda lib, o: lib.ChainedScheduler([make(lib, o) for make in pieces])
    return lambda lib, o: sequence(lib, o, pieces, milestones)


@pytest.mark.parametrize("seed", range(40))
def test_compositions_are_pytorchs(seed):
    worlds = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for lib in LIBRARIES:
            o = optimizer(lib)
            worlds.append((o, composed(seed)(lib.optim.lr_scheduler, o)))
        saved = None
        for i in range(50):
            (o, s), (p, t) = worlds
            np.testing.assert_allclose(seen(o, s), seen(p, t), rtol=1e-9, atol=1e-14, err_msg=str(i))
            for q, u in worlds:
                q.step()
                u.step()
            if i == 20:
                saved = copy.deepcopy((s.state_dict(), o.state_dict()["param_groups"]))
        o = optimizer(minitorch)                     # a second run from the state of step 20 ends where the first did
        s = composed(seed)(minitorch.optim.lr_scheduler, o)
        s.load_state_dict(saved[0])
        for group, other in zip(o.param_groups, saved[1]):
            group.update({k: v for k, v in other.items() if k != "params"})
        for _ in range(21, 50):
            o.step()
            s.step()
        np.testing.assert_allclose(seen(o, s), seen(*worlds[0]), rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("options", [dict(T_0=5), dict(T_0=3, T_mult=2, eta_min=0.001)])
def test_warm_restarts_take_fractions_of_epochs(options):
    o, p = optimizer(minitorch), optimizer(torch)
    s, t = home(minitorch, "CosineAnnealingWarmRestarts")(o, **options), home(torch, "CosineAnnealingWarmRestarts")(p, **options)
    for epoch in range(13):
        for batch in range(4):
            for q, u in ((o, s), (p, t)):
                q.step()
                u.step(epoch + batch / 4)
            np.testing.assert_allclose(seen(o, s), seen(p, t), rtol=1e-12)
            assert (s.T_cur, s.T_i, s.last_epoch) == (t.T_cur, t.T_i, t.last_epoch)


# ---- averages of weights --------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("kind", ["swa", "ema"])
def test_stochastic_weight_averaging_is_pytorchs(kind):
    """A network with batch norm: trained, averaged from the middle on, its statistics measured anew."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(6, 8, 3)).astype("f4"), rng.normal(size=(6, 8, 2)).astype("f4")
    torch.manual_seed(0)
    start = {k: v.numpy() for k, v in network(torch).state_dict().items()}
    ends = []
    for lib in LIBRARIES:
        net, swa = network(lib), lib.optim.swa_utils
        net.load_state_dict({k: lib.tensor(v) for k, v in start.items()})
        average = swa.AveragedModel(net) if kind == "swa" else swa.AveragedModel(net, multi_avg_fn=swa.get_ema_multi_avg_fn(0.8), use_buffers=True)
        o = lib.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
        before, after = lib.optim.lr_scheduler.CosineAnnealingLR(o, 20), swa.SWALR(o, swa_lr=0.02, anneal_epochs=3)
        for epoch in range(10):
            for i in range(6):
                o.zero_grad()
                lib.nn.functional.mse_loss(net(lib.tensor(x[i])), lib.tensor(y[i])).backward()
                o.step()
            if epoch > 4:
                average.update_parameters(net)
                after.step()
            else:
                before.step()
        swa.update_bn([lib.tensor(b) for b in x], average)
        average.eval()
        ends.append((average(lib.tensor(x[0])).detach().numpy(), {k: v.numpy() for k, v in average.state_dict().items()}, o.param_groups[0]["lr"]))
    np.testing.assert_allclose(ends[0][0], ends[1][0], rtol=1e-3, atol=1e-4)       # float32, 60 steps
    assert ends[0][1].keys() == ends[1][1].keys() and ends[0][2] == pytest.approx(ends[1][2])
    for k, v in ends[1][1].items():
        np.testing.assert_allclose(ends[0][1][k], v, rtol=1e-3, atol=1e-4, err_msg=k)


def network(lib):
    nn = lib.nn
    return nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2))
