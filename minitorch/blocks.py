"""Work on large NumPy arrays block by block: what is computed in between stays in the cache, and the threads share the blocks.

    elementwise(np.add, x, y)                            # what the engine does for elementwise ops, and their vjps, of large arrays

    @in_blocks                                           # an elementwise formula
    def gelu_slope(x): ...

    @into_blocks                                         # one that writes its result into y
    def silu(y, x): ...

    by_slices(part, x, axis)                             # [part(slice), ...]: any work on the rows or columns of x

NumPy's functions hold the interpreter while they start and end, and a thread that finds it held goes to sleep.  So blocks that threads
share are larger than would be best for one: with small ones two threads are slower than one.
"""
import functools
import operator
import threading
from types import FunctionType

import numpy as np

from . import backend, blas, threads

LARGE = 1 << 19                                      # numbers from which elementwise ops are worth it
ALONE, SHARED = 1 << 16, 1 << 18                     # numbers of a block, for one thread and for several


def by_blocks(part, n, width=1, larger=1):
    """[part(block), ...] for slices that divide range(n), where every index stands for `width` numbers; larger: times the usual size."""
    sharers = threads.get_num_threads()
    count = -(-n * width // int((SHARED if sharers > 1 else ALONE) * larger))
    if sharers > 1 and n * width >= SHARED // 2:
        count += -count % sharers                    # each thread has as many
    count = min(n, count)
    if count <= 1 or getattr(threads.here, "helping", False):            # or within a block
        return [part(slice(0, n))]
    found = [None] * count

    def some(first, last):
        for i in range(first, last):
            found[i] = part(slice(i * n // count, (i + 1) * n // count))

    with blas.alone():
        threads.run(some, count)
    return found


def by_slices(part, x, axis=0, larger=1):
    """by_blocks for what lies along an axis of `x`; all at once for a GPU."""
    n = x.shape[axis]
    return by_blocks(part, n, x.size // max(n, 1), larger) if type(x) is np.ndarray else [part(slice(0, n))]


def in_blocks(f):
    """f(x, ...), elementwise, by blocks of `x`: see elementwise."""
    @functools.wraps(f)
    def call(x, *args):
        return elementwise(f, x, *args) if type(x) is np.ndarray and x.size > ALONE else f(x, *args)
    return call


def into_blocks(f):
    """f(y, x, ...), which writes an elementwise result into y, as a function of x, ...: by blocks, with no other array of their size.

    The operands are numbers and arrays of x's shape and number type.
    """
    @functools.wraps(f)
    def call(x, *args):
        y = backend.xp(x).empty_like(x)
        lines = [line(a) for a in (y, x, *args)] if type(x) is np.ndarray and x.size > ALONE and x.flags.c_contiguous else [None]
        if any([a is None for a in lines]):
            f(y, x, *args)
        else:
            by_blocks(lambda block: f(*[a[block] if type(a) is np.ndarray else a for a in lines]), x.size)
        return y
    return call


def line(a):
    """An array's numbers one after the other; one number where all are the same one in memory, and None where they lie otherwise."""
    if type(a) is not np.ndarray:
        return a
    if a.flags.c_contiguous and a.ndim:
        return a.reshape(-1)
    return None if any(a.strides) else a[(0,) * a.ndim]


def elementwise(f, *args, out=None, mixed=False):
    """f(*args), elementwise, of NumPy arrays and numbers that broadcast: by blocks, or at once where the arrays cannot be cut.

    out: where the result is written, for one of NumPy's functions: an array of its shape and number type.
    mixed: whether the arrays may be of several number types, a mask among them, say; not for NumPy's functions.
    """
    if type(f) not in (np.ufunc, FunctionType):      # a compiled loop, that shares its work itself
        return f(*args)
    ufunc = ufunc_of(f, args)
    largest = out if out is not None else max([a for a in args if type(a) is np.ndarray], key=size, default=None)
    if largest is None or ufunc and threads.get_num_threads() == 1 or not fit(args, largest, mixed):
        return f(*args) if out is None else ufunc(*args, out=out)
    shape, whole = largest.shape, args
    if all([type(a) is not np.ndarray or a.size == 1 or a.shape == shape and a.flags.c_contiguous for a in args]):
        args = [a.reshape(-1 if a.size > 1 else ()) if type(a) is np.ndarray else a for a in args]          # one number after the other
        largest = largest.reshape(-1)
    n, ndim = len(largest), largest.ndim
    cut = [type(a) is np.ndarray and a.ndim == ndim and len(a) == n for a in args]
    y = np.empty(shape, result_type(ufunc, args)) if ufunc and out is None else out
    lines, strange = None if y is None else y.reshape(largest.shape), False

    def part(block):
        nonlocal y, lines, strange
        pieces = [a[block] if c else a for a, c in zip(args, cut)]
        if ufunc:
            ufunc(*pieces, out=lines[block])
            return
        found = f(*pieces)
        if strange or found.shape != largest[block].shape:
            strange = True                           # it reduces, say
            return
        with allocating:                             # the first block knows the number type
            if y is None:
                y = np.empty(shape, found.dtype)
                lines = y.reshape(largest.shape)
        lines[block] = found

    by_blocks(part, n, largest.size // n)
    return f(*whole) if strange else y


allocating = threading.Lock()
size = operator.attrgetter("size")


def fit(args, largest, mixed=False):
    """Whether all arrays among `args` are of the number type of `largest`, which is row by row in memory, and broadcast to its shape.

    mixed: whether their number types do not matter.
    """
    arrays = [a for a in args if type(a) is np.ndarray]
    if not largest.size or not largest.ndim or not largest.flags.c_contiguous:
        return False
    if not mixed and any([a.dtype is not largest.dtype for a in arrays]):
        return False
    try:
        return np.broadcast_shapes(largest.shape, *[a.shape for a in arrays]) == largest.shape
    except ValueError:                               # f says so in its own words
        return False


# ---- what is one of NumPy's functions -------------------------------------------------------------------------------

def result_type(ufunc, args):
    """The number type of ufunc(*args)."""
    return ufunc.resolve_dtypes((*[getattr(a, "dtype", type(a)) for a in args], None))[-1]


def ufunc_of(f, args):
    """NumPy's function where f(*args) is no more than one, such as a + b, -a or xp(a).exp(a); None for any other."""
    if type(f) is np.ufunc:
        return f
    code = f.__code__
    if code.co_argcount != len(args):
        return None
    found = ARITHMETIC.get((code.co_code, len(args)))
    if found is None and code.co_code in ONE_CALL and code.co_names[0] == "xp":
        found = getattr(np, code.co_names[1], None)
    return found if type(found) is np.ufunc else None


def xp(a):
    """Stands for backend.xp in the code below, which is compared and never run."""


ARITHMETIC = {(f.__code__.co_code, f.__code__.co_argcount): ufunc for f, ufunc in (
    (lambda a, b: a + b, np.add), (lambda a, b: a - b, np.subtract), (lambda a, b: a * b, np.multiply), (lambda a, b: a / b, np.divide),
    (lambda a: -a, np.negative), (lambda a: a * a, np.square))}
ONE_CALL = {(lambda a: xp(a).sin(a)).__code__.co_code, (lambda a, b: xp(a).maximum(a, b)).__code__.co_code}
