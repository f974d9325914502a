// PTX instructions for which CUDA C++ has no word: one function each, with two bodies, inline PTX on the device and a call of the
// instruction's model in the simulator (CUSIM).  Nothing else in this library holds inline assembly.
//
//   sm_80    cp_async<BYTES>  cp_async_commit  cp_async_wait<N>      copies from global to shared memory that run by themselves
//            ldmatrix<N, TRANS>                                      1, 2, 4 matrices of 8 x 8 16-bit numbers to registers
//            mma_bf16  mma_f16  mma_tf32                             a warp's matrix product, D += A B
//            pack_bf16  pack_half                                    two floats as the two halves of a register
//            bar_sync  bar_arrive                                    named barriers 1 to 15 of part of a block
//            load_acquire  store_release                             flags between blocks
//   sm_90    stmatrix<N, TRANS>                                      registers -> shared memory
//            mbar_init  mbar_fence_init  mbar_arrive  mbar_expect_tx  mbar_wait  mbar_try_wait  mbar_inval
//            tma_load_1d ... _5d   tma_load_2d_multicast ... _4d_multicast      boxes of a tensor map, global -> shared
//            tma_store_1d ... _5d  tma_reduce_add_1d ... _4d                    shared -> global, stored or added
//            bulk_commit  bulk_wait<N>  bulk_wait_read<N>            when those stores are done, or have read shared memory
//            fence_proxy_async  prefetch_tmap
//            reg_alloc<N>  reg_dealloc<N>                            registers moved between warpgroups
//            cluster_rank  cluster_size  cluster_sync  cluster_arrive  cluster_wait  cluster_shared  mbar_arrive_cluster
//   sm_90a   wgmma_desc<SWIZZLE>  wgmma_fence  wgmma_commit  wgmma_wait<N>
//            wgmma_m64n{8,16,32,64,96,128,160,192,256}k16<TransA, TransB>(d, a, b, scale_d)          bf16; ..._f16 for f16
//            wgmma_m64n{...}k16_rs<TransB>(d, a, b, scale_d)         A from registers; ..._rs_f16
#pragma once

#ifdef CUSIM
#define PTX inline
#define PTX_AT , cusim_place at = cusim_here()       // the caller's file and line, for reports
#define PTX_ONLY_AT cusim_place at = cusim_here()
#define PTX_SM90
#define PTX_SM90A
#else
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#ifdef __CUDACC_RTC__                                // NVRTC has no <cstdint>
typedef unsigned char uint8_t;
typedef unsigned short uint16_t;
typedef unsigned int uint32_t;
typedef unsigned long long uint64_t;
#else
#include <cstdint>
#endif
struct __align__(128) TensorMapOnDevice { unsigned long long opaque[16]; };
#define CUtensorMap TensorMapOnDevice
#define PTX __device__ __forceinline__
#define PTX_AT
#define PTX_ONLY_AT
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
#define PTX_SM90
#endif
#if !defined(__CUDA_ARCH__) || defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define PTX_SM90A
#endif
#endif
typedef __nv_bfloat16 bf16;

// A pointer into shared memory as the 32-bit address that instructions take.
PTX uint32_t smem_u32(const void* p) {
#ifdef CUSIM
    return cusim_shared_address(p);
#else
    return (uint32_t)__cvta_generic_to_shared(p);
#endif
}

// ---- sm_80: asynchronous copies ----------------------------------------------------------------------------------------

// BYTES (4, 8 or 16) from global to shared memory; zeros where not `valid`.  Both addresses are multiples of BYTES.
template <int BYTES> PTX void cp_async(void* smem, const void* gmem, bool valid = true PTX_AT) {
#ifdef CUSIM
    cusim_cp_async(smem, gmem, BYTES, valid ? BYTES : 0, at);
#else
    static_assert(BYTES == 4 || BYTES == 8 || BYTES == 16, "cp.async copies 4, 8 or 16 bytes");
    int bytes = valid ? BYTES : 0;
    if (BYTES == 16)
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(smem_u32(smem)), "l"(gmem), "r"(bytes) : "memory");
    else
        asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;"
                     ::"r"(smem_u32(smem)), "l"(gmem), "n"(BYTES), "r"(bytes) : "memory");
#endif
}

PTX void cp_async_commit() {
#ifdef CUSIM
    cusim_cp_async_commit();
#else
    asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

// Until all of this thread's groups but the N latest have landed.
template <int N> PTX void cp_async_wait() {
#ifdef CUSIM
    cusim_cp_async_wait(N);
#else
    asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
#endif
}

// ---- sm_80: matrices in a warp's registers -------------------------------------------------------------------------------

// Lane 8i + j gives the address of row j of matrix i; lane t gets of each matrix elements 2 (t % 4) and the next of row t / 4
// (TRANS: of column t / 4).
template <int N, bool TRANS> PTX void ldmatrix(uint32_t (&r)[N], const void* smem PTX_AT) {
#ifdef CUSIM
    cusim_ldmatrix(r, N, TRANS, smem, at);
#else
    static_assert(N == 1 || N == 2 || N == 4, "ldmatrix loads 1, 2 or 4 matrices");
    uint32_t a = smem_u32(smem);
    if constexpr (N == 4 && !TRANS)
        asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                     : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(a) : "memory");
    if constexpr (N == 4 && TRANS)
        asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                     : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(a) : "memory");
    if constexpr (N == 2 && !TRANS)
        asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0, %1}, [%2];" : "=r"(r[0]), "=r"(r[1]) : "r"(a) : "memory");
    if constexpr (N == 2 && TRANS)
        asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0, %1}, [%2];"
                     : "=r"(r[0]), "=r"(r[1]) : "r"(a) : "memory");
    if constexpr (N == 1 && !TRANS)
        asm volatile("ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%0}, [%1];" : "=r"(r[0]) : "r"(a) : "memory");
    if constexpr (N == 1 && TRANS)
        asm volatile("ldmatrix.sync.aligned.m8n8.x1.trans.shared.b16 {%0}, [%1];" : "=r"(r[0]) : "r"(a) : "memory");
#endif
}

// D += A B; D 16 x 8, A 16 x 16, B 16 x 8.  With g = lane / 4 and t = lane % 4 a lane holds
// d: rows g, g, g + 8, g + 8, columns 2t, 2t + 1, 2t, 2t + 1;
// a: pairs of columns from 2t (a[0], a[1]) and 2t + 8 (a[2], a[3]) of rows g (a[0], a[2]) and g + 8 (a[1], a[3]);
// b: pairs of rows from 2t (b[0]) and 2t + 8 (b[1]) of column g.
PTX void mma_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2] PTX_AT) {
#ifdef CUSIM
    cusim_mma(d, sizeof(d[0]) == 8, a, b, CUSIM_BF16, at);
#else
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#endif
}

PTX void mma_f16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2] PTX_AT) {
#ifdef CUSIM
    cusim_mma(d, sizeof(d[0]) == 8, a, b, CUSIM_F16, at);
#else
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#endif
}

// A 16 x 8, B 8 x 8, of float bits: a[0], a[1] column t of rows g, g + 8, a[2], a[3] column t + 4; b rows t, t + 4 of column g.
PTX void mma_tf32(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2] PTX_AT) {
#ifdef CUSIM
    cusim_mma(d, sizeof(d[0]) == 8, a, b, CUSIM_TF32, at);
#else
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#endif
}

PTX uint32_t pack_bf16(float low, float high) {
    __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
    return *reinterpret_cast<uint32_t*>(&pair);
}

PTX uint32_t pack_half(float low, float high) {
    __half2 pair = __floats2half2_rn(low, high);
    return *reinterpret_cast<uint32_t*>(&pair);
}

// ---- sm_80: barriers of part of a block, flags between blocks --------------------------------------------------------------

// `count` threads, a multiple of 32, meet at barrier `id` (0 is that of __syncthreads).
PTX void bar_sync(int id, int count PTX_AT) {
#ifdef CUSIM
    cusim_barrier(id, count, true, at);
#else
    asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(count) : "memory");
#endif
}

// Counts as one of them, without waiting.
PTX void bar_arrive(int id, int count PTX_AT) {
#ifdef CUSIM
    cusim_barrier(id, count, false, at);
#else
    asm volatile("bar.arrive %0, %1;" ::"r"(id), "r"(count) : "memory");
#endif
}

// What another thread wrote before its store_release of the value that this returns can be read after it.
PTX uint32_t load_acquire(const uint32_t* flag PTX_AT) {
#ifdef CUSIM
    return cusim_load_acquire(flag, at);
#else
    uint32_t value;
    asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(value) : "l"(flag) : "memory");
    return value;
#endif
}

PTX void store_release(uint32_t* flag, uint32_t value PTX_AT) {
#ifdef CUSIM
    cusim_store_release(flag, value, at);
#else
    asm volatile("st.release.gpu.global.u32 [%0], %1;" ::"l"(flag), "r"(value) : "memory");
#endif
}

#ifdef PTX_SM90
// ---- sm_90: stores of matrices ---------------------------------------------------------------------------------------------

// The opposite of ldmatrix, with its layout.
template <int N, bool TRANS> PTX void stmatrix(void* smem, const uint32_t (&r)[N] PTX_AT) {
#ifdef CUSIM
    cusim_stmatrix(r, N, TRANS, smem, at);
#else
    static_assert(N == 1 || N == 2 || N == 4, "stmatrix stores 1, 2 or 4 matrices");
    uint32_t a = smem_u32(smem);
    if constexpr (N == 4 && !TRANS)
        asm volatile("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1, %2, %3, %4};"
                     ::"r"(a), "r"(r[0]), "r"(r[1]), "r"(r[2]), "r"(r[3]) : "memory");
    if constexpr (N == 4 && TRANS)
        asm volatile("stmatrix.sync.aligned.m8n8.x4.trans.shared.b16 [%0], {%1, %2, %3, %4};"
                     ::"r"(a), "r"(r[0]), "r"(r[1]), "r"(r[2]), "r"(r[3]) : "memory");
    if constexpr (N == 2 && !TRANS)
        asm volatile("stmatrix.sync.aligned.m8n8.x2.shared.b16 [%0], {%1, %2};" ::"r"(a), "r"(r[0]), "r"(r[1]) : "memory");
    if constexpr (N == 2 && TRANS)
        asm volatile("stmatrix.sync.aligned.m8n8.x2.trans.shared.b16 [%0], {%1, %2};" ::"r"(a), "r"(r[0]), "r"(r[1]) : "memory");
    if constexpr (N == 1 && !TRANS)
        asm volatile("stmatrix.sync.aligned.m8n8.x1.shared.b16 [%0], {%1};" ::"r"(a), "r"(r[0]) : "memory");
    if constexpr (N == 1 && TRANS)
        asm volatile("stmatrix.sync.aligned.m8n8.x1.trans.shared.b16 [%0], {%1};" ::"r"(a), "r"(r[0]) : "memory");
#endif
}

// ---- sm_90: mbarriers ------------------------------------------------------------------------------------------------------

// A phase ends when `count` arrivals have come and as many bytes have landed as were expected.
PTX void mbar_init(uint64_t* bar, int count PTX_AT) {
#ifdef CUSIM
    cusim_mbar_init(cusim_shared_address(bar), count, at);
#else
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(smem_u32(bar)), "r"(count) : "memory");
#endif
}

// Makes this thread's mbar_init visible to the TMA unit and to the cluster.
PTX void mbar_fence_init() {
#ifdef CUSIM
    cusim_mbar_fence_init();
#else
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
#endif
}

PTX void mbar_inval(uint64_t* bar PTX_AT) {
#ifdef CUSIM
    cusim_mbar_inval(cusim_shared_address(bar), at);
#else
    asm volatile("mbarrier.inval.shared::cta.b64 [%0];" ::"r"(smem_u32(bar)) : "memory");
#endif
}

PTX void mbar_arrive(uint64_t* bar PTX_AT) {
#ifdef CUSIM
    cusim_mbar_arrive(cusim_shared_address(bar), 0, at);
#else
    asm volatile("{ .reg .b64 state; mbarrier.arrive.shared::cta.b64 state, [%0]; }" ::"r"(smem_u32(bar)) : "memory");
#endif
}

// Arrives, and lets the phase wait for `bytes` more to land.
PTX void mbar_expect_tx(uint64_t* bar, int bytes PTX_AT) {
#ifdef CUSIM
    cusim_mbar_arrive(cusim_shared_address(bar), bytes, at);
#else
    asm volatile("{ .reg .b64 state; mbarrier.arrive.expect_tx.shared::cta.b64 state, [%0], %1; }"
                 ::"r"(smem_u32(bar)), "r"(bytes) : "memory");
#endif
}

// Whether the phase of this parity has ended; may wait a little.
PTX bool mbar_try_wait(uint64_t* bar, int parity PTX_AT) {
#ifdef CUSIM
    return cusim_mbar_try_wait(cusim_shared_address(bar), parity, at);
#else
    uint32_t done;
    asm volatile("{ .reg .pred p; mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2; selp.u32 %0, 1, 0, p; }"
                 : "=r"(done) : "r"(smem_u32(bar)), "r"(parity) : "memory");
    return done;
#endif
}

// Until the phase of this parity has ended: 0 for the first, third, ..., 1 for the second, ...  A new barrier has ended one of 1.
PTX void mbar_wait(uint64_t* bar, int parity PTX_AT) {
#ifdef CUSIM
    cusim_mbar_wait(cusim_shared_address(bar), parity, at);
#else
    while (!mbar_try_wait(bar, parity)) {}
#endif
}

// ---- sm_90: TMA, boxes between global and shared memory ----------------------------------------------------------------------

#ifdef CUSIM
#define TMA_LOAD(RANK, PLACES, ...) \
    int place[] = {__VA_ARGS__}; \
    cusim_tma_load(cusim_shared_address(smem), map, cusim_shared_address(bar), place, RANK, 0, at)
#define TMA_MULTICAST(RANK, PLACES, ...) \
    int place[] = {__VA_ARGS__}; \
    cusim_tma_load(cusim_shared_address(smem), map, cusim_shared_address(bar), place, RANK, blocks, at)
#define TMA_STORE(RANK, PLACES, ...) \
    int place[] = {__VA_ARGS__}; \
    cusim_tma_store(map, cusim_shared_address(smem), place, RANK, false, at)
#define TMA_REDUCE_ADD(RANK, PLACES, ...) \
    int place[] = {__VA_ARGS__}; \
    cusim_tma_store(map, cusim_shared_address(smem), place, RANK, true, at)
#define TMA_X x
#define TMA_XY x, y
#define TMA_XYZ x, y, z
#define TMA_XYZW x, y, z, w
#define TMA_XYZWV x, y, z, w, v
#else
#define TMA_LOAD(RANK, PLACES, ...) \
    asm volatile("cp.async.bulk.tensor." #RANK "d.shared::cluster.global.tile.mbarrier::complete_tx::bytes " \
                 "[%0], [%1, {" PLACES "}], [%2];" \
                 ::"r"(smem_u32(smem)), "l"(map), "r"(smem_u32(bar)), __VA_ARGS__ : "memory")
#define TMA_MULTICAST(RANK, PLACES, ...) \
    asm volatile("cp.async.bulk.tensor." #RANK "d.shared::cluster.global.tile.mbarrier::complete_tx::bytes.multicast::cluster " \
                 "[%0], [%1, {" PLACES "}], [%2], %3;" \
                 ::"r"(smem_u32(smem)), "l"(map), "r"(smem_u32(bar)), "h"(blocks), __VA_ARGS__ : "memory")
#define TMA_STORE(RANK, PLACES, ...) \
    asm volatile("cp.async.bulk.tensor." #RANK "d.global.shared::cta.tile.bulk_group [%0, {" PLACES "}], [%1];" \
                 ::"l"(map), "r"(smem_u32(smem)), __VA_ARGS__ : "memory")
#define TMA_REDUCE_ADD(RANK, PLACES, ...) \
    asm volatile("cp.reduce.async.bulk.tensor." #RANK "d.global.shared::cta.add.tile.bulk_group [%0, {" PLACES "}], [%1];" \
                 ::"l"(map), "r"(smem_u32(smem)), __VA_ARGS__ : "memory")
#define TMA_X "r"(x)
#define TMA_XY "r"(x), "r"(y)
#define TMA_XYZ "r"(x), "r"(y), "r"(z)
#define TMA_XYZW "r"(x), "r"(y), "r"(z), "r"(w)
#define TMA_XYZWV "r"(x), "r"(y), "r"(z), "r"(w), "r"(v)
#endif

// The box at (x, y, ...), x along the array's last axis, to shared memory; zeros outside the array.  Its bytes complete on `bar`.
PTX void tma_load_1d(void* smem, const CUtensorMap* map, uint64_t* bar, int x PTX_AT) {
    TMA_LOAD(1, "%3", TMA_X);
}
PTX void tma_load_2d(void* smem, const CUtensorMap* map, uint64_t* bar, int x, int y PTX_AT) {
    TMA_LOAD(2, "%3, %4", TMA_XY);
}
PTX void tma_load_3d(void* smem, const CUtensorMap* map, uint64_t* bar, int x, int y, int z PTX_AT) {
    TMA_LOAD(3, "%3, %4, %5", TMA_XYZ);
}
PTX void tma_load_4d(void* smem, const CUtensorMap* map, uint64_t* bar, int x, int y, int z, int w PTX_AT) {
    TMA_LOAD(4, "%3, %4, %5, %6", TMA_XYZW);
}
PTX void tma_load_5d(void* smem, const CUtensorMap* map, uint64_t* bar, int x, int y, int z, int w, int v PTX_AT) {
    TMA_LOAD(5, "%3, %4, %5, %6, %7", TMA_XYZWV);
}

// To the same place in every block of the cluster whose bit is set in `blocks`; completes on the barrier at `bar` of each.
PTX void tma_load_2d_multicast(void* smem, const CUtensorMap* map, uint64_t* bar, int x, int y, unsigned short blocks PTX_AT) {
    TMA_MULTICAST(2, "%4, %5", TMA_XY);
}
PTX void tma_load_3d_multicast(void* smem, const CUtensorMap* map, uint64_t* bar, int x, int y, int z,
                               unsigned short blocks PTX_AT) {
    TMA_MULTICAST(3, "%4, %5, %6", TMA_XYZ);
}
PTX void tma_load_4d_multicast(void* smem, const CUtensorMap* map, uint64_t* bar, int x, int y, int z, int w,
                               unsigned short blocks PTX_AT) {
    TMA_MULTICAST(4, "%4, %5, %6, %7", TMA_XYZW);
}

// From shared memory to the box at (x, y, ...), what lies outside the array left out.  Then bulk_commit and bulk_wait.
PTX void tma_store_1d(const CUtensorMap* map, const void* smem, int x PTX_AT) {
    TMA_STORE(1, "%2", TMA_X);
}
PTX void tma_store_2d(const CUtensorMap* map, const void* smem, int x, int y PTX_AT) {
    TMA_STORE(2, "%2, %3", TMA_XY);
}
PTX void tma_store_3d(const CUtensorMap* map, const void* smem, int x, int y, int z PTX_AT) {
    TMA_STORE(3, "%2, %3, %4", TMA_XYZ);
}
PTX void tma_store_4d(const CUtensorMap* map, const void* smem, int x, int y, int z, int w PTX_AT) {
    TMA_STORE(4, "%2, %3, %4, %5", TMA_XYZW);
}
PTX void tma_store_5d(const CUtensorMap* map, const void* smem, int x, int y, int z, int w, int v PTX_AT) {
    TMA_STORE(5, "%2, %3, %4, %5, %6", TMA_XYZWV);
}

// Added to what is there, atomically for each element.
PTX void tma_reduce_add_1d(const CUtensorMap* map, const void* smem, int x PTX_AT) {
    TMA_REDUCE_ADD(1, "%2", TMA_X);
}
PTX void tma_reduce_add_2d(const CUtensorMap* map, const void* smem, int x, int y PTX_AT) {
    TMA_REDUCE_ADD(2, "%2, %3", TMA_XY);
}
PTX void tma_reduce_add_3d(const CUtensorMap* map, const void* smem, int x, int y, int z PTX_AT) {
    TMA_REDUCE_ADD(3, "%2, %3, %4", TMA_XYZ);
}
PTX void tma_reduce_add_4d(const CUtensorMap* map, const void* smem, int x, int y, int z, int w PTX_AT) {
    TMA_REDUCE_ADD(4, "%2, %3, %4, %5", TMA_XYZW);
}

PTX void bulk_commit() {
#ifdef CUSIM
    cusim_bulk_commit();
#else
    asm volatile("cp.async.bulk.commit_group;" ::: "memory");
#endif
}

// Until all of this thread's groups of TMA stores but the N latest are done.
template <int N> PTX void bulk_wait() {
#ifdef CUSIM
    cusim_bulk_wait(N, false);
#else
    asm volatile("cp.async.bulk.wait_group %0;" ::"n"(N) : "memory");
#endif
}

// Until they have read shared memory, which may then be written again.
template <int N> PTX void bulk_wait_read() {
#ifdef CUSIM
    cusim_bulk_wait(N, true);
#else
    asm volatile("cp.async.bulk.wait_group.read %0;" ::"n"(N) : "memory");
#endif
}

// This thread's earlier stores to shared memory become visible to TMA and wgmma.
PTX void fence_proxy_async() {
#ifdef CUSIM
    cusim_fence_proxy_async();
#else
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
#endif
}

PTX void prefetch_tmap(const CUtensorMap* map) {
#ifdef CUSIM
    (void)map;
#else
    asm volatile("prefetch.tensormap [%0];" ::"l"(map) : "memory");
#endif
}

// ---- sm_90: clusters ---------------------------------------------------------------------------------------------------------

PTX uint32_t cluster_rank() {
#ifdef CUSIM
    return cusim_cluster_rank();
#else
    uint32_t rank;
    asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
    return rank;
#endif
}

PTX uint32_t cluster_size() {
#ifdef CUSIM
    return cusim_cluster_size();
#else
    uint32_t size;
    asm volatile("mov.u32 %0, %%cluster_nctarank;" : "=r"(size));
    return size;
#endif
}

PTX void cluster_arrive(PTX_ONLY_AT) {
#ifdef CUSIM
    cusim_cluster_arrive(at);
#else
    asm volatile("barrier.cluster.arrive.aligned;" ::: "memory");
#endif
}

PTX void cluster_wait(PTX_ONLY_AT) {
#ifdef CUSIM
    cusim_cluster_wait(at);
#else
    asm volatile("barrier.cluster.wait.aligned;" ::: "memory");
#endif
}

// All threads of all blocks of the cluster meet.
PTX void cluster_sync(PTX_ONLY_AT) {
#ifdef CUSIM
    cusim_cluster_arrive(at);
    cusim_cluster_wait(at);
#else
    cluster_arrive();
    cluster_wait();
#endif
}

// The same variable of shared memory in block `rank` of the cluster, to be read and written like any other.
template <class T> PTX T* cluster_shared(T* p, uint32_t rank) {
#ifdef CUSIM
    return (T*)cusim_cluster_shared(p, rank);
#else
    T* there;
    asm volatile("mapa.u64 %0, %1, %2;" : "=l"(there) : "l"(p), "r"(rank));
    return there;
#endif
}

// Arrives on the barrier at the same place in block `rank`.
PTX void mbar_arrive_cluster(uint64_t* bar, uint32_t rank PTX_AT) {
#ifdef CUSIM
    cusim_mbar_arrive(cusim_shared_address(bar) | (rank + 1) << 24, 0, at);
#else
    asm volatile("{ .reg .b32 there; mapa.shared::cluster.u32 there, %0, %1; mbarrier.arrive.shared::cluster.b64 _, [there]; }"
                 ::"r"(smem_u32(bar)), "r"(rank) : "memory");
#endif
}
#endif  // PTX_SM90

#ifdef PTX_SM90A
// ---- sm_90a: a warpgroup's matrix product ---------------------------------------------------------------------------------

template <int N> PTX void reg_alloc(PTX_ONLY_AT) {
#ifdef CUSIM
    cusim_setmaxnreg(N, at);
#else
    asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(N));
#endif
}

template <int N> PTX void reg_dealloc(PTX_ONLY_AT) {
#ifdef CUSIM
    cusim_setmaxnreg(N, at);
#else
    asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(N));
#endif
}

// Where an operand lies in shared memory: its start, two strides in bytes, and the swizzle (0, 32, 64 or 128 bytes wide).
// K-major, swizzled: `stride` between groups of 8 rows, `lead` unused.  MN-major, swizzled: `lead` between blocks of rows as wide
// as the swizzle, `stride` between groups of 8 steps of k.  Without swizzle, between 8 x 8 matrices: K-major `lead` along k and
// `stride` along the rows; MN-major `lead` along k and `stride` along the rows too.
template <int SWIZZLE = 128> PTX uint64_t wgmma_desc(const void* smem, int lead, int stride) {
    static_assert(SWIZZLE == 0 || SWIZZLE == 32 || SWIZZLE == 64 || SWIZZLE == 128, "no such swizzle");
    uint64_t layout = SWIZZLE == 128 ? 1 : SWIZZLE == 64 ? 2 : SWIZZLE == 32 ? 3 : 0, a = smem_u32(smem);
    uint64_t leading = (lead & 0x3ffff) >> 4, striding = (stride & 0x3ffff) >> 4;
    return (a & 0x3ffff) >> 4 | leading << 16 | striding << 32 | layout << 62;
}

// Before the first wgmma, and after the registers of d or a were written otherwise.
PTX void wgmma_fence(PTX_ONLY_AT) {
#ifdef CUSIM
    cusim_wgmma_fence(at);
#else
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
#endif
}

PTX void wgmma_commit(PTX_ONLY_AT) {
#ifdef CUSIM
    cusim_wgmma_commit(at);
#else
    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
#endif
}

template <int N> PTX void wgmma_wait(PTX_ONLY_AT) {
#ifdef CUSIM
    cusim_wgmma_wait(N, at);
#else
    asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(N) : "memory");
#endif
}

// D (64 x N, float) = A (64 x 16) B (16 x N) + D (scale_d 0: without the old D).  A from shared memory, or from registers (_rs,
// laid out as mma's A of each warp's 16 rows); TransA, TransB 1: stored MN-major.  A lane's d[4j + i]: row 16 warp + lane / 4
// (+ 8 for i > 1), column 8j + 2 (lane % 4) + i % 2.  Generated, since the assembly has to spell out every register of d.
#ifdef CUSIM
#define WGMMA(N, REGISTERS, LIST, D, A0, A1, A2, A3, A4, A5, A6) \
    WGMMA_MODEL(N, REGISTERS, , CUSIM_BF16) \
    WGMMA_MODEL(N, REGISTERS, _f16, CUSIM_F16)
#define WGMMA_MODEL(N, REGISTERS, SUFFIX, NUMBER) \
    template <int TransA, int TransB> \
    PTX void wgmma_m64n##N##k16##SUFFIX(float (&d)[REGISTERS], uint64_t a, uint64_t b, int scale_d = 1 PTX_AT) { \
        cusim_wgmma(d, sizeof(d[0]) == 8, N, a, nullptr, b, scale_d, TransA, TransB, NUMBER, at); \
    } \
    template <int TransB> PTX void wgmma_m64n##N##k16_rs##SUFFIX(float (&d)[REGISTERS], const uint32_t (&a)[4], uint64_t b, \
                                                                 int scale_d = 1 PTX_AT) { \
        cusim_wgmma(d, sizeof(d[0]) == 8, N, 0, a, b, scale_d, 0, TransB, NUMBER, at); \
    }
#else
// A0 ... A6: the numbers of the operands behind those of d
#define TOGETHER(...) __VA_ARGS__
#define WGMMA(N, REGISTERS, LIST, D, A0, A1, A2, A3, A4, A5, A6) \
    WGMMA_ASSEMBLY(N, REGISTERS, LIST, D, , "bf16", A0, A1, A2, A3, A4, A5, A6) \
    WGMMA_ASSEMBLY(N, REGISTERS, LIST, D, _f16, "f16", A0, A1, A2, A3, A4, A5, A6)
#define WGMMA_ASSEMBLY(N, REGISTERS, LIST, D, SUFFIX, TYPE, A0, A1, A2, A3, A4, A5, A6) \
    template <int TransA, int TransB> \
    PTX void wgmma_m64n##N##k16##SUFFIX(float (&d)[REGISTERS], uint64_t a, uint64_t b, int scale_d = 1) { \
        asm volatile("{ .reg .pred p; setp.ne.b32 p, %" #A2 ", 0; wgmma.mma_async.sync.aligned.m64n" #N "k16.f32." TYPE "." TYPE \
                     " {" LIST "}, %" #A0 ", %" #A1 ", p, 1, 1, %" #A3 ", %" #A4 "; }" \
                     : TOGETHER D : "l"(a), "l"(b), "r"(scale_d), "n"(TransA), "n"(TransB)); \
    } \
    template <int TransB> PTX void wgmma_m64n##N##k16_rs##SUFFIX(float (&d)[REGISTERS], const uint32_t (&a)[4], uint64_t b, \
                                                                 int scale_d = 1) { \
        asm volatile("{ .reg .pred p; setp.ne.b32 p, %" #A5 ", 0; wgmma.mma_async.sync.aligned.m64n" #N "k16.f32." TYPE "." TYPE \
                     " {" LIST "}, {%" #A0 ", %" #A1 ", %" #A2 ", %" #A3 "}, %" #A4 ", p, 1, 1, %" #A6 "; }" \
                     : TOGETHER D : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(scale_d), "n"(TransB)); \
    }
#endif
#define D4(i) "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3])
#define D8(i) D4(i), D4(i + 4)
#define D16(i) D8(i), D8(i + 8)
#define D32(i) D16(i), D16(i + 16)
#define D64(i) D32(i), D32(i + 32)
#define L4 "%0,%1,%2,%3"
#define L8 L4 ",%4,%5,%6,%7"
#define L16 L8 ",%8,%9,%10,%11,%12,%13,%14,%15"
#define L32 L16 ",%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31"
#define L48 L32 ",%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47"
#define L64 L48 ",%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63"
#define L80 L64 ",%64,%65,%66,%67,%68,%69,%70,%71,%72,%73,%74,%75,%76,%77,%78,%79"
#define L96 L80 ",%80,%81,%82,%83,%84,%85,%86,%87,%88,%89,%90,%91,%92,%93,%94,%95"
#define L112 L96 ",%96,%97,%98,%99,%100,%101,%102,%103,%104,%105,%106,%107,%108,%109,%110,%111"
#define L128 L112 ",%112,%113,%114,%115,%116,%117,%118,%119,%120,%121,%122,%123,%124,%125,%126,%127"
WGMMA(8, 4, L4, (D4(0)), 4, 5, 6, 7, 8, 9, 10)
WGMMA(16, 8, L8, (D8(0)), 8, 9, 10, 11, 12, 13, 14)
WGMMA(32, 16, L16, (D16(0)), 16, 17, 18, 19, 20, 21, 22)
WGMMA(64, 32, L32, (D32(0)), 32, 33, 34, 35, 36, 37, 38)
WGMMA(96, 48, L48, (D32(0), D16(32)), 48, 49, 50, 51, 52, 53, 54)
WGMMA(128, 64, L64, (D64(0)), 64, 65, 66, 67, 68, 69, 70)
WGMMA(160, 80, L80, (D64(0), D16(64)), 80, 81, 82, 83, 84, 85, 86)
WGMMA(192, 96, L96, (D64(0), D32(64)), 96, 97, 98, 99, 100, 101, 102)
WGMMA(256, 128, L128, (D64(0), D64(64)), 128, 129, 130, 131, 132, 133, 134)
#undef D4
#undef D8
#undef D16
#undef D32
#undef D64
#undef L4
#undef L8
#undef L16
#undef L32
#undef L48
#undef L64
#undef L80
#undef L96
#undef L112
#undef L128
#endif  // PTX_SM90A
