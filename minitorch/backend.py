"""Which array library holds the numbers.

An array's type decides everything: `xp(x)` is the module that made `x`, NumPy or CuPy, and every
op computes with it.  CuPy is imported here and nowhere else, on the first request for a CUDA device.
"""
import importlib
import sys

import numpy as np

ndarray = np.ndarray
MODULES = {ndarray: np}                 # array type -> the library that made it


def xp(x):
    """The array library of `x`: NumPy or CuPy (NumPy for plain numbers)."""
    return np if type(x) is ndarray else MODULES.get(type(x), np)


def is_array(x):
    """Whether `x` is an array of a known library."""
    return type(x) in MODULES


def to_numpy(x):
    """`x` as a NumPy array: itself when it is one, a copy when it lives on a GPU."""
    if type(x) is np.ndarray:
        return x
    return x.get() if type(x) in MODULES else np.asarray(x)


class device:
    """Where a tensor lives: `device("cpu")`, `device("cuda", 0)`, `device("cuda:0")`.

    Raises RuntimeError for an unknown kind of device.
    """

    __slots__ = ("type", "index")

    def __init__(self, type="cpu", index=None):
        if isinstance(type, device):
            type, index = type.type, type.index if index is None else index
        if isinstance(type, int):
            type, index = "cuda", type
        if not isinstance(type, str):
            raise TypeError(f"device(): expected a string, an int or a device, not {type.__class__.__name__}")
        name, _, number = type.partition(":")
        if name not in ("cpu", "cuda") or (number and not number.isdigit()):
            raise RuntimeError(f"Expected one of cpu, cuda device type at start of device string: {type}")
        self.type = name
        self.index = int(number) if number else index

    def __eq__(self, other):
        return isinstance(other, device) and (self.type, self.index) == (other.type, other.index)

    def __hash__(self):
        return hash((self.type, self.index))

    def __str__(self):
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __repr__(self):
        return f"device(type={self.type!r}" + ("" if self.index is None else f", index={self.index}") + ")"


CPU = device("cpu")


def device_of(array):
    """The device that holds `array`."""
    return CPU if type(array) is np.ndarray else device("cuda", array.device.id)


def load_cupy():
    """CuPy, imported and registered; RuntimeError where it or its GPU is missing."""
    if "cupy" not in sys.modules or sys.modules["cupy"].ndarray not in MODULES:
        try:
            cupy = importlib.import_module("cupy")
        except ImportError as error:
            raise RuntimeError("device 'cuda' needs CuPy, which is not installed: pip install 'minitorch[cuda]'") from error
        try:
            count = cupy.cuda.runtime.getDeviceCount()
        except Exception as error:                     # CuPy raises its own CUDARuntimeError without a driver
            raise RuntimeError(f"device 'cuda' is not available: CuPy finds no CUDA GPU ({error})") from error
        if not count:
            raise RuntimeError("device 'cuda' is not available: CuPy finds no CUDA GPU")
        MODULES[cupy.ndarray] = cupy
        from .autograd import routes
        routes.enter()                                 # ops take their CUDA kernels from now on
    return sys.modules["cupy"]


def library(where=None):
    """The array library of a device: NumPy for None and "cpu", CuPy for "cuda"."""
    if where is None or device(where).type == "cpu":
        return np
    return load_cupy()


def move(array, where):
    """`array` on device `where`; itself when it is already there."""
    target = library(where)
    if xp(array) is target:
        return array
    return to_numpy(array) if target is np else target.asarray(array)
