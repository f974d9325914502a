"""Helpers by Keras' names: one-hot targets, padded sequences, seeds, progress of datasets, registration of own classes."""
import numpy as np

from ..layer import clear_session
from ..preprocessing.sequence import pad_sequences
from ..registry import custom_object_scope, get_custom_objects, register_keras_serializable
from ..registry import deserialize as deserialize_keras_object
from ..registry import serialize as serialize_keras_object
from ..variable import as_array

CustomObjectScope = custom_object_scope


def to_categorical(x, num_classes=None):
    """Class numbers (...) as one-hot float32 rows (..., num_classes); by default as many classes as the largest number asks for."""
    x = as_array(x, "to_categorical: x")
    if x.ndim > 1 and x.shape[-1] == 1:
        x = x[..., 0]
    labels = x.astype(np.int64)
    if labels.size and (labels.min() < 0 or not (labels == x).all()):
        raise ValueError("to_categorical takes class numbers: whole numbers from 0 on")
    n = int(labels.max()) + 1 if num_classes is None and labels.size else num_classes or 0
    if labels.size and labels.max() >= n:
        raise ValueError(f"to_categorical: there is a class {labels.max()}, but num_classes={n} has the numbers 0 to {n - 1}")
    y = np.zeros((labels.size, n), np.float32)
    y[np.arange(labels.size), labels.reshape(-1)] = 1
    return y.reshape(*labels.shape, n)


def normalize(x, axis=-1, order=2):
    """x divided by its norm along the axis; 0 stays 0."""
    size = np.atleast_1d(np.linalg.norm(x, order, axis))
    size[size == 0] = 1
    return x / np.expand_dims(size, axis)


def set_random_seed(seed):
    """Seed minitorch's, NumPy's and Python's random numbers."""
    import random

    import minitorch as torch
    torch.manual_seed(seed)
    np.random.seed(seed % 2 ** 32)
    random.seed(seed)


class PyDataset:
    """The base of datasets of batches: __len__ says how many, __getitem__(i) gives batch i as (x, y)."""

    def __init__(self, workers=1, use_multiprocessing=False, max_queue_size=10):
        self.workers, self.use_multiprocessing, self.max_queue_size = workers, use_multiprocessing, max_queue_size

    def __getitem__(self, index):
        raise NotImplementedError(f"{type(self).__name__} needs a method __getitem__(index)")

    def __len__(self):
        raise NotImplementedError(f"{type(self).__name__} needs a method __len__()")

    def on_epoch_end(self):
        """After each epoch; for a new order of the data."""


Sequence = PyDataset
