"""Benchmark a kernel without fooling yourself, and without a GPU: five steps from a naive matrix product to a fast one.

    python examples/benchmark_a_kernel.py [folder for the pictures]

1. Right first: every version beside float64, in the simulator, with threads in several orders.
2. What each version does: bytes, memory sectors, bank conflicts, counted at a size that takes a moment.
3. The least time on an H100 at 4096 x 4096: which limit binds, and why the next step of the ladder is what it is.
4. Time, where there is something to time: two NumPy functions on this machine, with an interval for their ratio.
5. A cheat that would have looked like a record, and why it is refused.

The pictures and a page with everything are in the folder at the end (they need matplotlib).  Registers come from NVIDIA's compiler,
which needs no GPU: pip install 'minitorch[nvrtc]'; without it they are said to be unknown.
"""
import os
import sys
import tempfile

import numpy as np

import minitorch as torch
from minitorch import benchmark, kernels
from minitorch.benchmark import bound as bounds
from minitorch.benchmark import page, plots
from minitorch.benchmark.counts import launched, scaled
from minitorch.kernels.simulator.build import CompilerMissing, compiler

GPU, SIZE = "H100", 4096
TILES = {"naive": (32, 32, 32), "coalesced": (32, 32, 32), "tiled": (32, 32, 32), "register": (64, 64, 16), "warp": (128, 128, 16)}   # M, N, K


def version_of(name):
    def matmul(a, b):
        return kernels.matmul(a, b, version=name)
    return matmul


def launch(name, M, N, K):
    """The counts of one version's launch on a product of these sizes."""
    rng = np.random.default_rng(0)
    return launched(kernels.matmul, rng.standard_normal((M, K), "f4"), rng.standard_normal((K, N), "f4"), version=name)


def right_first():
    heading("1. Right first")
    case = benchmark.Case((33, 20), (20, 36))
    found = benchmark.compare({f"matmul_{name}": version_of(name) for name in TILES}, np.matmul, case, baseline=False, rounds=8, seconds=0)
    for row in found[0].rows:
        print(f"    {row.provider:18} {row.verdict}: off by {row.error['ulps']:.2g} ulp, {row.error['allowed']:.3g} allowed"
              + (f"; {len(row.limits)} sizes or strides that it declines" if row.limits else ""))
    print("\n'Passed' means: right on numbers drawn anew for every call, at neighbouring sizes, for transposed inputs, with the threads in\n"
          "three orders and every check of the simulator on. No version has a time: the simulator's says nothing about a GPU's.")
    return found


def what_each_does(size=128):
    heading(f"2. What each version does, at {size} x {size} x {size}")
    print(f"    {'':12} {'from memory':>12} {'by threads':>12} {'sectors':>10} {'ideal':>8} {'bank turns':>11} {'ideal':>8} {'barriers':>9}")
    for name in TILES:
        c, = launch(name, size, size, size)
        print(f"    {name:12} {c.moved:12,} {c.bytes:12,} {c.sectors:10,} {c.ideal_sectors:8,} {c.banks:11,} {c.ideal_banks:8,} {c.barriers:9,}")
    print("\nAll of them need the same 196,608 bytes from memory. The naive version asks for them 85 times over, in four times as many sectors as\n"
          "its bytes would fill, as neighbouring threads read a column; tiles in shared memory ask for each 32 times less often.")


def least_times():
    heading(f"3. The least time on an {GPU}, at {SIZE} x {SIZE} x {SIZE}")
    found = []
    for name, tile in TILES.items():
        sizes = dict.fromkeys("MNK", SIZE)
        found.append(bounds.bound(scaled(lambda name=name, **s: launch(name, **s), dict(zip("MNK", tile)), sizes)[0], GPU))
    limits = "".join(f"{what:>12}" for what in found[0].limits)
    print(f"    {'':12} {'registers':>9} {'occupancy':>9} {limits}   at least, ms   TFLOP/s at most")
    for name, b in zip(TILES, found):
        limits = "".join(f"{s * 1e3:10.3f}{' *' if what == b.limit else '  '}" for what, s in b.limits.items())
        registers = b.resources["registers"] if b.resources else "unknown"
        share = f"{'' if b.resources else '<= '}{b.occupancy.share:.0%}"
        print(f"    {name:12} {registers:>9} {share:>9} {limits} {b.seconds * 1e3:14.3f} {b.flops_per_second / 1e12:17.1f}")
    print("\n(*: the limit that binds; milliseconds.) These are bounds, not times: no launch is faster, most are slower. The counts are those of\n"
          "the full size: counts of whole tiles follow a law that small sizes give, and a further size has to confirm. Most steps relieve what\n"
          "bound the one before: scattered loads, then reads on the chip, of which 4 x 4 and 8 x 8 results per thread need fewer. Tiles in shared\n"
          "memory alone do not lower the bound: it takes for granted that the L1 cache keeps what neighbours load, which tiles make sure of.")
    if found[0].resources is None:
        print(f"\nRegisters are unknown here: {found[0].unknown}")
    return found


def blocked(a, b):
    """A product in blocks of 64 along k: the same sums, in another order."""
    c = np.zeros((a.shape[0], b.shape[1]), a.dtype)
    for k in range(0, a.shape[1], 64):
        c += a[:, k:k + 64] @ b[k:k + 64]
    return c


def race_on_this_machine():
    heading("4. Time, where there is something to time")
    torch.set_num_threads(1)                         # of NumPy's library too: a fair race on one processor
    a, b = np.random.default_rng(0).standard_normal((2, 192, 192)).astype("f4")
    for f in (blocked, np.matmul):
        low, middle, high = benchmark.do_bench(lambda f=f: f(a, b), warmup=50, rep=1500, quantiles=(0.2, 0.5, 0.8), device="cpu")
        print(f"    do_bench: {f.__name__:8} {middle * 1e3:8.1f} us ({low * 1e3:.1f} to {high * 1e3:.1f}), caches cold; it times and does not judge")
    print()
    found = benchmark.compare(blocked, np.matmul, benchmark.Case((192, 192), (192, 192), flops=2 * 192**3), seconds=1.5)
    print(indented(found))
    row = found[0]["blocked"]
    if row.ratio:
        sure = row.interval.low > 1 or row.interval.high < 1
        print(f"\nThe interval, {row.interval.low:.2f} to {row.interval.high:.2f}, is where another run's ratio would be: the two "
              f"{'do differ' if sure else 'cannot be told apart here'}.")
    return found


class Remembers:
    """A cheat: it has seen these numbers before, if the first ones are the same."""

    def __init__(self):
        self.known = {}

    def __call__(self, a, b):
        key = a.shape, b.shape
        if key not in self.known:
            self.known[key] = a @ b
        return self.known[key].copy()


def a_cheat():
    heading("5. A cheat")
    found = benchmark.compare({"record": Remembers()}, np.matmul, benchmark.Case((192, 192), (192, 192), flops=2 * 192**3), rounds=8, seconds=0)
    row = found[0]["record"]
    print("    'record' multiplies the first time, and then hands out what it has: a copy is many times faster than a product.\n"
          "    A harness that times one pair of arrays over and over would believe it.  Here:\n")
    for reason in row.reasons:
        print(f"    {row.verdict}, {reason}")
    print("    It has no time: a figure for a wrong result is no figure.")
    return found


def pictures(folder, found, race):
    heading("Pictures")
    try:
        paths = {name: os.path.join(folder, name) for name in ("roofline.png", "ratios.png", "page.html")}
        plots.save(plots.roofline(plots.roof(found[0].device), plots.of_bounds(found), ["float32"], f"matmul on {found[0].device.name}: at most"),
                   paths["roofline.png"])
        if race[0]["blocked"].ratio:
            plots.save(plots.ratios(race), paths["ratios.png"])
        page.save_page(paths["page.html"], "A matrix product, step by step", bounds=found, comparisons=[race],
                       sources=page.sources_of([b.counts.kernel for b in found]))
    except ImportError as error:
        print(f"There are none: {error}")
        return
    for path in paths.values():
        if os.path.exists(path):
            print(f"    {path}")


def heading(text):
    print(f"\n{text}\n{'-' * len(text)}\n", flush=True)


def indented(text):
    return "\n".join("    " + line for line in str(text).split("\n"))


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="benchmark-a-kernel-")
    try:
        os.makedirs(folder, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
        compiler(None)
    except OSError as error:
        sys.exit(f"the pictures cannot be written to {folder}: {error.strerror}")
    except CompilerMissing as error:
        sys.exit(str(error))
    right_first()
    what_each_does()
    found = least_times()
    race = race_on_this_machine()
    a_cheat()
    pictures(folder, found, race)


if __name__ == "__main__":
    main()
