"""Modules by names that newer ones have replaced, and batch norm for many processes."""
import warnings

from .. import tensor
from .loss import NLLLoss
from .module import Module
from .normalization import BatchNorm


class SyncBatchNorm(BatchNorm):
    """Batch norm of (N, C, ...) over the batches of all processes, of which there is one."""

    def __init__(self, num_features, eps=1e-5, momentum=0.1, affine=True, track_running_stats=True, process_group=None, device=None, dtype=None,
                 *, bias=True):
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias)
        self.process_group = process_group

    def check_input(self, input):
        if input.ndim < 2:
            raise ValueError(f"expected at least 2D input (got {input.ndim}D input)")

    @classmethod
    def convert_sync_batchnorm(cls, module, process_group=None):
        """The module with every batch norm in it a SyncBatchNorm of the same parameters and statistics."""
        out = module
        if isinstance(module, BatchNorm):
            out = cls(module.num_features, module.eps, module.momentum, module.affine, module.track_running_stats, process_group)
            out._parameters.update(module._parameters)
            out._buffers.update(module._buffers)
            out.training = module.training
        for name, child in module.named_children():
            out.add_module(name, cls.convert_sync_batchnorm(child, process_group))
        return out


class NLLLoss2d(NLLLoss):
    """NLLLoss, by its old name."""

    def __init__(self, weight=None, size_average=None, ignore_index=-100, reduce=None, reduction="mean"):
        warnings.warn("NLLLoss2d has been deprecated. Please use NLLLoss instead as a drop-in replacement.", FutureWarning, stacklevel=2)
        super().__init__(weight, size_average, ignore_index, reduce, reduction)


class Container(Module):
    """Modules by name: the old form of Module."""

    def __init__(self, **kwargs):
        super().__init__()
        warnings.warn("nn.Container is deprecated. All of it's functionality is now implemented in nn.Module. Subclass that instead.",
                      DeprecationWarning, stacklevel=2)
        for name, module in kwargs.items():
            self.add_module(name, module)


class CrossMapLRN2d(Module):
    """x / (k + alpha / size * sums of x^2 over neighbouring channels of (N, C, H, W))^beta, the first channel in every sum, as in PyTorch.

    LocalResponseNorm has the sums of the paper (Krizhevsky, Sutskever & Hinton 2012).
    """

    def __init__(self, size, alpha=1e-4, beta=0.75, k=1):
        super().__init__()
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, input):
        if input.ndim != 4:
            raise ValueError(f"CrossMapLRN2d: Expected input to be 4D, got {input.ndim}D instead.")
        C, reach = input.shape[1], int((self.size - 1) / 2 + 1)
        summed = [[float(d < c + reach and (d == 0 or d > c - reach)) for d in range(C)] for c in range(C)]      # (C, C)
        sums = (tensor(summed, dtype=input.dtype, device=input.device) @ input.square().flatten(2)).reshape(input.shape)
        return input * (sums * (self.alpha / self.size) + self.k) ** -self.beta

    def extra_repr(self):
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"
