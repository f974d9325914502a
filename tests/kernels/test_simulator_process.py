"""The simulator as a guest in its process: signals, Ctrl-C, threads of Python and forked children are as they would be without it."""
import ctypes
import subprocess
import sys
import textwrap
import threading

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
signal.signal(signal.SIGINT, signal.default_int_handler)                 # which is ignored where the tests run in the background
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


# ---- Ctrl-C ---------------------------------------------------------------------------------------------------------------

def test_ctrl_c_stops_a_launch_and_the_next_one_works():
    """Of loops that give their turn and loops that never do, in both modes, on one thread of the host and on several."""
    done = run("""
        LOOP = 'extern "C" __global__ void loops(float* y) { for (int i = 0; ; i ^= 1) __syncthreads(); }'
        y, stopped = np.zeros(32, np.float32), 0
        for source, name in ((SPIN, "spins"), (LOOP, "loops")):
            for settings in ({"mode": "fast"}, {"mode": "check"}, {"mode": "fast", "threads": 2}):
                kernel = Kernel(source, name)
                with kernels.using(time_limit=0.01, mode=settings["mode"]):
                    try:
                        kernel(1, 1, (y,))           # compiles
                    except RuntimeError as error:
                        assert "time-limit" in str(error)
                timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
                timer.start()
                try:
                    with kernels.using(time_limit=0, **settings):
                        kernel(2, 1, (y,))
                except KeyboardInterrupt:
                    stopped += 1
                assert (y == 0).all()
                Kernel(FILL, "fill")(1, 32, (y.copy(), 1.0))
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        print(stopped)
    """)
    assert (done.stdout, done.returncode) == ("6\n", 0), done.stderr


def test_a_handler_of_ones_own_is_called_and_the_launch_is_made_again():
    done = run("""
        calls = []
        signal.signal(signal.SIGINT, lambda *args: calls.append(args))
        kernel = Kernel('extern "C" __global__ void adds(float* y, int n) {'
                        'for (int i = 0; i < n; i++) { __syncthreads(); y[threadIdx.x] += 1.f; } }', "adds")
        y = np.zeros(32, np.float32)
        kernel(1, 32, (y, 1))
        n = 1000
        while not calls:                             # long enough that the signal comes in the midst of it
            y[:] = 0
            threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
            n *= 4
            with kernels.using(time_limit=0):
                kernel(1, 32, (y, n))
            assert (y == n).all()
        print("called")
    """)
    assert (done.stdout, done.returncode) == ("called\n", 0), done.stderr


def test_ctrl_c_leaves_a_launch_of_another_thread_alone():
    done = run("""
        y = np.zeros(32, np.float32)
        kernel = Kernel('extern "C" __global__ void adds(float* y, int n) {'
                        'for (int i = 0; i < n; i++) { __syncthreads(); y[threadIdx.x] += 1.f; } }', "adds")
        kernel(1, 32, (y, 1))
        thread = threading.Thread(target=kernel, args=(1, 32, (y, 100000)))
        thread.start()
        try:
            os.kill(os.getpid(), signal.SIGINT)
            thread.join()
            time.sleep(1)
        except KeyboardInterrupt:
            print("interrupted")
        thread.join()
        assert (y == 100001).all()
    """)
    assert (done.stdout, done.returncode) == ("interrupted\n", 0), done.stderr


# ---- threads of Python, and forks -----------------------------------------------------------------------------------------

def test_launches_of_several_threads_are_each_right_and_so_are_their_reports():
    """They run one after another; what one of them does wrong is told to its own thread."""
    text = 'extern "C" __global__ void of_thread(float* y, int n) {\n    if (n < 0) y[n] = NUMBER;\n    y[threadIdx.x] += NUMBER * n;\n}'
    wrong = []

    def work(number):
        kernel = Kernel(text, "of_thread", {"NUMBER": f"{number}.f"})
        y = np.zeros(64, np.float32)
        for k in range(1, 30):
            with kernels.using(mode="check"):
                kernel(1, 64, (y, k))
                try:
                    kernel(1, 64, (y, -k))
                    wrong.append("nothing was reported")
                except SimulatorError as error:
                    if f"{4 * k - 1 + 1} bytes before the start of y" not in str(error) or f"NUMBER={number}" not in str(error):
                        wrong.append(str(error))
        if not (y == number * 435).all():
            wrong.append(y)
    threads = [threading.Thread(target=work, args=(number,)) for number in (1, 2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_child_forked_while_another_thread_launches_can_launch():
    done = run("""
        kernel = Kernel('extern "C" __global__ void adds(float* y, int n) {'
                        'for (int i = 0; i < n; i++) { __syncthreads(); y[threadIdx.x] += 1.f; } }', "adds")
        kernel(1, 32, (np.zeros(32, np.float32), 1))
        Kernel(FILL, "fill")(1, 32, (np.zeros(32, np.float32), 1.0))
        over = threading.Event()
        def work():
            while not over.is_set():
                y = np.zeros(32, np.float32)
                kernel(1, 32, (y, 3000))
                assert (y == 3000).all()
        thread = threading.Thread(target=work)
        thread.start()
        good = 0
        for i in range(20):
            pid = os.fork()
            if not pid:
                y = np.zeros(32, np.float32)
                Kernel(FILL, "fill")(1, 32, (y, 2.0))
                try:
                    with kernels.using(time_limit=0.05):
                        Kernel(FILL.replace("y[blockIdx", "while (true) y[blockIdx"), "fill")(1, 1, (y.copy(), 2.0))
                except RuntimeError as error:
                    os._exit(0 if (y == 2).all() and "time-limit" in str(error) else 1)
                os._exit(2)
            good += os.waitpid(pid, 0)[1] == 0
        over.set()
        thread.join()
        print(good)
    """)
    assert (done.stdout, done.returncode) == ("20\n", 0), done.stderr
