// Convolution of images and its two gradients, as matrix products that read the images through windows (conv.cuh).
//
//   version          idea
//   direct           a thread per entry of y, its sum written out; the input gradient likewise; for the weights' a block each
//   tiled            implicit GEMM: 16 x 16 entries by a block, tiles of both factors in shared memory
//   fp32             (conv_fp32.cu) larger tiles in registers, the next ones loaded meanwhile
//   sm80             (conv_sm80.cu) half and bf16 on tensor cores
//
// With few channels in a group (depthwise) a tile would be mostly empty: there the direct versions are the fast ones.
#include "conv.cuh"

// ---- one thread, one entry ------------------------------------------------------------------------------

__device__ __forceinline__ void direct(const Gather& g, const scalar* source, const scalar* weights, const scalar* bias,
                                       scalar* result) {
    int column = blockIdx.x * blockDim.x + threadIdx.x, row = blockIdx.y;
    Place at = place(g, column);
    if (at.result < 0) return;

    const scalar* x = source + at.source;                                // channel 0 of the image's group
    const scalar* w = weights + g.weights + (long long)row * g.row_stride;
    // y[r, p, q] = bias[r] + sum of w[r, k, i, j] x[k, y + i * hop, x + j * hop]
    float sum = 0.f;
    for (int k = 0; k < g.channels; k++) {
        for (int i = 0; i < g.h.taps; i++) {
            int y = at.y + i * g.h.hop;
            if (!within(y, g.h.source)) continue;
            const scalar* line = x + (k * g.h.source + y) * g.w.source;
            const scalar* tap = w + k * g.channel_stride + (g.h.first + i * g.h.skip) * g.KW + g.w.first;
            for (int j = 0; j < g.w.taps; j++) {
                int column_of_x = at.x + j * g.w.hop;
                if (within(column_of_x, g.w.source)) sum += to_float(tap[j * g.w.skip]) * to_float(line[column_of_x]);
            }
        }
    }
    if (bias) sum += to_float(bias[g.group * g.rows + row]);
    result[at.result + (long long)row * g.h.size * g.w.size] = from_float<scalar>(sum);
}

extern "C" __global__ void __launch_bounds__(256)
conv_direct(const scalar* x, const scalar* w, const scalar* bias, OUT scalar* y, Sizes s) {
    direct(forward(s, blockIdx.z), x, w, bias, y);
}

extern "C" __global__ void __launch_bounds__(256)
conv_input_direct(const scalar* g, const scalar* w, const scalar* bias, OUT scalar* gx, Sizes s) {
    direct(transposed(s, blockIdx.z), g, w, bias, gx);
}

extern "C" __global__ void __launch_bounds__(256)
conv_weight_direct(const scalar* x, const scalar* g, OUT scalar* gw, Sizes s) {
    int columns = s.channels * s.KH * s.KW, filter = blockIdx.x / columns, group = filter / s.filters;
    Tap t = tap(s, blockIdx.x % columns);                                // gw[filter, channel, i, j]
    Digits at = digits(threadIdx.x, s.OH, s.OW), step = digits(blockDim.x, s.OH, s.OW);        // image n, row p, column q of y
    float sum = 0.f;
    // gw[m, c, i, j] = sum of g[n, m, p, q] x[n, c, p * stride - padding + i * dilation, ...]
    for (; at.high < s.images; add(at, step, s.OH, s.OW)) {
        int top = at.middle * s.stride_h - s.padding_h, left = at.low * s.stride_w - s.padding_w;
        if (!within(top + t.y, s.H) || !within(left + t.x, s.W)) continue;
        const scalar* image = x + ((long long)at.high * s.groups + group) * s.channels * s.H * s.W;
        const scalar* map = g + ((long long)at.high * s.groups * s.filters + filter) * s.OH * s.OW;
        sum += to_float(map[at.middle * s.OW + at.low]) * to_float(image[top * s.W + left + t.offset]);
    }
    sum = block_sum(sum);
    if (threadIdx.x == 0) gw[blockIdx.x] = from_float<scalar>(sum);
}

// ---- tiles in shared memory -----------------------------------------------------------------------------

// The thread's entry of the 16 x 16 entries of A B: A (16, terms) and B (terms, 16) come from loaders, 16 terms at a time.
template <class A, class B>
__device__ __forceinline__ float multiply(A& a, B& b, int steps) {
    __shared__ float as[16][17], bs[16][17];         // [row][term], [term][column]
    int row = threadIdx.x / 16, column = threadIdx.x % 16;
    float sum = 0.f;
    __syncthreads();                                 // the loaders' tables are there
    for (int step = 0; step < steps; step++) {
        scalar next_a[1], next_b[1];
        a.fetch(next_a);
        b.fetch(next_b);
        as[a.line(0)][a.depth(0)] = to_float(next_a[0]);
        bs[b.depth(0)][b.line(0)] = to_float(next_b[0]);
        __syncthreads();
        for (int k = 0; k < 16; k++) sum += as[row][k] * bs[k][column];
        __syncthreads();                             // before the tiles are overwritten
    }
    return sum;
}

__device__ __forceinline__ void tiled(const Gather& g, const scalar* source, const scalar* weights, const scalar* bias,
                                      scalar* result) {
    __shared__ Terms<16> terms;
    int row = blockIdx.y * 16 + threadIdx.x / 16;
    Weights<16, 16, 256> a(g, weights, blockIdx.y * 16, terms);
    Windows<16, 16, 256> b(g, source, blockIdx.x * 16, terms);
    float sum = multiply(a, b, (g.terms() + 15) / 16);
    if (b.at.result < 0 || row >= g.rows) return;
    if (bias) sum += to_float(bias[g.group * g.rows + row]);
    result[b.at.result + (long long)row * g.h.size * g.w.size] = from_float<scalar>(sum);
}

extern "C" __global__ void __launch_bounds__(256)
conv_tiled(const scalar* x, const scalar* w, const scalar* bias, OUT scalar* y, Sizes s) {
    tiled(forward(s, blockIdx.z), x, w, bias, y);
}

extern "C" __global__ void __launch_bounds__(256)
conv_input_tiled(const scalar* g, const scalar* w, const scalar* bias, OUT scalar* gx, Sizes s) {
    tiled(transposed(s, blockIdx.z), g, w, bias, gx);
}

extern "C" __global__ void __launch_bounds__(256)
conv_weight_tiled(const scalar* x, const scalar* g, OUT scalar* gw, Sizes s) {
    __shared__ Tap taps[16];
    int columns = s.channels * s.KH * s.KW, places = s.images * s.OH * s.OW;
    int row = blockIdx.y * 16 + threadIdx.x / 16, column = blockIdx.x * 16 + threadIdx.x % 16;
    Gradients<16, 16, 256> a(s, g, blockIdx.z, blockIdx.y * 16, 0, places);
    Seen<16, 16, 256> b(s, x, blockIdx.z, blockIdx.x * 16, taps, 0, places);
    float sum = multiply(a, b, (places + 15) / 16);
    if (row < s.filters && column < columns)
        gw[((long long)blockIdx.z * s.filters + row) * columns + column] = from_float<scalar>(sum);
}

// ---- sums of parts, always in the same order ------------------------------------------------------------

extern "C" __global__ void sum_parts(const float* parts, OUT scalar* total, int count, long long size) {
    long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= size) return;
    float sum = 0.f;
    for (int part = 0; part < count; part++) sum += parts[part * size + i];
    total[i] = from_float<scalar>(sum);
}

// parts[part, m] = the sum of g[n, m] over images n = part, part + parts, ...
extern "C" __global__ void conv_bias_gradient(const scalar* g, OUT float* parts, int images, int filters, int area) {
    float sum = 0.f;
    for (int n = blockIdx.y; n < images; n += gridDim.y) {
        const scalar* map = g + ((long long)n * filters + blockIdx.x) * area;
        for (int i = threadIdx.x; i < area; i += blockDim.x) sum += to_float(map[i]);
    }
    sum = block_sum(sum);
    if (threadIdx.x == 0) parts[(long long)blockIdx.y * filters + blockIdx.x] = sum;
}
