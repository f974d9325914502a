"""What fit() and the others show: the epoch, a bar by tqdm where that is installed and somebody watches, and a line of the logs."""
import time

from ..callbacks.base import Callback

try:
    from tqdm import tqdm  # type: ignore
except ImportError:
    tqdm = None


def written(value):
    """A number as Keras writes it."""
    if isinstance(value, list):
        return "[" + ", ".join(map(written, value)) + "]"
    return f"{value:.4f}" if abs(value) > 1e-3 or value == 0 else f"{value:.4e}"


def line(logs):
    """loss: 0.1234 - accuracy: 0.9876"""
    return " - ".join(f"{k}: {written(v)}" for k, v in logs.items() if isinstance(v, (int, float, list)))


class Progress(Callback):
    """The last of the callbacks: it sees the logs as the others left them."""

    def __init__(self):
        super().__init__()
        self.bar, self.training = None, False

    def begin(self):
        """Start counting steps."""
        self.start, self.done = time.perf_counter(), 0
        if tqdm is not None and self.params["verbose"] == 1:
            self.bar = tqdm(total=self.params["steps"] or None, leave=False, disable=None, unit="step")

    def step(self, logs):
        """Count one."""
        self.done += 1
        if self.bar is not None:
            if not self.bar.disable:
                self.bar.set_postfix_str(line(logs), refresh=False)
            self.bar.update()

    def end(self, logs):
        """Put the bar away and write the line."""
        took = time.perf_counter() - self.start
        self.close()
        each = took / max(1, self.done)
        speed = f"{each:.0f}s" if each >= 1 else f"{each * 1e3:.0f}ms" if each >= 1e-3 else f"{each * 1e6:.0f}us"
        said = line(logs)
        print(f"{self.done}/{self.params['steps'] or self.done} - {took:.0f}s - {speed}/step{' - ' * bool(said)}{said}", flush=True)

    def close(self):
        """Put the bar away."""
        if self.bar is not None:
            self.bar.close()
            self.bar = None

    def on_train_begin(self, logs=None):
        self.training = True

    def on_epoch_begin(self, epoch, logs=None):
        print(f"Epoch {epoch + 1}/{self.params['epochs']}", flush=True)
        self.begin()

    def on_train_batch_end(self, batch, logs=None):
        self.step(logs)

    def on_epoch_end(self, epoch, logs=None):
        self.end(logs or {})

    def on_test_begin(self, logs=None):
        if not self.training:
            self.begin()

    def on_test_batch_end(self, batch, logs=None):
        if not self.training:
            self.step(logs)

    def on_test_end(self, logs=None):
        if not self.training:
            self.end(logs or {})

    def on_predict_begin(self, logs=None):
        self.begin()

    def on_predict_batch_end(self, batch, logs=None):
        self.step({})

    def on_predict_end(self, logs=None):
        self.end({})
