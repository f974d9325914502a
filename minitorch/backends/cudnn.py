"""The switches of PyTorch's cuDNN backend: they can be set and read, and change nothing, for cuDNN is not used here."""
import contextlib

enabled, deterministic, benchmark, benchmark_limit, allow_tf32 = True, False, False, 10, True


def is_available():
    """False: convolutions run on kernels of minitorch's own."""
    return False


def version():
    """None: there is no cuDNN."""


def set_flags(_enabled=None, _benchmark=None, _benchmark_limit=None, _deterministic=None, _allow_tf32=None):
    """Set what is given; returns the values before."""
    given = dict(enabled=_enabled, benchmark=_benchmark, benchmark_limit=_benchmark_limit, deterministic=_deterministic,
                 allow_tf32=_allow_tf32)
    before = tuple(globals()[name] for name in given)
    globals().update({name: value for name, value in given.items() if value is not None})
    return before


@contextlib.contextmanager
def flags(enabled=False, benchmark=False, benchmark_limit=10, deterministic=False, allow_tf32=True):
    """Within this block the switches are as given."""
    before = set_flags(enabled, benchmark, benchmark_limit, deterministic, allow_tf32)
    try:
        yield
    finally:
        set_flags(*before)
