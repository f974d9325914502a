"""The simulator as a guest in its process: signals, Ctrl-C, threads of Python and forked children are as they would be without it."""
import ctypes
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from minitorch import kernels
from minitorch.kernels import Kernel
from minitorch.kernels.simulator import SimulatorError

SPIN = 'extern "C" __global__ void spins(float* y) {\n    while (true) y[0] += 1.f;\n}'
FILL = 'extern "C" __global__ void fill(float* y, float v) { y[blockIdx.x * blockDim.x + threadIdx.x] = v; }'
SIGSEGV, SIGBUS, SIGFPE = 11, 7, 8
HEAD = f"""
import ctypes, faulthandler, os, signal, sys, threading, time
import numpy as np
from minitorch import kernels
from minitorch.kernels import Kernel
SPIN, FILL = {SPIN!r}, {FILL!r}
"""


def run(program, **options):
    return subprocess.run([sys.executable, "-c", HEAD + textwrap.dedent(program)], capture_output=True, text=True, timeout=120, **options)


def handlers():
    """What the kernel knows of this process's handlers of faults, and the alternate stack of this thread."""
    libc, found = ctypes.CDLL(None), []
    for number in (SIGSEGV, SIGBUS, SIGFPE):
        room = ctypes.create_string_buffer(256)
        assert libc.sigaction(number, None, room) == 0
        found.append((room.raw[:16], room.raw[136:140]))              # handler and start of the mask, flags
    room = ctypes.create_string_buffer(64)
    assert libc.sigaltstack(None, room) == 0
    return [*found, room.raw[:12], room.raw[16:24]]


def test_after_a_launch_the_handlers_of_faults_are_as_before():
    before = handlers()
    Kernel(FILL, "fill")(2, 32, (np.zeros(64, np.float32), 1.0))
    assert handlers() == before
    with pytest.raises(SimulatorError, match="null pointer"):
        Kernel(FILL, "fill")(2, 32, (None, 1.0))
    assert handlers() == before
    with kernels.using(time_limit=0.1), pytest.raises(SimulatorError, match="time-limit"):
        Kernel(SPIN, "spins")(1, 1, (np.zeros(1, np.float32),))
    assert handlers() == before


def test_a_fault_outside_kernels_goes_to_the_handler_that_was_there():
    """While another thread runs a kernel, a fault of this one is told by faulthandler and ends the process, as ever."""
    done = run("""
        faulthandler.enable()
        def work():
            with kernels.using(time_limit=30):
                Kernel(SPIN, "spins")(1, 1, (np.zeros(1, np.float32),))
        Kernel(FILL, "fill")(1, 1, (np.zeros(1, np.float32), 1.0))
        threading.Thread(target=work, daemon=True).start()
        time.sleep(2)
        ctypes.string_at(8)
    """)
    assert done.returncode == -SIGSEGV
    assert "Fatal Python error: Segmentation fault" in done.stderr and "string_at" in done.stderr


@pytest.mark.parametrize("order", ["forward", "reverse", "random"])
def test_a_grid_larger_than_memory_begins_at_once_and_meets_its_time_limit(order):
    y = np.zeros(1, np.float32)
    kernel = Kernel('extern "C" __global__ void many(float* y, long long* blocks) { atomicAdd((unsigned long long*)blocks, 1ull); }', "many")
    for grid in (2**31 - 1, (2**31 - 1, 65535, 65535)):
        with kernels.using(time_limit=0.3, order=order), pytest.raises(SimulatorError, match="time-limit"):
            kernel(grid, 1, (y, np.zeros(1, np.int64)))


@pytest.mark.parametrize("grid", [1, 2, 3, 5, (17, 3, 2), 1000])
def test_every_block_runs_once_in_every_order(grid):
    kernel = Kernel("""extern "C" __global__ void once(float* y, int* order, int* next) {
        int b = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
        y[b] += 1;
        order[atomicAdd(next, 1)] = b;
    }""", "once")
    n = int(np.prod(grid))
    found = {}
    for order, seed in (("forward", 0), ("reverse", 0), ("random", 0), ("random", 0), ("random", 1)):
        y, places = np.zeros(n, np.float32), np.zeros(n, np.int32)
        with kernels.using(order=order, seed=seed):
            kernel(grid, 1, (y, places, np.zeros(1, np.int32)))
        assert (y == 1).all()
        assert (found.setdefault((order, seed), places) == places).all(), "the same seed, the same order"
    assert (found["forward", 0] == np.arange(n)).all() and (found["reverse", 0] == np.arange(n)[::-1]).all()
    if n == 1000:
        assert (found["random", 0] != found["random", 1]).any()
        assert abs(np.corrcoef(np.arange(n), found["random", 0])[0, 1]) < 0.1
