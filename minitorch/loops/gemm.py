"""Products of float32 matrices inside compiled loops: of small ones loops too, else by the library of linear algebra.

The loops are given the address of its function cblas_sgemm with sizes of 64 bits, since an address written into compiled code would
not hold in the next process, which reads that code from disk.
"""
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .. import blas, mkl
from . import inline

INT, LONG, FLOAT = ir.IntType(32), ir.IntType(64), ir.FloatType()
POINTER = ir.IntType(8).as_pointer()
MATRIX = [POINTER, LONG]                             # where it begins, the distance of its rows
SGEMM = ir.FunctionType(ir.VoidType(), [INT] * 3 + [LONG] * 3 + [FLOAT, *MATRIX, *MATRIX, FLOAT, *MATRIX])
PACKED = ir.FunctionType(ir.VoidType(), [INT] * 3 + [LONG] * 3 + [*MATRIX, *MATRIX, FLOAT, *MATRIX])
SMALL, UNROLLED = 1 << 17, 8                        # multiplications that are a loop, not a call; rows of a matrix that one loop reads
ROW_BY_ROW, BY_SGEMM, BY_PACKED = 0, 1, 2            # ways to multiply


def call(function_type, second, factors):
    """An intrinsic (function, n, m, k, a, its row, b, its row, y, its row): y += a b by the function at that address."""
    @intrinsic
    def add_product(typing, function, n, m, k, a, a_row, b, b_row, y, y_row):
        def compile_call(context, builder, signature, args):
            function, n, m, k, a, a_row, b, b_row, y, y_row = args
            a, b, y = (builder.inttoptr(x, POINTER) for x in (a, b, y))
            builder.call(builder.inttoptr(function, function_type.as_pointer()),
                         [INT(101), INT(111), INT(second), n, m, k, *factors, a, a_row, b, b_row, FLOAT(1), y, y_row])
            return context.get_dummy_value()
        return types.void(types.uintp, *[types.int64] * 3, *[types.uintp, types.int64] * 3), compile_call
    return add_product


sgemm = call(SGEMM, 111, [FLOAT(1)])                 # CBLAS's words: 101 by rows, 111 as it is, 151 packed
sgemm_compute = call(PACKED, 151, [])


@inline
def multiply(way, function, x, w, y):
    """y += x w: (N, K), (B, K, M / B) some columns after the others, or as MKL packs it, (N, M); rows lie in memory as wholes."""
    if way == BY_PACKED:
        sgemm_compute(function, len(x), y.shape[1], x.shape[1], x.ctypes.data, x.strides[0] // 4, w.ctypes.data, y.shape[1],
                      y.ctypes.data, y.strides[0] // 4)
    elif way == BY_SGEMM:
        C = w.shape[2]
        for b in range(len(w)):
            sgemm(function, len(x), C, x.shape[1], x.ctypes.data, x.strides[0] // 4, w[b].ctypes.data, C,
                  y[:, b * C:].ctypes.data, y.strides[0] // 4)
    else:
        for n in range(len(x)):
            multiply_row(x[n], w[0], y[n])


@inline
def multiply_row(x, w, y):
    """y += x w: (K,), (K, M), (M,)."""
    whole = x.size - x.size % UNROLLED
    for k in range(0, whole, UNROLLED):
        a, b, c, d, e, f, g, h = x[k], x[k + 1], x[k + 2], x[k + 3], x[k + 4], x[k + 5], x[k + 6], x[k + 7]
        wa, wb, wc, wd, we, wf, wg, wh = w[k], w[k + 1], w[k + 2], w[k + 3], w[k + 4], w[k + 5], w[k + 6], w[k + 7]
        for j in range(y.size):
            y[j] += ((a * wa[j] + b * wb[j]) + (c * wc[j] + d * wd[j])) + ((e * we[j] + f * wf[j]) + (g * wg[j] + h * wh[j]))
    for k in range(whole, x.size):
        a, wa = x[k], w[k]
        for j in range(y.size):
            y[j] += a * wa[j]


def prepared(w, rows):
    """(way, function, w) to multiply w (K, M) with `rows` rows at a time, many times over."""
    if rows * w.size <= SMALL:
        return ROW_BY_ROW, 0, np.ascontiguousarray(w)[None]
    if blas.with_mkl(w.dtype):
        function, w = mkl.packed(w, rows)
        return BY_PACKED, function, w[None, None]
    return BY_SGEMM, blas.address(), blas.in_blocks(w, rows)
