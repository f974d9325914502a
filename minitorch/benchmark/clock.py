"""Time on the host: rounds in which every contender has its turn, on numbers that nobody has seen.

A sample is the time of a group of calls, as many as make the clock's own steps small, each on inputs of its own; drawing,
guarding and judging happen outside.  Cold: a buffer larger than the last cache is written before each sample, of one call.
"""
import contextlib
import gc
import os
from pathlib import Path

import numpy as np

from . import watch

SAMPLE = 50_000                                      # nanoseconds that a sample should take at least
LARGEST_GROUP = 32


def sample(calls, params):
    """(nanoseconds, raw results, nanoseconds of another clock, of each call) of some calls, one after the other; their exceptions pass."""
    now, other, raw, ends = watch.nanoseconds, watch.second_clock, [], []
    add, done, jobs = raw.append, ends.append, [(c.provider.call, c.given) for c in calls]
    collecting = gc.isenabled()
    gc.disable()
    try:
        before = other()
        start = now()
        for call, given in jobs:
            add(call(given, params))
            done(now())
        end = now()
        after = other()
    finally:
        if collecting:
            gc.enable()
    return end - start, raw, after - before, [b - a for a, b in zip([start, *ends], ends)]


def uneven(groups):
    """(which call of a group, its share of the group's time) where one does the work of all; None where calls take their own time.

    groups: nanoseconds of each call of many groups.  Of each place the median counts.  The first call may take longer, as caches and
    branches are not used to it: so it must be more than half, and six times the others.
    """
    middle = np.median(groups, 0)
    at = int(middle.argmax())
    if len(middle) < 2 or middle[at] < max(middle.sum() / 2, 6 * np.median(np.delete(middle, at))):
        return None
    return at, float(middle[at] / middle.sum())


def clocks_disagree(pairs):
    """(nanoseconds by one clock, by the other) in the middle of all samples where they differ by more than chance; else None.

    The middle is that of their differences: between the two readings of a sample the system may give the processor to somebody else.
    """
    pairs = np.array(pairs, float)
    one, apart = np.median(pairs[:, 0]), np.median(pairs[:, 1] - pairs[:, 0])
    return (float(one), float(one + apart)) if abs(apart) > 0.02 * max(one, one + apart) + 5_000 else None


def overhead(params):
    """Nanoseconds per call of the loop itself: a call that does nothing."""
    class Nothing:
        given = ()

        class provider:
            @staticmethod
            def call(given, params):
                return None
    return min(sample([Nothing] * LARGEST_GROUP, params)[0] for _ in range(20)) / LARGEST_GROUP


def group_size(nanoseconds):
    return int(min(LARGEST_GROUP, max(1, -(-SAMPLE // max(1, nanoseconds)))))


class Flush:
    """A buffer to write before each cold sample, so that no cache holds the inputs."""

    def __init__(self, cold):
        self.room = np.zeros(min(2 * last_cache(), 256 << 20) // 8) if cold else None

    def __call__(self):
        if self.room is not None:
            np.add(self.room, 1.0, out=self.room)


def last_cache():
    """Bytes of the largest cache that this process's processor shows; 32 MiB where it shows none."""
    found = []
    for path in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size"):
        with contextlib.suppress(OSError, ValueError):
            text = path.read_text().strip()
            found.append(int(text.rstrip("KMG")) << {"K": 10, "M": 20, "G": 30}.get(text[-1:], 0))
    return min(max(found, default=32 << 20), 256 << 20)


def pinned():
    """The processors that this process may run on, and whether that is one."""
    allowed = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))
    return {"processors": allowed, "pinned": len(allowed) == 1}
