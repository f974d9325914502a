"""Gradient checking with a verdict: is this derivative right, and would the check have noticed if it were not?

    report = minitorch.gradcheck.check(f, (x, w))    # f: a function, a module, a Function, or a pair (f, vjp) of any framework
    print(report)

Every input gets one of five verdicts: correct, wrong, not differentiable here, too noisy in this dtype to tell, vacuous.
"""
from .check import check
from .report import GradcheckError, InputReport, Report

__all__ = ["GradcheckError", "InputReport", "Report", "check"]
