"""Recurrent networks as modules: RNN, LSTM, GRU, of several layers and one or two directions."""
import math
import numbers
import warnings

from .. import empty, gru, lstm, rnn_relu, rnn_tanh, zeros
from ..autograd import autocast
from . import init
from .module import Module
from .parameter import Parameter
from .utils.rnn import PackedSequence

GATES = {"LSTM": 4, "GRU": 3, "RNN_TANH": 1, "RNN_RELU": 1}


class RNNBase(Module):
    """The parameters of a recurrent network, and the forms that its input and its state may have.

    For layer k: weight_ih_l{k}, weight_hh_l{k}, with bias also bias_ih_l{k} and bias_hh_l{k}, with a projection also weight_hr_l{k};
    then with bidirectional the same, with _reverse at the end, for the way from back to front.
    """

    parts: tuple[str, ...] = ("hx",)                 # what errors call the parts of the state
    checked: tuple[str, ...] = ("",)

    def __init__(self, mode, input_size, hidden_size, num_layers=1, bias=True, batch_first=False, dropout=0.0, bidirectional=False,
                 proj_size=0, device=None, dtype=None):
        super().__init__()
        self.mode, self.input_size, self.hidden_size, self.num_layers = mode, input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.dropout, self.bidirectional = bias, batch_first, float(dropout), bidirectional
        self.proj_size = proj_size
        check_settings(mode, input_size, hidden_size, num_layers, bias, batch_first, dropout, proj_size)
        gates, out = GATES[mode] * hidden_size, proj_size or hidden_size
        self._all_weights = []
        for layer in range(num_layers):
            for end in ("", "_reverse")[:1 + bool(bidirectional)]:
                size = out * (1 + bool(bidirectional)) if layer else input_size
                shapes = {"weight_ih": (gates, size), "weight_hh": (gates, out)}
                shapes |= {"bias_ih": (gates,), "bias_hh": (gates,)} if bias else {}
                shapes |= {"weight_hr": (proj_size, hidden_size)} if proj_size else {}
                self._all_weights.append([f"{name}_l{layer}{end}" for name in shapes])
                for name, shape in zip(self._all_weights[-1], shapes.values()):
                    setattr(self, name, Parameter(empty(shape, device=device, dtype=dtype)))
        self.reset_parameters()

    def reset_parameters(self):
        """Draw all parameters uniformly from +-1 / sqrt(hidden_size)."""
        bound = 1 / math.sqrt(self.hidden_size)
        for p in self.parameters():
            init.uniform_(p, -bound, bound)

    def flatten_parameters(self):
        """Nothing: the parameters need no common memory here."""

    @property
    def all_weights(self):
        """The parameters, a list for each layer and direction."""
        return [[getattr(self, name) for name in names] for names in self._all_weights]

    def run(self, *args):
        """The network's function: minitorch.lstm or another."""
        raise NotImplementedError

    def forward(self, input, hx=None):
        packed = isinstance(input, PackedSequence)
        states = hx if hx is None else (hx[0], hx[1]) if len(self.parts) > 1 else (hx,)
        single, axis, x = False, 0 if self.batch_first else 1, input.data if packed else input
        if not packed:
            if x.ndim not in (2, 3):
                raise ValueError(f"{self._get_name()}: Expected input to be 2D or 3D, got {x.ndim}D instead")
            single = x.ndim == 2
            states = states if states is None else self.batched(states, single)
            x = x.unsqueeze(axis) if single else x
        self.check_input(x, packed)
        shapes = self.state_shapes(int(input.batch_sizes[0]) if packed else x.shape[axis])
        if states is None:
            states = [zeros(shape, dtype=x.dtype, device=x.device) for shape in shapes]
        elif packed and input.sorted_indices is not None:
            states = [s.index_select(1, input.sorted_indices) for s in states]
        for s, shape, label in zip(states, shapes, self.checked):
            if s.shape != shape:
                raise RuntimeError(f"Expected hidden{label} size {shape}, got {list(s.shape)}")
        weights = [p for row in self.all_weights for p in row]
        rest = self.bias, self.num_layers, self.dropout, self.training, bool(self.bidirectional)
        states = tuple(states) if len(self.parts) > 1 else states[0]
        if packed:
            y, *lasts = self.run(x, input.batch_sizes, states, weights, *rest)
            y = PackedSequence(y, *input[1:])
            lasts = lasts if input.unsorted_indices is None else [s.index_select(1, input.unsorted_indices) for s in lasts]
        else:
            y, *lasts = self.run(x, states, weights, *rest, self.batch_first)
        if single:
            y, lasts = y.squeeze(axis), [s.squeeze(1) for s in lasts]
        return y, tuple(lasts) if len(lasts) > 1 else lasts[0]

    def batched(self, states, single):
        """The parts of the state with an axis for the batch; RuntimeError for other dimensions than the input asks for."""
        if any(s.ndim != 3 - single for s in states):
            raise RuntimeError(f"For {'unbatched 2-D' if single else 'batched 3-D'} input, {' and '.join(self.parts)} should also be "
                               f"{3 - single}-D but got {', '.join(f'{s.ndim}-D' for s in states)}")
        return [s.unsqueeze(1) for s in states] if single else states

    def check_input(self, input, packed):
        """ValueError for another type than the parameters', RuntimeError for another size."""
        dtype = self.weight_ih_l0.dtype
        if input.dtype != dtype and not autocast.is_on():
            raise ValueError(f"RNN input dtype ({input.dtype}) does not match weight dtype ({dtype}). "
                             f"Convert input: input.to({dtype}), or convert model: model.to({input.dtype})")
        if input.ndim != 3 - packed:
            raise RuntimeError(f"input must have {3 - packed} dimensions, got {input.ndim}")
        if input.shape[-1] != self.input_size:
            raise RuntimeError(f"input.size(-1) must be equal to input_size. Expected {self.input_size}, got {input.shape[-1]}")

    def state_shapes(self, batch):
        """The shapes of the state's parts: (layers * directions, N, P or H), and for c (layers * directions, N, H)."""
        rows = self.num_layers * (1 + bool(self.bidirectional))
        return [(rows, batch, self.proj_size or self.hidden_size), (rows, batch, self.hidden_size)][:len(self.parts)]

    def extra_repr(self):
        usual = {"proj_size": 0, "num_layers": 1, "bias": True, "batch_first": False, "dropout": 0, "bidirectional": False}
        unusual = [f", {name}={getattr(self, name)}" for name, value in usual.items() if getattr(self, name) != value]
        return f"{self.input_size}, {self.hidden_size}" + "".join(unusual)


def check_settings(mode, input_size, hidden_size, num_layers, bias, batch_first, dropout, proj_size):
    """PyTorch's refusals of what a recurrent network is made with: ValueError, TypeError; a warning for dropout that drops nothing."""
    if not isinstance(dropout, numbers.Number) or not 0 <= dropout <= 1 or isinstance(dropout, bool):
        raise ValueError("dropout should be a number in range [0, 1] representing the probability of an element being zeroed")
    if dropout > 0 and num_layers == 1:
        warnings.warn("dropout option adds dropout after all but last recurrent layer, so non-zero dropout expects num_layers greater than 1, "
                      f"but got dropout={dropout} and num_layers={num_layers}", stacklevel=4)
    for name, value, kind in (("bias", bias, bool), ("batch_first", batch_first, bool), ("input_size", input_size, int),
                              ("hidden_size", hidden_size, int)):
        if not isinstance(value, kind):
            raise TypeError(f"{name} should be of type {kind.__name__}, got: {type(value).__name__}")
    for name, value in (("input_size", input_size), ("hidden_size", hidden_size), ("num_layers", num_layers)):
        if value <= 0:
            raise ValueError(f"{name} must be greater than zero")
    if proj_size < 0:
        raise ValueError("proj_size should be a positive integer or zero to disable projections")
    if proj_size >= hidden_size:
        raise ValueError("proj_size has to be smaller than hidden_size")
    if mode not in GATES:
        raise ValueError("Unrecognized RNN mode: " + mode)


class RNN(RNNBase):
    """A plain recurrent network, tanh or relu (Elman 1990): (T, N, I), (layers * directions, N, H) -> (T, N, directions * H) and last state."""

    def __init__(self, input_size, hidden_size, num_layers=1, nonlinearity="tanh", bias=True, batch_first=False, dropout=0.0,
                 bidirectional=False, device=None, dtype=None, **kwargs):
        refuse_projection(kwargs)
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu'.")
        super().__init__(f"RNN_{nonlinearity.upper()}", input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional,
                         device=device, dtype=dtype, **kwargs)
        self.nonlinearity = nonlinearity

    def run(self, *args):
        return (rnn_tanh if self.mode == "RNN_TANH" else rnn_relu)(*args)


class LSTM(RNNBase):
    """Long short-term memory (Hochreiter & Schmidhuber 1997): (T, N, I), (h_0, c_0) -> (T, N, directions * H), (h, c).

    (N, T, ...) for input and output with batch_first; without N for one sequence; or a PackedSequence for both.
    h_0 (layers * directions, N, H), with proj_size (Sak et al. 2014) P in place of H; c_0 the same with H; zeros by default.
    """

    parts, checked = ("hx", "cx"), ("[0]", "[1]")

    def __init__(self, input_size, hidden_size, num_layers=1, bias=True, batch_first=False, dropout=0.0, bidirectional=False, proj_size=0,
                 device=None, dtype=None):
        super().__init__("LSTM", input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, proj_size, device, dtype)

    def run(self, *args):
        return lstm(*args)


class GRU(RNNBase):
    """Gated recurrent units (Cho et al. 2014): (T, N, I), (layers * directions, N, H) -> (T, N, directions * H) and the last state."""

    def __init__(self, input_size, hidden_size, num_layers=1, bias=True, batch_first=False, dropout=0.0, bidirectional=False, device=None,
                 dtype=None, **kwargs):
        refuse_projection(kwargs)
        super().__init__("GRU", input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, device=device, dtype=dtype,
                         **kwargs)

    def run(self, *args):
        return gru(*args)


def refuse_projection(kwargs):
    if "proj_size" in kwargs:
        raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
