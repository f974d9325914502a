"""What a training step holds in memory beside the parameters, their gradients and the input.

Kept: between forward and backward, by the graph.  minitorch: the growth of all memory that Python and NumPy hold
(tracemalloc), with only the loss in hand.  PyTorch: the storages that its ops save (saved_tensors_hooks), each counted once.
Peak: the most at any moment of forward and backward, with NumPy's arrays in one and tensors (torch.profiler) in the other.
Left: what is still held once backward() is done: freed by reference counting, gc is off.

    python benchmarks/memory.py [--json]
"""
import timing  # first: it sets the number of threads

# isort: split
import gc
import itertools
import tracemalloc

import numpy as np

import minitorch


def mlp(nn):
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 256), nn.Tanh(), nn.Linear(256, 10))


def cnn(nn):
    return nn.Sequential(nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
                         nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
                         nn.Flatten(), nn.Linear(64 * 7 * 7, 10))


def cnn_with_norm(nn):
    return nn.Sequential(nn.Conv2d(1, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
                         nn.Conv2d(32, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(), nn.AvgPool2d(2),
                         nn.Flatten(), nn.Dropout(0.5), nn.Linear(64 * 7 * 7, 10))


def transformer_block(nn):
    """Rows of an image as 28 words: layer norm, attention of 4 heads, GELU."""
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.qkv, self.out = nn.Linear(28, 64), nn.Linear(64, 192), nn.Linear(64, 64)
            self.norm1, self.norm2 = nn.LayerNorm(64), nn.LayerNorm(64)
            self.mlp, self.head = nn.Sequential(nn.Linear(64, 256), nn.GELU(), nn.Linear(256, 64)), nn.Linear(64, 10)

        def forward(self, x):
            x = self.embed(x.squeeze(1))                                                         # (N, 28, 64)
            q, k, v = [t.reshape(-1, 28, 4, 16).transpose(1, 2) for t in self.qkv(self.norm1(x)).chunk(3, dim=-1)]
            a = nn.functional.scaled_dot_product_attention(q, k, v)                              # (N, 4, 28, 16)
            x = x + self.out(a.transpose(1, 2).reshape(-1, 28, 64))
            return self.head((x + self.mlp(self.norm2(x))).mean(1))
    return Block()


NETS = {"784-256-256-10": mlp, "conv32-pool-conv64-pool-dense": cnn, "the same with batch norm, dropout": cnn_with_norm,
        "layer norm, attention, GELU": transformer_block}


def ours(make, images, labels):
    """Bytes kept by the graph, at the peak and left after backward, for a step in minitorch."""
    net, x, t = make(minitorch.nn), minitorch.from_numpy(images), minitorch.from_numpy(labels)
    cross_entropy = minitorch.nn.functional.cross_entropy
    cross_entropy(net(x), t).backward()              # once before: gradients and caches are made
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        loss = cross_entropy(net(x), t)
        kept = tracemalloc.get_traced_memory()[0] - before
        loss.backward()
        del loss
        after, peak = tracemalloc.get_traced_memory()
        return {"kept": kept, "peak": peak - before, "left": after - before}
    finally:
        tracemalloc.stop()
        gc.enable()


def theirs(torch, make, images, labels):
    """Bytes that PyTorch's graph keeps, and its peak, for the same step."""
    net, x, t = make(torch.nn), torch.from_numpy(images), torch.from_numpy(labels)
    own = {tensor.untyped_storage().data_ptr() for tensor in (*net.parameters(), *net.buffers(), x, t)}
    sizes = {}

    def save(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            sizes[storage.data_ptr()] = storage.nbytes()
        return tensor
    with torch.autograd.graph.saved_tensors_hooks(save, lambda tensor: tensor):
        loss = torch.nn.functional.cross_entropy(net(x), t)
    loss.backward()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        torch.nn.functional.cross_entropy(net(x), t).backward()
    events = [e for e in profile.profiler.kineto_results.events() if e.name() == "[memory]"]
    held = itertools.accumulate(e.nbytes() for e in sorted(events, key=lambda e: e.start_ns()))
    return {"kept": sum(sizes.values()), "peak": max(held)}


def measure(batch):
    """{net: bytes} for minitorch and PyTorch."""
    torch = timing.import_torch()
    rng = np.random.default_rng(0)
    images, labels = rng.random((batch, 1, 28, 28), np.float32), rng.integers(0, 10, batch)
    rows = {}
    for name, make in NETS.items():
        rows[name] = {"minitorch": ours(make, images, labels), "torch": theirs(torch, make, images, labels) if torch else None}
    return {"batch": batch, "rows": rows, "torch": torch and torch.__version__, **timing.machine()}


def table(figures):
    """The README's table."""
    head = [f"MiB, batch {figures['batch']}", "kept by PyTorch", "by minitorch", "ratio", "peak of PyTorch", "of minitorch", "ratio",
            "left after backward"]
    rows = []
    for name, row in figures["rows"].items():
        cells = []
        for what in ("kept", "peak"):
            ours, theirs = row["minitorch"][what], row["torch"] and row["torch"][what]
            cells += [mib(theirs) if theirs else "-", mib(ours), f"**{ours / theirs:.2f}**" if theirs else "-"]
        rows.append([name, *cells, mib(row["minitorch"]["left"])])
    return timing.table(head, rows)


def mib(size):
    return f"{size / 2 ** 20:.2f}"


def main():
    parser = timing.options(__doc__)
    parser.add_argument("--batch", type=int, default=64)
    args = parser.parse_args()
    figures = measure(args.batch)
    print(table(figures))
    if args.json:
        timing.write("memory", figures)


if __name__ == "__main__":
    main()
