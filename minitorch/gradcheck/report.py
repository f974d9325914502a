"""What a check found: a verdict for each input, the evidence, and how it is shown."""
import dataclasses
import math

import numpy as np

CORRECT = "correct"
WRONG = "wrong"
NOT_DIFFERENTIABLE = "not differentiable here"
TOO_NOISY = "too noisy in this dtype to tell"
VACUOUS = "vacuous"
NOT_FINITE = "not finite"
RANDOM = "not deterministic"
WRITES = "writes to its input"


@dataclasses.dataclass
class InputReport:
    """The verdict on the gradient with respect to one input."""
    name: str
    shape: tuple
    dtype: str
    verdict: str = CORRECT
    numeric: float = math.nan                        # slope along the decisive direction, by differences ...
    claimed: float = math.nan                        # ... and from the claimed gradient
    error: float = math.nan                          # their difference
    bound: float = math.nan                          # how large it could be if the claim were right
    order: float = math.nan                          # with which the Taylor remainder shrinks: 3 when right, 1 when wrong
    power: float = math.nan                          # the smallest wrong entry of the Jacobian that would have been caught
    kind: str = "smooth"
    note: str = ""                                   # what else there is to say
    worst: tuple | None = None                       # (index of the output, index of the input) with the largest error
    worst_numeric: float = math.nan                  # that entry of the Jacobian, by differences
    worst_claimed: float = math.nan
    bug: str = ""                                    # the known shape of mistake that it looks like
    trace: object = None                             # steps and errors, for the plot
    evidence: object = None                          # (direction, cotangent set, step) of the decisive measurement

    @property
    def ok(self):
        return self.verdict == CORRECT

    def line(self):
        """The verdict in one line."""
        text = f"{self.name:16} {str(self.shape):14} {self.dtype:9} {self.verdict.upper() if not self.ok else self.verdict}"
        if self.ok:
            caught = f"a wrong entry of {self.power:.1e} would have been caught" if np.isfinite(self.power) else ""
            return f"{text:54} {'; '.join(x for x in (caught, self.note) if x)}"
        return text

    def details(self):
        """What speaks for a verdict that is not `correct`."""
        rows = [self.note] if self.note else []
        if self.verdict != NOT_DIFFERENTIABLE and (np.isfinite(self.numeric) or np.isfinite(self.claimed)):
            rows.append(f"slope by differences {self.numeric:.12g}, claimed {self.claimed:.12g}: apart by {self.error:.2e}, "
                        f"explained up to {self.bound:.2e}")
        if self.verdict == WRONG and np.isfinite(self.order):
            rows.append(f"the Taylor remainder shrinks as h^{self.order:.1f} (h^3 when the gradient is right, h when it is wrong)")
        if self.worst is not None:
            rows.append(f"worst entry: d output{shown(self.worst[0])} / d {self.name}{shown(self.worst[1])} is "
                        f"{self.worst_numeric:.9g}, claimed {self.worst_claimed:.9g}")
        if self.bug:
            rows.append(f"it looks like {self.bug}")
        return rows


def shown(index):
    """An index as it is written behind a name."""
    return "[" + ", ".join(map(str, index)) + "]" if index else ""


@dataclasses.dataclass
class Report:
    """The outcome of a check: `ok`, a verdict for each of `inputs`, and what it took."""
    name: str
    inputs: list
    outputs: list                                    # shapes
    evaluations: int
    seed: int
    shadow: bool = False                             # whether the function was also run in float64
    gradients: int = 0                               # evaluations of the derivative
    what: str = "gradient"                           # of the function that was checked

    @property
    def ok(self):
        """Whether every gradient is correct: anything else, "cannot tell" included, is not."""
        return all(i.ok for i in self.inputs)

    @property
    def verdict(self):
        """The gravest verdict."""
        order = [RANDOM, WRITES, NOT_FINITE, WRONG, NOT_DIFFERENTIABLE, TOO_NOISY, VACUOUS, CORRECT]
        return min((i.verdict for i in self.inputs), key=order.index, default=CORRECT)

    def __bool__(self):
        return self.ok

    def __getitem__(self, name):
        """The report on an input, by name or number."""
        return self.inputs[name] if isinstance(name, int) else next(i for i in self.inputs if i.name == name)

    def __str__(self):
        outputs = ", ".join(str(s) for s in self.outputs)
        cost = f"{self.evaluations} evaluations, {self.gradients} of the derivative" + (", compared in float64" if self.shadow else "")
        rows = [f"{self.what} of {self.name}: {self.verdict} (outputs {outputs}; {cost}, seed {self.seed})"]
        for i in self.inputs:
            rows.append("  " + i.line())
            if not i.ok:
                rows += ["      " + row for row in i.details()]
        return "\n".join(rows)

    def raise_if_wrong(self):
        """GradcheckError carrying this report, unless every gradient is correct."""
        if not self.ok:
            raise GradcheckError(self)
        return self

    def plot(self, path=None):
        """Error of the central difference against step, one line an input: the figure, saved at `path` if given (needs matplotlib)."""
        try:
            from matplotlib.figure import Figure
        except ImportError as error:
            raise RuntimeError("Report.plot needs matplotlib: pip install matplotlib") from error
        figure = Figure(figsize=(7, 4.5), layout="constrained")
        axes = figure.add_subplot()
        for i in self.inputs:
            if i.trace is not None:
                steps, errors = i.trace
                axes.loglog(steps, np.maximum(errors, 1e-300), "o-", label=f"{i.name}: {i.verdict}")
        axes.set_xlabel("step h")
        axes.set_ylabel("|(F(h) - F(-h)) / 2h - claimed slope|")
        axes.set_title(f"{self.what} of {self.name}")
        axes.legend()
        if path is not None:
            figure.savefig(path)
        return figure


class GradcheckError(AssertionError):
    """A gradient is wrong, or cannot be told to be right; `report` says what was found."""

    def __init__(self, report):
        super().__init__(str(report))
        self.report = report
