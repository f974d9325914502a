"""Model: a layer that can be trained, evaluated, saved and shown.

Model(inputs, outputs) is the graph between symbolic tensors; a subclass has layers as attributes and a `call` of its own.
"""
import json

import minitorch as torch

from ..layer import Layer, automatic_name
from ..registry import deserialize, serialize
from ..symbolic import Graph, Input, KerasTensor
from ..training.trainer import Trainer
from ..variable import as_dtype, leaves, mapped


class Model(Trainer, Layer):
    """inputs, outputs: symbolic tensors, or lists or dicts of them; none for a subclass with a call() of its own."""

    def __init__(self, inputs=None, outputs=None, name=None, trainable=True, **kwargs):
        graph = None
        if inputs is not None or outputs is not None:
            if inputs is None or outputs is None:
                raise TypeError("Model(inputs, outputs) needs both; a subclass of Model takes neither and has a call()")
            graph = Graph(inputs, outputs)
            name = name or (automatic_name("Functional") if type(self) is Model else None)
        Layer.__init__(self, name=name, trainable=trainable, **kwargs)
        self._graph, self._signature = graph, None
        self._start_training_state()
        if graph is not None:
            self._hold(graph.layers)
            self.built = True

    def _hold(self, layers):
        """Make these layers the model's, by their names. ValueError where two have the same."""
        for layer in layers:
            key = layer.name.replace(".", "_")
            if self._modules.get(key, layer) is not layer:
                raise ValueError(f'two layers of model "{self.name}" are called "{layer.name}": every layer needs a name of its own')
            self._modules[key] = layer

    # ---- computing --------------------------------------------------------------------------------------

    def call(self, inputs, training=None, mask=None):
        if self._graph is None:
            raise NotImplementedError(f"{type(self).__name__} needs a method call(self, inputs), or inputs and outputs")
        return self._graph.run(inputs)

    def __call__(self, *args, **kwargs):
        y = super().__call__(*args, **kwargs)
        first = args[0] if args else None
        if self._signature is None and first is not None and not any(isinstance(t, KerasTensor) for t in leaves(first)):
            self._signature = mapped(lambda t: [[None, *tuple(t.shape)[1:]], str(t.dtype).rpartition(".")[2]] if hasattr(t, "shape") else None,
                                     first)
        return y

    def _build_for(self, args, kwargs):
        if type(self).build is not Model.build:
            super()._build_for(args, kwargs)
        self.built = True
        self._adopt()

    def build(self, input_shape=None):
        """Make the weights for inputs of this shape, by a trial on zeros."""
        if self._graph is None and input_shape is not None:
            shapes = input_shape if isinstance(input_shape, list) else [input_shape]
            xs = [torch.zeros([n or 1 for n in shape]) for shape in shapes]
            with torch.no_grad():
                self(xs if isinstance(input_shape, list) else xs[0])

    def compute_output_shape(self, input_shape):
        """The shape of the output for inputs of this shape."""
        if self._graph is None or leaves(input_shape) and [t.shape for t in leaves(self._graph.inputs)] != [tuple(input_shape)]:
            return Layer.compute_output_shape(self, input_shape)
        return mapped(lambda t: t.shape, self._graph.outputs)

    # ---- its parts --------------------------------------------------------------------------------------

    @property
    def layers(self):
        """The layers of the model itself, those inside others left out."""
        if self._graph is not None:
            return list(self._graph.layers)
        self._adopt()
        return [m for m in self._modules.values() if isinstance(m, Layer)]

    def get_layer(self, name=None, index=None):
        """The layer of that name or place. ValueError where there is none."""
        layers = self.layers
        if index is not None:
            if not -len(layers) <= index < len(layers):
                raise ValueError(f'model "{self.name}" has {len(layers)} layers, none of index {index}')
            return layers[index]
        found = [layer for layer in layers if layer.name == name]
        if not found:
            raise ValueError(f'model "{self.name}" has no layer "{name}". There are: {", ".join(layer.name for layer in layers)}')
        return found[0]

    def _symbols(self, which):
        if self._graph is None:
            raise AttributeError(self._lacking(which))
        return getattr(self._graph, which)

    def _lacking(self, which):
        if hasattr(self, "_row"):
            return f'model "{self.name}" has no {which} yet: the shape of its input is not known'
        return f'model "{self.name}" has no {which}: it is not a graph of layers'

    @property
    def input(self):
        """The symbolic input, or inputs."""
        return single(self._symbols("inputs"))

    @property
    def output(self):
        """The symbolic output, or outputs."""
        return single(self._symbols("outputs"))

    @property
    def inputs(self):
        """The symbolic inputs."""
        return leaves(self._symbols("inputs"))

    @property
    def outputs(self):
        """The symbolic outputs."""
        return leaves(self._symbols("outputs"))

    @property
    def output_names(self):
        """A name for each output: of the layer that makes it, or its key."""
        if self._graph is None:
            return []
        if isinstance(self._graph.outputs, dict):
            return list(self._graph.outputs)
        return [t.history[0].layer.name for t in leaves(self._graph.outputs)]

    def summary(self, line_length=None, positions=None, print_fn=None, expand_nested=False, show_trainable=False):
        """Print the layers, the shapes of their outputs and the numbers of their weights, as a table."""
        from ..training.summary import table
        (print_fn or print)(table(self, line_length, expand_nested, show_trainable))

    # ---- saving -----------------------------------------------------------------------------------------

    def get_config(self):
        if self._graph is None:
            return Layer.get_config(self)
        return {"name": self.name, "trainable": self._trainable, **graph_config(self._graph)}

    @classmethod
    def from_config(cls, config):
        if "calls" not in config:
            return super().from_config(config)
        config = dict(config)
        inputs, outputs = graph_from({key: config.pop(key) for key in ("inputs", "layers", "calls", "input_structure", "outputs")})
        return cls(inputs=inputs, outputs=outputs, **config)

    def to_json(self, **kwargs):
        """The configuration as JSON, for model_from_json()."""
        return json.dumps(serialize(self), **kwargs)

    def save(self, filepath, overwrite=True, **kwargs):
        """Write configuration, weights, optimizer state and what compile() was given into one file; load_model() reads it."""
        from .saving import save_model
        save_model(self, filepath, overwrite, **kwargs)

    def save_weights(self, filepath, overwrite=True):
        """Write the weights into a file of minitorch's, whatever its name ends with."""
        from .saving import save_weights
        save_weights(self, filepath, overwrite)

    def load_weights(self, filepath, skip_mismatch=False, **kwargs):
        """Put the weights of a file into this model: by their order, so that names may differ. ValueError where shapes do."""
        from .saving import load_weights
        load_weights(self, filepath, skip_mismatch)

    def __repr__(self):
        return f"<{type(self).__name__} name={self.name}, built={self.built}>"


def single(x):
    """The only one of a list of one."""
    return x[0] if isinstance(x, (list, tuple)) and len(x) == 1 else x


# ---- a graph as JSON ----------------------------------------------------------------------------------------

def graph_config(graph):
    """The graph as plain data: its inputs, its layers, the calls in order, and which results are the outputs."""
    place = {id(t): [-1, k] for k, t in enumerate(leaves(graph.inputs))}
    calls = []
    for node in graph.nodes:
        made = leaves(node.outputs)
        if all(id(t) in place for t in made):
            continue
        for k, t in enumerate(made):
            place[id(t)] = [len(calls), k]
        calls.append(node)

    def written(x):
        return mapped(lambda v: {"class_name": "__tensor__", "config": place[id(v)]} if isinstance(v, KerasTensor) else serialize(v), x)
    inputs = [{"batch_shape": list(t.shape), "dtype": t.dtype, "name": t.name} for t in leaves(graph.inputs)]
    layers = list({id(n.layer): n.layer for n in calls}.values())
    return {"inputs": inputs, "input_structure": written(graph.inputs), "layers": [serialize(layer) for layer in layers],
            "calls": [{"layer": node.layer.name, "args": written(list(node.args)), "kwargs": written(node.kwargs)} for node in calls],
            "outputs": written(graph.outputs)}


def graph_from(config):
    """(inputs, outputs) of the graph that graph_config() described. ValueError where it refers to what is not there."""
    layers = {layer.name: layer for layer in map(deserialize, config["layers"])}
    results = {-1: [Input(batch_shape=i["batch_shape"], dtype=i["dtype"], name=i["name"]) for i in config["inputs"]]}

    def read(x):
        if isinstance(x, dict) and x.get("class_name") == "__tensor__":
            call, k = x["config"]
            if call not in results or not 0 <= k < len(results[call]):
                raise ValueError(f"the model's configuration is damaged: it refers to result {k} of call {call}, which is not there")
            return results[call][k]
        if isinstance(x, dict) and "class_name" not in x:
            return {key: read(v) for key, v in x.items()}
        return [read(v) for v in x] if isinstance(x, (list, tuple)) else deserialize(x)
    for i, call in enumerate(config["calls"]):
        if call["layer"] not in layers:
            raise ValueError(f"the model's configuration is damaged: it calls a layer {call['layer']!r}, which is not there")
        results[i] = leaves(layers[call["layer"]](*read(call["args"]), **read(call["kwargs"])))
    return read(config["input_structure"]), read(config["outputs"])


def zeros_like_signature(signature):
    """Inputs of zeros of the shapes and types that a model has seen."""
    if isinstance(signature, dict):
        return {k: zeros_like_signature(v) for k, v in signature.items()}
    if len(signature) == 2 and isinstance(signature[1], str):
        return torch.zeros([n or 1 for n in signature[0]], dtype=as_dtype(signature[1]))
    return [zeros_like_signature(s) for s in signature]


def check_built(model, why):
    if not model.weights and not model.built:
        raise ValueError(f'model "{model.name}" has no weights yet: call it on data, fit() it or build(input_shape) it before {why}')


