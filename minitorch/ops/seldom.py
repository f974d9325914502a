"""Functions and methods that few programs call: diagonals filled, angles, tensors resized, older names of decompositions."""
import math
import warnings
from collections import namedtuple

from .. import dtypes
from ..autograd.op import HOMES, composed
from ..cases import integers, normal
from ..tensor import Tensor
from .choose import where
from .creation import arange, public
from .decompose import qr as linalg_qr
from .decompose import svd as linalg_svd
from .join import chunk, split

SvdResult = namedtuple("svd", ["U", "S", "V"])
QrResult = namedtuple("qr", ["Q", "R"])


def fill_diagonal_(self, fill_value, wrap=False):
    """In place: `fill_value` at self[i, i, ...]; wrap: in a tall matrix the diagonal begins again after each n + 1 rows.

    RuntimeError for fewer than two axes, or for more of different sizes.
    """
    if self.ndim < 2:
        raise RuntimeError("dimensions must larger than 1")
    if self.ndim == 2:
        m, n = self.shape
        for start in range(0, m if wrap else 1, n + 1):
            self[start:].diagonal().fill_(fill_value)
        return self
    if len(set(self.shape)) > 1:
        raise RuntimeError("all dimensions of input must be of equal length")
    self[(arange(self.shape[0], device=self.device),) * self.ndim] = fill_value
    return self


Tensor.fill_diagonal_ = fill_diagonal_


@composed
def angle(input):
    """pi where `input` is negative, else 0."""
    real = input.dtype.is_floating_point
    y = (input < 0).to(input.dtype if real else dtypes.get_default_dtype()) * math.pi
    return where(input != input, input, y) if real else y

angle.case(normal(3, 4))
angle.case(integers(3, low=-2))
angle.case(normal())


@composed
def svd(input, some=True, compute_uv=True):
    """(U, S, V) with U @ diag(S) @ V^T = input, the older form of linalg.svd; some: only as many vectors as singular values."""
    u, s, vh = linalg_svd(input, full_matrices=not some)
    if not compute_uv:
        m, n = input.shape[-2:]
        return SvdResult(u.new_zeros((*input.shape[:-2], m, m)), s, u.new_zeros((*input.shape[:-2], n, n)))
    return SvdResult(u, s, vh.mT)

svd.case(normal(4, 3))
svd.case(normal(2, 3, 3))


@composed
def qr(input, some=True):
    """(Q, R) with Q @ R = input, the older form of linalg.qr; some: "reduced", else "complete"."""
    return QrResult(*linalg_qr(input, "reduced" if some else "complete"))

qr.case(normal(4, 3))
qr.case(normal(2, 3, 3), False)


@composed
def unsafe_chunk(input, chunks, dim=0):
    """chunk, as views that may be written to."""
    return chunk(input, chunks, dim)

unsafe_chunk.case(normal(5, 2), 2)


@composed
def unsafe_split(tensor, split_size, dim=0):
    """split, as views that may be written to."""
    return split(tensor, split_size, dim)

unsafe_split.case(normal(5, 2), 2)


def resize_(self, *sizes, memory_format=None):
    """In place: another shape, the elements kept in their order as far as they go; new ones are whatever the memory holds.

    RuntimeError where a gradient is recorded.
    """
    sizes = tuple(sizes[0]) if len(sizes) == 1 and isinstance(sizes[0], (tuple, list)) else sizes
    if self.requires_grad:
        raise RuntimeError("cannot resize variables that require grad")
    count, old = math.prod(sizes), self.array.reshape(-1)
    if count != old.size:
        room = self.new_empty((count,)).array
        room[:min(count, old.size)] = old[:count]
        old = room
    self.array = old.reshape(sizes)
    return self


def resize_as_(self, other, *, memory_format=None):
    """In place: resize_ to the shape of `other`."""
    return self.resize_(*other.shape)


Tensor.resize_, Tensor.resize_as_ = resize_, resize_as_
HOMES["torch"]["resize_as_"] = resize_as_


def inclusive_range(start, end=None, step=1, **options):
    """start, start + step, ... up to `end` itself: in floats, and deprecated for arange."""
    warnings.warn("range is deprecated and will be removed in a future release because its behavior is inconsistent with Python's range "
                  "builtin. Instead, use arange, which produces values in [start, end).", UserWarning, stacklevel=2)
    start, end = (0, start) if end is None else (start, end)
    if step == 0 or (end - start) * step < 0:
        raise RuntimeError("step must be nonzero" if step == 0 else "upper bound and lower bound inconsistent with step sign")
    count = int((end - start) / step) + 1
    return arange(start, start + (count - 0.5) * step, step, **{"dtype": dtypes.get_default_dtype(), **options})


inclusive_range.__name__ = inclusive_range.__qualname__ = "range"
public(inclusive_range)
