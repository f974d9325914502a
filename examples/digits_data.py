"""The digits to learn: scikit-learn's, or those in MNIST's files; scaled, and cut into a training and a test set."""
import zlib
from pathlib import Path
from typing import NamedTuple

import idx
import numpy as np

import minitorch as torch
from minitorch.utils.data import TensorDataset


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
    """1,437 images to train and 360 to test, each digit in proportion, always the same. ImportError without scikit-learn."""
    try:
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split
    except ImportError:
        raise ImportError("the digits come with scikit-learn, which is not installed: python -m pip install -e '.[examples]' "
                      "(or read MNIST's files with --data FOLDER)") from None
    digits = load_digits()
    images, test_images, labels, test_labels = train_test_split(digits.images, digits.target, test_size=360, stratify=digits.target,
                                                                random_state=0)
    return prepared("scikit-learn's digits", images, labels, test_images, test_labels)


def mnist_digits(folder):
    """MNIST's 60,000 + 10,000 images, or any others in four files of its form. ValueError where something is wrong with them."""
    if not Path(folder).is_dir():
        raise ValueError(f"--data: no folder {folder}")
    (images, labels), (test_images, test_labels) = (idx.read_labelled(folder, part) for part in ("train", "t10k"))
    if images.shape[1:] != test_images.shape[1:]:
        raise ValueError(f"{folder}: training images of {images.shape[1:]} pixels, test images of {test_images.shape[1:]}")
    if min(images.shape[1:]) < 4:
        raise ValueError(f"{folder}: images of {images.shape[1:]} pixels; two poolings need at least 4 x 4")
    return prepared("MNIST files", images, labels, test_images, test_labels)
