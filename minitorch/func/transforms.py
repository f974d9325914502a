"""Transforms that differentiate: grad, grad_and_value, vjp, jvp, linearize, jacrev, jacfwd, hessian.

The function sees stand-ins for its arguments, each with a place of its own in the graph.  Results stay in the graph only
if they depend on something that the caller may ask about: another tensor that requires grad, or the stand-in of an
enclosing transform.
"""
import functools

from ..autograd import functional
from ..autograd.engine import Node, reachable
from ..autograd.mode import enable_grad, mode
from ..backend import xp
from ..tensor import Tensor, wrap
from ..utils.tree import leaves, rebuild, tree_map


class StandIn(Node):
    """An argument as the function sees it: its gradient goes on to the real argument, if that wants one."""
    __slots__ = ("live",)                            # whether its transform is still computing

    def __init__(self, parents, shape, dtype, live=True):
        super().__init__(parents, shape, dtype)
        self.live = live

    def vjp(self, g, create_graph):
        return (g,)


def stand_in(x, live=True):
    """A tensor with the numbers of x and a new place in the graph, after x where x wants a gradient."""
    if not isinstance(x, Tensor):
        raise ValueError(f"Thing passed to transform API must be Tensor, got {type(x)}")
    if not x.dtype.is_floating_point:
        raise RuntimeError(f"only Tensors of floating point dtype can require gradients, not {x.dtype}")
    node = x.current_node() if mode.grad else None
    return wrap(x.array, StandIn(() if node is None else (node,), x.array.shape, x.array.dtype, live), x.counter)


class Call:
    """A call of func with stand-ins for the arguments numbered by argnums, ready to be differentiated."""

    def __init__(self, name, func, args, kwargs, argnums, has_aux):
        args = list(args)
        self.name, self.tree = name, [args[i] for i in argnums]
        self.xs = [stand_in(x) for x in leaves(self.tree)]
        for i, value in zip(argnums, rebuild(self.tree, iter(self.xs))):
            args[i] = value
        with enable_grad():
            self.output = func(*args, **kwargs)
        self.aux = ()
        if has_aux:
            if not isinstance(self.output, tuple) or len(self.output) != 2:
                raise RuntimeError(f"{name}: output of function f should be a tuple: (output, aux) if has_aux is True")
            self.output, aux = self.output
        self.ys = leaves(self.output)
        for y in self.ys:
            if not isinstance(y, Tensor):
                raise RuntimeError(f"{name}: expected f(*args) to return only tensors, got unsupported type {type(y)}")
        for x in self.xs:
            x.node.live = False
        self.outside = mode.grad and any(is_asked_for(n) for n in reachable([y.current_node() for y in self.ys if y.requires_grad]))
        if has_aux:
            self.aux = (tree_map(self.result, aux),)

    def pull(self, us, create_graph=False):
        """u^T J for every stand-in, zeros where nothing depends on it."""
        return pull(self.ys, self.xs, us, create_graph or self.outside)

    def result(self, t):
        """A tensor as the caller gets it."""
        return t if self.outside or not isinstance(t, Tensor) else t.detach()

    def results(self):
        """The function's output as the caller gets it."""
        return tree_map(self.result, self.output)

    def answer(self, gs):
        """One tensor for each stand-in, in the structure of the arguments."""
        return tuple(rebuild(self.tree, iter(gs)))


def pull(ys, xs, us, create_graph):
    return functional.pull(ys, xs, us, create_graph, strict=False)


def is_asked_for(node):
    """Whether `node` is an end of the graph that somebody else may want a gradient for."""
    return not any(node.parents) and (not isinstance(node, StandIn) or node.live)


def indices(argnums, count):
    """argnums as a tuple of indices, and whether it was a single one."""
    if isinstance(argnums, int):
        indices, one = (argnums,), True
    elif isinstance(argnums, tuple) and all(isinstance(i, int) for i in argnums):
        indices, one = argnums, False
    else:
        raise RuntimeError(f"argnums must be int or Tuple[int, ...], got: {type(argnums)}")
    if not indices:
        raise RuntimeError("argnums must be non-empty")
    for i in indices:
        if not -count <= i < count:
            raise RuntimeError(f"Got argnum={i}, but only {count} positional inputs")
    if len({i % count for i in indices}) != len(indices):
        raise RuntimeError(f"argnums elements must be unique, got {argnums}")
    return tuple(i % count for i in indices), one


def grad(func, argnums=0, has_aux=False):
    """The function that computes the gradient of func, which returns one number, by the arguments argnums.

    has_aux: func returns (number, aux), and the new function (gradient, aux).
    """
    both = grad_and_value(func, argnums, has_aux)

    @functools.wraps(func)
    def wrapper(*args, **kwargs):
        g, value = both(*args, **kwargs)
        return (g, value[1]) if has_aux else g
    return wrapper


def grad_and_value(func, argnums=0, has_aux=False):
    """The function that computes (gradient, value) of func; with has_aux (gradient, (value, aux))."""
    @functools.wraps(func)
    def wrapper(*args, **kwargs):
        chosen, one = indices(argnums, len(args))
        call = Call("grad", func, args, kwargs, chosen, has_aux)
        if not isinstance(call.output, Tensor):
            raise RuntimeError(f"grad: Expected f(*args) to return a Tensor, got {type(call.output)}")
        if call.output.ndim != 0:
            raise RuntimeError(f"grad: Expected f(*args) to return a scalar tensor, got tensor with {call.output.ndim} dims. "
                               "Maybe you wanted to use the vjp or jacrev APIs instead?")
        g, value = call.answer(call.pull([None])), call.results()
        return g[0] if one else g, (value, *call.aux) if has_aux else value
    return wrapper


def vjp(func, *primals, has_aux=False):
    """(output, f) with f(cotangents) = the tuple of cotangents^T J for the primals; (output, f, aux) with has_aux."""
    call = Call("vjp", func, primals, {}, range(len(primals)), has_aux)

    def pullback(cotangents, retain_graph=True, create_graph=None):
        us = tensors_like("cotangents", cotangents, call.output)
        return call.answer(call.pull(us, mode.grad and any(u.requires_grad for u in us)))
    return (call.results(), pullback, *call.aux)


def tensors_like(what, tree, like):
    """The leaves of `tree`, which must be tensors of the shapes in the tree `like`."""
    found = leaves(tree)
    if len(found) != len(leaves(like)):
        raise RuntimeError(f"Expected the structure of {what} to be the same as that of the values they belong to: "
                           f"{len(leaves(like))} tensors, got {len(found)}")
    for u, t in zip(found, leaves(like)):
        if not isinstance(u, Tensor):
            raise RuntimeError(f"Expected {what} to be Tensors, got {type(u)}")
        if u.shape != t.shape:
            raise RuntimeError(f"Mismatch in shape: an entry of {what} has a shape of {u.shape}, it belongs to one of {t.shape}")
    return found


def linear(call):
    """The map from tangents of a call's arguments to those of its output: the vjp, differentiated by its own vector."""
    us = [stand_in(functional.zeros(y), live=False) for y in call.ys]
    pulled = call.pull(us, create_graph=True)

    def push(tangents):
        return pull(pulled, us, tangents, call.outside or mode.grad and any(t.requires_grad for t in tangents))
    return push


def jvp(func, primals, tangents, *, strict=False, has_aux=False):
    """(output, J tangents) of func at the tuple primals; (output, J tangents, aux) with has_aux."""
    if not isinstance(primals, tuple):
        raise RuntimeError("jvp(f, primals, tangents): Expected primals to be a tuple. E.g. it should be valid to call f(*primals).")
    if not isinstance(tangents, tuple):
        raise RuntimeError("jvp(f, primals, tangents): Expected primals and tangents to have the same python structure.")
    vs = tensors_like("tangents", tangents, primals)
    call = Call("jvp", func, primals, {}, range(len(primals)), has_aux)
    return (call.results(), rebuild(call.output, iter(linear(call)(vs))), *call.aux)


def linearize(func, *primals):
    """(output, f) with f(*tangents) = J tangents at the primals, without calling func again."""
    call = Call("linearize", func, primals, {}, range(len(primals)), False)
    push = linear(call)
    return call.results(), lambda *tangents: rebuild(call.output, iter(push(tensors_like("tangents", tangents, primals))))


def jacrev(func, argnums=0, *, has_aux=False, chunk_size=None, _preallocate_and_copy=False):
    """The function that computes the derivative of every output by every argument, one backward pass for each output.

    It returns the structure of func's output, with that of the arguments in place of each tensor; shape output + input.
    """
    @functools.wraps(func)
    def wrapper(*args, **kwargs):
        chosen, one = indices(argnums, len(args))
        call = Call("jacrev", func, args, kwargs, chosen, has_aux)
        rows = [call.answer(functional.rows_of(y, call.xs, call.outside, False)) for y in call.ys]
        jacobian = fill(call.output, (row[0] if one else row for row in rows))
        return (jacobian, *call.aux) if has_aux else jacobian
    return wrapper


def jacfwd(func, argnums=0, has_aux=False, *, randomness="error"):
    """What jacrev computes, one forward derivative for each input."""
    @functools.wraps(func)
    def wrapper(*args, **kwargs):
        from .. import stack
        chosen, one = indices(argnums, len(args))
        call = Call("jacfwd", func, args, kwargs, chosen, has_aux)
        push = linear(call)
        columns = [[push([v if t is x else functional.zeros(t) for t in call.xs]) for v in basis(x)] for x in call.xs]
        parts = [[stack([c[i] for c in column], -1).reshape(tuple(y.shape) + tuple(x.shape)) if column else
                  wrap(xp(y.array).zeros(tuple(y.shape) + tuple(x.shape), y.array.dtype)) for x, column in zip(call.xs, columns)]
                 for i, y in enumerate(call.ys)]
        rows = [call.answer(part) for part in parts]
        jacobian = fill(call.output, (row[0] if one else row for row in rows))
        return (jacobian, *call.aux) if has_aux else jacobian
    return wrapper


def fill(tree, new):
    """`tree` with each leaf replaced by the next of `new`, which may be trees themselves."""
    return rebuild(tree, iter(new))


def basis(x):
    """The unit tensors in the shape of x."""
    for i in range(x.array.size):
        v = functional.zeros(x)
        v.array.reshape(-1)[i] = 1
        yield v


def hessian(func, argnums=0):
    """The function that computes the second derivatives of func, as jacrev(jacrev(func)) gives them."""
    return jacrev(jacrev(func, argnums), argnums)
