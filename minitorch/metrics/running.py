"""Running: a metric over batches that come one at a time."""
import numpy as np

from .arrays import as_array, in_kind


class Running:
    """`m = Running(f1, average="micro")`, m.update(input, target) for each batch, m.compute() for all of them, m.reset().

    All predictions are kept, so that any metric comes out as if there had been one batch.
    """

    def __init__(self, metric, **options):
        self.metric, self.options = metric, options
        self.reset()

    def reset(self):
        """Forget all batches."""
        self.inputs, self.targets, self.kind = [], [], ()

    def update(self, input, target):
        """Take in one batch: arrays whose first axis counts the samples."""
        self.kind = (input,)
        self.inputs.append(np.array(as_array(input, "input")))
        self.targets.append(np.array(as_array(target, "target")))

    def compute(self):
        """The metric of all batches since the start or the last reset(); ValueError where there was none."""
        if not self.inputs:
            raise ValueError("nothing to measure: update() was not called")
        x, t = np.concatenate(self.inputs), np.concatenate(self.targets)
        return self.metric(in_kind(x, *self.kind), in_kind(t, *self.kind), **self.options)
