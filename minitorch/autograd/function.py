"""Custom functions: a forward and a backward written by the user, as one step of the graph.

    class Cube(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x ** 3

        @staticmethod
        def backward(ctx, g):
            x, = ctx.saved_tensors
            return 3 * g * x ** 2

    y = Cube.apply(x)

Forward runs unrecorded; backward runs on tensors, recorded under create_graph=True, so it can be differentiated again.
The step holds `ctx`, and `ctx` only looks back at the step: what is saved is kept as arrays, never as the tensors that
hold the step, so that reference counting alone frees a graph of custom functions too.
"""
import functools
import inspect
import warnings
import weakref

from .. import dtypes
from ..backend import xp
from ..tensor import Tensor, wrap
from . import engine, views
from .engine import FREED, Node, Output, next_number
from .mode import Setting, mode, no_grad

__all__ = ["Function", "FunctionCtx", "once_differentiable"]


class Function:
    """Base of custom functions: subclasses give static `forward` and `backward`, and are called by `apply`.

    forward(ctx, *args), or forward(*args) beside setup_context(ctx, inputs, output), returns a Tensor or a tuple.
    backward(ctx, *grads), also called vjp, takes a gradient for each output and returns one for each input of forward.
    """

    def __init__(self, *args, **kwargs):
        warnings.warn(f"{type(self).__name__} should not be instantiated. Methods on autograd functions are all static, so you should "
                      "invoke them on the class itself. Instantiating an autograd function will raise an error in a future version.",
                      DeprecationWarning, stacklevel=2)

    def __call__(self, *args, **kwargs):
        raise RuntimeError("Legacy autograd function with non-static forward method is deprecated. "
                           f"Please use new-style autograd function with static forward method: {type(self).__name__}.apply(...)")

    @staticmethod
    def forward(*args, **kwargs):
        """Compute the result; unrecorded."""
        raise NotImplementedError("You must implement the forward function for custom autograd.Function.")

    @staticmethod
    def setup_context(ctx, inputs, output):
        """Note in `ctx` what backward needs, where forward takes no ctx."""
        raise NotImplementedError("setup_context is not implemented.")

    @staticmethod
    def backward(ctx, *grad_outputs):
        """The gradients of the inputs, given those of the outputs; None where there is none."""
        raise NotImplementedError("You must implement either the backward or vjp method for your custom autograd.Function "
                                  "to use it with backward mode AD.")

    vjp = backward

    @staticmethod
    def jvp(ctx, *grad_inputs):
        """Accepted and unused: directional derivatives are made by differentiating backward."""
        raise NotImplementedError("You must implement the jvp function for custom autograd.Function to use it with forward mode AD.")

    @classmethod
    def apply(cls, *args, **kwargs):
        """Call forward on `args`, and record it when an argument requires grad."""
        split = cls.setup_context is not Function.setup_context
        if split or kwargs:
            args = positional(cls.forward, args, kwargs, 0 if split else 1)
        parents = tuple([a.current_node() if isinstance(a, Tensor) else None for a in args])
        ctx = FunctionCtx()
        ctx.needs_input_grad = tuple([p is not None for p in parents])
        node = FunctionNode(cls, ctx, parents, args) if mode.grad and any(ctx.needs_input_grad) else None
        with Setting(grad=False):
            if split:
                result = cls.forward(*args)
                cls.setup_context(ctx, args, result)
            else:
                result = cls.forward(ctx, *args)
        outputs = recorded(cls, ctx, node, args, result if isinstance(result, tuple) else (result,))
        return type(result)(outputs) if type(result) is tuple else result if isinstance(result, tuple) else outputs[0]


def positional(forward, args, kwargs, skip):
    """The arguments of a call, keywords and defaults filled in, in forward's order."""
    bound = inspect.signature(forward).bind(*(None,) * skip, *args, **kwargs)
    bound.apply_defaults()
    if bound.kwargs:
        raise TypeError(f"{forward.__qualname__}: keyword-only arguments cannot be passed to a custom function: {list(bound.kwargs)}")
    return bound.args[skip:]


class FunctionCtx:
    """What forward hands to backward: saved tensors, marks, and any attribute that the user sets."""

    def __init__(self):
        self._node = lambda: None                    # becomes a weak reference to the step
        self._to_save, self._saved, self._dirty, self._constant = (), (), (), ()
        self.materialize_grads = True

    def save_for_backward(self, *tensors):
        """Keep tensors (or None) for backward, which finds them in `saved_tensors`; writes to them are noticed."""
        for i, t in enumerate(tensors):
            if t is not None and not isinstance(t, Tensor):
                raise TypeError(f"save_for_backward can only save variables, but argument {i} is of type {type(t).__name__}")
        self._to_save = tensors

    def save_for_forward(self, *tensors):
        """Accepted and unused, as jvp is."""

    def mark_dirty(self, *tensors):
        """Say which inputs forward wrote to; they must be among its outputs."""
        self._dirty = tensors

    def mark_non_differentiable(self, *tensors):
        """Say which outputs have no gradient."""
        self._constant = tensors

    def set_materialize_grads(self, value):
        """Whether backward receives zeros (True) or None for an output that no gradient arrived at."""
        self.materialize_grads = bool(value)

    @property
    def saved_tensors(self):
        """What was saved, as tensors in their place in the graph; RuntimeError once freed or written to."""
        node = self._node()
        return node.unpacked() if node is not None else ()

    @property
    def saved_variables(self):
        """The old name of saved_tensors."""
        warnings.warn("'saved_variables' is deprecated; use 'saved_tensors'", DeprecationWarning, stacklevel=2)
        return self.saved_tensors


class FunctionNode(Node):
    """A call of a custom function.

    `saved` is flat, as in every step: value, write counter, count at the time; `origins` has for each value the node
    that made it, or its number where it is an output of this very step.
    """
    __slots__ = ("function", "ctx", "tensors", "metas", "saved", "origins", "outputs")

    def __init__(self, function, ctx, parents, args):
        self.function, self.ctx, self.parents = function, ctx, parents
        self.tensors = tuple([isinstance(a, Tensor) for a in args])
        self.metas, self.saved, self.origins = [], (), ()
        self.number, self.extra = next_number(), None
        ctx._node = weakref.ref(self)

    def name(self):
        return self.function.__name__ + "Backward"

    def __getattr__(self, name):                     # grad_fn.saved_tensors, and what the user noted in ctx
        if name in self.__slots__:
            raise AttributeError(name)
        return getattr(self.ctx, name)

    def release(self):
        if self.saved:
            self.saved = FREED

    def save(self, outputs):
        """Turn what save_for_backward was given into arrays, counters and nodes."""
        saved, origins = (), []
        for t in self.ctx._to_save:
            own = next((i for i, o in enumerate(outputs) if o is t and o.node in (self, *self.own(i))), None) if t is not None else None
            origins.append(own if own is not None or t is None else t.current_node())
            saved += (None, (0,), 0) if t is None else (t.array, t.counter, t.counter[0])
        self.saved, self.origins, self.ctx._to_save = saved, origins, ()
        if engine.tracing:
            engine.note_place(self)

    def unpacked(self):
        if self.saved is FREED:
            raise RuntimeError(engine.freed_message(self.name()))
        tensors = []
        for i, origin in enumerate(self.origins):
            value, counter, count = self.saved[3 * i:3 * i + 3]
            if counter[0] != count:
                raise RuntimeError(engine.overwritten_message(value, self.name(), i, counter, count))
