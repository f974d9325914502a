// The last step of a product of few tiles, which would leave most of the device idle: k is split into parts, each a product of its
// own, and these are added up.
//
//   version      idea
//   matmul_sum   a thread per entry of C adds its parts in their order: the same bits every time
#include "matmul.cuh"

// C (`entries` in rows of `columns`) = activation(sum of `parts` arrays of its size + bias)
extern "C" __global__ void __launch_bounds__(256)
matmul_sum(const float* sums, const scalar* bias, OUT scalar* c, long long entries, int columns, int parts) {
    long long index = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (index >= entries) return;
    float sum = 0.f;
    for (int n = 0; n < parts; n++) sum += sums[n * entries + index];
    c[index] = from_float<scalar>(finish(sum, bias_of(bias, (int)(index % columns), columns)));
}
