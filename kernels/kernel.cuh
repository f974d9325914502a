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

// ---- reductions: every lane (thread) gets the result ------------------------------------------------------------

__device__ __forceinline__ float warp_sum(float x) {
    for (int offset = 16; offset > 0; offset /= 2) x += __shfl_xor_sync(ALL_LANES, x, offset);
    return x;
}

__device__ __forceinline__ float warp_max(float x) {
    for (int offset = 16; offset > 0; offset /= 2) x = fmaxf(x, __shfl_xor_sync(ALL_LANES, x, offset));
    return x;
}

// Over a block of up to 1024 threads, a multiple of 32 of them; all of them call it.
__device__ __forceinline__ float block_sum(float x) {
    __shared__ float partial[32];
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
    x = warp_sum(x);
    if (lane == 0) partial[warp] = x;
    __syncthreads();
    x = warp_sum(lane < warps ? partial[lane] : 0.f);
    __syncthreads();                                 // `partial` may be used again
    return x;
}

__device__ __forceinline__ float block_max(float x) {
    __shared__ float partial[32];
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
    x = warp_max(x);
    if (lane == 0) partial[warp] = x;
    __syncthreads();
    x = warp_max(lane < warps ? partial[lane] : -INF);
    __syncthreads();
    return x;
}
