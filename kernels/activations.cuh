// Activation functions and their slopes, chosen at compile time: activate<GELU>(x).
#pragma once
#include "kernel.cuh"

enum { IDENTITY, RELU, GELU, GELU_TANH, SILU, TANH, SIGMOID };        // as in elementwise.py

__device__ __forceinline__ float sigmoid(float x) { return 1.f / (1.f + expf(-x)); }

template <int A> __device__ __forceinline__ float activate(float x) {
    if constexpr (A == RELU) return x <= 0.f ? 0.f : x;                           // NaN stays NaN
    if constexpr (A == GELU) return 0.5f * x * (1.f + erff(x * (float)0.7071067811865476));
    if constexpr (A == GELU_TANH) {
        float u = (float)0.7978845608028654 * x * (1.f + (float)0.044715 * x * x);
        return 0.5f * x * (1.f + tanhf(u));
    }
    if constexpr (A == SILU) return x * sigmoid(x);
    if constexpr (A == TANH) return tanhf(x);
    if constexpr (A == SIGMOID) return sigmoid(x);
    return x;
}

// d activate(x) / dx
template <int A> __device__ __forceinline__ float slope(float x) {
    if constexpr (A == RELU) return x <= 0.f ? 0.f : 1.f;
    if constexpr (A == GELU) {                                                    // P(X < x) + x * density, X standard normal
        float probability = 0.5f * (1.f + erff(x * (float)0.7071067811865476));
        return probability + x * (float)0.3989422804014327 * expf(-0.5f * x * x);
    }
    if constexpr (A == GELU_TANH) {
        float square = x * x, root = (float)0.7978845608028654, cubic = (float)0.044715;
        float t = tanhf(root * x * (1.f + cubic * square));
        return 0.5f * (1.f + t) + 0.5f * x * (1.f - t * t) * root * (1.f + 3.f * cubic * square);
    }
    if constexpr (A == SILU) { float s = sigmoid(x); return s * (1.f + x * (1.f - s)); }
    if constexpr (A == TANH) { float t = tanhf(x); return 1.f - t * t; }
    if constexpr (A == SIGMOID) { float s = sigmoid(x); return s * (1.f - s); }
    return 1.f;
}
