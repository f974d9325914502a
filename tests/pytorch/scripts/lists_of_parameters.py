"""Modules of odd parts: ParameterList, ParameterDict, ModuleList of lists, buffers that do not persist, register_parameter(None)."""
import torch
import torch.nn as nn
from start import normal, record, same


class Mixture(nn.Module):
    def __init__(self, experts=3):
        super().__init__()
        self.experts = nn.ModuleList()
        for _ in range(experts):
            self.experts.append(nn.Linear(4, 4))
        self.scales = nn.ParameterList([nn.Parameter(torch.ones(4)) for _ in range(experts)])
        self.extra = nn.ParameterDict({"shift": nn.Parameter(torch.zeros(4))})
        self.gate = nn.Linear(4, experts)
        self.register_parameter("unused", None)
        self.register_buffer("seen", torch.tensor(0))
        self.register_buffer("scratch", torch.zeros(2), persistent=False)

    def forward(self, x):
        self.seen += 1
        weights = torch.softmax(self.gate(x), -1)
        outs = torch.stack([expert(x) * scale for expert, scale in zip(self.experts, self.scales)], dim=1)
        return (weights.unsqueeze(-1) * outs).sum(1) + self.extra["shift"]


model = same(Mixture())
record(repr(model).replace("minitorch", "torch"), [n for n, _ in model.named_parameters()], list(model.state_dict()))
record([n for n, _ in model.named_buffers()])
optimizer = torch.optim.Adamax(model.parameters(), lr=2e-2)
x, y = torch.tensor(normal(16, 4)), torch.tensor(normal(16, 4, seed=1))
for step in range(15):
    loss = nn.HuberLoss()(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    record(loss.item())
record(model.seen.item(), len(model.experts), model.experts[-1].weight.shape, list(model.extra.keys()), "unused" in model._parameters)
model.experts.insert(0, nn.Identity())
del model.experts[1]
record([type(m).__name__ for m in model.experts], isinstance(model.experts[1:], nn.ModuleList))
model.half()
record({str(p.dtype).split(".")[-1] for p in model.parameters()}, str(model.seen.dtype).split(".")[-1])
