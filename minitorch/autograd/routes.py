"""The way from an op to its CUDA kernel.

    @softmax_over.kernel("softmax")                  # a family of minitorch.backends
    def _(kernels, input, dim):                      # minitorch.kernels, then what forward takes
        return kernels.softmax(input) if dim == input.ndim - 1 else NotImplemented

Where kernels can run at all, on a GPU and within kernels.simulated(), `forward` of such an op is replaced by its Route, which
asks the kernel first.  NotImplemented leaves the call to the plain forward.  Elsewhere nothing changes, nothing is imported,
and no call takes longer.  The kernel sees arrays of one float type, contiguous, 16-bit ones as they are.
"""
import contextlib
import threading

from .. import backends, dtypes
from ..backend import MODULES, ndarray, xp

ROUTES = []
lock = threading.Lock()
library = None                                       # minitorch.kernels, once somebody needs it
users = 0                                            # those who need the routes: a GPU, and each simulated() block


def kernels_for(family, array):
    """minitorch.kernels where a family of ops on arrays like this one runs on them, else None."""
    if not users:
        return None
    simulated = type(array) is ndarray
    if simulated and not library.settings.current().ops or not backends.takes_kernel(family, simulated):
        return None
    return library


class Route:
    """An op's forward with its kernel in front."""

    def __init__(self, op, family, kernel, contiguous):
        if family not in backends.ON_GPU:
            raise ValueError(f"the kernel of {op.name} is of an unknown family {family!r}: there are {', '.join(backends.ON_GPU)}")
        self.op, self.family, self.kernel, self.contiguous, self.plain = op, family, kernel, contiguous, None

    def __call__(self, *arrays, **params):
        y = self.by_kernel(arrays, params)
        return self.plain(*arrays, **params) if y is NotImplemented else y

    def narrow(self, arrays, params):
        """The kernel's result for arrays of 16-bit floats, which forward itself would get in float32; NotImplemented otherwise."""
        first = next(a for a in arrays if type(a) in MODULES)
        return self.by_kernel(arrays, params) if dtypes.is_half(first.dtype) else NotImplemented

    def by_kernel(self, arrays, params):
        """The kernel's result, or NotImplemented where it is not wanted or does not apply."""
        first = next(a for a in arrays if type(a) in MODULES)
        kernels = kernels_for(self.family, first)
        if kernels is None:
            return NotImplemented
        if not first.size or not first.ndim or not dtypes.is_float(first.dtype):
            return NotImplemented
        for a in arrays:
            if type(a) in MODULES and a.dtype != first.dtype and dtypes.is_float(a.dtype):
                return NotImplemented
        if self.contiguous:
            arrays = [xp(a).ascontiguousarray(a) if type(a) in MODULES and not a.flags.c_contiguous else a for a in arrays]
        return self.kernel(kernels, *arrays, **params)


def add(op, family, contiguous=True):
    """A decorator that gives `op` a kernel.  contiguous=False: for kernels that read any strides."""
    def enter(kernel):
        route = Route(op, family, kernel, contiguous)
        with lock:                                   # files of ops are read at any time, in any thread
            ROUTES.append(route)
            if users:
                open_route(route)
        return kernel
    return enter


def open_route(route):
    op = route.op
    route.plain, op.forward = op.forward, route      # the plain forward may have its compiled loop in front
    op.narrow = route.narrow if op.numbers is not None else None


def enter():
    """Kernels can run from now on."""
    global users, library
    from .. import kernels
    with lock:
        library, users = kernels, users + 1
        if users == 1:
            for route in ROUTES:
                open_route(route)


def leave():
    """One who needed the routes needs them no more."""
    global users
    with lock:
        users -= 1
        if not users:
            for route in ROUTES:
                route.op.forward, route.op.narrow = route.plain, None


@contextlib.contextmanager
def opened():
    """Within this block ops ask their kernels first."""
    enter()
    try:
        yield
    finally:
        leave()
