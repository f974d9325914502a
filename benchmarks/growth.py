"""How cost grows with size, beside PyTorch: batch, sequence length, image size, and the number of ops in a graph.

Each library takes a curve in a process of its own; at every size they take turns.  The exponent is fitted to the times by least
squares in log-log over the upper half of the sizes, where fixed costs no longer count: 1 is linear, 2 quadratic.

    python benchmarks/growth.py [--json] [--only "MLP + Adam"]
"""
import math
import os
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import cpu
import timing
from turns import LIBRARIES, PAUSE, Server

CURVES = {                                           # workload: what grows, its sizes, by what power of them its work grows
    "100 small ops": ("ops in the graph", [100 << i for i in range(11)], 1),
    "MLP + Adam": ("batch", [16 << i for i in range(8)], 1),
    "CNN step": ("batch", [4 << i for i in range(7)], 1),
    "attention": ("length", [32 << i for i in range(6)], 2),
    "LSTM": ("length", [8 << i for i in range(6)], 1),
    "conv2d": ("image size", [8 << i for i in range(5)], 2),
}


def exponent(sizes, costs):
    """The slope of log(cost) by log(size), by least squares over the upper half of the sizes."""
    n = max(2, (len(sizes) + 1) // 2)
    xs, ys = [math.log(s) for s in sizes[-n:]], [math.log(c) for c in costs[-n:]]
    mx, my = statistics.mean(xs), statistics.mean(ys)
    return sum((x - mx) * (y - my) for x, y in zip(xs, ys)) / sum((x - mx) ** 2 for x in xs)


def curve(name, threads, rounds):
    """{library: {"ms": [...], "exponent"}} of a workload over its sizes."""
    sizes = CURVES[name][1]
    servers = {library: Server(library, threads, 600) for library in LIBRARIES}
    for server in servers.values():
        server.answer()
    ms = {library: [] for library in servers}
    for size in sizes:
        seconds = {library: [] for library in servers}
        for server in servers.values():
            server.allow(600)
            server.ask("make", name, size)
        for _ in range(rounds):
            for library, server in servers.items():
                time.sleep(PAUSE)
                seconds[library].append(server.ask("time"))
        for library, taken in seconds.items():
            ms[library].append(statistics.median(taken) * 1e3)
    for server in servers.values():
        server.close()
    return {library: {"ms": values, "exponent": exponent(sizes, values)} for library, values in ms.items()}


def table(figures):
    """The README's table."""
    labels = LIBRARIES.values()
    head = ["cost by size", "sizes", *(f"{label}, ms at the largest" for label in labels), "exponent of the work", *labels]
    rows = []
    for name, row in figures["rows"].items():
        grows, sizes, power = CURVES[name]
        exponents = [f"{row[lib]['exponent']:.2f}" for lib in LIBRARIES]
        exponents[1] = f"**{exponents[1]}**"
        rows.append([f"{name.removeprefix('100 ')}: {grows}", f"{sizes[0]} to {sizes[-1]}",
                     *(f"{row[lib]['ms'][-1]:.1f}" for lib in LIBRARIES), power, *exponents])
    return timing.table(head, rows)


def where(figures):
    machine = figures["machine"]
    return (f"Python {machine['python']}, NumPy {machine['versions']['numpy']}, PyTorch {machine['versions']['torch']}; {machine['cpu']}, "
            f"{machine['threads']} threads; medians of {figures['rounds']} rounds. `python benchmarks/growth.py --json`")


def main():
    parser = timing.options(__doc__)
    parser.add_argument("--only", nargs="+", default=list(CURVES), choices=CURVES, metavar="WORKLOAD", help="these curves alone")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of every library")
    parser.add_argument("--rounds", type=int, default=3, help="turns that each library takes at each size")
    options = parser.parse_args()
    if options.json and len(options.only) < len(CURVES):
        parser.error("--json writes the README's figures: all curves, without --only")
    figures = {"machine": cpu.provenance(options.threads), "rounds": options.rounds, "rows": {}}
    for name in options.only:
        row = figures["rows"][name] = curve(name, options.threads, options.rounds)
        row["sizes"] = CURVES[name][1]
        print(f"{name} by {CURVES[name][0]}", flush=True)
        for library in LIBRARIES:
            ms = " ".join(f"{value:9.3f}" for value in row[library]["ms"])
            print(f"  {library:6} {ms} ms, exponent {row[library]['exponent']:.2f}", flush=True)
    print(f"\n{table(figures)}\n\n{where(figures)}")
    if options.json:
        timing.write("growth", cpu.rounded(figures))
        import plots
        plots.growth(figures)


if __name__ == "__main__":
    main()
