"""Compiled loops over arrays on the CPU: what numba makes of them does in one pass what NumPy does in several.

A loop is written for one piece of its work, from `start` to `stop`, and lets go of the interpreter: minitorch.threads runs several
pieces side by side.  Beside the loop stands the function that makes the results and divides the work; the op's own file says
when to call it.  Compiled code is kept on disk, beside the source or in the user's cache folder.
"""
try:
    import numba
except ImportError as error:
    raise ImportError("compiled loops need numba: pip install 'minitorch[fast]'") from error

ORDER = {"reassoc", "contract", "arcp", "nsz"}       # sums in any order, a * b + c in one step; NaN and infinity stay what they are

loop = numba.njit(nogil=True, cache=True, error_model="numpy", fastmath=ORDER)
inline = numba.njit(inline="always", error_model="numpy", fastmath=ORDER)
