"""What benchmarks/cpu.py times is in minitorch what it is in PyTorch: values, gradients, and the loss after steps of Adam."""
import functools
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
import minitorch  # noqa: E402

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import large_ops  # noqa: E402
import turns  # noqa: E402
from workloads import WORKLOADS  # noqa: E402


def computed(T, name):
    step = WORKLOADS[name](T)
    return [turns.summary(y) for y in step()] + [turns.summary(step()[0]) for _ in range(2)]


@pytest.mark.parametrize("name", WORKLOADS)
def test_a_workload_is_the_same_in_both(name):
    assert turns.difference(computed(torch, name), computed(minitorch, name), tolerance=1e-3) is None


def test_libraries_take_turns_and_one_that_cannot_is_left_out():
    found, sizes = turns.run("100 small ops", ["torch", "plain", "no such library"], 1, 2, 60)
    assert found["torch"]["ratio"] == 1 and found["plain"]["ms"] > 0 and found["plain"]["peak"] < 100 and sizes == [16, 16, 16]
    assert found["no such library"] == {"missing": "KeyError: 'no such library'"}


@pytest.mark.parametrize("op", large_ops.OPS)
def test_a_large_op_is_the_same_in_both(op, monkeypatch):
    monkeypatch.setattr(large_ops, "N", 520)
    monkeypatch.setitem(large_ops.RECIPES, "image", lambda draw: draw.normal(4, 8, 20, 64))
    monkeypatch.setattr(large_ops, "names", functools.cache(large_ops.Names))
    found = [[turns.summary(y) for y in large_ops.make(op, T)()] for T in (torch, minitorch)]
    assert turns.difference(*found, tolerance=1e-3) is None
