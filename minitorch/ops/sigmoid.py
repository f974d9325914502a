"""Smooth activation functions: the sigmoid, softplus, and the gates x * sigmoid(x), gelu, mish, glu."""
import math

from ..autograd.op import composed, keep, op
from ..backend import xp
from ..cases import distinct, integers, normal
from .activation import by, floats_only, in_place
from ..blocks import by_slices, in_blocks
from .choose import choose, only, pick
from .elementwise import abs
from .exponential import exp
from .special import erf_of, room
from .trigonometric import tanh


@op(numbers="float", inplace=True, home="torch functional")
def sigmoid(input, /):
    """1 / (1 + exp(-x))."""
    y = xp(input).exp(-input)
    y += 1
    return 1 / y

sigmoid.vjp(lambda g, y: sigmoid_gradient(g, y))
sigmoid.loop("activation", least=10000, single=True)(lambda loops, input: by(loops, loops.sigmoids, input))
sigmoid.case(normal(3, 4))
sigmoid.case(normal())
sigmoid.case(integers(3))


@op(home="", numbers="half", called="sigmoid_backward")
def sigmoid_gradient(input, other, /):
    """The gradient `input` of the sigmoid's result y, `other`, times y (1 - y)."""
    y = 1 - other
    y *= other
    y *= input
    return y

sigmoid_gradient.vjp(lambda g, other: sigmoid_gradient(g, other),
                     lambda g, input, other: g * input * (1 - 2 * other))
sigmoid_gradient.loop("activation", least=10000)(lambda loops, input, other: by(loops, loops.sigmoid_back, input, other))
sigmoid_gradient.case(normal(3, 4), normal(3, 4))


@op(home="functional", numbers="half", check=floats_only)
def logsigmoid(input, /):
    """log(sigmoid(x)) = min(x, 0) - log(1 + exp(-|x|))."""
    library = xp(input)
    return library.minimum(input, 0) - library.log1p(library.exp(-library.abs(input)))

logsigmoid.loop("activation", least=10000, single=True)(lambda loops, input: by(loops, loops.logsigmoids, input))
logsigmoid.vjp(lambda g, input: g * sigmoid(-input))
logsigmoid.case(normal(3, 4))
logsigmoid.case(normal())
logsigmoid.case(normal(60, 60))


@op(home="functional", numbers="half", check=floats_only)
def softplus(input, /, beta=1.0, threshold=20.0):
    """log(1 + exp(beta * x)) / beta, and x itself where beta * x > threshold."""
    return softplus_array(input, beta, threshold)

softplus.vjp(lambda g, input, beta, threshold: softplus_gradient(g, input, beta, threshold))
softplus.loop("activation", least=10000, single=True)(
    lambda loops, input, beta=1.0, threshold=20.0: by(loops, loops.softpluses, input, numbers=(beta, threshold)))
softplus.case(normal(3, 4))
softplus.case(distinct(60, 60), 2, 30)
softplus.case(distinct(3, 4), 2.0, 0.5)                  # so low that the two branches differ
softplus.case(normal(), beta=-0.5)


@op(home="", numbers="half", called="softplus_backward")
def softplus_gradient(input, other, /, beta, threshold):
    """The gradient `input` times sigmoid(beta * x) for x, `other`, and itself where beta * x > threshold."""
    return pick(other * beta > threshold, input, input * sigmoid(other * beta))

softplus_gradient.vjp(lambda g, other, beta, threshold: softplus_gradient(g, other, beta, threshold),
                      lambda g, input, other, beta, threshold:
                      only(g * sigmoid_gradient(input * beta, sigmoid(other * beta)), ~(other * beta >= threshold)))
softplus_gradient.loop("activation", least=10000, single=True)(
    lambda loops, input, other, beta, threshold: by(loops, loops.softplus_back, input, other, numbers=(beta, threshold)))
softplus_gradient.case(normal(3, 4), normal(3, 4), 1.0, 20.0)
softplus_gradient.case(normal(3, 4), distinct(3, 4), 2.0, 0.5)


@in_blocks
def softplus_array(x, beta, threshold):
    library, z = xp(x), x * beta
    return choose(z > threshold, x, library.log1p(library.exp(z)) / beta)


@composed(home="functional")
def softsign(input):
    """x / (1 + |x|)."""
    return input / (abs(input) + 1)

softsign.case(normal(3, 4))
softsign.case(normal())
softsign.case(integers(3, low=-3))


# ---- x times a gate ---------------------------------------------------------------------------------------------

@op(home="", called="silu", numbers="half", check=floats_only)
def silu_of(input, /):
    """x * sigmoid(x)."""
    return silu_array(input)

silu_of.vjp(lambda g, input: silu_gradient(g, input))
silu_of.loop("activation", least=10000, single=True)(lambda loops, input: by(loops, loops.silus, input))
silu_of.case(normal(3, 4))


@op(home="", numbers="half", called="silu_backward")
def silu_gradient(input, other, /):
    """The gradient `input` times silu's derivative at `other`."""
    return silu_slope(other, input)

silu_gradient.vjp(lambda g, other: silu_gradient(g, other),
                  lambda g, input, other: g * input * silu_curvature(other, sigmoid(other)))
silu_gradient.loop("activation", least=10000, single=True)(lambda loops, input, other: by(loops, loops.silu_back, input, other))
silu_gradient.case(normal(3, 4), normal(3, 4))


@in_blocks
def silu_array(x):
    y = xp(x).exp(-x)
    y += 1
    return x / y


@in_blocks
def silu_slope(x, g):
    """g s (1 + x (1 - s)) with s = sigmoid(x)."""
    s = xp(x).exp(-x)
    s += 1
    s = 1 / s
    y = 1 - s
    y *= x
    y += 1
    y *= s
    y *= g
    return y


def silu_curvature(x, s):
    return s * (1 - s) * (2 + x * (1 - 2 * s))


@composed(home="functional")
def silu(input, inplace=False):
    """x * sigmoid(x), also called swish."""
    return (in_place(silu_of) if inplace else silu_of)(input)

silu.case(normal(3, 4))
silu.case(normal())
silu.case(normal(60, 60))


@op(home="", called="mish", numbers="half", check=floats_only)
def mish_of(input, /):
    """x * tanh(softplus(x))."""
    return mish_array(input)

mish_of.vjp(lambda g, input: mish_gradient(g, input))
mish_of.loop("activation", least=10000, single=True)(lambda loops, input: by(loops, loops.mishes, input))
mish_of.case(normal(3, 4))


def mish_slope(g, x):
    """The gradient g times the derivative of mish, t + x sigmoid(x) (1 - t^2) with t = tanh(softplus(x))."""
    t = tanh(softplus(x))
    return g * (t + x * sigmoid(x) * (1 - t * t))


@op(home="", numbers="half", reference=mish_slope, called="mish_backward")
def mish_gradient(input, other, /):
    """mish_slope of the gradient `input` at x, `other`."""
    return mish_slopes(other, input)

mish_gradient.loop("activation", least=10000, single=True)(lambda loops, input, other: by(loops, loops.mish_back, input, other))
mish_gradient.case(normal(3, 4), normal(3, 4))


@in_blocks
def mish_array(x):
    library = xp(x)
    return x * library.tanh(library.log1p(library.exp(library.minimum(x, 20))))          # tanh(20) rounds to 1


@in_blocks
def mish_slopes(x, g):
    return mish_slope(g, x)


@composed(home="functional")
def mish(input, inplace=False):
    """x * tanh(softplus(x)) (Misra 2019)."""
    return (in_place(mish_of) if inplace else mish_of)(input)

mish.case(normal(3, 4))
mish.case(normal())
mish.case(normal(60, 60))


GELU, CUBIC = math.sqrt(2 / math.pi), 0.044715


def in_tanh(x, square):
    """GELU x (1 + CUBIC x^2); `square` becomes it."""
    square *= GELU * CUBIC
    square += GELU
    square *= x
    return square


def probability(x, approximate, out=None):
    """GELU's factor of x: (1 + tanh(u)) / 2, or (1 + erf(x / sqrt(2))) / 2."""
    if approximate == "tanh":
        y = in_tanh(x, xp(x).square(x))
        y = xp(y).tanh(y, out=room(y))
    else:
        y = erf_of(x, math.sqrt(0.5))
    y += 1
    return xp(y).multiply(y, 0.5, out=out)


def gated(x, approximate):
    """x * probability(x), and the probability, which backward needs again."""
    y, p, flat = xp(x).empty_like(x), xp(x).empty_like(x), x.reshape(-1)

    def part(block):
        found = probability(flat[block], approximate, p.reshape(-1)[block])
        xp(x).multiply(flat[block], found, out=y.reshape(-1)[block])
    by_slices(part, flat)
    return y, p


@in_blocks
def gelu_slope(x, g, p, approximate):
    """g (p + x p'), where p' = 2 p (1 - p) u' = (1 - t^2) u' / 2 for t = tanh(u), or the normal distribution's density."""
    y = xp(x).square(x)
    if approximate == "tanh":
        y *= 3
        y = in_tanh(x, y)
        y *= 1 - p
        y *= 2
        y += 1
        y *= p
    else:
        y *= -0.5
        y = xp(y).exp(y, out=room(y))
        y *= x
        y *= GELU / 2
        y += p
    y *= g
    return y


@op(home="functional", numbers="half", check=floats_only)
def gelu(input, /, *, approximate="none"):
    """x times the normal distribution's probability of less than x; "tanh" approximates it (Hendrycks and Gimpel 2016).

    RuntimeError for another `approximate`.
    """
    if approximate not in ("none", "tanh"):
        raise RuntimeError(f"approximate argument must be either none or tanh, not {approximate!r}.")
    y, p = gated(xp(input).ascontiguousarray(input), approximate)
    return keep(y.reshape(input.shape), p=p.reshape(input.shape))

gelu.vjp(lambda g, input, p, approximate: gelu_gradient(g, input, approximate, p))
gelu.case(normal(3, 4))
gelu.case(normal(3, 4), approximate="tanh")
gelu.case(normal())
gelu.case(normal(60, 60))


@op(home="", numbers="half", called="gelu_backward")
def gelu_gradient(input, other, /, approximate, p=None):
    """gelu's gradient g times its derivative at x: the probability plus x times its density.  p: the probability, where it is known."""
    return gelu_slope(other, input, probability(other, approximate) if p is None else p, approximate)

gelu_gradient.vjp(lambda g, other, approximate: gelu_gradient(g, other, approximate),
                  lambda g, input, other, approximate: g * input * gelu_curvature(other, approximate))
gelu_gradient.case(normal(3, 4), normal(3, 4), "none")
gelu_gradient.case(normal(3, 4), normal(3, 4), "tanh")

gelu.loop("gelu", least=4000, single=True)(
    lambda loops, input, approximate="none": keep(loops.gelu(input, approximate), p=None) if approximate in loops.FORWARD else NotImplemented)
gelu_gradient.loop("gelu", least=4000, single=True)(
    lambda loops, input, other, approximate, p=None: loops.gelu_gradient(input, other, approximate))
KERNELS = {"none": "gelu", "tanh": "gelu_tanh"}
gelu.kernel("activation")(
    lambda kernels, input, approximate="none": keep(kernels.bias_activation(input, None, KERNELS[approximate]), p=None) if approximate in KERNELS
    else NotImplemented)
gelu_gradient.kernel("activation")(
    lambda kernels, input, other, approximate, p=None: kernels.bias_activation_backward(input, other, None, KERNELS[approximate])[0])


def gelu_curvature(x, approximate):
    """The second derivative of gelu, written with ops."""
    if approximate == "none":
        return exp(x * x * -0.5) * (2 - x * x) * (0.5 * GELU)
    t = tanh((x + x * x * x * CUBIC) * GELU)
    slope, bend = (x * x * (3 * CUBIC) + 1) * GELU, x * (6 * CUBIC * GELU)       # of the argument of tanh
    return (1 - t * t) * (slope + x * (bend * 0.5 - t * slope * slope))


@composed(home="functional")
def glu(input, dim=-1):
    """a * sigmoid(b) of the two halves a, b along `dim`; RuntimeError for an odd size."""
    n = input.array.ndim
    if n == 0:
        raise RuntimeError("glu does not support 0-dimensional tensors")
    if not -n <= dim < n:
        raise IndexError(f"Dimension out of range (expected to be in range of [{-n}, {n - 1}], but got {dim})")
    floats_only(input.array)
    size = input.array.shape[dim]
    if size % 2:
        raise RuntimeError(f"Halving dimension must be even, but dimension {dim % n} is size {size}")
    return input.narrow(dim, 0, size // 2) * sigmoid(input.narrow(dim, size // 2, size // 2))

glu.case(normal(3, 4))
glu.case(normal(4, 3), 0)
glu.case(normal(2, 6, 3), dim=-2)
