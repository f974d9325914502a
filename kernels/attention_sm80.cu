// Attention in half or bf16 on the tensor cores of any GPU since Ampere (mma.sync), sums in float (Dao 2023).
//
//   version                         idea
//   attention_forward_sm80          4 warps of 32 queries; K and V double-buffered by cp.async; Q (if it fits) and P in registers
//   attention_delta_sm80            row sums of dO * O
//   attention_backward_keys_sm80    dK and dV: 4 warps of 16 keys go over the queries; P^T and dS^T stay in registers; no atomics
//   attention_backward_queries_sm80 dQ: 4 warps of 32 queries go over the keys; dS stays in registers
//
// Tiles in shared memory have rows of HEAD + 8 numbers: eight rows of 16 bytes then fall into different banks, so ldmatrix has no
// conflicts.  Each tile is loaded while the one before it is used: one barrier a tile says both that the new one has arrived
// and that nobody reads the one that the next load overwrites.
#ifndef scalar
#define scalar bf16                                  // or half
#endif
#include "attention.cuh"
#include "ptx.cuh"
#ifndef TALL                                         // times 16 rows of Q for each warp: what it reads of K and V serves all;
#define TALL (MASKED || DROPOUT ? 1 : 2)             // but masks and dropout take registers
#endif

constexpr int WARPS = 4, THREADS = 32 * WARPS;
constexpr bool RESIDENT = TALL * HEAD <= 128;        // whether Q stays in registers
constexpr int QUERIES = 16 * TALL * WARPS, KEYS = 16 * WARPS;        // rows of a block's own tile
constexpr int PITCH = HEAD + 8;
constexpr int STEP = TALL * HEAD > 128 ? 32 : 64;    // keys per tile of the forward: what fits into the registers
constexpr int STEP_BACK = MASKED && HEAD > 96 ? 16 : HEAD > 32 ? 32 : 64;        // queries (keys) per tile of the backward

__device__ __forceinline__ void multiply(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], half) {
    mma_f16(d, a, b);
}
__device__ __forceinline__ void multiply(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], bf16) {
    mma_bf16(d, a, b);
}

__device__ __forceinline__ uint32_t packed(float low, float high, half) { return pack_half(low, high); }
__device__ __forceinline__ uint32_t packed(float low, float high, bf16) { return pack_bf16(low, high); }

// Start copying rows first ... of x into a tile; zeros beyond row `count` and column `size` (a multiple of 8).
template <int COUNT>
__device__ __forceinline__ void load_tile(scalar* tile, const scalar* x, int stride, int first, int count, int size) {
    constexpr int CHUNKS = HEAD / 8;                                         // of 16 bytes in a row
    constexpr int ACROSS = CHUNKS == 12 ? 4 : CHUNKS, DOWN = THREADS / ACROSS;       // threads along a row, rows at a time
    static_assert(COUNT % DOWN == 0, "a tile is loaded in whole steps");
    int row = threadIdx.x / ACROSS, column = threadIdx.x % ACROSS * 8;
    tile += row * PITCH + column;
    #pragma unroll
    for (int r = 0; r < COUNT; r += DOWN)
        #pragma unroll
        for (int c = 0; c < HEAD; c += ACROSS * 8) {
            bool inside = first + row + r < count && column + c < size;
            cp_async<16>(tile + r * PITCH + c, inside ? x + (long long)(first + row + r) * stride + column + c : x, inside);
        }
}

// Start copying float numbers first ... first + COUNT of x; zeros beyond `count`.
template <int COUNT> __device__ __forceinline__ void load_numbers(float* to, const float* x, int first, int count) {
    if (threadIdx.x < COUNT) {
        bool inside = first + threadIdx.x < count;
        cp_async<4>(to + threadIdx.x, inside ? x + first + threadIdx.x : x, inside);
    }
}

// A operand: 16 M rows of a tile, columns 16 kk to 16 kk + 15
template <int M> __device__ __forceinline__ void load_a(uint32_t (&a)[M][4], const scalar* rows, int kk) {
    int lane = threadIdx.x % 32;
    #pragma unroll
    for (int m = 0; m < M; m++) ldmatrix<4, false>(a[m], rows + (m * 16 + lane % 16) * PITCH + kk * 16 + lane / 16 * 8);
}

// acc += A B for all rows and 16 columns of B, from 16 n: four registers of ldmatrix
template <int M, int W>
__device__ __forceinline__ void multiply_all(float (&acc)[M][W], const uint32_t (&a)[M][4], const uint32_t (&r)[4], int n) {
    #pragma unroll
    for (int i = 0; i < 2; i++) {
        uint32_t pair[2] = {r[2 * i], r[2 * i + 1]};
        #pragma unroll
        for (int m = 0; m < M; m++) multiply(*reinterpret_cast<float (*)[4]>(&acc[m][8 * n + 4 * i]), a[m], pair, scalar());
    }
}

// acc (16 M x N) += A B^T: a holds columns 16 kk ... of A; N rows of B in shared memory
template <int M, int N>
__device__ __forceinline__ void add_times_rows(float (&acc)[M][N / 2], const uint32_t (&a)[M][4], const scalar* b, int kk) {
    int lane = threadIdx.x % 32;
    #pragma unroll
    for (int n = 0; n < N / 16; n++) {
        uint32_t r[4];
        ldmatrix<4, false>(r, b + (n * 16 + lane / 16 * 8 + lane % 8) * PITCH + kk * 16 + lane / 8 % 2 * 8);
        multiply_all(acc, a, r, n);
    }
}

// acc (16 M x HEAD) += P B: P (16 M x K) are accumulators, which is just what the A operand wants; K rows of B in shared memory
template <int M, int K>
__device__ __forceinline__ void add_product(float (&acc)[M][HEAD / 2], const float (&p)[M][K / 2], const scalar* b) {
    int lane = threadIdx.x % 32;
    #pragma unroll
    for (int kk = 0; kk < K / 16; kk++) {
        uint32_t a[M][4];
        #pragma unroll
        for (int m = 0; m < M; m++)
            #pragma unroll
            for (int i = 0; i < 4; i++) a[m][i] = packed(p[m][8 * kk + 2 * i], p[m][8 * kk + 2 * i + 1], scalar());
        #pragma unroll
        for (int n = 0; n < HEAD / 16; n++) {
            uint32_t r[4];
            ldmatrix<4, true>(r, b + (kk * 16 + lane % 16) * PITCH + n * 16 + lane / 16 * 8);
            multiply_all(acc, a, r, n);
        }
    }
}

// A warp's 16 rows: through its part of shared memory (`rows`, which nobody else uses any more) to whole 16-byte stores
__device__ __forceinline__ void store_rows(scalar* out, long long stride, int first, int count, int size,
                                           const float (&acc)[HEAD / 2], const float (&factor)[2], scalar* rows) {
    int lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
    __syncwarp();
    #pragma unroll
    for (int j = 0; j < HEAD / 8; j++)
        #pragma unroll
        for (int h = 0; h < 2; h++)
            *reinterpret_cast<uint32_t*>(rows + (g + 8 * h) * PITCH + 8 * j + 2 * t) =
                packed(acc[4 * j + 2 * h] * factor[h], acc[4 * j + 2 * h + 1] * factor[h], scalar());
    __syncwarp();
    #pragma unroll
    for (int n = 0; n < HEAD / 16; n++) {
        int i = n * 32 + lane, row = i / (HEAD / 8), column = i % (HEAD / 8) * 8;
        if (first + row < count && column < size)
            *reinterpret_cast<uint4*>(out + (first + row) * stride + column) =
                *reinterpret_cast<const uint4*>(rows + row * PITCH + column);
    }
}

extern "C" __global__ void __launch_bounds__(THREADS, 2) attention_forward_sm80(
        STRIDED ALIGNED(16) const scalar* q, STRIDED ALIGNED(16) const scalar* k, STRIDED ALIGNED(16) const scalar* v,
        STRIDED const mask_t* mask, STRIDED ALIGNED(16) OUT scalar* o, OUT float* lse, Call call, float scale, float kept_scale) {
    extern __shared__ __align__(16) unsigned char shared[];
    scalar *query = reinterpret_cast<scalar*>(shared), *keys = query + QUERIES * PITCH, *values = keys + 2 * STEP * PITCH;
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32, tiles = (call.queries + QUERIES - 1) / QUERIES;
    int of = blockIdx.x / tiles, batch = of / call.heads, head = of % call.heads, key_head = head / (call.heads / call.key_heads);
    int first = (tiles - 1 - blockIdx.x % tiles) * QUERIES;                  // causal: the longest rows go first
    q = rows_of(q, call.q, batch, head), o = rows_of(o, call.o, batch, head);
    k = rows_of(k, call.k, batch, key_head), v = rows_of(v, call.v, batch, key_head);
    if (MASKED) mask += batch * call.mask[0] + head * call.mask[1];
    scalar* rows = query + warp * 16 * TALL * PITCH;                         // of this warp
    int i = first + warp * 16 * TALL + lane / 4;                             // this thread's rows are i, i + 8, i + 16, i + 24

    int end = call.causal ? min(call.keys, first + QUERIES) : call.keys, steps = (end + STEP - 1) / STEP;
    auto load = [&](int step) {
        int stage = step % 2 * STEP * PITCH;
        load_tile<STEP>(keys + stage, k, call.k[2], step * STEP, call.keys, call.size);
        load_tile<STEP>(values + stage, v, call.v[2], step * STEP, call.keys, call.size);
    };
    load_tile<QUERIES>(query, q, call.q[2], first, call.queries, call.size);
    load(0);
    cp_async_commit();

    uint32_t a[RESIDENT ? HEAD / 16 : 1][TALL][4];                           // Q
    float acc[TALL][HEAD / 2] = {}, largest[TALL][2], sum[TALL][2] = {}, correction[2], factor = 1.f;
    for (int m = 0; m < TALL; m++) largest[m][0] = largest[m][1] = -INF;
    for (int step = 0; step < steps; step++) {
        cp_async_wait<0>();
        __syncthreads();
        if (RESIDENT && step == 0)
            #pragma unroll
            for (int kk = 0; kk < HEAD / 16; kk++) load_a(a[kk], rows, kk);
        if (step + 1 < steps) load(step + 1);
        cp_async_commit();

        const scalar *key = keys + step % 2 * STEP * PITCH, *value = values + step % 2 * STEP * PITCH;
        float s[TALL][STEP / 2] = {};
        #pragma unroll
        for (int kk = 0; kk < HEAD / 16; kk++) {                                                 // S = Q K^T
            if (!RESIDENT) load_a(a[0], rows, kk);
            add_times_rows<TALL, STEP>(s, a[RESIDENT ? kk : 0], key, kk);
        }
        int j = step * STEP + lane % 4 * 2;
        bool edge = (step + 1) * STEP > call.keys || (call.causal && (step + 1) * STEP > first + warp * 16 * TALL);
        #pragma unroll
        for (int m = 0; m < TALL; m++) {
            factor = logarithms<STEP>(s[m], scale * LOG2_E);
            if (MASKED || edge) mask_scores<STEP, false>(s[m], call, mask, i + 16 * m, j);
            online_softmax<STEP>(s[m], factor, largest[m], sum[m], correction);
            #pragma unroll
            for (int n = 0; n < HEAD / 2; n++) acc[m][n] *= correction[n / 2 % 2];
            if (DROPOUT) {
                uint32_t kept = dropout_bits<STEP / 16, false>(call, of, i + 16 * m, j);
                #pragma unroll
                for (int n = 0; n < STEP / 2; n++) s[m][n] = kept >> n & 1 ? s[m][n] : 0.f;
            }
        }
        add_product<TALL, STEP>(acc, s, value);                                                  // O += P V
    }
    #pragma unroll
    for (int m = 0; m < TALL; m++) {
        float weight[2];
        #pragma unroll
        for (int h = 0; h < 2; h++) {
            float l = quad_sum(sum[m][h]);
            int row = i + 16 * m + 8 * h;
            weight[h] = l == 0.f ? 0.f : (DROPOUT ? kept_scale : 1.f) / l;
            if (lane % 4 == 0 && row < call.queries)
                lse[(size_t)of * call.queries + row] = l == 0.f ? -INF : largest[m][h] * factor * LN_2 + logf(l);
        }
        store_rows(o, call.o[2], first + (warp * TALL + m) * 16, call.queries, call.size, acc[m], weight, rows + m * 16 * PITCH);
    }
}

extern "C" __global__ void attention_delta_sm80(STRIDED const scalar* g, STRIDED const scalar* o, OUT float* delta, Call call,
                                                long long rows) {
    delta_of_rows(g, o, delta, call, rows);
}

// P, as V sees it, and dS = P * (dP - delta) of a 16 x N block, in place of S and dP.
// lse(n), delta(n): of the query of entry n.
template <int N, bool TRANSPOSED, class Lse, class Delta>
__device__ __forceinline__ void probabilities_and_slopes(float (&s)[N / 2], float (&dp)[N / 2], const Call& call,
                                                         const mask_t* mask, int of, int i, int j, bool edge, float scale,
                                                         float kept_scale, Lse lse, Delta delta) {
    #pragma unroll
    for (int n = 0; n < N / 2; n++) s[n] *= scale * LOG2_E;
    if (MASKED || edge) mask_scores<N, TRANSPOSED>(s, call, mask, i, j);
    uint32_t kept = DROPOUT ? dropout_bits<N / 16, TRANSPOSED>(call, of, i, j) : 0;
    #pragma unroll
    for (int n = 0; n < N / 2; n++) {
        float l = lse(n), p = exp2f(s[n] - (l == -INF ? INF : l * LOG2_E));                      // a row that sees nothing: P = 0
        float keep = !DROPOUT ? 1.f : kept >> n & 1 ? kept_scale : 0.f;
        dp[n] = p * (dp[n] * keep - delta(n));
        s[n] = p * keep;
    }
}

extern "C" __global__ void __launch_bounds__(THREADS, 2) attention_backward_keys_sm80(
        STRIDED ALIGNED(16) const scalar* g, STRIDED ALIGNED(16) const scalar* q, STRIDED ALIGNED(16) const scalar* k,
        STRIDED ALIGNED(16) const scalar* v, STRIDED const mask_t* mask, const float* lse, const float* delta,
        STRIDED ALIGNED(16) OUT scalar* dk, STRIDED ALIGNED(16) OUT scalar* dv, Call call, float scale, float kept_scale) {
    extern __shared__ __align__(16) unsigned char shared[];
    scalar *keys = reinterpret_cast<scalar*>(shared), *values = keys + KEYS * PITCH;
    scalar *queries = values + KEYS * PITCH, *slopes = queries + 2 * STEP_BACK * PITCH;
    float *lses = reinterpret_cast<float*>(slopes + 2 * STEP_BACK * PITCH), *deltas = lses + 2 * STEP_BACK;
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32, tiles = (call.keys + KEYS - 1) / KEYS;
    int first = blockIdx.x % tiles * KEYS, batch = blockIdx.x / tiles / call.key_heads;
    int key_head = blockIdx.x / tiles % call.key_heads, group = call.heads / call.key_heads;
    scalar *key = keys + warp * 16 * PITCH, *value = values + warp * 16 * PITCH;                 // this warp's rows
    int i = first + warp * 16 + lane / 4;                                    // this thread's keys are i and i + 8

    int begin = call.causal ? first / STEP_BACK : 0;                         // earlier queries see none of these keys
    int per_head = max((call.queries + STEP_BACK - 1) / STEP_BACK - begin, 0), steps = group * per_head;
    auto load = [&](int step) {
        int head = key_head * group + step / per_head, stage = step % 2 * STEP_BACK;
        int start = (begin + step % per_head) * STEP_BACK;
        size_t row = ((size_t)batch * call.heads + head) * call.queries;
        const scalar *from = rows_of(q, call.q, batch, head), *slopes_from = rows_of(g, call.g, batch, head);
        load_tile<STEP_BACK>(queries + stage * PITCH, from, call.q[2], start, call.queries, call.size);
        load_tile<STEP_BACK>(slopes + stage * PITCH, slopes_from, call.g[2], start, call.queries, call.size);
        load_numbers<STEP_BACK>(lses + stage, lse + row, start, call.queries);
        load_numbers<STEP_BACK>(deltas + stage, delta + row, start, call.queries);
    };
    load_tile<KEYS>(keys, rows_of(k, call.k, batch, key_head), call.k[2], first, call.keys, call.size);
    load_tile<KEYS>(values, rows_of(v, call.v, batch, key_head), call.v[2], first, call.keys, call.size);
    if (steps > 0) load(0);
    cp_async_commit();

    float acc_k[1][HEAD / 2] = {}, acc_v[1][HEAD / 2] = {};
    for (int step = 0; step < steps; step++) {
        cp_async_wait<0>();
        __syncthreads();
        if (step + 1 < steps) load(step + 1);
        cp_async_commit();

        int head = key_head * group + step / per_head, stage = step % 2 * STEP_BACK;
        int start = (begin + step % per_head) * STEP_BACK;
        const scalar *query = queries + stage * PITCH, *slope = slopes + stage * PITCH;
        const mask_t* m = MASKED ? mask + batch * call.mask[0] + head * call.mask[1] : nullptr;
        float s[1][STEP_BACK / 2] = {}, dp[1][STEP_BACK / 2] = {};
        #pragma unroll
        for (int kk = 0; kk < HEAD / 16; kk++) {
            uint32_t a[1][4];
            load_a(a, key, kk);
            add_times_rows<1, STEP_BACK>(s, a, query, kk);                                          // S^T = K Q^T
            load_a(a, value, kk);
            add_times_rows<1, STEP_BACK>(dp, a, slope, kk);                                         // dP^T = V dO^T
        }
        bool edge = first + KEYS > call.keys || (call.causal && first + KEYS > start);
        const float *l = lses + stage + lane % 4 * 2, *d = deltas + stage + lane % 4 * 2;
        probabilities_and_slopes<STEP_BACK, true>(
            s[0], dp[0], call, m, batch * call.heads + head, i, start + lane % 4 * 2, edge, scale, kept_scale,
            [&](int n) { return l[n / 4 * 8 + n % 2]; }, [&](int n) { return d[n / 4 * 8 + n % 2]; });
        add_product<1, STEP_BACK>(acc_v, s, slope);                                                 // dV += P^T dO
        add_product<1, STEP_BACK>(acc_k, dp, query);                                                // dK += dS^T Q
    }
    cp_async_wait<0>();
    __syncthreads();
    float factor_k[2] = {scale, scale}, factor_v[2] = {1.f, 1.f};
    dk = rows_of(dk, call.k, batch, key_head), dv = rows_of(dv, call.v, batch, key_head);
    store_rows(dk, call.k[2], first + warp * 16, call.keys, call.size, acc_k[0], factor_k, key);
    store_rows(dv, call.v[2], first + warp * 16, call.keys, call.size, acc_v[0], factor_v, value);
}

extern "C" __global__ void __launch_bounds__(THREADS, 2) attention_backward_queries_sm80(
        STRIDED ALIGNED(16) const scalar* g, STRIDED ALIGNED(16) const scalar* q, STRIDED ALIGNED(16) const scalar* k,
        STRIDED ALIGNED(16) const scalar* v, STRIDED const mask_t* mask, const float* lse, const float* delta,
        STRIDED ALIGNED(16) OUT scalar* dq, Call call, float scale, float kept_scale) {
    extern __shared__ __align__(16) unsigned char shared[];
    scalar *queries = reinterpret_cast<scalar*>(shared), *slopes = queries + QUERIES * PITCH;
    scalar *keys = slopes + QUERIES * PITCH, *values = keys + 2 * STEP_BACK * PITCH;
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32, tiles = (call.queries + QUERIES - 1) / QUERIES;
    int of = blockIdx.x / tiles, batch = of / call.heads, head = of % call.heads, key_head = head / (call.heads / call.key_heads);
    int first = (tiles - 1 - blockIdx.x % tiles) * QUERIES;
    k = rows_of(k, call.k, batch, key_head), v = rows_of(v, call.v, batch, key_head);
    if (MASKED) mask += batch * call.mask[0] + head * call.mask[1];
    scalar *query = queries + warp * 16 * TALL * PITCH, *slope = slopes + warp * 16 * TALL * PITCH;
    int i = first + warp * 16 * TALL + lane / 4;

    int end = call.causal ? min(call.keys, first + QUERIES) : call.keys, steps = (end + STEP_BACK - 1) / STEP_BACK;
    auto load = [&](int step) {
        int stage = step % 2 * STEP_BACK * PITCH;
        load_tile<STEP_BACK>(keys + stage, k, call.k[2], step * STEP_BACK, call.keys, call.size);
        load_tile<STEP_BACK>(values + stage, v, call.v[2], step * STEP_BACK, call.keys, call.size);
    };
    load_tile<QUERIES>(queries, rows_of(q, call.q, batch, head), call.q[2], first, call.queries, call.size);
    load_tile<QUERIES>(slopes, rows_of(g, call.g, batch, head), call.g[2], first, call.queries, call.size);
    load(0);
    cp_async_commit();

    float acc[TALL][HEAD / 2] = {}, l[TALL][2], d[TALL][2];
    #pragma unroll
    for (int n = 0; n < 2 * TALL; n++) {
        size_t row = (size_t)of * call.queries + min(i + 8 * n, call.queries - 1);
        l[n / 2][n % 2] = lse[row], d[n / 2][n % 2] = delta[row];
    }
    for (int step = 0; step < steps; step++) {
        cp_async_wait<0>();
        __syncthreads();
        if (step + 1 < steps) load(step + 1);
        cp_async_commit();

        const scalar *key = keys + step % 2 * STEP_BACK * PITCH, *value = values + step % 2 * STEP_BACK * PITCH;
        float s[TALL][STEP_BACK / 2] = {}, dp[TALL][STEP_BACK / 2] = {};
        #pragma unroll
        for (int kk = 0; kk < HEAD / 16; kk++) {
            uint32_t a[TALL][4];
            load_a(a, query, kk);
            add_times_rows<TALL, STEP_BACK>(s, a, key, kk);                                            // S = Q K^T
            load_a(a, slope, kk);
            add_times_rows<TALL, STEP_BACK>(dp, a, value, kk);                                         // dP = dO V^T
        }
        bool edge = (step + 1) * STEP_BACK > call.keys || (call.causal && (step + 1) * STEP_BACK > first);
        #pragma unroll
        for (int m = 0; m < TALL; m++)
            probabilities_and_slopes<STEP_BACK, false>(
                s[m], dp[m], call, mask, of, i + 16 * m, step * STEP_BACK + lane % 4 * 2, edge, scale, kept_scale,
                [&](int n) { return l[m][n / 2 % 2]; }, [&](int n) { return d[m][n / 2 % 2]; });
        add_product<TALL, STEP_BACK>(acc, dp, key);                                                    // dQ += dS K
    }
    float factor[2] = {scale, scale};
    dq = rows_of(dq, call.q, batch, head);
    #pragma unroll
    for (int m = 0; m < TALL; m++) {
        scalar* rows = query + m * 16 * PITCH;
        store_rows(dq, call.q[2], first + (warp * TALL + m) * 16, call.queries, call.size, acc[m], factor, rows);
    }
}
