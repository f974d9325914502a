"""Wrong calls are Python errors in the user's words, in the simulator and, before anything is launched, on a GPU (a CuPy that
writes down launches stands for one).  Every kind of mistake is made on both."""
import types

import fake_cupy
import numpy as np
import pytest

from minitorch import kernels, ones as tensor_of_ones
from minitorch.kernels import Kernel, TensorMap, kernel as kernel_module, launch, tensor_map

SOURCE = """
#include "kernel.cuh"

struct Sizes { int n; float scale; };

extern "C" __global__ void axpy(float a, const float* x, float* y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] += a * x[i];
}
extern "C" __global__ void copy(const float* x, OUT float* y, int n) {
    for (int i = threadIdx.x; i < n; i += blockDim.x) y[i] = x[i];
}
extern "C" __global__ void vectors(ALIGNED(16) const float* x, float* y) { y[threadIdx.x] = x[threadIdx.x]; }
extern "C" __global__ void quads(const float4* x, float* y) { y[threadIdx.x] = x[0].x; }
extern "C" __global__ void numbers(float* y, bool flag, unsigned char small, long long large, half h) { y[0] = flag + small; }
extern "C" __global__ void sized(float* y, Sizes sizes) { y[0] = sizes.scale; }
extern "C" __global__ void table(float* const* xs, int n) { xs[0][0] = n; }
extern "C" __global__ void turned(STRIDED const float* x, float* y) { y[0] = x[0]; }
extern "C" __global__ void __cluster_dims__(2, 1, 1) pairs(float* y) { y[blockIdx.x] = 1; }
"""
TILES = """
#include "kernel.cuh"
#include "ptx.cuh"
extern "C" __global__ void tiles(const __grid_constant__ CUtensorMap x, float* y) { y[0] = 1; }
"""




@pytest.fixture(params=["simulator", "gpu"])
def lib(request):
    if request.param == "simulator":
        yield np
    else:
        with fake_cupy.installed() as cupy:
            yield cupy


def ones(lib, *shape, dtype="f4"):
    return lib.asarray(np.ones(shape, dtype))


def kernel(name, **options):
    return Kernel(SOURCE, name, **options)


def call(name, grid, block, *args, **options):
    kernel(name)(grid, block, args, **options)


def axpy(lib, grid=1, block=32, **options):
    call("axpy", grid, block, 2, ones(lib, 5), ones(lib, 5), 5, **options)


def sliced(a, step=2):
    return a[::step]


CALLS = {                                            # what is wrong: (the call, the error, what it says)
    "too few arguments": (
        lambda lib: call("axpy", 1, 32, 2, ones(lib, 5), ones(lib, 5)),
        TypeError, r"axpy takes 4 arguments \(a, x, y, n\), 3 were given"),
    "too many arguments": (
        lambda lib: call("axpy", 1, 32, 2, ones(lib, 5), ones(lib, 5), 5, 6), TypeError, "axpy takes 4 arguments .* 5 were given"),
    "a list for an array": (
        lambda lib: call("axpy", 1, 32, 2, [1.0, 2.0], ones(lib, 5), 5), TypeError, r"argument 1 \(x\) wants an array of float, got list"),
    "a Tensor for an array": (
        lambda lib: call("axpy", 1, 32, 2, tensor_of_ones(5), ones(lib, 5), 5),
        TypeError, r"argument 1 \(x\) wants an array of float, got Tensor: pass the array that it holds"),
    "a number for an array": (
        lambda lib: call("axpy", 1, 32, 2, 3.0, ones(lib, 5), 5), TypeError, r"argument 1 \(x\) wants an array of float, got float"),
    "an array for a number": (
        lambda lib: call("axpy", 1, 32, ones(lib, 2), ones(lib, 5), ones(lib, 5), 5),
        TypeError, r"argument 0 \(a\) wants one float, got an array of shape \(2,\)"),
    "float64 and float32 mixed": (
        lambda lib: call("axpy", 1, 32, 2, ones(lib, 5, dtype="f8"), ones(lib, 5), 5),
        TypeError, r"argument 2 \(y\) wants an array of float64 \(float\*\), got float32"),
    "integers for floats": (
        lambda lib: call("axpy", 1, 32, 2, ones(lib, 5, dtype="i4"), ones(lib, 5), 5),
        TypeError, r"argument 1 \(x\) wants an array of float32 \(float\*\), got int32"),
    "half for float": (
        lambda lib: call("axpy", 1, 32, 2, ones(lib, 5, dtype="f2"), ones(lib, 5), 5), TypeError, "wants an array of float32.*got float16"),
    "an array with gaps": (
        lambda lib: call("axpy", 1, 32, 2, ones(lib, 10)[::2], ones(lib, 5), 5),
        ValueError, r"argument 1 \(x\) must be C-contiguous: shape \(5,\) has strides \(8,\)"),
    "a transposed array": (
        lambda lib: call("copy", 1, 32, ones(lib, 2, 3).T, ones(lib, 6), 6),
        ValueError, r"must be C-contiguous: shape \(3, 2\) has strides \(4, 12\)"),
    "gaps where strides are free": (
        lambda lib: call("turned", 1, 32, ones(lib, 4, 6)[:, ::2], ones(lib, 1)), ValueError, r"argument 0 \(x\) must be without gaps in memory"),
    "a view that starts off a vector": (
        lambda lib: call("vectors", 1, 32, ones(lib, 40)[1:33], ones(lib, 32)),
        ValueError, r"argument 0 \(x\) must start at a multiple of 16 bytes: this view starts \d+ bytes after one"),
    "a view that starts off a float4": (
        lambda lib: call("quads", 1, 32, ones(lib, 40)[3:], ones(lib, 32)), ValueError, "must start at a multiple of 16 bytes"),
    "arrays that overlap": (
        lambda lib: (lambda a: call("axpy", 1, 32, 2, a[:5], a[2:7], 5))(ones(lib, 10)),
        ValueError, "axpy: x and y share part of their memory, and the kernel writes to it"),
    "an output that is an input": (
        lambda lib: (lambda a: call("copy", 1, 32, a, a, 5))(ones(lib, 5)),
        ValueError, r"copy: x and y are one array, but y is an output of its own \(OUT\)"),
    "a float for an int": (
        lambda lib: call("axpy", 1, 32, 2, ones(lib, 5), ones(lib, 5), 5.0), TypeError, r"argument 3 \(n\) wants an int, got 5.0"),
    "a string for a float": (
        lambda lib: call("axpy", 1, 32, "2", ones(lib, 5), ones(lib, 5), 5), TypeError, r"argument 0 \(a\) wants a float, got str"),
    "None for a number": (
        lambda lib: call("axpy", 1, 32, 2, ones(lib, 5), ones(lib, 5), None), TypeError, r"argument 3 \(n\) wants an int, got None"),
    "an int that does not fit": (
        lambda lib: call("axpy", 1, 32, 2, ones(lib, 5), ones(lib, 5), 2**31),
        OverflowError, r"argument 3 \(n\): 2147483648 does not fit in int"),
    "a negative byte": (
        lambda lib: call("numbers", 1, 32, ones(lib, 1), True, -1, 0, 0.0), OverflowError, r"\(small\): -1 does not fit in unsigned char"),
    "a float for a bool": (
        lambda lib: call("numbers", 1, 32, ones(lib, 1), 0.5, 1, 0, 0.0), TypeError, r"\(flag\) wants a bool, got float"),
    "a number for a struct": (
        lambda lib: call("sized", 1, 32, ones(lib, 1), 3), TypeError, r"argument 1 \(sizes\) is a Sizes, passed by value.*got int"),
    "several structs for one": (
        lambda lib: call("sized", 1, 32, ones(lib, 1), np.zeros(2, "i4,f4")), TypeError, "is a Sizes, passed by value: it wants one item"),
    "a struct of another size": (
        lambda lib: call("sized", 1, 32, ones(lib, 1), np.zeros(1, "i4,f4,f4")), TypeError, r"argument 1.*8"),
    "an array for a table": (
        lambda lib: call("table", 1, 32, ones(lib, 5), 5), TypeError, r"argument 0 \(xs\) wants a list of arrays of float"),
    "a table of two dtypes": (
        lambda lib: call("table", 1, 32, [ones(lib, 5), ones(lib, 5, dtype="i4")], 5), TypeError, r"\(xs\)\[1\] wants an array of float32"),
    "no blocks": (lambda lib: axpy(lib, grid=0), ValueError, r"axpy: grid \(0, 1, 1\) is not within 1 and"),
    "too many blocks": (lambda lib: axpy(lib, grid=(1, 65536)), ValueError, r"grid \(1, 65536, 1\) is not within"),
    "too many threads": (lambda lib: axpy(lib, block=(64, 32)), ValueError, r"a block of \(64, 32, 1\) has more than 1024 threads"),
    "a block of too many layers": (lambda lib: axpy(lib, block=(1, 1, 65)), ValueError, r"block \(1, 1, 65\) is not within"),
    "a grid of four sizes": (lambda lib: axpy(lib, grid=(1, 1, 1, 1)), TypeError, "grid must be one to three integers"),
    "a block that is no integer": (lambda lib: axpy(lib, block=32.0), TypeError, "block must be one to three integers, not .32.0,"),
    "too much shared memory": (lambda lib: axpy(lib, shared_mem=300_000), ValueError, "shared_mem must be 0 to 232448 bytes, not 300000"),
    "negative shared memory": (lambda lib: axpy(lib, shared_mem=-1), ValueError, "shared_mem must be 0 to"),
    "shared memory that is no integer": (lambda lib: axpy(lib, shared_mem=1.5), ValueError, "shared_mem must be 0 to"),
    "half a cluster": (
        lambda lib: kernel("pairs", cluster=(2, 1, 1))(3, 32, (ones(lib, 3),)),
        ValueError, r"pairs: grid \(3, 1, 1\) is not a whole number of clusters \(2, 1, 1\)"),
    "a file that is not there": (
        lambda lib: launch("nowhere.cu", "f", 1, 32, (ones(lib, 1),)), FileNotFoundError, "no CUDA source nowhere.cu: there is no such file in"),
    "a kernel that is not there": (
        lambda lib: launch(SOURCE, "axpi", 1, 32, ()), ValueError, "this source has no kernel 'axpi': it has axpy, copy"),
    "a template": (
        lambda lib: launch("template<class T> __global__ void f(T* y) { }\n", "f", 1, 32, (ones(lib, 1),)),
        ValueError, "this source has no kernel 'f': it has none"),
    "a kernel that is not in a file": (
        lambda lib: launch("softmax.cu", "nothing", 1, 32, ()), ValueError, r"softmax.cu has no kernel 'nothing': it has softmax"),
    "an array for a tensor map": (
        lambda lib: Kernel(TILES, "tiles", arch="sm_90a")(1, 32, (ones(lib, 64, 64), ones(lib, 1))),
        TypeError, r"argument 0 \(x\) wants a TensorMap, got"),
    "a tensor map for an array": (
        lambda lib: call("copy", 1, 32, TensorMap(ones(lib, 64, 32), (8, 32)), ones(lib, 5), 5),
        TypeError, r"\(x\) wants an array of float, got TensorMap"),
    "a box wider than its swizzle": (
        lambda lib: TensorMap(ones(lib, 64, 64), (8, 64)), ValueError, r"the last size of box \(8, 64\) is 256 bytes.*at most the swizzle's 128"),
    "a box of no whole pieces": (
        lambda lib: TensorMap(ones(lib, 64, 64), (8, 3), 0), ValueError, "is 12 bytes, it must be a multiple of 16"),
    "a box of other axes": (lambda lib: TensorMap(ones(lib, 64, 64), (8,)), ValueError, "box must have 2 sizes from 1 to 256"),
    "a box too large": (lambda lib: TensorMap(ones(lib, 512, 32), (512, 32)), ValueError, "box must have 2 sizes from 1 to 256"),
    "a swizzle that there is not": (lambda lib: TensorMap(ones(lib, 64, 32), (8, 32), 96), ValueError, "swizzle must be 0, 32, 64 or 128"),
    "rows off 16 bytes": (lambda lib: TensorMap(ones(lib, 64, 33), (8, 32)), ValueError, r"strides \(132, 4\) must be multiples of 16 bytes"),
    "a map of booleans": (lambda lib: TensorMap(ones(lib, 64, 64, dtype="?"), (8, 64)), TypeError, "TMA copies"),
    "a map of six axes": (lambda lib: TensorMap(ones(lib, 1, 1, 1, 1, 1, 32), (1,) * 5 + (32,)), ValueError, "one to five axes"),
    "a map of nothing": (lambda lib: TensorMap(ones(lib, 0, 32), (1, 32)), ValueError, "nothing to copy"),
}


@pytest.mark.parametrize("mistake", CALLS)
def test_a_mistake_is_an_error_in_words(mistake, lib, monkeypatch):
    wrong, error, said = CALLS[mistake]

    def info(function, i, offset, size):             # what the driver says of the parameter of `sized`
        size._obj.value = 8
        return 0
    if lib is not np:
        monkeypatch.setattr(tensor_map, "driver", lambda: types.SimpleNamespace(cuFuncGetParamInfo=info))
    with pytest.raises(error, match=said):
        wrong(lib)
    assert not fake_cupy.LAUNCHES


def test_a_read_only_array_is_not_written_to():
    y = np.ones(5, "f4")
    y.flags.writeable = False
    with pytest.raises(ValueError, match=r"argument 2 \(y\) is written by the kernel, but the array is read-only"):
        call("axpy", 1, 32, 2, np.ones(5, "f4"), y, 5)


def test_arrays_of_host_and_device_do_not_mix():
    with fake_cupy.installed() as cupy, pytest.raises(TypeError, match="axpy: arrays of cupy and numpy in one launch; move them to one device"):
        call("axpy", 1, 32, 2, np.ones(5, "f4"), ones(cupy, 5), 5)


def test_two_kernels_with_one_label_are_refused():
    table, name = {}, "axpy"
    first = kernel_module.enter(table, kernel(name, define={"WIDTH": 4}))
    assert kernel_module.enter(table, kernel(name, define={"WIDTH": "4"})) is first
    kernel_module.enter(table, kernel(name, define={"WIDTH": 2}))
    with pytest.raises(ValueError, match=r"two kernels are called axpy\[WIDTH=4\]: "):
        kernel_module.enter(table, Kernel(SOURCE + "// another\n", name, define={"WIDTH": 4}))
    with pytest.raises(ValueError, match="two kernels are called axpy"):
        kernel_module.enter(table, kernel(name, define={"WIDTH": 4}, cluster=(2, 1, 1)))


def test_a_mistake_in_the_source_is_named_by_its_line():
    wrong = '#include "kernel.cuh"\nextern "C" __global__ void f(float* y) {\n    y[0] = undeclared;\n}\n'
    with pytest.raises(RuntimeError, match=r":3:\d+: error: .*undeclared"):
        launch(wrong, "f", 1, 32, (np.ones(1, "f4"),))


@pytest.mark.parametrize("change", [{"mode": "slow"}, {"order": "backward"}, {"asynchronous": "never"}])
def test_settings_that_there_are_not(change):
    with pytest.raises(ValueError, match=rf"{next(iter(change))} must be one of"), kernels.using(**change):
        pass


def test_good_calls_stay_good(lib):
    """What the mistakes above are mistakes of."""
    axpy(lib, grid=2, block=(8, 4))
    call("copy", 1, 32, ones(lib, 6), ones(lib, 2, 3), 6)
    call("numbers", 1, 32, ones(lib, 1), True, 255, 2**40, 0.5)
    call("sized", 1, 32, ones(lib, 1), np.zeros(1, "i4,f4"))
    call("turned", 1, 32, ones(lib, 2, 3).T, ones(lib, 1))
    call("vectors", 1, 32, ones(lib, 40)[4:], ones(lib, 32))
    if lib is not np:
        assert len(fake_cupy.LAUNCHES) == 6
