"""Helpers around training: data loading, checkpoints of activations, trees of tensors."""
from . import checkpoint, data, dlpack
