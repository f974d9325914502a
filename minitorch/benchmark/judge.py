"""The verdict on one call: is the result right, and if it is not, what does it look like?

    findings = judge(outputs, truth, precision, allowed, ...)        # [] for a right result

Every finding has one of the names in REASONS, when it was seen, and what was seen, in numbers.
"""
import dataclasses
import hashlib

import numpy as np

from .truth import EPS, ulps

REASONS = {
    "wrong": "the result is further from the reference than rounding explains",
    "zeros": "the result is all zeros where the reference is not",
    "constant": "every entry of the result is the same number",
    "nan": "NaN or infinity where the reference has a number, or the reverse",
    "stale": "the result is that of an earlier call",
    "unwritten": "entries of the output were never written",
    "incomplete": "one stretch of the result is right and the rest is not",
    "precision": "the error is that of a narrower number type than the one declared",
    "shape": "the result has another shape, or there are more or fewer results",
    "dtype": "the result has another number type",
    "tail": "right at the given sizes, wrong one past them",
    "other sizes": "right at the given sizes, wrong at others",
    "strides": "right for contiguous inputs, wrong for the same numbers in other strides",
    "other numbers": "right for standard normal inputs, wrong for others",
    "input": "the inputs are altered",
    "alias": "the result is the memory of an input",
    "overwritten": "a later call altered the result of an earlier one",
    "outside": "bytes around the arrays were written",
    "reads outside": "the result depends on bytes beside the inputs",
    "ahead": "one call of a group does the work of the others",
    "late": "the result was not there when the clock stopped",
    "stream": "the work is not on the stream that is timed",
    "background": "threads or processes that it started work on between calls",
    "memory": "repeated numbers come far sooner than new ones: results are kept",
    "lazy": "what it returns is no array",
    "tampered": "it replaced functions of the clock, of NumPy or of this harness, or changed the process",
    "reference": "the reference no longer gives what it gave before",
    "prints": "it prints while it is timed",
    "raised": "it raised an error",
    "ceiling": "faster than this machine can move the bytes or do the arithmetic",
    "race": "the simulator found a race, a missing wait, or undefined memory",
    "simulator": "the simulator refuses the kernel",
}

FEW = 12                                             # entries, right or wrong, that may lie side by side by luck where rounding decides


@dataclasses.dataclass(frozen=True)
class Reason:
    """Why a provider is refused: one of REASONS, when ("before", "during" or "after" timing, or a variation), and what was seen."""
    name: str
    when: str
    what: str

    def __str__(self):
        return f"{self.name} ({self.when}): {self.what}"


def judge(outputs, truth, precision, allowed, when, earlier=(), dtype=None):
    """(findings, largest error in ulps) of NumPy arrays beside a Truth.  earlier: digests of results of earlier calls.

    dtype: what floating-point results must be in; None: any.
    """
    if len(outputs) != len(truth.results):
        counted = " (a list or tuple counts as several)" if len(outputs) > 1 else ""
        return [Reason("shape", when, f"{len(outputs)} results{counted} where the reference gives {len(truth.results)}")], np.inf
    findings, worst = [], 0.0
    for i, (y, r, yard) in enumerate(zip(outputs, truth.results, truth.yards)):
        which = f"result {i}: " if len(outputs) > 1 else ""
        if y.shape != r.shape:
            findings.append(Reason("shape", when, f"{which}{y.shape} where the reference gives {r.shape}"))
            continue
        if (bad := wrong_dtype(y, r, dtype)) is not None:
            findings.append(Reason("dtype", when, f"{which}{y.dtype.name} where {bad} was asked for"))
        if yard is None:
            error = np.where(y == r, 0.0, np.inf)
        else:
            error = ulps(y, r, yard, precision)
        largest = float(error.max(initial=0))
        worst = max(worst, largest)
        if not largest <= allowed:
            name, what = diagnosis(y, r, yard, error, precision, allowed, earlier)
            findings.append(Reason(name, when, which + what))
    return findings, worst


def wrong_dtype(y, r, dtype):
    if r.dtype.kind == "f" and dtype is not None and y.dtype != dtype and (y.dtype.kind != "f" or y.dtype.itemsize <= dtype.itemsize):
        return dtype.name                            # a wider one costs more and is no cheat
    if r.dtype.kind in "iub" and y.dtype.kind not in "iub":
        return r.dtype.name
    return None


def diagnosis(y, r, yard, error, precision, allowed, earlier):
    """(name, what was seen) of a wrong result."""
    flat, bad = np.ascontiguousarray(y).reshape(-1), ~(error <= allowed)
    count = f"{int(bad.sum())} of {bad.size} entries are off"
    at = np.unravel_index(int(np.argmax(error)), error.shape) if error.size else ()
    where = f"{count}, the worst at [{', '.join(map(str, at))}]: {y[at]} where the reference has {r[at]:.9g}"
    if not np.any(flat != 0):
        return "zeros", f"{count}: all are zero; the reference has up to {np.abs(r).max():.3g}"
    if earlier and 2 * bad.sum() > bad.size and digest([y]) in earlier:
        return "stale", f"{count}: it is bit for bit a result for other inputs"
    number = np.isfinite(flat.astype(np.complex128 if y.dtype.kind == "c" else np.float64))
    strange = ~number & bad.reshape(-1)
    if strange.any():
        return "nan", f"{int(strange.sum())} of {bad.size} entries are NaN or infinite, the reference's are not" if np.isfinite(r).any() else where
    if flat.size > 1 and np.all(flat == flat[0]):
        return "constant", f"{count}: all are {flat[0]}"
    if not number.all() or not np.isfinite(r).all():
        return "nan", where
    narrow = narrower(error, precision) if yard is not None else None
    by_luck = narrow and min(bad.sum(), bad.size - bad.sum()) < FEW
    if stretch(bad) and not by_luck:
        return "incomplete", where
    if narrow:
        near = error.max() < 8 * allowed             # perhaps another formula in the same type
        return "precision", (f"off by {error.max():.3g} ulp of {precision}, {allowed:.3g} allowed: what {narrow} would give; "
                             f"declare precision=\"{narrow}\" if that is meant" +
                             (f", or allow ulps={2 * error.max():.0f} if its own arithmetic explains it" if near else ""))
    return "wrong", f"{where} ({error.max():.3g} ulp, {allowed:.3g} allowed)"


def stretch(bad):
    """Whether the wrong entries are one block of neighbours, in memory or along one axis, at an end or less than half, amid right ones.

    The right entries must mostly lie outside of it: of results that are right here and there by luck, one may well be the last.
    """
    if not bad.any() or bad.all():
        return False
    right = bad.size - bad.sum()
    for marked in (bad.reshape(-1), *(bad.any(tuple(j for j in range(bad.ndim) if j != i)) for i in range(bad.ndim if bad.ndim > 1 else 0))):
        places = np.flatnonzero(marked)
        span = places[-1] - places[0] + 1
        inside = span * bad.size / marked.size
        apart = bad.sum() >= 0.6 * inside and inside - bad.sum() <= right / 2
        if span < marked.size and apart and (places[-1] == marked.size - 1 or places[0] == 0 or span <= marked.size / 2):
            return span > 1 or marked.size < bad.size
    return False


def narrower(error, precision):
    """The widest number type narrower than `precision` whose rounding explains the errors, or None."""
    typical = float(np.sqrt(np.mean(np.minimum(error, 1e30)**2)))
    for name in ("float32", "tf32", "bfloat16"):
        if EPS[name] > EPS[precision]:
            ratio = EPS[name] / EPS[precision]
            if typical <= 8 * ratio and error.max() <= 64 * ratio:
                return name
    return None


def digest(arrays):
    """A short name of some arrays' bytes."""
    h = hashlib.blake2b(digest_size=16)
    for a in arrays:
        a = np.ascontiguousarray(a)
        h.update(repr((a.shape, a.dtype.name)).encode())
        h.update(a.view(np.uint8).reshape(-1).data if a.size else b"")
    return h.digest()
