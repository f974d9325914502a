"""Measures of predicted numbers: how far they are off."""
import numpy as np

from .arrays import pair


def wide(input, target):
    """Both as float64 arrays of one shape."""
    x, t = pair(input, target)
    return x.astype("f8"), t.astype("f8")


def mean_squared_error(input, target):
    """The mean of (input - target)^2."""
    x, t = wide(input, target)
    return float(((x - t) ** 2).mean())


def mean_absolute_error(input, target):
    """The mean of |input - target|."""
    x, t = wide(input, target)
    return float(abs(x - t).mean())


def r2(input, target):
    """1 - the sum of (input - target)^2 / the sum of (target - its mean)^2: (N,), or (N, D) with the mean over the D columns.

    Where the target is constant: 1 for a perfect prediction, else 0.  ValueError for fewer than two samples.
    """
    x, t = wide(input, target)
    if len(np.atleast_1d(t)) < 2:
        raise ValueError("r2 needs at least two samples")
    left, spread = ((x - t) ** 2).sum(0), ((t - t.mean(0)) ** 2).sum(0)
    return float(np.where(spread != 0, 1 - left / np.where(spread != 0, spread, 1), left == 0).mean())
