"""Examination and time on the processors of this machine: in every round each contender has its turn, and is judged by what it just gave."""
import contextlib
import io

import numpy as np

from ..cases import Draw
from . import ceiling, clock, watch
from .call import Call
from .exam import Exam, described
from .interval import of_positive, of_ratio, summary
from .judge import Reason
from .providers import Lazy, Provider
from .results import CaseResult, Row
from .work import Work, same, shown, typical_error

SEALED = ("provider", "case", "reference", "fresh", "on_device", "precision", "own", "ulps", "allowed", "call")    # of an Exam: what it goes by
LEAST, MOST = 24, 400                                # rounds
WARM = 6                                             # calls before a sample of several
SHARE = 0.6                                          # of the time at most for judging timed calls, beyond one of each round
SMALLEST_MEMO = 20_000                               # nanoseconds below which keeping results does not pay


class Host:
    """Examines and times on the processors of this machine."""

    def __init__(self, cache):
        self.cache, self.ceiling, self.flush = cache, None, clock.Flush(cache == "cold")

    def case(self, case, providers, reference, numbers, watching, baseline, *, seconds, rounds, confidence, ulps, variations):
        """The CaseResult of all providers."""
        watching.sealed.clear()
        watching.seal(case, f"the case {case.name}", *vars(case))
        watching.seal(reference, "the reference", "f", "name")
        watching.seal(numbers, "the source of numbers", "seed", "given", "order")
        watching.seal(self, "the harness", *(name for name in vars(self) if name not in ("ceiling", "courses")))
        probe = case.draw(np.random.default_rng(numbers()))
        try:
            expected = reference(probe, case.params)
        except Exception as error:
            error.add_note(f"raised by the reference {reference.name} on {case.name}")
            raise
        if any(r.size and not np.isfinite(r).any() for r in expected if r.dtype.kind in "fc"):
            raise ValueError(f"the reference {reference.name} gives not one finite number on {case.name}: there is nothing to compare with")
        exams, own = {}, typical_error(reference, case, numbers)
        for name, provider in providers.items():
            exam = exams[name] = self.exam(provider, case, reference, numbers, own, expected[0].size if expected else 0, ulps)
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
        """Judge the calls of a sample: all of them, or one chosen now that they are made and those that look unwritten; what is cheap, for all."""
        chosen = range(len(calls)) if generous else [numbers.one_of(len(calls))]
        for i, call in enumerate(calls):
            if i in chosen or call.unwritten("during"):  # an integer may rightly be what stood there before
                exam.add(*exam.check(call, "during", probes=1))
            else:
                exam.add(*call.misdeeds("during"))
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
        older = watch.active(watching.threads, watching.start) - exam.threads - watching.busy
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
        """The time of a call on numbers seen before, elsewhere in memory, relative to that on new ones: the shortest of some tries each.

        The shortest, because a call may be interrupted: all on new numbers and none on known ones hardly are.
        """
        new, known = [], []
        for _ in range(tries):
            first = exam.make()
            if not exam.run(first, "after"):
                return 1.0
            new.append(exam.spent)
            again = exam.make(pristine=first.pristine)
            if not exam.run(again, "after"):
                return 1.0
            known.append(exam.spent)
        return min(known) / min(new) if min(new) > SMALLEST_MEMO else 1.0

    # ---- the figures -------------------------------------------------------------------------------------------------------

    def row(self, name, exam, samples, base, base_exam, work, confidence):
        """The Row of a provider: figures only where nothing is against it."""
        row = Row(name, exam.precision, exam.reasons, exam.limits, exam.notes, {"ulps": exam.worst, "allowed": exam.allowed, "own": exam.own},
                  exam.deterministic, exam.simulated)
        if exam.deterministic is False and not exam.refused:
            row.notes.append("equal inputs do not always give equal bits")
        if exam.provider.precision and not exam.refused:
            row.notes.append(f"computes in {exam.precision}, as declared, and is judged by that")
        if exam.simulated and not exam.refused:
            row.counts = exam.counts()
            row.notes.append("in the simulator: right or wrong and counts; its time says nothing of a GPU's")
        if exam.refused or not samples:
            return row
        if not any(isinstance(item, Draw) and 0 not in item.shape for item in exam.case.items):
            row.notes.append("its inputs are the same in every call: results that it kept would not be noticed")
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
