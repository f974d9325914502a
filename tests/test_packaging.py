"""What is installed: the package, kernels/ as minitorch.kernels with its CUDA sources, and one version everywhere."""
import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy
import pytest

import minitorch

ROOT = Path(__file__).parent.parent
LOOK = ("import minitorch.kernels, importlib.resources as r; "
        "print(minitorch.__version__, sorted(p.name for p in r.files('minitorch.kernels').iterdir() if p.name.startswith('probe')))")


def run(*command, cwd):
    done = subprocess.run([str(c) for c in command], cwd=cwd, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A copy of what an installation reads, with two more CUDA sources."""
    pytest.importorskip("setuptools", minversion="70.1", reason="building needs setuptools: python -m pip install -e '.[test]'")
    folder = tmp_path_factory.mktemp("source")
    for name in ("minitorch", "kernels"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.py", "pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, folder)
    (folder / "kernels" / "probe.cu").write_text("// a kernel")
    (folder / "kernels" / "probe.cuh").write_text("// a header")
    return folder


def test_a_wheel_holds_every_module_and_cuda_source(source, tmp_path):
    run(sys.executable, "setup.py", "-q", "bdist_wheel", "-d", tmp_path, cwd=source)
    wheel, = tmp_path.glob("minitorch-*.whl")
    assert minitorch.__version__ in wheel.name
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    wanted = {p.relative_to(source).as_posix() for p in (source / "minitorch").rglob("*.py")}
    wanted |= {"minitorch/" + p.relative_to(source).as_posix()
               for p in (source / "kernels").rglob("*") if p.suffix in (".py", ".cu", ".cuh")}
    assert wanted <= names and {"minitorch/kernels/probe.cu", "minitorch/kernels/probe.cuh"} <= names, wanted - names
    assert not any(name.startswith(("tests", "examples", "kernels", "benchmarks")) for name in names)


def test_an_editable_install_finds_the_kernels(source, tmp_path):
    run(sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--target", tmp_path, "-e", source, cwd=tmp_path)
    libraries = str(Path(numpy.__file__).parent.parent)        # after this installation, in case it holds another one
    alone = f"import site, sys; site.addsitedir({str(tmp_path)!r}); sys.path.append({libraries!r}); "
    found = run(sys.executable, "-I", "-S", "-c", alone + LOOK, cwd=tmp_path)
    assert found.split(maxsplit=1) == [minitorch.__version__, "['probe.cu', 'probe.cuh']\n"]


def test_an_import_leaves_out_what_few_programs_need():
    heavy = {"dataclasses", "multiprocessing", "numpy.random", "queue", "tempfile", "traceback", "minitorch.func", "minitorch.gradcheck",
             "minitorch.linalg", "minitorch.nn", "minitorch.ops.conv", "minitorch.optim", "minitorch.serialization", "minitorch.utils"}
    look = f"import sys, minitorch; print(sorted({heavy!r} & set(sys.modules)))"
    assert run(sys.executable, "-c", look, cwd=ROOT) == "[]\n"
    run(sys.executable, "-c", "import minitorch; minitorch.func.grad, minitorch.optim.SGD, minitorch.utils.data.DataLoader", cwd=ROOT)
    with pytest.raises(AttributeError, match="module 'minitorch' has no attribute 'nothing'"):
        minitorch.nothing  # noqa: B018


def test_reading_the_files_left_out_adds_no_name():
    code = """if True:
        from minitorch import Tensor
        from minitorch.autograd.op import HOMES
        from minitorch.ops import later
        known = {home: {*names, *later.WHERE[home]} for home, names in HOMES.items()}
        stand_ins = {name: getattr(Tensor, name) for name in later.WHERE["Tensor"]}
        methods = set(vars(Tensor))
        later.read_all()
        print({home: known[home] ^ set(names) for home, names in HOMES.items()}, methods ^ set(vars(Tensor)))
        print([name for name, method in stand_ins.items() if getattr(Tensor, name) is method])
    """
    nothing = {"torch": set(), "functional": set(), "linalg": set()}
    assert run(sys.executable, "-c", code, cwd=ROOT) == f"{nothing} {set()}\n[]\n"


def test_what_goes_on_around_an_op_holds_when_its_file_is_read_meanwhile():
    code = """if True:
        import minitorch
        from minitorch import gradcheck
        from minitorch.autograd import loops, routes
        from minitorch.autograd.op import OPS
        F, x = minitorch.nn.functional, minitorch.randn(2, 3, requires_grad=True)
        with routes.opened():
            F.layer_norm(x, (3,))
            print(type(OPS["normalize_layer"].op.forward) is routes.Route)
        print(type(OPS["normalize_layer"].op.forward) is loops.Looped)
        with minitorch.autocast("cpu", minitorch.float16):
            print(F.linear(x, x).dtype, F.mse_loss(x.half(), x.half()).dtype, minitorch.det(minitorch.eye(2)).dtype)
        print(F.linear(x, x).dtype)
        print(gradcheck.blame(lambda: minitorch.einsum("ij,kj->ik", x, x).sum()).unchecked)
    """
    said = run(sys.executable, "-c", code, cwd=ROOT)
    assert said == "True\nTrue\nminitorch.float16 minitorch.float32 minitorch.float32\nminitorch.float32\n[]\n"


@pytest.mark.parametrize(("module", "names"), [("linalg", "module.__all__"), ("nn.functional", "module.__all__"),
                                               ("special", "[*module.NAMES, *module.SAME.split()]")])
def test_a_home_of_functions_is_whole_where_nothing_was_read_before(module, names):
    code = f"import minitorch.{module} as module; print([name for name in {names} if not callable(getattr(module, name))])"
    assert run(sys.executable, "-c", code, cwd=ROOT) == "[]\n"


def test_names_left_out_are_listed_and_come_with_a_star():
    code = """if True:
        import minitorch
        print({"nn", "optim", "conv2d", "det", "save", "add"} <= set(dir(minitorch)), {"function", "Function"} <= set(dir(minitorch.autograd)))
        from minitorch import *
        print(conv2d is nn.functional.conv2d, save is minitorch.serialization.save, linalg.det is not None)
        print(minitorch.conv2d is conv2d, minitorch.autograd.Function is minitorch.autograd.function.Function)
    """
    assert run(sys.executable, "-c", code, cwd=ROOT) == "True True\nTrue True True\nTrue True\n"


def test_tensors_are_read_the_short_way():
    assert "__getattr__" not in vars(minitorch.Tensor), "it would slow down every read of an attribute"
    assert not hasattr(minitorch.ones(2), "nothing")


def test_a_method_of_a_file_left_out_works_by_its_class_too():
    code = "from minitorch import Tensor, eye; print(Tensor.trace(eye(2)).item(), eye(3).trace().item(), Tensor.trace.__name__)"
    assert run(sys.executable, "-c", code, cwd=ROOT) == "2.0 3.0 trace\n"


def test_the_version_is_said_once():
    try:
        assert importlib.metadata.version("minitorch") == minitorch.__version__
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("minitorch is not installed here")


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of glibc alone")
def test_memory_is_kept_unless_the_environment_says_otherwise():
    code = "from minitorch import allocation; print(allocation.keep_blocks())"
    for malloc, kept in (("system", "False"), ("", "True")):
        env = {**os.environ, "MINITORCH_MALLOC": malloc}
        told = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
        assert told.stdout.strip() == kept
