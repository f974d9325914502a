"""What the windows of a convolution see, as columns of a matrix (im2col), for a block of images at a time that stays in the cache."""
from math import prod

import numpy as np

from .. import blas, threads
from ..backend import xp
from .windows import inside, window_view

np_block, device_block = 1 << 19, 1 << 26            # numbers in the columns of one block: NumPy's stay in cache, a GPU wants many
LEAST = 1 << 22                                      # multiplications that are worth another thread


class Columns:
    """What the windows over x (N, C, *size) see, as matrices for blocks of images: iterating gives (slice of images, matrix).

    last: the channels stand innermost, in rows (n * positions, taps * C): long runs to copy and one large product.
    Otherwise (n, groups, C / groups * taps, positions), for few channels and for groups.  There, with stride 1, rows of
    positions stay as long as the padded rows of the images, so that all rows are copied as one run: `wide` positions, of which
    the last few of each row mean nothing.

    weights: how many numbers every block is multiplied with; a product begins by copying them all, which a block of as many is worth.
    copied: whether columns are asked for, and not `windows` alone.
    """

    def __init__(self, x, kernel, slide, groups, weights=0, copied=True):
        self.x, self.kernel, self.slide, self.groups = x, tuple(kernel), slide, groups
        C, size = x.shape[1], x.shape[2:]
        self.out = self.wide = out = slide.positions(size, kernel)
        self.shape = tuple(m + a + b for m, (a, b) in zip(size, slide.padding))
        run, near = (C * kernel[-1] if slide.dilation[-1] == 1 else C), set(slide.stride) == {1}
        self.plain = near and prod(kernel) == 1 and self.shape == size     # one tap: the columns are the images themselves
        self.last = groups == 1 and not self.plain and run > (2 * out[-1] if near else 4)
        if near and not self.last and not self.plain:
            self.wide = (*out[:-1], self.shape[-1])
        block = device_block
        if type(x) is np.ndarray:                    # where not last, each image is a product by itself: more in cache is no use
            most = np_block << (threads.get_num_threads() > 1)             # threads with larger blocks meet less often at the interpreter's lock
            block = max(most, min(weights, 4 * np_block)) if self.last else most // 2
        n = max(1, min(x.shape[0], block // max(1, C * (prod(kernel) if copied else 1) * prod(self.wide))))
        self.n = -(-x.shape[0] // -(-x.shape[0] // n)) if x.shape[0] else 1            # of nearly one size

    def __iter__(self):
        x, lib, k = self.x, xp(self.x), len(self.kernel)
        N, C, G, taps, columns = x.shape[0], x.shape[1], self.groups, prod(self.kernel), None
        if self.plain:
            yield slice(N), x.reshape(N, G, C // G, prod(self.out))
            return
        for images, view in self.windows():
            if self.last:
                view = view.transpose(0, *range(2 + k, 2 + 2 * k), *range(2, 2 + k), 1)             # (n, *out, *kernel, C)
            columns = lib.empty(view.shape, x.dtype) if columns is None else columns
            m = len(view)
            columns[:m] = view
            yield images, columns[:m].reshape((-1, taps * C) if self.last else (m, G, C // G * taps, prod(self.wide)))

    def windows(self):
        """What the windows see, not copied: (slice of images, (n, C, *kernel, *wide))."""
        x, lib, n = self.x, xp(self.x), self.n
        N, C = x.shape[:2]
        (inner, kept), tail = inside(x.shape[2:], self.slide.padding), self.slide.dilation[-1] * (self.kernel[-1] - 1)
        room = lib.zeros(n * C * prod(self.shape) + tail, x.dtype)[:n * C * prod(self.shape)]       # tail: what the last wide row sees
        room = room.reshape(n, *self.shape, C) if self.last else room.reshape(n, C, *self.shape)
        images = lib.moveaxis(room, -1, 1) if self.last else room          # (n, C, *shape)
        view = window_view(images, self.kernel, self.wide, self.slide)
        for i in range(0, N, n):
            m = min(n, N - i)
            images[(slice(m), slice(None), *inner)] = x[(slice(i, i + m), slice(None), *kept)]
            yield slice(i, i + m), view[:m]


def by_images(part, x, work):
    """[part(start, stop), ...] for the images of x, which threads share on the CPU; work: multiplications for each."""
    N, found = len(x), {}
    least = 1 + LEAST // max(1, work)
    if type(x) is not np.ndarray or len(threads.pieces(N, least)) == 1:
        return [part(0, N)]

    def some(start, stop):
        found[start] = part(start, stop)
    with blas.alone():
        threads.run(some, N, least=least)
    return [found[start] for start in sorted(found)]
