"""What an op computes in: PyTorch's promotion, brought about before forward; 16-bit floats computed in float32 and rounded once."""
import numpy as np

from .. import dtypes
from ..backend import MODULES
from ..copies import converted
from .plan import Kept

F32, F64 = dtypes.F32, dtypes.F64


def prepared(op, arrays):
    """(arrays in the dtype to compute in, dtype to round the result to or None), by the op's `numbers`."""
    if op.numbers == "half":
        dtype = next(a.dtype for a in arrays if type(a) in MODULES)
        if not dtypes.is_half(dtype):
            return arrays, None
        return [converted(a, F32) if type(a) in MODULES and dtypes.is_half(a.dtype) else
                a if a is None or type(a) in MODULES else float(a) for a in arrays], dtype
    dtype = settled(arrays)
    if dtype is F32 or dtype is F64:
        return arrays, None
    if dtype is None:
        dtype = dtypes.result_type([a for a in arrays if a is not None])
    if op.numbers == "float" and not dtypes.is_float(dtype):                     # like sin and true division
        dtype = dtypes.default
    if not dtypes.is_half(dtype):
        return [in_dtype(a, dtype) for a in arrays], None
    found = []                                       # computed in float32, rounded once
    for i, a in enumerate(arrays):
        if a is not None and not (op.exact and i == 1 and not getattr(a, "ndim", 0)):
            a = in_dtype(a, dtype)
        found.append(converted(a, F32) if type(a) in MODULES else a if a is None else float(a))
    return found, dtype


def settled(arrays):
    """The dtype of the result where it is plain to see: arrays of one dtype, and beside floats Python's numbers; else None."""
    dtype, numbers = None, False
    for a in arrays:
        if type(a) in MODULES:
            if dtype is None:
                dtype = a.dtype
            elif a.dtype is not dtype:
                return None
        elif type(a) is float or type(a) is int:
            numbers = True
        elif a is not None:
            return None
    return dtype if dtype is F32 or dtype is F64 or not numbers else None


def in_dtype(a, dtype):
    """An array or a number as an operand of that dtype."""
    if type(a) in MODULES:
        return a if a.dtype is dtype or a.dtype == dtype else a.astype(dtype)
    return a if a is None else in_range(a, dtype)


def in_range(number, dtype):
    """A Python number as `dtype` holds it: integers wrap around, as in PyTorch."""
    if dtype.kind in "iu" and not np.iinfo(dtype).min <= number <= np.iinfo(dtype).max:
        return np.array(number).astype(dtype)[()]
    return number if type(number) is int and dtype.kind in "iu" else dtype.type(number)


def rounded(y, dtype):
    """A result computed in float32 in the 16-bit `dtype`; masks and indices stay."""
    if type(y) is Kept:
        return Kept(rounded(y.result, dtype), y.extras)
    if isinstance(y, tuple):
        return type(y)(*[rounded(t, dtype) for t in y]) if hasattr(y, "_fields") else tuple(rounded(t, dtype) for t in y)
    return converted(y, dtype) if y.dtype == F32 else y
