"""Models: layers in a row, a graph of layers, or a class of your own; how they are saved and loaded."""
from ..registry import deserialize
from .model import Model
from .saving import load_model, save_model
from .sequential import Sequential

Functional = Model


def clone_model(model):
    """A model of the same configuration with weights of its own."""
    return type(model).from_config(model.get_config())


def model_from_json(text, custom_objects=None):
    """The model, without weights, that to_json() described."""
    import json
    return deserialize(json.loads(text), custom_objects)
