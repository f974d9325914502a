"""Kernel benchmarks that cannot be fooled: a provider is right before, while and after it is timed, or has no figure.

    found = benchmark.compare({"mine": f}, numpy.matmul, [((64, 64), (64, 64))])
    print(found)                                         # times, ratios with intervals, rates beside a measured ceiling, errors in ulp
    benchmark.do_bench(lambda: f(a, b))                  # milliseconds of a call, as Triton's

From the command line: python -m minitorch.benchmark mine.py:f --reference numpy.matmul --shape 64x64 --shape 64x64
"""
from .case import Case
from .compare import compare
from .do_bench import do_bench
from .judge import REASONS, Reason
from .perf_report import Benchmark, perf_report
from .providers import Provider
from .results import CaseResult, Comparison, Refused, Row, load

__all__ = ["REASONS", "Benchmark", "Case", "CaseResult", "Comparison", "Provider", "Reason", "Refused", "Row", "compare", "do_bench", "load",
           "perf_report"]
