"""Modules that hold others: in sequence, in a list, by name."""
import operator
from collections import OrderedDict
from collections.abc import Mapping
from itertools import chain, islice

from .module import Module, indented


def place(i, n):
    """Index i of n, counted from 0; IndexError when out of range."""
    i = operator.index(i)
    if not -n <= i < n:
        raise IndexError(f"index {i} is out of range")
    return i % n


class Sequential(Module):
    """Modules applied one after the other: Sequential(a, b), or Sequential(OrderedDict(first=a, second=b))."""

    def __init__(self, *args):
        super().__init__()
        named = args[0].items() if len(args) == 1 and isinstance(args[0], OrderedDict) else ((str(i), m) for i, m in enumerate(args))
        for name, module in named:
            self.add_module(name, module)

    def forward(self, input):
        for module in self:
            input = module(input)
        return input

    def __iter__(self):
        return iter(self._modules.values())

    def __len__(self):
        return len(self._modules)

    def key(self, i):
        return next(islice(self._modules, place(i, len(self)), None))

    def __getitem__(self, i):
        return type(self)(OrderedDict(list(self._modules.items())[i])) if isinstance(i, slice) else self._modules[self.key(i)]

    def __setitem__(self, i, module):
        setattr(self, self.key(i), module)

    def __delitem__(self, i):
        for key in list(self._modules)[i] if isinstance(i, slice) else [self.key(i)]:
            delattr(self, key)
        self.renumber(self._modules.values())

    def renumber(self, modules):
        self.__dict__["_modules"] = {str(i): m for i, m in enumerate(modules)}

    def __add__(self, other):
        if not isinstance(other, Sequential):
            raise ValueError(f"add operator supports only objects of Sequential class, but {type(other)} is given.")
        return Sequential(*self, *other)

    def __iadd__(self, other):
        return self.extend(other)

    def __mul__(self, times):
        if not isinstance(times, int):
            raise TypeError(f"unsupported operand type(s) for *: {type(self)} and {type(times)}")
        if times <= 0:
            raise ValueError(f"Non-positive multiplication factor {times} for {type(self)}")
        return Sequential(*chain.from_iterable([list(self)] * times))

    __rmul__ = __mul__

    def append(self, module):
        """Put `module` at the end; returns self."""
        self.add_module(str(len(self)), module)
        return self

    def insert(self, index, module):
        """Put `module` before place `index`; returns self."""
        if not isinstance(module, Module):
            raise AssertionError(f"module should be of type: {Module}")
        if not -len(self) <= index <= len(self):
            raise IndexError(f"Index out of range: {index}")
        modules = list(self)
        modules.insert(index, module)
        self.renumber(modules)
        return self

    def extend(self, sequential):
        """Put all of `sequential` at the end; returns self."""
        for module in list(sequential):
            self.append(module)
        return self

    def pop(self, key):
        """Take out the module at place `key`, and return it."""
        module = self[key]
        del self[key]
        return module


class ModuleList(Module):
    """A list of modules, whose parameters are found."""

    def __init__(self, modules=None):
        super().__init__()
        if modules is not None:
            self.extend(modules)

    def key(self, i):
        return str(place(i, len(self)))

    def __getitem__(self, i):
        return type(self)(list(self)[i]) if isinstance(i, slice) else self._modules[self.key(i)]

    def __setitem__(self, i, module):
        setattr(self, self.key(i), module)

    def __delitem__(self, i):
        modules = list(self)
        del modules[i if isinstance(i, slice) else place(i, len(self))]
        self.__dict__["_modules"] = {str(k): m for k, m in enumerate(modules)}

    def __len__(self):
        return len(self._modules)

    def __iter__(self):
        return iter(self._modules.values())

    def __contains__(self, module):
        return any(m is module for m in self)

    def __add__(self, other):
        return ModuleList([*self, *other])

    def __iadd__(self, modules):
        return self.extend(modules)

    def __dir__(self):
        return [n for n in super().__dir__() if not n.isdigit()]

    def append(self, module):
        """Put `module` at the end; returns self."""
        self.add_module(str(len(self)), module)
        return self

    def insert(self, index, module):
        """Put `module` before place `index`."""
        modules = list(self)
        modules.insert(index, module)
        self.__dict__["_modules"] = {str(k): m for k, m in enumerate(modules)}

    def extend(self, modules):
        """Put all of `modules` at the end; returns self."""
        if not hasattr(modules, "__iter__"):
            raise TypeError(f"ModuleList.extend should be called with an iterable, but got {type(modules).__name__}")
        for module in list(modules):
            self.append(module)
        return self

    def pop(self, key):
        """Take out the module at place `key`, and return it."""
        module = self[key]
        del self[key]
        return module

    def __repr__(self):
        groups = []                                  # neighbours that look alike share a line
        for i, module in enumerate(self):
            text = repr(module)
            if groups and groups[-1][2] == text:
                groups[-1][1] = i
            else:
                groups.append([i, i, text])
        lines = [f"({a}): {indented(text)}" if a == b else f"({a}-{b}): {b - a + 1} x {indented(text)}" for a, b, text in groups]
        return self._get_name() + "(" + ("\n  " + "\n  ".join(lines) + "\n" if lines else "") + ")"


class ModuleDict(Module):
    """Modules by name, in the order of their entry."""

    def __init__(self, modules=None):
        super().__init__()
        if modules is not None:
            self.update(modules)

    def __getitem__(self, key):
        return self._modules[key]

    def __setitem__(self, key, module):
        self.add_module(key, module)

    def __delitem__(self, key):
        del self._modules[key]

    def __len__(self):
        return len(self._modules)

    def __iter__(self):
        return iter(self._modules)

    def __contains__(self, key):
        return key in self._modules

    def clear(self):
        """Take all out."""
        self._modules.clear()

    def pop(self, key):
        """Take out the module called `key`, and return it."""
        return self._modules.pop(key)

    def keys(self):
        """The names."""
        return self._modules.keys()

    def items(self):
        """(name, module) pairs."""
        return self._modules.items()

    def values(self):
        """The modules."""
        return self._modules.values()

    def update(self, modules):
        """Enter all of a mapping, or of (name, module) pairs."""
        for key, module in entries(modules, "ModuleDict"):
            self[key] = module


def entries(source, name):
    """The (key, value) pairs of a mapping or of an iterable of pairs."""
    if not hasattr(source, "__iter__"):
        raise TypeError(f"{name}.update should be called with an iterable of key/value pairs, but got {type(source).__name__}")
    if isinstance(source, (Mapping, Module)):
        return list(source.items())
    pairs = []
    for i, pair in enumerate(source):
        if not hasattr(pair, "__iter__"):
            raise TypeError(f"{name} update sequence element #{i} should be Iterable; is {type(pair).__name__}")
        pair = tuple(pair)
        if len(pair) != 2:
            raise ValueError(f"{name} update sequence element #{i} has length {len(pair)}; 2 is required")
        pairs.append(pair)
    return pairs
