"""What computes: for each family of ops the hand-written CUDA kernels or the array library.

    minitorch.backends.matmul = "kernel"                 # or "library", or "auto"
    with minitorch.backends.using(softmax="library"):    # for a while
        ...

"kernel": the kernels of minitorch.kernels wherever they apply.  "library": NumPy, or CuPy and with it cuBLAS.
"auto", at first the choice of all: on a GPU what ON_GPU says; for NumPy arrays the library, but kernels within kernels.simulated().
On NumPy arrays "kernel" holds within kernels.simulated() only.

    minitorch.backends.loops = "never"                   # or "auto", or "always"

Compiled loops, where numba is installed (the extra `fast`): "auto" for large arrays on the CPU, "always" for all sizes.

    minitorch.backends.blas = "numpy"                    # or "auto", or "mkl"

Products of matrices on the CPU: "auto" by Intel's MKL where it is installed (the extra `fast`) and the processor is Intel's, else by
the library that NumPy came with.

The switches of PyTorch's backends are here too, for programs that set them: cudnn, cuda, mps, mkl, openmp.  They change nothing.
"""
import contextlib
import importlib
import sys
import types

CHOICES = ("auto", "kernel", "library")
ON_CPU = {"loops": ("auto", "always", "never"), "blas": ("auto", "mkl", "numpy")}

ON_GPU = {                                           # what "auto" means for arrays on a GPU
    "softmax": "kernel",                             # one pass over the row in place of five
    "cross_entropy": "kernel",
    "norm": "kernel",                                # layer, RMS and batch norm
    "activation": "kernel",
    "attention": "kernel",                           # no (L, S) matrix of scores in memory
    "dropout": "kernel",                             # random numbers made where they are used, not on the host
    "embedding": "kernel",                           # the gradient of a table
    "conv": "kernel",                                # the library way copies every window
    "pool": "kernel",
    "recurrent": "kernel",                           # the gates of LSTM and GRU cells
    "optimizer": "kernel",                           # Adam and AdamW: all parameters in one launch
    "matmul": "library",                             # cuBLAS
}


def takes_kernel(family, simulated):
    """Whether ops of a family run on kernels: simulated for NumPy arrays within kernels.simulated(), otherwise on a GPU."""
    choice = CHOSEN[family]
    return choice == "kernel" or choice == "auto" and (simulated or ON_GPU[family] == "kernel")


@contextlib.contextmanager
def using(**choices):
    """Within this block the families named are computed by what is chosen here."""
    before = dict(CHOSEN)
    try:
        for family, choice in choices.items():
            choose(family, choice)
        yield
    finally:
        CHOSEN.update(before)


def choose(family, choice):
    """Set a family's choice; AttributeError for an unknown family, ValueError for an unknown choice."""
    if family not in CHOSEN:
        raise AttributeError(f"minitorch.backends has no family {family!r}: there are {', '.join(CHOSEN)}")
    choices = ON_CPU.get(family, CHOICES)
    if choice not in choices:
        raise ValueError(f"minitorch.backends.{family} must be one of {', '.join(choices)}, not {choice!r}")
    CHOSEN[family] = choice


CHOSEN = dict.fromkeys([*ON_GPU, *ON_CPU], "auto")


SWITCHES = ("cuda", "cudnn", "mkl", "mps", "openmp")


class Backends(types.ModuleType):
    """This module, whose families are attributes."""

    def __getattr__(self, name):
        if name in CHOSEN:
            return CHOSEN[name]
        if name in SWITCHES:
            return importlib.import_module(f"{__name__}.{name}")
        raise AttributeError(f"minitorch.backends has no family {name!r}: there are {', '.join(CHOSEN)}")

    def __setattr__(self, name, value):
        if name.startswith("__") or isinstance(value, types.ModuleType):         # the import system's own
            super().__setattr__(name, value)
        else:
            choose(name, value)

    def __dir__(self):
        return [*super().__dir__(), *CHOSEN, *SWITCHES]


sys.modules[__name__].__class__ = Backends
