"""Layers that make one tensor of several: sums, products, the tensors side by side."""
import minitorch as torch

from ..layer import Layer, mask_of
from ..variable import shown


def broadcast(shapes):
    """The shape that several shapes have together; None where a size is not known. ValueError where they do not fit."""
    found = []
    longest = max(map(len, shapes))
    for sizes in zip(*[(1,) * (longest - len(s)) + tuple(s) for s in shapes]):
        known = {n for n in sizes if n is not None and n != 1}
        if len(known) > 1:
            raise ValueError(f"shapes that do not fit together: {', '.join(map(shown, shapes))}")
        found.append(known.pop() if known else None if None in sizes else 1)
    return tuple(found)


class Merge(Layer):
    """The base: combines a list of tensors two by two."""

    supports_masking = True
    fewest, most = 1, 0                    # how many tensors; 0: any number

    def build(self, input_shape):
        if not isinstance(input_shape, list) or len(input_shape) < self.fewest or (self.most and len(input_shape) > self.most):
            raise ValueError(f'layer "{self.name}": {type(self).__name__} takes a list of {self.most or "several"} tensors')
        try:
            self.compute_output_shape(input_shape)
        except ValueError as error:
            raise ValueError(f'layer "{self.name}": {error}') from None

    def call(self, inputs):
        y = inputs[0]
        for x in inputs[1:]:
            y = self.combined(y, x)
        return y

    def combined(self, a, b):
        """Two tensors as one."""
        raise NotImplementedError

    def compute_mask(self, inputs, previous_mask=None):
        masks = [m for m in map(mask_of, inputs) if m is not None]
        if not masks or len(masks) < len(inputs):
            return None
        found = masks[0]
        for m in masks[1:]:
            found = found | m
        return found

    def compute_output_shape(self, input_shape):
        return broadcast(input_shape)


class Add(Merge):
    """The sum."""

    def combined(self, a, b):
        return a + b


class Subtract(Merge):
    """The first less the second."""

    fewest, most = 2, 2

    def combined(self, a, b):
        return a - b


class Multiply(Merge):
    """The product, number by number."""

    def combined(self, a, b):
        return a * b


class Average(Merge):
    """The mean."""

    def call(self, inputs):
        return sum(inputs[1:], inputs[0]) / len(inputs)


class Maximum(Merge):
    """The largest, number by number."""

    def combined(self, a, b):
        return torch.maximum(a, b)


class Minimum(Merge):
    """The smallest, number by number."""

    def combined(self, a, b):
        return torch.minimum(a, b)


class Concatenate(Merge):
    """The tensors one after another along `axis`."""

    def __init__(self, axis=-1, **kwargs):
        super().__init__(**kwargs)
        self.axis = axis

    def call(self, inputs):
        return torch.cat(list(inputs), self.axis)

    def compute_mask(self, inputs, previous_mask=None):
        masks = [mask_of(x) for x in inputs]
        if all(m is None for m in masks) or self.axis in (-1, inputs[0].ndim - 1):
            return next((m for m in masks if m is not None), None) if all(m is not None for m in masks) else None
        return torch.cat([torch.ones(x.shape[:2], dtype=torch.bool) if m is None else m for x, m in zip(inputs, masks)], self.axis)

    def compute_output_shape(self, input_shape):
        first, axis = list(input_shape[0]), self.axis
        if any(len(s) != len(first) for s in input_shape):
            raise ValueError(f"shapes of different numbers of axes: {', '.join(map(shown, input_shape))}")
        others = [tuple(n for i, n in enumerate(s) if i != axis % len(first)) for s in input_shape]
        if any(m is not None and n is not None and m != n for other in others for m, n in zip(other, others[0])):
            raise ValueError(f"shapes that differ along other axes than {axis}: {', '.join(map(shown, input_shape))}")
        sizes = [s[axis] for s in input_shape]
        first[axis] = None if None in sizes else sum(sizes)
        return tuple(first)


class Dot(Merge):
    """Products of two tensors summed along axes, sample by sample; normalize: of their directions."""

    fewest, most = 2, 2

    def __init__(self, axes, normalize=False, **kwargs):
        super().__init__(**kwargs)
        self.axes, self.normalize = axes, normalize

    def build(self, input_shape):
        if not isinstance(input_shape, list) or len(input_shape) != 2:
            raise ValueError(f'layer "{self.name}": Dot takes a list of two tensors')
        first, second = self.places(map(len, input_shape))
        m, n = input_shape[0][first], input_shape[1][second]
        if m is not None and n is not None and m != n:
            raise ValueError(f'layer "{self.name}": axis {first} of {shown(input_shape[0])} and axis {second} of {shown(input_shape[1])} '
                             f"differ in size")

    def places(self, ndims):
        axes = (self.axes, self.axes) if isinstance(self.axes, int) else self.axes
        return [a % n for a, n in zip(axes, ndims)]

    def call(self, inputs):
        a, b = inputs
        i, j = self.places((a.ndim, b.ndim))
        if self.normalize:
            a, b = [x / x.square().sum(k, keepdim=True).clamp(min=1e-12).sqrt() for x, k in ((a, i), (b, j))]
        a, b = a.moveaxis(i, -1), b.moveaxis(j, -1)                         # (N, ..., K) both
        y = a.reshape(a.shape[0], -1, a.shape[-1]) @ b.reshape(b.shape[0], -1, b.shape[-1]).transpose(1, 2)
        y = y.reshape(a.shape[0], *a.shape[1:-1], *b.shape[1:-1])
        return y if y.ndim > 1 else y.unsqueeze(1)

    def compute_output_shape(self, input_shape):
        i, j = self.places(map(len, input_shape))
        rest = [n for k, n in enumerate(input_shape[0]) if k not in (0, i)] + [n for k, n in enumerate(input_shape[1]) if k not in (0, j)]
        return (input_shape[0][0], *(rest or [1]))


def function(layer):
    """The layer as a function of a list of tensors."""
    def merged(inputs, **kwargs):
        return layer(**kwargs)(inputs)
    merged.__name__, merged.__doc__ = layer.__name__.lower(), layer.__doc__
    return merged


add, subtract, multiply, average, maximum, minimum, concatenate = map(
    function, (Add, Subtract, Multiply, Average, Maximum, Minimum, Concatenate))


def dot(inputs, axes=-1, **kwargs):
    """Dot(axes) of two tensors."""
    return Dot(axes, **kwargs)(inputs)
