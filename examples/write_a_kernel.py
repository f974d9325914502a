"""Write a CUDA kernel without a GPU: a guided tour in four steps, each of them run before your eyes.

    python examples/write_a_kernel.py

1. A transpose with a barrier missing: what the simulator says, and the repair.
2. Its bank conflicts, seen line by line, and removed by one column of padding.
3. A forward and a backward kernel, and finite differences that find the mistake in the backward one.
4. minitorch trains with them: the kernels as a differentiable function.

What runs here is the CUDA C++ below, compiled for the processor by the simulator of minitorch.kernels.  Given CuPy arrays,
the same lines launch it on a GPU.
"""
import numpy as np

import minitorch as torch
from minitorch import kernels
from minitorch.kernels.simulator import SimulatorError

# ---- 1. and 2. transpose, through a tile in shared memory ---------------------------------------------------------------

TRANSPOSE = r"""
#include "kernel.cuh"
#ifndef WIDTH
#define WIDTH 32
#endif

extern "C" __global__ void transpose(const float* x, OUT float* y, int rows, int columns) {
    __shared__ float tile[32][WIDTH];
    int left = blockIdx.x * 32, top = blockIdx.y * 32;
    int tx = threadIdx.x, ty = threadIdx.y;
    for (int i = ty; i < 32; i += 8)                                     // rows of x into rows of the tile
        if (top + i < rows && left + tx < columns) tile[i][tx] = x[(top + i) * columns + left + tx];
    __syncthreads();
    for (int i = ty; i < 32; i += 8)                                     // columns of the tile into rows of y
        if (left + i < columns && top + tx < rows) y[(left + i) * rows + top + tx] = tile[tx][i];
}
"""


def run_transpose(kernel, rows=45, columns=70):
    x = np.random.default_rng(0).normal(size=(rows, columns)).astype("float32")
    y = np.empty((columns, rows), "float32")
    kernel(((columns + 31) // 32, (rows + 31) // 32), (32, 8), (x, y, rows, columns))
    return np.array_equal(y, x.T)


def a_barrier_is_missing():
    heading("1. A barrier is missing")
    wrong = kernels.Kernel(TRANSPOSE.replace("    __syncthreads();\n", ""), "transpose")
    with kernels.using(mode="check"):
        try:
            run_transpose(wrong)
        except SimulatorError as error:
            print("Without __syncthreads() the checker says:\n")
            print(indented(error))
    right = kernels.Kernel(TRANSPOSE, "transpose")
    with kernels.using(mode="check"):
        print(f"\nWith it: nothing to report, and the result is {'right' if run_transpose(right) else 'WRONG'}.")


def banks_collide():
    heading("2. Bank conflicts")
    print("Shared memory has 32 banks; lanes that want different words of one bank wait for each other.  A column of tile[32][32]\n"
          "lies in one bank, so reading it takes 32 turns of the banks where one would do:\n")
    x, y = np.zeros((64, 64), "float32"), np.empty((64, 64), "float32")
    for width in (32, 33):
        kernel = kernels.Kernel(TRANSPOSE, "transpose", {"WIDTH": width})
        print(f"tile[32][{width}]")
        print(indented(kernels.profile(kernel, (2, 2), (32, 8), (x, y, 64, 64))), "\n")


# ---- 3. and 4. rows of length 1, forward and backward -------------------------------------------------------------------

UNIT = r"""
#include "kernel.cuh"

// y = x / |x| for each row: a block per row
extern "C" __global__ void unit_forward(const float* x, OUT float* y, OUT float* length, int columns) {
    const float* row = x + blockIdx.x * columns;
    float squares = 0.f;
    for (int j = threadIdx.x; j < columns; j += blockDim.x) squares += row[j] * row[j];
    float norm = sqrtf(block_sum(squares));
    for (int j = threadIdx.x; j < columns; j += blockDim.x) y[blockIdx.x * columns + j] = row[j] / norm;
    if (threadIdx.x == 0) length[blockIdx.x] = norm;
}

// dx = (g - y (y . g)) / |x|
extern "C" __global__ void unit_backward(const float* g, const float* y, const float* length, OUT float* dx, int columns) {
    int start = blockIdx.x * columns;
    float product = 0.f;
    for (int j = threadIdx.x; j < columns; j += blockDim.x) product += g[start + j] * y[start + j];
    product = block_sum(product);
    for (int j = threadIdx.x; j < columns; j += blockDim.x)
        dx[start + j] = (g[start + j] - y[start + j] * product) / length[blockIdx.x];
}
"""


def unit_forward(x, source=UNIT):
    rows, columns = x.shape
    y, length = np.empty_like(x), np.empty(rows, x.dtype)
    kernels.launch(source, "unit_forward", rows, 64, (x, y, length, columns))
    return y, length


def unit_backward(g, y, length, source=UNIT):
    dx = np.empty_like(y)
    kernels.launch(source, "unit_backward", y.shape[0], 64, (g, y, length, dx, y.shape[1]))
    return dx


def differences_decide(rows=3, columns=10, h=1e-5):
    heading("3. Finite differences")
    print("Given float64 arrays, every `float` of the source is compiled as `double`: differences become sharp.\n")
    rng = np.random.default_rng(0)
    x, g = rng.normal(size=(2, rows, columns))
    slopes = np.empty_like(x)
    for i in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[i] = h
        slopes[i] = ((unit_forward(x + step)[0] - unit_forward(x - step)[0]) * g).sum() / (2 * h)
    y, length = unit_forward(x)
    forgotten = UNIT.replace(" - y[start + j] * product", "")
    for what, source in (("without the term y (y . g)", forgotten), ("as derived", UNIT)):
        error = np.abs(unit_backward(g, y, length, source) - slopes).max() / np.abs(slopes).max()
        print(f"    backward {what:28} largest error {error:.1e}   {'wrong' if error > 1e-6 else 'right'}")


class Unit(torch.autograd.Function):
    """Rows divided by their length, on the kernels above."""

    @staticmethod
    def forward(ctx, x):
        y, length = unit_forward(x.detach().numpy())
        ctx.save_for_backward(torch.from_numpy(y), torch.from_numpy(length))
        return torch.from_numpy(y)

    @staticmethod
    def backward(ctx, g):
        y, length = ctx.saved_tensors
        return torch.from_numpy(unit_backward(np.ascontiguousarray(g.numpy()), y.numpy(), length.numpy()))


def minitorch_trains_with_them(steps=60):
    heading("4. minitorch trains with them")
    torch.manual_seed(0)
    target = torch.nn.functional.normalize(torch.randn(8, 16), dim=1)
    x = torch.randn(8, 16, requires_grad=True)
    optimizer = torch.optim.Adam([x], lr=0.1)
    for step in range(steps + 1):
        loss = 1 - (Unit.apply(x) * target).sum(1).mean()                # 1 - cosine of the angle to the target
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 20 == 0:
            print(f"    step {step:2}   mean distance from the target direction {loss.item():.4f}")
    with kernels.simulated():
        y = torch.nn.functional.softmax(torch.randn(4, 7), dim=1)        # and its own ops run on the library's kernels
    print(f"\nWithin kernels.simulated() minitorch's own ops run on the library's CUDA sources too: rows of a softmax sum to "
          f"{y.sum(1).mean().item():.4f}.")


def heading(text):
    print(f"\n{text}\n{'-' * len(text)}\n")


def indented(text):
    return "\n".join("    " + line for line in str(text).strip().split("\n"))


if __name__ == "__main__":
    a_barrier_is_missing()
    banks_collide()
    differences_decide()
    minitorch_trains_with_them()
