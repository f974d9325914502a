"""The library of linear algebra behind NumPy's products: OpenBLAS, in the wheels of NumPy.

It has threads of its own, which wait for each other in busy loops: for small products that costs more than they save, and where
other programs want the processors it costs everything.  `product` lets a large product be computed in parts by the threads of
minitorch.threads, which sleep, and any other by the thread that asks for it.
"""
import contextlib
import ctypes
import threading
from pathlib import Path

import numpy as np

from . import threads

functions = None                                     # (get, set) of its number of threads; () where it is another library
users, before, lock = 0, 1, threading.Lock()         # how many are within alone(), and what held before the first of them
TINY, LARGE = 1 << 18, 1 << 24                       # multiplications: OpenBLAS itself uses one thread below; several pay above


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
    """Let NumPy's own products be computed by n threads, where that can be told."""
    if find():
        functions[1](n)


@contextlib.contextmanager
def alone():
    """Within this block every product is computed by the thread that asks for it."""
    enter()
    try:
        yield
    finally:
        leave()


def enter():
    global users, before
    if find():
        with lock:
            users += 1
            if users == 1:
                before = functions[0]()
                if before != 1:
                    functions[1](1)


def leave():
    global users
    if functions:
        with lock:
            users -= 1
            if not users and before != 1:
                functions[1](before)


def product(a, b):
    """a @ b of two matrices, NumPy arrays: in parts, side by side, where it is large."""
    work = a.size * b.shape[1]
    if work < TINY or threads.get_num_threads() == 1 or a.dtype.kind != "f" or a.shape[1] != b.shape[0]:
        return a @ b
    enter()
    try:
        return divided(a, b) if work >= LARGE else a @ b
    finally:
        leave()


def divided(a, b):
    """a @ b in parts, of rows or of columns, whichever there are more of."""
    y = np.empty((len(a), b.shape[1]), np.result_type(a, b))
    if len(a) >= b.shape[1]:
        threads.run(lambda start, stop: np.matmul(a[start:stop], b, out=y[start:stop]), len(a), least=16)
    else:
        threads.run(lambda start, stop: np.matmul(a, b[:, start:stop], out=y[:, start:stop]), b.shape[1], least=16)
    return y
