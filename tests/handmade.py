"""Files in PyTorch's format made by hand, good ones and bad: pickles instruction by instruction, archives record by record."""
import io
import pickle
import struct
import zipfile

import pytest

import minitorch
from minitorch.serialization import pickler


def archive(data=b"\x80\x02N.", records=None, folder="x/", compression=zipfile.ZIP_STORED, version=b"3\n"):
    """A zip archive in PyTorch's form around a pickle."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as z:
        z.writestr(folder + "data.pkl", data)
        if version:
            z.writestr(folder + "version", version)
        for name, content in (records or {}).items():
            z.writestr(folder + name, content)
    return file.getvalue()


def text(x):
    return b"X" + struct.pack("<I", len(x.encode())) + x.encode()


def call(name, *arguments):
    """A pickle that calls the function "module name"."""
    return b"\x80\x02c" + name.replace(" ", "\n").encode() + b"\n(" + b"".join(arguments) + b"tR."


def number(n):
    return b"\x8a\x09" + n.to_bytes(9, "little", signed=True)


def reference(kind="torch\nFloatStorage", key="0", where="cpu", count=4):
    return b"(" + text("storage") + b"c" + kind.encode() + b"\n" + text(key) + text(where) + number(count) + b"tQ"


def a_tensor(storage=None, offset=0, size=(2, 2), stride=(2, 1), records=None, more=b"\x89N", name="torch._utils _rebuild_tensor_v2"):
    def sizes(s):
        return b"(" + b"".join(map(number, s)) + b"t"
    data = call(name, storage or reference(), number(offset), sizes(size), sizes(stride), more)
    return archive(data, {"data/0": struct.pack("<4f", 1, 2, 3, 4)} if records is None else records)


def edited(change):
    """A good file, changed: by a function of its bytes."""
    file = io.BytesIO()
    minitorch.save({"w": minitorch.arange(6.0), "name": "x"}, file)
    return bytes(change(bytearray(file.getvalue())))


def overlapping():
    """An archive whose two storages are one and the same record, by the index."""
    data = bytearray(archive(records={"data/0": b"1234", "data/1": b"5678"}))
    index = [i for i in range(len(data)) if data[i:i + 4] == b"PK\x01\x02"]
    data[index[-1] + 42:index[-1] + 46] = data[index[-2] + 42:index[-2] + 46]
    return bytes(data)


def twice():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as z, pytest.warns(UserWarning, match="Duplicate name"):
        z.writestr("x/data.pkl", b"\x80\x02N.")
        z.writestr("x/data.pkl", b"\x80\x02N.")
    return file.getvalue()


def old_file(data, version=1001, little=True, cut=None, keys=None, more=b""):
    """What PyTorch 1.5 wrote for `data`."""
    class Old(pickler.Pickler):
        def persistent_id(self, x):
            return (*x.place, None) if type(x) is pickler.Stored else None
    file, old = io.BytesIO(), Old()
    for head in (0x1950a86a20f9469cfc6c, version, {"protocol_version": version, "little_endian": little, "type_sizes": {}}):
        pickle.dump(head, file, 2)
    file.write(old.pickled(data))
    pickle.dump([memory.key for memory in old.memories] if keys is None else keys, file, 2)
    for memory in old.memories:
        file.write(struct.pack("<q", memory.content().size // minitorch.dtypes.lookup(memory.dtype).itemsize) + memory.content().tobytes())
    return file.getvalue()[:cut] + more
