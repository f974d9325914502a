"""Kernels that reach their arrays through a table: `float* const* xs`, given a list of arrays, is an array of addresses."""
import numpy as np
import pytest

from minitorch import kernels
from minitorch.kernels import signature
from minitorch.kernels.simulator import SimulatorError

# y[k] = scale * x[k] for every array of two lists; `shift` moves where it writes, to make mistakes with
SCALE = """
#include "kernel.cuh"

extern "C" __global__ void scale_all(const scalar* const* xs, ROLE scalar* const* ys, const int* sizes, float scale, int shift) {
    const scalar* x = xs[blockIdx.x];
    if (x == nullptr) return;
    for (int i = threadIdx.x; i < sizes[blockIdx.x]; i += blockDim.x)
        ys[blockIdx.x][i + shift] = from_float<scalar>(scale * to_float(x[i]));
}

extern "C" __global__ void writes_its_input(const float* const* xs) {
    ((float**)xs)[0][threadIdx.x] = 1.f;
}

extern "C" __global__ void all_blocks_write(float* const* ys) {
    ys[0][threadIdx.x] = (float)blockIdx.x;
}

extern "C" __global__ void offset_of(const float* const* xs, OUT int* found) {
    found[threadIdx.x] = (int)((size_t)xs[threadIdx.x] % 256);
}
"""
SIZES = (1, 70, 33)


def scale_all(xs, ys, scale=2.0, shift=0, role="", scalar="float"):
    sizes = np.array([0 if x is None else x.size for x in xs], "i4")
    kernels.launch(SCALE.replace("ROLE", role), "scale_all", len(xs), 64, (xs, ys, sizes, scale, shift), define={"scalar": scalar})


def arrays(dtype="f4", sizes=SIZES):
    return [np.arange(1, n + 1).astype(dtype) for n in sizes]


def test_a_table_is_read_from_the_parameter_list():
    xs, ys, zs = signature.parse("__global__ void f(const float* const* xs, half* const* ys, OUT ALIGNED(16) float* const* zs)")["f"]
    assert (xs.role, xs.type, xs.table) == ("in", "float", True)
    assert (ys.role, ys.type, ys.table) == ("inout", "half", True)
    assert (zs.role, zs.align, zs.table) == ("out", 16, True)
    assert not signature.parse("__global__ void f(float* const x)")["f"][0].table
    assert signature.parse("__global__ void f(float* const x)")["f"][0].role == "inout"


@pytest.mark.parametrize("mode", ["fast", "check"])
@pytest.mark.parametrize("role", ["", "OUT"])
def test_the_kernel_reaches_every_array(mode, role):
    xs, ys = arrays(), [np.zeros(n, "f4") for n in SIZES]
    with kernels.using(mode=mode):
        scale_all(xs, ys, role=role)
    for x, y in zip(xs, ys):
        assert np.array_equal(y, 2 * x)


def test_one_array_in_two_tables_is_changed_in_place():
    xs = arrays()
    with kernels.using(mode="check"):
        scale_all(tuple(xs), xs[:2] + [np.zeros(33, "f4")])
    assert np.array_equal(xs[1], 2 * np.arange(1, 71)) and np.array_equal(xs[2], np.arange(1, 34))


def test_None_in_a_table_is_a_null_pointer():
    xs, ys = arrays(), arrays()
    xs[1] = ys[1] = None
    scale_all(xs, ys)
    assert np.array_equal(ys[2], 2 * xs[2])


def test_float64_in_a_table_compiles_float_as_double():
    x = np.array([1 / 3])
    y = np.zeros(1)
    scale_all([x], [y], scale=0.1)
    assert y[0] == 0.1 * (1 / 3)


def test_a_table_of_halves():
    xs, ys = arrays("f2"), [np.zeros(n, "f2") for n in SIZES]
    scale_all(xs, ys, scalar="half")
    assert np.array_equal(ys[2], 2 * xs[2])


def test_a_store_beyond_an_array_of_a_table_is_found():
    for mode in ("check", "fast"):
        with kernels.using(mode=mode), pytest.raises(SimulatorError, match="out-of-bounds"):
            scale_all(arrays(), [np.zeros(n, "f4") for n in SIZES], shift=1)


def test_an_output_of_a_table_left_unwritten_is_found():
    ys = [np.zeros(n + 1, "f4") for n in SIZES]
    with kernels.using(mode="check"):
        with pytest.raises(SimulatorError, match="unwritten"):
            scale_all(arrays(), ys, role="OUT")
        scale_all(arrays(), ys)                      # read and written: the rest may stay as it is


def test_a_store_to_an_input_of_a_table_is_found():
    with kernels.using(mode="check"), pytest.raises(SimulatorError, match="const"):
        kernels.launch(SCALE.replace("ROLE", ""), "writes_its_input", 1, 8, (arrays(sizes=(8,)),))


def test_a_race_between_blocks_in_an_array_of_a_table_is_found():
    with kernels.using(mode="check"), pytest.raises(SimulatorError, match="race"):
        kernels.launch(SCALE.replace("ROLE", ""), "all_blocks_write", 2, 8, (arrays(sizes=(8,)),))


def test_a_view_that_starts_amid_an_array_keeps_its_alignment():
    whole, found = np.zeros(20, "f4"), np.zeros(3, "i4")
    kernels.launch(SCALE.replace("ROLE", ""), "offset_of", 1, 3, ([whole, whole[1:], whole[5:9]], found))
    assert found.tolist() == [0, 4, 20]


def test_what_does_not_fit_is_named():
    xs, ys = arrays(), [np.zeros(n, "f4") for n in SIZES]
    with pytest.raises(TypeError, match=r"argument 0 \(xs\) wants a list of arrays of float, got ndarray"):
        scale_all_of = kernels.Kernel(SCALE.replace("ROLE", ""), "writes_its_input")
        scale_all_of(1, 8, (xs[0],))
    with pytest.raises(TypeError, match=r"\(ys\)\[2\] wants an array of float32"):
        scale_all(xs, ys[:2] + [np.zeros(33, "f2")])
    with pytest.raises(ValueError, match=r"\(ys\)\[1\] must be C-contiguous"):
        scale_all(xs, [ys[0], np.zeros((70, 2), "f4")[:, 0], ys[2]])
    with pytest.raises(ValueError, match="share part of their memory"):
        both = np.zeros(40, "f4")
        scale_all(xs[:1] + [both[:30]] + xs[2:], ys[:2] + [both[7:]])


def test_overlap_is_found_between_arrays_that_are_not_neighbours():
    p = signature.parse("__global__ void f(const float* a, const float* b, float* c, OUT float* d)")["f"]
    whole = np.zeros(100, "f4")
    part = [whole[:60], whole[10:20], whole[40:50], None]
    with pytest.raises(ValueError, match="a and c share"):
        signature.fit("f", p, part)
    signature.fit("f", p, [whole[:60], whole[10:20], None, None])            # two that are only read may overlap
    signature.fit("f", p, [whole[:60], whole[10:20], whole[60:], None])
    signature.fit("f", p, [whole[:60], None, whole[:60], None])
    with pytest.raises(ValueError, match="one array"):
        signature.fit("f", p, [whole[:60], None, None, whole[:60]])
