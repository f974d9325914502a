"""check(f, inputs): a verdict on the claimed gradients of a function, at the price of some thirty evaluations.

Along random directions d, with random cotangents u, the slope of u . f(x + t d) at t = 0 must be what the claimed gradient
says: u . J d = (J^T u) . d.  The slope comes with an error bar (differences.py), the claim with a measure of its rounding.
Apart by more than both explain: wrong.  Bars too wide to tell: too noisy, or vacuous where the gradient itself is that small.

All inputs move at once.  Where that fails, or where an input's share would drown, each input moves alone.
"""
import numpy as np

from ..backend import to_numpy, xp
from . import locate
from .differences import slopes
from .directions import HIGH, LOW, scale_of, signed
from .problem import problem_of
from .report import (CORRECT, NOT_DIFFERENTIABLE, NOT_FINITE, RANDOM, TOO_NOISY, VACUOUS, WRITES, WRONG, InputReport, Report)

SURE = 1e-3                                          # a slope known no better than this share of its size is noise


def check(f, inputs=(), *, seed=0, directions=2, names=None, raise_on_failure=False, find=True, name=None):
    """Check the derivative of `f` at `inputs`: a Report with a verdict for every floating-point input.

    f: a function of Tensors, a Module (its parameters are checked too), an autograd.Function, a function on CUDA kernels with a
    derivative, or a pair (f, vjp) of functions of arrays, vjp(g, *inputs) giving one gradient for each input.
    inputs: a tensor or array, or a tuple of whatever f takes; with tensors that require gradients only those are checked.
    seed: of directions and cotangents.  directions: how many, at least one.  find: on failure look for the worst entry and
    the kind of mistake.  raise_on_failure: GradcheckError, with the report inside, unless every verdict is "correct".
    TypeError for complex inputs; what f itself raises comes through.
    """
    problem = problem_of(f, inputs)
    if names is not None:
        problem.names = [n for n, _ in zip([*names, *problem.names[len(names):]], problem.names)]
    report = Check(problem, seed, directions, find).run(name or name_of(f))
    return report.raise_if_wrong() if raise_on_failure else report


def name_of(f):
    f = f[0] if isinstance(f, tuple) else f
    return getattr(f, "__name__", type(f).__name__)


class Check:
    """One check under way."""

    def __init__(self, problem, seed, directions, find):
        self.problem, self.seed, self.count, self.find = problem, seed, max(1, directions), find
        self.rng = np.random.default_rng(seed)
        self.arrays = problem.arrays                 # at which numeric slopes are taken: float64 where there is a shadow
        self.shadow = False
        self.refusal = None                          # the last error that f raised at a moved point

    def run(self, name):
        p = self.problem
        ys = p.value(p.arrays)
        self.reports = [InputReport(n, tuple(a.shape), a.dtype.name) for n, a in zip(p.names, p.arrays)]
        if p.arrays and any(y.size for y in ys):
            self.judge(ys)
        for r, n in zip(self.reports, p.names):
            if n in p.wrote_to:
                r.verdict, r.note = WRITES, "the function changed the numbers of this input, which the caller still holds"
        return Report(name, self.reports, [tuple(y.shape) for y in ys], p.evaluations, self.seed, self.shadow)

    # ---- the course of a check ------------------------------------------------------------------------------

    def judge(self, ys):
        p = self.problem
        again = p.value(p.arrays)
        if not all(equal(a, b) for a, b in zip(ys, again)):
            return self.all(RANDOM, "two calls with the same inputs gave different results: fix its random numbers (a seed) to check it")
        bad = [i for i, y in enumerate(ys) if not np.isfinite(to_numpy(y).astype("f8")).all()]
        if bad:
            return self.all(NOT_FINITE, f"output {bad[0]} holds NaN or infinity at this point")
        ys = self.in_double(ys)
        self.unit = max(np.finfo("f8").eps if self.shadow else unit_of(a) for a in [*self.arrays, *ys])
        self.cotangents = self.draw_cotangents(ys)
        self.at_zero = self.dot(ys)
        self.claimed = [self.claims(us) for us in self.cotangents]       # [cotangent][input]
        for r, gs in zip(self.reports, zip(*self.claimed)):
            if any(not np.isfinite(g).all() for g in gs):
                r.verdict, r.note = NOT_FINITE, "the claimed gradient holds NaN or infinity"
            elif any(g.shape != r.shape for g in gs):
                r.verdict = WRONG
                shape = next(g.shape for g in gs if g.shape != r.shape)
                r.note = f"the claimed gradient has shape {shape}, the input {r.shape}"
                r.bug = "a missing sum over broadcast axes" if np.prod(shape) > np.prod(r.shape) else ""
        for r, a in zip(self.reports, self.arrays):
            r.note = r.note or ("" if a.size else "it has no entries")
        todo = [i for i, r in enumerate(self.reports) if r.ok and self.arrays[i].size]
        if not todo:
            return None
        if self.measure(todo) or len(todo) == 1:
            drowned = [i for i in todo if self.reports[i].ok and len(todo) > 1 and self.drowned(i)]
        else:
            drowned = todo
        for i in drowned:
            self.measure([i])
        if self.shadow:
            self.compare_precisions()
        if self.find:
            for i, r in enumerate(self.reports):
                if r.verdict == WRONG and r.kind == "smooth" and r.evidence is not None:
                    locate.worst(self, i, r)
        return None

    def all(self, verdict, note):
        for r in self.reports:
            r.verdict, r.note = verdict, note

    def in_double(self, ys):
        """Move to float64 where the inputs are narrower and the function can follow."""
        if all(unit_of(a) <= np.finfo("f8").eps for a in self.problem.arrays):
            return ys
        wide = self.problem.in_dtype("f8")
        try:
            zs = self.problem.value(wide)
        except Exception:                            # it takes its own dtype only: then its own noise is the measure
            return ys
        if len(zs) == len(ys) and all(z.dtype == np.float64 for z in zs):
            self.shadow, self.arrays = True, wide
            return zs
        return ys

    def draw_cotangents(self, ys):
        """Sets of cotangents: two over all outputs, and with several outputs one for each alone."""
        scales = [scale_of(to_numpy(y)) for y in ys]
        sets = [[signed(y.shape, self.rng) / s for y, s in zip(ys, scales)] for _ in range(2 if len(ys) == 1 else 1)]
        if len(ys) > 1:
            for i in range(min(len(ys), 8)):
                sets.append([signed(y.shape, self.rng) / s if i == j else np.zeros(y.shape) for j, (y, s) in enumerate(zip(ys, scales))])
        return sets

    def dot(self, ys):
        """(K,) the sum of cotangent times output, for each set."""
        ys = [to_numpy(y).astype("f8", copy=False) for y in ys]
        return np.array([sum(float(np.vdot(u, y)) for u, y in zip(us, ys)) for us in self.cotangents])

    def claims(self, us, arrays=None):
        """The claimed gradients for a set of cotangents, in float64."""
        arrays = self.arrays if arrays is None else arrays
        us = [xp(arrays[0]).asarray(u) for u in us]
        return [np.zeros(a.shape) if g is None else to_numpy(g).astype("f8", copy=False) for g, a in zip(self.problem.pull(arrays, us), arrays)]

    def moved(self, t, d):
        """The arrays moved by t d; d has None for an input that stays."""
        return [a if v is None else xp(a).asarray(a + xp(a).asarray(t * v)).astype(a.dtype) for a, v in zip(self.arrays, d)]

    def along(self, d):
        """The function t -> (K,)."""
        def F(t):
            try:
                with np.errstate(all="ignore"):
                    return self.dot(self.problem.value(self.moved(t, d)))
            except Exception as error:               # this far out f refuses its inputs: no step for this point
                self.refusal = error
                return np.full(len(self.cotangents), np.nan)
        return F

    def direction(self, todo):
        return [signed(a.shape, self.rng) * scale_of(to_numpy(a)) if i in todo else None for i, a in enumerate(self.arrays)]

    def measure(self, todo):
        """Judge the inputs `todo`, which move together; True when all is correct."""
        around = noise = None
        fine = True
        for _ in range(self.count):
            d = self.direction(todo)
            found = slopes(self.along(d), self.at_zero, self.unit, around, noise)
            around, noise = found.step, found.noise
            fine &= self.decide(todo, d, found)
            if not fine:
                break
        return fine

    def decide(self, todo, d, found):
        """Enter what a direction says of the inputs that moved; True if all is correct."""
        nudged = self.moved(64 * self.unit, d)
        verdicts = []
        for k, us in enumerate(self.cotangents):
            shares = [self.claimed[k][i] * d[i] for i in todo]
            claimed = sum(float(s.sum()) for s in shares)
            size = float(np.sqrt(sum(float(np.vdot(s, s)) for s in shares)))         # what signs cannot cancel
            shaken = sum(float(np.vdot(g, v)) for g, v in zip(self.claims(us, nudged), d) if v is not None)
            own = 8 * abs(shaken - claimed) + 16 * self.unit * sum(float(np.abs(s).sum()) for s in shares)
            bound = 4 * found.error[k] + own + 1e-10 * size
            verdicts.append((self.verdict(found, k, claimed, bound, size), k, claimed, bound))
        rank = [CORRECT, VACUOUS, TOO_NOISY, WRONG, NOT_DIFFERENTIABLE, NOT_FINITE]
        verdict, k, claimed, bound = max(verdicts, key=lambda v: (rank.index(v[0]), abs(found.value[v[1]] - v[2]) / (v[3] or 1)))
        order = found.remainder_order(np.array([v[2] for v in verdicts]))[k]
        for i in todo:
            r = self.reports[i]
            if not r.ok and r.verdict != WRONG:
                continue
            r.verdict, r.kind, r.order = verdict, found.kind[k], order
            r.numeric, r.claimed, r.error, r.bound = found.value[k], claimed, abs(found.value[k] - claimed), bound
            reach = LOW * scale_of(to_numpy(self.arrays[i])) * LOW / max(self.output_scales(k))
            power = bound / reach
            r.power = power if not np.isfinite(r.power) else min(r.power, power)
            r.note = {NOT_DIFFERENTIABLE: "its one-sided slopes differ: a kink" if found.kind[k] == "kink" else "it jumps",
                      NOT_FINITE: "NaN or infinity at every step away from the point",
                      TOO_NOISY: f"rounding noise of {found.noise[k]:.1e} in the results hides the slope",
                      VACUOUS: "the gradient is smaller than what could be seen here: neither right nor wrong"}.get(verdict, "")
            if verdict == CORRECT and found.change[k] == 0 and claimed == 0:
                r.note = "the results do not depend on it"
            with np.errstate(all="ignore"):
                r.trace = found.steps, np.abs(found.central[:, k] / found.steps - claimed)
            r.evidence = d[i], k, found.step
        if found.kind[k] == "not finite" and self.refusal is not None:
            raise self.refusal                       # at every step
        return verdict == CORRECT

    def output_scales(self, k):
        """1 / the scale by which each output's cotangents of set k were divided."""
        return [HIGH / np.abs(u).max() if np.any(u) else 0.0 for u in self.cotangents[k]]

    @staticmethod
    def verdict(found, k, claimed, bound, size):
        value = found.value[k]
        if found.kind[k] == "not finite" or not np.isfinite(value) or not np.isfinite(bound):
            return NOT_FINITE
        if found.kind[k] != "smooth":
            return NOT_DIFFERENTIABLE
        if not abs(value - claimed) <= bound:
            return WRONG
        if found.change[k] == 0 and size == 0:
            return CORRECT                           # nothing moves, nothing is claimed
        seen = max(abs(value), size)
        if bound <= SURE * seen:
            return CORRECT
        if seen <= bound:                            # a zero: seen sharply beside what the function does nearby, or not at all
            return CORRECT if bound <= SURE * found.change[k] else VACUOUS
        return TOO_NOISY

    def drowned(self, i):
        """Whether a mistake of a thousandth in this input's share would have gone unseen among the others'."""
        r = self.reports[i]
        d = r.evidence[0]
        share = max(float(np.sqrt(np.square(gs[i] * d).sum())) for gs in self.claimed)
        return share * SURE < r.bound and share > 0 or share == 0

    def compare_precisions(self):
        """The gradients in the function's own dtype against those in float64, entry by entry."""
        for k, us in enumerate(self.cotangents):
            low = self.claims(us, self.problem.arrays)
            for i, r in enumerate(self.reports):
                if not r.ok:
                    continue
                a, b = low[i], self.claimed[k][i]
                unit = max(unit_of(self.problem.arrays[i]), 2.0 ** -24)
                if not np.isfinite(a).all():
                    r.verdict, r.note = NOT_FINITE, f"the gradient in {r.dtype} holds NaN or infinity"
                    continue
                apart, largest = np.abs(a - b), np.abs(b).max(initial=0)
                typical = float(np.sqrt(np.mean(np.square(apart)))) if apart.size else 0.0
                limit = max(64 * unit * largest, 30 * np.median(apart) if apart.size else 0.0)
                worst = np.unravel_index(int(apart.argmax()), apart.shape) if apart.size else ()
                if apart.size and apart[worst] > limit and apart[worst] > 100 * unit * max(abs(b[worst]), typical):
                    r.verdict, r.worst = WRONG, None
                    r.note = (f"in float64 the gradient is right, but in {r.dtype} entry {list(map(int, worst))} is {a[worst]:.6g} "
                              f"where float64 gives {b[worst]:.6g}")
                elif typical > 0.1 * (largest or 1):
                    r.verdict, r.note = TOO_NOISY, f"in {r.dtype} the gradient is off by {typical / (largest or 1):.0%} of its largest entry"
                else:
                    r.power = max(r.power, limit / (LOW / max(self.output_scales(k))))


def unit_of(a):
    """The relative rounding error of an array's dtype."""
    name = a.dtype.name
    return {"float16": 2.0 ** -10, "bfloat16": 2.0 ** -7}.get(name) or float(np.finfo(a.dtype).eps)


def equal(a, b):
    a, b = to_numpy(a), to_numpy(b)
    return a.shape == b.shape and bool(((a == b) | (a != a) & (b != b)).all())
