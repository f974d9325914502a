"""Residual networks: a small one learns digits, at least 98 % of those that it has never seen; a big one looks at a photograph.

    python examples/resnet.py                        a ResNet-8 on scikit-learn's digits of 8 x 8
    python examples/resnet.py --data FOLDER          a ResNet-20 on CIFAR-10's binary files in FOLDER (hours on a processor)
    python examples/resnet.py --photo                a ResNet-18 on a photograph of 3 x 224 x 224, with random weights: saved and loaded
    python examples/resnet.py --photo --arch resnet50 --weights FILE --image FILE --labels FILE      ... with trained ones

The first two write weights.safetensors to --out, load them into a new network and see that it answers the same.  Weights for
--photo are a safetensors file of a state dict with torchvision's names; labels are a text file, one class a line.
"""
import argparse
import sys
import textwrap
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from cifar10 import read_cifar10, read_names
from digits import Mistake, positive
from digits_data import scikit_learn_digits
from text_training import command, natural, train

import minitorch as torch
from minitorch import nn, optim
from minitorch.models import resnet
from minitorch.nn import functional as F
from minitorch.utils.data import DataLoader, TensorDataset

# ---- a small network, for small images -----------------------------------------------------------------------------


class SmallResNet(nn.Module):
    """(N, channels, H, W) -> (N, classes) scores: three stages of `blocks` blocks with 16, 32 and 64 channels.

    6 blocks + 2 layers, of He et al. 2015, section 4.2.  The big ones halve an image five times: of 8 x 8 pixels nothing is left.
    """

    def __init__(self, channels, classes, blocks):
        super().__init__()
        self.stem = nn.Sequential(resnet.conv3x3(channels, 16), nn.BatchNorm2d(16), nn.ReLU(inplace=True))
        stages = [self.stage(16, 16, blocks, 1), self.stage(16, 32, blocks, 2), self.stage(32, 64, blocks, 2)]
        self.stages = nn.Sequential(*stages)
        self.fc = nn.Linear(64, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    @staticmethod
    def stage(before, width, blocks, stride):
        downsample = None
        if before != width:
            downsample = nn.Sequential(resnet.conv1x1(before, width, stride), nn.BatchNorm2d(width))
        first = resnet.BasicBlock(before, width, stride, downsample)
        return nn.Sequential(first, *[resnet.BasicBlock(width, width) for _ in range(1, blocks)])

    def forward(self, x):
        x = self.stages(self.stem(x))                                    # (N, 64, H / 4, W / 4)
        return self.fc(x.mean((2, 3)))


# ---- what it learns ------------------------------------------------------------------------------------------------


class Images(NamedTuple):
    """Images (N, C, H, W) of mean 0 and deviation 1 with labels, and how they may be varied."""
    name: str
    train: TensorDataset
    test: TensorDataset
    shift: int                                       # moved by up to so many pixels
    mirrored: bool                                   # left and right exchanged, one time in two
    border: float                                    # what moves in from outside


def digits():
    data = scikit_learn_digits()
    return Images(data.name, data.train, data.test, 1, False, data.background)


def cifar10(folder):
    """CIFAR-10, each colour scaled by the training images' mean and deviation."""
    try:
        images, labels, test_images, test_labels = read_cifar10(folder)
    except ValueError as error:
        raise Mistake(error) from None
    mean, deviation = (getattr(images, f)(axis=(0, 2, 3), keepdims=True, dtype=np.float64).astype("f4") for f in ("mean", "std"))

    def dataset(images, labels):
        scaled = (images.astype(np.float32) - mean) / np.maximum(deviation, 1e-3)
        return TensorDataset(torch.from_numpy(scaled), torch.from_numpy(labels.astype(np.int64)))
    return Images("CIFAR-10", dataset(images, labels), dataset(test_images, test_labels), 4, True, 0.0)


def varied(images, data):
    """Each image moved by up to `shift` pixels both ways, and mirrored one time in two where that makes sense."""
    n, channels, h, w = images.shape
    s = data.shift
    padded = F.pad(images, (s, s, s, s), value=data.border)                          # (n, C, h + 2s, w + 2s)
    down, right = (torch.randint(0, 2 * s + 1, (n, 1, 1, 1)) for _ in range(2))
    rows, columns = torch.arange(h).reshape(h, 1) + down, torch.arange(w) + right    # (n, 1, h, 1), (n, 1, 1, w)
    moved = padded[torch.arange(n).reshape(n, 1, 1, 1), torch.arange(channels).reshape(channels, 1, 1), rows, columns]
    if not data.mirrored:
        return moved
    return torch.where(torch.rand(n, 1, 1, 1) < 0.5, moved, moved.flip(3))


def accuracy(model, dataset):
    """The share of right answers."""
    model.eval()
    with torch.no_grad():
        return sum(int((model(images).argmax(1) == labels).sum()) for images, labels in DataLoader(dataset, 256)) / len(dataset)


def learn(args):
    """Train, save, load; the last line."""
    data = cifar10(args.data) if args.data else digits()
    epochs, blocks = args.epochs or (100 if args.data else 12), args.blocks or (3 if args.data else 1)
    if min(args.batch_size, len(data.train)) < 2:
        raise Mistake("a batch of one image has no variance to normalise by: --batch-size must be at least 2")
    channels, classes = data.train.tensors[0].shape[1], 10
    model = SmallResNet(channels, classes, blocks)
    loader = DataLoader(data.train, args.batch_size, shuffle=True, drop_last=len(data.train) >= args.batch_size)
    optimizer = optim.SGD(model.parameters(), args.lr, momentum=0.9, weight_decay=5e-4, nesterov=True)
    schedule = optim.lr_scheduler.OneCycleLR(optimizer, args.lr, epochs=epochs, steps_per_epoch=len(loader))
    args.out.mkdir(parents=True, exist_ok=True)
    print(f"{data.name}: {len(data.train)} to train, {len(data.test)} to test; ResNet-{6 * blocks + 2}, "
          f"{sum(p.numel() for p in model.parameters()):,} weights", flush=True)

    def loss_of(batch):
        images, labels = batch
        return F.cross_entropy(model(varied(images, data)), labels)
    train(model, loader, loss_of, optimizer, schedule, epochs, lambda: f"test accuracy {accuracy(model, data.test):.2%}")
    again = SmallResNet(channels, classes, blocks)
    share = saved_and_loaded(model, again, args.out / "weights.safetensors", data.test[:64][0])
    if args.data:
        print("by class:", ", ".join(by_class(again, data.test, read_names(args.data))))
    return f"test accuracy {accuracy(again, data.test):.2%} after {epochs} epochs{share}"


def by_class(model, dataset, names):
    """Of each class the share of right answers, as words."""
    images, labels = dataset.tensors
    with torch.no_grad():
        right = torch.cat([model(part).argmax(1) for part in images.split(256)]) == labels
    return [f"{name} {right[labels == i].float().mean().item():.0%}" for i, name in enumerate(names) if (labels == i).any()]


def saved_and_loaded(model, again, path, images):
    """Write the weights of `model`, load them into `again`, and see that both answer the same; words of it."""
    torch.save(model.state_dict(), path)
    again.load_state_dict(torch.load(path))
    with torch.no_grad():
        same = torch.equal(model.eval()(images), again.eval()(images))
    assert same, "a loaded network must answer like the saved one"
    return f", the same from {path}"


# ---- a big network and a photograph --------------------------------------------------------------------------------

# Of the colours of ImageNet's photographs: published weights were trained on images scaled by them.
MEAN, DEVIATION = (torch.tensor(numbers).reshape(3, 1, 1) for numbers in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))


def picture(path):
    """(H, W, 3) bytes of an image file, or of a photograph that comes with scikit-learn."""
    try:
        from PIL import Image
    except ImportError:
        raise ImportError("reading photographs needs Pillow, which comes with matplotlib: python -m pip install -e '.[examples]'") from None
    if path is None:
        from sklearn.datasets import load_sample_image
        return load_sample_image("flower.jpg")
    try:
        with Image.open(path) as image:
            return np.array(image.convert("RGB"))
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise Mistake(f"--image: cannot read {path}: {error}") from None


def prepared(pixels, size=224):
    """(H, W, 3) bytes -> (1, 3, size, size): its shorter side scaled to 8/7 of `size`, the middle cut out, colours of mean 0."""
    image = torch.from_numpy(pixels).permute(2, 0, 1).unsqueeze(0).float() / 255
    h, w = image.shape[2:]
    scale = size * 8 / 7 / min(h, w)
    image = F.interpolate(image, (max(size, round(h * scale)), max(size, round(w * scale))), mode="bilinear", antialias=True)
    top, left = ((n - size) // 2 for n in image.shape[2:])
    image = image[:, :, top:top + size, left:left + size]
    return (image - MEAN) / DEVIATION


def read_weights(path):
    """The state dict in a file."""
    try:
        state = torch.load(path)
    except (OSError, RuntimeError, NotImplementedError) as error:
        raise Mistake(f"--weights: {error}") from None
    if not isinstance(state, dict) or not isinstance(state.get("fc.weight"), torch.Tensor) or state["fc.weight"].ndim != 2:
        raise Mistake(f"--weights: {path} holds no state dict of a ResNet: there is no matrix `fc.weight`")
    return state


def photo(args):
    """Classify one picture; the last line."""
    if args.weights:
        state = read_weights(args.weights)
        model = getattr(resnet, args.arch)(num_classes=len(state["fc.weight"]))
        try:
            model.load_state_dict(state)
        except RuntimeError as error:
            raise Mistake(f"--weights: {args.weights} does not fit {args.arch}: "
                          f"{textwrap.shorten(str(error).partition(chr(10))[2], 160, placeholder=' ...')}") from None
    else:
        model = getattr(resnet, args.arch)()
    classes = model.fc.out_features
    names = [f"class {i}" for i in range(classes)]
    if args.labels:
        try:
            names = Path(args.labels).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise Mistake(f"--labels: cannot read {args.labels} as a text: {error}") from None
        if len(names) != classes:
            raise Mistake(f"--labels: {len(names)} lines in {args.labels}, but {classes} classes in the network")
    image = prepared(picture(args.image))
    model.eval()
    start = time.perf_counter()
    with torch.no_grad():
        chances = model(image).softmax(1)[0]
    taken = time.perf_counter() - start
    best = chances.topk(min(5, classes))
    for chance, i in zip(best.values.tolist(), best.indices.tolist()):
        print(f"{chance:7.2%}  {names[i]}")
    said = ""
    if not args.weights:
        print("(random weights: the answer means nothing. --weights FILE brings trained ones)")
        args.out.mkdir(parents=True, exist_ok=True)
        said = saved_and_loaded(model, getattr(resnet, args.arch)(), args.out / f"{args.arch}.safetensors", image)
    return f"{names[best.indices[0].item()]} by {args.arch}, {1000 * taken:.0f} ms for the image{said}"


# ---- the command ---------------------------------------------------------------------------------------------------

def parse(argv):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", metavar="FOLDER", help="CIFAR-10's binary files instead of scikit-learn's digits")
    parser.add_argument("--epochs", type=positive(int), help="default: 12, with --data 100")
    parser.add_argument("--blocks", type=positive(int), help="to a stage; default: 1, with --data 3")
    parser.add_argument("--batch-size", type=positive(int), default=64)
    parser.add_argument("--lr", type=positive(float), default=0.1, help="learning rate, at its highest")
    parser.add_argument("--seed", type=natural, default=0)
    parser.add_argument("--out", metavar="FOLDER", type=Path, default=Path("resnet-out"), help="where to write (default: resnet-out)")
    group = parser.add_argument_group("a photograph instead")
    group.add_argument("--photo", action="store_true", help="classify a picture with a big ResNet")
    group.add_argument("--arch", choices=[n for n in dir(resnet) if n.startswith("resnet")], default="resnet18")
    group.add_argument("--image", metavar="FILE", help="by default a photograph that comes with scikit-learn")
    group.add_argument("--weights", metavar="FILE", help="a state dict; by default they are random")
    group.add_argument("--labels", metavar="FILE", help="the classes' names, one a line")
    args = parser.parse_args(argv)
    if not args.photo and (args.image or args.weights or args.labels):
        parser.error("--image, --weights and --labels go with --photo")
    return args


def run(argv):
    args = parse(argv)
    torch.manual_seed(args.seed)
    return photo(args) if args.photo else learn(args)


def main(argv=None):
    return command("resnet.py", run, argv)


if __name__ == "__main__":
    sys.exit(main())
