"""What compile() was given, made fit for the model's outputs: a loss and metrics for each of them."""
import minitorch as torch

from .. import losses, metrics
from ..metrics import wrapped
from ..metrics.base import Mean
from ..variable import leaves


def as_loss(identifier):
    """A loss as an object; None stays None."""
    found = losses.get(identifier)
    if found is None or isinstance(found, losses.Loss):
        return found
    return losses.Wrapped(found)


def per_output(spec, names, what, is_one):
    """What each output gets of a specification: one for all, a list in order, or a dict by name."""
    if spec is None:
        return [None] * len(names)
    if isinstance(spec, dict) and "class_name" not in spec:
        unknown = [k for k in spec if k not in names]
        if unknown:
            raise ValueError(f"{what}: the model has no output {', '.join(map(repr, unknown))}; its outputs are {', '.join(names)}")
        return [spec.get(n) for n in names]
    if isinstance(spec, (list, tuple)) and not is_one(spec):
        if len(spec) != len(names):
            raise ValueError(f"{what}: {len(spec)} given, but the model has {len(names)} output{'s' * (len(names) != 1)}: {', '.join(names)}")
        return list(spec)
    return [spec] * len(names)


class Compiled:
    """Loss and metrics of a model, matched to its outputs when the first are known."""

    def __init__(self, loss, loss_weights, metric_specs, weighted_specs):
        self.spec, self.loss_weights, self.metric_specs, self.weighted_specs = loss, loss_weights, metric_specs, weighted_specs
        for one in leaves(loss):                     # names are checked where the user wrote them
            as_loss(one)
        for one in leaves([metric_specs, weighted_specs]):
            if one is not None:
                metrics.get(one)
        self.names = None                            # of the outputs; None until matched

    def match(self, model, y, y_pred):
        """Settle which loss and metrics each output has."""
        outputs = leaves(y_pred)
        names = list(y_pred) if isinstance(y_pred, dict) else model.output_names
        if len(names) != len(outputs):
            names = [f"output_{i}" for i in range(len(outputs))]
        self.names = names
        one = len(names) == 1
        self.losses = [as_loss(s) for s in per_output(self.spec, names, "loss", lambda s: False)]
        weights = per_output(self.loss_weights, names, "loss_weights", lambda s: False)
        self.weights = [1.0 if w is None else float(w) for w in weights]
        self.loss_means = [] if one else [Mean(f"{n}_loss") for n in names]
        self.metrics = []                            # (output's place, metric, whether weighed, name in the logs)
        targets = self.targets(y)
        for specs, weighed in ((self.metric_specs, False), (self.weighted_specs, True)):
            rows = per_output(specs, names, "metrics", lambda s: one and not any(isinstance(m, (list, tuple)) for m in s))
            for i, row in enumerate(rows):
                for spec in row if isinstance(row, (list, tuple)) else [row]:
                    if spec is not None and targets[i] is not None:
                        metric = wrapped.chosen(spec, targets[i], outputs[i])
                        self.metrics.append((i, metric, weighed, metric.name if one else f"{names[i]}_{metric.name}"))

    def targets(self, y):
        """y for each output. ValueError where there are too many or too few."""
        if isinstance(y, dict):
            unknown = [k for k in y if k not in self.names]
            if unknown:
                raise ValueError(f"y has {', '.join(map(repr, unknown))}, but the model's outputs are {', '.join(self.names)}")
            return [y.get(n) for n in self.names]
        found = leaves(y)
        if y is None:
            return [None] * len(self.names)
        if len(found) != len(self.names):
            raise ValueError(f"y has {len(found)} arrays, but the model {len(self.names)} output{'s' * (len(self.names) != 1)}: "
                             f"{', '.join(self.names)}")
        return found

    def sample_weights(self, sample_weight):
        """The weights of the samples for each output."""
        return per_output(sample_weight, self.names, "sample_weight", lambda s: False)

    def loss(self, y, y_pred, sample_weight):
        """The weighted sum of the outputs' losses; None where there is none."""
        total, outputs, targets = None, leaves(y_pred), self.targets(y)
        for i, (loss, target, weight) in enumerate(zip(self.losses, targets, self.sample_weights(sample_weight))):
            if loss is None:
                continue
            if target is None:
                raise ValueError(f"there is no y for the output {self.names[i]}, which has the loss {loss.name}")
            value = loss(target, outputs[i], sample_weight=weight) if weight is not None else loss(target, outputs[i])
            if value.ndim:
                value = value.mean()
            if self.loss_means:
                self.loss_means[i].update_state(value, len(outputs[i]))
            value = value if self.weights[i] == 1.0 else value * self.weights[i]
            total = value if total is None else total + value
        return total

    def update(self, y, y_pred, sample_weight):
        """Gather a batch in every metric."""
        outputs, targets, weights = leaves(y_pred), self.targets(y), self.sample_weights(sample_weight)
        with torch.no_grad():
            for i, metric, weighed, _ in self.metrics:
                if weighed:
                    metric.update_state(targets[i], outputs[i], sample_weight=weights[i])
                else:
                    metric.update_state(targets[i], outputs[i])

    def objects(self):
        """The metrics."""
        return [] if self.names is None else [*self.loss_means, *[m for _, m, _, _ in self.metrics]]

    def results(self):
        """{name: number} of all of them."""
        if self.names is None:
            return {}
        found = {m.name: number(m.result()) for m, loss in zip(self.loss_means, self.losses) if loss is not None}
        return {**found, **{name: number(m.result()) for _, m, _, name in self.metrics}}


def number(result):
    """A metric's result as a number; a list of them where it has several."""
    if isinstance(result, (int, float)):
        return float(result)
    return float(result) if not getattr(result, "ndim", 0) else result.tolist()
