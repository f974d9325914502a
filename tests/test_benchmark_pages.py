"""Files of results compared, pages and plots of them, and the command line that makes both."""
import copy
import json
import re
import subprocess
import sys
import xml.etree.ElementTree as XML
from pathlib import Path

import numpy as np
import pytest

from minitorch import kernels
from minitorch.benchmark import Case, Comparison, Reason, compare, compare_files, load, page, plots
from minitorch.benchmark.__main__ import main
from minitorch.benchmark.bound import bound
from minitorch.benchmark.compare_files import Different, between
from minitorch.benchmark.counts import launched
from minitorch.benchmark.devices import named
from minitorch.benchmark.interval import of_positive
from minitorch.benchmark.results import CaseResult, Row
from minitorch.kernels import Kernel
from minitorch.kernels.simulator import build

try:
    build.compiler(None)
except build.CompilerMissing as error:
    pytest.skip(str(error), allow_module_level=True)

VERSIONS = ("naive", "coalesced", "tiled")


def timing(microseconds, spread=0.01):
    """A row's timing around a time, and the samples that it is of."""
    samples = list(microseconds * np.exp(spread * np.random.default_rng(0).standard_normal(64)))
    of = of_positive(samples)
    return {"kind": "host", "median": of.median, "p20": of.low, "p80": of.high, "min": min(samples), "max": max(samples), "low": of.low,
            "high": of.high, "rounds": 64, "calls": 1, "correlation": of.correlation, "launch": 0.1}


def result(mine=10.0, numpy=20.0, spread=0.01, device="cpu", cpu="A processor", dtype="float32", cache="warm", reasons=(), counts=None,
           confidence=0.95):
    """A Comparison of two providers with these times."""
    t = timing(mine, spread)
    ratio = {"median": mine / numpy, "low": mine / numpy * t["low"] / t["median"], "high": mine / numpy * t["high"] / t["median"],
             "confidence": 0.95, "rounds": 64, "correlation": 0.0}
    rows = [Row("mine <fast>", dtype, timing=t, ratio=ratio, rates={"GB/s": 1.0, "GFLOP/s": 2.0, "of_ceiling": 0.5, "bound": "memory"}),
            Row("numpy", dtype, timing=timing(numpy, spread))]
    if reasons:
        rows[0] = Row("mine <fast>", dtype, reasons=list(reasons))
    if counts:
        rows[0] = Row("mine <fast>", dtype, simulated=True, counts=counts)
    provenance = {"cpu": cpu, "gpu": {"name": cpu} if device == "cuda" else None, "processors": [0], "pinned": True, "numpy": "2", "commit": "abc",
                  "changed": False, "seed": "1", "environment": {}}
    case = CaseResult("64x64", dtype, [[[64, 64], dtype]], [[[64, 64], dtype]], 2.0 * 64**3, 4.0 * 3 * 64**2, False, rows)
    return Comparison("numpy", "numpy", confidence, cache, device, {"where": "host", "bandwidth": 1e10, "bandwidth_in_cache": 1e10,
                                                                "flops": {"float32": 1e12}, "margin": 1.3}, provenance, [case])


@pytest.fixture(scope="module")
def bounds():
    a, b = (np.random.default_rng(i).standard_normal((32, 32), "f4") for i in range(2))
    return [bound(c, "H100", {"registers": 32, "shared": 0, "spills": 0}) for v in VERSIONS for c in launched(kernels.matmul, a, b, version=v)]


def parsed(text):
    """The page as XML; ParseError where tags do not fit together."""
    assert text.startswith("<!DOCTYPE html>\n")
    return XML.fromstring(text.removeprefix("<!DOCTYPE html>\n"))


# ---- files compared ------------------------------------------------------------------------------------------------------

def test_a_difference_within_the_intervals_is_none_and_one_beyond_them_is_seen():
    verdicts = {factor: between(result(), result(10 * factor)).pairs[0].verdict for factor in (0.5, 0.995, 1.0, 1.005, 2)}
    assert verdicts == {0.5: "faster", 0.995: "no difference", 1.0: "no difference", 1.005: "no difference", 2: "slower"}
    assert between(result(spread=0.5), result(11, spread=0.5)).pairs[0].verdict == "no difference"


def test_ratios_to_the_same_baseline_are_compared_where_there_are_any():
    busy = between(result(10, 20), result(20, 40))           # twice as slow, and so is the baseline
    assert busy.pairs[0].by == "ratio to numpy" and busy.pairs[0].verdict == "no difference" and busy.pairs[0].ratio.median == pytest.approx(1)
    assert busy.pairs[1].by == "time" and busy.pairs[1].verdict == "slower" and busy.pairs[1].ratio.median == pytest.approx(2, rel=0.01)


def test_the_interval_of_a_quotient_has_both_intervals_in_it():
    p = compare_files.judged("", "", "", of_positive(np.exp(np.r_[-1:1:32j] * 0.03)), of_positive(np.exp(np.r_[-1:1:32j] * 0.04)), "time")
    old, new = of_positive(np.exp(np.r_[-1:1:32j] * 0.03)), of_positive(np.exp(np.r_[-1:1:32j] * 0.04))
    assert np.log(p.ratio.high) == pytest.approx(np.sqrt((np.log(new.high / new.median) ** 2 + np.log(old.median / old.low) ** 2) / 2), rel=1e-6)


@pytest.mark.parametrize("other,words", [
    (dict(cpu="Another"), "measured on: A processor before, Another after"), (dict(device="cuda"), "device: cpu before, cuda after"),
    (dict(cache="cold"), "caches: warm before, cold after"),
    (dict(confidence=0.9), "confidence: 0.95 before, 0.9 after")])
def test_what_was_measured_otherwise_is_refused_unless_asked_for(other, words):
    with pytest.raises(Different, match=words):
        between(result(), result(**other))
    found = between(result(), result(**other), across=True)
    assert words in found.differences[0] and f"NOT ALIKE: {words}" in str(found)


def test_rows_of_another_number_type_do_not_match():
    with pytest.raises(Different, match=r"no row is in both: .*float32.* before, .*float64"):
        between(result(), result(dtype="float64"))
    both = result()
    both.cases += result(dtype="float64").cases
    found = between(result(), both)
    assert len(found.pairs) == 2 and found.only_after == ["mine <fast> on 64x64, float64", "numpy on 64x64, float64"]


def test_refused_rows_and_counts_of_the_simulator_are_compared_too():
    refused = result(reasons=[Reason("zeros", "before", "all zeros")])
    assert [between(a, b).pairs[0].verdict for a, b in ((result(), refused), (refused, result()), (refused, refused))] == \
        ["refused now", "refused before", "refused in both"]
    assert between(result(), refused).slower
    counts = {"accesses": 1, "bytes": 4, "sectors": 10, "ideal_sectors": 5, "banks": 8, "ideal_banks": 8, "flops": 100}
    pair = between(result(counts=counts), result(counts={**counts, "sectors": 5})).pairs[0]
    assert pair.verdict == "fewer" and pair.what == "sectors 10 to 5"
    assert between(result(counts=counts), result(counts=copy.copy(counts))).pairs[0].verdict == "no difference"


# ---- pages -----------------------------------------------------------------------------------------------------------------

def test_a_page_is_well_formed_stands_alone_and_holds_every_version(bounds, tmp_path):
    pytest.importorskip("matplotlib")
    sources = page.sources_of([b.counts.kernel for b in bounds])
    path = tmp_path / "page.html"
    page.save_page(path, "matmul & <friends>", comparisons=[result()], bounds=bounds, sources=sources)
    text = path.read_text(encoding="utf-8")
    tree = parsed(text)
    assert tree.find("head/title").text == "matmul & <friends>"
    assert [h.text for h in tree.iter("h3")][-3:] == [f"matmul_{v}" for v in VERSIONS]
    for pre, (_, source) in zip(tree.iter("pre"), sources):
        assert "".join(pre.itertext()) == source.rstrip("\n")
    cells = ["".join(td.itertext()) for td in tree.iter("td")]
    assert "mine <fast>" in cells and all(f"matmul_{v}" in cells for v in VERSIONS)
    assert len(list(tree.iter("{http://www.w3.org/2000/svg}svg"))) == 3              # two rooflines, one of ratios
    assert "A bound, not a time" in text and '"commit": "abc"' in "".join(tree.itertext())
    assert not re.search(r"<(script|link|img|iframe|object)\b|@import|\bsrc=|url\((?!#)", text)
    assert set(re.findall(r'https?://[^"\s<]+', text)) <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids)) and set(re.findall(r'(?:href="#|url\(#)([^")]+)', text)) <= set(ids)


def test_the_lines_that_are_new_are_marked_and_no_others():
    parts = page.ladder([("one", "a\n  b\nc\n"), ("two", "a\nb\nd < e\nc\n")])
    assert "new" not in parts[0] and re.findall(r'<span class="new">(.*?)</span>', parts[1]) == ["d &lt; e"]
    assert "1 of 4 lines are not in the version before" in parts[1]


def test_hostile_names_and_control_characters_do_not_leave_their_place():
    found = result()
    found.cases[0].rows[0].provider = '</table><script>alert("x")</script>\x00\x1b'
    found.cases[0].name = "a\ud800b"
    found.ceiling = None
    found.cases[0].rows[0].ratio = None
    text = page.page("<h1>", comparisons=[found], sources=[("]]>", "int x = a<b && c>d; // \x07")])
    assert "<script>" not in text and parsed(text) is not None
    text.encode("utf-8")


def test_a_kernels_source_is_found_among_others():
    text = '#include "kernel.cuh"\n\n// One.  A brace: }\nextern "C" __global__ void one(float* x) {\n    if (x) { x[0] = 1; }\n}\n\n' \
        '// two calls one(x)\nextern "C" __global__ void __launch_bounds__(32)\ntwo(float* x) {\n    char c = "}"[0];\n    x[1] = c;\n}\n'
    one, two = (page.source_of(Kernel(text, name)) for name in ("one", "two"))
    assert one.startswith("// One.") and one.endswith("}\n}\n") and "two" not in one
    assert two.startswith("// two calls") and two.endswith("x[1] = c;\n}\n")
    for version, *_ in kernels.ladder()[:5]:
        assert f"matmul_{version}(" in page.source_of(Kernel("matmul.cu", f"matmul_{version}")).split("{")[0]


def test_a_page_is_written_in_one_step(tmp_path, monkeypatch):
    path = tmp_path / "page.html"
    path.write_text("before")
    monkeypatch.setattr(page, "page", lambda *args, **kw: "\ud800")      # cannot be written
    with pytest.raises(UnicodeEncodeError):
        page.save_page(path, "x")
    assert path.read_text() == "before" and [p.name for p in tmp_path.iterdir()] == ["page.html"]


# ---- plots -----------------------------------------------------------------------------------------------------------------

def test_points_lie_where_their_figures_say(bounds):
    points = plots.of_bounds(bounds)
    assert [p.name for p in points] == [f"matmul_{v}" for v in VERSIONS] and not any(p.measured for p in points)
    roof = plots.roof(named("H100"))
    assert all(p.flops <= min(roof.flops["float32"], p.intensity * roof.bandwidth) for p in points)
    measured = plots.of_comparison(result())[0]
    assert measured.intensity == 2 * 64**3 / (12 * 64**2) and measured.flops == pytest.approx(2 * 64**3 / 10e-6, rel=0.01)
    assert measured.low < measured.flops < measured.high


def test_plots_are_written_as_pictures(bounds, tmp_path):
    pytest.importorskip("matplotlib")
    figure = plots.roofline(plots.roof(named("H100")), plots.of_bounds(bounds), kinds=["float32"])
    axes, = figure.axes
    assert axes.get_xscale() == axes.get_yscale() == "log" and max(axes.get_xlim()) > 66.9e12 / 3.352e12
    plots.save(figure, tmp_path / "roofline.png")
    plots.save(plots.ratios(result()), tmp_path / "ratios.svg")
    assert (tmp_path / "roofline.png").read_bytes().startswith(b"\x89PNG") and b"<svg" in (tmp_path / "ratios.svg").read_bytes()
    with pytest.raises(ValueError, match=r"ending in \.png, \.svg, \.pdf"):
        plots.save(figure, tmp_path / "roofline.bmp")
    for call, words in ((lambda: plots.roofline(plots.roof(named("H100")), []), "needs points"), (lambda: plots.roof(3), "a roof is that of"),
                        (lambda: plots.roofline(plots.roof(named("T4")), plots.of_bounds(bounds), kinds=["tf32"]), "has no tf32")):
        with pytest.raises(ValueError, match=words):
            call()


def test_without_matplotlib_it_says_what_to_install(bounds, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match="python -m pip install matplotlib"):
        plots.roofline(plots.roof(named("H100")), plots.of_bounds(bounds))


# ---- the example ---------------------------------------------------------------------------------------------------------------

def test_the_example_walks_from_counts_to_pictures_without_a_gpu(tmp_path):
    example = Path(__file__).parents[1] / "examples" / "benchmark_a_kernel.py"
    text = subprocess.run([sys.executable, str(example), str(tmp_path)], capture_output=True, text=True, check=True, timeout=600).stdout
    assert len(re.findall(r"^ +matmul_\w+ +passed", text, re.MULTILINE)) == 5                          # 1.
    naive = re.search(r"^ +naive +196,608 +16,842,752 +2,179,072", text, re.MULTILINE)                 # 2.
    at_most = [float(x) for x in re.findall(r"^ +\w+ +(?:\d+|unknown) +(?:<= )?\d+% .* ([\d.]+)$", text, re.MULTILINE)]
    assert naive and len(at_most) == 5 and at_most[0] < at_most[1] and max(at_most) == at_most[-1] <= 66.9      # 3.
    assert re.search(r"^ +blocked +[\d.e+]+ +[\d.e+]+ .*passed", text, re.MULTILINE)                                        # 4.
    assert re.search(r"refused, stale \(before\)", text)                                               # 5.
    try:
        plots.matplotlib()
    except ImportError:
        assert "plots need matplotlib" in text
    else:
        assert (tmp_path / "roofline.png").exists() and parsed((tmp_path / "page.html").read_text(encoding="utf-8")) is not None


# ---- the command line --------------------------------------------------------------------------------------------------------

def run(capsys, *args):
    status = main(list(map(str, args)))
    said = capsys.readouterr()
    return status, said.out, said.err


def test_compare_on_the_command_line(capsys, tmp_path):
    before, after, other = (tmp_path / f"{n}.json" for n in ("before", "after", "other"))
    result().save(before), result(20).save(after), result(cpu="Another").save(other)
    status, out, _ = run(capsys, "--compare", before, after)
    assert status == 1 and re.search(r"mine <fast> +2\.000.*slower", out)
    assert run(capsys, "--compare", after, before)[0] == 0
    status, _, err = run(capsys, "--compare", before, other)
    assert status == 2 and "A processor before, Another after" in err
    assert run(capsys, "--compare", "--across", before, other)[0] == 0
    assert run(capsys, "--compare", before, tmp_path / "none.json")[0] == 2


def test_page_on_the_command_line(capsys, tmp_path):
    pytest.importorskip("matplotlib")
    result().save(tmp_path / "a.json")
    assert run(capsys, "--page", tmp_path / "a.html", tmp_path / "a.json", "--title", "A & B")[0] == 0
    assert parsed((tmp_path / "a.html").read_text(encoding="utf-8")).find("head/title").text == "A & B"
    assert run(capsys, "--page", tmp_path / "no" / "a.html", tmp_path / "a.json")[0] == 2


def test_bound_on_the_command_line(capsys, tmp_path):
    status, out, _ = run(capsys, "--bound", "matmul.cu", "--shape", "8x32", "--shape", "32x32")
    steps = [out.index(f"matmul_{name}") for name, *_ in kernels.ladder()[:5]]
    assert status == 0 and steps == sorted(steps) and "A bound, not a time" in out
    source = tmp_path / "axpy.cu"
    source.write_text('#include "kernel.cuh"\nextern "C" __global__ void axpy(const float* x, const float* y, OUT float* z, int n) {\n'
                      "    int i = blockIdx.x * blockDim.x + threadIdx.x;\n    if (i < n) z[i] = 2 * x[i] + y[i];\n}\n")
    how = ("--shape", "n", "--shape", "n", "--output", "n", "--sizes", "n=256", "--grid", "(n + 255) // 256", "--block", "256", "--json")
    status, out, _ = run(capsys, "--bound", source, *how, "--scale", f"n={1 << 28}", "--device", "rtx 4090")
    found, = json.loads(out)
    assert status == 0 and found["limit"] == "memory" and found["seconds"] == pytest.approx(3 * 2**30 / 1008e9) and found["device"] == "RTX 4090"
    assert run(capsys, "--bound", source, *how, "--scale", "m=3")[0] == 2 and run(capsys, "--bound", source, *how, "--device", "V100")[0] == 2
    status, _, err = run(capsys, "--bound", source, *how, "--scale", "n=257")
    assert status == 1 and "no multiples: n=257 of 256" in err


def test_what_compare_saves_is_what_pages_and_files_read(tmp_path):
    case = Case((16, 16), (16, 16), flops=2 * 16**3)
    found = compare({"mine": lambda a, b: np.matmul(a, b)}, np.matmul, case, rounds=8, seconds=0, variations=False)
    found.save(tmp_path / "a.json")
    again = load(tmp_path / "a.json")
    assert {p.verdict for p in between(found, again).pairs} == {"no difference"}
