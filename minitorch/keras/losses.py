"""Losses by Keras' names: functions of (y_true, y_pred) that give one number for each sample, and the classes around them.

A Loss weighs the numbers and reduces them: "sum_over_batch_size", the mean over all, "sum" or "none".  Weights do not count
in the mean's divisor, as in Keras.
"""
import minitorch as torch

from ..nn import functional as F
from ..tensor import Tensor
from .registry import Configured, resolver
from .variable import as_tensor, floats, shown

EPSILON = 1e-7                             # probabilities are kept this far from 0 and 1


def matched(y_true, y_pred, name):
    """Both as floating tensors of one shape, an axis of size 1 put at the end of one that lacks it. ValueError where they differ."""
    y_pred = floats(as_tensor(y_pred))
    y_true = as_tensor(y_true, what="y_true").to(device=y_pred.device, dtype=y_pred.dtype)
    if y_true.ndim == y_pred.ndim - 1 and y_pred.shape[-1] == 1:
        y_true = y_true.unsqueeze(-1)
    elif y_pred.ndim == y_true.ndim - 1 and y_true.shape[-1] == 1:
        y_true = y_true.squeeze(-1)
    if y_true.shape != y_pred.shape:
        advice = "; for labels that are class numbers there is sparse_categorical_crossentropy" \
            if name == "categorical_crossentropy" and y_true.ndim <= 2 and (y_true.ndim < 2 or y_true.shape[-1] == 1) else ""
        raise ValueError(f"{name}: the targets have the shape {shown(y_true.shape)}, but the model's output {shown(y_pred.shape)}{advice}")
    return y_true, y_pred


def logits_of(y_pred, kind):
    """The logits that an activation left on its result, or None."""
    found = getattr(y_pred, "_keras_logits", None) if isinstance(y_pred, Tensor) else None
    return found[1] if found is not None and found[0] == kind else None


# ---- regression ---------------------------------------------------------------------------------------------

def mean_squared_error(y_true, y_pred):
    """The mean of (y_true - y_pred)^2 over the last axis."""
    y_true, y_pred = matched(y_true, y_pred, "mean_squared_error")
    return (y_true - y_pred).square().mean(-1)


def mean_absolute_error(y_true, y_pred):
    """The mean of |y_true - y_pred| over the last axis."""
    y_true, y_pred = matched(y_true, y_pred, "mean_absolute_error")
    return (y_true - y_pred).abs().mean(-1)


def mean_absolute_percentage_error(y_true, y_pred):
    """100 times the mean of |y_true - y_pred| / |y_true|."""
    y_true, y_pred = matched(y_true, y_pred, "mean_absolute_percentage_error")
    return 100 * ((y_true - y_pred) / y_true.abs().clamp(min=EPSILON)).abs().mean(-1)


def mean_squared_logarithmic_error(y_true, y_pred):
    """The mean of (log(1 + y_true) - log(1 + y_pred))^2."""
    y_true, y_pred = matched(y_true, y_pred, "mean_squared_logarithmic_error")
    return (torch.log(y_true.clamp(min=EPSILON) + 1) - torch.log(y_pred.clamp(min=EPSILON) + 1)).square().mean(-1)


def cosine_similarity(y_true, y_pred, axis=-1):
    """Minus the cosine of the angle between y_true and y_pred."""
    y_true, y_pred = matched(y_true, y_pred, "cosine_similarity")
    a, b = [x / x.square().sum(axis, keepdim=True).clamp(min=1e-12).sqrt() for x in (y_true, y_pred)]
    return -(a * b).sum(axis)


def huber(y_true, y_pred, delta=1.0):
    """Half the square of errors up to delta, linear beyond (Huber 1964)."""
    y_true, y_pred = matched(y_true, y_pred, "huber")
    return F.huber_loss(y_pred, y_true, reduction="none", delta=delta).mean(-1)


def log_cosh(y_true, y_pred):
    """The mean of log(cosh(y_pred - y_true))."""
    y_true, y_pred = matched(y_true, y_pred, "log_cosh")
    e = y_pred - y_true
    return (torch.logaddexp(e, -e) - 0.6931471805599453).mean(-1)


def poisson(y_true, y_pred):
    """The mean of y_pred - y_true log(y_pred)."""
    y_true, y_pred = matched(y_true, y_pred, "poisson")
    return (y_pred - y_true * torch.log(y_pred + EPSILON)).mean(-1)


def kl_divergence(y_true, y_pred):
    """The sum of y_true log(y_true / y_pred)."""
    y_true, y_pred = [x.clamp(EPSILON, 1) for x in matched(y_true, y_pred, "kl_divergence")]
    return (y_true * torch.log(y_true / y_pred)).sum(-1)


# ---- classes ------------------------------------------------------------------------------------------------

def hinged(y_true, y_pred, name):
    """max(0, 1 - y_true y_pred) for labels -1 and 1; labels 0 and 1 are taken as these."""
    y_true, y_pred = matched(y_true, y_pred, name)
    if bool(((y_true == 0) | (y_true == 1)).all()):
        y_true = 2 * y_true - 1
    return F.relu(1 - y_true * y_pred)


def hinge(y_true, y_pred):
    """The mean of max(0, 1 - y_true y_pred), for labels -1 and 1."""
    return hinged(y_true, y_pred, "hinge").mean(-1)


def squared_hinge(y_true, y_pred):
    """The mean of max(0, 1 - y_true y_pred)^2, for labels -1 and 1."""
    return hinged(y_true, y_pred, "squared_hinge").square().mean(-1)


def categorical_hinge(y_true, y_pred):
    """max(0, 1 + the largest wrong score - the right one)."""
    y_true, y_pred = matched(y_true, y_pred, "categorical_hinge")
    return F.relu(((1 - y_true) * y_pred).amax(-1) - (y_true * y_pred).sum(-1) + 1)


def binary_crossentropy(y_true, y_pred, from_logits=False, label_smoothing=0.0, axis=-1):
    """The mean of -y_true log(y_pred) - (1 - y_true) log(1 - y_pred); from_logits: of sigmoid(y_pred)."""
    logits = y_pred if from_logits else logits_of(y_pred, "sigmoid")
    y_true, y_pred = matched(y_true, y_pred if logits is None else logits, "binary_crossentropy")
    y_true = y_true * (1 - label_smoothing) + 0.5 * label_smoothing if label_smoothing else y_true
    if logits is not None:
        return F.binary_cross_entropy_with_logits(y_pred, y_true, reduction="none").mean(axis)
    return F.binary_cross_entropy(y_pred.clamp(EPSILON, 1 - EPSILON), y_true, reduction="none").mean(axis)


def categorical_crossentropy(y_true, y_pred, from_logits=False, label_smoothing=0.0, axis=-1):
    """-sum of y_true log(y_pred) over the classes, for one-hot y_true; from_logits: of softmax(y_pred)."""
    logits = y_pred if from_logits else logits_of(y_pred, "softmax") if axis == -1 else None
    y_true, y_pred = matched(y_true, y_pred if logits is None else logits, "categorical_crossentropy")
    if label_smoothing:
        y_true = y_true * (1 - label_smoothing) + label_smoothing / y_true.shape[axis]
    return -(y_true * log_probabilities(y_pred, logits, axis)).sum(axis)


def log_probabilities(y_pred, logits, axis):
    """log of the classes' probabilities, from the logits where they are known."""
    if logits is not None:
        return F.log_softmax(y_pred, axis)
    return torch.log((y_pred / y_pred.sum(axis, keepdim=True)).clamp(EPSILON, 1 - EPSILON))


def sparse_categorical_crossentropy(y_true, y_pred, from_logits=False, ignore_class=None, axis=-1):
    """-log of the right class's probability, for y_true the class numbers; from_logits: of softmax(y_pred).

    ignore_class: a number that stands for no class, of loss 0.  ValueError for numbers outside the classes.
    """
    logits = y_pred if from_logits else logits_of(y_pred, "softmax") if axis == -1 else None
    y_pred = floats(as_tensor(y_pred if logits is None else logits))
    y_true = as_tensor(y_true, what="y_true").to(y_pred.device)
    if y_true.ndim == y_pred.ndim and y_true.shape[-1] == 1:
        y_true = y_true.squeeze(-1)
    y_pred = y_pred if axis in (-1, y_pred.ndim - 1) else y_pred.moveaxis(axis, -1)
    if y_true.shape != y_pred.shape[:-1]:
        advice = "; for one-hot labels there is categorical_crossentropy" if y_true.shape == y_pred.shape else ""
        raise ValueError(f"sparse_categorical_crossentropy: the targets have the shape {shown(y_true.shape)}, but the model's output "
                         f"{shown(y_pred.shape)}: expected are class numbers of {shown(y_pred.shape[:-1])}{advice}")
    labels = y_true.long()
    ignored = None if ignore_class is None else labels == ignore_class
    if ignored is not None:
        labels = torch.where(ignored, torch.zeros_like(labels), labels)
    if labels.numel() and not (int(labels.min()) >= 0 and int(labels.max()) < y_pred.shape[-1]):
        raise ValueError(f"sparse_categorical_crossentropy: the labels reach from {int(labels.min())} to {int(labels.max())}, but the "
                         f"model's output has {y_pred.shape[-1]} classes: 0 to {y_pred.shape[-1] - 1}")
    scores, flat = y_pred.reshape(-1, y_pred.shape[-1]), labels.reshape(-1)
    if logits is not None:
        each = F.cross_entropy(scores, flat, reduction="none")
    else:
        each = F.nll_loss(log_probabilities(scores, None, -1), flat, reduction="none")
    each = each.reshape(labels.shape)
    if ignored is not None:
        each = torch.where(ignored, torch.zeros_like(each), each)
        each._keras_mask = ~ignored                          # the mean is over the others
    return each


# ---- objects ------------------------------------------------------------------------------------------------

class Loss(Configured):
    """The base: call(y_true, y_pred) gives a number for each sample, and a Loss object their reduction."""

    def __init__(self, name=None, reduction="sum_over_batch_size", dtype=None):
        if reduction == "mean":
            reduction = "sum_over_batch_size"
        if reduction not in ("sum_over_batch_size", "sum", "none", None):
            raise ValueError(f'reduction must be "sum_over_batch_size", "sum", "mean" or "none", not {reduction!r}')
        self.name, self.reduction = name or type(self).__name__, reduction

    def call(self, y_true, y_pred):
        """A number for each sample."""
        raise NotImplementedError(f"{type(self).__name__} needs a method call(y_true, y_pred)")

    def __call__(self, y_true, y_pred, sample_weight=None):
        values = self.call(as_tensor(y_true), as_tensor(y_pred))
        masks = [m for m in (getattr(t, "_keras_mask", None) for t in (y_pred, values)) if m is not None and m.shape == values.shape]
        return reduced(values, sample_weight, None if not masks else masks[0] if len(masks) == 1 else masks[0] & masks[1], self.reduction)


def reduced(values, sample_weight=None, mask=None, reduction="sum_over_batch_size"):
    """The losses weighed and reduced; padded steps count neither in the sum nor in the divisor."""
    weight = None if sample_weight is None else as_tensor(sample_weight).to(device=values.device, dtype=values.dtype)
    divisor = values.numel()
    if mask is not None:
        m = mask.to(values.dtype)
        weight = m if weight is None else m * spread(weight, values)
        weight = weight * (m.numel() / m.sum().clamp(min=1)).item() if reduction == "sum_over_batch_size" else weight
    if weight is not None:
        values = values * spread(weight, values)
    if reduction in (None, "none"):
        return values
    return values.sum() if reduction == "sum" else values.sum() / max(1, divisor)


def spread(weight, values):
    """Weights of samples as weights of values. ValueError where their shapes do not fit."""
    if weight.ndim == values.ndim + 1 and weight.shape[-1] == 1:
        weight = weight.squeeze(-1)
    if weight.shape != values.shape[:weight.ndim] and weight.ndim:
        raise ValueError(f"sample_weight has the shape {shown(weight.shape)}, but there are losses of {shown(values.shape)}")
    return weight.reshape(*weight.shape, *(1,) * (values.ndim - weight.ndim))


class Wrapped(Loss):
    """A loss made of a function (y_true, y_pred)."""

    def __init__(self, function, name=None, reduction="sum_over_batch_size"):
        super().__init__(name or getattr(function, "__name__", type(function).__name__), reduction)
        self.function = function

    def call(self, y_true, y_pred):
        return self.function(y_true, y_pred)


class Function(Loss):
    """The base of the losses below: a function of this file, and its options."""

    defaults: dict = {}

    def __init__(self, *args, reduction="sum_over_batch_size", name=None, dtype=None, **options):
        unknown = options.keys() - self.defaults
        if unknown or len(args) > len(self.defaults):
            raise TypeError(f"{type(self).__name__} has no argument {', '.join(sorted(unknown)) or repr(args[-1])}; it takes "
                            f"{', '.join([*self.defaults, 'reduction', 'name'])}")
        super().__init__(name or {"huber": "huber_loss"}.get(self.function.__name__, self.function.__name__), reduction)
        self.options = {**self.defaults, **dict(zip(self.defaults, args)), **options}

    def call(self, y_true, y_pred):
        return self.function(y_true, y_pred, **self.options)

    def get_config(self):
        return {**self.options, "reduction": self.reduction, "name": self.name}


def of(function, name, **defaults):
    """The class of that name."""
    return type(name, (Function,), {"function": staticmethod(function), "defaults": defaults, "__doc__": function.__doc__,
                                    "__module__": __name__})


MeanSquaredError = of(mean_squared_error, "MeanSquaredError")
MeanAbsoluteError = of(mean_absolute_error, "MeanAbsoluteError")
MeanAbsolutePercentageError = of(mean_absolute_percentage_error, "MeanAbsolutePercentageError")
MeanSquaredLogarithmicError = of(mean_squared_logarithmic_error, "MeanSquaredLogarithmicError")
CosineSimilarity = of(cosine_similarity, "CosineSimilarity", axis=-1)
Huber = of(huber, "Huber", delta=1.0)
LogCosh = of(log_cosh, "LogCosh")
Poisson = of(poisson, "Poisson")
KLDivergence = of(kl_divergence, "KLDivergence")
Hinge = of(hinge, "Hinge")
SquaredHinge = of(squared_hinge, "SquaredHinge")
CategoricalHinge = of(categorical_hinge, "CategoricalHinge")
BinaryCrossentropy = of(binary_crossentropy, "BinaryCrossentropy", from_logits=False, label_smoothing=0.0, axis=-1)
CategoricalCrossentropy = of(categorical_crossentropy, "CategoricalCrossentropy", from_logits=False, label_smoothing=0.0, axis=-1)
SparseCategoricalCrossentropy = of(sparse_categorical_crossentropy, "SparseCategoricalCrossentropy", from_logits=False, ignore_class=None,
                                   axis=-1)

CLASSES = (MeanSquaredError, MeanAbsoluteError, MeanAbsolutePercentageError, MeanSquaredLogarithmicError, CosineSimilarity, Huber, LogCosh,
           Poisson, KLDivergence, Hinge, SquaredHinge, CategoricalHinge, BinaryCrossentropy, CategoricalCrossentropy,
           SparseCategoricalCrossentropy)
SHORT = {"mse": mean_squared_error, "mae": mean_absolute_error, "mape": mean_absolute_percentage_error,
         "msle": mean_squared_logarithmic_error, "bce": binary_crossentropy, "kld": kl_divergence, "kl_divergence": kl_divergence,
         "logcosh": log_cosh, "huber_loss": huber}
NAMES = {**{c.function.__name__: c.function for c in CLASSES}, **SHORT, **{c.__name__: c for c in CLASSES}}
mse = MSE = mean_squared_error
mae = MAE = mean_absolute_error
mape = MAPE = mean_absolute_percentage_error
msle = MSLE = mean_squared_logarithmic_error
bce, kld = binary_crossentropy, kl_divergence
get = resolver("loss", NAMES, base=Loss)
