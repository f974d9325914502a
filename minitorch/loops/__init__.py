"""Compiled loops over arrays on the CPU: what numba makes of them does in one pass what NumPy does in several.

A loop is written for one piece of its work, from `start` to `stop`, and lets go of the interpreter: minitorch.threads runs several
pieces side by side.  Beside the loop stands the function that makes the results and divides the work; the op's own file says
when to call it.  Compiled code is kept on disk, beside the source or in the user's cache folder.
"""
from pathlib import Path

try:
    import numba
    from numba.extending import intrinsic
except ImportError as error:
    raise ImportError("compiled loops need numba: pip install 'minitorch[fast]'") from error

ORDER = {"reassoc", "contract", "arcp", "nsz"}       # sums in any order, a * b + c in one step; NaN and infinity stay what they are
SOURCES = tuple(sorted((path.name, path.stat().st_mtime_ns, path.stat().st_size) for path in Path(__file__).parent.glob("*.py")))

inline = numba.njit(inline="always", error_model="numpy", fastmath=ORDER)                   # a part of a loop
exact = numba.njit(error_model="numpy", fastmath={"contract"})             # a function of one number, whose digits hang on the order


@intrinsic
def wide(typingctx):
    """Said first in a loop: it uses the processor's widest vectors, of which LLVM takes half on those that once ran slower with them.

    It pays where a loop computes more than it reads, over hundreds of numbers.
    """
    def generate(context, builder, signature, args):
        set.add(builder.function.attributes, '"prefer-vector-width"="512"')          # of LLVM's, one that llvmlite does not list
        return context.get_dummy_value()
    return numba.types.none(), generate


def loop(f):
    """`f` compiled, once for each combination of types; the code on disk is as good as the files of this package are old."""
    compiled = numba.njit(f, nogil=True, cache=True, error_model="numpy", fastmath=ORDER)
    compiled._cache._cache_file._source_stamp = SOURCES               # numba looks at the file of `f` alone, not at what `f` calls
    return compiled
