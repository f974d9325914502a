"""Metrics that are means of a function: accuracies, and the losses as metrics."""
import numpy as np

from .. import losses
from ..registry import named
from ..variable import shown
from .base import MeanMetricWrapper, Metric, numbers
from .confusion import CLASSES as COUNTED
from .regression import R2Score, RootMeanSquaredError


def paired(y_true, y_pred, name):
    """Both as arrays of one shape, an axis of size 1 at the end dropped or put where they differ by it."""
    a, b = numbers(y_true), numbers(y_pred)
    if a.ndim == b.ndim - 1 and b.shape[-1] == 1:
        a = a[..., None]
    elif b.ndim == a.ndim - 1 and a.shape[-1] == 1:
        a = a[..., 0]
    if a.shape != b.shape:
        raise ValueError(f"{name}: the targets have the shape {shown(a.shape)}, but the model's output {shown(b.shape)}")
    return a, b


def accuracy(y_true, y_pred):
    """Whether y_pred equals y_true."""
    a, b = paired(y_true, y_pred, "accuracy")
    return (a == b).astype("f4")


def binary_accuracy(y_true, y_pred, threshold=0.5):
    """The share of y_pred on the right side of the threshold, for labels 0 and 1."""
    a, b = paired(y_true, y_pred, "binary_accuracy")
    right = (a == (b > threshold)).astype("f4")
    return right.mean(-1) if right.ndim > 1 else right


def categorical_accuracy(y_true, y_pred):
    """Whether the largest of y_pred is at the class of the one-hot y_true."""
    a, b = paired(y_true, y_pred, "categorical_accuracy")
    return (a.argmax(-1) == b.argmax(-1)).astype("f4")


def labels_for(y_true, y_pred, name):
    """(class numbers, scores) whose shapes fit."""
    a, b = numbers(y_true), numbers(y_pred)
    if a.ndim == b.ndim and a.shape[-1] == 1:
        a = a[..., 0]
    if a.shape != b.shape[:-1]:
        raise ValueError(f"{name}: the targets have the shape {shown(a.shape)}, but the model's output {shown(b.shape)}")
    return a, b


def sparse_categorical_accuracy(y_true, y_pred):
    """Whether the largest of y_pred is at the class number y_true."""
    a, b = labels_for(y_true, y_pred, "sparse_categorical_accuracy")
    return (a == b.argmax(-1)).astype("f4")


def sparse_top_k_categorical_accuracy(y_true, y_pred, k=5):
    """Whether the class number y_true is among the k largest of y_pred."""
    a, b = labels_for(y_true, y_pred, "sparse_top_k_categorical_accuracy")
    right = np.take_along_axis(b, a.astype(np.int64)[..., None], -1)
    return ((b > right).sum(-1) < k).astype("f4")


def top_k_categorical_accuracy(y_true, y_pred, k=5):
    """Whether the class of the one-hot y_true is among the k largest of y_pred."""
    return sparse_top_k_categorical_accuracy(numbers(y_true).argmax(-1), y_pred, k)


class Function(MeanMetricWrapper):
    """The base of the metrics below: the mean of a function, and its options."""

    function: object = None
    defaults: dict = {}

    def __init__(self, *args, name=None, dtype=None, **options):
        unknown = options.keys() - self.defaults
        if unknown or len(args) > len(self.defaults) + 2:
            raise TypeError(f"{type(self).__name__} has no argument {', '.join(sorted(unknown)) or repr(args[-1])}; it takes "
                            f"{', '.join([*self.defaults, 'name'])}")
        for first, key in zip(args, [*self.defaults, "name", "dtype"] if self.defaults else ["name", "dtype"]):
            if key in self.defaults:
                options[key] = first
            elif key == "name":
                name = first
        options = {**self.defaults, **options}
        super().__init__(type(self).function, name or self.given_name, **options)

    def get_config(self):
        return {**self._options, "name": self.name}


def of(function, cls_name, given_name=None, **defaults):
    """The class of that name."""
    return type(cls_name, (Function,), {"function": staticmethod(function), "defaults": defaults, "__module__": __name__,
                                        "given_name": given_name or function.__name__, "__doc__": function.__doc__})


Accuracy = of(accuracy, "Accuracy")
BinaryAccuracy = of(binary_accuracy, "BinaryAccuracy", threshold=0.5)
CategoricalAccuracy = of(categorical_accuracy, "CategoricalAccuracy")
SparseCategoricalAccuracy = of(sparse_categorical_accuracy, "SparseCategoricalAccuracy")
TopKCategoricalAccuracy = of(top_k_categorical_accuracy, "TopKCategoricalAccuracy", k=5)
SparseTopKCategoricalAccuracy = of(sparse_top_k_categorical_accuracy, "SparseTopKCategoricalAccuracy", k=5)
MeanSquaredError = of(losses.mean_squared_error, "MeanSquaredError")
MeanAbsoluteError = of(losses.mean_absolute_error, "MeanAbsoluteError")
MeanAbsolutePercentageError = of(losses.mean_absolute_percentage_error, "MeanAbsolutePercentageError")
MeanSquaredLogarithmicError = of(losses.mean_squared_logarithmic_error, "MeanSquaredLogarithmicError")
KLDivergence = of(losses.kl_divergence, "KLDivergence")
Poisson = of(losses.poisson, "Poisson")
BinaryCrossentropy = of(losses.binary_crossentropy, "BinaryCrossentropy", from_logits=False, label_smoothing=0.0)
CategoricalCrossentropy = of(losses.categorical_crossentropy, "CategoricalCrossentropy", from_logits=False, label_smoothing=0.0, axis=-1)
SparseCategoricalCrossentropy = of(losses.sparse_categorical_crossentropy, "SparseCategoricalCrossentropy", from_logits=False, axis=-1)


def cosine(y_true, y_pred, axis=-1):
    """The cosine of the angle between y_true and y_pred."""
    return -losses.cosine_similarity(y_true, y_pred, axis)


CosineSimilarity = of(cosine, "CosineSimilarity", "cosine_similarity", axis=-1)

CLASSES = (Accuracy, BinaryAccuracy, CategoricalAccuracy, SparseCategoricalAccuracy, TopKCategoricalAccuracy, SparseTopKCategoricalAccuracy,
           MeanSquaredError, MeanAbsoluteError, MeanAbsolutePercentageError, MeanSquaredLogarithmicError, KLDivergence, Poisson,
           BinaryCrossentropy, CategoricalCrossentropy, SparseCategoricalCrossentropy, CosineSimilarity, RootMeanSquaredError, R2Score,
           *COUNTED)
NAMES = {c.__name__: c for c in CLASSES}
NAMES |= {getattr(c, "given_name", None) or name: c for name, c in (
    *((c.__name__, c) for c in CLASSES), ("root_mean_squared_error", RootMeanSquaredError), ("r2_score", R2Score),
    ("precision", COUNTED[0]), ("recall", COUNTED[1]), ("auc", COUNTED[2]), ("f1_score", COUNTED[3]))}
NAMES |= {"mse": MeanSquaredError, "MSE": MeanSquaredError, "mae": MeanAbsoluteError, "MAE": MeanAbsoluteError,
          "mape": MeanAbsolutePercentageError, "msle": MeanSquaredLogarithmicError, "bce": BinaryCrossentropy, "kld": KLDivergence,
          "rmse": RootMeanSquaredError}
BY_SHAPE = {"accuracy": (BinaryAccuracy, SparseCategoricalAccuracy, CategoricalAccuracy),
            "crossentropy": (BinaryCrossentropy, SparseCategoricalCrossentropy, CategoricalCrossentropy)}
BY_SHAPE |= {"acc": BY_SHAPE["accuracy"], "ce": BY_SHAPE["crossentropy"]}


def get(identifier):
    """The metric that a name, a configuration, a class or a function (y_true, y_pred) stands for."""
    from ..registry import deserialize
    if isinstance(identifier, dict):
        identifier = deserialize(identifier)
    if isinstance(identifier, str):
        found = named("metric", {**NAMES, **dict.fromkeys(BY_SHAPE)}, identifier)
        identifier = Accuracy if found is None else found
    if isinstance(identifier, type) and issubclass(identifier, Metric):
        identifier = identifier()
    if isinstance(identifier, Metric):
        return identifier
    if callable(identifier):
        return MeanMetricWrapper(identifier)
    raise TypeError(f"a metric is a name, such as 'accuracy', an object or a function, not {type(identifier).__name__}: {identifier!r}")


def chosen(identifier, y_true, y_pred):
    """The metric for these targets and outputs: "accuracy" and "crossentropy" are chosen by their shapes, all carry their name."""
    if isinstance(identifier, str):
        if identifier in BY_SHAPE:
            binary, sparse, one_hot = BY_SHAPE[identifier]
            t, p = tuple(y_true.shape), tuple(y_pred.shape)
            if p[-1:] == (1,):
                return binary(name=identifier)
            return (sparse if len(t) < len(p) or t[-1] == 1 and p[-1] > 1 else one_hot)(name=identifier)
        metric = get(identifier)
        metric.name = identifier
        return metric
    return get(identifier)
