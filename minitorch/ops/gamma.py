"""The gamma family: lgamma, digamma, polygamma, computed in float64 whatever the input.

Nothing is fitted: recurrence brings small arguments to the Taylor series
log gamma(2 + u) = (1 - c) u + sum (-1)^k (zeta(k) - 1) u^k / k, and large ones to Stirling's series.
For float32 recurrence upwards and Stirling's series do for all arguments.
"""
import math

import numpy as np

from .. import dtypes
from ..autograd.op import composed, op
from ..autograd.views import in_place
from ..backend import xp
from ..cases import integers, normal, positive
from ..tensor import Tensor
from .choose import choose
from .special import PI, in_double, polynomial

EULER = 0.57721566490153286061             # c, the Euler-Mascheroni constant
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


# ---- for float32, without the series near 2 ---------------------------------------------------------------------

SHIFT = 8                                            # smaller arguments are brought to where Stirling's series is good


@in_double
def lgamma_single(x):
    library = xp(x)
    z = choose(x < 0, 1 - x, x)
    near = z < SHIFT
    far, product = z + choose(near, float(SHIFT), 0.0), z.copy()           # gamma(z) = gamma(z + 8) / (z (z + 1) ... (z + 7))
    for k in range(1, SHIFT):
        product *= z + k
    y = (far - 0.5) * library.log(far) - far + 0.5 * math.log(2 * PI) + polynomial(STIRLING[:6], 1 / (far * far)) / far
    y -= library.log(choose(near, product, 1.0))
    y = choose((z == 0) | (z == np.inf), np.inf, choose((z == 1) | (z == 2), 0.0, y))
    below = x < 0
    if below.any():
        y = choose(below & (x != -np.inf), math.log(PI) - library.log(abs(sin_and_cos_of_pi(x)[0])) - y, y)
    return y


@in_double
def digamma_single(x):
    library = xp(x)
    z = choose(x < 0, 1 - x, x)
    near = z < SHIFT
    far, product, slope = z + choose(near, float(SHIFT), 0.0), z.copy(), library.ones_like(z)
    for k in range(1, SHIFT):                        # the product's derivative over the product is 1 / z + 1 / (z + 1) + ...
        slope *= z + k
        slope += product
        product *= z + k
    w = 1 / (far * far)
    y = library.log(far) - 0.5 / far - polynomial(DIGAMMA_LARGE[:6], w) * w - choose(near, slope / product, 0.0)
    below = x < 0
    if below.any():
        sine, cosine = sin_and_cos_of_pi(x)
        y = choose(below, choose(sine == 0, np.nan, y - PI * cosine / sine), y)
    return y


# ---- polygamma, and the ops ---------------------------------------------------------------------------------------

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
    return (lgamma_single if input.dtype == dtypes.F32 else lgamma_array)(input)

@lgamma.loop("gamma", least=2000, single=True)
def _(gamma, input):
    return gamma.each(gamma.lgamma_part, input) if input.dtype == dtypes.F32 else NotImplemented


lgamma.vjp(lambda g, input: g * digamma(input))
lgamma.case(positive(3, 4))
lgamma.case(normal(3, 4))
lgamma.case(integers(3))


@op(numbers="float", inplace=True)
def digamma(input, /):
    """The derivative of lgamma."""
    return (digamma_single if input.dtype == dtypes.F32 else digamma_array)(input)

@digamma.loop("gamma", least=2000, single=True)
def _(gamma, input):
    return gamma.each(gamma.digamma_part, input) if input.dtype == dtypes.F32 else NotImplemented


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
