"""Convolution: (N, *sizes, C) with a kernel (*window, C / groups, filters) -> (N, *positions, filters)."""
from ...nn import functional as F
from .. import activations, constraints, initializers, regularizers
from ..variable import floats
from ..weights import InputSpec
from .core import positive
from .windows import Windowed, each, flat, ranked

CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
TRANSPOSED = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}


def module_order(kernel):
    """Keras' kernel (*window, C, M) as minitorch's (M, C, *window)."""
    return kernel.permute(-1, -2, *range(kernel.ndim - 2))


class Conv(Windowed):
    """The base of the convolutions."""

    def __init__(self, filters, kernel_size, strides=1, padding="valid", data_format=None, dilation_rate=1, groups=1, activation=None,
                 use_bias=True, kernel_initializer="glorot_uniform", bias_initializer="zeros", kernel_regularizer=None,
                 bias_regularizer=None, activity_regularizer=None, kernel_constraint=None, bias_constraint=None, **kwargs):
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.set_windows(kernel_size, strides, padding, data_format, dilation_rate)
        self.filters, self.groups, self.kernel_size = positive(self, "filters", filters), positive(self, "groups", groups), self.window
        if self.filters % self.groups:
            raise ValueError(f"{type(self).__name__}: {filters} filters cannot be shared among {groups} groups")
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ValueError(f"{type(self).__name__}: strides and dilation_rate cannot both be above 1")
        self.activation, self.use_bias = activations.get(activation), use_bias
        self.kernel_initializer, self.bias_initializer = initializers.get(kernel_initializer), initializers.get(bias_initializer)
        self.kernel_regularizer, self.bias_regularizer = regularizers.get(kernel_regularizer), regularizers.get(bias_regularizer)
        self.kernel_constraint, self.bias_constraint = constraints.get(kernel_constraint), constraints.get(bias_constraint)

    def input_channels(self, input_shape):
        """The channels, which then are expected; ValueError where they are unknown or cannot be shared among the groups."""
        channels, _ = self.channels(input_shape)
        if channels is None or channels % self.groups:
            raise ValueError(f'layer "{self.name}": the input has {channels} channels, for {self.groups} group(s)')
        self.input_spec = InputSpec(ndim=self.rank + 2, axes={1 if self.first else -1: channels})
        return channels

    def weights_for(self, shape, outputs):
        self.kernel = self.add_weight(shape, self.kernel_initializer, regularizer=self.kernel_regularizer,
                                      constraint=self.kernel_constraint, name="kernel")
        self.bias = self.add_weight((outputs,), self.bias_initializer, regularizer=self.bias_regularizer, constraint=self.bias_constraint,
                                    name="bias") if self.use_bias else None

    def build(self, input_shape):
        self.weights_for((*self.window, self.input_channels(input_shape) // self.groups, self.filters), self.filters)

    def convolved(self, x, kernel, bias, groups):
        """The convolution of x (N, C, *sizes) with a kernel (M, C / groups, *window), padded as the layer says."""
        self.positions(x.shape[2:])
        pads = self.pads(x.shape[2:])
        if any(a != b for a, b in pads):
            x, pads = F.pad(x, flat(pads)), [(0, 0)] * self.rank
        return CONV[self.rank](x, kernel, bias, self.strides, tuple(a for a, _ in pads), self.dilation_rate, groups)

    def call(self, inputs):
        y = self.convolved(self.to_first(floats(inputs)), module_order(self.kernel), self.bias, self.groups)
        return self.activation(self.from_first(y))

    def compute_output_shape(self, input_shape):
        _, sizes = self.channels(input_shape)
        return self.placed(input_shape[0], self.positions(sizes), self.filters)


Conv1D, Conv2D, Conv3D = [ranked(Conv, f"Conv{r}D", r, f"Convolution over {('a sequence', 'images', 'volumes')[r - 1]}: a kernel of "
                                 f"kernel_size for each of `filters` channels, {r} spatial ax{'e' if r > 1 else 'i'}s.") for r in (1, 2, 3)]
Convolution1D, Convolution2D, Convolution3D = Conv1D, Conv2D, Conv3D


class ConvTranspose(Conv):
    """The transpose of a convolution, with a kernel (*window, filters, C): strides make its output larger."""

    def __init__(self, filters, kernel_size, strides=1, padding="valid", output_padding=None, data_format=None, dilation_rate=1, **kwargs):
        super().__init__(filters, kernel_size, strides, padding, data_format, 1, **kwargs)
        self.dilation_rate = each(dilation_rate, self.rank, "dilation_rate")
        self.output_padding = None if output_padding is None else (output_padding,) * self.rank if isinstance(output_padding, int) \
            else tuple(output_padding)

    def build(self, input_shape):
        self.weights_for((*self.window, self.filters, self.input_channels(input_shape)), self.filters)

    def cuts(self):
        """(before, after) to be cut off the whole transpose, along each axis; negative: places to be added."""
        found = []
        for axis, (k, s) in enumerate(zip(self.reach(), self.strides)):
            more = None if self.output_padding is None else self.output_padding[axis]
            if self.padding == "valid":
                found.append((0, min(0, k - s) if more is None else -more))
            else:
                length = s + k - 2 if more is None else k + k % 2 - 2 + more       # of the zeros around the stretched input
                before = min((length + 1) // 2, k - 1)
                found.append((k - 1 - before, k - 1 - (length - before)))
        return found

    def call(self, inputs):
        kernel = module_order(self.kernel)                                  # (C, filters, *window)
        y = TRANSPOSED[self.rank](self.to_first(floats(inputs)), kernel, None, self.strides, 0, 0, 1, self.dilation_rate)
        y = F.pad(y, flat([(-a, -b) for a, b in self.cuts()]))
        y = y if self.bias is None else y + self.bias.reshape(-1, *(1,) * self.rank)
        return self.activation(self.from_first(y))

    def compute_output_shape(self, input_shape):
        _, sizes = self.channels(input_shape)
        out = [None if n is None else (n - 1) * s + k - a - b for n, s, k, (a, b) in zip(sizes, self.strides, self.reach(), self.cuts())]
        return self.placed(input_shape[0], out, self.filters)


Conv1DTranspose, Conv2DTranspose, Conv3DTranspose = [
    ranked(ConvTranspose, f"Conv{r}DTranspose", r, f"{ConvTranspose.__doc__} {r} spatial ax{'e' if r > 1 else 'i'}s.") for r in (1, 2, 3)]


class DepthwiseConv(Conv):
    """Each channel convolved on its own, with depth_multiplier kernels: kernel (*window, C, depth_multiplier)."""

    def __init__(self, kernel_size, strides=1, padding="valid", depth_multiplier=1, data_format=None, dilation_rate=1, activation=None,
                 use_bias=True, depthwise_initializer="glorot_uniform", bias_initializer="zeros", depthwise_regularizer=None,
                 bias_regularizer=None, activity_regularizer=None, depthwise_constraint=None, bias_constraint=None, **kwargs):
        super().__init__(1, kernel_size, strides, padding, data_format, dilation_rate, 1, activation, use_bias, depthwise_initializer,
                         bias_initializer, depthwise_regularizer, bias_regularizer, activity_regularizer, depthwise_constraint,
                         bias_constraint, **kwargs)
        self.depth_multiplier = positive(self, "depth_multiplier", depth_multiplier)

    def build(self, input_shape):
        C = self.input_channels(input_shape)
        self.weights_for((*self.window, C, self.depth_multiplier), C * self.depth_multiplier)

    def call(self, inputs):
        kernel = self.kernel.reshape(*self.window, 1, -1)                   # (*window, 1, C * depth_multiplier)
        y = self.convolved(self.to_first(floats(inputs)), module_order(kernel), self.bias, self.kernel.shape[-2])
        return self.activation(self.from_first(y))

    def compute_output_shape(self, input_shape):
        channels, sizes = self.channels(input_shape)
        return self.placed(input_shape[0], self.positions(sizes), channels * self.depth_multiplier)


class SeparableConv(Conv):
    """Each channel convolved on its own, and the results mixed place by place (Chollet 2017)."""

    def __init__(self, filters, kernel_size, strides=1, padding="valid", data_format=None, dilation_rate=1, depth_multiplier=1,
                 activation=None, use_bias=True, depthwise_initializer="glorot_uniform", pointwise_initializer="glorot_uniform",
                 bias_initializer="zeros", depthwise_regularizer=None, pointwise_regularizer=None, bias_regularizer=None, **kwargs):
        super().__init__(filters, kernel_size, strides, padding, data_format, dilation_rate, 1, activation, use_bias,
                         pointwise_initializer, bias_initializer, pointwise_regularizer, bias_regularizer, **kwargs)
        self.depth_multiplier = positive(self, "depth_multiplier", depth_multiplier)
        self.depthwise_initializer = initializers.get(depthwise_initializer)
        self.depthwise_regularizer = regularizers.get(depthwise_regularizer)

    def build(self, input_shape):
        C = self.input_channels(input_shape)
        self.depthwise_kernel = self.add_weight((*self.window, C, self.depth_multiplier), self.depthwise_initializer,
                                                regularizer=self.depthwise_regularizer, name="depthwise_kernel")
        self.weights_for((*(1,) * self.rank, C * self.depth_multiplier, self.filters), self.filters)
        self.pointwise_kernel = self.kernel

    def call(self, inputs):
        depthwise = self.depthwise_kernel.reshape(*self.window, 1, -1)
        y = self.convolved(self.to_first(floats(inputs)), module_order(depthwise), None, self.depthwise_kernel.shape[-2])
        y = CONV[self.rank](y, module_order(self.pointwise_kernel), self.bias)
        return self.activation(self.from_first(y))


DepthwiseConv1D, DepthwiseConv2D = [ranked(DepthwiseConv, f"DepthwiseConv{r}D", r, DepthwiseConv.__doc__) for r in (1, 2)]
SeparableConv1D, SeparableConv2D = [ranked(SeparableConv, f"SeparableConv{r}D", r, SeparableConv.__doc__) for r in (1, 2)]
