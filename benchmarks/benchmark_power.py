"""What minitorch.benchmark refuses and what it does not, and whether its intervals keep their word.

1. cheats: every one of tests/cheats.py, by which name it is refused
2. honest: providers that are right, of NumPy, own functions, kernels in the simulator: how often one is refused
3. agreement: the same comparison run twice, 20 times: how often the two ratios are as near to each other as both intervals say,
   and how often the second figure lies in the first one's interval

    python benchmarks/benchmark_power.py [--json]
"""
import math
import sys
from pathlib import Path

import timing  # isort: skip  (sets the number of threads before NumPy loads)
import numpy as np

from minitorch.benchmark import Case, compare

TESTS = Path(__file__).parent.parent / "tests"       # cheats.py and honest.py are there
REPEATS = 20


def refused():
    """{cheat: {"names", "right", "what"}}."""
    import cheats
    found = {}
    for name, cheat in cheats.CHEATS.items():
        with cheats.undone(cheat.make()) as provider:
            result = compare({name: provider}, cheat.reference, cheat.case(), rounds=max(24, cheat.rounds), seconds=0, baseline=False)
        names = result[0][name].names
        found[name] = {"names": names, "right": cheat.named(names), "what": cheat.what}
        print(f"{name:24} {', '.join(names) or 'NOT REFUSED':40} {cheat.what}")
    return found


def false_alarms(repeats):
    """{provider: how often refused}, each compared so many times, and why."""
    import honest
    found, reasons = {}, []
    for name, (providers, reference, cases) in honest.HONEST.items():
        found[name] = 0
        for _ in range(repeats):
            result = compare(providers(), reference, cases(), seconds=0.2)
            found[name] += not result.ok
            reasons += [f"{name}: {row.provider} on {case}: {reason}" for case, row in result.refusals() for reason in row.reasons]
        print(f"{name:32} {found[name]} of {repeats} refused")
    return found, reasons


def blocked(a, b):
    c = np.zeros((a.shape[0], b.shape[1]), a.dtype)
    for k in range(0, a.shape[1], 64):
        c += a[:, k:k + 64] @ b[k:k + 64]
    return c


PAIRS = {                                            # what is compared twice: providers, reference, case
    "blocked matmul / matmul, 192": (blocked, np.matmul, ((192, 192), (192, 192))),
    "sum of squares / norm, 10,000": (lambda x: np.sqrt((x * x).sum()), np.linalg.norm, ((10_000,),)),
}


def agreement(repeats):
    """{pair: {"agree", "inside", "repeats", "width", "ratios"}}."""
    found = {}
    for name, (f, reference, case) in PAIRS.items():
        agree, inside, widths, ratios = 0, 0, [], []
        for _ in range(repeats):
            a, b = (compare({"ours": f}, reference, Case(*case), seconds=1.5).raise_on_failure()[0]["ours"].interval for _ in range(2))
            agree += a.agrees(b)
            inside += a.low <= b.median <= a.high
            widths += [math.log(i.high / i.low) / 2 for i in (a, b)]
            ratios.append([a.median, b.median])
        found[name] = {"agree": agree, "inside": inside, "repeats": repeats, "width": float(np.median(widths)), "ratios": ratios}
        print(f"{name:32} agree {agree}, inside {inside} of {repeats}; typical interval +- {found[name]['width']:.1%}")
    return found


def measure():
    sys.path.insert(0, str(TESTS))
    named = refused()
    alarms, why = false_alarms(5)
    return {"cheats": named, "honest": alarms, "honest_each": 5, "why": why, "agreement": agreement(REPEATS), **timing.machine()}


def table(figures):
    """The README's table."""
    cheated, honest_ = figures["cheats"], figures["honest"]
    host = {n: c for n, c in cheated.items() if not n.startswith("cuda_")}
    device = {n: c for n, c in cheated.items() if n.startswith("cuda_")}
    total = len(honest_) * figures["honest_each"]
    rows = [[f"cheats in Python refused, by the right name ({len({c['names'][0] for c in host.values() if c['names']})} names)",
             f"{sum(c['right'] for c in host.values())} of {len(host)}"],
            ["cheats in CUDA C++ refused, by the right name", f"{sum(c['right'] for c in device.values())} of {len(device)}"],
            ["comparisons of honest kernels refused", f"{sum(honest_.values())} of {total}"]]
    for name, a in figures["agreement"].items():
        rows += [[f"{name}: two runs as near as their intervals say (typically +- {a['width']:.1%})", f"{a['agree']} of {a['repeats']}"],
                 [f"{name}: the second within the first one's interval", f"{a['inside']} of {a['repeats']}"]]
    return timing.table(["minitorch.benchmark", ""], rows)


def where(figures):
    """On what it was measured."""
    return f"Python {figures['python']}, NumPy {figures['numpy']}; {figures['cpu']}, not pinned. `python benchmarks/benchmark_power.py`"


def main():
    args = timing.options(__doc__).parse_args()
    figures = measure()
    print(table(figures), where(figures), sep="\n\n")
    if args.json:
        timing.write("benchmark_power", figures)


if __name__ == "__main__":
    main()
