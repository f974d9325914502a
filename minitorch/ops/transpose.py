"""Axes in another order: views."""
from ..autograd.engine import Leaf
from ..autograd.mode import mode
from ..autograd.op import composed, op
from ..autograd.views import check_history
from ..cases import normal
from ..tensor import Tensor
from .dims import axis, sizes
from .shape import squeeze, unsqueeze


@op(view=True, home="", called="permute")
def permute_to(input, /, dims):
    """Axis i of the result is axis dims[i] of `input`."""
    return input.transpose(dims)

permute_to.vjp(lambda g, dims: permute_to(g, tuple([dims.index(i) for i in range(len(dims))])))
permute_to.case(normal(2, 3, 4), (2, 0, 1))
permute_to.case(normal(2, 3), (1, 0))
permute_to.case(normal(), ())


@composed
def permute(input, *order, dims=None):
    """The axes of `input` in the given order: a view."""
    given = sizes(order, "permute", dims)
    n = len(input.shape)
    if len(given) != n:
        raise RuntimeError("permute: number of dimensions in the tensor input does not match the length of the desired ordering of "
                           f"dimensions i.e. input.dim() = {n} is not equal to len(dims) = {len(given)}")
    order = tuple([axis(d, n) for d in given])
    if len(set(order)) < n:
        raise RuntimeError(f"permute(): duplicate dims are not allowed: {given}")
    return permute_to(input, order)

permute.case(normal(2, 3, 4), (2, 0, 1))
permute.case(normal(2, 3, 4), (0, -1, 1))
permute.case(normal(2, 0), (1, 0))


@op(view=True)
def transpose(input, /, dim0, dim1):
    """Two axes swapped: a view."""
    n = input.ndim
    i, j = axis(dim0, n), axis(dim1, n)
    return input.swapaxes(i, j) if n else input.reshape(())

transpose.vjp(lambda g, dim0, dim1: transpose(g, dim0, dim1))
transpose.case(normal(2, 3, 4), 0, 2)
transpose.case(normal(2, 3, 4), -1, 1)
transpose.case(normal(3, 4), 0, 1)
transpose.case(normal(), 0, -1)


@composed
def swapaxes(input, axis0, axis1):
    """Two axes swapped: a view."""
    return transpose(input, axis0, axis1)

swapaxes.case(normal(2, 3, 4), 0, 2)
swapaxes.case(normal(2, 3, 4), -1, 1)


@composed
def swapdims(input, dim0, dim1):
    """Two axes swapped: a view."""
    return transpose(input, dim0, dim1)

swapdims.case(normal(2, 3, 4), 0, 2)
swapdims.case(normal(2, 3, 4), -1, 1)


@composed
def t(input):
    """A matrix transposed; tensors of fewer axes as they are. RuntimeError for more than two axes."""
    n = len(input.shape)
    if n > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {n}D")
    return transpose(input, 0, n - 1) if n else transpose(input, 0, 0)

t.case(normal(2, 3))
t.case(normal(3))
t.case(normal())


@composed
def adjoint(input):
    """The last two axes swapped."""
    if len(input.shape) < 2:
        raise RuntimeError(f"tensor.adjoint() is only supported on matrices or batches of matrices. Got {len(input.shape)}-D tensor.")
    return transpose(input, -2, -1)

adjoint.case(normal(2, 3))
adjoint.case(normal(2, 3, 4))


def all_reversed(x):
    """The axes in reverse order."""
    return permute_to(x, tuple(range(x.ndim))[::-1])


def matrix_transposed(x):
    """The last two axes swapped; a 0-d tensor as it is. RuntimeError for one axis."""
    if x.ndim == 1:
        raise RuntimeError(f"tensor.mT is only supported on matrices or batches of matrices. Got {x.ndim}-D tensor.")
    return transpose(x, -2, -1) if x.ndim else x


def only_matrix(x):
    """A matrix transposed; RuntimeError for any other number of axes but 0."""
    if x.ndim not in (0, 2):
        raise RuntimeError(f"tensor.H is only supported on matrices (2-D tensors). Got {x.ndim}-D tensor.")
    return t(x)


Tensor.T, Tensor.H = property(all_reversed), property(only_matrix)
Tensor.mT = Tensor.mH = property(matrix_transposed)


@composed
def movedim(input, source, destination):
    """The axes `source` (an int or several) moved to the places `destination`; the others keep their order."""
    n = len(input.shape)
    moved = source if isinstance(source, (tuple, list)) else (source,)
    places = destination if isinstance(destination, (tuple, list)) else (destination,)
    if len(moved) != len(places):
        raise RuntimeError(f"movedim: Invalid source or destination dims: source ({list(moved)} dims) should contain the same number of "
                           f"dims as destination ({list(places)} dims)")
    moved, places = [axis(d, n) for d in moved], [axis(d, n) for d in places]
    for what, dims in (("source", moved), ("destination", places)):
        if len(set(dims)) < len(dims):
            raise RuntimeError(f"movedim: repeated dim in `{what}` ({dims})")
    order = [d for d in range(n) if d not in moved]
    for place, d in sorted(zip(places, moved)):
        order.insert(place, d)
    return permute_to(input, tuple(order)) if n else input

movedim.case(normal(2, 3, 4), 0, 2)
movedim.case(normal(2, 3, 4), (0, -1), (2, 0))


@composed
def moveaxis(input, source, destination):
    """movedim under its NumPy name."""
    return movedim(input, source, destination)

moveaxis.case(normal(2, 3, 4), 0, 2)
moveaxis.case(normal(2, 3, 4), (0, -1), (2, 0))


# ---- in place ------------------------------------------------------------------------------------------------

def take_shape_of(call):
    """The method that gives its own tensor the shape and axes of call(tensor): unsqueeze_ from unsqueeze.

    RuntimeError for a leaf that requires grad, unless in no_grad.
    """
    name = call.__name__ + "_"

    def method(self, *args, **kw):
        check_history(self, self.requires_grad, name)
        y = call(self, *args, **kw)
        if self.node is not None and not mode.grad:
            if type(self.node) is not Leaf:
                raise RuntimeError(f"{name}: the result of a recorded operation cannot change its shape in no_grad mode")
            self.node.shape = y.array.shape
        else:
            self.node = y.node
        self.array = y.array
        if self.cut is not None:
            self.cut = y.cut
        return self

    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"In place: {call.__doc__}"
    return method


for _call in (squeeze, unsqueeze, transpose, swapaxes, swapdims, t):
    setattr(Tensor, _call.__name__ + "_", take_shape_of(_call))
