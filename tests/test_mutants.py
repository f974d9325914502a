"""The tests' own test: every derivative of the op table with a mistake planted in it must be noticed by the table's checks.

For each op every mutant (minitorch.gradcheck.mutants) meets the checks that test_ops.py makes: the op's own cases, the cases of
functions that call it, and the points of special.py.  Those that are the same derivative wherever it can be computed do not count.
"""
import functools

import numpy as np
import pytest
import special
from table import cases, check_first, check_second

import minitorch
from minitorch import gradcheck
from minitorch.autograd import engine
from minitorch.autograd.op import OPS

DIFFERENTIABLE = [n for n, c in OPS.items() if c.op is not None and c.op.differentiable and (c.op.vjps or c.op.joint)]
OTHERS = 6                                           # cases of functions that call an op, beside its own


def prepare(case):
    """(function of the float leaves, the float arrays, random numbers for the test), as in test_ops.py"""
    drawn = case.draw()
    return (lambda leaves: case.run(drawn, leaves)), case.floats(drawn), np.random.default_rng(1)


@functools.cache
def own_cases():
    """{name of an op: its cases}"""
    found = {}
    for case in cases():
        found.setdefault(case.name, []).append(case)
    return found


@functools.cache
def cases_through():
    """{id of an op: cases of other functions whose graph holds a step of it}"""
    found = {}
    for case in cases():
        drawn = case.draw()
        leaves = [minitorch.tensor(a, requires_grad=True) for a in case.floats(drawn)]
        roots = [y.current_node() for y in case.run(drawn, leaves) if y.requires_grad]
        ops = {id(n.plan.op) for n in engine.reachable(roots) if getattr(n, "plan", None) is not None}
        for op in ops - {id(case.call.op)}:
            found.setdefault(op, []).append(case)
    return found


def every_check(name):
    """All that the tests ask of the derivatives of an op; raises what they find."""
    own = own_cases()[name]
    for case in own:
        check_first(*prepare(case))
    special.check(name)
    for case in own:
        check_second(*prepare(case))
    for case in cases_through().get(id(OPS[name].op), [])[:OTHERS]:
        check_first(*prepare(case))


# Mistakes that are known to pass, with the reason why that is right.
EXCUSED: dict[str, str] = {}


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_every_mistake_in_a_derivative_is_noticed(name):
    score = gradcheck.kill_rate(OPS[name], lambda: every_check(name))
    survivors = [m for m in score.survived if str(m) not in EXCUSED]
    assert not survivors, score


def test_mistakes_where_broadcasting_is_undone_are_noticed(monkeypatch):
    def checks(sum_to):
        with monkeypatch.context() as m:
            m.setattr(engine, "sum_to", sum_to)
            for case in own_cases()["add"] + own_cases()["mul"] + own_cases()["addcmul"]:
                check_first(*prepare(case))
    score = gradcheck.kill_rate(engine.sum_to, checks)
    assert len(score.killed) > 8 and not score.survived, score


def test_excuses_are_few():
    assert len(EXCUSED) < 0.01 * sum(len(gradcheck.mutants(OPS[name])) for name in DIFFERENTIABLE)


@pytest.mark.parametrize("name", sorted({*special.POINTS, *special.SECOND}))
def test_gradients_at_special_points(name):
    special.check(name)
