"""Arithmetic, powers, exponentials: one number in, one number out, for every element."""
from ..autograd.op import op
from ..backend import xp
from ..cases import normal


@op(numbers="promote", home="")
def plus(input, other, /):
    """input + other, broadcasting."""
    return input + other

plus.vjp(lambda g: g,
         lambda g: g)
plus.case(normal(3, 4), normal(3, 4))
plus.case(normal(3, 1), normal(4))


@op(numbers="promote", inplace=True)
def mul(input, other, /):
    """input * other, broadcasting."""
    return input * other

mul.vjp(lambda g, other: g * other,
        lambda g, input: g * input)
mul.case(normal(3, 4), normal(3, 4))
mul.case(normal(2, 1, 4), normal(3, 1))


@op(numbers="float", inplace=True)
def tanh(input, /):
    """Hyperbolic tangent."""
    return xp(input).tanh(input)

tanh.vjp(lambda g, y: g * (1 - y * y))
tanh.case(normal(3, 4))


@op(numbers="float", inplace=True)
def exp(input, /):
    """e^x."""
    return xp(input).exp(input)

exp.vjp(lambda g, y: g * y)
exp.case(normal(3, 4))


@op(numbers="float", inplace=True)
def sin(input, /):
    """Sine of an angle in radians."""
    return xp(input).sin(input)

sin.vjp(lambda g, input: g * cos(input))
sin.case(normal(3, 4))


@op(numbers="float", inplace=True)
def cos(input, /):
    """Cosine of an angle in radians."""
    return xp(input).cos(input)

cos.vjp(lambda g, input: -g * sin(input))
cos.case(normal(3, 4))

from ..tensor import Tensor
Tensor.__add__ = Tensor.__radd__ = plus
Tensor.__mul__ = Tensor.__rmul__ = mul
Tensor.__neg__ = lambda a: mul(a, -1)
Tensor.__sub__ = lambda a, b: plus(a, -b)
Tensor.__rsub__ = lambda a, b: plus(-a, b)
