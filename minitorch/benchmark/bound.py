"""The least time that a launch can take on a named GPU, from what the simulator counts.  A bound, not a time: no kernel is faster, most are slower.

    bound(counts(kernel, grid, block, args), "H100")

    arithmetic       operations of each kind at the published rate of its units
    memory           bytes read and written, each once, at the bandwidth of memory: caches are cold, and what is written goes there
    on chip          turns of shared memory's banks, and 128 bytes a turn through the L1 cache, which is the same memory
    issue            memory instructions, barriers, and 64 operations a warp's instruction, four of which begin in a clock
    latency          waves of blocks, of which each waits for a load: 180 cycles for the first, from L2, then 28, from L1 (the shortest that
                     were measured on V100 to H100: arXiv 1804.06826, 1903.07486, 2208.11174, 2402.13499)

Arithmetic, on chip and issue are those of the busiest multiprocessor: it has ceil(blocks / multiprocessors) blocks of equal work, or,
with even=False, at least a multiprocessor's share.  Memory instructions are those that the host's compiler left, a thread's neighbouring
ones taken as one of up to 16 bytes (Profile.least).  Launching takes some microseconds more, and is in no bound.
"""
import contextlib
import dataclasses
import math

from .counts import Counts
from .devices import Device, named
from .occupancy import Occupancy, occupancy, waves

FIRST_LOAD, LATER_LOAD = 180, 28                     # cycles
TURN = 128                                           # bytes a clock of shared memory and L1 cache
LINES = 4                                            # sectors in a turn
PATH = 64                                            # bytes a clock from L2 to a multiprocessor (NVIDIA A100 architecture, 2020)
ISSUED = 4                                           # instructions a clock


@dataclasses.dataclass(frozen=True)
class Bound:
    """limits: {what: seconds that the launch takes at least}.  resources: {"registers", "shared", "spills"}, or None: NVRTC is missing.

    tail: how much longer the busiest multiprocessor works than the mean.  waves: of blocks, the last perhaps in part.
    """
    counts: Counts
    device: Device
    limits: dict
    occupancy: Occupancy
    waves: float
    tail: float
    resources: dict | None
    unknown: str = ""                                # why resources are

    @property
    def seconds(self):
        """The largest of the limits."""
        return max(self.limits.values())

    @property
    def limit(self):
        """Which of the limits that is."""
        return max(self.limits, key=self.limits.get)

    @property
    def flops_per_second(self):
        """Operations per second, at most."""
        return sum(self.counts.flops.values()) / self.seconds if self.seconds else math.inf

    def as_dict(self):
        """Plain data for JSON."""
        return {**self.counts.as_dict(), "device": self.device.name, "limits": self.limits, "seconds": self.seconds, "limit": self.limit,
                "occupancy": self.occupancy.share, "blocks_per_multiprocessor": self.occupancy.blocks, "limited_by": self.occupancy.limited_by,
                "waves": self.waves, "tail": self.tail, "resources": self.resources, "unknown": self.unknown}

    def __str__(self):
        return table([self])


def bound(counts, device, resources=..., even=True):
    """The Bound of one launch's Counts on a Device or its name.

    resources: {"registers", "shared" (static)} of the compiled kernel; left out: NVRTC's, where that is installed.
    even: whether all blocks do equal work.  ValueError for a kernel or a block that the device cannot run.
    """
    device, why = named(device), ""
    if not device.runs(counts.kernel.arch):
        raise ValueError(f"{counts.kernel.name} needs {counts.kernel.arch}, {device.name} is {device.arch}")
    if resources is ...:
        resources, why = compiled(counts.kernel, device)
    known = resources or {}
    held = occupancy(device, counts.threads, known.get("registers"), known.get("shared", 0) + counts.shared_mem)
    if not held.blocks:
        raise ValueError(f"{counts.kernel.name}: no block of it fits on a multiprocessor of {device.name}")
    tail = math.ceil(counts.blocks / device.multiprocessors) if even else max(1, counts.blocks / device.multiprocessors)
    tail *= device.multiprocessors / counts.blocks
    cycle = tail / device.multiprocessors / device.clock                 # of the busiest multiprocessor, when so much is done by all
    ordinary = sum(n for kind, n in counts.flops.items() if kind in ("float32", "float64"))
    round_ = waves(device, counts.blocks, held.blocks)
    limits = {
        "arithmetic": tail * max((n / rate_of(device, kind) for kind, n in counts.flops.items()), default=0.0),
        "memory": max(counts.moved / device.bandwidth, counts.read / (PATH * min(counts.blocks, device.multiprocessors) * device.clock)),
        "on chip": (counts.least_banks + counts.least_sectors / LINES) * cycle,
        "issue": (counts.least_accesses + counts.barriers + ordinary / 64) / ISSUED * cycle,
        "latency": (FIRST_LOAD + LATER_LOAD * (math.ceil(round_) - 1)) / device.clock if counts.read else 0.0,
    }
    return Bound(counts, device, limits, held, round_, tail, resources, why)


def rate_of(device, kind):
    """Operations per second of a kind; ValueError where the device has no figure."""
    if kind not in device.flops:
        raise ValueError(f"{device.name} has no published rate for {kind}: it has {', '.join(device.flops)}")
    return device.flops[kind]


def compiled(kernel, device):
    """({"registers", "shared", "spills"}, "") of a kernel by NVRTC for a device, or (None, why not)."""
    from ..kernels import nvrtc
    from ..kernels.device import CompileError
    try:
        found = nvrtc.compiled(kernel, kernel.arch or device.arch)
    except ImportError as error:
        return None, str(error)
    except CompileError as error:
        with contextlib.suppress(IndexError):
            return None, f"NVRTC does not compile it for {device.arch}: {str(error).splitlines()[0]}"
        return None, f"NVRTC does not compile it for {device.arch}"
    return {name: found[name] for name in ("registers", "shared", "spills")}, ""


# ---- printed -----------------------------------------------------------------------------------------------------------

HEAD = ("kernel", "blocks", "threads", "registers", "shared", "occupancy", "waves", "FLOP", "bytes", "FLOP/byte", "sectors / ideal",
        "turns / ideal", "arithmetic", "memory", "on chip", "issue", "latency", "at least", "limit")


def cells(b):
    """A row of the table, in HEAD's order; times in microseconds."""
    c, known = b.counts, b.resources or {}
    return (c.kernel.label.split("[")[0], str(c.blocks), str(c.threads), str(known.get("registers", "?")),
            str(known["shared"] + c.shared_mem) if known else f"{c.shared_mem} + ?",
            f"{'' if known else '<= '}{b.occupancy.share:.0%}", f"{b.waves:.2f}", f"{sum(c.flops.values()):.4g}", f"{c.moved:.4g}",
            f"{c.intensity:.3g}", over(c.sectors, c.ideal_sectors), over(c.banks, c.ideal_banks),
            *(f"{b.limits[name] * 1e6:.4g}" for name in ("arithmetic", "memory", "on chip", "issue", "latency")),
            f"{b.seconds * 1e6:.4g} us", b.limit)


def over(n, ideal):
    return f"{n:.4g} / {ideal:.4g}" if ideal else "-"


def table(bounds):
    """Some bounds as text, a row each, with what they are below."""
    rows = [HEAD, *map(cells, bounds)]
    widths = [max(len(r[i]) for r in rows) for i in range(len(HEAD))]
    lines = ["  ".join(x.ljust(w) if i in (0, len(HEAD) - 1) else x.rjust(w) for i, (x, w) in enumerate(zip(r, widths))).rstrip() for r in rows]
    lines += [f"{b.counts.kernel.name}: {b.resources['spills']} bytes of registers are spilled to memory, which no count has"
              for b in bounds if b.resources and b.resources["spills"]]
    lines += sorted({f"registers and static shared memory are unknown: {b.unknown}" for b in bounds if not b.resources})
    return "\n".join([*lines, *sorted({f"Least times in microseconds on {b.device.name}: {b.device.source}" for b in bounds}),
                      "A bound, not a time: no launch is faster, most are slower."])
