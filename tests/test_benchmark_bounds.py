"""Occupancy, counts and bounds beside figures worked out by hand: NVIDIA's rules, a copy and a product whose counts are known exactly."""
import math
import types

import numpy as np
import pytest

from minitorch import kernels
from minitorch.benchmark import devices
from minitorch.benchmark.bound import bound, compiled, table
from minitorch.benchmark.counts import Inexact, counts, launched, scaled
from minitorch.benchmark.devices import DEVICES, LIMITS, named
from minitorch.benchmark.occupancy import occupancy, waves
from minitorch.kernels import Kernel, nvrtc
from minitorch.kernels.simulator import build

try:
    build.compiler(None)
except build.CompilerMissing as error:
    pytest.skip(str(error), allow_module_level=True)

COPY = """
#include "kernel.cuh"
extern "C" __global__ void copy(const float* x, OUT float* y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = x[i];
}
extern "C" __global__ void copy4(const float4* x, OUT float4* y) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    float4 v = x[i];
    v.x += 1.f;
    y[i] = make_float4(v.x, v.y, v.z, v.w);
}
extern "C" __global__ void twice(const float* x, float* scratch, OUT float* y) {
    scratch[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    y[threadIdx.x] = scratch[(threadIdx.x + 1) % 64];
}
"""
PRODUCT = """
#include "kernel.cuh"
extern "C" __global__ void product(const float* a, const float* b, OUT float* c, int K) {    // a block a row of 32 columns
    float sum = 0.f;
    for (int k = 0; k < K; k++) sum += a[blockIdx.x * K + k] * b[k * 32 + threadIdx.x];
    c[blockIdx.x * 32 + threadIdx.x] = sum;
}
"""
KNOWN = {"registers": 32, "shared": 0, "spills": 0}


def copy(n):
    x = np.arange(n, dtype="f4")
    return counts(Kernel(COPY, "copy"), -(-n // 256), 256, (x, np.empty_like(x), n))


def product(M, K):
    rng = np.random.default_rng(0)
    a, b, c = rng.standard_normal((M, K), "f4"), rng.standard_normal((K, 32), "f4"), np.empty((M, 32), "f4")
    found = counts(Kernel(PRODUCT, "product"), M, 32, (a, b, c, K))
    assert np.allclose(c, a @ b, atol=1e-4)
    return found


# ---- devices -----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("device", DEVICES.values(), ids=DEVICES)
def test_a_devices_figures_agree_with_each_other(device):
    assert device.flops["float32"] == pytest.approx(2 * device.limits.lanes * device.multiprocessors * device.clock, rel=0.01)
    assert device.flops.get("bfloat16", device.flops["float16"]) == device.flops["float16"] >= device.flops["float32"]
    assert device.source and 0.2e12 < device.bandwidth < 1e13 and device.l2 < device.memory
    assert LIMITS[device.capability].shared_per_block <= device.limits.shared - device.limits.reserved


def test_devices_are_found_by_short_names_and_unknown_ones_refused():
    assert named("h100") is named("H100 SXM") is named("NVIDIA H100-SXM") is DEVICES["H100 SXM"] and named(DEVICES["T4"]) is DEVICES["T4"]
    assert named("H100 PCIe").multiprocessors == 114
    with pytest.raises(ValueError, match="no figures of a GPU called 'V100'.*RTX 4090"):
        named("V100")


def test_the_device_of_this_machine_is_known_by_its_drivers_name_or_its_attributes(monkeypatch):
    assert devices.of_attributes("NVIDIA H100 80GB HBM3", "90", {"MultiProcessorCount": 132}) == DEVICES["H100 SXM"]
    assert devices.of_attributes("NVIDIA A100-SXM4-40GB", "80", {}) is not None
    half = devices.of_attributes("NVIDIA H200", "90", {"MultiProcessorCount": 66})
    assert half.multiprocessors == 66 and half.flops["bfloat16"] == pytest.approx(494.7e12)
    attributes = {"MultiProcessorCount": 46, "ClockRate": 2_475_000, "L2CacheSize": 48 << 20, "MemoryClockRate": 10_501_000,
                  "GlobalMemoryBusWidth": 192}
    other = devices.of_attributes("NVIDIA GeForce RTX 4070", "89", attributes)
    assert other.flops == {"float32": pytest.approx(29.1e12, rel=0.01)} and other.bandwidth == pytest.approx(504e9, rel=0.01)
    with pytest.raises(RuntimeError, match="does not say its ClockRate"):
        devices.of_attributes("NVIDIA Something", "90", {})
    with pytest.raises(RuntimeError, match="compute capability 3.5"):
        devices.of_attributes("Tesla K40", "35", {})
    gpu = types.SimpleNamespace(id=0, compute_capability="90", attributes={"MultiProcessorCount": 132})
    runtime = types.SimpleNamespace(getDeviceProperties=lambda i: {"name": b"NVIDIA H200"})
    monkeypatch.setattr("minitorch.backend.load_cupy", lambda: types.SimpleNamespace(cuda=types.SimpleNamespace(Device=lambda: gpu, runtime=runtime)))
    assert devices.found() == DEVICES["H200"]


def test_which_architectures_a_device_runs():
    assert [named(d).runs("sm_90a") for d in ("A100", "H100", "B200")] == [False, True, False]
    assert named("B200").runs("sm_90") and named("T4").runs(None) and not named("T4").runs("sm_80")


# ---- occupancy ---------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("device,threads,registers,shared,blocks,limited_by", [
    ("H100", 256, 64, 0, 4, ["registers"]),                     # 2048 a warp, 8 warps a quarter, 32 in all
    ("H100", 256, 65, 0, 3, ["registers"]),                     # 2304 a warp, 7 warps a quarter, 28 in all: 3 blocks of 8
    ("H100", 1024, 32, 0, 2, ["threads", "registers"]),
    ("A100", 1024, 33, 0, 1, ["registers"]),                    # 1280 a warp, 12 a quarter, 48 in all
    ("A100", 32, 16, 0, 32, ["blocks"]),
    ("H100", 128, 32, 113 << 10, 2, ["shared memory"]),         # 2 x (113 + 1) KiB are all of the 228
    ("H100", 128, 32, (113 << 10) + 1, 1, ["shared memory"]),   # 128 bytes more each
    ("H100", 384, 168, 196688, 1, ["registers", "shared memory"]),      # 5376 a warp, 3 a quarter, 12 in all
    ("RTX 4090", 64, 200, 16888, 4, ["registers"]),             # 6400 a warp, 2 a quarter, 8 in all
    ("RTX 4090", 64, 168, 16888, 5, ["shared memory"]),         # 17920 bytes each of 102400
    ("RTX 5090", 64, 128, 0, 8, ["registers"]),
    ("RTX 5090", 32, 40, 0, 24, ["blocks"]),
    ("T4", 256, 32, 32 << 10, 2, ["shared memory"]),            # no reserved KiB before 8.0
    ("T4", 33, 32, 0, 16, ["threads", "blocks"]),               # two warps each, of 32
])
def test_blocks_of_a_multiprocessor_follow_nvidias_rules(device, threads, registers, shared, blocks, limited_by):
    found = occupancy(device, threads, registers, shared)
    assert found.blocks == blocks and found.limited_by == limited_by
    assert found.share == blocks * math.ceil(threads / 32) * 32 / named(device).limits.threads <= 1


def test_what_no_multiprocessor_holds_is_refused():
    with pytest.raises(ValueError, match="1024 threads with 65 registers each are more than the 65536"):
        occupancy("H100", 1024, 65)
    with pytest.raises(ValueError, match="RTX 4090 gives a block 101376 bytes"):
        occupancy("RTX 4090", 128, 32, 120_000)
    with pytest.raises(ValueError, match="1 to 1024 threads"):
        occupancy("H100", 2048, 32)
    with pytest.raises(ValueError, match="255 registers at most"):
        occupancy("H100", 32, 256)


def test_unknown_registers_give_an_upper_limit_and_say_so():
    found = occupancy("H100", 256)
    assert found.blocks == 8 and "registers" not in found.limits and str(found).startswith("at most 8 blocks") and "unknown" in str(found)


def test_waves():
    assert waves("H100", 132 * 4 * 3, 4) == 3 and waves("H100", 66, 1) == 0.5


# ---- counts ------------------------------------------------------------------------------------------------------------

def test_the_counts_of_a_copy():
    c = copy(1 << 12)                                            # 128 warps, a load and a store each, 4 sectors of 32 bytes
    assert (c.read, c.written, c.bytes, c.sectors, c.ideal_sectors) == (16384, 16384, 32768, 1024, 1024)
    assert (c.accesses, c.least_accesses, c.least_sectors, c.banks, c.barriers, c.flops, c.blocks, c.threads) == (256, 256, 1024, 0, 0, {}, 16, 256)
    assert c.moved == 32768 and c.intensity == 0 and c.as_dict()["kernel"] == "copy"


def test_each_byte_that_memory_moves_is_counted_once_and_scratch_that_was_written_is_not_read():
    c = product(32, 32)
    assert (c.read, c.written) == (2 * 4096, 4096)
    assert c.sectors == 32 * 32 + 32 * 32 * 4 + 32 * 4           # a broadcast, a row of B, a row of C
    assert c.flops == {"float32": 2 * 32**3} and c.intensity == 2 * 32**3 / (3 * 4096)
    x, y, s = np.ones(64, "f4"), np.empty(64, "f4"), np.empty(64, "f4")
    c = counts(Kernel(COPY, "twice"), 1, 64, (x, s, y))
    assert (c.read, c.written, c.barriers) == (256, 512, 2)      # two warps at one barrier


def test_a_vector_that_the_hosts_compiler_took_apart_is_one_access_in_the_least_account():
    x = np.zeros(512, "f4")
    c = counts(Kernel(COPY, "copy4"), 1, 128, (x, np.empty_like(x)))
    assert c.accesses > c.least_accesses == 8 and c.least_sectors == 2 * 64


def test_unaligned_parts_of_arrays_count_by_their_bytes():
    x, y = np.arange(100, dtype="f4")[3:70], np.empty(67, "f4")
    c = counts(Kernel(COPY, "copy"), 1, 128, (x, y, 67))
    assert (c.read, c.written) == (67 * 4, 67 * 4)


def test_every_launch_of_a_call_is_counted_and_its_results_are_there():
    a, b = (np.random.default_rng(i).standard_normal((5, 128), "f4") for i in range(2))
    found = launched(kernels.matmul, a, b.T.copy(), version="tiled")
    assert [c.kernel.name for c in found] == ["matmul_tiled"]
    with pytest.raises(ValueError, match="launches no kernel"):
        launched(np.add, 1, 2)
    with kernels.kernel.launches(lambda *launch: counts(*launch)):
        y = kernels.matmul(a, b.T.copy())
    assert np.allclose(y, a @ b.T, atol=1e-4)


def test_products_on_tensor_cores_are_counted_apart_in_their_kind():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    a = np.ones((64, 32), ml_dtypes.bfloat16)
    c, = launched(kernels.matmul, a, np.ones((32, 64), a.dtype), version="sm80")
    assert c.flops["bfloat16"] == 2 * 64 * 64 * 32


def test_counts_of_a_large_problem_are_those_that_a_run_of_it_would_give():
    law = scaled(lambda M, K: [product(M, K)], {"M": 1, "K": 8}, {"M": 40, "K": 64})
    assert law[0] == product(40, 64)
    big, = scaled(lambda n: [copy(n)], {"n": 256}, {"n": 1 << 28})
    assert big.moved == 1 << 31 and big.blocks == 1 << 20


def test_counts_that_follow_no_law_are_refused():
    with pytest.raises(Inexact, match="no multiples: n=300 of 256"):
        scaled(lambda n: [copy(n)], {"n": 256}, {"n": 300})
    with pytest.raises(Inexact, match="not those that smaller sizes foretell"):
        scaled(lambda n: [product(n, n)], {"n": 8}, {"n": 64})            # cubic in one size
    assert scaled(lambda n: [product(n, n)], {"n": 8}, {"n": 32}, degree=2)[0] == product(32, 32)


# ---- bounds ------------------------------------------------------------------------------------------------------------

def test_the_bound_of_a_large_copy_is_its_bytes_over_the_bandwidth():
    b = bound(scaled(lambda n: [copy(n)], {"n": 256}, {"n": 1 << 28})[0], "H100", KNOWN)
    assert b.limit == "memory" and b.seconds == pytest.approx(2**31 / 3.352e12)
    assert b.limits["on chip"] == pytest.approx(math.ceil(2**20 / 132) * 8 * 4 * 2 / 4 / 1.98e9)      # 8 warps a block, 8 sectors each, 4 a clock
    assert b.limits["issue"] == pytest.approx(math.ceil(2**20 / 132) * 8 * 2 / 4 / 1.98e9) and b.limits["arithmetic"] == 0
    assert b.occupancy.blocks == 8 and b.waves == 2**20 / (132 * 8) and b.tail == pytest.approx(math.ceil(2**20 / 132) * 132 / 2**20)


def test_the_bound_of_a_small_copy_is_the_latency_of_a_load():
    b = bound(copy(1 << 12), "H100", KNOWN)
    assert b.limit == "latency" and b.seconds == pytest.approx(180 / 1.98e9)


def test_the_bound_of_a_product_counts_whole_blocks_on_the_busiest_multiprocessor():
    c = scaled(lambda M, K: [product(M, K)], {"M": 1, "K": 8}, {"M": 1320 + 1, "K": 1 << 10})[0]
    b = bound(c, "H100", KNOWN)
    assert b.limits["arithmetic"] == pytest.approx(11 * 132 / 1321 * 2 * 1321 * 32 * 1024 / 66.9e12)
    per_block = 1024 * (1 + 4) + 4                               # sectors
    assert b.limits["on chip"] == pytest.approx(11 * per_block / 4 / 1.98e9) and b.limit == "on chip"
    assert bound(c, "H100", KNOWN, even=False).limits["on chip"] == pytest.approx(1321 / 132 * per_block / 4 / 1.98e9)


def test_bank_conflicts_raise_the_bound_on_chip():
    transpose = """
    #include "kernel.cuh"
    extern "C" __global__ void transpose(const float* x, OUT float* y) {
        __shared__ float tile[32][WIDTH];
        for (int i = 0; i < 32; i++) tile[i][threadIdx.x] = x[i * 32 + threadIdx.x];
        __syncthreads();
        for (int i = 0; i < 32; i++) y[i * 32 + threadIdx.x] = tile[threadIdx.x][i];
    }
    """
    x = np.arange(1024, dtype="f4").reshape(32, 32)
    conflicts, padded = (counts(Kernel(transpose, "transpose", {"WIDTH": w}), 1, 32, (x, np.empty_like(x))) for w in (32, 33))
    assert (conflicts.banks, padded.banks, padded.ideal_banks) == (32 + 1024, 64, 64)
    times = [bound(c, "A100", KNOWN).limits["on chip"] * 1.41e9 for c in (conflicts, padded)]
    assert times[1] < times[0] and times[1] <= 64 + 2 * 128 / 4


def test_a_bound_without_nvrtc_says_that_registers_are_unknown(monkeypatch):
    def missing(*args):
        raise ImportError("NVRTC is not installed")
    monkeypatch.setattr(nvrtc, "compiled", missing)
    b = bound(copy(256), "H100")
    assert b.resources is None and b.unknown == "NVRTC is not installed" and "unknown: NVRTC is not installed" in str(b)
    assert b.as_dict()["resources"] is None and "A bound, not a time" in table([b])


def test_registers_are_nvrtcs_where_it_is_installed():
    try:
        nvrtc.nvrtc()
    except ImportError as error:
        pytest.skip(str(error))
    found, why = compiled(Kernel(COPY, "copy"), named("H100"))
    assert 4 <= found["registers"] <= 32 and found["shared"] == 0 and why == ""
    assert compiled(Kernel(COPY + "#error no", "copy"), named("H100"))[0] is None


def test_a_kernel_for_another_architecture_is_refused():
    c = copy(256)
    with pytest.raises(ValueError, match="copy needs sm_90a, A100 SXM 80GB is sm_80"):
        bound(counts(Kernel(COPY, "copy", arch="sm_90a"), 1, 256, (np.ones(256, "f4"), np.ones(256, "f4"), 256)), "A100")
    with pytest.raises(ValueError, match="no published rate for bfloat16"):
        bound(type(c)(**{**vars(c), "flops": {"bfloat16": 1}}), "T4", KNOWN)
