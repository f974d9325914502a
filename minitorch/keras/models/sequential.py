"""Sequential: layers in a row, each working on what the one before made."""
from ... import nn
from ..layer import Layer, calls
from ..layers.core import InputLayer, TorchModuleWrapper
from ..registry import deserialize, serialize
from ..symbolic import Graph, KerasTensor, symbolic_call
from ..variable import shown
from .model import Model


class Sequential(Model):
    """Layers in a row.

    The weights are made when the shape of the input is known: from an Input as the first of them, from input_shape= of the first
    layer, from build(input_shape), or from the first data.
    """

    def __init__(self, layers=None, trainable=True, name=None):
        super().__init__(name=name, trainable=trainable)
        self._row, self._start = [], None
        for layer in layers if layers is not None else ():
            self._append(layer)
        self._maybe_build()

    def add(self, layer):
        """Put a layer at the end."""
        self._append(layer)
        self._maybe_build()

    def pop(self):
        """Take the last layer away, and return it."""
        if not self._row:
            raise ValueError(f'model "{self.name}" has no layer to pop')
        layer = self._row.pop()
        del self._modules[layer.name.replace(".", "_")]
        layer._nodes = [n for n in layer._nodes if self._graph is None or n not in self._graph.nodes]
        self._graph, self.built = None, False
        self._maybe_build()
        return layer

    def _append(self, layer):
        if isinstance(layer, KerasTensor):
            layer = layer.history[0].layer
        if isinstance(layer, type) and issubclass(layer, Layer):
            raise TypeError(f"Sequential takes layers: write {layer.__name__}(...), with the brackets")
        if isinstance(layer, nn.Module) and not isinstance(layer, Layer):
            layer = TorchModuleWrapper(layer)
        if not isinstance(layer, Layer):
            raise TypeError(f"Sequential takes layers, not {type(layer).__name__}: {layer!r}")
        if isinstance(layer, InputLayer):
            if self._row or self._start is not None:
                raise ValueError(f'model "{self.name}": an Input can only come first, and once')
            self._start = layer
            return
        self._hold([layer])
        self._row.append(layer)

    def _maybe_build(self):
        """Make the graph, and with it the weights, where the shape of the input is known."""
        if not self._row:
            return
        if self._start is None:
            first = self._row[0]
            shape = first._input_shape_arg
            if shape is None and isinstance(first, Model) and first._graph is not None and isinstance(first._graph.inputs, KerasTensor):
                shape, dtype = first._graph.inputs.shape, first._graph.inputs.dtype
            elif shape is not None:
                dtype = "int64" if type(first).__name__ == "Embedding" else None
            if shape is None:
                return
            self._start = InputLayer(batch_shape=shape, dtype=dtype)
        self._make_graph()

    def _make_graph(self):
        if self._graph is not None and len(self._graph.nodes) == len(self._row):          # one layer more
            x = symbolic_call(self._row[-1], [self._graph.outputs], {})
        else:
            x = self._start.output
            for layer in self._row:
                x = symbolic_call(layer, [x], {})
        self._graph, self.built = Graph(self._start.output, x), True

    @property
    def layers(self):
        """The layers, without the Input."""
        return list(self._row)

    def build(self, input_shape=None):
        """Make the weights for inputs of this shape, the batch's axis included."""
        if input_shape is not None:
            self._build_with(tuple(input_shape), None)

    def _build_with(self, shape, dtype):
        if not self._row:
            raise ValueError(f'model "{self.name}" has no layers')
        if self._start is None:
            self._start = InputLayer(batch_shape=shape, dtype=dtype)
        outer, calls.training, calls.depth = (calls.training, calls.depth), None, 0
        try:
            self._make_graph()
        finally:
            calls.training, calls.depth = outer

    def _build_for(self, args, kwargs):
        x = args[0]
        if not hasattr(x, "shape"):
            raise TypeError(f'model "{self.name}", a Sequential, takes one input, not {len(x)}')
        self._build_with((None, *tuple(x.shape)[1:]), x.dtype)

    def call(self, inputs, training=None, mask=None):
        if self._graph is not None and hasattr(inputs, "shape"):
            start = self._graph.inputs.shape
            if len(inputs.shape) != len(start):
                raise ValueError(f'model "{self.name}" was built for inputs of {shown(start)}, but it was given {shown(inputs.shape)}')
        x = inputs
        for layer in self._row:
            x = layer(x)
        return x

    def compute_output_shape(self, input_shape):
        shape = input_shape
        for layer in self._row:
            shape = layer.compute_output_shape(shape)
        return shape

    def get_config(self):
        shape = None if self._start is None else {"batch_shape": list(self._start.batch_shape), "dtype": self._start.output.dtype}
        return {"name": self.name, "trainable": self._trainable, "input": shape, "layers": [serialize(layer) for layer in self._row]}

    @classmethod
    def from_config(cls, config):
        start = [] if config.get("input") is None else [InputLayer(**config["input"])]
        return cls([*start, *map(deserialize, config["layers"])], name=config.get("name"), trainable=config.get("trainable", True))
