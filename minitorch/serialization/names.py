"""What the names in PyTorch's files mean here: types of storages, dtypes, and the functions that put tensors together.

A pickle says "call torch._utils._rebuild_tensor_v2 with these".  Each such name is one of these functions of our own, which
trust none of their arguments; no name leads to code that does anything else.
"""
import collections
import functools

import numpy as np

from .. import backend, dtypes
from ..tensor import Size, Tensor
from . import tensors
from .files import Damaged

STORAGES = {"DoubleStorage": "float64", "FloatStorage": "float32", "HalfStorage": "float16", "BFloat16Storage": "bfloat16",
            "LongStorage": "int64", "IntStorage": "int32", "ShortStorage": "int16", "CharStorage": "int8", "ByteStorage": "uint8",
            "BoolStorage": "bool", "ComplexFloatStorage": "complex64", "ComplexDoubleStorage": "complex128", "UntypedStorage": "uint8"}
OTHER_DTYPES = """complex32 complex64 complex128 uint16 uint32 uint64 float8_e4m3fn float8_e5m2 float8_e4m3fnuz float8_e5m2fnuz float8_e8m0fnu
                  float4_e2m1fn_x2 quint8 qint8 qint32 quint4x2 quint2x4""".split()


class StorageType:
    """The class of a storage: FloatStorage and its like; it says the type of the numbers."""

    __slots__ = ("dtype",)

    def __init__(self, dtype):
        self.dtype = dtype


class Allowed:
    """A function that a file may call, in the place of the one that it names."""

    __slots__ = ("call", "name")

    def __init__(self, name, call):
        self.name, self.call = name, call

    def __repr__(self):
        return self.name

    def __call__(self, *args):
        return self.call(*args)


# ---- tensors ------------------------------------------------------------------------------------------------------

def rebuild_tensor(storage, offset, size, stride):
    return tensors.tensor(storage, offset, size, stride)


def rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks, metadata=None):
    refuse_metadata(metadata)
    return asking(tensors.tensor(storage, offset, size, stride), requires_grad)


def rebuild_tensor_v3(storage, offset, size, stride, requires_grad, hooks, dtype, metadata=None):
    refuse_metadata(metadata)
    if type(dtype) is not dtypes.dtype:
        raise Damaged(f"a tensor has the type {dtype!r}")
    return asking(tensors.tensor(storage, offset, size, stride, dtype), requires_grad)


def refuse_metadata(metadata):
    if metadata:
        raise Damaged(f"a tensor is a view that conjugates or negates: {metadata!r}")


def asking(t, requires_grad):
    """`t`, asking for gradients if it did when it was saved."""
    if requires_grad and not dtypes.is_float(t.array.dtype) and t.array.dtype.kind != "c":
        raise Damaged(f"a tensor of {t.dtype} requires grad")
    return t.requires_grad_() if requires_grad else t


def rebuild_parameter(data, requires_grad, hooks, state=None):
    from ..nn.parameter import Parameter
    if requires_grad:
        asking(data, True)
    p = Parameter(data.detach(), bool(requires_grad))
    return with_attributes(p, state)


def rebuild_from_type(function, kind, arguments, state):
    """A tensor with attributes, or one of a class that the program trusts."""
    t = function.call(*arguments) if type(function) is Allowed else None
    if not isinstance(t, Tensor):
        raise Damaged(f"{function!r} makes no tensor that could have attributes")
    if isinstance(kind, type) and issubclass(kind, Tensor) and kind is not Tensor:
        from ..tensor import wrap
        t = asking(wrap(t.array, counter=t.counter, cls=kind), t.requires_grad)
    if isinstance(state, dict) and state.get("_is_buffer") is True:
        from ..nn.parameter import Buffer
        t = Buffer(t, persistent=bool(state.get("persistent", True)))
        state = {k: v for k, v in state.items() if k not in ("_is_buffer", "persistent")}
    return with_attributes(t, state)


def with_attributes(t, state):
    if isinstance(state, tuple) and len(state) == 2 and not state[1]:
        state = state[0]
    if state:
        if not isinstance(state, dict) or not all(type(k) is str and not hasattr(type(t), k) for k in state):
            raise Damaged("a tensor has attributes that are none, or that would hide methods")
        t.__dict__.update(state)
    return t


# ---- plain data -----------------------------------------------------------------------------------------------------

def ordered_dict(*items):
    return filled(collections.OrderedDict, items)


def counter(*items):
    return filled(collections.Counter, items)


def filled(kind, items):
    """An empty dict of that kind, or one of [key, value] pairs (or of a dict)."""
    made = kind()
    for content in items:
        for k, v in content.items() if isinstance(content, dict) else content:
            made[hashable(k)] = v
    return made


def hashable(x, most=1000):
    """`x` as a key: TypeError where it is so deep or so large that hashing it could fail the interpreter."""
    left = [x]
    for _ in range(most):
        if not left:
            return x
        last = left.pop()
        if isinstance(last, (tuple, frozenset)):
            if len(last) > most:
                break
            left.extend(last)
    if left:
        raise Damaged("a key is a tuple of too many parts")
    return x


def make_set(items=()):
    return {hashable(v) for v in items}


def make_frozenset(items=()):
    return frozenset([hashable(v) for v in items])


def make_bytes(text="", encoding="latin1"):
    if type(text) is not str or encoding not in ("latin1", "latin-1"):
        raise Damaged(f"bytes are encoded as {encoding!r}")
    return text.encode("latin1")


def make_bytearray(data=b"", encoding="latin-1"):
    if type(data) not in (str, bytes):
        raise Damaged(f"a bytearray is made of a {type(data).__name__}")
    return bytearray(make_bytes(data, encoding) if type(data) is str else data)


def make_complex(real=0.0, imag=0.0):
    if type(real) not in (float, int) or type(imag) not in (float, int):
        raise Damaged("a complex number is not made of two numbers")
    return complex(real, imag)


def make_size(sizes=()):
    if not all(type(n) is int for n in sizes):
        raise Damaged(f"a size is {sizes!r}")
    return Size(sizes)


def make_device(kind, index=None):
    try:
        return backend.device(kind, index)
    except (RuntimeError, TypeError) as error:
        raise Damaged(str(error)) from None


def layout(name):
    if name != "torch.strided":
        raise Damaged(f"it holds tensors of layout {name}")
    from ..settings import strided
    return strided


# ---- NumPy ----------------------------------------------------------------------------------------------------------

def numpy_dtype(name, align=False, copy=False):
    """NumPy's dtype of numbers, strings or bytes of that name."""
    if isinstance(name, np.dtype):
        return np.dtype(name, copy=True)
    made = np.dtype(name, copy=True) if type(name) is str and len(name) < 12 else None
    if made is None or made.kind not in "biufcSU" or made.hasobject:
        raise Damaged(f"it holds NumPy's data of type {name!r}")
    return made


def check_dtype_state(made, state):
    """What the pickle of a dtype says beyond its name: the order of bytes alone."""
    if type(state) is not tuple or len(state) < 8 or any(s is not None for s in state[2:5]) or state[1] not in ("<", "|", "=", ">"):
        raise Damaged("it holds NumPy's data of a type with fields")
    if state[1] == ">":
        if made.kind not in "iufc":
            raise Damaged("it holds NumPy's strings in another order of bytes")
        made.__setstate__((3, ">", None, None, None, -1, -1, 0))


def numpy_scalar(kind, data):
    if not isinstance(kind, np.dtype) or type(data) is not bytes or len(data) != kind.itemsize or not kind.itemsize:
        raise Damaged("a NumPy number is not made of a type and its bytes")
    return np.frombuffer(data, kind)[0]


def numpy_array(kind, shape, typecode):
    return np.empty(0, np.uint8)                     # its content comes with BUILD


def fill_array(array, state):
    """Give an array the content that a pickle says: (version, shape, dtype, whether in Fortran's order, bytes)."""
    if type(state) is not tuple or len(state) != 5:
        raise Damaged("a NumPy array has no content")
    _, shape, kind, fortran, data = state
    if not isinstance(kind, np.dtype) or kind.hasobject or type(data) not in (bytes, bytearray) or type(shape) is not tuple:
        raise Damaged("a NumPy array is not made of a shape, a type and bytes")
    count = 1
    for n in shape:
        if type(n) is not int or n < 0:
            raise Damaged(f"a NumPy array has the shape {shape}")
        count *= n
    if count * kind.itemsize != len(data):
        raise Damaged(f"a NumPy array of {shape} has {len(data)} bytes")
    array.__setstate__((1, shape, kind, bool(fortran), bytes(data)))


NUMPY = ("numpy._core.multiarray", "numpy.core.multiarray")
FUNCTIONS = {
    "torch._utils._rebuild_tensor": rebuild_tensor, "torch._utils._rebuild_tensor_v2": rebuild_tensor_v2,
    "torch._utils._rebuild_tensor_v3": rebuild_tensor_v3, "torch._utils._rebuild_parameter": rebuild_parameter,
    "torch._utils._rebuild_parameter_with_state": rebuild_parameter, "torch._tensor._rebuild_from_type_v2": rebuild_from_type,
    "torch.Size": make_size, "torch.device": make_device, "torch.serialization._get_layout": layout,
    "collections.OrderedDict": ordered_dict, "collections.Counter": counter, "builtins.set": make_set,
    "builtins.frozenset": make_frozenset, "builtins.bytes": make_bytes, "builtins.bytearray": make_bytearray, "builtins.complex": make_complex,
    "_codecs.encode": make_bytes, "numpy.dtype": numpy_dtype,
    **{f"{module}.scalar": numpy_scalar for module in NUMPY}, **{f"{module}._reconstruct": numpy_array for module in NUMPY},
}
VALUES = {"torch.Tensor": Tensor, "torch._tensor.Tensor": Tensor, "numpy.ndarray": np.ndarray}


@functools.lru_cache(1000)
def meaning(name):
    """What "module.name" in a file stands for; None where it may not stand in one."""
    if name in FUNCTIONS:
        return Allowed(name, FUNCTIONS[name])
    if name in VALUES:
        return VALUES[name]
    module, _, last = name.rpartition(".")
    if module in ("torch", "torch.cuda", "torch.storage") and last in STORAGES:
        return StorageType(STORAGES[last])
    if module == "torch" and (last in dtypes.BY_NAME or last in OTHER_DTYPES):
        return tensors.dtype_named(last)
    if name == "ml_dtypes.bfloat16":
        return dtypes.bfloat16.numpy
    return None
