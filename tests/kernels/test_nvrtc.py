"""Every kernel compiled for real GPUs by NVRTC, which needs none: no errors, no spills, no serialised wgmma."""
import json
import subprocess

import pytest

from minitorch import kernels
from minitorch.kernels import nvrtc, source
from minitorch.kernels.device import CompileError

try:
    nvrtc.nvrtc()
    LAUNCHED = nvrtc.launched()
except ImportError:                                  # the extra `nvrtc` is not installed
    LAUNCHED = []

pytestmark = pytest.mark.skipif(not LAUNCHED, reason="needs pip install 'minitorch[nvrtc]'")


def sources(double):
    """[kernels of one source, architecture]: what is compiled together is tested together."""
    found = {}
    for kernel, in_double in LAUNCHED:
        for arch in nvrtc.architectures(kernel) if not double else ("sm_80",):
            if in_double == double:
                found.setdefault((kernel.path, tuple(kernel.define.items()), arch), []).append(kernel)
    return [pytest.param(kernels, arch, id=f"{kernels[0].path.name}-{kernels[0].label}-{arch}") for (*_, arch), kernels in found.items()]


@pytest.mark.parametrize("together, arch", sources(double=False))
def test_compiles_without_spills(together, arch):
    for kernel in together:
        figures = nvrtc.compiled(kernel, arch)
        assert not nvrtc.faults(figures), kernel.label
        assert figures["registers"] > 0


@pytest.mark.parametrize("together, arch", sources(double=True))
def test_compiles_in_double(together, arch):
    for kernel in together:
        assert nvrtc.compiled(kernel, arch, double=True)["registers"] > 0


def test_hopper_attention_computes_a_softmax_while_a_product_runs(tmp_path):
    """The assembler may move a wait for wgmma up to the beginning of its block; then nothing overlaps."""
    kernel = next(k for k, _ in LAUNCHED if k.name == "attention_forward_sm90" and k.define["HEAD"] == "128" and len(k.define) == 2)
    (tmp_path / "cubin").write_bytes(nvrtc.built(*nvrtc.text_and_options(kernel, "sm_90a"))[0])
    text = subprocess.run([nvrtc.nvrtc().disassembler, "-c", str(tmp_path / "cubin")], capture_output=True, text=True, check=True).stdout
    first = text.index("WARPGROUP.DEPBAR.LE gsb0, 0x1")                        # the scores are there
    then = text.index("WARPGROUP.DEPBAR.LE gsb0, 0x0", first)                  # and now O += P V is done
    assert text.count("MUFU.EX2", first, then) >= 64, "exponentials of 64 entries a thread between the two waits"


def test_kernels_for_vectors_store_vectors():
    """Whether the compiler makes one store of a vector's eight hangs on the loops around it; single parameters are stored alone."""
    wide = [k for k, double in LAUNCHED if not double and "8" in (k.define.get("WIDTH"), k.define.get("VECTOR"))]
    assert {k.path.name for k in wide} >= {"softmax.cu", "normalization.cu", "elementwise.cu", "embedding.cu"}
    for kernel in wide:
        for arch in ("sm_80", "sm_90a"):
            words = nvrtc.disassembled(*nvrtc.text_and_options(kernel, arch))[kernel.name]
            assert nvrtc.matching(words, "STG.U16") < 8, f"{kernel.label}, {arch}: {dict(words)}"


SPILLS = """
extern "C" __global__ void __launch_bounds__(1024) spills(const float* x, float* y, int n) {
    float keep[200];
    for (int i = 0; i < 200; i++) keep[i] = x[threadIdx.x + i * n];
    for (int t = 0; t < n; t++) for (int i = 0; i < 200; i++) keep[i] = keep[i] * keep[(i + 7) % 200] + x[t];
    for (int i = 0; i < 200; i++) y[threadIdx.x + i * n] = keep[i];
}
"""


def test_spills_are_noticed():
    assert "spilled" in nvrtc.faults(nvrtc.compiled(kernels.Kernel(SPILLS, "spills"), "sm_80"))[0]


def test_an_error_names_its_file_and_line():
    wrong = kernels.Kernel("\nextern \"C\" __global__ void f(float* y) {\n    y[0] = undeclared;\n}\n", "f")
    with pytest.raises(CompileError, match=r"source\.cu\(3\): error.*undeclared"):
        nvrtc.compiled(wrong, "sm_80")


def test_an_error_in_a_header_names_the_header(tmp_path):
    (tmp_path / "part.cuh").write_text("#pragma once\n__device__ float part() {\n    return missing;\n}\n")
    (tmp_path / "whole.cu").write_text('#include "kernel.cuh"\n#include "part.cuh"\n#include "part.cuh"\n'
                                       'extern "C" __global__ void f(float* y) {\n    y[0] = part() + absent;\n}\n')
    with pytest.raises(CompileError) as error:
        nvrtc.compiled(kernels.Kernel(tmp_path / "whole.cu", "f"), "sm_80")
    assert "part.cuh(3): error" in str(error.value) and "whole.cu(5): error" in str(error.value)


def test_a_missing_header_is_named(tmp_path):
    (tmp_path / "lonely.cu").write_text('#include "nowhere.cuh"\nextern "C" __global__ void f(float* y) { y[0] = 1; }\n')
    with pytest.raises(FileNotFoundError, match="lonely.cu includes \"nowhere.cuh\""):
        source.complete(kernels.Kernel(tmp_path / "lonely.cu", "f"))


def test_main_prints_every_kernel_and_writes_the_table(monkeypatch, capsys, tmp_path):
    label = next(k.label for k, double in LAUNCHED if k.path.name == "softmax.cu" and not double)
    monkeypatch.setattr("sys.argv", ["nvrtc", label, "--json", str(tmp_path / "t.json")])
    assert nvrtc.main() == 0
    assert label in capsys.readouterr().out
    table = json.loads((tmp_path / "t.json").read_text())["kernels"]["softmax.cu"]
    assert table[label]["sm_90a"]["spills"] == 0
