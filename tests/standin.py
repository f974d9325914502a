"""A CuPy stand-in for machines without a GPU: CuPy's interface, computed by NumPy, refusing what CuPy refuses.

Refused: NumPy functions on device arrays, mixing host and device arrays, implicit conversion to the
host, and functions that CuPy does not have.  Running the op table on it shows that every op
computes through xp(x).
"""
import contextlib
import sys
import types

import numpy as np

from minitorch import backend

OPERATORS = {np.add, np.subtract, np.multiply, np.true_divide, np.floor_divide, np.remainder, np.negative, np.positive, np.power,
             np.matmul, np.greater, np.less, np.greater_equal, np.less_equal, np.equal, np.not_equal, np.bitwise_and, np.bitwise_or,
             np.bitwise_xor, np.invert, np.absolute, np.left_shift, np.right_shift, np.maximum, np.minimum,
             np.logical_and, np.logical_or, np.divmod, np.square}

# Public functions of NumPy 2.4 that CuPy 14.2 lacks, in `numpy` and in `numpy.linalg`.
MISSING = set("""
asmatrix block bmat busday_count busday_offset datetime_as_string datetime_data einsum_path frompyfunc fromregex geomspace
histogram_bin_edges insert is_busday isnat matvec nanpercentile nanquantile nested_iters polyder polydiv polyint put_along_axis
spacing unstack vecdot vecmat cupy.linalg.diagonal cupy.linalg.matrix_norm cupy.linalg.multi_dot cupy.linalg.outer cupy.linalg.svdvals
cupy.linalg.tensordot cupy.linalg.trace cupy.linalg.vecdot cupy.linalg.vector_norm
""".split())


class Device:
    id = 0

    def synchronize(self):
        pass


inside = 0                                 # > 0 while a function of the stand-in runs


class ndarray(np.ndarray):
    """An array "on the GPU"."""

    device = Device()

    def __array_ufunc__(self, ufunc, method, *xs, out=None, **kw):
        if not inside and ufunc not in OPERATORS and method == "__call__":
            raise TypeError(f"numpy.{ufunc.__name__} called on a device array: use xp(x).{ufunc.__name__}")
        if not inside and any(type(x) is np.ndarray for x in xs):
            raise TypeError(f"host and device arrays mixed in {ufunc.__name__}")
        plain = [host(x) for x in xs]
        if out is not None:
            kw["out"] = tuple(host(o) for o in out)
        if "where" in kw:
            kw["where"] = host(kw["where"])
        y = getattr(ufunc, method)(*plain, **kw)
        return out[0] if out is not None and len(out) == 1 else device(y)

    def __array_function__(self, func, kinds, args, kw):
        if not inside:
            raise TypeError(f"numpy.{func.__name__} called on a device array: use xp(x).{func.__name__}")
        return device(super().__array_function__(func, kinds, args, kw))

    def __array__(self, *args, **kw):
        if not inside:
            raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()` to construct a NumPy array explicitly.")
        return host(self)

    def __setitem__(self, i, value):
        if not inside and type(value) is np.ndarray and value.ndim:
            raise TypeError("host and device arrays mixed in an assignment")
        host(self)[index(i)] = host(value)

    def __getitem__(self, i):
        return device(host(self)[index(i)])

    def get(self):
        return np.array(host(self))

    def __reduce__(self):
        return device, (self.get(),)


def index(i):
    """An index in which device arrays may stand, but no host arrays (as in CuPy)."""
    if isinstance(i, tuple):
        return tuple(index(k) for k in i)
    if not inside and type(i) is np.ndarray and i.ndim:
        raise IndexError("Unsupported type <class 'numpy.ndarray'> in an index of a device array")
    return host(i)


def host(x):
    return x.view(np.ndarray) if isinstance(x, ndarray) else x


def device(y):
    """What a CuPy function returns: device arrays, 0-d ones too."""
    if isinstance(y, (np.ndarray, np.generic)):
        return np.asarray(y).view(ndarray)
    if isinstance(y, (tuple, list)):
        items = [device(v) for v in y]
        return type(y)(*items) if hasattr(y, "_fields") else type(y)(items)
    return y


def wrapped(name, f):
    """A function as CuPy has it: device arrays in, device arrays out, no host arrays beside them."""
    def call(*args, **kw):
        global inside
        if name not in ("asarray", "array", "asanyarray", "ascontiguousarray", "may_share_memory", "shares_memory") and not inside:
            refuse_host(name, args)
        inside += 1
        try:
            return device(f(*args, **kw))
        finally:
            inside -= 1
    return call


def refuse_host(name, args):
    for a in args:
        if type(a) is np.ndarray:
            raise TypeError(f"cupy.{name}: Unsupported type <class 'numpy.ndarray'>")
        if isinstance(a, (list, tuple)):
            refuse_host(name, a)


METHODS = ("argmax argmin argsort astype choose clip compress conj copy cumprod cumsum diagonal dot fill flatten max mean min nonzero "
           "prod put ravel repeat reshape round searchsorted sort squeeze std sum swapaxes take trace transpose var "
           "view any all partition argpartition")
for _name in METHODS.split():
    if hasattr(np.ndarray, _name) and _name not in ("view",):
        def _method(self, *args, _f=getattr(np.ndarray, _name), _n=_name, **kw):
            return wrapped(_n, lambda *a, **k: _f(*[host(x) for x in a], **k))(self, *args, **kw)
        setattr(ndarray, _name, _method)


class Module(types.ModuleType):
    """A module of NumPy's, seen as CuPy's."""

    def __init__(self, module, name):
        super().__init__(name)
        self.__dict__["real"] = module

    def __getattr__(self, name):
        if name == "ndarray":
            return ndarray
        if name in MISSING or f"{self.__name__}.{name}" in MISSING:
            raise AttributeError(f"module '{self.__name__}' has no attribute '{name}'")
        value = getattr(self.real, name)
        if isinstance(value, types.ModuleType):
            return Module(value, f"cupy.{name}")
        if not callable(value) or isinstance(value, type):
            return value
        call = wrapped(name, value)
        if name in ("add", "subtract", "maximum", "minimum"):        # the ufuncs whose `at` CuPy has
            call.at = wrapped(f"{name}.at", value.at)
        return call


class Runtime:
    @staticmethod
    def getDeviceCount():
        return 1


cupy = Module(np, "cupy")
cupy.cuda = types.SimpleNamespace(runtime=Runtime, Device=lambda i=0: contextlib.nullcontext())


@contextlib.contextmanager
def installed():
    """Within this block `device="cuda"` exists, and is the stand-in."""
    before = sys.modules.get("cupy")
    sys.modules["cupy"] = cupy
    backend.MODULES[ndarray] = cupy
    try:
        yield cupy
    finally:
        backend.MODULES.pop(ndarray)
        sys.modules.pop("cupy")
        if before is not None:
            sys.modules["cupy"] = before


def device_backend():
    """CuPy where it is installed and finds a GPU, else the stand-in: a context manager giving the library."""
    try:
        real = backend.load_cupy()
    except RuntimeError:
        return installed()
    return contextlib.nullcontext(real)
