"""Layer: a minitorch Module with Keras' manners: weights made when the shape of the input is known, configuration, masks.

`build(input_shape)` makes the weights, `call(inputs)` computes.  A call passes on whether it is in training, and the mask of
padded steps, to the layers called inside it.  Called with a symbolic tensor a layer only notes the call in a graph.
"""
import inspect
import re
import threading

import numpy as np

from .. import nn
from ..tensor import Tensor
from . import regularizers
from .registry import Configured, deserialize
from .symbolic import KerasTensor, symbolic_call, symbols, trial_shape
from .variable import as_dtype, as_tensor, floatx, is_structure, leaves, mapped
from .weights import Weighted, parameters_of


class Calls(threading.local):
    """What the layers that are being called right now share."""
    depth, training, losses = 0, None, None


calls = Calls()
names: dict[str, int] = {}                 # how many layers were named after each class


def automatic_name(cls_name):
    """conv2d, conv2d_1, ... for Conv2D."""
    snake = re.sub(r"([a-z])([A-Z])", r"\1_\2", re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", cls_name)).lower()
    count = names[snake] = names.get(snake, 0) + 1
    return snake if count == 1 else f"{snake}_{count - 1}"


class Layer(Configured, Weighted, nn.Module):
    """The base of all layers: subclass it, make weights in `build`, compute in `call`.

    trainable: whether training moves its weights.  input_shape, input_dim: the input's, in the first layer of a Sequential.
    """

    supports_masking = False               # whether the input's mask is the output's too
    keeps_dtype = False                    # whether integers come out as integers
    takes_lists = True                     # whether a list of numbers is an array
    input_spec: object = None

    def __init__(self, *, trainable=True, name=None, dtype=None, activity_regularizer=None, autocast=True, **kwargs):
        nn.Module.__init__(self)
        self.training = False
        input_dim, shape = kwargs.pop("input_dim", None), kwargs.pop("input_shape", None)
        batch_shape = kwargs.pop("batch_input_shape", kwargs.pop("batch_shape", None))
        kwargs.pop("autocast", None)
        if kwargs:
            raise TypeError(f"{type(self).__name__} has no argument {', '.join(map(repr, kwargs))}; it takes "
                            f"{', '.join(n for n in constructor_names(type(self)))}")
        shape = shape if input_dim is None else (input_dim,)
        shape = (shape,) if isinstance(shape, int) else shape
        self._input_shape_arg = tuple(batch_shape) if batch_shape else None if shape is None else (None, *shape)
        self.name = automatic_name(type(self).__name__) if name is None else str(name)
        self._dtype, self._trainable, self.built = as_dtype(dtype), bool(trainable), False
        self.activity_regularizer = regularizers.get(activity_regularizer)
        self._nodes, self._regularized, self._constrained, self._added_losses = [], [], [], []
        self._seen_shape = None            # of the last output, for summary()

    # ---- to be overridden -----------------------------------------------------------------------------

    def build(self, input_shape):
        """Make the weights for inputs of this shape, whose first axis, the batch, is None."""

    def call(self, inputs):
        """The computation."""
        raise NotImplementedError(f"layer {type(self).__name__} needs a method call(self, inputs)")

    def compute_output_shape(self, input_shape):
        """The shape of the output for inputs of this shape: by a trial on zeros, unless a layer says it."""
        return mapped(lambda t: t.shape, trial_shape(self, (symbols(input_shape),), {}))

    def compute_mask(self, inputs, previous_mask=None):
        """The mask of the output: the input's."""
        return previous_mask

    # ---- losses ---------------------------------------------------------------------------------------

    def add_loss(self, loss):
        """Let the loss of the model grow by `loss`, computed from this call's values."""
        (self._added_losses if calls.losses is None else calls.losses).append(loss)

    @property
    def losses(self):
        """The penalties on weights, and what add_loss() was given in the last call."""
        found = [r(w) for m in self._flatten() if isinstance(m, Layer) for _, w, r in m._regularized if w.requires_grad]
        return found + list(self._added_losses)

    # ---- calling --------------------------------------------------------------------------------------

    @property
    def dtype(self):
        """The number type of the weights, by name."""
        return str(self._dtype or floatx()).rpartition(".")[2]

    compute_dtype = variable_dtype = dtype

    def forward(self, *args, **kwargs):
        return self.call(*args, **kwargs)

    def _as_input(self, x):
        return as_tensor(x, self._dtype, f'the input of layer "{self.name}"') if isinstance(x, (Tensor, np.ndarray, np.generic)) else x

    def _check_input(self, first):
        if self.input_spec is not None and first is not None and hasattr(first, "shape"):
            self.input_spec.check(self, tuple(first.shape))

    def _build_for(self, args, kwargs):
        """build() with the shapes of a call's inputs, the batch's size unknown."""
        def shape(x):
            return mapped(lambda t: (None, *tuple(t.shape)[1:]) if hasattr(t, "shape") else None, x)
        taken, _ = parameters_of(type(self).build)
        if {n for n in taken if n.endswith("_shape")} - {"input_shape", taken[1] if len(taken) > 1 else ""}:
            bound = inspect.signature(self.call).bind(*args, **kwargs).arguments
            self.build(**{f"{n}_shape": shape(bound[n]) for n in bound if f"{n}_shape" in taken and bound[n] is not None})
        else:
            self.build(shape(args[0] if args else next(iter(kwargs.values()), None)))
        self.built = True
        self._adopt()

    def __call__(self, *args, **kwargs):
        if "_nodes" not in self.__dict__:
            raise RuntimeError(f"{type(self).__name__}.__init__() does not call super().__init__()")
        if any([isinstance(x, KerasTensor) for x in leaves([args, kwargs])]):
            return symbolic_call(self, args, kwargs)
        args = [mapped(self._as_input, x) if is_structure(x) else
                self._as_input(np.asarray(x) if isinstance(x, (list, float, int)) and self.takes_lists else x) for x in args]
        kwargs = {k: mapped(self._as_input, x) if is_structure(x) else self._as_input(x) for k, x in kwargs.items()}
        first = args[0] if args else next(iter(kwargs.values()), None)
        self._check_input(first)
        if not self.built:
            self._build_for(args, kwargs)
        taken, any_name = parameters_of(type(self).call)
        training = kwargs.pop("training", None)
        if training is None:
            training = calls.training if calls.depth else self.training
        if "training" in taken or any_name:
            kwargs["training"] = training
        masks = kwargs.get("mask")
        if masks is None and (self.supports_masking or "mask" in taken):
            masks = mask_of(first)
        if "mask" in taken and "mask" not in kwargs and masks is not None:
            kwargs["mask"] = masks
        for k, name in enumerate(taken[1:]):                     # query and query_mask, value and value_mask ...
            if f"{name}_mask" in taken and kwargs.get(f"{name}_mask") is None:
                kwargs[f"{name}_mask"] = mask_of(args[k] if k < len(args) else kwargs.get(name))
        outer = calls.training, calls.losses
        calls.training, calls.depth = training, calls.depth + 1
        if calls.losses is None:
            calls.losses = self._added_losses = []
        try:
            outputs = nn.Module.__call__(self, *args, **kwargs)
            if self.activity_regularizer is not None:
                for y in leaves(outputs):
                    self.add_loss(self.activity_regularizer(y) / y.shape[0])
        finally:
            calls.training, calls.losses = outer
            calls.depth -= 1
        if self.supports_masking:
            self._pass_mask(first, outputs, masks)
        self._seen_shape = mapped(lambda t: (None, *tuple(t.shape)[1:]) if hasattr(t, "shape") else None, outputs)
        return outputs

    def _pass_mask(self, inputs, outputs, previous):
        if previous is None and type(self).compute_mask is Layer.compute_mask:
            return
        masks = self.compute_mask(inputs, previous)
        for y, mask in zip(leaves(outputs), leaves(masks) if isinstance(masks, (list, tuple)) else [masks]):
            if mask is not None and isinstance(y, Tensor) and y is not inputs:
                y._keras_mask = mask

    # ---- its place in a graph and its picture -----------------------------------------------------------

    def _history(self, which):
        if not self._nodes:
            raise AttributeError(self._lacking(which))
        return self._nodes[0]

    def _lacking(self, which):
        return f'layer "{self.name}" has no {which} yet: it has not been called on a keras.Input'

    def __getattr__(self, name):                     # also called where a property below raised AttributeError
        if name in ("input", "output", "inputs", "outputs", "input_shape", "output_shape") and "_nodes" in self.__dict__:
            raise AttributeError(self._lacking(name))
        return super().__getattr__(name)

    @property
    def input(self):
        """The symbolic input of its first call."""
        found = leaves([self._history("input").args, self._history("input").kwargs])
        found = [t for t in found if isinstance(t, KerasTensor)]
        return found[0] if len(found) == 1 else found

    @property
    def output(self):
        """The symbolic output of its first call."""
        return self._history("output").outputs

    @property
    def input_shape(self):
        """The shape of its symbolic input."""
        return mapped(lambda t: t.shape, self.input)

    @property
    def output_shape(self):
        """The shape of its symbolic output."""
        return mapped(lambda t: t.shape, self.output)

    def get_config(self):
        """The arguments it was made with, and its name."""
        config = super().get_config()
        taken, any_name = parameters_of(type(self).__init__)
        extra = {"name": self.name, "trainable": self._trainable}
        config.update({k: v for k, v in extra.items() if k in taken or any_name})
        if config.get("dtype", 0) is None:
            del config["dtype"]
        return {k: v for k, v in config.items() if k in taken or k not in ("input_shape", "input_dim", "batch_input_shape")}

    @classmethod
    def from_config(cls, config):
        """The layer, without its weights, that get_config() described."""
        return cls(**{name: deserialize(value) for name, value in config.items()})

    def __repr__(self):
        return f"<{type(self).__name__} name={self.name}, built={self.built}>"


def constructor_names(cls):
    """The arguments of a layer's class, with those that every layer takes."""
    found, _ = parameters_of(cls.__init__)
    return [n for n in found if n not in ("self", "kwargs", "args")] + ["name", "trainable", "dtype", "activity_regularizer", "input_shape"]


def mask_of(x):
    """The mask that hangs on a tensor, or those on several; None where there is none."""
    if isinstance(x, (list, tuple)):
        found = [mask_of(v) for v in x]
        return None if all(m is None for m in found) else found
    return getattr(x, "_keras_mask", None) if isinstance(x, Tensor) else None


def clear_session():
    """Start the automatic names again."""
    names.clear()
