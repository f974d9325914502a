"""Distributions of whole numbers, by probabilities `probs` or by `logits`."""
import math

from .. import finfo, int64, lgamma, multinomial, nn, no_grad, poisson, rand, where, xlogy
from .distribution import Distribution, parameters, require

F = nn.functional


def either(probs, logits):
    """The one that was given; ValueError unless it is exactly one."""
    if (probs is None) == (logits is None):
        raise ValueError("Either `probs` or `logits` must be specified, but not both.")
    return parameters(logits if probs is None else probs)[0]


class Yes(Distribution):
    """What distributions by the probability of a yes share."""

    shown = ("probs", "logits")

    def __init__(self, probs=None, logits=None, validate_args=None):
        given = either(probs, logits)
        if logits is None:
            self.probs = given
        else:
            self.logits = given
        super().__init__(given.shape, validate_args=validate_args)

    def __getattr__(self, name):
        if name == "probs":
            self.probs = self.logits.sigmoid()
            return self.probs
        if name == "logits":
            p = clipped(self.probs)
            self.logits = p.log() - (-p).log1p()
            return self.logits
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def check(self):
        if "probs" in self.__dict__:
            require((self.probs >= 0) & (self.probs <= 1), type(self).__name__, "probs", self.probs, "Interval(lower_bound=0.0, upper_bound=1.0)")


def clipped(p):
    """Probabilities kept off 0 and 1."""
    eps = finfo(p.dtype).eps
    return p.clamp(min=eps, max=1 - eps)


class Bernoulli(Yes):
    """1 with probability `probs`, else 0."""

    mean = property(lambda self: self.probs)
    variance = property(lambda self: self.probs * (1 - self.probs))

    @property
    def mode(self):
        y = (self.probs >= 0.5).to(self.probs.dtype)
        return where(self.probs == 0.5, y * float("nan"), y)

    def supported(self, value):
        require((value == 0) | (value == 1), "Bernoulli", "value", value, "Boolean()")

    def sample(self, sample_shape=()):
        with no_grad():
            return self.probs.expand(self.shape_of(sample_shape)).bernoulli()

    def log_prob(self, value):
        self.check_sample(value)
        logits, value = self.logits, value
        shape = (logits + value).shape
        return -F.binary_cross_entropy_with_logits(logits.expand(shape), value.expand(shape), reduction="none")

    def entropy(self):
        return F.binary_cross_entropy_with_logits(self.logits, self.probs, reduction="none")


class Geometric(Yes):
    """How many no's come before the first yes of probability `probs`."""

    mean = property(lambda self: 1 / self.probs - 1)
    mode = property(lambda self: self.probs * 0)
    variance = property(lambda self: (1 / self.probs - 1) / self.probs)

    def check(self):
        super().check()
        require(self.probs > 0, "Geometric", "probs", self.probs, "GreaterThan(lower_bound=0.0)")

    def supported(self, value):
        require((value >= 0) & (value == value.floor()), "Geometric", "value", value, "IntegerGreaterThan(lower_bound=0)")

    def sample(self, sample_shape=()):
        with no_grad():
            u = rand(self.shape_of(sample_shape), dtype=self.probs.dtype, device=self.probs.device)
            u = u.clamp(min=finfo(u.dtype).tiny)
            return (u.log() / (-self.probs).log1p()).floor()

    def log_prob(self, value):
        self.check_sample(value)
        p = where((self.probs == 1) & (value == 0), self.probs * 0, self.probs)
        return value * (-p).log1p() + self.probs.log()

    def entropy(self):
        return F.binary_cross_entropy_with_logits(self.logits, self.probs, reduction="none") / self.probs


class Poisson(Distribution):
    """rate^k e^-rate / k!."""

    shown = ("rate",)

    def __init__(self, rate, validate_args=None):
        self.rate, = parameters(rate)
        super().__init__(self.rate.shape, validate_args=validate_args)

    mean = property(lambda self: self.rate)
    mode = property(lambda self: self.rate.floor())
    variance = property(lambda self: self.rate)

    def check(self):
        require(self.rate >= 0, "Poisson", "rate", self.rate, "GreaterThanEq(lower_bound=0.0)")

    def supported(self, value):
        require((value >= 0) & (value == value.floor()), "Poisson", "value", value, "IntegerGreaterThan(lower_bound=0)")

    def sample(self, sample_shape=()):
        with no_grad():
            return poisson(self.rate.expand(self.shape_of(sample_shape)))

    def log_prob(self, value):
        self.check_sample(value)
        return xlogy(value, self.rate) - self.rate - lgamma(value + 1)


class Categorical(Distribution):
    """The numbers 0 to K - 1 with probabilities, the last axis of `probs`, or e^logits, brought to the sum 1."""

    shown = ("probs", "logits")

    def __init__(self, probs=None, logits=None, validate_args=None):
        given = either(probs, logits)
        if given.ndim < 1:
            raise ValueError(f"`{'logits' if probs is None else 'probs'}` parameter must be at least one-dimensional.")
        if probs is None:
            self.logits = given - given.logsumexp(-1, keepdim=True)
        else:
            if self.validate if validate_args is None else validate_args:
                require((given >= 0) & (given.sum(-1, keepdim=True) > 0), "Categorical", "probs", given, "Simplex()")
            self.probs = given / given.sum(-1, keepdim=True)
        self._num_events = given.shape[-1]
        super().__init__(given.shape[:-1], validate_args=validate_args)

    def __getattr__(self, name):
        if name == "probs":
            self.probs = F.softmax(self.logits, -1)
            return self.probs
        if name == "logits":
            self.logits = clipped(self.probs).log()
            return self.logits
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    @property
    def param_shape(self):
        """The shape of `probs`."""
        return self.probs.shape

    mean = property(lambda self: self.probs[..., 0] * float("nan"))
    variance = property(lambda self: self.probs[..., 0] * float("nan"))
    mode = property(lambda self: self.probs.argmax(-1))

    def supported(self, value):
        require((value >= 0) & (value < self._num_events) & (value == value.floor() if value.is_floating_point() else value == value),
                "Categorical", "value", value, f"IntegerInterval(lower_bound=0, upper_bound={self._num_events - 1})")

    def sample(self, sample_shape=()):
        with no_grad():
            rows = self.probs.reshape(-1, self._num_events)
            return multinomial(rows, math.prod(sample_shape), True).T.reshape(self.shape_of(sample_shape))

    def log_prob(self, value):
        self.check_sample(value)
        value = value.to(int64).unsqueeze(-1)
        shape = (*(value[..., 0] + self.logits[..., 0].to(int64) * 0).shape, self._num_events)
        return self.logits.expand(shape).gather(-1, value.expand(*shape[:-1], 1)).squeeze(-1)

    def entropy(self):
        return -(self.logits.clamp(min=finfo(self.logits.dtype).min) * self.probs).sum(-1)

    def enumerate_support(self, expand=True):
        """All values, along a new first axis."""
        from .. import arange
        values = arange(self._num_events).reshape(-1, *(1,) * len(self._batch_shape))
        return values.expand(-1, *self._batch_shape) if expand else values


class OneHotCategorical(Distribution):
    """Categorical, its samples as vectors with a single 1."""

    def __init__(self, probs=None, logits=None, validate_args=None):
        self._categorical = Categorical(probs, logits, validate_args)
        super().__init__(self._categorical.batch_shape, (self._categorical._num_events,), validate_args)

    probs = property(lambda self: self._categorical.probs)
    logits = property(lambda self: self._categorical.logits)
    mean = property(lambda self: self.probs)
    variance = property(lambda self: self.probs * (1 - self.probs))
    mode = property(lambda self: F.one_hot(self.probs.argmax(-1), self._event_shape[0]).to(self.probs.dtype))

    def sample(self, sample_shape=()):
        return F.one_hot(self._categorical.sample(sample_shape), self._event_shape[0]).to(self.probs.dtype)

    def supported(self, value):
        require(((value == 0) | (value == 1)).all(-1) & (value.sum(-1) == 1), "OneHotCategorical", "value", value, "OneHot()")

    def log_prob(self, value):
        self.check_sample(value)
        return self._categorical.log_prob(value.argmax(-1))

    def entropy(self):
        return self._categorical.entropy()
