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

Forward runs unrecorded.  Backward runs on tensors and is recorded under create_graph=True, so it can be differentiated
again.  The step holds `ctx`; `ctx` sees the step through a weak reference, and what it saves is kept as arrays beside the
nodes that made them: no cycle, so graphs with custom functions are freed by reference counting too.
"""
import functools
import inspect
import warnings

from ..tensor import Tensor, wrap
from .custom import FunctionNode, finish
from .engine import Node
from .mode import Setting, mode, no_grad

__all__ = ["Function", "FunctionCtx", "once_differentiable"]


class Function:
    """Base of custom functions: a subclass has a static `forward` and `backward`, and is called by `apply`.

    forward(ctx, *args), or forward(*args) beside setup_context(ctx, inputs, output), returns a Tensor or a tuple.
    backward(ctx, *grads), which may be called vjp, takes the gradient of each output and returns one for each input.
    """

    def __init__(self, *args, **kwargs):
        warnings.warn(f"{type(self).__name__} should not be instantiated: its methods are static, call {type(self).__name__}.apply(...)",
                      DeprecationWarning, stacklevel=2)

    def __call__(self, *args, **kwargs):
        raise RuntimeError("Legacy autograd function with non-static forward method is deprecated. Please use new-style autograd "
                           f"function with static forward method: {type(self).__name__}.apply(...)")

    @staticmethod
    def forward(*args, **kwargs):
        """Compute the result."""
        raise NotImplementedError("You must implement the forward function for custom autograd.Function.")

    @staticmethod
    def setup_context(ctx, inputs, output):
        """Note in `ctx` what backward needs, for a forward that takes no ctx."""
        raise NotImplementedError("setup_context is not implemented.")

    @staticmethod
    def backward(ctx, *grad_outputs):
        """The gradients of forward's inputs, given those of its outputs; None for an input that has none."""
        raise NotImplementedError("You must implement either the backward or vjp method for your custom autograd.Function "
                                  "to use it with backward mode AD.")

    vjp = backward

    @staticmethod
    def jvp(ctx, *grad_inputs):
        """Accepted and not used: a directional derivative is made by differentiating backward."""
        raise NotImplementedError("You must implement the jvp function for custom autograd.Function to use it with forward mode AD.")

    @classmethod
    def pullback(cls):
        """The one of backward and vjp that the subclass has."""
        if cls.vjp is not Function.vjp and cls.backward is not Function.backward:
            raise RuntimeError("Implementing both 'backward' and 'vjp' for a custom Function is not allowed. "
                               "You should only implement one of them.")
        return cls.backward if cls.vjp is Function.vjp else cls.vjp

    @classmethod
    def apply(cls, *args, **kwargs):
        """Call forward, and record the call when an argument that is a Tensor requires grad."""
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
        several = isinstance(result, tuple)
        outputs = finish(cls.__name__, ctx, node, args, result if several else (result,))
        return outputs if several else outputs[0]


def positional(forward, args, kwargs, skip):
    """The arguments of a call in forward's order, keywords and defaults filled in."""
    try:
        bound = inspect.signature(forward).bind(*(None,) * skip, *args, **kwargs)
    except TypeError as error:
        raise TypeError(f"{forward.__qualname__}() {error}") from None
    bound.apply_defaults()
    if bound.kwargs:
        raise TypeError(f"{forward.__qualname__}() of a custom function cannot take keyword-only arguments: {', '.join(bound.kwargs)}")
    return bound.args[skip:]


class FunctionCtx:
    """What forward hands to backward: saved tensors, marks, and whatever attribute the user sets."""

    def __init__(self):
        self._node = lambda: None                    # becomes a weak reference to the step
        self._to_save = self._dirty = self._constant = ()
        self.materialize_grads = True

    def save_for_backward(self, *tensors):
        """Keep tensors (or None) for backward, which finds them in `saved_tensors`; a write to one is noticed there."""
        for i, t in enumerate(tensors):
            if t is not None and not isinstance(t, Tensor):
                raise TypeError(f"save_for_backward can only save variables, but argument {i} is of type {type(t).__name__}")
        self._to_save = tensors

    def save_for_forward(self, *tensors):
        """Accepted and not used, as jvp is."""

    def mark_dirty(self, *args):
        """Name the inputs that forward wrote to; it must return them."""
        self._dirty = args

    def mark_non_differentiable(self, *args):
        """Name the outputs that have no gradient."""
        self._constant = args

    def set_materialize_grads(self, value):
        """Whether backward gets zeros (True, as at start) or None for an output that no gradient arrived at."""
        self.materialize_grads = bool(value)

    @property
    def saved_tensors(self):
        """What was saved, each tensor in its place in the graph; RuntimeError once it was freed or written to."""
        node = self._node()
        return node.saved_tensors if node is not None else ()

    @property
    def saved_variables(self):
        """The old name of saved_tensors."""
        warnings.warn("'saved_variables' is deprecated; use 'saved_tensors'", DeprecationWarning, stacklevel=2)
        return self.saved_tensors


def once_differentiable(backward):
    """Decorator of a backward whose result cannot be differentiated again: trying to raises RuntimeError."""
    @functools.wraps(backward)
    def wrapper(ctx, *grads):
        with no_grad():
            results = backward(ctx, *grads)
        parents = tuple([g.current_node() for g in grads if isinstance(g, Tensor) and g.requires_grad])
        if not mode.grad or not parents:
            return results
        refused = [r if not isinstance(r, Tensor) else wrap(r.array, Refusal(parents, r.array.shape, r.array.dtype))
                   for r in (results if isinstance(results, tuple) else (results,))]
        return tuple(refused)
    return wrapper


class Refusal(Node):
    """The place in the graph of what may not be differentiated."""
    __slots__ = ()

    def name(self):
        return "Error"

    def vjp(self, g, create_graph):
        raise RuntimeError("trying to differentiate twice a function that was marked with @once_differentiable")
