"""Module: a tree of parts with parameters.

Assigning a Parameter, a Buffer or another Module to an attribute registers it.  From the registered
tree come `parameters()`, `state_dict()`, `to()`, `train()` and the printed picture of the network.
"""

from .. import dtypes
from ..autograd.mode import no_grad
from ..backend import device as as_device
from ..tensor import Tensor
from .hooks import Hooked, no_hooks
from .parameter import Buffer, Parameter
from .state import Stateful

HOOK_TABLES = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks", "_state_dict_hooks",
               "_state_dict_pre_hooks", "_load_state_dict_pre_hooks", "_load_state_dict_post_hooks")


class Module(Hooked, Stateful):
    """Base of all network parts: subclass it, register parts in `__init__`, compute in `forward`."""

    training = True

    def __init__(self):
        put = super().__setattr__
        put("training", True)
        for table in ("_parameters", "_buffers", "_modules"):
            put(table, {})
        put("_non_persistent_buffers_set", set())
        for table in HOOK_TABLES:
            put(table, no_hooks())

    def forward(self, *args, **kwargs):
        """The computation; every subclass has its own."""
        raise NotImplementedError(f'Module [{type(self).__name__}] is missing the required "forward" function')

    # ---- registering ------------------------------------------------------------------------------------

    def __getattr__(self, name):                     # only for what is no ordinary attribute
        state = self.__dict__
        for table in ("_parameters", "_buffers", "_modules"):
            if table in state and name in state[table]:
                return state[table][name]
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def __setattr__(self, name, value):
        state = self.__dict__
        if isinstance(value, Parameter):
            require_init(state, "parameters")
            drop(self, name, keep="_parameters")
            self.register_parameter(name, value)
        elif isinstance(value, Module):
            require_init(state, "module")
            drop(self, name, keep="_modules")
            self._modules[name] = value
        elif isinstance(value, Buffer):
            require_init(state, "buffer")
            drop(self, name, keep="_buffers")
            self.register_buffer(name, value, value.persistent)
        elif name in state.get("_parameters", ()):
            refuse_unless(value is None, value, "parameter", name, "minitorch.nn.Parameter or None expected")
            self._parameters[name] = None
        elif name in state.get("_modules", ()):
            refuse_unless(value is None, value, "child module", name, "minitorch.nn.Module or None expected")
            self._modules[name] = None
        elif name in state.get("_buffers", ()):
            refuse_unless(value is None or isinstance(value, Tensor), value, "buffer", name,
                          "minitorch.nn.Buffer, minitorch.Tensor or None expected")
            self._buffers[name] = value
        else:
            super().__setattr__(name, value)

    def __delattr__(self, name):
        for table in (self._parameters, self._buffers, self._modules):
            if name in table:
                del table[name]
                self._non_persistent_buffers_set.discard(name)
                return
        try:
            super().__delattr__(name)
        except AttributeError:
            raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'") from None

    def __dir__(self):
        names = [*super().__dir__(), *self._parameters, *self._buffers, *self._modules]
        return sorted({n for n in names if not n[:1].isdigit()})

    def __setstate__(self, state):                   # modules pickled before a table existed
        self.__dict__.update({table: no_hooks() for table in HOOK_TABLES if table not in state})
        self.__dict__.update(state)

    def register_parameter(self, name, param):
        """Make `param` (a Parameter or None) this module's parameter `name`."""
        require_init(self.__dict__, "parameter")
        check_name(self, name, "parameter", self._parameters)
        if param is not None:
            if not isinstance(param, Parameter):
                raise TypeError(f"cannot assign '{type(param).__name__}' object to parameter '{name}' (minitorch.nn.Parameter or None required)")
            if param.grad_fn is not None:
                raise ValueError(f"Cannot assign non-leaf Tensor to parameter '{name}'. Model parameters must be created explicitly. To "
                                 f"express '{name}' as a function of another Tensor, compute the value in the forward() method.")
        self._parameters[name] = param

    def register_buffer(self, name, tensor, persistent=True):
        """Make `tensor` (or None) this module's buffer `name`: moved by to(), not trained; in the state_dict if persistent."""
        require_init(self.__dict__, "buffer")
        check_name(self, name, "buffer", self._buffers)
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(f"cannot assign '{type(tensor).__name__}' object to buffer '{name}' (minitorch Tensor or None required)")
        self._buffers[name] = tensor
        (self._non_persistent_buffers_set.discard if persistent else self._non_persistent_buffers_set.add)(name)

    def add_module(self, name, module):
        """Make `module` (or None) the child `name`."""
        if not isinstance(module, Module) and module is not None:
            raise TypeError(f"{type(module).__name__} is not a Module subclass")
        check_name(self, name, "module", self._modules)
        self._modules[name] = module

    register_module = add_module

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


def require_init(state, what):
    if "_parameters" not in state:
        raise AttributeError(f"cannot assign {what} before Module.__init__() call")


def drop(module, name, keep):
    """Take `name` out of every place but the table `keep`, so that a registered attribute is found there."""
    module.__dict__.pop(name, None)
    for table in ("_parameters", "_buffers", "_modules"):
        if table != keep:
            getattr(module, table).pop(name, None)
    if keep != "_buffers":
        module._non_persistent_buffers_set.discard(name)


def refuse_unless(fits, value, what, name, expected):
    if not fits:
        raise TypeError(f"cannot assign '{type(value).__name__}' as {what} '{name}' ({expected})")


def check_name(module, name, what, table):
    """PyTorch's refusals of a name to register under."""
    if not isinstance(name, str):
        raise TypeError(f"{what} name should be a string. Got {type(name).__name__}")
    if "." in name:
        raise KeyError(f'{what} name can\'t contain ".", got: {name}')
    if name == "":
        raise KeyError(f'{what} name can\'t be empty string ""')
    if name not in table and hasattr(module, name):
        raise KeyError(f"attribute '{name}' already exists")


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


