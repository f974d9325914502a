"""What all distributions share: a batch of them, shapes of samples, and distributions made of others."""
from .. import broadcast_tensors, exp, get_default_dtype, no_grad, tensor
from ..tensor import Size, Tensor


def parameters(*values):
    """Numbers and tensors as tensors of one shape."""
    like = next((v for v in values if isinstance(v, Tensor)), None)
    made = [v if isinstance(v, Tensor) else tensor(float(v), dtype=get_default_dtype() if like is None else like.dtype,
                                                   device=None if like is None else like.device) for v in values]
    return broadcast_tensors(*made)


def require(condition, name, parameter, value, constraint):
    """PyTorch's ValueError where a parameter or sample is outside its range."""
    if not bool(condition.all()):
        raise ValueError(f"Expected {'parameter ' + parameter if parameter != 'value' else 'value argument'} ({type(value).__name__} of shape "
                         f"{tuple(value.shape)}) of distribution {name} to satisfy the constraint {constraint}, but found invalid values:\n{value}")


class Distribution:
    """A batch of distributions: samples have the shape sample_shape + batch_shape + event_shape."""

    has_rsample = False                              # whether samples can be differentiated by the parameters
    validate = True
    shown: tuple[str, ...] = ()                      # parameters of the printed form

    def __init__(self, batch_shape=(), event_shape=(), validate_args=None):
        self._batch_shape, self._event_shape = Size(batch_shape), Size(event_shape)
        self._validate_args = self.validate if validate_args is None else validate_args
        if self._validate_args:
            self.check()

    @staticmethod
    def set_default_validate_args(value):
        """Whether parameters and samples are checked unless validate_args says otherwise."""
        Distribution.validate = bool(value)

    def check(self):
        """ValueError for parameters outside their range."""

    def check_sample(self, value):
        """ValueError for what is no sample of this distribution."""
        if self._validate_args:
            if not isinstance(value, Tensor):
                raise ValueError("The value argument to log_prob must be a Tensor")
            self.supported(value)

    def supported(self, value):
        """ValueError for values outside the support."""

    @property
    def batch_shape(self):
        """The shape of the batch of distributions."""
        return self._batch_shape

    @property
    def event_shape(self):
        """The shape of one sample of one distribution."""
        return self._event_shape

    @property
    def stddev(self):
        """The standard deviation."""
        return self.variance.sqrt()

    def shape_of(self, sample_shape):
        return Size(tuple(sample_shape) + tuple(self._batch_shape) + tuple(self._event_shape))

    def sample(self, sample_shape=()):
        """Samples outside the graph."""
        with no_grad():
            return self.rsample(sample_shape)

    def rsample(self, sample_shape=()):
        """Samples through which gradients reach the parameters."""
        raise NotImplementedError

    def sample_n(self, n):
        """n samples."""
        return self.sample((n,))

    def log_prob(self, value):
        """The logarithm of the density, or probability, at `value`."""
        raise NotImplementedError

    def cdf(self, value):
        """The probability of what is not above `value`."""
        raise NotImplementedError

    def icdf(self, value):
        """Where the cdf is `value`."""
        raise NotImplementedError

    def entropy(self):
        """The expectation of -log_prob."""
        raise NotImplementedError

    def perplexity(self):
        """e^entropy."""
        return exp(self.entropy())

    def __repr__(self):
        known = {name: self.__dict__[name].detach() for name in self.shown if name in self.__dict__}
        return type(self).__name__ + "(" + ", ".join(f"{name}: {t if t.numel() == 1 else t.shape}" for name, t in known.items()) + ")"


def summed(t, n):
    """The sum over the last n axes."""
    return t.sum(tuple(range(-n, 0))) if n else t


class Independent(Distribution):
    """The last axes of a batch read as one event: their log_prob is summed."""

    def __init__(self, base_distribution, reinterpreted_batch_ndims, validate_args=None):
        n, batch = reinterpreted_batch_ndims, tuple(base_distribution.batch_shape)
        if n > len(batch):
            raise ValueError(f"Expected reinterpreted_batch_ndims <= len(base_distribution.batch_shape), actual {n} vs {len(batch)}")
        self.base_dist, self.reinterpreted_batch_ndims, self.has_rsample = base_distribution, n, base_distribution.has_rsample
        cut = len(batch) - n
        super().__init__(batch[:cut], batch[cut:] + tuple(base_distribution.event_shape), validate_args)

    mean = property(lambda self: self.base_dist.mean)
    mode = property(lambda self: self.base_dist.mode)
    variance = property(lambda self: self.base_dist.variance)

    def sample(self, sample_shape=()):
        return self.base_dist.sample(sample_shape)

    def rsample(self, sample_shape=()):
        return self.base_dist.rsample(sample_shape)

    def log_prob(self, value):
        return summed(self.base_dist.log_prob(value), self.reinterpreted_batch_ndims)

    def entropy(self):
        return summed(self.base_dist.entropy(), self.reinterpreted_batch_ndims)

    def __repr__(self):
        return f"Independent({self.base_dist}, {self.reinterpreted_batch_ndims})"
