"""The library of linear algebra behind NumPy's products: OpenBLAS, in the wheels of NumPy.

It has threads of its own.  `alone` keeps it to the calling thread for a while, where the threads of minitorch.threads each
compute a part of many small products, which OpenBLAS would compute one after another.
"""
import contextlib
import ctypes
from pathlib import Path

import numpy as np

functions = None                                     # (get, set) of its number of threads; () where it is another library


def find():
    """OpenBLAS's functions that get and set its number of threads; () where NumPy came with another library."""
    global functions
    if functions is None:
        functions = ()
        for path in sorted((Path(np.__file__).parent.parent / "numpy.libs").glob("libscipy_openblas64_*")):
            library = ctypes.CDLL(str(path))
            functions = library.scipy_openblas_get_num_threads64_, library.scipy_openblas_set_num_threads64_
    return functions


def set_threads(n):
    """Let products be computed by n threads, where that can be told."""
    if find():
        functions[1](n)


@contextlib.contextmanager
def alone():
    """Within this block every product is computed by the thread that asks for it."""
    if not find():
        yield
        return
    before = functions[0]()
    functions[1](1)
    try:
        yield
    finally:
        functions[1](before)
