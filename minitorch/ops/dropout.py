"""Dropout: zeroing at random while training, elements or whole channels, and its form for self-normalising networks."""
from .. import backend, dtypes
from ..autograd import routes
from ..autograd.op import HOMES, composed, op
from ..autograd.views import in_place
from ..cases import booleans, normal
from ..random import source
from ..tensor import wrap
from .creation import require_tensor
from .random import placed, uniform


@op(numbers="half", home="")
def masked_scale(input, other, /, scale):
    """input * scale where the mask `other` is true, 0 elsewhere."""
    y = input * other
    if scale != 1:
        y *= scale
    return y

masked_scale.vjp(lambda g, other, scale: masked_scale(g, other, scale), None)
masked_scale.case(normal(3, 4), booleans(3, 4), scale=2.0)
masked_scale.case(normal(2, 3, 4), booleans(2, 3, 1), scale=1.25)


@op(numbers="half", home="", called="dropout")
def drop_by_seed(input, /, p, seed):
    """x / (1 - p) with probability 1 - p, else 0, by the random stream `seed`: what the kernel draws where the numbers are."""
    from ..kernels.elementwise import kept as kept_by
    return masked_scale.op.forward(input, backend.xp(input).asarray(kept_by(input.size, p, seed, 0)).reshape(input.shape), 1 / (1 - p))

drop_by_seed.vjp(lambda g, p, seed: drop_by_seed(g, p, seed))
drop_by_seed.kernel("dropout")(lambda kernels, input, p, seed: kernels.dropout(input, p, seed))
drop_by_seed.case(normal(3, 4), p=0.4, seed=3)
drop_by_seed.case(normal(2, 3, 5), p=0.1, seed=2**40)


def seed_for(array):
    """The seed of a random stream for the device of `array`, from its default generator."""
    return int(source(None, backend.device_of(array)).integers(2**63))


def kept(input, p, channels):
    """The mask of what stays, each with probability 1 - p: for every element, or for the leading `channels` axes."""
    array = input.array
    shape = array.shape if channels is None else array.shape[:channels] + (1,) * (array.ndim - channels)
    device = backend.device_of(array)
    return placed(uniform(source(None, device), shape, dtypes.F32) >= p, device)


def check(input, p, training, name):
    """TypeError, ValueError or RuntimeError for what dropout cannot take."""
    require_tensor(input, name)
    if not 0 <= p <= 1:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
    if training and 0 < p < 1 and not dtypes.is_float(input.array.dtype):
        raise RuntimeError(f"{name}: result type float can't be cast to the desired output type {input.dtype}")


def dropped(name, input, p, training, inplace, channels=None):
    """`input` with what a mask leaves scaled by 1 / (1 - p); itself when there is nothing to do."""
    check(input, p, training, name)
    if not training or p == 0:
        return input
    if channels is None and not inplace and p < 1 and routes.kernels_for("dropout", input.array) is not None:
        return drop_by_seed(input, p=p, seed=seed_for(input.array))
    return (scale_in_place if inplace else masked_scale)(input, kept(input, p, channels), scale=1 / (1 - p) if p < 1 else 1)


scale_in_place = in_place(masked_scale)


@composed(home="functional", method=False)
def dropout(input, p=0.5, training=True, inplace=False):
    """While training, zero each element with probability p and scale the others by 1 / (1 - p). ValueError for p outside [0, 1]."""
    return dropped("dropout", input, p, training, inplace)

dropout.case(normal(3, 4), 0.0)
dropout.case(normal(3, 4), 1.0)
dropout.case(normal(3, 4), 0.5, training=False)


@composed(home="functional", method=False)
def dropout1d(input, p=0.5, training=True, inplace=False):
    """While training, zero each channel of (N, C, L) or (C, L) with probability p."""
    if require_tensor(input, "dropout1d").ndim not in (2, 3):
        raise RuntimeError(f"dropout1d: Expected 2D or 3D input, but received a {input.ndim}D input. Use dropout for other shapes.")
    return dropped("dropout1d", input, p, training, inplace, input.ndim - 1)

dropout1d.case(normal(2, 3, 4), 1.0)


@composed(home="functional", method=False)
def dropout2d(input, p=0.5, training=True, inplace=False):
    """While training, zero each channel of (N, C, H, W) with probability p; three axes are read as (N, C, L), as in PyTorch."""
    if require_tensor(input, "dropout2d").ndim < 2 and training and p:
        raise RuntimeError("Feature dropout requires at least 2 dimensions in the input")
    return dropped("dropout2d", input, p, training, inplace, min(2, input.ndim))

dropout2d.case(normal(2, 3, 4, 2), 1.0)


@composed(home="functional", method=False)
def dropout3d(input, p=0.5, training=True, inplace=False):
    """While training, zero each channel of (N, C, D, H, W) or (C, D, H, W) with probability p."""
    ndim = require_tensor(input, "dropout3d").ndim
    return dropped("dropout3d", input, p, training, inplace, 1 if ndim == 4 else min(2, ndim))

dropout3d.case(normal(2, 3, 2, 2, 2), 1.0)


# ---- alpha dropout --------------------------------------------------------------------------------------------

ALPHA = 1.7580993408473766                 # minus the value that SELU approaches at minus infinity


def alpha_dropped(name, input, p, training, inplace, channels=None):
    """Dropped elements become -ALPHA, then all are scaled and shifted so that mean 0 and variance 1 stay (SELU paper, section 3)."""
    check(input, p, training, name)
    if not training or p == 0:
        return input
    if p == 1:
        return dropped(name, input, p, training, inplace)
    a = ((ALPHA ** 2 * p + 1) * (1 - p)) ** -0.5
    mask = kept(input, p, channels)
    shift = ((mask - dtypes.F32.type(1)) * (ALPHA * a) + ALPHA * a * p).astype(input.array.dtype)
    if inplace:
        return scale_in_place(input, mask, scale=a).add_(wrap(shift))
    return masked_scale(input, mask, scale=a) + wrap(shift)


@composed(home="functional", method=False)
def alpha_dropout(input, p=0.5, training=False, inplace=False):
    """Dropout that keeps mean 0 and variance 1, for networks of SELU units."""
    return alpha_dropped("alpha_dropout", input, p, training, inplace)

alpha_dropout.case(normal(3, 4), 0.5)
alpha_dropout.case(normal(3, 4), 1.0, True)


@composed(home="functional", method=False)
def feature_alpha_dropout(input, p=0.5, training=False, inplace=False):
    """alpha_dropout of whole channels, (N, C, ...)."""
    if require_tensor(input, "feature_alpha_dropout").ndim < 2:
        raise RuntimeError("Feature dropout requires at least 2 dimensions in the input")
    return alpha_dropped("feature_alpha_dropout", input, p, training, inplace, 2)

feature_alpha_dropout.case(normal(2, 3, 4), 0.5)


def as_torch_has_it(f):
    """The form at home in `minitorch`: (input, p, train), all of them to be given."""
    def function(input, p, train):
        return f(input, p, train)
    function.__name__, function.__doc__ = f.__name__, f.__doc__
    return function


HOMES["torch"].update({f.__name__: as_torch_has_it(f) for f in (dropout, alpha_dropout, feature_alpha_dropout)})
