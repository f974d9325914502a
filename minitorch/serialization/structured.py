"""safetensors files that hold nested data.

The numbers are the file's tensors, named by their place ("model.conv.weight"), so other tools read them too.  The
structure around them (dicts, lists, strings, numbers) is JSON in the file's metadata, with a checksum of everything.
"""
import collections
import json
import math
import zlib

import numpy as np

from .. import backend, dtypes
from ..tensor import Size, Tensor
from .files import Damaged
from .tensors import only_true_and_false, placed

NAMES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "I64": "int64", "I32": "int32", "I16": "int16",
         "I8": "int8", "U8": "uint8", "BOOL": "bool"}                # safetensors' names of the dtypes
FORMAT = {"format": "pt"}                  # PyTorch's memory layout: what other readers of the file ask for


def library():
    """The package safetensors."""
    try:
        import safetensors.numpy
    except ImportError as error:
        raise ImportError("files in the format safetensors need the package of that name: pip install 'minitorch[safetensors]'") from error
    return safetensors


# ---- data to structure and arrays ---------------------------------------------------------------------------

class Packer:
    """Turns data into JSON's types, and gathers the arrays by name; tensors of one storage become one array."""

    def __init__(self):
        self.arrays, self.names, self.open = {}, {}, set()

    def pack(self, x, path):
        """`x`, found at `path` of the data, in JSON's types: lists and plain values as they are, all else {"kind": content}."""
        kind = type(x)
        if x is None or kind in (bool, int, str):
            return x
        if kind is float:
            return x if math.isfinite(x) else {"float": str(x)}
        if kind is bytes:
            return {"bytes": x.decode("latin1")}
        if isinstance(x, Tensor):
            return self.pack_tensor(x, path)
        if kind is np.ndarray or isinstance(x, np.generic):
            return {"ndarray" if kind is np.ndarray else "scalar": self.store(np.asarray(x), path)}
        if kind is dtypes.dtype:
            return {"dtype": x.name}
        if kind is backend.device:
            return {"device": str(x)}
        if kind is Size:
            return {"Size": list(x)}
        if kind not in (list, tuple, set, dict, collections.OrderedDict):
            raise TypeError(f"save(): {shown(path)} is a {kind.__name__}. A safetensors file can hold tensors, NumPy arrays, numbers, strings, "
                            "bytes, None, and lists, tuples, sets, dicts and OrderedDicts of them; of a Module or Optimizer save the state_dict()")
        if id(x) in self.open:
            raise ValueError(f"save(): {shown(path)} contains itself")
        self.open.add(id(x))
        if kind is list or kind is tuple or kind is set:
            items = [self.pack(v, (*path, i)) for i, v in enumerate(x)]
        else:
            items = [[self.pack(k, (*path, "key")), self.pack(v, (*path, k))] for k, v in x.items()]
        self.open.discard(id(x))
        return items if kind is list else {kind.__name__: items}

    def pack_tensor(self, t, path):
        content = {"name": self.store(t.array, path)}
        if t.requires_grad:
            content["requires_grad"] = True
        if t.device.type != "cpu":
            content["device"] = str(t.device)
        return {"Parameter" if type(t).__name__ == "Parameter" else "Tensor": content}

    def store(self, array, path):
        """The name under which `array` is in the file."""
        dtypes.of(array.dtype)
        place = array.__array_interface__["data"][0] if isinstance(array, np.ndarray) else array.data.ptr
        key = (place, array.shape, array.strides, array.dtype.name) if array.size else object()
        if key not in self.names:
            name = plain = ".".join(map(str, path)) or "data"
            count = 1
            while name in self.arrays or name == "__metadata__":
                count += 1
                name = f"{plain}#{count}"
            self.names[key] = name
            self.arrays[name] = np.ascontiguousarray(backend.to_numpy(array)).reshape(array.shape)
        return self.names[key]


def shown(path):
    return "obj" + "".join(f"[{k!r}]" for k in path)


def checksum(structure, arrays):
    """CRC-32 of the structure and of every array's name, type, shape and bytes."""
    crc = zlib.crc32(structure.encode())
    for name in sorted(arrays):
        a = arrays[name]
        crc = zlib.crc32(f"{name} {a.dtype.name} {a.shape}".encode(), crc)
        if a.size:
            crc = zlib.crc32(a.reshape(-1).view(np.uint8), crc)
    return f"{crc:08x}"


def write(obj, file):
    """Write `obj` to a binary file object."""
    safetensors = library()
    packer = Packer()
    structure = json.dumps(packer.pack(obj, ()), allow_nan=False)
    metadata = {**FORMAT, "minitorch": structure, "crc32": checksum(structure, packer.arrays)}
    file.write(safetensors.numpy.save(packer.arrays, metadata))


# ---- structure and arrays to data ---------------------------------------------------------------------------

def read(data, map_location):
    """What the bytes of a safetensors file hold; of another program's file the dict of its tensors."""
    safetensors = library()
    try:
        return unpacked(safetensors, data, map_location)
    except safetensors.SafetensorError as error:
        raise ValueError(f"no safetensors file: {error}") from None


def unpacked(safetensors, data, map_location):
    """The data in the bytes of a safetensors file."""
    length = int.from_bytes(data[:8], "little")
    arrays = {}
    for name, entry in safetensors.deserialize(bytes(data)):
        if entry["dtype"] not in NAMES:
            raise Damaged(f"tensor '{name}' has the type {entry['dtype']}; the supported ones are {', '.join(NAMES.values())}")
        array = np.frombuffer(bytearray(entry["data"]), dtypes.lookup(NAMES[entry["dtype"]]).numpy)
        if array.dtype.kind == "b":
            only_true_and_false(array.view(np.uint8))
        arrays[name] = array.reshape(entry["shape"])
    metadata = json.loads(data[8:8 + length]).get("__metadata__", {})
    if not {"minitorch", "crc32"} & metadata.keys():             # another program's
        return {name: placed(array, "cpu", map_location) for name, array in arrays.items()}
    structure = metadata.get("minitorch", "")
    if metadata != {**FORMAT, "minitorch": structure, "crc32": checksum(structure, arrays)}:
        raise Damaged("the file is damaged: its content does not match its checksum")
    return Unpacker(arrays, map_location).unpack(json.loads(structure))


class Unpacker:
    """Rebuilds data from its structure: the inverse of Packer, which calls nothing that the file names."""

    def __init__(self, arrays, map_location):
        self.arrays, self.map_location, self.made = arrays, map_location, {}

    def unpack(self, x):
        if isinstance(x, list):
            return [self.unpack(v) for v in x]
        if not isinstance(x, dict):
            return x
        (kind, content), = x.items()
        if kind in ("Tensor", "Parameter"):
            return self.tensor(content, kind == "Parameter")
        if kind in ("ndarray", "scalar"):
            return self.arrays[content] if kind == "ndarray" else self.arrays[content][()]
        if kind in ("dict", "OrderedDict"):
            items = [(self.unpack(k), self.unpack(v)) for k, v in content]
            return dict(items) if kind == "dict" else collections.OrderedDict(items)
        if kind == "tuple":
            return tuple([self.unpack(v) for v in content])
        if kind == "set":
            return {self.unpack(v) for v in content}
        if kind == "bytes":
            return content.encode("latin1")
        if kind == "float":
            return {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}[content]
        if kind == "dtype":
            return dtypes.lookup(content)
        if kind == "device":
            try:
                return backend.device(content)
            except RuntimeError as error:
                raise Damaged(f"the file is damaged: {error}") from None
        if kind == "Size":
            return Size([int(n) for n in content])
        raise Damaged(f"the file is damaged or of a later version: it holds a '{kind}'")

    def tensor(self, content, is_parameter):
        name, where = content["name"], content.get("device", "cpu")
        if (name, where) not in self.made:
            self.made[name, where] = placed(self.arrays[name], where, self.map_location)
        t = self.made[name, where].detach()          # every tensor of one storage counts its writes together
        requires_grad = bool(content.get("requires_grad"))
        if is_parameter:
            from ..nn.parameter import Parameter
            return Parameter(t, requires_grad)
        return t.requires_grad_() if requires_grad else t
