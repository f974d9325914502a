"""save and load: nested Python data with tensors, in files.

The name of the file decides its format: `.safetensors` and `.npz` are those, all else is PyTorch's own format, which
`torch.load` reads too.  load goes by the content.  A path is written in one step (temporary file, fsync, os.replace), every
file of ours carries checksums of all it holds, and loading executes nothing unless `weights_only=False` asks for it.
"""
import os

from .files import CallersMistake, Foreign, blamed, reading, replacing
from .trust import add_safe_globals, clear_safe_globals, get_safe_globals, safe_globals

__all__ = ["add_safe_globals", "clear_safe_globals", "get_safe_globals", "get_unsafe_globals_in_checkpoint", "load", "safe_globals", "save"]

DEFAULT_PROTOCOL = 2
LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."               # the first pickle of PyTorch's format before 1.6: a number
FOREIGN = {b"\x89HDF": "an HDF5 file", b"\x93NUM": "a single NumPy array, which numpy.load reads,"}


def save(obj, f, pickle_module=None, pickle_protocol=DEFAULT_PROTOCOL, _use_new_zipfile_serialization=True):
    """Write `obj` to `f`, a path or a binary file object.

    obj: tensors, Parameters, numbers, strings, bytes, None, dtypes, devices, and lists, tuples, sets, dicts, OrderedDicts of
        them: what load reads again; other objects (whole modules) are pickled, and come back by load(weights_only=False) alone.
    f: a path ending in .safetensors (needs that package) or .npz (a dict of tensors), or any other in PyTorch's format.

    Tensors that share a storage share it in the file.  A path is replaced in one step: whatever happens, it holds the old
    content or the new.  TypeError or PicklingError for what a file cannot hold; pickle_module and pickle_protocol are
    accepted and not used.
    """
    if hasattr(f, "write"):
        writer("")(obj, f)
    elif isinstance(f, (str, os.PathLike)):
        write = writer(os.fspath(f))
        with replacing(os.fspath(f)) as path, open(path, "wb") as file:
            write(obj, file)
    else:
        raise TypeError(f"save(): f must be a path or a file open for writing, not {type(f).__name__}")


def writer(path):
    """The function (obj, file) that writes the format of that name."""
    if str(path).endswith(".safetensors"):
        from .structured import write
    elif str(path).endswith(".npz"):
        from .numpy_files import write
    else:
        from .checkpoint import write
    return write


def load(f, map_location=None, pickle_module=None, *, weights_only=None, mmap=None, **pickle_load_args):
    """What `f`, a path or a binary file object, holds: a file of save, or PyTorch's, here or there; a safetensors or .npz file.

    map_location: where tensors go: a device, a dict from device to device, or a function of (CPU tensor, device name)
        that returns a tensor or None; None: where they were saved from.
    weights_only: False lets the file call any function that it names, which can be anything: only for files that you
        trust.  True, the default: nothing is executed, and a file that names other classes is refused (see safe_globals).
    mmap: True reads tensors of a path in PyTorch's format when they are first used, unchecked; writes to them stay in memory.
    Of another program's safetensors file and of .npz: the dict of its tensors.

    RuntimeError naming the file if it is damaged, hostile or of another kind (an UnpicklingError too, an EOFError if empty).
    """
    weights_only = pickle_module is None if weights_only is None else weights_only
    if weights_only and pickle_module is not None:
        raise RuntimeError("Can not safely load weights when explicit pickle_module is specified")
    with reading(f) as (file, name), blamed(name):
        start = file.read(300)
        file.seek(0)
        if start[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
            return load_zip(f, file, map_location, pickle_module, weights_only, mmap, pickle_load_args)
        if start.startswith(LEGACY):
            if mmap:
                raise RuntimeError(f"load(): {name} is in the format before PyTorch 1.6, which cannot be mapped: leave out mmap=True")
            from .legacy import read
            return read(file, map_location, pickle_load_args.get("encoding", "utf-8"))
        refuse_foreign(start)
        from .structured import read
        return read(file.read(), map_location)


def load_zip(f, file, map_location, pickle_module, weights_only, mmap, pickle_load_args):
    """What a zip archive holds: a checkpoint in PyTorch's format, or NumPy's arrays."""
    from .archive import Reader
    archive = Reader(file)
    if all(name.endswith(".npy") for name in archive.names):
        from .numpy_files import read
        return read(archive, map_location)
    if mmap and not isinstance(f, (str, os.PathLike)):
        raise CallersMistake(ValueError("f must be a file path in order to use the mmap argument"))
    if mmap:
        archive.map(file)
    from .checkpoint import read
    return read(archive, map_location, pickle_module, weights_only, pickle_load_args)


def refuse_foreign(start):
    """Say it where a file is of a kind that load() knows but does not read."""
    kind = FOREIGN.get(start[:4])
    if start[257:262] == b"ustar":
        kind = "a tar archive, PyTorch's format before 0.1.10,"
    if start[:1] == b"\x80" and start[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05") and start[2:8] != bytes(6):
        kind = "a pickle, but none of save(), which pickle.load reads, and can execute anything: a file"
    if kind:
        raise Foreign(f"it is {kind} which load() does not read: it reads files of save() (and of torch.save), safetensors and .npz files.")


def get_unsafe_globals_in_checkpoint(f):
    """The names of classes and functions in a file for which load(weights_only=True) refuses it, sorted."""
    with reading(f) as (file, name), blamed(name):
        from .archive import Reader
        from .unpickler import refused_names
        return refused_names(Reader(file).read("data.pkl").tobytes())
