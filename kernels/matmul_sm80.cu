// C = activation(A B + bias) on the tensor cores of sm_80 and later: half and bf16 (scalar), summed in float; float as TF32,
// which keeps 10 bits of each factor.
//
//   version       idea
//   matmul_sm80   mma.sync on fragments that ldmatrix brings from shared memory; cp.async fills STAGES tiles ahead of their use;
//                 16-byte chunks swapped about within a tile (swizzle), so that ldmatrix never meets a bank twice
#include "matmul.cuh"
#include "ptx.cuh"
#ifndef BLOCK
#define BLOCK 128                     // rows and columns of a block's tile; four warps, a quarter each
#endif
#ifndef A_ALONG_K
#define A_ALONG_K 1                   // rows of A are contiguous; 0: columns, A is a transposed array
#endif
#ifndef B_ALONG_K
#define B_ALONG_K 0                   // columns of B are contiguous: B is a transposed array; 0: rows
#endif
#ifndef Result
#define Result scalar                 // how C is stored; float for the parts of a sum
#endif
#ifndef STAGES
#define STAGES 4
#endif

constexpr int THREADS = 128;
constexpr int CHUNK = 16 / sizeof(scalar);            // numbers in 16 bytes
constexpr int DEPTH = 64 / sizeof(scalar);            // k per stage: 32, of TF32 16
constexpr int STEP = DEPTH / 2;                       // k per mma: 16, of TF32 8
constexpr int STAGE = BLOCK * DEPTH;                  // numbers of one operand in a stage
constexpr int WARP = BLOCK / 2;                       // rows and columns of a warp's part

// An operand's tile in shared memory: LINES lines as they lie in global memory, LENGTH numbers each.
// The place of a chunk: eight lines' like chunks are in eight different groups of banks.
template <int LENGTH> __device__ __forceinline__ int place(int line, int chunk) {
    constexpr int CHUNKS = LENGTH / CHUNK;
    return (line * CHUNKS + (chunk ^ (CHUNKS >= 8 ? line % 8 : line / 2 % 4))) * CHUNK;
}

// Brings the tiles of BLOCK rows of A (columns of B) from i0 on, of `rows` in all, one after the other along k; zeros outside.
template <bool ALONG_K> struct Loader {
    static constexpr int LENGTH = ALONG_K ? DEPTH : BLOCK, LINES = ALONG_K ? BLOCK : DEPTH;
    static constexpr int CHUNKS = LENGTH / CHUNK, APART = THREADS / CHUNKS;       // a thread has one chunk of every APART-th line
    const scalar *data, *from;                                                    // all of it; this thread's first chunk
    long long stride;                                                             // from line to line
    int line, chunk, across, left;                                                // how far rows and k go on from that chunk
    bool vectors;

    __device__ __forceinline__ Loader(const scalar* data, long long stride, int i0, int rows, int K, bool vectors)
        : data(data), stride(stride), line(threadIdx.x / CHUNKS), chunk(threadIdx.x % CHUNKS), vectors(vectors) {
        int i = i0 + (ALONG_K ? line : chunk * CHUNK), k = ALONG_K ? chunk * CHUNK : line;
        from = data + (ALONG_K ? i * stride + k : k * stride + i);
        across = rows - i, left = K - k;
    }

    __device__ __forceinline__ void next(scalar* tile) {
        if (vectors) {
            #pragma unroll
            for (int n = 0; n * APART < LINES; n++) {
                bool inside = ALONG_K ? n * APART < across && left > 0 : across > 0 && n * APART < left;
                cp_async<16>(tile + place<LENGTH>(line + n * APART, chunk), inside ? from + n * APART * stride : data, inside);
            }
        } else {                                                                  // number by number, a chunk's all at once
            #pragma unroll 1
            for (int n = 0; n * APART < LINES; n++) {
                Vector<scalar, CHUNK> numbers;
                #pragma unroll
                for (int e = 0; e < CHUNK; e++) {
                    bool inside = ALONG_K ? n * APART < across && e < left : e < across && n * APART < left;
                    numbers.x[e] = inside ? from[n * APART * stride + e] : from_float<scalar>(0.f);
                }
                *reinterpret_cast<Vector<scalar, CHUNK>*>(tile + place<LENGTH>(line + n * APART, chunk)) = numbers;
            }
        }
        from += ALONG_K ? DEPTH : DEPTH * stride;
        left -= DEPTH;
    }
};

// ---- fragments of 16 x STEP numbers: (i, k) of A, (j, k) of B ----------------------------------------------------------

// Four 8 x 8 matrices (of TF32 8 x 4) in the order (i, k), (i + 8, k), (i, k + STEP / 2), (i + 8, k + STEP / 2);
// of B in the order (j, k), (j, k + STEP / 2), (j + 8, k), (j + 8, k + STEP / 2), which makes two fragments of 8 columns.
template <bool ALONG_K, bool SECOND_IS_K, class T>
__device__ __forceinline__ void fragment(uint32_t (&r)[4], const T* tile, int i, int k) {
    int lane = threadIdx.x % 32, first = lane / 8 % 2 * 8, second = lane / 16 * 8;      // of this lane's matrix
    int di = SECOND_IS_K ? first : second, dk = SECOND_IS_K ? second : first;           // 0 or 8
    if (ALONG_K) ldmatrix<4, false>(r, tile + place<DEPTH>(i + di + lane % 8, k / CHUNK + dk / 8));
    else ldmatrix<4, true>(r, tile + place<BLOCK>(k + dk + lane % 8, (i + di) / CHUNK));
}

// TF32 down columns: ldmatrix transposes 16-bit numbers only, so these are read one by one.
template <bool ALONG_K, bool SECOND_IS_K>
__device__ __forceinline__ void fragment(uint32_t (&r)[4], const float* tile, int i, int k) {
    if (ALONG_K) return fragment<true, SECOND_IS_K, float>(r, tile, i, k);
    int lane = threadIdx.x % 32;
    for (int n = 0; n < 4; n++) {
        int di = (SECOND_IS_K ? n % 2 : n / 2) * 8, dk = (SECOND_IS_K ? n / 2 : n % 2) * 4;
        int line = k + dk + lane % 4, at = i + di + lane / 4;
        r[n] = __float_as_uint(tile[place<BLOCK>(line, at / CHUNK) + at % CHUNK]);
    }
}

using A_fragment = const uint32_t (&)[4];
using B_fragment = const uint32_t (&)[2];
__device__ __forceinline__ void multiply(float (&d)[4], A_fragment a, B_fragment b, half) { mma_f16(d, a, b); }
__device__ __forceinline__ void multiply(float (&d)[4], A_fragment a, B_fragment b, bf16) { mma_bf16(d, a, b); }
__device__ __forceinline__ void multiply(float (&d)[4], A_fragment a, B_fragment b, float) { mma_tf32(d, a, b); }

// -------------------------------------------------------------------------------------------------------------------

extern "C" __global__ void __launch_bounds__(THREADS)
matmul_sm80(STRIDED const scalar* a, STRIDED const scalar* b, const scalar* bias, OUT Result* c, Product p) {
    extern __shared__ __align__(128) unsigned char shared[];
    scalar* As = reinterpret_cast<scalar*>(shared);                     // STAGES tiles
    scalar* Bs = As + STAGES * STAGE;
    Tile here = tile(p, blockIdx.x, BLOCK, BLOCK);
    auto A = matrix(a, p.a, p, here.batch);
    auto B = matrix(b, p.b, p, here.batch);

    Loader<A_ALONG_K> A_tiles(A.data, A_ALONG_K ? A.row : A.column, here.i, p.M, p.K, p.vectors & 1);
    Loader<B_ALONG_K> B_tiles(B.data, B_ALONG_K ? B.column : B.row, here.j, p.N, p.K, p.vectors & 2);

    int warp = threadIdx.x / 32, lane = threadIdx.x % 32, y = warp / 2 * WARP, x = warp % 2 * WARP;
    float sum[WARP / 16][WARP / 8][4] = {};                             // fragments of 16 x 8
    int tiles = (p.K + DEPTH - 1) / DEPTH;
    for (int t = 0; t < STAGES - 1; t++) {
        if (t < tiles) A_tiles.next(As + t * STAGE), B_tiles.next(Bs + t * STAGE);
        cp_async_commit();
    }
    for (int t = 0; t < tiles; t++) {
        cp_async_wait<STAGES - 2>();                                    // tile t is here, for this thread;
        __syncthreads();                                                // for all; and all are done with tile t - 1,
        if (t + STAGES - 1 < tiles) {                                   // whose stage this takes
            int stage = (t + STAGES - 1) % STAGES;
            A_tiles.next(As + stage * STAGE), B_tiles.next(Bs + stage * STAGE);
        }
        cp_async_commit();
        const scalar *at = As + t % STAGES * STAGE, *bt = Bs + t % STAGES * STAGE;
        #pragma unroll
        for (int k = 0; k < DEPTH; k += STEP) {
            uint32_t u[WARP / 16][4], v[WARP / 16][4];
            #pragma unroll
            for (int m = 0; m < WARP / 16; m++) fragment<A_ALONG_K, true>(u[m], at, y + m * 16, k);
            #pragma unroll
            for (int n = 0; n < WARP / 16; n++) fragment<B_ALONG_K, false>(v[n], bt, x + n * 16, k);
            #pragma unroll
            for (int m = 0; m < WARP / 16; m++)
                #pragma unroll
                for (int n = 0; n < WARP / 8; n++) {
                    uint32_t columns[2] = {v[n / 2][n % 2 * 2], v[n / 2][n % 2 * 2 + 1]};
                    multiply(sum[m][n], u[m], columns, scalar());
                }
        }
    }

    // A fragment of C: rows lane / 4 and 8 more, columns lane % 4 * 2 and 1 more.
    int j0 = here.j + x + lane % 4 * 2;
    float add[WARP / 8][2];
    #pragma unroll
    for (int n = 0; n < WARP / 8; n++) add[n][0] = bias_of(bias, j0 + n * 8, p.N), add[n][1] = bias_of(bias, j0 + n * 8 + 1, p.N);
    #pragma unroll
    for (int m = 0; m < WARP / 16; m++)
        #pragma unroll
        for (int h = 0; h < 2; h++) {
            int i = here.i + y + m * 16 + lane / 4 + h * 8;
            if (i >= p.M) continue;
            Result* row = &c[(here.batch * p.M + i) * p.N];
            #pragma unroll
            for (int n = 0; n < WARP / 8; n++) {
                int j = j0 + n * 8;
                if (j >= p.N) continue;
                float first = finish(sum[m][n][h * 2], add[n][0]), second = finish(sum[m][n][h * 2 + 1], add[n][1]);
                Vector<Result, 2> v = {from_float<Result>(first), from_float<Result>(second)};
                if (p.N % 2 == 0) {
                    *reinterpret_cast<Vector<Result, 2>*>(&row[j]) = v;
                } else {
                    row[j] = v.x[0];
                    if (j + 1 < p.N) row[j + 1] = v.x[1];
                }
            }
        }
}
