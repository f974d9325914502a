"""Padding as modules: elements put around the last axes."""
from . import functional as F
from .module import Module


class Padding(Module):
    """What all paddings share: `padding` as one number or as (before, after) of every axis, the last axis first."""

    n, mode = 0, "constant"                          # how many axes; how F.pad fills

    def __init__(self, padding, value=None):
        super().__init__()
        self.padding = (padding,) * (2 * self.n) if isinstance(padding, int) else tuple(padding)
        if self.mode == "constant":
            self.value = value

    def forward(self, input):
        return F.pad(input, self.padding, self.mode, getattr(self, "value", None))

    def extra_repr(self):
        return f"{self.padding}"


class ConstantPad(Padding):
    """`value` around the last axes; negative amounts cut off."""

    def __init__(self, padding, value):
        super().__init__(padding, value)

    def extra_repr(self):
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(ConstantPad):
    """`value` before and after the last axis."""
    n = 1


class ConstantPad2d(ConstantPad):
    """`value` around the last two axes."""
    n = 2


class ConstantPad3d(ConstantPad):
    """`value` around the last three axes."""
    n = 3


class ZeroPad(Padding):
    """Zeros around the last axes; negative amounts cut off."""

    def __init__(self, padding):
        super().__init__(padding, 0.0)


class ZeroPad1d(ZeroPad):
    """Zeros before and after the last axis."""
    n = 1


class ZeroPad2d(ZeroPad):
    """Zeros around the last two axes."""
    n = 2


class ZeroPad3d(ZeroPad):
    """Zeros around the last three axes."""
    n = 3


class OwnPad(Padding):
    """A padding made of the input's own elements."""

    def __init__(self, padding):
        super().__init__(padding)


class ReflectionPad1d(OwnPad):
    """(N, C, L) or (C, L) mirrored at its ends, which are not repeated."""
    n, mode = 1, "reflect"


class ReflectionPad2d(OwnPad):
    """(N, C, H, W) or (C, H, W) mirrored at its edges, which are not repeated."""
    n, mode = 2, "reflect"


class ReflectionPad3d(OwnPad):
    """(N, C, D, H, W) or (C, D, H, W) mirrored at its faces, which are not repeated."""
    n, mode = 3, "reflect"


class ReplicationPad1d(OwnPad):
    """(N, C, L) or (C, L) with its ends repeated."""
    n, mode = 1, "replicate"


class ReplicationPad2d(OwnPad):
    """(N, C, H, W) or (C, H, W) with its edges repeated."""
    n, mode = 2, "replicate"


class ReplicationPad3d(OwnPad):
    """(N, C, D, H, W) or (C, D, H, W) with its faces repeated."""
    n, mode = 3, "replicate"


class CircularPad(OwnPad):
    """The input as one period of a pattern that goes on."""
    mode = "circular"

    def forward(self, input):
        if input.ndim not in (self.n + 1, self.n + 2):
            raise ValueError(f"expected {self.n + 1}D or {self.n + 2}D input (got {input.ndim}D input)")
        return super().forward(input)


class CircularPad1d(CircularPad):
    """(N, C, L) or (C, L), continued periodically."""
    n = 1


class CircularPad2d(CircularPad):
    """(N, C, H, W) or (C, H, W), continued periodically."""
    n = 2


class CircularPad3d(CircularPad):
    """(N, C, D, H, W) or (C, D, H, W), continued periodically."""
    n = 3
