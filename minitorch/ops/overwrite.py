"""What a write through a view does to its base: a copy of the base as it lay in memory, with the region that was cut out replaced."""
from ..autograd.call import shares
from ..autograd.op import op
from ..autograd.views import replay
from ..cases import normal
from ..copies import copied, write
from .shape import reshape_to, view_as_shape
from .transpose import permute_to


def order_of(x):
    """The axes of an array from the largest steps in memory to the smallest; None for row-major order."""
    return None if x.flags.c_contiguous else tuple(sorted(range(x.ndim), key=lambda i: -abs(x.strides[i])))


def laid_out(x, order):
    """A copy of an array without gaps, its axes in memory in this order."""
    return copied(x) if order is None else copied(x.transpose(order)).transpose([order.index(i) for i in range(x.ndim)])


@op(home="")
def overwrite(input, value, /, steps, order=None):
    """`input` with the view that `steps` cut out replaced by `value`; order: in which the axes of what they were cut from lie in memory.

    Whether reshape gives a view depends on that order: of a copy in another one it would be a copy, and what is written there lost.
    """
    y = laid_out(input, order)
    region = replay(y, steps)
    if region.size and not shares(region, y):
        raise RuntimeError("the region that a view showed cannot be cut from a copy of its base: clone() the base before it is written to")
    write(region, value)
    return y

overwrite.vjp(lambda g, steps, order: overwrite(g, 0.0, steps, order),
              lambda g, steps, order: replay(packed(g, order) if any(op.name in ("as_strided", "view") for op, _, _ in steps) else g, steps))
overwrite.case(normal(3, 4), normal(2, 6), ((reshape_to.op, {"shape": (2, 6)}, None),))
overwrite.case(normal(3, 4), normal(1), ((reshape_to.op, {"shape": (2, 2, 3)}, None), (view_as_shape.op, {"shape": (12,)}, None)))
overwrite.case(normal(3, 4), normal(6, 2), ((permute_to.op, {"dims": (1, 0)}, None), (view_as_shape.op, {"shape": (6, 2)}, None)), (1, 0))
overwrite.case(normal(2, 3, 4), normal(12, 2), ((permute_to.op, {"dims": (1, 2, 0)}, None), (reshape_to.op, {"shape": (12, 2)}, None)), (1, 2, 0))


@op(view=True, home="")
def packed(input, /, order=None):
    """`input` in memory without gaps, its axes in row-major or another order; itself where it is so already."""
    return input if (input if order is None else input.transpose(order)).flags.c_contiguous else laid_out(input, order)

packed.vjp(lambda g: g)
packed.case(normal(3, 4))
packed.case(normal(2, 3, 4), (1, 2, 0))
