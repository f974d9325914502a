// The convolutions of conv.cu in float on the ordinary cores.
//
//   version                      idea
//   conv_forward_fp32            TILE_M x 128 entries by a block, TM x 8 by a thread in registers; while the tiles at hand are
//   conv_input_gradient_fp32     multiplied, the next ones are on their way; a launch for all phases of the stride
//   conv_weight_gradient_fp32    the same tiles summed over places, which are shared out over blocks; then sum_parts
#include "conv.cuh"

#ifndef TILE_M
#define TILE_M 64                                    // 32, 64 or 128
#endif
#define TILE_N 128
#define DEPTH 8
#define THREADS 256                                  // 16 x 16, each with TM x TN entries
#define TM (TILE_M / 16)
#define TN (TILE_N / 16)

// ---- tiles in registers ---------------------------------------------------------------------------------

// Where entry i of a thread's TM (TN) lies within the tile: runs of up to 4, side by side with those of the other 15 threads.
template <int ENTRIES>
__device__ __forceinline__ int spread(int thread, int i) {
    constexpr int RUN = ENTRIES < 4 ? ENTRIES : 4;
    return i / RUN * 16 * RUN + thread * RUN + i % RUN;
}

template <int ENTRIES>
__device__ __forceinline__ void read_runs(float (&to)[ENTRIES], const float* line, int thread) {
    constexpr int RUN = ENTRIES < 4 ? ENTRIES : 4;
    #pragma unroll
    for (int i = 0; i < ENTRIES; i += RUN) load<RUN>(line + spread<ENTRIES>(thread, i), to + i);
}

// sum += A B over `steps` tiles of DEPTH terms: A (TILE_M, terms) and B (terms, TILE_N) come from loaders.
// Begins with a barrier, before which the loaders and the caller may have written to shared memory.
template <class A, class B>
__device__ __forceinline__ void multiply(A& a, B& b, int steps, float (&sum)[TM][TN]) {
    __shared__ __align__(4 * sizeof(float)) float as[2][DEPTH][TILE_M + 4], bs[2][DEPTH][TILE_N + 4];
    int row = threadIdx.x / 16, column = threadIdx.x % 16;
    scalar next_a[A::COUNT], next_b[B::COUNT];

    auto put = [&](int stage) {
        #pragma unroll
        for (int i = 0; i < A::COUNT; i++) as[stage][a.depth(i)][a.line(i)] = to_float(next_a[i]);
        #pragma unroll
        for (int i = 0; i < B::COUNT; i++) bs[stage][b.depth(i)][b.line(i)] = to_float(next_b[i]);
    };
    __syncthreads();
    a.fetch(next_a);
    b.fetch(next_b);
    put(0);
    __syncthreads();
    for (int step = 0; step < steps; step++) {
        bool more = step + 1 < steps;
        if (more) {                                  // on their way while the tiles at hand are multiplied
            a.fetch(next_a);
            b.fetch(next_b);
        }
        #pragma unroll
        for (int k = 0; k < DEPTH; k++) {
            float x[TM], y[TN];
            read_runs(x, as[step % 2][k], row);
            read_runs(y, bs[step % 2][k], column);
            #pragma unroll
            for (int i = 0; i < TM; i++) {
                #pragma unroll
                for (int j = 0; j < TN; j++) sum[i][j] += x[i] * y[j];
            }
        }
        if (more) {
            put((step + 1) % 2);
            __syncthreads();                         // the next tiles are there, and nobody reads these any more
        }
    }
}

__device__ __forceinline__ void convolve(const Gather& g, const scalar* source, const scalar* weights, const scalar* bias,
                                         scalar* result) {
    __shared__ long long target[TILE_N];             // where each column of the tile goes
    __shared__ Terms<DEPTH> terms;
    int row0 = blockIdx.y * TILE_M, column0 = blockIdx.x * TILE_N;
    if (column0 >= g.columns()) return;              // a phase with fewer places
    Weights<TILE_M, DEPTH, THREADS> a(g, weights, row0, terms);
    Windows<TILE_N, DEPTH, THREADS> b(g, source, column0, terms);
    if (threadIdx.x < TILE_N) target[threadIdx.x] = b.at.result;

    float sum[TM][TN] = {};
    multiply(a, b, (g.terms() + DEPTH - 1) / DEPTH, sum);
    #pragma unroll
    for (int i = 0; i < TM; i++) {
        int row = row0 + spread<TM>(threadIdx.x / 16, i);
        if (row >= g.rows) continue;
        float shift = bias ? to_float(bias[g.group * g.rows + row]) : 0.f;
        scalar* line = result + (long long)row * g.h.size * g.w.size;
        #pragma unroll
        for (int j = 0; j < TN; j += 4) {
            const long long* to = target + spread<TN>(threadIdx.x % 16, j);      // of four columns, side by side in the tile
            #pragma unroll
            for (int k = 0; k < 4; k++) sum[i][j + k] += shift;
            if (to[0] >= 0 && to[3] == to[0] + 3 && aligned<4>(line + to[0])) {
                store<4>(line + to[0], &sum[i][j]);
            } else {
                #pragma unroll
                for (int k = 0; k < 4; k++)
                    if (to[k] >= 0) line[to[k]] = from_float<scalar>(sum[i][j + k]);
            }
        }
    }
}

extern "C" __global__ void __launch_bounds__(THREADS)
conv_forward_fp32(const scalar* x, const scalar* w, const scalar* bias, OUT scalar* y, Sizes s) {
    convolve(forward(s, blockIdx.z), x, w, bias, y);
}

extern "C" __global__ void __launch_bounds__(THREADS)
conv_input_gradient_fp32(const scalar* g, const scalar* w, const scalar* bias, OUT scalar* gx, Sizes s) {
    convolve(transposed(s, blockIdx.z), g, w, bias, gx);
}

// parts[part, m, c, i, j]: the sum over places part * length ... of y
extern "C" __global__ void __launch_bounds__(THREADS)
conv_weight_gradient_fp32(const scalar* x, const scalar* g, OUT float* parts, int length, Sizes s) {
    __shared__ Tap taps[TILE_N];
    int row0 = blockIdx.y * TILE_M, column0 = blockIdx.x * TILE_N, columns = s.channels * s.KH * s.KW;
    int group = blockIdx.z % s.groups, part = blockIdx.z / s.groups;
    int begin = part * length, end = min(begin + length, s.images * s.OH * s.OW);
    Gradients<TILE_M, DEPTH, THREADS> a(s, g, group, row0, begin, end);
    Seen<TILE_N, DEPTH, THREADS> b(s, x, group, column0, taps, begin, end);
    float sum[TM][TN] = {};
    multiply(a, b, (end - begin + DEPTH - 1) / DEPTH, sum);
    float* gw = parts + ((long long)part * s.groups + group) * s.filters * columns;
    #pragma unroll
    for (int i = 0; i < TM; i++) {
        #pragma unroll
        for (int j = 0; j < TN; j++) {
            int row = row0 + spread<TM>(threadIdx.x / 16, i), column = column0 + spread<TN>(threadIdx.x % 16, j);
            if (row < s.filters && column < columns) gw[(long long)row * columns + column] = sum[i][j];
        }
    }
}
