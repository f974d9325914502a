"""Sub-pixel convolution with Charbonnier, perceptual and total-variation losses; weights of one network frozen by eval and no_grad; PSNR."""
import torch
import torch.nn as nn
import torch.nn.functional as F
from start import normal, record, same


class SR(nn.Module):
    def __init__(self, factor=2):
        super().__init__()
        self.net = nn.Sequential(nn.ReflectionPad2d(1), nn.Conv2d(1, 6, 3), nn.PReLU(6), nn.InstanceNorm2d(6, affine=True),
                                 nn.Conv2d(6, factor ** 2, 3, padding=1, padding_mode="replicate"), nn.PixelShuffle(factor))

    def forward(self, x):
        return self.net(x) + F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def total_variation(x):
    return (x[..., 1:, :] - x[..., :-1, :]).pow(2).mean() + (x[..., :, 1:] - x[..., :, :-1]).pow(2).mean()


def psnr(a, b):
    return -10 * torch.log10(F.mse_loss(a, b))


model, critic = same(SR()), same(nn.Sequential(nn.Conv2d(1, 4, 3), nn.ELU(), nn.AvgPool2d(2))).eval()
critic.requires_grad_(False)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2, eps=1e-5)         # so that rounding, all the gradient that a bias has which the
# norm takes out again, makes no steps
scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones=[5, 8], gamma=0.1)
big = torch.tensor(normal(3, 1, 8, 8)).sigmoid()
small = F.avg_pool2d(big, 2)
for step in range(12):
    out = model(small)
    loss = torch.sqrt((out - big).pow(2) + 1e-2).mean() + 0.1 * F.mse_loss(critic(out), critic(big)) + 1e-2 * total_variation(out)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    scheduler.step()
    record(loss.item(), psnr(out.detach(), big).item(), scheduler.get_last_lr())
record([p.grad is None for p in critic.parameters()], out.min().item() < out.max().item())
