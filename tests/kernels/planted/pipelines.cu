// Correct kernels in which tests/kernels/planted.py plants bugs: warps that hand tiles to each other, asynchronous copies.
#include "kernel.cuh"
#include "ptx.cuh"

// The first warp doubles rows of 32 and hands them over, in two buffers, to the second, which turns them round.
extern "C" __global__ void hand_over(const float* x, OUT float* y, int rows) {
    __shared__ float buffer[2][32];
    int lane = threadIdx.x % 32;
    for (int i = 0; i < rows; i++) {
        int s = i % 2;
        if (threadIdx.x < 32) {
            if (i >= 2) bar_sync(3 + s, 64);         // the buffer is free
            buffer[s][lane] = 2.f * x[i * 32 + lane];
            bar_arrive(1 + s, 64);                   // the buffer is full
        } else {
            bar_sync(1 + s, 64);
            y[i * 32 + lane] = buffer[s][31 - lane];
            if (i + 2 < rows) bar_arrive(3 + s, 64);
        }
    }
}

// y[t] = sum over tiles k of x[k][127 - t], the tiles copied three deep by cp.async
extern "C" __global__ void sum_tiles(ALIGNED(16) const float* x, OUT float* y, int tiles) {
    __shared__ __align__(16) float tile[3][128];
    int t = threadIdx.x;
    float sum = 0.f;
    auto copy = [&](int k) {
        if (k < tiles && t < 32) cp_async<16>(&tile[k % 3][4 * t], &x[k * 128 + 4 * t]);
        cp_async_commit();
    };
    copy(0);
    copy(1);
    for (int k = 0; k < tiles; k++) {
        cp_async_wait<1>();                          // all but the newest group
        __syncthreads();
        copy(k + 2);                                 // into the tile that was read in the last turn
        sum += tile[k % 3][127 - t];
    }
    cp_async_wait<0>();
    y[t] = sum;
}
