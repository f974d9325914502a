"""Modules that only rearrange."""
from .function import FunctionModule
from .module import Module


class Flatten(Module):
    """Axes start_dim to end_dim made one; by default all but the first."""

    def __init__(self, start_dim=1, end_dim=-1):
        super().__init__()
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, input):
        return input.flatten(self.start_dim, self.end_dim)

    def extra_repr(self):
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """Axis `dim` split into axes of the sizes unflattened_size."""

    def __init__(self, dim, unflattened_size):
        super().__init__()
        self.dim, self.unflattened_size = dim, unflattened_size

    def forward(self, input):
        return input.unflatten(self.dim, self.unflattened_size)

    def extra_repr(self):
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"


class Unfold(FunctionModule):
    """The windows of (N, C, H, W) as columns (N, C * KH * KW, positions)."""
    function, settings = "unfold", ("kernel_size", "dilation", "padding", "stride")

    def __init__(self, kernel_size, dilation=1, padding=0, stride=1):
        super().__init__(kernel_size=kernel_size, dilation=dilation, padding=padding, stride=stride)


class Fold(FunctionModule):
    """The transpose of Unfold: columns summed into images (N, C, *output_size)."""
    function, settings = "fold", ("output_size", "kernel_size", "dilation", "padding", "stride")

    def __init__(self, output_size, kernel_size, dilation=1, padding=0, stride=1):
        super().__init__(output_size=output_size, kernel_size=kernel_size, dilation=dilation, padding=padding, stride=stride)


class PixelShuffle(FunctionModule):
    """(N, C r^2, H, W) -> (N, C, H r, W r): every r^2 channels become a block of r x r pixels."""
    function, settings = "pixel_shuffle", ("upscale_factor",)

    def __init__(self, upscale_factor):
        super().__init__(upscale_factor=upscale_factor)


class PixelUnshuffle(FunctionModule):
    """The inverse of PixelShuffle: (N, C, H r, W r) -> (N, C r^2, H, W)."""
    function, settings = "pixel_unshuffle", ("downscale_factor",)

    def __init__(self, downscale_factor):
        super().__init__(downscale_factor=downscale_factor)


class ChannelShuffle(FunctionModule):
    """The channels of (N, C, ...) dealt out among `groups`."""
    function, settings = "channel_shuffle", ("groups",)

    def __init__(self, groups):
        super().__init__(groups=groups)
