"""A layer's weights: made when the shape of the input is known, found in Keras' order, read and written as arrays.

The order: a layer's own weights, those that train first, then those of the layers inside it, in the order in which they
became its attributes.
"""
import functools
import inspect

import numpy as np

import minitorch as torch

from .. import nn
from . import constraints, initializers, regularizers
from .variable import State, Variable, as_dtype, floatx, leaves, shown


@functools.cache
def parameters_of(function):
    """The names of a function's parameters, and whether it takes any others."""
    found = inspect.signature(function).parameters
    return tuple(found), any(p.kind is inspect.Parameter.VAR_KEYWORD for p in found.values())


class InputSpec:
    """What a layer expects of its input: its number of axes, and the sizes of some of them."""

    def __init__(self, dtype=None, shape=None, ndim=None, max_ndim=None, min_ndim=None, axes=None, allow_last_axis_squeeze=False, name=None):
        self.ndim, self.min_ndim, self.max_ndim, self.axes = ndim if shape is None else len(shape), min_ndim, max_ndim, dict(axes or {})
        if shape is not None:
            self.axes = {i: n for i, n in enumerate(shape) if n is not None}

    def check(self, layer, shape):
        """ValueError in Keras' words unless the shape fits."""
        start = f'Input 0 of layer "{layer.name}" ({type(layer).__name__}) is incompatible with the layer: expected '
        for wrong, wanted in ((self.ndim is not None and len(shape) != self.ndim, f"ndim={self.ndim}"),
                              (self.min_ndim is not None and len(shape) < self.min_ndim, f"min_ndim={self.min_ndim}"),
                              (self.max_ndim is not None and len(shape) > self.max_ndim, f"max_ndim={self.max_ndim}")):
            if wrong:
                raise ValueError(f"{start}{wanted}, found ndim={len(shape)}. Full shape received: {shown(shape)}")
        for axis, size in self.axes.items():
            if size is not None and shape[axis] not in (None, size):
                raise ValueError(f"{start}axis {axis} of input shape to have value {size}, but received input with shape {shown(shape)}")


class Weighted:
    """The part of Layer that is about its weights."""

    def add_weight(self, shape=(), initializer=None, dtype=None, trainable=True, regularizer=None, constraint=None, name=None, **_):
        """A new weight of this layer: "glorot_uniform" for floating numbers unless `initializer` says otherwise."""
        if isinstance(shape, str):         # the older order of arguments: (name, shape, ...)
            shape, name = initializer or (), shape
            initializer = None
        shape = (shape,) if isinstance(shape, int) else tuple(shape)
        if any(n is None for n in shape):
            raise ValueError(f'layer "{self.name}": a weight cannot have the shape {shown(shape)}: all sizes must be known')
        start = initializers.get(initializer or "glorot_uniform") if callable(initializer) or initializer or len(shape) != 0 \
            else initializers.Zeros()
        values = torch.as_tensor(start(shape, dtype=as_dtype(dtype) or self._dtype or floatx())).detach()
        weight = Variable(values, self._trainable) if trainable else State(values)
        name = name or f"weight_{len(self._parameters) + len(self._buffers)}"
        weight.name = name
        table = self._parameters if trainable else self._buffers
        table[name.replace(".", "_")] = weight
        if regularizer is not None and trainable:
            self._regularized.append((name, weight, regularizers.get(regularizer)))
        if constraint is not None:
            self._constrained.append((weight, constraints.get(constraint)))
        return weight

    def __setattr__(self, name, value):
        if isinstance(value, (Variable, State)) and "_parameters" in self.__dict__:
            for table in (self._parameters, self._buffers):      # made by add_weight under another name: renamed, in its place
                if any([w is value for k, w in table.items() if k != name]):
                    items = [(name if w is value else k, w) for k, w in table.items()]
                    table.clear()
                    table.update(items)
                    return
        super().__setattr__(name, value)
        if isinstance(value, (list, tuple, dict)) and not name.startswith("_"):
            self._adopt({name: value})

    def _apply(self, fn, recurse=True):
        super()._apply(fn, recurse)
        for name, b in self._buffers.items():
            if b is not None and not isinstance(b, State):
                self._buffers[name] = State(b)
        return self

    def _adopt(self, attributes=None):
        """Register the layers that stand in lists, tuples and dicts of this one's attributes."""
        for attribute, value in list((self.__dict__ if attributes is None else attributes).items()):
            if attribute.startswith("_") or not isinstance(value, (list, tuple, dict)):
                continue
            for i, part in enumerate(leaves(value)):
                if isinstance(part, nn.Module) and not any(part is m for m in self._modules.values()):
                    self._modules[f"{attribute}_{i}"] = part

    def _own_weights(self):
        return [w for w in (*self._parameters.values(), *self._buffers.values()) if w is not None]

    def _flatten(self):
        """This layer and all below it, each once, in the order of their weights."""
        seen = {}

        def visit(module):
            if id(module) not in seen:
                seen[id(module)] = module
                if isinstance(module, Weighted):
                    module._adopt()
                for child in module._modules.values():
                    if child is not None:
                        visit(child)
        visit(self)
        return list(seen.values())

    @property
    def weights(self):
        """All weights: of each layer those that train, then the others."""
        found = {}
        for m in self._flatten():
            for w in (*m._parameters.values(), *m._buffers.values()):
                if w is not None:
                    found.setdefault(id(w), w)
        return list(found.values())

    @property
    def trainable_weights(self):
        """The weights that training moves."""
        return [w for w in self.weights if w.requires_grad]

    @property
    def non_trainable_weights(self):
        """The weights that training does not move: states, and those of frozen layers."""
        return [w for w in self.weights if not w.requires_grad]

    variables, trainable_variables, non_trainable_variables = weights, trainable_weights, non_trainable_weights

    @property
    def trainable(self):
        """Whether training moves the weights of this layer and of those inside it."""
        return self._trainable

    @trainable.setter
    def trainable(self, value):
        for m in self._flatten():
            m.__dict__["_trainable"] = bool(value)
            for p in m._parameters.values():
                if p is not None:
                    p.requires_grad_(bool(value))

    def get_weights(self):
        """The values of all weights, a list of NumPy arrays."""
        return [w.detach().cpu().clone().array for w in self.weights]

    def set_weights(self, weights):
        """Put a list of arrays, as get_weights() gives it, into the weights. ValueError where number or shapes differ."""
        own = self.weights
        if len(weights) != len(own):
            raise ValueError(f'layer "{self.name}" has {len(own)} weights, but the list has {len(weights)}'
                             + ("" if self.built else "; it has not been called on an input yet"))
        for w, values in zip(own, weights):
            if tuple(np.shape(values)) != tuple(w.shape):
                raise ValueError(f'layer "{self.name}": an array of shape {shown(np.shape(values))} does not fit the weight of '
                                 f"shape {shown(w.shape)}")
        with torch.no_grad():
            for w, values in zip(own, weights):
                w.copy_(torch.as_tensor(values))

    def count_params(self):
        """How many numbers the weights hold."""
        return sum(w.numel() for w in self.weights)
