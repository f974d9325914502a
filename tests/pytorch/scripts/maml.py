"""MAML: inner steps by functional_call and gradients of gradients."""
import torch
import torch.nn as nn
import torch.nn.functional as F
from start import normal, record, same
from torch.func import functional_call

net = same(nn.Sequential(nn.Linear(1, 12), nn.Tanh(), nn.Linear(12, 1)))
meta = torch.optim.Adam(net.parameters(), lr=1e-2)
for step in range(10):
    total = 0.0
    meta.zero_grad()
    for task in range(3):
        amplitude, phase = 0.5 + task, 0.3 * task
        x = torch.tensor(normal(10, 1, seed=10 * step + task))
        y = amplitude * torch.sin(x + phase)
        weights = {k: v.clone() for k, v in net.named_parameters()}
        for _ in range(2):
            loss = F.mse_loss(functional_call(net, weights, (x[:5],)), y[:5])
            grads = torch.autograd.grad(loss, list(weights.values()), create_graph=True)
            weights = {k: w - 0.1 * g for (k, w), g in zip(weights.items(), grads)}
        total = total + F.mse_loss(functional_call(net, weights, (x[5:],)), y[5:])
    total.backward()
    meta.step()
    record(total.item(), net[0].weight.grad.norm().item())
