"""Elements put around a tensor, and cut off."""
import numpy as np

from ..autograd.op import composed, op
from ..backend import xp
from ..cases import integers, normal
from ..convert import number
from ..copies import full, write
from .arrange import reversed_along
from .join import cat
from .masks import fill_number
from .rows import slice_of
from .strides import expand_to


@op(home="", called="constant_pad_nd")
def pad_constant(input, /, amounts, value=0.0):
    """`input` with `value` around it: amounts[i] = (before, after) elements along axis i."""
    value = fill_number(value, input.dtype) if [1 for a, b in amounts if a or b] else 0
    shape = [n + a + b for n, (a, b) in zip(input.shape, amounts)]
    y = (full if type(input) is np.ndarray else xp(input).full)(shape, value, input.dtype)
    write(y[tuple([slice(a, a + n) for n, (a, b) in zip(input.shape, amounts)])], input)
    return y

pad_constant.vjp(lambda g, input_shape, amounts: slice_of(g, index=tuple([slice(a, a + n) for n, (a, b) in zip(input_shape, amounts)])))
pad_constant.case(normal(3, 4), ((0, 1), (2, 3)))
pad_constant.case(normal(3), ((1, 2),), 1.5)
pad_constant.case(normal(2, 0), ((0, 0), (1, 0)))


def shifted(x, dim, by, fill):
    """`x` moved `by` places (1 or -1) along `dim`: `fill` comes in at one end, what leaves at the other is lost."""
    n = len(x.shape)
    dim %= n
    cut = slice_of(x, index=(slice(None),) * dim + (slice(None, -1) if by > 0 else slice(1, None),))
    return pad_constant(cut, ((0, 0),) * dim + (((1, 0) if by > 0 else (0, 1)),) + ((0, 0),) * (n - dim - 1), fill)


@composed(home="functional")
def pad(input, pad, mode="constant", value=None):
    """`input` with elements around it: `pad` gives (before, after) for the last axis, then the one before it, and so on.

    mode: "constant" (of `value`, 0 by default; negative amounts cut off), "reflect" (without the edge), "replicate", "circular".
    """
    n, pad = len(input.shape), [int(p) for p in pad]
    if len(pad) % 2:
        raise RuntimeError(f"Padding length must be divisible by 2: {pad}")
    if len(pad) > 2 * n:
        raise RuntimeError("Padding length should be less than or equal to two times the input dimension but got padding length "
                           f"{len(pad)} and input of dimension {n}")
    if mode not in ("constant", "reflect", "replicate", "circular"):
        raise NotImplementedError(f"Unrecognised padding mode {mode}")
    if mode != "constant":
        if value is not None and value != 0:
            raise RuntimeError(f'Padding mode "{mode}" doesn\'t take in value argument')
        if (len(pad) // 2, n) not in ((1, 2), (1, 3), (2, 3), (2, 4), (3, 4), (3, 5)):
            raise NotImplementedError(f"Padding size {len(pad)} is not supported for {n}D input tensor.")
        for i in range(len(pad) // 2):
            input = pad_along(input, n - 1 - i, pad[2 * i], pad[2 * i + 1], mode)
        return input
    amounts = [(0, 0)] * (n - len(pad) // 2) + [(pad[i], pad[i + 1]) for i in range(len(pad) - 2, -1, -2)]
    if [p for p in pad if p < 0]:
        cuts = [(max(-a, 0), k - max(-b, 0)) for k, (a, b) in zip(input.shape, amounts)]
        if [1 for start, end in cuts if end < start]:
            raise RuntimeError(f"narrow(): length must be non-negative: padding {pad} takes more than there is of {tuple(input.shape)}")
        input = slice_of(input, index=tuple([slice(start, end) for start, end in cuts]))
    return pad_constant(input, tuple([(max(a, 0), max(b, 0)) for a, b in amounts]), 0.0 if value is None else float(number(value, "pad", "value")))

pad.case(normal(3, 4), (1, 2))
pad.case(normal(3, 4), (1, -1, 0, 2), value=1.5)
pad.case(normal(2, 3, 4), (-1, -1))
pad.case(normal(2, 3, 4), (2, 1), mode="reflect")
pad.case(normal(2, 3, 4), (3, 1, 1, 2), mode="reflect")
pad.case(normal(2, 3, 4), (2, 5), "replicate")
pad.case(normal(1, 2, 2, 3), (1, 1, 0, 2), mode="replicate")
pad.case(normal(2, 3, 4), (3, 4), mode="circular")
pad.case(normal(2, 3, 4), (-1, 2), mode="circular")
pad.case(normal(1, 2, 2, 2, 3), (1, 1, 0, 2, 1, 0), mode="circular")
pad.case(integers(3, 4), (1, 1), value=2)


def pad_along(x, dim, before, after, mode):
    """`x` with elements of its own before and after it along `dim`; negative amounts cut off."""
    n = x.shape[dim]
    lead = (slice(None),) * dim
    if mode == "reflect" and max(before, after) >= n:
        raise RuntimeError("Argument #4: Padding size should be less than the corresponding input dimension, but got: padding "
                           f"({before}, {after}) at dimension {dim} of input {list(x.shape)}")
    if mode == "circular" and max(before, after) > n:
        raise RuntimeError("Padding value causes wrapping around more than once.")
    parts = [slice_of(x, index=lead + (slice(max(-before, 0), n - max(-after, 0)),))]
    if mode == "reflect":
        first, last = slice(1, before + 1), slice(n - 1 - after, n - 1)
    elif mode == "circular":
        first, last = slice(n - before + min(after, 0), n + min(after, 0)), slice(max(-before, 0), max(-before, 0) + after)
    else:
        first, last = slice(0, 1), slice(n - 1, n)
    for amount, part, place in ((before, first, 0), (after, last, len(parts))):
        if amount > 0:
            edge = slice_of(x, index=lead + (part,))
            if mode == "reflect":
                edge = reversed_along(edge, (dim,))
            elif mode == "replicate":
                edge = expand_to(edge, (*x.shape[:dim], amount, *x.shape[dim + 1:]))
            parts.insert(place if place == 0 else len(parts), edge)
    return cat(parts, dim)
