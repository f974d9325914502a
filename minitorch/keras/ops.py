"""Functions of tensors by Keras' names, which also work on symbolic tensors: there they become a layer of the graph."""
import builtins

import minitorch as torch

from ..nn import functional as F
from . import activations
from .symbolic import KerasTensor, attach_operators, symbolic_call
from .variable import as_dtype, as_tensor, leaves

FUNCTIONS = {}


def reducing(f):
    """f(x, axis, keepdims) of an op that takes no axis at all in another way."""
    def function(x, axis=None, keepdims=False):
        if axis is None:
            return f(x, tuple(range(x.ndim)), keepdim=keepdims)
        return f(x, tuple(axis) if isinstance(axis, (list, tuple)) else axis, keepdim=keepdims)
    return function


def index_of(f):
    """argmax and argmin."""
    def function(x, axis=None, keepdims=False):
        return f(x.reshape(-1), 0) if axis is None else f(x, axis, keepdim=keepdims)
    return function


TABLE = {
    "add": lambda x1, x2: x1 + x2, "subtract": lambda x1, x2: x1 - x2, "multiply": lambda x1, x2: x1 * x2,
    "divide": lambda x1, x2: x1 / x2, "power": lambda x1, x2: x1 ** x2, "matmul": lambda x1, x2: x1 @ x2, "negative": lambda x: -x,
    "get_item": lambda x, key: x[tuple(key) if isinstance(key, list) else key],
    "abs": torch.abs, "absolute": torch.abs, "exp": torch.exp, "log": torch.log, "sqrt": torch.sqrt, "square": torch.square, "sin": torch.sin,
    "cos": torch.cos, "sign": torch.sign, "floor": torch.floor, "round": torch.round, "rsqrt": torch.rsqrt, "erf": torch.erf,
    "maximum": lambda x1, x2: torch.maximum(*both(x1, x2)), "minimum": lambda x1, x2: torch.minimum(*both(x1, x2)),
    "clip": lambda x, x_min, x_max: torch.clamp(x, x_min, x_max), "where": torch.where,
    "equal": torch.eq, "not_equal": torch.ne, "greater": torch.gt, "less": torch.lt, "greater_equal": torch.ge, "less_equal": torch.le,
    "sum": reducing(torch.sum), "mean": reducing(torch.mean), "max": reducing(torch.amax), "min": reducing(torch.amin),
    "var": reducing(lambda x, axis, keepdim: torch.var(x, axis, correction=0, keepdim=keepdim)),
    "std": reducing(lambda x, axis, keepdim: torch.std(x, axis, correction=0, keepdim=keepdim)),
    "argmax": index_of(torch.argmax), "argmin": index_of(torch.argmin), "any": reducing(torch.any), "all": reducing(torch.all),
    "reshape": lambda x, newshape: x.reshape(tuple(newshape)), "transpose": lambda x, axes=None: x.permute(*(axes or range(x.ndim)[::-1])),
    "expand_dims": lambda x, axis: x.unsqueeze(axis), "squeeze": lambda x, axis=None: x.squeeze() if axis is None else x.squeeze(axis),
    "concatenate": lambda xs, axis=0: torch.cat(list(xs), axis), "stack": lambda x, axis=0: torch.stack(list(x), axis),
    "repeat": lambda x, repeats, axis=None: x.repeat_interleave(repeats, axis), "tile": lambda x, repeats: torch.tile(x, tuple(repeats)),
    "flip": lambda x, axis=None: x.flip(axis if axis is not None else tuple(range(x.ndim))),
    "cumsum": lambda x, axis=None: x.reshape(-1).cumsum(0) if axis is None else x.cumsum(axis),
    "cast": lambda x, dtype: as_tensor(x).to(as_dtype(dtype)), "tensordot": lambda x1, x2, axes=2: torch.tensordot(x1, x2, axes),
    "einsum": lambda subscripts, *operands: torch.einsum(subscripts, *operands), "dot": lambda x1, x2: x1 @ x2,
    "one_hot": lambda x, num_classes, axis=-1: F.one_hot(x.long(), num_classes).to(torch.get_default_dtype()),
    "take": lambda x, indices, axis=0: x.index_select(axis, as_tensor(indices).reshape(-1)),
    "zeros_like": torch.zeros_like, "ones_like": torch.ones_like, "stop_gradient": lambda x: x.detach(),
    "norm": lambda x, axis=None, keepdims=False: reducing(torch.sum)(x.square(), axis, keepdims).sqrt(),
    "logsumexp": lambda x, axis=None, keepdims=False: torch.logsumexp(x, tuple(range(x.ndim)) if axis is None else axis, keepdim=keepdims),
    **activations.NAMES,
}


def both(a, b):
    """Two tensors, of which one may be a number."""
    like = a if isinstance(a, torch.Tensor) else b
    return [x if isinstance(x, torch.Tensor) else torch.full_like(like, x) for x in (a, b)]


def made(name, function):
    """The function, which on symbolic tensors notes a layer."""
    def op(*args, **kwargs):
        if builtins.any(isinstance(x, KerasTensor) for x in leaves([args, kwargs])):
            from .layers.core import Operation
            return symbolic_call(Operation(name), list(args), kwargs)
        return function(*[as_tensor(x) if hasattr(x, "__array_interface__") else x for x in args], **kwargs)
    op.__name__ = op.__qualname__ = name
    op.__doc__ = getattr(function, "__doc__", None) or f"{name}, as Keras has it."
    return op


FUNCTIONS.update(TABLE)
globals().update({name: made(name, function) for name, function in TABLE.items()})
attach_operators()


def convert_to_tensor(x, dtype=None):
    """`x` as a tensor."""
    t = torch.as_tensor(x)
    return t if dtype is None else t.to(as_dtype(dtype))


def convert_to_numpy(x):
    """`x` as a NumPy array."""
    return convert_to_tensor(x).detach().cpu().numpy()


def shape(x):
    """The shape, a tuple."""
    return tuple(x.shape)


def zeros(shape, dtype=None):
    """0 everywhere."""
    return torch.zeros(tuple(shape), dtype=as_dtype(dtype))


def ones(shape, dtype=None):
    """1 everywhere."""
    return torch.ones(tuple(shape), dtype=as_dtype(dtype))


def arange(*args, dtype=None):
    """Numbers in steps."""
    return torch.arange(*args, dtype=as_dtype(dtype))
