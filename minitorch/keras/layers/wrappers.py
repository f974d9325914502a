"""Layers around layers: the same layer at every step, and a recurrent layer in both directions."""
import minitorch as torch

from ..layer import Layer
from ..symbolic import symbols
from ..variable import shown


def build_inner(layer, shape):
    """Make the weights of a layer inside another, for inputs of this shape."""
    if not layer.built:
        layer._build_for([symbols(shape)], {})


class Wrapper(Layer):
    """The base: a layer that holds another."""

    def __init__(self, layer, **kwargs):
        if not isinstance(layer, Layer):
            raise TypeError(f"{type(self).__name__} wraps a layer, not {type(layer).__name__}")
        super().__init__(**kwargs)
        self.layer = layer


class TimeDistributed(Wrapper):
    """The layer at every step: (N, T, ...) -> (N, T, ...)."""

    supports_masking = True

    def build(self, input_shape):
        if len(input_shape) < 3:
            raise ValueError(f'layer "{self.name}": TimeDistributed needs an axis of steps, (N, T, ...), but its input is '
                             f"{shown(input_shape)}")
        build_inner(self.layer, (None, *input_shape[2:]))

    def call(self, inputs, training=False):
        N, T = inputs.shape[:2]
        y = self.layer(inputs.reshape(N * T, *inputs.shape[2:]), training=training)
        return y.reshape(N, T, *y.shape[1:])

    def compute_output_shape(self, input_shape):
        inner = self.layer.compute_output_shape((input_shape[0], *input_shape[2:]))
        return (*input_shape[:2], *inner[1:])


class Bidirectional(Layer):
    """A recurrent layer forwards and a copy of it backwards; merge_mode "concat", "sum", "mul", "ave", or None for both outputs."""

    supports_masking = True

    def __init__(self, layer, merge_mode="concat", weights=None, backward_layer=None, **kwargs):
        if not isinstance(layer, Layer) or not hasattr(layer, "go_backwards"):
            raise TypeError(f"Bidirectional wraps a recurrent layer such as LSTM, not {type(layer).__name__}")
        if merge_mode not in ("concat", "sum", "mul", "ave", None):
            raise ValueError(f"Bidirectional: merge_mode must be concat, sum, mul, ave or None, not {merge_mode!r}")
        super().__init__(**kwargs)
        if self._input_shape_arg is None:
            self._input_shape_arg = layer._input_shape_arg
        self.merge_mode, config = merge_mode, layer.get_config()
        plain = layer.name.removeprefix("forward_")
        self.forward_layer = type(layer).from_config({**config, "name": f"forward_{plain}"})
        if backward_layer is None:
            self.backward_layer = type(layer).from_config({**config, "name": f"backward_{plain}", "go_backwards": not layer.go_backwards})
        else:
            self.backward_layer = type(backward_layer).from_config({**backward_layer.get_config(), "name": f"backward_{plain}"})
            if self.backward_layer.go_backwards == layer.go_backwards:
                raise ValueError("Bidirectional: layer and backward_layer must go in opposite directions")
        self.return_sequences, self.return_state = layer.return_sequences, layer.return_state
        self._arguments = {**self._arguments, "layer": layer, "backward_layer": backward_layer, "weights": None}

    def build(self, sequences_shape):
        build_inner(self.forward_layer, sequences_shape)
        build_inner(self.backward_layer, sequences_shape)

    def call(self, sequences, initial_state=None, mask=None, training=False):
        halves = (None, None)
        if initial_state is not None:
            half = len(initial_state) // 2
            halves = initial_state[:half], initial_state[half:]
        a, b = [layer(sequences, initial_state=state, mask=mask, training=training)
                for layer, state in zip((self.forward_layer, self.backward_layer), halves)]
        states = ()
        if self.return_state:
            (a, *first), (b, *second) = a, b
            states = (*first, *second)
        if self.return_sequences:
            b = b.flip(1)
        y = {"concat": lambda: torch.cat([a, b], -1), "sum": lambda: a + b, "mul": lambda: a * b, "ave": lambda: (a + b) / 2,
             None: lambda: (a, b)}[self.merge_mode]()
        if not states:
            return y
        return (*y, *states) if self.merge_mode is None else (y, *states)

    def compute_mask(self, inputs, previous_mask=None):
        mask = previous_mask[0] if isinstance(previous_mask, (list, tuple)) else previous_mask
        outputs = [mask if self.return_sequences else None] * (2 if self.merge_mode is None else 1)
        return outputs + [None] * 2 * self.forward_layer.parts if self.return_state else outputs

    def compute_output_shape(self, sequences_shape):
        shapes = self.forward_layer.compute_output_shape(sequences_shape)
        y, states = (shapes[0], shapes[1:]) if self.return_state else (shapes, ())
        ys = (y, y) if self.merge_mode is None else ((*y[:-1], 2 * y[-1]) if self.merge_mode == "concat" else y,)
        return (*ys, *states, *states) if states or self.merge_mode is None else ys[0]

    def reset_state(self):
        """Forget the states that stateful layers keep."""
        self.forward_layer.reset_state()
        self.backward_layer.reset_state()

    reset_states = reset_state
