"""Number types and PyTorch's rules for mixing them.

Three kinds rank above each other: bool, integers, floats.  Within a kind the wider wins; across
kinds the higher one keeps its own width.  A 0-d tensor or a Python number changes the result
only when its kind is higher than that of everything before it.
"""
import importlib

import numpy as np

BOOL, INT, FLOAT = range(3)                # kinds, lowest first


class dtype:
    """A number type, such as `minitorch.float32`.  `itemsize` is in bytes."""

    __slots__ = ("name", "kind", "itemsize", "is_signed", "_numpy")
    is_complex = False

    def __init__(self, name, kind, itemsize, is_signed=True):
        self.name, self.kind, self.itemsize, self.is_signed = name, kind, itemsize, is_signed
        self._numpy = None

    @property
    def numpy(self):
        """NumPy's dtype object; bfloat16 comes from ml_dtypes (ImportError without it)."""
        if self._numpy is None:
            self._numpy = load_bfloat16() if self.name == "bfloat16" else np.dtype(self.name)
            FROM_NUMPY[self._numpy] = self
        return self._numpy

    @property
    def is_floating_point(self):
        return self.kind == FLOAT

    def __repr__(self):
        return f"minitorch.{self.name}"

    def __reduce__(self):
        return lookup, (self.name,)


def load_bfloat16():
    try:
        return np.dtype(importlib.import_module("ml_dtypes").bfloat16)
    except ImportError as error:
        raise ImportError("bfloat16 needs the package ml_dtypes: pip install 'minitorch[bfloat16]'") from error


FROM_NUMPY = {}                            # NumPy dtype -> ours, for the types met so far
float64 = double = dtype("float64", FLOAT, 8)
float32 = float = dtype("float32", FLOAT, 4)
float16 = half = dtype("float16", FLOAT, 2)
bfloat16 = dtype("bfloat16", FLOAT, 2)
int64 = long = dtype("int64", INT, 8)
int32 = int = dtype("int32", INT, 4)
int16 = short = dtype("int16", INT, 2)
int8 = dtype("int8", INT, 1)
uint8 = dtype("uint8", INT, 1, is_signed=False)
bool = dtype("bool", BOOL, 1, is_signed=False)
BY_NAME = {d.name: d for d in (float64, float32, float16, bfloat16, int64, int32, int16, int8, uint8, bool)}
F64, F32, F16, I64, B8 = (d.numpy for d in (float64, float32, float16, int64, bool))
FROM_NUMPY.update({d.numpy: d for d in (int32, int16, int8, uint8)})
PYTHON = {"float": float64, "int": int64, "bool": bool}

default = F32                              # what Python floats become; set_default_dtype changes it


def lookup(name):
    """The dtype called `name`."""
    return BY_NAME[name]


def of(numpy_dtype):
    """Our dtype for NumPy's; TypeError for a type that tensors cannot hold."""
    found = FROM_NUMPY.get(numpy_dtype)
    if found is None:
        found = BY_NAME.get(numpy_dtype.name)
        if found is None:
            raise TypeError(f"can't convert a NumPy array of type {numpy_dtype} to a tensor: "
                            f"the supported types are {', '.join(BY_NAME)}")
        FROM_NUMPY[numpy_dtype] = found
    return found


def numpy_dtype(d):
    """NumPy's dtype for a `minitorch.dtype`, a Python type (float, int, bool) or a NumPy dtype."""
    if isinstance(d, dtype):
        return d.numpy
    if isinstance(d, type) and d.__name__ in PYTHON and d.__module__ == "builtins":
        return PYTHON[d.__name__].numpy
    try:
        return of(np.dtype(d)).numpy
    except TypeError:
        raise TypeError(f"expected a minitorch.dtype, not {d!r}") from None


def is_float(numpy_dtype):
    """Whether arrays of this NumPy dtype can carry gradients."""
    return numpy_dtype.kind == "f" or numpy_dtype.name == "bfloat16"


def is_half(numpy_dtype):
    """Whether this is a 16-bit float, which ops compute in float32 and round once."""
    return numpy_dtype.itemsize == 2 and is_float(numpy_dtype)


def get_default_dtype():
    """The dtype of tensors made from Python floats (float32 at start)."""
    return of(default)


def set_default_dtype(d):
    """Make `d`, a floating dtype, the one that Python floats become; TypeError otherwise."""
    global default
    if not isinstance(d, dtype) or not d.is_floating_point:
        raise TypeError(f"only floating-point types are supported as the default type, not {d!r}")
    default = d.numpy


def promote_types(a, b):
    """The smallest dtype to which both can go, PyTorch's way: float16 with bfloat16 is float32."""
    return of(promote(numpy_dtype(a), numpy_dtype(b)))


def promote(a, b):
    """promote_types on NumPy dtypes."""
    if a is b:
        return a
    da, db = of(a), of(b)
    if da is db:
        return a
    if da.kind != db.kind:
        return a if da.kind > db.kind else b
    if da.kind == FLOAT and da.itemsize == db.itemsize:
        return F32
    if da.kind == FLOAT:
        return a if da.itemsize > db.itemsize else b
    return np.promote_types(a, b)


def result_type(values):
    """NumPy dtype of an elementwise op on `values`: arrays, 0-d arrays and Python numbers."""
    groups = [None, None, None]                      # arrays with axes, 0-d arrays, Python numbers
    for v in values:
        if hasattr(v, "dtype") and not isinstance(v, np.generic):
            rank, d = (0 if v.ndim else 1), v.dtype
        else:
            rank, d = 2, scalar_dtype(v)
        groups[rank] = d if groups[rank] is None else promote(groups[rank], d)
    result = None
    for d in groups:
        if d is not None and (result is None or of(d).kind > of(result).kind):
            result = d
    return result


def scalar_dtype(v):
    """NumPy dtype that a Python number stands for."""
    if isinstance(v, (builtin_bool, np.bool_)):
        return B8
    if isinstance(v, (builtin_int, np.integer)):
        return I64
    if isinstance(v, (builtin_float, np.floating)):
        return default
    raise TypeError(f"expected a tensor or a number, not {type(v).__name__}")


builtin_bool, builtin_int, builtin_float = type(True), type(1), type(1.0)


class finfo:
    """Limits of a floating dtype: eps, max, min, tiny, smallest_normal, resolution, bits."""

    def __init__(self, type=None):
        d = numpy_dtype(type) if type is not None else default
        if not is_float(d):
            raise TypeError(f"finfo() needs a floating dtype, not {of(d)}; use iinfo")
        info = importlib.import_module("ml_dtypes").finfo(d) if d.name == "bfloat16" else np.finfo(d)
        self.dtype, self.bits = of(d).name, of(d).itemsize * 8
        for name in ("eps", "max", "min", "tiny", "smallest_normal", "resolution"):
            setattr(self, name, builtin_float(getattr(info, name)))

    def __repr__(self):
        return f"finfo(resolution={self.resolution}, min={self.min}, max={self.max}, eps={self.eps}, dtype={self.dtype})"


class iinfo:
    """Limits of an integer dtype: min, max, bits."""

    def __init__(self, type):
        d = numpy_dtype(type)
        if of(d).kind != INT:
            raise TypeError(f"iinfo() needs an integer dtype, not {of(d)}; use finfo")
        info = np.iinfo(d)
        self.dtype, self.bits, self.min, self.max = of(d).name, info.bits, builtin_int(info.min), builtin_int(info.max)

    def __repr__(self):
        return f"iinfo(min={self.min}, max={self.max}, dtype={self.dtype})"
