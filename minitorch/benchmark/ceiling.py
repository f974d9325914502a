"""The hard ceiling: how fast this machine copies and multiplies, measured in the same run.

A figure above it is an error of the measurement, or of what was declared, and never a record.  On the host all processors that
the process may use work at once, each at the best of several sizes, so that threads of a contender cannot pass it honestly.
"""
import concurrent.futures
import os

import numpy as np

from . import watch

MARGIN = 1.3                                         # above the best that was measured: what luck and better instructions may add
SMALL = (1 << 14, 1 << 17, 1 << 20)                  # bytes per processor: its own caches
FRESH = 300 * 10**9                                  # nanoseconds for which a measurement holds
LARGE = 64 << 20                                     # bytes in all: beyond most caches

_host: list = []                                     # [(when, Ceiling)]


class Ceiling:
    """Bytes per second by footprint and floating-point operations per second by dtype, each the best of several tries."""

    def __init__(self, where, bandwidth, cached, flops):
        self.where, self.bandwidth, self.cached, self.flops = where, bandwidth, cached, flops

    def rates(self, footprint, precision):
        """(bytes per second, operations per second or None) that a contender on `footprint` bytes cannot exceed."""
        from .clock import last_cache
        in_cache = self.where == "host" and footprint < 4 * last_cache() or self.where != "host" and footprint < LARGE
        return max(self.bandwidth, self.cached) if in_cache else self.bandwidth, self.flops.get(precision)

    def above(self, seconds, bytes_, flops, footprint, precision):
        """What exceeds the ceiling, in words; None where nothing does."""
        bandwidth, rate = self.rates(footprint, precision)
        for what, amount, limit, unit in (("bytes", bytes_, bandwidth, "GB/s"), ("operations", flops, rate, "GFLOP/s")):
            if amount and limit and amount / seconds > MARGIN * limit:
                return (f"{amount:.4g} {what} in {seconds * 1e6:.4g} us are {amount / seconds / 1e9:.4g} {unit}, measured here are "
                        f"{limit / 1e9:.4g}: not done, or not declared as it is")
        return None

    def higher(self, other):
        """The higher of two measurements, figure by figure."""
        flops = {name: max(rate, other.flops.get(name, 0)) for name, rate in self.flops.items()}
        return Ceiling(self.where, max(self.bandwidth, other.bandwidth), max(self.cached, other.cached), flops)

    def as_dict(self):
        return {"where": self.where, "bandwidth": self.bandwidth, "bandwidth_in_cache": self.cached, "flops": self.flops, "margin": MARGIN}


def host(anew=False):
    """The Ceiling of this machine's processors, measured by this process within the last minutes, or `anew`."""
    now = watch.nanoseconds()
    if anew or not _host or now - _host[0][0] > FRESH:
        _host[:] = [(now, measure_host())]
    return _host[0][1]


def measure_host(dtypes=("float32", "float64")):
    """The Ceiling of this machine's processors, measured now."""
    workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    cached = max(workers * best(copier(size), size) for size in SMALL)
    each = max(LARGE // workers, 1 << 20)
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        together = max(sum(pool.map(lambda _: best(copier(each), each, 5), range(workers))), best(copier(LARGE), LARGE, 5),
                       sum(pool.map(lambda _: best(reader(each), each / 2, 5), range(workers))))
        flops = {}
        for name in dtypes:
            flops[name] = max(sum(pool.map(lambda _, n=n, d=name: best(multiplier(n, d), n**3, 6), range(workers))) for n in (256, 640))
    return Ceiling("host", together, max(cached, together), flops)       # narrower types: some processors have units that NumPy does not use


def best(call, amount, tries=30):
    """2 * amount per second: the best of some tries of a call, each long enough for the clock."""
    times, repeat = [], 1
    call()
    for _ in range(tries):
        start = watch.nanoseconds()
        for _ in range(repeat):
            call()
        spent = watch.nanoseconds() - start
        if spent < 20_000:
            repeat *= 4
            continue
        times.append(spent / repeat)
    return 2 * amount / min(times, default=1e9) * 1e9


def copier(size):
    a, b = np.ones(size // 8), np.empty(size // 8)
    return lambda: np.copyto(b, a)


def reader(size):
    a = np.ones(size // 4, np.float32)
    return lambda: np.dot(a, a)


def multiplier(n, dtype):
    a, b, c = np.ones((n, n), dtype), np.ones((n, n), dtype), np.empty((n, n), dtype)
    return lambda: np.matmul(a, b, out=c)


# ---- of a GPU ----------------------------------------------------------------------------------------------------------------

def of_gpu(gpu):
    """The Ceiling of this GPU: copies beyond and within L2, and CuPy's matrix products, which are cuBLAS's."""
    cupy = gpu.cupy

    def best(work, amount, repeat=10, tries=7):
        def repeated():
            for _ in range(repeat):
                work()
        work()
        return amount * repeat / (min(gpu.elapsed(repeated) for _ in range(tries)) * 1e-3)

    def copies(size):
        a, b = cupy.zeros(size // 4, np.float32), cupy.empty(size // 4, np.float32)
        return best(lambda: cupy.copyto(b, a), 2 * size)

    def products(n, dtype):
        a, b, c = (cupy.ones((n, n), dtype) for _ in range(3))
        return best(lambda: cupy.matmul(a, b, out=c), 2 * n**3)
    bandwidth, cached = copies(2 * gpu.room.nbytes), copies(max(1 << 20, gpu.l2 // 4))
    flops = {"float64": products(2048, np.float64), "float32": products(4096, np.float32), "float16": products(8192, np.float16)}
    flops["bfloat16"] = flops["tf32"] = flops["float16"]                  # TF32 has half of it: no contender reaches more
    flops["float32"] = max(flops["float32"], flops["float16"] / 6)        # three products in TF32 give float32's precision
    return Ceiling("gpu", bandwidth, max(bandwidth, cached), flops)
