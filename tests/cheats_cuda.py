"""Kernels in CUDA C++ that lie, as the simulator runs them: a row sum with one line changed."""
from cheating import Cheat

from minitorch.benchmark import Case, Provider


ROW_SUM = """
extern "C" __global__ void row_sum(const float* x, float* y, int M, int N) {
    __shared__ float part[64];
    int row = blockIdx.x, t = threadIdx.x;
    float sum = 0.f;
    for (int j = t; j < N; j += 64) sum += x[row * N + j];
    part[t] = sum;
    __syncthreads();
    for (int n = 32; n; n /= 2) {
        if (t < n) part[t] += part[t + n];
        __syncthreads();
    }
    if (t == 0) y[row] = part[0];
}
"""


def row_sum_reference(x):
    return x.sum(1)


def device_case():
    return Case.of(lambda M, N: ((M, N),), M=5, N=128, name="row sums")


def row_sum(text=ROW_SUM):
    return Provider.cuda(text, "row_sum", grid="M", block=64)


DEVICE = {name: Cheat(lambda old=old, new=new: row_sum(ROW_SUM.replace(old, new)), names, what, row_sum_reference,
                      device_case) for name, names, what, old, new in (
    ("cuda_zeros", "zeros", "writes zeros", "y[row] = part[0]", "y[row] = 0.f"),
    ("cuda_nan", "nan", "writes NaN", "y[row] = part[0]", "y[row] = 0.f / 0.f * part[0]"),
    ("cuda_nothing", "unwritten", "writes nothing", "y[row] = part[0]", "part[0] += 1.f"),
    ("cuda_half", "unwritten, incomplete", "writes every other row", "if (t == 0)", "if (t == 0 && row % 2 == 0)"),
    ("cuda_tail", "tail", "skips what is past the last whole 64", "j < N;", "j < N / 64 * 64;"),
    ("cuda_one_shape", "tail", "right for 128 columns", "j < N;", "j < 128;"),
    ("cuda_no_barrier", "race, nan", "leaves a barrier out and is lucky", "    part[t] = sum;\n    __syncthreads();", "    part[t] = sum;"),
    ("cuda_reads_outside", "reads outside", "reads past the end and multiplies by nothing", "float sum = 0.f;",
     "float sum = 0.f; if (row == M - 1 && x[M * N + t] == 12345.f) sum = 1.f;"),
    ("cuda_writes_outside", "outside", "writes past the end", "if (t == 0) y[row] = part[0];",
     "if (t == 0) { y[row] = part[0]; if (row == M - 1) y[M] = 0.f; }"),
    ("cuda_alters_input", "input", "casts const away and clears its input", "if (t == 0) y", "((float*)x)[row * N + t] = 0.f; if (t == 0) y"),
    ("cuda_half_precision", "precision", "adds up in half precision", "sum += x[row * N + j]",
     "sum = __half2float(__float2half(sum + x[row * N + j]))"),
    ("cuda_uninitialised", "race, nan", "starts from what shared memory holds", "float sum = 0.f;", "float sum = part[t] * 0.f;"),
)}
