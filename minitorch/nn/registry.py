"""Registering: a Parameter, Buffer or Module assigned to an attribute of a module goes into its tables."""
from ..tensor import Tensor
from .hooks import no_hooks
from .parameter import Buffer, Parameter

HOOK_TABLES = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks", "_state_dict_hooks",
               "_state_dict_pre_hooks", "_load_state_dict_pre_hooks", "_load_state_dict_post_hooks")


class Registry:
    """The part of Module that keeps its tables of parameters, buffers and children."""

    training = True

    def __init__(self):
        put = super().__setattr__
        put("training", True)
        for table in ("_parameters", "_buffers", "_modules"):
            put(table, {})
        put("_non_persistent_buffers_set", set())
        for table in HOOK_TABLES:
            put(table, no_hooks())

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
        elif isinstance(value, Registry):
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
        if not isinstance(module, Registry) and module is not None:
            raise TypeError(f"{type(module).__name__} is not a Module subclass")
        check_name(self, name, "module", self._modules)
        self._modules[name] = module

    register_module = add_module


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
