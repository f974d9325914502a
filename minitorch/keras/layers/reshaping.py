"""Layers that only rearrange, repeat, pad or cut their input."""
import math

from ...nn import functional as F
from ..layer import Layer
from ..variable import shown
from ..weights import InputSpec


class Flatten(Layer):
    """(N, ...) -> (N, product of the rest)."""

    keeps_dtype = True

    def __init__(self, data_format=None, **kwargs):
        super().__init__(**kwargs)
        self.first = data_format == "channels_first"

    def call(self, inputs):
        if self.first and inputs.ndim > 2:
            inputs = inputs.moveaxis(1, -1)
        return inputs.reshape(inputs.shape[0], -1) if inputs.ndim > 1 else inputs.reshape(-1, 1)

    def compute_output_shape(self, input_shape):
        rest = input_shape[1:]
        return (input_shape[0], None if None in rest else math.prod(rest))


class Reshape(Layer):
    """(N, ...) -> (N, *target_shape), one of whose sizes may be -1."""

    keeps_dtype = True

    def __init__(self, target_shape, **kwargs):
        super().__init__(**kwargs)
        self.target_shape = tuple(target_shape)

    def build(self, input_shape):
        self.sizes(input_shape)

    def sizes(self, input_shape):
        """The target, -1 worked out; ValueError where the number of elements differs."""
        rest, known = input_shape[1:], math.prod(n for n in self.target_shape if n != -1)
        if None in rest:
            return tuple(None if n == -1 else n for n in self.target_shape)
        total = math.prod(rest)
        if (total % known if -1 in self.target_shape and known else total != known) or self.target_shape.count(-1) > 1:
            raise ValueError(f'layer "{self.name}": an input of {shown(rest)}, {total} numbers for each sample, does not fit the shape '
                             f"{shown(self.target_shape)}")
        return tuple(total // known if n == -1 else n for n in self.target_shape)

    def call(self, inputs):
        return inputs.reshape(inputs.shape[0], *self.sizes(tuple(inputs.shape)))

    def compute_output_shape(self, input_shape):
        return (input_shape[0], *self.sizes(input_shape))


class Permute(Layer):
    """The axes after the batch's in another order: dims counts them from 1."""

    keeps_dtype = True

    def __init__(self, dims, **kwargs):
        super().__init__(**kwargs)
        self.dims = tuple(dims)
        if sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise ValueError(f"Permute: dims must hold 1 to {len(self.dims)}, each once, not {dims}")
        self.input_spec = InputSpec(ndim=len(self.dims) + 1)

    def call(self, inputs):
        return inputs.permute(0, *self.dims)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], *[input_shape[d] for d in self.dims])


class RepeatVector(Layer):
    """(N, C) -> (N, n, C)."""

    def __init__(self, n, **kwargs):
        super().__init__(**kwargs)
        self.n, self.input_spec = n, InputSpec(ndim=2)

    def call(self, inputs):
        return inputs.unsqueeze(1).expand(inputs.shape[0], self.n, inputs.shape[1])

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.n, input_shape[1])


def pairs(value, rank, what):
    """((before, after), ...) for each spatial axis, from a number, a tuple of numbers, or such pairs."""
    if isinstance(value, int):
        value = (value,) * rank
    if rank == 1 and len(value) == 2 and all(isinstance(v, int) for v in value):
        value = (tuple(value),)
    found = tuple((v, v) if isinstance(v, int) else tuple(v) for v in value)
    if len(found) != rank or any(len(p) != 2 or min(p) < 0 for p in found):
        raise ValueError(f"{what}: {value!r} is no number, nor a number or a pair of numbers for each of {rank} axes")
    return found


class ZeroPadding(Layer):
    """Zeros around the spatial axes."""

    rank = 0

    def __init__(self, padding=1, data_format=None, **kwargs):
        super().__init__(**kwargs)
        self.padding, self.first = pairs(padding, self.rank, type(self).__name__), data_format == "channels_first"
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def call(self, inputs):
        flat = [n for pair in reversed(self.padding) for n in pair]
        return F.pad(inputs, flat if self.first else [0, 0, *flat])

    def compute_output_shape(self, input_shape):
        start = 2 if self.first else 1
        middle = [None if n is None else n + sum(p) for n, p in zip(input_shape[start:], self.padding)]
        return (*input_shape[:start], *middle, *input_shape[start + self.rank:])


class Cropping(ZeroPadding):
    """The input without its edges."""

    def __init__(self, cropping=1, data_format=None, **kwargs):
        super().__init__(cropping, data_format, **kwargs)
        self.padding = tuple((-a, -b) for a, b in self.padding)

    def call(self, inputs):
        start = 2 if self.first else 1
        for axis, (a, b) in enumerate(self.padding, start):
            inputs = inputs.narrow(axis, -a, inputs.shape[axis] + a + b)
        return inputs


class UpSampling(Layer):
    """Each place of the spatial axes repeated `size` times."""

    rank = 0

    def __init__(self, size=2, data_format=None, interpolation="nearest", **kwargs):
        super().__init__(**kwargs)
        self.size = (size,) * self.rank if isinstance(size, int) else tuple(size)
        self.first, self.interpolation = data_format == "channels_first", interpolation
        if interpolation not in ("nearest", "bilinear") or (interpolation == "bilinear" and self.rank != 2):
            raise ValueError(f"{type(self).__name__}: interpolation is nearest or, in two dimensions, bilinear, not {interpolation!r}")
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def call(self, inputs):
        if self.interpolation == "bilinear":
            x = inputs if self.first else inputs.moveaxis(-1, 1)
            y = F.interpolate(x, scale_factor=tuple(map(float, self.size)), mode="bilinear", align_corners=False)
            return y if self.first else y.moveaxis(1, -1)
        for axis, n in enumerate(self.size, 2 if self.first else 1):
            inputs = inputs.repeat_interleave(n, axis)
        return inputs

    def compute_output_shape(self, input_shape):
        start = 2 if self.first else 1
        middle = [None if n is None else n * k for n, k in zip(input_shape[start:], self.size)]
        return (*input_shape[:start], *middle, *input_shape[start + self.rank:])


def ranked(base, name, rank):
    """The class for one number of spatial axes."""
    return type(name, (base,), {"rank": rank, "__doc__": f"{base.__doc__} For {rank} spatial ax{'e' if rank > 1 else 'i'}s.",
                                "__module__": base.__module__})


ZeroPadding1D, ZeroPadding2D, ZeroPadding3D = [ranked(ZeroPadding, f"ZeroPadding{r}D", r) for r in (1, 2, 3)]
Cropping1D, Cropping2D, Cropping3D = [ranked(Cropping, f"Cropping{r}D", r) for r in (1, 2, 3)]
UpSampling1D, UpSampling2D, UpSampling3D = [ranked(UpSampling, f"UpSampling{r}D", r) for r in (1, 2, 3)]
