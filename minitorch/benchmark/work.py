"""What a call has to do, and what the reference makes of it: bytes and operations, its error in a number type, whether it changed its mind."""
import numpy as np

from .truth import own_error


def same(results, others):
    """Whether a reference gave the same twice, but for the order of its sums."""
    with np.errstate(all="ignore"):
        return len(results) == len(others) and all(a.shape == b.shape and np.array_equal(np.isfinite(a), np.isfinite(b)) and (
            np.abs(a - b)[np.isfinite(a)].max(initial=0) <= 1e-9 * np.abs(b[np.isfinite(b)]).max(initial=0) if a.dtype.kind in "fc" else
            np.array_equal(a, b)) for a, b in zip(results, others))


def typical_error(reference, case, numbers, tries=3):
    """The largest error of the reference in the case's own dtype on some numbers, in ulp; None where it does not compute in it."""
    found = []
    for _ in range(tries):
        inputs = case.draw(np.random.default_rng(numbers()))
        found.append(own_error(reference, inputs, case.params, reference.truth(inputs, case.params, numbers()), case.dtype))
    return None if None in found else max(found)


class Work:
    """Bytes and operations of one call: as declared, or all inputs and outputs once."""

    def __init__(self, case, inputs, expected):
        self.outputs = [np.empty(r.shape, case.dtype if r.dtype.kind == "f" else r.dtype) for r in expected]
        self.footprint = sum(a.nbytes for a in (*inputs, *self.outputs) if isinstance(a, np.ndarray))
        self.bytes, self.flops = case.bytes if case.bytes is not None else self.footprint, case.flops

    def rates(self, seconds, ceiling, dtype):
        bandwidth, rate = ceiling.rates(self.footprint, dtype)
        found = {"GB/s": self.bytes / seconds / 1e9, "GFLOP/s": self.flops / seconds / 1e9 if self.flops else None}
        shares = [self.bytes / seconds / bandwidth, self.flops / seconds / rate if self.flops and rate else 0]
        return {**found, "of_ceiling": max(shares), "bound": "arithmetic" if shares[1] > shares[0] else "memory"}


def shown(a):
    return [list(a.shape), a.dtype.name] if isinstance(a, np.ndarray) else a
