"""The simulator as a machine: each word of the language and each instruction does what a GPU does, in every order and timing."""
import ml_dtypes
import numpy as np
import pytest

from minitorch import kernels
from minitorch.kernels import Kernel, TensorMap

rng = np.random.default_rng(0)
HEAD = '#include "kernel.cuh"\n#include "ptx.cuh"\n'
TURNS = [("fast", "forward", "lazy"), ("fast", "reverse", "eager"), ("fast", "random", "random"), ("check", "forward", "lazy"),
         ("check", "random", "random")]
bf16 = ml_dtypes.bfloat16


def run(source, grid, block, *args, shared_mem=0, cluster=(1, 1, 1), turns=TURNS, **define):
    """Runs the source's kernel in each of TURNS on copies; the results of all must be the same, and are returned."""
    text = HEAD + source
    name = source.split("__global__ void ")[1].split("(")[0].split()[-1]
    kernel = Kernel(text, name, define=define, cluster=cluster)
    results = []
    for mode, order, asynchronous in turns:
        copies = {id(a): a.copy() for x in args for a in arrays(x)}
        given = [swapped(x, copies) for x in args]
        with kernels.using(mode=mode, order=order, asynchronous=asynchronous):
            kernel(grid, block, given, shared_mem)
        results.append([copies[id(a)] for x in args for a in arrays(x)])
    for other in results[1:]:
        for a, b in zip(results[0], other):
            assert a.tobytes() == b.tobytes()
    return results[0]


def arrays(x):
    return [x.array] if isinstance(x, TensorMap) else [x] if isinstance(x, np.ndarray) and x.ndim else []


def swapped(x, copies):
    if isinstance(x, TensorMap):
        return TensorMap(copies[id(x.array)], x.box, x.swizzle)
    return copies[id(x)] if arrays(x) else x


def numbers(*shape, dtype=np.float32):
    return rng.standard_normal(shape).astype(dtype)


def f32(a):
    return np.asarray(a, np.float32)


# ---- the language ---------------------------------------------------------------------------------------------------

def test_indices_of_threads_and_blocks():
    (y,) = run("""extern "C" __global__ void places(OUT int* y) {
        int block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
        int thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
        int i = block * blockDim.x * blockDim.y * blockDim.z + thread;
        y[i] = i * 10 + gridDim.z + blockDim.z + warpSize;
    }""", (2, 3, 2), (4, 3, 2), np.zeros(12 * 24, np.int32))
    assert (y == np.arange(12 * 24) * 10 + 2 + 2 + 32).all()


def test_sizes_and_alignments_of_vector_types():
    (y,) = run("""template <class T> __device__ int both() { return sizeof(T) * 100 + alignof(T); }
    extern "C" __global__ void sizes(OUT int* y) {
        int all[] = {both<float2>(), both<float3>(), both<float4>(), both<double2>(), both<double4>(), both<int4>(), both<uint2>(), both<uchar4>(),
                     both<short2>(), both<half>(), both<half2>(), both<bf16>(), both<CUtensorMap>(), both<longlong2>(), both<dim3>()};
        for (int i = 0; i < 15; i++) y[i] = all[i];
    }""", 1, 1, np.zeros(15, np.int32))
    assert y.tolist() == [808, 1204, 1616, 1616, 3216, 1616, 808, 404, 404, 202, 404, 202, 12864, 1616, 1204]


def test_vector_loads_and_stores():
    x = numbers(64)
    _, y = run("""extern "C" __global__ void vectors(ALIGNED(16) const float* x, ALIGNED(16) OUT float* y) {
        float4 v = reinterpret_cast<const float4*>(x)[threadIdx.x];
        reinterpret_cast<float4*>(y)[threadIdx.x] = make_float4(v.w, v.z, v.y, v.x);
    }""", 1, 16, x, np.zeros(64, np.float32))
    assert (y.reshape(16, 4) == x.reshape(16, 4)[:, ::-1]).all()


@pytest.mark.parametrize("kind, dtype", [("half", np.float16), ("bf16", bf16)])
def test_every_pattern_of_16_bits_to_float_and_back(kind, dtype):
    bits = np.arange(65536, dtype=np.uint16)
    _, y, z = run("""extern "C" __global__ void there_and_back(const scalar* x, OUT float* y, OUT scalar* z) {
        int i = blockIdx.x * 256 + threadIdx.x;
        y[i] = to_float(x[i]);
        z[i] = from_float<scalar>(y[i]);
    }""", 256, 256, bits.view(dtype), np.zeros(65536, np.float32), np.zeros(65536, dtype), turns=TURNS[:1], scalar=kind)
    expected = bits.view(dtype).astype(np.float32)
    real = ~np.isnan(expected)
    assert (y[real] == expected[real]).all() and np.isnan(y[~real]).all()
    assert (z.view(np.uint16)[real] == bits[real]).all() and np.isnan(f32(z)[~real]).all()


@pytest.mark.parametrize("kind, dtype", [("half", np.float16), ("bf16", bf16)])
def test_rounding_to_16_bits_is_numpys(kind, dtype):
    steps = np.arange(65536, dtype=np.uint16).view(dtype).astype(np.float32)
    steps = np.unique(steps[np.isfinite(steps)])
    halfway = ((steps[1:].astype(np.float64) + steps[:-1]) / 2).astype(np.float32)          # ties, and their neighbours
    with np.errstate(over="ignore"):
        x = np.concatenate([halfway, np.nextafter(halfway, np.float32(np.inf)), np.nextafter(halfway, np.float32(-np.inf)),
                            numbers(1000) * np.float32(1e30), numbers(1000) * np.float32(1e-30), np.float32([np.inf, -np.inf, 0, -0.0])])
        expected = x.astype(dtype)
    _, y = run("""extern "C" __global__ void rounds(const float* x, OUT scalar* y, int n) {
        int i = blockIdx.x * 256 + threadIdx.x;
        if (i < n) y[i] = from_float<scalar>(x[i]);
    }""", -(-x.size // 256), 256, x, np.zeros(x.size, dtype), x.size, turns=TURNS[:1], scalar=kind)
    assert (y.view(np.uint16) == expected.view(np.uint16)).all()


def test_arithmetic_of_half_rounds_each_result():
    a, b = numbers(64, dtype=np.float16), numbers(64, dtype=np.float16)
    _, _, y = run("""extern "C" __global__ void halves(const half* a, const half* b, OUT half* y) {
        int i = threadIdx.x;
        y[i] = a[i] + b[i], y[64 + i] = a[i] * b[i], y[128 + i] = a[i] / b[i], y[192 + i] = -a[i];
    }""", 1, 64, a, b, np.zeros(256, np.float16))
    assert (y == np.concatenate([a + b, a * b, a / b, -a])).all()


def test_scalar_functions():
    x = np.linspace(0.1, 3, 64, dtype=np.float32)
    _, y = run("""extern "C" __global__ void functions(const float* x, OUT float* y) {
        float v = x[threadIdx.x], *to = y + 8 * threadIdx.x;
        to[0] = expf(v), to[1] = __logf(v), to[2] = tanhf(v), to[3] = rsqrtf(v), to[4] = fmaf(v, v, 1.f), to[5] = exp2f(v);
        to[6] = max(v, 1.f) + min(3, 5) + max(2u, 1u), to[7] = erff(v);
    }""", 1, 64, x, np.zeros((64, 8), np.float32))
    from math import erf
    d = x.astype(np.float64)
    expected = np.stack([np.exp(d), np.log(d), np.tanh(d), d ** -0.5, d * d + 1, 2 ** d, np.maximum(d, 1) + 5, [erf(v) for v in d]], 1)
    assert np.allclose(y, expected, rtol=2e-6)


def test_integer_functions():
    x = rng.integers(0, 2**32, 64, dtype=np.uint32)
    _, y = run("""extern "C" __global__ void integers(const unsigned* x, OUT unsigned* y) {
        unsigned v = x[threadIdx.x], *to = y + 6 * threadIdx.x;
        to[0] = __popc(v), to[1] = __clz(v), to[2] = __ffs(v), to[3] = __brev(v), to[4] = __umulhi(v, 0x9E3779B9u);
        to[5] = __byte_perm(v, 0, 0x0123);
    }""", 1, 64, x, np.zeros((64, 6), np.uint32))
    for v, row in zip(x.tolist(), y.tolist()):
        text = f"{v:032b}"
        assert row == [text.count("1"), len(text) - len(text.lstrip("0")), (v & -v).bit_length(), int(text[::-1], 2), v * 0x9E3779B9 >> 32,
                       int.from_bytes(v.to_bytes(4, "little"), "big")]


def test_float_compiled_as_double():
    x = rng.standard_normal(64)
    y = np.zeros(64)
    Kernel(HEAD + """extern "C" __global__ void wide(const float* x, OUT float* y) {
        float4 v = make_float4(x[threadIdx.x], 0.f, 0.f, 0.f);
        y[threadIdx.x] = expf(v.x) * warp_sum(1.f) + fmaxf(v.x, 0.f) + INF * 0.f * 0;
    }""".replace(" + INF * 0.f * 0", ""), "wide")(1, 64, (x, y))
    assert np.allclose(y, np.exp(x) * 32 + np.maximum(x, 0), rtol=1e-15)


# ---- meeting others -----------------------------------------------------------------------------------------------------

def test_barriers_and_static_and_dynamic_shared_memory():
    x = numbers(3, 256)
    _, y = run("""extern "C" __global__ void reverse(const float* x, OUT float* y) {
        __shared__ float a[128];
        extern __shared__ float b[];
        int t = threadIdx.x;
        a[t] = x[blockIdx.x * 256 + t], b[t] = x[blockIdx.x * 256 + 128 + t];
        __syncthreads();
        y[blockIdx.x * 256 + t] = b[127 - t], y[blockIdx.x * 256 + 128 + t] = a[127 - t];
    }""", 3, 128, x, np.zeros((3, 256), np.float32), shared_mem=512)
    assert (y == x[:, ::-1]).all()


def test_votes_over_a_block():
    (y,) = run("""extern "C" __global__ void votes(OUT int* y) {
        int t = threadIdx.x, count = __syncthreads_count(t % 3 == 0), any = __syncthreads_or(t == 70), all = __syncthreads_and(t < 96);
        y[t] = count * 100 + any * 10 + all;
    }""", 1, 96, np.zeros(96, np.int32))
    assert (y == 3211).all()


def test_named_barriers_between_a_producer_and_a_consumer():
    x = numbers(8, 32)
    _, y = run("""extern "C" __global__ void pipeline(const float* x, OUT float* y, int n) {
        __shared__ float buffer[2][32];
        int t = threadIdx.x % 32;
        if (threadIdx.x < 32)
            for (int i = 0; i < n; i++) {
                if (i >= 2) bar_sync(3 + i % 2, 64);
                buffer[i % 2][t] = x[i * 32 + t] * 2.f;
                bar_arrive(1 + i % 2, 64);
            }
        else
            for (int i = 0; i < n; i++) {
                bar_sync(1 + i % 2, 64);
                y[i * 32 + t] = buffer[i % 2][31 - t];
                if (i + 2 < n) bar_arrive(3 + i % 2, 64);
            }
    }""", 1, 64, x, np.zeros_like(x), 8)
    assert (y == 2 * x[:, ::-1]).all()


def test_shuffles_in_whole_warps_and_in_parts():
    x = np.arange(64, dtype=np.int32)
    (_, y) = run("""extern "C" __global__ void shuffles(const int* x, OUT int* y) {
        int v = x[threadIdx.x], *to = y + 7 * threadIdx.x;
        to[0] = __shfl_sync(ALL_LANES, v, 5), to[1] = __shfl_up_sync(ALL_LANES, v, 3), to[2] = __shfl_down_sync(ALL_LANES, v, 4);
        to[3] = __shfl_xor_sync(ALL_LANES, v, 7), to[4] = __shfl_sync(ALL_LANES, v, 2, 8), to[5] = __shfl_down_sync(ALL_LANES, v, 3, 8);
        to[6] = threadIdx.x % 32 < 16 ? __shfl_xor_sync(0xffffu, v, 1) : -1;
    }""", 1, 64, x, np.zeros((64, 7), np.int32))
    for t in range(64):
        w, k = t // 32 * 32, t % 32
        assert y[t].tolist() == [w + 5, t - 3 if k >= 3 else t, t + 4 if k < 28 else t, w + (k ^ 7), t // 8 * 8 + 2, t + 3 if t % 8 < 5 else t,
                                 t ^ 1 if k < 16 else -1]


def test_votes_and_reductions_of_a_warp():
    x = rng.integers(0, 100, 64, dtype=np.int32)
    _, y = run("""extern "C" __global__ void warps(const int* x, OUT int* y) {
        int v = x[threadIdx.x], *to = y + 8 * threadIdx.x;
        to[7] = __activemask();
        to[0] = __ballot_sync(ALL_LANES, v > 50), to[1] = __any_sync(ALL_LANES, v > 98), to[2] = __all_sync(ALL_LANES, v >= 0);
        to[3] = __reduce_add_sync(ALL_LANES, v), to[4] = __reduce_max_sync(ALL_LANES, v), to[5] = __reduce_min_sync(ALL_LANES, v);
        to[6] = __match_any_sync(ALL_LANES, v % 4);
    }""", 1, 64, x, np.zeros((64, 8), np.int32))
    for w, rows in zip(x.reshape(2, 32), y.reshape(2, 32, 8)):
        def mask(which):
            return int(np.uint32(sum(1 << i for i in np.flatnonzero(which))).view(np.int32))
        for v, row in zip(w, rows):
            assert row.tolist() == [mask(w > 50), (w > 98).any(), True, w.sum(), w.max(), w.min(), mask(w % 4 == v % 4), -1]


def test_atomics():
    (y,) = run("""extern "C" __global__ void atomics(int* y) {
        int t = threadIdx.x + blockIdx.x * blockDim.x;
        atomicAdd(&y[0], t), atomicSub(&y[1], t), atomicMax(&y[2], t), atomicMin(&y[3], -t), atomicOr(&y[4], 1 << t % 20);
        atomicAnd(&y[5], ~(1 << t % 20)), atomicXor(&y[6], 1 << t % 20), atomicInc((unsigned*)&y[7], 9u);
        if (t < 100) atomicCAS(&y[8], 0, 7);
    }""", 4, 64, np.int32([0, 0, 0, 0, 0, -1, 0, 0, 0]))
    assert y.tolist()[:6] == [32640, -32640, 255, -255, (1 << 20) - 1, ~((1 << 20) - 1)]
    assert y.tolist()[7:] == [256 % 10, 7]


def test_atomic_sums_of_floats():
    x = rng.integers(-8, 8, 256).astype(np.float32)
    _, y, z = run("""extern "C" __global__ void sums(const float* x, float* y, half* z) {
        __shared__ float sum;
        if (threadIdx.x == 0) sum = 0.f;
        __syncthreads();
        atomicAdd(&sum, x[blockIdx.x * 64 + threadIdx.x]);
        __syncthreads();
        if (threadIdx.x == 0) atomicAdd(y, sum), atomicAdd(z, __float2half(sum));
    }""", 4, 64, x, np.zeros(1, np.float32), np.zeros(1, np.float16))
    assert y[0] == z[0] == x.sum()


def test_a_block_that_waits_for_another_blocks_flag():
    source = """extern "C" __global__ void chain(OUT float* y, unsigned* flags) {
        int b = blockIdx.x;
        if (threadIdx.x == 0) {
            float before = 0.f;
            if (b + SIGN >= 0 && b + SIGN < (int)gridDim.x) {
                WAIT
                before = y[b + SIGN];
            }
            y[b] = before + 1.f;
            SIGNAL
        }
    }"""
    waits = {
        "while (load_acquire(&flags[b + SIGN]) == 0u) {}": "store_release(&flags[b], 1u);",
        "while (atomicAdd(&flags[b + SIGN], 0u) == 0u) {} __threadfence();": "__threadfence(); atomicExch(&flags[b], 1u);",
        "while (*(volatile unsigned*)&flags[b + SIGN] == 0u) {}": "__threadfence(); *(volatile unsigned*)&flags[b] = 1u;",
        "while (atomicCAS(&flags[b + SIGN], 1u, 2u) == 0u) __nanosleep(20);": "__threadfence(); atomicExch(&flags[b], 1u);",
    }
    for wait, signal in waits.items():
        for sign in (-1, 1):
            y, _ = run(source.replace("WAIT", wait).replace("SIGNAL", signal).replace("SIGN", f"({sign})"), 6, 32, np.zeros(6, np.float32),
                       np.zeros(6, np.uint32), turns=[t for t in TURNS if t[1] != "random"])
            assert y.tolist() == list(range(1, 7))[::-sign]


def test_blocks_on_several_threads_of_the_host():
    kernel = Kernel(HEAD + """extern "C" __global__ void counts(int* y, OUT float* z) {
        __shared__ float s[64];
        s[threadIdx.x] = blockIdx.x;
        __syncthreads();
        z[blockIdx.x * 64 + threadIdx.x] = s[63 - threadIdx.x];
        atomicAdd(y, 1);
    }""", "counts")
    y, z = np.zeros(1, np.int32), np.zeros((200, 64), np.float32)
    with kernels.using(threads=4):
        kernel(200, 64, (y, z))
    assert y[0] == 12800 and (z == np.arange(200)[:, None]).all()


# ---- instructions of sm_80 ------------------------------------------------------------------------------------------------

def test_copies_with_zeros_where_not_valid():
    x = numbers(128)
    _, y = run("""extern "C" __global__ void copies(ALIGNED(16) const float* x, OUT float* y) {
        __shared__ __align__(16) float s[32][7];
        __shared__ __align__(16) float v[32][4];
        int t = threadIdx.x;
        cp_async<16>(v[t], &x[4 * t], t % 3 != 0);
        cp_async<4>(&s[t][0], &x[t]);
        cp_async_commit();
        cp_async_wait<0>();
        for (int i = 0; i < 4; i++) y[t * 5 + i] = v[t][i];
        y[t * 5 + 4] = s[t][0];
    }""", 1, 32, x, np.zeros((32, 5), np.float32))
    expected = x.reshape(32, 4) * (np.arange(32) % 3 != 0)[:, None]
    assert (y[:, :4] == expected).all() and (y[:, 4] == x[:32]).all()


@pytest.mark.parametrize("transposed", ["false", "true"])
@pytest.mark.parametrize("count", [1, 2, 4])
def test_ldmatrix_and_stmatrix(count, transposed):
    x = rng.integers(0, 65536, (count, 8, 8), dtype=np.uint16)
    _, y, z = run("""extern "C" __global__ void matrices(const uint16_t* x, OUT uint16_t* y, OUT uint16_t* z) {
        __shared__ __align__(16) uint16_t a[COUNT * 64], b[COUNT * 64];
        int t = threadIdx.x;
        for (int i = t; i < COUNT * 64; i += 32) a[i] = x[i];
        __syncthreads();
        uint32_t r[COUNT];
        ldmatrix<COUNT, TRANSPOSED>(r, &a[t % (8 * COUNT) * 8]);
        for (int i = 0; i < COUNT; i++) y[(i * 32 + t) * 2] = r[i], y[(i * 32 + t) * 2 + 1] = r[i] >> 16;
        stmatrix<COUNT, TRANSPOSED>(&b[t % (8 * COUNT) * 8], r);
        __syncthreads();
        for (int i = t; i < COUNT * 64; i += 32) z[i] = b[i];
    }""", 1, 32, x, np.zeros((count, 8, 8), np.uint16), np.zeros((count, 8, 8), np.uint16), COUNT=count, TRANSPOSED=transposed)
    assert (y == (x.transpose(0, 2, 1) if transposed == "true" else x)).all()
    assert (z == x).all()


@pytest.mark.parametrize("kind, dtype", [("bf16", bf16), ("f16", np.float16)])
def test_mma_of_16_bit_numbers(kind, dtype):
    a, b, d = numbers(16, 16, dtype=dtype), numbers(16, 8, dtype=dtype), numbers(16, 8)
    *_, y = run("""extern "C" __global__ void product(const uint16_t* a, const uint16_t* b, const float* d, OUT float* y) {
        int g = threadIdx.x / 4, t = threadIdx.x % 4;
        uint32_t ra[4], rb[2];
        float r[4];
        for (int i = 0; i < 4; i++) {
            const uint16_t* p = &a[(g + 8 * (i % 2)) * 16 + 2 * t + 8 * (i / 2)];
            ra[i] = p[0] | (uint32_t)p[1] << 16;
            r[i] = d[(g + 8 * (i / 2)) * 8 + 2 * t + i % 2];
        }
        for (int i = 0; i < 2; i++) rb[i] = b[(2 * t + 8 * i) * 8 + g] | (uint32_t)b[(2 * t + 8 * i + 1) * 8 + g] << 16;
        MMA(r, ra, rb);
        for (int i = 0; i < 4; i++) y[(g + 8 * (i / 2)) * 8 + 2 * t + i % 2] = r[i];
    }""", 1, 32, a.view(np.uint16), b.view(np.uint16), d, np.zeros((16, 8), np.float32), MMA=f"mma_{kind}")
    assert np.abs(y - (d + f32(a).astype(np.float64) @ f32(b))).max() < 1e-5


def test_mma_of_tf32():
    a, b = numbers(16, 8), numbers(8, 8)
    *_, y = run("""extern "C" __global__ void product(const unsigned* a, const unsigned* b, OUT float* y) {
        int g = threadIdx.x / 4, t = threadIdx.x % 4;
        uint32_t ra[4], rb[2] = {b[t * 8 + g], b[(t + 4) * 8 + g]};
        for (int i = 0; i < 4; i++) ra[i] = a[(g + 8 * (i % 2)) * 8 + t + 4 * (i / 2)];
        float r[4] = {0.f, 0.f, 0.f, 0.f};
        mma_tf32(r, ra, rb);
        for (int i = 0; i < 4; i++) y[(g + 8 * (i / 2)) * 8 + 2 * t + i % 2] = r[i];
    }""", 1, 32, a.view(np.uint32), b.view(np.uint32), np.zeros((16, 8), np.float32))
    cut = [(m.view(np.uint32) & 0xFFFFE000).view(np.float32).astype(np.float64) for m in (a, b)]
    assert np.abs(y - cut[0] @ cut[1]).max() < 1e-5


def test_pairs_of_16_bit_numbers():
    (y,) = run("""extern "C" __global__ void pairs(OUT unsigned* y) { y[0] = pack_half(1.f, -2.f), y[1] = pack_bf16(1.f, -2.f); }""", 1, 1,
               np.zeros(2, np.uint32))
    assert y.tolist() == [0xC0003C00, 0xC0003F80]
