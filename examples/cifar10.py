"""CIFAR-10 in its binary version (Krizhevsky 2009): 60,000 colour photographs of 32 x 32 pixels in ten classes.

The folder cifar-10-batches-bin holds data_batch_1.bin to data_batch_5.bin to train on, test_batch.bin and batches.meta.txt with the
classes' names.  A file is a row of records without any header: one byte for the class, then 3,072 for the red,
the green and the blue picture, each row by row.
"""
from pathlib import Path

import numpy as np

SIZE, CLASSES = 32, 10
RECORD = 1 + 3 * SIZE * SIZE                         # bytes


def read_batch(path):
    """Images (N, 3, 32, 32) and labels (N,), uint8, of one file. ValueError naming it where it cannot be such a file."""
    path = Path(path)
    data = np.fromfile(path, np.uint8)
    if not data.size:
        raise ValueError(f"{path}: empty")
    if data.size % RECORD:
        raise ValueError(f"{path}: {data.size} bytes are not a whole number of records of {RECORD} (a class and 3 x 32 x 32 pixels): "
                         "cut short, or not of the binary version of CIFAR-10")
    records = data.reshape(-1, RECORD)
    labels = records[:, 0]
    if labels.max() >= CLASSES:
        record = int(labels.argmax())
        raise ValueError(f"{path}: record {record} is of class {labels[record]}, but the classes are 0 to {CLASSES - 1}: not CIFAR-10")
    return records[:, 1:].reshape(-1, 3, SIZE, SIZE), labels


def read_names(folder):
    """The classes' names of batches.meta.txt, or their numbers where it is missing."""
    path = Path(folder) / "batches.meta.txt"
    if not path.exists():
        return [str(i) for i in range(CLASSES)]
    names = path.read_text(encoding="utf-8", errors="replace").split()
    if len(names) != CLASSES:
        raise ValueError(f"{path}: {len(names)} names instead of {CLASSES}")
    return names


def read_cifar10(folder):
    """(images, labels, test images, test labels) of the files in `folder`. ValueError where something is wrong with them.

    As many of the five training files are read as are there, one at least: a part of the data will do to try things out.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"--data: no folder {folder}")
    if not any(folder.glob("*.bin")) and (folder / "cifar-10-batches-bin").is_dir():
        folder /= "cifar-10-batches-bin"             # the folder that the archive was unpacked in
    paths, test = sorted(folder.glob("data_batch_*.bin")), folder / "test_batch.bin"
    if not paths or not test.exists():
        missing = "data_batch_1.bin" if not paths else test.name
        hint = " (that of the version for Python is another format)" if (folder / "data_batch_1").exists() else ""
        raise ValueError(f"{folder}: no {missing}; wanted are the files of the binary version of CIFAR-10{hint}")
    images, labels = (np.concatenate(part) for part in zip(*map(read_batch, paths)))
    return images, labels, *read_batch(test)
