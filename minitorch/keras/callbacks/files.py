"""Callbacks that write files: the model on the way, and the logs as a table."""
import csv
import os

from .base import Callback
from .watching import Watching


class ModelCheckpoint(Watching):
    """Saves the model after each epoch, or every save_freq batches; save_best_only: where the number got better.

    filepath may hold {epoch} and names of the logs, such as "best-{epoch:02d}-{val_loss:.2f}.keras".
    """

    def __init__(self, filepath, monitor="val_loss", verbose=0, save_best_only=False, save_weights_only=False, mode="auto",
                 save_freq="epoch", initial_value_threshold=None):
        super().__init__(monitor, mode)
        if save_freq != "epoch" and not isinstance(save_freq, int):
            raise ValueError(f'ModelCheckpoint: save_freq must be "epoch" or a number of batches, not {save_freq!r}')
        self.filepath, self.verbose, self.save_best_only, self.save_weights_only = os.fspath(filepath), verbose, save_best_only, save_weights_only
        self.save_freq, self.best, self.epoch, self.batches = save_freq, initial_value_threshold, 0, 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        self.batches += 1
        if self.save_freq != "epoch" and self.batches % self.save_freq == 0:
            self.save(self.epoch, logs)

    def on_epoch_end(self, epoch, logs=None):
        if self.save_freq == "epoch":
            self.save(epoch, logs)

    def save(self, epoch, logs):
        """Write the file, where the number is good enough."""
        try:
            path = self.filepath.format(epoch=epoch + 1, **(logs or {}))
        except KeyError as error:
            raise KeyError(f"ModelCheckpoint: {self.filepath!r} asks for {error}, but the logs have {', '.join(logs or {})}") from None
        if self.save_best_only:
            value = self.watched(logs)
            if value is None:
                return
            if not self.better(value, self.best):
                if self.verbose:
                    print(f"\nEpoch {epoch + 1}: {self.monitor} did not improve from {self.best:.5f}")
                return
            self.best = value
        folder = os.path.dirname(path)
        if folder:
            os.makedirs(folder, exist_ok=True)
        if self.verbose:
            print(f"\nEpoch {epoch + 1}: saving model to {path}")
        if self.save_weights_only:
            self.model.save_weights(path)
        else:
            self.model.save(path)


class CSVLogger(Callback):
    """Writes the logs of each epoch as a row of a table; append: behind those that are there."""

    def __init__(self, filename, separator=",", append=False):
        super().__init__()
        self.filename, self.separator, self.append, self.names = os.fspath(filename), separator, append, None

    def on_train_begin(self, logs=None):
        going_on = self.append and os.path.exists(self.filename) and os.path.getsize(self.filename)
        if going_on:
            with open(self.filename, newline="") as file:
                self.names = next(csv.reader(file, delimiter=self.separator))[1:]
        else:
            self.names = None
            open(self.filename, "w").close()

    def on_epoch_end(self, epoch, logs=None):
        logs = logs or {}
        with open(self.filename, "a", newline="") as file:
            writer = csv.writer(file, delimiter=self.separator)
            if self.names is None:
                self.names = sorted(logs)
                writer.writerow(["epoch", *self.names])
            writer.writerow([epoch, *[logs.get(n, "NA") for n in self.names]])
