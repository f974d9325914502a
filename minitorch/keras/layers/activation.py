"""Activations as layers."""
from .. import activations, constraints, initializers, regularizers
from ..layer import Layer
from ..variable import as_tensor, floats


class Activation(Layer):
    """An activation, by its name or as a function."""

    supports_masking = True

    def __init__(self, activation, **kwargs):
        super().__init__(**kwargs)
        self.activation = activations.get(activation)

    def call(self, inputs):
        return self.activation(inputs)

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)


class ReLU(Layer):
    """x above the threshold, negative_slope * (x - threshold) below it, at most max_value."""

    supports_masking = True

    def __init__(self, max_value=None, negative_slope=0.0, threshold=0.0, **kwargs):
        super().__init__(**kwargs)
        self.max_value, self.negative_slope, self.threshold = max_value, negative_slope, threshold

    def call(self, inputs):
        return activations.relu(inputs, self.negative_slope, self.max_value, self.threshold)

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)


class LeakyReLU(ReLU):
    """x above 0, negative_slope * x below."""

    def __init__(self, negative_slope=0.3, **kwargs):
        super().__init__(negative_slope=kwargs.pop("alpha", negative_slope), **kwargs)

    def call(self, inputs):
        return activations.leaky_relu(inputs, self.negative_slope)


class ELU(Activation):
    """x above 0, alpha (e^x - 1) below."""

    def __init__(self, alpha=1.0, **kwargs):
        super().__init__("elu", **kwargs)
        self.alpha = alpha

    def call(self, inputs):
        return activations.elu(inputs, self.alpha)


class Softmax(Activation):
    """e^x over its sum along the axis, of the places that the mask lets through."""

    def __init__(self, axis=-1, **kwargs):
        super().__init__("softmax", **kwargs)
        self.axis = axis

    def call(self, inputs, mask=None):
        if mask is not None:
            inputs = inputs + (1 - floats(as_tensor(mask))) * -1e9
        return activations.softmax(inputs, self.axis)


class PReLU(Layer):
    """x above 0, alpha x below, alpha learnt for each place of the input (He et al. 2015); shared along `shared_axes`."""

    supports_masking = True

    def __init__(self, alpha_initializer="zeros", alpha_regularizer=None, alpha_constraint=None, shared_axes=None, **kwargs):
        super().__init__(**kwargs)
        self.alpha_initializer, self.alpha_regularizer = initializers.get(alpha_initializer), regularizers.get(alpha_regularizer)
        self.alpha_constraint = constraints.get(alpha_constraint)
        self.shared_axes = [shared_axes] if isinstance(shared_axes, int) else list(shared_axes or [])

    def build(self, input_shape):
        shape = [1 if axis in self.shared_axes else n for axis, n in enumerate(input_shape)][1:]
        self.alpha = self.add_weight(shape, self.alpha_initializer, regularizer=self.alpha_regularizer, constraint=self.alpha_constraint,
                                     name="alpha")

    def call(self, inputs):
        return activations.relu(inputs) - self.alpha * activations.relu(-inputs)

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)
