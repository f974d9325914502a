"""Files in PyTorch's format: a zip archive with a pickle, the bytes of each storage, and two lines about them.

    archive/data.pkl      the data, with tensors as sizes and strides in storages
    archive/data/0 ...    the bytes of the storages
    archive/byteorder     "little" or "big"
    archive/version       "3"
"""
import io
import pickle
import sys

import numpy as np

from . import names, tensors
from .archive import Reader, Writer
from .files import CallersMistake, Damaged
from .names import StorageType
from .tensors import Storage, dtype_named
from .unpickler import Unpickler

VERSION, NEWEST = b"3\n", 10                         # that of our files; the latest that PyTorch 2 understands


def write(obj, file):
    """Write `obj` to a binary file object."""
    from .pickler import Pickler
    pickler = Pickler()
    data = pickler.pickled(obj)
    with Writer(file, "archive/") as archive:
        archive.add("data.pkl", data)
        archive.add("byteorder", sys.byteorder.encode())
        for memory in pickler.memories:
            archive.add(f"data/{memory.key}", memory.content())
        archive.add("version", VERSION)


def read(archive: Reader, map_location, pickle_module, weights_only, options):
    """The data in an archive."""
    if archive.find("constants.pkl"):
        raise Damaged("it is a TorchScript archive, a program: of its module save the state_dict() there")
    if not archive.find("data.pkl"):
        raise Damaged("it is a zip archive, but none of save(): it has no record data.pkl")
    version = archive.read("version").tobytes().strip() if archive.find("version") else b"3"
    if not version.isdigit() or int(version[:9]) > NEWEST:
        raise Damaged(f"it is of version {version.decode('latin1')}, later than the {NEWEST} known here")
    order = archive.read("byteorder").tobytes() if archive.find("byteorder") else b"little"
    if order not in (b"little", b"big"):
        raise Damaged(f"its order of bytes is {order.decode('latin1')!r}")
    storages = Storages(lambda key: archive.read(f"data/{key}", lazily=True), order.decode() != sys.byteorder, map_location)
    return unpickled(archive.read("data.pkl").tobytes(), storages.find, pickle_module, weights_only, options)


class Storages:
    """The storages of one file, each read when first asked for; `fetch` gives the bytes of a key."""

    def __init__(self, fetch, swapped, map_location):
        self.fetch, self.swapped, self.map_location, self.made = fetch, swapped, map_location, {}

    def find(self, place):
        """The storage of which a pickle says ("storage", type, key, device, number of elements)."""
        dtype, key, where, count = checked(place[:5])
        if key not in self.made:
            data = self.fetch(key)
            if data.size != count * dtype.itemsize:
                raise Damaged(f"storage '{key}' has {data.size} bytes, not {count} elements of {dtype.itemsize}")
            if self.swapped and dtype.itemsize > 1:
                data = np.ascontiguousarray(data.reshape(-1, dtype.itemsize)[:, ::-1]).reshape(-1)
            self.made[key] = tensors.storage(data, dtype, where, self.map_location)
        found = self.made[key]
        return Storage(found.bytes, found.counter, dtype)


def checked(place):
    """(dtype, key, device, count) of a reference to a storage."""
    if len(place) != 5 or as_text(place[0]) != "storage":
        raise Damaged("its pickle refers to something that is no storage")
    _, kind, key, where, count = place
    key, where = as_text(key), as_text(where)
    if type(kind) is not StorageType or type(key) is not str or type(where) is not str or type(count) is not int or count < 0:
        raise Damaged(f"its pickle refers to a storage as {place[1:]}")
    return dtype_named(kind.dtype), key, where, count


def as_text(x):
    return x.decode("ascii") if type(x) is bytes else x


def unpickled(data, persistent, pickle_module, weights_only, options):
    """What the pickle in `data` describes."""
    if weights_only:
        return Unpickler(data, persistent, encoding=options.get("encoding", "utf-8")).load()

    class Executing((pickle_module or pickle).Unpickler):
        def find_class(self, module, name):
            known = names.meaning(f"{module}.{name}") if module.partition(".")[0] == "torch" else None
            if known is None and module.partition(".")[0] == "torch":
                raise Damaged(f"it holds a {module}.{name}, an object of PyTorch's own: of a module or an optimizer save the state_dict() there")
            return known if known is not None else super().find_class(module, name)

        def persistent_load(self, place):
            return persistent(place)
    try:
        return Executing(io.BytesIO(data), **options).load()
    except (Damaged, CallersMistake, pickle.UnpicklingError, EOFError):
        raise
    except Exception as error:                       # of the code that the file calls, or a class that is not there
        raise CallersMistake(error) from None


