"""Training steps and their ops on the CPU beside PyTorch and others: time, peak memory, and how cost grows with size.

    python benchmarks/cpu.py                             # all workloads, minitorch with and without `fast`, and PyTorch
    python benchmarks/cpu.py --peers                     # and JAX, MyGrad, autograd, tinygrad, DeZero, where they are installed
    python benchmarks/cpu.py --only LSTM attention --threads 1 --rounds 21

Each library computes each workload in a process of its own.  The processes take turns, many rounds of a few steps each, so that a
slow moment of the machine hits all alike; a ratio is the median over the rounds.  Results are compared before they are timed.
"""
import json
import math
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
import timing

LIBRARIES = {"torch": "PyTorch", "fast": "minitorch", "plain": "minitorch, NumPy alone"}
PEERS = {"jit": "JAX, jit", "jax": "JAX, eager", "mygrad": "MyGrad", "autograd": "autograd", "tinygrad": "tinygrad", "dezero": "DeZero"}
PAUSE = 0.25                                         # seconds until the threads of the library before have gone to sleep


# ---- one process: one library, one workload ----------------------------------------------------------------------

def serve(library, name, threads):
    """Answer on standard output to lines on standard input: "check", "time", "peak"."""
    out, sys.stdout = sys.stdout, sys.stderr
    make = maker(library, threads)
    before = peak()
    step = make(name)
    count = None
    print(json.dumps({"ready": step is not None}), file=out, flush=True)
    for line in sys.stdin:
        word = line.strip()
        if word == "check":
            answer = [summary(y) for y in step()]
        elif word == "time":
            count = count or repetitions(step)
            answer = measure(step, count)
        elif word == "peak":
            answer = (peak() - before) / 2 ** 20
        print(json.dumps(answer), file=out, flush=True)


def maker(library, threads):
    """What makes the step of a workload in a library, which is imported here; it gives None where the library has no such thing."""
    from workloads import WORKLOADS
    if library == "torch":
        import torch
        torch.set_num_threads(threads)
        torch.manual_seed(0)
        torch.optim.Adam([torch.zeros(1)])
        return lambda name: WORKLOADS[name](torch)
    if library in ("fast", "plain"):
        import minitorch
        minitorch.set_num_threads(threads)
        minitorch.backends.loops = "auto" if library == "fast" else "never"
        return lambda name: WORKLOADS[name](minitorch)
    import peers
    return peers.maker(library, threads)


def peak():
    """The most memory this process has held, in bytes."""
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) * 1024


def summary(y):
    """What a result is compared by: its size and a projection in float64 with its scale."""
    y = np.asarray(y, dtype="f8")
    return [y.size, float((y * np.cos(np.arange(y.size)).reshape(y.shape)).sum()), float(np.abs(y).sum())]


def repetitions(step, seconds=0.1):
    """How many steps make a measurement: enough for 0.1 s, 50 at most; the first ones warm up."""
    step()
    start = time.perf_counter()
    step()
    return max(1, min(50, int(seconds / (time.perf_counter() - start))))


def measure(step, n):
    """Seconds per step, the median of n."""
    step()
    seconds = []
    for _ in range(n):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


# ---- the other one: taking turns -----------------------------------------------------------------------------------

class Server:
    """A process that computes one workload in one library."""

    def __init__(self, library, name, threads):
        env = {**os.environ, **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), str(threads))}
        command = [sys.executable, __file__, "--serve", library, name, str(threads)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)
        self.able = self.read()["ready"]

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(self.process.stderr.read()[-2000:])
        return json.loads(line)

    def ask(self, *words):
        print(*words, file=self.process.stdin, flush=True)
        return self.read()

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def run(name, libraries, threads, rounds):
    """{library: {"ms", "ratio", "low", "high", "peak"}} of one workload; an error's text for a library that failed."""
    servers, found = {}, {}
    for library in libraries:
        try:
            server = Server(library, name, threads)
            if server.able:
                servers[library] = server
        except RuntimeError as error:
            found[library] = {"error": str(error).strip().splitlines()[-1] if str(error).strip() else "ended"}
    truth = servers["torch"].ask("check")
    for library in [lib for lib in servers if lib != "torch"]:
        off = difference(truth, servers[library].ask("check"))
        if off:
            found[library] = {"error": f"another result: {off}"}
            servers.pop(library).close()
    seconds = {library: [] for library in servers}
    for _ in range(rounds):
        for library, server in servers.items():
            time.sleep(PAUSE)
            seconds[library].append(server.ask("time"))
    for library, server in servers.items():
        ratios = sorted(a / b for a, b in zip(seconds[library], seconds["torch"]))
        found[library] = {"ms": statistics.median(seconds[library]) * 1e3, "ratio": statistics.median(ratios),
                          "low": ratios[len(ratios) // 4], "high": ratios[-1 - len(ratios) // 4], "peak": server.ask("peak")}
        server.close()
    return found


def difference(truth, found, tolerance=2e-3):
    """Where two results differ by more than float32 explains, in words; None where they do not."""
    for i, (a, b) in enumerate(zip(truth, found)):
        if a[0] != b[0] or abs(a[1] - b[1]) > tolerance * a[2] / math.sqrt(max(1, a[0])) + 1e-6 or abs(a[2] - b[2]) > tolerance * a[2] + 1e-6:
            return f"output {i}: {b} for {a}"
    return None


def geometric_mean(values):
    return math.exp(statistics.mean(map(math.log, values)))


def tables(figures):
    """The README's table."""
    libraries = [lib for lib in {**LIBRARIES, **PEERS} if any(lib in row for row in figures["rows"].values())]
    others = [lib for lib in libraries if lib != "torch"]
    head = ["forward + backward, time / PyTorch's", "PyTorch, ms", *[{**LIBRARIES, **PEERS}[lib] for lib in others], "peak memory / PyTorch's"]
    rows = []
    for name, row in figures["rows"].items():
        cells = [f"**{row[lib]['ratio']:.2f}**" if lib == "fast" else f"{row[lib]['ratio']:.2f}" if "ratio" in row.get(lib, {}) else "-" for lib in others]
        rows.append([name, f"{row['torch']['ms']:.2f}", *cells, f"{row['fast']['peak'] / max(row['torch']['peak'], 1):.2f}"])
    means = [geometric_mean([row[lib]["ratio"] for row in figures["rows"].values() if "ratio" in row.get(lib, {})]) for lib in others]
    rows.append(["geometric mean", "", *[f"**{m:.2f}**" if lib == "fast" else f"{m:.2f}" for lib, m in zip(others, means)], ""])
    m = figures["machine"]
    note = f"Python {m['python']}, NumPy {m['numpy']}, PyTorch {m['torch']}; {m['cpu']}, {figures['threads']} threads. `python benchmarks/cpu.py --peers`"
    return f"{timing.table(head, rows)}\n\n{note}"


def main():
    parser = timing.options(__doc__)
    parser.add_argument("--only", nargs="+", default=[], metavar="WORKLOAD", help="these workloads alone")
    parser.add_argument("--peers", action="store_true", help="other libraries beside PyTorch")
    parser.add_argument("--libraries", nargs="+", default=[], metavar="LIBRARY", help="PyTorch and these alone")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of every library")
    parser.add_argument("--rounds", type=int, default=9, help="turns that each library takes")
    options = parser.parse_args()
    from workloads import WORKLOADS
    unknown = [name for name in options.only if name not in WORKLOADS]
    if unknown:
        parser.error(f"no workload {unknown[0]!r}: there are {', '.join(WORKLOADS)}")
    import torch
    libraries = ["torch", *options.libraries] if options.libraries else [*LIBRARIES, *(PEERS if options.peers else ())]
    figures = {"machine": {**timing.machine(), "torch": torch.__version__}, "threads": options.threads, "rows": {}}
    for name in options.only or WORKLOADS:
        row = figures["rows"][name] = run(name, libraries, options.threads, options.rounds)
        print(f"{name:20}", *[f"{lib} {r['ms']:.2f} ms {r['ratio']:.2f} ({r['low']:.2f}-{r['high']:.2f}) {r['peak']:.0f} MiB"
                              if "ms" in r else f"{lib}: {r['error']}" for lib, r in row.items()], sep="  ", flush=True)
    print(f"\n{tables(figures)}")
    if options.json:
        timing.write("cpu", figures)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        serve(sys.argv[2], sys.argv[3], int(sys.argv[4]))
    else:
        main()
