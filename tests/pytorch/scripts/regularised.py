"""Weight norms and parametrisations, L1 and orthogonal penalties, pruning by masks, spectral norm in evaluation, parameters to vectors."""
import torch
import torch.nn as nn
from start import normal, record, same
from torch.nn.utils import parameters_to_vector, vector_to_parameters
from torch.nn.utils.parametrizations import weight_norm


class Symmetric(nn.Module):
    def forward(self, w):
        return w.triu() + w.triu(1).transpose(-1, -2)


net = nn.Sequential(weight_norm(nn.Linear(4, 6)), nn.Softplus(), nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 1))
nn.utils.parametrize.register_parametrization(net[2], "weight", Symmetric())
same(net)
record(list(net.state_dict()), torch.equal(net[2].weight, net[2].weight.T))
optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
x, y = torch.tensor(normal(16, 4)), torch.tensor(normal(16, 1, seed=1))
for step in range(12):
    optimizer.zero_grad()
    loss = nn.MSELoss()(net(x), y)
    l1 = sum(p.abs().sum() for n, p in net.named_parameters() if "bias" not in n)
    w = net[2].weight
    ortho = torch.norm(w @ w.t() - torch.eye(6)) ** 2
    (loss + 1e-3 * l1 + 1e-3 * ortho).backward()
    optimizer.step()
    record(loss.item(), l1.item(), ortho.item())
vector = parameters_to_vector(net[4].parameters())
vector_to_parameters(vector * 0.5, net[4].parameters())
record(vector.shape, net[4].weight.sum().item() / vector[:-1].sum().item())
mask = (net[4].weight.abs() > net[4].weight.abs().median()).float()
with torch.no_grad():
    net[4].weight.mul_(mask)
record((net[4].weight == 0).sum().item(), torch.nn.utils.parametrize.is_parametrized(net[2]))
