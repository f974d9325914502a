"""Initial values of weights, by Keras' names: an initializer is called with a shape and gives a tensor.

Shapes are Keras': inputs in the axis before the last, outputs in the last, the kernel's window in those before.
Random ones draw from minitorch's generator, or with `seed` always the same numbers.
"""
import math

import minitorch as torch

from ..nn import init
from .registry import Configured, resolver


class Initializer(Configured):
    """The base: `fill(tensor, generator)` writes the values."""

    seed = None

    def __call__(self, shape, dtype=None):
        generator = None if self.seed is None else torch.Generator().manual_seed(int(self.seed))
        t = torch.empty(tuple(int(n) for n in shape), dtype=getattr(torch, dtype) if isinstance(dtype, str) else dtype)
        with torch.no_grad():
            return self.fill(t, generator)

    def fill(self, t, generator):
        """Write the values into `t`, and return it."""
        raise NotImplementedError(f"{type(self).__name__} needs fill(tensor, generator) or a __call__(shape, dtype) of its own")


class Zeros(Initializer):
    """0 everywhere."""

    def fill(self, t, generator):
        return t.zero_()


class Ones(Initializer):
    """1 everywhere."""

    def fill(self, t, generator):
        return t.fill_(1.0)


class Constant(Initializer):
    """`value` everywhere; an array of values where it has the shape."""

    def __init__(self, value=0.0):
        self.value = value

    def fill(self, t, generator):
        return t.copy_(torch.as_tensor(self.value).to(t.dtype).expand_as(t))


class RandomNormal(Initializer):
    """Normal, of the given mean and deviation."""

    def __init__(self, mean=0.0, stddev=0.05, seed=None):
        self.mean, self.stddev, self.seed = mean, stddev, seed

    def fill(self, t, generator):
        return t.normal_(self.mean, self.stddev, generator=generator)


class TruncatedNormal(RandomNormal):
    """Normal, what is more than two deviations from the mean left out."""

    def fill(self, t, generator):
        return init.trunc_normal_(t, self.mean, self.stddev, self.mean - 2 * self.stddev, self.mean + 2 * self.stddev, generator)


class RandomUniform(Initializer):
    """Uniform in [minval, maxval)."""

    def __init__(self, minval=-0.05, maxval=0.05, seed=None):
        self.minval, self.maxval, self.seed = minval, maxval, seed

    def fill(self, t, generator):
        return t.uniform_(self.minval, self.maxval, generator=generator)


def fans(shape):
    """(inputs, outputs) of one unit for Keras' shapes."""
    if len(shape) < 2:
        n = shape[0] if shape else 1
        return n, n
    window = math.prod(shape[:-2])
    return shape[-2] * window, shape[-1] * window


class VarianceScaling(Initializer):
    """Random of variance scale / n, n the inputs ("fan_in"), outputs ("fan_out") or their mean ("fan_avg")."""

    def __init__(self, scale=1.0, mode="fan_in", distribution="truncated_normal", seed=None):
        if scale <= 0 or mode not in ("fan_in", "fan_out", "fan_avg"):
            raise ValueError(f"VarianceScaling: scale must be above 0, not {scale}, and mode fan_in, fan_out or fan_avg, not {mode!r}")
        if distribution not in ("truncated_normal", "untruncated_normal", "normal", "uniform"):
            raise ValueError(f"VarianceScaling: distribution is truncated_normal, untruncated_normal or uniform, not {distribution!r}")
        self.scale, self.mode, self.distribution, self.seed = scale, mode, distribution, seed

    def fill(self, t, generator):
        inputs, outputs = fans(t.shape)
        variance = self.scale / max(1.0, {"fan_in": inputs, "fan_out": outputs, "fan_avg": (inputs + outputs) / 2}[self.mode])
        if self.distribution == "uniform":
            bound = math.sqrt(3 * variance)
            return t.uniform_(-bound, bound, generator=generator)
        if self.distribution == "untruncated_normal":
            return t.normal_(0.0, math.sqrt(variance), generator=generator)
        deviation = math.sqrt(variance) / 0.87962566103423978        # what the cut at two deviations leaves of the normal's
        return init.trunc_normal_(t, 0.0, deviation, -2 * deviation, 2 * deviation, generator)


def scaling(name, scale, mode, distribution, doc):
    """A class whose only argument is the seed."""
    def __init__(self, seed=None):
        VarianceScaling.__init__(self, scale, mode, distribution, seed)
    return type(name, (VarianceScaling,), {"__init__": __init__, "__doc__": doc, "__module__": __name__})


GlorotUniform = scaling("GlorotUniform", 1.0, "fan_avg", "uniform", "Uniform of variance 2 / (inputs + outputs) (Glorot & Bengio 2010).")
GlorotNormal = scaling("GlorotNormal", 1.0, "fan_avg", "truncated_normal", "Normal of variance 2 / (inputs + outputs).")
HeUniform = scaling("HeUniform", 2.0, "fan_in", "uniform", "Uniform of variance 2 / inputs (He et al. 2015).")
HeNormal = scaling("HeNormal", 2.0, "fan_in", "truncated_normal", "Normal of variance 2 / inputs (He et al. 2015).")
LecunUniform = scaling("LecunUniform", 1.0, "fan_in", "uniform", "Uniform of variance 1 / inputs (LeCun et al. 1998).")
LecunNormal = scaling("LecunNormal", 1.0, "fan_in", "truncated_normal", "Normal of variance 1 / inputs (LeCun et al. 1998).")


class Orthogonal(Initializer):
    """gain times a random matrix of orthonormal rows or columns, the axes before the last as one (Saxe et al. 2013)."""

    def __init__(self, gain=1.0, seed=None):
        self.gain, self.seed = gain, seed

    def fill(self, t, generator):
        if t.ndim < 2:
            raise ValueError(f"Orthogonal makes matrices, not weights of shape {tuple(t.shape)}")
        flat = torch.empty(t.shape[-1], t.numel() // t.shape[-1], dtype=t.dtype)
        return t.copy_(init.orthogonal_(flat, self.gain, generator).T.reshape(t.shape))


class Identity(Initializer):
    """gain times the identity matrix."""

    def __init__(self, gain=1.0):
        self.gain = gain

    def fill(self, t, generator):
        return init.eye_(t).mul_(self.gain)


CLASSES = (Zeros, Ones, Constant, RandomNormal, TruncatedNormal, RandomUniform, VarianceScaling, GlorotUniform, GlorotNormal, HeUniform,
           HeNormal, LecunUniform, LecunNormal, Orthogonal, Identity)
NAMES = {c.__name__: c for c in CLASSES} | {
    "zeros": Zeros, "zero": Zeros, "ones": Ones, "one": Ones, "constant": Constant, "random_normal": RandomNormal, "normal": RandomNormal,
    "truncated_normal": TruncatedNormal, "random_uniform": RandomUniform, "uniform": RandomUniform, "variance_scaling": VarianceScaling,
    "glorot_uniform": GlorotUniform, "glorot_normal": GlorotNormal, "he_uniform": HeUniform, "he_normal": HeNormal,
    "lecun_uniform": LecunUniform, "lecun_normal": LecunNormal, "orthogonal": Orthogonal, "identity": Identity}
get = resolver("initializer", NAMES, base=Initializer)
