"""softmax and its relations: scores made into probabilities along one axis.  Only the result is kept for backward."""
import warnings

from ..autograd.op import composed, op
from ..backend import xp
from ..cases import normal, positive
from ..dtypes import is_float, numpy_dtype, of
from . import softmax_blocks
from .dims import axis
from .dtype import cast
from .exponential import exp
from .reduce import added, sum


def check_float(input):
    if not is_float(input.dtype):
        raise NotImplementedError(f"softmax is not implemented for '{of(input.dtype)}'; give it a dtype to compute in")


@op(numbers="half", home="", called="softmax", check=check_float)
def softmax_over(input, /, dim):
    """e^x / sum of e^x along axis `dim`."""
    if not input.size:
        return input
    if (y := softmax_blocks.softmax(dim, input)) is not None:
        return y
    y = input - input.max(axis=dim, keepdims=True)
    xp(y).exp(y, out=y)
    y /= total(y, dim)
    return y


def total(y, dim):
    """The sum along one axis, which stays; along the last as a product with ones, several times as fast."""
    if dim != y.ndim - 1:
        return added(y, dim, True)
    return xp(y).expand_dims(y @ xp(y).ones(y.shape[dim], y.dtype), dim)


@op(numbers="half", home="", called="log_softmax", check=check_float)
def log_softmax_over(input, /, dim):
    """x - log of the sum of e^x along axis `dim`."""
    if not input.size:
        return input
    if (y := softmax_blocks.log_softmax(dim, input)) is not None:
        return y
    y = input - input.max(axis=dim, keepdims=True)
    y -= xp(y).log(total(xp(y).exp(y), dim))
    return y


softmax_over.vjp(lambda g, y, dim: softmax_gradient(g, y, dim))
log_softmax_over.vjp(lambda g, y, dim: log_softmax_gradient(g, y, dim))


@op(numbers="half", home="", called="softmax_backward")
def softmax_gradient(input, other, /, dim):
    """y (g - the sum of g y along axis `dim`): from the gradient g of softmax's result y that of its input."""
    if (y := softmax_blocks.softmax_back(dim, input, other)) is not None:
        return y
    y = input * other
    return y - other * added(y, dim, True)


softmax_gradient.vjp(lambda g, other, dim: softmax_gradient(g, other, dim),
                     lambda g, input, other, dim: g * (input - sum(input * other, dim, True)) - input * sum(g * other, dim, True))


@op(numbers="half", home="", called="log_softmax_backward")
def log_softmax_gradient(input, other, /, dim):
    """g - e^y times the sum of g along axis `dim`: from the gradient g of log_softmax's result y that of its input."""
    if (y := softmax_blocks.log_softmax_back(dim, input, other)) is not None:
        return y
    return input - xp(other).exp(other) * added(input, dim, True)


log_softmax_gradient.vjp(lambda g, other, dim: g - sum(g * exp(other), dim, True),
                         lambda g, input, other, dim: -g * exp(other) * sum(input, dim, True))


def last(input, dim):
    return dim == input.ndim - 1


softmax_over.loop("softmax", least=4000, single=True)(lambda loops, input, dim: loops.softmax(input, dim) if input.size else NotImplemented)
log_softmax_over.loop("softmax", least=4000, single=True)(lambda loops, input, dim: loops.log_softmax(input, dim) if input.size else NotImplemented)
softmax_gradient.loop("softmax", least=4000, single=True)(
    lambda loops, input, other, dim: loops.softmax_gradient(input, other, dim) if input.size else NotImplemented)
log_softmax_gradient.loop("softmax", least=4000, single=True)(
    lambda loops, input, other, dim: loops.log_softmax_gradient(input, other, dim) if input.size else NotImplemented)
softmax_over.kernel("softmax")(lambda kernels, input, dim: kernels.softmax(input) if last(input, dim) else NotImplemented)
log_softmax_over.kernel("softmax")(lambda kernels, input, dim: kernels.log_softmax(input) if last(input, dim) else NotImplemented)
softmax_gradient.kernel("softmax")(
    lambda kernels, input, other, dim: kernels.softmax_backward(input, other) if last(input, dim) else NotImplemented)
log_softmax_gradient.kernel("softmax")(
    lambda kernels, input, other, dim: kernels.log_softmax_backward(input, other) if last(input, dim) else NotImplemented)


def along(input, dim, dtype, name):
    """(input in `dtype`, the axis): without `dim` PyTorch's old choice, with its warning."""
    if dim is None:
        warnings.warn(f"Implicit dimension choice for {name} has been deprecated. Change the call to include dim=X as an argument.", stacklevel=3)
        dim = 0 if input.ndim in (0, 1, 3) else 1
    input = input if dtype is None else cast(input, dtype=numpy_dtype(dtype))
    return input if input.ndim else input.reshape((1,)), axis(dim, input.ndim)


def like(y, input):
    """The result for a tensor without axes, which was computed with one."""
    return y if input.ndim else y.reshape(())


@composed(home="torch functional")
def softmax(input, dim=None, dtype=None, _stacklevel=3):
    """e^x / sum of e^x along axis `dim`: positive, and 1 in sum.  dtype: the type to compute in."""
    x, dim = along(input, dim, dtype, "softmax")
    return like(softmax_over(x, dim=dim), input)


@composed(home="torch functional")
def log_softmax(input, dim=None, dtype=None, _stacklevel=3):
    """The logarithm of softmax along axis `dim`: x - log of the sum of e^x.  dtype: the type to compute in."""
    x, dim = along(input, dim, dtype, "log_softmax")
    return like(log_softmax_over(x, dim=dim), input)


@composed(home="functional")
def softmin(input, dim=None, dtype=None, _stacklevel=3):
    """softmax of -x along axis `dim`."""
    return softmax(-input, dim, dtype)


softmax_over.case(normal(3, 4), dim=1)
softmax_over.case(normal(2, 3, 4), dim=0)
log_softmax_over.case(normal(3, 4), dim=1)
log_softmax_over.case(normal(2, 3, 4), dim=0)
softmax_gradient.case(normal(3, 4), positive(3, 4), dim=1)
softmax_gradient.case(normal(2, 3, 4), normal(2, 3, 4), dim=0)
log_softmax_gradient.case(normal(3, 4), normal(3, 4), dim=1)
log_softmax_gradient.case(normal(2, 3, 4), normal(2, 3, 4), dim=0)
softmax.case(normal(3, 4), 1)
softmax.case(normal(2, 3, 4), dim=-2)
softmax.case(normal(), dim=0)
softmax.case(normal(3, 4), -1, dtype="float64")
log_softmax.case(normal(3, 4), 1)
log_softmax.case(normal(2, 3, 4), dim=-2)
log_softmax.case(normal(), dim=-1)
log_softmax.case(normal(3, 4), -1, dtype="float64")
softmin.case(normal(3, 4), 1)
softmin.case(normal(2, 3, 4), dim=-2)
softmin.case(normal(5), 0)
