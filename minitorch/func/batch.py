"""vmap: a function of one example made a function of a batch."""
import functools

from ..random import get_rng_state, set_rng_state
from ..tensor import Tensor
from ..utils.tree import leaves, rebuild


def vmap(func, in_dims=0, out_dims=0, randomness="error", *, chunk_size=None):
    """The function that applies func to every slice of its arguments along in_dims and stacks the results along out_dims.

    in_dims: an int, or a tuple (of trees) with an int or None, for not sliced, for each argument.  Keyword arguments are
    not sliced.  randomness: whether random ops inside are an "error", "different" for each example or the "same".
    The examples are computed one by one: same results as one batched computation, not its speed.
    """
    if randomness not in ("error", "different", "same"):
        raise RuntimeError(f"Only allowed values for randomness are 'error', 'different', or 'same'. Got {randomness}")

    @functools.wraps(func)
    def wrapper(*args, **kwargs):
        if not isinstance(in_dims, (int, tuple, list)):
            raise ValueError(f"vmap: expected `in_dims` to be int or a (potentially nested) tuple matching the structure of inputs, "
                             f"got: {type(in_dims)}.")
        dims = spread(in_dims, args, "in_dims")
        columns = [slices(value, dim) for value, dim in zip(leaves(args), dims)]
        sizes = sorted({len(column) for column, dim in zip(columns, dims) if dim is not None}, reverse=True)
        if len(sizes) != 1:
            raise ValueError(f"vmap: Expected all tensors to have the same size in the mapped dimension, got sizes {sizes}" if sizes else
                             "vmap: at least one argument must be sliced, all in_dims are None")
        state, outputs = get_rng_state(), []
        for i in range(sizes[0]):
            if randomness == "same":
                set_rng_state(state)
            example = rebuild(args, iter([column if dim is None else column[i] for column, dim in zip(columns, dims)]))
            outputs.append(func(*example, **kwargs))
        if randomness == "error" and leaves(get_rng_state().tolist()) != leaves(state.tolist()):
            raise RuntimeError("vmap: called random operation while in randomness error mode. Please either use the 'same' or 'different' "
                               "randomness flags on vmap or perform the randomness operation out of vmap")
        return stacked(outputs, out_dims)
    return wrapper


def spread(dims, tree, name):
    """A dim for every leaf of `tree`: an int or None stands for all leaves below it."""
    if dims is None or isinstance(dims, int):
        return [dims] * len(leaves(tree))
    if isinstance(dims, dict) and isinstance(tree, dict) and dims.keys() == tree.keys():
        return [d for key in tree for d in spread(dims[key], tree[key], name)]
    if isinstance(dims, (tuple, list)) and isinstance(tree, (tuple, list)) and len(dims) == len(tree):
        return [d for dim, value in zip(dims, tree) for d in spread(dim, value, name)]
    raise ValueError(f"vmap: {name} is not compatible with the structure of the values: {dims} for {len(leaves(tree))} of them")


def slices(value, dim):
    """`value` cut along dim; itself for None."""
    if dim is None:
        return value
    if not isinstance(value, Tensor):
        raise ValueError(f"vmap: Got in_dim={dim} for an input but the input is of type {type(value)}. We cannot vmap over non-Tensor "
                         "arguments, please use None as the respective in_dim")
    if not -value.ndim <= dim < value.ndim:
        raise ValueError(f"vmap: Got in_dim={dim} for some input, but that input is a Tensor of dimensionality {value.ndim} so expected "
                         f"in_dim to satisfy {-value.ndim} <= in_dim < {value.ndim}.")
    return value.unbind(dim)


def stacked(outputs, out_dims):
    """The outputs for all examples as one tree of tensors."""
    from .. import stack
    if not outputs:
        raise RuntimeError("vmap: the mapped dimension has size 0, and what the function would return is not known")
    columns, dims = list(zip(*map(leaves, outputs))), spread(out_dims, outputs[0], "out_dims")
    results = []
    for column, dim in zip(columns, dims):
        if dim is not None and not isinstance(column[0], Tensor):
            raise ValueError(f"vmap: the function must only return Tensors, got type {type(column[0])}. Did you mean to set out_dims= to "
                             "None for output?")
        results.append(column[0] if dim is None else stack(column, dim))
    return rebuild(outputs[0], iter(results))
