"""What the machine allows: rates of matrix products and of copies, measured beside the workloads, and from them the least time of each.

The least time of a workload is what its multiplications take at the rate of products of its size, NumPy's or that of the library that
the extra `fast` brought, or what it must read and write takes at the rate of a copy, whichever is longer: no library on these can go
below, and where PyTorch's own products are as fast it says by how much a goal is out of reach.  By NumPy alone what is no product
takes calls that each read and write the cache once.

    python benchmarks/limits.py
"""
import concurrent.futures
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import timing

SHAPES = {                                           # times, m, k, n: times products of (m, k) by (k, n)
    "1024 x 1024 x 1024": (1, 1024, 1024, 1024), "128 x 784 x 512": (1, 128, 784, 512), "512 x 64 x 512": (1, 512, 64, 512),
    "32 x 256 x 1024": (1, 32, 256, 1024), "32 of 512 x 64 x 512": (32, 512, 64, 512),
}
COPIED = (8, 64)                                     # MiB: what the last cache holds, what it may not hold
CACHED, EXP, TANH = "x + 2 of 256 KiB", "exp of 256 KiB", "tanh of 256 KiB"              # in the cache of one processor


# ---- rates ---------------------------------------------------------------------------------------------------------

def rates(library, threads):
    """{shape: GFLOP/s, "copy of n MiB": GB/s read and written} of this process."""
    import numpy as np
    if library == "torch":
        import torch
        torch.set_num_threads(threads)
    if library == "minitorch":
        import minitorch
        minitorch.set_num_threads(threads)
    found = {}
    for name, (times, m, k, n) in SHAPES.items():
        a, b = (np.ones((times, *shape) if times > 1 else shape, "f4") for shape in ((m, k), (k, n)))
        y = np.empty((*a.shape[:-1], n), "f4")
        if library == "torch":
            a, b, y = map(torch.from_numpy, (a, b, y))
        if library == "minitorch":
            a, b = map(minitorch.from_numpy, (a, b))
            call = lambda a=a, b=b: minitorch.matmul(a, b)                                       # noqa: E731
        else:
            call = lambda a=a, b=b, y=y: (np if library == "numpy" else torch).matmul(a, b, out=y)          # noqa: E731
        found[name] = 2e-9 * times * m * k * n / least(call)
    if library == "numpy":
        x, y = np.ones((2, 1 << 16), "f4")
        with concurrent.futures.ThreadPoolExecutor(1) as pool:                                   # processors do not share it: as fast on each
            for what, call in ((CACHED, lambda: np.add(x, 2, out=x)), (EXP, lambda: np.exp(y, out=x)), (TANH, lambda: np.tanh(y, out=x))):
                found[what] = threads * 1e-9 * x.size / pool.submit(least, call).result()
    for size in COPIED if library != "minitorch" else ():
        x, y = np.ones((2, size << 20), "u1")
        if library == "torch":
            x, y = torch.from_numpy(x), torch.from_numpy(y)
            seconds = least(lambda x=x, y=y: y.copy_(x))
        else:
            with concurrent.futures.ThreadPoolExecutor(threads) as pool:
                parts = list(zip(np.array_split(y, threads), np.array_split(x, threads)))
                seconds = least(lambda: list(pool.map(lambda pair: np.copyto(*pair), parts)))   # noqa: B023 - called at once
        found[f"copy of {size} MiB"] = 2e-9 * (size << 20) / seconds
    return found


def least(call, seconds=0.05):
    """Seconds of the fastest call."""
    call()
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
    return best


def measured(threads, rounds=2, before=None):
    """{library: {threads: {what: the best rate of all rounds}}} for one thread and for `threads`, in turns, each in its own process.

    The best of what was found before and now, where that is given.
    """
    found = before or {library: {n: {} for n in sorted({1, threads})} for library in ("numpy", "minitorch", "torch")}
    for _ in range(rounds):
        for library, by_threads in found.items():
            for n, best in by_threads.items():
                env = {**os.environ, **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(n))}
                command = [sys.executable, __file__, "--rates", library, str(n)]
                said = subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True, check=True)
                for what, rate in json.loads(said.stdout).items():
                    best[what] = max(rate, best.get(what, 0))
    return found


def imports(rounds=15):
    """{module: milliseconds from the start of Python until it is imported}, with byte code in place; medians of interleaved runs."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    env["PYTHONPATH"] = str(Path(__file__).parent.parent)
    modules = ("numpy", "minitorch", "torch")
    seconds = {module: [] for module in modules}
    for _ in range(rounds + 1):                      # the first writes the byte code
        for module, taken in seconds.items():
            if module == "torch" and len(taken) > 3:
                continue                             # once known to be long
            start = time.perf_counter()
            subprocess.run([sys.executable, "-c", f"import {module}"], env=env, check=True)
            taken.append(time.perf_counter() - start)
    return {module: statistics.median(taken[1:]) * 1e3 for module, taken in seconds.items()}


# ---- what a workload must do -----------------------------------------------------------------------------------------

def flops():
    """{workload: floating-point operations of its matrix products and convolutions, forward and backward}."""
    def conv(N, C, O, K, P, groups=1, backward=2):
        return (1 + backward) * 2 * N * O * P * P * C // groups * K * K

    def linear(m, k, n):
        return 3 * 2 * m * k * n

    def scores(batch, length, size, share):          # 2 products forward; backward 4, with the probabilities kept
        return 6 * 2 * batch * length * length * size * share

    def block(batch, length, width, heads):
        m = batch * length
        return linear(m, width, 12 * width) + scores(batch * heads, length, width // heads, (length + 1) / (2 * length))

    resnet = [(3, 64, 3, 32, 1)]                     # C, O, K, P, products backward
    for n, m, p in ((64, 64, 32), (64, 64, 32), (64, 128, 16), (128, 128, 16), (128, 256, 8), (256, 256, 8), (256, 512, 4), (512, 512, 4)):
        resnet += [(n, m, 3, p, 2), (m, m, 3, p, 2)] + ([(n, m, 1, p, 2)] if n != m else [])
    return {
        "matmul": linear(1024, 1024, 1024),
        "conv2d": conv(32, 16, 32, 3, 32), "conv2d, stride 2": conv(16, 64, 128, 3, 16),
        "conv2d, 8 groups": conv(16, 64, 64, 3, 32, 8), "conv2d, depthwise": conv(16, 64, 64, 3, 32, 64),
        "attention": scores(32, 512, 64, 1), "causal attention": scores(32, 512, 64, 513 / 1024),
        "LSTM": linear(64 * 32, 128 + 256, 1024),
        "MLP + Adam": linear(128, 784, 512) * 2 // 3 + linear(128, 512, 512) + linear(128, 512, 10),
        "CNN step": conv(64, 1, 32, 3, 26, backward=1) + conv(64, 32, 64, 3, 11) + linear(64, 1600, 128) + linear(64, 128, 10),
        "ResNet-18 step": sum(conv(8, C, O, K, P, backward=back) for C, O, K, P, back in resnet) + linear(8, 512, 10),
        "transformer block": block(8, 256, 512, 8), "GPT-2 block": block(4, 256, 768, 12),
    }


SIZES = {                                            # of products, where they are not as large as the largest
    "attention": "512 x 64 x 512", "causal attention": "512 x 64 x 512", "LSTM": "32 x 256 x 1024", "MLP + Adam": "128 x 784 x 512",
}
CALLS = {                                            # of NumPy on arrays like the first that our formulas make, forward and backward, counted by hand
    "GELU, erf": {CACHED: 23, EXP: 1, TANH: 1}, "GELU, tanh": {CACHED: 16, TANH: 1}, "layer norm": {CACHED: 16},
}
TRAFFIC = {                                          # times that inputs, and that the result, are read or written; 3 and 2 where not named:
    "cross entropy": (2, 0), "average pool": (1, 2), "max pool": (2, 2),             # x, its gradient, x again backward; y and its gradient
    "embedding": (1, 3), "reductions": (3, 0),
}
ADAM = 10                                            # weights forward, backward and updated, gradient, both moments


def least_ms(name, sizes, found, threads, libraries=("numpy", "minitorch")):
    """The least milliseconds of a workload whose results have these sizes (the value first), at the measured rates of some libraries."""
    value, *gradients = sizes
    inputs, outputs = TRAFFIC.get(name, (ADAM, 0) if value == 1 else (3, 2))
    moved, copy = 4 * (inputs * sum(gradients) + outputs * value), f"copy of {COPIED[0]} MiB"

    def ms(work, what):
        """What so much takes at the best rate of several threads, or of one where threads do not meet."""
        return work / 1e6 / max(rates.get(what, 0) * threads / n for library in libraries for n, rates in found[library].items())
    calls = CALLS.get(name, {}) if libraries == ("numpy",) else {}
    in_calls = sum(ms((times - (inputs + outputs) * (what == CACHED)) * max(gradients), what) for what, times in calls.items())
    products = flops().get(name, 0)
    return max(ms(moved, copy) + in_calls, ms(products, SIZES.get(name, "1024 x 1024 x 1024")) if products else 0)


def table(found, imported):
    """The rates, and what an import takes, for the README."""
    names = {"numpy": "NumPy", "minitorch": "minitorch", "torch": "PyTorch"}
    head = ["the machine's limits", *[f"{name}, {n} thread{'s' * (n > 1)}" for lib, name in names.items() for n in map(int, found[lib])]]
    columns = [by for library in names for by in found[library].values()]
    rows = [[f"matrix product {name}, GFLOP/s", *[f"{by[name]:.0f}" for by in columns]] for name in SHAPES]
    rows += [[f"copy of {size} MiB, read + write, GB/s", *[f"{by[key]:.0f}" if (key := f"copy of {size} MiB") in by else "" for by in columns]]
             for size in COPIED]
    rows += [[f"{what}, 10^9 numbers/s", *[f"{by[what]:.1f}" if what in by else "" for by in columns]] for what in (CACHED, EXP, TANH)]
    ms = ", ".join(f"`{module}` {value:.0f} ms" for module, value in imported.items())
    return f"{timing.table(head, rows)}\n\n`import minitorch` takes **{imported['minitorch'] / imported['numpy']:.2f}** times `import numpy`: {ms}."


def main():
    threads = os.cpu_count()
    print(table(measured(threads), imports()))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--rates"]:
        print(json.dumps(rates(sys.argv[2], int(sys.argv[3]))))
    else:
        main()
