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
from minitorch.ops import later
from minitorch.tensor import Tensor, wrap

later.read_all()

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
    """A result as a flat list of tensors; numbers and booleans become tensors, None is left out."""
    if isinstance(y, (list, tuple)):
        return [t for v in y for t in results(v)]
    if y is None:
        return []
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
    """The sum of all products, in NumPy: with random weights `us` a number that depends on every result."""
    return sum(float((to_numpy(t.array) * u).sum()) for t, u in zip(ts, us))


def pull(ys, us, leaves, create_graph=False):
    """The gradients of the leaves for the cotangents `us` of the results ys; None for a leaf that no result depends on.

    The cotangents go straight into backward: an op's derivative must not pass through that same op in the check's own sum.
    """
    pairs = [(y, u) for y, u in zip(ys, us) if y.requires_grad]
    if not pairs:
        return [None] * len(leaves)
    us = [u if isinstance(u, Tensor) else wrap(u.astype(y.array.dtype, copy=False)) for y, u in pairs]
    return autograd.grad([y for y, _ in pairs], leaves, us, create_graph=create_graph, allow_unused=True)


def products(gs, vs):
    """Of each gradient with a direction, as numbers; none for a gradient that is None."""
    return [float((to_numpy(g.array) * v).sum()) for g, v in zip(gs, vs) if g is not None]


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
    if not any(y.requires_grad for y in ys):
        return False
    gs = pull(ys, us, leaves)
    for g, x in zip(gs, xs):
        assert g is None or (g.array.shape == x.shape and g.array.dtype == x.dtype), "a gradient's shape or dtype differs from its input's"
    terms = products(gs, vs)

    def value(points):
        with minitorch.no_grad():
            return dot([y for y in f([wrap(p) for p in points]) if is_float(y)], us)
    compare(slope(value, xs, vs, eps), sum(terms), sum(map(abs, terms)), "first derivative")
    return True


def gradient_function(f, count, create_graph=True):
    """x, u -> the gradients of <f(x), u> by x: recorded, to be differentiated again, or plain."""
    def second(leaves):
        xs, us = leaves[:count], leaves[count:]
        return [g for g in pull([y for y in f(xs) if is_float(y)], us, xs, create_graph) if g is not None]
    return second


def check_second(f, xs, rng, eps=1e-4):
    """The gradient of f, as a function of the inputs and of the incoming gradient, checked as f was.

    The differences are taken of plain gradients: derivatives that compute something else on tensors than on arrays are noticed.
    """
    with minitorch.no_grad():
        ys = [y for y in f([wrap(x) for x in xs]) if is_float(y)]
    points = [*xs, *[np.asarray(rng.normal(size=y.shape)) for y in ys]]
    g = gradient_function(f, len(xs))
    leaves = [leaf(p) for p in points]
    outs = g(leaves)
    ws = [np.asarray(rng.normal(size=o.shape)) for o in outs]
    vs = [direction(p, rng) for p in points]
    terms = products(pull(outs, ws, leaves), vs)

    plain = gradient_function(f, len(xs), create_graph=False)

    def value(ps):
        gs = plain([leaf(p) for p in ps])
        assert len(gs) == len(outs), f"{len(gs)} inputs have a gradient, {len(outs)} where it is recorded"
        return dot(gs, ws)
    compare(slope(value, points, vs, eps), sum(terms), sum(map(abs, terms)), "second derivative")


def check_jvp(f, xs, rng, eps=1e-4):
    """J v by two vjps against the finite difference of f along v."""
    leaves = [leaf(x) for x in xs]
    ys = [y for y in f(leaves) if is_float(y)]
    us = [leaf(np.zeros(y.shape)) for y in ys]
    vs = [direction(x, rng) for x in xs]
    ts = [np.asarray(rng.normal(size=y.shape)) for y in ys]
    if not any(y.requires_grad for y in ys):
        return
    gs = pull(ys, us, leaves, create_graph=True)
    pairs = [(g, v) for g, v in zip(gs, vs) if g is not None]
    terms = products(pull([g for g, _ in pairs], [v for _, v in pairs], us), ts)

    def value(points):
        with minitorch.no_grad():
            return dot([y for y in f([wrap(p) for p in points]) if is_float(y)], ts)
    compare(slope(value, xs, vs, eps), sum(terms), sum(map(abs, terms)), "jvp")
