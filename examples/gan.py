"""A generative adversarial network invents digits: a separate classifier reads over 70 % of them with confidence, and finds all ten.

    python examples/gan.py                           scikit-learn's digits of 8 x 8

Goodfellow et al. 2014: a generator turns noise into images, a discriminator tells them from real ones, and each learns from
the other.  So that the discriminator cannot run ahead, it pays for the slope of its score at real images (Mescheder et al. 2018):
a loss with a gradient in it, whose own gradient is a second derivative.  Drawn is the moving average of the generators.
A classifier trained on the same real digits judges 2,000 inventions: how many it reads with more than 90 % confidence, and how
many of each digit.  Writes gan.png to --out.
"""
import argparse
import math
import sys
from pathlib import Path

from digits import Mistake, Net, positive
from pictures import batches, draw, pixel_digits, shown
from text_training import command, natural, size

import minitorch as torch
from minitorch import nn, optim
from minitorch.nn import functional as F


class Generator(nn.Module):
    """Noise (N, noise) -> images (N, 1, 8, 8) in 0..1."""

    def __init__(self, noise, hidden):
        super().__init__()
        self.noise = noise
        self.layers = nn.Sequential(nn.Linear(noise, hidden), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Linear(hidden, hidden),
                                    nn.BatchNorm1d(hidden), nn.ReLU(), nn.Linear(hidden, 8 * 8), nn.Sigmoid(), nn.Unflatten(1, (1, 8, 8)))

    def forward(self, z):
        return self.layers(z)

    def draw(self, n):
        """`n` new images."""
        return self(torch.randn(n, self.noise))


def discriminator(hidden):
    """Images (N, 1, 8, 8) -> scores (N, 1), high for real ones: the logit of the probability that one is."""
    return nn.Sequential(nn.Flatten(), nn.Linear(8 * 8, hidden), nn.LeakyReLU(0.2), nn.Linear(hidden, hidden), nn.LeakyReLU(0.2),
                         nn.Linear(hidden, 1))


def slope(judge, real):
    """Half the squared length of the score's gradient in the pixels, the mean over images: itself a function to differentiate."""
    real = real.clone().requires_grad_()
    gradient, = torch.autograd.grad(judge(real).sum(), real, create_graph=True)
    return 0.5 * gradient.square().flatten(1).sum(1).mean()


def judged(real, fake):
    """The discriminator's loss: -log of the probability that it gives to the truth, for scores of real and of invented images."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def average(kept, model, share):
    """Weights of `kept` move by `share` of the way to those of `model`; the norms' statistics are taken over."""
    with torch.no_grad():
        for p, q in zip(kept.parameters(), model.parameters()):
            p.lerp_(q, share)
        for p, q in zip(kept.buffers(), model.buffers()):
            p.copy_(q)


def play(generator, judge, images, args, say):
    """Let both learn; the average generator."""
    kept = Generator(generator.noise, args.hidden)
    kept.load_state_dict(generator.state_dict())
    of_generator = optim.Adam(generator.parameters(), args.lr, betas=(0.5, 0.99))
    of_judge = optim.Adam(judge.parameters(), 2 * args.lr, betas=(0.5, 0.99))
    for epoch in range(1, args.epochs + 1):
        sums, rows = [0.0, 0.0], batches(len(images), args.batch_size)
        for step, row in enumerate(rows):
            real = images[row]
            of_judge.zero_grad()
            with torch.no_grad():
                fake = generator.draw(len(real))
            loss = judged(judge(real), judge(fake))
            if step % 4 == 0:                        # a quarter of the steps, at four times the price
                loss = loss + 4 * args.slope * slope(judge, real)
            loss.backward()
            of_judge.step()
            of_generator.zero_grad()
            flattery = F.softplus(-judge(generator.draw(len(real)))).mean()
            flattery.backward()
            of_generator.step()
            average(kept, generator, 0.01)
            sums = [sums[0] + loss.item(), sums[1] + flattery.item()]
        if not all(map(math.isfinite, sums)):
            raise Mistake(f"the losses are {sums} in epoch {epoch}: try a lower --lr")
        if epoch % max(1, args.epochs // 15) == 0 or epoch == args.epochs:
            say(f"epoch {epoch:3}/{args.epochs}  loss of the discriminator {sums[0] / len(rows):.3f}, of the generator {sums[1] / len(rows):.3f}")
    return kept.eval()


def trained_classifier(images, labels, epochs=25):
    """A network that reads real digits, which the generator never sees."""
    net = Net(8, 8)
    optimizer = optim.Adam(net.parameters(), 0.003)
    for _ in range(epochs):
        for row in batches(len(images), 64):
            optimizer.zero_grad()
            F.cross_entropy(net(2 * images[row] - 1), labels[row]).backward()
            optimizer.step()
    return net.eval()


def read(classifier, images):
    """(confidence, digit) of each image."""
    with torch.no_grad():
        best = classifier(2 * images - 1).softmax(1).max(1)
    return best.values, best.indices


def nearest(images, others):
    """The mean distance from an image to the nearest of the others, by pixels."""
    return torch.cdist(images.flatten(1), others.flatten(1)).min(1).values.mean().item()


def parse(argv):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=positive(int), default=150, help="default: 150")
    parser.add_argument("--noise", type=positive(int), default=32, help="numbers that an image is made of (default: 32)")
    parser.add_argument("--hidden", type=positive(int), default=256, help="units of a hidden layer (default: 256)")
    parser.add_argument("--slope", type=positive(float), default=1.0, help="price of the score's slope (default: 1)")
    parser.add_argument("--batch-size", type=positive(int), default=64)
    parser.add_argument("--lr", type=positive(float), default=0.0005, help="the generator's; the discriminator's is twice that")
    parser.add_argument("--seed", type=natural, default=0)
    parser.add_argument("--out", metavar="FOLDER", type=Path, default=Path("gan-out"), help="where to write (default: gan-out)")
    return parser.parse_args(argv)


def run(argv):
    args = parse(argv)
    torch.manual_seed(args.seed)
    images, labels, test_images, test_labels = pixel_digits()
    args.out.mkdir(parents=True, exist_ok=True)
    generator, judge = Generator(args.noise, args.hidden), discriminator(args.hidden)
    print(f"{len(images)} digits; generator {size(generator)}, discriminator {size(judge)}", flush=True)
    kept = play(generator, judge, images, args, lambda line: print(line, flush=True))
    classifier = trained_classifier(images, labels)
    confidence, digit = read(classifier, test_images)
    print(f"the classifier reads {(digit == test_labels).float().mean().item():.1%} of the test digits rightly, "
          f"{(confidence > 0.9).float().mean().item():.1%} with confidence")
    with torch.no_grad():
        invented = kept.draw(2000)
    confidence, digit = read(classifier, invented)
    counts = torch.bincount(digit[confidence > 0.9], minlength=10).tolist()
    print("inventions read with confidence: " + ", ".join(f"{d}: {n}" for d, n in enumerate(counts)))
    print(f"from an invention to the nearest training digit: {nearest(invented, images):.2f}; from a test digit: {nearest(test_images, images):.2f}")
    order = torch.argsort(digit[:144])
    print(draw(args.out / "gan.png", ("invented", shown(invented[:144][order], 12)), ("real", shown(images[torch.argsort(labels[:144])], 12))))
    return (f"{sum(counts) / len(invented):.1%} of {len(invented)} inventions read with over 90 % confidence, "
            f"{sum(n > 0 for n in counts)} digits among them, the rarest {min(counts) / len(invented):.1%}")


def main(argv=None):
    return command("gan.py", run, argv)


if __name__ == "__main__":
    sys.exit(main())
