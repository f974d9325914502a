"""Resizing images: every place of the output, carried back into the input, takes a weighted mean of a few neighbours.

The weights are products of one factor for each axis, so that an axis is resized at a time.
"""
from functools import lru_cache
from math import floor, prod

import numpy as np

from .. import dtypes
from ..autograd.op import composed, op
from ..backend import xp
from ..cases import normal
from ..tensor import Tensor
from .adaptive import adaptive_avg_pool
from ..blocks import by_slices
from .reduce import sum

CUBIC = -0.75                              # the slope of the cubic kernel at distance 1 (Keys 1981); -0.5 with antialias


def cubic(lib, t, a):
    """The cubic convolution kernel at distances t."""
    t = abs(t)
    near, far = ((a + 2) * t - (a + 3)) * t * t + 1, ((t - 5) * t + 8) * t * a - 4 * a
    return lib.where(t <= 1, near, lib.where(t < 2, far, 0.0))


def triangle(lib, t):
    """The kernel of linear interpolation at distances t."""
    return lib.maximum(1 - abs(t), 0.0)


def neighbours(lib, n, m, mode, aligned, scale):
    """[(which of n input places, with which weight)] for each of m outputs; `scale` is the inputs' share of an output, None: n / m."""
    i = lib.arange(m)
    if mode.startswith("nearest"):
        step = dtypes.F32.type(n / m if scale is None else scale)             # in float32, as PyTorch chooses among ties
        place = (i.astype("f4") + dtypes.F32.type(0.5 if mode == "nearest-exact" else 0.0)) * step
        return [(lib.minimum(place.astype("i8"), n - 1), None)]
    if aligned:
        step, start = (n - 1) / (m - 1) if m > 1 else 0.0, 0.0
    else:
        step = n / m if scale is None else scale
        start = step / 2 - 0.5
    if mode.endswith("antialias"):
        return wide_neighbours(lib, n, m, mode, step)
    place = i * step + start
    if mode == "cubic":
        first = lib.floor(place)
        return [(lib.clip(first + k, 0, n - 1).astype("i8"), cubic(lib, place - first - k, CUBIC)) for k in (-1, 0, 1, 2)]
    place = lib.maximum(place, 0.0)
    first = lib.minimum(place.astype("i8"), n - 1)
    share = lib.clip(place - first, 0.0, 1.0)
    return [(first, 1 - share), (lib.minimum(first + 1, n - 1), share)]


def wide_neighbours(lib, n, m, mode, step):
    """neighbours for antialias: the kernel as wide as an output is in inputs, its weights brought to the sum 1."""
    reach, width = 2.0 if mode.startswith("cubic") else 1.0, max(step, 1.0)
    centre = (lib.arange(m) + 0.5) * step
    first = lib.maximum((centre - reach * width + 0.5).astype("i8"), 0)
    last = lib.minimum((centre + reach * width + 0.5).astype("i8"), n)
    found, total = [], 0.0
    for k in range(int((last - first).max()) if m else 0):
        t = (first + k - centre + 0.5) / width
        weight = lib.where(first + k < last, cubic(lib, t, -0.5) if reach == 2 else triangle(lib, t), 0.0)
        found.append((lib.minimum(first + k, last - 1), weight))         # short windows see their last number again, as nothing
        total = total + weight
    return [(place, weight / total) for place, weight in found]


@op(numbers="half", home="", called="upsample")
def resized(input, /, axis, size, mode, aligned=False, scale=None):
    """`input` with `size` places along `axis`, each the weighted mean of its neighbours."""
    lib, rest = xp(input), input.shape[axis + 1:]
    taps = neighbours(lib, input.shape[axis], size, mode, aligned, scale)
    if taps[0][1] is None:
        return input.take(taps[0][0], axis=axis)
    dtype = input.dtype if input.dtype.kind == "f" else lib.dtype("f4")
    # a weight for each number that one leading index leaves: repeated by NumPy for every row it would take five times as long
    repeated = prod(rest) if input.size > 10000 else 1
    weights = [w.astype(dtype).reshape(-1, *(1,) * len(rest)) for _, w in taps] if repeated == 1 else \
        [lib.repeat(w.astype(dtype), repeated).reshape(-1, *rest) for _, w in taps]

    def part_of(x):
        total = None
        for (place, _), weight in zip(taps, weights):
            term = x.take(place, axis=axis).astype(dtype, copy=False)
            term *= weight
            total = term if total is None else lib.add(total, term, out=total)
        return total if input.dtype.kind == "f" else lib.clip(lib.floor(total + 0.5), 0, 255).astype(input.dtype)

    if not axis or repeated == 1:
        return part_of(input)
    y = lib.empty((*input.shape[:axis], size, *rest), input.dtype)

    def fill(part):
        """The outputs of some of the first axis."""
        y[part] = part_of(input[part])
    by_slices(fill, y)
    return y


@op(numbers="half", home="", called="upsample_backward")
def resized_back(input, /, axis, size, mode, aligned=False, scale=None):
    """The transpose of resized: each number goes back to the neighbours, `size` places, that it was made of."""
    lib, m = xp(input), input.shape[axis]
    if mode.startswith("nearest") and size and m % size == 0:
        place = neighbours(lib, size, m, mode, aligned, scale)[0][0]
        if (place == lib.arange(m) // (m // size)).all():
            return sum(input.reshape(*input.shape[:axis], size, m // size, *input.shape[axis + 1:]), axis + 1)
    first, place, weight = (lib.asarray(a) for a in places(size, m, mode, aligned, scale, input.dtype, True))
    count, weight = first[1:] - first[:-1], weight.reshape(-1, *(1,) * (input.ndim - 1))
    y = lib.zeros((*input.shape[:axis], size, *input.shape[axis + 1:]), input.dtype)

    def fill(x, y):
        x, y = lib.ascontiguousarray(lib.moveaxis(x, axis, 0)), lib.moveaxis(y, axis, 0)
        for t in range(int(count.max()) if count.size else 0):             # the t-th of what each place adds up
            here = lib.flatnonzero(count > t)
            entry = first[here] + t
            y[here] += weight[entry] * x[place[entry]]

    if axis:
        by_slices(lambda part: fill(input[part], y[part]), y)
    else:
        fill(input, y)
    return y


@lru_cache(maxsize=64)
def places(n, m, mode, aligned, scale, dtype, back):
    """(first, places, weights): what resized adds up for its output j stands from first[j] to first[j + 1]; back: resized_back's."""
    taps = neighbours(np, n, m, mode, aligned, scale)
    place = np.stack([p for p, _ in taps], 1).reshape(-1)
    weight = np.stack([np.ones(m) if w is None else w for _, w in taps], 1).reshape(-1).astype(dtype)
    if not back:
        return np.arange(m + 1) * len(taps), place, weight
    order = np.argsort(place, kind="stable")
    return np.append(0, np.bincount(place, minlength=n).cumsum()), order // len(taps), weight[order]


@resized.loop("resample", least=10000)
def _(loops, input, axis, size, mode, aligned=False, scale=None):
    return loops.along(input, axis, *places(input.shape[axis], size, mode, aligned, scale, input.dtype, False))


@resized_back.loop("resample", least=10000)
def _(loops, input, axis, size, mode, aligned=False, scale=None):
    return loops.along(input, axis, *places(size, input.shape[axis], mode, aligned, scale, input.dtype, True))


resized.vjp(lambda g, input_shape, axis, mode, aligned, scale: resized_back(g, axis, input_shape[axis], mode, aligned, scale))
resized_back.vjp(lambda g, input_shape, axis, mode, aligned, scale: resized(g, axis, input_shape[axis], mode, aligned, scale))
for _f in (resized, resized_back):
    _f.case(normal(2, 5, 3), 1, 7, "nearest")
    _f.case(normal(2, 4, 3), 1, 8, "nearest")
    _f.case(normal(2, 8, 3), 1, 4, "nearest-exact")
    _f.case(normal(2, 5), 1, 8, "linear")
    _f.case(normal(5, 2), 0, 3, "linear", True)
    _f.case(normal(2, 5, 2), 1, 9, "cubic", False, 0.6)
    _f.case(normal(2, 7, 2), 1, 3, "linear antialias")
    _f.case(normal(2, 9), 1, 9, "nearest", False, 0.6)                     # as many, but not one each
    _f.case(normal(2, 9), 1, 9, "linear", False, 0.6)
    _f.case(normal(2, 4), 1, 6, "cubic antialias")


# ---- the public functions -----------------------------------------------------------------------------------

MODES = {"nearest": (3, 4, 5), "nearest-exact": (3, 4, 5), "area": (3, 4, 5), "linear": (3,), "bilinear": (4,), "bicubic": (4,),
         "trilinear": (5,)}


def listed(name, value, input, kinds):
    """One number for each spatial axis; ValueError for another number of them, TypeError for what is none."""
    n = input.ndim - 2
    if not isinstance(value, (list, tuple)):
        return [value] * n
    if len(value) != n:
        raise ValueError(f"Input and {name} must have the same number of spatial dimensions, but got input with spatial dimensions of "
                         f"{list(input.shape[2:])} and {name} of {value}.")
    if not all(isinstance(v, kinds) for v in value):
        raise TypeError(f"expected {name} to be numbers, but got {name} with types {[type(v) for v in value]}")
    return list(value)


@composed(home="functional")
def interpolate(input, size=None, scale_factor=None, mode="nearest", align_corners=None, recompute_scale_factor=None, antialias=False):
    """(N, C, *any) resized to `size` or by `scale_factor`, one number for all axes or one for each.

    mode: "nearest", "nearest-exact", "area", and by the number of axes "linear", "bilinear" or "bicubic", "trilinear".
    align_corners: the outermost places of input and output coincide, rather than the edges half a place beyond them.
    antialias: kernels as wide as needed where the output is smaller.
    """
    if not isinstance(input, Tensor):
        raise TypeError(f"interpolate(): argument 'input' must be Tensor, not {type(input).__name__}")
    if align_corners is not None and mode in ("nearest", "area", "nearest-exact"):
        raise ValueError("align_corners option can only be set with the interpolating modes: linear | bilinear | bicubic | trilinear")
    if (size is None) == (scale_factor is None):
        raise ValueError("either size or scale_factor should be defined" if size is None else
                         "only one of size or scale_factor should be defined")
    if size is not None:
        goal, scales = listed("size", size, input, int), [None] * (input.ndim - 2)
        if recompute_scale_factor:
            raise ValueError("recompute_scale_factor is not meaningful with an explicit size.")
    else:
        factors = listed("scale_factor", scale_factor, input, (int, float))
        goal = [floor(n * f) for n, f in zip(input.shape[2:], factors)]
        scales = [None] * len(goal) if recompute_scale_factor else [1 / f if f > 0 else None for f in factors]
    if antialias and (mode not in ("bilinear", "bicubic") or input.ndim != 4):
        raise ValueError("Anti-alias option is restricted to bilinear and bicubic modes and requires a 4-D tensor as input")
    if mode not in MODES or input.ndim not in MODES[mode]:
        raise NotImplementedError("Input Error: Only 3D, 4D and 5D input Tensors supported (got "
                                  f"{input.ndim}D) for the modes: {' | '.join(MODES)} (got {mode})")
    if 0 in input.shape[1:] or min(goal) <= 0:
        raise RuntimeError(f"Input and output sizes should be greater than 0, but got input {list(input.shape)} and output {goal}")
    if mode == "area":
        return adaptive_avg_pool("adaptive_avg_pool", len(goal), input, tuple(goal))
    if mode.startswith("nearest"):
        kind = mode
    elif input.array.dtype.kind in "ib":
        raise NotImplementedError(f'"interpolate" not implemented for {input.dtype.name} in mode {mode}')
    else:
        kind = ("cubic" if mode == "bicubic" else "linear") + (" antialias" if antialias else "")
    y = input
    for axis, m, scale in reversed(list(zip(range(2, input.ndim), goal, scales))):
        if input.shape[axis] != m or scale not in (None, 1):
            y = resized(y, axis, m, kind, bool(align_corners), scale)
    return input.clone() if y is input else y


@composed(home="functional")
def upsample(input, size=None, scale_factor=None, mode="nearest", align_corners=None):
    """interpolate, by its old name."""
    return interpolate(input, size, scale_factor, mode, align_corners)


@composed(home="functional")
def upsample_nearest(input, size=None, scale_factor=None):
    """interpolate with mode="nearest", by its old name."""
    return interpolate(input, size, scale_factor, mode="nearest")


@composed(home="functional")
def upsample_bilinear(input, size=None, scale_factor=None):
    """interpolate with mode="bilinear" and align_corners=True, by its old name."""
    return interpolate(input, size, scale_factor, mode="bilinear", align_corners=True)


interpolate.case(normal(2, 3, 5), 8)
interpolate.case(normal(2, 3, 4, 5), scale_factor=2)
interpolate.case(normal(2, 3, 7, 5), (3, 9), mode="nearest-exact")
interpolate.case(normal(2, 3, 5), scale_factor=1.7, mode="linear")
interpolate.case(normal(2, 3, 5), 9, mode="linear", align_corners=True)
interpolate.case(normal(1, 2, 4, 5), (7, 3), mode="bilinear")
interpolate.case(normal(1, 2, 4, 5), scale_factor=(1.3, 2.2), mode="bilinear", recompute_scale_factor=True)
interpolate.case(normal(1, 2, 4, 5), (7, 3), mode="bicubic", align_corners=True)
interpolate.case(normal(1, 2, 4, 5), scale_factor=1.5, mode="bicubic")
interpolate.case(normal(1, 2, 7, 9), (3, 4), mode="bilinear", antialias=True)
interpolate.case(normal(1, 2, 7, 5), (3, 8), mode="bicubic", antialias=True)
interpolate.case(normal(1, 2, 3, 4, 2), (5, 2, 3), mode="trilinear")
interpolate.case(normal(1, 2, 5, 7), (3, 4), mode="area")
upsample.case(normal(2, 3, 4, 5), scale_factor=2, mode="bilinear")
upsample_nearest.case(normal(2, 3, 4, 5), (3, 7))
upsample_bilinear.case(normal(2, 3, 4, 5), scale_factor=2)
