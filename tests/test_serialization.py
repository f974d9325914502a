"""save and load: what goes in comes out; a damaged, foreign or hostile file is refused by name; a failing write leaves the old file."""
import collections
import io
import json
import math
import os
import pickle
import signal
import struct
import subprocess
import sys
import time

import numpy as np
import pytest
import standin

import minitorch

safetensors = pytest.importorskip("safetensors.numpy")

TREE = {
    "model": collections.OrderedDict([("conv.weight", minitorch.arange(12.0).array.reshape(3, 4)),
                                      ("bias", minitorch.ones(2, dtype=minitorch.bfloat16))]),
    "numbers": (1, -2.5, 10 ** 40, True, None, float("inf"), "text \" \\ é \0"),
    3: [minitorch.zeros(0, 3), minitorch.tensor(7), [], {}, ()],
    (1, "key"): {minitorch.Size([2, 3]): minitorch.float16, "where": minitorch.device("cuda", 1)}, "set": {1, 2},
    "numpy": [np.float64(3.5), np.int32(4), np.arange(3)],
}


def same(a, b):
    """Whether two trees hold the same, of the same types."""
    if type(a) is not type(b):
        return False
    if isinstance(a, minitorch.Tensor):
        return a.dtype is b.dtype and a.requires_grad == b.requires_grad and np.array_equal(a.detach().array, b.detach().array)
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b)
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file.safetensors"


@pytest.fixture(params=["safetensors", "pt"])
def any_path(tmp_path, request):
    """A file of each format that holds nested data."""
    return tmp_path / f"file.{request.param}"


def test_everything_comes_back_as_it_was(any_path):
    minitorch.save(TREE, any_path)
    assert same(minitorch.load(any_path), TREE) and same(minitorch.load(str(any_path)), TREE)
    assert math.isnan(round_trip(float("nan"), any_path))


def round_trip(x, path=None, **kw):
    """`x` saved and loaded: in memory, in PyTorch's format, or in the file `path`."""
    file = io.BytesIO() if path is None else path
    minitorch.save(x, file)
    if path is None:
        file.seek(0)
    return minitorch.load(file, **kw)


@pytest.mark.parametrize("x", [3, "s", None, [], {}, minitorch.ones(2), {"__metadata__": minitorch.ones(2)},
                               {"a": {"b": minitorch.ones(1)}, "a.b": minitorch.ones(2)},
                               {1: minitorch.ones(1), "1": minitorch.ones(2)}, {"dict": {"list": 1}}, {"Tensor": {"name": "x"}}])
def test_single_values_and_awkward_names(x, any_path):
    assert same(round_trip(x, any_path), x)


@pytest.mark.parametrize("dtype", "float64 float32 float16 bfloat16 int64 int32 int16 int8 uint8 bool".split())
def test_every_dtype(dtype, any_path):
    x = minitorch.tensor([[0, 1, 1], [1, 0, 1]], dtype=getattr(minitorch, dtype))
    assert same(round_trip(x, any_path), x)


def test_layouts_do_not_matter(any_path):
    a = np.arange(24.0).reshape(2, 3, 4)
    for view in (a.T, a[:, ::2], a[1], np.broadcast_to(a[0, 0], (3, 4)), a[:0]):
        assert same(round_trip(minitorch.from_numpy(np.asarray(view)), any_path), minitorch.tensor(np.ascontiguousarray(view)))


def test_tied_tensors_stay_tied_and_are_stored_once(any_path):
    w = minitorch.randn(100, 100)
    back = round_trip({"a": w, "b": w.detach()}, any_path)
    assert any_path.stat().st_size < 1.1 * w.array.nbytes
    back["a"].array[0, 0] = 5
    back["a"].uniform_()
    assert np.array_equal(back["b"].array, back["a"].array) and back["b"]._version == 1


def test_whether_a_tensor_wants_a_gradient_is_kept(any_path):
    x = minitorch.ones(2, requires_grad=True)
    assert round_trip(x, any_path).requires_grad and not round_trip(x.detach(), any_path).requires_grad


def test_parameters_come_back_as_parameters(any_path):
    from minitorch.nn.parameter import Parameter
    p = Parameter(minitorch.ones(2))
    q, r = round_trip([p, Parameter(minitorch.ones(2), requires_grad=False)], any_path)
    assert type(q) is Parameter and q.requires_grad and not r.requires_grad and r.array.tolist() == [1, 1]


def test_optimizers_go_on_from_a_file(any_path):
    def start():
        p = minitorch.ones(3, requires_grad=True)
        return p, minitorch.optim.Adam([{"params": [p], "betas": (0.8, 0.9)}])

    def step(p, optimizer, i):
        p.grad = minitorch.tensor([1.0, 2.0, float(i)])
        optimizer.step()
    p, optimizer = start()
    for i in range(3):
        step(p, optimizer, i)
    q, again = start()
    saved = round_trip({"p": p, "optimizer": optimizer.state_dict()}, any_path)
    q.data = saved["p"].data
    again.load_state_dict(saved["optimizer"])
    for i in range(3, 6):
        step(p, optimizer, i)
        step(q, again, i)
    assert np.array_equal(p.detach().array, q.detach().array)
    assert again.param_groups[0]["betas"] == (0.8, 0.9)


@pytest.mark.parametrize("x, words", [(object(), "a object"), ({"a": [lambda: 0]}, r"obj\['a'\]\[0\] is a function"),
                                      (collections.Counter(), "Counter"),
                                      (1j, "complex"), (bytearray(b"bytes"), "bytearray"), (collections.namedtuple("P", "x")(1), "a P")])
def test_what_a_safetensors_file_cannot_hold_is_named(x, words, path):
    with pytest.raises(TypeError, match=words):
        minitorch.save(x, path)


def test_a_loop_is_refused(path):
    x = []
    x.append(x)
    with pytest.raises(ValueError, match="contains itself"):
        minitorch.save(x, path)


def test_files_of_others_are_dicts_of_tensors(path):
    safetensors.save_file({"a": np.ones(2, "f4"), "b": np.zeros((2, 2), "i8")}, path)
    back = minitorch.load(path)
    assert back.keys() == {"a", "b"} and back["a"].dtype is minitorch.float32
    back["a"].array[0] = 3                           # memory of our own
    safetensors.save_file({"a": np.ones(2, "u4")}, path)
    with pytest.raises(RuntimeError, match=f"{path}.*'a' has the type U32"):
        minitorch.load(path)


def test_others_can_read_our_files(path):
    minitorch.save({"model": {"conv": {"weight": minitorch.ones(2, 3)}}}, path)
    assert safetensors.load_file(path)["model.conv.weight"].shape == (2, 3)


def test_files_must_be_files(tmp_path):
    with pytest.raises(FileNotFoundError):
        minitorch.load(tmp_path / "none")
    with pytest.raises(FileNotFoundError):
        minitorch.save(1, tmp_path / "none" / "file")
    for call in (lambda: minitorch.load(3), lambda: minitorch.save(1, 3), lambda: minitorch.load(io.StringIO("text"))):
        with pytest.raises(TypeError):
            call()


def test_without_the_package_the_extra_is_named(monkeypatch, path):
    minitorch.save(1, path)
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    for call in (lambda: minitorch.save(1, path), lambda: minitorch.load(path)):
        with pytest.raises(ImportError, match=r"minitorch\[safetensors\]"):
            call()
    assert round_trip(1) == 1


# ---- devices -----------------------------------------------------------------------------------------------

def test_tensors_go_back_to_their_device_or_where_map_location_says(any_path):
    path = any_path
    with standin.installed():
        minitorch.save([minitorch.ones(2, device="cuda"), minitorch.ones(2)], path)
        a, b = minitorch.load(path)
        assert (a.device.type, b.device.type) == ("cuda", "cpu")
        assert [t.device.type for t in minitorch.load(path, map_location="cuda")] == ["cuda", "cuda"]
    for where in ("cpu", minitorch.device("cpu"), {"cuda:0": "cpu"}, lambda tensor, device: tensor):
        assert [t.device.type for t in minitorch.load(path, map_location=where)] == ["cpu", "cpu"]
    with pytest.raises(RuntimeError, match="map_location='cpu'"):
        minitorch.load(path)
    with pytest.raises(RuntimeError, match="device 'cuda'"):
        minitorch.load(path, map_location="cuda")


# ---- damaged, foreign and hostile files ------------------------------------------------------------------------

def refused(path, data, words=""):
    path.write_bytes(data)
    with pytest.raises(RuntimeError, match=str(path) + ".*" + words) as caught:
        minitorch.load(path)
    return caught.value


SMALL = {"w": minitorch.arange(6.0), "name": "x"}


def test_a_flipped_bit_in_any_byte_is_found(any_path):
    path = any_path
    minitorch.save(SMALL, path)
    good = path.read_bytes()
    for i in range(len(good)):
        bad = bytearray(good)
        bad[i] ^= 1 << i % 8
        refused(path, bad)


def test_truncations_and_extensions_are_found(any_path):
    path = any_path
    minitorch.save(SMALL, path)
    good = path.read_bytes()
    for n in {*range(0, len(good), 5), *range(len(good) - 150, len(good))}:
        refused(path, good[:n])
    for more in (b"\0", good, b"x" * 1000):
        refused(path, good + more)


def header(text, data=b"", length=None):
    text = text if isinstance(text, bytes) else json.dumps(text).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def tensor(shape, begin, end, dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


HOSTILE = {
    "a header longer than the file": header(b"{}", length=2 ** 40), "a header of all memory": header(b"{}", length=2 ** 63),
    "a header that is no JSON": header(b"{]" * 8), "a header that is no dict": header([1, 2]), "not UTF-8": header(b"{\"\xff\xfe\": 1}  "),
    "offsets past the end": header({"a": tensor([4], 0, 16)}, b"123"),
    "offsets that overlap": header({"a": tensor([1], 0, 4), "b": tensor([1], 2, 6)}, b"123456"),
    "a hole": header({"a": tensor([1], 0, 4), "b": tensor([1], 8, 12)}, b"1" * 12),
    "negative offsets": header({"a": tensor([1], -4, 0)}, b"1234"),
    "a shape that disagrees": header({"a": tensor([3], 0, 4)}, b"1234"), "a negative shape": header({"a": tensor([-1, -1], 0, 4)}, b"1234"),
    "a shape that overflows": header({"a": tensor([2 ** 62, 2 ** 62], 0, 0)}),
    "a huge empty shape": header({"a": tensor([2 ** 62, 0, 2 ** 62], 0, 0)}),
    "an unknown type": header({"a": tensor([1], 0, 4, "Q7")}, b"1234"), "no data": b"", "few bytes": b"\x01\0\0", "zeros": bytes(100),
    "deep nesting": header(b"[" * 100_000 + b"]" * 100_000), "HTML": b"<!DOCTYPE html><html>",
    "metadata of numbers": header({"__metadata__": {"a": 3}}),
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_file_is_refused_by_name(path, data):
    refused(path, data)


def disguised(structure, arrays=None):
    """A file that is right in all but its structure: with a checksum that fits."""
    from minitorch.serialization.structured import FORMAT, checksum
    arrays = arrays or {}
    text = structure if isinstance(structure, str) else json.dumps(structure)
    return safetensors.save(arrays, {**FORMAT, "minitorch": text, "crc32": checksum(text, arrays)})


STRANGE = {
    "a tensor that is not there": {"Tensor": {"name": "w"}}, "a kind that is not known": {"module": "os"},
    "two kinds": {"list": [], "dict": []},
    "no kind": {}, "a reduce": {"__reduce__": ["os.system", "true"]}, "pairs that are none": {"dict": [[1], [2]]},
    "an unhashable key": {"dict": [[[1], 2]]},
    "a dtype that is not known": {"dtype": "object"}, "a device that is not known": {"device": "file:/etc"},
    "a float that is none": {"float": "1e5"},
    "a tensor without a name": {"Tensor": {}}, "a tensor that is a list": {"Tensor": [1]}, "a size of strings": {"Size": ["a"]},
    "no JSON": "{",
    "JSON too deep": "[" * 100_000 + "]" * 100_000, "an integer too long": "1" * 100_000, "a set of lists": {"set": [[1]]},
}


@pytest.mark.parametrize("structure", STRANGE.values(), ids=STRANGE)
def test_a_strange_structure_is_refused_by_name(path, structure):
    refused(path, disguised(structure))


def test_files_of_other_kinds_are_refused_with_the_reason(path):
    class Evil:
        def __reduce__(self):
            return os.system, (f"touch {path}.executed",)
    for protocol in range(2, 6):
        error = refused(path, pickle.dumps(Evil(), protocol), "is a pickle, but none of save")
        assert isinstance(error, NotImplementedError)
    refused(path, pickle.dumps(Evil(), 0))
    refused(path, b"\x93NUMPY" + bytes(100), "a single NumPy array")
    refused(path, b"\x89HDF" + bytes(100), "an HDF5 file")
    refused(path, bytes(257) + b"ustar" + bytes(300), "a tar archive")
    assert not os.path.exists(f"{path}.executed")
    for error in (RuntimeError, EOFError):
        with pytest.raises(error, match="file object is empty"):
            minitorch.load(io.BytesIO(), weights_only=False)


def test_random_bytes_are_refused(path):
    rng = np.random.default_rng(0)
    for n in (8, 9, 100, 5000):
        for _ in range(20):
            refused(path, rng.bytes(n))


# ---- atomic writes -------------------------------------------------------------------------------------------

def test_a_failing_save_leaves_the_old_file_and_nothing_else(any_path, monkeypatch):
    path = any_path
    minitorch.save(1, path)
    with pytest.raises((TypeError, AttributeError, pickle.PicklingError)):
        minitorch.save(lambda: 0, path)

    def full(handle):
        raise OSError(28, "No space left on device")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            minitorch.save(2, path)
    monkeypatch.setattr(os, "replace", lambda a, b: (_ for _ in ()).throw(PermissionError("no")))
    with pytest.raises(PermissionError):
        minitorch.save(2, path)
    assert minitorch.load(path) == 1 and os.listdir(path.parent) == [path.name]


def test_permissions_and_links_are_kept(path):
    minitorch.save(1, path)
    umask = os.umask(0)
    os.umask(umask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask
    path.chmod(0o640)
    link = path.parent / "link"
    link.symlink_to(path)
    minitorch.save(2, link)
    assert link.is_symlink() and minitorch.load(path) == 2 and path.stat().st_mode & 0o777 == 0o640


SAVER = """
import sys, minitorch
big = minitorch.zeros(3_000_000)
i = 0
while True:
    i += 1
    big.array[:] = i
    minitorch.save({"i": i, "big": big}, sys.argv[1])
    print("saved", flush=True)
"""


def test_a_kill_at_any_moment_leaves_a_whole_file(any_path):
    path = any_path
    minitorch.save({"i": 0, "big": minitorch.zeros(3_000_000)}, path)
    rng = np.random.default_rng(0)
    seen = set()
    for _ in range(3):
        process = subprocess.Popen([sys.executable, "-c", SAVER, str(path)], stdout=subprocess.PIPE,
                                   env={**os.environ, "PYTHONPATH": os.path.dirname(os.path.dirname(minitorch.__file__))})
        assert process.stdout.readline() == b"saved\n"
        time.sleep(rng.uniform(0, 0.2))
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        content = minitorch.load(path)
        assert (content["big"].array == content["i"]).all()
        seen.add(content["i"])
    assert max(seen) > 0
