"""Layers that are only at work in training: dropout and noise."""
import math

import minitorch as torch

from ...nn import functional as F
from ..layer import Layer
from ..weights import InputSpec


class Noise(Layer):
    """The base: the input outside training, `disturbed(inputs)` in it."""

    supports_masking = True

    def call(self, inputs, training=False):
        return self.disturbed(inputs) if training else inputs

    def generator(self):
        """The layer's own stream of random numbers where it has a seed; None for the common one."""
        if self.seed is None:
            return None
        if "_generator" not in self.__dict__:
            self._generator = torch.Generator().manual_seed(int(self.seed))
        return self._generator

    def disturbed(self, inputs):
        """What training sees."""
        raise NotImplementedError

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)


def share(layer, rate):
    """A rate as a number; ValueError unless it is from 0 to 1."""
    if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0 <= rate <= 1:
        raise ValueError(f"{type(layer).__name__}: rate must be a number from 0 to 1, not {rate!r}")
    return float(rate)


class Dropout(Noise):
    """A share `rate` of the numbers becomes 0 in training, the others grow by 1 / (1 - rate) (Srivastava et al. 2014).

    noise_shape: the shape of what is drawn; along axes of size 1 all share one fate.
    """

    def __init__(self, rate, noise_shape=None, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.rate, self.noise_shape, self.seed = share(self, rate), noise_shape, seed

    def drawn(self, inputs):
        """The shape of what is drawn."""
        if self.noise_shape is None:
            return tuple(inputs.shape)
        return tuple(n if k is None else k for n, k in zip(inputs.shape, self.noise_shape))

    def disturbed(self, inputs):
        if not self.rate:
            return inputs
        shape = self.drawn(inputs)
        if self.seed is None and shape == tuple(inputs.shape):
            return F.dropout(inputs, self.rate)
        if self.rate == 1:
            return inputs * 0
        kept = torch.rand(shape, generator=self.generator()).to(inputs.device) >= self.rate
        return inputs * (kept.to(inputs.dtype) / (1 - self.rate))


class SpatialDropout(Dropout):
    """Dropout of whole channels."""

    rank = 0

    def __init__(self, rate, seed=None, **kwargs):
        self.first = kwargs.pop("data_format", None) == "channels_first"
        super().__init__(rate, seed=seed, **kwargs)
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def drawn(self, inputs):
        shape = inputs.shape
        return (*shape[:2], *(1,) * self.rank) if self.first else (shape[0], *(1,) * self.rank, shape[-1])


SpatialDropout1D, SpatialDropout2D, SpatialDropout3D = [
    type(f"SpatialDropout{r}D", (SpatialDropout,), {"rank": r, "__doc__": f"Dropout of whole channels, with {r} spatial axes.",
                                                    "__module__": __name__}) for r in (1, 2, 3)]


class GaussianNoise(Noise):
    """Normal noise of deviation stddev added in training."""

    def __init__(self, stddev, seed=None, **kwargs):
        super().__init__(**kwargs)
        if isinstance(stddev, bool) or not isinstance(stddev, (int, float)) or not stddev >= 0:
            raise ValueError(f"GaussianNoise: stddev must be a number from 0 on, not {stddev!r}")
        self.stddev, self.seed = stddev, seed

    def disturbed(self, inputs):
        if not self.stddev:
            return inputs
        return inputs + self.stddev * torch.randn(inputs.shape, dtype=inputs.dtype, generator=self.generator()).to(inputs.device)


class GaussianDropout(Noise):
    """Each number times one drawn around 1 in training, of the variance that dropout has (Srivastava et al. 2014)."""

    def __init__(self, rate, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.rate, self.seed = share(self, rate), seed
        if self.rate == 1:
            raise ValueError("GaussianDropout: rate must be below 1")

    def disturbed(self, inputs):
        deviation = math.sqrt(self.rate / (1 - self.rate))
        return inputs * (1 + deviation * torch.randn(inputs.shape, dtype=inputs.dtype, generator=self.generator()).to(inputs.device))
