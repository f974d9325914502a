"""float16, bfloat16 and float32 beside float64: whether a derivative that is right in float64 is also right in the function's own dtype.

Both are computed with the same cotangents and compared entry by entry.  An entry that is far off is looked at again at
neighbouring points: rounding errors come out different there, a mistake stays.
"""
import numpy as np

from ..backend import xp
from .directions import LOW, signed
from .report import NOT_FINITE, TOO_NOISY, WRONG

AGAIN, NEARBY = 4, 0.02                              # how many neighbouring points, and how far away they are


def unit_of(a):
    """The relative rounding error of an array's dtype."""
    return {"float16": 2.0 ** -10, "bfloat16": 2.0 ** -7}.get(a.dtype.name) or float(np.finfo(a.dtype).eps)


def compare(check):
    """Enter into the reports of a check where the derivative in the function's own dtype differs from that in float64."""
    for us, height in zip(check.cotangents, check.heights):
        us = [u * height for u in us]                # of size 1, which every dtype can hold
        pairs = both(check, us, check.problem.arrays)
        for i, r in enumerate(check.reports):
            if r.ok and check.arrays[i].size:
                judge(check, i, us, *pairs[i])


def both(check, us, arrays):
    """For each input the derivative in its own dtype and in float64, at the same point with the same cotangents, as float64."""
    p = check.problem
    us = [u.astype(d) for u, d in zip(us, check.dtypes)]
    p.widen(False)
    low = check.claim.by_input(arrays, us)
    p.widen(True)
    return list(zip(low, check.claim.by_input([a.astype("f8") for a in arrays], [u.astype("f8") for u in us])))


def judge(check, i, us, a, b):
    """Enter what a derivative `a` in its own dtype is worth beside `b` in float64."""
    r, unit = check.reports[i], max(unit_of(check.problem.arrays[i]), 2.0 ** -23)
    if not np.isfinite(a).all():
        r.verdict, r.note = NOT_FINITE, f"the gradient in {r.dtype} holds NaN or infinity"
        return
    apart, largest = np.abs(a - b), float(np.abs(b).max(initial=0)) or 1.0
    typical = float(np.sqrt(np.mean(np.square(apart))))
    limit = max(64 * unit * largest, 30 * float(np.median(apart)))
    worst = np.unravel_index(int(apart.argmax()), apart.shape)
    if apart[worst] > limit and apart[worst] > 100 * unit * abs(b[worst]) and stays(check, i, us, worst, a[worst] - b[worst]):
        r.verdict, r.worst = WRONG, None
        r.note = (f"in float64 the gradient is right, but in {r.dtype} entry {list(map(int, worst))} is {a[worst]:.6g} "
                  f"where float64 gives {b[worst]:.6g}")
    elif typical > 0.1 * largest:
        r.verdict, r.note = TOO_NOISY, f"in {r.dtype} the gradient is off by {typical / largest:.0%} of its largest entry"
    else:
        r.power = max(r.power, limit / LOW)


def stays(check, i, us, entry, error):
    """Whether an error is much the same at neighbouring points."""
    rng = np.random.default_rng(check.seed)
    for _ in range(AGAIN):
        arrays = [xp(a).asarray(a * xp(a).asarray(1 + NEARBY * signed(a.shape, rng)), dtype=a.dtype) for a in check.problem.arrays]
        a, b = both(check, us, arrays)[i]
        if not abs((a[entry] - b[entry]) - error) < 0.3 * abs(error):
            return False
    return True
