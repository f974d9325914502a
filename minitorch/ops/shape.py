"""Shapes."""
from ..autograd.op import op
from ..autograd.views import replay
from ..backend import xp
from ..cases import normal


@op(view=True)
def reshape(input, /, shape):
    """`input` with a new shape."""
    return input.reshape(shape)

reshape.vjp(lambda g, input_shape: g.reshape(input_shape))
reshape.case(normal(3, 4), (2, 6))


@op(view=True)
def expand(input, /, shape):
    """`input` repeated along axes of size 1, without a copy."""
    return xp(input).broadcast_to(input, shape)

expand.vjp(lambda g: g)
expand.case(normal(3, 1), (2, 3, 4))


@op(view=True, home="")
def select(input, /, index):
    """input[index]"""
    return input[index]

select.vjp(lambda g, input_shape, index: unselect(g, input_shape, index))
select.case(normal(3, 1), 0)


@op(home="")
def unselect(input, /, shape, index):
    """input[index]"""
    y = xp(input).zeros(shape, input.dtype)
    y[index] = input
    return y

unselect.vjp(lambda g, index: select(g, index))
unselect.case(normal(3), (2, 3), 0)


@op(home="")
def overwrite(input, value, /, steps, shape):
    """`input` with the view that `steps` cut out replaced by `value`: what a write through a view does to its base."""
    y = xp(input).array(input)
    replay(y, steps)[...] = value
    return y

overwrite.vjp(lambda g, value_shape, steps, shape: overwrite(g, 0.0, steps, shape),
              lambda g, steps: replay(g, steps))
