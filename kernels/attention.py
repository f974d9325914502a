"""softmax(scale q k^T + mask) v on the kernels of attention.cu (float), attention_sm80.cu and attention_sm90.cu (tensor cores).

Scores never reach memory: a block keeps its rows' largest score and sum, and the forward writes the logarithm of each row's sum
(`lse`), from which the backward makes the probabilities again.  Heads of q share those of k and v in equal groups.
"""
import math

import numpy as np

from ..backend import xp
from ..cases import booleans, normal
from .attention_reference import forward_reference, gradients_reference, threshold
from .kernel import library
from .proof import proven, scalar
from .signature import address, dense
from .tensor_map import TensorMap

CALL = np.dtype([(name, "i8", (3,)) for name in "qkvog"] + [("mask", "i8", (4,)), ("seed", "u8")]
                + [(name, "i4") for name in ("heads", "key_heads", "queries", "keys", "size", "causal")]
                + [("threshold", "u4"), ("unused", "i4")])          # struct Call of attention.cuh
VERSIONS = "teaching", "sm80", "sm90"


# ---- what fits -----------------------------------------------------------------------------------------------

def check(q, k, v, mask, dropout):
    """ValueError or TypeError in the user's words for what is not attention."""
    shapes = f"attention of q {tuple(q.shape)}, k {tuple(k.shape)}, v {tuple(v.shape)}"
    if not q.ndim == k.ndim == v.ndim == 4:
        raise ValueError(f"{shapes}: each must be (batch, heads, length, size)")
    if k.shape != v.shape:
        raise ValueError(f"{shapes}: k and v must have one shape")
    if q.shape[0] != k.shape[0] or q.shape[3] != k.shape[3]:
        raise ValueError(f"{shapes}: batches and sizes of a head must be the same")
    if not 1 <= q.shape[3] <= 128:
        raise ValueError(f"{shapes}: the size of a head must be 1 to 128")
    if k.shape[1] == 0 or q.shape[1] % k.shape[1]:
        raise ValueError(f"{shapes}: heads of k and v must divide those of q")
    if not q.dtype == k.dtype == v.dtype:
        raise TypeError(f"attention: q, k and v must have one dtype, not {q.dtype.name}, {k.dtype.name}, {v.dtype.name}")
    scalar(q)
    if mask is not None:
        full = (*q.shape[:3], k.shape[2])
        if mask.ndim > 4 or any(n not in (1, size) for n, size in zip(mask.shape[::-1], full[::-1])):
            raise ValueError(f"{shapes}: a mask of shape {tuple(mask.shape)} does not broadcast to {full}")
        if mask.dtype not in (np.bool_, np.float32, q.dtype):
            raise TypeError(f"attention: a mask must be of bool, float32 or {q.dtype.name}, not {mask.dtype.name}")
    if not 0 <= dropout < 1:
        raise ValueError(f"attention: dropout must be at least 0 and less than 1, not {dropout}")


def tensor_cores(q):
    """Whether the versions on tensor cores take arrays like q."""
    return q.dtype.itemsize == 2 and q.shape[3] % 8 == 0


def choose(q, version):
    """The version that runs: the one asked for, or the best for these arrays on their device."""
    if version is None:
        return ("sm90" if on_hopper(q) else "sm80") if tensor_cores(q) else "teaching"
    if version not in VERSIONS:
        raise ValueError(f"attention: version must be one of {', '.join(VERSIONS)}, not {version!r}")
    if version != "teaching" and not tensor_cores(q):
        raise ValueError(f"attention: version {version} wants float16 or bfloat16 and a head's size that is a multiple of 8, "
                         f"not {q.dtype.name} and {q.shape[3]}")
    return version


def on_hopper(x):
    return not isinstance(x, np.ndarray) and str(x.device.compute_capability) == "90"


def laid(x, align=16):
    """x as the kernels can read it: rows in one piece, no gaps, aligned; a copy only where it must be."""
    plain = dense(x) is not None and (x.strides[-1] == x.dtype.itemsize or x.shape[-1] == 1) and address(x) % align == 0
    return x if plain else x.copy(order="C")


def mask_for(mask, q):
    """The mask without axes that are only repeated, in 4 axes."""
    if mask is None:
        return None
    mask = mask.reshape((1,) * (4 - mask.ndim) + mask.shape)
    mask = mask[tuple(slice(0, 1) if s == 0 else slice(None) for s in mask.strides)]
    if q.dtype == np.float64 and mask.dtype == np.float32:
        mask = mask.astype(np.float64)
    return mask if dense(mask) is not None else mask.copy(order="C")


def strides(x, axes):
    return tuple(0 if n == 1 else s // x.dtype.itemsize for n, s in zip(x.shape[:axes], x.strides[:axes]))


def describe(q, k, v, mask, causal, dropout, seed, o, g=None):
    """The struct that every kernel gets: sizes, strides, options."""
    call = np.zeros((), CALL)
    for name, x in (("q", q), ("k", k), ("v", v), ("o", o), ("g", g)):
        if x is not None:
            call[name] = strides(x, 3)
    if mask is not None:
        call["mask"] = strides(mask, 4)
    call["heads"], call["key_heads"], call["queries"], call["keys"] = q.shape[1], k.shape[1], q.shape[2], k.shape[2]
    call["size"], call["causal"] = q.shape[3], bool(causal)
    call["threshold"], call["seed"] = threshold(dropout), int(seed) & (2**64 - 1)
    return call[()]


def room(size):
    """What a head's numbers are padded to within a tile."""
    return -(-size // 32) * 32


def macros(q, mask, dropout):
    define = {"scalar": scalar(q), "HEAD": room(q.shape[3])}
    if mask is not None:
        define["mask_t"] = "bool" if mask.dtype == np.bool_ else scalar(mask)
    if dropout:
        define["DROPOUT"] = 1
    return define


def mappable(x):
    """x with the strides of a TMA map where an axis has one entry and any stride would do."""
    lead = [math.prod(x.shape[i + 1:]) * x.dtype.itemsize if n == 1 and (s <= 0 or s % 16) else s
            for i, (n, s) in enumerate(zip(x.shape, x.strides))]
    return x if lead == list(x.strides) else xp(x).lib.stride_tricks.as_strided(x, x.shape, lead)


def ceil(a, b):
    return -(-a // b)


# ---- launching -----------------------------------------------------------------------------------------------

def attention_forward(q, k, v, mask=None, causal=False, scale=None, dropout=0.0, seed=0, version=None):
    """(o, lse): o as `attention`; lse (B, H, Sq), the logarithm of the sum of each row's e^score, -inf where nothing is seen."""
    check(q, k, v, mask, dropout)
    version = choose(q, version)
    q, k, v, mask = laid(q), laid(k), laid(v), mask_for(mask, q)
    o = xp(q).empty_like(q)
    lse = xp(q).empty(q.shape[:3], "f8" if q.dtype == np.float64 else "f4")
    if not q.size or not k.size:
        o[...] = 0
        lse[...] = -math.inf
        return o, lse
    call = describe(q, k, v, mask, causal, dropout, seed, o)
    scale = 1 / math.sqrt(q.shape[3]) if scale is None else scale
    FORWARD[version](q, k, v, mask, o, lse, call, scale, dropout)
    return o, lse


def attention_backward(g, q, k, v, o, lse, mask=None, causal=False, scale=None, dropout=0.0, seed=0, version=None):
    """(dq, dk, dv) from g, the gradient of o, and what attention_forward gave; the mask gets no gradient."""
    check(q, k, v, mask, dropout)
    if g.shape != q.shape or o.shape != q.shape or g.dtype != q.dtype or o.dtype != q.dtype:
        raise ValueError(f"attention_backward: g and o must be like q, {tuple(q.shape)} of {q.dtype.name}, "
                         f"not {tuple(g.shape)} of {g.dtype.name} and {tuple(o.shape)} of {o.dtype.name}")
    version = choose(q, version)
    g, q, k, v, o, lse = (laid(x) for x in (g, q, k, v, o, lse))
    mask = mask_for(mask, q)
    dq, dk, dv = xp(q).empty_like(q), xp(q).empty_like(k), xp(q).empty_like(v)
    if not q.size or not k.size:
        for d in (dq, dk, dv):
            d[...] = 0
        return dq, dk, dv
    call = describe(q, k, v, mask, causal, dropout, seed, o, g)
    scale = 1 / math.sqrt(q.shape[3]) if scale is None else scale
    BACKWARD[version](g, q, k, v, mask, o, lse, (dq, dk, dv), call, scale, dropout)
    return dq, dk, dv


def forward_teaching(q, k, v, mask, o, lse, call, scale, dropout):
    define = macros(q, mask, dropout)
    floats = 2 * 64 * (define["HEAD"] + 4) + 64 * (64 + 4)
    blocks = ceil(q.shape[2], 64) * q.shape[0] * q.shape[1]
    library("attention.cu", "attention_forward", define)(
        blocks, 256, (q, k, v, mask, o, lse, call, scale, 1 / (1 - dropout)), shared_mem=floats * lse.dtype.itemsize)


def backward_teaching(g, q, k, v, mask, o, lse, gradients, call, scale, dropout):
    define, (dq, dk, dv) = macros(q, mask, dropout), gradients
    B, H, Sq, _ = q.shape
    tile = 32 if define["HEAD"] > 64 else 64
    shared = (4 * tile * (define["HEAD"] + 4) + tile * (tile + 4)) * lse.dtype.itemsize
    delta = xp(lse).empty_like(lse)
    library("attention.cu", "attention_delta", define)(ceil(delta.size, 8), 256, (g, o, delta, call, delta.size))
    inputs, numbers = (g, q, k, v, mask, lse, delta), (call, scale, 1 / (1 - dropout))
    library("attention.cu", "attention_backward_keys", define)(
        ceil(k.shape[2], tile) * B * k.shape[1], 256, (*inputs, dk, dv, *numbers), shared_mem=shared)
    library("attention.cu", "attention_backward_queries", define)(
        ceil(Sq, tile) * B * H, 256, (*inputs, dq, *numbers), shared_mem=shared)


def scaled(define, scale):
    """The macros with what a scale that is not above 0 needs."""
    return define if scale > 0 or "mask_t" in define else {**define, "SCALE_FIRST": 1}


def queries_sm80(define):
    """Queries per block of the versions on mma.sync: masks and dropout take registers."""
    return 64 if "mask_t" in define or "DROPOUT" in define else 128


def shared_memory(x):
    """Bytes of shared memory that a block may have where x is; in the simulator as on Hopper."""
    return 227 * 1024 if isinstance(x, np.ndarray) else x.device.attributes["MaxSharedMemoryPerBlockOptin"]


def forward_sm80(q, k, v, mask, o, lse, call, scale, dropout):
    define = macros(q, mask, dropout)
    rows = queries_sm80(define)
    step = 32 if rows * define["HEAD"] > 64 * 128 else 64
    blocks = ceil(q.shape[2], rows) * q.shape[0] * q.shape[1]
    library("attention_sm80.cu", "attention_forward_sm80", scaled(define, scale))(
        blocks, 128, (q, k, v, mask, o, lse, call, scale, 1 / (1 - dropout)), shared_mem=(rows + 4 * step) * (define["HEAD"] + 8) * 2)


def backward_sm80(g, q, k, v, mask, o, lse, gradients, call, scale, dropout):
    define, (dq, dk, dv) = macros(q, mask, dropout), gradients
    B, H, Sq, _ = q.shape
    rows = queries_sm80(define)
    head, row = define["HEAD"], (define["HEAD"] + 8) * 2
    step = 16 if mask is not None and head > 96 else 32 if head > 32 else 64
    delta = xp(lse).empty_like(lse)
    library("attention_sm80.cu", "attention_delta_sm80", define)(ceil(delta.size, 8), 256, (g, o, delta, call, delta.size))
    inputs, numbers = (g, q, k, v, mask, lse, delta), (call, scale, 1 / (1 - dropout))
    library("attention_sm80.cu", "attention_backward_keys_sm80", define)(
        ceil(k.shape[2], 64) * B * k.shape[1], 128, (*inputs, dk, dv, *numbers), shared_mem=(2 * 64 + 4 * step) * row + 4 * step * 4)
    if (2 * rows + 4 * step) * row > shared_memory(q):
        rows, define = 64, {**define, "TALL": 1}
    library("attention_sm80.cu", "attention_backward_queries_sm80", define)(
        ceil(Sq, rows) * B * H, 128, (*inputs, dq, *numbers), shared_mem=(2 * rows + 4 * step) * row)


def forward_sm90(q, k, v, mask, o, lse, call, scale, dropout):
    define = {**macros(q, mask, dropout), "HEAD": 64 if q.shape[3] <= 64 else 128}
    row = 2 * define["HEAD"]
    blocks = ceil(q.shape[2], 128) * q.shape[0] * q.shape[1]
    maps = [TensorMap(mappable(x), (1, 1, rows, 64)) for x, rows in ((q, 128), (k, 128), (v, 128), (o, 64))]
    library("attention_sm90.cu", "attention_forward_sm90", scaled(define, scale), arch="sm_90a")(
        blocks, 384, (*maps[:3], mask, maps[3], lse, call, scale, 1 / (1 - dropout)), shared_mem=6 * 128 * row + 9 * 8)


FORWARD = {"teaching": forward_teaching, "sm80": forward_sm80, "sm90": forward_sm90}
BACKWARD = {"teaching": backward_teaching, "sm80": backward_sm80, "sm90": backward_sm80}


@proven(reference=lambda *args, **options: forward_reference(*args, **options)[0])
def attention(q, k, v, mask=None, causal=False, scale=None, dropout=0.0, seed=0, version=None):
    """softmax(scale q k^T + mask) v: (B, H, Sq, D), (B, Hk, Sk, D), (B, Hk, Sk, D) -> (B, H, Sq, D) (Vaswani et al. 2017).

    H is a multiple of Hk; D is at most 128; scale is 1 / sqrt(D) by default.  causal: position i sees keys up to i.
    mask: booleans, true where a key may be seen, or numbers to add to the scores, broadcast to (B, H, Sq, Sk).
    A position that sees nothing gets zeros.  dropout: the probability with which entries of the softmax are dropped, by `seed`.
    version: "teaching", "sm80" (any GPU's tensor cores) or "sm90" (Hopper's, forward only); None takes the best that applies.
    """
    return attention_forward(q, k, v, mask, causal, scale, dropout, seed, version)[0]


def derivative(g, y, q, k, v, mask=None, **options):
    _, lse = attention_forward(q, k, v, mask, **options)
    return attention_backward(g, q, k, v, y, lse, mask, **options)


attention.vjp(derivative)


# ---- proofs --------------------------------------------------------------------------------------------------

class blind(booleans):
    """Booleans whose first rows are all False: positions that see nothing."""
    def draw(self, rng):
        seen = super().draw(rng)
        seen[..., 0, :] = False
        return seen


class heads_last(normal):
    """Standard normal numbers of a shape (B, H, S, D) that lie in memory as (B, S, H, D)."""
    def draw(self, rng):
        B, H, S, D = self.shape
        return rng.normal(size=(B, S, H, D)).swapaxes(1, 2)


attention.case(normal(1, 2, 3, 2), normal(1, 1, 4, 2), normal(1, 1, 4, 2))
attention.case(normal(1, 1, 4, 2), normal(1, 1, 3, 2), normal(1, 1, 3, 2), causal=True, scale=-0.7)
attention.case(normal(1, 2, 2, 2), normal(1, 2, 3, 2), normal(1, 2, 3, 2), normal(2, 1, 3))
attention.case(normal(2, 1, 2, 3), normal(2, 1, 3, 3), normal(2, 1, 3, 3), blind(2, 1, 2, 3))
attention.case(normal(1, 2, 2, 2), normal(1, 1, 9, 2), normal(1, 1, 9, 2), dropout=0.3, seed=3)


def attention_reference(g, q, k, v, mask=None, **options):
    return *forward_reference(q, k, v, mask, **options), *gradients_reference(g, q, k, v, mask, **options)


def forward_and_backward(g, q, k, v, mask, **options):
    o, lse = attention_forward(q, k, v, mask, **options)
    return o, lse, *attention_backward(g, q, k, v, o, lse, mask, **options)


@proven(reference=attention_reference)
def attention_and_gradients(g, q, k, v, mask=None, **options):
    """(o, lse, dq, dk, dv) by the version for float."""
    return forward_and_backward(g, q, k, v, mask, version="teaching", **options)


@proven(reference=attention_reference, dtypes="bfloat16 float16")
def attention_and_gradients_sm80(g, q, k, v, mask=None, **options):
    """(o, lse, dq, dk, dv) by the version on mma.sync."""
    return forward_and_backward(g, q, k, v, mask, version="sm80", **options)


@proven(reference=forward_reference, dtypes="bfloat16 float16")
def attention_forward_sm90(q, k, v, mask=None, **options):
    """(o, lse) by the version for Hopper."""
    return attention_forward(q, k, v, mask, version="sm90", **options)


def case(f, q, k, mask=None, of=normal, **options):
    """A case of one of these: shapes of q and k, v; g like q where f takes it."""
    g = [of(*q)] if f is not attention_forward_sm90 else []
    f.case(*g, of(*q), of(*k), of(*k), *([] if mask is None else [mask]), **options)


case(attention_and_gradients, (1, 4, 37, 32), (1, 2, 53, 32))
case(attention_and_gradients, (2, 2, 9, 8), (2, 1, 11, 8), of=heads_last)
case(attention_and_gradients, (1, 2, 70, 40), (1, 2, 131, 40), causal=True)
case(attention_and_gradients, (1, 1, 131, 64), (1, 1, 70, 64), causal=True)
case(attention_and_gradients, (1, 1, 35, 128), (1, 1, 67, 128))
case(attention_and_gradients, (2, 2, 37, 24), (2, 1, 53, 24), normal(37, 53), scale=0.3)
case(attention_and_gradients, (2, 2, 37, 24), (2, 1, 53, 24), normal(2, 2, 1, 53))
case(attention_and_gradients, (2, 2, 37, 24), (2, 1, 53, 24), blind(2, 1, 37, 53), causal=True)
case(attention_and_gradients, (1, 4, 37, 32), (1, 1, 70, 32), causal=True, dropout=0.3, seed=2**40 + 7)
case(attention_and_gradients, (1, 1, 1, 1), (1, 1, 1, 1))
case(attention_and_gradients, (0, 2, 3, 4), (0, 2, 3, 4))
case(attention_and_gradients, (1, 2, 3, 4), (1, 2, 0, 4))

case(attention_and_gradients_sm80, (1, 4, 37, 64), (1, 2, 53, 64))
case(attention_and_gradients_sm80, (2, 2, 9, 40), (2, 1, 11, 40), of=heads_last)
case(attention_and_gradients_sm80, (1, 1, 131, 80), (1, 1, 200, 80))
case(attention_and_gradients_sm80, (1, 2, 70, 128), (1, 1, 131, 128), causal=True)
case(attention_and_gradients_sm80, (1, 4, 37, 24), (1, 1, 53, 24), blind(1, 1, 37, 53), dropout=0.3, seed=11)
case(attention_and_gradients_sm80, (2, 2, 37, 120), (2, 1, 53, 120), normal(2, 2, 1, 53), scale=-0.2)

case(attention_forward_sm90, (1, 2, 37, 64), (1, 1, 530, 64))
case(attention_forward_sm90, (2, 2, 9, 40), (2, 1, 11, 40), of=heads_last, scale=-0.2)
case(attention_forward_sm90, (1, 2, 200, 128), (1, 1, 300, 128), causal=True)
case(attention_forward_sm90, (1, 4, 37, 24), (1, 1, 53, 24), blind(1, 1, 37, 53), dropout=0.3, seed=11)
