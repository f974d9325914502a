"""Random directions and cotangents: signed, seeded, and no component small.

Each component has the sign of a coin and a size drawn evenly from [0.5, 1.5] times its scale, so that no entry of a
Jacobian can hide where the draw happens to be near zero: |u_i v_j| is at least a quarter of its mean.
"""
import numpy as np

LOW, HIGH = 0.5, 1.5


def signed(shape, rng):
    """Random signs times sizes in [LOW, HIGH], in float64."""
    v = np.asarray(rng.uniform(LOW - HIGH, HIGH - LOW, size=shape))
    v += np.copysign(LOW, v)                         # from [-1, 1] away from zero by a half
    return v


def scale_of(x):
    """The size of a natural step for an input: its root mean square, 1 where it is zero or empty."""
    x = np.asarray(x, "f8").reshape(-1)
    peak = max(float(x.max(initial=0)), -float(x.min(initial=0)))
    if not np.isfinite(peak):
        return scale_of(x[np.isfinite(x)])
    if 1e-100 < peak < 1e100:                        # squares neither overflow nor vanish
        return float(np.sqrt(np.vdot(x, x) / x.size))
    return float(np.sqrt(np.mean(np.square(x / peak))) * peak) if peak else 1.0
