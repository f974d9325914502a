"""Callbacks that watch a number of the logs, or the learning rate."""
import math
import warnings

from .base import Callback


class Watching(Callback):
    """The base: whether the number `monitor` of the logs got better.

    mode: "min" or "max" is better; "auto" tells by the name: what has acc, auc, precision, recall, f1 or r2 in it should grow.
    """

    def __init__(self, monitor="val_loss", mode="auto", min_delta=0.0):
        super().__init__()
        if mode not in ("auto", "min", "max"):
            raise ValueError(f'{type(self).__name__}: mode must be "auto", "min" or "max", not {mode!r}')
        grows = any(part in monitor for part in ("acc", "auc", "precision", "recall", "f1", "r2_score", "cosine_similarity"))
        self.monitor, self.mode, self.min_delta = monitor, "max" if mode == "max" or mode == "auto" and grows else "min", abs(min_delta)

    def better(self, value, best):
        """Whether `value` is better than `best`, by more than min_delta."""
        if best is None:
            return True
        return value - self.min_delta > best if self.mode == "max" else value + self.min_delta < best

    def watched(self, logs):
        """The number; None, with a warning, where the logs have none of this name."""
        value = (logs or {}).get(self.monitor)
        if value is None:
            warnings.warn(f"{type(self).__name__}: there is no {self.monitor!r} to watch; there are {', '.join(logs or {})}"
                          + ("" if any(k.startswith("val_") for k in logs or {}) else ". What begins with val_ needs validation data"),
                          stacklevel=2)
        return value


class EarlyStopping(Watching):
    """Stops when the number has not got better for `patience` epochs; restore_best_weights goes back to the best epoch's.

    baseline: a value that must be beaten for patience to begin anew.  start_from_epoch: epochs before it do not count.
    """

    def __init__(self, monitor="val_loss", min_delta=0, patience=0, verbose=0, mode="auto", baseline=None, restore_best_weights=False,
                 start_from_epoch=0):
        super().__init__(monitor, mode, min_delta)
        self.patience, self.verbose, self.baseline = patience, verbose, baseline
        self.restore_best_weights, self.start_from_epoch = restore_best_weights, start_from_epoch
        self.on_train_begin()

    def on_train_begin(self, logs=None):
        self.wait, self.stopped_epoch, self.best, self.best_weights, self.best_epoch = 0, 0, None, None, 0

    def on_epoch_end(self, epoch, logs=None):
        value = self.watched(logs)
        if value is None or epoch < self.start_from_epoch:
            return
        if self.restore_best_weights and self.best_weights is None:
            self.best_weights, self.best_epoch = self.model.get_weights(), epoch
        self.wait += 1
        if self.better(value, self.best):
            self.best, self.best_epoch = value, epoch
            if self.restore_best_weights:
                self.best_weights = self.model.get_weights()
            if self.baseline is None or self.better(value, self.baseline):
                self.wait = 0
        elif self.wait >= self.patience and epoch > 0:
            self.stopped_epoch, self.model.stop_training = epoch, True

    def on_train_end(self, logs=None):
        if self.stopped_epoch and self.verbose:
            print(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.restore_best_weights and self.best_weights is not None:
            if self.verbose:
                print(f"Restoring model weights from the end of the best epoch: {self.best_epoch + 1}.")
            self.model.set_weights(self.best_weights)


class ReduceLROnPlateau(Watching):
    """Multiplies the learning rate by `factor` when the number has not got better for `patience` epochs, down to min_lr."""

    def __init__(self, monitor="val_loss", factor=0.1, patience=10, verbose=0, mode="auto", min_delta=1e-4, cooldown=0, min_lr=0.0):
        super().__init__(monitor, mode, min_delta)
        if not factor < 1:
            raise ValueError(f"ReduceLROnPlateau: factor must be below 1, not {factor}")
        self.factor, self.patience, self.verbose, self.cooldown, self.min_lr = factor, patience, verbose, cooldown, min_lr
        self.on_train_begin()

    def on_train_begin(self, logs=None):
        self.best, self.wait, self.resting = None, 0, 0

    def on_epoch_end(self, epoch, logs=None):
        logs = {} if logs is None else logs
        rate = float(self.model.optimizer.learning_rate)
        logs["learning_rate"] = rate
        value = self.watched(logs)
        if value is None:
            return
        if self.resting:
            self.resting -= 1
            self.wait = 0
        if self.better(value, self.best):
            self.best, self.wait = value, 0
        elif not self.resting:
            self.wait += 1
            if self.wait >= self.patience and rate > self.min_lr:
                self.model.optimizer.learning_rate = max(rate * self.factor, self.min_lr)
                self.resting, self.wait = self.cooldown, 0
                if self.verbose:
                    print(f"\nEpoch {epoch + 1}: ReduceLROnPlateau reducing learning rate to {float(self.model.optimizer.learning_rate)}.")


class LearningRateScheduler(Callback):
    """Sets the learning rate before each epoch to schedule(epoch, present rate), or schedule(epoch)."""

    def __init__(self, schedule, verbose=0):
        super().__init__()
        if not callable(schedule):
            raise TypeError(f"LearningRateScheduler takes a function (epoch, lr), not {type(schedule).__name__}")
        self.schedule, self.verbose = schedule, verbose

    def on_epoch_begin(self, epoch, logs=None):
        import inspect
        rate = float(self.model.optimizer.learning_rate)
        parameters = inspect.signature(self.schedule).parameters
        rate = self.schedule(epoch, rate) if len(parameters) > 1 else self.schedule(epoch)
        try:
            self.model.optimizer.learning_rate = float(rate)
        except (TypeError, ValueError) as error:
            raise ValueError(f"LearningRateScheduler: the schedule gave {rate!r} for epoch {epoch}: {error}") from None
        if self.verbose:
            print(f"\nEpoch {epoch + 1}: LearningRateScheduler setting learning rate to {float(rate)}.")

    def on_epoch_end(self, epoch, logs=None):
        if logs is not None:
            logs["learning_rate"] = float(self.model.optimizer.learning_rate)


class TerminateOnNaN(Callback):
    """Stops when the loss is no finite number."""

    def on_train_batch_end(self, batch, logs=None):
        loss = (logs or {}).get("loss")
        if loss is not None and not math.isfinite(loss):
            print(f"Batch {batch}: Invalid loss, terminating training")
            self.model.stop_training = True
