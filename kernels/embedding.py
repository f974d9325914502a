"""Rows of a table by number, and the table's gradient, on the kernels of embedding.cu.

The gradient is by default the sum in a fixed order, from the places sorted by the row that they name: the same bits every
time, in every dtype, and a row named very often costs no more than others.  atomic=True adds as the threads come: without
the sort it may be quicker in float32 where rows are named seldom; its last bits vary on a GPU.
"""
import numpy as np

from ..backend import xp
from ..cases import integers, normal
from .elementwise import place, width
from .kernel import library
from .proof import proven, scalar

TILE = 32                                            # places of a tile, as in embedding.cu
NO_ROW = -2**63                                      # never the number of a row


def numbers(name, indices, rows):
    """`indices` as int64, contiguous.  TypeError unless whole numbers; IndexError for one that names no row, where NumPy holds them.

    On a GPU the numbers are not read back for this: there the kernels give NaN for a row that is not there, and no gradient.
    """
    if indices.dtype.kind not in "iu":
        raise TypeError(f"{name}: the indices must be integers, not {indices.dtype.name}")
    if isinstance(indices, np.ndarray) and indices.size and not 0 <= indices.min() <= indices.max() < rows:
        wrong = indices.min() if indices.min() < 0 else indices.max()
        raise IndexError(f"{name}: there is no row {wrong} in a table of {rows}")
    return xp(indices).ascontiguousarray(indices, dtype=np.int64)


def row_or_none(name, row, rows):
    """The number of a row that may be counted from the end, NO_ROW for None; IndexError where there is no such row."""
    if row is None:
        return NO_ROW
    if not -rows <= row < rows:
        raise IndexError(f"{name}: there is no row {row} in a table of {rows}")
    return row % rows


def embedding_reference(indices, table, zero_row=None):
    y = table[indices]
    return y if zero_row is None else np.where((indices == zero_row % len(table))[..., None], 0, y)


@proven(reference=embedding_reference, dtypes="float32 float16 bfloat16")
def embedding(indices, table, zero_row=None):
    """The rows of `table` (V, D) that `indices` (...) names, zeros for row `zero_row`: (..., D).

    IndexError for a row that is not there; on a GPU, which is not asked for its numbers, such a row is NaN.
    """
    if table.ndim != 2:
        raise ValueError(f"embedding: the table must have two axes, not shape {tuple(table.shape)}")
    rows, columns = table.shape
    index, zero = numbers("embedding", indices, rows), row_or_none("embedding", zero_row, rows)
    y = xp(table).empty((*indices.shape, columns), table.dtype)
    if y.size:
        w = width(columns, table, y)
        block, _, high = place(columns // w, index.size, 256)
        kernel = library("embedding.cu", "embedding_forward", {"scalar": scalar(table), "WIDTH": w})
        kernel(-(-index.size // high), block, (index, table, y, index.size, rows, columns, zero))
    return y


def embedding_backward_reference(g, indices, rows, padding_idx=None, atomic=False):
    y = np.zeros((rows, g.shape[-1]))
    np.add.at(y, indices, g)
    if padding_idx is not None:
        y[padding_idx] = 0
    return y


@proven(reference=embedding_backward_reference, dtypes="float32 float16 bfloat16")
def embedding_backward(g, indices, rows, padding_idx=None, atomic=False):
    """The table's gradient: (..., D), (...) -> (rows, D); zeros in row `padding_idx` and in rows that are not named."""
    columns = g.shape[-1] if g.ndim else 0
    if g.ndim == 0 or g.shape[:-1] != indices.shape:
        raise ValueError(f"embedding_backward: a gradient of shape {tuple(g.shape)} for indices of shape {tuple(indices.shape)}")
    name, library_of = "embedding_backward", xp(g)
    index, padding = numbers(name, indices, rows).reshape(-1), row_or_none(name, padding_idx, rows)
    exact = np.float64 if g.dtype == np.float64 else np.float32          # what sums are kept in
    y = library_of.zeros((rows, columns), exact if atomic else g.dtype)
    if not g.size:
        return y.astype(g.dtype, copy=False)
    if atomic:
        block, _, high = place(columns, index.size, 256)
        kernel = library("embedding.cu", "embedding_backward_atomic", {"scalar": scalar(g), "WIDTH": 1})
        kernel(min(-(-index.size // high), 2**20), block, (g, index, y, index.size, rows, columns, padding))
        return y.astype(g.dtype, copy=False)
    order = library_of.argsort(index, kind="stable")
    named, tiles = index[order], -(-index.size // TILE)
    sums = library_of.empty((tiles, 2, columns), exact)
    w = width(columns, g, y)
    block, across, high = place(columns // w, tiles)
    macros, grid = {"scalar": scalar(g), "WIDTH": w}, (-(-tiles // high), min(across, 65535))
    library("embedding.cu", "embedding_backward_tiles", macros)(grid, block, (g, named, order, y, sums, index.size, rows, columns, padding))
    if tiles > 1:
        library("embedding.cu", "embedding_backward_joins", macros)(grid, block, (named, sums, y, index.size, rows, columns, padding))
    return y


embedding.vjp(lambda g, y, indices, table, zero_row=None: (None, embedding_backward(g, indices, len(table), zero_row)))
embedding.case(integers(2, 4), normal(5, 3))
embedding.case(integers(2, 2, 3), normal(5, 8), zero_row=-2)
embedding.case(integers(1, high=1), normal(1, 1))
embedding.case(integers(), normal(5, 2))
embedding.case(integers(3, high=2), normal(2, 37), zero_row=0)
embedding.case(integers(0, 3), normal(5, 2))
embedding.case(integers(2), normal(5, 0))

embedding_backward.vjp(lambda gg, y, g, indices, rows, padding_idx=None, atomic=False: embedding(indices, gg, padding_idx))
for atomic in (False, True):
    embedding_backward.case(normal(2, 4, 3), integers(2, 4), 5, atomic=atomic)
    embedding_backward.case(normal(70, 2), integers(70), 6, padding_idx=-3, atomic=atomic)
    embedding_backward.case(normal(1, 1), integers(1, high=1), 1, atomic=atomic)
    embedding_backward.case(normal(0, 3), integers(0), 2, atomic=atomic)
embedding_backward.case(normal(97, 1), integers(97, high=1), 2)                  # one row in every place
embedding_backward.case(normal(64, 1), np.repeat(np.arange(2), 32), 3)           # rows that end with their tiles
embedding_backward.case(normal(3, 3, 2), integers(3, 3, high=3), 4)
embedding_backward.case(normal(70, 4), integers(70, high=3), 3, padding_idx=1)
