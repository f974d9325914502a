// The convolutions of conv.cu for half and bf16 (scalar) on the tensor cores of sm_80 and later, summed in float.
//
//   version                      idea
//   conv_forward_sm80            TILE_M x 128 entries by a block, a warp TILE_M / 2 x 32; mma.sync on fragments that ldmatrix
//   conv_input_gradient_sm80     brings from shared memory; the next tiles wait in registers, for in NCHW a window's numbers
//   conv_weight_gradient_sm80    have no alignment that cp.async could use
#include "conv.cuh"
#include "ptx.cuh"

#ifndef TILE_M
#define TILE_M 64                                    // 64 or 128
#endif
#define TILE_N 128
#define DEPTH 32
#define THREADS 256                                  // 2 x 4 warps
#define WARP_M (TILE_M / 2)
#define WARP_N (TILE_N / 4)

typedef float Fragment[4];                           // of 16 x 8: rows lane / 4 and 8 more, columns lane % 4 * 2 and 1 more

__device__ __forceinline__ void mma(Fragment& d, const uint32_t (&a)[4], const uint32_t (&b)[2], half) { mma_f16(d, a, b); }
__device__ __forceinline__ void mma(Fragment& d, const uint32_t (&a)[4], const uint32_t (&b)[2], bf16) { mma_bf16(d, a, b); }

// A tile in shared memory as its loader fills it without conflicts: consecutive threads are consecutive along the sum
// (DEPTH_FIRST) or across it.  Eight numbers between lines put the rows that ldmatrix reads into different banks.
template <int LINES, bool DEPTH_FIRST>
struct Tile {
    static constexpr int ROW = (DEPTH_FIRST ? DEPTH : LINES) + 8, SIZE = (DEPTH_FIRST ? LINES : DEPTH) * ROW;

    __device__ static __forceinline__ int at(int line, int k) { return DEPTH_FIRST ? line * ROW + k : k * ROW + line; }
};

// sum += A B over `steps` tiles of DEPTH terms: A (TILE_M, terms) and B (terms, TILE_N) come from loaders.
// Begins with a barrier, before which the loaders and the caller may have written to shared memory.
template <class A, class B>
__device__ __forceinline__ void multiply(A& a, B& b, int steps, Fragment (&sum)[WARP_M / 16][WARP_N / 8]) {
    typedef Tile<TILE_M, A::DEPTH_FIRST> TileA;
    typedef Tile<TILE_N, B::DEPTH_FIRST> TileB;
    static_assert(A::DEPTH_FIRST, "rows of A lie along the sum");
    __shared__ __align__(16) unsigned char room[2 * (TileA::SIZE + TileB::SIZE) * sizeof(scalar)];
    scalar *as = reinterpret_cast<scalar*>(room), *bs = as + 2 * TileA::SIZE;                // two stages of each
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32, row = warp / 4 * WARP_M, column = warp % 4 * WARP_N;
    scalar next_a[A::COUNT], next_b[B::COUNT];

    auto put = [&](int stage) {
        #pragma unroll
        for (int i = 0; i < A::COUNT; i++) as[stage * TileA::SIZE + TileA::at(a.line(i), a.depth(i))] = next_a[i];
        #pragma unroll
        for (int i = 0; i < B::COUNT; i++) bs[stage * TileB::SIZE + TileB::at(b.line(i), b.depth(i))] = next_b[i];
    };
    __syncthreads();
    a.fetch(next_a);
    b.fetch(next_b);
    put(0);
    __syncthreads();
    for (int step = 0; step < steps; step++) {
        const scalar *at = as + step % 2 * TileA::SIZE, *bt = bs + step % 2 * TileB::SIZE;
        bool more = step + 1 < steps;
        if (more) {                                  // on their way while the tiles at hand are multiplied
            a.fetch(next_a);
            b.fetch(next_b);
        }
        #pragma unroll
        for (int k = 0; k < DEPTH; k += 16) {
            uint32_t u[WARP_M / 16][4], v[WARP_N / 16][4];               // v: of two fragments, 8 columns each, terms k and k + 8
            #pragma unroll
            for (int m = 0; m < WARP_M / 16; m++)
                ldmatrix<4, false>(u[m], at + TileA::at(row + m * 16 + lane % 16, k + lane / 16 * 8));
            #pragma unroll
            for (int n = 0; n < WARP_N / 16; n++) {
                int line = column + n * 16 + lane / 16 * 8, term = k + lane / 8 % 2 * 8;       // where this lane names a row
                if (B::DEPTH_FIRST) ldmatrix<4, false>(v[n], bt + TileB::at(line + lane % 8, term));
                else ldmatrix<4, true>(v[n], bt + TileB::at(line, term + lane % 8));
            }
            #pragma unroll
            for (int m = 0; m < WARP_M / 16; m++) {
                #pragma unroll
                for (int n = 0; n < WARP_N / 8; n++) {
                    uint32_t columns[2] = {v[n / 2][n % 2 * 2], v[n / 2][n % 2 * 2 + 1]};
                    mma(sum[m][n], u[m], columns, scalar());
                }
            }
        }
        if (more) {
            put((step + 1) % 2);
            __syncthreads();                         // the next tiles are there, and nobody reads these any more
        }
    }
}

// Calls pair(row, column, sums) for each two neighbours among this thread's entries: sums[0] in `column`, sums[1] in the next.
template <class F>
__device__ __forceinline__ void for_pairs(Fragment (&sum)[WARP_M / 16][WARP_N / 8], F pair) {
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    #pragma unroll
    for (int m = 0; m < WARP_M / 16; m++) {
        #pragma unroll
        for (int n = 0; n < WARP_N / 8; n++) {
            #pragma unroll
            for (int h = 0; h < 2; h++)
                pair(warp / 4 * WARP_M + m * 16 + lane / 4 + h * 8, warp % 4 * WARP_N + n * 8 + lane % 4 * 2, sum[m][n] + 2 * h);
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

    Fragment sum[WARP_M / 16][WARP_N / 8] = {};
    multiply(a, b, (g.terms() + DEPTH - 1) / DEPTH, sum);
    for_pairs(sum, [&](int i, int j, float* x) {
        int row = row0 + i;
        if (row >= g.rows) return;
        float shift = bias ? to_float(bias[g.group * g.rows + row]) : 0.f;
        x[0] += shift;
        x[1] += shift;
        scalar* line = result + (long long)row * g.h.size * g.w.size;
        long long first = target[j], second = target[j + 1];
        if (first >= 0 && second == first + 1 && aligned<2>(line + first)) {
            store<2>(line + first, x);
        } else {
            if (first >= 0) line[first] = from_float<scalar>(x[0]);
            if (second >= 0) line[second] = from_float<scalar>(x[1]);
        }
    });
}

extern "C" __global__ void __launch_bounds__(THREADS)
conv_forward_sm80(const scalar* x, const scalar* w, const scalar* bias, OUT scalar* y, Sizes s) {
    convolve(forward(s, blockIdx.z), x, w, bias, y);
}

extern "C" __global__ void __launch_bounds__(THREADS)
conv_input_gradient_sm80(const scalar* g, const scalar* w, const scalar* bias, OUT scalar* gx, Sizes s) {
    convolve(transposed(s, blockIdx.z), g, w, bias, gx);
}

// parts[part, m, c, i, j]: the sum over places part * length ... of y
extern "C" __global__ void __launch_bounds__(THREADS)
conv_weight_gradient_sm80(const scalar* x, const scalar* g, OUT float* parts, int length, Sizes s) {
    __shared__ Tap taps[TILE_N];
    int row0 = blockIdx.y * TILE_M, column0 = blockIdx.x * TILE_N, columns = s.channels * s.KH * s.KW;
    int group = blockIdx.z % s.groups, part = blockIdx.z / s.groups;
    int begin = part * length, end = min(begin + length, s.images * s.OH * s.OW);
    Gradients<TILE_M, DEPTH, THREADS> a(s, g, group, row0, begin, end);
    Seen<TILE_N, DEPTH, THREADS> b(s, x, group, column0, taps, begin, end);
    Fragment sum[WARP_M / 16][WARP_N / 8] = {};
    multiply(a, b, (end - begin + DEPTH - 1) / DEPTH, sum);
    float* gw = parts + ((long long)part * s.groups + group) * s.filters * columns;
    for_pairs(sum, [&](int i, int j, const float* x) {
        int row = row0 + i, column = column0 + j;
        if (row >= s.filters) return;
        float* line = gw + (long long)row * columns;
        if (column < columns) line[column] = x[0];
        if (column + 1 < columns) line[column + 1] = x[1];
    });
}
