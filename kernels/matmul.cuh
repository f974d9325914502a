// A batch of matrix products C = A B: where the operands lie, which tile a block computes, what is done to a result.
#pragma once
#include "activations.cuh"
#ifndef ACTIVATION
#define ACTIVATION IDENTITY           // of the epilogue
#endif

// An operand's strides, in elements.  The batch has two axes, so that permuted and broadcast operands are read where they are;
// along an axis that all products share, the stride is 0.
struct Strides {
    long long row, column, outer, inner;
};

struct Product {                      // C (outer, inner, M, N) = A (outer, inner, M, K)  B (outer, inner, K, N)
    Strides a, b;
    int M, N, K, outer, inner;
    int vectors;                      // bit 0: A comes in whole 16-byte vectors along its contiguous axis; bit 1: B
};

template <class T> struct Matrix {
    const T* data;
    long long row, column;
    __device__ __forceinline__ const T& operator()(int i, int j) const { return data[i * row + j * column]; }
};

template <class T> __device__ __forceinline__
Matrix<T> matrix(const T* data, const Strides& s, const Product& p, long long batch) {
    return {data + batch / p.inner * s.outer + batch % p.inner * s.inner, s.row, s.column};
}

// ---- which tile -------------------------------------------------------------------------------------------------

struct Tile {
    long long batch;
    int i, j;                         // the tile's first row and column
};

// Tile `index` of all tiles of all products, `rows` x `columns` each.  Blocks that run at one time have near indices: these go
// down eight tiles before they go right, so that together the blocks read few rows of A and few columns of B, from the L2 cache.
__device__ __forceinline__ Tile tile(const Product& p, long long index, int rows, int columns) {
    constexpr int BAND = 8;
    int down = (p.M + rows - 1) / rows, right = (p.N + columns - 1) / columns;
    long long batch = index / ((long long)down * right);
    int place = (int)(index - batch * down * right);
    int top = place / (BAND * right) * BAND, height = min(BAND, down - top);
    int within = place - top * right;
    return {batch, (top + within % height) * rows, within / height * columns};
}

// ---- the epilogue -----------------------------------------------------------------------------------------------

// What is stored for a sum: activation(sum + bias).
__device__ __forceinline__ float finish(float sum, float bias) { return activate<ACTIVATION>(sum + bias); }

// The bias of column j; 0 without one (null) and beyond the last column.
template <class T> __device__ __forceinline__ float bias_of(const T* bias, int j, int N) {
    return bias && j < N ? to_float(bias[j]) : 0.f;
}
