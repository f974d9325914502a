"""What is checked, in one form: a function of arrays, and its pull-back.

Tensor functions, modules with their parameters, and plain pairs (f, vjp) of any framework all become a `Problem`:
`value(arrays)` gives arrays, `pull(arrays, cotangents)` the gradients that the code under test claims.
"""
import inspect

import numpy as np

from .. import autograd
from ..autograd.mode import enable_grad, no_grad
from ..backend import is_array, to_numpy, xp
from ..dtypes import is_float
from ..func import functional_call
from ..nn.module import Module
from ..tensor import Tensor, wrap


class Problem:
    """A function and its claimed derivative.

    inputs: everything that is passed, in order; places: which of them are differentiable; names: theirs.
    """

    def __init__(self, inputs, names=None):
        self.inputs = list(inputs)
        refuse_complex(self.inputs)
        wanting = [i for i, x in enumerate(self.inputs) if isinstance(x, Tensor) and x.requires_grad]
        self.places = wanting or [i for i, x in enumerate(self.inputs) if is_float_array(x)]
        self.names = [names[i] if names and i in names else f"input {i}" for i in self.places]
        self.arrays = [array_of(self.inputs[i]) for i in self.places]
        self.evaluations = 0
        self.wrote_to = set()                        # names of inputs that the function wrote to

    def value(self, arrays):
        """The floating-point results for `arrays` in the differentiable places."""
        self.evaluations += 1
        return [array_of(y) for y in flat(self.call(arrays)) if is_float_array(y)]

    def filled(self, arrays, convert):
        """All inputs, `arrays` in their places, as the function takes them."""
        inputs = list(self.inputs)
        for i, a in zip(self.places, arrays):
            inputs[i] = convert(a)
        return inputs

    def watched(self, arrays, call):
        """call(copies of arrays), noting which copies were written to."""
        copies = [like_layout(a) for a in arrays]
        y = call(copies)
        for name, a, c in zip(self.names, arrays, copies):
            if not same(a, c):
                self.wrote_to.add(name)
        return y

    def in_dtype(self, dtype):
        """The arrays in another dtype."""
        return [a.astype(dtype) for a in self.arrays]


class TensorFunction(Problem):
    """A function of Tensors (and whatever else it takes)."""

    def __init__(self, f, inputs, names=None):
        super().__init__(inputs, names)
        self.f = f

    def call(self, arrays):
        with no_grad():
            return self.watched(arrays, lambda copies: self.apply(self.filled(copies, wrap)))

    def apply(self, inputs):
        return self.f(*inputs)

    def pull(self, arrays, cotangents):
        """The gradients at `arrays`; None for an input that no result depends on."""
        with enable_grad():
            leaves = [wrap(like_layout(a)).requires_grad_() for a in arrays]
            inputs = list(self.inputs)
            for i, t in zip(self.places, leaves):
                inputs[i] = t
            ys = [y for y in flat(self.apply(inputs)) if is_float_array(y)]
        pairs = [(y, u) for y, u in zip(ys, cotangents) if isinstance(y, Tensor) and y.requires_grad]
        if not pairs:
            return [None] * len(leaves)
        us = [wrap(xp(y.array).asarray(u).astype(y.array.dtype)) for y, u in pairs]
        gs = autograd.grad([y for y, _ in pairs], leaves, us, allow_unused=True)
        return [None if g is None else g.array for g in gs]


class ModuleFunction(TensorFunction):
    """A module: its inputs and its parameters are the variables."""

    def __init__(self, module, inputs):
        self.module, self.count = module, len(inputs)
        parameters = [(name, p) for name, p in module.named_parameters() if p.requires_grad]
        self.buffers = {name: b for name, b in module.named_buffers() if b is not None}
        self.parameter_names = [name for name, _ in parameters]
        names = argument_names(module.forward, inputs)
        frozen = [wrap(x.array).requires_grad_() if isinstance(x, Tensor) and is_float(x.array.dtype) else x for x in inputs]
        super().__init__(None, [*frozen, *[p for _, p in parameters]], {**names, **{len(inputs) + i: name for i, (name, _) in enumerate(parameters)}})

    def apply(self, inputs):
        new = dict(zip(self.parameter_names, inputs[self.count:]))
        dtype = next((t.array.dtype for t in new.values()), None)
        for name, b in self.buffers.items():         # a copy, in the dtype of the parameters: running statistics are not the check's to change
            new[name] = wrap(b.array.astype(dtype) if dtype is not None and is_float(b.array.dtype) else b.array.copy())
        return functional_call(self.module, new, tuple(inputs[:self.count]))


class Pair(Problem):
    """f(*arrays) and vjp(g, *arrays): from NumPy, CuPy, or any framework through arrays."""

    def __init__(self, f, vjp, inputs, names=None):
        super().__init__([x.array if isinstance(x, Tensor) else x for x in inputs], names)
        self.f, self.vjp = f, vjp

    def call(self, arrays):
        return self.watched(arrays, lambda copies: self.f(*self.filled(copies, lambda a: a)))

    def pull(self, arrays, cotangents):
        """The gradients at `arrays`; None for an input without one."""
        g = cotangents[0] if len(cotangents) == 1 else tuple(cotangents)
        found = self.vjp(g, *self.filled([like_layout(a) for a in arrays], lambda a: a))
        found = list(found) if isinstance(found, tuple | list) else [found]
        if len(found) == len(self.inputs):
            found = [found[i] for i in self.places]
        if len(found) != len(self.places):
            raise TypeError(f"vjp returned {len(found)} gradients for {len(self.places)} differentiable inputs")
        return [None if g is None else array_of(g) for g in found]


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


def refuse_complex(inputs):
    for i, x in enumerate(inputs):
        kind = getattr(getattr(x, "dtype", None), "kind", "")
        if isinstance(x, complex) or kind == "c":
            raise TypeError(f"check: input {i} is complex; give real and imaginary parts as two real inputs")


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


def same(a, b):
    """Whether two arrays hold the same numbers, NaN included."""
    a, b = to_numpy(a), to_numpy(b)
    return bool(((a == b) | (a != a) & (b != b)).all())
