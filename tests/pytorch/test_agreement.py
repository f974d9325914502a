"""Every public case of the op table, called the same way in PyTorch: values, dtypes, shapes, gradients, and refusals.

Each case runs in nine number types.  Where PyTorch raises, ours must raise the same class; where it computes, ours must agree.
"""
import re

import numpy as np
import pytest
from table import cases, results, walk_arrays

import minitorch
from minitorch import autograd
from minitorch.backend import to_numpy

torch = pytest.importorskip("torch")

DTYPES = ("float64", "float32", "float16", "bfloat16", "int64", "int32", "uint8", "bool")
TOLERANCE = {"float64": 1e-9, "float32": 2e-5, "float16": 4e-3, "bfloat16": 3e-2}

# Deliberate differences, each with its reason: name -> dtypes in which it stands ("*": all).
DIFFERENT = {
    "hardsigmoid": ("float64",),           # PyTorch multiplies the gradient with 1/6 rounded to float32
    "linalg.eigh": ("*",),                 # the signs of eigenvectors are LAPACK's choice
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


def names_changed(x, module):
    """Dtype names in a case's parameters as the module's own dtypes."""
    if isinstance(x, minitorch.dtype):
        return getattr(module, x.name)
    if isinstance(x, str) and x in minitorch.dtypes.BY_NAME:
        return getattr(module, x)
    if isinstance(x, (list, tuple)):
        return type(x)(names_changed(v, module) for v in x)
    return {k: names_changed(v, module) for k, v in x.items()} if isinstance(x, dict) else x


def flat(y):
    """PyTorch's result as a flat list of tensors."""
    if isinstance(y, (list, tuple)):
        return [t for v in y for t in flat(v)]
    if y is None:
        return []
    return [y if isinstance(y, torch.Tensor) else torch.tensor(y)]


def as_numbers(t):
    """A tensor of either library as float64 (or integers)."""
    if isinstance(t, torch.Tensor):
        t = t.detach() + 0                           # PyTorch's own zero tensors have no memory
        return t.double().numpy() if t.is_floating_point() else t.numpy()
    a = to_numpy(t.array)
    return a.astype("f8") if t.dtype.is_floating_point else a


def attempt(call, args, params, make, module, grad):
    """(results, gradients, error) of one call in one library."""
    leaves = []

    def tensor(a):
        t = make(a)
        if t.dtype.is_floating_point and a.dtype.kind == "f":
            t.requires_grad_()
            leaves.append(t)
        return t
    args, params = walk_arrays((list(args), params), tensor)
    args, params = names_changed(args, module), names_changed(params, module)
    try:
        ys = (flat if module is torch else results)(call(*args, **params))
        total = None
        rng = np.random.default_rng(3)
        for y in ys:
            if y.requires_grad:
                u = make(np.asarray(rng.normal(size=tuple(y.shape))))
                term = (y * u.to(y.dtype)).sum()
                total = term if total is None else total + term
        gs = list(grad(total, leaves, allow_unused=True)) if total is not None else []
    except (RuntimeError, TypeError, ValueError, IndexError, AssertionError) as error:
        return None, None, error
    return ys, gs, None


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
    ys, gs, error = attempt(case.call, *drawn, ours, minitorch, autograd.grad)
    zs, hs, refusal = attempt(peer(case.call), *drawn, theirs, torch, torch.autograd.grad)
    if refusal is not None:
        if error is None and is_missing(refusal):    # ours may do more
            return
        assert error is not None, f"PyTorch raises {refusal!r}, ours computes {ys}"
        assert isinstance(error, type(refusal)) or isinstance(refusal, type(error)), f"PyTorch raises {refusal!r}, ours {error!r}"
        return
    assert error is None, f"PyTorch computes, ours raises {error!r}"
    assert len(ys) == len(zs)
    tolerance = TOLERANCE.get(dtype, 2e-5)
    if any(y.dtype is minitorch.float32 for y in ys):            # made of integers, for example
        tolerance = max(tolerance, TOLERANCE["float32"])
    for y, z in zip(ys, zs):
        assert y.dtype.name == str(z.dtype).removeprefix("torch."), "dtype"
        assert tuple(y.shape) == tuple(z.shape), "shape"
        close(y, z, max(tolerance, TOLERANCE.get(y.dtype.name, 0)))
        assert y.requires_grad == z.requires_grad
    assert len(gs) == len(hs)
    for g, h in zip(gs, hs):
        assert (g is None) == (h is None), "one library gives no gradient"
        if g is not None:
            assert g.dtype.name == str(h.dtype).removeprefix("torch.")
            close(g, h, tolerance * 3)


MISSING = re.compile(r'^"[^"]+" not implemented for \'\w+\'$|^derivative for aten::\w+ is not implemented$')


def is_missing(refusal):
    """Whether PyTorch has no kernel for this dtype on the CPU, or no derivative: nothing that a program relies on."""
    return isinstance(refusal, RuntimeError) and MISSING.match(str(refusal).split("\n")[0]) is not None


def close(a, b, tolerance):
    a, b = as_numbers(a), as_numbers(b)
    scale = max(1.0, float(np.abs(b[np.isfinite(b)]).max(initial=0))) if b.dtype.kind == "f" else 0
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * scale if b.dtype.kind == "f" else 0)
