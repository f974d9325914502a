"""Normalisations as modules."""
from .. import empty, int64, ones, tensor, zeros
from . import functional as F
from . import init
from .function import FunctionModule
from .module import Module
from .parameter import Parameter


class ChannelNorm(Module):
    """What batch and instance norm share: weight and bias for each channel, and running statistics."""

    _version = 2                                     # 1 had no num_batches_tracked
    ndims: tuple[int, ...] = ()                                       # the numbers of axes that an input may have

    def __init__(self, num_features, eps, momentum, affine, track_running_stats, device, dtype, bias):
        super().__init__()
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        like = {"device": device, "dtype": dtype}
        self.register_parameter("weight", Parameter(empty((num_features,), **like)) if affine else None)
        self.register_parameter("bias", Parameter(empty((num_features,), **like)) if affine and bias else None)
        self.register_buffer("running_mean", zeros((num_features,), **like) if track_running_stats else None)
        self.register_buffer("running_var", ones((num_features,), **like) if track_running_stats else None)
        self.register_buffer("num_batches_tracked", tensor(0, dtype=int64, device=device) if track_running_stats else None)
        self.reset_parameters()

    def reset_running_stats(self):
        """Forget the statistics: mean 0, variance 1."""
        if self.track_running_stats:
            self.running_mean.zero_()
            self.running_var.fill_(1)
            self.num_batches_tracked.zero_()

    def reset_parameters(self):
        """Weight 1, bias 0, statistics forgotten."""
        self.reset_running_stats()
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def check_input(self, input):
        """ValueError for an input of another number of axes."""
        if input.ndim not in self.ndims:
            raise ValueError(f"expected {' or '.join(f'{n}D' for n in self.ndims)} input (got {input.ndim}D input)")

    def extra_repr(self):
        return (f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, bias={self.bias is not None}, "
                f"track_running_stats={self.track_running_stats}")

    def _load_from_state_dict(self, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs):
        key = prefix + "num_batches_tracked"
        if local_metadata.get("version") in (None, 1) and self.track_running_stats and key not in state_dict:
            state_dict[key] = self.num_batches_tracked
        super()._load_from_state_dict(state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)


class BatchNorm(ChannelNorm):
    """(x - mean) / sqrt(var + eps) * weight + bias for each channel of (N, C, ...).

    While training mean and variance are the batch's, and the running ones move towards them by the share `momentum` (None:
    their plain mean over all batches); in evaluation they are the running ones.
    """

    def __init__(self, num_features, eps=1e-5, momentum=0.1, affine=True, track_running_stats=True, device=None, dtype=None, *, bias=True):
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias)

    def forward(self, input):
        self.check_input(input)
        momentum = self.momentum
        if self.training and self.track_running_stats:
            self.num_batches_tracked.add_(1)
            momentum = 1 / int(self.num_batches_tracked) if momentum is None else momentum
        training = self.training or self.running_mean is None and self.running_var is None
        keep = not self.training or self.track_running_stats
        return F.batch_norm(input, self.running_mean if keep else None, self.running_var if keep else None, self.weight, self.bias,
                            training, 0.0 if momentum is None else momentum, self.eps)


class BatchNorm1d(BatchNorm):
    """Batch norm of (N, C) or (N, C, L)."""
    ndims = (2, 3)


class BatchNorm2d(BatchNorm):
    """Batch norm of (N, C, H, W)."""
    ndims = (4,)


class BatchNorm3d(BatchNorm):
    """Batch norm of (N, C, D, H, W)."""
    ndims = (5,)


class InstanceNorm(ChannelNorm):
    """(x - mean) / sqrt(var + eps) * weight + bias for each channel of each sample, by its own mean and variance.

    track_running_stats: in evaluation by running ones instead.
    """

    def __init__(self, num_features, eps=1e-5, momentum=0.1, affine=False, track_running_stats=False, device=None, dtype=None, *, bias=True):
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias)

    def forward(self, input):
        self.check_input(input)
        channels = input.shape[input.ndim - self.ndims[-1] + 1]
        if channels != self.num_features and self.affine:
            raise ValueError(f"expected input's size at dim={input.ndim - self.ndims[-1] + 1} to match num_features ({self.num_features}), "
                             f"but got: {channels}.")
        x = input.unsqueeze(0) if input.ndim == self.ndims[0] else input
        y = F.instance_norm(x, self.running_mean, self.running_var, self.weight, self.bias, self.training or not self.track_running_stats,
                            0.0 if self.momentum is None else self.momentum, self.eps)
        return y.squeeze(0) if input.ndim == self.ndims[0] else y


class InstanceNorm1d(InstanceNorm):
    """Instance norm of (C, L) or (N, C, L)."""
    ndims = (2, 3)


class InstanceNorm2d(InstanceNorm):
    """Instance norm of (C, H, W) or (N, C, H, W)."""
    ndims = (3, 4)


class InstanceNorm3d(InstanceNorm):
    """Instance norm of (C, D, H, W) or (N, C, D, H, W)."""
    ndims = (4, 5)


class LayerNorm(Module):
    """(x - mean) / sqrt(var + eps) * weight + bias over the last axes, of sizes `normalized_shape`."""

    def __init__(self, normalized_shape, eps=1e-5, elementwise_affine=True, bias=True, device=None, dtype=None):
        super().__init__()
        self.normalized_shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        like = {"device": device, "dtype": dtype}
        self.register_parameter("weight", Parameter(empty(self.normalized_shape, **like)) if elementwise_affine else None)
        self.register_parameter("bias", Parameter(empty(self.normalized_shape, **like)) if elementwise_affine and bias else None)
        self.reset_parameters()

    def reset_parameters(self):
        """Weight 1, bias 0."""
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def forward(self, input):
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self):
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}, bias={self.bias is not None}"


class RMSNorm(Module):
    """x / sqrt(mean of x^2 + eps) * weight over the last axes, of sizes `normalized_shape`."""

    def __init__(self, normalized_shape, eps=None, elementwise_affine=True, device=None, dtype=None):
        super().__init__()
        self.normalized_shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        self.register_parameter("weight", Parameter(empty(self.normalized_shape, device=device, dtype=dtype)) if elementwise_affine else None)
        self.reset_parameters()

    def reset_parameters(self):
        """Weight 1."""
        if self.weight is not None:
            init.ones_(self.weight)

    def forward(self, input):
        return F.rms_norm(input, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self):
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class GroupNorm(Module):
    """Each group of channels of (N, C, ...) normalised by itself, then weight and bias for each channel."""

    def __init__(self, num_groups, num_channels, eps=1e-5, affine=True, device=None, dtype=None, *, bias=True):
        super().__init__()
        if num_channels % num_groups:
            raise ValueError(f"num_channels ({num_channels}) must be divisible by num_groups ({num_groups})")
        self.num_groups, self.num_channels, self.eps, self.affine = num_groups, num_channels, eps, affine
        like = {"device": device, "dtype": dtype}
        self.register_parameter("weight", Parameter(empty((num_channels,), **like)) if affine else None)
        self.register_parameter("bias", Parameter(empty((num_channels,), **like)) if affine and bias else None)
        self.reset_parameters()

    reset_parameters = LayerNorm.reset_parameters

    def forward(self, input):
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self):
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, bias={self.bias is not None}"


class LocalResponseNorm(FunctionModule):
    """x / (k + alpha * mean of x^2 over `size` neighbouring channels)^beta."""

    function, settings = "local_response_norm", ("size", "alpha", "beta", "k")

    def __init__(self, size, alpha=1e-4, beta=0.75, k=1.0):
        super().__init__(size=size, alpha=alpha, beta=beta, k=k)

    def extra_repr(self):
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"
