"""Four ways to keep a network from learning 100 digits by heart: noise and dropout help it read others, L1 empties over 75 % of its weights.

    python examples/penalties.py                     weight penalties L1 and L2, dropout, noise on the pixels, and nothing
    python examples/penalties.py --runs 10 --only l1 more runs of one of them

All networks see the same ten examples of each digit until they make no mistake on them.  What differs is what they pay
for: L1 adds the sum of absolute weights to the loss and leaves most of them below 0.001, L2 half the sum of squares and halves
their size, and both read the 360 test digits within a point of the network that pays nothing; dropout hides each hidden unit one time
in two (Srivastava et al. 2014), noise moves the pixels in every step, which is close to a penalty on slopes (Bishop 1995), and
both read more of them.  Figures are means over runs that differ in the digits drawn and in starting weights.
"""
import argparse
import sys
from typing import NamedTuple

from digits import Mistake, Progress, positive
from digits_data import scikit_learn_digits
from text_training import command, natural

import minitorch as torch
from minitorch import nn, optim
from minitorch.nn import functional as F

SMALL = 1e-3                                         # a weight below it counts as none


class Way(NamedTuple):
    """What a network pays, and what is done to it while it learns."""
    l1: float = 0.0
    l2: float = 0.0
    dropout: float = 0.0
    noise: float = 0.0                               # deviation, in units of the pixels' own


WAYS = {"nothing": Way(), "l2": Way(l2=0.003), "l1": Way(l1=0.0003), "dropout": Way(dropout=0.5), "noise": Way(noise=1.0)}


class Result(NamedTuple):
    """Of one network, or the mean of several."""
    train: float                                     # shares of right answers
    test: float
    small: float                                     # the share of weights below SMALL
    size: float                                      # root of the sum of squared weights


def network(hidden, dropout):
    """(N, 1, 8, 8) -> (N, 10) scores; unlike convolutions, it knows nothing of pictures."""
    return nn.Sequential(nn.Flatten(), nn.Linear(64, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, hidden), nn.ReLU(),
                         nn.Dropout(dropout), nn.Linear(hidden, 10))


def weights(model):
    """The matrices: biases pay nothing."""
    return [p for p in model.parameters() if p.ndim == 2]


def penalty(model, way):
    """What the weights cost."""
    cost = 0.0
    if way.l1:
        cost = cost + way.l1 * sum(w.abs().sum() for w in weights(model))
    if way.l2:
        cost = cost + way.l2 / 2 * sum((w ** 2).sum() for w in weights(model))
    return cost


def few(labels, each):
    """Rows of `each` examples of every digit, drawn at random."""
    order = torch.randperm(len(labels))
    rows = [order[labels[order] == digit][:each] for digit in range(10)]
    if min(map(len, rows)) < each:
        raise Mistake(f"--each: there are only {min(map(len, rows))} examples of a digit to train on")
    return torch.cat(rows)


def accuracy(model, images, labels):
    with torch.no_grad():
        return (model(images).argmax(1) == labels).float().mean().item()


def trained(way, images, labels, args, progress):
    """A network that learnt in this way, all examples at each step; the learning rate falls to nothing, so weights come to rest."""
    model = network(args.hidden, way.dropout)
    optimizer = optim.Adam(model.parameters(), lr=args.lr)
    schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, args.steps)
    for _ in range(args.steps):
        optimizer.zero_grad()
        seen = images + way.noise * torch.randn_like(images) if way.noise else images
        loss = F.cross_entropy(model(seen), labels) + penalty(model, way)
        loss.backward()
        optimizer.step()
        schedule.step()
        progress.step(loss.item())
    return model.eval()


def result(model, images, labels, test):
    everything = torch.cat([w.detach().abs().flatten() for w in weights(model)])
    return Result(accuracy(model, images, labels), accuracy(model, *test), (everything < SMALL).float().mean().item(),
                  everything.square().sum().sqrt().item())


def compared(ways, args):
    """{way: the mean result of all runs}, each run with its own digits and starting weights, the same for every way."""
    data = scikit_learn_digits()
    images, labels = data.train.tensors
    sums = {name: [0.0] * 4 for name in ways}
    with Progress(len(ways) * args.runs * args.steps, 0) as progress:
        for run in range(args.runs):
            for name in ways:
                torch.manual_seed(1000 * args.seed + run)
                rows = few(labels, args.each)
                one = result(trained(WAYS[name], images[rows], labels[rows], args, progress), images[rows], labels[rows], data.test.tensors)
                sums[name] = [a + b / args.runs for a, b in zip(sums[name], one)]
    return {name: Result(*means) for name, means in sums.items()}


def table(results):
    lines = [f"{'':9}  training  test     weights < {SMALL}  their size"]
    lines += [f"{name:9} {r.train:8.1%} {r.test:8.1%} {r.small:14.1%} {r.size:11.1f}" for name, r in results.items()]
    return "\n".join(lines)


def parse(argv):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=[n for n in WAYS if n != "nothing"], help="besides nothing")
    parser.add_argument("--runs", type=positive(int), default=5, help="to take the mean of (default: 5)")
    parser.add_argument("--each", type=positive(int), default=10, help="examples of a digit (default: 10)")
    parser.add_argument("--hidden", type=positive(int), default=128, help="units of each of two layers (default: 128)")
    parser.add_argument("--steps", type=positive(int), default=800, help="of gradient descent (default: 800)")
    parser.add_argument("--lr", type=positive(float), default=0.002, help="learning rate of the first (default: 0.002)")
    parser.add_argument("--seed", type=natural, default=0)
    return parser.parse_args(argv)


def run(argv):
    args = parse(argv)
    print(f"{10 * args.each} digits to train on, {args.runs} runs", flush=True)
    results = compared(["nothing", args.only] if args.only else list(WAYS), args)
    print(table(results))
    plain = results.pop("nothing")
    said = ", ".join(f"{name} {100 * (r.test - plain.test):+.1f}" for name, r in results.items())
    sparse = f"; L1 leaves {results['l1'].small:.0%} of the weights below {SMALL}" if "l1" in results else ""
    return f"test accuracy {plain.test:.1%} with nothing, in points from there: {said}{sparse}"


def main(argv=None):
    return command("penalties.py", run, argv)


if __name__ == "__main__":
    sys.exit(main())
