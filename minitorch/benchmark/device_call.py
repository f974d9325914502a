"""A call on a GPU: guarded memory there, its bytes fetched when it is judged, results of CuPy's and PyTorch's over the same memory."""
import sys

import numpy as np

from .. import backend
from .buffers import poison
from .call import Call
from .judge import Reason
from .providers import received_one

SPENT = b"\xad"                                      # every byte of a captured result before it is written anew


class DeviceCall(Call):
    """A Call whose rooms lie on the GPU; the host's rooms hold their bytes as they were fetched last."""

    def __init__(self, gpu, provider, case, pristine, like, *args, **kwargs):
        self.gpu = gpu
        super().__init__(provider, case, pristine, like, *args, **kwargs)

    def arrays(self):
        """The arrays as the provider's library has them, over memory of the GPU."""
        cupy = self.gpu.cupy
        self.raws, views = {}, []
        for room in (*self.inputs, *self.outputs):
            if not hasattr(room, "raw"):
                views.append(room)
                continue
            raw = self.raws[id(room)] = cupy.asarray(room.raw)
            view = cupy.ndarray(room.view.shape, room.view.dtype, raw.data + room.offset(), room.view.strides)
            views.append(handed_device(view, self.provider.library))
        return views

    def keep(self, raw):
        """Copies of the results, once the stream that is timed is done, and no other."""
        self.results = None if self.provider.writes else listed(raw)
        self.gpu.stream.synchronize()
        self.kept = [np.array(y) for y in self.fetched()]
        self.found = self.kept

    def fetched(self):
        for room in self.rooms():
            room.raw[:] = self.raws[id(room)].get()
        return [r.view for r in self.outputs] if self.provider.writes else [received_one(y) for y in self.results]

    def peek(self, raw):
        """The results as they are now, read on a stream of their own; None where they cannot be."""
        cupy = self.gpu.cupy
        other = cupy.cuda.Stream(non_blocking=True)
        found = [self.raws[id(r)] for r in self.outputs] if self.provider.writes else [as_cupy(cupy, y) for y in listed(raw)]
        if any(y is None for y in found):
            return None
        found = [y.get(stream=other) for y in found]
        other.synchronize()
        if not self.provider.writes:
            return found
        return [np.ndarray(r.view.shape, r.view.dtype, np.ascontiguousarray(y), r.offset(), r.view.strides) for r, y in zip(self.outputs, found)]

    def changed(self, patience=0.0):
        self.gpu.cupy.cuda.Device().synchronize()
        now = self.fetched()
        return any(a.shape != b.shape or a.tobytes() != b.tobytes() for a, b in zip(now, self.kept))

    def misdeeds(self, when):
        found = super().misdeeds(when)
        if not self.provider.writes:
            spans = [(self.raws[id(r)].data.ptr, self.raws[id(r)].nbytes) for r in self.inputs if hasattr(r, "raw")]
            for i, y in enumerate(self.results):
                at = pointer(y)
                if at is not None and any(start <= at < start + size for start, size in spans):
                    found.append(Reason("alias", when, f"result {i} is memory of an input"))
                elif shares_on_device(y):
                    found.append(Reason("alias", when, f"entries of result {i} {tuple(y.shape)} share memory: it is a view of less, not written out"))
        return found

    def renew(self, pristine):
        """New numbers in the same memory."""
        self.pristine = pristine
        for room, a in zip(self.inputs, pristine):
            if hasattr(room, "raw"):
                room.raw[:] = room.image
                room.view[...] = a
                room.pristine, room.image = a, room.raw.copy()
                self.raws[id(room)].set(room.raw)

    def swap(self, other):
        """Each other's numbers, in each other's memory."""
        mine, theirs = self.pristine, other.pristine
        self.renew(theirs)
        other.renew(mine)

    def poison(self):
        for room in self.outputs:
            self.raws[id(room)].set(room.image)

    def untouched(self):
        """Whether outputs still hold only poison."""
        return bool(self.outputs) and all(r.view.size and r.unwritten() == r.view.size for r in self.outputs) or \
            not self.outputs and bool(self.kept) and all(y.size and (np.ascontiguousarray(y).view(np.uint8) == SPENT[0]).all() for y in self.kept)

    def looks_unwritten(self, raw, at):
        """Whether the entry at a fraction `at` of a result still holds poison: a look at a few bytes, where fetching all would take long."""
        cupy = self.gpu.cupy
        if self.outputs:
            spots = [(self.raws[id(r)].data + r.offset(), r.view, poison(r.view.itemsize)) for r in self.outputs]
        else:
            found = [as_cupy(cupy, y) for y in listed(raw)]
            spots = [(y.data, y, SPENT * y.itemsize) for y in found if y is not None and y.flags.c_contiguous]
        return any(cupy.ndarray((y.itemsize,), np.uint8, start + int(at * y.size) * y.itemsize).get().tobytes() == stale
                   for start, y, stale in spots if y.size)

    def spoil(self):
        """Nothing: memory is not the host's to overwrite."""


def shares_on_device(y):
    """Whether an array or tensor is one number shown as several."""
    steps = y.stride() if callable(getattr(y, "stride", None)) else getattr(y, "strides", ())
    return any(n > 1 and step == 0 for n, step in zip(y.shape, steps))


def listed(raw):
    return list(raw) if type(raw) in (tuple, list) else [raw]


def pointer(y):
    """The address of an array on a GPU; None for others."""
    if type(y) in backend.MODULES and hasattr(y, "data") and hasattr(y.data, "ptr"):
        return y.data.ptr
    return y.data_ptr() if hasattr(y, "data_ptr") else None


def handed_device(a, library):
    """A CuPy array as an array of `library` over the same memory, by DLPack."""
    if library in (None, "cupy"):
        return a
    if library == "torch":
        import torch
        if a.dtype.name == "bfloat16":               # DLPack has it, and not every version of both libraries
            return torch.from_dlpack(a.view(np.int16)).view(torch.bfloat16)
        return torch.from_dlpack(a)
    if library == "minitorch":
        from ..tensor import wrap
        return wrap(a)
    raise ValueError(f"arrays of {library} are not on a GPU: library must be cupy, torch or minitorch")


def as_cupy(cupy, y):
    """An array on the GPU as CuPy's, over the same memory; None where it is none."""
    if type(y) in backend.MODULES and pointer(y) is not None:
        return y
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(y, torch.Tensor) and y.is_cuda:
        y = y.detach()
        if y.dtype is torch.bfloat16:
            import ml_dtypes
            return cupy.from_dlpack(y.view(torch.int16)).view(ml_dtypes.bfloat16)
        return cupy.from_dlpack(y)
    return None


def poison_results(raw):
    """Overwrite results of a captured graph with bytes that no result has; they are written anew by the next replay."""
    for y in listed(raw):
        if type(y) in backend.MODULES and y.size and y.flags.c_contiguous:
            y.reshape(-1).view(np.uint8).fill(SPENT[0])
        elif hasattr(y, "data_ptr") and y.numel() and y.is_contiguous():
            torch = sys.modules["torch"]
            y.detach().view(-1).view(torch.uint8).fill_(SPENT[0])
