"""After a check has failed: which entry of the Jacobian is worst, and what kind of mistake it looks like; or which entry has the kink.

The disagreement along a direction is a sum over entries: halving the entries that move, and keeping the half that disagrees
more, finds the input's entry in log2(n) steps; halving the cotangent then finds the output's.
"""
import numpy as np

from ..backend import to_numpy
from .report import shown

FEW = 400                                            # entries up to which the whole gradient is compared to name the mistake


def worst(check, i, report):
    """Fill in the worst entry and the known kind of mistake of a wrong gradient of input i."""
    direction, k, step = report.evidence
    claim, size = check.claim, direction.size
    h = step

    def central(v):
        """(f(x + h v) - f(x - h v)) / 2h as a list of arrays, for a direction v of input i."""
        d = [v if j == i else None for j in range(len(check.arrays))]
        up, down = (check.problem.value(check.moved(t, d), fresh=True) for t in (h, -h))
        return [(to_numpy(a).astype("f8") - to_numpy(b).astype("f8")) / (2 * h) for a, b in zip(up, down)]

    def slope(v):
        return sum(float(np.vdot(u, y)) for u, y in zip(check.cotangents[k], central(v)))

    def disagreement(places):
        v = np.zeros(size)
        v[places] = direction.reshape(-1)[places]
        v = v.reshape(direction.shape)
        return slope(v) - claim.slope(i, k, v)

    places = np.arange(size)
    whole = disagreement(places)
    while len(places) > 1:
        first, second = places[:len(places) // 2], places[len(places) // 2:]
        part = disagreement(first)
        places, whole = (first, part) if abs(part) >= abs(whole - part) else (second, whole - part)
    entry = np.unravel_index(int(places[0]), direction.shape) if direction.shape else ()
    v = np.zeros(direction.shape)
    v[entry] = abs(direction[entry]) or 1.0
    column = [y / v[entry] for y in central(v)]      # d outputs / d entry
    output, index, numeric, mine = worst_output(check, i, entry, column)
    several = len(column) > 1
    report.worst = ((output, *index) if several else index), tuple(map(int, entry))
    report.worst_numeric, report.worst_claimed = numeric, mine
    if size <= FEW:
        right, claimed = np.empty(direction.shape), np.empty(direction.shape)
        for j in np.ndindex(direction.shape):
            v = np.zeros(direction.shape)
            v[j] = abs(direction[j]) or 1.0
            right[j], claimed[j] = slope(v) / v[j], claim.slope(i, k, v) / v[j]
        report.bug = kind_of_mistake(right, claimed)


def unsmooth(check, i, report):
    """Add to the note of input i at which of its entries the function has the kink or the jump that was found, where one alone shows it."""
    direction, k, _ = report.evidence
    steps = report.trace[0]
    h, size = float(steps[len(steps) // 2]), direction.size

    def bend(places, h):
        """How far F(h) and F(-h) lie from a straight line (for a jump: from F(0)) when only these entries move."""
        v = np.zeros(size)
        v[places] = direction.reshape(-1)[places]
        F = check.along([v.reshape(direction.shape) if j == i else None for j in range(len(check.arrays))])
        up, down = F(h)[k], F(-h)[k]
        return abs(up + down) if report.kind == "kink" else abs(up) + abs(down)

    places = np.arange(size)
    while len(places) > 1:
        first, second = places[:len(places) // 2], places[len(places) // 2:]
        places = first if bend(first, h) >= bend(second, h) else second
    here, closer = bend(places, h), bend(places, h / 10)
    if here > 0 and closer > here / (20 if report.kind == "kink" else 2):  # a smooth one would shrink a hundredfold, or tenfold
        report.note += f", at {report.name}{shown(np.unravel_index(int(places[0]), direction.shape) if direction.shape else ())}"


def worst_output(check, i, entry, column):
    """(number of the output, index in it, numeric, claimed) where a column of the Jacobian is most wrong."""
    def claimed(us):
        return check.claim.entry(i, entry, us)

    def zeros():
        return [np.zeros(y.shape) for y in column]
    places = [(o, j) for o, y in enumerate(column) for j in range(y.size)]
    signs = np.random.default_rng(check.seed).choice((-1.0, 1.0), len(places))

    def cotangent(chosen):
        us = zeros()
        for c in chosen:
            us[places[c][0]].reshape(-1)[places[c][1]] = signs[c]
        return us

    def disagreement(chosen):
        us = cotangent(chosen)
        return abs(sum(float(np.vdot(u, y)) for u, y in zip(us, column)) - claimed(us))
    chosen = np.arange(len(places))
    while len(chosen) > 1:
        first, second = chosen[:len(chosen) // 2], chosen[len(chosen) // 2:]
        chosen = first if disagreement(first) >= disagreement(second) else second
    o, j = places[int(chosen[0])]
    index = np.unravel_index(j, column[o].shape) if column[o].shape else ()
    return o, tuple(map(int, index)), float(column[o].reshape(-1)[j]), claimed(cotangent(chosen)) * signs[chosen[0]]


# ---- what a mistake looks like ---------------------------------------------------------------------------------------

def kind_of_mistake(right, claimed, near=1e-4):
    """The known mistake that turns the gradient `right` into `claimed`; "" for none of them."""
    size = float(np.sqrt(np.square(right).mean())) if right.size else 0.0
    if right.size < 2 or not size:
        return ""

    def alike(a, b):
        return a.shape == b.shape and np.abs(a - b).max() <= near * size

    if not claimed.any():
        return "a gradient that was never computed: all zeros"
    if alike(claimed, -right):
        return "a wrong sign"
    if right.ndim >= 2 and right.shape[-1] == right.shape[-2] and alike(claimed, right.swapaxes(-1, -2)):
        return "a transpose too many or too few"
    if right.ndim >= 2 and alike(claimed.reshape(-1), np.ascontiguousarray(right.swapaxes(-1, -2)).reshape(-1)):
        return "a transpose replaced by a reshape"
    factor = float((claimed * right).sum() / np.square(right).sum())
    if alike(claimed, factor * right):
        return f"a constant factor: the claimed gradient is {factor:.6g} times the right one"
    for axis in range(right.ndim):
        for shift in (1, -1):
            if alike(claimed, np.roll(right, shift, axis)) or rolled(claimed, right, shift, axis, near * size):
                return f"an index off by one along axis {axis}"
    if alike(np.abs(claimed), np.abs(right)):
        return "wrong signs of some entries"
    wrong = np.abs(claimed - right) > near * size
    if wrong.mean() <= 0.5:
        where = " at the edge" if right.ndim and at_edge(wrong) else ""
        if not claimed[wrong].any():
            return f"entries that were left out{where}: zero where they should not be"
        ratio = right[wrong] / np.where(claimed[wrong], claimed[wrong], np.nan)
        if np.all(np.abs(ratio) > 1 - near) and np.all(np.abs(ratio - np.round(ratio)) < 0.01):
            return "`=` where `+=` is meant: entries that several places contribute to hold one contribution only"
        return f"{int(wrong.sum())} of {right.size} entries wrong{where}, the others right"
    rest = claimed - right
    if np.ptp(rest) <= near * size:
        return "a constant added to every entry (a missing or doubled mean)"
    if np.abs(rest).max() < 0.02 * size:
        return "a small systematic error: a wrong epsilon, or a saved value of lower precision"
    return "a missing or an extra term"


def rolled(claimed, right, shift, axis, near):
    """claimed = right moved by `shift` along an axis, apart from the entries that moved in."""
    a = np.moveaxis(claimed, axis, 0)
    b = np.moveaxis(right, axis, 0)
    if len(a) < 3:
        return False
    a, b = (a[1:], b[:-1]) if shift > 0 else (a[:-1], b[1:])
    return np.abs(a - b).max() <= near


def at_edge(wrong):
    """Whether all wrong entries lie at one end of one axis."""
    for axis in range(wrong.ndim):
        where = np.flatnonzero(wrong.any(axis=tuple(i for i in range(wrong.ndim) if i != axis)))
        if wrong.shape[axis] > 2 and len(where) == 1 and where[0] in (0, wrong.shape[axis] - 1):
            return True
    return False
