"""Making tensors from sizes and numbers: filled, in sequences, like another tensor."""
import builtins
import math

import numpy as np

from .. import backend, dtypes, threads
from ..autograd.op import HOMES, composed
from ..autograd.out import at_home
from ..cases import booleans, integers, normal
from ..convert import number, refuse_overflow, sizes, whole_number
from ..tensor import Tensor, wrap
from .. import copies
from ..copies import all_like


def public(f):
    """Enter a function that makes tensors from none among minitorch's own."""
    HOMES["torch"][f.__name__] = at_home("torch", f.__name__, f)
    return f


def finished(array, requires_grad):
    """The tensor that a creation function returns."""
    t = wrap(array)
    return t.requires_grad_() if requires_grad else t


def require_tensor(input, name):
    if not isinstance(input, Tensor):
        raise TypeError(f"{name}(): argument 'input' must be Tensor, not {type(input).__name__}")
    return input


def allocated(maker, shape, dtype, *more):
    """maker(shape, *more, dtype), with PyTorch's error where memory does not suffice."""
    try:
        return maker(shape, *more, dtype=dtype)
    except (ValueError, MemoryError) as error:
        raise RuntimeError(f"can't allocate a tensor of shape {tuple(shape)} and type {dtypes.of(dtype).name}: {error}") from None


def maker(name, device):
    """The function zeros, ones or full of the library of that device: for NumPy the one that several threads help."""
    library = backend.library(device)
    return getattr(copies if library is np else library, name)


def chosen(dtype):
    """NumPy dtype for a `dtype=` argument; None: the default float."""
    return dtypes.default if dtype is None else dtypes.numpy_dtype(dtype)


# ---- filled -------------------------------------------------------------------------------------------------

@public
def zeros(*args, size=None, dtype=None, device=None, requires_grad=False, pin_memory=False):
    """A tensor of zeros: zeros(2, 3) or zeros((2, 3))."""
    return finished(allocated(maker("zeros", device), sizes(args, "zeros", size), chosen(dtype)), requires_grad)


@public
def ones(*args, size=None, dtype=None, device=None, requires_grad=False, pin_memory=False):
    """A tensor of ones."""
    return finished(allocated(maker("ones", device), sizes(args, "ones", size), chosen(dtype)), requires_grad)


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
    """The array of that shape with `fill` everywhere; RuntimeError where the dtype cannot hold it."""
    if dtype.kind in "iu":
        refuse_overflow(fill, dtype)
        fill = int(fill) & (2 ** 8 - 1) if dtype.kind == "u" else int(fill)
    elif dtype.kind == "b":
        fill = builtins.bool(fill)
    else:
        refuse_overflow(fill, dtype)
        fill = float(fill)
    return allocated(maker("full", device), shape, dtype, fill)


def like(name, input, dtype, device):
    """(the array to follow, on the device asked for, and the NumPy dtype to make) for zeros_like and its like."""
    require_tensor(input, name)
    array = input.array if device is None else backend.move(input.array, device)
    return array, array.dtype if dtype is None else dtypes.numpy_dtype(dtype)


@composed(method=False)
def zeros_like(input, *, dtype=None, device=None, requires_grad=False, memory_format=None):
    """Zeros in the shape, type and place of `input`."""
    array, dtype = like("zeros_like", input, dtype, device)
    return finished(all_like(array, 0, dtype), requires_grad)

zeros_like.case(normal(2, 3))
zeros_like.case(integers(2, 3), dtype=dtypes.float64)


@composed(method=False)
def ones_like(input, *, dtype=None, device=None, requires_grad=False, memory_format=None):
    """Ones in the shape, type and place of `input`."""
    array, dtype = like("ones_like", input, dtype, device)
    return finished(all_like(array, 1, dtype), requires_grad)

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


for _method in (new_zeros, new_ones, new_empty, new_full):
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
    library = backend.library(device)
    if dtype.kind in "iu":
        start, step = int(start), int(step)
    if library is not np or count < 2 * copies.LEAST:
        return finished(sequence(library, count, start, step, dtype), requires_grad)
    return finished(long_sequence(count, start, step, dtype), requires_grad)


def sequence(library, count, start, step, dtype):
    """start + i * step for i from 0 to count - 1, found in the widest numbers."""
    i = library.arange(count, dtype=dtypes.I64 if dtype.kind in "iu" else dtypes.F64)
    return (i * step + start).astype(dtype, copy=False)


def long_sequence(count, start, step, dtype):
    """`sequence` by several threads, BLOCK numbers at a time."""
    y = np.empty(count, dtype)
    whole = dtype.kind in "iu"
    i = sequence(np, BLOCK, 0, step if whole else 1, dtypes.I64 if whole else dtypes.F64)

    def part(first, stop):
        for at in range(first, stop, BLOCK):
            to = y[at:min(at + BLOCK, stop)]
            if whole:
                np.add(i[:to.size], start + at * step, out=to, casting="unsafe")
            else:
                to[...] = (i[:to.size] + at) * step + start

    threads.run(part, count)
    return y


BLOCK = 1 << 16                                      # numbers of a sequence that are found at a time


@public
def linspace(start, end, steps, *, dtype=None, device=None, requires_grad=False, pin_memory=False):
    """`steps` numbers from `start` to `end`, both included, evenly spaced."""
    return finished(spaced("linspace", start, end, steps, chosen(dtype), device).astype(chosen(dtype), copy=False), requires_grad)


@public
def logspace(start, end, steps, base=10.0, *, dtype=None, device=None, requires_grad=False, pin_memory=False):
    """base ** linspace(start, end, steps)."""
    exponents = spaced("logspace", start, end, steps, chosen(dtype), device)
    return finished((float(base) ** exponents).astype(chosen(dtype)), requires_grad)


def spaced(name, start, end, steps, dtype, device):
    """The float64 numbers of linspace and logspace: counted up from `start` in the first half, down from `end` in the second."""
    start, end, steps = number(start, name, "start"), number(end, name, "end"), whole_number(steps, name, "steps")
    if steps < 0:
        raise RuntimeError(f"number of steps must be non-negative, got {steps}")
    if dtype.kind == "b":
        raise NotImplementedError(f"{name}() is not implemented for bool")
    library = backend.library(device)
    i = library.arange(steps).astype(dtypes.F64)
    step = (end - start) / builtins.max(steps - 1, 1)
    return library.where(i < steps / 2, start + i * step, end - (steps - 1 - i) * step)


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
