"""From items to a batch: tensors are stacked, numbers become tensors, dicts and tuples are kept around them."""
import collections.abc

import numpy as np

from ... import backend
from ...autograd.op import HOMES
from ...convert import as_array
from ...dtypes import F64
from ...tensor import Tensor, wrap

REFUSED = "default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; found "


def default_collate(batch):
    """The items of `batch` as one: (items, ...) tensors in the structure that each item has.

    RuntimeError for items of unequal sizes, TypeError for what cannot be batched.
    """
    first = batch[0]
    if isinstance(first, Tensor):
        return stacked(batch)
    if isinstance(first, (np.ndarray, np.generic)) and not isinstance(first, (str, bytes)):
        if first.dtype.kind not in "fiub" and first.dtype.name != "bfloat16":
            raise TypeError(f"{REFUSED}{first.dtype}")
        return stacked([wrap(np.asarray(v)) for v in batch])
    if isinstance(first, float):
        return wrap(as_array(batch, F64))
    if isinstance(first, int):
        return wrap(as_array(batch))
    if isinstance(first, (str, bytes)):
        return batch
    if isinstance(first, collections.abc.Mapping):
        return rebuilt(first, {k: default_collate([v[k] for v in batch]) for k in first})
    if isinstance(first, tuple) and hasattr(first, "_fields"):
        return type(first)(*[default_collate(column) for column in zip(*batch)])
    if isinstance(first, collections.abc.Sequence):
        if any(len(v) != len(first) for v in batch):
            sizes = sorted({len(v) for v in batch})
            raise RuntimeError(f"each element in list of batch should be of equal size, but the sizes are {sizes}")
        columns = [default_collate(list(column)) for column in zip(*batch)]
        return columns if isinstance(first, tuple) else rebuilt(first, columns)
    raise TypeError(f"{REFUSED}{type(first)}")


def stacked(tensors):
    """Tensors of one shape along a new first axis."""
    shape = tensors[0].array.shape
    for i, t in enumerate(tensors):
        if t.array.shape != shape:
            raise RuntimeError(f"stack expects each tensor to be equal size, but got {list(shape)} at entry 0 "
                               f"and {list(t.array.shape)} at entry {i}")
    if any(t.requires_grad for t in tensors):
        return HOMES["torch"]["stack"](tensors)
    return wrap(backend.xp(tensors[0].array).stack([t.array for t in tensors]))


def rebuilt(like, content):
    """`content` in the type of `like` where that takes it, as a plain list or dict otherwise."""
    try:
        return type(like)(content)
    except TypeError:
        return content


def default_convert(data):
    """NumPy arrays and scalars in `data` as tensors, everything else as it is."""
    if isinstance(data, (np.ndarray, np.generic)) and not isinstance(data, (str, bytes)):
        return wrap(np.asarray(data)) if data.dtype.kind in "fiub" or data.dtype.name == "bfloat16" else data
    if isinstance(data, (str, bytes, Tensor)):
        return data
    if isinstance(data, collections.abc.Mapping):
        return rebuilt(data, {k: default_convert(v) for k, v in data.items()})
    if isinstance(data, tuple) and hasattr(data, "_fields"):
        return type(data)(*[default_convert(v) for v in data])
    if isinstance(data, tuple):
        return [default_convert(v) for v in data]
    if isinstance(data, collections.abc.Sequence):
        return rebuilt(data, [default_convert(v) for v in data])
    return data
