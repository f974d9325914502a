"""Pooling: the largest or the mean of each window, or of everything: (N, *sizes, C) -> (N, *positions, C) or (N, C)."""
import minitorch as torch

from ...nn import functional as F
from ..layer import Layer
from ..variable import floats
from ..weights import InputSpec
from .windows import Windowed, flat, ranked

MAX = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
MEAN = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}


class Pooling(Windowed):
    """The base: windows of pool_size, strides apart (by default side by side)."""

    def __init__(self, pool_size=2, strides=None, padding="valid", data_format=None, **kwargs):
        super().__init__(**kwargs)
        self.set_windows(pool_size, pool_size if strides is None else strides, padding, data_format, what="pool_size")
        self.pool_size = self.window

    def call(self, inputs):
        x = self.to_first(floats(inputs))
        self.positions(x.shape[2:])
        return self.from_first(self.pooled(x, self.pads(x.shape[2:])))

    def pooled(self, x, pads):
        """The pooling of x (N, C, *sizes), padded by (before, after) along each axis."""
        raise NotImplementedError

    def compute_output_shape(self, input_shape):
        channels, sizes = self.channels(input_shape)
        return self.placed(input_shape[0], self.positions(sizes), channels)


class MaxPooling(Pooling):
    """The largest number of each window."""

    def pooled(self, x, pads):
        if any(a or b for a, b in pads):
            x = F.pad(x, flat(pads), value=-float("inf"))
        return MAX[self.rank](x, self.window, self.strides)


class AveragePooling(Pooling):
    """The mean of each window, of the places inside the input."""

    def pooled(self, x, pads):
        if not any(a or b for a, b in pads):
            return MEAN[self.rank](x, self.window, self.strides)
        inside = F.pad(torch.ones((1, 1, *x.shape[2:]), dtype=x.dtype, device=x.device), flat(pads))
        return MEAN[self.rank](F.pad(x, flat(pads)), self.window, self.strides) / MEAN[self.rank](inside, self.window, self.strides)


class GlobalPooling(Layer):
    """The base: one number for each channel; keepdims keeps the spatial axes, of size 1."""

    rank = 0

    def __init__(self, data_format=None, keepdims=False, **kwargs):
        super().__init__(**kwargs)
        self.first, self.keepdims = data_format == "channels_first", keepdims
        self.axes = tuple(range(2, self.rank + 2)) if self.first else tuple(range(1, self.rank + 1))
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def compute_output_shape(self, input_shape):
        if self.keepdims:
            return tuple(1 if axis in self.axes else n for axis, n in enumerate(input_shape))
        return tuple(n for axis, n in enumerate(input_shape) if axis not in self.axes)


class GlobalMaxPooling(GlobalPooling):
    """The largest number of each channel."""

    def call(self, inputs):
        return floats(inputs).amax(self.axes, keepdim=self.keepdims)


class GlobalAveragePooling(GlobalPooling):
    """The mean of each channel."""

    def call(self, inputs):
        return floats(inputs).mean(self.axes, keepdim=self.keepdims)


class GlobalAveragePooling1D(GlobalAveragePooling):
    """The mean over the steps, of those that the mask lets through: (N, T, C) -> (N, C)."""

    rank = 1

    def call(self, inputs, mask=None):
        if mask is None:
            return super().call(inputs)
        weight = mask.to(inputs.dtype).unsqueeze(1 if self.first else 2)
        return (inputs * weight).sum(self.axes, keepdim=self.keepdims) / weight.sum(self.axes, keepdim=self.keepdims)


def ranked_as(base, start, doc):
    return [ranked(base, f"{start}{r}D", r, f"{doc}, {r} spatial ax{'e' if r > 1 else 'i'}s.") for r in (1, 2, 3)]


MaxPooling1D, MaxPooling2D, MaxPooling3D = ranked_as(MaxPooling, "MaxPooling", "The largest number of each window")
AveragePooling1D, AveragePooling2D, AveragePooling3D = ranked_as(AveragePooling, "AveragePooling", "The mean of each window")
GlobalMaxPooling1D, GlobalMaxPooling2D, GlobalMaxPooling3D = ranked_as(GlobalMaxPooling, "GlobalMaxPooling", "The largest of each channel")
_, GlobalAveragePooling2D, GlobalAveragePooling3D = ranked_as(GlobalAveragePooling, "GlobalAveragePooling", "The mean of each channel")
MaxPool1D, MaxPool2D, MaxPool3D = MaxPooling1D, MaxPooling2D, MaxPooling3D
AvgPool1D, AvgPool2D, AvgPool3D = AveragePooling1D, AveragePooling2D, AveragePooling3D
GlobalMaxPool1D, GlobalMaxPool2D, GlobalAvgPool1D, GlobalAvgPool2D = (GlobalMaxPooling1D, GlobalMaxPooling2D, GlobalAveragePooling1D,
                                                                     GlobalAveragePooling2D)
