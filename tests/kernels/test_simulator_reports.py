"""What the simulator says of each kind of mistake: the kind, the line of the user's source, the array's name in the kernel.

Each kernel here has one mistake, in the line marked HERE.
"""
import ml_dtypes
import numpy as np
import pytest

from minitorch import kernels
from minitorch.kernels import Kernel, TensorMap
from minitorch.kernels.simulator import KINDS, SimulatorError

CASES = []


def mistake(kind, source, args, grid=1, block=64, parameter=None, modes=("check",), shared_mem=0, cluster=(1, 1, 1), line=True):
    name = source.split("__global__")[1].split("void ")[1].split("(")[0].split()[-1]
    for mode in modes:
        CASES.append(pytest.param(kind, source, name, args, grid, block, parameter, mode, shared_mem, cluster, line, id=f"{kind}-{name}-{mode}"))


def floats(n):
    return np.ones(n, np.float32)


def find(kind, source, name, args, grid, block, mode, shared_mem, cluster, **settings):
    """The report of this kind, and the numbers of the lines marked HERE."""
    kernel = Kernel(source, name, cluster=cluster)
    with kernels.using(mode=mode, **settings), pytest.raises(SimulatorError) as error:
        kernel(grid, block, args(), shared_mem)
    marked = [i for i, line in enumerate(source.splitlines(), 1) if "HERE" in line]
    found = [r for r in error.value.reports if r.kind == kind]
    assert found, str(error.value)
    return found, marked, name



# ---- memory

mistake("global-out-of-bounds", """
extern "C" __global__ void past_the_end(const float* x, OUT float* y, int n) {
    int i = threadIdx.x;
    if (i <= n) y[i] = x[0];                         // HERE
}""", lambda: (floats(3), floats(40), 40), parameter="y")

mistake("global-out-of-bounds", """
extern "C" __global__ void before_the_start(const float* x, OUT float* y) {
    y[threadIdx.x] = x[(int)threadIdx.x - 1];        // HERE
}""", lambda: (floats(64), floats(64)), parameter="x")

mistake("global-out-of-bounds", """
extern "C" __global__ void far_away(const float* x, OUT float* y) {
    y[threadIdx.x + 500000000] = x[0];               // HERE
}""", lambda: (floats(3), floats(64)), parameter="y", modes=("fast", "check"))

mistake("global-out-of-bounds", """
extern "C" __global__ void just_past(OUT float* y, int n) {
    if (threadIdx.x <= n) y[threadIdx.x] = 1.f;
}""", lambda: (floats(5), 5), parameter="y", modes=("fast",), line=False)

mistake("crash", """
extern "C" __global__ void null_pointer(const float* x, OUT float* y) {
    y[threadIdx.x] = x[threadIdx.x];                 // HERE
}""", lambda: (None, floats(64)), modes=("fast",))

mistake("crash", """
extern "C" __global__ void deep(OUT float* y) {
    volatile float room[40000];
    for (int i = 0; i < 40000; i++) room[i] = i;     // HERE
    y[threadIdx.x] = room[threadIdx.x];
}""", lambda: (floats(64),), modes=("fast",), line=False)

mistake("crash", """
extern "C" __global__ void divides(OUT int* y, int n) {
    y[threadIdx.x] = 100 / n;                        // HERE
}""", lambda: (np.zeros(64, np.int32), 0), modes=("fast",))

mistake("shared-out-of-bounds", """
extern "C" __global__ void past_dynamic(OUT float* y) {
    extern __shared__ float s[];
    s[threadIdx.x + 1] = 1.f;                        // HERE
    __syncthreads();
    y[threadIdx.x] = s[threadIdx.x];
}""", lambda: (floats(64),), shared_mem=256)

mistake("shared-out-of-bounds", """
extern "C" __global__ void past_dynamic_unseen(OUT float* y) {
    extern __shared__ float s[];
    s[threadIdx.x + 1] = 1.f;
    y[threadIdx.x] = 0.f;
}""", lambda: (floats(64),), shared_mem=256, modes=("fast",), line=False)

mistake("array-index", """
extern "C" __global__ void past_static(OUT float* y) {
    __shared__ float tile[4][16];
    int i = threadIdx.x;
    tile[i / 16][i % 16] = 1.f;
    __syncthreads();
    y[i] = tile[i / 16][i % 16 + i / 63];            // HERE
}""", lambda: (floats(64),))

mistake("misaligned", """
extern "C" __global__ void vector_load(const float* x, OUT float* y) {
    float4 v = *reinterpret_cast<const float4*>(x + 1);  // HERE
    y[threadIdx.x] = v.x + v.y;
}""", lambda: (floats(64), floats(64)))

mistake("misaligned", """
extern "C" __global__ void vector_store(OUT float* y) {
    *reinterpret_cast<float4*>(y + 1) = make_float4(1.f, 2.f, 3.f, 4.f);         // HERE
}""", lambda: (floats(64),), parameter="y", modes=("fast", "check"))

mistake("misaligned", """
extern "C" __global__ void shared_vector_store(OUT float* y, int n) {
    __shared__ __align__(16) float s[64];
    *reinterpret_cast<float4*>(s + n) = make_float4(1.f, 2.f, 3.f, 4.f);         // HERE
    y[0] = s[n] + s[n + 3];
}""", lambda: (floats(64), 3), block=1, modes=("fast", "check"))

mistake("shared-out-of-bounds", """
extern "C" __global__ void past_static_by_a_pointer(OUT float* y, int n) {
    __shared__ float s[64];
    s[threadIdx.x] = 1.f;
    __syncthreads();
    const float* p = &s[n];
    y[threadIdx.x] = p[threadIdx.x];                 // HERE
}""", lambda: (floats(64), 64))

mistake("crash", """
extern "C" __global__ void traps(OUT float* y) {
    if (threadIdx.x == 3) __builtin_trap();          // HERE
    y[threadIdx.x] = 0.f;
}""", lambda: (floats(64),), modes=("fast", "check"))

mistake("write-to-const", """
extern "C" __global__ void writes_input(const float* x, OUT float* y) {
    ((float*)x)[threadIdx.x] = 2.f;                  // HERE
    y[threadIdx.x] = 0.f;
}""", lambda: (floats(64), floats(64)), parameter="x")

mistake("write-to-const", """
extern "C" __global__ void writes_input_unseen(const float* x, OUT float* y) {
    ((float*)x)[threadIdx.x] = 2.f;
    y[threadIdx.x] = 0.f;
}""", lambda: (floats(64), floats(64)), parameter="x", modes=("fast",), line=False)

mistake("unwritten-output", """
extern "C" __global__ void leaves_some(OUT float* y, int n) {
    if (threadIdx.x < n - 3) y[threadIdx.x] = 0.f;
}""", lambda: (floats(64), 64), parameter="y", line=False)

mistake("uninitialised", """
extern "C" __global__ void reads_output(OUT float* y) {
    y[threadIdx.x] += 1.f;                           // HERE
}""", lambda: (floats(64),), parameter="y")

mistake("uninitialised", """
extern "C" __global__ void reads_shared(OUT float* y) {
    __shared__ float s[64];
    if (threadIdx.x < 63) s[threadIdx.x] = 1.f;
    __syncthreads();
    y[threadIdx.x] = s[threadIdx.x];                 // HERE
}""", lambda: (floats(64),))

# ---- races

mistake("race", """
extern "C" __global__ void no_barrier(OUT float* y) {
    __shared__ float s[64];
    s[threadIdx.x] = threadIdx.x;                    // HERE
    y[threadIdx.x] = s[63 - threadIdx.x];            // HERE
}""", lambda: (floats(64),))

mistake("race", """
extern "C" __global__ void no_second_barrier(OUT float* y) {
    __shared__ float s[64];
    for (int k = 0; k < 2; k++) {
        s[threadIdx.x] = k;                          // HERE
        __syncthreads();
        y[threadIdx.x] = s[63 - threadIdx.x];        // HERE
    }
}""", lambda: (floats(64),))

mistake("race", """
extern "C" __global__ void third_reader(OUT float* y) {
    __shared__ float s[1];
    int t = threadIdx.x;
    if (t == 0) s[0] = 1.f;
    __syncthreads();
    if (t == 1 || t == 2 || t == 40) y[t] = s[0];    // HERE
    if (t < 32) __syncwarp();
    if (t == 0) s[0] = 2.f;                          // HERE
    if (t != 1 && t != 2 && t != 40) y[t] = 0.f;
}""", lambda: (floats(64),))

mistake("race", """
extern "C" __global__ void no_syncwarp(OUT float* y) {
    __shared__ float s[32];
    s[threadIdx.x] = 1.f;                            // HERE
    y[threadIdx.x] = s[threadIdx.x ^ 1];             // HERE
}""", lambda: (floats(32),), block=32)

mistake("race", """
extern "C" __global__ void shuffle_orders_nothing(OUT float* y) {
    __shared__ float s[32];
    s[threadIdx.x] = 1.f;                            // HERE
    int v = __shfl_xor_sync(0xffffffffu, (int)threadIdx.x, 1);
    y[threadIdx.x] = s[v];                           // HERE
}""", lambda: (floats(32),), block=32)

mistake("race", """
extern "C" __global__ void neighbouring_bytes(OUT uint8_t* y) {
    __shared__ uint8_t s[64];
    s[threadIdx.x] = 1;                              // HERE
    __syncwarp();
    y[threadIdx.x] = s[threadIdx.x ^ 32];            // HERE
}""", lambda: (np.zeros(64, np.uint8),))

mistake("race", """
extern "C" __global__ void blocks_store_one_place(OUT float* y) {
    if (threadIdx.x == 0) y[0] = blockIdx.x;         // HERE
}""", lambda: (floats(1),), grid=4, parameter="y")

mistake("race", """
extern "C" __global__ void lost_update(float* y) {
    if (threadIdx.x == 0) y[0] += 1.f;               // HERE
}""", lambda: (floats(1),), grid=4, parameter="y")

mistake("race", """
extern "C" __global__ void atomic_and_plain(int* y, OUT int* z) {
    atomicAdd(&y[0], 1);                             // HERE
    z[threadIdx.x] = y[0];                           // HERE
}""", lambda: (np.zeros(1, np.int32), np.zeros(64, np.int32)), parameter="y")

mistake("race", """
extern "C" __global__ void shared_atomic_and_plain(OUT int* z) {
    __shared__ int count;
    if (threadIdx.x == 0) count = 0;
    __syncthreads();
    atomicAdd(&count, 1);                            // HERE
    z[threadIdx.x] = count;                          // HERE
}""", lambda: (np.zeros(64, np.int32),))

LAST_BLOCK = """
extern "C" __global__ void last_block(SCRATCH float* part, unsigned* counter, OUT float* y) {
    __shared__ bool last;
    if (threadIdx.x == 0) {
        part[blockIdx.x] = 1.f;                      // HERE
        FENCE
        last = atomicAdd(counter, 1u) == gridDim.x - 1;
    }
    __syncthreads();
    if (last && threadIdx.x == 0) {
        float sum = 0.f;
        for (int i = 0; i < gridDim.x; i++) sum += part[i];    // HERE
        y[0] = sum;
    }
}"""
mistake("race", LAST_BLOCK.replace("FENCE", ""), lambda: (floats(5), np.zeros(1, np.uint32), floats(1)), grid=5, parameter="part")

# ---- barriers, warps

mistake("barrier-divergence", """
extern "C" __global__ void two_barriers(OUT float* y) {
    if (threadIdx.x < 32)
        __syncthreads();                             // HERE
    else
        __syncthreads();                             // HERE
    y[threadIdx.x] = 0.f;
}""", lambda: (floats(64),), modes=("fast", "check"))

mistake("barrier-divergence", """
extern "C" __global__ void early_return(OUT float* y, int n) {
    y[threadIdx.x] = 0.f;
    if (threadIdx.x >= n) return;
    __syncthreads();                                 // HERE
}""", lambda: (floats(64), 40), modes=("fast", "check"))

mistake("warp-divergence", """
extern "C" __global__ void half_the_lanes(OUT float* y) {
    y[threadIdx.x] = 0.f;
    if (threadIdx.x < 16) y[threadIdx.x] = __shfl_down_sync(0xffffffffu, 1.f, 1);      // HERE
}""", lambda: (floats(32),), block=32, modes=("fast", "check"))

mistake("warp-divergence", """
extern "C" __global__ void reads_an_absent_lane(OUT float* y) {
    y[threadIdx.x] = 0.f;
    if (threadIdx.x < 16) y[threadIdx.x] = __shfl_sync(0xffffu, 1.f, 20);              // HERE
}""", lambda: (floats(32),), block=32, modes=("fast", "check"))

mistake("warp-divergence", """
extern "C" __global__ void lanes_at_two_places(OUT float* y) {
    float v = threadIdx.x;
    if (threadIdx.x < 16)
        v = __shfl_xor_sync(0xffffffffu, v, 1);      // HERE
    else
        v = __shfl_xor_sync(0xffffffffu, v, 2);      // HERE
    y[threadIdx.x] = v;
}""", lambda: (floats(32),), block=32, modes=("fast", "check"))

mistake("deadlock", """
#include "ptx.cuh"
extern "C" __global__ void one_too_few(OUT float* y) {
    y[threadIdx.x] = 0.f;
    if (threadIdx.x < 32) bar_sync(1, 64);           // HERE
}""", lambda: (floats(64),), modes=("fast", "check"))

mistake("deadlock", """
extern "C" __global__ void waits_for_nobody(unsigned* flag) {
    while (atomicAdd(flag, 0u) == 0u) {              // HERE
    }
}""", lambda: (np.zeros(1, np.uint32),), block=1, modes=("fast", "check"))

mistake("deadlock", """
extern "C" __global__ void waits_for_a_volatile(volatile unsigned* flag) {
    while (*flag == 0u) {                            // HERE
    }
}""", lambda: (np.zeros(1, np.uint32),), block=2, modes=("fast", "check"))

mistake("assertion", """
extern "C" __global__ void asserts(const int* x) {
    assert(x[threadIdx.x] != 3);                     // HERE
}""", lambda: (np.arange(64, dtype=np.int32),), modes=("fast", "check"))

# ---- asynchronous copies

COPY = """
#include "ptx.cuh"
extern "C" __global__ void NAME(ALIGNED(16) const float* x, OUT float* y) {
    __shared__ __align__(16) float s[2][128];
    int t = threadIdx.x;
    for (int k = 0; k < 2; k++) {
        cp_async<16>(&s[k][4 * t], &x[128 * k + 4 * t]);             // HERE
        cp_async_commit();
    }
    WAIT
    __syncwarp();
    y[t] = s[0][127 - t] + s[1][t];                  // HERE
    REST
}"""
mistake("missing-wait", COPY.replace("NAME", "no_wait").replace("WAIT", "").replace("REST", "cp_async_wait<0>();"),
        lambda: (floats(256), floats(32)), block=32)
mistake("missing-wait", COPY.replace("NAME", "one_group_too_few").replace("WAIT", "cp_async_wait<1>();").replace("REST", "cp_async_wait<0>();"),
        lambda: (floats(256), floats(32)), block=32)
mistake("missing-wait", COPY.replace("NAME", "never_waits").replace("WAIT", "").replace("y[t] = s[0][127 - t] + s[1][t]", "y[t] = 0.f")
        .replace("REST", ""), lambda: (floats(256), floats(32)), block=32, modes=("fast", "check"))
mistake("misaligned", """
#include "ptx.cuh"
extern "C" __global__ void copy_misaligned(const float* x, OUT float* y) {
    __shared__ __align__(16) float s[128];
    cp_async<16>(&s[4 * threadIdx.x], &x[1]);        // HERE
    cp_async_wait<0>();
    y[threadIdx.x] = 0.f;
}""", lambda: (floats(256), floats(32)), block=32, modes=("fast", "check"))

# ---- Hopper

TMA = """
#include "ptx.cuh"
extern "C" __global__ void NAME(const __grid_constant__ CUtensorMap x, OUT float* y) {
    __shared__ __align__(1024) float tile[32][32];
    __shared__ uint64_t bar;
    int t = threadIdx.x;
    if (t == 0) {
        INIT
        FENCE
    }
    BARRIER
    if (t == 0) {
        mbar_expect_tx(&bar, BYTES);                 // EXPECT
        tma_load_2d(tile, &x, &bar, 0, 0);           // LOAD
    }
    WAIT
    for (int r = 0; r < 32; r++) y[32 * r + t] = tile[r][t];     // READ
}"""


def tma(kind, name, here, modes=("check",), line=True, **parts):
    text = TMA.replace("NAME", name)
    default = dict(INIT="mbar_init(&bar, 1);", FENCE="mbar_fence_init();", BARRIER="__syncthreads();", BYTES="4096", WAIT="mbar_wait(&bar, 0);")
    for key, value in {**default, **parts}.items():
        text = text.replace(key, value, 1)
    mistake(kind, text.replace(here, "HERE"), lambda: (TensorMap(floats((32, 32)), (32, 32), 128), floats(1024)), block=32, modes=modes, line=line)


tma("missing-wait", "no_mbar_wait", "READ", WAIT="")
tma("mbarrier", "never_initialised", "WAIT", INIT="", FENCE="", WAIT="mbar_wait(&bar, 0);       // WAIT", modes=("fast", "check"))
tma("mbarrier", "not_fenced", "LOAD", FENCE="", modes=("fast", "check"))
tma("mbarrier", "too_few_bytes", "LOAD", BYTES="2048", modes=("fast", "check"))
tma("deadlock", "too_many_bytes", "WAIT", BYTES="8192", WAIT="mbar_wait(&bar, 0);       // WAIT", modes=("fast", "check"))

mistake("proxy-fence", """
#include "ptx.cuh"
extern "C" __global__ void store_without_fence(const __grid_constant__ CUtensorMap y) {
    __shared__ __align__(1024) float tile[32][32];
    for (int r = 0; r < 32; r++) tile[r][threadIdx.x] = r;       // HERE
    __syncthreads();
    if (threadIdx.x == 0) {
        tma_store_2d(&y, tile, 0, 0);                // HERE
        bulk_commit();
        bulk_wait<0>();
    }
}""", lambda: (TensorMap(floats((32, 32)), (32, 32), 128),), block=32)

mistake("missing-wait", """
#include "ptx.cuh"
extern "C" __global__ void store_without_wait(const __grid_constant__ CUtensorMap y) {
    __shared__ __align__(1024) float tile[32][32];
    for (int r = 0; r < 32; r++) tile[r][threadIdx.x] = r;
    fence_proxy_async();
    __syncthreads();
    if (threadIdx.x == 0) {
        tma_store_2d(&y, tile, 0, 0);                // HERE
        bulk_commit();
    }
}""", lambda: (TensorMap(floats((32, 32)), (32, 32), 128),), block=32, modes=("fast", "check"))

mistake("tma", """
#include "ptx.cuh"
extern "C" __global__ void wrong_rank(const __grid_constant__ CUtensorMap y) {
    __shared__ __align__(1024) float tile[32][32];
    tile[0][threadIdx.x] = 0.f;
    if (threadIdx.x == 0) tma_store_3d(&y, tile, 0, 0, 0);           // HERE
}""", lambda: (TensorMap(floats((32, 32)), (32, 32), 128),), block=32, modes=("fast", "check"))

WGMMA = """
#include "ptx.cuh"
extern "C" __global__ void NAME(OUT float* y) {
    __shared__ __align__(1024) bf16 a[64][64], b[64][64];
    for (int i = threadIdx.x; i < 4096; i += blockDim.x) (&a[0][0])[i] = (&b[0][0])[i] = __float2bfloat16(1.f);
    fence_proxy_async();
    __syncthreads();
    float d[32];
    for (int i = 0; i < 32; i++) d[i] = 0.f;
    FENCE
    wgmma_m64n64k16<0, 0>(d, wgmma_desc(a, 16, 1024), wgmma_desc(b, 16, 1024));        // HERE
    wgmma_commit();
    WAIT
    if (threadIdx.x == 0) a[0][0] = __float2bfloat16(2.f);           // STORE
    REST
    for (int i = 0; i < 32; i++) y[threadIdx.x * 32 + i] = d[i];
}"""
mistake("wgmma", WGMMA.replace("NAME", "no_wgmma_fence").replace("FENCE", "").replace("WAIT", "wgmma_wait<0>();").replace("REST", ""),
        lambda: (floats(4096),), block=128, modes=("fast", "check"))
mistake("wgmma", WGMMA.replace("NAME", "three_warps").replace("FENCE", "wgmma_fence();").replace("WAIT", "wgmma_wait<0>();").replace("REST", ""),
        lambda: (floats(4096),), block=96, modes=("fast", "check"))
mistake("missing-wait", WGMMA.replace("NAME", "overwritten_too_early").replace("FENCE", "wgmma_fence();").replace("WAIT", "")
        .replace("REST", "wgmma_wait<0>();").replace("STORE", "HERE"), lambda: (floats(4096),), block=128)
mistake("missing-wait", WGMMA.replace("NAME", "never_waited_for").replace("FENCE", "wgmma_fence();").replace("WAIT", "").replace("REST", "")
        .replace("if (threadIdx.x == 0) a[0][0]", "if (false) a[0][0]"), lambda: (floats(4096),), block=128, modes=("fast", "check"))

mistake("instruction", """
#include "ptx.cuh"
extern "C" __global__ void odd_registers(OUT float* y) {
    reg_alloc<30>();                                 // HERE
    y[threadIdx.x] = 0.f;
}""", lambda: (floats(128),), block=128, modes=("fast", "check"))

mistake("address-space", """
#include "ptx.cuh"
extern "C" __global__ void not_shared(ALIGNED(16) const float* x, ALIGNED(16) OUT float* y) {
    cp_async<16>(&y[4 * threadIdx.x], &x[0]);        // HERE
    cp_async_wait<0>();
}""", lambda: (floats(256), floats(256)), modes=("fast", "check"))

CLUSTER = """
#include "ptx.cuh"
extern "C" __global__ void NAME(OUT float* y) {
    __shared__ float s[32];
    s[threadIdx.x] = cluster_rank();                 // HERE
    FIRST
    y[32 * blockIdx.x + threadIdx.x] = cluster_shared(s, 1 - cluster_rank())[threadIdx.x];       // HERE
    cluster_sync();
}"""
mistake("race", CLUSTER.replace("NAME", "no_cluster_sync").replace("FIRST", "__syncthreads();"), lambda: (floats(64),), grid=2, block=32,
        cluster=(2, 1, 1))


@pytest.mark.parametrize("kind, source, name, args, grid, block, parameter, mode, shared_mem, cluster, line", CASES)
def test_a_mistake_is_reported(kind, source, name, args, grid, block, parameter, mode, shared_mem, cluster, line):
    source = "#include \"kernel.cuh\"\n" + source
    found, marked, name = find(kind, source, name, args, grid, block, mode, shared_mem, cluster)
    if line:
        assert {r.line for r in found} & set(marked), [str(r) for r in found]
        assert all(r.file == f"{name}.cu" for r in found)
    if parameter:
        assert parameter in {r.parameter for r in found}
        assert any(parameter in r.message for r in found)


def test_every_kind_has_a_case():
    assert {case.values[0] for case in CASES} | {"time-limit"} == set(KINDS)


STRUCTS = """
struct Eight { float v[8]; };
struct Four { float v[4]; };
extern "C" __global__ void structs(const float* x, OUT float* y) {
    __shared__ float s[40];
    Eight* to = (Eight*)(s + 1) + threadIdx.x;
    *to = *(const Eight*)(x + 3 + 8 * threadIdx.x);  // no more than multiples of 4 are needed
    ((Four*)to)[1] = *(const Four*)(x + 5);
    __syncthreads();
    *(Eight*)(y + 8 * threadIdx.x) = *to;
}"""


def test_correct_variants_are_not_reported():
    """The same kernels without the mistake."""
    good = [
        (LAST_BLOCK.replace("FENCE", "__threadfence();"), "last_block", (floats(5), np.zeros(1, np.uint32), floats(1)), 5, 64, (1, 1, 1)),
        (COPY.replace("NAME", "copies").replace("WAIT", "cp_async_wait<0>();").replace("REST", ""), "copies", (floats(256), floats(32)), 1, 32,
         (1, 1, 1)),
        (STRUCTS, "structs", (floats(100), floats(16)), 1, 2, (1, 1, 1)),
        (CLUSTER.replace("NAME", "cluster").replace("FIRST", "cluster_sync();"), "cluster", (floats(64),), 2, 32, (2, 1, 1)),
        (WGMMA.replace("NAME", "product").replace("FENCE", "wgmma_fence();").replace("WAIT", "wgmma_wait<0>();").replace("REST", ""), "product",
         (floats(4096),), 1, 128, (1, 1, 1)),
    ]
    for source, name, args, grid, block, cluster in good:
        kernel = Kernel("#include \"kernel.cuh\"\n" + source, name, cluster=cluster)
        for order in ("forward", "reverse", "random"):
            with kernels.using(mode="check", order=order, asynchronous="random"):
                kernel(grid, block, tuple(a.copy() for a in args))


@pytest.mark.parametrize("source", ["while (true) y[0] += 1.f;", "for (int i = 0; ; i ^= 1) __syncthreads();"])
@pytest.mark.parametrize("mode", ["fast", "check"])
def test_a_kernel_without_end_meets_the_time_limit(source, mode):
    kernel = Kernel('extern "C" __global__ void endless(float* y) {\n' + source + "\n}", "endless")
    with kernels.using(time_limit=0.3, mode=mode), pytest.raises(SimulatorError, match="endless.cu:2: time-limit"):
        kernel(1, 32 if "sync" in source else 1, (floats(1),))


def test_after_a_report_the_arrays_are_as_before_and_the_next_launch_works():
    kernel = Kernel('extern "C" __global__ void stops(float* y, int bad) { y[0] = 7.f; if (bad) __trap(); }', "stops")
    y = floats(1)
    with pytest.raises(SimulatorError):
        kernel(1, 1, (y, 1))
    assert y[0] == 1
    kernel(1, 1, (y, 0))
    assert y[0] == 7


@pytest.mark.parametrize("mode", ["fast", "check"])
def test_every_place_of_a_deadlock_is_told(mode):
    kernel = Kernel("""#include "kernel.cuh"
extern "C" __global__ void waits(volatile int* flag) {
    if (threadIdx.x < 32) __syncthreads();
    else while (flag[0] == 0) {}
}""", "waits")
    with kernels.using(mode=mode), pytest.raises(SimulatorError, match="32 wait at a barrier, waits.cu:3; 32 wait in a loop, waits.cu:4"):
        kernel(1, 64, (np.zeros(1, np.int32),))
    source = 'extern "C" __global__ void looks(volatile int* flag) {\n    for (int i = 0; flag[0] == 0; i++)\n        flag[1] = i;\n}'
    with kernels.using(mode=mode, time_limit=0.3), pytest.raises(SimulatorError, match="looks.cu:[23]: time-limit"):
        Kernel(source, "looks")(1, 2, (np.zeros(2, np.int32),))


def test_names_of_elements_and_variables():
    kernel = Kernel("""#include "kernel.cuh"
extern "C" __global__ void named(const float* x, OUT float* y) {
    __shared__ float tile[8];
    if (threadIdx.x < 2) tile[threadIdx.x] = x[0];
    y[threadIdx.x] = 0.f;
    if (threadIdx.x == 5) y[7] = tile[3];
}""", "named")
    with kernels.using(mode="check"), pytest.raises(SimulatorError) as error:
        kernel(1, 8, (floats(8), np.ones((2, 4), np.float32)))
    text = str(error.value)
    assert "`tile` + 12 bytes" in text and "y[1, 3]" in text
    race = next(r for r in error.value.reports if r.kind == "race")
    assert {race.line, race.other_line} <= {5, 6}
    assert race.thread == (5, 0, 0) or race.thread == (7, 0, 0)
    assert race.block == (0, 0, 0)


def test_bfloat16_arrays_are_named_and_compared_too():
    kernel = Kernel("""#include "kernel.cuh"
extern "C" __global__ void fills(OUT bf16* y) {
    if (threadIdx.x < 7) y[threadIdx.x] = __float2bfloat16(1.f);
}""", "fills")
    with kernels.using(mode="check"), pytest.raises(SimulatorError, match="1 of 8 elements of y"):
        kernel(1, 8, (np.zeros(8, ml_dtypes.bfloat16),))


@pytest.mark.parametrize("mode", ["fast", "check"])
def test_a_null_pointer_is_called_one(mode):
    kernel = Kernel('extern "C" __global__ void reads(const float* x, float* y) {\n    y[0] = x[1];\n}', "reads")
    with kernels.using(mode=mode), pytest.raises(SimulatorError, match=r"reads.cu:2: crash: .* through a null pointer, at address 4"):
        kernel(1, 1, (None, np.zeros(1, np.float32)))
