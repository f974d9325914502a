"""Strategies of hypothesis for what ops take: shapes, axes, indices, dtypes, arrays and tensors of every memory layout.

    from hypothesis import given
    from minitorch.testing import strategies as some

    @given(some.tensors(some.shapes(), domain="positive", requires_grad=True))
    def test_my_op(x):
        assert minitorch.gradcheck.check(my_op, x)

Numbers come from a seed that hypothesis draws, so that arrays of any size cost one draw; failures shrink in shape, kind and layout.
"""
import math

import numpy as np

from .. import cases
from .. import dtypes as number_types
from ..tensor import wrap

try:
    from hypothesis import strategies as st
except ImportError as error:
    raise ImportError("minitorch.testing.strategies needs the package hypothesis: pip install hypothesis") from error

__all__ = ["LAYOUTS", "DOMAINS", "arrays", "axes", "axis", "broadcastable", "dtypes", "indices", "layouts", "masks", "positions", "shapes",
           "slices", "tensors", "zero_size_shapes"]

DOMAINS = {c.__name__: c for c in (cases.normal, cases.positive, cases.above_one, cases.unit, cases.probability, cases.distinct, cases.definite,
                                   cases.integers, cases.booleans)}
LAYOUTS = ("contiguous", "transposed", "strided", "offset", "expanded")


# ---- shapes ---------------------------------------------------------------------------------------------------------

def shapes(min_dims=0, max_dims=4, min_side=0, max_side=5):
    """Tuples of sizes, zero and one among them."""
    return st.lists(st.integers(min_side, max_side), min_size=min_dims, max_size=max_dims).map(tuple)


@st.composite
def zero_size_shapes(draw, max_dims=4, max_side=5):
    """Shapes of no elements: one size at least is 0."""
    shape = list(draw(shapes(1, max_dims, 0, max_side)))
    shape[draw(st.integers(0, len(shape) - 1))] = 0
    return tuple(shape)


@st.composite
def broadcastable(draw, count=2, max_dims=4, min_side=0, max_side=5):
    """`count` shapes that broadcast together: axes are missing in front or have size 1."""
    full = draw(shapes(0, max_dims, min_side, max_side))
    return tuple([tuple([draw(st.sampled_from((n, n, 1))) for n in full[draw(st.integers(0, len(full))):]]) for _ in range(count)])


# ---- axes and indices -------------------------------------------------------------------------------------------------

def axis(ndim):
    """One axis of `ndim`, counted from the front or, negative, from the back."""
    return st.integers(-ndim, ndim - 1)


def axes(ndim, none=True, one=True, several=True):
    """What a reduction over axes takes: None for all, one axis, or a tuple of different ones, perhaps of none.

    ndim: how many there are.  none, one, several: which of these kinds to draw.
    """
    kinds = [st.none()] * none + [axis(ndim)] * (one and ndim > 0)
    if several:
        kinds.append(st.lists(axis(max(ndim, 1)), unique_by=lambda a: a % max(ndim, 1), max_size=ndim).map(tuple))
    return st.one_of(kinds)


@st.composite
def slices(draw, n, negative_steps=False):
    """Slices of an axis of size n: bounds missing, negative or out of range, steps of 1 and more, perhaps nothing inside.

    negative_steps: as NumPy takes them; tensors do not.
    """
    bound = st.none() | st.integers(-n - 2, n + 2)
    step = st.none() | st.integers(1, n + 1)
    return slice(draw(bound), draw(bound), draw(step | st.integers(-n - 1, -1) if negative_steps else step))


@st.composite
def positions(draw, n, shape=None):
    """A list, or of a shape an integer array, of positions along an axis of size n > 0: repeated, unordered, negative ones too."""
    shape = draw(shapes(1, 2, 0, 4)) if shape is None else shape
    found = draw(st.lists(st.integers(-n, n - 1), min_size=math.prod(shape), max_size=math.prod(shape)))
    return found if len(shape) == 1 and draw(st.booleans()) else np.array(found, "i8").reshape(shape)


@st.composite
def masks(draw, shape):
    """A boolean array of a shape."""
    return np.array(draw(st.lists(st.booleans(), min_size=math.prod(shape), max_size=math.prod(shape))), bool).reshape(shape)


@st.composite
def indices(draw, shape, advanced=True):
    """Whatever x[index] takes for an x of `shape`: ints, slices, None, Ellipsis, and, with advanced, positions and masks.

    It is a tuple, or one such thing alone; axes may be left over.  All positions of one index have the same shape.
    """
    kind = draw(st.sampled_from(("basic", "positions", "mask"))) if advanced else "basic"
    common = draw(shapes(1, 2, 0, 3))                # the shape of all positions
    index, i, stop = [], 0, draw(st.integers(0, len(shape)))
    while i < stop:
        n = shape[i]
        if kind == "mask" and draw(st.booleans()):
            width = draw(st.integers(1, stop - i))
            index.append(draw(masks(shape[i:i + width])))
            i, kind = i + width, "basic"
            continue
        index.append(draw(st.one_of([slices(n)] + [axis(n)] * (n > 0) + [positions(n, common)] * (n > 0 and kind == "positions"))))
        i += 1
    if draw(st.booleans()):                          # where axes are left over, an Ellipsis can only stand behind
        index.insert(draw(st.integers(0 if stop == len(shape) else len(index), len(index))), Ellipsis)
    for _ in range(draw(st.integers(0, 2))):
        index.insert(draw(st.integers(0, len(index))), None)
    return index[0] if len(index) == 1 and draw(st.booleans()) else tuple(index)


# ---- numbers ----------------------------------------------------------------------------------------------------------

def dtypes(floating=True, whole=False, boolean=False, narrow=True):
    """Dtypes of minitorch.  narrow: those of 16 and fewer bits too (bfloat16 where ml_dtypes is installed)."""
    found = []
    for d in number_types.BY_NAME.values():
        kind = floating if d.is_floating_point else boolean if d.name == "bool" else whole
        if kind and (narrow or d.itemsize > 2 or d.name == "bool") and has_numpy(d):
            found.append(d)
    return st.sampled_from(found)


def has_numpy(d):
    try:
        return d.numpy is not None
    except ImportError:
        return False


@st.composite
def arrays(draw, shape, dtype="float64", domain=None):
    """NumPy arrays.  shape and dtype are values or strategies.

    domain: the name of a kind of numbers in DOMAINS, or a strategy of names: "normal", "positive" (0.5 to 2), "above_one", "unit"
    (-0.9 to 0.9), "probability", "distinct" (no two near each other, none near 0), "definite" (matrices), "integers" (0 to 4), "booleans".
    None: normal for floats, integers and booleans for these dtypes.
    """
    shape, dtype, domain = (draw(x) if isinstance(x, st.SearchStrategy) else x for x in (shape, dtype, domain))
    dtype = number_types.BY_NAME[dtype].numpy if isinstance(dtype, str) and dtype in number_types.BY_NAME else number_types.numpy_dtype(dtype)
    if domain is None:
        domain = "booleans" if dtype.kind == "b" else "integers" if dtype.kind in "iu" else "normal"
    if domain not in DOMAINS:
        raise ValueError(f"domain must be one of {', '.join(DOMAINS)}, not {domain!r}")
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    seed = draw(st.integers(0, 2 ** 32 - 1))
    return np.asarray(DOMAINS[domain](*shape).draw(np.random.default_rng(seed))).astype(dtype)


def layouts(*names):
    """Names of memory layouts, all of LAYOUTS or those given."""
    return st.sampled_from(names or LAYOUTS)


@st.composite
def tensors(draw, shape, dtype="float64", domain=None, layout=None, requires_grad=False):
    """Tensors in any memory layout, with numbers as in `arrays`.

    layout: one of LAYOUTS or a strategy of them, any where None.  "transposed": axes in another order; "strided": every second
    entry; "offset": behind the start of a larger tensor; "expanded": one number for all along an axis (its entries share memory).
    Where a shape has no such layout it is contiguous.  requires_grad: leaves that want gradients.
    """
    array = draw(arrays(shape, dtype, domain))
    layout = draw(layouts() if layout is None else layout if isinstance(layout, st.SearchStrategy) else st.just(layout))
    if layout not in LAYOUTS:
        raise ValueError(f"layout must be one of {', '.join(LAYOUTS)}, not {layout!r}")
    t = wrap(laid_out(draw, array, layout))
    return t.requires_grad_() if requires_grad else t


def laid_out(draw, a, layout):
    """The numbers of `a` in a memory layout; with one number along an axis where that is expanded."""
    if layout == "transposed" and a.ndim > 1:
        order = draw(st.permutations(range(a.ndim)))
        return np.ascontiguousarray(a.transpose(order)).transpose(np.argsort(order))
    if layout == "strided" and a.ndim:
        room = np.zeros((*a.shape[:-1], 2 * a.shape[-1]), a.dtype)
        room[..., ::2] = a
        return room[..., ::2]
    if layout == "offset" and a.ndim:
        room = np.zeros((a.shape[0] + 1, *a.shape[1:]), a.dtype)
        room[1:] = a
        return room[1:]
    if layout == "expanded" and a.size and max(a.shape, default=0) > 1:
        i = draw(st.sampled_from([i for i, n in enumerate(a.shape) if n > 1]))
        return np.lib.stride_tricks.as_strided(a, a.shape, [0 if j == i else s for j, s in enumerate(a.strides)])
    return a
