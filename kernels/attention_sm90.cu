// Attention forward in half or bf16 for Hopper: TMA and wgmma, a producer and two consumers (Shah et al. 2024).
//
//   version                  idea
//   attention_forward_sm90   one warpgroup keeps TMA loads of K and V going; two hold 64 queries each, P stays in registers;
//                            O += P V of one tile is multiplied while the softmax of the next is computed
//
// Tiles in shared memory are blocks of 64 columns, each row 128 bytes, swizzled as wgmma reads them.  K is the K-major operand of
// S = Q K^T, V the MN-major one of O += P V: neither is ever transposed.  Heads are padded to HEAD by TMA's zeros, as are tails.
#ifndef scalar
#define scalar bf16                                  // or half
#endif
#include "attention.cuh"
#include "ptx.cuh"

static_assert(HEAD == 64 || HEAD == 128, "a head has room for 64 or 128 numbers");
constexpr int CONSUMERS = 2, THREADS = 128 * (1 + CONSUMERS);
constexpr int ROWS = 64, QUERIES = CONSUMERS * ROWS; // queries of a warpgroup, of a block
constexpr int STEP = 128;                            // keys per tile
constexpr int STAGES = 2;                            // tiles in flight
constexpr int BLOCKS = HEAD / 64;                    // of 64 columns
constexpr int ROW = 128;                             // bytes of a row of a block
constexpr int QUERY_BYTES = BLOCKS * QUERIES * ROW, TILE_BYTES = BLOCKS * STEP * ROW;

__device__ __forceinline__ uint32_t packed(float low, float high, half) { return pack_half(low, high); }
__device__ __forceinline__ uint32_t packed(float low, float high, bf16) { return pack_bf16(low, high); }

__device__ __forceinline__ void rows_times_rows(float (&s)[64], uint64_t a, uint64_t b, int add, half) {
    wgmma_m64n128k16_f16<0, 0>(s, a, b, add);
}
__device__ __forceinline__ void rows_times_rows(float (&s)[64], uint64_t a, uint64_t b, int add, bf16) {
    wgmma_m64n128k16<0, 0>(s, a, b, add);
}
__device__ __forceinline__ void add_product(float (&acc)[64], const uint32_t (&a)[4], uint64_t b, half) {
    wgmma_m64n128k16_rs_f16<1>(acc, a, b);
}
__device__ __forceinline__ void add_product(float (&acc)[64], const uint32_t (&a)[4], uint64_t b, bf16) {
    wgmma_m64n128k16_rs<1>(acc, a, b);
}
__device__ __forceinline__ void add_product(float (&acc)[32], const uint32_t (&a)[4], uint64_t b, half) {
    wgmma_m64n64k16_rs_f16<1>(acc, a, b);
}
__device__ __forceinline__ void add_product(float (&acc)[32], const uint32_t (&a)[4], uint64_t b, bf16) {
    wgmma_m64n64k16_rs<1>(acc, a, b);
}

extern "C" __global__ void __launch_bounds__(THREADS, 1) attention_forward_sm90(
        const __grid_constant__ CUtensorMap q, const __grid_constant__ CUtensorMap k, const __grid_constant__ CUtensorMap v,
        STRIDED const mask_t* mask, const __grid_constant__ CUtensorMap o, OUT float* lse, Call call, float scale,
        float kept_scale) {
    extern __shared__ __align__(1024) unsigned char shared[];
    unsigned char *query = shared, *keys = query + QUERY_BYTES, *values = keys + STAGES * TILE_BYTES;
    unsigned char* out = values + STAGES * TILE_BYTES;                       // as large as query
    uint64_t* query_full = reinterpret_cast<uint64_t*>(out + QUERY_BYTES);
    uint64_t *key_full = query_full + 1, *key_empty = key_full + STAGES, *value_full = key_empty + STAGES;
    uint64_t* value_empty = value_full + STAGES;

    int tiles = (call.queries + QUERIES - 1) / QUERIES, of = blockIdx.x / tiles, batch = of / call.heads, head = of % call.heads;
    int key_head = head / (call.heads / call.key_heads);
    int first = (tiles - 1 - blockIdx.x % tiles) * QUERIES;                  // causal: the longest rows go first
    int end = call.causal ? min(call.keys, first + QUERIES) : call.keys, steps = (end + STEP - 1) / STEP;
    if (threadIdx.x == 0) {
        mbar_init(query_full, 1);
        for (int i = 0; i < STAGES; i++) {
            mbar_init(&key_full[i], 1);
            mbar_init(&value_full[i], 1);
            mbar_init(&key_empty[i], CONSUMERS);
            mbar_init(&value_empty[i], CONSUMERS);
        }
        mbar_fence_init();
    }
    __syncthreads();

    if (threadIdx.x < 128) {                                                 // the producer
        reg_dealloc<24>();
        if (threadIdx.x == 0) {
            mbar_expect_tx(query_full, QUERY_BYTES);
            for (int b = 0; b < BLOCKS; b++) tma_load_4d(query + b * QUERIES * ROW, &q, query_full, b * 64, first, head, batch);
            for (int step = 0; step < steps; step++) {
                int stage = step % STAGES, parity = step / STAGES % 2;
                unsigned char *key = keys + stage * TILE_BYTES, *value = values + stage * TILE_BYTES;
                mbar_wait(&key_empty[stage], parity ^ 1);
                mbar_expect_tx(&key_full[stage], TILE_BYTES);
                for (int b = 0; b < BLOCKS; b++)
                    tma_load_4d(key + b * STEP * ROW, &k, &key_full[stage], b * 64, step * STEP, key_head, batch);
                mbar_wait(&value_empty[stage], parity ^ 1);
                mbar_expect_tx(&value_full[stage], TILE_BYTES);
                for (int b = 0; b < BLOCKS; b++)
                    tma_load_4d(value + b * STEP * ROW, &v, &value_full[stage], b * 64, step * STEP, key_head, batch);
            }
        }
        return;
    }

    reg_alloc<240>();                                                        // the consumers
    int consumer = threadIdx.x / 128 - 1, warp = threadIdx.x / 32 % 4, lane = threadIdx.x % 32;
    bool leader = threadIdx.x % 128 == 0;
    int row = first + consumer * ROWS + warp * 16, i = row + lane / 4;       // of the warp; this thread's rows are i and i + 8
    if (MASKED) mask += batch * call.mask[0] + head * call.mask[1];
    float s[STEP / 2], acc[HEAD / 2] = {}, largest[2] = {-INF, -INF}, sum[2] = {}, correction[2], factor = 1.f;
    uint32_t p[STEP / 16][4];

    auto multiply_keys = [&](int step) {                                     // start S = Q K^T
        unsigned char *rows = query + consumer * ROWS * ROW, *key = keys + step % STAGES * TILE_BYTES;
        mbar_wait(&key_full[step % STAGES], step / STAGES % 2);
        wgmma_fence();
        #pragma unroll
        for (int kk = 0; kk < HEAD / 16; kk++) {
            int block = kk / 4, within = kk % 4 * 32;
            rows_times_rows(s, wgmma_desc(rows + block * QUERIES * ROW + within, 16, 8 * ROW),
                            wgmma_desc(key + block * STEP * ROW + within, 16, 8 * ROW), kk > 0, scalar());
        }
        wgmma_commit();
    };
    auto multiply_values = [&](int step) {                                   // start O += P V
        unsigned char* value = values + step % STAGES * TILE_BYTES;
        wgmma_fence();
        #pragma unroll
        for (int kk = 0; kk < STEP / 16; kk++)
            add_product(acc, p[kk], wgmma_desc(value + kk * 16 * ROW, STEP * ROW, 8 * ROW), scalar());
        wgmma_commit();
    };
    auto softmax = [&](int step) {                                           // P of S, corrections for O
        factor = logarithms<STEP>(s, scale * LOG2_E);
        if (MASKED || (step + 1) * STEP > call.keys || (call.causal && (step + 1) * STEP > row))
            mask_scores<STEP, false>(s, call, mask, i, step * STEP + lane % 4 * 2);
        online_softmax<STEP>(s, factor, largest, sum, correction);
    };
    auto pack = [&](int step) {                                              // P as the operand of the next product
        #pragma unroll
        for (int part = 0; part < 2; part++) {
            int j = step * STEP + part * STEP / 2 + lane % 4 * 2;
            uint32_t kept = DROPOUT ? dropout_bits<STEP / 32, false>(call, of, i, j) : 0;
            #pragma unroll
            for (int n = 0; n < STEP / 4; n += 2) {
                int m = part * STEP / 4 + n;
                float low = !DROPOUT || kept >> n & 1 ? s[m] : 0.f, high = !DROPOUT || kept >> (n + 1) & 1 ? s[m + 1] : 0.f;
                p[m / 8][m / 2 % 4] = packed(low, high, scalar());
            }
        }
    };

    auto await_values = [&](int step) { mbar_wait(&value_full[step % STAGES], step / STAGES % 2); };

    mbar_wait(query_full, 0);
    multiply_keys(0);
    wgmma_wait<0>();
    if (leader) mbar_arrive(&key_empty[0]);
    softmax(0);
    pack(0);
    await_values(0);
    for (int step = 1; step < steps; step++) {
        multiply_keys(step);
        multiply_values(step - 1);
        wgmma_wait<1>();                                                     // S is there
        if (leader) mbar_arrive(&key_empty[step % STAGES]);
        softmax(step);
        await_values(step);                                                  // a loop: without one the compiler would put
        wgmma_wait<0>();                                                     // the next wait before the softmax.  O is there
        if (leader) mbar_arrive(&value_empty[(step - 1) % STAGES]);
        #pragma unroll
        for (int n = 0; n < HEAD / 2; n++) acc[n] *= correction[n / 2 % 2];
        pack(step);
    }
    multiply_values(steps - 1);
    wgmma_wait<0>();

    #pragma unroll
    for (int h = 0; h < 2; h++) {
        float l = quad_sum(sum[h]), weight = l == 0.f ? 0.f : (DROPOUT ? kept_scale : 1.f) / l;
        if (lane % 4 == 0 && i + 8 * h < call.queries)
            lse[(size_t)of * call.queries + i + 8 * h] = l == 0.f ? -INF : largest[h] * factor * LN_2 + logf(l);
        #pragma unroll
        for (int n = 0; n < HEAD / 2; n++)
            if (n / 2 % 2 == h) acc[n] *= weight;
    }
    // O through shared memory, in TMA's swizzle; rows beyond the last query and columns beyond the head's size are left out
    unsigned char* mine = out + consumer * ROWS * BLOCKS * ROW;
    int r = warp * 16 + lane % 16;                                           // the row whose address this lane gives
    #pragma unroll
    for (int n = 0; n < HEAD / 16; n++) {
        uint32_t four[4];
        #pragma unroll
        for (int m = 0; m < 4; m++) four[m] = packed(acc[8 * n + 2 * m], acc[8 * n + 2 * m + 1], scalar());
        int chunk = n % 4 * 2 + lane / 16;                                   // of 16 bytes within the row
        stmatrix<4, false>(mine + n / 4 * ROWS * ROW + r * ROW + (chunk ^ r % 8) * 16, four);
    }
    fence_proxy_async();
    bar_sync(1 + consumer, 128);
    if (leader) {
        for (int b = 0; b < BLOCKS; b++) tma_store_4d(&o, mine + b * ROWS * ROW, b * 64, first + consumer * ROWS, head, batch);
        bulk_commit();
        bulk_wait<0>();
    }
}
