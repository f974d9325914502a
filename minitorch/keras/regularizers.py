"""Penalties on weights: a regularizer is called with a tensor and gives what the loss grows by."""
from .registry import Configured, resolver


class Regularizer(Configured):
    """The base: __call__(x) gives the penalty, a number."""

    def __call__(self, x):
        raise NotImplementedError(f"{type(self).__name__} needs a __call__(x)")


def penalty(name, value):
    """A factor of a penalty as a number; ValueError unless it is one and not negative."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < float("inf"):
        raise ValueError(f"{name} must be a number from 0 on, not {value!r}")
    return float(value)


class L1L2(Regularizer):
    """l1 * sum |x| + l2 * sum x^2."""

    def __init__(self, l1=0.0, l2=0.0):
        self.l1, self.l2 = penalty("l1", 0.0 if l1 is None else l1), penalty("l2", 0.0 if l2 is None else l2)

    def __call__(self, x):
        first = self.l1 * x.abs().sum() if self.l1 else None
        second = self.l2 * x.square().sum() if self.l2 else None
        return x.sum() * 0 if first is second else second if first is None else first if second is None else first + second


class L1(L1L2):
    """l1 * sum |x|."""

    def __init__(self, l1=0.01):
        super().__init__(l1=0.01 if l1 is None else l1)


class L2(L1L2):
    """l2 * sum x^2."""

    def __init__(self, l2=0.01):
        super().__init__(l2=0.01 if l2 is None else l2)


def l1_l2(l1=0.01, l2=0.01):
    """L1L2, by the name of a function."""
    return L1L2(l1, l2)


l1, l2 = L1, L2
get = resolver("regularizer", {"l1": L1, "l2": L2, "l1_l2": L1L2, "L1": L1, "L2": L2, "L1L2": L1L2}, base=Regularizer)
