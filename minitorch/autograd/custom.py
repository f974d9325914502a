"""The step that a custom function leaves in the graph, and the history that its outputs get.

An output that forward made takes its place behind the step.  An input returned as it came becomes a view with the user's
backward behind it; an input that forward wrote to gets the step as its new history, as after any write.
"""
import weakref

from .. import dtypes
from ..backend import xp
from ..tensor import Tensor, wrap
from . import views
from .engine import FREED, Leaf, Node, Output, check_saved, next_number
from .graph import unpacked
from .mode import Setting
from .watch import made, watchers


class FunctionNode(Node):
    """A call of a custom function.

    `saved` is flat: value, write counter of its storage, count at the time, and so on; `origins` has for each value a weak
    reference to the tensor, and the node that made it, or a number where it is that output of this very step.  `metas`
    has (shape, dtype, library) for each output, None for one that is no tensor.
    """
    __slots__ = ("function", "ctx", "takes", "outputs", "metas", "saved", "origins")

    def __init__(self, function, ctx, parents, args):
        self.function, self.ctx, self.parents = function, ctx, parents
        self.takes = tuple([isinstance(a, Tensor) for a in args])
        self.outputs, self.metas, self.saved, self.origins = 1, (), (), ()
        self.shape = self.dtype = self.extra = None
        self.number = next_number()
        ctx._node = weakref.ref(self)

    def name(self):
        return self.function.__name__ + "Backward"

    def __getattr__(self, name):                     # what the user noted in ctx is seen from grad_fn
        if name == "ctx":
            raise AttributeError(name)
        return getattr(self.ctx, name)

    @property
    def next_functions(self):
        return tuple(f for f, is_tensor in zip(super().next_functions, self.takes) if is_tensor)

    def release(self):
        if self.saved:
            self.saved = FREED

    def save(self, tensors, own):
        """Keep what save_for_backward was given; own: {id of a tensor: its number} for the outputs of this step."""
        for t in tensors:
            if t is None:
                self.saved += (None, (0,), 0)
                self.origins += ((None, None),)
            else:
                self.saved += (t.array, t.counter, t.counter[0])
                self.origins += ((weakref.ref(t), own[id(t)] if id(t) in own else t.current_node()),)

    @property
    def saved_tensors(self):
        """What forward saved, as tensors."""
        check_saved(self)
        tensors = []
        for i, (tensor, origin) in enumerate(self.origins):
            value, counter = self.saved[3 * i:3 * i + 2]
            if value is None:
                tensors.append(None)
                continue
            t = tensor()
            if t is None or t.array is not value or t.node is not origin:       # not there any more, or not what it was
                if isinstance(origin, int):
                    origin = self if self.outputs == 1 else Output(self, origin, *self.metas[origin][:2])
                t = wrap(unpacked(value), origin, counter)
                if type(origin) is Leaf:
                    t.box = origin.box
            tensors.append(t)
        return tuple(tensors)

    def vjp(self, g, create_graph):
        ctx, grads = self.ctx, []
        for x, meta in zip(g if self.outputs > 1 else (g,), self.metas):
            if x is None and meta is not None and ctx.materialize_grads:
                shape, dtype, library = meta
                x = library.zeros(shape, dtype)
            grads.append(x if x is None or isinstance(x, Tensor) else wrap(x))
        results = self.function.pullback()(ctx, *grads)
        results = self.checked(results if isinstance(results, tuple) else (results,))
        return results if create_graph else [r if r is None else r.array for r in results]

    def checked(self, results):
        """What backward returned, cut to the inputs; RuntimeError where it does not fit them."""
        n = len(self.parents)
        if len(results) < n or any(r is not None for r in results[n:]):
            raise RuntimeError(f"function {self.name()} returned an incorrect number of gradients (expected {n}, got {len(results)})")
        kept = []
        for i, (r, parent) in enumerate(zip(results, self.parents)):
            if r is not None and not self.takes[i]:
                raise RuntimeError(f"function {self.name()} returned a gradient different than None at position {i + 1}, "
                                   "but the corresponding forward input was not a Variable")
            if r is not None and not isinstance(r, Tensor):
                raise RuntimeError(f"function {self.name()}: expected Variable or None (got {type(r).__name__}) at position {i + 1}")
            if r is not None and parent is not None and not reduces(r.array.shape, parent.shape):
                raise RuntimeError(f"Function {self.name()} returned an invalid gradient at index {i} - got {list(r.shape)} "
                                   f"but expected shape compatible with {list(parent.shape)}")
            kept.append(r if parent is not None else None)
        return kept


def reduces(shape, target):
    """Whether `target` broadcasts to `shape`, so that a gradient of `shape` can be summed down to it."""
    return shape == target or len(shape) >= len(target) and all(n in (1, m) for m, n in zip(shape[::-1], target[::-1]))


def among(t, tensors):
    return any(t is other for other in tensors)


def finish(name, ctx, node, args, outputs):
    """The outputs as the caller gets them: in their place in the graph, inputs returned as they came as views."""
    for t in ctx._dirty:
        if not among(t, outputs):
            raise RuntimeError(f"{name}: Some elements marked as dirty during the forward method were not returned as output. "
                               "The inputs that are modified inplace must all be outputs of the Function.")
    if node is not None:
        node.outputs = len(outputs)
        node.metas = [(t.array.shape, t.array.dtype, xp(t.array)) if isinstance(t, Tensor) else None for t in outputs]
        if node.outputs == 1 and node.metas[0]:
            node.shape, node.dtype = node.metas[0][:2]
    for t in ctx._dirty:
        if node is not None:
            views.check_writable(t, among(t, args), name)
        t.counter[0] = list.__getitem__(t.counter, 0) + 1
    results, own = [], {}
    for i, t in enumerate(outputs):
        if isinstance(t, Tensor):
            given, dirty = among(t, args), among(t, ctx._dirty)
            if node is None or not dtypes.is_float(t.array.dtype) or among(t, ctx._constant):
                t = constant(t, given, dirty)
            else:
                step = node if node.outputs == 1 else Output(node, i, t.array.shape, t.array.dtype)
                if given and dirty:
                    written(t, step, name)
                else:
                    t = placed(t, step, given)
                own[id(t)] = i
        results.append(t)
    if node is not None:
        node.save(ctx._to_save, own)
        if watchers:
            made(node)
    ctx._to_save = ctx._dirty = ctx._constant = ()
    return tuple(results)


def constant(t, given, dirty):
    """An output without gradient."""
    if given and t.requires_grad:
        return t.detach()
    if given and not dirty:
        with Setting(grad=False):
            return t.view(t.shape)
    if not given and t.cut is None:
        t.node = None                                # whatever forward recorded inside is its own affair
    return t


def written(t, step, name):
    """Give an input that forward wrote to its new history."""
    if t.cut is None:
        t.node = step
    elif type(step) is Output:
        raise RuntimeError(f"{name}: If your Function modifies inplace an input that is a view of another Tensor, your Function cannot "
                           "return more than one Tensor. You should either make sure the input is not a view (using .clone() for "
                           "example) or make your Function only return one Tensor.")
    else:
        views.rebase(t, step)


def placed(t, step, given):
    """Give an output that forward made, or an input that it returned as it came, its history."""
    cut = views.View(t, (), 0, None) if given and t.cut is None else t.cut
    if given:
        t = wrap(t.array, counter=t.counter)
    if cut is not None:                              # a later write would cut the history anew, past the user's backward
        t.cut = views.View(cut.base, cut.steps, t.counter[0], "function")
    t.node = step
    return t
