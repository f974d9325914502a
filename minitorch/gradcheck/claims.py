"""What the code under test claims of the slope along a direction, and how far the rounding in that claim may reach.

Reverse mode claims gradients J^T u, once for each set of cotangents; forward mode claims J d, once for each direction.
The rounding is measured: the claim is asked for a second time, at a point a few rounding units away.
"""
import dataclasses

import numpy as np

from ..backend import to_numpy, xp
from .directions import signed
from .report import NOT_FINITE, WRONG


def nudge(unit):
    """A step of some rounding units that changes little else."""
    return min(64 * unit, max(1e-4, 2 * unit))



@dataclasses.dataclass
class Claim:
    """The claimed slope along one direction for one set of cotangents."""
    value: float
    size: float                                      # of its terms, which signs cannot cancel
    own: float                                       # what rounding may have done to it

    def scale(self, value):
        """The scale of the slope, however its terms cancel, where differences give `value`."""
        return max(abs(value), self.size)

    def bound(self, error):
        """How far a slope known up to `error` may lie from the claim if the claim is right."""
        return 4 * error + self.own + 1e-10 * self.size

    @classmethod
    def of(cls, terms, shaken, unit):
        """From arrays of terms, and of how much they changed at the nudged point."""
        value = sum(float(t.sum()) for t in terms)
        size = float(np.sqrt(sum(np.vdot(t, t) for t in terms)))
        changed = abs(sum(float(t.sum()) for t in shaken)) + 4 * float(np.sqrt(sum(np.vdot(t, t) for t in shaken)))
        return cls(value, size, changed + 4 * unit * size)


class Gradients:
    """Claims of reverse mode."""

    def __init__(self, check):
        self.check = check
        self.gradients = [self.pull(us) for us in check.cotangents]        # [set of cotangents][input]
        self.shaken = None                           # how much they change a few rounding units away
        for r, gs in zip(check.reports, zip(*self.gradients)):
            shape = next((g.shape for g in gs if g.shape != r.shape), None)
            if any(not np.isfinite(g).all() for g in gs):
                r.verdict, r.note = NOT_FINITE, "the claimed gradient holds NaN or infinity"
            elif shape is not None:
                r.verdict, r.note = WRONG, f"the claimed gradient has shape {shape}, the input {r.shape}"
                r.bug = "a missing sum over broadcast axes" if np.prod(shape) > np.prod(r.shape) else ""

    def pull(self, us, arrays=None):
        """The claimed gradients for a set of cotangents, in float64."""
        arrays = self.check.arrays if arrays is None else arrays
        wide = self.check.shadow and all(a.dtype == np.float64 for a in arrays)
        us = [xp(arrays[0]).asarray(u if wide else u.astype(d, copy=False)) for u, d in zip(us, self.check.dtypes)]
        return [np.zeros(a.shape) if g is None else to_numpy(g).astype("f8", copy=False) for g, a in zip(self.check.problem.pull(arrays, us), arrays)]

    def along(self, d):
        """A Claim for each set of cotangents."""
        if self.shaken is None:
            nudged = [self.pull(us, self.check.moved(nudge(self.check.unit), d)) for us in self.check.cotangents]
            self.shaken = [[b - a for a, b in zip(*pair)] for pair in zip(self.gradients, nudged)]
        return [Claim.of([g * v for g, v in zip(gs, d) if v is not None], [g * v for g, v in zip(rest, d) if v is not None], self.check.unit)
                for gs, rest in zip(self.gradients, self.shaken)]

    def share(self, i):
        """The size of what input i contributes to the slopes when it moves by its scale."""
        return self.check.scales[i] * float(np.sqrt(sum(np.vdot(gs[i], gs[i]) for gs in self.gradients)))

    def drowned(self, i):
        """Whether a mistake of a thousandth in this input's share would have gone unseen among the others', in any set of cotangents."""
        d = self.check.reports[i].evidence[0]
        shares = np.array([float(np.sqrt(np.vdot(v := gs[i] * d, v))) for gs in self.gradients])
        return not shares.any() or bool(((shares > 0) & (shares * 1e-3 < self.check.bounds)).any())

    def slope(self, i, k, v):
        """The claimed slope when input i alone moves along v, for cotangents k."""
        return float(np.vdot(self.gradients[k][i], v))

    def entry(self, i, entry, us):
        """The claimed derivative of cotangents times outputs by one entry of input i."""
        return float(self.pull(us)[i][entry])

    def by_input(self, arrays, us):
        """For each input an array that holds its derivative at `arrays`."""
        return self.pull(us, arrays)


class Tangents:
    """Claims of forward mode, which does not tell the inputs' shares apart: each input is measured alone."""

    def __init__(self, check):
        self.check = check

    def push(self, d, arrays=None):
        """The claimed J d, in float64."""
        arrays = self.check.arrays if arrays is None else arrays
        ts = [xp(a).asarray(np.zeros(a.shape) if v is None else v).astype(a.dtype) for a, v in zip(arrays, d)]
        found = self.check.problem.push(arrays, ts)
        return [np.zeros(y.shape) if t is None else to_numpy(t).astype("f8", copy=False) for t, y in zip(found, self.check.ys)]

    def along(self, d):
        """A Claim for each set of cotangents."""
        here, there = self.push(d), self.push(d, self.check.moved(nudge(self.check.unit), d))
        for y, t in zip(self.check.ys, here):
            if y.shape != t.shape:
                raise ValueError(f"check: the claimed tangent has shape {t.shape}, the output {y.shape}")
        return [Claim.of([u * t for u, t in zip(us, here)], [u * (b - a) for u, a, b in zip(us, here, there)], self.check.unit)
                for us in self.check.cotangents]

    def slope(self, i, k, v):
        """The claimed slope when input i alone moves along v, for cotangents k."""
        tangents = self.push([v if j == i else None for j in range(len(self.check.arrays))])
        return sum(float(np.vdot(u, t)) for u, t in zip(self.check.cotangents[k], tangents))

    def entry(self, i, entry, us):
        """The claimed derivative of cotangents times outputs by one entry of input i."""
        v = np.zeros(self.check.arrays[i].shape)
        v[entry] = 1
        return sum(float(np.vdot(u, t)) for u, t in zip(us, self.push([v if j == i else None for j in range(len(self.check.arrays))])))

    def by_input(self, arrays, us):
        """For each input an array that holds how the results change with it, along one direction."""
        rng = np.random.default_rng(self.check.seed)
        ds = [signed(a.shape, rng).astype("f4").astype("f2").astype("f8") for a in arrays]
        return [np.concatenate([(u * t).reshape(-1) for u, t in zip(us, self.push([d if j == i else None for j in range(len(ds))], arrays))])
                for i, d in enumerate(ds)]
