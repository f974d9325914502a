// Batch norm of (N, C, P), each channel over its N * P numbers, in training; and its derivative.
//
//     y = d r w + b,      d = x - mean(x),  r = 1 / sqrt(mean(d^2) + eps)
//     dx = r w (g - mean(g) - d r mean(g d r)),      dw = sum of g d r,      db = sum of g
//
//   version    idea
//   simple     a block per channel, a pass for each of its sums
//   split      a channel is split among blocks: the first launch leaves the sums of each part, the second merges them and writes
//
// Numbers are taken in chunks, CHUNK a block at a time, VECTOR of them (within one n and c) by a thread.  The order of every
// sum is fixed, so results are the same every time.
#include "kernel.cuh"

#ifndef parameter                                    // the type of w, b and the running statistics
#define parameter scalar
#endif
#ifndef VECTOR
#define VECTOR 1
#endif

constexpr int BLOCK = 256, HELD = 8;                // threads in a block; numbers that each of them holds at a time
constexpr int CHUNK = BLOCK * HELD;

// Where the numbers of one channel are: number i of it, of count = N * P, is at x[place(i)].
struct Channel {
    int c, C, P, count;
    __device__ __forceinline__ int64_t place(int i) const { return ((int64_t)(i / P) * C + c) * P + i % P; }
};

// Running statistics: old (1 - momentum) + new momentum; the variance unbiased.  square: sum of d^2
__device__ __forceinline__ void keep_running(parameter* running_mean, parameter* running_var, int c, float mean, float square,
                                             int count, float momentum) {
    if (!running_mean) return;
    running_mean[c] = from_float<parameter>(to_float(running_mean[c]) * (1.f - momentum) + mean * momentum);
    running_var[c] = from_float<parameter>(to_float(running_var[c]) * (1.f - momentum) + square / (count - 1) * momentum);
}

// ---- simple -----------------------------------------------------------------------------------------------------

extern "C" __global__ void batch_norm_simple(const scalar* x, const parameter* weight, const parameter* bias, OUT scalar* y,
                                             OUT float* mean, OUT float* rstd, parameter* running_mean, parameter* running_var,
                                             int N, int C, int P, float eps, float momentum) {
    Channel channel = {(int)blockIdx.x, C, P, N * P};
    float m = 0.f, square = 0.f;
    for (int i = threadIdx.x; i < channel.count; i += blockDim.x) m += to_float(x[channel.place(i)]);
    m = block_sum(m) / channel.count;
    for (int i = threadIdx.x; i < channel.count; i += blockDim.x) {
        float d = to_float(x[channel.place(i)]) - m;
        square += d * d;
    }
    square = block_sum(square);
    float r = rsqrtf(square / channel.count + eps);

    float w = weight ? to_float(weight[channel.c]) : 1.f, b = bias ? to_float(bias[channel.c]) : 0.f;
    for (int i = threadIdx.x; i < channel.count; i += blockDim.x)
        y[channel.place(i)] = from_float<scalar>((to_float(x[channel.place(i)]) - m) * r * w + b);
    if (threadIdx.x == 0) {
        mean[channel.c] = m;
        rstd[channel.c] = r;
        keep_running(running_mean, running_var, channel.c, m, square, channel.count, momentum);
    }
}

extern "C" __global__ void
batch_norm_backward_simple(const scalar* g, const scalar* x, const parameter* weight, const float* mean, const float* rstd,
                           OUT scalar* dx, OUT parameter* dw, OUT parameter* db, int N, int C, int P) {
    Channel channel = {(int)blockIdx.x, C, P, N * P};
    float m = mean[channel.c], r = rstd[channel.c], sum = 0.f, dot = 0.f;
    for (int i = threadIdx.x; i < channel.count; i += blockDim.x) {
        float gi = to_float(g[channel.place(i)]);
        sum += gi;
        dot += gi * (to_float(x[channel.place(i)]) - m) * r;
    }
    sum = block_sum(sum);
    dot = block_sum(dot);

    float scale = r * (weight ? to_float(weight[channel.c]) : 1.f);
    for (int i = threadIdx.x; i < channel.count; i += blockDim.x) {
        float d = (to_float(x[channel.place(i)]) - m) * r;
        dx[channel.place(i)] = from_float<scalar>(scale * (to_float(g[channel.place(i)]) - (sum + d * dot) / channel.count));
    }
    if (threadIdx.x == 0) {
        dw[channel.c] = from_float<parameter>(dot);
        db[channel.c] = from_float<parameter>(sum);
    }
}

// ---- split: grid (C, parts); a block takes every gridDim.y-th chunk of its channel -------------------------------------

// The number i of the channel that v[k] of a thread is, in the chunk that begins at `first`.
__device__ __forceinline__ int number(int first, int k) {
    return first + (k / VECTOR * BLOCK + threadIdx.x) * VECTOR + k % VECTOR;
}

__device__ __forceinline__ void load_chunk(const scalar* x, const Channel& channel, int first, float (&v)[HELD]) {
#pragma unroll
    for (int k = 0; k < HELD; k += VECTOR) {
        if (number(first, k) < channel.count) {
            load<VECTOR>(x + channel.place(number(first, k)), v + k);
        } else {
#pragma unroll
            for (int l = 0; l < VECTOR; l++) v[k + l] = 0.f;
        }
    }
}

__device__ __forceinline__ void store_chunk(scalar* y, const Channel& channel, int first, const float (&v)[HELD]) {
#pragma unroll
    for (int k = 0; k < HELD; k += VECTOR)
        if (number(first, k) < channel.count) store<VECTOR>(y + channel.place(number(first, k)), v + k);
}

// How many numbers of the channel are in a part, one of gridDim.y.
__device__ __forceinline__ int size_of(int part, int count) {
    int size = 0;
    for (int64_t first = (int64_t)part * CHUNK; first < count; first += (int64_t)gridDim.y * CHUNK)
        size += min(CHUNK, (int)(count - first));
    return size;
}

// means, squares (C, parts): the mean of each part, and its sum of (x - that mean)^2
extern "C" __global__ void __launch_bounds__(BLOCK)
batch_norm_parts(const scalar* x, OUT float* means, OUT float* squares, int N, int C, int P) {
    Channel channel = {(int)blockIdx.x, C, P, N * P};
    float v[HELD], mean = 0.f, square = 0.f;
    int seen = 0;
    for (int64_t first = (int64_t)blockIdx.y * CHUNK; first < channel.count; first += (int64_t)gridDim.y * CHUNK) {
        int size = min(CHUNK, (int)(channel.count - first));
        load_chunk(x, channel, first, v);
        // of the chunk: mean, sum of (x - mean)^2
        float m = 0.f, s = 0.f;
#pragma unroll
        for (int k = 0; k < HELD; k++) m += v[k];
        m = block_sum(m) / size;
#pragma unroll
        for (int k = 0; k < HELD; k++) {
            float d = number(first, k) < channel.count ? v[k] - m : 0.f;
            s += d * d;
        }
        s = block_sum(s);
        // merged with those before (Chan, Golub & LeVeque 1979)
        float d = m - mean, share = (float)size / (seen + size);
        mean += d * share;
        square += s + d * d * share * seen;
        seen += size;
    }
    if (threadIdx.x == 0) {
        means[(size_t)channel.c * gridDim.y + blockIdx.y] = mean;
        squares[(size_t)channel.c * gridDim.y + blockIdx.y] = square;
    }
}

extern "C" __global__ void __launch_bounds__(BLOCK)
batch_norm_split(const scalar* x, const parameter* weight, const parameter* bias, const float* means, const float* squares,
                 OUT scalar* y, OUT float* mean, OUT float* rstd, parameter* running_mean, parameter* running_var,
                 int N, int C, int P, float eps, float momentum) {
    Channel channel = {(int)blockIdx.x, C, P, N * P};
    means += (size_t)channel.c * gridDim.y;
    squares += (size_t)channel.c * gridDim.y;
    // of the channel: mean = sum of n_i mean_i / n;  sum of d^2 = sum of square_i + n_i (mean_i - mean)^2
    float m = 0.f, square = 0.f;
    for (int i = threadIdx.x; i < gridDim.y; i += BLOCK) m += means[i] * size_of(i, channel.count);
    m = block_sum(m) / channel.count;
    for (int i = threadIdx.x; i < gridDim.y; i += BLOCK) {
        float d = means[i] - m;
        square += squares[i] + d * d * size_of(i, channel.count);
    }
    square = block_sum(square);
    float r = rsqrtf(square / channel.count + eps);

    float v[HELD], scale = r * (weight ? to_float(weight[channel.c]) : 1.f), b = bias ? to_float(bias[channel.c]) : 0.f;
    for (int64_t first = (int64_t)blockIdx.y * CHUNK; first < channel.count; first += (int64_t)gridDim.y * CHUNK) {
        load_chunk(x, channel, first, v);
#pragma unroll
        for (int k = 0; k < HELD; k++) v[k] = (v[k] - m) * scale + b;
        store_chunk(y, channel, first, v);
    }
    if (blockIdx.y == 0 && threadIdx.x == 0) {
        mean[channel.c] = m;
        rstd[channel.c] = r;
        keep_running(running_mean, running_var, channel.c, m, square, channel.count, momentum);
    }
}

// sums, dots (C, parts): the sum of g and of g d r in each part
extern "C" __global__ void __launch_bounds__(BLOCK)
batch_norm_backward_parts(const scalar* g, const scalar* x, const float* mean, const float* rstd, OUT float* sums,
                          OUT float* dots, int N, int C, int P) {
    Channel channel = {(int)blockIdx.x, C, P, N * P};
    float m = mean[channel.c], r = rstd[channel.c], u[HELD], v[HELD], sum = 0.f, dot = 0.f;
    for (int64_t first = (int64_t)blockIdx.y * CHUNK; first < channel.count; first += (int64_t)gridDim.y * CHUNK) {
        load_chunk(g, channel, first, u);
        load_chunk(x, channel, first, v);
#pragma unroll
        for (int k = 0; k < HELD; k++) {
            sum += u[k];
            dot += number(first, k) < channel.count ? u[k] * (v[k] - m) * r : 0.f;
        }
    }
    sum = block_sum(sum);
    dot = block_sum(dot);
    if (threadIdx.x == 0) {
        sums[(size_t)channel.c * gridDim.y + blockIdx.y] = sum;
        dots[(size_t)channel.c * gridDim.y + blockIdx.y] = dot;
    }
}

extern "C" __global__ void __launch_bounds__(BLOCK)
batch_norm_backward_split(const scalar* g, const scalar* x, const parameter* weight, const float* mean, const float* rstd,
                          const float* sums, const float* dots, OUT scalar* dx, OUT parameter* dw, OUT parameter* db,
                          int N, int C, int P) {
    Channel channel = {(int)blockIdx.x, C, P, N * P};
    float sum = 0.f, dot = 0.f;
    for (int i = threadIdx.x; i < gridDim.y; i += BLOCK) {
        sum += sums[(size_t)channel.c * gridDim.y + i];
        dot += dots[(size_t)channel.c * gridDim.y + i];
    }
    sum = block_sum(sum);
    dot = block_sum(dot);

    float m = mean[channel.c], r = rstd[channel.c], u[HELD], v[HELD], scale = r * (weight ? to_float(weight[channel.c]) : 1.f);
    for (int64_t first = (int64_t)blockIdx.y * CHUNK; first < channel.count; first += (int64_t)gridDim.y * CHUNK) {
        load_chunk(g, channel, first, u);
        load_chunk(x, channel, first, v);
#pragma unroll
        for (int k = 0; k < HELD; k++) u[k] = scale * (u[k] - (sum + (v[k] - m) * r * dot) / channel.count);
        store_chunk(dx, channel, first, u);
    }
    if (blockIdx.y == 0 && threadIdx.x == 0) {
        dw[channel.c] = from_float<parameter>(dot);
        db[channel.c] = from_float<parameter>(sum);
    }
}
