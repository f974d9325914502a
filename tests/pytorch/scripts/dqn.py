"""Deep Q-learning: replay in a deque, target network by state_dict, gather of actions, Huber loss, clamped gradients, soft updates."""
import copy
import random
from collections import deque, namedtuple

import torch
import torch.nn as nn
import torch.nn.functional as F
from start import normal, record, same, whole

Transition = namedtuple("Transition", "state action reward next_state done")
random.seed(0)
q_net = same(nn.Sequential(nn.Linear(4, 12), nn.ReLU(), nn.Linear(12, 2)))
target = copy.deepcopy(q_net)
target.load_state_dict(q_net.state_dict())
target.eval()
optimizer = torch.optim.RMSprop(q_net.parameters(), lr=1e-3, alpha=0.95, eps=0.01)
memory = deque(maxlen=50)
for t in range(40):
    s, s2 = torch.tensor(normal(1, 4, seed=t)), torch.tensor(normal(1, 4, seed=t + 1))
    memory.append(Transition(s, torch.tensor([[int(whole(high=2, seed=t))]]), torch.tensor([float(t % 3 - 1)]), s2, torch.tensor([t % 7 == 0])))
for step in range(15):
    batch = Transition(*zip(*random.sample(memory, 8)))
    state, action = torch.cat(batch.state), torch.cat(batch.action)
    reward, done = torch.cat(batch.reward), torch.cat(batch.done)
    chosen = q_net(state).gather(1, action).squeeze(1)
    with torch.no_grad():
        best = target(torch.cat(batch.next_state)).max(1)[0]
        best[done] = 0.0
        wanted = reward + 0.9 * best * (~done).float()
    loss = F.smooth_l1_loss(chosen, wanted)
    optimizer.zero_grad()
    loss.backward()
    for p in q_net.parameters():
        p.grad.data.clamp_(-1, 1)
    optimizer.step()
    for p, q in zip(target.parameters(), q_net.parameters()):
        p.data.mul_(0.95).add_(q.data, alpha=0.05)
    record(loss.item(), target[0].weight.sum().item())
