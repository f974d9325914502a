"""One step of a recurrent network as a module: RNNCell, LSTMCell, GRUCell."""
import math

from .. import empty, gru_cell, lstm_cell, rnn_relu_cell, rnn_tanh_cell, zeros
from . import init
from .module import Module
from .parameter import Parameter


class RNNCellBase(Module):
    """The parameters of a cell with num_chunks gates: weight_ih (gates * H, I), weight_hh (gates * H, H), bias_ih, bias_hh (gates * H,)."""

    def __init__(self, input_size, hidden_size, bias, num_chunks, device=None, dtype=None):
        super().__init__()
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bias
        gates = num_chunks * hidden_size
        self.weight_ih = Parameter(empty((gates, input_size), device=device, dtype=dtype))
        self.weight_hh = Parameter(empty((gates, hidden_size), device=device, dtype=dtype))
        for name in ("bias_ih", "bias_hh"):
            self.register_parameter(name, Parameter(empty((gates,), device=device, dtype=dtype)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self):
        """Draw all parameters uniformly from +-1 / sqrt(hidden_size)."""
        bound = 1 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for p in self.parameters():
            init.uniform_(p, -bound, bound)

    def extra_repr(self):
        return f"{self.input_size}, {self.hidden_size}" + ("" if self.bias is True else f", bias={self.bias}")

    def step(self, cell, input, hx, named):
        """The states that cell(input, state, weights, biases) gives: with a batch, or of one example without.

        hx: the parts of the state, None for zeros; named: what to call them in errors.  ValueError for tensors of other dimensions.
        """
        if input.ndim not in (1, 2):
            raise ValueError(f"{self._get_name()}: Expected input to be 1D or 2D, got {input.ndim}D instead")
        for label, h in zip(named, hx or ()):
            if h.ndim not in (1, 2):
                raise ValueError(f"{self._get_name()}: Expected {label} to be 1D or 2D, got {h.ndim}D instead")
        single = input.ndim == 1
        if single:
            input, hx = input.unsqueeze(0), hx and [h.unsqueeze(0) for h in hx]
        if hx is None:
            hx = (zeros(len(input), self.hidden_size, dtype=input.dtype, device=input.device),) * len(named)
        ys = cell(input, hx if len(named) > 1 else hx[0], self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)
        ys = ys if isinstance(ys, tuple) else (ys,)
        return tuple(y.squeeze(0) for y in ys) if single else ys


class RNNCell(RNNCellBase):
    """tanh(x W^T + b + h U^T + b'), or relu of it: (N, I), (N, H) -> (N, H), or without N."""

    def __init__(self, input_size, hidden_size, bias=True, nonlinearity="tanh", device=None, dtype=None):
        super().__init__(input_size, hidden_size, bias, 1, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input, hx=None):
        return self.step(self.cell, input, hx if hx is None else (hx,), ("hidden",))[0]

    def cell(self, *args):
        if self.nonlinearity not in ("tanh", "relu"):
            raise RuntimeError(f"Unknown nonlinearity: {self.nonlinearity}")
        return (rnn_tanh_cell if self.nonlinearity == "tanh" else rnn_relu_cell)(*args)

    def extra_repr(self):
        return super().extra_repr() + ("" if self.nonlinearity == "tanh" else f", nonlinearity={self.nonlinearity}")


class LSTMCell(RNNCellBase):
    """(h', c') from x and hx = (h, c), as minitorch.lstm_cell: (N, I), (N, H) twice -> (N, H) twice, or without N."""

    def __init__(self, input_size, hidden_size, bias=True, device=None, dtype=None):
        super().__init__(input_size, hidden_size, bias, 4, device, dtype)

    def forward(self, input, hx=None):
        return self.step(lstm_cell, input, hx, ("hx[0]", "hx[1]"))


class GRUCell(RNNCellBase):
    """The new state from x and h, as minitorch.gru_cell: (N, I), (N, H) -> (N, H), or without N."""

    def __init__(self, input_size, hidden_size, bias=True, device=None, dtype=None):
        super().__init__(input_size, hidden_size, bias, 3, device, dtype)

    def forward(self, input, hx=None):
        return self.step(gru_cell, input, hx if hx is None else (hx,), ("hidden",))[0]
