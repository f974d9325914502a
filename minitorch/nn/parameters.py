"""Modules that hold parameters: in a list, by name."""
from collections import OrderedDict
from collections.abc import Mapping

from ..tensor import Tensor
from .container import entries, place
from .module import Module
from .parameter import Parameter


def as_parameter(value):
    """A tensor as a Parameter; anything else as it is."""
    return Parameter(value) if isinstance(value, Tensor) and not isinstance(value, Parameter) else value


def described(value, kind_of_numbers):
    """One line about an entry of a ParameterList (which shows dtypes) or ParameterDict (types)."""
    if isinstance(value, Tensor):
        kind = "Parameter" if isinstance(value, Parameter) else "Tensor"
        where = "" if value.device.type == "cpu" else f" ({value.device})"
        return f"{kind} containing: [{kind_of_numbers} of size {'x'.join(map(str, value.shape))}{where}]"
    return "Object of type: " + type(value).__name__


class ParameterList(Module):
    """A list of parameters, which are found; tensors become parameters, other things are only kept."""

    def __init__(self, values=None):
        super().__init__()
        self._size = 0
        if values is not None:
            self.extend(values)

    def __getitem__(self, i):
        if isinstance(i, slice):
            return type(self)(getattr(self, str(k)) for k in range(*i.indices(len(self))))
        return getattr(self, str(place(i, len(self))))

    def __setitem__(self, i, value):
        setattr(self, str(place(i, len(self))), as_parameter(value))

    def __len__(self):
        return self._size

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __iadd__(self, values):
        return self.extend(values)

    def append(self, value):
        """Put `value` at the end; returns self."""
        self._size += 1
        self[-1] = value
        return self

    def extend(self, values):
        """Put all of `values` at the end; returns self."""
        if not hasattr(values, "__iter__") or isinstance(values, Tensor):
            raise TypeError(f"ParameterList.extend should be called with an iterable, but got {type(values).__name__}")
        for value in list(values):
            self.append(value)
        return self

    def extra_repr(self):
        return "\n".join(f"  ({i}): {described(v, v.dtype if isinstance(v, Tensor) else None)}" for i, v in enumerate(self))

    def __call__(self, *args, **kwargs):
        raise RuntimeError("ParameterList should not be called.")


class ParameterDict(Module):
    """Parameters by name; tensors become parameters, other things are only kept."""

    def __init__(self, parameters=None):
        super().__init__()
        self._names = {}
        if parameters is not None:
            self.update(parameters)

    def __getitem__(self, key):
        return getattr(self, str(key))               # AttributeError where there is none, as in PyTorch

    def __setitem__(self, key, value):
        self._names[key] = None
        setattr(self, str(key), as_parameter(value))

    def __delitem__(self, key):
        del self._names[key]
        delattr(self, str(key))

    def __len__(self):
        return len(self._names)

    def __iter__(self):
        return iter(self._names)

    def __reversed__(self):
        return reversed(list(self._names))

    def __contains__(self, key):
        return key in self._names

    def get(self, key, default=None):
        """The parameter called `key`, or `default`."""
        return getattr(self, str(key)) if key in self._names else default

    def setdefault(self, key, default=None):
        """The parameter called `key`, entered as `default` if there is none."""
        if key not in self:
            self[key] = default
        return self[key]

    def pop(self, key):
        """Take out the parameter called `key`, and return it."""
        value = self[key]
        del self[key]
        return value

    def popitem(self):
        """Take out the last parameter, and return (name, parameter)."""
        key = next(reversed(self._names))
        return key, self.pop(key)

    def copy(self):
        """Another ParameterDict with the same parameters."""
        return ParameterDict(OrderedDict(self.items()))

    def fromkeys(self, keys, default=None):
        """A ParameterDict with `default` under each of the names."""
        return ParameterDict([(key, default) for key in keys])

    def __or__(self, other):
        y = self.copy()
        y.update(other)
        return y

    def __ror__(self, other):
        y = ParameterDict(other)
        y.update(OrderedDict(self.items()))
        return y

    def __ior__(self, other):
        self.update(other)
        return self

    def clear(self):
        """Take all out."""
        for key in list(self._names):
            del self[key]

    def keys(self):
        """The names."""
        return self._names.keys()

    def items(self):
        """(name, parameter) pairs."""
        return ((key, self[key]) for key in self._names)

    def values(self):
        """The parameters."""
        return (self[key] for key in self._names)

    def update(self, parameters):
        """Enter all of a mapping, or of (name, parameter) pairs; those of a plain dict in the order of their names, as in PyTorch."""
        pairs = entries(parameters, "ParameterDict")
        plain = isinstance(parameters, Mapping) and not isinstance(parameters, OrderedDict)
        for key, value in sorted(pairs, key=lambda pair: pair[0]) if plain else pairs:
            self[key] = value

    def extra_repr(self):
        return "\n".join(f"  ({k}): {described(v, v.type() if isinstance(v, Tensor) else None)}" for k, v in self.items())

    def __call__(self, input):
        raise RuntimeError("ParameterDict should not be called.")
