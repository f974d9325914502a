"""How contenders are raced on a GPU: right first, then in turn in every round, on CUDA events, with the cache written over before each call.

Results are in minitorch.benchmark's schema, so that its pages, plots and comparisons of files read them.  At these sizes a reference in
float64 on the host for every call, as minitorch.benchmark.compare has it, would take minutes: each contender is compared once, on the
device, with PyTorch in float32, and has no time where it is off.
"""
import dataclasses
import importlib
import statistics
import time

import numpy as np

from minitorch.benchmark.interval import of_positive, of_ratio, summary
from minitorch.benchmark.judge import Reason
from minitorch.benchmark.results import CaseResult, Row

FLUSH = 256 << 20                                    # bytes written between runs: more than any L2 cache
CONFIDENCE = 0.95
TOLERANCE = {"float32": 2e-4, "float16": 5e-3, "bfloat16": 3e-2}         # of the largest entry
OURS = "ours"


@dataclasses.dataclass
class Race:
    """contenders: {who: call}, of which OURS is the baseline; reference: a call that gives what is right, in float32.

    flops, bytes: of one call, whichever says more about it; the bytes that must be read and written.  precision: {who: kind} where it is
    narrower than dtype.  tolerance: of the largest entry, if not that of the dtype; a number, or {who: number}.
    """
    name: str
    dtype: str
    contenders: dict
    reference: object
    flops: float | None = None
    bytes: float | None = None
    precision: dict = dataclasses.field(default_factory=dict)
    tolerance: object = None

    def allowed(self, who):
        usual = TOLERANCE["bfloat16" if self.precision.get(who) == "tf32" else self.dtype]
        return self.tolerance.get(who, usual) if isinstance(self.tolerance, dict) else self.tolerance or usual


class HostEvent:
    """torch.cuda.Event's methods on the host's clock, for a dry run."""

    def record(self):
        self.at = time.perf_counter()

    def synchronize(self):
        return None

    def elapsed_time(self, end):
        return 1e3 * (end.at - self.at)


class Bench:
    """PyTorch's current stream, on which CuPy launches too; device "cpu": the same on the host, with NumPy in CuPy's place, for a dry run."""

    def __init__(self, cupy, torch, device="cuda", rounds=24):
        self.cupy, self.torch, self.device, self.rounds = cupy, torch, device, rounds
        self.room = torch.empty(FLUSH if device == "cuda" else 1, dtype=torch.int8, device=device)
        self.generator = torch.Generator(device).manual_seed(0)

    # ---- arrays -----------------------------------------------------------------------------------------------------------

    def normal(self, *shape, dtype="bfloat16"):
        torch = self.torch
        return torch.randn(*shape, device=self.device, generator=self.generator).to(getattr(torch, dtype))

    def integers(self, high, *shape):
        return self.torch.randint(high, shape, device=self.device, generator=self.generator)

    def ours(self, tensor):
        """A PyTorch tensor as a CuPy array of the same memory."""
        if tensor.dtype is self.torch.bfloat16:
            import ml_dtypes
            return self.cupy.from_dlpack(tensor.detach().view(self.torch.int16)).view(ml_dtypes.bfloat16)
        return self.cupy.from_dlpack(tensor.detach())

    def theirs(self, array):
        """A CuPy array as a PyTorch tensor of the same memory; tensors as they are."""
        if isinstance(array, self.torch.Tensor):
            return array
        if array.dtype.name == "bfloat16":
            return self.torch.from_dlpack(array.view(np.int16)).view(self.torch.bfloat16)
        return self.torch.from_dlpack(array)

    def tensors(self, results):
        return [self.theirs(y) for y in (results if isinstance(results, tuple | list) else [results]) if y is not None]

    # ---- other libraries ----------------------------------------------------------------------------------------------------

    def compiled(self, f):
        """torch.compile's; in a dry run the function itself."""
        return self.torch.compile(f) if self.device == "cuda" else f

    def triton(self, name):
        """{"Triton": a function of triton_kernels}, or {} where Triton is not installed or has no GPU."""
        if self.device != "cuda" or not importlib.util.find_spec("triton"):
            return {}
        return {"Triton": getattr(importlib.import_module("triton_kernels"), name)}

    # ---- a race ----------------------------------------------------------------------------------------------------------------

    def run(self, race, seconds):
        """The CaseResult of a race, of at most about so many seconds of rounds."""
        expected = self.tensors(race.reference())
        rows = {who: self.examined(race, who, call, expected) for who, call in race.contenders.items()}
        sizes = [[list(t.shape), str(t.dtype).removeprefix("torch.")] for t in expected]
        del expected
        times = self.times({who: race.contenders[who] for who, row in rows.items() if not row.reasons}, seconds)
        for who, samples in times.items():
            self.told(race, rows[who], samples, times.get(OURS) if who != OURS else None)
        return CaseResult(race.name, race.dtype, [], sizes, race.flops, race.bytes or 0, bool(race.bytes), list(rows.values()))

    def examined(self, race, who, call, expected):
        """The Row of a contender, refused where it raises or is off."""
        row = Row(who, race.precision.get(who, race.dtype))
        try:
            found = self.tensors(call())
            if [tuple(y.shape) for y in found] != [tuple(r.shape) for r in expected]:
                row.reasons.append(Reason("shape", "before", f"{[tuple(y.shape) for y in found]} beside {[tuple(r.shape) for r in expected]}"))
                return row
            error = max((off(y.float(), r.float()) for y, r in zip(found, expected)), default=0.0)
        except Exception as error:                   # a contender that this machine does not have is a line of the report, not its end
            text = str(error).strip().splitlines()
            row.reasons.append(Reason("raised", "before", f"{type(error).__name__}: {text[0][:200] if text else ''}"))
            return row
        row.notes.append(f"off by {error:.2e} of the largest entry, {race.allowed(who):.1e} allowed")
        if not error <= race.allowed(who):
            row.reasons.append(Reason("wrong", "before", row.notes[-1]))
        return row

    def times(self, calls, seconds):
        """{who: [milliseconds]}: one call each in every round, the order changing from round to round."""
        for call in calls.values():                  # compile, choose algorithms, fill the memory pool
            for _ in range(3 if self.device == "cuda" else 0):
                call()
        self.wait()
        times, start = {who: [] for who in calls}, time.monotonic()
        for n in range(self.rounds):
            order = list(calls)
            order = order[n % len(order):] + order[:n % len(order)] if order else order
            for who in order:
                times[who].append(self.once(calls[who]))
            if n >= 7 and time.monotonic() - start > seconds:
                break
        return times

    def once(self, call):
        """Milliseconds of one call."""
        self.room.zero_()
        start, end = (self.torch.cuda.Event(enable_timing=True) if self.device == "cuda" else HostEvent() for _ in range(2))
        start.record()
        call()
        end.record()
        end.synchronize()
        return start.elapsed_time(end)

    def wait(self):
        if self.device == "cuda":
            self.torch.cuda.synchronize()

    def told(self, race, row, samples, base):
        """A row's figures, in microseconds."""
        row.samples = [round(1e3 * ms, 3) for ms in samples]
        own = of_positive(samples, CONFIDENCE)
        row.timing = {"kind": "events", **{k: 1e3 * v for k, v in summary(samples).items()}, "low": 1e3 * own.low, "high": 1e3 * own.high,
                      "rounds": len(samples), "correlation": own.correlation, "calls": 1, "launch": 0.0}
        seconds = statistics.median(samples) / 1e3
        row.rates = {unit: work / seconds / 1e9 for unit, work in (("GB/s", race.bytes), ("GFLOP/s", race.flops)) if work}
        if base:
            ratio = of_ratio(samples, base, CONFIDENCE)
            row.ratio = {f: getattr(ratio, f) for f in ("median", "low", "high", "confidence", "rounds", "correlation")}


def off(found, expected):
    """The largest difference relative to the largest entry."""
    if not expected.numel():
        return 0.0
    return (found - expected).abs().max().item() / max(expected.abs().max().item(), 1e-30)
