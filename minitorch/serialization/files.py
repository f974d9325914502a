"""Files: opened by path or taken as they are, replaced in one step, and named in every complaint about them."""
import contextlib
import errno
import io
import os
import pickle
import stat
import struct
import zlib


class Damaged(pickle.UnpicklingError, RuntimeError):
    """A file that load() cannot trust, or cannot understand."""


class Foreign(Damaged, NotImplementedError):
    """A file of a kind that load() knows but does not read."""


class Empty(EOFError, RuntimeError):
    """A file without a single byte."""


def symptoms():
    """What reading a file that is not as it should be can end in."""
    import zipfile                                   # not read where no file is
    return (zipfile.BadZipFile, zlib.error, struct.error, pickle.PickleError, EOFError, ValueError, TypeError, LookupError, AttributeError,
            OverflowError, RecursionError, MemoryError, AssertionError, NotImplementedError)


@contextlib.contextmanager
def blamed(name):
    """Errors of reading, told as the fault of the file `name`."""
    try:
        yield
    except Damaged as error:
        raise type(error)(f"load(): {name}: {error}") from error.__cause__
    except CallersMistake as error:
        raise error.args[0] from None
    except symptoms() as error:
        raise Damaged(f"load(): {name} is damaged, or no file of save(): {type(error).__name__}: {error}") from error


class CallersMistake(Exception):
    """Wraps an error that is not the file's fault."""


@contextlib.contextmanager
def reading(f):
    """(a seekable binary file at its start, its name) of a path or of a file object, which is read from where it stands."""
    if hasattr(f, "read"):
        name, file = str(getattr(f, "name", "file object")), f
        try:
            stands_at_start = f.tell() == 0 and f.seekable()
        except (AttributeError, OSError):
            stands_at_start = False
        if not stands_at_start or not isinstance(f.read(0), bytes):
            data = f.read()
            if not isinstance(data, (bytes, bytearray)):
                raise TypeError(f"load(): the file {name} must be open in binary mode")
            file = io.BytesIO(data)
        refuse_empty(file, name)
        yield file, name
    elif isinstance(f, (str, os.PathLike)):
        with open(f, "rb") as file:
            refuse_empty(file, os.fspath(f))
            yield file, os.fspath(f)
    else:
        raise TypeError(f"load(): f must be a path or a file open for reading, not {type(f).__name__}")


def refuse_empty(file, name):
    if not file.seek(0, os.SEEK_END):
        raise Empty(f"load(): {name} is empty")
    file.seek(0)


@contextlib.contextmanager
def replacing(path):
    """A temporary path beside `path`, which takes its place if the block succeeds and is removed if it fails."""
    import tempfile                                  # takes longer to import than most of minitorch
    path = os.path.realpath(path)
    folder, name = os.path.split(path)
    if not os.path.isdir(folder):
        raise FileNotFoundError(errno.ENOENT, "save(): there is no such folder", folder)
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
