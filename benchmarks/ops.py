"""Ops on large arrays beside PyTorch, one by one: forward and backward, with the extra `fast` and by NumPy alone.

Each library computes in a process of its own, in turns; results are compared before they are timed.

    python benchmarks/ops.py                             # all
    python benchmarks/ops.py --only "x.sum(1)" "x[i]"    # some
"""
import os
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import cpu
import timing
from large_ops import FAMILIES, OPS
from turns import LIBRARIES, PAUSE, GivenUp, Server, difference


def measured(names, threads, rounds, shown=print):
    """{op: {library: {"ms", "ratio"} or {"missing": why}}}."""
    servers = {library: Server(library, threads, 600) for library in LIBRARIES}
    for server in servers.values():
        server.answer()
    found = {}
    for name in names:
        row = found[name] = {}
        answers = {}
        for library, server in servers.items():
            server.allow(600)
            server.ask("make", name)
            answers[library] = server.ask("check")
            if off := difference(answers["torch"], answers[library]):
                raise GivenUp(f"{name}, {library}: {off}")
        seconds = {library: [] for library in servers}
        for _ in range(rounds):
            for library, server in servers.items():
                time.sleep(PAUSE)
                seconds[library].append(server.ask("time"))
        for library, taken in seconds.items():
            row[library] = {"ms": statistics.median(taken) * 1e3, "ratio": statistics.median([a / b for a, b in zip(taken, seconds["torch"])])}
        ratios = "  ".join(f"{library} {row[library]['ratio']:6.2f}" for library in servers if library != "torch")
        shown(f"{name:60} {row['torch']['ms']:8.2f} ms  {ratios}", flush=True)
    for server in servers.values():
        server.close()
    return found


def table(figures):
    """The README's table: each family by its geometric mean, and its slowest."""
    rows = figures["rows"]
    head = ["large arrays, time / PyTorch's", "ops", "minitorch", "at most", "by", "minitorch, NumPy alone", "at most", "by"]
    lines = []
    for family, ops in [*FAMILIES.items(), ("all", OPS)]:
        ours = [name for name in ops if name in rows]
        line = [family, len(ours)]
        for library in ("fast", "plain"):
            ratios = {name: rows[name][library]["ratio"] for name in ours}
            worst = max(ratios, key=ratios.get)
            mean = f"{cpu.geometric_mean(list(ratios.values())):.2f}"
            line += [f"**{mean}**" if library == "fast" else mean, f"{ratios[worst]:.2f}", f"`{worst}`" if family != "all" else ""]
        lines.append(line)
    return timing.table(head, lines)


def where(figures):
    """What the columns mean, and where they were measured."""
    machine = figures["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items() if version and name in ("numpy", "torch", "numba"))
    return (f"Forward + backward of single ops on 16 MiB of float32, geometric means; forward where there is no gradient. Every op's own figure: "
            f"`benchmarks/results/ops.json`. Python {machine['python']}, {versions}; {machine['cpu']}, {machine['threads']} threads; "
            f"medians of {figures['rounds']} rounds. `python benchmarks/ops.py --json`")


def main():
    parser = timing.options(__doc__)
    parser.add_argument("--only", nargs="+", default=[], metavar="OP", help="these ops alone")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of every library")
    parser.add_argument("--rounds", type=int, default=3, help="turns that each library takes")
    options = parser.parse_args()
    if unknown := [name for name in options.only if name not in OPS]:
        parser.error(f"no op {unknown[0]!r}: there are {', '.join(OPS)}")
    if options.json and options.only:
        parser.error("--json writes the README's figures: all ops, without --only")
    figures = {"machine": cpu.provenance(options.threads), "rounds": options.rounds,
               "rows": measured(options.only or list(OPS), options.threads, options.rounds)}
    print(f"\n{table(figures) if not options.only else ''}\n\n{where(figures)}")
    if options.json:
        timing.write("ops", cpu.rounded(figures))


if __name__ == "__main__":
    main()
