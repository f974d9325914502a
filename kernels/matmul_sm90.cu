// C = activation(A B + bias) on Hopper's tensor cores: half and bf16 (scalar), summed in float.
//
//   version       idea
//   matmul_sm90   one warpgroup has TMA copy tiles into a ring of STAGES, two multiply them by wgmma, 64 rows each: nobody waits
//                 for addresses, and copies and products overlap by themselves.  Pairs of blocks (BLOCKS 2) work on tiles one
//                 below the other: each copies half of the columns that both need, to both.  As many blocks as multiprocessors
//                 go through all tiles of C: while a tile is stored, by TMA too, copies and products of the next one go on
#include "matmul.cuh"
#include "ptx.cuh"
#ifndef COLUMNS
#define COLUMNS 256                   // of a block's tile of C: 128 or 256; it has 128 rows
#endif
#ifndef BLOCKS
#define BLOCKS 2                      // of a cluster: 1 or 2
#endif
#ifndef A_ALONG_K
#define A_ALONG_K 1                   // rows of A are contiguous; 0: columns, A is a transposed array
#endif
#ifndef B_ALONG_K
#define B_ALONG_K 0                   // columns of B are contiguous: B is a transposed array; 0: rows
#endif
#ifndef STAGES
#define STAGES (COLUMNS == 256 ? 3 : 5)
#endif

constexpr int ROWS = 128, DEPTH = 64, WIDE = 64;      // DEPTH: k per stage; WIDE: numbers in 128 bytes, the width of the swizzle
constexpr int PANEL = 64 * WIDE * 2;                  // bytes of 64 lines of 128 bytes
constexpr int A_BYTES = ROWS * DEPTH * 2, B_BYTES = COLUMNS * DEPTH * 2, STAGE = A_BYTES + B_BYTES;
constexpr int C_BYTES = ROWS * COLUMNS * 2;

// Where the producer or a consumer is in the ring.
struct Ring {
    int stage = 0, round = 0;         // round: parity of how often it has come around
    __device__ __forceinline__ void next() {
        if (++stage == STAGES) stage = 0, round ^= 1;
    }
};

// This block's part of its cluster's tile `index`.
__device__ __forceinline__ Tile part(const Product& p, long long index) {
    Tile here = tile(p, index, ROWS * BLOCKS, COLUMNS);
    if (BLOCKS > 1) here.i += (int)cluster_rank() * ROWS;
    return here;
}

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
__device__ __forceinline__ uint32_t pack(float x, float y, bf16) { return pack_bf16(x, y); }
__device__ __forceinline__ uint32_t pack(float x, float y, half) { return pack_half(x, y); }

// `COUNT` rows of A (columns of B) from i and DEPTH k from k on, into shared memory of this block, or of all in the cluster.
template <bool ALONG_K, int COUNT, bool TO_ALL>
__device__ __forceinline__
void copy(unsigned char* to, const CUtensorMap* map, uint64_t* full, int i, int k, int inner, int outer) {
    constexpr int BOXES = ALONG_K ? 1 : COUNT / WIDE;
    #pragma unroll
    for (int n = 0; n < BOXES; n++) {
        int x = ALONG_K ? k : i + n * WIDE, y = ALONG_K ? i : k;
        if constexpr (TO_ALL) tma_load_4d_multicast(to + n * PANEL, map, full, x, y, inner, outer, (1 << BLOCKS) - 1);
        else tma_load_4d(to + n * PANEL, map, full, x, y, inner, outer);
    }
}

// The descriptor of an operand for 16 k from k on.  Along k: rows of 128 bytes, swizzled; otherwise panels of 64 x 64.
template <bool ALONG_K> __device__ __forceinline__ uint64_t describe(const unsigned char* tile, int k) {
    return ALONG_K ? wgmma_desc(tile + k * 2, 0, 8 * 128) : wgmma_desc(tile + k * 128, PANEL, 8 * 128);
}

extern "C" __global__ void __cluster_dims__(BLOCKS, 1, 1) __launch_bounds__(384, 1)
matmul_sm90(const __grid_constant__ CUtensorMap a, const __grid_constant__ CUtensorMap b, const __grid_constant__ CUtensorMap c,
            const scalar* bias, Product p) {
    extern __shared__ __align__(1024) unsigned char shared[];                   // STAGES stages, C's tile, barriers
    unsigned char* results = shared + STAGES * STAGE;
    uint64_t* full = reinterpret_cast<uint64_t*>(results + C_BYTES);            // a stage's tiles have come
    uint64_t* empty = full + STAGES;                                            // all consumers of the cluster are done with them
    int group = threadIdx.x / 128;
    long long down = (p.M + ROWS * BLOCKS - 1) / (ROWS * BLOCKS), right = (p.N + COLUMNS - 1) / COLUMNS;
    long long tiles = down * right * p.outer * p.inner, first = blockIdx.x / BLOCKS, step = gridDim.x / BLOCKS;
    int depths = (p.K + DEPTH - 1) / DEPTH;

    if (threadIdx.x == 0) {
        for (int s = 0; s < STAGES; s++) mbar_init(&full[s], 1), mbar_init(&empty[s], 2 * BLOCKS);
        mbar_fence_init();
    }
    if (BLOCKS > 1) cluster_sync();
    else __syncthreads();

    if (group == 0) {                                                           // the producer: one thread
        reg_dealloc<40>();
        if (threadIdx.x == 0) {
            prefetch_tmap(&a), prefetch_tmap(&b);
            int half = BLOCKS > 1 ? (int)cluster_rank() : 0;                    // of the columns
            Ring at;
            for (long long index = first; index < tiles; index += step) {
                Tile here = part(p, index);
                int inner = (int)(here.batch % p.inner), outer = (int)(here.batch / p.inner);
                int a_inner = p.a.inner ? inner : 0, a_outer = p.a.outer ? outer : 0;       // what all share is there once
                int b_inner = p.b.inner ? inner : 0, b_outer = p.b.outer ? outer : 0;
                for (int t = 0; t < depths; t++, at.next()) {
                    unsigned char* to_a = shared + at.stage * STAGE;
                    unsigned char* to_b = to_a + A_BYTES + half * (B_BYTES / BLOCKS);
                    int j = here.j + half * (COLUMNS / BLOCKS);
                    mbar_wait(&empty[at.stage], at.round ^ 1);                  // at first they are
                    mbar_expect_tx(&full[at.stage], STAGE);
                    copy<A_ALONG_K, ROWS, false>(to_a, &a, &full[at.stage], here.i, t * DEPTH, a_inner, a_outer);
                    copy<B_ALONG_K, COLUMNS / BLOCKS, (BLOCKS > 1)>(to_b, &b, &full[at.stage], j, t * DEPTH, b_inner, b_outer);
                }
            }
        }
    } else {                                                                    // the consumers
        reg_alloc<232>();
        int consumer = group - 1, thread = threadIdx.x % 128, warp = thread / 32, lane = thread % 32;
        unsigned char* mine = results + consumer * (C_BYTES / 2);               // panels of 64 rows x 64 columns, swizzled
        auto release = [&](int stage) {                                         // one thread for each block of the cluster
            if (BLOCKS == 1 && thread == 0) mbar_arrive(&empty[stage]);
            if (BLOCKS > 1 && thread < BLOCKS) mbar_arrive_cluster(&empty[stage], thread);
        };
        Ring at;
        for (long long index = first; index < tiles; index += step) {
            Tile here = part(p, index);
            float sum[COLUMNS / 2];                                             // of 64 x COLUMNS, this thread's share
            int previous = 0;
            for (int t = 0; t < depths; t++, at.next()) {
                const unsigned char* stage = shared + at.stage * STAGE;
                mbar_wait(&full[at.stage], at.round);
                wgmma_fence();
                #pragma unroll
                for (int k = 0; k < DEPTH; k += 16) {
                    uint64_t rows = describe<A_ALONG_K>(stage + consumer * (A_BYTES / 2), k);
                    uint64_t columns = describe<B_ALONG_K>(stage + A_BYTES, k);
                    multiply(sum, rows, columns, t > 0 || k > 0, scalar());     // the first overwrites
                }
                wgmma_commit();
                wgmma_wait<1>();                                                // the products of the stage before are done
                if (t > 0) release(previous);
                previous = at.stage;
            }
            wgmma_wait<0>();
            release(previous);

            if (thread == 0) bulk_wait_read<0>();                               // the tile before has been read out
            bar_sync(1 + consumer, 128);
            // sum[4 n + 2 h + e]: row 16 warp + lane / 4 + 8 h, column 8 n + 2 (lane % 4) + e
            #pragma unroll
            for (int n = 0; n < COLUMNS / 8; n += 2) {
                uint32_t squares[4];                                            // 8 x 8: above, below, above right, below right
                #pragma unroll
                for (int m = 0; m < 2; m++) {
                    int j = here.j + (n + m) * 8 + lane % 4 * 2;
                    float add[2] = {bias_of(bias, j, p.N), bias_of(bias, j + 1, p.N)};
                    #pragma unroll
                    for (int h = 0; h < 2; h++) {
                        float* two = &sum[(n + m) * 4 + h * 2];
                        squares[m * 2 + h] = pack(finish(two[0], add[0]), finish(two[1], add[1]), scalar());
                    }
                }
                int row = warp * 16 + lane % 16, chunk = n % 8 + lane / 16;
                stmatrix<4, false>(mine + n / 8 * PANEL + row * 128 + (chunk ^ row % 8) * 16, squares);
            }
            fence_proxy_async();
            bar_sync(1 + consumer, 128);
            if (thread == 0) {
                for (int n = 0; n < COLUMNS / WIDE; n++)
                    tma_store_3d(&c, mine + n * PANEL, here.j + n * WIDE, here.i + consumer * 64, (int)here.batch);
                bulk_commit();
            }
        }
        if (thread == 0) bulk_wait_read<0>();                                   // shared memory goes with the block
    }
    if (BLOCKS > 1) cluster_sync();                                             // nobody copies to a block that has left
}
