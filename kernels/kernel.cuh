// What every kernel here may use: words for parameters, number types, reductions within a warp and a block.
#pragma once

// Words for a kernel's parameters.  They mean nothing to the compiler; the launch code reads them (signature.py).
#define OUT                // written in full, never read before
#define SCRATCH            // room to work in, undefined before and after
#define ALIGNED(bytes)     // the address is a multiple of this
#define STRIDED            // axes in any order, without gaps

#ifndef CUSIM              // the simulator has its own
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#ifdef __CUDACC_RTC__      // NVRTC has no <cstdint>
typedef unsigned char uint8_t;
typedef unsigned short uint16_t;
typedef unsigned int uint32_t;
typedef unsigned long long uint64_t;
typedef long long int64_t;
#else
#include <cstdint>
#endif
#endif
typedef __nv_bfloat16 bf16;

// The type in which a kernel's arrays are stored; sums are always in float.  Chosen at compile time: -Dscalar=half
#ifndef scalar
#define scalar float
#endif

#define INF __int_as_float(0x7f800000)
#define ALL_LANES 0xffffffffu

__device__ __forceinline__ float to_float(float x) { return x; }
__device__ __forceinline__ float to_float(half x) { return __half2float(x); }
__device__ __forceinline__ float to_float(bf16 x) { return __bfloat162float(x); }

template <class T> __device__ __forceinline__ T from_float(float x);
template <> __device__ __forceinline__ float from_float<float>(float x) { return x; }
template <> __device__ __forceinline__ half from_float<half>(float x) { return __float2half_rn(x); }
template <> __device__ __forceinline__ bf16 from_float<bf16>(float x) { return __float2bfloat16_rn(x); }

// An address that came from a table, known to be of global memory: loads and stores need not find out.
template <class T> __device__ __forceinline__ T* global(T* x) {
#ifndef CUSIM
    __builtin_assume(__isGlobal(x));
#endif
    return x;
}

// ---- vectors: N numbers at a time, as few instructions of up to 16 bytes ------------------------------------------
// The address must be a multiple of the vector's size, or of 16 bytes where that is less.

template <class T, int N> struct alignas(sizeof(T) * N) Vector { T x[N]; };

template <int N, class T> __device__ __forceinline__ bool aligned(const T* x) {
    return (size_t)x % (sizeof(T) * N < 16 ? sizeof(T) * N : 16) == 0;
}

template <int N, class T> __device__ __forceinline__ void load(const T* from, float* x) {
    constexpr int most = 16 / sizeof(T), width = N < most ? N : most;
#pragma unroll
    for (int i = 0; i < N; i += width) {
        Vector<T, width> v = *(const Vector<T, width>*)(from + i);
#pragma unroll
        for (int k = 0; k < width; k++) x[i + k] = to_float(v.x[k]);
    }
}

template <int N, class T> __device__ __forceinline__ void store(T* to, const float* x) {
    constexpr int most = 16 / sizeof(T), width = N < most ? N : most;
#pragma unroll
    for (int i = 0; i < N; i += width) {
        Vector<T, width> v;
#pragma unroll
        for (int k = 0; k < width; k++) v.x[k] = from_float<T>(x[i + k]);
        *(Vector<T, width>*)(to + i) = v;
    }
}

template <class T> __device__ __forceinline__ float4 ld4(const T* from) {
    float x[4];
    load<4>(from, x);
    return make_float4(x[0], x[1], x[2], x[3]);
}

template <class T> __device__ __forceinline__ void st4(T* to, float4 v) {
    float x[4] = {v.x, v.y, v.z, v.w};
    store<4>(to, x);
}

// ---- reductions: every lane (thread) gets the result ------------------------------------------------------------

// Over each LANES neighbouring lanes, a power of two; all 32 lanes of the warp call it.
template <int LANES = 32> __device__ __forceinline__ float warp_sum(float x) {
#pragma unroll
    for (int offset = LANES / 2; offset > 0; offset /= 2) x += __shfl_xor_sync(ALL_LANES, x, offset);
    return x;
}

template <int LANES = 32> __device__ __forceinline__ float warp_max(float x) {
#pragma unroll
    for (int offset = LANES / 2; offset > 0; offset /= 2) x = fmaxf(x, __shfl_xor_sync(ALL_LANES, x, offset));
    return x;
}

// Over a block of up to 1024 threads, a multiple of 32 of them; all of them call it.  One room serves all of these functions.
__device__ __forceinline__ float* left_by_warps() {
    __shared__ float partial[64];
    return partial;
}

__device__ __forceinline__ float block_sum(float x) {
    float* partial = left_by_warps();
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
    x = warp_sum(x);
    if (lane == 0) partial[warp] = x;
    __syncthreads();
    x = warp_sum(lane < warps ? partial[lane] : 0.f);
    __syncthreads();                                 // `partial` may be used again
    return x;
}

__device__ __forceinline__ float block_max(float x) {
    float* partial = left_by_warps();
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
    x = warp_max(x);
    if (lane == 0) partial[warp] = x;
    __syncthreads();
    x = warp_max(lane < warps ? partial[lane] : -INF);
    __syncthreads();
    return x;
}

// ---- softmax's two numbers: the largest of some entries, and the sum of e^(x - largest) over them ----------------

struct MaxSum { float largest, sum; };

// What to subtract before e^x: 0 where every entry is -inf, for -inf minus -inf is NaN and would spoil what it is merged with.
__device__ __forceinline__ float origin(float largest) { return largest == -INF ? 0.f : largest; }

template <int N> __device__ __forceinline__ MaxSum max_sum(const float* x) {
    MaxSum a = {-INF, 0.f};
#pragma unroll
    for (int i = 0; i < N; i++) a.largest = fmaxf(a.largest, x[i]);
    float o = origin(a.largest);
#pragma unroll
    for (int i = 0; i < N; i++) a.sum += expf(x[i] - o);
    return a;
}

__device__ __forceinline__ MaxSum merged(MaxSum a, MaxSum b) {
    float largest = fmaxf(a.largest, b.largest), o = origin(largest);
    return {largest, a.sum * expf(a.largest - o) + b.sum * expf(b.largest - o)};
}

template <int LANES = 32> __device__ __forceinline__ MaxSum warp_max_sum(MaxSum a) {
    float largest = warp_max<LANES>(a.largest);
    return {largest, warp_sum<LANES>(a.sum * expf(a.largest - origin(largest)))};
}

__device__ __forceinline__ MaxSum block_max_sum(MaxSum a) {
    float* partial = left_by_warps();
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
    a = warp_max_sum(a);
    if (lane == 0) partial[warp] = a.largest, partial[32 + warp] = a.sum;
    __syncthreads();
    MaxSum b = {lane < warps ? partial[lane] : -INF, lane < warps ? partial[32 + lane] : 0.f};
    b = warp_max_sum(b);
    __syncthreads();
    return b;
}
