"""What a graph keeps alive between forward and backward, beside the parameters and the input.

minitorch: the growth of all memory that Python and NumPy hold (tracemalloc), with only the loss in hand.
PyTorch: the storages that its ops save (saved_tensors_hooks), each counted once.
Left: what is still held once backward() is done, beside the gradients: freed by reference counting, gc is off.

    python benchmarks/memory.py [--json]
"""
import timing  # first: it sets the number of threads

# isort: split
import gc
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


NETS = {"784-256-256-10": mlp, "conv32-pool-conv64-pool-dense": cnn, "the same with batch norm, dropout": cnn_with_norm}


def ours(make, images, labels):
    """(bytes kept by the graph, bytes left after backward) of a step in minitorch."""
    net, x, t = make(minitorch.nn), minitorch.from_numpy(images), minitorch.from_numpy(labels)
    cross_entropy = minitorch.nn.functional.cross_entropy
    cross_entropy(net(x), t).backward()              # once before: gradients and caches are made
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        loss = cross_entropy(net(x), t)
        kept = tracemalloc.get_traced_memory()[0] - before
        loss.backward()
        del loss
        return kept, tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
        gc.enable()


def theirs(torch, make, images, labels):
    """Bytes that PyTorch's graph keeps for the same step."""
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
    assert loss.requires_grad
    return sum(sizes.values())


def measure(batch):
    """{net: bytes} for minitorch and PyTorch."""
    torch = timing.import_torch()
    rng = np.random.default_rng(0)
    images, labels = rng.random((batch, 1, 28, 28), np.float32), rng.integers(0, 10, batch)
    rows = {}
    for name, make in NETS.items():
        kept, left = ours(make, images, labels)
        rows[name] = {"minitorch": kept, "left": left, "torch": theirs(torch, make, images, labels) if torch else None}
    return {"batch": batch, "rows": rows, "torch": torch and torch.__version__, **timing.machine()}


def table(figures):
    """The README's table."""
    head = [f"kept by the graph, batch {figures['batch']}", "PyTorch, MiB", "minitorch, MiB", "minitorch / PyTorch",
            "left after backward, MiB"]
    rows = [[name, f"{row['torch'] / 2 ** 20:.2f}" if row["torch"] else "-", f"{row['minitorch'] / 2 ** 20:.2f}",
             f"**{row['minitorch'] / row['torch']:.2f}**" if row["torch"] else "-", f"{row['left'] / 2 ** 20:.2f}"]
            for name, row in figures["rows"].items()]
    return timing.table(head, rows)


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
