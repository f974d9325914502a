// C = activation(A B + bias) in float32, step by step.  A (M, K) and B (K, N) are read by strides, so either may be transposed.
//
//   version            idea
//   matmul_naive       a thread per entry of C; neighbouring threads go down a column
//   matmul_coalesced   neighbouring threads go along a row: a warp reads B and writes C in whole cache lines
//   matmul_tiled       a block per 32 x 32 tile: the operands' tiles are read once into shared memory and used 32 times
//   matmul_register    4 x 4 entries of C per thread, in registers: 16 products for 8 reads of shared memory
//   matmul_warp        8 x 8 entries per thread, the threads of a warp in a 64 x 32 tile: 16-byte reads that broadcast within
//                      the warp; the next tiles travel from global memory to registers while these are multiplied
#include "matmul.cuh"

extern "C" __global__ void __launch_bounds__(256)
matmul_naive(STRIDED const float* a, STRIDED const float* b, const float* bias, OUT float* c, Product p) {
    long long index = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    int i = (int)(index % p.M), j = (int)(index / p.M % p.N);
    long long batch = index / p.M / p.N;
    if (batch >= (long long)p.outer * p.inner) return;

    auto A = matrix(a, p.a, p, batch);       // (M, K)
    auto B = matrix(b, p.b, p, batch);       // (K, N)
    float sum = 0.f;
    for (int k = 0; k < p.K; k++) sum += A(i, k) * B(k, j);
    c[(batch * p.M + i) * p.N + j] = finish(sum, bias_of(bias, j, p.N));
}

extern "C" __global__ void __launch_bounds__(256)
matmul_coalesced(STRIDED const float* a, STRIDED const float* b, const float* bias, OUT float* c, Product p) {
    long long index = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    int j = (int)(index % p.N), i = (int)(index / p.N % p.M);
    long long batch = index / p.N / p.M;
    if (batch >= (long long)p.outer * p.inner) return;

    auto A = matrix(a, p.a, p, batch);
    auto B = matrix(b, p.b, p, batch);
    float sum = 0.f;
    for (int k = 0; k < p.K; k++) sum += A(i, k) * B(k, j);
    c[(batch * p.M + i) * p.N + j] = finish(sum, bias_of(bias, j, p.N));
}

// ---- shared tile ------------------------------------------------------------------------------------------------

extern "C" __global__ void __launch_bounds__(1024)
matmul_tiled(STRIDED const float* a, STRIDED const float* b, const float* bias, OUT float* c, Product p) {
    constexpr int TILE = 32;
    __shared__ float As[TILE][TILE + 1];     // (rows, k); the odd width keeps columns in different banks
    __shared__ float Bs[TILE][TILE + 1];     // (k, columns)
    auto [batch, i0, j0] = tile(p, blockIdx.x, TILE, TILE);
    auto A = matrix(a, p.a, p, batch);
    auto B = matrix(b, p.b, p, batch);
    int x = threadIdx.x % TILE, y = threadIdx.x / TILE, i = i0 + y, j = j0 + x;

    float sum = 0.f;
    for (int k0 = 0; k0 < p.K; k0 += TILE) {
        As[y][x] = i < p.M && k0 + x < p.K ? A(i, k0 + x) : 0.f;
        Bs[y][x] = k0 + y < p.K && j < p.N ? B(k0 + y, j) : 0.f;
        __syncthreads();
        for (int k = 0; k < TILE; k++) sum += As[y][k] * Bs[k][x];
        __syncthreads();
    }
    if (i < p.M && j < p.N) c[(batch * p.M + i) * p.N + j] = finish(sum, bias_of(bias, j, p.N));
}

// ---- register tile ----------------------------------------------------------------------------------------------

// The part of a matrix (rows, K) from (i0, k0) on, as S[k][i], zeros outside.  Neighbouring threads read neighbouring addresses,
// whether the matrix lies in memory by rows or by columns.
template <int ROWS, int DEPTH, int THREADS>
__device__ __forceinline__ void load_tile(float (&S)[DEPTH][ROWS + 1], const Matrix<float>& m, int i0, int k0, int rows, int K) {
    bool down = m.row < m.column;
    for (int n = threadIdx.x; n < ROWS * DEPTH; n += THREADS) {
        int i = down ? n % ROWS : n / DEPTH, k = down ? n / ROWS : n % DEPTH;
        S[k][i] = i0 + i < rows && k0 + k < K ? m(i0 + i, k0 + k) : 0.f;
    }
}

extern "C" __global__ void __launch_bounds__(256)
matmul_register(STRIDED const float* a, STRIDED const float* b, const float* bias, OUT float* c, Product p) {
    constexpr int TILE = 64, DEPTH = 16, SIDE = 16, EACH = TILE / SIDE;       // 16 x 16 threads, 4 x 4 entries each
    __shared__ float As[DEPTH][TILE + 1];
    __shared__ float Bs[DEPTH][TILE + 1];
    auto [batch, i0, j0] = tile(p, blockIdx.x, TILE, TILE);
    auto A = matrix(a, p.a, p, batch);
    auto B = matrix(b, p.b, p, batch);
    Matrix<float> Bt = {B.data, B.column, B.row};                             // (N, K)
    int x = threadIdx.x % SIDE, y = threadIdx.x / SIDE;                       // entries (y + 16 u, x + 16 v) of the tile

    float sum[EACH][EACH] = {};
    for (int k0 = 0; k0 < p.K; k0 += DEPTH) {
        load_tile<TILE, DEPTH, SIDE * SIDE>(As, A, i0, k0, p.M, p.K);
        load_tile<TILE, DEPTH, SIDE * SIDE>(Bs, Bt, j0, k0, p.N, p.K);
        __syncthreads();
        #pragma unroll
        for (int k = 0; k < DEPTH; k++) {
            float u[EACH], v[EACH];                                           // a column of A's tile, a row of B's
            for (int n = 0; n < EACH; n++) u[n] = As[k][y + n * SIDE], v[n] = Bs[k][x + n * SIDE];
            for (int m = 0; m < EACH; m++)
                for (int n = 0; n < EACH; n++) sum[m][n] += u[m] * v[n];
        }
        __syncthreads();
    }
    for (int n = 0; n < EACH; n++) {
        int j = j0 + x + n * SIDE;
        float add = bias_of(bias, j, p.N);
        for (int m = 0; m < EACH; m++) {
            int i = i0 + y + m * SIDE;
            if (i < p.M && j < p.N) c[(batch * p.M + i) * p.N + j] = finish(sum[m][n], add);
        }
    }
}

// ---- vectorised warp tile ---------------------------------------------------------------------------------------

constexpr int WARP_TILE = 128;                         // rows and columns of a block's tile
constexpr int WARP_DEPTH = 64 / sizeof(float);         // 16; in double precision 8, for the same room
constexpr int WARP_THREADS = 256;
constexpr int WARP_BLOCKS = sizeof(float) == 4 ? 2 : 1;               // on a multiprocessor at a time: 128 registers a thread
constexpr int WARP_VECTORS = WARP_TILE * WARP_DEPTH / 4 / WARP_THREADS;       // of one operand's tile, per thread

// Takes tiles S[k][i] of a matrix (rows, K) in two steps, global memory to registers and registers to shared memory,
// in 16-byte vectors along the axis that is contiguous in memory.
struct Loader {
    const float* from[WARP_VECTORS];                   // of this thread's vectors in the next tile
    long long step;                                    // from tile to tile
    int i0, rows, left;                                // left: k from the next tile on
    bool down;                                         // vectors go down a column
    float4 held[WARP_VECTORS];

    __device__ __forceinline__ Loader(const Matrix<float>& m, int i0, int rows, int K)
        : step(m.column * WARP_DEPTH), i0(i0), rows(rows), left(K), down(m.row == 1 && m.column != 1) {
        for (int n = 0; n < WARP_VECTORS; n++) from[n] = &m(i0 + place(n).x, place(n).y);
    }

    // Where this thread's vector n begins in a tile: (i, k).
    __device__ __forceinline__ int2 place(int n) const {
        constexpr int DOWN = WARP_TILE / 4, ALONG = WARP_DEPTH / 4;
        int v = threadIdx.x + n * WARP_THREADS;
        return down ? make_int2(v % DOWN * 4, v / DOWN) : make_int2(v / ALONG, v % ALONG * 4);
    }

    __device__ __forceinline__ void fetch() {
        #pragma unroll
        for (int n = 0; n < WARP_VECTORS; n++) {
            bool inside = i0 + place(n).x < rows && place(n).y < left;
            held[n] = inside ? *reinterpret_cast<const float4*>(from[n]) : make_float4(0.f, 0.f, 0.f, 0.f);
            from[n] += step;
        }
        left -= WARP_DEPTH;
    }

    __device__ __forceinline__ void put(float (&S)[WARP_DEPTH][WARP_TILE + 4]) const {
        #pragma unroll
        for (int n = 0; n < WARP_VECTORS; n++) {
            int i = place(n).x, k = place(n).y;
            if (down) {
                *reinterpret_cast<float4*>(&S[k][i]) = held[n];
            } else {
                S[k][i] = held[n].x;
                S[k + 1][i] = held[n].y;
                S[k + 2][i] = held[n].z;
                S[k + 3][i] = held[n].w;
            }
        }
    }
};

__device__ __forceinline__ void read4(float* to, const float* shared) {
    float4 v = *reinterpret_cast<const float4*>(shared);
    to[0] = v.x, to[1] = v.y, to[2] = v.z, to[3] = v.w;
}

extern "C" __global__ void __launch_bounds__(WARP_THREADS, WARP_BLOCKS)
matmul_warp(STRIDED ALIGNED(16) const float* a, STRIDED ALIGNED(16) const float* b, const float* bias, OUT ALIGNED(16) float* c,
            Product p) {
    __shared__ __align__(16) float As[2][WARP_DEPTH][WARP_TILE + 4];
    __shared__ __align__(16) float Bs[2][WARP_DEPTH][WARP_TILE + 4];
    auto [batch, i0, j0] = tile(p, blockIdx.x, WARP_TILE, WARP_TILE);
    auto B = matrix(b, p.b, p, batch);
    Loader A_tiles(matrix(a, p.a, p, batch), i0, p.M, p.K);
    Loader B_tiles({B.data, B.column, B.row}, j0, p.N, p.K);                  // of B transposed, (N, K)

    // 2 x 4 warps of 64 x 32, in a warp 8 x 4 lanes; a lane has four rows from y and four from y + 32, columns from x and x + 16
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    int y = warp / 4 * 64 + lane / 4 * 4, x = warp % 4 * 32 + lane % 4 * 4;

    float sum[8][8] = {};
    int tiles = (p.K + WARP_DEPTH - 1) / WARP_DEPTH;
    if (tiles > 0) {
        A_tiles.fetch(), B_tiles.fetch();
        A_tiles.put(As[0]), B_tiles.put(Bs[0]);
    }
    __syncthreads();
    for (int t = 0; t < tiles; t++) {
        bool more = t + 1 < tiles;
        if (more) A_tiles.fetch(), B_tiles.fetch();
        #pragma unroll
        for (int k = 0; k < WARP_DEPTH; k++) {
            float u[8], v[8];
            read4(u, &As[t % 2][k][y]), read4(u + 4, &As[t % 2][k][y + 32]);
            read4(v, &Bs[t % 2][k][x]), read4(v + 4, &Bs[t % 2][k][x + 16]);
            #pragma unroll
            for (int m = 0; m < 8; m++)
                #pragma unroll
                for (int n = 0; n < 8; n++) sum[m][n] += u[m] * v[n];
        }
        if (more) A_tiles.put(As[(t + 1) % 2]), B_tiles.put(Bs[(t + 1) % 2]);
        __syncthreads();
    }

    #pragma unroll
    for (int h = 0; h < 8; h += 4) {
        int j = j0 + x + h * 4;
        float add[4];
        #pragma unroll
        for (int n = 0; n < 4; n++) add[n] = bias_of(bias, j + n, p.N);
        #pragma unroll
        for (int m = 0; m < 8; m++) {
            int i = i0 + y + m % 4 + m / 4 * 32;
            if (i >= p.M || j >= p.N) continue;
            float* to = &c[(batch * p.M + i) * p.N + j];
            float4 v = make_float4(finish(sum[m][h], add[0]), finish(sum[m][h + 1], add[1]),
                                   finish(sum[m][h + 2], add[2]), finish(sum[m][h + 3], add[3]));
            if (p.N % 4 == 0) {
                *reinterpret_cast<float4*>(to) = v;
            } else {
                to[0] = v.x;
                if (j + 1 < p.N) to[1] = v.y;
                if (j + 2 < p.N) to[2] = v.z;
                if (j + 3 < p.N) to[3] = v.w;
            }
        }
    }
}
