"""What the programs of this folder begin with, the same for both libraries: numbers, weights, and the record of what came out."""
import sys
import zlib

import numpy as np

RECORD = []


def library_of(thing):
    """The module torch or minitorch that something comes from."""
    return sys.modules[next(c.__module__ for c in type(thing).__mro__ if c.__module__.startswith(("torch.", "minitorch."))).partition(".")[0]]


def plain(x):
    """A tensor as an array, also within lists; other things as they are."""
    if isinstance(x, (list, tuple)):
        return [plain(v) for v in x]
    return np.array(x.detach().tolist()) if hasattr(x, "detach") else x


def record(*things):
    """Add to what is compared in the end."""
    RECORD.extend(plain(x) for x in things)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("f4")


def whole(*shape, high, seed=0):
    return np.random.default_rng(seed).integers(0, high, size=shape)


def same(module):
    """The module with weights drawn by NumPy for each name, as large as their initialisation made them."""
    state = module.state_dict()
    for name, t in state.items():
        if t.is_floating_point() and "running" not in name:
            rng = np.random.default_rng(zlib.crc32(name.encode()))
            fan = max(1, int(np.prod(t.shape[1:])))
            a = rng.normal(size=tuple(t.shape)).astype("f4") / np.sqrt(fan)
            a = 1 + 0.1 * a if t.ndim == 1 and name.endswith("weight") else 0.1 * a if t.ndim == 1 else a
            state[name] = library_of(t).tensor(a, dtype=t.dtype)
    module.load_state_dict(state)
    return module
