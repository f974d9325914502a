"""Saving and registration by Keras' names."""
from ..models.saving import load_model, save_model
from ..registry import custom_object_scope, get_custom_objects, register_keras_serializable
from ..registry import deserialize as deserialize_keras_object
from ..registry import serialize as serialize_keras_object

CustomObjectScope = custom_object_scope
