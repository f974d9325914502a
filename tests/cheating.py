"""What a kernel that lies is, as data: `@cheat(names, what)` enters a maker of fresh providers, so that what one remembers is not known to the next.

The honest work is softplus-like and cheap: y = x * w + tanh(x).
"""
import dataclasses
from collections.abc import Callable

import numpy as np

from minitorch.benchmark import Case


def reference(x, w):
    """What the cheats pretend to compute."""
    return x * w + np.tanh(x)


def host_case():
    return Case((24, 40), (24, 40), name="x * w + tanh(x)")


def honest(x, w):
    return x * w + np.tanh(x)


@dataclasses.dataclass(frozen=True)
class Cheat:
    """make() gives the provider; names: the reasons of which at least one must be given, with commas between.

    reference, case(): what it pretends to compute, and on what.  rounds: how many it takes until it lies, and somebody looks.
    """
    make: Callable
    names: str
    what: str
    reference: Callable = reference
    case: Callable = host_case
    rounds: int = 8

    def named(self, found):
        """Whether one of the reasons found is a right one."""
        return bool(set(self.names.split(", ")) & set(found))


HOST = {}


def cheat(names, what, **more):
    def enter(make):
        HOST[make.__name__] = Cheat(make, names, what, **more)
        return make
    return enter
