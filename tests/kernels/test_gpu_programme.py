"""benchmarks/gpu.py as far as it goes without a GPU: what it says there, how it compares, how it reports."""
import sys
from pathlib import Path

import numpy as np
import pytest

from minitorch import backend
from minitorch.kernels.proof import FUNCTIONS

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import gpu  # noqa: E402


def test_without_a_gpu_it_says_so(monkeypatch, capsys):
    def none():
        raise RuntimeError("device 'cuda' is not available: CuPy finds no CUDA GPU")
    monkeypatch.setattr(backend, "load_cupy", none)
    assert gpu.main([]) == 2
    assert "measures on a GPU, and there is none: device 'cuda' is not available" in capsys.readouterr().out


def test_conformance_of_the_simulator_with_itself_is_perfect(capsys):
    found = gpu.conformance(np.array, gpu.Clock(30), ["gru_cell"])
    assert set(found) == {"gru_cell"} and set(found["gru_cell"]) == set(FUNCTIONS["gru_cell"].dtypes)
    assert all(w["largest"] == 0 and w["bitwise"] == 1 for by_dtype in found.values() for w in by_dtype.values())
    assert "DIFFERENT" not in capsys.readouterr().out


def test_conformance_notices_a_difference_and_an_error(monkeypatch, capsys):
    f = FUNCTIONS["softmax"]
    wrong = gpu.compared(f, 0, "float32", np.array, lambda f, n, d: [y * 1.001 for y in gpu.on_simulator(f, n, d)])
    assert wrong["allowed"] < 5e-4 < wrong["largest"] < 2e-3 and wrong["bitwise"] < 0.5
    lost = gpu.compared(f, 0, "float32", np.array, lambda f, n, d: [y * np.nan for y in gpu.on_simulator(f, n, d)])
    assert lost["largest"] == np.inf

    def broken(x):
        raise ValueError("no such device")
    failed = gpu.compared(f, 0, "float32", broken, gpu.on_simulator)
    assert failed["largest"] == np.inf and failed["error"] == "ValueError: no such device"


def test_conformance_stops_when_its_time_is_over():
    assert gpu.conformance(np.array, gpu.Clock(-1), ["softmax"]) == {}


def test_a_row_gives_rates_and_ratios(capsys):
    row = gpu.row("product", {"ours": [2.0, 4.0, 2.0], "theirs": [3.0, 3.0, 4.0]}, 6e9, "GB/s")
    assert row["contenders"]["ours"]["ms"] == 2 and row["contenders"]["ours"]["GB/s"] == pytest.approx(3)
    assert row["contenders"]["theirs"]["ours_is"] == pytest.approx(1.5)
    assert "ours 1.50x" in capsys.readouterr().out


def test_the_races_agree_with_pytorch_on_the_host(monkeypatch):
    """Each race on the CPU, tiny, with the clock replaced: the calls, the layouts and the comparisons are those of the GPU."""
    torch = pytest.importorskip("torch")
    randn, randint, full = torch.randn, torch.randint, np.full
    monkeypatch.setattr(torch, "randn", lambda *shape, device, dtype: randn(*shape).to(dtype))
    monkeypatch.setattr(torch, "randint", lambda high, shape, device: randint(high, shape))
    monkeypatch.setattr(torch, "compile", lambda f: f)

    class Bench(gpu.Bench):
        def __init__(self):
            self.cupy, self.torch = np, torch

        def race(self, calls):
            for call in calls.values():
                call()
            return {name: [1.0] for name in calls}
    monkeypatch.setattr(np, "full", full)
    bench = Bench()
    rows = [gpu.matmul_speed(bench, 32), *gpu.attention_speed(bench, True, 1, 2, 32, 32), *gpu.layer_norm_speed(bench, 8, 64),
            gpu.cross_entropy_speed(bench, 6, 40)]
    assert len(rows) == 6 and all(r["contenders"]["ours"]["ms"] == 1 for r in rows)
