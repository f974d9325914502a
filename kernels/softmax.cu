// softmax along rows, y = e^x / sum of e^x, and its logarithm, y = x - log of the sum of e^x; and their derivatives.
//
//   version     idea
//   simple      a block per row, three passes over it: the largest entry, the sum, the quotients
//   held        a row is read once, 16 bytes at a time, and held in registers, by a few lanes, a warp or a block
//   streamed    rows too long to hold: one pass for both the largest entry and the sum, one for the quotients
#include "rows.cuh"

// ---- simple -----------------------------------------------------------------------------------------------------

extern "C" __global__ void softmax_simple(const scalar* x, OUT scalar* y, int columns, bool logarithm) {
    x += (size_t)blockIdx.x * columns;
    y += (size_t)blockIdx.x * columns;
    // m = max(x)
    float largest = -INF;
    for (int j = threadIdx.x; j < columns; j += blockDim.x) largest = fmaxf(largest, to_float(x[j]));
    largest = block_max(largest);
    // s = sum of e^(x - m)
    float sum = 0.f;
    for (int j = threadIdx.x; j < columns; j += blockDim.x) sum += expf(to_float(x[j]) - largest);
    sum = block_sum(sum);
    // y = e^(x - m) / s, or x - m - log(s)
    float log_sum = logf(sum);
    for (int j = threadIdx.x; j < columns; j += blockDim.x) {
        float d = to_float(x[j]) - largest;
        y[j] = from_float<scalar>(logarithm ? d - log_sum : expf(d) / sum);
    }
}

extern "C" __global__ void
softmax_backward_simple(const scalar* g, const scalar* y, OUT scalar* dx, int columns, bool logarithm) {
    size_t start = (size_t)blockIdx.x * columns;
    g += start, y += start, dx += start;
    // d = sum of g y; of g for the logarithm
    float dot = 0.f;
    for (int j = threadIdx.x; j < columns; j += blockDim.x) dot += to_float(g[j]) * (logarithm ? 1.f : to_float(y[j]));
    dot = block_sum(dot);
    // dx = y (g - d), or g - e^y d
    for (int j = threadIdx.x; j < columns; j += blockDim.x) {
        float gj = to_float(g[j]), yj = to_float(y[j]);
        dx[j] = from_float<scalar>(logarithm ? gj - expf(yj) * dot : yj * (gj - dot));
    }
}

// ---- held -------------------------------------------------------------------------------------------------------

extern "C" __global__ void __launch_bounds__(HELD_BLOCK)
softmax_held(const scalar* x, OUT scalar* y, int64_t rows, int columns, bool logarithm) {
    int64_t row = group_index(), start = row * columns;
    if (row >= rows) columns = 0;                                    // nothing to read or write, but reductions need every lane

    float v[ENTRIES];
    load_row(x + start, columns, -INF, v);
    // m = max(x); s = sum of e^(x - m): each thread over its own entries, then merged
    MaxSum r = row_max_sum(max_sum<ENTRIES>(v));
    float scale = 1.f / r.sum, log_sum = logf(r.sum);
#pragma unroll
    for (int i = 0; i < ENTRIES; i++) v[i] = logarithm ? v[i] - r.largest - log_sum : expf(v[i] - r.largest) * scale;
    store_row(y + start, columns, v);
}

extern "C" __global__ void __launch_bounds__(HELD_BLOCK)
softmax_backward_held(const scalar* g, const scalar* y, OUT scalar* dx, int64_t rows, int columns, bool logarithm) {
    int64_t row = group_index(), start = row * columns;
    if (row >= rows) columns = 0;

    float u[ENTRIES], v[ENTRIES], dot = 0.f;
    load_row(g + start, columns, 0.f, u);
    load_row(y + start, columns, 0.f, v);
#pragma unroll
    for (int i = 0; i < ENTRIES; i++) dot += logarithm ? u[i] : u[i] * v[i];
    dot = row_sum(dot);
#pragma unroll
    for (int i = 0; i < ENTRIES; i++) u[i] = logarithm ? u[i] - expf(v[i]) * dot : v[i] * (u[i] - dot);
    store_row(dx + start, columns, u);
}

// ---- streamed ---------------------------------------------------------------------------------------------------

extern "C" __global__ void __launch_bounds__(1024) softmax_streamed(const scalar* x, OUT scalar* y, int columns, bool logarithm) {
    x += (size_t)blockIdx.x * columns;
    y += (size_t)blockIdx.x * columns;
    float v[VECTOR];
    // m = max(x); s = sum of e^(x - m), brought to the new m whenever that grows
    MaxSum r = {-INF, 0.f};
    for (unsigned j = threadIdx.x * VECTOR; j < columns; j += blockDim.x * VECTOR) {
        load<VECTOR>(x + j, v);
        r = merged(r, max_sum<VECTOR>(v));
    }
    r = block_max_sum(r);

    float scale = 1.f / r.sum, log_sum = logf(r.sum);
    for (unsigned j = threadIdx.x * VECTOR; j < columns; j += blockDim.x * VECTOR) {
        load<VECTOR>(x + j, v);
#pragma unroll
        for (int k = 0; k < VECTOR; k++) v[k] = logarithm ? v[k] - r.largest - log_sum : expf(v[k] - r.largest) * scale;
        store<VECTOR>(y + j, v);
    }
}

extern "C" __global__ void __launch_bounds__(1024)
softmax_backward_streamed(const scalar* g, const scalar* y, OUT scalar* dx, int columns, bool logarithm) {
    size_t start = (size_t)blockIdx.x * columns;
    g += start, y += start, dx += start;
    float u[VECTOR], v[VECTOR], dot = 0.f;
    for (unsigned j = threadIdx.x * VECTOR; j < columns; j += blockDim.x * VECTOR) {
        load<VECTOR>(g + j, u);
        load<VECTOR>(y + j, v);
#pragma unroll
        for (int k = 0; k < VECTOR; k++) dot += logarithm ? u[k] : u[k] * v[k];
    }
    dot = block_sum(dot);
    for (unsigned j = threadIdx.x * VECTOR; j < columns; j += blockDim.x * VECTOR) {
        load<VECTOR>(g + j, u);
        load<VECTOR>(y + j, v);
#pragma unroll
        for (int k = 0; k < VECTOR; k++) u[k] = logarithm ? u[k] - expf(v[k]) * dot : v[k] * (u[k] - dot);
        store<VECTOR>(dx + j, u);
    }
}
