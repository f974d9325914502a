"""What programs print: tensors of many kinds, modules, parameters, formats in f-strings, shapes, devices."""
import torch
from start import normal, record
from torch import nn


def shown(x):
    return repr(x).replace("minitorch", "torch").replace("torch.", "")


x = torch.tensor(normal(2, 3))
net = nn.Sequential(nn.Linear(3, 2), nn.ReLU())
for thing in (x, x * 1e6, x > 0, x.long(), torch.zeros(0, 3), torch.tensor(3.5), torch.arange(1001), torch.ones(2, requires_grad=True),
              x.double() / 3, torch.tensor([1e-9, 1.0]), torch.tensor([float("nan"), float("inf"), -1.0]), net, x.shape, x.device,
              torch.eye(3), torch.full((2, 2), 7), torch.tensor([[True], [False]]), x[0].sum() * torch.ones((), requires_grad=True)):
    record(shown(thing))
record(f"{x.mean():.3f} {x.mean().item():8.4f} {x.sum().item():.2e}", f"loss: {float(x.sum()):.4f}", shown(x.shape))
record(f"{x[0, 0].item():>8.3f}", f"{torch.tensor(3)}", f"{torch.tensor(3):05d}", str(x.dtype).split(".")[-1], shown(net[0]))
record([(n, tuple(p.shape), p.requires_grad) for n, p in net.named_parameters()], shown(dict(net.named_children()).keys()))
torch.set_printoptions(precision=2, sci_mode=False)
record(shown(x))
torch.set_printoptions(profile="default")
