"""The programs of tests/gradchecks.py end in PyTorch as they do here: same result, or same class of error with the same leading words."""
import inspect

import pytest
from gradchecks import PROGRAMS, G, outcome

import minitorch

torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.filterwarnings(f"ignore:{words}") for words in ("Input #", "Backwards compat", ".*torch.jit.script", ".*torch.jit")]


@pytest.mark.parametrize("program", PROGRAMS, ids=repr)
def test_pytorch_gives_the_same_outcome(program):
    found, message = outcome(program, torch)
    assert found == program.outcome and message.startswith(program.words), message


@pytest.mark.parametrize("name", ["gradcheck", "gradgradcheck"])
def test_the_arguments_are_pytorchs(name):
    ours, theirs = (inspect.signature(getattr(mt.autograd, name)).parameters for mt in (minitorch, torch))
    assert [(p.name, p.kind, p.default) for p in ours.values()] == [(p.name, p.kind, p.default) for p in theirs.values()]


def test_the_error_is_pytorchs():
    from minitorch.autograd.gradcheck import GradcheckError as ours
    from torch.autograd.gradcheck import GradcheckError as theirs
    assert ours.__name__ == theirs.__name__ == G and ours.__bases__ == theirs.__bases__
