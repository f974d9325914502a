"""Read handwritten digits with a small convolutional network: conv32 - pool - conv64 - pool - dense.

    python examples/digits.py                        scikit-learn's 1,797 digits of 8 x 8: 99 % after 40 epochs, in seconds
    python examples/digits.py --data FOLDER          MNIST's four IDX files (gzip or not) in FOLDER: 99 % after 3 epochs
    python examples/digits.py --resume               go on after a Ctrl-C, a crash or a kill

Writes checkpoint.pt, weights.pt and curves.png to --out.  A checkpoint holds all that the rest of the
training depends on: weights, optimizer, schedule, random numbers, place in the data.  Killed at any
moment and resumed, a run ends in bit for bit the weights of one that was left alone.
"""
import argparse
import signal
import sys
import time
import zlib
from pathlib import Path
from typing import NamedTuple

import idx
import numpy as np

import minitorch as torch
from minitorch import nn, optim
from minitorch.nn import functional as F
from minitorch.utils.data import DataLoader, Sampler, TensorDataset

try:
    from tqdm import tqdm
except ImportError:
    tqdm = None


class Mistake(Exception):
    """Something the user can put right; shown as one line."""


# ---- the data ---------------------------------------------------------------------------------------

class Digits(NamedTuple):
    """Images (N, 1, H, W) of mean 0 and deviation 1, and labels (N,)."""
    name: str
    train: TensorDataset
    test: TensorDataset
    background: float                                # what an empty pixel became

    def fingerprint(self):
        """A line that differs for different data, for checkpoints."""
        sums = [zlib.crc32(t.numpy().tobytes()) for part in (self.train, self.test) for t in part.tensors]
        return f"{self.name} {len(self.train)}+{len(self.test)} {'-'.join(f'{s:08x}' for s in sums)}"


def prepared(name, images, labels, test_images, test_labels):
    """The arrays as Digits, in units of the training images' deviation."""
    mean, deviation = images.mean(dtype=np.float64), images.std(dtype=np.float64)

    def dataset(images, labels):
        scaled = ((images - mean) / max(deviation, 1e-9)).astype(np.float32)
        return TensorDataset(torch.from_numpy(scaled[:, None]), torch.from_numpy(labels.astype(np.int64)))
    return Digits(name, dataset(images, labels), dataset(test_images, test_labels), float(-mean / max(deviation, 1e-9)))


def scikit_learn_digits():
    """1,437 images to train and 360 to test, each digit in proportion, always the same."""
    try:
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split
    except ImportError:
        raise Mistake("the digits come with scikit-learn, which is not installed: python -m pip install -e '.[examples]' "
                      "(or read MNIST's files with --data FOLDER)") from None
    digits = load_digits()
    images, test_images, labels, test_labels = train_test_split(digits.images, digits.target, test_size=360, stratify=digits.target,
                                                                random_state=0)
    return prepared("scikit-learn's digits", images, labels, test_images, test_labels)


def mnist_digits(folder):
    """MNIST's 60,000 + 10,000 images, or any others in four files of its form."""
    if not Path(folder).is_dir():
        raise Mistake(f"--data: no folder {folder}")
    try:
        (images, labels), (test_images, test_labels) = (idx.read_labelled(folder, part) for part in ("train", "t10k"))
    except (ValueError, OSError) as error:
        raise Mistake(error) from None
    if images.shape[1:] != test_images.shape[1:]:
        raise Mistake(f"{folder}: training images of {images.shape[1:]} pixels, test images of {test_images.shape[1:]}")
    if min(images.shape[1:]) < 4:
        raise Mistake(f"{folder}: images of {images.shape[1:]} pixels; two poolings need at least 4 x 4")
    return prepared("MNIST files", images, labels, test_images, test_labels)


class Shuffled(Sampler):
    """Every index once, in an order that depends on (seed, epoch) alone, from place `start` on."""

    def __init__(self, size, seed):
        self.size, self.seed, self.epoch, self.start = size, seed, 0, 0

    def __iter__(self):
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        yield from torch.randperm(self.size, generator=generator).tolist()[self.start:]

    def __len__(self):
        return self.size - self.start


def jittered(images, background):
    """Each image moved by up to one pixel in each direction, at random."""
    n, _, h, w = images.shape
    padded = F.pad(images, (1, 1, 1, 1), value=background)                      # (n, 1, h + 2, w + 2)
    down, right = torch.randint(0, 3, (n, 1, 1)), torch.randint(0, 3, (n, 1, 1))
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

    def settings(self):
        """What a resumed run must have in common with the interrupted one."""
        return {**{name: getattr(self.args, name) for name in ("epochs", "batch_size", "lr", "seed")}, "data": self.data.fingerprint()}

    def save(self):
        torch.save({"settings": self.settings(), "model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(),
                    "scheduler": self.scheduler.state_dict(), "random": torch.get_rng_state(), "epoch": self.epoch, "step": self.step,
                    "loss_sum": self.loss_sum, "history": self.history}, self.args.out / "checkpoint.pt")

    def resume(self):
        """Go on where the checkpoint stands."""
        path = self.args.out / "checkpoint.pt"
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
            torch.set_rng_state(state["random"])
            self.epoch, self.step, self.loss_sum = state["epoch"], state["step"], state["loss_sum"]
            self.history = [tuple(row) for row in state["history"]]
        except (OSError, RuntimeError, ValueError, KeyError, TypeError) as error:
            reason = str(error).strip().splitlines() or [type(error).__name__]
            raise Mistake(f"cannot resume from {path}: {reason[0]}") from None
        print(f"resumed at epoch {self.epoch + 1}, step {self.step} of {self.steps_per_epoch}")

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


def main(argv=None):
    args = parse(argv)
    stop = Stop()
    start = time.perf_counter()
    try:
        check_device(args.device)
        data = mnist_digits(args.data) if args.data else scikit_learn_digits()
        args.out.mkdir(parents=True, exist_ok=True)
        training = Training(args, data)
        print(f"{data.name}: {len(data.train)} to train, {len(data.test)} to test; "
              f"{sum(p.numel() for p in training.model.parameters()):,} weights on {args.device}", flush=True)
        if args.resume:
            training.resume()
        if not training.run(stop):
            print(f"stopped in epoch {training.epoch + 1} after step {training.step}; go on with --resume")
            return 130
        torch.save(training.model.state_dict(), args.out / "weights.pt")
    except (Mistake, OSError) as error:
        print(f"digits.py: {error}", file=sys.stderr)
        return 1
    counts = training.answers()
    print(f"\n{confusion(counts)}\n\ntest accuracy {accuracy(counts):.2%} ({counts.trace()} of {counts.sum()}) "
          f"after {args.epochs} epochs, {time.perf_counter() - start:.1f} s")
    print(f"weights: {args.out / 'weights.pt'}\n{plot(training.history, args.out / 'curves.png')}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
