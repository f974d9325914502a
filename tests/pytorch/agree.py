"""One call made in both libraries: results, gradients of first and second order, errors, and whether they agree."""
import re

import numpy as np
import torch
from table import results, walk_arrays

import minitorch
from minitorch.backend import to_numpy

TOLERANCE = {"float64": 1e-9, "float32": 2e-5, "float16": 4e-3, "bfloat16": 3e-2}
REFUSALS = (RuntimeError, TypeError, ValueError, IndexError, AssertionError, OverflowError)


def names_changed(x, module):
    """Dtype names in a call's parameters as the module's own dtypes."""
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
    return [y if isinstance(y, torch.Tensor) else torch.tensor(np.asarray(y))]


def as_numbers(t):
    """A tensor of either library as float64 (or integers)."""
    if isinstance(t, torch.Tensor):
        t = t.detach() + 0                           # PyTorch's own zero tensors have no memory
        return t.double().numpy() if t.is_floating_point() else t.numpy()
    a = to_numpy(t.array)
    return a.astype("f8") if t.dtype.is_floating_point else a


def weighted(ys, make, rng):
    """The sum of all results times random numbers, None where nothing is recorded."""
    total = None
    for y in ys:
        if y is not None and y.requires_grad:
            u = make(np.asarray(rng.normal(size=tuple(y.shape))))
            term = (y * u.to(y.dtype)).sum()
            total = term if total is None else total + term
    return total


class Constant(np.ndarray):
    """An array of floats of which no gradient is asked."""


def attempt(call, args, params, make, module, second=False):
    """(results, gradients, gradients of these gradients, error) of one call in one library."""
    leaves, grad = [], module.autograd.grad

    def tensor(a):
        t = make(a)
        if t.dtype.is_floating_point and a.dtype.kind == "f" and type(a) is not Constant:
            t.requires_grad_()
            leaves.append(t)
        return t
    args, params = walk_arrays((list(args), params), tensor)
    args, params = names_changed(args, module), names_changed(params, module)
    try:
        ys = (flat if module is torch else results)(call(*args, **params))
    except REFUSALS as error:
        return None, [], [], error
    rng = np.random.default_rng(3)
    if not leaves:
        return ys, [], [], None
    try:
        total = weighted(ys, make, rng)
        gs = list(grad(total, leaves, allow_unused=True, create_graph=second)) if total is not None else []
    except REFUSALS as error:
        return ys, [], [], error
    hs = []
    if second:
        try:
            total = weighted(gs, make, rng)
            hs = list(grad(total, leaves, allow_unused=True)) if total is not None else []
            hs = [module.zeros_like(x) if h is None else h for h, x in zip(hs or [None] * len(leaves), leaves)]    # None or zeros: a matter of taste
        except REFUSALS as error:
            hs = error
    return ys, gs, hs, None


MISSING = re.compile(r"""^"[^"]+" not implemented for '\w+'$|^(the )?derivative for .* is not implemented\.?$""")
OWN_FAULT = re.compile("returned an invalid gradient|^grad_input must be contiguous|^view size is not compatible|"
                       "Expected a proper Tensor but got None")


def is_missing(refusal):
    """Whether PyTorch has no kernel for this dtype on the CPU, no derivative, or stumbles in its own: nothing that a program relies on."""
    words = str(refusal).split("\n")[0]
    return isinstance(refusal, RuntimeError) and (MISSING.search(words) or OWN_FAULT.search(words)) is not None


def same_kind(error, refusal):
    return isinstance(error, type(refusal)) or isinstance(refusal, type(error))


def agree(ours, theirs, dtype, values=True):
    """Asserts that two attempts agree; values=False: of random results, all but the numbers."""
    ys, gs, ggs, error = ours
    zs, hs, hhs, refusal = theirs
    if refusal is not None:
        if error is None and is_missing(refusal):    # ours may do more
            return
        assert error is not None, f"PyTorch raises {refusal!r}, ours computes {ys}"
        assert same_kind(error, refusal), f"PyTorch raises {refusal!r}, ours {error!r}"
        return
    assert error is None, f"PyTorch computes, ours raises {error!r}"
    assert len(ys) == len(zs)
    tolerance = TOLERANCE.get(dtype, 2e-5)
    if any(y.dtype is minitorch.float32 for y in ys):            # made of integers, for example
        tolerance = max(tolerance, TOLERANCE["float32"])
    for y, z in zip(ys, zs):
        assert y.dtype.name == str(z.dtype).removeprefix("torch."), "dtype"
        assert tuple(y.shape) == tuple(z.shape), "shape"
        if values:
            close(y, z, max(tolerance, TOLERANCE.get(y.dtype.name, 0)))
        assert y.requires_grad == z.requires_grad
    gradients_agree(gs, hs, tolerance * 3, values)
    if isinstance(hhs, Exception):
        assert is_missing(hhs) or isinstance(ggs, Exception) and same_kind(ggs, hhs), f"PyTorch refuses the second gradient: {hhs!r}"
        return
    assert not isinstance(ggs, Exception), f"second gradient: ours raises {ggs!r}"
    gradients_agree(ggs, hhs, tolerance * 30, values)


def gradients_agree(gs, hs, tolerance, values):
    assert len(gs) == len(hs)
    for g, h in zip(gs, hs):
        assert (g is None) == (h is None), "one library gives no gradient"
        if g is not None:
            assert g.dtype.name == str(h.dtype).removeprefix("torch.") and tuple(g.shape) == tuple(h.shape)
            if values:
                close(g, h, tolerance)


def close(a, b, tolerance):
    a, b = as_numbers(a), as_numbers(b)
    scale = max(1.0, float(np.abs(b[np.isfinite(b)]).max(initial=0))) if b.dtype.kind == "f" else 0
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * scale if b.dtype.kind == "f" else 0)
