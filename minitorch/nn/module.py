"""Module: a tree of parts with parameters.

Assigning a Parameter, a Buffer or another Module to an attribute registers it.  From the registered
tree come `parameters()`, `state_dict()`, `to()`, `train()` and the printed picture of the network.
"""
from .. import dtypes
from ..autograd.mode import no_grad
from ..backend import device as as_device
from ..tensor import Tensor
from .hooks import Hooked
from .parameter import Parameter
from .registry import Registry
from .state import Stateful


class Module(Registry, Hooked, Stateful):
    """Base of all network parts: subclass it, register parts in `__init__`, compute in `forward`."""

    def forward(self, *args, **kwargs):
        """The computation; every subclass has its own."""
        raise NotImplementedError(f'Module [{type(self).__name__}] is missing the required "forward" function')

    # ---- walking the tree -------------------------------------------------------------------------------

    def named_modules(self, memo=None, prefix="", remove_duplicate=True):
        """(path, module) of this module and all below it; the root's path is `prefix`."""
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, child in self._modules.items():
            if child is not None:
                yield from child.named_modules(memo, prefix + ("." if prefix else "") + name, remove_duplicate)

    def modules(self):
        """This module and all below it, each once."""
        return (m for _, m in self.named_modules())

    def named_children(self):
        """(name, module) of the direct children, each once."""
        seen = set()
        for name, child in self._modules.items():
            if child is not None and child not in seen:
                seen.add(child)
                yield name, child

    def children(self):
        """The direct children, each once."""
        return (m for _, m in self.named_children())

    def _named_members(self, members, prefix="", recurse=True, remove_duplicate=True):
        seen = set()
        for path, module in self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate) if recurse else [(prefix, self)]:
            for name, t in members(module):
                if t is None or id(t) in seen:
                    continue
                if remove_duplicate:
                    seen.add(id(t))
                yield path + ("." if path else "") + name, t

    def named_parameters(self, prefix="", recurse=True, remove_duplicate=True):
        """(path, parameter) of this module and (recurse) all below it; shared ones once."""
        return self._named_members(lambda m: m._parameters.items(), prefix, recurse, remove_duplicate)

    def parameters(self, recurse=True):
        """The parameters, each once: what an optimizer takes."""
        return (p for _, p in self.named_parameters(recurse=recurse))

    def named_buffers(self, prefix="", recurse=True, remove_duplicate=True):
        """(path, buffer) of this module and (recurse) all below it."""
        return self._named_members(lambda m: m._buffers.items(), prefix, recurse, remove_duplicate)

    def buffers(self, recurse=True):
        """The buffers, each once."""
        return (b for _, b in self.named_buffers(recurse=recurse))

    def get_submodule(self, target):
        """The module at the path `target`, such as "features.0"; AttributeError if there is none."""
        found = self
        for name in target.split(".") if target else ():
            if not hasattr(found, name):
                raise AttributeError(f"{found._get_name()} has no attribute `{name}`")
            found = getattr(found, name)
            if not isinstance(found, Module):
                raise AttributeError(f"`{name}` is not an nn.Module")
        return found

    def set_submodule(self, target, module):
        """Put `module` at the path `target`."""
        path, _, name = target.rpartition(".")
        if not name:
            raise ValueError("Cannot set the submodule without a target name!")
        setattr(self.get_submodule(path), name, module)

    def get_parameter(self, target):
        """The parameter at the path `target`; AttributeError if there is none."""
        return self._get(target, lambda m, name: isinstance(getattr(m, name), Parameter), "an nn.Parameter")

    def get_buffer(self, target):
        """The buffer at the path `target`; AttributeError if there is none."""
        return self._get(target, lambda m, name: name in m._buffers, "a buffer")

    def _get(self, target, fits, what):
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        if not hasattr(module, name):
            raise AttributeError(f"{module._get_name()} has no attribute `{name}`")
        if not fits(module, name):
            raise AttributeError(f"`{name}` is not {what}")
        return getattr(module, name)

    # ---- changing everything in it ----------------------------------------------------------------------

    def apply(self, fn):
        """Call fn(module) for every module below and then for this one; returns self."""
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    def _apply(self, fn, recurse=True):
        """Replace every parameter's, gradient's and buffer's values by fn of them."""
        if recurse:
            for child in self.children():
                child._apply(fn)
        for p in self._parameters.values():
            if p is not None:
                grad = p.grad
                with no_grad():
                    p.grad = None
                    p.data = fn(p.data)
                    if grad is not None:
                        p.grad = fn(grad)
        for name, b in self._buffers.items():
            if b is not None:
                self._buffers[name] = fn(b)
        return self

    def to(self, *args, **kwargs):
        """Move to a device and/or cast floating parameters and buffers: to(device), to(dtype), to(device, dtype), to(tensor).

        TypeError for a dtype that is not floating.
        """
        device, dtype = destination(*args, **kwargs)
        if dtype is not None and not dtype.is_floating_point:
            raise TypeError(f"nn.Module.to only accepts floating point or complex dtypes, but got desired dtype={dtype}")
        return self._apply(lambda t: t.to(device=device, dtype=dtype if t.dtype.is_floating_point else None))

    def type(self, dst_type):
        """Cast all parameters and buffers to `dst_type`."""
        return self._apply(lambda t: t.type(dst_type))

    def float(self):
        """Cast floating parameters and buffers to float32."""
        return self.to(dtypes.float32)

    def double(self):
        """Cast floating parameters and buffers to float64."""
        return self.to(dtypes.float64)

    def half(self):
        """Cast floating parameters and buffers to float16."""
        return self.to(dtypes.float16)

    def bfloat16(self):
        """Cast floating parameters and buffers to bfloat16."""
        return self.to(dtypes.bfloat16)

    def cuda(self, device=None):
        """Move to a GPU."""
        return self.to("cuda" if device is None else as_device(device))

    def cpu(self):
        """Move to the host."""
        return self.to("cpu")

    def to_empty(self, *, device, recurse=True):
        """Move to a device without the values: parameters and buffers are there, and not set."""
        from .. import empty_like
        return self._apply(lambda t: empty_like(t, device=device), recurse)

    def share_memory(self):
        """The module itself: memory is not shared among processes."""
        return self

    def compile(self, *args, **kwargs):
        """Nothing: modules are not compiled, and need not be."""

    def train(self, mode=True):
        """Set training mode (dropout drops, batch norm uses batch statistics) here and below; returns self."""
        if not isinstance(mode, bool):
            raise ValueError("training mode is expected to be boolean")
        self.training = mode
        for child in self.children():
            child.train(mode)
        return self

    def eval(self):
        """train(False)."""
        return self.train(False)

    def requires_grad_(self, requires_grad=True):
        """Have every parameter ask, or not ask, for gradients; returns self."""
        for p in self.parameters():
            p.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none=True):
        """Forget every parameter's gradient, or (set_to_none=False) set it to zero."""
        for p in self.parameters():
            if p.grad is not None:
                if set_to_none:
                    p.grad = None
                else:
                    p.grad = p.grad.detach() * 0

    # ---- its picture ------------------------------------------------------------------------------------

    def _get_name(self):
        return self.__class__.__name__

    def extra_repr(self):
        """What stands between the brackets when printed; to be overridden."""
        return ""

    def __repr__(self):
        extra = self.extra_repr()
        lines = extra.split("\n") if extra else []
        children = [f"({name}): " + indented(repr(m)) for name, m in self._modules.items()]
        if len(lines) == 1 and not children:
            return f"{self._get_name()}({extra})"
        body = lines + children
        return self._get_name() + "(" + ("\n  " + "\n  ".join(body) + "\n" if body else "") + ")"


def indented(text, by=2):
    """`text` with every line after the first moved right."""
    return text.replace("\n", "\n" + " " * by)


def destination(*args, device=None, dtype=None, non_blocking=False, copy=False, memory_format=None):
    """(device, dtype) that the arguments of to() name, each None where it stays."""
    for a in args:
        if isinstance(a, Tensor):
            device, dtype = a.device, a.dtype
        elif isinstance(a, dtypes.dtype):
            dtype = a
        elif a is not None and not isinstance(a, bool):
            device = as_device(a)
    return device if device is None else as_device(device), dtype
