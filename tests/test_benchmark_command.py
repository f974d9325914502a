"""python -m minitorch.benchmark: what it compares, and what it says of arguments that make no sense."""
import json
import subprocess
import sys

import pytest

from minitorch.benchmark import load
from minitorch.benchmark.__main__ import main

KIT = """
def right(x, y):
    return 2 * x + y


def zeros(x, y):
    return 0 * x


def also(x, y):
    return x + x + y
"""
AXPY = """
extern "C" __global__ void axpy(const float* x, const float* y, float* z, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) z[i] = 2.f * x[i] + y[i];
}
"""


def command(folder, *args):
    full = [sys.executable, "-m", "minitorch.benchmark", *args, "--seconds", "0"]
    return subprocess.run(full, cwd=folder, capture_output=True, text=True, timeout=120)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "kit.py").write_text(KIT)
    (tmp_path / "axpy.cu").write_text(AXPY)
    return tmp_path


def test_the_command_compares_sources_and_functions(folder):
    done = command(folder, "kit.py:also", "axpy.cu", "--reference", "kit:right", "--shape", "n", "--shape", "n", "--sizes", "n=100",
                   "--sizes", "n=65", "--grid", "cdiv(n, 64)", "--block", "64", "--save", "out.json")
    assert done.returncode == 0, done.stderr + done.stdout
    found = load(folder / "out.json")
    assert [c.name for c in found.cases] == ["n=100", "n=65"] and [r.provider for r in found[0].rows] == ["also", "axpy", "right"]
    assert found[0]["axpy"].simulated and found[0]["also"].ratio and found.baseline == "right"


def test_the_command_refuses_with_status_1_and_says_what_is_wrong_with_status_2(folder, monkeypatch, capsys):
    shapes = ("--reference", "kit.py:right", "--shape", "5x3", "--shape", "5x3")
    done = command(folder, "kit.py:zeros", *shapes, "--json")
    assert done.returncode == 1 and json.loads(done.stdout)["cases"][0]["rows"][0]["verdict"] == "refused"
    monkeypatch.chdir(folder)
    for args, said in ((("kit.py:zero", *shapes), "kit.py has no function 'zero'"), (("nowhere.f", *shapes), "no module named 'nowhere'"),
                       (("none.cu", *shapes), "no CUDA source none.cu"), (("axpy.cu", *shapes), "Give --grid and --block"),
                       (("kit.py:also", "--reference", "kit.py:right"), "give --shape"),
                       (("kit.py:also", "--reference", "kit.py:right", "--shape", "NxM"), "'N' is no size"),
                       (("kit.py:also", *shapes, "--dtype", "float33"), "--dtype float33"),
                       (("kit.py:also", *shapes, "--flops", "open(1)"), "more than arithmetic")):
        assert main([*args]) == 2 and said in capsys.readouterr().err


@pytest.mark.parametrize("args, said", [
    (("kit.py", "--shape", "3"), "which function of it? Write kit.py:NAME"), (("kit.py:also", "--shape", "3", "--integers", "3:0"), "below 0"),
    (("kit.py:also", "kit.py:also", "kit.py:also", "--shape", "3", "--shape", "3"), "given more than once"),
    (("kit.py:also", "--shape", "3", "--shape", "3", "--save", "no/such/folder/x.json"), "there is no folder"),
    (("kit.py:also", "--shape", "3", "--shape", "3", "--save", "."), "that is a folder"),
    (("kit.py:also", "--shape", "3", "--shape", "4"), "raised by the reference right on 3 4"),
    (("kit.py:also", "--shape", "3", "--shape", "3", "--dtype", "int32"), "a case's dtype is that of its floating-point inputs"),
    (("kit.py:also", "--shape", "3", "--shape", "3", "--ulps", "-1"), "ulps must be above 0, not -1"),
    (("kit.py:also", "--shape", "3", "--shape", "3", "--seconds", "nan"), "seconds must be 0 or more, not nan"),
    (("kit.py:also", "--shape", "3", "--shape", "3", "--seed", "-1"), "seed must not be negative, and is -1"),
    (("kit.py:also", "--shape", "3", "--shape", "3", "--flops", "1 / 0"), "divides by zero"),
    (("kit.py:also", "--shape", "3", "--shape", "3", "--bytes", "3 - 8"), "bytes must be above 0, not -5"),
    (("kit.py:also", "--shape", "n", "--shape", "n", "--sizes", "n=3", "--flops", "n - 3"), "flops must be above 0, not 0"),
    (("kit.py:also", "--shape", "3", "--shape", "3", "--device", "cuda"), "CuPy"),
    (("kit.py:also", "--shape", "3", "--shape", "3", "--baseline", "who"), "no provider is called 'who': there are also")])
def test_bad_arguments_are_said_in_the_users_words_before_anything_is_measured(folder, monkeypatch, capsys, args, said):
    monkeypatch.chdir(folder)
    if "cuda" in args and "cupy" in sys.modules:
        pytest.skip("there is a GPU")
    monkeypatch.setattr("minitorch.benchmark.host.Host.race", lambda *args: pytest.fail("it was measured"))
    assert main([*args, "--reference", "kit.py:right"]) == 2 and said in capsys.readouterr().err


def test_what_c_prints_does_not_mix_with_the_json(folder):
    (folder / "loud.py").write_text("import os\n\n\ndef f(x, y):\n    os.write(1, b'loud')\n    return 2 * x + y\n")
    done = command(folder, "loud.py:f", "--reference", "kit.py:right", "--shape", "4", "--shape", "4", "--json", "--no-variations")
    assert json.loads(done.stdout)["cases"][0]["rows"][0]["verdict"] == "passed" and "loud" in done.stderr


def test_an_interruption_is_said_in_a_line(folder, monkeypatch, capsys):
    def interrupted(*args):
        raise KeyboardInterrupt
    monkeypatch.chdir(folder)
    monkeypatch.setattr("minitorch.benchmark.host.Host.race", interrupted)
    assert main(["kit.py:also", "--reference", "kit.py:right", "--shape", "4", "--shape", "4"]) == 130
    assert capsys.readouterr().err == "python -m minitorch.benchmark: interrupted: nothing was measured to its end, and nothing is written\n"


