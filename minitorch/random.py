"""Generators of random numbers: seeded, saved, and set back, one default for each kind of device.

A generator draws with NumPy's PCG64 on the host, whatever its device, so that one seed means one sequence.
"""
import contextlib
import operator
import os
import struct

import numpy as np

from . import backend, dtypes
from .autograd.op import HOMES
from .tensor import Tensor, wrap

STATE = struct.Struct("<QII16s16s")        # initial seed; PCG64: whether half a word is left, that half, state, increment


class Generator:
    """A stream of random numbers. `Generator()` always starts with the same seed; see manual_seed() and seed()."""

    def __init__(self, device="cpu"):
        self.device = backend.device(device)
        backend.library(self.device)                 # RuntimeError where it is missing
        self.manual_seed(67280421310721)

    def manual_seed(self, seed):
        """Start the sequence that belongs to `seed`, an int in [-2^63, 2^64); returns self."""
        try:
            seed = operator.index(seed)
        except TypeError:
            raise RuntimeError(f"manual_seed expected a long, but got {type(seed).__name__}") from None
        if not -2 ** 63 <= seed < 2 ** 64:
            raise ValueError(f"Overflow when unpacking long long: the seed {seed} is outside [-2^63, 2^64)")
        self._seed, self._numpy = seed % 2 ** 64, None
        return self

    @property
    def numpy(self):
        """NumPy's generator, made when first drawn from: numpy.random takes long to import."""
        if self._numpy is None:
            self._numpy = np.random.Generator(np.random.PCG64(self._seed))
        return self._numpy

    def seed(self):
        """Start a sequence from the system's randomness; returns its seed."""
        return self.manual_seed(random_bits(64)).initial_seed()

    def initial_seed(self):
        """The seed of the present sequence."""
        return self._seed

    def get_state(self):
        """Where in its sequence the generator is: a uint8 tensor, for set_state() and for saving."""
        s = self.numpy.bit_generator.state
        data = STATE.pack(self._seed, s["has_uint32"], s["uinteger"], *[s["state"][k].to_bytes(16, "little") for k in ("state", "inc")])
        return wrap(np.frombuffer(data, np.uint8).copy())

    def set_state(self, new_state):
        """Go on from a state of get_state(); returns self. TypeError or RuntimeError for anything else."""
        if not isinstance(new_state, Tensor) or new_state.dtype is not dtypes.uint8:
            raise TypeError("RNG state must be a minitorch.ByteTensor (a uint8 tensor)")
        data = backend.to_numpy(new_state.array).tobytes()
        if len(data) != STATE.size:
            raise RuntimeError(f"Expected a generator state of size {STATE.size} but found the input RNG state size to be {len(data)}")
        self._seed, has_half, half, state, inc = STATE.unpack(data)
        state, inc = int.from_bytes(state, "little"), int.from_bytes(inc, "little")
        self.numpy.bit_generator.state = {"bit_generator": "PCG64", "state": {"state": state, "inc": inc},
                                          "has_uint32": has_half, "uinteger": half}
        return self

    def clone_state(self):
        """A generator that will draw the same numbers as this one."""
        return Generator(self.device).set_state(self.get_state())

    def __repr__(self):
        return f"<minitorch.Generator object on {self.device}, seeded with {self._seed}>"


def random_bits(n):
    """An int of n bits from the system's randomness."""
    return int.from_bytes(os.urandom(8), "little") >> 64 - n


default_generator = Generator()
default_generator.seed()
DEFAULTS = {"cpu": default_generator}      # kind of device -> its generator; a GPU's is made when first asked for
seeds = {}                                 # "seed": what manual_seed last set, for generators made later


def default_for(device):
    """The default generator of a device (None: the CPU)."""
    kind = "cpu" if device is None else backend.device(device).type
    if kind not in DEFAULTS:
        DEFAULTS[kind] = Generator(kind).manual_seed(seeds.get("seed", random_bits(63)))
    return DEFAULTS[kind]


def source(generator, device):
    """NumPy's generator to draw from for tensors on `device`; RuntimeError for a generator of another kind of device."""
    if generator is None:
        return default_for(device).numpy
    if not isinstance(generator, Generator):
        raise TypeError(f"argument 'generator' must be a Generator, not {type(generator).__name__}")
    kind = "cpu" if device is None else backend.device(device).type
    if generator.device.type != kind:
        raise RuntimeError(f"Expected a '{kind}' device type for generator but found '{generator.device.type}'")
    return generator.numpy


def manual_seed(seed):
    """Seed the default generators of all devices; returns the CPU's."""
    seed = int(seed)
    for generator in DEFAULTS.values():
        generator.manual_seed(seed)
    seeds["seed"] = seed
    return default_generator


def seed():
    """Seed the default generators from the system's randomness; returns the seed."""
    return manual_seed(random_bits(63)).initial_seed()


def initial_seed():
    """The seed of the CPU's default generator."""
    return default_generator.initial_seed()


def get_rng_state():
    """The state of the CPU's default generator: a uint8 tensor."""
    return default_generator.get_state()


def set_rng_state(new_state):
    """Set the CPU's default generator to a state of get_rng_state()."""
    default_generator.set_state(new_state)


@contextlib.contextmanager
def fork_rng(devices=None, enabled=True):
    """What is drawn inside leaves the default generators as they were."""
    states = {kind: generator.get_state() for kind, generator in DEFAULTS.items()} if enabled else {}
    try:
        yield
    finally:
        for kind, state in states.items():
            DEFAULTS[kind].set_state(state)


HOMES["torch"].update(Generator=Generator, default_generator=default_generator, manual_seed=manual_seed, seed=seed,
                      initial_seed=initial_seed, get_rng_state=get_rng_state, set_rng_state=set_rng_state)
