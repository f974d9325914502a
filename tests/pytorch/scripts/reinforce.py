"""REINFORCE with a baseline: Categorical, log_prob, entropy, discounted returns, one optimizer for two networks."""
import itertools

import numpy as np
import torch
import torch.nn as nn
from start import normal, record, same
from torch.distributions import Categorical, Normal, kl_divergence

policy = same(nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3)))
value = same(nn.Linear(4, 1))
optimizer = torch.optim.Adam(itertools.chain(policy.parameters(), value.parameters()), lr=1e-2)
for episode in range(8):
    states = normal(10, 4, seed=episode)
    log_probs, values, rewards, entropies = [], [], [], []
    for t, s in enumerate(states):
        state = torch.as_tensor(s, dtype=torch.float32)
        dist = Categorical(logits=policy(state))
        action = torch.tensor((t + episode) % 3)     # as if sampled
        log_probs.append(dist.log_prob(action))
        entropies.append(dist.entropy())
        values.append(value(state))
        rewards.append(float(np.cos(t * episode)))
    R, returns = 0.0, []
    for r in rewards[::-1]:
        R = r + 0.99 * R
        returns.insert(0, R)
    returns = torch.tensor(returns)
    returns = (returns - returns.mean()) / (returns.std() + 1e-8)
    v = torch.cat(values)
    advantage = returns - v.detach()
    loss = -(torch.stack(log_probs) * advantage).sum() + nn.functional.smooth_l1_loss(v, returns) - 0.01 * torch.stack(entropies).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    record(loss.item(), advantage.abs().max().item())
a, b = Normal(torch.zeros(3), torch.ones(3)), Normal(torch.tensor([0.5, 1.0, -1.0]), 2.0)
record(kl_divergence(a, b), b.log_prob(torch.ones(3)), Categorical(probs=torch.tensor([0.1, 0.2, 0.7])).probs, int(dist.sample()) in (0, 1, 2))
