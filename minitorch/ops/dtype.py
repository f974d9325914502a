"""Other number types and other places: to, float, cpu and their like; copies; a tensor's numbers as Python's."""
import numpy as np

from .. import backend, dtypes
from ..autograd import views
from ..autograd.mode import mode
from ..autograd.numbers import in_range
from ..autograd.op import HOMES, composed, keep, op
from ..backend import xp
from ..cases import integers, normal
from ..convert import refuse_overflow
from ..tensor import Tensor, wrap
from .choose import zero
from ..copies import LARGE, all_like, converted, copied, write


@op(home="")
def cast(input, /, dtype):
    """The numbers of `input` in another NumPy dtype; itself when it has it already."""
    return input if input.dtype == dtype else converted(input, np.dtype(dtype))

cast.vjp(lambda g: g)                                # the engine brings g back to input's dtype
cast.case(normal(3, 4), dtype="float64")


@op(home="")
def moved(input, /, device):
    """`input` on another device."""
    return keep(backend.move(input, device), origin=backend.device_of(input))

moved.vjp(lambda g, origin: moved(g, device=origin))
moved.case(normal(3, 4), device="cpu")


# ---- Tensor.to and its short forms --------------------------------------------------------------------------------

def to(self, *args, dtype=None, device=None, other=None, non_blocking=False, copy=False, memory_format=None):
    """This tensor in another dtype or on another device: to(dtype), to(device), to(device, dtype), to(other).

    Itself where nothing changes, unless copy=True.  non_blocking and memory_format are accepted and change nothing.
    """
    flags = []
    for a in (*args, other):
        if isinstance(a, Tensor):
            dtype, device = a.dtype, a.device
        elif isinstance(a, (dtypes.dtype, type, np.dtype)):
            dtype = a
        elif isinstance(a, bool):
            flags.append(a)
        elif a is not None:
            device = a
    copy = flags[1] if len(flags) > 1 else copy
    y = self
    if device is not None and backend.library(device) is not xp(y.array):
        y = moved(y, device=device)
    if dtype is not None and (wanted := dtypes.numpy_dtype(dtype)) != y.array.dtype:
        y = cast(y, dtype=wanted)
    return clone(y) if copy and y is self else y


def short_form(dtype):
    def method(self, memory_format=None):
        return self if self.array.dtype == dtype.numpy else cast(self, dtype=dtype.numpy)
    return method


for _name, _dtype in dict(double="float64", float="float32", half="float16", bfloat16="bfloat16", long="int64", int="int32",
                          short="int16", char="int8", byte="uint8", bool="bool").items():
    _method = short_form(dtypes.lookup(_dtype))
    _method.__name__ = _method.__qualname__ = _name
    _method.__doc__ = f"This tensor in {_dtype}."
    setattr(Tensor, _name, _method)

LETTERS = dict(float64="Double", float32="Float", float16="Half", bfloat16="BFloat16", int64="Long", int32="Int", int16="Short",
               int8="Char", uint8="Byte", bool="Bool")


def type_(self, dtype=None, non_blocking=False):
    """The name of the old tensor class without `dtype` ('torch.FloatTensor'), else this tensor converted.

    dtype: a minitorch.dtype, an old class such as minitorch.LongTensor, or its name.
    """
    if dtype is None:
        return f"torch.{'cuda.' if self.is_cuda else ''}{LETTERS[self.dtype.name]}Tensor"
    if isinstance(dtype, dtypes.dtype):
        return self.to(dtype)
    name = dtype if isinstance(dtype, str) else dtype.__name__
    device = "cuda" if ".cuda." in name else "cpu" if isinstance(dtype, str) else None
    name = name.rpartition(".")[2]
    for known, letters in LETTERS.items():
        if name == letters + "Tensor":
            return self.to(device, dtypes.lookup(known))
    raise ValueError(f"invalid type: '{name}'")


def type_as(self, other):
    """This tensor in the dtype and on the device of `other`."""
    if not isinstance(other, Tensor):
        raise TypeError(f"type_as(): argument 'other' must be Tensor, not {type(other).__name__}")
    return self.to(other)


def cpu(self, memory_format=None):
    """This tensor in the computer's own memory."""
    return self.to("cpu")


def cuda(self, device=None, non_blocking=False, memory_format=None):
    """This tensor on the GPU; RuntimeError where there is none."""
    return self.to("cuda" if device is None else device)


Tensor.to, Tensor.type, Tensor.type_as, Tensor.cpu, Tensor.cuda = to, type_, type_as, cpu, cuda
Tensor.is_cuda = property(lambda self: type(self.array) is not np.ndarray, doc="Whether it is on a GPU.")


# ---- copies ---------------------------------------------------------------------------------------------------

@op(home="", called="clone")
def clone_of(input, /):
    """A copy; its axes keep their order in memory, unless some share memory."""
    return copied(input, order="C" if 0 in input.strides else "K")

clone_of.vjp(lambda g: g)
clone_of.case(normal(3, 4))


@composed
def clone(input, *, memory_format=None):
    """A copy in memory of its own, inside the graph; row by row where memory_format is contiguous_format."""
    return contiguous_of(input) if getattr(memory_format, "name", None) == "contiguous_format" else clone_of(input)

clone.case(normal(3, 4))
clone.case(normal())
clone.case(integers(2, 3))


@op(home="", called="clone")
def contiguous_of(input, /):
    """A copy with the last axis varying fastest in memory."""
    return copied(input)

contiguous_of.vjp(lambda g: g)
contiguous_of.case(normal(3, 4))


def contiguous(self, memory_format=None):
    """This tensor laid out in memory row by row: itself where it is so already, else a copy."""
    return self if self.array.flags.c_contiguous else contiguous_of(self)


def is_contiguous(self, memory_format=None):
    """Whether the elements lie in memory row by row."""
    return self.array.flags.c_contiguous


Tensor.contiguous, Tensor.is_contiguous = contiguous, is_contiguous


# ---- written over ---------------------------------------------------------------------------------------------

def fitting(number, dtype):
    """What a number becomes in `dtype`: -1 is 255 in uint8, 2.7 is 2; RuntimeError where it does not fit, as NaN in whole numbers."""
    if dtype.kind == "b" or not isinstance(number, (int, float)):
        return number
    refuse_overflow(number, dtype)
    return in_range(int(number), dtype) if dtype.kind in "iu" else float(number)


@op(home="", called="fill")
def fill_of(input, other, /):
    """`other`, a single number, in the shape and type of `input`."""
    return all_like(input, fitting(other, input.dtype))

fill_of.vjp(lambda g: zero(g),
            lambda g: g)
fill_of.case(normal(3, 4), normal())


@composed(method=False)
def fill(input, value):
    """`value`, a number or a tensor without axes, in the shape and type of `input`."""
    if isinstance(value, Tensor) and value.array.ndim:
        raise RuntimeError(f"fill_ only supports 0-dimension value tensor but got tensor with {value.array.ndim} dimensions.")
    return fill_of(input, value)

fill.case(normal(3, 4), 2.5)
fill.case(normal(3, 4), normal())
fill.case(integers(3), 7)


@op(home="", called="copy")
def copy_of(input, other, /):
    """`other` in the shape and type of `input`."""
    library = xp(input)
    return copied(library.broadcast_to(other, input.shape), input.dtype)

copy_of.vjp(lambda g: zero(g),
            lambda g: g)
copy_of.case(normal(3, 4), normal(4))


def copy(input, src):
    """`src` in the shape and type of `input`."""
    return copy_of(input, src)


recorded_fill, recorded_copy = views.in_place(fill), views.in_place(copy)


def is_recorded(*tensors):
    return mode.grad and any([isinstance(t, Tensor) and t.requires_grad for t in tensors])


def put(t, value, name):
    """Write `value` into the storage of `t`, outside the graph."""
    views.check_writable(t, False, name)
    if getattr(value, "ndim", 0) > t.array.ndim:
        raise RuntimeError(f"{name}: output with shape {list(t.array.shape)} doesn't match the broadcast shape {list(value.shape)}")
    try:
        if t.array.size < LARGE:
            t.array[...] = value
        else:
            write(t.array, value)
    except ValueError:
        raise RuntimeError(f"{name}: The size of tensor a {tuple(t.array.shape)} must match the size of tensor b "
                           f"{tuple(getattr(value, 'shape', ()))} at every non-singleton dimension") from None
    t.counter[0] = list.__getitem__(t.counter, 0) + 1
    return t


def copy_(self, src, non_blocking=False):
    """Write the numbers of `src`, broadcast and converted, into this tensor; from any device.

    RuntimeError where the shapes do not fit.
    """
    if not isinstance(src, Tensor):
        src = wrap(np.asarray(src))
    if type(src.array) is not type(self.array):
        src = src.to(self.device)
    views.refuse_overlaps(self, (src,), "copy_")
    return recorded_copy(self, src) if is_recorded(self, src) else put(self, src.array, "copy_")


def fill_(self, value):
    """Write `value`, a number or a tensor without axes, everywhere."""
    if isinstance(value, Tensor):
        views.refuse_repeated(self.array, "fill_")
    if is_recorded(self, value):
        return recorded_fill(self, value)
    if isinstance(value, Tensor):
        value = fill(self, value).array
    return put(self, fitting(value, self.array.dtype), "fill_")


def zero_(self):
    """Write zeros."""
    return fill_(self, 0)


Tensor.copy_, Tensor.fill_, Tensor.zero_ = copy_, fill_, zero_
HOMES["torch"].update(fill_=fill_, zero_=zero_)


# ---- Python's own numbers ---------------------------------------------------------------------------------------

def item(self):
    """The only element as a Python number; RuntimeError where there is not exactly one."""
    if self.array.size != 1:
        raise RuntimeError(f"a Tensor with {self.array.size} elements cannot be converted to Scalar")
    number = self.array.item()
    return number if type(number) in (float, int, bool) else float(number)          # bfloat16 has a scalar of its own


def tolist(self):
    """The elements as nested lists of Python numbers; a number for a tensor without axes."""
    array = backend.to_numpy(self.array)
    return (array if array.dtype.kind != "V" else array.astype(dtypes.F32)).tolist()


Tensor.item, Tensor.tolist = item, tolist
