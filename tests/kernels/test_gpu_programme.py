"""benchmarks/gpu.py as far as it goes without a GPU: what it says there, how it compares, how it reports."""
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from minitorch import backend
from minitorch.benchmark import Comparison, load
from minitorch.benchmark.compare_files import between
from minitorch.kernels.proof import FUNCTIONS

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import gpu  # noqa: E402
import gpu_conformance  # noqa: E402
from gpu_bench import Race  # noqa: E402


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
    wrong = gpu_conformance.compared(f, 0, "float32", np.array, lambda f, n, d: [y * 1.001 for y in gpu_conformance.on_simulator(f, n, d)])
    assert wrong["allowed"] < 5e-4 < wrong["largest"] < 2e-3 and wrong["bitwise"] < 0.5
    lost = gpu_conformance.compared(f, 0, "float32", np.array, lambda f, n, d: [y * np.nan for y in gpu_conformance.on_simulator(f, n, d)])
    assert lost["largest"] == np.inf

    def broken(x):
        raise ValueError("no such device")
    failed = gpu_conformance.compared(f, 0, "float32", broken, gpu_conformance.on_simulator)
    assert failed["largest"] == np.inf and failed["error"] == "ValueError: no such device"


def test_conformance_stops_when_its_time_is_over():
    assert gpu.conformance(np.array, gpu.Clock(-1), ["softmax"]) == {}


class Fixed(gpu.Bench):
    """A bench on the host whose clock says what it is told: milliseconds of a call, by what the call gives."""

    def once(self, call):
        y = call()
        return float(y.milliseconds), y


@pytest.fixture
def bench():
    torch = pytest.importorskip("torch")
    return Fixed(np, torch, "cpu", 8)


def raced(name, dtype, contenders, **work):
    """A Race whose right result is 1 and 2."""
    torch = pytest.importorskip("torch")
    return Race(name, dtype, contenders, lambda places: [(places(2), torch.tensor((1.0, 2.0)).double())], [(2,)], **work)


def contender(torch, milliseconds, values=(1.0, 2.0)):
    def call():
        y = torch.tensor(values)
        y.milliseconds = milliseconds
        return y
    return call


def test_who_is_right_has_times_and_a_ratio_and_who_is_wrong_or_raises_has_none(bench):
    def missing():
        raise RuntimeError("no such backend\nand more")
    torch = bench.torch
    race = raced("sums", "float32", {"ours": contender(torch, 2), "theirs": contender(torch, 3), "wrong": contender(torch, 1, (1.0, 2.1)),
                                    "lost": contender(torch, 1, (1.0, float("nan"))), "long": contender(torch, 1, (1.0, 2.0, 3.0)),
                                    "absent": missing}, flops=6e9, bytes=4e9)
    case = bench.run(race, 0)
    assert case["ours"].timing["median"] == 2000 and case["ours"].rates == {"GB/s": pytest.approx(2000), "GFLOP/s": pytest.approx(3000)}
    assert case["theirs"].ratio["median"] == pytest.approx(1.5) and case["ours"].ratio is None
    assert {r.provider: r.names for r in case.rows if r.reasons} == {"wrong": ["wrong"], "lost": ["nan"], "long": ["shape"], "absent": ["raised"]}
    assert all(r.timing is None and not r.samples for r in case.rows if r.reasons) and "no such backend" in str(case["absent"].reasons[0])
    text = gpu.line(case)
    assert "ours 2 ms, 3 TFLOP/s" in text and "(1.50x)" in text and "absent REFUSED: raised" in text
    assert "ours right; theirs right" in gpu.line(case, True)


def test_a_contender_is_judged_in_every_round_and_finds_no_old_answers(bench):
    rooms, rounds = {"it": bench.torch.zeros(40)}, []
    x = bench.normal(40, dtype="float32")

    def lazy(write):                                 # into memory that another contender's right result was in
        def call():
            if write(len(rounds)):
                rooms["it"].copy_(2 * x)
            y = rooms["it"][:]
            y.milliseconds = 1
            return y
        return call

    def right(places):
        rounds.append(1)
        i = places(40)
        return [(i, 2 * x[i].double())]
    who = {"ours": lazy(lambda n: True), "nothing": lazy(lambda n: False), "at first": lazy(lambda n: n < 6)}
    case = bench.run(Race("twice", "float32", who, right, [(40,)], lambda: bench.redraw(x)), 0)
    assert [case[name].names for name in who] == [[], ["nan"], ["nan"]] and case["at first"].reasons[0].when == "during"
    assert len(rounds) == bench.rounds + bench.warm and case["ours"].timing and "in every call" in case["ours"].notes[0]
    stale = bench.run(Race("twice", "float32", {"ours": lambda y=[]: (y.append((2 * x).clone()) if not y else None, timed(y[0].clone()))[1]}, right,
                           [(40,)], lambda: bench.redraw(x)), 0)
    assert stale["ours"].names == ["wrong"] and stale["ours"].timing is None


def timed(y):
    y.milliseconds = 1
    return y


def test_what_is_compared_are_the_ends_and_other_places_in_every_round(bench):
    seen = [bench.places(1000).tolist() for _ in range(3)]
    assert all(s[0] == 0 and s[-1] == 999 and s == sorted(set(s)) for s in seen) and seen[0] != seen[1] != seen[2]
    assert bench.places(1).tolist() == [0]


def test_a_dry_run_goes_through_every_race_and_part_and_keeps_nothing(capsys, monkeypatch, tmp_path):
    """Every race on the host, in small: the calls, the layouts, the references and the files are those of the GPU."""
    pytest.importorskip("torch")
    monkeypatch.setattr(gpu.timing, "RESULTS", tmp_path)
    monkeypatch.setattr(gpu, "DRY", ("gru_cell",))
    status = gpu.main(["--dry-run", "--part", "conformance", "speed"])
    said = capsys.readouterr().out
    raced = [line for line in said.splitlines() if ": ours right" in line]
    assert status == 0 and len(raced) == len(gpu.RACES), said
    refused = set(re.findall(r"(?:: |; )([^;]*?) REFUSED", said))
    assert refused <= {"cuDNN", "efficient"}                    # backends of attention that a host does not have
    assert "nothing was measured" in said and " ms," not in said and not list(tmp_path.iterdir())


def test_a_dry_run_writes_no_figures(capsys):
    for option in (["--json"], ["--page", "x.html"]):
        with pytest.raises(SystemExit):
            gpu.main(["--dry-run", *option])
        assert "a dry run measures nothing" in capsys.readouterr().err


def test_races_for_which_there_is_no_time_are_left_out_and_said(capsys):
    pytest.importorskip("torch")
    found = gpu.speed(np, gpu.Clock(0.5), dry=True, reserve=60)
    assert found.cases == [] and f"no time left for {len(gpu.RACES)} races" in capsys.readouterr().out


def test_a_race_that_cannot_be_set_up_is_a_line_and_not_the_end(monkeypatch, capsys):
    pytest.importorskip("torch")

    def broken(bench, n):
        raise MemoryError("no room")
    monkeypatch.setattr(gpu, "RACES", [(broken, dict(n=1), dict(n=1)), gpu.RACES[-1]])
    found = gpu.speed(np, gpu.Clock(5), dry=True)
    assert [c.rows[0].verdict for c in found.cases] == ["refused", "passed"] and "MemoryError: no room" in capsys.readouterr().out


def figures(bench):
    torch = bench.torch
    cases = [bench.run(raced("matmul 4096", "bfloat16", {"ours": contender(torch, 2), "cuBLAS": contender(torch, 3),
                                                        "ours: sm80": contender(torch, 4)}, flops=6e9), 0),
             bench.run(raced("softmax", "bfloat16", {"ours": contender(torch, 2, (3.0, 3.0)), "eager": contender(torch, 3)}, bytes=6e9), 0)]
    told = {"gpu": None, "cpu": "x", "pinned": True, "numpy": "2", "commit": None, "changed": False, "seed": "0", "processors": [0]}
    return {"device": "NVIDIA H200", "cuda": 13000, "cupy": "14.2", "torch": "2.11", "cudnn": 91900,
            "conformance": {"softmax": {"float32": {"largest": 1e-7, "allowed": 1e-5}}},
            "speed": Comparison("PyTorch in float64, in places", "ours", 0.95, "cold", "cuda", None, told, cases).as_dict()}


def test_the_readmes_table_is_made_of_the_figures_and_absent_without_them(bench, tmp_path, monkeypatch):
    import tables
    monkeypatch.setattr(tables.timing, "RESULTS", tmp_path)
    assert tables.text("gpu") == ""
    gpu.write(figures(bench), tmp_path)
    text = tables.text("gpu")
    assert re.search(r"matmul 4096 +\| bfloat16 \| +2 ms \| +3 TFLOP/s \| +cuBLAS 1.50 \| +sm80 2.00", text)
    assert "softmax" not in text and "NVIDIA H200" in text and "1 of 1 functions" in text       # a wrong result has no row
    assert tables.renewed("<!-- table gpu -->\nold\n<!-- end -->") == f"<!-- table gpu -->\n{text}<!-- end -->"


def test_the_races_are_read_by_the_benchmarks_own_tools(bench, tmp_path):
    gpu.write(figures(bench), tmp_path)
    found = load(tmp_path / "gpu_speed.json")
    assert {p.verdict for p in between(found, found).pairs} == {"no difference", "refused in both"}
    pytest.importorskip("matplotlib")
    assert "NVIDIA H200" in gpu.paged(figures(bench), gpu.devices.named("H200"))
