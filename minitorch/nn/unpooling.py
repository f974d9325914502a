"""Max pooling undone, and max pooling at random places, as modules."""
from . import functional as F
from .module import Module


def per_axis(value, n):
    return (value,) * n if isinstance(value, (int, float)) else tuple(value)


class MaxUnpool(Module):
    """Puts each number where its index says: module(input, indices, output_size=None)."""

    n = 0

    def __init__(self, kernel_size, stride=None, padding=0):
        super().__init__()
        self.kernel_size, self.padding = per_axis(kernel_size, self.n), per_axis(padding, self.n)
        self.stride = per_axis(kernel_size if stride is None else stride, self.n)

    def forward(self, input, indices, output_size=None):
        return getattr(F, f"max_unpool{self.n}d")(input, indices, self.kernel_size, self.stride, self.padding, output_size)

    def extra_repr(self):
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxUnpool1d(MaxUnpool):
    """MaxPool1d undone."""
    n = 1


class MaxUnpool2d(MaxUnpool):
    """MaxPool2d undone."""
    n = 2


class MaxUnpool3d(MaxUnpool):
    """MaxPool3d undone."""
    n = 3


class FractionalMaxPool2d(Module):
    """Maxima of windows at random places, to a given size or share of the size."""

    n = 2

    def __init__(self, kernel_size, output_size=None, output_ratio=None, return_indices=False, _random_samples=None):
        super().__init__()
        self.kernel_size, self.return_indices = per_axis(kernel_size, self.n), return_indices
        self.register_buffer("_random_samples", _random_samples)
        self.output_size = None if output_size is None else per_axis(output_size, self.n)
        self.output_ratio = None if output_ratio is None else per_axis(output_ratio, self.n)
        if (output_size is None) == (output_ratio is None):
            raise ValueError(f"{type(self).__name__} requires specifying either an output size, or a pooling ratio" if output_size is None
                             else "only one of output_size and output_ratio may be specified")
        if self.output_ratio is not None and not all(0 < r < 1 for r in self.output_ratio):
            raise ValueError(f"output_ratio must be between 0 and 1 (got {output_ratio})")

    def forward(self, input):
        return getattr(F, f"fractional_max_pool{self.n}d")(input, self.kernel_size, self.output_size, self.output_ratio, self.return_indices,
                                                           self._random_samples)


class FractionalMaxPool3d(FractionalMaxPool2d):
    """Maxima of windows at random places of volumes."""
    n = 3
