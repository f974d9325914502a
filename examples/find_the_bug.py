"""Find the bug: twelve derivatives, each wrong in one of the ways in which derivatives go wrong.

    python examples/find_the_bug.py                  what there is to find, and what is repaired by now
    python examples/find_the_bug.py 3                the code of number 3 and the verdict on it
    python examples/find_the_bug.py 3 --hint         the whole report of minitorch.gradcheck, and how to read it
    python examples/find_the_bug.py 3 --solution     what is wrong and what is right
    python examples/find_the_bug.py 3 --check        after you have edited examples/bugs.py: is it right now?
    python examples/find_the_bug.py --check          the same of all
    python examples/find_the_bug.py --all            everything, solutions too

They grow harder.  The later ones give gradients of the right shape and about the right size, and a network trained with them
would learn, only worse than it could: such bugs are found by checking, or never.
"""
import argparse
import inspect
import sys
from dataclasses import dataclass

import bugs
import bugs_solved
import numpy as np

import minitorch
from minitorch.gradcheck import check


@dataclass
class Bug:
    """One exercise: a function of bugs.py and what is to be said of it."""
    name: str
    shapes: tuple                                    # of its inputs
    shape: str                                       # the known shape of the mistake
    hint: str                                        # how it shows in a report
    solution: str
    dtype: str = "f8"
    scale: float = 1.0
    tensors: bool = False                            # a function of Tensors, which differentiates itself

    @property
    def number(self):
        return BUGS.index(self) + 1

    @property
    def title(self):
        return getattr(bugs, self.name).__doc__

    def inputs(self):
        rng = np.random.default_rng(self.number)
        arrays = [(self.scale * rng.normal(size=s)).astype(self.dtype) for s in self.shapes]
        return tuple([minitorch.tensor(a) for a in arrays] if self.tensors else arrays)

    def parts(self, module):
        """The functions in `module` that belong to it: in bugs.py with the one that is differentiated."""
        names = [self.name, self.name + "_vjp"] if module is bugs else [self.name + "_vjp", self.name]
        found = [getattr(module, n) for n in names if hasattr(module, n)]
        return [f for f in found if f.__module__ == module.__name__]

    def code(self, module):
        return "\n\n".join(inspect.getsource(f).rstrip() for f in self.parts(module))

    def report(self, module=bugs):
        """What gradcheck says of the derivative in `module`: bugs, or bugs_solved."""
        f = getattr(module, self.name, None) if self.tensors else (getattr(bugs, self.name), getattr(module, self.name + "_vjp"))
        with np.errstate(all="ignore"):
            return check(f, self.inputs(), name=self.name)


BUGS = [
    Bug("mean_of_squares", [(3, 4)], "a constant factor",
        "Every entry is off by the same factor, and the report says which. Twelve: is there a 12 in the shape of the input?",
        "The mean divides by the number of entries, and so must its derivative. Such a factor hides well: an optimizer makes up for it\n"
        "with its learning rate."),
    Bug("decay", [(3, 4)], "a wrong sign",
        "The claimed slope is exactly the negative of the one by differences, everywhere.",
        "The chain rule: the derivative of -x is -1. Loss that climbs instead of falling is often this."),
    Bug("linear", [(5, 4), (4, 4)], "a transpose",
        "x is correct, w is not. Compare the worst entry's index with the transposed one: the same numbers, mirrored. Where a matrix is\n"
        "square, shapes do not tell.",
        "Write it with indices and read off the order: d w[i, j] = sum over n of x[n, i] g[n, j], which is x.T @ g."),
    Bug("scale_rows", [(5, 4), (5, 1)], "a missing sum over a broadcast axis",
        "The gradient has the shape of the result, not that of the input: what forward broadcast, backward must add up.",
        "Broadcasting is using one number many times; its gradient is the sum over all uses."),
    Bug("embedding", [(6, 3)], "`=` where `+=` is meant",
        "Some entries are right and others are too small. The right ones belong to rows that were chosen once. What of a row that was\n"
        "chosen three times?",
        "Written with `=` the last contribution wins. Not even `gradient[WORDS] += g` helps: NumPy reads all, adds, and writes all.\n"
        "np.add.at adds one after the other; on a GPU it takes atomicAdd."),
    Bug("centre_rows", [(4, 4)], "the wrong axis of a mean",
        "Everything is a little wrong, as if a term were missing or one too many. Look at the worst entry of the Jacobian: which entries\n"
        "of the result should depend on one entry of x, those in its row or those in its column?",
        "The derivative of a mean along an axis is again a mean along this axis. The input is square on purpose: otherwise a wrong axis\n"
        "often shows in a shape."),
    Bug("softmax", [(4, 5)], "a missing term",
        "The worst entries lie on the diagonal, where y is claimed for y - y^2. What does each entry of a row have in common with the\n"
        "others, that also depends on x?",
        "The product rule has two terms, and the second, through the sum in the denominator, was forgotten: -y times the sum of g y."),
    Bug("convolve", [(11,)], "an index off by one",
        "The gradient is the right one, moved by one place: the worst entry is claimed for an input that this output never read.",
        "A window starts at i * STRIDE, not one later. The `if` that keeps the last place inside the array is a symptom: the right code\n"
        "does not need it."),
    Bug("ExpPlus", [(3, 4), (3, 4)], "a stale saved tensor",
        "The gradient of b is correct, that of a is off by g times b. How does b get into the derivative of e^a? What was saved is not\n"
        "what is found there later.",
        "`y += b` wrote over the array that ctx.e still points to. save_for_backward notices writes to what it holds, an attribute\n"
        "of ctx does not. In a whole network gradcheck.blame finds the step that does this.", tensors=True),
    Bug("rms_norm", [(4, 6)], "an epsilon in the wrong place",
        "Wrong by a percent or two, everywhere: no term is missing, some number is slightly different. There is but one small number\n"
        "here.",
        "1 / (sqrt(m) + eps) is not 1 / sqrt(m + eps). The difference is small until m is, where it decides. Better still: keep the\n"
        "very number that forward used."),
    Bug("attention", [(4, 5), (5, 3)], "a detached branch",
        "values is correct and scores is not, as if a term were missing: it is that of number 7. No derivative is written here, so it\n"
        "must be cut off somewhere.",
        "Detaching the maximum is right, as the result does not depend on it; the result does depend on the sum.", tensors=True),
    Bug("softplus", [(12,)], "a mistake in float32 alone",
        "In float64 the gradient is right. In float32 it is not finite: which intermediate result is too large, from which x on?",
        "e^89 is larger than any float32, and infinity over infinity is NaN. The report compares both precisions with the same numbers.",
        dtype="f4", scale=60.0),
]


# ---- what is shown -----------------------------------------------------------------------------------------------------

def introduction():
    rows = [__doc__.strip(), ""]
    for bug in BUGS:
        rows.append(f"{bug.number:3}  {bug.name:16} {'repaired' if judged(bug)[-1] else '':8}  {bug.title}")
    return "\n".join(rows)


def judged(bug):
    """(the verdict in words, the whole report, whether it is right)"""
    try:
        report = bug.report()
    except Exception as error:                       # the reader's code may do anything
        text = f"raises {type(error).__name__}: {error}"
        return text, text, False
    return "repaired" if report.ok else report.verdict, str(report), report.ok


def shown(bug, hint=False, solution=False):
    """A bug's code and verdict, with as much help as is asked for."""
    verdict, report, fine = judged(bug)
    rows = [f"{bug.number}. {bug.title}", "", bug.code(bugs), "", f"gradcheck: {verdict}"]
    if hint:
        rows += ["", report, "", bug.hint, f"Look for {bug.shape}."]
    if solution:
        rows += ["", f"It is {bug.shape}.", bug.solution, "", bug.code(bugs_solved)]
    if not hint and not solution and not fine:
        rows.append(f"(more help: python examples/find_the_bug.py {bug.number} --hint)")
    return "\n".join(rows)


def checked(chosen):
    """(text, whether all are right)"""
    outcomes = [(bug, *judged(bug)) for bug in chosen]
    return "\n".join(f"{bug.number:3}  {bug.name:16} {verdict}" for bug, verdict, _, _ in outcomes), all(o[-1] for o in outcomes)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("number", type=int, nargs="?", choices=range(1, len(BUGS) + 1), metavar=f"1 to {len(BUGS)}")
    parser.add_argument("--hint", action="store_true", help="show the report and how to read it")
    parser.add_argument("--solution", action="store_true", help="show what is wrong and what is right")
    parser.add_argument("--check", action="store_true", help="say whether it is repaired")
    parser.add_argument("--all", action="store_true", help="show everything")
    a = parser.parse_args(arguments)
    chosen = BUGS if a.number is None else [BUGS[a.number - 1]]
    if a.check:
        text, fine = checked(chosen)
        print(text)
        return 0 if fine else 1
    if a.all or a.number is not None:
        rule = "\n\n" + "-" * 100 + "\n\n"
        print(rule.join(shown(bug, a.hint or a.all, a.solution or a.all) for bug in chosen))
    elif a.hint or a.solution:
        parser.error("of which number?")
    else:
        print(introduction())
    return 0


if __name__ == "__main__":
    sys.exit(main())
