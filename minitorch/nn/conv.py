"""Convolutions as modules."""
import math

from .. import empty
from . import functional as F
from . import init
from .module import Module
from .parameter import Parameter


def per_axis(value, n):
    """An int as a tuple of n."""
    return (value,) * n if isinstance(value, int) else tuple(value)


class Convolution(Module):
    """What all convolutions share: the checks, the parameters, the printed form."""

    n, transposed = 0, False                         # how many axes the window slides over; whether it is the transpose

    def __init__(self, in_channels, out_channels, kernel_size, stride, padding, output_padding, dilation, groups, bias, padding_mode,
                 device, dtype):
        super().__init__()
        if groups <= 0:
            raise ValueError("groups must be a positive integer")
        if in_channels % groups:
            raise ValueError("in_channels must be divisible by groups")
        if out_channels % groups:
            raise ValueError("out_channels must be divisible by groups")
        modes = ("zeros", "reflect", "replicate", "circular")
        if padding_mode not in modes:
            raise ValueError(f"padding_mode must be one of {modes}, but got padding_mode='{padding_mode}'")
        self.in_channels, self.out_channels, self.groups, self.padding_mode = in_channels, out_channels, groups, padding_mode
        self.kernel_size, self.stride, self.dilation, self.output_padding = (
            per_axis(v, self.n) for v in (kernel_size, stride, dilation, output_padding))
        if isinstance(padding, str):
            if padding not in ("same", "valid"):
                raise ValueError(f"Invalid padding string '{padding}', should be one of ('valid', 'same')")
            if padding == "same" and any(s != 1 for s in self.stride):
                raise ValueError("padding='same' is not supported for strided convolutions")
            self.padding = padding
        else:
            self.padding = per_axis(padding, self.n)
        channels = (in_channels, out_channels // groups) if self.transposed else (out_channels, in_channels // groups)
        self.weight = Parameter(empty((*channels, *self.kernel_size), device=device, dtype=dtype))
        self.register_parameter("bias", Parameter(empty((out_channels,), device=device, dtype=dtype)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self):
        """Draw weight and bias uniformly from +-1 / sqrt(fan_in)."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            fan_in, _ = init._calculate_fan_in_and_fan_out(self.weight)
            if fan_in:
                init.uniform_(self.bias, -1 / math.sqrt(fan_in), 1 / math.sqrt(fan_in))

    def around(self):
        """The padding as F.pad takes it: last axis first, before and after."""
        if self.padding == "valid":
            return [0] * (2 * self.n)
        if self.padding == "same":
            reach = [d * (k - 1) for d, k in zip(self.dilation, self.kernel_size)]
            return [p for r in reversed(reach) for p in (r // 2, r - r // 2)]
        return [p for p in reversed(self.padding) for _ in range(2)]

    def forward(self, input):
        convolve = getattr(F, f"conv{self.n}d")
        if self.padding_mode != "zeros":
            return convolve(F.pad(input, self.around(), mode=self.padding_mode), self.weight, self.bias, self.stride, 0, self.dilation, self.groups)
        return convolve(input, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)

    def extra_repr(self):
        zeros, ones = (0,) * self.n, (1,) * self.n
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        text += f", padding={self.padding}" if self.padding != zeros else ""
        text += f", dilation={self.dilation}" if self.dilation != ones else ""
        text += f", output_padding={self.output_padding}" if self.output_padding != zeros else ""
        text += f", groups={self.groups}" if self.groups != 1 else ""
        text += ", bias=False" if self.bias is None else ""
        return text + (f", padding_mode={self.padding_mode}" if self.padding_mode != "zeros" else "")


class Conv1d(Convolution):
    """Cross-correlation of (N, C, L); weight (out_channels, in_channels / groups, K)."""

    n = 1

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1, bias=True, padding_mode="zeros",
                 device=None, dtype=None):
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, 0, dilation, groups, bias, padding_mode, device, dtype)


class Conv2d(Conv1d):
    """Cross-correlation of (N, C, H, W); weight (out_channels, in_channels / groups, KH, KW)."""

    n = 2


class Conv3d(Conv1d):
    """Cross-correlation of (N, C, D, H, W); weight (out_channels, in_channels / groups, KD, KH, KW)."""

    n = 3


class ConvTranspose1d(Convolution):
    """The transpose of Conv1d: (N, C, L) -> (N, O, L'); weight (in_channels, out_channels / groups, K)."""

    n, transposed = 1, True

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, output_padding=0, groups=1, bias=True, dilation=1,
                 padding_mode="zeros", device=None, dtype=None):
        if padding_mode != "zeros":
            raise ValueError(f'Only "zeros" padding mode is supported for {type(self).__name__}')
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, output_padding, dilation, groups, bias, padding_mode,
                         device, dtype)

    def forward(self, input, output_size=None):
        extra = self.output_padding if output_size is None else self.extra(input, output_size)
        return getattr(F, f"conv_transpose{self.n}d")(input, self.weight, self.bias, self.stride, self.padding, extra, self.groups, self.dilation)

    def extra(self, input, output_size):
        """The output_padding that gives `output_size`; ValueError where none does."""
        wanted = list(output_size)
        if len(wanted) == input.ndim:
            wanted = wanted[-self.n:]
        if len(wanted) != self.n:
            raise ValueError(f"ConvTranspose{self.n}D: for {input.ndim}D input, output_size must have {self.n} or {input.ndim} elements "
                             f"(got {len(wanted)})")
        smallest = [(m - 1) * s - 2 * p + d * (k - 1) + 1
                    for m, s, p, d, k in zip(input.shape[-self.n:], self.stride, self.padding, self.dilation, self.kernel_size)]
        largest = [a + s - 1 for a, s in zip(smallest, self.stride)]
        if not all(a <= w <= b for a, w, b in zip(smallest, wanted, largest)):
            raise ValueError(f"requested an output size of {wanted}, but valid sizes range from {smallest} to {largest} "
                             f"(for an input of {input.shape[-self.n:]})")
        return tuple(w - a for w, a in zip(wanted, smallest))


class ConvTranspose2d(ConvTranspose1d):
    """The transpose of Conv2d: weight (in_channels, out_channels / groups, KH, KW)."""

    n = 2


class ConvTranspose3d(ConvTranspose1d):
    """The transpose of Conv3d: weight (in_channels, out_channels / groups, KD, KH, KW)."""

    n = 3
