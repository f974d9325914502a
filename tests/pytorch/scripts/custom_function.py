"""Custom autograd functions: straight-through rounding, a clipped exponential with saved tensors, gradient reversal, gradcheck."""
import torch
from start import normal, record, same
from torch.autograd import Function


class Round(Function):
    @staticmethod
    def forward(ctx, x):
        return x.round()

    @staticmethod
    def backward(ctx, g):
        return g


class ClippedExp(Function):
    @staticmethod
    def forward(ctx, x, top=3.0):
        y = x.exp().clamp(max=top)
        ctx.save_for_backward(y)
        ctx.top = top
        return y

    @staticmethod
    def backward(ctx, g):
        y, = ctx.saved_tensors
        return g * y * (y < ctx.top).type_as(y), None


class Reverse(Function):
    @staticmethod
    def forward(ctx, x, scale):
        ctx.scale = scale
        return x.view_as(x)

    @staticmethod
    def backward(ctx, g):
        return g.neg() * ctx.scale, None


net, critic = same(torch.nn.Linear(4, 5)), same(torch.nn.Linear(5, 2))
optimizer = torch.optim.SGD([{"params": net.parameters()}, {"params": critic.parameters(), "lr": 0.02}], lr=0.1, momentum=0.5)
x, y = torch.tensor(normal(20, 4)), torch.tensor([0, 1] * 10)
for step in range(15):
    h = ClippedExp.apply(net(x), 2.5)
    quantised = Round.apply(h * 4) / 4
    loss = quantised.mean(1).sub(1).square().mean() + torch.nn.functional.cross_entropy(critic(Reverse.apply(h, 0.1)), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    record(loss.item())
record(torch.autograd.gradcheck(ClippedExp.apply, (torch.randn(4, dtype=torch.double, requires_grad=True) * 0.1, 3.0)))
