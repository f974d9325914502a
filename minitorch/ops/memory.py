"""What a tensor's memory looks like: sizes, strides, offsets; and `as_strided`, which reads it in any other way."""
import math

import numpy as np

from ..autograd.op import composed, op
from ..backend import xp
from ..cases import normal
from ..tensor import Tensor
from .dims import axis, sizes
from .rows import rows_into
from .strides import strided


def address(x):
    """Where the first element of an array lies."""
    return x.ctypes.data if hasattr(x, "ctypes") else x.data.ptr


def stride_of(t):
    """For each axis how many elements lie between neighbours in memory."""
    a = getattr(t, "array", t)
    if not a.size and not any(a.strides):            # as NumPy makes them
        return tuple([math.prod([max(n, 1) for n in a.shape[i + 1:]]) for i in range(a.ndim)])
    return tuple([s // a.dtype.itemsize for s in a.strides])


def offset_of(t):
    """How many elements after the start of its base tensor `t` begins."""
    a = getattr(t, "array", t)
    return (address(a) - address(t.cut.base.array)) // a.dtype.itemsize if getattr(t, "cut", None) is not None else 0


def size(self, dim=None):
    """The shape, or its size along `dim`."""
    return self.shape if dim is None else self.array.shape[axis(dim, self.array.ndim)] if self.array.ndim else no_axis(dim)


def no_axis(dim):
    raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")


def stride(self, dim=None):
    """For each axis, or for `dim`, how many elements lie between neighbours in memory."""
    return stride_of(self) if dim is None else stride_of(self)[axis(dim, self.array.ndim)] if self.array.ndim else no_axis(dim)


def dim(self):
    """The number of axes."""
    return self.array.ndim


def element_size(self):
    """The bytes of one element."""
    return self.array.dtype.itemsize


def storage_offset(self):
    """How many elements after the start of its storage this tensor begins."""
    return offset_of(self)


def data_ptr(self):
    """The address of the first element."""
    return address(self.array)


for _method in (size, stride, dim, element_size, storage_offset, data_ptr):
    setattr(Tensor, _method.__name__, _method)
Tensor.ndimension = dim
Tensor.itemsize = property(element_size, doc="The bytes of one element.")
Tensor.nbytes = property(lambda self: self.array.nbytes, doc="The bytes of all elements.")


# ---- as_strided ---------------------------------------------------------------------------------------------------

@op(view=True, home="", called="as_strided")
def strided_view(input, /, size, stride, offset, layout):
    """The memory of `input` read with these sizes and strides, starting `offset` after its first element.

    All count elements.  layout: the strides of `input`, by which the derivative finds its elements.
    """
    item = input.dtype.itemsize
    whole = input
    while type(whole.base) is type(input):
        whole = whole.base
    whole = whole if whole.flags.c_contiguous else input
    start = (address(input) - address(whole)) + offset * item
    span = (reach(size, stride) + 1) * item if 0 not in size else 0
    if start < 0 or start + span > whole.nbytes:
        raise RuntimeError(f"setStorage: sizes {list(size)}, strides {list(stride)}, storage offset {start // item}, and itemsize {item} "
                           f"requiring a storage size of {start + span} are out of bounds for storage of size {whole.nbytes}")
    part = whole.reshape(-1).view("u1")[start:start + span].view(input.dtype)
    return strided(part, size, tuple([s * item for s in stride]))

strided_view.vjp(lambda g, input_shape, size, stride, offset, layout:
                 added_back(g, where_from(input_shape, layout, size, stride, offset), input_shape))
strided_view.case(normal(3, 4), (2, 2), (1, 5), 1, (4, 1))
strided_view.case(normal(6), (2, 3), (1, 1), 0, (1,))
strided_view.case(normal(6), (2, 3), (0, 2), 1, (1,))


def reach(size, stride):
    """How far the last element lies behind the first."""
    total = 0
    for n, s in zip(size, stride):
        total += (n - 1) * s
    return total


def where_from(shape, layout, size, stride, offset):
    """For each element of a strided view the number of the input's element that it shows; -1 for none of them."""
    inputs, outputs = places(shape, layout), places(size, stride) + offset
    numbers = inputs * 0 - 1 if not inputs.size else np.full(int(inputs.max()) + 1, -1)
    numbers[inputs.reshape(-1)] = np.arange(inputs.size)
    inside = (outputs >= 0) & (outputs < numbers.size)
    return np.where(inside, numbers[np.where(inside, outputs, 0)], -1)


def places(shape, stride):
    """The place of every element in memory, counted from the first."""
    total = np.zeros(shape, int)
    for i, (n, s) in enumerate(zip(shape, stride)):
        total += (np.arange(n) * s).reshape((-1,) + (1,) * (len(shape) - i - 1))
    return total


def added_back(g, index, shape):
    """The elements of `g` added where `index` says, in zeros of `shape`; those at -1 are dropped."""
    inside = index >= 0
    at = xp(getattr(g, "array", g)).asarray
    if not inside.all():
        g, index = g * at(inside), index * inside
    return rows_into(g, at(index), shape=shape, dim=0, count=len(shape))


@composed
def as_strided(input, size, stride, storage_offset=None):
    """A view of the memory behind `input` with any sizes, strides and offset, all counted in elements.

    RuntimeError where that leaves the memory, for negative strides, and where the memory is not in row-major order.
    """
    size, stride = sizes((size,), "as_strided"), sizes((stride,), "as_strided")
    if len(size) != len(stride):
        raise RuntimeError("mismatch in length of strides and shape")
    if [s for s in stride if s < 0]:
        raise RuntimeError(f"as_strided: Negative strides are not supported at the moment, got strides: {list(stride)}")
    base = input.cut.base.array if isinstance(input, Tensor) and input.cut is not None else getattr(input, "array", input)
    if not base.flags.c_contiguous:
        raise RuntimeError("as_strided: the memory behind the tensor is not in row-major order; call contiguous() first")
    here = offset_of(input)
    return strided_view(input, size, stride, (here if storage_offset is None else storage_offset) - here, stride_of(input))

as_strided.case(normal(3, 4), (2, 2), (1, 5))
as_strided.case(normal(6), (2, 3), (1, 1), 2)
as_strided.case(normal(6), (2, 3), (0, 2), storage_offset=1)
