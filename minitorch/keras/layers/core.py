"""Layers at the ends and joints of networks: inputs, Dense, activations by name, functions as layers, other modules as layers."""

from ... import nn
from .. import activations, constraints, initializers, regularizers
from ..layer import InputSpec, Layer, automatic_name
from ..symbolic import KerasTensor, Node
from ..variable import as_tensor, floats, shown


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


class Masking(Layer):
    """Marks the steps whose numbers are all mask_value, so that recurrent layers and losses pass them over: (N, T, n)."""

    supports_masking = True

    def __init__(self, mask_value=0.0, **kwargs):
        super().__init__(**kwargs)
        self.mask_value = mask_value

    def compute_mask(self, inputs, previous_mask=None):
        return (inputs != self.mask_value).any(-1)

    def call(self, inputs):
        return inputs * (inputs != self.mask_value).any(-1, keepdim=True).to(inputs.dtype)

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)


class Embedding(Layer):
    """The rows of a table: whole numbers (...) below input_dim -> (..., output_dim). mask_zero: 0 is padding, to be passed over."""

    def __init__(self, input_dim, output_dim, embeddings_initializer="uniform", embeddings_regularizer=None, embeddings_constraint=None,
                 mask_zero=False, weights=None, **kwargs):
        input_length = kwargs.pop("input_length", None)
        if input_length is not None:
            kwargs["input_shape"] = (input_length,)
        super().__init__(**kwargs)
        self.input_dim, self.output_dim = positive(self, "input_dim", input_dim), positive(self, "output_dim", output_dim)
        self.embeddings_initializer, self.mask_zero = initializers.get(embeddings_initializer), mask_zero
        self.embeddings_regularizer = regularizers.get(embeddings_regularizer)
        self.embeddings_constraint = constraints.get(embeddings_constraint)
        self.supports_masking = mask_zero
        self._initial = weights

    def build(self, input_shape):
        self.embeddings = self.add_weight((self.input_dim, self.output_dim), self.embeddings_initializer, name="embeddings",
                                          regularizer=self.embeddings_regularizer, constraint=self.embeddings_constraint)
        if self._initial is not None:
            self.set_weights(self._initial if isinstance(self._initial, (list, tuple)) else [self._initial])

    def call(self, inputs):
        x = inputs.long()
        if x.numel() and not (int(x.min()) >= 0 and int(x.max()) < self.input_dim):
            raise ValueError(f'layer "{self.name}": the input holds {int(x.min())} to {int(x.max())}, but the table has the rows 0 to '
                             f"{self.input_dim - 1}")
        return nn.functional.embedding(x, self.embeddings)

    def compute_mask(self, inputs, previous_mask=None):
        return inputs != 0 if self.mask_zero else None

    def compute_output_shape(self, input_shape):
        return (*input_shape, self.output_dim)

    def get_config(self):
        config = super().get_config()
        config.pop("weights", None)
        return config


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
