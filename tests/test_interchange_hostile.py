"""Damaged, hostile and odd files: each is refused by name, and nothing in them is executed."""
import io
import os
import pickle
import struct
import zipfile

import numpy as np
import pytest
from handmade import a_tensor, archive, call, edited, number, old_file, overlapping, reference, text, twice

import minitorch
from minitorch import nn

ones = minitorch.ones


class Settings:
    pass


DEEP = b"\x80\x02}" + b")" + b"\x85" * 100_000 + b"K\x01s."
HOSTILE = {
    # what wants to be executed
    "os.system": archive(call("os system", text("touch {path}.executed"))),
    "posix.system": archive(call("posix system", text("touch {path}.executed"))),
    "builtins.eval": archive(call("builtins eval", text("open('{path}.executed', 'w')"))),
    "__builtin__.exec": archive(call("__builtin__ exec", text("open('{path}.executed', 'w')"))),
    "builtins.getattr": archive(call("builtins getattr", text("x"), text("y"))),
    "subprocess.Popen": archive(call("subprocess Popen", text("touch {path}.executed"))),
    "a name with dots": archive(b"\x80\x04" + b"\x8c\x09minitorch\x8c\x09os.system\x93" + b"\x8c\x04true\x85R."),
    "a function of ours": archive(call("minitorch.serialization save", b"K\x01", text("{path}.executed"))),
    "a class of PyTorch": archive(call("torch.nn.modules.linear Linear", b"K\x01K\x01")),
    "numpy's loader": archive(call("numpy load", text("{path}"))),
    "a codec that is a module": archive(call("_codecs encode", text("x"), text("zlib_codec"))),
    "INST": archive(b"\x80\x02(X\x04\x00\x00\x00trueios\nsystem\n."),
    "OBJ": archive(b"\x80\x02(cos\nsystem\nX\x04\x00\x00\x00trueo."),
    "EXT1": archive(b"\x80\x02\x82\x01."),
    "text persistent id": archive(b"\x80\x02Pmodule\n."),
    "NEWOBJ of a tensor": archive(b"\x80\x02ctorch\nTensor\nK\x05\x85\x81."),
    "a call of data": archive(b"\x80\x02X\x01\x00\x00\x00x)R."), "a call of a dtype": archive(b"\x80\x02ctorch\nfloat32\n)R."),
    "a call of what it made": archive(b"\x80\x02ccollections\nOrderedDict\n)R)R."),
    # what breaks the reader
    "an attribute of a dict class": archive(b"\x80\x02ccollections\nOrderedDict\n)R}" + text("items") + b"K\x01sb."),
    "a state of a class": archive(b"\x80\x02ctorch\nTensor\n}" + text("__add__") + b"K\x01sb."),
    "slots of a function": archive(b"\x80\x02ccollections\nOrderedDict\nN}" + text("call") + b"K\x01s\x86b."),
    "append to a tuple": archive(b"\x80\x02)K\x01a."),
    "items of a list": archive(b"\x80\x02]K\x01K\x02s."),
    "odd items": archive(b"\x80\x02}(K\x01u."),
    "an unhashable key": archive(b"\x80\x02}]K\x01s."), "a key nested deep": archive(DEEP),
    "a key of 2^60 parts": archive(b"\x80\x02})" + b"".join(b"q" + bytes([i]) + b"h" + bytes([i]) + b"\x86" for i in range(60)) + b"K\x01s."),
    "a memo that is not there": archive(b"\x80\x02h\x05."),
    "an empty stack": archive(b"\x80\x020."),
    "no mark": archive(b"\x80\x02t."),
    "no end": archive(b"\x80\x02K\x01"),
    "no pickle": archive(b""),
    "a text longer than the file": archive(b"\x80\x02X\xff\xff\xff\x7fab."),
    "bytes of all memory": archive(b"\x80\x04\x8e" + b"\xff" * 7 + b"\x7fab."),
    "a bytearray of all memory": archive(call("builtins bytearray", number(2 ** 60))),
    "a tensor of a list": archive(call("torch._utils _rebuild_tensor_v2", b"]K\x00))\x89N")),
    "text that is none": archive(b"\x80\x02X\x02\x00\x00\x00\xff\xfe."),
    "a function as data": archive(b"\x80\x02]ctorch._utils\n_rebuild_tensor_v2\na."),
    "a storage type as the data": archive(b"\x80\x02ctorch\nFloatStorage\n."),
    "an array of objects": archive(call("numpy dtype", text("O"), b"\x89\x88")),
    "an array with fields": archive(call("numpy dtype", text("f4,O"), b"\x89\x88")),
    "a number of too few bytes": archive(b"\x80\x04cnumpy._core.multiarray\nscalar\ncnumpy\ndtype\n" + text("f8") + b"\x89\x88\x87RC\x02ab\x86R."),
    "an attribute that hides a method": archive(
        b"\x80\x02ctorch._tensor\n_rebuild_from_type_v2\n(ctorch._utils\n_rebuild_tensor_v2\nctorch\nTensor\n" b"("
                                                + reference() + b"K\x00K\x04\x85K\x01\x85\x89Nt}" + text("backward") + b"K\x01stR.",
                                                {"data/0": bytes(16)}),
    "attributes by another constructor": archive(b"\x80\x02ctorch._tensor\n_rebuild_from_type_v2\n(ctorch\nTensor\nctorch\nTensor\n" + number(2 ** 40)
                                                 + b"\x85}tR."),
    # storages
    "a storage shorter than claimed": a_tensor(records={"data/0": bytes(8)}),
    "a storage longer than claimed": a_tensor(records={"data/0": bytes(20)}),
    "a storage that is not there": a_tensor(records={}), "a storage of giant size": a_tensor(reference(count=2 ** 60)),
    "a storage of negative size": a_tensor(reference(count=-4)), "a storage outside": a_tensor(reference(key="../../etc/passwd")),
    "a storage by absolute path": a_tensor(reference(key="/etc/passwd")),
    "the pickle as a storage": a_tensor(reference(key="../data.pkl")),
    "a storage of unknown type": a_tensor(reference("torch\nEvilStorage")),
    "a storage of complex numbers": a_tensor(reference("torch\nQInt8Storage")),
    "a storage on no device": a_tensor(reference(where="file:///etc")), "a storage on a GPU": a_tensor(reference(where="cuda:0")),
    "a reference of two parts": archive(b"\x80\x02" + text("storage") + b"K\x00\x86Q."),
    "a reference that is text": archive(b"\x80\x02" + text("x") + b"Q."),
    "a module reference": archive(b"\x80\x02(" + text("module") + b"ctorch\nTensor\nNNtQ."),
    "a storage as data": archive(b"\x80\x02]" + reference() + b"a.", {"data/0": bytes(16)}),
    # tensors
    "sizes beyond the storage": a_tensor(size=(3, 2)),
    "strides beyond the storage": a_tensor(stride=(2, 2)),
    "an offset beyond it": a_tensor(offset=1),
    "a negative offset": a_tensor(offset=-1),
    "a negative size": a_tensor(size=(-2, 2)),
    "a negative stride": a_tensor(stride=(-2, 1), offset=2),
    "sizes and strides apart": a_tensor(stride=(1,)), "giant sizes of stride 0": a_tensor(size=(2 ** 62, 2 ** 62), stride=(0, 0)),
    "a giant size": a_tensor(size=(2 ** 62,), stride=(1,)),
    "a giant stride": a_tensor(stride=(2 ** 62, 1)),
    "a giant offset": a_tensor(offset=2 ** 62),
    "integers that require grad": a_tensor(reference("torch\nIntStorage"), more=b"\x88N"),
    "a conjugate": a_tensor(more=b"\x89N}" + text("conj") + b"\x88s"),
    "a sparse tensor": a_tensor(name="torch._utils _rebuild_sparse_tensor"),
    "a quantized tensor": a_tensor(name="torch._utils _rebuild_qtensor"),
    "too many arguments": a_tensor(more=b"\x89N}K\x01K\x02"), "too few": a_tensor(more=b""),
    # the archive
    "nothing but the signature": b"PK\x03\x04" + bytes(100), "an empty archive's end cut": b"PK\x05\x06" + bytes(10),
    "no pickle in it": archive(folder="x/other/"), "TorchScript": archive(records={"constants.pkl": b"\x80\x02)."}),
    "a later version": archive(version=b"99\n"), "a version that is none": archive(version=b"x"),
    "an order of bytes that is none": archive(records={"byteorder": b"middle"}),
    "compressed records": archive(b"\x80\x02N." + bytes(100), compression=zipfile.ZIP_DEFLATED),
    "records that overlap": overlapping(),
    "two records of one name": twice(),
    "cut in the middle": edited(lambda b: b[:len(b) // 2]),
    "cut at the end": edited(lambda b: b[:-1]),
    "more at the end": edited(lambda b: b + b"x"),
    "more at the start": edited(lambda b: b"x" * 10 + b),
    "a flipped bit in a number": edited(lambda b: b.replace(struct.pack("<f", 3), struct.pack("<f", 2.5))),
    "a name changed in front of a record": edited(lambda b: b.replace(b"archive/data/0", b"archive/data/1", 1)),
    "a comment of another": edited(lambda b: b.replace(b"minitorch: crc32", b"somebody: crc32")),
    "its comment taken away": edited(lambda b: b[:b.index(b"minitorch: crc32")]),
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_file_is_refused_by_name_and_executes_nothing(tmp_path, data):
    path = tmp_path / "file.pt"
    path.write_bytes(data.replace(b"{path}", os.fsencode(path)))
    before = {p.name for p in tmp_path.iterdir()}
    for source in (path, io.BytesIO(path.read_bytes())):
        with pytest.raises(RuntimeError) as caught:
            minitorch.load(source)
        assert (str(path) if source is path else "file object") in str(caught.value)
        assert isinstance(caught.value, pickle.UnpicklingError)
    assert {p.name for p in tmp_path.iterdir()} == before


@pytest.mark.parametrize("words, data", [
    (r"GLOBAL os\.system whose module os is blocked", HOSTILE["os.system"]), (r"GLOBAL builtins\.eval was not an allowed", HOSTILE["builtins.eval"]),
    (r"torch\.nn\.modules\.linear\.Linear .*save the state_dict", HOSTILE["a class of PyTorch"]),
    ("TorchScript", HOSTILE["TorchScript"]), ("map_location='cpu'", HOSTILE["a storage on a GPU"]),
    (r"has 8 bytes, not 4 elements of 4", HOSTILE["a storage shorter than claimed"]),
    ("goes beyond its storage of 4", HOSTILE["sizes beyond the storage"]),
    ("supported types are float64", a_tensor(reference("torch\nComplexFloatStorage"), more=b"\x89N")
     if "complex64" not in minitorch.dtypes.BY_NAME else a_tensor(name="torch float8_e5m2")),
])
def test_a_refusal_says_why(words, data):
    with pytest.raises(RuntimeError, match=words):
        minitorch.load(io.BytesIO(data))


def test_random_changes_of_a_file_never_do_more_than_refuse():
    file = io.BytesIO()
    minitorch.save({"w": minitorch.arange(6.0), "p": nn.Parameter(ones(2)), "names": ["x", (1, 2.5)], "sd": nn.Linear(2, 2).state_dict()}, file)
    with zipfile.ZipFile(file) as z:
        good = {name.removeprefix("archive/"): z.read(name) for name in z.namelist()}
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(400):                             # with checksums that fit: what a hostile file would have
        data = bytearray(good["data.pkl"])
        for _ in range(rng.integers(1, 4)):
            data[rng.integers(len(data))] = rng.integers(256)
        try:
            minitorch.load(io.BytesIO(archive(bytes(data), {k: v for k, v in good.items() if k.startswith("data/")})))
        except RuntimeError:
            refused += 1
    assert refused > 200


# ---- the format before PyTorch 1.6 --------------------------------------------------------------------------------

OLD = {
    "another version": old_file(1, 1002), "big-endian": old_file(1, little=False), "cut in the storage": old_file(ones(3), cut=-1),
    "cut in front": old_file(ones(3), cut=40), "no keys": old_file(ones(3), keys=[]), "a key too many": old_file(ones(3), keys=["0", "1"]),
    "keys that are none": old_file(ones(3), keys=7), "keys twice": old_file(ones(3), keys=["0", "0"]), "more behind": old_file(ones(3), more=b"x"),
    "a class": old_file(Settings()), "only the mark": old_file(1, cut=15),
}


@pytest.mark.parametrize("data", OLD.values(), ids=OLD)
def test_a_damaged_or_hostile_old_file_is_refused_by_name(tmp_path, data):
    (tmp_path / "old.pth").write_bytes(data)
    with pytest.raises(pickle.UnpicklingError, match=r"old\.pth"):
        minitorch.load(tmp_path / "old.pth")


# ---- NumPy's .npz ---------------------------------------------------------------------------------------------------

def npz(**arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def with_header(text):
    """An .npz file of one array with that header."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as z:
        z.writestr("a.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode() + bytes(16))
    return file.getvalue()


NPZ = {
    "objects": npz(a=np.array([Settings()], object)), "text": npz(a=np.array(["x"])), "fields": npz(a=np.zeros(2, "f4,f4")),
    "cut": npz(a=np.ones(9))[:-30], "a flipped bit": npz(a=np.ones(9)).replace(struct.pack("<d", 1), struct.pack("<d", 2), 1),
    "a giant shape": with_header("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }\n"),
    "a shape too small": with_header("{'descr': '<f8', 'fortran_order': False, 'shape': (1,), }\n"),
    "a header that is a call": with_header("__import__('os').system('true')\n"), "no header": with_header(""),
}


@pytest.mark.parametrize("data", NPZ.values(), ids=NPZ)
def test_a_hostile_npz_file_is_refused_by_name(tmp_path, data):
    (tmp_path / "file.npz").write_bytes(data)
    with pytest.raises(RuntimeError, match=r"file\.npz"):
        minitorch.load(tmp_path / "file.npz")
