"""Gradient checking with a verdict: is this derivative right, and would the check have noticed if it were not?

    report = minitorch.gradcheck.check(f, (x, w))    # f: a function, a module, a Function, or a pair (f, vjp) of any framework
    print(report)

Every input gets a verdict: correct, wrong, not differentiable here, too noisy in this dtype to tell, or vacuous (nothing to see);
where no check is possible, not finite, not deterministic, or writes to its input.
"""
from .blame import Blame, blame, recording
from .check import check
from .mutate import Mutant, Score, kill_rate, mutants
from .report import GradcheckError, InputReport, Report

__all__ = ["Blame", "GradcheckError", "InputReport", "Mutant", "Report", "Score", "blame", "check", "kill_rate", "mutants", "recording"]
