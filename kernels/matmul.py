"""Matrix products on the kernels of matmul.cu (float32, step by step), matmul_sm80.cu (tensor cores) and matmul_sm90.cu (Hopper).

All of them read their operands by strides: a transposed array (`a.swapaxes(-1, -2)`), axes in any order, and operands that a batch
shares are taken where they are.  Bias and activation are applied to the sums before they are stored.
"""
import functools
import math

import numpy as np

from ..backend import xp
from ..cases import normal
from .elementwise import ACTIVATIONS, activate, bias_activation_backward
from .kernel import library
from .product import device, product
from .proof import proven, scalar
from .tensor_map import TensorMap

VERSIONS = {                                         # in the order in which they build upon each other: (dtypes, idea)
    "naive": ("float32 float64", "a thread per entry"),
    "coalesced": ("float32 float64", "neighbouring threads along a row"),
    "tiled": ("float32 float64", "tiles in shared memory"),
    "register": ("float32 float64", "4 x 4 entries per thread in registers"),
    "warp": ("float32 float64", "8 x 8 entries per thread, 16-byte reads, warp tiles, prefetch"),
    "sm80": ("float16 bfloat16 float32", "tensor cores by mma.sync, ldmatrix, cp.async (float32 as TF32)"),
    "sm90": ("float16 bfloat16", "tensor cores by wgmma, TMA, warp specialisation, persistent blocks"),
}


def ladder():
    """The versions of matmul as (name, dtypes, idea), each the next step from the one before."""
    return [(name, *told) for name, told in VERSIONS.items()]


# ---- launches ----------------------------------------------------------------------------------------------------

def choose(p, stored=None):
    """The name of the version for a product: the best that its dtype, sizes and alignment allow on its device, storing in this dtype."""
    if scalar(p.a) == "float":
        return "warp" if p.a_vectors and p.b_vectors and p.large else "register"
    return "sm90" if device(p.a)[0] == "90" and hopper(p) and p.large and stored in (None, p.a.dtype) else "sm80"


def parts(p):
    """Into how many parts to split k: where tiles would leave most of the device idle, as many as fill it, each of at least 256."""
    tile = 128 if p.M > 64 and p.N > 64 else 64
    most = min(device(p.a)[1] // p.tiles(tile, tile), p.K // 256) if p.outer == 1 else 1
    return next((n for n in range(most, 2, -1) if p.K % (64 * n) == 0), 1)


def hopper(p):
    """Whether TMA can load the operands and store the result."""
    return bool(p.a_vectors and p.b_vectors and p.K and p.N % 8 == 0)


def run(p, version, bias, activation, c, **options):
    if version not in VERSIONS:
        raise ValueError(f"matmul: version must be one of {', '.join(VERSIONS)} or None, not {version!r}")
    if p.a.dtype.name not in VERSIONS[version][0].split():
        raise TypeError(f"matmul: version '{version}' computes in {', '.join(VERSIONS[version][0].split())}, not {p.a.dtype.name}")
    if version == "warp" and not (p.a_vectors and p.b_vectors):
        raise ValueError("matmul: version 'warp' wants contiguous rows or columns in whole vectors of 16 bytes")
    LAUNCH.get(version, launch_plain)(p, version, bias, c, {"ACTIVATION": (activation or "identity").upper()}, **options)


def run_parts(p, n, bias, activation, c):
    """The best version with k split into n parts, and their sum."""
    sums = xp(c).empty((n, c.size), c.dtype if c.dtype.itemsize >= 4 else np.float32)
    p = p.split(n)
    run(p, choose(p, sums.dtype), None, None, sums)
    kernel = library("matmul_sum.cu", "matmul_sum", {"scalar": scalar(c), "ACTIVATION": (activation or "identity").upper()})
    kernel(-(-c.size // 256), 256, (sums, bias, c, c.size, p.N, n))


PLAIN = {"naive": (None, 256), "coalesced": (None, 256), "tiled": (32, 1024), "register": (64, 256), "warp": (128, 256)}


def launch_plain(p, version, bias, c, define):
    tile, threads = PLAIN[version]
    grid = p.tiles(tile, tile) if tile else -(-c.size // threads)
    library("matmul.cu", f"matmul_{version}", define)(grid, threads, (p.a, p.b, bias, c, p))


def launch_sm80(p, version, bias, c, define, block=None):
    """block: rows and columns of a tile, 64 or 128; None: 128 for large products."""
    block = block or (128 if p.large else 64)
    define = {"scalar": scalar(p.a), "A_ALONG_K": int(p.a_along_k), "B_ALONG_K": int(p.b_along_k), "BLOCK": block, "Result": scalar(c), **define}
    stages = 4
    library("matmul_sm80.cu", "matmul_sm80", define)(p.tiles(block, block), 128, (p.a, p.b, bias, c, p), shared_mem=stages * 2 * block * 64)


def launch_sm90(p, version, bias, c, define, columns=None, cluster=None, limit=None):
    """columns: of a tile, 128 or 256; cluster: blocks that share copies of B, 1 or 2; None: those that are done sooner.

    limit: blocks at most; None: multiprocessors.
    """
    if not hopper(p):
        raise ValueError("matmul: version 'sm90' wants contiguous rows or columns in whole vectors of 16 bytes, in the result too")
    limit = limit or device(p.a)[1]
    choices = [(n, blocks) for n in ((columns,) if columns else (256, 128)) for blocks in ((cluster,) if cluster else (2, 1)) if blocks <= limit]
    columns, cluster = min(choices, key=lambda choice: effort(p, limit, *choice))
    define = {"scalar": scalar(p.a), "A_ALONG_K": int(p.a_along_k), "B_ALONG_K": int(p.b_along_k), "COLUMNS": columns, "BLOCKS": cluster, **define}
    maps = (
        tensor_map(p.a, p.a_strides, p, (p.M, p.K), 128 if p.a_along_k else 64),
        tensor_map(p.b, p.b_strides, p, (p.K, p.N), columns // cluster if p.b_along_k else 64),
        TensorMap(c.reshape(p.batches, p.M, p.N), (1, 64, 64)),
    )
    stages = 3 if columns == 256 else 5
    shared = stages * (128 + columns) * 64 * 2 + 128 * columns * 2 + stages * 2 * 8
    blocks = min(p.tiles(128 * cluster, columns), limit // cluster) * cluster
    library("matmul_sm90.cu", "matmul_sm90", define, "sm_90a", (cluster, 1, 1))(blocks, 384, (*maps, bias, p), shared_mem=shared)


def effort(p, limit, columns, cluster):
    """About how long: rounds of tiles, their columns, and some more for smaller tiles and for blocks that copy alone."""
    rounds = -(-p.tiles(128 * cluster, columns) // (limit // cluster))
    return rounds * columns * (1 if columns == 256 else 1.1) * (1 if cluster == 2 else 1.05)


def tensor_map(x, strides, p, shape, lines):
    """The map of an operand as (outer, inner, lines, along the line), for boxes of so many lines by 64."""
    row, column, outer, inner = strides
    across, along, count, length = (row, column, *shape) if column == 1 else (column, row, *shape[::-1])
    sizes = (p.outer if outer else 1, p.inner if inner else 1, count, length)
    steps = [(n if size > 1 else 64) * x.itemsize for n, size in zip((outer, inner, across, along), sizes)]
    steps[3] = x.itemsize
    return TensorMap(xp(x).lib.stride_tricks.as_strided(x, sizes, steps), (1, 1, lines, 64))


LAUNCH = {"sm80": launch_sm80, "sm90": launch_sm90}


# ---- the function ------------------------------------------------------------------------------------------------

def matmul_reference(a, b, bias=None, activation=None, version=None):
    return activate(a @ b if bias is None else a @ b + bias, activation or "identity")


@proven(reference=matmul_reference, dtypes="float32 float16 bfloat16")
def matmul(a, b, bias=None, activation=None, version=None):
    """activation(a @ b + bias): (..., M, K) @ (..., K, N) -> (..., M, N), batches broadcast; one-dimensional operands as in NumPy.

    bias: (N,).  activation: None, "relu", "gelu" (by erf), "gelu_tanh" (PyTorch's approximate="tanh"), "silu", "tanh" or "sigmoid".
    version: one of the `ladder()`; None: the best that dtype, sizes, alignment and device allow.
    float16 and bfloat16 are summed in float32.  Raises ValueError where shapes do not fit.
    """
    check(a, b, bias, activation)
    p, shape = product(a[None] if a.ndim == 1 else a, b[:, None] if b.ndim == 1 else b)
    c = xp(a).empty(shape, a.dtype)
    if c.size:
        if version or (n := parts(p)) == 1:
            run(p, version or choose(p), bias, activation, c)
        else:
            run_parts(p, n, bias, activation, c)
    if a.ndim == 1:
        c = c.reshape(*c.shape[:-2], c.shape[-1])
    return c.reshape(c.shape[:-1]) if b.ndim == 1 else c


def check(a, b, bias, activation):
    what = f"matmul: {tuple(a.shape)} @ {tuple(b.shape)}"
    scalar(a)
    if not a.ndim or not b.ndim:
        raise ValueError(f"{what}: operands need at least one axis")
    inner = b.shape[0] if b.ndim == 1 else b.shape[-2]
    if a.shape[-1] != inner:
        raise ValueError(f"{what}: inner sizes {a.shape[-1]} and {inner} differ")
    if any(m != n and 1 not in (m, n) for m, n in zip(a.shape[-3::-1], b.shape[-3::-1])):
        raise ValueError(f"{what}: batches {tuple(a.shape[:-2])} and {tuple(b.shape[:-2])} do not broadcast")
    for name, x in (("b", b), ("bias", bias)):
        if x is not None and x.dtype != a.dtype:
            raise TypeError(f"{what}: a is {a.dtype.name}, {name} {x.dtype.name}")
    N = 1 if b.ndim == 1 else b.shape[-1]
    if bias is not None and tuple(bias.shape) != (N,):
        raise ValueError(f"{what}: bias must have shape ({N},), not {tuple(bias.shape)}")
    if activation is not None and activation not in ACTIVATIONS:
        raise ValueError(f"matmul: activation must be None or one of {', '.join(ACTIVATIONS)}, not {activation!r}")


def matmul_backward_reference(g, a, b):
    a2, b2 = a[None] if a.ndim == 1 else a, b[:, None] if b.ndim == 1 else b
    g = g.reshape(*np.broadcast_shapes(a2.shape[:-2], b2.shape[:-2]), a2.shape[-2], b2.shape[-1])
    return tuple(summed(x, like.shape).reshape(x0.shape) for x, like, x0 in
                 ((g @ b2.swapaxes(-1, -2), a2, a), (a2.swapaxes(-1, -2) @ g, b2, b)))


@proven(reference=matmul_backward_reference, dtypes="float32 float16 bfloat16")
def matmul_backward(g, a, b, version=None):
    """The gradients of a @ b: (g b^T, a^T g), summed over the axes along which a or b was broadcast."""
    rows, columns = a[None] if a.ndim == 1 else a, b[:, None] if b.ndim == 1 else b
    batch = np.broadcast_shapes(rows.shape[:-2], columns.shape[:-2])
    (M, K), N = rows.shape[-2:], columns.shape[-1]
    g = g.reshape(*batch, M, N)
    da = summed(matmul(g, columns.swapaxes(-1, -2), version=version), rows.shape)
    if columns.size == K * N and rows.shape[:-2] == batch:              # one b for all: the sum over the batch is one over more rows
        total = math.prod(batch) * M
        db = matmul(rows.reshape(total, K).swapaxes(-1, -2), g.reshape(total, N), version=version)
    else:
        db = summed(matmul(rows.swapaxes(-1, -2), g, version=version), columns.shape)
    return da.reshape(a.shape), db.reshape(b.shape)


def summed(x, shape):
    """x summed, in float32 at least, over the axes that broadcasting made from `shape`."""
    extra = x.ndim - len(shape)
    axes = (*range(extra), *(extra + i for i, n in enumerate(shape) if n == 1 and x.shape[extra + i] != 1))
    if not axes:
        return x
    return x.sum(axes, dtype=np.float32 if x.dtype.itemsize < 4 else x.dtype).astype(x.dtype).reshape(shape)


def derivative(g, y, a, b, bias=None, activation=None, version=None):
    db = ()
    if activation or bias is not None:
        g, *db = bias_activation_backward(g, matmul(a, b, version=version), bias, activation or "identity")
    return *matmul_backward(g, a, b, version), *db


# ---- proof -------------------------------------------------------------------------------------------------------

class transposed(normal):
    """Standard normal; in memory the last two axes are swapped."""
    def draw(self, rng):
        return rng.normal(size=(*self.shape[:-2], self.shape[-1], self.shape[-2])).swapaxes(-1, -2)


class heads(normal):
    """Standard normal (B, H, S, D); in memory (B, S, H, D)."""
    def draw(self, rng):
        B, H, S, D = self.shape
        return rng.normal(size=(B, S, H, D)).swapaxes(1, 2)


matmul.vjp(derivative)
for case in (
    (normal(5, 7), normal(7, 3), normal(3)), (normal(1, 1), normal(1, 1)), (transposed(4, 3), transposed(3, 5)),
    (normal(4), normal(4)), (normal(4), normal(4, 3)), (normal(2, 3, 4), normal(4)), (normal(4), normal(2, 4, 3)),
    (normal(2, 3, 4), normal(4, 5)), (normal(2, 3), normal(2, 3, 2)), (normal(2, 1, 2, 2), normal(3, 2, 2)),
    (heads(2, 2, 3, 2), transposed(2, 2, 2, 2)), (normal(2, 1, 2, 2, 1), normal(3, 1, 1, 2)), (normal(0, 4), normal(4, 3)),
    (normal(3, 0), normal(0, 4), normal(4)), (normal(2, 0, 3, 4), normal(4, 3)), (transposed(2, 4, 3), normal(1, 3, 2)),
):
    matmul.case(*case)
    if len(case) == 2:
        matmul_backward.case(normal(*np.matmul(*(np.empty(x.shape) for x in case)).shape), *case)
matmul.case(normal(3, 4), normal(4, 5), normal(5), "gelu")


def prove_as(name, f, dtypes, tolerance=None):
    """A function of matmul's arguments under a name of its own, with the dtypes that it computes in."""
    def named(a, b, bias=None, activation=None):
        return f(a, b, bias, activation)
    named.__name__ = f"matmul_{name}"
    return proven(matmul_reference, dtypes, tolerance)(named)


def step(name, version, dtypes, tolerance=None, **options):
    """One version, with options of its launch."""
    def f(a, b, bias, activation):
        p, shape = product(a, b)
        c = xp(a).empty(shape, a.dtype)
        run(p, version, bias, activation, c, **options)
        return c
    return prove_as(name, f, dtypes, tolerance)


for version in PLAIN:
    plain = step(version, version, "float32")
    plain.vjp(functools.partial(derivative, version=None))
    plain.case(normal(4, 8), normal(8, 4), normal(4))
    plain.case(transposed(4, 4), transposed(4, 4))
    tails = step(f"{version}_tails", version, "float32")         # sizes off the tiles and their depths, by rows and by columns
    M, K, N = (132, 36, 68) if version in ("register", "warp") else (33, 35, 34)
    tails.case(normal(M, K), normal(K, N), normal(N))
    tails.case(transposed(K, N), transposed(N, M))
    tails.case(normal(2, 4, 4), transposed(2, 4, 4))
    if version != "warp":
        tails.case(transposed(65, 3), normal(3, 1))


def split(a, b, bias=None, activation=None):
    """matmul with k in two parts."""
    p, shape = product(a, b)
    c = xp(a).empty(shape, a.dtype)
    run_parts(p, 2, bias, activation, c)
    return c


splits = prove_as("split", split, "float32 float16 bfloat16")
splits.case(normal(5, 128), normal(128, 7), normal(7))
splits.case(normal(2, 3, 256), transposed(2, 256, 3))
epilogues = prove_as("epilogues", split, "float32")
for activation in ACTIVATIONS[1:]:
    epilogues.case(normal(3, 128), normal(128, 5), normal(5), activation)

for tile in (64, 128):
    tensor = step(f"sm80_{tile}", "sm80", "bfloat16", block=tile)
    tensor.case(normal(70, 40), normal(40, 136), normal(136))
    tensor.case(normal(2, 3, 5), normal(5, 7))
tensor.case(transposed(72, 136), transposed(136, 70))               # columns of A in vectors, of B not
tensor.case(transposed(2, 8, 16), normal(2, 16, 8))
tensor.case(normal(8, 16), transposed(2, 16, 8))
tf32 = step("tf32", "sm80", "float32", {"float32": 2e-3})          # two factors of 10 bits
tf32.case(normal(70, 40), normal(40, 136))
tf32.case(transposed(72, 136), transposed(136, 70))

for columns, cluster, dtype in ((128, 1, "float16"), (256, 2, "bfloat16")):      # one cluster for all: the ring comes around
    hopper_step = step(f"sm90_{columns}", "sm90", dtype, columns=columns, cluster=cluster, limit=cluster)
    hopper_step.case(normal(136, 72), normal(72, 200), normal(200))
    hopper_step.case(transposed(200, 72), transposed(72, 304))
hopper_step.case(transposed(2, 8, 16), normal(2, 16, 8))
hopper_step.case(heads(2, 3, 16, 8), transposed(3, 8, 16))
