"""autocast and GradScaler against PyTorch's on the CPU: every op's dtype, numbers and gradients; networks in training; refusals."""
import itertools
import warnings

import numpy as np
import pytest
import test_agreement
from table import walk_arrays

import minitorch

torch = pytest.importorskip("torch")
from agree import REFUSALS, agree, as_numbers, attempt, flat, names_changed, results  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:.*(deprecated|oneDNN|Mismatch dtype):UserWarning")       # PyTorch's, of itself
public, peer, LIBRARIES = test_agreement.public, test_agreement.peer, (minitorch, torch)

FLOATS = {                                           # the dtypes of a call's first float tensor, and of the others
    "float32": ("float32", "float32"), "bfloat16": ("bfloat16", "bfloat16"), "float64": ("float64", "float64"),
    "float32 beside bfloat16": ("float32", "bfloat16"), "bfloat16 beside float32": ("bfloat16", "float32"),
}
DIFFERENT = {"linalg.pinv"}                          # PyTorch's is made of matrix products, and so loses half its digits


def dtypes_of(case, floats, library):
    """The dtypes of a case's results under autocast, or None for what is refused."""
    count = itertools.count()

    def make(a):
        t = library.tensor(a)
        return t.to(getattr(library, floats[next(count) > 0])) if a.dtype.kind == "f" else t
    args, params = case.draw()
    args, params = walk_arrays((list(args), params), make)
    call, gather = (case.call, results) if library is minitorch else (peer(case.call), flat)
    try:
        with library.autocast("cpu"):
            ys = gather(call(*names_changed(args, library), **names_changed(params, library)))
    except REFUSALS:
        return None
    return [name(y.dtype) for y in ys]


def name(dtype):
    return str(dtype).split(".")[-1]


@pytest.mark.parametrize("case", [c for c in public if c.name not in DIFFERENT], ids=lambda c: c.id)
def test_every_op_gives_pytorchs_dtypes(case):
    for floats in FLOATS.values():
        theirs = dtypes_of(case, floats, torch)
        if theirs is not None:                       # more is taken here, as in test_agreement.py
            assert dtypes_of(case, floats, minitorch) == theirs, floats


def agrees_in_float32(case):
    allowed = test_agreement.DIFFERENT.get(case.name, ())
    return case.name not in DIFFERENT and "*" not in allowed and "float32" not in allowed


@pytest.mark.parametrize("case", list(filter(agrees_in_float32, public)), ids=lambda c: c.id)
def test_results_and_gradients_of_float32_are_pytorchs(case):
    def under(call, library):
        def f(*args, **kw):
            with library.autocast("cpu"):
                return call(*args, **kw)
        return f
    drawn = walk_arrays(case.draw(), lambda a: a.astype("f4") if a.dtype.kind == "f" else a)
    ours = attempt(under(case.call, minitorch), *drawn, minitorch.tensor, minitorch)
    theirs = attempt(under(peer(case.call), torch), *drawn, torch.tensor, torch)
    agree(ours, theirs, "bfloat16")


# ---- networks in training -----------------------------------------------------------------------------------------

def images(lib):
    nn = lib.nn
    return nn.Sequential(nn.Conv2d(1, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2), nn.GroupNorm(2, 6),
                         nn.Conv2d(6, 4, 3), nn.GELU(), nn.Flatten(), nn.Linear(16, 10)), (8, 1, 8, 8)


def attention(lib):
    nn = lib.nn
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
    return nn.Sequential(layer, nn.LayerNorm(8), nn.Flatten(), nn.Linear(40, 10)), (8, 5, 8)


class Last(minitorch.nn.Module):
    def forward(self, y):
        return y[0][:, -1]


class TorchLast(torch.nn.Module):
    forward = Last.forward


def recurrent(kind):
    def model(lib):
        return lib.nn.Sequential(getattr(lib.nn, kind)(4, 6, batch_first=True), Last() if lib is minitorch else TorchLast(),
                                 lib.nn.Linear(6, 10)), (8, 5, 4)
    model.__name__ = kind
    return model


def trained(lib, make, weights, x, t, dtype, steps=15):
    """(losses, dtypes of the gradients, the last scale) of a network trained under autocast with a GradScaler."""
    model, _ = make(lib)
    model.load_state_dict({k: lib.tensor(v) for k, v in weights.items()})
    optimizer = lib.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    scaler = lib.amp.GradScaler("cpu", init_scale=2.0 ** 10, growth_interval=4)
    losses, dtypes = [], set()
    for _ in range(steps):
        optimizer.zero_grad()
        with lib.autocast("cpu", dtype=getattr(lib, dtype)):
            loss = lib.nn.functional.cross_entropy(model(lib.tensor(x)), lib.tensor(t))
        assert name(loss.dtype) == "float32"
        scaler.scale(loss).backward()
        dtypes |= {name(p.grad.dtype) for p in model.parameters()}
        scaler.step(optimizer)
        scaler.update()
        losses.append(loss.item())
    return losses, dtypes, scaler.get_scale()


NETWORKS = [(make, dtype) for make in (images, attention, *map(recurrent, ("RNN", "LSTM", "GRU"))) for dtype in ("bfloat16", "float16")
            if (make.__name__, dtype) != ("LSTM", "float16")]        # oneDNN has no such LSTM on many processors


@pytest.mark.parametrize("make, dtype", NETWORKS, ids=[f"{make.__name__}-{dtype}" for make, dtype in NETWORKS])
def test_a_network_trains_as_pytorchs(make, dtype):
    torch.manual_seed(0)
    model, shape = make(torch)
    weights = {k: v.numpy() for k, v in model.state_dict().items()}
    rng = np.random.default_rng(0)
    x, t = rng.normal(size=shape).astype("f4"), rng.integers(10, size=8)
    ours, theirs = (trained(lib, make, weights, x, t, dtype) for lib in LIBRARIES)
    np.testing.assert_allclose(ours[0], theirs[0], rtol=0.03, atol=0.02)       # two roundings of 8 bits each step, in another order
    assert ours[1:] == theirs[1:] and ours[1] == {"float32"} and ours[0][-1] < ours[0][0]


# ---- GradScaler -----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("seed", range(40))
def test_random_programs_of_a_scaler_agree(seed):
    """Scaling, unscaling, steps and updates of two optimizers in random order, mistakes included: the same states and errors."""
    rng = np.random.default_rng(seed)
    options = dict(init_scale=float(rng.choice([4.0, 1e4, 3e38])), growth_factor=float(rng.choice([2.0, 1.7])), backoff_factor=0.3,
                   growth_interval=int(rng.integers(1, 4)))
    worlds = []
    for lib in LIBRARIES:
        ps = [lib.tensor([1.0, 2.0], requires_grad=True) for _ in range(2)]
        worlds.append((lib, lib.amp.GradScaler("cpu", **options), ps, [lib.optim.SGD([p], lr=0.1) for p in ps]))
    for _ in range(30):
        act, which = rng.choice(7, p=[0.3, 0.1, 0.3, 0.2, 0.04, 0.03, 0.03]), int(rng.integers(2))
        factor = float(rng.choice([0.5, 1.0, np.inf, np.nan], p=[0.4, 0.4, 0.1, 0.1]))
        seen = []
        for lib, scaler, ps, optimizers in worlds:
            try:
                if act == 0:
                    ps[which].grad = None
                    scaler.scale((ps[which] * factor).sum()).backward()
                elif act == 1:
                    scaler.unscale_(optimizers[which])
                elif act == 2:
                    scaler.step(optimizers[which])
                elif act == 3:
                    scaler.update()
                elif act == 4:
                    scaler.update(factor if np.isfinite(factor) else lib.tensor(8.0))
                elif act == 5:
                    ps[which].grad = None
                else:
                    scaler.load_state_dict(scaler.state_dict())
                seen.append(None)
            except (RuntimeError, AssertionError, ValueError) as error:
                seen.append((type(error), str(error)))
        assert seen[0] == seen[1]
        (_, a, p, _), (_, b, q, _) = worlds
        assert a.state_dict() == b.state_dict() and a.get_scale() == b.get_scale()
        for x, y in zip(p, q):
            np.testing.assert_allclose(as_numbers(x), as_numbers(y), rtol=1e-6)


BAD_SCALERS = [
    lambda lib: lib.amp.GradScaler("cpu", growth_factor=1.0), lambda lib: lib.amp.GradScaler("cpu", backoff_factor=1.0),
    lambda lib: lib.amp.GradScaler("cpu").scale(3.0), lambda lib: lib.amp.GradScaler("cpu").load_state_dict({}),
    lambda lib: lib.amp.GradScaler("cpu").update(), lambda lib: lib.amp.GradScaler("cpu").step(sgd(lib), closure=lambda: 1),
    lambda lib: started(lib).update(lib.ones(2)), lambda lib: started(lib).step(sgd(lib, grad=False)),
    lambda lib: started(lib).unscale_(sgd(lib, dtype="float16")),
]


def sgd(lib, grad=True, dtype="float32"):
    p = lib.ones(1, dtype=getattr(lib, dtype)).requires_grad_()
    p.grad = lib.ones(1, dtype=getattr(lib, dtype)) if grad else None
    return lib.optim.SGD([p], lr=0.1)


def started(lib):
    scaler = lib.amp.GradScaler("cpu")
    scaler.scale(lib.ones(1))
    return scaler


@pytest.mark.parametrize("call", BAD_SCALERS, ids=range(len(BAD_SCALERS)))
def test_a_scalers_refusals_are_pytorchs(call):
    with pytest.raises((RuntimeError, AssertionError, ValueError)) as theirs:
        call(torch)
    with pytest.raises(type(theirs.value)):
        call(minitorch)


# ---- the switch -------------------------------------------------------------------------------------------------------

def state(lib):
    return lib.is_autocast_enabled("cpu"), name(lib.get_autocast_dtype("cpu")), lib.is_autocast_cache_enabled(), \
        name((lib.ones(2, 2) @ lib.ones(2, 2)).dtype)


def nested(lib):
    with lib.autocast("cpu"):
        yield state(lib)
        with lib.amp.autocast("cpu", dtype=lib.float16, cache_enabled=False):
            yield state(lib)
            with lib.autocast("cpu", enabled=False):
                yield state(lib)
                with lib.autocast("cpu"):
                    yield state(lib)
            yield state(lib)
        yield state(lib)
    yield state(lib)


def decorated(lib):
    @lib.autocast("cpu")
    def f():
        return state(lib)
    yield f()
    yield state(lib)
    yield lib.autocast("cpu", enabled=False)(lambda: state(lib))()


def set_at_once(lib):
    lib.set_autocast_dtype("cpu", lib.float16)
    lib.set_autocast_enabled("cpu", True)
    yield state(lib)
    lib.set_autocast_enabled("cpu", False)
    lib.set_autocast_dtype("cpu", lib.bfloat16)
    yield state(lib)


def other_dtypes(lib):
    for dtype in (lib.float64, lib.float32, lib.int32):
        with pytest.warns(UserWarning, match="target dtype is not supported"):
            context = lib.autocast("cpu", dtype=dtype)
        with context:
            yield state(lib)


def an_error_inside(lib):
    with pytest.raises(ZeroDivisionError), lib.autocast("cpu"):
        raise ZeroDivisionError
    yield state(lib)


@pytest.mark.parametrize("program", [nested, decorated, set_at_once, other_dtypes, an_error_inside])
def test_the_switch_is_pytorchs(program):
    assert list(program(minitorch)) == list(program(torch))


@pytest.mark.parametrize("call", [
    lambda lib: lib.autocast("nonsense"), lambda lib: lib.autocast(3), lambda lib: lib.get_autocast_dtype("nonsense"),
    lambda lib: lib.is_autocast_enabled("nonsense"), lambda lib: lib.amp.custom_fwd(lambda x: x), lambda lib: lib.amp.custom_bwd(lambda x: x)])
def test_its_refusals_are_pytorchs(call):
    with pytest.raises((RuntimeError, TypeError, ValueError)) as theirs:
        call(torch)
    with pytest.raises(type(theirs.value)):
        call(minitorch)


def custom(lib, cast_inputs):
    seen = []

    class Twice(lib.autograd.Function):
        @staticmethod
        @lib.amp.custom_fwd(device_type="cpu", cast_inputs=cast_inputs and getattr(lib, cast_inputs))
        def forward(ctx, x, w, n):
            seen.append((name(x.dtype), name(w.dtype), lib.is_autocast_enabled("cpu")))
            ctx.save_for_backward(x, w)
            return (x @ w) * n

        @staticmethod
        @lib.amp.custom_bwd(device_type="cpu")
        def backward(ctx, g):
            x, w = ctx.saved_tensors
            seen.append((name(g.dtype), lib.is_autocast_enabled("cpu"), name(lib.get_autocast_dtype("cpu"))))
            return (g @ w.T).to(x.dtype), (x.T @ g).to(w.dtype), None
    for on in (True, False):
        x, w = (lib.ones(2, 2, requires_grad=True) for _ in range(2))
        with lib.autocast("cpu", dtype=lib.float16, enabled=on):
            y = Twice.apply(x, w, 2)
        y.sum().backward()
        seen += [name(y.dtype), name(x.grad.dtype), name(w.grad.dtype), w.grad.tolist()]
    return seen


@pytest.mark.parametrize("cast_inputs", [None, "float32", "float16"])
def test_custom_functions_run_as_pytorchs(cast_inputs):
    assert custom(minitorch, cast_inputs) == custom(torch, cast_inputs)


def test_what_is_in_place_or_written_out_is_not_cast():
    for lib in LIBRARIES:
        a, b = lib.full((2, 2), 1.001), lib.ones(2, 2)
        with lib.autocast("cpu"):
            assert name(lib.matmul(a, b, out=lib.zeros(2, 2)).dtype) == "float32"
            c = lib.zeros(2, 2).addmm_(a, b)
        assert name(c.dtype) == "float32" and c[0, 0].item() == pytest.approx(2.002, rel=1e-6)


def test_a_checkpointed_function_is_run_again_under_the_same_autocast():
    got = []
    for lib in LIBRARIES:
        x, w = (lib.full((3, 3), v, requires_grad=True) for v in (0.3, 0.7))
        checkpoint = __import__(f"{lib.__name__}.utils.checkpoint", fromlist=["checkpoint"]).checkpoint
        with lib.autocast("cpu"):
            y = checkpoint(lambda x, w=w: (x @ w).tanh() @ w, x, use_reentrant=False)
        y.float().sum().backward()
        assert not lib.is_autocast_enabled("cpu")
        got.append((name(y.dtype), x.grad.tolist(), w.grad.tolist()))
    assert got[0][0] == got[1][0] == "bfloat16"
    np.testing.assert_allclose(got[0][1], got[1][1], rtol=0.02)
    np.testing.assert_allclose(got[0][2], got[1][2], rtol=0.02)


def test_the_older_names_warn_and_work_without_a_gpu():
    for lib in LIBRARIES:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with lib.cuda.amp.autocast():
                assert name((lib.ones(2, 2) @ lib.ones(2, 2)).dtype) == "float32" or lib.cuda.is_available()
            assert lib.cuda.amp.GradScaler().is_enabled() == lib.cuda.is_available()
