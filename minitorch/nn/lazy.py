"""Parameters whose shape the first input decides, and the modules that have them.

A lazy module becomes the ordinary one at its first call.  Until then its parameters hold a type and a
place and nothing else: they can be moved, cast, saved and given to an optimizer.
"""
from .. import empty, int64, tensor
from ..backend import xp
from ..tensor import Tensor, wrap
from . import conv, linear, normalization
from .module import Module
from .parameter import Parameter


class Uninitialized:
    """The part of a parameter or buffer that is still without a shape."""

    __slots__ = ()
    becomes: type = Tensor

    @property
    def array(self):
        raise ValueError(f"Attempted to use an uninitialized {self.becomes.__name__.lower()}. This happens when a lazy module, or a "
                         f"{type(self).__name__} of one's own, is used before it has seen an input: call `forward` once first.")

    @array.setter
    def array(self, value):
        Tensor.array.__set__(self, value)

    @property
    def shape(self):
        raise RuntimeError("Can't access the shape of an uninitialized parameter or buffer. This error usually happens in `load_state_dict` "
                           "when trying to load an uninitialized parameter into an initialized one. Call `forward` to initialize the "
                           "parameters before accessing their attributes.")

    @property
    def empty(self):
        """The tensor without elements that tells type and place."""
        return wrap(Tensor.array.__get__(self))

    @property
    def data(self):
        return self

    @data.setter
    def data(self, value):
        Tensor.array.__set__(self, value.empty.array if is_lazy(value) else value.array)
        if self.node is not None:
            self.node.shape, self.node.dtype = (), Tensor.array.__get__(self).dtype

    dtype = property(lambda self: self.empty.dtype)
    device = property(lambda self: self.empty.device)

    def detach(self):
        return self

    def is_floating_point(self):
        return self.dtype.is_floating_point

    def to(self, *args, **kwargs):
        moved = self.empty.to(*args, **kwargs)
        return type(self)(requires_grad=self.requires_grad, device=moved.device, dtype=moved.dtype)

    def materialize(self, shape, device=None, dtype=None):
        """Become an ordinary tensor of that shape, its values not set."""
        like = self.empty
        values = xp(like.array).empty(tuple(shape), like.array.dtype)
        self.__class__ = self.becomes
        self.data = wrap(values).to(device=device, dtype=dtype)

    def __repr__(self):
        return f"<{type(self).__name__}>"

    def __deepcopy__(self, memo):
        if id(self) not in memo:
            memo[id(self)] = type(self)(requires_grad=self.requires_grad, device=self.device, dtype=self.dtype)
        return memo[id(self)]

    def __reduce_ex__(self, protocol):
        return type(self), (self.requires_grad, self.device, self.dtype)


class UninitializedParameter(Uninitialized, Parameter):
    """A parameter that has no shape yet; materialize(shape) makes it a Parameter."""

    __slots__ = ()
    becomes = cls_to_become = Parameter

    def __new__(cls, requires_grad=True, device=None, dtype=None):
        self = Parameter(empty(0, device=device, dtype=dtype), requires_grad)
        self.__class__ = cls
        return self

    def __init__(self, requires_grad=True, device=None, dtype=None):
        pass


class UninitializedBuffer(Uninitialized, Tensor):
    """A buffer that has no shape yet; materialize(shape) makes it a Tensor."""

    __slots__ = ()
    becomes = cls_to_become = Tensor

    def __new__(cls, requires_grad=False, device=None, dtype=None):
        self = empty(0, device=device, dtype=dtype, requires_grad=requires_grad)
        self.__class__ = cls
        return self


def is_lazy(value):
    """Whether `value` is a parameter or buffer without a shape."""
    return isinstance(value, Uninitialized)


class LazyModuleMixin:
    """Put before a module's class: initialize_parameters(*inputs) is called before the first forward.

    Then the object becomes one of the class `cls_to_become`, where that is given.
    """

    cls_to_become: type | None = None
    inferred = False                                 # whether the first input has been seen

    def initialize_parameters(self, *args, **kwargs):
        """Give the parameters the shapes that fit the inputs; every subclass has its own."""
        raise NotImplementedError(f"initialize_parameters is not implemented for {type(self).__name__}")

    def has_uninitialized_params(self):
        """Whether a parameter or buffer has no shape yet."""
        return any(is_lazy(t) for t in (*self._parameters.values(), *self._buffers.values()))

    def __call__(self, *args, **kwargs):
        if not self.inferred:
            self.initialize_parameters(*args, **kwargs)
            if self.has_uninitialized_params():
                raise RuntimeError(f"module {self._get_name()} has not been fully initialized")
            self.inferred = True
            if self.cls_to_become is not None:
                del self.inferred
                self.__class__ = self.cls_to_become
        return Module.__call__(self, *args, **kwargs)

    def _load_from_state_dict(self, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs):
        still = []                                   # without a shape on both sides
        for name, t in (*self._parameters.items(), *self._buffers.items()):
            value = state_dict.get(prefix + name)
            if is_lazy(t) and is_lazy(value):
                still.append(prefix + name)
                del state_dict[prefix + name]
            elif is_lazy(t) and isinstance(value, Tensor):
                t.materialize(value.shape)
        super()._load_from_state_dict(state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)
        missing_keys[:] = [key for key in missing_keys if key not in still]

    def reset_parameters(self):
        """Set the starting values, once there is a shape."""
        if not self.has_uninitialized_params() and self.sized():
            super().reset_parameters()


class LazyLinear(LazyModuleMixin, linear.Linear):
    """Linear whose in_features is the last size of the first input."""

    cls_to_become = linear.Linear

    def __init__(self, out_features, bias=True, device=None, dtype=None):
        super().__init__(0, 0, False)
        self.out_features = out_features
        self.weight = UninitializedParameter(device=device, dtype=dtype)
        self.bias = UninitializedParameter(device=device, dtype=dtype) if bias else None

    def sized(self):
        return self.in_features != 0

    def initialize_parameters(self, input):
        if self.has_uninitialized_params():
            self.in_features = input.shape[-1]
            self.weight.materialize((self.out_features, self.in_features))
            if self.bias is not None:
                self.bias.materialize((self.out_features,))
            self.reset_parameters()
        elif self.in_features == 0:                  # loaded
            self.in_features = self.weight.shape[-1]
            if input.shape[-1] != self.in_features:
                raise AssertionError(f"The in_features inferred from input: {input.shape[-1]} is not equal to in_features from self.weight: "
                                     f"{self.in_features}")


class LazyConvolution(LazyModuleMixin):
    """A convolution whose in_channels are those of the first input."""

    def __init__(self, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1, bias=True, padding_mode="zeros", device=None,
                 dtype=None):
        super().__init__(0, 0, kernel_size, stride, padding, dilation, groups, False, padding_mode, device, dtype)
        self.wait(out_channels, bias, device, dtype)

    def wait(self, out_channels, bias, device, dtype):
        self.out_channels = out_channels
        self.weight = UninitializedParameter(device=device, dtype=dtype)
        self.bias = UninitializedParameter(device=device, dtype=dtype) if bias else None

    def sized(self):
        return self.in_channels != 0

    def initialize_parameters(self, input, *args, **kwargs):
        if input.ndim not in (self.n + 1, self.n + 2):
            raise RuntimeError(f"Expected {self.n + 1}D (unbatched) or {self.n + 2}D (batched) input to {type(self).__name__}, but got input "
                               f"of size: {input.shape}")
        self.in_channels = input.shape[-self.n - 1]
        if self.in_channels % self.groups:
            raise ValueError("in_channels must be divisible by groups")
        if not self.has_uninitialized_params():      # loaded
            return
        first, second = (self.in_channels, self.out_channels) if self.transposed else (self.out_channels, self.in_channels)
        self.weight.materialize((first, second // self.groups, *self.kernel_size))
        if self.bias is not None:
            self.bias.materialize((self.out_channels,))
        self.reset_parameters()


class LazyConv1d(LazyConvolution, conv.Conv1d):
    """Conv1d whose in_channels are those of the first input."""
    cls_to_become = conv.Conv1d


class LazyConv2d(LazyConvolution, conv.Conv2d):
    """Conv2d whose in_channels are those of the first input."""
    cls_to_become = conv.Conv2d


class LazyConv3d(LazyConvolution, conv.Conv3d):
    """Conv3d whose in_channels are those of the first input."""
    cls_to_become = conv.Conv3d


class LazyTransposedConvolution(LazyConvolution):
    """A transposed convolution whose in_channels are those of the first input."""

    def __init__(self, out_channels, kernel_size, stride=1, padding=0, output_padding=0, groups=1, bias=True, dilation=1,
                 padding_mode="zeros", device=None, dtype=None):
        super(LazyConvolution, self).__init__(0, 0, kernel_size, stride, padding, output_padding, groups, False, dilation, padding_mode,
                                              device, dtype)
        self.wait(out_channels, bias, device, dtype)


class LazyConvTranspose1d(LazyTransposedConvolution, conv.ConvTranspose1d):
    """ConvTranspose1d whose in_channels are those of the first input."""
    cls_to_become = conv.ConvTranspose1d


class LazyConvTranspose2d(LazyTransposedConvolution, conv.ConvTranspose2d):
    """ConvTranspose2d whose in_channels are those of the first input."""
    cls_to_become = conv.ConvTranspose2d


class LazyConvTranspose3d(LazyTransposedConvolution, conv.ConvTranspose3d):
    """ConvTranspose3d whose in_channels are those of the first input."""
    cls_to_become = conv.ConvTranspose3d


class LazyNorm(LazyModuleMixin):
    """A normalisation whose num_features are the second size of the first input."""

    def __init__(self, eps=1e-5, momentum=0.1, affine=True, track_running_stats=True, device=None, dtype=None, *, bias=True):
        super().__init__(0, eps, momentum, False, False, device, dtype, bias=False)
        self.affine, self.track_running_stats = affine, track_running_stats
        like = {"device": device, "dtype": dtype}
        if affine:
            self.weight = UninitializedParameter(**like)
            if bias:
                self.bias = UninitializedParameter(**like)
        if track_running_stats:
            self.running_mean, self.running_var = UninitializedBuffer(**like), UninitializedBuffer(**like)
            self.num_batches_tracked = tensor(0, dtype=int64, device=device)

    def sized(self):
        return self.num_features != 0

    def initialize_parameters(self, input):
        self.num_features = input.shape[1]
        if self.has_uninitialized_params():
            for t in (*self._parameters.values(), *self._buffers.values()):
                if is_lazy(t):
                    t.materialize((self.num_features,))
            self.reset_parameters()


class LazyBatchNorm1d(LazyNorm, normalization.BatchNorm1d):
    """BatchNorm1d whose num_features are the second size of the first input."""
    cls_to_become = normalization.BatchNorm1d


class LazyBatchNorm2d(LazyNorm, normalization.BatchNorm2d):
    """BatchNorm2d whose num_features are the second size of the first input."""
    cls_to_become = normalization.BatchNorm2d


class LazyBatchNorm3d(LazyNorm, normalization.BatchNorm3d):
    """BatchNorm3d whose num_features are the second size of the first input."""
    cls_to_become = normalization.BatchNorm3d


class LazyInstanceNorm1d(LazyNorm, normalization.InstanceNorm1d):
    """InstanceNorm1d whose num_features are the second size of the first input."""
    cls_to_become = normalization.InstanceNorm1d


class LazyInstanceNorm2d(LazyNorm, normalization.InstanceNorm2d):
    """InstanceNorm2d whose num_features are the second size of the first input."""
    cls_to_become = normalization.InstanceNorm2d


class LazyInstanceNorm3d(LazyNorm, normalization.InstanceNorm3d):
    """InstanceNorm3d whose num_features are the second size of the first input."""
    cls_to_become = normalization.InstanceNorm3d
