// C = activation(A B + bias) on Hopper's tensor cores: half and bf16 (scalar), summed in float.
//
//   version       idea
//   matmul_sm90   one warpgroup has TMA copy tiles into a ring of STAGES, two multiply them by wgmma, 64 rows each: nobody waits
//                 for addresses, and copies and products overlap by themselves.  As many blocks as multiprocessors go through
//                 all tiles of C, so that the copies for one tile run during the epilogue of the tile before
#include "matmul.cuh"
#include "ptx.cuh"
#ifndef COLUMNS
#define COLUMNS 256                   // of a tile of C: 128 or 256; it has 128 rows
#endif
#ifndef A_ALONG_K
#define A_ALONG_K 1                   // rows of A are contiguous; 0: columns, A is a transposed array
#endif
#ifndef B_ALONG_K
#define B_ALONG_K 0                   // columns of B are contiguous: B is a transposed array; 0: rows
#endif
#ifndef STAGES
#define STAGES (COLUMNS == 256 ? 4 : 6)
#endif

constexpr int ROWS = 128, DEPTH = 64, WIDE = 64;      // DEPTH: k per stage; WIDE: numbers in 128 bytes, the width of the swizzle
constexpr int A_BYTES = ROWS * DEPTH * 2, B_BYTES = COLUMNS * DEPTH * 2, STAGE = A_BYTES + B_BYTES;
constexpr int PANEL = WIDE * DEPTH * 2;               // bytes of 64 rows (columns) of A (B), if these are contiguous

// Where the producer or a consumer is in the ring.
struct Ring {
    int stage = 0, round = 0;         // round: parity of how often it has come around
    __device__ __forceinline__ void next() {
        if (++stage == STAGES) stage = 0, round ^= 1;
    }
};

__device__ __forceinline__ void multiply(float (&d)[64], uint64_t a, uint64_t b, int add, bf16) {
    wgmma_m64n128k16<!A_ALONG_K, !B_ALONG_K>(d, a, b, add);
}
__device__ __forceinline__ void multiply(float (&d)[128], uint64_t a, uint64_t b, int add, bf16) {
    wgmma_m64n256k16<!A_ALONG_K, !B_ALONG_K>(d, a, b, add);
}
__device__ __forceinline__ void multiply(float (&d)[64], uint64_t a, uint64_t b, int add, half) {
    wgmma_m64n128k16_f16<!A_ALONG_K, !B_ALONG_K>(d, a, b, add);
}
__device__ __forceinline__ void multiply(float (&d)[128], uint64_t a, uint64_t b, int add, half) {
    wgmma_m64n256k16_f16<!A_ALONG_K, !B_ALONG_K>(d, a, b, add);
}

// A tile of an operand, `count` rows (columns) from i and DEPTH k from k on, into shared memory.
template <bool ALONG_K>
__device__ __forceinline__
void copy(unsigned char* to, const CUtensorMap* map, uint64_t* full, int i, int k, int count, int inner, int outer) {
    if constexpr (ALONG_K) tma_load_4d(to, map, full, k, i, inner, outer);
    else for (int n = 0; n < count / WIDE; n++) tma_load_4d(to + n * PANEL, map, full, i + n * WIDE, k, inner, outer);
}

// The descriptor of an operand for 16 k from k on.  Along k: rows of 128 bytes, swizzled; otherwise panels of 64 x 64.
template <bool ALONG_K> __device__ __forceinline__ uint64_t describe(const unsigned char* tile, int k) {
    return ALONG_K ? wgmma_desc(tile + k * 2, 0, 8 * 128) : wgmma_desc(tile + k * 128, PANEL, 8 * 128);
}

extern "C" __global__ void __launch_bounds__(384, 1)
matmul_sm90(const __grid_constant__ CUtensorMap a, const __grid_constant__ CUtensorMap b, const scalar* bias, OUT scalar* c,
            Product p) {
    extern __shared__ __align__(1024) unsigned char shared[];
    uint64_t* full = reinterpret_cast<uint64_t*>(shared + STAGES * STAGE);      // a stage's tiles have come
    uint64_t* empty = full + STAGES;                                            // both consumers are done with them
    int group = threadIdx.x / 128;
    long long tiles = (long long)((p.M + ROWS - 1) / ROWS) * ((p.N + COLUMNS - 1) / COLUMNS) * p.outer * p.inner;
    int depths = (p.K + DEPTH - 1) / DEPTH;

    if (threadIdx.x == 0) {
        for (int s = 0; s < STAGES; s++) mbar_init(&full[s], 1), mbar_init(&empty[s], 2);
        mbar_fence_init();
    }
    __syncthreads();

    if (group == 0) {                                                           // the producer: one thread
        reg_dealloc<24>();
        if (threadIdx.x != 0) return;
        prefetch_tmap(&a), prefetch_tmap(&b);
        Ring at;
        for (long long index = blockIdx.x; index < tiles; index += gridDim.x) {
            Tile here = tile(p, index, ROWS, COLUMNS);
            int inner = (int)(here.batch % p.inner), outer = (int)(here.batch / p.inner);
            int a_inner = p.a.inner ? inner : 0, a_outer = p.a.outer ? outer : 0;       // an operand that all share is there once
            int b_inner = p.b.inner ? inner : 0, b_outer = p.b.outer ? outer : 0;
            for (int t = 0; t < depths; t++, at.next()) {
                unsigned char* stage = shared + at.stage * STAGE;
                mbar_wait(&empty[at.stage], at.round ^ 1);                      // at first they are
                mbar_expect_tx(&full[at.stage], STAGE);
                copy<A_ALONG_K>(stage, &a, &full[at.stage], here.i, t * DEPTH, ROWS, a_inner, a_outer);
                copy<B_ALONG_K>(stage + A_BYTES, &b, &full[at.stage], here.j, t * DEPTH, COLUMNS, b_inner, b_outer);
            }
        }
    } else {                                                                    // the consumers
        reg_alloc<240>();
        int warp = threadIdx.x / 32 % 4, lane = threadIdx.x % 32, y = (group - 1) * 64;
        bool speaker = threadIdx.x % 128 == 0;                                  // speaks for its warpgroup
        Ring at;
        for (long long index = blockIdx.x; index < tiles; index += gridDim.x) {
            Tile here = tile(p, index, ROWS, COLUMNS);
            float sum[COLUMNS / 2];                                             // of 64 x COLUMNS, this thread's share
            int previous = 0;
            for (int t = 0; t < depths; t++, at.next()) {
                const unsigned char* stage = shared + at.stage * STAGE;
                mbar_wait(&full[at.stage], at.round);
                wgmma_fence();
                #pragma unroll
                for (int k = 0; k < DEPTH; k += 16) {
                    uint64_t rows = describe<A_ALONG_K>(stage + (group - 1) * (A_BYTES / 2), k);
                    uint64_t columns = describe<B_ALONG_K>(stage + A_BYTES, k);
                    multiply(sum, rows, columns, t > 0 || k > 0, scalar());     // the first overwrites
                }
                wgmma_commit();
                wgmma_wait<1>();                                                // the products of the stage before are done
                if (t > 0 && speaker) mbar_arrive(&empty[previous]);
                previous = at.stage;
            }
            wgmma_wait<0>();
            if (speaker) mbar_arrive(&empty[previous]);

            // sum[4 n + 2 h + e]: row 16 warp + lane / 4 + 8 h, column 8 n + 2 (lane % 4) + e
            int i = here.i + y + warp * 16 + lane / 4, j0 = here.j + lane % 4 * 2;
            scalar* rows[2] = {c + (here.batch * p.M + i) * p.N, c + (here.batch * p.M + i + 8) * p.N};
            #pragma unroll
            for (int n = 0; n < COLUMNS / 8; n++) {
                int j = j0 + n * 8;
                float add[2] = {bias_of(bias, j, p.N), bias_of(bias, j + 1, p.N)};
                #pragma unroll
                for (int h = 0; h < 2; h++) {
                    if (i + h * 8 >= p.M || j >= p.N) continue;
                    float first = finish(sum[n * 4 + h * 2], add[0]), second = finish(sum[n * 4 + h * 2 + 1], add[1]);
                    Vector<scalar, 2> v = {from_float<scalar>(first), from_float<scalar>(second)};
                    if (p.N % 2 == 0) {
                        *reinterpret_cast<Vector<scalar, 2>*>(rows[h] + j) = v;
                    } else {
                        rows[h][j] = v.x[0];
                        if (j + 1 < p.N) rows[h][j + 1] = v.x[1];
                    }
                }
            }
        }
    }
}
