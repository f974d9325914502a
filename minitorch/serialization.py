"""save and load: nested Python data with tensors, as a safetensors file; and the pickling of tensors between processes.

The numbers are the file's tensors, named by their place ("model.conv.weight"), so other tools read them too.  The
structure around them (dicts, lists, strings, numbers) is JSON in the file's metadata, with a checksum of everything.
Nothing in a file is ever executed.  A path is written atomically: temporary file, fsync, os.replace.
"""
import collections
import contextlib
import json
import math
import os
import stat
import zlib

import numpy as np

from . import backend, dtypes
from .autograd.op import HOMES
from .tensor import Size, Tensor, wrap

NAMES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "I64": "int64", "I32": "int32", "I16": "int16",
         "I8": "int8", "U8": "uint8", "BOOL": "bool"}                # safetensors' names of the dtypes
FORMAT = {"format": "pt"}                  # PyTorch's memory layout: what other readers of the file ask for


def library():
    """The package safetensors."""
    try:
        import safetensors.numpy
    except ImportError as error:
        raise ImportError("save() and load() need the package safetensors: pip install 'minitorch[safetensors]'") from error
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
            raise TypeError(f"save(): {shown(path)} is a {kind.__name__}. A file can hold tensors, NumPy arrays, numbers, strings, None, "
                            "and lists, tuples, sets, dicts and OrderedDicts of them; of a Module or Optimizer save the state_dict()")
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


def save(obj, f, pickle_module=None, pickle_protocol=None, _use_new_zipfile_serialization=True):
    """Write `obj` to `f`, a path or a binary file object; PyTorch's other arguments are accepted and change nothing.

    obj: tensors, Parameters, NumPy arrays, numbers, strings, None, and lists, tuples, sets, dicts, OrderedDicts of them.
    Tensors that share one storage are stored once.  A path is replaced in one step: whatever happens, it holds the
    old content or the new.  TypeError for what a file cannot hold, ImportError without the package safetensors.
    """
    safetensors = library()
    packer = Packer()
    structure = json.dumps(packer.pack(obj, ()), allow_nan=False)
    metadata = {**FORMAT, "minitorch": structure, "crc32": checksum(structure, packer.arrays)}
    if hasattr(f, "write"):
        f.write(safetensors.numpy.save(packer.arrays, metadata))
    elif isinstance(f, (str, os.PathLike)):
        with replacing(os.fspath(f)) as path:
            safetensors.numpy.save_file(packer.arrays, path, metadata)
    else:
        raise TypeError(f"save(): f must be a path or a file open for writing, not {type(f).__name__}")


@contextlib.contextmanager
def replacing(path):
    """A temporary path beside `path`, which takes its place if the block succeeds and is removed if it fails."""
    import tempfile                                  # takes longer to import than most of minitorch
    path = os.path.realpath(path)
    folder, name = os.path.split(path)
    mode = stat.S_IMODE(os.stat(path).st_mode) if os.path.exists(path) else 0o666 & ~current_umask()
    handle, temporary = tempfile.mkstemp(".tmp", f".{name}.", folder)
    os.close(handle)
    try:
        yield temporary
        os.chmod(temporary, mode)
        sync(temporary)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    sync(folder)


def current_umask():
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def sync(path):
    """Wait until the disk holds the file or folder."""
    if os.name == "nt" and os.path.isdir(path):
        return
    handle = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


# ---- structure and arrays to data ---------------------------------------------------------------------------

class Damaged(RuntimeError):
    """A file that load() cannot trust."""


def load(f, map_location=None, pickle_module=None, *, weights_only=True, mmap=None):
    """What save() wrote to `f`, a path or a binary file object; of another program's safetensors file, its dict of tensors.

    map_location: where tensors go: a device, a dict from device to device, or a function of (CPU tensor, device name)
        that returns a tensor; None: where they were saved from.
    Nothing in a file is executed, whatever `weights_only` says.  RuntimeError naming the file if it is damaged or foreign.
    """
    safetensors = library()
    if hasattr(f, "read"):
        name, data = str(getattr(f, "name", "file object")), f.read()
        if not isinstance(data, (bytes, bytearray)):
            raise TypeError(f"load(): the file {name} must be open in binary mode")
    elif isinstance(f, (str, os.PathLike)):
        name = os.fspath(f)
        with open(f, "rb") as file:
            data = file.read()
    else:
        raise TypeError(f"load(): f must be a path or a file open for reading, not {type(f).__name__}")
    refuse_foreign(data, name)
    try:
        return unpacked(safetensors, data, map_location)
    except Damaged as error:
        raise RuntimeError(f"load(): {name}: {error}") from None
    except (safetensors.SafetensorError, ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError,
            RecursionError) as error:
        raise RuntimeError(f"load(): {name} is damaged or no safetensors file: {type(error).__name__}: {error}") from None


def refuse_foreign(data, name):
    """Say it where a file is of a kind that load() knows but does not read."""
    if not data:
        raise RuntimeError(f"load(): {name} is empty")
    kind = "a zip archive, as PyTorch's save() writes them," if data[:4] == b"PK\x03\x04" else \
        "a pickle" if data[:1] == b"\x80" and data[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05") and data[2:8] != bytes(6) else \
        "an HDF5 file" if data[:4] == b"\x89HDF" else "a NumPy file" if data[:6] == b"\x93NUMPY" else None
    if kind:
        raise NotImplementedError(f"load(): {name} is {kind} which load() does not read yet: it reads safetensors files. "
                                  "Loading a pickle can execute anything; convert it where you trust it, with safetensors.torch.save_file.")


def unpacked(safetensors, data, map_location):
    """The data in the bytes of a safetensors file."""
    length = int.from_bytes(data[:8], "little")
    arrays = {}
    for name, entry in safetensors.deserialize(bytes(data)):
        if entry["dtype"] not in NAMES:
            raise Damaged(f"tensor '{name}' has the type {entry['dtype']}; the supported ones are {', '.join(NAMES.values())}")
        array = np.frombuffer(bytearray(entry["data"]), dtypes.lookup(NAMES[entry["dtype"]]).numpy)
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
            from .nn.parameter import Parameter
            return Parameter(t, requires_grad)
        return t.requires_grad_() if requires_grad else t


def placed(array, where, map_location):
    """A tensor of a loaded host array, on the device that `map_location` says for one saved from device `where`."""
    if callable(map_location) and not isinstance(map_location, backend.device):
        answer = map_location(wrap(array), where)
        if answer is not None:
            return answer
    elif isinstance(map_location, dict):
        where = map_location.get(where, where)
    elif map_location is not None:
        where = map_location
    try:
        return wrap(backend.move(array, where))
    except RuntimeError as error:
        if map_location is not None:
            raise
        raise Damaged(f"it holds tensors saved from device '{where}', which this machine lacks; "
                      f"load(..., map_location='cpu') brings them to the CPU ({error})") from None


HOMES["torch"].update(save=save, load=load)


# ---- pickling and copying of tensors --------------------------------------------------------------------------

def rebuild_tensor(array, device, requires_grad):
    """What unpickling a Tensor calls."""
    t = wrap(backend.move(array, device))
    return t.requires_grad_() if requires_grad else t


def reduce_tensor(self, protocol):
    if self.grad_fn is not None:
        raise RuntimeError("Only Tensors created explicitly by the user (graph leaves) can be pickled: use tensor.detach()")
    return rebuild_tensor, (backend.to_numpy(self.array), str(self.device), self.requires_grad)


def deepcopy_tensor(self, memo):
    if self.grad_fn is not None:
        raise RuntimeError("Only Tensors created explicitly by the user (graph leaves) support the deepcopy protocol at the moment. "
                           "Use tensor.detach().clone().")
    if id(self) not in memo:
        memo[id(self)] = again = wrap(backend.xp(self.array).array(self.array))
        if self.requires_grad:
            again.requires_grad_()
        if self.grad is not None:
            again.grad = deepcopy_tensor(self.grad, memo)
    return memo[id(self)]


Tensor.__reduce_ex__, Tensor.__deepcopy__ = reduce_tensor, deepcopy_tensor
