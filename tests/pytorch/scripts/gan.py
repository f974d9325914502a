"""WGAN-GP: two optimizers, the penalty on the gradient's norm by create_graph, detach, frozen parameters."""
import torch
from start import normal, record, same
from torch import autograd, nn, optim


def mlp(*sizes):
    layers = []
    for i, (a, b) in enumerate(zip(sizes, sizes[1:])):
        layers.append(nn.Linear(a, b))
        if i < len(sizes) - 2:
            layers.append(nn.LeakyReLU(0.2))
    return nn.Sequential(*layers)


G, D = same(mlp(3, 8, 2)), same(mlp(2, 8, 1))
g_opt, d_opt = optim.Adam(G.parameters(), 1e-3, (0.5, 0.9)), optim.RMSprop(D.parameters(), lr=1e-3)
for step in range(12):
    real, z = torch.tensor(normal(16, 2, seed=step)), torch.tensor(normal(16, 3, seed=100 + step))
    for p in D.parameters():
        p.requires_grad_(True)
    fake = G(z).detach()
    mix = torch.tensor(abs(normal(16, 1, seed=200 + step)) % 1)
    between = (mix * real + (1 - mix) * fake).requires_grad_(True)
    score = D(between)
    slope = autograd.grad(outputs=score, inputs=between, grad_outputs=torch.ones_like(score), create_graph=True, retain_graph=True,
                          only_inputs=True)[0]
    penalty = ((slope.view(slope.size(0), -1).norm(2, dim=1) - 1) ** 2).mean()
    d_loss = D(fake).mean() - D(real).mean() + 10 * penalty
    d_opt.zero_grad()
    d_loss.backward()
    d_opt.step()
    for p in D.parameters():
        p.requires_grad = False
    g_opt.zero_grad()
    g_loss = -D(G(z)).mean()
    g_loss.backward()
    g_opt.step()
    record(d_loss.item(), penalty.item(), g_loss.item())
