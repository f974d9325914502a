"""What programs ask of keras.backend: the number type, epsilon, the session, values of variables."""
import minitorch as torch

from .layer import clear_session
from .losses import EPSILON
from .ops import *  # noqa: F403  (K.mean, K.square, ...)
from .variable import as_dtype


def backend():
    """minitorch."""
    return "minitorch"


def epsilon():
    """What keeps quotients and logarithms finite."""
    return EPSILON


def floatx():
    """The number type of weights, by name."""
    return str(torch.get_default_dtype()).rpartition(".")[2]


def set_floatx(value):
    """Make weights of another number type: minitorch's default dtype."""
    torch.set_default_dtype(as_dtype(value))


def image_data_format():
    """The place of the channels."""
    return "channels_last"


def get_value(x):
    """The value of a variable as an array or number."""
    return x.numpy() if hasattr(x, "numpy") else x


def set_value(x, value):
    """Set a variable, or an optimizer's learning rate."""
    x.assign(value)


__all__ = ["backend", "clear_session", "epsilon", "floatx", "get_value", "image_data_format", "set_floatx", "set_value"]
