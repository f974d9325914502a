"""The slope of a function of one number at 0, with an error bar, and whether it has one.

Central differences D(h) = (F(h) - F(-h)) / 2h over a sweep of steps, each a tenth of the one before: their error is of order h^2
from above and noise / h from below.  Two neighbours extrapolated to h = 0 (Richardson) give a value, and how much they differ a
bound; the pair with the smallest bound wins, so that no step needs to be chosen.  The noise is measured, from second
differences at steps of a few rounding units (More and Wild 2011).

One-sided slopes that stay apart as h shrinks mean a kink, differences that stay finite a jump.  Several functions (the columns
of F's values) are followed at once: evaluating F is what costs.
"""
import dataclasses

import numpy as np

RATIO = 10.0
FIRST, LAST, SMALLEST = -1, -8, -14                  # the sweep in powers of ten, and how far it goes on where it must


@dataclasses.dataclass
class Slopes:
    """What was found for each of K functions."""
    value: np.ndarray                                # (K,)
    error: np.ndarray                                # (K,) its bound
    noise: np.ndarray                                # (K,) of the function's values
    kind: list                                       # (K,) "smooth", "kink", "jump" or "not finite"
    step: float                                      # of the best pair
    steps: np.ndarray                                # (J,) all that were taken, falling
    central: np.ndarray                              # (J, K) (F(h) - F(-h)) / 2
    bend: np.ndarray                                 # (J, K) F(h) - 2 F(0) + F(-h)
    change: np.ndarray                               # (K,) the largest |F(h) - F(0)| over its step: what the function does nearby

    def remainder_order(self, slope):
        """(K,) the power of h with which (F(h) - F(-h)) / 2 - h slope shrinks: 3 for the right slope, 1 for a wrong one; NaN: all noise."""
        rest = np.abs(self.central - self.steps[:, None] * slope)
        orders = np.full(len(slope), np.nan)
        for k in range(len(slope)):
            seen = [j for j in range(len(self.steps)) if rest[j, k] > 30 * self.noise[k] and np.isfinite(rest[j, k])]
            pairs = [(j, i) for i, j in zip(seen[1:], seen) if i == j + 1]
            if pairs:
                orders[k] = np.median([np.log(rest[j, k] / rest[i, k]) / np.log(self.steps[j] / self.steps[i]) for j, i in pairs[-2:]])
        return orders


def slopes(F, at_zero, unit, around=None, noise=None):
    """The slopes of F(t) -> (K,) at 0.

    at_zero: F(0).  unit: the relative rounding error of its arithmetic.  around: a step that was best for a like function, to
    take only its neighbours.  noise: (K,) known from there.
    """
    at_zero = np.asarray(at_zero, "f8")
    noise = measured_noise(F, at_zero, unit) if noise is None else noise
    last = np.log10(unit) / 2                        # half the digits
    powers = list(np.arange(FIRST, min(LAST, last - 0.1), -1.0)) if around is None else [np.log10(around) + i for i in (1, 0, -1)]
    if around is None and last > LAST:
        powers = list(np.linspace(FIRST, last - 1, 8))
    found = follow(F, powers, at_zero)
    value, error, best = extrapolated(found, noise)
    while around is None and found[0][-1] > 10.0 ** (SMALLEST + 1) and worth_going_on(value, error, noise, found[0][-1] / RATIO):
        found = tuple(np.concatenate(pair) for pair in zip(found, follow(F, [np.log10(found[0][-1]) - 1], at_zero)))
        value, error, best = extrapolated(found, noise)
    steps, central, bend = found
    with np.errstate(invalid="ignore", over="ignore"):
        change = np.nanmax((np.abs(central) + np.abs(bend) / 2) / steps[:, None], axis=0, initial=0.0)
    kinds = [kind_of(steps, central[:, k], bend[:, k], noise[k], at_zero[k]) for k in range(len(at_zero))]
    return Slopes(value, error, noise, kinds, steps[best], steps, central, bend, change)


def measured_noise(F, at_zero, unit):
    """(K,) the size of the rounding errors in F, of its values and of its inputs: second differences at steps of a few rounding units."""
    values = np.stack([F(k * 32 * unit) for k in (1, 2, 3, 4)])
    with np.errstate(invalid="ignore"):
        measured = np.abs(np.diff(values, 2, axis=0)).max(axis=0) / np.sqrt(6)
        inputs = np.abs(values[3] - values[0]) / 96                       # what one rounding unit in every input does
    return np.where(np.isfinite(measured + inputs), measured + inputs + unit / 2 * np.abs(at_zero), np.inf)


def follow(F, powers, at_zero):
    """(steps, central, bend) at steps 10^power."""
    steps = np.array([10.0 ** p for p in powers])
    up, down = np.stack([F(h) for h in steps]), np.stack([F(-h) for h in steps])
    with np.errstate(invalid="ignore"):
        return steps, (up - down) / 2, up + down - 2 * at_zero


def extrapolated(found, noise):
    """(value, error bound, number of the winning pair's smaller step)"""
    steps, central, _ = found
    with np.errstate(invalid="ignore", over="ignore"):
        D = central / steps[:, None]
        q = (steps[:-1] / steps[1:])[:, None] ** 2
        R = (q * D[1:] - D[:-1]) / (q - 1)
        blur = noise / steps[:, None]
        E = np.maximum(np.abs(R - D[1:]), 2 * blur[1:])
        for j in range(len(R)):                      # smaller steps must agree, as far as their noise lets them tell
            rest = np.abs(R[j] - D[j + 1:]) - 4 * blur[j + 1:]
            E[j] = np.fmax(E[j], np.fmax.reduce(rest, axis=0))
        E = np.where(np.isfinite(R) & np.isfinite(E), E, np.inf)
    j = E.argmin(axis=0)
    k = np.arange(D.shape[1])
    value, error = R[j, k], E[j, k]
    return value, error, 1 + int(np.bincount(j).argmax())


def worth_going_on(value, error, noise, step):
    """Whether a slope is known badly, and a smaller step has less noise than that."""
    with np.errstate(invalid="ignore"):
        bad = ~(error <= 1e-6 * np.abs(value)) & (error > 0)
        return bool((bad & ~(20 * noise / step >= error)).any())


def kind_of(steps, central, bend, noise, at_zero):
    """Whether a function is smooth at 0, seen at the steps that tower above its noise."""
    if not np.isfinite(at_zero):
        return "not finite"
    with np.errstate(invalid="ignore", divide="ignore"):
        apart, slope = np.abs(bend) / steps, np.abs(central) / steps       # between the one-sided slopes; the mean slope
        clear = [j for j in range(len(steps)) if apart[j] > 100 * noise / steps[j] and np.isfinite(apart[j])]
        growing = [j for j in range(len(steps)) if np.abs(central[j]) > 100 * noise and np.isfinite(central[j])]
    if not any(np.isfinite(central)):
        return "not finite"
    if stays(growing, np.abs(central), len(steps), 0.5):
        return "jump"
    if stays(clear, apart, len(steps), 0.5) and apart[clear[-1]] > 1e-7 * slope[clear[-1]]:
        return "jump" if stays(clear, np.abs(bend), len(steps), 0.5) else "kink"
    return "smooth"


def stays(seen, values, count, share):
    """Whether values, seen at consecutive steps down to (nearly) the smallest, do not shrink with the step."""
    if len(seen) < 3 or seen[-1] < count - 3 or seen[-3] != seen[-1] - 2:
        return False
    a, b, c = (values[j] for j in seen[-3:])
    return b > share * a and c > share * b
