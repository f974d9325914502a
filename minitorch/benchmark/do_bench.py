"""do_bench: the time of one call in milliseconds, with Triton's name, arguments and defaults, on a GPU or on the host's clock.

It times and does not judge: compare() does both.
"""
import statistics
import sys

import numpy as np

from . import watch
from .clock import Flush

MODES = ("min", "max", "mean", "median", "all")
FLUSH = 256 << 20                                    # bytes written before each run on a GPU: more than any of its caches


def do_bench(fn, warmup=25, rep=100, grad_to_none=None, quantiles=None, return_mode="mean", device=None):
    """Milliseconds that fn() takes, with caches cold.

    warmup, rep: milliseconds for calls before, and for calls that count.  grad_to_none: tensors whose .grad is set to None before
    each call.  quantiles: give these, as a list, instead of what return_mode says: min, max, mean, median or all.
    device: "cpu" or "cuda" (events, through CuPy or PyTorch); None: "cuda" where one of them is loaded and has a GPU.
    """
    if return_mode not in MODES:
        raise ValueError(f"return_mode must be one of {', '.join(MODES)}, not {return_mode!r}")
    if device not in (None, "cpu", "cuda"):
        raise ValueError(f"device must be 'cpu', 'cuda' or None, not {device!r}")
    timer = events() if device == "cuda" or device is None and on_gpu() else HostTimer()
    fn()
    timer.wait()
    start = watch.nanoseconds()
    timer.read([timer.sample(fn) for _ in range(5)])
    rough = (watch.nanoseconds() - start) / 5e6          # milliseconds, clearing the cache included, as Triton counts them
    for _ in range(max(1, int(warmup / rough))):
        fn()
    found = []
    for _ in range(max(1, int(rep / rough))):
        for tensor in grad_to_none or ():
            tensor.grad = None
        found.append(timer.sample(fn))
    return summarised(timer.read(found), quantiles, return_mode)


def summarised(times, quantiles=None, return_mode="mean"):
    """Times as Triton gives them: quantiles as a list (one alone as a number), or one figure, or all."""
    if quantiles is not None:
        found = [float(q) for q in np.quantile(np.asarray(times, float), quantiles)]
        return found[0] if len(found) == 1 else found
    if return_mode == "all":
        return [float(t) for t in times]
    return float({"min": min, "max": max, "mean": statistics.fmean, "median": statistics.median}[return_mode](times))


class HostTimer:
    """Milliseconds on the host's clock; the last cache is written over before each sample."""

    def __init__(self):
        self.flush = Flush(True)

    def wait(self):
        return None

    def sample(self, fn):
        self.flush()
        start = watch.nanoseconds()
        fn()
        return (watch.nanoseconds() - start) / 1e6

    def read(self, samples):
        return samples


class EventTimer:
    """Milliseconds between two events of a GPU's current stream.

    event(): a new one, with record(); elapsed(a, b); flush() writes a large buffer; wait() for all that was launched.
    """

    def __init__(self, event, elapsed, flush, wait):
        self.event, self.elapsed, self.flush, self.wait = event, elapsed, flush, wait

    def sample(self, fn):
        start, end = self.event(), self.event()
        self.flush()
        start.record()
        fn()
        end.record()
        return start, end

    def read(self, samples):
        self.wait()
        return [self.elapsed(*pair) for pair in samples]


def on_gpu():
    """Whether CuPy or PyTorch is loaded and has a GPU."""
    torch, cupy = sys.modules.get("torch"), sys.modules.get("cupy")
    return bool(torch is not None and torch.cuda.is_available()) or cupy is not None and has_devices(cupy)


def has_devices(cupy):
    try:
        return cupy.cuda.runtime.getDeviceCount() > 0
    except Exception:                                # CuPy raises its own CUDARuntimeError without a driver
        return False


def events():
    """The timer of the GPU: PyTorch's where it is loaded, as its stream is the one that its kernels use; else CuPy's."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        room = torch.empty(FLUSH, dtype=torch.int8, device="cuda")
        return EventTimer(lambda: torch.cuda.Event(enable_timing=True), lambda a, b: a.elapsed_time(b), room.zero_, torch.cuda.synchronize)
    from ..backend import load_cupy
    cupy = load_cupy()
    room = cupy.empty(FLUSH, np.int8)
    return EventTimer(cupy.cuda.Event, cupy.cuda.get_elapsed_time, lambda: room.fill(0), cupy.cuda.Device().synchronize)
