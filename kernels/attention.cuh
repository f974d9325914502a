// What the attention kernels share: the description of a call, masks, dropout, and softmax on the tensor cores' accumulators.
#pragma once
#include "kernel.cuh"
#include "philox.cuh"

#ifndef HEAD
#define HEAD 64                // room for the numbers of one head: 32, 64, 96 or 128; `Call::size` of them are there
#endif
#ifndef DROPOUT
#define DROPOUT 0              // whether entries of P are dropped
#endif
#ifdef mask_t                  // what the mask is made of: bool (whether a key may be seen), or numbers to add to the scores
#define MASKED 1
#else
#define MASKED 0
#define mask_t bool
#endif

#ifndef SCALE_FIRST
#define SCALE_FIRST MASKED     // whether scores are scaled before their largest is sought: for masks, and for scales not above 0
#endif

// One call, as the host describes it.  Strides count numbers: of the batch, the heads, the rows (and for the mask the columns).
struct Call {
    long long q[3], k[3], v[3], o[3], g[3], mask[4];
    unsigned long long seed;
    int heads, key_heads, queries, keys, size, causal;
    unsigned threshold;        // a random word below it drops an entry of P
    int unused;
};

// Where the rows of one head of one batch begin.
template <class T> __device__ __forceinline__ T* rows_of(T* x, const long long (&stride)[3], int batch, int head) {
    return x + batch * stride[0] + head * stride[1];
}

// A score with its entry of the mask; `unit` is what 1 is in the scores' unit (they may be logarithms to the base of 2).
__device__ __forceinline__ float masked(float score, bool visible, float) { return visible ? score : -INF; }
template <class T> __device__ __forceinline__ float masked(float score, T added, float unit) {
    return score + to_float(added) * unit;
}

// Random words for entries (i, j), (i, j + 8), (i + 8, j), (i + 8, j + 8) of P, where i and j have no bit 8: the four that one
// thread holds of a 16 x 16 block of P as of P^T on tensor cores, so that no word is made twice.
__device__ __forceinline__ uint4 dropout_words(const Call& call, int head, int i, int j) {
    return philox(make_uint4(j, i, head, 0), make_uint2((unsigned)call.seed, (unsigned)(call.seed >> 32)));
}

// Whether dropout keeps entry (i, j), for threads that hold single entries.
__device__ __forceinline__ bool kept(const Call& call, int head, int i, int j) {
    uint4 words = dropout_words(call, head, i & ~8, j & ~8);
    unsigned word = i & 8 ? (j & 8 ? words.w : words.z) : (j & 8 ? words.y : words.x);
    return word >= call.threshold;
}

// delta[row] = sum of g * o: what the derivative of softmax subtracts.  A warp per row.
__device__ __forceinline__ void delta_of_rows(const scalar* g, const scalar* o, float* delta, const Call& call, long long rows) {
    long long row = (long long)blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32;
    if (row >= rows) return;
    int i = row % call.queries, head = row / call.queries % call.heads, batch = row / call.queries / call.heads;
    g = rows_of(g, call.g, batch, head) + i * call.g[2];
    o = rows_of(o, call.o, batch, head) + i * call.o[2];
    float sum = 0.f;
    for (int c = threadIdx.x % 32; c < call.size; c += 32) sum += to_float(g[c]) * to_float(o[c]);
    sum = warp_sum(sum);
    if (threadIdx.x % 32 == 0) delta[row] = sum;
}

// ---- scores on tensor cores -------------------------------------------------------------------------------------
// A warp's 16 x N block of accumulators: lane 4 g + t holds x[4 j + 2 h + e], the entry in row g + 8 h, column 8 j + 2 t + e.
// Scores are logarithms to the base of 2: exp2f is one instruction.

constexpr float LOG2_E = 1.44269504f, LN_2 = 0.693147181f;

// Entries that may not be seen become -INF, others get what the mask adds.  (i, j): the thread's first row and column.
// TRANSPOSED: rows of the block are keys, columns are queries.
template <int N, bool TRANSPOSED>
__device__ __forceinline__ void mask_scores(float (&s)[N / 2], const Call& call, const mask_t* mask, int i, int j) {
    #pragma unroll
    for (int n = 0; n < N / 2; n++) {
        int row = i + n / 2 % 2 * 8, column = j + n / 4 * 8 + n % 2;
        int query = TRANSPOSED ? column : row, key = TRANSPOSED ? row : column;
        bool visible = key < call.keys && !(call.causal && key > query);
        if (MASKED && visible && query < call.queries)
            s[n] = masked(s[n], mask[(long long)query * (int)call.mask[2] + (long long)key * (int)call.mask[3]], LOG2_E);
        if (!visible) s[n] = -INF;
    }
}

// Bit n says whether dropout keeps entry n, for a block 16 BLOCKS wide (at most 64).  One word after the other: Philox would fill
// the registers.
template <int BLOCKS, bool TRANSPOSED>
__device__ __forceinline__ uint32_t dropout_bits(const Call& call, int head, int i, int j) {
    uint32_t bits = 0;
    #pragma unroll 1
    for (int n = 0; n < 2 * BLOCKS; n++) {
        int column = j + n / 2 * 16 + n % 2;
        uint4 words = TRANSPOSED ? dropout_words(call, head, column, i) : dropout_words(call, head, i, column);
        uint32_t below = TRANSPOSED ? words.y : words.z, right = TRANSPOSED ? words.z : words.y;
        uint32_t four = (words.x >= call.threshold) | (below >= call.threshold) << 2 | (right >= call.threshold) << 4
                        | (words.w >= call.threshold) << 6;
        bits |= four << (n / 2 * 8 + n % 2);
    }
    return bits;
}

// Scores as logarithms to the base of 2 are s times what this returns: by default the exponential multiplies, for nothing.
template <int N> __device__ __forceinline__ float logarithms(float (&s)[N / 2], float factor) {
    #pragma unroll
    for (int n = 0; n < N / 2; n++)
        if (SCALE_FIRST) s[n] *= factor;
    return SCALE_FIRST ? 1.f : factor;
}

// m' = max(m, rowmax S); P = 2^(S - m'); l = l 2^(m - m') + rowsum P (of this thread's columns); corrections 2^(m - m') for O.
// S and m count in units of `factor`.
template <int N>
__device__ __forceinline__ void online_softmax(float (&s)[N / 2], float factor, float (&largest)[2], float (&sum)[2],
                                               float (&correction)[2]) {
    #pragma unroll
    for (int h = 0; h < 2; h++) {
        float m = largest[h], added = 0.f;
        #pragma unroll
        for (int j = 0; j < N / 8; j++) m = fmaxf(m, fmaxf(s[4 * j + 2 * h], s[4 * j + 2 * h + 1]));
        m = fmaxf(m, __shfl_xor_sync(ALL_LANES, m, 1));
        m = fmaxf(m, __shfl_xor_sync(ALL_LANES, m, 2));
        float base = m == -INF ? 0.f : m * factor;                           // a row that sees nothing yet: P = 0
        correction[h] = exp2f(fmaf(largest[h], factor, -base));
        #pragma unroll
        for (int j = 0; j < N / 8; j++)
            #pragma unroll
            for (int e = 0; e < 2; e++) {
                float& x = s[4 * j + 2 * h + e];
                x = exp2f(fmaf(x, factor, -base));
                added += x;
            }
        sum[h] = sum[h] * correction[h] + added;
        largest[h] = m;
    }
}

// The four threads of a row: every one gets the sum.
__device__ __forceinline__ float quad_sum(float x) {
    x += __shfl_xor_sync(ALL_LANES, x, 1);
    return x + __shfl_xor_sync(ALL_LANES, x, 2);
}
