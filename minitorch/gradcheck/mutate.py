"""Seeded wrong derivatives, to measure whether tests would notice.

    mutants = gradcheck.mutants(minitorch.tanh)      # an op, a Function, or any function that computes a derivative
    score = gradcheck.kill_rate(mutants, test)       # test() must raise for a mutant that it notices
    print(score)

Two kinds: mistakes in the text of a derivative (a wrong operator, sign, constant, a term or factor left out, operands exchanged),
made in its syntax tree; and mistakes in what it returns (a factor, a sign, one entry, zeros, a transpose, an offset).
"""
import ast
import contextlib
import copy
import dataclasses
import functools
import inspect
import textwrap
import types

import numpy as np

from ..autograd.function import Function
from ..backend import is_array, to_numpy, xp
from ..tensor import Tensor

FACTOR = 1.01


@dataclasses.dataclass
class Mutant:
    """One wrong derivative: `with mutant.planted(): ...` puts it in the place of the right one."""
    target: str                                      # whose derivative
    mistake: str                                     # in words
    put: object                                      # put(function) makes `function` the derivative
    right: object
    wrong: object
    outcome: str = ""                                # "killed" or "survived", once tried

    @contextlib.contextmanager
    def planted(self):
        self.put(self.wrong)
        try:
            yield self
        finally:
            self.put(self.right)

    def __str__(self):
        return f"{self.target}: {self.mistake}"


def mutants(target):
    """Every mutant of the derivatives of an op, of a Function's backward, or of a plain function (whose mutants are in `.wrong`)."""
    op = getattr(target, "op", None)
    if op is not None:
        return of_op(op)
    if isinstance(target, type) and issubclass(target, Function):
        right = inspect.getattr_static(target, "backward")
        return [Mutant(target.__name__, mistake, lambda f: setattr(target, "backward", f if isinstance(f, staticmethod) else staticmethod(f)),
                       right, wrong) for mistake, wrong in wrong_forms(right.__func__)]
    if not callable(target):
        raise TypeError(f"mutants: expected an op, a Function or a function, not {type(target).__name__}")
    return [Mutant(target.__name__, mistake, lambda f: None, target, wrong) for mistake, wrong in wrong_forms(target)]


def of_op(op):
    found = []
    for i, f in enumerate(op.vjps):
        if f is not None:
            def put(g, i=i):
                op.vjps = op.vjps[:i] + (g,) + op.vjps[i + 1:]
                op.plans.clear()
            found += [Mutant(f"{op.name}, by {op.arrays[min(i, len(op.arrays) - 1)]}", m, put, f, w) for m, w in wrong_forms(f)]
    if op.joint is not None:
        def put_joint(g):
            op.joint = g
            op.plans.clear()
        found += [Mutant(op.name, m, put_joint, op.joint, w) for m, w in wrong_forms(op.joint)]
    return found


def wrong_forms(f):
    """(the mistake in words, the function with it) for every mutant of a function."""
    yield from in_text(f)
    for mistake, change in RESULTS.items():
        yield mistake, with_result(f, change)


# ---- mistakes in what is returned --------------------------------------------------------------------------------------

def one_entry(g):
    g = g.copy()
    flat = g.reshape(-1)
    if flat.size:
        flat[int(abs(flat).argmax())] *= FACTOR
    return flat.reshape(g.shape)


RESULTS = {
    "the result times 1.01": lambda g: g * FACTOR,
    "the result with the wrong sign": lambda g: -g,
    "the result plus 0.01": lambda g: g + 0.01,
    "one entry of the result off by a hundredth": one_entry,
    "the result all zeros": lambda g: g * 0,
}


def with_result(f, change):
    """f, with every float array of its result changed."""
    def changed(g):
        if isinstance(g, tuple | list):
            return type(g)([changed(v) for v in g])
        if isinstance(g, Tensor):
            return Tensor.clone(g) * 0 + Tensor(change(to_numpy(g.array))) if g.dtype.is_floating_point else g
        return xp(g).asarray(change(g)).astype(g.dtype) if is_array(g) and g.dtype.kind in "fV" else g

    @functools.wraps(f)
    def wrong(*args, **kw):
        return changed(f(*args, **kw))
    return wrong


# ---- mistakes in the text -----------------------------------------------------------------------------------------------

def in_text(f):
    """Mutants of a function's syntax tree; none where its source cannot be found."""
    node = syntax_of(f)
    if node is None:
        return
    for place in list(ast.walk(node)):
        for mistake, replacement in replacements(place):
            wrong = copy.deepcopy(node, {id(place): replacement})
            made = compiled(wrong, f)
            if made is not None:
                yield mistake, made


SWAPPED = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult}
SIGNS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.MatMult: "@", ast.Pow: "**"}


def replacements(node):
    """(mistake, what stands in place of `node`) for one place of a syntax tree."""
    def text(n):
        return ast.unparse(n)
    if isinstance(node, ast.BinOp):
        kind, left, right = type(node.op), node.left, node.right
        if is_shape(left) or is_shape(right):
            return
        if kind in SWAPPED:
            other = SWAPPED[kind]
            yield f"`{text(node)}` with {SIGNS[other]} for {SIGNS[kind]}", ast.BinOp(left, other(), right)
        if kind in (ast.Add, ast.Sub):
            yield f"`{text(node)}` without its first term", right if kind is ast.Add else ast.UnaryOp(ast.USub(), right)
            yield f"`{text(node)}` without its second term", left
        if kind in (ast.Mult, ast.Div):
            yield f"`{text(node)}` without its second factor", left
            if kind is ast.Mult:
                yield f"`{text(node)}` without its first factor", right
        if kind is ast.MatMult:
            yield f"`{text(node)}` with its operands exchanged", ast.BinOp(right, ast.MatMult(), left)
        if kind is ast.Pow:
            yield f"`{text(node)}` with an exponent one larger", ast.BinOp(left, ast.Pow(), ast.BinOp(right, ast.Add(), ast.Constant(1)))
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and not isinstance(node.operand, ast.Constant):
        yield f"`{text(node)}` without its minus", node.operand
    elif isinstance(node, ast.Constant) and type(node.value) is float:
        yield f"{node.value} off by a hundredth", ast.Constant(node.value * FACTOR or 0.01)


def is_shape(node):
    """Whether an expression is a text, a tuple or list, or speaks of shapes, where arithmetic is no derivative."""
    return isinstance(node, ast.Tuple | ast.List | ast.JoinedStr) or isinstance(node, ast.Constant) and isinstance(node.value, str) \
        or any(isinstance(n, ast.Attribute) and n.attr in ("shape", "ndim", "size") or isinstance(n, ast.Call) and isinstance(n.func, ast.Name)
               and n.func.id in ("len", "range", "tuple") for n in ast.walk(node))


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
        found = [n for n in found if (c := compiled(n, f)) is not None and c.__code__.co_code == code.co_code
                 and c.__code__.co_names == code.co_names and c.__code__.co_consts == code.co_consts]
    return found[0] if found else None


def first_line(node):
    return min([node.lineno, *[d.lineno for d in getattr(node, "decorator_list", [])]])


def compiled(node, f):
    """A function from a changed syntax tree, with the globals, defaults and closed-over values of f; None if it does not compile."""
    f = inspect.unwrap(f)
    code = f.__code__
    if isinstance(node, ast.Lambda):
        inner = ast.Return(node)
        body = [inner]
    else:
        node = copy.copy(node)
        node.decorator_list = []
        body = [node, ast.Return(ast.Name(node.name, ast.Load()))]
    outer = ast.FunctionDef("outer", ast.arguments([], [ast.arg(n) for n in code.co_freevars], None, [], [], None, []), body, [])
    module = ast.fix_missing_locations(ast.Module([outer], []))
    try:
        room = {}
        exec(compile(module, code.co_filename, "exec"), f.__globals__, room)
        made = room["outer"](*[c.cell_contents for c in f.__closure__ or ()])
    except (SyntaxError, TypeError, ValueError):
        return None
    made = types.FunctionType(made.__code__, f.__globals__, f.__name__, f.__defaults__, made.__closure__)
    made.__kwdefaults__ = f.__kwdefaults__
    return made


# ---- the score ----------------------------------------------------------------------------------------------------------

@dataclasses.dataclass
class Score:
    """How many mutants a test noticed."""
    killed: list
    survived: list

    @property
    def rate(self):
        """The share that was noticed; NaN without mutants."""
        total = len(self.killed) + len(self.survived)
        return len(self.killed) / total if total else float("nan")

    def __str__(self):
        rows = [f"{len(self.killed)} of {len(self.killed) + len(self.survived)} mutants killed ({100 * self.rate:.1f} %)"]
        return "\n".join(rows + [f"  survived: {m}" for m in self.survived])

    def __add__(self, other):
        return Score(self.killed + other.killed, self.survived + other.survived)


def kill_rate(mutants, test):
    """Plant each mutant and run test(): a Score.  A mutant is killed when test raises; the test must pass without mutants.

    mutants: of this module's mutants(), or a target for it.  AssertionError if the test fails on the right derivative.
    """
    mutants = mutants if isinstance(mutants, list) else globals()["mutants"](mutants)
    try:
        test()
    except Exception as error:
        raise AssertionError(f"kill_rate: the test fails without any mutant: {error}") from error
    score = Score([], [])
    for m in mutants:
        with m.planted():
            try:
                with np.errstate(all="ignore"):
                    test()
                m.outcome = "survived"
            except Exception:
                m.outcome = "killed"
        (score.killed if m.outcome == "killed" else score.survived).append(m)
    return score
