"""The digits example: what it reads, that a killed run resumes to the same bits, and what it says to bad input."""
import gzip
import os
import random
import re
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import minitorch

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "examples"), str(ROOT / "benchmarks")]

import idx  # noqa: E402
import resume  # noqa: E402


def idx_bytes(array, kind=8):
    return struct.pack(f">HBB{array.ndim}I", 0, kind, array.ndim, *array.shape) + array.tobytes()


def write_mnist(folder, train=96, test=32, pixels=8, pack=lambda b: b, end=""):
    """Four small files in MNIST's form: noise with a bright row or column that tells the digit."""
    rng = np.random.default_rng(0)
    folder.mkdir(exist_ok=True)
    for part, n in (("train", train), ("t10k", test)):
        labels = rng.integers(0, 10, n).astype(np.uint8)
        images = rng.integers(0, 100, (n, pixels, pixels)).astype(np.uint8)
        images[np.arange(n), labels % pixels] += 150
        for name, array in ((f"{part}-images-idx3-ubyte", images), (f"{part}-labels-idx1-ubyte", labels)):
            (folder / (name + end)).write_bytes(pack(idx_bytes(array)))
    return folder


@pytest.fixture(scope="module")
def mnist(tmp_path_factory):
    return write_mnist(tmp_path_factory.mktemp("mnist"))


def digits(*options, check=True):
    """Run the example; its (exit status, output, errors)."""
    done = subprocess.run([sys.executable, str(resume.SCRIPT), *map(str, options)], capture_output=True, text=True, timeout=300)
    if check:
        assert done.returncode == 0, done.stderr
    return done.returncode, done.stdout, done.stderr


# ---- reading IDX files ---------------------------------------------------------------------------------

@pytest.mark.parametrize("pack, end", [(lambda b: b, ""), (gzip.compress, ".gz"), (gzip.compress, "")])
def test_idx_files_are_read_packed_or_not(tmp_path, pack, end):
    folder = write_mnist(tmp_path / "data", pack=pack, end=end)
    images, labels = idx.read_labelled(folder, "train")
    assert images.shape == (96, 8, 8) and images.dtype == np.uint8 and labels.shape == (96,)
    assert (images[np.arange(96), labels % 8].min(1) >= 150).all()


def test_names_with_a_dot_are_found(tmp_path):
    (tmp_path / "t10k-labels.idx1-ubyte").write_bytes(b"")
    assert idx.find(tmp_path, "t10k-labels-idx1-ubyte").name == "t10k-labels.idx1-ubyte"


GOOD = idx_bytes(np.arange(24, dtype=np.uint8).reshape(2, 3, 4))
DAMAGED = {
    "empty": (b"", "only 0 bytes"),
    "three bytes": (GOOD[:3], "only 3 bytes"),
    "other magic": (b"\x89PNG" + GOOD[4:], "0x89504e47"),
    "floats": (GOOD[:2] + b"\x0d" + GOOD[3:], "0x00000d03, not 0x00000803"),
    "labels for images": (idx_bytes(np.zeros(5, np.uint8)), "0x00000801, not 0x00000803"),
    "cut in its header": (GOOD[:10], "ends within its header"),
    "cut": (GOOD[:-1], "23 values, but its header promises 2 x 3 x 4 = 24"),
    "too long": (GOOD + b"x", "25 values"),
    "endless by its header": (GOOD[:4] + b"\xff" * 12 + GOOD[16:], "its header promises 4294967295"),
    "cut gzip": (gzip.compress(GOOD)[:-9], "damaged gzip"),
    "gzip with a bit off": (bytes([*gzip.compress(GOOD)[:-6], 1, *gzip.compress(GOOD)[-5:]]), "damaged gzip"),
    "gzip of nothing": (b"\x1f\x8b", "damaged gzip"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_idx_file_is_refused_by_name(tmp_path, name):
    content, reason = DAMAGED[name]
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(ValueError, match=re.escape(f"{tmp_path / 'file'}: ") + ".*" + re.escape(reason)):
        idx.read_idx(tmp_path / "file", 3)


def test_files_that_do_not_fit_each_other_are_refused(tmp_path):
    folder = write_mnist(tmp_path / "data")
    (folder / "train-labels-idx1-ubyte").write_bytes(idx_bytes(np.zeros(95, np.uint8)))
    with pytest.raises(ValueError, match="96 images in train-images-idx3-ubyte, but 95 labels"):
        idx.read_labelled(folder, "train")
    (folder / "train-labels-idx1-ubyte").write_bytes(idx_bytes(np.full(96, 11, np.uint8)))
    with pytest.raises(ValueError, match="label 11 is no digit"):
        idx.read_labelled(folder, "train")
    write_mnist(folder, train=0)
    with pytest.raises(ValueError, match="no images"):
        idx.read_labelled(folder, "train")


# ---- training, killed and resumed -----------------------------------------------------------------------

def test_killed_at_random_moments_and_resumed_it_ends_in_the_same_weights(tmp_path, mnist):
    options = ["--data", str(mnist), "--epochs", "6", "--batch-size", "8", "--checkpoint-every", "1"]
    ready, end = resume.leave_alone(tmp_path / "whole", options)
    whole = resume.weights(tmp_path / "whole")
    rng = random.Random(1)
    for i in range(3):
        moments = [rng.uniform(ready, end) for _ in range(2)]
        assert resume.trial(tmp_path / f"trial{i}", options, moments) == whole, f"killed after {moments} s"
        assert not list((tmp_path / f"trial{i}").glob(".*")), "a file that a kill left half-written was not cleaned up"


def test_interrupted_it_saves_says_so_and_resumes(tmp_path, mnist):
    options = ["--data", mnist, "--epochs", 30, "--batch-size", 8, "--checkpoint-every", 100000]
    process = resume.start(tmp_path / "cut", list(map(str, options)))
    process.stdout.readline()
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130 and b"go on with --resume" in out, (out, err)
    _, said, _ = digits(*options, "--resume", "--out", tmp_path / "cut")
    assert "resumed after epoch" in said
    digits(*options, "--out", tmp_path / "whole")
    assert resume.weights(tmp_path / "cut") == resume.weights(tmp_path / "whole")


def test_it_prints_a_confusion_matrix_and_writes_its_files(tmp_path, mnist):
    _, out, _ = digits("--data", mnist, "--epochs", 1, "--out", tmp_path)
    assert "confusion matrix" in out and re.search(r"test accuracy \d+\.\d\d% \(\d+ of 32\) after 1 epochs", out)
    assert {"checkpoint.safetensors", "weights.safetensors"} <= {p.name for p in tmp_path.iterdir()}
    _, again, _ = digits("--data", mnist, "--epochs", 1, "--out", tmp_path, "--resume")
    assert out.split("confusion")[1].split(" epochs")[0] == again.split("confusion")[1].split(" epochs")[0]


ON_A_DEVICE = f"""
import sys
sys.path[:0] = [{str(ROOT / "tests")!r}, {str(ROOT / "examples")!r}]
import digits, standin
with standin.device_backend():
    sys.exit(digits.main(sys.argv[1:]))
"""


def test_it_trains_and_resumes_on_a_device(tmp_path, mnist):
    for resumed in ([], ["--resume"]):
        command = [sys.executable, "-c", ON_A_DEVICE, "--data", str(mnist), "--device", "cuda", "--epochs", "1", "--out", str(tmp_path), *resumed]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0 and "weights on cuda" in done.stdout, done.stderr
    assert "resumed after epoch 1 of 1" in done.stdout


def test_the_digits_are_learnt(tmp_path):
    pytest.importorskip("sklearn")
    _, out, _ = digits("--epochs", 8, "--out", tmp_path)
    assert float(re.search(r"\ntest accuracy ([\d.]+)%", out)[1]) >= 95


# ---- bad input: one line, no traceback -------------------------------------------------------------------

def refused(*options):
    """The line that the example says to these options."""
    status, out, err = digits(*options, check=False)
    lines = err.strip().splitlines()
    assert status != 0 and "Traceback" not in err and lines[-1].startswith("digits.py: "), err
    return lines[-1]


def test_a_missing_folder_or_file_is_named(tmp_path):
    assert "no folder" in refused("--data", tmp_path / "nowhere")
    assert "train-images-idx3-ubyte" in refused("--data", tmp_path)


def test_a_damaged_data_file_is_named(tmp_path):
    folder = write_mnist(tmp_path / "data")
    (folder / "t10k-images-idx3-ubyte").write_bytes(GOOD)
    assert "2 images in t10k-images-idx3-ubyte, but 32 labels" in refused("--data", folder)
    write_mnist(folder, pixels=3)
    assert "at least 4 x 4" in refused("--data", folder)


@pytest.mark.parametrize("damage", [lambda b: b"", lambda b: b"not a checkpoint", lambda b: b[:len(b) // 2], lambda b: b[:-1]])
def test_a_damaged_checkpoint_is_named(tmp_path, mnist, damage):
    options = ["--data", mnist, "--epochs", 1, "--out", tmp_path]
    digits(*options)
    path = tmp_path / "checkpoint.safetensors"
    path.write_bytes(damage(path.read_bytes()))
    assert f"cannot resume from {path}" in refused(*options, "--resume")


def test_a_checkpoint_of_something_else_is_refused(tmp_path, mnist):
    minitorch.save({"weights": minitorch.zeros(3)}, tmp_path / "checkpoint.safetensors")
    assert "cannot resume from" in refused("--data", mnist, "--out", tmp_path, "--resume")


def test_a_checkpoint_of_other_settings_is_refused(tmp_path, mnist):
    digits("--data", mnist, "--epochs", 1, "--out", tmp_path)
    assert "made with epochs 1, not 2" in refused("--data", mnist, "--epochs", 2, "--out", tmp_path, "--resume")
    other = write_mnist(tmp_path / "other", train=80)
    assert "made with data" in refused("--data", other, "--epochs", 1, "--out", tmp_path, "--resume")


def test_a_missing_device_is_named(tmp_path, mnist):
    try:
        minitorch.zeros(1, device="cuda")
        pytest.skip("there is a GPU")
    except RuntimeError:
        pass
    assert "--device cuda: " in refused("--data", mnist, "--device", "cuda", "--out", tmp_path)


def test_missing_scikit_learn_is_said(tmp_path):
    (tmp_path / "sklearn.py").write_text("raise ImportError('hidden for the test')")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, str(resume.SCRIPT), "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)
    assert done.returncode == 1 and "pip install" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("option", ["--epochs 0", "--batch-size -1", "--lr nan", "--lr x", "--device tpu", "--seed -3"])
def test_bad_options_are_refused(option):
    assert digits(*option.split(), check=False)[0] == 2
