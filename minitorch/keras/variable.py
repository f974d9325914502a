"""Variables: minitorch's Parameter and Buffer with what Keras' programs ask of a layer's weights: assign, numpy, name.

Keras' shapes and values as arrays pass here too: what a layer is given becomes tensors of its number type.
"""
import numpy as np

import minitorch as torch

from .. import dtypes
from ..autograd.mode import no_grad
from ..nn.parameter import Buffer, Parameter
from ..tensor import Tensor


class Assignable:
    """What a trained weight and a kept state have in common."""

    __slots__ = ()

    def assign(self, value):
        """Take over the values of `value`, which must have this shape; returns self."""
        value = torch.as_tensor(value)
        if value.shape != self.shape:
            raise ValueError(f"assign: {shown(value.shape)} does not fit the weight {self.name or ''} of {shown(self.shape)}")
        with no_grad():
            self.copy_(value)
        return self

    def assign_add(self, value):
        """Grow by `value`."""
        with no_grad():
            return self.assign(self.detach() + value)

    def assign_sub(self, value):
        """Shrink by `value`."""
        with no_grad():
            return self.assign(self.detach() - value)

    def numpy(self):
        """The values as a NumPy array, a copy."""
        return self.detach().cpu().clone().array

    @property
    def value(self):
        """The tensor itself."""
        return self

    @property
    def name(self):
        """What its layer calls it."""
        return self.__dict__.get("_weight_name")

    @name.setter
    def name(self, name):
        self._weight_name = name


class Variable(Assignable, Parameter):  # type: ignore[misc]
    """A weight that training moves."""

    __slots__ = ()

    @property
    def trainable(self):
        """Whether training moves it."""
        return self.requires_grad


class State(Assignable, Buffer):  # type: ignore[misc]
    """A weight that training does not move, such as a running mean."""

    __slots__ = ()
    trainable = False


def shown(shape):
    """A shape as Keras prints it: (None, 3)."""
    return "(" + ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "") + ")"


def floatx():
    """The dtype of weights and inputs: minitorch's default dtype."""
    return torch.get_default_dtype()


def as_dtype(d):
    """A dtype by its name, or as it is."""
    if isinstance(d, str):
        kind = getattr(torch, d.removeprefix("mixed_"), None)
        if not isinstance(kind, dtypes.dtype):
            raise ValueError(f"unknown dtype {d!r}")
        return kind
    return d


def as_array(x, what="the input"):
    """`x` as an array of a type that minitorch computes in. ValueError in words for lists of unequal lengths and strings."""
    try:
        a = np.asarray(x)
    except ValueError:
        raise ValueError(f"{what} is a list whose rows differ in length: keras.utils.pad_sequences makes them equal") from None
    if a.dtype.kind in "OSU":
        raise ValueError(f"{what} holds {'text' if a.dtype.kind in 'SU' else 'Python objects'}, not numbers")
    if a.dtype.kind == "u" and a.dtype.itemsize > 1:
        return a.astype(np.int64)
    return a


def as_tensor(x, dtype=None, what="the input"):
    """`x` as a tensor; floating numbers in `dtype` (floatx), others as they are."""
    if not isinstance(x, Tensor):
        x = torch.as_tensor(as_array(x, what))
    wanted = dtype or floatx()
    if x.dtype.is_floating_point and x.dtype is not wanted:
        cast = x.to(wanted)
        if "_keras_mask" in x.__dict__:
            cast._keras_mask = x._keras_mask
        return cast
    return x


def floats(x):
    """A tensor of integers or truth values in floatx; floating ones as they are."""
    return x if x.dtype.is_floating_point else x.to(floatx())


def is_structure(x):
    """Whether a list or dict holds several inputs, rather than the numbers of one."""
    if isinstance(x, dict):
        return True
    return isinstance(x, (list, tuple)) and any([isinstance(v, (Tensor, np.ndarray)) or hasattr(v, "history") for v in x])


def mapped(f, x):
    """f of every leaf of nested lists, tuples and dicts."""
    if isinstance(x, dict):
        return {k: mapped(f, v) for k, v in x.items()}
    if isinstance(x, (list, tuple)):
        return type(x)([mapped(f, v) for v in x]) if not hasattr(x, "_fields") else type(x)(*[mapped(f, v) for v in x])
    return f(x)


def leaves(x):
    """The leaves of nested lists, tuples and dicts (by sorted key), in order."""
    if isinstance(x, dict):
        return [leaf for k in x for leaf in leaves(x[k])]
    if isinstance(x, (list, tuple)) and not isinstance(x, torch.Size):
        return [leaf for v in x for leaf in leaves(v)]
    return [x]
