"""Initialisation by isinstance, apply, named_modules; counting, freezing and printing parameters; optimizers over what is left."""
import torch
import torch.nn as nn
from start import normal, record, same


class Residual(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.conv1 = nn.Conv2d(n, n, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(n)
        self.conv2 = nn.Conv2d(n, n, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(n)
        self.shortcut = nn.Identity()

    def forward(self, x):
        y = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


def init(m):
    if isinstance(m, nn.Conv2d):
        nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")
    elif isinstance(m, (nn.BatchNorm2d, nn.GroupNorm)):
        nn.init.constant_(m.weight, 1)
        nn.init.constant_(m.bias, 0)
    elif isinstance(m, nn.Linear):
        nn.init.xavier_uniform_(m.weight)
        m.bias.data.fill_(0.01)


model = nn.Sequential(nn.Conv2d(3, 4, 3), Residual(4), Residual(4), nn.AvgPool2d(4), nn.Flatten(), nn.Linear(4, 2))
model.apply(init)
record(model[5].bias, model[1].bn1.weight, bool(model[5].weight.abs().max() <= (6 / 6) ** 0.5))
for block in model.modules():
    if isinstance(block, Residual):
        nn.init.zeros_(block.bn2.weight)
record([name for name, m in model.named_modules() if isinstance(m, nn.BatchNorm2d)], nn.init.calculate_gain("leaky_relu", 0.2))
same(model)
for name, p in model.named_parameters():
    if "conv1" in name or name.startswith("0."):
        p.requires_grad = False
trainable = list(filter(lambda p: p.requires_grad, model.parameters()))
record(len(trainable), sum(p.numel() for p in trainable), repr(model))
optimizer = torch.optim.Adam(trainable, lr=1e-3)
x, y = torch.tensor(normal(6, 3, 6, 6)), torch.tensor([0, 1, 0, 1, 1, 0])
for step in range(8):
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
    record(loss.item())
record([name for name, p in model.named_parameters() if p.grad is None], model[1].bn2.running_var)
