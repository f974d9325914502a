"""Intel's library, which multiplies large matrices where the extra `fast` is installed and the processor is Intel's."""
from .. import mkl


def is_available():
    """Whether minitorch finds it."""
    return bool(mkl.find())
