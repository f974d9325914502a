"""Seeded wrong derivatives, to measure whether tests would notice.

    mutants = gradcheck.mutants(minitorch.tanh)      # an op, a Function, or any function that computes a derivative
    score = gradcheck.kill_rate(mutants, test)       # test() must raise for a mutant that it notices
    print(score)

A mutant is a derivative with one mistake (mistakes.py).  Planted in the place of the right one it is killed if the test fails.
What no test can notice, because the derivative is the same everywhere (probes.py), is equivalent and does not count; what differs
somewhere and yet passes has survived, and the score says where to look.
"""
import ast
import contextlib
import dataclasses
import inspect

import numpy as np

from ..autograd.function import Function
from . import probes
from .mistakes import detach, reverse, syntax_of, with_context, wrong_forms

SHOWN = 30                                           # survivors in a printed score


@dataclasses.dataclass
class Mutant:
    """One wrong derivative: `with mutant.planted(): ...` puts it in the place of the right one."""
    place: object                                    # where it belongs: an OpPlace, FunctionPlace or PlainPlace
    mistake: str                                     # in words
    wrong: object                                    # the function with the mistake
    outcome: str = ""                                # "killed", "equivalent" or "survived", once tried
    evidence: str = ""                               # what killed it, or where it differs although it survived

    @property
    def target(self):
        return self.place.name

    @contextlib.contextmanager
    def planted(self):
        self.place.put(self.wrong)
        try:
            yield self
        finally:
            self.place.put(self.place.right)

    def __str__(self):
        return f"{self.target}: {self.mistake}"


def mutants(target, count=None, seed=0):
    """Every mutant of the derivatives of an op, of a Function's backward, or of a plain function; `count`: that many, drawn by `seed`.

    TypeError for anything else.
    """
    op = getattr(target, "op", None)
    if op is not None:
        places = [OpPlace(op, i) for i, f in enumerate(op.vjps) if f is not None] if op.joint is None else [OpPlace(op, None)]
        places += [ReferencePlace(op)] if op.reference is not None else []
    elif isinstance(target, type) and issubclass(target, Function):
        places = [FunctionPlace(target)]
    elif callable(target):
        places = [PlainPlace(target)]
    else:
        raise TypeError(f"mutants: expected an op, a Function or a function, not {type(target).__name__}")
    found = [Mutant(place, mistake, wrong) for place in places for mistake, wrong in place.forms()]
    if count is not None and count < len(found):
        found = [found[i] for i in sorted(np.random.default_rng(seed).choice(len(found), count, replace=False))]
    return found


def result_names(f, count):
    """Names for the results of a function that returns several: of as many as its text says, else of `count`."""
    node = syntax_of(f)
    ends = [] if node is None else [node.body] if isinstance(node, ast.Lambda) else [n.value for n in ast.walk(node) if isinstance(n, ast.Return)]
    counts = {len(e.elts) for e in ends if isinstance(e, ast.Tuple | ast.List)}
    n = counts.pop() if len(counts) == 1 and len(ends) == 1 else count
    return [f"result {i}" for i in range(n)] if n > 1 else []


# ---- the places of derivatives: what stands there, how to replace it, at which inputs to look ---------------------------

class OpPlace:
    """The derivative of an op by its array number i; i is None for one function that gives all of them."""
    plain = False

    def __init__(self, op, i):
        self.op, self.i = op, i
        self.right = op.joint if i is None else op.vjps[i]
        self.name = op.name if i is None else f"{op.name}, by {op.arrays[min(i, len(op.arrays) - 1)]}"

    def forms(self):
        op, arrays = self.op, () if self.i is not None else self.op.arrays
        results = ["the first result", "the last result"] if arrays and op.variadic else \
            [f"the gradient of {name}" for name in arrays] if len(arrays) > 1 else []
        known = {"g", "wanted", *op.meta, *[f"{a}_shape" for a in op.arrays]}
        saved = [p for p in inspect.signature(self.right).parameters if p not in known]
        return wrong_forms(self.right, results, saved, twice=op.reference is None)

    def put(self, f):
        op, i = self.op, self.i
        if i is None:
            op.joint = f
        else:
            op.vjps = op.vjps[:i] + (f,) + op.vjps[i + 1:]
        op.plans.clear()

    def recording(self):
        return contextlib.nullcontext()              # an op brings its own cases

    def probes(self):
        return probes.of_op(self.op)

    def key(self):
        return id(self.op)


class ReferencePlace(OpPlace):
    """The reference of an op, from which its second derivatives come."""

    def __init__(self, op):
        self.op, self.right, self.name = op, op.reference, f"the reference of {op.name}"

    def forms(self):
        return wrong_forms(self.right)

    def put(self, f):
        self.op.reference = f
        self.op.plans.clear()


class FunctionPlace:
    """The backward (or vjp) of an autograd.Function."""
    plain = False

    def __init__(self, target):
        self.target, self.name = target, target.__name__
        self.method = "backward" if target.vjp is Function.vjp else "vjp"
        self.own = self.method in vars(target)       # else inherited
        self.static = inspect.getattr_static(target, self.method)
        self.right = getattr(target, self.method)
        self.calls = []

    def forms(self):
        yield from wrong_forms(self.right, result_names(self.right, 1))
        yield "the saved tensors stale: their entries in reverse order", with_context(self.right, reverse)
        yield "the saved tensors detached: no second derivative through them", with_context(self.right, detach)

    def put(self, f):
        if f is not self.right:
            setattr(self.target, self.method, staticmethod(f))
        elif self.own:
            setattr(self.target, self.method, self.static)
        else:
            delattr(self.target, self.method)

    @contextlib.contextmanager
    def recording(self):
        """Within this block the calls of apply are noted."""
        own, apply = vars(self.target).get("apply"), self.target.apply

        def noted(cls, *args):
            self.calls.append(args)
            return apply(*args)
        self.target.apply = classmethod(noted)
        try:
            yield
        finally:
            if own is None:
                del self.target.apply
            else:
                self.target.apply = own

    def probes(self):
        return probes.of_calls(self.target.apply, self.calls[:4])

    def key(self):
        return id(self)


class PlainPlace:
    """A function that computes a derivative, as its caller holds it: the test is given the mutant."""
    plain = True

    def __init__(self, f):
        self.right = self.standing = f
        self.name = getattr(f, "__name__", type(f).__name__)
        self.calls = []

    def forms(self):
        parameters = list(inspect.signature(self.right).parameters.values())
        saved = [p.name for p in parameters[1:] if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        return wrong_forms(self.right, result_names(self.right, 1), saved)

    def put(self, f):
        self.standing = f

    def recording(self):
        return contextlib.nullcontext()

    def noted(self, *args, **kw):
        """The right derivative, which notes its arguments."""
        if not kw:
            self.calls.append(args)
        return self.right(*args, **kw)

    def probes(self):
        return probes.of_arguments(lambda: self.standing, self.calls[:4])

    def key(self):
        return id(self)


# ---- the score ----------------------------------------------------------------------------------------------------------

@dataclasses.dataclass
class Score:
    """What became of mutants: killed by a test, survived although they differ somewhere, or equivalent."""
    killed: list = dataclasses.field(default_factory=list)
    survived: list = dataclasses.field(default_factory=list)
    equivalent: list = dataclasses.field(default_factory=list)

    @property
    def rate(self):
        """The share of the true mistakes that was noticed; NaN without any."""
        total = len(self.killed) + len(self.survived)
        return len(self.killed) / total if total else float("nan")

    def __str__(self):
        rows = [f"{len(self.killed)} of {len(self.killed) + len(self.survived)} mutants killed ({100 * self.rate:.1f} %), "
                f"{len(self.equivalent)} more are equivalent"]
        rows += [f"  survived: {m}\n      differs at {m.evidence}" for m in self.survived[:SHOWN]]
        return "\n".join(rows + [f"  and {len(self.survived) - SHOWN} more survived"] * (len(self.survived) > SHOWN))

    def __add__(self, other):
        return Score(self.killed + other.killed, self.survived + other.survived, self.equivalent + other.equivalent)


def kill_rate(mutants, test):
    """Plant each mutant and run the test: a Score.  A mutant is killed when the test raises.

    mutants: of this module's mutants(), or a target for it.  test: called without arguments; for mutants of a plain function with
    the function that is to stand for the derivative.  AssertionError if the test fails on the right derivative.
    """
    mutants = mutants if isinstance(mutants, list) else globals()["mutants"](mutants)
    places = list({id(m.place): m.place for m in mutants}.values())
    try:
        with contextlib.ExitStack() as stack:
            for place in places:
                stack.enter_context(place.recording())
            for f in [p.noted for p in places if p.plain] or [None]:
                run(test, f)
    except Exception as error:
        raise AssertionError(f"kill_rate: the test fails without any mutant: {error}") from error
    score, settled = Score(), {}
    for m in mutants:
        with m.planted():
            m.evidence = why_killed(test, m.wrong if m.place.plain else None)
        m.outcome = "killed" if m.evidence else ""
        if not m.outcome:
            key = m.place.key()
            if key not in settled:
                settled[key] = [p for p in m.place.probes() if p.settle().right is not None]
            with m.planted():
                m.evidence = probes.seen_apart(settled[key])
            m.outcome = "survived" if m.evidence or not settled[key] else "equivalent"
            m.evidence = m.evidence or ("" if settled[key] else "inputs unknown: no case or recorded call to start from")
        getattr(score, m.outcome).append(m)
    return score


def run(test, f):
    with np.errstate(all="ignore"):
        test() if f is None else test(f)


def why_killed(test, f):
    """What the test raised, in one line; "" if it passed."""
    try:
        run(test, f)
    except Exception as error:
        return f"{type(error).__name__}: {error}".split("\n")[0]
    return ""
