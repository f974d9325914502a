"""The GPU's side of a launch, on a CuPy that writes down what it is given: source, options, arguments, errors."""
import ctypes
import types

import fake_cupy
import ml_dtypes
import numpy as np
import pytest
from fake_cupy import LAUNCHES, MODULES, RAISED

from minitorch import backends, kernels
from minitorch.kernels import Kernel, TensorMap, device, nvrtc, source, tensor_map
from minitorch.nn import functional as F
from minitorch.tensor import wrap

AXPY = """
extern "C" __global__ void axpy(float a, const float* x, float* y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] += a * x[i];
}
"""


@pytest.fixture
def cupy():
    with fake_cupy.installed() as found:
        yield found


def test_a_launch_passes_source_options_and_exact_types(cupy):
    x, y = cupy.asarray(np.ones(5, "f4")), cupy.asarray(np.ones(5, "f4"))
    axpy = Kernel(AXPY, "axpy")
    for _ in range(2):
        axpy(3, (32, 2), (2, x, y, np.int64(5)))
    assert len(MODULES) == 1, "compiled once"
    launch = LAUNCHES[-1]
    assert (launch.name, launch.grid, launch.block, launch.shared_mem) == ("axpy", (3, 1, 1), (32, 2, 1), 0)
    assert [type(a) for a in launch.args] == [np.float32, fake_cupy.ndarray, fake_cupy.ndarray, np.int32]
    assert launch.args[1] is x and launch.options == ("-std=c++17",)
    assert launch.code == '#line 1 "source.cu"\n' + AXPY


def test_headers_are_pasted_once_and_macros_become_options(cupy):
    x = cupy.asarray(np.ones((2, 8), np.float16))
    kernels.softmax(x)
    launch = LAUNCHES[-1]
    assert '#include "' not in launch.code and launch.code.count("float warp_sum(float x)") == 1
    assert "#pragma once" not in launch.code and "-Dscalar=half" in launch.options
    names = [line.split('"')[1] for line in launch.code.splitlines() if line.startswith("#line")]
    assert names[0] == "softmax.cu" and "kernel.cuh" in names


def test_line_directives_keep_the_lines_of_a_source(tmp_path):
    (tmp_path / "one.cuh").write_text("#pragma once\nint one;\n")
    (tmp_path / "two.cuh").write_text('#include "one.cuh"\nint two;\n')
    (tmp_path / "all.cu").write_text('// first\n#include "two.cuh"\n#include "one.cuh"\nint last;\nextern "C" __global__ void f() {}\n')
    where = {}
    for line in source.complete(Kernel(tmp_path / "all.cu", "f")).splitlines():
        if line.startswith("#line"):
            _, number, name = line.split()
            number = int(number)
        else:
            where[line] = (name.strip('"'), number)
            number += 1
    assert where["int one;"] == ("one.cuh", 2) and where["int two;"] == ("two.cuh", 2)
    assert where["int last;"] == ("all.cu", 4) and where["// first"] == ("all.cu", 1)


def test_float64_arrays_compile_the_source_in_double(cupy):
    x, y = cupy.asarray(np.ones(5)), cupy.asarray(np.ones(5))
    Kernel(AXPY, "axpy")(1, 32, (2, x, y, 5))
    launch = LAUNCHES[-1]
    assert type(launch.args[0]) is np.float64
    head, _, body = launch.code.partition("#line")
    assert head.index("#include <cuda_fp16.h>") < head.index("#define float double") and "fmaxf fmax\n" in head and AXPY in body


def test_none_structs_and_bfloat16_numbers(cupy):
    record = np.dtype([("n", "i4"), ("scale", "f4")])
    text = """struct Sizes { int n; float scale; };
    extern "C" __global__ void f(const float* x, Sizes sizes, __nv_bfloat16 one, bool flag, long long large, float* y) {}"""
    y = cupy.asarray(np.ones(2, "f4"))
    for struct in (np.array((3, 0.5), record), np.array([(3, 0.5)], record)[0], np.array([(3, 0.5)], record)):
        Kernel(text, "f")(1, 1, (None, struct, 1.5, True, 2**40, y))
        null, sizes, one, flag, large, _ = LAUNCHES[-1].args
        assert type(null) is np.uint64 and null == 0
        assert type(sizes) is np.ndarray and sizes.shape == (1,) and sizes.nbytes == 8 and sizes["n"][0] == 3
        assert type(one) is np.ndarray and one.dtype == ml_dtypes.bfloat16 and one.nbytes == 2 and float(one[0]) == 1.5
        assert type(flag) is np.bool_ and type(large) is np.int64 and large == 2**40


def test_a_table_of_arrays_becomes_their_addresses_once(cupy):
    text = 'extern "C" __global__ void f(float* const* xs, int n) {}'
    xs = [cupy.asarray(np.ones(3, "f4")), None, cupy.asarray(np.ones(2, "f4"))]
    for _ in range(2):
        Kernel(text, "f")(1, 1, (xs, 3))
    with cupy.cuda.Stream(7):
        Kernel(text, "f")(1, 1, (xs, 3))
    first, second, elsewhere = (launch.args[0] for launch in LAUNCHES)
    assert elsewhere is not first, "the copy may not have arrived for another stream"
    assert isinstance(first, fake_cupy.ndarray) and first.dtype == np.uint64 and first is second
    assert first.tolist() == [xs[0].data.ptr, 0, xs[2].data.ptr]


def test_a_table_can_be_recorded_in_a_graph_at_a_kernels_first_use(cupy):
    """The copy from the host is none of the graph's: it is made once, on another stream, and its array stays as long as the graph may."""
    f = Kernel('extern "C" __global__ void f(float* const* xs, int n) {}', "f")
    xs = [cupy.asarray(np.ones(3, "f4")), None]
    with cupy.cuda.Stream() as stream:
        stream.begin_capture()
        for _ in range(2):
            f(1, 1, (xs, 2))
        assert cupy.cuda.get_current_stream() is stream
    first, second = (launch.args[0] for launch in LAUNCHES)
    assert first is second and first.tolist() == [xs[0].data.ptr, 0]
    for _ in range(300):                             # more than the lists that come again are kept for
        f(1, 1, ([cupy.asarray(np.ones(1, "f4"))], 1))
    with cupy.cuda.Stream() as stream:
        stream.begin_capture()
        f(1, 1, (xs, 2))
    assert LAUNCHES[-1].args[0] is first


def test_much_shared_memory_is_asked_for_once_and_at_most_what_there_is(cupy):
    y, f = cupy.asarray(np.ones(5, "f4")), Kernel('extern "C" __global__ void f(float* y) {}', "f")
    for n in (1000, 47 * 1024, 48 * 1024, 100_000, 90_000, 120_000):            # 1024 bytes of it are static
        f(1, 32, (y,), shared_mem=n)
    assert RAISED == [("f", 48 * 1024), ("f", 100_000), ("f", 120_000)]
    with pytest.raises(ValueError, match="f: 232448 bytes of dynamic shared memory, this GPU has 231424 a block"):
        f(1, 32, (y,), shared_mem=232448)


@pytest.mark.parametrize("arch, capability, message", [
    ("sm_90a", "80", "f needs sm_90a, this GPU is sm_80"), ("sm_90a", "100", "f needs sm_90a, this GPU is sm_100"),
    ("sm_90", "80", "f needs sm_90, this GPU is sm_80"), (None, "75", "f needs sm_80 or later, this GPU is sm_75"),
    ("sm_90a", "90", None), ("sm_90", "100", None), (None, "120", None)])
def test_the_architecture_must_fit(cupy, monkeypatch, arch, capability, message):
    monkeypatch.setattr(fake_cupy.Device, "capability", capability)
    f, y = Kernel('extern "C" __global__ void f(float* y) {}', "f", arch=arch), cupy.asarray(np.ones(1, "f4"))
    if message:
        with pytest.raises(RuntimeError, match=message):
            f(1, 1, (y,))
    else:
        f(1, 1, (y,))
        assert (f"-arch={arch}" in LAUNCHES[-1].options) == bool(arch)


def test_clusters_must_be_in_the_source(cupy):
    y = cupy.asarray(np.ones(1, "f4"))
    with pytest.raises(ValueError, match="__cluster_dims__"):
        Kernel('extern "C" __global__ void f(float* y) {}', "f", cluster=(2, 1, 1))(2, 1, (y,))
    Kernel('extern "C" __global__ void __cluster_dims__(2, 1, 1) f(float* y) {}', "f", cluster=(2, 1, 1))(2, 1, (y,))
    assert len(LAUNCHES) == 1


@pytest.mark.parametrize("said, kind, message", [
    ("CUDA_ERROR_OUT_OF_MEMORY: out of memory", MemoryError, "the GPU has no memory left"),
    ("CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES: too many resources", RuntimeError, "1024 threads with 40 registers each"),
    ("CUDA_ERROR_INVALID_VALUE: invalid argument", ValueError, r"axpy, grid \(3, 1, 1\), block \(1024, 1, 1\), 0 bytes .* refuses"),
    ("CUDA_ERROR_ILLEGAL_ADDRESS: illegal", RuntimeError, "axpy, grid.*ILLEGAL_ADDRESS")])
def test_the_drivers_errors_are_told_in_words(cupy, said, kind, message):
    x = cupy.asarray(np.ones(5, "f4"))
    fake_cupy.FAIL.append(said)
    with pytest.raises(kind, match=message):
        Kernel(AXPY, "axpy")(3, 1024, (2, x, cupy.asarray(x), 5))


def test_compile_errors_and_names_that_are_not_found(cupy):
    x = cupy.asarray(np.ones(5, "f4"))
    fake_cupy.REFUSE.append(fake_cupy.CompileException('source.cu(4): error: identifier "z" is undefined'))
    with pytest.raises(device.CompileError, match=r'<Kernel axpy of text> does not compile:\nsource.cu\(4\): error: identifier "z"'):
        Kernel(AXPY, "axpy")(1, 32, (2, x, cupy.asarray(x), 5))
    fake_cupy.REFUSE.append(fake_cupy.CUDADriverError("CUDA_ERROR_NOT_FOUND: named symbol not found"))
    with pytest.raises(ValueError, match='declare it extern "C"'):
        Kernel(AXPY, "axpy")(1, 32, (2, x, cupy.asarray(x), 5))


def test_arrays_of_two_devices_are_refused_and_the_arrays_choose_the_device(cupy):
    x = cupy.asarray(np.ones(5, "f4"))
    with fake_cupy.Device(1):
        z, w = cupy.asarray(np.ones(5, "f4")), cupy.asarray(np.ones(5, "f4"))
    with pytest.raises(TypeError, match="axpy: arrays on cuda:0 and cuda:1 in one launch"):
        Kernel(AXPY, "axpy")(1, 32, (2, x, z, 5))
    with pytest.raises(TypeError, match="arrays of cupy and numpy in one launch"):
        Kernel(AXPY, "axpy")(1, 32, (2, np.ones(5, "f4"), x, 5))
    Kernel(AXPY, "axpy")(1, 32, (2, z, w, 5))
    assert LAUNCHES[-1].device == 1 and fake_cupy.Device.current == 0


def test_a_tensor_map_is_encoded_by_the_driver_and_passed_by_value(cupy, monkeypatch):
    calls = []

    def encode(room, kind, rank, pointer, dims, strides, box, steps, interleave, swizzle, lines, fill):
        assert room.value % 64 == 0
        ctypes.memset(room, 7, 128)
        calls.append((kind.value, rank.value, pointer.value, list(dims), list(strides), list(box), list(steps), interleave.value, swizzle.value))
        return 0
    monkeypatch.setattr(tensor_map, "driver", lambda: types.SimpleNamespace(cuTensorMapEncodeTiled=encode))
    tensor_map.encode.cache_clear()
    x, y = cupy.asarray(np.ones((6, 4, 64), np.float16)), cupy.asarray(np.ones(1, "f4"))
    f = Kernel('extern "C" __global__ void f(const __grid_constant__ CUtensorMap x, float* y) {}', "f", arch="sm_90a")
    for _ in range(2):
        f(1, 32, (TensorMap(x, (2, 4, 64)), y))
    assert calls == [(6, 3, x.data.ptr, [64, 4, 6], [128, 512], [64, 4, 2], [1, 1, 1], 0, 3)]
    passed = LAUNCHES[-1].args[0]
    assert type(passed) is np.ndarray and passed.size == 1 and passed.nbytes == 128 and passed.tobytes() == b"\7" * 128
    tensor_map.encode.cache_clear()


def test_ops_on_device_arrays_take_kernels_by_the_table_of_families(cupy):
    x, w = wrap(cupy.asarray(np.ones((4, 8), "f4"))), wrap(cupy.asarray(np.ones((8, 8), "f4")))
    F.softmax(x, -1)
    assert LAUNCHES[-1].name.startswith("softmax")
    LAUNCHES.clear()
    x @ w
    assert not LAUNCHES, "cuBLAS multiplies unless told otherwise"
    with backends.using(matmul="kernel", softmax="library"):
        x @ w
        F.softmax(x, -1)
    assert len(LAUNCHES) == 1 and LAUNCHES[0].name.startswith("matmul")


@pytest.mark.filterwarnings("ignore::RuntimeWarning")            # nothing is computed: results are what memory held
def test_every_proven_function_can_be_launched_through_cupy(cupy):
    """Every case of every function with arrays "on the GPU": what is passed is what CuPy passes, on the best version for Hopper.

    Every second case has its arrays on a GPU that is not the current one: it is launched there, and has its results there.
    """
    from minitorch.cases import walk_arrays
    from minitorch.kernels.proof import FUNCTIONS, draw, results
    try:
        tensor_map.driver()
    except RuntimeError:
        stand_in = types.SimpleNamespace(cuTensorMapEncodeTiled=lambda *args: 0)
        tensor_map.driver.cache_clear()
        restore, tensor_map.driver = tensor_map.driver, lambda: stand_in
    else:
        restore = tensor_map.driver
    names = set()
    try:
        for f in FUNCTIONS.values():
            for dtype in f.dtypes:
                for number in range(len(f.cases)):
                    LAUNCHES.clear()
                    with fake_cupy.Device(number % 2):
                        args, params = walk_arrays(draw(f, number, dtype), cupy.asarray)
                    y = f(*args, **params)
                    names |= {launch.name for launch in LAUNCHES}
                    assert all(launch.device == number % 2 for launch in LAUNCHES), f.__name__
                    assert all(x.device.id == number % 2 for x in results(y) if x is not None), f.__name__
                    assert fake_cupy.Device.current == 0
    finally:
        tensor_map.driver = restore
    assert len(names) > 10


def test_what_the_device_gets_compiles(cupy):
    """The text and options of a launch, with those that CuPy adds, through NVRTC itself."""
    pytest.importorskip("nvidia", reason="needs pip install 'minitorch[nvrtc]'")
    for dtype in ("f4", "f8", "f2"):
        kernels.softmax(cupy.asarray(np.ones((2, 8), dtype)))
        cubin, _ = nvrtc.nvrtc().compile(LAUNCHES[-1].code, "kern.cu", (*LAUNCHES[-1].options, "-arch=sm_90"))
        assert LAUNCHES[-1].name.encode() in cubin
