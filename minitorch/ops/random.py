"""Random tensors: uniform, normal, whole numbers, permutations, and samples from distributions that tensors describe.

Numbers are drawn on the host by a Generator and moved to the device.  No gradient passes through a drawing.
"""
import functools

import numpy as np

from .. import backend, dtypes
from ..autograd.op import op
from ..autograd.views import in_place
from ..cases import normal as normal_case
from ..convert import number, sizes, whole_number
from ..random import source
from ..tensor import Tensor, wrap
from .creation import chosen, finished, like, public, require_tensor

DIGITS = {"float64": 53, "float32": 24, "float16": 11, "bfloat16": 8}          # bits of a float's mantissa, the hidden one included


@op(home="")
def drawn(input, other, /):
    """`other`, which was drawn from a distribution that `input` describes: the gradient of `input` is zero."""
    return other

drawn.vjp(lambda g: g * 0, lambda g: g)
drawn.case(normal_case(3), normal_case(2, 3))


# ---- raw numbers ----------------------------------------------------------------------------------------

def uniform(rng, shape, dtype):
    """Numbers in [0, 1) of a floating `dtype`, every multiple of 2^-digits equally likely."""
    if dtype == dtypes.F32 or dtype == dtypes.F64:
        return np.asarray(rng.random(shape, dtype))
    n = 2 ** DIGITS[dtype.name]
    return (np.asarray(rng.integers(0, n, shape, np.uint16)).astype(dtypes.F32) / n).astype(dtype)


def standard_normal(rng, shape, dtype):
    """Numbers from N(0, 1) of a floating `dtype`."""
    if dtypes.is_half(dtype):
        return np.asarray(rng.standard_normal(shape, dtypes.F32)).astype(dtype)
    return np.asarray(rng.standard_normal(shape, dtype))


def require_float(dtype, name):
    if not dtypes.is_float(dtype):
        raise NotImplementedError(f"{name}() is not implemented for {dtypes.of(dtype).name}: it needs a floating dtype")


def placed(array, device):
    """A host array on `device`."""
    return array if device is None else backend.move(array, device)


# ---- functions of a size ----------------------------------------------------------------------------------

@public
def rand(*args, size=None, generator=None, dtype=None, device=None, requires_grad=False, pin_memory=False):
    """Numbers drawn uniformly from [0, 1)."""
    return from_source("rand", uniform, sizes(args, "rand", size), generator, chosen(dtype), device, requires_grad)


@public
def randn(*args, size=None, generator=None, dtype=None, device=None, requires_grad=False, pin_memory=False):
    """Numbers drawn from the normal distribution of mean 0 and variance 1."""
    return from_source("randn", standard_normal, sizes(args, "randn", size), generator, chosen(dtype), device, requires_grad)


@public
def rand_like(input, *, generator=None, dtype=None, device=None, requires_grad=False, memory_format=None):
    """rand() in the shape, type and place of `input`."""
    array, dtype = like("rand_like", input, dtype, device)
    return from_source("rand_like", uniform, array.shape, generator, dtype, backend.device_of(array), requires_grad)


@public
def randn_like(input, *, generator=None, dtype=None, device=None, requires_grad=False, memory_format=None):
    """randn() in the shape, type and place of `input`."""
    array, dtype = like("randn_like", input, dtype, device)
    return from_source("randn_like", standard_normal, array.shape, generator, dtype, backend.device_of(array), requires_grad)


def from_source(name, draw, shape, generator, dtype, device, requires_grad):
    require_float(dtype, name)
    return finished(placed(draw(source(generator, device), shape, dtype), device), requires_grad)


@public
def randint(*args, low=0, high=None, size=None, generator=None, dtype=None, device=None, requires_grad=False, pin_memory=False):
    """Whole numbers from [low, high): randint(high, size), randint(low, high, size)."""
    if args and isinstance(args[-1], (tuple, list)):
        *args, size = args
    if len(args) == 1 and high is None:
        high, = args
    elif args:
        low, high = (*args, high)[:2]
    if not isinstance(size, (tuple, list)):
        raise TypeError(f"randint(): argument 'size' must be tuple of ints, not {type(size).__name__}")
    dtype = dtypes.I64 if dtype is None else dtypes.numpy_dtype(dtype)
    low, high = whole_number(low, "randint", "low"), whole_number(high, "randint", "high")
    return finished(placed(whole(source(generator, device), low, high, sizes((size,), "randint"), dtype), device), requires_grad)


@public
def randint_like(input, low, high=None, *, generator=None, dtype=None, device=None, requires_grad=False, memory_format=None):
    """randint() in the shape, type and place of `input`: randint_like(input, high), randint_like(input, low, high)."""
    array, dtype = like("randint_like", input, dtype, device)
    low, high = (0, low) if high is None else (low, high)
    place = backend.device_of(array)
    numbers = whole(source(generator, place), whole_number(low, "randint_like", "low"), whole_number(high, "randint_like", "high"),
                    array.shape, dtype)
    return finished(placed(numbers, place), requires_grad)


def whole(rng, low, high, shape, dtype):
    """Whole numbers from [low, high) of any dtype."""
    if low >= high:
        raise RuntimeError(f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}")
    least, most = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max) if dtype.kind in "iu" else (None, None)
    if least is not None and not least <= low <= high - 1 <= most:
        raise RuntimeError(f"[{low}, {high}): from or to - 1 is out of bounds for {dtypes.of(dtype).name}")
    return np.asarray(rng.integers(low, high, shape, dtypes.I64)).astype(dtype, copy=False)


@public
def randperm(n, *, generator=None, dtype=None, device=None, requires_grad=False, pin_memory=False):
    """The numbers 0 to n - 1 in random order, int64 unless dtype says otherwise."""
    n = sizes((n,), "randperm")[0]
    dtype = dtypes.I64 if dtype is None else dtypes.numpy_dtype(dtype)
    return finished(placed(source(generator, device).permutation(n).astype(dtype, copy=False), device), requires_grad)


# ---- samples from distributions given by tensors -------------------------------------------------------------

def described(input, numbers):
    """Host `numbers` as the tensor that was drawn by the word of tensor `input`: in its dtype, on its device."""
    return drawn(input, placed(numbers.astype(input.array.dtype, copy=False), backend.device_of(input.array)))


@public
def normal(mean=0.0, std=1.0, size=None, *, generator=None, dtype=None, device=None, requires_grad=False, pin_memory=False):
    """Numbers from N(mean, std^2): of the broadcast shape of the tensors `mean` and `std`, or of `size` for plain numbers."""
    tensors = [t for t in (mean, std) if isinstance(t, Tensor)]
    if size is not None or not tensors:
        if size is None:
            raise TypeError("normal(): two numbers need a size")
        mean, std = number(mean, "normal", "mean"), number(std, "normal", "std")
        if std < 0:
            raise RuntimeError(f"normal expects std >= 0.0, but found std {std}")
        out = randn(size, generator=generator, dtype=dtype, device=device)
        return finished(out.array * out.array.dtype.type(std) + out.array.dtype.type(mean), requires_grad)
    result = tensors[0].array.dtype
    require_float(result, "normal")
    m, s = [backend.to_numpy(t.array) if isinstance(t, Tensor) else t for t in (mean, std)]
    if np.size(s) and np.min(s) < 0:
        raise RuntimeError("normal expects all elements of std >= 0.0")
    try:
        shape = np.broadcast_shapes(np.shape(m), np.shape(s))
    except ValueError:
        raise RuntimeError(f"normal: the shapes {np.shape(m)} of mean and {np.shape(s)} of std do not broadcast together") from None
    numbers = m + standard_normal(source(generator, tensors[0].device), shape, result) * s
    first = next((t for t in tensors if t.requires_grad), tensors[0])
    return described(first, np.asarray(numbers).astype(result, copy=False))


@public
def bernoulli(input, p=None, *, generator=None):
    """1 with probability `input` (elementwise) or `p`, else 0. RuntimeError for probabilities outside [0, 1]."""
    if p is not None:
        return full_bernoulli(require_tensor(input, "bernoulli"), p, generator, input.array.dtype)
    require_float(require_tensor(input, "bernoulli").array.dtype, "bernoulli")
    return full_bernoulli(input, input, generator, input.array.dtype)


def full_bernoulli(input, p, generator, dtype):
    """Ones with probability `p`, a number or tensor that broadcasts to `input`'s shape."""
    numbers = backend.to_numpy(p.array) if isinstance(p, Tensor) else np.asarray(number(p, "bernoulli", "p"))
    if numbers.size and not (numbers.min() >= 0 and numbers.max() <= 1):
        raise RuntimeError(f"bernoulli expects p to be in [0, 1], but got p={numbers if numbers.ndim else numbers.item()}")
    wide = dtypes.F64 if numbers.dtype == dtypes.F64 else dtypes.F32
    try:
        numbers = np.broadcast_to(numbers, input.array.shape)
    except ValueError:
        raise RuntimeError(f"bernoulli: p of shape {numbers.shape} does not expand to {input.array.shape}") from None
    return described(input, uniform(source(generator, input.device), input.array.shape, wide) < numbers)


@public
def multinomial(input, num_samples, replacement=False, *, generator=None):
    """Indices drawn with the weights `input`, (n,) or (rows, n): (num_samples,) or (rows, num_samples), int64.

    RuntimeError for weights that are negative, infinite or NaN or sum to 0, and for more samples than weights without replacement.
    """
    require_tensor(input, "multinomial")
    weights = backend.to_numpy(input.array)
    if weights.ndim not in (1, 2):
        raise RuntimeError(f"prob_dist must be 1 or 2 dim, not of shape {weights.shape}")
    if not dtypes.is_float(weights.dtype):
        raise RuntimeError(f"multinomial only supports floating-point dtypes for input, got: {input.dtype}")
    if num_samples <= 0:
        raise RuntimeError(f"cannot sample n_sample <= 0 samples: {num_samples}")
    if not replacement and num_samples > weights.shape[-1]:
        raise RuntimeError(f"cannot sample n_sample > prob_dist.size(-1) samples without replacement: {num_samples} > {weights.shape[-1]}")
    rows = weights.reshape(-1, weights.shape[-1]).astype(dtypes.F64)
    if not (np.isfinite(rows).all() and (rows >= 0).all()):
        raise RuntimeError("probability tensor contains either `inf`, `nan` or element < 0")
    if (rows.sum(1) <= 0).any():
        raise RuntimeError("invalid multinomial distribution (sum of probabilities <= 0)")
    rng = source(generator, input.device)
    if replacement:
        rising = rows.cumsum(1)
        u = rng.random((len(rows), num_samples)) * rising[:, -1:]
        picks = np.array([np.searchsorted(c, v, side="right") for c, v in zip(rising, u)], dtypes.I64).reshape(u.shape)
    else:                                            # the order in which exponential clocks of these rates ring
        clocks = rows / rng.standard_exponential(rows.shape)
        picks = clocks.argmax(1)[:, None] if num_samples == 1 else (-clocks).argsort(1)[:, :num_samples]
    return wrap(placed(picks.reshape(weights.shape[:-1] + (num_samples,)), input.device))


@public
def poisson(input, generator=None):
    """Counts from the Poisson distributions whose means are `input`. RuntimeError for a negative mean."""
    require_float(require_tensor(input, "poisson").array.dtype, "poisson")
    rates = backend.to_numpy(input.array).astype(dtypes.F64)
    if not (rates >= 0).all():
        raise RuntimeError("invalid Poisson rate, expected rate to be non-negative")
    return described(input, np.asarray(source(generator, input.device).poisson(rates)))


@public
def binomial(count, prob, generator=None):
    """How many of `count` trials succeed, each with probability `prob`; tensors that broadcast together."""
    trials, chances = backend.to_numpy(require_tensor(count, "binomial").array), backend.to_numpy(require_tensor(prob, "binomial").array)
    return described(prob, np.asarray(source(generator, prob.device).binomial(trials.astype(dtypes.I64), chances.astype(dtypes.F64))))


# ---- in place -------------------------------------------------------------------------------------------------

replace = in_place(drawn)


def fills(f):
    """A method that fills its tensor with what `f(rng, shape, dtype, ...)` draws."""
    @functools.wraps(f)
    def method(self, *args, generator=None, **params):
        array = self.array
        numbers = f(source(generator, backend.device_of(array)), array.shape, array.dtype, *args, **params)
        return replace(self, placed(np.asarray(numbers).astype(array.dtype, copy=False), backend.device_of(array)))
    setattr(Tensor, f.__name__, method)
    return method


@fills
def uniform_(rng, shape, dtype, from_=0.0, to=1.0):
    """Fill with numbers drawn uniformly from [from, to)."""
    require_float(dtype, "uniform_")
    if from_ > to:
        raise RuntimeError(f"uniform_ expects to return a [from, to) range, but found from={from_} > to={to}")
    wide = dtypes.F32 if dtypes.is_half(dtype) else dtype
    return uniform(rng, shape, dtype).astype(wide, copy=False) * wide.type(to - from_) + wide.type(from_)


@fills
def normal_(rng, shape, dtype, mean=0.0, std=1.0):
    """Fill with numbers from N(mean, std^2)."""
    require_float(dtype, "normal_")
    mean, std = number(mean, "normal_", "mean"), number(std, "normal_", "std")
    if std < 0:
        raise RuntimeError(f"normal expects std >= 0.0, but found std {std}")
    wide = dtypes.F32 if dtypes.is_half(dtype) else dtype
    return standard_normal(rng, shape, wide) * wide.type(std) + wide.type(mean)


@fills
def log_normal_(rng, shape, dtype, mean=1.0, std=2.0):
    """Fill with e^x for x from N(mean, std^2)."""
    require_float(dtype, "log_normal_")
    if std <= 0:
        raise RuntimeError(f"log_normal_ expects std > 0.0, but found std={std}")
    return rng.lognormal(mean, std, shape)


@fills
def exponential_(rng, shape, dtype, lambd=1.0):
    """Fill with numbers of density lambd e^(-lambd x)."""
    if not dtypes.is_float(dtype):
        raise RuntimeError("Exponential distribution is a continuous probability distribution. dtype must be a floating point "
                           f"but you specified {dtypes.of(dtype).name}")
    if lambd <= 0:
        raise RuntimeError(f"exponential_ expects lambda > 0.0, but found lambda={lambd}")
    return rng.standard_exponential(shape, dtypes.F64 if dtype == dtypes.F64 else dtypes.F32) / lambd


@fills
def geometric_(rng, shape, dtype, p):
    """Fill with the number of trials up to the first success, each of probability p."""
    if not 0 < p < 1:
        raise RuntimeError(f"geometric_ expects p to be in (0, 1), but got p={p}")
    return rng.geometric(p, shape)


@fills
def cauchy_(rng, shape, dtype, median=0.0, sigma=1.0):
    """Fill with numbers from the Cauchy distribution around `median` of half width `sigma`."""
    require_float(dtype, "cauchy_")
    if sigma <= 0:
        raise RuntimeError(f"cauchy_ expects sigma > 0.0, but found sigma={sigma}")
    return median + sigma * np.tan(np.pi * (rng.random(shape) - 0.5))


@fills
def random_(rng, shape, dtype, from_=0, to=None):
    """Fill with whole numbers: random_() up to the dtype's largest, random_(to) below `to`, random_(from, to) between."""
    if to is None and from_:
        from_, to = 0, from_
    if to is None:
        to = 2 if dtype.kind == "b" else np.iinfo(dtype).max + 1 if dtype.kind in "iu" else 2 ** DIGITS[dtypes.of(dtype).name] + 1
    return whole(rng, whole_number(from_, "random_", "from"), whole_number(to, "random_", "to"), shape, dtype)


def bernoulli_(self, p=0.5, *, generator=None):
    """Fill with 1 with probability `p` (a number, or a tensor that broadcasts to this one), else 0."""
    return replace(self, full_bernoulli(self.detach(), p.detach() if isinstance(p, Tensor) else p, generator, self.array.dtype))


Tensor.bernoulli_ = bernoulli_
Tensor.bernoulli = bernoulli
Tensor.multinomial = multinomial
