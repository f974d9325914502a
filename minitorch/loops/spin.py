"""Waiting for another thread awake: without the system, which takes 50 microseconds to wake one, and without the interpreter's lock.

    spin(box, i, old, cycles, grace)                     # until box[i] is no longer `old`, or for so many cycles of the processor's clock

Whoever changes box[i] holds the interpreter's lock and lets go of it a moment later, to begin or to go on: `grace` is that moment,
after which the one who waited finds the lock free.  Who must ask for it twice is put to sleep after all.
"""
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from . import loop


@intrinsic
def seen(typing, array, i):
    """array[i], an int64, as it is in memory now."""
    def generate(context, builder, signature, args):
        a = context.make_array(signature.args[0])(context, builder, args[0])
        return builder.load_atomic(builder.gep(a.data, [args[1]]), "acquire", 8)
    return types.int64(array, types.int64), generate


def instruction(name, result, returned):
    """An intrinsic that is one of LLVM's, without arguments."""
    @intrinsic
    def one(typing):
        def generate(context, builder, signature, args):
            found = builder.call(cgutils.get_or_insert_function(builder.module, ir.FunctionType(result, []), name), ())
            return context.get_dummy_value() if returned is types.none else found
        return returned(), generate
    return one


pause = instruction("llvm.x86.sse2.pause", ir.VoidType(), types.none)      # leaves the processor to a thread beside
clock = instruction("llvm.readcyclecounter", ir.IntType(64), types.int64)


@loop
def spin(box, i, old, cycles, grace):
    start = now = clock()
    while seen(box, i) == old:
        now = clock()
        if now - start > cycles:
            return
        pause()
    while clock() - now < grace:
        pause()
