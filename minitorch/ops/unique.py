"""unique and unique_consecutive: each value once.  None has a derivative."""
import numpy as np

from ..autograd.op import composed
from ..backend import xp
from ..cases import integers
from ..tensor import wrap
from .dims import axis


def by_counting(x, return_inverse, return_counts):
    """np.unique of whole numbers that are no further apart than there are of them; None for others."""
    if x.dtype.kind not in "iu" or int(x.max()) - int(x.min()) >= x.size:
        return None
    low = x.min()
    places = x.astype(np.int64).reshape(-1) - np.int64(low)
    counts = np.bincount(places)
    found = np.flatnonzero(counts)
    results = [(found + np.int64(low)).astype(x.dtype)]
    if return_inverse:
        rank = np.empty(len(counts), np.int64)
        rank[found] = np.arange(len(found))
        results.append(rank[places])
    if return_counts:
        results.append(counts[found])
    return results if len(results) > 1 else results[0]


@composed
def unique(input, sorted=True, return_inverse=False, return_counts=False, dim=None):
    """The different entries, sorted; with `dim` the different slices along it.

    return_inverse: also where each entry went; return_counts: also how often each occurs.
    """
    x, library = input.array, xp(input.array)
    if dim is not None:
        dim = axis(dim, input.ndim)
    found = by_counting(x, return_inverse, return_counts) if x.size > 1000 and dim is None and type(x) is np.ndarray else None
    if found is None:
        found = library.unique(x, return_inverse=return_inverse, return_counts=return_counts, axis=dim, equal_nan=False)
    if not return_inverse and not return_counts:
        return wrap(found)
    found = list(found)
    if return_inverse:
        found[1] = found[1].reshape(x.shape if dim is None else -1)
    return tuple([wrap(f) for f in found])

unique.case(integers(3, 4))
unique.case(integers(10), return_inverse=True, return_counts=True)
unique.case(integers(40, 30, high=50), return_inverse=True, return_counts=True)
unique.case(integers(6, 2, high=2), dim=0, return_counts=True)
unique.case(integers(2, 7, high=2), return_inverse=True, dim=-1)


@composed
def unique_consecutive(input, return_inverse=False, return_counts=False, dim=None):
    """The entries (with `dim`: the slices along it) without those equal to the one before.

    return_inverse: also where each entry went; return_counts: also how many were put together.
    """
    x, library = input.array, xp(input.array)
    rows = library.moveaxis(x, axis(dim, input.ndim), 0) if dim is not None and x.ndim else x.reshape(-1)
    new = library.ones(rows.shape[0], bool)
    new[1:] = (rows[1:] != rows[:-1]).reshape(rows.shape[0] - 1, -1).any(axis=1) if rows.shape[0] > 1 else True
    starts = library.flatnonzero(new)
    y = rows[starts]
    results = [wrap(library.ascontiguousarray(library.moveaxis(y, 0, axis(dim, input.ndim)) if dim is not None and x.ndim else y))]
    if return_inverse:
        inverse = new.cumsum() - 1
        results.append(wrap(inverse.reshape(x.shape) if dim is None else inverse))
    if return_counts:
        results.append(wrap(library.diff(library.concatenate([starts, library.full(1, rows.shape[0])]))))
    return results[0] if len(results) == 1 else tuple(results)

unique_consecutive.case(integers(12, high=2))
unique_consecutive.case(integers(3, 4, high=2), return_inverse=True, return_counts=True)
unique_consecutive.case(integers(8, 1, high=2), dim=0, return_counts=True)
