"""A function on the kernels says what it is to be proven by: a reference in NumPy, cases, and its derivative.

    @proven(reference=lambda x: ..., dtypes="float32 float16 bfloat16")
    def softmax(x): ...                              # allocates the result and launches a kernel

    softmax.case(normal(5, 77))
    softmax.vjp(lambda g, y, x: softmax_backward(g, y))      # one gradient, or one per array (None: none)

tests/kernels/test_proofs.py makes of this: agreement with the reference in every dtype, thread order and timing of the
asynchronous units; a run with every check on; the derivative against finite differences in double precision; and on a
machine with a GPU all of it there.
"""
import functools

import numpy as np

from ..cases import walk, walk_arrays
from .signature import TYPES, members

FUNCTIONS = {}                                       # name -> function: what tests, benchmarks and the README read
TOLERANCE = {"float64": 1e-12, "float32": 1e-5, "float16": 2e-3, "bfloat16": 1.6e-2}      # of the largest entry of a result
TURNS = (("forward", "lazy"), ("reverse", "eager"), ("random", "random"))      # thread order, when asynchronous work ends


class Disagreement(AssertionError):
    """A result differs from its reference."""


def proven(reference, dtypes="float32", tolerance=None):
    """Enter a function on the kernels in FUNCTIONS.

    reference: the same function on NumPy arrays, which it gets in float64.  dtypes: of its floating-point arrays.
    tolerance: {dtype: largest error, relative to the largest entry of the result} where it differs from TOLERANCE.
    A function in float32 also takes float64, computed in double, unless it runs on tensor cores.
    It runs, and makes its results, on the GPU that holds its arrays, whichever is the current one.
    """
    def enter(f):
        f = there(f)
        f.reference, f.dtypes, f.tolerance = reference, tuple(dtypes.split()), {**TOLERANCE, **(tolerance or {})}
        f.cases, f.derivative = [], None
        f.case = lambda *args, **params: f.cases.append((args, params))

        def vjp(derivative):
            f.derivative = derivative
        f.vjp = vjp
        FUNCTIONS[f.__name__] = f
        return f
    return enter


def there(f):
    """f, called with the device of its first array as the current one."""
    @functools.wraps(f)
    def run(*args, **params):
        x = next((x for a in (*args, *params.values()) for x in members(a)), None)
        if x is None or isinstance(x, np.ndarray):
            return f(*args, **params)
        with x.device:
            return f(*args, **params)
    return run


def scalar(x):
    """The C++ type in which a kernel written for several stores an array like `x`: the value of its macro `scalar`."""
    try:
        return {"float32": "float", "float64": "float", "float16": "half", "bfloat16": "bf16"}[x.dtype.name]
    except KeyError:
        raise TypeError(f"the kernels compute in float32, float64, float16 and bfloat16, not {x.dtype.name}") from None


# ---- running a case ------------------------------------------------------------------------------------------

def numpy_dtype(name):
    return np.dtype(TYPES["bf16"] if name == "bfloat16" else name)


def draw(f, number, dtype, seed=0):
    """(args, params) of a case, floating-point arrays in `dtype`, those drawn as `full` in float32 at least."""
    rng = np.random.default_rng(seed)
    args, params = f.cases[number]
    dtype = numpy_dtype(dtype)
    drawn = walk((list(args), params), lambda d: d.draw(rng).astype("f4") if d.full and dtype.itemsize == 2 else d.draw(rng))
    return walk_arrays(drawn, lambda a: a.astype(dtype) if a.dtype == np.float64 else a)


def results(y):
    """A result, or several, as a list."""
    return list(y) if isinstance(y, tuple) else [y]


def wide(x):
    """Arrays of any float as float64."""
    return walk_arrays(x, lambda a: a.astype("f8") if a.dtype.kind in "fV" else a)


def agree(f, got, args, params, dtype):
    """Disagreement unless what f gave for NumPy arrays is what its reference gives, within the tolerance of `dtype`."""
    expected = results(f.reference(*wide(args), **wide(params)))
    if len(results(got)) != len(expected):
        raise Disagreement(f"{f.__name__} gave {len(results(got))} results, its reference {len(expected)}")
    for i, (y, r) in enumerate(zip(results(got), expected)):
        if y is None:
            continue
        if y.shape != r.shape:
            raise Disagreement(f"{f.__name__}: result {i} has shape {y.shape}, the reference {r.shape}")
        y = np.asarray(y, "f8")
        with np.errstate(invalid="ignore"):          # equal infinities are no error, and NaN must meet NaN
            error = np.where((y == r) | np.isnan(y) & np.isnan(r), 0, np.abs(y - r))
        scale = max(np.abs(r[np.isfinite(r)]).max(initial=0), 1e-3)
        if np.isnan(error).any():
            raise Disagreement(f"{f.__name__}: {int(np.isnan(error).sum())} entries of result {i} are NaN where the reference is not, or the reverse")
        if not error.max(initial=0) <= f.tolerance[dtype] * scale:
            raise Disagreement(f"{f.__name__}: result {i} is off by {error.max() / scale:.2e} of the largest entry, "
                               f"allowed is {f.tolerance[dtype]:.1e}")


def prove(f, number, dtype, seed=0):
    """Run one case on this thread's settings and compare it with the reference: raises Disagreement or SimulatorError."""
    args, params = draw(f, number, dtype, seed)
    before = wide(args), wide(params)                # a function may work in place
    agree(f, f(*args, **params), *before, dtype)
