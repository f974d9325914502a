"""Layers at the ends and joints of networks: inputs, Dense, activations by name, functions as layers, other modules as layers."""

from .. import activations, constraints, initializers, regularizers
from ..layer import Layer, automatic_name
from ..symbolic import KerasTensor, Node
from ..variable import floats, shown
from ..weights import InputSpec


class InputLayer(Layer):
    """Where a model begins: the shape of its input, without the batch's axis."""

    keeps_dtype = True

    def __init__(self, shape=None, batch_size=None, dtype=None, batch_shape=None, name=None, **kwargs):
        kwargs.pop("sparse", None)
        if shape is None and batch_shape is None and "input_shape" in kwargs:
            shape = kwargs.pop("input_shape")
        super().__init__(name=name or None, dtype=dtype, **kwargs)
        if shape is None and batch_shape is None:
            raise TypeError("InputLayer needs a shape, such as InputLayer(shape=(28, 28, 1)); the batch's axis is left out")
        for n in (shape if shape is not None else batch_shape[1:]):
            if n is not None and (not isinstance(n, int) or n < 0):
                raise ValueError(f"an input's shape holds sizes and None, not {n!r} in {shape or batch_shape}")
        self.batch_shape = tuple(batch_shape) if batch_shape is not None else (batch_size, *shape)
        self.built = True
        Node(self, [], {}, KerasTensor(self.batch_shape, dtype, self.name))

    def call(self, inputs):
        return inputs

    def compute_output_shape(self, input_shape):
        return self.batch_shape


class Identity(Layer):
    """The input."""

    supports_masking = keeps_dtype = True

    def call(self, inputs):
        return inputs

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)


class Dense(Layer):
    """activation(x @ kernel + bias): (..., n) -> (..., units), kernel (n, units), bias (units,)."""

    supports_masking = True

    def __init__(self, units, activation=None, use_bias=True, kernel_initializer="glorot_uniform", bias_initializer="zeros",
                 kernel_regularizer=None, bias_regularizer=None, activity_regularizer=None, kernel_constraint=None, bias_constraint=None,
                 **kwargs):
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.units, self.activation, self.use_bias = positive(self, "units", units), activations.get(activation), use_bias
        self.kernel_initializer, self.bias_initializer = initializers.get(kernel_initializer), initializers.get(bias_initializer)
        self.kernel_regularizer, self.bias_regularizer = regularizers.get(kernel_regularizer), regularizers.get(bias_regularizer)
        self.kernel_constraint, self.bias_constraint = constraints.get(kernel_constraint), constraints.get(bias_constraint)
        self.input_spec = InputSpec(min_ndim=2)

    def build(self, input_shape):
        n = input_shape[-1]
        if n is None:
            raise ValueError(f'layer "{self.name}": the last axis of the input must have a known size, but its shape is {shown(input_shape)}')
        self.kernel = self.add_weight((n, self.units), self.kernel_initializer, regularizer=self.kernel_regularizer,
                                      constraint=self.kernel_constraint, name="kernel")
        self.bias = self.add_weight((self.units,), self.bias_initializer, regularizer=self.bias_regularizer,
                                    constraint=self.bias_constraint, name="bias") if self.use_bias else None
        self.input_spec = InputSpec(min_ndim=2, axes={-1: n})

    def call(self, inputs):
        y = floats(inputs) @ self.kernel
        return self.activation(y if self.bias is None else y + self.bias)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)


def positive(layer, name, value):
    """A count as an int; ValueError in the layer's name unless it is one above 0."""
    if isinstance(value, bool) or not hasattr(value, "__index__") or value.__index__() <= 0:
        raise ValueError(f"{type(layer).__name__}: {name} must be a whole number above 0, not {value!r}")
    return value.__index__()


class Lambda(Layer):
    """A function as a layer; saved by its name, which load_model(custom_objects=...) must know."""

    def __init__(self, function, output_shape=None, mask=None, arguments=None, **kwargs):
        super().__init__(**kwargs)
        self.function, self.extra = function, dict(arguments or {})

    def call(self, inputs):
        return self.function(inputs, **self.extra)


class Operation(Layer):
    """A function of keras.ops in a graph, by its name."""

    takes_lists = False

    def __init__(self, function, **kwargs):
        super().__init__(**{"name": kwargs.pop("name", None) or automatic_name(function), **kwargs})
        from .. import ops
        self.function, self.run = function, ops.FUNCTIONS[function]

    def __call__(self, *args, **kwargs):
        self.built = True
        return super().__call__(*args, **kwargs)

    def call(self, *args, **kwargs):
        kwargs.pop("training", None)
        return self.run(*args, **kwargs)


class TorchModuleWrapper(Layer):
    """A module of minitorch.nn as a layer: its parameters are this layer's weights."""

    def __init__(self, module, name=None, **kwargs):
        super().__init__(name=name, **kwargs)
        self.module = module

    def call(self, *args, training=None):
        if self.module.training != bool(training):
            self.module.train(bool(training))
        return self.module(*args)

    def get_config(self):
        raise TypeError(f'layer "{self.name}" wraps a {type(self.module).__name__}, which has no configuration: the model cannot be '
                        "saved whole, but save_weights() can save its weights")


class ActivityRegularization(Layer):
    """The input; the loss grows by l1 * sum |x| + l2 * sum x^2 of it, per sample."""

    supports_masking = True

    def __init__(self, l1=0.0, l2=0.0, **kwargs):
        super().__init__(activity_regularizer=regularizers.L1L2(l1, l2), **kwargs)

    def call(self, inputs):
        return inputs

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)


class Rescaling(Layer):
    """x * scale + offset, such as Rescaling(1 / 255) for bytes of images."""

    supports_masking = True

    def __init__(self, scale, offset=0.0, **kwargs):
        super().__init__(**kwargs)
        self.scale, self.offset = scale, offset

    def call(self, inputs):
        return floats(inputs) * self.scale + self.offset

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)
