"""float32 to 16-bit floats and back, by their bits: bfloat16 is a float32's upper half, and float16 the processor converts."""
import numpy as np
from llvmlite import ir
from llvmlite.binding import get_host_cpu_features
from numba import types
from numba.extending import intrinsic

from .. import threads
from . import loop

LEAST = 1 << 19                                      # numbers that are worth another thread
U = np.uint32
QUICK = bool(get_host_cpu_features().get("f16c"))    # whether this processor converts float16 by itself


@intrinsic
def half_bits(typingctx, x):
    """The bits of a float32 rounded to float16."""
    def generate(context, builder, signature, args):
        return builder.bitcast(builder.fptrunc(args[0], ir.HalfType()), ir.IntType(16))
    return types.uint16(types.float32), generate


@intrinsic
def single_of(typingctx, bits):
    """The float32 of a float16's bits."""
    def generate(context, builder, signature, args):
        return builder.fpext(builder.bitcast(args[0], ir.HalfType()), ir.FloatType())
    return types.float32(types.uint16), generate


@loop
def to_bfloat16(start, stop, x, y):
    """The upper halves of x's bits, rounded to the nearest, ties to even; NaN keeps its sign."""
    x, y = x[start:stop], y[start:stop]
    for i in range(x.size):
        u = x[i]
        rounded = (u + U(0x7fff) + ((u >> U(16)) & U(1))) >> U(16)
        y[i] = np.uint16(rounded) if (u & U(0x7fffffff)) <= U(0x7f800000) else np.uint16(((u >> U(16)) & U(0x8000)) | U(0x7fc0))


@loop
def from_bfloat16(start, stop, x, y):
    """x as the upper halves of y's bits."""
    x, y = x[start:stop], y[start:stop]
    for i in range(x.size):
        y[i] = U(x[i]) << U(16)


@loop
def to_float16(start, stop, x, y):
    """The bits of x in float16."""
    x, y = x[start:stop], y[start:stop]
    for i in range(x.size):
        y[i] = half_bits(x[i])


@loop
def from_float16(start, stop, x, y):
    """What the bits x mean."""
    x, y = x[start:stop], y[start:stop]
    for i in range(x.size):
        y[i] = single_of(x[i])


def converted(x, dtype):
    """Array x, contiguous, in another dtype; None unless one of the two is float32 and the other has 16 bits."""
    names = x.dtype.name, dtype.name
    part = {("float32", "bfloat16"): to_bfloat16, ("bfloat16", "float32"): from_bfloat16,
            ("float32", "float16"): QUICK and to_float16, ("float16", "float32"): QUICK and from_float16}.get(names)
    if not part:
        return None
    y = np.empty(x.shape, dtype)
    threads.run(part, x.size, bits(x, part is to_float16), bits(y, part is from_float16), least=LEAST)
    return y


def bits(x, whole):
    """An array's numbers in one row as unsigned integers; whole: float32 as it is."""
    x = x.reshape(-1)
    return x if whole else x.view(f"u{x.itemsize}")
