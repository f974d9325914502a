// Layer norm and RMS norm along rows, and their derivatives.
//
//     y = d r w + b,      d = x - mean(x),  r = 1 / sqrt(mean(d^2) + eps)          (RMS norm: d = x, no b, mean is null)
//     dx = r (h - mean(h) - d r mean(h d r)),  h = g w;      dw = sum over rows of g d r;      db = sum over rows of g
//
//   version     idea
//   simple      a block per row, a pass for each of its sums; backward: so for dx, a second reading by columns for dw, db
//   held        a row is read once, 16 bytes at a time, and held in registers, by a few lanes, a warp or a block;
//               backward: each of these goes through many rows and sums its part of dw and db on the way
//
// dw and db are summed in two stages without atomics, so they are the same every time: parts first, then column_sums.
#include "rows.cuh"

#ifndef parameter                                    // the type of w and b
#define parameter scalar
#endif

__device__ __forceinline__ float weight_of(const parameter* weight, int j) { return weight ? to_float(weight[j]) : 1.f; }

// ---- simple -----------------------------------------------------------------------------------------------------

extern "C" __global__ void layer_norm_simple(const scalar* x, const parameter* weight, const parameter* bias, OUT scalar* y,
                                             OUT float* mean, OUT float* rstd, int columns, float eps) {
    x += (size_t)blockIdx.x * columns;
    y += (size_t)blockIdx.x * columns;
    // m = mean(x)
    float m = 0.f;
    if (mean) {
        for (int j = threadIdx.x; j < columns; j += blockDim.x) m += to_float(x[j]);
        m = block_sum(m) / columns;
    }
    // r = 1 / sqrt(mean((x - m)^2) + eps)
    float square = 0.f;
    for (int j = threadIdx.x; j < columns; j += blockDim.x) {
        float d = to_float(x[j]) - m;
        square += d * d;
    }
    float r = rsqrtf(block_sum(square) / columns + eps);

    for (int j = threadIdx.x; j < columns; j += blockDim.x)
        y[j] = from_float<scalar>((to_float(x[j]) - m) * r * weight_of(weight, j) + (bias ? to_float(bias[j]) : 0.f));
    if (threadIdx.x == 0) {
        if (mean) mean[blockIdx.x] = m;
        rstd[blockIdx.x] = r;
    }
}

extern "C" __global__ void
layer_norm_backward_simple(const scalar* g, const scalar* x, const parameter* weight, const float* mean, const float* rstd,
                           OUT scalar* dx, int columns) {
    size_t start = (size_t)blockIdx.x * columns;
    float m = mean ? mean[blockIdx.x] : 0.f, r = rstd[blockIdx.x];
    g += start, x += start, dx += start;
    // mean(h), mean(h d r)
    float h_mean = 0.f, hd_mean = 0.f;
    for (int j = threadIdx.x; j < columns; j += blockDim.x) {
        float h = to_float(g[j]) * weight_of(weight, j);
        h_mean += h;
        hd_mean += h * (to_float(x[j]) - m) * r;
    }
    h_mean = mean ? block_sum(h_mean) / columns : 0.f;
    hd_mean = block_sum(hd_mean) / columns;

    for (int j = threadIdx.x; j < columns; j += blockDim.x) {
        float h = to_float(g[j]) * weight_of(weight, j), d = (to_float(x[j]) - m) * r;
        dx[j] = from_float<scalar>(r * (h - h_mean - d * hd_mean));
    }
}

// A thread a column, a block of rows a gridDim.y: parts of dw, then, where there is a mean, of db, (gridDim.y, columns) each.
extern "C" __global__ void layer_norm_parameters_simple(const scalar* g, const scalar* x, const float* mean, const float* rstd,
                                                        OUT float* parts, int64_t rows, int columns) {
    int j = blockIdx.x * blockDim.x + threadIdx.x;
    if (j >= columns) return;
    float dw = 0.f, db = 0.f;
    for (int64_t row = blockIdx.y; row < rows; row += gridDim.y) {
        float gj = to_float(g[row * columns + j]);
        dw += gj * (to_float(x[row * columns + j]) - (mean ? mean[row] : 0.f)) * rstd[row];
        db += gj;
    }
    parts[(size_t)blockIdx.y * columns + j] = dw;
    if (mean) parts[((size_t)gridDim.y + blockIdx.y) * columns + j] = db;
}

// ---- held -------------------------------------------------------------------------------------------------------

extern "C" __global__ void __launch_bounds__(HELD_BLOCK)
layer_norm_held(const scalar* x, const parameter* weight, const parameter* bias, OUT scalar* y, OUT float* mean, OUT float* rstd,
                int64_t rows, int columns, float eps) {
    int64_t row = group_index(), start = row * columns;
    int wide = row < rows ? columns : 0;                             // nothing to read or write, but reductions need every lane

    float v[ENTRIES];
    load_row(x + start, wide, 0.f, v);
    float m = 0.f, square = 0.f;
    if (mean) {
#pragma unroll
        for (int i = 0; i < ENTRIES; i++) m += v[i];
        m = row_sum(m) / columns;
    }
#pragma unroll
    for (int i = 0; i < ENTRIES; i++) {
        v[i] = column_of(i) < wide ? v[i] - m : 0.f;
        square += v[i] * v[i];
    }
    float r = rsqrtf(row_sum(square) / columns + eps);

    float w[VECTOR], b[VECTOR];
#pragma unroll
    for (int i = 0; i < ENTRIES; i += VECTOR) {
        if (column_of(i) >= wide) continue;
        if (weight) load<VECTOR>(weight + column_of(i), w);
        if (bias) load<VECTOR>(bias + column_of(i), b);
#pragma unroll
        for (int k = 0; k < VECTOR; k++) v[i + k] = v[i + k] * r * (weight ? w[k] : 1.f) + (bias ? b[k] : 0.f);
        store<VECTOR>(y + start + column_of(i), v + i);
    }
    if (threadIdx.x % THREADS == 0 && row < rows) {
        if (mean) mean[row] = m;
        rstd[row] = r;
    }
}

// parts: null where dw and db are not wanted; else of dw, then, where there is a mean, of db, (groups, columns) each.
extern "C" __global__ void __launch_bounds__(HELD_BLOCK)
layer_norm_backward_held(const scalar* g, const scalar* x, const parameter* weight, const float* mean, const float* rstd,
                         OUT scalar* dx, OUT float* parts, int64_t rows, int columns) {
    float u[ENTRIES], v[ENTRIES], w[VECTOR], dw[ENTRIES] = {}, db[ENTRIES] = {};
    for (int64_t first = 0; first < rows; first += group_count()) {
        int64_t row = first + group_index(), start = row * columns;
        bool exists = row < rows;
        int wide = exists ? columns : 0;
        float m = exists && mean ? mean[row] : 0.f, r = exists ? rstd[row] : 0.f;
        load_row(g + start, wide, 0.f, u);
        load_row(x + start, wide, 0.f, v);
        // d r; dw += g d r; db += g; h = g w; mean(h), mean(h d r)
        float h_mean = 0.f, hd_mean = 0.f;
#pragma unroll
        for (int i = 0; i < ENTRIES; i += VECTOR) {
            if (weight && column_of(i) < wide) load<VECTOR>(weight + column_of(i), w);
#pragma unroll
            for (int k = 0; k < VECTOR; k++) {
                v[i + k] = column_of(i) < wide ? (v[i + k] - m) * r : 0.f;
                dw[i + k] += u[i + k] * v[i + k];
                db[i + k] += u[i + k];
                if (weight && column_of(i) < wide) u[i + k] *= w[k];
                h_mean += u[i + k];
                hd_mean += u[i + k] * v[i + k];
            }
        }
        h_mean = mean ? row_sum(h_mean) / columns : 0.f;
        hd_mean = row_sum(hd_mean) / columns;
#pragma unroll
        for (int i = 0; i < ENTRIES; i++) u[i] = r * (u[i] - h_mean - v[i] * hd_mean);
        store_row(dx + start, wide, u);
    }
    if (parts) {
        store_row(parts + group_index() * columns, columns, dw);
        if (mean) store_row(parts + (group_count() + group_index()) * columns, columns, db);
    }
}

// ---- the second stage -------------------------------------------------------------------------------------------

// dw[j] = sum over i of parts[i, j]; by the blocks of blockIdx.y = 1, db from the second half of the parts.
constexpr int SLICES = 16;

extern "C" __global__ void __launch_bounds__(32 * SLICES)
column_sums(const float* parts, OUT parameter* dw, OUT parameter* db, int count, int columns) {
    __shared__ float slice[SLICES][32];
    int j = blockIdx.x * 32 + threadIdx.x;
    float sum = 0.f;
    parts += (size_t)blockIdx.y * count * columns;
    if (j < columns)
        for (int i = threadIdx.y; i < count; i += SLICES) sum += parts[(size_t)i * columns + j];
    slice[threadIdx.y][threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.y == 0 && j < columns) {
        for (int k = 1; k < SLICES; k++) sum += slice[k][threadIdx.x];
        (blockIdx.y ? db : dw)[j] = from_float<parameter>(sum);
    }
}
