"""GELU and its derivative, both ways of computing it, for float32.

gelu(x) = x (1/2 + r(x)), and its derivative is 1/2 + s(x), with odd functions r and s that reach 1/2 soon: each is x P(x^2) / Q(x^2) up to
a limit, fitted by reweighted least squares.  So none needs erf, tanh or exp, and both loops are as fast as memory.
"""
import numpy as np

from .. import threads
from . import exact, loop, wide
from .functions import HALF, ONE, F

LEAST = 1 << 15                                      # numbers that are worth another thread


def rational(limit, P, Q):
    """1/2 + x P(x^2) / Q(x^2) for |x| < limit; 0 and 1 beyond."""
    limit = F(limit)
    p0, p1, p2, p3, p4, p5, p6 = map(F, P)
    q1, q2, q3, q4, q5, q6 = map(F, Q)

    @exact
    def f(x):
        w = x * x
        p = p0 + w * (p1 + w * (p2 + w * (p3 + w * (p4 + w * (p5 + w * p6)))))
        q = ONE + w * (q1 + w * (q2 + w * (q3 + w * (q4 + w * (q5 + w * q6)))))
        far = ONE if x > F(0) else F(0)
        return HALF + x * p / q if abs(x) < limit else far
    return f


# Largest errors in float32: of the shares 1.8e-7, of the slopes 2.8e-7 and 2.2e-7.
share_erf = rational(5.6, (0.398942222, 0.0343762283, 0.00470726708, 0.00017385189, 6.35653075e-06, 2.21451782e-08, 0),
                     (0.252834139, 0.0289401574, 0.00191298519, 7.51022346e-05, 1.18020787e-06, 0))
slope_erf = rational(5.7, (0.797885358, -0.0309913108, 0.0142294722, 1.93330245e-05, 3.59452764e-05, 1.92784824e-07, 0),
                     (0.294499703, 0.0409811245, 0.00352298695, 0.000192043507, 8.9478103e-06, 0))
share_tanh = rational(5.1, (0.398942319, 0.0304327287, 0.00362876802, 0.000133292754, 6.98541824e-06, 2.35355594e-08, 0),
                      (0.243775848, 0.0243533178, 0.00129672422, 7.5398847e-05, 1.29642284e-06, 0))
slope_tanh = rational(5.3, (0.797884443, -0.0170128166, 0.0115540127, 0.000263974349, 1.81821081e-05, 1.34383276e-06, 1.00260303e-08),
                      (0.313659427, 0.0428404339, 0.00307850884, 0.000203277652, 8.71156097e-06, 3.92071791e-07))


@exact
def share_of(x, share):
    """x times its share; a share that is rounded to less than 0 is 0."""
    return x * max(share, F(0))


@exact
def slope_at(x, slope):
    """The slope, NaN at infinity."""
    return slope + (x - x)


@loop
def by_erf(start, stop, x, y):
    wide()
    x, y = x[start:stop], y[start:stop]              # counted from 0, for then no index can be negative, and the loop is vectorised
    for i in range(x.size):
        y[i] = share_of(x[i], share_erf(x[i]))


@loop
def by_erf_gradient(start, stop, g, x, y):
    wide()
    g, x, y = g[start:stop], x[start:stop], y[start:stop]
    for i in range(x.size):
        y[i] = g[i] * slope_at(x[i], slope_erf(x[i]))


@loop
def by_tanh(start, stop, x, y):
    wide()
    x, y = x[start:stop], y[start:stop]
    for i in range(x.size):
        y[i] = share_of(x[i], share_tanh(x[i]))


@loop
def by_tanh_gradient(start, stop, g, x, y):
    wide()
    g, x, y = g[start:stop], x[start:stop], y[start:stop]
    for i in range(x.size):
        y[i] = g[i] * slope_at(x[i], slope_tanh(x[i]))


FORWARD = {"none": by_erf, "tanh": by_tanh}
BACKWARD = {"none": by_erf_gradient, "tanh": by_tanh_gradient}


def gelu(x, approximate):
    """gelu of an array of any shape."""
    y = np.empty_like(x)
    threads.run(FORWARD[approximate], x.size, x.reshape(-1), y.reshape(-1), least=LEAST)
    return y


def gelu_gradient(g, x, approximate):
    """g times gelu's derivative at x."""
    y = np.empty_like(x)
    threads.run(BACKWARD[approximate], x.size, g.reshape(-1), x.reshape(-1), y.reshape(-1), least=LEAST)
    return y
