"""Who is measured: a callable on arrays of some library, or the CUDA C++ of a kernel.

    Provider(f)                                      # f(*inputs) returns arrays
    Provider(f, writes=True)                         # f(*inputs, *outputs) fills arrays that it is given, poisoned
    Provider(torch.matmul)                           # gets tensors that share the harness's guarded memory
    Provider.cuda("axpy.cu", grid="(n + 255) // 256", block=256)      # parameters by role: inputs, outputs, sizes by name

A kernel runs on the GPU where the inputs are there.  Without one it runs in the simulator: then there are verdicts and counts, and
no times, because the simulator's are no GPU's.
"""
import ast
import operator
import sys

import numpy as np

from .. import backend
from .truth import EPS

LIBRARIES = ("numpy", "cupy", "torch", "minitorch")


class Lazy(TypeError):
    """A result is not an array of a library that computes before it returns."""


class Provider:
    """A contender.

    writes: it is given its outputs, after its inputs, and fills them.
    library: of the arrays that it is given: numpy, cupy, torch or minitorch; None: by where f comes from (numpy, and on a GPU cupy).
    precision: in which it computes, when that is narrower than the case's dtype: tf32, bfloat16, float16.
    finish: what makes of its result finished arrays (such as jax.block_until_ready), counted in its time.
    ValueError and TypeError for what is none of these.
    """

    def __init__(self, f, name=None, writes=False, library=None, precision=None, finish=None):
        if not callable(f):
            raise TypeError(f"a provider must be callable, {f!r} is not")
        if library not in (None, *LIBRARIES):
            raise ValueError(f"library must be one of {', '.join(LIBRARIES)}, not {library!r}")
        if precision not in (None, *EPS):
            raise ValueError(f"precision must be one of {', '.join(EPS)}, not {precision!r}")
        self.f, self.name = f, name or getattr(f, "__name__", type(f).__name__)
        self.writes, self.precision, self.finish = writes, precision, finish
        self.library, self.kernel = library or origin(f), None

    @classmethod
    def cuda(cls, source, kernel=None, *, grid, block, args=None, shared_mem=0, define=None, arch=None, cluster=(1, 1, 1), name=None, precision=None):
        """One kernel of a CUDA C++ file or text.

        grid, block, shared_mem: numbers, expressions of sizes and array names ("(M + 31) // 32, N"), or functions of the inputs and outputs.
        args: names or expressions in the kernel's order; None: pointers by their role in the order of the inputs and outputs, numbers by name.
        """
        from ..kernels import Kernel
        from ..kernels.signature import parse
        if kernel is None:
            from ..kernels.kernel import read
            found = list(parse(read(source)[1]))
            if len(found) != 1:
                raise ValueError(f"which kernel? {source} has {', '.join(found) or 'none'}")
            kernel, = found
        made = Kernel(source, kernel, define, arch, cluster)
        self = cls(Launch(made, grid, block, args, shared_mem), name or kernel, writes=True, precision=precision)
        self.kernel, self.library = made, None
        return self

    def __repr__(self):
        return f"<Provider {self.name}>"

    def call(self, given, params):
        """What it makes of arrays of its library; counted in its time."""
        y = self.f(*given, **params)
        return self.finish(y) if self.finish else y


def origin(f):
    """torch or cupy where a function comes from there, else None: minitorch's own functions take NumPy arrays as they are."""
    module = (getattr(f, "__module__", None) or type(getattr(f, "__self__", None)).__module__ or "").partition(".")[0]
    return module if module in ("torch", "cupy") else None


def as_providers(given):
    """{name: Provider} of what compare() takes: one callable, a list, or a dict."""
    if isinstance(given, dict):
        items = [(name, p) for name, p in given.items()]
    else:
        items = [(None, p) for p in (given if isinstance(given, list | tuple) else [given])]
    found = {}
    for name, p in items:
        p = p if isinstance(p, Provider) else Provider(p)
        p.name = name or p.name
        if p.name in found:
            raise ValueError(f"two providers are called {p.name}: give them names, {{'mine': f, ...}}")
        found[p.name] = p
    if not found:
        raise ValueError("there is nobody to measure: give at least one provider")
    return found


# ---- arrays of other libraries over the same memory ------------------------------------------------------------------

def handed(a, library):
    """A NumPy array as an array of `library` that shares its memory; numbers as they are."""
    if not isinstance(a, np.ndarray) or library in (None, "numpy"):
        return a
    if library == "torch":
        import torch
        if a.dtype.name == "bfloat16":
            return torch.from_numpy(a.view(np.int16)).view(torch.bfloat16)
        return torch.from_numpy(a)
    if library == "minitorch":
        from ..tensor import wrap
        return wrap(a)
    raise ValueError(f"arrays of {library} are on a GPU: compare(..., device=\"cuda\")")


def received(y):
    """A list of NumPy arrays of what a provider returned: views of its memory where it is the host's.

    Lazy: it is none of the arrays that are known to be computed once they are there.
    """
    return [received_one(v) for v in (y if type(y) in (tuple, list) else (y,))]


def received_one(y):
    if type(y) is np.ndarray:
        if y.dtype.kind not in "fiubc" and y.dtype.name != "bfloat16":
            raise Lazy(f"an array of {y.dtype.name} holds no numbers")
        return y
    if y is None:
        raise Lazy("it returned None. Return an array, or say that it writes to arrays that it is given: Provider(f, writes=True), --writes")
    if isinstance(y, np.generic | bool | int | float):
        return np.asarray(y)
    module = sys.modules.get(type(y).__module__.partition(".")[0])
    name = module.__name__ if module else ""
    if name == "torch" and type(y) in (module.Tensor, module.nn.Parameter):
        return torch_array(module, y.detach())
    if name == "minitorch":
        from ..tensor import Tensor
        if isinstance(y, Tensor):
            return y.detach().numpy()
    if type(y) in backend.MODULES:
        return backend.to_numpy(y)
    raise Lazy(f"{type(y).__module__}.{type(y).__qualname__} is no array of NumPy, CuPy, PyTorch or minitorch: when its numbers are computed is not "
               "known. Return an array, or give Provider(finish=...) that makes one")


def torch_array(torch, y):
    if y.device.type != "cpu":
        y = y.cpu()
    if y.dtype is torch.bfloat16:
        import ml_dtypes
        return y.view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    return y.numpy()


# ---- kernels -----------------------------------------------------------------------------------------------------------

class Launch:
    """A kernel with what its grid, block and arguments are for some inputs and outputs: called with both, it launches."""

    def __init__(self, kernel, grid, block, args=None, shared_mem=0):
        self.kernel, self.grid, self.block, self.args, self.shared_mem = kernel, grid, block, args, shared_mem
        self.sizes, self.inputs = {}, None               # set by the harness for each case
        self.__name__ = kernel.name

    def of_case(self, case):
        """Before a case is measured: its sizes by name, and how many inputs it has."""
        self.sizes, self.inputs = dict(case.sizes), len(case.items)

    def prepared(self, *arrays):
        """(grid, block, arguments, bytes of shared memory) for inputs and outputs."""
        names = {**self.sizes, **self.named(arrays)}

        def value(x):
            return evaluate(x, names) if isinstance(x, str) else x(*arrays) if callable(x) else x
        args = self.by_role(arrays, names) if self.args is None else value(self.args)
        return value(self.grid), value(self.block), tuple(args), int(value(self.shared_mem))

    def __call__(self, *arrays):
        grid, block, args, shared_mem = self.prepared(*arrays)
        self.kernel(grid, block, args, shared_mem)

    def named(self, arrays):
        """The arrays by their names in the kernel, inputs and outputs in their order; `n`: entries of the first output, if nothing else is."""
        inputs, outputs = list(arrays[:self.inputs]), list(arrays[self.inputs:])
        found = {}
        for p in self.kernel.parameters:
            if p.pointer:
                taken = inputs if p.role == "in" else outputs
                if taken and (p.role != "in" or any(isinstance(a, np.ndarray) or hasattr(a, "dtype") for a in taken)):
                    found[p.name] = taken.pop(0)
        for i, a in enumerate(arrays[:self.inputs]):
            found.setdefault(f"in{i}", a)
        for i, a in enumerate(arrays[self.inputs:]):
            found.setdefault(f"out{i}", a)
        first = arrays[self.inputs] if len(arrays) > self.inputs else None
        return {"n": int(first.size), **found} if first is not None and "n" not in self.sizes and "n" not in found else found

    def by_role(self, arrays, names):
        lower = {name.lower(): v for name, v in names.items()}
        found = []
        for p in self.kernel.parameters:
            if p.name not in names and p.name.lower() not in lower:
                raise TypeError(f"{self.kernel.name}: what is {p.name}? Give args, or a size of that name; known are {', '.join(names)}")
            found.append(names.get(p.name, lower.get(p.name.lower())))
        return found


BINARY = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod,
          ast.Div: operator.truediv, ast.Pow: operator.pow, ast.LShift: operator.lshift, ast.RShift: operator.rshift}
CALLS = {"min": min, "max": max, "len": len, "int": int, "float": float, "cdiv": lambda a, b: -(-a // b)}
ATTRIBUTES = ("shape", "size", "ndim", "nbytes")


def evaluate(text, names):
    """The value of an arithmetic expression of names, tuples, indices, shape, size, min, max and cdiv; nothing else runs.

    ValueError for what is not such an expression.
    """
    def value(node):
        if isinstance(node, ast.Expression):
            return value(node.body)
        if isinstance(node, ast.Constant) and (node.value is None or isinstance(node.value, int | float)):
            return node.value
        if isinstance(node, ast.Name):
            if node.id in names:
                return names[node.id]
            raise ValueError(f"{text!r}: what is {node.id}? Known are {', '.join(names)}")
        if isinstance(node, ast.Tuple):
            return tuple(value(v) for v in node.elts)
        if isinstance(node, ast.BinOp) and type(node.op) in BINARY:
            return BINARY[type(node.op)](value(node.left), value(node.right))
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return -value(node.operand)
        if isinstance(node, ast.Subscript):
            return value(node.value)[value(node.slice)]
        if isinstance(node, ast.Attribute) and node.attr in ATTRIBUTES:
            return getattr(value(node.value), node.attr)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CALLS and not node.keywords:
            return CALLS[node.func.id](*(value(a) for a in node.args))
        raise ValueError(f"{text!r} is more than arithmetic of sizes and arrays")
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except SyntaxError as error:
        raise ValueError(f"{text!r} is no expression: {error.msg}") from None
    try:
        return value(tree)
    except ZeroDivisionError:
        raise ValueError(f"{text!r} divides by zero") from None
