"""Making tensors from what is there: Python data, NumPy arrays, foreign memory; and small questions about tensors."""
import warnings

import numpy as np

from .. import backend, dtypes
from ..autograd.op import HOMES
from ..convert import as_array, legacy, refuse_odd_layout
from ..exchange import from_dlpack
from ..tensor import Tensor, wrap
from .creation import finished, public, require_tensor
from .dtype import cast


@public
def tensor(data, *, dtype=None, device=None, requires_grad=False, pin_memory=False):
    """A new tensor holding a copy of `data`: a number, nested sequences, a NumPy array.

    dtype None: float32 (the default dtype) for Python floats, int64 for ints, bool for bools, an array's own for arrays.
    ValueError for ragged nesting, RuntimeError or TypeError for what is no number.
    """
    if isinstance(data, Tensor):
        warnings.warn("To copy construct from a tensor, it is recommended to use sourceTensor.detach().clone() or "
                      "sourceTensor.detach().clone().requires_grad_(True), rather than tensor(sourceTensor).", stacklevel=2)
    return finished(as_array(data, None if dtype is None else dtypes.numpy_dtype(dtype), device), requires_grad)


@public
def as_tensor(data, dtype=None, device=None):
    """`data` as a tensor, sharing its memory (a tensor: itself, with its history) where dtype and device allow."""
    dtype = None if dtype is None else dtypes.numpy_dtype(dtype)
    if type(data) is np.ndarray:
        data = from_numpy(data)
    if not isinstance(data, Tensor):
        return wrap(as_array(data, dtype, device))
    if dtype is not None and data.array.dtype != dtype:
        data = cast(data, dtype=dtype)
    return data if device is None or backend.move(data.array, device) is data.array else data.to(device=device)


@public
def asarray(obj, *, dtype=None, device=None, copy=None, requires_grad=None):
    """`obj` as a tensor; copy=True never shares its memory, copy=False does or raises ValueError, None shares where possible.

    Buffers (bytes, memoryview, array.array) are read as numbers of `dtype`, by default the default dtype.
    """
    if not isinstance(obj, (Tensor, np.ndarray, np.generic)) and not hasattr(obj, "__dlpack__") and is_buffer(obj):
        obj = frombuffer(obj, dtype=dtypes.default if dtype is None else dtype)
    if hasattr(obj, "__dlpack__") and not isinstance(obj, (Tensor, np.ndarray, np.generic)):
        obj = from_dlpack(obj)
    t = as_tensor(obj, dtype, device)
    source = obj.array if isinstance(obj, Tensor) else obj
    aliased = type(source) in backend.MODULES and backend.xp(source).may_share_memory(t.array, source)
    if copy and aliased:
        t = wrap(backend.xp(t.array).array(t.array))
    elif copy is False and not aliased:
        what = f"{dtypes.of(source.dtype)} tensor" if type(source) in backend.MODULES else "arbitrary sequence"
        raise ValueError(f"can't alias {what} into a tensor" + (f" of {dtype}." if dtype is not None else "."))
    if requires_grad is False and t.requires_grad:
        return t.detach()
    return t.requires_grad_() if requires_grad and not t.requires_grad else t


def is_buffer(obj):
    """Whether an object offers its bytes to be read."""
    try:
        memoryview(obj)
    except TypeError:
        return False
    return True


@public
def from_numpy(ndarray):
    """A tensor sharing the memory of a NumPy array: a write to one is seen in the other.

    TypeError for anything else, and for arrays of a type that tensors cannot hold.
    """
    if type(ndarray) is not np.ndarray:
        raise TypeError(f"expected np.ndarray (got {type(ndarray).__name__})")
    dtypes.of(ndarray.dtype)
    refuse_odd_layout(ndarray)
    return wrap(ndarray)


@public
def frombuffer(buffer, *, dtype, count=-1, offset=0, requires_grad=False):
    """A 1-d tensor of the bytes of `buffer` (bytearray, array, mmap, ...), sharing its memory; `offset` in bytes, `count` in elements."""
    if not is_buffer(buffer):
        raise ValueError("object does not implement Python buffer protocol.")
    d, length = dtypes.numpy_dtype(dtype), memoryview(buffer).nbytes
    if length == 0 or count == 0:
        raise ValueError(f"both buffer length ({length}) and count ({count}) must not be 0")
    if not 0 <= offset < length:
        raise ValueError(f"offset ({offset} bytes) must be non-negative and no greater than buffer length ({length} bytes) minus 1")
    if count < 0 and (length - offset) % d.itemsize:
        raise ValueError(f"buffer length ({length} bytes) after offset ({offset} bytes) must be a multiple of element size ({d.itemsize})")
    if count > 0 and offset + count * d.itemsize > length:
        raise ValueError(f"requested buffer length ({count} * {d.itemsize} bytes) after offset ({offset} bytes) must not be greater "
                         f"than actual buffer length ({length} bytes)")
    return finished(np.frombuffer(buffer, d, count, offset), requires_grad)


def new_tensor(self, data, *, dtype=None, device=None, requires_grad=False, pin_memory=False):
    """A copy of `data` in the type and place of this tensor."""
    dtype = self.array.dtype if dtype is None else dtypes.numpy_dtype(dtype)
    return finished(as_array(data, dtype, backend.device_of(self.array) if device is None else device), requires_grad)


def new(self, *data, device=None):
    """The old constructor: new(2, 3) uninitialised, new([1, 2]) from data, in the type and place of this tensor."""
    return wrap(legacy(data, self.array.dtype, backend.device_of(self.array) if device is None else device))


Tensor.new_tensor, Tensor.new = new_tensor, new


# ---- questions ------------------------------------------------------------------------------------------------

@public
def is_tensor(obj):
    """Whether `obj` is a Tensor."""
    return isinstance(obj, Tensor)


@public
def result_type(tensor1, tensor2):
    """The dtype of an elementwise op on the two (tensors or numbers)."""
    return dtypes.of(dtypes.result_type([v.array if isinstance(v, Tensor) else v for v in (tensor1, tensor2)]))


@public
def can_cast(from_, to):
    """Whether PyTorch's promotion rules allow the cast: never to a lower kind, as float to int or int to bool."""
    return dtypes.of(dtypes.numpy_dtype(from_)).kind <= dtypes.of(dtypes.numpy_dtype(to)).kind


@public
def numel(input):
    """How many elements `input` has."""
    return require_tensor(input, "numel").array.size


@public
def is_nonzero(input):
    """Whether the one element of `input` is not zero; RuntimeError where it has not exactly one."""
    return bool(require_tensor(input, "is_nonzero"))


@public
def is_floating_point(input):
    """Whether the dtype of `input` is a floating one."""
    return dtypes.is_float(require_tensor(input, "is_floating_point").array.dtype)


Tensor.numel = Tensor.nelement = numel
Tensor.is_floating_point, Tensor.is_nonzero = is_floating_point, is_nonzero


# ---- old constructors -------------------------------------------------------------------------------------------

class LegacyType(type):
    """FloatTensor and its like: `isinstance(t, FloatTensor)` asks for a CPU tensor of that dtype."""

    def __instancecheck__(cls, t):
        return isinstance(t, Tensor) and t.array.dtype == cls.dtype.numpy and type(t.array) is np.ndarray

    def __call__(cls, *data, device=None):
        if len(data) == 1 and isinstance(data[0], Tensor) and not isinstance(data[0], cls):
            raise TypeError(f"{cls.__name__}(): expected a tensor of {cls.dtype} on the CPU, got {data[0].dtype} on {data[0].device}")
        return wrap(legacy(data, cls.dtype.numpy, device))


for _name, _dtype in dict(Float="float32", Double="float64", Half="float16", BFloat16="bfloat16", Long="int64", Int="int32",
                          Short="int16", Char="int8", Byte="uint8", Bool="bool").items():
    HOMES["torch"][_name + "Tensor"] = LegacyType(_name + "Tensor", (), {
        "dtype": dtypes.lookup(_dtype), "__module__": "minitorch",
        "__doc__": f"The old constructor of {_dtype} tensors: from sizes or from data."})
