"""make_tensor: a tensor of random numbers in a range, for tests."""
import math
import warnings

import numpy as np

from .. import backend, dtypes
from ..convert import sizes
from ..random import source
from ..tensor import wrap


def make_tensor(*shape, dtype, device="cpu", low=None, high=None, requires_grad=False, noncontiguous=False, exclude_zero=False,
                memory_format=None):
    """A tensor with numbers drawn evenly from [low, high): from [-9, 9) for floats, [-9, 10) for integers, [0, 10) for uint8.

    low and high beyond what dtype holds are cut to it.  noncontiguous: every second entry of a larger tensor, where it has two entries.
    exclude_zero: 1 in place of 0, the smallest normal number for floats.  memory_format: accepted, and changes nothing.
    Numbers come from the default generator: manual_seed fixes them.
    ValueError for an empty or NaN range, and for requires_grad of whole numbers; TypeError for no dtype.
    """
    if not isinstance(dtype, dtypes.dtype):
        raise TypeError(f"The requested dtype '{dtype}' is not supported by minitorch.testing.make_tensor().")
    shape = sizes(shape or ((),), "make_tensor")
    if requires_grad and not dtype.is_floating_point:
        raise ValueError(f"`requires_grad=True` is not supported for boolean and integral dtypes, but got dtype={dtype}")
    if noncontiguous and memory_format is not None:
        raise ValueError("The parameters `noncontiguous` and `memory_format` are mutually exclusive, but got "
                         f"noncontiguous={noncontiguous} and memory_format={memory_format}")
    low, high = limits(dtype, low, high)
    rng = source(None, None)
    a = drawn(rng, (*shape[:-1], 2 * shape[-1]) if (spread := noncontiguous and math.prod(shape) > 1) else shape, dtype, low, high)
    if exclude_zero:
        a[a == 0] = dtypes.finfo(dtype).tiny if dtype.is_floating_point else 1
    a = backend.move(a, device) if str(device) != "cpu" else a
    t = wrap(a[..., ::2] if spread else a)
    return t.requires_grad_() if requires_grad else t


def limits(dtype, low, high):
    """low and high as given or by default, cut to what dtype holds."""
    low, high = (given if given is not None else default for given, default in zip((low, high), DEFAULTS.get(dtype.name, (-9, 10))))
    if math.isnan(low) or math.isnan(high):
        raise ValueError(f"`low` and `high` cannot be NaN, but got low={low} and high={high}")
    if low == high and dtype.is_floating_point:
        warnings.warn("Passing `low==high` to `testing.make_tensor` for floating or complex types is deprecated since 2.1 and will be "
                      "removed in 2.3. Use `full(...)` instead.", FutureWarning, stacklevel=3)
    elif low >= high:
        raise ValueError(f"`low` must be less than `high`, but got {low} >= {high}")
    least, most = reach(dtype)
    if high < least or low > most or not dtype.is_floating_point and low >= most:
        raise ValueError(f"The value interval specified by `low` and `high` is [{low}, {high}), but {dtype} only supports [{least}, {most})")
    low, high = max(low, least), min(high, most)
    return (low, high) if dtype.is_floating_point else (math.ceil(low), math.ceil(high))


DEFAULTS = {"bool": (0, 2), "uint8": (0, 10), **dict.fromkeys(("float64", "float32", "float16", "bfloat16"), (-9, 9))}


def reach(dtype):
    """The range of a dtype; of whole numbers the end is not included."""
    if dtype.name == "bool":
        return 0, 2
    if dtype.is_floating_point:
        return dtypes.finfo(dtype).min, dtypes.finfo(dtype).max
    return dtypes.iinfo(dtype).min, dtypes.iinfo(dtype).max + 1


def drawn(rng, shape, dtype, low, high):
    """An array of numbers from [low, high)."""
    if not dtype.is_floating_point:
        return np.asarray(rng.integers(low, high - 1, shape, endpoint=True, dtype="i8")).astype(dtype.numpy)
    share = np.asarray(rng.random(shape))
    a = np.asarray(low * (1 - share) + high * share).astype(dtype.numpy)
    a[a >= high] = low                               # where rounding went up to the end
    return a
