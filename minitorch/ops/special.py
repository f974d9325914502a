"""Special functions: erf, erfc, erfinv, to the accuracy of float64; those of the gamma family are in gamma.py.

erf and erfc come from rational approximations (largest relative errors 5e-17, fitted with mpmath in 60 digits
by reweighted least squares; all their coefficients are positive, so evaluating them loses nothing).
Everything but erf is computed in float64, whatever the input.
"""
import math

import numpy as np

from .. import dtypes
from ..autograd.op import op
from ..backend import xp
from ..cases import integers, normal, unit
from ..blocks import in_blocks, into_blocks
from .choose import choose
from .exponential import exp

PI = math.pi


def polynomial(coefficients, x, out=None):
    """The value at x of the polynomial with these coefficients, constant first, by Horner's rule; out: where it is written."""
    y = xp(x).multiply(x, coefficients[-1], out=out)
    for c in coefficients[-2:0:-1]:
        y += c
        y *= x
    y += coefficients[0]
    return y


def in_double(f):
    """f computed in float64 on arrays with at least one axis, its result brought back."""
    f = in_blocks(f)

    def call(input, *args):
        x = input.astype(dtypes.F64, copy=False)
        y = f(xp(input).atleast_1d(x), *args)
        return y.reshape(input.shape).astype(input.dtype, copy=False)
    return call


# ---- the error function -----------------------------------------------------------------------------------

# erf(x) / x as P(x^2) / Q(x^2) for |x| <= 6: erf is 1 beyond.
ERF64 = ((1.1283791670955126, 0.2214842537528849, 0.066353669105819, 0.006961112416519838, 0.0008621315868883649, 5.7753218712964536e-05,
          3.944109857353272e-06, 1.7232370892762247e-07, 6.841306180461012e-09, 1.7452439556677536e-10, 3.3264304405354453e-12,
          2.17060221249367e-14, 1.506171160592769e-17),
         (1.0, 0.5296186425729474, 0.13534395568852203, 0.0221314367027806, 0.002587132275690981, 0.00022852894418379704,
          1.569368407975774e-05, 8.467074792814584e-07, 3.5668472985726007e-08, 1.1397019691323279e-09, 2.5717233193945773e-11,
          3.269358065639443e-13, 8.550762599286168e-16))
# In float32 erf(x) = tanh(x P(x^2)), NumPy's tanh being fast: largest error 1.7e-7, relative 2.7e-7; P grows beyond all bounds.
ERF32 = (1.12837927, 0.102769056, -0.000191830405, -0.000619785004, 8.76374583e-05, -5.66849715e-06, 1.41853465e-07)
# erfc(x) exp(x^2) as P(x) / Q(x), for 0 <= x <= 28: erfc underflows beyond.
ERFC = ((1.0, 2.1931618661234333, 2.379239477063732, 1.6398037120788067, 0.7835604946357664, 0.2681080865019175, 0.06568506613128161,
         0.011149344121745858, 0.0011988854475158183, 6.31358096015951e-05),
        (1.0, 3.3215410332189315, 5.127197181601535, 4.855937942221884, 3.134340993545972, 1.4459741415075764, 0.4850341099677722,
         0.1174862328542701, 0.019817650581120085, 0.0021249691281984414, 0.00011190530885869305))
ERF_SLOPE = 2 / math.sqrt(PI)


def write_erf(y, x, scale=1, room=None):
    """Writes erf(scale * x) of a block of an array into y; room: an array of its size for what comes in between."""
    lib, w = xp(x), room
    if x.dtype == dtypes.F32:
        w = lib.square(x, out=w)
        polynomial([c * scale ** (2 * k + 1) for k, c in enumerate(ERF32)], w, out=y)
        y *= x
        lib.tanh(y, out=y)
    else:
        x = (x * scale).clip(-6, 6)
        w = lib.square(x, out=w)
        polynomial(ERF64[0], w, out=y)
        y *= x
        y /= polynomial(ERF64[1], w)
        lib.clip(y, -1, 1, out=y)


erf_array = into_blocks(write_erf)


@in_double
def erfc_array(x):
    library = xp(x)
    a = library.minimum(abs(x), 28.0)
    near = library.trunc(a * 16) / 16                # a^2 in two parts, the first exact
    y = polynomial(ERFC[0], a)
    y /= polynomial(ERFC[1], a)
    y *= library.exp(-near * near)
    y *= library.exp((near - a) * (near + a))
    return choose(x < 0, 2 - y, y)


@op(numbers="float", inplace=True)
def erf(input, /):
    """2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x."""
    return erf_array(input)

erf.loop("activation", least=10000, single=True)(lambda loops, input: loops.elementwise(loops.erfs, input))
erf.vjp(lambda g, input: g * (exp(-(input * input)) * ERF_SLOPE))
erf.case(normal(3, 4))
erf.case(normal())
erf.case(integers(3))


@op(numbers="float", inplace=True)
def erfc(input, /):
    """1 - erf(x), exact also where it is small."""
    return erfc_array(input)

erfc.vjp(lambda g, input: g * (exp(-(input * input)) * -ERF_SLOPE))
erfc.case(normal(3, 4))
erfc.case(normal())
erfc.case(integers(3))


@in_double
def erfinv_array(x):
    """Winitzki's closed form, good to 2e-3, then two steps of Halley's method, each of which triples the digits."""
    library = xp(x)
    a = abs(x)
    log = library.log1p(-a * a)
    b = 2 / (PI * 0.147) + log / 2
    y = library.sqrt((-log / 0.147) / (library.sqrt(b * b - log / 0.147) + b))
    for _ in range(2):
        error = choose(a < 0.5, erf_array(y) - a, (1 - a) - erfc_array(y))
        step = error * library.exp(y * y) / ERF_SLOPE
        y = y - step / (1 + y * step)
    return library.copysign(choose(a == 1, library.full_like(a, np.inf), y), x)


@op(numbers="float", inplace=True)
def erfinv(input, /):
    """Inverse of erf; NaN outside of [-1, 1]."""
    return erfinv_array(input)

erfinv.vjp(lambda g, y: g * (exp(y * y) / ERF_SLOPE))
erfinv.case(unit(3, 4))
erfinv.case(unit())
erfinv.case(integers(3, high=2))
