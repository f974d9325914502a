"""The op: one block that says what a function means, computes, and how it differentiates.

    @op(numbers="float")
    def exp(input, /):                       # before the slash: arrays; after it: everything else
        '''e^x, elementwise.'''
        return xp(input).exp(input)          # computed on arrays, NumPy's or CuPy's

    exp.vjp(lambda g, y: g * y)              # one function per array, by name: g the gradient of the output,
    exp.case(normal(3, 4))                   # y the output, inputs, parameters, and input_shape for a shape alone

Called with arrays an op returns an array; called with tensors a tensor that remembers how it was made.
What a vjp names is kept until backward, and only that, and only for the inputs that want a gradient.
A vjp is written once and runs twice: on arrays in backward(), on tensors under create_graph=True, so it
uses operators and other ops only.  Broadcasting and number types are undone by the engine.
"""
import inspect

import numpy as np

from .. import dtypes
from ..backend import MODULES
from ..tensor import Inference, Tensor, new_tensor, wrap
from .engine import FREED, Node, Output, check_saved, next_number, run
from .mode import Setting, mode, restricted
from .watch import made, watchers

OPS = {}                                   # name -> op or composed function: what tests, docs and benchmarks read
HOMES = {"torch": {}, "functional": {}, "linalg": {}}      # the same by where users find them: minitorch, nn.functional, linalg
F32, F64 = dtypes.F32, dtypes.F64
CONSTANT = [0]                             # the write counter of values that no tensor owns
ALIASES = {"axis": "dim", "keepdims": "keepdim", "x": "input", "x1": "input", "x2": "other"}     # NumPy's names, as PyTorch takes them


class Kept:
    """What forward returns to keep more than its result for the vjps: `return keep(y, lse=lse)`."""
    __slots__ = ("result", "extras")

    def __init__(self, result, extras):
        self.result, self.extras = result, extras


def keep(result, **extras):
    """The result of an op, with arrays that its vjps name."""
    return Kept(result, extras)


class Op:
    """Everything known about one op; `call` is the function that users see."""

    def __init__(self, forward, numbers, view, reference, differentiable, called=None, check=None, exact=False):
        self.name, self.doc = called or forward.__name__, forward.__doc__
        self.forward, self.numbers, self.view, self.reference = forward, numbers, view, reference
        self.differentiable, self.check, self.exact = differentiable, check, exact
        self.vjps, self.joint = (), None
        self.cases, self.plans = [], {}
        ps = list(inspect.signature(forward).parameters.values())
        self.variadic = any(p.kind is p.VAR_POSITIONAL for p in ps)
        self.arrays = tuple(p.name for p in ps if p.kind in (p.POSITIONAL_ONLY, p.VAR_POSITIONAL))
        self.meta = tuple(p.name for p in ps if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY))
        self.defaults = {p.name: p.default for p in ps if p.default is not p.empty}
        self.meta_names = frozenset(self.meta)
        self.required = sum(p.kind is p.POSITIONAL_ONLY and p.default is p.empty for p in ps)
        self.omitted = tuple(self.defaults.get(name) for name in self.arrays)    # what an array left out stands for
        if any(m not in self.defaults for m in self.meta):
            self.required = len(self.arrays) + 1     # a parameter without default: let bind_any look

    def plan(self, mask):
        """How to differentiate with respect to the inputs whose bits are set in `mask`; made once for each."""
        found = self.plans.get(mask)
        if found is None:
            found = self.plans[mask] = Plan(self, tuple(i for i in range(mask.bit_length()) if mask >> i & 1))
        return found

    def bind(self, args, kw):
        """A call's arguments sorted into (arrays, parameters by name); TypeError for what does not fit."""
        if self.variadic:
            return args, kw
        n, given = len(self.arrays), len(args)
        if kw.keys() <= self.meta_names and self.required <= given <= n:         # the usual call: arrays by place, the rest by name
            return args + self.omitted[given:], kw
        return self.bind_any(args, kw)

    def bind_any(self, args, kw):
        """bind for arrays by name, parameters by place, NumPy's names, and mistakes."""
        n = len(self.arrays)
        if len(args) > n + len(self.meta):
            raise TypeError(f"{self.name}() takes at most {n + len(self.meta)} arguments, {len(args)} were given")
        found = dict(zip(self.arrays + self.meta, args))
        for name, value in kw.items():
            if name not in self.arrays and name not in self.meta:
                name = ALIASES.get(name, name)
                if name not in self.arrays and name not in self.meta:
                    raise TypeError(f"{self.name}() has no argument '{name}'")
            if name in found:
                raise TypeError(f"{self.name}() got two values for argument '{name}'")
            found[name] = value
        for name in self.arrays + self.meta:
            if name not in found and name not in self.defaults:
                raise TypeError(f"{self.name}() is missing its argument '{name}'")
        arrays = tuple([found.pop(name) if name in found else self.defaults[name] for name in self.arrays])
        return arrays, found

    def extra(self, extras, name):
        """What forward kept under `name`; NameError for a vjp that names nothing known."""
        if name not in extras:
            raise NameError(f"a vjp of {self.name} names '{name}': neither g, y, an input, a parameter, nor kept by forward")
        return extras[name]

    def explain(self, error, arrays):
        """PyTorch's kind of error for what the array library refused, with the op's name and the shapes."""
        shown = ", ".join(str(tuple(a.shape)) if hasattr(a, "shape") else type(a).__name__ for a in arrays)
        text = str(error)
        if "broadcast" in text:
            shapes = [tuple(a.shape) for a in arrays if hasattr(a, "shape")]
            return RuntimeError(f"{self.name}: {why_no_broadcast(shapes)}")
        kind = IndexError if isinstance(error, (IndexError, np.exceptions.AxisError)) else \
            TypeError if isinstance(error, TypeError) else RuntimeError
        return kind(f"{self.name}({shown}): {text}")


def why_no_broadcast(shapes):
    """In PyTorch's words, the first pair of sizes that do not fit."""
    for a in range(len(shapes)):
        for b in range(a + 1, len(shapes)):
            for i in range(1, min(len(shapes[a]), len(shapes[b])) + 1):
                m, n = shapes[a][-i], shapes[b][-i]
                if m != n and 1 not in (m, n):
                    return (f"The size of tensor a ({m}) must match the size of tensor b ({n}) at non-singleton dimension "
                            f"{max(len(shapes[a]), len(shapes[b])) - i}: the shapes are {shapes[a]} and {shapes[b]}")
    return f"the shapes {', '.join(map(str, shapes))} do not broadcast together"


class Plan:
    """One op's derivative for one set of inputs that want it: what to keep, and what to call with it."""

    def __init__(self, op, wanted):
        self.op = op
        functions = [op.joint] if op.joint else [op.vjps[i] for i in wanted if op.vjps[i] is not None] if op.vjps else []
        self.by_reference = not functions and op.reference is not None
        needs = []
        for f in functions:
            needs += [p for p in inspect.signature(f).parameters if p != "g" and p not in needs]
        if op.reference:                             # its double backward runs the reference on the inputs themselves
            needs += [a for a in op.arrays if a not in needs] + [m for m in op.meta if m not in needs]
        outputs = [n for n in needs if is_output(n)]
        self.kept = tuple([n for n in op.arrays + ("y",) if n in needs] + outputs)     # saved with their counters, arrays first
        self.meta = tuple(n for n in needs if n not in self.kept)                      # saved as they are
        self.sources = [self.source(n) for n in self.kept]
        self.lookups = [self.lookup(n) for n in self.meta]
        self.run = joined(op, wanted, self.kept + self.meta)
        self.wanted = wanted
        self.first, self.second, self.output = (s in self.sources for s in (0, 1, Y))

    def source(self, name):
        """Where a kept value comes from: the number of an array, Y for the output, Y - 1 - i for output i of several."""
        if name == "y":
            return Y
        return Y - 1 - int(name[1:]) if is_output(name) else self.op.arrays.index(name)

    def lookup(self, name):
        """A function (arrays, params, extras) -> the value that a vjp calls `name`."""
        op = self.op
        if name in op.meta:
            default = op.defaults.get(name)
            return lambda arrays, params, extras: params.get(name, default)
        if name == "wanted":
            return lambda arrays, params, extras: self.wanted
        if name.endswith("_shape") and name[:-6] in op.arrays:
            i = op.arrays.index(name[:-6])
            if op.variadic:
                return lambda arrays, params, extras: [a.shape for a in arrays]
            return lambda arrays, params, extras: getattr(arrays[i], "shape", ())
        return lambda arrays, params, extras: op.extra(extras, name)

    def collect(self, arrays, counters, y, counter, params, extras):
        """(saved, meta) for one call: what the vjps named, in their order."""
        saved = ()
        for i in self.sources:
            if i == Y:
                saved += (y, counter, counter[0])
            elif i < Y:
                saved += (y[Y - 1 - i], CONSTANT, 0)
            elif self.op.variadic:
                saved += (tuple(arrays), CONSTANT, 0)
            else:
                saved += (arrays[i], counters[i], counters[i][0])
        return saved, tuple([look(arrays, params, extras) for look in self.lookups])


Y = -1


def is_output(name):
    """Whether a vjp's name is that of one of several outputs: y0, y1, ..."""
    return name[0] == "y" and name[1:].isdigit()


def joined(op, wanted, order):
    """run(g, values) -> a gradient for every input: None for those that are not wanted."""
    if op.joint:
        return caller(op.joint, order)
    calls = [caller(op.vjps[i], order) if i in wanted and op.vjps[i] is not None else None for i in range(len(op.vjps))]
    if len(calls) == 1:
        one, = calls
        return lambda g, values: (one(g, values),)
    if len(calls) == 2 and None not in calls:
        one, two = calls
        return lambda g, values: (one(g, values), two(g, values))
    return lambda g, values: [call and call(g, values) for call in calls]


def caller(f, order):
    """call(g, values) for a vjp f that names some of `order`."""
    names = [p for p in inspect.signature(f).parameters if p != "g"]
    at = [order.index(n) for n in names]
    if not at:
        return lambda g, values: f(g)
    if len(at) == 1:
        i, = at
        return lambda g, values: f(g, values[i])
    if at == list(range(len(order))):
        return lambda g, values: f(g, *values)
    return lambda g, values: f(g, *[values[i] for i in at])


class OpNode(Node):
    """A call of an op: the plan for its derivative, and what the plan kept.

    `saved` is flat: value, write counter of its storage, count at the time, and so on for each value.
    """
    __slots__ = ("plan", "saved", "meta")

    def __init__(self, plan, parents, saved, meta, shape, dtype):
        self.plan, self.parents, self.saved, self.meta = plan, parents, saved, meta
        self.shape, self.dtype = shape, dtype
        self.number = next_number()
        self.extra = None
        if watchers:
            made(self)

    def name(self):
        return "".join(part.capitalize() for part in self.plan.op.name.split("_")) + "Backward0"

    def release(self):
        if self.saved:
            self.saved = FREED

    def saved_name(self, i):
        return self.plan.kept[i]

    def values(self):
        """What was saved, once it is sure that nothing was written to it since."""
        saved = self.saved
        if saved is FREED:
            check_saved(self)
        n = len(saved)
        if n == 0:
            return self.meta
        for i in range(1, n, 3):
            if saved[i][0] != saved[i + 1]:
                check_saved(self)
        return (saved[0], *self.meta) if n == 3 else saved[::3] + self.meta

    def vjp(self, g, create_graph):
        plan = self.plan
        values = self.values()
        if create_graph or plan.by_reference:
            if plan.op.reference:
                return self.vjp_by_reference(g, values, create_graph)
            values = self.as_tensors(values)
        return plan.run(g, values)

    def as_tensors(self, values):
        """The saved values as tensors in their place in the graph."""
        op, tensors = self.plan.op, list(values)
        for k, name in enumerate(self.plan.kept):
            counter = self.saved[3 * k + 1]
            if name == "y":
                tensors[k] = wrap(values[k], self, counter)
            elif is_output(name):
                i = int(name[1:])
                tensors[k] = wrap(values[k], Output(self, i, values[k].shape, values[k].dtype), counter)
            elif op.variadic:
                tensors[k] = tuple(wrap(a, p) for a, p in zip(values[k], self.parents))
            elif type(values[k]) in MODULES:
                tensors[k] = wrap(values[k], self.parents[op.arrays.index(name)], counter)
        return tensors

    def vjp_by_reference(self, g, values, create_graph):
        """The gradients of the op's reference, which is written with ordinary ops."""
        op, plan = self.plan.op, self.plan
        found = dict(zip(plan.kept + plan.meta, values))
        handles = [wrap(a, Handle(p, a.shape, a.dtype)) if p is not None else a        # fresh nodes: the inner walk stops at them
                   for a, p in zip((found[n] for n in op.arrays), self.parents)]
        nodes = [h.node for h in handles if isinstance(h, Tensor)]
        with Setting(grad=True):
            y = op.reference(*handles, **{m: found[m] for m in op.meta})
        ys, gs = ((y,), (g,)) if isinstance(y, Tensor) else (y, g)
        pairs = [(t.node, gt) for t, gt in zip(ys, gs) if t.node is not None]
        got = run([t for t, _ in pairs], [gt for _, gt in pairs], nodes, create_graph, retain_graph=create_graph)
        return [got.get(h.node) if isinstance(h, Tensor) else None for h in handles]


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
        library = MODULES[type(getattr(some, "array", some))]
        for i, (shape, dtype) in enumerate(self.metas):
            if g[i] is None and dtypes.is_float(dtype):
                zero = library.zeros(shape, dtype)
                g[i] = wrap(zero) if create_graph else zero
        floats = [x for x, (_, dtype) in zip(g, self.metas) if dtypes.is_float(dtype)]
        return super().vjp(floats[0] if len(floats) == 1 else tuple(g), create_graph)


# ---- numbers: what an op computes in ------------------------------------------------------------------

def prepared(op, arrays):
    """(arrays in the dtype to compute in, dtype to round the result to or None), by the op's `numbers`."""
    if op.numbers == "half":
        dtype = next(a.dtype for a in arrays if type(a) in MODULES)
        if not dtypes.is_half(dtype):
            return arrays, None
        return [a.astype(F32) if type(a) in MODULES and dtypes.is_half(a.dtype) else
                a if a is None or type(a) in MODULES else float(a) for a in arrays], dtype
    dtype = dtypes.result_type([a for a in arrays if a is not None])
    if op.numbers == "float" and not dtypes.is_float(dtype):                     # like sin and true division
        dtype = dtypes.default
    if not dtypes.is_half(dtype):
        return [in_dtype(a, dtype) for a in arrays], None
    found = []                                       # computed in float32, rounded once
    for i, a in enumerate(arrays):
        if a is not None and not (op.exact and i == 1 and not getattr(a, "ndim", 0)):
            a = in_dtype(a, dtype)
        found.append(a.astype(F32) if type(a) in MODULES else a if a is None else float(a))
    return found, dtype


def in_dtype(a, dtype):
    """An array or a number as an operand of that dtype."""
    if type(a) in MODULES:
        return a if a.dtype is dtype or a.dtype == dtype else a.astype(dtype)
    return a if a is None else in_range(a, dtype)


def in_range(number, dtype):
    """A Python number as `dtype` holds it: integers wrap around, as in PyTorch."""
    if dtype.kind in "iu" and not np.iinfo(dtype).min <= number <= np.iinfo(dtype).max:
        return np.array(number).astype(dtype)[()]
    return number if type(number) is int and dtype.kind in "iu" else dtype.type(number)


def rounded(y, dtype):
    """A result computed in float32 in the 16-bit `dtype`; masks and indices stay."""
    if type(y) is Kept:
        return Kept(rounded(y.result, dtype), y.extras)
    if isinstance(y, tuple):
        return type(y)(*[rounded(t, dtype) for t in y]) if hasattr(y, "_fields") else tuple(rounded(t, dtype) for t in y)
    return y.astype(dtype) if y.dtype == dtypes.F32 else y


# ---- calling: three shapes of the same steps: unwrap, compute, wrap, record -----------------------------

def unary(op):
    """The call of an op on one array without parameters."""
    numbers, plans, differentiable = op.numbers is not None, op.plans, op.differentiable

    def call(input, *, out=None):
        if out is not None:
            return write_out(op, (input,), {}, out)
        if not isinstance(input, Tensor):
            if type(input) in MODULES and (not numbers or input.dtype is F32 or input.dtype is F64):
                return op.forward(input)
            return general(op, (input,), {})
        x = input.array
        if numbers and x.dtype is not F32 and x.dtype is not F64:
            return general(op, (input,), {})
        y = op.forward(x)
        if type(y) not in MODULES:
            y = np.asarray(y)
        node = input.node if input.cut is None else input.current_node()
        out = new_tensor(Tensor)
        out.array = y
        out.cut = out.box = None
        if node is None or not differentiable or restricted and not mode.grad:
            out.node = None
            out.counter = Inference([0]) if restricted and mode.inference else [0]
            return out
        counter = out.counter = [0]
        plan = plans.get(1) or op.plan(1)
        saved = (x, input.counter, input.counter[0]) if plan.first else ()
        if plan.output:
            saved += (y, counter, 0)
        out.node = OpNode(plan, (node,), saved, plan.collect((x,), (CONSTANT,), y, CONSTANT, {}, {})[1] if plan.meta else (), y.shape, y.dtype)
        return out
    return call


def binary(op, slow=None):
    """The call of an op on two arrays, or an array and a number, without parameters; slow: called for all but the usual floats."""
    slow = slow or general
    plans, differentiable = op.plans, op.differentiable

    def call(input, other, *, out=None):
        if out is not None:
            return write_out(op, (input, other), {}, out)
        if isinstance(input, Tensor):
            a = input.array
            pa = input.node if input.cut is None else input.current_node()
            ca = input.counter
        else:
            a, pa, ca = input, None, CONSTANT
        if isinstance(other, Tensor):
            b = other.array
            pb = other.node if other.cut is None else other.current_node()
            cb = other.counter
        else:
            b, pb, cb = other, None, CONSTANT
        ta, tb = type(a), type(b)
        if ta in MODULES:
            dtype = a.dtype
            fast = (dtype is F32 or dtype is F64) and (tb is ta and b.dtype is dtype or tb is float or tb is int)
        else:
            fast = (ta is float or ta is int) and tb in MODULES and (b.dtype is F32 or b.dtype is F64)
        if not fast:
            return slow(op, (input, other), {})
        try:
            y = op.forward(a, b)
        except (ValueError, TypeError, IndexError) as error:
            raise op.explain(error, (a, b)) from None
        if ca is cb is CONSTANT:
            return y
        if type(y) not in MODULES:
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
        if plan.first:
            saved = (a, ca, ca[0], b, cb, cb[0]) if plan.second else (a, ca, ca[0])
        else:
            saved = (b, cb, cb[0]) if plan.second else ()
        if plan.output:
            saved += (y, counter, 0)
        out.node = OpNode(plan, (pa, pb), saved, plan.collect((a, b), (CONSTANT, CONSTANT), y, CONSTANT, {}, {})[1] if plan.meta else (), y.shape, y.dtype)
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
            return general(op, args, kw) if out is None else write_out(op, args, kw, out)
        return general(op, args, kw)
    return call


def write_out(op, args, kw, out):
    """The result of an op written into tensor `out`, which takes its shape; nothing is recorded.

    RuntimeError where a gradient is wanted, or for a result that the dtype of `out` cannot hold.
    """
    return written(op.name, general(op, args, kw), out)


def written(name, y, out):
    """Tensor `y` written into tensor `out`: what `out=` means."""
    if not isinstance(out, Tensor):
        raise TypeError(f"{name}(): argument 'out' must be Tensor, not {type(out).__name__}")
    if mode.grad and (y.requires_grad or out.requires_grad):
        raise RuntimeError(f"{name}(): functions with out=... arguments don't support automatic differentiation, "
                           "but one of the arguments requires grad.")
    if out.array.shape != y.array.shape:
        out.array = MODULES[type(y.array)].empty(y.array.shape, out.array.dtype)
    return views.assign(out, y, name)


def general(op, args, kw):
    """Call any op with anything: the steps of `unary` and `binary` for every case."""
    args, params = op.bind(args, kw) if kw or op.variadic or len(args) != len(op.arrays) else (args, kw)
    tensors = False
    arrays, parents, counters = [], [], []
    for a in args:
        if isinstance(a, Tensor):
            tensors = True
            arrays.append(a.array)
            parents.append(a.node if a.cut is None else a.current_node())
            counters.append(a.counter)
        else:
            if type(a) not in MODULES and a is not None and not isinstance(a, (int, float, np.generic)):
                raise TypeError(f"{op.name}(): argument '{op.arrays[min(len(arrays), len(op.arrays) - 1)]}' must be Tensor, "
                                f"not {type(a).__name__}")
            arrays.append(a)
            parents.append(None)
            counters.append(CONSTANT)
    if not tensors and not any([type(a) in MODULES for a in arrays]):
        raise TypeError(f"{op.name}(): argument '{op.arrays[0]}' must be Tensor, not {type(args[0]).__name__ if args else 'missing'}")
    record = op.differentiable and mode.grad and any([p is not None for p in parents])
    try:
        if op.check is not None:
            op.check(*arrays)
        if op.numbers is not None:
            arrays, round_to = prepared(op, arrays)
            y = op.forward(*arrays, **params)
            if round_to is not None:
                y = rounded(y, round_to)
        else:
            y = op.forward(*arrays, **params)
    except (ValueError, IndexError, TypeError, ZeroDivisionError) as error:
        raise op.explain(error, arrays) from None
    extras = {}
    if type(y) is Kept:
        y, extras = y.result, y.extras
    if isinstance(y, (tuple, list)):
        if not tensors:
            return y
        return several(op, args, arrays, parents, counters, params, extras, y, record)
    if not tensors:
        return y
    if type(y) not in MODULES:
        y = np.asarray(y)
    counter = None
    if op.view and shares(y, arrays[0]):
        counter = args[0].counter
    out = wrap(y, counter=counter)
    if record and dtypes.is_float(y.dtype):
        plan = op.plan(mask_of(parents))
        saved, meta = plan.collect(arrays, counters, y, out.counter, params, extras)
        out.node = OpNode(plan, tuple(parents), saved, meta, y.shape, y.dtype)
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
        saved, meta = plan.collect(arrays, counters, ys_arrays, CONSTANT, params, extras)
        node = MultiNode(plan, tuple(parents), saved, meta, None, None)
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


# ---- the decorators -------------------------------------------------------------------------------------

def op(forward=None, *, numbers=None, view=False, inplace=False, method=True, home="torch", reference=None, differentiable=True,
       called=None, check=None, exact=False):
    """Make `forward`, a function on arrays, an op.

    numbers: "float" computes integers in the default float, as sin does; "promote" brings mixed inputs to
        one dtype, as add does; "half" only computes 16-bit floats in float32, as all three do; None: dtypes are forward's own business.
    view: the result shares the first input's memory (always, or where strides allow).
    inplace: also make the method with a trailing underscore, which writes the result into its tensor.
    home: where users find it, as in PyTorch: "torch", "functional", "linalg", several of them, or "" for an internal op.
    method: whether an op at home in "torch" is also a method of Tensor.
    reference: the same function written with other ops: the vjp where none is given, and the double backward.
    differentiable: False for comparisons, indices and the like.
    called: the name that errors and grad_fn show, for an internal op behind a public function.
    check: called with the arrays and numbers as the user gave them, before they are brought to one dtype; raises what PyTorch refuses.
    exact: beside 16-bit floats a second operand that is a single number is not rounded to them (mul and div, as in PyTorch).
    """
    if forward is None:
        return lambda f: op(f, numbers=numbers, view=view, inplace=inplace, method=method, home=home,
                            reference=reference, differentiable=differentiable, called=called, check=check, exact=exact)
    self = Op(forward, numbers, view, reference, differentiable, called, check, exact)
    plain = not self.variadic and not self.meta and not view and not self.defaults and len(self.arrays) < 3
    if plain and self.arrays != ("input", "other")[:len(self.arrays)]:
        raise TypeError(f"op {self.name}: an op of one or two arrays without parameters names them (input, other), not {self.arrays}")
    call = nary(self) if not plain else unary(self) if len(self.arrays) == 1 else binary(self)

    def vjp(*per_input):
        self.vjps = per_input + (None,) * (len(self.arrays) - len(per_input))
        self.plans.clear()

    def joint_vjp(f):
        self.joint = f
        self.plans.clear()
        return f

    self.call = call
    call.op, call.vjp, call.joint_vjp = self, vjp, joint_vjp
    return publish(call, forward, home, method, inplace, self.cases)


def composed(f=None, *, method=True, inplace=False, home="torch"):
    """A function written with ops: it needs no derivative, and stands in the same table."""
    if f is None:
        return lambda f: composed(f, method=method, inplace=inplace, home=home)
    f.op = None
    return publish(f, f, home, method, inplace, [])


def publish(call, source, home, method, inplace, cases):
    """Enter a function in the table, in its homes, and among the methods of Tensor."""
    name = source.__name__
    call.__name__ = call.__qualname__ = name
    call.__doc__, call.__module__ = source.__doc__, source.__module__
    if call is not source:
        call.__wrapped__ = source

    def case(*args, **params):
        cases.append((args, params))

    call.cases, call.case, call.home = cases, case, home.split()
    key = f"{home}.{name}" if home == "linalg" else name
    if key in OPS:
        raise NameError(f"two ops are called {key}")
    OPS[key] = call
    for place in call.home:
        HOMES[place][name] = call
    if method and "torch" in call.home:
        setattr(Tensor, name, call)
    if inplace:
        setattr(Tensor, name + "_", views.in_place(call))
    return call


def alias(names, call):
    """Enter further names of a function: in its homes, and among the methods of Tensor where it is one."""
    first = call.__name__
    for name in names.split():
        for place in call.home:
            HOMES[place][name] = call
        for end in ("", "_"):
            if hasattr(Tensor, first + end):
                setattr(Tensor, name + end, getattr(Tensor, first + end))


from . import views  # noqa: E402  (views need the op's nodes, ops need the views)
