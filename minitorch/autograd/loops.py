"""The way from an op to its compiled loop.

    @normalize_layer.loop("norm", least=5000)            # minitorch/loops/norm.py; numbers from which it pays
    def _(norm, input, weight=None, bias=None, ...):     # that module, then what forward takes
        return norm.layer(input, weight, bias)

Where numba is installed (the extra `fast`) such an op asks its loop first, for NumPy arrays of float32 or float64 that are large.
NotImplemented leaves the call to the plain forward, which stays the op's meaning and is what runs everywhere else; the tests
compare the two.  numba is imported by the first call that is large enough, never by `import minitorch`.
"""
import importlib

import numpy as np

from .. import dtypes
from ..backends import CHOSEN
from ..copies import contiguous

F32, F64, ndarray = dtypes.F32, dtypes.F64, np.ndarray
LOOPS = []
installed = None                                     # whether numba is; None: nobody has asked


def available():
    """Whether loops can be compiled at all."""
    global installed
    if installed is None:
        try:
            importlib.import_module("numba")
            installed = True
        except ImportError:
            installed = False
    return installed


def wanted(x, least, single=False):
    """Whether an array like `x` is worked on by a compiled loop that pays from `least` numbers on; single: one for float32 alone."""
    choice = CHOSEN["loops"]
    return (x.size >= least or choice == "always") and choice != "never" and type(x) is ndarray and \
        (x.dtype is F32 or x.dtype is F64 and not single) and available()


def module(file):
    """minitorch/loops/`file`.py, for code that is no op."""
    return importlib.import_module(f"minitorch.loops.{file}")


class Looped:
    """An op's forward with its loop in front."""

    def __init__(self, op, file, loop, least, contiguous, single, by):
        self.op, self.file, self.loop, self.least, self.contiguous, self.single, self.by = op, file, loop, least, contiguous, single, by
        self.plain, self.module = op.forward, None

    def __call__(self, *arrays, **params):
        first = arrays[self.by]
        if wanted(first, self.least, self.single):
            y = self.by_loop(first, arrays, params)
            if y is not NotImplemented:
                return y
        return self.plain(*arrays, **params)

    def by_loop(self, first, arrays, params):
        """The loop's result; NotImplemented for floats of several types, or what the loop does not take."""
        for a in arrays:
            if type(a) is ndarray and a.dtype is not first.dtype and a.dtype.kind == "f":
                return NotImplemented
        if self.contiguous:
            arrays = [contiguous(a) if type(a) is ndarray else a for a in arrays]
        if self.module is None:
            self.module = module(self.file)
        return self.loop(self.module, *arrays, **params)


def add_slope(op, name):
    """Give an elementwise op of one array a loop for the vjp that it has, on large arrays: `name` in minitorch/loops/slopes.py."""
    op.slope = name, op.vjps[0]


def slope(name, *arrays):
    """What the loop `name` of minitorch/loops/slopes.py makes of the gradient and what was saved; NotImplemented where it is not for them."""
    first = arrays[0]
    if not wanted(first, 0) or not all([a.shape == first.shape and a.dtype is first.dtype and a.flags.c_contiguous for a in arrays]):
        return NotImplemented
    loops = module("slopes")
    return loops.slope(getattr(loops, name), *arrays)


def add(op, file, least, contiguous=True, single=False, by=0):
    """A decorator that gives `op` a loop from minitorch/loops/`file`.py, for arrays of at least `least` numbers.

    contiguous=False: for loops that take any strides.  single: for float32 alone.  by: the number of the array whose size counts.
    """
    def enter(loop):
        op.forward = looped = Looped(op, file, loop, least, contiguous, single, by)
        LOOPS.append(looped)
        return loop
    return enter
