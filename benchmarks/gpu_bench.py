"""How contenders are raced on a GPU: in turn in every round, on CUDA events, with the cache written over before each call, and judged after each.

Results are in minitorch.benchmark's schema, so that its pages, plots and comparisons of files read them.  At these sizes a whole reference
in float64 for every call would take minutes.  So before every round inputs are drawn anew, the reference computes in float64, on the
device, what is right at some rows, heads or channels, chosen after the calls' arguments are fixed; there every result of the round
is compared, the timed call's own, and everywhere else it must be finite.  Results are filled with NaN before their memory is given
back: a kernel that writes nothing does not find the right answer there.
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
WARM = 4                                             # rounds whose times do not count
PLACES = 16                                          # rows, heads or channels of a result that are compared
TOLERANCE = {"float32": 2e-4, "float16": 5e-3, "bfloat16": 3e-2}         # of the largest entry
OURS = "ours"


@dataclasses.dataclass
class Race:
    """contenders: {who: call}, of which OURS is the baseline.

    shapes: of the results.  reference(places): for each result (index, what is right there in float64), or a function of what was found
    there in its place; places(n): some of range(n), the first and the last among them.  It is asked once in every round, after renew(),
    which draws inputs anew, and before every contender is called once.  state: results are views of what the next call goes on with.
    flops, bytes: of one call, whichever says more about it; the bytes that must be read and written.  precision: {who: kind} where it is
    narrower than dtype.  tolerance: of the largest entry, if not that of the dtype; a number, or {who: number}.
    """
    name: str
    dtype: str
    contenders: dict
    reference: object
    shapes: list
    renew: object = lambda: None
    flops: float | None = None
    bytes: float | None = None
    precision: dict = dataclasses.field(default_factory=dict)
    tolerance: object = None
    state: bool = False

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
        self.warm = WARM if device == "cuda" else 1
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

    def redraw(self, *tensors):
        """Standard normal numbers anew, in place."""
        for t in tensors:
            t.detach().copy_(self.torch.randn(t.shape, device=self.device, generator=self.generator))

    def places(self, n, count=PLACES):
        """Some of range(n) in order, the first and the last among them, unlike those of the round before."""
        chosen = self.torch.randint(n, (count - 2,), device=self.device, generator=self.generator)
        ends = self.torch.tensor([0, n - 1], device=self.device)
        return self.torch.unique(self.torch.cat([chosen, ends]))

    def run(self, race, seconds):
        """The CaseResult of a race, of at most about so many seconds of rounds."""
        rows = {who: Row(who, race.precision.get(who, race.dtype)) for who in race.contenders}
        worst, sizes, times, start = dict.fromkeys(rows, 0.0), [], {who: [] for who in rows}, None
        for n in range(self.rounds + self.warm):         # of the first ones the times do not count: compiled, tuned, memory taken
            names = [who for who in rows if not rows[who].reasons]
            race.renew()
            expected = race.reference(self.places)
            sizes = [[list(shape), race.dtype] for shape in race.shapes]
            for who in names[n % len(names):] + names[:n % len(names)] if names else []:
                spent, error = self.turn(race, rows[who], expected, "before" if n < self.warm else "during")
                worst[who] = max(worst[who], error)
                if n >= self.warm:
                    times[who].append(spent)
            if n == self.warm:
                start = time.monotonic()
            if n >= self.warm + 7 and time.monotonic() - start > seconds:
                break
        for who, row in rows.items():
            if not row.reasons:
                row.notes.append(f"off by {worst[who]:.2e} of the largest entry at most, {race.allowed(who):.1e} allowed, in every call")
                base = times[OURS] if who != OURS and not rows[OURS].reasons else None
                self.told(race, row, times[who], base)
        return CaseResult(race.name, race.dtype, [], sizes, race.flops, race.bytes or 0, bool(race.bytes), list(rows.values()))

    def turn(self, race, row, expected, when):
        """(milliseconds, largest error) of a contender's call; its Reason goes to the row."""
        try:
            spent, results = self.once(race.contenders[row.provider])
            found = self.tensors(results)
            what, error = self.judged(race, row.provider, found, expected)
            for y in found if not race.state else ():
                y.fill_(float("nan"))
        except Exception as error:                   # a contender that this machine does not have is a line of the report, not its end
            text = str(error).strip().splitlines()
            row.reasons.append(Reason("raised", when, f"{type(error).__name__}: {text[0][:200] if text else ''}"))
            return 0.0, 0.0
        if what:
            row.reasons.append(Reason(*what[:1], when, what[1]))
        return spent, error

    def judged(self, race, who, found, expected):
        """((name, what was seen) of what is wrong or None, largest error) of a contender's results."""
        shapes = [tuple(y.shape) for y in found]
        if shapes != list(map(tuple, race.shapes)):
            return ("shape", f"{shapes} beside {[tuple(s) for s in race.shapes]}"), 0.0
        if not all(bool(self.torch.isfinite(y).all()) for y in found):
            return ("nan", "entries that are NaN, infinite, or were never written"), 0.0
        parts = [y[index] for y, (index, _) in zip(found, expected)]
        error = max((off(y.double(), r(y) if callable(r) else r) for y, (_, r) in zip(parts, expected)), default=0.0)
        if not error <= race.allowed(who):
            return ("wrong", f"off by {error:.2e} of the largest entry, {race.allowed(who):.1e} allowed"), error
        return None, error

    def once(self, call):
        """(milliseconds, results) of one call."""
        self.room.zero_()
        start, end = (self.torch.cuda.Event(enable_timing=True) if self.device == "cuda" else HostEvent() for _ in range(2))
        start.record()
        results = call()
        end.record()
        end.synchronize()
        return start.elapsed_time(end), results

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


# ---- calls -------------------------------------------------------------------------------------------------------------------

def ladder(f, *arrays, versions, **params):
    """{"ours: VERSION": call} for steps of a kernel."""
    return {f"{OURS}: {v}": lambda v=v: f(*arrays, version=v, **params) for v in versions}


def grads(torch, out, inputs, g):
    """A call that gives the gradients of `out` again and again."""
    return lambda: torch.autograd.grad(out, inputs, g, retain_graph=True)


def leaves(*tensors, wide=False):
    """Copies to differentiate by; wide: in float64."""
    return [(t.double() if wide else t).detach().clone().requires_grad_() for t in tensors]
