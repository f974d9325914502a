"""The simulator's teeth: every class of bug, planted in a correct kernel, is found, named and placed; the correct kernels are not accused."""
import pytest
from planted import BUGS, LAUNCHES, WRONG_RESULT, correct, spoiled

from minitorch import kernels
from minitorch.kernels.simulator import SimulatorError

TURNS = [("forward", "lazy"), ("reverse", "eager"), ("random", "random")]


@pytest.mark.parametrize("order, asynchronous", TURNS)
@pytest.mark.parametrize("mode", ["fast", "check"])
@pytest.mark.parametrize("name", LAUNCHES)
def test_a_correct_kernel_is_not_accused(name, mode, order, asynchronous):
    with kernels.using(mode=mode, order=order, asynchronous=asynchronous):
        assert LAUNCHES[name][1](correct(name))


@pytest.mark.parametrize("bug", BUGS, ids=lambda b: b.name)
def test_a_planted_bug_is_found_and_placed(bug):
    with kernels.using(mode="check"), pytest.raises(SimulatorError) as caught:
        LAUNCHES[bug.kernel][1](spoiled(bug))
    found = [f for f in caught.value.reports if f.kind in bug.kinds.split()]
    assert found, f"expected {bug.kinds}, got:\n{caught.value}"
    if bug.at:
        assert any(bug.lines() & {f.line, f.other_line} for f in found), f"expected line {bug.lines()}, got:\n{caught.value}"


@pytest.mark.parametrize("bug", WRONG_RESULT, ids=lambda b: b.name)
def test_what_the_checker_cannot_see_gives_a_wrong_result(bug):
    assert not LAUNCHES[bug.kernel][1](spoiled(bug))
