"""What the machine allows: rates of matrix products and of copies, measured beside the workloads, and from them the least time of each.

The least time of a workload is what its multiplications take at the rate of products of its size, NumPy's or that of the library that
the extra `fast` brought, or what it must read and write takes at the rate of a copy, whichever is longer: no library on these can go
below, and where PyTorch's own products are as fast it says by how much a goal is out of reach.  By NumPy alone what is no product
takes calls that each read and write the cache once.  Rates are medians, as the times of the workloads are that they stand beside.

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

LARGE, FLAT, HEAD, STEP, COLUMNS = "1024 x 1024 x 1024", "128 x 784 x 512", "512 x 64 x 512", "32 x 256 x 1024", "32 x 256 x 32, 32 times"
SHAPES = {                                           # of the two sides of a product
    LARGE: ((1024, 1024), (1024, 1024)), FLAT: ((128, 784), (784, 512)), HEAD: ((512, 64), (64, 512)),
    STEP: ((32, 256), (256, 1024)), COLUMNS: ((32, 256), (32, 256, 32)), "32 of 512 x 64 x 512": ((32, 512, 64), (32, 64, 512)),
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
    for name, shapes in SHAPES.items():
        a, b = (np.ones(shape, "f4") for shape in shapes)
        y = a @ b
        flops = 2 * y.size * a.shape[-1]
        if library == "torch":
            a, b, y = map(torch.from_numpy, (a, b, y))
        if library == "minitorch":
            a, b = map(minitorch.from_numpy, (a, b))
            call = lambda a=a, b=b: minitorch.matmul(a, b)                                       # noqa: E731
        else:
            call = lambda a=a, b=b, y=y: (np if library == "numpy" else torch).matmul(a, b, out=y)          # noqa: E731
        found[name] = 1e-9 * flops / usual(call)
    if library == "numpy":
        x, y = np.ones((2, 1 << 16), "f4")
        with concurrent.futures.ThreadPoolExecutor(1) as pool:                                   # processors do not share it: as fast on each
            for what, call in ((CACHED, lambda: np.add(x, 2, out=x)), (EXP, lambda: np.exp(y, out=x)), (TANH, lambda: np.tanh(y, out=x))):
                found[what] = threads * 1e-9 * x.size / pool.submit(usual, call).result()
    for size in COPIED if library != "minitorch" else ():
        x, y = np.ones((2, size << 20), "u1")
        if library == "torch":
            x, y = torch.from_numpy(x), torch.from_numpy(y)
            seconds = usual(lambda x=x, y=y: y.copy_(x))
        else:
            with concurrent.futures.ThreadPoolExecutor(threads) as pool:
                parts = list(zip(np.array_split(y, threads), np.array_split(x, threads)))
                seconds = usual(lambda: list(pool.map(lambda pair: np.copyto(*pair), parts)))   # noqa: B023 - called at once
        found[f"copy of {size} MiB"] = 2e-9 * (size << 20) / seconds
    return found


def usual(call, seconds=0.05):
    """Seconds of a call: the median of many."""
    call()
    taken, end = [], time.perf_counter() + seconds
    while not taken or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def measured(threads, rounds=3, before=None):
    """{library: {threads: {what: the rates of all rounds}}} for one thread and for `threads`, in turns, each in its own process.

    Added to what was found `before`, where that is given.
    """
    found = before or {library: {n: {} for n in sorted({1, threads})} for library in ("numpy", "minitorch", "torch")}
    for _ in range(rounds):
        for library, by_threads in found.items():
            for n, rates_of in by_threads.items():
                env = {**os.environ, **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(n))}
                command = [sys.executable, __file__, "--rates", library, str(n)]
                said = subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True, check=True)
                for what, rate in json.loads(said.stdout).items():
                    rates_of.setdefault(what, []).append(rate)
    return found


def medians(found):
    """{library: {threads: {what: rate}}} of what `measured` found."""
    return {library: {n: {what: statistics.median(rates) for what, rates in by.items()} for n, by in by_threads.items()}
            for library, by_threads in found.items()}


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

def products():
    """{workload: {size: floating-point operations of its matrix products and convolutions of about that size, forward and backward}}."""
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
    steps = linear(64 * 32, 256, 1024)
    large = {
        "matmul": linear(1024, 1024, 1024),
        "conv2d": conv(32, 16, 32, 3, 32), "conv2d, stride 2": conv(16, 64, 128, 3, 16),
        "conv2d, 8 groups": conv(16, 64, 64, 3, 32, 8), "conv2d, depthwise": conv(16, 64, 64, 3, 32, 64),
        "CNN step": conv(64, 1, 32, 3, 26, backward=1) + conv(64, 32, 64, 3, 11) + linear(64, 1600, 128) + linear(64, 128, 10),
        "ResNet-18 step": sum(conv(8, C, O, K, P, backward=back) for C, O, K, P, back in resnet) + linear(8, 512, 10),
        "transformer block": block(8, 256, 512, 8), "GPT-2 block": block(4, 256, 768, 12),
    }
    return {**{name: {LARGE: n} for name, n in large.items()},
            "attention": {HEAD: scores(32, 512, 64, 1)}, "causal attention": {HEAD: scores(32, 512, 64, 513 / 1024)},
            "LSTM": {STEP: steps * 2 // 3, LARGE: steps // 3 + linear(64 * 32, 128, 1024)},          # the weights' gradient is one product
            "MLP + Adam": {FLAT: linear(128, 784, 512) * 2 // 3 + linear(128, 512, 512) + linear(128, 512, 10)}}


ALSO = {STEP: (COLUMNS,)}                            # other forms of the same product, one of which may be faster
CALLS = {                                            # of NumPy on arrays like the first that our formulas make, forward and backward, counted by hand
    "GELU, erf": {CACHED: 23, EXP: 1, TANH: 1}, "GELU, tanh": {CACHED: 16, TANH: 1}, "layer norm": {CACHED: 15},
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
        return work / 1e6 / max(rates.get(form, 0) * threads / n for form in (what, *ALSO.get(what, ()))
                                for library in libraries for n, rates in found[library].items())
    calls = CALLS.get(name, {}) if libraries == ("numpy",) else {}
    in_calls = sum(ms((times - (inputs + outputs) * (what == CACHED)) * max(gradients), what) for what, times in calls.items())
    return max(ms(moved, copy) + in_calls, sum(ms(flops, size) for size, flops in products().get(name, {}).items()))


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
    print(table(medians(measured(threads)), imports()))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--rates"]:
        print(json.dumps(rates(sys.argv[2], int(sys.argv[3]))))
    else:
        main()
