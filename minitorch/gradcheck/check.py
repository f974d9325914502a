"""check(f, inputs): a verdict on the claimed derivative of a function, at the price of some twenty evaluations.

Along random directions d, with random cotangents u, the slope of u . f(x + t d) at t = 0 must be what the claimed gradient
says: u . J d = (J^T u) . d.  The slope comes with an error bar (differences.py), the claim with a measure of its rounding
(claims.py).  Apart by more than both explain: wrong.  Bars too wide to tell: too noisy, or vacuous where the gradient itself
is that small (verdict.py).

All inputs move at once.  Where that fails each moves alone; inputs whose share would drown move without the others.
"""
import functools

import numpy as np

from ..backend import to_numpy, xp
from . import locate, narrow, verdict
from .claims import Gradients, Tangents
from .differences import slopes
from .directions import LOW, scale_of, signed
from .problem import problem_of, same
from .report import CORRECT, NOT_DIFFERENTIABLE, NOT_FINITE, RANDOM, VACUOUS, WRITES, WRONG, InputReport, Report
from .second import SecondOrder

AFFORDED = 40                                        # evaluations of a function whose gradient is right
ALONE = 8                                            # of several outputs, how many are also seen alone


def check(f, inputs=(), *, order=1, forward=False, seed=0, directions=2, names=None, raise_on_failure=False, find=True, name=None):
    """Check the derivative of `f` at `inputs`: a Report with a verdict for every floating-point input.

    f: a function of Tensors, a Module (its parameters are checked too), an autograd.Function, a function on CUDA kernels with a
    derivative, or a pair (f, vjp) of functions of arrays, vjp(g, *inputs) giving one gradient for each input.
    inputs: a tensor or array, or a tuple of whatever f takes; with tensors that require gradients only those are checked.
    order: 2 checks the derivative of the gradient, with respect to inputs and cotangents (functions of Tensors and Modules).
    forward: check forward mode instead: func.jvp, or of a pair (f, jvp) the function jvp(tangents, *inputs).
    seed: of directions and cotangents.  directions: how many, at least one.  find: on failure look for the worst entry and
    the kind of mistake.  raise_on_failure: GradcheckError, with the report inside, unless every verdict is "correct".
    TypeError for complex inputs and for what has no such derivative; what f itself raises comes through.
    """
    problem = problem_of(f, inputs)
    if names is not None:
        problem.names = [n for n, _ in zip([*names, *problem.names[len(names):]], problem.names)]
    if order not in (1, 2):
        raise ValueError(f"check: order must be 1 or 2, not {order!r}")
    if order == 2:
        problem = SecondOrder(problem, seed)
    report = Check(problem, seed, directions, find, forward).run(name or name_of(f))
    return report.raise_if_wrong() if raise_on_failure else report


def name_of(f):
    f = f[0] if isinstance(f, tuple) else f
    return getattr(f, "__name__", type(f).__name__)


class Check:
    """One check under way: the point, the cotangents, what is claimed there, and the reports as they fill."""

    def __init__(self, problem, seed, directions, find, forward=False):
        self.problem, self.seed, self.count, self.find, self.forward = problem, seed, max(1, directions), find, forward
        self.rng = np.random.default_rng(seed)
        self.arrays = problem.arrays                 # at which numeric slopes are taken: float64 where there is a shadow
        self.shadow = False
        self.refusal = None                          # the last error that f raised at a moved point
        self.around = None                           # the Slopes found last, whose step is likely good for the next

    def run(self, name):
        """The Report."""
        p = self.problem
        ys = p.value(p.arrays)
        self.reports = [InputReport(n, tuple(a.shape), a.dtype.name) for n, a in zip(p.names, p.arrays)]
        if not ys:
            self.judge_all(VACUOUS, "the function returned nothing" + (f" that has a derivative: {p.returned}" if p.returned != "NoneType" else ""))
        elif p.arrays and any(y.size for y in ys):
            self.judge(ys)
        for r, n in zip(self.reports, p.names):
            if n in p.wrote_to:
                r.verdict, r.note = WRITES, "the function changed the numbers of this input, which the caller still holds"
        return Report(name, self.reports, [tuple(y.shape) for y in ys], p.evaluations, self.seed, self.shadow, p.pulls, self.what())

    def what(self):
        """What is checked, in words."""
        return "forward derivative" if self.forward else "second derivative" if isinstance(self.problem, SecondOrder) else "gradient"

    # ---- the course of a check ------------------------------------------------------------------------------

    def judge(self, ys):
        """Fill the reports."""
        again = self.problem.value(self.problem.arrays)
        if len(ys) != len(again) or not all(same(a, b) for a, b in zip(ys, again)):
            return self.judge_all(RANDOM, "two calls with the same inputs gave different results: fix its random numbers (a seed) to check it")
        bad = [i for i, y in enumerate(ys) if not np.isfinite(to_numpy(y).astype("f8", copy=False)).all()]
        if bad:
            return self.judge_all(NOT_FINITE, f"output {bad[0]} holds NaN or infinity at this point")
        self.dtypes = [y.dtype for y in ys]
        self.ys = [to_numpy(y).astype("f8", copy=False) for y in self.in_double(ys)]
        units = [np.finfo("f8").eps if self.shadow else narrow.unit_of(y) for y in ys]
        self.unit = max([np.finfo("f8").eps if self.shadow else narrow.unit_of(a) for a in self.arrays] + units)
        self.scales = [scale_of(to_numpy(a)) for a in self.arrays]
        self.draw_cotangents()
        self.floor = np.array([self.rounding(us, units) for us in self.cotangents])
        self.claim = (Tangents if self.forward else Gradients)(self)
        for r in self.reports:
            r.note = r.note or ("" if np.prod(r.shape) else "it has no entries")
        todo = [i for i, r in enumerate(self.reports) if r.ok and self.arrays[i].size]
        self.measure_all(todo)
        if self.shadow:
            narrow.compare(self)
        if self.find:
            for i, r in enumerate(self.reports):
                if r.verdict == WRONG and r.evidence is not None:
                    locate.worst(self, i, r)
                elif r.verdict == NOT_DIFFERENTIABLE:
                    locate.unsmooth(self, i, r)
        return None

    def judge_all(self, verdict, note):
        """The same verdict for every input."""
        for r in self.reports:
            r.verdict, r.note = verdict, note

    def in_double(self, ys):
        """Move to float64 where the inputs are narrower and the function can follow."""
        if all(a.dtype == np.float64 for a in self.problem.arrays):
            return ys
        self.problem.widen(True)
        try:
            zs = self.problem.value(wide := [a.astype("f8") for a in self.problem.arrays])
            if len(zs) == len(ys) and all(z.dtype == np.float64 for z in zs):
                self.shadow, self.arrays = True, wide
                return zs
        except Exception:                            # it takes its own dtype only: then its own noise is the measure
            pass
        self.problem.widen(False)
        return ys

    def draw_cotangents(self):
        """Sets of cotangents: two over all outputs, or, of several outputs, one over all and one for each alone.

        self.heights: for each set, the largest factor by which an output's cotangents were divided.
        """
        scales = [max(scale_of(y), 1e-4 if d == np.float16 and not self.shadow else 0.0) for y, d in zip(self.ys, self.dtypes)]
        count = len(self.ys)
        seen = [range(count)] * (2 if count == 1 and self.ys[0].size > 1 else 1)
        if count > 1:
            seen += [(i,) for i in range(min(count, ALONE))]
        self.cotangents = [[self.rounded(signed(y.shape, self.rng) / s, i) if i in chosen else np.zeros(y.shape)
                            for i, (y, s) in enumerate(zip(self.ys, scales))] for chosen in seen]
        self.heights = [max(scales[i] for i in chosen) for chosen in seen]

    def rounded(self, u, i):
        """A cotangent of output i as its dtype holds it, in float64."""
        return u if self.shadow or self.dtypes[i] == np.float64 else u.astype(self.dtypes[i]).astype("f8")

    def rounding(self, us, units):
        """What rounding every result to its dtype does to its product with a set of cotangents: the errors are evenly spread over one unit."""
        return float(np.sqrt(sum((0.3 * unit) ** 2 * np.vdot(v := u * y, v) for u, y, unit in zip(us, self.ys, units))))

    def moved(self, t, d):
        """The arrays moved by t d; d has None for an input that stays."""
        return [a if v is None else xp(a).asarray(a + xp(a).asarray(t * v), dtype=a.dtype) for a, v in zip(self.arrays, d)]

    def along(self, d):
        """The function t -> (K,): cotangents times f(x + t d) - f(x)."""
        def F(t):
            try:
                with np.errstate(all="ignore"):
                    ys = self.problem.value(self.moved(t, d), fresh=True)
                    changes = [to_numpy(y).astype("f8", copy=False) - y0 for y, y0 in zip(ys, self.ys)]
                    return np.array([sum(float(np.vdot(u, c)) for u, c in zip(us, changes)) for us in self.cotangents])
            except Exception as error:               # this far out f refuses its inputs: no step for this point
                self.refusal = error
                return np.full(len(self.cotangents), np.nan)
        return F

    def measure_all(self, todo):
        """Judge the inputs `todo`: together, then those apart that need it."""
        if not todo:
            return
        fine = (len(todo) == 1 or not self.forward) and self.measure(todo, apart=False)
        while fine and len(todo) > 1:
            drowned = [i for i in todo if self.claim.drowned(i)]
            if drowned == todo:
                break
            todo = drowned
            fine = not todo or self.measure(todo)
        if len(todo) > 1:
            for i in todo:
                self.measure([i], apart=not self.forward)

    def measure(self, todo, apart=True):
        """Judge the inputs `todo`, which move together; True when all is correct.

        apart: after others, by as many directions as can be afforded.
        """
        for i in todo:
            self.reports[i].verdict = CORRECT
        for n in range(self.count):
            if n and apart and self.problem.evaluations + 6 > AFFORDED * max(2, self.count) // 2:    # three steps to both sides
                break
            sizes = self.scales if n == 0 or len(todo) == 1 else self.evened(todo)
            d = [signed(a.shape, self.rng) * size if i in todo else None for i, (a, size) in enumerate(zip(self.arrays, sizes))]
            claims = self.claim.along(d)
            F = functools.cache(self.along(d))
            found = slopes(F, self.floor, self.unit, claims, self.around if n else None, max(3, (AFFORDED - self.problem.evaluations) // 2))
            self.around = found if all(k == "smooth" for k in found.kind) else self.around
            if not self.enter(todo, d, found, claims, F):
                return False
        return True

    def evened(self, todo):
        """Sizes of a direction in which no input drowns the others: each has the share of the least, as far as its dtype can follow."""
        smallest = max(1e-6, min(1.0, 1e4 * self.unit))
        shares = {i: self.claim.share(i) for i in todo}
        least = min([s for s in shares.values() if s > 0], default=0.0)
        return [s * max(smallest, min(1.0, least / shares[i])) if shares.get(i) else s for i, s in enumerate(self.scales)]

    def enter(self, todo, d, found, claims, F):
        """Put into the reports what a direction says of the inputs that moved; True if all is correct."""
        moving = [k for k, claim in enumerate(claims) if claim.size or found.change[k]]
        judged = {k: verdict.of(found, k, claims[k], self.unit, F) for k in moving}
        seen = any(j.verdict == CORRECT and claims[k].size for k, j in judged.items())
        judged = [judged[k] if k in judged else verdict.of(found, k, claim, self.unit, None if seen else F) for k, claim in enumerate(claims)]
        weighed = [k for k, j in enumerate(judged) if not (seen and j.verdict == VACUOUS)]     # it may be invisible in some of the outputs
        k = max(weighed, key=lambda k: judged[k].weight)
        worst, claim = judged[k], claims[k].value
        self.bounds = np.array([j.bound for j in judged])
        order = found.remainder_order(np.array([c.value for c in claims]))[k]
        for i in todo:
            r = self.reports[i]
            r.verdict, r.note, r.kind, r.order = worst.verdict, worst.note, found.kind[k], order
            r.numeric, r.claimed, r.error, r.bound = found.value[k], claim, abs(found.value[k] - claim), worst.bound
            r.power = np.fmin(r.power, worst.bound * self.heights[k] / (LOW * np.abs(d[i]).min()))
            with np.errstate(all="ignore"):
                r.trace = found.steps, np.abs(found.odd[:, k] / found.steps - claim)
            r.evidence = d[i], k, found.step
        if found.kind[k] == "not finite" and self.refusal is not None:
            raise self.refusal                       # at every step
        return worst.verdict == CORRECT
