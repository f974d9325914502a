"""Layers that are products: linear, bilinear; and products of many matrices."""
from ..autograd.op import composed, op
from ..cases import normal
from .matmul import check_product, in_float32, in_steps, matmul, mismatch, products, tall, times


@op(home="functional", method=False, scalars=False, check=check_product)
def linear(input, weight, bias=None, /):
    """input @ weight.T + bias: (..., K), (M, K), (M,) -> (..., M); a 1-d weight (K,) gives (...).

    RuntimeError for sizes that do not fit, or different dtypes.
    """
    if input.dtype.itemsize == 2 and in_steps(input, weight):
        return in_float32(linear.op.forward, input, weight, bias)
    shape = input.shape[:-1] + weight.shape[:-1]
    if bias is not None and (bias.ndim > 1 or bias.shape not in ((), (1,), shape[-1:])):
        raise RuntimeError(f"linear: bias of shape {tuple(bias.shape)} for outputs of shape {tuple(shape)}")
    try:
        if weight.ndim == 2 and input.ndim > 1:
            return times(input, weight.T, bias)
        y = input @ weight.T
    except ValueError:
        raise mismatch("linear", input, weight.T) from None
    if bias is not None:
        y += bias
    return y

linear.vjp(lambda g, weight: matmul(g, weight) if weight.ndim == 2 else products(g, weight),
           lambda g, input, weight_shape: weight_gradient(g, input, len(weight_shape)),
           lambda g: g)


@linear.kernel("matmul", contiguous=False)
def _(kernels, input, weight, bias=None):
    if weight.ndim != 2 or bias is not None and bias.shape != weight.shape[:1]:
        return NotImplemented
    return kernels.matmul(input, weight.T, bias)


linear.case(normal(3, 4), normal(5, 4), normal(5))
linear.case(normal(3, 4), normal(5, 4))
linear.case(normal(2, 3, 4), normal(5, 4), normal(5))
linear.case(normal(4), normal(5, 4), normal(5))
linear.case(normal(3, 4), normal(4))
linear.case(normal(0, 4), normal(5, 4), normal(5))


def weight_gradient(g, input, ndim):
    """The gradient of linear's weight, a matrix or a vector."""
    if ndim == 1:
        return matmul(g.reshape(-1), tall(input)) if input.ndim > 1 else g * input
    if input.ndim == 1:
        return g.reshape((-1, 1)) * input
    return matmul(tall(g).T, tall(input))


@composed(home="functional", method=False)
def bilinear(input1, input2, weight, bias=None):
    """sum over i and j of input1[..., i] weight[m, i, j] input2[..., j] + bias[m]: (..., I), (..., J), (M, I, J), (M,) -> (..., M)."""
    if weight.ndim != 3 or input1.shape[-1:] != weight.shape[1:2] or input2.shape[-1:] != weight.shape[2:] \
            or input1.shape[:-1] != input2.shape[:-1]:
        raise RuntimeError(f"bilinear(): shapes {tuple(input1.shape)}, {tuple(input2.shape)} and weight {tuple(weight.shape)} do not fit")
    m, i, j = weight.shape
    halfway = matmul(tall(input1), weight.movedim(1, 0).reshape(i, m * j)).reshape(-1, m, j)
    y = matmul(halfway, tall(input2).reshape(-1, j, 1)).reshape(*input1.shape[:-1], m)
    if bias is None:
        return y
    if tuple(bias.shape) != (m,) or bias.dtype is not y.dtype:
        raise RuntimeError(f"bilinear(): bias of shape {tuple(bias.shape)} and dtype {bias.dtype.name} does not fit {m} outputs of {y.dtype.name}")
    return y + bias

bilinear.case(normal(3, 4), normal(3, 5), normal(2, 4, 5), normal(2))
bilinear.case(normal(2, 3, 4), normal(2, 3, 1), normal(2, 4, 1))
