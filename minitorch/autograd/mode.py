"""Whether ops are recorded: `no_grad`, `enable_grad`, `set_grad_enabled`, `inference_mode`; one switch per thread."""
import functools
import inspect
import threading


class Mode(threading.local):
    """This thread's switches."""
    grad = True                            # record the ops that touch a tensor requiring grad
    inference = False                      # new tensors belong to no graph, now or later


mode = Mode()
restricted = []                            # one entry for each thread that is not in the plain recording mode: usually empty, and
                                           # cheaper to look at than a thread's own switches


class Setting:
    """A switch thrown for the length of a `with` block, or of each call of a decorated function."""

    def __init__(self, **values):
        self.values, self.before = values, []

    def __enter__(self):
        self.before.append({name: getattr(mode, name) for name in self.values})
        switch(self.values)
        return self

    def __exit__(self, *_):
        switch(self.before.pop())

    def __call__(self, f):
        if inspect.isgeneratorfunction(f):
            @functools.wraps(f)
            def generate(*args, **kwargs):           # the caller's code between two items keeps its own mode
                items = f(*args, **kwargs)
                while True:
                    with Setting(**self.values):
                        try:
                            item = next(items)
                        except StopIteration as stop:
                            return stop.value
                    yield item
            return generate

        @functools.wraps(f)
        def call(*args, **kwargs):
            with Setting(**self.values):
                return f(*args, **kwargs)
        return call


def switch(values):
    """Throw this thread's switches."""
    before = mode.grad and not mode.inference
    for name, value in values.items():
        setattr(mode, name, value)
    after = mode.grad and not mode.inference
    if before and not after:
        restricted.append(None)
    elif after and not before:
        restricted.pop()


class no_grad(Setting):
    """Nothing is recorded inside; usable as `with no_grad():`, `@no_grad()` and `@no_grad`."""

    def __new__(cls, f=None):
        return super().__new__(cls) if f is None else cls()(f)

    def __init__(self):
        super().__init__(grad=False)


class enable_grad(Setting):
    """Recording is on inside, also within no_grad; usable like no_grad."""

    def __new__(cls, f=None):
        return super().__new__(cls) if f is None else cls()(f)

    def __init__(self):
        super().__init__(grad=True)


class inference_mode(Setting):
    """no_grad, and the tensors made inside can never be used in a graph."""

    def __new__(cls, mode=True):
        return cls()(mode) if callable(mode) else super().__new__(cls)

    def __init__(self, mode=True):
        super().__init__(**({"grad": False, "inference": True} if mode else {"grad": True, "inference": False}))


class set_grad_enabled(Setting):
    """Switch recording on or off at once; as a `with` block, for its length."""

    def __init__(self, mode):
        super().__init__(grad=bool(mode))
        self.call_before = globals()["mode"].grad
        switch(self.values)

    def __enter__(self):
        self.before.append({"grad": self.call_before})
        switch(self.values)
        return self

    def __call__(self, f):                           # as a decorator it must not switch anything now
        switch({"grad": self.call_before})
        return super().__call__(f)


def is_grad_enabled():
    """Whether ops are being recorded in this thread."""
    return mode.grad


def is_inference_mode_enabled():
    """Whether inference_mode is on in this thread."""
    return mode.inference
