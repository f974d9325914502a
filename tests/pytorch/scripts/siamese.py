"""Siamese and triplet networks: shared weights, cosine and contrastive losses, pairwise distances, nearest neighbours, hooks."""
import torch
import torch.nn as nn
import torch.nn.functional as F
from start import normal, record, same


class ContrastiveLoss(nn.Module):
    def __init__(self, margin=1.0):
        super().__init__()
        self.margin = margin

    def forward(self, a, b, label):
        d = F.pairwise_distance(a, b)
        return torch.mean((1 - label) * d.pow(2) + label * torch.clamp(self.margin - d, min=0.0).pow(2))


seen = []
net = same(nn.Sequential(nn.Linear(6, 10), nn.PReLU(), nn.Linear(10, 4)))
handle = net[1].register_forward_hook(lambda module, args, output: seen.append(tuple(output.shape)))
net[2].register_full_backward_hook(lambda module, grad_in, grad_out: seen.append(grad_out[0].abs().sum().item()))
contrast, cosine, triplet = ContrastiveLoss(2.0), nn.CosineEmbeddingLoss(margin=0.1), nn.TripletMarginLoss(margin=0.5, p=2)
optimizer = torch.optim.Adagrad(net.parameters(), lr=0.05)
for step in range(12):
    a, p, n = (torch.from_numpy(normal(8, 6, seed=3 * step + i)) for i in range(3))
    label = torch.tensor([0.0, 1.0] * 4)
    ea, ep, en = net(a), net(p), net(n)
    loss = contrast(ea, ep, label) + cosine(ea, en, 1 - 2 * label) + triplet(ea, ep, en)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    record(loss.item())
    if step == 0:
        handle.remove()
record(seen)
with torch.no_grad():
    emb = F.normalize(net(a), dim=1)
    sim = emb @ emb.t()
    sim.fill_diagonal_(-1)
    record(sim.argmax(1), torch.cdist(emb, emb).topk(3, largest=False).indices, F.cosine_similarity(emb[:4], emb[4:]))
