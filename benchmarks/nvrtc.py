"""What NVIDIA's compiler makes of the CUDA kernels, for three generations of GPUs and without one.

Every kernel with every choice of macros that the proven functions launch is compiled for sm_80, sm_90a and sm_100 (a kernel for
one architecture for that alone).  A row is a source; registers are a thread's, shared memory is a block's, and only the part
that is fixed at compile time; a spill is a register that had to go to memory.

    python benchmarks/nvrtc.py [--json]              needs pip install 'minitorch[nvrtc]', no GPU
"""
import json
import sys

import timing

# isort: split
from minitorch.kernels import nvrtc

COUNTED = [c for c in nvrtc.COUNTED if c != "UTMASTG"]


def span(values):
    low, high = min(values), max(values)
    return str(low) if low == high else f"{low} to {high}"


def table(figures):
    """The README's table: a row a source."""
    rows = []
    for source, kernels in figures["kernels"].items():
        every = [f for by_arch in kernels.values() for f in by_arch.values()]
        archs = sorted({a for by_arch in kernels.values() for a in by_arch}, key=lambda a: int(a.strip("sm_a")))
        counts = {c: max(f["instructions"].get(c, 0) for f in every) for c in COUNTED}
        names = {label.split("[")[0] for label in kernels}
        rows.append([f"`{source}`", len(names), len(every), ", ".join(archs), span([f["registers"] for f in every]),
                     span([f["shared"] for f in every]), sum(f["spills"] for f in every),
                     " ".join(f"{c} {n}" for c, n in counts.items() if n) or "-"])
    head = ["source", "kernels", "compiled", "for", "registers", "shared memory, bytes", "spills", "instructions of note, at most"]
    return timing.table(head, rows)


def where(figures):
    return f"NVRTC {figures['nvrtc']}, without a GPU. `python benchmarks/nvrtc.py`"


def lines(figures):
    """The figures in JSON, a line a kernel."""
    sources = ",\n".join(f'{json.dumps(source)}: {{\n' + ",\n".join(f" {json.dumps(label)}: {json.dumps(f)}" for label, f in kernels.items()) + "}"
                         for source, kernels in figures["kernels"].items())
    return f'{{"nvrtc": {json.dumps(figures["nvrtc"])}, "kernels": {{\n{sources}}}}}\n'


def main():
    args = timing.options(__doc__).parse_args()
    figures, bad = nvrtc.measured()
    print(table(figures))
    print(f"\n{where(figures)}")
    for line in bad:
        print(line)
    if args.json:
        (timing.RESULTS / "nvrtc.json").write_text(lines(figures), encoding="utf-8")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
