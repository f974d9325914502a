// Correct kernels in which tests/kernels/planted.py plants bugs: TMA, mbarriers, wgmma, clusters.
#include "kernel.cuh"
#include "ptx.cuh"

// y = 2 x for x (64 * tiles, 64): one thread loads tiles by TMA two deep, all double them, one stores them.
extern "C" __global__ void double_tiles(const __grid_constant__ CUtensorMap x, const __grid_constant__ CUtensorMap y, int tiles) {
    extern __shared__ __align__(1024) unsigned char shared[];
    bf16* in = reinterpret_cast<bf16*>(shared);                          // 2 tiles of 64 x 64
    bf16* out = in + 2 * 4096;
    uint64_t* full = reinterpret_cast<uint64_t*>(out + 4096);
    int t = threadIdx.x;
    if (t == 0) {
        mbar_init(&full[0], 1);
        mbar_init(&full[1], 1);
        mbar_fence_init();
    }
    __syncthreads();
    auto load = [&](int k) {
        mbar_expect_tx(&full[k % 2], 8192);
        tma_load_2d(in + k % 2 * 4096, &x, &full[k % 2], 0, 64 * k);
    };
    if (t == 0) load(0);
    for (int k = 0; k < tiles; k++) {
        if (t == 0 && k + 1 < tiles) load(k + 1);
        mbar_wait(&full[k % 2], k / 2 % 2);
        for (int i = t; i < 4096; i += blockDim.x) out[i] = from_float<bf16>(2.f * to_float(in[k % 2 * 4096 + i]));
        fence_proxy_async();
        __syncthreads();                             // the tile is read, the result is there
        if (t == 0) {
            tma_store_2d(&y, out, 0, 64 * k);
            bulk_commit();
            bulk_wait<0>();
        }
        __syncthreads();                             // the result may be overwritten
    }
}

// d (64, 64) = a (64, 64) b^T for b (64, 64): one warpgroup
extern "C" __global__ void product(const __grid_constant__ CUtensorMap a, const __grid_constant__ CUtensorMap b, OUT float* d) {
    extern __shared__ __align__(1024) unsigned char shared[];
    bf16* as = reinterpret_cast<bf16*>(shared);
    bf16* bs = as + 4096;
    uint64_t* full = reinterpret_cast<uint64_t*>(bs + 4096);
    int t = threadIdx.x, lane = t % 32, warp = t / 32;
    if (t == 0) {
        mbar_init(full, 1);
        mbar_fence_init();
    }
    __syncthreads();
    if (t == 0) {
        mbar_expect_tx(full, 16384);
        tma_load_2d(as, &a, full, 0, 0);
        tma_load_2d(bs, &b, full, 0, 0);
    }
    mbar_wait(full, 0);
    float sum[32] = {};
    wgmma_fence();
    for (int k = 0; k < 4; k++) wgmma_m64n64k16<0, 0>(sum, wgmma_desc(as + 16 * k, 16, 1024), wgmma_desc(bs + 16 * k, 16, 1024));
    wgmma_commit();
    wgmma_wait<0>();
    for (int j = 0; j < 8; j++)
        for (int i = 0; i < 4; i++)
            d[(16 * warp + lane / 4 + 8 * (i / 2)) * 64 + 8 * j + 2 * (lane % 4) + i % 2] = sum[4 * j + i];
}

// Two blocks of a cluster load half a tile each, for both of them; each stores the whole.
extern "C" __global__ void __cluster_dims__(2, 1, 1)
multicast(const __grid_constant__ CUtensorMap x, const __grid_constant__ CUtensorMap y) {
    extern __shared__ __align__(1024) unsigned char shared[];
    uint64_t* full = reinterpret_cast<uint64_t*>(shared + 8192);
    int t = threadIdx.x, rank = cluster_rank();
    if (t == 0) {
        mbar_init(full, 1);
        mbar_fence_init();
    }
    cluster_sync();                                  // the other block's barrier is there
    if (t == 0) {
        mbar_expect_tx(full, 8192);
        tma_load_2d_multicast(shared + 4096 * rank, &x, full, 0, 32 * rank, (unsigned short)3);
    }
    mbar_wait(full, 0);
    if (t == 0) {
        tma_store_2d(&y, shared, 0, 64 * (int)blockIdx.x);
        bulk_commit();
        bulk_wait<0>();
    }
    cluster_sync();
}
