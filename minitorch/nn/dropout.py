"""Dropout as modules: active while training, nothing in evaluation."""
from .function import FunctionModule


class Dropout(FunctionModule):
    """Zeroes each element with probability p and scales the others by 1 / (1 - p). ValueError for p outside [0, 1]."""

    function, settings, shown = "dropout", ("p", "training", "inplace"), ()

    def __init__(self, p=0.5, inplace=False):
        if not 0 <= p <= 1:
            raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
        super().__init__(p=p, inplace=inplace)

    def extra_repr(self):
        return f"p={self.p}, inplace={self.inplace}"


class Dropout1d(Dropout):
    """Zeroes each channel of (N, C, L) with probability p."""
    function = "dropout1d"


class Dropout2d(Dropout):
    """Zeroes each channel of (N, C, H, W) with probability p."""
    function = "dropout2d"


class Dropout3d(Dropout):
    """Zeroes each channel of (N, C, D, H, W) with probability p."""
    function = "dropout3d"


class AlphaDropout(Dropout):
    """Dropout that keeps mean 0 and variance 1 after SELU."""
    function = "alpha_dropout"


class FeatureAlphaDropout(Dropout):
    """AlphaDropout of whole channels."""
    function = "feature_alpha_dropout"
