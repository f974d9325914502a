"""Read handwritten digits with a small convolutional network: conv32 - pool - conv64 - pool - dense.

    python examples/digits.py                        scikit-learn's 1,797 digits of 8 x 8: 99 % after 40 epochs, in seconds
    python examples/digits.py --data FOLDER          MNIST's four IDX files (gzip or not) in FOLDER: 99 % after 3 epochs
    python examples/digits.py --resume               go on after a Ctrl-C, a crash or a kill

Writes checkpoint.safetensors, weights.safetensors and curves.png to --out.  A checkpoint holds all that the rest of the
training depends on: weights, optimizer, schedule, random numbers, place in the data.  Killed at any
moment and resumed, a run ends in bit for bit the weights of one that was left alone.
"""
import argparse
import signal
import sys
import time
from pathlib import Path

import numpy as np
from digits_data import mnist_digits, scikit_learn_digits

import minitorch as torch
from minitorch import nn, optim
from minitorch.nn import functional as F
from minitorch.utils.data import DataLoader, Sampler

try:
    from tqdm import tqdm
except ImportError:
    tqdm = None


class Mistake(Exception):
    """Something the user can put right; shown as one line."""


# ---- the order of the data --------------------------------------------------------------------------

class Shuffled(Sampler):
    """Every index once, in an order that depends on (seed, epoch) alone, from place `start` on."""

    def __init__(self, size, seed):
        self.size, self.seed, self.epoch, self.start = size, seed, 0, 0

    def __iter__(self):
        generator = torch.Generator().manual_seed((self.seed * 1_000_003 + self.epoch) % 2 ** 63)
        yield from torch.randperm(self.size, generator=generator).tolist()[self.start:]

    def __len__(self):
        return self.size - self.start


def jittered(images, background):
    """Each image moved by one pixel up, down, left or right, one time in six each."""
    n, _, h, w = images.shape
    padded = F.pad(images, (1, 1, 1, 1), value=background)                      # (n, 1, h + 2, w + 2)
    down, right = ((torch.randint(0, 6, (n, 1, 1)) + 3) // 4 for _ in range(2))      # 0 1 1 1 1 2, where 1 is the middle
    rows, columns = torch.arange(h).reshape(h, 1) + down, torch.arange(w) + right    # (n, h, 1), (n, 1, w)
    return padded[torch.arange(n).reshape(n, 1, 1), 0, rows, columns].unsqueeze(1)


# ---- the network ------------------------------------------------------------------------------------

class Net(nn.Module):
    """(N, 1, H, W) -> (N, 10) scores."""

    def __init__(self, height, width):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3, padding=1)
        self.conv2 = nn.Conv2d(32, 64, 3, padding=1)
        self.dropout = nn.Dropout(0.3)
        self.dense = nn.Linear(64 * (height // 4) * (width // 4), 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)                               # (N, 32, H/2, W/2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)                               # (N, 64, H/4, W/4)
        return self.dense(self.dropout(x.flatten(1)))


# ---- training ---------------------------------------------------------------------------------------

class Training:
    """A network on its way: everything that a checkpoint must hold, and the step that moves it on."""

    def __init__(self, args, data):
        torch.manual_seed(args.seed)
        self.args, self.data = args, data
        self.model = Net(*data.train.tensors[0].shape[2:]).to(args.device)
        self.optimizer = optim.Adam(self.model.parameters(), lr=args.lr)
        self.order = Shuffled(len(data.train), args.seed)
        # A loader draws a seed for its workers: from a generator of its own, so that a resumed epoch draws no extra global number.
        self.loader = DataLoader(data.train, args.batch_size, sampler=self.order, generator=torch.Generator())
        self.steps_per_epoch = len(self.loader)
        self.scheduler = optim.lr_scheduler.CosineAnnealingLR(self.optimizer, self.steps_per_epoch * args.epochs)
        self.epoch = self.step = 0                   # finished epochs; finished steps of the present one
        self.loss_sum = 0.0                          # over the present epoch's steps
        self.history = []                            # per epoch: mean loss, test accuracy
        self.generators = {kind: torch.random.default_for(kind) for kind in {"cpu", args.device}}
        self.path = args.out / "checkpoint.safetensors"

    def settings(self):
        """What a resumed run must have in common with the interrupted one."""
        return {**{name: getattr(self.args, name) for name in ("epochs", "batch_size", "lr", "seed")}, "data": self.data.fingerprint()}

    def save(self):
        """Replace the checkpoint by one of this moment."""
        torch.save({"settings": self.settings(), "model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(),
                    "scheduler": self.scheduler.state_dict(), "random": {kind: g.get_state() for kind, g in self.generators.items()},
                    "epoch": self.epoch, "step": self.step, "loss_sum": self.loss_sum, "history": self.history}, self.path)

    def resume(self):
        """Go on where the checkpoint stands."""
        path = self.path
        if not path.exists():
            print(f"no {path} yet: starting from the beginning")
            return
        try:
            state = torch.load(path)
            saved = state["settings"]
            for name, now in self.settings().items():
                if saved[name] != now:
                    raise Mistake(f"{path} was made with {name} {saved[name]}, not {now}: give the same options, or leave out --resume")
            self.model.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.scheduler.load_state_dict(state["scheduler"])
            for kind, generator in self.generators.items():
                generator.set_state(state["random"][kind])
            self.epoch, self.step, self.loss_sum = state["epoch"], state["step"], state["loss_sum"]
            self.history = [tuple(row) for row in state["history"]]
        except (OSError, RuntimeError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise Mistake(f"cannot resume from {path}: {type(error).__name__}: {error}") from None
        print(f"resumed after epoch {self.epoch} of {self.args.epochs}, step {self.step} of {self.steps_per_epoch}")

    def train_on(self, images, labels):
        """One step of gradient descent."""
        images = jittered(images, self.data.background).to(self.args.device)
        self.optimizer.zero_grad()
        loss = F.cross_entropy(self.model(images), labels.to(self.args.device))
        loss.backward()
        self.optimizer.step()
        self.scheduler.step()
        self.step += 1
        self.loss_sum += loss.item()
        return loss

    def run(self, stop):
        """Train to the end, or until `stop.asked`; True at the end."""
        args = self.args
        with Progress(self.steps_per_epoch * args.epochs, self.steps_per_epoch * self.epoch + self.step) as progress:
            while self.epoch < args.epochs:
                self.order.epoch, self.order.start = self.epoch, self.step * args.batch_size
                self.model.train()
                for images, labels in self.loader:
                    self.train_on(images, labels)
                    progress.step(self.loss_sum / self.step)
                    if stop.asked or self.step % args.checkpoint_every == 0:
                        self.save()
                    if stop.asked:
                        return False
                self.history.append((self.loss_sum / self.steps_per_epoch, accuracy(self.answers())))
                self.epoch, self.step, self.loss_sum = self.epoch + 1, 0, 0.0
                self.save()
                progress.say(f"epoch {self.epoch:2}/{args.epochs}  loss {self.history[-1][0]:.4f}  test accuracy {self.history[-1][1]:.2%}")
        return True

    def answers(self):
        """(10, 10) counts over the test set: rows are the digits, columns what the network says."""
        self.model.eval()
        counts = np.zeros((10, 10), int)
        with torch.no_grad():
            for images, labels in DataLoader(self.data.test, 256):
                said = self.model(images.to(self.args.device)).argmax(1).cpu()
                np.add.at(counts, (labels.numpy(), said.numpy()), 1)
        return counts


def accuracy(counts):
    return float(counts.trace() / counts.sum())


class Progress:
    """A bar by tqdm where that is installed and somebody watches; the lines in any case."""

    def __init__(self, total, done):
        self.bar = tqdm(total=total, initial=done, unit=" steps", disable=None, leave=False) if tqdm else None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.bar is not None:
            self.bar.close()

    def step(self, loss):
        if self.bar is not None:
            self.bar.set_postfix_str(f"loss {loss:.4f}", refresh=False)
            self.bar.update()

    def say(self, line):
        print(line, flush=True) if self.bar is None else self.bar.write(line)


class Stop:
    """Ctrl-C or a polite kill: the step at work is finished first; a second one ends at once."""

    def __init__(self):
        self.asked = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self.ask)

    def ask(self, number, frame):
        if self.asked:
            sys.exit(130)
        self.asked = True


# ---- what is shown at the end -----------------------------------------------------------------------

def confusion(counts):
    """The counts as a table."""
    lines = ["confusion matrix (rows: the digit; columns: the answer)", "     " + "".join(f"{d:6}" for d in range(10))]
    lines += [f"{d:5}" + "".join(f"{n or '.':>6}" for n in row) for d, row in enumerate(counts)]
    return "\n".join(lines)


def plot(history, path):
    """Loss and accuracy per epoch as a picture; a word where matplotlib is missing."""
    try:
        import matplotlib
    except ImportError:
        return "no curves.png: matplotlib is not installed (python -m pip install -e '.[examples]')"
    matplotlib.use("Agg")
    from matplotlib import pyplot
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
    epochs = range(1, len(history) + 1)
    left.semilogy(epochs, [loss for loss, _ in history])
    left.set(title="training loss", xlabel="epoch")
    right.plot(epochs, [100 * share for _, share in history], color="tab:green")
    right.set(title="test accuracy, %", xlabel="epoch")
    for axes in (left, right):
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
    return f"curves: {path}"


# ---- the command ------------------------------------------------------------------------------------

def positive(kind):
    """An argparse type: a number above zero."""
    def parse(text):
        value = kind(text)
        if not 0 < value < float("inf"):
            raise argparse.ArgumentTypeError(f"must be above zero, not {text}")
        return value
    parse.__name__ = kind.__name__
    return parse


def parse(argv):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", metavar="FOLDER", help="MNIST's IDX files instead of scikit-learn's digits")
    parser.add_argument("--epochs", type=positive(int), help="default: 40, with --data 3")
    parser.add_argument("--batch-size", type=positive(int), default=64)
    parser.add_argument("--lr", type=positive(float), help="default: 0.005, with --data 0.001")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--out", metavar="FOLDER", type=Path, default=Path("digits-out"), help="where to write (default: digits-out)")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out")
    parser.add_argument("--checkpoint-every", metavar="STEPS", type=positive(int), default=50, help="besides the end of each epoch")
    args = parser.parse_args(argv)
    if args.seed < 0:
        parser.error("argument --seed: must not be negative")
    args.epochs = args.epochs or (3 if args.data else 40)
    args.lr = args.lr or (0.001 if args.data else 0.005)
    return args


def check_device(name):
    try:
        torch.zeros(1, device=name)
    except RuntimeError as error:
        raise Mistake(f"--device {name}: {error}") from None


def load(folder):
    try:
        return mnist_digits(folder) if folder else scikit_learn_digits()
    except ValueError as error:
        raise Mistake(error) from None


def main(argv=None):
    args = parse(argv)
    stop = Stop()
    start = time.perf_counter()
    try:
        check_device(args.device)
        data = load(args.data)
        args.out.mkdir(parents=True, exist_ok=True)
        training = Training(args, data)
        print(f"{data.name}: {len(data.train)} to train, {len(data.test)} to test; "
              f"{sum(p.numel() for p in training.model.parameters()):,} weights on {args.device}", flush=True)
        for left_by_a_kill in args.out.glob(f".{training.path.name}.*.tmp"):
            left_by_a_kill.unlink()
        if args.resume:
            training.resume()
        training.save()                              # before the work: where it cannot be written, it says so now
        if not training.run(stop):
            print(f"stopped in epoch {training.epoch + 1} after step {training.step}; go on with --resume")
            return 130
        torch.save(training.model.state_dict(), args.out / "weights.safetensors")
    except (Mistake, OSError, ImportError) as error:
        print(f"digits.py: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    counts = training.answers()
    print(f"\n{confusion(counts)}\n\ntest accuracy {accuracy(counts):.2%} ({counts.trace()} of {counts.sum()}) "
          f"after {args.epochs} epochs, {time.perf_counter() - start:.1f} s")
    print(f"weights: {args.out / 'weights.safetensors'}\n{plot(training.history, args.out / 'curves.png')}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
