"""From a slope with its error bar, and a claim with its rounding, to a verdict."""
import dataclasses

import numpy as np

from .differences import FIRST
from .report import CORRECT, NOT_DIFFERENTIABLE, NOT_FINITE, TOO_NOISY, VACUOUS, WRONG

SURE = 1e-3                                          # a slope known no better than this share of its size is noise (in float16 6 %)
FAR = (3.0, 10.0, 30.0, 100.0, 1e3)                  # steps at which to look where nothing moves nearby
RANK = [CORRECT, VACUOUS, TOO_NOISY, WRONG, NOT_DIFFERENTIABLE, NOT_FINITE]


@dataclasses.dataclass
class Judged:
    """A verdict on one slope."""
    verdict: str
    note: str
    bound: float                                     # how far slope and claim may lie apart if the claim is right
    weight: tuple                                    # to pick the gravest


def of(found, k, claim, unit, F):
    """The verdict on the claim for function k of the Slopes `found` of F; F is None where it need not be known what happens far out."""
    value, bound = found.value[k], claim.bound(found.error[k])
    name, note = reasoned(found, k, value, bound, claim, max(SURE, 64 * unit), F)
    return Judged(name, note, bound, (RANK.index(name), abs(value - claim.value) / (bound or 1.0) if np.isfinite(value) else 0.0))


def reasoned(found, k, value, bound, claim, sure, F):
    """(verdict, what there is to say)"""
    if found.kind[k] == "not finite":
        return NOT_FINITE, "NaN or infinity at every step away from the point"
    if found.kind[k] == "kink":
        return NOT_DIFFERENTIABLE, "a kink: the slope is {:.6g} to one side and {:.6g} to the other".format(*found.one_sided(k))
    if found.kind[k] == "jump":
        return NOT_DIFFERENTIABLE, "it jumps"
    if not np.isfinite(value) or not np.isfinite(bound):
        return NOT_FINITE, "NaN or infinity so near the point that no slope can be taken"
    seen = claim.scale(value)
    if not found.agrees(k, claim):
        if found.moves_in_stairs(k, claim):
            return TOO_NOISY, "the results move in stairs, as if rounded: flat near the point, along the claimed slope further out"
        return WRONG, ""
    if found.change[k] == 0 and claim.size == 0:     # nothing moves, nothing is claimed
        return (VACUOUS, VAGUE) if F is not None and moves_unseen(F, k, found.noise[k]) else (CORRECT, "the results do not depend on it")
    if bound <= sure * seen or seen <= bound <= sure * found.change[k]:    # a zero is seen sharply beside what F does nearby
        return CORRECT, ""
    if seen <= found.error[k] + claim.own:
        return VACUOUS, VAGUE
    return TOO_NOISY, f"rounding noise of {found.noise[k]:.1e} in the results hides the slope"


VAGUE = "the gradient is smaller than what could be seen here: neither right nor wrong"


def moves_unseen(F, k, noise):
    """Whether a function that nothing moves nearby moves far out, so slowly that nearby it would drown in rounding."""
    rates = [abs(F(sign * t)[k]) / t for t in FAR for sign in (1, -1)]
    return any(0 < rate * FIRST < 10 * noise for rate in rates)
