"""Denoising diffusion: schedules by cumprod, timestep embeddings, gather by t, a U-shaped network with skips, sampling from given noise."""
import math

import torch
import torch.nn as nn
import torch.nn.functional as F
from start import normal, record, same, whole

T = 20
betas = torch.linspace(1e-4, 0.02, T)
alphas = 1.0 - betas
bars = torch.cumprod(alphas, dim=0)
previous = F.pad(bars[:-1], (1, 0), value=1.0)
variance = betas * (1.0 - previous) / (1.0 - bars)


def extract(a, t, shape):
    return a.gather(-1, t).reshape(t.shape[0], *((1,) * (len(shape) - 1)))


def embedding(t, dim):
    half = dim // 2
    freqs = torch.exp(torch.arange(half) * -(math.log(10000) / (half - 1)))
    angles = t[:, None].float() * freqs[None, :]
    return torch.cat((angles.sin(), angles.cos()), dim=-1)


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.time = nn.Sequential(nn.Linear(8, 8), nn.SiLU(), nn.Linear(8, 8))
        self.down, self.mid, self.up = nn.Conv2d(1, 8, 3, 2, 1), nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(16, 8, 3, padding=1)
        self.norm, self.out = nn.GroupNorm(4, 8), nn.Conv2d(9, 1, 1)

    def forward(self, x, t):
        emb = self.time(embedding(t, 8))[:, :, None, None]
        d = F.silu(self.down(x))
        m = F.silu(self.norm(self.mid(d + emb)))
        u = F.interpolate(self.up(torch.cat([m, d], 1)), scale_factor=2, mode="nearest")
        return self.out(torch.cat((u, x), dim=1))


model = same(UNet())
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
for step in range(12):
    x0, noise = torch.tensor(normal(4, 1, 8, 8, seed=step)), torch.tensor(normal(4, 1, 8, 8, seed=100 + step))
    t = torch.tensor(whole(4, high=T, seed=step))
    xt = extract(bars.sqrt(), t, x0.shape) * x0 + extract((1 - bars).sqrt(), t, x0.shape) * noise
    loss = F.smooth_l1_loss(model(xt, t), noise)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    record(loss.item())


@torch.no_grad()
def sample(x):
    for i in reversed(range(T)):
        t = torch.full((x.size(0),), i, dtype=torch.long)
        mean = alphas[i].rsqrt() * (x - extract(betas, t, x.shape) * model(x, t) / extract((1 - bars).sqrt(), t, x.shape))
        x = mean if i == 0 else mean + variance[i].sqrt() * torch.tensor(normal(*x.shape, seed=i))
    return x


record(sample(torch.tensor(normal(2, 1, 8, 8, seed=7))).mean(), variance)
