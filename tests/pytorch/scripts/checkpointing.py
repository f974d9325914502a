"""Saving and loading: state_dict surgery, strict=False, partial copies, optimizer state, a run that goes on as if never stopped."""
import os
import tempfile

import torch
import torch.nn as nn
from start import normal, record, same


def build():
    model = same(nn.Sequential(nn.Linear(3, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 2)))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, amsgrad=True)
    return model, optimizer, torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)


def train(model, optimizer, scheduler, steps):
    for step in steps:
        x = torch.tensor(normal(8, 3, seed=step))
        loss = model(x).pow(2).mean() + model[0].weight.abs().sum() * 1e-3
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        record(loss.item())


whole_run = build()
train(*whole_run, range(12))
first = build()
train(*first, range(6))
path = os.path.join(tempfile.mkdtemp(), "checkpoint.pt")
torch.save({"epoch": 6, "model": first[0].state_dict(), "optimizer": first[1].state_dict(), "scheduler": first[2].state_dict()}, path)
second = build()
checkpoint = torch.load(path, weights_only=True)
for part, name in zip(second, ("model", "optimizer", "scheduler")):
    part.load_state_dict(checkpoint[name])
train(*second, range(checkpoint["epoch"], 12))
record(all(torch.equal(a, b) for a, b in zip(whole_run[0].state_dict().values(), second[0].state_dict().values())))

state = {k.replace("0.", "stem."): v for k, v in first[0].state_dict().items() if not k.startswith("3")}
other = nn.Module()
other.stem, other.head = nn.Linear(3, 6), nn.Linear(6, 5)
result = other.load_state_dict(state, strict=False)
record(result.missing_keys, result.unexpected_keys, torch.equal(other.stem.weight, first[0][0].weight))
own = same(nn.Linear(3, 6)).state_dict()
own.update({k: v for k, v in {"weight": torch.ones(6, 3), "other": torch.ones(1)}.items() if k in own})
record(list(own), own["weight"].sum().item())
try:
    other.load_state_dict(state)
except RuntimeError as error:
    record("Missing key(s) in state_dict" in str(error))
