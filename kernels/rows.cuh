// A row of an array, held in registers: it is read once, and reduced without going back to memory.
//
// THREADS threads share a row (a power of two: part of a warp up to 32, above that the block).  Each holds PARTS vectors
// of VECTOR entries, the vectors of neighbouring threads side by side:
//
//     row   | thread 0 | thread 1 | ... | thread THREADS - 1 | thread 0 | thread 1 | ...
//           '------------------ part 0 ----------------------'----- part 1 -----
//
// VECTOR is 1, or 16 bytes' worth where rows are a multiple of that long and start at multiples of 16 bytes.
#pragma once
#include "kernel.cuh"

#ifndef THREADS
#define THREADS 32
#endif
#ifndef PARTS
#define PARTS 4
#endif
#ifndef VECTOR
#define VECTOR 1
#endif

constexpr int ENTRIES = PARTS * VECTOR;                      // of a row, held by one thread
constexpr int HELD_BLOCK = THREADS > 128 ? THREADS : 128;    // the most threads in a block

// The threads that share a row are a group; groups are numbered through the grid.
__device__ __forceinline__ int64_t group_index() {
    return THREADS <= 32 ? (int64_t)blockIdx.x * (blockDim.x / THREADS) + threadIdx.x / THREADS : blockIdx.x;
}

__device__ __forceinline__ int64_t group_count() {
    return THREADS <= 32 ? (int64_t)gridDim.x * (blockDim.x / THREADS) : gridDim.x;
}

// The column of the thread's entry i.
__device__ __forceinline__ int column_of(int i) {
    return (i / VECTOR * THREADS + threadIdx.x % THREADS) * VECTOR + i % VECTOR;
}

// x = the thread's entries of a row, `fill` beyond its end.
template <class T> __device__ __forceinline__ void load_row(const T* row, int columns, float fill, float (&x)[ENTRIES]) {
#pragma unroll
    for (int i = 0; i < ENTRIES; i += VECTOR) {
        if (column_of(i) < columns) {
            load<VECTOR>(row + column_of(i), x + i);
        } else {
#pragma unroll
            for (int k = 0; k < VECTOR; k++) x[i + k] = fill;
        }
    }
}

template <class T> __device__ __forceinline__ void store_row(T* row, int columns, const float (&x)[ENTRIES]) {
#pragma unroll
    for (int i = 0; i < ENTRIES; i += VECTOR)
        if (column_of(i) < columns) store<VECTOR>(row + column_of(i), x + i);
}

// Over a row: every thread of the group gets the result, all threads of the warp or block take part.
__device__ __forceinline__ float row_sum(float x) {
    if constexpr (THREADS <= 32) return warp_sum<THREADS>(x);
    else return block_sum(x);
}

__device__ __forceinline__ MaxSum row_max_sum(MaxSum a) {
    if constexpr (THREADS <= 32) return warp_max_sum<THREADS>(a);
    else return block_max_sum(a);
}
