"""How the C library hands out large blocks of memory.

glibc asks the system for every large block and gives it back when it is freed: each new array then costs a page fault for every
4 KB, several times what filling it costs.  The arrays of a training step come and go in the same sizes, so freed blocks are
kept for the next ones.  MINITORCH_MALLOC=system in the environment leaves everything as it was.
"""
import ctypes
import os
import sys

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3               # malloc.h


def keep_blocks():
    """Let freed blocks be used again without a way through the system; whether the C library, glibc, does it and the user agrees."""
    if sys.platform != "linux" or os.environ.get("MINITORCH_MALLOC") == "system":
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):                # another C library
        return False
    return bool(mallopt(M_MMAP_THRESHOLD, 1 << 30) and mallopt(M_TRIM_THRESHOLD, (1 << 31) - 1) and mallopt(M_TOP_PAD, 64 << 20))
