"""Memory shared with other libraries: DLPack both ways, CUDA's array interface, and NumPy's functions on tensors.

NumPy and CuPy do the work.  bfloat16, which NumPy's DLPack does not know, passes through them as 16-bit integers: one byte
in front of the numbers says of what kind they are, and that byte is set to what it should be.
"""
import ctypes

import numpy as np

from . import backend, dtypes
from .autograd.op import HOMES
from .convert import refuse_odd_layout
from .tensor import Tensor, wrap

CPU, CUDA, CUDA_HOST, CUDA_MANAGED = 1, 2, 3, 13                         # DLDeviceType
UINT, BFLOAT = 1, 4                                                      # DLDataTypeCode
VERSION = (1, 0)
CAPSULE = type(np.empty(0).__dlpack__())

pointer_of = ctypes.pythonapi.PyCapsule_GetPointer
pointer_of.restype, pointer_of.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
is_named = ctypes.pythonapi.PyCapsule_IsValid
is_named.restype, is_named.argtypes = ctypes.c_int, [ctypes.py_object, ctypes.c_char_p]


class Header(ctypes.Structure):
    """The beginning of a DLTensor: where the numbers are, and of what kind."""
    _fields_ = [("data", ctypes.c_void_p), ("device", ctypes.c_int32), ("index", ctypes.c_int32), ("ndim", ctypes.c_int32),
                ("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16)]


def header(capsule):
    """(its Header, whether it says if it may be written to) of a capsule; RuntimeError where it is none, or was taken already."""
    for name, start in ((b"dltensor", 0), (b"dltensor_versioned", 32)):
        if is_named(capsule, name):
            return Header.from_address(pointer_of(capsule, name) + start), start > 0
    raise RuntimeError("from_dlpack received an invalid capsule. Note that DLTensor capsules can be consumed only once, so you might have "
                       "already constructed a tensor from it once.")


class Offer:
    """An object with a capsule, as numpy.from_dlpack wants one."""

    def __init__(self, capsule, device):
        self.capsule, self.device = capsule, device

    def __dlpack__(self, **kw):
        return self.capsule

    def __dlpack_device__(self):
        return self.device


class Writable:
    """The memory of an array that NumPy took for read-only, as an array that is not."""

    def __init__(self, array):
        self.base, self.__array_interface__ = array, {**array.__array_interface__, "data": (array.ctypes.data, False)}


def asked(other, **options):
    """The capsule of an object with __dlpack__: older ones know fewer options."""
    for option in ("", "max_version", "copy", "dl_device"):
        options.pop(option, None)
        try:
            return other.__dlpack__(**options), options
        except TypeError:
            if not options:
                raise
    return None


def from_dlpack(ext_tensor, *, device=None, copy=None):
    """A tensor that shares the memory of another library's array (an object with __dlpack__, or a capsule).

    device: where it should be, if not where it is.  copy: True never shares memory, False refuses (ValueError) to copy.
    """
    if isinstance(ext_tensor, CAPSULE) or not hasattr(ext_tensor, "__dlpack__"):
        if device is not None or copy is not None:
            raise AssertionError("device and copy kwargs not supported when ext_tensor is already a DLPack capsule.")
        first, _ = header(ext_tensor)
        return wrap(taken(ext_tensor, (first.device, first.index), ext_tensor))
    if isinstance(ext_tensor, Tensor):
        ext_tensor.__dlpack__()                      # refuses where it should
    kind, index = ext_tensor.__dlpack_device__() if hasattr(ext_tensor, "__dlpack_device__") else (CPU, 0)
    target = None if device is None else backend.device(device)
    moves = target is not None and (target.type == "cuda") != (kind in (CUDA, CUDA_MANAGED))
    if moves and copy is False:
        raise ValueError(f"cannot move DLPack tensor from device {(int(kind), index)} to {target} without copying. "
                         "Set copy=None or copy=True.")
    options = {"max_version": VERSION} if copy is None else {"max_version": VERSION, "copy": copy}
    if kind == CUDA:
        array, options = backend.load_cupy().from_dlpack(ext_tensor), {}
    else:
        capsule, options = asked(ext_tensor, **options)
        array = taken(capsule, (kind, index), ext_tensor)
    if copy and not options.get("copy") and not moves:
        array = backend.xp(array).array(array)
    return wrap(backend.move(array, target) if moves else array)


def taken(capsule, device, owner):
    """The array of a capsule: NumPy's or CuPy's."""
    first, says = header(capsule)
    narrow = (first.code, first.bits, first.lanes) == (BFLOAT, 16, 1)
    if narrow:
        first.code = UINT
    array = (backend.load_cupy() if device[0] == CUDA else np).from_dlpack(Offer(capsule, device))
    if narrow:
        array = array.view(dtypes.bfloat16.numpy)
    refuse_odd_layout(array)
    dtypes.of(array.dtype)
    return np.asarray(Writable(array)).view(array.dtype) if not says and type(array) is np.ndarray and not array.flags.writeable else array


def __dlpack__(self, *, stream=-1, max_version=None, dl_device=None, copy=None):
    """A DLPack capsule of this tensor's memory, for another library's from_dlpack.

    stream: the CUDA stream that will read it; -1: no wait.  max_version: (1, 0) or later allows a capsule that says whether it
    may be written to.  dl_device: where the memory should be.  copy: True a copy, False never one (ValueError).
    BufferError if it requires grad.
    """
    if self.requires_grad:
        raise BufferError("Can't export tensors that require gradient, use tensor.detach()")
    if stream is not None and type(stream) is not int:
        raise TypeError("stream must be ``int`` or ``none``")
    array, options = self.array, {"max_version": max_version, "copy": copy, "dl_device": dl_device}
    if type(array) is np.ndarray:
        if stream not in (None, -1):
            raise AssertionError("stream should be None on cpu.")
        if dl_device is not None and dl_device[0] != CPU:
            if copy is False:
                raise ValueError(f"cannot move (i.e. copy=False) tensor from cpu to device {tuple(map(int, dl_device))} without copying.")
            array, options["dl_device"] = backend.move(array, backend.device("cuda", dl_device[1])), None
    if type(array) is not np.ndarray:
        options["stream"] = stream
    narrow = array.dtype.name == "bfloat16"
    capsule = (array.view(np.uint16) if narrow else array).__dlpack__(**{k: v for k, v in options.items() if v is not None})
    if narrow:
        header(capsule)[0].code = BFLOAT
    return capsule


def __dlpack_device__(self):
    """(kind of device, its number) by DLPack's count: 1 is the CPU, 2 a CUDA GPU."""
    from .utils.dlpack import DLDeviceType
    return (DLDeviceType.kDLCPU, 0) if type(self.array) is np.ndarray else (DLDeviceType.kDLCUDA, self.device.index or 0)


def cuda_array_interface(self):
    """Where the numbers are on the GPU, for Numba and others: shape, typestr, address, strides in bytes; AttributeError on the CPU."""
    array = self.array
    if type(array) is np.ndarray:
        raise AttributeError(f"Can't get __cuda_array_interface__ on non-CUDA tensor type: {self.type()} "
                             "If CUDA data is required use tensor.cuda() to copy tensor to device memory.")
    if self.requires_grad:
        raise RuntimeError("Can't get __cuda_array_interface__ on Variable that requires grad. "
                           "If gradients aren't required, use var.detach() to get Variable that doesn't require grad.")
    return {"typestr": array.dtype.str, "shape": tuple(array.shape), "strides": None if array.flags.c_contiguous else tuple(array.strides),
            "data": (self.data_ptr() if array.size else 0, False), "version": 2}


def __array_wrap__(self, array, context=None, return_scalar=False):
    """The result of one of NumPy's own functions on tensors, as a tensor; bools as uint8, as in PyTorch."""
    array = np.asarray(array)
    return wrap(array.astype(np.uint8) if array.dtype.kind == "b" else array)


Tensor.__dlpack__, Tensor.__dlpack_device__, Tensor.__array_wrap__ = __dlpack__, __dlpack_device__, __array_wrap__
Tensor.__cuda_array_interface__ = property(cuda_array_interface)
HOMES["torch"]["from_dlpack"] = from_dlpack
