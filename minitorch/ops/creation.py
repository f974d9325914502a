"""Making tensors: from data, filled, in sequences, like another, from foreign memory."""
import builtins
import math
import warnings

import numpy as np

from .. import backend, dtypes
from ..autograd.op import HOMES, composed
from ..cases import booleans, integers, normal
from ..convert import as_array, legacy, number, refuse_odd_layout, refuse_overflow, sizes, whole_number
from ..tensor import Tensor, wrap
from .dtype import cast


def public(f):
    """Enter a function that makes tensors from none among minitorch's own."""
    HOMES["torch"][f.__name__] = f
    return f


def finished(array, requires_grad):
    """The tensor that a creation function returns."""
    t = wrap(array)
    return t.requires_grad_() if requires_grad else t


def allocated(maker, shape, dtype, *more):
    """maker(shape, *more, dtype), with PyTorch's error where memory does not suffice."""
    try:
        return maker(shape, *more, dtype=dtype)
    except (ValueError, MemoryError) as error:
        raise RuntimeError(f"can't allocate a tensor of shape {tuple(shape)} and type {dtypes.of(dtype).name}: {error}") from None


def chosen(dtype):
    """NumPy dtype for a `dtype=` argument; None: the default float."""
    return dtypes.default if dtype is None else dtypes.numpy_dtype(dtype)


# ---- from data --------------------------------------------------------------------------------------------

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
    """`obj` as a tensor; copy=True never shares its memory, copy=False does or raises ValueError, None shares where possible."""
    shared = isinstance(obj, Tensor) or type(obj) is np.ndarray
    t = as_tensor(from_dlpack(obj) if hasattr(obj, "__dlpack__") and not shared and not isinstance(obj, np.generic) else obj, dtype, device)
    source = obj.array if isinstance(obj, Tensor) else obj
    aliased = type(source) in backend.MODULES and backend.xp(source).may_share_memory(t.array, source)
    if copy and aliased:
        t = wrap(backend.xp(t.array).array(t.array))
    elif copy is False and not aliased:
        raise ValueError(f"can't alias {type(obj).__name__} into a tensor" + (f" of type {dtype}" if dtype is not None else ""))
    if requires_grad is False and t.requires_grad:
        return t.detach()
    return t.requires_grad_() if requires_grad and not t.requires_grad else t


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


@public
def from_dlpack(ext_tensor):
    """A tensor sharing the memory of another library's array (any object with __dlpack__), on its device."""
    if isinstance(ext_tensor, Tensor):
        return ext_tensor.detach()
    on_cpu = not hasattr(ext_tensor, "__dlpack_device__") or ext_tensor.__dlpack_device__()[0] in (1, 3)
    array = (np if on_cpu else backend.load_cupy()).from_dlpack(ext_tensor)
    dtypes.of(array.dtype)
    return wrap(array)


def __dlpack__(self, *, stream=None, max_version=None, dl_device=None, copy=None):
    """A DLPack capsule of the memory of this tensor; BufferError if it requires grad."""
    if self.requires_grad:
        raise BufferError("Can't export tensors that require gradient, use tensor.detach()")
    return self.array.__dlpack__(stream=stream, max_version=max_version, dl_device=dl_device, copy=copy)


Tensor.__dlpack__ = __dlpack__
Tensor.__dlpack_device__ = lambda self: self.array.__dlpack_device__()


# ---- filled -------------------------------------------------------------------------------------------------

@public
def zeros(*args, size=None, dtype=None, device=None, requires_grad=False, pin_memory=False):
    """A tensor of zeros: zeros(2, 3) or zeros((2, 3))."""
    return finished(allocated(backend.library(device).zeros, sizes(args, "zeros", size), chosen(dtype)), requires_grad)


@public
def ones(*args, size=None, dtype=None, device=None, requires_grad=False, pin_memory=False):
    """A tensor of ones."""
    return finished(allocated(backend.library(device).ones, sizes(args, "ones", size), chosen(dtype)), requires_grad)


@public
def empty(*args, size=None, dtype=None, device=None, requires_grad=False, pin_memory=False, memory_format=None):
    """A tensor of whatever the memory held."""
    return finished(allocated(backend.library(device).empty, sizes(args, "empty", size), chosen(dtype)), requires_grad)


@public
def full(size, fill_value, *, dtype=None, device=None, requires_grad=False, pin_memory=False):
    """A tensor of `fill_value`, in its type unless dtype says otherwise."""
    fill = number(fill_value, "full", "fill_value")
    if dtype is None and isinstance(fill_value, Tensor):
        dtype = fill_value.dtype
    if not isinstance(size, (tuple, list)):
        raise TypeError(f"full(): argument 'size' must be tuple of ints, not {type(size).__name__}")
    return finished(filled(sizes((size,), "full"), fill, dtypes.scalar_dtype(fill) if dtype is None else dtypes.numpy_dtype(dtype), device),
                    requires_grad)


def filled(shape, fill, dtype, device):
    """The array of that shape with `fill` everywhere; RuntimeError where an integer dtype cannot hold it."""
    if dtype.kind in "iu":
        refuse_overflow(fill, dtype)
        fill = int(fill) & (2 ** 8 - 1) if dtype.kind == "u" else int(fill)
    elif dtype.kind == "b":
        fill = builtins.bool(fill)
    return allocated(backend.library(device).full, shape, dtype, fill)


def like(name, input, dtype, device):
    """(the array to follow, on the device asked for, and the NumPy dtype to make) for zeros_like and its like."""
    require_tensor(input, name)
    array = input.array if device is None else backend.move(input.array, device)
    return array, array.dtype if dtype is None else dtypes.numpy_dtype(dtype)


@composed(method=False)
def zeros_like(input, *, dtype=None, device=None, requires_grad=False, memory_format=None):
    """Zeros in the shape, type and place of `input`."""
    array, dtype = like("zeros_like", input, dtype, device)
    return finished(backend.xp(array).zeros_like(array, dtype=dtype), requires_grad)

zeros_like.case(normal(2, 3))
zeros_like.case(integers(2, 3), dtype=dtypes.float64)


@composed(method=False)
def ones_like(input, *, dtype=None, device=None, requires_grad=False, memory_format=None):
    """Ones in the shape, type and place of `input`."""
    array, dtype = like("ones_like", input, dtype, device)
    return finished(backend.xp(array).ones_like(array, dtype=dtype), requires_grad)

ones_like.case(normal(2, 3))
ones_like.case(booleans(4))


@composed(method=False)
def empty_like(input, *, dtype=None, device=None, requires_grad=False, memory_format=None):
    """Uninitialised memory in the shape, type and place of `input`."""
    array, dtype = like("empty_like", input, dtype, device)
    return finished(backend.xp(array).empty_like(array, dtype=dtype), requires_grad)

empty_like.case(normal(0, 3))


@composed(method=False)
def full_like(input, fill_value, *, dtype=None, device=None, requires_grad=False, memory_format=None):
    """`fill_value` in the shape, type and place of `input`."""
    array, dtype = like("full_like", input, dtype, device)
    return finished(filled(array.shape, number(fill_value, "full_like", "fill_value"), dtype, backend.device_of(array)), requires_grad)

full_like.case(normal(2, 3), 2)
full_like.case(integers(2, 3), 1.7)


def new_zeros(self, *args, size=None, dtype=None, device=None, requires_grad=False, pin_memory=False):
    """Zeros of another shape in the type and place of this tensor."""
    return new_full(self, sizes(args, "new_zeros", size), 0, dtype, device, requires_grad)


def new_ones(self, *args, size=None, dtype=None, device=None, requires_grad=False, pin_memory=False):
    """Ones of another shape in the type and place of this tensor."""
    return new_full(self, sizes(args, "new_ones", size), 1, dtype, device, requires_grad)


def new_empty(self, *args, size=None, dtype=None, device=None, requires_grad=False, pin_memory=False):
    """Uninitialised memory of another shape in the type and place of this tensor."""
    array, dtype = like("new_empty", self, dtype, device)
    return finished(allocated(backend.xp(array).empty, sizes(args, "new_empty", size), dtype), requires_grad)


def new_full(self, size, fill_value, dtype=None, device=None, requires_grad=False, pin_memory=False):
    """`fill_value` in another shape in the type and place of this tensor."""
    if not isinstance(size, (tuple, list)):
        raise TypeError(f"new_full(): argument 'size' must be tuple of ints, not {type(size).__name__}")
    dtype = self.array.dtype if dtype is None else dtypes.numpy_dtype(dtype)
    return finished(filled(sizes((size,), "new_full"), number(fill_value, "new_full", "fill_value"), dtype,
                           backend.device_of(self.array) if device is None else device), requires_grad)


def new_tensor(self, data, *, dtype=None, device=None, requires_grad=False, pin_memory=False):
    """A copy of `data` in the type and place of this tensor."""
    dtype = self.array.dtype if dtype is None else dtypes.numpy_dtype(dtype)
    return finished(as_array(data, dtype, backend.device_of(self.array) if device is None else device), requires_grad)


def new(self, *data, device=None):
    """The old constructor: new(2, 3) uninitialised, new([1, 2]) from data, in the type and place of this tensor."""
    return wrap(legacy(data, self.array.dtype, backend.device_of(self.array) if device is None else device))


for _method in (new_zeros, new_ones, new_empty, new_full, new_tensor, new):
    setattr(Tensor, _method.__name__, _method)


# ---- sequences ------------------------------------------------------------------------------------------------

@public
def arange(*args, start=0, end=None, step=1, dtype=None, device=None, requires_grad=False, pin_memory=False):
    """start, start + step, ... up to, not including, end: arange(end), arange(start, end, step).

    int64 where all are whole, the default float otherwise.  RuntimeError for a step of 0 or in the wrong direction.
    """
    if len(args) > 3 or not args and end is None:
        raise TypeError(f"arange() takes 1 to 3 numbers (end, or start, end, step), {len(args)} were given")
    if len(args) == 1 and end is None:
        end, = args
    else:
        start, end, step = tuple(args) + (start, end, step)[len(args):]
    start, end, step = number(start, "arange", "start"), number(end, "arange", "end"), number(step, "arange", "step")
    if dtype is None:
        dtype = dtypes.default if builtins.any(isinstance(v, float) for v in (start, end, step)) else dtypes.I64
    dtype = dtypes.numpy_dtype(dtype)
    if dtype.kind == "b":
        raise NotImplementedError("arange() is not implemented for bool")
    if not math.isfinite(start) or not math.isfinite(end):
        raise RuntimeError(f"unsupported range: {start} -> {end}")
    if step == 0:
        raise RuntimeError("step must be nonzero")
    if (end - start) * step < 0:
        raise RuntimeError(f"upper bound and lower bound inconsistent with step sign: {start} -> {end} by {step}")
    if dtype.kind in "iu":
        if int(step) == 0:
            raise ValueError(f"step must be nonzero: {step} as {dtypes.of(dtype).name} is 0")
        if dtype == dtypes.I64:
            start, end, step = int(start), int(end), int(step)
    count = -((start - end) // step) if isinstance(start, int) and isinstance(end, int) and isinstance(step, int) else \
        math.ceil((end - start) / step)
    steps = backend.library(device).arange(count, dtype=dtypes.I64 if dtype.kind in "iu" else dtypes.F64)
    if dtype.kind in "iu":
        start, step = int(start), int(step)
    return finished((steps * step + start).astype(dtype, copy=False), requires_grad)


@public
def linspace(start, end, steps, *, dtype=None, device=None, requires_grad=False, pin_memory=False):
    """`steps` numbers from `start` to `end`, both included, evenly spaced."""
    array = spaced("linspace", start, end, steps, chosen(dtype), device)
    return finished(array.astype(chosen(dtype), copy=False), requires_grad)


@public
def logspace(start, end, steps, base=10.0, *, dtype=None, device=None, requires_grad=False, pin_memory=False):
    """base ** linspace(start, end, steps)."""
    exponents = spaced("logspace", start, end, steps, chosen(dtype), device)
    return finished((float(base) ** exponents.astype(dtypes.F64)).astype(chosen(dtype)), requires_grad)


def spaced(name, start, end, steps, dtype, device):
    """The evenly spaced numbers of linspace and logspace: counted up from `start` in the first half, down from `end` in the second."""
    start, end, steps = number(start, name, "start"), number(end, name, "end"), whole_number(steps, name, "steps")
    if steps < 0:
        raise RuntimeError(f"number of steps must be non-negative, got {steps}")
    if dtype.kind == "b":
        raise NotImplementedError(f"{name}() is not implemented for bool")
    library, compute = backend.library(device), dtypes.F32 if dtypes.is_half(dtype) or dtype == dtypes.F32 else dtypes.F64
    i = library.arange(steps).astype(compute)
    step = compute.type((compute.type(end) - compute.type(start)) / compute.type(builtins.max(steps - 1, 1)))
    return library.where(i < steps / 2 if steps > 1 else i < 1, start + i * step, end - (steps - 1 - i) * step).astype(compute, copy=False)


@public
def eye(n, m=None, *, dtype=None, device=None, requires_grad=False, pin_memory=False):
    """The n x m matrix (m None: n x n) with ones on its diagonal."""
    n = whole_number(n, "eye", "n")
    m = n if m is None else whole_number(m, "eye", "m")
    for letter, size in (("n", n), ("m", m)):
        if size < 0:
            raise RuntimeError(f"{letter} must be greater or equal to 0, got {size}")
    return finished(backend.library(device).eye(n, m, dtype=chosen(dtype)), requires_grad)


@public
def tril_indices(row, col, offset=0, *, dtype=None, device=None):
    """(2, n): the rows and columns of the entries on and below diagonal `offset` of a row x col matrix."""
    return triangle(row, col, lambda i, j: j - i <= offset, dtype, device)


@public
def triu_indices(row, col, offset=0, *, dtype=None, device=None):
    """(2, n): the rows and columns of the entries on and above diagonal `offset` of a row x col matrix."""
    return triangle(row, col, lambda i, j: j - i >= offset, dtype, device)


def triangle(row, col, inside, dtype, device):
    if row < 0 or col < 0:
        raise RuntimeError(f"row and col must be non-negative, got {row} and {col}")
    library = backend.library(device)
    pairs = library.nonzero(inside(library.arange(row)[:, None], library.arange(col)))
    return wrap(library.stack(pairs).astype(dtypes.I64 if dtype is None else dtypes.numpy_dtype(dtype), copy=False))


@public
def scalar_tensor(s, *, dtype=None, device=None, requires_grad=False, pin_memory=False):
    """A 0-d tensor of the number `s`, in the default float unless dtype says otherwise."""
    return finished(filled((), number(s, "scalar_tensor", "s"), chosen(dtype), device), requires_grad)


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
def is_floating_point(input):
    """Whether the dtype of `input` is a floating one."""
    return dtypes.is_float(require_tensor(input, "is_floating_point").array.dtype)


def require_tensor(input, name):
    if not isinstance(input, Tensor):
        raise TypeError(f"{name}(): argument 'input' must be Tensor, not {type(input).__name__}")
    return input


Tensor.numel = Tensor.nelement = numel
Tensor.is_floating_point = is_floating_point


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
        "dtype": dtypes.lookup(_dtype), "__doc__": f"The old constructor of {_dtype} tensors: from sizes or from data."})
