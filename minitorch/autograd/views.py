"""Views and in-place writes: never a silently wrong gradient.

Tensors that share a storage share its write counter.  A view remembers its base and the steps that
cut it out.  A write through a view becomes a step of the *base*: its old value with that region
replaced; the view's own history is cut anew from the base when somebody asks for it and the counter
shows that the storage was written to since.  What backward needs and finds overwritten is an error.
"""
import functools
from types import FunctionType

import numpy as np

from .. import dtypes
from ..backend import xp
from ..blocks import LARGE, elementwise, fit, ufunc_of
from ..copies import write
from ..tensor import Inference, leaf_of, wrap
from .engine import Leaf, Node
from .mode import enable_grad, mode


class View:
    """How a tensor was cut from its base: `steps` is ((op, params, output number or None), ...), `array` what the base was then."""
    __slots__ = ("base", "steps", "seen", "origin", "array")

    def __init__(self, base, steps, seen, origin):
        self.base, self.steps, self.seen, self.origin = base, steps, seen, origin
        self.array = base.array

    def check_base(self):
        """RuntimeError if the base now holds another array, to which the steps do not apply: after unsqueeze_, t_, `.data = `."""
        if self.array is not self.base.array:
            raise RuntimeError("a view was written to, or its base was, after its base had been given another shape or other data in "
                               f"place: from {tuple(self.array.shape)} to {tuple(self.base.array.shape)}. Make the view anew.")


def cut(source, op, params, index):
    """The View for the result of a view op on `source`."""
    before = source.cut
    steps = ((op, params, index),)
    origin = "several" if index is not None else "no_grad" if not mode.grad else None
    if before is None:
        return View(source, steps, source.counter[0], origin)
    view = View(before.base, before.steps + steps, source.counter[0], origin or before.origin)
    view.array = before.array
    return view


def replay(x, steps):
    """Cut `x`, an array or a tensor, by `steps`."""
    for op, params, index in steps:
        x = op.forward(x, **params) if not hasattr(x, "cut") else op.call(x, **params)
        x = x if index is None else x[index]
    return x


def renew(t):
    """Cut the history of view `t` from its base again, if the storage was written to since the last time."""
    view, made_by_op = t.cut, t.node is not None and type(t.node) is not Leaf
    if type(t.counter) is Inference or view.base.node is None and not made_by_op:
        return
    if view.seen != t.counter[0]:
        refuse_odd_origin(view, "its base or another view of its base has been modified inplace")
        view.check_base()
        with enable_grad():
            node = replay(view.base, view.steps).node
        t.node = node or DeadEnd((None,), t.array.shape, t.array.dtype)      # the base was detached: no gradient gets past here
        view.seen = t.counter[0]


class DeadEnd(Node):
    """The history of a view whose base has none any more."""
    __slots__ = ()

    def vjp(self, g, create_graph):
        return (None,)


def node_for_use(t):
    """The node of view `t` for an op that uses it."""
    return present_node(t) if mode.grad else t.node


def present_node(t):
    """The node of view `t`; one cut while its base wanted no gradient, or nothing was recorded, is a leaf of its own."""
    renew(t)
    return leaf_of(t) if t.node is None and t.cut.base.node is not None else t.node


def refuse_odd_origin(view, what):
    if view.origin == "several":
        raise RuntimeError(f"Output {view.steps[-1][2]} of {view.steps[-1][0].name} is a view and {what}. This view is the output of a "
                           "function that returns multiple views. Such functions do not allow the output views to be modified "
                           "inplace. You should replace the inplace operation by an out-of-place one.")
    if view.origin == "function":
        raise RuntimeError(f"An output of a custom Function is a view and {what}. This view was created inside a custom Function (or "
                           "because an input was returned as-is) and the autograd logic to handle view+inplace would override the "
                           "custom backward associated with the custom Function, leading to incorrect gradients. This behavior is "
                           "forbidden. You can fix this by cloning the output of the custom Function.")
    if view.origin == "no_grad":
        raise RuntimeError(f"A view was created in no_grad mode and {what} with grad mode enabled. Given that this use case is ambiguous "
                           "and error-prone, it is forbidden. You can clarify your code by moving both the view and the inplace either "
                           "both inside the no_grad block (if you don't want the inplace to be tracked) or both outside.")


WRITTEN = -1                                          # View.seen after a write through the view itself
ALIKE = ("fill_", "zero_")                            # write one number everywhere: elements may share their memory


def check_writable(t, recorded, name, region=None):
    """PyTorch's refusals of an in-place write to `t`, or to the array `region` of it; `recorded`: a gradient flows through the write."""
    check_history(t, recorded, name)
    array = t.array if region is None else region
    if name not in ALIKE:
        refuse_repeated(array, name)
    if recorded and mode.grad and array.size and may_overlap_itself(array):
        raise RuntimeError(f"{name}: unsupported operation: elements of the written-to tensor overlap in memory, so that no gradient of the write "
                           "could be right. Please clone() the tensor before performing the operation.")


def check_history(t, recorded, name):
    """PyTorch's refusals of another value or shape for `t` by what made it; `recorded`: a gradient flows through the change."""
    if type(t.counter) is Inference and not mode.inference:
        raise RuntimeError("Inplace update to inference tensor outside InferenceMode is not allowed. "
                           "You can make a clone to get a normal tensor before doing inplace update.")
    if not recorded or not mode.grad:
        return
    if t.cut is not None:
        if t.cut.base.node is not None or t.node is not None or recorded:
            refuse_odd_origin(t.cut, "is being modified inplace")
        base = t.cut.base.node
        if type(base) is Leaf or base is None and t.node is not None:
            raise RuntimeError(f"{name}: a view of a leaf Variable that requires grad is being used in an in-place operation.")
    unused = t.cut is not None and t.node is None and base is not None       # cut before its base required grad, not used since,
    stale = unused and t.cut.seen != WRITTEN                                 # nor written to, which makes it part of the graph
    if type(t.node) is Leaf or stale:
        raise RuntimeError(f"{name}: a leaf Variable that requires grad is being used in an in-place operation.")


def may_overlap_itself(array):
    """Whether two elements may share memory: windows that reach into each other, say."""
    reach = 0                                        # the distance that the axes looked at so far span, shortest strides first
    for stride, n in sorted((abs(s), n) for s, n in zip(array.strides, array.shape) if n > 1 and s):
        if stride < reach + array.itemsize:
            return True
        reach += stride * (n - 1)
    return False


def repeats(array):
    """Whether an axis shows the same numbers again and again, as in expanded arrays."""
    return 0 in array.strides and any(s == 0 and n > 1 for s, n in zip(array.strides, array.shape))


def refuse_repeated(array, name):
    """PyTorch's refusal of a write to an array that shows a number several times, as expanded ones do."""
    if array.size and repeats(array):
        raise RuntimeError(f"{name}: unsupported operation: more than one element of the written-to tensor refers to a single memory "
                           "location. Please clone() the tensor before performing the operation.")


def refuse_overlaps(t, operands, name):
    """refuse_overlap for those operands that show the storage of `t`."""
    for a in operands:
        if hasattr(a, "cut") and a.counter is t.counter and a is not t:
            refuse_overlap(t.array, a.array, name)


def check_out(out, operands, shape, name):
    """PyTorch's refusals of `out` for a result of that shape; what of the operands is reduced is read before anything is written."""
    refuse_repeated(out.array, name)
    used = [a for a in operands if hasattr(a, "cut") and a.counter is out.counter and
            len(a.array.shape) <= len(shape) and all(m in (1, n) for m, n in zip(a.array.shape[::-1], shape[::-1]))]
    refuse_overlaps(out, used, name)
    if out.array.shape != shape and any(a is out for a in used):
        raise RuntimeError(f"{name}: output with shape {list(out.array.shape)} doesn't match the broadcast shape {list(shape)}")


def refuse_overlap(a, b, name):
    """PyTorch's refusal of a write to `a` that reads `b`, another part of the same memory; only of arrays without gaps is it sure of that."""
    if a.size == 0 or b.size == 0:
        return
    (a0, a1), (b0, b1) = extent(a), extent(b)
    same = (a0, a1, a.strides) == (b0, b1, b.strides)
    if a0 < b1 and b0 < a1 and not same and a1 - a0 == a.nbytes and b1 - b0 == b.nbytes \
            and not any(repeats(x) or may_overlap_itself(x) for x in (a, b)):
        raise RuntimeError(f"{name}: unsupported operation: some elements of the input tensor and the written-to tensor refer to a single "
                           "memory location. Please clone() the tensor before performing the operation.")


def extent(array):
    """(first, last + 1) address that the elements of `array` touch."""
    start = array.ctypes.data if hasattr(array, "ctypes") else array.data.ptr
    reach = [(n - 1) * s for n, s in zip(array.shape, array.strides)]
    return start + sum(r for r in reach if r < 0), start + sum(r for r in reach if r > 0) + array.itemsize


def in_place(call):
    """The method that writes the result of `call` into its own tensor: add_ from add."""
    name, op = call.__name__ + "_", getattr(call, "op", None)
    core = op or getattr(call, "core", None)

    @functools.wraps(call)
    def method(self, *args, **kw):
        recorded = self.requires_grad or any(hasattr(a, "cut") and a.requires_grad for a in (*args, *kw.values()))
        check_writable(self, recorded, name)
        if name not in ALIKE:
            refuse_overlaps(self, (*args, *kw.values()) if kw else args, name)
        if self.array.size >= LARGE and not kw and not (recorded and mode.grad) and written_at_once(core, self, args):
            return self
        source = self
        if recorded and mode.grad and (op is None or op.keeps_first()):   # what backward needs of the old value must outlive the write
            source = wrap(xp(self.array).array(self.array), self.current_node())
        return assign(self, call(source, *args, **kw), name)

    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"In place: {call.__doc__}"
    return method


def written_at_once(op, t, args):
    """Whether a result that nobody differentiates was written straight into the large array of `t`: of arithmetic on arrays of its own type.

    The blocks of it are written one by one, so the other arrays must be other memory, or `t` itself.
    """
    x, others = t.array, [getattr(a, "array", a) for a in args]
    if op is None or not (op.elementwise or op.at_once) or len(op.arrays) != 1 + len(args) or not is_plain(x):
        return False
    for a in others:
        if type(a) not in (int, float) and not (is_plain(a) and a.dtype is x.dtype and (a is x or not np.may_share_memory(a, x))):
            return False
    ufunc, *more = op.at_once or [ufunc_of(op.forward, (x, *others)) if type(op.forward) is FunctionType else None]
    if ufunc is None or op.rule is not None or not fit(others, x):
        return False
    elementwise(ufunc, x, *others, *more, out=x)
    t.counter[0] = list.__getitem__(t.counter, 0) + 1
    return True


def is_plain(x):
    return type(x) is np.ndarray and x.dtype.kind == "f" and x.dtype.itemsize >= 4


def assign(t, y, name):
    """Write tensor `y` into the storage of `t`, and give `t` its history; returns t."""
    if y.array.shape != t.array.shape:
        raise RuntimeError(f"{name}: output with shape {list(t.array.shape)} doesn't match the broadcast shape {list(y.array.shape)}")
    if dtypes.of(y.array.dtype).kind > dtypes.of(t.array.dtype).kind:
        raise RuntimeError(f"{name}: result type {y.dtype} can't be cast to the desired output type {t.dtype}")
    write(t.array, y.array)
    t.counter[0] = list.__getitem__(t.counter, 0) + 1
    node = y.node
    if node is None or not mode.grad:
        return t
    keep_output(node, y, t)
    if t.cut is None:
        t.node = node
    else:
        rebase(t, node)
    return t


def rebase(t, node):
    """What `node` computed was written to view `t`: make that part of the history of its base."""
    base = t.cut.base
    base.node = overwritten(base, node, t)
    t.cut.seen = WRITTEN


def keep_output(node, y, t):
    """Where backward needs the result, let it look at the storage that now holds it, and notice later writes."""
    plan = getattr(node, "plan", None)
    if plan is not None and "y" in plan.kept and y.array.dtype == t.array.dtype:
        k = 3 * plan.kept.index("y")
        node.saved = node.saved[:k] + (t.array, t.counter, t.counter[0]) + node.saved[k + 3:]


def overwritten(base, node, view):
    """The step that replaced the region of `view` in `base` by the output of `node`."""
    from ..ops.overwrite import order_of, overwrite
    from .plan import recorded
    view.cut.check_base()
    op = overwrite.op
    before = base.node
    plan = op.plan(3 if before is not None else 2)
    known = {"steps": view.cut.steps, "order": order_of(base.array)}
    meta = tuple([known.get(name, base.array.shape) for name in plan.meta])
    return recorded(plan, (before, node), (), meta, base.array.shape, base.array.dtype)
