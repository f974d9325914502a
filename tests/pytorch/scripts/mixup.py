"""Mixup, label smoothing, one-hot soft targets, an exponential moving average of the weights, warm-up by LambdaLR."""
import copy

import torch
import torch.nn as nn
import torch.nn.functional as F
from start import normal, record, same, whole


class EMA:
    def __init__(self, model, decay):
        self.module = copy.deepcopy(model).eval()
        self.decay = decay
        for p in self.module.parameters():
            p.requires_grad_(False)

    @torch.no_grad()
    def update(self, model):
        for e, m in zip(self.module.state_dict().values(), model.state_dict().values()):
            if e.dtype.is_floating_point:
                e.copy_(e * self.decay + m * (1 - self.decay))


model = same(nn.Sequential(nn.Conv1d(2, 6, 3, padding="same"), nn.GroupNorm(2, 6), nn.SiLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten(),
                           nn.Linear(6, 3)))
ema = EMA(model, 0.9)
optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / 5))
criterion = nn.CrossEntropyLoss(label_smoothing=0.1)
x, y = torch.tensor(normal(30, 2, 7)), torch.tensor(whole(30, high=3))
for step in range(15):
    lam = 0.5 + 0.03 * step
    index = torch.arange(30).roll(step)
    mixed = lam * x + (1 - lam) * x[index, :]
    output = model(mixed)
    soft = lam * F.one_hot(y, 3) + (1 - lam) * F.one_hot(y[index], 3)
    loss = lam * criterion(output, y) + (1 - lam) * criterion(output, y[index]) + 0.1 * -(soft * F.log_softmax(output, 1)).sum(1).mean()
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_value_(model.parameters(), 0.5)
    optimizer.step()
    scheduler.step()
    ema.update(model)
    record(loss.item(), optimizer.param_groups[0]["lr"])
record(ema.module(x[:3]), model(x[:3]), (model(x).argmax(1) == y).float().mean().item())
