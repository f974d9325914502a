"""Stand-ins for arrays in cases of ops and kernels: a shape now, numbers when a test or benchmark draws them."""
import math

import numpy as np


class Draw:
    """An array to be drawn: `Draw.draw(rng)` gives float64 numbers (or integers, or booleans)."""
    differentiable = True

    def __init__(self, *shape, full=False):
        """full: kept in float32 where a kernel's other arrays are in half precision."""
        self.shape, self.full = shape, full

    def __repr__(self):
        return f"{type(self).__name__}{self.shape}"


class normal(Draw):
    """Standard normal."""
    def draw(self, rng):
        return np.asarray(rng.normal(size=self.shape))


class positive(Draw):
    """Uniform in [0.5, 2]."""
    def draw(self, rng):
        return np.asarray(rng.uniform(0.5, 2.0, size=self.shape))


class above_one(Draw):
    """Uniform in [1.1, 3]: inside the domain of acosh."""
    def draw(self, rng):
        return np.asarray(rng.uniform(1.1, 3.0, size=self.shape))


class unit(Draw):
    """Uniform in [-0.9, 0.9]: inside the domain of asin, acos, atanh."""
    def draw(self, rng):
        return np.asarray(rng.uniform(-0.9, 0.9, size=self.shape))


class probability(Draw):
    """Uniform in [0.05, 0.95]."""
    def draw(self, rng):
        return np.asarray(rng.uniform(0.05, 0.95, size=self.shape))


class distinct(Draw):
    """No two entries nearer than 0.1, none near 0 or an integer: safe for max, sort, relu and rounding."""
    def draw(self, rng):
        n = math.prod(self.shape)
        return np.asarray((rng.permutation(n) - n // 2 + 0.37) * 0.1).reshape(self.shape)


class definite(Draw):
    """Symmetric positive definite matrices, well conditioned."""
    def draw(self, rng):
        a = rng.normal(size=self.shape)
        return a @ a.swapaxes(-1, -2) / self.shape[-1] + 2 * np.eye(self.shape[-1])


class invertible(Draw):
    """Square matrices without any symmetry, well conditioned."""
    def draw(self, rng):
        return rng.normal(size=self.shape) / self.shape[-1] + 2 * np.eye(self.shape[-1])


class integers(Draw):
    """Whole numbers from `low` up to, not including, `high`."""
    differentiable = False

    def __init__(self, *shape, low=0, high=5):
        super().__init__(*shape)
        self.low, self.high = low, high

    def draw(self, rng):
        return np.asarray(rng.integers(self.low, self.high, size=self.shape))


class booleans(Draw):
    """True or False, evenly."""
    differentiable = False

    def draw(self, rng):
        return np.asarray(rng.random(size=self.shape) < 0.5)


def walk(x, f):
    """x with f applied to every stand-in, through lists, tuples and dicts."""
    if isinstance(x, Draw):
        return f(x)
    if isinstance(x, (list, tuple)):
        return type(x)(walk(v, f) for v in x)
    return {k: walk(v, f) for k, v in x.items()} if isinstance(x, dict) else x


def walk_arrays(x, f):
    """x with f applied to every NumPy array, through lists, tuples and dicts."""
    if isinstance(x, np.ndarray):
        return f(x)
    if isinstance(x, (list, tuple)):
        return type(x)([walk_arrays(v, f) for v in x])
    return {k: walk_arrays(v, f) for k, v in x.items()} if isinstance(x, dict) else x
