"""Pooling as modules."""
from .function import FunctionModule


class MaxPool(FunctionModule):
    """The maximum of every window."""

    settings = ("kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices")
    shown = settings[:5]

    def __init__(self, kernel_size, stride=None, padding=0, dilation=1, return_indices=False, ceil_mode=False):
        super().__init__(kernel_size=kernel_size, stride=kernel_size if stride is None else stride, padding=padding, dilation=dilation,
                         return_indices=return_indices, ceil_mode=ceil_mode)


class MaxPool1d(MaxPool):
    """The maximum of every window of (N, C, L)."""
    function = "max_pool1d"


class MaxPool2d(MaxPool):
    """The maximum of every window of (N, C, H, W)."""
    function = "max_pool2d"


class MaxPool3d(MaxPool):
    """The maximum of every window of (N, C, D, H, W)."""
    function = "max_pool3d"


class AvgPool1d(FunctionModule):
    """The mean of every window of (N, C, L)."""

    function, settings = "avg_pool1d", ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad")
    shown = settings[:3]

    def __init__(self, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
        stride = kernel_size if stride is None else stride
        kernel_size, stride, padding = ((v,) if isinstance(v, int) else tuple(v) for v in (kernel_size, stride, padding))
        super().__init__(kernel_size=kernel_size, stride=stride, padding=padding, ceil_mode=ceil_mode, count_include_pad=count_include_pad)


class AvgPool2d(FunctionModule):
    """The mean of every window of (N, C, H, W)."""

    function, settings = "avg_pool2d", ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override")
    shown = settings[:3]

    def __init__(self, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None):
        super().__init__(kernel_size=kernel_size, stride=kernel_size if stride is None else stride, padding=padding, ceil_mode=ceil_mode,
                         count_include_pad=count_include_pad, divisor_override=divisor_override)


class AvgPool3d(AvgPool2d):
    """The mean of every window of (N, C, D, H, W)."""
    function = "avg_pool3d"


class LPPool1d(FunctionModule):
    """(sum over each window of x^p)^(1/p) for (N, C, L)."""
    function, settings = "lp_pool1d", ("norm_type", "kernel_size", "stride", "ceil_mode")

    def __init__(self, norm_type, kernel_size, stride=None, ceil_mode=False):
        super().__init__(norm_type=norm_type, kernel_size=kernel_size, stride=stride, ceil_mode=ceil_mode)


class LPPool2d(LPPool1d):
    """(sum over each window of x^p)^(1/p) for (N, C, H, W)."""
    function = "lp_pool2d"


class LPPool3d(LPPool1d):
    """(sum over each window of x^p)^(1/p) for (N, C, D, H, W)."""
    function = "lp_pool3d"


class AdaptiveAvgPool1d(FunctionModule):
    """Means over output_size bins of (N, C, L)."""
    function, settings = "adaptive_avg_pool1d", ("output_size",)

    def __init__(self, output_size):
        super().__init__(output_size=output_size)


class AdaptiveAvgPool2d(AdaptiveAvgPool1d):
    """Means over bins of (N, C, H, W): one size for both axes, or two, None keeping one."""
    function = "adaptive_avg_pool2d"


class AdaptiveAvgPool3d(AdaptiveAvgPool1d):
    """Means over bins of (N, C, D, H, W)."""
    function = "adaptive_avg_pool3d"


class AdaptiveMaxPool1d(FunctionModule):
    """Maxima over output_size bins of (N, C, L)."""
    function, settings, shown = "adaptive_max_pool1d", ("output_size", "return_indices"), ("output_size",)

    def __init__(self, output_size, return_indices=False):
        super().__init__(output_size=output_size, return_indices=return_indices)


class AdaptiveMaxPool2d(AdaptiveMaxPool1d):
    """Maxima over bins of (N, C, H, W)."""
    function = "adaptive_max_pool2d"


class AdaptiveMaxPool3d(AdaptiveMaxPool1d):
    """Maxima over bins of (N, C, D, H, W)."""
    function = "adaptive_max_pool3d"
