// Correct kernels in which tests/kernels/planted.py plants bugs: plain threads, shared memory, warps.
#include "kernel.cuh"

// y = x transposed, through a tile that keeps both sides coalesced: x (rows, columns)
extern "C" __global__ void transpose(const float* x, OUT float* y, int rows, int columns) {
    __shared__ float tile[32][33];
    int left = blockIdx.x * 32, top = blockIdx.y * 32;
    int tx = threadIdx.x, ty = threadIdx.y;
    for (int i = ty; i < 32; i += 8)
        tile[i][tx] = top + i < rows && left + tx < columns ? x[(top + i) * columns + left + tx] : 0.f;
    __syncthreads();
    for (int i = ty; i < 32; i += 8)
        if (left + i < columns && top + tx < rows) y[(left + i) * rows + top + tx] = tile[tx][i];
}

// y[block] = sum of a row, tile by tile; total += all of them
extern "C" __global__ void row_sums(const float* x, OUT float* y, float* total, int columns) {
    extern __shared__ float tile[];
    int t = threadIdx.x;
    float sum = 0.f;
    for (int left = 0; left < columns; left += blockDim.x) {
        tile[t] = x[blockIdx.x * columns + left + t];
        __syncthreads();
        if (t == 0)
            for (int i = 0; i < blockDim.x; i++) sum += tile[i];
        __syncthreads();
    }
    if (t == 0) y[blockIdx.x] = sum;
    if (t == 0) atomicAdd(&total[0], sum);
}

// y[block] = sum of 128 numbers, halved step by step
extern "C" __global__ void tree_sum(const float* x, OUT float* y) {
    __shared__ float s[128];
    int t = threadIdx.x;
    s[t] = x[blockIdx.x * 128 + t];
    __syncthreads();
    for (int half = 64; half > 0; half /= 2) {
        if (t < half) s[t] += s[t + half];
        __syncthreads();
    }
    if (t == 0) y[blockIdx.x] = s[0];
}

// Each lane swaps with its neighbour through shared memory.
extern "C" __global__ void swap_lanes(const float* x, OUT float* y) {
    __shared__ float s[32];
    int t = threadIdx.x;
    s[t] = x[t];
    __syncwarp();
    y[t] = s[t ^ 1];
}

// y[t] = sum over the lanes up to t
extern "C" __global__ void scan_warp(const float* x, OUT float* y) {
    int t = threadIdx.x;
    float sum = x[t];
    for (int step = 1; step < 32; step *= 2) {
        float other = __shfl_up_sync(ALL_LANES, sum, step);
        if (t >= step) sum += other;
    }
    y[t] = sum;
}

// count[c] = how often c stands in x
extern "C" __global__ void histogram(const int* x, int* count, int n) {
    __shared__ int local[8];
    int t = threadIdx.x;
    if (t < 8) local[t] = 0;
    __syncthreads();
    for (int i = blockIdx.x * blockDim.x + t; i < n; i += gridDim.x * blockDim.x) atomicAdd(&local[x[i]], 1);
    __syncthreads();
    if (t < 8) atomicAdd(&count[t], local[t]);
}

// The block that finishes last adds the partial sums of all.
extern "C" __global__ void last_block(const float* x, SCRATCH float* part, unsigned* finished, OUT float* total) {
    __shared__ bool last;
    float sum = block_sum(x[blockIdx.x * blockDim.x + threadIdx.x]);
    if (threadIdx.x == 0) {
        part[blockIdx.x] = sum;
        __threadfence();
        last = atomicAdd(finished, 1u) == gridDim.x - 1;
    }
    __syncthreads();
    if (last && threadIdx.x == 0) {
        float all = 0.f;
        for (int i = 0; i < gridDim.x; i++) all += part[i];
        total[0] = all;
    }
}

// y = 2 x, four numbers at a time; the number of them is a multiple of four
extern "C" __global__ void twice(const float* x, OUT float* y, int n) {
    int i = 4 * (blockIdx.x * blockDim.x + threadIdx.x);
    if (i < n) {
        float4 v = *reinterpret_cast<const float4*>(&x[i]);
        *reinterpret_cast<float4*>(&y[i]) = make_float4(2.f * v.x, 2.f * v.y, 2.f * v.z, 2.f * v.w);
    }
}
