"""Connectionist temporal classification (Graves et al. 2006): the loss of a sequence of labels without their times.

The labels, with a blank before, between and after them, are states; a path stays, goes on by one, or by two over a blank between
different labels.  The likelihood is the sum over all paths, step by step of time.
"""
import numpy as np

from .. import backend, dtypes
from ..autograd.op import composed
from ..backend import to_numpy, xp
from ..cases import normal
from ..tensor import Tensor, wrap
from .choose import where
from .join import stack
from .loss import reduction_of
from .pad import pad_constant
from .rows import slice_of

NEVER = -1e30                              # the logarithm of a probability of 0, from which no NaN comes


def lengths(name, given, N, most):
    """Lengths as a NumPy array; RuntimeError for another number of them, or for one out of range."""
    if not isinstance(given, (Tensor, int, tuple, list)):
        raise TypeError(f"ctc_loss(): argument '{name}' must be a Tensor or a tuple of ints, not {type(given).__name__}")
    given = to_numpy(given.array) if isinstance(given, Tensor) else np.asarray(given)
    if given.dtype.kind not in "iu":
        raise RuntimeError(f"{name} must be integral")
    given = given.reshape(-1).astype("i8")
    if given.size != N:
        raise RuntimeError(f"{name} must be of size batch_size: expected {N}, got {given.size}")
    if given.size and (given.min() < 0 or most is not None and given.max() > most):
        raise RuntimeError(f"Expected {name} to have value between 0 and {most}, but got {given.tolist()}")
    return given


def padded_targets(targets, counts, N):
    """Targets (N, S), or one after the other, as a NumPy array (N, longest)."""
    t, longest = to_numpy(targets.array), int(counts.max(initial=0))
    rows = np.zeros((N, longest), "i8")
    if t.ndim == 2:
        if t.shape[0] != N or t.shape[1] < longest:
            raise RuntimeError(f"Expected targets to have size at least {longest} at dimension 1, but got size {list(t.shape)}")
        rows[:] = t[:, :longest]
        return rows
    if t.size < counts.sum():
        raise RuntimeError(f"Expected targets to have {counts.sum()} labels, the sum of target_lengths, but got {t.size}")
    start = 0
    for row, n in zip(rows, counts):
        row[:n] = t[start:start + n]
        start += n
    return rows


def likelihoods(log_probs, rows, times, counts, blank):
    """-log of the probability of each row of labels: (T, N, C) -> (N,)."""
    T, N, _ = log_probs.shape
    L = 2 * rows.shape[1] + 1
    states = np.full((N, L), blank)
    states[:, 1::2] = rows
    lib, place = xp(log_probs.array), backend.device_of(log_probs.array)

    def on_device(a):
        return wrap(backend.move(np.ascontiguousarray(a), place))
    jump = np.zeros((N, L), bool)
    jump[:, 2:] = (states[:, 2:] != blank) & (states[:, 2:] != states[:, :-2])
    zero = lib.zeros((), log_probs.array.dtype)
    no_jump = on_device(np.where(jump, 0.0, NEVER).astype(zero.dtype))
    emitted = log_probs.gather(2, on_device(np.broadcast_to(states, (T, N, L))))                     # (T, N, L)
    start = np.full((N, L), NEVER)
    start[:, 0] = 0.0                                # before the first step: its step of 0 or 1 leads to the first two states
    alive = wrap(lib.asarray(start.astype(zero.dtype)))
    for t in range(T):
        by_one = slice_of(pad_constant(alive, ((0, 0), (1, 0)), NEVER), index=(slice(None), slice(0, L)))
        by_two = slice_of(pad_constant(alive, ((0, 0), (2, 0)), NEVER), index=(slice(None), slice(0, L))) + no_jump
        y = stack([alive, by_one, by_two]).logsumexp(0) + emitted[t]
        alive = y if (times > t).all() else where(on_device(np.broadcast_to((times > t)[:, None], (N, L))), y, alive)
    last = np.zeros((N, L))
    i = np.arange(N)
    last[:] = NEVER
    last[i, 2 * counts] = 0.0
    last[i[counts > 0], 2 * counts[counts > 0] - 1] = 0.0
    loss = -(alive + on_device(last.astype(zero.dtype))).logsumexp(1)
    return where(loss > -NEVER / 2, float("inf"), loss)


@composed(home="torch functional", method=False)
def ctc_loss(log_probs, targets, input_lengths, target_lengths, blank=0, reduction="mean", zero_infinity=False):
    """-log of the probability that log_probs (T, N, C) read as `targets`: (N, S), or all labels one after the other.

    input_lengths, target_lengths: how many steps and labels of each sequence count.  "mean" divides each loss by its number of
    labels first.  zero_infinity: sequences too short for their labels count 0 instead of infinity.
    """
    reduction = reduction_of(None, None, reduction)
    for label, t in (("log_probs", log_probs), ("targets", targets)):
        if not isinstance(t, Tensor):
            raise TypeError(f"ctc_loss(): argument '{label}' must be Tensor, not {type(t).__name__}")
    if not dtypes.is_float(log_probs.array.dtype):
        raise RuntimeError(f'"ctc_loss" not implemented for {log_probs.dtype.name}')
    if targets.array.dtype.kind not in "iu":
        raise RuntimeError("targets must be integral")
    single = log_probs.ndim == 2
    if single:
        log_probs, targets = log_probs.unsqueeze(1), targets.unsqueeze(0) if targets.ndim == 1 else targets
    if log_probs.ndim != 3 or targets.ndim not in (1, 2):
        raise RuntimeError(f"ctc_loss: expected log_probs of 2 or 3 axes and targets of 1 or 2, not {list(log_probs.shape)} and "
                           f"{list(targets.shape)}")
    T, N, C = log_probs.shape
    if not 0 <= blank < C:
        raise RuntimeError("blank must be in label range")
    times, counts = lengths("input_lengths", input_lengths, N, T), lengths("target_lengths", target_lengths, N, None)
    rows = padded_targets(targets, counts, N)
    if rows.size and (rows.min() < 0 or rows.max() >= C):
        raise RuntimeError(f"ctc_loss: labels must be from 0 to {C - 1}")
    loss = likelihoods(log_probs, rows, times, counts, blank)
    if zero_infinity:
        loss = where(loss == float("inf"), 0.0, loss)
    if reduction == "mean":
        return (loss / wrap(backend.move(np.maximum(counts, 1).astype(loss.array.dtype), loss.device))).mean()
    if reduction == "sum":
        return loss.sum()
    return loss[0] if single else loss


ctc_loss.case(normal(5, 2, 4), np.array([[1, 2], [3, 3]]), np.array([5, 4]), np.array([2, 2]))
ctc_loss.case(normal(4, 2, 3), np.array([1, 2, 1]), (4, 3), (1, 2), reduction="none")
ctc_loss.case(normal(4, 3), np.array([0, 1]), 4, 2, blank=2, reduction="sum")
ctc_loss.case(normal(3, 2, 3), np.array([[1, 1], [2, 1]]), (2, 3), (2, 0), reduction="sum", zero_infinity=True)
