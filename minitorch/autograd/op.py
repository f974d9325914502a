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
import functools
import inspect

import numpy as np

from ..tensor import Tensor
from . import autocast, loops, routes, views
from .call import binary, general, nary, single, unary, written
from .out import at_home
from .plan import Kept, Plan, keep

__all__ = ["HOMES", "OPS", "Kept", "alias", "composed", "keep", "op", "written"]

OPS = {}                                   # name -> op or composed function: what tests, docs and benchmarks read
HOMES = {"torch": {}, "functional": {}, "linalg": {}}      # the same by where users find them: minitorch, nn.functional, linalg
ALIASES = {"axis": "dim", "keepdims": "keepdim", "x": "input", "x1": "input", "x2": "other"}     # NumPy's names, as PyTorch takes them


class Op:
    """Everything known about one op; `call` is the function that users see."""

    def __init__(self, forward, numbers, view, reference, differentiable, called=None, check=None, exact=False, scalars=True):
        self.name, self.doc = called or forward.__name__, forward.__doc__
        self.forward, self.numbers, self.view, self.reference = forward, numbers, view, reference
        self.differentiable, self.check, self.exact, self.scalars = differentiable, check, exact, scalars
        self.vjps, self.joint, self.narrow = (), None, None      # narrow: a kernel for 16-bit floats, where kernels run
        self.cases, self.plans = [], {}
        self.slope = None                            # (name of a compiled loop, the vjp that it stands for)
        self.at_once = None                          # one of NumPy's functions that it is, and what else that takes
        self.elementwise = False                     # whether each number of the result hangs on one of each array: large ones go by blocks
        self.general, self.rule, self.take_single = general, None, None      # all but the usual calls; what autocast does to them
        code, names = forward.__code__, forward.__code__.co_varnames        # inspect.signature would be a third of the package's import
        arrays, places, end = code.co_posonlyargcount, code.co_argcount, code.co_argcount + code.co_kwonlyargcount
        given = forward.__defaults__ or ()
        self.variadic = bool(code.co_flags & inspect.CO_VARARGS)
        self.arrays = names[:arrays] + names[end:end + self.variadic]
        self.meta = names[arrays:end]
        self.defaults = {**dict(zip(names[places - len(given):places], given)), **(forward.__kwdefaults__ or {})}
        self.meta_names = frozenset(self.meta)
        self.required = max(0, min(arrays, places - len(given)))
        self.omitted = tuple(self.defaults.get(name) for name in self.arrays)    # what an array left out stands for
        self.needed = frozenset(m for m in self.meta if m not in self.defaults)

    def plan(self, mask):
        """How to differentiate with respect to the inputs whose bits are set in `mask`; made once for each."""
        found = self.plans.get(mask)
        if found is None:
            found = self.plans[mask] = Plan(self, tuple(i for i in range(mask.bit_length()) if mask >> i & 1))
        return found

    def keeps_first(self):
        """Whether backward may need the first array: an in-place call must then put the old value aside."""
        functions = [f for f in (*self.vjps, self.joint) if f]
        return self.reference is not None or any(self.arrays[0] in inspect.signature(f).parameters for f in functions)

    def bind(self, args, kw):
        """A call's arguments sorted into (arrays, parameters by name); TypeError for what does not fit."""
        if self.variadic:
            return args, kw
        n, given = len(self.arrays), len(args)
        if self.required <= given and (not kw or kw.keys() <= self.meta_names):         # the usual call: arrays by place
            params = dict(zip(self.meta, args[n:])) if given > n else {}
            params.update(kw)
            fits = given <= n or len(params) == given - n + len(kw)                    # else one too many, or one given twice
            if fits and (not self.needed or self.needed <= params.keys()):
                return args[:n] + self.omitted[given:], params
        return self.bind_any(args, kw)

    def bind_any(self, args, kw):
        """bind for arrays by name, NumPy's names, and mistakes."""
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


def op(forward=None, *, numbers=None, view=False, inplace=False, method=True, home="torch", reference=None, differentiable=True,
       called=None, check=None, exact=False, scalars=True, elementwise=True):
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
    scalars: False for an op that takes tensors only, no Python numbers (maximum, atan2); "second" where the first must be a tensor.
    elementwise: False for an op of one or two arrays with `numbers` whose results do not each hang on one number of each.
    """
    if forward is None:
        return lambda f: op(f, numbers=numbers, view=view, inplace=inplace, method=method, home=home, reference=reference,
                            differentiable=differentiable, called=called, check=check, exact=exact, scalars=scalars, elementwise=elementwise)
    self = Op(forward, numbers, view, reference, differentiable, called, check, exact, scalars)
    plain = not self.variadic and not self.meta and not view and not self.defaults and len(self.arrays) < 3 \
        and not forward.__annotations__              # an op of one array with several results says so: `-> tuple`
    if plain and self.arrays != ("input", "other")[:len(self.arrays)]:
        raise TypeError(f"op {self.name}: an op of one or two arrays without parameters names them (input, other), not {self.arrays}")
    self.rule = autocast.RULES.get(key_of(forward.__name__, home))
    self.elementwise = elementwise and plain and numbers is not None
    one = len(self.arrays) == 1 and not self.variadic
    call = (unary(self) if one else binary(self)) if plain else single(self) if one else nary(self)

    def vjp(*per_input):
        self.vjps = per_input + (None,) * (len(self.arrays) - len(per_input))
        self.plans.clear()

    def joint_vjp(f):
        self.joint = f
        self.plans.clear()
        return f

    if self.rule is not None:
        autocast.enter(self)
    self.call = call
    call.op, call.vjp, call.joint_vjp = self, vjp, joint_vjp
    call.kernel, call.loop, call.slope = [functools.partial(f, self) for f in (routes.add, loops.add, loops.add_slope)]
    return publish(call, forward, home, method, inplace, self.cases)


def composed(f=None, *, method=True, inplace=False, home="torch", core=None):
    """A function written with ops: it needs no derivative, and stands in the same table.

    core: the op that it comes to for two arrays without further arguments.
    """
    if f is None:
        return lambda f: composed(f, method=method, inplace=inplace, home=home, core=core)
    call, code = f, inspect.unwrap(f).__code__
    names = frozenset(code.co_varnames[:code.co_argcount + code.co_kwonlyargcount])
    if "dim" in names:
        @functools.wraps(f)
        def call(*args, **kw):                       # takes NumPy's `axis` and `keepdims` too
            if not kw.keys() <= names:
                kw = {ALIASES.get(name, name): value for name, value in kw.items()}
            return f(*args, **kw)
    rules = autocast.RULES.get(key_of(f.__name__, home))
    if rules is not None:
        call = autocast.guarded(call, rules)
    call.op, call.core = None, core and core.op
    return publish(call, f, home, method, inplace, [])


def key_of(name, home):
    """The name of an op in the table: that of a function in linalg says so."""
    return f"{home}.{name}" if home == "linalg" else name


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
    key = key_of(name, home)
    if key in OPS:
        raise NameError(f"two ops are called {key}")
    OPS[key] = call
    for place in call.home:
        HOMES[place][name] = at_home(place, name, call)
    if method and "torch" in call.home:
        setattr(Tensor, name, call)
    if inplace:
        method = views.in_place(call if key not in autocast.RULES else autocast.alone(call))
        setattr(Tensor, name + "_", method)
        if "torch" in call.home and call.op is not None and len(call.op.arrays) == 1:
            HOMES["torch"][name + "_"] = method      # minitorch.exp_(x)
    return call


def alias(names, call):
    """Enter further names of a function: in its homes, and among the methods of Tensor where it is one."""
    first = call.__name__
    for name in names.split():
        for place in call.home:
            HOMES[place][name] = call
            if first + "_" in HOMES[place]:
                HOMES[place][name + "_"] = HOMES[place][first + "_"]
        for end in ("", "_"):
            if hasattr(Tensor, first + end):
                setattr(Tensor, name + end, getattr(Tensor, first + end))
