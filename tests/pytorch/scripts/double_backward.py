"""Physics-informed training: derivatives of the network by its inputs in the loss; Jacobians, Hessians, a Newton step."""
import torch
import torch.nn as nn
from start import normal, record, same
from torch.autograd.functional import hessian, jacobian

net = same(nn.Sequential(nn.Linear(1, 10), nn.Tanh(), nn.Linear(10, 10), nn.Tanh(), nn.Linear(10, 1)))
optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
t = torch.linspace(0, 2, 20).view(-1, 1).requires_grad_(True)
for step in range(20):
    u = net(t)
    du = torch.autograd.grad(u, t, torch.ones_like(u), create_graph=True)[0]
    ddu = torch.autograd.grad(du, t, torch.ones_like(du), create_graph=True)[0]
    residual = ddu + u
    loss = (residual ** 2).mean() + (net(torch.zeros(1, 1)) - 1).pow(2).squeeze() + du[0].pow(2).squeeze()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    record(loss.item())
a = torch.tensor(normal(3, 3))
record(jacobian(lambda v: (a @ v).tanh(), torch.ones(3)), hessian(lambda v: (v * (a @ v)).sum() + v.pow(3).sum(), torch.ones(3)))
x = torch.tensor([1.5, -0.5], requires_grad=True)
for _ in range(4):
    def rosenbrock(v):
        return (1 - v[0]) ** 2 + 5 * (v[1] - v[0] ** 2) ** 2
    g, = torch.autograd.grad(rosenbrock(x), x)
    x = (x - torch.linalg.solve(hessian(rosenbrock, x.detach()), g)).detach().requires_grad_()
    record(rosenbrock(x).item())
h = torch.func.vmap(torch.func.grad(lambda w, v: (w * v).sin().sum()), in_dims=(None, 0))(torch.ones(3), a)
record(h, torch.func.jvp(torch.sin, (torch.ones(2),), (torch.ones(2),))[1])
