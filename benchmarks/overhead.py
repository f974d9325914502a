"""What the engine costs beyond NumPy, per op, on arrays so small that nothing else matters.

A chain of 100 ops on 16 float32 numbers, forward and backward, three ways in one interleaved run: the
NumPy calls alone (backward: the formulas written out), minitorch, and PyTorch, each on one thread.
Beyond NumPy = minitorch - NumPy.  The mixed chain is 25 times  x * w, tanh, + b, sin.

    python benchmarks/overhead.py [--json]
"""
import timing  # first: it sets the number of threads

# isort: split
import numpy as np

import minitorch

LENGTH = 100                                         # ops in a chain
START = np.linspace(0.1, 0.9, 16, dtype=np.float32)
W = np.linspace(0.9, 1.1, 16, dtype=np.float32)


def tanh(lib, x, w):
    return lib.tanh(x)


def sin(lib, x, w):
    return lib.sin(x)


def neg(lib, x, w):
    return -x


def add(lib, x, w):
    return x + w


def sub(lib, x, w):
    return x - w


def mul(lib, x, w):
    return x * w


DERIVATIVES = {                                      # by x, by w: what a vjp computes, in plain NumPy
    tanh: lambda g, x, y, w: (g - g * y * y, None),
    sin: lambda g, x, y, w: (g * np.cos(x), None),
    neg: lambda g, x, y, w: (-g, None),
    add: lambda g, x, y, w: (g, g),
    sub: lambda g, x, y, w: (g, -g),
    mul: lambda g, x, y, w: (g * w, g * x),
}
CHAINS = {                                           # the label of a row: the ops of its chain, in turn
    "`-x`": [neg], "`tanh(x)`": [tanh], "`sin(x)`": [sin],
    "`x + w`": [add], "`x - w`": [sub], "`x * w`": [mul],
    "mixed chain": [mul, tanh, add, sin],
}


def numpy_calls(ops):
    """(forward, forward and backward) of a chain on plain arrays."""
    def forward():
        x = START
        for op in ops:
            x = op(np, x, W)

    def both():
        x, kept = START, []
        for op in ops:
            y = op(np, x, W)
            kept.append((op, x, y))
            x = y
        g, gw = START, None
        for op, x, y in reversed(kept):
            g, by_w = DERIVATIVES[op](g, x, y, W)
            if by_w is not None:
                gw = by_w if gw is None else gw + by_w
        return g, gw
    return forward, both


def tensor_calls(lib, ops):
    """(forward, forward and backward) of a chain on tensors of minitorch or PyTorch."""
    x, w = (lib.tensor(a, requires_grad=True) for a in (START, W))
    g = lib.tensor(START)

    def forward():
        y = x
        for op in ops:
            y = op(lib, y, w)
        return y

    def both():
        x.grad = w.grad = None
        forward().backward(g)
    return forward, both


def measure(rounds):
    """{label: figures in microseconds per op} for every chain, and PyTorch's version."""
    torch = timing.import_torch()
    rows = {}
    for label, pattern in CHAINS.items():
        ops = (pattern * LENGTH)[:LENGTH]
        calls = {"numpy": numpy_calls(ops), "minitorch": tensor_calls(minitorch, ops)}
        if torch:
            calls["torch"] = tensor_calls(torch, ops)
        seconds = timing.medians({(who, i): pair[i] for who, pair in calls.items() for i in (0, 1)}, rounds)
        us = {key: s / LENGTH * 1e6 for key, s in seconds.items()}
        rows[label] = {who: {"forward": round(us[who, 0], 3), "backward": round(us[who, 1] - us[who, 0], 3), "both": round(us[who, 1], 3)}
                       for who in calls}
    return {"rows": rows, "torch": torch and torch.__version__, **timing.machine()}


def table(figures):
    """The README's table."""
    head = ["16 numbers, us per op", "NumPy f", "ours f", "beyond f", "NumPy b", "ours b", "beyond b",
            "NumPy f+b", "ours f+b", "PyTorch f+b", "ours / PyTorch"]
    rows = []
    for label, row in figures["rows"].items():
        n, m, t = row["numpy"], row["minitorch"], row.get("torch")
        rows.append([label,
                     *(cell for k in ("forward", "backward") for cell in (f"{n[k]:.2f}", f"{m[k]:.2f}", f"**{m[k] - n[k]:.2f}**")),
                     f"{n['both']:.2f}", f"{m['both']:.2f}",
                     f"{t['both']:.2f}" if t else "-", f"**{m['both'] / t['both']:.2f}**" if t else "-"])
    return timing.table(head, rows)


def main():
    parser = timing.options(__doc__)
    parser.add_argument("--rounds", type=int, default=300, help="how often each chain is timed; the median counts (default: 300)")
    args = parser.parse_args()
    figures = measure(args.rounds)
    print(table(figures))
    print("\nf: forward, b: backward, ours: minitorch, beyond: ours - NumPy")
    if args.json:
        timing.write("overhead", figures)


if __name__ == "__main__":
    main()
