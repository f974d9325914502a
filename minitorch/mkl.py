"""Intel's MKL, where it is installed (by the extra `fast`): products of two matrices of float32 or float64.

On Intel's processors it multiplies matrices with few rows, or few columns, up to half as fast again as OpenBLAS, which comes with
NumPy.  It computes in the thread that asks: minitorch.threads shares out what is large.  For a product of small matrices that is
taken many times it makes code of its own, which is faster by a fifth.
"""
import ctypes
import functools
from pathlib import Path

import numpy as np

from . import dtypes

BY_ROWS, AS_IT_IS, TRANSPOSED, SECOND = 101, 111, 112, 162             # CBLAS's words: order in memory, what is done to a matrix, which one
SEQUENTIAL, INT32, MADE = 1, 0, 0                    # MKL's words: no threads of its own, sizes of 32 bits but in names with 64; a kernel of its own
functions = None                                     # by dtype; {} where it is not installed; None: nobody has asked
packing = ()                                         # of float32: the size of a packed matrix, packing it, and multiplying with it
making = ()                                          # of float32: making a kernel for products of one size, and its address
KERNELS, MOST = {}, 500                              # those made, by sizes: they stay


def find():
    """MKL's product of two matrices for each dtype: {} where MKL is not installed."""
    global functions, packing, making
    if functions is None:
        found = {}
        try:
            import importlib.metadata                # takes longer than much of this package
            files = importlib.metadata.files("mkl") or ()
            library = ctypes.CDLL(str(next(file.locate() for file in files if file.name.startswith("libmkl_rt.so"))))
            library.MKL_Set_Interface_Layer(INT32)
            library.MKL_Set_Threading_Layer(SEQUENTIAL)
            products = library.cblas_sgemm_64, library.cblas_dgemm_64
            make, address = library.mkl_cblas_jit_create_sgemm, library.mkl_jit_get_sgemm_ptr
            size_of, pack, compute = library.cblas_sgemm_pack_get_size_64, library.cblas_sgemm_pack_64, library.cblas_sgemm_compute_64
        except (ImportError, OSError, AttributeError, StopIteration):
            functions = found
            return functions
        size, pointer = ctypes.c_int64, ctypes.c_void_p
        for product, dtype in zip(products, (dtypes.F32, dtypes.F64)):
            found[dtype] = declared(product, dtype)
        size_of.restype, size_of.argtypes = ctypes.c_size_t, [ctypes.c_int] + [size] * 3
        pack.restype, pack.argtypes = None, [ctypes.c_int] * 3 + [size] * 3 + [ctypes.c_float, pointer, size, pointer]
        word, number = ctypes.c_int, ctypes.c_float
        make.restype, make.argtypes = word, [pointer] + [word] * 6 + [number] + [word] * 2 + [number, word]
        address.restype, address.argtypes = pointer, [pointer]
        packing, making, functions = (size_of, pack, compute), (make, address), found             # all at once: other threads may ask meanwhile
    return functions


def declared(product, dtype):
    """CBLAS's product of matrices, with sizes of 64 bits, told what it takes."""
    size, pointer, number = ctypes.c_int64, ctypes.c_void_p, ctypes.c_float if dtype is dtypes.F32 else ctypes.c_double
    product.restype = None
    product.argtypes = [ctypes.c_int] * 3 + [size] * 3 + [number, pointer, size, pointer, size, number, pointer, size]
    return product


@functools.cache
def suits():
    """Whether this processor is Intel's: on others OpenBLAS is as fast, or faster."""
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8") as file:
            return "GenuineIntel" in file.read(4096)
    except OSError:
        return False


def laid(x):
    """(x or a copy, how it lies in memory, the distance of its rows or columns) of a matrix."""
    if x.flags.c_contiguous:
        return x, AS_IT_IS, x.shape[1]
    if x.flags.f_contiguous:
        return x, TRANSPOSED, x.shape[0]
    (n, m), (row, column), item = x.shape, x.strides, x.itemsize
    if column == item and row >= m * item and row % item == 0:
        return x, AS_IT_IS, row // item
    if row == item and column >= n * item and column % item == 0:
        return x, TRANSPOSED, column // item
    return np.ascontiguousarray(x), AS_IT_IS, m


def product(a, b, y, add=False, function=None):
    """y = a b, or y += a b: matrices of one dtype that find() has, or that another library's function of this form is for."""
    whole, way, ld = laid(y)
    if way == TRANSPOSED:
        a, b = b.T, a.T
    (a, a_way, a_ld), (b, b_way, b_ld) = laid(a), laid(b)
    function = find()[y.dtype] if function is None else function
    function(BY_ROWS, a_way, b_way, a.shape[0], b.shape[1], a.shape[1], 1, a.ctypes.data, a_ld, b.ctypes.data, b_ld,
             1 if add else 0, whole.ctypes.data, ld)
    if whole is not y:
        y[...] = whole


def packed(w, rows):
    """(the address of the function cblas_sgemm_compute_64, w (K, M) as it wants it) for products of `rows` rows with a float32 matrix."""
    (size_of, pack, compute), (K, M) = packing, w.shape
    w, way, ld = laid(w)
    y = np.empty(-(-size_of(SECOND, rows, M, K) // 4), w.dtype)
    pack(BY_ROWS, SECOND, way, rows, M, K, 1, w.ctypes.data, ld, y.ctypes.data)
    return ctypes.cast(compute, ctypes.c_void_p).value, y


def kernel(n, k, m, y_row):
    """(address, its first argument) of a kernel for y += a b of float32, of sizes (n, k) and (k, m), the rows of y `y_row` apart; None: no kernel.

    The kernel is code that MKL makes for these sizes, f(first argument, a, b, y).
    """
    sizes = n, k, m, y_row
    if sizes not in KERNELS and len(KERNELS) < MOST:
        (make, address), first = making, ctypes.c_void_p()
        made = make(ctypes.byref(first), BY_ROWS, AS_IT_IS, AS_IT_IS, n, m, k, 1, k, m, 1, y_row) == MADE
        KERNELS[sizes] = (address(first), first.value) if made else None
    return KERNELS.get(sizes)
