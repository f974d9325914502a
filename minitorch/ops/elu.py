"""The exponential linear units: x above zero, a saturating exponential below."""
import functools

from ..autograd.op import HOMES, composed, op
from ..backend import xp
from ..cases import distinct, normal
from .activation import by, floats_only, in_place
from ..blocks import into_blocks
from .choose import choose, clamp, only
from .exponential import exp


@op(home="", called="elu", numbers="half", check=floats_only)
def elu_of(input, /, alpha=1.0, scale=1.0, input_scale=1.0):
    """scale * x where x > 0, else scale * alpha * (exp(input_scale * x) - 1)."""
    return elu_array(input, alpha, scale, input_scale)

elu_of.vjp(lambda g, input, alpha, scale, input_scale: elu_gradient(g, input, alpha, scale, input_scale))
elu_of.loop("activation", least=10000, single=True)(
    lambda loops, input, alpha=1.0, scale=1.0, input_scale=1.0: by(loops, loops.elus, input, numbers=(alpha * scale, scale, input_scale)))
elu_of.case(distinct(3, 4), 0.7, 1.3, 2.0)


@into_blocks
def elu_array(y, x, alpha, scale, input_scale):
    library = xp(x)
    library.minimum(x, 0, out=y)
    times(y, input_scale)
    library.expm1(y, out=y)
    times(y, alpha)
    y += library.maximum(x, 0)
    times(y, scale)


def times(y, factor):
    """y *= factor."""
    if factor != 1:
        y *= factor


@op(home="", called="elu_backward", numbers="half")
def elu_gradient(input, other, /, alpha, scale, input_scale):
    """The gradient `input` times elu's derivative at x, `other`: scale * alpha * input_scale * exp(input_scale * x) where x <= 0, else scale."""
    return elu_slope(other, input, alpha, scale, input_scale)

elu_gradient.vjp(lambda g, other, alpha, scale, input_scale: elu_gradient(g, other, alpha, scale, input_scale),
                 lambda g, input, other, alpha, scale, input_scale:
                 only(g * input * exp(clamp(other, None, 0) * input_scale) * (scale * alpha * input_scale ** 2), other < 0))
elu_gradient.loop("activation", least=10000, single=True)(
    lambda loops, input, other, alpha, scale, input_scale:
    by(loops, loops.elu_back, input, other, numbers=(scale * alpha * input_scale, scale, input_scale)))
elu_gradient.case(normal(3, 4), distinct(3, 4), 0.7, 1.3, 2.0)


@into_blocks
def elu_slope(y, x, g, alpha, scale, input_scale):
    library = xp(x)
    library.fmin(x, 0, out=y)
    times(y, input_scale)
    library.exp(y, out=y)
    times(y, scale * alpha * input_scale)
    y *= g
    if alpha * input_scale != 1:                     # the slope jumps at 0
        y[...] = choose(x <= 0, y, g * scale)


@composed(home="functional")
def elu(input, alpha=1.0, inplace=False):
    """x where x > 0, else alpha * (exp(x) - 1)."""
    return (in_place(elu_of) if inplace else elu_of)(input, alpha=alpha)

elu.case(distinct(3, 4))
elu.case(distinct(60, 60), 0.5)
elu.case(normal(), 2.0)


@composed(home="torch functional", method=False)
def celu(input, alpha=1.0, inplace=False):
    """max(x, 0) + min(0, alpha * (exp(x / alpha) - 1)); RuntimeError for alpha = 0."""
    if alpha == 0:
        raise RuntimeError("ZeroDivisionError: alpha cannot be 0 for CELU")
    return (in_place(elu_of) if inplace else elu_of)(input, alpha=alpha, input_scale=1 / alpha)

celu.case(distinct(3, 4))
celu.case(distinct(60, 60), 0.5)
celu.case(normal(), 2.0)


@composed(home="torch functional", method=False)
def selu(input, inplace=False):
    """The self-normalising elu (Klambauer et al. 2017): its alpha and scale keep mean 0 and variance 1."""
    return (in_place(elu_of) if inplace else elu_of)(input, alpha=SELU_ALPHA, scale=SELU_SCALE)


SELU_ALPHA, SELU_SCALE = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946
selu.case(distinct(3, 4))
selu.case(distinct(60, 60))
selu.case(normal())


for _f in (elu, celu, selu):
    for _place in _f.home:
        HOMES[_place][_f.__name__ + "_"] = functools.partial(_f, inplace=True)
