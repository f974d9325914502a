"""Random tensors by Keras' names, from minitorch's generator."""
import minitorch as torch

from .variable import as_dtype


def generator(seed):
    return None if seed is None else torch.Generator().manual_seed(int(seed))


def normal(shape, mean=0.0, stddev=1.0, dtype=None, seed=None):
    """Normal numbers."""
    return mean + stddev * torch.randn(tuple(shape), dtype=as_dtype(dtype), generator=generator(seed))


def uniform(shape, minval=0.0, maxval=1.0, dtype=None, seed=None):
    """Numbers drawn evenly from [minval, maxval)."""
    return minval + (maxval - minval) * torch.rand(tuple(shape), dtype=as_dtype(dtype), generator=generator(seed))
