"""PyTorch's format before version 1.6, read only: pickles one after the other, then the bytes of the storages.

    a number that marks the format, its version, facts about the machine, the data, the keys of the storages;
    then for each key the number of elements (8 bytes) and the elements

The storages come last, so the data is read twice: first for the keys, sizes and types, then with the bytes there.
"""
import numpy as np

from . import tensors
from .checkpoint import checked
from .files import Damaged
from .tensors import Storage
from .unpickler import Unpickler

PROTOCOL_VERSION = 1001


def read(file, map_location, encoding="utf-8"):
    """The data in a file of the old format; whole modules in it are refused, as their classes are PyTorch's."""
    data = file.read()
    position = 0
    head = []
    for _ in range(3):
        plain = Unpickler(data, refuse_storages, position)
        head.append(plain.load())
        position = plain.position
    _, version, facts = head
    if version != PROTOCOL_VERSION or not isinstance(facts, dict):
        raise Damaged(f"it is of version {version!r} of the format before PyTorch 1.6")
    if facts.get("little_endian") is not True:
        raise Damaged("it was written on a big-endian machine")
    roots = {}
    end = data_end(data, position, roots, encoding)
    keys = Unpickler(data, refuse_storages, end)
    order = keys.load()
    raw, at = {}, keys.position
    if not isinstance(order, list) or len(set(order)) != len(order) or not set(order) >= roots.keys():
        raise Damaged("its list of storages does not fit its data")
    for key in order:
        if key not in roots:
            raise Damaged(f"storage '{key}' is not in its data")
        dtype, count = roots[key]
        size = count * dtype.itemsize
        if data[at:at + 8] != count.to_bytes(8, "little") or at + 8 + size > len(data):
            raise Damaged(f"storage '{key}' is not of {count} elements, or cut off")
        raw[key] = np.frombuffer(bytearray(data[at + 8:at + 8 + size]), np.uint8)
        at += 8 + size
    if at != len(data):
        raise Damaged("something stands behind its last storage")
    made = {}

    def persistent(place):
        dtype, key, where, _ = checked(place[:5])
        if key not in made:
            made[key] = tensors.storage(raw[key], dtype, where, map_location)
        return part(made[key], dtype, place)
    return Unpickler(data, persistent, position, encoding).load()


def part(whole, dtype, place):
    """The storage that a reference means: the whole one, or a part by offset and size."""
    view = place[5] if len(place) > 5 else None
    if view is None:
        return Storage(whole.bytes, whole.counter, dtype)
    _, offset, size = view
    if type(offset) is not int or type(size) is not int or offset < 0 or size < 0 or (offset + size) * dtype.itemsize > whole.bytes.size:
        raise Damaged("a view of a storage goes beyond it")
    return Storage(whole.bytes[offset * dtype.itemsize:(offset + size) * dtype.itemsize], whole.counter, dtype)


def data_end(data, position, roots, encoding):
    """Where the pickle of the data ends; its storages are entered in `roots` as {key: (dtype, count)}."""
    blank = {}

    def note(place):
        dtype, key, _, count = checked(place[:5])
        if count * dtype.itemsize > len(data):
            raise Damaged(f"storage '{key}' of {count} elements does not fit into the file")
        if roots.setdefault(key, (dtype, count)) != (dtype, count):
            raise Damaged(f"storage '{key}' has two sizes or types")
        if key not in blank:
            blank[key] = Storage(np.zeros(count * dtype.itemsize, np.uint8), [0], dtype)
        return part(blank[key], dtype, place)
    reader = Unpickler(data, note, position, encoding)
    reader.load()
    return reader.position


def refuse_storages(place):
    raise Damaged("its head refers to storages")
