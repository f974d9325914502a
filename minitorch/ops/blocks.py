"""Work on large NumPy arrays block by block: what is computed in between stays in the cache, and the threads share the blocks.

    @in_blocks                                           # an elementwise formula
    def gelu_slope(x): ...

    by_blocks(part, n, width)                            # [part(rows), ...]: any work on a matrix of `width` columns

NumPy's functions hold the interpreter while they start and end, and a thread that finds it held goes to sleep: with smaller blocks than
these two threads are slower than one.
"""
import functools

import numpy as np

from .. import blas, threads

BLOCK = 1 << 17                                      # numbers


def by_blocks(part, n, width=1):
    """[part(block), ...] for slices that divide range(n), each with about BLOCK numbers where every index stands for `width`."""
    count = -(-n * width // BLOCK)
    if count > 1:
        count = min(n, count + -count % threads.get_num_threads())
    if count <= 1:
        return [part(slice(0, n))]
    found, errors = [None] * count, np.geterr()      # which a helper's thread does not know

    def several(first, last):
        with np.errstate(**errors):
            for i in range(first, last):
                found[i] = part(slice(i * n // count, (i + 1) * n // count))

    with blas.alone():
        threads.run(several, count)
    return found


def by_rows(part, x):
    """by_blocks for the rows of a matrix; all rows at once for a GPU."""
    return by_blocks(part, *x.shape) if type(x) is np.ndarray else [part(slice(0, len(x)))]


def in_blocks(f):
    """f(x, ...), elementwise, by blocks of `x` and of the arrays of its shape; what else it takes stays whole."""
    @functools.wraps(f)
    def call(x, *args):
        if type(x) is not np.ndarray or x.size <= BLOCK:
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
