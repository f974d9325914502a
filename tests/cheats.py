"""Kernels that lie, all of them: for tests/test_benchmark.py and benchmarks/benchmark_power.py.

HOST: functions in Python, by what they hide (cheats_numbers.py) and by what they do to who measures them (cheats_harness.py, cheats_inside.py).
DEVICE: CUDA C++ that the simulator runs (cheats_cuda.py).
"""
import cheats_harness
import cheats_inside
import cheats_numbers
from cheating import HOST, Cheat, honest, host_case, reference
from cheats_cuda import DEVICE, ROW_SUM, device_case, row_sum, row_sum_reference
from cheats_harness import patched_numpy
from cheats_inside import undone
from cheats_numbers import zeros

CHEATS = {**HOST, **DEVICE}
__all__ = ["CHEATS", "DEVICE", "HOST", "ROW_SUM", "Cheat", "cheats_harness", "cheats_inside", "cheats_numbers", "device_case", "honest", "host_case",
           "patched_numpy", "reference", "row_sum", "row_sum_reference",
           "undone", "zeros"]
