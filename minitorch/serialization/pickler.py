"""Pickles as PyTorch writes them: tensors under PyTorch's names, their storages by number, all else as Python has it.

The functions named in the pickle belong to PyTorch, which need not be there: a `Name` stands for each.  Tensors whose
memory is one array are written as views of one storage, with their strides and offsets.  Of that memory the file holds
the part that its tensors use, which is known when all were met: the numbers that tell of it are filled in at the end.
"""
import collections
import functools
import io
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


ROUND = 16                                       # storages begin and end at multiples of this many bytes: every number fits


class Stored:
    """A storage in a pickle: what refers to its record."""

    __slots__ = ("place",)

    def __init__(self, *place):
        self.place = place


class Memory:
    """An array that tensors share: as a flat array of bytes, and from where to where they use it."""

    def __init__(self, key, flat, dtype):
        self.key, self.flat, self.dtype = key, flat, dtype
        self.start, self.stop = flat.nbytes, 0

    def use(self, start, stop):
        self.start = min(self.start, start // ROUND * ROUND)
        self.stop = max(self.stop, min(-(-stop // ROUND) * ROUND, self.flat.nbytes))

    def content(self):
        """The bytes that belong into the file, on the host."""
        return np.ascontiguousarray(backend.to_numpy(self.flat[self.start:self.stop]))


class Later:
    """A number that is known when the whole pickle is written."""

    __slots__ = ("number",)

    def __init__(self, number):
        self.number = number


class Pickler(pickle._Pickler):                      # Python's own in Python: that in C imports every name that it writes
    """Writes one pickle, and gathers in `memories` the memory that it refers to."""

    dispatch: ClassVar[dict] = dict(pickle._Pickler.dispatch)

    def __init__(self):
        self.buffer = io.BytesIO()
        super().__init__(self.buffer, 2)             # the protocol that PyTorch reads; later ones hold no more
        self.memories, self.known, self.later = [], {}, []

    def pickled(self, x):
        """The pickle of `x`."""
        self.dump(x)
        data = self.buffer.getbuffer()
        for position, number in self.later:
            data[position:position + 8] = number().to_bytes(8, "little")
        return data

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

    def write_later(self, x):
        self.write(pickle.LONG1 + b"\x08")
        self.later.append((self.buffer.tell(), x.number))
        self.write(bytes(8))

    dispatch[Name], dispatch[dtypes.dtype], dispatch[Later] = write_name, write_dtype, write_later

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
        array, dtype, where = t.array, t.dtype.name, str(t.device)
        memory, start, stride = self.place(array)
        item = array.dtype.itemsize
        offset = Later(lambda: (start - memory.start) // item)
        arguments = (offset, tuple(array.shape), stride, t.requires_grad, collections.OrderedDict())
        if memory.dtype == dtype and dtype in CLASSES:
            stored = Stored("storage", named(f"torch.{CLASSES[dtype]}"), memory.key, where, Later(lambda: (memory.stop - memory.start) // item))
            return named("torch._utils._rebuild_tensor_v2"), (stored, *arguments)
        stored = Stored("storage", named("torch.storage.UntypedStorage"), memory.key, where, Later(lambda: memory.stop - memory.start))
        return named("torch._utils._rebuild_tensor_v3"), (stored, *arguments, t.dtype)

    def place(self, array):
        """(Memory, where in it `array` starts in bytes, strides in elements) of an array."""
        item = array.dtype.itemsize
        flat = memory_of(array) if array.size else None
        start = 0 if flat is None else address(array) - address(flat)
        if flat is None or any(n % item for n in (start, flat.nbytes, *array.strides)):
            mark = (address(array), array.shape, array.strides, array.dtype.name) if array.size else object()
            flat, start = backend.xp(array).ascontiguousarray(array).reshape(-1), 0
            stride = row_major(array.shape)
            end = flat.nbytes
        else:
            mark = (address(flat), flat.nbytes)
            stride = tuple(s // item for s in array.strides)
            end = start + sum((n - 1) * s for n, s in zip(array.shape, array.strides)) + item
        if mark not in self.known:
            self.known[mark] = Memory(str(len(self.memories)), flat.view(np.uint8), dtypes.of(array.dtype).name)
            self.memories.append(self.known[mark])
        self.known[mark].use(start, end)
        return self.known[mark], start, stride


def row_major(shape):
    """The strides of a new array of that shape, in elements."""
    stride, n = [], 1
    for k in reversed(shape):
        stride.append(n)
        n *= max(k, 1)
    return tuple(reversed(stride))


def memory_of(array):
    """All the memory behind `array`, as a flat array; None where it has gaps or is not an array's."""
    while type(array.base) is type(array):
        array = array.base
    if any(s < 0 for s in array.strides):
        return None
    flat = array.transpose(sorted(range(array.ndim), key=lambda i: -array.strides[i]))
    return flat.reshape(-1) if flat.flags.c_contiguous else None


PLAIN = (Tensor.__reduce_ex__, Parameter.__reduce_ex__, Buffer.__reduce_ex__)
