// ptx.cuh - instructions that CUDA C++ has no spelling for.  One signature, two bodies:
// inline PTX on the device, a C++ model under the CPU simulator (CUSIM).
#pragma once
#include "kernel.cuh"
#ifdef CUSIM
#define PTX_LOC , const char *f_ = __builtin_FILE(), int l_ = __builtin_LINE()
#define PTX_LOC0 const char *f_ = __builtin_FILE(), int l_ = __builtin_LINE()
#define PTX_FN static inline
#else
struct __align__(128) CUtensorMap_ { unsigned long long opaque[16]; };
#define CUtensorMap CUtensorMap_
#define PTX_LOC
#define PTX_LOC0
#define PTX_FN __device__ __forceinline__
#endif

PTX_FN uint32_t smem_u32(const void *p) {
#ifdef CUSIM
    return cusim_smem_addr(p);
#else
    return (uint32_t)__cvta_generic_to_shared(p);
#endif
}
// ------------------------------------------------------------------------------- sm_80
template <int BYTES> PTX_FN void cp_async(void *smem, const void *gmem, bool valid = true PTX_LOC) {
#ifdef CUSIM
    cusim_cp_async(smem, gmem, BYTES, valid ? BYTES : 0, f_, l_);
#else
    int n = valid ? BYTES : 0;
    if (BYTES == 16) asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(smem_u32(smem)), "l"(gmem), "r"(n) : "memory");
    else asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(smem_u32(smem)), "l"(gmem), "n"(BYTES), "r"(n) : "memory");
#endif
}
PTX_FN void cp_async_commit() {
#ifdef CUSIM
    cusim_cp_commit();
#else
    asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}
template <int N> PTX_FN void cp_async_wait() {
#ifdef CUSIM
    cusim_cp_wait(N);
#else
    asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
#endif
}
#ifdef CUSIM
struct cusim_ldm { uint32_t addr; uint32_t *r; int n, trans; const char *f; int l; };
CUSIM_NS static void cusim_ldm_fn(void **pay, unsigned mask, void *) {
    auto *p0 = (cusim_ldm *)pay[0];
    if (mask != ~0u) cusim_fail("ldmatrix", p0->f, p0->l, "needs all 32 lanes (mask %08x)", mask);
    for (int i = 0; i < p0->n; i++) {
        uint16_t m[8][8];
        for (int r = 0; r < 8; r++) { uint32_t a = ((cusim_ldm *)pay[i * 8 + r])->addr; if (a & 15) cusim_fail("misaligned", p0->f, p0->l, "ldmatrix row address 0x%x is not 16 byte aligned", a); memcpy(m[r], cusim_smem_ptr(a), 16); }
        for (int l = 0; l < 32; l++) { auto *p = (cusim_ldm *)pay[l]; int r = l / 4, c = l % 4 * 2;
            p->r[i] = p->trans ? m[c][r] | uint32_t(m[c + 1][r]) << 16 : m[r][c] | uint32_t(m[r][c + 1]) << 16; }
    }
}
#endif
template <int N, bool TRANS> PTX_FN void ldmatrix(uint32_t (&r)[N], const void *smem PTX_LOC) {
#ifdef CUSIM
    if ((int)cusim_cur->lane < 8 * N) cusim_note(smem, 16, false, f_, l_);
    cusim_ldm p{cusim_smem_addr(smem), r, N, TRANS, f_, l_}; cusim_warp(~0u, &p, cusim_ldm_fn, nullptr, false, f_, l_);
#else
    uint32_t a = smem_u32(smem);
    if constexpr (N == 4 && !TRANS) asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];" : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(a) : "memory");
    if constexpr (N == 4 && TRANS) asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];" : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(a) : "memory");
    if constexpr (N == 2 && !TRANS) asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0,%1}, [%2];" : "=r"(r[0]), "=r"(r[1]) : "r"(a) : "memory");
    if constexpr (N == 2 && TRANS) asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0,%1}, [%2];" : "=r"(r[0]), "=r"(r[1]) : "r"(a) : "memory");
#endif
}
#ifdef CUSIM
struct cusim_mma { float *d; const uint32_t *a, *b; int fmt; };   // fmt 0 f16, 1 bf16 (k16), 2 tf32 (k8)
CUSIM_NS static void cusim_mma_fn(void **pay, unsigned mask, void *) {
    static thread_local float A[16][16], B[16][8]; int fmt = ((cusim_mma *)pay[__builtin_ctz(mask)])->fmt, K = fmt == 2 ? 8 : 16;
    if (mask != ~0u) cusim_fail("mma", "?", 0, "needs all 32 lanes (mask %08x)", mask);
    for (int l = 0; l < 32; l++) { auto *p = (cusim_mma *)pay[l]; int g = l / 4, t = l % 4;
        if (fmt == 2) {
            auto q = [](uint32_t u) { return cusim_bits_f(u & 0xffffe000u); };       // the tensor core ignores the low 13 bits
            A[g][t] = q(p->a[0]); A[g + 8][t] = q(p->a[1]); A[g][t + 4] = q(p->a[2]); A[g + 8][t + 4] = q(p->a[3]); B[t][g] = q(p->b[0]); B[t + 4][g] = q(p->b[1]);
        } else {
            auto q = [&](uint32_t u) { return fmt ? cusim_bf2f(u) : cusim_h2f(u); };
            for (int c = 0; c < 2; c++) {
                for (int i = 0; i < 4; i++) A[g + 8 * (i & 1)][t * 2 + c + 8 * (i >> 1)] = q(uint16_t(p->a[i] >> 16 * c));
                for (int i = 0; i < 2; i++) B[t * 2 + c + 8 * i][g] = q(uint16_t(p->b[i] >> 16 * c));
            }
        } }
    for (int l = 0; l < 32; l++) { auto *p = (cusim_mma *)pay[l]; int g = l / 4, t = l % 4;
        for (int i = 0; i < 4; i++) { float s = p->d[i]; const float *ar = A[g + 8 * (i >> 1)]; int n = t * 2 + (i & 1); for (int k = 0; k < K; k++) s += ar[k] * B[k][n]; p->d[i] = s; } }
}
#endif
// D += A * B, A 16x16 row major, B 16x8 column major, D 16x8 float
PTX_FN void mma_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2] PTX_LOC) {
#ifdef CUSIM
    cusim_mma p{d, a, b, 1}; cusim_warp(~0u, &p, cusim_mma_fn, nullptr, false, f_, l_);
#else
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#endif
}
PTX_FN void mma_f16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2] PTX_LOC) {
#ifdef CUSIM
    cusim_mma p{d, a, b, 0}; cusim_warp(~0u, &p, cusim_mma_fn, nullptr, false, f_, l_);
#else
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#endif
}
PTX_FN void mma_tf32(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2] PTX_LOC) {   // m16n8k8
#ifdef CUSIM
    cusim_mma p{d, a, b, 2}; cusim_warp(~0u, &p, cusim_mma_fn, nullptr, false, f_, l_);
#else
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#endif
}
PTX_FN uint32_t pack_bf16(float lo, float hi) {
#ifdef CUSIM
    return cusim_f2bf(lo) | uint32_t(cusim_f2bf(hi)) << 16;
#else
    __nv_bfloat162 v = __floats2bfloat162_rn(lo, hi); return *reinterpret_cast<uint32_t *>(&v);
#endif
}
PTX_FN void bar_sync(int id, int count PTX_LOC) {
#ifdef CUSIM
    cusim_barrier(id, count, true, f_, l_);
#else
    asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(count) : "memory");
#endif
}
PTX_FN void bar_arrive(int id, int count PTX_LOC) {
#ifdef CUSIM
    cusim_barrier(id, count, false, f_, l_);
#else
    asm volatile("bar.arrive %0, %1;" ::"r"(id), "r"(count) : "memory");
#endif
}
// ------------------------------------------------------------------------------- sm_90
#if defined(CUSIM) || __CUDA_ARCH__ >= 900
PTX_FN void mbar_init(uint64_t *b, int count PTX_LOC) {
#ifdef CUSIM
    cusim_mbar_init(cusim_smem_addr(b), count, f_, l_);
#else
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(smem_u32(b)), "r"(count) : "memory");
#endif
}
PTX_FN void mbar_fence_init() {
#ifdef CUSIM
    cusim_mbar_fence_init();
#else
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
#endif
}
PTX_FN void mbar_arrive(uint64_t *b PTX_LOC) {
#ifdef CUSIM
    cusim_mbar_arrive(cusim_smem_addr(b), 1, 0, f_, l_);
#else
    asm volatile("{ .reg .b64 s; mbarrier.arrive.shared::cta.b64 s, [%0]; }" ::"r"(smem_u32(b)) : "memory");
#endif
}
PTX_FN void mbar_expect_tx(uint64_t *b, int bytes PTX_LOC) {                 // arrive and expect
#ifdef CUSIM
    cusim_mbar_arrive(cusim_smem_addr(b), 1, bytes, f_, l_);
#else
    asm volatile("{ .reg .b64 s; mbarrier.arrive.expect_tx.shared::cta.b64 s, [%0], %1; }" ::"r"(smem_u32(b)), "r"(bytes) : "memory");
#endif
}
PTX_FN void mbar_wait(uint64_t *b, int parity PTX_LOC) {
#ifdef CUSIM
    while (!cusim_mbar_try_wait(cusim_smem_addr(b), parity, f_, l_)) {}
#else
    uint32_t a = smem_u32(b), ok;
    do { asm volatile("{ .reg .pred p; mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2; selp.u32 %0, 1, 0, p; }" : "=r"(ok) : "r"(a), "r"(parity) : "memory"); } while (!ok);
#endif
}
PTX_FN void tma_load_2d(void *smem, const CUtensorMap *map, uint64_t *bar, int x, int y PTX_LOC) {
#ifdef CUSIM
    int c[2] = {x, y}; cusim_tma_load(cusim_smem_addr(smem), map, cusim_smem_addr(bar), c, 2, 0, f_, l_);
#else
    asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4}], [%2];"
        ::"r"(smem_u32(smem)), "l"(map), "r"(smem_u32(bar)), "r"(x), "r"(y) : "memory");
#endif
}
PTX_FN void tma_store_2d(const CUtensorMap *map, const void *smem, int x, int y PTX_LOC) {
#ifdef CUSIM
    int c[2] = {x, y}; cusim_tma_store(map, cusim_smem_addr(smem), c, 2, f_, l_);
#else
    asm volatile("cp.async.bulk.tensor.2d.global.shared::cta.tile.bulk_group [%0, {%2, %3}], [%1];" ::"l"(map), "r"(smem_u32(smem)), "r"(x), "r"(y) : "memory");
#endif
}
PTX_FN void bulk_commit() {
#ifdef CUSIM
    cusim_bulk_commit();
#else
    asm volatile("cp.async.bulk.commit_group;" ::: "memory");
#endif
}
template <int N> PTX_FN void bulk_wait() {
#ifdef CUSIM
    cusim_bulk_wait(N, false);
#else
    asm volatile("cp.async.bulk.wait_group %0;" ::"n"(N) : "memory");
#endif
}
PTX_FN void fence_proxy_async() {
#ifdef CUSIM
    cusim_fence_proxy_async();
#else
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
#endif
}
PTX_FN void prefetch_tmap(const CUtensorMap *m) {
#ifndef CUSIM
    asm volatile("prefetch.tensormap [%0];" ::"l"(m) : "memory");
#endif
}
template <int N> PTX_FN void reg_alloc(PTX_LOC0) {
#ifdef CUSIM
    cusim_setmaxnreg(N, true, f_, l_);
#else
    asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(N));
#endif
}
template <int N> PTX_FN void reg_dealloc(PTX_LOC0) {
#ifdef CUSIM
    cusim_setmaxnreg(N, false, f_, l_);
#else
    asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(N));
#endif
}
// shared memory matrix descriptor: 128 byte swizzle
PTX_FN uint64_t wgmma_desc(const void *smem, int lbo, int sbo) {
    uint64_t a = smem_u32(smem);
    return ((a & 0x3ffff) >> 4) | (uint64_t)((lbo & 0x3ffff) >> 4) << 16 | (uint64_t)((sbo & 0x3ffff) >> 4) << 32 | (uint64_t)1 << 62;
}
PTX_FN void wgmma_fence(PTX_LOC0) {
#ifdef CUSIM
    cusim_wgmma_fence(f_, l_);
#else
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
#endif
}
PTX_FN void wgmma_commit(PTX_LOC0) {
#ifdef CUSIM
    cusim_wgmma_commit(f_, l_);
#else
    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
#endif
}
template <int N> PTX_FN void wgmma_wait(PTX_LOC0) {
#ifdef CUSIM
    cusim_wgmma_wait(N, f_, l_);
#else
    asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(N) : "memory");
#endif
}
#ifndef CUSIM
#define PTX_F8(d, i) "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3]), "+f"(d[i + 4]), "+f"(d[i + 5]), "+f"(d[i + 6]), "+f"(d[i + 7])
#endif
// D (64 x N, float) = A (64 x 16, shared) * B (16 x N, shared) + scale * D, bf16; TB: B is stored N-major
template <int TransA, int TransB> PTX_FN void wgmma_m64n64k16(float (&d)[32], uint64_t a, uint64_t b, int scale_d = 1 PTX_LOC) {
#ifdef CUSIM
    cusim_wgmma(d, 64, a, nullptr, b, scale_d, 1, 1, TransA, TransB, 1, f_, l_);
#else
    asm volatile("{ .reg .pred p; setp.ne.b32 p, %34, 0; wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 "
        "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31}, %32, %33, p, 1, 1, %35, %36; }"
        : PTX_F8(d, 0), PTX_F8(d, 8), PTX_F8(d, 16), PTX_F8(d, 24) : "l"(a), "l"(b), "r"(scale_d), "n"(TransA), "n"(TransB));
#endif
}
template <int TransA, int TransB> PTX_FN void wgmma_m64n128k16(float (&d)[64], uint64_t a, uint64_t b, int scale_d = 1 PTX_LOC) {
#ifdef CUSIM
    cusim_wgmma(d, 128, a, nullptr, b, scale_d, 1, 1, TransA, TransB, 1, f_, l_);
#else
    asm volatile("{ .reg .pred p; setp.ne.b32 p, %66, 0; wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 "
        "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31,"
        "%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47,%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63}, %64, %65, p, 1, 1, %67, %68; }"
        : PTX_F8(d, 0), PTX_F8(d, 8), PTX_F8(d, 16), PTX_F8(d, 24), PTX_F8(d, 32), PTX_F8(d, 40), PTX_F8(d, 48), PTX_F8(d, 56) : "l"(a), "l"(b), "r"(scale_d), "n"(TransA), "n"(TransB));
#endif
}
// A from registers (each thread's 4 words of its warp's 16 x 16), B (16 x 64) from shared memory
template <int TransB> PTX_FN void wgmma_m64n64k16_rs(float (&d)[32], const uint32_t (&a)[4], uint64_t b, int scale_d = 1 PTX_LOC) {
#ifdef CUSIM
    cusim_wgmma(d, 64, 0, a, b, scale_d, 1, 1, 0, TransB, 1, f_, l_);
#else
    asm volatile("{ .reg .pred p; setp.ne.b32 p, %37, 0; wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 "
        "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31}, {%32,%33,%34,%35}, %36, p, 1, 1, %38; }"
        : PTX_F8(d, 0), PTX_F8(d, 8), PTX_F8(d, 16), PTX_F8(d, 24) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(scale_d), "n"(TransB));
#endif
}
// clusters
PTX_FN uint32_t cluster_rank() {
#ifdef CUSIM
    return cusim_cur->blk->cluster_rank;
#else
    uint32_t r; asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(r)); return r;
#endif
}
PTX_FN void cluster_sync(PTX_LOC0) {
#ifdef CUSIM
    cusim_cluster_sync(f_, l_);
#else
    asm volatile("barrier.cluster.arrive.aligned; barrier.cluster.wait.aligned;" ::: "memory");
#endif
}
PTX_FN void mbar_arrive_cluster(uint64_t *b, uint32_t rank PTX_LOC) {
#ifdef CUSIM
    cusim_mbar_arrive(cusim_smem_addr(b) | (rank + 1) << 24, 1, 0, f_, l_);
#else
    asm volatile("{ .reg .b32 r; mapa.shared::cluster.u32 r, %0, %1; mbarrier.arrive.shared::cluster.b64 _, [r]; }" ::"r"(smem_u32(b)), "r"(rank) : "memory");
#endif
}
PTX_FN void tma_load_2d_multicast(void *smem, const CUtensorMap *map, uint64_t *bar, int x, int y, unsigned short mask PTX_LOC) {
#ifdef CUSIM
    int c[2] = {x, y}; cusim_tma_load(cusim_smem_addr(smem), map, cusim_smem_addr(bar), c, 2, mask, f_, l_);
#else
    asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes.multicast::cluster [%0], [%1, {%3, %4}], [%2], %5;"
        ::"r"(smem_u32(smem)), "l"(map), "r"(smem_u32(bar)), "r"(x), "r"(y), "h"(mask) : "memory");
#endif
}
#endif  // sm_90
