"""Trainer: the part of Model that learns: compile, fit, evaluate, predict."""
import minitorch as torch

from .. import optimizers
from ..metrics.base import Mean, Metric
from ..variable import leaves, mapped
from .compiled import Compiled, number
from .data import Arrays, batches_of, by_class, triple


class Trainer:
    """compile() says what to learn, fit() learns it, evaluate() measures, predict() answers.

    A subclass may have a train_step(data), test_step(data) or predict_step(data) of its own, for data = (x, y, sample_weight).
    """

    def _start_training_state(self):
        self.compiled, self.stop_training, self.optimizer, self.history = False, False, None, None
        self._compiled, self._loss_mean = None, Mean("loss")

    # ---- compile ----------------------------------------------------------------------------------------

    def compile(self, optimizer="rmsprop", loss=None, loss_weights=None, metrics=None, weighted_metrics=None, run_eagerly=False,
                steps_per_execution=1, jit_compile="auto", auto_scale_loss=True):
        """Say what to learn with: an optimizer, a loss and metrics, by names or as objects.

        With several outputs: lists in their order or dicts by their names.  ValueError for names that do not exist.  The last four
        arguments are accepted and change nothing.
        """
        self.optimizer = optimizers.get(optimizer)
        self._compiled = Compiled(loss, loss_weights, metrics, weighted_metrics)
        self._compile_config = {"optimizer": self.optimizer, "loss": loss, "loss_weights": loss_weights, "metrics": metrics,
                                "weighted_metrics": weighted_metrics}
        self.compiled, self.loss = True, loss
        if self.optimizer.inner is not None and {id(p) for p in self.optimizer.params} != {id(p) for p in self.trainable_weights}:
            self.optimizer.inner = None

    def get_compile_config(self):
        """What compile() was given."""
        return dict(self._compile_config)

    def _require_compiled(self, what):
        if not self.compiled:
            raise RuntimeError(f'model "{self.name}" must be compiled before {what}(): model.compile(optimizer="adam", loss=...)')

    # ---- metrics ----------------------------------------------------------------------------------------

    @property
    def metrics(self):
        """The mean loss, compile()'s metrics, and those that are attributes of the model."""
        own = [v for v in self.__dict__.values() if isinstance(v, Metric) and v is not self._loss_mean]
        return [self._loss_mean, *([] if self._compiled is None else self._compiled.objects()), *own]

    @property
    def metrics_names(self):
        """The names of what evaluate() returns."""
        return ["loss", *([] if self._compiled is None else self._compiled.results())]

    def reset_metrics(self):
        """Forget what the metrics gathered."""
        for m in self.metrics:
            m.reset_state()

    def get_metrics_result(self):
        """{name: number} of all metrics."""
        found = {} if self._loss_mean not in self.metrics else {"loss": number(self._loss_mean.result())}
        found.update({} if self._compiled is None else self._compiled.results())
        done = {id(m) for m in [self._loss_mean, *([] if self._compiled is None else self._compiled.objects())]}
        return {**found, **{m.name: number(m.result()) for m in self.metrics if id(m) not in done}}

    # ---- one batch --------------------------------------------------------------------------------------

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """The loss of a batch: compile()'s, the penalties on weights and what add_loss() was given."""
        if self._compiled is None:
            raise RuntimeError(f'model "{self.name}" has no loss: compile(loss=...) it')
        if self._compiled.names is None:
            self._compiled.match(self, y, y_pred)
        total = self._compiled.loss(y, y_pred, sample_weight)
        for extra in self.losses:
            total = extra if total is None else total + extra
        if total is None:
            raise ValueError(f'model "{self.name}" has no loss to lower: compile(loss=...) it, or call add_loss() in its layers')
        return total

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        """Gather a batch in compile()'s metrics; {name: number} of all."""
        self._compiled.update(y, y_pred, sample_weight)
        return self.get_metrics_result()

    def train_step(self, data):
        """One step of descent on a batch; {name: number} to be shown."""
        x, y, sample_weight = triple(data)
        y_pred = self(x, training=True)
        loss = self.compute_loss(x, y, y_pred, sample_weight)
        self._loss_mean.update_state(loss, len(leaves(x)[0]))
        self.zero_grad()
        variables = self.trainable_weights
        if not variables or not loss.requires_grad:
            raise ValueError(f'model "{self.name}" has no weights to train: every layer is frozen, or has none')
        loss.backward()
        self.optimizer.apply([v.grad for v in variables], variables)
        self._constrain()
        return self.compute_metrics(x, y, y_pred, sample_weight)

    def test_step(self, data):
        """The metrics with one more batch."""
        x, y, sample_weight = triple(data)
        y_pred = self(x, training=False)
        loss = self.compute_loss(x, y, y_pred, sample_weight, training=False)
        self._loss_mean.update_state(loss, len(leaves(x)[0]))
        return self.compute_metrics(x, y, y_pred, sample_weight)

    def predict_step(self, data):
        """The outputs for one batch."""
        return self(triple(data)[0], training=False)

    def _constrain(self):
        for m in self.modules():
            for weight, constraint in getattr(m, "_constrained", ()):
                with torch.no_grad():
                    weight.copy_(constraint(weight.detach()))

    def _placed(self, data):
        """A batch on the device of the model."""
        p = next(self.parameters(), None)
        if p is None or p.device.type == "cpu":
            return data
        return mapped(lambda t: None if t is None else t.to(p.device), data)

    # ---- many batches -----------------------------------------------------------------------------------

    def fit(self, x=None, y=None, batch_size=None, epochs=1, verbose="auto", callbacks=None, validation_split=0.0, validation_data=None,
            shuffle=True, class_weight=None, sample_weight=None, initial_epoch=0, steps_per_epoch=None, validation_steps=None,
            validation_batch_size=None, validation_freq=1):
        """Learn from arrays x and y (or lists and dicts of them, or batches (x, y) from a DataLoader or generator); returns the History.

        validation_split: the last share of the samples is not learnt from, but measured after each epoch; validation_data: others.
        class_weight: {class: weight}.  sample_weight: a number for each sample.  shuffle: a new order in each epoch.
        verbose: 0 nothing, 1 a bar and a line for each epoch, 2 the line alone.
        """
        from ..callbacks.base import CallbackList
        self._require_compiled("fit")
        if class_weight is not None and sample_weight is not None:
            raise ValueError("class_weight and sample_weight cannot both be given")
        if epochs < initial_epoch:
            raise ValueError(f"epochs is the last epoch's number, {epochs}, and must not be below initial_epoch={initial_epoch}")
        data = batches_of(x, y, sample_weight, batch_size, shuffle, steps_per_epoch)
        validation = None
        if validation_data is not None:
            given = validation_data if isinstance(validation_data, tuple) else (validation_data,)
            validation = batches_of(*given, batch_size=validation_batch_size or batch_size, steps=validation_steps)
        elif validation_split:
            if not isinstance(data, Arrays):
                raise ValueError("validation_split needs arrays, which it can cut; give validation_data")
            data, validation = data.split(validation_split)
        run = CallbackList(callbacks, self, verbose=1 if verbose in ("auto", True) else int(verbose), epochs=epochs, steps=len(data),
                           add_history=True)
        self.stop_training = False
        try:
            run.on_train_begin()
            logs = {}
            for epoch in range(initial_epoch, epochs):
                logs = self._epoch(data, epoch, run, class_weight)
                if validation is not None and self._due(epoch, validation_freq):
                    logs.update({f"val_{k}": v for k, v in self._measured(validation, run).items()})
                run.on_epoch_end(epoch, logs)
                if hasattr(x, "on_epoch_end"):
                    x.on_epoch_end()
                if self.stop_training:
                    break
            run.on_train_end(logs)
        finally:
            run.close()
            self.eval()
        return self.history

    @staticmethod
    def _due(epoch, frequency):
        return (epoch + 1) % frequency == 0 if isinstance(frequency, int) else epoch + 1 in frequency

    def _epoch(self, data, epoch, run, class_weight):
        """The logs of one pass over the data."""
        self.train()
        self.reset_metrics()
        run.on_epoch_begin(epoch)
        logs, step = {}, -1
        for step, (x, y, weight) in enumerate(data):
            if class_weight is not None:
                weight = by_class(y, class_weight)
            run.on_train_batch_begin(step)
            logs = self.train_step(self._placed((x, y, weight)))
            run.on_train_batch_end(step, logs)
            if self.stop_training:
                break
        if step < 0:
            raise ValueError("the data gave no batches" + (": a generator that has ended gives none in the next epoch" if epoch else ""))
        return plain(logs)

    def _measured(self, data, run=None):
        """The logs of one pass over the data without learning."""
        self.eval()
        self.reset_metrics()
        logs = {}
        if run is not None:
            run.on_test_begin()
        with torch.no_grad():
            for step, batch in enumerate(data):
                if run is not None:
                    run.on_test_batch_begin(step)
                logs = self.test_step(self._placed(batch))
                if run is not None:
                    run.on_test_batch_end(step, logs)
        if run is not None:
            run.on_test_end(logs)
        return plain(logs)

    def evaluate(self, x=None, y=None, batch_size=None, verbose="auto", sample_weight=None, steps=None, callbacks=None, return_dict=False):
        """The loss, and after it the metrics where there are any; return_dict: by their names."""
        from ..callbacks.base import CallbackList
        self._require_compiled("evaluate")
        data = batches_of(x, y, sample_weight, batch_size, steps=steps)
        run = CallbackList(callbacks, self, verbose=1 if verbose in ("auto", True) else int(verbose), epochs=1, steps=len(data))
        try:
            logs = self._measured(data, run)
        finally:
            run.close()
        return logs if return_dict else flat(logs)

    def predict(self, x, batch_size=None, verbose="auto", steps=None, callbacks=None):
        """The outputs for all of x, as NumPy arrays."""
        from ..callbacks.base import CallbackList
        data = batches_of(x, batch_size=batch_size, steps=steps)
        run = CallbackList(callbacks, self, verbose=1 if verbose in ("auto", True) else int(verbose), epochs=1, steps=len(data))
        self.eval()
        parts = []
        try:
            run.on_predict_begin()
            with torch.no_grad():
                for step, batch in enumerate(data):
                    run.on_predict_batch_begin(step)
                    parts.append(mapped(lambda t: t.detach().cpu(), self.predict_step(self._placed(batch))))
                    run.on_predict_batch_end(step, {"outputs": parts[-1]})
            run.on_predict_end()
        finally:
            run.close()
        if not parts:
            raise ValueError("predict: the data gave no batches")
        return joined(parts)

    # ---- one batch from outside ---------------------------------------------------------------------------

    def train_on_batch(self, x, y=None, sample_weight=None, class_weight=None, return_dict=False):
        """One step on this batch; its loss, and after it the metrics where there are any."""
        self._require_compiled("train_on_batch")
        x, y, sample_weight = next(iter(Arrays(x, y, sample_weight, 1 << 60)))
        if class_weight is not None:
            sample_weight = by_class(y, class_weight)
        self.train()
        self.reset_metrics()
        try:
            logs = plain(self.train_step(self._placed((x, y, sample_weight))))
        finally:
            self.eval()
        return logs if return_dict else flat(logs)

    def test_on_batch(self, x, y=None, sample_weight=None, return_dict=False):
        """The loss of this batch, and after it the metrics where there are any."""
        self._require_compiled("test_on_batch")
        logs = self._measured(Arrays(x, y, sample_weight, 1 << 60))
        return logs if return_dict else flat(logs)

    def predict_on_batch(self, x):
        """The outputs for this batch, as NumPy arrays."""
        return self.predict(x, batch_size=1 << 60, verbose=0)


def plain(logs):
    """Logs as numbers."""
    return {k: number(v) for k, v in logs.items()}


def flat(logs):
    """The numbers alone; one as it is."""
    values = list(logs.values())
    return values[0] if len(values) == 1 else values


def joined(parts):
    """Outputs of batches, one after another, as arrays."""
    first = parts[0]
    if isinstance(first, dict):
        return {k: joined([p[k] for p in parts]) for k in first}
    if isinstance(first, (list, tuple)):
        return [joined([p[i] for p in parts]) for i in range(len(first))]
    return torch.cat(parts).numpy() if first.ndim else torch.stack(parts).numpy()
