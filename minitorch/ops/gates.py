"""Activation functions that are x times a gate between 0 and 1: silu, mish, gelu, glu."""
import math

from ..autograd.op import composed, keep, op
from ..backend import xp
from ..blocks import by_slices, in_blocks, into_blocks
from ..cases import normal
from .activation import by, floats_only, in_place
from .exponential import exp
from .sigmoid import over_sigmoid, sigmoid, softplus
from .special import write_erf
from .trigonometric import tanh


@op(home="", called="silu", numbers="half", check=floats_only, elementwise=False)
def silu_of(input, /):
    """x * sigmoid(x)."""
    return over_sigmoid(input, input)

silu_of.vjp(lambda g, input: silu_gradient(g, input))
silu_of.loop("activation", least=10000, single=True)(lambda loops, input: by(loops, loops.silus, input))
silu_of.case(normal(3, 4))


@op(home="", numbers="half", called="silu_backward", elementwise=False)
def silu_gradient(input, other, /):
    """The gradient `input` times silu's derivative at `other`."""
    return silu_slope(other, input)

silu_gradient.vjp(lambda g, other: silu_gradient(g, other),
                  lambda g, input, other: g * input * silu_curvature(other, sigmoid(other)))
silu_gradient.loop("activation", least=10000, single=True)(lambda loops, input, other: by(loops, loops.silu_back, input, other))
silu_gradient.case(normal(3, 4), normal(3, 4))


@into_blocks
def silu_slope(y, x, g):
    """g s (1 + x (1 - s)) with s = sigmoid(x)."""
    s = over_sigmoid(x, 1)
    xp(x).subtract(1, s, out=y)
    y *= x
    y += 1
    y *= s
    y *= g


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


def in_tanh(x, y, times=1, cubic=CUBIC):
    """Writes times GELU x (1 + cubic x^2) into y."""
    xp(x).square(x, out=y)
    y *= times * GELU * cubic
    y += times * GELU
    y *= x


def probability(p, x, approximate, room=None):
    """Writes GELU's factor of x, (1 + tanh(u)) / 2 or (1 + erf(x / sqrt(2))) / 2, into p; room: an array of its size."""
    if approximate == "tanh":
        in_tanh(x, p)
        xp(p).tanh(p, out=p)
    else:
        write_erf(p, x, math.sqrt(0.5), room)
    p += 1
    p *= 0.5


probability_array = into_blocks(probability)


def gated(x, approximate):
    """x * probability(x), and the probability, which backward needs again."""
    y, p = xp(x).empty_like(x), xp(x).empty_like(x)
    flat = [a.reshape(-1) for a in (x, y, p)]

    def part(block):
        x, y, p = [a[block] for a in flat]
        probability(p, x, approximate, room=y)
        xp(x).multiply(x, p, out=y)
    by_slices(part, flat[0])
    return y, p


@into_blocks
def gelu_slope(y, x, g, p, approximate):
    """g (p + x p'), where p' = 2 p (1 - p) u' = (1 - t^2) u' / 2 for t = tanh(u), or the normal distribution's density."""
    if approximate == "tanh":
        in_tanh(x, y, 2, 3 * CUBIC)                  # 2 x u'
        y *= 1 - p
        y += 1
        y *= p
    else:
        xp(x).square(x, out=y)
        y *= -0.5
        xp(y).exp(y, out=y)
        y *= x
        y *= GELU / 2
        y += p
    y *= g


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
    return gelu_slope(other, input, probability_array(other, approximate) if p is None else p, approximate)

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
