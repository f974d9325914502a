"""The slope of a function of one number at 0, with an error bar, and whether it has one.

Central differences D(h) = (F(h) - F(-h)) / 2h over falling steps: their error is of order h^2 from above and noise / h from below.
Two neighbours extrapolated to h = 0 (Richardson) give a value, and how much they differ a bound; the best of all wins, so that no
step needs to be chosen.  A sweep begins with five steps, down to a hundred-thousandth, and goes on to smaller ones while they may
tell more: as long as the slope is not known, or not as claimed, or a kink or a jump shows.

The noise is measured from the same values: of three neighbouring steps the combinations that no a h + b h^3 changes in
F(h) - F(-h), and no a h^2 + b h^4 in F(h) + F(-h).

One-sided slopes that stay apart as h shrinks mean a kink, differences that stay finite a jump.  Several functions (the columns
of F's values) are followed at once: evaluating F is what costs.
"""
import dataclasses

import numpy as np

FIRST, COUNT, MOST = 0.1, 5, 13                      # the largest step (in float64), the steps of a sweep's beginning, and of its end
DOUBLE = float(np.finfo("f8").eps)
FINE, FAIR = 1e-7, 1e-4                              # relative error bars: small enough to stop at once, or where noise is in sight


@dataclasses.dataclass
class Slopes:
    """What was found for each of K functions."""
    value: np.ndarray                                # (K,)
    error: np.ndarray                                # (K,) its bound
    noise: np.ndarray                                # (K,) of the function's values
    kind: list                                       # (K,) "smooth", "kink", "jump" or "not finite"
    step: float                                      # of the best value, in the median
    steps: np.ndarray                                # (J,) all that were taken, falling
    odd: np.ndarray                                  # (J, K) (F(h) - F(-h)) / 2
    even: np.ndarray                                 # (J, K) F(h) + F(-h)
    change: np.ndarray                               # (K,) the largest |F(h)| / h beyond noise: what the function does nearby

    def remainder_order(self, slope):
        """(K,) the power of h with which (F(h) - F(-h)) / 2 - h slope shrinks: 3 for the right slope, 1 for a wrong one; NaN: all noise."""
        rest = np.abs(self.odd - self.steps[:, None] * slope)
        orders = np.full(len(slope), np.nan)
        for k in range(len(slope)):
            seen = [j for j in range(len(self.steps)) if rest[j, k] > 30 * self.noise[k] and np.isfinite(rest[j, k])]
            pairs = [(j, i) for i, j in zip(seen[1:], seen) if i == j + 1]
            if pairs:
                orders[k] = np.median([np.log(rest[j, k] / rest[i, k]) / np.log(self.steps[j] / self.steps[i]) for j, i in pairs[-2:]])
        return orders

    def agrees(self, k, claim):
        """Whether a claim lies within the error bar."""
        return abs(self.value[k] - claim.value) <= claim.bound(self.error[k])

    def tells(self, k, claim, fair):
        """Whether function k is smooth, and its slope well known and as claimed, or both are nothing."""
        if self.change[k] == claim.size == 0:
            return True
        return self.kind[k] == "smooth" and self.agrees(k, claim) and self.error[k] <= fair * claim.scale(self.value[k])

    def one_sided(self, k):
        """(slope to the left, slope to the right) of function k, at the smallest step at which they stand out from its noise."""
        clear = np.flatnonzero(np.abs(self.even[:, k]) > 100 * self.noise[k])
        j = clear[-1] if len(clear) else 0
        mean, half = self.odd[j, k] / self.steps[j], self.even[j, k] / 2 / self.steps[j]
        return mean - half, mean + half

    def moves_in_stairs(self, k, claim):
        """Whether F stands still close to 0, exactly, and goes as claimed further out: a function rounded to few digits."""
        still = self.odd[-1, k] == self.even[-1, k] == 0
        with np.errstate(invalid="ignore"):
            return bool(still and np.min(np.abs(self.odd[:2, k] / self.steps[:2] - claim.value)) <= 0.1 * claim.size)


def slopes(F, floor, unit, claims, around=None, most=COUNT):
    """The slopes at 0 of F(t) -> (K,), with F(0) = 0.

    floor: (K,) the least noise that rounding leaves in F.  unit: the relative rounding error of its arithmetic.
    claims: (K,) what the slopes are said to be: a sweep ends early only where it agrees.  around: the Slopes of a like function,
    of whose steps the best and its neighbours may be enough.  most: how many steps to try there, before a sweep from the top.
    """
    digits = min(1.0, np.log(unit) / np.log(DOUBLE))                       # as a share of float64's: with fewer, larger and closer steps
    first, ratio, fair = FIRST ** digits, 10.0 ** digits, max(FAIR, 16 * unit)
    if around is not None:
        found = sweep(F, around.step * ratio ** np.array([1.0, 0.0, -1.0]), ratio, most, floor, claims, fair, around.noise)
        if all(found.tells(k, c, fair) for k, c in enumerate(claims)):
            return found
    return sweep(F, first * ratio ** -np.arange(COUNT, dtype="f8"), ratio, MOST, floor, claims, fair)


def sweep(F, steps, ratio, most, floor, claims, fair, noise=None):
    """The Slopes from these steps and up to `most`, each smaller by `ratio`; noise: what is known of it from elsewhere."""
    steps, odd, even = follow(F, steps)
    while True:
        found = concluded(steps, odd, even, floor, noise)
        if len(steps) >= most or not worth_going_on(found, floor, claims, fair, steps[-1] / ratio):
            return found
        more = follow(F, steps[-1:] / ratio)
        steps, odd, even = (np.concatenate(pair) for pair in zip((steps, odd, even), more))


def follow(F, steps):
    """(steps, odd part, even part) of F there."""
    up, down = np.stack([F(h) for h in steps]), np.stack([F(-h) for h in steps])
    with np.errstate(invalid="ignore"):
        return steps, (up - down) / 2, up + down


def concluded(steps, odd, even, floor, noise=None):
    """The Slopes that these values mean; noise: what is known of it from elsewhere."""
    noise = floor if noise is None else noise
    noise_of_odd = np.fmax(noise, np.fmax.reduce(blurs(steps, odd, 1)[-3:], axis=0))
    noise = np.fmax(noise_of_odd, np.fmax.reduce(blurs(steps, even / 2, 2)[-3:], axis=0))
    value, error, used = extrapolated(steps, odd, noise)
    with np.errstate(invalid="ignore", over="ignore"):
        change = (np.abs(odd) + np.abs(even) / 2 - 4 * noise) / steps[:, None]
        change = np.nanmax(np.where(steps[:, None] >= used, change, 0.0), axis=0, initial=0.0)
    kinds = [kind_of(steps, odd[:, k], even[:, k], noise_of_odd[k], floor[k]) for k in range(len(floor))]
    return Slopes(value, error, noise, kinds, float(np.median(used)), steps, odd, even, change)


def blurs(steps, values, power):
    """(J - 2, K) what is left of values at three neighbouring steps once a h^power + b h^(power + 2) is taken away, on the scale
    of one value's noise.
    """
    rows = []
    for j in range(len(steps) - 2):
        h = steps[j:j + 3] / steps[j]
        w = np.cross(h ** power, h ** (power + 2))
        with np.errstate(invalid="ignore", over="ignore"):
            rows.append(np.abs(w @ values[j:j + 3]) / np.sqrt(w @ w))
    return np.array(rows)


def extrapolated(steps, odd, noise):
    """(value, error bound, smallest step used), each (K,), of the best of all differences and of their extrapolations."""
    h = steps[:, None]
    with np.errstate(invalid="ignore", over="ignore"):
        D, blur = odd / h, noise / h
        q = (h[:-1] / h[1:]) ** 2
        R = (q * D[1:] - D[:-1]) / (q - 1)
        blur_of_R = np.hypot(q * blur[1:], blur[:-1]) / (q - 1)
        apart = np.abs(R - D[1:])                    # R's step away from the nearer difference: the error of that one, ...
        apart[1:] = np.fmax(apart[1:], np.abs(R[1:] - R[:-1]) / q[1:])     # ... if by now the extrapolations converge
        values = np.concatenate([R, D[1:]])
        errors = np.concatenate([np.maximum(apart, 2 * blur_of_R), 2 * np.maximum(apart, blur[1:])])
        smaller = [*range(2, len(steps) + 1)] * 2    # the steps below those that a value rests on
        for i, j in enumerate(smaller):              # must agree with it, as far as their noise lets them tell
            if j < len(steps):
                rest = np.abs(values[i] - D[j:]) - 4 * blur[j:]
                errors[i] = np.fmax(errors[i], np.fmax.reduce(rest, axis=0))
        errors = np.where(np.isfinite(values) & np.isfinite(errors), errors, np.inf)
    i, k = errors.argmin(axis=0), np.arange(D.shape[1])
    return values[i, k], errors[i, k], np.tile(steps[1:], 2)[i]


def worth_going_on(found, floor, claims, fair, step):
    """Whether the next smaller step could tell more about any of the functions."""
    latest = np.fmax(blurs(found.steps, found.odd, 1)[-1], floor)
    for k, claim in enumerate(claims):
        seen, error, agrees = claim.scale(found.value[k]), found.error[k], found.agrees(k, claim)
        known = agrees and (error <= FINE * seen or error <= 1e-9 * found.change[k])
        hopeless = 2 * floor[k] / step >= max(error, abs(found.value[k] - claim.value))
        if unsettled(found, k, latest[k], floor[k]):
            return True
        if known or hopeless:
            continue
        if not agrees or error > fair * seen or 20 * latest[k] / step < error:
            return True
    return False


def unsettled(found, k, noise, floor):
    """Whether at the smallest steps F looks as if it had a kink or a jump at 0, which may yet turn out to lie beside it."""
    odd, even, steps = found.odd[-3:, k], found.even[-3:, k], found.steps[-3:]
    if not np.isfinite(odd).all() or not np.isfinite(even).all():
        return False
    if np.abs(odd[2]) > 1000 * floor and alike(odd, 0.1):
        return True
    apart = even / steps
    return bool(np.abs(even[2]) > 4 * noise and alike(apart, 0.5) and np.abs(apart[2]) > 1e-7 * abs(found.value[k]))


def alike(values, share):
    """Whether numbers in a row change little from each to the next."""
    return bool((np.abs(np.diff(values)) <= share * np.abs(values[:-1])).all())


def kind_of(steps, odd, even, noise, floor):
    """Whether a function is smooth at 0, seen at the smallest steps at which it towers above its noise."""
    if not np.isfinite(odd).any():
        return "not finite"
    if len(steps) < 4:
        return "smooth" if np.isfinite(odd).all() else "not finite"
    if alike(odd[-4:], 0.1) and np.abs(odd[-4:]).min() > 1000 * floor:
        return "jump"
    with np.errstate(invalid="ignore", divide="ignore"):
        apart, slope = even / steps, np.abs(odd) / steps                   # between the one-sided slopes; the mean slope
        clear = [j for j in range(len(steps)) if np.abs(even[j]) > 100 * noise and np.isfinite(even[j])]
    if len(clear) < 3 or clear[-1] < len(steps) - 3 or clear[-3] != clear[-1] - 2:
        return "smooth"
    if alike(even[clear[-3:]], 0.1):
        return "jump"
    return "kink" if alike(apart[clear[-3:]], 0.5) and np.abs(apart[clear[-1]]) > 1e-7 * slope[clear[-1]] else "smooth"
