"""Activations as modules."""
import warnings

from .. import full
from . import functional as F
from .function import FunctionModule
from .module import Module
from .parameter import Parameter


class InPlace(FunctionModule):
    """An activation without parameters that can overwrite its input."""

    settings = ("inplace",)

    def __init__(self, inplace=False):
        super().__init__(inplace=inplace)


class ReLU(InPlace):
    """max(0, x)."""
    function = "relu"


class SiLU(InPlace):
    """x sigmoid(x), also called swish."""
    function = "silu"


class Mish(InPlace):
    """x tanh(log(1 + e^x))."""
    function = "mish"


class SELU(InPlace):
    """scale (max(0, x) + min(0, alpha (e^x - 1))), its constants chosen so that mean 0 and variance 1 stay."""
    function = "selu"


class Hardsigmoid(InPlace):
    """max(0, min(1, x / 6 + 1 / 2))."""
    function, shown = "hardsigmoid", ()


class Hardswish(InPlace):
    """x hardsigmoid(x)."""
    function, shown = "hardswish", ()


class Sigmoid(FunctionModule):
    """1 / (1 + e^-x)."""
    function = "sigmoid"


class Tanh(FunctionModule):
    """The hyperbolic tangent."""
    function = "tanh"


class LogSigmoid(FunctionModule):
    """log(sigmoid(x))."""
    function = "logsigmoid"


class Softsign(FunctionModule):
    """x / (1 + |x|)."""
    function = "softsign"


class Tanhshrink(FunctionModule):
    """x - tanh(x)."""
    function = "tanhshrink"


class GELU(FunctionModule):
    """x times the probability that a standard normal number is below x; approximate="tanh" for the quicker form."""
    function, settings = "gelu", ("approximate",)

    def __init__(self, approximate="none"):
        super().__init__(approximate=approximate)


class LeakyReLU(FunctionModule):
    """max(0, x) + negative_slope min(0, x)."""
    function, settings = "leaky_relu", ("negative_slope", "inplace")

    def __init__(self, negative_slope=0.01, inplace=False):
        super().__init__(negative_slope=negative_slope, inplace=inplace)


class ELU(FunctionModule):
    """max(0, x) + min(0, alpha (e^x - 1))."""
    function, settings = "elu", ("alpha", "inplace")

    def __init__(self, alpha=1.0, inplace=False):
        super().__init__(alpha=alpha, inplace=inplace)


class CELU(ELU):
    """max(0, x) + min(0, alpha (e^(x / alpha) - 1))."""
    function = "celu"


class Threshold(FunctionModule):
    """x where it is above `threshold`, `value` elsewhere."""
    function, settings = "threshold", ("threshold", "value", "inplace")

    def __init__(self, threshold, value, inplace=False):
        super().__init__(threshold=threshold, value=value, inplace=inplace)


class Hardtanh(FunctionModule):
    """x cut off at min_val and max_val."""
    function, settings = "hardtanh", ("min_val", "max_val", "inplace")

    def __init__(self, min_val=-1.0, max_val=1.0, inplace=False, min_value=None, max_value=None):
        for old, value in (("min_value", min_value), ("max_value", max_value)):
            if value is not None:
                warnings.warn(f"keyword argument `{old}` is deprecated and rename to `{old[:7]}`", FutureWarning, stacklevel=2)
        min_val, max_val = min_val if min_value is None else min_value, max_val if max_value is None else max_value
        if min_val >= max_val:
            raise ValueError(f"min_val {min_val} must be smaller than max_val {max_val}")
        super().__init__(min_val=min_val, max_val=max_val, inplace=inplace)


class ReLU6(Hardtanh):
    """min(max(0, x), 6)."""
    shown = ("inplace",)

    def __init__(self, inplace=False):
        super().__init__(0.0, 6.0, inplace)


class RReLU(FunctionModule):
    """leaky_relu with a slope drawn from [lower, upper) for each negative element while training, their mean otherwise."""
    function, settings, shown = "rrelu", ("lower", "upper", "training", "inplace"), ("lower", "upper", "inplace")

    def __init__(self, lower=1.0 / 8, upper=1.0 / 3, inplace=False):
        super().__init__(lower=lower, upper=upper, inplace=inplace)


class Softplus(FunctionModule):
    """log(1 + e^(beta x)) / beta; x itself where beta x is above `threshold`."""
    function, settings = "softplus", ("beta", "threshold")

    def __init__(self, beta=1.0, threshold=20.0):
        super().__init__(beta=beta, threshold=threshold)


class Softshrink(FunctionModule):
    """x moved towards 0 by `lambd`, and 0 within that distance."""
    function, settings = "softshrink", ("lambd",)

    def __init__(self, lambd=0.5):
        super().__init__(lambd=lambd)

    def extra_repr(self):
        return str(self.lambd)


class Hardshrink(Softshrink):
    """x, but 0 where |x| is at most `lambd`."""
    function = "hardshrink"


class GLU(FunctionModule):
    """a sigmoid(b) for the halves a, b of x along `dim`."""
    function, settings = "glu", ("dim",)

    def __init__(self, dim=-1):
        super().__init__(dim=dim)


class Softmax(FunctionModule):
    """e^x / sum of e^x along `dim`."""
    function, settings = "softmax", ("dim",)

    def __init__(self, dim=None):
        super().__init__(dim=dim)


class Softmin(Softmax):
    """softmax of -x along `dim`."""
    function = "softmin"


class LogSoftmax(Softmax):
    """The logarithm of softmax along `dim`."""
    function = "log_softmax"


class Softmax2d(Module):
    """softmax over the channels of (N, C, H, W) or (C, H, W)."""

    def forward(self, input):
        if input.ndim not in (3, 4):
            raise ValueError(f"Softmax2d: expected input to be 3D or 4D, got {input.ndim}D instead")
        return F.softmax(input, -3)


class PReLU(Module):
    """max(0, x) + weight min(0, x), the weight learned: one number, or one for each channel."""

    def __init__(self, num_parameters=1, init=0.25, device=None, dtype=None):
        super().__init__()
        self.num_parameters, self.init = num_parameters, init
        self.weight = Parameter(full((num_parameters,), init, device=device, dtype=dtype))

    def reset_parameters(self):
        """Set the weight to its starting value."""
        self.weight.data.fill_(self.init)

    def forward(self, input):
        return F.prelu(input, self.weight)

    def extra_repr(self):
        return f"num_parameters={self.num_parameters}"
