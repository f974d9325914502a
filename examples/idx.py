"""MNIST's IDX files, packed by gzip or not: a magic number, the sizes, then one byte per value.

    bytes 0-1  zero          byte 2  what the values are (8: unsigned bytes)
    byte 3     number of sizes       then each size (4 bytes, big end first), then the values
"""
import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np

UNSIGNED_BYTE = 8


def read_idx(path, ndim):
    """The uint8 array in an IDX file, which must have `ndim` sizes; ValueError, naming the file, for a damaged one."""
    content = Path(path).read_bytes()
    if content[:2] == b"\x1f\x8b":
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise ValueError(f"{path}: damaged gzip file ({error})") from None
    if len(content) < 4:
        raise ValueError(f"{path}: not an IDX file: only {len(content)} bytes")
    zero, kind, dims = struct.unpack(">HBB", content[:4])
    if zero or kind != UNSIGNED_BYTE or dims != ndim:
        raise ValueError(f"{path}: not an IDX file of {ndim}-dimensional bytes: "
                         f"it starts with 0x{content[:4].hex()}, not 0x0000{UNSIGNED_BYTE:02x}{ndim:02x}")
    start = 4 + 4 * ndim
    if len(content) < start:
        raise ValueError(f"{path}: ends within its header of {start} bytes")
    shape = struct.unpack(f">{ndim}I", content[4:start])
    if len(content) - start != math.prod(shape):
        raise ValueError(f"{path}: {len(content) - start} values, but its header promises "
                         f"{' x '.join(map(str, shape))} = {math.prod(shape)}")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def find(folder, stem):
    """The file in `folder` for "train-images-idx3-ubyte": under that name or with .idx3, with .gz or without."""
    names = [name + end for name in (stem, stem.replace("-idx", ".idx")) for end in ("", ".gz")]
    for name in names:
        if (Path(folder) / name).is_file():
            return Path(folder) / name
    raise ValueError(f"{folder}: has no {names[0]} (nor {', '.join(names[1:])})")


def read_labelled(folder, part):
    """(images, labels) of MNIST's "train" or "t10k" files: (N, H, W) and (N,), both uint8.

    ValueError where a file is missing, damaged or does not fit its neighbour.
    """
    images_path, labels_path = find(folder, f"{part}-images-idx3-ubyte"), find(folder, f"{part}-labels-idx1-ubyte")
    images, labels = read_idx(images_path, 3), read_idx(labels_path, 1)
    if len(images) != len(labels):
        raise ValueError(f"{folder}: {len(images)} images in {images_path.name}, but {len(labels)} labels in {labels_path.name}")
    if images.size == 0:
        raise ValueError(f"{images_path}: holds no images (its sizes are {' x '.join(map(str, images.shape))})")
    if labels.max() > 9:
        raise ValueError(f"{labels_path}: label {labels.max()} is no digit")
    return images, labels
