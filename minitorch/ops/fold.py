"""unfold and fold: the windows of an image laid out as columns, and their sum back into an image."""
from math import prod

from ..autograd.op import composed
from ..cases import normal
from ..tensor import Tensor
from .windows import Slide, per_axis, unwindows, windows


def prepared(name, input, kernel_size, dilation, padding, stride):
    """(kernel, Slide) over two axes; PyTorch's refusals."""
    if not isinstance(input, Tensor):
        raise TypeError(f"{name}(): argument 'input' must be Tensor, not {type(input).__name__}")
    kernel, dilation, padding, stride = (per_axis(v, 2, label) for v, label in (
        (kernel_size, "kernel_size"), (dilation, "dilation"), (padding, "padding"), (stride, "stride")))
    for label, values in (("kernel size", kernel), ("dilation", dilation), ("stride", stride)):
        if min(values) <= 0:
            raise RuntimeError(f"{label} should be greater than zero, but got {values}")
    if min(padding) < 0:
        raise RuntimeError(f"padding should be non-negative, but got {padding}")
    return kernel, Slide(stride, tuple((p, p) for p in padding), dilation)


def places(size, kernel, slide, what):
    """How many windows fit along each axis; RuntimeError if none does."""
    out = slide.positions(size, kernel)
    if min(out) < 1:
        raise RuntimeError(f"Given {what} {tuple(size)}, kernel_size={kernel}, dilation={slide.dilation}, padding="
                           f"{tuple(a for a, _ in slide.padding)}, calculated shape of the array of sliding blocks as {out}, "
                           "but its components must be at least one.")
    return out


@composed(home="functional")
def unfold(input, kernel_size, dilation=1, padding=0, stride=1):
    """The windows of (N, C, H, W) or (C, H, W) as columns: (N, C * KH * KW, positions)."""
    kernel, slide = prepared("unfold", input, kernel_size, dilation, padding, stride)
    if input.ndim not in (3, 4) or 0 in input.shape[-3:]:
        raise RuntimeError("Expected 3D or 4D (batch mode) tensor with possibly 0 batch size and other non-zero dimensions for input, "
                           f"but got: {list(input.shape)}")
    x = input if input.ndim == 4 else input.reshape((1, *input.shape))
    N, C, *size = x.shape
    out = places(size, kernel, slide, "input with spatial size")
    y = windows(x, kernel=kernel, slide=slide)                             # (N, C, *kernel, *out)
    return y.reshape((N, C * prod(kernel), prod(out))[4 - input.ndim:])


@composed(home="functional")
def fold(input, output_size, kernel_size, dilation=1, padding=0, stride=1):
    """The transpose of unfold: columns (N, C * KH * KW, positions) summed into images (N, C, *output_size)."""
    kernel, slide = prepared("fold", input, kernel_size, dilation, padding, stride)
    size = per_axis(output_size, 2, "output_size")
    if input.ndim not in (2, 3) or 0 in input.shape[-2:]:
        raise RuntimeError("Expected 2D or 3D (batch mode) tensor for input with possibly 0 batch size and non-zero dimensions for input, "
                           f"but got: {list(input.shape)}")
    if input.shape[-2] % prod(kernel):
        raise RuntimeError(f"Expected size of input's dimension 1 to be divisible by the product of kernel_size, but got "
                           f"input.size(1)={input.shape[-2]} and kernel_size={kernel}.")
    out = places(size, kernel, slide, "output with spatial size")
    if input.shape[-1] != prod(out):
        raise RuntimeError(f"Given output_size={size}, kernel_size={kernel}, dilation={slide.dilation}, stride={slide.stride}, expected size "
                           f"of input's dimension 2 to match the calculated number of sliding blocks {' * '.join(map(str, out))} = "
                           f"{prod(out)}, but got input.size(2)={input.shape[-1]}.")
    N, C = 1 if input.ndim == 2 else input.shape[0], input.shape[-2] // prod(kernel)
    y = unwindows(input.reshape((N, C, *kernel, *out)), size=size, slide=slide)
    return y if input.ndim == 3 else y.reshape((C, *size))


unfold.case(normal(2, 3, 4, 5), 2)
unfold.case(normal(2, 3, 5, 5), (2, 3), 2, 1, (2, 1))
unfold.case(normal(3, 4, 5), 1)
fold.case(normal(2, 12, 16), 5, 2)
fold.case(normal(2, 6, 8), (6, 4), (2, 3), padding=1, stride=(2, 2))
fold.case(normal(4, 9), (4, 4), 2)
