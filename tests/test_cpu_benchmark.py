"""The benchmark on the CPU computes what it says, notices a library that computes something else, and says why one is left out."""
import sys
from pathlib import Path

import numpy as np
import pytest

import minitorch

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))

import cpu  # noqa: E402
import growth  # noqa: E402
import large_ops  # noqa: E402
import limits  # noqa: E402
import ops  # noqa: E402
import turns  # noqa: E402
from peers.library import Library  # noqa: E402
from peers.problems import PROBLEMS  # noqa: E402
from workloads import WORKLOADS  # noqa: E402


class Forward(Library):
    """The layers that other libraries are given, computed by NumPy alone, without derivatives."""

    np = np

    def erf(self, x):
        return minitorch.erf(x)

    def function(self, f, leaves):
        return f(*leaves)

    def training(self, loss, weights, data):
        return loss(weights, *data)


@pytest.mark.parametrize("name", WORKLOADS)
def test_other_libraries_are_given_the_same_numbers_and_formulas(name):
    step = WORKLOADS[name](minitorch)
    value, *gradients = step()
    assert gradients and all(np.isfinite(g.numpy()).all() and g.numpy().any() for g in gradients)
    assert turns.difference([turns.summary(value)], [turns.summary(PROBLEMS[name](Forward(1)))]) is None


def test_every_workload_has_a_goal_and_a_limit():
    product = limits.LARGE
    numpy = {product: 90.0, "copy of 8 MiB": 10.0, limits.CACHED: 5.0, limits.EXP: 2.0, limits.TANH: 4.0}
    rates = {"numpy": {1: numpy}, "minitorch": {1: {product: 100.0}}}
    assert list(cpu.GOALS.keys() ^ WORKLOADS.keys()) == [] and PROBLEMS.keys() == WORKLOADS.keys()
    assert limits.products().keys() <= WORKLOADS.keys() and limits.TRAFFIC.keys() <= WORKLOADS.keys() and growth.CURVES.keys() <= WORKLOADS.keys()
    assert limits.least_ms("matmul", [1 << 20] * 3, rates, 1) == pytest.approx(6 * 1024 ** 3 / 100e6)
    assert limits.least_ms("matmul", [1 << 20] * 3, rates, 2, ("numpy",)) == pytest.approx(6 * 1024 ** 3 / 180e6)
    plain = limits.CALLS["GELU, erf"][limits.CACHED]
    assert limits.least_ms("GELU, erf", [10 ** 6, 10 ** 6], rates, 1, ("numpy",)) == pytest.approx(2 + (plain - 5) / 5 + 1 / 2 + 1 / 4)
    assert limits.least_ms("GELU, erf", [10 ** 6, 10 ** 6], rates, 1) == pytest.approx(2)
    assert limits.CALLS.keys() <= WORKLOADS.keys() and {size for sizes in limits.products().values() for size in sizes} <= set(limits.SHAPES)
    assert limits.least_ms("cross entropy", [1, 10 ** 6], rates, 1) == pytest.approx(0.8)
    assert limits.least_ms("layer norm", [10 ** 6, 10 ** 6, 10, 10], rates, 1) == pytest.approx(2.0, rel=1e-3)      # 5 times 4 MB


@pytest.fixture
def small(monkeypatch):
    """The inputs of benchmarks/ops.py, small."""
    monkeypatch.setattr(large_ops, "N", 40)
    monkeypatch.setitem(large_ops.RECIPES, "image", lambda draw: draw.normal(2, 8, 6, 10))
    large_ops.names.cache_clear()
    yield
    large_ops.names.cache_clear()


def test_every_large_op_is_computed_with_its_gradients(small):
    without = set()                                  # a gradient
    for op in large_ops.OPS:
        value, *gradients = large_ops.make(op, minitorch)()
        assert value.numel() and all(np.isfinite(g.numpy()).all() for g in gradients), op
        if not gradients:
            without.add(op)
        elif not any(g.numpy().any() for g in gradients):
            assert op in ("x.sign()", "x.floor()", "x.round()")
    assert without == {op for op in large_ops.OPS if any(word in op for word in (
        "x < y", "x == y", "isnan", "arg", "any", "unique", "bincount", "nonzero", "searchsorted", "histc", "zeros", "arange", "kept"))}


def test_large_ops_are_told_apart_by_family_and_the_slowest_is_named():
    rows = {op: {"torch": {"ms": 1.0, "ratio": 1.0}, "fast": {"ratio": 0.5}, "plain": {"ratio": 2.0}} for op in large_ops.OPS}
    rows["x.exp()"]["fast"]["ratio"] = 8.0
    shown = {line.split("|")[1].strip(): line for line in ops.table({"rows": rows}).splitlines()[2:]}
    assert "**0.63**" in shown["exponentials, angles"] and "8.00" in shown["exponentials, angles"] and "`x.exp()`" in shown["exponentials, angles"]
    assert "**0.50**" in shown["losses"] and "2.00" in shown["losses"] and f" {len(large_ops.OPS)} " in shown["all"] and list(shown)[-1] == "all"


WRONG = {
    "scaled": lambda g: g * 1.01,
    "of the other sign": lambda g: -g,
    "in another order": lambda g: g[::-1],
    "with a column left out": lambda g: g * (np.arange(g.shape[1]) > 0),
    "with a NaN": lambda g: np.where(np.arange(g.size).reshape(g.shape) == 7, np.nan, g),
    "of another size": lambda g: g[1:],
}


@pytest.mark.parametrize("how", WRONG)
def test_a_wrong_gradient_is_noticed(how):
    y, g = np.random.default_rng(0).normal(size=(2, 40, 30)).astype("f4")
    truth = [turns.summary(y), turns.summary(g)]
    assert turns.difference(truth, [turns.summary(y), turns.summary(g * np.float32(1 + 1e-5))]) is None
    assert turns.difference(truth, [turns.summary(y), turns.summary(WRONG[how](g))]).startswith("output 1: ")


def test_a_missing_output_is_noticed():
    assert turns.difference([[1, 2.0, 2.0]] * 2, [[1, 2.0, 2.0]]) == "1 outputs for 2"


def test_a_loss_that_an_optimizer_does_not_lower_is_noticed():
    with_adam = WORKLOADS["MLP + Adam"](minitorch)
    first, second = (turns.summary(with_adam()[0]) for _ in range(2))
    assert turns.difference([second], [first])


def test_an_unknown_workload_is_named(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["cpu.py", "--only", "LSTN"])
    with pytest.raises(SystemExit):
        cpu.main()
    said = capsys.readouterr().err
    assert "no workload 'LSTN'" in said and "LSTM" in said


def test_a_library_that_is_not_there_is_given_up_with_the_reason():
    server = turns.Server("no such library", 1, 60)
    with pytest.raises(turns.GivenUp, match="KeyError: 'no such library'"):
        server.answer()
    server.close()


def test_a_library_that_takes_too_long_is_given_up():
    server = turns.Server("plain", 1, 0)
    with pytest.raises(turns.GivenUp, match="out of time"):
        server.answer()
    assert server.process.poll() is not None


def test_a_process_answers_in_order_and_measures():
    server = turns.Server("plain", 1, 60)
    server.tell("make", "100 small ops", 10)
    server.tell("check")
    imported, made, checked = (server.answer() for _ in range(3))
    assert (imported, made) == ("imported", None) and [size for size, *_ in checked] == [16] * 3
    assert 0 < server.ask("time") < 1 and server.ask("peak", "100 small ops") < 100
    server.close()


def test_what_is_left_out_is_a_dash_and_what_is_wrong_is_called_wrong():
    rates = dict.fromkeys([*limits.SHAPES, "copy of 8 MiB", "copy of 64 MiB"], 1.0)
    row = {"torch": {"ms": 2.0, "ratio": 1.0, "peak": 10.0}, "fast": {"ms": 1.0, "ratio": 0.5, "peak": 5.0}, "least_ms": [0.5, 1.0],
           "plain": {"missing": "MemoryError"}, "jit": {"missing": "out of time"}, "mygrad": {"missing": "wrong: output 1: 3 for 4"}}
    figures = {"rows": {"LSTM": row}, "limits": {lib: {"1": rates} for lib in ("numpy", "minitorch", "torch")},
               "imports": {"numpy": 100.0, "minitorch": 120.0}}
    line = next(line for line in cpu.table(figures).splitlines() if line.startswith("| LSTM"))
    assert [cell.strip() for cell in line.strip("|").split("|")] == ["LSTM", "2.00", "**0.50**", "-", "1.00 1.50", "0.25 0.50", "-", "wrong", "0.50"]
    assert "takes **1.20** times `import numpy`" in cpu.table(figures)


@pytest.mark.parametrize("power", [0.5, 1, 2, 2.7])
def test_the_exponent_of_a_power_is_its_power(power):
    sizes = [10 << i for i in range(8)]
    assert growth.exponent(sizes, [3e-4 * size ** power for size in sizes]) == pytest.approx(power)


def test_fixed_costs_at_small_sizes_do_not_count():
    sizes = [2 ** i for i in range(12)]
    assert growth.exponent(sizes, [1e-4 * size + (1.0 if size < 64 else 0) for size in sizes]) == pytest.approx(1)
