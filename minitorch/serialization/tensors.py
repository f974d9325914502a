"""From the bytes of a file to tensors: where they go, and how storages, sizes and strides become tensors again."""
import numpy as np

from .. import backend, dtypes
from ..ops.strides import strided
from ..tensor import Tensor, wrap
from .files import CallersMistake, Damaged


def placed(array, where, map_location):
    """A tensor of a loaded host array, on the device that `map_location` says for one saved from device `where`."""
    if callable(map_location) and not isinstance(map_location, backend.device):
        try:
            answer = map_location(wrap(array), where)
        except Exception as error:
            raise CallersMistake(error) from None
        if answer is not None:
            if not isinstance(answer, Tensor) or answer.array.size != array.size:
                raise CallersMistake(TypeError(f"load(): map_location must return a tensor of the same size, or None, not {answer!r}"))
            return answer
    elif isinstance(map_location, dict):
        where = map_location.get(where, where)
    elif map_location is not None:
        where = map_location
    try:
        return wrap(backend.move(array, where))
    except RuntimeError as error:
        if map_location is not None:
            raise CallersMistake(error) from None
        raise Damaged(f"it holds tensors saved from device '{where}', which this machine lacks; "
                      f"load(..., map_location='cpu') brings them to the CPU ({error})") from None


class Storage:
    """Memory that tensors of a file share: a flat array of bytes, the count of writes to it, and the type of its numbers."""

    __slots__ = ("bytes", "counter", "dtype")

    def __init__(self, data, counter, dtype):
        self.bytes, self.counter, self.dtype = data, counter, dtype

    def __repr__(self):
        return f"<a storage of {self.bytes.size} bytes>"


def storage(data, dtype, where, map_location):
    """The storage of host bytes `data`, brought to its device."""
    t = placed(data.view(dtype.numpy), where, map_location)
    return Storage(t.array.reshape(-1).view(np.uint8), t.counter, dtype)


def tensor(of, offset, size, stride, dtype=None):
    """The tensor that reads the storage `of` with these sizes and strides from `offset` on, all in elements."""
    if type(of) is not Storage:
        raise Damaged(f"a tensor is made of a {type(of).__name__}, not of a storage")
    numbers = [offset, *size, *stride]
    if any(type(n) is not int or n < 0 for n in numbers) or len(size) != len(stride):
        raise Damaged(f"a tensor has offset {offset}, sizes {tuple(size)} and strides {tuple(stride)}")
    kind = (dtype or of.dtype).numpy
    available = of.bytes.size // kind.itemsize
    empty = 0 in size
    last = offset + sum((n - 1) * s for n, s in zip(size, stride)) if not empty else offset - 1
    if last >= available:
        raise Damaged(f"a tensor of sizes {tuple(size)}, strides {tuple(stride)} and offset {offset} goes beyond its storage of {available} elements")
    if empty:
        array = backend.xp(of.bytes).empty(tuple(size), kind)
    else:
        array = strided(of.bytes[:available * kind.itemsize].view(kind)[offset:], tuple(size), tuple(s * kind.itemsize for s in stride))
        if kind.kind == "b":
            only_true_and_false(of.bytes)
    return wrap(array, counter=of.counter)


def only_true_and_false(data):
    """Make 1 of every other byte that is not 0, in place: NumPy counts on bools being nothing else."""
    if (data > 1).any():
        data[data > 1] = 1


def dtype_named(name):
    """The dtype that PyTorch calls torch.`name`; Damaged where there is none such here."""
    if name not in dtypes.BY_NAME:
        raise Damaged(f"it holds numbers of type torch.{name}; the supported types are {', '.join(dtypes.BY_NAME)}")
    return dtypes.lookup(name)
