"""The index and mask tricks of data preparation: boolean masks, advanced indices, assignment, sorting, where, einops by hand."""
import torch
from start import normal, record, whole

x = torch.tensor(normal(4, 6))
x[x < -0.5] = 0
x[:, 1::2] *= 2
x[torch.arange(4), torch.tensor([0, 2, 4, 5])] = 9.0
x[-1] = torch.arange(6.0)
record(x, x[:, None, ..., :2].shape, x[x > 1].sum(), x[[0, 2]][:, [1, 3]], x[..., -1], x[torch.tensor([True, False, True, False])])
i = torch.tensor(whole(3, 4, high=5))
record(i.sort(dim=1, descending=True)[0], i.argsort(dim=-1, stable=True), torch.nonzero(i == 2), (i == 2).nonzero(as_tuple=True)[0], i.unique())
mask = torch.ones(3, 4).tril().bool()
scores = torch.tensor(normal(3, 4, seed=4)).masked_fill(~mask, float("-inf"))
record(scores.softmax(-1), torch.where(mask, scores, torch.zeros_like(scores)), mask.any(0), mask.all(dim=1), mask.long().cumsum(0))
y = torch.zeros(3, 5).scatter_(1, i[:, :1], 1.0)
y.scatter_add_(1, i, torch.ones(3, 4))
record(y, y.max(1).values, y.argmax(), y.topk(2, dim=0)[0], torch.take_along_dim(y, i, 1), y.index_select(1, torch.tensor([4, 0])))
patches = torch.arange(64.0).view(8, 8).unfold(0, 4, 4).unfold(1, 4, 4)
record(patches.shape, patches.contiguous().view(-1, 16).mean(1), torch.arange(24).view(2, 3, 4).permute(2, 0, 1).reshape(4, -1))
z = torch.tensor(normal(5, 3, seed=5), requires_grad=True)
part = z[1:4].clone()
part[:, 0] = part[:, 1] * 2
part[part > 0.5] = 0.5
part.sum().backward()
record(part, z.grad, len(z), z.shape[0], list(z.size()), z.numel(), z.dim(), [row.argmax().item() for row in z], bool((z > 0).any()))
a, b = torch.meshgrid(torch.arange(3), torch.arange(2), indexing="ij")
record(torch.stack((a, b), -1).flatten(0, 1), torch.cartesian_prod(torch.arange(2), torch.arange(2)), torch.combinations(torch.arange(4)).shape)
record(torch.bucketize(torch.tensor([0.1, 0.6]), torch.tensor([0.0, 0.5, 1.0])), torch.histc(x, 4, 0, 4), torch.flip(i, [1]), i.roll(1, 1))
w = torch.arange(10)
w[2:8:2] = torch.tensor([-1, -2, -3])
w[w % 3 == 0] += 100
record(w, w.tolist(), w.clamp(0, 50).float().mean().item(), w.float().std().item(), torch.quantile(w.float(), torch.tensor([0.25, 0.5])))
