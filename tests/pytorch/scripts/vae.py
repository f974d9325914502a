"""A variational autoencoder: reparametrisation from given noise, BCE sum, KL, annealing, convolution and its transpose."""
import torch
from start import normal, record, same
from torch import nn
from torch.nn import functional as F


class VAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(1, 4, 3, stride=2, padding=1), nn.ReLU(), nn.Flatten())
        self.mu, self.logvar = nn.Linear(64, 5), nn.Linear(64, 5)
        self.decoder = nn.Sequential(nn.Linear(5, 64), nn.Unflatten(1, (4, 4, 4)), nn.ReLU(),
                                     nn.ConvTranspose2d(4, 1, 3, stride=2, padding=1, output_padding=1), nn.Sigmoid())

    def reparameterize(self, mu, logvar, eps):
        std = torch.exp(0.5 * logvar)
        return mu + eps * std if self.training else mu

    def forward(self, x, eps):
        h = self.encoder(x)
        mu, logvar = self.mu(h), self.logvar(h)
        return self.decoder(self.reparameterize(mu, logvar, eps)), mu, logvar


model = same(VAE())
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
x = torch.tensor(normal(12, 1, 8, 8)).sigmoid()
for step in range(20):
    y, mu, logvar = model(x, torch.tensor(normal(12, 5, seed=step)))
    bce = F.binary_cross_entropy(y, x, reduction="sum")
    kld = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
    loss = (bce + min(1.0, step / 10) * kld) / len(x)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    record(bce.item(), kld.item(), loss.item())
model.eval()
with torch.no_grad():
    record(model(x, None)[0].shape == x.shape, model.decoder(torch.zeros(2, 5)).mean(dim=(1, 2, 3)))
