"""Data: arrays cut into batches, or batches that come from elsewhere."""
import numpy as np

import minitorch as torch

from ...tensor import Tensor
from ..variable import as_array, floatx, leaves, mapped, shown


def array(x, what):
    """`x` as it is cut into batches: a tensor, or an array, floating numbers in floatx."""
    if isinstance(x, Tensor):
        return x.detach()
    if hasattr(x, "to_numpy"):                       # a table of pandas
        x = x.to_numpy()
    a = as_array(x, what)
    if a.dtype.kind == "f" and a.dtype != floatx().numpy:
        a = a.astype(floatx().numpy)
    if not a.ndim:
        raise ValueError(f"{what} must be an array with an axis of samples, not the number {a}")
    return a


def structure(x, what):
    """A single array, or the arrays of a list of arrays or of a dict."""
    if x is None:
        return None
    if isinstance(x, dict):
        return {k: array(v, f"{what}[{k!r}]") for k, v in x.items()}
    if isinstance(x, (list, tuple)) and len(x) and all(isinstance(v, (np.ndarray, Tensor)) and v.ndim for v in x):
        return [array(v, f"{what}[{i}]") for i, v in enumerate(x)]
    return array(x, what)


class Arrays:
    """Arrays as batches, in order or shuffled by minitorch's random numbers."""

    def __init__(self, x, y=None, sample_weight=None, batch_size=None, shuffle=False):
        self.parts = [structure(part, name) for part, name in ((x, "x"), (y, "y"), (sample_weight, "sample_weight"))]
        sizes = {name: [len(a) for a in leaves(part)] for part, name in zip(self.parts, ("x", "y", "sample_weight")) if part is not None}
        if len({n for ns in sizes.values() for n in ns}) > 1:
            said = ", ".join(f"{name} {' and '.join(map(str, ns))}" for name, ns in sizes.items())
            raise ValueError(f"the numbers of samples differ: {said}")
        self.size = next(iter(sizes.values()))[0]
        if not self.size:
            raise ValueError("there are no samples: x is empty")
        self.batch_size, self.shuffle = 32 if batch_size is None else batch_size, shuffle
        if isinstance(self.batch_size, bool) or not hasattr(self.batch_size, "__index__") or self.batch_size < 1:
            raise ValueError(f"batch_size must be a whole number above 0, not {batch_size!r}")

    def __len__(self):
        return -(-self.size // self.batch_size)

    def __iter__(self):
        order = torch.randperm(self.size).numpy() if self.shuffle else None
        for i in range(0, self.size, self.batch_size):
            index = slice(i, i + self.batch_size) if order is None else order[i:i + self.batch_size]
            yield tuple(mapped(lambda a: None if a is None else torch.as_tensor(a[index]), part) for part in self.parts)   # noqa: B023

    def split(self, share):
        """(the first part, the last `share`) of the samples."""
        if not 0 < share < 1:
            raise ValueError(f"validation_split must be between 0 and 1, not {share}")
        at = int(np.floor(self.size * (1 - share)))
        if not 0 < at < self.size:
            raise ValueError(f"validation_split={share} of {self.size} samples leaves none to {'train on' if at == 0 else 'validate with'}")

        def cut(where):
            return [mapped(lambda a: None if a is None else a[where], part) for part in self.parts]
        return (Arrays(*cut(slice(at)), self.batch_size, self.shuffle), Arrays(*cut(slice(at, None)), self.batch_size))


class Batches:
    """Batches from elsewhere: a DataLoader, a PyDataset, a list of batches, a generator.  steps: how many make an epoch."""

    def __init__(self, source, steps=None):
        self.source, self.steps = source, steps
        self.endless = iter(source) if iter(source) is source else None       # a generator goes on where it stopped

    def __len__(self):
        if self.steps is not None:
            return self.steps
        return len(self.source) if hasattr(self.source, "__len__") else 0

    def __iter__(self):
        if hasattr(self.source, "__getitem__") and hasattr(self.source, "on_epoch_end"):
            batches = (self.source[i] for i in range(len(self.source)))
        else:
            batches = self.endless if self.endless is not None else iter(self.source)
        done = 0
        while self.steps is None or done < self.steps:
            try:
                batch = next(batches)
            except StopIteration:
                if self.steps is not None and done < self.steps and self.endless is None and done:
                    batches = iter(self.source)
                    continue
                return
            yield triple(batch)
            done += 1


def triple(batch):
    """A batch (x,), (x, y) or (x, y, sample_weight), or x alone, as the three."""
    def tensors(part):
        return mapped(lambda a: a if a is None or isinstance(a, Tensor) else torch.as_tensor(array(a, "a batch")), part)
    parts = batch if isinstance(batch, (tuple, list)) and not (isinstance(batch, list) and len(batch) > 3) else (batch,)
    if not 1 <= len(parts) <= 3:
        raise ValueError(f"a batch is (x, y) or (x, y, sample_weight), not {len(parts)} things")
    return tuple(map(tensors, (*parts, None, None)[:3]))


def batches_of(x, y=None, sample_weight=None, batch_size=None, shuffle=False, steps=None):
    """The data that fit(), evaluate() or predict() was given, as batches."""
    from_elsewhere = y is None and not isinstance(x, (np.ndarray, Tensor, dict)) and not hasattr(x, "to_numpy") and (
        hasattr(x, "on_epoch_end") or hasattr(x, "batch_sampler") or hasattr(x, "__next__")
        or hasattr(x, "dataset") or isinstance(x, (list, tuple)) and len(x) and isinstance(x[0], tuple) or not hasattr(x, "__len__"))
    if from_elsewhere:
        if not hasattr(x, "__iter__") and not hasattr(x, "__getitem__"):
            raise TypeError(f"x must be arrays, or something that gives batches, not {type(x).__name__}")
        return Batches(x, steps)
    data = Arrays(x, y, sample_weight, batch_size, shuffle)
    return data if steps is None else Batches(data, steps)


def by_class(y, class_weight):
    """A weight for each sample: its class's, 1 where the class is not named."""
    a = y.numpy() if isinstance(y, Tensor) else np.asarray(y)
    labels = a.reshape(len(a), -1)
    labels = labels.argmax(1) if labels.shape[1] > 1 else labels[:, 0]
    if a.ndim > 2:
        raise ValueError(f"class_weight needs one class for each sample, but y has the shape {shown(a.shape)}")
    return torch.as_tensor(np.array([class_weight.get(int(k), 1.0) for k in np.round(labels)], floatx().numpy))
