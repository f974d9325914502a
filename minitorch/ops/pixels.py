"""Channels made into pixels and back: what sub-pixel convolution needs."""
from ..autograd.op import composed
from ..cases import normal


@composed(home="torch functional", method=False)
def pixel_shuffle(input, upscale_factor):
    """(..., C r^2, H, W) -> (..., C, H r, W r): every r^2 channels become a block of r x r pixels (Shi et al. 2016)."""
    r = upscale_factor
    if input.ndim < 3:
        raise RuntimeError(f"pixel_shuffle expects input to have at least 3 dimensions, but got input with {input.ndim} dimension(s)")
    if r <= 0:
        raise RuntimeError(f"pixel_shuffle expects a positive upscale_factor, but got {r}")
    *lead, C, H, W = input.shape
    if C % r ** 2:
        raise RuntimeError("pixel_shuffle expects its input's 'channel' dimension to be divisible by the square of upscale_factor, but "
                           f"input.size(-3)={C} is not divisible by {r ** 2}")
    n = len(lead)
    y = input.reshape((*lead, C // r ** 2, r, r, H, W)).permute((*range(n), n, n + 3, n + 1, n + 4, n + 2))
    return y.reshape((*lead, C // r ** 2, H * r, W * r))


@composed(home="torch functional", method=False)
def pixel_unshuffle(input, downscale_factor):
    """The inverse of pixel_shuffle: (..., C, H r, W r) -> (..., C r^2, H, W)."""
    r = downscale_factor
    if input.ndim < 3:
        raise RuntimeError(f"pixel_unshuffle expects input to have at least 3 dimensions, but got input with {input.ndim} dimension(s)")
    if r <= 0:
        raise RuntimeError(f"pixel_unshuffle expects a positive downscale_factor, but got {r}")
    *lead, C, H, W = input.shape
    for name, size in (("height", H), ("width", W)):
        if size % r:
            raise RuntimeError(f"pixel_unshuffle expects {name} to be divisible by downscale_factor, but {size} is not divisible by {r}")
    n = len(lead)
    y = input.reshape((*lead, C, H // r, r, W // r, r)).permute((*range(n), n, n + 2, n + 4, n + 1, n + 3))
    return y.reshape((*lead, C * r ** 2, H // r, W // r))


@composed(home="torch functional", method=False)
def channel_shuffle(input, groups):
    """The channels of (N, C, ...) dealt out: the first of every group, then the second, and so on (Zhang et al. 2018)."""
    if input.ndim <= 2:
        raise RuntimeError(f"channel_shuffle expects input with > 2 dims, but got input with sizes {list(input.shape)}")
    N, C, *size = input.shape
    if groups <= 0:
        raise RuntimeError(f"Number of groups to divide channels in must be positive. Value of groups:{groups}")
    if C % groups:
        raise RuntimeError(f"Number of channels must be divisible by groups. Got {C} channels and {groups} groups.")
    return input.reshape((N, groups, C // groups, *size)).transpose(1, 2).reshape(input.shape)


pixel_shuffle.case(normal(2, 8, 3, 2), 2)
pixel_shuffle.case(normal(9, 1, 2), 3)
pixel_shuffle.case(normal(2, 1, 4, 2, 2), 1)
pixel_unshuffle.case(normal(2, 2, 6, 4), 2)
pixel_unshuffle.case(normal(1, 3, 6), 3)
pixel_unshuffle.case(normal(2, 1, 4, 2, 2), 2)
channel_shuffle.case(normal(2, 6, 3), 2)
channel_shuffle.case(normal(1, 4, 2, 2), 4)
channel_shuffle.case(normal(2, 6, 1, 2, 2), 3)
