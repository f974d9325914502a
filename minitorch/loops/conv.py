"""Convolution of images as matrix products: what the windows see is copied into columns (im2col), and added back from them (col2im).

    columns (C KH KW, P) of P positions;   y = w columns;   gw = g columns^T;   gx = col2im(w^T g)

Some rows of an image, or a few images, at a time, so that the columns stay in the cache.  Images are shared out among threads, or
channels where there are few positions, since then most of what is read is weights.
"""
from math import prod

import numpy as np

from .. import blas, threads
from ..blocks import elementwise
from ..copies import contiguous
from . import depthwise, inline, loop
from .gemm import AS_IT_IS, TURNED, product
from .places import U, inside

BLOCK, LONG = 1 << 18, 256                           # numbers in the columns of one block, which are at least so long
FEW = 128                                            # channels of a group


@loop
def fill(x, columns, shape, window, first, end):
    """columns[c, i, j, n, a, b] = x[n, c, a * stride + i * dilation - padding, likewise b] for first <= a < end, zero outside.

    Both flat; x of `shape` (N, C, H, W).  Places are unsigned numbers: of others Python's indices from the end would be looked for.
    """
    (N, C, H, W), (kernel, (OH, OW), stride, padding, dilation) = shape, window
    step, p = U(stride[1]), U(0)
    for c in range(C):
        for i in range(kernel[0]):
            top, bottom = inside(H, OH, stride[0], i * dilation[0] - padding[0])
            for j in range(kernel[1]):
                shift = j * dilation[1] - padding[1]
                left, right = inside(W, OW, stride[1], shift)
                for n in range(N):
                    for a in range(first, end):
                        if a < top or a >= bottom:
                            for b in range(U(OW)):
                                columns[p + b] = 0
                            p += U(OW)
                            continue
                        q = U(((n * C + c) * H + a * stride[0] + i * dilation[0] - padding[0]) * W + left * stride[1] + shift)
                        for b in range(U(left)):
                            columns[p + b] = 0
                        if step == U(1):
                            for b in range(U(right - left)):
                                columns[p + U(left) + b] = x[q + b]
                        else:
                            for b in range(U(right - left)):
                                columns[p + U(left) + b] = x[q + b * step]
                        for b in range(U(right), U(OW)):
                            columns[p + b] = 0
                        p += U(OW)


@loop
def unfill(columns, x, shape, window, first, end):
    """The transpose of fill: every number of the columns is added to x where it was taken from."""
    (N, C, H, W), (kernel, (OH, OW), stride, padding, dilation) = shape, window
    step = U(stride[1])
    for c in range(C):
        for n in range(N):
            for i in range(kernel[0]):
                top, bottom = inside(H, OH, stride[0], i * dilation[0] - padding[0])
                for j in range(kernel[1]):
                    shift = j * dilation[1] - padding[1]
                    left, right = inside(W, OW, stride[1], shift)
                    for a in range(max(top, first), min(bottom, end)):
                        p = U(((((c * kernel[0] + i) * kernel[1] + j) * N + n) * (end - first) + a - first) * OW + left)
                        q = U(((n * C + c) * H + a * stride[0] + i * dilation[0] - padding[0]) * W + left * stride[1] + shift)
                        if step == U(1):
                            for b in range(U(right - left)):
                                x[q + b] += columns[p + b]
                        else:
                            for b in range(U(right - left)):
                                x[q + b * step] += columns[p + b]


# ---- images from start to stop, n at a time, or one, some rows at a time --------------------------------------------------

@inline
def columns_of(x, room, window, first, end, plain):
    """The columns (C KH KW, n P) of some images; plain: they are the image itself."""
    if plain:
        return x.reshape(x.shape[1], x.shape[2] * x.shape[3])
    K, wide = x.shape[1] * window[0][0] * window[0][1], len(x) * (end - first) * window[1][1]
    columns = room[:K * wide]
    fill(x.reshape(-1), columns, x.shape, window, first, end)
    return columns.reshape(K, wide)


@inline
def by_channel(g, room, first, end):
    """Rows of some images (n, M, OH, OW), (M, n P): a view of a single one, else copied."""
    N, M, OH, OW = g.shape
    if N == 1:
        return g.reshape(M, OH * OW)[:, first * OW:end * OW]
    y = room[:g.size].reshape(M, N * OH * OW)
    for m in range(M):
        for n in range(N):
            y[m, n * OH * OW:(n + 1) * OH * OW] = g[n, m].reshape(-1)
    return y[:, :]


@loop
def images(start, stop, function, x, w, bias, y, window, n, rows, plain):
    """y (N, M, OH, OW) of x (N, C, H, W) by w (G, M / G, C / G KH KW) and bias (M,), or none, (0,)."""
    (G, Mg, Kg), (M, OH, OW), one, beta = w.shape, y.shape[1:], y.dtype.type(1), y.dtype.type(1 if bias.size else 0)
    room, found = np.empty(0 if plain else G * Kg * n * rows * OW, y.dtype), np.empty(M * n * OH * OW if n > 1 else 0, y.dtype)
    for i in range(start, stop, n):
        last = min(stop, i + n)
        for first in range(0, OH, rows):
            end = min(OH, first + rows)
            columns = columns_of(x[i:last], room, window, first, end, plain)
            part = y[i].reshape(M, OH * OW)[:, first * OW:end * OW] if last == i + 1 else found[:M * columns.shape[1]].reshape(M, -1)[:, :]
            for m in range(bias.size):
                part[m] = bias[m]
            for g in range(G):
                product(function, one, w[g], AS_IT_IS, columns[g * Kg:(g + 1) * Kg], AS_IT_IS, beta, part[g * Mg:(g + 1) * Mg])
            if last > i + 1:
                for m in range(M):
                    for k in range(i, last):
                        y[k, m].reshape(-1)[:] = part[m, (k - i) * OH * OW:(k - i + 1) * OH * OW]


@loop
def images_back(start, stop, function, g, w, bias, x, window, n, rows, plain):
    """x (N, C, H, W) of g (N, M, OH, OW), the transpose of `images` in x; bias (C,), or none, (0,)."""
    (G, Mg, Kg), (M, OH, OW), one, zero = w.shape, g.shape[1:], x.dtype.type(1), x.dtype.type(0)
    room, other = np.empty(0 if plain else G * Kg * n * rows * OW, x.dtype), np.empty(M * n * OH * OW if n > 1 else 0, x.dtype)
    for i in range(start, stop, n):
        last = min(stop, i + n)
        for k in range(i, last):
            for c in range(x.shape[1]):
                x[k, c] = bias[c] if bias.size else zero
        for first in range(0, OH, rows):
            end = min(OH, first + rows)
            part = by_channel(g[i:last], other, first, end)
            columns = x[i].reshape(x.shape[1], -1) if plain else room[:G * Kg * part.shape[1]].reshape(G * Kg, -1)
            for h in range(G):
                product(function, one, w[h], TURNED, part[h * Mg:(h + 1) * Mg], AS_IT_IS, one if plain else zero, columns[h * Kg:(h + 1) * Kg])
            if not plain:
                unfill(columns.reshape(-1), x[i:last].reshape(-1), x[i:last].shape, window, first, end)


@loop
def images_for_weight(start, stop, function, x, g, w, turned, window, n, rows, plain):
    """w (G, M / G, C / G KH KW), or `turned` (G, C / G KH KW, M / G): the transpose of `images` in w."""
    (G, Mg, Kg), (M, OH, OW), one = w.shape, g.shape[1:], w.dtype.type(1)
    if turned:
        Mg, Kg = Kg, Mg
    room, other = np.empty(0 if plain else G * Kg * n * rows * OW, x.dtype), np.empty(M * n * OH * OW if n > 1 else 0, x.dtype)
    for i in range(start, stop, n):
        last = min(stop, i + n)
        for first in range(0, OH, rows):
            end = min(OH, first + rows)
            columns, part = columns_of(x[i:last], room, window, first, end, plain), by_channel(g[i:last], other, first, end)
            before = one if i > start or first else w.dtype.type(0)
            for h in range(G):
                if turned:
                    product(function, one, columns[h * Kg:(h + 1) * Kg], AS_IT_IS, part[h * Mg:(h + 1) * Mg], TURNED, before, w[h])
                else:
                    product(function, one, part[h * Mg:(h + 1) * Mg], AS_IT_IS, columns[h * Kg:(h + 1) * Kg], TURNED, before, w[h])


class Images:
    """The shapes of one convolution, and how its work is divided."""

    def __init__(self, x_shape, w_shape, out, slide, groups):
        (self.N, C, *_), (self.M, _, *kernel), (OH, OW) = x_shape, w_shape, out
        self.K, P = C * kernel[0] * kernel[1], OH * OW
        padding = tuple(a for a, _ in slide.padding)
        plain = self.K == C and set(slide.stride) == {1} and not any(a or b for a, b in slide.padding)                # one tap: no copy
        n = 1 if plain or P >= LONG else max(1, min(self.N, 4 * BLOCK // (self.K * P), -(-LONG // P)))
        rows = OH if plain or n > 1 else max(1, min(OH, BLOCK // (self.K * OW)))
        self.window = tuple(tuple(map(int, t)) for t in (kernel, out, slide.stride, padding, slide.dilation)), n, rows, plain
        self.few = groups == 1 and self.M > self.N * P                     # positions: then weights are most of what is read
        self.least = 1 if 2 * self.M * self.K // groups * P * self.N >= 1e6 else max(C, self.M, self.N)
        self.smallest = self.M * self.K // groups ** 2

    def share(self, part, n, dtype):
        """part(start, stop, address of the product) for range(n), shared out among threads."""
        with blas.alone():
            threads.run(part, n, blas.address(dtype, self.smallest), least=self.least)


def by_groups(w, groups):
    """(M, C / G, KH, KW) as (G, M / G, C / G KH KW)."""
    return w.reshape(groups, len(w) // groups, -1)


def or_none(bias, dtype):
    """A bias, (0,) for none."""
    return np.empty(0, dtype) if bias is None else bias


def forward(x, w, bias, slide, groups):
    """(N, C, H, W), (M, C / groups, KH, KW) -> (N, M, OH, OW)."""
    if groups == x.shape[1] == len(w):
        return depthwise.forward(x, w, bias, slide)
    work = Images(x.shape, w.shape, slide.positions(x.shape[2:], w.shape[2:]), slide, groups)
    y, w, bias = np.empty((len(x), len(w), *work.window[0][1]), x.dtype), by_groups(w, groups), or_none(bias, x.dtype)

    def some_channels(start, stop, function):
        part = np.empty((len(x), stop - start, *y.shape[2:]), x.dtype)
        images(0, len(x), function, x, w[:, start:stop], bias[start:stop], part, *work.window)
        y[:, start:stop] = part
    if work.few:
        work.share(some_channels, y.shape[1], x.dtype)
    else:
        work.share(lambda start, stop, function: images(start, stop, function, x, w, bias, y, *work.window), len(x), x.dtype)
    return y


def input_gradient(g, w, bias, size, slide, groups):
    """The transpose of forward in x: (N, M, OH, OW), (M, C / groups, KH, KW) -> (N, C, *size)."""
    if groups == g.shape[1] and w.shape[1] == 1:
        return depthwise.input_gradient(g, w, bias, size, slide)
    x, taps = np.empty((len(g), w.shape[1] * groups, *size), g.dtype), prod(w.shape[2:])
    work, w, bias = Images(x.shape, w.shape, g.shape[2:], slide, groups), by_groups(w, groups), or_none(bias, g.dtype)

    def some_channels(start, stop, function):
        part = np.empty((len(g), stop - start, *size), g.dtype)
        images_back(0, len(g), function, g, w[:, :, start * taps:stop * taps], bias[start:stop], part, *work.window)
        x[:, start:stop] = part
    if work.few:
        work.share(some_channels, x.shape[1], g.dtype)
    else:
        work.share(lambda start, stop, function: images_back(start, stop, function, g, w, bias, x, *work.window), len(g), g.dtype)
    return x


def weight_gradient(x, g, kernel, slide, groups):
    """The transpose of forward in w: (N, C, H, W), (N, M, OH, OW) -> (M, C / groups, KH, KW)."""
    if groups == x.shape[1] == g.shape[1]:
        return depthwise.weight_gradient(x, g, kernel, slide)
    shape = (g.shape[1], x.shape[1] // groups, *kernel)
    work, sizes, sums = Images(x.shape, shape, g.shape[2:], slide, groups), (groups, shape[0] // groups, prod(shape[1:])), {}
    turned = sizes[1] <= FEW                         # the more rows the faster

    def some_images(start, stop, function):
        w = sums[start] = np.empty((groups, *sizes[:0:-1]) if turned else sizes, x.dtype)
        images_for_weight(start, stop, function, x, g, w, turned, *work.window)

    def some_channels(start, stop, function):
        images_for_weight(0, len(x), function, x, np.ascontiguousarray(g[:, start:stop]), w[:, start:stop], False, *work.window)
    if work.few and not turned:
        w = np.empty(sizes, x.dtype)
        work.share(some_channels, shape[0], x.dtype)
        return w.reshape(shape)
    work.share(some_images, len(x), x.dtype)
    w, *others = (sums[i] for i in sorted(sums))     # in one order, whoever was first
    for other in others:
        elementwise(np.add, w, other, out=w)
    return (contiguous(w.swapaxes(1, 2)) if turned else w).reshape(shape)
