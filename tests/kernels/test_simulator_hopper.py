"""The simulator's Hopper: mbarriers, TMA, wgmma, clusters, against NumPy, in every order and timing."""
import ml_dtypes
import numpy as np
import pytest
from test_simulator import TURNS, f32, numbers, run

from minitorch.kernels import TensorMap

bf16 = ml_dtypes.bfloat16


def test_phases_of_an_mbarrier():
    (y,) = run("""extern "C" __global__ void phases(OUT int* y) {
        __shared__ uint64_t full[2], empty[2];
        __shared__ int slot[2];
        int t = threadIdx.x;
        if (t == 0) {
            for (int s = 0; s < 2; s++) mbar_init(&full[s], 1), mbar_init(&empty[s], 32);
            mbar_fence_init();
        }
        __syncthreads();
        if (t == 32)
            for (int k = 0; k < 9; k++) {
                mbar_wait(&empty[k % 2], k / 2 % 2 ^ 1);
                slot[k % 2] = k * k;
                mbar_arrive(&full[k % 2]);
            }
        if (t < 32)
            for (int k = 0; k < 9; k++) {
                while (!mbar_try_wait(&full[k % 2], k / 2 % 2)) {}
                y[k * 32 + t] = slot[k % 2];
                mbar_arrive(&empty[k % 2]);
            }
    }""", 1, 64, np.zeros((9, 32), np.int32))
    assert (y == (np.arange(9) ** 2)[:, None]).all()


LOAD = """extern "C" __global__ void loads(const __grid_constant__ CUtensorMap x, OUT unsigned char* y, int bytes, CORNER) {
    extern __shared__ __align__(1024) unsigned char tile[];
    __shared__ uint64_t bar;
    if (threadIdx.x == 0) {
        mbar_init(&bar, 1);
        mbar_fence_init();
        mbar_expect_tx(&bar, bytes);
        tma_load_RANKd(tile, &x, &bar, PLACE);
    }
    __syncthreads();
    mbar_wait(&bar, 0);
    for (int i = threadIdx.x; i < bytes; i += 32) y[i] = tile[i];
}"""
STORE = """extern "C" __global__ void stores(const unsigned char* x, const __grid_constant__ CUtensorMap y, int bytes, CORNER) {
    extern __shared__ __align__(1024) unsigned char tile[];
    for (int i = threadIdx.x; i < bytes; i += 32) tile[i] = x[i];
    fence_proxy_async();
    __syncthreads();
    if (threadIdx.x == 0) {
        tma_KIND_RANKd(&y, tile, PLACE);
        bulk_commit();
        bulk_wait<0>();
    }
}"""
BOXES = [                                            # shape, box, corner in the array's order, of floats
    ((100,), (64,), (70,)),
    ((20, 40), (8, 16), (3, 8)),
    ((20, 40), (8, 16), (-2, 32)),
    ((5, 6, 8), (2, 3, 4), (4, -1, 4)),
    ((3, 4, 5, 8), (2, 2, 3, 8), (1, 3, 3, 0)),
    ((2, 3, 2, 3, 8), (2, 2, 1, 2, 4), (0, 2, 1, 2, 6)),
]


def source(text, corner, kind=""):
    rank = len(corner)
    names = "xyzwv"[:rank]
    return (text.replace("CORNER", ", ".join(f"int p{n}" for n in names)).replace("RANK", str(rank)).replace("KIND", kind)
            .replace("PLACE", ", ".join(f"p{n}" for n in names)))


def window(a, box, corner):
    """The box, zeros outside, and where it is inside."""
    out, inside = np.zeros(box, a.dtype), np.zeros(box, bool)
    for i in np.ndindex(*box):
        at = tuple(c + k for c, k in zip(corner, i))
        if all(0 <= k < n for k, n in zip(at, a.shape)):
            out[i], inside[i] = a[at], True
    return out, inside


@pytest.mark.parametrize("shape, box, corner", BOXES)
def test_loads_of_every_rank_with_zeros_outside(shape, box, corner):
    x = numbers(*shape)
    wanted, _ = window(x, box, corner)
    _, y = run(source(LOAD, corner), 1, 32, TensorMap(x, box, 0), np.zeros(wanted.nbytes, np.uint8), wanted.nbytes, *corner[::-1],
               shared_mem=4096, turns=TURNS)
    assert (y.view(np.float32).reshape(box) == wanted).all()


@pytest.mark.parametrize("kind", ["store", "reduce_add"])
@pytest.mark.parametrize("shape, box, corner", BOXES[:5])
def test_stores_and_sums_leave_alone_what_is_outside(shape, box, corner, kind):
    y, x = numbers(*shape), numbers(*box)
    _, inside = window(y, box, corner)
    expected = y.copy()
    for i in zip(*np.nonzero(inside)):
        at = tuple(c + k for c, k in zip(corner, i))
        expected[at] = x[i] + (expected[at] if kind == "reduce_add" else 0)
    _, got = run(source(STORE, corner, kind), 1, 32, x.view(np.uint8).reshape(-1), TensorMap(y, box, 0), x.nbytes, *corner[::-1], shared_mem=4096)
    assert (got == expected).all()


@pytest.mark.parametrize("dtype", [np.float16, bf16, np.int32])
def test_sums_of_other_numbers(dtype):
    y, x = numbers(8, 16, dtype=np.float32).astype(dtype), numbers(8, 16).astype(dtype)
    _, got = run(source(STORE, (0, 0), "reduce_add"), 1, 32, x.view(np.uint8).reshape(-1), TensorMap(y, (8, 16), 0), x.nbytes, 0, 0, shared_mem=4096)
    assert (got == (x + y).astype(dtype)).all()


@pytest.mark.parametrize("swizzle", [32, 64, 128])
def test_swizzles_exchange_chunks_within_eight_rows(swizzle):
    x = np.arange(32 * swizzle, dtype=np.uint8).reshape(32, swizzle)
    _, y = run(source(LOAD, (0, 0)), 1, 32, TensorMap(x, (32, swizzle), swizzle), np.zeros(x.nbytes, np.uint8), x.nbytes, 0, 0, shared_mem=8192)
    expected = np.zeros(x.nbytes, np.uint8)
    for row in range(32):
        for chunk in range(swizzle // 16):
            start = row * swizzle + chunk * 16
            moved = start ^ (start >> 7 & {32: 1, 64: 3, 128: 7}[swizzle]) << 4
            expected[moved:moved + 16] = x[row, chunk * 16:chunk * 16 + 16]
    assert (y == expected).all()


# ---- wgmma ------------------------------------------------------------------------------------------------------------------

WGMMA = """extern "C" __global__ void product(const __grid_constant__ CUtensorMap a, const __grid_constant__ CUtensorMap b, const float* c,
                                             OUT float* y) {
    extern __shared__ __align__(1024) unsigned char shared[];
    unsigned char *as = shared, *bs = shared + 16384;
    __shared__ uint64_t bar;
    int t = threadIdx.x;
    if (t == 0) {
        mbar_init(&bar, 1);
        mbar_fence_init();
        mbar_expect_tx(&bar, 64 * 64 * 2 + COLUMNS * 64 * 2);
        tma_load_2d(as, &a, &bar, 0, 0);
        for (int block = 0; block < (B_MN ? (COLUMNS + 63) / 64 : 1); block++) tma_load_2d(bs + block * 8192, &b, &bar, B_MN ? 64 * block : 0, 0);
    }
    __syncthreads();
    mbar_wait(&bar, 0);
    float d[COLUMNS / 2];
    int row = t / 32 * 16 + t % 32 / 4, column = t % 4 * 2;
    for (int i = 0; i < COLUMNS / 2; i++) d[i] = c[(row + i / 2 % 2 * 8) * COLUMNS + i / 4 * 8 + column + i % 2];
    wgmma_fence();
    for (int k = 0; k < 4; k++) {
        uint64_t db = B_MN ? wgmma_desc(bs + k * 2048, 8192, 1024) : wgmma_desc(bs + k * 32, 16, 1024);
        uint64_t da = A_MN ? wgmma_desc(as + k * 2048, 8192, 1024) : wgmma_desc(as + k * 32, 16, 1024);
        PRODUCT<A_MN, B_MN>(d, da, db, k > 0 || KEEP);
    }
    wgmma_commit();
    wgmma_wait<0>();
    for (int i = 0; i < COLUMNS / 2; i++) y[(row + i / 2 % 2 * 8) * COLUMNS + i / 4 * 8 + column + i % 2] = d[i];
}"""


@pytest.mark.parametrize("columns, a_mn, b_mn, keep, dtype", [
    (64, 0, 0, 1, bf16), (64, 1, 1, 0, bf16), (128, 0, 1, 1, np.float16), (256, 0, 0, 0, bf16), (256, 1, 1, 1, np.float16), (8, 0, 0, 1, bf16),
    (32, 0, 0, 1, np.float16), (192, 0, 0, 1, bf16)])
def test_wgmma_from_shared_memory(columns, a_mn, b_mn, keep, dtype):
    a, b, c = numbers(64, 64, dtype=dtype), numbers(64, columns, dtype=dtype), numbers(64, columns)
    maps = TensorMap(np.ascontiguousarray(a.T if a_mn else a), (64, 64)), TensorMap(np.ascontiguousarray(b if b_mn else b.T),
                                                                                  (64, 64) if b_mn else (columns, 64))
    name = f"wgmma_m64n{columns}k16" + ("_f16" if dtype == np.float16 else "")
    *_, y = run(WGMMA, 1, 128, *maps, c, np.zeros((64, columns), np.float32), shared_mem=16384 + 32768, COLUMNS=columns, A_MN=a_mn, B_MN=b_mn,
                KEEP=keep, PRODUCT=name)
    assert np.abs(y - (f32(a).astype(np.float64) @ f32(b) + keep * c)).max() < 1e-4


@pytest.mark.parametrize("columns, dtype", [(64, bf16), (64, np.float16), (128, bf16), (256, bf16)])
def test_wgmma_with_a_in_registers(columns, dtype):
    a, b = numbers(64, 16, dtype=dtype), numbers(16, columns, dtype=dtype)
    *_, y = run("""extern "C" __global__ void product(const uint16_t* a, const uint16_t* b, OUT float* y) {
        __shared__ __align__(1024) uint16_t bs[COLUMNS * 16];      // without swizzle: 8 x 8 matrices, along k 128 bytes apart, along N 256
        int t = threadIdx.x, row = t / 32 * 16 + t % 32 / 4, column = t % 4 * 2;
        for (int i = t; i < COLUMNS * 16; i += 128) {
            int n = i % COLUMNS, k = i / COLUMNS;
            bs[n / 8 * 128 + k / 8 * 64 + n % 8 * 8 + k % 8] = b[k * COLUMNS + n];
        }
        fence_proxy_async();
        __syncthreads();
        uint32_t r[4];
        for (int i = 0; i < 4; i++) {
            const uint16_t* p = &a[(row + 8 * (i % 2)) * 16 + column + 8 * (i / 2)];
            r[i] = p[0] | (uint32_t)p[1] << 16;
        }
        float d[COLUMNS / 2];
        wgmma_fence();
        PRODUCT<0>(d, r, wgmma_desc<0>(bs, 128, 256), 0);
        wgmma_commit();
        wgmma_wait<0>();
        for (int i = 0; i < COLUMNS / 2; i++) y[(row + i / 2 % 2 * 8) * COLUMNS + i / 4 * 8 + column + i % 2] = d[i];
    }""", 1, 128, a.view(np.uint16), b.view(np.uint16), np.zeros((64, columns), np.float32), COLUMNS=columns,
                PRODUCT=f"wgmma_m64n{columns}k16_rs" + ("_f16" if dtype == np.float16 else ""))
    assert np.abs(y - f32(a).astype(np.float64) @ f32(b)).max() < 1e-4


# ---- clusters -----------------------------------------------------------------------------------------------------------------

def test_blocks_of_a_cluster_read_each_others_shared_memory():
    (y,) = run("""extern "C" __global__ void neighbours(OUT int* y) {
        __shared__ int s[32];
        extern __shared__ int d[];
        int t = threadIdx.x, rank = cluster_rank(), next = (rank + 1) % cluster_size();
        s[t] = blockIdx.x * 100 + t, d[t] = -s[t];
        cluster_sync();
        y[blockIdx.x * 32 + t] = cluster_shared(s, next)[t] + 1000 * cluster_shared(d, next)[31 - t];
        cluster_sync();
    }""", 8, 32, np.zeros((8, 32), np.int32), shared_mem=128, cluster=(4, 1, 1))
    t = np.arange(32)
    for b in range(8):
        other = b // 4 * 4 + (b + 1) % 4
        assert (y[b] == other * 100 + t - 1000 * (other * 100 + 31 - t)).all()


def test_multicast_and_arrivals_from_other_blocks():
    x = numbers(4, 64, 64, dtype=bf16)
    _, y = run("""extern "C" __global__ void shares(const __grid_constant__ CUtensorMap x, OUT bf16* y, int rounds) {
        extern __shared__ __align__(1024) unsigned char tile[];
        __shared__ uint64_t full, empty;
        int t = threadIdx.x, rank = cluster_rank();
        if (t == 0) {
            mbar_init(&full, 1), mbar_init(&empty, 2);
            mbar_fence_init();
        }
        cluster_sync();
        for (int k = 0; k < rounds; k++) {
            if (t == 0) {
                mbar_wait(&empty, k % 2 ^ 1);
                mbar_expect_tx(&full, 8192);
                tma_load_3d_multicast(tile + rank * 4096, &x, &full, 0, rank * 32, k, (unsigned short)3);
            }
            mbar_wait(&full, k % 2);
            for (int i = t; i < 4096; i += 64) {
                int at = i * 2 ^ (i * 2 >> 3 & 0x70);
                y[(k * 2 + blockIdx.x) * 4096 + i] = *(bf16*)(tile + at);
            }
            __syncthreads();
            if (t < 2) mbar_arrive_cluster(&empty, t);
        }
        cluster_sync();
    }""", 2, 64, TensorMap(x, (1, 32, 64)), np.zeros((4, 2, 64, 64), bf16), 4, shared_mem=8192, cluster=(2, 1, 1))
    assert (y == x[:, None]).all()
