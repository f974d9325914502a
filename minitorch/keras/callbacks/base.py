"""Callback: methods that are called on the way; the list of them; the history of the logs."""

PLACES = ("train_begin", "train_end", "epoch_begin", "epoch_end", "test_begin", "test_end", "predict_begin", "predict_end",
          "train_batch_begin", "train_batch_end", "test_batch_begin", "test_batch_end", "predict_batch_begin", "predict_batch_end")


class Callback:
    """The base: override what you need.  self.model is the model, self.params says verbose, epochs and steps.

    epoch and batch count from 0; logs are {name: number}, "loss" and the metrics, in on_epoch_end also those with "val_".
    """

    def __init__(self):
        self.model, self.params = None, {}

    def set_model(self, model):
        """Take over the model."""
        self.model = model

    def set_params(self, params):
        """Take over verbose, epochs and steps."""
        self.params = params

    def on_epoch_begin(self, epoch, logs=None):
        """Before an epoch."""

    def on_epoch_end(self, epoch, logs=None):
        """After an epoch and its validation."""

    def on_train_batch_begin(self, batch, logs=None):
        """Before a batch."""
        self.on_batch_begin(batch, logs)

    def on_train_batch_end(self, batch, logs=None):
        """After a batch."""
        self.on_batch_end(batch, logs)

    def on_batch_begin(self, batch, logs=None):
        """on_train_batch_begin, by its older name."""

    def on_batch_end(self, batch, logs=None):
        """on_train_batch_end, by its older name."""


def nothing(self, logs=None):
    """Before or after all."""


def nothing_for(self, batch, logs=None):
    """Before or after a batch."""


for _place in PLACES:
    if not hasattr(Callback, f"on_{_place}"):
        setattr(Callback, f"on_{_place}", nothing_for if "batch" in _place else nothing)


class History(Callback):
    """history: {name: numbers of all epochs}; epoch: their places."""

    def __init__(self):
        super().__init__()
        self.history, self.epoch = {}, []

    def on_train_begin(self, logs=None):
        self.epoch = []

    def on_epoch_end(self, epoch, logs=None):
        self.epoch.append(epoch)
        for k, v in (logs or {}).items():
            self.history.setdefault(k, []).append(v)
        self.model.history = self


class LambdaCallback(Callback):
    """Functions as a callback: LambdaCallback(on_epoch_end=lambda epoch, logs: ...)."""

    def __init__(self, **functions):
        super().__init__()
        for name, function in functions.items():
            if name.removeprefix("on_") not in (*PLACES, "batch_begin", "batch_end"):
                raise TypeError(f"LambdaCallback has no argument {name!r}; it takes {', '.join(f'on_{p}' for p in PLACES)}")
            if function is not None:
                setattr(self, name, function)


class CallbackList:
    """Callbacks called as one, with the history and the progress at their ends."""

    def __init__(self, callbacks, model, verbose=0, epochs=1, steps=None, add_history=False):
        from ..training.progress import Progress
        given = [] if callbacks is None else list(callbacks) if isinstance(callbacks, (list, tuple)) else [callbacks]
        for c in given:
            if not isinstance(c, Callback):
                raise TypeError(f"callbacks must be Callback objects, not {c.__name__ + ', the class' if isinstance(c, type) else repr(c)}")
        self.progress = Progress() if verbose else None
        if add_history and not any(isinstance(c, History) for c in given):
            given.append(History())
        self.callbacks = [*given, *([self.progress] if self.progress else [])]
        for c in self.callbacks:
            c.set_model(model)
            c.set_params({"verbose": verbose, "epochs": epochs, "steps": steps})
        if add_history:
            model.history = next(c for c in given if isinstance(c, History))

    def __getattr__(self, name):
        if not name.startswith("on_"):
            raise AttributeError(name)

        def call(*args):
            for c in self.callbacks:
                getattr(c, name)(*args)
        return call

    def close(self):
        """Put the bar away, also after an error."""
        if self.progress is not None:
            self.progress.close()
