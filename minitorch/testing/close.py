"""assert_close: numbers, tensors, arrays, and sequences and mappings of them, compared with tolerances that fit their dtype.

What is given is first taken apart into pairs, so that a wrong structure is found before any number is compared.
The first pair that differs is raised, with where it was found.
"""
import collections.abc
import math

import numpy as np

from .. import dtypes
from ..backend import is_array, to_numpy
from ..tensor import Size, Tensor

TOLERANCES = {"float16": (1e-3, 1e-5), "bfloat16": (1.6e-2, 1e-5), "float32": (1.3e-6, 1e-5), "float64": (1e-7, 1e-7),
              "complex64": (1.3e-6, 1e-5), "complex128": (1e-7, 1e-7)}         # of a dtype: (relative, absolute); all others are exact
NUMBERS = (int, float, complex, np.number)


def assert_close(actual, expected, *, allow_subclasses=True, rtol=None, atol=None, equal_nan=False, check_device=True, check_dtype=True,
                 check_layout=True, check_stride=False, msg=None):
    """AssertionError unless |actual - expected| <= atol + rtol * |expected| everywhere, and shape, dtype and device are the same.

    actual, expected: tensors, arrays, numbers, None, or sequences and mappings of them, nested as one likes.
    rtol and atol, given both or neither, are by default those of the dtype: 1e-7 and 1e-7 in float64, 1.3e-6 and 1e-5 in
    float32, 0 for whole numbers.  equal_nan: NaN equals NaN.  check_device, check_dtype: else both are compared on the host, in the
    dtype that both promote to.  check_stride: the memory layout must be the same too.  check_layout: accepted, all is strided.
    msg: the message, or a function of the message that gives another.
    TypeError for what cannot be compared: a tensor with an array, with a number, or with an unrelated class.
    """
    if (rtol is None) != (atol is None):
        raise ValueError(f"Both 'rtol' and 'atol' must be either specified or omitted, but got no {'rtol' if rtol is None else 'atol'}.")
    if rtol is not None and (rtol < 0 or atol < 0):
        raise ValueError(f"Tolerances must not be negative: rtol={rtol}, atol={atol}")
    options = Options(allow_subclasses, rtol, atol, equal_nan, check_device, check_dtype, check_stride)
    for compare, a, b, path in list(pairs(actual, expected, options, ())):
        message = compare(a, b, options)
        if message:
            message += found_at(path)
            raise AssertionError(msg(message) if callable(msg) else msg or message)


class Options:
    """How to compare."""

    def __init__(self, allow_subclasses, rtol, atol, equal_nan, check_device, check_dtype, check_stride):
        self.allow_subclasses, self.rtol, self.atol, self.equal_nan = allow_subclasses, rtol, atol, equal_nan
        self.check_device, self.check_dtype, self.check_stride = check_device, check_dtype, check_stride

    def tolerances(self, *names):
        """(rtol, atol) for dtypes of these names: the larger ones, unless given."""
        if self.rtol is not None:
            return self.rtol, self.atol
        return tuple(max(t) for t in zip(*[TOLERANCES.get(name, (0.0, 0.0)) for name in names]))


def found_at(path):
    return f"\n\nThe failure occurred for item {''.join(f'[{key!r}]' for key in path)}" if path else ""


def pairs(actual, expected, options, path):
    """(how to compare, actual, expected, path) for every pair; AssertionError or TypeError where structures do not match."""
    if all(isinstance(x, collections.abc.Sequence) and not isinstance(x, str) for x in (actual, expected)):
        if len(actual) != len(expected):
            raise AssertionError(f"The length of the sequences mismatch: {len(actual)} != {len(expected)}{found_at(path)}")
        for i in range(len(actual)):
            yield from pairs(actual[i], expected[i], options, (*path, i))
    elif all(isinstance(x, collections.abc.Mapping) for x in (actual, expected)):
        missing, more = ([k for k in a if k not in b] for a, b in ((expected, actual), (actual, expected)))
        if missing or more:
            raise AssertionError("The keys of the mappings do not match:\n"
                                 f"Missing keys in the actual mapping: {ordered(missing)}\n"
                                 f"Additional keys in the actual mapping: {ordered(more)}{found_at(path)}")
        for key in ordered(actual):
            yield from pairs(actual[key], expected[key], options, (*path, key))
    else:
        yield how(actual, expected, options, path), actual, expected, path


def ordered(keys):
    try:
        return sorted(keys)
    except TypeError:                                # keys of several types
        return list(keys)


def how(actual, expected, options, path):
    """The comparison for two values; TypeError where there is none."""
    both = actual, expected
    if any(x is None for x in both):
        return compare_none
    if all(isinstance(x, bool | np.bool_) for x in both):
        return compare_booleans
    if all(isinstance(x, (*NUMBERS, np.bool_)) for x in both):
        return compare_numbers
    related = type(actual) is type(expected) or options.allow_subclasses and (isinstance(actual, type(expected)) or
                                                                              isinstance(expected, type(actual)))
    if related and all(isinstance(x, Tensor) or is_array(x) and x.dtype.kind not in "OSUMmV" or is_bfloat16(x) for x in both):
        return compare_tensors
    raise TypeError(f"No comparison pair was able to handle inputs of type {type(actual)} and {type(expected)}.{found_at(path)}")


def is_bfloat16(x):
    return is_array(x) and x.dtype.name == "bfloat16"


# ---- each kind: what is wrong, or nothing -----------------------------------------------------------------------------

def compare_none(actual, expected, options):
    return "" if actual is expected else f"None mismatch: {actual} is not {expected}"


def compare_booleans(actual, expected, options):
    return "" if bool(actual) is bool(expected) else f"Booleans mismatch: {bool(actual)} is not {bool(expected)}"


def compare_numbers(actual, expected, options):
    actual, expected = (x.item() if isinstance(x, np.generic) else x for x in (actual, expected))
    if options.check_dtype and type(actual) is not type(expected):
        return f"The (d)types do not match: {type(actual)} != {type(expected)}."
    kinds = {int: "int64", float: "float64", complex: "complex128"}
    rtol, atol = options.tolerances(*[kinds.get(type(x), "bool") for x in (actual, expected)])
    return compare_scalars(actual, expected, rtol, atol, options.equal_nan)


def compare_scalars(actual, expected, rtol, atol, equal_nan):
    """Two Python numbers."""
    if actual == expected or equal_nan and actual != actual and expected != expected:
        return ""
    difference = abs(actual - expected)
    if math.isfinite(difference) and difference <= atol + rtol * abs(expected):
        return ""
    relative = difference / abs(expected) if expected != 0 else math.inf if difference == difference else math.nan
    return (f"Scalars are not {wanted(rtol, atol)}!\n\nExpected {expected} but got {actual}.\n"
            f"Absolute difference: {difference}{allowed(atol, rtol, atol)}\nRelative difference: {relative}{allowed(rtol, rtol, atol)}")


def wanted(rtol, atol):
    return "equal" if rtol == atol == 0 else "close"


def allowed(tolerance, rtol, atol):
    return "" if rtol == atol == 0 else f" (up to {tolerance} allowed)"


def compare_tensors(actual, expected, options):
    a, b = (x.array if isinstance(x, Tensor) else x for x in (actual, expected))
    rows = [("shape", Size(a.shape), Size(b.shape), True), ("stride()", strides_of(a), strides_of(b), options.check_stride),
            ("device", device_of(actual), device_of(expected), options.check_device), ("dtype", dtype_of(a), dtype_of(b), options.check_dtype)]
    for name, x, y, checked in rows:
        if checked and (x != y if name != "stride()" else any(s != t for s, t, n in zip(x, y, a.shape) if n > 1)):
            return f"The values for attribute '{name}' do not match: {x} != {y}."
    a, b = to_numpy(a), to_numpy(b)
    return compare_arrays(a, b, *options.tolerances(a.dtype.name, b.dtype.name), options.equal_nan)


def strides_of(a):
    return tuple(s // a.dtype.itemsize for s in a.strides)


def device_of(x):
    return x.device if isinstance(x, Tensor) else getattr(x, "device", "cpu")


def dtype_of(a):
    """Our dtype of an array; NumPy's where tensors cannot hold it."""
    try:
        return dtypes.of(a.dtype)
    except TypeError:
        return a.dtype


def compare_arrays(a, b, rtol, atol, equal_nan):
    """Two NumPy arrays of one shape."""
    dtype = common(a.dtype, b.dtype)
    a, b = a.astype(dtype), b.astype(dtype)
    with np.errstate(all="ignore"):
        difference = np.abs(a - b) if dtype.kind != "u" else np.maximum(a, b) - np.minimum(a, b)
        close = (a == b) | np.isfinite(difference) & (difference <= atol + rtol * np.abs(b))
        if equal_nan:
            close |= (a != a) & (b != b)
        if close.all():
            return ""
        if a.ndim == 0:
            return compare_scalars(a.item(), b.item(), rtol, atol, equal_nan) or "Scalars are not close!"
        quotient = (difference / np.abs(b)) if dtype.kind not in "iu" else (difference.astype("f4") / np.abs(b).astype("f4"))
    wrong = close.size - np.count_nonzero(close)
    rows = [f"Tensor-likes are not {wanted(rtol, atol)}!\n", f"Mismatched elements: {wrong} / {close.size} ({wrong / close.size:.1%})"]
    for name, values, tolerance in (("absolute", difference, atol), ("relative", quotient, rtol)):
        values = np.where(close, values.dtype.type(0), values)
        index = np.unravel_index(np.argmax(values), values.shape)
        rows.append(f"Greatest {name} difference: {values[index].item()} at index {tuple(int(i) for i in index)}{allowed(tolerance, rtol, atol)}")
    return "\n".join(rows)


def common(a, b):
    """The dtype in which to compare: that which both promote to; int64 for whole numbers and booleans."""
    if a != b:
        known = [d for d in (dtype_of(np.empty(0, x)) for x in (a, b)) if isinstance(d, dtypes.dtype)]
        a = dtypes.promote_types(*known).numpy if len(known) == 2 else np.promote_types(a, b)
    return np.dtype("i8") if a.kind in "ib" or a.kind == "u" and a.itemsize < 8 else a
