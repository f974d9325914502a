// softmax along rows: y = e^x / sum of e^x.
//
//   version            idea
//   softmax_forward    a block per row: the largest entry, the sum, then the quotients, three passes over the row
#include "kernel.cuh"

extern "C" __global__ void softmax_forward(const scalar* x, OUT scalar* y, int columns) {
    const scalar* row = x + (size_t)blockIdx.x * columns;
    float largest = -INF;
    for (int j = threadIdx.x; j < columns; j += blockDim.x) largest = fmaxf(largest, to_float(row[j]));
    largest = block_max(largest);

    float sum = 0.f;
    for (int j = threadIdx.x; j < columns; j += blockDim.x) sum += expf(to_float(row[j]) - largest);
    sum = block_sum(sum);

    for (int j = threadIdx.x; j < columns; j += blockDim.x)
        y[(size_t)blockIdx.x * columns + j] = from_float<scalar>(expf(to_float(row[j]) - largest) / sum);
}
