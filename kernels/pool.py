"""Maximum and average pooling of images, on the kernels of pool.cu: (N, C, H, W) -> (N, C, OH, OW).

kernel_size, stride (kernel_size by default), padding and dilation are an int or one per axis, and a padding may also be
(before, after) per axis; ceil_mode keeps a last, partial window.  The gradients are gathered: every entry of x sums over the
windows that hold it, always in the same order.
"""
from math import prod

import numpy as np

from ..backend import xp
from ..cases import Draw, distinct, normal
from .conv import before_after, blocks, pair
from .kernel import library
from .proof import proven, scalar

POOL = np.dtype([(name, "i4") for name in (          # struct Pool of pool.cu
    "H W OH OW kernel_h kernel_w stride_h stride_w padding_h padding_w dilation_h dilation_w end_h end_w blocks with_padding "
    "divisor").split()])
THREADS = 256


# ---- geometry -------------------------------------------------------------------------------------------

def windows(name, shape, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    """(the shape of y, kernel, stride, ((before, after), ...), dilation); ValueError for windows that do not fit the images."""
    shape = tuple(shape)
    kernel = pair(f"{name}: kernel_size", kernel_size)
    stride = kernel if stride is None else pair(f"{name}: stride", stride)
    padding, dilation = before_after(name, padding), pair(f"{name}: dilation", dilation)
    if len(shape) != 4 or 0 in shape[1:]:
        raise ValueError(f"{name}: images must have the shape (N, C, H, W), and only N may be 0, not {shape}")
    if min(*kernel, *stride, *dilation) < 1:
        raise ValueError(f"{name}: kernel_size {kernel}, stride {stride} and dilation {dilation} must be at least 1")
    if any(not 0 <= p <= (d * (k - 1) + 1) // 2 or after < 0 for k, (p, after), d in zip(kernel, padding, dilation)):
        raise ValueError(f"{name}: padding {padding} must be between 0 and half of the window, {kernel} taps {dilation} apart")
    out = [positions(*axis, ceil_mode) for axis in zip(shape[2:], kernel, stride, padding, dilation)]
    if min(out) < 1:
        raise ValueError(f"{name}: the window, {kernel} taps {dilation} apart, is larger than the padded image {shape[2:]} + {padding}")
    if prod(shape[2:]) >= 2**31 or prod(shape[:2]) * blocks(max(prod(shape[2:]), prod(out)), 32) >= 2**31:
        raise ValueError(f"{name}: images {shape} are too many or too large for one launch; split the batch")
    return (*shape[:2], *out), kernel, stride, padding, dilation


def positions(size, kernel, stride, padding, dilation, ceil_mode):
    """How many places a window takes on an axis; a last one must start in the image or in the padding before it."""
    room = size + sum(padding) - dilation * (kernel - 1) - 1
    if not ceil_mode:
        return room // stride + 1
    out = blocks(room, stride) + 1
    return out - 1 if (out - 1) * stride >= size + padding[0] else out


def launch(name, x, over, arrays, shape, out_shape, window, with_padding=True, divisor=None):
    """Launch kernel `name` with a thread for every entry of (N, C, *over)."""
    threads = min(THREADS, blocks(prod(over), 32) * 32)
    each = blocks(prod(over), threads)
    kernel, stride, padding, dilation = window
    before, end = [p for p, _ in padding], [n + p for n, (_, p) in zip(shape[2:], padding)]
    sizes = (*shape[2:], *out_shape[2:], *kernel, *stride, *before, *dilation, *end, each, with_padding, divisor or 0)
    library("pool.cu", name, {"scalar": scalar(x)})(prod(shape[:2]) * each, threads, (*arrays, np.array(sizes, POOL)[()]))


def check_gradient(name, g, out_shape):
    if g.shape != out_shape:
        raise ValueError(f"{name}: the pooled images have shape {out_shape}, their gradient {g.shape}")


# ---- maximum --------------------------------------------------------------------------------------------

def taps(x, kernel, stride, padding, dilation, out):
    """For each tap of the window: (what every window sees of x there, whether that is inside, where in the flattened image it lies).

    Outside, the nearest entry stands in.
    """
    H, W = x.shape[2:]
    rows, columns = (np.arange(n) * s - p for n, s, (p, _) in zip(out, stride, padding))
    for i in range(kernel[0]):
        for j in range(kernel[1]):
            r, c = (rows + i * dilation[0])[:, None], (columns + j * dilation[1])[None]
            inside = (r >= 0) & (r < H) & (c >= 0) & (c < W)
            r, c = np.clip(r, 0, H - 1), np.clip(c, 0, W - 1)
            yield x[:, :, r, c], inside, r * W + c


def add_at(gx, place, g):
    """Adds g (N, C, OH, OW) to gx (N, C, H * W) at `place` (OH, OW), again and again where places are equal."""
    np.add.at(gx, (slice(None), slice(None), place.reshape(-1)), g.reshape(*gx.shape[:2], -1))


def max_pool_reference(x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    out, *window = windows("", x.shape, kernel_size, stride, padding, dilation, ceil_mode)
    y, where = np.full(out, -np.inf), np.full(out, -1)
    for value, inside, place in taps(x, *window, out[2:]):
        better = inside & ((where < 0) | (value > y) | np.isnan(value))
        y, where = np.where(better, value, y), np.where(better, place, where)
    corner = next(place for *_, place in taps(x, *window, out[2:]))
    return y, np.where(where < 0, corner, where)


def max_pool_backward_reference(g, indices, input_shape, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    out, *window = windows("", input_shape, kernel_size, stride, padding, dilation, ceil_mode)
    gx = np.zeros((*input_shape[:2], prod(input_shape[2:])))
    for _, inside, place in taps(gx.reshape(input_shape), *window, out[2:]):
        add_at(gx, place, np.where(inside & (indices == place), g, 0))
    return gx.reshape(input_shape)


@proven(reference=max_pool_reference, dtypes="float32 float16 bfloat16")
def max_pool2d(x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    """(y, indices): the largest number of every window, and where in the flattened image it lies (int64; the first of equals).

    NaN counts as the largest, the last of several.
    """
    out, *window = windows("max_pool2d", x.shape, kernel_size, stride, padding, dilation, ceil_mode)
    y, indices = xp(x).empty(out, x.dtype), xp(x).empty(out, np.int64)
    if y.size:
        launch("max_pool", x, out[2:], (x, y, indices), x.shape, out, window)
    return y, indices


@proven(reference=max_pool_backward_reference, dtypes="float32 float16 bfloat16")
def max_pool2d_backward(g, indices, input_shape, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    """g (N, C, OH, OW) to where max_pool2d found its maxima, sums where windows share one: -> input_shape."""
    out, *window = windows("max_pool2d_backward", input_shape, kernel_size, stride, padding, dilation, ceil_mode)
    check_gradient("max_pool2d_backward", g, out)
    gx = xp(g).empty(input_shape, g.dtype)
    if gx.size:
        launch("max_pool_backward", g, input_shape[2:], (g, indices, gx), input_shape, out, window)
    return gx


def max_pool_gradient(gs, ys, x, *args, **params):
    """max_pool2d's gradient: y's goes back, the indices have none."""
    return max_pool2d_backward(gs[0], ys[1], x.shape, *args, **params)


# ---- average --------------------------------------------------------------------------------------------

def counts(size, out, kernel, stride, padding, count_include_pad, divisor):
    """What the sum of each window is divided by: (OH, OW)."""
    if divisor:
        return np.full(out, float(divisor))
    lengths = []
    for n, o, k, s, (before, after) in zip(size, out, kernel, stride, padding):
        start = np.arange(o) * s - before
        end = np.minimum(start + k, n + after)
        lengths.append(end - start if count_include_pad else np.minimum(end, n) - np.maximum(start, 0))
    return lengths[0][:, None] * lengths[1][None]


def avg_pool_reference(x, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None):
    out, *window = windows("", x.shape, kernel_size, stride, padding, 1, ceil_mode)
    total = sum(np.where(inside, value, 0) for value, inside, _ in taps(x, *window, out[2:]))
    return total / counts(x.shape[2:], out[2:], *window[:3], count_include_pad, divisor_override)


def avg_pool_backward_reference(g, input_shape, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True,
                                divisor_override=None):
    out, *window = windows("", input_shape, kernel_size, stride, padding, 1, ceil_mode)
    g = g / counts(input_shape[2:], out[2:], *window[:3], count_include_pad, divisor_override)
    gx = np.zeros((*input_shape[:2], prod(input_shape[2:])))
    for _, inside, place in taps(gx.reshape(input_shape), *window, out[2:]):
        add_at(gx, place, np.where(inside, g, 0))
    return gx.reshape(input_shape)


def check_divisor(name, divisor):
    if divisor is not None and not 0 < abs(divisor) < 2**31:
        raise ValueError(f"{name}: divisor_override must be a whole number other than 0, not {divisor}")


@proven(reference=avg_pool_reference, dtypes="float32 float16 bfloat16")
def avg_pool2d(x, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None):
    """The sum of every window over how many numbers it counts, or over divisor_override; zeros of the padding count on request."""
    out, *window = windows("avg_pool2d", x.shape, kernel_size, stride, padding, 1, ceil_mode)
    check_divisor("avg_pool2d", divisor_override)
    y = xp(x).empty(out, x.dtype)
    if y.size:
        launch("avg_pool", x, out[2:], (x, y), x.shape, out, window, count_include_pad, divisor_override)
    return y


@proven(reference=avg_pool_backward_reference, dtypes="float32 float16 bfloat16")
def avg_pool2d_backward(g, input_shape, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None):
    """The transpose of avg_pool2d: g (N, C, OH, OW), shared out over each window -> input_shape."""
    out, *window = windows("avg_pool2d_backward", input_shape, kernel_size, stride, padding, 1, ceil_mode)
    check_gradient("avg_pool2d_backward", g, out)
    check_divisor("avg_pool2d_backward", divisor_override)
    gx = xp(g).empty(input_shape, g.dtype)
    if gx.size:
        launch("avg_pool_backward", g, input_shape[2:], (g, gx), input_shape, out, window, count_include_pad, divisor_override)
    return gx


max_pool2d.vjp(max_pool_gradient)
avg_pool2d.vjp(lambda g, y, x, *args, **params: avg_pool2d_backward(g, x.shape, *args, **params))


# ---- proofs ---------------------------------------------------------------------------------------------

class winners(Draw):
    """The indices that maximum pooling finds in random images with ties."""
    differentiable = False

    def __init__(self, shape, *window):
        self.shape, self.full, self.images, self.window = windows("", shape, *window)[0], None, shape, window

    def draw(self, rng):
        return max_pool_reference(rng.integers(0, 4, size=self.images).astype("f8"), *self.window)[1]



max_pool2d.case(distinct(2, 3, 6, 4), 2)
max_pool2d.case(distinct(1, 2, 7, 9), 3, 2, 1)
max_pool2d.case(distinct(2, 2, 7, 6), (3, 2), (1, 2), (1, 0), (1, 2), True)
max_pool2d.case(distinct(1, 1, 17, 16), (5, 3), 1, (2, 1))             # more windows than threads in a block
max_pool2d.case(distinct(1, 2, 6, 5), 3, 2, ((1, 0), (0, 2)))
max_pool2d.case(distinct(0, 2, 4, 4), 2)
for shape, window in (((2, 3, 6, 4), (2,)), ((1, 2, 7, 9), (3, 2, 1)), ((2, 2, 7, 6), ((3, 2), (1, 2), (1, 0), (1, 2), True)),
                      ((1, 1, 2, 5), ((2, 3), 2, (1, 0), (3, 1), True))):                # the last: a window without a tap in the image
    indices = winners(shape, *window)
    max_pool2d_backward.case(normal(*indices.shape), indices, shape, *window)
avg_pool2d.case(normal(2, 3, 6, 4), 2)
avg_pool2d.case(normal(1, 2, 7, 9), (3, 2), (2, 1), (1, 0), count_include_pad=False)
avg_pool2d.case(normal(2, 1, 8, 7), 3, 2, 1, True)
avg_pool2d.case(normal(2, 1, 8, 7), 3, 2, 1, True, False)
avg_pool2d.case(normal(1, 3, 6, 7), (2, 3), 1, divisor_override=5)
avg_pool2d.case(normal(1, 1, 17, 16), (5, 3), 1, (2, 1))
avg_pool2d.case(normal(1, 2, 6, 5), 3, 2, ((1, 0), (0, 2)))
avg_pool2d.case(normal(0, 2, 4, 4), 2)
avg_pool2d_backward.case(normal(2, 3, 3, 2), (2, 3, 6, 4), 2)
avg_pool2d_backward.case(normal(1, 2, 4, 8), (1, 2, 7, 9), (3, 2), (2, 1), (1, 0), count_include_pad=False)
avg_pool2d_backward.case(normal(2, 1, 5, 4), (2, 1, 8, 7), 3, 2, 1, True)
