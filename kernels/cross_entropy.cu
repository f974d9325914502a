// Cross entropy of scores x (rows, C) with one class t a row, and its gradient, in one pass over the scores.
//
//     loss = w_t (1 - s) L_t + s/C sum over c of w_c L_c,      L_c = log(sum of e^x) - x_c,      s: smoothing, w: class weights
//     dx_c = w_t (1 - s) (p_c - [c = t]) + s/C (p_c sum of w - w_c),      p = softmax(x)
//
//   version     idea
//   simple      a block per row, a pass each for the largest score, the sum, the smoothed part, the gradient
//   held        the row is read once, 16 bytes at a time, and held in registers until its gradient is written
//   streamed    rows too long to hold (large vocabularies): one pass for all sums, one for the gradient
//
// The last two also write the gradient in place of the scores (..._in_place): no thread reads a score that another has replaced.
// A row whose class is ignore_index gives 0; a class outside 0 to C - 1 gives NaN.  g: the gradient by each loss, null for 1.
#include "rows.cuh"

#define NOT_A_NUMBER __int_as_float(0x7fffffff)

__device__ __forceinline__ float weight_of(const scalar* weight, int64_t c) { return weight ? to_float(weight[c]) : 1.f; }

// What a row's loss and gradient are made of.
struct Terms {
    bool counts;
    int owner;                                       // a column that exists; the thread that holds it writes the loss
    float w;                                         // w_t (1 - s)
    float spread;                                    // s / C
    float all = 0.f, far = 0.f;                      // sum of w, sum of w (m - x), where s > 0
    float largest, log_sum, inverse;                 // m, log of the sum of e^(x - m), its inverse

    __device__ __forceinline__ Terms(int64_t t, int64_t ignore_index, const scalar* weight, int columns, float smoothing) {
        bool valid = t >= 0 && t < columns;
        counts = t != ignore_index;
        owner = valid ? t : 0;
        w = counts ? (valid ? weight_of(weight, t) : NOT_A_NUMBER) * (1.f - smoothing) : 0.f;
        spread = smoothing / columns;
    }

    __device__ __forceinline__ void normalizer(float m, float sum) {
        largest = m, log_sum = logf(sum), inverse = 1.f / sum;
    }

    // x: the score of the right class
    __device__ __forceinline__ float loss(float x) const {
        return counts ? w * (largest - x + log_sum) + spread * (far + all * log_sum) : 0.f;
    }

    __device__ __forceinline__ float slope(float x, int c, const scalar* weight) const {
        if (!counts) return 0.f;
        float d = (w + spread * all) * expf(x - largest) * inverse - (c == owner ? w : 0.f);
        return spread > 0.f ? d - spread * weight_of(weight, c) : d;
    }
};

// ---- simple -----------------------------------------------------------------------------------------------------

extern "C" __global__ void cross_entropy_simple(const scalar* x, const int64_t* target, const scalar* weight, const float* g,
                                                OUT float* loss, OUT scalar* dx, int64_t rows, int columns, int64_t ignore_index,
                                                float smoothing) {
    int64_t row = blockIdx.x;
    Terms terms(target[row], ignore_index, weight, columns, smoothing);
    x += row * columns;
    // m = max(x); s = sum of e^(x - m)
    float largest = -INF, sum = 0.f;
    for (int j = threadIdx.x; j < columns; j += blockDim.x) largest = fmaxf(largest, to_float(x[j]));
    largest = block_max(largest);
    for (int j = threadIdx.x; j < columns; j += blockDim.x) sum += expf(to_float(x[j]) - largest);
    terms.normalizer(largest, block_sum(sum));
    // sum of w; sum of w (m - x)
    if (smoothing > 0.f) {
        float all = 0.f, far = 0.f;
        for (int j = threadIdx.x; j < columns; j += blockDim.x) {
            float w = weight_of(weight, j);
            all += w;
            far += w * (largest - to_float(x[j]));
        }
        terms.all = block_sum(all);
        terms.far = block_sum(far);
    }
    if (threadIdx.x == 0) loss[row] = terms.loss(to_float(x[terms.owner]));
    float scale = g ? g[row] : 1.f;
    if (dx)
        for (int j = threadIdx.x; j < columns; j += blockDim.x)
            dx[row * columns + j] = from_float<scalar>(scale * terms.slope(to_float(x[j]), j, weight));
}

// ---- held -------------------------------------------------------------------------------------------------------

__device__ __forceinline__ void held(const scalar* x, const int64_t* target, const scalar* weight, const float* g, float* loss,
                                     scalar* dx, int64_t rows, int columns, int64_t ignore_index, float smoothing) {
    int64_t row = group_index(), start = row * columns;
    bool exists = row < rows;                                        // all the same: reductions need every lane
    Terms terms(exists ? target[row] : ignore_index, ignore_index, weight, columns, smoothing);
    int wide = exists ? columns : 0;

    float v[ENTRIES];
    load_row(x + start, terms.counts ? wide : 0, -INF, v);
    MaxSum r = row_max_sum(max_sum<ENTRIES>(v));
    terms.normalizer(r.largest, r.sum);
    if (smoothing > 0.f) {
        float all = 0.f, far = 0.f;
#pragma unroll
        for (int i = 0; i < ENTRIES; i++) {
            if (column_of(i) < wide) {
                float w = weight_of(weight, column_of(i));
                all += w;
                far += w * (r.largest - v[i]);
            }
        }
        terms.all = row_sum(all);
        terms.far = row_sum(far);
    }
    float scale = g && exists ? g[row] : 1.f;
#pragma unroll
    for (int i = 0; i < ENTRIES; i++) {
        int j = column_of(i);
        if (j == terms.owner && exists) loss[row] = terms.loss(v[i]);
        if (dx && j < wide) v[i] = scale * terms.slope(v[i], j, weight);
    }
    if (dx) store_row(dx + start, wide, v);
}

// At least 1 block on a multiprocessor: left to itself the compiler spills a few registers to fit in one more.
extern "C" __global__ void __launch_bounds__(HELD_BLOCK, 1)
cross_entropy_held(const scalar* x, const int64_t* target, const scalar* weight, const float* g, OUT float* loss, OUT scalar* dx,
                   int64_t rows, int columns, int64_t ignore_index, float smoothing) {
    held(x, target, weight, g, loss, dx, rows, columns, ignore_index, smoothing);
}

extern "C" __global__ void __launch_bounds__(HELD_BLOCK, 1)
cross_entropy_in_place_held(scalar* x, const int64_t* target, const scalar* weight, const float* g, OUT float* loss,
                            int64_t rows, int columns, int64_t ignore_index, float smoothing) {
    held(x, target, weight, g, loss, x, rows, columns, ignore_index, smoothing);
}

// ---- streamed ---------------------------------------------------------------------------------------------------

__device__ __forceinline__ void streamed(const scalar* x, const int64_t* target, const scalar* weight, const float* g,
                                         float* loss, scalar* dx, int columns, int64_t ignore_index, float smoothing) {
    int64_t row = blockIdx.x, start = row * columns;
    Terms terms(target[row], ignore_index, weight, columns, smoothing);
    float v[VECTOR], all = 0.f, sum_wx = 0.f;
    // m = max(x); s = sum of e^(x - m), brought to the new m whenever that grows; sum of w, of w x
    MaxSum r = {-INF, 0.f};
    if (terms.counts) {
        for (unsigned j = threadIdx.x * VECTOR; j < columns; j += blockDim.x * VECTOR) {
            load<VECTOR>(x + start + j, v);
            r = merged(r, max_sum<VECTOR>(v));
            if (smoothing > 0.f) {
#pragma unroll
                for (int k = 0; k < VECTOR; k++) {
                    float w = weight_of(weight, j + k);
                    all += w;
                    sum_wx += w * v[k];
                }
            }
        }
        r = block_max_sum(r);
        terms.normalizer(r.largest, r.sum);
        if (smoothing > 0.f) {
            terms.all = block_sum(all);
            terms.far = terms.all * r.largest - block_sum(sum_wx);
        }
    }
    float scale = g ? g[row] : 1.f;
    if (!dx) {
        if (threadIdx.x == 0) loss[row] = terms.loss(to_float(x[start + terms.owner]));
        return;
    }
    for (unsigned j = threadIdx.x * VECTOR; j < columns; j += blockDim.x * VECTOR) {
        if (terms.counts) load<VECTOR>(x + start + j, v);
#pragma unroll
        for (int k = 0; k < VECTOR; k++) {
            if (j + k == terms.owner) loss[row] = terms.loss(v[k]);
            v[k] = scale * terms.slope(v[k], j + k, weight);
        }
        store<VECTOR>(dx + start + j, v);
    }
}

extern "C" __global__ void __launch_bounds__(1024)
cross_entropy_streamed(const scalar* x, const int64_t* target, const scalar* weight, const float* g, OUT float* loss,
                       OUT scalar* dx, int64_t rows, int columns, int64_t ignore_index, float smoothing) {
    streamed(x, target, weight, g, loss, dx, columns, ignore_index, smoothing);
}

extern "C" __global__ void __launch_bounds__(1024)
cross_entropy_in_place_streamed(scalar* x, const int64_t* target, const scalar* weight, const float* g, OUT float* loss,
                                int64_t rows, int columns, int64_t ignore_index, float smoothing) {
    streamed(x, target, weight, g, loss, x, columns, ignore_index, smoothing);
}
