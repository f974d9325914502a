"""Images read at places that a grid names, and grids from affine maps: spatial transformers (Jaderberg et al. 2015)."""
import warnings
from itertools import product

from ..autograd.op import composed
from ..backend import xp
from ..cases import normal, unit
from ..dtypes import is_half
from ..tensor import Tensor, wrap
from .adaptive import gather_places
from .choose import where
from .join import stack
from .resample import CUBIC


def aligned(align_corners):
    """align_corners, False with a warning where it is not given."""
    if align_corners is None:
        warnings.warn("Default grid_sample and affine_grid behavior has changed to align_corners=False since 1.3.0. Please specify "
                      "align_corners=True if the old behavior is desired. See the documentation of grid_sample for details.", stacklevel=3)
    return bool(align_corners)


def reflect(x, low, high):
    """x folded into [low, high] as by mirrors at both ends."""
    span = high - low
    if span <= 0:
        return x * 0
    x = (x - low).abs()
    turns = (x / span).floor().detach()
    rest = x - turns * span
    return where(turns % 2 == 0, rest, span - rest) + low


def kept_inside(x, n, mode, corners):
    """Places along an axis of n, those outside brought inside as the padding mode says."""
    if mode == "reflection":
        x = reflect(x, 0.0, n - 1.0) if corners else reflect(x, -0.5, n - 0.5)
    return x if mode == "zeros" else x.clamp(min=0, max=n - 1)


def looked_up(input, places):
    """input (N, C, *size) at whole places, one tensor (N, *out) for each axis: (N, C, *out), 0 outside."""
    flat, inside = 0, True
    for x, n in zip(places, input.shape[2:]):
        inside = (x >= 0) & (x <= n - 1) & inside
        flat = flat * n + where(x == x, x, 0.0).clamp(min=0, max=n - 1).long()
    N, C = input.shape[:2]
    index = flat.unsqueeze(1).expand(N, C, *flat.shape[1:]).contiguous()
    return gather_places(input, index) * inside.unsqueeze(1).to(input.dtype)


def cubic_weights(t):
    """The four weights of cubic convolution for a place t beyond the second of four."""
    def near(t):
        return ((CUBIC + 2) * t - (CUBIC + 3)) * t * t + 1

    def far(t):
        return ((t - 5) * t + 8) * t * CUBIC - 4 * CUBIC
    return far(t + 1), near(t), near(1 - t), far(2 - t)


@composed(home="functional")
def grid_sample(input, grid, mode="bilinear", padding_mode="zeros", align_corners=None):
    """input (N, C, H, W) at the places grid (N, *out, 2), x before y, from -1 to 1 across the image: (N, C, *out); also for volumes.

    mode: "bilinear", "nearest" or (images only) "bicubic".  padding_mode: what lies outside: "zeros", "border", "reflection".
    align_corners: -1 and 1 are the centres of the outermost pixels, rather than their outer edges.
    """
    for label, t in (("input", input), ("grid", grid)):
        if not isinstance(t, Tensor):
            raise TypeError(f"grid_sample(): argument '{label}' must be Tensor, not {type(t).__name__}")
    if mode not in ("bilinear", "nearest", "bicubic"):
        raise ValueError(f"nn.functional.grid_sample(): expected mode to be 'bilinear', 'nearest' or 'bicubic', but got: '{mode}'")
    if padding_mode not in ("zeros", "border", "reflection"):
        raise ValueError("nn.functional.grid_sample(): expected padding_mode to be 'zeros', 'border', or 'reflection', but got: "
                         f"'{padding_mode}'")
    corners, n = aligned(align_corners), input.ndim - 2
    if n not in (2, 3) or grid.ndim != input.ndim or grid.shape[-1] != n or grid.shape[0] != input.shape[0]:
        raise RuntimeError("grid_sampler(): expected input (N, C, *size) and grid (N, *out, number of spatial axes) of as many axes, but got "
                           f"input with sizes {list(input.shape)} and grid with sizes {list(grid.shape)}")
    if grid.dtype is not input.dtype:
        raise RuntimeError(f"grid_sampler(): expected input and grid to have same dtype, but input has {input.dtype.name} and grid has "
                           f"{grid.dtype.name}")
    if not input.dtype.is_floating_point:
        raise NotImplementedError(f'"grid_sampler" not implemented for {input.dtype.name}')
    if mode == "bicubic" and n != 2:
        raise RuntimeError("grid_sampler(): bicubic interpolation only supports 4D input")
    if 0 in input.shape[2:]:
        raise RuntimeError(f"grid_sampler(): expected input to have non-empty spatial dimensions, but input has sizes {list(input.shape)}")
    if is_half(input.array.dtype):
        return grid_sample(input.float(), grid.float(), mode, padding_mode, corners).to(input.dtype)
    size = input.shape[2:]
    places = [grid[..., n - 1 - d] for d in range(n)]                      # the grid gives the last axis first
    places = [(x + 1) / 2 * (m - 1) if corners else ((x + 1) * m - 1) / 2 for x, m in zip(places, size)]
    if mode != "bicubic":
        places = [kept_inside(x, m, padding_mode, corners) for x, m in zip(places, size)]
    if mode == "nearest":
        y = looked_up(input, [x.detach().round() for x in places])
        return y + (places[0] * 0).unsqueeze(1) if grid.requires_grad else y       # whose gradient is zero
    first = [x.detach().floor() for x in places]
    if mode == "bicubic":
        taps = [list(zip((-1, 0, 1, 2), cubic_weights(x - f))) for x, f in zip(places, first)]
    else:
        taps = [[(0, f + 1 - x), (1, x - f)] for x, f in zip(places, first)]
    total = 0
    for tap in product(*taps):
        weight, at = 1, []
        for (step, w), f, m in zip(tap, first, size):
            weight = weight * w
            at.append(kept_inside(f + step, m, padding_mode, corners) if mode == "bicubic" else f + step)
        total = total + looked_up(input, at) * weight.unsqueeze(1)
    return total


@composed(home="functional")
def affine_grid(theta, size, align_corners=None):
    """The grid (N, H, W, 2) of the places that theta (N, 2, 3) maps those of an image of `size` (N, C, H, W) to; also for volumes."""
    corners = aligned(align_corners)
    if not isinstance(theta, Tensor) or not theta.dtype.is_floating_point:
        raise ValueError(f"Expected theta to have floating point type, but got {getattr(theta, 'dtype', type(theta))}")
    n = len(size) - 2
    if n not in (2, 3):
        raise NotImplementedError(f"affine_grid only supports 4D and 5D sizes, for 2D and 3D affine transforms, respectively. Got size {size}.")
    if theta.ndim != 3 or tuple(theta.shape[1:]) != (n, n + 1):
        raise ValueError(f"Expected a batch of {n}D affine matrices of shape Nx{n}x{n + 1} for size {size}. Got {list(theta.shape)}.")
    if min(size) <= 0:
        raise ValueError(f"Expected non-zero, positive output size. Got {size}")
    if corners and min(size[2:]) == 1:
        warnings.warn("Since version 1.3.0, affine_grid behavior has changed for unit-size grids when align_corners=True: the only place "
                      "along such an axis is at 0.", stacklevel=2)
    if is_half(theta.array.dtype):
        return affine_grid(theta.float(), size, corners).to(theta.dtype)
    lib, dtype = xp(theta.array), theta.array.dtype
    spatial, columns = tuple(size[2:]), []
    for d in reversed(range(n)):                     # x first
        m = spatial[d]
        line = lib.linspace(-1, 1, m) if m > 1 else lib.zeros(1)
        line = line if corners else line * (m - 1) / m
        columns.append(wrap(lib.array(lib.broadcast_to(line.astype(dtype).reshape(-1, *(1,) * (n - 1 - d)), spatial))).reshape(-1))
    columns.append(wrap(lib.ones(columns[0].numel(), dtype)))
    return (stack(columns, 1) @ theta.mT).reshape(size[0], *spatial, n)


grid_sample.case(normal(2, 3, 4, 5), unit(2, 3, 2, 2), align_corners=False)
grid_sample.case(normal(1, 2, 4, 5), normal(1, 3, 2, 2), padding_mode="border", align_corners=True)
grid_sample.case(normal(1, 2, 4, 5), normal(1, 3, 3, 2), padding_mode="reflection", align_corners=False)
grid_sample.case(normal(1, 2, 4, 5), normal(1, 3, 2, 2), mode="nearest", padding_mode="reflection", align_corners=True)
grid_sample.case(normal(1, 2, 4, 5), normal(1, 3, 2, 2), mode="bicubic", align_corners=False)
grid_sample.case(normal(1, 2, 3, 4, 5), unit(1, 2, 2, 2, 3), align_corners=True)
affine_grid.case(normal(2, 2, 3), [2, 1, 3, 4], align_corners=False)
affine_grid.case(normal(1, 2, 3), (1, 1, 3, 2), align_corners=True)
affine_grid.case(normal(1, 3, 4), [1, 1, 2, 3, 2], align_corners=False)
