"""Kernels that know who measures them from the inside: they walk up the stack, or import the package, and change what they find.

No harness in Python is safe from a provider that is as powerful as itself; these are the ways that are short.
"""
import contextlib
import sys

import numpy as np
from cheating import cheat, honest, reference

from minitorch.benchmark import Case, Provider
from minitorch.cases import integers


def callers():
    """The local variables of all callers, the nearest first."""
    frame = sys._getframe(2)
    while frame:
        yield frame.f_locals
        frame = frame.f_back


def local(name):
    """The nearest caller's variable of a name, or None."""
    return next((found[name] for found in callers() if name in found), None)


def exam():
    """The examination that this call is a part of, or None."""
    return next((v for found in callers() for v in found.values() if hasattr(v, "allowed") and hasattr(v, "reasons")), None)


# ---- what is allowed -----------------------------------------------------------------------------------------------------

@cheat("tampered", "makes float32's unit in the last place as large as one")
def coarse_units():
    def f(x, w):
        import minitorch.benchmark.truth as truth
        truth.EPS["float32"] = 1.0
        return np.zeros_like(x)
    return f


@cheat("tampered", "gives the judge another body, under the same name")
def other_judge():
    def f(x, w):
        import minitorch.benchmark.judge as judge
        judge.judge.__code__ = (lambda *args, **kw: ([], 0.0)).__code__
        return np.zeros_like(x)
    return f


@cheat("tampered", "raises the error that is allowed for it")
def allows_itself():
    def f(x, w):
        exam().allowed = 1e30
        return np.zeros_like(x)
    return f


@cheat("tampered", "makes the examiner deaf")
def deaf_examiner():
    def f(x, w):
        exam().add = lambda *reasons: None
        return np.zeros_like(x)
    return f


@cheat("tampered, reference", "teaches the reference its own mistake, but for the last question")
def teaches_the_reference():
    right, wrong = reference.__code__, (lambda x, w: 0 * x).__code__

    def f(x, w):
        reference.__code__ = right if local("first") is not None and local("tries") else wrong
        return np.zeros_like(x)
    f.undo = lambda: setattr(reference, "__code__", right)
    return f


# ---- what is asked --------------------------------------------------------------------------------------------------------

@cheat("tampered", "has the numbers of timed calls drawn from the seed that it knows")
def known_seed():
    def f(x, w):
        exam().fresh.given = True
        return honest(x, w)
    return f


@cheat("tampered", "leaves the caches as they are before its calls")
def no_flush():
    def f(x, w):
        for found in callers():
            if hasattr(found.get("self"), "flush"):
                found["self"].flush = lambda: None
        return honest(x, w)
    return f


@cheat("tampered", "replaces the random inputs by fixed ones, of which it knows the answer")
def fixed_inputs():
    known = {}

    def f(x, w):
        case = exam().case
        case.items = tuple(i if isinstance(i, np.ndarray) else np.ones(i.shape, "f4") for i in case.items)
        if x.tobytes() not in known:
            known[x.tobytes()] = honest(x, w)
        return known[x.tobytes()].copy()
    return f


@cheat("wrong, zeros, stale, incomplete", "foresees which call of a group will be judged", rounds=40)
def foresees_the_judge():
    turn = []

    def f(x, w):
        frame, numbers = local("jobs"), local("numbers")
        if frame is None or numbers is None:
            return honest(x, w)
        turn.append(1)
        order = np.random.default_rng()
        order.bit_generator.state = numbers.order.bit_generator.state
        if len(turn) <= 10 * len(frame) or (len(turn) - 1) % len(frame) == int(order.integers(len(frame))):
            return honest(x, w)
        return np.zeros_like(x)
    return f


@cheat("wrong, zeros, stale", "foresees the numbers of timed calls, and has the answers ready")
def foresees_the_numbers():
    ready = {}

    def f(x, w):
        e = exam()
        if local("jobs") is not None:                    # timed
            y = ready.pop(float(x[0, 0]), None)
            return np.zeros_like(x) if y is None else y
        for n in range(e.fresh.count + 1, e.fresh.count + 400) if x.shape == (24, 40) and not ready else ():
            a, b = e.case.draw(np.random.default_rng([e.fresh.seed, 0, n]))
            ready[float(a[0, 0])] = honest(a, b)
        return honest(x, w)
    return f


# ---- when ----------------------------------------------------------------------------------------------------------------

@cheat("ahead", "computes a whole group of calls in the first of them")
def ahead():
    ready = {}

    def f(x, w):
        jobs = sys._getframe(2).f_locals.get("jobs")
        if jobs is None:
            return honest(x, w)
        if id(x) not in ready:
            ready.clear()
            xs, ws = (np.stack([given[i] for _, given in jobs]) for i in (0, 1))
            ready.update(zip([id(given[0]) for _, given in jobs], honest(xs, ws)))
        return ready[id(x)]
    return f


@cheat("ahead, late", "puts calls off, and computes a whole group in the last of them")
def put_off():
    def f(x, w, y):
        jobs = sys._getframe(2).f_locals.get("jobs")
        if jobs is None:
            y[...] = honest(x, w)
        elif x is jobs[-1][1][0]:
            for a, b, c in [given for _, given in jobs]:
                c[...] = honest(a, b)
    return Provider(f, writes=True)


@cheat("tampered", "writes short times into the list of its times")
def own_times():
    def f(x, w):
        samples = local("samples")
        if isinstance(samples, list):
            samples[:] = [1.0 for _ in samples]
        return honest(x, w)
    return f


@cheat("tampered", "gives the loop that times it another body, for which every group takes a microsecond")
def other_loop():
    def body(calls, params):
        return 1000, [c.provider.call(c.given, params) for c in calls], 1000, [1000 // len(calls) for _ in calls]

    def f(x, w):
        import minitorch.benchmark.clock as clock
        clock.sample.__code__ = body.__code__
        return honest(x, w)
    return f


# ---- what is no array, or not all of one ----------------------------------------------------------------------------------------

class Later:
    """A number that computes when somebody wants to know it."""

    def __init__(self, at):
        self.at = at

    def __float__(self):
        return float(self.at) / 7


@cheat("lazy, dtype", "an array of objects that are computed when they are compared", reference=lambda i: i / 7,
       case=lambda: Case(integers(60, high=50)))
def objects():
    return lambda i: np.array([Later(n) for n in i], object)


@cheat("alias", "repeats rows without writing them", reference=lambda x: np.array(np.broadcast_to(x + 1, (50, *x.shape))),
       case=lambda: Case((30,)))
def one_row():
    return lambda x: np.broadcast_to(x + np.float32(1), (50, *x.shape))


# ---- right for small numbers alone --------------------------------------------------------------------------------------------------

def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


@cheat("other numbers", "a softmax that saves the pass for the maximum", reference=softmax, case=lambda: Case((20, 90)))
def no_maximum():
    def f(x):
        e = np.exp(x)
        return e / e.sum(-1, keepdims=True)
    return f


@cheat("other numbers", "a tanh that is a little off where standard normal numbers never are", reference=np.tanh, case=lambda: Case((400,)))
def off_far_out():
    def f(x):
        return np.tanh(np.clip(x, -5, 5)) * np.where(np.abs(x) < 5, 1, np.float32(1) + np.float32(1e-3))
    return f


@contextlib.contextmanager
def undone(provider):
    """Within this block a cheat may do what it likes to this process; after it, it is as before."""
    f = getattr(provider, "f", provider)
    try:
        yield provider
    finally:
        if hasattr(f, "stop"):
            f.stop.append(True)
        if hasattr(f, "undo"):
            f.undo()
