// Philox-4x32-10 (Salmon et al. 2011): four random words of a counter and a key.  No state: any thread can have any number.
#pragma once
#include "kernel.cuh"

__device__ __forceinline__ uint4 philox(uint4 counter, uint2 key) {
    #pragma unroll
    for (int round = 0; round < 10; round++) {
        uint32_t low0 = 0xD2511F53u * counter.x, high0 = __umulhi(0xD2511F53u, counter.x);
        uint32_t low1 = 0xCD9E8D57u * counter.z, high1 = __umulhi(0xCD9E8D57u, counter.z);
        counter = make_uint4(high1 ^ counter.y ^ key.x, low1, high0 ^ counter.w ^ key.y, low0);
        key = make_uint2(key.x + 0x9E3779B9u, key.y + 0xBB67AE85u);
    }
    return counter;
}
