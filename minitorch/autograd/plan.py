"""The plan of a derivative, and the node that a call of an op leaves in the graph.

An op has one plan for each set of inputs that want a gradient: which values its vjps name, where a
call finds them, and how to call the vjps with them at backward.
"""
import functools
import inspect
from types import FunctionType

from .. import dtypes
from ..backend import MODULES, xp
from ..blocks import LARGE, elementwise
from ..tensor import Tensor, wrap
from .engine import FREED, Node, Output, check_saved, next_number, run
from .loops import slope
from .mode import Setting
from .watch import made, watchers

CONSTANT = [0]                             # the write counter of values that no tensor owns


class Kept:
    """What forward returns to keep more than its result for the vjps: `return keep(y, lse=lse)`."""
    __slots__ = ("result", "extras")

    def __init__(self, result, extras):
        self.result, self.extras = result, extras


def keep(result, **extras):
    """The result of an op, with arrays that its vjps name."""
    return Kept(result, extras)


class Plan:
    """One op's derivative for one set of inputs that want it: what to keep, and what to call with it."""

    def __init__(self, op, wanted):
        self.op = op
        functions = [op.joint] if op.joint else [op.vjps[i] for i in wanted if op.vjps[i] is not None] if op.vjps else []
        needs = []
        for f in functions:
            needs += [p for p in inspect.signature(f).parameters if p != "g" and p not in needs]
        if op.reference:                             # its double backward runs the reference on the inputs themselves
            needs += [a for a in op.arrays if a not in needs] + [m for m in op.meta if m not in needs]
        outputs = [n for n in needs if is_output(n)]
        self.meta = tuple([n for n in needs if n in op.meta or n == "wanted" or self.shape_of(n) is not None])      # remembered as they are
        extras = [n for n in needs if n not in self.meta + op.arrays + ("y",) and n not in outputs]
        self.kept = tuple([n for n in op.arrays + ("y",) if n in needs] + outputs + extras)    # with their counters; freed by backward
        self.sources = [self.source(n) for n in self.kept]
        self.lookups = [self.lookup(n) for n in self.meta]
        by_reference = op.reference and not functions
        self.run = joined(op, wanted, self.kept, self.meta) if not by_reference else lambda node, g: node.vjp_by_reference(g, False)
        cut = op.elementwise and not by_reference and type(op.forward) is FunctionType        # not where a loop shares the work
        self.large = joined(op, wanted, self.kept, self.meta, functools.partial(for_large, op)) if cut else self.run
        self.freed = FREED * len(self.kept)
        self.wanted = wanted
        self.simple = None if self.meta else SIMPLE.get(tuple(self.sources))

    def source(self, name):
        """Where a kept value comes from: the number of an array, Y for the output, Y - 1 - i for output i of several, or its own
        name for what forward returned by keep().
        """
        if name == "y":
            return Y
        if is_output(name):
            return Y - 1 - int(name[1:])
        return self.op.arrays.index(name) if name in self.op.arrays else name

    def shape_of(self, name):
        """The number of the array whose shape a vjp names, as in input_shape; None for other names."""
        return self.op.arrays.index(name[:-6]) if name.endswith("_shape") and name[:-6] in self.op.arrays else None

    def lookup(self, name):
        """A function (arrays, params) -> the value that a vjp calls `name`."""
        op, i = self.op, self.shape_of(name)
        if name in op.meta:
            default = op.defaults.get(name)
            return lambda arrays, params: params.get(name, default)
        if name == "wanted":
            return lambda arrays, params: self.wanted
        if op.variadic:
            return lambda arrays, params: [a.shape for a in arrays]
        return lambda arrays, params: getattr(arrays[i], "shape", ())

    def collect(self, arrays, counters, y, counter, params, extras):
        """(saved, meta) for one call: what the vjps named, in their order.  Of several outputs, y and counter are lists."""
        saved = ()
        for i in self.sources:
            if type(i) is str:
                saved += (self.op.extra(extras, i), CONSTANT, 0)
            elif i == Y:
                saved += (y, counter, counter[0])
            elif i < Y:
                k = Y - 1 - i
                saved += (y[k], counter[k], counter[k][0])
            elif self.op.variadic:
                saved += (tuple(arrays), CONSTANT, 0)
            else:
                saved += (arrays[i], counters[i], counters[i][0])
        return saved, tuple([look(arrays, params) for look in self.lookups])


Y = -1
NOTHING, FIRST, SECOND, BOTH, OUTPUT = range(5)      # what most plans keep, for calls that need not ask for more
SIMPLE = {(): NOTHING, (0,): FIRST, (1,): SECOND, (0, 1): BOTH, (Y,): OUTPUT}


def is_output(name):
    """Whether a vjp's name is that of one of several outputs: y0, y1, ..."""
    return name[0] == "y" and name[1:].isdigit()


def for_large(op, f):
    """The vjp `f` of an elementwise op for large arrays: in one pass by a compiled loop, or by blocks."""
    if f is None or f.__code__.co_code == AS_IT_IS:
        return f

    name, stands_for = op.slope or (None, None)

    @functools.wraps(f)                              # whose parameters say what it needs
    def call(g, *values):
        found = slope(name, g, *values) if stands_for is f else NotImplemented
        return elementwise(f, g, *values) if found is NotImplemented else found
    return call


AS_IT_IS = (lambda g: g).__code__.co_code


def joined(op, wanted, kept, meta, change=lambda f: f):
    """run(node, g) -> the gradients for the parents of `node`: None, or nothing at the end, where none is wanted.  change: of each vjp.

    What most small ops need is spelled out, for there each step of Python counts: vjps of at most one saved value each.
    """
    order = kept + meta
    if op.joint:
        f, at = op.joint, places(op.joint, order)
        return lambda node, g: f(g, *chosen(node.values(), at))
    each = [(change(f), places(f, order)) if i in wanted and f else (None, None) for i, f in enumerate(op.vjps[:wanted[-1] + 1])]
    fs, ats = zip(*each)
    if len(wanted) == 1:
        f, at, before = fs[-1], ats[-1], (None,) * wanted[0]
        if f is None:                                # nothing depends on it smoothly
            return lambda node, g: (*before, None)
        if not order:
            return lambda node, g: before + (f(g),)
        if order == kept and len(kept) == 1 and at is None:
            def run(node, g):
                x, counter, count = node.saved
                if counter[0] != count:
                    check_saved(node)
                return before + (f(g, x),)
            return run
        return lambda node, g: before + (f(g, *chosen(node.values(), at)),)
    if not order and None not in fs:                 # like add
        f0, f1 = fs
        return lambda node, g: (f0(g), f1(g))
    if ats == ([1], [0]) and order == kept:          # like mul
        f0, f1 = fs

        def run(node, g):
            a, counter_a, count_a, b, counter_b, count_b = node.saved
            if counter_a[0] != count_a or counter_b[0] != count_b:
                check_saved(node)
            return f0(g, b), f1(g, a)
        return run

    def run(node, g):
        values = node.values()
        return [f and f(g, *chosen(values, at)) for f, at in each]
    return run


def places(f, order):
    """Where the values that vjp `f` names stand in `order`; None for all of them in this order."""
    at = [order.index(name) for name in inspect.signature(f).parameters if name != "g"]
    return at if at != list(range(len(order))) else None


def chosen(values, at):
    return values if at is None else [values[i] for i in at]


class OpNode(Node):
    """A call of an op: the plan for its derivative, and what the plan kept.

    `saved` is flat: value, write counter of its storage, count at the time, and so on for each value.
    """
    __slots__ = ("plan", "saved", "meta")
    __init__ = object.__init__                       # `recorded` fills it: half as long as through an __init__

    def name(self):
        return "".join(part.capitalize() for part in self.plan.op.name.split("_")) + "Backward0"

    def release(self):
        self.saved = self.plan.freed

    def saved_name(self, i):
        return self.plan.kept[i]

    def values(self):
        """What was saved, once it is sure that nothing was written to it since."""
        saved = self.saved
        for i in range(1, len(saved), 3):
            if saved[i][0] != saved[i + 1]:
                check_saved(self)
        return saved[::3] + self.meta

    def vjp(self, g, create_graph):
        if create_graph:
            return self.vjp_on_tensors(g)
        plan = self.plan
        run = plan.run if g.size < LARGE else plan.large         # looked up, then called: as a method it would take longer
        return run(self, g)

    def vjp_on_tensors(self, g):
        """vjp under create_graph: the same functions on tensors, in their place in the graph."""
        if self.plan.op.reference:
            return self.vjp_by_reference(g, True)
        step = OpNode()                              # this step as the vjps see it
        step.plan, step.meta, step.saved = self.plan, self.meta, ()
        for t in self.as_tensors():
            step.saved += (t, CONSTANT, 0)
        return self.plan.run(step, g)

    def as_tensors(self):
        """The saved values, without parameters, as tensors in their place in the graph."""
        op, tensors = self.plan.op, list(self.values()[:len(self.plan.kept)])
        for k, name in enumerate(self.plan.kept):
            value, counter = tensors[k], self.saved[3 * k + 1]
            if name == "y":
                tensors[k] = wrap(value, self, counter)
            elif is_output(name):
                place = Output(self, int(name[1:]), value.shape, value.dtype) if dtypes.is_float(value.dtype) else None      # indices have none
                tensors[k] = wrap(value, place)
            elif op.variadic and name in op.arrays:
                tensors[k] = tuple(wrap(a, p) for a, p in zip(value, self.parents))
            elif name in op.arrays and type(value) in MODULES:
                tensors[k] = wrap(value, self.parents[op.arrays.index(name)], counter)
        return tensors

    def vjp_by_reference(self, g, create_graph):
        """The gradients of the op's reference, which is written with ordinary ops."""
        op, plan = self.plan.op, self.plan
        found = dict(zip(plan.kept + plan.meta, self.values()))
        handles = [wrap(a, Handle(p, a.shape, a.dtype)) if p is not None else a        # fresh nodes: the inner walk stops at them
                   for a, p in zip((found[n] for n in op.arrays), self.parents)]
        nodes = [h.node for h in handles if isinstance(h, Tensor)]
        with Setting(grad=True):
            y = op.reference(*handles, **{m: found[m] for m in op.meta})
        ys, gs = ((y,), (g,)) if isinstance(y, Tensor) else (y, g)
        pairs = [(t.node, gt) for t, gt in zip(ys, gs) if t.node is not None]
        got = run([t for t, _ in pairs], [gt for _, gt in pairs], nodes, create_graph, retain_graph=create_graph)
        return [got.get(h.node) if isinstance(h, Tensor) else None for h in handles]


def recorded(plan, parents, saved, meta, shape, dtype, cls=OpNode):
    """The node for a call of an op."""
    node = cls()
    node.plan, node.parents = plan, parents
    node.saved, node.meta = saved, meta
    node.shape, node.dtype = shape, dtype
    node.number = next_number()
    node.extra = None
    if watchers:
        made(node)
    return node


class Handle(Node):
    """An input of a reference, seen from inside: passes its gradient on to the real input."""
    __slots__ = ()

    def __init__(self, parent, shape, dtype):
        super().__init__((parent,), shape, dtype)

    def vjp(self, g, create_graph):
        return (g,)


class MultiNode(OpNode):
    """A call of an op with several outputs; `g` is their gradients, zeros for those that got none."""
    __slots__ = ("outputs", "metas")

    def vjp(self, g, create_graph):
        some = next(x for x in g if x is not None)
        library = xp(getattr(some, "array", some))
        for i, (shape, dtype) in enumerate(self.metas):
            if g[i] is None and dtypes.is_float(dtype):
                zero = library.zeros(shape, dtype)
                g[i] = wrap(zero) if create_graph else zero
        floats = [x for x, (_, dtype) in zip(g, self.metas) if dtypes.is_float(dtype)]
        g = floats[0] if len(floats) == 1 else tuple(g)
        return self.vjp_on_tensors(g) if create_graph else self.plan.run(self, g)
