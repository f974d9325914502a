"""A CuPy that launches nothing: it takes what CuPy 14 takes, refuses what that refuses, and writes down every launch."""
import contextlib
import sys
import types

import numpy as np

from minitorch import backend
from minitorch.autograd import routes

BUILTIN = {np.dtype(c).type for c in "?bhilqBHILQefdFD"}     # the scalars that CuPy passes to a kernel


class Device:
    """cupy.cuda.Device: two GPUs of one kind."""
    capability, shared = "90", 227 * 1024
    current = 0

    def __init__(self, number=None):
        self.id = Device.current if number is None else number

    def __enter__(self):
        self.before, Device.current = Device.current, self.id
        return self

    def __exit__(self, *error):
        Device.current = self.before

    @property
    def compute_capability(self):
        return Device.capability

    @property
    def attributes(self):
        return {"MaxSharedMemoryPerBlockOptin": Device.shared, "MultiProcessorCount": 132}


class ndarray:
    """An array "on the GPU": its numbers are NumPy's, its place is a device.  It is no NumPy array, as CuPy's are none."""
    __module__ = "cupy"
    __array_ufunc__ = None

    def __init__(self, host, number):
        self.host, self.number = host, number

    @property
    def device(self):
        return Device(self.number)

    @property
    def data(self):
        return types.SimpleNamespace(ptr=self.host.ctypes.data)

    def get(self):
        return np.array(self.host)

    def __len__(self):
        return len(self.host)

    def __setitem__(self, i, value):
        self.host[plain(i)] = plain(value)

    def __getattr__(self, name):
        found = getattr(self.host, name)
        return there(found, self.number) if not callable(found) else lambda *args, **kw: there(found(*plain(args), **plain(kw)), self.number)


def plain(x):
    """NumPy's arrays of the fake's."""
    if isinstance(x, dict):
        return {k: plain(v) for k, v in x.items()}
    return x.host if isinstance(x, ndarray) else type(x)(map(plain, x)) if isinstance(x, tuple | list) else x


def there(y, number):
    return ndarray(y, number) if isinstance(y, np.ndarray) else type(y)(there(v, number) for v in y) if type(y) is tuple else y


for _name in "getitem iadd isub imul itruediv add radd sub rsub mul rmul truediv matmul neg eq ne lt le gt ge and invert".split():
    def _operator(self, *others, _name=f"__{_name}__"):
        return there(np.asarray(getattr(self.host, _name)(*plain(others))), self.number)
    setattr(ndarray, f"__{_name}__", _operator)


def asarray(x, dtype=None):
    assert isinstance(x, ndarray) or not Stream.current.capturing, "cudaErrorStreamCaptureUnsupported: a copy from the host"
    return ndarray(np.array(plain(x), dtype), Device.current)


class CompileException(Exception):
    pass


class CUDADriverError(RuntimeError):
    pass


class RawKernel:
    """What get_function gives; attributes are those that a real one would ask the driver for."""
    num_regs, shared_size_bytes = 40, 1024

    def __init__(self, module, name):
        self.module, self.name, self.allowed = module, name, 48 * 1024 - self.shared_size_bytes
        self.kernel = types.SimpleNamespace(ptr=1)

    @property
    def max_dynamic_shared_size_bytes(self):
        return self.allowed

    @max_dynamic_shared_size_bytes.setter
    def max_dynamic_shared_size_bytes(self, n):
        self.allowed = n
        RAISED.append((self.name, n))

    def __call__(self, grid, block, args, *, shared_mem=0):
        assert type(grid) is tuple and type(block) is tuple and type(args) is tuple
        for a in args:
            passable = isinstance(a, ndarray) or type(a) in BUILTIN or type(a) is np.ndarray and a.size == 1
            assert passable, f"CuPy cannot pass {a!r} of {type(a)}"
        assert shared_mem <= self.allowed, "CUDA_ERROR_INVALID_VALUE: more shared memory than was asked for"
        if FAIL:
            raise CUDADriverError(FAIL[-1])
        LAUNCHES.append(types.SimpleNamespace(kernel=self, name=self.name, grid=grid, block=block, args=args, shared_mem=shared_mem,
                                              code=self.module.code, options=self.module.options, device=Device.current))


LAUNCHES, RAISED, FAIL, MODULES, REFUSE = [], [], [], [], []


class Stream:
    """cupy.cuda.Stream, which a `with` makes the current one; while it records a graph, nothing can be copied from the host on it."""
    number = 100

    def __init__(self, ptr=None, *, non_blocking=False):
        Stream.number += 1
        self.ptr, self.capturing = Stream.number if ptr is None else ptr, False

    def begin_capture(self):
        assert self.ptr not in (0, 1), "cannot capture on the default (legacy) stream"
        self.capturing = True

    def is_capturing(self):
        assert self.ptr not in (0, 1), "cudaErrorStreamCaptureImplicit"
        return self.capturing

    def synchronize(self):
        assert not self.capturing, "cudaErrorStreamCaptureUnsupported"

    def __enter__(self):
        self.before, Stream.current = Stream.current, self
        return self

    def __exit__(self, *error):
        Stream.current = self.before


Stream.current = Stream(0)


class RawModule:
    def __init__(self, *, code=None, options=(), backend="nvrtc"):
        assert type(code) is str and type(options) is tuple and all(type(o) is str for o in options)
        self.code, self.options = code, options
        MODULES.append(self)

    def get_function(self, name):
        if REFUSE:
            raise REFUSE[-1]
        return RawKernel(self, name)


class Module(types.ModuleType):
    """A module of NumPy's whose functions take and give arrays of the fake."""

    def __init__(self, real, name):
        super().__init__(name)
        self.real = real

    def __getattr__(self, name):
        f = getattr(self.real, name)
        if isinstance(f, types.ModuleType):
            return Module(f, f"{self.__name__}.{name}")
        if not callable(f) or isinstance(f, type):
            return f
        return lambda *args, **kw: there(f(*plain(args), **plain(kw)), Device.current)


cupy = Module(np, "cupy")
cupy.ndarray, cupy.asarray, cupy.RawModule = ndarray, asarray, RawModule
cupy.cuda = types.SimpleNamespace(
    Device=Device, Stream=Stream, get_current_stream=lambda: Stream.current, compiler=types.SimpleNamespace(CompileException=CompileException),
    driver=types.SimpleNamespace(CUDADriverError=CUDADriverError), runtime=types.SimpleNamespace(getDeviceCount=lambda: 2))


def forget(device):
    """Nothing was launched, compiled or copied."""
    for kept in (LAUNCHES, RAISED, FAIL, MODULES, REFUSE):
        kept.clear()
    device.compiled.cache_clear()
    device.table.cache_clear()
    device.table_for_graphs.cache_clear()


@contextlib.contextmanager
def installed():
    """Within this block `import cupy` gives the fake, and ops on its arrays take their kernels."""
    from minitorch.kernels import device
    before = sys.modules.get("cupy")
    sys.modules["cupy"] = cupy
    backend.MODULES[ndarray] = cupy
    forget(device)
    try:
        with routes.opened():
            yield cupy
    finally:
        forget(device)
        backend.MODULES.pop(ndarray)
        sys.modules.pop("cupy")
        if before is not None:
            sys.modules["cupy"] = before
