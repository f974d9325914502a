"""Special functions: erf, erfc, erfinv, lgamma, digamma, polygamma, to the accuracy of float64.

erf and erfc come from rational approximations (largest relative errors 5e-17, fitted with mpmath in 60 digits
by reweighted least squares; all their coefficients are positive, so evaluating them loses nothing).
The gamma family needs no fitted numbers: recurrence brings small arguments to the Taylor series
log gamma(2 + u) = (1 - c) u + sum (-1)^k (zeta(k) - 1) u^k / k, and large ones to Stirling's series.
Everything but erf is computed in float64, whatever the input.
"""
import math

import numpy as np

from .. import dtypes
from ..autograd.op import composed, op
from ..autograd.views import in_place
from ..backend import xp
from ..cases import integers, normal, positive, unit
from ..tensor import Tensor
from .choose import choose
from .exponential import exp

PI = math.pi
EULER = 0.57721566490153286061             # c, the Euler-Mascheroni constant


def polynomial(coefficients, x):
    """The value at x of the polynomial with these coefficients, constant first, by Horner's rule."""
    y = x * coefficients[-1]
    for c in coefficients[-2:0:-1]:
        y += c
        y *= x
    y += coefficients[0]
    return y


def in_blocks(f):
    """f, elementwise, applied piece by piece: its many intermediate arrays stay in the cache."""
    def call(x, *args):
        if type(x) is not np.ndarray or x.size <= BLOCK:
            return f(x, *args)
        flat = x.reshape(-1)
        y = np.empty_like(flat)
        for i in range(0, x.size, BLOCK):
            y[i:i + BLOCK] = f(flat[i:i + BLOCK], *args)
        return y.reshape(x.shape)
    return call


BLOCK = 32768


def in_double(f):
    """f computed in float64 on arrays with at least one axis, its result brought back."""
    f = in_blocks(f)

    def call(input, *args):
        x = input.astype(dtypes.F64, copy=False)
        y = f(xp(input).atleast_1d(x), *args)
        return y.reshape(input.shape).astype(input.dtype, copy=False)
    return call


# ---- the error function -----------------------------------------------------------------------------------

# erf(x) / x as P(x^2) / Q(x^2), for |x| <= 6 in float64, for |x| <= 4 in float32: erf is 1 beyond.
ERF64 = ((1.1283791670955126, 0.2214842537528849, 0.066353669105819, 0.006961112416519838, 0.0008621315868883649, 5.7753218712964536e-05,
          3.944109857353272e-06, 1.7232370892762247e-07, 6.841306180461012e-09, 1.7452439556677536e-10, 3.3264304405354453e-12,
          2.17060221249367e-14, 1.506171160592769e-17),
         (1.0, 0.5296186425729474, 0.13534395568852203, 0.0221314367027806, 0.002587132275690981, 0.00022852894418379704,
          1.569368407975774e-05, 8.467074792814584e-07, 3.5668472985726007e-08, 1.1397019691323279e-09, 2.5717233193945773e-11,
          3.269358065639443e-13, 8.550762599286168e-16))
ERF32 = ((1.128379138, 0.1936818695, 0.05311985858, 0.003889122955, 0.0002846789058, 1.985561145e-06),
         (1.0, 0.5049786243, 0.1154065367, 0.01521896145, 0.001186933685, 3.741332116e-05))
# erfc(x) exp(x^2) as P(x) / Q(x), for 0 <= x <= 28: erfc underflows beyond.
ERFC = ((1.0, 2.1931618661234333, 2.379239477063732, 1.6398037120788067, 0.7835604946357664, 0.2681080865019175, 0.06568506613128161,
         0.011149344121745858, 0.0011988854475158183, 6.31358096015951e-05),
        (1.0, 3.3215410332189315, 5.127197181601535, 4.855937942221884, 3.134340993545972, 1.4459741415075764, 0.4850341099677722,
         0.1174862328542701, 0.019817650581120085, 0.0021249691281984414, 0.00011190530885869305))
ERF_SLOPE = 2 / math.sqrt(PI)


@in_blocks
def erf_array(x):
    (p, q), limit = (ERF32, 4) if x.dtype == dtypes.F32 else (ERF64, 6)
    x = x.clip(-limit, limit)
    w = x * x
    y = polynomial(p, w)
    y *= x
    y /= polynomial(q, w)
    return y.clip(-1, 1)


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


# ---- the gamma family ---------------------------------------------------------------------------------------

BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510)       # B_2, B_4, ...


def zeta_less_one(k):
    """zeta(k) - 1, by Euler and Maclaurin's sum."""
    n = 12
    tail = sum(b * math.prod(range(k, k + 2 * j + 1)) / math.factorial(2 * j + 2) / n ** (k + 2 * j + 1) for j, b in enumerate(BERNOULLI))
    return math.fsum([*(i ** -k for i in range(2, n)), 0.5 * n ** -k, n ** (1 - k) / (k - 1), tail])


ZETAS = [zeta_less_one(k) for k in range(2, 30)]
LGAMMA_NEAR_2 = [0.0, 1 - EULER] + [(-1) ** k * z / k for k, z in enumerate(ZETAS, 2)]
DIGAMMA_NEAR_2 = [1 - EULER] + [(-1) ** k * z for k, z in enumerate(ZETAS, 2)]
STIRLING = [b / ((2 * k + 2) * (2 * k + 1)) for k, b in enumerate(BERNOULLI)]
DIGAMMA_LARGE = [b / (2 * k + 2) for k, b in enumerate(BERNOULLI)]
FAR = 10                                             # from here on the series for large arguments


def sin_and_cos_of_pi(x):
    """sin and cos of pi times x, up to a common sign, from the distance to the nearest integer."""
    library = xp(x)
    r = (x - library.rint(x)) * PI
    return library.sin(r), library.cos(r)


@in_double
def lgamma_array(x):
    library = xp(x)
    z = choose(x < 0, 1 - x, x)
    whole = library.minimum(library.rint(z), FAR)
    u = z - whole
    factor, below = library.ones_like(z), library.ones_like(z)
    for k in range(1, FAR - 1):                      # gamma(z) = gamma(2 + u) (z - 1) (z - 2) ... (2 + u)
        factor = choose(whole >= k + 2, factor * (z - k), factor)
    for k in (0, 1):                                 # gamma(z) = gamma(2 + u) / z or / z / (z + 1)
        below = choose(whole <= 1 - k, below * (z + k), below)
    small = polynomial(LGAMMA_NEAR_2, u) + library.log(factor) - library.log(below)
    far = library.maximum(z, FAR)
    large = (far - 0.5) * library.log(far) - far + 0.5 * math.log(2 * PI) + polynomial(STIRLING, 1 / (far * far)) / far
    y = choose(z < FAR, small, large)
    y = choose(z == np.inf, z, y)
    reflected = math.log(PI) - library.log(abs(sin_and_cos_of_pi(x)[0])) - y
    return choose(x < 0, choose(x == -np.inf, library.full_like(x, np.inf), reflected), y)


@in_double
def digamma_array(x):
    library = xp(x)
    z = choose(x < 0, 1 - x, x)
    whole = library.minimum(library.rint(z), FAR)
    y = polynomial(DIGAMMA_NEAR_2, z - whole)
    for k in range(1, FAR - 1):
        y = y + choose(whole >= k + 2, 1 / (z - k), 0)
    for k in (0, 1):
        y = y - choose(whole <= 1 - k, 1 / (z + k if k else z), 0)         # 1 / -0.0 keeps its sign
    far = library.maximum(z, FAR)
    w = 1 / (far * far)
    large = library.log(far) - 0.5 / far - polynomial(DIGAMMA_LARGE, w) * w
    y = choose(z < FAR, y, large)
    sine, cosine = sin_and_cos_of_pi(x)
    return choose(x < 0, choose(sine == 0, library.full_like(x, np.nan), y - PI * cosine / sine), y)


@in_double
def polygamma_array(x, n):
    """(-1)^(n+1) n! sum 1 / (x + k)^(n+1): terms one by one up to x + N, then Euler and Maclaurin's sum for the rest."""
    library = xp(x)
    z = choose(x < 0, 1 - x, x)
    s, terms = n + 1, max(12, n + 6)
    y = library.zeros_like(z)
    for k in range(terms):
        y = y + library.power(z + k, -s)
    far = z + terms
    rest = 1 / (s - 1) + 0.5 / far
    w, factor = 1 / (far * far), s / 2.0
    for j, b in enumerate(BERNOULLI):
        rest = rest + b * factor * w
        w = w / (far * far)
        factor *= (s + 2 * j + 1) * (s + 2 * j + 2) / ((2 * j + 3) * (2 * j + 4))
    y = y + rest * library.power(far, 1 - s)
    sign = (-1) ** s * float(math.factorial(n))
    sine, cosine = sin_and_cos_of_pi(x)
    reflected = (-1) ** n * sign * y - PI * cot_derivative(cosine / sine, n)
    return choose(x < 0, reflected, sign * y)


def cot_derivative(c, n):
    """The n-th derivative of cot(pi t) from c = cot(pi t): a polynomial in c, as d cot(pi t)/dt = -pi (1 + c^2)."""
    p = np.polynomial.Polynomial([0, 1])
    for _ in range(n):
        p = -PI * p.deriv() * np.polynomial.Polynomial([1, 0, 1])
    return polynomial([float(v) for v in p.coef], c)


@op(numbers="float", inplace=True)
def lgamma(input, /):
    """log |gamma(x)|; infinite at 0, -1, -2, ..."""
    return lgamma_array(input)

lgamma.vjp(lambda g, input: g * digamma(input))
lgamma.case(positive(3, 4))
lgamma.case(normal(3, 4))
lgamma.case(integers(3))


@op(numbers="float", inplace=True)
def digamma(input, /):
    """The derivative of lgamma."""
    return digamma_array(input)

digamma.vjp(lambda g, input: g * polygamma_of(input, 1))
digamma.case(positive(3, 4))
digamma.case(normal(3, 4))
digamma.case(integers(3, low=1))


@op(numbers="float", home="", called="polygamma")
def polygamma_of(input, /, n):
    """The n-th derivative of digamma, n >= 1."""
    return polygamma_array(input, n)

polygamma_of.vjp(lambda g, input, n: g * polygamma_of(input, n + 1))
polygamma_of.case(positive(3, 4), 1)
polygamma_of.case(normal(3, 4), 2)


@composed(method=False)
def polygamma(n, input):
    """The n-th derivative of digamma; RuntimeError for a negative n."""
    if n < 0:
        raise RuntimeError("polygamma(n, x) does not support negative n.")
    return polygamma_of(input, n) if n else digamma(input)

polygamma.case(0, positive(3, 4))
polygamma.case(1, positive(3, 4))
polygamma.case(2, normal(3, 4))
polygamma.case(3, normal())


def polygamma_method(self, n):
    """The n-th derivative of digamma."""
    return polygamma(n, self)


def polygamma_in_place(self, n):
    """In place: the n-th derivative of digamma."""
    return in_place(polygamma_method)(self, n)


Tensor.polygamma, Tensor.polygamma_ = polygamma_method, polygamma_in_place
