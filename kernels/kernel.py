"""A CUDA kernel that runs on either machine: launched with NumPy arrays in the simulator, with CuPy arrays on the GPU.

    axpy = Kernel("axpy.cu", "axpy")                     # a file, or CUDA C++ text, and the kernel's name
    axpy(grid, block, (a, x, y, n))                      # arguments are checked against the kernel's own parameter list
"""
import contextlib
import contextvars
import functools
from pathlib import Path

import numpy as np

from . import signature

FOLDER = Path(__file__).parent
LIMITS = {"block": (1024, 1024, 64), "grid": (2**31 - 1, 65535, 65535)}
THREADS, SHARED = 1024, 227 * 1024                       # per block; bytes of shared memory on sm_90
KERNELS = {}                                             # the library's own, by label: what tests and the NVRTC table read


class Kernel:
    """One __global__ function of a CUDA C++ source.

    source: the path of a .cu file, or one of this folder by name, or the text itself.
    define: macros as {name: value}; scalar="half" chooses the storage type of kernels written for several.
    arch: the architecture that the source needs ("sm_90a"); None: any from sm_80.  cluster: blocks per cluster, fixed at compile time.
    Raises FileNotFoundError, and ValueError where the source has no such kernel.
    """

    def __init__(self, source, name, define=None, arch=None, cluster=(1, 1, 1)):
        self.path, self.text = read(source)
        self.name, self.arch, self.cluster = name, arch, triple("cluster", cluster)
        self.define = {k: str(v) for k, v in (define or {}).items()}
        found = signature.parse(self.text)
        if name not in found:
            raise ValueError(f"{self.path or 'this source'} has no kernel '{name}': it has {', '.join(found) or 'none'}")
        self.parameters = tuple(self.substituted(p) for p in found[name])

    def substituted(self, p):
        """A parameter whose type is a macro, in the type that the macro stands for."""
        kind = self.define.get(p.type, "float" if p.type == "scalar" else p.type)
        return p if kind == p.type else signature.dataclasses.replace(p, type=kind)

    @property
    def label(self):
        """The kernel and its macros in one word: `softmax_simple[scalar=half]`."""
        return self.name + (f"[{','.join(f'{k}={v}' for k, v in self.define.items())}]" if self.define else "")

    def __repr__(self):
        return f"<Kernel {self.label} of {self.path.name if self.path else 'text'}>"

    def __call__(self, grid, block, args, shared_mem=0):
        """Run it: grid and block up to three sizes, args in the kernel's order, shared_mem bytes of dynamic shared memory."""
        grid, block = self.fit_shape(grid, block, shared_mem)
        double = signature.is_double(self.parameters, args)      # given float64, `float` is compiled as `double`
        fitted = signature.fit(self.name, self.parameters, args, double)
        if (trace := _trace.get()) is not None:
            trace.append((self, grid, block, shared_mem, double))
            if callable(trace.run):
                trace.run(self, grid, block, args, shared_mem)
                return
            if not trace.run:
                return
        if on_device(args):
            from . import device as machine
        else:
            from . import simulator as machine
        machine.launch(self, grid, block, fitted, shared_mem, double)

    def fit_shape(self, grid, block, shared_mem):
        """(grid, block) as triples; ValueError for what no GPU would launch."""
        grid, block = triple("grid", grid), triple("block", block)
        for what, sizes in (("grid", grid), ("block", block)):
            for size, limit in zip(sizes, LIMITS[what]):
                if not 1 <= size <= limit:
                    raise ValueError(f"{self.name}: {what} {sizes} is not within 1 and {LIMITS[what]}")
        if block[0] * block[1] * block[2] > THREADS:
            raise ValueError(f"{self.name}: a block of {block} has more than {THREADS} threads")
        if any(g % c for g, c in zip(grid, self.cluster)):
            raise ValueError(f"{self.name}: grid {grid} is not a whole number of clusters {self.cluster}")
        if not isinstance(shared_mem, int) or not 0 <= shared_mem <= SHARED:
            raise ValueError(f"{self.name}: shared_mem must be 0 to {SHARED} bytes, not {shared_mem}")
        return grid, block


class Launches(list):
    """What `launches` gives: (kernel, grid, block, bytes of dynamic shared memory, whether in double) for each launch."""

    def __init__(self, run):
        super().__init__()
        self.run = run

    @property
    def names(self):
        """The names of the kernels launched, without repetition, in the order of their first launch."""
        return list(dict.fromkeys(kernel.name for kernel, *_ in self))


_trace = contextvars.ContextVar("launches", default=None)


@contextlib.contextmanager
def launches(run=True):
    """Within this block every launch of this thread is noted in a list; run=False: and nothing is launched.

    run: may be a function of (kernel, grid, block, args, shared_mem), which is called in place of each launch.
    """
    trace = Launches(run)
    token = _trace.set(trace)
    try:
        yield trace
    finally:
        _trace.reset(token)


def read(source):
    """(path or None, text) of a source given as a path or as text."""
    if isinstance(source, str) and ("\n" in source or "{" in source):
        return None, source
    path = next((p for p in (Path(source).absolute(), FOLDER / source) if p.is_file()), None)
    if path is None:
        raise FileNotFoundError(f"no CUDA source {source}: there is no such file in {Path.cwd()}, and none in {FOLDER}")
    return path, path.read_text(encoding="utf-8")


def triple(what, sizes):
    sizes = tuple(sizes) if hasattr(sizes, "__iter__") else (sizes,)
    if not 1 <= len(sizes) <= 3 or not all(isinstance(n, int | np.integer) for n in sizes):
        raise TypeError(f"{what} must be one to three integers, not {sizes!r}")
    return (tuple(int(n) for n in sizes) + (1, 1, 1))[:3]


def on_device(args):
    """Whether the arrays among the arguments live on a GPU."""
    return any(not isinstance(x, np.ndarray) for a in args for x in signature.members(a))


def launch(source, name, grid, block, args, shared_mem=0, define=None, arch=None, cluster=(1, 1, 1)):
    """Compile (once, and anew when the file has changed) and run one kernel of a CUDA source: NumPy arrays go to the simulator,
    CuPy arrays to the GPU.
    """
    items = tuple(sorted(define.items())) if define else ()
    return made(source, name, items, arch, triple("cluster", cluster), read(source)[1])(grid, block, args, shared_mem)


@functools.cache
def made(source, name, define, arch, cluster, text=None):
    """A Kernel for each different call; text: of a source that may change."""
    return Kernel(source, name, dict(define), arch, cluster)


def library(source, name, define=None, arch=None, cluster=(1, 1, 1)):
    """A kernel of this library, made once and entered in KERNELS."""
    return enter(KERNELS, made(FOLDER / source, name, tuple((define or {}).items()), arch, triple("cluster", cluster)))


def enter(table, kernel):
    """The kernel that a table has under this one's label, where it is entered if need be; ValueError where that is another kernel."""
    found = table.setdefault(kernel.label, kernel)
    if found is not kernel and (found.text, found.arch, found.cluster) != (kernel.text, kernel.arch, kernel.cluster):
        first, second = [f"of {k.path.name if k.path else 'a text'}, {k.arch or 'any GPU'}, clusters of {k.cluster}" for k in (found, kernel)]
        raise ValueError(f"two kernels are called {kernel.label}: {first}, and {second}")
    return found
