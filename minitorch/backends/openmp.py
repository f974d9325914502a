"""OpenMP, which minitorch does not use on the CPU."""


def is_available():
    """False."""
    return False
