"""minitorch.keras: models, layers and training by Keras 3's names and meanings, on minitorch's tensors, modules and optimizers.

    from minitorch.keras import layers, models

    model = models.Sequential([layers.Input((28, 28, 1)), layers.Conv2D(32, 3, activation="relu"), layers.MaxPooling2D(),
                               layers.Flatten(), layers.Dense(10, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(images, labels, epochs=3, validation_split=0.1)

A layer is a minitorch.nn.Module: parameters(), state_dict() and to() work on it, and backward() on what it computes.
Channels come last, and weights have Keras' shapes.
"""
from . import (activations, callbacks, constraints, initializers, layers, losses, metrics, models, ops, optimizers, preprocessing, random,
               regularizers, utils)
from . import backend, saving
from .initializers import Initializer
from .layers import Input, InputSpec, Layer
from .losses import Loss
from .metrics import Metric
from .models import Model, Sequential
from .optimizers import Optimizer
from .regularizers import Regularizer
from .symbolic import KerasTensor
from .variable import Variable
from .version import __version__
