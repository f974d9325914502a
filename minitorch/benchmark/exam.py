"""The examination of one provider on one case, without a clock: before it is timed, and once more after.

Every call gets numbers that nobody has seen, and the reference is asked only after the call: there is nothing to look up.
"""
import contextlib
import io
import sys

import numpy as np

from . import watch
from .call import PATIENCE, Call
from .judge import Reason, digest, judge
from .providers import Lazy, Launch
from .truth import FEW, SLACK, allowed, own_error, quiet

REPEATS = 3                                          # runs on the same numbers
PAIRS = 10                                           # and more where chance is to be told from a cause: one of 4 ** 10 takes that for this
KEPT = 4096                                          # digests of earlier results
KINDS = {                                            # of the simulator's findings, as reasons
    "global-out-of-bounds": "outside", "write-to-const": "input", "unwritten-output": "unwritten",
    **dict.fromkeys(("race", "missing-wait", "proxy-fence", "uninitialised"), "race"),
}


class Exam:
    """What is known of a provider on a case: reasons, errors, digests of its results.

    fresh(): a seed, never the same twice.  own: the reference's error in the case's dtype; entries: of its first result.
    """

    call = Call

    def __init__(self, provider, case, reference, fresh, own, entries, ulps=None, on_device=False):
        self.provider, self.case, self.reference, self.fresh, self.on_device = provider, case, reference, fresh, on_device
        self.reasons, self.limits, self.notes = [], [], []
        self.precision = provider.precision or case.dtype.name
        self.worst, self.own, self.ulps = None, own, ulps
        self.allowed = allowed(None if provider.precision else own, case.flops, entries, bool(provider.precision)) if ulps is None else ulps
        self.deterministic, self.simulated, self.earlier, self.shapes = None, False, {}, {}
        self.spent = 0                               # nanoseconds of the last call
        self.group, self.clocks, self.calls = None, [], []         # calls in a sample; nanoseconds of each sample by two clocks, and of its calls
        self.raised = None                           # the last error of the provider
        self.threads = set()                         # that were started while it was called

    @property
    def refused(self):
        return bool(self.reasons)

    def add(self, *reasons):
        """Note reasons, each name once for each moment."""
        for r in reasons:
            if not any(r.name == known.name and r.when == known.when for known in self.reasons):
                self.reasons.append(r)

    @contextlib.contextmanager
    def starting(self):
        """Threads that are there after this block and were not before are this provider's."""
        before = watch.threads()
        yield
        self.threads |= watch.threads() - before

    # ---- one call ----------------------------------------------------------------------------------------------------

    def like(self, case):
        """[(shape, dtype)] of the outputs, from the reference on other numbers."""
        if case.name not in self.shapes:
            results = self.reference(case.draw(np.random.default_rng(self.fresh())), case.params)
            self.shapes[case.name] = [(r.shape, case.dtype if r.dtype.kind == "f" else r.dtype) for r in results]
        return self.shapes[case.name]

    def make(self, case=None, pristine=None, fill="nan", shift=None, seed=None):
        """A Call on new numbers, or on those given; seed: of what stands around them."""
        case = case or self.case
        seed = self.fresh() if seed is None else seed
        rng = np.random.default_rng(seed)
        pristine = case.draw(rng) if pristine is None else pristine
        shift = 256 * int(rng.integers(0, 16)) if shift is None else shift
        if isinstance(self.provider.f, Launch):
            self.provider.f.of_case(case)
        return self.call(self.provider, case, pristine, self.like(case) if self.provider.writes else (), fill, shift, seed)

    def run(self, call, when):
        """Whether a call gave arrays; Reasons for what it raised, printed or changed otherwise."""
        said = io.StringIO()
        start = watch.nanoseconds()
        try:
            with contextlib.redirect_stdout(said):
                raw = self.provider.call(call.given, call.case.params)
                self.spent = watch.nanoseconds() - start
                call.keep(raw)
        except KeyboardInterrupt:
            raise
        except Lazy as error:
            self.add(Reason("lazy", when, str(error)))
            return False
        except BaseException as error:
            self.raised = error
            if hasattr(error, "kinds"):              # kernels.SimulatorError
                self.add(*(Reason(found_as(r), when, str(r)) for r in error.reports))
            return False
        if said.getvalue().strip() and not self.notes:
            self.notes.append(f"it prints: {said.getvalue().strip().splitlines()[0][:80]}")
        return True

    def check(self, call, when, probes=2, patience=PATIENCE, again=False):
        """The Reasons against a finished call: its numbers, and what it did besides.

        again: its numbers were those of an earlier call, so may its results be.
        """
        earlier = () if again else self.earlier
        truth = self.reference.truth(call.pristine, call.case.params, self.fresh(), probes)
        found, worst = judge(call.kept, truth, self.precision, self.allowed, when, earlier, self.wanted(call))
        if found and np.isfinite(worst):                 # a yardstick of few probes may be short by chance: no refusal rests on one
            truth = self.reference.truth(call.pristine, call.case.params, self.fresh(), FEW)
            found, worst = judge(call.kept, truth, self.precision, max(self.allowed, self.own_here(call, truth)), when, earlier, self.wanted(call))
        if found:
            if call.changed(patience):
                found = [Reason("late", when, f"after the clock had stopped the result still changed; then it was: {found[0].what}")]
            else:
                found = call.unwritten(when) or found
        elif call.changed():
            found = [Reason("late", when, "the result changed after the clock had stopped")]
        self.worst = max(self.worst or 0.0, worst)
        self.remember(call)
        return found + call.misdeeds(when)

    def own_here(self, call, truth):
        """How many ulps the reference's own error on these very numbers allows; 0 where something else says what is allowed."""
        if self.provider.precision or self.ulps is not None:
            return 0.0
        return SLACK * (own_error(self.reference, call.pristine, call.case.params, truth, call.case.dtype) or 0.0)

    def wanted(self, call):
        """The dtype of floating-point results; None where no input says one, or a narrower precision is declared."""
        floats = any(isinstance(a, np.ndarray) and a.dtype == call.case.dtype for a in call.pristine)
        return call.case.dtype if floats else None

    def remember(self, call):
        if sum(y.nbytes for y in call.kept) <= 1 << 22:
            for y in call.kept:
                if y.size:
                    self.earlier[digest([y])] = None
            while len(self.earlier) > KEPT:
                self.earlier.pop(next(iter(self.earlier)))

    # ---- before and after ---------------------------------------------------------------------------------------------

    def before(self, variations=True):
        """All that can be seen without a clock; the reasons are kept."""
        first = self.make(shift=0)
        if not self.simulates(first):
            if not self.refused:
                self.add(Reason("raised", "before", described(self.raised)))
            return
        self.add(*self.check(first, "before"))
        if self.refused:
            return
        self.repeat(first)
        if self.simulated and not self.refused:
            self.turns()
        if self.refused:
            return
        for name, case in self.case.variations(self.precision) if variations else ():
            self.vary(name, case)

    def simulates(self, call):
        """Run a call; and note whether it ran kernels in the simulator."""
        kernels = sys.modules.get("minitorch.kernels")
        if kernels is None or self.on_device:
            return self.run(call, "before")
        with kernels.launches() as launched:
            done = self.run(call, "before")
        self.simulated = bool(launched)
        return done

    def turns(self):
        """In the simulator: the threads in other orders, then with every check on."""
        from ..kernels import using
        for settings in ({"order": "reverse", "asynchronous": "eager"}, {"order": "random", "asynchronous": "random"}, {"mode": "check"}):
            call, words = self.make(shift=0), " ".join(settings.values())
            with using(**settings):
                if self.run(call, words):
                    self.add(*self.check(call, words))
                elif not self.refused:
                    self.add(Reason("raised", words, described(self.raised)))
            if self.refused:
                return

    def counts(self):
        """What the simulator counts for one launch of a kernel provider; None for others."""
        if self.provider.kernel is None:
            return None
        from ..kernels import profile
        call = self.make(shift=0)
        grid, block, args, shared_mem = self.provider.f.prepared(*call.given)
        found = profile(self.provider.kernel, grid, block, args, shared_mem)
        grid, block = self.provider.kernel.fit_shape(grid, block, shared_mem)
        fields = ("accesses", "bytes", "sectors", "ideal_sectors", "banks", "ideal_banks", "flops")
        moved = sum(row.bytes for row in found if row.what.startswith("global"))
        return {**{f: found.total(f) for f in fields}, "bytes": moved, "grid": list(grid), "block": list(block), "shared_mem": shared_mem}

    def repeat(self, first):
        """The same numbers again, with other bytes around them, then others: same bits? was the first result left alone?"""
        runs, seed = {"nan": [first], "noise": []}, self.fresh()
        bits = {"nan": {digest(first.kept)}, "noise": set()}

        def apart():
            """Whether what stands around the inputs decides which of two results there is, so far."""
            return len(bits["nan"]) == len(bits["noise"]) == 1 and bits["nan"] != bits["noise"]

        times = 2 if self.simulated else REPEATS
        turns = ["nan"] * (times - 1) + ["noise"] * times
        for i, fill in enumerate(turns + ["nan", "noise"] * PAIRS):
            if i >= len(turns) and not apart():          # of results that differ anyhow, some agree by chance
                break
            call = self.make(pristine=first.pristine, fill=fill, shift=0, seed=seed)
            if not self.run(call, "before"):
                self.add(Reason("raised", "before", f"on the second call: {described(self.raised)}"))
                return
            runs[fill].append(call)
            bits[fill].add(digest(call.kept))
        self.deterministic = len(bits["nan"] | bits["noise"]) == 1
        if apart():
            self.add(Reason("reads outside", "before", "the same inputs give one result with NaN around them and another with numbers around them"))
            return
        self.add(*[r for c in (*runs["nan"][1:], *runs["noise"]) for r in self.check(c, "before", patience=0, again=True)])
        if self.refused:
            return
        other = self.make()
        if self.run(other, "before"):
            self.add(*self.check(other, "before"))
            if any(c.changed() for calls in runs.values() for c in calls):
                self.add(Reason("overwritten", "before", "the result of the first call changed with the next"))

    def vary(self, name, case):
        """A variation of the case; what the reference does not take is left out, what the provider declines is said."""
        try:
            call = self.make(case)
            truth = self.reference.truth(call.pristine, case.params, self.fresh())
        except Exception:                            # sizes that this function does not have
            return
        if not all((np.isfinite(r).all() if case.scale > 1 else np.isfinite(r).any()) or not r.size for r in truth.results):
            return                                   # numbers that it is not made for
        reasons, call = list(self.reasons), self.make(case)
        with quiet():                                # an exponential may overflow
            done = self.run(call, name)
        if not done:
            if self.reasons == reasons:
                self.limits.append(f"{case.name}: {described(self.raised)}")
            return
        found = self.check(call, name)
        if found:                                    # wrong here, or wrong now and then?
            again = self.make(case)
            with quiet():
                done = self.run(again, name)
            if done and not self.check(again, name):
                self.add(*[Reason(r.name, "before", r.what) for r in found])
                return
        numbers = ("wrong", "incomplete", "zeros", "constant", "precision", "nan", "unwritten", "shape")
        self.add(*[Reason(name, "before", f"{case.name}: {r.name}: {r.what}") if r.name in numbers else r for r in found])

    def after(self):
        """Once more on new numbers, when the clock is no longer running."""
        call = self.make()
        if self.run(call, "after"):
            self.add(*self.check(call, "after"))
        elif not self.refused:
            self.add(Reason("raised", "after", described(self.raised)))


def found_as(report):
    """The name of a reason for a finding of the simulator."""
    if report.kind == "global-out-of-bounds" and "load" in report.message and "store" not in report.message:
        return "reads outside"
    return KINDS.get(report.kind, "simulator")


def described(error):
    """An exception in a line: its first, and of a compiler's many the first that says what is wrong."""
    text = str(error).strip().splitlines()
    more = next((f": {line.strip()[:200]}" for line in text[1:] if "error:" in line), "")
    return f"{type(error).__name__}: {text[0][:200].rstrip(': ') if text else ''}{more}".rstrip(": ")
