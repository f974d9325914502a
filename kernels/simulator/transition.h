// The models that ptx.cuh calls, on the simulator's first runtime.
#pragma once
#define CUSIM_BF16 1
#define CUSIM_F16 0
#define CUSIM_TF32 2
struct cusim_place { const char* file; int line; };
constexpr cusim_place cusim_here(const char* file = __builtin_FILE(), int line = __builtin_LINE()) { return {file, line}; }
#define cusim_shared_address cusim_smem_addr
static inline void cusim_cp_async(void* d, const void* s, int n, int valid, cusim_place at) {
    for (int i = 0; i < n; i += 16) cusim_cp_async((char*)d + i, (const char*)s + i, n < 16 ? n : 16, valid ? (n < 16 ? n : 16) : 0, at.file, at.line);
}
static inline void cusim_cp_async_commit() { cusim_cp_commit(); }
static inline void cusim_cp_async_wait(int n) { cusim_cp_wait(n); }
struct cusim_matrix_rows { uint32_t addr; uint32_t* r; int n, trans, store; cusim_place at; };
CUSIM_NS static void cusim_matrix_fn(void** pay, unsigned mask, void*) {
    auto* p0 = (cusim_matrix_rows*)pay[0];
    if (mask != ~0u) cusim_fail("ldmatrix", p0->at.file, p0->at.line, "needs all 32 lanes (mask %08x)", mask);
    for (int i = 0; i < p0->n; i++) {
        uint16_t m[8][8];
        uint32_t row[8];
        for (int r = 0; r < 8; r++) {
            row[r] = ((cusim_matrix_rows*)pay[i * 8 + r])->addr;
            if (row[r] & 15) cusim_fail("misaligned", p0->at.file, p0->at.line, "matrix row address 0x%x is not 16 byte aligned", row[r]);
            if (!p0->store) memcpy(m[r], cusim_smem_ptr(row[r]), 16);
        }
        for (int l = 0; l < 32; l++) {
            uint32_t& v = ((cusim_matrix_rows*)pay[l])->r[i];
            int r = l / 4, c = l % 4 * 2;
            uint16_t &a = p0->trans ? m[c][r] : m[r][c], &b = p0->trans ? m[c + 1][r] : m[r][c + 1];
            if (p0->store) a = v, b = v >> 16;
            else v = a | uint32_t(b) << 16;
        }
        if (p0->store) for (int r = 0; r < 8; r++) memcpy(cusim_smem_ptr(row[r]), m[r], 16);
    }
}
static inline void cusim_matrix(uint32_t* r, int n, bool trans, const void* smem, bool store, cusim_place at) {
    if ((int)cusim_cur->lane < 8 * n) cusim_note(smem, 16, store, at.file, at.line);
    cusim_matrix_rows p{cusim_smem_addr(smem), r, n, trans, store, at};
    cusim_warp(~0u, &p, cusim_matrix_fn, nullptr, false, at.file, at.line);
}
static inline void cusim_ldmatrix(uint32_t* r, int n, bool trans, const void* smem, cusim_place at) { cusim_matrix(r, n, trans, smem, false, at); }
static inline void cusim_stmatrix(const uint32_t* r, int n, bool trans, void* smem, cusim_place at) { cusim_matrix((uint32_t*)r, n, trans, smem, true, at); }
struct cusim_mma_operands { void* d; bool wide; const uint32_t *a, *b; int fmt; };
CUSIM_NS static void cusim_mma_fn(void** pay, unsigned mask, void*) {
    static thread_local float A[16][16], B[16][8];
    auto* p0 = (cusim_mma_operands*)pay[__builtin_ctz(mask)];
    int fmt = p0->fmt, K = fmt == 2 ? 8 : 16;
    if (mask != ~0u) cusim_fail("mma", "?", 0, "needs all 32 lanes (mask %08x)", mask);
    for (int l = 0; l < 32; l++) {
        auto* p = (cusim_mma_operands*)pay[l];
        int g = l / 4, t = l % 4;
        if (fmt == 2) {
            auto q = [](uint32_t u) { return cusim_bits_f(u & 0xffffe000u); };
            A[g][t] = q(p->a[0]); A[g + 8][t] = q(p->a[1]); A[g][t + 4] = q(p->a[2]); A[g + 8][t + 4] = q(p->a[3]);
            B[t][g] = q(p->b[0]); B[t + 4][g] = q(p->b[1]);
        } else {
            auto q = [&](uint32_t u) { return fmt ? cusim_bf2f(u) : cusim_h2f(u); };
            for (int c = 0; c < 2; c++) {
                for (int i = 0; i < 4; i++) A[g + 8 * (i & 1)][t * 2 + c + 8 * (i >> 1)] = q(uint16_t(p->a[i] >> 16 * c));
                for (int i = 0; i < 2; i++) B[t * 2 + c + 8 * i][g] = q(uint16_t(p->b[i] >> 16 * c));
            }
        }
    }
    for (int l = 0; l < 32; l++) {
        auto* p = (cusim_mma_operands*)pay[l];
        int g = l / 4, t = l % 4;
        for (int i = 0; i < 4; i++) {
            const float* ar = A[g + 8 * (i >> 1)];
            int n = t * 2 + (i & 1);
            if (p->wide) { double& d = ((double**)&p->d)[0][i]; for (int k = 0; k < K; k++) d += (double)ar[k] * B[k][n]; }
            else { float& d = ((float**)&p->d)[0][i]; for (int k = 0; k < K; k++) d += ar[k] * B[k][n]; }
        }
    }
}
static inline void cusim_mma(void* d, bool wide, const uint32_t* a, const uint32_t* b, int fmt, cusim_place at) {
    cusim_mma_operands p{d, wide, a, b, fmt};
    cusim_warp(~0u, &p, cusim_mma_fn, nullptr, false, at.file, at.line);
}
static inline void cusim_barrier(int id, int count, bool wait, cusim_place at) { cusim_barrier(id, count, wait, at.file, at.line); }
static inline uint32_t cusim_load_acquire(const uint32_t* p, cusim_place at) {
    uint32_t v = cusim_rmw((uint32_t*)p, [](uint32_t o) { return o; }, at.file, at.line);
    return v;
}
static inline void cusim_store_release(uint32_t* p, uint32_t v, cusim_place at) { __threadfence(); atomicExch(p, v, at.file, at.line); }
static inline void cusim_mbar_init(uint32_t b, int n, cusim_place at) { cusim_mbar_init(b, (unsigned)n, at.file, at.line); }
static inline void cusim_mbar_inval(uint32_t b, cusim_place) { cusim_mbar_inval(b); }
static inline void cusim_mbar_arrive(uint32_t b, int bytes, cusim_place at) { cusim_mbar_arrive(b, 1, bytes, at.file, at.line); }
static inline bool cusim_mbar_try_wait(uint32_t b, int p, cusim_place at) { return cusim_mbar_try_wait(b, p, at.file, at.line); }
static inline void cusim_mbar_wait(uint32_t b, int p, cusim_place at) { while (!cusim_mbar_try_wait(b, p, at.file, at.line)) {} }
static inline void cusim_tma_load(uint32_t s, const void* m, uint32_t b, const int* c, int n, unsigned short blocks, cusim_place at) {
    cusim_tma_load(s, m, b, c, n, blocks, at.file, at.line);
}
static inline void cusim_tma_store(const void* m, uint32_t s, const int* c, int n, bool add, cusim_place at) {
    if (add) cusim_fail("unsupported", at.file, at.line, "tma_reduce_add is not in the first runtime yet");
    cusim_tma_store(m, s, c, n, at.file, at.line);
}
static inline uint32_t cusim_cluster_rank() { return cusim_cur->blk->cluster_rank; }
static inline uint32_t cusim_cluster_size() { return cusim_cur->blk->cluster_size; }
static inline void cusim_cluster_arrive(cusim_place) {}
static inline void cusim_cluster_wait(cusim_place at) { cusim_cluster_sync(at.file, at.line); }
static inline void* cusim_cluster_shared(const void* p, uint32_t rank) { return cusim_smem_ptr(cusim_smem_addr(p) | (rank + 1) << 24); }
static inline void cusim_setmaxnreg(int n, cusim_place at) { cusim_setmaxnreg(n, true, at.file, at.line); }
static inline void cusim_wgmma(void* d, bool wide, int n, uint64_t a, const uint32_t* ar, uint64_t b, int sd, int ta, int tb, int fmt, cusim_place at) {
    if (wide) cusim_fail("unsupported", at.file, at.line, "wgmma in double");
    cusim_wgmma((decltype(0.f)*)d, n, a, ar, b, sd, 1, 1, ta, tb, fmt, at.file, at.line);
}
static inline void cusim_wgmma_fence(cusim_place at) { cusim_wgmma_fence(at.file, at.line); }
static inline void cusim_wgmma_commit(cusim_place at) { cusim_wgmma_commit(at.file, at.line); }
static inline void cusim_wgmma_wait(int n, cusim_place at) { cusim_wgmma_wait(n, at.file, at.line); }
