"""Integrals by the trapezoidal rule, covariances, and tables of powers and of choices."""
from itertools import combinations as choices
from itertools import combinations_with_replacement as repeated

import numpy as np

from .. import backend
from ..autograd.op import HOMES, composed
from ..backend import to_numpy
from ..cases import integers, normal, positive
from ..tensor import Tensor, wrap
from .join import stack


def areas(name, y, x, dx, dim):
    """The area under each piece along `dim`."""
    if not isinstance(y, Tensor):
        raise TypeError(f"{name}(): argument 'y' must be Tensor, not {type(y).__name__}")
    if y.array.dtype.kind == "b" or x is not None and x.array.dtype.kind == "b":
        raise RuntimeError(f"{name}: received a bool input for `x` or `y`, but bool is not supported")
    if x is not None and dx is not None:
        raise TypeError(f"{name}(): x and dx are two ways to say the same")
    n, d = y.shape[dim], dim % y.ndim
    both = y.narrow(d, 1, n - 1) + y.narrow(d, 0, n - 1) if n else y
    if x is None:
        return both * ((1.0 if dx is None else dx) / 2)
    if x.ndim == 1:
        if x.shape[0] != n:
            raise RuntimeError(f"{name}: There must be one `x` value for each sample point")
        x = x.reshape(-1, *(1,) * (y.ndim - 1 - d))
        return both * x.diff(dim=0) / 2
    return both * x.diff(dim=dim) / 2


@composed(method=False)
def trapezoid(y, x=None, *, dx=None, dim=-1):
    """The integral along `dim` by the trapezoidal rule, the samples at `x` or `dx` (1) apart."""
    return areas("trapezoid", y, x, dx, dim).sum(dim)


@composed(method=False)
def cumulative_trapezoid(y, x=None, *, dx=None, dim=-1):
    """The integrals from the first sample to each other one."""
    return areas("cumulative_trapezoid", y, x, dx, dim).cumsum(dim)


HOMES["torch"]["trapz"] = trapezoid


@composed
def cov(input, *, correction=1, fweights=None, aweights=None):
    """The covariances of the rows of (variables, observations), the observations counted fweights times and weighted by aweights."""
    if not isinstance(input, Tensor):
        raise TypeError(f"cov(): argument 'input' must be Tensor, not {type(input).__name__}")
    if input.ndim > 2:
        raise RuntimeError(f"cov(): expected input to have two or fewer dimensions but got an input with {input.ndim} dimensions")
    if input.array.dtype.kind == "b":
        raise RuntimeError("cov(): bool dtype is not supported for input")
    if fweights is not None and fweights.array.dtype.kind not in "iu":
        raise RuntimeError(f"cov(): expected fweights to have integral dtype but got fweights with {fweights.dtype.name} dtype")
    if aweights is not None and not aweights.dtype.is_floating_point:
        raise RuntimeError(f"cov(): expected aweights to have floating point dtype but got aweights with {aweights.dtype.name} dtype")
    x = input.reshape(1, -1) if input.ndim < 2 else input
    if not x.dtype.is_floating_point:
        x = x.float()
    w = None
    for given in (fweights, aweights):
        if given is not None:
            w = given.to(x.dtype) if w is None else w * given
    total = x.shape[1] if w is None else w.sum()
    mean = x.mean(1, keepdim=True) if w is None else (x * w).sum(1, keepdim=True) / total
    norm = total - correction if aweights is None or correction == 0 else total - correction * (w * aweights).sum() / total
    centred = x - mean
    y = centred @ (centred if w is None else centred * w).T / (max(norm, 0) if isinstance(norm, int) else norm.clamp(min=0))
    return y if input.ndim == 2 else y.reshape(())


@composed
def corrcoef(input):
    """The correlations of the rows of (variables, observations)."""
    if not isinstance(input, Tensor):
        raise TypeError(f"corrcoef(): argument 'input' must be Tensor, not {type(input).__name__}")
    if input.ndim > 2:
        raise RuntimeError(f"corrcoef(): expected input to have two or fewer dimensions but got an input with {input.ndim} dimensions")
    c = cov(input)
    if c.ndim == 0:
        return c / c
    deviation = c.diagonal().sqrt()
    return (c / deviation.unsqueeze(1) / deviation).clamp(-1, 1)


@composed(method=False)
def vander(x, N=None, increasing=False):
    """The powers x^(N - 1) ... x^0 of the numbers of a vector, or (increasing) x^0 ... x^(N - 1): (n,) -> (n, N)."""
    if not isinstance(x, Tensor):
        raise TypeError(f"vander(): argument 'x' must be Tensor, not {type(x).__name__}")
    if x.ndim != 1:
        raise RuntimeError("x must be a one-dimensional tensor.")
    N = x.shape[0] if N is None else N
    if N < 0:
        raise RuntimeError("N must be non-negative.")
    x = x if x.dtype.is_floating_point else x.long()
    powers, columns = x * 0 + 1, []
    for _ in range(N):
        columns.append(powers)
        powers = powers * x
    return stack(columns if increasing else columns[::-1], 1) if columns else x.new_empty((x.shape[0], 0))


@composed(method=False)
def combinations(input, r=2, with_replacement=False):
    """All choices of r of the numbers of a vector: (n,) -> (how many, r)."""
    if not isinstance(input, Tensor):
        raise TypeError(f"combinations(): argument 'input' must be Tensor, not {type(input).__name__}")
    if input.ndim != 1:
        raise RuntimeError(f"Expect a 1D vector, but got shape {list(input.shape)}")
    if r < 0:
        raise RuntimeError(f"Expect a non-negative number, but got {r}")
    if r == 0:
        return input.new_empty(0)
    rows = np.array(list((repeated if with_replacement else choices)(range(input.shape[0]), r)), "i8").reshape(-1, r)
    return input[wrap(backend.move(rows, input.device))]


def unravel_index(indices, shape):
    """The index along each axis of places counted in the flattened array: a tuple of tensors."""
    if not isinstance(indices, Tensor) or indices.array.dtype.kind not in "iu":
        raise ValueError(f"expected indices to be an integer tensor, but got {getattr(indices, 'dtype', type(indices))}")
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    if any(n < 0 for n in shape):
        raise ValueError(f"'shape' cannot have negative values, but got {shape}")
    size = int(np.prod(shape, dtype="i8"))
    if indices.numel() and not -size <= int(to_numpy(indices.array).min()) <= int(to_numpy(indices.array).max()) < size:
        raise ValueError(f"indices are out of bounds for the shape {shape}")
    found, rest = [], indices % size if size else indices
    for n in reversed(shape):
        found.append(rest % n)
        rest = rest // n
    return tuple(reversed(found))


HOMES["torch"]["unravel_index"] = unravel_index

trapezoid.case(normal(3, 4))
trapezoid.case(normal(3, 4), normal(4))
trapezoid.case(normal(3, 4), dx=0.5, dim=0)
trapezoid.case(normal(3, 4), normal(3, 4), dim=0)
cumulative_trapezoid.case(normal(3, 4))
cumulative_trapezoid.case(normal(3, 4), normal(3), dim=0)
cov.case(normal(3, 5))
cov.case(normal(5), correction=0)
cov.case(normal(3, 4), fweights=np.array([1, 2, 1, 3]), aweights=positive(4))
corrcoef.case(normal(3, 5))
vander.case(normal(3))
vander.case(normal(3), 2, True)
vander.case(normal(3), N=5)
combinations.case(normal(4))
combinations.case(normal(3), 2, with_replacement=True)
combinations.case(normal(4), 3)
combinations.case(integers(4), 1)
