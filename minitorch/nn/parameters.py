"""Modules that hold parameters: in a list, by name."""
from ..tensor import Tensor
from .container import entries, place
from .module import Module
from .parameter import Parameter


def as_parameter(value):
    """A tensor as a Parameter; anything else as it is."""
    return Parameter(value) if isinstance(value, Tensor) and not isinstance(value, Parameter) else value


def described(value):
    """One line about an entry of a ParameterList or ParameterDict."""
    if isinstance(value, Tensor):
        kind = "Parameter" if isinstance(value, Parameter) else "Tensor"
        where = "" if value.device.type == "cpu" else f" ({value.device})"
        return f"{kind} containing: [{value.dtype} of size {'x'.join(map(str, value.shape))}{where}]"
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

    def __repr__(self):
        return f"{self._get_name()}(" + "".join(f"\n    ({i}): {described(v)}" for i, v in enumerate(self)) + ("\n)" if len(self) else ")")

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
        if key not in self._names:
            raise KeyError(key)
        return getattr(self, str(key))

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
        """Enter all of a mapping, or of (name, parameter) pairs."""
        for key, value in entries(parameters, "ParameterDict"):
            self[key] = value

    def __repr__(self):
        return f"{self._get_name()}(" + "".join(f"\n    ({k}): {described(v)}" for k, v in self.items()) + ("\n)" if len(self) else ")")

    def __call__(self, input):
        raise RuntimeError("ParameterDict should not be called.")
