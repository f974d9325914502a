"""Distributions of real numbers."""
import math

from .. import rand, randn
from .distribution import Distribution, parameters, require


class Located(Distribution):
    """What distributions by location and scale share."""

    has_rsample = True
    shown: tuple[str, ...] = ("loc", "scale")

    def __init__(self, loc, scale, validate_args=None):
        self.loc, self.scale = parameters(loc, scale)
        super().__init__(self.loc.shape, validate_args=validate_args)

    mean = property(lambda self: self.loc)
    mode = property(lambda self: self.loc)

    def check(self):
        require(self.loc == self.loc, repr_name(self), "loc", self.loc, "Real()")
        require(self.scale > 0, repr_name(self), "scale", self.scale, "GreaterThan(lower_bound=0.0)")

    def supported(self, value):
        require(value == value, repr_name(self), "value", value, "Real()")


def repr_name(d):
    return f"{type(d).__name__}{tuple(d.batch_shape)}" if hasattr(d, "_batch_shape") else type(d).__name__


class Normal(Located):
    """The normal distribution of mean `loc` and standard deviation `scale`."""

    variance = property(lambda self: self.scale ** 2)
    stddev = property(lambda self: self.scale)

    def rsample(self, sample_shape=()):
        return self.loc + randn(self.shape_of(sample_shape), dtype=self.loc.dtype, device=self.loc.device) * self.scale

    def log_prob(self, value):
        self.check_sample(value)
        return -((value - self.loc) ** 2) / (2 * self.variance) - self.scale.log() - math.log(math.sqrt(2 * math.pi))

    def cdf(self, value):
        self.check_sample(value)
        return 0.5 * (1 + ((value - self.loc) / self.scale / math.sqrt(2)).erf())

    def icdf(self, value):
        return self.loc + self.scale * (2 * value - 1).erfinv() * math.sqrt(2)

    def entropy(self):
        return 0.5 + 0.5 * math.log(2 * math.pi) + self.scale.log()


class LogNormal(Normal):
    """e^x for x of Normal(loc, scale)."""

    shown = ()

    mean = property(lambda self: (self.loc + self.scale ** 2 / 2).exp())
    mode = property(lambda self: (self.loc - self.scale ** 2).exp())
    variance = property(lambda self: ((self.scale ** 2).exp() - 1) * (2 * self.loc + self.scale ** 2).exp())
    stddev = property(lambda self: self.variance.sqrt())

    def supported(self, value):
        require(value > 0, repr_name(self), "value", value, "GreaterThan(lower_bound=0.0)")

    def rsample(self, sample_shape=()):
        return super().rsample(sample_shape).exp()

    def log_prob(self, value):
        self.check_sample(value)
        x = value.log()
        return -((x - self.loc) ** 2) / (2 * self.scale ** 2) - self.scale.log() - math.log(math.sqrt(2 * math.pi)) - x

    def cdf(self, value):
        return 0.5 * (1 + ((value.log() - self.loc) / self.scale / math.sqrt(2)).erf())

    def icdf(self, value):
        return super().icdf(value).exp()

    def entropy(self):
        return super().entropy() + self.loc


class Laplace(Located):
    """e^(-|x - loc| / scale) / (2 scale)."""

    variance = property(lambda self: 2 * self.scale ** 2)
    stddev = property(lambda self: math.sqrt(2) * self.scale)

    def rsample(self, sample_shape=()):
        u = rand(self.shape_of(sample_shape), dtype=self.loc.dtype, device=self.loc.device) - 0.5
        return self.loc - self.scale * u.sign() * (-2 * u.abs().clamp(max=0.5 - 1e-7)).log1p()

    def log_prob(self, value):
        self.check_sample(value)
        return -(2 * self.scale).log() - (value - self.loc).abs() / self.scale

    def cdf(self, value):
        self.check_sample(value)
        return 0.5 - 0.5 * (value - self.loc).sign() * (-(value - self.loc).abs() / self.scale).expm1()

    def icdf(self, value):
        x = value - 0.5
        return self.loc - self.scale * x.sign() * (-2 * x.abs()).log1p()

    def entropy(self):
        return 1 + (2 * self.scale).log()


class Uniform(Distribution):
    """Numbers from [low, high), all alike."""

    has_rsample, shown = True, ("low", "high")

    def __init__(self, low, high, validate_args=None):
        self.low, self.high = parameters(low, high)
        super().__init__(self.low.shape, validate_args=validate_args)

    mean = property(lambda self: (self.high + self.low) / 2)
    mode = property(lambda self: self.high * float("nan"))
    variance = property(lambda self: (self.high - self.low) ** 2 / 12)
    stddev = property(lambda self: (self.high - self.low) / 12 ** 0.5)

    def check(self):
        if not bool((self.low < self.high).all()):
            raise ValueError("Uniform is not defined when low>= high")

    def supported(self, value):
        require((value >= self.low) & (value <= self.high), "Uniform", "value", value, f"Interval(lower_bound={self.low}, upper_bound={self.high})")

    def rsample(self, sample_shape=()):
        return self.low + rand(self.shape_of(sample_shape), dtype=self.low.dtype, device=self.low.device) * (self.high - self.low)

    def log_prob(self, value):
        self.check_sample(value)
        inside = (self.low <= value) & (self.high > value)
        return inside.type_as(self.low).log() - (self.high - self.low).log()

    def cdf(self, value):
        self.check_sample(value)
        return ((value - self.low) / (self.high - self.low)).clamp(min=0, max=1)

    def icdf(self, value):
        return value * (self.high - self.low) + self.low

    def entropy(self):
        return (self.high - self.low).log()


class Exponential(Distribution):
    """rate e^(-rate x)."""

    has_rsample, shown = True, ("rate",)

    def __init__(self, rate, validate_args=None):
        self.rate, = parameters(rate)
        super().__init__(self.rate.shape, validate_args=validate_args)

    mean = property(lambda self: self.rate.reciprocal())
    mode = property(lambda self: self.rate * 0)
    stddev = property(lambda self: self.rate.reciprocal())
    variance = property(lambda self: self.rate ** -2)

    def check(self):
        require(self.rate > 0, "Exponential", "rate", self.rate, "GreaterThan(lower_bound=0.0)")

    def supported(self, value):
        require(value >= 0, "Exponential", "value", value, "GreaterThanEq(lower_bound=0.0)")

    def rsample(self, sample_shape=()):
        return -(-rand(self.shape_of(sample_shape), dtype=self.rate.dtype, device=self.rate.device)).log1p() / self.rate

    def log_prob(self, value):
        self.check_sample(value)
        return self.rate.log() - self.rate * value

    def cdf(self, value):
        self.check_sample(value)
        return 1 - (-self.rate * value).exp()

    def icdf(self, value):
        return -(-value).log1p() / self.rate

    def entropy(self):
        return 1 - self.rate.log()
