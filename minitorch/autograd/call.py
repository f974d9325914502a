"""Calling an op: unwrap the tensors, compute on their arrays, wrap the result, record the step.

`general` is these steps for any op and any arguments.  `unary` and `binary` spell them out for one and two arrays in the
usual floats, where a call costs less than a microsecond beyond NumPy, and `single` for one tensor with parameters.
"""
import numpy as np

from .. import dtypes
from ..backend import MODULES
from ..blocks import LARGE, elementwise, ufunc_of
from ..tensor import Inference, Tensor, new_tensor, wrap
from . import views
from .engine import Output, next_number
from .mode import mode, restricted
from .numbers import prepared, rounded
from .plan import BOTH, CONSTANT, FIRST, NOTHING, OUTPUT, SECOND, Kept, MultiNode, OpNode, recorded
from .watch import made, watchers

F32, F64, ndarray = dtypes.F32, dtypes.F64, np.ndarray


def blockwise(op):
    """How to call the forward of an op on large arrays."""
    return elementwise if op.elementwise else lambda forward, *arrays: forward(*arrays)


def unary(op):
    """The call of an op on one array without parameters."""
    numbers, plans, differentiable = op.numbers is not None or op.rule is not None, op.plans, op.differentiable
    by_blocks = blockwise(op)
    ufunc = ufunc_of(op.forward, op.arrays)          # NumPy's arrays go to NumPy's function itself, unless forward is replaced
    plain = op.forward if ufunc is not None else None

    def call(input, *, out=None):
        if out is not None:
            return write_out(op, (input,), {}, out)
        x = input.array if isinstance(input, Tensor) else input
        host = type(x) is ndarray
        if not host and type(x) not in MODULES:
            return op.general(op, (input,), {})
        dtype = x.dtype
        if numbers and dtype is not F32 and dtype is not F64:
            return op.general(op, (input,), {})
        forward = op.forward                         # looked up, then called: as a method it would take longer
        if host and forward is plain:
            forward = ufunc
        y = forward(x) if x.size < LARGE else by_blocks(forward, x)
        if x is input:
            return y
        if type(y) is not ndarray and type(y) not in MODULES:
            y = np.asarray(y)
        node = input.node if input.cut is None else views.node_for_use(input) if differentiable else None
        out = new_tensor(Tensor)
        out.array = y
        out.cut = out.box = None
        if node is None or not differentiable or restricted and not mode.grad:
            out.node = None
            out.counter = Inference([0]) if restricted and mode.inference else [0]
            return out
        counter = out.counter = [0]
        plan = plans.get(1) or op.plan(1)
        step = out.node = OpNode()
        step.plan, step.parents, step.meta = plan, (node,), ()
        step.shape, step.dtype = y.shape, dtype if numbers else y.dtype
        step.number, step.extra = next_number(), None
        if plan.simple is FIRST:
            step.saved = (x, input.counter, input.counter[0])
        elif plan.simple is OUTPUT:
            step.saved = (y, counter, 0)
        elif plan.simple is NOTHING:
            step.saved = ()
        else:
            step.saved, step.meta = plan.collect((x,), (input.counter,), y, counter, {}, {})
        if watchers:
            made(step)
        return out
    return call


def binary(op, slow=None):
    """The call of an op on two arrays, or an array and a number, without parameters; slow: called for all but the usual floats."""
    plans, differentiable, scalars, by_blocks = op.plans, op.differentiable, op.scalars, blockwise(op)
    single = F32

    def take_single(yes):
        """Whether float32 is one of the usual floats: not while autocast makes 16-bit floats of it."""
        nonlocal single
        single = F32 if yes else None
    op.take_single = take_single

    def call(input, other, *, out=None):
        if out is not None:
            return write_out(op, (input, other), {}, out)
        if isinstance(input, Tensor):
            a = input.array
            pa = input.node if input.cut is None else views.node_for_use(input) if differentiable else None
            ca = input.counter
        else:
            a, pa, ca = input, None, CONSTANT
        if isinstance(other, Tensor):
            b = other.array
            pb = other.node if other.cut is None else views.node_for_use(other) if differentiable else None
            cb = other.counter
        else:
            b, pb, cb = other, None, CONSTANT
        ta, tb = type(a), type(b)
        if ta is ndarray or ta in MODULES:
            dtype, n = a.dtype, a.size
            fast = (dtype is single or dtype is F64) and (tb is ta and b.dtype is dtype or scalars and (tb is float or tb is int))
        else:
            dtype, n = (b.dtype, b.size) if tb in MODULES else (None, 0)
            fast = scalars is True and (ta is float or ta is int) and (dtype is F32 or dtype is F64)
        if not fast:
            return (slow or op.general)(op, (input, other), {})
        forward = op.forward
        try:
            y = forward(a, b) if n < LARGE else by_blocks(forward, a, b)
        except ERRORS as error:
            raise op.explain(error, (a, b)) from None
        if ca is cb is CONSTANT:
            return y
        if type(y) is not ndarray and type(y) not in MODULES:
            y = np.asarray(y)
        out = new_tensor(Tensor)
        out.array = y
        out.cut = out.box = None
        if pa is None and pb is None or not differentiable or restricted and not mode.grad:
            out.node = None
            out.counter = Inference([0]) if restricted and mode.inference else [0]
            return out
        counter = out.counter = [0]
        mask = 1 if pb is None else 2 if pa is None else 3
        plan = plans.get(mask) or op.plan(mask)
        step = out.node = OpNode()
        step.plan, step.parents, step.meta = plan, (pa, pb), ()
        step.shape, step.dtype = y.shape, dtype         # differentiable ops of floats keep their dtype
        step.number, step.extra = next_number(), None
        if plan.simple is BOTH:
            step.saved = (a, ca, ca[0], b, cb, cb[0])
        elif plan.simple is NOTHING:
            step.saved = ()
        elif plan.simple is SECOND:                  # like x * 2
            step.saved = (b, cb, cb[0])
        else:
            step.saved, step.meta = plan.collect((a, b), (ca, cb), y, counter, {}, {})
        if watchers:
            made(step)
        return out
    return call


def mask_of(parents):
    """The bits of the inputs that want a gradient."""
    mask, bit = 0, 1
    for p in parents:
        if p is not None:
            mask |= bit
        bit <<= 1
    return mask


def nary(op):
    """The call of any other op."""
    def call(*args, **kw):
        if kw and "out" in kw and not op.variadic:
            out = kw.pop("out")
            return op.general(op, args, kw) if out is None else write_out(op, args, kw, out)
        return op.general(op, args, kw)
    return call


def single(op):
    """The call of an op on one tensor with parameters, or of a view op: the steps of `general` for this."""
    names, needed, plans, anything = op.meta_names, op.needed, op.plans, nary(op)
    numbers, view, check, differentiable = op.numbers is not None or op.rule is not None, op.view, op.check, op.differentiable

    def call(*args, **kw):
        source = args[0] if args else None
        if not isinstance(source, Tensor):
            return anything(*args, **kw)
        x, params = source.array, kw
        if x.dtype is not F32 and x.dtype is not F64 and (numbers or op.narrow is not None) or "out" in kw:
            return anything(*args, **kw)
        if len(args) > 1 or (kw.keys() != names if kw else needed):
            args, params = op.bind(args, kw)
        node = source.node if source.cut is None else views.node_for_use(source) if differentiable else None
        forward = op.forward
        try:
            if check is not None:
                check(x)
            y = forward(x, **params)
        except ERRORS as error:
            raise op.explain(error, (x,)) from None
        record = node is not None and differentiable and (not restricted or mode.grad)
        if type(y) is not ndarray and type(y) not in MODULES:
            return result(op, args, (x,), (node,), (source.counter,), params, y, record)
        shared = view and shares(y, x)
        out = new_tensor(Tensor)
        out.array = y
        out.node = out.cut = out.box = None
        out.counter = source.counter if shared else Inference([0]) if restricted and mode.inference else [0]
        if record and (y.dtype is F32 or dtypes.is_float(y.dtype)):
            plan = plans.get(1) or op.plan(1)
            saved, meta = plan.collect((x,), (source.counter,), y, out.counter, params, {})
            out.node = recorded(plan, (node,), saved, meta, y.shape, y.dtype)
        if shared and not (restricted and mode.inference):
            out.cut = views.cut(source, op, params, None)
        return out
    return call


ERRORS = (ValueError, IndexError, TypeError, ZeroDivisionError)         # what the array library refuses, told in the user's words


def write_out(op, args, kw, out):
    """The result of an op written into tensor `out`, which takes its shape; nothing is recorded.

    RuntimeError where a gradient is wanted, or for a result that the dtype of `out` cannot hold.
    """
    return written(op.name, general(op, args, kw), out, args)


def written(name, y, out, operands=()):
    """Tensor `y`, made of `operands`, written into tensor `out`: what `out=` means."""
    if not isinstance(out, Tensor):
        raise TypeError(f"{name}(): argument 'out' must be Tensor, not {type(out).__name__}")
    if mode.grad and (y.requires_grad or out.requires_grad):
        raise RuntimeError(f"{name}(): functions with out=... arguments don't support automatic differentiation, "
                           "but one of the arguments requires grad.")
    views.check_out(out, operands, y.array.shape, name)
    if out.array.shape != y.array.shape:
        out.array = MODULES[type(y.array)].empty(y.array.shape, out.array.dtype)
    return views.assign(out, y, name)


def general(op, args, kw):
    """Call any op with anything."""
    args, params = op.bind(args, kw) if kw or op.variadic or len(args) != len(op.arrays) else (args, kw)
    tensors = False
    arrays, parents, counters = [], [], []
    for a in args:
        if isinstance(a, Tensor):
            tensors = True
            arrays.append(a.array)
            parents.append(a.node if a.cut is None else views.node_for_use(a) if op.differentiable else None)
            counters.append(a.counter)
        else:
            numbers = (int, float, np.generic) if op.scalars is True or op.scalars and arrays else np.generic
            if type(a) not in MODULES and (a is not None or len(arrays) < op.required) and not isinstance(a, numbers):
                raise TypeError(f"{op.name}(): argument '{op.arrays[min(len(arrays), len(op.arrays) - 1)]}' must be Tensor, "
                                f"not {type(a).__name__}")
            arrays.append(a)
            parents.append(None)
            counters.append(CONSTANT)
    if not tensors:                                  # called on arrays, whose 0-d results NumPy makes scalars
        arrays = [np.asarray(a) if isinstance(a, np.generic) else a for a in arrays]
        if not any([type(a) in MODULES for a in arrays]):
            raise TypeError(f"{op.name}(): argument '{op.arrays[0]}' must be Tensor, not {type(args[0]).__name__ if args else 'missing'}")
    record = op.differentiable and mode.grad and any([p is not None for p in parents])
    try:
        if op.check is not None:
            op.check(*arrays)
        if op.narrow is not None and (y := op.narrow(arrays, params)) is not NotImplemented:
            pass                                     # a kernel took 16-bit floats as they are
        elif op.numbers is not None:
            arrays, round_to = prepared(op, arrays)
            y = op.forward(*arrays, **params)
            if round_to is not None:
                y = rounded(y, round_to)
        else:
            y = op.forward(*arrays, **params)
    except ERRORS as error:
        raise op.explain(error, arrays) from None
    if tensors:
        return result(op, args, arrays, parents, counters, params, y, record)
    return y.result if type(y) is Kept else y


def result(op, args, arrays, parents, counters, params, y, record):
    """What forward returned as a tensor, or several, with its place in the graph."""
    extras = {}
    if type(y) is Kept:
        y, extras = y.result, y.extras
    if isinstance(y, (tuple, list)):
        return several(op, args, arrays, parents, counters, params, extras, y, record)
    if type(y) not in MODULES:
        y = np.asarray(y)
    counter = None
    if op.view and shares(y, arrays[0]):
        counter = args[0].counter
    out = wrap(y, counter=counter)
    if record and dtypes.is_float(y.dtype):
        plan = op.plan(mask_of(parents))
        saved, meta = plan.collect(arrays, counters, y, out.counter, params, extras)
        out.node = recorded(plan, tuple(parents), saved, meta, y.shape, y.dtype)
    if counter is not None and not mode.inference:
        out.cut = views.cut(args[0], op, params, None)
    return out


def several(op, args, arrays, parents, counters, params, extras, ys, record):
    """The tensors of an op with several outputs, each with its place in the step's row of gradients."""
    ys_arrays = [y if type(y) in MODULES else np.asarray(y) for y in ys]
    shared = op.view and all(shares(y, arrays[0]) for y in ys_arrays)
    outs = [wrap(y, counter=args[0].counter if shared else None) for y in ys_arrays]
    if record:
        plan = op.plan(mask_of(parents))
        saved, meta = plan.collect(arrays, counters, ys_arrays, [out.counter for out in outs], params, extras)
        node = recorded(plan, tuple(parents), saved, meta, None, None, MultiNode)
        node.outputs, node.metas = len(outs), [(y.shape, y.dtype) for y in ys_arrays]
        for i, out in enumerate(outs):
            if dtypes.is_float(out.array.dtype):
                out.node = Output(node, i, out.array.shape, out.array.dtype)
    if shared and not mode.inference:
        for i, out in enumerate(outs):
            out.cut = views.cut(args[0], op, params, i)
    return type(ys)(*outs) if hasattr(ys, "_fields") else type(ys)(outs)


def shares(y, x):
    """Whether y is a view of x's memory, which for some ops depends on the strides."""
    return y is x or (y.base is not None and (y.base is x or y.base is x.base and x.base is not None or
                                               y.size > 0 and MODULES[type(y)].may_share_memory(y, x)))
