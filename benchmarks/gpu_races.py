"""The races of benchmarks/gpu.py: every kernel, its steps, and who else computes the same.

Each function makes the Race of some sizes.  RACES lists them with the sizes for a GPU and those of a dry run on the host, in the order of
what is worth knowing first: where time runs out, the last ones are left out.
"""
import numpy as np
from gpu_bench import OURS, Race

from minitorch import kernels


def ladder(f, *arrays, versions, **params):
    """{"ours: VERSION": call} for steps of a kernel."""
    return {f"{OURS}: {v}": lambda v=v: f(*arrays, version=v, **params) for v in versions}


def grads(torch, out, inputs, g):
    """A call that gives the gradients of `out` again and again."""
    return lambda: torch.autograd.grad(out, inputs, g, retain_graph=True)


def leaves(*tensors, wide=False):
    return [(t.float() if wide else t).detach().clone().requires_grad_() for t in tensors]


# ---- products --------------------------------------------------------------------------------------------------------------

def matmul(bench, size, dtype="bfloat16", versions=()):
    """cuBLAS, through PyTorch."""
    a, b = bench.normal(size, size, dtype=dtype), bench.normal(size, size, dtype=dtype)
    ca, cb = bench.ours(a), bench.ours(b)
    calls = {OURS: lambda: kernels.matmul(ca, cb), "cuBLAS": lambda: a @ b, **ladder(kernels.matmul, ca, cb, versions=versions)}
    if dtype == "bfloat16":
        calls |= {who: lambda f=f: f(a, b) for who, f in bench.triton("matmul").items()}
    return Race(f"matmul {size}", dtype, calls, lambda: a.float() @ b.float(), flops=2 * size**3, bytes=3 * size**2 * a.element_size(),
                precision={f"{OURS}: sm80": "tf32"} if dtype == "float32" else {})


def matmul_bias_gelu(bench, size):
    """A product whose bias and GELU are applied before it is stored."""
    F = bench.torch.nn.functional
    a, b, bias = bench.normal(size, size), bench.normal(size, size) / size**0.5, bench.normal(size)
    ca, cb, cbias = map(bench.ours, (a, b, bias))

    def eager():
        return F.gelu(F.linear(a, b.t(), bias))
    fast = bench.compiled(lambda a, b, bias: F.gelu(F.linear(a, b.t(), bias)))
    return Race(f"matmul, bias and GELU {size}", "bfloat16", {OURS: lambda: kernels.matmul(ca, cb, cbias, "gelu"), "eager": eager,
                                                              "compiled": lambda: fast(a, b, bias)},
                lambda: F.gelu(a.float() @ b.float() + bias.float()), flops=2 * size**3, bytes=3 * a.nbytes)


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
                           lambda x, w, g: grad.conv2d_input(x.shape, w, g, padding=pad)),
        "weight gradient": (lambda: kernels.conv2d_weight_gradient(cg, cx, w.shape, padding=pad),
                            lambda x, w, g: grad.conv2d_weight(x, w.shape, g, padding=pad)),
    }
    ours, theirs = calls[what]
    return Race(f"conv2d {what} {N}x{C}x{size}x{size}, {M} of {kernel}x{kernel}", dtype,
                {OURS: ours, "cuDNN": lambda: theirs(x, w, g), "cuDNN, channels last": lambda: theirs(*last)},
                lambda: theirs(x.float(), w.float(), g.float()), flops=2 * N * M * C * size**2 * kernel**2,
                bytes=x.nbytes + w.nbytes + g.nbytes)


# ---- attention -----------------------------------------------------------------------------------------------------------------

def attention(bench, causal, N, H, L, D, backward=False, versions=()):
    """PyTorch's scaled_dot_product_attention, each backend pinned."""
    from torch.nn.attention import SDPBackend, sdpa_kernel
    torch, F = bench.torch, bench.torch.nn.functional
    q, k, v, g = (bench.normal(N, H, L, D) for _ in range(4))
    cq, ck, cv, cg = map(bench.ours, (q, k, v, g))

    def attend(q, k, v):
        return F.scaled_dot_product_attention(q, k, v, is_causal=causal)

    def pinned(which, inputs, call=None):
        def f():
            with sdpa_kernel(which):
                return (call or attend)(*inputs)
        return f
    name, flops = f"attention {'causal' if causal else 'full'} {N}x{H}x{L}x{D}", 4 * N * H * L * L * D * (0.5 if causal else 1)
    backends = {"flash": SDPBackend.FLASH_ATTENTION, "cuDNN": SDPBackend.CUDNN_ATTENTION, "efficient": SDPBackend.EFFICIENT_ATTENTION}
    wide = leaves(q, k, v, wide=True)

    def right(*tensors):                             # a head at a time: all at once the scores would not fit
        if L * L * N * H <= 1 << 28:
            with sdpa_kernel(SDPBackend.MATH):
                return attend(*tensors)
        with sdpa_kernel(SDPBackend.EFFICIENT_ATTENTION):
            return attend(*tensors)
    if not backward:
        calls = {OURS: lambda: kernels.attention_forward(cq, ck, cv, causal=causal)[0], **{who: pinned(b, (q, k, v)) for who, b in backends.items()}}
        calls |= {f"{OURS}: {n}": lambda n=n: kernels.attention_forward(cq, ck, cv, causal=causal, version=n)[0] for n in versions}
        return Race(f"{name} forward", "bfloat16", calls, lambda: right(*wide).detach(), flops=flops, bytes=4 * q.nbytes)
    y, lse = kernels.attention_forward(cq, ck, cv, causal=causal)
    calls = {OURS: lambda: kernels.attention_backward(cg, cq, ck, cv, y, lse, causal=causal)}
    for who, backend in backends.items():
        calls[who] = gradient_of(torch, pinned(backend, inputs := leaves(q, k, v)), inputs, g)
    return Race(f"{name} backward", "bfloat16", calls, lambda: torch.autograd.grad(right(*wide), wide, g.float()), flops=2.5 * flops,
                bytes=8 * q.nbytes, tolerance=5e-2)


def gradient_of(torch, forward, inputs, g):
    """A call that gives gradients; the forward pass is made once, when it is first called."""
    kept = []

    def f():
        if not kept:
            kept.append(forward())
        return torch.autograd.grad(kept[0], inputs, g, retain_graph=True)
    return f


# ---- rows ------------------------------------------------------------------------------------------------------------------------

def softmax(bench, rows, columns, log=False):
    F = bench.torch.nn.functional
    f, ours = (F.log_softmax, kernels.log_softmax) if log else (F.softmax, kernels.softmax)
    x = bench.normal(rows, columns)
    cx, fast = bench.ours(x), bench.compiled(lambda x: f(x, -1))
    calls = {OURS: lambda: ours(cx), "eager": lambda: f(x, -1), "compiled": lambda: fast(x)}
    calls |= {} if log else {who: lambda f=t: f(x) for who, t in bench.triton("softmax").items()}
    return Race(f"{'log ' if log else ''}softmax {rows}x{columns}", "bfloat16", calls, lambda: f(x.float(), -1), bytes=2 * x.nbytes)


def softmax_backward(bench, rows, columns):
    torch, F = bench.torch, bench.torch.nn.functional
    x, g = bench.normal(rows, columns), bench.normal(rows, columns)
    (leaf,), (wide,) = leaves(x), leaves(x, wide=True)
    y = F.softmax(leaf, -1)
    cy, cg = bench.ours(y), bench.ours(g)
    fast = bench.compiled(lambda x: F.softmax(x, -1))(leaf)
    return Race(f"softmax backward {rows}x{columns}", "bfloat16", {
        OURS: lambda: kernels.softmax_backward(cg, cy), "eager": grads(torch, y, [leaf], g), "compiled": grads(torch, fast, [leaf], g)},
        lambda: torch.autograd.grad(F.softmax(wide, -1), wide, g.float()), bytes=3 * x.nbytes)


def norm(bench, rows, columns, kind="layer", backward=False):
    """Layer norm or RMS norm."""
    torch, F, layer = bench.torch, bench.torch.nn.functional, kind == "layer"
    given = [bench.normal(rows, columns), *(bench.normal(columns) for _ in range(2 if layer else 1))]
    carrays = list(map(bench.ours, given))

    def eager(x, w, b=None):
        return F.layer_norm(x, (columns,), w, b) if layer else F.rms_norm(x, (columns,), w, 1e-5)
    compiled, name = bench.compiled(eager), f"{kind} norm {'backward' if backward else 'forward'} {rows}x{columns}"
    ours = kernels.layer_norm if layer else kernels.rms_norm
    if not backward:
        calls = {OURS: lambda: ours(*carrays)[0], "eager": lambda: eager(*given), "compiled": lambda: compiled(*given)}
        calls |= {who: lambda f=f: f(*given) for who, f in bench.triton("layer_norm").items()} if layer else {}
        return Race(name, "bfloat16", calls, lambda: eager(*(t.float() for t in given)), bytes=2 * given[0].nbytes)
    g = bench.normal(rows, columns)
    cg, statistics = bench.ours(g), ours(*carrays)[1:]
    back = kernels.layer_norm_backward if layer else kernels.rms_norm_backward
    inputs, others, wide = leaves(*given), leaves(*given), leaves(*given, wide=True)
    return Race(name, "bfloat16", {
        OURS: lambda: back(cg, carrays[0], carrays[1], *statistics), "eager": grads(torch, eager(*inputs), inputs, g),
        "compiled": grads(torch, compiled(*others), others, g)}, lambda: torch.autograd.grad(eager(*wide), wide, g.float()),
        bytes=3 * given[0].nbytes, tolerance=5e-2)


def cross_entropy(bench, rows, classes):
    """The mean loss and its gradient by the scores."""
    torch, F = bench.torch, bench.torch.nn.functional
    x, t = bench.normal(rows, classes), bench.integers(classes, rows)
    cx, ct, g = bench.ours(x), bench.ours(t), bench.cupy.full(rows, 1 / rows, np.float32)
    (leaf,), (other,) = leaves(x), leaves(x)
    fast = bench.compiled(F.cross_entropy)

    def right():
        wide = x.float().requires_grad_()
        return torch.autograd.grad(F.cross_entropy(wide, t), wide)
    return Race(f"cross entropy and gradient {rows}x{classes}", "bfloat16", {
        OURS: lambda: kernels.cross_entropy(cx, ct, g=g)[1], "eager": lambda: torch.autograd.grad(F.cross_entropy(leaf, t), leaf),
        "compiled": lambda: torch.autograd.grad(fast(other, t), other)}, right, bytes=2 * x.nbytes)


# ---- elementwise, tables, windows, cells ------------------------------------------------------------------------------------------

def bias_gelu(bench, rows, columns):
    F = bench.torch.nn.functional
    x, b = bench.normal(rows, columns), bench.normal(columns)
    cx, cb, fast = bench.ours(x), bench.ours(b), bench.compiled(lambda x, b: F.gelu(x + b))
    return Race(f"bias and GELU {rows}x{columns}", "bfloat16", {
        OURS: lambda: kernels.bias_activation(cx, cb, "gelu"), "eager": lambda: F.gelu(x + b), "compiled": lambda: fast(x, b)},
        lambda: F.gelu(x.float() + b.float()), bytes=2 * x.nbytes)


def bias_gelu_backward(bench, rows, columns):
    torch, F = bench.torch, bench.torch.nn.functional
    x, b, g = bench.normal(rows, columns), bench.normal(columns), bench.normal(rows, columns)
    cx, cb, cg = map(bench.ours, (x, b, g))

    def eager(x, b):
        return F.gelu(x + b)
    inputs, others, wide = leaves(x, b), leaves(x, b), leaves(x, b, wide=True)
    return Race(f"bias and GELU backward {rows}x{columns}", "bfloat16", {
        OURS: lambda: kernels.bias_activation_backward(cg, cx, cb, "gelu"), "eager": grads(torch, eager(*inputs), inputs, g),
        "compiled": grads(torch, bench.compiled(eager)(*others), others, g)},
        lambda: torch.autograd.grad(eager(*wide), wide, g.float()), bytes=3 * x.nbytes, tolerance=5e-2)


def adam(bench, tensors, size):
    """AdamW's step in float32: PyTorch's fused and foreach versions."""
    torch = bench.torch
    params, gs = ([bench.normal(size, dtype="float32") for _ in range(tensors)] for _ in range(2))

    def theirs(**how):
        own = [p.clone().requires_grad_() for p in params]
        for p, g in zip(own, gs):
            p.grad = g
        optimizer, left = torch.optim.AdamW(own, lr=1e-3, weight_decay=0.1, **how), [True]

        def f():
            optimizer.step()
            first = [p.detach().clone() for p in own] if left else None
            left.clear()
            return first
        return f
    p, m, v = ([bench.ours(make(t)) for t in params] for make in (torch.clone, torch.zeros_like, torch.zeros_like))
    g = list(map(bench.ours, gs))
    step = [0]

    def ours():
        step[0] += 1
        kernels.adam_step(p, g, m, v, step[0], 1e-3, (0.9, 0.999), 1e-8, 0.1, True)
        return [bench.theirs(a).clone() for a in p] if step[0] == 1 else None
    return Race(f"AdamW step, {tensors} x {size}", "float32", {OURS: ours, "fused": theirs(fused=True), "foreach": theirs(foreach=True)},
                theirs(foreach=False, fused=False), bytes=7 * 4 * tensors * size)


def embedding(bench, rows, columns, tokens, backward=False):
    torch, F = bench.torch, bench.torch.nn.functional
    table, i, g = bench.normal(rows, columns), bench.integers(rows, tokens), bench.normal(tokens, columns)
    ctable, ci, cg = map(bench.ours, (table, i, g))
    if not backward:
        return Race(f"embedding {rows}x{columns}, {tokens} rows", "bfloat16", {OURS: lambda: kernels.embedding(ci, ctable),
                    "eager": lambda: F.embedding(i, table)}, lambda: table.float()[i], bytes=2 * g.nbytes)
    (leaf,), (wide,) = leaves(table), leaves(table, wide=True)
    return Race(f"embedding backward {rows}x{columns}, {tokens} rows", "bfloat16", {
        OURS: lambda: kernels.embedding_backward(cg, ci, rows), "eager": grads(torch, F.embedding(i, leaf), [leaf], g)},
        lambda: torch.autograd.grad(F.embedding(i, wide), wide, g.float()), bytes=g.nbytes + table.nbytes)


def pool(bench, N, C, size, kind="max", backward=False):
    """Windows of 3 x 3 with stride 2."""
    torch, F = bench.torch, bench.torch.nn.functional
    x = bench.normal(N, C, size, size)
    cx, how = bench.ours(x), dict(kernel_size=3, stride=2, padding=1)
    eager = F.max_pool2d if kind == "max" else F.avg_pool2d
    ours = (lambda: kernels.max_pool2d(cx, **how)[0]) if kind == "max" else (lambda: kernels.avg_pool2d(cx, **how))
    name = f"{kind} pool {'backward' if backward else 'forward'} {N}x{C}x{size}x{size}"
    if not backward:
        return Race(name, "bfloat16", {OURS: ours, "eager": lambda: eager(x, **how)}, lambda: eager(x.float(), **how), bytes=1.25 * x.nbytes)
    (leaf,), (wide,) = leaves(x), leaves(x, wide=True)
    y = eager(leaf, **how)
    g = bench.normal(*y.shape)
    cg, places = bench.ours(g), kernels.max_pool2d(cx, **how)[1] if kind == "max" else None
    back = (lambda: kernels.max_pool2d_backward(cg, places, x.shape, **how)) if kind == "max" else (
        lambda: kernels.avg_pool2d_backward(cg, x.shape, **how))
    return Race(name, "bfloat16", {OURS: back, "eager": grads(torch, y, [leaf], g)},
                lambda: torch.autograd.grad(eager(wide, **how), wide, g.float()), bytes=1.25 * x.nbytes)


def batch_norm(bench, N, C, size, backward=False):
    torch, F = bench.torch, bench.torch.nn.functional
    x, w, b = bench.normal(N, C, size, size), bench.normal(C), bench.normal(C)
    cx, cw, cb = map(bench.ours, (x, w, b))

    def eager(x, w, b):
        return F.batch_norm(x, None, None, w, b, training=True)
    name = f"batch norm {'backward' if backward else 'forward'} {N}x{C}x{size}x{size}"
    if not backward:
        fast = bench.compiled(eager)
        return Race(name, "bfloat16", {OURS: lambda: kernels.batch_norm(cx, cw, cb)[0], "eager": lambda: eager(x, w, b),
                                       "compiled": lambda: fast(x, w, b)},
                    lambda: eager(x.float(), w.float(), b.float()), bytes=3 * x.nbytes)
    g = bench.normal(*x.shape)
    cg, statistics = bench.ours(g), kernels.batch_norm(cx, cw, cb)[1:]
    inputs, wide = leaves(x, w, b), leaves(x, w, b, wide=True)
    return Race(name, "bfloat16", {OURS: lambda: kernels.batch_norm_backward(cg, cx, cw, *statistics),
                                   "eager": grads(torch, eager(*inputs), inputs, g)},
                lambda: torch.autograd.grad(eager(*wide), wide, g.float()), bytes=5 * x.nbytes, tolerance=5e-2)


def lstm_cell(bench, batch, hidden):
    """The cell behind its product: gates to state."""
    gates, c = bench.normal(batch, 4 * hidden, dtype="float32"), bench.normal(batch, hidden, dtype="float32")
    cgates, cc = bench.ours(gates), bench.ours(c)

    def eager(gates, c):
        i, f, g, o = gates.chunk(4, -1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        return o.sigmoid() * c.tanh(), c
    fast = bench.compiled(eager)
    return Race(f"LSTM cell {batch}x{hidden}", "float32", {OURS: lambda: kernels.lstm_cell(cgates, cc)[:2], "eager": lambda: eager(gates, c),
                                                           "compiled": lambda: fast(gates, c)},
                lambda: eager(gates, c), bytes=gates.nbytes * 2 + 3 * c.nbytes)


def dropout(bench, size):
    """Timed alone against PyTorch's, whose random numbers are others: compared is how the kept ones are scaled, at p = 0."""
    F = bench.torch.nn.functional
    x = bench.normal(size)
    cx, first = bench.ours(x), {"ours": True, "eager": True}

    def once(who, call):
        p = 0.0 if first.pop(who, False) else 0.1
        return call(p)
    return Race(f"dropout {size}", "bfloat16", {OURS: lambda: once("ours", lambda p: kernels.dropout(cx, p, 7)),
                                                "eager": lambda: once("eager", lambda p: F.dropout(x, p))}, lambda: x.float(), bytes=2 * x.nbytes)


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
