"""The GPU's side of a launch: a source compiled by NVRTC through CuPy, once for each device, and launched on CuPy's current stream."""
import ctypes
import functools

import numpy as np

from . import source, tensor_map
from .signature import TYPES, members
from .tensor_map import TensorMap

OLDEST = 80                                          # sm_80, Ampere: cp.async, bf16 on tensor cores
STATIC = 48 * 1024                                   # bytes of shared memory, static and dynamic, that need no permission
LEGACY = 0, 1                                        # addresses of the default stream, which can record no graph nor be asked for one
NULL = np.uint64(0)                                  # what a kernel sees where None was given


class CompileError(RuntimeError):
    """NVRTC refused a source; the message is its log."""


def launch(kernel, grid, block, args, shared_mem, double):
    """Launch on the device that holds the arrays; arguments are as signature.fit leaves them.

    RuntimeError for an architecture that this GPU is not, and where the GPU has not enough memory, registers or shared memory.
    """
    import cupy
    where = home(kernel, args)
    with cupy.cuda.Device(where):
        function, room = compiled(kernel, double, where)
        if shared_mem > room["limit"]:
            raise ValueError(f"{kernel.name}: {shared_mem} bytes of dynamic shared memory, this GPU has {room['limit']} a block")
        try:
            if shared_mem > room["allowed"]:
                function.max_dynamic_shared_size_bytes = room["allowed"] = shared_mem
            values = tuple([passed(kernel, p, a, where) for p, a in zip(kernel.parameters, args)])
            for i, size in room["structs"].items():
                if values[i].nbytes != size:
                    raise TypeError(f"{kernel.name}, argument {i} ({kernel.parameters[i].name}): {kernel.parameters[i].type} has {size} bytes "
                                    f"in the kernel, the item given {values[i].nbytes}")
            function(grid, block, values, shared_mem=shared_mem)
        except cupy.cuda.driver.CUDADriverError as error:
            raise explained(kernel, function, grid, block, shared_mem, error) from error


def home(kernel, args):
    """The number of the device that holds the arrays; TypeError where they are on several."""
    found = sorted({x.device.id for a in args for x in members(a) if not isinstance(x, np.ndarray)})        # a struct lives here
    if len(found) > 1:
        raise TypeError(f"{kernel.name}: arrays on {' and '.join(f'cuda:{i}' for i in found)} in one launch; move them to one device first")
    return found[0]


def passed(kernel, p, a, where):
    """One argument as CuPy passes it: arrays by address, numbers in the exact type, structs as one item of a NumPy array."""
    if p.table and a is not None:
        import cupy
        addresses, stream = tuple([0 if x is None else x.data.ptr for x in a]), cupy.cuda.get_current_stream()
        recorded = stream.ptr not in LEGACY and stream.is_capturing()
        return table_for_graphs(addresses, where) if recorded else table(addresses, where, stream.ptr)
    if a is None:
        return NULL
    if p.pointer:
        return a
    if isinstance(a, np.generic):                    # CuPy knows NumPy's own scalars; bfloat16 goes as bytes
        return a if a.dtype.isbuiltin == 1 else np.asarray(a).reshape(1)
    return a.encoded() if isinstance(a, TensorMap) else a


@functools.lru_cache(maxsize=256)
def table(addresses, where, stream):
    """The addresses of a list of arrays as an array on the device; lists that come again, as an optimizer's, are copied there once.

    For each stream: on another one a kernel might read them before they are there.
    """
    import cupy
    return cupy.asarray(np.array(addresses or (0,), np.uint64))


@functools.cache
def table_for_graphs(addresses, where):
    """The same for launches that a CUDA graph records.

    A copy from the host cannot be recorded: it is made at once, on a stream of its own.  The array stays for good, since nobody
    says when the graph is gone.
    """
    import cupy
    with cupy.cuda.Stream(non_blocking=True) as own:
        made = cupy.asarray(np.array(addresses or (0,), np.uint64))
        own.synchronize()
    return made


@functools.cache
def compiled(kernel, double, where):
    """(CuPy's function, {"limit": bytes of shared memory that the device can give a block, "allowed": bytes asked for so far,
    "structs": {place: bytes} of the parameters that are structs}).
    """
    import cupy
    device = cupy.cuda.Device(where)
    check_architecture(kernel, device.compute_capability)
    if kernel.cluster != (1, 1, 1) and "__cluster_dims__" not in kernel.text:
        raise ValueError(f"{kernel.name}: on a GPU clusters of {kernel.cluster} must be said in the source: __cluster_dims__")
    try:
        function = cupy.RawModule(code=source.complete(kernel, double), options=source.options(kernel)).get_function(kernel.name)
    except cupy.cuda.compiler.CompileException as error:
        raise CompileError(f"{kernel!r} does not compile:\n{error}") from None
    except cupy.cuda.driver.CUDADriverError as error:
        if "NOT_FOUND" in str(error):
            raise ValueError(f"{kernel!r}: the compiled module has no '{kernel.name}': declare it extern \"C\"") from error
        raise RuntimeError(f"{kernel!r} cannot be loaded: {error}") from error
    structs = {i: size for i, p in enumerate(kernel.parameters) if not p.pointer and p.type not in TYPES and (size := size_of(function, i))}
    static = function.shared_size_bytes
    return function, {"limit": device.attributes["MaxSharedMemoryPerBlockOptin"] - static, "allowed": STATIC - static, "structs": structs}


def size_of(function, i):
    """How many bytes parameter i has in the compiled kernel; None where the driver is too old to tell (before CUDA 12.4)."""
    try:
        ask = tensor_map.driver().cuFuncGetParamInfo
    except (RuntimeError, AttributeError):
        return None
    offset, size = ctypes.c_size_t(), ctypes.c_size_t()
    status = ask(ctypes.c_void_p(function.kernel.ptr), ctypes.c_size_t(i), ctypes.byref(offset), ctypes.byref(size))
    return None if status else size.value


def check_architecture(kernel, capability):
    """RuntimeError unless a GPU of this compute capability ("90") runs the kernel."""
    if kernel.arch:                                  # sm_90a runs on 9.0 alone; sm_90 on all from there
        wanted = kernel.arch.removeprefix("sm_")
        fits = capability == wanted[:-1] if wanted[-1].isalpha() else int(capability) >= int(wanted)
    else:
        wanted, fits = f"{OLDEST} or later", int(capability) >= OLDEST
    if not fits:
        raise RuntimeError(f"{kernel.name} needs sm_{wanted}, this GPU is sm_{capability}")


def explained(kernel, function, grid, block, shared_mem, error):
    """The driver's error in words: what the launch asked for, and what there is too little of."""
    asked = f"{kernel.name}, grid {grid}, block {block}, {shared_mem} bytes of dynamic shared memory"
    text = str(error)
    if "OUT_OF_MEMORY" in text:
        return MemoryError(f"{asked}: the GPU has no memory left")
    if "OUT_OF_RESOURCES" in text:
        return RuntimeError(f"{asked}: a block of {block[0] * block[1] * block[2]} threads with {function.num_regs} registers each "
                            "is more than a multiprocessor has")
    if "INVALID_VALUE" in text:
        return ValueError(f"{asked}: the GPU refuses this launch ({text})")
    return RuntimeError(f"{asked}: {text}")
