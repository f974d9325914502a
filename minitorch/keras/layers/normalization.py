"""Normalization: numbers of mean 0 and variance 1, over the batch, over each sample's features, or from data seen before."""
import numpy as np

import minitorch as torch

from ...nn import functional as F
from .. import constraints, initializers, regularizers
from ..layer import Layer
from ..variable import as_tensor, floats, shown
from ..weights import InputSpec


class BatchNormalization(Layer):
    """gamma (x - mean) / sqrt(variance + epsilon) + beta for each channel (Ioffe & Szegedy 2015).

    In training mean and variance are the batch's, and the moving ones follow: moving = momentum * moving + (1 - momentum) * the
    batch's.  Otherwise, and when the layer is not trainable, the moving ones are used.
    """

    supports_masking = True

    def __init__(self, axis=-1, momentum=0.99, epsilon=1e-3, center=True, scale=True, beta_initializer="zeros", gamma_initializer="ones",
                 moving_mean_initializer="zeros", moving_variance_initializer="ones", beta_regularizer=None, gamma_regularizer=None,
                 beta_constraint=None, gamma_constraint=None, **kwargs):
        super().__init__(**kwargs)
        self.axis, self.momentum, self.epsilon, self.center, self.scale = axis, momentum, epsilon, center, scale
        self.beta_initializer, self.gamma_initializer = initializers.get(beta_initializer), initializers.get(gamma_initializer)
        self.moving_mean_initializer = initializers.get(moving_mean_initializer)
        self.moving_variance_initializer = initializers.get(moving_variance_initializer)
        self.beta_regularizer, self.gamma_regularizer = regularizers.get(beta_regularizer), regularizers.get(gamma_regularizer)
        self.beta_constraint, self.gamma_constraint = constraints.get(beta_constraint), constraints.get(gamma_constraint)

    def build(self, input_shape):
        axis = self.axis if isinstance(self.axis, int) else self.axis[0]
        n = input_shape[axis]
        if n is None:
            raise ValueError(f'layer "{self.name}": axis {axis} of the input must have a known size, but its shape is {shown(input_shape)}')
        self.gamma = self.add_weight((n,), self.gamma_initializer, regularizer=self.gamma_regularizer, constraint=self.gamma_constraint,
                                     name="gamma") if self.scale else None
        self.beta = self.add_weight((n,), self.beta_initializer, regularizer=self.beta_regularizer, constraint=self.beta_constraint,
                                    name="beta") if self.center else None
        self.moving_mean = self.add_weight((n,), self.moving_mean_initializer, trainable=False, name="moving_mean")
        self.moving_variance = self.add_weight((n,), self.moving_variance_initializer, trainable=False, name="moving_variance")
        self.input_spec = InputSpec(ndim=len(input_shape), axes={axis: n})

    def call(self, inputs, training=False, mask=None):
        axis = self.axis if isinstance(self.axis, int) else self.axis[0]
        x = floats(inputs).moveaxis(axis, 1)                                # (N, C, ...)
        if not (training and self.trainable):
            y = F.batch_norm(x, self.moving_mean, self.moving_variance, self.gamma, self.beta, False, 0.0, self.epsilon)
            return y.moveaxis(1, axis)
        if mask is not None and mask.ndim == inputs.ndim - 1 and axis in (-1, inputs.ndim - 1):
            return self.masked(floats(inputs), mask)
        axes = [i for i in range(x.ndim) if i != 1]
        with torch.no_grad():
            self.follow(x.mean(axes), x.var(axes, correction=0))
        return F.batch_norm(x, None, None, self.gamma, self.beta, True, 0.0, self.epsilon).moveaxis(1, axis)

    def follow(self, mean, variance):
        """Move the moving mean and variance towards the batch's."""
        for kept, new in ((self.moving_mean, mean), (self.moving_variance, variance)):
            kept.mul_(self.momentum).add_(new * (1 - self.momentum))

    def masked(self, x, mask):
        """The normalization in training where only the places that the mask lets through count for mean and variance."""
        w, axes = mask.to(x.dtype).unsqueeze(-1), tuple(range(x.ndim - 1))
        total = w.sum()
        mean = (x * w).sum(axes) / total
        variance = ((x - mean).square() * w).sum(axes) / total
        with torch.no_grad():
            self.follow(mean, variance)
        y = (x - mean) / (variance + self.epsilon).sqrt()
        y = y if self.gamma is None else y * self.gamma
        return y if self.beta is None else y + self.beta

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)


class LayerNormalization(Layer):
    """gamma (x - mean) / sqrt(variance + epsilon) + beta, mean and variance of each sample along `axis` (Ba et al. 2016)."""

    supports_masking = True

    def __init__(self, axis=-1, epsilon=1e-3, center=True, scale=True, beta_initializer="zeros", gamma_initializer="ones",
                 beta_regularizer=None, gamma_regularizer=None, beta_constraint=None, gamma_constraint=None, **kwargs):
        super().__init__(**kwargs)
        self.axis, self.epsilon, self.center, self.scale = axis, epsilon, center, scale
        self.beta_initializer, self.gamma_initializer = initializers.get(beta_initializer), initializers.get(gamma_initializer)
        self.beta_regularizer, self.gamma_regularizer = regularizers.get(beta_regularizer), regularizers.get(gamma_regularizer)
        self.beta_constraint, self.gamma_constraint = constraints.get(beta_constraint), constraints.get(gamma_constraint)

    def build(self, input_shape):
        axes = [self.axis] if isinstance(self.axis, int) else list(self.axis)
        self.axes = sorted(a % len(input_shape) for a in axes)
        shape = [input_shape[a] for a in self.axes]
        self.gamma = self.add_weight(shape, self.gamma_initializer, regularizer=self.gamma_regularizer, constraint=self.gamma_constraint,
                                     name="gamma") if self.scale else None
        self.beta = self.add_weight(shape, self.beta_initializer, regularizer=self.beta_regularizer, constraint=self.beta_constraint,
                                    name="beta") if self.center else None

    def call(self, inputs):
        x = floats(inputs)
        last = list(range(x.ndim - len(self.axes), x.ndim))
        if self.axes != last:
            x = x.moveaxis(self.axes, last)
        y = F.layer_norm(x, x.shape[last[0]:], self.gamma, self.beta, self.epsilon)
        return y if self.axes == last else y.moveaxis(last, self.axes)

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)


class Normalization(Layer):
    """(x - mean) / sqrt(variance) along `axis`, by what adapt(data) found or by what is given."""

    def __init__(self, axis=-1, mean=None, variance=None, invert=False, **kwargs):
        super().__init__(**kwargs)
        self.axis = () if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
        self.given, self.invert = (mean, variance), invert
        if (mean is None) != (variance is None):
            raise ValueError("Normalization: mean and variance are given together, or found by adapt()")

    def build(self, input_shape):
        shape = [input_shape[a] for a in self.axis]
        self.mean = self.add_weight(shape, "zeros", trainable=False, name="mean")
        self.variance = self.add_weight(shape, "ones", trainable=False, name="variance")
        if self.given[0] is not None:
            for w, value in zip((self.mean, self.variance), self.given):
                w.assign(torch.as_tensor(np.broadcast_to(np.asarray(value, "f4"), shape).copy()))

    def adapt(self, data):
        """Take mean and variance from an array of data."""
        x = as_tensor(data, self._dtype)
        if not self.built:
            self._build_for([x], {})
        axes = [i for i in range(x.ndim) if i not in {a % x.ndim for a in self.axis}]
        self.mean.assign(x.double().mean(axes).to(x.dtype))
        self.variance.assign(x.double().var(axes, correction=0).to(x.dtype))

    def call(self, inputs):
        x = floats(inputs)
        shape = [n if i in {a % x.ndim for a in self.axis} else 1 for i, n in enumerate(x.shape)]
        mean, deviation = self.mean.reshape(shape), self.variance.reshape(shape).sqrt().clamp(min=1e-7)
        return mean + x * deviation if self.invert else (x - mean) / deviation

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)
