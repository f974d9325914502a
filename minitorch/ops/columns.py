"""What the windows of a convolution see, as columns of a matrix (im2col), for a block of images at a time that stays in the cache."""
from math import prod

import numpy as np

from .. import blas, threads
from ..backend import xp
from .windows import inside, window_view

np_block, device_block = 1 << 19, 1 << 26            # numbers in the columns of one block: NumPy's stay in cache, a GPU wants many
LEAST, COPY = 1 << 22, 10                            # multiplications that are worth another thread, and that take as long as copying a number


class Columns:
    """What the windows over x (N, C, *size) see, as matrices for blocks of images.

    last: the channels stand innermost, in rows (n * positions, taps * C): long runs to copy and one large product.
    Otherwise (n, groups, C / groups * taps, positions), for few channels and for groups.  There, with stride 1, rows of
    positions stay as long as the padded rows of the images, so that all rows are copied as one run: `wide` positions, of which
    the last few of each row mean nothing.

    weights: how many numbers every block is multiplied with; a product begins by copying them all, which a block of as many is worth.
    copied: whether columns are asked for, and not `windows` alone.
    summed: whether what comes of a block is added to what comes of the others.
    ones: whether a row of ones follows where not last and not plain, for a bias to go with the weights.
    """

    def __init__(self, x, kernel, slide, groups, weights=0, copied=True, summed=False, ones=False):
        self.x, self.kernel, self.slide, self.groups = x, tuple(kernel), slide, groups
        C, size = x.shape[1], x.shape[2:]
        self.out = self.wide = out = slide.positions(size, kernel)
        self.shape = tuple(m + a + b for m, (a, b) in zip(size, slide.padding))
        run, near = (C * kernel[-1] if slide.dilation[-1] == 1 else C), set(slide.stride) == {1}
        self.plain = near and prod(kernel) == 1 and self.shape == size     # one tap: the columns are the images themselves
        self.last = groups == 1 and not self.plain and run > (2 * out[-1] if near else 4)
        if near and not self.last and not self.plain:
            self.wide = (*out[:-1], self.shape[-1])
        self.ones = ones and not self.last and not self.plain
        block = device_block
        if type(x) is np.ndarray:                    # threads with larger blocks meet less often at the interpreter's lock
            shared = threads.get_num_threads() > 1
            if self.last:
                block = max(np_block << shared, min(weights, 4 * np_block))
            else:                                    # each image is a product by itself: more in cache is no use, but for sums
                block = (np_block if summed else np_block // 2) if shared else np_block // 4
        numbers = max(1, C * (prod(kernel) if copied else 1) * prod(self.wide))
        self.n = even(x.shape[0], block // numbers)
        self.some = -(-groups // max(1, min(groups, round(numbers / block))))         # groups of a block

    def few(self, M):
        """Whether, in NumPy arrays and where last, all images together have no more positions than there are filters."""
        return self.last and type(self.x) is np.ndarray and len(self.x) * prod(self.out) <= M

    def blocks(self, start, stop):
        """(slice of images, of groups, matrix) for blocks of the images from start to stop."""
        x, lib, k = self.x, xp(self.x), len(self.kernel)
        C, G, taps, jobs = x.shape[1], self.groups, prod(self.kernel), {}
        if self.plain:
            yield slice(start, stop), slice(G), x[start:stop].reshape(-1, G, C // G, prod(self.out))
            return
        columns = lib.empty((min(self.n, stop - start), self.some, C // G * taps + self.ones, prod(self.wide)), x.dtype)
        columns[:, :, C // G * taps:] = 1
        for images, view in self.windows(start, stop):
            m = len(view)
            if m not in jobs and self.last:
                seen = view.transpose(0, *range(2 + k, 2 + 2 * k), *range(2, 2 + k), 1)             # (n, *out, *kernel, C)
                block = columns[:m].reshape(-1, taps * C)
                jobs[m] = [(slice(G), block.reshape(seen.shape), seen, block)]
            elif m not in jobs:                      # the same memory for every block of as many images
                seen = view.reshape(m, G, C // G, *view.shape[2:])
                parts = [slice(i, min(i + self.some, G)) for i in range(0, G, self.some)]
                blocks = [columns[:m, :part.stop - part.start] for part in parts]
                jobs[m] = [(part, block[:, :, :C // G * taps].reshape(seen[:, part].shape), seen[:, part], block)
                           for part, block in zip(parts, blocks)]
            for groups, place, seen, block in jobs[m]:
                place[...] = seen
                yield images, groups, block

    def windows(self, start, stop):
        """What the windows see, not copied: (slice of images, (n, C, *kernel, *wide)) for blocks of the images from start to stop."""
        x, lib, n, C = self.x, xp(self.x), max(1, min(self.n, stop - start)), self.x.shape[1]
        (inner, kept), tail = inside(x.shape[2:], self.slide.padding), self.slide.dilation[-1] * (self.kernel[-1] - 1)
        room = lib.zeros(n * C * prod(self.shape) + tail, x.dtype)[:n * C * prod(self.shape)]       # tail: what the last wide row sees
        room = room.reshape(n, *self.shape, C) if self.last else room.reshape(n, C, *self.shape)
        images = lib.moveaxis(room, -1, 1) if self.last else room          # (n, C, *shape)
        view = window_view(images, self.kernel, self.wide, self.slide)
        for i in range(start, stop, n):
            m = min(n, stop - i)
            images[(slice(m), slice(None), *inner)] = x[(slice(i, i + m), slice(None), *kept)]
            yield slice(i, i + m), view[:m]


def even(n, most):
    """The size, up to `most` and at least 1, of pieces of nearly one size that n things are divided into."""
    return -(-n // -(-n // max(1, min(n, most)))) if n else 1


def by_images(part, x, numbers, times):
    """[part(start, stop), ...] for the images of x, which threads share on the CPU.

    numbers, times: how many numbers there are in the columns of an image, and with how many others each is multiplied.
    """
    N, found = len(x), {}
    least = 1 + LEAST // max(1, numbers * (times + COPY))
    if type(x) is not np.ndarray or len(threads.pieces(N, least)) == 1:
        return [part(0, N)]

    def some(start, stop):
        found[start] = part(start, stop)
    with blas.alone():
        threads.run(some, N, least=least)
    return [found[start] for start in sorted(found)]
