"""Products of matrices inside compiled loops: of small ones loops too, else by the library of linear algebra.

The loops are given the address of its function, cblas_sgemm or cblas_dgemm with sizes of 64 bits, since an address written into
compiled code would not hold in the next process, which reads that code from disk.
"""
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .. import blas, mkl
from . import inline
from .functions import ONE

INT, LONG, POINTER = ir.IntType(32), ir.IntType(64), ir.IntType(8).as_pointer()
MATRIX = [POINTER, LONG]                             # where it begins, the distance of its rows
AS_IT_IS, TURNED, PACKED = 111, 112, 151             # CBLAS's words for how a matrix lies in memory
SMALL, UNROLLED = 1 << 17, 8                         # multiplications that are a loop, not a call; rows of a matrix that one loop reads
ROW_BY_ROW, BY_SGEMM, BY_PACKED = 0, 1, 2            # ways to multiply


def call(name, factor):
    """An intrinsic that calls the function at an address; `factor`: whether it is one that takes a factor of a b."""
    @intrinsic
    def cblas(typing, function, a_way, b_way, n, m, k, alpha, a, a_row, b, b_row, beta, y, y_row):
        number = ir.FloatType() if alpha == types.float32 else ir.DoubleType()
        parameters = [INT] * 3 + [LONG] * 3 + [number] * factor + [*MATRIX, *MATRIX, number, *MATRIX]

        def compile_call(context, builder, signature, args):
            function, a_way, b_way, n, m, k, alpha, a, a_row, b, b_row, beta, y, y_row = args
            a, b, y = (builder.inttoptr(x, POINTER) for x in (a, b, y))
            function = builder.inttoptr(function, ir.FunctionType(ir.VoidType(), parameters).as_pointer())
            builder.call(function, [INT(101), a_way, b_way, n, m, k, *[alpha] * factor, a, a_row, b, b_row, beta, y, y_row])         # 101: by rows
            return context.get_dummy_value()
        return types.void(types.uintp, *[types.int32] * 2, *[types.int64] * 3, alpha, *[types.uintp, types.int64] * 2,
                          alpha, types.uintp, types.int64), compile_call
    cblas.__name__ = name
    return cblas


gemm, sgemm_compute = call("gemm", factor=True), call("sgemm_compute", factor=False)


@inline
def product(function, alpha, a, a_way, b, b_way, beta, y):
    """y = alpha a b + beta y, all of the type of alpha, where a matrix may be taken TURNED; rows lie in memory as wholes."""
    gemm(function, a_way, b_way, y.shape[0], y.shape[1], a.shape[1] if a_way == AS_IT_IS else a.shape[0], alpha,
          a.ctypes.data, row(a), b.ctypes.data, row(b), beta, y.ctypes.data, row(y))


@inline
def row(x):
    """The distance of the rows of x; of a single one the array may say anything."""
    return max(x.strides[0] // x.itemsize, x.shape[1])


@inline
def multiply(way, function, x, w, y):
    """y += x w: (N, K), (B, K, M / B) some columns after the others, or as MKL packs it, (N, M)."""
    if way == BY_PACKED:
        sgemm_compute(function, AS_IT_IS, PACKED, len(x), y.shape[1], x.shape[1], ONE, x.ctypes.data, x.strides[0] // 4,
                      w.ctypes.data, y.shape[1], ONE, y.ctypes.data, y.strides[0] // 4)
    elif way == BY_SGEMM:
        C = w.shape[2]
        for b in range(len(w)):
            product(function, ONE, x, AS_IT_IS, w[b], AS_IT_IS, ONE, y[:, b * C:(b + 1) * C])
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
    return BY_SGEMM, blas.address(w.dtype), blas.some_columns(w, rows)
