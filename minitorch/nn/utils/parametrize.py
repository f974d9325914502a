"""Parameters that are computed from others: `module.weight` becomes parametrization(original) each time it is read.

The module gets a class of its own, derived from the old one, in which the tensor's name is a property.  What is trained and saved
stands under module.parametrizations.weight: `original`, or `original0`, `original1` ... where right_inverse gives several.
"""
import contextlib
import copy

from ...autograd.mode import no_grad
from ...tensor import Tensor
from ..container import ModuleDict, ModuleList
from ..parameter import Parameter

cache: dict = {}                                     # (id of a module, name) -> the computed tensor, within cached()
blocks = [0]                                         # how many cached() blocks we are in


@contextlib.contextmanager
def cached():
    """Within this block each parametrized tensor is computed once."""
    blocks[0] += 1
    try:
        yield
    finally:
        blocks[0] -= 1
        if not blocks[0]:
            cache.clear()


def enter(module, name, t):
    """Make a tensor the module's parameter or buffer."""
    (module.register_parameter if isinstance(t, Parameter) else module.register_buffer)(name, t)


def write(t, value):
    """Give `t` the numbers of `value`, in memory of their own if need be: it stays the object that an optimizer knows."""
    if t.array is not value.array:
        with no_grad():
            t.data = value.detach().clone()


def agrees(what, t, dtype, shape):
    """ValueError unless `t` is a tensor of that dtype and shape."""
    if not isinstance(t, Tensor):
        raise ValueError(f"{what} must return a tensor. Got {type(t).__name__}.")
    for label, mine, wanted in (("dtype", t.dtype, dtype), ("shape", t.shape, shape)):
        if mine != wanted:
            raise ValueError(f"{what} may not change the {label} of the tensor, unless the `unsafe` flag is enabled: it makes {mine} of {wanted}")


class ParametrizationList(ModuleList):
    """The parametrizations of one tensor, in the order in which they are applied, and what they start from."""

    def __init__(self, modules, original, unsafe=False):
        if not len(modules):
            raise ValueError("ParametrizationList requires one or more modules.")
        super().__init__(modules)
        self.unsafe, dtype, shape = unsafe, original.dtype, original.shape
        start = original
        with no_grad():
            for module in reversed(list(self)):
                if hasattr(module, "right_inverse"):
                    with contextlib.suppress(NotImplementedError):
                        start = module.right_inverse(start)
        if not isinstance(start, (Tensor, list, tuple)):
            raise ValueError(f"'right_inverse' must return a Tensor or a Sequence of tensors (list, tuple...). Got {type(start).__name__}")
        self.is_tensor = isinstance(start, Tensor)
        self.ntensors = 1 if self.is_tensor else len(start)
        if self.is_tensor:
            if start.dtype != dtype:
                raise ValueError(f"When `right_inverse` outputs one tensor, it may not change the dtype: {start.dtype} of {dtype}")
            write(original, start)
            enter(self, "original", original)
        for i, t in enumerate(() if self.is_tensor else start):
            if not isinstance(t, Tensor):
                raise ValueError(f"'right_inverse' must return a Tensor or a Sequence of tensors (list, tuple...). Got element {i} of the "
                                 f"sequence with type {type(t).__name__}.")
            t = t.detach()
            enter(self, f"original{i}", Parameter(t, original.requires_grad) if isinstance(original, Parameter) else t)
        if not unsafe:
            agrees("A parametrization", self(), dtype, shape)

    def originals(self):
        """The tensors that are trained and saved."""
        return [self.original] if self.is_tensor else [getattr(self, f"original{i}") for i in range(self.ntensors)]

    def forward(self):
        first, *others = self
        x = first(*self.originals())
        for module in others:
            x = module(x)
        return x

    def right_inverse(self, value):
        """Set the originals so that the parametrized tensor becomes `value`; RuntimeError where a parametrization has no right_inverse."""
        with no_grad():
            for module in reversed(list(self)):
                if not hasattr(module, "right_inverse"):
                    raise RuntimeError(f"parametrization {type(module).__name__} does not implement right_inverse.")
                value = module.right_inverse(value)
        values = [value] if self.is_tensor else value
        if len(values) != self.ntensors:
            raise ValueError(f"'right_inverse' must return a sequence of tensors of length {self.ntensors}. Got a sequence of length {len(values)}.")
        for i, (t, v) in enumerate(zip(self.originals(), values)):
            if not isinstance(v, Tensor):
                raise ValueError(f"`right_inverse` should return a tensor. Got {type(v).__name__}")
            if v.dtype != t.dtype:
                raise ValueError(f"Tensor {i} returned by `right_inverse` has dtype {v.dtype} while the original has dtype {t.dtype}")
            write(t, v)


# ---- the class of a parametrized module -----------------------------------------------------------------------

def computed(name):
    """The property that stands for a parametrized tensor."""
    def read(self):
        if not blocks[0]:
            return self.parametrizations[name]()
        key = id(self), name
        if key not in cache:
            cache[key] = self.parametrizations[name]()
        return cache[key]
    return property(read, lambda self, value: self.parametrizations[name].right_inverse(value))


def refuse_pickling(self):
    raise RuntimeError("Serialization of parametrized modules is only supported through state_dict()")


def copied(self, memo):
    """A deep copy, with a class of its own."""
    if id(self) not in memo:
        memo[id(self)] = twin = object.__new__(type(self))
        object.__setattr__(twin, "__dict__", copy.deepcopy(self.__dict__, memo))
        become_parametrized(twin, type(self).__bases__[0], list(twin.parametrizations))
    return memo[id(self)]


def become_parametrized(module, cls, names):
    """Give the module a class of its own, in which `names` are computed."""
    body = {"__getstate__": refuse_pickling, "__deepcopy__": copied, "__module__": cls.__module__, "__doc__": cls.__doc__}
    module.__class__ = type("Parametrized" + cls.__name__, (cls,), {**body, **{name: computed(name) for name in names}})


# ---- what users call --------------------------------------------------------------------------------------------

def register_parametrization(module, tensor_name, parametrization, *, unsafe=False):
    """Have `module.<tensor_name>` computed by the module `parametrization`, after those registered before.

    unsafe: it may change dtype and shape.  ValueError where there is no such tensor, or where dtype or shape change.
    """
    parametrization.train(module.training)
    if is_parametrized(module, tensor_name):
        if not unsafe:
            y = getattr(module, tensor_name)
            x = parametrization(y)
            agrees("Registering a parametrization", x, y.dtype, y.shape)
            if hasattr(parametrization, "right_inverse"):
                with contextlib.suppress(NotImplementedError):
                    agrees("parametrization.right_inverse", parametrization.right_inverse(x), y.dtype, y.shape)
        found = module.parametrizations[tensor_name]
        found.append(parametrization)
        found.unsafe |= unsafe
    elif tensor_name in module._buffers or tensor_name in module._parameters:
        found = ParametrizationList([parametrization], getattr(module, tensor_name), unsafe)
        delattr(module, tensor_name)
        if not is_parametrized(module):
            become_parametrized(module, type(module), [])
            module.parametrizations = ModuleDict()
        setattr(type(module), tensor_name, computed(tensor_name))
        module.parametrizations[tensor_name] = found
    else:
        raise ValueError(f"Module '{module}' does not have a parameter, a buffer, or a parametrized element with name '{tensor_name}'")
    return module


def is_parametrized(module, tensor_name=None):
    """Whether a tensor of the module, or (None) any, is parametrized."""
    found = module._modules.get("parametrizations")
    if not isinstance(found, ModuleDict):
        return False
    return len(found) > 0 if tensor_name is None else tensor_name in found


def remove_parametrizations(module, tensor_name, leave_parametrized=True):
    """Make `module.<tensor_name>` an ordinary tensor again: with its computed value, or (leave_parametrized=False) the original's."""
    if not is_parametrized(module, tensor_name):
        raise ValueError(f"Module {module} does not have a parametrization on {tensor_name}")
    found = module.parametrizations[tensor_name]
    if found.is_tensor:
        t = found.original
        if leave_parametrized:
            with no_grad():
                write(t, getattr(module, tensor_name))
    elif leave_parametrized:
        value = getattr(module, tensor_name)
        t = Parameter(value.detach()) if value.requires_grad else value
    else:
        raise ValueError("Cannot leave unparametrized (`leave_parametrized=False`) a tensor that is parametrized in terms of a sequence of "
                         "tensors.")
    delattr(type(module), tensor_name)
    del module.parametrizations[tensor_name]
    enter(module, tensor_name, t)
    if not is_parametrized(module):
        del module.parametrizations
        module.__class__ = type(module).__bases__[0]
    return module


def type_before_parametrizations(module):
    """The class that the module had before."""
    return type(module).__bases__[0] if is_parametrized(module) else type(module)
