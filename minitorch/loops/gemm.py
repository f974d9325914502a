"""Products of matrices inside compiled loops: of small ones loops too, else by the library of linear algebra.

The loops are given the address of its function, cblas_sgemm or cblas_dgemm with sizes of 64 bits, since an address written into
compiled code would not hold in the next process, which reads that code from disk.
"""
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .. import blas, mkl, threads
from . import inline, loop
from .functions import ONE

INT, LONG, POINTER = ir.IntType(32), ir.IntType(64), ir.IntType(8).as_pointer()
MATRIX = [POINTER, LONG]                             # where it begins, the distance of its rows
AS_IT_IS, TURNED, PACKED = 111, 112, 151             # CBLAS's words for how a matrix lies in memory
SMALL, UNROLLED = 1 << 17, 8                         # multiplications that are a loop, not a call; rows of a matrix that one loop reads
NEAR, COLUMNS = 1 << 18, 128                         # numbers of a matrix that stays in the cache next to the processor; columns of a block
FEW = 16                                             # a divisor of COLUMNS
ROW_BY_ROW, BY_SGEMM, BY_PACKED, BY_KERNEL = range(4)                      # ways to multiply


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


@intrinsic
def kernel_product(typing, function, first, a, b, y):
    """An intrinsic that calls a kernel of MKL's: y += a b, of its own sizes."""
    def compile_call(context, builder, signature, args):
        function, *pointers = args
        function = builder.inttoptr(function, ir.FunctionType(ir.VoidType(), [POINTER] * 4).as_pointer())
        builder.call(function, [builder.inttoptr(x, POINTER) for x in pointers])
        return context.get_dummy_value()
    return types.void(*[types.uintp] * 5), compile_call


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
def multiply(x, weights, y):
    """y += x w: (N, K), prepared (K, M), (N, M), whose rows lie in memory one after the other."""
    way, functions, w = weights
    function, first = functions[len(x) & 1]
    if way == BY_KERNEL:
        for b in range(len(w)):
            kernel_product(function, first, x.ctypes.data, w[b].ctypes.data, y[:, b * w.shape[2]:].ctypes.data)
    elif way == BY_PACKED:
        sgemm_compute(function, AS_IT_IS, PACKED, len(x), y.shape[1], x.shape[1], ONE, x.ctypes.data, x.shape[1],
                      w.ctypes.data, y.shape[1], ONE, y.ctypes.data, y.shape[1])
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


@loop
def part(start, stop, by_rows, job, bias, y):
    """Rows, or columns, from start to stop of y = a b + bias: (N, K), (K, M), (M,) or nothing; job: where a and b lie, and what multiplies."""
    function, K, a, a_way, a_row, b, b_way, b_row = job[0], job[1], job[2], job[3], job[4], job[5], job[6], job[7]
    if by_rows:
        some = y[start:stop, :y.shape[1]]
        a += start * y.itemsize * (a_row if a_way == AS_IT_IS else 1)
    else:
        some, bias = y[:y.shape[0], start:stop], bias[start:stop]
        b += start * y.itemsize * (1 if b_way == AS_IT_IS else b_row)
    for i in range(len(some) if bias.size else 0):
        for j in range(bias.size):
            some[i, j] = bias[j]
    one = y.dtype.type(1)
    gemm(np.uintp(function), np.int32(a_way), np.int32(b_way), some.shape[0], some.shape[1], K, one, np.uintp(a), a_row, np.uintp(b), b_row,
         one if bias.size else y.dtype.type(0), some.ctypes.data, y.shape[1])


def divided(function, a, b, bias, by_rows):
    """a b + bias by the function at an address, in parts on the threads, none of which meets the interpreter's lock on its way."""
    y = np.empty((len(a), b.shape[1]), a.dtype)
    (a, a_way, a_row), (b, b_way, b_row) = mkl.laid(a), mkl.laid(b)
    bias = y[:0, 0] if bias is None else np.ascontiguousarray(bias) if bias.shape == y.shape[1:] else np.full(y.shape[1:], bias)
    job = np.array([function, a.shape[1], a.ctypes.data, a_way, a_row, b.ctypes.data, b_way, b_row], np.int64)
    threads.run(part, y.shape[0 if by_rows else 1], by_rows, job, bias, y, least=16)
    return y


def prepared(w, rows, exactly=False):
    """(way, functions, w) to multiply about `rows` rows with w (K, M), many times over; exactly: so many each time, or one more.

    functions: an address and an argument, for an even and for an odd number of rows; w (B, K, M / B) some columns after the others, or packed.
    """
    K, M = w.shape
    if rows * w.size <= SMALL:
        return ROW_BY_ROW, alike(0), np.ascontiguousarray(w)[None]
    if not blas.with_mkl(w.dtype):
        return BY_SGEMM, alike(blas.address(w.dtype)), blas.some_columns(w, rows)
    if exactly and w.size <= NEAR:
        C = M if M % COLUMNS else COLUMNS
        kernels = [mkl.kernel(n, K, C, M) for n in (rows + rows % 2, rows + 1 - rows % 2)]
        if all(kernels):
            return BY_KERNEL, np.array(kernels, np.uintp), some_columns(w, C)
    function, w = mkl.packed(w, rows)
    return BY_PACKED, alike(function), w[None, None]


def some_columns(w, C):
    """w (K, M) as (M / C, K, C): C columns after the others."""
    K, M = w.shape
    if w.flags.c_contiguous or not w.flags.f_contiguous or C != COLUMNS:
        return np.ascontiguousarray(w.reshape(K, M // C, C).swapaxes(0, 1))
    y = np.empty((M // C, K, C), w.dtype)
    turn(w.T, y)
    return y


@loop
def turn(w, y):
    """y (B, K, C) from w (B C, K): a few rows of w at a time, which stay in the cache (NumPy takes three times as long)."""
    B, K, C = y.shape
    for b in range(B):
        for c in range(0, C, FEW):
            for k in range(K):
                columns = y[b, k, c:c + FEW]
                for i in range(FEW):
                    columns[i] = w[b * C + c + i, k]


def alike(function):
    """One function for any number of rows."""
    return np.array([[function, 0]] * 2, np.uintp)
