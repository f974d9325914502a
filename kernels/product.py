"""A batch of matrix products as the kernels see it: operands read where they lie, by strides (matmul.cuh's struct Product)."""
import functools
import math

import numpy as np

from ..backend import xp
from .signature import address, dense

BYTES = 16                                           # where vectors must start: at multiples of this
STRIDES = np.dtype([(name, "i8") for name in ("row", "column", "outer", "inner")])
PRODUCT = np.dtype([("a", STRIDES), ("b", STRIDES)] + [(name, "i4") for name in ("M", "N", "K", "outer", "inner", "vectors")])


class Product:
    """A batch of products as the kernels see it: matmul.cuh's struct of this name."""

    def __init__(self, a, b, M, N, K, batch, a_strides, b_strides):
        """a, b: arrays of (..., M, K) and (..., K, N).  a_strides, b_strides: those of the batch's axes `batch`, in elements."""
        self.a, self.b, self.M, self.N, self.K = a, b, M, N, K
        self.outer, self.inner = batch
        self.a_strides = (*matrix_strides(a, M, K), *a_strides)
        self.b_strides = (*matrix_strides(b, K, N), *b_strides)
        self.a_vectors, self.b_vectors = vectors(a, self.a_strides, (M, K)), vectors(b, self.b_strides, (K, N))

    @property
    def batches(self):
        return self.outer * self.inner

    @property
    def a_along_k(self):
        return self.a_strides[1] == 1

    @property
    def b_along_k(self):
        return self.b_strides[1] != 1

    def tiles(self, rows, columns):
        """How many tiles of this size cover all the results."""
        return -(-self.M // rows) * -(-self.N // columns) * self.batches

    @property
    def large(self):
        """Whether tiles of 128 x 128 are mostly full, and enough to keep most of the device busy."""
        return self.M > 64 and self.N > 64 and 4 * self.tiles(128, 128) >= 3 * device(self.a)[1]

    def split(self, parts):
        """The same as a batch of products of parts of k, to be added up; there must be no outer axis yet."""
        part = object.__new__(Product)
        vars(part).update(vars(self), outer=parts, K=self.K // parts)
        (row, column, _, inner), b = self.a_strides, self.b_strides
        part.a_strides = row, column, column * part.K, inner
        part.b_strides = *b[:2], b[0] * part.K, b[3]
        return part

    def encoded(self):
        return np.array([(self.a_strides, self.b_strides, self.M, self.N, self.K, self.outer, self.inner,
                          self.a_vectors + 2 * self.b_vectors)], PRODUCT)

    def __array__(self, dtype=None, copy=None):
        return self.encoded()


def matrix_strides(x, rows, columns):
    """(row, column) strides in elements; along an axis of one entry, what they would be in a full array."""
    row, column = (s // x.itemsize for s in x.strides[-2:])
    if rows == 1:
        row = columns if column == 1 or columns == 1 else 1
    if columns == 1:
        column = rows if row == 1 else 1
    return row, column


def vectors(x, strides, shape):
    """Whether the rows, or the columns if these are contiguous, come in whole vectors (of 16 bytes; in float64, of 4 numbers)."""
    row, column, *batch = strides
    extent, other = (shape[1], row) if column == 1 else (shape[0], column)
    return address(x) % BYTES == 0 and not any(n % (8 if x.itemsize == 2 else 4) for n in (extent, other, *batch))


def readable(x):
    """`x`, or a copy where the kernels cannot read it by strides: they want no gaps, and rows or columns contiguous."""
    rows, columns = x.shape[-2:]
    if dense(x) is None or 1 not in matrix_strides(x, rows, columns):
        return xp(x).ascontiguousarray(x)
    return x


def fold(a_strides, b_strides, batch):
    """The axes of a batch, by sizes and strides of both operands, with neighbours made one where one stride steps through both."""
    axes = []
    for size, *strides in zip(batch, a_strides, b_strides):
        if size == 1:
            continue
        if axes and all(outer == inner * size for outer, inner in zip(axes[-1][1:], strides)):
            axes[-1] = (axes[-1][0] * size, *strides)
        else:
            axes.append((size, *strides))
    return axes


def product(a, b):
    """The Product of arrays (..., M, K) and (..., K, N), and the shape of the result."""
    (M, K), N = a.shape[-2:], b.shape[-1]
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    shape = (*batch, M, N)
    a, b = readable(a), readable(b)
    if math.prod(b.shape[:-2]) == 1 and a.ndim > 2 and a.flags.c_contiguous:       # one b: its products are one of more rows
        M, batch = M * math.prod(batch), ()
        a, b = a.reshape(M, K), b.reshape(b.shape[-2:]) if b.flags.c_contiguous else b[(0,) * (b.ndim - 2)]
    axes = fold(batch_strides(a, batch), batch_strides(b, batch), batch)
    if len(axes) > 2:                                # the kernels know two axes
        a, b = (xp(x).ascontiguousarray(xp(x).broadcast_to(x, (*batch, *x.shape[-2:]))) for x in (a, b))
        axes = fold(batch_strides(a, batch), batch_strides(b, batch), batch)
    sizes, a_strides, b_strides = zip(*[(1, 0, 0)] * (2 - len(axes)), *axes)
    return Product(a, b, M, N, K, sizes, a_strides, b_strides), shape


def batch_strides(x, batch):
    """The strides of x along the axes of a batch, in elements: 0 where x has one entry for all."""
    own = [0 if n == 1 else s // x.itemsize for n, s in zip(x.shape[:-2], x.strides)]
    return [0] * (len(batch) - len(own)) + own


@functools.cache
def multiprocessors(index):
    """How many multiprocessors the GPU has."""
    import cupy
    return cupy.cuda.Device(index).attributes["MultiProcessorCount"]


def device(x):
    """(compute capability, multiprocessors) of the device of `x`; the simulator is a small Hopper."""
    if isinstance(x, np.ndarray):
        return "90", 4
    return x.device.compute_capability, multiprocessors(x.device.id)
