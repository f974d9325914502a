"""Trigonometric and hyperbolic functions and their inverses; angles are in radians."""
import math

from ..autograd.op import alias, op
from ..backend import xp
from ..cases import above_one, integers, normal, positive, unit
from .choose import choose, only
from .powers import sqrt

PI = math.pi


@op(numbers="float", inplace=True)
def sin(input, /):
    """Sine."""
    return xp(input).sin(input)

sin.vjp(lambda g, input: g * cos(input))
sin.case(normal(3, 4))
sin.case(normal())
sin.case(integers(3))


@op(numbers="float", inplace=True)
def cos(input, /):
    """Cosine."""
    return xp(input).cos(input)

cos.vjp(lambda g, input: -g * sin(input))
cos.case(normal(3, 4))
cos.case(normal())
cos.case(integers(3))


@op(numbers="float", inplace=True)
def tan(input, /):
    """Tangent."""
    return xp(input).tan(input)

tan.vjp(lambda g, y: g * (y * y + 1))
tan.case(unit(3, 4))
tan.case(unit())
tan.case(integers(3))


@op(numbers="float", inplace=True)
def asin(input, /):
    """Inverse of sin, in [-pi/2, pi/2]; NaN outside of [-1, 1]."""
    return xp(input).arcsin(input)

asin.vjp(lambda g, input: g / sqrt(1 - input * input))
asin.case(unit(3, 4))
asin.case(unit())
asin.case(integers(3, high=2))
alias("arcsin", asin)


@op(numbers="float", inplace=True)
def acos(input, /):
    """Inverse of cos, in [0, pi]; NaN outside of [-1, 1]."""
    return xp(input).arccos(input)

acos.vjp(lambda g, input: -g / sqrt(1 - input * input))
acos.case(unit(3, 4))
acos.case(unit())
acos.case(integers(3, high=2))
alias("arccos", acos)


@op(numbers="float", inplace=True)
def atan(input, /):
    """Inverse of tan, in [-pi/2, pi/2]."""
    return xp(input).arctan(input)

atan.vjp(lambda g, input: g / (input * input + 1))
atan.case(normal(3, 4))
atan.case(normal())
atan.case(integers(3))
alias("arctan", atan)


@op(numbers="float", inplace=True, scalars=False)
def atan2(input, other, /):
    """The angle of the point (other, input), in [-pi, pi]: atan(input / other) in the right quadrant."""
    return xp(input).arctan2(input, other)

atan2.vjp(lambda g, input, other: per_square(g, other, input, other),
          lambda g, input, other: per_square(-g, input, input, other))
atan2.case(normal(3, 4), normal(3, 4))
atan2.case(normal(2, 1, 4), normal(3, 1))
atan2.case(normal(), positive(2))
alias("arctan2", atan2)


def per_square(g, side, input, other):
    """g * side / (input^2 + other^2), and 0 at the origin."""
    square = input * input + other * other
    return only(g * side / square, square != 0)


@op(numbers="float", inplace=True)
def sinc(input, /):
    """sin(pi x) / (pi x), and 1 at zero."""
    x = input * PI
    return choose(input == 0, xp(x).ones_like(x), xp(x).sin(x) / x)

sinc.vjp(lambda g, input, y: only(g * ((cos(input * PI) - y) / input), input != 0))
sinc.case(normal(3, 4))
sinc.case(positive())
sinc.case(integers(3))


@op(numbers="float", inplace=True)
def deg2rad(input, /):
    """Degrees to radians."""
    return input * (PI / 180)

deg2rad.vjp(lambda g: g * (PI / 180))
deg2rad.case(normal(3, 4))
deg2rad.case(normal())
deg2rad.case(integers(3))


@op(numbers="float", inplace=True)
def rad2deg(input, /):
    """Radians to degrees."""
    return input * (180 / PI)

rad2deg.vjp(lambda g: g * (180 / PI))
rad2deg.case(normal(3, 4))
rad2deg.case(normal())
rad2deg.case(integers(3))


# ---- hyperbolic ---------------------------------------------------------------------------------------------

@op(numbers="float", inplace=True)
def sinh(input, /):
    """(e^x - e^-x) / 2."""
    return xp(input).sinh(input)

sinh.vjp(lambda g, input: g * cosh(input))
sinh.case(normal(3, 4))
sinh.case(normal())
sinh.case(integers(3))


@op(numbers="float", inplace=True)
def cosh(input, /):
    """(e^x + e^-x) / 2."""
    return xp(input).cosh(input)

cosh.vjp(lambda g, input: g * sinh(input))
cosh.case(normal(3, 4))
cosh.case(normal())
cosh.case(integers(3))


@op(numbers="float", inplace=True, home="torch functional")
def tanh(input, /):
    """(e^x - e^-x) / (e^x + e^-x)."""
    return xp(input).tanh(input)

tanh.vjp(lambda g, y: g - g * y * y)                    # g (1 - y^2), without a Python number: that would cost as much as all the rest
tanh.slope("tanh")
tanh.case(normal(3, 4))
tanh.case(normal())
tanh.case(integers(3))


@op(numbers="float", inplace=True)
def asinh(input, /):
    """Inverse of sinh."""
    return xp(input).arcsinh(input)

asinh.vjp(lambda g, input: g / sqrt(input * input + 1))
asinh.case(normal(3, 4))
asinh.case(normal())
asinh.case(integers(3))
alias("arcsinh", asinh)


@op(numbers="float", inplace=True)
def acosh(input, /):
    """Inverse of cosh; NaN below one."""
    return xp(input).arccosh(input)

acosh.vjp(lambda g, input: g / sqrt(input * input - 1))
acosh.case(above_one(3, 4))
acosh.case(above_one())
acosh.case(integers(3, low=2))
alias("arccosh", acosh)


@op(numbers="float", inplace=True)
def atanh(input, /):
    """Inverse of tanh; NaN outside of [-1, 1]."""
    return xp(input).arctanh(input)

atanh.vjp(lambda g, input: g / (1 - input * input))
atanh.case(unit(3, 4))
atanh.case(unit())
atanh.case(integers(3, high=2))
alias("arctanh", atanh)
