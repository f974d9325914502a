"""Datasets of programs: files written and read, transforms, iterable datasets over workers, concatenation, batches of dicts."""
import csv
import os
import tempfile

import numpy as np
import torch
from start import normal, record
from torch.utils.data import BatchSampler, ConcatDataset, DataLoader, Dataset, IterableDataset, SequentialSampler, get_worker_info

folder = tempfile.mkdtemp()
table = os.path.join(folder, "table.csv")
with open(table, "w", newline="") as f:
    csv.writer(f).writerows([[f"row{i}", *row] for i, row in enumerate(normal(9, 3).tolist())])


class Standardize:
    def __init__(self, mean, std):
        self.mean, self.std = torch.tensor(mean), torch.tensor(std)

    def __call__(self, x):
        return (x - self.mean) / self.std


class Table(Dataset):
    def __init__(self, path, transform=None):
        with open(path) as f:
            self.rows = list(csv.reader(f))
        self.transform = transform

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, i):
        name, *numbers = self.rows[i]
        x = torch.tensor([float(v) for v in numbers])
        return {"name": name, "x": self.transform(x) if self.transform else x, "index": i, "pair": (i, np.float32(i))}


class Stream(IterableDataset):
    def __iter__(self):
        info = get_worker_info()
        first, step = (info.id, info.num_workers) if info else (0, 1)
        yield from range(first, 10, step)


data = Table(table, Standardize([0.1, 0.2, 0.3], [1.0, 2.0, 3.0]))
for workers in (0, 2):
    for batch in DataLoader(data, batch_size=4, num_workers=workers):
        record(batch["name"], batch["x"], batch["index"], batch["pair"], sorted(batch))
    record(sorted(int(v) for b in DataLoader(Stream(), batch_size=3, num_workers=workers) for v in b))
both = ConcatDataset([data, Table(table)])
record(len(both), both[9]["x"], [len(b) for b in BatchSampler(SequentialSampler(both), 4, drop_last=False)])
loader = DataLoader(both, batch_sampler=BatchSampler(SequentialSampler(both), 5, True))
record(len(loader), next(iter(loader))["index"], sorted(i for b in DataLoader(data, 2, shuffle=True) for i in b["index"].tolist()))
np.save(os.path.join(folder, "x.npy"), normal(3, 2))
loaded = torch.from_numpy(np.load(os.path.join(folder, "x.npy")))
loaded += 1
record(loaded, loaded.numpy().sum().item(), np.asarray(loaded).shape, torch.as_tensor(loaded.numpy()).equal(loaded))
