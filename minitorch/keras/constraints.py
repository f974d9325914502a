"""Limits on weights, applied after each step: a constraint is called with a tensor and gives the nearest allowed one."""
from .registry import Configured, resolver


class Constraint(Configured):
    """The base: __call__(w) gives the allowed weights."""

    def __call__(self, w):
        raise NotImplementedError(f"{type(self).__name__} needs a __call__(w)")


def norms(w, axis):
    return w.square().sum(axis, keepdim=True).sqrt()


class MaxNorm(Constraint):
    """The norm along the axis is at most max_value."""

    def __init__(self, max_value=2, axis=0):
        self.max_value, self.axis = max_value, axis

    def __call__(self, w):
        size = norms(w, self.axis)
        return w * (size.clamp(0, self.max_value) / (1e-7 + size))


class NonNeg(Constraint):
    """No weight is below 0."""

    def __call__(self, w):
        return w.clamp(min=0)


class UnitNorm(Constraint):
    """The norm along the axis is 1."""

    def __init__(self, axis=0):
        self.axis = axis

    def __call__(self, w):
        return w / (1e-7 + norms(w, self.axis))


class MinMaxNorm(Constraint):
    """The norm along the axis is brought between min_value and max_value, by `rate` of the way."""

    def __init__(self, min_value=0.0, max_value=1.0, rate=1.0, axis=0):
        self.min_value, self.max_value, self.rate, self.axis = min_value, max_value, rate, axis

    def __call__(self, w):
        size = norms(w, self.axis)
        wanted = self.rate * size.clamp(self.min_value, self.max_value) + (1 - self.rate) * size
        return w * (wanted / (1e-7 + size))


max_norm, non_neg, unit_norm, min_max_norm = MaxNorm, NonNeg, UnitNorm, MinMaxNorm
get = resolver("constraint", {"max_norm": MaxNorm, "non_neg": NonNeg, "unit_norm": UnitNorm, "min_max_norm": MinMaxNorm, "MaxNorm": MaxNorm,
                              "NonNeg": NonNeg, "UnitNorm": UnitNorm, "MinMaxNorm": MinMaxNorm}, base=Constraint)
