"""Work on large NumPy arrays block by block: what is computed in between stays in the cache, and the threads share the blocks.

    @in_blocks                                           # an elementwise formula
    def gelu_slope(x): ...

    by_slices(part, x, axis)                             # [part(slice), ...]: any work on the rows or columns of x

NumPy's functions hold the interpreter while they start and end, and a thread that finds it held goes to sleep.  So blocks that threads
share are larger than would be best for one: with small ones two threads are slower than one.
"""
import functools

import numpy as np

from .. import blas, threads

ALONE, SHARED = 1 << 16, 1 << 18                     # numbers of a block, for one thread and for several


def by_blocks(part, n, width=1, larger=1):
    """[part(block), ...] for slices that divide range(n), where every index stands for `width` numbers; larger: times the usual size."""
    sharers = threads.get_num_threads()
    count = -(-n * width // ((SHARED if sharers > 1 else ALONE) * larger))
    if sharers > 1 and n * width >= SHARED // 2:
        count += -count % sharers                    # each thread has as many
    count = min(n, count)
    if count <= 1 or getattr(threads.here, "helping", False):            # or within a block
        return [part(slice(0, n))]
    found = [None] * count

    def some(first, last):
        before, threads.here.helping = getattr(threads.here, "helping", False), True
        try:
            for i in range(first, last):
                found[i] = part(slice(i * n // count, (i + 1) * n // count))
        finally:
            threads.here.helping = before

    with blas.alone():
        threads.run(some, count)
    return found


def by_slices(part, x, axis=0, larger=1):
    """by_blocks for what lies along an axis of `x`; all at once for a GPU."""
    n = x.shape[axis]
    return by_blocks(part, n, x.size // max(n, 1), larger) if type(x) is np.ndarray else [part(slice(0, n))]


def in_blocks(f):
    """f(x, ...), elementwise, by blocks of `x` and of the arrays of its shape; what else it takes stays whole."""
    @functools.wraps(f)
    def call(x, *args):
        if type(x) is not np.ndarray or x.size <= ALONE:
            return f(x, *args)
        cut = [type(a) is np.ndarray and a.shape == x.shape for a in args]
        flat = x.reshape(-1)
        args = [a.reshape(-1) if c else a for a, c in zip(args, cut)]
        y = np.empty_like(flat)

        def part(block):
            y[block] = f(flat[block], *[a[block] if c else a for a, c in zip(args, cut)])

        by_blocks(part, x.size)
        return y.reshape(x.shape)
    return call
