"""The work of autograd.gradcheck: Jacobians entry by entry, from differences and from backward, and how gradients must behave.

For every entry of an input the function runs twice, at +eps and at -eps; for every entry of an output there are two
backward passes, which must agree.  Matrices are (entries of the input, entries of the output), as PyTorch prints them.
"""
import contextlib
import dataclasses
import sys
import warnings

import numpy as np

from .. import autograd, func
from ..autograd import engine
from ..autograd.custom import FunctionNode
from ..autograd.gradcheck import GradcheckError
from ..autograd.mode import enable_grad, no_grad
from ..backend import to_numpy, xp
from ..tensor import Tensor, wrap
from .check import Check, name_of
from .problem import TensorFunction, argument_names, gradients
from .report import WRONG

BATCH = 10                                           # gradients in the check of vmap


@dataclasses.dataclass
class Options:
    """The arguments of gradcheck."""
    eps: float
    atol: float
    rtol: float
    nondet_tol: float
    undefined: bool
    batched: bool
    forward: bool
    backward: bool
    fast: bool

    @property
    def untouched(self):
        """Whether step and tolerances are the defaults."""
        return (self.eps, self.atol, self.rtol) == (1e-6, 1e-5, 1e-3)

    def close(self, a, n):
        """Whether the derivatives `a` are within tolerance of the difference quotients `n`."""
        return np.allclose(a.astype("f8"), n.astype("f8"), self.rtol, self.atol)


def run(f, inputs, options):
    """GradcheckError where something is wrong with the gradient of f; ValueError, RuntimeError where `inputs` cannot be used."""
    inputs = as_tuple(inputs)
    check_inputs(inputs)
    ys = f(*inputs)
    outputs = differentiable(ys)
    if not outputs:
        for row in numerical(f, inputs, ys, options.eps, as_tuple):
            if any(n.any() for n in row):
                raise GradcheckError("Numerical gradient for function expected to be zero")
        return
    for forward in [False] * options.backward + [True] * options.forward:
        if not options.fast or not passes(f, inputs, options, forward):
            compare(f, inputs, outputs, options, forward)
    if options.backward:
        if options.batched:
            check_batched(inputs, outputs)
        check_multiplied(inputs, outputs)
        if options.undefined:
            check_undefined(f, inputs)


def run_second(f, inputs, grad_outputs, scattered, options):
    """The same of the gradient of f, as a function of its inputs and of the gradients arriving at its outputs."""
    inputs = as_tuple(inputs)
    if grad_outputs is None:
        rng = np.random.default_rng(0)
        outputs = differentiable(f(*inputs))
        if not outputs and wanting(inputs):
            raise ValueError("gradgradcheck expects at least one output of the function to require gradient, but none does.")
        grad_outputs = [drawn_like(y, rng, scattered) for y in outputs]
    grad_outputs = as_tuple(grad_outputs)

    def gradient(*args):
        xs, us = args[:len(inputs)], args[len(inputs):]
        with enable_grad():
            gs = autograd.grad(differentiable(f(*xs)), [x for x, i in zip(xs, inputs) if requires_grad(i)], us, create_graph=True, allow_unused=True)
        return tuple([g for g in gs if g is not None])
    gradient.__name__ = f"gradient of {name_of(f)}"
    run(gradient, inputs + grad_outputs, options)


def drawn_like(y, rng, scattered):
    """A gradient for the output y; scattered: every second entry of a larger array."""
    room = rng.normal(size=(*y.shape, 2) if scattered else y.shape)
    u = xp(y.array).asarray(np.asarray(room)).astype(y.array.dtype)
    return wrap(u[..., 0] if scattered else u).requires_grad_()


# ---- inputs and outputs -------------------------------------------------------------------------------------------

def as_tuple(x):
    return tuple(x) if isinstance(x, tuple | list) else (x,)


def requires_grad(x):
    return isinstance(x, Tensor) and x.requires_grad


def wanting(inputs):
    """Those that require grad."""
    return [x for x in inputs if requires_grad(x)]


def differentiable(ys):
    """The outputs that require grad."""
    return tuple([y for y in as_tuple(ys) if y.requires_grad])


def check_inputs(inputs):
    for i, x in enumerate(inputs):
        if not requires_grad(x):
            continue
        if x.array.dtype != np.float64:
            warnings.warn(f"Input #{i} requires gradient and is not a double precision floating point or complex. This check will likely "
                          "fail if all the inputs are not of double precision floating point or complex. ", stacklevel=users_level())
        if x.array.size and any(stride == 0 and n > 1 for n, stride in zip(x.array.shape, x.array.strides)):
            raise RuntimeError(f"The {i}th input has a dimension with stride 0. gradcheck only supports inputs that are non-overlapping to be "
                               "able to compute the numerical gradients correctly. You should call .contiguous on the input before passing "
                               "it to gradcheck.")
    if not wanting(inputs):
        raise ValueError("gradcheck expects at least one input tensor to require gradient, but none of them have requires_grad=True.")


def users_level():
    """The stacklevel at which a warning names the line outside this package."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("minitorch."):
        level, frame = level + 1, frame.f_back
    return level


# ---- Jacobians ----------------------------------------------------------------------------------------------------

def numerical(f, inputs, outputs, eps, chosen):
    """[output][input]: central differences of what chosen(f(*inputs)) gives, as it gave `outputs`; inputs move in place, and back."""
    columns = []                                     # [input][entry][output]
    for x in wanting(inputs):
        column = []
        for i in np.ndindex(x.array.shape):
            here = x.array[i].copy()
            try:
                x.array[i] = here - eps
                below = values(chosen(f(*inputs)))
                x.array[i] = here + eps
                above = values(chosen(f(*inputs)))
            finally:
                x.array[i] = here
            with np.errstate(all="ignore"):
                column.append([(b - a).reshape(-1) / (2 * np.float64(eps)).astype(b.dtype) for a, b in zip(below, above)])
        columns.append(column)
    sizes = [y.array.size for y in as_tuple(outputs)]
    return [[np.stack([entry[k] for entry in column]) if column else np.zeros((0, n)) for column in columns] for k, n in enumerate(sizes)]


def values(ys):
    """Copies of the outputs' numbers as NumPy arrays of floats: whole numbers as float64."""
    arrays = [to_numpy(y.array) for y in ys]
    return [a.astype("f8") if a.dtype.kind in "iub" else a.copy() for a in arrays]


def analytical(xs, y):
    """[input]: the derivatives of y, by one backward pass for each of its entries."""
    columns = [[] for _ in xs]
    for i in np.ndindex(y.array.shape):
        u = xp(y.array).zeros_like(y.array)
        u[i] = 1
        for x, g, column in zip(xs, pull(y, xs, u), columns):
            column.append(np.zeros(x.array.size) if g is None else to_numpy(g.array).reshape(-1))
    return [np.stack(c, 1) if c else np.zeros((x.array.size, 0)) for x, c in zip(xs, columns)]


def pull(y, xs, u):
    """The gradients of y for u by autograd.grad, None where y does not depend on an input."""
    return autograd.grad([y], xs, [wrap(u)], retain_graph=True, allow_unused=True)


def tangents(f, inputs, outputs):
    """[output][input]: the derivatives by forward mode, one pass for each entry of an input."""
    xs = wanting(inputs)
    _, push = func.linearize(lambda *leaves: tuple(differentiable(f(*filled(inputs, leaves)))), *[x.detach() for x in xs])
    rows = [[[] for _ in xs] for _ in outputs]
    for j, x in enumerate(xs):
        for i in np.ndindex(x.array.shape):
            ts = [wrap(xp(v.array).zeros_like(v.array)) for v in xs]
            ts[j].array[i] = 1
            for row, t in zip(rows, push(*ts)):
                row[j].append(to_numpy(t.array).reshape(-1).copy())
    return [[np.stack(r) if r else np.zeros((0, y.array.size)) for r in row] for row, y in zip(rows, outputs)]


def filled(inputs, leaves):
    """`inputs` with those that require grad replaced."""
    leaves = iter(leaves)
    return [next(leaves) if requires_grad(x) else x for x in inputs]


def compare(f, inputs, outputs, options, forward):
    """GradcheckError where the claimed Jacobian is not that of differences, or is not the same twice."""
    found = numerical(f, inputs, outputs, options.eps, differentiable)
    xs = wanting(inputs)
    claimed = tangents(f, inputs, outputs) if forward else None
    for i, y in enumerate(outputs):
        rows = claimed[i] if forward else twice(xs, y, options)
        for j, (a, n) in enumerate(zip(rows, found[i])):
            if not options.close(a, n):
                raise GradcheckError(f"Jacobian {'computed with forward mode ' if forward else ''}mismatch for output {i} with respect to "
                                     f"input {j},\nnumerical:{wrap(n)}\nanalytical:{wrap(a)}\n{explained(f, inputs, options, forward)}")


def twice(xs, y, options):
    """The Jacobian of y by backward, computed twice."""
    rows, again = analytical(xs, y), analytical(xs, y)
    if any(a.size and np.abs(a - b).max() > options.nondet_tol for a, b in zip(rows, again)):
        raise GradcheckError("Backward is not reentrant, i.e., running backward with same input and grad_output multiple times gives different "
                             f"values, although analytical gradient matches numerical gradient.The tolerance for nondeterminism was "
                             f"{options.nondet_tol}.\n\nIf a backward is meant to vary this much from call to call, say so: nondet_tol=<tolerance>.")
    return rows


# ---- what minitorch.gradcheck.check says of the same function ------------------------------------------------------

class InPlace(TensorFunction):
    """A function whose inputs are moved where they are, so that it may read them from elsewhere than its arguments."""

    @contextlib.contextmanager
    def moved(self, arrays):
        """Within this block the inputs hold `arrays`; what the function writes to them is handed back there."""
        own = [self.inputs[i].array for i in self.places]
        kept = [a.copy() for a in own]
        try:
            for a, new in zip(own, arrays):
                a[...] = new
            yield
            for a, new in zip(own, arrays):
                new[...] = a
        finally:
            for a, old in zip(own, kept):
                a[...] = old

    def call(self, arrays):
        with self.moved(arrays), enable_grad():
            return [wrap(y.array.copy()) for y in differentiable(self.f(*self.inputs))]

    def pull(self, arrays, cotangents):
        self.pulls += 1
        xs = [self.inputs[i] for i in self.places]
        with self.moved([a.copy() for a in arrays]), enable_grad():
            pairs = [(y, u) for y, u in zip(differentiable(self.f(*self.inputs)), cotangents) if (to_numpy(u) != 0).any()]
            us = [wrap(xp(y.array).asarray(u).astype(y.array.dtype, copy=False)) for y, u in pairs]
            return [None if g is None else g.array.copy() for g in gradients([y for y, _ in pairs], xs, us)]


def report(f, inputs, forward):
    """The Report of gradcheck.check on f, its inputs moved in place where they are all in float64."""
    names = argument_names(f, inputs)
    if not forward and all(x.array.dtype == np.float64 for x in wanting(inputs)):
        return Check(InPlace(f, inputs, names), 0, 2, True).run(name_of(f))
    chosen = [i for i, y in enumerate(as_tuple(f(*inputs))) if y.requires_grad]
    problem = TensorFunction(lambda *xs: [as_tuple(f(*xs))[i] for i in chosen], inputs, names)
    return Check(problem, 0, 2, True, forward).run(name_of(f))


def explained(f, inputs, options, forward):
    """The report as the end of an error message, where step and tolerances are the defaults; nothing if it cannot be made."""
    if not options.untouched:
        return ""
    try:
        return f"\nminitorch.gradcheck.check says:\n{report(f, inputs, forward)}\n"
    except Exception:                                # the mismatch is what the caller asked for
        return ""


def passes(f, inputs, options, forward):
    """Whether the strong directions show nothing; GradcheckError where they show more than the tolerances allow."""
    found = report(f, inputs, forward)
    for j, r in enumerate(found.inputs):
        far = abs(r.worst_numeric - r.worst_claimed) > options.atol + options.rtol * abs(r.worst_numeric)
        if r.verdict == WRONG and r.worst is not None and far:
            i = r.worst[0][0] if len(found.outputs) > 1 else 0
            raise GradcheckError(f"Jacobian {'computed with forward mode ' if forward else ''}mismatch for output {i} with respect to input {j},\n"
                                 f"numerical:{r.worst_numeric}\nanalytical:{r.worst_claimed}\n\nminitorch.gradcheck.check says:\n{found}\n")
    return found.ok


# ---- how gradients must behave -------------------------------------------------------------------------------------

def check_multiplied(inputs, outputs):
    """A gradient is linear in what arrives: of zeros it is zero."""
    xs = wanting(inputs)
    zeros = [wrap(xp(y.array).zeros_like(y.array)) for y in outputs]
    if any(g is not None and (to_numpy(g.array) != 0).any() for g in autograd.grad(outputs, xs, zeros, retain_graph=True, allow_unused=True)):
        raise GradcheckError("backward not multiplied by grad_output")


ADVICE = ("Backwards compatibility: New undefined gradient support checking feature is enabled by default, but it may break existing callers of "
          "this function. If this is true for you, you can call this function with \"check_undefined_grad=False\" to disable the feature")
SEE = ("A custom function with set_materialize_grads(False) is given None for an output that no gradient arrives at; "
       "None for every output must give None or zeros.")


def check_undefined(f, inputs):
    """Custom functions must bear None for the gradients of all their outputs; the Jacobians have tried None for all but one."""
    try:
        found = of_nothing(differentiable(f(*inputs)), wanting(inputs))
    except RuntimeError as error:
        warnings.warn(ADVICE, stacklevel=users_level())
        raise GradcheckError(f"Expected backward function to handle undefined output grads. {SEE}") from error
    if any((to_numpy(g) != 0).any() for g in found):
        warnings.warn(ADVICE, stacklevel=users_level())
        raise GradcheckError(f"Expected all input grads to be undefined or zero when all output grads are undefined or zero. {SEE}")


def of_nothing(outputs, xs):
    """The gradients that reach xs when none arrives at the outputs: what the users' own backward functions make of None."""
    nodes = [y.current_node() for y in outputs]
    steps = dict.fromkeys(n.source if type(n) is engine.Output else n for n in nodes)
    roots, arriving = [], []
    with no_grad():
        for step in [n for n in steps if isinstance(n, FunctionNode)]:
            for p, g in zip(step.parents, step.vjp([None] * step.outputs if step.outputs > 1 else None, False)):
                if g is not None:                    # nor is it where there is no p
                    roots.append(p)
                    arriving.append(engine.fit(g, p))
    return engine.run(roots, arriving, autograd.nodes_of(xs), retain_graph=True).values() if roots else []


# ---- vmap -----------------------------------------------------------------------------------------------------------

def check_batched(inputs, outputs):
    """func.vmap of backward must give what a loop gives: a backward that draws random numbers, for one, cannot be batched."""
    xs, rng = wanting(inputs), np.random.default_rng(0)
    for y in outputs:
        def rows(u, y=y):
            return [wrap(xp(x.array).zeros_like(x.array)) if g is None else g for g, x in zip(pull(y, xs, u.array), xs)]
        batch = wrap(xp(y.array).asarray(rng.normal(size=(BATCH, *y.shape))).astype(y.array.dtype))
        try:
            together = func.vmap(rows)(batch)
        except RuntimeError as error:
            raise GradcheckError(f"While computing batched gradients, got: {error}\n\ngradcheck or gradgradcheck failed while testing "
                                 "batched gradient computation.  Without this test: check_batched_grad=False.") from error
        for b in range(BATCH):
            for j, (t, alone) in enumerate(zip(together, rows(batch[b]))):
                if not np.allclose(to_numpy(t.array[b]).astype("f8"), to_numpy(alone.array).astype("f8"), equal_nan=True):
                    raise GradcheckError(f"While computing batched gradients, got for input {j} other numbers than one by one: {t[b]}, not "
                                         f"{alone}.  Without this test: check_batched_grad=False.")
