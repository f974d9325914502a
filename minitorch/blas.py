"""The libraries of linear algebra behind products of matrices: OpenBLAS, in the wheels of NumPy, and MKL where it is faster.

    minitorch.backends.blas = "numpy"                # or "mkl", or "auto": MKL where it is installed and the processor is Intel's

OpenBLAS has threads of its own, which wait for each other in busy loops: for small products that costs more than they save, and
where other programs want the processors it costs everything.  `product` lets a large product be computed in parts by the threads of
minitorch.threads, which soon sleep, and any other by the thread that asks for it.
"""
import contextlib
import ctypes
import functools
import threading
from pathlib import Path

import numpy as np

from . import mkl, threads
from .backends import CHOSEN
from .dtypes import F32, F64

functions = None                                     # what find() found; () where NumPy came with another library
users, before, lock = 0, 1, threading.Lock()         # how many are within alone(), and what held before the first of them
TINY, LARGE = 1 << 18, 1 << 24                       # multiplications: OpenBLAS itself uses one thread below; several pay above
NARROW = 1 << 12                                     # numbers in the smallest of three matrices below which OpenBLAS is the faster one
SHORT, PIECE, WORTH = 1 << 8, 1 << 14, 1 << 18       # rows, and numbers, that are added up at a time; numbers worth another thread
SMALL, COLUMNS = 10 ** 6, 32                         # multiplications that OpenBLAS takes on without copying; columns of a block
MIXED = 1 << 14                                      # numbers from which a call of CBLAS pays
FEW = 64                                             # rows for which a product of its own does not pay


def find():
    """OpenBLAS's functions: the two that get and set its number of threads, products of matrices, and sums a x + b y by number type.

    () where NumPy came with another library.
    """
    global functions
    if functions is None:
        functions = ()
        for path in sorted((Path(np.__file__).parent.parent / "numpy.libs").glob("libscipy_openblas64_*")):
            library = ctypes.CDLL(str(path))
            functions = (library.scipy_openblas_get_num_threads64_, library.scipy_openblas_set_num_threads64_,
                         {F32: mkl.declared(library.scipy_cblas_sgemm64_, F32), F64: mkl.declared(library.scipy_cblas_dgemm64_, F64)},
                         {F32: summing(library.scipy_cblas_saxpby64_, F32), F64: summing(library.scipy_cblas_daxpby64_, F64)})
    return functions


def summing(function, dtype):
    """CBLAS's y = a x + b y, with sizes of 64 bits, told what it takes."""
    size, pointer, number = ctypes.c_int64, ctypes.c_void_p, ctypes.c_float if dtype is F32 else ctypes.c_double
    function.restype, function.argtypes = None, [size, number, pointer, size, number, pointer, size]
    return function


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


def with_mkl(dtype):
    """Whether MKL computes large products of matrices of a dtype; of itself only beside OpenBLAS, as NumPy may have come with MKL."""
    choice = CHOSEN["blas"]
    return choice != "numpy" and bool(choice == "mkl" or mkl.suits() and find()) and dtype in mkl.find()


def by_mkl(a, b):
    """Whether MKL computes a @ b, of matrices or stacks of them: where it pays, and what it can."""
    (n, k), (l, m) = a.shape[-2:], b.shape[-2:]
    return n * k * m >= TINY and min(n * k, k * m, n * m) >= NARROW and k == l and a.dtype is b.dtype and with_mkl(a.dtype)


def address(dtype, smallest=NARROW):
    """Where in memory the function stands that multiplies matrices of float32 or float64, CBLAS's with sizes of 64 bits; 0: nowhere known.

    smallest: how many numbers the smallest of the three matrices has.
    """
    function = mkl.find()[dtype] if with_mkl(dtype) and smallest >= NARROW else find()[2][dtype] if find() else None
    return ctypes.cast(function, ctypes.c_void_p).value or 0


def matmul(a, b, out=None, add=False):
    """a @ b of matrices or stacks of them, computed by the thread that asks for it; added to `out` where `add`."""
    if not by_mkl(a, b):
        if add:
            if a.ndim == b.ndim == 2 and a.dtype is b.dtype is out.dtype and a.dtype in (F32, F64) and a.size and b.size and find():
                mkl.product(a, b, out, add, functions[2][a.dtype])
            else:
                out += a @ b
            return out
        return np.matmul(a, b, out=out)
    if a.ndim == b.ndim == 2:
        y = np.empty((len(a), b.shape[1]), a.dtype) if out is None else out
        mkl.product(a, b, y, add)
        return y
    lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    y = np.empty((*lead, a.shape[-2], b.shape[-1]), a.dtype) if out is None else out
    a, b = np.broadcast_to(a, (*lead, *a.shape[-2:])), np.broadcast_to(b, (*lead, *b.shape[-2:]))
    for i in np.ndindex(lead):
        mkl.product(a[i], b[i], y[i], add)
    return y


def mix(y, x, a, b=1):
    """y = a x + b y in place, for arrays of one shape and number type: in one pass where OpenBLAS can, where NumPy takes three."""
    if a and b and type(y) is type(x) is np.ndarray and y.size >= MIXED and x.dtype is y.dtype and y.dtype in (F32, F64) \
            and x.flags.c_contiguous and y.flags.c_contiguous and find():
        functions[3][y.dtype](y.size, a, place(x), 1, b, place(y), 1)
        return
    if b != 1:
        y *= b
    y += a * x


def place(x):
    """Where in memory a NumPy array that is contiguous begins: x.ctypes.data, in a third of the time, in which other threads wait."""
    try:
        return ctypes.addressof(ctypes.c_char.from_buffer(x))
    except (TypeError, ValueError):                  # read-only, or empty
        return x.ctypes.data


def some_columns(w, rows):
    """w (K, M), which `rows` rows at a time are multiplied with, as (B, K, M / B): some columns after the others where that is faster.

    OpenBLAS copies both sides of a product before it begins, but for a small one: for few rows that takes as long as the product.
    """
    K, M = w.shape
    if M % COLUMNS or rows * K * COLUMNS > SMALL or with_mkl(w.dtype):
        return np.ascontiguousarray(w)[None]
    return np.ascontiguousarray(w.reshape(K, M // COLUMNS, COLUMNS).swapaxes(0, 1))


def weights_in_blocks(w, rows):
    """[(which columns of x, those rows of w by some_columns), ...] for x @ w: two, that are added up, where one block would be too large."""
    K, M = w.shape
    if K % 2 or M % COLUMNS or not SMALL < rows * K * COLUMNS <= 2 * SMALL or with_mkl(w.dtype):
        return [(slice(K), some_columns(w, rows))]
    return [(slice(i, i + K // 2), some_columns(w[i:i + K // 2], rows)) for i in (0, K // 2)]


def weighed(m, v):
    """m @ v, (N, M) @ (M,): a large matrix by our own threads, for OpenBLAS's would wait in busy loops beside what these do next."""
    if m.size < 2 * WORTH or m.shape[1] != len(v) or m.dtype.kind != "f":
        return m @ v
    y = np.empty(len(m), np.result_type(m, v))
    with alone():
        threads.run(lambda start, stop: np.matmul(m[start:stop], v, out=y[start:stop]), len(m), least=1 + WORTH // len(v))
    return y


def rows_weighed(v, m):
    """v @ m, (N,) @ (N, M): some rows at a time, for one after the other the last of many would be lost in the sum."""
    rows, columns = m.shape
    n = max(SHORT, PIECE // max(columns, 1))
    if rows < 2 * n or m.dtype is not F32 or v.dtype is not F32 or m.strides[0] < m.strides[1]:
        return v @ m
    sums = np.empty((-(-rows // n), columns), F32)

    def part(start, stop):
        for i in range(start, stop):
            np.matmul(v[i * n:(i + 1) * n], m[i * n:(i + 1) * n], out=sums[i])
    with alone():
        threads.run(part, len(sums), least=1 + WORTH // (n * columns))
    return sums.sum(0, dtype="f8").astype(F32)


def rows_at_a_time(a, b):
    """a @ b of matrices: of so many rows at a time as OpenBLAS multiplies without copying, where b is small enough."""
    rows = SMALL // max(1, b.size)
    if rows < FEW or len(a) <= rows or type(a) is not np.ndarray:
        return a @ b
    y, b, end = np.empty((len(a), b.shape[1]), a.dtype), np.ascontiguousarray(b), len(a) - len(a) % rows
    np.matmul(a[:end].reshape(-1, rows, a.shape[1]), b, out=y[:end].reshape(-1, rows, b.shape[1]))
    np.matmul(a[end:], b, out=y[end:])
    return y


def columns_at_a_time(a, b):
    """The sum of a @ b over the first axis of stacks of matrices: of products of so many columns of a as OpenBLAS multiplies without copying."""
    (n, k), m = a.shape[-2:], b.shape[-1]
    columns = divisor(k, min(k, SMALL // max(1, n * m)))
    if columns in (0, k) or type(a) is not np.ndarray:
        return (a @ b).sum(axis=0)
    return (a.reshape(*a.shape[:-1], -1, columns).swapaxes(-2, -3) @ b.reshape(*b.shape[:-2], -1, columns, m)).sum(axis=(0, -3))


@functools.lru_cache(maxsize=1000)
def divisor(k, most):
    """The largest number up to `most` that divides k without rest; 0 where it is a small one."""
    return next((d for d in range(most, FEW, -1) if k % d == 0), 0)


def product(a, b, bias=None):
    """a @ b, + bias, of two matrices, NumPy arrays: in parts, side by side, where it is large."""
    work = a.size * b.shape[1]
    if work < TINY or threads.get_num_threads() == 1 or a.dtype.kind != "f" or a.shape[1] != b.shape[0]:
        return with_bias(a, b, bias)
    enter()
    try:
        return divided(a, b, bias) if work >= LARGE else with_bias(a, b, bias)
    finally:
        leave()


def with_bias(a, b, bias, out=None):
    """a @ b + bias, by the thread that asks for it."""
    if bias is not None and bias.dtype is a.dtype and by_mkl(a, b):
        y = np.empty((len(a), b.shape[1]), a.dtype) if out is None else out
        y[...] = bias
        return matmul(a, b, out=y, add=True)
    y = matmul(a, b, out=out)
    if bias is not None:
        y += bias
    return y


def divided(a, b, bias):
    """a @ b + bias in parts, of rows or of columns, whichever there are more of."""
    from .autograd import loops                      # which itself asks for products
    of_rows = len(a) >= b.shape[1]
    alike = a.dtype is b.dtype and (bias is None or bias.dtype is a.dtype)
    if alike and loops.wanted(a, 0) and (function := address(a.dtype, min(a.size, b.size, len(a) * b.shape[1]))):
        return loops.module("gemm").divided(function, a, b, bias, of_rows)
    y = np.empty((len(a), b.shape[1]), np.result_type(a, b))
    if of_rows:
        threads.run(lambda start, stop: with_bias(a[start:stop], b, bias, y[start:stop]), len(a), least=16)
    else:
        one = bias is None or bias.size == 1         # for all columns
        threads.run(lambda start, stop: with_bias(a, b[:, start:stop], bias if one else bias[start:stop], y[:, start:stop]), b.shape[1], least=16)
    return y
