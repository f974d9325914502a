"""Kernels that lie, as data for tests/test_benchmark.py and benchmarks/benchmark_power.py: what each does, and by which names it may be refused.

Each entry of CHEATS makes a fresh provider, so that what one remembers is not known to the next.  The honest work is
softplus-like and cheap: y = x * w + tanh(x) for HOST, axpy and a row sum for DEVICE, the CUDA C++ that the simulator runs.
"""
import builtins
import ctypes
import dataclasses
import gc
import hashlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import numpy as np

from minitorch.benchmark import Case, Provider


@dataclasses.dataclass(frozen=True)
class Cheat:
    """make() gives the provider; names: the reasons of which at least one must be given, with commas between."""
    make: Callable
    names: str
    what: str

    def named(self, found):
        """Whether one of the reasons found is a right one."""
        return bool(set(self.names.split(", ")) & set(found))


def reference(x, w):
    """What the cheats pretend to compute."""
    return x * w + np.tanh(x)


def host_case():
    return Case((24, 40), (24, 40), name="x * w + tanh(x)")


HOST = {}


def cheat(names, what):
    def enter(make):
        HOST[make.__name__] = Cheat(make, names, what)
        return make
    return enter


def honest(x, w):
    return x * w + np.tanh(x)


# ---- wrong numbers -------------------------------------------------------------------------------------------------------

@cheat("zeros", "returns zeros")
def zeros():
    return lambda x, w: np.zeros_like(x)


@cheat("nan", "returns NaN, which no comparison contradicts")
def nan():
    return lambda x, w: np.full_like(x, np.nan)


@cheat("nan", "returns infinity in one place")
def infinity():
    def f(x, w):
        y = honest(x, w)
        y[3, 5] = np.inf
        return y
    return f


@cheat("constant", "returns the mean everywhere")
def constant():
    return lambda x, w: np.full_like(x, honest(x, w).mean())


@cheat("incomplete", "computes the first half")
def half():
    def f(x, w):
        y = np.zeros_like(x)
        n = len(x) // 2
        y[:n] = honest(x[:n], w[:n])
        return y
    return f


@cheat("unwritten", "fills half of an output that it was given")
def half_written():
    def f(x, w, y):
        y[:len(x) // 2] = honest(x[:len(x) // 2], w[:len(x) // 2])
    return Provider(f, writes=True)


@cheat("unwritten", "writes nothing")
def nothing():
    return Provider(lambda x, w, y: None, writes=True)


@cheat("wrong, nan, incomplete, zeros", "returns memory that it did not fill")
def uninitialised():
    return lambda x, w: np.empty_like(x)


@cheat("precision, dtype", "computes in half precision")
def half_precision():
    return lambda x, w: honest(x.astype("f2"), w.astype("f2")).astype("f4")


@cheat("dtype", "returns half precision")
def half_result():
    return lambda x, w: honest(x, w).astype("f2")


@cheat("precision", "drops bits of its inputs, as TF32 does, and does not say so")
def tf32():
    def cut(x):
        return (np.ascontiguousarray(x).view("u4") & np.uint32(0xFFFFE000)).view("f4")
    return lambda x, w: honest(cut(x), cut(w))


@cheat("shape", "returns the transpose")
def transpose():
    return lambda x, w: np.ascontiguousarray(honest(x, w).T)


@cheat("wrong", "leaves out the cheaper term")
def missing_term():
    return lambda x, w: x * w


# ---- right only where it is looked at -------------------------------------------------------------------------------------

@cheat("tail", "skips columns past the last whole tile of eight")
def tail():
    def f(x, w):
        y = np.zeros_like(x)
        n = x.shape[1] // 8 * 8
        y[:, :n] = honest(x[:, :n], w[:, :n])
        return y
    return f


@cheat("tail", "right for the shape that is measured, zeros for any other")
def one_shape():
    return lambda x, w: honest(x, w) if x.shape == (24, 40) else np.zeros_like(x)


@cheat("strides, reads outside", "reads memory in order, whatever the strides")
def no_strides():
    def flat(x):
        return np.lib.stride_tricks.as_strided(x, x.shape, (x.shape[1] * x.itemsize, x.itemsize))
    return lambda x, w: honest(flat(x), flat(w))


@cheat("other numbers", "right for numbers around zero")
def centred():
    return lambda x, w: honest(x, w) if abs(x.mean()) < 0.15 else x * w


@cheat("wrong, zeros, stale", "right for the first calls, when one looks")
def counting():
    calls = []

    def f(x, w):
        calls.append(1)
        return honest(x, w) if len(calls) < 25 else x * w
    return f


@cheat("wrong, zeros", "notices that it is timed: nobody collects garbage then")
def gc_detector():
    return lambda x, w: honest(x, w) if gc.isenabled() else np.zeros_like(x)


@cheat("wrong", "wrong in one call of eight")
def sometimes():
    calls = []

    def f(x, w):
        calls.append(1)
        return honest(x, w) if len(calls) % 8 else x * w
    return f


@cheat("zeros", "looks through the callers' variables for the right answer")
def thief():
    def f(x, w):
        frame = sys._getframe(1)
        while frame:
            for v in frame.f_locals.values():
                for a in getattr(v, "results", ()) or ():
                    if isinstance(a, np.ndarray) and a.shape == x.shape:
                        return a.astype("f4")
            frame = frame.f_back
        return np.zeros_like(x)
    return f


# ---- results that are not of this call ------------------------------------------------------------------------------------

@cheat("stale", "returns the previous result")
def previous():
    kept = []

    def f(x, w):
        if kept:
            return kept[0].copy()
        kept.append(honest(x, w))
        return kept[0].copy()
    return f


@cheat("stale", "keeps results by the address of the input")
def by_pointer():
    kept = {}

    def f(x, w):
        key = (x.shape, x.ctypes.data % 4096)            # addresses come again in a pool; here their low bits do
        if key not in kept:
            kept[key] = honest(x, w)
        return kept[key].copy()
    return f


@cheat("stale", "keeps results by a glance at the input")
def by_glance():
    kept = {}

    def f(x, w):
        key = (x.shape, x.strides, round(float(x.mean()), 1))
        if key not in kept:
            kept[key] = honest(x, w)
        return kept[key].copy()
    return f


@cheat("memory", "keeps results by the content of the input")
def by_content():
    kept = {}

    def f(x, w):
        key = hashlib.blake2b(x.tobytes()).digest()
        if key not in kept:
            y = honest(x, w)
            for _ in range(300):                         # as if it took long
                y = honest(x, w)
            kept[key] = y
        return kept[key].copy()
    return f


@cheat("overwritten", "returns one buffer again and again")
def one_buffer():
    kept = {}

    def f(x, w):
        y = kept.setdefault(x.shape, np.empty(x.shape, x.dtype))
        y[...] = honest(x, w)
        return y
    return f


@cheat("alias, input", "computes into its input and returns it")
def in_place():
    def f(x, w):
        x[...] = honest(x, w)
        return x
    return f


@cheat("input", "makes the inputs such that zeros are right")
def alters_input():
    def f(x, w):
        x[...] = 0
        return np.zeros_like(x)
    return f


@cheat("alias", "returns a view of its input")
def view():
    return lambda x, w: x[:]


@cheat("lazy", "returns an object that computes when it is looked at")
def lazy():
    class Later:
        def __init__(self, x, w):
            self.x, self.w, self.shape, self.dtype = x, w, x.shape, x.dtype

        def __array__(self, dtype=None, copy=None):
            return honest(self.x, self.w)
    return Later


@cheat("lazy", "returns an array that computes when it is copied")
def lazy_subclass():
    class Later(np.ndarray):
        def __array_finalize__(self, other):
            pass
    return lambda x, w: honest(x, w).view(Later)


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


# ---- CUDA C++, in the simulator --------------------------------------------------------------------------------------------------

ROW_SUM = """
extern "C" __global__ void row_sum(const float* x, float* y, int M, int N) {
    __shared__ float part[64];
    int row = blockIdx.x, t = threadIdx.x;
    float sum = 0.f;
    for (int j = t; j < N; j += 64) sum += x[row * N + j];
    part[t] = sum;
    __syncthreads();
    for (int n = 32; n; n /= 2) {
        if (t < n) part[t] += part[t + n];
        __syncthreads();
    }
    if (t == 0) y[row] = part[0];
}
"""


def row_sum_reference(x):
    return x.sum(1)


def device_case():
    return Case.of(lambda M, N: ((M, N),), M=5, N=128, name="row sums")


def row_sum(text=ROW_SUM):
    return Provider.cuda(text, "row_sum", grid="M", block=64)


DEVICE = {name: Cheat(lambda old=old, new=new: row_sum(ROW_SUM.replace(old, new)), names, what) for name, names, what, old, new in (
    ("cuda_zeros", "zeros", "writes zeros", "y[row] = part[0]", "y[row] = 0.f"),
    ("cuda_nan", "nan", "writes NaN", "y[row] = part[0]", "y[row] = 0.f / 0.f * part[0]"),
    ("cuda_nothing", "unwritten", "writes nothing", "y[row] = part[0]", "part[0] += 1.f"),
    ("cuda_half", "unwritten, incomplete", "writes every other row", "if (t == 0)", "if (t == 0 && row % 2 == 0)"),
    ("cuda_tail", "tail", "skips what is past the last whole 64", "j < N;", "j < N / 64 * 64;"),
    ("cuda_one_shape", "tail", "right for 128 columns", "j < N;", "j < 128;"),
    ("cuda_no_barrier", "race, nan", "leaves a barrier out and is lucky", "    part[t] = sum;\n    __syncthreads();", "    part[t] = sum;"),
    ("cuda_reads_outside", "reads outside", "reads past the end and multiplies by nothing", "float sum = 0.f;",
     "float sum = 0.f; if (row == M - 1 && x[M * N + t] == 12345.f) sum = 1.f;"),
    ("cuda_writes_outside", "outside", "writes past the end", "if (t == 0) y[row] = part[0];",
     "if (t == 0) { y[row] = part[0]; if (row == M - 1) y[M] = 0.f; }"),
    ("cuda_alters_input", "input", "casts const away and clears its input", "if (t == 0) y", "((float*)x)[row * N + t] = 0.f; if (t == 0) y"),
    ("cuda_half_precision", "precision", "adds up in half precision", "sum += x[row * N + j]",
     "sum = __half2float(__float2half(sum + x[row * N + j]))"),
    ("cuda_uninitialised", "race, nan", "starts from what shared memory holds", "float sum = 0.f;", "float sum = part[t] * 0.f;"),
)}
CHEATS = {**HOST, **DEVICE}
