"""Losses as modules."""
from ..ops.loss import reduction_of
from .function import FunctionModule


class Loss(FunctionModule):
    """A loss whose settings are a reduction and no more."""

    settings: tuple[str, ...] = ("reduction",)
    shown: tuple[str, ...] | None = ()

    def __init__(self, size_average=None, reduce=None, reduction="mean", **attributes):
        if size_average is not None or reduce is not None:
            reduction = reduction_of(size_average, reduce, reduction)
        super().__init__(reduction=reduction, **attributes)


class WeightedLoss(Loss):
    """A loss with a weight for each class or element, which moves with the module."""

    settings: tuple[str, ...] = ("weight", "reduction")

    def __init__(self, weight=None, size_average=None, reduce=None, reduction="mean", **attributes):
        super().__init__(size_average, reduce, reduction, **attributes)
        self.register_buffer("weight", weight)


class MSELoss(Loss):
    """(input - target)^2."""
    function = "mse_loss"


class L1Loss(Loss):
    """|input - target|."""
    function = "l1_loss"


class SmoothL1Loss(Loss):
    """d^2 / (2 beta) where d = |input - target| is below beta, d - beta / 2 elsewhere."""
    function, settings = "smooth_l1_loss", ("reduction", "beta")

    def __init__(self, size_average=None, reduce=None, reduction="mean", beta=1.0):
        super().__init__(size_average, reduce, reduction, beta=beta)


class HuberLoss(Loss):
    """d^2 / 2 where d = |input - target| is below delta, delta (d - delta / 2) elsewhere."""
    function, settings = "huber_loss", ("reduction", "delta")

    def __init__(self, reduction="mean", delta=1.0):
        super().__init__(reduction=reduction, delta=delta)


class CrossEntropyLoss(WeightedLoss):
    """-log softmax(input)[target], by class axis 1: scores (N, C, ...), classes (N, ...) or probabilities (N, C, ...)."""
    function, settings = "cross_entropy", ("weight", "ignore_index", "reduction", "label_smoothing")

    def __init__(self, weight=None, size_average=None, ignore_index=-100, reduce=None, reduction="mean", label_smoothing=0.0):
        super().__init__(weight, size_average, reduce, reduction, ignore_index=ignore_index, label_smoothing=label_smoothing)


class NLLLoss(WeightedLoss):
    """-input[target] by class axis 1: log probabilities (N, C, ...), classes (N, ...)."""
    function, settings = "nll_loss", ("weight", "ignore_index", "reduction")

    def __init__(self, weight=None, size_average=None, ignore_index=-100, reduce=None, reduction="mean"):
        super().__init__(weight, size_average, reduce, reduction, ignore_index=ignore_index)


class BCELoss(WeightedLoss):
    """-(t log p + (1 - t) log(1 - p))."""
    function = "binary_cross_entropy"


class BCEWithLogitsLoss(WeightedLoss):
    """BCELoss of sigmoid(input), computed without overflow; pos_weight: the weight of positive targets."""
    function, settings = "binary_cross_entropy_with_logits", ("weight", "reduction", "pos_weight")

    def __init__(self, weight=None, size_average=None, reduce=None, reduction="mean", pos_weight=None):
        super().__init__(weight, size_average, reduce, reduction)
        self.register_buffer("pos_weight", pos_weight)


class KLDivLoss(Loss):
    """t (log t - input) for log probabilities `input`; reduction "batchmean" divides the sum by the batch."""
    function, settings = "kl_div", ("reduction", "log_target")

    def __init__(self, size_average=None, reduce=None, reduction="mean", log_target=False):
        super().__init__(size_average, reduce, reduction, log_target=log_target)


class PoissonNLLLoss(Loss):
    """e^x - t x for the logarithm x of a rate."""
    function, settings = "poisson_nll_loss", ("log_input", "full", "eps", "reduction")

    def __init__(self, log_input=True, full=False, size_average=None, eps=1e-8, reduce=None, reduction="mean"):
        super().__init__(size_average, reduce, reduction, log_input=log_input, full=full, eps=eps)


class GaussianNLLLoss(Loss):
    """(log var + (input - target)^2 / var) / 2."""
    function, settings = "gaussian_nll_loss", ("full", "eps", "reduction")

    def __init__(self, *, full=False, eps=1e-6, reduction="mean"):
        super().__init__(reduction=reduction, full=full, eps=eps)


class CosineEmbeddingLoss(Loss):
    """1 - cosine where target is 1, max(0, cosine - margin) where it is -1."""
    function, settings = "cosine_embedding_loss", ("margin", "reduction")

    def __init__(self, margin=0.0, size_average=None, reduce=None, reduction="mean"):
        super().__init__(size_average, reduce, reduction, margin=margin)


class MarginRankingLoss(CosineEmbeddingLoss):
    """max(0, -target (x1 - x2) + margin)."""
    function = "margin_ranking_loss"


class HingeEmbeddingLoss(Loss):
    """x where target is 1, max(0, margin - x) where it is -1."""
    function, settings = "hinge_embedding_loss", ("margin", "reduction")

    def __init__(self, margin=1.0, size_average=None, reduce=None, reduction="mean"):
        super().__init__(size_average, reduce, reduction, margin=margin)


class TripletMarginLoss(Loss):
    """max(0, |anchor - positive| - |anchor - negative| + margin)."""
    function, settings = "triplet_margin_loss", ("margin", "p", "eps", "swap", "reduction")

    def __init__(self, margin=1.0, p=2.0, eps=1e-6, swap=False, size_average=None, reduce=None, reduction="mean"):
        if margin <= 0:
            raise ValueError(f"TripletMarginLoss: expected margin to be greater than 0, got {margin} instead")
        super().__init__(size_average, reduce, reduction, margin=margin, p=p, eps=eps, swap=swap)


class TripletMarginWithDistanceLoss(Loss):
    """TripletMarginLoss for any distance_function(a, b)."""
    function, settings = "triplet_margin_with_distance_loss", ("distance_function", "margin", "swap", "reduction")

    def __init__(self, *, distance_function=None, margin=1.0, swap=False, reduction="mean"):
        if margin <= 0:
            raise ValueError(f"TripletMarginWithDistanceLoss: expected margin to be greater than 0, got {margin} instead")
        super().__init__(reduction=reduction, distance_function=distance_function or PairwiseDistance(), margin=margin, swap=swap)


class SoftMarginLoss(Loss):
    """log(1 + e^(-target x)), target 1 or -1."""
    function = "soft_margin_loss"


class MultiMarginLoss(WeightedLoss):
    """The sum over the wrong classes c of max(0, margin - x[target] + x[c])^p / C."""
    function, settings = "multi_margin_loss", ("p", "margin", "weight", "reduction")

    def __init__(self, p=1, margin=1.0, weight=None, size_average=None, reduce=None, reduction="mean"):
        if p not in (1, 2):
            raise ValueError("only p == 1 and p == 2 supported")
        super().__init__(weight, size_average, reduce, reduction, p=p, margin=margin)


class MultiLabelMarginLoss(Loss):
    """The sum over right classes r and wrong ones c of max(0, 1 - x[r] + x[c]) / C."""
    function = "multilabel_margin_loss"


class MultiLabelSoftMarginLoss(WeightedLoss):
    """The mean over the classes of BCEWithLogitsLoss."""
    function = "multilabel_soft_margin_loss"


class CosineSimilarity(FunctionModule):
    """The cosine of the angle between vectors along `dim`."""
    function, settings, shown = "cosine_similarity", ("dim", "eps"), ()

    def __init__(self, dim=1, eps=1e-8):
        super().__init__(dim=dim, eps=eps)


class PairwiseDistance(FunctionModule):
    """The p-norm of x1 - x2 + eps over the last axis."""
    function, settings, shown = "pairwise_distance", ("p", "eps", "keepdim"), ()

    def __init__(self, p=2.0, eps=1e-6, keepdim=False):
        super().__init__(p=p, eps=eps, keepdim=keepdim)
        self.norm = p
