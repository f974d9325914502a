"""A GPU with a clock of its own: streams whose work is done later, events, graphs, memory, behind the names of CuPy that the benchmark uses.

Work is queued with a cost in microseconds and takes effect when the host has waited for it; the host itself spends one microsecond a
call.  `launch` is what a kernel would be.
"""
import contextlib
import sys
import types

import numpy as np

from minitorch import backend

MICROSECONDS = 1e-3                                  # in milliseconds


class Machine:
    """Host time, streams and what was captured."""

    def __init__(self):
        self.now, self.waiting, self.order = 0.0, [], 0
        self.persisting = 0

    def queue(self, stream, effect, cost):
        if stream.capturing is not None:
            stream.capturing.append((effect, cost))
            return
        self.now += 1
        stream.ready = max(stream.ready, self.now) + cost
        self.order += 1
        self.waiting.append((stream.ready, self.order, effect))

    def wait(self, until):
        self.now = max(self.now, until)
        due = sorted(w for w in self.waiting if w[0] <= self.now)
        self.waiting = [w for w in self.waiting if w[0] > self.now]
        for _, _, effect in due:
            effect()


class Stream:
    """cupy.cuda.Stream."""
    machine, stack, every = None, [], []

    def __init__(self, null=False, non_blocking=False, ptr=0):
        self.ready, self.capturing, self.ptr = 0.0, None, id(self)
        Stream.every.append(self)

    def __enter__(self):
        Stream.stack.append(self)
        return self

    def __exit__(self, *error):
        Stream.stack.pop()

    def synchronize(self):
        assert self.capturing is None, "cudaErrorStreamCaptureUnsupported"
        self.machine.wait(self.ready)

    def begin_capture(self):
        self.capturing = []

    def end_capture(self):
        graph, self.capturing = Graph(self.machine, self.capturing), None
        return graph


class Graph:
    def __init__(self, machine, work):
        self.machine, self.work = machine, work

    def launch(self, stream):
        for effect, cost in self.work:
            self.machine.queue(stream, effect, cost)


class Event:
    """cupy.cuda.Event."""

    def __init__(self):
        self.at = None

    def record(self, stream=None):
        stream = stream or current()
        stream.machine.queue(stream, lambda: None, 0)
        self.at = stream.ready

    def synchronize(self):
        Stream.machine.wait(self.at)

    @property
    def done(self):
        return self.at <= Stream.machine.now


def current():
    return Stream.stack[-1] if Stream.stack else NULL


class Pointer:
    def __init__(self, memory, offset):
        self.memory, self.offset, self.ptr = memory, offset, memory.__array_interface__["data"][0] + offset

    def __add__(self, n):
        return Pointer(self.memory, self.offset + n)


class ndarray:
    """cupy.ndarray: `host` is what lies in the GPU's memory."""
    __module__ = "cupy"
    __array_ufunc__ = None

    def __init__(self, shape, dtype=float, memptr=None, strides=None):
        memory, offset = (np.empty(int(np.prod(shape)) * np.dtype(dtype).itemsize, np.uint8), 0) if memptr is None else (memptr.memory, memptr.offset)
        self.host = np.ndarray(shape, dtype, memory.data, offset, strides)
        self.data = Pointer(memory, offset)

    def __getattr__(self, name):
        if name in ("shape", "dtype", "size", "ndim", "nbytes", "strides", "itemsize", "flags"):
            return getattr(self.host, name)
        raise AttributeError(name)

    def reshape(self, *shape):
        return ndarray(self.host.reshape(*shape).shape, self.dtype, self.data)

    def view(self, dtype):
        return ndarray(self.host.view(dtype).shape, dtype, self.data)

    def get(self, stream=None):
        (stream or current()).synchronize()
        return self.host.copy()

    def set(self, a):
        held = np.array(a)
        launch(lambda: self.host.__setitem__(..., held), a.nbytes / 1e5)

    def fill(self, value):
        launch(lambda: self.nbytes > 1 << 20 or self.host.fill(value), self.nbytes / 3e6)      # large buffers only cost time


def launch(effect, cost, stream=None):
    """Work for a stream: the current one unless said."""
    stream = stream or current()
    Stream.machine.queue(stream, effect, cost)


def asarray(a):
    y = ndarray(a.shape, a.dtype)
    y.host[...] = a.host if isinstance(a, ndarray) else a
    return y


def matmul(a, b, out):
    launch(lambda: None, 2 * len(a.host) ** 3 / (8e8 if a.dtype.itemsize == 2 else 5e7))


def of_shape(shape, dtype=float):
    return ndarray(shape if isinstance(shape, tuple) else (shape,), dtype)


Stream.machine = Machine()
NULL = Stream()


@contextlib.contextmanager
def installed():
    """Within this block `import cupy` gives this, and it has a GPU."""
    Stream.machine, NULL.ready = Machine(), 0.0
    cupy = types.ModuleType("cupy")
    cupy.ndarray, cupy.asarray, cupy.empty, cupy.zeros, cupy.ones, cupy.matmul = ndarray, asarray, of_shape, of_shape, of_shape, matmul
    cupy.copyto = lambda b, a: launch(lambda: None, 2 * a.nbytes / (4e6 if a.nbytes > 1 << 26 else 8e6))
    device = types.SimpleNamespace(id=0, compute_capability="90", synchronize=lambda: Stream.machine.wait(max(s.ready for s in Stream.every)))
    runtime = types.SimpleNamespace(getDeviceCount=lambda: 1, runtimeGetVersion=lambda: 13000, getDeviceProperties=lambda i: {
        "name": b"Stand-in", "multiProcessorCount": 132, "l2CacheSize": 1 << 20, "totalGlobalMem": 1 << 37})
    cupy.cuda = types.SimpleNamespace(Stream=Stream, Event=Event, Device=lambda n=None: device, runtime=runtime,
                                      get_elapsed_time=lambda a, b: (b.at - a.at) * MICROSECONDS)
    before = sys.modules.get("cupy")
    sys.modules["cupy"] = cupy
    backend.MODULES[ndarray] = cupy
    try:
        yield cupy
    finally:
        backend.MODULES.pop(ndarray)
        sys.modules.pop("cupy")
        if before is not None:
            sys.modules["cupy"] = before
