// Rows of a table by number, and the table's gradient: each row gets the sum of the gradients at the places that name it.
//
//   version                       idea
//   embedding_forward             a few threads copy a row, WIDTH numbers at a time
//   embedding_backward_atomic     the same threads add rows to the table by atomics: short, in float only, and its sums come out
//                                 a little different each time, for nobody orders the additions
//   embedding_backward_tiles      the places sorted by the row they name: threads walk down TILE of them, summing while it stays
//   embedding_backward_joins      the same; a row whose places cross the end of a tile is put together from the tiles' sums.  The
//                                 order of all additions is fixed, and a row named by every place is still shared out among tiles
#include "kernel.cuh"

#ifndef WIDTH
#define WIDTH 1                  // numbers per load and store; columns and addresses must be multiples of it
#endif
#define TILE 32                  // places that a thread walks down; as in embedding.py
#define BATCH 4                  // of them are loaded at a time
#define NOT_A_NUMBER __int_as_float(0x7fffffff)

// y[i] = table[index[i]]: (rows, columns) -> (count, columns).  Zeros for `zero_row`; NaN for a row that is not there.
extern "C" __global__ void __launch_bounds__(256)
embedding_forward(const int64_t* index, const scalar* table, OUT scalar* y, int64_t count, int64_t rows, int columns,
                  int64_t zero_row) {
    int64_t i = (int64_t)blockIdx.x * blockDim.y + threadIdx.y;
    if (i >= count) return;
    int64_t row = index[i];
    bool there = row >= 0 && row < rows && row != zero_row;
    float fill = row == zero_row ? 0.f : NOT_A_NUMBER;
    for (int j = threadIdx.x * WIDTH; j < columns; j += blockDim.x * WIDTH) {
        float v[WIDTH];
        for (int k = 0; k < WIDTH; k++) v[k] = fill;
        if (there) load<WIDTH>(table + row * columns + j, v);
        store<WIDTH>(y + i * columns + j, v);
    }
}

// y[index[i]] += g[i], y zeros before.  Rows that are not there and row `padding` get nothing.
extern "C" __global__ void __launch_bounds__(256)
embedding_backward_atomic(const scalar* g, const int64_t* index, float* y, int64_t count, int64_t rows, int columns,
                          int64_t padding) {
    int64_t step = (int64_t)gridDim.x * blockDim.y;
    for (int64_t i = (int64_t)blockIdx.x * blockDim.y + threadIdx.y; i < count; i += step) {
        int64_t row = index[i];
        if (row < 0 || row >= rows || row == padding) continue;
        for (int j = threadIdx.x; j < columns; j += blockDim.x) atomicAdd(y + row * columns + j, to_float(g[i * columns + j]));
    }
}

// named: the rows named, sorted; place[p]: where named[p] stands: g[place[p]] belongs to row named[p].  y is zeros before.
// sums (tiles, 2, columns): what a tile cannot finish, [0] of a row that began in a tile before, [1] of one that goes on after.
extern "C" __global__ void __launch_bounds__(256)
embedding_backward_tiles(const scalar* __restrict__ g, const int64_t* __restrict__ named, const int64_t* __restrict__ place,
                         scalar* __restrict__ y, SCRATCH float* __restrict__ sums, int64_t count, int64_t rows, int columns,
                         int64_t padding) {
    int64_t tile = (int64_t)blockIdx.x * blockDim.y + threadIdx.y, begin = tile * TILE;
    int64_t end = begin + TILE < count ? begin + TILE : count;
    if (begin >= count) return;
    for (int j = (blockIdx.y * blockDim.x + threadIdx.x) * WIDTH; j < columns; j += gridDim.y * blockDim.x * WIDTH) {
        bool began_before = begin > 0 && named[begin - 1] == named[begin];
        float sum[WIDTH] = {};
        for (int64_t first = begin; first < end; first += BATCH) {
            float v[BATCH][WIDTH];
#pragma unroll
            for (int q = 0; q < BATCH; q++)
                if (first + q < end) load<WIDTH>(g + place[first + q] * columns + j, v[q]);
#pragma unroll
            for (int q = 0; q < BATCH; q++) {
                int64_t p = first + q;
                if (p >= end) break;
                for (int k = 0; k < WIDTH; k++) sum[k] += v[q][k];

                int64_t row = named[p];
                bool goes_on = p + 1 < count && named[p + 1] == row;
                if (goes_on && p + 1 < end) continue;
                if (began_before || goes_on)
                    store<WIDTH>(sums + (tile * 2 + (began_before ? 0 : 1)) * columns + j, sum);
                else if (row >= 0 && row < rows && row != padding)
                    store<WIDTH>(y + row * columns + j, sum);
                began_before = false;
                for (int k = 0; k < WIDTH; k++) sum[k] = 0.f;
            }
        }
    }
}

// A row that begins in a tile and goes on after it: the sums of that tile and of those that follow, while they are of this row.
extern "C" __global__ void __launch_bounds__(256)
embedding_backward_joins(const int64_t* __restrict__ named, const float* __restrict__ sums, scalar* __restrict__ y, int64_t count,
                         int64_t rows, int columns, int64_t padding) {
    int64_t tile = (int64_t)blockIdx.x * blockDim.y + threadIdx.y, begin = tile * TILE, end = begin + TILE;
    if (end >= count) return;
    int64_t row = named[end - 1];
    bool began_before = begin > 0 && named[begin - 1] == row;
    if (named[end] != row || began_before || row < 0 || row >= rows || row == padding) return;
    for (int j = (blockIdx.y * blockDim.x + threadIdx.x) * WIDTH; j < columns; j += gridDim.y * blockDim.x * WIDTH) {
        float sum[WIDTH], v[WIDTH];
        load<WIDTH>(sums + (tile * 2 + 1) * columns + j, sum);
        for (int64_t t = tile + 1; t * TILE < count && named[t * TILE] == row; t++) {
            load<WIDTH>(sums + t * 2 * columns + j, v);
            for (int k = 0; k < WIDTH; k++) sum[k] += v[k];
        }
        store<WIDTH>(y + row * columns + j, sum);
    }
}
