"""The maximum of what a sliding window sees, which tap of the window holds it, and numbers put there and picked from there.

A window of K taps is K strided slices of the padded input, so each of these is K array operations on a few images at a time,
whatever the size of the images.
"""
from math import prod

import numpy as np

from .. import dtypes
from ..autograd.op import keep, op
from ..backend import xp
from ..blocks import by_slices
from ..cases import distinct, integers, normal
from .choose import choose, zero_where
from .rows import add_at
from .windows import Slide, of_kernel, overlap, padded, tiles


WIN, PUT = 2, 0.5                                    # times the usual size of a block, for finding winners and for putting numbers there


def lowest(dtype):
    """What is below every number of a dtype: padding that never wins."""
    return float("-inf") if dtypes.is_float(dtype) else np.iinfo(dtype).min if dtype.kind in "iu" else False


def winners(input, kernel, slide):
    """(the maxima, which tap of the window was the first to hold each): both (N, C, *positions).

    Of several NaN the last counts as the maximum, as in PyTorch.
    """
    lib, out = xp(input), slide.positions(input.shape[2:], kernel)
    y = lib.empty(input.shape[:2] + out, input.dtype)
    which = lib.empty(y.shape, "u1" if prod(kernel) <= 256 else "i4")

    def win(some):
        room, best, tap = padded(input[some], slide.padding, lowest(input.dtype)), y[some], which[some]
        tap[...] = inner_taps(lib, kernel, slide, out)
        for t, place in enumerate(slide.taps(kernel, out)):
            if t == 0:
                best[...] = room[place]
                continue
            seen = lib.ascontiguousarray(room[place])          # for it is read twice
            later = seen > best
            lib.maximum(tap, later * tap.dtype.type(t), out=tap)
            lib.maximum(best, seen, out=best)
        if dtypes.is_float(input.dtype) and (best != best).any():
            for t, place in enumerate(slide.taps(kernel, out)):
                tap[room[place] != room[place]] = t
    by_slices(win, input, larger=WIN)
    return y, which


def inner_taps(lib, kernel, slide, out):
    """The number of the first tap of each window that is not in the padding before the image."""
    flat = lib.zeros((), "i8")
    for k, s, (a, _), d, m in zip(kernel, slide.stride, slide.padding, slide.dilation, out):
        flat = flat[..., None] * k + lib.minimum(lib.maximum(-((lib.arange(m) * s - a) // d), 0), k - 1)
    return flat


@op(numbers="half", home="")
def max_over_windows(input, /, kernel, slide):
    """max over taps t of x[n, c, p * stride + t * dilation - padding]: (N, C, *size) -> (N, C, *positions)."""
    y, which = winners(input, kernel, slide)
    return keep(y, which=which, place=None)


@max_over_windows.loop("pool", least=10000)
def _(pool, input, kernel, slide):
    y, which = pool.winners(input, slide.positions(input.shape[2:], kernel), kernel, slide)
    return keep(y, which=which, place=None)


@op(home="", differentiable=False)
def argmax_over_windows(input, /, kernel, slide):
    """Where max_over_windows found each maximum (the first of equals), as an index into the flattened spatial axes."""
    return places_of(winners(input, kernel, slide)[1], input.shape[2:], kernel, slide)


@argmax_over_windows.loop("pool", least=10000)
def _(pool, input, kernel, slide):
    _, which = pool.winners(input, slide.positions(input.shape[2:], kernel), kernel, slide)
    return places_of(which, input.shape[2:], kernel, slide)


def places_of(which, size, kernel, slide):
    """The tap of each window as an index into the flattened spatial axes."""
    lib, out = xp(which), which.shape[2:]
    which = which.astype("i8")
    flat = 0
    for axis, n in enumerate(size):
        tap = which // prod(kernel[axis + 1:]) % kernel[axis]
        start = lib.arange(out[axis]).reshape(-1, *(1,) * (len(size) - axis - 1)) * slide.stride[axis] - slide.padding[axis][0]
        place = start + tap * slide.dilation[axis]
        flat = flat * n + lib.clip(place, 0, n - 1)
    return flat


@op(numbers="half", home="")
def put_at_winners(input, which, /, size, kernel, slide):
    """The transpose of picking: every number goes to the tap that `which` names, sums where windows overlap; zero elsewhere."""
    lib, out = xp(input), input.shape[2:]
    shape = input.shape[:2] + tuple(n + a + b for n, (a, b) in zip(size, slide.padding))
    apart = all(s >= d * (k - 1) + 1 or k == 1 for s, k, d in zip(slide.stride, kernel, slide.dilation))
    full = apart and all(n == k * m and s == k for n, k, m, s in zip(shape[2:], kernel, out, slide.stride))
    room = lib.empty(shape, input.dtype)

    def put(some):
        if not full:
            room[some] = 0
        for t, tap in enumerate(slide.taps(kernel, out)):
            if apart:
                zero_where(which[some] != t, input[some], room[some][tap])
            else:
                room[some][tap] += choose(which[some] == t, input[some], 0)
    by_slices(put, room, larger=PUT)
    return padded(room, tuple((-a, -b) for a, b in slide.padding))


@put_at_winners.loop("pool", least=2500)
def _(pool, input, which, size, kernel, slide):
    return pool.put_at_winners(input, which, tuple(size), kernel, slide)


@op(numbers="half", home="")
def pick_winners(input, which, /, kernel, slide):
    """The number at the tap that `which` names, for every position of the window."""
    room = padded(input, slide.padding)
    y = xp(input).zeros(which.shape, input.dtype)
    for t, tap in enumerate(slide.taps(kernel, which.shape[2:])):
        y += choose(which == t, room[tap], 0)
    return y


@pick_winners.loop("pool", least=10000)
def _(pool, input, which, kernel, slide):
    return pool.pick_winners(input, which, kernel, slide)


@op(numbers="half", home="")
def put_at_places(input, place, /, size, kernel, slide):
    """The same for a kernel's maxima: every number is added where `place` says, counted in the flattened image; zero elsewhere."""
    lead, n = input.shape[:2], prod(size)
    y = xp(input).zeros(prod(lead) * n, input.dtype)
    start = xp(input).arange(prod(lead)).reshape(-1, 1) * n
    add_at(y, (place.reshape(prod(lead), -1) + start).reshape(-1), input.reshape(-1))
    return y.reshape(*lead, *size)


@op(numbers="half", home="")
def pick_places(input, place, /, kernel, slide):
    """What stands at `place`, counted in the flattened image."""
    return xp(input).take_along_axis(input.reshape(*input.shape[:2], -1), place.reshape(*place.shape[:2], -1), axis=2).reshape(place.shape)


max_over_windows.vjp(lambda g, input_shape, which, place, kernel, slide:
                     put_at_winners(g, which, input_shape[2:], kernel, slide) if place is None else
                     put_at_places(g, place, input_shape[2:], kernel, slide))
put_at_places.vjp(lambda g, place, kernel, slide: pick_places(g, place, kernel, slide))
pick_places.vjp(lambda g, place, input_shape, kernel, slide: put_at_places(g, place, input_shape[2:], kernel, slide))
put_at_winners.vjp(lambda g, which, kernel, slide: pick_winners(g, which, kernel, slide))
pick_winners.vjp(lambda g, input_shape, which, kernel, slide: put_at_winners(g, which, input_shape[2:], kernel, slide))


@max_over_windows.kernel("pool")
def _(kernels, input, kernel, slide):
    if input.ndim != 4 or any(b < a for a, b in slide.padding):
        return NotImplemented
    y, place = kernels.max_pool2d(input, *of_kernel(kernel, slide))
    return keep(y, which=None, place=place) if y.shape[2:] == slide.positions(input.shape[2:], kernel) else NotImplemented


@put_at_places.kernel("pool")
def _(kernels, input, place, size, kernel, slide):
    return kernels.max_pool2d_backward(input, place, (*input.shape[:2], *size), *of_kernel(kernel, slide))


PLACES = np.broadcast_to(np.array([[7, 2, 10], [12, 15, 23]]), (2, 3, 2, 3))           # in each window of an image (4, 6)
for case in (max_over_windows.case, argmax_over_windows.case):
    case(distinct(2, 3, 4, 6), (2, 2), tiles)
    case(distinct(2, 2, 5, 6), (3, 2), overlap)
    case(distinct(2, 2, 7), (3,), Slide((1,), ((1, 1),), (2,)))
put_at_winners.case(normal(2, 3, 2, 3), integers(2, 3, 2, 3, high=4), (4, 6), (2, 2), tiles)
put_at_winners.case(normal(2, 2, 3, 5), integers(2, 2, 3, 5, high=6), (5, 6), (3, 2), overlap)
put_at_places.case(normal(2, 3, 2, 3), PLACES, (4, 6), (2, 2), tiles)
pick_places.case(normal(2, 3, 4, 6), PLACES, (2, 2), tiles)
pick_winners.case(normal(2, 3, 4, 6), integers(2, 3, 2, 3, high=4), (2, 2), tiles)
pick_winners.case(normal(2, 2, 5, 6), integers(2, 2, 3, 5, high=6), (3, 2), overlap)
