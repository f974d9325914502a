"""Convolution of images and its gradients, on the kernels of conv.cu, conv_fp32.cu and conv_sm80.cu.

x is (N, C, H, W), w (M, C / groups, KH, KW), y (N, M, OH, OW); stride, padding and dilation are an int or one per axis, and a
padding may also be (before, after) per axis.  An image of height 1 makes it a convolution of sequences.

version: how it is computed, None for what suits the sizes.  "direct" is a thread per entry, "tiled" a step on the way to the
fast ones for more than a few channels: "fp32" for float32, "sm80" on tensor cores for float16 and bfloat16.
"""
import functools
from math import prod

import numpy as np

from ..backend import xp
from ..cases import normal
from .kernel import library
from .proof import proven, scalar

TILES = {"fp32": (128, 64, 32), "sm80": (128, 64)}     # rows of a block's tile, TILE_M; it has 128 columns
PROCESSORS = 132                                     # multiprocessors of a large GPU: fewer blocks leave some idle
LIMIT = 2**31
SIZES = np.dtype([(name, "i4") for name in (         # struct Sizes of conv.cuh
    "images groups channels filters H W KH KW OH OW stride_h stride_w padding_h padding_w dilation_h dilation_w").split()])


# ---- geometry -------------------------------------------------------------------------------------------

def pair(name, value):
    """An int, or one per axis, as a tuple of two."""
    value = (value, value) if isinstance(value, int) else tuple(value)
    if len(value) != 2:
        raise ValueError(f"{name} must be an int or two, not {value}")
    return value


def before_after(name, padding):
    """((before, after), (before, after)) of a padding given as an int, one per axis, or these."""
    return tuple((p, p) if isinstance(p, int) else tuple(p) for p in pair(f"{name}: padding", padding))


def positions(size, kernel, stride, padding, dilation):
    """How many places a window of `kernel` taps takes on an axis."""
    return (size + sum(padding) - dilation * (kernel - 1) - 1) // stride + 1


def geometry(name, x_shape, w_shape, stride, padding, dilation, groups):
    """(the shape of y, the kernels' Sizes); ValueError where x and w do not fit."""
    x_shape, w_shape = tuple(x_shape), tuple(w_shape)
    stride, dilation = pair(f"{name}: stride", stride), pair(f"{name}: dilation", dilation)
    padding = before_after(name, padding)
    if len(x_shape) != 4 or len(w_shape) != 4:
        raise ValueError(f"{name}: images {x_shape} and weights {w_shape} must have four axes each")
    if min(*stride, *dilation, groups) < 1:
        raise ValueError(f"{name}: stride {stride}, dilation {dilation} and groups {groups} must be at least 1")
    (N, C, *size), (M, per_group, *kernel) = x_shape, w_shape
    if per_group * groups != C or M % groups:
        raise ValueError(f"{name}: images {x_shape} with {C} channels do not fit weights {w_shape} in {groups} groups")
    out = [positions(*axis) for axis in zip(size, kernel, stride, padding, dilation)]
    if min(kernel) < 1 or min(out) < 1:
        raise ValueError(f"{name}: the window, {kernel} taps {dilation} apart, is larger than the padded image {size} + {padding}")
    if max(N * prod(size), N * prod(out), per_group * prod(size), M // groups * prod(out), prod(w_shape)) >= LIMIT or size[0] >= LIMIT // 4:
        raise ValueError(f"{name}: {x_shape} with {w_shape} has 2**31 places, weights or numbers in an image or more; split it")
    sizes = (N, groups, per_group, M // groups, *size, *kernel, *out, *stride, *(p for p, _ in padding), *dilation)
    return (N, M, *out), np.array(sizes, SIZES)[()]


def same_dtype(name, *arrays):
    """TypeError unless all arrays (None: left out) share one dtype."""
    if len({a.dtype for a in arrays if a is not None}) > 1:
        raise TypeError(f"{name}: arrays of {' and '.join(str(a.dtype) for a in arrays if a is not None)} do not mix")


def blocks(n, size):
    return -(-n // size)


def chosen(name, version, x, rows, others):
    """(version, rows of its tile or None) for a product of this many rows (output channels of a group) in x's dtype.

    others: how many blocks share a row of tiles.  Left to choose, it takes smaller tiles where large ones are too few for a GPU.
    """
    fast = "fp32" if scalar(x) == "float" else "sm80"
    if version not in (None, "direct", "tiled", fast):
        raise ValueError(f"{name}: version {version!r} is not one of None, 'direct', 'tiled' and, for {x.dtype.name}, {fast!r}")
    if version in ("direct", "tiled") or version is None and rows < 8:
        return version or "direct", None
    tiles = [n for n in TILES[fast] if n < 2 * rows] or TILES[fast][-1:]
    enough = [n for n in tiles if version or blocks(rows, n) * others >= PROCESSORS]
    return fast, (enough or tiles[-1:])[0]


def gemm(name, version, tile, x):
    """The implicit GEMM `name` for x's dtype."""
    define = {"TILE_M": tile} if version == "fp32" else {"scalar": scalar(x), "TILE_M": tile}
    return library(f"conv_{version}.cu", f"conv_{name}_{version}", define)


# ---- the reference --------------------------------------------------------------------------------------

def seen(x, w_shape, stride, dilation, groups):
    """For each tap of the window (i, j, what it sees of the padded x: (N, groups, C / groups, OH, OW), a view)."""
    (SH, SW), (DH, DW) = pair("stride", stride), pair("dilation", dilation)
    KH, KW = w_shape[2:]
    OH, OW = (x.shape[2] - DH * (KH - 1) - 1) // SH + 1, (x.shape[3] - DW * (KW - 1) - 1) // SW + 1
    x = x.reshape(x.shape[0], groups, w_shape[1], *x.shape[2:])
    for i in range(KH):
        for j in range(KW):
            yield i, j, x[..., i * DH:i * DH + SH * (OH - 1) + 1:SH, j * DW:j * DW + SW * (OW - 1) + 1:SW]


def around(x, padding):
    """x with zeros around its images."""
    return np.pad(x, ((0, 0), (0, 0), *before_after("", padding)))


def conv2d_reference(x, w, bias=None, stride=1, padding=0, dilation=1, groups=1, version=None):
    filters = w.reshape(groups, len(w) // groups, *w.shape[1:])
    y = sum(np.einsum("gmc, ngchw -> ngmhw", filters[..., i, j], part)
            for i, j, part in seen(around(x, padding), w.shape, stride, dilation, groups))
    y = y.reshape(len(y), len(w), *y.shape[3:])
    return y if bias is None else y + bias.reshape(-1, 1, 1)


def input_gradient_reference(g, w, input_shape, bias=None, stride=1, padding=0, dilation=1, groups=1, version=None):
    padding = before_after("", padding)
    filters = w.reshape(groups, len(w) // groups, *w.shape[1:])
    g = g.reshape(len(g), groups, len(w) // groups, *g.shape[2:])
    N, C, *size = input_shape
    room = np.zeros((N, C, *(n + a + b for n, (a, b) in zip(size, padding))))
    for i, j, part in seen(room, w.shape, stride, dilation, groups):
        part += np.einsum("gmc, ngmhw -> ngchw", filters[..., i, j], g)
    room = room[:, :, padding[0][0]:padding[0][0] + size[0], padding[1][0]:padding[1][0] + size[1]]
    return room if bias is None else room + bias.reshape(-1, 1, 1)


def weight_gradient_reference(g, x, weight_shape, stride=1, padding=0, dilation=1, groups=1, version=None):
    g, gw = g.reshape(len(g), groups, weight_shape[0] // groups, *g.shape[2:]), np.zeros(weight_shape)
    for i, j, part in seen(around(x, padding), weight_shape, stride, dilation, groups):
        gw[:, :, i, j] = np.einsum("ngmhw, ngchw -> gmc", g, part).reshape(weight_shape[:2])
    return gw


# ---- the functions --------------------------------------------------------------------------------------

@proven(reference=conv2d_reference, dtypes="float32 float16 bfloat16")
def conv2d(x, w, bias=None, stride=1, padding=0, dilation=1, groups=1, version=None):
    """y[n, m, p, q] = bias[m] + sum of w[m, c, i, j] x[n, c, p stride - padding + i dilation, ...]: -> (N, M, OH, OW)."""
    same_dtype("conv2d", x, w, bias)
    shape, sizes = geometry("conv2d", x.shape, w.shape, stride, padding, dilation, groups)
    check_bias("conv2d", bias, w.shape[0])
    y = xp(x).empty(shape, x.dtype)
    if y.size:
        rows, places = w.shape[0] // groups, shape[0] * prod(shape[2:])
        how = chosen("conv2d", version, x, rows, blocks(places, 128) * groups)
        gather("conv", "forward", how, rows, places, groups, (x, w, bias, y, sizes))
    return y


@proven(reference=input_gradient_reference, dtypes="float32 float16 bfloat16")
def conv2d_input_gradient(g, w, input_shape, bias=None, stride=1, padding=0, dilation=1, groups=1, version=None):
    """The transpose of conv2d in x: g (N, M, OH, OW) -> input_shape; with a bias (C,), the forward of a transposed convolution."""
    same_dtype("conv2d_input_gradient", g, w, bias)
    shape, sizes = geometry("conv2d_input_gradient", input_shape, w.shape, stride, padding, dilation, groups)
    check_gradient("conv2d_input_gradient", g, shape)
    check_bias("conv2d_input_gradient", bias, input_shape[1])
    gx = xp(g).empty(input_shape, g.dtype)
    if gx.size:
        rows, (SH, SW) = w.shape[1], pair("stride", stride)
        places = input_shape[0] * blocks(input_shape[2], SH) * blocks(input_shape[3], SW)       # of the largest phase
        layers = groups * SH * SW
        how = chosen("conv2d_input_gradient", version, g, rows, blocks(places, 128) * layers)
        gather("conv_input", "input_gradient", how, rows, places, layers, (g, w, bias, gx, sizes))
    return gx


def gather(simple, name, how, rows, places, layers, args):
    """Launch a forward or input gradient: in the simple versions the kernel's name begins with `simple`."""
    version, tile = how
    if version in ("direct", "tiled"):
        kernel = library("conv.cu", f"{simple}_{version}", {"scalar": scalar(args[0])})
        grid = (blocks(places, 256), rows) if version == "direct" else (blocks(places, 16), blocks(rows, 16))
    else:
        kernel = gemm(name, version, tile, args[0])
        grid = blocks(places, 128), blocks(rows, tile)
    kernel((*grid, layers), 256, args)


@proven(reference=weight_gradient_reference, dtypes="float32 float16 bfloat16")
def conv2d_weight_gradient(g, x, weight_shape, stride=1, padding=0, dilation=1, groups=1, version=None):
    """gw[m, c, i, j] = sum over n, p, q of g[n, m, p, q] x[n, c, p stride - padding + i dilation, ...]: -> weight_shape."""
    same_dtype("conv2d_weight_gradient", g, x)
    shape, sizes = geometry("conv2d_weight_gradient", x.shape, weight_shape, stride, padding, dilation, groups)
    check_gradient("conv2d_weight_gradient", g, shape)
    lib = xp(g)
    if not g.size or not x.size:
        return lib.zeros(weight_shape, g.dtype)
    gw = lib.empty(weight_shape, g.dtype)
    rows, columns, places = weight_shape[0] // groups, prod(weight_shape[1:]), shape[0] * prod(shape[2:])
    version, tile = chosen("conv2d_weight_gradient", version, g, rows, PROCESSORS)       # places can be shared out further
    if version in ("direct", "tiled"):
        kernel = library("conv.cu", f"conv_weight_{version}", {"scalar": scalar(x)})
        if version == "direct":
            kernel(gw.size, min(256, blocks(places, 32) * 32), (x, g, gw, sizes))
        else:
            kernel((blocks(columns, 16), blocks(rows, 16), groups), 256, (x, g, gw, sizes))
        return gw
    tiles = blocks(columns, 128) * blocks(rows, tile) * groups
    length = blocks(places, min(blocks(2 * PROCESSORS, tiles), blocks(places, 64)))        # places of y that a block sums
    parts = lib.empty((blocks(places, length), *weight_shape), sums_in(g))
    kernel = gemm("weight_gradient", version, tile, x)
    kernel((blocks(columns, 128), blocks(rows, tile), groups * len(parts)), 256, (x, g, parts, length, sizes))
    return summed(parts, gw)


def sums_in(x):
    """The dtype of partial sums."""
    return np.float64 if x.dtype == np.float64 else np.float32


def summed(parts, total):
    """The sum of parts (count, *total.shape) into `total`."""
    kernel = library("conv.cu", "sum_parts", {"scalar": scalar(total)})
    kernel(blocks(total.size, 256), 256, (parts, total, len(parts), total.size))
    return total


@proven(reference=lambda g: g.sum((0, 2, 3)), dtypes="float32 float16 bfloat16")
def conv2d_bias_gradient(g):
    """g (N, M, OH, OW) summed over all but the channels: -> (M,)."""
    N, M, *out = g.shape
    lib = xp(g)
    if not g.size:
        return lib.zeros((M,), g.dtype)
    parts = lib.empty((min(N, blocks(2 * PROCESSORS, M)), M), sums_in(g))
    library("conv.cu", "conv_bias_gradient", {"scalar": scalar(g)})((M, len(parts)), 256, (g, parts, N, M, prod(out)))
    return summed(parts, lib.empty((M,), g.dtype))


def check_bias(name, bias, channels):
    if bias is not None and bias.shape != (channels,):
        raise ValueError(f"{name}: bias {bias.shape} does not fit {channels} channels")


def check_gradient(name, g, shape):
    if g.shape != shape:
        raise ValueError(f"{name}: the convolution's result has shape {shape}, its gradient {g.shape}")


def gradients(g, y, x, w, bias=None, *args, **params):
    """conv2d's gradients by x, w and bias."""
    return (conv2d_input_gradient(g, w, x.shape, None, *args, **params), conv2d_weight_gradient(g, x, w.shape, *args, **params),
            None if bias is None else conv2d_bias_gradient(g))


conv2d.vjp(gradients)


# ---- proofs ---------------------------------------------------------------------------------------------

def versions(version, dtypes):
    """conv2d and its gradients by x and w in one version, as functions of their own: conv2d_direct, ..."""
    found = []
    for f in (conv2d, conv2d_input_gradient, conv2d_weight_gradient):
        g = functools.partial(f, version=version)
        g.__name__ = f"{f.__name__}_{version}"
        found.append(proven(f.reference, dtypes)(g))
    if "float32" in dtypes:                          # in tensor cores there is no double precision to differentiate in
        found[0].vjp(functools.partial(gradients, version=version))
    return found


def cases(functions, shape, filters, **options):
    """The case of one convolution for conv2d and its gradients; by keyword: too large for finite differences."""
    y_shape = conv2d_reference(np.empty(shape), np.empty(filters), **options).shape
    forward, input_gradient, weight_gradient = functions
    forward.case(x=normal(*shape), w=normal(*filters), bias=normal(filters[0]), **options)
    input_gradient.case(normal(*y_shape), normal(*filters), shape, normal(shape[1]), **options)
    weight_gradient.case(normal(*y_shape), normal(*shape), filters, **options)


conv2d.case(normal(1, 2, 5, 4), normal(3, 2, 3, 3), normal(3), padding=1)
conv2d.case(normal(0, 2, 4, 4), normal(3, 2, 3, 3))
conv2d_input_gradient.case(normal(2, 0, 3, 3), normal(0, 2, 3, 3), (2, 2, 5, 5))
conv2d_bias_gradient.case(normal(3, 5, 7, 9))
conv2d_bias_gradient.case(normal(1, 1, 1, 1))
cases((conv2d, conv2d_input_gradient, conv2d_weight_gradient), (2, 18, 7, 9), (33, 18, 1, 1), stride=3)

for version, dtypes in (("direct", "float32 float16 bfloat16"), ("tiled", "float32 float16 bfloat16"), ("fp32", "float32"),
                        ("sm80", "bfloat16 float16")):
    functions = plain, *_ = versions(version, dtypes)
    if plain.derivative:
        plain.case(normal(1, 2, 4, 3), normal(3, 2, 3, 3), normal(3), 1, 1)
        plain.case(normal(2, 2, 5, 3), normal(4, 1, 3, 2), normal(4), (2, 3), ((1, 0), (2, 1)), (2, 1), 2)
    cases(functions, (3, 5, 7, 9), (5 if version == "direct" else 17, 5, 5, 3), padding=(2, 1))
    cases(functions, (2, 3, 7, 9), (3, 1, 3, 3), stride=(2, 1), padding=(1, 2), dilation=(1, 2), groups=3)        # depthwise
    cases(functions, (1, 4, 11, 13), (12, 2, 3, 3), stride=2, padding=1, dilation=2, groups=2)
    if version in ("fp32", "sm80"):                  # the larger tiles
        cases(functions, (1, 3, 12, 13), (66, 3, 3, 3), padding=1)
        cases(functions, (1, 66, 5, 4), (3, 66, 2, 2), stride=2)
        cases(functions, (1, 9, 9, 8), (10, 9, 4, 4), stride=3)          # more than 128 weights a row
    if version == "fp32":
        cases(functions, (1, 34, 7, 9), (34, 34, 1, 1))
