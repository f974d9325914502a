"""PyTorch refuses the same mistakes with the same class of error, but for the differences listed here."""
import pytest
from errors import MISTAKES

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.filterwarnings("ignore")    # PyTorch's own

DIFFERENT = {                              # mistake: what PyTorch raises (None: it accepts), and why minitorch does not
    "backward with too many gradients": (None, "PyTorch ignores the gradients beyond the last tensor"),
    "cuda without a GPU": (AssertionError, "PyTorch says so by an assert where it was built without CUDA, by a RuntimeError elsewhere"),
    "to cuda without a GPU": (AssertionError, "the same"),
}


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda m: m.name)
def test_pytorch_raises_the_same_class(mistake):
    kind = DIFFERENT[mistake.name][0] if mistake.name in DIFFERENT else mistake.kind
    if kind is None:
        mistake.call(torch)
        return
    if "cuda" in mistake.name and torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    with pytest.raises(kind) as error:
        mistake.call(torch)
    assert type(error.value) in (kind, torch.linalg.LinAlgError), f"{type(error.value).__name__}: {error.value}"
