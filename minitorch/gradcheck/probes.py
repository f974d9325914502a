"""Inputs at which a mutant may show: is a derivative with a mistake another derivative at all?

Times a factor that is always one, or of a gradient that is always zero, a mistake is none: no test can notice it.  A `Probe`
runs a derivative at one set of inputs: fresh random numbers, zeros, ones, ties, whole numbers, huge and tiny ones, NaN, sizes of
one, other parameters.  Where no probe tells the two apart, the mutant is called equivalent.
"""
import copy
import dataclasses

import numpy as np

from .. import autograd
from ..autograd.mode import enable_grad
from ..backend import is_array, to_numpy
from ..cases import Draw, walk
from ..dtypes import is_float
from ..tensor import Tensor, wrap
from .problem import flat

SEEDS = (1001, 1002, 1003)
ROUNDING = 1e-12                                     # of the largest entry
POLE = 1e14
SCALED = ("large", "tiny")                           # numbers at which second derivatives are rounding too


@dataclasses.dataclass
class Probe:
    """`run()` gives the arrays that a derivative computes at inputs described by `where`."""
    where: str
    run: object
    right: object = None                             # what the right derivative computes; None where it raises

    def settle(self):
        """Remember what the right derivative, planted now, computes: if it is the same every time, and no pole, where it is rounding."""
        self.right = outcome(self.run)
        if self.right is not None and (size_of(self.right) > POLE or difference(self.right, outcome(self.run))):
            self.right = None
        return self


def outcome(run):
    """The arrays, or None for an error."""
    try:
        with np.errstate(all="ignore"):
            return [g if g is None else to_numpy(g).astype("f8") if is_float(g.dtype) else to_numpy(g) for g in run()]
    except Exception:                                # of any kind: the mutant, or the inputs, may do anything
        return None


def difference(right, wrong):
    """In words, how two lists of arrays differ by more than rounding; "" where they do not."""
    if wrong is None:
        return "an error"
    size = size_of(right)
    for a, b in zip(right, wrong):
        if a is None or b is None:
            if a is not b and any(x is not None and np.any(x) for x in (a, b)):
                return "a gradient where none should be" if a is None else "no gradient"
            continue
        if a.shape != b.shape:
            return f"shape {b.shape} for {a.shape}"
        with np.errstate(all="ignore"):
            apart = ~((np.abs(a - b) <= ROUNDING * size) | (a == b) | ((a != a) & (b != b))) if a.dtype.kind == "f" else a != b
        if apart.any():
            i = tuple(int(v) for v in np.argwhere(apart)[0])
            return f"{b[i]:.6g} for {a[i]:.6g}"
    return "" if len(right) == len(wrong) else f"{len(wrong)} results for {len(right)}"


def size_of(arrays):
    """The largest finite float of several arrays."""
    return max((float(np.abs(a[np.isfinite(a)]).max(initial=0)) for a in arrays if a is not None and a.dtype.kind == "f"), default=0.0)


def seen_apart(probes):
    """Where a mutant, planted now, differs from the right derivative, in words; "" where none of the settled probes tells them apart."""
    for probe in probes:
        if found := difference(probe.right, outcome(probe.run)):
            return f"{probe.where}: {found}"
    return ""


# ---- other numbers in place of those of a call -------------------------------------------------------------------------

def first_everywhere(a):
    return np.full_like(a, a.flat[0]) if a.size else a


def halves_alike(a):
    flat = a.reshape(-1).copy()
    half = flat.size // 2
    flat[half:2 * half] = flat[:half]
    return flat.reshape(a.shape)


def with_nan(a):
    a = a.copy()
    if a.size:
        a.flat[a.size // 2] = np.nan
    return a


SPECIAL = {
    "zeros": np.zeros_like, "ones": np.ones_like, "all entries equal": first_everywhere, "ties": halves_alike,
    "whole numbers": lambda a: np.round(2 * a), "half zeros": lambda a: a * (np.arange(a.size).reshape(a.shape) % 2),
    "large numbers": lambda a: a * 40, "tiny numbers": lambda a: a * 1e-9, "one NaN": with_nan,
}
NUMBERS = (0, 1, -2, 0.5)                            # for a number that a call was given


def moved_parameters(value, others):
    """Other values for a parameter: those that it has elsewhere, and some of its kind."""
    found = list(others)
    if isinstance(value, bool):
        found.append(not value)
    elif isinstance(value, int):
        found += [value + 1, value - 1, 0, 2]
    elif isinstance(value, float):
        found += [0.7 * value + 0.1, 2.3 * value, -value]
    return [v for i, v in enumerate(found) if repr(v) != repr(value) and repr(v) not in map(repr, found[:i])]


def variants(arrays, seeds=(), values=()):
    """(words, arrays) for lists of which the float arrays hold other numbers, or the others stand in another order.

    seeds: with random numbers too.  values: numbers with a meaning for the call, to stand on.
    """
    floats = [i for i, a in enumerate(arrays) if is_array(a) and is_float(a.dtype)]
    others = [i for i, a in enumerate(arrays) if is_array(a) and i not in floats]
    for v in values:
        yield f"{v} in every other entry", [np.where(np.arange(a.size).reshape(a.shape) % 2, a, a.dtype.type(v)) if i in floats else a
                                            for i, a in enumerate(arrays)]
    for i in others:
        yield f"array {i} in reverse order", [*arrays[:i], arrays[i].reshape(-1)[::-1].reshape(arrays[i].shape), *arrays[i + 1:]]
        yield f"array {i} moved by one", [*arrays[:i], np.roll(arrays[i], 1), *arrays[i + 1:]]
    for seed in seeds:
        rng = np.random.default_rng(seed)
        yield f"random numbers (seed {seed})", [np.asarray(rng.normal(size=a.shape) * spread(a), dtype=a.dtype) if i in floats else a
                                                for i, a in enumerate(arrays)]
    for words, change in SPECIAL.items():
        for chosen in ([floats] if len(floats) == 1 else [floats, *[[i] for i in floats[:3]]]):
            which = "" if chosen == floats else f" in array {chosen[0]}"
            yield words + which, [np.asarray(change(a), dtype=a.dtype) if i in chosen else a for i, a in enumerate(arrays)]


def spread(a):
    return float(np.sqrt(np.mean(np.square(a.astype("f8"))))) or 1.0 if a.size else 1.0


def gradients(call, args, second, only=None):
    """The gradients of a call by its float arrays, for fixed random cotangents; `second`: then the gradients of these.

    only: the number of the one result that gets a cotangent.
    """
    leaves = []

    def tensor(x):
        if isinstance(x, Tensor):
            x = x.array
        if isinstance(x, tuple | list):
            return type(x)([tensor(v) for v in x])
        if not is_array(x):
            return x
        t = wrap(x)
        if is_float(x.dtype):
            leaves.append(t.requires_grad_())
        return t
    rng = np.random.default_rng(0)
    with enable_grad():
        ys = [y for y in flat(call(*[tensor(x) for x in args])) if isinstance(y, Tensor) and y.requires_grad]
        ys = ys if only is None else ys[only:only + 1]
        us = [wrap(rng.normal(size=y.shape).astype(y.array.dtype)).requires_grad_(second) for y in ys]
        gs = autograd.grad(ys, leaves, us, allow_unused=True, create_graph=second) if ys else []
        found = [None if g is None else g.array for g in gs]
        again = [g for g in gs if second and g is not None and g.requires_grad]
        if again:
            ws = [wrap(rng.normal(size=g.shape).astype(g.array.dtype)) for g in again]
            found += [None if g is None else g.array for g in autograd.grad(again, [*leaves, *us], ws, allow_unused=True)]
    return found


# ---- the probes of an op, of a Function, of a plain function -----------------------------------------------------------

def of_op(op):
    """Probes around every case of an op."""
    bound = []
    for args, params in op.cases:
        try:
            bound.append(op.bind(args, params))
        except TypeError:
            continue
    elsewhere = {}
    for _, params in bound:
        for name, value in params.items():
            elsewhere.setdefault(name, []).append(value)
    for number, (args, params) in enumerate(bound):
        yield from of_case(op, f"case {number}", args, params, elsewhere)


def of_case(op, label, args, params, elsewhere):
    def probe(where, args, params, second=False, only=None):
        return Probe(f"{label}, {where}", lambda: gradients(lambda *arrays: op.call(*arrays, **params), args, second, only))

    def drawn(x, seed):
        rng = np.random.default_rng(seed)
        return walk(x, lambda d: d.draw(rng))

    for seed in SEEDS:
        yield probe(f"seed {seed}", drawn(args, seed), drawn(params, seed), seed == SEEDS[0])
    args, one = drawn(args, SEEDS[0]), walk(args, resized)
    params = drawn(params, SEEDS[0])
    nested = [isinstance(a, tuple | list) for a in args]
    if not any(nested):
        given = [params.get(name, op.defaults.get(name)) for name in op.meta] + list(args)
        values = [v for v in given if isinstance(v, int | float) and not isinstance(v, bool)]
        for where, changed in variants(list(args), (), sorted({s * v for v in values for s in (1, -1)})):
            yield probe(where, changed, params, not where.startswith(SCALED))
    yield probe("sizes of one", drawn(one, SEEDS[0]), params)
    count = results_of(op, args, params)
    alone = range(count) if count > 1 else ()        # a derivative may refuse to be asked for all at once
    for k in alone:
        yield probe(f"result {k} alone", args, params, False, k)
    for name in {**op.defaults, **params}:
        if name in op.meta:
            for value in moved_parameters(params.get(name, op.defaults.get(name)), elsewhere.get(name, ())):
                if not isinstance(value, Draw):
                    for k in (None, *alone):
                        yield probe(f"{name}={value}" + ("" if k is None else f", result {k} alone"), args, {**params, name: value}, False, k)
    for i, a in enumerate(args):
        if isinstance(a, int | float) and not isinstance(a, bool):
            for value in NUMBERS:
                yield probe(f"{value} as argument {i}", [*args[:i], value, *args[i + 1:]], params)


def results_of(op, args, params):
    """How many results a call has; 0 where it raises."""
    try:
        return len(flat(op.call(*[[wrap(v) for v in a] if isinstance(a, list) else wrap(a) if is_array(a) else a for a in args], **params)))
    except Exception:
        return 0


def resized(d):
    """A stand-in with every axis of size 1."""
    d = copy.copy(d)
    d.shape = (1,) * len(d.shape)
    return d


def of_calls(call, recorded):
    """Probes around recorded calls of a Function's apply, or of any function of Tensors."""
    for number, args in enumerate(recorded):
        plain = [a.array if isinstance(a, Tensor) else a for a in args]
        for where, changed in [("as it was", plain), *variants(plain, SEEDS)]:
            yield Probe(f"call {number}, {where}", lambda changed=changed, where=where: gradients(call, changed, where == "as it was"))


def of_arguments(call, recorded):
    """Probes around recorded calls of a derivative that is a plain function of arrays or Tensors."""
    for number, args in enumerate(recorded):
        plain = [a.array if isinstance(a, Tensor) else a for a in args]
        tensors = [isinstance(a, Tensor) for a in args]
        for where, changed in [("as it was", plain), *variants(plain, SEEDS)]:
            given = [wrap(a) if t else a for a, t in zip(changed, tensors)]
            yield Probe(f"call {number}, {where}", lambda given=given: [arrays(g) for g in flat(call()(*given))])


def arrays(g):
    return g.array if isinstance(g, Tensor) else np.asarray(g)
