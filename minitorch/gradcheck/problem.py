"""What is checked, in one form: a function of arrays, and its pull-back.

Tensor functions, modules with their parameters, and plain pairs (f, vjp) of any framework all become a `Problem`:
`value(arrays)` gives arrays, `pull(arrays, cotangents)` the gradients that the code under test claims, `push(arrays, tangents)`
the same of forward mode.
"""
import inspect

import numpy as np

from .. import autograd
from ..autograd.mode import enable_grad, no_grad
from ..backend import is_array, to_numpy, xp
from ..dtypes import is_float
from ..func import functional_call, jvp
from ..nn.module import Module
from ..tensor import Tensor, wrap


class Problem:
    """A function and its claimed derivative.

    inputs: everything that is passed, in order; places: which of them are differentiable; names: theirs; arrays: their numbers.
    """

    def __init__(self, inputs, names=None):
        self.inputs = list(inputs)
        refuse_complex(self.inputs)
        wanting = [i for i, x in enumerate(self.inputs) if isinstance(x, Tensor) and x.requires_grad]
        self.places = wanting or [i for i, x in enumerate(self.inputs) if is_float_array(x)]
        self.names = [names[i] if names and i in names else f"input {i}" for i in self.places]
        self.arrays = [array_of(self.inputs[i]) for i in self.places]
        self.evaluations = self.pulls = 0            # of the function, and of its derivative
        self.wrote_to = set()                        # names of inputs that the function wrote to
        self.returned = ""                           # the type of what the function returned last
        self.wide = False                            # whether what is not differentiated is passed in float64 too

    def call(self, arrays):
        """What the function returns for `arrays` in the differentiable places; it may write to them."""
        raise NotImplementedError

    def pull(self, arrays, cotangents):
        """The claimed gradients at `arrays`; None for an input that no result depends on."""
        raise NotImplementedError

    def push(self, arrays, tangents):
        """The claimed change of each floating-point result when the inputs change by `tangents`."""
        raise TypeError("check: this has no forward mode")

    def value(self, arrays, fresh=False):
        """The floating-point results for `arrays`.  fresh: nobody else holds them, so that writes to them need no watch."""
        self.evaluations += 1
        copies = [laid_out(a, b) if fresh else like_layout(a) for a, b in zip(arrays, self.arrays)]
        returned = self.call(copies)
        self.returned = type(returned).__name__
        results = flat(returned)
        refuse_complex(results, "result")
        ys = [array_of(y) for y in results if is_float_array(y)]
        if not fresh:
            self.wrote_to |= {name for name, a, c in zip(self.names, arrays, copies) if not same(a, c)}
        return ys

    def widen(self, wide):
        """Pass the floating-point inputs that are not differentiated in float64, or as they are."""
        self.wide = wide

    def filled(self, arrays, convert):
        """All inputs, `arrays` in their places, as the function takes them."""
        inputs = [widened(x) if self.wide else x for x in self.inputs]
        for i, a in zip(self.places, arrays):
            inputs[i] = convert(a)
        return inputs


class TensorFunction(Problem):
    """A function of Tensors (and whatever else it takes)."""

    def __init__(self, f, inputs, names=None):
        super().__init__(inputs, names)
        self.f = f

    def call(self, arrays):
        with no_grad():
            return self.apply(self.filled(arrays, wrap))

    def apply(self, inputs):
        """f, given every input."""
        return self.f(*inputs)

    def results(self, leaves):
        """The floating-point results for tensors in the differentiable places."""
        return [y for y in flat(self.apply(self.filled(leaves, lambda t: t))) if is_float_array(y)]

    def pull(self, arrays, cotangents):
        self.pulls += 1
        with enable_grad():
            leaves = [wrap(like_layout(a)).requires_grad_() for a in arrays]
            ys = self.results(leaves)
        gs = gradients(ys, leaves, [wrap(xp(array_of(y)).asarray(u).astype(array_of(y).dtype, copy=False)) for y, u in zip(ys, cotangents)])
        return [None if g is None else g.array for g in gs]

    def push(self, arrays, tangents):
        self.pulls += 1
        ys, ts = jvp(lambda *leaves: self.results(leaves), *(tuple([wrap(like_layout(a)) for a in xs]) for xs in (arrays, tangents)))
        return [t.array for t in ts]


def gradients(ys, leaves, us, create_graph=False):
    """Of the results ys times the cotangents us; None for a leaf that none of them depends on."""
    pairs = [(y, u) for y, u in zip(ys, us) if isinstance(y, Tensor) and y.requires_grad]
    if not pairs:
        return [None] * len(leaves)
    return autograd.grad([y for y, _ in pairs], leaves, [u for _, u in pairs], create_graph=create_graph, allow_unused=True)


class ModuleFunction(TensorFunction):
    """A module: its inputs and its parameters are the variables."""

    def __init__(self, module, inputs):
        self.module, self.count = module, len(inputs)
        parameters = [(name, p) for name, p in module.named_parameters() if p.requires_grad]
        self.fixed = {name: b for name, b in module.named_buffers() if b is not None}
        self.fixed.update((name, p.detach()) for name, p in module.named_parameters() if not p.requires_grad)
        self.parameter_names = [name for name, _ in parameters]
        names = argument_names(module.forward, inputs)
        frozen = [wrap(x.array).requires_grad_() if isinstance(x, Tensor) and is_float(x.array.dtype) else x for x in inputs]
        super().__init__(None, [*frozen, *[p for _, p in parameters]], {**names, **{len(inputs) + i: name for i, (name, _) in enumerate(parameters)}})

    def apply(self, inputs):
        new = dict(zip(self.parameter_names, inputs[self.count:]))
        dtype = next((t.array.dtype for t in new.values()), None)
        for name, b in self.fixed.items():           # a copy, in the dtype of the parameters: running statistics are not the check's to change
            new[name] = wrap(b.array.astype(dtype) if dtype is not None and is_float(b.array.dtype) else b.array.copy())
        return functional_call(self.module, new, tuple(inputs[:self.count]))


class Pair(Problem):
    """f(*arrays) and vjp(g, *arrays): from NumPy, CuPy, or any framework through arrays."""

    def __init__(self, f, vjp, inputs, names=None):
        super().__init__([x.array if isinstance(x, Tensor) else x for x in inputs], names)
        self.f, self.vjp = f, vjp

    def call(self, arrays):
        return self.f(*self.filled(arrays, lambda a: a))

    def pull(self, arrays, cotangents):
        self.pulls += 1
        g = cotangents[0] if len(cotangents) == 1 else tuple(cotangents)
        found = self.vjp(g, *self.filled([like_layout(a) for a in arrays], lambda a: a))
        found = list(found) if isinstance(found, tuple | list) else [found]
        if len(found) == len(self.inputs):
            found = [found[i] for i in self.places]
        if len(found) != len(self.places):
            raise TypeError(f"vjp returned {len(found)} gradients for {len(self.places)} differentiable inputs")
        return [None if g is None else array_of(g) for g in found]

    def push(self, arrays, tangents):
        self.pulls += 1
        t = tangents[0] if len(tangents) == 1 else tuple(tangents)
        found = self.vjp(t, *self.filled([like_layout(a) for a in arrays], lambda a: a))
        return [array_of(t) for t in flat(found)]


def problem_of(f, inputs):
    """The Problem that `f` and `inputs` describe; TypeError where they describe none."""
    if isinstance(inputs, Tensor) or is_array(inputs) or not isinstance(inputs, tuple | list):
        inputs = (inputs,)
    if isinstance(f, Module):
        return ModuleFunction(f, inputs)
    if isinstance(f, tuple):
        if len(f) != 2 or not all(callable(g) for g in f):
            raise TypeError("check: a pair must be (f, vjp), two functions: vjp(g, *inputs) gives the gradients")
        return Pair(*f, inputs, argument_names(f[0], inputs))
    if getattr(f, "derivative", None) is not None and not any(isinstance(x, Tensor) for x in inputs):       # a function on CUDA kernels
        return Pair(f, lambda g, *xs: f.derivative(g, f(*xs), *xs), inputs, argument_names(f, inputs))
    if isinstance(f, type) and issubclass(f, autograd.Function):
        f = f.apply
    if not callable(f):
        raise TypeError(f"check: expected a function, a module, a Function or a pair (f, vjp), not {type(f).__name__}")
    return TensorFunction(f, [wrap(x) if is_array(x) else x for x in inputs], argument_names(f, inputs))


def argument_names(f, inputs):
    """{number: name} of the inputs as f's parameter list calls them; {} where it does not."""
    try:
        return dict(enumerate(inspect.signature(f).bind(*inputs).arguments)) if not has_rest(f) else {}
    except (TypeError, ValueError):
        return {}


def has_rest(f):
    return any(p.kind is p.VAR_POSITIONAL for p in inspect.signature(f).parameters.values())


# ---- arrays ------------------------------------------------------------------------------------------------------

def array_of(x):
    """The array behind a tensor, an array, or anything that converts to one."""
    return x.array if isinstance(x, Tensor) else x if is_array(x) else np.asarray(x)


def is_float_array(x):
    if isinstance(x, Tensor) or is_array(x):
        return is_float(array_of(x).dtype)
    return isinstance(x, float | np.floating) or hasattr(x, "__array__") and is_float(np.asarray(x).dtype)


def refuse_complex(values, what="input"):
    """TypeError if one of the values is complex."""
    for i, x in enumerate(values):
        kind = getattr(getattr(x, "dtype", None), "kind", "")
        if isinstance(x, complex) or kind == "c":
            raise TypeError(f"check: {what} {i} is complex: give its real and imaginary parts as two real {what}s")


def flat(y):
    """A result, or nested results, as a list."""
    if isinstance(y, tuple | list):
        return [t for v in y for t in flat(v)]
    if isinstance(y, dict):
        return [t for v in y.values() for t in flat(v)]
    return [] if y is None else [y]


def like_layout(a):
    """A copy with the strides of `a`; a plain one where its entries share memory."""
    if type(a) is not np.ndarray or a.flags.c_contiguous or not a.size:
        return a.copy()
    span = a.itemsize
    for n, stride in sorted(zip(a.shape, map(abs, a.strides)), key=lambda pair: pair[1]):
        if n > 1 and (stride < span or stride % a.itemsize):
            return a.copy()
        span += (n - 1) * stride
    room = np.zeros(span // a.itemsize, a.dtype)
    start = sum((n - 1) * -stride for n, stride in zip(a.shape, a.strides) if stride < 0)
    view = np.lib.stride_tricks.as_strided(room[start // a.itemsize:], a.shape, a.strides)
    view[...] = a
    return view


def laid_out(a, like):
    """`a`, or a copy of it, with the strides of `like`."""
    if a.strides == like.strides or type(a) is not np.ndarray or like.flags.c_contiguous:
        return a
    room = like_layout(like).astype(a.dtype, order="K", copy=False)
    room[...] = a
    return room


def widened(x):
    """A narrow floating-point tensor or array in float64; anything else as it is."""
    if isinstance(x, Tensor):
        return wrap(x.array.astype("f8")) if is_float(x.array.dtype) else x
    return x.astype("f8") if is_array(x) and is_float(x.dtype) else x


def same(a, b):
    """Whether two arrays hold the same numbers, NaN included."""
    a, b = to_numpy(a), to_numpy(b)
    return a.shape == b.shape and (np.array_equal(a, b) or bool(((a == b) | (a != a) & (b != b)).all()))
