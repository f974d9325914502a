"""A variational autoencoder draws digits: by its bound, test images are 95 nats more likely than by independent pixels.

    python examples/vae.py                           scikit-learn's digits of 8 x 8, as points of a plane
    python examples/vae.py --latent 8                ... of a space of eight dimensions: a better bound, no plane to look at

Kingma & Welling 2013, "Auto-Encoding Variational Bayes".  A pixel of these digits counts which of 4 x 4 dots are black, so its value
0 to 16 is binomial, and the bound is one of the probability of the image itself: log p(x) >= E[log p(x | z)] - KL(q(z | x) || p(z)).
Writes vae.png to --out: samples, the decoded plane and where the test images lie in it.
"""
import argparse
import math
import sys
from pathlib import Path

from digits import positive
from pictures import draw, pixel_digits, shown
from text_training import command, natural, size, train

import minitorch as torch
from minitorch import nn, optim
from minitorch.nn import functional as F
from minitorch.utils.data import DataLoader, TensorDataset

LEVELS = 16                                          # dots to a pixel
LOG_WAYS = torch.tensor([math.log(math.comb(LEVELS, k)) for k in range(LEVELS + 1)])           # to have k of them black


class VAE(nn.Module):
    """An encoder x -> the mean and the log variance of q(z | x), and a decoder z -> logits of the pixels' p."""

    def __init__(self, pixels, hidden, latent):
        super().__init__()
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(pixels, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(),
                                     nn.Linear(hidden, 2 * latent))
        self.decoder = nn.Sequential(nn.Linear(latent, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(), nn.Linear(hidden, pixels))

    def encode(self, x):
        """(N, 1, H, W) -> mean and log variance, (N, latent) each."""
        return self.encoder(x).chunk(2, 1)

    def forward(self, x):
        """Logits (N, pixels) of a reconstruction, mean and log variance."""
        mean, log_var = self.encode(x)
        return self.decoder(reparametrised(mean, log_var)), mean, log_var


def reparametrised(mean, log_var):
    """A draw from N(mean, e^log_var), as a function of the two with noise from outside: so gradients reach them."""
    return mean + (log_var / 2).exp() * torch.randn_like(mean)


def kl(mean, log_var):
    """KL(N(mean, e^log_var) || N(0, 1)), summed over the latent axes: (N,)."""
    return 0.5 * (mean ** 2 + log_var.exp() - 1 - log_var).sum(1)


def log_likelihood(logits, x):
    """log p of images x in 0, 1/16, ... 1, each pixel binomial with p = sigmoid(logit): (N,) for (N, pixels)."""
    x = x.flatten(1)
    return (LOG_WAYS[(LEVELS * x).round().long()] - LEVELS * F.binary_cross_entropy_with_logits(logits, x, reduction="none")).sum(1)


def elbo(model, x):
    """The evidence lower bound of each image by one draw of z, in nats: (N,)."""
    logits, mean, log_var = model(x)
    return log_likelihood(logits, x) - kl(mean, log_var)


def independent(images, test_images):
    """Mean log p of the test images where each pixel is binomial by itself, with its mean over the training images."""
    p = images.flatten(1).mean(0).clamp(0.5 / LEVELS / len(images), 1 - 0.5 / LEVELS / len(images))
    return log_likelihood(torch.logit(p).expand(len(test_images), -1), test_images).mean().item()


def measured(model, images, draws=20):
    """(the mean bound over images, in nats, by several draws of z; mean absolute error of a reconstructed pixel)."""
    model.eval()
    with torch.no_grad():
        bound = sum(elbo(model, images).mean().item() for _ in range(draws)) / draws
        mean, _ = model.encode(images)
        error = (model.decoder(mean).sigmoid() - images.flatten(1)).abs().mean().item()
    return bound, error


def decoded(model, z, shape):
    """What points of the latent space look like: (N, 1, H, W)."""
    with torch.no_grad():
        return model.decoder(z).sigmoid().reshape(-1, *shape)


def plane(steps):
    """A grid over the plane, equally likely under N(0, 1) from row to row and from column to column: (steps^2, 2)."""
    quantiles = (torch.arange(steps) + 0.5) / steps
    at = 2 ** 0.5 * torch.erfinv(2 * quantiles - 1)
    return torch.cartesian_prod(at.flip(0), at).flip(1)                  # up is up


def picture(model, images, labels, path):
    """Samples, and where z is a plane what its points decode to and where images lie; the words that tell of it."""
    latent, shape = model.decoder[0].in_features, images.shape[1:]
    panels = [("samples", shown(decoded(model, torch.randn(144, latent), shape), 12))]
    if latent == 2:
        with torch.no_grad():
            mean = model.encode(images)[0].numpy()

        def points(axes):
            dots = axes.scatter(mean[:, 0], mean[:, 1], c=labels.numpy(), cmap="tab10", vmin=-0.5, vmax=9.5, s=12)
            axes.figure.colorbar(dots, ax=axes, ticks=range(10))
        panels += [("the plane", shown(decoded(model, plane(12), shape), 12)), ("test images in it", points)]
    return draw(path, *panels)


def parse(argv):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--latent", type=positive(int), default=2, help="dimensions of z (default: 2)")
    parser.add_argument("--hidden", type=positive(int), default=256, help="units of a hidden layer (default: 256)")
    parser.add_argument("--epochs", type=positive(int), default=80, help="default: 80")
    parser.add_argument("--batch-size", type=positive(int), default=64)
    parser.add_argument("--lr", type=positive(float), default=0.003, help="learning rate, at its highest")
    parser.add_argument("--seed", type=natural, default=0)
    parser.add_argument("--out", metavar="FOLDER", type=Path, default=Path("vae-out"), help="where to write (default: vae-out)")
    return parser.parse_args(argv)


def run(argv):
    args = parse(argv)
    torch.manual_seed(args.seed)
    images, labels, test_images, test_labels = pixel_digits()
    args.out.mkdir(parents=True, exist_ok=True)
    model = VAE(images[0].numel(), args.hidden, args.latent)
    loader = DataLoader(TensorDataset(images), args.batch_size, shuffle=True)
    optimizer = optim.Adam(model.parameters(), args.lr)
    schedule = optim.lr_scheduler.OneCycleLR(optimizer, args.lr, epochs=args.epochs, steps_per_epoch=len(loader))
    print(f"{len(images)} digits to train, {len(test_images)} to test; {size(model)}", flush=True)
    train(model, loader, lambda batch: -elbo(model, batch[0]).mean(), optimizer, schedule, args.epochs,
          lambda: f"test bound {measured(model, test_images, 1)[0]:.1f} nats", clip=100.0)
    bound, error = measured(model, test_images)
    alone = independent(images, test_images)
    print(picture(model, test_images, test_labels, args.out / "vae.png"))
    return (f"log p of a test image at least {bound:.1f} nats, {bound - alone:.1f} above independent pixels ({alone:.1f}); "
            f"a pixel reconstructed to {error:.3f}")


def main(argv=None):
    return command("vae.py", run, argv)


if __name__ == "__main__":
    sys.exit(main())
