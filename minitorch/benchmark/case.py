"""A case: the inputs of one measurement, drawn anew for every call, and its variations.

    Case((64, 100), (100, 32))                           # shapes: standard normal numbers
    Case(positive(64, 100), integers(64, high=100), 0.5) # stand-ins of minitorch.cases, numbers, fixed arrays
    Case.of(lambda M, N, K: ((M, K), (K, N)), M=64, N=32, K=100)

A kernel that is right only for the sizes that somebody measured is wrong.  So a case also gives its neighbours: one past every
size, other sizes altogether, the same numbers in other strides, and other numbers in the same places: off zero, and large ones, of
which a sum of squares is finite and an exponential is not.
"""
import copy
import itertools

import numpy as np

from .. import cases, dtypes
from ..cases import Draw, normal
from .truth import EPS


class Case:
    """Inputs to draw: each item a shape (standard normal), a stand-in of minitorch.cases, a NumPy array or a number.

    dtype: of the floating-point inputs.  flops: floating-point operations of one call.  bytes: moved to and from memory in one
    call; None: those of all inputs and outputs.  params: keyword arguments of every provider and of the reference.
    TypeError for what is neither.
    """

    def __init__(self, *items, dtype="float32", flops=None, bytes=None, name=None, params=None):
        self.items = tuple(item if isinstance(item, Draw) else stand_in(item) for item in items)
        self.dtype, self.flops, self.bytes, self.params = numpy_dtype(dtype), flops, bytes, dict(params or {})
        if self.dtype.name not in EPS:
            raise TypeError("a case's dtype is that of its floating-point inputs, one of "
                            f"{', '.join(n for n in EPS if n != 'tf32')}, not {self.dtype.name}; integers come from "
                            "minitorch.cases.integers(3, 4, high=10), --integers 3x4:10")
        for what, amount in (("flops", flops), ("bytes", bytes)):
            if amount is not None and not amount > 0:
                raise ValueError(f"{what} must be above 0, not {amount}")
        self.name = name or " ".join(described(item) for item in self.items) or "no inputs"
        self.strided, self.scale, self.offset = False, 1.0, 0.0      # of normal numbers
        self.make, self.sizes = None, {}

    @classmethod
    def of(cls, make, *, dtype="float32", flops=None, bytes=None, name=None, params=None, **sizes):
        """The case make(**sizes), whose sizes vary one by one.  flops and bytes may be functions of the sizes."""
        def count(work):
            return work(**sizes) if callable(work) else work
        made = make(**sizes)
        case = cls(*(made if isinstance(made, tuple | list) else (made,)), dtype=dtype, flops=count(flops), bytes=count(bytes), params=params,
                   name=name or " ".join(f"{n}={v}" for n, v in sizes.items()))
        case.make, case.sizes = make, sizes
        return case

    def __repr__(self):
        return f"<Case {self.name} {self.dtype.name}>"

    def draw(self, rng):
        """NumPy arrays and numbers, in C order."""
        return [drawn(item, self.dtype, rng, self.scale, self.offset) for item in self.items]

    def with_sizes(self, name, change):
        """The case with every size n as change(n, i), i counting the sizes that are told apart."""
        if self.make:
            changed = {n: change(v, i) if isinstance(v, int) and v > 1 else v for i, (n, v) in enumerate(self.sizes.items())}
            made = self.make(**changed)
            other = Case(*(made if isinstance(made, tuple | list) else (made,)), dtype=self.dtype, params=self.params)
            other.make, other.sizes = self.make, changed
            other.name = f"{name} ({' '.join(f'{n}={v}' for n, v in changed.items())})"
            return other
        found = sorted({n for item in self.items if isinstance(item, Draw) for n in item.shape if n > 1})
        table = {n: change(n, 0) for n in found}         # equal sizes stay equal: they may have to
        other = copy.copy(self)
        other.items = tuple(resized(item, table) for item in self.items)
        other.name = f"{name} ({' '.join(described(item) for item in other.items)})"
        return other

    def variations(self, precision=None):
        """[(name, Case)]: "tail", "other sizes", "strides", "other numbers", as far as the case has them; precision: in which is computed."""
        arrays = [item for item in self.items if isinstance(item, Draw)]
        found = []
        if any(n > 1 for item in arrays for n in item.shape):
            found += [("tail", self.with_sizes("one more", lambda n, i: n + 1)),
                      ("other sizes", self.with_sizes("other sizes", lambda n, i: max(2, n * (5 + i) // (9 + 2 * i) | 1)))]
        if any(len(item.shape) and max(item.shape, default=0) > 1 for item in arrays):
            strided = copy.copy(self)
            strided.strided, strided.name = True, "other strides"
            found.append(("strides", strided))
        if any(type(item) is normal for item in arrays):
            large = 8.0 if "float16" in (precision, self.dtype.name) else 64.0        # exp overflows, a sum of squares does not
            for scale, offset, name in ((0.5, 0.25, "half as large, around 0.25"), (large, 0.0, f"{large:g} times as large")):
                other = copy.copy(self)
                other.scale, other.offset, other.name = scale, offset, name
                found.append(("other numbers", other))
        return found


def stand_in(item):
    if isinstance(item, np.ndarray | np.generic | bool | int | float):
        return item
    if isinstance(item, tuple | list) and all(isinstance(n, int | np.integer) and n >= 0 for n in item):
        return normal(*map(int, item))
    raise TypeError(f"a case is made of shapes, stand-ins of minitorch.cases, NumPy arrays and numbers, not {item!r}")


def resized(item, table):
    if not isinstance(item, Draw):
        return item
    other = copy.copy(item)
    other.shape = tuple(table.get(n, n) for n in item.shape)
    return other


def drawn(item, dtype, rng, scale=1.0, offset=0.0):
    if isinstance(item, np.ndarray):
        return item.copy()
    if not isinstance(item, Draw):
        return item
    if type(item) is normal and dtype.itemsize in (4, 8) and dtype.kind == "f":
        y = rng.standard_normal(item.shape, dtype)       # three times as fast as by way of float64
    else:
        y = np.asarray(item.draw(rng))
    if type(item) is normal and (scale, offset) != (1.0, 0.0):
        y = y * scale + offset
    if y.dtype.kind == "f":
        y = y.astype(np.float32 if item.full and dtype.itemsize == 2 else dtype, copy=False)
    return np.ascontiguousarray(y).reshape(item.shape)


def described(item):
    if isinstance(item, Draw | np.ndarray):
        return "x".join(map(str, item.shape)) or "scalar"
    return str(item)


def numpy_dtype(name):
    """NumPy's dtype of a name, a NumPy dtype or one of minitorch's; ImportError where bfloat16 needs ml_dtypes."""
    if isinstance(name, str) and name in dtypes.BY_NAME:
        return np.dtype(dtypes.BY_NAME[name].numpy)
    return np.dtype(getattr(name, "numpy", name))


def as_cases(given, dtype=None):
    """A list of cases of what compare() takes: one Case or tuple of items, or a list of them."""
    if isinstance(given, Case | tuple):
        given = [given]
    for case in given:
        if isinstance(case, tuple) and case and all(isinstance(n, int) and not isinstance(n, bool) for n in case):
            raise TypeError(f"a case is a tuple of inputs, and {case} has numbers alone: one input of that shape is ({case},)")
    made = [case if isinstance(case, Case) else Case(*(case if isinstance(case, tuple) else (case,)), dtype=dtype or "float32") for case in given]
    if not made:
        raise ValueError("there is nothing to measure: give at least one case, such as Case((64, 64), (64, 64))")
    for name, same in itertools.groupby(sorted(made, key=lambda c: c.name), key=lambda c: (c.name, c.dtype.name)):
        if len(list(same)) > 1:
            raise ValueError(f"two cases are called {name[0]} in {name[1]}: give one of them a name")
    return made


DOMAINS = {c.__name__: c for c in (cases.normal, cases.positive, cases.above_one, cases.unit, cases.probability, cases.distinct, cases.definite,
                                   cases.invertible)}
