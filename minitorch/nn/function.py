"""Modules that are a function of nn.functional with some arguments fixed: most of them."""
from . import functional as F
from .module import Module


class FunctionModule(Module):
    """Calls F.<function> on its inputs, with the attributes named in `settings` as keyword arguments.

    `shown` names those that stand in the printed form: all of them where it is None.
    """

    function = ""
    settings: tuple[str, ...] = ()
    shown: tuple[str, ...] | None = None

    def __init__(self, **attributes):
        super().__init__()
        for name, value in attributes.items():
            setattr(self, name, value)

    def forward(self, *inputs):
        return getattr(F, self.function)(*inputs, **{name: getattr(self, name) for name in self.settings})

    def extra_repr(self):
        names = self.settings if self.shown is None else self.shown
        return ", ".join(f"{name}={getattr(self, name)!r}" for name in names if name != "inplace" or self.inplace)
