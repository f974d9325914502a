"""Recurrent layers: LSTM, GRU and the plain network over sequences (N, T, n), with Keras' weights and order of gates.

kernel (n, gates * units), recurrent_kernel (units, gates * units).  Gates: LSTM i, f, c, o; GRU z, r, h.  Where a mask says
that a step is padding, the state and the output stay what they were.
"""
import minitorch as torch

from ...ops.recurrent import gru_gates, lstm_gates
from .. import activations, constraints, initializers, regularizers
from ..layer import Layer
from ..variable import floats, shown
from ..weights import InputSpec
from .core import positive
from .regularization import share


class Recurrent(Layer):
    """The base: the weights, and the loop over the steps.

    return_sequences: the outputs of all steps (N, T, units), not only the last.  return_state: the last state after the output.
    go_backwards: from the last step to the first, the outputs in this order.  stateful: a batch begins where the last one ended.
    dropout, recurrent_dropout: of the input's and the state's features, the same ones in all steps.
    """

    supports_masking = True
    gates = parts = 1                      # how many gates; of how many tensors the state consists
    gated = False

    def __init__(self, units, activation="tanh", recurrent_activation=None, use_bias=True, kernel_initializer="glorot_uniform",
                 recurrent_initializer="orthogonal", bias_initializer="zeros", kernel_regularizer=None, recurrent_regularizer=None,
                 bias_regularizer=None, activity_regularizer=None, kernel_constraint=None, recurrent_constraint=None, bias_constraint=None,
                 dropout=0.0, recurrent_dropout=0.0, seed=None, return_sequences=False, return_state=False, go_backwards=False,
                 stateful=False, unroll=False, zero_output_for_mask=False, **kwargs):
        for ignored in ("implementation", "time_major", "use_cudnn"):
            kwargs.pop(ignored, None)
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.units, self.activation, self.use_bias = positive(self, "units", units), activations.get(activation), use_bias
        self.recurrent_activation = activations.get(recurrent_activation)
        self.kernel_initializer, self.bias_initializer = initializers.get(kernel_initializer), initializers.get(bias_initializer)
        self.recurrent_initializer, self.bias_regularizer = initializers.get(recurrent_initializer), regularizers.get(bias_regularizer)
        self.kernel_regularizer, self.recurrent_regularizer = regularizers.get(kernel_regularizer), regularizers.get(recurrent_regularizer)
        self.kernel_constraint, self.recurrent_constraint = constraints.get(kernel_constraint), constraints.get(recurrent_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.dropout, self.recurrent_dropout = share(self, dropout), share(self, recurrent_dropout)
        self.seed, self.return_sequences, self.return_state, self.go_backwards = seed, return_sequences, return_state, go_backwards
        self.stateful, self.zero_output_for_mask, self._states = stateful, zero_output_for_mask, None
        self.input_spec = InputSpec(ndim=3)

    def build(self, sequences_shape):
        n, width = sequences_shape[-1], self.gates * self.units
        if n is None:
            raise ValueError(f'layer "{self.name}": the features of the input must be known in number, but its shape is '
                             f"{shown(sequences_shape)}")
        self.kernel = self.add_weight((n, width), self.kernel_initializer, regularizer=self.kernel_regularizer,
                                      constraint=self.kernel_constraint, name="kernel")
        self.recurrent_kernel = self.add_weight((self.units, width), self.recurrent_initializer, regularizer=self.recurrent_regularizer,
                                                constraint=self.recurrent_constraint, name="recurrent_kernel")
        self.bias = self.add_weight(self.bias_shape(), self.start_of_bias, regularizer=self.bias_regularizer,
                                    constraint=self.bias_constraint, name="bias") if self.use_bias else None
        self.input_spec = InputSpec(ndim=3, axes={-1: n})

    def bias_shape(self):
        return (self.gates * self.units,)

    def start_of_bias(self, shape, dtype=None):
        return self.bias_initializer(shape, dtype=dtype)

    def step(self, gates, states):
        """The new states, the output first, after one step: gates are this step's x @ kernel + bias."""
        raise NotImplementedError

    # ---- the loop ---------------------------------------------------------------------------------------

    def starting(self, x, initial_state):
        """The state to begin with."""
        if initial_state is not None:
            states = list(initial_state) if isinstance(initial_state, (list, tuple)) else [initial_state]
            if len(states) != self.parts or any(tuple(s.shape) != (x.shape[0], self.units) for s in states):
                raise ValueError(f'layer "{self.name}": initial_state must be {self.parts} tensor(s) of {shown((x.shape[0], self.units))}, '
                                 f"not {', '.join(shown(s.shape) for s in states)}")
            return states
        if self.stateful and self._states is not None:
            if len(self._states[0]) != x.shape[0]:
                raise ValueError(f'layer "{self.name}" is stateful: its state belongs to a batch of {len(self._states[0])}, not of '
                                 f"{x.shape[0]}; reset_state() forgets it")
            return self._states
        return [torch.zeros(x.shape[0], self.units, dtype=x.dtype, device=x.device)] * self.parts

    def dropped(self, shape, like, rate):
        """What features to keep: 0 or 1 / (1 - rate)."""
        return (torch.rand(shape) >= rate).to(device=like.device, dtype=like.dtype) / max(1 - rate, 1e-12)

    def call(self, sequences, initial_state=None, mask=None, training=False):
        x = floats(sequences)
        if not x.shape[1]:
            raise ValueError(f'layer "{self.name}": the sequences have no steps: {shown(x.shape)}')
        states = self.starting(x, initial_state)
        if training and self.dropout:
            x = x * self.dropped((x.shape[0], 1, x.shape[2]), x, self.dropout)
        kept = self.dropped((x.shape[0], self.units), x, self.recurrent_dropout) if training and self.recurrent_dropout else None
        mask = mask[0] if isinstance(mask, (list, tuple)) else mask
        function = self.function() if mask is None and kept is None else None
        outputs, states = self.by_steps(x, states, mask, kept) if function is None else self.at_once(function, x, states)
        if self.stateful:
            self._states = [s.detach() for s in states]
        y = outputs if self.return_sequences else outputs[:, -1]
        return (y, *states) if self.return_state else y

    def at_once(self, function, x, states):
        """(outputs of all steps (N, T, units), last states) by minitorch's function over whole sequences."""
        h = states[0].unsqueeze(0)
        state = h if self.parts == 1 else (h, states[1].unsqueeze(0))
        y, *lasts = function(x.flip(1) if self.go_backwards else x, state, self.parameters_in_order(), self.use_bias, 1, 0.0, False, False, True)
        return y, [s.squeeze(0) for s in lasts]

    def function(self):
        """minitorch's function for the activations that this layer has; None where there is none."""

    def parameters_in_order(self):
        """The weights as minitorch's function takes them."""
        found = [self.kernel.T, self.recurrent_kernel.T]
        return found + [self.bias, torch.zeros_like(self.bias)] if self.use_bias else found

    def by_steps(self, x, states, mask, kept):
        """(outputs of all steps (N, T, units), last states) step by step, with a mask and with dropout of the state."""
        gates = list(self.projected(x).unbind(1))
        masks = [None] * len(gates) if mask is None else [m.unsqueeze(1) for m in mask.bool().unbind(1)]
        if self.go_backwards:
            gates, masks = gates[::-1], masks[::-1]
        outputs, output = [], torch.zeros_like(states[0])
        for g, m in zip(gates, masks):
            seen = states if kept is None else [states[0] * kept, *states[1:]]
            new = self.step(g, seen, states[0])
            states = new if m is None else [torch.where(m, a, b) for a, b in zip(new, states)]
            output = new[0] if m is None else torch.where(m, new[0], torch.zeros_like(output) if self.zero_output_for_mask else output)
            outputs.append(output)
        return torch.stack(outputs, 1), states

    def projected(self, x):
        """x @ kernel + bias for all steps at once."""
        y = x @ self.kernel
        return y if self.bias is None else y + self.bias

    def reset_state(self):
        """Forget the state that a stateful layer keeps."""
        self._states = None

    reset_states = reset_state

    def compute_mask(self, inputs, previous_mask=None):
        mask = previous_mask[0] if isinstance(previous_mask, (list, tuple)) else previous_mask
        mask = mask if self.return_sequences else None
        return [mask] + [None] * self.parts if self.return_state else mask

    def compute_output_shape(self, sequences_shape):
        y = (*sequences_shape[:2], self.units) if self.return_sequences else (sequences_shape[0], self.units)
        return (y, *[(sequences_shape[0], self.units)] * self.parts) if self.return_state else y

    def get_config(self):
        config = super().get_config()
        if not self.gated:
            config.pop("recurrent_activation", None)
        return config


class SimpleRNN(Recurrent):
    """h' = activation(x W + h U + b) (Elman 1990)."""

    def function(self):
        return {activations.tanh: torch.rnn_tanh, activations.relu: torch.rnn_relu}.get(self.activation)

    def step(self, gates, states, whole):
        return [self.activation(gates + states[0] @ self.recurrent_kernel)]


class LSTM(Recurrent):
    """Long short-term memory (Hochreiter & Schmidhuber 1997): c' = f c + i activation(c~), h' = o activation(c').

    unit_forget_bias: the forget gate's bias begins at 1 (Jozefowicz et al. 2015).
    """

    gates, parts, gated = 4, 2, True

    def __init__(self, units, activation="tanh", recurrent_activation="sigmoid", use_bias=True, kernel_initializer="glorot_uniform",
                 recurrent_initializer="orthogonal", bias_initializer="zeros", unit_forget_bias=True, **kwargs):
        super().__init__(units, activation, recurrent_activation, use_bias, kernel_initializer, recurrent_initializer, bias_initializer,
                         **kwargs)
        self.unit_forget_bias = unit_forget_bias

    def start_of_bias(self, shape, dtype=None):
        b = super().start_of_bias(shape, dtype=dtype)
        if self.unit_forget_bias:
            b[self.units:2 * self.units] = 1.0
        return b

    def function(self):
        return torch.lstm if self.activation is activations.tanh and self.recurrent_activation is activations.sigmoid else None

    def step(self, gates, states, whole):
        z, c = gates + states[0] @ self.recurrent_kernel, states[1]
        if self.function() is not None:
            return list(lstm_gates(z, c))
        i, f, g, o = z.chunk(4, 1)
        c = self.recurrent_activation(f) * c + self.recurrent_activation(i) * self.activation(g)
        return [self.recurrent_activation(o) * self.activation(c), c]


class GRU(Recurrent):
    """Gated recurrent units (Cho et al. 2014): h' = z h + (1 - z) activation(h~).

    reset_after: the reset gate acts after the product with the recurrent kernel, and the bias has a row for each product.
    """

    gates, gated = 3, True

    def __init__(self, units, activation="tanh", recurrent_activation="sigmoid", use_bias=True, kernel_initializer="glorot_uniform",
                 recurrent_initializer="orthogonal", bias_initializer="zeros", reset_after=True, **kwargs):
        super().__init__(units, activation, recurrent_activation, use_bias, kernel_initializer, recurrent_initializer, bias_initializer,
                         **kwargs)
        self.reset_after = reset_after

    def bias_shape(self):
        return (2, 3 * self.units) if self.reset_after else (3 * self.units,)

    def function(self):
        plain = self.reset_after and self.activation is activations.tanh and self.recurrent_activation is activations.sigmoid
        return torch.gru if plain else None

    def parameters_in_order(self):
        found = [reset_first(w, self.units) for w in (self.kernel, self.recurrent_kernel, *([self.bias] if self.use_bias else []))]
        return [found[0].T, found[1].T, *(found[2] if self.use_bias else ())]

    def projected(self, x):
        y = x @ self.kernel
        return y if self.bias is None else y + (self.bias[0] if self.reset_after else self.bias)

    def step(self, gates, states, whole):
        h, H = states[0], self.units
        if not self.reset_after:
            zr = gates[:, :2 * H] + h @ self.recurrent_kernel[:, :2 * H]
            z, r = self.recurrent_activation(zr).chunk(2, 1)
            new = self.activation(gates[:, 2 * H:] + (r * h) @ self.recurrent_kernel[:, 2 * H:])
            return [z * whole + (1 - z) * new]
        inner = h @ self.recurrent_kernel
        inner = inner if self.bias is None else inner + self.bias[1]
        if self.function() is not None:
            return [gru_gates(reset_first(gates, H), reset_first(inner, H), whole)]
        z, r = self.recurrent_activation(gates[:, :2 * H] + inner[:, :2 * H]).chunk(2, 1)
        return [z * whole + (1 - z) * self.activation(gates[:, 2 * H:] + r * inner[:, 2 * H:])]


def reset_first(gates, H):
    """Keras' order of gates, z r h, as minitorch's r z n."""
    return torch.cat([gates[:, H:2 * H], gates[:, :H], gates[:, 2 * H:]], 1)
