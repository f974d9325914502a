"""Windows for spectra, common divisors, and other functions of numbers that few programs use."""
import numpy as np

from .. import backend
from ..autograd.op import HOMES, op
from ..backend import xp
from ..cases import integers, normal
from ..tensor import Tensor
from .creation import chosen, finished, public


def taper(name, n, periodic, f, dtype, device, requires_grad):
    """f of the places 0 to 1 of a symmetric window of n numbers; periodic: of n + 1, the last left out."""
    if n < 0:
        raise RuntimeError(f"{name} requires non-negative window_length, got window_length={n}")
    dtype = chosen(dtype)
    if dtype.kind in "iub":
        raise RuntimeError(f"{name} expects floating point dtypes")
    last = n if periodic else n - 1
    values = np.ones(n) if n == 1 else f(np.arange(n) / max(last, 1))
    return finished(backend.move(values.astype(dtype), device or "cpu"), requires_grad)


@public
def hann_window(window_length, periodic=True, *, dtype=None, layout=None, device=None, requires_grad=False):
    """(1 - cos(2 pi t)) / 2."""
    return taper("hann_window", window_length, periodic, lambda t: 0.5 - 0.5 * np.cos(2 * np.pi * t), dtype, device, requires_grad)


@public
def hamming_window(window_length, periodic=True, alpha=0.54, beta=0.46, *, dtype=None, layout=None, device=None, requires_grad=False):
    """alpha - beta cos(2 pi t)."""
    return taper("hamming_window", window_length, periodic, lambda t: alpha - beta * np.cos(2 * np.pi * t), dtype, device, requires_grad)


@public
def blackman_window(window_length, periodic=True, *, dtype=None, layout=None, device=None, requires_grad=False):
    """0.42 - 0.5 cos(2 pi t) + 0.08 cos(4 pi t)."""
    return taper("blackman_window", window_length, periodic, lambda t: 0.42 - 0.5 * np.cos(2 * np.pi * t) + 0.08 * np.cos(4 * np.pi * t), dtype,
                 device, requires_grad)


@public
def bartlett_window(window_length, periodic=True, *, dtype=None, layout=None, device=None, requires_grad=False):
    """A triangle: 1 - |2 t - 1|."""
    return taper("bartlett_window", window_length, periodic, lambda t: 1 - abs(2 * t - 1), dtype, device, requires_grad)


@public
def kaiser_window(window_length, periodic=True, beta=12.0, *, dtype=None, layout=None, device=None, requires_grad=False):
    """I0(beta sqrt(1 - (2 t - 1)^2)) / I0(beta)."""
    return taper("kaiser_window", window_length, periodic, lambda t: np.i0(beta * np.sqrt(np.maximum(1 - (2 * t - 1) ** 2, 0))) / np.i0(beta), dtype,
                 device, requires_grad)


def whole(*arrays):
    for a in arrays:
        if a.dtype.kind not in "iu":
            raise NotImplementedError(f'"gcd_cpu" not implemented for {a.dtype.name}')


@op(numbers="promote", inplace=True, differentiable=False, scalars=False, check=whole)
def gcd(input, other, /):
    """The greatest common divisor, never negative."""
    return xp(input).gcd(input, other)


@op(numbers="promote", inplace=True, differentiable=False, scalars=False, check=whole)
def lcm(input, other, /):
    """The least common multiple, never negative."""
    return xp(input).lcm(input, other)


gcd.case(integers(3, 4, low=-20, high=20), integers(4, low=-20, high=20))
lcm.case(integers(3, 4, low=-20, high=20), integers(4, low=-20, high=20))

HOMES["torch"].update(gcd_=Tensor.gcd_, lcm_=Tensor.lcm_)


@op(numbers="half", differentiable=False)
def isposinf(input, /):
    """Where x is plus infinity."""
    return input == float("inf")


@op(numbers="half", differentiable=False)
def isneginf(input, /):
    """Where x is minus infinity."""
    return input == float("-inf")


@op(differentiable=False)
def isreal(input, /):
    """True everywhere: there are no complex numbers."""
    return xp(input).ones(input.shape, bool)


for _f in (isposinf, isneginf, isreal):
    _f.case(normal(3, 4))
    _f.case(integers(3))
