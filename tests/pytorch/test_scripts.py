"""Programs as users write them, run with PyTorch and, their imports changed, with minitorch: the same losses and everything else recorded.

Weights and data are the same: scripts/start.py draws them with NumPy.
"""
import importlib.util
import re
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytestmark = pytest.mark.filterwarnings("ignore")    # PyTorch's own
SCRIPTS = Path(__file__).parent / "scripts"
NAMES = sorted(path.stem for path in SCRIPTS.glob("*.py") if path.stem != "start")


def with_our_imports(source):
    """The program's text with minitorch in the place of torch."""
    source = re.sub(r"^import torch$", "import minitorch as torch", source, flags=re.M)
    source = re.sub(r"^import torch\.", "import minitorch.", source, flags=re.M)
    return re.sub(r"^from torch\b", "from minitorch", source, flags=re.M)


def run(path, name, monkeypatch):
    """What the program at `path` records."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    import start
    start.RECORD.clear()
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)   # workers find its classes there
    spec.loader.exec_module(module)
    return list(start.RECORD)


def compare(a, b, at):
    """Numbers within float32's rounding over some twenty steps, all else equal."""
    if isinstance(b, (list, tuple)) and not isinstance(b, str):
        assert len(a) == len(b), at
        for i, (x, y) in enumerate(zip(a, b)):
            compare(x, y, f"{at}, {i}")
    elif isinstance(b, (float, np.ndarray)):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-6, err_msg=at)
    else:
        assert a == b, at


@pytest.mark.parametrize("name", NAMES)
def test_a_program_gives_what_it_gives_with_pytorch(name, tmp_path, monkeypatch):
    theirs = run(SCRIPTS / f"{name}.py", f"{name}_with_torch", monkeypatch)
    mine = tmp_path / f"{name}.py"
    mine.write_text(with_our_imports((SCRIPTS / f"{name}.py").read_text()))
    ours = run(mine, f"{name}_with_minitorch", monkeypatch)
    assert len(theirs) > 5 and len(ours) == len(theirs)
    for i, (a, b) in enumerate(zip(ours, theirs)):
        compare(a, b, f"record {i}")


def test_there_are_many():
    assert len(NAMES) >= 25
