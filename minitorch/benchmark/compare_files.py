"""Two files of results beside each other: faster, slower, or no difference that the intervals allow to see.

    print(between(load("before.json"), load("after.json")))

Rows are matched by case, number type, inputs, provider and precision.  Where both files have times relative to the same baseline, which was
run in the same rounds, those are compared, as a machine that is busier today slows both; else the times themselves.  Two medians
differ when they are further apart than their intervals explain: each interval has sqrt(2) for a repetition in it, so the ratio's
width is the root of half the sum of their squares.
"""
import dataclasses
import math

from .interval import Interval

COUNTED = ("flops", "bytes", "sectors", "banks")     # of kernels in the simulator


class Different(ValueError):
    """The two files were not measured alike; the message says in what."""


@dataclasses.dataclass(frozen=True)
class Pair:
    """One provider on one case in both files: ratio (after / before, an Interval or None), verdict, by ("time", "ratio to X", "counts", "")."""
    case: str
    dtype: str
    provider: str
    verdict: str
    by: str
    ratio: Interval | None = None
    what: str = ""


@dataclasses.dataclass(frozen=True)
class Between:
    """pairs; only_before, only_after: rows that the other file has not; differences: in words, in what the measurements differ."""
    pairs: list
    only_before: list
    only_after: list
    differences: list

    @property
    def slower(self):
        """The pairs that became slower, or that are refused now and were not."""
        return [p for p in self.pairs if p.verdict in ("slower", "refused now", "more")]

    def __str__(self):
        head = ("case", "provider", "after / before", "interval", "by", "verdict")
        rows = [(f"{p.case}, {p.dtype}", p.provider, f"{p.ratio.median:.3f}" if p.ratio else "-",
                 f"{p.ratio.low:.3f} to {p.ratio.high:.3f}" if p.ratio else "-", p.by or "-", p.verdict + (f": {p.what}" if p.what else ""))
                for p in self.pairs]
        widths = [max(len(r[i]) for r in (head, *rows)) for i in range(len(head))]
        lines = ["  ".join(x.rjust(w) if i in (2, 3) else x.ljust(w) for i, (x, w) in enumerate(zip(r, widths))).rstrip() for r in (head, *rows)]
        lines += [f"only before: {name}" for name in self.only_before] + [f"only after: {name}" for name in self.only_after]
        return "\n".join([*(f"NOT ALIKE: {d}" for d in self.differences), *lines])


def between(before, after, across=False):
    """The Between of two Comparisons.

    across: compare even where device, GPU or processor, or state of the caches differ, which the result then says.
    Different where they do and across is False, and where not one row of one is in the other.
    """
    differences = unlike(before, after)
    if differences and not across:
        raise Different(f"these were not measured alike: {'; '.join(differences)}. Say so if you mean to compare them (across=True, --across)")
    old, new = rows_of(before), rows_of(after)
    both = [key for key in new if key in old]
    if not both:
        raise Different(f"no row is in both: {names(old)} before, {names(new)} after")
    same = before.baseline if before.baseline == after.baseline else None
    only = [[name(key) for key in rows if key not in others] for rows, others in ((old, new), (new, old))]
    return Between([pair(key, old[key], new[key], same, after.confidence) for key in both], *only, differences)


def unlike(before, after):
    """In words, in what two measurements differ that makes their times incomparable."""
    def machine(c):
        gpu = c.provenance.get("gpu") or {}
        return gpu.get("name") if c.device == "cuda" else c.provenance.get("cpu")
    told = [("device", before.device, after.device), ("measured on", machine(before), machine(after)), ("caches", before.cache, after.cache),
            ("confidence", before.confidence, after.confidence)]
    if before.device == after.device == "cpu":
        told.append(("processors", len(before.provenance.get("processors") or ()), len(after.provenance.get("processors") or ())))
        told += [(n, *(c.provenance.get("environment", {}).get(n) for c in (before, after))) for n in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")]
    return [f"{what}: {a} before, {b} after" for what, a, b in told if a != b]


def rows_of(comparison):
    """{(case, dtype, inputs, provider, precision): Row}."""
    return {(c.name, c.dtype, str([tuple(i) if isinstance(i, list | tuple) else i for i in c.inputs]), r.provider, r.precision): r
            for c in comparison.cases for r in c.rows}


def name(key):
    case, dtype, _, provider, precision = key
    return f"{provider} on {case}, {dtype}" + (f" in {precision}" if precision != dtype else "")


def names(rows):
    return ", ".join(map(name, rows)) or "nothing"


def pair(key, old, new, baseline, confidence):
    """The Pair of two rows; baseline: the name that both files' ratios are relative to, or None."""
    case, dtype, _, provider, _ = key
    if old.reasons or new.reasons:
        verdict = "refused in both" if old.reasons and new.reasons else "refused now" if new.reasons else "refused before"
        return Pair(case, dtype, provider, verdict, "", what=", ".join((new if new.reasons else old).names))
    if old.ratio and new.ratio and baseline:
        return judged(case, dtype, provider, old.interval, new.interval, f"ratio to {baseline}")
    if old.timing and new.timing:
        return judged(case, dtype, provider, whole(old.timing, confidence), whole(new.timing, confidence), "time")
    if old.counts and new.counts:
        changed = [f"{n} {old.counts[n]:.4g} to {new.counts[n]:.4g}" for n in COUNTED if old.counts[n] != new.counts[n]]
        more, fewer = (any(sign * (new.counts[n] - old.counts[n]) > 0 for n in COUNTED) for sign in (1, -1))
        verdict = "more and fewer" if more and fewer else "more" if more else "fewer" if fewer else "no difference"
        return Pair(case, dtype, provider, verdict, "counts", what=", ".join(changed))
    return Pair(case, dtype, provider, "not timed in both", "")


def whole(timing, confidence):
    """The time of a row as an Interval."""
    return Interval(timing["median"], timing["low"], timing["high"], confidence, timing["rounds"], timing["correlation"])


def judged(case, dtype, provider, old, new, by):
    """The Pair of two figures with their intervals."""
    log = math.log
    below = math.sqrt((log(new.median / new.low) ** 2 + log(old.high / old.median) ** 2) / 2)
    above = math.sqrt((log(new.high / new.median) ** 2 + log(old.median / old.low) ** 2) / 2)
    middle = new.median / old.median
    ratio = Interval(middle, middle * math.exp(-below), middle * math.exp(above), new.confidence, min(old.rounds, new.rounds), 0.0)
    verdict = "slower" if ratio.low > 1 else "faster" if ratio.high < 1 else "no difference"
    return Pair(case, dtype, provider, verdict, by, ratio)
