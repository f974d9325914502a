"""Metrics from counts of right and wrong answers above a threshold: precision, recall, the area under a curve."""
import numpy as np

import minitorch as torch

from ..variable import shown
from .base import Metric, numbers, scalar, weights


class Counts(Metric):
    """The base: true and false positives and negatives for each threshold, y_pred above it being a positive.

    top_k: the k largest of each sample are the positives.  class_id: of this output alone.
    """

    def __init__(self, thresholds=None, top_k=None, class_id=None, name=None, dtype=None):
        super().__init__(name=name)
        self.several = isinstance(thresholds, (list, tuple, np.ndarray))
        self.thresholds = np.atleast_1d(0.5 if thresholds is None else thresholds).astype("f8")
        self.top_k, self.class_id = top_k, class_id
        if ((self.thresholds < 0) | (self.thresholds > 1)).any() and type(self) is not AUC:
            raise ValueError(f"{type(self).__name__}: thresholds must be from 0 to 1, not {thresholds}")
        self.reset_state()

    def reset_state(self):
        self.tp, self.fp, self.tn, self.fn = np.zeros((4, len(self.thresholds)))

    def update_state(self, y_true, y_pred, sample_weight=None):
        t, p = numbers(y_true).astype("f8"), numbers(y_pred).astype("f8")
        if t.size != p.size:
            raise ValueError(f"{self.name}: the targets have the shape {shown(t.shape)}, but the model's output {shown(p.shape)}; class "
                             "numbers become one-hot targets by keras.utils.to_categorical")
        t = t.reshape(p.shape)
        w = np.broadcast_to(weights(sample_weight, p), p.shape)
        if self.top_k is not None:
            least = np.sort(p, -1)[..., -self.top_k][..., None]
            p = (p >= least).astype("f8")
        if self.class_id is not None:
            t, p, w = (x[..., self.class_id] for x in (t, p, w))
        t, p, w = t.reshape(-1) > 0.5, p.reshape(-1), w.reshape(-1)
        for i, threshold in enumerate(self.thresholds):
            yes = p > threshold
            self.tp[i] += w[yes & t].sum()
            self.fp[i] += w[yes & ~t].sum()
            self.fn[i] += w[~yes & t].sum()
            self.tn[i] += w[~yes & ~t].sum()

    def result(self):
        values = self.values()
        return torch.tensor(values, dtype=torch.get_default_dtype()) if self.several else scalar(float(values[0]))

    def values(self):
        """The number for each threshold."""
        raise NotImplementedError


def quotient(a, b):
    """a / b, and 0 where b is 0."""
    return np.divide(a, b, out=np.zeros_like(a), where=b != 0)


class Precision(Counts):
    """The share of true ones among the positives."""

    def values(self):
        return quotient(self.tp, self.tp + self.fp)


class Recall(Counts):
    """The share of positives among the true ones."""

    def values(self):
        return quotient(self.tp, self.tp + self.fn)


class OneCount(Counts):
    """The base of the metrics that are one of the counts."""

    def __init__(self, thresholds=None, name=None, dtype=None):
        super().__init__(thresholds, name=name)


class TruePositives(OneCount):
    """How many positives are true."""

    def values(self):
        return self.tp


class FalsePositives(OneCount):
    """How many positives are not true."""

    def values(self):
        return self.fp


class TrueNegatives(OneCount):
    """How many negatives are right."""

    def values(self):
        return self.tn


class FalseNegatives(OneCount):
    """How many negatives are wrong."""

    def values(self):
        return self.fn


class AUC(Counts):
    """The area under the ROC or the PR curve, from the counts at num_thresholds thresholds.

    The PR curve is interpolated as Davis & Goadrich (2006) have it.
    """

    def __init__(self, num_thresholds=200, curve="ROC", summation_method="interpolation", name=None, dtype=None, thresholds=None,
                 multi_label=False, num_labels=None, label_weights=None, from_logits=False):
        if curve not in ("ROC", "PR") or summation_method != "interpolation" or multi_label or label_weights is not None:
            raise ValueError("AUC: curve is 'ROC' or 'PR', summation_method 'interpolation', and multi_label is not supported")
        inner = [i / (num_thresholds - 1) for i in range(1, num_thresholds - 1)] if thresholds is None else sorted(thresholds)
        super().__init__([-1e-7, *inner, 1 + 1e-7], name=name)
        self.curve, self.from_logits = curve, from_logits

    def update_state(self, y_true, y_pred, sample_weight=None):
        if self.from_logits:
            y_pred = 1 / (1 + np.exp(-numbers(y_pred).astype("f8")))
        super().update_state(y_true, y_pred, sample_weight)

    def result(self):
        tp, fp, fn = self.tp, self.fp, self.fn
        if self.curve == "ROC":
            x, y = quotient(fp, fp + self.tn), quotient(tp, tp + fn)
            return scalar(float(((x[:-1] - x[1:]) * (y[:-1] + y[1:]) / 2).sum()))
        p = tp + fp
        slope = quotient(tp[:-1] - tp[1:], np.maximum(p[:-1] - p[1:], 0))
        start = tp[1:] - slope * p[1:]
        both = (p[:-1] > 0) & (p[1:] > 0)
        ratio = np.where(both, quotient(p[:-1], np.maximum(p[1:], 0)), 1.0)
        part = quotient(slope * (tp[:-1] - tp[1:] + start * np.log(ratio)), np.maximum(tp[1:] + fn[1:], 0))
        return scalar(float(part.sum()))


class F1Score(Metric):
    """2 precision recall / (precision + recall) for each output; average: "macro", "micro", "weighted" or None.

    threshold: what is a positive; None: the largest output of each sample.
    """

    def __init__(self, average=None, threshold=None, name="f1_score", dtype=None):
        super().__init__(name=name)
        if average not in (None, "micro", "macro", "weighted"):
            raise ValueError(f"F1Score: average must be micro, macro, weighted or None, not {average!r}")
        self.average, self.threshold = average, threshold
        self.reset_state()

    def reset_state(self):
        self.tp = self.fp = self.fn = 0.0

    def update_state(self, y_true, y_pred, sample_weight=None):
        t, p = numbers(y_true), numbers(y_pred)
        if t.shape != p.shape or p.ndim != 2:
            raise ValueError(f"f1_score: targets and output must both be (samples, classes), not {shown(t.shape)} and {shown(p.shape)}; "
                             "class numbers become one-hot targets by keras.utils.to_categorical")
        yes = p > self.threshold if self.threshold is not None else np.arange(p.shape[1]) == p.argmax(1)[:, None]
        t, w = t > 0.5, np.broadcast_to(weights(sample_weight, p), p.shape)
        axis = None if self.average == "micro" else 0
        self.tp = self.tp + (w * (yes & t)).sum(axis)
        self.fp = self.fp + (w * (yes & ~t)).sum(axis)
        self.fn = self.fn + (w * (~yes & t)).sum(axis)

    def result(self):
        tp, fp, fn = (np.asarray(x, "f8") for x in (self.tp, self.fp, self.fn))
        score = quotient(2 * tp, 2 * tp + fp + fn)
        if self.average == "weighted":
            return scalar(float(quotient((score * (tp + fn)).sum(), (tp + fn).sum())))
        return torch.tensor(score, dtype=torch.get_default_dtype()) if self.average is None else scalar(float(score.mean()))


CLASSES = (Precision, Recall, AUC, F1Score, TruePositives, FalsePositives, TrueNegatives, FalseNegatives)
