"""Views made by strides alone: repeated, cut, sliding."""
import numpy as np

from ..autograd.op import HOMES, composed, op
from ..backend import xp
from ..cases import normal
from ..tensor import Size, Tensor
from .dims import axis, sizes
from .rows import slice_of


def strided(x, shape, strides):
    """The array that starts where `x` starts and has these sizes and strides (in bytes)."""
    if type(x) is np.ndarray and x.flags.forc and x.size:
        return np.ndarray(shape, x.dtype, x, 0, strides)             # a tenth of the time of as_strided
    return xp(x).lib.stride_tricks.as_strided(x, shape, strides)


# ---- repeated: expand -----------------------------------------------------------------------------------------

def expanded(x, shape):
    """Array `x` repeated to `shape`: axes of size 1, and new ones in front, get stride 0."""
    if x.shape == shape:
        return x[...]
    lead = len(shape) - x.ndim
    strides = (0,) * lead + tuple([0 if m == 1 != n else s for m, n, s in zip(x.shape, shape[lead:], x.strides)])
    return strided(x, shape, strides)


@op(view=True, home="", called="expand")
def expand_to(input, /, shape):
    """`input` repeated to `shape` without a copy."""
    return expanded(input, shape)

expand_to.vjp(lambda g: g)                           # the engine sums it
expand_to.case(normal(3, 1), (2, 3, 4))
expand_to.case(normal(), (2, 3))


def expansion(old, new):
    """`new` with its -1 filled in from `old`; RuntimeError where `old` cannot be repeated to it."""
    lead = len(new) - len(old)
    if lead < 0:
        raise RuntimeError(f"expand: the number of sizes provided ({len(new)}) must be greater or equal to the number of dimensions in the "
                           f"tensor ({len(old)}): {tuple(old)} to {tuple(new)}")
    shape = []
    for i, n in enumerate(new):
        m = old[i - lead] if i >= lead else 1
        if n == -1 and i < lead:
            raise RuntimeError(f"The expanded size of the tensor (-1) isn't allowed in a leading, non-existing dimension {i}")
        if n not in (-1, m) and (m != 1 or n < 0):
            raise RuntimeError(f"The expanded size of the tensor ({n}) must match the existing size ({m}) at non-singleton dimension {i}.  "
                               f"Target sizes: {list(new)}.  Tensor sizes: {list(old)}")
        shape.append(m if n == -1 else n)
    return tuple(shape)


@composed
def expand(input, *shape, size=None, implicit=False):
    """`input` with axes of size 1, and new axes in front, repeated to a shape (-1 keeps a size): a view, no copy."""
    return expand_to(input, expansion(input.shape, sizes(shape, "expand", size)))

expand.case(normal(3, 1), 2, 3, 4)
expand.case(normal(3, 1), -1, 4)
expand.case(normal(1, 4), (2, 3, -1))
expand.case(normal(), 2, 3)
expand.case(normal(3, 1), 3, 0)
expand.case(normal(3, 4), 3, 4)


@composed
def expand_as(input, other):
    """`input` expanded to the shape of `other`."""
    return expand_to(input, expansion(input.shape, other.shape))

expand_as.case(normal(3, 1), normal(2, 3, 4))
expand_as.case(normal(4), normal(3, 4))


@composed
def broadcast_to(input, size):
    """`input` expanded to `size`."""
    return expand_to(input, expansion(input.shape, sizes((size,), "broadcast_to")))

broadcast_to.case(normal(3, 1), (2, 3, 4))
broadcast_to.case(normal(4), (3, -1))


def broadcast_shapes(*shapes):
    """The shape that tensors of these shapes broadcast to; RuntimeError where there is none."""
    shapes = [(s,) if isinstance(s, int) else tuple(s) for s in shapes]
    result = [1] * max([len(s) for s in shapes], default=0)
    for s in shapes:
        for i in range(-len(s), 0):
            if s[i] not in (1, result[i]):
                if result[i] != 1:
                    raise RuntimeError(f"The size of tensor a ({result[i]}) must match the size of tensor b ({s[i]}) at non-singleton "
                                       f"dimension {len(result) + i}: the shapes are {', '.join(map(str, shapes))}")
                result[i] = s[i]
    return Size(result)

HOMES["torch"]["broadcast_shapes"] = broadcast_shapes


@composed(method=False)
def broadcast_tensors(*tensors):
    """The tensors expanded to the shape that they broadcast to together, as a tuple."""
    if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)):
        tensors = tensors[0]
    shape = tuple(broadcast_shapes(*[t.shape for t in tensors]))
    return tuple([expand_to(t, shape) for t in tensors])

broadcast_tensors.case(normal(3, 1), normal(4))
broadcast_tensors.case(normal(), normal(2, 3))


# ---- cut: narrow ------------------------------------------------------------------------------------------------

@composed
def narrow(input, dim, start, length):
    """`length` elements of axis `dim` from `start` (negative: from the end) on: a view."""
    shape = input.shape
    if not shape:
        raise RuntimeError("narrow() cannot be applied to a 0-dim tensor.")
    dim, start = axis(dim, len(shape)), int(start)
    n = shape[dim]
    if length < 0:
        raise RuntimeError("narrow(): length must be non-negative.")
    if not -n <= start <= n:
        raise IndexError(f"start out of range (expected to be in range of [{-n}, {n}], but got {start})")
    start += n if start < 0 else 0
    if start + length > n:
        raise RuntimeError(f"start ({start}) + length ({length}) exceeds dimension size ({n}).")
    return slice_of(input, index=(slice(None),) * dim + (slice(start, start + length),))

narrow.case(normal(3, 4), 0, 1, 2)
narrow.case(normal(3, 4), -1, -3, 2)
narrow.case(normal(3, 4), 1, 4, 0)


# ---- sliding: Tensor.unfold -----------------------------------------------------------------------------------------

@op(view=True, home="", called="unfold")
def slide(input, /, dim, size, step):
    """Every window of `size` elements along `dim`, `step` apart, as a new last axis: a view."""
    n, s = (input.shape[dim] - size) // step + 1, input.strides
    return strided(input, (*input.shape[:dim], n, *input.shape[dim + 1:], size), (*s[:dim], s[dim] * step, *s[dim + 1:], s[dim]))


@op(home="", called="unfold_backward")
def unslide(input, /, shape, dim, size, step):
    """The transpose of `slide`: the windows added up where they were taken from."""
    y = xp(input).zeros(shape, input.dtype)
    windows = slide.op.forward(y, dim, size, step)
    if step >= size:
        windows[...] = input
    else:
        for k in range(size):                        # windows overlap, but not in their k-th elements
            windows[..., k] += input[..., k]
    return y


slide.vjp(lambda g, input_shape, dim, size, step: unslide(g, input_shape, dim, size, step))
unslide.vjp(lambda g, dim, size, step: slide(g, dim, size, step))
slide.case(normal(2, 7, 3), 1, 3, 2)
slide.case(normal(5), 0, 2, 1)
slide.case(normal(5, 2), 0, 2, 3)
unslide.case(normal(2, 3, 3, 3), (2, 7, 3), 1, 3, 2)
unslide.case(normal(4, 2), (5,), 0, 2, 1)
unslide.case(normal(2, 2, 2), (5, 2), 0, 2, 3)


def unfold(input, dimension, size, step):
    """Every window of `size` elements along `dimension`, `step` apart, as a new last axis: a view."""
    shape = input.shape or (1,)
    dim = axis(dimension, len(shape))
    if not 0 <= size <= shape[dim]:
        raise RuntimeError(f"maximum size for tensor at dimension {dim} is {shape[dim]} but size is {size}")
    if step <= 0:
        raise RuntimeError(f"step is {step} but must be > 0")
    if not input.shape:
        return input.reshape((1,))[:size]
    return slide(input, dim, size, step)


Tensor.unfold = unfold
