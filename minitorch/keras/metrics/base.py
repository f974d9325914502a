"""Metric: totals over batches, and the number they make.

Metrics are computed on NumPy arrays, in double precision and outside the graph.
"""
import numpy as np

import minitorch as torch

from ... import backend
from ...tensor import Tensor
from ..registry import Configured
from ..variable import shown


def numbers(x):
    """A tensor or anything like an array as a NumPy array."""
    return backend.to_numpy(x.detach().array) if isinstance(x, Tensor) else np.asarray(x)


class Metric(Configured):
    """The base: update_state(y_true, y_pred) gathers, result() tells, reset_state() forgets.

    A metric of your own keeps its totals in add_weight()s, or in plain attributes and a reset_state() of its own.
    """

    def __init__(self, dtype=None, name=None):
        self.name, self._totals = name or snake(type(self).__name__), {}

    def add_weight(self, name=None, shape=(), initializer="zeros", dtype=None, **_):
        """A total that reset_state() sets back to 0."""
        from ..variable import State
        total = State(torch.zeros(shape))
        total.name = name
        self._totals[name or len(self._totals)] = total
        return total

    add_variable = add_weight

    @property
    def variables(self):
        """The totals."""
        return list(self._totals.values())

    def reset_state(self):
        """Forget everything gathered."""
        for total in self._totals.values():
            total.zero_()

    def update_state(self, *args, **kwargs):
        """Gather a batch."""
        raise NotImplementedError(f"{type(self).__name__} needs a method update_state(y_true, y_pred, sample_weight=None)")

    def result(self):
        """The number, a tensor of no axes."""
        raise NotImplementedError(f"{type(self).__name__} needs a method result()")

    def __call__(self, *args, **kwargs):
        self.update_state(*args, **kwargs)
        return self.result()

    def __repr__(self):
        return f"<{type(self).__name__} name={self.name}>"


def snake(name):
    import re
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)).lower()


def scalar(x):
    """A result as a tensor."""
    return torch.tensor(x, dtype=torch.get_default_dtype())


class Sum(Metric):
    """The sum of the values."""

    def __init__(self, name="sum", dtype=None):
        super().__init__(name=name)
        self.reset_state()

    def reset_state(self):
        self.total = 0.0

    def update_state(self, values, sample_weight=None):
        self.total += float((numbers(values).astype("f8") * weights(sample_weight, numbers(values))).sum())

    def result(self):
        return scalar(self.total)


class Mean(Sum):
    """The mean of the values, each counted by its weight."""

    def __init__(self, name="mean", dtype=None):
        super().__init__(name)

    def reset_state(self):
        self.total = self.count = 0.0

    def update_state(self, values, sample_weight=None):
        values = numbers(values).astype("f8")
        w = np.broadcast_to(weights(sample_weight, values), values.shape)
        self.total += float((values * w).sum())
        self.count += float(w.sum())

    def result(self):
        return scalar(self.total / self.count if self.count else 0.0)


def weights(sample_weight, values):
    """Weights of samples in a form that multiplies `values`. ValueError where they do not fit."""
    if sample_weight is None:
        return np.ones((), "f8")
    w = numbers(sample_weight).astype("f8")
    if w.ndim == values.ndim + 1 and w.shape[-1] == 1:
        w = w[..., 0]
    if w.ndim > values.ndim or w.shape != values.shape[:w.ndim]:
        raise ValueError(f"sample_weight has the shape {shown(w.shape)}, but there are values of {shown(values.shape)}")
    return w.reshape((*w.shape, *(1,) * (values.ndim - w.ndim)))


class MeanMetricWrapper(Mean):
    """The mean of fn(y_true, y_pred) over the samples."""

    def __init__(self, fn, name=None, dtype=None, **kwargs):
        super().__init__(name or getattr(fn, "__name__", "mean"))
        self._fn, self._options = fn, kwargs

    def update_state(self, y_true, y_pred, sample_weight=None):
        mask = getattr(y_pred, "_keras_mask", None)
        with torch.no_grad():
            values = numbers(self._fn(y_true, y_pred, **self._options))
        if mask is not None and mask.shape == values.shape:
            sample_weight = numbers(mask) * weights(sample_weight, values)
        super().update_state(values, sample_weight)
