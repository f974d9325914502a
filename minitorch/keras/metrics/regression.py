"""Metrics of regression that are no mean of samples."""
import numpy as np

from .base import Metric, numbers, scalar, weights


class RootMeanSquaredError(Metric):
    """The root of the mean of (y_true - y_pred)^2."""

    def __init__(self, name="root_mean_squared_error", dtype=None):
        super().__init__(name=name)
        self.reset_state()

    def reset_state(self):
        self.total = self.count = 0.0

    def update_state(self, y_true, y_pred, sample_weight=None):
        from .wrapped import paired
        a, b = paired(y_true, y_pred, self.name)
        square = (a.astype("f8") - b) ** 2
        w = np.broadcast_to(weights(sample_weight, square), square.shape)
        self.total += float((square * w).sum())
        self.count += float(w.sum())

    def result(self):
        return scalar((self.total / self.count) ** 0.5 if self.count else 0.0)


class R2Score(Metric):
    """1 - the squared errors over the squared distances from the mean, the mean over the outputs."""

    def __init__(self, name="r2_score", dtype=None):
        super().__init__(name=name)
        self.reset_state()

    def reset_state(self):
        self.n = self.sum = self.square = self.error = 0.0

    def update_state(self, y_true, y_pred, sample_weight=None):
        from .wrapped import paired
        a, b = [numbers(x).astype("f8").reshape(len(x), -1) for x in paired(y_true, y_pred, self.name)]
        w = np.broadcast_to(weights(sample_weight, a), (len(a), 1)) if sample_weight is not None else np.ones((len(a), 1))
        self.n = self.n + w.sum()
        self.sum, self.square = self.sum + (w * a).sum(0), self.square + (w * a * a).sum(0)
        self.error = self.error + (w * (a - b) ** 2).sum(0)

    def result(self):
        if not self.n:
            return scalar(0.0)
        spread = self.square - self.sum ** 2 / self.n
        with np.errstate(divide="ignore", invalid="ignore"):
            score = np.where(spread == 0, 0.0, 1 - self.error / spread)
        return scalar(float(score.mean()))
