"""Every public case of the op table, called the same way in PyTorch: values, dtypes, shapes, gradients, and refusals.

Each case runs in eight number types.  Where PyTorch raises, ours must raise the same class; where it computes, ours must agree.
Gradients of second order are compared in float64.
"""
import numpy as np
import pytest
from table import cases, walk_arrays

import minitorch

torch = pytest.importorskip("torch")
from agree import agree, attempt  # noqa: E402

DTYPES = ("float64", "float32", "float16", "bfloat16", "int64", "int32", "uint8", "bool")

# Deliberate differences, each with its reason: name -> dtypes in which it stands ("*": all).
DIFFERENT = {
    "hardsigmoid": ("float64",),           # PyTorch multiplies the gradient with 1/6 rounded to float32
    "linalg.eigh": ("*",),                 # the signs of eigenvectors are LAPACK's choice
    "svd": ("*",), "qr": ("*",),           # the same, and of the columns of Q
    "cholesky_solve": ("*",),              # PyTorch's gradient also fills the triangle of L that is not read
    "cholesky_inverse": ("*",),
    "matrix_exp": ("float16", "bfloat16"),               # PyTorch overflows
    "grid_sample": ("float16", "bfloat16"),              # PyTorch computes the weights in 16 bits
    "fractional_max_pool2d": ("bfloat16",),              # PyTorch rounds the windows' places to bfloat16
    "fractional_max_pool3d": ("bfloat16",),
    "vander": ("float64", "float32", "float16", "bfloat16"),         # PyTorch's gradient is refused by itself
    "ctc_loss": ("*",),                    # PyTorch's gradient is right only behind a log_softmax: see test_ctc_torch.py
    "topk": ("int64", "int32", "uint8", "bool"),         # which of equal entries is found is left open
    "kthvalue": ("int64", "int32", "uint8", "bool"),
}

public = [c for c in cases() if c.call.home]
pytestmark = pytest.mark.filterwarnings("ignore:.*(deprecated|oneDNN):UserWarning")     # PyTorch's, of itself


def peer(call):
    """PyTorch's function of the same name and home."""
    name, home = call.__name__, call.home
    for place, module in (("torch", torch), ("functional", torch.nn.functional), ("linalg", torch.linalg)):
        if place in home and hasattr(module, name):
            return getattr(module, name)
    if "torch" in home and hasattr(torch.Tensor, name):
        return getattr(torch.Tensor, name)
    raise LookupError(f"PyTorch has no {name} in {home}: give the op home=\"\" or its right name")


def drawn_in(case, dtype):
    """The case's numbers, its floats rounded to `dtype` (scaled up for integers)."""
    def convert(a):
        if a.dtype.kind != "f" or dtype.startswith("float") or dtype == "bfloat16":
            return a
        return np.asarray(np.abs(a * 3) if dtype in ("uint8", "bool") else a * 3).astype(dtype)
    return walk_arrays(case.draw(), convert)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", public, ids=lambda c: c.id)
def test_as_pytorch(case, dtype):
    allowed = DIFFERENT.get(case.name, ())
    if dtype in allowed or "*" in allowed:
        pytest.skip("a deliberate difference: see DIFFERENT")
    drawn = drawn_in(case, dtype)

    def ours(a):
        t = minitorch.tensor(a)
        return t.to(getattr(minitorch, dtype)) if a.dtype.kind == "f" and dtype != "float64" else t

    def theirs(a):
        t = torch.tensor(a)
        return t.to(getattr(torch, dtype)) if a.dtype.kind == "f" and dtype != "float64" else t
    second = dtype == "float64"
    agree(attempt(case.call, *drawn, ours, minitorch, second), attempt(peer(case.call), *drawn, theirs, torch, second), dtype)
