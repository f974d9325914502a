// y = activation(x + bias), rows of x alike, its gradient with the bias's, and dropout.
//
//   version                    idea
//   bias_activation_forward    a thread keeps WIDTH entries of the bias in registers and takes them down a strip of rows
//   bias_activation_backward   the same walk, which also adds what it passes: one sum per column and strip
//   column_sums                the strips added in their order: the same bits every time, unlike with atomics
//   dropout                    four random words at a time, made from the position: the backward pass makes them again
#include "activations.cuh"
#include "philox.cuh"

#ifndef WIDTH
#define WIDTH 1                  // numbers per load and store; columns and addresses must be multiples of it
#endif
#define THREADS 256              // of a block: blockDim.x * blockDim.y

// Runs `f<A>` for the activation of number `which`: the choice is made once, not for every number.
#define FOR_ACTIVATION(which, f, ...)                  \
    switch (which) {                                   \
        case RELU: f<RELU>(__VA_ARGS__); break;        \
        case GELU: f<GELU>(__VA_ARGS__); break;        \
        case GELU_TANH: f<GELU_TANH>(__VA_ARGS__); break; \
        case SILU: f<SILU>(__VA_ARGS__); break;        \
        case TANH: f<TANH>(__VA_ARGS__); break;        \
        case SIGMOID: f<SIGMOID>(__VA_ARGS__); break;  \
        default: f<IDENTITY>(__VA_ARGS__);             \
    }

// Entries j ... j + WIDTH - 1 of the bias; zeros where there is none.
__device__ __forceinline__ void load_bias(const scalar* bias, int j, float b[WIDTH]) {
    for (int k = 0; k < WIDTH; k++) b[k] = 0.f;
    if (bias) load<WIDTH>(bias + j, b);
}

template <int A>
__device__ __forceinline__ void forward(const scalar* __restrict__ x, const scalar* __restrict__ bias, scalar* __restrict__ y,
                                        int64_t rows, int columns) {
    int j = (blockIdx.x * blockDim.x + threadIdx.x) * WIDTH;
    if (j >= columns) return;
    float b[WIDTH];
    load_bias(bias, j, b);
    int64_t step = (int64_t)gridDim.y * blockDim.y;
    #pragma unroll 4
    for (int64_t i = (int64_t)blockIdx.y * blockDim.y + threadIdx.y; i < rows; i += step) {
        float v[WIDTH];
        load<WIDTH>(x + i * columns + j, v);
        for (int k = 0; k < WIDTH; k++) v[k] = activate<A>(v[k] + b[k]);
        store<WIDTH>(y + i * columns + j, v);
    }
}

extern "C" __global__ void __launch_bounds__(THREADS)
bias_activation_forward(const scalar* x, const scalar* bias, OUT scalar* y, int64_t rows, int columns, int activation) {
    FOR_ACTIVATION(activation, forward, x, bias, y, rows, columns)
}

// dx = g * slope(x + bias) for the rows of a strip; `sum` is what this thread's columns add up to.
template <int A>
__device__ __forceinline__ void backward(const scalar* __restrict__ g, const scalar* __restrict__ x,
                                         const scalar* __restrict__ bias, scalar* __restrict__ dx, int64_t first, int64_t last,
                                         int columns, int j, float sum[WIDTH]) {
    float b[WIDTH];
    load_bias(bias, j, b);
    #pragma unroll 2
    for (int64_t i = first + threadIdx.y; i < last; i += blockDim.y) {
        float u[WIDTH], v[WIDTH];
        load<WIDTH>(g + i * columns + j, u);
        load<WIDTH>(x + i * columns + j, v);
        for (int k = 0; k < WIDTH; k++) {
            u[k] *= slope<A>(v[k] + b[k]);
            sum[k] += u[k];
        }
        store<WIDTH>(dx + i * columns + j, u);
    }
}

// partial: (strips, columns), the sums of dx over each strip of rows, or null if nobody wants them.
extern "C" __global__ void __launch_bounds__(THREADS)
bias_activation_backward(const scalar* g, const scalar* x, const scalar* bias, OUT scalar* dx, OUT float* partial, int64_t rows,
                         int columns, int strip, int activation) {
    int j = (blockIdx.x * blockDim.x + threadIdx.x) * WIDTH;
    int64_t first = (int64_t)blockIdx.y * strip, last = first + strip < rows ? first + strip : rows;
    float sum[WIDTH] = {};
    if (j < columns) { FOR_ACTIVATION(activation, backward, g, x, bias, dx, first, last, columns, j, sum) }
    if (!partial) return;

    __shared__ float sums[WIDTH][THREADS];                        // the threads of a column lie blockDim.x apart
    for (int k = 0; k < WIDTH; k++) sums[k][threadIdx.y * blockDim.x + threadIdx.x] = sum[k];
    __syncthreads();
    if (threadIdx.y > 0 || j >= columns) return;
    for (int k = 0; k < WIDTH; k++) {
        for (int r = 1; r < blockDim.y; r++) sum[k] += sums[k][r * blockDim.x + threadIdx.x];
        partial[(int64_t)blockIdx.y * columns + j + k] = sum[k];
    }
}

// y[j] = sum of x[i, j] over i: a block of 32 columns, whose threads take every blockDim.y-th row and then add up.
extern "C" __global__ void __launch_bounds__(THREADS)
column_sums(const float* x, OUT scalar* y, int rows, int columns) {
    int j = blockIdx.x * 32 + threadIdx.x;
    float sum = 0.f;
    if (j < columns)
        for (int i = threadIdx.y; i < rows; i += blockDim.y) sum += x[(int64_t)i * columns + j];

    __shared__ float sums[THREADS / 32][32];
    sums[threadIdx.y][threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.y > 0 || j >= columns) return;
    for (int r = 1; r < blockDim.y; r++) sum += sums[r][threadIdx.x];
    y[j] = from_float<scalar>(sum);
}

// y[i] = x[i] * scale where random word i is at least `threshold`, else 0.  Words 4q ... 4q + 3 are philox(q, offset).
extern "C" __global__ void __launch_bounds__(THREADS)
dropout(const scalar* x, OUT scalar* y, int64_t n, uint64_t threshold, float scale, uint64_t seed, uint64_t offset) {
    bool wide = aligned<4>(x) && aligned<4>(y);
    int64_t step = (int64_t)gridDim.x * blockDim.x;
    for (int64_t q = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; q * 4 < n; q += step) {
        uint4 r = philox(make_uint4((uint32_t)q, (uint32_t)(q >> 32), (uint32_t)offset, (uint32_t)(offset >> 32)),
                         make_uint2((uint32_t)seed, (uint32_t)(seed >> 32)));
        uint32_t word[4] = {r.x, r.y, r.z, r.w};
        int64_t i = q * 4;
        if (wide && i + 4 <= n) {
            float v[4];
            load<4>(x + i, v);
            for (int k = 0; k < 4; k++) v[k] = word[k] >= threshold ? v[k] * scale : 0.f;
            store<4>(y + i, v);
        } else {
            for (int k = 0; k < 4 && i + k < n; k++)
                y[i + k] = from_float<scalar>(word[k] >= threshold ? to_float(x[i + k]) * scale : 0.f);
        }
    }
}
