"""Windows sliding over the spatial axes of (N, C, *size): the geometry that convolution and pooling share.

`windows` copies out what each position of the window sees (im2col); `unwindows`, its transpose, adds
every copy back to where it came from (col2im).
"""
from dataclasses import dataclass
from itertools import product
from math import gcd
from operator import index


from ..autograd.op import op
from ..backend import xp
from ..cases import normal


@dataclass(frozen=True)
class Slide:
    """How a window moves: for each spatial axis its step, the rows added before and after, and the spacing of its taps."""
    stride: tuple
    padding: tuple                         # ((before, after), ...)
    dilation: tuple

    def positions(self, size, kernel):
        """How many places the window takes along each axis."""
        return tuple((n + a + b - d * (k - 1) - 1) // s + 1
                     for n, k, s, (a, b), d in zip(size, kernel, self.stride, self.padding, self.dilation))

    def taps(self, kernel, out):
        """For every tap of the window, in row-major order: the slices of the padded array that it sees."""
        axes = [[slice(d * i, d * i + s * (n - 1) + 1, s) for i in range(k)]
                for k, n, s, d in zip(kernel, out, self.stride, self.dilation)]
        return [(..., *tap) for tap in product(*axes)]

    def phases(self, kernel, size, out):
        """[(taps, places, slide), ...] of the transpose: what the window gives to every so many-th place of (*size), from positions (*out).

        Numbers that lie `stride` apart are met by the same taps: they are a convolution of the positions with these, turned round, without
        steps.  taps, places: slices; none of the taps where the window meets no such place.
        """
        axes = [[phase for r in range(s) if (phase := phase_of(r, k, n, m, s, before, d))]
                for k, n, m, s, (before, _), d in zip(kernel, size, out, self.stride, self.padding, self.dilation)]
        found = [zip(*phase) for phase in product(*axes)]
        return [(taps, places, Slide((1,) * len(size), padding, dilation)) for taps, places, padding, dilation in found]


def phase_of(r, k, n, m, s, before, d):
    """(taps, places, padding, dilation) of phase r along an axis: k taps, d apart, n places, `before` rows added, m positions, s apart."""
    taps, first = [i for i in range(k) if i * d % s == r], (r - before) % s
    count = len(range(first, n, s))
    if not count or not taps:
        return (slice(0, 0), slice(first, None, s), (0, 0), 1) if count else None
    step = s // gcd(d, s)                            # of the taps
    near = d * step // s
    start = (taps[0] * d - r) // s + (len(taps) - 1) * near - (first + before - r) // s
    return slice(taps[0], None, step), slice(first, None, s), (start, count - m - start + near * (len(taps) - 1)), near


tiles, overlap = Slide((2, 2), ((0, 0), (0, 0)), (1, 1)), Slide((2, 1), ((1, 1), (0, 1)), (1, 2))         # for cases


def per_axis(value, n, name):
    """An int, or a sequence of n ints (or of one), as a tuple of n; RuntimeError for another length, TypeError for other values."""
    if isinstance(value, int):
        return (value,) * n
    try:
        value = tuple([index(v) for v in value])
    except TypeError:
        raise TypeError(f"argument '{name}' must be an int or a tuple of ints, not {value!r}") from None
    if len(value) == 1:
        return value * n
    if len(value) != n:
        raise RuntimeError(f"expected {name} to be a single integer value or a list of {n} values to match the window's dimensions, "
                           f"but got {name}={list(value)}")
    return value


def padded(x, padding, value=0):
    """x with `value` around its last axes; negative amounts cut off instead.  x itself where nothing is to do."""
    if not any(a or b for a, b in padding):
        return x
    lead = x.ndim - len(padding)
    size = x.shape[lead:]
    room = xp(x).full(x.shape[:lead] + tuple(n + a + b for n, (a, b) in zip(size, padding)), value, x.dtype)
    inner, kept = inside(size, padding)
    room[(..., *inner)] = x[(..., *kept)]
    return room


def inside(size, padding):
    """Where an array of `size` lies in its padded self, and the part of it that is kept: two tuples of slices."""
    return (tuple(slice(max(a, 0), max(n + a + min(b, 0), 0)) for n, (a, b) in zip(size, padding)),
            tuple(slice(max(-a, 0), max(n - max(-b, 0), 0)) for n, (a, b) in zip(size, padding)))


def of_kernel(kernel, slide):
    """A window as kernels.max_pool2d takes it: padding by axis, and rows added at the end alone as ceil_mode."""
    return kernel, slide.stride, tuple(a for a, _ in slide.padding), slide.dilation, any(b > a for a, b in slide.padding)


def window_view(x, kernel, out, slide):
    """(N, C, *kernel, *out) of the padded x (N, C, *size), without a copy: the windows overlap in memory."""
    s = x.strides[2:]
    return xp(x).lib.stride_tricks.as_strided(x, x.shape[:2] + kernel + out, x.strides[:2] + tuple(a * d for a, d in zip(s, slide.dilation)) +
                                              tuple(a * t for a, t in zip(s, slide.stride)))


@op(numbers="half", home="")
def windows(input, /, kernel, slide):
    """y[n, c, *tap, *position] = x[n, c, position * stride + tap * dilation - padding], zero outside: (N, C, *kernel, *positions)."""
    out = slide.positions(input.shape[2:], kernel)
    return xp(input).ascontiguousarray(window_view(padded(input, slide.padding), kernel, out, slide))


@op(numbers="half", home="")
def unwindows(input, /, size, slide):
    """The transpose of `windows`: sums (N, C, *kernel, *positions) to (N, C, *size), each number where it was taken from."""
    n = len(size)
    kernel, out = input.shape[2:2 + n], input.shape[2 + n:]
    room = xp(input).zeros(input.shape[:2] + tuple(m + a + b for m, (a, b) in zip(size, slide.padding)), input.dtype)
    for tap, place in zip(product(*map(range, kernel)), slide.taps(kernel, out)):
        room[place] += input[(slice(None), slice(None), *tap)]
    return padded(room, tuple((-a, -b) for a, b in slide.padding))


windows.vjp(lambda g, input_shape, slide: unwindows(g, input_shape[2:], slide))
unwindows.vjp(lambda g, input_shape, slide: windows(g, input_shape[2:len(input_shape) // 2 + 1], slide))
windows.case(normal(2, 3, 5, 6), (3, 2), Slide((1, 2), ((1, 1), (0, 1)), (1, 2)))
windows.case(normal(2, 2, 7), (3,), Slide((2,), ((1, 1),), (2,)))
windows.case(normal(1, 2, 3, 4, 3), (2, 2, 1), Slide((1, 1, 2), ((0, 0), (1, 0), (0, 0)), (1, 1, 1)))
unwindows.case(normal(2, 3, 3, 2, 3, 2), (5, 4), Slide((2, 3), ((1, 1), (1, 0)), (1, 1)))
unwindows.case(normal(1, 2, 2, 4), (5,), Slide((1,), ((0, 0),), (1,)))
