"""Memory handed to a kernel: each array in a room of its own between guard bands, so that what it does around and to it is seen.

    room = Room(x, strided=False, fill="nan")        # room.view: an array like x, with the same numbers
    ...
    room.touched()                                   # "outside", "inside" or None: where bytes changed since then
    room.unwritten()                                 # of an output: how many entries still hold the poison

Guards hold NaN or random numbers: a result that depends on which was read out of bounds.  Outputs are filled with a NaN that no
arithmetic makes.  Nothing is shared between calls: every call has rooms of its own, at another address.
"""
import mmap

import numpy as np

GUARD = 1024                                         # bytes on each side, more than a vector or a warp reads at once
POISON = {2: b"\xad\x7f", 4: b"\xad\xde\xd7\x7f", 8: b"\xad\xde\xad\xde\xad\xde\xfd\x7f"}      # NaN as float16 (and bfloat16), float32, float64


class Room:
    """x, copied to guarded memory; `poisoned`: not its numbers but poison, as room for an output of its shape and dtype.

    strided: an array of the same numbers with gaps between its rows and its last two axes swapped in memory.
    fill: "nan" or "noise", what stands outside.  shift: bytes after a page's start, a multiple of 256.
    """

    def __init__(self, x, strided=False, fill="nan", shift=0, poisoned=False, seed=0):
        self.pristine, item = x, x.dtype.itemsize
        shape, order = layout(x.shape, strided)
        inner = int(np.prod(shape)) * item
        pages = np.frombuffer(mmap.mmap(-1, shift + 2 * GUARD + inner), np.uint8)      # starts at a page
        self.raw = pages[shift:]
        self.raw[:] = filled(self.raw.nbytes, x.dtype, fill, seed)
        body = self.raw[GUARD:GUARD + inner].view(x.dtype).reshape(shape)
        self.view = (body.transpose(order)[tuple(slice(0, None, 2) if strided and n > 1 and i == x.ndim - 1 else slice(0, n)
                                                 for i, n in enumerate(x.shape))] if x.ndim else body.reshape(()))
        if poisoned:
            self.view[...] = np.frombuffer(poison(item), x.dtype)[0]
        else:
            self.view[...] = x
        self.poisoned, self.image = poisoned, self.raw.copy()

    def touched(self):
        """Where bytes changed: "outside" of the array, "inside" (never of an output), or None."""
        changed = self.raw != self.image
        if not changed.any():
            return None
        mask = np.zeros(self.raw.nbytes, np.uint8)       # the same view over bytes that say which are the array's
        inside = np.ndarray(self.view.shape, self.view.dtype, mask, self.offset(), self.view.strides)
        inside[...] = np.frombuffer(b"\xff" * self.view.itemsize, self.view.dtype)[0] if self.view.dtype.kind != "b" else True
        if (changed & (mask == 0)).any():
            return "outside"
        return None if self.poisoned else "inside"

    def offset(self):
        return self.view.__array_interface__["data"][0] - self.raw.__array_interface__["data"][0]

    def unwritten(self):
        """How many entries of an output are still poison."""
        return int(poisoned(np.ascontiguousarray(self.view)).sum())

    def holds(self, address):
        """Whether an address lies in this room."""
        start = self.raw.__array_interface__["data"][0]
        return start <= address < start + self.raw.nbytes


def layout(shape, strided):
    """(shape in memory, order of axes that gives the array's): with `strided` the last axis has gaps and is not the innermost one."""
    if not strided or not shape:
        return shape, tuple(range(len(shape)))
    wide = [*shape[:-1], 2 * shape[-1] if shape[-1] > 1 else 1]
    order = list(range(len(shape)))
    if len(shape) > 1:
        wide[-1], wide[-2] = wide[-2], wide[-1]
        order[-1], order[-2] = order[-2], order[-1]
    return tuple(wide), tuple(order)


def poison(itemsize):
    return POISON.get(itemsize, b"\xad" * itemsize)


def poisoned(a):
    """Which entries of a contiguous array hold the poison, as a flat array of booleans."""
    item = a.dtype.itemsize
    rows = a.reshape(-1).view(np.uint8).reshape(-1, item)
    return (rows == np.frombuffer(poison(item), np.uint8)).all(1)


def filled(nbytes, dtype, fill, seed):
    """Bytes to stand around an array of dtype: NaN, or finite numbers."""
    item = dtype.itemsize
    if fill == "nan":
        return np.resize(np.frombuffer(poison(item), np.uint8), nbytes)
    rng = np.random.default_rng(seed)
    if dtype.kind in "fV":                               # bfloat16 is of kind V
        numbers = rng.standard_normal(64).astype(dtype)
    else:
        numbers = rng.integers(0, 2 if dtype.kind == "b" else 100, 64).astype(dtype)
    return np.resize(numbers.view(np.uint8), nbytes)
