"""Python data to arrays: what `tensor([[1, 2.5], [3, 4]])` holds, in which number type, and what a size or a number may be.

Floats take the default dtype, ints int64, bools bool; NumPy's scalars and arrays and one-element
tensors keep their own type, and a mixture takes the type that all promote to.
"""
import math
import operator
from functools import lru_cache

import numpy as np

from . import backend, dtypes
from .tensor import Size, Tensor

SIMPLE = {float, int, bool}


def as_array(data, dtype=None, device=None):
    """`data` (numbers, nested sequences, arrays, tensors) as a new array of NumPy dtype `dtype` (None: inferred) on `device`.

    ValueError for ragged nesting, RuntimeError for what is no number or does not fit `dtype`, TypeError for strings.
    """
    if isinstance(data, Tensor):
        data = data.array
    if backend.is_array(data):
        refuse_odd_layout(data)
        array = backend.move(data, device) if device is not None else data
        library = backend.xp(array)
        return library.array(array, dtype=of_array(data).newbyteorder("=") if dtype is None else dtype)
    if hasattr(data, "__dlpack__") and not isinstance(data, (np.ndarray, np.generic)):       # another library's array
        from .exchange import from_dlpack
        return as_array(from_dlpack(data), dtype, device)
    library = backend.library(device)
    if isinstance(data, np.generic):
        return library.array(np.asarray(data), dtype=of_array(data) if dtype is None else dtype)
    array = from_nested(data, dtype)
    return array if library is np else library.asarray(array)


def of_array(array):
    """The NumPy dtype of `array`; TypeError where tensors cannot hold it."""
    return dtypes.of(array.dtype).numpy


def refuse_odd_layout(array):
    """ValueError for an array in foreign byte order or with a negative stride, which PyTorch refuses."""
    if not array.dtype.isnative:
        raise ValueError("given numpy array has byte order different from the native byte order: "
                         "use array.astype(array.dtype.newbyteorder('='))")
    if any(s < 0 for s in array.strides):
        raise ValueError("At least one stride in the given numpy array is negative, and tensors with negative strides are not "
                         "supported. (You can probably work around this by making a copy of your array with array.copy().)")


def from_nested(data, dtype):
    """A number or nested sequences as a NumPy array."""
    if isinstance(data, (str, bytes)):
        raise TypeError(f"new(): invalid data type '{type(data).__name__}'")
    types = set()
    data = plain(data, types)
    if dtype is None:
        dtype = inferred(types)
    whole = dtype.kind in "iu" and all(t is int or t is bool or isinstance(t, np.dtype) and t.kind in "iub" for t in types)
    compute = dtypes.I64 if whole else dtypes.B8 if dtype.kind == "b" else dtypes.F64 if dtype != dtypes.F32 else dtype
    try:
        array = np.array(data, dtype=compute)
    except OverflowError:
        raise ValueError("Overflow when unpacking long long") from None
    except (ValueError, TypeError) as error:
        refuse_ragged(data, shape_of(data), 0)
        raise ValueError(f"tensor(): {error}") from None
    if dtype.kind in "iu" and array.size:
        refuse_overflow(array.min(), dtype)
        refuse_overflow(array.max(), dtype)
    return array.astype(dtype, copy=False)


def plain(data, types):
    """`data` in lists that NumPy reads, every leaf's type noted in `types`: Python's own, or a NumPy dtype."""
    kind = type(data)
    if kind in SIMPLE:
        types.add(kind)
    elif isinstance(data, (list, tuple)):
        kinds = set(map(type, data))
        if not kinds <= SIMPLE:
            return [plain(d, types) for d in data]
        types |= kinds
    elif isinstance(data, Tensor):
        if data.array.size != 1:
            raise ValueError(f"only one element tensors can be converted to Python scalars, not one of shape {tuple(data.shape)}: "
                             "use stack or cat to join tensors")
        types.add(data.array.dtype)
        return backend.to_numpy(data.array).reshape(())[()]
    elif isinstance(data, (np.generic, np.ndarray)):
        types.add(of_array(data))
    elif isinstance(data, (bool, int, float)):                   # an IntEnum, for example
        types.add(bool if isinstance(data, bool) else int if isinstance(data, int) else float)
    elif isinstance(data, str):
        raise ValueError("too many dimensions 'str'")
    elif isinstance(data, bytes):
        raise TypeError("new(): invalid data type 'bytes'")
    elif hasattr(data, "__getitem__") and hasattr(data, "__len__") and not isinstance(data, dict):
        return plain([data[i] for i in range(len(data))], types)
    else:
        raise RuntimeError(f"Could not infer dtype of {kind.__name__}")
    return data


def inferred(types):
    """The NumPy dtype that holds leaves of all these types."""
    result = None
    for t in types:
        d = dtypes.default if t is float else dtypes.I64 if t is int else dtypes.B8 if t is bool else t
        result = d if result is None else dtypes.promote(result, d)
    return dtypes.default if result is None else result


def shape_of(data):
    """The shape that the first entries of nested sequences promise."""
    shape = ()
    while isinstance(data, (list, tuple)):
        shape += (len(data),)
        data = data[0] if data else None
    return shape + getattr(data, "shape", ())


def refuse_ragged(data, shape, dim):
    """PyTorch's error for the first entry that breaks the promise of `shape`."""
    if dim == len(shape):
        if isinstance(data, (list, tuple)) or getattr(data, "ndim", 0):
            raise TypeError(f"'{type(data).__name__}' object cannot be interpreted as an integer")
        return
    if not hasattr(data, "__len__"):
        raise TypeError(f"not a sequence: a number stands at dim {dim} where a sequence of length {shape[dim]} is expected")
    if len(data) != shape[dim]:
        raise ValueError(f"expected sequence of length {shape[dim]} at dim {dim} (got {len(data)})")
    for d in data:
        refuse_ragged(d, shape, dim + 1)


def refuse_overflow(number, dtype):
    """RuntimeError for a number that `dtype` cannot hold; negative whole numbers wrap in unsigned ones, as in PyTorch."""
    low, high = limits(dtype)
    if low == 0 and isinstance(number, (int, np.integer)):
        low = -high
    if not low <= number <= high and (dtype.kind in "iu" or math.isfinite(number)):
        raise RuntimeError(f"value {number} cannot be converted to type {dtypes.of(dtype).name} without overflow")


@lru_cache
def limits(dtype):
    """The least and the greatest number of a NumPy dtype, infinities aside."""
    info = (dtypes.finfo if dtypes.is_float(dtype) else dtypes.iinfo)(dtype)
    return info.min, info.max


# ---- arguments ------------------------------------------------------------------------------------------

def sizes(args, name, size=None):
    """The shape asked for by `f(2, 3)`, `f((2, 3))` or `f(size=(2, 3))`."""
    if size is not None:
        if args:
            raise TypeError(f"{name}() got multiple values for argument 'size'")
        if not isinstance(size, (tuple, list)):
            raise TypeError(f"{name}(): argument 'size' must be tuple of ints, not {type(size).__name__}")
        args = (size,)
    elif not args:
        raise TypeError(f"{name}() missing 1 required positional arguments: \"size\"")
    if isinstance(args[0], (tuple, list)):
        if len(args) > 1:
            raise TypeError(f"{name}() takes 1 positional argument but {len(args)} were given")
        args, = args
    shape = tuple([n if type(n) is int else whole_number(n, name, "size") for n in args])
    if shape and min(shape) < 0:
        raise RuntimeError(f"{name}: Trying to create tensor with negative dimension {min(shape)}: {list(shape)}")
    return shape


def whole_number(n, name, argument):
    """`n`, an int or something that stands for one, as an int."""
    try:
        return int(n.array) if isinstance(n, Tensor) and n.array.size == 1 and n.array.dtype.kind in "iu" else operator.index(n)
    except TypeError:
        raise TypeError(f"{name}(): argument '{argument}' must be int, not {type(n).__name__}") from None


def number(x, name, argument):
    """`x`, a Python or NumPy number or a 0-d tensor, as a Python number."""
    if isinstance(x, (bool, int, float)):
        return x
    if isinstance(x, Tensor) and x.array.ndim == 0:
        x = x.array
    elif not isinstance(x, np.generic):
        raise TypeError(f"{name}(): argument '{argument}' must be Number, not {type(x).__name__}")
    return x.item()


def legacy(data, dtype, device=None):
    """The array of `Tensor(2, 3)`, `Tensor([1, 2])`, `Tensor(other)`: sizes, data, or another tensor's own array."""
    if len(data) == 1 and not isinstance(data[0], (int, np.integer, Size)):
        data, = data
        if isinstance(data, Tensor):
            return backend.move(data.array, device) if device is not None else data.array
        if not hasattr(data, "__len__") and not backend.is_array(data):
            raise TypeError(f"new(): data must be a sequence (got {type(data).__name__})")
        return as_array(data, dtype, device)
    return backend.library(device).zeros(sizes(data or (0,), "new"), dtype)
