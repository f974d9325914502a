"""Sums."""
from ..autograd.op import op
from ..backend import xp
from ..cases import normal


@op(numbers="half")
def sum(input, /, dim=None, keepdim=False):
    """Sum over `dim` (None: all; int or tuple)."""
    return input.sum(axis=dim, keepdims=keepdim)

sum.vjp(lambda g, input_shape, dim: broadcast(g, kept(input_shape, dim), input_shape))
sum.case(normal(3, 4))

def kept(shape, dim):
    """`shape` after reducing `dim` with keepdim=True."""
    if dim is None:
        return (1,) * len(shape)
    dims = {d % len(shape) for d in (dim if type(dim) in (tuple, list) else (dim,))}
    return tuple(1 if i in dims else n for i, n in enumerate(shape))

def broadcast(g, shape, full):
    from .shape import expand
    return expand(g.reshape(shape), full)
