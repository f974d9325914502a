"""Symbolic tensors: a layer called on one notes the call instead of computing, and of these notes a Model is made.

A KerasTensor is a shape, a number type and its history: which call of which layer it comes out of.  A Graph is the calls
between some symbolic tensors and others in the order of their computation.
"""
import minitorch as torch

from ..tensor import Tensor
from .variable import as_dtype, floatx, leaves, mapped, shown


class Node:
    """One call of a layer on symbolic tensors."""

    def __init__(self, layer, args, kwargs, outputs):
        self.layer, self.args, self.kwargs, self.outputs = layer, args, kwargs, outputs
        self.index = len(layer._nodes)     # the how manieth call of this layer it is
        layer._nodes.append(self)
        for i, t in enumerate(leaves(outputs)):
            t.history = (self, i)

    def inputs(self):
        """The symbolic tensors that the call was given."""
        return [t for t in leaves([self.args, self.kwargs]) if isinstance(t, KerasTensor)]


class KerasTensor:
    """A tensor to come: shape (None where a size is not known yet), dtype, and the call it comes out of.

    Arithmetic and indexing note a call too; other functions are in keras.ops.
    """

    def __init__(self, shape, dtype=None, name=None):
        self.shape, self._dtype, self.name, self.history = tuple(shape), as_dtype(dtype) or floatx(), name, None

    @property
    def dtype(self):
        """The number type, by name."""
        return str(self._dtype).rpartition(".")[2]

    @property
    def ndim(self):
        """The number of axes, that of the batch included."""
        return len(self.shape)

    def __repr__(self):
        return f"<KerasTensor shape={shown(self.shape)}, dtype={self.dtype}, name={self.name}>"

    def __array__(self, *_, **__):
        raise TypeError(refusal)

    def __bool__(self):
        raise TypeError(refusal)

    def __iter__(self):
        raise TypeError(refusal)

    def __len__(self):
        raise TypeError(refusal)


refusal = ("this is a symbolic keras.Input or an output of a layer called on one: it has no numbers yet. Use layers and keras.ops on it, "
           "or put the function in a Layer's call()")


def attach_operators():
    """Arithmetic on symbolic tensors, by keras.ops."""
    from . import ops
    for python, name in {"add": "add", "sub": "subtract", "mul": "multiply", "truediv": "divide", "pow": "power",
                         "matmul": "matmul"}.items():
        setattr(KerasTensor, f"__{python}__", lambda a, b, f=getattr(ops, name): f(a, b))
        setattr(KerasTensor, f"__r{python}__", lambda a, b, f=getattr(ops, name): f(b, a))
    KerasTensor.__neg__ = lambda a: ops.negative(a)
    KerasTensor.__getitem__ = lambda a, i: ops.get_item(a, i)


def symbolic_call(layer, args, kwargs):
    """The symbolic outputs of a call with symbolic inputs, noted as a node."""
    first = args[0] if args else next(iter(kwargs.values()), None)
    layer._check_input(first)
    if not layer.built:
        layer._build_for(args, kwargs)
    told = type(layer).compute_output_shape.__qualname__ != "Layer.compute_output_shape"
    if told and len(args) == 1 and not any(isinstance(x, KerasTensor) for x in leaves(list(kwargs.values()))):
        shapes = mapped(lambda t: t.shape, args[0])
        keeps = layer.keeps_dtype and isinstance(args[0], KerasTensor)
        outputs = symbols(layer.compute_output_shape(shapes), args[0]._dtype if keeps else layer._dtype, layer.name)
    else:
        outputs = trial_shape(layer, args, kwargs)
    Node(layer, args, kwargs, outputs)
    return outputs


def symbols(shape, dtype=None, name=None):
    """A shape, or a list of shapes, as symbolic tensors."""
    if isinstance(shape, (list, tuple)) and (not shape or not isinstance(shape[0], (list, tuple))):
        return KerasTensor(shape, dtype, name)
    return [symbols(s, dtype, name) for s in shape]


def trial_shape(layer, args, kwargs):
    """The symbolic outputs of a call, by two runs on zeros: what changes with the unknown sizes is unknown."""
    def run(batch, other):
        def zeros(t):
            if not isinstance(t, KerasTensor):
                return t
            sizes = [(batch if axis == 0 else other) if n is None else n for axis, n in enumerate(t.shape)]
            return torch.zeros(sizes, dtype=t._dtype)
        with torch.no_grad():
            return layer(*mapped(zeros, list(args)), **mapped(zeros, dict(kwargs)))

    def compared(a, b):
        if isinstance(a, (list, tuple)):
            return type(a)([compared(x, y) for x, y in zip(a, b)])
        if isinstance(a, dict):
            return {k: compared(a[k], b[k]) for k in a}
        if not isinstance(a, Tensor):
            raise TypeError(f'layer "{layer.name}": call() returned a {type(a).__name__}, not a tensor')
        return KerasTensor([m if m == n else None for m, n in zip(a.shape, b.shape)], a.dtype, layer.name)
    return compared(run(2, 83), run(3, 89))


def Input(shape=None, batch_size=None, dtype=None, sparse=None, batch_shape=None, name=None, tensor=None):
    """A symbolic tensor of the given shape without the batch's axis: where a Model begins."""
    from .layers.core import InputLayer
    if shape is None and batch_shape is None:
        raise TypeError("Input needs a shape, such as Input(shape=(28, 28, 1)); the batch's axis is left out")
    if isinstance(shape, int):
        raise TypeError(f"Input needs a tuple as its shape: Input(shape=({shape},))")
    return InputLayer(shape=shape, batch_size=batch_size, dtype=dtype, batch_shape=batch_shape, name=name).output


class Graph:
    """The calls that lead from the symbolic `inputs` to the symbolic `outputs`, in order."""

    def __init__(self, inputs, outputs):
        self.inputs, self.outputs = inputs, outputs
        for what, tensors in (("inputs", inputs), ("outputs", outputs)):
            for t in leaves(tensors):
                if not isinstance(t, KerasTensor):
                    raise TypeError(f"Model: {what} must be keras.Input tensors and outputs of layers called on them, "
                                    f"not {type(t).__name__}")
        self.nodes = self.sorted()
        self.layers = self.by_depth()

    def sorted(self):
        """The calls in an order in which each has its inputs ready."""
        starts, order, state = {id(t) for t in leaves(self.inputs)}, [], {}
        for out in leaves(self.outputs):
            stack = [] if out.history is None else [(out.history[0], False)]
            while stack:
                node, done = stack.pop()
                if done:
                    order.append(node)
                elif id(node) not in state:
                    state[id(node)] = node
                    stack.append((node, True))
                    if all(id(t) in starts for t in leaves(node.outputs)):
                        continue
                    for t in reversed(node.inputs()):
                        if id(t) not in starts or t.history[0].layer.__class__.__name__ == "InputLayer":
                            stack.append((t.history[0], False))
        for node in order:
            if type(node.layer).__name__ == "InputLayer" and not any(id(t) in starts for t in leaves(node.outputs)):
                raise ValueError(f'Model: the outputs depend on the Input "{node.layer.name}", which is not among the inputs')
        for t in leaves(self.inputs):
            if t.history is not None and id(t.history[0]) not in state:
                order.insert(0, t.history[0])
                state[id(t.history[0])] = t.history[0]
        self.met = list(state.values())
        return order

    def by_depth(self):
        """The layers, those farthest from the outputs first, as Keras lists them; where that is equal, as they are met from there."""
        depth, layer_depth = {}, {}
        for node in reversed(self.nodes):
            found = max(depth.get(id(node), 0), layer_depth.get(id(node.layer), 0))
            depth[id(node)] = layer_depth[id(node.layer)] = found
            for t in node.inputs():
                if t.history is not None:
                    depth[id(t.history[0])] = max(depth.get(id(t.history[0]), 0), found + 1)
        starts = {id(t) for t in leaves(self.inputs)}
        layers = {id(node.layer): node.layer for node in self.met
                  if type(node.layer).__name__ == "InputLayer" or not all(id(t) in starts for t in leaves(node.outputs))}
        return sorted(layers.values(), key=lambda layer: -layer_depth[id(layer)])

    def run(self, inputs, training=None):
        """The outputs for tensors in place of the symbolic inputs."""
        given = in_structure(self.inputs, inputs)
        values = {}
        for t, x in zip(leaves(self.inputs), given):
            check_fit(t, x)
            values[id(t)] = x
        for node in self.nodes:
            made = leaves(node.outputs)
            if all(id(t) in values for t in made):
                continue
            def value(x):
                return values[id(x)] if isinstance(x, KerasTensor) else x
            args, kwargs = mapped(value, list(node.args)), mapped(value, node.kwargs)
            for t, y in zip(made, leaves(node.layer(*args, **kwargs))):
                values[id(t)] = y
        return mapped(lambda t: values[id(t)], self.outputs)


def in_structure(wanted, inputs):
    """The tensors of `inputs` in the order of the leaves of `wanted`: by name from a dict. ValueError where they do not match."""
    symbols = leaves(wanted)
    if isinstance(inputs, dict):
        keys = list(wanted) if isinstance(wanted, dict) else [t.name for t in symbols]
        missing = [k for k in keys if k not in inputs]
        if missing:
            raise ValueError(f"the model's inputs are {', '.join(map(str, keys))}, but there is no {', '.join(map(str, missing))} "
                             f"among those given: {', '.join(map(str, inputs))}")
        return [inputs[k] for k in keys]
    given = leaves(inputs)
    if len(given) != len(symbols):
        raise ValueError(f"the model takes {len(symbols)} input{'s' * (len(symbols) != 1)}, but got {len(given)}")
    return given


def check_fit(symbol, x):
    """ValueError unless the tensor has the shape that was announced."""
    shape = tuple(x.shape)
    if len(shape) == len(symbol.shape) and all(m is None or n is None or m == n for m, n in zip(symbol.shape[1:], shape[1:])):
        return
    raise ValueError(f"the model's input {symbol.name or ''} has the shape {shown(symbol.shape)}, but it was given {shown(shape)}")
