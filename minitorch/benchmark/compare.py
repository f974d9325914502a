"""compare(): providers beside a reference, examined, timed in interleaved rounds, examined while and after it.

    found = compare({"mine": f, "numpy": numpy.matmul}, numpy.matmul, [((64, 64), (64, 64)), ((100, 30), (30, 70))])
    print(found); found.save("matmul.json"); found.raise_on_failure()

Nobody sees the same numbers twice, apart from the check that equal numbers give equal bits; the reference is asked after each call.
"""
import contextlib
import io
import secrets

import numpy as np

from . import ceiling, clock, guard, provenance, watch
from .call import Call
from .case import as_cases
from .exam import Exam, described
from .interval import of_positive, of_ratio, summary
from .judge import Reason
from .providers import Lazy, Provider, as_providers
from .results import CaseResult, Comparison, Row
from .truth import EPS, Reference
from .work import Work, same, shown, typical_error

SEALED = ("provider", "case", "reference", "fresh", "on_device", "precision", "own", "ulps", "allowed", "call")    # of an Exam: what it goes by
LEAST, MOST = 24, 400                                # rounds
WARM = 6                                             # calls before a sample of several
SHARE = 0.6                                          # of the time at most for judging timed calls, beyond one of each round
SYSTEM = secrets.SystemRandom()                      # what a provider could foresee, it would
SMALLEST_MEMO = 20_000                               # nanoseconds below which keeping results does not pay


def compare(providers, reference, cases, *, baseline=None, seconds=1.5, rounds=None, confidence=0.95, cache="warm", ulps=None, variations=True,
            seed=None, dtype=None, device="cpu"):
    """The Comparison of some providers on some cases.

    providers: a callable, a list or {name: callable or Provider}.  reference: a function of NumPy arrays, which it gets in float64.
    cases: a Case or tuple, or a list: see Case.  baseline: the provider that ratios are relative to; None: the reference, in the
    case's dtype, is timed too and is the baseline; False: no ratios.
    seconds: for the rounds of one case; rounds: so many instead.  cache: "warm" or "cold".  ulps: largest error allowed; None: 32,
    or 16 times the reference's own in that dtype, or what the length of declared sums explains.
    variations: also neighbouring sizes, strides, other numbers.  seed: to repeat a run, whose numbers a provider could foresee; None: a new
    one, kept in the provenance, that repeats the examination, while nobody can foresee the numbers of timed calls.
    device: "cpu", or "cuda" for arrays on the GPU (needs CuPy).
    TypeError and ValueError for what makes no sense, and whatever the reference raises on the case itself.
    """
    if cache not in ("warm", "cold"):
        raise ValueError(f"cache must be 'warm' or 'cold', not {cache!r}")
    if not 0.5 <= confidence < 1:
        raise ValueError(f"confidence must be from 0.5 to below 1, not {confidence}")
    if rounds is not None and rounds < 8:
        raise ValueError(f"{rounds} rounds are too few for an interval: at least 8")
    if strange := guard.replaced():
        raise RuntimeError(f"{', '.join(strange[:5])}: replaced before anything was compared; a figure that rests on it would be none")
    providers, cases, reference = as_providers(providers), as_cases(cases, dtype), Reference(reference)
    baseline = baseline_of(providers, reference, baseline)
    numbers = Numbers(secrets.randbits(64) if seed is None else int(seed), seed is not None)
    if device == "cuda":
        from .gpu import Gpu
        machine = Gpu(cache)
    elif device == "cpu":
        machine = Host(cache)
    else:
        raise ValueError(f"device must be 'cpu' or 'cuda', not {device!r}")
    told = {**provenance.gathered(numbers.seed, device), "before": provenance.state(device)}
    with guard.Guard(reference.f) as watching:
        done = [machine.case(case, providers, reference, numbers, watching, baseline, seconds=seconds, rounds=rounds, confidence=confidence,
                             ulps=ulps, variations=variations) for case in cases]
    told["after"] = provenance.state(device)
    return Comparison(reference.name, baseline, confidence, cache, device, machine.ceiling.as_dict() if machine.ceiling else None, told, done)


def warmed(exam, calls):
    """Nanoseconds of each of some calls that count for nothing; whatever it raises, it will raise again when they count."""
    try:
        _, raw, _, each = clock.sample(calls, exam.case.params)
        for call, y in zip(calls, raw):
            call.keep(y)
            exam.remember(call)
    except KeyboardInterrupt:
        raise
    except BaseException:                            # noqa: BLE001  (SystemExit too)
        return [clock.SAMPLE]
    return each


def baseline_of(providers, reference, baseline):
    """The baseline's name; the reference joins the providers where it is the baseline."""
    if baseline is None:
        name = "reference" if reference.name in providers else reference.name
        providers[name] = Provider(reference.f, name)
        return name
    if baseline is not False and baseline not in providers:
        raise ValueError(f"baseline: no provider is called {baseline!r}: there are {', '.join(providers)}")
    return baseline or None


class Numbers:
    """Seeds that do not repeat: callable."""

    def __init__(self, seed, given=True):
        self.seed, self.count, self.given = seed, 0, given
        self.order = np.random.default_rng([seed, 1])

    def __call__(self):
        self.count += 1
        return [self.seed, 0, self.count]

    def unforeseen(self):
        """A seed that nobody can know beforehand, for what is timed; of a run that is to be repeated the next one."""
        return self() if self.given else SYSTEM.getrandbits(64)

    def one_of(self, n):
        """A number below n that nobody can know beforehand."""
        return SYSTEM.randrange(n)


class Host:
    """Examines and times on the processors of this machine."""

    def __init__(self, cache):
        self.cache, self.ceiling, self.flush = cache, None, clock.Flush(cache == "cold")

    def case(self, case, providers, reference, numbers, watching, baseline, *, seconds, rounds, confidence, ulps, variations):
        """The CaseResult of all providers."""
        watching.sealed.clear()
        watching.seal(case, f"the case {case.name}", *vars(case))
        watching.seal(reference, "the reference", "f", "name")
        probe = case.draw(np.random.default_rng(numbers()))
        expected = reference(probe, case.params)
        exams, own = {}, typical_error(reference, case, numbers)
        for name, provider in providers.items():
            exam = exams[name] = self.exam(provider, case, reference, numbers, own, expected[0].size if expected else 0, ulps)
            if exam.precision not in EPS:
                raise ValueError(f"{name}: precision must be one of {', '.join(EPS)}, not {exam.precision!r}")
            watching.seal(exam, f"the examination of {name}", *SEALED)
            watching.seal(provider, f"the provider {name}", *vars(provider))
            with exam.starting():
                exam.before(variations)
            self.tampered(exam, watching, "before")
        timed = {name: e for name, e in exams.items() if not e.refused and not e.simulated}
        if timed and self.ceiling is None:
            self.ceiling = self.measured_ceiling()
        samples = self.race(timed, case, numbers, watching, seconds, rounds)
        for exam in timed.values():
            if not exam.refused:
                self.finish(exam, samples[exam.provider.name], numbers, watching)
        if not same(reference(probe, case.params), expected):
            for exam in exams.values():
                exam.add(Reason("reference", "after", "on the numbers that it was asked first it now gives others: a provider changed what it uses"))
        work = Work(case, probe, expected)
        rows = [self.row(name, exams[name], samples.get(name), samples.get(baseline), exams.get(baseline), work, confidence) for name in providers]
        return CaseResult(case.name, case.dtype.name, [shown(a) for a in probe], [shown(r) for r in work.outputs], case.flops, work.bytes,
                          case.bytes is not None, rows)

    def exam(self, *args):
        return Exam(*args)

    def measured_ceiling(self, anew=False):
        return ceiling.host(anew)

    def above(self, seconds, work, precision):
        """What exceeds the ceiling, in words, also when that is measured again: it may have been a slow moment; else None."""
        given = (seconds, work.bytes, work.flops, work.footprint, precision)
        if self.ceiling.above(*given):
            self.ceiling = self.ceiling.higher(self.measured_ceiling(anew=True))
        return self.ceiling.above(*given)

    @staticmethod
    def tampered(exam, watching, when):
        if changes := watching.changes():
            exam.add(Reason("tampered", when, ", ".join(changes[:5])))

    # ---- timing --------------------------------------------------------------------------------------------------------

    def race(self, exams, case, numbers, watching, seconds, rounds):
        """{name: [(group, nanoseconds)]}: the times of each round, every call of which is watched, and as many as time allows judged."""
        samples = {name: [] for name in exams}
        for exam in exams.values():
            exam.group = 1 if self.cache == "cold" else clock.group_size(self.rough(exam))
        start, judging, count = watch.nanoseconds(), 0, 0
        while exams:
            names = [n for n in exams if not exams[n].refused]
            if not names:
                break
            numbers.order.shuffle(names)
            for name in names:
                exam = exams[name]
                with exam.starting():
                    calls = self.timed(exam, exam.group, samples[name], numbers, watching)
                if calls:
                    asked = watch.nanoseconds()
                    generous = judging <= SHARE * (asked - start)
                    self.judged(exam, calls, numbers, generous)
                    judging += watch.nanoseconds() - asked
            count += 1
            if count >= (rounds or LEAST) and (rounds or count >= MOST or watch.nanoseconds() - start >= seconds * 1e9):
                break
        return samples

    @staticmethod
    def rough(exam):
        """Nanoseconds of a warm call, about."""
        spent = []
        for _ in range(4):
            call = exam.make()
            if not exam.run(call, "before"):
                return clock.SAMPLE
            exam.remember(call)
            spent.append(exam.spent)
        return min(spent) if min(spent) > 2 * clock.SAMPLE else min(spent + warmed(exam, [exam.make() for _ in range(4)]))

    def timed(self, exam, size, samples, numbers, watching):
        """One sample: the calls that it was made of, or None where it refuses the provider."""
        before, calls = ([exam.make(seed=numbers.unforeseen()) for _ in range(n)] for n in (WARM if size > 1 else 0, size))
        said = io.StringIO()
        self.flush()
        try:
            with contextlib.redirect_stdout(said):
                warmed(exam, before)                 # the first calls after others' work are slower
                spent, raw, other, each = clock.sample(calls, exam.case.params)
                for call, y in zip(reversed(calls), reversed(raw)):      # the last one first: if any is late, it is
                    call.keep(y)
        except KeyboardInterrupt:
            raise
        except Lazy as error:
            exam.add(Reason("lazy", "during", str(error)))
        except BaseException as error:
            exam.add(Reason("raised", "during", described(error)))
        else:
            if said.getvalue():
                exam.add(Reason("prints", "during", repr(said.getvalue()[:80])))
            exam.clocks.append((spent, other))
            exam.calls.append(each)
            samples.append(spent / size)
        self.tampered(exam, watching, "during")
        return None if exam.refused else calls

    @staticmethod
    def judged(exam, calls, numbers, generous):
        """Judge the calls of a sample: all of them, or one chosen now that they are made; what is cheap, always for all."""
        chosen = range(len(calls)) if generous else [numbers.one_of(len(calls))]
        for i, call in enumerate(calls):
            if i in chosen:
                exam.add(*exam.check(call, "during", probes=1))
            else:
                exam.add(*call.misdeeds("during"), *call.unwritten("during"))
                exam.remember(call)                  # so that a later one that repeats it is known
            if exam.refused:
                return
        for call in calls:
            call.spoil()

    def finish(self, exam, samples, numbers, watching):
        """After the rounds: the times, both clocks, new numbers once more, work between calls, and whether repeated numbers come sooner."""
        if samples != [spent / exam.group for spent, _ in exam.clocks]:
            exam.add(Reason("tampered", "during", "the list of its times no longer holds what the clock gave"))
        if apart := clock.clocks_disagree(exam.clocks):
            exam.add(Reason("tampered", "during", f"two clocks say {apart[0] / 1e3:.4g} us and {apart[1] / 1e3:.4g} us"))
        if found := clock.uneven(exam.calls):
            exam.add(Reason("ahead", "during", f"call {found[0] + 1} of {exam.group} that are timed together takes {found[1]:.0%} of their time"))
        exam.after()
        self.tampered(exam, watching, "after")
        if exam.refused:
            return
        alone, strangers = self.work_between(exam, watching)
        if alone > watch.BUSY:
            exam.add(Reason("background", "after", f"threads or processes that it started use {alone:.0%} of a processor while nobody was called"))
        elif strangers > watch.STRANGE:
            exam.add(Reason("background", "after", f"threads that were there before use {strangers:.0%} of a processor while nobody was called"))
        elif (ratio := self.repeated(exam)) < 0.2:
            exam.add(Reason("memory", "after", f"a call on numbers that it has seen takes {ratio:.2g} of the time of one on new numbers"))

    @staticmethod
    def work_between(exam, watching):
        """The shares of a processor that threads use while this provider is not called: those that it started, and those that were there before."""
        older = watch.active(watching.threads, watching.start) - exam.threads
        if not exam.threads and not older and watch.threads():
            return 0.0, 0.0
        known = exam.make()
        exam.run(known, "after")

        def disturb():
            for room in known.inputs:
                if hasattr(room, "view"):
                    room.view[...] = np.roll(room.view, 1) if room.view.ndim else room.view

        def somebody_else():
            clock.sample(decoys, {})
        busy = np.ones(1 << 12)
        decoys = [Call(Provider(lambda: [busy.sum() for _ in range(20)] and None, "somebody else"), exam.case, [], ()) for _ in range(4)]
        shares = watch.works_alone(exam.threads | older, disturb, somebody_else)
        strangers = sum(shares.pop(t, 0.0) for t in older)
        return sum(shares.values()), strangers

    @staticmethod
    def repeated(exam, tries=7):
        """The time of a call on numbers seen before, elsewhere in memory, relative to that on new ones: median of some tries."""
        found = []
        for _ in range(tries):
            first = exam.make()
            if not exam.run(first, "after"):
                return 1.0
            new = exam.spent
            again = exam.make(pristine=first.pristine)
            if not exam.run(again, "after"):
                return 1.0
            found.append(exam.spent / new if new > SMALLEST_MEMO else 1.0)
        return float(np.median(found))

    # ---- the figures -------------------------------------------------------------------------------------------------------

    def row(self, name, exam, samples, base, base_exam, work, confidence):
        """The Row of a provider: figures only where nothing is against it."""
        row = Row(name, exam.precision, exam.reasons, exam.limits, exam.notes, {"ulps": exam.worst, "allowed": exam.allowed, "own": exam.own},
                  exam.deterministic, exam.simulated)
        if exam.deterministic is False and not exam.refused:
            row.notes.append("equal inputs do not always give equal bits")
        if exam.simulated and not exam.refused:
            row.counts = exam.counts()
            row.notes.append("in the simulator: right or wrong and counts; its time says nothing of a GPU's")
        if exam.refused or not samples:
            return row
        seconds = float(np.median(samples)) * 1e-9
        if what := self.above(seconds, work, exam.precision):
            exam.add(Reason("ceiling", "after", what))
            return row
        row.samples = [round(s / 1e3, 6) for s in samples]
        own = of_positive(row.samples, confidence)
        row.timing = {"kind": "host", **summary(row.samples), "low": own.low, "high": own.high, "rounds": len(samples),
                      "correlation": own.correlation, "calls": exam.group, "launch": clock.overhead(exam.case.params) / 1e3}
        row.rates = work.rates(seconds, self.ceiling, exam.precision)
        if base and base_exam is not exam and not base_exam.refused:
            pairs = min(len(samples), len(base))
            ratio = of_ratio(samples[:pairs], base[:pairs], confidence)
            row.ratio = {f: getattr(ratio, f) for f in ("median", "low", "high", "confidence", "rounds", "correlation")}
        return row
