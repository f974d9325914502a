"""gradcheck.check gives the right verdict: on wrong gradients of every kind, on correct ones that are hard to check, and at points
where there is nothing to be right about."""
import os
import re
import shutil
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import standin

import minitorch
from minitorch import autograd, gradcheck
from minitorch.gradcheck import check
from minitorch.gradcheck.report import (CORRECT, NOT_DIFFERENTIABLE, NOT_FINITE, RANDOM, TOO_NOISY, VACUOUS, WRITES, WRONG)

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))

import gradcheck_functions as functions  # noqa: E402

F64 = minitorch.float64


def randn(*shape, dtype="f8", seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def verdict(f, *inputs, **options):
    return check(f, inputs, **options).verdict


# ---- correct gradients that are hard to check ---------------------------------------------------------------------------

SMOOTH = {
    "tiny scale": (lambda x: 1e-8 * np.tanh(x), lambda g, x: 1e-8 * g / np.cosh(x) ** 2),
    "huge scale": (lambda x: 1e8 * np.tanh(x), lambda g, x: 1e8 * g / np.cosh(x) ** 2),
    "tiny argument": (lambda x: np.sin(1e-8 * x), lambda g, x: 1e-8 * g * np.cos(1e-8 * x)),
    "fast oscillation": (lambda x: np.sin(1e8 * x), lambda g, x: 1e8 * g * np.cos(1e8 * x)),
    "exponential growth": (lambda x: np.exp(20 * x), lambda g, x: 20 * g * np.exp(20 * x)),
    "cancellation": (lambda x: (1 + x) ** 2 - 1 - 2 * x, lambda g, x: g * 2 * x),
    "large offset": (lambda x: 1e6 + np.sin(x), lambda g, x: g * np.cos(x)),
    "linear": (lambda x: 3 * x, lambda g, x: 3 * g),
    "constant": (lambda x: np.full_like(x, 7.0), lambda g, x: 0 * g),
    "mean": (lambda x: x.mean(), lambda g, x: np.full_like(x, g / x.size)),
    "kinks away from the point": (lambda x: np.abs(x) + np.maximum(x, 0), lambda g, x: g * (np.sign(x) + (x > 0))),
    "sorted": (lambda x: np.sort(x, axis=None), lambda g, x: g[np.argsort(np.argsort(x, axis=None))].reshape(x.shape)),
}


@pytest.mark.parametrize("name", SMOOTH)
@pytest.mark.parametrize("shape", [(), (1,), (3, 4), (300,)])
def test_a_correct_gradient_is_called_correct(name, shape):
    report = check(SMOOTH[name], randn(*shape, seed=3))
    assert report.verdict == CORRECT, report
    assert report.evaluations <= 40


@pytest.mark.parametrize("seed", range(10))
def test_inputs_that_are_measured_apart_stay_within_forty_evaluations(seed):
    a, b, c = (minitorch.tensor(v, dtype=minitorch.float64) for v in (0.3, 0.7, 1e-6))
    report = check(lambda a, b, c: [a.sin(), b.sin() * 3 + 1e9, (1e5 * c).sin() + 1e-6 * a.sin(), a.floor()], (a, b, c), seed=seed)
    assert report.ok and report.evaluations <= 40, report


@pytest.mark.parametrize("name", [n for n in SMOOTH if n != "constant"])
@pytest.mark.parametrize("shape", [(1,), (3, 4), (300,)])
def test_the_same_gradient_a_thousandth_off_is_called_wrong(name, shape):
    f, vjp = SMOOTH[name]
    assert verdict((f, lambda g, x: 1.001 * vjp(g, x)), randn(*shape, seed=3)) == WRONG


def test_a_gradient_that_vanishes_at_the_point_is_correct_and_a_wrong_one_there_is_seen():
    x = np.zeros(5)
    assert verdict((lambda x: x ** 2, lambda g, x: 2 * g * x), x) == CORRECT
    assert verdict((lambda x: x ** 2, lambda g, x: 2 * g * x + 1e-6), x) == WRONG


@pytest.mark.parametrize("point", [1e-3, 1e-5, 1e-6])
def test_a_kink_near_the_point_does_not_disturb(point):
    assert verdict((np.abs, lambda g, x: g * np.sign(x)), np.array([1.0, point, -2.0])) == CORRECT


@pytest.mark.parametrize("seed", range(100))
def test_random_functions_with_right_gradients_raise_no_alarm(seed):
    f = functions.random_function(seed)
    report = check(f, f.inputs, seed=seed)
    assert report.ok, f"{f}\n{report}"


@pytest.mark.parametrize("seed", range(30))
def test_random_functions_with_a_gradient_slightly_off_do(seed):
    f = functions.random_function(seed)

    class Off(autograd.Function):                                         # the identity, with a gradient a hundredth too large
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, g):
            return g * 1.01
    place = seed % len(f.inputs)
    report = check(lambda *xs: f(*[Off.apply(x) if i == place else x for i, x in enumerate(xs)]), f.inputs, seed=seed, find=False)
    assert report.inputs[place].verdict in (WRONG, TOO_NOISY), f"{f}\n{report}"
    assert report.verdict == WRONG, f"{f}\n{report}"


# ---- nothing to be right about ------------------------------------------------------------------------------------------

@pytest.mark.parametrize("f, x", [
    (minitorch.abs, [0.0, 1.0]), (minitorch.relu, [0.0, 1.0, -1.0]), (lambda x: x.max(), [2.0, 2.0, 1.0]), (lambda x: x.norm(), [0.0, 0.0]),
    (lambda x: minitorch.maximum(x, minitorch.zeros_like(x)), [0.0, 3.0]), (minitorch.floor, [1.0, 0.5]), (minitorch.sign, [0.0, 2.0]),
    (lambda x: (x > 0.5).to(F64) * x, [0.5, 1.0])])
def test_kinks_ties_and_jumps_at_the_point_are_named(f, x):
    assert verdict(f, minitorch.tensor(x, dtype=F64)) == NOT_DIFFERENTIABLE


@pytest.mark.parametrize("kind, verdicts", [("kink", NOT_DIFFERENTIABLE), ("jump", NOT_DIFFERENTIABLE), ("noise", TOO_NOISY), ("vacuous", VACUOUS)])
def test_constructed_cases_are_named_as_what_they_are(kind, verdicts):
    reports = []
    for seed in range(1000, 1025):
        f, vjp, x = functions.CONSTRUCTED[kind](np.random.default_rng(seed))
        reports.append(check((f, vjp), x, seed=seed))
    named = [r.verdict == verdicts and (kind not in ("kink", "jump") or r.inputs[0].kind == kind) for r in reports]
    assert sum(named) >= 24, "\n".join(str(r) for r, right in zip(reports, named) if not right)


@pytest.mark.parametrize("distance", [1e-2, 1e-4, 1e-7])
def test_jumps_beside_the_point_do_not_disturb(distance):
    x = np.round(randn(30)) + np.where(randn(30, seed=1) > 0, distance, 0.3)
    assert verdict((lambda x: np.floor(x) + x ** 2, lambda g, x: 2 * g * x), x) == CORRECT
    assert verdict((lambda x: np.floor(x) + x ** 2, lambda g, x: 2.01 * g * x), x) == WRONG


def test_a_flat_spot_with_a_slope_around_it_is_not_taken_for_the_slope():
    def shrink(x):                                                        # zero within a ten-thousandth of zero, either side
        return np.sign(x) * np.maximum(np.abs(x) - 1e-4, 0)
    assert verdict((shrink, lambda g, x: 0 * g), np.zeros(3)) == CORRECT
    assert verdict((shrink, lambda g, x: g), np.zeros(3)) != CORRECT


@pytest.mark.parametrize("f, said", [(np.abs, "slope is"), (np.sign, "jumps"), (np.floor, "jumps"), (lambda x: (x != 0) * 1.0, "jumps")])
def test_the_entry_with_the_kink_or_the_jump_is_named(f, said):
    x = randn(300, 4) ** 2 + 0.1
    x[123, 2] = 0
    report = check((f, lambda g, x: 0 * g), x)
    assert said in report.inputs[0].note and report.inputs[0].note.endswith("at x[123, 2]"), report


def test_a_gradient_below_what_can_be_seen_is_vacuous():
    assert verdict((lambda x: 1e8 + 1e-9 * x, lambda g, x: 0 * g), np.ones(4)) == VACUOUS
    assert verdict((lambda x: 1e8 + 1e-9 * x, lambda g, x: 1e-9 * g), np.ones(4)) == VACUOUS


def test_a_function_that_returns_nothing_is_vacuous():
    report = check(lambda x: None, minitorch.ones(3))
    assert report.verdict == VACUOUS and "the function returned nothing" in str(report)
    for f, what in ((lambda x: "text", "str"), (lambda x: x.argmax(), "Tensor")):
        report = check(f, minitorch.ones(3))
        assert report.verdict == VACUOUS and f"nothing that has a derivative: {what}" in str(report) and not report.ok


def test_a_slope_hidden_in_rounding_is_too_noisy():
    def rough(x):
        return np.round(np.sin(x), 3)                                     # as an instrument would give it
    assert verdict((rough, lambda g, x: g * np.cos(x)), randn(50)) in (TOO_NOISY, NOT_DIFFERENTIABLE)
    assert verdict((lambda x: (1e4 + np.sin(x)).astype("f4"), lambda g, x: (g * np.cos(x)).astype("f4")), randn(50, dtype="f4")) == TOO_NOISY


def test_nan_and_infinity_never_pass():
    assert verdict(minitorch.log, minitorch.tensor([-1.0, 1.0], dtype=F64)) == NOT_FINITE
    assert verdict((lambda x: x, lambda g, x: g * np.nan), randn(3)) == NOT_FINITE
    assert verdict((lambda x: x, lambda g, x: np.where(np.arange(3) == 1, np.inf, g)), randn(3)) == NOT_FINITE
    assert verdict((lambda x: x * 2, lambda g, x: g * 2), np.array([1.0, np.nan])) == NOT_FINITE


def test_random_functions_are_named():
    rng = np.random.default_rng(0)
    assert verdict((lambda x: x * rng.normal(), lambda g, x: g), randn(3)) == RANDOM
    assert verdict(lambda x: minitorch.nn.functional.dropout(x, 0.5), minitorch.tensor(randn(200), dtype=F64)) == RANDOM


def test_a_random_function_is_not_random_once_it_is_seeded():
    def f(x):
        minitorch.manual_seed(3)
        return minitorch.nn.functional.dropout(x, 0.5)
    assert verdict(f, minitorch.tensor(randn(200), dtype=F64)) == CORRECT


def test_functions_that_write_to_their_input_are_named():
    def f(x):
        x *= 2
        return x
    report = check((f, lambda g, x: 2 * g), randn(3))
    assert report.verdict == WRITES


def test_what_f_raises_comes_through():
    with pytest.raises(ZeroDivisionError):
        check((lambda x: 1 / 0, lambda g, x: g), randn(3))
    with pytest.raises(ZeroDivisionError):
        check((lambda x: x, lambda g, x: 1 / 0), randn(3))


def test_a_domain_that_ends_nearby_is_respected():
    def f(x):
        if (x <= 0).any():
            raise ValueError("outside")
        return np.log(x)
    assert verdict((f, lambda g, x: g / x), np.array([0.004, 1.0])) == CORRECT


# ---- inputs of every kind -----------------------------------------------------------------------------------------------

def test_complex_inputs_are_refused():
    with pytest.raises(TypeError, match="complex"):
        check((np.sin, lambda g, x: g), np.ones(3, complex))
    with pytest.raises(TypeError, match="result 0 is complex"):
        check((lambda x: x * 1j, lambda g, x: g), np.ones(3))


def test_integers_and_booleans_are_passed_along_unchecked():
    def f(x, i, keep):
        return x[i] * keep
    report = check(f, (minitorch.tensor(randn(4)), minitorch.tensor([0, 0, 3]), minitorch.tensor([True, False, True])))
    assert report.ok and [r.name for r in report.inputs] == ["x"]


def test_layouts_and_shared_memory():
    base = randn(6, 8)
    for x in (base.T, base[::2, 1::3], base[:, ::-1], np.broadcast_to(base[0], (3, 8)), np.lib.stride_tricks.sliding_window_view(base[0], 3)):
        assert check((np.exp, lambda g, x: g * np.exp(x)), x).ok
    t = minitorch.from_numpy(base)
    for x in (t.T, t[::2, 1::3], t[0].expand(3, 8), t[0].unfold(0, 3, 1)):
        report = check(lambda x: x.exp() * x, x)
        assert report.ok, report


def test_the_same_array_twice_is_two_inputs():
    x = minitorch.tensor(randn(3, 3))
    assert check(lambda a, b: a @ b, (x, x)).ok
    assert check((lambda a, b: a * b, lambda g, a, b: (g * b, 2 * g * a)), (x.numpy(), x.numpy())).inputs[1].verdict == WRONG


def test_inputs_that_share_memory_are_still_told_apart():
    base = randn(8)
    report = check((lambda a, b: a[:6] * b, lambda g, a, b: (np.append(g * b, [0, 0]), g * a[:6] * 1.5)), (base, base[2:]))
    assert report.inputs[0].verdict == CORRECT and report.inputs[1].verdict == WRONG
    x = minitorch.tensor(randn(4, 4))
    assert check(lambda a, b: (a * b).sin(), (x, x.T)).ok


def test_zero_size_inputs():
    report = check(lambda x, w: x @ w, (minitorch.zeros(0, 3, dtype=F64), minitorch.ones(3, 2, dtype=F64)))
    assert report.ok
    assert check(minitorch.exp, minitorch.zeros(0, dtype=F64)).ok


def test_several_outputs_are_each_seen_whatever_their_scale():
    def f(x):
        return 1e8 * np.sin(x), 1e-8 * np.cos(x)

    def right(g, x):
        return g[0] * 1e8 * np.cos(x) - g[1] * 1e-8 * np.sin(x)

    def wrong(g, x):
        return g[0] * 1e8 * np.cos(x) - 1.01 * g[1] * 1e-8 * np.sin(x)
    assert verdict((f, right), randn(5)) == CORRECT
    assert verdict((f, wrong), randn(5)) == WRONG


def test_an_input_that_no_output_depends_on():
    report = check(lambda a, b: a * 2, (minitorch.tensor(randn(3)), minitorch.tensor(randn(3))))
    assert report.ok and "do not depend" in str(report)
    assert check((lambda a, b: a * 2, lambda g, a, b: (2 * g, 1e-9 * g)), (randn(3), randn(3))).inputs[1].verdict == WRONG


def test_an_input_whose_share_is_small_is_checked_alone():
    f = (lambda a, b: 1e5 * np.sin(a) + 1e-6 * np.sin(b), lambda g, a, b: (1e5 * g * np.cos(a), 1.1e-6 * g * np.cos(b)))
    report = check(f, (randn(4), randn(4)))
    assert report.inputs[0].verdict == CORRECT and report.inputs[1].verdict == WRONG


@pytest.mark.parametrize("dtype", [minitorch.float32, minitorch.float16, minitorch.bfloat16])
def test_narrow_floats_are_compared_in_float64(dtype):
    x, w = minitorch.randn(6, 5).to(dtype), minitorch.randn(5, 4).to(dtype)
    report = check(lambda x, w: (x @ w).tanh(), (x, w))
    assert report.ok and report.shadow, report


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_a_mistake_in_the_narrow_type_alone_is_seen(dtype):
    def vjp(g, x):
        y = g * np.cos(x)
        if x.dtype != np.float64:
            y[3] *= 1.5
        return y.astype(x.dtype)
    assert verdict((np.sin, vjp), randn(40, dtype=dtype)) == WRONG


@pytest.mark.parametrize("dtype, off", [("float32", 1.01), ("float16", 1.3)])
def test_a_function_that_knows_one_narrow_type_is_measured_by_its_own_noise(dtype, off):
    def f(x):
        if x.dtype != dtype:
            raise TypeError("another type")
        return np.sin(x.astype("f4")).astype(dtype)

    def vjp(g, x, factor=1.0):
        return (factor * g.astype("f4") * np.cos(x.astype("f4"))).astype(dtype)
    x = randn(40, dtype=dtype)
    report = check((f, vjp), x)
    assert report.ok and not report.shadow and report.evaluations <= 40, report
    assert verdict((f, lambda g, x: vjp(g, x, off)), x) == WRONG


def test_what_is_not_differentiated_follows_into_float64():
    x, w = minitorch.randn(6, 5, requires_grad=True), minitorch.randn(5, 4)
    model = minitorch.nn.Linear(5, 4)
    model.bias.requires_grad_(False)
    assert check(lambda x, w: (x @ w).tanh(), (x, w)).shadow
    assert check(model, x).shadow


@pytest.mark.parametrize("scales", [(1, 1), (1e-8, 1e8)])
def test_cupy_arrays(scales):
    with standin.installed() as cupy:
        a, b = (cupy.asarray(s * randn(3, 4, seed=i)) for i, s in enumerate(scales))
        f = (lambda a, b: cupy.sin(a / scales[0]) * b, lambda g, a, b: (g * b * cupy.cos(a / scales[0]) / scales[0], g * cupy.sin(a / scales[0])))
        assert check(f, (a, b)).ok
        assert check((f[0], lambda g, a, b: tuple(1.01 * v for v in f[1](g, a, b))), (a, b)).verdict == WRONG
        x = minitorch.tensor(randn(3, 4), device="cuda")
        assert check(lambda x: (x @ x.T).tanh(), x).ok and check(lambda x: (x @ x.T).tanh(), x.float(), order=2).ok


def test_two_million_entries_take_seconds():
    x = randn(2_000_000)
    start = time.process_time()
    report = check((np.sin, lambda g, x: g * np.cos(x)), x, find=False)
    assert report.ok, report
    wrong = check((np.sin, lambda g, x: g * np.cos(x) * (1 + 1e-3 * (np.arange(x.size) % 2))), x, find=False)
    assert wrong.verdict == WRONG
    assert time.process_time() - start < 24                              # ten million in two minutes for both


# ---- what can be checked ------------------------------------------------------------------------------------------------

def test_modules_and_their_parameters():
    model = minitorch.nn.Sequential(minitorch.nn.Linear(4, 6), minitorch.nn.BatchNorm1d(6), minitorch.nn.GELU(), minitorch.nn.Linear(6, 2))
    before = {k: v.numpy().copy() for k, v in model.state_dict().items()}
    report = check(model, minitorch.randn(5, 4))
    assert report["0.weight"].ok and report["3.bias"].ok and report["1.weight"].ok
    assert report["0.bias"].verdict in (CORRECT, VACUOUS)                # batch norm takes it away again
    assert all(np.array_equal(v.numpy(), before[k]) for k, v in model.state_dict().items())


class Cube(autograd.Function):
    factor = 3

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x ** 3

    @staticmethod
    def backward(ctx, g):
        x, = ctx.saved_tensors
        return g * Cube.factor * x ** 2


def test_custom_functions(monkeypatch):
    x = minitorch.tensor(randn(2, 3))
    assert check(Cube, x).ok
    monkeypatch.setattr(Cube, "factor", 2)
    report = check(Cube, x)
    assert report.verdict == WRONG and "0.666667 times" in report.inputs[0].bug


def test_kernels_and_their_derivatives():
    kernels = pytest.importorskip("minitorch.kernels")
    if not shutil.which(os.environ.get("CUSIM_CXX", "g++")):
        pytest.skip("the simulator needs a C++ compiler")
    assert check(kernels.softmax, randn(3, 7)).ok
    wrong = (kernels.softmax, lambda g, x: 2 * kernels.softmax_backward(g, kernels.softmax(x)))
    assert check(wrong, randn(3, 7)).verdict == WRONG


class Sine(autograd.Function):
    recorded = True

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.sin()

    @staticmethod
    def backward(ctx, g):
        x, = ctx.saved_tensors
        return g * (x.cos() if Sine.recorded else x.detach().cos())


def test_second_order(monkeypatch):
    x, w = minitorch.tensor(randn(3, 4)), minitorch.tensor(randn(4, 2))
    report = check(lambda x, w: (x @ w).tanh(), (x, w), order=2)
    assert report.ok and [r.name for r in report.inputs] == ["x", "w", "cotangent 0"] and "second derivative" in str(report)
    assert check(minitorch.nn.Sequential(minitorch.nn.Linear(4, 3), minitorch.nn.Tanh()), minitorch.randn(5, 4), order=2).ok
    assert check(Sine, x).ok and check(Sine, x, order=2).ok
    monkeypatch.setattr(Sine, "recorded", False)
    assert check(Sine, x).ok and not check(Sine, x, order=2).ok
    assert check(Sine, x, order=2).inputs[0].bug.startswith("a gradient that was never computed")
    with pytest.raises(TypeError, match="order=2"):
        check((np.sin, lambda g, x: g * np.cos(x)), randn(3), order=2)
    with pytest.raises(ValueError, match="order"):
        check(Sine, x, order=3)


def test_forward_mode():
    x, w = minitorch.tensor(randn(3, 4)), minitorch.tensor(randn(4, 2))
    report = check(lambda x, w: ((x @ w).tanh(), w.exp()), (x, w), forward=True)
    assert report.ok and "forward derivative" in str(report)

    def jvp(ts, a, b):
        return ts[0] * np.cos(a) + b * ts[1] * 2

    f = (lambda a, b: np.sin(a) + b ** 2, jvp)
    wrong = (f[0], lambda ts, a, b: jvp(ts, a, b) + 1e-6 * ts[0][2])
    assert check(f, (randn(5), randn(5)), forward=True).ok
    report = check(wrong, (randn(5), randn(5)), forward=True)
    assert report.inputs[0].verdict == WRONG and report.inputs[0].worst[1] == (2,) and report.inputs[1].ok


def test_forward_mode_in_a_narrow_type():
    def jvp(t, x):
        y = t * np.cos(x)
        if x.dtype == np.float32:
            y[3] *= 1.5
        return y.astype(x.dtype)
    assert verdict((np.sin, lambda t, x: t * np.cos(x)), randn(40, dtype="f4"), forward=True) == CORRECT
    assert verdict((np.sin, jvp), randn(40, dtype="f4"), forward=True) == WRONG


# ---- what a report says -------------------------------------------------------------------------------------------------

MISTAKES = {
    "constant factor": lambda g, right: 7 * right, "wrong sign": lambda g, right: -right, "all zeros": lambda g, right: 0 * right,
    "transpose": lambda g, right: right.T, "off by one": lambda g, right: np.roll(right, 1, axis=0),
    "left out": lambda g, right: right * (np.arange(4)[:, None] < 3), "extra term": lambda g, right: right + np.sin(right),
    "added to every entry": lambda g, right: right + 0.3,
}


@pytest.mark.parametrize("words", MISTAKES)
def test_the_kind_of_mistake_is_named(words):
    w = randn(4, 4)
    report = check((lambda x: np.tanh(w @ x), lambda g, x: MISTAKES[words](g, w.T @ (g / np.cosh(w @ x) ** 2))), randn(4, 4, seed=1))
    assert report.verdict == WRONG and words in report.inputs[0].bug, report


def test_the_worst_entry_is_found_without_trying_all():
    w = randn(300, 300) / 17

    def vjp(g, x):
        y = w.T @ (g * (1 - np.tanh(w @ x) ** 2))
        y[123] += 1e-3 * g[45]
        return y
    report = check((lambda x: np.tanh(w @ x), vjp), randn(300, seed=1))
    assert report.inputs[0].worst == ((45,), (123,))
    assert report.inputs[0].worst_claimed - report.inputs[0].worst_numeric == pytest.approx(1e-3, rel=1e-4)


def test_a_wrong_entry_as_large_as_the_stated_power_is_caught():
    w = randn(50, 50) / 7
    right = lambda g, x: w.T @ (g * (1 - np.tanh(w @ x) ** 2))            # noqa: E731
    power = check((lambda x: np.tanh(w @ x), right), randn(50)).inputs[0].power
    for seed in range(20):
        i, j = np.random.default_rng(seed).integers(0, 50, 2)

        def wrong(g, x, i=i, j=j):
            y = right(g, x)
            y[j] += 2 * power * g[i]
            return y
        assert check((lambda x: np.tanh(w @ x), wrong), randn(50), seed=seed, find=False).verdict == WRONG


def test_a_report_prints_plots_and_is_raised(tmp_path):
    wrong = (np.sin, lambda g, x: g * np.cos(x) * 1.5)
    with pytest.raises(gradcheck.GradcheckError, match="WRONG") as caught:
        check(wrong, randn(3, 2), raise_on_failure=True)
    report = caught.value.report
    assert not report and "h^1.0" in str(report) and len(str(report).split("\n")) < 40
    pytest.importorskip("matplotlib")
    report.plot(tmp_path / "error.png")
    assert (tmp_path / "error.png").stat().st_size > 1000


def test_the_readme_shows_what_a_report_says(capsys):
    readme = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
    program, shown = re.search(r"```python\n([^`]*gradcheck\.check[^`]*)```\n\n```\n(.*?)```", readme, re.DOTALL).groups()
    exec(program, {})
    numbers = re.compile(r"-?\d+(\.\d+)?(e-?\d+)?")                       # the last digits are the processor's
    assert numbers.sub("0", capsys.readouterr().out) == numbers.sub("0", shown)


# ---- blame --------------------------------------------------------------------------------------------------------------

def test_blame_names_the_guilty_step_and_its_line():
    class Wrong(autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x.sin()

        @staticmethod
        def backward(ctx, g):
            return -g * ctx.saved_tensors[0].cos()
    x = minitorch.randn(4, 3, requires_grad=True)
    with gradcheck.recording():
        h = Wrong.apply(x.tanh())
        loss = (h * h).sum()
    found = gradcheck.blame(loss)
    (name, place, report), = found.guilty
    assert name == "WrongBackward" and "h = Wrong.apply(x.tanh())" in place and "wrong sign" in report.inputs[0].bug
    assert "WrongBackward" in str(found) and not found


def test_blame_finds_saved_values_that_changed():
    x = minitorch.randn(4, requires_grad=True)
    with gradcheck.recording():
        y = x.exp()
        loss = (y * 2).sum()
    assert gradcheck.blame(loss).ok
    y.data.mul_(3)
    assert "stale" in gradcheck.blame(loss).guilty[0][2].inputs[0].bug


def test_blame_records_what_it_is_given_to_run_and_refuses_what_it_has_not_seen():
    x = minitorch.randn(4, requires_grad=True)
    assert gradcheck.blame(lambda: (x.exp() * x).sum()).ok
    with pytest.raises(RuntimeError, match="recording"):
        gradcheck.blame((x * 2).sum())
