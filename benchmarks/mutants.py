"""How many mistakes the tests notice: every mutant of every derivative of the op table, with what the tests ask of it.

    python benchmarks/mutants.py [--json]            # half a minute; the figures, and any survivors

The same mutants and checks as in tests/test_mutants.py, which asserts that none survives.
"""
import platform
import sys
from pathlib import Path

import timing

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
import test_mutants as tests  # noqa: E402

from minitorch import gradcheck  # noqa: E402
from minitorch.autograd.op import OPS  # noqa: E402

KINDS = ("in the text: operators, signs, constants, terms", "in the results", "in a saved value: stale or detached", "in a reference")


def kind(mutant):
    """Which of KINDS a mutant is."""
    if mutant.target.startswith("the reference of"):
        return KINDS[3]
    if mutant.mistake.startswith("`") and ("` stale: " in mutant.mistake or "` detached: " in mutant.mistake):
        return KINDS[2]
    return KINDS[1 if mutant.mistake.startswith(("the result", "the gradient of", "the first result", "the last result")) else 0]


def measure():
    """(the Score of all, the figures)"""
    score = gradcheck.Score()
    for name in tests.DIFFERENTIABLE:
        score += gradcheck.kill_rate(OPS[name], lambda name=name: tests.every_check(name))
    rows = {k: [sum(kind(m) == k for m in part) for part in (score.killed, score.survived, score.equivalent)] for k in KINDS}
    return score, {"ops": len(tests.DIFFERENTIABLE), "kinds": rows, "python": platform.python_version()}


def table(figures):
    rows = [[k, k_, s, e] for k, (k_, s, e) in figures["kinds"].items()]
    total = [sum(r[i] for r in rows) for i in (1, 2, 3)]
    body = [[str(v) for v in r] for r in [*rows, [f"all, in {figures['ops']} ops", *total]]]
    return timing.table(["mistakes", "killed", "survived", "equivalent"], body)


def main():
    args = timing.options(__doc__).parse_args()
    score, figures = measure()
    print(score, table(figures), sep="\n\n")
    if args.json:
        timing.write("mutants", figures)


if __name__ == "__main__":
    main()
