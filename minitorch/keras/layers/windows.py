"""What convolution and pooling have in common: sizes per axis, the two layouts, and the padding that "same" means.

The channels are the last axis, or with data_format="channels_first" the second.  minitorch computes with the channels first:
between layers only the view changes, so a chain of convolutions and poolings copies nothing for it.
With padding="same" the output has ceil(size / stride) places, and an odd padding puts one more place behind than before.
"""
from ..layer import Layer
from ..variable import shown
from ..weights import InputSpec


def each(value, rank, what):
    """A number or tuple as a tuple of `rank` numbers above 0. ValueError for anything else."""
    found = (value,) * rank if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(found, (tuple, list)) or len(found) != rank or any(not isinstance(n, int) or n < 1 for n in found):
        raise ValueError(f"{what} must be a whole number above 0{f', or a tuple of {rank} of them' if rank > 1 else ''}, not {value!r}")
    return tuple(found)


class Windowed(Layer):
    """The base of layers whose windows slide over `rank` axes."""

    rank = 0

    def set_windows(self, window, strides, padding, data_format, dilation=1, what="kernel_size"):
        """Take over the arguments, checked."""
        name = type(self).__name__
        self.window, self.strides = each(window, self.rank, f"{name}: {what}"), each(strides, self.rank, f"{name}: strides")
        self.dilation_rate = each(dilation, self.rank, f"{name}: dilation_rate")
        if not isinstance(padding, str) or padding.lower() not in ("valid", "same", *(("causal",) if self.rank == 1 else ())):
            raise ValueError(f'{name}: padding must be "valid" or "same"{" or causal" if self.rank == 1 else ""}, not {padding!r}')
        if data_format not in (None, "channels_last", "channels_first"):
            raise ValueError(f'{name}: data_format must be "channels_last" or "channels_first", not {data_format!r}')
        self.padding, self.data_format = padding.lower(), data_format or "channels_last"
        self.first = self.data_format == "channels_first"
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def channels(self, shape):
        """(channels, spatial sizes) of an input's shape."""
        return (shape[1], shape[2:]) if self.first else (shape[-1], shape[1:-1])

    def to_first(self, x):
        return x if self.first else x.moveaxis(-1, 1)

    def from_first(self, y):
        return y if self.first else y.moveaxis(1, -1)

    def reach(self):
        """How many places each window spans."""
        return [d * (k - 1) + 1 for k, d in zip(self.window, self.dilation_rate)]

    def pads(self, sizes):
        """(before, after) for each axis."""
        if self.padding == "valid":
            return [(0, 0)] * self.rank
        if self.padding == "causal":
            return [(k - 1, 0) for k in self.reach()]
        total = [max(0, (-(-n // s) - 1) * s + k - n) for n, s, k in zip(sizes, self.strides, self.reach())]
        return [(n // 2, n - n // 2) for n in total]

    def positions(self, sizes):
        """How many places the windows have along each axis; ValueError where one does not fit in."""
        if self.padding == "valid" and any(n is not None and n < k for n, k in zip(sizes, self.reach())):
            raise ValueError(f'layer "{self.name}": windows of {shown(self.reach())} do not fit into an input of {shown(sizes)}; '
                             'padding="same" would pad it')
        if self.padding == "valid":
            return [None if n is None else (n - k) // s + 1 for n, s, k in zip(sizes, self.strides, self.reach())]
        return [None if n is None else -(-n // s) for n, s in zip(sizes, self.strides)]

    def placed(self, batch, sizes, channels):
        """A shape in this layer's layout."""
        return (batch, channels, *sizes) if self.first else (batch, *sizes, channels)


def flat(pads):
    """(before, after) pairs as F.pad takes them: the last axis first."""
    return [n for pair in reversed(pads) for n in pair]


def ranked(base, name, rank, doc):
    """The class of that name, for one number of spatial axes."""
    return type(name, (base,), {"rank": rank, "__doc__": doc, "__module__": base.__module__})
