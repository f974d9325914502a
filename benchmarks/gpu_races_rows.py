"""Races of kernels that go over rows, channels, tables and windows once: what binds them is memory."""
import numpy as np
from gpu_bench import OURS, Race, grads, leaves

from minitorch import kernels


def gradients(torch, f, inputs, g):
    """Of f at inputs, given the gradient g of its result, all in float64."""
    wide = leaves(*inputs, wide=True)
    return torch.autograd.grad(f(*wide), wide, g.double())


# ---- rows ------------------------------------------------------------------------------------------------------------------------

def softmax(bench, rows, columns, log=False):
    F = bench.torch.nn.functional
    f, ours = (F.log_softmax, kernels.log_softmax) if log else (F.softmax, kernels.softmax)
    x = bench.normal(rows, columns)
    cx, fast = bench.ours(x), bench.compiled(lambda x: f(x, -1))
    calls = {OURS: lambda: ours(cx), "eager": lambda: f(x, -1), "compiled": lambda: fast(x)}
    calls |= {} if log else {who: lambda f=t: f(x) for who, t in bench.triton("softmax").items()}

    def right(places):
        i = places(rows)
        return [(i, f(x[i].double(), -1))]
    return Race(f"{'log ' if log else ''}softmax {rows}x{columns}", "bfloat16", calls, right, [x.shape], lambda: bench.redraw(x), bytes=2 * x.nbytes)


def softmax_backward(bench, rows, columns):
    torch, F = bench.torch, bench.torch.nn.functional
    x, g = bench.normal(rows, columns), bench.normal(rows, columns)
    (leaf,) = leaves(x)
    y = F.softmax(leaf, -1)
    cy, cg = bench.ours(y), bench.ours(g)
    fast = bench.compiled(lambda x: F.softmax(x, -1))(leaf)

    def right(places):
        i = places(rows)
        return [(i, gradients(torch, lambda x: F.softmax(x, -1), [x[i]], g[i])[0])]
    return Race(f"softmax backward {rows}x{columns}", "bfloat16", {
        OURS: lambda: kernels.softmax_backward(cg, cy), "eager": grads(torch, y, [leaf], g), "compiled": grads(torch, fast, [leaf], g)},
        right, [x.shape], lambda: bench.redraw(g), bytes=3 * x.nbytes)


def norm(bench, rows, columns, kind="layer", backward=False):
    """Layer norm or RMS norm."""
    torch, F, layer = bench.torch, bench.torch.nn.functional, kind == "layer"
    given = [bench.normal(rows, columns), *(bench.normal(columns) for _ in range(2 if layer else 1))]
    carrays, x = list(map(bench.ours, given)), given[0]

    def eager(x, w, b=None):
        return F.layer_norm(x, (columns,), w, b) if layer else F.rms_norm(x, (columns,), w, 1e-5)
    compiled, name = bench.compiled(eager), f"{kind} norm {'backward' if backward else 'forward'} {rows}x{columns}"
    ours = kernels.layer_norm if layer else kernels.rms_norm

    def right(places):
        i = places(rows)
        return [(i, eager(x[i].double(), *(t.double() for t in given[1:])))]
    if not backward:
        calls = {OURS: lambda: ours(*carrays)[0], "eager": lambda: eager(*given), "compiled": lambda: compiled(*given)}
        calls |= {who: lambda f=f: f(*given) for who, f in bench.triton("layer_norm").items()} if layer else {}
        return Race(name, "bfloat16", calls, right, [x.shape], lambda: bench.redraw(x), bytes=2 * x.nbytes)
    g = bench.normal(rows, columns)
    cg, statistics = bench.ours(g), ours(*carrays)[1:]
    back = kernels.layer_norm_backward if layer else kernels.rms_norm_backward
    inputs, others = leaves(*given), leaves(*given)

    def right_backward(places):                      # the weights' gradients are sums over all rows, taken by blocks
        i, sums = places(rows), [0] * len(given[1:])
        for start in range(0, rows, 2048):
            block = slice(start, start + 2048)
            sums = [s + t for s, t in zip(sums, gradients(torch, eager, [x[block], *given[1:]], g[block])[1:])]
        return [(i, gradients(torch, eager, [x[i], *given[1:]], g[i])[0]), *((..., s) for s in sums)]
    return Race(name, "bfloat16", {
        OURS: lambda: back(cg, carrays[0], carrays[1], *statistics), "eager": grads(torch, eager(*inputs), inputs, g),
        "compiled": grads(torch, compiled(*others), others, g)}, right_backward, [t.shape for t in given], lambda: bench.redraw(g),
        bytes=3 * x.nbytes, tolerance=5e-2)


def cross_entropy(bench, rows, classes):
    """The mean loss and its gradient by the scores."""
    torch, F = bench.torch, bench.torch.nn.functional
    x, t = bench.normal(rows, classes), bench.integers(classes, rows)
    cx, ct, g = bench.ours(x), bench.ours(t), bench.cupy.full(rows, 1 / rows, np.float32)
    (leaf,), (other,) = leaves(x), leaves(x)
    fast = bench.compiled(F.cross_entropy)

    def right(places):
        i = places(rows)
        y = F.softmax(x[i].double(), -1)
        y[torch.arange(len(i), device=y.device), t[i]] -= 1
        return [(i, y / rows)]

    def renew():
        bench.redraw(x)
        with torch.no_grad():
            leaf.copy_(x)
            other.copy_(x)
    return Race(f"cross entropy and gradient {rows}x{classes}", "bfloat16", {
        OURS: lambda: kernels.cross_entropy(cx, ct, g=g)[1], "eager": lambda: torch.autograd.grad(F.cross_entropy(leaf, t), leaf),
        "compiled": lambda: torch.autograd.grad(fast(other, t), other)}, right, [x.shape], renew, bytes=2 * x.nbytes)


# ---- elementwise, tables, windows, cells ------------------------------------------------------------------------------------------

def bias_gelu(bench, rows, columns):
    F = bench.torch.nn.functional
    x, b = bench.normal(rows, columns), bench.normal(columns)
    cx, cb, fast = bench.ours(x), bench.ours(b), bench.compiled(lambda x, b: F.gelu(x + b))

    def right(places):
        i = places(rows)
        return [(i, F.gelu(x[i].double() + b.double()))]
    return Race(f"bias and GELU {rows}x{columns}", "bfloat16", {
        OURS: lambda: kernels.bias_activation(cx, cb, "gelu"), "eager": lambda: F.gelu(x + b), "compiled": lambda: fast(x, b)},
        right, [x.shape], lambda: bench.redraw(x, b), bytes=2 * x.nbytes)


def bias_gelu_backward(bench, rows, columns):
    torch, F = bench.torch, bench.torch.nn.functional
    x, b, g = bench.normal(rows, columns), bench.normal(columns), bench.normal(rows, columns)
    cx, cb, cg = map(bench.ours, (x, b, g))

    def eager(x, b):
        return F.gelu(x + b)

    def right(places):
        i, total = places(rows), 0
        for start in range(0, rows, 2048):
            block = slice(start, start + 2048)
            total = total + gradients(torch, eager, [x[block], b], g[block])[1]
        return [(i, gradients(torch, eager, [x[i], b], g[i])[0]), (..., total)]
    inputs, others = leaves(x, b), leaves(x, b)
    return Race(f"bias and GELU backward {rows}x{columns}", "bfloat16", {
        OURS: lambda: kernels.bias_activation_backward(cg, cx, cb, "gelu"), "eager": grads(torch, eager(*inputs), inputs, g),
        "compiled": grads(torch, bench.compiled(eager)(*others), others, g)},
        right, [x.shape, b.shape], lambda: bench.redraw(g), bytes=3 * x.nbytes, tolerance=5e-2)


def adam(bench, tensors, size):
    """AdamW's step in float32: PyTorch's fused and foreach versions.  Results are the first and the last tensor, as each step leaves them."""
    torch, lr, decay, (one, two), eps = bench.torch, 1e-3, 0.1, (0.9, 0.999), 1e-8
    params, gs = ([bench.normal(size, dtype="float32") for _ in range(tensors)] for _ in range(2))

    def theirs(**how):
        own = [p.clone().requires_grad_() for p in params]
        for p, g in zip(own, gs):
            p.grad = g
        optimizer = torch.optim.AdamW(own, lr=lr, betas=(one, two), eps=eps, weight_decay=decay, **how)

        def f():
            optimizer.step()
            return [own[0].detach(), own[-1].detach()]
        return f
    mine, m, v = ([make(t) for t in params] for make in (torch.clone, torch.zeros_like, torch.zeros_like))
    cp, cm, cv, cg = ([bench.ours(t) for t in ts] for ts in (mine, m, v, gs))
    step, known = [0, 0], [[params[n].double(), 0, 0] for n in (0, -1)]

    def ours():
        step[0] += 1
        kernels.adam_step(cp, cg, cm, cv, step[0], lr, (one, two), eps, decay, True)
        return [cp[0], cp[-1]]

    def right(places):                               # every contender makes one step between two questions
        step[1] += 1
        for state, g in zip(known, (gs[0].double(), gs[-1].double())):
            p, m, v = state
            m, v = one * m + (1 - one) * g, two * v + (1 - two) * g * g
            p = p * (1 - lr * decay) - lr * (m / (1 - one ** step[1])) / ((v / (1 - two ** step[1])).sqrt() + eps)
            state[:] = p, m, v
        return [(..., state[0]) for state in known]
    return Race(f"AdamW step, {tensors} x {size}", "float32", {OURS: ours, "fused": theirs(fused=True), "foreach": theirs(foreach=True)},
                right, [(size,)] * 2, lambda: bench.redraw(*gs), bytes=7 * 4 * tensors * size, state=True)


def embedding(bench, rows, columns, tokens, backward=False):
    torch, F = bench.torch, bench.torch.nn.functional
    table, i, g = bench.normal(rows, columns), bench.integers(rows, tokens), bench.normal(tokens, columns)
    ctable, ci, cg = map(bench.ours, (table, i, g))

    def right(places):
        n = places(tokens)
        return [(n, table[i[n]].double())]
    if not backward:
        return Race(f"embedding {rows}x{columns}, {tokens} rows", "bfloat16", {OURS: lambda: kernels.embedding(ci, ctable),
                    "eager": lambda: F.embedding(i, table)}, right, [g.shape], lambda: bench.redraw(table), bytes=2 * g.nbytes)
    (leaf,) = leaves(table)

    def right_backward(places):                      # some columns of the whole table
        j = places(columns)
        y = torch.zeros(rows, len(j), dtype=torch.float64, device=g.device)
        return [((slice(None), j), y.index_add_(0, i, g[:, j].double()))]
    return Race(f"embedding backward {rows}x{columns}, {tokens} rows", "bfloat16", {
        OURS: lambda: kernels.embedding_backward(cg, ci, rows), "eager": grads(torch, F.embedding(i, leaf), [leaf], g)},
        right_backward, [table.shape], lambda: bench.redraw(g), bytes=g.nbytes + table.nbytes)


def pool(bench, N, C, size, kind="max", backward=False):
    """Windows of 3 x 3 with stride 2."""
    torch, F = bench.torch, bench.torch.nn.functional
    x = bench.normal(N, C, size, size)
    cx, how = bench.ours(x), dict(kernel_size=3, stride=2, padding=1)
    eager = F.max_pool2d if kind == "max" else F.avg_pool2d
    ours = (lambda: kernels.max_pool2d(cx, **how)[0]) if kind == "max" else (lambda: kernels.avg_pool2d(cx, **how))
    name = f"{kind} pool {'backward' if backward else 'forward'} {N}x{C}x{size}x{size}"
    (leaf,) = leaves(x)
    y = eager(leaf, **how)
    g = bench.normal(*y.shape)

    def right(places):
        n = places(N)
        return [(n, eager(x[n].double(), **how))]

    def right_backward(places):
        n = places(N)
        return [(n, gradients(torch, lambda x: eager(x, **how), [x[n]], g[n])[0])]
    if not backward:
        return Race(name, "bfloat16", {OURS: ours, "eager": lambda: eager(x, **how)}, right, [y.shape], lambda: bench.redraw(x),
                    bytes=1.25 * x.nbytes)
    cg, at = bench.ours(g), kernels.max_pool2d(cx, **how)[1] if kind == "max" else None
    back = (lambda: kernels.max_pool2d_backward(cg, at, x.shape, **how)) if kind == "max" else (
        lambda: kernels.avg_pool2d_backward(cg, x.shape, **how))
    return Race(name, "bfloat16", {OURS: back, "eager": grads(torch, y, [leaf], g)}, right_backward, [x.shape], lambda: bench.redraw(g),
                bytes=1.25 * x.nbytes)


def batch_norm(bench, N, C, size, backward=False):
    """Channels are apart, so some of them are compared."""
    torch, F = bench.torch, bench.torch.nn.functional
    x, w, b = bench.normal(N, C, size, size), bench.normal(C), bench.normal(C)
    cx, cw, cb = map(bench.ours, (x, w, b))

    def eager(x, w, b):
        return F.batch_norm(x, None, None, w, b, training=True)

    def right(places):
        c = places(C)
        return [((slice(None), c), eager(x[:, c].double(), w[c].double(), b[c].double()))]
    name = f"batch norm {'backward' if backward else 'forward'} {N}x{C}x{size}x{size}"
    if not backward:
        fast = bench.compiled(eager)
        return Race(name, "bfloat16", {OURS: lambda: kernels.batch_norm(cx, cw, cb)[0], "eager": lambda: eager(x, w, b),
                                       "compiled": lambda: fast(x, w, b)}, right, [x.shape], lambda: bench.redraw(x, w, b), bytes=3 * x.nbytes)
    g = bench.normal(*x.shape)
    cg, statistics = bench.ours(g), kernels.batch_norm(cx, cw, cb)[1:]
    inputs = leaves(x, w, b)

    def right_backward(places):
        c = places(C)
        dx, dw, db = gradients(torch, eager, [x[:, c], w[c], b[c]], g[:, c])
        return [((slice(None), c), dx), (c, dw), (c, db)]
    return Race(name, "bfloat16", {OURS: lambda: kernels.batch_norm_backward(cg, cx, cw, *statistics),
                                   "eager": grads(torch, eager(*inputs), inputs, g)},
                right_backward, [x.shape, w.shape, b.shape], lambda: bench.redraw(g), bytes=5 * x.nbytes, tolerance=5e-2)


def lstm_cell(bench, batch, hidden):
    """The cell behind its product: gates to state."""
    gates, c = bench.normal(batch, 4 * hidden, dtype="float32"), bench.normal(batch, hidden, dtype="float32")
    cgates, cc = bench.ours(gates), bench.ours(c)

    def eager(gates, c):
        i, f, g, o = gates.chunk(4, -1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        return o.sigmoid() * c.tanh(), c

    def right(places):
        n = places(batch)
        return [(n, y) for y in eager(gates[n].double(), c[n].double())]
    fast = bench.compiled(eager)
    return Race(f"LSTM cell {batch}x{hidden}", "float32", {OURS: lambda: kernels.lstm_cell(cgates, cc)[:2], "eager": lambda: eager(gates, c),
                                                           "compiled": lambda: fast(gates, c)},
                right, [c.shape] * 2, lambda: bench.redraw(gates, c), bytes=gates.nbytes * 2 + 3 * c.nbytes)


def dropout(bench, size, p=0.1):
    """Everybody's random numbers are their own: compared is how those are scaled that are kept, and how many are."""
    torch, F = bench.torch, bench.torch.nn.functional
    x, seed = bench.normal(size), [0]
    cx = bench.ours(x)

    def ours():
        seed[0] += 1
        return kernels.dropout(cx, p, seed[0])

    def right(places):
        def of(y):
            kept = (y != 0) | (x == 0)
            few = abs(kept.double().mean().item() - (1 - p)) > 6 * (p * (1 - p) / size) ** 0.5
            return torch.where(kept, x.double() / (1 - p), 0) * (float("nan") if few else 1)
        return [(..., of)]
    return Race(f"dropout {size}", "bfloat16", {OURS: ours, "eager": lambda: F.dropout(x, p)}, right, [x.shape], lambda: bench.redraw(x),
                bytes=2 * x.nbytes)
