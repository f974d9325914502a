"""Apple's GPUs, which minitorch does not compute on."""


def is_available():
    """False."""
    return False


def is_built():
    """False."""
    return False
