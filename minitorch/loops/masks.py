"""Numbers filled in where a mask says so: no branch that the processor would have to guess."""
import numpy as np

from .. import threads
from . import loop

LEAST = 1 << 18                                      # numbers that are worth another thread


@loop
def fill_each(start, stop, x, mask, value, y):
    """y = value where the mask, one for every number of x (n,), is True, else x; from start to stop."""
    x, mask, y = x[start:stop], mask[start:stop], y[start:stop]
    for i in range(x.size):
        y[i] = value if mask[i] else x[i]


@loop
def fill_rows(start, stop, x, mask, value, y):
    """The same for a mask (m,) of each row of x (n, m)."""
    for i in range(start, stop):
        row, to = x[i], y[i]
        for j in range(mask.size):
            to[j] = value if mask[j] else row[j]


def fill(x, mask, value):
    """x, without gaps, with the number `value` where `mask`, which broadcasts to it, is True."""
    y, shape = np.empty(x.shape, x.dtype), mask.shape
    while shape and shape[0] == 1:
        shape = shape[1:]
    if len(shape) < x.ndim and x.shape[x.ndim - len(shape):] == shape and mask.size >= 64:
        m = mask.size
        threads.run(fill_rows, x.size // m, x.reshape(-1, m), mask.reshape(-1), value, y.reshape(-1, m), least=1 + LEAST // m)
    else:
        mask = np.ascontiguousarray(np.broadcast_to(mask, x.shape))
        threads.run(fill_each, x.size, x.reshape(-1), mask.reshape(-1), value, y.reshape(-1), least=LEAST)
    return y
