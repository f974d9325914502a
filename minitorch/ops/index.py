"""Indexing: x[...] of every kind, and x[...] = v.

Ints, slices, None and Ellipsis cut out a view.  Masks and integer tensors then pick from what was cut:
the axes they index are brought together and counted as one, and one array of positions along it says
what to take.
"""
import operator

import numpy as np

from .. import dtypes
from ..autograd.mode import mode
from ..autograd.views import check_writable, in_place, refuse_overlap
from ..backend import device_of, is_array, move, xp
from ..convert import from_nested
from ..tensor import Tensor, wrap
from .masks import fill_number
from .rows import in_range, put_rows, rows_of, slice_of

# ---- an index, taken apart -----------------------------------------------------------------------------------

BOUNDS = (int, type(None))
FULL = slice(None)
I64 = dtypes.I64
INDEXING = {np.dtype(name) for name in ("int64", "int32", "uint8", "bool")}


def parsed(index, shape):
    """An index as (cut, picks): the tuple for slice_of, ending in an Ellipsis, and [(axis of the cut view, positions or mask)].

    `cut` is None where it would leave everything as it is.
    """
    items = index if type(index) is tuple else (index,) if not is_listed_tuple(index) else tuple(index)
    items = [i if type(i) is int or i is None or i is Ellipsis else as_slice(i) if type(i) is slice else as_item(i) for i in items]
    used = sum([0 if i is None or i is Ellipsis or i is True or i is False else
                1 if type(i) is int or type(i) is slice else axes_of(i) for i in items])
    if used > len(shape):
        raise IndexError(f"too many indices for tensor of dimension {len(shape)}" if shape else
                         "invalid index of a 0-dim tensor. Use `tensor.item()` to convert a 0-dim tensor to a number")
    cut, picks, axis, out, whole = [], [], 0, 0, True        # axis: of the tensor; out: of what is cut out of it
    for item in items:
        if type(item) is int:
            n = shape[axis]
            if not -n <= item < n:
                raise IndexError(f"index {item} is out of bounds for dimension {axis} with size {n}")
            cut.append(item)
            axis += 1
            whole = False
        elif type(item) is slice:
            cut.append(item)
            axis, out = axis + 1, out + 1
            whole = whole and item == FULL
        elif item is Ellipsis:
            if Ellipsis not in cut:
                cut.append(item)
            axis, out = axis + len(shape) - used, out + len(shape) - used
        elif item is None or item is True or item is False:
            cut.append(None)
            if item is not None:                     # True and False pick all or nothing along a new axis
                picks.append((out, np.zeros(int(item), int)))
            out += 1
            whole = False
        else:
            n = axes_of(item)
            if n and is_mask(item) and item.shape != shape[axis:axis + n]:
                raise IndexError(f"The shape of the mask {list(item.shape)} at index {axis} does not match the shape of the indexed "
                                 f"tensor {list(shape)} at index {axis}")
            cut += [FULL] * n
            picks.append((out, item))
            axis, out = axis + n, out + n
    if Ellipsis not in cut:
        cut.append(Ellipsis)
    return None if whole else tuple(cut), picks


def is_listed_tuple(index):
    """Whether a list stands for a tuple of indices, as PyTorch takes it: it holds slices, tensors, None or further lists."""
    return isinstance(index, list) and len(index) < 32 and any(
        i is None or i is Ellipsis or isinstance(i, (slice, list, tuple, Tensor)) or is_array(i) for i in index)


def as_slice(s):
    """A slice of plain ints and None; ValueError for a step that is not positive."""
    if not (type(s.start) in BOUNDS and type(s.stop) in BOUNDS and type(s.step) in BOUNDS):
        s = slice(*[None if i is None else operator.index(i) for i in (s.start, s.stop, s.step)])
    if s.step is not None and s.step <= 0:
        raise ValueError("step must be greater than zero" if s.step else "slice step cannot be zero")
    return s


def as_item(i):
    """One index that is neither slice nor None: an int, True or False, a tensor, or an array of ints or booleans."""
    if isinstance(i, (bool, np.bool_)):
        return bool(i)
    if isinstance(i, (list, tuple, range)):
        if any([isinstance(k, str) for k in i]):
            raise TypeError("new(): invalid data type 'str'")
        i = from_nested(list(i), None)
        i = i if i.size else i.astype(int)
    elif not isinstance(i, Tensor) and not is_array(i):
        try:
            return operator.index(i)
        except TypeError:
            kind = TypeError if isinstance(i, str) else IndexError
            raise kind("only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are valid indices "
                       f"(got {type(i).__name__})") from None
    array = i.array if isinstance(i, Tensor) else i
    if array.dtype not in INDEXING:
        raise IndexError(f"tensors used as indices must be long, int, byte or bool tensors, not {array.dtype}")
    if array.ndim == 0:
        return bool(array) if array.dtype.kind in "bu" else int(array)
    if array.dtype.kind == "u":
        return array.astype(bool)
    return i if isinstance(i, Tensor) else array.copy()      # what the caller writes into it later must not reach backward


def is_mask(item):
    return getattr(item, "array", item).dtype.kind == "b"


def axes_of(item):
    """How many axes an array index takes: a mask one for each of its own."""
    return item.ndim if is_mask(item) else 1


def aligned(x, picks):
    """(x, index, dim, count, unique) for rows_of: the picked axes of tensor x side by side, and positions along them."""
    dim, item = picks[0]
    if len(picks) == 1 and isinstance(item, Tensor) and type(item.array) is type(x.array) and item.array.dtype.kind != "b":
        return x, item, dim, 1, False
    picks = [(dim, beside(getattr(item, "array", item), x.array)) for dim, item in picks]
    if len(picks) == 1:
        (dim, array), = picks
        return (x, array, dim, 1, False) if not is_mask(array) else (x, xp(array).flatnonzero(array), dim, array.ndim, True)
    dims, arrays = [], []
    for dim, array in picks:
        parts = array.nonzero() if array.dtype.kind == "b" else (array,)
        dims += range(dim, dim + len(parts))
        arrays += parts
    if dims != list(range(dims[0], dims[0] + len(dims))):    # far apart: their axes go first, as in NumPy
        x, dims = x.permute(dims + [d for d in range(x.ndim) if d not in dims]), range(len(dims))
    return x, linear(arrays, x.array.shape, dims), dims[0], len(dims), False


def beside(array, x):
    """`array` in the library and on the device of array x."""
    return array if type(array) is type(x) else move(array, device_of(x))


def linear(arrays, shape, dims):
    """Positions along several axes as positions along all of them counted as one."""
    index = 0
    try:
        for array, d in zip(arrays, dims):
            index = index * shape[d] + within(array, shape[d], d)
    except ValueError:
        raise IndexError("shape mismatch: indexing tensors could not be broadcast together with shapes "
                         + ", ".join(str(list(a.shape)) for a in arrays)) from None
    return index


def within(array, n, dim):
    """Positions from 0 to n - 1; IndexError for one that is not between -n and n - 1."""
    if array.size == 0 or in_range(array, n):
        return array
    low, high = int(array.min()), int(array.max())
    if low < -n or high >= n:
        raise IndexError(f"index {high if high >= n else low} is out of bounds for dimension {dim} with size {n}")
    return array + n * (array < 0) if low < 0 else array


# ---- x[index] and x[index] = value --------------------------------------------------------------------------

def getitem(self, index):
    """self[index]: a view for ints, slices, None and Ellipsis; a copy where masks or integer tensors pick."""
    if type(index) is int:                           # the usual ones first
        shape = self.array.shape
        if shape and -shape[0] <= index < shape[0]:
            return slice_of(self, index=(index, ...))
    elif type(index) is slice and self.array.ndim:
        return slice_of(self, index=(as_slice(index),))
    elif isinstance(index, Tensor) and index.array.dtype is I64 and index.array.ndim and self.array.ndim:
        return pick(self, [(0, index)])
    cut, picks = parsed(index, self.array.shape)
    if not picks:
        return slice_of(self, index=cut or (...,))
    x = self if cut is None else slice_of(self, index=cut)
    return pick(x, picks)


def pick(x, picks):
    """What masks and integer tensors pick from x."""
    x, index, dim, count, unique = aligned(x, picks)
    try:
        return rows_of(x, index, dim=dim, count=count, unique=unique)
    except IndexError as error:
        raise IndexError(str(error).partition(": ")[2].replace("axis", "dimension")) from None


def setitem(self, index, value):
    """self[index] = value, a number or a tensor that broadcasts to the region; recorded like every in-place op."""
    refuse_odd_value(self, value)
    cut, picks = parsed(index, self.array.shape)
    if mode.grad and (self.requires_grad or isinstance(value, Tensor) and value.requires_grad):
        set_recorded(self, cut, picks, value)
        return
    region = self.array if cut is None else self.array[cut]
    new = beside(value.array, region) if isinstance(value, Tensor) else value if region.dtype.kind == "f" else \
        fill_number(value, region.dtype)
    check_writable(self, False, "__setitem__", region)
    if not picks:
        if isinstance(value, Tensor) and value.counter is self.counter and value.array.shape == region.shape:
            refuse_overlap(region, value.array, "__setitem__")
        fitted(region.shape, new)
        region[...] = new
    else:
        picks = [(dim, beside(getattr(item, "array", item), region)) for dim, item in picks]
        refuse_other_dtype(region, picks, value)
        key, ndim = [FULL] * region.ndim, region.ndim + max([1 if is_mask(a) else a.ndim for _, a in picks])
        for dim, array in reversed(picks):
            ndim -= axes_of(array)
            key[dim:dim + axes_of(array)] = [array]
        try:
            region[tuple(key)] = leading_ones_off(new, ndim) if isinstance(value, Tensor) else new
        except IndexError as error:
            raise IndexError(str(error).replace("axis", "dimension")) from None
        except ValueError as error:
            raise RuntimeError(f"shape mismatch: value tensor of shape {list(new.shape)} cannot be broadcast to the indexing result "
                               f"({error})") from None
    self.counter[0] = list.__getitem__(self.counter, 0) + 1


def set_recorded(x, cut, picks, value):
    """x[...] = value where gradients flow: a write through a view, which reaches the history of its base."""
    region = x if cut is None else slice_of(x, index=cut)
    value = value if isinstance(value, Tensor) else wrap(xp(x.array).asarray(value, dtype=x.array.dtype))
    if not picks:
        fitted(region.array.shape, value.array)
        check_writable(region, False, "__setitem__")
        value = leading_ones_off(value, region.ndim)
        if value.counter is region.counter and value.array.shape != region.array.shape:
            value = value.expand(region.array.shape)     # numbers of the same memory, each read for several places
        region.copy_(value) if value.ndim else region.fill_(value)
        return
    refuse_other_dtype(region.array, picks, value)
    region, index, dim, count, _ = aligned(region, picks)
    shape = getattr(index, "array", index).shape
    full = region.array.shape[:dim] + shape + region.array.shape[dim + count:]
    fitted(full, value.array)
    put_rows_(region, index, leading_ones_off(value, len(full)).to(x.dtype), dim=dim, count=count)


put_rows_ = in_place(put_rows)


def refuse_odd_value(x, value):
    if isinstance(value, complex) and not isinstance(value, (int, float)):
        raise RuntimeError(f"value cannot be converted to type {x.dtype.name} without overflow")
    if not isinstance(value, (Tensor, int, float, np.generic)):
        raise TypeError(f"can't assign a {type(value).__name__} to a tensor of {x.dtype}")


def refuse_other_dtype(array, picks, value):
    """RuntimeError unless the values for picked places have the tensor's own dtype; a mask also takes any single number."""
    if isinstance(value, Tensor) and value.array.dtype != array.dtype and not (
            value.array.ndim == 0 and len(picks) == 1 and is_mask(picks[0][1])):
        raise RuntimeError("Index put requires the source and destination dtypes match, got "
                           f"{dtypes.of(array.dtype)} for the destination and {value.dtype} for the source.")


def fitted(shape, value):
    """RuntimeError unless `value` broadcasts to `shape`, axes of size 1 in front aside."""
    got = tuple(getattr(value, "shape", ()))
    extra = max(len(got) - len(shape), 0)
    if any([n != 1 for n in got[:extra]]) or any([n != 1 and n != m for n, m in zip(got[extra:][::-1], shape[::-1])]):
        raise RuntimeError(f"shape mismatch: value tensor of shape {list(got)} cannot be broadcast to indexing result of shape "
                           f"{list(shape)}")


def leading_ones_off(value, ndim):
    """`value`, an array or a tensor, without axes of size 1 in front that make it more than `ndim`."""
    extra = value.ndim - ndim
    return value.reshape(value.shape[extra:]) if extra > 0 and tuple(value.shape[:extra]) == (1,) * extra else value


def length(self):
    """The size of the first axis; TypeError for a 0-d tensor."""
    if self.array.ndim == 0:
        raise TypeError("len() of a 0-d tensor")
    return self.array.shape[0]


def iterate(self):
    """The tensors along the first axis, views all; TypeError for a 0-d tensor."""
    if self.array.ndim == 0:
        raise TypeError("iteration over a 0-d tensor")
    return iter(self.unbind(0))


def contains(self, element):
    """Whether some entry equals `element`, a number or a tensor that broadcasts."""
    if not isinstance(element, (Tensor, int, float, np.generic)):
        raise RuntimeError(f"Tensor.__contains__ only supports Tensor or scalar, but you passed in a {type(element)}.")
    return bool((self.array == getattr(element, "array", element)).any())


for _name, _method in {"getitem": getitem, "setitem": setitem, "len": length, "iter": iterate, "contains": contains}.items():
    setattr(Tensor, f"__{_name}__", _method)
