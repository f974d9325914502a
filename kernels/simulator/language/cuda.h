// The CUDA C++ language for the host's compiler, included before every kernel: words, built-in variables, and, from the other
// headers of this folder, types and functions.  It includes nothing of C++'s own library, so that a kernel which needs some of it
// fails here as it does with NVRTC.
#pragma once
#include "../runtime/interface.h"

#define CUSIM 1
#define __CUDACC__ 1
#define __CUDA_ARCH__ 900
#define __CUDA_ARCH_FEAT_SM90_ALL 1

// Models of instructions are not looked at by the checker themselves.
#define CUSIM_MODEL __attribute__((no_sanitize("thread")))

#define __global__ __attribute__((noinline, visibility("default")))
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __shared__ thread_local                      // one OS thread runs one block at a time
#define __constant__ __attribute__((visibility("default")))
#define __launch_bounds__(...)
#define __cluster_dims__(...)
#define __grid_constant__
#define __align__(n) __attribute__((aligned(n)))
#define __restrict__ __restrict

#define threadIdx (cusim_thread_index())
#define blockIdx (cusim_block_index())
#define blockDim (cusim_block_size())
#define gridDim (cusim_grid_size())
#define warpSize 32

#define assert(condition) ((condition) ? (void)0 : cusim_fail("assertion", cusim_here(), "assert(%s) failed", #condition))

extern "C" int printf(const char* format, ...);

#include "types.h"
#include "numbers.h"
#include "mathematics.h"
#include "warp.h"
#include "atomics.h"
#include "arguments.h"
