"""Training steps and their ops on the CPU beside PyTorch and others: time, peak memory, goals, and what the machine allows.

    python benchmarks/cpu.py                             # all workloads, minitorch with and without `fast`, and PyTorch
    python benchmarks/cpu.py --peers --json              # and JAX, MyGrad, autograd, tinygrad, DeZero; figures, README table, plot
    python benchmarks/cpu.py --only LSTM attention --threads 1 --rounds 21

Each library computes each workload in a process of its own, in turns (turns.py); results are compared before they are timed.  What a
library cannot compute, or not in time, or computes wrongly, is left out and the reason printed.  benchmarks/growth.py: other sizes.
"""
import importlib.metadata
import importlib.util
import math
import os
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import limits
import timing
from turns import LIBRARIES, PEERS, run
from workloads import WORKLOADS

CONV, POINTWISE = (1.0, 1.6), (0.4, 1.5)
GOALS = {                                            # time / PyTorch's: with `fast`, by NumPy alone
    "100 small ops": (0.6, 0.6), "matmul": (0.9, 1.1), "MLP + Adam": (0.9, 1.1), "transformer block": (0.9, 1.1), "GPT-2 block": (0.9, 1.1),
    "attention": (0.8, 1.0), "causal attention": (0.8, 1.0), "LSTM": (1.0, 1.5),
    "conv2d": CONV, "conv2d, stride 2": CONV, "conv2d, 8 groups": CONV, "conv2d, depthwise": CONV, "CNN step": CONV, "ResNet-18 step": CONV,
    "max pool": POINTWISE, "average pool": POINTWISE, "cross entropy": POINTWISE, "embedding": POINTWISE,
    "GELU, erf": POINTWISE, "GELU, tanh": POINTWISE, "layer norm": (0.7, 3.0), "batch norm": (0.7, 3.0), "reductions": (0.5, 0.8),
}
MEAN_GOALS = 0.65, 1.1                               # of the geometric means
VERSIONS = ("numpy", "torch", "numba", "jax", "jaxlib", "mygrad", "autograd", "tinygrad", "dezero")


def provenance(threads):
    """Where, when and by what this was measured."""
    from minitorch.benchmark.provenance import gathered
    found = gathered(0, "cpu")
    versions = {}
    for name in VERSIONS:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = None
    return {**{key: found[key] for key in ("when", "command", "python", "system", "cpu", "cores", "last_cache", "blas", "commit", "changed")},
            "versions": versions, "threads": threads, "MINITORCH_MALLOC": os.environ.get("MINITORCH_MALLOC", "blocks are kept"),
            "load": list(os.getloadavg())}


def geometric_mean(values):
    return math.exp(statistics.mean(map(math.log, values))) if values else math.nan


def cell(row, library):
    """A ratio as the table shows it."""
    found = row.get(library, {})
    if "ratio" in found:
        return f"**{found['ratio']:.2f}**" if library == "fast" else f"{found['ratio']:.2f}"
    return "wrong" if found.get("missing", "").startswith("wrong") else "-"


def pair(values):
    """Figures with `fast` and by NumPy alone."""
    return " ".join(f"{value:.2f}" for value in values)


def table(figures):
    """The README's tables: ratios, and what the machine allows."""
    rows, names = figures["rows"], {**LIBRARIES, **PEERS}
    libraries = [lib for lib in names if any(lib in row for row in rows.values())]
    peers = [lib for lib in libraries if lib in PEERS]
    ours = [lib for lib in libraries if lib in ("fast", "plain")]
    head = ["forward + backward, time / PyTorch's", "PyTorch, ms", *(names[lib] for lib in ours), "goals", "limits",
            *(names[lib] for lib in peers), "peak memory / PyTorch's"]
    lines = []
    for name, row in rows.items():
        ms = row["torch"]["ms"]
        whole = row["torch"]["peak"]
        memory = " ".join(f"{row[lib]['peak'] / whole:.2f}" for lib in ours if "peak" in row[lib]) if whole >= 1 else "-"
        lines.append([name, f"{ms:.2f}", *(cell(row, lib) for lib in ours), pair(GOALS[name]), pair([least / ms for least in row["least_ms"]]),
                      *(cell(row, lib) for lib in peers), memory])
    means = {lib: geometric_mean([row[lib]["ratio"] for row in rows.values() if "ratio" in row.get(lib, {})]) for lib in [*ours, *peers]}
    lines.append(["geometric mean", "", *(cell({lib: {"ratio": means[lib]}}, lib) for lib in ours), pair(MEAN_GOALS), "",
                  *(f"{means[lib]:.2f}" for lib in peers), ""])
    return f"{timing.table(head, lines)}\n\n{limits.table(figures['limits'], figures['imports'])}"


def where(figures):
    """What the columns mean, and where they were measured."""
    machine = figures["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items() if version)
    return (f"Goals, limits, memory: with `fast`, then by NumPy alone. Limit: all multiplications at the rate of products of their size below, or "
            f"all reading and writing at that of a copy if longer, for GELU and layer norm by NumPy alone and then every further call in the cache. "
            f"-: it cannot, or not within {figures['patience']:.0f} s; a mean is of what a library can. "
            f"Python {machine['python']}, {versions}; {machine['cpu']}, {machine['threads']} threads; medians of {figures['rounds']} rounds. "
            f"`python benchmarks/cpu.py --peers --json`")


def said(name, row):
    """A line on the console for each library."""
    parts = [name]
    for library, found in row.items():
        parts.append(f"  {library:10} {found['ms']:9.2f} ms  {found['ratio']:7.2f} ({found['low']:.2f}-{found['high']:.2f})"
                     + (f"  {found['peak']:6.0f} MiB" if "peak" in found else "")
                     if "ms" in found else f"  {library:10} - {found['missing']}")
    return "\n".join(parts)


def main():
    parser = timing.options(__doc__)
    parser.add_argument("--only", nargs="+", default=[], metavar="WORKLOAD", help="these workloads alone")
    parser.add_argument("--peers", action="store_true", help="other libraries beside PyTorch: python -m pip install -e '.[bench]'")
    parser.add_argument("--libraries", nargs="+", default=[], metavar="LIBRARY", choices=[*LIBRARIES, *PEERS], help="PyTorch and these alone")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of every library")
    parser.add_argument("--rounds", type=int, default=5, help="turns that each library takes")
    parser.add_argument("--patience", type=float, default=45, metavar="SECONDS", help="that another library may take to compile and check a workload")
    options = parser.parse_args()
    unknown = [name for name in options.only if name not in WORKLOADS]
    if unknown:
        parser.error(f"no workload {unknown[0]!r}: there are {', '.join(WORKLOADS)}")
    if options.rounds < 1 or options.threads < 1:
        parser.error("--rounds and --threads must be at least 1")
    if options.json and (options.only or options.libraries):
        parser.error("--json writes the README's figures: all workloads, without --only and --libraries")
    if importlib.util.find_spec("torch") is None:
        parser.error("ratios are to PyTorch's time: python -m pip install torch")
    libraries = list(dict.fromkeys(["torch", *options.libraries] if options.libraries else [*LIBRARIES, *(PEERS if options.peers else ())]))
    figures = {"machine": provenance(options.threads), "rounds": options.rounds, "patience": options.patience,
               "limits": {}, "imports": limits.imports(), "goals": GOALS, "rows": {}}
    rates, sizes = limits.measured(options.threads), {}
    for name in options.only or WORKLOADS:
        row, sizes[name] = run(name, libraries, options.threads, options.rounds, options.patience)
        figures["rows"][name] = row
        print(said(name, row), flush=True)
    figures["limits"] = limits.medians(limits.measured(options.threads, before=rates))    # again, as the machine is not always as fast
    for name, row in figures["rows"].items():
        row["least_ms"] = [limits.least_ms(name, sizes[name], figures["limits"], options.threads, libraries)
                           for libraries in (("numpy", "minitorch"), ("numpy",))]
    print(f"\n{table(figures)}\n\n{where(figures)}")
    if options.json:
        timing.write("cpu", rounded(figures))
        import plots
        plots.cpu(figures)


def rounded(x):
    """Figures with the four digits that mean something."""
    if isinstance(x, dict):
        return {key: rounded(value) for key, value in x.items()}
    if isinstance(x, (list, tuple)):
        return [rounded(value) for value in x]
    return float(f"{x:.4g}") if isinstance(x, float) else x


if __name__ == "__main__":
    main()
