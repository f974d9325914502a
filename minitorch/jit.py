"""Compilation by PyTorch's older names: functions and modules stay as they are, and run as Python."""


def script(obj=None, *args, **kwargs):
    """The function, class or module as it is."""
    return obj


def trace(func, example_inputs=None, *args, **kwargs):
    """The function or module as it is."""
    return func


def export(fn):
    """The function as it is."""
    return fn


def unused(fn):
    """The function as it is."""
    return fn


def ignore(drop=False, **kwargs):
    """A decorator that changes nothing, with or without arguments."""
    return drop if callable(drop) else lambda fn: fn


def is_scripting():
    """False: code runs as Python."""
    return False


is_tracing = is_scripting
