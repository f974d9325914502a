"""The mistakes that mutants make: in the text of a derivative, in what it returns, and in what it is given.

In the text, by its syntax tree: a wrong operator, sign, comparison, constant or epsilon; a term, factor, sum or transpose left
out; operands exchanged; `=` for `+=`.  In the results: a factor, a sign, an offset, one entry, zeros, a transpose, entries moved
by one.  In the arguments: a saved value that is stale, or detached.  All run on arrays and, for higher derivatives, on Tensors.
"""
import ast
import copy
import functools
import inspect
import textwrap
import types

import numpy as np

from ..backend import is_array, to_numpy, xp
from ..dtypes import is_float
from ..tensor import Tensor, wrap

FACTOR, OFFSET = 1.01, 0.01
TINY = 1e-3                                          # constants up to here are epsilons, for which a hundredth is nothing


def wrong_forms(f, results=(), saved=(), twice=True):
    """(the mistake in words, the function with it) for every mutant of a function.

    results: names of its results where it returns several, each of which is spoiled alone.  saved: its parameters that hold values
    kept from forward.  twice: whether second derivatives come from it too.
    """
    yield from in_text(f)
    for k, which in enumerate(results) if results else [(None, "the result")]:
        for mistake, change in CHANGES.items():
            yield f"{which} {mistake}", with_result(f, change, k)
    for name in saved:
        yield f"`{name}` stale: its entries in reverse order", with_argument(f, name, reverse)
        if twice:
            yield f"`{name}` detached: no second derivative through it", with_argument(f, name, detach)


# ---- in what is returned -----------------------------------------------------------------------------------------------

def one_entry(g):
    """The largest entry off by a hundredth."""
    factors = np.ones(g.shape)
    flat = np.abs(numbers(g)).reshape(-1)
    if flat.size:
        factors.reshape(-1)[flat.argmax()] = FACTOR
    return g * like(factors, g)


def without_last(g):
    """Zero for the last entry along the last axis, where there are several."""
    factors = np.ones(g.shape)
    if g.ndim and g.shape[-1] > 1:
        factors[..., -1] = 0
    return g * like(factors, g)


def turned(g):
    """The entries in the order of the transpose, in the shape as it is."""
    return g.swapaxes(-1, -2).reshape(tuple(g.shape)) if g.ndim > 1 else g


def moved(g):
    """Each entry one further along the last axis."""
    return g[..., like(np.roll(np.arange(g.shape[-1]), 1), g)] if g.ndim and g.shape[-1] > 1 else g


CHANGES = {
    "times 1.01": lambda g: g * FACTOR,
    "with the wrong sign": lambda g: -g,
    "plus 0.01": lambda g: g + OFFSET,
    "with one entry off by a hundredth": one_entry,
    "all zeros": lambda g: g * 0,
    "with its last entries left out": without_last,
    "transposed": turned,
    "moved by one entry": moved,
}


def numbers(x):
    """A Tensor's or an array's numbers in NumPy's float64."""
    return to_numpy(x.array if isinstance(x, Tensor) else x).astype("f8")


def like(a, g):
    """The NumPy array `a` as g's kind of thing: floats in g's dtype."""
    array = g.array if isinstance(g, Tensor) else g
    a = xp(array).asarray(np.asarray(a, array.dtype if a.dtype.kind == "f" else None))
    return wrap(a) if isinstance(g, Tensor) else a


def is_float_value(g):
    return (isinstance(g, Tensor) or is_array(g)) and is_float((g.array if isinstance(g, Tensor) else g).dtype)


def with_result(f, change, k=None):
    """f with a change of its result, or of result number k."""
    def changed(g):
        g = np.asarray(g) if isinstance(g, np.generic) else g              # NumPy gives numbers where arrays have no axes
        if not is_float_value(g):
            return g
        found = change(g)
        return found if isinstance(g, Tensor) else found.astype(g.dtype, copy=False)

    @functools.wraps(f)
    def wrong(*args, **kw):
        found = f(*args, **kw)
        if not isinstance(found, tuple | list):
            return changed(found)
        at = None if k is None else k % len(found)
        return type(found)([changed(g) if at is None or i == at else g for i, g in enumerate(found)])
    return wrong


# ---- in what it is given -----------------------------------------------------------------------------------------------

def reverse(v):
    """A saved value with its entries in reverse order, as if other numbers had been written over it."""
    if isinstance(v, tuple | list):
        return type(v)([reverse(x) for x in v])
    if isinstance(v, Tensor) or is_array(v):
        return v.reshape((-1,))[like(np.arange(v.size if is_array(v) else v.numel())[::-1].copy(), v)].reshape(tuple(v.shape))
    return v


def detach(v):
    """A saved Tensor cut off from the graph; arrays, in a plain backward, stay as they are."""
    if isinstance(v, tuple | list):
        return type(v)([detach(x) for x in v])
    return v.detach() if isinstance(v, Tensor) else v


def with_argument(f, name, change):
    """f with another value of its parameter `name` than was saved for it."""
    at = list(inspect.signature(f).parameters).index(name)

    @functools.wraps(f)
    def wrong(*args, **kw):
        if name in kw:
            kw[name] = change(kw[name])
        return f(*[change(a) if i == at else a for i, a in enumerate(args)], **kw)
    return wrong


class ChangedContext:
    """A Function's ctx that gives other tensors back than it saved."""

    def __init__(self, ctx, change):
        self.ctx, self.change = ctx, change

    @property
    def saved_tensors(self):
        return self.change(tuple(self.ctx.saved_tensors))

    def __getattr__(self, name):
        return getattr(self.ctx, name)


def with_context(f, change):
    @functools.wraps(f)
    def wrong(ctx, *args):
        return f(ChangedContext(ctx, change), *args)
    return wrong


# ---- in the text -------------------------------------------------------------------------------------------------------

def in_text(f):
    """Mutants of a function's syntax tree; none where its source cannot be found."""
    node = syntax_of(f)
    if node is None:
        return
    seen = {ast.dump(node)}
    for place in list(ast.walk(node)):
        for mistake, replacement in replacements(place):
            wrong = copy.deepcopy(node, {id(place): replacement})
            made = compiled(wrong, f) if ast.dump(wrong) not in seen else None
            if made is not None:
                seen.add(ast.dump(wrong))
                yield mistake, made


SWAPPED = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd}
COMPARED = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq}
SIGNS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.BitAnd: "&", ast.BitOr: "|",
         ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!="}
TRANSPOSES = {"swapaxes", "transpose", "flipped", "adjoint", "t"}


def replacements(node):
    """(mistake, what stands in place of `node`) for one place of a syntax tree."""
    text = ast.unparse(node) if isinstance(node, ast.expr | ast.stmt) else ""
    if isinstance(node, ast.BinOp):
        yield from of_arithmetic(node, text)
    elif isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in COMPARED and not is_shape(node):
        other = COMPARED[type(node.ops[0])]
        yield f"`{text}` with {SIGNS[other]} for {SIGNS[type(node.ops[0])]}", ast.Compare(node.left, [other()], node.comparators)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.Invert) and not isinstance(node.operand, ast.Constant):
        yield f"`{text}` without its {'minus' if isinstance(node.op, ast.USub) else 'not'}", node.operand
    elif isinstance(node, ast.Constant) and type(node.value) is float:
        factor, words = (10, "ten times as large") if 0 < node.value <= TINY else (FACTOR, "off by a hundredth")
        yield f"{text} {words}", ast.Constant(node.value * factor or OFFSET)
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in ("eps", "epsilon"):
        yield f"{text} ten times as large", ast.BinOp(node, ast.Mult(), ast.Constant(10))
    elif isinstance(node, ast.AugAssign):
        target = copy.copy(node.target)
        yield f"`{text}` with = for {SIGNS.get(type(node.op), '')}=", ast.Assign([target], node.value, lineno=node.lineno)
    elif isinstance(node, ast.Attribute) and node.attr in ("T", "mT"):
        yield f"`{text}` without its transpose", node.value
    elif isinstance(node, ast.Call):
        name, inner = called(node)
        if inner is not None and name in TRANSPOSES:
            yield f"`{text}` without its transpose", inner
        elif inner is not None and name == "sum":
            yield f"`{text}` without its sum", inner


def of_arithmetic(node, text):
    kind, left, right = type(node.op), node.left, node.right
    if is_shape(left) or is_shape(right):
        return
    if kind in SWAPPED:
        other = SWAPPED[kind]
        yield f"`{text}` with {SIGNS[other]} for {SIGNS[kind]}", ast.BinOp(left, other(), right)
    if kind in (ast.Add, ast.Sub):
        yield f"`{text}` without its first term", right if kind is ast.Add else ast.UnaryOp(ast.USub(), right)
        yield f"`{text}` without its second term", left
    if kind in (ast.Mult, ast.Div):
        yield f"`{text}` without its second factor", left
        if kind is ast.Mult:
            yield f"`{text}` without its first factor", right
    if kind is ast.MatMult:
        yield f"`{text}` with its operands exchanged", ast.BinOp(right, ast.MatMult(), left)
    if kind is ast.Pow:
        yield f"`{text}` with an exponent one larger", ast.BinOp(left, ast.Pow(), ast.BinOp(right, ast.Add(), ast.Constant(1)))
    elif kind not in (ast.BitAnd, ast.BitOr, ast.Mod):
        for side in (left, right):
            if isinstance(side, ast.Constant) and type(side.value) is int:
                one_more = ast.Constant(side.value + 1)
                a, b = (one_more, right) if side is left else (left, one_more)
                yield f"`{text}` with {side.value + 1} for {side.value}", ast.BinOp(a, node.op, b)


def called(node):
    """(the name of what is called, the expression that it is called on or with)"""
    if isinstance(node.func, ast.Attribute):
        return node.func.attr, node.func.value
    if isinstance(node.func, ast.Name):
        return node.func.id, node.args[0] if node.args else None
    return "", None


def is_shape(node):
    """Whether an expression is a text, a tuple or list, or speaks of shapes, where arithmetic is no derivative."""
    return isinstance(node, ast.Tuple | ast.List | ast.JoinedStr) or isinstance(node, ast.Constant) and isinstance(node.value, str) \
        or any(isinstance(n, ast.Attribute) and n.attr in ("shape", "ndim", "size") or isinstance(n, ast.Call) and isinstance(n.func, ast.Name)
               and n.func.id in ("len", "range", "tuple") for n in ast.walk(node))


# ---- from a function to its syntax tree, and back ----------------------------------------------------------------------

@functools.cache
def module_tree(filename):
    with open(filename, encoding="utf-8") as file:
        return ast.parse(file.read())


def syntax_of(f):
    """The lambda or def of a function, from its source file; None where it cannot be told."""
    f = inspect.unwrap(f)
    code = getattr(f, "__code__", None)
    if code is None:
        return None
    try:
        tree = module_tree(code.co_filename)
    except (OSError, SyntaxError):
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(f)))
        except (OSError, SyntaxError, TypeError):
            return None
        tree = ast.increment_lineno(tree, code.co_firstlineno - 1)
    names = code.co_varnames[:code.co_argcount + code.co_kwonlyargcount]
    found = [n for n in ast.walk(tree) if isinstance(n, ast.Lambda | ast.FunctionDef) and first_line(n) == code.co_firstlineno
             and tuple(a.arg for a in [*n.args.posonlyargs, *n.args.args, *n.args.kwonlyargs]) == names]
    if len(found) > 1:                               # several on one line: the one that compiles to the same
        found = [n for n in found if (c := compiled(n, f)) is not None and same_code(c.__code__, code)]
    return found[0] if found else None


def same_code(a, b):
    return a.co_code == b.co_code and a.co_names == b.co_names and a.co_consts == b.co_consts and a.co_freevars == b.co_freevars


def first_line(node):
    return min([node.lineno, *[d.lineno for d in getattr(node, "decorator_list", [])]])


def compiled(node, f):
    """A function from a changed syntax tree, with the globals, defaults and closed-over values of f; None if it does not compile."""
    f = inspect.unwrap(f)
    code = f.__code__
    if isinstance(node, ast.Lambda):
        body = [ast.Return(node)]
    else:
        node = copy.copy(node)
        node.decorator_list = []
        body = [node, ast.Return(ast.Name(node.name, ast.Load()))]
    outer = ast.FunctionDef("outer", ast.arguments([], [ast.arg(n) for n in code.co_freevars], None, [], [], None, []), body, [])
    module = ast.fix_missing_locations(ast.Module([outer], []))
    try:
        room = {}
        exec(compile(module, code.co_filename, "exec"), f.__globals__, room)
    except (SyntaxError, TypeError, ValueError):
        return None
    cells = dict(zip(code.co_freevars, f.__closure__ or ()))
    made = room["outer"](*[None] * len(cells)).__code__
    if not set(made.co_freevars) <= set(cells):
        return None
    wrong = types.FunctionType(made, f.__globals__, f.__name__, f.__defaults__, tuple([cells[n] for n in made.co_freevars]))
    wrong.__kwdefaults__ = f.__kwdefaults__
    return wrong
