"""Digits as pixels from 0 to 1, and sheets of small images as one picture: what the generative examples share."""
import numpy as np
from digits_data import scikit_learn_digits

import minitorch as torch


def pixel_digits():
    """(images, labels, test images, test labels) of scikit-learn's digits: (N, 1, 8, 8) in 0, 1/16, ... 1, and (N,)."""
    data = scikit_learn_digits()
    least, most = data.train.tensors[0].min(), data.train.tensors[0].max()

    def pixels(dataset):
        images, labels = dataset.tensors
        return (16 * (images - least) / (most - least)).round() / 16, labels
    return *pixels(data.train), *pixels(data.test)


def sheet(images, columns):
    """Images (N, 1, H, W) side by side in rows, a pixel apart: an array (height, width)."""
    images = images.detach().numpy()[:, 0]
    rows = -(-len(images) // columns)
    n, h, w = images.shape
    room = np.full((rows * columns, h + 1, w + 1), 0.25 * images.max(), images.dtype)     # lines that are lighter than ink
    room[:n, :h, :w] = images
    return room.reshape(rows, columns, h + 1, w + 1).swapaxes(1, 2).reshape(rows * (h + 1), columns * (w + 1))[:-1, :-1]


def draw(path, *panels):
    """Write panels (title, function of the axes) side by side to `path`; the words that tell of it."""
    try:
        import matplotlib
    except ImportError:
        return f"no {path.name}: matplotlib is not installed (python -m pip install -e '.[examples]')"
    matplotlib.use("Agg")
    from matplotlib import pyplot
    figure, axes = pyplot.subplots(1, len(panels), figsize=(4.5 * len(panels), 4.7), layout="constrained", squeeze=False)
    for place, (title, paint) in zip(axes[0], panels):
        paint(place)
        place.set_title(title)
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
    return f"picture: {path}"


def shown(images, columns):
    """A panel's function that shows a sheet of images."""
    def paint(axes):
        axes.imshow(sheet(images, columns), cmap="gray_r", interpolation="nearest")
        axes.set_axis_off()
    return paint


def batches(n, size):
    """The numbers 0 to n - 1 in random order, in tensors of `size`."""
    return torch.randperm(n).split(size)
