"""blame(loss): which step of a recorded graph has the wrong derivative.

    with gradcheck.recording():
        loss = criterion(model(x), target)
    print(gradcheck.blame(loss))                     # or blame(lambda: criterion(model(x), target)), which records by itself

While recording, every step remembers the arrays that it was called with and the user's line.  Each step is then checked alone,
at the numbers that it met: a mistake is found where it is made, however deep the graph.  What a step saved is compared
too: a saved value that changed since gives another gradient than the step called anew.
"""
import contextlib
import dataclasses
import threading
import weakref

import numpy as np

from ..autograd import engine, function, watch
from ..autograd.op import OPS
from ..backend import is_array, to_numpy, xp
from ..ops import later
from ..tensor import Tensor, wrap
from .check import Check
from .directions import signed
from .problem import TensorFunction, flat
from .report import CORRECT, NOT_DIFFERENTIABLE, RANDOM, VACUOUS, WRONG, Report

RECORDED = weakref.WeakKeyDictionary()               # node -> Step
EXCUSED = (CORRECT, VACUOUS, NOT_DIFFERENTIABLE, RANDOM)       # verdicts for which a step is not blamed


@dataclasses.dataclass
class Step:
    """A call as it was made: what to call again, with which arguments, and the user's line."""
    call: object
    args: tuple
    params: dict
    names: dict                                      # {number: name} of the arguments
    place: str = ""


@contextlib.contextmanager
def recording():
    """Within this block steps remember their arguments, so that blame() can check them; it copies every argument."""
    recorder = Recorder()
    later.read_all()                                 # an op that were read within the block would go unseen
    ops = [f.op for f in OPS.values() if f.op is not None and f.op.differentiable]
    plain = [op.forward for op in ops]
    node_of_function = function.FunctionNode
    for op, forward in zip(ops, plain):
        op.forward = recorder.of_op(op, forward)
    function.FunctionNode = recorder.of_function(node_of_function)
    watch.watch(recorder.made)
    try:
        yield
    finally:
        watch.unwatch(recorder.made)
        function.FunctionNode = node_of_function
        for op, forward in zip(ops, plain):
            op.forward = forward


class Recorder:
    """Joins each new node with the call that it stands for: the last one of its op in this thread."""

    def __init__(self):
        self.last = threading.local()

    def of_op(self, op, forward):
        def call(*arrays, **params):
            self.last.step = op, tuple([a.copy() if is_array(a) else a for a in arrays]), params
            return forward(*arrays, **params)
        return call

    def of_function(self, make):
        def made(cls, ctx, parents, args):
            node = make(cls, ctx, parents, args)
            args = tuple([wrap(a.array.copy()).requires_grad_(p is not None) if isinstance(a, Tensor) else a for a, p in zip(args, parents)])
            RECORDED[node] = Step(cls.apply, args, {}, {}, users_line(node))
            return node
        return made

    def made(self, node):
        op, arrays, params = getattr(self.last, "step", (None, None, None))
        if op is not None and getattr(node, "plan", None) is not None and node.plan.op is op:
            wanted = [p is not None for p in node.parents]
            args = tuple([wrap(a).requires_grad_(w) if is_array(a) else a for a, w in zip(arrays, wanted)])
            RECORDED[node] = Step(op.call, args, params, dict(enumerate(op.arrays)) if not op.variadic else {}, users_line(node))


def users_line(node):
    """`file:line: text` of the innermost line outside this package that made a node."""
    watch.remember_place(node)
    frames = [f for f in node.extra.where if "contextlib" not in f.filename]
    return f"{frames[-1].filename}:{frames[-1].lineno}: {frames[-1].line}" if frames else ""


@dataclasses.dataclass
class Blame:
    """What is known of every step: `guilty` are those with a wrong derivative, first made first."""
    steps: list                                      # of (node's name, place, Report)
    unchecked: list                                  # names of steps that were not recorded

    @property
    def guilty(self):
        return [s for s in self.steps if s[2].verdict not in EXCUSED]

    @property
    def ok(self):
        return not self.guilty

    def __bool__(self):
        return self.ok

    def __str__(self):
        rows = [f"{len(self.steps)} steps checked, {len(self.guilty)} wrong" if self.guilty else f"{len(self.steps)} steps checked, none wrong"]
        for name, place, report in self.guilty:
            rows.append(f"\n{name}, made at {place}" if place else f"\n{name}")
            rows += ["  " + row for row in str(report).split("\n")[1:]]
        doubtful = [(name, report.verdict) for name, _, report in self.steps if report.verdict in EXCUSED[1:]]
        if doubtful:
            rows.append("\nnot blamed, but not shown to be right: " + ", ".join(f"{name} ({verdict})" for name, verdict in doubtful))
        if self.unchecked:
            rows.append(f"\n{len(self.unchecked)} steps without a derivative of their own (views, writes) or not recorded: "
                        + ", ".join(sorted(set(self.unchecked))))
        return "\n".join(rows)


def blame(loss, *, seed=0):
    """Check every step that `loss` depends on, each at the numbers it met: a Blame, which prints the guilty op, the user's line,
    the argument, the worst entries and the mistake that it looks like.

    loss: a tensor recorded within recording(), or a function without arguments that computes one.
    RuntimeError where the graph was not recorded.
    """
    if callable(loss) and not isinstance(loss, Tensor):
        with recording():
            loss = loss()
    roots = [t.current_node() for t in flat(loss) if isinstance(t, Tensor)]
    nodes = [n for n in engine.reachable([r for r in roots if r is not None]) if type(n) not in (engine.Leaf, engine.Output)]
    if not any(n in RECORDED for n in nodes):
        raise RuntimeError("blame: no step of this graph was recorded: compute the loss within `with gradcheck.recording():`, "
                           "or pass blame a function that computes it")
    steps, unchecked = [], []
    for node in sorted(nodes, key=engine.number_of):
        step = RECORDED.get(node)
        if step is None:
            unchecked.append(node.name())
            continue
        steps.append((node.name(), step.place, check_step(node, step, seed)))
    return Blame(steps, unchecked)


def check_step(node, step, seed):
    """The Report on one step."""
    problem = TensorFunction(lambda *args: step.call(*args, **step.params), step.args, step.names)
    report = Check(problem, seed, 1, True).run(node.name())
    if report.ok:
        find_stale(node, problem, report, seed)
    return report


def find_stale(node, problem, report: Report, seed):
    """Compare the gradient that the node itself gives with that of the same call made anew."""
    if engine.is_freed(node) or node.outputs != 1:
        return
    u = signed(node.shape, np.random.default_rng(seed)).astype(node.dtype)
    fresh = problem.pull(problem.arrays, [u])
    try:
        given = node.vjp(xp(problem.arrays[0]).asarray(u), False)
    except RuntimeError:                             # the version counters already say it
        return
    wanted = [g for g, p in zip(given, node.parents) if p is not None]
    for r, old, new in zip(report.inputs, wanted, fresh):
        if old is None or new is None:
            continue
        old, new = (to_numpy(getattr(g, "array", g)).astype("f8") for g in (old, new))
        if old.shape == new.shape and np.abs(old - new).max(initial=0) > 1e-3 * np.abs(new).max(initial=0):
            r.verdict, r.note = WRONG, "the step gives another gradient than the same call made anew"
            r.bug = "a stale saved tensor: its numbers changed between forward and backward"
