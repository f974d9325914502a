"""Read handwritten digits with a convolutional network written as for Keras: `from minitorch.keras import layers, models`.

    python examples/keras_digits.py                  scikit-learn's 1,797 digits of 8 x 8: 99 % or more of those it has never seen
    python examples/keras_digits.py --data FOLDER    MNIST's four IDX files (gzip or not) in FOLDER: 98 % or more after 3 epochs
    python examples/keras_digits.py --noise 0.3 --l1 1e-5 --l2 1e-4

GaussianNoise on the images and penalties on the weights stand against learning by heart; the run ends with the test
accuracy, and the same of the model as it comes back from the file it is saved in.  Under two minutes on two cores.
"""
import argparse
import sys
import time
from pathlib import Path

import numpy as np
from digits_data import mnist_digits, scikit_learn_digits

import minitorch as torch
from minitorch import keras
from minitorch.keras import callbacks, layers, models, optimizers, regularizers
from minitorch.nn import functional as F


@keras.utils.register_keras_serializable("digits")
class Jitter(layers.Layer):
    """In training each image is moved by one pixel up, down, left or right, one time in six each; what comes in is `background`."""

    def __init__(self, background=0.0, **kwargs):
        super().__init__(**kwargs)
        self.background = background

    def call(self, inputs, training=False):
        if not training:
            return inputs
        n, h, w, _ = inputs.shape
        padded = F.pad(inputs, (0, 0, 1, 1, 1, 1), value=self.background)        # (n, h + 2, w + 2, 1)
        down, right = ((torch.randint(0, 6, (n, 1, 1)) + 3) // 4 for _ in range(2))      # 0 1 1 1 1 2, where 1 is the middle
        return padded[torch.arange(n).reshape(n, 1, 1), torch.arange(h).reshape(h, 1) + down, torch.arange(w) + right]


def network(shape, background, noise, penalty):
    """(N, H, W, 1) -> (N, 10) probabilities."""
    return models.Sequential([
        layers.Input(shape),
        Jitter(background),
        layers.GaussianNoise(noise),
        layers.Conv2D(32, 3, padding="same", activation="relu", kernel_regularizer=penalty),
        layers.MaxPooling2D(),
        layers.Conv2D(64, 3, padding="same", activation="relu", kernel_regularizer=penalty),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dropout(0.3),
        layers.Dense(10, activation="softmax", kernel_regularizer=penalty),
    ])


def arrays(dataset):
    """Images with the channel last, and labels."""
    images, labels = (t.numpy() for t in dataset.tensors)
    return np.moveaxis(images, 1, -1), labels


def share(text):
    value = float(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a number from 0 on, not {text}")
    return value


def count(text):
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be above 0, not {text}")
    return value


def parse(argv):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", metavar="FOLDER", help="MNIST's IDX files instead of scikit-learn's digits")
    parser.add_argument("--epochs", type=count, help="default: 40, with --data 3")
    parser.add_argument("--batch-size", type=count, default=64)
    parser.add_argument("--lr", type=share, help="at the beginning; it falls to 0 as half a cosine (default: 0.005, with --data 0.001)")
    parser.add_argument("--noise", type=share, default=0.1, help="deviation of the noise on the images, in units of theirs (default: 0.1)")
    parser.add_argument("--l1", type=share, default=1e-6, help="factor of the sum of |weights| (default: 1e-6)")
    parser.add_argument("--l2", type=share, default=1e-5, help="factor of the sum of squared weights (default: 1e-5)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", metavar="FOLDER", type=Path, default=Path("keras-digits-out"), help="where the model is saved")
    parser.add_argument("--verbose", type=int, choices=(0, 1, 2), default=1, help="0 nothing, 1 a bar and a line for each epoch, 2 the lines")
    args = parser.parse_args(argv)
    args.epochs = args.epochs or (3 if args.data else 40)
    args.lr = args.lr or (0.001 if args.data else 0.005)
    return args


def main(argv=None):
    args, start = parse(argv), time.perf_counter()
    try:
        data = mnist_digits(args.data) if args.data else scikit_learn_digits()
    except (ValueError, ImportError, OSError) as error:
        print(f"keras_digits.py: {error}", file=sys.stderr)
        return 1
    (x, y), (test_x, test_y) = arrays(data.train), arrays(data.test)
    print(f"{data.name}: {len(x)} to train, {len(test_x)} to test", flush=True)

    keras.utils.set_random_seed(args.seed)
    model = network(x.shape[1:], data.background, args.noise, regularizers.L1L2(args.l1, args.l2))
    model.summary()
    steps = args.epochs * -(-len(x) // args.batch_size)
    model.compile(optimizer=optimizers.Adam(optimizers.schedules.CosineDecay(args.lr, steps)), loss="sparse_categorical_crossentropy",
                  metrics=["accuracy"])
    path = args.out / "model.keras"
    model.fit(x, y, batch_size=args.batch_size, epochs=args.epochs, verbose=args.verbose, callbacks=[callbacks.ModelCheckpoint(path)])

    _, accuracy = model.evaluate(test_x, test_y, verbose=0)
    again = models.load_model(path).evaluate(test_x, test_y, verbose=0)[1]
    print(f"test accuracy {accuracy:.2%} ({round(accuracy * len(test_y))} of {len(test_y)}) after {args.epochs} epochs, "
          f"{time.perf_counter() - start:.1f} s")
    print(f"the same of the model saved as {path}: {again:.2%}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
