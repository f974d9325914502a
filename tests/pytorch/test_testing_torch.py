"""assert_close and make_tensor end here as in PyTorch, to the last digit of the message."""
import inspect

import pytest
from closeness import CLOSE, MADE, outcome

import minitorch

torch = pytest.importorskip("torch")


@pytest.mark.parametrize("name", CLOSE)
def test_assert_close_says_the_same(name):
    assert outcome(CLOSE[name], minitorch) == outcome(CLOSE[name], torch)


@pytest.mark.parametrize("name", MADE)
def test_make_tensor_makes_the_same(name):
    ours, theirs = (outcome(MADE[name], mt) for mt in (minitorch, torch))
    assert ours[:-1] == theirs[:-1] and (ours[-1] is True if theirs[-1] is True else ours[-1].endswith(theirs[-1]))


@pytest.mark.parametrize("name", ["assert_close", "make_tensor"])
def test_the_arguments_are_pytorchs(name):
    ours, theirs = (inspect.signature(getattr(mt.testing, name)).parameters for mt in (minitorch, torch))
    assert [(p.name, p.kind) for p in ours.values()] == [(p.name, p.kind) for p in theirs.values()]
    assert all(p.default == theirs[p.name].default for p in ours.values() if p.name != "device")         # here it may be left out
