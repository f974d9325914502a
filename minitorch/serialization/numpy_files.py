"""NumPy's .npz files: a dict of arrays by name, and nothing else."""
import io

import numpy as np

from .. import backend, dtypes
from ..tensor import Tensor
from .archive import Writer
from .files import Damaged
from .tensors import only_true_and_false, placed


def write(obj, file):
    """Write a dict {name: tensor, array or number} to a binary file object."""
    if not isinstance(obj, dict):
        raise TypeError(f"save(): an .npz file holds a dict of tensors, not a {type(obj).__name__}; .pt files hold any nested data")
    arrays = {}
    for name, x in obj.items():
        if type(name) is not str or not name or name.startswith("/") or ".." in name.split("/"):
            raise TypeError(f"save(): the names in an .npz file are strings, not {name!r}")
        array = backend.to_numpy(x.array if isinstance(x, Tensor) else x) if not isinstance(x, (str, bytes, dict, list, tuple)) else None
        if array is None or array.dtype.name == "bfloat16" or array.dtype.kind not in "biufc":
            what = "a tensor of bfloat16" if array is not None and array.dtype.name == "bfloat16" else f"a {type(x).__name__}"
            raise TypeError(f"save(): obj[{name!r}] is {what}. An .npz file holds tensors, arrays and numbers of NumPy's own types; "
                            ".pt and .safetensors files hold more")
        arrays[name] = array
    with Writer(file) as archive:
        for name, array in arrays.items():
            content = io.BytesIO()
            np.lib.format.write_array(content, np.asanyarray(array), allow_pickle=False)
            archive.add(f"{name}.npy", content.getbuffer())


def read(archive, map_location):
    """{name: tensor} of an archive of arrays."""
    found = {}
    for record in archive.names:
        name = record.removesuffix(".npy")
        with archive.zip.open(record) as file:
            array = np.lib.format.read_array(file, allow_pickle=False)   # type: ignore[arg-type]
            if file.read(1):
                raise Damaged(f"array '{name}' is followed by something")
        array = array.astype(array.dtype.newbyteorder("="), copy=False)
        if array.dtype.kind not in "biufc" or array.dtype.name not in dtypes.BY_NAME:
            raise Damaged(f"array '{name}' has the type {array.dtype}; the supported types are {', '.join(dtypes.BY_NAME)}")
        if array.dtype.kind == "b":
            only_true_and_false(array.reshape(-1, order="A").view(np.uint8))
        found[name] = placed(array, "cpu", map_location)
    return found
