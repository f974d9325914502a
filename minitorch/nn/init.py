"""Starting values for parameters.  Every function fills its tensor in place, outside the graph, and returns it."""
import math
import warnings

from ..autograd.mode import no_grad
from ..backend import device_of, move, xp


def calculate_gain(nonlinearity, param=None):
    """The factor by which a nonlinearity shrinks the deviation: sqrt(2) for relu, 5 / 3 for tanh, 1 for linear maps and sigmoid.

    param: leaky_relu's slope.  ValueError for an unknown name.
    """
    if nonlinearity in ("linear", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "sigmoid"):
        return 1
    if nonlinearity == "tanh":
        return 5.0 / 3
    if nonlinearity == "relu":
        return math.sqrt(2.0)
    if nonlinearity == "selu":
        return 3.0 / 4
    if nonlinearity == "leaky_relu":
        if param is None:
            param = 0.01
        elif isinstance(param, bool) or not isinstance(param, (int, float)):
            raise ValueError(f"negative_slope {param} not a valid number")
        return math.sqrt(2.0 / (1 + param ** 2))
    raise ValueError(f"Unsupported nonlinearity {nonlinearity}")


def _calculate_fan_in_and_fan_out(tensor):
    """(inputs, outputs) of one unit: the channels times the kernel's area."""
    if tensor.ndim < 2:
        raise ValueError("Fan in and fan out can not be computed for tensor with fewer than 2 dimensions")
    area = math.prod(tensor.shape[2:])
    return tensor.shape[1] * area, tensor.shape[0] * area


def _calculate_correct_fan(tensor, mode):
    mode = mode.lower()
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"Mode {mode} not supported, please use one of ['fan_in', 'fan_out']")
    return _calculate_fan_in_and_fan_out(tensor)[mode == "fan_out"]


def empty(tensor):
    """Whether there is nothing to fill, with PyTorch's warning."""
    if 0 in tensor.shape:
        warnings.warn("Initializing zero-element tensors is a no-op", stacklevel=3)
        return True
    return False


def uniform_(tensor, a=0.0, b=1.0, generator=None):
    """Uniform in [a, b)."""
    with no_grad():
        return tensor.uniform_(a, b, generator=generator)


def normal_(tensor, mean=0.0, std=1.0, generator=None):
    """Normal with the given mean and standard deviation."""
    with no_grad():
        return tensor.normal_(mean, std, generator=generator)


def trunc_normal_(tensor, mean=0.0, std=1.0, a=-2.0, b=2.0, generator=None):
    """Normal, what falls outside [a, b] left out: by the inverse of its distribution function."""
    def below(x):
        return (1.0 + math.erf((x - mean) / std / math.sqrt(2.0))) / 2.0
    if not a - 2 * std < mean < b + 2 * std:
        warnings.warn("mean is more than 2 std from [a, b] in nn.init.trunc_normal_. The distribution of values may be incorrect.", stacklevel=2)
    with no_grad():
        tensor.uniform_(2 * below(a) - 1, 2 * below(b) - 1, generator=generator)
        return tensor.erfinv_().mul_(std * math.sqrt(2.0)).add_(mean).clamp_(min=a, max=b)


def constant_(tensor, val):
    """The number `val` everywhere."""
    with no_grad():
        return tensor.fill_(val)


def ones_(tensor):
    """1 everywhere."""
    return constant_(tensor, 1.0)


def zeros_(tensor):
    """0 everywhere."""
    return constant_(tensor, 0.0)


def write(tensor, array):
    """Fill `tensor` with the numbers of `array`."""
    with no_grad():
        tensor.array[...] = move(array, device_of(tensor.array)).astype(tensor.array.dtype)
        tensor.counter[0] = list.__getitem__(tensor.counter, 0) + 1
    return tensor


def eye_(tensor):
    """The identity matrix."""
    if tensor.ndim != 2:
        raise ValueError("Only tensors with 2 dimensions are supported")
    return write(tensor, xp(tensor.array).eye(*tensor.shape))


def dirac_(tensor, groups=1):
    """Convolution weights that pass each channel on: 1 at the centre tap of channel i in filter i."""
    if tensor.ndim not in (3, 4, 5):
        raise ValueError("Only tensors with 3, 4, or 5 dimensions are supported")
    M, C, *kernel = tensor.shape
    if M % groups:
        raise ValueError("dim 0 must be divisible by groups")
    values = xp(tensor.array).zeros(tensor.shape)
    for group in range(groups):
        for i in range(min(M // groups, C)):
            values[(group * (M // groups) + i, i, *(k // 2 for k in kernel))] = 1
    return write(tensor, values)


def xavier_uniform_(tensor, gain=1.0, generator=None):
    """Uniform of deviation gain * sqrt(2 / (fan_in + fan_out)) (Glorot & Bengio 2010)."""
    bound = math.sqrt(3.0) * gain * math.sqrt(2.0 / sum(_calculate_fan_in_and_fan_out(tensor)))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor, gain=1.0, generator=None):
    """Normal of deviation gain * sqrt(2 / (fan_in + fan_out)) (Glorot & Bengio 2010)."""
    return normal_(tensor, 0.0, gain * math.sqrt(2.0 / sum(_calculate_fan_in_and_fan_out(tensor))), generator)


def kaiming_uniform_(tensor, a=0, mode="fan_in", nonlinearity="leaky_relu", generator=None):
    """Uniform of deviation gain / sqrt(fan) (He et al. 2015); a: leaky_relu's slope."""
    if empty(tensor):
        return tensor
    bound = math.sqrt(3.0) * calculate_gain(nonlinearity, a) / math.sqrt(_calculate_correct_fan(tensor, mode))
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(tensor, a=0, mode="fan_in", nonlinearity="leaky_relu", generator=None):
    """Normal of deviation gain / sqrt(fan) (He et al. 2015); a: leaky_relu's slope."""
    if empty(tensor):
        return tensor
    return normal_(tensor, 0.0, calculate_gain(nonlinearity, a) / math.sqrt(_calculate_correct_fan(tensor, mode)), generator)


def orthogonal_(tensor, gain=1, generator=None):
    """gain times a random matrix with orthonormal rows or columns, the axes after the first as one (Saxe et al. 2013)."""
    if tensor.ndim < 2:
        raise ValueError("Only tensors with 2 or more dimensions are supported")
    if not math.prod(tensor.shape):
        return tensor
    normal_(tensor, generator=generator)
    lib = xp(tensor.array)
    matrix = tensor.array.reshape(tensor.shape[0], -1).astype("f8")
    wide = matrix.shape[0] < matrix.shape[1]
    q, r = lib.linalg.qr(matrix.T if wide else matrix)
    q = q * lib.sign(lib.diagonal(r))                # one of the many QR factorisations, so that all are equally likely
    return write(tensor, gain * (q.T if wide else q).reshape(tensor.shape))


def sparse_(tensor, sparsity, std=0.01, generator=None):
    """Normal, and in each column the share `sparsity` zero (Martens 2010)."""
    if tensor.ndim != 2:
        raise ValueError("Only tensors with 2 dimensions are supported")
    from .. import randperm
    rows, columns = tensor.shape
    normal_(tensor, 0, std, generator)
    values = tensor.array.copy()
    for j in range(columns):
        values[randperm(rows, generator=generator).array[:math.ceil(sparsity * rows)], j] = 0
    return write(tensor, values)


OLD_NAMES = ("uniform", "normal", "constant", "eye", "dirac", "xavier_uniform", "xavier_normal", "kaiming_uniform", "kaiming_normal",
             "orthogonal", "sparse")


def __getattr__(name):
    """The functions by their old names, without the underscore."""
    if name not in OLD_NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    new = globals()[name + "_"]

    def old(*args, **kwargs):
        warnings.warn(f"`nn.init.{name}` is now deprecated in favor of `nn.init.{name}_`.", FutureWarning, stacklevel=2)
        return new(*args, **kwargs)
    old.__name__, old.__doc__ = name, f"{name}_, by its old name."
    return old
