"""The op table as test cases: drawn inputs, runs, and finite differences.

Every case of every op or composed function becomes a `Case`: what to call, with which drawn arrays.
`Case.run` calls it with the drawn numbers as tensors of a chosen array library and dtype.
"""
import numpy as np

import minitorch
from minitorch import autograd
from minitorch.autograd.op import OPS
from minitorch.backend import to_numpy
from minitorch.cases import walk, walk_arrays
from minitorch.tensor import Tensor, wrap


class Case:
    """One call from the table."""

    def __init__(self, name, number, call, args, params):
        self.name, self.call, self.args, self.params = name, call, args, params
        self.id = f"{name}-{number}"

    def draw(self, seed=0):
        """The call's arguments with numbers for every stand-in: (args, params) holding NumPy arrays."""
        rng = np.random.default_rng(seed)
        return walk(self.args, lambda d: d.draw(rng)), walk(self.params, lambda d: d.draw(rng))

    def floats(self, drawn):
        """The float arrays of a draw, in order: what can be differentiated."""
        found = []
        walk_arrays(drawn, lambda a: found.append(a) if a.dtype.kind == "f" else None)
        return found

    def run(self, drawn, leaves=None, convert=lambda a: a):
        """Call it with tensors; `leaves` replaces the float arrays in order.  Returns the list of result tensors."""
        leaves = iter(leaves) if leaves is not None else None

        def tensor(a):
            if a.dtype.kind == "f" and leaves is not None:
                return next(leaves)
            return wrap(convert(a))
        args, params = walk_arrays(drawn, tensor)
        return results(self.call(*args, **params))


def results(y):
    """A result as a flat list of tensors; numbers and booleans become tensors."""
    if isinstance(y, (list, tuple)):
        return [t for v in y for t in results(v)]
    return [y if isinstance(y, Tensor) else wrap(np.asarray(y))]


def cases():
    """Every case of the table."""
    return [Case(name, i, call, args, params) for name, call in OPS.items() for i, (args, params) in enumerate(call.cases)]


def is_float(t):
    return t.dtype.is_floating_point


# ---- finite differences, along one random direction ------------------------------------------------------

class Wrong(AssertionError):
    """A derivative differs from the finite difference."""


def leaf(a):
    return wrap(a).requires_grad_()


def dot(ts, us):
    """The sum of all products: a number that depends on every result, with random weights."""
    total = None
    for t, u in zip(ts, us):
        term = (t * wrap(u)).sum()
        total = term if total is None else total + term
    return total


def direction(x, rng):
    """A random direction in which to move x: a symmetric one for symmetric matrices, of which an op may read one triangle."""
    v = np.asarray(rng.normal(size=x.shape))
    symmetric = x.ndim > 1 and x.shape[-1] == x.shape[-2] and np.array_equal(x, x.swapaxes(-1, -2))
    return v + v.swapaxes(-1, -2) if symmetric else v


def slope(f, xs, vs, eps):
    """d/dt f(xs + t vs) at 0, by fourth-order central differences; f gives a float."""
    at = [f([np.asarray(x + t * eps * v) for x, v in zip(xs, vs)]) for t in (-2, -1, 1, 2)]
    return (at[0] - 8 * at[1] + 8 * at[2] - at[3]) / (12 * eps)


def compare(numeric, exact, scale, what):
    if not abs(numeric - exact) <= 1e-6 * max(scale, abs(numeric), 1e-3):
        raise Wrong(f"{what}: finite difference {numeric:.12g}, derivative {exact:.12g}")


def check_first(f, xs, rng, eps=1e-4):
    """f: list of float64 leaves -> list of tensors.  Its gradient against a finite difference; raises Wrong."""
    leaves = [leaf(x) for x in xs]
    ys = [y for y in f(leaves) if is_float(y)]
    us = [np.asarray(rng.normal(size=y.shape)) for y in ys]
    vs = [direction(x, rng) for x in xs]
    out = dot(ys, us)
    if out is None or not out.requires_grad:
        return False
    gs = autograd.grad(out, leaves, allow_unused=True)
    for g, x in zip(gs, xs):
        assert g is None or (g.array.shape == x.shape and g.array.dtype == x.dtype), "a gradient's shape or dtype differs from its input's"
    terms = [float((to_numpy(g.array) * v).sum()) for g, v in zip(gs, vs) if g is not None]

    def value(points):
        with minitorch.no_grad():
            return float(dot([y for y in f([wrap(p) for p in points]) if is_float(y)], us).array)
    compare(slope(value, xs, vs, eps), sum(terms), sum(map(abs, terms)), "first derivative")
    return True


def gradient_function(f, count, us, ws):
    """x, u -> <grad(<f(x), u>), w>: the gradient, made a function of one number to differentiate again."""
    def second(leaves):
        xs, us = leaves[:count], leaves[count:]
        ys = [y for y in f(xs) if is_float(y)]
        total = None
        for y, u in zip(ys, us):
            term = (y * u).sum()
            total = term if total is None else total + term
        if total is None or not any(y.requires_grad for y in ys):
            return []
        gs = autograd.grad(total, xs, create_graph=True, allow_unused=True)
        return [g * wrap(w) for g, w in zip(gs, ws) if g is not None]
    return second


def check_second(f, xs, rng, eps=1e-4):
    """The gradient of f, as a function of the inputs and of the incoming gradient, checked as f was."""
    with minitorch.no_grad():
        ys = [y for y in f([wrap(x) for x in xs]) if is_float(y)]
    us = [np.asarray(rng.normal(size=y.shape)) for y in ys]
    ws = [np.asarray(rng.normal(size=x.shape)) for x in xs]
    g = gradient_function(f, len(xs), us, ws)
    points = [*xs, *us]
    leaves = [leaf(p) for p in points]
    outs = g(leaves)
    vs = [direction(p, rng) for p in points]
    total = None
    for o in outs:
        total = o.sum() if total is None else total + o.sum()
    terms = []
    if total is not None and total.requires_grad:
        gs = autograd.grad(total, leaves, allow_unused=True)
        terms = [float((to_numpy(h.array) * v).sum()) for h, v in zip(gs, vs) if h is not None]

    def value(ps):
        return sum(float(o.sum().array) for o in g([leaf(p) for p in ps]))
    compare(slope(value, points, vs, eps), sum(terms), sum(map(abs, terms)), "second derivative")


def check_jvp(f, xs, rng, eps=1e-4):
    """J v by two vjps against the finite difference of f along v."""
    leaves = [leaf(x) for x in xs]
    ys = [y for y in f(leaves) if is_float(y)]
    us = [leaf(np.zeros(y.shape)) for y in ys]
    vs = [direction(x, rng) for x in xs]
    ts = [np.asarray(rng.normal(size=y.shape)) for y in ys]
    total = None
    for y, u in zip(ys, us):
        if y.requires_grad:
            term = (y * u).sum()
            total = term if total is None else total + term
    if total is None:
        return
    gs = autograd.grad(total, leaves, create_graph=True, allow_unused=True)
    along = dot([g for g in gs if g is not None], [v for g, v in zip(gs, vs) if g is not None])
    if along is None or not along.requires_grad:
        jv = [None] * len(us)
    else:
        jv = autograd.grad(along, us, allow_unused=True)
    terms = [float((to_numpy(j.array) * t).sum()) for j, t in zip(jv, ts) if j is not None]

    def value(points):
        with minitorch.no_grad():
            return float(dot([y for y in f([wrap(p) for p in points]) if is_float(y)], ts).array)
    compare(slope(value, xs, vs, eps), sum(terms), sum(map(abs, terms)), "jvp")
