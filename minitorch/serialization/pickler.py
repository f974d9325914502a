"""Pickles as PyTorch writes them: tensors under PyTorch's names, their storages by number, all else as Python has it.

The functions named in the pickle belong to PyTorch, which need not be there: a `Name` stands for each.  Tensors whose
memory is one array are written as views of one storage, with their strides and offsets; a view brings its whole storage
along, as in PyTorch (`clone()` cuts it out).
"""
import collections
import functools
import pickle
from typing import ClassVar

import numpy as np

from .. import backend, dtypes
from ..nn.parameter import Buffer, Parameter
from ..ops.memory import address
from ..settings import layout
from ..tensor import Size, Tensor
from .names import STORAGES


class Name:
    """A class or function of another program, for which "module.name" stands in the pickle."""

    def __init__(self, full):
        self.module, _, self.name = full.rpartition(".")

    def __call__(self, *args):
        raise TypeError(f"{self.module}.{self.name} is a name only")


named = functools.cache(Name)                    # one for each name, so that the pickle writes it once
CLASSES = {dtype: name for name, dtype in STORAGES.items() if name != "UntypedStorage"}


class Stored:
    """A storage in a pickle: what refers to its record."""

    __slots__ = ("place",)

    def __init__(self, *place):
        self.place = place


class Pickler(pickle._Pickler):                      # Python's own in Python: that in C imports every name that it writes
    """Writes one pickle, and gathers in `storages` the memory that it refers to: {key: flat array}."""

    dispatch: ClassVar[dict] = dict(pickle._Pickler.dispatch)

    def __init__(self, file, protocol=2):
        super().__init__(file, protocol)
        self.storages, self.known = {}, {}

    def persistent_id(self, x):
        return x.place if type(x) is Stored else None

    def reducer_override(self, x):
        """How to write what PyTorch has another name for; NotImplemented for all else."""
        kind = type(x)
        if kind is Size:
            return named("torch.Size"), (tuple(x),)
        if kind is backend.device:
            return named("torch.device"), (x.type,) if x.index is None else (x.type, x.index)
        if kind is layout:
            return named("torch.serialization._get_layout"), (f"torch.{str(x).rpartition('.')[2]}",)
        if isinstance(x, Tensor) and kind.__reduce_ex__ in PLAIN:
            return self.reduce_tensor(x, kind)
        return NotImplemented

    def write_name(self, x):
        self.write(pickle.GLOBAL + f"{x.module}\n{x.name}\n".encode())
        self.memoize(x)

    def write_dtype(self, x):
        self.write(pickle.GLOBAL + f"torch\n{x.name}\n".encode())
        self.memoize(x)

    dispatch[Name], dispatch[dtypes.dtype] = write_name, write_dtype

    # ---- tensors ------------------------------------------------------------------------------------------------

    def reduce_tensor(self, t, kind):
        """(function, arguments) for a tensor: PyTorch's, by kind of tensor."""
        attributes = dict(t.__dict__)
        if kind is Parameter:
            arguments = (t.detach(), t.requires_grad, collections.OrderedDict())
            if attributes:
                return named("torch._utils._rebuild_parameter_with_state"), (*arguments, attributes)
            return named("torch._utils._rebuild_parameter"), arguments
        function, arguments = self.plain(t)
        if kind is Buffer:
            attributes, kind = {**attributes, "_is_buffer": True}, Tensor
        if attributes or kind is not Tensor:
            return named("torch._tensor._rebuild_from_type_v2"), (function, named("torch.Tensor") if kind is Tensor else kind, arguments, attributes)
        return function, arguments

    def plain(self, t):
        """(function, arguments) for a tensor as sizes, strides and offset in a storage."""
        array, dtype = t.array, t.dtype.name
        key, offset, stride, first, size = self.place(array)
        where = str(t.device)
        item = array.dtype.itemsize
        arguments = (offset, tuple(array.shape), stride, t.requires_grad, collections.OrderedDict())
        if first == dtype and dtype in CLASSES:
            stored = Stored("storage", named(f"torch.{CLASSES[dtype]}"), key, where, size // item)
            return named("torch._utils._rebuild_tensor_v2"), (stored, *arguments)
        stored = Stored("storage", named("torch.storage.UntypedStorage"), key, where, size)
        return named("torch._utils._rebuild_tensor_v3"), (stored, *arguments, t.dtype)

    def place(self, array):
        """(key of its storage, offset and strides in elements, dtype of the storage's first tensor, its bytes) of an array."""
        item = array.dtype.itemsize
        memory = memory_of(array)
        start = 0 if memory is None or not array.size else address(array) - address(memory)
        if memory is None or start % item or memory.nbytes % item or any(s % item for s in array.strides) or not array.size:
            mark = (address(array), array.shape, array.strides, array.dtype.name) if array.size else object()
            memory, start = array, 0
            stride, n = [], 1
            for k in array.shape[::-1]:
                stride.append(n)
                n *= max(k, 1)
            strides = tuple(stride[::-1])
        else:
            mark = (address(memory), memory.nbytes)
            strides = tuple(s // item for s in array.strides)
        if mark not in self.known:
            key = str(len(self.storages))
            self.known[mark], self.storages[key] = (key, dtypes.of(array.dtype).name), memory
        key, first = self.known[mark]
        return key, start // item, strides, first, memory.nbytes


def memory_of(array):
    """All the memory behind `array`, as a flat array; None where it has gaps or is not an array's."""
    while type(array.base) is type(array):
        array = array.base
    if any(s < 0 for s in array.strides):
        return None
    flat = array.transpose(sorted(range(array.ndim), key=lambda i: -array.strides[i]))
    return flat.reshape(-1) if flat.flags.c_contiguous else None


def content(memory):
    """The bytes of a storage, on the host."""
    host = backend.to_numpy(memory)
    return np.ascontiguousarray(host).reshape(-1).view(np.uint8)


PLAIN = (Tensor.__reduce_ex__, Parameter.__reduce_ex__, Buffer.__reduce_ex__)
