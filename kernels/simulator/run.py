"""A launch in the simulator: arguments packed for the runtime, its reports turned into one SimulatorError.

The runtime copies the arrays into guarded memory, where whole arrays start at multiples of 256 bytes and views keep their
misalignment, and copies results back when there is nothing to report.  It has one machine: launches of several threads run one
after another.
"""
import ctypes
import functools
import os
import struct
import threading
import weakref

import numpy as np

from ..settings import current
from ..signature import address, start_of
from ..tensor_map import TensorMap
from . import build
from .report import raise_reports

CONSTANT, UNDEFINED, OUTPUT = 1, 2, 4                # flags of arrays, and kinds of parameters: as in runtime/launch.cpp
VALUE, ARRAY, TABLE, TENSOR_MAP = range(4)
ROLES = {"in": CONSTANT, "out": UNDEFINED | OUTPUT, "scratch": UNDEFINED, "inout": 0}
ORDERS = {"forward": 0, "reverse": 1, "random": 2}
TIMINGS = {"lazy": 0, "eager": 1, "random": 2}
ELEMENTS = {"float32": 1, "float16": 2, "bfloat16": 3, "int32": 4, "uint32": 5, "float64": 6}    # those that reduce-add knows
SWIZZLES = {0: 0, 32: 1, 64: 2, 128: 3}
MAGIC = 0x70616D5F6D697363                           # of a tensor map made here
SLOT = 64                                            # values start at multiples of this: what a tensor map needs
REQUEST = struct.Struct("P3I3I3I7IQQdPPP")
ARRAY_REQUEST = struct.Struct("PQIiII")
PARAMETER_REQUEST = struct.Struct("iiq")
MAP = struct.Struct("QQII5Q4Q5HBB")
INTERRUPTED = 2                                      # what a launch stopped by Ctrl-C returns

LOCK = threading.RLock()                             # held over a launch and the reading of its reports
os.register_at_fork(before=LOCK.acquire, after_in_parent=LOCK.release, after_in_child=LOCK.release)     # no child from the midst of a launch


@functools.cache
def runtime():
    """The runtime, loaded so that kernels' libraries find it."""
    library = ctypes.CDLL(str(build.runtime()), mode=ctypes.RTLD_GLOBAL)
    library.cusim_launch.argtypes = [ctypes.c_void_p]
    for name in ("cusim_reports", "cusim_profile_rows", "cusim_kinds"):
        getattr(library, name).restype = ctypes.c_char_p
    library.cusim_switches.restype = ctypes.c_long
    return library


class Compiled:
    """A kernel's source compiled for one mode, and loaded."""

    def __init__(self, kernel, mode, double):
        runtime()
        self.path = build.library(kernel, mode, double)
        library = ctypes.CDLL(str(self.path))
        self.library = library                       # stays loaded as long as this
        self.function = ctypes.cast(getattr(library, f"cusim_run_{kernel.name}"), ctypes.c_void_p).value
        sizes = getattr(library, f"cusim_sizes_of_{kernel.name}")
        sizes.restype = ctypes.POINTER(ctypes.c_int)
        self.sizes = [sizes()[i] for i in range(len(kernel.parameters))]


_compiled = weakref.WeakKeyDictionary()              # kernel -> {(mode, double): Compiled}


def compiled(kernel, mode, double):
    if (made := _compiled.get(kernel)) is None:
        made = _compiled.setdefault(kernel, {})
    if (mode, double) not in made:
        if mode == "fast" and "volatile" in kernel.text:
            mode = "volatile"
        made[mode, double] = made["fast" if mode == "volatile" else mode, double] = Compiled(kernel, mode, double)
    return made[mode, double]


class Packing:
    """The arguments of a launch as the runtime reads them."""

    def __init__(self, kernel, sizes):
        self.kernel, self.sizes = kernel, sizes
        self.numbers = {}                            # (address, bytes) -> number of the array
        self.arrays = []                             # [address, bytes, misalignment, parameter, item, flags] of each
        self.names, self.shapes = [], []             # for reports: name in the kernel, (shape, bytes of an element) or None
        self.parameters, self.values, self.room = [], [], 0

    def add(self, i, a):
        p = self.kernel.parameters[i]
        if p.table and a is not None:
            numbers = [-1 if x is None else self.array(i, x, ROLES[p.role], f"{p.name}[{k}]") for k, x in enumerate(a)]
            self.parameter(TABLE, len(numbers), np.array(numbers, np.int32).tobytes())
        elif p.pointer:
            self.parameters.append((ARRAY, -1 if a is None else self.array(i, a, ROLES[p.role], p.name), 0))
        elif isinstance(a, TensorMap):
            self.parameter(TENSOR_MAP, self.mapped(i, a, p.name), encoded(a))
        else:
            data = a.tobytes()
            if len(data) != self.sizes[i]:
                raise TypeError(f"{self.kernel.name}, argument {i} ({p.name}): {p.type} has {self.sizes[i]} bytes in the kernel, "
                                f"this value has {len(data)}")
            self.parameter(VALUE, 0, data)

    def parameter(self, kind, number, data):
        self.parameters.append((kind, number, self.room))
        room = -(-len(data) // SLOT) * SLOT
        self.values.append(data.ljust(room, b"\0"))
        self.room += room

    def array(self, i, a, flags, name):
        start, size = start_of(a), a.nbytes
        key = (start, size)
        number = self.numbers.get(key) if size else None
        if number is None:
            number = self.numbers[key] = len(self.arrays)
            self.arrays.append([start, size, address(a) % 256, i, a.itemsize, flags])
            self.names.append(name)
            self.shapes.append((a.shape, a.itemsize))
        else:
            self.arrays[number][5] &= flags          # one memory, two parameters: read and written if one of them says so
        return number

    def mapped(self, i, m, name):
        """The number of the memory that a tensor map spans, gaps included."""
        a = m.array
        size = sum((n - 1) * s for n, s in zip(a.shape, a.strides)) + a.itemsize
        start = start_of(a)
        whole = np.lib.stride_tricks.as_strided(a, (size // a.itemsize,), (a.itemsize,))
        number = self.array(i, whole, 0 if a.flags.writeable else CONSTANT, name)
        if self.arrays[number][0] == start and a.flags.c_contiguous:
            self.shapes[number] = (a.shape, a.itemsize)
        return number


def encoded(m):
    """A tensor map in the simulator's form; the address is filled in by the runtime."""
    a, rank = m.array, m.array.ndim
    fill = [0] * (5 - rank)
    strides = [*a.strides[:-1][::-1], *fill][:4] if rank > 1 else [0] * 4
    return MAP.pack(MAGIC, 0, rank, a.itemsize, *a.shape[::-1], *fill, *strides, *m.box[::-1], *fill, SWIZZLES[m.swizzle],
                    ELEMENTS.get(a.dtype.name, 0))


def start(kernel, grid, block, args, shared_mem, made, check, profile):
    """One launch: (whether there is something to report, its Packing)."""
    settings = current()
    packing = Packing(kernel, made.sizes)
    for i, a in enumerate(args):
        packing.add(i, a)
    parts = [*packing.values, *[ARRAY_REQUEST.pack(*a) for a in packing.arrays], *[PARAMETER_REQUEST.pack(*p) for p in packing.parameters]]
    data = b"".join(parts)
    room = ctypes.create_string_buffer(len(data) + SLOT)
    values = ctypes.addressof(room)
    values += -values % SLOT
    ctypes.memmove(values, data, len(data))
    arrays = values + packing.room
    parameters = arrays + len(packing.arrays) * ARRAY_REQUEST.size
    request = REQUEST.pack(
        made.function, *grid, *block, *kernel.cluster, ORDERS[settings.order], TIMINGS[settings.asynchronous], check, profile,
        settings.threads, len(packing.arrays), len(packing.parameters), shared_mem, settings.seed, settings.time_limit,
        arrays, parameters, values)
    with LOCK:
        while (wrong := runtime().cusim_launch(request)) == INTERRUPTED:
            pass                                     # here KeyboardInterrupt is raised; where the user's handler raises nothing: once more
    return wrong, packing


def launch(kernel, grid, block, args, shared_mem, double):
    """Run a kernel on NumPy arrays, as kernels.using(...) has it; SimulatorError for what is found."""
    check = current().mode == "check"
    made = compiled(kernel, "check" if check else "fast", double)
    with LOCK:
        wrong, packing = start(kernel, grid, block, args, shared_mem, made, check, False)
        reports = runtime().cusim_reports() if wrong else b""
    if wrong:
        raise_reports(reports, kernel, made.path, packing)
