"""A tensor with a part of it replaced: the part that select, a slice or a diagonal would cut out."""
from ..autograd.op import composed
from ..cases import normal
from ..tensor import Tensor


def with_part(name, input, src, cut):
    """`input` whose part cut(input) has the numbers of `src`; RuntimeError where the shapes differ."""
    for label, t in (("input", input), ("src", src)):
        if not isinstance(t, Tensor):
            raise TypeError(f"{name}(): argument '{label}' must be Tensor, not {type(t).__name__}")
    y = input.clone()
    part = cut(y)
    if part.shape != src.shape:
        raise RuntimeError(f"expected src to have a size equal to the slice of self. src size = {list(src.shape)}, slice size = "
                           f"{list(part.shape)}")
    part.copy_(src)
    return y


@composed
def select_scatter(input, src, dim, index):
    """`input` with `src` where select(dim, index) reads."""
    return with_part("select_scatter", input, src, lambda y: y.select(dim, index))


@composed
def slice_scatter(input, src, dim=0, start=None, end=None, step=1):
    """`input` with `src` where a slice along `dim` reads."""
    return with_part("slice_scatter", input, src, lambda y: y[(slice(None),) * (dim % input.ndim) + (slice(start, end, step),)])


@composed
def diagonal_scatter(input, src, offset=0, dim1=0, dim2=1):
    """`input` with `src` where diagonal(offset, dim1, dim2) reads."""
    return with_part("diagonal_scatter", input, src, lambda y: y.diagonal(offset, dim1, dim2))


select_scatter.case(normal(3, 4), normal(4), 0, 1)
select_scatter.case(normal(3, 4, 2), normal(3, 2), 1, -1)
slice_scatter.case(normal(5, 3), normal(2, 3), 0, 1, 5, 2)
slice_scatter.case(normal(3, 4), normal(3, 2), dim=-1, start=2)
diagonal_scatter.case(normal(3, 4), normal(3))
diagonal_scatter.case(normal(2, 3, 4), normal(2, 3), 1, 1, 2)
