"""Compiling kernels: the cache, several processes at once, no compiler, errors by the user's line; and the profile."""
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from minitorch import kernels
from minitorch.kernels import Kernel
from minitorch.kernels.simulator import CompileError, CompilerMissing, SimulatorError, build

SOURCE = '#include "kernel.cuh"\nextern "C" __global__ void fills(OUT float* y, float value) { y[threadIdx.x] = value + %d; }\n'


@pytest.fixture
def fresh(tmp_path, monkeypatch):
    """An empty cache."""
    monkeypatch.setenv("MINITORCH_KERNEL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def fill(number, value=2.0):
    y = np.zeros(32, np.float32)
    Kernel(SOURCE % number, "fills")(1, 32, (y, value))
    return y


def compiled(folder):
    return sorted(p.name for p in folder.glob("fills-*.so"))


def test_a_source_is_compiled_once_for_each_mode(fresh):
    assert (fill(1) == 3).all() and (fill(1) == 3).all()
    first = compiled(fresh)
    assert len(first) == 1
    with kernels.using(mode="check"):
        fill(1)
    assert len(compiled(fresh)) == 2
    fill(2)
    assert len(compiled(fresh)) == 3 and set(first) < set(compiled(fresh))
    assert not list(fresh.glob("*.lock")), "locks are removed"


def test_a_change_in_a_header_compiles_anew(fresh, tmp_path):
    for value in (1, 5):
        (tmp_path / "mine.cuh").write_text(f"#define VALUE {value}\n")
        (tmp_path / "mine.cu").write_text('#include "mine.cuh"\nextern "C" __global__ void mine(float* y) { y[0] = VALUE; }\n')
        y = np.zeros(1, np.float32)
        Kernel(str(tmp_path / "mine.cu"), "mine")(1, 1, (y,))
        assert y[0] == value


@pytest.mark.parametrize("mode, what", [("fast", "null pointer"), ("check", "null pointer"), ("check", "uninitialised")])
def test_a_kernel_given_as_text_is_named_alike_wherever_it_was_compiled(mode, what, fresh, tmp_path, monkeypatch):
    source = '#include "kernel.cuh"\nextern "C" __global__ void of_text(const float* x, OUT float* y) {\n    y[0] = x[0];\n    y[0] += y[1];\n}\n'
    args = (None if what == "null pointer" else np.ones(2, np.float32), np.ones(2, np.float32))
    for folder in ("first", "second"):               # in the second the compiled one is found
        (tmp_path / folder).mkdir()
        monkeypatch.chdir(tmp_path / folder)
        with kernels.using(mode=mode), pytest.raises(SimulatorError, match=rf"  of_text.cu:[34]: .*{what}") as error:
            Kernel(source, "of_text")(1, 1, args)
        assert {r.file for r in error.value.reports if r.line} == {"of_text.cu"}
    with pytest.raises(CompileError, match=r"\nof_text.cu:3:\d+: error"):
        Kernel(source.replace("x[0]", "z[0]"), "of_text")(1, 1, args)


def test_macros_are_part_of_the_key(fresh):
    source = 'extern "C" __global__ void macros(float* y) { y[0] = VALUE; }\n'
    for value in (1, 5):
        y = np.zeros(1, np.float32)
        Kernel(source, "macros", {"VALUE": value})(1, 1, (y,))
        assert y[0] == value


def test_processes_that_build_the_same_kernel_at_once(fresh):
    program = ("import numpy as np\nfrom minitorch.kernels import Kernel\ny = np.zeros(32, np.float32)\n"
               f"Kernel({SOURCE % 7!r}, 'fills')(1, 32, (y, 2.0))\nassert (y == 9).all()\n")
    env = {**os.environ, "MINITORCH_KERNEL_CACHE": str(fresh)}
    running = [subprocess.Popen([sys.executable, "-c", program], env=env, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    for process in running:
        assert process.wait() == 0, process.stderr.read()
        process.stderr.close()
    assert len(compiled(fresh)) == 1


def test_threads_that_launch_at_once():
    with ThreadPoolExecutor(4) as pool:
        for number, y in zip(range(8), pool.map(fill, range(8))):
            assert (y == number + 2).all()


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MINITORCH_KERNEL_CACHE", str(tmp_path / "file" / "below"))
    assert (fill(11) == 13).all()


def test_without_a_compiler(monkeypatch, fresh):
    monkeypatch.setenv("PATH", "")
    build.compiler.cache_clear()
    try:
        with pytest.raises(CompilerMissing, match=r"no C\+\+ compiler is installed: .*apt install g\+\+"):
            fill(12)
        monkeypatch.setenv("MINITORCH_CXX", "c++-of-tomorrow")
        with pytest.raises(CompilerMissing, match=r"MINITORCH_CXX names the compiler 'c\+\+-of-tomorrow', which is not installed"):
            fill(12)
    finally:
        build.compiler.cache_clear()


def test_an_error_of_the_compiler_names_the_users_line(fresh, tmp_path):
    (tmp_path / "wrong.cu").write_text('extern "C" __global__ void wrong(float* y) {\n    y[0] = nothing;\n}\n')
    with pytest.raises(CompileError, match=r"wrong\.cu:2:\d+: error: .nothing. was not declared"):
        Kernel(str(tmp_path / "wrong.cu"), "wrong")(1, 1, (np.zeros(1, np.float32),))


@pytest.mark.parametrize("what", ["std::max(1, 2)", "INFINITY", "uint8_t(1) + NAN", "atomicMax(y, 1.f)", "throw 1", "min(1, 2.f)"])
def test_what_nvrtc_refuses_is_refused_here_too(what, fresh):
    with pytest.raises(CompileError):
        Kernel('extern "C" __global__ void strict(float* y) { y[0] = ' + what + "; }\n", "strict")(1, 1, (np.zeros(1, np.float32),))


def test_a_file_in_the_current_folder_goes_before_one_of_the_library(fresh, tmp_path, monkeypatch):
    (tmp_path / "softmax.cu").write_text('#include <assert.h>\nextern "C" __global__ void mine(float* y) { assert(y[0] == 0); y[0] = 1; }\n')
    monkeypatch.chdir(tmp_path)
    y = np.zeros(1, np.float32)
    mine = Kernel("softmax.cu", "mine")
    mine(1, 1, (y,))
    assert y[0] == 1 and mine.path == tmp_path / "softmax.cu"
    with pytest.raises(SimulatorError, match="assert.* failed"):
        mine(1, 1, (y,))
    kernels.softmax(np.zeros((2, 3), np.float32))


def test_kernels_that_exist_only_for_other_macros(fresh):
    source = ('#ifdef WIDE\nextern "C" __global__ void wide(float* y) { y[0] = 2; }\n#endif\n'
              'extern "C" __global__ void narrow(float* y) { y[0] = 1; }\n')
    y = np.zeros(1, np.float32)
    Kernel(source, "narrow")(1, 1, (y,))
    assert y[0] == 1


def test_a_struct_of_the_wrong_size():
    source = 'struct Two { int a, b; };\nextern "C" __global__ void takes(Two t, OUT float* y) { y[0] = t.a + t.b; }\n'
    kernel = Kernel('#include "kernel.cuh"\n' + source, "takes")
    y = np.zeros(1, np.float32)
    kernel(1, 1, (np.array([(3, 4)], [("a", "i4"), ("b", "i4")]), y))
    assert y[0] == 7
    with pytest.raises(TypeError, match="Two has 8 bytes in the kernel, this value has 12"):
        kernel(1, 1, (np.array([(3, 4, 5)], [("a", "i4"), ("b", "i4"), ("c", "i4")]), y))


# ---- the profile --------------------------------------------------------------------------------------------------------

TRANSPOSE = """#include "kernel.cuh"
extern "C" __global__ void transpose(const float* x, OUT float* y) {
    __shared__ float tile[32][WIDTH];
    int t = threadIdx.x;
    for (int r = 0; r < 32; r++) tile[r][t] = x[r * 32 + t];
    __syncthreads();
    for (int r = 0; r < 32; r++) y[r * 32 + t] = tile[t][r];
}
"""


@pytest.mark.parametrize("width, turns", [(32, 1024), (33, 32)])
def test_the_profile_counts_bank_conflicts(width, turns):
    x = np.zeros((32, 32), np.float32)
    profile = kernels.profile(Kernel(TRANSPOSE, "transpose", {"WIDTH": width}), 1, 32, (x, np.zeros_like(x)))
    rows = {(r.line, r.what): r for r in profile}
    assert (rows[7, "shared load"].banks, rows[7, "shared load"].ideal_banks) == (turns, 32)
    assert (rows[5, "shared store"].banks, rows[5, "shared store"].accesses) == (32, 32)
    assert (rows[7, "global store"].sectors, rows[7, "global store"].ideal_sectors, rows[7, "global store"].bytes) == (128, 128, 4096)


def test_the_profile_counts_sectors():
    kernel = Kernel("""#include "kernel.cuh"
extern "C" __global__ void strided(const float* x, OUT float* y) {
    y[threadIdx.x] = x[threadIdx.x * 8];
}
""", "strided")
    profile = kernels.profile(kernel, 1, 64, (np.zeros(512, np.float32), np.zeros(64, np.float32)))
    rows = {r.what: r for r in profile}
    assert (rows["global load"].sectors, rows["global load"].ideal_sectors) == (64, 8)
    assert (rows["global store"].sectors, rows["global store"].ideal_sectors) == (8, 8)


def test_the_profile_counts_operations():
    kernel = Kernel("""#include "kernel.cuh"
extern "C" __global__ void operations(const float* x, OUT float* y, int n) {
    float v = x[threadIdx.x], sum = 0.f;
    for (int i = 0; i < n; i++)
        sum += v * x[i];
    y[threadIdx.x] = sum / v;
}
""", "operations")
    profile = kernels.profile(kernel, 1, 32, (np.ones(32, np.float32), np.zeros(32, np.float32), 10))
    assert {r.line: r.flops for r in profile if r.flops} == {5: 2 * 10 * 32, 6: 32}
    text = str(profile)
    assert "operations.cu:5" in text and "640" in text and text.splitlines()[0].startswith("line")


def test_the_profile_counts_tensor_cores():
    kernel = Kernel("""#include "ptx.cuh"
extern "C" __global__ void product(float* y) {
    float d[4] = {};
    uint32_t a[4] = {}, b[2] = {};
    mma_bf16(d, a, b);
    y[threadIdx.x] = d[0];
}
""", "product")
    profile = kernels.profile(kernel, 1, 64, (np.zeros(64, np.float32),))
    assert {r.line: r.flops for r in profile if r.what == "tensor core"} == {5: 2 * 2 * 16 * 8 * 16}


def test_launch_runs_a_file_as_it_is_now(tmp_path):
    source, y = tmp_path / "fill.cu", np.empty(4, "f4")
    for value in (1, 2):
        source.write_text(f'extern "C" __global__ void fill(float* y) {{ y[threadIdx.x] = {value}; }}')
        kernels.launch(str(source), "fill", 1, 4, (y,))
        assert (y == value).all()
