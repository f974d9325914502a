"""The same numbers in another shape or order of axes: views of one memory wherever its strides allow."""
import numpy as np

from .. import dtypes
from ..autograd.call import shares
from ..autograd.op import composed, op
from ..cases import normal
from ..tensor import wrap
from ..copies import LARGE, copied
from .dims import axes, axis, sizes


@op(view=True, home="", called="reshape")
def reshape_to(input, /, shape):
    """`input` in another shape: a view where strides allow, else a copy."""
    try:
        return input.reshape(shape) if input.size < LARGE else reshaped(input, shape)
    except ValueError:
        raise RuntimeError(misfit(shape, input.size)) from None


def reshaped(x, shape):
    """A large array in another shape: a view where strides allow, else a copy by several threads."""
    if type(x) is np.ndarray and not x.flags.c_contiguous:
        try:
            return x.reshape(shape, copy=False)
        except ValueError:
            return copied(x).reshape(shape)
        except TypeError:                            # NumPy before 2.1
            pass
    return x.reshape(shape)


reshape_to.vjp(lambda g, input_shape: g.reshape(input_shape) if g.nbytes < LARGE else reshape_to(g, input_shape))
reshape_to.case(normal(3, 4), (2, 6))
reshape_to.case(normal(3, 4), (2, -1, 2))
reshape_to.case(normal(), (1, 1))


def misfit(shape, size):
    """PyTorch's words for a shape that `size` elements do not fill."""
    shape = list(shape)
    if shape.count(-1) > 1:
        return "only one dimension can be inferred"
    if -1 in shape and 0 in shape and not size:
        return (f"cannot reshape tensor of 0 elements into shape {shape} because the unspecified dimension size -1 can be any value "
                "and is ambiguous")
    return f"shape '{shape}' is invalid for input of size {size}"


def of_sizes(shape):
    """`shape`, once it is sure that no size is below -1, which NumPy would take for it."""
    if shape and min(shape) < -1:
        raise RuntimeError(f"invalid shape dimension {min(shape)} at index {shape.index(min(shape))} of shape {list(shape)}")
    return shape


@composed
def reshape(input, *size, shape=None):
    """`input` in the shape `size`, one of which may be -1 (what is left): a view where strides allow, else a copy.

    RuntimeError where the number of elements differs.
    """
    return reshape_to(input, of_sizes(sizes(size, "reshape", shape)))

reshape.case(normal(3, 4), (2, 6))
reshape.case(normal(3, 4), (2, -1, 3))
reshape.case(normal(), (1,))
reshape.case(normal(0, 3), (3, -1))


@op(view=True, home="", called="view")
def view_as_shape(input, /, shape):
    """`input` in another shape, never a copy."""
    y = reshape_to.op.forward(input, shape)
    if input.size and not shares(y, input):
        raise RuntimeError("view size is not compatible with input tensor's size and stride (at least one dimension spans across two "
                           f"contiguous subspaces): {tuple(input.shape)} to {tuple(shape)}. Use .reshape(...) instead.")
    return y

view_as_shape.vjp(lambda g, input_shape: g.reshape(input_shape) if g.nbytes < LARGE else reshape_to(g, input_shape))
view_as_shape.case(normal(3, 4), (2, 6))
view_as_shape.case(normal(3, 4), (3, 2, -1))
view_as_shape.case(normal(), ())


def read_as(t, dtype):
    """The bytes of tensor `t` read as numbers of another dtype: the same memory, outside the graph."""
    x, dtype = t.array, dtypes.numpy_dtype(dtype)
    if dtype.itemsize > x.dtype.itemsize and (not x.ndim or x.shape[-1] * x.dtype.itemsize % dtype.itemsize):
        raise RuntimeError(f"self.size(-1) must be divisible by {dtype.itemsize // x.dtype.itemsize} to view {t.dtype} as "
                           f"{dtypes.of(dtype)} (different element sizes), but the shape is {tuple(x.shape)}")
    try:
        return wrap(x.view(dtype), counter=t.counter)
    except ValueError as error:                      # the last axis has gaps
        raise RuntimeError(f"view of {tuple(x.shape)} {t.dtype} as {dtypes.of(dtype)}: {error}") from None


@composed
def view(input, *shape, size=None, dtype=None):
    """`input` in the given shape sharing its memory; or with a dtype, its bytes read as that type.

    RuntimeError where the strides allow no view, as after a transpose: `reshape` copies then.
    """
    if dtype is not None or len(shape) == 1 and isinstance(shape[0], dtypes.dtype):
        return read_as(input, shape[0] if dtype is None else dtype)
    return view_as_shape(input, of_sizes(sizes(shape, "view", size)))

view.case(normal(3, 4), 2, 6)
view.case(normal(3, 4), (2, -1, 3))
view.case(normal(), 1, 1)
view.case(normal(0, 3), 3, 0)
view.case(normal(3, 4), dtypes.int16)


@composed
def view_as(input, other):
    """`input` as a view in the shape of `other`."""
    return view_as_shape(input, other.shape)

view_as.case(normal(3, 4), normal(2, 6))
view_as.case(normal(3, 4), normal(12))


@composed
def reshape_as(input, other):
    """`input` in the shape of `other`."""
    return reshape_to(input, other.shape)

reshape_as.case(normal(3, 4), normal(2, 6))
reshape_as.case(normal(3, 4), normal(12))


@composed
def flatten(input, start_dim=0, end_dim=-1):
    """The axes from `start_dim` to `end_dim` made one."""
    shape = input.shape
    n = len(shape)
    first, last = axis(start_dim, n), axis(end_dim, n)
    if first > last:
        raise RuntimeError("flatten() has invalid args: start_dim cannot come after end_dim")
    if first == last and n:
        return input
    size = 1
    for k in shape[first:last + 1]:
        size *= k
    return reshape_to(input, (*shape[:first], size, *shape[last + 1:]))

flatten.case(normal(2, 3, 4))
flatten.case(normal(2, 3, 4), 1)
flatten.case(normal(2, 3, 4), 0, -2)
flatten.case(normal())
flatten.case(normal(3), 0)
flatten.case(normal(0, 3, 4), start_dim=1)


@composed
def unflatten(input, dim, sizes):
    """The axis `dim` split into `sizes`, one of which may be -1."""
    shape = input.shape
    dim, new = axis(dim, len(shape)), list(sizes)
    if not new:
        raise RuntimeError("unflatten: sizes must be non-empty")
    known = 1
    for k in new:
        known *= k if k != -1 else 1
    if new.count(-1) == 1 and known and not shape[dim] % known:
        new[new.index(-1)] = shape[dim] // known
    elif -1 in new or known != shape[dim]:
        raise RuntimeError(f"unflatten: Provided sizes {new} don't multiply up to the size of dim {dim} ({shape[dim]}) in the input tensor")
    return view_as_shape(input, (*shape[:dim], *new, *shape[dim + 1:]))

unflatten.case(normal(6, 4), 0, (2, 3))
unflatten.case(normal(3, 4), -1, (2, -1))
unflatten.case(normal(3, 4), 1, (4, 1, 1))


@composed
def ravel(input):
    """All elements in one axis."""
    return reshape_to(input, (-1,)) if input.shape else reshape_to(input, (1,))

ravel.case(normal(3, 4))
ravel.case(normal())
ravel.case(normal(2, 0, 3))


@composed
def squeeze(input, dim=None):
    """`input` without its axes of size 1: all of them, or those among `dim` (an int or several)."""
    shape = input.shape
    if dim is None:
        return reshape_to(input, tuple([n for n in shape if n != 1]))
    gone = axes(dim, len(shape))
    return reshape_to(input, tuple([n for i, n in enumerate(shape) if n != 1 or i not in gone]))

squeeze.case(normal(3, 1, 4, 1))
squeeze.case(normal(3, 1, 4), 1)
squeeze.case(normal(3, 1, 4), 0)
squeeze.case(normal(1, 3, 1), (0, -1))
squeeze.case(normal(), 0)


@composed
def unsqueeze(input, dim):
    """`input` with an axis of size 1 inserted before `dim` (negative: counted from behind the last)."""
    shape = input.shape
    dim = axis(dim, len(shape) + 1)
    return reshape_to(input, (*shape[:dim], 1, *shape[dim:]))

unsqueeze.case(normal(3, 4), 0)
unsqueeze.case(normal(3, 4), -1)
unsqueeze.case(normal(3, 4), 1)
unsqueeze.case(normal(), 0)


def at_least(tensors, grown):
    """`grown` applied to one tensor or to each of several."""
    if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)):
        return tuple([grown(t) for t in tensors[0]])
    return grown(tensors[0]) if len(tensors) == 1 else tuple([grown(t) for t in tensors])


@composed(method=False)
def atleast_1d(*tensors):
    """Tensors with no axis get one; the others are returned as they are."""
    return at_least(tensors, lambda x: x if x.shape else reshape_to(x, (1,)))

atleast_1d.case(normal())
atleast_1d.case(normal(3))
atleast_1d.case([normal(), normal(2, 3)])


@composed(method=False)
def atleast_2d(*tensors):
    """Tensors with fewer than two axes get axes of size 1 in front."""
    return at_least(tensors, lambda x: x if len(x.shape) > 1 else reshape_to(x, (1, *x.shape) if x.shape else (1, 1)))

atleast_2d.case(normal())
atleast_2d.case(normal(3))
atleast_2d.case([normal(), normal(2, 3)])


@composed(method=False)
def atleast_3d(*tensors):
    """Tensors with fewer than three axes as (1, 1, 1), (1, N, 1) or (M, N, 1)."""
    def grown(x):
        n = len(x.shape)
        return x if n > 2 else reshape_to(x, (*x.shape, 1) if n == 2 else (1, *x.shape, 1) if n else (1, 1, 1))
    return at_least(tensors, grown)

atleast_3d.case(normal())
atleast_3d.case(normal(3))
atleast_3d.case([normal(2, 3), normal(2, 3, 4)])
