"""Layers that begin a network on sequences: numbers of words to vectors, and the mask of padded steps."""
from ... import nn
from .. import constraints, initializers, regularizers
from ..layer import Layer
from .core import positive


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
