"""Pictures of results: points below a roofline, and ratios with their intervals.  They need matplotlib, and no screen.

    figure = roofline(roof(named("H100")), of_bounds(bounds))        # what is possible at most
    figure = roofline(roof(comparison), of_comparison(comparison))   # what was measured, below what was measured as the ceiling
    save(ratios(comparison), "ratios.png")                           # or .svg, .pdf

A figure is matplotlib's: change it as you like before it is saved.
"""
import dataclasses
import math
import os
import re

from ..serialization import replacing
from .devices import Device
from .results import Comparison

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#999999")     # told apart by colour-blind eyes (Okabe, Ito)
MARKERS = "osD^vP*X"
SUFFIXES = ("png", "svg", "pdf")
BESIDE = 10


@dataclasses.dataclass(frozen=True)
class Point:
    """A launch or call: operations per byte of memory, operations per second with the interval of those; measured, or at most possible."""
    name: str
    intensity: float
    flops: float
    low: float | None = None
    high: float | None = None
    measured: bool = True


@dataclasses.dataclass(frozen=True)
class Roof:
    """bandwidth in bytes/s, flops {kind: operations/s}; measured, or published."""
    name: str
    bandwidth: float
    flops: dict
    measured: bool = False


def roof(of):
    """The Roof of a Device, or the one that a Comparison measured.  ValueError where it measured none."""
    if isinstance(of, Device):
        return Roof(f"{of.name}, published", of.bandwidth, of.flops)
    if isinstance(of, Comparison) and of.ceiling:
        where = (of.provenance.get("gpu") or {}).get("name") or of.provenance.get("cpu")
        return Roof(f"{where}, measured", of.ceiling["bandwidth"], of.ceiling["flops"], True)
    raise ValueError("a roof is that of a Device, or of a comparison in which somebody was timed")


def of_bounds(bounds):
    """Points at what each launch can reach at most; launches without operations have none."""
    return [Point(b.counts.kernel.label.split("[")[0], b.counts.intensity, b.flops_per_second, measured=False)
            for b in bounds if b.counts.flops and b.counts.moved]


def of_comparison(comparison):
    """Points of all timed rows whose case says its operations."""
    found = []
    for case in comparison.cases:
        for row in case.rows:
            if row.timing and case.flops and case.bytes:
                t, name = row.timing, row.provider + (f", {case.name}" if len(comparison.cases) > 1 else "")
                found.append(Point(name, case.flops / case.bytes, *(case.flops / t[k] * 1e6 for k in ("median", "high", "low"))))
    return found


def matplotlib():
    """matplotlib with its Figure; ImportError, with what to install."""
    try:
        import matplotlib
        import matplotlib.figure
        import matplotlib.ticker
    except ImportError as error:
        raise ImportError("plots need matplotlib: python -m pip install matplotlib") from error
    return matplotlib


def roofline(roof, points, kinds=None, title=None):
    """A figure: operations per second over operations per byte, both by logarithm, below the roof.

    kinds: of the roof's flops, those to draw; None: all of them.  ValueError without a point.
    """
    if not points:
        raise ValueError("a roofline needs points: launches or timed cases whose operations are known")
    aside = len(points) > BESIDE                     # so many names stand beside the picture
    figure = matplotlib().figure.Figure(figsize=(8 + aside * 0.09 * max(len(p.name) for p in points), max(5, aside * (1 + 0.22 * len(points)))),
                                        layout="constrained")
    axes = figure.subplots()
    tops = {kind: rate for kind, rate in roof.flops.items() if kinds is None or kind in kinds}
    if not tops:
        raise ValueError(f"the roof of {roof.name} has no {', '.join(kinds or ())}: it has {', '.join(roof.flops)}")
    ridges = [top / roof.bandwidth for top in tops.values()]
    left = 10.0 ** math.floor(math.log10(min([p.intensity for p in points] + ridges) / 1.5))
    right = 10.0 ** math.ceil(math.log10(max([p.intensity for p in points] + ridges) * 1.5))
    axes.plot([left, max(ridges)], [left * roof.bandwidth, max(tops.values())], color="#555555")
    axes.annotate(f"{roof.bandwidth / 1e9:.4g} GB/s", (left, left * roof.bandwidth), xytext=(16, 1), textcoords="offset points", fontsize=8)
    for rate, names in grouped(tops).items():
        axes.plot([rate / roof.bandwidth, right], [rate, rate], color="#555555")
        axes.annotate(f"{', '.join(names)}: {in_units(rate)}", (right, rate), xytext=(-4, 3), textcoords="offset points", ha="right",
                      fontsize=8)
    for i, p in enumerate(points):
        bars = [[p.flops - p.low], [p.high - p.flops]] if p.low is not None and p.high is not None else None
        axes.errorbar([p.intensity], [p.flops], yerr=bars, fmt=MARKERS[i % len(MARKERS)], color=COLOURS[i % len(COLOURS)], capsize=3,
                      markerfacecolor=None if p.measured else "none", label=p.name)
    axes.set(xscale="log", yscale="log", xlim=(left, right), xlabel="operations per byte of memory", ylabel="operations per second",
             title=title or roof.name)
    hollow = any(not p.measured for p in points)
    (figure if aside else axes).legend(fontsize=8, loc="outside right upper" if aside else "lower right", title_fontsize=8,
                                       title="hollow: at most, not measured" if hollow else None)
    axes.grid(alpha=0.25)
    return figure


def in_units(rate):
    return f"{rate / 1e12:.4g} TFLOP/s" if rate >= 1e12 else f"{rate / 1e9:.4g} GFLOP/s"


def grouped(tops):
    """{rate: kinds that have it}."""
    found = {}
    for kind, rate in tops.items():
        found.setdefault(rate, []).append(kind)
    return found


def ratios(comparison, title=None):
    """A figure: each provider's time over the baseline's, with its interval; left of 1 is faster.  ValueError where nothing has a ratio."""
    rows = [(case, row) for case in comparison.cases for row in case.rows if row.ratio]
    if not rows:
        raise ValueError("no row has a ratio: they need a baseline that passed, and timed calls")
    library = matplotlib()
    labels = [f"{row.provider}, {case.name}, {case.dtype}" for case, row in rows]
    figure = library.figure.Figure(figsize=(5 + 0.075 * max(map(len, labels)), 1.4 + 0.36 * len(rows)), layout="constrained")
    axes = figure.subplots()
    providers = list(dict.fromkeys(row.provider for _, row in rows))
    for y, (_, row) in enumerate(rows):
        r, i = row.ratio, providers.index(row.provider)
        axes.errorbar([r["median"]], [y], xerr=[[r["median"] - r["low"]], [r["high"] - r["median"]]], fmt=MARKERS[i % len(MARKERS)],
                      color=COLOURS[i % len(COLOURS)], capsize=3)
    axes.axvline(1, color="#555555", linewidth=1)
    axes.set_yticks(range(len(rows)), labels, fontsize=8)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set(xscale="log", title=title or "",
             xlabel=f"time / time of {comparison.baseline}, bars: {comparison.confidence:.0%} of repeats; left of 1 is faster")
    low, high = (f(r.ratio[k] for _, r in rows) for f, k in ((min, "low"), (max, "high")))
    low, high = min(low, 1) / 1.15, max(high, 1) * 1.15
    axes.set_xlim(low, high)
    ticks = [t for t in (s * 10.0**e for e in range(-6, 7) for s in ((1, 2, 5) if high < 50 * low else (1,))) if low <= t <= high]
    if len(ticks) < 4:
        ticks = [t for t in library.ticker.MaxNLocator(7).tick_values(low, high) if low <= t <= high]
    axes.set_xticks(ticks, [f"{t:.3g}" for t in ticks])
    axes.minorticks_off()
    axes.grid(axis="x", alpha=0.25)
    return figure


def save(figure, path):
    """Write a figure to a .png, .svg or .pdf file, in one step.  ValueError for another suffix."""
    kind = os.fspath(path).rpartition(".")[2].lower()
    if kind not in SUFFIXES:
        raise ValueError(f"a picture is written to a file ending in {', '.join('.' + s for s in SUFFIXES)}, not to {os.fspath(path)!r}")
    with replacing(os.fspath(path)) as temporary:
        figure.savefig(temporary, format=kind, dpi=140)


def svg(figure, name):
    """A figure as an <svg> element to stand in a page: text stays text, nothing outside is referred to.

    name: unlike that of every other figure of the page, as their marks must not have each other's names.
    """
    import io
    room = io.StringIO()
    with matplotlib().rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(room, format="svg", metadata={"Date": None, "Creator": None})
    text = room.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg"):], flags=re.DOTALL)
    taken = sorted(set(re.findall(r'\bid="([^"]+)"', text)), key=len, reverse=True)
    return re.sub(r'(\bid="|="#|url\(#)(' + "|".join(map(re.escape, taken)) + r')(?=["\)])', rf"\g<1>{name}-\g<2>", text) if taken else text
