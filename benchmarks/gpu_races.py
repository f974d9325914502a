"""The races of benchmarks/gpu.py: every kernel, its steps, and who else computes the same.

Each function makes the Race of some sizes; those of products and attention are here, the others in gpu_races_rows.py.  RACES lists them with
the sizes for a GPU and those of a dry run on the host, in the order of what is worth knowing first: where time runs out, the last ones
are left out.  What is right is computed in float64 from the inputs as they are: rounded to the race's number type, and no further.
"""
from gpu_bench import OURS, Race, ladder, leaves
from gpu_races_rows import (adam, batch_norm, bias_gelu, bias_gelu_backward, cross_entropy, dropout, embedding, lstm_cell, norm, pool, softmax,
                            softmax_backward)

from minitorch import kernels

# ---- products --------------------------------------------------------------------------------------------------------------

def matmul(bench, size, dtype="bfloat16", versions=()):
    """cuBLAS, through PyTorch."""
    a, b = bench.normal(size, size, dtype=dtype), bench.normal(size, size, dtype=dtype)
    ca, cb = bench.ours(a), bench.ours(b)
    calls = {OURS: lambda: kernels.matmul(ca, cb), "cuBLAS": lambda: a @ b, **ladder(kernels.matmul, ca, cb, versions=versions)}
    if dtype == "bfloat16":
        calls |= {who: lambda f=f: f(a, b) for who, f in bench.triton("matmul").items()}

    def right(places):
        i = places(size)
        return [(i, a[i].double() @ b.double())]
    return Race(f"matmul {size}", dtype, calls, right, [(size, size)], lambda: bench.redraw(a, b), flops=2 * size**3,
                bytes=3 * size**2 * a.element_size(), precision={f"{OURS}: sm80": "tf32"} if dtype == "float32" else {})


def matmul_bias_gelu(bench, size):
    """A product whose bias and GELU are applied before it is stored."""
    F = bench.torch.nn.functional
    a, b, bias = bench.normal(size, size), bench.normal(size, size) / size**0.5, bench.normal(size)
    ca, cb, cbias = map(bench.ours, (a, b, bias))

    def eager():
        return F.gelu(F.linear(a, b.t(), bias))

    def right(places):
        i = places(size)
        return [(i, F.gelu(a[i].double() @ b.double() + bias.double()))]
    fast = bench.compiled(lambda a, b, bias: F.gelu(F.linear(a, b.t(), bias)))
    return Race(f"matmul, bias and GELU {size}", "bfloat16", {OURS: lambda: kernels.matmul(ca, cb, cbias, "gelu"), "eager": eager,
                                                              "compiled": lambda: fast(a, b, bias)},
                right, [(size, size)], lambda: bench.redraw(a, bias), flops=2 * size**3, bytes=3 * a.nbytes)


def conv2d(bench, N, C, M, size, kernel, what="forward", dtype="bfloat16"):
    """cuDNN, its algorithms tried beforehand, with the same layout and with channels last."""
    torch, F, pad = bench.torch, bench.torch.nn.functional, kernel // 2
    x, w = bench.normal(N, C, size, size, dtype=dtype), bench.normal(M, C, kernel, kernel, dtype=dtype) / (C * kernel**2) ** 0.5
    g = bench.normal(N, M, size, size, dtype=dtype)
    cx, cw, cg = map(bench.ours, (x, w, g))
    last = [t.contiguous(memory_format=torch.channels_last) for t in (x, w, g)]
    grad = torch.nn.grad
    calls = {
        "forward": (lambda: kernels.conv2d(cx, cw, padding=pad), lambda x, w, g: F.conv2d(x, w, padding=pad)),
        "input gradient": (lambda: kernels.conv2d_input_gradient(cg, cw, x.shape, padding=pad),
                           lambda x, w, g: grad.conv2d_input((len(g), *x.shape[1:]), w, g, padding=pad)),
        "weight gradient": (lambda: kernels.conv2d_weight_gradient(cg, cx, w.shape, padding=pad),
                            lambda x, w, g: grad.conv2d_weight(x, (g.shape[1], *w.shape[1:]), g, padding=pad)),
    }
    ours, theirs = calls[what]

    def right(places):                               # some images, or of the weights' gradient some channels
        if what == "weight gradient":
            m = places(M, 4)
            return [(m, theirs(x.double(), w.double(), g[:, m].double()))]
        n = places(N, 3)
        return [(n, theirs(x[n].double(), w.double(), g[n].double()))]

    def renew():
        bench.redraw(x, g)
        last[0].copy_(x)
        last[2].copy_(g)
    shape = {"forward": g.shape, "input gradient": x.shape, "weight gradient": w.shape}[what]
    return Race(f"conv2d {what} {N}x{C}x{size}x{size}, {M} of {kernel}x{kernel}", dtype,
                {OURS: ours, "cuDNN": lambda: theirs(x, w, g), "cuDNN, channels last": lambda: theirs(*last)},
                right, [shape], renew, flops=2 * N * M * C * size**2 * kernel**2, bytes=x.nbytes + w.nbytes + g.nbytes)


# ---- attention -----------------------------------------------------------------------------------------------------------------

def attention(bench, causal, N, H, L, D, backward=False, versions=()):
    """PyTorch's scaled_dot_product_attention, each backend pinned."""
    from torch.nn.attention import SDPBackend, sdpa_kernel
    torch, F = bench.torch, bench.torch.nn.functional
    q, k, v, g = (bench.normal(N, H, L, D) for _ in range(4))
    cq, ck, cv, cg = map(bench.ours, (q, k, v, g))

    def attend(q, k, v):
        return F.scaled_dot_product_attention(q, k, v, is_causal=causal)

    def pinned(which, inputs):
        def f():
            with sdpa_kernel(which):
                return attend(*inputs)
        return f

    def head(n, h):                                  # leaves of one head in float64: its scores are L x L
        return leaves(*(t[n, h] for t in (q, k, v)), wide=True)

    def composed(q, k, v):
        scores = q @ k.T / D**0.5
        mask = torch.ones(L, L, dtype=torch.bool, device=q.device).triu(1)
        return torch.softmax(scores.masked_fill(mask, float("-inf")) if causal else scores, -1) @ v

    def chosen(places):
        heads = places(N * H)
        return divmod(int(heads[len(heads) // 2]), H)

    def right(places):
        n, h = chosen(places)
        return [((n, h), composed(*head(n, h)).detach())]

    def right_backward(places):
        n, h = chosen(places)
        inputs = head(n, h)
        return [((n, h), t) for t in torch.autograd.grad(composed(*inputs), inputs, g[n, h].double())]
    name, flops = f"attention {'causal' if causal else 'full'} {N}x{H}x{L}x{D}", 4 * N * H * L * L * D * (0.5 if causal else 1)
    backends = {"flash": SDPBackend.FLASH_ATTENTION, "cuDNN": SDPBackend.CUDNN_ATTENTION, "efficient": SDPBackend.EFFICIENT_ATTENTION}
    if not backward:
        calls = {OURS: lambda: kernels.attention_forward(cq, ck, cv, causal=causal)[0], **{who: pinned(b, (q, k, v)) for who, b in backends.items()}}
        calls |= {f"{OURS}: {n}": lambda n=n: kernels.attention_forward(cq, ck, cv, causal=causal, version=n)[0] for n in versions}
        return Race(f"{name} forward", "bfloat16", calls, right, [q.shape], lambda: bench.redraw(q, k, v), flops=flops, bytes=4 * q.nbytes)
    y, lse = kernels.attention_forward(cq, ck, cv, causal=causal)
    calls = {OURS: lambda: kernels.attention_backward(cg, cq, ck, cv, y, lse, causal=causal)}
    for who, backend in backends.items():
        calls[who] = gradient_of(torch, pinned(backend, inputs := leaves(q, k, v)), inputs, g)
    return Race(f"{name} backward", "bfloat16", calls, right_backward, [q.shape] * 3, lambda: bench.redraw(g), flops=2.5 * flops,
                bytes=8 * q.nbytes, tolerance=5e-2)


def gradient_of(torch, forward, inputs, g):
    """A call that gives gradients; the forward pass is made once, when it is first called."""
    kept = []

    def f():
        if not kept:
            kept.append(forward())
        return torch.autograd.grad(kept[0], inputs, g, retain_graph=True)
    return f


# ---- all of them ---------------------------------------------------------------------------------------------------------------

PLAIN = ("naive", "coalesced", "tiled", "register", "warp")
MiB = 1 << 20
RACES = [                                            # (race, sizes on a GPU, sizes of a dry run)
    (matmul, dict(size=4096, versions=("sm80", "sm90")), dict(size=32, versions=("sm80", "sm90"))),
    (matmul, dict(size=8192), dict(size=40)),
    (matmul, dict(size=2048, dtype="float32", versions=(*PLAIN, "sm80")), dict(size=36, dtype="float32", versions=(*PLAIN, "sm80"))),
    *((attention, dict(causal=c, N=4, H=16, L=4096, D=128, versions=("sm80", "sm90")), dict(causal=c, N=1, H=1, L=40, D=64, versions=("sm80",)))
      for c in (True, False)),
    *((attention, dict(causal=c, N=4, H=16, L=4096, D=128, backward=True), dict(causal=c, N=1, H=1, L=40, D=64, backward=True))
      for c in (True, False)),
    (norm, dict(rows=16384, columns=4096), dict(rows=4, columns=64)),
    (norm, dict(rows=16384, columns=4096, backward=True), dict(rows=4, columns=64, backward=True)),
    (softmax, dict(rows=16384, columns=4096), dict(rows=4, columns=64)),
    (softmax_backward, dict(rows=16384, columns=4096), dict(rows=4, columns=64)),
    (cross_entropy, dict(rows=8192, classes=50304), dict(rows=4, classes=40)),
    (adam, dict(tensors=64, size=2 * MiB), dict(tensors=2, size=100)),
    (conv2d, dict(N=64, C=256, M=256, size=28, kernel=3), dict(N=1, C=8, M=8, size=6, kernel=3)),
    (conv2d, dict(N=64, C=256, M=256, size=28, kernel=3, what="input gradient"), dict(N=1, C=8, M=8, size=6, kernel=3, what="input gradient")),
    (conv2d, dict(N=64, C=256, M=256, size=28, kernel=3, what="weight gradient"), dict(N=1, C=8, M=8, size=6, kernel=3, what="weight gradient")),
    (conv2d, dict(N=64, C=128, M=128, size=28, kernel=3, dtype="float32"), dict(N=1, C=4, M=4, size=6, kernel=3, dtype="float32")),
    (norm, dict(rows=16384, columns=4096, kind="RMS"), dict(rows=4, columns=64, kind="RMS")),
    (norm, dict(rows=16384, columns=4096, kind="RMS", backward=True), dict(rows=4, columns=64, kind="RMS", backward=True)),
    (softmax, dict(rows=16384, columns=4096, log=True), dict(rows=4, columns=64, log=True)),
    (bias_gelu, dict(rows=16384, columns=4096), dict(rows=4, columns=64)),
    (bias_gelu_backward, dict(rows=16384, columns=4096), dict(rows=4, columns=64)),
    (matmul_bias_gelu, dict(size=4096), dict(size=32)),
    *((embedding, dict(rows=50304, columns=1024, tokens=32768, backward=b), dict(rows=10, columns=16, tokens=20, backward=b)) for b in (False, True)),
    *((batch_norm, dict(N=128, C=256, size=28, backward=b), dict(N=2, C=4, size=4, backward=b)) for b in (False, True)),
    *((pool, dict(N=64, C=64, size=112, kind=k, backward=b), dict(N=1, C=2, size=8, kind=k, backward=b))
      for k in ("max", "avg") for b in (False, True)),
    (lstm_cell, dict(batch=4096, hidden=1024), dict(batch=2, hidden=8)),
    (dropout, dict(size=64 * MiB), dict(size=500)),
    (matmul, dict(size=1024), dict(size=24)),
]
