"""What a ratio of times is worth: the interval within which another run's figure would land.

Samples of one run are not independent: a busy neighbour, a clock that falls, a cache that fills last longer than a sample.  So the
rounds are cut into batches, and the scatter of the batches' medians says how far medians scatter (the method of batch means);
the resemblance of neighbouring rounds says it another way; the wider answer holds.  Another run scatters as much as this one,
hence the square root of 2.  Drifts slower than a whole run are in no interval: only runs at other times show them.
"""
import dataclasses
import functools
import math
import statistics

import numpy as np

BATCHES = 10


@dataclasses.dataclass(frozen=True)
class Interval:
    """`confidence` of all repetitions give a figure between low and high; this one gave median."""
    median: float
    low: float
    high: float
    confidence: float
    rounds: int
    correlation: float                               # of one round with the next

    def agrees(self, other):
        """Whether two figures of the same thing are as near to each other as both intervals promise."""
        a, b = math.log(self.median), math.log(other.median)
        width = (max(math.log(self.high) - a, a - math.log(self.low)) ** 2 + max(math.log(other.high) - b, b - math.log(other.low)) ** 2) / 2
        return abs(a - b) <= math.sqrt(width) * (1 + 1e-12)

    def __str__(self):
        return f"{self.median:.3g} ({self.low:.3g} to {self.high:.3g})"


def of_ratio(times, base, confidence=0.95):
    """The Interval of the median of times[i] / base[i], both measured in the same round i."""
    return of_positive([t / b for t, b in zip(times, base)], confidence)


def of_positive(values, confidence=0.95, batches=BATCHES):
    """The Interval of the median of positive numbers measured one after the other.  ValueError for fewer than eight."""
    if len(values) < 8:
        raise ValueError(f"{len(values)} rounds are too few for an interval: at least 8")
    logs = np.log(np.asarray(values, float))
    batches = min(batches, len(logs) // 4)
    medians = np.array([np.median(b) for b in np.array_split(logs, batches)])
    centre = float(np.median(logs))
    lag = correlation(medians)
    batched = student(confidence, batches - 1) * medians.std(ddof=1) * math.sqrt(inflation(lag) / batches)
    tame = np.clip(logs, *np.quantile(logs, (0.05, 0.95)))               # lone spikes would hide how slow samples follow slow ones
    single = correlation(tame)
    spread = float(np.subtract(*np.quantile(logs, (0.75, 0.25)))) / 1.349
    carried = statistics.NormalDist().inv_cdf((1 + confidence) / 2) * spread * math.sqrt(math.pi / 2 * inflation(single) / len(logs))
    low, high = order_statistics(np.sort(logs), confidence)
    resolution = 1e-4                                # a clock's own steps
    width = math.sqrt(2) * max(batched, carried, resolution)
    below, above = (max(width, math.sqrt(2) * d) for d in (centre - low, high - centre))
    return Interval(math.exp(centre), math.exp(centre - below), math.exp(centre + above), confidence, len(logs), single)


def correlation(x):
    """The correlation of a series with itself one step later, corrected for the shortness of the series."""
    d = x - x.mean()
    total = float(d @ d)
    if total == 0 or len(x) < 3:
        return 0.0
    found = float(d[1:] @ d[:-1]) / total
    return min(0.98, found + (1 + 3 * max(found, 0)) / len(x))


def inflation(lag):
    """By how much the variance of a mean exceeds that of independent values, for a first-order process."""
    return (1 + lag) / (1 - lag) if lag > 0 else 1.0


def order_statistics(ordered, confidence):
    """The interval of the median of independent values: between two of them in order, by the binomial distribution."""
    n = len(ordered)
    half = statistics.NormalDist().inv_cdf((1 + confidence) / 2) * math.sqrt(n) / 2
    i = max(0, math.floor(n / 2 - half) - 1)
    return float(ordered[i]), float(ordered[n - 1 - i])


@functools.cache
def student(confidence, freedom):
    """The two-sided quantile of Student's t, by its density integrated (exact to about 1e-4)."""
    t = np.linspace(0, 200, 400_001)
    density = (1 + t * t / freedom) ** (-(freedom + 1) / 2)
    mass = np.concatenate([[0], np.cumsum((density[1:] + density[:-1]) / 2)])
    whole = math.sqrt(freedom * math.pi) * math.gamma(freedom / 2) / math.gamma((freedom + 1) / 2) / 2 / (t[1] - t[0])
    return float(np.interp(confidence, mass / whole, t))


def summary(samples):
    """Median, quantiles and extremes of some times, in their unit."""
    q = np.quantile(samples, (0.2, 0.5, 0.8))
    return {"median": float(q[1]), "p20": float(q[0]), "p80": float(q[2]), "min": float(np.min(samples)), "max": float(np.max(samples))}
