"""What the benchmarks share: interleaved medians, where they ran, where they write."""
import argparse
import json
import os
import platform
import statistics
import time
from pathlib import Path

RESULTS = Path(__file__).parent / "results"

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):      # one thread for everyone, set before NumPy loads
    os.environ.setdefault(_name, "1")


def medians(calls, rounds, repeat=1):
    """{name: median seconds per call}: every round times each call once, so that a slow moment of the machine hits all alike."""
    for call in calls.values():
        call()
    seconds = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            start = time.perf_counter()
            for _ in range(repeat):
                call()
            seconds[name].append((time.perf_counter() - start) / repeat)
    return {name: statistics.median(s) for name, s in seconds.items()}


def import_torch():
    """PyTorch on one thread, or None with a word on how to get it."""
    try:
        import torch
    except ImportError:
        print("PyTorch is not installed: only minitorch is measured.  For the comparison: python -m pip install torch\n")
        return None
    torch.set_num_threads(1)
    return torch


def machine():
    """Where this ran, for the results file."""
    import numpy
    return {"python": platform.python_version(), "numpy": numpy.__version__, "cpu": cpu_name(), "cores": os.cpu_count()}


def cpu_name():
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def options(description):
    """The argument parser of a benchmark: --json, --rounds."""
    parser = argparse.ArgumentParser(description=description.strip().splitlines()[0])
    parser.add_argument("--json", action="store_true", help="write the figures to benchmarks/results/, where the README's tables come from")
    return parser


def write(name, figures):
    """benchmarks/results/NAME.json."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    print(f"\nwritten: {path}")


def read(name):
    """The figures of benchmarks/results/NAME.json."""
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


def table(head, rows):
    """A Markdown table, numbers to the right."""
    rows = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in [list(head), *rows]) for i in range(len(head))]
    line = "|" + "|".join("-" * (w + 1) + (":" if i else "-") for i, w in enumerate(widths)) + "|"
    return "\n".join([shown(head, widths), line, *(shown(row, widths) for row in rows)])


def shown(row, widths):
    return "| " + " | ".join(cell.rjust(w) if i else cell.ljust(w) for i, (cell, w) in enumerate(zip(row, widths))) + " |"
