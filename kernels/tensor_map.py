"""Tensor maps: what the TMA unit of Hopper and later must know of an array to copy boxes of it, by coordinates.

    kernel(grid, block, (TensorMap(a, box=(128, 64)), ...))      # for a parameter `const __grid_constant__ CUtensorMap a`

The driver encodes a map on a GPU, the simulator makes its own; both are 128 bytes, passed by value.
"""
import ctypes
import functools

import numpy as np

SWIZZLES = {0: 0, 32: 1, 64: 2, 128: 3}              # bytes -> CUtensorMapSwizzle
TYPES = {"uint8": 0, "uint16": 1, "uint32": 2, "int32": 3, "uint64": 4, "int64": 5, "float16": 6, "float32": 7, "float64": 8, "bfloat16": 9}


class TensorMap:
    """A map of `array`, of one to five axes, the last contiguous.

    box: the sizes of what one copy moves, in the order of the array's axes; out of range it reads zeros and writes nothing.
    swizzle: 128, 64, 32 or 0, the bytes within which the 16-byte pieces of a row change places in shared memory.
    Raises ValueError or TypeError for what TMA does not take.
    """

    def __init__(self, array, box, swizzle=128):
        self.array, self.box, self.swizzle = array, tuple(int(n) for n in box), swizzle
        item, rank, name = array.dtype.itemsize, array.ndim, f"a tensor map of {tuple(array.shape)} in {array.dtype.name}"
        if array.dtype.name not in TYPES:
            raise TypeError(f"{name}: TMA copies {', '.join(TYPES)}")
        if not 1 <= rank <= 5:
            raise ValueError(f"{name}: it needs one to five axes")
        if len(self.box) != rank or not all(1 <= n <= 256 for n in self.box):
            raise ValueError(f"{name}: box must have {rank} sizes from 1 to 256, not {box}")
        if swizzle not in SWIZZLES:
            raise ValueError(f"{name}: swizzle must be 0, 32, 64 or 128 bytes, not {swizzle!r}")
        inner = self.box[-1] * item
        if inner % 16 or swizzle and inner > swizzle:
            raise ValueError(f"{name}: the last size of box {self.box} is {inner} bytes, it must be a multiple of 16"
                             + (f" and at most the swizzle's {swizzle}" if swizzle else ""))
        if not array.size:
            raise ValueError(f"{name}: there is nothing to copy")
        if rank > 1 and (array.strides[-1] != item and array.shape[-1] > 1 or any(s % 16 or s <= 0 for s in array.strides[:-1])):
            raise ValueError(f"{name}: strides {tuple(array.strides)} must be multiples of 16 bytes, and the last {item}")
        if address(array) % 16:
            raise ValueError(f"{name}: it must start at a multiple of 16 bytes")

    def encoded(self):
        """The map as the driver makes it, one item of 128 bytes in a NumPy array; kept for arrays at the same place."""
        return encode(address(self.array), self.array.dtype.name, tuple(self.array.shape), tuple(self.array.strides), self.box, self.swizzle)


def address(array):
    if isinstance(array, np.ndarray):                # of whole arrays the simulator's copies start at multiples of 256
        from .signature import address as offset
        return offset(array)
    return array.data.ptr


@functools.lru_cache(maxsize=4096)
def encode(pointer, dtype, shape, strides, box, swizzle):
    """cuTensorMapEncodeTiled; RuntimeError where the driver refuses."""
    room = np.zeros(128 + 64, np.uint8)
    start = -room.ctypes.data % 64                   # the driver wants its result at a multiple of 64
    made = room[start:start + 128].view("V128")
    rank, u64, u32 = len(shape), ctypes.c_uint64, ctypes.c_uint32
    status = driver().cuTensorMapEncodeTiled(
        ctypes.c_void_p(made.ctypes.data), ctypes.c_int(TYPES[dtype]), u32(rank), ctypes.c_void_p(pointer),
        (u64 * rank)(*shape[::-1]), (u64 * max(rank - 1, 1))(*strides[:-1][::-1]), (u32 * rank)(*box[::-1]), (u32 * rank)(*[1] * rank),
        ctypes.c_int(0),                             # not interleaved
        ctypes.c_int(SWIZZLES[swizzle]),
        ctypes.c_int(2),                             # lines of L2 are fetched in 128 bytes
        ctypes.c_int(0))                             # zeros out of range
    if status:
        raise RuntimeError(f"cuTensorMapEncodeTiled: error {status} for {dtype} {shape}, strides {strides}, box {box}, swizzle {swizzle}")
    return made


@functools.cache
def driver():
    """The CUDA driver's library."""
    try:
        return ctypes.CDLL("libcuda.so.1")
    except OSError as error:
        raise RuntimeError(f"tensor maps on a GPU are made by the CUDA driver, which is not here: {error}") from None
