"""The engine: what a recorded step is, and how gradients flow back through the steps.

Every op on a tensor that requires grad adds a Node: who its inputs came from, and what its
derivative needs.  Nodes know their parents and nothing knows its children, so a graph dies by
reference counting the moment its result does.  Nodes are numbered as they are made, and a node is
always younger than its parents: newest first is an order in which every gradient is complete
before it is passed on.  Nothing here recurses, however deep the graph.
"""
import itertools
import sys
import threading
from operator import attrgetter

import numpy as np

from .. import dtypes, threads
from ..backend import xp
from ..blocks import elementwise
from .mode import Setting
from .watch import made, watched_vjp, watchers

next_number = itertools.count().__next__
number_of = attrgetter("number")

FREED = ("the value that this node had saved was freed", [1], 0)      # takes its place in `saved`: a count that is wrong for good


class Extra:
    """What few nodes have: hooks, a grad box to fill (retain_grad), the place that made them, checksums of what they saved."""
    __slots__ = ("hooks", "box", "where", "sums")

    def __init__(self):
        self.hooks, self.box, self.where, self.sums = {}, None, None, None


class Node:
    """One step of a graph: `vjp` turns the gradient of its output into those of its parents' outputs.

    `shape` and `dtype` are those of its output; `parents` has None for an input that needs no gradient.
    """
    __slots__ = ("parents", "number", "shape", "dtype", "extra", "__weakref__")
    outputs = 1
    saved = ()                                       # flat: value, write counter of its storage, count at the time, ...

    def __init__(self, parents, shape, dtype):
        self.parents, self.shape, self.dtype = parents, shape, dtype
        self.number = next_number()
        self.extra = None
        if watchers:
            made(self)

    def vjp(self, g, create_graph):
        """The gradients for `parents`, None where there is none."""
        raise NotImplementedError

    def release(self):
        """Forget what was saved for backward."""

    def name(self):
        """The name of this step, as in PyTorch: `MulBackward0`."""
        return type(self).__name__

    @property
    def next_functions(self):
        """((node, output number), ...) of the steps that made the inputs."""
        return tuple((p.source, p.index) if type(p) is Output else (p, 0) for p in self.parents)

    def saved_name(self, i):
        """How an error calls the i-th saved value."""
        return f"saved tensor {i}"

    def extras(self):
        if self.extra is None:
            self.extra = Extra()
        return self.extra

    def register_hook(self, hook):
        """Call hook(grad) with the gradient of this step's output; what it returns replaces it."""
        return RemovableHandle(self.extras().hooks, hook)

    def __repr__(self):
        return f"<{self.name()} object at {hex(id(self))}>"


class Box:
    """Where a tensor's `.grad` is kept: shared by the tensor and the node that fills it."""
    __slots__ = ("grad", "after", "leaf")

    def __init__(self):
        self.grad = None
        self.leaf = None                             # weak: the node, so that a tensor that wants gradients again has the same
        self.after = {}                              # hooks to call with the tensor once .grad is there


class Leaf(Node):
    """The end of the graph: a tensor made by the user, whose `.grad` gathers what arrives."""
    __slots__ = ("box", "owner")

    def __init__(self, box, shape, dtype, owner=None):
        super().__init__((), shape, dtype)
        self.box, self.owner = box, owner            # owner: weak, only for hooks that want the tensor

    def name(self):
        return "AccumulateGrad"

    @property
    def variable(self):
        return self.owner() if self.owner else None


class Output(Node):
    """One of several outputs of a step: its gradient waits in the step's row of gradients."""
    __slots__ = ("source", "index")

    def __init__(self, source, index, shape, dtype):
        super().__init__((source,), shape, dtype)
        self.source, self.index = source, index

    def name(self):
        return self.source.name()


def reachable(roots):
    """Every node that the roots depend on, themselves included, as a list: of a chain, newest first."""
    found = list(dict.fromkeys(roots))
    seen = set(found)
    for node in found:                               # grows while it is read
        for p in node.parents:
            if p is not None and p not in seen:
                seen.add(p)
                found.append(p)
    return found


def leading_to(inputs, order):
    """The nodes of `order`, newest first, that are among `inputs` or depend on one."""
    needed = set(inputs)
    for node in reversed(order):
        if not needed.isdisjoint(node.parents):
            needed.add(node)
    return needed


def run(roots, gradients, inputs=None, create_graph=False, retain_graph=False):
    """Send `gradients` of `roots` back through the graph.

    inputs: nodes whose gradients are wanted, returned as {node: gradient}; None: add to every leaf's .grad.
    create_graph: gradients are Tensors, and computing them is itself recorded; otherwise plain arrays.
    """
    order = sorted(reachable(roots), key=number_of, reverse=True)
    if inputs is not None:
        needed = leading_to(inputs, order)
        order = [node for node in order if node in needed]
        captured = {}
    pending = {}                                     # node -> gradient so far
    for root, g in zip(roots, gradients):
        pending[root] = pending[root] + g if root in pending else g
    with Setting(grad=create_graph):
        for node in order:
            g = pending.pop(node, None)
            if g is None:
                continue
            if node.extra is not None:
                g = call_hooks(node, g)
            if inputs is not None and node in inputs:
                captured[node] = g
                if not any(p in needed for p in node.parents):
                    continue
            parents = node.parents
            if not parents:
                if inputs is None and type(node) is Leaf:
                    accumulate(node, g, create_graph)
                continue
            if type(node) is Output:
                row = pending.setdefault(node.source, [None] * node.source.outputs)
                row[node.index] = g if row[node.index] is None else row[node.index] + g      # a second node for it, of a double backward
                continue
            results = node.vjp(g, create_graph) if not watchers else watched_vjp(node, g, create_graph)
            i = -1
            for p in parents:                        # zip(parents, results) would take three times as long
                i += 1
                if p is None or (gp := results[i]) is None:
                    continue
                if gp.shape != p.shape or gp.dtype is not p.dtype:
                    gp = fit(gp, p)
                if p not in pending:
                    pending[p] = gp
                elif create_graph or gp.size < SMALL:
                    pending[p] = pending[p] + gp
                else:
                    pending[p] = total(pending, p, gp)
            if node.saved and not retain_graph:
                node.release()
            results = gp = g = None                  # no gradient outlives its use
    return captured if inputs is not None else None


def sum_to(g, shape):
    """Sum `g` down to `shape`: the transpose of broadcasting, and the only place that knows about it."""
    from ..ops.reduce import sum
    lead = len(g.shape) - len(shape)
    dims = tuple(range(lead)) + tuple(i + lead for i, n in enumerate(shape) if n == 1 != g.shape[i + lead])
    return sum(g, dims, keepdim=True).reshape(shape) if dims else g.reshape(shape)


def fit(g, node):
    """`g` in the shape and dtype of the output of `node`."""
    if g.shape != node.shape:
        g = sum_to(g, node.shape)
    if getattr(g, "array", g).dtype == node.dtype:
        return g
    from ..ops.dtype import cast
    return cast(g, dtype=node.dtype)


def total(pending, node, g):
    """The gradient that waited for `node`, taken out of `pending`, and `g`, a large one: added in place where nobody else has that array."""
    old = pending.pop(node)
    if type(old) is not np.ndarray or sys.getrefcount(old) > POPPED_ALONE or old.base is not None or not old.flags.carray:
        return elementwise(np.add, old, g) if type(old) is np.ndarray else old + g
    threads.run(lambda start, stop: np.add(old[start:stop], g[start:stop], out=old[start:stop]), len(old), least=1 + LARGE * len(old) // old.size)
    return old


SMALL, LARGE = 1000, 1 << 18                         # numbers for which a new array is as good; that are worth another thread


def references_when_popped():
    """What sys.getrefcount says of a value that a table held, alone, until a function took it out."""
    table = {0: np.empty(1)}

    def inner(table):
        old = table.pop(0)
        return sys.getrefcount(old)
    return inner(table)


POPPED_ALONE = references_when_popped()


def accumulate(leaf, g, create_graph):
    """Add `g` to the leaf's .grad, in place where nobody can notice (not while recording); one thread at a time."""
    wrap, box = tensor.wrap, leaf.box
    with accumulating:
        if box.grad is None:                         # a view or a shared array must not become two tensors' .grad
            if create_graph:
                box.grad = g.clone()
            else:
                box.grad = wrap(g if sys.getrefcount(g) <= ALONE and is_whole(g) else xp(g).array(g))
        elif create_graph:
            box.grad = box.grad + g
        else:
            box.grad.array[...] += g
            box.grad.counter[0] += 1
    if box.after and leaf.variable is not None:
        for hook in list(box.after.values()):
            hook(leaf.variable)


accumulating = threading.Lock()


def references_when_alone():
    """What sys.getrefcount says of a value that only the local variables of two functions hold: `run` and `accumulate`."""
    def inner(g):
        return sys.getrefcount(g)
    g = object()
    return inner(g)


ALONE = references_when_alone()                      # depends on the version of Python


def is_whole(g):
    """Whether an array is all of its memory, row by row, and nobody else has it: itself, or another shape of an array that nobody else has."""
    return hasattr(g, "flags") and g.flags.c_contiguous and g.ndim > 0 and \
        (g.base is None or type(g.base) is type(g) and g.base.base is None and g.base.nbytes == g.nbytes and references_of_base(g) <= BASE_ALONE)


def references_of_base(g):
    return sys.getrefcount(g.base)


BASE_ALONE = references_of_base(np.empty((1, 2)).reshape(2))


def call_hooks(node, g):
    """Show `g` to the node's hooks; what they return goes on in its place."""
    Tensor, wrap, extra = tensor.Tensor, tensor.wrap, node.extra
    plain = not isinstance(g, (Tensor, list))
    if extra.hooks and not isinstance(g, list):
        seen = wrap(g) if plain else g
        for hook in list(extra.hooks.values()):
            answer = hook(seen)
            if answer is not None:
                if not isinstance(answer, Tensor):
                    raise TypeError(f"a hook must return a Tensor or None, not {type(answer).__name__}")
                if answer.shape != seen.shape:
                    raise RuntimeError(f"hook changed the shape of the gradient from {tuple(seen.shape)} to {tuple(answer.shape)}")
                seen = answer
        g = seen.array if plain else seen
    if extra.box is not None:
        g0, copy = extra.box.grad, wrap(xp(g).array(g)) if plain else g
        extra.box.grad = copy if g0 is None else g0 + copy
    return g


class RemovableHandle:
    """A hook's place in a table: `remove()` takes it out; as a `with` block it leaves at the end."""
    numbers = itertools.count()

    def __init__(self, table, hook):
        self.table, self.id = table, next(self.numbers)
        table[self.id] = hook

    def remove(self):
        self.table.pop(self.id, None)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.remove()


# ---- what was saved for backward must still be there, and unchanged ------------------------------------

def is_freed(node):
    """Whether backward has freed what `node` had saved."""
    return bool(node.saved) and node.saved[1] is FREED[1]


def check_saved(node):
    """RuntimeError if what `node` saved was freed, or counted writes changed it since."""
    if is_freed(node):
        raise RuntimeError("Trying to backward through the graph a second time (or directly access saved tensors after they have already "
                           "been freed). Saved intermediate values of the graph are freed when you call .backward() or autograd.grad(). "
                           f"Specify retain_graph=True if you need to. The step is {node.name()}.")
    for i in range(0, len(node.saved), 3):
        value, counter, count = node.saved[i:i + 3]
        if counter[0] != count:
            raise RuntimeError(
                "one of the variables needed for gradient computation has been modified by an inplace operation: "
                f"{described(value)}, which {node.name()} saved as '{node.saved_name(i // 3)}', is at version {counter[0]}; expected "
                f"version {count} instead. Hint: enable anomaly detection to find the operation that failed to compute its gradient, "
                "with autograd.set_detect_anomaly(True).")


def described(array):
    return f"[{dtypes.of(array.dtype)} {list(array.shape)}]"


from .. import tensor  # noqa: E402  (tensors know their nodes)
