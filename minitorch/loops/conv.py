"""Convolution of images as matrix products: what the windows see is copied into columns (im2col), and added back from them (col2im).

    columns (C KH KW, n P) of n images, P positions each;   y = w columns;   gw = columns g^T;   gx = col2im(w^T g)

A few images at a time, so that the columns stay in the cache; images are shared out among threads.
"""
import numpy as np

from .. import blas, threads
from . import depthwise, loop
from .places import U, inside

BLOCK, LONG = 1 << 18, 256                           # numbers in the columns of one block, which are at least so long


@loop
def fill(x, columns, shape, kernel, out, stride, padding, dilation):
    """columns[c, i, j, n, a, b] = x[n, c, a * stride + i * dilation - padding, likewise b], zero outside.

    Both flat; x of `shape` (N, C, H, W).  Places are unsigned numbers: of others Python's indices from the end would be looked for.
    """
    (N, C, H, W), (OH, OW), step, p = shape, out, U(stride[1]), U(0)
    for c in range(C):
        for i in range(kernel[0]):
            top, bottom = inside(H, OH, stride[0], i * dilation[0] - padding[0])
            for j in range(kernel[1]):
                shift = j * dilation[1] - padding[1]
                left, right = inside(W, OW, stride[1], shift)
                for n in range(N):
                    for a in range(OH):
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
def unfill(columns, x, shape, kernel, out, stride, padding, dilation):
    """The transpose of fill: every number of the columns is added to x where it was taken from."""
    (N, C, H, W), (OH, OW), step = shape, out, U(stride[1])
    x[:] = 0
    for c in range(C):
        for n in range(N):
            for i in range(kernel[0]):
                top, bottom = inside(H, OH, stride[0], i * dilation[0] - padding[0])
                for j in range(kernel[1]):
                    shift = j * dilation[1] - padding[1]
                    left, right = inside(W, OW, stride[1], shift)
                    for a in range(top, bottom):
                        p = U(((((c * kernel[0] + i) * kernel[1] + j) * N + n) * OH + a) * OW + left)
                        q = U(((n * C + c) * H + a * stride[0] + i * dilation[0] - padding[0]) * W + left * stride[1] + shift)
                        if step == U(1):
                            for b in range(U(right - left)):
                                x[q + b] += columns[p + b]
                        else:
                            for b in range(U(right - left)):
                                x[q + b * step] += columns[p + b]


class Images:
    """The shapes of one convolution, and its work in blocks of images."""

    def __init__(self, x_shape, w_shape, out, slide, groups):
        (self.N, self.C, *_), (self.M, self.depth, *kernel) = x_shape, w_shape
        self.kernel = tuple(kernel)
        self.G, self.out, self.P, self.slide = groups, tuple(out), out[0] * out[1], slide
        self.padding = tuple(a for a, _ in slide.padding)
        self.K = self.C * self.kernel[0] * self.kernel[1]
        self.n = max(1, min(self.N, max(BLOCK // max(1, self.K * self.P), -(-LONG // max(1, self.P)))))
        self.plain = self.K == self.C and set(slide.stride) == {1} and not any(a or b for a, b in slide.padding)       # one tap: no copy

    def columns(self, x, room):
        """(G, K / G, n P) of some images."""
        c = room[:self.K * len(x) * self.P]
        fill(x.reshape(-1), c, x.shape, self.kernel, self.out, self.slide.stride, self.padding, self.slide.dilation)
        return c.reshape(self.G, self.K // self.G, len(x) * self.P)

    def by_channel(self, g):
        """(n, M, ...) as (G, M / G, n P)."""
        return np.ascontiguousarray(g.swapaxes(0, 1)).reshape(self.G, self.M // self.G, len(g) * self.P)

    def each(self, part, dtype):
        """part(blocks, room) with (first, last) of blocks of images, shared out among threads, each with its room for columns."""
        def some(start, stop):
            part([(i, min(stop, i + self.n)) for i in range(start, stop, self.n)], np.empty(self.K * self.n * self.P, dtype))
        if len(threads.pieces(self.N, 1)) < 2 or 2 * self.M * self.K // self.G * self.P * self.N < 1e6:
            some(0, self.N)
        else:
            with blas.alone():
                threads.run(some, self.N)


def forward(x, w, bias, slide, groups):
    """(N, C, H, W), (M, C / groups, KH, KW) -> (N, M, OH, OW)."""
    if groups == x.shape[1] == len(w):
        return depthwise.forward(x, w, bias, slide)
    images = Images(x.shape, w.shape, slide.positions(x.shape[2:], w.shape[2:]), slide, groups)
    y = np.empty((images.N, images.M, *images.out), x.dtype)
    flat, filters = y.reshape(images.N, images.M, images.P), w.reshape(groups, images.M // groups, -1)

    def part(blocks, room):
        for i, k in blocks:
            if images.plain:
                blas.matmul(filters, x[i:k].reshape(k - i, groups, -1, images.P), out=flat[i:k].reshape(k - i, groups, -1, images.P))
                if bias is not None:
                    flat[i:k] += bias[:, None]
                continue
            found = blas.matmul(filters, images.columns(x[i:k], room)).reshape(images.M, k - i, images.P).swapaxes(0, 1)
            if bias is None:
                flat[i:k] = found
            else:
                np.add(found, bias[:, None], out=flat[i:k])
    images.each(part, x.dtype)
    return y


def input_gradient(g, w, bias, size, slide, groups):
    """The transpose of forward in x: (N, M, OH, OW), (M, C / groups, KH, KW) -> (N, C, *size)."""
    if groups == g.shape[1] and w.shape[1] == 1:
        return depthwise.input_gradient(g, w, bias, size, slide)
    C = w.shape[1] * groups
    images = Images((len(g), C), w.shape, g.shape[2:], slide, groups)
    x = np.empty((len(g), C, *size), g.dtype)
    filters = w.reshape(groups, images.M // groups, -1).swapaxes(1, 2)

    def part(blocks, room):
        for i, k in blocks:
            if images.plain:
                blas.matmul(filters, g[i:k].reshape(k - i, groups, -1, images.P), out=x[i:k].reshape(k - i, groups, -1, images.P))
            else:
                c = room[:images.K * (k - i) * images.P]
                blas.matmul(filters, images.by_channel(g[i:k]), out=c.reshape(groups, -1, (k - i) * images.P))
                unfill(c, x[i:k].reshape(-1), x[i:k].shape, images.kernel, images.out, slide.stride, images.padding, slide.dilation)
            if bias is not None:
                x[i:k] += bias[:, None, None]
    images.each(part, g.dtype)
    return x


def weight_gradient(x, g, kernel, slide, groups):
    """The transpose of forward in w: (N, C, H, W), (N, M, OH, OW) -> (M, C / groups, KH, KW)."""
    if groups == x.shape[1] == g.shape[1]:
        return depthwise.weight_gradient(x, g, kernel, slide)
    shape = (g.shape[1], x.shape[1] // groups, *kernel)
    images = Images(x.shape, shape, g.shape[2:], slide, groups)
    wide = images.M * images.K > 1 << 18             # (G, M / G, K / G), the other way round is faster, but then has to be turned
    sums = {}                                        # by a thread's first image: added up in one order whoever is first

    def part(blocks, room):
        for i, k in blocks:
            c = np.ascontiguousarray(x[i:k].swapaxes(0, 1)).reshape(groups, -1, (k - i) * images.P) if images.plain else images.columns(x[i:k], room)
            found = blas.matmul(images.by_channel(g[i:k]), c.swapaxes(1, 2)) if wide else blas.matmul(c, images.by_channel(g[i:k]).swapaxes(1, 2))
            if blocks[0][0] in sums:
                sums[blocks[0][0]] += found
            else:
                sums[blocks[0][0]] = found
    images.each(part, x.dtype)
    total = sum(sums[i] for i in sorted(sums)) if len(sums) > 1 else next(iter(sums.values()))
    return (total if wide else np.ascontiguousarray(total.swapaxes(1, 2))).reshape(shape)
