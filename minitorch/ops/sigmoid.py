"""Smooth activation functions: the sigmoid, its logarithm, softplus and softsign."""
import math

from ..autograd.op import composed, op
from ..backend import xp
from ..cases import distinct, integers, normal
from .activation import by, floats_only
from ..blocks import into_blocks
from .choose import choose, only
from .elementwise import abs


@op(numbers="float", inplace=True, home="torch functional", elementwise=False)
def sigmoid(input, /):
    """1 / (1 + exp(-x))."""
    return over_sigmoid(input, 1)

sigmoid.vjp(lambda g, y: sigmoid_gradient(g, y))
sigmoid.loop("activation", least=10000, single=True)(lambda loops, input: by(loops, loops.sigmoids, input))
sigmoid.case(normal(3, 4))
sigmoid.case(normal())
sigmoid.case(integers(3))


@into_blocks
def over_sigmoid(y, x, a):
    """a * sigmoid(x): a / (1 + exp(-x))."""
    xp(x).exp(xp(x).negative(x, out=y), out=y)
    y += 1
    xp(x).divide(a, y, out=y)


@op(home="", numbers="half", called="sigmoid_backward", elementwise=False)
def sigmoid_gradient(input, other, /):
    """The gradient `input` of the sigmoid's result y, `other`, times y (1 - y)."""
    return sigmoid_slope(other, input)


@into_blocks
def sigmoid_slope(dx, y, g):
    xp(y).subtract(1, y, out=dx)
    dx *= y
    dx *= g


sigmoid_gradient.vjp(lambda g, other: sigmoid_gradient(g, other),
                     lambda g, input, other: g * input * (1 - 2 * other))
sigmoid_gradient.loop("activation", least=10000)(lambda loops, input, other: by(loops, loops.sigmoid_back, input, other))
sigmoid_gradient.case(normal(3, 4), normal(3, 4))


@into_blocks
def logsigmoid_array(y, x):
    library = xp(x)
    library.negative(library.abs(x, out=y), out=y)
    library.log1p(library.exp(y, out=y), out=y)
    library.subtract(library.minimum(x, 0), y, out=y)


@op(home="functional", numbers="half", check=floats_only, elementwise=False)
def logsigmoid(input, /):
    """log(sigmoid(x)) = min(x, 0) - log(1 + exp(-|x|))."""
    return logsigmoid_array(input)

logsigmoid.loop("activation", least=10000, single=True)(lambda loops, input: by(loops, loops.logsigmoids, input))
logsigmoid.vjp(lambda g, input: logsigmoid_gradient(g, input))
logsigmoid.case(normal(3, 4))
logsigmoid.case(normal())
logsigmoid.case(normal(60, 60))


@op(home="", numbers="half", called="log_sigmoid_backward", elementwise=False)
def logsigmoid_gradient(input, other, /):
    """The gradient `input` times sigmoid(-x) for x, `other`."""
    return logsigmoid_slope(other, input)

logsigmoid_gradient.vjp(lambda g, other: logsigmoid_gradient(g, other),
                        lambda g, input, other: sigmoid_gradient(-(g * input), sigmoid(other)))
logsigmoid_gradient.loop("activation", least=10000, single=True)(
    lambda loops, input, other: by(loops, loops.softplus_back, input, other, numbers=(-1.0, math.inf)))
logsigmoid_gradient.case(normal(3, 4), normal(3, 4))
logsigmoid_gradient.case(normal(60, 60), normal(60, 60))


@into_blocks
def logsigmoid_slope(y, x, g):
    xp(x).exp(x, out=y)
    y += 1
    xp(x).divide(g, y, out=y)


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
    if straight(input.dtype, beta, threshold):
        return over_sigmoid(other if beta == 1 else other * beta, input)
    return choose(other * beta > threshold, input, input * sigmoid.op.forward(other * beta))

softplus_gradient.vjp(lambda g, other, beta, threshold: softplus_gradient(g, other, beta, threshold),
                      lambda g, input, other, beta, threshold:
                      only(g * sigmoid_gradient(input * beta, sigmoid(other * beta)), ~(other * beta >= threshold)))
softplus_gradient.loop("activation", least=10000, single=True)(
    lambda loops, input, other, beta, threshold: by(loops, loops.softplus_back, input, other, numbers=(beta, threshold)))
softplus_gradient.case(normal(3, 4), normal(3, 4), 1.0, 20.0)
softplus_gradient.case(normal(3, 4), distinct(3, 4), 2.0, 0.5)


def straight(dtype, beta, threshold):
    """Whether softplus is x, to rounding, where beta * x > threshold: then it is the larger one of x and log(1 + exp(beta * x)) / beta."""
    return beta > 0 and 0 < threshold < 80 and dtype.type(1) + dtype.type(math.exp(-threshold)) == 1


@into_blocks
def softplus_array(y, x, beta, threshold):
    library = xp(x)
    z = x if beta == 1 else x * beta
    library.minimum(z, threshold, out=y)             # beyond it exp would overflow
    library.log1p(library.exp(y, out=y), out=y)
    if beta != 1:
        y /= beta
    if straight(x.dtype, beta, threshold):
        library.maximum(x, y, out=y)
    else:
        y[...] = choose(z > threshold, x, y)


@composed(home="functional")
def softsign(input):
    """x / (1 + |x|)."""
    return input / (abs(input) + 1)

softsign.case(normal(3, 4))
softsign.case(normal())
softsign.case(integers(3, low=-3))
