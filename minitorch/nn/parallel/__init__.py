"""Modules for many devices, on one: the module itself, under `.module`."""
from ... import distributed
from ..module import Module


class DataParallel(Module):
    """Calls `module`: there is one device to share the batch among."""

    def __init__(self, module, device_ids=None, output_device=None, dim=0):
        super().__init__()
        self.module, self.dim = module, dim

    def forward(self, *inputs, **kwargs):
        return self.module(*inputs, **kwargs)


class DistributedDataParallel(Module):
    """Calls `module`: in a group of one process its gradients are those of all. ValueError without a group."""

    def __init__(self, module, device_ids=None, output_device=None, dim=0, broadcast_buffers=True, **options):
        distributed.required()
        super().__init__()
        self.module, self.require_backward_grad_sync = module, True

    def forward(self, *inputs, **kwargs):
        return self.module(*inputs, **kwargs)

    def no_sync(self):
        """A block within which gradients are not exchanged: as everywhere here."""
        import contextlib
        return contextlib.nullcontext()


__all__ = ["DataParallel", "DistributedDataParallel"]
