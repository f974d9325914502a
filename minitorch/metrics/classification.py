"""Measures of classification: which classes were predicted, and which were right.

Predictions are classes (N,), or scores (N, C, ...) of which the largest, the first of equal ones, says the class.  Everything but
accuracy and roc_auc is counted from the confusion matrix.
"""
import numpy as np

from .arrays import as_array, in_kind


def accuracy(input, target, k=1):
    """The share of targets that are among the k predictions with the highest scores; of equal scores the first class counts.

    input: classes of target's shape, or scores (N, C, ...) for a target (N, ...).
    """
    x, t = as_array(input, "input"), classes(target, "target")
    if x.shape == t.shape:
        if k != 1:
            raise ValueError(f"k={k} needs scores (N, C) as input, but they are classes {x.shape}")
        return float((classes(input, "input") == t).mean())
    scores = by_class(x, t)
    C = scores.shape[1]
    if not isinstance(k, (int, np.integer)) or not 1 <= k <= C:
        raise ValueError(f"k must be a whole number from 1 to the {C} classes, not {k}")
    t = t.reshape(-1)
    if t.min() < 0 or t.max() >= C:
        raise ValueError(f"target has classes from {t.min()} to {t.max()}, where there are scores for 0 to {C - 1}")
    own = scores[np.arange(len(t)), t][:, None]
    ahead = (scores > own) | (scores == own) & (np.arange(C) < t[:, None])
    return float((ahead.sum(1) < k).mean())


def by_class(x, t):
    """Scores (N, C, ...) as rows (N ..., C) in the order of the targets t (N, ...)."""
    if x.ndim != t.ndim + 1 or x.shape[:1] + x.shape[2:] != t.shape:
        raise ValueError(f"input of shape {x.shape} fits target of shape {t.shape} neither as classes nor as scores (N, C, ...)")
    return np.moveaxis(x, 1, -1).reshape(-1, x.shape[1])


def classes(x, name):
    """Whole numbers; ValueError for others."""
    array = as_array(x, name)
    if array.dtype.kind == "f":
        whole = array.astype("i8")
        if not (whole == array).all():
            raise ValueError(f"{name} must hold classes, whole numbers, but contains {array[whole != array].flat[0]}")
        array = whole
    return array.astype("i8", copy=False)


def confusion_matrix(input, target, *, labels=None, normalize=None):
    """m[i, j]: how often class labels[i] was predicted as labels[j].  labels: all that occur, in order.

    normalize: shares "true" of each row, "pred" of each column, or "all"; None: counts.
    ValueError where none of the labels is in target.
    """
    if normalize not in (None, "true", "pred", "all"):
        raise ValueError(f"normalize must be 'true', 'pred', 'all' or None, not {normalize!r}")
    m, labels, t = counts(input, target, labels)
    if not np.isin(labels, t).any():
        raise ValueError(f"none of the labels {labels.tolist()} is in target")
    if normalize is not None:
        total = m.sum(axis={"true": 1, "pred": 0, "all": None}[normalize], keepdims=True)
        m = m / np.where(total, total, 1)
    return in_kind(m, input, target)


def counts(input, target, labels):
    """(the confusion matrix of the labels, the labels, the targets)."""
    x, t = as_array(input, "input"), classes(target, "target").reshape(-1)
    shape = np.shape(target)
    x = classes(input, "input").reshape(-1) if x.shape == shape else by_class(x, t.reshape(shape)).argmax(1)
    if labels is None:
        labels = np.union1d(x, t)
    else:
        labels = classes(labels, "labels").reshape(-1)
        if len(np.unique(labels)) < len(labels):
            raise ValueError(f"labels contains a class twice: {labels.tolist()}")
    order = np.argsort(labels)

    def places(y):
        at = order[np.minimum(np.searchsorted(labels, y, sorter=order), len(labels) - 1)]
        return at, labels[at] == y
    (i, known_t), (j, known_x) = places(t), places(x)
    both, C = known_t & known_x, len(labels)
    return np.bincount(i[both] * C + j[both], minlength=C * C).reshape(C, C), labels, t


def tallies(input, target, labels):
    """For each label: how often it was predicted rightly, predicted at all, and true."""
    _, found, _ = counts(input, target, labels)
    m, every, _ = counts(input, target, None)        # what is predicted as a class that is no label counts too
    at = np.searchsorted(every, found)
    there = (at < len(every)) & (every[np.minimum(at, len(every) - 1)] == found)

    def of(numbers):
        return np.where(there, numbers[np.minimum(at, len(every) - 1)], 0)
    return of(m.diagonal()), of(m.sum(0)), of(m.sum(1))


def averaged(numerator, denominator, support, average, zero_division, given):
    """The quotient of each label, or its mean over the labels as `average` says; zero_division stands for 0 / 0, and NaN is left out."""
    if average not in ("macro", "micro", "weighted", "none", None):
        raise ValueError(f"average must be 'macro', 'micro', 'weighted' or 'none', not {average!r}")
    if zero_division not in (0, 1) and not np.isnan(zero_division):
        raise ValueError(f"zero_division must be 0, 1 or NaN, not {zero_division!r}")
    if average == "micro":
        numerator, denominator = numerator.sum(keepdims=True), denominator.sum(keepdims=True)
    each = np.where(denominator, numerator / np.where(denominator, denominator, 1), float(zero_division))
    if average in ("none", None):
        return in_kind(each, *given)
    kept = ~np.isnan(each)
    if not kept.any():
        return float("nan")
    if average == "weighted" and support[kept].any():
        return float(np.average(each[kept], weights=support[kept]))
    return float(each[kept].mean())


def precision(input, target, *, average="macro", labels=None, zero_division=0.0):
    """Right predictions of a class / predictions of it.

    average: "macro", the mean over the labels; "weighted", by how often each is true; "micro", of all counts together; "none", each.
    labels: all classes that occur, in order.  zero_division: 0, 1 or NaN for a class never predicted; NaN is left out of means.
    """
    right, predicted, true = tallies(input, target, labels)
    return averaged(right, predicted, true, average, zero_division, (input, target))


def recall(input, target, *, average="macro", labels=None, zero_division=0.0):
    """Right predictions of a class / how often it is true; parameters as precision's."""
    right, _, true = tallies(input, target, labels)
    return averaged(right, true, true, average, zero_division, (input, target))


def f1(input, target, *, average="macro", labels=None, zero_division=0.0):
    """2 / (1 / precision + 1 / recall), which is 2 right / (predicted + true); parameters as precision's."""
    right, predicted, true = tallies(input, target, labels)
    return averaged(2 * right, predicted + true, true, average, zero_division, (input, target))


def roc_auc(input, target):
    """The chance that a random positive (target 1) scores higher than a random negative (0); equal scores count half.

    input, target: (N,).  ValueError where one of the two classes is missing.
    """
    x, t = as_array(input, "input").reshape(-1), classes(target, "target").reshape(-1)
    if x.shape != t.shape:
        raise ValueError(f"input with {x.size} scores does not fit target with {t.size} classes")
    if not np.isin(t, (0, 1)).all() or len(np.unique(t)) < 2:
        raise ValueError(f"target must hold both classes, 0 and 1, and no others; it holds {np.unique(t).tolist()}")
    _, inverse, repeats = np.unique(x, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(repeats) - (repeats - 1) / 2)[inverse]        # the mean of the places that equal scores share, from 1
    positives = int(t.sum())
    return float((ranks[t == 1].sum() - positives * (positives + 1) / 2) / (positives * (len(t) - positives)))
