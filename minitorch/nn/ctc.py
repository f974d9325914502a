"""The loss of label sequences as a module."""
from .loss import Loss


class CTCLoss(Loss):
    """-log of the probability that log_probs (T, N, C) read as the targets: see nn.functional.ctc_loss."""
    function, settings = "ctc_loss", ("blank", "reduction", "zero_infinity")

    def __init__(self, blank=0, reduction="mean", zero_infinity=False):
        super().__init__(reduction=reduction, blank=blank, zero_infinity=zero_infinity)
