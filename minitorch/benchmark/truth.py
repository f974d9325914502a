"""What is right, and how far from it rounding may lead: the reference in float64, and for every entry of a result a yardstick.

    yard = max(|r|, what r moves by when the inputs move by one unit relative to themselves)

An error of one ulp of this yardstick is what rounding the inputs once would do.  So an entry near zero of a long sum may be off by
the rounding of its terms, while a small entry of a softmax may not be replaced by zero, whatever the size of its neighbours.
"""
import contextlib
import warnings

import numpy as np

EPS = {"float64": 2.0**-52, "float32": 2.0**-23, "tf32": 2.0**-10, "float16": 2.0**-10, "bfloat16": 2.0**-7}
SMALLEST = {"float64": 2.0**-1022, "float16": 2.0**-24}                # below it nothing is asked: float32's subnormal numbers are often flushed
LARGEST = {"float64": 1.797e308, "float16": 65500.0}                   # above it infinity is right: of the rest, 3.4e38
FEW = 8                                              # moved entries: of fewer, chance may leave all where they were
FLOOR = 32.0                                         # ulps that are always allowed
UNKNOWN = 128.0                                      # where the reference computes in float64 alone, and its own error in a narrower type is unknown
SLACK = 16.0                                         # and how many times the error of the reference in the case's own precision


class Truth:
    """The reference's results for one set of inputs: `results`, `yards` beside them (None for integers)."""

    def __init__(self, results, yards):
        self.results, self.yards = results, yards


class Reference:
    """The user's function of NumPy arrays, called on copies in float64 (or another dtype), warnings of NaN and overflow not shown."""

    def __init__(self, f, name=None):
        self.f, self.name = f, name or getattr(f, "__name__", type(f).__name__)
        self.convert = None                          # makes arrays of the device, where the reference is to compute there

    def __call__(self, inputs, params, dtype=np.float64):
        given = [a.astype(dtype) if is_float(a) else a.copy() if isinstance(a, np.ndarray) else a for a in inputs]
        if self.convert and dtype != np.longdouble:
            try:
                y = self.f(*(self.convert(a) if isinstance(a, np.ndarray) else a for a in given), **params)
            except Exception:                        # it knows NumPy's arrays alone
                self.convert = None
                return self(inputs, params, dtype)
        else:
            with quiet():
                y = self.f(*given, **params)
        y = list(y) if isinstance(y, tuple | list) else [y]
        if strange := [type(v).__name__ for v in y if v is None or isinstance(v, str | bytes | dict)]:
            raise TypeError(f"the reference {self.name} must give arrays of numbers, not {', '.join(strange)}")
        try:
            return [v.detach().cpu().numpy() if hasattr(v, "detach") else np.array(v.get() if hasattr(v, "get") else v) for v in y]
        except (TypeError, ValueError) as error:
            raise TypeError(f"the reference {self.name} must give NumPy arrays, not {', '.join(type(v).__name__ for v in y)}") from error

    def truth(self, inputs, params, seed, probes=2):
        """The Truth for some inputs; probes: how often at least the inputs are moved to see how much results move."""
        results = self(inputs, params)
        if any(r.dtype.kind not in "fiubc" for r in results):
            raise TypeError(f"the reference {self.name} gave arrays of {', '.join(r.dtype.name for r in results)}")
        step, rng = 2.0**-20, np.random.default_rng(seed)
        moves = [np.zeros(r.shape) if r.dtype.kind in "fc" else None for r in results]
        few = min((r.size for r in results if r.dtype.kind in "fc" and r.size), default=FEW)
        probes = max(probes, -(-FEW // few)) if any(map(is_float, inputs)) else 0
        for _ in range(probes):
            moved = [a.astype(np.float64) * (1 + step * rng.standard_normal(a.shape)) if is_float(a) else a for a in inputs]
            for total, r, y in zip(moves, results, self(moved, params)):
                if total is not None and y.shape == r.shape:
                    with np.errstate(all="ignore"):
                        total += np.where(np.isfinite(y) & np.isfinite(r), np.abs(y - r) / step, 0) ** 2
        return Truth(results, [None if m is None else yard(r, m / max(probes, 1)) for m, r in zip(moves, results)])


def yard(r, squares):
    """The yardstick of a result from the mean squares of its moves.

    A few probes may leave an entry nearly where it was by chance, so none counts as moving less than a quarter of what is usual for
    its place: the product of the means along every axis.
    """
    usual = squares.mean() if squares.size else 0.0
    if usual > 0 and squares.ndim > 1:
        expected = usual
        for axis in range(squares.ndim):
            expected = expected * (squares.mean(tuple(i for i in range(squares.ndim) if i != axis), keepdims=True) / usual)
        usual = expected
    return np.maximum(np.abs(np.where(np.isfinite(r), r, 0)), np.sqrt(np.maximum(squares, usual / 16)))


@contextlib.contextmanager
def quiet():
    """Within this block NumPy says nothing of overflow and NaN: the results tell."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        yield


def is_float(a):
    return isinstance(a, np.ndarray) and (a.dtype.kind == "f" or a.dtype.name == "bfloat16")


def ulps(y, r, yard, precision):
    """The error of each entry of y in ulps of the yardstick; infinite where y or r alone is NaN or infinite, and r within the type's range."""
    y, eps = np.asarray(y, np.complex128 if r.dtype.kind == "c" else np.float64), EPS[precision]
    with np.errstate(all="ignore"):
        error = np.abs(y - r) / (eps * yard + SMALLEST.get(precision, 2.0**-126))
        same = (y == r) | np.isnan(y) & np.isnan(r)
        if r.dtype.kind == "f":
            same |= np.isinf(y) & (np.sign(y) == np.sign(r)) & (np.abs(r) > 0.99 * LARGEST.get(precision, 3.4e38))
        return np.where(same, 0, np.where(np.isfinite(y) & np.isfinite(r), error, np.inf))


def own_error(reference, inputs, params, truth, dtype):
    """The largest error of the reference itself when it computes in `dtype` (float32 at least, then rounded), in ulps; None: it cannot."""
    name = dtype.name
    wide = np.float32 if dtype.itemsize == 2 else dtype
    try:
        if name == "float64":                        # the truth is of this precision itself: compare it with a wider one
            wider = reference(inputs, params, np.longdouble)
            pairs = [(np.asarray(w, np.float64), r, yard) for w, r, yard in zip(wider, truth.results, truth.yards)]
        else:
            given = reference(inputs, params, wide)
            if any(y.dtype.kind == "f" and y.dtype.itemsize > np.dtype(wide).itemsize for y in given):
                return None                          # it was computed in float64, whatever the inputs are
            pairs = [(np.asarray(y).astype(dtype), r, yard) for y, r, yard in zip(given, truth.results, truth.yards)]
        found = [ulps(y, r, yard, name).max(initial=0) for y, r, yard in pairs if yard is not None and y.shape == r.shape]
    except Exception:                                # a reference need not know every dtype
        return None
    found = [float(e) for e in found if np.isfinite(e)]
    return max(found, default=None)


def allowed(own, flops, entries, declared=False):
    """How many ulps off a result may be: of its own type, or of one that is declared narrower."""
    length = flops / entries / 2 if flops and entries else 0      # additions behind each entry
    return max(UNKNOWN if own is None and not declared else FLOOR, SLACK * (own or 0), 2 * length**0.5)
