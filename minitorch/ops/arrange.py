"""Copies with the elements in another place: flipped, rolled, repeated; and grids of them."""
import math

import numpy as np

from ..autograd.op import composed, op
from ..backend import xp
from ..cases import integers, normal
from ..tensor import Tensor, wrap
from ..copies import LARGE, concatenated, copied, write
from .dims import axes, axis, sizes
from .join import stack
from .rows import rows_of
from .shape import reshape_to
from .strides import broadcast_tensors
from .transpose import transpose


# ---- in another order ------------------------------------------------------------------------------------------

@op(home="", called="flip")
def reversed_along(input, /, dims):
    """The order of elements reversed along the axes `dims`: a copy."""
    return copied(input[tuple([slice(None, None, -1 if d in dims else 1) for d in range(input.ndim)])] if input.ndim else input)

reversed_along.vjp(lambda g, dims: reversed_along(g, dims))
reversed_along.case(normal(3, 4), (0,))
reversed_along.case(normal(2, 3, 2), (0, 2))
reversed_along.case(normal(3), ())


@composed
def flip(input, *along, dims=None):
    """The order of elements reversed along the axes `dims`: a copy."""
    return reversed_along(input, axes(sizes(along, "flip", dims), len(input.shape)))

flip.case(normal(3, 4), (0,))
flip.case(normal(2, 3, 2), (0, -1))
flip.case(normal(2, 3), [])
flip.case(normal(0, 3), [0])


@composed
def fliplr(input):
    """The second axis reversed."""
    if len(input.shape) < 2:
        raise RuntimeError("fliplr: Input must be >= 2-d.")
    return reversed_along(input, (1,))

fliplr.case(normal(3, 4))
fliplr.case(normal(2, 3, 2))


@composed
def flipud(input):
    """The first axis reversed."""
    if not input.shape:
        raise RuntimeError("flipud: Input must be >= 1-d.")
    return reversed_along(input, (0,))

flipud.case(normal(3, 4))
flipud.case(normal(3))


@composed
def rot90(input, k=1, dims=(0, 1)):
    """The plane of two axes turned by `k` quarter turns, from the first axis towards the second."""
    n = len(input.shape)
    if len(dims) != 2:
        raise RuntimeError(f"expected total rotation dims == 2, but got dims = {len(dims)}")
    if n < 2:
        raise RuntimeError(f"expected total dims >= 2, but got total dims = {n}")
    a, b = axis(dims[0], n), axis(dims[1], n)
    if a == b:
        raise RuntimeError(f"expected rotation dims to be different, but got dim0 = {dims[0]} and dim1 = {dims[1]}")
    k %= 4
    if k % 2 == 0:
        return reversed_along(input, (a, b) if k else ())
    return transpose(reversed_along(input, (b if k == 1 else a,)), a, b)

rot90.case(normal(3, 4))
rot90.case(normal(2, 3, 4), 3, (0, -1))
rot90.case(normal(3, 4), 2)
rot90.case(normal(3, 4), k=-4, dims=[1, 0])


@op(home="", called="roll")
def rolled(input, /, shifts, dims):
    """Elements shifted along the axes, what leaves at one end entering at the other."""
    y = input
    for by, dim in zip(shifts, dims):
        n, before = y.shape[dim], (slice(None),) * dim
        cut = n - by % n if n else 0
        y = concatenated((y[before + (slice(cut, None),)], y[before + (slice(None, cut),)]), dim)
    return y if y is not input else input.copy()

rolled.vjp(lambda g, shifts, dims: rolled(g, tuple([-s for s in shifts]), dims))
rolled.case(normal(3, 4), (1,), (0,))
rolled.case(normal(2, 3, 4), (-2, 5), (2, 0))


@composed
def roll(input, shifts, dims=None):
    """Elements shifted along the axes `dims` (None: as if in one row), what leaves at one end entering at the other."""
    shifts = tuple(shifts) if isinstance(shifts, (tuple, list)) else (shifts,)
    along = () if dims is None else tuple(dims) if isinstance(dims, (tuple, list)) else (dims,)
    n = len(input.shape)
    if not along and len(shifts) == 1:
        return reshape_to(rolled(reshape_to(input, (-1,)), shifts, (0,)), input.shape)
    if len(shifts) != len(along):
        raise RuntimeError(f"shifts and dimensions must align. shifts: {len(shifts)}, dims:{len(along)}")
    return rolled(input, shifts, tuple([axis(d, n) for d in along]))

roll.case(normal(3, 4), 1)
roll.case(normal(3, 4), -2, 1)
roll.case(normal(2, 3, 4), (1, -2), (0, -1))
roll.case(normal(0, 4), 1, 0)


# ---- repeated -----------------------------------------------------------------------------------------------------

@op(home="", called="repeat")
def tiled(input, /, repeats):
    """Copies of `input` side by side, repeats[i] along axis i; new axes come in front."""
    shape = (1,) * (len(repeats) - input.ndim) + input.shape
    if type(input) is not np.ndarray or input.size * math.prod(repeats) < LARGE or len(shape) > len(repeats):
        return xp(input).tile(input, repeats)
    y = np.empty([k for pair in zip(repeats, shape) for k in pair], input.dtype)
    write(y, input.reshape([k for n in shape for k in (1, n)]))
    return y.reshape([r * n for r, n in zip(repeats, shape)])

tiled.vjp(lambda g, input_shape, repeats: untiled(g, input_shape, repeats))
tiled.case(normal(2, 3), (3, 2))
tiled.case(normal(3), (2, 1, 2))
tiled.case(normal(), (3,))


def untiled(g, shape, repeats):
    """The copies added up: the transpose of `tiled`."""
    split = []
    for r, n in zip(repeats, (1,) * (len(repeats) - len(shape)) + tuple(shape)):
        split += [r, n]
    copies = tuple([i for i in range(0, len(split), 2) if split[i] != 1])
    g = g.reshape(tuple(split))
    return (reduce.sum(g, copies) if copies else g).reshape(shape)


def times(input, repeats):
    """`repeats`; RuntimeError for a negative one."""
    for r, n in zip(repeats[::-1], (*input.shape[::-1], *repeats)):
        if r < 0:
            raise RuntimeError(f"Trying to create tensor with negative dimension {r * n}: {list(repeats)}")
    return repeats


@composed
def repeat(input, *numbers, repeats=None):
    """Copies of `input` side by side, so many along each axis; more numbers than axes add axes in front."""
    repeats = times(input, sizes(numbers, "repeat", repeats))
    if len(repeats) < len(input.shape):
        raise RuntimeError("Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor: "
                           f"{list(repeats)} for {tuple(input.shape)}")
    return tiled(input, repeats)

repeat.case(normal(2, 3), 3, 2)
repeat.case(normal(3), (2, 1, 2))
repeat.case(normal(), 3)
repeat.case(normal(2, 3), 0, 2)


@composed
def tile(input, *numbers, dims=None):
    """Copies of `input` side by side, so many along each axis, counted from the last."""
    repeats = times(input, sizes(numbers, "tile", dims))
    return tiled(input, (1,) * (len(input.shape) - len(repeats)) + repeats)

tile.case(normal(2, 3), (2,))
tile.case(normal(3), (2, 1, 2))
tile.case(normal(2, 3), (2, 2))


@op(home="", called="repeat_interleave")
def each_repeated(input, /, repeats, dim):
    """Every element along `dim` repeated in place."""
    return xp(input).repeat(input, repeats, dim)

each_repeated.vjp(lambda g, input_shape, repeats, dim:
                  reduce.sum(g.reshape((*input_shape[:dim + 1], repeats, *input_shape[dim + 1:])), dim + 1))
each_repeated.case(normal(3, 4), 2, 1)
each_repeated.case(normal(3), 3, 0)
each_repeated.case(normal(2, 3, 2), 2, 0)


@composed
def repeat_interleave(input, repeats=None, dim=None, *, output_size=None):
    """Every element along `dim` (None: of all, in one row) repeated in place, `repeats` times or repeats[i] times.

    With one argument only: i repeated input[i] times, for every i.
    """
    if repeats is None:
        return wrap(numbered(input))
    if dim is None:
        input, dim = reshape_to(input, (-1,)), 0
    elif not input.shape:
        input = reshape_to(input, (1,))
    dim = axis(dim, len(input.shape))
    n = input.shape[dim]
    if isinstance(repeats, int):
        if repeats < 0:
            raise RuntimeError("Repeats must be non-negative")
        return each_repeated(input, repeats, dim)
    if not isinstance(repeats, Tensor):
        raise TypeError(f"repeat_interleave(): argument 'repeats' must be Tensor or int, not {type(repeats).__name__}")
    if repeats.shape in ((), (1,)):
        return repeat_interleave(input, int(repeats.array.item()), dim)
    if repeats.shape != (n,):
        raise RuntimeError(f"repeats must have the same size as input along dim, but got repeats.size(0) = {repeats.shape[0]} and "
                           f"input.size({dim}) = {n}")
    return rows_of(input, numbered(repeats), dim=dim)


def numbered(repeats):
    """Each number i as often as repeats[i] says, as an array."""
    counts = repeats.array
    if counts.ndim != 1:
        raise RuntimeError(f"repeat_interleave only accept 1D vector as repeat, not the shape {tuple(counts.shape)}")
    if counts.dtype.kind not in "iu":
        raise NotImplementedError(f"\"repeat_interleave\" not implemented for '{repeats.dtype}'")
    if bool((counts < 0).any()):
        raise RuntimeError("repeats can not be negative")
    library = xp(counts)
    return library.repeat(library.arange(counts.size, dtype=counts.dtype), counts.tolist())


repeat_interleave.case(normal(3, 4), 2, 1)
repeat_interleave.case(normal(3, 4), 3)
repeat_interleave.case(normal(), 3)
repeat_interleave.case(normal(3, 4), integers(4, high=3), dim=-1)
repeat_interleave.case(normal(3, 4), integers(12, high=3))
repeat_interleave.case(normal(3, 4), integers(1, low=2, high=3), 0)
repeat_interleave.case(integers(4))


# ---- grids ------------------------------------------------------------------------------------------------------------------

@composed(method=False)
def meshgrid(*tensors, indexing=None):
    """For vectors of sizes N, M, ... their values over the grid (N, M, ...), as a tuple of views.

    indexing: "ij", or "xy" for the grid (M, N, ...).
    """
    if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)):
        tensors = tensors[0]
    if not tensors:
        raise RuntimeError("meshgrid expects a non-empty TensorList")
    if indexing not in (None, "ij", "xy"):
        raise RuntimeError(f'torch.meshgrid: indexing must be one of "xy" or "ij", but received: {indexing}')
    for t in tensors:
        if len(t.shape) > 1:
            raise RuntimeError(f"torch.meshgrid: Expected 0D or 1D tensor in the tensor list but got the shape {tuple(t.shape)}")
        if t.dtype != tensors[0].dtype:
            raise RuntimeError(f"meshgrid expects all tensors to have the same dtype, got {tensors[0].dtype} and {t.dtype}")
    n = len(tensors)
    axes_of = [1, 0, *range(2, n)] if indexing == "xy" and n > 1 else list(range(n))
    return broadcast_tensors(*[reshape_to(t, tuple([-1 if i == d else 1 for i in range(n)])) for t, d in zip(tensors, axes_of)])

meshgrid.case(normal(3), normal(4), indexing="ij")
meshgrid.case([normal(3), normal(4), normal(2)], indexing="xy")
meshgrid.case(normal(2), normal(), indexing="ij")


@composed(method=False)
def cartesian_prod(*tensors):
    """All combinations of one element of each vector, as rows."""
    for t in tensors:
        if len(t.shape) != 1:
            raise RuntimeError(f"Expect a 1D vector, but got shape {list(t.shape)}")
    if len(tensors) == 1:
        return tensors[0]
    return stack([reshape_to(t, (-1,)) for t in meshgrid(*tensors, indexing="ij")], 1)

cartesian_prod.case(normal(3), normal(2))
cartesian_prod.case(normal(3), normal(2), normal(2))
cartesian_prod.case(normal(3))


@composed
def kron(input, other):
    """The Kronecker product: a copy of `other` for each element of `input`, multiplied by it."""
    n = max(len(input.shape), len(other.shape))
    a = (1,) * (n - len(input.shape)) + tuple(input.shape)
    b = (1,) * (n - len(other.shape)) + tuple(other.shape)
    left = [k for m in a for k in (m, 1)]
    right = [k for m in b for k in (1, m)]
    return reshape_to(reshape_to(input, tuple(left)) * reshape_to(other, tuple(right)), tuple([m * k for m, k in zip(a, b)]))

kron.case(normal(2, 3), normal(3, 2))
kron.case(normal(2), normal(2, 1, 3))
kron.case(normal(2, 2), integers(2))
kron.case(normal(), normal(2))


from . import reduce  # noqa: E402  (last: the modules of ops name each other)
