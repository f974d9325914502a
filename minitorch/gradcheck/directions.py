"""Random directions and cotangents: signed, seeded, and no component small.

Each component has the sign of a coin and a size drawn evenly from [0.5, 1.5] times its scale, so that no entry of a
Jacobian can hide where the draw happens to be near zero: |u_i v_j| is at least a quarter of its mean.
"""
import numpy as np

LOW, HIGH = 0.5, 1.5


def signed(shape, rng):
    """Random signs times sizes in [LOW, HIGH], in float64."""
    v = np.asarray(rng.uniform(LOW, HIGH, size=shape))
    np.negative(v, out=v, where=rng.random(size=shape) < 0.5)
    return v


def scale_of(x):
    """The size of a natural step for an input: its root mean square, 1 where it is zero or empty."""
    x = np.asarray(x, "f8")
    finite = x[np.isfinite(x)] if x.size else x
    scale = float(np.sqrt(np.mean(np.square(finite / (peak := np.abs(finite).max(initial=0) or 1.0)))) * peak) if finite.size else 0.0
    return scale or 1.0
