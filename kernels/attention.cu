// Attention in float: O = softmax(scale Q K^T + mask) V, a row of scores never leaving the block (Dao et al. 2022).
//
//   version                       idea
//   attention_forward             a block per 64 queries; keys in tiles of 64; the softmax is corrected as larger scores turn up
//   attention_delta               row sums of dO * O
//   attention_backward_keys       dK and dV: a block per tile of keys goes over the queries; no atomics
//   attention_backward_queries    dQ: a block per tile of queries goes over the keys
//
// 256 threads as 16 x 16: thread (x, y) holds rows y, y + 16, ... and columns x, x + 16, ... of every product.  The 16 threads of
// a row are half a warp.  Grouped queries: head h uses head h / (heads / key_heads) of K and V.
#include "attention.cuh"

constexpr int SIDE = 16, THREADS = SIDE * SIDE;
constexpr int PITCH = HEAD + 4;                      // of a tile in shared memory; 4: neighbouring rows start in other banks
constexpr int FORWARD = 64;                          // side of the tiles
constexpr int BACKWARD = HEAD > 64 ? 32 : 64;
constexpr int WIDTH = HEAD / SIDE;                   // columns of a thread in products that are HEAD wide

// tile = rows first ... of x; zeros beyond row `count` and column `size`
template <int ROWS>
__device__ __forceinline__ void load_tile(float* tile, const scalar* x, int stride, int first, int count, int size) {
    for (int i = threadIdx.x; i < ROWS * HEAD; i += THREADS) {
        int row = i / HEAD, column = i % HEAD;
        bool inside = first + row < count && column < size;
        tile[row * PITCH + column] = inside ? to_float(x[(long long)(first + row) * stride + column]) : 0.f;
    }
}

// s = A B^T for tiles A and B of R * 16 rows each
template <int R> __device__ __forceinline__ void rows_times_rows(float (&s)[R][R], const float* a, const float* b, int x, int y) {
    for (int i = 0; i < R; i++)
        for (int j = 0; j < R; j++) s[i][j] = 0.f;
    #pragma unroll (R == 4 ? 1 : 2)
    for (int d = 0; d < HEAD; d += 4) {
        float left[R][4], right[R][4];
        #pragma unroll
        for (int i = 0; i < R; i++)
            #pragma unroll
            for (int u = 0; u < 4; u++) {
                left[i][u] = a[(y + SIDE * i) * PITCH + d + u];
                right[i][u] = b[(x + SIDE * i) * PITCH + d + u];
            }
        #pragma unroll
        for (int u = 0; u < 4; u++)
            #pragma unroll
            for (int i = 0; i < R; i++)
                #pragma unroll
                for (int j = 0; j < R; j++) s[i][j] += left[i][u] * right[j][u];
    }
}

// acc += P B, where P is R * 16 square and B has R * 16 rows
template <int R>
__device__ __forceinline__ void add_product(float (&acc)[R][WIDTH], const float* p, const float* b, int x, int y) {
    #pragma unroll (R == 4 ? 1 : 2)
    for (int c = 0; c < R * SIDE; c += 4) {
        float left[R][4];
        #pragma unroll
        for (int i = 0; i < R; i++)
            #pragma unroll
            for (int u = 0; u < 4; u++) left[i][u] = p[(y + SIDE * i) * (R * SIDE + 4) + c + u];
        #pragma unroll
        for (int u = 0; u < 4; u++)
            #pragma unroll
            for (int e = 0; e < WIDTH; e++) {
                float right = b[(c + u) * PITCH + x + SIDE * e];
                #pragma unroll
                for (int i = 0; i < R; i++) acc[i][e] += left[i][u] * right;
            }
    }
}

template <int R> __device__ __forceinline__ void store_rows(scalar* out, long long stride, int first, int count, int size,
                                                            const float (&acc)[R][WIDTH], int x, int y) {
    #pragma unroll
    for (int i = 0; i < R; i++)
        #pragma unroll
        for (int e = 0; e < WIDTH; e++) {
            int row = first + y + SIDE * i, column = x + SIDE * e;
            if (row < count && column < size) out[row * stride + column] = from_float<scalar>(acc[i][e]);
        }
}

// scale * (q k) + mask, -INF where query i may not see key j
__device__ __forceinline__ float score(float product, float scale, const Call& call, const mask_t* mask, int i, int j) {
    if (i >= call.queries || j >= call.keys || (call.causal && j > i)) return -INF;
    float s = product * scale;
    return MASKED ? masked(s, mask[i * call.mask[2] + j * call.mask[3]], 1.f) : s;
}

// Bit R i + j says whether dropout keeps entry (i, j) of a thread.  One after the other: Philox would fill the registers.
template <int R, bool TRANSPOSED> __device__ __forceinline__ uint32_t kept_bits(const Call& call, int head, int row, int column) {
    uint32_t bits = 0;
    #pragma unroll 1
    for (int n = 0; n < R * R; n++) {
        int i = row + n / R * SIDE, j = column + n % R * SIDE;
        bits |= (uint32_t)(TRANSPOSED ? kept(call, head, j, i) : kept(call, head, i, j)) << n;
    }
    return bits;
}

// The 16 threads of a row: every one gets the result.
__device__ __forceinline__ float row_max(float x) {
    for (int offset = SIDE / 2; offset > 0; offset /= 2) x = fmaxf(x, __shfl_xor_sync(ALL_LANES, x, offset));
    return x;
}

__device__ __forceinline__ float row_sum(float x) {
    for (int offset = SIDE / 2; offset > 0; offset /= 2) x += __shfl_xor_sync(ALL_LANES, x, offset);
    return x;
}

extern "C" __global__ void __launch_bounds__(THREADS, 1) attention_forward(
        STRIDED const scalar* q, STRIDED const scalar* k, STRIDED const scalar* v, STRIDED const mask_t* mask,
        STRIDED OUT scalar* o, OUT float* lse, Call call, float scale, float kept_scale) {
    extern __shared__ __align__(16) float room[];
    constexpr int R = FORWARD / SIDE, P_PITCH = FORWARD + 4;
    float *query = room, *key_or_value = query + FORWARD * PITCH, *p = key_or_value + FORWARD * PITCH;
    int x = threadIdx.x % SIDE, y = threadIdx.x / SIDE, tiles = (call.queries + FORWARD - 1) / FORWARD;
    int first = blockIdx.x % tiles * FORWARD, of = blockIdx.x / tiles;       // the first query; which head of which batch
    int batch = of / call.heads, head = of % call.heads, key_head = head / (call.heads / call.key_heads);
    q = rows_of(q, call.q, batch, head), o = rows_of(o, call.o, batch, head);
    k = rows_of(k, call.k, batch, key_head), v = rows_of(v, call.v, batch, key_head);
    if (MASKED) mask += batch * call.mask[0] + head * call.mask[1];

    load_tile<FORWARD>(query, q, call.q[2], first, call.queries, call.size);
    float acc[R][WIDTH] = {}, largest[R], sum[R] = {};
    for (int i = 0; i < R; i++) largest[i] = -INF;
    int end = call.causal ? min(call.keys, first + FORWARD) : call.keys;     // later keys are not seen by any query here
    for (int start = 0; start < end; start += FORWARD) {
        __syncthreads();                                                     // everybody is done with the last V, and with P
        load_tile<FORWARD>(key_or_value, k, call.k[2], start, call.keys, call.size);
        __syncthreads();
        float s[R][R];                                                       // S = scale Q K^T + mask
        rows_times_rows<R>(s, query, key_or_value, x, y);
        uint32_t keep = DROPOUT ? kept_bits<R, false>(call, of, first + y, start + x) : ~0u;
        #pragma unroll
        for (int i = 0; i < R; i++) {
            // m' = max(m, rowmax S); P = e^(S - m'); l = l e^(m - m') + rowsum P; O = O e^(m - m')
            int row = first + y + SIDE * i;
            float m = largest[i], added = 0.f;
            #pragma unroll
            for (int j = 0; j < R; j++) {
                s[i][j] = score(s[i][j], scale, call, mask, row, start + x + SIDE * j);
                m = fmaxf(m, s[i][j]);
            }
            m = row_max(m);
            float base = m == -INF ? 0.f : m, correction = expf(largest[i] - base);       // a row that sees nothing yet: P = 0
            #pragma unroll
            for (int j = 0; j < R; j++) {
                float e = expf(s[i][j] - base);
                added += e;
                p[(y + SIDE * i) * P_PITCH + x + SIDE * j] = keep >> (R * i + j) & 1 ? e : 0.f;
            }
            sum[i] = sum[i] * correction + added;                            // of this thread's columns
            largest[i] = m;
            #pragma unroll
            for (int e = 0; e < WIDTH; e++) acc[i][e] *= correction;
        }
        __syncthreads();                                                     // everybody is done with K; P stands
        load_tile<FORWARD>(key_or_value, v, call.v[2], start, call.keys, call.size);
        __syncthreads();
        add_product<R>(acc, p, key_or_value, x, y);                          // O += P V
    }
    #pragma unroll
    for (int i = 0; i < R; i++) {
        float l = row_sum(sum[i]);
        int row = first + y + SIDE * i;
        #pragma unroll
        for (int e = 0; e < WIDTH; e++) acc[i][e] *= l == 0.f ? 0.f : (DROPOUT ? kept_scale : 1.f) / l;
        if (x == 0 && row < call.queries) lse[(size_t)of * call.queries + row] = l == 0.f ? -INF : largest[i] + logf(l);
    }
    store_rows<R>(o, call.o[2], first, call.queries, call.size, acc, x, y);
}

extern "C" __global__ void attention_delta(STRIDED const scalar* g, STRIDED const scalar* o, OUT float* delta, Call call,
                                           long long rows) {
    delta_of_rows(g, o, delta, call, rows);
}

// P and dS = P * (dP - delta) of one query and key, from s = q k and dp = g v; P as V sees it: times `keep`, 0 if it was dropped
__device__ __forceinline__ void probability_and_slope(float& s, float& dp, float scale, float keep, const Call& call,
                                                      const mask_t* mask, int i, int j, float lse, float delta) {
    s = score(s, scale, call, mask, i, j);
    float p = s == -INF ? 0.f : expf(s - lse);
    s = p * keep;
    dp = p * (dp * keep - delta);
}

extern "C" __global__ void __launch_bounds__(THREADS, 1) attention_backward_keys(
        STRIDED const scalar* g, STRIDED const scalar* q, STRIDED const scalar* k, STRIDED const scalar* v,
        STRIDED const mask_t* mask, const float* lse, const float* delta, STRIDED OUT scalar* dk, STRIDED OUT scalar* dv,
        Call call, float scale, float kept_scale) {
    extern __shared__ __align__(16) float room[];
    constexpr int R = BACKWARD / SIDE, P_PITCH = BACKWARD + 4;
    float *key = room, *value = key + BACKWARD * PITCH, *query = value + BACKWARD * PITCH, *slope = query + BACKWARD * PITCH;
    float* p = slope + BACKWARD * PITCH;                                     // P^T, then dS^T: rows are keys
    int x = threadIdx.x % SIDE, y = threadIdx.x / SIDE, tiles = (call.keys + BACKWARD - 1) / BACKWARD;
    int first = blockIdx.x % tiles * BACKWARD, batch = blockIdx.x / tiles / call.key_heads;
    int key_head = blockIdx.x / tiles % call.key_heads, group = call.heads / call.key_heads;
    k = rows_of(k, call.k, batch, key_head), v = rows_of(v, call.v, batch, key_head);
    load_tile<BACKWARD>(key, k, call.k[2], first, call.keys, call.size);
    load_tile<BACKWARD>(value, v, call.v[2], first, call.keys, call.size);

    float acc_k[R][WIDTH] = {}, acc_v[R][WIDTH] = {};
    for (int head = key_head * group; head < (key_head + 1) * group; head++) {
        const scalar* rows = rows_of(q, call.q, batch, head);
        const scalar* slopes = rows_of(g, call.g, batch, head);
        const mask_t* m = MASKED ? mask + batch * call.mask[0] + head * call.mask[1] : nullptr;
        int of = batch * call.heads + head;
        // causal: earlier queries see none of these keys
        for (int start = call.causal ? first : 0; start < call.queries; start += BACKWARD) {
            __syncthreads();
            load_tile<BACKWARD>(query, rows, call.q[2], start, call.queries, call.size);
            load_tile<BACKWARD>(slope, slopes, call.g[2], start, call.queries, call.size);
            __syncthreads();
            float s[R][R], dp[R][R];
            rows_times_rows<R>(s, key, query, x, y);                         // S^T = K Q^T
            rows_times_rows<R>(dp, value, slope, x, y);                      // dP^T = V dO^T
            uint32_t kept = DROPOUT ? kept_bits<R, true>(call, of, first + y, start + x) : 0;
            #pragma unroll
            for (int i = 0; i < R; i++)
                #pragma unroll
                for (int j = 0; j < R; j++) {
                    int row = start + x + SIDE * j;
                    size_t at = (size_t)of * call.queries + min(row, call.queries - 1);
                    float keep = !DROPOUT ? 1.f : kept >> (R * i + j) & 1 ? kept_scale : 0.f;
                    probability_and_slope(s[i][j], dp[i][j], scale, keep, call, m, row, first + y + SIDE * i, lse[at], delta[at]);
                    p[(y + SIDE * i) * P_PITCH + x + SIDE * j] = s[i][j];
                }
            __syncwarp();
            add_product<R>(acc_v, p, slope, x, y);                           // dV += P^T dO
            __syncwarp();
            #pragma unroll
            for (int i = 0; i < R; i++)
                #pragma unroll
                for (int j = 0; j < R; j++) p[(y + SIDE * i) * P_PITCH + x + SIDE * j] = dp[i][j] * scale;
            __syncwarp();
            add_product<R>(acc_k, p, query, x, y);                           // dK += scale dS^T Q
        }
    }
    store_rows<R>(rows_of(dk, call.k, batch, key_head), call.k[2], first, call.keys, call.size, acc_k, x, y);
    store_rows<R>(rows_of(dv, call.v, batch, key_head), call.v[2], first, call.keys, call.size, acc_v, x, y);
}

extern "C" __global__ void __launch_bounds__(THREADS, 1) attention_backward_queries(
        STRIDED const scalar* g, STRIDED const scalar* q, STRIDED const scalar* k, STRIDED const scalar* v,
        STRIDED const mask_t* mask, const float* lse, const float* delta, STRIDED OUT scalar* dq, Call call, float scale,
        float kept_scale) {
    extern __shared__ __align__(16) float room[];
    constexpr int R = BACKWARD / SIDE, P_PITCH = BACKWARD + 4;
    float *query = room, *slope = query + BACKWARD * PITCH, *key = slope + BACKWARD * PITCH, *value = key + BACKWARD * PITCH;
    float* p = value + BACKWARD * PITCH;                                     // dS
    int x = threadIdx.x % SIDE, y = threadIdx.x / SIDE, tiles = (call.queries + BACKWARD - 1) / BACKWARD;
    int first = blockIdx.x % tiles * BACKWARD, of = blockIdx.x / tiles;
    int batch = of / call.heads, head = of % call.heads, key_head = head / (call.heads / call.key_heads);
    k = rows_of(k, call.k, batch, key_head), v = rows_of(v, call.v, batch, key_head);
    if (MASKED) mask += batch * call.mask[0] + head * call.mask[1];
    load_tile<BACKWARD>(query, rows_of(q, call.q, batch, head), call.q[2], first, call.queries, call.size);
    load_tile<BACKWARD>(slope, rows_of(g, call.g, batch, head), call.g[2], first, call.queries, call.size);

    float acc[R][WIDTH] = {};
    int end = call.causal ? min(call.keys, first + BACKWARD) : call.keys;
    for (int start = 0; start < end; start += BACKWARD) {
        __syncthreads();
        load_tile<BACKWARD>(key, k, call.k[2], start, call.keys, call.size);
        load_tile<BACKWARD>(value, v, call.v[2], start, call.keys, call.size);
        __syncthreads();
        float s[R][R], dp[R][R];
        rows_times_rows<R>(s, query, key, x, y);                             // S = Q K^T
        rows_times_rows<R>(dp, slope, value, x, y);                          // dP = dO V^T
        uint32_t kept = DROPOUT ? kept_bits<R, false>(call, of, first + y, start + x) : 0;
        #pragma unroll
        for (int i = 0; i < R; i++) {
            int row = first + y + SIDE * i;
            size_t at = (size_t)of * call.queries + min(row, call.queries - 1);
            #pragma unroll
            for (int j = 0; j < R; j++) {
                float keep = !DROPOUT ? 1.f : kept >> (R * i + j) & 1 ? kept_scale : 0.f;
                probability_and_slope(s[i][j], dp[i][j], scale, keep, call, mask, row, start + x + SIDE * j, lse[at], delta[at]);
                p[(y + SIDE * i) * P_PITCH + x + SIDE * j] = dp[i][j] * scale;
            }
        }
        __syncwarp();
        add_product<R>(acc, p, key, x, y);                                   // dQ += scale dS K
    }
    store_rows<R>(rows_of(dq, call.q, batch, head), call.q[2], first, call.queries, call.size, acc, x, y);
}
