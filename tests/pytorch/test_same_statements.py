"""The statements of test_autograd, test_function and test_functional hold of PyTorch: the same tests, run with its import."""
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytestmark = pytest.mark.filterwarnings("ignore")    # PyTorch's own
TESTS = Path(__file__).parent.parent

for name in ("autograd", "function", "functional"):
    path = TESTS / f"test_{name}.py"
    space = {"__name__": f"{name}_of_torch", "__file__": str(path)}
    source = path.read_text().replace("import minitorch as mt", "import torch as mt").replace("from minitorch", "from torch")
    exec(compile(source, str(path), "exec"), space)
    globals().update({f"test_torch_{name}_{key[5:]}": value for key, value in space.items() if key.startswith("test_")})
