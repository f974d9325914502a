"""What one writes in Triton for the same functions, plainly: baselines for benchmarks/gpu.py on PyTorch tensors.

Without a GPU: TRITON_INTERPRET=1.
"""
import torch
import triton
import triton.language as tl

CONFIGS = [triton.Config({"BM": m, "BN": n, "BK": k}, num_warps=w, num_stages=s)
           for m, n, k, w, s in ((128, 256, 64, 8, 3), (128, 128, 64, 8, 4), (128, 128, 32, 4, 4), (64, 128, 64, 4, 4), (64, 64, 32, 4, 4))]
BAND = 8                                             # rows of tiles that are done together, so that operands stay in the L2 cache


@triton.jit
def softmax_kernel(x, y, columns, SIZE: tl.constexpr):
    row, at = tl.program_id(0).to(tl.int64), tl.arange(0, SIZE)
    v = tl.load(x + row * columns + at, mask=at < columns, other=float("-inf")).to(tl.float32)
    e = tl.exp(v - tl.max(v, 0))
    tl.store(y + row * columns + at, (e / tl.sum(e, 0)).to(y.dtype.element_ty), mask=at < columns)


def softmax(x):
    """Along the last axis of (rows, columns), a program a row."""
    y = torch.empty_like(x)
    size = triton.next_power_of_2(x.shape[1])
    softmax_kernel[(x.shape[0],)](x, y, x.shape[1], SIZE=size, num_warps=min(16, max(4, size // 512)))
    return y


@triton.jit
def layer_norm_kernel(x, w, b, y, columns, eps, SIZE: tl.constexpr):
    row, at = tl.program_id(0).to(tl.int64), tl.arange(0, SIZE)
    inside = at < columns
    v = tl.load(x + row * columns + at, mask=inside, other=0.0).to(tl.float32)
    d = tl.where(inside, v - tl.sum(v, 0) / columns, 0.0)
    rstd = tl.rsqrt(tl.sum(d * d, 0) / columns + eps)
    weight = tl.load(w + at, mask=inside, other=0.0).to(tl.float32)
    bias = tl.load(b + at, mask=inside, other=0.0).to(tl.float32)
    tl.store(y + row * columns + at, (d * rstd * weight + bias).to(y.dtype.element_ty), mask=inside)


def layer_norm(x, w, b, eps=1e-5):
    """Over the last axis of (rows, columns), a program a row."""
    y = torch.empty_like(x)
    size = triton.next_power_of_2(x.shape[1])
    layer_norm_kernel[(x.shape[0],)](x, w, b, y, x.shape[1], eps, SIZE=size, num_warps=min(16, max(4, size // 512)))
    return y


@triton.jit
def matmul_kernel(a, b, c, M, N, K, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr, BAND: tl.constexpr):
    index, down, right = tl.program_id(0), tl.cdiv(M, BM), tl.cdiv(N, BN)
    top = index // (BAND * right) * BAND
    height = min(BAND, down - top)
    within = index - top * right
    i = (top + within % height) * BM + tl.arange(0, BM)
    j = within // height * BN + tl.arange(0, BN)
    k = tl.arange(0, BK)
    total = tl.zeros((BM, BN), tl.float32)
    for k0 in range(0, K, BK):
        left = tl.load(a + i[:, None] * K + (k0 + k)[None, :], mask=(i[:, None] < M) & ((k0 + k)[None, :] < K), other=0.0)
        below = tl.load(b + (k0 + k)[:, None] * N + j[None, :], mask=((k0 + k)[:, None] < K) & (j[None, :] < N), other=0.0)
        total = tl.dot(left, below, total)
    tl.store(c + i[:, None] * N + j[None, :], total.to(c.dtype.element_ty), mask=(i[:, None] < M) & (j[None, :] < N))


fastest = triton.autotune(CONFIGS, key=["M", "N", "K"])(matmul_kernel)


def matmul(a, b):
    """(M, K) @ (K, N), contiguous, on tensor cores; the fastest of some tiles."""
    (M, K), N = a.shape, b.shape[1]
    c = torch.empty((M, N), dtype=a.dtype, device=a.device)
    fastest[lambda meta: (triton.cdiv(M, meta["BM"]) * triton.cdiv(N, meta["BN"]),)](a, b, c, M, N, K, BAND=BAND)
    return c
