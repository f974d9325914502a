"""Calling a module, and the hooks around a call.

Forward hooks see what goes into `forward` and what comes out, and may replace it.  Backward hooks see
the gradients at the same two places: a gate, a step that passes everything on, is put before and
after the module, and shows the hooks what passes.
"""
from collections import OrderedDict
from functools import partial
from types import SimpleNamespace
from typing import NamedTuple

from ..autograd.engine import Node, Output, RemovableHandle
from ..autograd.mode import mode
from ..autograd.views import View
from ..tensor import Tensor, wrap


class Hook(NamedTuple):
    """A forward hook: `with_kwargs` passes it the keyword arguments, `always` calls it even if forward raised."""
    call: object
    with_kwargs: bool = False
    always: bool = False


class Hooked:
    """The part of Module that is about calling it."""

    def __call__(self, *args, **kwargs):
        if not (self._forward_hooks or self._forward_pre_hooks or self._backward_hooks or self._backward_pre_hooks):
            return self.forward(*args, **kwargs)
        return call_with_hooks(self, args, kwargs)

    def register_forward_pre_hook(self, hook, *, prepend=False, with_kwargs=False):
        """Call hook(module, args) before forward; what it returns replaces the arguments.

        with_kwargs: hook(module, args, kwargs), which returns None or (args, kwargs).  Returns a handle with remove().
        """
        return enter(self._forward_pre_hooks, Hook(hook, with_kwargs), prepend)

    def register_forward_hook(self, hook, *, prepend=False, with_kwargs=False, always_call=False):
        """Call hook(module, args, output) after forward; what it returns replaces the output.

        with_kwargs: hook(module, args, kwargs, output).  always_call: also when forward raises (output is None then).
        """
        return enter(self._forward_hooks, Hook(hook, with_kwargs, always_call), prepend)

    def register_full_backward_hook(self, hook, prepend=False):
        """Call hook(module, grad_input, grad_output) when the gradients of the inputs are known; a returned tuple replaces grad_input."""
        return enter(self._backward_hooks, hook, prepend)

    def register_backward_hook(self, hook):
        """register_full_backward_hook, by its old name."""
        return self.register_full_backward_hook(hook)

    def register_full_backward_pre_hook(self, hook, prepend=False):
        """Call hook(module, grad_output) before the module's backward; a returned tuple replaces grad_output."""
        return enter(self._backward_pre_hooks, hook, prepend)


def enter(table, hook, first):
    """Put a hook in its table, last or first."""
    handle = RemovableHandle(table, hook)
    if first:
        table.move_to_end(handle.id, last=False)
    return handle


def call_with_hooks(module, args, kwargs):
    """module.forward with every hook around it."""
    called, result = set(), None
    try:
        for hook in list(module._forward_pre_hooks.values()):
            args, kwargs = before_forward(module, hook, args, kwargs)
        gates = None
        if module._backward_hooks or module._backward_pre_hooks:
            gates = Gates(module)
            args = gates.enter(args)
        result = module.forward(*args, **kwargs)
        for key, hook in list(module._forward_hooks.items()):
            called.add(key)
            answer = hook.call(module, args, kwargs, result) if hook.with_kwargs else hook.call(module, args, result)
            result = result if answer is None else answer
        return result if gates is None else gates.leave(result)
    except Exception:
        for key, hook in list(module._forward_hooks.items()):
            if hook.always and key not in called:
                hook.call(module, args, kwargs, result) if hook.with_kwargs else hook.call(module, args, result)
        raise


def before_forward(module, hook, args, kwargs):
    """(args, kwargs) as a forward pre-hook leaves them."""
    if hook.with_kwargs:
        answer = hook.call(module, args, kwargs)
        if answer is None:
            return args, kwargs
        if not (isinstance(answer, tuple) and len(answer) == 2):
            raise RuntimeError(f"forward pre-hook must return None or a tuple of (new_args, new_kwargs), but got {answer}.")
        return answer
    answer = hook.call(module, args)
    return args if answer is None else answer if isinstance(answer, tuple) else (answer,), kwargs


# ---- backward hooks ---------------------------------------------------------------------------------------

class Gate(Node):
    """A step that passes tensors on, and shows their gradients to `look`, which may replace them."""
    __slots__ = ("look", "outputs")

    def __init__(self, tensors, look):
        super().__init__(tuple(t.current_node() for t in tensors), None, None)
        self.look, self.outputs = look, len(tensors)

    def name(self):
        return "BackwardHookFunctionBackward"

    def vjp(self, g, create_graph):
        seen = self.look([x if x is None or create_graph else wrap(x) for x in g])
        return [x if x is None or create_graph else x.array for x in seen]

    def passed(self, t, i):
        """Tensor `t` on the other side: the same storage, which must not be written to in place."""
        out = wrap(t.array, Output(self, i, t.array.shape, t.array.dtype), t.counter)
        step = SimpleNamespace(name=self.name(), forward=lambda x: x, call=lambda x: x)
        out.cut = View(t if t.cut is None else t.cut.base, ((step, {}, i),), list.__getitem__(t.counter, 0), "several")
        return out


class Gates:
    """The two gates of one call of a module, and its backward hooks."""

    def __init__(self, module):
        self.module = module
        self.hooks, self.pre_hooks = list(module._backward_hooks.values()), list(module._backward_pre_hooks.values())
        self.count, self.watched, self.grad_output = 0, False, None

    def enter(self, args):
        self.count = len(args)
        args, self.watched = through(args, self.input_gradients)
        return args

    def leave(self, result):
        if isinstance(result, tuple):
            return type(result)(*through(result, self.output_gradients)[0]) if hasattr(result, "_fields") else \
                through(result, self.output_gradients)[0]
        return through((result,), self.output_gradients)[0][0]

    def output_gradients(self, gs):
        """The gradients that arrive at the module, as the hooks leave them."""
        for hook in self.pre_hooks:
            gs = replaced(gs, hook(self.module, gs), "Backward pre hook returned an invalid number of grad_output")
        self.grad_output = gs
        if not self.watched:                         # no input wants a gradient: the second gate does not exist
            for hook in self.hooks:
                answer = hook(self.module, (None,) * self.count, gs)
                if answer is not None and not (isinstance(answer, tuple) and all(a is None for a in answer)):
                    raise RuntimeError("Backward hook for Modules where no input requires gradient should always return None "
                                       "or None for all gradients.")
        return gs

    def input_gradients(self, gs):
        """The gradients that leave the module, as the hooks leave them."""
        if self.grad_output is not None:
            for hook in self.hooks:
                gs = replaced(gs, hook(self.module, gs, self.grad_output), "Backward hook returned an invalid number of grad_input")
            self.grad_output = None
        return gs


def replaced(gs, answer, complaint):
    """`gs`, or what a hook returned instead."""
    if answer is None:
        return gs
    answer = answer if isinstance(answer, tuple) else (answer,)
    if len(answer) != len(gs):
        raise RuntimeError(f"{complaint}, got {len(answer)}, but expected {len(gs)}")
    return answer


def through(values, look):
    """(values with their tensors put through one gate, whether there is one); look((gradient or None for each value))."""
    at = [i for i, v in enumerate(values) if isinstance(v, Tensor)]
    if not mode.grad or not any(values[i].requires_grad for i in at):
        return values, False
    values = list(values)
    gate = Gate([values[i] for i in at], partial(spread, look, at, len(values)))
    for k, i in enumerate(at):
        if values[i].dtype.is_floating_point:
            values[i] = gate.passed(values[i], k)
    return tuple(values), True


def spread(look, at, count, gs):
    """Show a gate's gradients in their places among `count` values."""
    row = [None] * count
    for i, g in zip(at, gs):
        row[i] = g
    row = look(tuple(row))
    return [row[i] for i in at]


def no_hooks():
    """An empty table of hooks."""
    return OrderedDict()
