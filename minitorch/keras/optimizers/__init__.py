"""Optimizers by Keras' names, with its formulas, arguments and defaults, on minitorch's."""
from ..registry import deserialize, serialize
from . import schedules
from .optimizer import Optimizer
from .rules import SGD, Adadelta, Adagrad, Adam, Adamax, AdamW, Lion, Nadam, RMSprop

CLASSES = (SGD, Adam, AdamW, RMSprop, Adagrad, Adadelta, Adamax, Nadam, Lion)
NAMES = {c.__name__: c for c in CLASSES} | {c.__name__.lower(): c for c in CLASSES}


def get(identifier):
    """The optimizer that a name, a configuration or an object stands for."""
    from ...optim import Optimizer as Theirs
    from ..registry import named
    if isinstance(identifier, Optimizer):
        return identifier
    if isinstance(identifier, dict):
        return deserialize(identifier)
    if isinstance(identifier, str):
        return named("optimizer", NAMES, identifier)()
    if isinstance(identifier, type) and issubclass(identifier, Optimizer):
        return identifier()
    if isinstance(identifier, Theirs):
        raise TypeError(f"compile() takes an optimizer of minitorch.keras.optimizers, such as Adam(learning_rate=0.001), not one of "
                        f"minitorch.optim ({type(identifier).__name__})")
    raise TypeError(f"an optimizer is a name, such as 'adam', or an object, not {type(identifier).__name__}: {identifier!r}")
