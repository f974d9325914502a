"""Several tensors made one, and one made several: `cat` and `split`, `stack` and `unbind` are each other's transposes."""
from .. import dtypes
from ..autograd.op import alias, composed, op, written
from ..backend import MODULES, xp
from ..cases import integers, normal
from ..tensor import Tensor
from ..copies import concatenated
from .dims import axis
from .rows import slice_of
from .shape import atleast_1d, atleast_2d, atleast_3d, reshape_to


def listed(name, tensors):
    """`tensors` as a list; TypeError for anything but a list or tuple of tensors."""
    if not isinstance(tensors, (list, tuple)):
        raise TypeError(f"{name}(): argument 'tensors' (position 1) must be tuple of Tensors, not {type(tensors).__name__}")
    for i, t in enumerate(tensors):
        if not isinstance(t, Tensor) and type(t) not in MODULES:
            raise TypeError(f"{name}: expected Tensor as element {i} in argument 0, but got {type(t).__name__}")
    return tensors


def some(name, tensors):
    """The same for at least one tensor; RuntimeError for none."""
    if not len(listed(name, tensors)):
        raise RuntimeError(f"{name} expects a non-empty TensorList")
    return tensors


def in_one_dtype(arrays):
    """The arrays in the dtype that PyTorch's promotion finds for them together."""
    first = arrays[0].dtype
    for a in arrays:
        if a.dtype is not first:
            common = dtypes.result_type(arrays)
            return [a if a.dtype == common else a.astype(common) for a in arrays]
    return arrays


# ---- cat and split -------------------------------------------------------------------------------------------

@op(home="", called="cat")
def joined(*tensors, dim):
    """The tensors one after the other along `dim`; those of shape (0,) count for nothing, as in PyTorch."""
    arrays = in_one_dtype(tensors)
    full = [a for a in arrays if a.shape != (0,)]
    return concatenated(full or arrays, dim)


@joined.joint_vjp
def _(g, tensors_shape, dim):
    gs, start = [], 0
    for shape in tensors_shape:
        n = shape[dim] if shape != (0,) else 0
        part = slice_of(g, index=(slice(None),) * dim + (slice(start, start + n),))
        gs.append(part if shape != (0,) else part.reshape((0,)))
        start += n
    return gs


joined.case(normal(2, 3), normal(2, 1), normal(2, 2), dim=1)
joined.case(normal(2, 3), normal(0), dim=0)


@composed(method=False)
def cat(tensors, dim=0, *, out=None):
    """The tensors one after the other along the axis `dim`; all other sizes must agree."""
    listed("cat", tensors)
    if not tensors:
        raise ValueError("torch.cat(): expected a non-empty list of Tensors")
    shapes = [t.shape for t in tensors]
    model = next((s for s in shapes if s != (0,)), (0,))
    dim = axis(dim, len(model))
    for i, shape in enumerate(shapes):
        if shape == model or shape == (0,):
            if not shape:
                raise RuntimeError(f"zero-dimensional tensor (at position {i}) cannot be concatenated")
            continue
        if not shape:
            raise RuntimeError(f"zero-dimensional tensor (at position {i}) cannot be concatenated")
        if len(shape) != len(model):
            raise RuntimeError(f"Tensors must have same number of dimensions: got {len(model)} and {len(shape)}")
        for d, (m, n) in enumerate(zip(model, shape)):
            if m != n and d != dim:
                raise RuntimeError(f"Sizes of tensors must match except in dimension {dim}. Expected size {m} but got size {n} for tensor "
                                   f"number {i} in the list: {tuple(model)} and {tuple(shape)}")
    y = joined(*tensors, dim=dim)
    return y if out is None else written("cat", y, out)

cat.case([normal(2, 3), normal(4, 3)])
cat.case([normal(2, 3), normal(2, 1), normal(2, 2)], -1)
cat.case([normal(2, 3), integers(1, 3)], dim=0)
cat.case([normal(2, 3), normal(0)], 1)
cat.case([normal(0), normal(3)], 0)
cat.case([normal(2, 0), normal(2, 3)], 1)
alias("concat concatenate", cat)


@op(view=True, home="", called="split")
def split_at(input, /, split_sizes, dim):
    """The consecutive parts of `input` along `dim` that have these sizes: views."""
    parts, start, before = [], 0, (slice(None),) * dim
    for n in split_sizes:
        parts.append(input[before + (slice(start, start + n),)])
        start += n
    return tuple(parts)

split_at.joint_vjp(lambda g, dim: (joined(*(g if type(g) is tuple else (g,)), dim=dim),))
split_at.case(normal(2, 6), (1, 3, 2), 1)
split_at.case(normal(4, 3), (2, 2), 0)
split_at.case(normal(4), (4,), 0)


@composed
def split(tensor, split_size_or_sections, dim=0):
    """Consecutive parts along `dim` as a tuple of views: all of one size but for the last, or of the sizes in a list.

    As in PyTorch a part cannot be written to in place while gradients are recorded.
    """
    n, dim = size_along(tensor, dim)
    size = split_size_or_sections
    if isinstance(size, (list, tuple)):
        return split_with_sizes(tensor, size, dim)
    if size < 0:
        raise RuntimeError(f"split expects split_size be non-negative, but got split_size={size}")
    if size == 0 and n:
        raise RuntimeError(f"split_size can only be 0 if dimension size is 0, but got dimension size of {n}")
    count = max((n + size - 1) // size, 1) if size else 1
    return split_at(tensor, (size,) * (count - 1) + (n - size * (count - 1),), dim)

split.case(normal(5, 3), 2)
split.case(normal(2, 6), 3, 1)
split.case(normal(2, 6), [1, 3, 2], dim=-1)
split.case(normal(2, 3), 5)
split.case(normal(0, 3), 0)


def size_along(x, dim):
    if not x.shape:
        raise RuntimeError("split expects at least a 1-dimensional tensor")
    dim = axis(dim, len(x.shape))
    return x.shape[dim], dim


@composed
def split_with_sizes(input, split_sizes, dim=0):
    """Consecutive parts along `dim` with the sizes in a list, as a tuple of views."""
    n, dim = size_along(input, dim)
    if sum_of(split_sizes) != n or [k for k in split_sizes if k < 0]:
        raise RuntimeError(f"split_with_sizes expects split_sizes to sum exactly to {n} (input tensor's size at dimension {dim}), "
                           f"but got split_sizes={list(split_sizes)}")
    return split_at(input, tuple(split_sizes), dim)

split_with_sizes.case(normal(5, 3), [1, 4])
split_with_sizes.case(normal(2, 6), [1, 3, 2], dim=-1)


def sum_of(numbers):
    total = 0
    for n in numbers:
        total += n
    return total


@composed
def chunk(input, chunks, dim=0):
    """At most `chunks` consecutive parts along `dim`, all of one size but for the last, as a tuple of views."""
    n, dim = size_along(input, dim)
    if chunks <= 0:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    size = (n + chunks - 1) // chunks
    return split_at(input, (0,) * chunks, dim) if not size else split(input, size, dim)

chunk.case(normal(5, 3), 2)
chunk.case(normal(2, 6), 3, -1)
chunk.case(normal(4), 3)
chunk.case(normal(2, 3), 5, dim=1)
chunk.case(normal(0, 3), 3)


@composed
def tensor_split(input, indices_or_sections, dim=0):
    """Parts along `dim` as a tuple of views: so many of nearly equal size, or cut at the indices in a list."""
    n, dim = size_along(input, dim)
    cuts = indices_or_sections
    if isinstance(cuts, Tensor):
        cuts = cuts.tolist()
    if isinstance(cuts, int):
        if cuts <= 0:
            raise RuntimeError(f"number of sections must be larger than 0, got {cuts}")
        small, larger = divmod(n, cuts)              # the first `larger` parts are one longer
        cuts = [i * small + min(i, larger) for i in range(1, cuts)]
    before = (slice(None),) * dim
    edges = [0, *cuts, n]
    return tuple([slice_of(input, index=before + (slice(a, b),)) for a, b in zip(edges, edges[1:])])

tensor_split.case(normal(5, 3), 2)
tensor_split.case(normal(2, 7), 3, -1)
tensor_split.case(normal(2, 6), [1, 5], dim=1)
tensor_split.case(normal(2, 6), (2, 9, 4), 1)


def split_evenly(name, input, cuts, dim):
    """tensor_split, for which an int must divide the size."""
    if isinstance(cuts, int) and cuts > 0 and input.shape[dim] % cuts:
        raise RuntimeError(f"torch.{name} attempted to split along dimension {dim}, but the size of the dimension {input.shape[dim]} is "
                           f"not divisible by the split_size {cuts}!")
    return tensor_split(input, cuts, dim)


def require_axes(name, input, n):
    if len(input.shape) < n:
        raise RuntimeError(f"torch.{name} requires a tensor with at least {n} dimension, but got a tensor with {len(input.shape)} "
                           "dimensions!")


@composed
def hsplit(input, indices_or_sections):
    """Split along the second axis, or the only one: into so many equal parts, or at the indices in a list."""
    require_axes("hsplit", input, 1)
    return split_evenly("hsplit", input, indices_or_sections, 1 if len(input.shape) > 1 else 0)

hsplit.case(normal(2, 6), 3)
hsplit.case(normal(6), [1, 3])


@composed
def vsplit(input, indices_or_sections):
    """Split along the first axis of at least two: into so many equal parts, or at the indices in a list."""
    require_axes("vsplit", input, 2)
    return split_evenly("vsplit", input, indices_or_sections, 0)

vsplit.case(normal(6, 2), 3)
vsplit.case(normal(6, 2), [1, 3])


@composed
def dsplit(input, indices_or_sections):
    """Split along the third axis: into so many equal parts, or at the indices in a list."""
    require_axes("dsplit", input, 3)
    return split_evenly("dsplit", input, indices_or_sections, 2)

dsplit.case(normal(2, 1, 6), 3)
dsplit.case(normal(2, 1, 6), [1, 3])


# ---- stack and unbind ------------------------------------------------------------------------------------------

@op(home="", called="stack")
def stacked(*tensors, dim):
    """Tensors of one shape side by side along a new axis `dim`."""
    shape = tensors[0].shape
    shape = (*shape[:dim], 1, *shape[dim:])
    return concatenated([a.reshape(shape) for a in in_one_dtype(tensors)], dim)

stacked.joint_vjp(lambda g, dim: unbind_along(g, dim))
stacked.case(normal(2, 3), normal(2, 3), normal(2, 3), dim=1)
stacked.case(normal(), normal(), dim=0)


@composed(method=False)
def stack(tensors, dim=0, *, out=None):
    """Tensors of one shape side by side along a new axis `dim`."""
    listed("stack", tensors)
    if not tensors:
        raise RuntimeError("stack expects a non-empty TensorList")
    shape = tensors[0].shape
    for i, t in enumerate(tensors):
        if t.shape != shape:
            raise RuntimeError(f"stack expects each tensor to be equal size, but got {list(shape)} at entry 0 and {list(t.shape)} at "
                               f"entry {i}")
    y = stacked(*tensors, dim=axis(dim, len(shape) + 1))
    return y if out is None else written("stack", y, out)

stack.case([normal(2, 3), normal(2, 3)])
stack.case([normal(2, 3), integers(2, 3)], -1)
stack.case([normal(2, 3), normal(2, 3), normal(2, 3)], dim=1)
stack.case([normal(), normal()])
stack.case([normal(0, 3)], 1)


@op(view=True, home="", called="unbind")
def unbind_along(input, /, dim):
    """The slices of `input` along `dim`, without that axis: views."""
    before = (slice(None),) * dim
    return tuple([input[(*before, i, ...)] for i in range(input.shape[dim])])

unbind_along.joint_vjp(lambda g, dim: (stacked(*(g if type(g) is tuple else (g,)), dim=dim),))
unbind_along.case(normal(3, 4), 0)
unbind_along.case(normal(2, 3, 2), 1)
unbind_along.case(normal(1), 0)


@composed
def unbind(input, dim=0):
    """The slices of `input` along `dim`, without that axis, as a tuple of views."""
    if not input.shape:
        raise IndexError("Dimension specified as 0 but tensor has no dimensions")
    return unbind_along(input, axis(dim, len(input.shape)))

unbind.case(normal(3, 4))
unbind.case(normal(2, 3, 2), -2)
unbind.case(normal(0, 3))


# ---- joined along a given axis ----------------------------------------------------------------------------------

@composed(method=False)
def hstack(tensors, *, out=None):
    """Joined along the second axis; vectors and single numbers along their only one."""
    grown = [atleast_1d(t) for t in some("hstack", tensors)]
    return cat(grown, 1 if len(grown[0].shape) > 1 else 0, out=out)

hstack.case([normal(2, 3), normal(2, 1)])
hstack.case([normal(2), normal(3)])
hstack.case([normal(), normal()])


@composed(method=False)
def vstack(tensors, *, out=None):
    """Joined along the first axis; vectors as rows."""
    return cat([atleast_2d(t) for t in some("vstack", tensors)], 0, out=out)

vstack.case([normal(2, 3), normal(1, 3)])
vstack.case([normal(3), normal(2, 3)])
vstack.case([normal(), normal()])
alias("row_stack", vstack)


@composed(method=False)
def dstack(tensors, *, out=None):
    """Joined along the third axis, which is added where it is missing."""
    return cat([atleast_3d(t) for t in some("dstack", tensors)], 2, out=out)

dstack.case([normal(2, 3), normal(2, 3, 2)])
dstack.case([normal(3), normal(3)])
dstack.case([normal(), normal()])


@composed(method=False)
def column_stack(tensors, *, out=None):
    """Joined along the second axis; vectors and single numbers as columns."""
    columns = [reshape_to(t, (-1, 1)) if len(t.shape) < 2 else t for t in listed("column_stack", tensors)]
    return hstack(columns, out=out)

column_stack.case([normal(3), normal(3, 2)])
column_stack.case([normal(3), normal(3)])
column_stack.case([normal(), normal()])


@op(home="", called="block_diag")
def blocks_on_diagonal(*tensors):
    """The matrices along the diagonal of one, zeros elsewhere."""
    arrays = in_one_dtype(tensors)
    y = xp(arrays[0]).zeros([sum_of(a.shape[i] for a in arrays) for i in (0, 1)], arrays[0].dtype)
    r = c = 0
    for a in arrays:
        y[r:r + a.shape[0], c:c + a.shape[1]] = a
        r, c = r + a.shape[0], c + a.shape[1]
    return y


@blocks_on_diagonal.joint_vjp
def _(g, tensors_shape):
    gs, r, c = [], 0, 0
    for m, n in tensors_shape:
        gs.append(slice_of(g, index=(slice(r, r + m), slice(c, c + n))))
        r, c = r + m, c + n
    return gs


blocks_on_diagonal.case(normal(2, 3), normal(1, 2), normal(3, 1))
blocks_on_diagonal.case(normal(2, 1), normal(2, 3))


@composed(method=False)
def block_diag(*tensors):
    """The matrices along the diagonal of one, zeros elsewhere; vectors count as rows."""
    if not tensors:
        return Tensor(1, 0)
    for i, t in enumerate(tensors):
        if len(t.shape) > 2:
            raise RuntimeError(f"torch.block_diag: Input tensors must have 2 or fewer dimensions. Input {i} has {len(t.shape)} dimensions")
    return blocks_on_diagonal(*[atleast_2d(t) for t in tensors])

block_diag.case(normal(2, 3), normal(3, 1))
block_diag.case(normal(2), normal(), normal(2, 2))
block_diag.case(normal(2, 2), integers(1, 2))
