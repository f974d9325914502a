"""Libraries take turns: each computes in a process of its own, so that none sees another's threads, allocator or compiled code.

The processes answer on standard output to one line each on standard input.  They are started together, their results are compared
with PyTorch's, then they are timed in many rounds of a few steps each, so that a slow moment of the machine hits all alike; a ratio
is the median over the rounds.  A process that ends or takes too long is given up, with a reason.
"""
import contextlib
import ctypes
import gc
import json
import math
import os
import select
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
import peers

LIBRARIES = {"torch": "PyTorch", "fast": "minitorch", "plain": "minitorch, NumPy alone"}
PEERS = {"jit": "JAX, jit", "jax": "JAX, eager", "mygrad": "MyGrad", "autograd": "autograd", "tinygrad": "tinygrad", "dezero": "DeZero"}
PAUSE = 0.25                                         # seconds until the threads of the library before have gone to sleep
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


# ---- the process of one library ----------------------------------------------------------------------------------

def serve(library, threads):
    """Answer to "make" and "peak" with a workload and, where it is not the usual one, its size; and to "check" and "time".

    The peak is of a workload made again and computed three times, when the library's own code is loaded and compiled.
    """
    out, sys.stdout = sys.stdout, sys.stderr
    make, step, count = maker(library, threads), None, None
    print(json.dumps("imported"), file=out, flush=True)
    for line in sys.stdin:
        word, *rest = json.loads(line)
        if word == "make":
            step = count = None                      # what was made before is let go first
            step = make(*rest)
            answer = getattr(make, "without", {}).get(rest[0]) if step is None else None
        elif word == "check":
            results = step()
            answer = [summary(y) for y in results]
            del results
            if answer[0][0] == 1:                    # a loss: what it is after steps of the optimizer
                answer += [summary(step()[0]) for _ in range(2)]
        elif word == "time":
            count = count or repetitions(step)
            answer = measure(step, count)
        elif word == "peak":
            step = None
            before = reset_peak()
            step = make(*rest)
            for _ in range(3):
                step()
            answer = (status("VmHWM") - before) / 2 ** 20
        print(json.dumps(answer), file=out, flush=True)


def maker(library, threads):
    """What makes the step of a workload in a library, which is imported here; it gives None where the library has no such thing."""
    if library == "torch":
        import torch
        torch.set_num_threads(threads)
        torch.optim.Adam([torch.zeros(1)])           # the first loads more of PyTorch
        return lambda name, *size: workload(name, torch, *size)
    if library in ("fast", "plain"):
        import minitorch
        minitorch.set_num_threads(threads)
        if library == "plain":
            minitorch.backends.loops, minitorch.backends.blas = "never", "numpy"
        return lambda name, *size: workload(name, minitorch, *size)
    return peers.maker(library, threads)


def workload(name, T, *size):
    """The step of a workload, or of a large op, in a library of PyTorch's names."""
    import large_ops
    from workloads import WORKLOADS
    return WORKLOADS[name](T, *size) if name in WORKLOADS else large_ops.make(name, T)


def status(field):
    """A size of this process, in bytes: VmHWM is the most memory that it has held, VmRSS what it holds."""
    with open("/proc/self/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(field)) * 1024


def reset_peak():
    """Give back what is free, let the most held be what is held; that, in bytes."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w", encoding="ascii") as file:
        file.write("5")
    return status("VmRSS")


def summary(y):
    """What a result is compared by: its size, a projection in float64 and its scale, by blocks that leave no mark on the peak of memory."""
    if str(getattr(y, "dtype", "")).endswith("bfloat16"):       # which NumPy does not know
        y = y.float()
    y = (y.numpy() if hasattr(y, "numpy") else np.asarray(y)).reshape(-1)
    along = scale = 0.0
    for i in range(0, y.size, 1 << 16):
        block = y[i:i + (1 << 16)].astype("f8")
        along += float(block @ np.cos(np.arange(i, i + block.size)))
        scale += float(np.abs(block).sum())
    return [y.size, along, scale]


def repetitions(step, seconds=0.1):
    """How many steps make a measurement: enough for 0.1 s, but 3 to 50, and one of very long ones; the first one warms up."""
    for _ in range(2):
        start = time.perf_counter()
        step()
        taken = time.perf_counter() - start
        if taken > 3 * seconds:
            break
    return max(1 if taken > 3 * seconds else 3, min(50, int(seconds / taken)))


def measure(step, n, warm=0.1):
    """Seconds per step, the median of n; after others have had the machine, steps for 0.1 s bring back caches, memory and threads."""
    start = time.perf_counter()
    while n > 1 and time.perf_counter() < start + warm:
        step()
    seconds = []
    for _ in range(n):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


# ---- the one that lets them take turns -----------------------------------------------------------------------------

class GivenUp(RuntimeError):
    """A process ended, or did not answer in time."""


class Server:
    """A process that computes in one library; what it is told first it must have answered after `patience` seconds."""

    def __init__(self, library, threads, patience):
        env = {**os.environ, **dict.fromkeys(THREADS, str(threads))}
        self.errors = tempfile.TemporaryFile()       # noqa: SIM115 - closed with the process
        self.heard = b""
        self.allow(patience)
        code = f"import sys; sys.path[:0] = [{os.path.dirname(os.path.abspath(__file__))!r}]; import turns; turns.serve({library!r}, {threads})"
        self.process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, env=env,
                                        start_new_session=True)

    def allow(self, seconds):
        self.deadline = time.perf_counter() + seconds

    def tell(self, *words):
        try:
            self.process.stdin.write(json.dumps(words).encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise GivenUp(self.last_words()) from None

    def answer(self):
        while b"\n" not in self.heard:               # not readline: it could take two lines at once, and select would wait for the second
            if not select.select([self.process.stdout], [], [], max(0, self.deadline - time.perf_counter()))[0]:
                self.close(kill=True)
                raise GivenUp("out of time")
            some = os.read(self.process.stdout.fileno(), 1 << 16)
            if not some:
                raise GivenUp(self.last_words())
            self.heard += some
        line, _, self.heard = self.heard.partition(b"\n")
        return json.loads(line)

    def ask(self, *words):
        self.tell(*words)
        return self.answer()

    def last_words(self):
        """The line that tells why it ended, of what it wrote to standard error."""
        self.process.wait()
        self.errors.seek(0)
        lines = [line for line in self.errors.read().decode(errors="replace").splitlines() if line.strip()]
        told = [line for line in lines if line[0] != " " and "Error" in line]
        return (told or lines or [f"ended with status {self.process.returncode}"])[-1][:200]

    def close(self, kill=False):
        if kill and self.process.poll() is None:     # and what it started: tinygrad compiles in processes of its own
            os.killpg(self.process.pid, signal.SIGKILL)
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()
        self.errors.close()


def run(name, libraries, threads, rounds, patience):
    """{library: {"ms", "ratio", "low", "high", and for PyTorch and minitorch "peak"}} of one workload, {"missing": why} for a library without.

    Others than PyTorch and minitorch have `patience` seconds to compile and compute, and take every fourth turn; slow ones fewer.
    Beside it the sizes of PyTorch's results.
    """
    found, truth, servers = {}, [], {}
    for library in libraries:
        if (seconds := peers.COMPILES.get(library, {}).get(name, 0)) > patience:
            found[library] = {"missing": f"compiles for about {seconds} s"}
        else:
            servers[library] = Server(library, threads, patience if library in PEERS else 600)

    def each(does):
        for library, server in list(servers.items()):
            try:
                does(library, server)
            except GivenUp as why:
                if library == "torch":
                    raise
                found[library] = {"missing": str(why)}
                servers.pop(library).close()

    def made(library, server):
        server.answer()
        if (why := server.answer()) is not None:
            raise GivenUp(why)
        server.tell("check")

    def checked(library, server):
        results = server.answer()
        if library == "torch":
            truth.extend(results)
        elif off := difference(truth, results):
            raise GivenUp(f"wrong: {off}")

    each(lambda library, server: server.tell("make", name))
    each(made)
    each(checked)
    seconds = {library: [] for library in servers}
    for i in range(rounds):
        def turn(library, server, i=i):
            taken = seconds[library]
            if library not in PEERS or (i % 4 == 0 and sum(s for _, s in taken) < 1):
                time.sleep(PAUSE)
                server.allow(patience)
                taken.append((i, server.ask("time")))
        each(turn)

    def told(library, server):
        reference = dict(seconds["torch"])
        ratios = sorted(s / reference[i] for i, s in seconds[library])
        found[library] = {"ms": statistics.median(s for _, s in seconds[library]) * 1e3, "ratio": statistics.median(ratios),
                          "low": ratios[len(ratios) // 4], "high": ratios[-1 - len(ratios) // 4]}
        if library not in PEERS:
            found[library]["peak"] = server.ask("peak", name)
        server.close()
    each(told)
    sizes = [size for size, *_ in truth]
    return {library: found[library] for library in libraries}, sizes[:-2] if sizes[0] == 1 else sizes


def difference(truth, found, tolerance=5e-3):
    """Where two results differ by more than float32 explains, in words; None where they do not.

    Ours are within 1e-5; sums added up row after row, as some do, are 2e-3 apart behind the eighteen layers of the ResNet.
    """
    if len(truth) != len(found):
        return f"{len(found)} outputs for {len(truth)}"
    for i, (a, b) in enumerate(zip(truth, found)):
        (size, along, scale), (other_size, other_along, other_scale) = a, b
        near = abs(along - other_along) <= tolerance * scale / math.sqrt(max(1, size)) + 1e-6 and abs(scale - other_scale) <= tolerance * scale + 1e-6
        if size != other_size or not near:           # not near: also where there is a NaN
            return f"output {i}: {b} for {a}"
    return None
