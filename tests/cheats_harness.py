"""Kernels that work at another time, or that tamper with the clock, with NumPy, with the process, with memory that is not theirs."""
import builtins
import ctypes
import gc
import hashlib
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
from cheating import cheat, honest

from minitorch import threads
from minitorch.benchmark import Provider


# ---- work at another time ---------------------------------------------------------------------------------------------------

@cheat("late", "lets a thread compute after it returned")
def thread():
    def f(x, w):
        y = np.zeros_like(x)

        def work():
            time.sleep(0.02)
            y[...] = honest(x, w)
        threading.Thread(target=work).start()
        return y
    return f


@cheat("late", "keeps the output that it was given and fills it later")
def late_write():
    def f(x, w, y):
        def work():
            time.sleep(0.02)
            y[...] = honest(x, w)
        threading.Thread(target=work).start()
    return Provider(f, writes=True)


@cheat("background", "a thread of its own watches the inputs between calls")
def background():
    stop, seen = [], []

    def watch():
        end = time.monotonic() + 20
        while time.monotonic() < end and not stop:
            for x in seen[-1:]:
                float(x.sum())

    def f(x, w):
        if not seen:
            threading.Thread(target=watch, daemon=True).start()
        seen.append(x)
        return honest(x, w)
    f.stop = stop
    return f


@cheat("background", "leaves a process behind that takes the processor from the others")
def process():
    left = []

    def f(x, w):
        if not left:
            left.append(subprocess.Popen([sys.executable, "-c", "import time\nend = time.time() + 30\nwhile time.time() < end: pass"]))
        return honest(x, w)
    f.stop = Stop(left)
    return f


class Stop(list):
    """Its append ends processes."""

    def append(self, _):
        for process in self:
            for child in process:
                child.kill()
                child.wait()

    def __init__(self, left):
        super().__init__([left])


@cheat("raised", "raises once it is timed")
def raises():
    def f(x, w):
        if not gc.isenabled():
            raise SystemExit(0)
        return honest(x, w)
    return f


@cheat("prints", "prints a record of its own")
def prints():
    def f(x, w):
        print("mine: 0.001 us, 1000 x faster")
        return honest(x, w)
    return f


# ---- against the harness ------------------------------------------------------------------------------------------------------

@cheat("tampered", "slows the clock down")
def slow_clock():
    real = time.perf_counter

    def f(x, w):
        time.perf_counter = lambda: real() / 1000
        return honest(x, w)
    return f


@cheat("tampered", "replaces a function that the reference uses")
def patched_numpy():
    def f(x, w):
        np.tanh = lambda x: 0 * x
        return x * w
    return f


@cheat("tampered", "replaces the judge")
def patched_judge():
    def f(x, w):
        import minitorch.benchmark.exam as exam
        exam.judge = lambda *args, **kw: ([], 0.0)
        return np.zeros_like(x)
    return f


@cheat("tampered", "replaces a builtin")
def patched_builtin():
    def f(x, w):
        builtins.max = lambda *args, **kw: 0
        return x * w
    return f


@cheat("tampered", "makes threads of others wait longer")
def switch_interval():
    def f(x, w):
        sys.setswitchinterval(0.5)
        return honest(x, w)
    return f


if hasattr(os, "sched_setaffinity") and len(os.sched_getaffinity(0)) > 1:
    @cheat("tampered", "takes all processors but one away from the others")
    def affinity():
        def f(x, w):
            os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
            return honest(x, w)
        return f


@cheat("outside", "writes past the end of its output")
def writes_outside():
    def f(x, w, y):
        y[...] = honest(x, w)
        ctypes.memset(y.ctypes.data + y.nbytes, 0, 4)
    return Provider(f, writes=True)


@cheat("outside", "uses the memory before its input as scratch")
def scratch_outside():
    def f(x, w):
        ctypes.memset(x.ctypes.data - 64, 0, 64)
        return honest(x, w)
    return f


@cheat("reads outside, nan, wrong", "reads one row too many, and survives")
def reads_outside():
    def f(x, w):
        y = honest(x, w)
        more = np.lib.stride_tricks.as_strided(x, (x.shape[0] + 1, x.shape[1]), x.strides)
        return y + np.float32(1e-6) * np.nan_to_num(more[-1])
    return f


# ---- slowing others ---------------------------------------------------------------------------------------------------------

@cheat("tampered", "an alarm clock interrupts whoever is timed next")
def alarm():
    def burn(number, frame):
        end = time.monotonic() + 1e-4
        while time.monotonic() < end:
            pass

    def f(x, w):
        signal.signal(signal.SIGALRM, burn)
        signal.setitimer(signal.ITIMER_REAL, 1e-3, 1e-3)
        return honest(x, w)
    f.undo = lambda: (signal.setitimer(signal.ITIMER_REAL, 0), signal.signal(signal.SIGALRM, signal.SIG_DFL))
    return f


@cheat("background", "a thread sleeps, but while somebody else is timed")
def jealous():
    stop, main, mine = [], threading.main_thread().ident, []

    def burn():
        end = time.monotonic() + 20
        while time.monotonic() < end and not stop:
            frame, other = sys._current_frames().get(main), False
            while frame and not other:
                other = frame.f_code.co_name == "sample" and "jobs" in frame.f_locals and not any(
                    call.__self__.f in mine for call, _ in frame.f_locals["jobs"])
                frame = frame.f_back
            if not other:
                time.sleep(0.002)

    def f(x, w):
        if not mine:
            mine.append(f)
            threading.Thread(target=burn, daemon=True).start()
        return honest(x, w)
    f.stop = stop
    return f


@cheat("background", "a thread that was there before anybody was called looks at the inputs between calls")
def there_before():
    stop, seen, begin = [], [], threading.Event()

    def look():
        begin.wait(20)                               # asleep: polling would count as work of the user's own
        end = time.monotonic() + 20
        while time.monotonic() < end and not stop:
            for x in seen[-1:]:
                float(x.sum())
    threading.Thread(target=look, daemon=True).start()

    def f(x, w):
        seen.append(x)
        begin.set()
        return honest(x, w)
    f.stop = stop
    return f


@cheat("tampered", "takes the threads away from whoever computes in several")
def fewer_threads():
    before = threads.get_num_threads()

    def f(x, w):
        threads.set_num_threads(before + 3)
        return honest(x, w)
    f.undo = lambda: threads.set_num_threads(before)
    return f


@cheat("tampered", "has garbage collected all the time")
def collects():
    def f(x, w):
        gc.set_threshold(1, 1, 1)
        gc.callbacks.append(lambda phase, info: None)
        return honest(x, w)
    f.undo = lambda: (gc.set_threshold(700, 10, 10), gc.callbacks.clear())
    return f


@cheat("tampered", "lets every fingerprint be the same, so that a repeated result is a stale one for the others")
def one_fingerprint():
    real = hashlib.blake2b

    def f(x, w):
        hashlib.blake2b = lambda *args, **kw: real(b"", **kw)
        return honest(x, w)
    f.undo = lambda: setattr(hashlib, "blake2b", real)
    return f
