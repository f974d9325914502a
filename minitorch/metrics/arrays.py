"""What every metric does first and last: arrays of tensors, checked, and results in the kind that was given."""
import numpy as np

from ..backend import to_numpy
from ..tensor import Tensor, wrap


def as_array(x, name):
    """A tensor, array or list as a NumPy array; ValueError for one without elements or with NaN."""
    array = to_numpy(x.detach().array) if isinstance(x, Tensor) else to_numpy(x) if hasattr(x, "dtype") else np.asarray(x)
    if not array.size:
        raise ValueError(f"{name} is empty: there is nothing to measure")
    if array.dtype.kind not in "biuf":               # bfloat16, of another package than NumPy
        try:
            array = array.astype("f4")
        except (TypeError, ValueError):
            raise ValueError(f"{name} must hold numbers, not {array.dtype}") from None
    if array.dtype.kind == "f" and np.isnan(array).any():
        raise ValueError(f"{name} contains NaN")
    return array


def in_kind(array, *given):
    """An array as a tensor where one of the arguments was one."""
    return wrap(array) if any(isinstance(x, Tensor) for x in given) else array


def pair(input, target):
    """Both as arrays; ValueError unless their shapes are the same."""
    x, t = as_array(input, "input"), as_array(target, "target")
    if x.shape != t.shape:
        raise ValueError(f"input of shape {x.shape} does not fit target of shape {t.shape}")
    return x, t
